//! Definitions of a transaction that is open.
//!
//! They are made at once, over a catalog of its own: so the transaction sees them, by the code that
//! sees all others, and nobody else does. At the commit they are made again, over the newest catalog, in
//! the one entry that the writes are in too, and judged there.
//!
//! New collections have provisional numbers, in the order in which they are made, and empty tables: what is
//! written to them is kept with the other writes. A table that others have is never touched: where
//! documents come to be others, or a unique index is made, the transaction has a copy of it, of the
//! documents that it has not written itself. Those it brings to the new definition one by one.
//!
//! When others define something meanwhile, the transaction's definitions are made again over that
//! ([`Transaction::begin_again`]). Tests: `tests::definitions`, and the embedded library's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use velocitydb_types::Timestamp;

use super::{Isolation, PENDING_BYTES, Pending, Transaction, Undo};
use crate::alter::{Prepared, migrated};
use crate::catalog::{Alteration, Catalog, Collection, CollectionId, DatabaseId, PROVISIONAL};
use crate::command::{Command, Refusal};
use crate::define::{Defining, Definitions, Scope, Writes};
use crate::error::Error;
use crate::store::{Document, FieldIndex, Link, Table};

/// What a transaction has defined.
pub(super) struct Private {
    /// What there was before.
    base: Arc<Catalog>,
    catalog: Arc<Catalog>,
    definitions: Vec<Command<'static>>,
    /// Tables that were made for them.
    prepared: Vec<Prepared>,
    /// What they take, about, in bytes.
    bytes: usize,
    /// How many collections it has created.
    created: u32,
    /// Why they cannot be made over what others have defined meanwhile.
    failed: Option<Refusal>,
}

impl Private {
    fn new(base: &Arc<Catalog>) -> Private {
        Private {
            base: Arc::clone(base),
            catalog: Arc::clone(base),
            definitions: Vec::new(),
            prepared: Vec::new(),
            bytes: 0,
            created: 0,
            failed: None,
        }
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Keeps the table that was just made of a collection, which `old` was before, for the commit.
    fn prepare(&mut self, old: &Collection, until: Option<u64>) {
        let (Some(base), Some(new)) = (self.base.by_id(old.id), self.catalog.by_id(old.id)) else {
            return;
        };
        let is_base = |table: &Arc<Table>| Arc::ptr_eq(table, &base.table);
        if is_base(&new.table) {
            return;
        }
        // One that comes of another is as old as that.
        let mut former = self.prepared.iter().rev();
        let former = former.find(|former| former.old.id == old.id);
        let until = match is_base(&old.table) {
            true => until,
            false => former.and_then(|former| former.until),
        };
        if until.is_some() {
            self.prepared.push(Prepared {
                at: self.definitions.len(),
                old: Arc::clone(base),
                table: Arc::clone(&new.table),
                until,
            });
        }
    }
}

/// How often tables are made anew for a commit, while others write to them.
const CATCH_UPS_MAX: usize = 3;

type Own = HashMap<CollectionId, BTreeMap<Box<[u8]>, Pending>>;

impl Writes for Own {
    fn leaves(&self, collection: CollectionId, key: &[u8]) -> Option<bool> {
        let pending = self.get(&collection)?.get(key)?;
        Some(pending.document.is_some())
    }

