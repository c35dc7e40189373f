//! The databases of one store: namespaces over one log.
//!
//! `velocity` is there for those who name none, `postgres` for clients that expect it; others come
//! and go. Each has collections, sequences, schemas, notifications and advisory locks of its own;
//! memory, checkpoints and background work are of all. Tests: tests/it/databases.rs.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use velocitydb_engine::Error;
use velocitydb_engine::catalog::{CollectionId, DatabaseDefinition, DatabaseId};
use velocitydb_engine::command::Command;

use crate::database::{Answer, Database, Inner, Store, View};
use crate::notifications::Notifications;
use crate::options::Call;
use crate::sequences::Sequences;
use crate::temporary::is_temporary;

/// What belongs to one database while the store is open.
pub(crate) struct Namespace {
    pub(crate) id: DatabaseId,
    pub(crate) sequences: Sequences,
    pub(crate) notifications: Notifications,
    /// Those who have it in use ([`Database::enter`]). Held while it is dropped or renamed.
    guests: Mutex<Guests>,
    /// One of them has left.
    left: Condvar,
}

#[derive(Default)]
struct Guests {
    /// What asks each to leave, by a number.
    inside: BTreeMap<u64, Box<dyn Fn() + Send + Sync>>,
    next: u64,
    /// Nobody comes any more.
    closed: bool,
}

/// How long [`Database::drop_database_with_force`] waits for those whom it asks to leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// Somebody who has a database in use: it is not dropped while this lives.
#[must_use]
pub struct Guest {
    namespace: Arc<Namespace>,
    number: u64,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let gone = self.namespace.guests.lock().inside.remove(&self.number);
        self.namespace.left.notify_all();
        // Not under the lock: it is the guest's own.
        drop(gone);
    }
}

