//! Statements that are very long or very deep: each gets an answer or an error that says why not,
//! in a time that grows as the statement does.

use velocitydb::Database;
use velocitydb_sql::{Session, SqlError};

fn session() -> Session {
    let mut session = Session::new(Database::in_memory().unwrap());
    rows(&mut session, "CREATE TABLE t (id int PRIMARY KEY, a text)").unwrap();
    rows(&mut session, "INSERT INTO t VALUES (1, 'x'), (2, 'y')").unwrap();
    session
}

fn rows(session: &mut Session, sql: &str) -> Result<usize, SqlError> {
    let prepared = session.prepare(sql, &[])?;
    let answer = session.run(&prepared, &[])?;
    Ok(answer.rows.map_or(0, |rows| rows.len()))
}

/// The rows, or the SQLSTATE.
fn outcome(session: &mut Session, sql: &str) -> Result<usize, &'static str> {
    rows(session, sql).map_err(|error| error.sqlstate)
}

#[test]
fn chains_of_conditions_are_long() {
    let session = &mut session();
    for (condition, found) in [
        (format!("id = 1{}", " OR id = 2".repeat(1500)), 2),
        (
            format!("id = 1{}", " OR (id = 2 AND a = 'y')".repeat(3000)),
            2,
        ),
        (format!("id = 1{}", " AND id + 0 = 1".repeat(1000)), 1),
        (format!("id IN (1{})", ", 2".repeat(100_000)), 2),
        (
            format!("(id, a) IN ((1, 'x'){})", ", (2, 'z')".repeat(1000)),
            1,
        ),
    ] {
        let sql = format!("SELECT a FROM t WHERE {condition}");
        assert_eq!(outcome(session, &sql), Ok(found), "{:.60}", sql);
    }
}

#[test]
fn a_text_that_is_too_long_for_a_key_is_no_rows() {
    let session = &mut session();
    rows(
        session,
        "CREATE TABLE k (id text PRIMARY KEY, u text UNIQUE)",
    )
    .unwrap();
    rows(session, "INSERT INTO k VALUES ('x', 'x')").unwrap();
    for column in ["id", "u"] {
        let sql = format!("SELECT * FROM k WHERE {column} = '{}'", "x".repeat(1 << 20));
        assert_eq!(outcome(session, &sql), Ok(0), "{column}");
    }
}

#[test]
fn what_is_too_deep_is_refused() {
    let session = &mut session();
    let text = |n: usize, of: &str| of.repeat(n);
    let nested = |n: usize, (begin, end): (&str, &str)| {
        format!("SELECT {}1{}", begin.repeat(n), end.repeat(n))
    };
    let too_deep = Err("54001");
    for n in [201, 10_000, 100_000] {
        for chained in [" + 1", " IS NULL", "::int", " || 'x'", " COLLATE \"C\""] {
            let sql = format!("SELECT 1 = 1{}", text(n, chained));
            let met = outcome(session, &sql);
            assert!(met.is_err(), "{n} of {chained:?}: {met:?}");
            let sql = format!("SELECT 1 = 1{} )", text(n, chained));
            assert!(outcome(session, &sql).is_err(), "{n} of {chained:?}");
        }
        for more in [
            "(",
            "coalesce(",
            "NOT ",
            "- ",
            "CAST(",
            "(SELECT ",
            "1 IN (",
        ] {
            let sql = format!("SELECT {}", text(n, more));
            assert_eq!(outcome(session, &sql), too_deep, "{n} of {more:?}");
        }
    }
    let union = format!("SELECT 1, 2{}", text(100_000, " UNION SELECT 1, 2"));
    assert_eq!(outcome(session, &union), too_deep);
    let and = format!("SELECT 1 = 1{}", text(10_000, " AND (1 = 1)"));
    assert_eq!(outcome(session, &and), too_deep);
    let array = format!("SELECT 1::int{}", text(100_000, "[]"));
    assert_eq!(outcome(session, &array), too_deep);
    // As deep as may be.
    assert_eq!(
        outcome(session, &format!("SELECT 1{}", text(198, " + 1"))),
        Ok(1)
    );
    assert_eq!(
        outcome(session, &format!("SELECT 1{}", text(99, "::int"))),
        Ok(1)
    );
    assert_eq!(
        outcome(session, &format!("SELECT 1{}", text(99, " IS NULL"))),
        Ok(1)
    );
    assert_eq!(outcome(session, &nested(60, ("coalesce(", ")"))), Ok(1));
    assert_eq!(outcome(session, &nested(30, ("(SELECT ", ")"))), Ok(1));
    let mixed = format!("){}", text(2, "::int"));
    assert_eq!(outcome(session, &nested(25, ("(SELECT ", &mixed))), Ok(1));
    let too_mixed = format!("){}", text(20, "::int"));
    assert_eq!(
        outcome(session, &nested(25, ("(SELECT ", &too_mixed))),
        too_deep
    );
}

