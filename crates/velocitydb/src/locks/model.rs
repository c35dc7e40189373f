//! Random schedules of many owners over few locks, against a model that is as plain as can be: all
//! that each owner was granted, in order, and a queue for each lock.
//!
//! After each step owners hold exactly what the model says, in particular nothing that excludes
//! another's; those wait whom the model has waiting, in its order; whoever was let in or interrupted was
//! woken; deadlocks are refused where the model has a cycle, and nowhere else. At the end nothing
//! is left. The seed of a failure is printed; `VELOCITYDB_SEEDS` is how many are tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb_engine::catalog::DatabaseId;

use super::table::Scope;
use super::*;
use crate::SystemClock;

const OWNERS: usize = 6;
const LOCKS: usize = 4;
const STEPS: usize = 400;

fn name(lock: usize) -> Name<'static> {
    Name::Advisory(DatabaseId::VELOCITY, lock as i64)
}

/// What an owner was granted, or waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    lock: usize,
    mode: Mode,
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Queued,
    LetIn,
    Interrupted,
}

/// What became of a wish at once.
#[derive(Debug, PartialEq, Eq)]
enum Became {
    Granted,
    Skipped,
    Waiting,
    Refused(LockError),
}

fn became(locked: Result<Locked, LockError>) -> Became {
    match locked {
        Ok(Locked::Granted) => Became::Granted,
        Ok(Locked::Skipped) => Became::Skipped,
        Ok(Locked::Waiting(mut waiting)) => {
            waiting.stays = true;
            Became::Waiting
        }
        Err(error) => Became::Refused(error),
    }
}

#[derive(Debug, Default)]
struct ModelOwner {
    transaction: Vec<Wish>,
    session: Vec<Wish>,
    pending: Option<(Wish, Fate)>,
}

impl ModelOwner {
    fn held(&self, lock: usize) -> Option<Mode> {
        let let_in = self.pending.filter(|(_, fate)| *fate == Fate::LetIn);
        let granted = self.transaction.iter().chain(&self.session);
        granted
            .chain(let_in.as_ref().map(|(wish, _)| wish))
            .filter(|wish| wish.lock == lock)
            .map(|wish| wish.mode)
            .max()
    }

