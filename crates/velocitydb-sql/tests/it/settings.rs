//! How long settings hold, what a transaction that only reads may do, and what a session says of itself.

use velocitydb::{Call, Database, DatabaseDefinition};
use velocitydb_sql::Session;

use crate::supported::texts;

/// The SQLSTATE of the error, or the first value of the answer, or its tag.
fn told(session: &mut Session, sql: &str) -> String {
    let answer = session.prepare(sql, &[]).and_then(|prepared| {
        let columns = prepared.columns().to_vec();
        Ok((session.run(&prepared, &[])?, columns))
    });
    let (answer, columns) = match answer {
        Ok(answer) => answer,
        Err(error) => {
            session.fail();
            return error.sqlstate.to_owned();
        }
    };
    let tag = answer.tag();
    let Some(rows) = answer.rows else {
        return tag;
    };
    texts(session, &columns, rows).unwrap().concat().concat()
}

fn check(session: &mut Session, lines: &[(&str, &str)]) {
    for (sql, expected) in lines {
        assert_eq!(told(session, sql), *expected, "{sql}");
    }
}

fn session() -> Session {
    let store = Database::in_memory().unwrap();
    let shop = DatabaseDefinition::new("shop");
    let shop = store.create_database(shop, &Call::new()).unwrap().value;
    let mut session = Session::new(shop);
    let wishes = [("statement_timeout".to_owned(), "5s".to_owned())];
    session.introduce("ann", &wishes).unwrap();
    session
}

#[test]
fn a_call_that_sets_what_makes_no_difference_says_so() {
    let mut session = session();
    let sql = "SELECT set_config('work_mem', '8MB', false)";
    let prepared = session.prepare(sql, &[]).unwrap();
    let answer = session.run(&prepared, &[]).unwrap();
    let notices: Vec<_> = answer.notices.iter().map(|told| &*told.message).collect();
    assert_eq!(notices, ["work_mem makes no difference here"]);
}

#[test]
fn what_is_set_holds_as_long_as_is_said() {
    check(
        &mut session(),
        &[
            ("SET statement_timeout = 1000", "SET"),
            ("SHOW statement_timeout", "1s"),
            ("RESET statement_timeout", "RESET"),
            ("SHOW statement_timeout", "5s"),
            ("SET lock_timeout = 10", "SET"),
            ("SET lock_timeout TO DEFAULT", "SET"),
            ("SHOW lock_timeout", "0"),
            // To the end of the block.
            ("BEGIN", "BEGIN"),
            ("SET LOCAL lock_timeout = 10", "SET"),
            ("SET TimeZone = 'Europe/Berlin'", "SET"),
            ("SHOW lock_timeout", "10ms"),
            ("COMMIT", "COMMIT"),
            ("SHOW lock_timeout", "0"),
            ("SHOW TimeZone", "Europe/Berlin"),
            // A rollback takes back what was set, also one to a savepoint.
            ("BEGIN", "BEGIN"),
            ("SET lock_timeout = 10", "SET"),
            ("SAVEPOINT s", "SAVEPOINT"),
            ("SET lock_timeout = 20", "SET"),
            ("ROLLBACK TO s", "ROLLBACK"),
            ("SHOW lock_timeout", "10ms"),
            ("SELECT 1 / 0", "22012"),
            ("COMMIT", "ROLLBACK"),
            ("SHOW lock_timeout", "0"),
            ("RESET ALL", "RESET"),
            ("SHOW TimeZone", "UTC"),
            ("RESET nothing_like_it", "42704"),
            ("SHOW velocity.durability", "memory"),
            ("SET velocity.durability = full", "SET"),
            ("SHOW velocity.durability", "full"),
            ("RESET velocity.durability", "RESET"),
            ("SET velocity.durability = twice", "22023"),
            ("SHOW velocity.consistency", "strong"),
            ("SET velocity.consistency TO 'local'", "SET"),
            ("SHOW velocity.consistency", "local"),
            ("SET client_min_messages = loud", "22023"),
        ],
    );
}