#[test]
fn conditions_have_their_bounds() {
    let session = &mut session();
    for condition in [
        format!("id{} > 3", " + id".repeat(100)),
        format!("id > 3 OR abs(id) IN (1{})", ", id + 1".repeat(10_000)),
    ] {
        let sql = format!("SELECT a FROM t WHERE {condition}");
        assert_eq!(outcome(session, &sql), Err("54001"), "{:.60}", sql);
        let sql = format!("DELETE FROM t WHERE {condition}");
        assert_eq!(outcome(session, &sql), Err("54001"), "{:.60}", sql);
    }
}

#[test]
fn answers_have_no_more_columns_than_in_postgresql() {
    let session = &mut session();
    for (begin, one, columns) in [
        ("SELECT ", "1", 1),
        ("VALUES (", "1", 1),
        ("SELECT ", "t.*", 2),
        ("UPDATE t SET a = 'z' RETURNING ", "*", 2),
    ] {
        let end = match begin {
            "VALUES (" => ")",
            "SELECT " => " FROM t LIMIT 1",
            _ => "",
        };
        let most = 1664 / columns;
        let fits = format!("{begin}{one}{}{end}", format!(", {one}").repeat(most - 1));
        assert!(outcome(session, &fits).is_ok(), "{:.60}", fits);
        let wide = format!("{begin}{one}{}{end}", format!(", {one}").repeat(most));
        assert_eq!(outcome(session, &wide), Err("54011"), "{:.60}", wide);
    }
}

#[test]
fn no_part_is_read_again_and_again() {
    let session = &mut session();
    let repeated = |begin: &str, within: &str, end: &str| {
        format!("SELECT {}{within}{}", begin.repeat(28), end.repeat(28))
    };
    for (sql, expected) in [
        (repeated("coalesce(", "1", ")"), Ok(1)),
        (repeated("row(", "1", ")"), Err("0A000")),
        (repeated("CAST(", "1 1", " AS int)"), Err("42601")),
        (repeated("floor(", "1 1", ")"), Err("54001")),
        (repeated("interval -", "1 1", ""), Err("54001")),
        (
            repeated("CASE ", "1", " WHEN 1 THEN 1 WHEN 2 THEN 2 END"),
            Err("54001"),
        ),
        (
            format!("SELECT 1 FROM {}", "((SELECT 1 FROM ".repeat(28)),
            Err("54001"),
        ),
    ] {
        assert_eq!(outcome(session, &sql), expected, "{sql}");
    }
    // Nor are words taken out one after the other, all that follow moved each time.
    let many = "SELECT 1 FOR KEY SHARE;".repeat(12_000);
    assert_eq!(outcome(session, &many), Err("42601"));
    // Where a name stands in the text is of no interest as long as nothing is wrong with it.
    let (lines, columns) = ("\n".repeat(2_000_000), "id, ".repeat(500));
    let sql = format!("SELECT a FROM t WHERE {lines} id IN ({columns} 3)");
    assert_eq!(outcome(session, &sql), Ok(2));
}

#[test]
fn a_transaction_has_so_many_savepoints() {
    let session = &mut session();
    rows(session, "BEGIN").unwrap();
    let savepoint = session.prepare("SAVEPOINT s", &[]).unwrap();
    let mut made = 0;
    let refused = loop {
        match session.run(&savepoint, &[]) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((made, refused.sqlstate), (100_000, "54000"));
    assert_eq!(outcome(session, "ROLLBACK TO s"), Ok(0));
    assert_eq!(outcome(session, "RELEASE s"), Ok(0));
    assert_eq!(outcome(session, "SAVEPOINT s"), Ok(0));
}
