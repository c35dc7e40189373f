//! A collection's documents, brought to another definition beside running writers.
//!
//! The documents are copied into a new table, converted, while writers go on with the old one;
//! what they change meanwhile is noted there ([`Table::watch`]) and taken over. Only the last of
//! it is taken over while writers wait. The entry of the log then exchanges the tables: whoever
//! reads sees all documents as they were or all as they are then. Replay does the same with
//! nobody beside it. It looks at the documents that are live at the time of the entry, which are
//! among those that were looked at before it was logged. What the entry does depends on the state
//! before it alone: an entry whose documents do not fit is never logged.
//!
//! Tests: `alter` and `retention` in the embedded library's tests/it, `tests::alter`, `tests::replay`.

use std::sync::Arc;

use velocitydb_types::{Fields, Key, Migration, RawMap, Timestamp};

use crate::catalog::{Alteration, Collection, PrimaryKey};
use crate::command::Refusal;
use crate::memory::Memory;
use crate::stage::{duplicate, index_key, misfit};
use crate::store::{Document, FieldIndex, Table};

/// Documents copied between two looks at what writers have changed.
const STEP: usize = 1024;

/// A table in the making.
pub(crate) struct Builder<'a> {
    old: Arc<Collection>,
    alteration: &'a Alteration,
    migration: Migration<'a>,
    /// What has expired by then is not looked at.
    time: Timestamp,
    new: Arc<Table>,
    /// The new table's account until it is one of the database's.
    memory: Arc<Memory>,
    /// Whether a document differs from what it was.
    changed: bool,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        old: &Arc<Collection>,
        alteration: &'a Alteration,
        time: Timestamp,
        seed: u64,
    ) -> Result<Builder<'a>, Refusal> {
        let memory = Arc::new(Memory::new(None));
        Ok(Builder {
            migration: alteration.migration(&old.definition)?,
            old: Arc::clone(old),
            alteration,
            time,
            new: Arc::new(Table::new(seed, Arc::clone(&memory))),
            memory,
            changed: false,
        })
    }

    /// The memory that the new table takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.memory.used() as usize
    }

    /// Copies all documents; `pause` is called now and then. Of those that do not fit, the one with
    /// the smallest id is named, whatever the order of rows: it is the same on each node.
    pub(crate) fn copy<E: From<Refusal>>(
        &mut self,
        pause: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.copy_if(|_| true, pause)
    }

    /// As [`Builder::copy`], only the documents of ids that are wanted.
    pub(crate) fn copy_if<E: From<Refusal>>(
        &mut self,
        wanted: impl Fn(&[u8]) -> bool,
        mut pause: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let old = Arc::clone(&self.old);
        let mut from = Some(0);
        let mut misfit: Option<(Document, Refusal)> = None;
        while let Some(row) = from {
            let mut step = Vec::with_capacity(STEP);
            from = old.table.scan(row, u64::MAX, |document| {
                if wanted(document.key_bytes()) {
                    step.push(document.clone());
                }
                step.len() < STEP
            });
            for document in step {
                let taken = match &misfit {
                    None => self.take(&document),
                    // Nothing is made any more: there is only to see whether it fits.
                    Some((first, _)) => match document.key_bytes() < first.key_bytes() {
                        true if document.is_live(self.time) => self.migrate(&document).map(|_| ()),
                        _ => Ok(()),
                    },
                };
                if let Err(refusal) = taken {
                    misfit = Some((document, refusal));
                }
            }
            if misfit.is_none() {
                pause(self)?;
            }
        }
        match misfit {
            None => Ok(()),
            Some((_, refusal)) => Err(refusal.into()),
        }
    }

    /// Takes over what writers have changed since the last time.
    pub(crate) fn catch_up(&mut self) -> Result<usize, Refusal> {
        let changes = self.old.table.take_changes();
        for version in &changes {
            self.take(version)?;
        }
        // Afterwards: documents that exchange their values in one entry come one by one.
        for version in changes.iter().filter(|version| !version.is_tombstone()) {
            self.check_unique(version.key_bytes())?;
        }
        Ok(changes.len())
    }

    /// From here on what has expired by `time`, that of the entry, is not there: replay does not find
    /// it either, whatever the new definition says of when it expires.
    pub(crate) fn advance(&mut self, time: Timestamp) -> Result<(), Refusal> {
        let since = std::mem::replace(&mut self.time, time);
        for version in self.old.table.expired_between(since, time) {
            self.take(&version)?;
        }
        Ok(())
    }

    /// Makes the indexes of the new definition; from here on they are kept.
    pub(crate) fn index(&mut self) -> Result<(), Refusal> {
        for definition in self.alteration.definition.all_indexes() {
            let index = FieldIndex::new(definition);
            let fits = self.new.fill_index(&index, self.time);
            fits.map_err(|why| misfit(&index, why))?;
            self.new.attach_index(Arc::new(index));
        }
        Ok(())
    }

    /// The table: the old one when it has all that the new one would have.
    pub(crate) fn finish(mut self, memory: &Arc<Memory>) -> Arc<Table> {
        let (old, new) = (&self.old.definition, &self.alteration.definition);
        if !self.changed && old.all_indexes().eq(new.all_indexes()) {
            return Arc::clone(&self.old.table);
        }
        self.new.set_changed(self.old.table.changed());
        let table = Arc::get_mut(&mut self.new).expect("nobody else has it yet");
        table.join(Arc::clone(memory));
        self.new
    }

    /// Takes over one version of a document.
    fn take(&mut self, version: &Document) -> Result<(), Refusal> {
        let fields = match version.is_live(self.time) {
            true => Some(self.migrate(version)?),
            false => None,
        };
        let fields = fields.as_ref().map(|fields| match fields {
            Some(fields) => fields.as_raw(),
            None => version.fields(),
        });
        let retention = self.alteration.definition.retention();
        let expires_at = fields.and_then(|fields| self.old.expiry(version, fields, retention));
        self.changed |= fields.is_some() && expires_at != version.expires_at();
        // A retention may be over for it already.
        let kept = fields.filter(|_| expires_at.is_none_or(|at| at > self.time));
        let put = self
            .new
            .put(version, kept.map(RawMap::as_bytes), expires_at);
        put.map_err(|long| index_key(Some(version.id().to_string()), long))
    }

    fn migrate(&mut self, version: &Document) -> Result<Option<Fields>, Refusal> {
        let fields = migrated(&self.old, &self.migration, self.alteration.at, version)?;
        self.changed |= fields.is_some();
        Ok(fields)
    }

    fn check_unique(&self, key: &[u8]) -> Result<(), Refusal> {
        let guard = &crossbeam_epoch::pin();
        let Some(present) = self.new.newest(self.new.hash(key), key, guard) else {
            return Ok(());
        };
        for unique in self.new.indexes().iter() {
            let Some(value) = unique.claim_of(&present.version) else {
                continue;
            };
            let own = |row| row == present.row;
            let of = (&value[..], self.new.hash(&value));
            if let Some(other) = self.new.unique_holder(unique, of, self.time, guard, own) {
                return Err(duplicate(unique, &(present.version, other)));
            }
        }
        Ok(())
    }
}

