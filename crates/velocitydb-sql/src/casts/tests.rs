//! What PostgreSQL 15 itself said of more than a thousand casts (`casts.tsv`, made by `casts.sql`).

use std::collections::BTreeSet;

use velocitydb_query::Zone;
use velocitydb_types::Timestamp;

use super::*;

/// From, text, to, and our answer, where it is not PostgreSQL's, and by design.
const DIFFERENT: &[(&str, &str, &str, &str)] = &[
    ("real", "Infinity", "numeric", INFINITE),
    ("double precision", "Infinity", "numeric", INFINITE),
    ("numeric(5,2)", "1.5", "numeric", "1.5"),
];

const INFINITE: &str = "0A000 numeric NaN and infinity are not supported";

fn unescape(text: &str) -> String {
    text.replace("\\\\", "\\")
}

fn answer(
    value: &Value,
    from: SqlType,
    to: SqlType,
    context: CastContext,
    settings: &Settings,
) -> String {
    let done = cast(value.clone(), from, to, context, settings);
    let text = done.and_then(|value| match value {
        Value::Null => Ok("null".to_owned()),
        value => text_of(&value, to, settings),
    });
    text.unwrap_or_else(|error| format!("{} {}", error.code, error.message))
}

#[test]
fn casts_are_postgresqls() {
    let (mut wrong, mut met) = (Vec::new(), BTreeSet::new());
    for line in include_str!("casts.tsv").lines() {
        let columns: Vec<_> = line.split('\t').collect();
        let [zone, from, text, to, asked, stored] = columns[..] else {
            panic!("{line}")
        };
        let (text, asked) = (unescape(text), unescape(asked));
        // PostgreSQL names the column.
        let stored = match stored.starts_with("42804 ") {
            true => "42846".to_owned(),
            false => unescape(stored),
        };
        let settings = Settings {
            zone: Zone::named(zone).unwrap(),
            ..Settings::new(Timestamp(0))
        };
        let [source, target]: [SqlType; 2] = [from, to].map(|name| name.parse().unwrap());
        let mut differs = |found: &str| {
            let row = DIFFERENT
                .iter()
                .find(|row| **row == (from, &text, to, found));
            row.is_some_and(|row| {
                met.insert(row);
                true
            })
        };
        let value = match read_text(&text, source, &settings) {
            Ok(value) => value,
            Err(error) => {
                if !differs(&format!("{} {}", error.code, error.message)) {
                    wrong.push(format!("{from} {text:?}: {error}"));
                }
                continue;
            }
        };
        for (context, expected) in [(Explicit, asked), (Assignment, stored)] {
            let found = answer(&value, source, target, context, &settings);
            let is_same = match expected.as_str() {
                "42846" => found.starts_with("42846 "),
                expected => found == expected,
            };
            if !is_same && !differs(&found) {
                let what = format!("{zone} {from} {text:?} to {to}, {context:?}");
                wrong.push(format!(
                    "{what}\n  expected {expected:?}\n  found    {found:?}"
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let rest: Vec<_> = DIFFERENT.iter().filter(|row| !met.contains(row)).collect();
    assert!(rest.is_empty(), "no longer different: {rest:?}");
}

#[test]
fn where_casts_happen() {
    let context = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|name| name.parse().unwrap());
        cast_context(from, to)
    };
    for (from, to, expected) in [
        ("int4", "int8", Some(Implicit)),
        ("int8", "int4", Some(Assignment)),
        ("int4", "bool", Some(Explicit)),
        ("int8", "bool", None),
        ("text", "varchar(3)", Some(Implicit)),
        ("numeric(5,2)", "numeric(3,1)", Some(Implicit)),
        ("uuid", "text", Some(Assignment)),
        ("text", "uuid", Some(Explicit)),
        ("text[]", "int4[]", Some(Explicit)),
        ("int4[]", "text", Some(Assignment)),
        ("text", "int4[]", Some(Explicit)),
        ("int4[]", "int4", None),
        ("date", "timestamptz", Some(Implicit)),
    ] {
        assert_eq!(context(from, to), expected, "{from} to {to}");
    }
    let settings = Settings::new(Timestamp(0));
    let [from, to] = [ScalarType::Int8, ScalarType::Int4].map(SqlType::Scalar);
    let error = cast(1.into(), from, to, Implicit, &settings).unwrap_err();
    assert_eq!(error.to_string(), "cannot cast type bigint to integer");
    assert_eq!(
        cast(Value::Null, from, to, Assignment, &settings),
        Ok(Value::Null)
    );
}
