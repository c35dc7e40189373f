//! `pg_database` and `pg_shdescription`: the databases beside each other.

use velocitydb_types::Value;

use super::{Fill, OWNER, Seen, number};
use crate::error::SqlError;

/// PostgreSQL's number of `pg_database`.
const PG_DATABASE: i64 = 1262;
/// PostgreSQL's number of UTF8.
const UTF8: i64 = 6;
/// PostgreSQL's number of `pg_default`.
const DEFAULT_TABLESPACE: i64 = 1663;

pub(super) fn pg_database(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (id, definition) in seen.database.databases() {
        fill.row([
            ("oid", number(id.0)),
            ("datname", definition.name.into()),
            ("datdba", number(OWNER)),
            ("encoding", number(UTF8)),
            ("datlocprovider", "c".into()),
            ("datistemplate", Value::Bool(false)),
            ("datallowconn", Value::Bool(true)),
            ("datconnlimit", number(-1)),
            ("datfrozenxid", number(0)),
            ("datminmxid", number(0)),
            ("dattablespace", number(DEFAULT_TABLESPACE)),
            ("datcollate", "C".into()),
            ("datctype", "C".into()),
        ])?;
    }
    Ok(())
}

/// What COMMENT ON DATABASE has kept.
pub(super) fn pg_shdescription(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (id, definition) in seen.database.databases() {
        if let Some(comment) = definition.comment {
            fill.row([
                ("objoid", number(id.0)),
                ("classoid", number(PG_DATABASE)),
                ("description", comment.into()),
            ])?;
        }
    }
    Ok(())
}
