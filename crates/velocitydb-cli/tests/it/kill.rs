//! SIGKILL under load, in rounds on one data directory.
//!
//! A child (`velocitydb torture`) inserts, changes and deletes documents, writes pairs in atomic
//! batches and moves money between accounts in transactions, and says before each operation what
//! it will do and after the answer that it was acknowledged. It is killed after a random number
//! of lines, sometimes while it still starts. Then a copy of the directory is verified and
//! opened, so that the next child starts from what the kill left, and compared: nothing
//! acknowledged is missing, an operation whose answer was cut off happened as a whole or not at
//! all, and nothing else is there.
//!
//! `VELOCITYDB_ROUNDS=n` for more rounds (20 by default), `VELOCITYDB_SEED=n` for the random
//! choices of an earlier run; which operations meet the kill still depends on the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::{Database, Document, Options};

use crate::check::copy;
use crate::process::{command, velocitydb};

const ACCOUNTS: i64 = 20;
const BALANCE: i64 = 1_000;

/// What a directory holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    items: BTreeMap<String, i64>,
    left: BTreeSet<String>,
    right: BTreeSet<String>,
    /// From, to, amount.
    transfers: BTreeMap<String, [i64; 3]>,
    balances: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operation {
    Put(String, i64),
    Delete(String),
    Pair(String),
    Transfer(String, [i64; 3]),
}

impl Operation {
    fn parse(words: &[&str]) -> Operation {
        let number = |at: usize| words[at].parse().unwrap();
        let id = words[1].to_owned();
        match words[0] {
            "put" => Operation::Put(id, number(2)),
            "delete" => Operation::Delete(id),
            "pair" => Operation::Pair(id),
            "transfer" => Operation::Transfer(id, [number(2), number(3), number(4)]),
            other => panic!("the operation {other}"),
        }
    }
}

impl State {
    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Put(id, value) => {
                self.items.insert(id, value);
            }
            Operation::Delete(id) => {
                self.items.remove(&id);
            }
            Operation::Pair(id) => {
                self.left.insert(id.clone());
                self.right.insert(id);
            }
            Operation::Transfer(id, parts @ [from, to, amount]) => {
                self.transfers.insert(id, parts);
                *self.balances.entry(from.to_string()).or_insert(BALANCE) -= amount;
                *self.balances.entry(to.to_string()).or_insert(BALANCE) += amount;
            }
        }
    }

    /// The state after those of the operations that this state shows to have happened.
    fn settled(mut self, unanswered: &[Operation], found: &State) -> State {
        for operation in unanswered {
            let happened = match operation {
                Operation::Put(id, value) => found.items.get(id) == Some(value),
                Operation::Delete(id) => !found.items.contains_key(id),
                Operation::Pair(id) => found.left.contains(id),
                Operation::Transfer(id, _) => found.transfers.contains_key(id),
            };
            if happened {
                self.apply(operation.clone());
            }
        }
        self
    }

    fn read(dir: &Path) -> State {
        let db = Database::open(Options::at(dir)).unwrap();
        let mut state = State::default();
        let scan = |name: &str, take: &mut dyn FnMut(String, &Document)| {
            // A child that was killed early has not made all collections.
            let Ok(collection) = db.collection(name) else {
                return;
            };
            let visit = |document: &Document| {
                take(document.id().to_string(), document);
                true
            };
            collection.view().unwrap().scan(visit).unwrap();
        };
        let int = |document: &Document, field: &str| document.get(field).unwrap().as_int().unwrap();
        scan("items", &mut |id, found| {
            _ = state.items.insert(id, int(found, "value"))
        });
        scan("left", &mut |id, _| _ = state.left.insert(id));
        scan("right", &mut |id, _| _ = state.right.insert(id));
        scan("transfers", &mut |id, found| {
            let parts = ["from", "to", "amount"].map(|field| int(found, field));
            state.transfers.insert(id, parts);
        });
        scan("accounts", &mut |id, found| {
            _ = state.balances.insert(id, int(found, "balance"))
        });
        state
    }
}

/// What a child has said until it was killed.
#[derive(Debug, Default)]
struct Said {
    ready: bool,
    acknowledged: Vec<Operation>,
    /// At most one of each thread.
    unanswered: BTreeMap<String, Operation>,
}

impl Said {
    fn take(&mut self, line: &str) {
        // Without its end it was cut short; such a line says nothing.
        let Some(line) = line.strip_suffix('\n') else {
            return;
        };
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "ready" => self.ready = true,
            "try" => {
                let before = self
                    .unanswered
                    .insert(words[1].into(), Operation::parse(&words[3..]));
                assert_eq!(before, None, "{line}");
            }
            "ack" => self
                .acknowledged
                .push(self.unanswered.remove(words[1]).unwrap()),
            _ => panic!("the line {line:?}"),
        }
    }
}

