//! When a change becomes visible, and when its answer may go out.
//!
//! Every write enters the one log in order; its durability level only says when the answer goes
//! out. The visible index never passes an entry whose level is not met yet, and every answer, a
//! refusal included, waits until the newest index that it rests on is visible. So nobody acts on
//! something that a crash can take back.
//!
//! ```text
//!   applied     41   42   43   44
//!   level       os  full   os  memory      written 44, synced 41
//!   visible     41 ─┘  42 waits for its fsync, 43 and 44 wait behind it
//! ```
//!
//! Whoever waits helps: it flushes for what is in its way. A task that waits without a thread
//! ([`Commits::poll`]) leaves syncs to others, and is woken by them. Nothing here knows documents.
//! Tests: below, and the embedded library's `visibility`.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::log::{FlushLevel, Log, LogError};
use crate::store::Visible;

/// What must have happened to a write before its answer goes out.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: it may be lost when the process ends.
    None,
    /// It is in the log's buffer in the process.
    Memory,
    /// It was handed to the operating system: it survives a crash of the process.
    #[default]
    Os,
    /// It was forced to the disk: it survives a loss of power.
    Full,
}

impl Durability {
    /// Its name, as options and answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Durability::None => "none",
            Durability::Memory => "memory",
            Durability::Os => "os",
            Durability::Full => "full",
        }
    }

    /// All levels, weakest first.
    pub const ALL: [Durability; 4] = [
        Durability::None,
        Durability::Memory,
        Durability::Os,
        Durability::Full,
    ];
}

impl std::str::FromStr for Durability {
    type Err = Error;
    fn from_str(name: &str) -> Result<Durability, Error> {
        Durability::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "durability {name:?} is none of none, memory, os, full"
                ))
            })
    }
}

/// Entries that are applied and whose level is not met yet, oldest first.
#[derive(Default)]
struct Pending {
    written: VecDeque<u64>,
    synced: VecDeque<u64>,
    applied: u64,
    /// Tasks by the index that they wait for.
    waiting: BTreeMap<u64, Vec<Waker>>,
}

impl Pending {
    /// All up to `written` was handed over, all up to `synced` is on the disk: the newest index
    /// that may be seen.
    fn meet(&mut self, written: u64, synced: u64) -> u64 {
        for (level, done) in [(&mut self.written, written), (&mut self.synced, synced)] {
            while level.front().is_some_and(|&entry| entry <= done) {
                level.pop_front();
            }
        }
        let oldest = [self.written.front(), self.synced.front()];
        let oldest = oldest.into_iter().flatten().min();
        oldest.map_or(self.applied, |entry| entry - 1)
    }

    /// Lets a task wait for an index.
    fn wait(&mut self, index: u64, waker: &Waker) {
        let waiting = self.waiting.entry(index).or_default();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Those who wait for an index up to `reached`.
    fn woken(&mut self, reached: u64) -> Woken {
        let first = self.waiting.first_key_value();
        if first.is_none_or(|(first, _)| *first > reached) {
            return BTreeMap::new();
        }
        let later = match reached.checked_add(1) {
            Some(next) => self.waiting.split_off(&next),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut self.waiting, later)
    }

    /// What has to be flushed before `index` may be seen: the newest entry in its way, because
    /// who flushed for the oldest alone would have to come again.
    fn in_the_way(&self, index: u64) -> Option<(u64, FlushLevel)> {
        let newest = |level: &VecDeque<u64>| {
            let until = level.partition_point(|&entry| entry <= index);
            until.checked_sub(1).map(|last| level[last])
        };
        let synced = newest(&self.synced).map(|entry| (entry, FlushLevel::Synced));
        synced.or_else(|| newest(&self.written).map(|entry| (entry, FlushLevel::Written)))
    }
}

/// The answer to whoever waits for an entry that is not there.
pub(crate) fn not_written(index: u64) -> Error {
    Error::Invalid(format!("there is no entry {index} in the log yet"))
}

/// See the module.
#[derive(Default)]
pub(crate) struct Commits(Mutex<Pending>);

impl Commits {
    /// Starts behind a recovered log.
    pub(crate) fn start(&self, applied: u64) {
        self.0.lock().applied = applied;
    }

