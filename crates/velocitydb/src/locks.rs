//! Locks, for transactions that take their time: who may go first, and who waits.
//!
//! ```text
//!   Owner::lock ──► shard of the name (a mutex) ──► free, or nobody excludes it ──► granted
//!                        │ excluded
//!                        ▼
//!                   graph (one mutex for all who wait) ──► closes a cycle ──► refused: deadlock
//!                        │
//!                        ▼
//!                   queue of the lock ──► Waiting, a future ──► granted when those before it are gone
//! ```
//!
//! Locks order waiting and nothing else: whether a transaction may commit is decided by its check at
//! the commit, whatever was locked. They are this process's own, in no log, and end with it.
//!
//! In reading order: [`Mode`] (which exclude each other), [`Name`] (what can be locked), `table` (a
//! shard: holders and queues) over `slab`, `graph` (deadlocks), [`Owner`] (a session: its
//! transaction's locks, savepoints, waiting), `view` (what is to be seen).
//!
//! - A free lock costs one mutex, an entry of 48 bytes and 8 bytes with its owner; a queue exists
//!   only where somebody waits. All together are bounded ([`LockOptions::locks_max`]).
//! - Queues are fair: a newcomer does not overtake whom it would exclude. Only an owner that
//!   strengthens a lock goes before those who wait for it anyway, as in PostgreSQL. Unlike there,
//!   a cycle in which one waits only because another was before it is a deadlock too; the queue is not
//!   put into another order.
//! - The victim of a deadlock is who closes the cycle, at once.
//! - Two locks of one owner never exclude each other, whether of its session or its transaction.
//!
//! Knows no users, no SQL, no runtime; the clock is the caller's, and so are time-outs of futures.
//! Tests: `locks/tests.rs` (what a user relies on), `locks/model.rs` (random schedules against a
//! naive model), `locks/threads.rs`; `examples/lock_costs.rs` measures.

mod error;
mod graph;
mod mode;
mod name;
mod owner;
mod slab;
mod table;
mod view;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod threads;

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};

pub use error::{Cycle, CycleWait, LockError};
pub use mode::Mode;
pub use name::{LockName, Name};
pub use owner::{Locked, Mark, Owner, Wait, Waiting};
pub use view::{LockRow, LockRows, LockStats};

pub use velocitydb_engine::catalog::CollectionId;

use crate::Clock;
use graph::Graph;
use table::{Table, Wakers};

/// The number of an [`Owner`], from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerId(pub u64);

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Limits of [`Locks`].
#[derive(Debug, Clone)]
pub struct LockOptions {
    /// The most locks that all owners hold and wait for together; a key longer than 64 bytes counts for
    /// more, one for each 64. Up to 4 billion; a lock takes about 70 bytes. Up to a sixteenth of it may be
    /// out of reach when it gets tight.
    pub locks_max: usize,
}

impl Default for LockOptions {
    fn default() -> LockOptions {
        LockOptions {
            locks_max: 10_000_000,
        }
    }
}

/// The locks of one database. Clones are the same.
#[derive(Clone)]
pub struct Locks {
    inner: Arc<Inner>,
}

struct Inner {
    shards: Shards,
    graph: Mutex<Graph>,
    room: Room,
    clock: Arc<dyn Clock>,
    owners: AtomicU64,
    counters: Counters,
    /// What owners are called, of those that are called anything.
    labels: Mutex<HashMap<OwnerId, Arc<str>>>,
}

impl Locks {
    /// No locks yet. The clock says since when somebody waits.
    pub fn new(options: &LockOptions, clock: Arc<dyn Clock>) -> Locks {
        Locks {
            inner: Arc::new(Inner {
                shards: Shards::new(),
                graph: Mutex::default(),
                room: Room::new(options.locks_max.min(u32::MAX as usize - 1)),
                clock,
                owners: AtomicU64::new(0),
                counters: Counters::default(),
                labels: Mutex::default(),
            }),
        }
    }

    /// One who may hold locks.
    pub fn owner(&self) -> Owner {
        let last = self.inner.owners.fetch_add(1, Ordering::Relaxed);
        Owner::new(Arc::clone(&self.inner), OwnerId(last + 1))
    }

