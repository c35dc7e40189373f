//! A collection: reading and changing documents, one call each.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwap;
use smallvec::smallvec;
use velocitydb_engine::catalog::{Alteration, Collection as Runtime, Definition, IndexDefinition};
use velocitydb_engine::command::{Command, Condition, Mode, Outcome, Refusal};
use velocitydb_engine::store::{IndexStats, Partition, TableBytes, encode_directed};
use velocitydb_engine::{Document, Error};
use velocitydb_query::plan::Explained;
use velocitydb_query::{Filter, Find};
use velocitydb_types::{Key, Path, Value};

use crate::batch::{Step, StepChange};
use crate::changes::ChangesRequest;
use crate::database::{Answer, Inner, Prepared};
use crate::input::{Expected, Id, Input, Update};
use crate::options::Call;
use crate::sequences::Moves;
use crate::temporary::{check_lasting, is_temporary};
use crate::view::{Page, PageRequest};

/// A handle to a collection, from [`crate::Database::collection`]. Cheap to clone.
///
/// The methods use the defaults of [`Call`]; [`Collection::with`] gives a handle whose calls
/// use others.
#[derive(Clone)]
pub struct Collection {
    inner: Arc<Inner>,
    name: Arc<str>,
    /// What was found under the name last. `None`: it is looked up each time.
    runtime: Option<Arc<ArcSwap<Runtime>>>,
    call: Call,
}

/// The answer to a compare-and-swap.
#[derive(Debug, Clone)]
pub enum Swap {
    /// The document was as expected; this is the new one (of a delete: the last one). For a
    /// repeated request it is the present one, or one without fields when it has gone since.
    Won(Document),
    /// It was not; this is what it is.
    Refused {
        /// The document as it is.
        current: Document,
        /// What was expected and what was found.
        reason: String,
    },
}

/// What a collection holds and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionStats {
    /// Documents.
    pub documents: u64,
    /// Memory, in bytes.
    pub bytes: TableBytes,
}

impl Collection {
    pub(crate) fn new(inner: Arc<Inner>, name: &str) -> Result<Collection, Error> {
        let runtime = inner.runtime(name)?;
        Ok(Collection {
            inner,
            name: name.into(),
            runtime: Some(Arc::new(ArcSwap::new(runtime))),
            call: Call::new(),
        })
    }

    pub(crate) fn for_call(inner: Arc<Inner>, name: &str, call: Call) -> Result<Collection, Error> {
        inner.runtime(name)?;
        Ok(Collection {
            inner,
            name: name.into(),
            runtime: None,
            call,
        })
    }

    /// The same collection; its calls ask for what `call` says.
    #[must_use]
    pub fn with(&self, call: Call) -> Collection {
        Collection {
            call,
            ..self.clone()
        }
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    pub(crate) fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.inner)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which definition it has now: while the answer is the same, so is [`Collection::definition`].
    pub fn defined(&self) -> Result<(crate::locks::CollectionId, u64), Error> {
        let runtime = self.runtime()?;
        Ok((runtime.id, runtime.defined_at))
    }

    /// What it is now: the schema, the primary key, the indexes.
    pub fn definition(&self) -> Result<Definition, Error> {
        Ok(self.runtime()?.definition.clone())
    }

    /// The present definition and documents. After a drop or a truncate the name is looked up
    /// anew.
    #[inline]
    fn runtime(&self) -> Result<arc_swap::Guard<Arc<Runtime>>, Error> {
        let Some(kept) = &self.runtime else {
            return Ok(arc_swap::Guard::from_inner(self.inner.runtime(&self.name)?));
        };
        let runtime = kept.load();
        if !runtime.is_superseded() {
            return Ok(runtime);
        }
        kept.store(self.inner.runtime(&self.name)?);
        Ok(kept.load())
    }

    /// Follows the changes of this collection. See [`ChangesRequest`].
    pub fn changes(&self) -> ChangesRequest {
        ChangesRequest::new(Arc::clone(&self.inner), Some(Arc::clone(&self.name)))
    }

