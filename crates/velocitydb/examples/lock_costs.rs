//! What locks cost: one at a time, a million by one owner, beside other threads, and handed from one
//! thread to another.
//!
//! ```text
//! cargo run --release -p velocitydb --no-default-features --example lock_costs
//! ```

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use velocitydb::SystemClock;
use velocitydb::locks::{
    CollectionId, LockError, LockOptions, Locked, Locks, Mode, Name, Owner, Wait,
};
use velocitydb::{Key, Value};

const MILLION: usize = 1_000_000;
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let locks = Locks::new(&LockOptions::default(), Arc::new(SystemClock));
    let keys: Vec<Key> = (0..MILLION)
        .map(|id| Key::from_value(&Value::from(id as i64)))
        .collect::<Result<_, _>>()?;
    many_by_one(&locks, &keys)?;
    for threads in [1, 2] {
        one_at_a_time(&locks, &keys, threads)?;
    }
    handed_over(&locks, &keys)?;
    a_long_queue(&locks, &keys)?;
    println!("{:?}", locks.stats());
    Ok(())
}

fn row(key: &Key) -> Name<'_> {
    Name::row(CollectionId(16), key)
}

fn take(owner: &Owner, key: &Key) -> Result<(), LockError> {
    match owner.lock(row(key), Mode::NoKeyUpdate, Wait::Block)? {
        Locked::Granted | Locked::Skipped => Ok(()),
        Locked::Waiting(waiting) => waiting.block(None, || false),
    }
}

/// An `UPDATE` of a million rows.
fn many_by_one(locks: &Locks, keys: &[Key]) -> Result<(), Box<dyn std::error::Error>> {
    let owner = locks.owner();
    let (mut took, mut gave) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let before = resident_bytes()?;
        let start = Instant::now();
        keys.iter().try_for_each(|key| take(&owner, key))?;
        took.push(start.elapsed());
        if round == 0 {
            let bytes = resident_bytes()?.saturating_sub(before);
            println!("a million by one owner: {} bytes each", bytes / keys.len());
        }
        let start = Instant::now();
        owner.release_transaction();
        gave.push(start.elapsed());
    }
    println!(
        "a million by one owner: {:.0} ns each to take, {:.0} ns to give back",
        nanoseconds(took, keys.len()),
        nanoseconds(gave, keys.len())
    );
    Ok(())
}

/// Transactions of one row, nobody in the way.
fn one_at_a_time(locks: &Locks, keys: &[Key], threads: usize) -> Result<(), LockError> {
    // Few enough for the processor's cache: what locking costs, not what memory does.
    let share = 1_000;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|thread| {
                    let keys = &keys[thread * share..(thread + 1) * share];
                    scope.spawn(move || {
                        let owner = locks.owner();
                        for _ in 0..MILLION / share {
                            for key in keys {
                                take(&owner, key)?;
                                owner.release_transaction();
                            }
                        }
                        Ok::<_, LockError>(())
                    })
                })
                .collect();
            let mut joined = threads.into_iter().map(|thread| thread.join());
            joined.try_for_each(|end| end.expect("no thread panics"))
        })?;
        rounds.push(start.elapsed());
    }
    println!(
        "one row, taken and given back, {threads} threads: {:.0} ns",
        nanoseconds(rounds, MILLION)
    );
    Ok(())
}

/// Two threads that want the same row, again and again.
fn handed_over(locks: &Locks, keys: &[Key]) -> Result<(), LockError> {
    let times = 100_000;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let owner = locks.owner();
                    for _ in 0..times {
                        take(&owner, &keys[0])?;
                        owner.release_transaction();
                    }
                    Ok::<_, LockError>(())
                })
            })
            .collect();
        let mut joined = threads.into_iter().map(|thread| thread.join());
        joined.try_for_each(|end| end.expect("no thread panics"))
    })?;
    let nanoseconds = nanoseconds(vec![start.elapsed()], 2 * times);
    println!("one row that two threads want: {nanoseconds:.0} ns");
    Ok(())
}

/// Owners that hold a row each and wait for one: each wait looks for a deadlock among all of them.
fn a_long_queue(locks: &Locks, keys: &[Key]) -> Result<(), LockError> {
    let holder = locks.owner();
    take(&holder, &keys[0])?;
    let mut owners: Vec<Owner> = (0..1_000).map(|_| locks.owner()).collect();
    for (owner, key) in owners.iter_mut().zip(&keys[1..]) {
        take(owner, key)?;
    }
    let start = Instant::now();
    let queue = owners.iter_mut();
    let queue = queue.map(|owner| owner.lock(row(&keys[0]), Mode::NoKeyUpdate, Wait::Block));
    let queue: Vec<Locked> = queue.collect::<Result<_, _>>()?;
    let each = nanoseconds(vec![start.elapsed()], queue.len());
    println!("a wait that begins in a queue of up to 1000: {each:.0} ns");
    Ok(())
}

/// The median of the rounds, for one of `count`.
fn nanoseconds(mut rounds: Vec<Duration>, count: usize) -> f64 {
    rounds.sort();
    rounds[rounds.len() / 2].as_nanos() as f64 / count as f64
}

/// Memory of this process (Linux).
fn resident_bytes() -> Result<usize, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kibibytes.ok_or("no VmRSS")?.parse::<usize>()? * 1024)
}
