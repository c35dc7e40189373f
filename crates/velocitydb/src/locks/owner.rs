//! One who holds locks and waits for them: a session, with its transactions one after the other.
//!
//! An owner remembers each lock that its transaction took, and each time that it strengthened one, in
//! order: 8 bytes each. A savepoint is a position in that list. Locks of the session are counted, and
//! no rollback touches them; they never exclude those of the same owner's transaction.
//!
//! Waiting is a future over the lock's queue; all that happens to it happens under the shard's mutex,
//! so that it is either still in the queue, or let in, or was interrupted. Tests: `locks/tests.rs`,
//! `locks/model.rs`.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use velocitydb_types::Timestamp;

use super::table::{Outcome, Request, Scope, Tried, Wakers};
use super::{Inner, LockError, LockName, Mode, Name, OwnerId, Place, add};
use crate::changes::Unpark;

/// What to do when a lock is not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// Queue up for it.
    #[default]
    Block,
    /// Refuse: `NOWAIT`.
    NoWait,
    /// Go on without it: `SKIP LOCKED`.
    SkipLocked,
}

/// What became of a wish for a lock.
#[derive(Debug)]
#[must_use]
pub enum Locked {
    /// The owner has it.
    Granted,
    /// Another has it: only with [`Wait::SkipLocked`].
    Skipped,
    /// The owner is in the queue: only with [`Wait::Block`].
    Waiting(Waiting),
}

/// [`Locked`], as the owner knows it.
enum Begun {
    Granted,
    Skipped,
    Waiting,
}

/// A position among the locks of a transaction, for a savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

/// One lock taken by the transaction, or strengthened.
struct Taken {
    slot: u32,
    shard: u16,
    /// What the transaction had of it before.
    before: Option<Mode>,
}

const _: () = assert!(size_of::<Taken>() == 8);

/// A lock of the session.
struct SessionLock {
    place: Place,
    /// How many times in each mode.
    counts: [u64; 4],
}

impl SessionLock {
    fn mode(&self) -> Option<Mode> {
        let mut strongest_first = Mode::ALL.into_iter().rev();
        strongest_first.find(|mode| self.counts[*mode as usize] > 0)
    }
}

/// A wait that has begun.
struct Pending {
    name: LockName,
    place: Place,
    request: Request,
    /// What the owner had in that scope before.
    before: Option<Mode>,
    since: Timestamp,
}

/// One who holds locks. Clones are the same one; with the last of them all locks are given back.
#[derive(Clone)]
pub struct Owner(Arc<Mutex<State>>);

struct State {
    inner: Arc<Inner>,
    id: OwnerId,
    taken: Vec<Taken>,
    session: HashMap<LockName, SessionLock>,
    pending: Option<Pending>,
}

/// The most room that is kept for the list of a transaction's locks after its end.
const TAKEN_KEPT: usize = 1_024;

impl Owner {
    pub(super) fn new(inner: Arc<Inner>, id: OwnerId) -> Owner {
        Owner(Arc::new(Mutex::new(State {
            inner,
            id,
            taken: Vec::new(),
            session: HashMap::new(),
            pending: None,
        })))
    }

    /// Its number, never used again: the process of `pg_locks`, and of a deadlock's detail.
    pub fn id(&self) -> OwnerId {
        self.0.lock().id
    }

    /// What it is called where locks are shown, for people; 64 characters of it at most.
    pub fn set_label(&self, label: &str) {
        let state = self.0.lock();
        let mut labels = state.inner.labels.lock();
        match label {
            "" => labels.remove(&state.id),
            label => labels.insert(state.id, label.chars().take(64).collect::<String>().into()),
        };
    }

    /// Locks until the transaction ends. An owner that has the lock gets it again, and stronger
    /// when nobody excludes that.
    ///
    /// # Errors
    /// [`LockError::NotAvailable`] with [`Wait::NoWait`], [`LockError::Deadlock`] with
    /// [`Wait::Block`], [`LockError::TooMany`].
    pub fn lock(&self, name: Name<'_>, mode: Mode, wait: Wait) -> Result<Locked, LockError> {
        self.lock_in(Scope::Transaction, name, mode, wait)
    }

    /// Locks until [`Owner::unlock_session`] was called as often, whatever becomes of transactions.
    ///
    /// # Errors
    /// As [`Owner::lock`].
    pub fn lock_session(
        &self,
        name: Name<'_>,
        mode: Mode,
        wait: Wait,
    ) -> Result<Locked, LockError> {
        self.lock_in(Scope::Session, name, mode, wait)
    }

