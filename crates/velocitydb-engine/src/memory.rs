//! The account of what the data takes from memory, and its limit.
//!
//! Counted are the bytes requested from the allocator for versions, indexes and row tables,
//! exactly and at each change. The allocator's rounding, buffers of the log and of connections
//! are not in it. The limit is judged before an entry is proposed, never while one is applied:
//! a data set that fitted before a crash always loads again.
//!
//! The writer's changes are plain stores: on the path of a write each locked instruction waits for
//! the memory that the write has just filled. Tables that go are counted apart, because the last
//! reader of one lets it go, on any thread.
//!
//! Tests: in `engine` (limit reached, given back) and `store` (a table that was emptied).

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug)]
pub(crate) struct Memory {
    /// What the writer has taken, less what it has given back.
    held: AtomicU64,
    /// What tables that are gone held.
    freed: AtomicU64,
    limit: u64,
}

impl Memory {
    /// An empty account; `limit` in bytes.
    pub(crate) fn new(limit: Option<u64>) -> Memory {
        Memory {
            held: AtomicU64::new(0),
            freed: AtomicU64::new(0),
            limit: limit.unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn used(&self) -> u64 {
        let freed = self.freed.load(Ordering::Acquire);
        self.held.load(Ordering::Relaxed).saturating_sub(freed)
    }

    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.limit).filter(|&limit| limit < u64::MAX)
    }

    /// Whether `bytes` more fit.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes as u64) <= self.limit
    }

    /// A part that took `before` bytes takes `after` now. Only the writer calls it.
    pub(crate) fn change(&self, before: usize, after: usize) {
        let held = self.held.load(Ordering::Relaxed) + after as u64;
        let held = held.checked_sub(before as u64);
        let held = held.expect("what is given back was taken");
        self.held.store(held, Ordering::Relaxed);
    }

    /// A table goes with all that it holds.
    pub(crate) fn free(&self, bytes: usize) {
        self.freed.fetch_add(bytes as u64, Ordering::Release);
    }
}
