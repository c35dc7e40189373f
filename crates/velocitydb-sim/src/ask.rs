//! Puts simulated operations to a real database, by the calls that its users have.

use std::collections::BTreeMap;
use std::time::Duration;

use velocitydb::{
    Answer, Batch, BatchAnswer, Call, Database, Document, Durability, Effect, Error, Expected,
    IndexDefinition, Key, Outcome as DatabaseOutcome, Path, Savepoint, Swap, Timestamp,
    Transaction, Update,
};

use crate::model::{Code, ModelDocument, Outcome, Seen, definition};
use crate::operation::{Change, Condition, Form, Patch, Request, Retry, Step, TransactionStep};

/// What a database answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    /// Index and time.
    pub(crate) at: (u64, Timestamp),
    /// The level given.
    pub(crate) durability: Durability,
    /// Whether an earlier request was answered.
    pub(crate) repeated: bool,
    /// The answers to the steps.
    pub(crate) outcomes: Vec<Result<Outcome, Code>>,
    /// The ids used, where they are known.
    pub(crate) ids: Vec<Option<Key>>,
}

impl Reply {
    /// The answer to something that has no steps.
    pub(crate) fn of<T>(answer: &Answer<T>) -> Reply {
        Reply {
            at: (answer.index, answer.time),
            durability: answer.durability,
            repeated: answer.repeated,
            outcomes: Vec::new(),
            ids: Vec::new(),
        }
    }

    fn with(self, outcomes: Vec<Result<Outcome, Code>>) -> Reply {
        let ids = outcomes
            .iter()
            .map(|one| one.as_ref().ok().map(|one| one.id.clone()));
        let ids = ids.collect();
        Reply {
            outcomes,
            ids,
            ..self
        }
    }
}

/// Whether an error says that the state refuses, and not that something failed.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Refused { .. } | Error::UnknownCollection(_) | Error::Invalid(_)
    )
}

/// A document as the oracle has it.
pub(crate) fn document(document: &Document) -> ModelDocument {
    let meta = document.meta();
    ModelDocument {
        fields: document.fields().to_map(),
        version: meta.version,
        index: meta.index,
        created_at: meta.created_at,
        updated_at: meta.updated_at,
    }
}

pub(crate) fn call(level: Option<Durability>, retry: Option<&Retry>) -> Call {
    let mut call = Call::new();
    if let Some(level) = level {
        call = call.durability(level);
    }
    if let Some(retry) = retry {
        let kept = Duration::from_micros(retry.kept_micros);
        call = call.idempotency_key_for(&retry.key, kept);
    }
    call
}

pub(crate) fn write(database: &Database, request: &Request) -> Result<Reply, Error> {
    let call = call(request.level, request.retry.as_ref());
    let batch = match request.form {
        Form::Single => return single(database, &request.steps[0], call),
        Form::Atomic => Batch::atomic(),
        Form::Each => Batch::each(),
    };
    let batch = request.steps.iter().try_fold(batch, add_to_batch)?;
    let answer = database.batch_with(batch, &call)?;
    let outcomes = batch_outcomes(&answer.value);
    Ok(Reply::of(&answer).with(outcomes))
}

fn batch_outcomes(answers: &BatchAnswer) -> Vec<Result<Outcome, Code>> {
    let outcomes = answers.iter().map(|answer| match answer {
        Ok(done) => Ok(outcome(done.id.clone(), &done.outcome)),
        Err(error) => Err(error.code().0),
    });
    outcomes.collect()
}

fn outcome(id: Key, outcome: &DatabaseOutcome) -> Outcome {
    Outcome {
        id,
        effect: outcome.effect,
        version: outcome.version,
    }
}

/// The id of a step; only inserts have none.
fn id(step: &Step) -> &str {
    step.id.as_deref().expect("only an insert names no id")
}

fn update(patches: &[Patch]) -> Update {
    patches
        .iter()
        .fold(Update::new(), |update, patch| match patch {
            Patch::Set(field, value) => update.set(field, value.clone()),
            Patch::Add(field, by) => update.add(field, *by),
            Patch::Unset(field) => update.unset(field),
        })
}

/// What a swap expects; `None` for a condition of another kind.
fn expected(condition: &Condition) -> Option<Expected> {
    match condition {
        Condition::Version(version) => Some(Expected::Version(*version)),
        Condition::Field(field, value) => Some(Expected::field(field, value.clone())),
        Condition::Any | Condition::Absent | Condition::Present => None,
    }
}

