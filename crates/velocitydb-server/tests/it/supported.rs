//! What docs/sql says of PostgreSQL's SQL, asked of PostgreSQL 15: it knows all that is listed, what
//! runs here runs there and answers the same, and nothing of it is missing in the lists.

#[path = "../../../velocitydb-sql/tests/it/supported.rs"]
mod tables;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use tokio::runtime::Runtime;

use super::pg::raw::Raw;
use super::postgres::Postgres;
use super::sessions::{ask, connect, shown};
use tables::{Example, Support, quoted, read, run_alone};

/// What PostgreSQL answers to an example, over tables of its own.
fn theirs(runtime: &Runtime, postgres: &Postgres, support: &Support, example: &Example) -> String {
    let (mut raw, _) = connect(runtime, postgres.address, "postgres");
    let clean =
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS shop CASCADE";
    ask(runtime, &mut raw, clean);
    ask(runtime, &mut raw, &support.tables);
    // What is refused here might change the server: it is rolled back, or refused in a block.
    let rolls_back = !matches!(example.here.as_str(), "native" | "notice");
    if rolls_back {
        ask(runtime, &mut raw, "BEGIN");
    }
    let mut told = String::new();
    // Some statements do not stand with others: each is sent alone.
    for statement in statements(&example.sql) {
        told += &shown(&ask(runtime, &mut raw, statement));
    }
    if rolls_back {
        ask(runtime, &mut raw, "ROLLBACK");
    }
    told
}

/// The statements of an example, which has no semicolons but between them.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split("; ").map(str::trim)
}

fn support() -> Support {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    read(&format!("{package}/.."))
}

/// The SQLSTATE of a refusal, if the answers of an example have one.
fn refusal(told: &str) -> Option<&str> {
    let words = told
        .lines()
        .filter_map(|line| line.trim_start().split(' ').next());
    let mut words = words.filter(|word| word.len() == 5);
    words.find(|word| {
        word.bytes()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
            && word.bytes().any(|byte| byte.is_ascii_digit())
    })
}

#[test]
fn postgresql_answers_the_same() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    let support = support();
    let mut all = String::new();
    for example in support
        .examples
        .iter()
        .filter(|example| example.is_as_postgresql())
    {
        let theirs = theirs(&runtime, &postgres, &support, example);
        let wrong = match example.here.as_str() {
            "native" => {
                let ours = run_alone(&support.tables, &example.sql).map(|outcome| outcome.answers);
                let ours = ours.unwrap_or_else(|error| error.to_string());
                (ours != theirs).then(|| format!("here:\n{ours}PostgreSQL:\n{theirs}"))
            }
            "notice" => refusal(&theirs).map(|_| format!("PostgreSQL refuses it:\n{theirs}")),
            // What needs more than there is, a server or a role, is not run; but it is SQL.
            _ => (refusal(&theirs) == Some("42601"))
                .then(|| format!("PostgreSQL does not know it:\n{theirs}")),
        };
        if let Some(wrong) = wrong {
            writeln!(
                all,
                "{}, {}:\n{}\n{wrong}",
                example.section, example.what, example.sql
            )
            .unwrap();
        }
    }
    assert!(all.is_empty(), "{all}");
}

/// The first column of an answer.
fn column(runtime: &Runtime, raw: &mut Raw, sql: &str) -> BTreeSet<String> {
    let told = shown(&ask(runtime, raw, sql));
    let lines = told.lines().filter(|line| !line.starts_with("  SELECT "));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn nothing_of_postgresqls_is_missing_in_the_tables() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let runtime = Runtime::new().unwrap();
    let support = support();
    let (mut raw, _) = connect(&runtime, postgres.address, "postgres");
    let mut listed: BTreeSet<String> = BTreeSet::new();
    for example in &support.examples {
        let names = quoted(&example.what).into_iter();
        listed.extend(names.map(|name| name.to_lowercase()));
    }
    let refused = |kind: &str| -> BTreeSet<String> {
        let of = support.refused.iter().filter(|(of, _)| of.contains(kind));
        of.map(|(_, name)| name.clone()).collect()
    };
    let check = |kind: &str, theirs: BTreeSet<String>| {
        let mut known = refused(kind);
        known.extend(listed.iter().cloned());
        if kind == "settings" {
            known.extend(refused("notice"));
        }
        let missing: Vec<_> = theirs.difference(&known).collect();
        assert!(missing.is_empty(), "{kind} in no table: {missing:?}");
    };
    // Names that begin with an underscore are those of arrays; pseudo-types are no types of values.
    let types = "SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace \
                 AND typtype IN ('b', 'r', 'm') AND typname !~ '^_|^pg_(brin|dep|mcv|ndis|node|ddl)' \
                 AND typname NOT IN ('char', 'gtsvector')";
    check("types", column(&runtime, &mut raw, types));
    check(
        "settings",
        column(&runtime, &mut raw, "SELECT lower(name) FROM pg_settings"),
    );
    // What is said to be PostgreSQL's alone, is PostgreSQL's.
    let functions = column(&runtime, &mut raw, "SELECT DISTINCT proname FROM pg_proc");
    let words = [
        "current_time",
        "grouping",
        "localtime",
        "row",
        "xmlconcat",
        "xmlelement",
        "xmlforest",
        "xmlparse",
        "xmlpi",
        "xmlroot",
        "xmlserialize",
    ];
    let unknown: Vec<_> = refused("functions")
        .into_iter()
        .filter(|name| !functions.contains(name) && !words.contains(&name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "no functions of PostgreSQL: {unknown:?}"
    );
    // psql knows all statements.
    let port = postgres.address.port().to_string();
    let help = Command::new("psql")
        .args([
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "ann",
            "-c",
            "\\h",
            "postgres",
        ])
        .output();
    let help = String::from_utf8(help.expect("psql").stdout).unwrap();
    let commands = help.lines().skip(1).flat_map(|line| {
        let middle = line.char_indices().nth(35).map_or(line.len(), |(at, _)| at);
        let (left, right) = line.split_at(middle);
        [left.trim().to_lowercase(), right.trim().to_lowercase()]
    });
    let commands: BTreeSet<_> = commands.filter(|name| !name.is_empty()).collect();
    assert!(commands.len() > 150, "{help}");
    check("statements", commands);
}
