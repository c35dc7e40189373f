//! What the sessions of `sessions/*.script` are told, and when ([`script`]). A session that
//! listens hears what there is when it has run something; data of a COPY stand behind `<<<`, with `;`
//! between the rows.

use std::fmt::Write as _;
use std::task::{Context, Poll, Waker};
use std::thread;

use velocitydb::Database;
use velocitydb_sql::{Session, SqlError, parse};

use crate::script::{Player, play, scripts};
use crate::supported::texts;

fn answer(session: &mut Session, sql: &str) -> Result<String, SqlError> {
    let mut told = String::new();
    let (sql, data) = sql.split_once(" <<< ").unwrap_or((sql, ""));
    for tree in parse(sql)? {
        let prepared = session.prepare_tree(sql, &tree, &[])?;
        if prepared.is_copy_in() {
            let mut copy = session.copy_in(&prepared)?;
            session.copy_take(&mut copy, data.replace(';', "\n").as_bytes())?;
            writeln!(told, "  {}", session.copy_end(&mut copy)?.tag()).unwrap();
            continue;
        }
        let answer = session.run(&prepared, &[])?;
        let tag = answer.tag();
        for notice in &answer.notices {
            writeln!(told, "  {} {}", notice.sqlstate, notice.message).unwrap();
        }
        if let Some(rows) = answer.rows {
            for row in texts(session, prepared.columns(), rows)? {
                writeln!(told, "  {}", row.join("|")).unwrap();
            }
        }
        writeln!(told, "  {tag}").unwrap();
    }
    Ok(told)
}

fn player(database: &Database) -> Player {
    let mut session = Session::new(database.clone());
    let owner = session.owner();
    let locks = database.locks().clone();
    let answer = move |sql: &str| {
        let mut answer = answer(&mut session, sql).unwrap_or_else(|error| {
            session.fail();
            format!("  {} {}\n", error.sqlstate, error.message)
        });
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(heard) = session.poll_notification(&mut context) {
            let heard = heard.unwrap();
            let (channel, payload) = (heard.channel, heard.payload);
            writeln!(answer, "  hears {channel}: {payload:?} from {}", heard.from).unwrap();
        }
        answer
    };
    Player::new(answer, move || {
        let mut rows = locks.list(usize::MAX).rows.into_iter();
        rows.any(|row| row.owner == owner && row.waits_since.is_some())
    })
}

#[test]
fn sessions_wait_for_each_other_as_the_scripts_say() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let update = std::env::var_os("UPDATE_GOLDENFILES").is_some();
    for (path, script) in scripts(&format!("{root}/..")) {
        let database = Database::in_memory().unwrap();
        let told = play(&script, || player(&database));
        if update {
            std::fs::write(&path, &told).unwrap();
        }
        assert!(update || told == script, "{}:\n{told}", path.display());
    }
}

/// Several sessions count one row up, by single statements and in blocks, read and write apart and at
/// once: each count is there at the end.
#[test]
fn no_update_is_lost() {
    const TIMES: usize = 500;
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    answer(&mut session, "CREATE TABLE t (id int PRIMARY KEY, n int)").unwrap();
    answer(&mut session, "INSERT INTO t VALUES (1, 0), (2, 0)").unwrap();
    let ways = [
        "UPDATE t SET n = n + 1 WHERE id = 1",
        "BEGIN; UPDATE t SET n = n + 1 WHERE id = 1; UPDATE t SET n = n - 1 WHERE id = 2; COMMIT",
        "BEGIN; SELECT n FROM t WHERE id = 1 FOR UPDATE; UPDATE t SET n = n + 1 WHERE id = 1; COMMIT",
        "INSERT INTO t VALUES (1, 0) ON CONFLICT (id) DO UPDATE SET n = t.n + 1",
    ];
    thread::scope(|scope| {
        for way in ways {
            let mut session = Session::new(database.clone());
            scope.spawn(move || {
                for _ in 0..TIMES {
                    answer(&mut session, way).unwrap();
                }
            });
        }
    });
    let counted = answer(&mut session, "SELECT n FROM t ORDER BY id").unwrap();
    let wanted = format!("  {}\n  -{TIMES}\n  SELECT 2\n", ways.len() * TIMES);
    assert_eq!(counted, wanted);
}

/// Workers take whichever row is free, while what they see of it may be older than what another has made
/// of it: none is told at its COMMIT that another was faster, and each count is there.
#[test]
fn who_skips_locked_rows_goes_on_with_the_newest() {
    const TIMES: usize = 500;
    let database = Database::in_memory().unwrap();
    let mut session = Session::new(database.clone());
    answer(&mut session, "CREATE TABLE t (id int PRIMARY KEY, n int)").unwrap();
    answer(&mut session, "INSERT INTO t VALUES (1, 0)").unwrap();
    let count = "BEGIN; UPDATE t SET n = n + 1 WHERE id = \
                 (SELECT id FROM t ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED); COMMIT";
    let work = |_| {
        let mut session = Session::new(database.clone());
        move || {
            let told = (0..TIMES).map(|_| answer(&mut session, count).unwrap());
            told.filter(|told| told.contains("UPDATE 1")).count()
        }
    };
    let counted: usize = thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|at| scope.spawn(work(at))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    });
    let found = answer(&mut session, "SELECT n FROM t").unwrap();
    assert_eq!(found, format!("  {counted}\n  SELECT 1\n"));
}
