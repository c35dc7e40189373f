//! What is to be seen of the locks: rows for `pg_locks` and `velocity.locks`, and counters.
//!
//! Tests: `locks/tests.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use velocitydb_types::Timestamp;

use super::{LockName, Locks, Mode, OwnerId};

/// One owner at one lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRow {
    /// The lock.
    pub name: LockName,
    /// What the owner has of it, or wants.
    pub mode: Mode,
    /// Who.
    pub owner: OwnerId,
    /// Since when it waits; `None`: it has the lock.
    pub waits_since: Option<Timestamp>,
}

/// The answer of [`Locks::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRows {
    /// The rows; those of one lock stand together, holders first, then waiters in their order.
    pub rows: Vec<LockRow>,
    /// Whether these are all.
    pub whole: bool,
}

/// Numbers about all locks, since the start but for `locks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStats {
    /// Locks held and waited for now, as they count against the limit.
    pub locks: usize,
    /// The limit.
    pub locks_max: usize,
    /// Owners made.
    pub owners: u64,
    /// Waits begun.
    pub waits: u64,
    /// Microseconds that waits took which are over.
    pub waited_us: u64,
    /// Waits refused because they would have closed a cycle.
    pub deadlocks: u64,
    /// Waits that ended because they took too long.
    pub timeouts: u64,
    /// Locks refused to those who did not want to wait. Skipped ones are not counted.
    pub not_available: u64,
}

impl Locks {
    /// At most so many rows, those of locks that somebody waits for first. Each lock is as it was at
    /// one moment, the whole is not.
    pub fn list(&self, rows_max: usize) -> LockRows {
        let mut rows = Vec::new();
        for waited_for in [true, false] {
            for shard in 0..super::SHARDS as u16 {
                // What begins to wait, and would wait for ever, is gone when the graph is free.
                let _graph = self.inner.graph.lock();
                let table = self.inner.shards.lock(shard);
                let entries = table.iter();
                for entry in entries.filter(|entry| (entry.queue().len() > 0) == waited_for) {
                    let row = |owner, mode, waits_since| LockRow {
                        name: entry.name.clone(),
                        mode,
                        owner,
                        waits_since,
                    };
                    let holders = entry.holders().iter();
                    let holders = holders.filter_map(|h| Some(row(h.owner, h.mode()?, None)));
                    let waiters = entry
                        .queue()
                        .map(|w| row(w.request.owner, w.request.mode, Some(w.since)));
                    for row in holders.chain(waiters) {
                        if rows.len() == rows_max {
                            return LockRows { rows, whole: false };
                        }
                        rows.push(row);
                    }
                }
            }
        }
        LockRows { rows, whole: true }
    }

    /// The counters. Beside others, `locks` is about right.
    pub fn stats(&self) -> LockStats {
        let inner = &self.inner;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let credit = (0..super::SHARDS as u16).map(|shard| inner.shards.lock(shard).credit());
        let credit: usize = credit.sum();
        let used = inner.room.used.load(Ordering::Relaxed);
        LockStats {
            locks: used.saturating_sub(credit),
            locks_max: inner.room.max,
            owners: read(&inner.owners),
            waits: read(&inner.counters.waits),
            waited_us: read(&inner.counters.waited_us),
            deadlocks: read(&inner.counters.deadlocks),
            timeouts: read(&inner.counters.timeouts),
            not_available: read(&inner.counters.not_available),
        }
    }
}
