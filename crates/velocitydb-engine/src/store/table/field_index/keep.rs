//! Keeping a table's indexes: what versions that come and go put in and take out.
//!
//! Only the writer is here, or who makes a table that nobody reads yet.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{Guard, pin};
use smallvec::SmallVec;
use velocitydb_types::{RawMap, Timestamp};

use super::{BUILT, Ends, Entries, FieldIndex, KEY_BYTES, Key, KeyIn, Keys, Misfit, NoKey};
use crate::catalog;
use crate::store::index::RowId;
use crate::store::record::Document;
use crate::store::rows::Rows;
use crate::store::table::{Newest, Table};

impl Table {
    /// The indexes over fields. They change under the writer lock alone.
    pub(crate) fn indexes(&self) -> arc_swap::Guard<Arc<Vec<Arc<FieldIndex>>>> {
        self.indexes.load()
    }

    /// Whether there are any.
    #[inline]
    pub(crate) fn has_indexes(&self) -> bool {
        self.has_indexes.load(Ordering::Relaxed)
    }

    /// The index by name; of one that is being rebuilt, the one in use.
    pub(crate) fn index(&self, name: &str) -> Option<Arc<FieldIndex>> {
        let indexes = self.indexes();
        indexes
            .iter()
            .find(|index| index.definition.name == name)
            .cloned()
    }

    /// The index that a field has because it is unique or refers.
    pub(crate) fn index_of_field(&self, field: &str) -> Option<Arc<FieldIndex>> {
        let names = [catalog::unique_name(field), catalog::reference_name(field)];
        names.iter().find_map(|name| self.index(name))
    }

    fn set_indexes(&self, change: impl FnOnce(&mut Vec<Arc<FieldIndex>>)) {
        self.accounted(|| {
            let mut indexes = Vec::clone(&self.indexes());
            change(&mut indexes);
            let account = |index: &Arc<FieldIndex>| {
                let bytes = index.bytes();
                index.accounted.store(bytes, Ordering::Relaxed);
                bytes
            };
            let bytes = indexes.iter().map(account).sum();
            self.index_bytes.store(bytes, Ordering::Relaxed);
            self.has_indexes
                .store(!indexes.is_empty(), Ordering::Relaxed);
            self.indexes.store(Arc::new(indexes));
        });
    }

    /// Puts an index in use. One that is not built yet is from now on kept for rows that are.
    pub(crate) fn attach_index(&self, index: Arc<FieldIndex>) {
        self.set_indexes(|indexes| indexes.push(index));
    }

    /// Drops the index of this name.
    pub(crate) fn detach_index(&self, name: &str) {
        self.set_indexes(|indexes| indexes.retain(|index| index.definition.name != name));
    }

    /// Attaches a twin of an index that is built, to be built beside it and to take its place:
    /// see [`Table::build_step`]. Whether there is an index of this name.
    pub(crate) fn begin_rebuild(&self, name: &str) -> bool {
        let named = |index: &&Arc<FieldIndex>| index.definition.name == name;
        let indexes = self.indexes();
        if let Some(last) = indexes.iter().rfind(named) {
            if last.is_built() {
                self.attach_index(Arc::new(FieldIndex::unbuilt(last.definition.clone())));
            }
            return true;
        }
        false
    }

    /// Detaches the twin, if it is not built yet, and leaves the index as it is.
    pub(crate) fn end_rebuild(&self, name: &str) {
        let mut seen = false;
        self.set_indexes(|indexes| {
            indexes.retain(|index| {
                let named = index.definition.name == name;
                !named || !std::mem::replace(&mut seen, true)
            });
        });
    }

    /// Lets an index that is built now take the place of its twin, if it has one.
    fn replace_twin(&self, index: &FieldIndex) {
        let name = &index.definition.name;
        let twin = self
            .index(name)
            .filter(|twin| !std::ptr::eq(&**twin, index));
        if let Some(twin) = twin {
            index.take_uses(&twin);
            self.set_indexes(|indexes| indexes.retain(|held| !Arc::ptr_eq(held, &twin)));
        }
    }

    /// The keys of a version that is to have this id and these `fields` (`None`: of a tombstone),
    /// and of a document that stands at `present`. Asks for the memory where unique ones will be
    /// looked up.
    ///
    /// # Errors
    /// When a key is too long for its index, or an expression has no value.
    #[inline]
    pub(crate) fn keys(
        &self,
        present: Option<&Newest>,
        id: &[u8],
        fields: Option<RawMap<'_>>,
        guard: &Guard,
    ) -> Result<Keys, NoKey> {
        match fields {
            Some(fields) if self.has_indexes() => self.keys_in_all(present, id, fields, guard),
            _ => Ok(Keys::default()),
        }
    }

