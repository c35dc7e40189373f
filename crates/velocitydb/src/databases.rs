//! The databases of one store: namespaces over one log.
//!
//! `velocity` is there for those who name none, `postgres` for clients that expect it; others come
//! and go. Each has collections, sequences, schemas, notifications and advisory locks of its own;
//! memory, checkpoints and background work are of all. Tests: tests/it/databases.rs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use velocitydb_engine::Error;
use velocitydb_engine::catalog::{DatabaseDefinition, DatabaseId};
use velocitydb_engine::command::Command;

use crate::database::{Answer, Database, Inner, Store};
use crate::notifications::Notifications;
use crate::options::Call;
use crate::sequences::Sequences;

/// What belongs to one database while the store is open.
pub(crate) struct Namespace {
    pub(crate) id: DatabaseId,
    pub(crate) sequences: Sequences,
    pub(crate) notifications: Notifications,
    /// Those who have it in use ([`Database::enter`]).
    guests: AtomicUsize,
}

/// Somebody who has a database in use: it is not dropped while this lives.
#[must_use]
pub struct Guest(Arc<Namespace>);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::Release);
    }
}

impl Database {
    pub(crate) fn of(store: &Arc<Store>, id: DatabaseId) -> Database {
        let mut databases = store.databases.lock();
        let namespace = databases.entry(id).or_insert_with(|| {
            Arc::new(Namespace {
                id,
                sequences: Sequences::default(),
                notifications: Notifications::new(),
                guests: AtomicUsize::new(0),
            })
        });
        Database(Arc::new(Inner {
            store: Arc::clone(store),
            namespace: Arc::clone(namespace),
        }))
    }

    /// Its number: no other database has had it, nor will.
    pub fn id(&self) -> DatabaseId {
        self.0.namespace.id
    }

    /// Its name.
    ///
    /// # Errors
    /// It was dropped.
    pub fn name(&self) -> Result<String, Error> {
        let catalog = self.0.engine.catalog();
        let found = catalog.database_definition(self.id());
        let found = found.map(|definition| definition.name.clone());
        found.ok_or_else(|| Error::UnknownDatabase(format!("number {}", self.id().0)))
    }

    /// Another database of the same store, or this one.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn database(&self, name: &str) -> Result<Database, Error> {
        Ok(Database::of(&self.0.store, self.database_id(name)?))
    }

    fn database_id(&self, name: &str) -> Result<DatabaseId, Error> {
        let found = self.0.engine.catalog().database(name);
        found.ok_or_else(|| Error::UnknownDatabase(name.to_owned()))
    }

    /// All databases of the store, by number.
    pub fn databases(&self) -> Vec<(DatabaseId, DatabaseDefinition)> {
        let catalog = self.0.engine.catalog();
        let all = catalog.databases();
        all.map(|(id, definition)| (id, definition.clone()))
            .collect()
    }

    /// Creates a database beside this one.
    ///
    /// # Errors
    /// There is one of this name, or it can be none.
    pub fn create_database(
        &self,
        definition: DatabaseDefinition,
        call: &Call,
    ) -> Result<Answer<Database>, Error> {
        let name = definition.name.clone();
        let written = self.0.define(Command::CreateDatabase(definition), call)?;
        Ok(Answer::of(self.database(&name)?, &written, call))
    }

    /// Gives the database of this name another definition, say another name.
    ///
    /// # Errors
    /// There is none, or one of the new name; a lasting one would get another name; somebody has it
    /// in use and it would.
    pub fn alter_database(
        &self,
        name: &str,
        definition: DatabaseDefinition,
        call: &Call,
    ) -> Result<Answer<()>, Error> {
        let id = self.database_id(name)?;
        let renamed = definition.name != name;
        self.unless_in_use(name, id, renamed, || {
            let written = self
                .0
                .define(Command::AlterDatabase(id, definition), call)?;
            Ok(Answer::of((), &written, call))
        })
    }

    /// Drops the database of this name with all that is in it.
    ///
    /// # Errors
    /// There is none; it is `velocity` or `postgres`, which are always there; somebody has it in use
    /// ([`Database::enter`]).
    pub fn drop_database(&self, name: &str, call: &Call) -> Result<Answer<()>, Error> {
        let id = self.database_id(name)?;
        let answer = self.unless_in_use(name, id, true, || {
            let written = self.0.define(Command::DropDatabase(id), call)?;
            Ok(Answer::of((), &written, call))
        })?;
        self.0.databases.lock().remove(&id);
        Ok(answer)
    }

    /// Keeps the database from being dropped or renamed for as long as the answer lives.
    ///
    /// # Errors
    /// It was dropped.
    pub fn enter(&self) -> Result<Guest, Error> {
        let namespace = &self.0.namespace;
        // Nobody drops it meanwhile.
        let _databases = self.0.databases.lock();
        let _name = self.name()?;
        namespace.guests.fetch_add(1, Ordering::Acquire);
        Ok(Guest(Arc::clone(namespace)))
    }

    /// How many have it in use ([`Database::enter`]).
    pub fn guests(&self) -> usize {
        self.0.namespace.guests.load(Ordering::Acquire)
    }

    fn unless_in_use<T>(
        &self,
        name: &str,
        id: DatabaseId,
        matters: bool,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let databases = self.0.databases.lock();
        let guests = databases.get(&id);
        let guests = guests.map_or(0, |one| one.guests.load(Ordering::Acquire));
        match guests {
            guests if matters && guests > 0 => Err(Error::DatabaseInUse {
                name: name.to_owned(),
                guests,
            }),
            _ => work(),
        }
    }
}
