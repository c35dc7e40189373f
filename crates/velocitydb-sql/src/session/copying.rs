//! COPY of a session: its rows come while it is run.
//!
//! In a transaction block they are written stretch by stretch, each behind its locks as a statement of
//! its own: what came of the client cannot be asked for again, so only a stretch is run again when
//! another was there first. Outside of one all are written at the end, as one entry of the log that is
//! refused when another has a key of theirs, and is not locked.

use std::sync::Arc;

use super::run::{Runtime, Settler, Threads, at_once};
use super::{Answer, Kind, Prepared, Session};
use crate::copy::{CopyIn, CopyTo};
use crate::error::SqlError;

impl Prepared {
    /// Whether its rows are data that [`CopyTo`] writes.
    pub fn copy_to(&self) -> Option<Arc<CopyTo>> {
        match &*self.plan.lock().kind {
            Kind::CopyTo(to) => Some(Arc::clone(to)),
            _ => None,
        }
    }

    /// Whether it is run by [`Session::copy_in`].
    pub fn is_copy_in(&self) -> bool {
        matches!(*self.plan.lock().kind, Kind::CopyFrom(_))
    }
}

impl Session {
    /// Begins a COPY … FROM STDIN: [`Session::copy_take`] follows with data, as often as wanted, and
    /// [`Session::copy_end`]. Dropped without it, nothing was copied; [`Session::fail`] is then to be
    /// called.
    ///
    /// # Errors
    /// It is another statement, or the transaction block has failed.
    pub fn copy_in(&mut self, prepared: &Prepared) -> Result<CopyIn, SqlError> {
        let kind = self.ready(prepared, &[])?;
        let Kind::CopyFrom(from) = &*kind else {
            return Err(SqlError::unsupported("COPY FROM of another statement"));
        };
        let began = self.block().map(|block| block.began);
        let copy = CopyIn::new(from, &self.database, began);
        copy.inspect_err(|_| self.fail())
    }

    /// As [`Session::copy_take_on`], on this thread.
    ///
    /// # Errors
    /// As there.
    pub fn copy_take(&mut self, copy: &mut CopyIn, bytes: &[u8]) -> Result<(), SqlError> {
        at_once(self.copy_take_on(&Threads, copy, bytes))
    }

    /// Takes more of the data, cut anywhere.
    ///
    /// # Errors
    /// What is wrong with them; nothing was copied then, and a transaction block has failed.
    pub async fn copy_take_on(
        &mut self,
        runtime: &impl Runtime,
        copy: &mut CopyIn,
        bytes: &[u8],
    ) -> Result<(), SqlError> {
        let taken = match copy.take(bytes) {
            Ok(true) => self.copy_write(runtime, copy).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        taken.inspect_err(|_| self.fail())
    }

    /// As [`Session::copy_end_on`], on this thread.
    ///
    /// # Errors
    /// As there.
    pub fn copy_end(&mut self, copy: &mut CopyIn) -> Result<Answer, SqlError> {
        at_once(self.copy_end_on(&Threads, copy))
    }

    /// Ends it: what was copied is there, outside of a transaction block for everybody.
    ///
    /// # Errors
    /// As [`Session::copy_take`].
    pub async fn copy_end_on(
        &mut self,
        runtime: &impl Runtime,
        copy: &mut CopyIn,
    ) -> Result<Answer, SqlError> {
        let ended = match copy.end() {
            Ok(()) => self.copy_rest(runtime, copy).await,
            Err(error) => Err(error),
        };
        ended.inspect_err(|_| self.fail())?;
        Ok(Answer {
            count: Some(copy.count()),
            ..Answer::done("COPY")
        })
    }

    async fn copy_rest(
        &mut self,
        runtime: &impl Runtime,
        copy: &mut CopyIn,
    ) -> Result<(), SqlError> {
        self.copy_write(runtime, copy).await?;
        match &mut self.block {
            Some(block) => {
                let settler = Settler::new(runtime, &self.canceller, &self.effects, &self.named);
                let check = |transaction: &mut _| copy.check_references(transaction);
                settler.run(&mut block.transaction, check).await
            }
            None => {
                runtime.work(|| copy.write(&self.database, self.named.call()))?;
                Ok(self.temporary.end_transaction(runtime)?)
            }
        }
    }

    /// In a transaction block: writes the rows that were read.
    async fn copy_write(
        &mut self,
        runtime: &impl Runtime,
        copy: &mut CopyIn,
    ) -> Result<(), SqlError> {
        self.canceller.check()?;
        let settler = Settler::new(runtime, &self.canceller, &self.effects, &self.named);
        let Some(block) = &mut self.block else {
            return Ok(());
        };
        let write = |transaction: &mut _| copy.write_in(transaction);
        let keys = settler.run(&mut block.transaction, write).await?;
        if block.savepoints.is_empty() {
            block.transaction.forget_savepoints();
        }
        copy.written(keys)
    }
}
