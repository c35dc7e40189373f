//! Locks of a transaction, and whether a statement that was run without them stands.
//!
//! ```text
//!   run the statement ──► lock what it needs ──► asked of what is newly locked: still as it was?
//!        ▲                     │ another has it         │ yes: it stands
//!        │                     ▼                        │
//!        └── taken back ◄── wait for it                 ▼ no: taken back, and run again
//! ```
//!
//! So a statement is run without waiting, knows nothing of locks, and is run again over the newest
//! state when another was there first; what it has locked stays locked, so that it gets on each time.
//! PostgreSQL looks again at the one row that it had to wait for, and keeps the state in which it found
//! the others; here all of them are of one state.
//!
//! Tests: the scripts of several sessions in velocitydb-sql.

use std::sync::Arc;

use velocitydb_engine::catalog::{COLLECTIONS, Collection, CollectionId};
use velocitydb_engine::transaction::{Isolation, Need, Savepoint};
use velocitydb_engine::{Document, Error};
use velocitydb_types::Key;

use super::Transaction;
use crate::database::Inner;
use crate::locks::{LockError, Locked, Mark, Mode, Name, Owner, Wait, Waiting};

/// The locks of a transaction.
pub(super) struct Locking {
    owner: Owner,
    /// Whether no statement has begun yet.
    fresh: bool,
    /// Documents that the present statement locks besides what it writes.
    rows: Vec<RowLock>,
}

struct RowLock {
    collection: CollectionId,
    key: Key,
    index: u64,
    mode: Mode,
    wait: Wait,
}

/// How far [`Transaction::settle`] has come with a statement.
#[derive(Debug, Default)]
pub struct Settling {
    /// What is to be locked next: by the number of the need, and behind all needs that of the document.
    at: usize,
    /// What the owner had before the lock that is waited for.
    before: Option<Mark>,
    changed: Option<Change>,
}

/// What another has changed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Something that the newest state tells of in every isolation.
    Seen,
    /// A document that is not as the transaction's snapshot has it.
    Snapshot,
}

/// What becomes of a statement.
#[derive(Debug)]
pub enum Settled {
    /// It stands, and so does its error.
    Stands,
    /// Another was there first: it is to be rolled back and run again.
    Again,
    /// As [`Settled::Again`], but the transaction reads one state, in which it would be the same:
    /// it cannot go on.
    Conflict,
    /// Another has a lock that it needs: to be settled again after that.
    Blocked(Waiting),
}

impl Transaction {
    /// From here on its statements are settled with the locks of this owner
    /// ([`Transaction::settle`]), who has to give them back when the transaction has ended.
    pub fn lock_as(&mut self, owner: Owner) {
        self.transaction.note_needs();
        self.locking = Some(Locking {
            owner,
            fresh: true,
            rows: Vec::new(),
        });
    }

    /// Who holds its locks.
    pub fn owner(&self) -> Option<&Owner> {
        self.locking.as_ref().map(|locking| &locking.owner)
    }

    /// Whether a statement has begun ([`Transaction::begin_statement`]).
    pub fn has_begun(&self) -> bool {
        self.locking.as_ref().is_some_and(|locking| !locking.fresh)
    }

    /// The name of a collection, as the transaction knows it.
    pub fn collection_name(&self, collection: CollectionId) -> Option<&str> {
        let found = self.transaction.catalog().by_id(collection)?;
        Some(&found.definition.name)
    }

    /// Begins a statement: the first one, and under [`Isolation::ReadCommitted`] each, on the state of
    /// now.
    pub fn begin_statement(&mut self) -> Savepoint {
        let first = self
            .locking
            .as_mut()
            .is_some_and(|locking| std::mem::take(&mut locking.fresh));
        match first {
            true => {
                let now = self.inner.clock.now();
                let deadline = self.inner.snapshot_deadline(now);
                self.transaction.begin_again(now, deadline);
            }
            false => self.refresh(),
        }
        if let Some(locking) = &mut self.locking {
            locking.rows.clear();
            self.transaction.note_needs();
        }
        self.savepoint()
    }

