//! One collection's documents: rows, the primary key's index, indexes over fields, counts.
//!
//! Reading: a key's hash proposes rows, the row whose key is equal gives its newest version,
//! and from there the chain of versions leads to the one that the reader may see. Readers never
//! wait and never lock.
//!
//! Writing is in two steps, so that a refused entry leaves no trace: the caller decides on the
//! newest versions (`newest`), then publishes (`publish`), which cannot fail. Only the writer,
//! who holds the engine's writer lock, calls the second.
//!
//! What a version that was replaced leaves behind is a [`Garbage`] item; when nobody can see it
//! any more, [`Table::reclaim`] cuts it out, with its index entries and, behind a tombstone, its
//! row. Knows nothing of logs, schemas or commands. Tests: `store::tests`.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use crossbeam_epoch::{Guard, pin};
use parking_lot::Mutex;
use velocitydb_types::Timestamp;

use super::index::{HashIndex, RowId, VersionPointer};
use super::record::{Borrowed, Document, Link, Meta};
use super::rows::Rows;
use super::visible::Visible;
use crate::memory::Memory;

mod field_index;

pub use field_index::{
    FieldIndex, INDEX_ELEMENTS_MAX, INDEX_KEY_BYTES_MAX, IndexStats, KeyRange, Partition,
    encode_directed,
};
pub(crate) use field_index::{Keys, Misfit, NoKey, NoKeyReason};

/// The state that a read sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest visible state at the moment of the read.
    Latest,
    /// The state after the entry of this log index.
    Index(u64),
}

/// A version that was replaced: `old` @ index stands behind `new` @ index in the row's chain.
pub(crate) struct Garbage {
    pub(crate) table: Arc<Table>,
    pub(crate) row: RowId,
    /// Index of the version replaced: snapshots from here on …
    pub(crate) old_index: u64,
    /// … to just before this one need it.
    pub(crate) new_index: u64,
    /// What it takes from memory.
    pub(crate) bytes: usize,
}

/// Where a key stands, for the writer: its row and the newest version, visible or not.
pub(crate) struct Newest {
    pub(crate) row: RowId,
    /// May be a tombstone.
    pub(crate) version: Document,
}

/// What an entry of the tree of expiring documents takes, in bytes, with the tree's own share.
const EXPIRING_BYTES: usize = 24;

/// See the module.
pub(crate) struct Table {
    rows: Rows,
    primary: HashIndex<VersionPointer>,
    /// Replaced as a whole, by the writer.
    indexes: ArcSwap<Vec<Arc<FieldIndex>>>,
    /// Their memory.
    index_bytes: AtomicUsize,
    /// Whether there are any: most collections have none, and every write asks.
    has_indexes: AtomicBool,
    hasher: foldhash::quality::FixedState,
    /// Documents in the newest state, expired ones that are not removed yet included.
    live: AtomicU64,
    /// The documents among them that expire, by when.
    expiring: Mutex<BTreeSet<(Timestamp, RowId)>>,
    expiring_bytes: AtomicUsize,
    /// What an alteration has yet to take over; whether there is one.
    changes: Mutex<Option<Vec<Document>>>,
    watched: AtomicBool,
    /// Log index of the newest change.
    changed: AtomicU64,
    /// The engine's account of all its tables.
    memory: Arc<Memory>,
    /// Bytes of all versions.
    versions_bytes: AtomicUsize,
    /// Bytes of versions that were replaced and are still kept.
    garbage_bytes: AtomicUsize,
}

/// What a collection takes from memory, in bytes, as requested from the allocator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableBytes {
    /// All versions of all documents.
    pub documents: usize,
    /// The part of `documents` that only snapshots or running readers still see.
    pub old_versions: usize,
    /// The primary key's index and the row table.
    pub primary: usize,
    /// Unique indexes.
    pub indexes: usize,
}

impl TableBytes {
    /// Everything together.
    pub fn total(&self) -> usize {
        self.documents + self.primary + self.indexes
    }
}

/// Rows that a scan asks the memory for before it is at them: a tenth of a group by over documents
/// that do not fit the caches.
const AHEAD: RowId = 8;

