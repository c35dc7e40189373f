//! Prepared statements follow what they were bound to: tables that are defined anew, and settings.

use std::sync::{Arc, Mutex};

use velocitydb::{Clock, Database, Options};
use velocitydb_sql::{Prepared, Session, SqlError};
use velocitydb_types::{Timestamp, Value};

use crate::supported::texts;

fn run(session: &mut Session, prepared: &Prepared) -> Result<String, SqlError> {
    let answer = session.run(prepared, &[])?;
    let rows = answer.rows.expect("of a query");
    Ok(texts(session, prepared.columns(), rows)?.concat().join(" "))
}

fn execute(session: &mut Session, sql: &str) {
    let prepared = session.prepare(sql, &[]).unwrap();
    session.run(&prepared, &[]).unwrap();
}

#[test]
fn a_table_that_is_defined_anew_is_read_as_it_is_now() {
    let database = Database::in_memory().unwrap();
    let (mut session, mut other) = (Session::new(database.clone()), Session::new(database));
    execute(&mut other, "CREATE TABLE t (id int PRIMARY KEY, a int)");
    execute(&mut other, "INSERT INTO t VALUES (1, 10)");
    let all = session.prepare("SELECT * FROM t", &[]).unwrap();
    let some = session
        .prepare("SELECT a FROM t WHERE id = 1", &[])
        .unwrap();
    assert_eq!(run(&mut session, &all).unwrap(), "1 10");

    // An index and a column more: what was asked for is there as before.
    execute(&mut other, "CREATE INDEX ON t (a)");
    assert_eq!(run(&mut session, &all).unwrap(), "1 10");
    execute(&mut other, "ALTER TABLE t ADD COLUMN b text DEFAULT 'x'");
    assert_eq!(run(&mut session, &some).unwrap(), "10");
    let error = run(&mut session, &all).unwrap_err();
    assert_eq!(error.sqlstate, "0A000");
    assert_eq!(&*error.message, "cached plan must not change result type");

    // Dropped, it is not there; made again, it is.
    execute(&mut other, "DROP TABLE t");
    assert_eq!(run(&mut session, &some).unwrap_err().sqlstate, "42P01");
    execute(&mut other, "CREATE TABLE t (id int PRIMARY KEY, a int)");
    execute(&mut other, "INSERT INTO t VALUES (1, 20)");
    assert_eq!(run(&mut session, &some).unwrap(), "20");
    assert_eq!(run(&mut session, &all).unwrap(), "1 20");
}

#[test]
fn what_is_inserted_is_what_the_table_has_now() {
    let database = Database::in_memory().unwrap();
    let (mut session, mut other) = (Session::new(database.clone()), Session::new(database));
    execute(&mut other, "CREATE TABLE t (id int PRIMARY KEY, a int)");
    let insert = session
        .prepare("INSERT INTO t (id) VALUES ($1)", &[])
        .unwrap();
    session.run(&insert, &[Value::Int(1)]).unwrap();
    execute(&mut other, "ALTER TABLE t ALTER COLUMN a SET DEFAULT 7");
    session.run(&insert, &[Value::Int(2)]).unwrap();
    let all = other
        .prepare("SELECT id, coalesce(a, 0) FROM t ORDER BY id", &[])
        .unwrap();
    assert_eq!(run(&mut other, &all).unwrap(), "1 0 2 7");
}

#[test]
fn a_setting_holds_for_what_was_prepared_before() {
    let mut session = Session::new(Database::in_memory().unwrap());
    let sql = "SELECT '2024-06-01 12:00:00+00'::timestamptz::text";
    let prepared = session.prepare(sql, &[]).unwrap();
    execute(&mut session, "SET TimeZone = 'UTC'");
    assert_eq!(
        run(&mut session, &prepared).unwrap(),
        "2024-06-01 12:00:00+00"
    );
    execute(&mut session, "SET TimeZone = 'Europe/Berlin'");
    assert_eq!(
        run(&mut session, &prepared).unwrap(),
        "2024-06-01 14:00:00+02"
    );
}

/// A clock that stands still, and does something the next time that it is asked.
#[derive(Default)]
struct BusyClock(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::fmt::Debug for BusyClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BusyClock")
    }
}

impl Clock for BusyClock {
    fn now(&self) -> Timestamp {
        let deed = self.0.lock().unwrap().take();
        deed.into_iter().for_each(|deed| deed());
        Timestamp(0)
    }
}

/// In the moment between what a statement is bound to and its run.
#[test]
fn an_index_that_is_made_anew_for_another_column_does_not_answer_for_the_first() {
    let clock = Arc::new(BusyClock::default());
    let options = Options::in_memory().clock(Arc::clone(&clock) as _);
    let options = options.background(velocitydb::Background::Owner);
    let database = Database::open(options).unwrap();
    let (mut session, mut other) = (Session::new(database.clone()), Session::new(database));
    execute(&mut other, "CREATE TABLE t (a int, b int)");
    execute(&mut other, "INSERT INTO t VALUES (1, 2), (2, 1)");
    execute(&mut other, "CREATE UNIQUE INDEX u ON t (a)");
    let sql = "SELECT b FROM t WHERE a = 1";
    let by_a = session.prepare(sql, &[]).unwrap();
    assert_eq!(run(&mut session, &by_a).unwrap(), "2");
    *clock.0.lock().unwrap() = Some(Box::new(move || {
        execute(&mut other, "DROP INDEX u");
        execute(&mut other, "CREATE UNIQUE INDEX u ON t (b)");
    }));
    assert_eq!(run(&mut session, &by_a).unwrap(), "2");
    assert!(clock.0.lock().unwrap().is_none());
}
