//! A table's indexes over fields: what they hold, and which documents have a value.
//!
//! A unique index lets a value stand in one document at most; the index of a field that refers to
//! another collection finds the documents that refer to one of its. Both are asked by the writer
//! alone. They name rows, so that a document that changes elsewhere needs no new entry, and they
//! have the values of old versions too, for as long as those are kept. Tests: `store::tests`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{Guard, pin};
use parking_lot::{Mutex, RwLockReadGuard};
use smallvec::SmallVec;
use velocitydb_types::{Path, RawMap, Timestamp, encode_value_key};

use super::{Newest, Table};
use crate::store::index::{HashIndex, RowId};
use crate::store::record::Document;
use crate::store::rows::Rows;

/// The rows of documents by the values of some fields. A document in which one of the fields is
/// absent or null is not in it.
pub(crate) struct FieldIndex {
    /// The fields whose values together are the key.
    pub(crate) fields: Vec<Path>,
    entries: Entries,
}

/// Rows by the hashes of keys.
enum Entries {
    /// A key stands in one row at most, in the newest state.
    Unique(HashIndex<RowId>),
    /// Any number of rows may have a key, which a hash index could not bear.
    Many(Mutex<BTreeSet<(u32, RowId)>>),
}

/// What an entry of a set takes, in bytes, with the set's own share.
const SET_ENTRY_BYTES: usize = 12;

/// Room for most keys.
const KEY_BYTES: usize = 32;

impl FieldIndex {
    pub(crate) fn unique(fields: Vec<Path>) -> FieldIndex {
        let entries = Entries::Unique(HashIndex::new());
        FieldIndex { fields, entries }
    }

    fn many(fields: Vec<Path>) -> FieldIndex {
        let entries = Entries::Many(Mutex::default());
        FieldIndex { fields, entries }
    }

    /// An empty index over fields, unique or not.
    pub(crate) fn over((fields, unique): (Vec<Path>, bool)) -> FieldIndex {
        if unique {
            FieldIndex::unique(fields)
        } else {
            FieldIndex::many(fields)
        }
    }

    pub(crate) fn is_unique(&self) -> bool {
        matches!(self.entries, Entries::Unique(_))
    }

    /// The key of a document in this index; `None` when it is not in it.
    pub(crate) fn key_of(&self, fields: RawMap<'_>) -> Option<Vec<u8>> {
        let mut key = Vec::with_capacity(KEY_BYTES);
        for path in &self.fields {
            let value = fields.get_path(path).filter(|value| !value.is_null())?;
            encode_value_key(value, &mut key);
        }
        Some(key)
    }

    /// Whether a document that stands at `present` has no entry under `key` yet.
    pub(crate) fn is_new(&self, present: Option<&Newest>, key: &[u8]) -> bool {
        let before = present.and_then(|newest| self.key_of_version(&newest.version));
        before.as_deref() != Some(key)
    }

    fn key_of_version(&self, version: &Document) -> Option<Vec<u8>> {
        let body = version.body();
        if body.tombstone {
            None
        } else {
            self.key_of(RawMap::trusted(body.fields))
        }
    }

    fn has(&self, version: &Document, key: &[u8]) -> bool {
        self.key_of_version(version).is_some_and(|held| held == key)
    }

    fn bytes(&self) -> usize {
        match &self.entries {
            Entries::Unique(entries) => entries.bytes(),
            Entries::Many(entries) => entries.lock().len() * SET_ENTRY_BYTES,
        }
    }

    /// Calls `found` with each row that may have the key of this hash until it returns `Some`.
    fn find<T>(
        &self,
        hash: u32,
        guard: &Guard,
        found: impl FnMut(RowId) -> Option<T>,
    ) -> Option<T> {
        match &self.entries {
            Entries::Unique(entries) => entries.find(hash, guard, found),
            Entries::Many(entries) => {
                let entries = entries.lock();
                let rows = entries.range((hash, 0)..=(hash, RowId::MAX));
                rows.map(|(_, row)| *row).find_map(found)
            }
        }
    }

    /// Adds a row. A value that came back while an old version with it is still kept has its
    /// entry already, but never in a `fresh` row.
    fn insert(&self, hash: u32, row: RowId, fresh: bool, guard: &Guard) {
        match &self.entries {
            Entries::Unique(entries) => {
                let held = |held| (held == row).then_some(());
                if fresh || entries.find(hash, guard, held).is_none() {
                    entries.insert(hash, row, |_| hash, guard);
                }
            }
            Entries::Many(entries) => {
                entries.lock().insert((hash, row));
            }
        }
    }