    /// Takes back one [`Owner::lock_session`]; false when there was none in this mode.
    pub fn unlock_session(&self, name: Name<'_>, mode: Mode) -> bool {
        self.0.lock().unlock_session(name, mode)
    }

    /// Takes back all of [`Owner::lock_session`].
    pub fn release_session(&self) {
        self.0.lock().release_session()
    }

    /// The present position among the transaction's locks.
    pub fn mark(&self) -> Mark {
        self.0.lock().mark()
    }

    /// Gives back what the transaction took after the mark; what it strengthened gets as it was.
    pub fn release_after(&self, mark: Mark) {
        self.0.lock().release_after(mark)
    }

    /// Gives back all that the transaction took, at its end.
    pub fn release_transaction(&self) {
        self.0.lock().release_transaction()
    }

    /// Gives back everything.
    pub fn release_all(&self) {
        self.0.lock().release_all()
    }

    /// What the owner has of a lock, in the stronger scope.
    pub fn held(&self, name: Name<'_>) -> Option<Mode> {
        self.0.lock().held(name)
    }

    /// Whether others are in the way of a lock now.
    pub fn is_barred(&self, name: Name<'_>, mode: Mode) -> bool {
        self.0.lock().is_barred(name, mode)
    }

    /// Ends the present wait, if there is one, with [`LockError::Interrupted`].
    pub fn interrupt(&self) {
        let state = self.0.lock();
        state.inner.interrupt(state.id);
    }

    pub(super) fn poll_wait(&self, waker: &Waker) -> Poll<Result<(), LockError>> {
        self.0.lock().poll_wait(waker)
    }

    pub(super) fn withdraw(&self) {
        self.0.lock().withdraw();
    }

    pub(super) fn time_out(&self) -> Result<(), LockError> {
        self.0.lock().time_out()
    }

    fn lock_in(
        &self,
        scope: Scope,
        name: Name<'_>,
        mode: Mode,
        wait: Wait,
    ) -> Result<Locked, LockError> {
        let tried = self.0.lock().lock_in(scope, name, mode, wait)?;
        Ok(match tried {
            Begun::Granted => Locked::Granted,
            Begun::Skipped => Locked::Skipped,
            Begun::Waiting => Locked::Waiting(Waiting {
                owner: self.clone(),
                #[cfg(test)]
                stays: false,
            }),
        })
    }
}

impl State {
    fn unlock_session(&mut self, name: Name<'_>, mode: Mode) -> bool {
        self.withdraw();
        let name = LockName::from(name);
        let Some(lock) = self.session.get_mut(&name) else {
            return false;
        };
        if lock.counts[mode as usize] == 0 {
            return false;
        }
        let before = lock.mode();
        lock.counts[mode as usize] -= 1;
        let (place, now) = (lock.place, lock.mode());
        if now.is_none() {
            self.session.remove(&name);
        }
        if now != before {
            self.weaken(place, Scope::Session, now);
        }
        true
    }

    fn release_session(&mut self) {
        self.withdraw();
        for lock in std::mem::take(&mut self.session).into_values() {
            self.weaken(lock.place, Scope::Session, None);
        }
    }

    fn mark(&self) -> Mark {
        Mark(self.taken.len())
    }

    fn release_after(&mut self, mark: Mark) {
        self.withdraw();
        while self.taken.len() > mark.0 {
            if let Some(taken) = self.taken.pop() {
                self.weaken(taken.place(), Scope::Transaction, taken.before);
            }
        }
    }

    fn release_transaction(&mut self) {
        self.withdraw();
        // The others only strengthened one of these.
        for taken in self.taken.iter().filter(|taken| taken.before.is_none()) {
            self.weaken(taken.place(), Scope::Transaction, None);
        }
        self.taken.clear();
        self.taken.shrink_to(TAKEN_KEPT);
    }

    fn release_all(&mut self) {
        self.release_transaction();
        self.release_session();
    }

    fn held(&self, name: Name<'_>) -> Option<Mode> {
        let hash = self.inner.shards.hash(name);
        let table = self.inner.shards.lock(self.inner.shards.of(hash));
        table.held(table.find(hash, name)?, self.id)
    }

