//! What a statement keeps is bounded by the memory of all queries; what it need not keep is not.

use velocitydb::{Database, Options};
use velocitydb_sql::{Session, SqlError};

fn count(session: &mut Session, sql: &str) -> Result<usize, SqlError> {
    let prepared = session.prepare(sql, &[])?;
    let answer = session.run(&prepared, &[])?;
    Ok(answer.rows.map_or(0, |rows| rows.len()))
}

#[test]
fn a_statement_that_keeps_too_much_ends() {
    let options = Options::in_memory().query_memory(1 << 20);
    let database = Database::open(options).unwrap();
    let mut session = Session::new(database.clone());
    count(&mut session, "CREATE TABLE t (id int PRIMARY KEY, a text)").unwrap();
    let insert = session
        .prepare("INSERT INTO t VALUES ($1, $2)", &[])
        .unwrap();
    count(&mut session, "BEGIN").unwrap();
    for n in 0..8000_i64 {
        let row = [n.into(), format!("{n:0>200}").into()];
        session.run(&insert, &row).unwrap();
    }
    count(&mut session, "COMMIT").unwrap();
    for refused in [
        "SELECT id FROM t ORDER BY a || 'x'",
        "SELECT DISTINCT a FROM t",
        "SELECT DISTINCT ON (a) id FROM t ORDER BY a",
        "SELECT count(*) FROM t GROUP BY a",
        "SELECT count(DISTINCT a) FROM t",
        "SELECT string_agg(a, ',') FROM t",
        "SELECT array_agg(a ORDER BY id) FROM t",
        "SELECT upper(a) FROM t",
        "SELECT 1 WHERE 'x' IN (SELECT lower(a) FROM t)",
        "SELECT 1 WHERE 'x' IN (SELECT a FROM t)",
    ] {
        let error = count(&mut session, refused).expect_err(refused);
        assert_eq!(error.sqlstate, "53200", "{refused}: {error}");
        assert_eq!(
            database.query_memory().used(),
            0,
            "all of it is given back: {refused}"
        );
    }
    for (answered, rows) in [
        ("SELECT id FROM t ORDER BY a || 'x' DESC LIMIT 10", 10),
        ("SELECT DISTINCT a FROM t LIMIT 10", 10),
        (
            "SELECT length(a), count(*), min(a), max(a) FROM t GROUP BY length(a)",
            1,
        ),
        ("SELECT upper(a) FROM t LIMIT 10", 10),
        ("SELECT a FROM t", 8000),
    ] {
        assert_eq!(count(&mut session, answered).unwrap(), rows, "{answered}");
    }
}

/// However long the rows are: their handles are kept until the answer is dropped.
#[test]
fn columns_of_rows_are_kept_as_handles() {
    const ROWS: usize = 100_000;
    let database = Database::open(Options::in_memory().query_memory(16 << 20)).unwrap();
    let memory = database.query_memory();
    let mut session = Session::new(database.clone());
    count(&mut session, "CREATE TABLE t (id int PRIMARY KEY, a text)").unwrap();
    let copy = session.prepare("COPY t FROM STDIN", &[]).unwrap();
    for part in 0..10 {
        let ids = part * ROWS / 10..(part + 1) * ROWS / 10;
        let data: String = ids.map(|id| format!("{id}\t{id:0>200}\n")).collect();
        let mut copy = session.copy_in(&copy).unwrap();
        session.copy_take(&mut copy, data.as_bytes()).unwrap();
        session.copy_end(&mut copy).unwrap();
    }
    for sql in ["SELECT id, a FROM t", "SELECT * FROM t FOR SHARE"] {
        let prepared = session.prepare(sql, &[]).unwrap();
        let rows = session.run(&prepared, &[]).unwrap().rows.unwrap();
        assert_eq!(rows.len(), ROWS);
        let used = memory.used();
        assert!((8 * ROWS..=20 * ROWS).contains(&used), "{used} of {sql}");
        drop(rows);
        assert_eq!(memory.used(), 0, "all of it is given back: {sql}");
    }
    let error = count(&mut session, "SELECT a || id::text FROM t").unwrap_err();
    assert_eq!(error.sqlstate, "53200", "values are kept whole: {error}");
}

/// `SELECT … IN (1, 1, …)` of so many bytes.
fn list(bytes: usize) -> String {
    format!("SELECT id FROM t WHERE id IN (1{})", ",1".repeat(bytes / 2))
}

#[test]
fn statements_of_megabytes_are_read_or_refused() {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    count(&mut session, "CREATE TABLE t (id int PRIMARY KEY, a text)").unwrap();
    let row = |n: u32| format!(", ({n}, '{n:0>200}')");
    let rows: String = (1..15_000).map(row).collect();
    let insert = format!("INSERT INTO t VALUES (0, 'x'){rows}");
    assert!(insert.len() > 3 << 20);
    count(&mut session, &insert).unwrap();
    let one = "SELECT count(*) FROM t WHERE a > ";
    let text = format!("{one}'{}'", "a, b; ".repeat(1 << 19));
    assert_eq!(count(&mut session, &text), Ok(1));
    assert_eq!(count(&mut session, &list(200_000)), Ok(1));
    for refused in [
        list(10 << 20),
        "SELECT 1;".repeat(1 << 20),
        " ".repeat(10 << 20),
        format!("SELECT $${}$$", "1,".repeat(3 << 20)),
    ] {
        let error = count(&mut session, &refused).unwrap_err();
        assert_eq!(error.sqlstate, "54001", "{:.40}: {error}", refused);
        assert!(error.hint.unwrap().contains("COPY"));
    }
}

#[test]
fn statements_are_read_within_the_memory_of_all_queries() {
    let options = Options::in_memory().query_memory(64 << 20);
    let database = Database::open(options).unwrap();
    let memory = database.query_memory();
    let (session, other) = (
        Session::new(database.clone()),
        Session::new(database.clone()),
    );
    session.parse(&list(10)).unwrap();
    assert_eq!(memory.used(), 0, "small statements take nothing");
    let sql = list(50_000);
    let one = session.parse(&sql).unwrap();
    assert!(memory.used() > 20 << 20, "{}", memory.used());
    let two = other.parse(&sql).unwrap();
    let error = other.prepare(&sql, &[]).unwrap_err();
    assert_eq!(error.sqlstate, "53200", "{error}");
    assert!(error.to_string().contains("query-memory-total"), "{error}");
    drop(one);
    session.parse(&sql).unwrap();
    drop(two);
    assert_eq!(memory.used(), 0, "all of it is given back");
}
