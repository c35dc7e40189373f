//! Threads that lock, wait, give up and interrupt each other at random. That the test ends shows that
//! no wake-up was lost.
//!
//! No `loom` or `shuttle`: a wait changes under its shard's mutex alone, in steps that
//! `locks/model.rs` interleaves as it likes; they would want all mutexes, parking_lot's too, replaced
//! throughout the crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb_engine::catalog::DatabaseId;

use super::*;
use crate::SystemClock;

const THREADS: u64 = 6;
const TRANSACTIONS: usize = 3_000;
const LOCKS: usize = 5;

/// Who uses what a lock protects: -1 one alone, else how many together.
struct Used([AtomicI64; LOCKS]);

impl Used {
    fn begin(&self, lock: usize, mode: Mode) {
        match mode {
            Mode::EXCLUSIVE => assert_eq!(self.0[lock].swap(-1, Ordering::SeqCst), 0),
            _ => assert!(self.0[lock].fetch_add(1, Ordering::SeqCst) >= 0),
        }
    }

    fn end(&self, lock: usize, mode: Mode) {
        match mode {
            Mode::EXCLUSIVE => assert_eq!(self.0[lock].swap(0, Ordering::SeqCst), -1),
            _ => assert!(self.0[lock].fetch_sub(1, Ordering::SeqCst) > 0),
        }
    }
}

/// Counts a thread as running until it ends, also by a panic.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn obtain(locked: Locked, random: &mut StdRng) -> Result<bool, LockError> {
    let waiting = match locked {
        Locked::Granted => return Ok(true),
        Locked::Skipped => return Ok(false),
        Locked::Waiting(waiting) => waiting,
    };
    match random.random_range(0..8) {
        0 => waiting.block(Some(Duration::ZERO), || false)?,
        1 => waiting.block(None, || true)?,
        2 => return Ok(block_on(poll_once(waiting)).transpose()?.is_some()),
        3 => return Ok(false),
        4 | 5 => block_on(waiting)?,
        _ => waiting.block(None, || false)?,
    }
    Ok(true)
}

/// One transaction of up to four locks; whether it got all.
fn transaction(owner: &Owner, used: &Used, random: &mut StdRng) -> Result<bool, LockError> {
    let mut held: Vec<(usize, Mode)> = Vec::new();
    let mut whole = Ok(true);
    for _ in 0..random.random_range(1..=4) {
        let lock = random.random_range(0..LOCKS);
        if held.iter().any(|(other, _)| *other == lock) {
            continue;
        }
        let mode = match random.random_bool(0.4) {
            true => Mode::EXCLUSIVE,
            false => Mode::SHARED,
        };
        let locked = owner.lock(
            Name::Advisory(DatabaseId::VELOCITY, lock as i64),
            mode,
            Wait::Block,
        );
        whole = locked.and_then(|locked| obtain(locked, random));
        if !matches!(whole, Ok(true)) {
            break;
        }
        used.begin(lock, mode);
        held.push((lock, mode));
        if random.random_bool(0.3) {
            std::thread::yield_now();
        }
    }
    for (lock, mode) in held {
        used.end(lock, mode);
    }
    owner.release_transaction();
    whole
}

#[test]
fn threads_exclude_each_other_and_none_waits_for_ever() {
    let locks = Locks::new(&LockOptions::default(), Arc::new(SystemClock));
    let used = Used(Default::default());
    let (running, done) = (AtomicUsize::new(THREADS as usize), AtomicUsize::new(0));
    let work = |seed| {
        let _running = Running(&running);
        let mut random = StdRng::seed_from_u64(seed);
        let owner = locks.owner();
        for _ in 0..TRANSACTIONS {
            match transaction(&owner, &used, &mut random) {
                Ok(true) => drop(done.fetch_add(1, Ordering::Relaxed)),
                Ok(false)
                | Err(
                    LockError::Deadlock(_)
                    | LockError::Timeout { .. }
                    | LockError::Interrupted { .. },
                ) => {}
                Err(error) => panic!("{error}"),
            }
        }
    };
    let interrupt = || {
        let mut random = StdRng::seed_from_u64(THREADS);
        while running.load(Ordering::SeqCst) > 0 {
            locks.interrupt(OwnerId(random.random_range(1..=THREADS)));
            assert!(locks.list(1_000).whole);
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| scope.spawn(move || work(seed)))
            .collect();
        scope.spawn(interrupt);
        for thread in threads {
            thread.join().expect("no thread panics");
        }
    });
    assert!(done.load(Ordering::Relaxed) > 0);
    assert_eq!(locks.list(1).rows, []);
    assert_eq!(locks.stats().locks, 0);
}