    fn is_barred(&self, name: Name<'_>, mode: Mode) -> bool {
        let hash = self.inner.shards.hash(name);
        let table = self.inner.shards.lock(self.inner.shards.of(hash));
        let slot = table.find(hash, name);
        slot.is_some_and(|slot| table.is_barred(slot, self.id, mode))
    }

    fn lock_in(
        &mut self,
        scope: Scope,
        name: Name<'_>,
        mode: Mode,
        wait: Wait,
    ) -> Result<Begun, LockError> {
        if self.pending.is_some() {
            self.withdraw();
        }
        let request = Request {
            owner: self.id,
            mode,
            scope,
        };
        let hash = self.inner.shards.hash(name);
        let shard = self.inner.shards.of(hash);
        let tried = {
            let mut table = self.inner.shards.lock(shard);
            table.acquire(hash, name, request, &self.inner.room)?
        };
        if tried.outcome == Outcome::Granted {
            let slot = tried.slot;
            self.note(name, Place { shard, slot }, request, tried.before);
            return Ok(Begun::Granted);
        }
        match wait {
            Wait::Block => self.begin_wait(hash, name, request),
            Wait::SkipLocked => Ok(Begun::Skipped),
            Wait::NoWait => {
                add(&self.inner.counters.not_available, 1);
                let name = name.into();
                Err(LockError::NotAvailable { name, mode })
            }
        }
    }

    /// Queues up, unless the lock has become free meanwhile or that would close a cycle.
    fn begin_wait(
        &mut self,
        hash: u64,
        name: Name<'_>,
        request: Request,
    ) -> Result<Begun, LockError> {
        let inner = Arc::clone(&self.inner);
        let shard = inner.shards.of(hash);
        let since = inner.clock.now();
        let mut graph = inner.graph.lock();
        let tried = {
            let mut table = inner.shards.lock(shard);
            let tried = table.acquire(hash, name, request, &inner.room)?;
            if tried.outcome == Outcome::MustWait {
                table.enqueue(tried.slot, request, since, &inner.room)?;
            }
            tried
        };
        let Tried { slot, before, .. } = tried;
        let place = Place { shard, slot };
        if tried.outcome == Outcome::Granted {
            drop(graph);
            self.note(name, place, request, before);
            return Ok(Begun::Granted);
        }
        graph.insert(self.id, place);
        // Nobody waits for one that holds nothing and is the last in its queue.
        let holds = !self.taken.is_empty() || !self.session.is_empty();
        if holds && let Some(cycle) = graph.cycle(&inner.shards, self.id) {
            let wakers = inner.leave_queue(&mut graph, self.id).unwrap_or_default();
            drop(graph);
            wakers.into_iter().for_each(Waker::wake);
            add(&inner.counters.deadlocks, 1);
            return Err(LockError::Deadlock(cycle));
        }
        drop(graph);
        add(&inner.counters.waits, 1);
        self.pending = Some(Pending {
            name: name.into(),
            place,
            request,
            before,
            since,
        });
        Ok(Begun::Waiting)
    }

    /// Asks whether the wait is over, and has the waker woken when it is.
    fn poll_wait(&mut self, waker: &Waker) -> Poll<Result<(), LockError>> {
        let Some(pending) = &self.pending else {
            return Poll::Ready(Ok(()));
        };
        // Dropped only when the shard is unlocked: it may do anything.
        let _old_waker;
        let mut table = self.inner.shards.lock(pending.place.shard);
        if let Some(waiter) = table.waiter(pending.place.slot, self.id) {
            let old = waiter.waker.as_ref();
            if !old.is_some_and(|old| old.will_wake(waker)) {
                _old_waker = waiter.waker.replace(waker.clone());
            }
            drop(table);
            return Poll::Pending;
        }
        let granted = table.held(pending.place.slot, self.id) >= Some(pending.request.mode);
        drop(table);
        self.inner.graph.lock().remove(self.id);
        let Some(pending) = self.end_wait() else {
            return Poll::Ready(Ok(()));
        };
        Poll::Ready(if granted {
            let Pending { place, request, .. } = pending;
            self.note(pending.name.name(), place, request, pending.before);
            Ok(())
        } else {
            Err(LockError::Interrupted {
                name: pending.name,
                mode: pending.request.mode,
            })
        })
    }

    /// Gives a wait up, and what it may just have got.
    fn withdraw(&mut self) {
        if let Some((pending, true)) = self.leave() {
            self.weaken(pending.place, pending.request.scope, pending.before);
        }
    }

