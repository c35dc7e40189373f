//! The transaction of a session: of a block, or of a request of several statements; and what
//! interrupts its statements.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use velocitydb::{Isolation, Savepoint, Transaction};
use velocitydb_types::Timestamp;

use super::{Answer, Session};
use crate::error::{SqlError, sqlstate};

/// The transaction that is open.
pub(super) struct Block {
    pub(super) transaction: Transaction,
    /// No BEGIN has begun it: it ends with the request.
    pub(super) implicit: bool,
    pub(super) began: Timestamp,
    /// By name, the newest last.
    pub(super) savepoints: Vec<(String, Savepoint)>,
    pub(super) failed: bool,
}

/// Interrupts the statement that a session runs, from another thread.
#[derive(Debug, Clone, Default)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// Lets the statement that runs, if there is one, fail.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// What queries ask while they run.
    pub(super) fn check(&self) -> Result<(), velocitydb::Error> {
        match self.0.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(velocitydb::Error::Expression {
                sqlstate: sqlstate::QUERY_CANCELED,
                message: "canceling statement due to user request".into(),
            }),
        }
    }
}

impl Session {
    /// Notes that a statement failed: a transaction block has failed with it, and what the request
    /// did outside of one is rolled back.
    pub fn fail(&mut self) {
        self.implicit = false;
        match &mut self.block {
            Some(block) if !block.implicit => block.failed = true,
            _ => self.block = None,
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
        self.implicit = false;
        self.commit_implicit()
    }

    pub(super) fn commit_implicit(&mut self) -> Result<(), SqlError> {
        if let Some(block) = self.block.take_if(|block| block.implicit) {
            block.transaction.commit()?;
        }
        Ok(())
    }

    /// The transaction that a statement is run in; `None`: one of its own.
    pub(super) fn block(&mut self) -> Option<&mut Block> {
        if self.implicit && self.block.is_none() {
            self.block = Some(self.new_block(Isolation::ReadCommitted, true));
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
        }
    }

    /// A transaction whose queries can be cancelled.
    pub(super) fn transaction(&self, isolation: Isolation) -> Transaction {
        let mut transaction = self.database.begin(isolation);
        let canceller = self.canceller.clone();
        transaction.interrupted_by(move || canceller.check());
        transaction
    }

    pub(super) fn begin(&mut self, isolation: Isolation) -> Result<Answer, SqlError> {
        let notice = match &mut self.block {
            Some(block) if block.implicit => {
                if isolation != Isolation::ReadCommitted {
                    let message = "a transaction's isolation level must be set before any query";
                    return Err(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message));
                }
                block.implicit = false;
                None
            }
            Some(_) => Some(SqlError::new(
                sqlstate::ACTIVE_SQL_TRANSACTION,
                "there is already a transaction in progress",
            )),
            None => {
                self.block = Some(self.new_block(isolation, false));
                None
            }
        };
        Ok(Answer {
            notices: notice.into_iter().collect(),
            ..Answer::done("BEGIN")
        })
    }

    pub(super) fn commit(&mut self) -> Result<Answer, SqlError> {
        let notice = match self.block.take() {
            None => Some(no_block()),
            Some(block) if block.failed => return Ok(Answer::done("ROLLBACK")),
            Some(block) => {
                let notice = block.implicit.then(no_block);
                block.transaction.commit()?;
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
    pub(super) fn position(&self, savepoint: &str) -> Result<usize, SqlError> {
        let found = self
            .savepoints
            .iter()
            .rposition(|(name, _)| name == savepoint);
        found.ok_or_else(|| {
            let message = format!("savepoint {savepoint:?} does not exist");
            SqlError::new(sqlstate::INVALID_SAVEPOINT, message)
        })
    }
}

pub(super) fn no_block() -> SqlError {
    let message = "there is no transaction in progress";
    SqlError::new(sqlstate::NO_ACTIVE_SQL_TRANSACTION, message)
}
