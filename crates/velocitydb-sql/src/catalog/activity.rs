//! Sessions and what they do: `pg_stat_activity`, `pg_settings`, `pg_stat_user_tables`, `pg_stat_database`.
//!
//! What PostgreSQL counts and is not counted here is null, not 0.

use velocitydb_types::Value;

use super::{Fill, OWNER, Seen, number, or_null};
use crate::effects::process_id;
use crate::error::SqlError;
use crate::settings::read_timeout;

pub(super) fn pg_stat_activity(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let locks = seen.database.locks();
    for session in seen.session.everyone() {
        let owner = session.owner.id();
        let label = locks.label(owner);
        let is_own = owner == seen.session.owner.id();
        fill.row([
            ("datid", number(session.database_id().0)),
            ("datname", (&*session.settings().database).into()),
            ("pid", number(process_id(owner))),
            ("usesysid", number(OWNER)),
            ("usename", (&*session.settings().user).into()),
            (
                "application_name",
                label.as_deref().unwrap_or_default().into(),
            ),
            ("state", or_null(is_own.then_some("active"))),
            ("backend_type", "client backend".into()),
        ])?;
    }
    Ok(())
}

/// Settings that there are, of what kind they are, and who may change them, as PostgreSQL 15 says.
#[rustfmt::skip]
const SETTINGS: &[(&str, &str, &str)] = &[
    ("application_name", "string", "user"),
    ("bytea_output", "enum", "user"),
    ("check_function_bodies", "bool", "user"),
    ("client_encoding", "string", "user"),
    ("client_min_messages", "enum", "user"),
    ("DateStyle", "string", "user"),
    ("default_table_access_method", "string", "user"),
    ("default_tablespace", "string", "user"),
    ("default_transaction_isolation", "enum", "user"),
    ("default_transaction_read_only", "bool", "user"),
    ("escape_string_warning", "bool", "user"),
    ("extra_float_digits", "integer", "user"),
    ("idle_in_transaction_session_timeout", "milliseconds", "user"),
    ("idle_session_timeout", "milliseconds", "user"),
    ("integer_datetimes", "bool", "internal"),
    ("IntervalStyle", "enum", "user"),
    ("lock_timeout", "milliseconds", "user"),
    ("max_identifier_length", "integer", "internal"),
    ("row_security", "bool", "user"),
    ("search_path", "string", "user"),
    ("server_encoding", "string", "internal"),
    ("server_version", "string", "internal"),
    ("server_version_num", "integer", "internal"),
    ("standard_conforming_strings", "bool", "user"),
    ("statement_timeout", "milliseconds", "user"),
    ("TimeZone", "string", "user"),
    ("transaction_isolation", "enum", "user"),
    ("transaction_read_only", "bool", "user"),
    ("velocity.consistency", "enum", "user"),
    ("velocity.durability", "enum", "user"),
    ("xmloption", "enum", "user"),
];

pub(super) fn pg_settings(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (name, kind, context) in SETTINGS {
        let of_time = *kind == "milliseconds";
        let shown = |value: String| match of_time {
            true => {
                let timeout = read_timeout(&value).flatten().unwrap_or_default();
                timeout.as_millis().to_string()
            }
            false => value,
        };
        let now = seen.session.setting(name).map(shown);
        let first = seen
            .session
            .first_setting(name)
            .map(shown)
            .or_else(|| now.clone());
        let source = if now == first { "default" } else { "session" };
        fill.row([
            ("name", (*name).into()),
            ("setting", or_null(now)),
            ("unit", or_null(of_time.then_some("ms"))),
            ("context", (*context).into()),
            ("vartype", if of_time { "integer" } else { kind }.into()),
            ("source", source.into()),
            ("boot_val", or_null(first.clone())),
            ("reset_val", or_null(first)),
            ("pending_restart", Value::Bool(false)),
        ])?;
    }
    Ok(())
}

/// Of the tables of users; all that is known is how many rows they have.
pub(super) fn pg_stat_tables(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    for table in &objects.tables {
        let collection = seen.database.collection(table.table.name());
        let rows = collection.and_then(|collection| collection.count()).ok();
        fill.row([
            ("relid", number(table.oid)),
            ("schemaname", or_null(objects.schema_name(table.schema))),
            ("relname", table.name.as_str().into()),
            ("n_live_tup", or_null(rows.map(|rows| rows as i64))),
        ])?;
    }
    Ok(())
}

pub(super) fn pg_stat_database(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (name, database) in seen.database.every_database() {
        fill.row([
            ("datid", number(database.id().0)),
            ("datname", name.into()),
            ("numbackends", number(database.guests() as i64)),
        ])?;
    }
    Ok(())
}
