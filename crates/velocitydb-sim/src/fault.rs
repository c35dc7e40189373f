//! Which operations of a simulated disk fail, and how.

use std::io;

/// The kinds of operation that a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Creating a file.
    Create,
    /// Opening a file to read and write it.
    Open,
    /// Opening a file or a directory to read it, or to sync the directory.
    OpenToRead,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Listing a directory.
    List,
    /// Creating directories.
    CreateDir,
    /// Syncing a directory.
    SyncDir,
    /// Taking a lock.
    Lock,
    /// Writing to a file.
    Write,
    /// Reading from a file.
    Read,
    /// Allocating space for a file.
    Allocate,
    /// Syncing a file.
    Sync,
    /// Asking for a file's length.
    Len,
    /// Setting a file's length.
    SetLen,
    /// Mapping a file into memory.
    Map,
}

impl Operation {
    /// Whether it needs the right to write.
    pub(crate) fn changes(self) -> bool {
        match self {
            Operation::Create
            | Operation::Open
            | Operation::Rename
            | Operation::Remove
            | Operation::CreateDir
            | Operation::Lock
            | Operation::Write
            | Operation::Allocate
            | Operation::SetLen
            | Operation::Map => true,
            Operation::OpenToRead
            | Operation::List
            | Operation::SyncDir
            | Operation::Read
            | Operation::Sync
            | Operation::Len => false,
        }
    }
}

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// One operation fails.
    Once,
    /// That operation fails and every later one of its kind.
    FromThenOn,
}

/// One planned fault.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    /// The kind of operation that is counted and fails; `None` for all.
    pub operation: Option<Operation>,
    /// The first one that fails, counted from 0 since the plan was set.
    pub nth: u64,
    /// One or all from there.
    pub repeat: Repeat,
    /// The error they fail with.
    pub error: io::ErrorKind,
}

impl FaultPlan {
    /// Operation `nth`, of whatever kind, fails.
    pub fn nth(nth: u64, repeat: Repeat, error: io::ErrorKind) -> FaultPlan {
        FaultPlan {
            operation: None,
            nth,
            repeat,
            error,
        }
    }

    /// The `nth` operation of one kind fails.
    pub fn nth_of(
        operation: Operation,
        nth: u64,
        repeat: Repeat,
        error: io::ErrorKind,
    ) -> FaultPlan {
        FaultPlan {
            operation: Some(operation),
            nth,
            repeat,
            error,
        }
    }
}

/// What becomes of unsynced writes when a sync fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterFailedSync {
    /// They count as clean: still read back, but no later sync brings them to the disk. What
    /// Linux does.
    #[default]
    Forgotten,
    /// A later sync may bring them to the disk.
    Kept,
}

/// A plan and how far it has counted.
#[derive(Debug)]
pub(crate) struct Fault {
    plan: FaultPlan,
    seen: u64,
}

impl Fault {
    pub(crate) fn new(plan: FaultPlan) -> Fault {
        Fault { plan, seen: 0 }
    }

    /// Counts one operation; the error it fails with, if it does.
    pub(crate) fn strike(&mut self, operation: Operation) -> Option<io::ErrorKind> {
        if self.plan.operation.is_some_and(|kind| kind != operation) {
            return None;
        }
        let at = self.seen;
        self.seen += 1;
        let hit = match self.plan.repeat {
            Repeat::Once => at == self.plan.nth,
            Repeat::FromThenOn => at >= self.plan.nth,
        };
        hit.then_some(self.plan.error)
    }
}
