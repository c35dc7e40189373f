//! `pg_database`: the databases beside each other.

use velocitydb::Database;
use velocitydb_types::ScalarType::{self, Bool, Int4, Int8, Text};
use velocitydb_types::Value;

use super::{Each, Shown};
use crate::error::SqlError;

pub(super) const PG_DATABASE: Shown = Shown {
    schema: "pg_catalog",
    name: "pg_database",
    columns: COLUMNS,
    rows: pg_database,
};

const COLUMNS: &[(&str, ScalarType)] = &[
    ("oid", Int8),
    ("datname", Text),
    ("datdba", Int8),
    ("encoding", Int4),
    ("datlocprovider", Text),
    ("datistemplate", Bool),
    ("datallowconn", Bool),
    ("datconnlimit", Int4),
    ("datfrozenxid", Int8),
    ("datminmxid", Int8),
    ("dattablespace", Int8),
    ("datcollate", Text),
    ("datctype", Text),
    ("daticulocale", Text),
    ("datcollversion", Text),
    ("datacl", Text),
];

/// PostgreSQL's number of UTF8.
const UTF8: i64 = 6;
/// PostgreSQL's number of `pg_default`.
const DEFAULT_TABLESPACE: i64 = 1663;

fn pg_database(database: &Database, each: Each<'_>) -> Result<(), SqlError> {
    for (id, definition) in database.databases() {
        let values = vec![
            Value::Int(i64::from(id.0)),
            definition.name.into(),
            Value::Int(super::OWNER),
            Value::Int(UTF8),
            "c".into(),
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(-1),
            Value::Int(0),
            Value::Int(0),
            Value::Int(DEFAULT_TABLESPACE),
            "C".into(),
            "C".into(),
            Value::Null,
            Value::Null,
            Value::Null,
        ];
        if !each(values)? {
            break;
        }
    }
    Ok(())
}
