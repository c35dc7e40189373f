//! Interactive transactions over collections by name. Files: `define` (definitions), `settle` (locks).

mod define;
mod settle;

use std::sync::Arc;

use velocitydb_engine::catalog::Collection as Runtime;
use velocitydb_engine::command::{Condition, Outcome};
use velocitydb_engine::transaction::{Gone, Isolation, Savepoint};
use velocitydb_engine::{Document, Error};
use velocitydb_query::plan::Explained;
use velocitydb_query::{Find, QueryMemory};
use velocitydb_types::Key;

use crate::batch::{Step, StepChange};
use crate::committing::Committing;
use crate::database::{Answer, Inner};
use crate::input::{Expected, Id, Input, Update};
use crate::options::{Call, Expiry};
use crate::reader::Reader;
use crate::sequences::OwnSequences;
use crate::view::{CollectionView, Interrupt};

pub use settle::{FreeRows, Freed, Settled, Settling};

/// Reads one state, keeps its writes to itself until [`Transaction::commit`]. Dropped without
/// it, nothing happened. From [`crate::Database::begin`] or, with retries,
/// [`crate::Database::transact`].
pub struct Transaction {
    inner: Arc<Inner>,
    transaction: velocitydb_engine::transaction::Transaction,
    expires: Expiry,
    interrupt: Option<Interrupt>,
    locking: Option<settle::Locking>,
    sequences: OwnSequences,
    defining: Option<define::Defining>,
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
            interrupt: None,
            locking: None,
            sequences: OwnSequences::default(),
            defining: None,
        }
    }

    fn runtime(&self, collection: &str) -> Result<Arc<Runtime>, Error> {
        self.inner
            .find(self.transaction.catalog(), collection)
            .cloned()
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
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let runtime = self.runtime(collection)?;
        self.transaction.scan(&runtime, visit)
    }

    /// Calls `visit` with the documents of a collection that `find` describes, in order, own writes
    /// included, until it answers `false`; by the indexes that help. Under serializable isolation
    /// any later change of the collection by another is then a conflict.
    pub fn find_each(
        &mut self,
        collection: &str,
        find: &Find,
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let view = self.view_of(collection)?;
        self.transaction.note_scan(&view.runtime)?;
        view.find_each_in(&self.transaction, find, visit)
    }

    /// As [`Transaction::find_each`], passing over documents that others have locked. One may be locked
    /// before [`FreeRows::take`] is asked for it, which decides.
    pub fn find_each_free(
        &mut self,
        collection: &str,
        find: &Find,
        free: &FreeRows,
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let view = CollectionView {
            free: Some(free.clone()),
            ..self.view_of(collection)?
        };
        self.transaction.note_scan(&view.runtime)?;
        view.find_each_in(&self.transaction, find, visit)
    }

    /// What it sees of a collection now, for several threads to read in parts. Under serializable
    /// isolation any later change of the collection by another is then a conflict.
    pub fn reader(&mut self, collection: &str) -> Result<Reader, Error> {
        let view = self.view_of(collection)?;
        self.transaction.note_scan(&view.runtime)?;
        Ok(Reader::new(view, &self.transaction))
    }

    /// How many documents of a collection there are, own writes included; O(1) as
    /// [`CollectionView::count`], and what it takes to look at the own writes.
    pub fn count(&mut self, collection: &str) -> Result<u64, Error> {
        let runtime = self.runtime(collection)?;
        self.transaction.count(&runtime)
    }

    /// The unique index in which another document has the key of a document that this transaction
    /// has written, and that other document: what the commit would be refused for. `None` in the place
    /// of the index: another has inserted the same id, which this transaction does not see. To be asked of
    /// each document that is written, or those that were written before are not found.
    pub fn taken(
        &mut self,
        collection: &str,
        key: &Key,
    ) -> Result<Option<(Option<String>, Document)>, Error> {
        let runtime = self.runtime(collection)?;
        Ok(self.transaction.taken(&runtime, key.as_bytes()))
    }

    /// Refuses that a document which this transaction has written refers to one that is not there,
    /// as the commit would.
    pub fn check_references(&mut self, collection: &str, key: &Key) -> Result<(), Error> {
        let runtime = self.runtime(collection)?;
        self.transaction.check_references(&runtime, key.as_bytes())
    }

    /// Does at once what follows from documents that this transaction has deleted: those that refer
    /// to them go as well, or their fields become null, or it is refused.
    pub fn follow(&mut self, collection: &str, keys: &[Key], how: Gone) -> Result<(), Error> {
        let runtime = self.runtime(collection)?;
        if !self.transaction.is_referred_to(&runtime) {
            return Ok(());
        }
        let keys = keys.iter().map(|key| key.as_bytes().into()).collect();
        self.transaction.follow(&runtime, keys, how)
    }

    /// Whose transaction it is.
    pub fn database(&self) -> crate::Database {
        crate::Database(Arc::clone(&self.inner))
    }

    /// What all queries of the database keep together.
    pub fn query_memory(&self) -> &Arc<QueryMemory> {
        &self.inner.query_memory
    }

    /// What it is protected from.
    pub fn isolation(&self) -> Isolation {
        self.transaction.isolation()
    }

    /// How [`Transaction::find_each`] would be answered.
    pub fn explain(&self, collection: &str, find: &Find) -> Result<Explained, Error> {
        self.view_of(collection)?.explain(find)
    }

    /// Answers `find` without the own writes, and how long each step took, with its rows.
    pub fn explain_analyze(&mut self, collection: &str, find: &Find) -> Result<Explained, Error> {
        let view = self.view_of(collection)?;
        self.transaction.note_scan(&view.runtime)?;
        view.explain_analyze(find)
    }

    fn view_of(&self, collection: &str) -> Result<CollectionView, Error> {
        Ok(CollectionView {
            view: self.inner.view_of(self.transaction.snapshot().clone()),
            runtime: self.runtime(collection)?,
            interrupt: self.interrupt.clone(),
            free: None,
        })
    }

    /// Under [`Isolation::ReadCommitted`]: goes on with the state of now, of definitions too.
    pub fn refresh(&mut self) {
        let now = self.inner.clock.now();
        let deadline = self.inner.snapshot_deadline(now);
        self.transaction.refresh(now, deadline);
    }

    /// Whether a query may go on ([`Transaction::interrupted_by`]).
    ///
    /// # Errors
    /// What it is to end with.
    pub fn check(&self) -> Result<(), Error> {
        self.interrupt
            .as_ref()
            .map_or(Ok(()), |interrupt| interrupt())
    }

    /// Queries ask now and then whether they may go on, and end with the error that they are given.
    pub fn interrupted_by(
        &mut self,
        interrupt: impl Fn() -> Result<(), Error> + Send + Sync + 'static,
    ) {
        self.interrupt = Some(Arc::new(interrupt));
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

    /// As [`Transaction::insert`]; the answer is the document as the transaction sees it.
    pub fn insert_returning<'a>(
        &mut self,
        collection: &str,
        document: impl Into<Input<'a>>,
    ) -> Result<Document, Error> {
        let change = StepChange::Put(document.into());
        let (_, outcome) = self.write(collection, None, Condition::Absent, change)?;
        Ok(outcome.document.expect("an insert leaves a document"))
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

    /// Keeps what is written until the end: none of the savepoints is returned to. Saves what they
    /// take, which grows with each write.
    pub fn forget_savepoints(&mut self) {
        self.transaction.forget_savepoints();
        self.sequences.forget_savepoints();
    }

    /// Undoes what was written and defined after `savepoint`.
    pub fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        self.transaction.roll_back_to(savepoint)?;
        self.sequences.roll_back_to(savepoint);
        Ok(())
    }

    /// Makes all of it happen at once, or none: a conflict is an error for which
    /// [`Error::is_retryable`] is true.
    pub fn commit(self) -> Result<Answer<()>, Error> {
        self.commit_with(&Call::new())
    }

    /// As [`Transaction::commit`], with options. With an idempotency key the transaction is
    /// made once, however often it is run.
    pub fn commit_with(self, call: &Call) -> Result<Answer<()>, Error> {
        self.begin_commit(call)?.block()
    }

    /// As [`Transaction::commit_with`], up to where it waits for the disk.
    ///
    /// # Errors
    /// The options do not fit. Whatever the commit is refused for is told at the end.
    pub fn begin_commit(mut self, call: &Call) -> Result<Committing, Error> {
        let now = self.inner.begin(call)?;
        // What it does depends on what it reads: the key alone identifies it.
        let retry = crate::batch::retry(self.inner.namespace.id, call, now, || Ok(0))?;
        let made = match self.sequences.is_empty() {
            true => self.transaction.commit(now, call.durability, retry),
            false => {
                self.write_sequences()?;
                let commit = || self.transaction.commit(now, call.durability, retry);
                self.sequences.commit(&self.inner, commit)
            }
        };
        Ok(Committing::new(self.inner, made, call))
    }

    /// Whether [`Transaction::begin_commit`] takes no time worth speaking of, as far as anybody can
    /// tell: few changes, and none of others that takes long is being made.
    pub fn commits_quickly(&self) -> bool {
        self.transaction.commits_quickly()
    }
}
