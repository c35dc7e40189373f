//! Temporary tables go with their session.

use velocitydb::Database;
use velocitydb_sql::{Session, parse};

fn run(session: &mut Session, sql: &str) {
    for statement in parse(sql).unwrap() {
        let prepared = session.prepare_tree(sql, &statement, &[]).unwrap();
        session.run(&prepared, &[]).unwrap();
    }
}

fn count(database: &Database) -> (usize, usize) {
    let sequences = database.sequences().unwrap();
    (database.collections().len(), sequences.len())
}

const TABLES: &str = "CREATE TEMP TABLE a (id serial PRIMARY KEY);
    CREATE TEMP TABLE b (a int REFERENCES a);
    CREATE TABLE IF NOT EXISTS c (id serial PRIMARY KEY);
    INSERT INTO a DEFAULT VALUES;
    INSERT INTO b VALUES (1);
    CREATE TEMPORARY SEQUENCE s";

#[test]
fn they_go_at_the_end_of_the_session_and_by_discard() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(&mut session, TABLES);
    assert_eq!(count(&database), (3, 3));
    for discard in ["DISCARD TEMP", "DISCARD ALL"] {
        run(&mut session, discard);
        assert_eq!(count(&database), (1, 1));
        run(&mut session, TABLES);
    }
    let mut other = Session::new(database.clone());
    run(&mut other, TABLES);
    assert_eq!(count(&database), (5, 5));
    // With a transaction open.
    run(&mut session, "BEGIN; INSERT INTO b VALUES (1)");
    drop(session);
    assert_eq!(count(&database), (3, 3));
    drop(other);
    assert_eq!(count(&database), (1, 1));
}

#[test]
fn what_was_prepared_before_means_the_table_that_is_found_first() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database);
    run(
        &mut session,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1)",
    );
    let prepared = session.prepare("SELECT count(*) FROM t", &[]).unwrap();
    let counted = |session: &mut Session| {
        let mut rows = session.run(&prepared, &[]).unwrap().rows.unwrap();
        let mut value = None;
        rows.next(|_, cell| {
            value = Some(cell.clone().into_value());
            Ok::<_, velocitydb_sql::SqlError>(())
        })
        .unwrap();
        value.unwrap()
    };
    assert_eq!(counted(&mut session), 1.into());
    run(&mut session, "CREATE TEMP TABLE t (a int)");
    assert_eq!(counted(&mut session), 0.into());
    run(&mut session, "DROP TABLE t");
    assert_eq!(counted(&mut session), 1.into());
}
