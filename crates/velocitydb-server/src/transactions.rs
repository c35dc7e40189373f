//! The transactions that clients have open, and how those ended that they had.
//!
//! ```text
//!   begin ──► idle ◄──► taken by a request ──► ended: committed, refused, rolled back
//!              └──► ended: timed out                └──► forgotten after KEPT
//! ```
//!
//! Invariants: a transaction is in one place: here, or with the one request that took it; what is
//! taken comes back when that request's work ends, even by a panic, which ends the transaction.
//! Nothing here waits: time is that of the database's clock, and judged whenever somebody comes.
//! Bounded: how many are open, how long,
//! how many bytes they have written in all, how many outcomes are kept and for how long.
//! Tests: below; tests/it/transactions.rs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use velocitydb::{Answer, Database, DatabaseId, Isolation, Timestamp, Transaction};

use crate::config::ServerConfig;
use crate::http::Problem;

/// How long the outcome of a transaction is known after its end.
pub(crate) const KEPT: Duration = Duration::from_secs(600);
/// Outcomes that are known at most; then the oldest is forgotten.
const KEPT_MAX: usize = 10_000;
/// What an operation takes besides key and document, about.
const WRITE_BYTES: usize = 256;

/// A transaction's id: 32 hexadecimal digits, which cannot be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id(u128);

