//! An ordered index whose changes wait until somebody reads, or there are many.
//!
//! Most indexes are changed far more often than they are read. Their changes are kept as they come
//! and made together, in order: those that fall into one leaf make it anew once, and an entry that
//! comes and goes in between makes nothing. Measured in ARCHITECTURE.md, Decisions.
//!
//! Who reads makes what waits first, at most [`WAITING_MAX`] changes, and so sees all that was changed
//! before. That is the one place where a reader may wait for another, for as long as that takes.
//! The mutex around the changes is also what makes one writer of the tree at a time.
//!
//! Tests: the tree's, against a set.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_epoch::Guard;
use parking_lot::Mutex;

use super::{Change, ENTRY_BYTES_MAX, OrderedIndex};

/// So many changes wait at most: what a reader may have to make first. Among a million entries that took
/// 15 µs where they followed one another and 210 µs where they lay anywhere.
const WAITING_MAX: usize = 128;

/// So many bytes of entries wait at most, and the entry that makes them more.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// Where one in so many entries waits or fewer, the tree is good enough for an estimate.
const NEARLY: usize = 16;

/// See the module.
pub(crate) struct BufferedIndex {
    tree: OrderedIndex,
    /// How many changes wait, and what they take.
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
    changes: Mutex<Changes>,
}

/// In the order in which they came.
#[derive(Default)]
struct Changes {
    entries: Vec<u8>,
    /// Where each entry ends, and what is to become of it.
    ends: Vec<(u32, Change)>,
}

impl BufferedIndex {
    pub(crate) fn new() -> BufferedIndex {
        BufferedIndex {
            tree: OrderedIndex::new(),
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            changes: Mutex::default(),
        }
    }

    /// Puts an entry in or takes it out, whether it is there or not.
    pub(crate) fn change(&self, entry: &[u8], change: Change, guard: &Guard) {
        if change == Change::Take && entry.len() > ENTRY_BYTES_MAX {
            // Of an old version, which could not be put in.
            return;
        }
        let mut changes = self.changes.lock();
        changes.entries.extend_from_slice(entry);
        let end = changes.entries.len() as u32;
        changes.ends.push((end, change));
        if changes.ends.len() >= WAITING_MAX || changes.entries.len() >= WAITING_BYTES_MAX {
            changes.make(&self.tree, guard);
        }
        self.note(&changes);
    }

    fn note(&self, changes: &Changes) {
        self.waiting_bytes.store(changes.bytes(), Ordering::Relaxed);
        // Release: who reads that nothing waits sees what was made.
        self.waiting.store(changes.ends.len(), Ordering::Release);
    }

    /// The tree, with all changes that were made before.
    pub(crate) fn settled(&self, guard: &Guard) -> &OrderedIndex {
        if self.waiting.load(Ordering::Acquire) > 0 {
            let mut changes = self.changes.lock();
            changes.make(&self.tree, guard);
            self.note(&changes);
        }
        &self.tree
    }

    /// The tree, good enough for an estimate.
    pub(crate) fn nearly(&self, guard: &Guard) -> &OrderedIndex {
        let waiting = self.waiting.load(Ordering::Acquire);
        match waiting * NEARLY > self.tree.len() {
            true => self.settled(guard),
            false => &self.tree,
        }
    }

    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.tree.bytes() + self.waiting_bytes.load(Ordering::Relaxed)
    }
}

impl Changes {
    /// Makes them, and keeps none.
    fn make(&mut self, tree: &OrderedIndex, guard: &Guard) {
        let mut start = 0;
        let mut changes: Vec<(&[u8], Change)> = Vec::with_capacity(self.ends.len());
        for (end, change) in &self.ends {
            let end = *end as usize;
            changes.push((&self.entries[start..end], *change));
            start = end;
        }
        // Of an entry's changes the last one counts.
        changes.reverse();
        changes.sort_by_key(|(entry, _)| *entry);
        changes.dedup_by_key(|(entry, _)| *entry);
        tree.change_all(&changes, guard);
        // An index that is at rest takes nothing for it.
        *self = Changes::default();
    }

    fn bytes(&self) -> usize {
        self.entries.capacity() + self.ends.capacity() * size_of::<(u32, Change)>()
    }
}
