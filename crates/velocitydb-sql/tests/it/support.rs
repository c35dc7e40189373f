//! What of PostgreSQL's SQL there is, is what docs/sql says: every example there is run, and every
//! function, type and setting is in a table.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use velocitydb::{Database, Definition};
use velocitydb_sql::{Session, SqlError, absent, functions};
use velocitydb_types::SCALAR_TYPES;

use crate::supported::{Example, Support, check_examples, quoted, read, run_alone};

fn support() -> Support {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    read(&format!("{package}/.."))
}

/// Why there is no plan of a statement that reads or changes rows.
fn not_explained(sql: &str, tables: &str) -> Option<SqlError> {
    let is_planned = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "VALUES "]
        .iter()
        .any(|begin| sql.starts_with(begin));
    // Of one statement: another may have to be run before. The parser knows no EXPLAIN of these.
    let is_alone = !sql.contains("; ") && !sql.contains("OVERRIDING");
    match is_planned && is_alone {
        true => run_alone(tables, &format!("EXPLAIN {sql}")).err(),
        false => None,
    }
}

/// What is wrong with a row, if anything is.
fn wrong(example: &Example, tables: &str) -> Option<String> {
    let outcome = run_alone(tables, &example.sql);
    match (outcome, example.here.as_str()) {
        (Ok(outcome), "native") => {
            if outcome.notices > 0 {
                return Some("it runs with a notice".into());
            }
            if let Some(error) = not_explained(&example.sql, tables) {
                return Some(format!("EXPLAIN: {error}"));
            }
            let values = outcome
                .answers
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start();
            match &example.answer {
                Some(wanted) if wanted != values => Some(format!("it answers {values}")),
                _ => None,
            }
        }
        (Ok(outcome), "notice") => {
            (outcome.notices == 0).then(|| "it runs, and nothing is said".to_owned())
        }
        (Ok(_), _) => Some("it runs".into()),
        (Err(error), "native" | "notice") => Some(format!("{} {}", error.sqlstate, error.message)),
        (Err(error), state) => {
            let state = if state == "planned" { "0A000" } else { state };
            let told = match state {
                "0A000" => error.message.contains("not supported"),
                "42601" => error.hint.is_some_and(|hint| hint.contains("support.md")),
                _ => true,
            };
            (error.sqlstate != state || !told)
                .then(|| format!("{} {}", error.sqlstate, error.message))
        }
    }
}

#[test]
fn every_example_does_what_is_said_of_it() {
    let support = support();
    let mut all = String::new();
    for example in &support.examples {
        if let Some(wrong) = wrong(example, &support.tables) {
            let Example {
                section,
                what,
                here,
                sql,
                ..
            } = example;
            writeln!(all, "{section}, {what} ({here}): {wrong}\n  {sql}").unwrap();
        }
    }
    assert!(all.is_empty(), "{all}");
}

/// The names in the first column of the tables of a document's sections.
fn named(support: &Support, sections: &[&str]) -> BTreeSet<String> {
    let examples = support.examples.iter();
    let examples = examples.filter(|example| sections.contains(&example.section.as_str()));
    examples.flat_map(|example| quoted(&example.what)).collect()
}

fn refused<'s>(support: &'s Support, kind: &str) -> BTreeSet<&'s str> {
    let of = support.refused.iter().filter(|(of, _)| of == kind);
    of.map(|(_, name)| name.as_str()).collect()
}

#[test]
fn every_function_is_in_the_tables() {
    let support = support();
    let sections = [
        "Functions",
        "Operators",
        "Words of the grammar",
        "Aggregates",
        "Functions of the session",
    ];
    let listed = named(&support, &sections);
    let there: BTreeSet<_> = functions::names().into_iter().map(str::to_owned).collect();
    let missing: Vec<_> = there.difference(&listed).collect();
    assert!(missing.is_empty(), "in no table: {missing:?}");
    let more: Vec<_> = listed.difference(&there).collect();
    assert!(more.is_empty(), "no functions: {more:?}");
}

#[test]
fn every_type_is_in_the_tables() {
    let support = support();
    let listed = named(&support, &["Types"]);
    for row in SCALAR_TYPES {
        for name in [row.name, row.long_name].iter().chain(row.aliases) {
            assert!(listed.contains(*name), "the type {name} is in no table");
        }
    }
}

#[test]
fn what_is_postgresqls_alone_is_refused_by_its_name() {
    let support = support();
    let check = |kind: &str, there: BTreeSet<&str>, sql: &dyn Fn(&str) -> String| {
        let listed = refused(&support, kind);
        let missing: Vec<_> = there.difference(&listed).collect();
        assert!(missing.is_empty(), "{kind} in no table: {missing:?}");
        for name in listed {
            let error = run_alone("", &sql(name)).err();
            let error = error.unwrap_or_else(|| panic!("{name} is not refused"));
            let told = error.message.contains("not supported") && error.message.contains(name);
            assert!(told && error.sqlstate == "0A000", "{name}: {error:?}");
        }
    };
    check("functions", absent::functions().collect(), &|name| {
        format!("SELECT \"{name}\"()")
    });
    check("types", absent::types().collect(), &|name| {
        format!("SELECT NULL::pg_catalog.{name}")
    });
    check("settings", absent::settings().collect(), &|name| {
        format!("SET {name} = '1'")
    });
    // These are taken, and it is said that they mean nothing.
    let taken = refused(&support, "by a notice alone");
    let there: BTreeSet<_> = absent::no_difference().collect();
    assert_eq!(taken, there);
    for name in taken {
        let outcome = run_alone("", &format!("SET {name} = '1'; RESET {name}")).unwrap();
        assert_eq!(outcome.notices, 2, "{name}");
    }
}

#[test]
fn what_is_set_is_shown() {
    let support = support();
    let settings = named(&support, &["Settings"]);
    assert!(!settings.is_empty());
    for name in settings {
        let shown = run_alone("", &format!("SHOW {name}"));
        assert!(shown.is_ok(), "{name}: {:?}", shown.err());
    }
}

#[test]
fn the_examples_of_the_overview_do_what_they_say() {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let text = std::fs::read_to_string(format!("{package}/../../docs/sql/README.md")).unwrap();
    let database = Database::in_memory().unwrap();
    let notes = database
        .create_collection(Definition::new("notes"))
        .unwrap();
    for (id, state, title) in [("a", "open", "first"), ("b", "closed", "second")] {
        let fields = [("state", state.into()), ("title", title.into())];
        notes.value.insert_with_id(id, fields).unwrap();
    }
    let count = check_examples(&text, &mut Session::new(database));
    assert!(count > 10);
}