    /// The document of this id. Never waits for a writer.
    pub fn get<'a>(&self, id: impl Into<Id<'a>>) -> Result<Option<Document>, Error> {
        self.get_by_key(id.into().key()?)
    }

    /// As [`Collection::get`], for a key that is made already.
    #[inline]
    pub fn get_by_key(&self, key: &Key) -> Result<Option<Document>, Error> {
        if self.call.deadline.is_some() {
            self.inner.begin(&self.call)?;
        }
        let runtime = self.runtime()?;
        let now = || self.inner.clock.now();
        Ok(self.inner.engine.get(&runtime, key.as_bytes(), now))
    }

    /// The document that has these values in the fields of a unique index, one for each; null is no
    /// document's. Never waits for a writer.
    ///
    /// # Errors
    /// [`Refusal::UnknownIndex`]: there is no unique index of this name over so many fields of all
    /// documents.
    pub fn get_by_unique(&self, index: &str, values: &[Value]) -> Result<Option<Document>, Error> {
        if self.call.deadline.is_some() {
            self.inner.begin(&self.call)?;
        }
        loop {
            let runtime = self.runtime()?;
            let found = runtime.index(index).filter(|found| {
                let definition = found.definition();
                let whole = definition.filter.is_none() && definition.fields.len() == values.len();
                definition.unique && whole
            });
            let unique = found.ok_or_else(|| Refusal::UnknownIndex(index.to_owned()))?;
            if values.iter().any(Value::is_null) {
                return Ok(None);
            }
            let mut key = Vec::new();
            for (field, value) in unique.definition().fields.iter().zip(values) {
                encode_directed(value, field.direction, &mut key);
            }
            let now = || self.inner.clock.now();
            let found = self.inner.engine.get_unique(&runtime, &unique, &key, now);
            // One that was dropped or rebuilt meanwhile lacks what came after that.
            let is_current = |now: Arc<_>| Arc::ptr_eq(&now, &unique);
            if found.is_some() || runtime.index(index).is_some_and(is_current) {
                return Ok(found);
            }
        }
    }

    /// Makes one change of one document.
    fn change(
        &self,
        id: Option<Id<'_>>,
        condition: Condition,
        change: StepChange<'_>,
    ) -> Result<Answer<(Option<Key>, Outcome)>, Error> {
        let with_id = id.is_some();
        let step = Step {
            collection: Cow::Borrowed(&self.name),
            id,
            condition,
            change,
            expires: self.call.expires,
        };
        let mut fresh = None;
        let mut written = self.inner.write(
            &self.call,
            Mode::Atomic,
            std::slice::from_ref(&step),
            |now| {
                let runtime = self.runtime()?;
                let operation = step.resolve(&self.inner, &runtime, now)?;
                fresh = (!with_id).then(|| Key::trusted(&operation.key[..]));
                Ok(Prepared {
                    resolved_at: runtime.defined_at,
                    operations: smallvec![operation],
                })
            },
        )?;
        let outcome = written.results.pop().ok_or_else(crate::batch::other_form)?;
        let mut outcome = outcome.map_err(|refusal| crate::batch::refused(0, *refusal))?;
        let key = outcome.earlier_id.take().or(fresh);
        Ok(Answer::of((key, outcome), &written, &self.call))
    }

    /// Inserts a document with a new UUIDv7, or the id in its primary key field. The answer is
    /// its id.
    pub fn insert<'a>(&self, document: impl Into<Input<'a>>) -> Result<Answer<Key>, Error> {
        Ok(self.insert_returning(document)?.map(|(key, _)| key))
    }

    /// As [`Collection::insert`]; the answer has the document too.
    pub fn insert_returning<'a>(
        &self,
        document: impl Into<Input<'a>>,
    ) -> Result<Answer<(Key, Outcome)>, Error> {
        let change = StepChange::Put(document.into());
        let answer = self.change(None, Condition::Absent, change)?;
        Ok(answer.map(|(key, outcome)| {
            let key = key.expect("an insert without an id answers the one it made");
            (key, outcome)
        }))
    }

    /// Inserts a document with this id; refused when there is one.
    pub fn insert_with_id<'a>(
        &self,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Result<Answer<Outcome>, Error> {
        let change = StepChange::Put(document.into());
        let answer = self.change(Some(id.into()), Condition::Absent, change)?;
        Ok(answer.map(|(_, outcome)| outcome))
    }

    /// Puts a document in place of the one with this id; refused when there is none.
    pub fn replace<'a>(
        &self,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Result<Answer<Outcome>, Error> {
        let change = StepChange::Put(document.into());
        let answer = self.change(Some(id.into()), Condition::Present, change)?;
        Ok(answer.map(|(_, outcome)| outcome))
    }

    /// Puts a document in place of the one with this id, or inserts it.
    pub fn upsert<'a>(
        &self,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Result<Answer<Outcome>, Error> {
        let change = StepChange::Put(document.into());
        let answer = self.change(Some(id.into()), Condition::None, change)?;
        Ok(answer.map(|(_, outcome)| outcome))
    }

    /// Changes single fields; refused when the document is not there.
    pub fn update<'a>(
        &self,
        id: impl Into<Id<'a>>,
        update: Update,
    ) -> Result<Answer<Outcome>, Error> {
        let change = StepChange::Patch(update);
        let answer = self.change(Some(id.into()), Condition::Present, change)?;
        Ok(answer.map(|(_, outcome)| outcome))
    }

    /// Deletes a document; refused when it is not there. The answer has its last state.
    pub fn delete<'a>(&self, id: impl Into<Id<'a>>) -> Result<Answer<Outcome>, Error> {
        let answer = self.change(Some(id.into()), Condition::Present, StepChange::Delete)?;
        Ok(answer.map(|(_, outcome)| outcome))
    }

    /// Adds to a number in one step and answers the new number. An absent one counts as 0.
    pub fn increment<'a>(
        &self,
        id: impl Into<Id<'a>>,
        path: &str,
        by: impl Into<Value>,
    ) -> Result<Answer<Value>, Error> {
        let answer = self.update(id, Update::new().add(path, by))?;
        let path: velocitydb_types::Path = path
            .parse()
            .map_err(|_| Error::Invalid(format!("the path {path:?}")))?;
        Ok(answer.map(|outcome| {
            let found = outcome.document.as_ref().and_then(|document| {
                document
                    .fields()
                    .get_path(&path)
                    .map(|value| value.to_value())
            });
            found.unwrap_or(Value::Null)
        }))
    }

    /// Changes a document if it is as expected. When it is not, the answer is the document as
    /// it is. The index of a won swap is a fencing token.
    pub fn compare_and_swap<'a>(
        &self,
        id: impl Into<Id<'a>>,
        expected: &Expected,
        update: Update,
    ) -> Result<Answer<Swap>, Error> {
        self.swap(id.into(), expected, StepChange::Patch(update))
    }

    /// As [`Collection::compare_and_swap`], putting a whole document in its place.
    pub fn compare_and_replace<'a>(
        &self,
        id: impl Into<Id<'a>>,
        expected: &Expected,
        document: impl Into<Input<'a>>,
    ) -> Result<Answer<Swap>, Error> {
        self.swap(id.into(), expected, StepChange::Put(document.into()))
    }

    /// Deletes a document if it is as expected.
    pub fn compare_and_delete<'a>(
        &self,
        id: impl Into<Id<'a>>,
        expected: &Expected,
    ) -> Result<Answer<Swap>, Error> {
        self.swap(id.into(), expected, StepChange::Delete)
    }

    fn swap(
        &self,
        id: Id<'_>,
        expected: &Expected,
        change: StepChange<'_>,
    ) -> Result<Answer<Swap>, Error> {
        match self.change(Some(id), expected.condition()?, change) {
            Ok(answer) => match &answer.value {
                (
                    _,
                    Outcome {
                        document: Some(document),
                        ..
                    },
                ) => {
                    let document = document.clone();
                    Ok(answer.map(|_| Swap::Won(document)))
                }
                // The kept outcome of an earlier request: the document may have moved on, or gone.
                (key, outcome) => {
                    let key = key
                        .as_ref()
                        .expect("a kept outcome has the id that was used");
                    let current = self.get_by_key(key)?;
                    let current = current.unwrap_or_else(|| Document::gone(key, outcome.version));
                    Ok(answer.map(|_| Swap::Won(current)))
                }
            },
            Err(Error::Refused {
                refusal: Refusal::ConditionFailed { expected, current },
                ..
            }) => {
                let index = current.meta().index;
                Ok(Answer {
                    value: Swap::Refused {
                        current,
                        reason: expected,
                    },
                    index,
                    time: self.inner.clock.now(),
                    consistency: self.call.consistency,
                    durability: self
                        .call
                        .durability
                        .unwrap_or(self.inner.engine.default_durability()),
                    repeated: false,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// How many documents there are.
    pub fn count(&self) -> Result<u64, Error> {
        self.view()?.count()
    }

    /// Documents, about in the order of insertion, a page at a time.
    pub fn list(&self, request: &PageRequest) -> Result<Page, Error> {
        self.view()?.list(request)
    }

    /// The documents that `find` describes.
    pub fn find(&self, find: &Find) -> Result<Vec<Document>, Error> {
        self.view()?.find(find)
    }

    /// How many documents a filter lets through.
    pub fn count_where(&self, filter: &Filter) -> Result<u64, Error> {
        self.view()?.count_where(filter)
    }

    /// The different values that a path leads to in the documents that a filter lets through.
    pub fn distinct(&self, path: &Path, find: &Find) -> Result<Vec<Value>, Error> {
        self.view()?.distinct(path, find)
    }

    /// The collection's state of now, for several reads that belong together.
    pub fn view(&self) -> Result<crate::view::CollectionView, Error> {
        let now = self.inner.begin(&self.call)?;
        self.inner.view(now).collection(&self.name)
    }

    /// Removes all documents.
    pub fn truncate(&self) -> Result<Answer<()>, Error> {
        let answer = self
            .inner
            .redefine(&self.name, &self.call, Command::Truncate)?;
        // This handle lets go of the documents at once, not at its next use. Who has dropped the
        // collection meanwhile is no error of this call.
        let _ = self.runtime();
        Ok(answer)
    }

    /// Gives the collection another definition and brings its documents to it, in one step. What
    /// does not fit refuses it, by the document's id, and changes nothing.
    ///
    /// With another name in it the collection is renamed: other collections that refer to it, and
    /// the sequences of its columns, follow in the same step. This handle keeps the former name.
    pub fn alter(&self, mut alteration: Alteration) -> Result<Answer<()>, Error> {
        if !is_temporary(&self.name) {
            check_lasting(&alteration.definition.name)?;
        }
        alteration.at = self.inner.clock.now();
        let moves = Moves::new(&self.name, &alteration);
        alteration.sequences = self.inner.moved_sequences(&moves)?;
        let command = |id| Command::Alter(id, Box::new(alteration.clone()));
        let answer = self.inner.redefine(&self.name, &self.call, command)?;
        let moves = Moves::new(&self.name, &alteration);
        self.inner.move_sequences(&moves);
        Ok(answer)
    }

    /// Creates an index over the present documents, and returns once it is built: beside writers,
    /// unless it is unique. Its progress is told by [`Collection::indexes`].
    pub fn create_index(&self, index: IndexDefinition) -> Result<Answer<()>, Error> {
        let command = |id| Command::CreateIndex(id, index.clone());
        let answer = self.inner.redefine(&self.name, &self.call, command)?;
        let id = self.runtime()?.id;
        self.inner.engine.finish_indexes(id)?;
        Ok(answer)
    }

    /// Builds an index anew from the documents, beside readers and writers, and returns once it has
    /// taken the place of the present one: for an index that has held far more than it does now.
    /// Its progress is told by [`Collection::indexes`].
    pub fn rebuild_index(&self, name: &str) -> Result<(), Error> {
        self.inner.begin(&self.call)?;
        let id = self.runtime()?.id;
        self.inner.engine.rebuild_index(id, name)
    }

    /// The documents nearest to a place, the nearest first, each with its distance in metres.
    pub fn near(&self, near: &velocitydb_query::Near) -> Result<Vec<(f64, Document)>, Error> {
        self.view()?.near(near)
    }

    /// The indexes: what they are, and what they hold now.
    pub fn indexes(&self) -> Result<Vec<(IndexDefinition, IndexStats)>, Error> {
        Ok(self.view()?.indexes())
    }

    /// The newest partitions of a time-series index, at most so many, the newest first; of another
    /// index none.
    pub fn partitions(&self, index: &str, most: usize) -> Result<Vec<Partition>, Error> {
        self.view()?.partitions(index, most)
    }

    /// How `find` would be answered.
    pub fn explain(&self, find: &Find) -> Result<Explained, Error> {
        self.view()?.explain(find)
    }

    /// Answers `find`, and how long each step took, with its rows.
    pub fn explain_analyze(&self, find: &Find) -> Result<Explained, Error> {
        self.view()?.explain_analyze(find)
    }

    /// Drops an index.
    pub fn drop_index(&self, name: &str) -> Result<Answer<()>, Error> {
        let command = |id| Command::DropIndex(id, name.to_owned());
        self.inner.redefine(&self.name, &self.call, command)
    }

    /// What it holds and takes.
    pub fn stats(&self) -> Result<CollectionStats, Error> {
        Ok(CollectionStats {
            documents: self.count()?,
            bytes: self.runtime()?.bytes(),
        })
    }
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Collection({:?})", self.name)
    }
}
