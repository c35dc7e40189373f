//! Temporary tables: those of one session, in a schema of its own.
//!
//! The schema is `pg_temp_N`, which the session may call `pg_temp`. It is looked in before any of
//! the search path, and no other session finds it. The tables are logged collections
//! ([`velocitydb::is_temporary`]), so that a transaction may change others with them. They go with
//! the session; rows of those that say ON COMMIT DELETE ROWS after each transaction, and those that say
//! ON COMMIT DROP with the one that makes them.
//! Tests: tests/it/temporary.rs, tests/it/slt/temporary.slt.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use sqlparser::ast::ObjectName;
use velocitydb::{Database, Error, Isolation, TEMPORARY, Transaction, is_temporary};

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
    /// Those that go with the transaction that makes them.
    brief: Mutex<BTreeSet<String>>,
}

/// What becomes of a temporary table at the end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    Stays,
    LosesRows,
    Goes,
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
            brief: Mutex::default(),
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

    /// Notes that there is another table.
    pub(crate) fn note(&self, table: &str, at_end: AtEnd) {
        if let Some(own) = &self.0 {
            for (all, of) in [(&own.emptied, AtEnd::LosesRows), (&own.brief, AtEnd::Goes)] {
                match at_end == of {
                    true => all.lock().insert(table.to_owned()),
                    false => all.lock().remove(table),
                };
            }
            own.made.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that one is called otherwise.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        self.note(to, self.at_end(from));
    }

    /// Drops those that go with the transaction, in it.
    pub(crate) fn end_in(&self, transaction: &mut Transaction) -> Result<(), SqlError> {
        let own = self.0.as_ref();
        let brief = own.map(|own| std::mem::take(&mut *own.brief.lock()));
        let mut left = brief.unwrap_or_default();
        left.retain(|name| transaction.definition(name).is_ok());
        if left.is_empty() {
            return Ok(());
        }
        for sequence in transaction.sequences()? {
            let owner = sequence.owner.as_ref().map(|owner| &owner.collection);
            if owner.is_some_and(|owner| left.contains(owner)) {
                transaction.drop_sequence(&sequence.name)?;
            }
        }
        // Those that refer to others first.
        let mut failed = Ok(());
        while failed.is_ok() && !left.is_empty() {
            let before = left.len();
            let mut last = Ok(());
            left.retain(|name| match transaction.drop_collection(name) {
                Ok(()) => false,
                Err(error) => {
                    last = Err(error.into());
                    true
                }
            });
            if left.len() == before {
                failed = last;
            }
        }
        failed
    }

    /// Takes the rows of those that lose them, at the end of a transaction.
    pub(crate) fn end_transaction(&self, database: &Database) -> Result<(), Error> {
        if self.in_use().is_none() {
            return Ok(());
        }
        let brief = self.0.as_ref();
        let brief = brief.map(|own| std::mem::take(&mut *own.brief.lock()));
        if let Some(brief) = brief.filter(|brief| !brief.is_empty()) {
            database.drop_named(|name| brief.contains(name))?;
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

    /// What becomes of a table at the end of a transaction.
    pub(crate) fn at_end(&self, table: &str) -> AtEnd {
        let has = |all: fn(&Own) -> &Mutex<BTreeSet<String>>| {
            let own = self.0.as_deref();
            own.is_some_and(|own| all(own).lock().contains(table))
        };
        match (has(|own| &own.emptied), has(|own| &own.brief)) {
            (true, _) => AtEnd::LosesRows,
            (_, true) => AtEnd::Goes,
            _ => AtEnd::Stays,
        }
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

    /// [`Temporary::end_in`].
    pub(crate) fn end_in(
        &self,
        runtime: &impl Runtime,
        transaction: &mut Transaction,
    ) -> Result<(), SqlError> {
        match self.temporary.in_use() {
            None => Ok(()),
            Some(_) => runtime.work(|| self.temporary.end_in(transaction)),
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
