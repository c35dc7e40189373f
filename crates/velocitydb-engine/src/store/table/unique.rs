//! A table's unique indexes: what they hold, and who holds a value.
//!
//! They name rows, so that a document that changes elsewhere needs no new entry, and they have
//! the values of old versions too, for as long as those are kept. Tests: `store::tests`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{Guard, pin};
use parking_lot::RwLockReadGuard;
use smallvec::SmallVec;
use velocitydb_types::{Path, RawMap, Timestamp, encode_value_key};

use super::{Newest, Table};
use crate::store::index::{HashIndex, RowId};
use crate::store::record::Document;
use crate::store::rows::Rows;

/// An index that lets a value stand in one document at most. A document in which one of its
/// fields is absent or null is not in it.
pub(crate) struct UniqueIndex {
    /// The fields whose values together are the key.
    pub(crate) fields: Vec<Path>,
    pub(super) entries: HashIndex<RowId>,
}

/// Room for most keys.
const KEY_BYTES: usize = 32;

impl UniqueIndex {
    pub(crate) fn new(fields: Vec<Path>) -> UniqueIndex {
        UniqueIndex {
            fields,
            entries: HashIndex::new(),
        }
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

    pub(super) fn key_of_version(&self, version: &Document) -> Option<Vec<u8>> {
        let body = version.body();
        if body.tombstone {
            None
        } else {
            self.key_of(RawMap::trusted(body.fields))
        }
    }
}

/// What a version gets in unique indexes.
pub(crate) type NewKeys = SmallVec<[NewKey; 2]>;

/// An entry that a version's document gets in a unique index when it is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewKey {
    /// The index's place among those of the table.
    pub(crate) unique: u32,
    /// The [`Table::hash`] of the key.
    pub(crate) hash: u32,
}

impl Table {
    /// Whether there are any unique indexes.
    #[inline]
    pub(crate) fn has_uniques(&self) -> bool {
        self.has_uniques.load(Ordering::Relaxed)
    }

