//! Reads the log from its files: what it holds, where it ends, and whether that is damage.
//!
//! The chain of links from the newest segment back is the log; other segment files are left
//! over from a step that a crash interrupted. The chain is read oldest first.
//!
//! **Torn or damaged?** Power loss may keep later blocks of an unsynced write and lose earlier
//! ones, so valid bytes after a bad record prove nothing by themselves. What proves damage is a
//! statement, found anywhere after the bad record, that its place had been synced:
//! - a `Synced` record, written after each sync (all before its position was durable);
//! - the same in a segment header, and the header's being there at all: a segment is begun only
//!   when all but the one before it are synced, and with its own first records synced.
//!
//! A bad record below the largest such position is damage, and the log is not opened. One above
//! it was never acknowledged as synced (or it is the very last sync before the crash, whose
//! `Synced` record was lost with it): it is a torn tail, and the log ends there.
//!
//! A record that verifies but says something impossible is damage wherever it stands. So is a bad
//! record in a file that is shorter than it was made: it was never written in that state, since a
//! file is durable in its whole length before it is used, and shortened only where a record ends.
//!
//! Only reads. What is to be changed on disk is done by [`super::settle`].
//! Tests: `velocitydb-sim`, every bit flipped and every operation crashed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::LogError;
use super::record::{Check, Frame, Record};
use super::scan::{Found, Scanner, search};
use super::segment::{
    FORMAT, HEADER_LEN, Header, HeaderError, LANDMARK_EVERY, Position, Segment, parse_name,
    parse_spare_name,
};
use super::state::State;
use crate::crypt::{EncryptionKeys, Purpose};
use crate::disk::Disk;

/// A tail that was never synced and did not survive the crash whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// File name of the segment in which the log now ends.
    pub segment: String,
    /// Byte position of the end.
    pub offset: u64,
    /// Bytes that were cut off, as far as can be told.
    pub bytes: u64,
    /// What was found there.
    pub reason: String,
}

/// What the files say.
#[derive(Debug)]
pub(super) struct Recovery {
    pub(super) state: State,
    /// The chain, oldest first.
    pub(super) segments: Vec<Segment>,
    /// Where the log ends: in its last segment, or (0, 0).
    pub(super) end: Position,
    /// The largest position known to be synced.
    pub(super) synced: Position,
    pub(super) torn: Option<TornTail>,
    /// Segments after the torn place, oldest first.
    pub(super) cut: Vec<String>,
    /// Segments that are not in the chain.
    pub(super) leftovers: Vec<String>,
    pub(super) spares: Vec<String>,
    pub(super) next_sequence: u64,
    pub(super) records: u64,
}

/// Whether the log may begin later than its purge position says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Beginning {
    /// Entries missing before the oldest segment are damage.
    #[default]
    MustBePurged,
    /// The oldest segment is taken for the beginning.
    OldestSegment,
}

/// What the files are opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Access {
    #[default]
    ReadAndWrite,
    Read,
}

/// How to read a log that a repair looks at; the default is how it is opened.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    pub(super) access: Access,
    pub(super) beginning: Beginning,
    /// Files taken for absent.
    pub(super) ignored: BTreeSet<String>,
    /// The segment of this sequence is taken to be this long.
    pub(super) cut: Option<Position>,
    pub(super) keys: EncryptionKeys,
}

/// Reads everything in `dir`; any damage is an error.
pub(super) fn recover(disk: &dyn Disk, dir: &Path, view: &View) -> Result<Recovery, LogError> {
    match recover_partly(disk, dir, view)? {
        (recovery, None) => Ok(recovery),
        (_, Some(error)) => Err(error),
    }
}