    /// Has the present statement lock a document that it has found, when it is settled.
    ///
    /// # Errors
    /// There is no such collection.
    pub fn lock_row(
        &mut self,
        collection: &str,
        row: &Document,
        mode: Mode,
        wait: Wait,
    ) -> Result<(), Error> {
        let (collection, key) = (self.runtime(collection)?.id, row.key_bytes());
        let index = match self.transaction.written(collection, key) {
            None => row.meta().index,
            // It is locked already, though perhaps not as strongly.
            Some(_) => self.transaction.newest_index(collection, key),
        };
        if let Some(locking) = &mut self.locking {
            locking.rows.push(RowLock {
                collection,
                key: row.id(),
                index,
                mode,
                wait,
            });
        }
        Ok(())
    }

    /// What locks documents of a collection one by one while they are found, and passes over those
    /// that others have: `None` when the transaction has no locks.
    ///
    /// # Errors
    /// There is no such collection.
    pub fn free_rows(&self, collection: &str, mode: Mode) -> Result<Option<FreeRows>, Error> {
        let collection = self.runtime(collection)?;
        Ok(self.locking.as_ref().map(|locking| FreeRows {
            inner: Arc::clone(&self.inner),
            owner: locking.owner.clone(),
            collection,
            mode,
        }))
    }

    /// Locks what the statement that began at `since` needs, and tells whether it stands. One that
    /// has failed needs only what it failed for.
    ///
    /// # Errors
    /// A deadlock, too many locks, or one that was not to be waited for.
    pub fn settle(
        &mut self,
        since: Savepoint,
        failed: bool,
        settling: &mut Settling,
    ) -> Result<Settled, LockError> {
        let Some(locking) = &self.locking else {
            return Ok(Settled::Stands);
        };
        let owner = &locking.owner;
        let isolation = self.transaction.isolation();
        let needs = self.transaction.need_count(since);
        for at in settling.at..needs + locking.rows.len() {
            // The documents that it locks besides come behind its needs.
            let (need, mode, wait) = match at.checked_sub(needs) {
                None => {
                    let need = self.transaction.need(since, at);
                    (need, mode_of(need), Wait::Block)
                }
                Some(row) => {
                    let row = &locking.rows[row];
                    (row.need(), row.mode, row.wait)
                }
            };
            let hindered = matches!(need, Need::Hindered { .. });
            settling.at = at;
            // Nobody else knows a collection that this one has made.
            if failed && !hindered || collection_of(need).is_some_and(|id| id.is_provisional()) {
                continue;
            }
            let before = settling.before.take();
            let waited = before.is_some();
            let before = before.unwrap_or_else(|| owner.mark());
            match owner.lock(name_of(need), mode, wait)? {
                Locked::Granted | Locked::Skipped => {}
                Locked::Waiting(waiting) => {
                    settling.before = Some(before);
                    return Ok(Settled::Blocked(waiting));
                }
            }
            // What was locked by an earlier statement is as that found it; a document may have been
            // locked while it was looked for (`FreeRows`).
            if owner.mark() == before && at < needs {
                continue;
            }
            let change = match self.transaction.is_still_so(need) {
                false => Some(change_of(need)),
                // Others may refer to it since it was looked for them.
                true => (waited || self.ends_referred(need)).then_some(Change::Seen),
            };
            settling.changed = settling.changed.max(change);
            if hindered {
                owner.release_after(before);
            }
        }
        Ok(match settling.changed {
            None => Settled::Stands,
            Some(Change::Snapshot) if isolation != Isolation::ReadCommitted => Settled::Conflict,
            Some(_) => Settled::Again,
        })
    }

