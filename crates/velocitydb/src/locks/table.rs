//! The locks of one shard: who holds them, who waits for them, and who is next.
//!
//! A lock that nobody holds or wants has no entry. One holder stands in the entry itself; a second
//! one, or a waiter, makes a [`Crowd`].
//!
//! Invariants: no two holders conflict. The queue is in the order of arrival, but that an owner
//! that strengthens its lock stands before the first who has to wait for it anyway. A waiter
//! conflicts with a holder or with a waiter before it: whoever changes holders or queue lets those
//! in who can go (`Crowd::advance`), so nobody waits for nothing.
//!
//! Knows no threads, no time, no graph. Tests: `locks/tests.rs` and `locks/model.rs`.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::task::Waker;

use foldhash::quality::RandomState;
use hashbrown::HashTable;
use smallvec::SmallVec;
use velocitydb_types::Timestamp;

use super::slab::{Entry, Slab};
use super::{Credit, LockError, Mode, Name, OwnerId, Room};

/// Until when a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The end of the transaction, or a rollback to a savepoint.
    Transaction,
    /// It is unlocked, or the session ends.
    Session,
}

/// What an owner wants of a lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) owner: OwnerId,
    pub(super) mode: Mode,
    pub(super) scope: Scope,
}

/// An owner that has a lock, in one scope or in both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) owner: OwnerId,
    transaction: Option<Mode>,
    session: Option<Mode>,
}

impl Holder {
    fn new(request: Request) -> Holder {
        let mut holder = Holder {
            owner: request.owner,
            transaction: None,
            session: None,
        };
        *holder.part(request.scope) = Some(request.mode);
        holder
    }

    /// What it has, in the stronger scope. Of a holder it is never `None`.
    pub(super) fn mode(&self) -> Option<Mode> {
        self.transaction.max(self.session)
    }

    fn part(&mut self, scope: Scope) -> &mut Option<Mode> {
        match scope {
            Scope::Transaction => &mut self.transaction,
            Scope::Session => &mut self.session,
        }
    }

    /// Adds a mode; what it had in that scope before.
    fn strengthen(&mut self, request: Request) -> Option<Mode> {
        let part = self.part(request.scope);
        let before = *part;
        *part = before.max(Some(request.mode));
        before
    }

    fn conflicts(&self, mode: Mode) -> bool {
        self.mode().is_some_and(|held| held.conflicts(mode))
    }
}

/// An owner in a queue.
pub(super) struct Waiter {
    pub(super) request: Request,
    /// What it has already, and wants stronger.
    held: Option<Mode>,
    pub(super) since: Timestamp,
    /// Once the future was polled.
    pub(super) waker: Option<Waker>,
}

pub(super) enum State {
    One(Holder),
    Many(Box<Crowd>),
}

#[derive(Default)]
pub(super) struct Crowd {
    holders: SmallVec<[Holder; 2]>,
    queue: VecDeque<Waiter>,
}

/// Those to be woken, once the shard is unlocked.
pub(super) type Wakers = Vec<Waker>;

impl Crowd {
    fn holder(&self, owner: OwnerId) -> Option<usize> {
        self.holders.iter().position(|holder| holder.owner == owner)
    }

    fn waiter(&self, owner: OwnerId) -> Option<usize> {
        self.queue
            .iter()
            .position(|waiter| waiter.request.owner == owner)
    }

    /// Where an owner that has `held` queues up: at the end, or before the first that waits for it.
    fn place(&self, held: Option<Mode>) -> usize {
        let waits_for_it = |waiter: &Waiter| held.is_some_and(|h| h.conflicts(waiter.request.mode));
        let first = self.queue.iter().position(waits_for_it);
        first.unwrap_or(self.queue.len())
    }

    /// Whether an owner that has `held` has to wait for `request`.
    fn must_wait(&self, request: Request, held: Option<Mode>) -> bool {
        let Request { owner, mode, .. } = request;
        if held >= Some(mode) {
            return false;
        }
        let mut others = self.holders.iter().filter(|holder| holder.owner != owner);
        let mut before = self.queue.iter().take(self.place(held));
        others.any(|holder| holder.conflicts(mode))
            || before.any(|waiter| waiter.request.mode.conflicts(mode))
    }

    /// Lets those in who can go, from the front.
    fn advance(&mut self, wakers: &mut Wakers) {
        let mut held = [0_usize; 4];
        for mode in self.holders.iter().filter_map(Holder::mode) {
            held[mode as usize] += 1;
        }
        let (mut position, mut ahead) = (0, [false; 4]);
        while let Some(waiter) = self.queue.get(position) {
            let (request, own) = (waiter.request, waiter.held);
            let excluded = Mode::ALL.into_iter().any(|mode| {
                let others = held[mode as usize] - usize::from(own == Some(mode));
                mode.conflicts(request.mode) && (others > 0 || ahead[mode as usize])
            });
            if excluded {
                ahead[request.mode as usize] = true;
                if request.mode == Mode::Update {
                    // It excludes all behind it.
                    return;
                }
                position += 1;
                continue;
            }
            if let Some(waiter) = self.queue.remove(position) {
                wakers.extend(waiter.waker);
            }
            match self.holder(request.owner) {
                Some(holder) => drop(self.holders[holder].strengthen(request)),
                None => self.holders.push(Holder::new(request)),
            }
            held[request.mode as usize] += 1;
            if let Some(own) = own {
                held[own as usize] -= 1;
            }
        }
    }
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) slot: u32,
    /// What the owner had in the scope of the request before it.
    pub(super) before: Option<Mode>,
    pub(super) outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Granted,
    MustWait,
}