    /// Ends a wait that took too long, unless the lock has just come.
    fn time_out(&mut self) -> Result<(), LockError> {
        match self.leave() {
            None => Ok(()),
            Some((pending, true)) => {
                let Pending { place, request, .. } = pending;
                self.note(pending.name.name(), place, request, pending.before);
                Ok(())
            }
            Some((pending, false)) => {
                add(&self.inner.counters.timeouts, 1);
                Err(LockError::Timeout {
                    name: pending.name,
                    mode: pending.request.mode,
                })
            }
        }
    }

    /// Leaves the queue; the wait, and whether the lock has come before that.
    fn leave(&mut self) -> Option<(Pending, bool)> {
        let pending = self.end_wait()?;
        let wakers = {
            let mut graph = self.inner.graph.lock();
            self.inner.leave_queue(&mut graph, self.id)
        };
        let granted = wakers.is_none() && {
            let table = self.inner.shards.lock(pending.place.shard);
            table.held(pending.place.slot, self.id) >= Some(pending.request.mode)
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
        Some((pending, granted))
    }

    fn end_wait(&mut self) -> Option<Pending> {
        let pending = self.pending.take()?;
        let waited = self.inner.clock.now().0.saturating_sub(pending.since.0);
        let waited_us = u64::try_from(waited).unwrap_or(0);
        add(&self.inner.counters.waited_us, waited_us);
        Some(pending)
    }

    /// Remembers what was granted.
    fn note(&mut self, name: Name<'_>, place: Place, request: Request, before: Option<Mode>) {
        match request.scope {
            Scope::Transaction => {
                if before < Some(request.mode) {
                    self.taken.push(Taken {
                        slot: place.slot,
                        shard: place.shard,
                        before,
                    });
                }
            }
            Scope::Session => {
                let counts = [0; 4];
                let lock = self.session.entry(name.into());
                let lock = lock.or_insert(SessionLock { place, counts });
                lock.counts[request.mode as usize] += 1;
            }
        }
    }

    fn weaken(&self, place: Place, scope: Scope, mode: Option<Mode>) {
        let mut wakers = Wakers::new();
        let inner = &self.inner;
        inner.shards.lock(place.shard).weaken(
            place.slot,
            self.id,
            scope,
            mode,
            &inner.room,
            &mut wakers,
        );
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Taken {
    fn place(&self) -> Place {
        Place {
            shard: self.shard,
            slot: self.slot,
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.release_all();
        self.inner.labels.lock().remove(&self.id);
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Owner")
            .field("id", &state.id)
            .field("taken", &state.taken.len())
            .field("session", &state.session.len())
            .field("waits", &state.pending.is_some())
            .finish_non_exhaustive()
    }
}

/// A place in a lock's queue: a future that is ready when the owner has the lock, or was
/// [interrupted](super::Locks::interrupt). Dropped before, it leaves the queue and the owner has what
/// it had before, also when the lock has just come.
#[must_use]
pub struct Waiting {
    owner: Owner,
    /// Dropped, it stays in the queue.
    #[cfg(test)]
    pub(super) stays: bool,
}

impl Waiting {
    /// Blocks this thread until the wait is over.
    ///
    /// `interrupted` is asked once the wait has begun and whenever the thread is woken: set its flag
    /// first, then call [`Locks::interrupt`](super::Locks::interrupt), and no wait is missed.
    ///
    /// # Errors
    /// [`LockError::Timeout`], [`LockError::Interrupted`].
    pub fn block(
        self,
        timeout: Option<Duration>,
        interrupted: impl Fn() -> bool,
    ) -> Result<(), LockError> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            if let Poll::Ready(result) = self.owner.poll_wait(&waker) {
                return result;
            }
            if interrupted() {
                self.owner.interrupt();
                // Over now, whichever way.
                continue;
            }
            match until {
                None => std::thread::park(),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return self.time_out();
                    }
                    std::thread::park_timeout(left);
                }
            }
        }
    }

    /// Ends the wait because it took too long by the caller's timer, unless the lock has just come.
    ///
    /// # Errors
    /// [`LockError::Timeout`].
    pub fn time_out(self) -> Result<(), LockError> {
        self.owner.time_out()
    }
}

impl Future for Waiting {
    type Output = Result<(), LockError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.owner.poll_wait(context.waker())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.stays {
            return;
        }
        self.owner.withdraw();
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiting({:?})", self.owner)
    }
}
