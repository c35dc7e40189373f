//! Temporary tables: those of one session, in a schema of its own.
//!
//! The schema is `pg_temp_N`, which the session may call `pg_temp`. It is looked in before any of
//! the search path, and no other session finds it. The tables are logged collections
//! ([`velocitydb::is_temporary`]), so that a transaction may change others with them. They go with
//! the session; rows of those that say ON COMMIT DELETE ROWS after each transaction.
//! Tests: tests/it/temporary.rs, tests/it/slt/temporary.slt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sqlparser::ast::ObjectName;
use velocitydb::{Database, Error, Isolation, TEMPORARY, is_temporary};

use crate::error::{SqlError, sqlstate};
use crate::search_path::in_schema;
use crate::session::Runtime;
use crate::statement::collection_name;
use crate::statement::define::empty;

/// What a session knows of its temporary tables. Clones share it; the default is nobody's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Temporary(Option<Arc<Own>>);

#[derive(Debug)]
struct Own {
    schema: String,
    /// How often there was another table: what was bound before may mean that one now.
    made: AtomicU64,
    /// Those that lose their rows after each transaction.
    emptied: Mutex<BTreeSet<String>>,
}

/// Of one session.
impl PartialEq for Temporary {
    fn eq(&self, other: &Temporary) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Temporary {}

impl Temporary {
    /// Of a new session.
    pub(crate) fn new() -> Temporary {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Temporary(Some(Arc::new(Own {
            schema: format!("{TEMPORARY}{number}"),
            made: AtomicU64::new(0),
            emptied: Mutex::default(),
        })))
    }

    /// The schema, once a table was made in it.
    pub(crate) fn in_use(&self) -> Option<&str> {
        let own = self.0.as_ref()?;
        (own.made.load(Ordering::Relaxed) > 0).then_some(&*own.schema)
    }

    /// Changes when names may mean others than before.
    pub(crate) fn made(&self) -> u64 {
        let own = self.0.as_ref();
        own.map_or(0, |own| own.made.load(Ordering::Relaxed))
    }

    /// The collection of a name with a schema; `None` when it is another session's.
    pub(crate) fn resolved(&self, collection: String) -> Option<String> {
        let Some(own) = &self.0 else {
            return Some(collection);
        };
        match collection.strip_prefix("pg_temp.") {
            Some(table) => Some(in_schema(&own.schema, table)),
            None if is_temporary(&collection) && !own.has(&collection) => None,
            None => Some(collection),
        }
    }

    /// The name of a new temporary table that a statement calls so.
    ///
    /// # Errors
    /// It names another schema.
    pub(crate) fn new_name(&self, name: &ObjectName) -> Result<String, SqlError> {
        let invalid = |message| Err(SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message));
        let given = collection_name(name)?;
        let Some(own) = &self.0 else {
            return invalid("temporary tables are of a session");
        };
        if name.0.len() == 1 {
            return Ok(in_schema(&own.schema, &given));
        }
        match self.resolved(given).filter(|name| own.has(name)) {
            Some(name) => Ok(name),
            None => invalid("cannot create temporary relation in non-temporary schema"),
        }
    }

    /// Notes that there is another table; whether it loses its rows after each transaction.
    pub(crate) fn note(&self, table: &str, is_emptied: bool) {
        if let Some(own) = &self.0 {
            let mut emptied = own.emptied.lock();
            match is_emptied {
                true => emptied.insert(table.to_owned()),
                false => emptied.remove(table),
            };
            own.made.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that one is called otherwise.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        let own = self.0.as_ref();
        let is_emptied = own.is_some_and(|own| own.emptied.lock().remove(from));
        self.note(to, is_emptied);
    }

    /// Takes the rows of those that lose them, at the end of a transaction.
    pub(crate) fn end_transaction(&self, database: &Database) -> Result<(), Error> {
        if self.in_use().is_none() {
            return Ok(());
        }
        let tables = self.0.as_ref().map(|own| own.emptied.lock().clone());
        let mut tables = tables.unwrap_or_default();
        let count = |table: &str| database.collection(table)?.count();
        tables.retain(|table| count(table).is_ok_and(|count| count > 0));
        if !tables.is_empty() {
            // Those that refer to each other at once.
            database.transact(Isolation::Snapshot, |transaction| {
                tables
                    .iter()
                    .try_for_each(|table| empty(transaction, table))
            })?;
        }
        Ok(())
    }

    /// Whether it loses its rows after each transaction.
    pub(crate) fn is_emptied(&self, table: &str) -> bool {
        let own = self.0.as_ref();
        own.is_some_and(|own| own.emptied.lock().contains(table))
    }

    /// Drops all of them.
    pub(crate) fn drop_all(&self, database: &Database) -> Result<(), Error> {
        let (Some(own), true) = (&self.0, self.in_use().is_some()) else {
            return Ok(());
        };
        own.emptied.lock().clear();
        database.drop_named(|name| own.has(name))
    }
}

impl Own {
    fn has(&self, collection: &str) -> bool {
        let schema = collection.split_once('.').map(|(schema, _)| schema);
        schema == Some(&self.schema)
    }
}

/// A session's temporary tables, which go with it.
pub(crate) struct SessionTables {
    pub(crate) temporary: Temporary,
    pub(crate) database: Database,
}

impl SessionTables {
    /// [`Temporary::end_transaction`].
    pub(crate) fn end_transaction(&self, runtime: &impl Runtime) -> Result<(), Error> {
        match self.temporary.in_use() {
            None => Ok(()),
            Some(_) => runtime.work(|| self.temporary.end_transaction(&self.database)),
        }
    }

    /// [`Temporary::drop_all`].
    pub(crate) fn drop_all(&self) -> Result<(), Error> {
        self.temporary.drop_all(&self.database)
    }
}

impl Drop for SessionTables {
    fn drop(&mut self) {
        // What cannot be dropped any more is dropped when the database is opened again.
        let _ = self.drop_all();
    }
}