    fn touches(&self, collection: &Collection) -> bool {
        self.get(&collection.id).is_some_and(|own| !own.is_empty())
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::Refused {
        operation: 0,
        refusal,
    }
}

fn bytes_of(command: &Command<'_>) -> usize {
    PENDING_BYTES + command.encode(Timestamp(0)).len()
}

impl Transaction {
    /// Defines something: the transaction sees it at once, others after the commit. Collections are
    /// named by their numbers in [`Transaction::catalog`]. A collection is not emptied by
    /// [`Command::Truncate`] here: its documents are deleted.
    ///
    /// # Errors
    /// [`Error::Refused`] by what the transaction sees; by the commit too, if that is not so any more.
    /// What one transaction may keep, and what the database may.
    pub fn define(&mut self, command: Command<'static>) -> Result<(), Error> {
        let bytes = bytes_of(&command);
        self.check_kept(2 * bytes)?;
        let altered = altered(&command).and_then(|id| self.catalog().by_id(id).cloned());
        if let Some(old) = &altered {
            self.check_unchanged(old)?;
            self.engine.fits(old.bytes().total())?;
        }
        let mut private = self.private.take();
        let made = {
            let private = private.get_or_insert_with(|| Private::new(self.snapshot.catalog()));
            self.make(private, &command)
        };
        // Before anything that may fail: it is undone by what is below then.
        self.private = private.filter(|private| !private.definitions.is_empty() || made.is_ok());
        let change = made.map_err(refused)?;
        let before = self.definition_count();
        if let Some(private) = &mut self.private {
            private.definitions.push(command);
            private.bytes += bytes;
            self.kept += bytes;
        }
        for (database, name) in names(&change) {
            let key = database.key(&name);
            let key = key.map_err(|error| refused(Refusal::BadDefinition(error.to_string())))?;
            let undo = Undo::Defined {
                database,
                key: key.as_bytes().into(),
                name: name.into(),
                before,
            };
            self.undo_kept += undo.bytes();
            self.undo.push(undo);
        }
        let since = self.savepoint();
        let settled = match (&change, altered) {
            (Definitions::Attach(..) | Definitions::Altered(..), Some(old)) => self.bring(&old),
            _ => Ok(()),
        };
        if settled.is_err() {
            self.roll_back_to(since)?;
            self.undo.retain(|undo| match undo {
                Undo::Defined { before: at, .. } => *at < before,
                Undo::Written(..) => true,
            });
            self.undefine(before);
        }
        settled
    }

    /// How often it has defined something. Changes with each definition, and when they are made again or
    /// undone; 0: there is none.
    pub fn definitions(&self) -> u64 {
        let private = self.private.as_ref();
        private.map_or(0, |private| private.catalog.changed_at())
    }

    fn definition_count(&self) -> usize {
        let private = self.private.as_ref();
        private.map_or(0, |private| private.definitions.len())
    }

    fn make(&self, private: &mut Private, command: &Command<'_>) -> Result<Definitions, Refusal> {
        let old = altered(command).and_then(|id| private.catalog.by_id(id).cloned());
        let expires = |old: &Collection| old.table.next_expiry(Timestamp(i64::MIN)).is_some();
        let lasting = old.as_ref().filter(|old| !expires(old));
        let until = lasting.map(|old| self.engine.changed(old));
        let mut defining = Defining {
            shared: self.engine.shared(),
            prepared: &[],
            at: 0,
            scope: Scope::Private,
            base: Arc::clone(&private.base),
            catalog: Arc::clone(&private.catalog),
            index: self.engine.next_private(),
            time: self.began,
            resolved_at: Some(u64::MAX),
            first: PROVISIONAL,
            created: private.created,
            writes: &self.writes,
        };
        let made = defining.make(command)?;
        private.created = defining.created;
        private.catalog = defining.catalog;
        if let Some(old) = old {
            private.prepare(&old, until);
        }
        Ok(made)
    }

    /// Makes the tables anew that others have written to since, for the commit: it is made while all
    /// others wait, and shall find them ready.
    pub(super) fn catch_up(&mut self) {
        for _ in 0..CATCH_UPS_MAX {
            let mut prepared = self.private.iter().flat_map(|private| &private.prepared);
            let engine = &self.engine;
            if !prepared.any(|one| one.until != Some(engine.changed(&one.old))) {
                break;
            }
            self.undefine(self.definition_count());
        }
    }