impl Table {
    /// An empty table. `seed` keeps outsiders from choosing keys that collide.
    pub(crate) fn new(seed: u64, memory: Arc<Memory>) -> Table {
        let table = Table {
            memory,
            rows: Rows::new(),
            primary: HashIndex::new(),
            indexes: ArcSwap::default(),
            index_bytes: AtomicUsize::new(0),
            has_indexes: AtomicBool::new(false),
            hasher: foldhash::quality::FixedState::with_seed(seed),
            live: AtomicU64::new(0),
            expiring: Mutex::new(BTreeSet::new()),
            expiring_bytes: AtomicUsize::new(0),
            changes: Mutex::new(None),
            watched: AtomicBool::new(false),
            changed: AtomicU64::new(0),
            versions_bytes: AtomicUsize::new(0),
            garbage_bytes: AtomicUsize::new(0),
        };
        table.memory.change(0, table.structure_bytes());
        table
    }

    /// Bytes of the indexes and the row table.
    fn structure_bytes(&self) -> usize {
        let expiring = self.expiring_bytes.load(Ordering::Relaxed);
        let indexes = self.index_bytes.load(Ordering::Relaxed);
        self.primary.bytes() + self.rows.bytes() + indexes + expiring
    }

    /// Runs a change of the structures and keeps the account of their size.
    fn accounted<T>(&self, change: impl FnOnce() -> T) -> T {
        let before = self.structure_bytes();
        let answer = change();
        self.memory.change(before, self.structure_bytes());
        answer
    }

    fn add_version_bytes(&self, bytes: usize) {
        add(&self.versions_bytes, bytes);
        self.memory.change(0, bytes);
    }

    fn subtract_version_bytes(&self, bytes: usize) {
        subtract(&self.versions_bytes, bytes);
        self.memory.change(bytes, 0);
    }

