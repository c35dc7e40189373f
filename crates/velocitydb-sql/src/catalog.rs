//! Tables that no collection is behind: what they show is made when they are read.
//!
//! Such a table is a name, columns, and a function that makes its rows ([`Shown`]). Conditions, groups,
//! order and limit are those of every SELECT; nothing changes it. A name without a schema means one of
//! `pg_catalog` before a table of the user, as in PostgreSQL.
//!
//! Files: `databases`, `locks`, `types`. Tests: tests/it/sessions/locks.script, tests/it/slt/catalog.slt.

mod databases;
mod locks;
mod types;

use std::fmt;

use velocitydb::{Database, Definition};
use velocitydb_types::{Path, ScalarType, Value};

use crate::bound::Bound;
use crate::error::{SqlError, sqlstate};
use crate::table::{Column, Table};

/// Takes a row, with a value for each column; whether more are wanted.
pub(crate) type Each<'e> = &'e mut dyn FnMut(Vec<Value>) -> Result<bool, SqlError>;

/// The number of PostgreSQL's first user, who owns what is always there.
const OWNER: i64 = 10;

/// A table. See the module.
struct Shown {
    schema: &'static str,
    name: &'static str,
    columns: &'static [(&'static str, ScalarType)],
    rows: fn(&Database, Each<'_>) -> Result<(), SqlError>,
}

const ALL: &[Shown] = &[
    locks::PG_LOCKS,
    locks::LOCKS,
    databases::PG_DATABASE,
    types::PG_TYPE,
    types::PG_NAMESPACE,
    types::PG_RANGE,
];

/// The rows of such a table.
#[derive(Clone, Copy)]
pub(crate) struct Made(&'static Shown);

impl Made {
    /// Refuses to change it.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn check_changes(self) -> Result<(), SqlError> {
        check_changes(&format!("{self:?}"))
    }

    /// Calls `each` with the rows as they are now, until it answers `false`.
    ///
    /// # Errors
    /// Those of `each`.
    pub(crate) fn rows(self, database: &Database, each: Each<'_>) -> Result<(), SqlError> {
        (self.0.rows)(database, each)
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.schema, self.0.name)
    }
}

/// The one of a collection's name ([`crate::statement::collection_name`]).
fn shown(name: &str) -> Option<&'static Shown> {
    let (schema, name) = name.split_once('.').unwrap_or(("pg_catalog", name));
    ALL.iter()
        .find(|shown| (shown.schema, shown.name) == (schema, name))
}

/// The table of a name, if it is one of these.
pub(crate) fn table(name: &str) -> Option<Table> {
    let shown = shown(name)?;
    let column = |(name, sql): &(&str, ScalarType)| Column {
        name: (*name).to_owned(),
        sql: (*sql).into(),
        bound: Bound::Column(Path::field(*name)),
        required: false,
        default: None,
    };
    let columns = shown.columns.iter().map(column).collect();
    Some(Table::made(
        Definition::new(shown.name),
        columns,
        Made(shown),
    ))
}

/// Refuses to change or define what has such a name.
///
/// # Errors
/// It is one of these.
pub(crate) fn check_changes(name: &str) -> Result<(), SqlError> {
    match shown(name) {
        None => Ok(()),
        Some(shown) => {
            let message = format!("{:?} shows the system, and cannot be changed", shown.name);
            Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message))
        }
    }
}
