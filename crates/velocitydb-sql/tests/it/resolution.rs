//! Which function a name and types of arguments mean, for every operator and function of the table
//! and all types, against what PostgreSQL 15 answered (`resolution.sh` asks it).
//!
//! A line of `resolution.tsv` is a name, then the types of arguments and the type of the
//! result, for all that PostgreSQL finds. What it does not find, is not found here.

use std::collections::BTreeMap;
use std::sync::Arc;

use velocitydb_sql::formats::Settings;
use velocitydb_sql::functions::{resolve, rows, type_name};
use velocitydb_types::{SqlType, Timestamp};

/// Types as PostgreSQL and we call them; `unknown` is a literal.
const TYPES: [&str; 21] = [
    "unknown",
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "real",
    "double precision",
    "numeric",
    "text",
    "character varying",
    "character",
    "bytea",
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "integer[]",
    "text[]",
];

/// Where PostgreSQL has more types or functions of a name than there are here, or its grammar or
/// the binder fill in arguments.
fn is_elsewhere(name: &str, types: &[&str]) -> bool {
    match (name, types) {
        // Ranges, points, bit strings and addresses.
        ("@>" | "<@" | "&&" | "?|", types) => types.contains(&"unknown"),
        ("#" | "trunc", types) => types == ["unknown"],
        // The other argument is the current date.
        ("age", [_]) => true,
        // Arguments left out are the binder's, two of `trim` the grammar's.
        ("make_interval" | "trim", _) => true,
        // Refused for a null before types are looked at.
        ("array_fill", _) => true,
        // Encodings, bytes, lines.
        ("length" | "like_escape" | "array_to_json", [_, _]) => true,
        _ => false,
    }
}

fn sql_type(name: &str) -> Option<SqlType> {
    (name != "unknown").then(|| name.parse().unwrap())
}

#[test]
fn names_mean_what_they_mean_to_postgresql() {
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let golden = std::fs::read_to_string(format!("{directory}/tests/it/resolution.tsv")).unwrap();
    let mut found: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for line in golden.lines() {
        let mut parts = line.split('\t');
        let name = parts.next().unwrap();
        for answer in parts {
            let (types, result) = answer.split_once('=').unwrap();
            found.insert((name, types), result);
        }
    }
    let settings = Arc::new(Settings::new(Timestamp(0)));
    let mut wrong = Vec::new();
    let mut check = |name: &str, types: &[&str]| {
        let given: Vec<_> = types.iter().map(|name| sql_type(name)).collect();
        let ours = match resolve(name, &given, &settings) {
            Ok(resolved) => type_name(Some(resolved.result)),
            Err(error) => error.sqlstate.to_owned(),
        };
        let joined = types.join(",");
        let theirs = found
            .get(&(name, joined.as_str()))
            .copied()
            .unwrap_or("42883");
        // What there is no array of, is said with another code there.
        let ours = if ours == "0A000" { "42883" } else { &ours };
        if ours != theirs && !is_elsewhere(name, types) {
            wrong.push(format!(
                "{name}({joined}): PostgreSQL {theirs}, here {ours}"
            ));
        }
    };
    let mut names: Vec<&str> = rows().iter().map(|row| row.name).collect();
    names.dedup();
    for name in names {
        if !golden.contains(&format!("\n{name}\t")) && !golden.starts_with(&format!("{name}\t")) {
            continue;
        }
        for a in TYPES {
            check(name, &[a]);
            for b in TYPES {
                check(name, &[a, b]);
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}
