//! Requests of several statements are one transaction, what was cancelled is what ran, and what may
//! take its time is said to.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use velocitydb::locks::{LockError, Waiting};
use velocitydb::{Committing, Database};
use velocitydb_sql::formats::write_text;
use velocitydb_sql::{Answer, Runtime, Session, SqlError, Status, Threads};
use velocitydb_types::ScalarType;

fn run(session: &mut Session, sql: &str) -> Result<Answer, SqlError> {
    let prepared = session.prepare(sql, &[]);
    let prepared = prepared.inspect_err(|_| session.fail())?;
    session.run(&prepared, &[])
}

/// What a client does that asks for several at once: the errors' SQLSTATE, or what warnings there
/// were.
fn request(session: &mut Session, statements: &[&str]) -> Result<Vec<String>, &'static str> {
    session.begin_implicit();
    let mut warnings = Vec::new();
    for sql in statements {
        let answer = run(session, sql).map_err(|error| error.sqlstate)?;
        warnings.extend(
            answer
                .notices
                .into_iter()
                .map(|notice| notice.message.into()),
        );
    }
    session.end_implicit().map_err(|error| error.sqlstate)?;
    Ok(warnings)
}

/// What is in the table.
fn ids(session: &mut Session) -> String {
    let answer = run(
        session,
        "SELECT string_agg(id::text, ' ' ORDER BY id) FROM t",
    );
    let mut text = Vec::new();
    let mut rows = answer.unwrap().rows.unwrap();
    let wrote = rows.next(|_, cell| {
        if cell.is_null() {
            return Ok(());
        }
        let (sql, settings) = (ScalarType::Text.into(), session.settings());
        write_text(cell.view(), sql, settings, &mut text).map_err(SqlError::from)
    });
    wrote.unwrap();
    String::from_utf8(text).unwrap()
}

fn with_table() -> (Database, Session) {
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    run(&mut session, "CREATE TABLE t (id bigint PRIMARY KEY)").unwrap();
    (database, session)
}

#[test]
fn a_request_that_fails_leaves_nothing_and_one_that_does_not_all() {
    let (_database, mut session) = with_table();
    let failed = request(
        &mut session,
        &["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1)"],
    );
    assert_eq!(failed, Err("23505"));
    assert_eq!(session.status(), Status::Idle);
    assert_eq!(ids(&mut session), "");
    let failed = request(&mut session, &["INSERT INTO t VALUES (1)", "SELECT 1 / 0"]);
    assert_eq!(failed, Err("22012"));
    assert_eq!(ids(&mut session), "");
    request(
        &mut session,
        &["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"],
    )
    .unwrap();
    assert_eq!(ids(&mut session), "1 2");
}

#[test]
fn others_see_a_request_when_it_has_ended() {
    let (database, mut session) = with_table();
    let mut other = Session::new(database);
    session.begin_implicit();
    run(&mut session, "INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(
        (ids(&mut session), ids(&mut other)),
        ("1".into(), String::new())
    );
    session.end_implicit().unwrap();
    assert_eq!(ids(&mut other), "1");
}

#[test]
fn begin_in_a_request_makes_a_block_of_what_came_before_it() {
    let (_database, mut session) = with_table();
    request(
        &mut session,
        &[
            "INSERT INTO t VALUES (1)",
            "BEGIN",
            "INSERT INTO t VALUES (2)",
        ],
    )
    .unwrap();
    assert_eq!(session.status(), Status::Open);
    run(&mut session, "ROLLBACK").unwrap();
    assert_eq!(ids(&mut session), "");

    let late = request(
        &mut session,
        &[
            "INSERT INTO t VALUES (1)",
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
        ],
    );
    assert_eq!(late, Err("25001"));
    assert_eq!(ids(&mut session), "");

    let failed = request(
        &mut session,
        &["INSERT INTO t VALUES (1)", "BEGIN", "SELECT 1 / 0"],
    );
    assert_eq!(failed, Err("22012"));
    assert_eq!(session.status(), Status::Failed);
    assert_eq!(run(&mut session, "COMMIT").unwrap().command, "ROLLBACK");
    assert_eq!(ids(&mut session), "");
}

#[test]
fn commit_and_rollback_in_a_request_end_what_came_before_them() {
    let none = ["there is no transaction in progress"];
    let (_database, mut session) = with_table();
    let failed = request(
        &mut session,
        &[
            "INSERT INTO t VALUES (1)",
            "COMMIT",
            "INSERT INTO t VALUES (2)",
            "SELECT 1 / 0",
        ],
    );
    assert_eq!(failed, Err("22012"));
    assert_eq!(ids(&mut session), "1");
    let warnings = request(
        &mut session,
        &[
            "INSERT INTO t VALUES (3)",
            "ROLLBACK",
            "INSERT INTO t VALUES (4)",
        ],
    );
    assert_eq!(warnings.unwrap(), none);
    assert_eq!(ids(&mut session), "1 4");
    let warnings = request(&mut session, &["INSERT INTO t VALUES (5)", "COMMIT"]);
    assert_eq!(warnings.unwrap(), none);
    // A block that the request begins and ends has nothing to warn of.
    let warnings = request(
        &mut session,
        &[
            "BEGIN",
            "INSERT INTO t VALUES (6)",
            "COMMIT",
            "INSERT INTO t VALUES (7)",
        ],
    );
    assert!(warnings.unwrap().is_empty());
    assert_eq!(ids(&mut session), "1 4 5 6 7");
    assert_eq!(
        request(&mut session, &["SELECT 1", "SAVEPOINT a"]),
        Err("25P01")
    );
}