    /// What the indexes know a key by.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        (hasher.finish() >> 32) as u32
    }

    /// Documents that are there at `time` in the newest state: `None` when some have expired and
    /// are not removed yet.
    pub(crate) fn count_live(&self, time: Timestamp) -> Option<u64> {
        let expiring = self.expiring.lock();
        let expired = expiring.first().is_some_and(|(at, _)| *at <= time);
        (!expired).then(|| self.live())
    }

    /// When the next document after `time` expires.
    pub(crate) fn next_expiry(&self, time: Timestamp) -> Option<Timestamp> {
        let expiring = self.expiring.lock();
        let next = expiring
            .range((Excluded((time, RowId::MAX)), Unbounded))
            .next();
        next.map(|(at, _)| *at)
    }

    /// Whether rows stand in the order of insertion.
    pub(crate) fn in_order(&self) -> bool {
        self.rows.in_order()
    }

    /// Documents in the newest state, visible or not.
    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Acquire)
    }

    /// Log index of the newest change, visible or not; 0 before the first.
    pub(crate) fn changed(&self) -> u64 {
        self.changed.load(Ordering::Acquire)
    }

    /// Sets the index of the newest change, when a checkpoint is loaded.
    pub(crate) fn set_changed(&self, index: u64) {
        self.changed.store(index, Ordering::Release);
    }

    /// What it takes from memory.
    pub(crate) fn bytes(&self) -> TableBytes {
        TableBytes {
            documents: self.versions_bytes.load(Ordering::Relaxed),
            old_versions: self.garbage_bytes.load(Ordering::Relaxed),
            primary: self.primary.bytes() + self.rows.bytes(),
            indexes: self.index_bytes.load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn head_of<'g>(&self, hash: u32, key: &[u8], guard: &'g Guard) -> Option<Borrowed<'g>> {
        self.primary.find(hash, guard, |pointer| {
            let head = Rows::version(pointer, guard)?;
            (head.key_bytes() == key).then_some(head)
        })
    }

    /// The hash of an entry of the primary index, when a part of the index is rebuilt.
    fn rehash(&self, guard: &Guard) -> impl Fn(VersionPointer) -> u32 {
        |pointer| {
            let version = Rows::version(pointer, guard).expect("an entry points at a version");
            self.hash(version.key_bytes())
        }
    }

    /// The document of a key as it may be seen. O(1) expected.
    #[inline]
    pub(crate) fn get(&self, key: &[u8], at: At, visible: &Visible) -> Option<Document> {
        let guard = &pin();
        let head = self.head_of(self.hash(key), key, guard)?;
        Self::seen(head, at, visible, guard)
    }

    /// From the newest version of a row to the one that `at` sees.
    #[inline]
    fn seen(head: Borrowed<'_>, at: At, visible: &Visible, guard: &Guard) -> Option<Document> {
        match at {
            At::Latest if head.index() <= visible.settled() => {
                (!head.is_tombstone()).then(|| head.to_owned())
            }
            At::Latest => Self::seen_latest(head, visible, guard),
            At::Index(index) => Self::seen_at(head, index, guard).map(|seen| seen.to_owned()),
        }
    }

    #[cold]
    fn seen_latest(head: Borrowed<'_>, visible: &Visible, guard: &Guard) -> Option<Document> {
        loop {
            let index = visible.index();
            if let Some(found) = Self::newest_until(head.clone(), index, guard) {
                return (!found.is_tombstone()).then(|| found.to_owned());
            }
            // Nothing that old: either the document came later, or its older version was cut
            // out because a newer one became visible meanwhile. Only then has the index moved.
            if visible.index() == index {
                return None;
            }
        }
    }

    /// The newest version at or before `index`, which may be a tombstone.
    #[inline]
    fn newest_until<'g>(head: Borrowed<'g>, index: u64, guard: &'g Guard) -> Option<Borrowed<'g>> {
        let mut version = head;
        while version.index() > index {
            version = Rows::previous(&version, guard)?;
        }
        Some(version)
    }

    /// The document of the state at `index`.
    #[inline]
    fn seen_at<'g>(head: Borrowed<'g>, index: u64, guard: &'g Guard) -> Option<Borrowed<'g>> {
        Self::newest_until(head, index, guard).filter(|version| !version.is_tombstone())
    }

    /// Calls `visit` with every document that the state at `index` holds, in row order (about
    /// the order of insertion), from row `from` on, until it answers `false`. The answer is the
    /// row to go on from, `None` at the end. The caller keeps `index` from being reclaimed.
    pub(crate) fn scan(
        &self,
        from: RowId,
        index: u64,
        visit: impl FnMut(&Document) -> bool,
    ) -> Option<RowId> {
        self.scan_rows(from..self.rows.end(), index, visit)
    }

    /// How many rows there are, those of no document included.
    pub(crate) fn row_count(&self) -> RowId {
        self.rows.end()
    }

    /// As [`Table::scan`], of these rows.
    pub(crate) fn scan_rows(
        &self,
        rows: std::ops::Range<RowId>,
        index: u64,
        mut visit: impl FnMut(&Document) -> bool,
    ) -> Option<RowId> {
        let end = rows.end.min(self.rows.end());
        let mut row = rows.start;
        while row < end {
            // Pinned anew now and then, so that a long scan does not hold up reclamation.
            let guard = &pin();
            for _ in 0..64.min(end - row) {
                let head = self.rows.head(row, guard);
                self.rows.prefetch(row + AHEAD, guard);
                row += 1;
                let seen = head.and_then(|head| Self::seen_at(head, index, guard));
                if let Some(document) = seen
                    && !visit(&document)
                {
                    return Some(row);
                }
            }
        }
        None
    }

    /// Asks for what [`Table::newest`] of this key will read first.
    #[inline]
    pub(crate) fn prefetch(&self, key: &[u8]) {
        self.primary.prefetch(self.hash(key), &pin());
    }

    /// Where a key (and its [`Table::hash`]) stands for the writer, unseen versions and
    /// tombstones included.
    pub(crate) fn newest(&self, hash: u32, key: &[u8], guard: &Guard) -> Option<Newest> {
        let head = self.head_of(hash, key, guard)?;
        Some(Newest {
            row: head.row(),
            version: head.to_owned(),
        })
    }

    /// Publishes a new version of the key with this hash: `present` is where the key stands
    /// (from [`Table::newest`] in the same critical section), `keys` the entries that it gets in
    /// indexes over fields. The answer is what it left behind.
    pub(crate) fn publish(
        self: &Arc<Self>,
        hash: u32,
        present: Option<&Newest>,
        version: Document,
        keys: &Keys,
        guard: &Guard,
    ) -> Option<Garbage> {
        self.accounted(|| self.publish_version(hash, present, version, keys, guard))
    }

    fn publish_version(
        self: &Arc<Self>,
        hash: u32,
        present: Option<&Newest>,
        version: Document,
        keys: &Keys,
        guard: &Guard,
    ) -> Option<Garbage> {
        let (index, tombstone) = (version.index(), version.is_tombstone());
        let watched = self.watched.load(Ordering::Relaxed);
        let noted = watched.then(|| version.clone());
        self.add_version_bytes(version.allocated_bytes());
        let was_live = present.is_some_and(|newest| !newest.version.is_tombstone());
        let live = self.live.load(Ordering::Relaxed) + u64::from(!tombstone) - u64::from(was_live);
        // In this order: who sees the new count sees the new index after it (`Snapshot::count`).
        self.changed.store(index, Ordering::Release);
        self.live.store(live, Ordering::Release);
        let expires_at = version.expires_at();
        let (row, garbage) = match present {
            Some(newest) => {
                let garbage = Garbage {
                    table: Arc::clone(self),
                    row: newest.row,
                    old_index: newest.version.index(),
                    new_index: index,
                    bytes: newest.version.allocated_bytes(),
                };
                add(&self.garbage_bytes, garbage.bytes);
                let (old, new) = (newest.version.pointer(), version.pointer());
                self.rows.push(newest.row, version);
                self.primary.replace(hash, old, new, guard);
                (newest.row, Some(garbage))
            }
            None => {
                let new = version.pointer();
                let row = self
                    .rows
                    .insert(version)
                    .expect("there are more rows than documents");
                self.primary.insert(hash, new, self.rehash(guard), guard);
                (row, None)
            }
        };
        // After it stands in its row: whoever takes it over must not find the one before it there
        // afterwards, and take that for newer.
        if let Some(noted) = noted
            && let Some(changes) = &mut *self.changes.lock()
        {
            changes.push(noted);
        }
        if !keys.is_empty() {
            let head = self.rows.head(row, guard).expect("just put there");
            self.add_keys(keys, &head, row, present.is_none(), guard);
        }
        let expired_at = present.and_then(|newest| newest.version.expires_at());
        self.note_expiry(row, expired_at, expires_at);
        garbage
    }

    /// Adds documents of a checkpoint: all live, none there yet. An error when one is.
    pub(crate) fn load(&self, documents: Vec<Document>) -> Result<(), String> {
        self.accounted(|| {
            let guard = &pin();
            for document in documents {
                let body = document.body();
                let hash = self.hash(body.key);
                if body.tombstone || self.head_of(hash, body.key, guard).is_some() {
                    return Err(format!(
                        "document {} stands twice or is deleted",
                        document.id()
                    ));
                }
                self.add_version_bytes(document.allocated_bytes());
                self.changed.fetch_max(body.meta.index, Ordering::Release);
                self.live.fetch_add(1, Ordering::Release);
                let expires_at = document.expires_at();
                let keys = self.keys_of_version(None, &document, guard);
                let keys = keys.map_err(|long| format!("document {}: {long:?}", document.id()))?;
                let new = document.pointer();
                let row = self
                    .rows
                    .insert(document)
                    .ok_or("more documents than rows")?;
                self.primary.insert(hash, new, self.rehash(guard), guard);
                if let Some(head) = self.rows.head(row, guard) {
                    self.add_keys(&keys, &head, row, true, guard);
                }
                self.note_expiry(row, None, expires_at);
            }
            Ok(())
        })
    }

    /// Takes over a version of another table, with these fields and this time of expiry; without
    /// fields removes the document. For a table that nobody reads yet.
    pub(crate) fn put(
        self: &Arc<Self>,
        version: &Document,
        fields: Option<&[u8]>,
        expires_at: Option<Timestamp>,
    ) -> Result<(), NoKey> {
        let guard = &pin();
        let body = version.body();
        let hash = self.hash(body.key);
        let present = self.newest(hash, body.key, guard);
        // What was read from a row may be newer than a change that is noted only now.
        let newer = |present: &Newest| present.version.index() > version.index();
        if present.as_ref().is_some_and(newer) || present.is_none() && fields.is_none() {
            return Ok(());
        }
        let link = Link::of(present.is_some());
        let meta = Meta {
            // A deleted document does not expire: its row may soon be another's.
            expires_at: fields.and(expires_at),
            ..body.meta
        };
        let version = Document::new(body.key, &meta, fields, link);
        let keys = self.keys_of_version(present.as_ref(), &version, guard)?;
        if let Some(old) = self.publish(hash, present.as_ref(), version, &keys, guard) {
            self.reclaim(&old, guard);
        }
        Ok(())
    }

    /// From now on its memory is part of this account.
    pub(crate) fn join(&mut self, memory: Arc<Memory>) {
        let versions = self.versions_bytes.load(Ordering::Relaxed);
        memory.change(0, versions + self.structure_bytes());
        self.memory = memory;
    }

    /// Notes every version that is published from now on; `false` when somebody does already.
    pub(crate) fn watch(&self) -> bool {
        let mut changes = self.changes.lock();
        let free = changes.is_none();
        if free {
            *changes = Some(Vec::new());
            self.watched.store(true, Ordering::Release);
        }
        free
    }

    /// The versions noted since the last time, in order.
    pub(crate) fn take_changes(&self) -> Vec<Document> {
        self.changes
            .lock()
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    pub(crate) fn unwatch(&self) {
        self.watched.store(false, Ordering::Release);
        *self.changes.lock() = None;
    }

    /// A row whose document expired at `before` expires at `after` now.
    fn note_expiry(&self, row: RowId, before: Option<Timestamp>, after: Option<Timestamp>) {
        if before == after {
            return;
        }
        let mut expiring = self.expiring.lock();
        if let Some(before) = before {
            expiring.remove(&(before, row));
        }
        if let Some(after) = after {
            expiring.insert((after, row));
        }
        let bytes = expiring.len() * EXPIRING_BYTES;
        self.expiring_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The documents that expire after one time and not after another, while they are not removed.
    pub(crate) fn expired_between(&self, after: Timestamp, until: Timestamp) -> Vec<Document> {
        let range = (Excluded((after, RowId::MAX)), Included((until, RowId::MAX)));
        let guard = &pin();
        let expiring = self.expiring.lock();
        let rows = expiring.range(range).map(|(_, row)| *row);
        let heads = rows.filter_map(|row| self.rows.head(row, guard));
        heads.map(|head| (*head).clone()).collect()
    }

    /// Removes up to `limit` documents that have expired by `until`, a time at or after which
    /// everybody reads; how many. One that changed lately waits until its old version is gone; all
    /// wait while somebody watches, who sees by them what has expired.
    pub(crate) fn remove_expired(&self, until: Timestamp, limit: usize, guard: &Guard) -> usize {
        if self.watched.load(Ordering::Relaxed) {
            return 0;
        }
        let due: Vec<_> = {
            let expiring = self.expiring.lock();
            let due = expiring.range(..=(until, RowId::MAX)).take(limit);
            due.copied().collect()
        };
        if due.is_empty() {
            return 0;
        }
        self.accounted(|| {
            let mut removed = 0;
            for (at, row) in due {
                if self.remove_row(row, guard) {
                    self.note_expiry(row, Some(at), None);
                    removed += 1;
                }
            }
            self.live.fetch_sub(removed as u64, Ordering::Release);
            removed
        })
    }

    /// Takes the only version of a row out of every index and gives the row back; whether it
    /// was the only one.
    fn remove_row(&self, row: RowId, guard: &Guard) -> bool {
        let head = self
            .rows
            .head(row, guard)
            .expect("a row that is named is in use");
        if Rows::previous(&head, guard).is_some() {
            return false;
        }
        self.remove_keys(&head, row, guard);
        self.subtract_version_bytes(head.allocated_bytes());
        let hash = self.hash(head.key_bytes());
        let rehash = self.rehash(guard);
        let removed = self.primary.remove(hash, head.pointer(), rehash, guard);
        assert!(removed, "a row in use is in the primary index");
        self.rows.remove(row, guard);
        true
    }

    /// Cuts out a version that nobody can see any more, its index entries, and its row when the
    /// document is gone for good.
    pub(crate) fn reclaim(&self, garbage: &Garbage, guard: &Guard) {
        self.accounted(|| self.reclaim_version(garbage, guard));
    }

    fn reclaim_version(&self, garbage: &Garbage, guard: &Guard) {
        let row = garbage.row;
        let mut newer = self
            .rows
            .head(row, guard)
            .expect("a row with old versions is in use");
        loop {
            let previous =
                Rows::previous(&newer, guard).expect("a version leaves its chain only here, once");
            if previous.index() == garbage.old_index {
                break;
            }
            newer = previous;
        }
        let old = self.rows.unlink_previous(&newer, guard).expect("just seen");
        subtract(&self.garbage_bytes, garbage.bytes);
        self.subtract_version_bytes(garbage.bytes);
        self.remove_keys(&old, row, guard);
        let head = self.rows.head(row, guard).expect("checked above");
        if head.is_tombstone() {
            self.remove_row(row, guard);
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let versions = self.versions_bytes.load(Ordering::Relaxed);
        self.memory.free(versions + self.structure_bytes());
    }
}

/// Adds to a count that only the writer changes: no locked instruction is needed.
fn add(count: &AtomicUsize, by: usize) {
    count.store(count.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

fn subtract(count: &AtomicUsize, by: usize) {
    count.store(count.load(Ordering::Relaxed) - by, Ordering::Relaxed);
}
