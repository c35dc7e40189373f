//! Names: which are in use, and those that PostgreSQL makes.

use std::collections::BTreeSet;

use velocitydb::Definition;

use crate::definitions::Definitions;
use crate::error::{SqlError, sqlstate};
use crate::sequences::Relations;

/// The schema of a collection's name.
pub(super) fn schema_of(name: &str) -> &str {
    name.split_once('.').map_or("public", |(schema, _)| schema)
}

/// A name in the schema of a table.
pub(super) fn beside(table: &str, name: &str) -> String {
    match schema_of(table) {
        "public" => name.to_owned(),
        schema => format!("{schema}.{name}"),
    }
}

/// What a table's primary key is called.
pub(super) fn primary_key_name(table: &str) -> String {
    format!("{table}_pkey")
}

/// What the constraint of a column that refers is called.
pub(super) fn reference_name(table: &str, column: &str) -> String {
    format!("{table}_{column}_fkey")
}

/// Names of relations: tables, indexes and sequences are not called alike.
pub(super) struct Names<'n> {
    definitions: Definitions<'n>,
    /// Those of the statement at hand.
    chosen: BTreeSet<String>,
}

impl<'n> Names<'n> {
    pub(super) fn new(definitions: Definitions<'n>) -> Names<'n> {
        Names {
            definitions,
            chosen: BTreeSet::new(),
        }
    }

    fn is_taken(&self, name: &str) -> Result<bool, SqlError> {
        Ok(self.chosen.contains(name)
            || self.definitions.has_collection(name)
            || crate::catalog::check_changes(name).is_err()
            || table_of(self.definitions, name).is_some()
            || self.sequence_is_taken(name)?)
    }

    /// Whether there is such a sequence. One whose column is not there was left over by a crash:
    /// it goes.
    fn sequence_is_taken(&self, name: &str) -> Result<bool, SqlError> {
        let Some(sequence) = self.definitions.sequence(name)? else {
            return Ok(false);
        };
        let Some(owner) = sequence.definition().owner else {
            return Ok(true);
        };
        let table = self.definitions.collection(&owner.collection);
        let table = table.and_then(|table| table.definition());
        if table.is_ok_and(|table| table.schema.field(&owner.field).is_some()) {
            return Ok(true);
        }
        self.definitions.drop_sequence(name)?;
        Ok(false)
    }

    /// A name that the statement gives.
    ///
    /// # Errors
    /// Another relation has it.
    pub(super) fn given(&mut self, name: String) -> Result<String, SqlError> {
        if self.is_taken(&name)? {
            let message = format!("relation {name:?} already exists");
            return Err(SqlError::new(sqlstate::DUPLICATE_TABLE, message));
        }
        self.chosen.insert(name.clone());
        Ok(name)
    }

    /// A name that the statement leaves open: with a number behind when it is taken.
    pub(super) fn chosen(&mut self, wanted: &str) -> Result<String, SqlError> {
        let mut name = wanted.to_owned();
        for number in 1.. {
            if !self.is_taken(&name)? {
                break;
            }
            name = format!("{wanted}{number}");
        }
        self.chosen.insert(name.clone());
        Ok(name)
    }
}

/// The table that has an index of this name.
pub(super) fn table_of(definitions: Definitions<'_>, index: &str) -> Option<String> {
    let tables = definitions.collections();
    let mut tables = tables.into_iter();
    let has = |table: &Definition| table.indexes.iter().any(|held| held.name == index);
    tables.find(has).map(|table| table.name)
}

/// That something is not there.
pub(super) fn missing(kind: &str, name: &str) -> SqlError {
    let message = format!("{kind} {name:?} does not exist");
    let state = match kind {
        "table" | "relation" | "sequence" => sqlstate::UNDEFINED_TABLE,
        "schema" => sqlstate::UNDEFINED_SCHEMA,
        _ => sqlstate::UNDEFINED_OBJECT,
    };
    SqlError::new(state, message)
}
