//! The transaction of a session: of a block, or of a request of several statements; and what
//! interrupts its statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use velocitydb::locks::{Mark, Owner};
use velocitydb::{Call, Isolation, Savepoint, Transaction};
use velocitydb_types::Timestamp;

use super::cursors::Cursors;
use super::run::{self, Runtime, Threads, at_once};
use super::scope::{Saved, Scope};
use super::{Access, Answer, Modes, Session};
use crate::effects::{Effects, EffectsMark, Own};
use crate::error::{SqlError, sqlstate};

/// How many savepoints a transaction may have.
pub(super) const SAVEPOINTS_MAX: usize = 100_000;

/// The transaction that is open.
pub(super) struct Block {
    pub(super) transaction: Transaction,
    /// No BEGIN has begun it: it ends with the request.
    pub(super) implicit: bool,
    pub(super) began: Timestamp,
    /// The newest last.
    pub(super) savepoints: Vec<Named>,
    pub(super) failed: bool,
    /// Those that were declared in it.
    pub(super) cursors: Cursors,
    pub(super) access: Access,
    /// What becomes of settings at its end.
    pub(super) scope: Scope,
    // Behind the transaction: they are given back when it has ended.
    pub(super) locks: TransactionLocks,
}

/// A savepoint.
pub(super) struct Named {
    pub(super) name: Arc<str>,
    pub(super) savepoint: Savepoint,
    pub(super) locks: Mark,
    pub(super) effects: EffectsMark,
    pub(super) settings: (Saved, Scope),
}

/// The locks of a session, and what else it does beside documents. Dropped, all of that ends.
pub(super) struct SessionLocks(Arc<Effects>);

impl SessionLocks {
    pub(super) fn of(effects: &Arc<Effects>) -> SessionLocks {
        SessionLocks(Arc::clone(effects))
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.0.owner
    }
}

impl Drop for SessionLocks {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The locks of a session's transaction, and what it has to tell when it is committed. Dropped, they
/// are given back, and it is forgotten.
pub(super) struct TransactionLocks(Arc<Effects>);

impl TransactionLocks {
    pub(super) fn of(locks: &SessionLocks) -> TransactionLocks {
        TransactionLocks(Arc::clone(&locks.0))
    }

    pub(super) fn owner(&self) -> &Owner {
        &self.0.owner
    }
}

impl Drop for TransactionLocks {
    fn drop(&mut self) {
        self.0.roll_back();
        self.0.owner.release_transaction();
    }
}

/// Interrupts the statement that a session runs, from another thread.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<Cancelling>);

#[derive(Debug)]
struct Cancelling {
    cancelled: AtomicBool,
    /// Milliseconds from `since` when the statement has to end; 0: it need not.
    until_ms: AtomicU64,
    since: Instant,
    /// Who may wait.
    owner: Owner,
}

impl Canceller {
    pub(super) fn new(owner: Owner) -> Canceller {
        Canceller(Arc::new(Cancelling {
            cancelled: AtomicBool::new(false),
            until_ms: AtomicU64::new(0),
            since: Instant::now(),
            owner,
        }))
    }

    /// Lets the statement that runs, if there is one, fail.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.owner.interrupt();
    }

    pub(super) fn forget(&self) {
        self.0.cancelled.store(false, Ordering::Relaxed);
    }

    /// So long may the statement that begins now take.
    pub(super) fn allow(&self, timeout: Option<Duration>) {
        let until = timeout.map_or(0, |timeout| (self.0.since.elapsed() + timeout).as_millis());
        let until_ms = u64::try_from(until).unwrap_or(u64::MAX);
        self.0.until_ms.store(until_ms, Ordering::Relaxed);
    }

    /// How much of that is left.
    pub(super) fn left(&self) -> Option<Duration> {
        let until_ms = self.0.until_ms.load(Ordering::Relaxed);
        let until = (until_ms > 0).then(|| Duration::from_millis(until_ms));
        until.map(|until| until.saturating_sub(self.0.since.elapsed()))
    }

    /// What queries ask while they run.
    pub(super) fn check(&self) -> Result<(), velocitydb::Error> {
        let cause = if self.0.cancelled.load(Ordering::SeqCst) {
            "user request"
        } else if self.left().is_some_and(|left| left.is_zero()) {
            "statement timeout"
        } else {
            return Ok(());
        };
        Err(velocitydb::Error::Expression {
            sqlstate: sqlstate::QUERY_CANCELED,
            message: format!("canceling statement due to {cause}"),
        })
    }
}