    /// Makes the definitions again when others have defined something since, or have changed a document
    /// which a statement has found in a table of its own: that statement is run again.
    pub(super) fn define_again(&mut self) {
        let outdated = std::mem::take(self.outdated.get_mut());
        let base = self.snapshot.catalog();
        let changed = |private: &&Private| outdated || !Arc::ptr_eq(&private.base, base);
        if self
            .private
            .as_ref()
            .is_some_and(|private| changed(&private))
        {
            self.undefine(self.definition_count());
        }
    }

    /// Goes back to so many definitions, over the catalog of now.
    pub(super) fn undefine(&mut self, count: usize) {
        let Some(former) = self.private.take() else {
            return;
        };
        self.kept -= former.bytes;
        self.claims.clear();
        let mut private = Private::new(self.snapshot.catalog());
        for command in former.definitions.into_iter().take(count) {
            if private.failed.is_none()
                && let Err(refusal) = self.make(&mut private, &command)
            {
                private.failed = Some(refusal);
            }
            private.bytes += bytes_of(&command);
            private.definitions.push(command);
        }
        self.kept += private.bytes;
        self.private = (count > 0).then_some(private);
        let written: Vec<_> = self.writes.keys().copied().collect();
        for id in written {
            if let Some(collection) = self.catalog().by_id(id).cloned() {
                self.claim(&collection);
            }
        }
    }

    /// Refuses to go on when its definitions cannot be made any more.
    pub(super) fn check_defined(&self) -> Result<(), Error> {
        let private = self.private.as_ref();
        match private.and_then(|private| private.failed.clone()) {
            None => Ok(()),
            Some(refusal) => Err(refused(refusal)),
        }
    }

    /// The definitions, for the commit.
    pub(super) fn take_definitions<'a>(&mut self) -> (Vec<Command<'a>>, Vec<Prepared>) {
        let Some(private) = &mut self.private else {
            return (Vec::new(), Vec::new());
        };
        let definitions = std::mem::take(&mut private.definitions).into_iter();
        let prepared = std::mem::take(&mut private.prepared);
        (definitions.map(of_entry).collect(), prepared)
    }

    /// Whether an index that is still in the table is none of the collection's any more.
    pub(super) fn has_dropped(&self, collection: &Collection, index: &FieldIndex) -> bool {
        self.private.is_some() && !collection.has_index(index.definition())
    }

    /// Where one state is read, a collection that is altered has to be as it was there.
    fn check_unchanged(&self, collection: &Collection) -> Result<(), Error> {
        let changes = self.isolation != Isolation::ReadCommitted;
        match changes && self.snapshot.changed(collection).is_none() {
            true => Err(refused(Refusal::Conflict)),
            false => Ok(()),
        }
    }

    /// Brings the documents that it has written to what their collection is now.
    fn bring(&mut self, old: &Arc<Collection>) -> Result<(), Error> {
        let Some(new) = self.catalog().by_id(old.id).cloned() else {
            return Ok(());
        };
        let private = self.private.as_ref();
        let last = private.and_then(|private| private.definitions.last());
        if let Some(Command::Alter(_, alteration)) = last.cloned() {
            self.migrate(old, &alteration)?;
        }
        self.claim(&new);
        let own: Vec<Box<[u8]>> = self.own(old.id).map(|own| own.key_bytes().into()).collect();
        let is_same = |one: &Collection| one.references == old.references;
        for key in own {
            if let Some((_, other)) = self.taken(&new, &key) {
                let index = new.table.indexes();
                let both = self
                    .written(new.id, &key)
                    .flatten()
                    .map(|own| (own.clone(), other));
                let shared = both.and_then(|both| {
                    let mut unique = index.iter();
                    let unique = unique.find(|unique| {
                        let claim = unique.claim_of(&both.0);
                        claim.is_some() && claim == unique.claim_of(&both.1)
                    })?;
                    Some(crate::stage::duplicate(unique, &both))
                });
                return Err(refused(shared.unwrap_or(Refusal::Conflict)));
            }
            if !is_same(&new) {
                self.check_references(&new, &key)?;
            }
        }
        Ok(())
    }

