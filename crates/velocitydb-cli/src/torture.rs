//! `velocitydb torture`: writes without end, so that a test can kill the program and look at what
//! is left. Not for people: the command is hidden.
//!
//! Threads of this program work on one data directory. Before each operation one says on standard
//! output what it will do, and after the answer that it was acknowledged, a line each:
//!
//! ```text
//! ready
//! try 0 17 put 9-0-17 17            item 9-0-17 gets the value 17
//! ack 0 17
//! try 1 4 delete 9-1-2              the item goes
//! try 2 8 pair 9-2-8                left/9-2-8 and right/9-2-8, in one batch
//! try 0 18 transfer 9-0-18 3 5 20   20 from account 3 to 5, and transfers/9-0-18, in a transaction
//! ```
//!
//! The second word is the thread, the third counts its operations. Ids begin with the seed:
//! different seeds never meet, so a directory can be used again. The accounts are made in one
//! batch; their sum never changes.
//! Tests: tests/it/kill.rs reads these lines, kills, reopens and compares.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::{
    Batch, Database, Definition, Durability, Error, Isolation, LogOptions, Options, Update,
};

use crate::failure::Failure;

/// What to do to which directory.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory of the data
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// When a write is acknowledged: os or full
    #[arg(long, value_name = "LEVEL")]
    durability: Durability,

    /// Where the random choices begin; never the same twice for one directory
    #[arg(long, value_name = "N")]
    seed: u64,

    /// Threads that write
    #[arg(long, value_name = "N", default_value_t = 3)]
    threads: u64,
}

const ACCOUNTS: i64 = 20;
const BALANCE: i64 = 1_000;
const COLLECTIONS: [&str; 5] = ["accounts", "items", "left", "right", "transfers"];

/// Runs the command; ends when it is killed, when nobody reads its output, or when the database
/// fails.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed = |error: &Error| Failure::of(error, &arguments.data);
    let db = Database::open(options(arguments)).map_err(|error| failed(&error))?;
    set_up(&db).map_err(|error| failed(&error))?;
    say("ready")?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads = (0..arguments.threads).map(|thread| {
            let mut worker = Worker::new(&db, arguments.seed, thread);
            let stop = &stop;
            scope.spawn(move || {
                let ended = worker.run(stop);
                stop.store(true, Ordering::Relaxed);
                ended
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

/// Segments and checkpoints so small that kills meet their beginnings and ends.
fn options(arguments: &Arguments) -> Options {
    let mut log = LogOptions::default();
    log.first_segment_bytes = 64 << 10;
    log.segment_bytes = 256 << 10;
    Options::at(&arguments.data)
        .durability(arguments.durability)
        .log(log)
        .checkpoint_entries(300)
}

fn set_up(db: &Database) -> Result<(), Error> {
    for name in COLLECTIONS {
        if db.collection(name).is_err() {
            db.create_collection(Definition::new(name))?;
        }
    }
    if db.collection("accounts")?.count()? == 0 {
        let batch = (0..ACCOUNTS).fold(Batch::atomic(), |batch, account| {
            batch.insert_with_id("accounts", account, [("balance", BALANCE.into())])
        });
        db.batch(batch)?;
    }
    Ok(())
}

/// One line, in one write, so that a kill leaves whole lines but for the last.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

struct Worker<'a> {
    db: &'a Database,
    seed: u64,
    thread: u64,
    random: StdRng,
    /// Items of this thread that are there.
    items: Vec<String>,
}

/// One operation; its text is what the program says of it.
enum Operation {
    Put {
        id: String,
        value: i64,
        new: bool,
    },
    Delete {
        id: String,
    },
    Pair {
        id: String,
    },
    Transfer {
        id: String,
        from: i64,
        to: i64,
        amount: i64,
    },
}

impl Worker<'_> {
    fn new(db: &Database, seed: u64, thread: u64) -> Worker<'_> {
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(thread));
        Worker {
            db,
            seed,
            thread,
            random,
            items: Vec::new(),
        }
    }

    fn run(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        for number in 1.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let operation = self.choose(number);
            say(&format!("try {} {number} {operation}", self.thread))?;
            operation.carry_out(self.db)?;
            say(&format!("ack {} {number}", self.thread))?;
        }
        Ok(())
    }

    fn choose(&mut self, number: i64) -> Operation {
        let new = format!("{}-{}-{number}", self.seed, self.thread);
        let old = (!self.items.is_empty()).then(|| self.random.random_range(0..self.items.len()));
        match (self.random.random_range(0..10), old) {
            (0..=2, Some(at)) => Operation::Put {
                id: self.items[at].clone(),
                value: number,
                new: false,
            },
            (3, Some(at)) => Operation::Delete {
                id: self.items.swap_remove(at),
            },
            (4..=5, _) => Operation::Pair { id: new },
            (6..=7, _) => {
                let from = self.random.random_range(0..ACCOUNTS);
                let to = (from + self.random.random_range(1..ACCOUNTS)) % ACCOUNTS;
                let amount = self.random.random_range(1..100);
                Operation::Transfer {
                    id: new,
                    from,
                    to,
                    amount,
                }
            }
            _ => {
                self.items.push(new.clone());
                Operation::Put {
                    id: new,
                    value: number,
                    new: true,
                }
            }
        }
    }
}

impl Operation {
    fn carry_out(&self, db: &Database) -> Result<(), Error> {
        match self {
            Operation::Put {
                id,
                value,
                new: true,
            } => {
                db.collection("items")?
                    .insert_with_id(id, [("value", (*value).into())])?;
            }
            Operation::Put {
                id,
                value,
                new: false,
            } => {
                db.collection("items")?
                    .update(id, Update::new().set("value", *value))?;
            }
            Operation::Delete { id } => {
                db.collection("items")?.delete(id)?;
            }
            Operation::Pair { id } => {
                let batch = ["left", "right"]
                    .into_iter()
                    .fold(Batch::atomic(), |batch, side| {
                        batch.insert_with_id(side, id, [("side", side.into())])
                    });
                for answer in db.batch(batch)?.value {
                    answer?;
                }
            }
            Operation::Transfer {
                id,
                from,
                to,
                amount,
            } => transfer(db, id, *from, *to, *amount)?,
        }
        Ok(())
    }
}

fn transfer(db: &Database, id: &str, from: i64, to: i64, amount: i64) -> Result<(), Error> {
    db.transact(Isolation::Snapshot, |transaction| {
        for (account, change) in [(from, -amount), (to, amount)] {
            let found = transaction.get("accounts", account)?;
            let balance = found
                .as_ref()
                .and_then(|document| document.get("balance")?.as_int());
            let balance = balance.ok_or_else(|| {
                Error::Damaged(format!(
                    "account {account} is not there, or without a balance"
                ))
            })?;
            // Read, then set: only the check at commit keeps this from losing money.
            let update = Update::new().set("balance", balance + change);
            transaction.update("accounts", account, update)?;
        }
        let document = [
            ("from", from.into()),
            ("to", to.into()),
            ("amount", amount.into()),
        ];
        transaction
            .insert_with_id("transfers", id, document)
            .map(|_| ())
    })?;
    Ok(())
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Operation::Put { id, value, .. } => write!(f, "put {id} {value}"),
            Operation::Delete { id } => write!(f, "delete {id}"),
            Operation::Pair { id } => write!(f, "pair {id}"),
            Operation::Transfer {
                id,
                from,
                to,
                amount,
            } => {
                write!(f, "transfer {id} {from} {to} {amount}")
            }
        }
    }
}
