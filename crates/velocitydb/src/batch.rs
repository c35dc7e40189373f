//! Several changes in one entry of the log, in one or many collections.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;
use velocitydb_engine::catalog::{Catalog, Collection as Runtime, DatabaseId};
use velocitydb_engine::command::{
    self, Change, Condition, Mode, Operation, Outcome, Refusal, Retry,
};
use velocitydb_engine::{Error, Results};
use velocitydb_types::{Key, Timestamp};

use crate::database::{Answer, Inner, Prepared};
use crate::input::{Expected, Id, Input, Update, resolve, resolve_condition};
use crate::options::{Call, Expiry};

/// One change, not yet resolved.
#[derive(Debug, Clone)]
pub(crate) struct Step<'a> {
    pub(crate) collection: Cow<'a, str>,
    pub(crate) id: Option<Id<'a>>,
    pub(crate) condition: Condition,
    pub(crate) change: StepChange<'a>,
    pub(crate) expires: Expiry,
}

#[derive(Debug, Clone)]
pub(crate) enum StepChange<'a> {
    Put(Input<'a>),
    Patch(Update),
    Delete,
}

impl Step<'_> {
    /// Resolved under a definition: ids, defaults, conversions.
    pub(crate) fn resolve<'a>(
        &'a self,
        inner: &Inner,
        runtime: &Runtime,
        now: Timestamp,
    ) -> Result<Operation<'a>, Error> {
        let id = self.id.as_ref().map(Id::key).transpose()?;
        let (key, change) = match &self.change {
            StepChange::Put(input) => {
                let (key, fields) = resolve(runtime, input, id, now, &inner.random)?;
                (key, Change::Put(fields))
            }
            StepChange::Patch(update) => (named(id)?, update.change(runtime)?),
            StepChange::Delete => (named(id)?, Change::Delete),
        };
        let key = match key {
            Cow::Borrowed(key) => Cow::Borrowed(key.as_bytes()),
            Cow::Owned(key) => Cow::Owned(key.into_bytes().into_vec()),
        };
        runtime.prefetch(&key);
        let condition = resolve_condition(&self.condition, runtime);
        Ok(Operation {
            collection: runtime.id,
            key,
            condition,
            change,
            expires: self.expires.at(now),
        })
    }
}

fn named(id: Option<&Key>) -> Result<Cow<'_, Key>, Error> {
    id.map(Cow::Borrowed)
        .ok_or_else(|| Error::Invalid("the operation names no id".into()))
}

/// What identifies a request with an idempotency key: what was asked for, before ids, defaults
/// and times were filled in, which differ each time.
pub(crate) fn fingerprint(mode: Mode, steps: &[Step<'_>]) -> Result<u64, Error> {
    let asked = |step: &Step<'_>| {
        let id = step.id.as_ref().map(Id::key).transpose()?;
        let change = match &step.change {
            StepChange::Put(input) => Change::Put(Cow::Owned(input.to_fields()?)),
            StepChange::Patch(update) => Change::Patch(update.operations()?.to_vec()),
            StepChange::Delete => Change::Delete,
        };
        let id = id.map(|id| id.as_bytes().to_vec());
        Ok((
            step.collection.to_string(),
            id,
            step.condition.clone(),
            change,
            // As if it were asked at time 0: an expiry is mostly a distance.
            step.expires.at(Timestamp(0)),
        ))
    };
    let steps = steps.iter().map(asked).collect::<Result<Vec<_>, Error>>()?;
    Ok(command::fingerprint(&(mode, steps)))
}

/// The idempotency key of a call, for a request that `fingerprint` identifies.
pub(crate) fn retry<'c>(
    database: DatabaseId,
    call: &'c Call,
    now: Timestamp,
    fingerprint: impl FnOnce() -> Result<u64, Error>,
) -> Result<Option<Retry<'c>>, Error> {
    let Some(idempotency) = &call.idempotency else {
        return Ok(None);
    };
    let kept = i64::try_from(idempotency.kept.as_micros()).unwrap_or(i64::MAX);
    Ok(Some(Retry {
        database,
        key: idempotency.key.as_str().into(),
        request: fingerprint()?,
        expires: now.0.saturating_add(kept),
    }))
}

/// Changes that go into the log together. Later ones see earlier ones.
#[derive(Debug, Clone)]
#[must_use]
pub struct Batch<'a> {
    mode: Mode,
    /// Of the operations that are added next.
    expires: Expiry,
    steps: Vec<Step<'a>>,
}

/// The answers to a batch, one for each operation, in their order.
pub type BatchAnswer = Vec<Result<BatchOutcome, Error>>;

/// What one operation of a batch did.
#[derive(Debug, Clone)]
pub struct BatchOutcome {
    /// The document's id.
    pub id: Key,
    /// Its effect, the document's version and the document itself.
    pub outcome: Outcome,
}