    /// What an owner is called ([`Owner::set_label`]).
    pub fn label(&self, owner: OwnerId) -> Option<Arc<str>> {
        self.inner.labels.lock().get(&owner).cloned()
    }

    /// Ends the present wait of an owner with [`LockError::Interrupted`]; false when it does not wait.
    pub fn interrupt(&self, owner: OwnerId) -> bool {
        self.inner.interrupt(owner)
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Locks").field(&self.stats()).finish()
    }
}

impl Inner {
    fn interrupt(&self, owner: OwnerId) -> bool {
        let wakers = self.leave_queue(&mut self.graph.lock(), owner);
        let interrupted = wakers.is_some();
        wakers.into_iter().flatten().for_each(Waker::wake);
        interrupted
    }

    /// Takes an owner out of the queue that it is in: those who are to be woken for it, itself
    /// among them. `None` when it does not wait, or has just been let in.
    fn leave_queue(&self, graph: &mut Graph, owner: OwnerId) -> Option<Wakers> {
        let place = graph.remove(owner)?;
        let mut wakers = Wakers::new();
        let mut table = self.shards.lock(place.shard);
        table
            .withdraw(place.slot, owner, &self.room, &mut wakers)
            .then_some(wakers)
    }
}

/// Where a lock's entry is, for as long as it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    shard: u16,
    slot: u32,
}

/// How many shards there are: two threads seldom meet in one.
const SHARDS: usize = 128;

/// The tables of locks, by hash of the name.
struct Shards {
    shards: Box<[Shard]>,
    hasher: RandomState,
}

/// In cache lines of its own.
#[repr(align(128))]
struct Shard(Mutex<Table>);

impl Shards {
    fn new() -> Shards {
        let hasher = RandomState::default();
        let shard = |_| Shard(Mutex::new(Table::new(hasher.clone())));
        Shards {
            shards: (0..SHARDS).map(shard).collect(),
            hasher,
        }
    }

    fn hash(&self, name: Name<'_>) -> u64 {
        self.hasher.hash_one(name)
    }

    /// The shard of a hash, by bits that the table in it does not begin with.
    fn of(&self, hash: u64) -> u16 {
        (hash >> 40) as u16 % SHARDS as u16
    }

    fn lock(&self, shard: u16) -> MutexGuard<'_, Table> {
        self.shards[usize::from(shard)].0.lock()
    }
}

/// How many locks there may still be. Shards take from it in advance, up to `kept` each, so that a lock
/// seldom writes what all threads share.
#[repr(align(128))]
struct Room {
    max: usize,
    kept: usize,
    used: AtomicUsize,
}

/// The most that a shard keeps of the limit for its next locks.
const KEPT_MAX: usize = 64;

impl Room {
    fn new(max: usize) -> Room {
        Room {
            max,
            // At most a sixteenth of the limit in all: a small limit is exact.
            kept: (max / SHARDS / 16).min(KEPT_MAX),
            used: AtomicUsize::new(0),
        }
    }

    /// Takes so much, and some more when there is enough: how much.
    fn take(&self, needed: usize) -> Result<usize, LockError> {
        for amount in [needed + self.kept / 2, needed] {
            let before = self.used.fetch_add(amount, Ordering::Relaxed);
            if before + amount <= self.max {
                return Ok(amount);
            }
            self.used.fetch_sub(amount, Ordering::Relaxed);
        }
        Err(LockError::TooMany { max: self.max })
    }
}

/// What a shard has taken of the limit and not used.
#[derive(Default)]
struct Credit(usize);

impl Credit {
    fn take(&mut self, weight: usize, room: &Room) -> Result<(), LockError> {
        if self.0 < weight {
            self.0 += room.take(weight - self.0)?;
        }
        self.0 -= weight;
        Ok(())
    }

    fn give(&mut self, weight: usize, room: &Room) {
        self.0 += weight;
        if self.0 > room.kept {
            let back = self.0 - room.kept / 2;
            self.0 -= back;
            room.used.fetch_sub(back, Ordering::Relaxed);
        }
    }
}

/// Since the start.
#[derive(Default)]
struct Counters {
    waits: AtomicU64,
    waited_us: AtomicU64,
    deadlocks: AtomicU64,
    timeouts: AtomicU64,
    not_available: AtomicU64,
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
