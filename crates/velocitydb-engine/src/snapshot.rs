//! Reads at one index, across collections.
//!
//! A snapshot is a pair of indexes, of the logged and of the volatile data, with the catalog
//! that belongs to them. It never blocks anybody and is never blocked; it keeps the versions
//! that it sees from being reclaimed until it is dropped, or until its deadline: a forgotten one
//! is then given up, and its reads answer [`Error::SnapshotTooOld`].
//!
//! Tests: `engine::tests`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use velocitydb_types::Timestamp;

use crate::catalog::{Catalog, Collection, Persistence};
use crate::error::Error;
use crate::state::Shared;
use crate::store::{At, Document, FieldIndex, KeyRange, Order};

/// See the module. Cheap to clone; the last clone gives it back.
#[derive(Clone)]
pub struct Snapshot(Arc<Held>);

pub(crate) struct Held {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
    logged: u64,
    volatile: u64,
    /// Documents that expire by then are gone.
    time: Timestamp,
    deadline: Timestamp,
    given_up: AtomicBool,
}

impl Held {
    /// Gives the registrations back, once.
    fn give_up(&self) -> bool {
        if self.given_up.swap(true, Ordering::AcqRel) {
            return false;
        }
        self.shared.logged.snapshots.release(self.logged);
        self.shared.volatile.snapshots.release(self.volatile);
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Snapshot {
    /// The visible state of now, kept until `deadline`.
    pub(crate) fn take(shared: &Arc<Shared>, now: Timestamp, deadline: Timestamp) -> Snapshot {
        let domain = &shared.logged;
        let (logged, time, catalog) = domain.snapshots.register(|| {
            let index = domain.visible.index();
            (index, domain.time_at_least(now), shared.catalog.load_full())
        });
        Snapshot::hold(shared, catalog, logged, time, deadline)
    }

    /// The state at `logged` and `time`, which the caller has registered.
    pub(crate) fn hold(
        shared: &Arc<Shared>,
        catalog: Arc<Catalog>,
        logged: u64,
        time: Timestamp,
        deadline: Timestamp,
    ) -> Snapshot {
        let domain = &shared.volatile;
        let (volatile, time, ()) = domain.snapshots.register(|| {
            let index = domain.visible.index();
            (index, domain.time_at_least(time), ())
        });
        let (shared, given_up) = (Arc::clone(shared), AtomicBool::new(false));
        Snapshot(Arc::new(Held {
            shared,
            catalog,
            logged,
            volatile,
            time,
            deadline,
            given_up,
        }))
    }

    /// The log index whose state this is.
    pub fn index(&self) -> u64 {
        self.0.logged
    }

    /// Documents that expire by this time are not in it.
    pub fn time(&self) -> Timestamp {
        self.0.time
    }

    /// The collections as they were.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.0.catalog
    }

    fn index_of(&self, collection: &Collection) -> u64 {
        match collection.definition.persistence {
            Persistence::Logged => self.0.logged,
            Persistence::Volatile => self.0.volatile,
        }
    }

    /// Fails once the snapshot was given up. Asked after each read: a read that began before
    /// and ended after may have missed versions.
    fn check(&self) -> Result<(), Error> {
        if self.0.given_up.load(Ordering::Acquire) {
            return Err(Error::SnapshotTooOld {
                index: self.0.logged,
            });
        }
        Ok(())
    }

    /// The document of this encoded id. O(1) expected, plus the versions newer than this.
    pub fn get(&self, collection: &Collection, key: &[u8]) -> Result<Option<Document>, Error> {
        let at = At::Index(self.index_of(collection));
        let domain = self.0.shared.domain(collection.definition.persistence);
        let found = collection.table.get(key, at, &domain.visible);
        self.check()?;
        Ok(found.filter(|found| found.is_live(self.0.time)))
    }

    /// Calls `visit` with the documents from position `from` on (0 at first), about in the order
    /// of insertion, until it answers `false`. The answer is the position to go on from, `None`
    /// at the end. Positions hold for as long as the process runs.
    pub fn scan(
        &self,
        collection: &Collection,
        from: u32,
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<Option<u32>, Error> {
        self.scan_part(collection, from..u32::MAX, visit)
    }

    /// How many positions there are: parts of them can be scanned by several threads.
    pub fn positions(&self, collection: &Collection) -> u32 {
        collection.table.row_count()
    }

    /// As [`Snapshot::scan`], of these positions.
    pub fn scan_part(
        &self,
        collection: &Collection,
        positions: std::ops::Range<u32>,
        mut visit: impl FnMut(&Document) -> bool,
    ) -> Result<Option<u32>, Error> {
        let mut error = None;
        let index = self.index_of(collection);
        let table = &collection.table;
        let next = table.scan_rows(positions, index, |document| match self.check() {
            Ok(()) => !document.is_live(self.0.time) || visit(document),
            Err(too_old) => {
                error = Some(too_old);
                false
            }
        });
        self.check()?;
        error.map_or(Ok(next), Err)
    }

    /// Calls `visit` with the documents that have a key in a hash index of the collection, until
    /// it answers `false`. O(1) expected where the index is unique, O(log n + documents) else.
    pub fn visit_equal(
        &self,
        collection: &Collection,
        index: &FieldIndex,
        key: &[u8],
        mut visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let at = self.index_of(collection);
        collection.table.visit_equal(index, key, at, |document| {
            !self.0.given_up.load(Ordering::Acquire)
                && (!document.is_live(self.0.time) || visit(document))
        });
        self.check()
    }

    /// Calls `visit` with the entries of a range of an ordered index of the collection, each with
    /// its document, in order or backwards, until it answers `false`. A document of which several
    /// elements of an array are in the range is given as often. O(log n + entries).
    pub fn visit_range(
        &self,
        collection: &Collection,
        index: &FieldIndex,
        range: &KeyRange,
        order: Order,
        visit: impl FnMut(&[u8], &Document) -> bool,
    ) -> Result<(), Error> {
        self.visit_wanted(collection, index, range, order, |_| true, visit)
    }

    /// As [`Snapshot::visit_range`], without the documents of entries that are not `wanted`: looking
    /// at an entry is much cheaper than at its document.
    pub fn visit_wanted(
        &self,
        collection: &Collection,
        index: &FieldIndex,
        range: &KeyRange,
        order: Order,
        wanted: impl FnMut(&[u8]) -> bool,
        mut visit: impl FnMut(&[u8], &Document) -> bool,
    ) -> Result<(), Error> {
        let (table, at) = (&collection.table, self.index_of(collection));
        table.visit_range(index, range, order, at, wanted, |entry, document| {
            !self.0.given_up.load(Ordering::Acquire)
                && (!document.is_live(self.0.time) || visit(entry, document))
        });
        self.check()
    }

    /// Calls `visit` with the documents of a full-text index of the collection that answer a query,
    /// the best first, each with its score (BM25), until it answers `false`. Before what it keeps
    /// grows, and every few hundred entries, `may` is asked with the bytes that it keeps whether it
    /// may go on; the search ends when that answers `false`, which its caller has to remember.
    #[cfg(feature = "full-text")]
    pub fn search(
        &self,
        collection: &Collection,
        index: &FieldIndex,
        query: &crate::text::TermQuery,
        may: &mut dyn FnMut(usize) -> bool,
        mut visit: impl FnMut(f64, &Document) -> bool,
    ) -> Result<(), Error> {
        let at = self.index_of(collection);
        let may = &mut |bytes| !self.0.given_up.load(Ordering::Acquire) && may(bytes);
        let table = &collection.table;
        table.search(index, query, at, may, |score, document| {
            !self.0.given_up.load(Ordering::Acquire)
                && (!document.is_live(self.0.time) || visit(score, document))
        });
        self.check()
    }

    /// Calls `visit` with the documents of the collection whose texts in a full-text index have one
    /// of these words (of a phrase its first), each once, in no order, until it answers `false`.
    /// `goes_on` is asked every few hundred entries, and ends it too.
    #[cfg(feature = "full-text")]
    pub fn visit_words(
        &self,
        collection: &Collection,
        index: &FieldIndex,
        words: &[crate::text::Part],
        goes_on: &mut dyn FnMut() -> bool,
        mut visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let (table, at) = (&collection.table, self.index_of(collection));
        let goes_on = &mut || !self.0.given_up.load(Ordering::Acquire) && goes_on();
        table.visit_words(index, words, at, goes_on, |document| {
            !self.0.given_up.load(Ordering::Acquire)
                && (!document.is_live(self.0.time) || visit(document))
        });
        self.check()
    }

    /// How many documents there are: O(1) when the collection has not changed since and none of
    /// its documents waits to be removed because it has expired, O(n) else.
    pub fn count(&self, collection: &Collection) -> Result<u64, Error> {
        let table = &collection.table;
        let (before, live) = (table.changed(), table.count_live(self.0.time));
        if let Some(live) = live
            && before <= self.index_of(collection)
            && before == table.changed()
        {
            return Ok(live);
        }
        let mut count = 0;
        self.scan(collection, 0, |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// Log index of the collection's newest change, when this snapshot sees it; `None` when the
    /// collection has changed since.
    pub(crate) fn changed(&self, collection: &Collection) -> Option<u64> {
        Some(collection.table.changed()).filter(|&changed| changed <= self.index_of(collection))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} / {})", self.0.logged, self.0.volatile)
    }
}

/// The snapshots that were handed out, for their deadlines.
#[derive(Default)]
pub(crate) struct Deadlines {
    held: Mutex<Vec<Weak<Held>>>,
}

impl Deadlines {
    pub(crate) fn watch(&self, snapshot: &Snapshot) {
        let mut held = self.held.lock();
        if held.len() == held.capacity() {
            held.retain(|held| held.strong_count() > 0);
        }
        held.push(Arc::downgrade(&snapshot.0));
    }

    /// Gives up what is kept past its deadline; how many that were.
    pub(crate) fn enforce(&self, now: Timestamp) -> usize {
        let mut held = self.held.lock();
        held.retain(|held| held.strong_count() > 0);
        let due = held
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|held| held.deadline <= now);
        due.filter(|held| held.give_up()).count()
    }
}