impl Database {
    pub(crate) fn of(store: &Arc<Store>, id: DatabaseId) -> Database {
        let new = || {
            Arc::new(Namespace {
                id,
                sequences: Sequences::default(),
                notifications: Notifications::new(),
                guests: Mutex::default(),
                left: Condvar::new(),
            })
        };
        let namespace = match store.databases.lock().entry(id) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            // Of one that was dropped nothing is kept.
            Entry::Vacant(_) if store.engine.catalog().database_definition(id).is_none() => new(),
            Entry::Vacant(place) => Arc::clone(place.insert(new())),
        };
        Database(Arc::new(Inner {
            store: Arc::clone(store),
            namespace,
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
        found.ok_or_else(|| self.0.gone())
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

    /// All databases of the store, as handles, by number.
    pub fn every_database(&self) -> Vec<(String, Database)> {
        let all = self.databases().into_iter();
        all.map(|(id, definition)| (definition.name, Database::of(&self.0.store, id)))
            .collect()
    }

    /// The database that a collection is in, whichever it is.
    pub fn database_of(&self, collection: CollectionId) -> Option<DatabaseId> {
        let catalog = self.0.engine.catalog();
        catalog.by_id(collection).map(|found| found.database)
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
        let database = Database::of(&self.0.store, id);
        let guests = database.0.namespace.guests.lock();
        database.check_name(name)?;
        if renamed && !guests.inside.is_empty() {
            return Err(in_use(name, &guests));
        }
        let written = self
            .0
            .define(Command::AlterDatabase(id, definition), call)?;
        Ok(Answer::of((), &written, call))
    }

    /// Drops the database of this name with all that is in it.
    ///
    /// # Errors
    /// There is none; it is `velocity` or `postgres`, which are always there; somebody has it in use
    /// ([`Database::enter`]).
    pub fn drop_database(&self, name: &str, call: &Call) -> Result<Answer<()>, Error> {
        let id = self.database_id(name)?;
        let database = Database::of(&self.0.store, id);
        let guests = database.0.namespace.guests.lock();
        database.check_name(name)?;
        match guests.inside.is_empty() {
            true => self.remove(id, call),
            false => Err(in_use(name, &guests)),
        }
    }

    /// As [`Database::drop_database`]; those who have it in use are asked to leave, which they may
    /// take some seconds for.
    ///
    /// # Errors
    /// There is none; it is always there; somebody has not left.
    pub fn drop_database_with_force(&self, name: &str, call: &Call) -> Result<Answer<()>, Error> {
        let id = self.database_id(name)?;
        // Nobody leaves for nothing.
        self.0.engine.catalog().check_droppable(id)?;
        let database = Database::of(&self.0.store, id);
        let (namespace, until) = (&database.0.namespace, Instant::now() + LEAVE_WITHIN);
        let mut guests = namespace.guests.lock();
        guests.closed = true;
        guests.inside.values().for_each(|leave| leave());
        while !guests.inside.is_empty() {
            if namespace.left.wait_until(&mut guests, until).timed_out() {
                break;
            }
        }
        guests.closed = false;
        if !guests.inside.is_empty() {
            return Err(in_use(name, &guests));
        }
        database.check_name(name)?;
        self.remove(id, call)
    }

    /// Refuses a name that it had a moment ago.
    fn check_name(&self, name: &str) -> Result<(), Error> {
        match self.name() {
            Ok(present) if present == name => Ok(()),
            _ => Err(Error::UnknownDatabase(name.to_owned())),
        }
    }

    fn remove(&self, id: DatabaseId, call: &Call) -> Result<Answer<()>, Error> {
        let written = self.0.define(Command::DropDatabase(id), call)?;
        self.0.databases.lock().remove(&id);
        Ok(Answer::of((), &written, call))
    }

    /// Keeps the database from being dropped or renamed for as long as the answer lives. `leave` asks
    /// to give that up; it neither waits nor does so itself.
    ///
    /// # Errors
    /// It was dropped; those who have it in use are being sent away.
    pub fn enter(&self, leave: impl Fn() + Send + Sync + 'static) -> Result<Guest, Error> {
        let namespace = &self.0.namespace;
        let mut guests = namespace.guests.lock();
        // Nobody drops it meanwhile.
        let name = self.name()?;
        if guests.closed {
            return Err(in_use(&name, &guests));
        }
        let number = guests.next;
        guests.next += 1;
        guests.inside.insert(number, Box::new(leave));
        Ok(Guest {
            namespace: Arc::clone(namespace),
            number,
        })
    }

    /// How many have it in use ([`Database::enter`]).
    pub fn guests(&self) -> usize {
        self.0.namespace.guests.lock().inside.len()
    }
}

fn in_use(name: &str, guests: &Guests) -> Error {
    Error::DatabaseInUse {
        name: name.to_owned(),
        guests: guests.inside.len(),
    }
}

impl Inner {
    /// Refuses what cannot be done in a database that was dropped.
    pub(crate) fn check_present(&self) -> Result<(), Error> {
        let id = self.namespace.id;
        match id.is_lasting() || self.engine.catalog().database_definition(id).is_some() {
            true => Ok(()),
            false => Err(self.gone()),
        }
    }

    fn gone(&self) -> Error {
        Error::UnknownDatabase(format!("number {}", self.namespace.id.0))
    }
}

impl View {
    /// All databases as they were, by number.
    pub fn databases(&self) -> Vec<(DatabaseId, DatabaseDefinition)> {
        let all = self.snapshot.catalog().databases();
        all.map(|(id, definition)| (id, definition.clone()))
            .collect()
    }

    /// The same moment in another database.
    pub fn of_database(&self, database: DatabaseId) -> View {
        View {
            database,
            ..self.clone()
        }
    }

    /// The names of all lasting collections as they were: of none that is a session's.
    pub fn collection_names(&self) -> Vec<String> {
        let all = self.snapshot.catalog().collections_of(self.database);
        let names = all.map(|one| one.definition.name.as_str());
        let lasting = names.filter(|name| !is_temporary(name));
        lasting.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_of_a_dropped_database() {
        let db = Database::in_memory().unwrap();
        let made = db.create_database(DatabaseDefinition::new("shop"), &Call::new());
        let id = made.unwrap().value.id();
        db.drop_database("shop", &Call::new()).unwrap();
        // Who found its number before it was dropped.
        let late = Database::of(&db.0.store, id);
        assert!(late.name().is_err() && late.enter(|| ()).is_err());
        assert!(!db.0.store.databases.lock().contains_key(&id));
    }
}