/// Runs a child and kills it after so many lines.
fn run_and_kill(data: &Path, durability: &str, seed: u64, lines: u64) -> Said {
    let seed = seed.to_string();
    let arguments = [
        "torture",
        "--data",
        data.to_str().unwrap(),
        "--durability",
        durability,
        "--seed",
        &seed,
    ];
    let mut child = command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = Said::default();
    let mut line = String::new();
    for _ in 0..lines {
        line.clear();
        if out.read_line(&mut line).unwrap() == 0 {
            let mut error = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut error)
                .unwrap();
            panic!("the child ended by itself: {error}");
        }
        said.take(&line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was in the pipe was said before the kill, and counts.
    line.clear();
    while out.read_line(&mut line).unwrap() > 0 {
        said.take(&line);
        line.clear();
    }
    said
}

/// Whether what was found is what may be there: all that was acknowledged, the operations
/// without an answer as a whole or not at all, and nothing else.
fn compare(expected: &State, unanswered: &[Operation], found: &State) -> Result<(), String> {
    let mut expected = expected.clone().settled(unanswered, found);
    if expected.left == found.left && expected.right != found.right {
        return Err("a pair was written by half".into());
    }
    // Accounts that nobody has touched yet hold what they began with.
    for account in 0..ACCOUNTS {
        expected
            .balances
            .entry(account.to_string())
            .or_insert(BALANCE);
    }
    let sum: i64 = found.balances.values().sum();
    if found.balances.len() as i64 != ACCOUNTS || sum != ACCOUNTS * BALANCE {
        return Err(format!("{} accounts hold {sum}", found.balances.len()));
    }
    fn differences<V: PartialEq + std::fmt::Debug>(
        what: &str,
        expected: &BTreeMap<String, V>,
        found: &BTreeMap<String, V>,
    ) -> Result<(), String> {
        let ids: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        match ids
            .into_iter()
            .find(|id| expected.get(*id) != found.get(*id))
        {
            Some(id) => {
                let (expected, found) = (expected.get(id), found.get(id));
                Err(format!(
                    "{what}/{id}: expected {expected:?}, found {found:?}"
                ))
            }
            None => Ok(()),
        }
    }
    let keys = |set: &BTreeSet<String>| set.iter().map(|id| (id.clone(), ())).collect();
    differences("items", &expected.items, &found.items)?;
    differences("transfers", &expected.transfers, &found.transfers)?;
    differences("accounts", &expected.balances, &found.balances)?;
    differences("left", &keys(&expected.left), &keys(&found.left))?;
    differences("right", &keys(&expected.right), &keys(&found.right))
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_done_by_half() {
    let rounds = from_environment("VELOCITYDB_ROUNDS").unwrap_or(20);
    let seed =
        from_environment("VELOCITYDB_SEED").unwrap_or_else(|| rand::rng().random_range(0..1 << 32));
    println!("VELOCITYDB_SEED={seed} VELOCITYDB_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut state, mut ready, mut acknowledged) = (State::default(), false, 0);
    for round in 0..rounds {
        let durability = ["os", "full"][random.random_range(0..2)];
        // A kill in the first lines meets the start: recovery, the cut of a torn end.
        let lines = match (random.random_range(0..5), durability) {
            (0, _) => random.random_range(0..6),
            (_, "full") => random.random_range(0..2_000),
            _ => random.random_range(0..12_000),
        };
        let what = format!("seed {seed}, round {round}, {durability}, {lines} lines");
        let said = run_and_kill(&data, durability, seed * 1_000 + round, lines);
        ready |= said.ready;
        acknowledged += said.acknowledged.len();
        if !data.join("wal").is_dir() {
            assert!(!ready, "{what}: there is no log");
            continue;
        }
        let copied = dir.path().join(format!("copy{round}"));
        copy(&data, &copied);
        let check = velocitydb(&["check", copied.to_str().unwrap()]);
        println!(
            "{what}: {} acknowledged\n{}",
            said.acknowledged.len(),
            check.succeeds()
        );
        let found = State::read(&copied);
        std::fs::remove_dir_all(copied).unwrap();
        for operation in said.acknowledged {
            state.apply(operation);
        }
        if ready || !found.balances.is_empty() {
            let unanswered: Vec<Operation> = said.unanswered.into_values().collect();
            if let Err(wrong) = compare(&state, &unanswered, &found) {
                panic!("{what}: {wrong}\nunanswered: {unanswered:?}");
            }
        }
        state = found;
    }
    println!("{acknowledged} operations were acknowledged in {rounds} rounds");
}

/// The comparison sees each kind of loss and of halves.
#[test]
fn the_comparison_is_not_blind() {
    let id = |text: &str| text.to_owned();
    let mut good = State::default();
    for account in 0..ACCOUNTS {
        good.balances.insert(account.to_string(), BALANCE);
    }
    good.apply(Operation::Put(id("a"), 1));
    good.apply(Operation::Pair(id("p")));
    good.apply(Operation::Transfer(id("t"), [1, 2, 30]));
    let unanswered = [
        Operation::Put(id("a"), 2),
        Operation::Pair(id("q")),
        Operation::Transfer(id("u"), [3, 4, 5]),
    ];
    assert_eq!(compare(&good, &unanswered, &good), Ok(()));
    for happened in &unanswered {
        let mut found = good.clone();
        found.apply(happened.clone());
        assert_eq!(compare(&good, &unanswered, &found), Ok(()), "{happened:?}");
        compare(&good, &[], &found).unwrap_err();
    }
    type Tampering = (&'static str, fn(&mut State));
    let wrongs: [Tampering; 9] = [
        ("a lost item", |found| _ = found.items.remove("a")),
        ("an old value", |found| {
            _ = found.items.insert("a".into(), 0)
        }),
        ("an item from nowhere", |found| {
            _ = found.items.insert("z".into(), 0)
        }),
        ("a lost half", |found| _ = found.right.remove("p")),
        ("a lost pair", |found| {
            _ = (found.left.remove("p"), found.right.remove("p"))
        }),
        ("half of an unanswered pair", |found| {
            _ = found.left.insert("q".into())
        }),
        ("the other half", |found| _ = found.right.insert("q".into())),
        ("a transfer without money", |found| {
            _ = found.transfers.insert("u".into(), [3, 4, 5])
        }),
        ("money that came from nowhere", |found| {
            *found.balances.get_mut("7").unwrap() += 1
        }),
    ];
    for (what, wrong) in wrongs {
        let mut found = good.clone();
        wrong(&mut found);
        assert!(compare(&good, &unanswered, &found).is_err(), "{what}");
    }
}