/// As [`recover`]; damage among the records comes with what is before it.
pub(super) fn recover_partly(
    disk: &dyn Disk,
    dir: &Path,
    view: &View,
) -> Result<(Recovery, Option<LogError>), LogError> {
    let mut names = list(disk, dir)?;
    names.retain(|name| !view.ignored.contains(name));
    let mut files = BTreeMap::new();
    for name in &names {
        if let Some((sequence, first)) = parse_name(name)
            && files.insert(sequence, name.clone()).is_some()
        {
            return Err(damaged(
                name,
                0,
                first,
                "another segment has the same sequence",
            ));
        }
    }
    let spares = names
        .iter()
        .filter(|name| parse_spare_name(name).is_some())
        .cloned()
        .collect();
    // No number is given again, not even that of a segment which a repair took out.
    let taken = |name: &String| parse_name(name.split(".cut").next()?);
    let newest = names.iter().filter_map(taken).map(|(sequence, _)| sequence);
    let next_sequence = newest.max().map_or(1, |newest| newest + 1);
    let (mut segments, missing) = chain(disk, dir, &files, view)?;
    if let Some((sequence, offset)) = view.cut {
        let cut = segments
            .iter_mut()
            .find(|segment| segment.header.sequence == sequence);
        cut.into_iter()
            .for_each(|segment| segment.capacity = offset);
    }
    let in_chain = |name: &String| segments.iter().any(|segment| segment.name == *name);
    let leftovers = files
        .values()
        .filter(|name| !in_chain(name))
        .cloned()
        .collect();
    let recovery = Recovery {
        state: State::default(),
        segments,
        end: (0, 0),
        synced: (0, 0),
        torn: None,
        cut: Vec::new(),
        leftovers,
        spares,
        next_sequence,
        records: 0,
    };
    let mut reading = Reading { at: 0, recovery };
    let result = reading.read_all();
    let mut recovery = reading.recovery;
    let result = result.and_then(|()| check_beginning(&mut recovery, missing, view.beginning));
    Ok((recovery, result.err()))
}

/// The names in a log's directory. One that is missing holds nothing.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>, LogError> {
    match disk.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|error| LogError::io("list the log's directory", error)),
    }
}

/// Follows the links from the newest segment back; answers the chain, oldest first, and the
/// sequence of the segment that its oldest link names and that is not there.
fn chain(
    disk: &dyn Disk,
    dir: &Path,
    files: &BTreeMap<u64, String>,
    view: &View,
) -> Result<(Vec<Segment>, Option<u64>), LogError> {
    let mut segments = Vec::new();
    let mut next = files.last_key_value();
    let mut missing = None;
    while let Some((&sequence, name)) = next {
        let segment = open_segment(disk, dir, (sequence, name), view)?;
        let previous = segment.header.previous.0;
        segments.push(segment);
        if previous == 0 {
            break;
        }
        next = files.get_key_value(&previous);
        if next.is_none() {
            missing = Some(previous);
        }
    }
    segments.reverse();
    Ok((segments, missing))
}

fn open_segment(
    disk: &dyn Disk,
    dir: &Path,
    (sequence, name): (u64, &str),
    view: &View,
) -> Result<Segment, LogError> {
    let io = |action: &str, error| LogError::io(format!("{action} {name}"), error);
    let first = parse_name(name).map_or(0, |(_, first)| first);
    let path = dir.join(name);
    let file = match view.access {
        Access::ReadAndWrite => disk.open(&path),
        Access::Read => disk.open_to_read(&path),
    };
    let file = file.map_err(|error| io("open", error))?;
    let mut bytes = [0; HEADER_LEN as usize];
    let count = file
        .read_at(&mut bytes, 0)
        .map_err(|error| io("read", error))?;
    let header = match Header::decode(&bytes[..count]) {
        Ok(header) => header,
        Err(HeaderError::Bad(what)) => return Err(damaged(name, 0, first, what)),
        Err(HeaderError::Newer(found)) => {
            return Err(LogError::NewerFormat {
                segment: name.into(),
                found,
                known: FORMAT,
            });
        }
    };
    if header.sequence != sequence || header.first_index != first {
        return Err(damaged(
            name,
            0,
            first,
            "the segment's header belongs to another file name",
        ));
    }
    if header.previous.0 >= sequence {
        return Err(damaged(
            name,
            0,
            first,
            "the segment's header names a later one before it",
        ));
    }
    let capacity = file.len().map_err(|error| io("stat", error))?;
    let frame = frame_of(&header, name, &view.keys)?;
    Ok(Segment {
        header,
        name: name.into(),
        file,
        entries: None,
        end: HEADER_LEN,
        capacity,
        landmarks: Vec::new(),
        frame,
    })
}

/// What the records of a segment are framed with.
pub(super) fn frame_of(
    header: &Header,
    name: &str,
    keys: &EncryptionKeys,
) -> Result<Frame, LogError> {
    let cipher = keys.opening(header.key, &header.salt, Purpose::Log, name)?;
    Ok(Frame {
        check: Check::new(&header.salt),
        cipher,
    })
}

