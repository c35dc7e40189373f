//! A hash index: from a 32-bit hash of a key to what may hold it.
//!
//! Extendible hashing (Fagin et al. 1979) over open addressing. A directory indexed by the top
//! bits of the hash names segments of up to [`SEGMENT_SLOTS`] slots; a segment that fills up is
//! split alone, so that growing never stops a writer for longer than one segment takes.
//!
//! ```text
//!   hash  = directory bits | ...... | bucket bits        (32 bits)
//!   slot  = one word of 64 bits      0 = empty, 1 = removed
//!           primary key: pointer to the newest version | 18 bits of the hash | displaced
//!           unique index: hash (32 bits) | row + 2 (32 bits)
//!   bucket = 8 slots = one cache line; a full bucket overflows into the next of its segment
//! ```
//!
//! The index knows neither keys nor versions: it proposes entries, the caller compares keys. One
//! may be proposed that does not hold the key; one that holds it is never missed. The primary
//! key's entries point at the newest versions themselves, so that a lookup is two cache misses
//! (bucket, version); they own no counts. A unique index names rows, which stay when a document
//! changes.
//!
//! One writer, any number of readers that never wait: slots are atomics, a segment or directory
//! that is replaced is freed by the epoch. Readers of a replaced segment see it as it was.
//! Not ordered: ranges belong to another index.
//!
//! The other module with `unsafe` (with `record` and `rows`): a lookup is the product's hottest
//! path, and every safe alternative measured was 2 to 5 times slower (ARCHITECTURE.md,
//! Decisions). Tests: below, and `store` against a model.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crossbeam_epoch::Guard;

use super::record::{self, Header};

/// A row's number within its collection.
pub(crate) type RowId = u32;

/// The largest row number: two slot values are taken.
pub(crate) const ROW_MAX: RowId = u32::MAX - 2;

const BUCKET_SLOTS: usize = 8;
/// Slots of a full-grown segment: 8 KiB, split in 10 to 50 µs.
const SEGMENT_SLOTS: usize = 1024;
const SEGMENT_BUCKETS: usize = SEGMENT_SLOTS / BUCKET_SLOTS;
/// Beyond this many directory bits a segment grows instead of splitting.
const DIRECTORY_BITS_MAX: u32 = 22;

/// What a slot's word can be besides an entry.
const EMPTY: usize = 0;
const REMOVED: usize = 1;

type Word = *mut ();

const _: () = assert!(
    size_of::<Word>() == 8,
    "a slot holds 16 bits of hash beside a pointer"
);

/// What an index holds, and how it is packed into a word beside a part of its hash.
pub(crate) trait Entry: Copy {
    /// The word; more than [`REMOVED`].
    fn pack(self, hash: u32) -> Word;
    /// The inverse.
    fn unpack(word: Word) -> Self;
    /// Whether the word may belong to this hash.
    fn may_be(word: Word, hash: u32) -> bool;
    /// The mark of a word that stands in another bucket than its hash's own; 0 when none is kept.
    const DISPLACED: usize;
    /// The bits of its hash that a word tells, and which those are.
    fn told(word: Word) -> (u32, u32);
    /// Asks for the memory that computing the hash again will read.
    fn prefetch(_word: Word) {}

    /// Whether two words are the same entry.
    #[inline]
    fn same(one: Word, other: Word) -> bool {
        one.addr() | Self::DISPLACED == other.addr() | Self::DISPLACED
    }
}

impl Entry for RowId {
    #[inline]
    fn pack(self, hash: u32) -> Word {
        assert!(self <= ROW_MAX);
        std::ptr::without_provenance_mut((hash as usize) << 32 | (self + 2) as usize)
    }

    #[inline]
    fn unpack(word: Word) -> RowId {
        word.addr() as u32 - 2
    }

    #[inline]
    fn may_be(word: Word, hash: u32) -> bool {
        word.addr() >> 32 == hash as usize
    }

    const DISPLACED: usize = 0;

    #[inline]
    fn told(word: Word) -> (u32, u32) {
        ((word.addr() >> 32) as u32, u32::MAX)
    }
}

/// The newest version of a document. The index owns no count of it.
pub(crate) type VersionPointer = *mut Header;

