//! The oracle: a log is a list of events, and what is recovered must be the effect of a prefix
//! of them that holds all that was acknowledged.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use velocitydb::Timestamp;
use velocitydb_engine::crypt::{EncryptionKey, EncryptionKeys};
use velocitydb_engine::log::{FlushLevel, Log, LogError, LogOptions, Recovered, WritePath};
use velocitydb_sim::{Random, SimDisk};

pub const DIR: &str = "/data/wal";

/// One change of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Append(u64, u64, Vec<u8>),
    Vote(Vec<u8>),
    Committed(u64, u64),
    Truncate(Option<u64>),
    Purge(u64),
    Reset(u64, u64),
}

/// What a log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pub entries: Vec<(u64, u64, Vec<u8>)>,
    pub purged: Option<(u64, u64)>,
    pub vote: Option<Vec<u8>>,
    pub committed: Option<(u64, u64)>,
}

impl Content {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Append(index, term, payload) => {
                self.entries.push((*index, *term, payload.clone()));
            }
            Event::Vote(vote) => self.vote = Some(vote.clone()),
            Event::Committed(index, term) => self.committed = Some((*index, *term)),
            Event::Truncate(after) => {
                self.entries
                    .retain(|(index, ..)| after.is_some_and(|after| *index <= after));
            }
            Event::Purge(upto) => {
                let term = self.entries.iter().find(|(index, ..)| index == upto);
                if let Some((index, term, _)) = term {
                    self.purged = Some((*index, *term));
                }
                self.entries.retain(|(index, ..)| index > upto);
            }
            Event::Reset(index, term) => {
                self.entries.clear();
                self.purged = Some((*index, *term));
            }
        }
    }

    /// What an open log holds, by all the ways to ask.
    pub fn of(log: &Log, recovered: &Recovered) -> Content {
        Content::read(log, recovered).unwrap()
    }

    /// The same on a disk that may fail.
    pub fn read(log: &Log, recovered: &Recovered) -> Result<Content, LogError> {
        let read = recovered
            .first
            .map(|first| log.read(first..u64::MAX))
            .transpose()?;
        let entries = read.into_iter().flatten().collect::<Result<Vec<_>, _>>()?;
        assert_eq!(entries.first().map(|entry| entry.index), recovered.first);
        let last = entries.last().map(|entry| (entry.index, entry.term));
        assert_eq!(last, recovered.last);
        assert_eq!(
            (log.first(), log.last_entry()),
            (recovered.first, recovered.last)
        );
        let entries = entries
            .into_iter()
            .map(|e| (e.index, e.term, e.payload))
            .collect();
        let Recovered {
            purged,
            vote,
            committed,
            ..
        } = recovered.clone();
        assert_eq!(
            (log.purged(), log.vote(), log.committed()),
            (purged, vote.clone(), committed)
        );
        Ok(Content {
            entries,
            purged,
            vote,
            committed,
        })
    }
}

/// What was asked of a log, and what it acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub events: Vec<Event>,
    /// Events acknowledged as handed to the operating system, and as durable.
    pub written: usize,
    pub synced: usize,
}

impl Model {
    pub fn content(&self, events: usize) -> Content {
        let mut content = Content::default();
        self.events[..events]
            .iter()
            .for_each(|event| content.apply(event));
        content
    }

    /// The longest prefix of events, of at least `floor`, that explains `content`.
    pub fn explain(&self, content: &Content, floor: usize) -> Option<usize> {
        (floor..=self.events.len())
            .rev()
            .find(|&events| self.content(events) == *content)
    }

    /// Takes what a reopened log holds for the truth from now on. All of it is durable.
    pub fn adopt(&mut self, content: &Content, floor: usize, context: &dyn Fn() -> String) {
        let Some(events) = self.explain(content, floor) else {
            panic!(
                "{}\nno prefix of at least {floor} of {} events explains {content:?}\nevents: {:?}",
                context(),
                self.events.len(),
                self.events
            );
        };
        self.events.truncate(events);
        (self.written, self.synced) = (events, events);
    }

    fn append_position(&self, index: u64) -> usize {
        let is = |event: &Event| matches!(event, Event::Append(i, ..) if *i == index);
        self.events
            .iter()
            .rposition(is)
            .map_or(0, |position| position + 1)
    }
}