impl Session {
    /// Notes that a statement failed: a transaction block has failed with it, and what the request
    /// did outside of one is rolled back.
    pub fn fail(&mut self) {
        self.implicit = false;
        match &mut self.block {
            Some(block) if !block.implicit => {
                block.failed = true;
                // What was locked since is not needed any more.
                match block.savepoints.last() {
                    Some(last) => block.locks.owner().release_after(last.locks),
                    None => block.locks.owner().release_transaction(),
                }
            }
            _ => {
                if let Some(block) = self.block.take() {
                    self.roll_back(block);
                }
            }
        }
    }

    /// From now on what is run outside of transaction blocks is one transaction, until
    /// [`Session::end_implicit`] or an error. A cancel ends the first statement that hears of it.
    pub fn begin_implicit(&mut self) {
        if !self.implicit {
            self.canceller.forget();
        }
        self.implicit = true;
    }

    /// Whether there is something for [`Session::end_implicit`] to commit.
    pub fn is_implicit(&self) -> bool {
        self.block.as_ref().is_some_and(|block| block.implicit)
    }

    /// The end of a request: commits what was one transaction because of it.
    ///
    /// # Errors
    /// It cannot be committed, for example because another was faster.
    pub fn end_implicit(&mut self) -> Result<(), SqlError> {
        at_once(self.end_implicit_on(&Threads))
    }

    /// As [`Session::end_implicit`], on this runtime.
    ///
    /// # Errors
    /// As there.
    pub async fn end_implicit_on(&mut self, runtime: &impl Runtime) -> Result<(), SqlError> {
        self.implicit = false;
        self.commit_implicit(runtime).await
    }

    pub(super) async fn commit_implicit(&mut self, runtime: &impl Runtime) -> Result<(), SqlError> {
        if let Some(block) = self.block.take_if(|block| block.implicit) {
            self.commit_block(runtime, block).await?;
        }
        Ok(())
    }

    /// The transaction that a statement is run in; `None`: one of its own.
    pub(super) fn block(&mut self) -> Option<&mut Block> {
        if self.implicit && self.block.is_none() {
            self.block = Some(self.new_block(self.named.isolation(), true));
        }
        self.block.as_mut()
    }

    fn new_block(&self, isolation: Isolation, implicit: bool) -> Block {
        Block {
            transaction: self.transaction(isolation),
            implicit,
            began: self.database.now(),
            savepoints: Vec::new(),
            failed: false,
            cursors: Cursors::default(),
            access: self.access(),
            scope: Scope::default(),
            locks: TransactionLocks::of(&self.locks),
        }
    }

    /// A transaction whose queries can be cancelled.
    pub(super) fn transaction(&self, isolation: Isolation) -> Transaction {
        let mut transaction = self.database.begin(isolation);
        let canceller = self.canceller.clone();
        transaction.interrupted_by(move || canceller.check());
        transaction.lock_as(self.locks.owner().clone());
        transaction
    }

    /// What the transaction has defined that is open.
    pub(super) fn set_own(&self, own: Own) {
        self.sequences.set_own(own.sequences.clone());
        self.effects.set_own(own);
    }

    /// Ends a block as if it had not been.
    pub(super) fn roll_back(&mut self, mut block: Block) {
        self.set_own(Own::default());
        self.end_scope(std::mem::take(&mut block.scope), false);
    }

    async fn commit_block(
        &mut self,
        runtime: &impl Runtime,
        mut block: Block,
    ) -> Result<(), SqlError> {
        let scope = std::mem::take(&mut block.scope);
        self.set_own(Own::default());
        let committed = match self.temporary.end_in(runtime, &mut block.transaction) {
            Ok(()) => block.commit(runtime, &self.named.call()).await,
            Err(error) => Err(error),
        };
        self.end_scope(scope, committed.is_ok());
        self.held.extend(committed?);
        self.temporary.end_transaction(runtime)?;
        Ok(())
    }