const POINTER_BITS: u32 = 48;
/// The bits of a word that hold the pointer; versions are aligned to 8 bytes.
const POINTER: usize = (1 << POINTER_BITS) - 8;
const _: () = assert!(record::ALIGN == 8);
/// The bits of a hash that a version pointer's word keeps: two beside the mark below the
/// pointer, 16 above it. With those that a full-grown segment's place and bucket tell, they are
/// all, so that splitting it looks at no document.
const TAG: u32 = 0x01ff_ff80;
const TAG_LOW: u32 = 0x180;

/// The word's bits for the bits of a hash.
#[inline]
fn tag(hash: u32) -> usize {
    let low = (hash & TAG_LOW) >> 6;
    let high = (hash & TAG) >> 9;
    (high as usize) << POINTER_BITS | low as usize
}

impl Entry for VersionPointer {
    #[inline]
    fn pack(self, hash: u32) -> Word {
        assert!(
            self.addr() & !POINTER == 0,
            "user addresses have 48 bits, versions are aligned"
        );
        self.cast::<()>().map_addr(|address| address | tag(hash))
    }

    #[inline]
    fn unpack(word: Word) -> VersionPointer {
        word.map_addr(|address| address & POINTER).cast()
    }

    #[inline]
    fn may_be(word: Word, hash: u32) -> bool {
        (word.addr() ^ tag(hash)) & !(POINTER | Self::DISPLACED) == 0
    }

    const DISPLACED: usize = 1;

    #[inline]
    fn told(word: Word) -> (u32, u32) {
        let high = (word.addr() >> POINTER_BITS) as u32;
        let low = (word.addr() & 6) as u32;
        (high << 9 | low << 6, TAG)
    }

    #[inline]
    fn prefetch(word: Word) {
        record::prefetch(VersionPointer::unpack(word), 0);
    }
}

#[repr(align(64))]
struct Bucket([AtomicPtr<()>; BUCKET_SLOTS]);

/// Part of the index. `depth` is the number of directory bits that all its hashes share.
struct Segment {
    depth: u32,
    /// Slots that are not empty, removed ones included. Only the writer reads it.
    used: AtomicUsize,
    /// Slots that hold a row. Only the writer reads it.
    live: AtomicUsize,
    /// A power of two.
    buckets: Box<[Bucket]>,
}

struct Directory {
    bits: u32,
    segments: Box<[AtomicPtr<Segment>]>,
}

/// See the module.
pub(crate) struct HashIndex<E> {
    directory: AtomicPtr<Directory>,
    bytes: AtomicUsize,
    len: AtomicUsize,
    entries: PhantomData<fn() -> E>,
}

