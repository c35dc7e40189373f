//! The row table: from a row's number to its newest version.
//!
//! Rows stand in blocks that double in size (32, 64, 128, …), allocated when first used and
//! never moved, so that a reader needs two loads and no lock. Each row is one link to a
//! [`Document`]; older versions hang behind it.
//!
//! ```text
//!   row 7 ──► version @ 912 ──previous──► version @ 640 ──► …
//! ```
//!
//! Invariants: only the writer stores links; a link owns one count of what it names; the count
//! of a link that was replaced is given back through the epoch, so a pinned reader may follow
//! every link it has loaded. Row numbers are local to this process: they are in no file and in
//! no digest. Third and last module with `unsafe`, for the reasons given in `record`.
//! Tests: below, and `store` against a model.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crossbeam_epoch::Guard;
use parking_lot::Mutex;

use super::index::{ROW_MAX, RowId};
use super::record::{self, Borrowed, Document, Header};

const FIRST_BLOCK_BITS: u32 = 5;
const BLOCKS: usize = (33 - FIRST_BLOCK_BITS) as usize;

type Link = AtomicPtr<Header>;

/// See the module.
pub(crate) struct Rows {
    blocks: [AtomicPtr<Link>; BLOCKS],
    /// Rows ever handed out: every used row is below it.
    end: AtomicU32,
    /// Rows that were handed out and given back, the lowest first: what one entry inserts stands in
    /// its order. Only the writer takes the lock.
    free: Mutex<BinaryHeap<Reverse<RowId>>>,
    /// How many those are: most inserts find none and take no lock.
    freed: AtomicUsize,
    /// When the newest document was created, in µs since 1970.
    newest_us: AtomicI64,
    /// Whether a document stands before an older one.
    mixed: AtomicBool,
    bytes: AtomicUsize,
}

/// Block, place in it, and the block's size.
#[inline]
fn place(row: RowId) -> (usize, usize, usize) {
    let at = u64::from(row) + (1 << FIRST_BLOCK_BITS);
    let bits = 63 - at.leading_zeros();
    (
        (bits - FIRST_BLOCK_BITS) as usize,
        (at - (1 << bits)) as usize,
        1 << bits,
    )
}

impl Rows {
    pub(crate) fn new() -> Rows {
        Rows {
            blocks: [const { AtomicPtr::new(std::ptr::null_mut()) }; BLOCKS],
            end: AtomicU32::new(0),
            free: Mutex::new(BinaryHeap::new()),
            freed: AtomicUsize::new(0),
            newest_us: AtomicI64::new(i64::MIN),
            mixed: AtomicBool::new(false),
            bytes: AtomicUsize::new(0),
        }
    }

    /// The memory it takes, in bytes, versions not included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Every row in use is below this number.
    pub(crate) fn end(&self) -> RowId {
        self.end.load(Ordering::Acquire)
    }

    /// Whether documents stand in the order in which they were created.
    pub(crate) fn in_order(&self) -> bool {
        !self.mixed.load(Ordering::Relaxed)
    }

    #[inline]
    fn link(&self, row: RowId) -> Option<&Link> {
        let (block, at, size) = place(row);
        debug_assert!(at < size);
        let start = self.blocks[block].load(Ordering::Acquire);
        // SAFETY: a block that is not null has `size` initialized links and lives as long as
        // `self`.
        (!start.is_null()).then(|| unsafe { &*start.add(at) })
    }