    fn grant(&mut self, wish: Wish) {
        match wish.scope {
            Scope::Transaction => self.transaction.push(wish),
            Scope::Session => self.session.push(wish),
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    owners: [ModelOwner; OWNERS],
    queues: [Vec<usize>; LOCKS],
}

impl Model {
    fn wish(&self, owner: usize) -> Wish {
        self.owners[owner].pending.expect("it waits").0
    }

    /// Those that exclude the wish of `owner` with these before it in the queue.
    fn blockers(&self, owner: usize, wish: Wish, before: &[usize]) -> Vec<usize> {
        if self.owners[owner].held(wish.lock) >= Some(wish.mode) {
            return Vec::new();
        }
        let excludes = |other: usize, mode: Option<Mode>| {
            other != owner && mode.is_some_and(|mode| mode.conflicts(wish.mode))
        };
        let holders = (0..OWNERS).filter(|o| excludes(*o, self.owners[*o].held(wish.lock)));
        let waiters = before.iter().copied();
        let waiters = waiters.filter(|o| excludes(*o, Some(self.wish(*o).mode)));
        holders.chain(waiters).collect()
    }

    /// Where `owner` queues up: before the first that waits for it, or at the end.
    fn place(&self, owner: usize, lock: usize) -> usize {
        let waits_for_it = |other: &usize| {
            let held = self.owners[owner].held(lock);
            held.is_some_and(|held| held.conflicts(self.wish(*other).mode))
        };
        let queue = &self.queues[lock];
        queue.iter().position(waits_for_it).unwrap_or(queue.len())
    }

    fn all_blockers(&self, owner: usize) -> Vec<usize> {
        match self.owners[owner].pending {
            Some((wish, Fate::Queued)) => {
                let queue = &self.queues[wish.lock];
                let place = queue.iter().position(|other| *other == owner);
                self.blockers(owner, wish, &queue[..place.expect("it is queued")])
            }
            _ => Vec::new(),
        }
    }

    fn is_in_a_cycle(&self, owner: usize) -> bool {
        let mut reached = self.all_blockers(owner);
        let mut next = 0;
        while let Some(other) = reached.get(next) {
            for blocker in self.all_blockers(*other) {
                if !reached.contains(&blocker) {
                    reached.push(blocker);
                }
            }
            next += 1;
        }
        reached.contains(&owner)
    }

    fn leave_queue(&mut self, owner: usize) {
        for queue in &mut self.queues {
            queue.retain(|other| *other != owner);
        }
    }

    /// Lets in who can go, until nobody can.
    fn settle(&mut self) {
        'again: loop {
            for lock in 0..LOCKS {
                for owner in self.queues[lock].clone() {
                    if self.all_blockers(owner).is_empty() {
                        let wish = self.wish(owner);
                        self.leave_queue(owner);
                        self.owners[owner].pending = Some((wish, Fate::LetIn));
                        continue 'again;
                    }
                }
            }
            return;
        }
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// One owner, and what the schedule remembers of it.
struct Real {
    owner: Owner,
    marks: Vec<(Mark, usize)>,
    woken: Arc<Woken>,
    /// How often it was woken when it was last polled in this wait.
    polled: Option<usize>,
}

struct Schedule {
    random: StdRng,
    locks: Locks,
    model: Model,
    real: Vec<Real>,
    cycles: usize,
}

impl Schedule {
    fn new(seed: u64) -> Schedule {
        let locks = Locks::new(&LockOptions::default(), Arc::new(SystemClock));
        let real = |_| Real {
            owner: locks.owner(),
            marks: Vec::new(),
            woken: Arc::default(),
            polled: None,
        };
        Schedule {
            random: StdRng::seed_from_u64(seed),
            real: (0..OWNERS).map(real).collect(),
            locks,
            model: Model::default(),
            cycles: 0,
        }
    }

    fn step(&mut self) {
        let owner = self.random.random_range(0..OWNERS);
        if self.model.owners[owner].pending.is_some() {
            match self.random.random_range(0..8) {
                0 => self.withdraw(owner),
                1 => self.time_out(owner),
                2 => self.interrupt(owner),
                _ => self.poll(owner),
            }
        } else {
            match self.random.random_range(0..16) {
                0 => self.release_transaction(owner),
                1 => self.release_everything(owner),
                2 => self.mark(owner),
                3 => self.release_after(owner),
                4 | 5 => self.unlock_session(owner),
                _ => self.lock(owner),
            }
        }
        self.model.settle();
    }

    fn lock(&mut self, owner: usize) {
        let random = &mut self.random;
        let wish = Wish {
            lock: random.random_range(0..LOCKS),
            mode: Mode::ALL[random.random_range(0..4)],
            scope: match random.random_bool(0.2) {
                true => Scope::Session,
                false => Scope::Transaction,
            },
        };
        let wait = match random.random_range(0..6) {
            0 => Wait::NoWait,
            1 => Wait::SkipLocked,
            _ => Wait::Block,
        };
        let place = self.model.place(owner, wish.lock);
        let before = &self.model.queues[wish.lock][..place];
        let blocked = !self.model.blockers(owner, wish, before).is_empty();
        let real = &mut self.real[owner].owner;
        let locked = match wish.scope {
            Scope::Transaction => real.lock(name(wish.lock), wish.mode, wait),
            Scope::Session => real.lock_session(name(wish.lock), wish.mode, wait),
        };
        let became = became(locked);
        if !blocked {
            assert_eq!(became, Became::Granted, "{wish:?}");
            self.model.owners[owner].grant(wish);
            return;
        }
        match (wait, became) {
            (Wait::NoWait, Became::Refused(LockError::NotAvailable { .. }))
            | (Wait::SkipLocked, Became::Skipped) => {}
            (Wait::Block, became) => {
                self.model.owners[owner].pending = Some((wish, Fate::Queued));
                self.model.queues[wish.lock].insert(place, owner);
                if self.model.is_in_a_cycle(owner) {
                    let Became::Refused(LockError::Deadlock(cycle)) = became else {
                        panic!("a deadlock: {wish:?} {became:?}");
                    };
                    self.check_cycle(owner, &cycle);
                    self.end_wait(owner);
                } else {
                    assert_eq!(became, Became::Waiting, "{wish:?}");
                }
            }
            (wait, became) => panic!("{wish:?} {wait:?} {became:?}"),
        }
    }

    /// Each wait of a cycle is one of the model's, from the victim round to it.
    fn check_cycle(&mut self, victim: usize, cycle: &Cycle) {
        let owner = |id: OwnerId| id.0 as usize - 1;
        assert_eq!(owner(cycle.0[0].owner), victim);
        for (position, wait) in cycle.0.iter().enumerate() {
            let next = &cycle.0[(position + 1) % cycle.0.len()];
            assert_eq!(wait.blocked_by, next.owner, "{cycle}");
            let wish = self.model.wish(owner(wait.owner));
            assert_eq!((name(wish.lock), wish.mode), (wait.name.name(), wait.mode));
            let blockers = self.model.all_blockers(owner(wait.owner));
            assert!(blockers.contains(&owner(wait.blocked_by)), "{cycle}");
        }
        self.cycles += 1;
    }

    fn poll(&mut self, owner: usize) {
        let Some((wish, fate)) = self.model.owners[owner].pending else {
            return;
        };
        let real = &mut self.real[owner];
        let polled = real.owner.poll_wait(&Waker::from(Arc::clone(&real.woken)));
        match fate {
            Fate::Queued => {
                assert_eq!(polled, Poll::Pending);
                real.polled = Some(real.woken.0.load(Ordering::SeqCst));
                return;
            }
            Fate::LetIn => {
                assert_eq!(polled, Poll::Ready(Ok(())));
                self.model.owners[owner].grant(wish);
            }
            Fate::Interrupted => assert!(matches!(
                polled,
                Poll::Ready(Err(LockError::Interrupted { .. }))
            )),
        }
        self.end_wait(owner);
    }

    fn withdraw(&mut self, owner: usize) {
        self.real[owner].owner.withdraw();
        self.end_wait(owner);
    }

    fn time_out(&mut self, owner: usize) {
        let ended = self.real[owner].owner.time_out();
        let Some((wish, fate)) = self.model.owners[owner].pending else {
            return;
        };
        assert_eq!(ended.is_ok(), fate == Fate::LetIn);
        if ended.is_ok() {
            self.model.owners[owner].grant(wish);
        }
        self.end_wait(owner);
    }

    fn interrupt(&mut self, owner: usize) {
        let interrupted = self.locks.interrupt(self.real[owner].owner.id());
        if let Some((_, fate)) = &mut self.model.owners[owner].pending {
            assert_eq!(interrupted, *fate == Fate::Queued);
            if interrupted {
                *fate = Fate::Interrupted;
                self.model.leave_queue(owner);
            }
        }
    }

    fn end_wait(&mut self, owner: usize) {
        self.model.leave_queue(owner);
        self.model.owners[owner].pending = None;
        self.real[owner].polled = None;
    }

    fn release_transaction(&mut self, owner: usize) {
        self.real[owner].owner.release_transaction();
        self.real[owner].marks.clear();
        self.model.owners[owner].transaction.clear();
    }

    fn release_everything(&mut self, owner: usize) {
        self.release_transaction(owner);
        self.real[owner].owner.release_session();
        self.model.owners[owner].session.clear();
    }

    fn mark(&mut self, owner: usize) {
        let mark = self.real[owner].owner.mark();
        let position = self.model.owners[owner].transaction.len();
        self.real[owner].marks.push((mark, position));
    }

    fn release_after(&mut self, owner: usize) {
        let real = &mut self.real[owner];
        if real.marks.is_empty() {
            return;
        }
        let chosen = self.random.random_range(0..real.marks.len());
        let (mark, position) = real.marks[chosen];
        real.marks.truncate(chosen + 1);
        real.owner.release_after(mark);
        self.model.owners[owner].transaction.truncate(position);
    }

    fn unlock_session(&mut self, owner: usize) {
        let (lock, mode) = (
            self.random.random_range(0..LOCKS),
            Mode::ALL[self.random.random_range(0..4)],
        );
        let session = &mut self.model.owners[owner].session;
        let had = session
            .iter()
            .position(|wish| wish.lock == lock && wish.mode == mode);
        let unlocked = self.real[owner].owner.unlock_session(name(lock), mode);
        assert_eq!(unlocked, had.is_some());
        if let Some(had) = had {
            session.remove(had);
        }
    }

    fn check(&self) {
        for (owner, real) in self.real.iter().enumerate() {
            let model = &self.model.owners[owner];
            for lock in 0..LOCKS {
                let held = real.owner.held(name(lock));
                assert_eq!(held, model.held(lock), "owner {owner}, lock {lock}");
            }
            let over = matches!(model.pending, Some((_, Fate::LetIn | Fate::Interrupted)));
            if let Some(polled) = real.polled {
                let woken = real.woken.0.load(Ordering::SeqCst) > polled;
                assert_eq!(woken, over, "owner {owner} is woken when its wait is over");
            }
        }
        let all_rows = self.locks.list(usize::MAX).rows;
        for lock in 0..LOCKS {
            let rows: Vec<_> = all_rows
                .iter()
                .filter(|row| row.name.name() == name(lock))
                .collect();
            let (holders, waiters): (Vec<&LockRow>, Vec<&LockRow>) =
                rows.iter().partition(|row| row.waits_since.is_none());
            for (at, first) in holders.iter().enumerate() {
                for second in &holders[at + 1..] {
                    assert!(first.owner != second.owner && !first.mode.conflicts(second.mode));
                }
            }
            let waiters: Vec<_> = waiters.iter().map(|w| w.owner.0 as usize - 1).collect();
            assert_eq!(waiters, self.model.queues[lock]);
        }
    }
}

/// Says which seed it was.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed of this schedule is {}", self.0);
        }
    }
}

#[test]
fn random_schedules_go_as_a_naive_model_says() {
    let seeds = std::env::var("VELOCITYDB_SEEDS");
    let seeds = seeds.map_or(50, |seeds| seeds.parse().expect("a number of seeds"));
    let mut cycles = 0;
    for seed in 0..seeds {
        let _said = Seed(seed);
        let mut schedule = Schedule::new(seed);
        for _ in 0..STEPS {
            schedule.step();
            schedule.check();
        }
        cycles += schedule.cycles;
        schedule.real.clear();
        assert_eq!(schedule.locks.list(1).rows, []);
        assert_eq!(schedule.locks.stats().locks, 0);
    }
    assert!(cycles > 0, "there were deadlocks");
}