    fn migrate(&mut self, old: &Collection, alteration: &Alteration) -> Result<(), Error> {
        let migration = alteration.migration(&old.definition).map_err(refused)?;
        let own = self.writes.get(&old.id).into_iter().flatten();
        let own: Vec<_> = own
            .map(|(key, pending)| (key.clone(), pending.clone()))
            .collect();
        for (key, pending) in own {
            let Some(document) = &pending.document else {
                continue;
            };
            let fields = migrated(old, &migration, alteration.at, document).map_err(refused)?;
            let Some(fields) = fields else { continue };
            let meta = document.meta();
            let document = Document::new(&key, &meta, Some(fields.as_bytes()), Link::None);
            let brought = Pending {
                document: Some(document),
                ..pending.clone()
            };
            self.replace((old.id, key), Some(pending), brought)?;
        }
        Ok(())
    }

    /// Notes anew which keys of unique indexes the written documents of a collection have.
    fn claim(&mut self, collection: &Collection) {
        self.claims.retain(|(id, _, _), _| *id != collection.id);
        let own = self.writes.get(&collection.id).into_iter().flatten();
        let indexes = collection.table.indexes();
        for (key, pending) in own {
            let Some(document) = &pending.document else {
                continue;
            };
            for (position, unique) in indexes.iter().enumerate() {
                if let Some(claim) = unique.claim_of(document) {
                    let claimants = self.claims.entry((collection.id, position, claim));
                    claimants.or_default().push(key.clone());
                }
            }
        }
    }
}

/// A definition, in an entry that borrows.
fn of_entry<'a>(definition: Command<'static>) -> Command<'a> {
    match definition {
        Command::CreateCollection(database, definition) => {
            Command::CreateCollection(database, definition)
        }
        Command::DropCollection(id) => Command::DropCollection(id),
        Command::Truncate(id) => Command::Truncate(id),
        Command::CreateIndex(id, index) => Command::CreateIndex(id, index),
        Command::DropIndex(id, name) => Command::DropIndex(id, name),
        Command::Alter(id, alteration) => Command::Alter(id, alteration),
        Command::Write(_)
        | Command::Tick
        | Command::CreateDatabase(_)
        | Command::AlterDatabase(..)
        | Command::DropDatabase(_)
        | Command::Transaction { .. } => {
            unreachable!("it is refused as a definition")
        }
    }
}

/// The collections that were there and get an index.
pub(super) fn indexed(definitions: &[Command<'_>]) -> Vec<CollectionId> {
    let ids = definitions
        .iter()
        .filter_map(|definition| match definition {
            Command::CreateIndex(id, _) if !id.is_provisional() => Some(*id),
            _ => None,
        });
    ids.collect()
}

/// The collection that a command changes, with documents that may be there.
fn altered(command: &Command<'_>) -> Option<CollectionId> {
    match command {
        Command::Alter(id, _) | Command::CreateIndex(id, _) | Command::DropIndex(id, _) => {
            Some(*id)
        }
        _ => None,
    }
}

/// The names that a definition is about.
fn names(change: &Definitions) -> Vec<(DatabaseId, String)> {
    let name = |one: &Arc<Collection>| (one.database, one.definition.name.clone());
    match change {
        Definitions::Put(one)
        | Definitions::Attach(one, _)
        | Definitions::Detach(one, _)
        | Definitions::Empty(one)
        | Definitions::Remove(one) => vec![name(one)],
        Definitions::Altered(all) => {
            let mut names: Vec<_> = all
                .iter()
                .flat_map(|(old, new)| [name(old), name(new)])
                .collect();
            names.sort();
            names.dedup();
            names
        }
        Definitions::PutDatabase(..) | Definitions::RemoveDatabase(..) => Vec::new(),
    }
}
