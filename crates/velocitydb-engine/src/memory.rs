//! The account of what the data takes from memory, and its limit.
//!
//! Counted are the bytes requested from the allocator for versions, indexes and row tables,
//! exactly and at each change. The allocator's rounding, buffers of the log and of connections
//! are not in it. The limit is judged before an entry is proposed, never while one is applied:
//! a data set that fitted before a crash always loads again.
//!
//! Tests: in `engine` (limit reached, given back) and `store` (a table that was emptied).

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicU64,
    limit: AtomicU64,
}

impl Memory {
    /// An empty account; `limit` in bytes.
    pub(crate) fn new(limit: Option<u64>) -> Memory {
        Memory {
            used: AtomicU64::new(0),
            limit: AtomicU64::new(limit.unwrap_or(u64::MAX)),
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|&limit| limit < u64::MAX)
    }

    /// Whether `bytes` more fit.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes as u64) <= self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn subtract(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes as u64, Ordering::Relaxed);
        debug_assert!(before >= bytes as u64, "more given back than taken");
    }

    /// A part that took `before` bytes takes `after` now.
    pub(crate) fn change(&self, before: usize, after: usize) {
        match after.cmp(&before) {
            std::cmp::Ordering::Greater => self.add(after - before),
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Less => self.subtract(before - after),
        }
    }
}