impl Id {
    pub(crate) fn read(text: &str) -> Option<Id> {
        let id = Id(u128::from_str_radix(text, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What an open transaction is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    pub(crate) id: Id,
    pub(crate) database: DatabaseId,
    pub(crate) isolation: Isolation,
    /// The log index of the state that it reads.
    pub(crate) index: u64,
    /// When it ends by itself, used or not.
    pub(crate) expires_at: Timestamp,
}

/// How a transaction ended.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    Committed(Answer<()>),
    /// Its commit was refused: nothing was changed, unless the problem says otherwise.
    Refused(Problem),
    RolledBack,
    /// After this, nothing was changed.
    TimedOut(&'static str),
}

/// See the module.
pub(crate) struct Transactions {
    database: Database,
    open_max: usize,
    bytes_max: usize,
    idle: Duration,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    open: HashMap<Id, Open>,
    /// What the open ones have written, in bytes.
    bytes: usize,
    ended: HashMap<Id, Ended>,
    /// When each of `ended` ended, oldest first.
    ended_at: VecDeque<(Timestamp, Id)>,
}

struct Open {
    about: About,
    idle_until: Timestamp,
    bytes: usize,
    /// `None` while a request has it.
    transaction: Option<Transaction>,
}

fn after(now: Timestamp, span: Duration) -> Timestamp {
    let span_us = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp(now.0.saturating_add(span_us))
}

impl Transactions {
    pub(crate) fn new(config: &ServerConfig, database: Database) -> Transactions {
        Transactions {
            database,
            open_max: config.transactions_max,
            bytes_max: config.in_flight_bytes_max,
            idle: config.transaction_idle_timeout,
            table: Mutex::default(),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends those whose time is over and forgets old outcomes.
    pub(crate) fn sweep(&self) {
        let now = self.database.now();
        let gone = self.table().sweep(now);
        drop(gone); // not under the lock: one may have a million writes
    }

    /// Begins a transaction in a database.
    pub(crate) fn begin(
        &self,
        database: &Database,
        isolation: Isolation,
        timeout: Duration,
    ) -> Result<About, Problem> {
        self.sweep();
        let transaction = database.begin(isolation);
        let now = self.database.now();
        let mut table = self.table();
        if table.open.len() >= self.open_max {
            let what = format!("{} transactions are open: try again", self.open_max);
            return Err(Problem::new("too_many_transactions", what));
        }
        let about = About {
            id: Id(rand::random()),
            database: database.id(),
            isolation,
            index: transaction.index(),
            expires_at: after(now, timeout),
        };
        let open = Open {
            about,
            idle_until: after(now, self.idle),
            bytes: 0,
            transaction: Some(transaction),
        };
        table.open.insert(about.id, open);
        Ok(about)
    }

    /// Gives an open transaction of a database to a request, which has it alone; or says how it ended.
    pub(crate) fn take(
        self: &Arc<Self>,
        database: DatabaseId,
        id: Id,
    ) -> Result<Result<Taken, Ended>, Problem> {
        self.sweep();
        let mut table = self.table();
        if let Some(ended) = table.ended.get(&id) {
            return Ok(Err(ended.clone()));
        }
        let open = table.open.get_mut(&id);
        let open = open.filter(|open| open.about.database == database);
        let open = open.ok_or_else(|| unknown(id))?;
        let transaction = open.transaction.take().ok_or_else(|| {
            let what =
                "another request is at work in the transaction: send them one after the other";
            Problem::new("transaction_busy", what)
        })?;
        Ok(Ok(Taken {
            transactions: Arc::clone(self),
            about: open.about,
            transaction: Some(transaction),
        }))
    }
}

/// A transaction of this id is not known.
pub(crate) fn unknown(id: impl std::fmt::Display) -> Problem {
    let what = format!(
        "there is no transaction {id}: it ended more than {} minutes ago, or before the server was \
         started",
        KEPT.as_secs() / 60
    );
    Problem::new("unknown_transaction", what)
}

impl Table {
    fn sweep(&mut self, now: Timestamp) -> Vec<Transaction> {
        let late = |open: &Open| match () {
            () if open.transaction.is_none() => None, // judged when it comes back
            () if open.about.expires_at <= now => Some("its time was over"),
            () if open.idle_until <= now => Some("it was not used for too long"),
            () => None,
        };
        let over = self.open.iter();
        let over = over.filter_map(|(id, open)| Some((*id, late(open)?)));
        let over: Vec<_> = over.collect();
        let end = |(id, why)| self.end(id, Ended::TimedOut(why), now);
        let gone = over.into_iter().filter_map(end).collect();
        while let Some((at, id)) = self.ended_at.front().copied()
            && (after(at, KEPT) <= now || self.ended.len() > KEPT_MAX)
        {
            self.ended_at.pop_front();
            self.ended.remove(&id);
        }
        gone
    }

    fn end(&mut self, id: Id, how: Ended, now: Timestamp) -> Option<Transaction> {
        let open = self.open.remove(&id)?;
        self.bytes -= open.bytes;
        self.ended.insert(id, how);
        self.ended_at.push_back((now, id));
        open.transaction
    }
}

/// An open transaction in the hands of a request. Comes back when it is dropped.
pub(crate) struct Taken {
    transactions: Arc<Transactions>,
    pub(crate) about: About,
    /// `None` once it has ended.
    transaction: Option<Transaction>,
}

impl Taken {
    pub(crate) fn transaction(&mut self) -> &mut Transaction {
        self.transaction.as_mut().expect("it has not ended")
    }

    /// Makes sure of room for an operation of about `bytes`, which the transaction remembers
    /// however it ends.
    pub(crate) fn room(&self, bytes: usize) -> Result<(), Problem> {
        let used = self.transactions.table().bytes;
        if used + bytes + WRITE_BYTES > self.transactions.bytes_max {
            let what =
                "the open transactions have written as much as they may: commit, or try again";
            return Err(Problem::new("busy", what));
        }
        self.count(WRITE_BYTES);
        Ok(())
    }

    /// Counts what it really keeps of an operation besides.
    pub(crate) fn count(&self, bytes: usize) {
        let mut table = self.transactions.table();
        table.bytes += bytes;
        if let Some(open) = table.open.get_mut(&self.about.id) {
            open.bytes += bytes;
        }
    }

    /// Ends it; `work` says how.
    pub(crate) fn end(mut self, work: impl FnOnce(Transaction) -> Ended) -> Ended {
        let transaction = self.transaction.take().expect("it has not ended");
        let ended = work(transaction);
        let now = self.transactions.database.now();
        let mut table = self.transactions.table();
        table.end(self.about.id, ended.clone(), now);
        drop(table);
        ended
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let transaction = self.transaction.take();
        let now = self.transactions.database.now();
        let mut table = self.transactions.table();
        let lost = transaction.is_none() || std::thread::panicking();
        if lost {
            let how = match transaction {
                Some(_) => Ended::RolledBack,
                None => {
                    let what = "the work on the commit panicked: whether it was made is not known";
                    Ended::Refused(Problem::new("outcome_unknown", what))
                }
            };
            // Nothing, when it ended as it should.
            let gone = table.end(self.about.id, how, now);
            drop(table);
            return drop((gone, transaction));
        }
        if let Some(open) = table.open.get_mut(&self.about.id) {
            open.transaction = transaction;
            open.idle_until = after(now, self.transactions.idle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transactions() -> Arc<Transactions> {
        let database = Database::in_memory().unwrap();
        Arc::new(Transactions::new(&ServerConfig::default(), database))
    }

    fn begin(transactions: &Transactions) -> Id {
        let minute = Duration::from_secs(60);
        let database = &transactions.database;
        let begun = transactions.begin(database, Isolation::Snapshot, minute);
        begun.unwrap().id
    }

    #[test]
    fn one_request_at_a_time() {
        let transactions = transactions();
        let (id, other) = (begin(&transactions), begin(&transactions));
        let taken = transactions
            .take(DatabaseId::VELOCITY, id)
            .unwrap()
            .unwrap();
        let refused = transactions.take(DatabaseId::VELOCITY, id).err().unwrap();
        assert_eq!(refused.row.code, "transaction_busy");
        assert!(
            transactions
                .take(DatabaseId::VELOCITY, other)
                .unwrap()
                .is_ok()
        );
        drop(taken);
        let taken = transactions
            .take(DatabaseId::VELOCITY, id)
            .unwrap()
            .unwrap();
        taken.end(|_| Ended::RolledBack);
        assert!(matches!(
            transactions.take(DatabaseId::VELOCITY, id),
            Ok(Err(Ended::RolledBack))
        ));
    }

    /// Nobody knows what state a panic left it in.
    #[test]
    fn a_panic_ends_it() {
        let transactions = transactions();
        let ids = [begin(&transactions), begin(&transactions)];
        let taken = ids.map(|id| {
            transactions
                .take(DatabaseId::VELOCITY, id)
                .unwrap()
                .unwrap()
        });
        let [one, other] = taken;
        let at_work = std::thread::spawn(move || {
            one.count(1000);
            panic!("while it has a transaction");
        });
        assert!(at_work.join().is_err());
        let ending = std::thread::spawn(move || other.end(|_| panic!("while it commits")));
        assert!(ending.join().is_err());
        assert!(matches!(
            transactions.take(DatabaseId::VELOCITY, ids[0]),
            Ok(Err(Ended::RolledBack))
        ));
        let Ok(Err(Ended::Refused(problem))) = transactions.take(DatabaseId::VELOCITY, ids[1])
        else {
            panic!("nobody knows whether it was committed");
        };
        assert_eq!(problem.row.code, "outcome_unknown");
        let table = transactions.table();
        assert_eq!((table.open.len(), table.bytes), (0, 0));
    }

    #[test]
    fn ids_are_read_in_one_form_only() {
        let id = Id(255);
        assert_eq!(Id::read(&id.to_string()), Some(id));
        for bad in ["", "ff", "+".repeat(32).as_str(), "F".repeat(32).as_str()] {
            assert_eq!(Id::read(bad), None, "{bad}");
        }
        let signed = format!("+{}", &id.to_string()[1..]);
        assert_eq!(Id::read(&signed), None);
    }
}