fn single(database: &Database, step: &Step, call: Call) -> Result<Reply, Error> {
    let collection = database.collection(&step.collection)?.with(call);
    if let Some(expected) = expected(&step.condition) {
        let (swapped, effect) = match &step.change {
            Change::Put(fields) => (
                collection.compare_and_replace(id(step), &expected, fields.clone()),
                Effect::Updated,
            ),
            Change::Patch(patches) => {
                let update = update(patches);
                (
                    collection.compare_and_swap(id(step), &expected, update),
                    Effect::Updated,
                )
            }
            Change::Delete => (
                collection.compare_and_delete(id(step), &expected),
                Effect::Deleted,
            ),
        };
        let answer = swapped?;
        return match &answer.value {
            Swap::Won(document) => {
                let version = document.meta().version;
                let won = Outcome {
                    id: document.id(),
                    effect,
                    version,
                };
                Ok(Reply::of(&answer).with(vec![Ok(won)]))
            }
            Swap::Refused { current, reason } => Err(Error::Refused {
                operation: 0,
                refusal: velocitydb::Refusal::ConditionFailed {
                    expected: reason.clone(),
                    current: current.clone(),
                },
            }),
        };
    }
    let answer = match (&step.condition, &step.change, &step.id) {
        (_, Change::Put(fields), None) => {
            let answer = collection.insert(fields.clone())?;
            let id = answer.value.clone();
            let inserted = Outcome {
                id,
                effect: Effect::Inserted,
                version: 1,
            };
            return Ok(Reply::of(&answer).with(vec![Ok(inserted)]));
        }
        (Condition::Absent, Change::Put(fields), Some(id)) => {
            collection.insert_with_id(id, fields.clone())?
        }
        (Condition::Present, Change::Put(fields), Some(id)) => {
            collection.replace(id, fields.clone())?
        }
        (_, Change::Put(fields), Some(id)) => collection.upsert(id, fields.clone())?,
        (_, Change::Patch(patches), _) => collection.update(id(step), update(patches))?,
        (_, Change::Delete, _) => collection.delete(id(step))?,
    };
    let done = outcome(crate::model::key(id(step)), &answer.value);
    Ok(Reply::of(&answer).with(vec![Ok(done)]))
}

fn add_to_batch<'a>(batch: Batch<'a>, step: &'a Step) -> Result<Batch<'a>, Error> {
    let name = &step.collection;
    Ok(match (&step.condition, &step.change, &step.id) {
        (_, Change::Put(fields), None) => batch.insert(name, fields.clone()),
        (Condition::Absent, Change::Put(fields), Some(id)) => {
            batch.insert_with_id(name, id, fields.clone())
        }
        (Condition::Present, Change::Put(fields), Some(id)) => {
            batch.replace(name, id, fields.clone())
        }
        (_, Change::Put(fields), Some(id)) => batch.upsert(name, id, fields.clone()),
        (condition, Change::Patch(patches), _) => match expected(condition) {
            Some(expected) => batch.update_if(name, id(step), &expected, update(patches))?,
            None => batch.update(name, id(step), update(patches)),
        },
        (_, Change::Delete, _) => batch.delete(name, id(step)),
    })
}

pub(crate) fn create(
    database: &Database,
    name: &str,
    level: Option<Durability>,
) -> Result<Reply, Error> {
    let call = call(level, None);
    database
        .create_collection_with(definition(name), &call)
        .map(|answer| Reply::of(&answer))
}

pub(crate) fn drop_collection(database: &Database, name: &str) -> Result<Reply, Error> {
    database
        .drop_collection(name)
        .map(|answer| Reply::of(&answer))
}

pub(crate) fn truncate(
    database: &Database,
    name: &str,
    level: Option<Durability>,
) -> Result<Reply, Error> {
    let collection = database.collection(name)?.with(call(level, None));
    collection.truncate().map(|answer| Reply::of(&answer))
}

pub(crate) fn create_index(
    database: &Database,
    name: &str,
    index: &str,
    field: &str,
    level: Option<Durability>,
) -> Result<Reply, Error> {
    let collection = database.collection(name)?.with(call(level, None));
    let index = IndexDefinition::unique(index, vec![Path::field(field)]);
    collection
        .create_index(index)
        .map(|answer| Reply::of(&answer))
}

pub(crate) fn drop_index(
    database: &Database,
    name: &str,
    index: &str,
    level: Option<Durability>,
) -> Result<Reply, Error> {
    let collection = database.collection(name)?.with(call(level, None));
    collection
        .drop_index(index)
        .map(|answer| Reply::of(&answer))
}

/// Does one step of a transaction; what it answered, or the code of its refusal.
pub(crate) fn transaction_step(
    transaction: &mut Transaction,
    step: &TransactionStep,
    savepoints: &mut Vec<Savepoint>,
) -> Result<Seen, Code> {
    let seen = match step {
        TransactionStep::Get { collection, id } => {
            let found = transaction.get(collection, id);
            found.map(|found| Seen::Document(found.as_ref().map(seen)))
        }
        TransactionStep::Scan { collection } => {
            let mut all = BTreeMap::new();
            let scanned = transaction.scan(collection, |document| {
                all.insert(document.id(), seen(document));
                true
            });
            scanned.map(|()| Seen::Documents(all))
        }
        TransactionStep::Write(step) => transaction_write(transaction, step)
            .map(|done| Seen::Outcome(outcome(crate::model::key(id(step)), &done))),
        TransactionStep::Savepoint => {
            savepoints.push(transaction.savepoint());
            Ok(Seen::Nothing)
        }
        TransactionStep::RollBack => match savepoints.pop() {
            Some(savepoint) => transaction.roll_back_to(savepoint).map(|()| Seen::Nothing),
            None => Ok(Seen::Nothing),
        },
    };
    seen.map_err(|error| error.code().0)
}

fn seen(document: &Document) -> (crate::operation::Map, u64) {
    (document.fields().to_map(), document.meta().version)
}

fn transaction_write(transaction: &mut Transaction, step: &Step) -> Result<DatabaseOutcome, Error> {
    let (name, id) = (&step.collection, id(step));
    match (&step.condition, &step.change) {
        (Condition::Absent, Change::Put(fields)) => {
            transaction.insert_with_id(name, id, fields.clone())
        }
        (_, Change::Put(fields)) => transaction.upsert(name, id, fields.clone()),
        (condition, Change::Patch(patches)) => match expected(condition) {
            Some(expected) => transaction.update_if(name, id, &expected, update(patches)),
            None => transaction.update(name, id, update(patches)),
        },
        (_, Change::Delete) => transaction.delete(name, id),
    }
}