fn check_beginning(
    recovery: &mut Recovery,
    missing: Option<u64>,
    beginning: Beginning,
) -> Result<(), LogError> {
    let (Some(missing), Some(oldest)) = (missing, recovery.segments.first()) else {
        return Ok(());
    };
    // Of the segments before, only the entries count that no segment here voids.
    let bases = recovery
        .segments
        .iter()
        .map(|s| (s.header.first_index, s.header.base_term));
    let (first, base_term) = bases.min().unwrap_or_default();
    let purged_next = recovery
        .state
        .purged
        .map_or(0, |(index, _)| index.saturating_add(1));
    if purged_next >= first {
        return Ok(());
    }
    match beginning {
        Beginning::MustBePurged => Err(damaged(
            &oldest.name,
            0,
            purged_next,
            &format!("segment {missing}, which this one follows, is missing"),
        )),
        Beginning::OldestSegment => {
            recovery.state.purge(first - 1, base_term);
            Ok(())
        }
    }
}

fn damaged(segment: &str, offset: u64, index: u64, what: &str) -> LogError {
    LogError::Damaged {
        segment: segment.into(),
        offset,
        index,
        what: what.into(),
    }
}

/// The pass over the chain.
struct Reading {
    /// The segment that is read.
    at: usize,
    recovery: Recovery,
}

impl Reading {
    fn segment(&mut self) -> &mut Segment {
        &mut self.recovery.segments[self.at]
    }

    fn damage(&self, offset: u64, what: &str) -> LogError {
        let name = &self.recovery.segments[self.at].name;
        damaged(name, offset, self.recovery.state.expected(), what)
    }

    fn read_all(&mut self) -> Result<(), LogError> {
        while self.at < self.recovery.segments.len() {
            self.enter()?;
            let (found, offset) = self.read_segment()?;
            let newest = self.at + 1 == self.recovery.segments.len();
            match found {
                Found::Limit if newest => self.judge(offset, None)?,
                Found::Limit => {}
                Found::End if newest => self.judge(offset, None)?,
                Found::End => self.judge(offset, Some("the records end too early"))?,
                Found::Bad => {
                    self.check_length(offset)?;
                    self.judge(offset, Some("no valid record"))?;
                }
                Found::Unknown(what) => return Err(self.damage(offset, what)),
                Found::Record(_) => unreachable!("a segment is read until no record is found"),
            }
            self.segment().end = offset;
            self.recovery.end = (self.segment().header.sequence, offset);
            self.at += 1;
        }
        Ok(())
    }

    /// Takes what the header says.
    fn enter(&mut self) -> Result<(), LogError> {
        let Header {
            first_index,
            base_term,
            synced,
            ..
        } = self.segment().header;
        self.recovery.synced = self.recovery.synced.max(synced);
        if self.at > 1 {
            // The one before the one before was synced before this one was begun.
            let rolled = &self.recovery.segments[self.at - 1].header;
            self.recovery.synced = self.recovery.synced.max(rolled.previous);
        }
        if self.at > 0 && first_index > self.recovery.state.next.unwrap_or(0) {
            return Err(self.damage(0, "the entries before this segment are missing"));
        }
        self.recovery.state.restart_at(first_index, base_term);
        for older in &mut self.recovery.segments[..self.at] {
            older.void_from(first_index);
        }
        Ok(())
    }

    /// Reads the segment's records up to the first that is none; answers what is there instead.
    fn read_segment(&mut self) -> Result<(Found, u64), LogError> {
        let limit = self.limit();
        let segment = self.segment();
        let (file, name) = (segment.file.clone(), segment.name.clone());
        let (frame, capacity) = (segment.frame.clone(), segment.capacity);
        let mut scanner = Scanner::new(
            file,
            name,
            frame,
            HEADER_LEN,
            limit.unwrap_or(capacity).min(capacity),
        );
        let mut landmark = HEADER_LEN;
        loop {
            let offset = scanner.offset();
            let record = match scanner.next()? {
                Found::Record(record) => record,
                // The file ends before the place where the next segment goes on.
                Found::Limit if limit.is_some_and(|limit| offset < limit) => {
                    return Ok((Found::Bad, offset));
                }
                other => return Ok((other, offset)),
            };
            self.recovery.records += 1;
            self.apply(record, offset, &scanner, &mut landmark)?;
        }
    }

    /// Where the next segment says that this one ends; `None` for the newest.
    fn limit(&self) -> Option<u64> {
        self.recovery
            .segments
            .get(self.at + 1)
            .map(|next| next.header.previous.1)
    }