/// As PostgreSQL has it: all of a request or nothing, tables and rows.
#[test]
fn definitions_are_rolled_back_with_what_came_before_them() {
    let (_database, mut session) = with_table();
    let failed = request(
        &mut session,
        &[
            "INSERT INTO t VALUES (1)",
            "CREATE TABLE u (id bigint PRIMARY KEY)",
            "INSERT INTO t VALUES (2)",
            "INSERT INTO u VALUES (1)",
            "SELECT 1 / 0",
        ],
    );
    assert_eq!(failed, Err("22012"));
    assert_eq!(ids(&mut session), "");
    assert_eq!(
        run(&mut session, "SELECT * FROM u").unwrap_err().sqlstate,
        "42P01"
    );
    run(&mut session, "INSERT INTO t VALUES (1)").unwrap();
    let failed = request(&mut session, &["TRUNCATE t", "SELECT 1 / 0"]);
    assert_eq!(failed, Err("22012"));
    assert_eq!(ids(&mut session), "1");
}

#[test]
fn a_cancel_that_comes_while_nothing_runs_ends_nothing() {
    let (_database, mut session) = with_table();
    let canceller = session.canceller();
    for begin in ["SELECT 1", "BEGIN"] {
        run(&mut session, begin).unwrap();
        canceller.cancel();
        assert_eq!(ids(&mut session), "");
        canceller.cancel();
        run(&mut session, "SELECT count(*) FROM t").unwrap();
    }
    canceller.cancel();
    run(&mut session, "COMMIT").unwrap();
    canceller.cancel();
    request(&mut session, &["SELECT 1", "SELECT count(*) FROM t"]).unwrap();
}

/// Not one statement of many, each of them short, but the request.
#[test]
fn a_cancel_between_the_statements_of_a_request_ends_it() {
    let (_database, mut session) = with_table();
    session.begin_implicit();
    run(&mut session, "INSERT INTO t VALUES (1)").unwrap();
    session.canceller().cancel();
    let error = run(&mut session, "INSERT INTO t VALUES (2)").unwrap_err();
    assert_eq!(error.sqlstate, "57014");
    assert_eq!(ids(&mut session), "");
}

#[test]
fn a_statement_in_a_block_is_cancelled() {
    let (_database, mut session) = with_table();
    run(&mut session, "BEGIN").unwrap();
    let insert = session.prepare("INSERT INTO t VALUES ($1)", &[]).unwrap();
    for id in 0..20_000_i64 {
        session.run(&insert, &[id.into()]).unwrap();
    }
    let canceller = session.canceller();
    let cancelled = AtomicBool::new(false);
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !cancelled.load(Ordering::Relaxed) {
                canceller.cancel();
                std::thread::yield_now();
            }
        });
        // Until one is hit while it runs.
        let scan = "SELECT count(*) FROM t WHERE id + 1 < 0";
        let error = (0..1_000).find_map(|_| run(&mut session, scan).err());
        cancelled.store(true, Ordering::Relaxed);
        error
    });
    assert_eq!(error.unwrap().sqlstate, "57014");
    assert_eq!(session.status(), Status::Failed);
}

/// A runtime that counts what may take its time.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Runtime for Counting {
    fn work<R>(&self, work: impl FnOnce() -> R) -> R {
        self.0.fetch_add(1, Ordering::Relaxed);
        work()
    }

    async fn wait(&self, waiting: Waiting, limit: Option<Duration>) -> Result<(), LockError> {
        Threads.wait(waiting, limit).await
    }

    async fn told(&self, committing: Committing) -> Result<(), velocitydb::Error> {
        Threads.told(committing).await
    }
}

/// It waits for others that do, which may be making long commits.
#[test]
fn a_commit_that_notifies_may_take_its_time() {
    let mut session = Session::new(Database::in_memory().unwrap());
    let runtime = Counting::default();
    let mut works = |sql: &str| {
        let before = runtime.0.load(Ordering::Relaxed);
        let prepared = session.prepare(sql, &[]).unwrap();
        let mut run = std::pin::pin!(session.run_on(&runtime, &prepared, &[]));
        let polled = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(polled, Poll::Ready(Ok(_))), "{sql}");
        runtime.0.load(Ordering::Relaxed) - before
    };
    works("CREATE TABLE t (a int)");
    for (notifies, expected) in [(false, 0), (true, 1)] {
        works("BEGIN");
        works("INSERT INTO t VALUES (1)");
        if notifies {
            works("NOTIFY c");
        }
        assert_eq!(works("COMMIT"), expected);
    }
}
