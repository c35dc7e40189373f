//! Advisory locks: numbers that sessions lock by functions.
//!
//! A function does not wait. When another has the lock, it notes the wish and fails; the session waits
//! for the lock, and runs the statement again ([`Effects::wish`]). What calls have done in an earlier run
//! they do not do again, so that no lock of the session is counted twice; what no call of the last
//! run has asked for is given back ([`Deeds`]). Tests: tests/it/sessions/advisory.script.

use std::collections::HashMap;

use velocitydb::DatabaseId;
use velocitydb::locks::{LockError, Locked, Mode, Name, Wait};

use super::Effects;
use crate::error::{SqlError, sqlstate};

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Number {
    One(i64),
    Pair(i32, i32),
}

/// Until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Session,
    Transaction,
}

/// A lock that a function asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Lock {
    pub(super) number: Number,
    pub(super) mode: Mode,
    pub(super) scope: Scope,
}

impl Lock {
    /// In a database.
    fn name(self, of: DatabaseId) -> Name<'static> {
        match self.number {
            Number::One(number) => Name::Advisory(of, number),
            Number::Pair(first, second) => Name::AdvisoryPair(of, first, second),
        }
    }
}

/// Something that was done to the locks of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Deed {
    Lock(Lock),
    Unlock(Lock),
    UnlockAll,
}

/// What a statement has done to the locks of its session.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    /// In all of its runs, and how often.
    all: HashMap<Deed, u64>,
    /// In the present run.
    run: HashMap<Deed, u64>,
    /// What the run could not go on without.
    wish: Option<Lock>,
    notices: Vec<SqlError>,
}

/// More of one statement are left out.
const NOTICES_MAX: usize = 100;

impl Deeds {
    /// Whether an earlier run has done it once more than this one.
    fn repeats(&mut self, deed: Deed) -> bool {
        let all = self.all.get(&deed).copied().unwrap_or(0);
        if all == 0 {
            return false;
        }
        let run = self.run.entry(deed).or_default();
        let repeats = *run < all;
        *run += u64::from(repeats);
        repeats
    }

    fn note(&mut self, deed: Deed) {
        *self.all.entry(deed).or_default() += 1;
        *self.run.entry(deed).or_default() += 1;
    }
}

impl Effects {
    /// Locks; false when another has it and the caller does not want to wait.
    ///
    /// # Errors
    /// Too many locks, or the statement is to be run again when it has this one.
    pub(super) fn lock(&self, lock: Lock, wait: bool) -> Result<bool, SqlError> {
        let mut state = self.state();
        let deeds = &mut state.deeds;
        if deeds.repeats(Deed::Lock(lock)) {
            return Ok(true);
        }
        match self.ask(lock, Wait::SkipLocked)? {
            Locked::Granted => {
                if lock.scope == Scope::Session {
                    deeds.note(Deed::Lock(lock));
                }
                Ok(true)
            }
            Locked::Skipped | Locked::Waiting(_) if wait => {
                deeds.wish.get_or_insert(lock);
                let message = "another has the advisory lock";
                Err(SqlError::new(sqlstate::LOCK_NOT_AVAILABLE, message))
            }
            Locked::Skipped | Locked::Waiting(_) => Ok(false),
        }
    }

    /// Takes back one lock of the session; false, with a notice, when there is none.
    pub(super) fn unlock(&self, lock: Lock) -> bool {
        let mut state = self.state();
        let deeds = &mut state.deeds;
        if deeds.repeats(Deed::Unlock(lock)) {
            return true;
        }
        let unlocked = self
            .owner
            .unlock_session(lock.name(self.database.id()), lock.mode);
        if unlocked {
            deeds.note(Deed::Unlock(lock));
        } else if deeds.notices.len() < NOTICES_MAX {
            let kind = mode_name(lock.mode);
            let message = format!("you don't own a lock of type {kind}");
            deeds
                .notices
                .push(SqlError::new(sqlstate::WARNING, message));
        }
        unlocked
    }

    /// Takes back all locks of the session.
    pub(super) fn unlock_all(&self) {
        let mut state = self.state();
        if !state.deeds.repeats(Deed::UnlockAll) {
            self.owner.release_session();
            state.deeds.note(Deed::UnlockAll);
        }
    }

    /// Asks for a lock.
    ///
    /// # Errors
    /// A deadlock, or too many locks.
    pub(crate) fn ask(&self, lock: Lock, wait: Wait) -> Result<Locked, LockError> {
        match lock.scope {
            Scope::Session => {
                self.owner
                    .lock_session(lock.name(self.database.id()), lock.mode, wait)
            }
            Scope::Transaction => self
                .owner
                .lock(lock.name(self.database.id()), lock.mode, wait),
        }
    }

    /// A statement begins, of which nothing was run yet.
    pub(crate) fn begin_statement(&self) {
        drop(self.take_sets()); // of one that was given up while it waited
        self.state().deeds = Deeds::default();
        self.forget_objects();
    }

    /// What the statement waits for before it can be run again.
    pub(crate) fn wish(&self) -> Option<Lock> {
        self.state().deeds.wish
    }

    /// The statement is run again; `granted` is what it has waited for.
    pub(crate) fn run_again(&self, granted: Option<Lock>) {
        drop(self.take_sets());
        let mut state = self.state();
        let deeds = &mut state.deeds;
        deeds.wish = None;
        deeds.run.clear();
        deeds.notices.clear();
        if let Some(lock) = granted.filter(|lock| lock.scope == Scope::Session) {
            *deeds.all.entry(Deed::Lock(lock)).or_default() += 1;
        }
    }

    /// The statement has been run: its notices. Locks that only an earlier run has asked for are given back.
    pub(crate) fn end_statement(&self) -> Vec<SqlError> {
        let deeds = std::mem::take(&mut self.state().deeds);
        self.forget_objects();
        for (deed, count) in deeds.all {
            let run = deeds.run.get(&deed).copied().unwrap_or(0);
            if let Deed::Lock(lock) = deed {
                for _ in run..count {
                    self.owner
                        .unlock_session(lock.name(self.database.id()), lock.mode);
                }
            }
        }
        deeds.notices
    }
}

/// What `pg_locks` calls the mode of an advisory lock.
fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::SHARED => "ShareLock",
        _ => "ExclusiveLock",
    }
}