    /// Notes an applied entry. Called in the order of indexes, before its answer waits.
    pub(crate) fn applied(&self, index: u64, level: Durability) {
        let mut pending = self.0.lock();
        debug_assert!(index > pending.applied);
        pending.applied = index;
        match level {
            Durability::None | Durability::Memory => {}
            Durability::Os => pending.written.push_back(index),
            Durability::Full => pending.synced.push_back(index),
        }
    }

    /// Lets readers of the visible index be woken when it moves. Under the lock under which it
    /// does, so that none of its moves is missed.
    pub(crate) fn follow(&self, visible: &Visible) {
        let _pending = self.0.lock();
        visible.bell().listen();
    }

    /// Moves the visible index as far as the levels allow. The answer is what has to be flushed
    /// before `index` is visible, if anything.
    pub(crate) fn advance(
        &self,
        index: u64,
        log: &Log,
        visible: &Visible,
    ) -> Option<(u64, FlushLevel)> {
        let (pending, woken) = self.meet(log, visible);
        let in_the_way = pending.in_the_way(index);
        drop(pending);
        wake(woken);
        in_the_way
    }

    fn meet(&self, log: &Log, visible: &Visible) -> (MutexGuard<'_, Pending>, Woken) {
        let mut pending = self.0.lock();
        let reached = pending.meet(log.written(), log.synced());
        visible.advance(reached);
        let woken = pending.woken(reached);
        (pending, woken)
    }

    /// Returns once `index` is visible; an error when there is no entry of this index yet.
    pub(crate) fn wait(&self, index: u64, log: &Log, visible: &Visible) -> Result<(), Error> {
        loop {
            if visible.index() >= index {
                return Ok(());
            }
            match self.advance(index, log, visible) {
                Some((entry, level)) => {
                    let flushed = log.flush(entry, level);
                    flushed.map_err(|error| self.failed(&error))?;
                }
                // Nothing stops what is applied.
                None if visible.index() < index => return Err(not_written(index)),
                None => {}
            }
        }
    }

    /// As [`Commits::wait`], for a task. What has only to be handed to the operating system it hands
    /// over itself; what has to be synced somebody else is to wait for after this, by whom the task
    /// is woken.
    pub(crate) fn poll(
        &self,
        index: u64,
        context: &mut Context<'_>,
        log: &Log,
        visible: &Visible,
    ) -> Poll<Result<(), Error>> {
        if visible.index() >= index {
            return Poll::Ready(Ok(()));
        }
        if let Some((entry, FlushLevel::Written)) = self.advance(index, log, visible) {
            let flushed = log.flush(entry, FlushLevel::Written);
            flushed.map_err(|error| self.failed(&error))?;
        }
        let (mut pending, woken) = self.meet(log, visible);
        let polled = if visible.index() >= index {
            Poll::Ready(Ok(()))
        } else if index > pending.applied {
            Poll::Ready(Err(not_written(index)))
        } else if let Err(error) = log.check_open() {
            // Who finds that the log has failed wakes those who wait by then.
            Poll::Ready(Err(outcome_unknown(&error)))
        } else {
            pending.wait(index, context.waker());
            Poll::Pending
        };
        drop(pending);
        wake(woken);
        polled
    }

    /// What it means that the log has failed. All tasks that wait are to see it.
    fn failed(&self, error: &LogError) -> Error {
        let woken = self.0.lock().woken(u64::MAX);
        wake(woken);
        outcome_unknown(error)
    }
}

/// Tasks that need not wait any more.
type Woken = BTreeMap<u64, Vec<Waker>>;

fn wake(woken: Woken) {
    woken.into_values().flatten().for_each(Waker::wake);
}

fn outcome_unknown(error: &LogError) -> Error {
    Error::OutcomeUnknown {
        cause: error.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_seen_before_its_level_and_one_flush_is_enough() {
        let mut pending = Pending {
            written: [41, 43].into(),
            synced: [42, 44].into(),
            applied: 45,
            waiting: BTreeMap::new(),
        };
        assert_eq!(pending.meet(40, 40), 40);
        assert_eq!(pending.in_the_way(41), Some((41, FlushLevel::Written)));
        assert_eq!(pending.in_the_way(43), Some((42, FlushLevel::Synced)));
        assert_eq!(pending.in_the_way(99), Some((44, FlushLevel::Synced)));
        assert_eq!(pending.meet(45, 41), 41);
        assert_eq!(pending.meet(45, 43), 43);
        assert_eq!(pending.in_the_way(43), None);
        assert_eq!(pending.meet(45, 44), 45);
    }
}