    /// The unique indexes; `None` when there are none. They change under the writer lock alone.
    pub(crate) fn uniques(&self) -> Option<RwLockReadGuard<'_, Vec<Arc<UniqueIndex>>>> {
        self.has_uniques().then(|| self.uniques.read())
    }

    fn set_uniques(&self, change: impl FnOnce(&mut Vec<Arc<UniqueIndex>>)) {
        self.accounted(|| {
            let mut uniques = self.uniques.write();
            change(&mut uniques);
            let bytes = uniques.iter().map(|unique| unique.entries.bytes()).sum();
            self.unique_bytes.store(bytes, Ordering::Relaxed);
            self.has_uniques
                .store(!uniques.is_empty(), Ordering::Relaxed);
        });
    }

    /// The row, other than those ignored, whose newest version has `key` (and its
    /// [`Table::hash`]) in a unique index.
    pub(crate) fn unique_holder(
        &self,
        unique: &UniqueIndex,
        (key, hash): (&[u8], u32),
        time: Timestamp,
        guard: &Guard,
        mut ignored: impl FnMut(RowId) -> bool,
    ) -> Option<Document> {
        unique.entries.find(hash, guard, |row| {
            let head = self.rows.head(row, guard)?;
            let holds = unique.key_of_version(&head).is_some_and(|held| held == key);
            (holds && head.is_live(time) && !ignored(row)).then(|| head.to_owned())
        })
    }

    /// The keys in unique indexes that `version` has and the one before it has not.
    pub(in crate::store) fn new_keys(
        &self,
        present: Option<&Newest>,
        version: &Document,
    ) -> NewKeys {
        let uniques = self.uniques();
        let uniques = uniques.iter().flat_map(|uniques| uniques.iter());
        let keys = uniques.enumerate().filter_map(|(at, unique)| {
            let key = unique.key_of_version(version)?;
            let hash = self.hash(&key);
            unique.is_new(present, &key).then_some(NewKey {
                unique: at as u32,
                hash,
            })
        });
        keys.collect()
    }

    /// Adds the entries of a version that has just been published in this row.
    pub(super) fn add_keys(&self, keys: &[NewKey], row: RowId, fresh: bool, guard: &Guard) {
        if keys.is_empty() {
            return;
        }
        let uniques = self.uniques.read();
        for &NewKey { unique, hash } in keys {
            let entries = &uniques[unique as usize].entries;
            let before = entries.bytes();
            if fresh {
                entries.insert(hash, row, |_| hash, guard);
            } else {
                add_entry(entries, hash, row, guard);
            }
            self.count_unique_bytes(before, entries.bytes());
        }
    }

    /// Removes what a version that goes leaves in the unique indexes, unless a version of the
    /// same row that stays has the same key.
    pub(super) fn remove_keys(&self, version: &Document, row: RowId, guard: &Guard) {
        let uniques = self.uniques();
        for unique in uniques.iter().flat_map(|uniques| uniques.iter()) {
            if let Some(key) = unique.key_of_version(version)
                && !self.chain_has(row, unique, &key, version, guard)
            {
                let before = unique.entries.bytes();
                unique.entries.remove(self.hash(&key), row, |_| 0, guard);
                self.count_unique_bytes(before, unique.entries.bytes());
            }
        }
    }

    fn count_unique_bytes(&self, before: usize, after: usize) {
        let bytes = self.unique_bytes.load(Ordering::Relaxed) + after - before;
        self.unique_bytes.store(bytes, Ordering::Relaxed);
    }

    fn chain_has(
        &self,
        row: RowId,
        unique: &UniqueIndex,
        key: &[u8],
        gone: &Document,
        guard: &Guard,
    ) -> bool {
        let mut version = self.rows.head(row, guard);
        while let Some(this) = version {
            let stays = this.pointer() != gone.pointer();
            if stays && unique.key_of_version(&this).is_some_and(|held| held == key) {
                return true;
            }
            version = Rows::previous(&this, guard);
        }
        false
    }

    /// Fills a unique index, not yet attached, with all kept versions, or answers two documents
    /// of the newest state that have the same key: of the smallest such key the two smallest
    /// ids, wherever the documents' rows are. Only the writer calls it.
    pub(crate) fn fill_unique(
        &self,
        unique: &UniqueIndex,
        time: Timestamp,
    ) -> Result<(), Box<(Document, Document)>> {
        let mut twice: Option<Vec<u8>> = None;
        for row in 0..self.rows.end() {
            let guard = &pin();
            let Some(head) = self.rows.head(row, guard) else {
                continue;
            };
            if head.is_live(time)
                && let Some(key) = unique.key_of_version(&head)
                && twice.as_ref().is_none_or(|twice| key < *twice)
                && self
                    .unique_holder(unique, (&key, self.hash(&key)), time, guard, |_| false)
                    .is_some()
            {
                twice = Some(key);
            }
            let mut version = Some(head);
            while let Some(this) = version {
                if let Some(key) = unique.key_of_version(&this) {
                    add_entry(&unique.entries, self.hash(&key), row, guard);
                }
                version = Rows::previous(&this, guard);
            }
        }
        let Some(twice) = twice else {
            return Ok(());
        };
        let mut holders = Vec::new();
        self.scan(0, u64::MAX, |document| {
            if document.is_live(time) && unique.key_of_version(&document).as_ref() == Some(&twice) {
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
    pub(crate) fn attach_unique(&self, unique: Arc<UniqueIndex>) {
        self.set_uniques(|uniques| uniques.push(unique));
    }

    /// Drops the unique index over these fields.
    pub(crate) fn drop_unique(&self, fields: &[Path]) {
        self.set_uniques(|uniques| {
            if let Some(dropped) = uniques.iter().position(|unique| unique.fields == fields) {
                uniques.remove(dropped);
            }
        });
    }
}

/// Adds a row under a hash, unless it is there: a value that came back while an old version with
/// it is still kept has its entry already.
fn add_entry(entries: &HashIndex<RowId>, hash: u32, row: RowId, guard: &Guard) {
    let held = entries.find(hash, guard, |held| (held == row).then_some(()));
    if held.is_none() {
        entries.insert(hash, row, |_| hash, guard);
    }
}
