//! Entries at numbered places: a place stays that of its entry for as long as somebody holds or
//! wants the lock, so an owner remembers 4 bytes for each of its locks.
//!
//! Entries are made in chunks, so that growing copies nothing. Free ones form a list.
//! Tests: `locks/tests.rs`.

use super::LockName;
use super::table::State;

/// Entries of a chunk: 3 KiB.
const CHUNK: usize = 64;
/// Chunks that are kept when no entry is used.
const CHUNKS_KEPT: usize = 4;
/// The end of the free list.
const NONE: u32 = u32::MAX;

/// A lock that somebody holds or wants.
pub(super) struct Entry {
    pub(super) name: LockName,
    pub(super) state: State,
}

const _: () = assert!(size_of::<Entry>() == 48);
const _: () = assert!(size_of::<Slot>() == 48);

enum Slot {
    Used(Entry),
    /// The next free slot.
    Free(u32),
}

#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Box<[Slot]>>,
    /// The first free slot; meaningless without chunks.
    free: u32,
    used: usize,
}

impl Slab {
    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        match self
            .chunks
            .get(slot as usize / CHUNK)?
            .get(slot as usize % CHUNK)?
        {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        match self.slot_mut(slot)? {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        }
    }

    /// All entries, with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.chunks.iter().flatten().filter_map(|slot| match slot {
            Slot::Used(entry) => Some(entry),
            Slot::Free(_) => None,
        })
    }

    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        if self.chunks.is_empty() || self.free == NONE {
            self.grow();
        }
        let slot = self.free;
        let place = self.slot_mut(slot).expect("the free list is of slots");
        if let Slot::Free(next) = std::mem::replace(place, Slot::Used(entry)) {
            self.free = next;
        }
        self.used += 1;
        slot
    }

    /// Frees a slot; what was in it.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry> {
        let free = self.free;
        let place = self.slot_mut(slot)?;
        if let Slot::Free(_) = place {
            return None;
        }
        let Slot::Used(entry) = std::mem::replace(place, Slot::Free(free)) else {
            return None;
        };
        self.free = slot;
        self.used -= 1;
        if self.used == 0 && self.chunks.len() > CHUNKS_KEPT {
            *self = Slab::default();
        }
        Some(entry)
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    fn slot_mut(&mut self, slot: u32) -> Option<&mut Slot> {
        self.chunks
            .get_mut(slot as usize / CHUNK)?
            .get_mut(slot as usize % CHUNK)
    }

    fn grow(&mut self) {
        let first = self.chunks.len() * CHUNK;
        let last = first + CHUNK - 1;
        assert!(last < NONE as usize, "the limit of locks is below 2^32");
        let slot = |slot: usize| Slot::Free(if slot == last { NONE } else { slot as u32 + 1 });
        self.chunks.push((first..=last).map(slot).collect());
        self.free = first as u32;
    }
}