/// The locks of one shard.
#[derive(Default)]
pub(super) struct Table {
    slots: HashTable<u32>,
    entries: Slab,
    credit: Credit,
    hasher: RandomState,
}

impl Table {
    pub(super) fn new(hasher: RandomState) -> Table {
        Table {
            hasher,
            ..Table::default()
        }
    }

    pub(super) fn find(&self, hash: u64, name: Name<'_>) -> Option<u32> {
        let is = |slot: &u32| {
            let entry = self.entries.get(*slot);
            entry.is_some_and(|entry| entry.name.name() == name)
        };
        self.slots.find(hash, is).copied()
    }

    /// Grants the request when nobody is in its way.
    ///
    /// # Errors
    /// [`LockError::TooMany`].
    pub(super) fn acquire(
        &mut self,
        hash: u64,
        name: Name<'_>,
        request: Request,
        room: &Room,
    ) -> Result<Tried, LockError> {
        let granted = |slot, before| Tried {
            slot,
            before,
            outcome: Outcome::Granted,
        };
        let Some(slot) = self.find(hash, name) else {
            self.credit.take(name.weight(), room)?;
            let entry = Entry {
                name: name.into(),
                state: State::One(Holder::new(request)),
            };
            return Ok(granted(self.insert(hash, entry), None));
        };
        let entry = self.entries.get_mut(slot).expect("found above");
        let before = match &mut entry.state {
            State::One(holder) if holder.owner == request.owner => holder.strengthen(request),
            State::One(holder) if holder.conflicts(request.mode) => {
                return Ok(must_wait(slot, None));
            }
            State::One(holder) => {
                self.credit.take(name.weight(), room)?;
                let crowd = Crowd {
                    holders: SmallVec::from([*holder, Holder::new(request)]),
                    queue: VecDeque::new(),
                };
                entry.state = State::Many(Box::new(crowd));
                None
            }
            State::Many(crowd) => {
                let own = crowd.holder(request.owner);
                let held = own.and_then(|own| crowd.holders[own].mode());
                if crowd.must_wait(request, held) {
                    let before = own.and_then(|own| *crowd.holders[own].part(request.scope));
                    return Ok(must_wait(slot, before));
                }
                match own {
                    Some(own) => crowd.holders[own].strengthen(request),
                    None => {
                        self.credit.take(name.weight(), room)?;
                        crowd.holders.push(Holder::new(request));
                        None
                    }
                }
            }
        };
        Ok(granted(slot, before))
    }

    /// Whether an owner who asks for the lock at `slot` has to wait.
    pub(super) fn is_barred(&self, slot: u32, owner: OwnerId, mode: Mode) -> bool {
        match self.entries.get(slot).map(|entry| &entry.state) {
            None => false,
            Some(State::One(holder)) => holder.owner != owner && holder.conflicts(mode),
            Some(State::Many(crowd)) => {
                let own = crowd.holder(owner);
                let held = own.and_then(|own| crowd.holders[own].mode());
                let scope = Scope::Transaction;
                crowd.must_wait(Request { owner, mode, scope }, held)
            }
        }
    }

    /// Queues up for what [`Table::acquire`] has just not granted.
    ///
    /// # Errors
    /// [`LockError::TooMany`].
    pub(super) fn enqueue(
        &mut self,
        slot: u32,
        request: Request,
        since: Timestamp,
        room: &Room,
    ) -> Result<(), LockError> {
        let entry = self.entries.get_mut(slot).expect("not granted: it is held");
        let held = match &entry.state {
            State::One(_) => None,
            State::Many(crowd) => {
                let own = crowd.holder(request.owner);
                own.and_then(|own| crowd.holders[own].mode())
            }
        };
        if held.is_none() {
            self.credit.take(entry.name.name().weight(), room)?;
        }
        if let State::One(holder) = &entry.state {
            let holders = SmallVec::from_slice(&[*holder]);
            let queue = VecDeque::new();
            entry.state = State::Many(Box::new(Crowd { holders, queue }));
        }
        if let State::Many(crowd) = &mut entry.state {
            let waiter = Waiter {
                request,
                held,
                since,
                waker: None,
            };
            crowd.queue.insert(crowd.place(held), waiter);
        }
        Ok(())
    }