    fn remove(&self, hash: u32, row: RowId, guard: &Guard) {
        match &self.entries {
            Entries::Unique(entries) => {
                entries.remove(hash, row, |_| 0, guard);
            }
            Entries::Many(entries) => {
                entries.lock().remove(&(hash, row));
            }
        }
    }
}

/// A version's keys in indexes over fields.
pub(crate) type Keys = SmallVec<[KeyIn; 2]>;

/// A version's key in one index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyIn {
    /// The index's place among those of the table.
    index: u32,
    /// The [`Table::hash`] of the key.
    pub(crate) hash: u32,
    /// Whether the version replaced has another, so that this one gets an entry.
    is_new: bool,
}

impl KeyIn {
    /// Whether it is the key in the index at this place.
    pub(crate) fn is_of(&self, index: usize) -> bool {
        self.index as usize == index
    }
}

impl Table {
    /// Whether there are any indexes over fields.
    #[inline]
    pub(crate) fn has_indexes(&self) -> bool {
        self.has_indexes.load(Ordering::Relaxed)
    }

    /// The indexes over fields; `None` when there are none. They change under the writer lock
    /// alone.
    pub(crate) fn indexes(&self) -> Option<RwLockReadGuard<'_, Vec<Arc<FieldIndex>>>> {
        self.has_indexes().then(|| self.indexes.read())
    }

    fn set_indexes(&self, change: impl FnOnce(&mut Vec<Arc<FieldIndex>>)) {
        self.accounted(|| {
            let mut indexes = self.indexes.write();
            change(&mut indexes);
            let bytes = indexes.iter().map(|index| index.bytes()).sum();
            self.index_bytes.store(bytes, Ordering::Relaxed);
            self.has_indexes
                .store(!indexes.is_empty(), Ordering::Relaxed);
        });
    }

    /// The document, in a row other than those ignored, whose newest version has the key of these
    /// fields (and its [`Table::hash`]) in a unique index.
    pub(crate) fn unique_holder(
        &self,
        unique: &FieldIndex,
        (fields, hash): (RawMap<'_>, u32),
        time: Timestamp,
        guard: &Guard,
        mut ignored: impl FnMut(RowId) -> bool,
    ) -> Option<Document> {
        unique.find(hash, guard, |row| {
            let head = self.rows.head(row, guard)?;
            let key = unique.key_of_version(&head)?;
            let holds = unique.key_of(fields).as_ref() == Some(&key);
            (holds && head.is_live(time) && !ignored(row)).then(|| head.to_owned())
        })
    }

    /// The documents whose newest version has `key` in an index, in the order of their ids.
    pub(crate) fn holders(
        &self,
        index: &FieldIndex,
        key: &[u8],
        time: Timestamp,
        guard: &Guard,
    ) -> Vec<Document> {
        let mut holders = Vec::new();
        index.find(self.hash(key), guard, |row| {
            let head = self.rows.head(row, guard)?;
            if index.has(&head, key) && head.is_live(time) {
                holders.push(head.to_owned());
            }
            None::<()>
        });
        holders.sort_unstable_by(|a, b| a.key_bytes().cmp(b.key_bytes()));
        holders
    }

    /// The keys of a version that is to have `fields` (`None`: of a tombstone), and of a document
    /// that stands at `present`. Asks for the memory where unique ones will be looked up.
    #[inline]
    pub(crate) fn keys(
        &self,
        present: Option<&Newest>,
        fields: Option<RawMap<'_>>,
        guard: &Guard,
    ) -> Keys {
        match (self.indexes(), fields) {
            (Some(indexes), Some(fields)) => {
                let keys = indexes.iter().zip(0..).filter_map(|(index, at)| {
                    let key = index.key_of(fields)?;
                    let hash = self.hash(&key);
                    if let Entries::Unique(entries) = &index.entries {
                        entries.prefetch(hash, guard);
                    }
                    Some(KeyIn {
                        index: at,
                        hash,
                        is_new: index.is_new(present, &key),
                    })
                });
                keys.collect()
            }
            _ => Keys::new(),
        }
    }

    /// [`Table::keys`] of a version that is made already.
    pub(crate) fn keys_of_version(
        &self,
        present: Option<&Newest>,
        version: &Document,
        guard: &Guard,
    ) -> Keys {
        let fields = (!version.is_tombstone()).then(|| version.fields());
        self.keys(present, fields, guard)
    }

    /// Adds the entries of a version that has just been published in this row.
    pub(super) fn add_keys(&self, keys: &[KeyIn], row: RowId, fresh: bool, guard: &Guard) {
        let Some(indexes) = self.indexes().filter(|_| !keys.is_empty()) else {
            return;
        };
        for key in keys.iter().filter(|key| key.is_new) {
            self.change_index(&indexes[key.index as usize], |index| {
                index.insert(key.hash, row, fresh, guard);
            });
        }
    }

    /// Removes what a version that goes leaves in the indexes, unless a version of the same row
    /// that stays has the same key.
    pub(super) fn remove_keys(&self, version: &Document, row: RowId, guard: &Guard) {
        let indexes = self.indexes();
        for index in indexes.iter().flat_map(|indexes| indexes.iter()) {
            if let Some(key) = index.key_of_version(version)
                && !self.chain_has(row, index, &key, version, guard)
            {
                self.change_index(index, |index| index.remove(self.hash(&key), row, guard));
            }
        }
    }

    /// Changes an index and keeps the account of its size.
    fn change_index(&self, index: &FieldIndex, change: impl FnOnce(&FieldIndex)) {
        let before = index.bytes();
        change(index);
        let bytes = self.index_bytes.load(Ordering::Relaxed) + index.bytes() - before;
        self.index_bytes.store(bytes, Ordering::Relaxed);
    }

    fn chain_has(
        &self,
        row: RowId,
        index: &FieldIndex,
        key: &[u8],
        gone: &Document,
        guard: &Guard,
    ) -> bool {
        let mut version = self.rows.head(row, guard);
        while let Some(this) = version {
            if this.pointer() != gone.pointer() && index.has(&this, key) {
                return true;
            }
            version = Rows::previous(&this, guard);
        }
        false
    }

    /// Fills an index, not yet attached, with all kept versions. Where it is unique and documents
    /// of the newest state have the same key, it answers two of them: of the smallest such key
    /// the two smallest ids, wherever the documents' rows are. Only the writer calls it.
    pub(crate) fn fill_index(
        &self,
        index: &FieldIndex,
        time: Timestamp,
    ) -> Result<(), Box<(Document, Document)>> {
        let mut twice: Option<Vec<u8>> = None;
        for row in 0..self.rows.end() {
            let guard = &pin();
            let Some(head) = self.rows.head(row, guard) else {
                continue;
            };
            if index.is_unique()
                && head.is_live(time)
                && let Some(key) = index.key_of_version(&head)
                && twice.as_ref().is_none_or(|twice| key < *twice)
                && {
                    let of = (head.fields(), self.hash(&key));
                    self.unique_holder(index, of, time, guard, |_| false)
                        .is_some()
                }
            {
                twice = Some(key);
            }
            let mut version = Some(head);
            while let Some(this) = version {
                if let Some(key) = index.key_of_version(&this) {
                    index.insert(self.hash(&key), row, false, guard);
                }
                version = Rows::previous(&this, guard);
            }
        }
        let Some(twice) = twice else {
            return Ok(());
        };
        let mut holders = Vec::new();
        self.scan(0, u64::MAX, |document| {
            if document.is_live(time) && index.has(&document, &twice) {
                holders.push(document);
                holders.sort_unstable_by(|a, b| a.key_bytes().cmp(b.key_bytes()));
                holders.truncate(2);
            }
            true
        });
        let mut holders = holders.into_iter();
        match (holders.next(), holders.next()) {
            (Some(one), Some(other)) => Err(Box::new((one, other))),
            _ => unreachable!("two documents had this key a moment ago, and nobody writes"),
        }
    }

    /// Puts a filled index in use.
    pub(crate) fn attach_index(&self, index: Arc<FieldIndex>) {
        self.set_indexes(|indexes| indexes.push(index));
    }

    /// Drops the unique index over these fields.
    pub(crate) fn drop_unique(&self, fields: &[Path]) {
        self.set_indexes(|indexes| {
            let mut indexes_now = indexes.iter();
            let dropped = indexes_now.position(|index| index.is_unique() && index.fields == fields);
            if let Some(dropped) = dropped {
                indexes.remove(dropped);
            }
        });
    }
}