    /// SET TRANSACTION, and what BEGIN says.
    fn set_modes(&mut self, modes: Modes) -> Result<(), SqlError> {
        let Some(block) = &self.block else {
            return Ok(());
        };
        let too_late = |what: &str| {
            let message = format!("{what} must be set before any query");
            Err(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message))
        };
        let (begun, present) = (block.transaction.has_begun(), block.transaction.isolation());
        let other = modes.isolation.filter(|isolation| *isolation != present);
        if begun && other.is_some() {
            return too_late("a transaction's isolation level");
        }
        if begun && modes.access == Some(Access::ReadWrite) && block.access == Access::ReadOnly {
            return too_late("transaction read-write mode");
        }
        let new = other.map(|isolation| self.transaction(isolation));
        if let Some(block) = &mut self.block {
            block.access = modes.access.unwrap_or(block.access);
            if let Some(new) = new {
                block.transaction = new;
            }
        }
        Ok(())
    }

    pub(super) fn set_transaction(&mut self, modes: Modes) -> Result<Answer, SqlError> {
        let is_open = self.block.as_ref().is_some_and(|block| !block.implicit);
        let warning = (!is_open).then(|| {
            let message = "SET TRANSACTION can only be used in transaction blocks";
            SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message)
        });
        if is_open {
            self.set_modes(modes)?;
        }
        Ok(Answer {
            notices: warning.into_iter().collect(),
            ..Answer::done("SET")
        })
    }

    /// What a statement may do: in the transaction block, or in a transaction of its own.
    pub(super) fn access(&self) -> Access {
        match (&self.block, self.named.read_only) {
            (Some(block), _) => block.access,
            (None, true) => Access::ReadOnly,
            (None, false) => Access::ReadWrite,
        }
    }

    /// That the transaction may only read, where the statement does more.
    pub(super) fn check_access(&self, written: Option<&str>) -> Result<(), SqlError> {
        let only_reads = self.access() == Access::ReadOnly;
        self.sequences.only_read(only_reads);
        let isolation = match &self.block {
            Some(block) => block.transaction.isolation(),
            None => self.named.isolation(),
        };
        self.effects.set_transaction(isolation, only_reads);
        match written {
            Some(what) if only_reads => Err(SqlError::only_reads(what)),
            _ => Ok(()),
        }
    }

    pub(super) fn begin(&mut self, modes: Modes, tag: &'static str) -> Result<Answer, SqlError> {
        let notice = match &mut self.block {
            Some(block) => {
                let notice = (!block.implicit).then(|| {
                    let message = "there is already a transaction in progress";
                    SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message)
                });
                self.set_modes(modes)?;
                if let Some(block) = &mut self.block {
                    block.implicit = false;
                }
                notice
            }
            None => {
                let isolation = modes.isolation.unwrap_or(self.named.isolation());
                self.block = Some(Block {
                    access: modes.access.unwrap_or(self.access()),
                    ..self.new_block(isolation, false)
                });
                None
            }
        };
        Ok(Answer {
            notices: notice.into_iter().collect(),
            ..Answer::done(tag)
        })
    }

    pub(super) async fn commit(&mut self, runtime: &impl Runtime) -> Result<Answer, SqlError> {
        let notice = match self.block.take() {
            None => Some(no_block()),
            Some(block) if block.failed => {
                self.roll_back(block);
                return Ok(Answer::done("ROLLBACK"));
            }
            Some(block) => {
                let notice = block.implicit.then(no_block);
                self.commit_block(runtime, block).await?;
                notice
            }
        };
        Ok(Answer {
            notices: notice.into_iter().collect(),
            ..Answer::done("COMMIT")
        })
    }

    pub(super) fn open_block(&mut self, what: &str) -> Result<&mut Block, SqlError> {
        let block = self.block.as_mut().filter(|block| !block.implicit);
        block.ok_or_else(|| {
            let message = format!("{what} can only be used in transaction blocks");
            SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message)
        })
    }
}

impl Block {
    /// Commits, tells others, and gives the locks back after that: who waits for them tells behind it.
    /// The answer are the cursors that stay.
    async fn commit(self, runtime: &impl Runtime, call: &Call) -> Result<Cursors, SqlError> {
        let Block {
            transaction,
            locks,
            cursors,
            ..
        } = self;
        run::commit(runtime, transaction, call, &locks.0).await?;
        Ok(cursors.held())
    }

    pub(super) fn position(&self, savepoint: &str) -> Result<usize, SqlError> {
        let found = self
            .savepoints
            .iter()
            .rposition(|named| *named.name == *savepoint);
        found.ok_or_else(|| {
            let message = format!("savepoint {savepoint:?} does not exist");
            SqlError::new(sqlstate::INVALID_SAVEPOINT, message)
        })
    }
}

/// That a block has failed, which may only end.
pub(super) fn aborted() -> SqlError {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    SqlError::new(sqlstate::IN_FAILED_SQL_TRANSACTION, message)
}

pub(super) fn no_block() -> SqlError {
    let message = "there is no transaction in progress";
    SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message)
}
