//! Users: `pg_roles`, `pg_user`, `pg_authid` and `information_schema.enabled_roles`; and what they may.
//!
//! Users are the server's. A session knows one, its own, who is shown as the owner of everything.

use velocitydb_types::Value;

use super::objects::INFORMATION_SCHEMA;
use super::{Fill, OWNER, Seen, number};
use crate::error::SqlError;

/// What a user may: everything.
fn may_all() -> [(&'static str, Value); 8] {
    let may = |name| (name, Value::Bool(true));
    [
        may("rolsuper"),
        may("rolinherit"),
        may("rolcreaterole"),
        may("rolcreatedb"),
        may("rolcanlogin"),
        ("rolreplication", Value::Bool(false)),
        ("rolbypassrls", Value::Bool(true)),
        ("rolconnlimit", number(-1)),
    ]
}

fn role(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let [a, b, c, d, e, f, g, h] = may_all();
    let (oid, name) = (("oid", number(OWNER)), ("rolname", seen.user()));
    fill.row([oid, name, a, b, c, d, e, f, g, h])
}

pub(super) fn pg_authid(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    role(seen, fill)
}

pub(super) fn pg_roles(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    role(seen, fill)
}

pub(super) fn pg_user(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    fill.row([
        ("usename", seen.user()),
        ("usesysid", number(OWNER)),
        ("usecreatedb", Value::Bool(true)),
        ("usesuper", Value::Bool(true)),
        ("userepl", Value::Bool(false)),
        ("usebypassrls", Value::Bool(true)),
        ("passwd", "********".into()),
    ])
}

pub(super) fn enabled_roles(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    fill.row([("role_name", seen.user())])
}

/// `information_schema.table_privileges`: of the tables of users.
pub(super) fn table_privileges(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let objects = seen.session.objects()?;
    for table in &objects.tables {
        let schema = objects.schema_name(table.schema).unwrap_or_default();
        for privilege in [
            "INSERT",
            "SELECT",
            "UPDATE",
            "DELETE",
            "TRUNCATE",
            "REFERENCES",
        ] {
            fill.row([
                ("grantor", seen.user()),
                ("grantee", seen.user()),
                ("table_catalog", seen.database_name()),
                ("table_schema", schema.into()),
                ("table_name", table.name.as_str().into()),
                ("privilege_type", privilege.into()),
                ("is_grantable", "YES".into()),
                (
                    "with_hierarchy",
                    if privilege == "SELECT" { "YES" } else { "NO" }.into(),
                ),
            ])?;
        }
    }
    Ok(())
}

/// Whether anybody may do so: what the system shows is read alone.
///
/// # Errors
/// There is no such privilege.
pub(super) fn may(privileges: &str, schema: i64) -> Result<bool, SqlError> {
    let reads_alone = schema == super::PG_CATALOG || schema == INFORMATION_SCHEMA;
    let mut may = false;
    for privilege in privileges.split(',') {
        let privilege = privilege.trim().to_uppercase();
        let privilege = privilege.trim_end_matches(" WITH GRANT OPTION");
        may |= match privilege {
            "SELECT" | "USAGE" | "CONNECT" | "EXECUTE" | "MEMBER" | "SET" => true,
            "INSERT" | "UPDATE" | "DELETE" | "TRUNCATE" | "REFERENCES" | "TRIGGER" | "CREATE"
            | "TEMPORARY" | "TEMP" => !reads_alone,
            _ => {
                let message = format!("unrecognized privilege type: {privilege:?}");
                let state = crate::error::sqlstate::INVALID_PARAMETER_VALUE;
                return Err(SqlError::new(state, message));
            }
        };
    }
    Ok(may)
}
