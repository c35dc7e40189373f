//! Functions and operators against what PostgreSQL 15 answered (`golden.sh` asks it).

use std::fmt::Write as _;
use std::path::PathBuf;

use velocitydb::Database;
use velocitydb_sql::formats::write_text;
use velocitydb_sql::functions::type_name;
use velocitydb_sql::{Session, SqlError};
use velocitydb_types::{SqlType, Value};

/// The type and the value of an expression, as a client that selects it gets them.
fn selected(expression: &str, session: &mut Session) -> Result<(SqlType, Value), SqlError> {
    let prepared = session.prepare(&format!("SELECT {expression}"), &[])?;
    let mut rows = session.run(&prepared, &[])?.rows.expect("of a SELECT");
    let mut values = Vec::new();
    rows.next(|_, cell| {
        values.push(cell.clone().into_value());
        Ok::<_, SqlError>(())
    })?;
    match (prepared.columns(), values.pop()) {
        ([column], Some(value)) => Ok((column.sql, value)),
        _ => panic!("{expression} is not one value"),
    }
}

/// Type and value as the golden files have them, or `ERROR` and what is wrong.
fn answer(expression: &str, session: &mut Session) -> String {
    match selected(expression, session) {
        Ok((sql, value)) => {
            let name = type_name(Some(sql));
            let shown = match &value {
                Value::Null => "NULL".to_owned(),
                Value::Bool(bool) => bool.to_string(),
                value => {
                    let mut out = Vec::new();
                    match write_text(value, sql, session.settings(), &mut out) {
                        Ok(()) => String::from_utf8(out).unwrap(),
                        Err(error) => format!("{error:?}"),
                    }
                }
            };
            let shown = shown.replace('\\', r"\\").replace('\n', r"\n");
            format!("{name}\t{shown}")
        }
        Err(error) => format!(
            "ERROR\t{} {}",
            error.sqlstate,
            error.message.replace('\n', r"\n")
        ),
    }
}

/// Whether an answer is PostgreSQL's, but for what values do not keep.
fn is_same(ours: &str, wanted: &str) -> bool {
    if ours == wanted {
        return true;
    }
    match (ours.split_once('\t'), wanted.split_once('\t')) {
        // Numerics keep no zeros at their end.
        (Some(("numeric", ours)), Some(("numeric", wanted))) => {
            let trimmed = |text: &str| match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text.to_owned(),
            };
            trimmed(ours) == trimmed(wanted) || (trimmed(wanted) == "-0" && ours == "0")
        }
        // json is kept as jsonb is, and shown so.
        (Some(("json", ours)), Some(("json", wanted))) => {
            ours.replace(' ', "") == wanted.replace(' ', "")
        }
        _ => false,
    }
}

fn check(name: &str) {
    let mut session = Session::new(Database::in_memory().unwrap());
    session.set("TimeZone", "Europe/Berlin").unwrap();
    let directory = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let path = directory.join("tests/it/golden").join(name);
    let lines = std::fs::read_to_string(path).unwrap();
    let mut wrong = String::new();
    for line in lines.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (expression, wanted) = line.split_once('\t').expect("golden.sh was run");
        let ours = answer(expression, &mut session);
        if !is_same(&ours, wanted) {
            writeln!(
                wrong,
                "{expression}\n  PostgreSQL: {wanted}\n  here:       {ours}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{wrong}");
}

macro_rules! golden {
    ($($name:ident,)*) => {
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".tsv"));
        })*
    };
}

golden! {
    arrays, dates, formats, json, logic, numbers, patterns, text,
}

/// What only the grammar calls.
const CONSTRUCTS: [&str; 8] = [
    "and",
    "or",
    "not",
    "case",
    "in",
    "between",
    "slice",
    "subscript",
];

#[test]
fn every_function_and_operator_has_an_answer() {
    let directory = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let files = std::fs::read_dir(directory.join("tests/it/golden")).unwrap();
    let all: String = files
        .map(|file| {
            std::fs::read_to_string(file.unwrap().path())
                .unwrap()
                .to_lowercase()
        })
        .collect();
    let is_asked = |name: &str| {
        let operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        match operator {
            true => all.contains(&format!("{name} ")) || all.contains(&format!(" {name}")),
            false => [" ", "(", "["]
                .iter()
                .any(|after| all.contains(&format!("{name}{after}"))),
        }
    };
    // `LIKE` is how these are called.
    let of_like = ["~~", "!~~", "~~*", "!~~*"];
    let missing: Vec<_> = velocitydb_sql::functions::rows()
        .iter()
        .map(|row| row.name)
        .filter(|name| !CONSTRUCTS.contains(name) && !of_like.contains(name))
        .filter(|name| !name.starts_with("is ") && !name.starts_with("slice"))
        .filter(|name| !is_asked(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