    fn ends_referred(&self, need: Need<'_>) -> bool {
        let Need::Written {
            collection,
            base: 1..,
            whole: true,
            ..
        } = need
        else {
            return false;
        };
        let collection = self.transaction.catalog().by_id(collection);
        collection.is_some_and(|found| self.transaction.is_referred_to(found))
    }
}

/// Locks documents that are free: `SKIP LOCKED`.
#[derive(Clone)]
pub struct FreeRows {
    inner: Arc<Inner>,
    owner: Owner,
    collection: Arc<Collection>,
    mode: Mode,
}

/// What has become of a document that was to be locked.
#[derive(Debug)]
pub enum Freed {
    /// Another has it.
    Skipped,
    /// It is locked, and as it was found.
    Kept,
    /// It is locked, and another has changed it since it was found: what it is now, if it is there.
    /// A statement that goes on with that has to have the one that it found locked too
    /// ([`Transaction::lock_row`]), so that it is run again when it is settled: what else it reads is
    /// older.
    Changed(Option<Document>),
}

impl FreeRows {
    /// Whether another has a document now.
    pub(crate) fn is_taken(&self, row: &Document) -> bool {
        let (collection, key) = (self.collection.id, row.key_bytes());
        self.owner
            .is_barred(Name::Row { collection, key }, self.mode)
    }

    /// Locks a document.
    ///
    /// # Errors
    /// Too many locks.
    pub fn take(&self, row: &Document) -> Result<Freed, LockError> {
        let (collection, key) = (self.collection.id, row.key_bytes());
        let name = Name::Row { collection, key };
        let before = self.owner.held(name);
        match self.owner.lock(name, self.mode, Wait::SkipLocked)? {
            Locked::Granted => {}
            Locked::Skipped | Locked::Waiting(_) => return Ok(Freed::Skipped),
        }
        // Then no other could change it: it is as it was found, or the transaction has written it.
        if before >= Some(Mode::Share) {
            return Ok(Freed::Kept);
        }
        let clock = &self.inner.clock;
        let newest = self.inner.engine.get(&self.collection, key, || clock.now());
        Ok(match newest {
            Some(newest) if newest.meta().index == row.meta().index => Freed::Kept,
            newest => Freed::Changed(newest),
        })
    }
}

impl RowLock {
    /// As something that was found and is to stay like that.
    fn need(&self) -> Need<'_> {
        Need::Written {
            collection: self.collection,
            key: self.key.as_bytes(),
            base: self.index,
            whole: false,
        }
    }
}

fn collection_of(need: Need<'_>) -> Option<CollectionId> {
    match need {
        Need::Written { collection, .. }
        | Need::Claimed { collection, .. }
        | Need::Referred { collection, .. }
        | Need::Hindered { collection, .. } => Some(collection),
        Need::Defined { .. } => None,
    }
}

fn name_of(need: Need<'_>) -> Name<'_> {
    match need {
        // The document of the definition.
        Need::Defined { key, .. } => Name::Row {
            collection: COLLECTIONS,
            key,
        },
        Need::Written {
            collection, key, ..
        }
        | Need::Referred { collection, key }
        | Need::Hindered {
            collection, key, ..
        } => Name::Row { collection, key },
        Need::Claimed {
            collection,
            index,
            claim,
        } => Name::Unique {
            collection,
            // Those that share a number would only wait for each other needlessly.
            index: index as u16,
            key: claim,
        },
    }
}

fn mode_of(need: Need<'_>) -> Mode {
    match need {
        Need::Written { whole: false, .. } => Mode::NoKeyUpdate,
        Need::Written { whole: true, .. } | Need::Claimed { .. } | Need::Defined { .. } => {
            Mode::Update
        }
        Need::Referred { .. } => Mode::KeyShare,
        // Behind whoever changes it.
        Need::Hindered { .. } => Mode::Share,
    }
}

/// What it means that something is not as it was found.
fn change_of(need: Need<'_>) -> Change {
    match need {
        Need::Written { base: 1.., .. } => Change::Snapshot,
        _ => Change::Seen,
    }
}
