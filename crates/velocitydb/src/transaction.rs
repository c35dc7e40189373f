//! Interactive transactions over collections by name.

use std::sync::Arc;

use velocitydb_engine::catalog::Collection as Runtime;
use velocitydb_engine::command::{Condition, Outcome};
use velocitydb_engine::transaction::Savepoint;
use velocitydb_engine::{Document, Error};
use velocitydb_types::Key;

use crate::batch::{Step, StepChange};
use crate::database::{Answer, Inner};
use crate::input::{Expected, Id, Input, Update};
use crate::options::{Call, Expiry};

/// Reads one state, keeps its writes to itself until [`Transaction::commit`]. Dropped without
/// it, nothing happened. From [`crate::Database::begin`] or, with retries,
/// [`crate::Database::transact`].
pub struct Transaction {
    inner: Arc<Inner>,
    transaction: velocitydb_engine::transaction::Transaction,
    expires: Expiry,
}

impl Transaction {
    pub(crate) fn new(
        inner: Arc<Inner>,
        transaction: velocitydb_engine::transaction::Transaction,
    ) -> Transaction {
        let expires = Expiry::default();
        Transaction {
            inner,
            transaction,
            expires,
        }
    }

    fn runtime(&self, collection: &str) -> Result<Arc<Runtime>, Error> {
        let found = self
            .transaction
            .snapshot()
            .catalog()
            .get(collection)
            .cloned();
        found.ok_or_else(|| Error::UnknownCollection(collection.to_owned()))
    }

    /// When the documents that are written from here on expire.
    pub fn expires(&mut self, expires: Expiry) {
        self.expires = expires;
    }

    /// The log index of the state that it reads.
    pub fn index(&self) -> u64 {
        self.transaction.snapshot().index()
    }

    /// The document of this id, own writes included.
    pub fn get<'a>(
        &mut self,
        collection: &str,
        id: impl Into<Id<'a>>,
    ) -> Result<Option<Document>, Error> {
        let id = id.into();
        let key = id.key()?;
        let runtime = self.runtime(collection)?;
        self.transaction.get(&runtime, key.as_bytes())
    }

    /// Calls `visit` with every document of a collection, own writes included, until it answers
    /// `false`.
    pub fn scan(
        &mut self,
        collection: &str,
        visit: impl FnMut(Document) -> bool,
    ) -> Result<(), Error> {
        let runtime = self.runtime(collection)?;
        self.transaction.scan(&runtime, visit)
    }

    fn write(
        &mut self,
        collection: &str,
        id: Option<Id<'_>>,
        condition: Condition,
        change: StepChange<'_>,
    ) -> Result<(Key, Outcome), Error> {
        let runtime = self.runtime(collection)?;
        let step = Step {
            collection: collection.into(),
            id,
            condition,
            change,
            expires: self.expires,
        };
        let operation = step.resolve(&self.inner, &runtime, self.inner.clock.now())?;
        let outcome = self.transaction.write(
            &runtime,
            &operation.key,
            &operation.condition,
            &operation.change,
            operation.expires,
        )?;
        Ok((Key::trusted(&operation.key[..]), outcome))
    }

    /// Inserts a document with a new id, or the one in its primary key. The answer is its id.
    pub fn insert<'a>(
        &mut self,
        collection: &str,
        document: impl Into<Input<'a>>,
    ) -> Result<Key, Error> {
        let change = StepChange::Put(document.into());
        self.write(collection, None, Condition::Absent, change)
            .map(|(key, _)| key)
    }

    /// Inserts a document with this id.
    pub fn insert_with_id<'a>(
        &mut self,
        collection: &str,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Result<Outcome, Error> {
        let change = StepChange::Put(document.into());
        self.write(collection, Some(id.into()), Condition::Absent, change)
            .map(|(_, out)| out)
    }

    /// Puts a document in place of the one with this id, or inserts it.
    pub fn upsert<'a>(
        &mut self,
        collection: &str,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Result<Outcome, Error> {
        let change = StepChange::Put(document.into());
        self.write(collection, Some(id.into()), Condition::None, change)
            .map(|(_, out)| out)
    }

    /// Changes single fields.
    pub fn update<'a>(
        &mut self,
        collection: &str,
        id: impl Into<Id<'a>>,
        update: Update,
    ) -> Result<Outcome, Error> {
        let change = StepChange::Patch(update);
        self.write(collection, Some(id.into()), Condition::Present, change)
            .map(|(_, out)| out)
    }

    /// Changes single fields of a document that is as expected.
    pub fn update_if<'a>(
        &mut self,
        collection: &str,
        id: impl Into<Id<'a>>,
        expected: &Expected,
        update: Update,
    ) -> Result<Outcome, Error> {
        let change = StepChange::Patch(update);
        self.write(collection, Some(id.into()), expected.condition()?, change)
            .map(|(_, out)| out)
    }

    /// Deletes a document.
    pub fn delete<'a>(
        &mut self,
        collection: &str,
        id: impl Into<Id<'a>>,
    ) -> Result<Outcome, Error> {
        let change = StepChange::Delete;
        self.write(collection, Some(id.into()), Condition::Present, change)
            .map(|(_, out)| out)
    }

    /// A position to roll back to.
    pub fn savepoint(&self) -> Savepoint {
        self.transaction.savepoint()
    }

    /// Undoes what was written after `savepoint`.
    pub fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        self.transaction.roll_back_to(savepoint)
    }

    /// Makes all of it happen at once, or none: a conflict is an error for which
    /// [`Error::is_retryable`] is true.
    pub fn commit(self) -> Result<Answer<()>, Error> {
        self.commit_with(&Call::new())
    }

    /// As [`Transaction::commit`], with options. With an idempotency key the transaction is
    /// made once, however often it is run.
    pub fn commit_with(self, call: &Call) -> Result<Answer<()>, Error> {
        let now = self.inner.begin(call)?;
        // What it does depends on what it reads: the key alone identifies it.
        let retry = crate::batch::retry(call, now, || Ok(0))?;
        let written = self.transaction.commit(now, call.durability, retry)?;
        Ok(Answer::of((), &written, call))
    }
}