    fn keys_in_all(
        &self,
        present: Option<&Newest>,
        id: &[u8],
        fields: RawMap<'_>,
        guard: &Guard,
    ) -> Result<Keys, NoKey> {
        let indexes = self.indexes();
        let mut keys = Keys {
            bytes: Vec::with_capacity(KEY_BYTES * indexes.len()),
            keys: SmallVec::with_capacity(indexes.len()),
        };
        let mut spare = Vec::new();
        for (index, at) in indexes.iter().zip(0..) {
            let (from, mut ends) = (keys.bytes.len(), Ends::new());
            let claims = index.push_keys(fields, &mut keys.bytes, &mut ends)?;
            index.check_length(id, from, &ends)?;
            let mut start = from;
            for &end in &ends {
                let bytes = &keys.bytes[start..end as usize];
                let hash = match &index.entries {
                    Entries::Ordered(_) => 0,
                    #[cfg(feature = "full-text")]
                    Entries::Text(_) => 0,
                    Entries::Hashed(_) => self.hash(bytes),
                    Entries::Unique(entries) => {
                        let hash = self.hash(bytes);
                        entries.prefetch(hash, guard);
                        hash
                    }
                };
                let kept = present.is_some_and(|newest| match index.plain {
                    true => index.shares_key(&newest.version, fields),
                    false => index.has(&newest.version, bytes, &mut spare),
                });
                start = end as usize;
                let is_new = !kept;
                keys.keys.push(KeyIn {
                    index: at,
                    end,
                    hash,
                    is_new,
                    claims,
                });
            }
        }
        Ok(keys)
    }

    /// [`Table::keys`] of a version that is made already.
    pub(crate) fn keys_of_version(
        &self,
        present: Option<&Newest>,
        version: &Document,
        guard: &Guard,
    ) -> Result<Keys, NoKey> {
        let fields = (!version.is_tombstone()).then(|| version.fields());
        self.keys(present, version.key_bytes(), fields, guard)
    }

    /// Adds the entries of a version that has just been published in this row.
    pub(in crate::store) fn add_keys(
        &self,
        keys: &Keys,
        version: &Document,
        row: RowId,
        fresh: bool,
        guard: &Guard,
    ) {
        if keys.is_empty() {
            return;
        }
        let indexes = self.indexes();
        for (place, bytes) in keys.iter().filter(|(place, _)| place.is_new) {
            let index = &indexes[place.index as usize];
            let hash = place.hash;
            let key = Key {
                bytes,
                hash,
                version,
            };
            if index.covers(row) {
                self.change_index(index, |index| index.insert(key, row, fresh, guard));
            }
        }
    }

    /// Removes what a version that goes leaves in the indexes, unless a version of the same row
    /// that stays has the same key.
    pub(in crate::store) fn remove_keys(&self, version: &Document, row: RowId, guard: &Guard) {
        if !self.has_indexes() {
            return;
        }
        let (mut spare, mut other) = (Vec::new(), Vec::new());
        for index in self.indexes().iter().filter(|index| index.covers(row)) {
            if index.plain && self.chain_shares(row, index, version, guard) {
                continue;
            }
            index.keys_of(version, &mut spare, |bytes| {
                let hash = self.hash(bytes);
                let key = Key {
                    bytes,
                    hash,
                    version,
                };
                if index.plain || !self.chain_has(row, index, key, &mut other, guard) {
                    self.change_index(index, |index| index.remove(key, row, guard));
                }
            });
        }
    }

    /// Changes an index and keeps the account of its size, with what readers have done since.
    fn change_index(&self, index: &FieldIndex, change: impl FnOnce(&FieldIndex)) {
        change(index);
        let now = index.bytes();
        let before = index.accounted.load(Ordering::Relaxed);
        index.accounted.store(now, Ordering::Relaxed);
        let bytes = self.index_bytes.load(Ordering::Relaxed) + now - before;
        self.index_bytes.store(bytes, Ordering::Relaxed);
    }

    /// [`Table::chain_has`] for an index that is plain.
    fn chain_shares(&self, row: RowId, index: &FieldIndex, gone: &Document, guard: &Guard) -> bool {
        if gone.is_tombstone() {
            return false;
        }
        let fields = gone.fields();
        let mut version = self.rows.head(row, guard);
        while let Some(this) = version {
            if this.pointer() != gone.pointer() && index.shares_key(&this, fields) {
                return true;
            }
            version = Rows::previous(&this, guard);
        }
        false
    }