impl Segment {
    fn new(depth: u32, buckets: usize) -> Segment {
        assert!(buckets.is_power_of_two());
        let buckets = (0..buckets)
            .map(|_| Bucket([const { AtomicPtr::new(std::ptr::null_mut()) }; BUCKET_SLOTS]));
        Segment {
            depth,
            used: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            buckets: buckets.collect(),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Segment>() + self.buckets.len() * size_of::<Bucket>()
    }

    fn capacity(&self) -> usize {
        self.buckets.len() * BUCKET_SLOTS
    }

    /// The buckets in probing order from the hash's own.
    #[inline]
    fn probe(&self, hash: u32) -> impl Iterator<Item = &Bucket> {
        let mask = self.buckets.len() - 1;
        let home = hash as usize & mask;
        (0..self.buckets.len()).map(move |step| &self.buckets[(home + step) & mask])
    }

    /// Puts a word in. The caller has made sure that a slot is free.
    fn insert<E: Entry>(&self, hash: u32, mut word: Word) {
        for (step, bucket) in self.probe(hash).enumerate() {
            if step == 1 {
                word = word.map_addr(|bits| bits | E::DISPLACED);
            }
            for place in &bucket.0 {
                let present = place.load(Ordering::Relaxed).addr();
                if present <= REMOVED {
                    // Release: who sees the entry sees what it points at.
                    place.store(word, Ordering::Release);
                    self.live
                        .store(self.live.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    if present == EMPTY {
                        self.used
                            .store(self.used.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    }
                    return;
                }
            }
        }
        unreachable!("a segment is grown before it is full");
    }

    /// The slot of a word, and whether no probe runs past its bucket.
    fn find<E: Entry>(&self, hash: u32, wanted: Word) -> Option<(&AtomicPtr<()>, bool)> {
        for bucket in self.probe(hash) {
            let words = bucket
                .0
                .each_ref()
                .map(|place| place.load(Ordering::Relaxed));
            let has_empty = words.iter().any(|word| word.addr() == EMPTY);
            if let Some(at) = words.iter().position(|&word| E::same(word, wanted)) {
                return Some((&bucket.0[at], has_empty));
            }
            if has_empty {
                return None;
            }
        }
        None
    }

    /// Takes a word out; whether it was there.
    fn remove<E: Entry>(&self, hash: u32, word: Word) -> bool {
        let Some((place, last)) = self.find::<E>(hash, word) else {
            return false;
        };
        // Where no probe runs on, the slot can become empty at once; elsewhere a mark keeps
        // later buckets reachable.
        let mark = if last { EMPTY } else { REMOVED };
        place.store(std::ptr::without_provenance_mut(mark), Ordering::Release);
        self.live
            .store(self.live.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        if last {
            self.used
                .store(self.used.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
        }
        true
    }

    /// Every word that is an entry, and its hash where what it tells and its place are all of it.
    /// `prefix` has the bits that all hashes here share.
    fn words<E: Entry>(&self, prefix: u32) -> impl Iterator<Item = (Word, Option<u32>)> {
        let shared = !(u32::MAX >> self.depth);
        let home = self.buckets.len() as u32 - 1;
        self.buckets
            .iter()
            .enumerate()
            .flat_map(move |(at, bucket)| {
                let words = bucket.0.iter().map(|place| place.load(Ordering::Relaxed));
                let words = words.filter(|word| word.addr() > REMOVED);
                words.map(move |word| {
                    let (told, which) = E::told(word);
                    let all = which | shared | home == u32::MAX;
                    let displaced = word.addr() & E::DISPLACED != 0;
                    let hash = told | prefix & shared & !which | at as u32 & !which;
                    (word, (all && !displaced).then_some(hash))
                })
            })
    }
}

impl Directory {
    #[inline]
    fn position(&self, hash: u32) -> usize {
        ((u64::from(hash) << self.bits) >> 32) as usize
    }

    fn bytes(&self) -> usize {
        size_of::<Directory>() + self.segments.len() * size_of::<AtomicPtr<Segment>>()
    }
}

impl<E: Entry> HashIndex<E> {
    /// An empty index of one small segment.
    pub(crate) fn new() -> HashIndex<E> {
        let segment = Box::new(Segment::new(0, 1));
        let bytes = segment.bytes();
        let directory = Box::new(Directory {
            bits: 0,
            segments: Box::new([AtomicPtr::new(Box::into_raw(segment))]),
        });
        let bytes = AtomicUsize::new(bytes + directory.bytes());
        let directory = AtomicPtr::new(Box::into_raw(directory));
        HashIndex {
            directory,
            bytes,
            len: AtomicUsize::new(0),
            entries: PhantomData,
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// The memory it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// SAFETY of the two accessors: both pointers are never null; what they point to is freed
    /// only through the epoch after it was replaced, and the caller is pinned by `guard`.
    #[inline]
    fn directory<'g>(&self, _guard: &'g Guard) -> &'g Directory {
        // SAFETY: see above.
        unsafe { &*self.directory.load(Ordering::Acquire) }
    }

    #[inline]
    fn segment<'g>(directory: &'g Directory, position: usize, _guard: &'g Guard) -> &'g Segment {
        // SAFETY: see above.
        unsafe { &*directory.segments[position].load(Ordering::Acquire) }
    }

    /// Calls `found` with each entry that may belong to this hash until it returns `Some`.
    #[inline]
    pub(crate) fn find<T>(
        &self,
        hash: u32,
        guard: &Guard,
        mut found: impl FnMut(E) -> Option<T>,
    ) -> Option<T> {
        let directory = self.directory(guard);
        let segment = Self::segment(directory, directory.position(hash), guard);
        for bucket in segment.probe(hash) {
            // Without branches: mostly none of the eight, or one, may be it.
            let (mut candidates, mut has_empty) = (0_u32, false);
            for (at, place) in bucket.0.iter().enumerate() {
                let word = place.load(Ordering::Acquire);
                candidates |= u32::from(E::may_be(word, hash)) << at;
                has_empty |= word.addr() == EMPTY;
            }
            while candidates != 0 {
                let word = bucket.0[candidates.trailing_zeros() as usize].load(Ordering::Acquire);
                if word.addr() > REMOVED
                    && let Some(answer) = found(E::unpack(word))
                {
                    return Some(answer);
                }
                candidates &= candidates - 1;
            }
            if has_empty {
                return None;
            }
        }
        None
    }

    /// Asks for the bucket of a hash, for a call that comes later.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u32, guard: &Guard) {
        let directory = self.directory(guard);
        let segment = Self::segment(directory, directory.position(hash), guard);
        if let Some(home) = segment.probe(hash).next() {
            record::prefetch(std::ptr::from_ref(home), 0);
        }
    }

    /// Adds an entry; `rehash` gives the hash of any entry. Only the writer calls it.
    pub(crate) fn insert(&self, hash: u32, entry: E, rehash: impl Fn(E) -> u32, guard: &Guard) {
        loop {
            let directory = self.directory(guard);
            let segment = Self::segment(directory, directory.position(hash), guard);
            // At most seven eighths: beyond it probes grow long.
            if segment.used.load(Ordering::Relaxed) < segment.capacity() / 8 * 7 {
                self.len.store(self.len() + 1, Ordering::Relaxed);
                return segment.insert::<E>(hash, entry.pack(hash));
            }
            self.make_room(directory, segment, hash, &rehash, guard);
        }
    }

    /// Puts an entry in the place of another of the same key. Only the writer calls it.
    pub(crate) fn replace(&self, hash: u32, old: E, new: E, guard: &Guard) {
        let directory = self.directory(guard);
        let segment = Self::segment(directory, directory.position(hash), guard);
        let (place, _) = segment
            .find::<E>(hash, old.pack(hash))
            .expect("what is replaced is in the index");
        let mark = place.load(Ordering::Relaxed).addr() & E::DISPLACED;
        let new = new.pack(hash).map_addr(|bits| bits | mark);
        place.store(new, Ordering::Release);
    }

    /// Removes an entry; whether it was there. Only the writer calls it.
    pub(crate) fn remove(
        &self,
        hash: u32,
        entry: E,
        rehash: impl Fn(E) -> u32,
        guard: &Guard,
    ) -> bool {
        let directory = self.directory(guard);
        let segment = Self::segment(directory, directory.position(hash), guard);
        let removed = segment.remove::<E>(hash, entry.pack(hash));
        self.len
            .store(self.len() - usize::from(removed), Ordering::Relaxed);
        let live = segment.live.load(Ordering::Relaxed);
        if removed && segment.buckets.len() > 1 && live < segment.capacity() / 8 {
            let half = segment.buckets.len() / 2;
            self.rebuild(directory, segment, hash, half, &rehash, guard);
        }
        removed
    }

    /// Makes place in a segment: drops removed marks, grows it, or splits it.
    fn make_room(
        &self,
        directory: &Directory,
        segment: &Segment,
        hash: u32,
        rehash: &impl Fn(E) -> u32,
        guard: &Guard,
    ) {
        let buckets = segment.buckets.len();
        if segment.live.load(Ordering::Relaxed) <= segment.capacity() / 8 * 5 {
            self.rebuild(directory, segment, hash, buckets, rehash, guard);
        } else if buckets < SEGMENT_BUCKETS || segment.depth >= DIRECTORY_BITS_MAX {
            self.rebuild(directory, segment, hash, buckets * 2, rehash, guard);
        } else {
            self.split(directory, segment, hash, rehash, guard);
        }
    }

    /// Replaces a segment by one with `buckets` buckets and the same rows.
    fn rebuild(
        &self,
        directory: &Directory,
        segment: &Segment,
        hash: u32,
        buckets: usize,
        rehash: &impl Fn(E) -> u32,
        guard: &Guard,
    ) {
        let new = Segment::new(segment.depth, buckets);
        Self::each_hash(segment, hash, rehash, |hash, entry| {
            new.insert::<E>(hash, entry.pack(hash));
        });
        self.put(directory, segment, hash, [new], guard);
    }

    /// Replaces a segment by two that share one more bit of the hash each.
    fn split(
        &self,
        directory: &Directory,
        segment: &Segment,
        hash: u32,
        rehash: &impl Fn(E) -> u32,
        guard: &Guard,
    ) {
        if segment.depth == directory.bits {
            let doubled = Directory {
                bits: directory.bits + 1,
                segments: (0..directory.segments.len() * 2)
                    .map(|at| AtomicPtr::new(directory.segments[at / 2].load(Ordering::Relaxed)))
                    .collect(),
            };
            self.bytes.fetch_add(doubled.bytes(), Ordering::Relaxed);
            self.bytes.fetch_sub(directory.bytes(), Ordering::Relaxed);
            let old = self
                .directory
                .swap(Box::into_raw(Box::new(doubled)), Ordering::AcqRel);
            // SAFETY: the old directory came from `Box::into_raw`, nobody can load it any more,
            // and readers that did are pinned. Its segments live on in the new one.
            unsafe { guard.defer_unchecked(move || drop(Box::from_raw(old))) };
            return; // the caller comes again and splits under the larger directory
        }
        let depth = segment.depth + 1;
        let halves = [
            Segment::new(depth, SEGMENT_BUCKETS),
            Segment::new(depth, SEGMENT_BUCKETS),
        ];
        Self::each_hash(segment, hash, rehash, |hash, entry| {
            let half = &halves[(hash >> (32 - depth) & 1) as usize];
            half.insert::<E>(hash, entry.pack(hash));
        });
        self.put(directory, segment, hash, halves, guard);
    }

    /// Calls `visit` with every entry of a segment and its hash; `prefix` is any hash that
    /// belongs there. What must be read to compute a hash again is asked for some entries ahead:
    /// one after the other, the cache misses would cost ten times as much.
    fn each_hash(
        segment: &Segment,
        prefix: u32,
        rehash: &impl Fn(E) -> u32,
        mut visit: impl FnMut(u32, E),
    ) {
        const AHEAD: usize = 16;
        let prefetch = |&(word, hash): &(Word, Option<u32>)| {
            if hash.is_none() {
                E::prefetch(word);
            }
        };
        let words: Vec<_> = segment.words::<E>(prefix).collect();
        words.iter().take(AHEAD).for_each(prefetch);
        for (at, &(word, hash)) in words.iter().enumerate() {
            words.get(at + AHEAD).into_iter().for_each(prefetch);
            let entry = E::unpack(word);
            visit(hash.unwrap_or_else(|| rehash(entry)), entry);
        }
    }

    /// Puts `new` where `segment` stood: one segment, or the two halves in the order of their
    /// bit. `hash` is any hash that belongs to `segment`.
    fn put<const N: usize>(
        &self,
        directory: &Directory,
        segment: &Segment,
        hash: u32,
        new: [Segment; N],
        guard: &Guard,
    ) {
        // The segment stands at 2^(bits - depth) neighbouring positions.
        let span = 1usize << (directory.bits - segment.depth);
        let first = directory.position(hash) & !(span - 1);
        assert!(
            N <= span,
            "a segment is split only under a directory that can tell its halves"
        );
        let old = directory.segments[first].load(Ordering::Relaxed);
        assert!(
            std::ptr::eq(old, segment),
            "a segment starts at the multiple of its span"
        );
        for (at, new) in new.into_iter().enumerate() {
            self.bytes.fetch_add(new.bytes(), Ordering::Relaxed);
            let new = Box::into_raw(Box::new(new));
            for position in 0..span / N {
                directory.segments[first + at * (span / N) + position]
                    .store(new, Ordering::Release);
            }
        }
        self.bytes.fetch_sub(segment.bytes(), Ordering::Relaxed);
        // SAFETY: `old` came from `Box::into_raw`, no position names it any more, and readers
        // that loaded it are pinned.
        unsafe { guard.defer_unchecked(move || drop(Box::from_raw(old))) };
    }
}

impl<E> Drop for HashIndex<E> {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: no reader is left. Each segment is freed once, at the first of
        // the positions that name it.
        unsafe {
            let directory = Box::from_raw(*self.directory.get_mut());
            let mut last = std::ptr::null_mut();
            for segment in &directory.segments {
                let segment = segment.load(Ordering::Relaxed);
                if segment != last {
                    drop(Box::from_raw(segment));
                    last = segment;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
