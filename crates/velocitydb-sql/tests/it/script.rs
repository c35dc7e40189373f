//! Scripts of several sessions that wait for each other, in `sessions`.
//!
//! A line `a: SQL` has session `a` run it; below it stand its rows and its tag, its error, or that it
//! waits. What a wait ends with stands below the line that ended it, behind the session's name. An
//! empty line ends a section. The server's tests play the scripts too, over the wire, and have
//! PostgreSQL play them ([`differences`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};

/// A section that begins with this is told otherwise by PostgreSQL, for the reason that follows.
const NOT_AS_POSTGRESQL: &str = "#! not as PostgreSQL: ";

/// A section that begins with this says which transaction of several cannot be serialized, and by
/// which statement it learns that, only as one of the possibilities: exactly one fails.
const ONE_FAILS: &str = "#! exactly one fails";

/// The SQLSTATE of a transaction that cannot be serialized.
const SERIALIZATION_FAILURE: &str = "  40001 ";

/// A session on a thread of its own.
pub struct Player {
    statements: Sender<String>,
    answers: Receiver<String>,
    blocked: Box<dyn Fn() -> bool>,
    waits: bool,
    thread: JoinHandle<()>,
}

impl Player {
    /// `answer` runs statements and tells what came of them, line by line; `blocked` says whether the
    /// present one waits for another session.
    pub fn new(
        mut answer: impl FnMut(&str) -> String + Send + 'static,
        blocked: impl Fn() -> bool + 'static,
    ) -> Player {
        let (statements, to_run) = channel::<String>();
        let (told, answers) = channel();
        let thread = thread::spawn(move || {
            for sql in to_run {
                told.send(answer(&sql)).unwrap();
            }
        });
        Player {
            statements,
            answers,
            blocked: Box::new(blocked),
            waits: false,
            thread,
        }
    }

    /// What it answers, or `None` when it waits.
    fn hear(&self) -> Option<String> {
        loop {
            match self.answers.try_recv() {
                Ok(answer) => return Some(answer),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => panic!("a session has ended"),
            }
            if (self.blocked)() {
                return None;
            }
            thread::yield_now();
        }
    }
}

/// A script with what the sessions were told.
pub fn play(script: &str, mut open: impl FnMut() -> Player) -> String {
    let mut players = BTreeMap::<String, Player>::new();
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
        let player = players.entry(name.to_owned()).or_insert_with(&mut open);
        assert!(!player.waits, "{name} waits already: {line}");
        player.statements.send(sql.to_owned()).unwrap();
        match player.hear() {
            Some(answer) => told += &answer,
            None => {
                player.waits = true;
                told += "  (waits)\n";
            }
        }
        // Who goes on may let another go on.
        let mut news = true;
        while std::mem::take(&mut news) {
            for (name, player) in players.iter_mut().filter(|(_, player)| player.waits) {
                if let Some(answer) = player.hear() {
                    player.waits = false;
                    news = true;
                    write!(told, "{name} goes on:\n{answer}").unwrap();
                }
            }
        }
    }
    for (_, player) in players {
        drop(player.statements);
        player.thread.join().unwrap();
    }
    told
}

/// The scripts, by their paths. `crates` is the folder of all crates.
pub fn scripts(crates: &str) -> Vec<(PathBuf, String)> {
    let folder = format!("{crates}/velocitydb-sql/tests/it/sessions");
    let paths = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = paths.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    let read = |path: PathBuf| (path.clone(), std::fs::read_to_string(path).unwrap());
    paths.into_iter().map(read).collect()
}

/// The sections of a script as ours and PostgreSQL play it that tell different things; and those that
/// do not, where they are said to.
#[allow(dead_code)] // for those who play it twice
pub fn differences(ours: &str, theirs: &str) -> Vec<(String, String)> {
    let (ours, theirs): (Vec<_>, Vec<_>) =
        (ours.split("\n\n").collect(), theirs.split("\n\n").collect());
    assert_eq!(ours.len(), theirs.len(), "plays of one script");
    let failures = |section: &str| {
        let lines = section.lines();
        lines
            .filter(|line| line.starts_with(SERIALIZATION_FAILURE))
            .count()
    };
    let pairs = ours.into_iter().zip(theirs);
    let unexpected = pairs.filter(|(ours, theirs)| match ours {
        _ if ours.starts_with(ONE_FAILS) => failures(ours) != 1 || failures(theirs) != 1,
        _ if ours.starts_with(NOT_AS_POSTGRESQL) => ours == theirs,
        _ => ours != theirs,
    });
    unexpected
        .map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()))
        .collect()
}
