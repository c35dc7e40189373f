//! `pg_proc`, `pg_operator` and `information_schema.routines`: the functions and operators that there are.
//!
//! Their numbers are counted, and so another in another version of the program. Functions of the
//! session and of sequences, and words of the grammar, are not among them.

use velocitydb_types::Value;

use super::objects::numbers;
use super::{Fill, OWNER, PG_CATALOG, Seen, number};
use crate::error::SqlError;
use crate::functions::{Kind, Row, rows};

/// Numbers of functions and operators are counted from here: PostgreSQL gives nobody such before those
/// of users, and has fewer.
const FIRST: i64 = 14_000;
/// PostgreSQL's number of the language of functions that are part of the program.
const INTERNAL: i64 = 12;

/// PostgreSQL's numbers of the types that stand for several.
fn type_number(kind: Kind) -> i64 {
    match kind {
        Kind::Is(scalar) => scalar.row().oid.into(),
        Kind::ArrayOf(element) => element.row().array_oid.into(),
        Kind::Any => 2276,
        Kind::Element => 2283,
        Kind::Array => 2277,
        Kind::Common => 5077,
        Kind::CommonArray => 5078,
        Kind::NonArray => 2776,
    }
}

/// Those whose names are words, or signs, with their numbers.
fn named(are_words: bool) -> impl Iterator<Item = (i64, &'static Row)> {
    let is_word = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_sign = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_punctuation() && byte != b'_')
    };
    let all = rows().iter().copied();
    debug_assert!(rows().len() < 2_000, "users' numbers come behind");
    let all = (FIRST..).zip(all);
    all.filter(move |(_, row)| match are_words {
        true => is_word(row.name),
        false => is_sign(row.name),
    })
}

/// The number of the first function of a name.
pub(super) fn function_number(name: &str) -> Option<i64> {
    let mut all = named(true);
    all.find(|(_, row)| row.name == name).map(|(oid, _)| oid)
}

/// The name of the function of a number.
pub(super) fn function_name(oid: i64) -> Option<&'static str> {
    let mut all = named(true);
    all.find(|(known, _)| *known == oid)
        .map(|(_, row)| row.name)
}

/// What a function takes, for people.
pub(super) fn arguments_text(oid: i64) -> Option<String> {
    let (_, row) = named(true).find(|(known, _)| *known == oid)?;
    let last = row.arguments.len().checked_sub(1);
    let arguments =
        row.arguments
            .iter()
            .enumerate()
            .map(|(at, kind)| match row.variadic && Some(at) == last {
                true => format!("VARIADIC {}[]", type_text(*kind)),
                false => type_text(*kind),
            });
    Some(arguments.collect::<Vec<_>>().join(", "))
}

/// What a function gives, for people.
pub(super) fn result_text(oid: i64) -> Option<String> {
    let (_, row) = named(true).find(|(known, _)| *known == oid)?;
    Some(type_text(row.result))
}

fn type_text(kind: Kind) -> String {
    match kind {
        Kind::Is(scalar) => scalar.row().long_name.to_owned(),
        Kind::ArrayOf(element) => format!("{}[]", element.row().long_name),
        Kind::Any => "\"any\"".to_owned(),
        Kind::Element => "anyelement".to_owned(),
        Kind::Array => "anyarray".to_owned(),
        Kind::Common => "anycompatible".to_owned(),
        Kind::CommonArray => "anycompatiblearray".to_owned(),
        Kind::NonArray => "anynonarray".to_owned(),
    }
}

pub(super) fn pg_proc(_: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (oid, row) in named(true) {
        let last = row.arguments.last().copied().filter(|_| row.variadic);
        fill.row([
            ("oid", number(oid)),
            ("proname", row.name.into()),
            ("pronamespace", number(PG_CATALOG)),
            ("proowner", number(OWNER)),
            ("prolang", number(INTERNAL)),
            ("procost", Value::Float(1.0)),
            ("prorows", Value::Float(0.0)),
            ("provariadic", number(last.map_or(0, type_number))),
            ("prosupport", "-".into()),
            ("prokind", "f".into()),
            ("prosecdef", Value::Bool(false)),
            ("proleakproof", Value::Bool(false)),
            ("proisstrict", Value::Bool(row.strict)),
            ("proretset", Value::Bool(false)),
            ("provolatile", "i".into()),
            ("proparallel", "s".into()),
            ("pronargs", number(row.arguments.len() as i64)),
            ("pronargdefaults", number(0)),
            ("prorettype", number(type_number(row.result))),
            (
                "proargtypes",
                numbers(row.arguments.iter().copied().map(type_number)),
            ),
            ("prosrc", row.name.into()),
        ])?;
    }
    Ok(())
}

pub(super) fn pg_operator(_: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    for (oid, row) in named(false) {
        let (left, right) = match row.arguments {
            [right] => (0, type_number(*right)),
            [left, right] => (type_number(*left), type_number(*right)),
            _ => continue,
        };
        fill.row([
            ("oid", number(oid)),
            ("oprname", row.name.into()),
            ("oprnamespace", number(PG_CATALOG)),
            ("oprowner", number(OWNER)),
            ("oprkind", if left == 0 { "l" } else { "b" }.into()),
            ("oprcanmerge", Value::Bool(row.name == "=")),
            ("oprcanhash", Value::Bool(row.name == "=")),
            ("oprleft", number(left)),
            ("oprright", number(right)),
            ("oprresult", number(type_number(row.result))),
            ("oprcom", number(0)),
            ("oprnegate", number(0)),
            ("oprcode", row.name.into()),
            ("oprrest", "-".into()),
            ("oprjoin", "-".into()),
        ])?;
    }
    Ok(())
}

pub(super) fn routines(seen: &Seen<'_>, fill: &mut Fill<'_>) -> Result<(), SqlError> {
    let database = seen.database_name();
    for (oid, row) in named(true) {
        let (kind, udt) = match row.result {
            Kind::Is(scalar) => (scalar.row().long_name, Some(scalar.row().name.to_owned())),
            Kind::ArrayOf(element) => ("ARRAY", Some(format!("_{}", element.row().name))),
            _ => ("anyelement", None),
        };
        fill.row([
            ("specific_catalog", database.clone()),
            ("specific_schema", "pg_catalog".into()),
            ("specific_name", format!("{}_{oid}", row.name).into()),
            ("routine_catalog", database.clone()),
            ("routine_schema", "pg_catalog".into()),
            ("routine_name", row.name.into()),
            ("routine_type", "FUNCTION".into()),
            ("data_type", kind.into()),
            ("type_udt_catalog", database.clone()),
            ("type_udt_schema", "pg_catalog".into()),
            ("type_udt_name", super::or_null(udt)),
            ("dtd_identifier", "0".into()),
            ("routine_body", "EXTERNAL".into()),
            ("routine_definition", row.name.into()),
            ("external_language", "INTERNAL".into()),
            ("parameter_style", "GENERAL".into()),
            ("is_deterministic", "YES".into()),
            ("sql_data_access", "MODIFIES".into()),
            ("is_null_call", if row.strict { "YES" } else { "NO" }.into()),
            ("schema_level_routine", "YES".into()),
            ("max_dynamic_result_sets", number(0)),
            ("security_type", "INVOKER".into()),
            ("as_locator", "NO".into()),
            ("is_udt_dependent", "NO".into()),
        ])?;
    }
    Ok(())
}