    /// The newest version of a row; `None` for a row not in use.
    #[inline]
    pub(crate) fn head<'g>(&self, row: RowId, _guard: &'g Guard) -> Option<Borrowed<'g>> {
        let pointer = self.link(row)?.load(Ordering::Acquire);
        // SAFETY: the guard was pinned before the load, so the version outlives it.
        unsafe { Document::borrow_link(pointer) }
    }

    /// Asks for the newest version of a row, for a call of [`Rows::head`] that comes later.
    #[inline]
    pub(crate) fn prefetch(&self, row: RowId, _guard: &Guard) {
        if let Some(link) = self.link(row) {
            let pointer = link.load(Ordering::Relaxed);
            record::prefetch(pointer, 0);
            record::prefetch(pointer, 64);
        }
    }

    /// The version that an index entry points at.
    #[inline]
    pub(crate) fn version<'g>(pointer: *mut Header, _guard: &'g Guard) -> Option<Borrowed<'g>> {
        // SAFETY: an index names versions that a row's chain holds; the guard was pinned before
        // the entry was loaded, so the version outlives it also when it is cut out meanwhile.
        unsafe { Document::borrow_link(pointer) }
    }

    /// The version that `version` replaced, when it is still kept.
    #[inline]
    pub(crate) fn previous<'g>(version: &Document, _guard: &'g Guard) -> Option<Borrowed<'g>> {
        let pointer = version.previous()?.load(Ordering::Acquire);
        // SAFETY: as in `head`.
        unsafe { Document::borrow_link(pointer) }
    }

    /// Takes an unused row for `first`; `None` when all row numbers are in use.
    pub(crate) fn insert(&self, first: Document) -> Option<RowId> {
        let created_us = first.meta().created_at.0;
        if created_us < self.newest_us.swap(created_us, Ordering::Relaxed) {
            self.mixed.store(true, Ordering::Relaxed);
        }
        let row = match self.take_free() {
            Some(row) => {
                self.mixed.store(true, Ordering::Relaxed);
                row
            }
            None => {
                let row = self.end.load(Ordering::Relaxed);
                if row >= ROW_MAX {
                    return None;
                }
                self.allocate_block_of(row);
                row
            }
        };
        let link = self
            .link(row)
            .expect("the block of a row handed out is there");
        first.set_row(row);
        let before = link.load(Ordering::Relaxed);
        assert!(before.is_null(), "row {row} was in use");
        link.store(first.into_link(), Ordering::Release);
        if row == self.end.load(Ordering::Relaxed) {
            self.end.store(row + 1, Ordering::Release);
        }
        Some(row)
    }

    fn take_free(&self) -> Option<RowId> {
        if self.freed.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut free = self.free.lock();
        let row = free.pop();
        self.freed.store(free.len(), Ordering::Relaxed);
        row.map(|Reverse(row)| row)
    }

    fn allocate_block_of(&self, row: RowId) {
        let (block, _, size) = place(row);
        if !self.blocks[block].load(Ordering::Relaxed).is_null() {
            return;
        }
        // SAFETY: all zeroes is a null `AtomicPtr`. Zeroed memory of a large block comes from
        // the operating system untouched, so that a new block costs nothing until it is used.
        let links: Box<[Link]> = unsafe { Box::new_zeroed_slice(size).assume_init() };
        self.bytes
            .fetch_add(size * size_of::<Link>(), Ordering::Relaxed);
        self.blocks[block].store(Box::into_raw(links).cast::<Link>(), Ordering::Release);
    }

    /// Makes `newer` the newest version of a row, the present one hangs behind it.
    pub(crate) fn push(&self, row: RowId, newer: Document) {
        let link = self.link(row).expect("an update names a row in use");
        let present = link.load(Ordering::Relaxed);
        assert!(!present.is_null(), "an update names a row in use");
        let previous = newer
            .previous()
            .expect("a version that replaces one has a link to it");
        // The row's count of the present version passes to the link.
        previous.store(present, Ordering::Relaxed);
        newer.set_row(row);
        link.store(newer.into_link(), Ordering::Release);
    }

    /// Cuts the version behind `newer` out of its chain; what hangs behind it stays, behind
    /// `newer`. The answer is the version cut out.
    pub(crate) fn unlink_previous(&self, newer: &Document, guard: &Guard) -> Option<Document> {
        let link = newer.previous()?;
        let old = Self::previous(newer, guard)?.to_owned();
        let behind = Self::previous(&old, guard).map(|version| version.to_owned());
        let behind = behind.map_or(std::ptr::null_mut(), Document::into_link);
        self.release(link.swap(behind, Ordering::AcqRel), guard);
        Some(old)
    }

    /// Gives a row back. The caller has taken it out of every index.
    pub(crate) fn remove(&self, row: RowId, guard: &Guard) {
        let link = self.link(row).expect("a row in use");
        self.release(link.swap(std::ptr::null_mut(), Ordering::AcqRel), guard);
        let mut free = self.free.lock();
        free.push(Reverse(row));
        self.freed.store(free.len(), Ordering::Relaxed);
    }

    /// Gives back the count of a link that was replaced, once no reader can follow it.
    fn release(&self, replaced: *mut Header, guard: &Guard) {
        // SAFETY: the link that owned this count was overwritten by the caller, so it is given
        // back once; pinned readers that loaded the link are waited for.
        unsafe { guard.defer_unchecked(move || drop(Document::from_link(replaced))) };
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        for (block, start) in self.blocks.iter_mut().enumerate() {
            let start = *start.get_mut();
            if start.is_null() {
                continue;
            }
            let size = 1usize << (block as u32 + FIRST_BLOCK_BITS);
            // SAFETY: `&mut self`: no reader is left; the block came from a boxed slice of
            // `size` links, and each link owns one count.
            unsafe {
                let links = Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, size));
                for link in &links {
                    drop(Document::from_link(link.load(Ordering::Relaxed)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_epoch::pin;
    use velocitydb_types::Timestamp;

    use super::super::record::{self, Meta};
    use super::*;

    fn version(index: u64, link: record::Link) -> Document {
        let time = Timestamp(0);
        let meta = Meta {
            index,
            version: 1,
            created_at: time,
            updated_at: time,
            expires_at: None,
        };
        Document::new(b"k", &meta, Some(b""), link)
    }

    #[test]
    fn places_cover_every_row_once() {
        assert_eq!(place(0), (0, 0, 32));
        assert_eq!(place(31), (0, 31, 32));
        assert_eq!(place(32), (1, 0, 64));
        let (block, at, size) = place(ROW_MAX);
        assert!(block < BLOCKS && at < size);
    }

    #[test]
    fn versions_are_cut_from_the_middle_of_a_chain() {
        let rows = Rows::new();
        let guard = &pin();
        let row = rows.insert(version(1, record::Link::None)).unwrap();
        rows.push(row, version(2, record::Link::Previous));
        rows.push(row, version(3, record::Link::Previous));
        let head = rows.head(row, guard).unwrap();
        let cut = rows.unlink_previous(&head, guard).unwrap();
        assert_eq!(cut.meta().index, 2);
        assert_eq!(Rows::previous(&head, guard).unwrap().meta().index, 1);
        assert_eq!(rows.unlink_previous(&head, guard).unwrap().meta().index, 1);
        assert!(rows.unlink_previous(&head, guard).is_none());
        rows.remove(row, guard);
        assert!(rows.head(row, guard).is_none());
        assert_eq!(
            rows.insert(version(4, record::Link::None)),
            Some(row),
            "rows are used again"
        );
    }

    #[test]
    fn rows_that_were_given_back_are_used_again_from_the_lowest_on() {
        let rows = Rows::new();
        let guard = &pin();
        let insert = |index| rows.insert(version(index, record::Link::None));
        let all: Vec<_> = (1..5).map(insert).collect();
        assert!(rows.in_order());
        rows.remove(all[1].unwrap(), guard);
        rows.remove(all[2].unwrap(), guard);
        assert!(rows.in_order());
        assert_eq!([insert(5), insert(6)], [all[1], all[2]]);
        assert!(!rows.in_order(), "the newest stand before the fourth");
    }

    #[test]
    fn a_reader_may_follow_what_the_writer_cuts() {
        let rows = Rows::new();
        let row = rows.insert(version(1, record::Link::None)).unwrap();
        let turns = if cfg!(miri) { 100 } else { 100_000 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for index in 2..turns {
                    let guard = &pin();
                    rows.push(row, version(index, record::Link::Previous));
                    rows.unlink_previous(&rows.head(row, guard).unwrap(), guard);
                }
            });
            let mut last = 0;
            while last < turns - 1 {
                let guard = &pin();
                let head = rows.head(row, guard).unwrap();
                let index = head.meta().index;
                assert!(index >= last);
                if let Some(previous) = Rows::previous(&head, guard) {
                    assert!(previous.to_owned().meta().index < index);
                }
                last = index;
            }
        });
    }
}
