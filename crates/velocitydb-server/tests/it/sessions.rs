//! Several sessions over the wire, as velocitydb-sql's scripts have them: what each is told, that it
//! waits and when it goes on is the same of ours and of PostgreSQL 15, at every isolation level.

#[path = "../../../velocitydb-sql/tests/it/script.rs"]
mod script;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::runtime::Runtime;
use velocitydb::Database;
use velocitydb::locks::OwnerId;

use super::pg::open;
use super::pg::raw::{Answer, Raw, field, first, query};
use super::postgres::Postgres;
use script::{Player, differences, play, scripts};

/// A client, and the number of the process that serves it.
pub(super) fn connect(runtime: &Runtime, address: SocketAddr, database: &str) -> (Raw, i32) {
    runtime.block_on(async {
        let mut raw = Raw::open(address).await;
        let startup = format!("\0\x03\0\0user\0ann\0database\0{database}\0\0");
        raw.send(&first(startup.as_bytes())).await;
        let answers = raw.until_ready().await;
        let key = answers.iter().find(|(kind, _)| *kind == b'K');
        let process_id = key.unwrap().1[..4].try_into().unwrap();
        (raw, i32::from_be_bytes(process_id))
    })
}

pub(super) fn ask(runtime: &Runtime, raw: &mut Raw, sql: &str) -> Vec<Answer> {
    runtime.block_on(async {
        raw.send(&query(sql)).await;
        raw.until_ready().await
    })
}

/// The values of a row; a null is an empty text.
fn row(mut body: &[u8]) -> Vec<String> {
    let mut take = |count: usize| {
        let (taken, rest) = body.split_at(count);
        body = rest;
        taken
    };
    let count = u16::from_be_bytes(take(2).try_into().unwrap());
    let values = (0..count).map(|_| {
        let length = i32::from_be_bytes(take(4).try_into().unwrap());
        let value = take(usize::try_from(length).unwrap_or(0));
        String::from_utf8(value.to_vec()).unwrap()
    });
    values.collect()
}

/// As scripts show it.
pub(super) fn shown(answers: &[Answer]) -> String {
    let mut told = String::new();
    for (kind, body) in answers {
        match kind {
            b'D' => writeln!(told, "  {}", row(body).join("|")),
            b'C' => writeln!(
                told,
                "  {}",
                String::from_utf8_lossy(&body[..body.len() - 1])
            ),
            b'E' => {
                let text = |code| field(body, code).unwrap();
                writeln!(told, "  {} {}", text(b'C'), text(b'M'))
            }
            _ => Ok(()),
        }
        .unwrap();
    }
    told
}

fn player(runtime: &Arc<Runtime>, mut raw: Raw, blocked: impl Fn() -> bool + 'static) -> Player {
    let runtime = Arc::clone(runtime);
    let answer = move |sql: &str| shown(&ask(&runtime, &mut raw, sql));
    Player::new(answer, blocked)
}

/// A script as our server plays it.
fn play_ours(runtime: &Arc<Runtime>, script: &str) -> String {
    let database = Database::in_memory().unwrap();
    let door = runtime.block_on(async { open(&database) });
    play(script, || {
        let (raw, _) = connect(runtime, door.local_addr(), "postgres");
        let locks = database.locks().clone();
        let owner = OwnerId(locks.stats().owners); // the newest
        player(runtime, raw, move || {
            let mut rows = locks.list(usize::MAX).rows.into_iter();
            rows.any(|row| row.owner == owner && row.waits_since.is_some())
        })
    })
}

/// A script as PostgreSQL plays it, in a database of its own.
fn play_theirs(runtime: &Arc<Runtime>, postgres: &Postgres, name: &str, script: &str) -> String {
    let (mut watcher, _) = connect(runtime, postgres.address, "postgres");
    let made = ask(
        runtime,
        &mut watcher,
        &format!("CREATE DATABASE \"{name}\""),
    );
    assert_eq!(shown(&made), "  CREATE DATABASE\n");
    let watcher = Arc::new(Mutex::new(watcher));
    play(script, || {
        let (raw, process_id) = connect(runtime, postgres.address, name);
        let (runtime_of, watcher) = (Arc::clone(runtime), Arc::clone(&watcher));
        let waited = postgres.waits();
        player(runtime, raw, move || {
            let since = format!(
                "SELECT 1000 * extract(epoch FROM waitstart) FROM pg_locks \
                 WHERE pid = {process_id} AND NOT granted AND waitstart IS NOT NULL"
            );
            let answers = ask(&runtime_of, &mut watcher.lock().unwrap(), &since);
            let since = answers.iter().find(|(kind, _)| *kind == b'D');
            since.is_some_and(|(_, body)| waited(process_id, row(body)[0].parse().unwrap()))
        })
    })
}

#[test]
fn sessions_are_told_what_postgresql_tells_them() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let runtime = Arc::new(Runtime::new().unwrap());
    let postgres = Postgres::start();
    let mut different = String::new();
    for (path, script) in scripts(&format!("{root}/..")) {
        // When a notification comes between answers is not told by the protocol; the data of a COPY are
        // sent otherwise; and what only ours has is nothing to compare.
        let apart = ["LISTEN", "<<<", "velocity.locks"];
        if apart.iter().any(|word| script.contains(word)) {
            continue;
        }
        let ours = play_ours(&runtime, &script);
        assert_eq!(ours, script, "{}: over the wire", path.display());
        let Some(postgres) = &postgres else { continue };
        let name = path.file_stem().unwrap().to_string_lossy();
        let theirs = play_theirs(&runtime, postgres, &name, &script);
        for (ours, theirs) in differences(&ours, &theirs) {
            writeln!(
                different,
                "{name}, ours:\n{ours}\n{name}, PostgreSQL:\n{theirs}\n"
            )
            .unwrap();
        }
    }
    assert!(different.is_empty(), "\n{different}");
}