pub fn options(write_path: WritePath) -> LogOptions {
    let mut options = LogOptions::default();
    options.first_segment_bytes = 2048;
    options.segment_bytes = 4096;
    options.compression = velocitydb_engine::log::Compression::Lz4;
    options.compress_above = 100;
    options.write_path = write_path;
    options.keys = keys();
    options
}

thread_local! {
    static ENCRYPTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a test with logs that are encrypted.
pub fn encrypted(test: impl FnOnce()) {
    ENCRYPTED.set(true);
    test();
    ENCRYPTED.set(false);
}

/// What logs are opened with.
pub fn keys() -> EncryptionKeys {
    match ENCRYPTED.get() {
        true => EncryptionKeys::new(EncryptionKey::from_content(vec![7; 32]).unwrap()),
        false => EncryptionKeys::default(),
    }
}

pub fn open(disk: &SimDisk, seed: u64) -> Result<(Log, Recovered), LogError> {
    let write_path = if seed.is_multiple_of(2) {
        WritePath::Calls
    } else {
        WritePath::Mapped
    };
    // The count of operations grows, so no two opens of a disk share a salt.
    let salts = Random::new(seed ^ (disk.operations() << 20)).salts();
    Log::open(
        Arc::new(disk.clone()),
        Path::new(DIR),
        options(write_path),
        salts,
    )
}

/// One step of a run. `Err` ends the run; the model says what may have happened.
pub fn step(log: &Log, model: &mut Model, random: &mut Random) -> Result<(), LogError> {
    let content = model.content(model.events.len());
    let next = content
        .entries
        .last()
        .map(|(index, ..)| index + 1)
        .or(content.purged.map(|(index, _)| index + 1))
        .unwrap_or(1);
    let term = content
        .entries
        .last()
        .map_or(content.purged.map_or(1, |p| p.1), |e| e.1);
    let newest = content.entries.last().map(|(index, ..)| *index);
    match random.below(24) {
        0..=11 => {
            let payload = payload(random);
            log.reserve(payload.len() as u64)?;
            log.append(next, term + random.below(2), &payload)?;
            let (_, appended_term) = log.last_entry().unwrap();
            model
                .events
                .push(Event::Append(next, appended_term, payload));
        }
        12..=16 => {
            let Some(newest) = newest else { return Ok(()) };
            let upto = newest - random.below(2).min(newest - content.entries[0].0);
            if random.one_in(2) {
                log.flush(upto, FlushLevel::Written)?;
                model.written = model.written.max(model.append_position(upto));
            } else {
                log.flush(upto, FlushLevel::Synced)?;
                model.synced = model.synced.max(model.append_position(upto));
                model.written = model.written.max(model.synced);
            }
        }
        17 => {
            let vote = random.bits().to_le_bytes().to_vec();
            model.events.push(Event::Vote(vote.clone()));
            log.save_vote(&vote)?;
            acknowledge(model);
        }
        18 => {
            let position = (random.below(100), random.below(9));
            log.save_committed(position.0, position.1)?;
            model.events.push(Event::Committed(position.0, position.1));
        }
        19 => {
            let after = match newest {
                Some(newest) if !random.one_in(8) => {
                    let back = random.below(6).min(newest - content.entries[0].0);
                    Some(newest - back)
                }
                _ => None,
            };
            model.events.push(Event::Truncate(after));
            log.truncate_after(after)?;
            acknowledge(model);
        }
        20 => {
            if content.entries.is_empty() {
                return Ok(());
            }
            let at = random.below(content.entries.len() as u64) as usize;
            let upto = content.entries[at].0;
            model.events.push(Event::Purge(upto));
            log.purge(upto)?;
            acknowledge(model);
        }
        21 if random.one_in(4) => {
            let index = next + random.below(10);
            model.events.push(Event::Reset(index, term));
            log.reset_to(index, term)?;
            acknowledge(model);
        }
        _ => log.prepare_spare(Timestamp(0))?,
    }
    Ok(())
}

fn acknowledge(model: &mut Model) {
    (model.written, model.synced) = (model.events.len(), model.events.len());
}

/// Payloads of all kinds: empty, short, compressible, not, and longer than a segment.
pub fn payload(random: &mut Random) -> Vec<u8> {
    let len = match random.below(16) {
        0 => 0,
        1 => 5000,
        2..=8 => random.below(120),
        _ => random.below(600),
    };
    if random.one_in(2) {
        return vec![random.bits() as u8; len as usize];
    }
    (0..len).map(|_| random.bits() as u8).collect()
}
