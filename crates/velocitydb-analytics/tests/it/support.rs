//! What docs/sql says that a planner does, this one does; and nothing else.

use std::fmt::Write as _;
use std::sync::Arc;

use velocitydb::Database;
use velocitydb_analytics::Analytics;
use velocitydb_sql::Session;

#[path = "../../../velocitydb-sql/tests/it/supported.rs"]
mod supported;

use supported::{Example, check_examples, read, run_in};

#[test]
fn what_is_planned_runs_and_nothing_else() {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let support = read(&format!("{package}/.."));
    let planner = Arc::new(Analytics::new(2).unwrap());
    let run = |sql: &str| {
        let session = Session::new(Database::in_memory().unwrap()).with_planner(planner.clone());
        run_in(session, &support.tables, sql)
    };
    let mut all = String::new();
    for Example {
        what, sql, here, ..
    } in &support.examples
    {
        let wrong = match (here.as_str(), run(sql)) {
            ("native" | "notice", Ok(_)) => None,
            // The parser knows no EXPLAIN of what begins with a parenthesis.
            ("planned", Ok(_)) if sql.starts_with('(') => None,
            ("planned", Ok(_)) => {
                let explained = run(&format!("EXPLAIN {sql}"));
                explained.err().map(|error| format!("EXPLAIN: {error}"))
            }
            ("native" | "notice" | "planned", Err(error)) => Some(error.to_string()),
            (_, Ok(_)) => Some("it runs".to_owned()),
            (_, Err(_)) => None,
        };
        if let Some(wrong) = wrong {
            writeln!(all, "{what} ({here}): {wrong}\n  {sql}").unwrap();
        }
    }
    assert!(all.is_empty(), "{all}");
}

#[test]
fn the_examples_of_queries_do_what_they_say() {
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let text = std::fs::read_to_string(format!("{package}/../../docs/sql/queries.md")).unwrap();
    let planner = Arc::new(Analytics::new(2).unwrap());
    let mut session = Session::new(Database::in_memory().unwrap()).with_planner(planner);
    assert!(check_examples(&text, &mut session) > 8);
}
