//! Prepared statements follow what they were bound to: tables that are defined anew, and settings.

use velocitydb::Database;
use velocitydb_sql::formats::write_text;
use velocitydb_sql::{Prepared, Session, SqlError};
use velocitydb_types::Value;

fn run(session: &mut Session, prepared: &Prepared) -> Result<String, SqlError> {
    let answer = session.run(prepared, &[])?;
    let mut texts = Vec::new();
    let mut rows = answer.rows.expect("of a query");
    while rows.next(|at, cell| {
        let mut text = Vec::new();
        let sql = prepared.columns()[at].sql;
        write_text(cell.view(), sql, session.settings(), &mut text)?;
        texts.push(String::from_utf8(text).unwrap());
        Ok::<_, SqlError>(())
    })? {}
    Ok(texts.join(" "))
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
