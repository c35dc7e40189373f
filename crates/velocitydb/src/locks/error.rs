//! Why a lock was not had, and the wait-for cycle that a deadlock is.
//!
//! Tests: `locks/tests.rs`.

use std::fmt;

use velocitydb_types::ErrorClass;

use super::{LockName, Mode, OwnerId};

/// Why a lock was not had. What the owner held before it still holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another has it, and the caller did not want to wait.
    #[error("could not obtain lock {mode} on {name}: another has it; try again later, or wait")]
    NotAvailable {
        /// What was to be locked.
        name: LockName,
        /// How.
        mode: Mode,
    },
    /// Waiting would never have ended.
    #[error("deadlock detected; try the transaction again. {0}")]
    Deadlock(Cycle),
    /// The lock was not had in time.
    #[error("lock {mode} on {name} was not free in time; try again later, or wait longer")]
    Timeout {
        /// What was to be locked.
        name: LockName,
        /// How.
        mode: Mode,
    },
    /// The wait was ended by [`Locks::interrupt`](super::Locks::interrupt), or by the waiter's own
    /// flag.
    #[error("waiting for lock {mode} on {name} was interrupted")]
    Interrupted {
        /// What was to be locked.
        name: LockName,
        /// How.
        mode: Mode,
    },
    /// All locks together reach the limit.
    #[error(
        "out of shared memory: {max} locks are held or waited for, which is the limit; lock fewer rows \
         in one transaction, or raise the limit of locks"
    )]
    TooMany {
        /// [`LockOptions::locks_max`](super::LockOptions::locks_max).
        max: usize,
    },
}

impl LockError {
    /// The stable name of the error and its class: the one table, with [`LockError::sqlstate`].
    pub fn code(&self) -> (&'static str, ErrorClass) {
        use ErrorClass as Class;
        match self {
            LockError::NotAvailable { .. } => ("lock_not_available", Class::Conflict),
            LockError::Deadlock(_) => ("deadlock_detected", Class::Retry),
            LockError::Timeout { .. } => ("lock_timeout", Class::Limit),
            LockError::Interrupted { .. } => ("lock_interrupted", Class::Limit),
            LockError::TooMany { .. } => ("too_many_locks", Class::Limit),
        }
    }

    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        self.code().1
    }

    /// PostgreSQL's code, more precise than that of the class.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            LockError::NotAvailable { .. } | LockError::Timeout { .. } => "55P03",
            LockError::Deadlock(_) => "40P01",
            LockError::Interrupted { .. } => "57014",
            LockError::TooMany { .. } => "53200",
        }
    }
}

/// Owners that wait for each other: each wait for the owner of the next, the last for the first's.
/// `Display` is PostgreSQL's detail of the error, a line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<CycleWait>);

/// One wait in a [`Cycle`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleWait {
    /// Who waits.
    pub owner: OwnerId,
    /// How strong a lock it wants.
    pub mode: Mode,
    /// On what.
    pub name: LockName,
    /// Who holds it, or waits for it before.
    pub blocked_by: OwnerId,
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, wait) in self.0.iter().enumerate() {
            let line = if position > 0 { "\n" } else { "" };
            write!(f, "{line}{wait}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CycleWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CycleWait {
            owner,
            mode,
            name,
            blocked_by,
        } = self;
        write!(
            f,
            "Process {owner} waits for {mode} on {name}; blocked by process {blocked_by}."
        )
    }
}