#[test]
fn a_transaction_that_only_reads_writes_nothing() {
    let mut session = session();
    let lines = [
        ("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE"),
        ("BEGIN READ ONLY", "BEGIN"),
        ("SHOW transaction_read_only", "on"),
        ("SELECT count(*) FROM t", "0"),
        ("SET TRANSACTION READ WRITE", "25001"),
        ("ROLLBACK", "ROLLBACK"),
    ];
    check(&mut session, &lines);
    for sql in [
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET id = 1",
        "DELETE FROM t",
        "SELECT * FROM t FOR UPDATE",
        "CREATE TABLE other (id int)",
        "EXPLAIN ANALYZE DELETE FROM t",
    ] {
        let lines = [
            (
                "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
                "START TRANSACTION",
            ),
            (sql, "25006"),
        ];
        check(&mut session, &lines);
        check(&mut session, &[("COMMIT", "ROLLBACK")]);
    }
    let lines = [
        ("BEGIN", "BEGIN"),
        ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET"),
        ("SHOW TRANSACTION ISOLATION LEVEL", "repeatable read"),
        ("SELECT 1", "1"),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "25001"),
        ("ROLLBACK", "ROLLBACK"),
    ];
    check(&mut session, &lines);
}

#[test]
fn a_session_says_what_it_is() {
    let mut session = session();
    let lines = [
        ("SELECT current_user", "ann"),
        ("SELECT session_user", "ann"),
        ("SELECT current_database()", "shop"),
        ("SELECT current_schema()", "public"),
        ("SHOW session_authorization", "ann"),
    ];
    check(&mut session, &lines);
    let version = told(&mut session, "SELECT pg_catalog.version()");
    assert!(
        version.starts_with("PostgreSQL 15.0 (VelocityDB "),
        "{version}"
    );
}

#[test]
fn statements_of_the_protocol_and_of_sql_have_one_name_space() {
    let mut session = session();
    session.prepare_as("one", "SELECT $1 + 1", &[]).unwrap();
    check(&mut session, &[("EXECUTE one (2)", "3")]);
    let lines = [
        ("PREPARE one AS SELECT 2", "42P05"),
        ("PREPARE two AS SELECT 2", "PREPARE"),
    ];
    check(&mut session, &lines);
    let taken = session.prepare_as("two", "SELECT 3", &[]).unwrap_err();
    assert_eq!(taken.sqlstate, "42P05");
    assert_eq!(session.statement("two").unwrap().columns().len(), 1);
    check(&mut session, &[("DEALLOCATE PREPARE One", "DEALLOCATE")]);
    assert_eq!(session.statement("one").unwrap_err().sqlstate, "26000");
    session.deallocate("two").unwrap();
    check(&mut session, &[("EXECUTE two", "26000")]);
    for sql in ["DEALLOCATE ALL", "DISCARD ALL"] {
        session.prepare_as("", "SELECT 1", &[]).unwrap();
        session.prepare_as("one", "SELECT 1", &[]).unwrap();
        check(&mut session, &[(sql, sql), ("EXECUTE one", "26000")]);
        // The one without a name is replaced alone.
        assert!(session.statement("").is_ok());
    }
}

#[test]
fn an_execute_that_was_prepared_runs_what_has_the_name_now() {
    let mut session = session();
    check(
        &mut session,
        &[("PREPARE p (int) AS SELECT $1 * 10", "PREPARE")],
    );
    session.prepare_as("e", "EXECUTE p (4)", &[]).unwrap();
    let run = |session: &mut Session| {
        let execute = std::sync::Arc::clone(session.statement("e").unwrap());
        let answer = session.run(&execute, &[]);
        answer
            .map(|answer| answer.tag())
            .map_err(|error| error.sqlstate)
    };
    assert_eq!(run(&mut session), Ok("SELECT 1".into()));
    check(&mut session, &[("DEALLOCATE p", "DEALLOCATE")]);
    assert_eq!(run(&mut session), Err("26000"));
    let lines = [(
        "PREPARE p (int) AS SELECT generate_series FROM (VALUES ($1), (2)) AS v(generate_series)",
        "PREPARE",
    )];
    check(&mut session, &lines);
    assert_eq!(
        run(&mut session),
        Err("0A000"),
        "other columns than were told"
    );
    let lines = [
        ("DEALLOCATE p", "DEALLOCATE"),
        (
            "PREPARE p (int) AS SELECT $1 + a AS \"?column?\" FROM (VALUES (1), (2)) AS v(a)",
            "PREPARE",
        ),
    ];
    check(&mut session, &lines);
    assert_eq!(run(&mut session), Ok("SELECT 2".into()));
    check(&mut session, &[("EXECUTE e", "0A000")]);
}

/// As errors of the whole text are.
#[test]
fn an_error_in_what_is_prepared_tells_its_place_in_the_whole() {
    let mut session = session();
    let sql = "PREPARE  ünique (int) AS\n SELECT nothing";
    let prepare = session.prepare(sql, &[]).unwrap();
    let error = session.run(&prepare, &[]).unwrap_err();
    assert_eq!((error.sqlstate, error.position), ("42703", Some(34)));
}
