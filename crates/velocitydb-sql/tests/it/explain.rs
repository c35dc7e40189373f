//! Plans: that indexes serve what they should, whatever the guesses are.

use velocitydb::Database;
use velocitydb_sql::{Session, parse};
use velocitydb_types::Value;

use crate::supported::texts;

fn run(session: &mut Session, sql: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for tree in parse(sql).unwrap() {
        let prepared = session.prepare_tree(sql, &tree, &[]).unwrap();
        let answer = session.run(&prepared, &[]).unwrap();
        if let Some(rows) = answer.rows {
            let rows = texts(session, prepared.columns(), rows).unwrap();
            lines.extend(rows.iter().map(|row| row.concat()));
        }
    }
    lines
}

/// A table of processes as ColonyOS has it, so full that a scan is dear.
fn processes() -> Session {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(
        &mut session,
        "CREATE TABLE processes (id text PRIMARY KEY, colony text, state int, assigned boolean,
             prioritytime bigint, targets text[], location text, executor text);
         CREATE INDEX waiting ON processes (colony, state, assigned, prioritytime);
         CREATE INDEX by_executor ON processes (executor)",
    );
    let insert = session
        .prepare(
            "INSERT INTO processes VALUES ($1, 'dev', $2, $3, $4, $5, '', $6)",
            &[],
        )
        .unwrap();
    for n in 0..500_i64 {
        let assigned = n % 10 != 0;
        let targets = match n % 3 {
            0 => vec![],
            1 => vec![Value::from("me")],
            _ => vec![Value::from("you")],
        };
        let row = [
            format!("p{n}").into(),
            i64::from(assigned).into(),
            assigned.into(),
            (1000 - n).into(),
            Value::Array(targets),
            format!("x{}", n % 50).into(),
        ];
        session.run(&insert, &row).unwrap();
    }
    session
}

const NEXT: &str =
    "SELECT id FROM processes WHERE colony = 'dev' AND state = 0 AND assigned = FALSE
    AND ('me' = ANY(targets) OR array_length(targets, 1) IS NULL OR targets = ARRAY['*']::text[])
    AND (location = '' OR location = 'here') ORDER BY prioritytime LIMIT 1";

#[test]
fn the_next_process_is_found_by_the_index_of_those_that_wait() {
    let mut session = processes();
    assert_eq!(run(&mut session, NEXT), ["p490"]);
    let plan = run(&mut session, &format!("EXPLAIN {NEXT}")).join("\n");
    // Those that have a time, and then those that have none.
    assert!(plan.contains("index waiting, 2 ranges"), "{plan}");
    assert!(!plan.contains("sort"), "{plan}");
    assert!(!plan.contains("condition"), "all of it is a filter: {plan}");

    let assign = format!("UPDATE processes SET assigned = TRUE WHERE id = ({NEXT}) RETURNING id");
    let plan = run(&mut session, &format!("EXPLAIN {assign}")).join("\n");
    assert!(plan.contains("update processes"), "{plan}");
    assert!(plan.contains("by id, 1 id"), "{plan}");
    assert!(plan.contains("sub-select\n   limit 1"), "{plan}");
    assert_eq!(run(&mut session, &assign), ["p490"]);
}

#[test]
fn prefixes_and_alternatives_are_served_by_an_index() {
    let mut session = processes();
    for (condition, access, count) in [
        ("executor LIKE 'x1%'", "index by_executor, 1 range", "110"),
        (
            "executor = 'x1' OR executor = 'x2'",
            "index by_executor, 2 ranges",
            "20",
        ),
        ("executor IN (SELECT 'x' || '3')", "index by_executor", "10"),
        ("NOT (executor <> 'x4')", "index by_executor", "10"),
    ] {
        let count_of = format!("SELECT count(*) FROM processes WHERE {condition}");
        assert_eq!(run(&mut session, &count_of), [count], "{condition}");
        let plan = run(&mut session, &format!("EXPLAIN {count_of}")).join("\n");
        assert!(plan.contains(access), "{condition}: {plan}");
        assert!(plan.contains("group by 0 keys, 1 aggregates"), "{plan}");
    }
}

#[test]
fn analyze_runs_the_statement() {
    let mut session = processes();
    let update = "UPDATE processes SET location = 'there' WHERE executor = 'x7'";
    run(&mut session, &format!("EXPLAIN {update}"));
    let there = "SELECT count(*) FROM processes WHERE location = 'there'";
    assert_eq!(run(&mut session, there), ["0"]);
    let plan = run(&mut session, &format!("EXPLAIN ANALYZE {update}")).join("\n");
    assert!(plan.contains("rows 10"), "{plan}");
    assert!(plan.contains("Execution Time: "), "{plan}");
    assert_eq!(run(&mut session, there), ["10"]);
    let json = run(
        &mut session,
        &format!("EXPLAIN (ANALYZE, FORMAT JSON) {NEXT}"),
    );
    let json: serde_json::Value = serde_json::from_str(&json.join("\n")).unwrap();
    assert!(json[0]["Plan"]["steps"].is_array(), "{json}");
    assert!(json[0]["Execution Time"].is_number(), "{json}");
}