    fn apply(
        &mut self,
        record: Record,
        offset: u64,
        scanner: &Scanner,
        landmark: &mut u64,
    ) -> Result<(), LogError> {
        match record {
            Record::Entry { index, term, .. } => {
                if !self.recovery.state.accepts(index) || index == u64::MAX {
                    let what = format!("entry {index} stands there");
                    return Err(self.damage(offset, &what));
                }
                self.recovery.state.append(index, term);
                let far = offset - *landmark >= LANDMARK_EVERY;
                let segment = self.segment();
                let first = segment.entries.map_or(index, |(first, _)| first);
                segment.entries = Some((first, index));
                if far {
                    segment.landmarks.push((index, offset));
                    *landmark = offset;
                }
            }
            Record::Vote(range) => {
                self.recovery.state.vote = Some(scanner.bytes(range).to_vec());
            }
            Record::Committed { index, term } => {
                self.recovery.state.committed = Some((index, term));
            }
            Record::Truncate { after } => {
                // The segment's first index did it; this says why.
                let next = after.map_or(0, |after| after.saturating_add(1));
                if self
                    .recovery
                    .state
                    .next
                    .is_some_and(|expected| expected < next)
                {
                    return Err(self.damage(offset, "a truncation to an entry that is missing"));
                }
            }
            Record::Purge { index, term } => self.recovery.state.purge(index, term),
            Record::Synced { sequence, offset } => {
                self.recovery.synced = self.recovery.synced.max((sequence, offset));
            }
        }
        Ok(())
    }

    /// Refuses a segment whose file lost its end; `offset` is where its records stop.
    fn check_length(&self, offset: u64) -> Result<(), LogError> {
        let Segment {
            header, capacity, ..
        } = &self.recovery.segments[self.at];
        match header.capacity {
            Some(made) if *capacity < made => {
                let what = format!(
                    "the file was made {made} bytes long, has {capacity}, and does not end where \
                     a record ends"
                );
                Err(self.damage(offset, &what))
            }
            _ => Ok(()),
        }
    }

    /// Decides about the end at `offset` of the segment that is read: the log's end, a torn
    /// tail (which ends the chain here), or damage. `reason` is `None` at an end mark.
    fn judge(&mut self, offset: u64, reason: Option<&str>) -> Result<(), LogError> {
        let here = (self.segment().header.sequence, offset);
        let segment = self.segment();
        let (check, recycled, begun) = (
            segment.check(),
            segment.header.recycled,
            segment.header.begun,
        );
        let rest = search(
            &*segment.file,
            &segment.name,
            check,
            offset,
            segment.capacity,
        )?;
        let used_end = rest.used_end;
        let mut synced = self.recovery.synced.max(rest.synced.unwrap_or_default());
        for later in self.at + 1..self.recovery.segments.len() {
            synced = synced.max(self.synced_by(later)?);
        }
        if synced > here || offset < begun {
            let what = reason.unwrap_or("the records end too early");
            let what = format!("{what}, though this place was synced");
            return Err(self.damage(offset, &what));
        }
        let newest = self.at + 1 == self.recovery.segments.len();
        let cut: Vec<Segment> = self.recovery.segments.drain(self.at + 1..).collect();
        let reason = match reason {
            // Too few bytes for an end mark, and all zero.
            Some(_) if newest && used_end == offset => return Ok(()),
            Some(reason) => reason,
            // A file used before has old records after its end; a new one has zeros there.
            None if recycled || used_end == offset => return Ok(()),
            None => "the first of several unsynced writes was lost",
        };
        let cut_bytes: u64 = cut.iter().map(|segment| segment.capacity).sum();
        self.recovery.torn = Some(TornTail {
            segment: self.segment().name.clone(),
            offset,
            bytes: used_end - offset + cut_bytes,
            reason: reason.into(),
        });
        self.recovery.cut = cut.into_iter().map(|segment| segment.name).collect();
        Ok(())
    }

    /// The largest position that segment `later` says was synced.
    fn synced_by(&self, later: usize) -> Result<Position, LogError> {
        let segment = &self.recovery.segments[later];
        let check: Check = segment.check();
        let rest = search(
            &*segment.file,
            &segment.name,
            check,
            HEADER_LEN,
            segment.capacity,
        )?;
        let mut synced = segment.header.synced.max(rest.synced.unwrap_or_default());
        if later > 1 {
            synced = synced.max(self.recovery.segments[later - 1].header.previous);
        }
        Ok(synced)
    }
}