    /// Whether a version of the row other than the one that goes needs the key's entry: it has
    /// the key or, where entries are hashes, another one with the same hash.
    fn chain_has(
        &self,
        row: RowId,
        index: &FieldIndex,
        gone: Key<'_>,
        spare: &mut Vec<u8>,
        guard: &Guard,
    ) -> bool {
        let mut found = false;
        let mut version = self.rows.head(row, guard);
        while let Some(this) = version.filter(|_| !found) {
            if this.pointer() != gone.version.pointer() {
                index.keys_of(&this, spare, |held| {
                    found |=
                        held == gone.bytes || index.is_hashed() && self.hash(held) == gone.hash;
                });
            }
            version = Rows::previous(&this, guard);
        }
        found
    }

    /// Puts the versions of up to `limit` more rows into an index that is not built yet; whether
    /// it is now. Only the writer calls it.
    pub(crate) fn build_step(&self, index: &FieldIndex, limit: u32) -> bool {
        let from = index.built.load(Ordering::Relaxed);
        if from == BUILT {
            return true;
        }
        let end = self.rows.end();
        let to = from.saturating_add(limit).min(end);
        self.accounted(|| (from..to).for_each(|row| self.build_row(index, row, true)));
        let built = if to == end { BUILT } else { to };
        index.built.store(built, Ordering::Release);
        if built == BUILT {
            self.replace_twin(index);
        }
        built == BUILT
    }

    /// Adds all kept versions of a row; to the account of the table's memory when the index is
    /// attached. What is too long for it or has no value is in no snapshot that it serves: those that
    /// are live were judged when it was defined.
    pub(super) fn build_row(&self, index: &FieldIndex, row: RowId, attached: bool) {
        let guard = &pin();
        let mut version = self.rows.head(row, guard);
        let mut spare = Vec::new();
        while let Some(this) = version {
            index.keys_of(&this, &mut spare, |bytes| {
                if index.check_key(this.key_bytes(), bytes.len()).is_err() {
                    return;
                }
                let hash = self.hash(bytes);
                let key = Key {
                    bytes,
                    hash,
                    version: &this,
                };
                let insert = |index: &FieldIndex| index.insert(key, row, false, guard);
                match attached {
                    true => self.change_index(index, insert),
                    false => insert(index),
                }
            });
            version = Rows::previous(&this, guard);
        }
    }

    /// Whether the documents that are live at `time` can be in an index; of those that cannot, the
    /// one with the smallest id is named.
    pub(crate) fn check_keys(&self, index: &FieldIndex, time: Timestamp) -> Result<(), Misfit> {
        let mut worst: Option<(Document, NoKey)> = None;
        let (mut bytes, mut ends) = (Vec::new(), Ends::new());
        self.scan(0, u64::MAX, |document| {
            bytes.clear();
            ends.clear();
            let pushed = index.push_keys(document.fields(), &mut bytes, &mut ends);
            let id = document.key_bytes();
            if let Err(no_key) = pushed.and_then(|_| index.check_length(id, 0, &ends))
                && document.is_live(time)
                && worst
                    .as_ref()
                    .is_none_or(|(worst, _)| id < worst.key_bytes())
            {
                worst = Some((document.clone(), no_key));
            }
            true
        });
        match worst {
            Some((document, no_key)) => Err(Misfit::NoKey(document, no_key)),
            None => Ok(()),
        }
    }

    /// Fills an index, not yet attached, with all kept versions. Where it is unique and documents
    /// of the newest state have the same key, it answers two of them: of the smallest such key
    /// the two smallest ids, wherever the documents' rows are. Only the writer calls it.
    pub(crate) fn fill_index(&self, index: &FieldIndex, time: Timestamp) -> Result<(), Misfit> {
        self.check_keys(index, time)?;
        let mut twice: Option<Vec<u8>> = None;
        for row in 0..self.rows.end() {
            let guard = &pin();
            let head = self.rows.head(row, guard);
            if let Some(head) = head.filter(|head| index.is_unique() && head.is_live(time))
                && let Some(key) = index.claim_of(&head)
                && twice.as_ref().is_none_or(|twice| key < *twice)
                && self
                    .unique_holder(index, (&key, self.hash(&key)), time, guard, |_| false)
                    .is_some()
            {
                twice = Some(key);
            }
            self.build_row(index, row, false);
        }
        let Some(twice) = twice else {
            return Ok(());
        };
        let guard = &pin();
        let mut holders = self.holders(index, &twice, time, guard).into_iter();
        match (holders.next(), holders.next()) {
            (Some(one), Some(other)) => Err(Misfit::Twice(Box::new((one, other)))),
            _ => unreachable!("two documents had this key a moment ago, and nobody writes"),
        }
    }
}