/// The fields of a document under another definition of its collection; `None`: they are the same.
pub(crate) fn migrated(
    old: &Collection,
    migration: &Migration<'_>,
    at: Timestamp,
    version: &Document,
) -> Result<Option<Fields>, Refusal> {
    let migrated = migration.apply(version.fields(), at);
    let fields = migrated.map_err(|error| Refusal::Migration {
        id: version.id().to_string(),
        error: Box::new(error),
    })?;
    let key_fields = old.definition.primary_key.iter();
    for name in key_fields.flat_map(PrimaryKey::fields) {
        let Some(fields) = &fields else { break };
        let value = |fields: RawMap<'_>| fields.get(name).map(|value| value.to_value());
        let before = value(version.fields()).unwrap_or_default();
        let value = value(fields.as_raw()).unwrap_or_default();
        if Key::from_value(&value) != Key::from_value(&before) {
            return Err(Refusal::AlteredKey {
                id: version.id().to_string(),
                field: name.to_string(),
                value: format!("{} {}", value.type_name(), value.to_json()),
            });
        }
    }
    Ok(fields)
}

/// A table that was made for a definition of an entry.
#[derive(Clone)]
pub(crate) struct Prepared {
    /// Which definition of the entry it is, from 0.
    pub(crate) at: usize,
    /// The collection as it was before the entry.
    pub(crate) old: Arc<Collection>,
    pub(crate) table: Arc<Table>,
    /// When nobody has taken over what came later: the log index up to which the collection had
    /// changed. None of its documents expired.
    pub(crate) until: Option<u64>,
}

impl Prepared {
    /// Whether it is what is made now of the collection, which was `before` the entry.
    pub(crate) fn fits(&self, before: Option<&Arc<Collection>>) -> bool {
        let same = before.is_some_and(|before| Arc::ptr_eq(before, &self.old));
        let changed = self.old.table.changed();
        same && self.until.is_none_or(|until| until == changed)
    }
}

/// Notes what writers change, for as long as it lives.
pub(crate) struct Watch(Arc<Collection>);

impl Watch {
    /// Called under the writer lock. `None` when somebody else does it already.
    pub(crate) fn start(collection: &Arc<Collection>) -> Option<Watch> {
        let started = collection.table.watch();
        started.then(|| Watch(Arc::clone(collection)))
    }

    pub(crate) fn collection(&self) -> Arc<Collection> {
        Arc::clone(&self.0)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.table.unwatch();
    }
}