impl<'a> Batch<'a> {
    /// All or nothing: the first refusal refuses the batch and names its operation.
    pub fn atomic() -> Batch<'a> {
        Batch {
            mode: Mode::Atomic,
            expires: Expiry::default(),
            steps: Vec::new(),
        }
    }

    /// Each operation by itself: what is wrong with one has its place in the answer. (With an
    /// idempotency key, one that does not fit its collection's definition refuses all.)
    pub fn each() -> Batch<'a> {
        Batch {
            mode: Mode::Each,
            expires: Expiry::default(),
            steps: Vec::new(),
        }
    }

    /// When the documents of the operations that are added next expire; those before stay.
    pub fn expires(self, expires: Expiry) -> Batch<'a> {
        Batch { expires, ..self }
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn step(
        mut self,
        collection: &'a str,
        id: Option<Id<'a>>,
        condition: Condition,
        change: StepChange<'a>,
    ) -> Batch<'a> {
        self.steps.push(Step {
            collection: collection.into(),
            id,
            condition,
            change,
            expires: self.expires,
        });
        self
    }

    /// Inserts a document with a new id, or the one in its primary key.
    pub fn insert(self, collection: &'a str, document: impl Into<Input<'a>>) -> Batch<'a> {
        self.step(
            collection,
            None,
            Condition::Absent,
            StepChange::Put(document.into()),
        )
    }

    /// Inserts a document with this id.
    pub fn insert_with_id(
        self,
        collection: &'a str,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Batch<'a> {
        let change = StepChange::Put(document.into());
        self.step(collection, Some(id.into()), Condition::Absent, change)
    }

    /// Puts a document in place of the one with this id, or inserts it.
    pub fn upsert(
        self,
        collection: &'a str,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Batch<'a> {
        let change = StepChange::Put(document.into());
        self.step(collection, Some(id.into()), Condition::None, change)
    }

    /// Puts a document in place of the one with this id.
    pub fn replace(
        self,
        collection: &'a str,
        id: impl Into<Id<'a>>,
        document: impl Into<Input<'a>>,
    ) -> Batch<'a> {
        let change = StepChange::Put(document.into());
        self.step(collection, Some(id.into()), Condition::Present, change)
    }

    /// Puts a document in place of the one with this id, if that was last changed at this log index.
    pub(crate) fn replace_at(
        self,
        collection: &'a str,
        id: impl Into<Id<'a>>,
        index: u64,
        document: impl Into<Input<'a>>,
    ) -> Batch<'a> {
        let change = StepChange::Put(document.into());
        self.step(collection, Some(id.into()), Condition::Index(index), change)
    }

    /// Changes single fields.
    pub fn update(self, collection: &'a str, id: impl Into<Id<'a>>, update: Update) -> Batch<'a> {
        let change = StepChange::Patch(update);
        self.step(collection, Some(id.into()), Condition::Present, change)
    }

    /// Changes single fields of a document that is as expected.
    pub fn update_if(
        self,
        collection: &'a str,
        id: impl Into<Id<'a>>,
        expected: &Expected,
        update: Update,
    ) -> Result<Batch<'a>, Error> {
        let change = StepChange::Patch(update);
        Ok(self.step(collection, Some(id.into()), expected.condition()?, change))
    }

    /// Deletes a document.
    pub fn delete(self, collection: &'a str, id: impl Into<Id<'a>>) -> Batch<'a> {
        self.step(
            collection,
            Some(id.into()),
            Condition::Present,
            StepChange::Delete,
        )
    }

    pub(crate) fn execute(
        &self,
        inner: &Arc<Inner>,
        call: &Call,
    ) -> Result<Answer<BatchAnswer>, Error> {
        if self.steps.is_empty() {
            return Err(Error::Invalid("the batch is empty".into()));
        }
        let mut resolved = Vec::new();
        let written = inner.write(call, self.mode, &self.steps, |now| {
            let catalog = inner.engine.catalog();
            resolved.clear();
            let mut operations = SmallVec::with_capacity(self.steps.len());
            for (at, step) in self.steps.iter().enumerate() {
                match (operation(at, step, inner, &catalog, now), self.mode) {
                    (Ok(operation), _) => {
                        resolved.push(Ok(Key::trusted(&operation.key[..])));
                        operations.push(operation);
                    }
                    // With an idempotency key it refuses all: nothing of it could be kept.
                    (Err(error), Mode::Each) if call.idempotency.is_none() => {
                        resolved.push(Err(error));
                    }
                    (Err(error), _) => return Err(error),
                }
            }
            Ok(Prepared {
                resolved_at: catalog.changed_at(),
                operations,
            })
        })?;
        let answers = answers(resolved, &written.results)?;
        Ok(Answer::of(answers, &written, call))
    }
}

/// One operation, resolved; what is wrong with it names its place.
fn operation<'a>(
    at: usize,
    step: &'a Step<'_>,
    inner: &Inner,
    catalog: &Catalog,
    now: Timestamp,
) -> Result<Operation<'a>, Error> {
    let runtime = inner.find(catalog, &step.collection)?;
    step.resolve(inner, runtime, now)
        .map_err(|error| match error {
            Error::Refused { refusal, .. } => refused(at, refusal),
            Error::Invalid(what) => Error::Invalid(format!("operation {at}: {what}")),
            error => error,
        })
}

/// The answers in the order of the operations: of those that could be resolved, what became of
/// them.
fn answers(resolved: Vec<Result<Key, Error>>, results: &Results) -> Result<BatchAnswer, Error> {
    let mut results = results.iter();
    let each = resolved.into_iter().enumerate();
    let answer = |(operation, id): (usize, Result<Key, Error>)| {
        let id = match id {
            Ok(id) => id,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match results.next().ok_or_else(other_form)? {
            Ok(outcome) => {
                let id = outcome.earlier_id.clone().unwrap_or(id);
                let outcome = outcome.clone();
                Ok(BatchOutcome { id, outcome })
            }
            Err(refusal) => Err(refused(operation, Refusal::clone(refusal))),
        })
    };
    each.map(answer).collect()
}

/// A kept outcome that is not one of this request.
pub(crate) fn other_form() -> Error {
    Error::Invalid("the earlier request with this idempotency key had another form".into())
}

pub(crate) fn refused(operation: usize, refusal: Refusal) -> Error {
    Error::Refused { operation, refusal }
}
