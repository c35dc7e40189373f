//! Scripts of several sessions that wait for each other, in `sessions`: what each is told, and when.
//!
//! A line `a: SQL` has session `a` run it; below it stand its rows and its tag, its error, or that it
//! waits. What a wait ends with stands below the line that ended it, behind the session's name. A
//! session that listens hears what there is when it has run something. Data of a COPY stand behind `<<<`,
//! with `;` between the rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use velocitydb::Database;
use velocitydb::locks::OwnerId;
use velocitydb_sql::formats::write_text;
use velocitydb_sql::{Session, SqlError, parse};

/// A session on a thread of its own.
struct Player {
    owner: OwnerId,
    statements: Sender<String>,
    answers: Receiver<String>,
    waits: bool,
    thread: JoinHandle<()>,
}

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
        if let Some(mut rows) = answer.rows {
            let columns = prepared.columns();
            let mut row = Vec::new();
            while rows.next(|at, cell| {
                let mut text = Vec::new();
                if !cell.is_null() {
                    write_text(cell.view(), columns[at].sql, session.settings(), &mut text)?;
                }
                row.push(String::from_utf8(text).unwrap());
                Ok::<_, SqlError>(())
            })? {
                writeln!(told, "  {}", std::mem::take(&mut row).join("|")).unwrap();
            }
        }
        writeln!(told, "  {tag}").unwrap();
    }
    Ok(told)
}

impl Player {
    fn new(database: &Database) -> Player {
        let mut session = Session::new(database.clone());
        let owner = session.owner();
        let (statements, to_run) = channel::<String>();
        let (told, answers) = channel();
        let thread = thread::spawn(move || {
            for sql in to_run {
                let mut answer = answer(&mut session, &sql).unwrap_or_else(|error| {
                    session.fail();
                    format!("  {} {}\n", error.sqlstate, error.message)
                });
                let mut context = Context::from_waker(Waker::noop());
                while let Poll::Ready(heard) = session.poll_notification(&mut context) {
                    let heard = heard.unwrap();
                    let (channel, payload) = (heard.channel, heard.payload);
                    writeln!(answer, "  hears {channel}: {payload:?} from {}", heard.from).unwrap();
                }
                told.send(answer).unwrap();
            }
        });
        Player {
            owner,
            statements,
            answers,
            waits: false,
            thread,
        }
    }

    /// What it answers, or `None` when it waits for a lock.
    fn hear(&self, database: &Database) -> Option<String> {
        loop {
            if let Ok(answer) = self.answers.try_recv() {
                return Some(answer);
            }
            let waits = database.locks().list(usize::MAX).rows;
            let mut waits = waits.into_iter().filter(|row| row.waits_since.is_some());
            if waits.any(|row| row.owner == self.owner) {
                return None;
            }
            thread::yield_now();
        }
    }
}

/// A script with what the sessions were told.
fn play(script: &str) -> String {
    let database = Database::in_memory().unwrap();
    let mut players = BTreeMap::new();
    let mut told = String::new();
    for line in script.lines() {
        let Some((name, sql)) = line
            .split_once(": ")
            .filter(|_| !line.starts_with([' ', '#']))
        else {
            if line.is_empty() || line.starts_with('#') {
                writeln!(told, "{line}").unwrap();
            }
            continue;
        };
        if name.ends_with(" goes on") {
            continue;
        }
        writeln!(told, "{line}").unwrap();
        let player = players.entry(name.to_owned());
        let player = player.or_insert_with(|| Player::new(&database));
        assert!(!player.waits, "{name} waits already: {line}");
        player.statements.send(sql.to_owned()).unwrap();
        match player.hear(&database) {
            Some(answer) => told += &answer,
            None => {
                player.waits = true;
                told += "  (waits)\n";
            }
        }
        let waiting = players.iter_mut().filter(|(_, player)| player.waits);
        for (name, player) in waiting {
            if let Some(answer) = player.hear(&database) {
                player.waits = false;
                write!(told, "{name} goes on:\n{answer}").unwrap();
            }
        }
    }
    for (_, player) in players {
        drop(player.statements);
        player.thread.join().unwrap();
    }
    told
}

#[test]
fn sessions_wait_for_each_other_as_the_scripts_say() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let update = std::env::var_os("UPDATE_GOLDENFILES").is_some();
    let mut scripts: Vec<_> = std::fs::read_dir(format!("{root}/tests/it/sessions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    for path in scripts {
        let script = std::fs::read_to_string(&path).unwrap();
        let told = play(&script);
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
