//! A table's unique indexes: what they hold, and who holds a value.
//!
//! They name rows, so that a document that changes elsewhere needs no new entry, and they have
//! the values of old versions too, for as long as those are kept. Tests: `store::tests`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{Guard, pin};
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

impl UniqueIndex {
    pub(crate) fn new(fields: Vec<Path>) -> UniqueIndex {
        UniqueIndex {
            fields,
            entries: HashIndex::new(),
        }
    }

    /// The key of a document in this index; `None` when it is not in it.
    pub(crate) fn key_of(&self, fields: RawMap<'_>) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        for path in &self.fields {
            let value = fields.get_path(path).filter(|value| !value.is_null())?;
            encode_value_key(value, &mut key);
        }
        Some(key)
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

impl Table {
    pub(super) fn unique_bytes(&self) -> usize {
        if !self.has_uniques.load(Ordering::Relaxed) {
            return 0;
        }
        self.uniques
            .read()
            .iter()
            .map(|unique| unique.entries.bytes())
            .sum()
    }

    /// The unique indexes; `None` when there are none.
    pub(crate) fn uniques(&self) -> Option<Arc<[Arc<UniqueIndex>]>> {
        self.has_uniques
            .load(Ordering::Relaxed)
            .then(|| self.uniques.read().clone())
    }

    fn set_uniques(&self, change: impl FnOnce(&[Arc<UniqueIndex>]) -> Arc<[Arc<UniqueIndex>]>) {
        self.accounted(|| {
            let mut uniques = self.uniques.write();
            *uniques = change(&uniques);
            self.has_uniques
                .store(!uniques.is_empty(), Ordering::Relaxed);
        });
    }

    /// The row, other than `own`, whose newest version has `key` in a unique index.
    pub(crate) fn unique_holder(
        &self,
        unique: &UniqueIndex,
        key: &[u8],
        time: Timestamp,
        mut ignored: impl FnMut(RowId) -> bool,
    ) -> Option<Document> {
        let guard = &pin();
        unique.entries.find(self.hash(key), guard, |row| {
            let head = self.rows.head(row, guard)?;
            let holds = unique.key_of_version(&head).is_some_and(|held| held == key);
            (holds && head.is_live(time) && !ignored(row)).then(|| head.to_owned())
        })
    }

    /// The unique indexes in which `version` has another key than the one before it.
    pub(super) fn new_unique_keys(
        &self,
        present: Option<&Newest>,
        version: &Document,
    ) -> Vec<(Arc<UniqueIndex>, Vec<u8>)> {
        let Some(uniques) = self.uniques() else {
            return Vec::new();
        };
        let keys = uniques.iter().filter_map(|unique| {
            let new = unique.key_of_version(version)?;
            let old = present.and_then(|newest| unique.key_of_version(&newest.version));
            (old.as_ref() != Some(&new)).then(|| (Arc::clone(unique), new))
        });
        keys.collect()
    }

    pub(super) fn chain_has(
        &self,
        row: RowId,
        unique: &UniqueIndex,
        key: &[u8],
        guard: &Guard,
    ) -> bool {
        let mut version = self.rows.head(row, guard);
        while let Some(this) = version {
            if unique.key_of_version(&this).is_some_and(|held| held == key) {
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
                && self.unique_holder(unique, &key, time, |_| false).is_some()
            {
                twice = Some(key);
            }
            let mut version = Some(head);
            while let Some(this) = version {
                if let Some(key) = unique.key_of_version(&this) {
                    self.add_entry(unique, &key, row, guard);
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

    /// Adds a row under a key, unless it is there: a value that came back while an old version
    /// with it is still kept has its entry already.
    pub(super) fn add_entry(&self, unique: &UniqueIndex, key: &[u8], row: RowId, guard: &Guard) {
        let hash = self.hash(key);
        if unique
            .entries
            .find(hash, guard, |held| (held == row).then_some(()))
            .is_none()
        {
            unique.entries.insert(hash, row, |_| hash, guard);
        }
    }

    /// Puts a filled index in use.
    pub(crate) fn attach_unique(&self, unique: Arc<UniqueIndex>) {
        self.set_uniques(|uniques| uniques.iter().cloned().chain([unique]).collect());
    }

    /// Drops the unique index over these fields.
    pub(crate) fn drop_unique(&self, fields: &[Path]) {
        self.set_uniques(|uniques| {
            let dropped = uniques.iter().position(|unique| unique.fields == fields);
            let kept = uniques.iter().enumerate();
            let kept = kept.filter(|(at, _)| Some(*at) != dropped);
            kept.map(|(_, unique)| unique.clone()).collect()
        });
    }
}