    /// The owner, where it still waits.
    pub(super) fn waiter(&mut self, slot: u32, owner: OwnerId) -> Option<&mut Waiter> {
        match &mut self.entries.get_mut(slot)?.state {
            State::One(_) => None,
            State::Many(crowd) => {
                let waiter = crowd.waiter(owner)?;
                crowd.queue.get_mut(waiter)
            }
        }
    }

    /// What an owner has of the lock at `slot`.
    pub(super) fn held(&self, slot: u32, owner: OwnerId) -> Option<Mode> {
        match &self.entries.get(slot)?.state {
            State::One(holder) => holder.mode().filter(|_| holder.owner == owner),
            State::Many(crowd) => crowd.holders[crowd.holder(owner)?].mode(),
        }
    }

    /// Takes an owner out of the queue; false when it is not in it.
    pub(super) fn withdraw(
        &mut self,
        slot: u32,
        owner: OwnerId,
        room: &Room,
        wakers: &mut Wakers,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(slot) else {
            return false;
        };
        let State::Many(crowd) = &mut entry.state else {
            return false;
        };
        let waiter = crowd.waiter(owner);
        let Some(waiter) = waiter.and_then(|waiter| crowd.queue.remove(waiter)) else {
            return false;
        };
        if waiter.held.is_none() {
            self.credit.give(entry.name.name().weight(), room);
        }
        wakers.extend(waiter.waker);
        self.tidy(slot, wakers);
        true
    }

    /// Sets what a holder has in one scope, which is less than before.
    pub(super) fn weaken(
        &mut self,
        slot: u32,
        owner: OwnerId,
        scope: Scope,
        mode: Option<Mode>,
        room: &Room,
        wakers: &mut Wakers,
    ) {
        let Some(entry) = self.entries.get_mut(slot) else {
            debug_assert!(false, "a held lock has an entry");
            return;
        };
        let weight = entry.name.name().weight();
        let gone = match &mut entry.state {
            State::One(holder) => {
                debug_assert!(holder.owner == owner);
                *holder.part(scope) = mode;
                let gone = holder.mode().is_none();
                if gone {
                    self.remove(slot);
                }
                gone
            }
            State::Many(crowd) => {
                let Some(own) = crowd.holder(owner) else {
                    debug_assert!(false, "only a holder gives back");
                    return;
                };
                *crowd.holders[own].part(scope) = mode;
                let gone = crowd.holders[own].mode().is_none();
                if gone {
                    crowd.holders.swap_remove(own);
                }
                self.tidy(slot, wakers);
                gone
            }
        };
        if gone {
            self.credit.give(weight, room);
        }
    }

    /// After a change of holders or queue: lets in who can go, and makes the entry as small as it
    /// can be.
    fn tidy(&mut self, slot: u32, wakers: &mut Wakers) {
        let Some(entry) = self.entries.get_mut(slot) else {
            return;
        };
        let State::Many(crowd) = &mut entry.state else {
            return;
        };
        crowd.advance(wakers);
        if !crowd.queue.is_empty() {
            debug_assert!(!crowd.holders.is_empty());
            return;
        }
        match crowd.holders[..] {
            [] => self.remove(slot),
            [holder] => entry.state = State::One(holder),
            _ => {}
        }
    }

    fn insert(&mut self, hash: u64, entry: Entry) -> u32 {
        let slot = self.entries.insert(entry);
        let (entries, hasher) = (&self.entries, &self.hasher);
        let rehash = |slot: &u32| {
            let entry = entries.get(*slot).expect("the index is of used slots");
            hasher.hash_one(entry.name.name())
        };
        self.slots.insert_unique(hash, slot, rehash);
        slot
    }

    fn remove(&mut self, slot: u32) {
        let Some(entry) = self.entries.remove(slot) else {
            return;
        };
        let hash = self.hasher.hash_one(entry.name.name());
        if let Ok(found) = self.slots.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        if self.entries.len() == 0 && self.slots.capacity() > SLOTS_KEPT {
            self.slots = HashTable::new();
        }
    }

    /// What was taken of the limit in advance.
    pub(super) fn credit(&self) -> usize {
        self.credit.0
    }

    /// Every lock, for those who look: its name and who is there.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot)
    }

    /// For how many locks there is memory.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.capacity() + self.slots.capacity()
    }
}

/// Capacity of the index that is kept when no entry is used.
const SLOTS_KEPT: usize = 448;

impl Entry {
    pub(super) fn holders(&self) -> &[Holder] {
        match &self.state {
            State::One(holder) => std::slice::from_ref(holder),
            State::Many(crowd) => &crowd.holders,
        }
    }

    pub(super) fn queue(&self) -> impl ExactSizeIterator<Item = &Waiter> {
        static NOBODY: VecDeque<Waiter> = VecDeque::new();
        match &self.state {
            State::One(_) => NOBODY.iter(),
            State::Many(crowd) => crowd.queue.iter(),
        }
    }
}

fn must_wait(slot: u32, before: Option<Mode>) -> Tried {
    Tried {
        slot,
        before,
        outcome: Outcome::MustWait,
    }
}
