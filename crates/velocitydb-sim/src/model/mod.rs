//! The oracle of a node: what a database must hold and answer, in plain maps.
//!
//! [`Model`] is the same fold of the same operations, written a second time in the simplest way:
//! one map for each collection, and a copy of everything where something may have to be taken
//! back. It knows versions, times, uniqueness, idempotency keys and the conditions of
//! transactions; it does not know files, durability or snapshots.
//!
//! Transactions are in `attempt`. Tests: `tests/it`, wherever a node is compared with it.

mod attempt;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use velocitydb::{Definition, Effect, Field, FieldType, Key, Timestamp, Value};

pub use attempt::{Attempt, Seen};

use crate::operation::{Change, Condition, Form, Map, Patch, Request, Retry, Step};

/// The stable name of a refusal.
pub type Code = &'static str;

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelDocument {
    /// Its fields.
    pub fields: Map,
    /// 1 for a new one, one more at each change.
    pub version: u64,
    /// Index of its last change.
    pub index: u64,
    /// When it came to be.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// A collection.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCollection {
    number: u32,
    /// Whether a restart empties it.
    pub volatile: bool,
    /// Fields that the schema makes unique, then indexes by name and field.
    unique: Vec<String>,
    indexes: Vec<(String, String)>,
    /// The documents.
    pub documents: BTreeMap<Key, Arc<ModelDocument>>,
    changed: u64,
    defined_at: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Kept {
    expires: i64,
    request: String,
    at: (u64, Timestamp),
    outcomes: Vec<Result<Outcome, Code>>,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The document's id.
    pub id: Key,
    /// What it did.
    pub effect: Effect,
    /// The document's version after it; of a deleted one its last.
    pub version: u64,
}

/// The answer to a request that was not refused as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Whether it made a log entry (or, of volatile data, a change).
    pub changed: bool,
    /// Whether it is the kept answer to an earlier request.
    pub repeated: bool,
    /// Index and time of the change; of a repeated one those of then.
    pub at: (u64, Timestamp),
    /// An answer for each step.
    pub outcomes: Vec<Result<Outcome, Code>>,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// The collections by name.
    pub collections: BTreeMap<String, Arc<ModelCollection>>,
    /// The newest log index.
    pub index: u64,
    time: i64,
    volatile_index: u64,
    volatile_time: i64,
    catalog_at: u64,
    created: u32,
    retries: BTreeMap<String, Kept>,
}

/// The definition that a collection of this name has in every simulation: `strict` has a unique
/// field, `cache` is volatile, others are open.
pub fn definition(name: &str) -> Definition {
    let definition = Definition::new(name);
    match name {
        "strict" => {
            let unique = Field::new("u", FieldType::Int).unique();
            let schema = velocitydb::Schema::new(velocitydb::types::Openness::Open, vec![unique]);
            definition.schema(schema.expect("a schema of one sound field"))
        }
        "cache" => definition.volatile(),
        _ => definition,
    }
}

/// The id that a step's text stands for.
pub fn key(id: &str) -> Key {
    Key::from_value(&Value::String(id.to_owned())).expect("a short string is an id")
}

impl ModelCollection {
    fn unique_fields(&self) -> impl Iterator<Item = &String> {
        self.unique
            .iter()
            .chain(self.indexes.iter().map(|(_, field)| field))
    }

    /// Whether another document has the value of a unique field of the document `id`.
    fn collides(&self, id: &Key) -> bool {
        let Some(document) = self.documents.get(id) else {
            return false;
        };
        self.unique_fields().any(|field| {
            let value = document.fields.get(field).filter(|value| !value.is_null());
            value.is_some_and(|value| {
                let mut others = self.documents.iter().filter(|(other, _)| *other != id);
                others.any(|(_, other)| other.fields.get(field) == Some(value))
            })
        })
    }

    /// Puts `fields` as the change of entry `at`; `None` deletes.
    fn put(&mut self, id: &Key, fields: Option<Map>, at: (u64, Timestamp)) {
        let (index, time) = at;
        let old = self.documents.get(id);
        let document = fields.map(|fields| ModelDocument {
            fields,
            version: old.map_or(1, |old| old.version + 1),
            index,
            created_at: old.map_or(time, |old| old.created_at),
            updated_at: time,
        });
        match document {
            Some(document) => self.documents.insert(id.clone(), Arc::new(document)),
            None => self.documents.remove(id),
        };
        self.changed = index;
    }
}

/// What a step would make of a document: its fields after it, `None` when it is deleted.
fn changed(step: &Step, live: Option<&ModelDocument>) -> Result<Option<Map>, Code> {
    match (&step.condition, live) {
        (Condition::Absent, Some(_)) => return Err("already_exists"),
        (Condition::Present | Condition::Version(_) | Condition::Field(..), None) => {
            return Err("not_found");
        }
        (Condition::Version(version), Some(live)) if live.version != *version => {
            return Err("condition_failed");
        }
        (Condition::Field(field, value), Some(live))
            if live.fields.get(field).unwrap_or(&Value::Null) != value =>
        {
            return Err("condition_failed");
        }
        _ => {}
    }
    match &step.change {
        Change::Put(fields) => Ok(Some(fields.clone())),
        Change::Delete => live.map(|_| None).ok_or("not_found"),
        Change::Patch(patches) => {
            let mut fields = live.ok_or("not_found")?.fields.clone();
            for patch in patches {
                patch_field(&mut fields, patch)?;
            }
            Ok(Some(fields))
        }
    }
}

fn patch_field(fields: &mut Map, patch: &Patch) -> Result<(), Code> {
    match patch {
        Patch::Set(field, value) => {
            fields.insert(field.clone(), value.clone());
        }
        Patch::Unset(field) => {
            fields.remove(field);
        }
        Patch::Add(field, by) => {
            let sum = match fields.get(field) {
                None => *by,
                Some(Value::Int(number)) => number + by,
                Some(_) => return Err("invalid_update"),
            };
            fields.insert(field.clone(), Value::Int(sum));
        }
    }
    Ok(())
}

/// The answer to a step that was not refused.
fn outcome(id: &Key, before: Option<u64>, after: Option<u64>) -> Outcome {
    let effect = match (before, after) {
        (_, None) => Effect::Deleted,
        (None, Some(_)) => Effect::Inserted,
        (Some(_), Some(_)) => Effect::Updated,
    };
    Outcome {
        id: id.clone(),
        effect,
        version: after.or(before).unwrap_or(0),
    }
}

impl Model {
    /// What a restart takes: volatile data.
    pub fn restart(&mut self) {
        (self.volatile_index, self.volatile_time) = (0, 0);
        for collection in self.collections.values_mut().filter(|one| one.volatile) {
            Arc::make_mut(collection).documents.clear();
        }
    }

    /// Index and log time of the next change.
    fn next(&self, volatile: bool, now: Timestamp) -> (u64, Timestamp) {
        let (index, time) = match volatile {
            true => (self.volatile_index, self.volatile_time),
            false => (self.index, self.time),
        };
        (index + 1, Timestamp(now.0.max(time.saturating_add(1))))
    }

    fn advance(&mut self, volatile: bool, at: (u64, Timestamp)) {
        if volatile {
            (self.volatile_index, self.volatile_time) = (at.0, at.1.0);
            return;
        }
        (self.index, self.time) = (at.0, at.1.0);
        let time = self.time;
        self.retries.retain(|_, kept| kept.expires > time);
    }

    /// The entry that lets log time go on when something expired more than a second ago and
    /// nothing was written since; whether it is made.
    pub fn tick(&mut self, now: Timestamp) -> bool {
        let lately = now.0 - 1_000_000;
        let due = self.retries.values().any(|kept| kept.expires <= lately);
        if due {
            let at = self.next(false, now);
            self.advance(false, at);
        }
        due
    }

    fn collection(&mut self, name: &str) -> Result<&mut ModelCollection, Code> {
        self.collections
            .get_mut(name)
            .map(Arc::make_mut)
            .ok_or("unknown_collection")
    }

    /// The kept answer to an earlier request with this key.
    fn repeated(&self, retry: &Retry, request: &str, now: Timestamp) -> Result<Option<Done>, Code> {
        let at = self.next(false, now);
        if expires(retry, now) <= at.1.0 {
            return Err("idempotency_key_expired");
        }
        let kept = self.retries.get(&retry.key);
        let Some(kept) = kept.filter(|kept| kept.expires > at.1.0) else {
            return Ok(None);
        };
        if kept.request != request {
            return Err("idempotency_key_reused");
        }
        let outcomes = kept.outcomes.iter().cloned();
        let outcomes = outcomes
            .map(|kept| kept.map_err(|_| "refused_earlier"))
            .collect();
        Ok(Some(Done {
            changed: false,
            repeated: true,
            at: kept.at,
            outcomes,
        }))
    }

    fn keep(&mut self, retry: &Retry, request: String, now: Timestamp, done: &Done) {
        let kept = Kept {
            expires: expires(retry, now),
            request,
            at: done.at,
            outcomes: done.outcomes.clone(),
        };
        self.retries.insert(retry.key.clone(), kept);
    }

    /// Makes a write. `ids` are the ids that the database chose for steps without one.
    pub fn write(
        &mut self,
        request: &Request,
        ids: &[Option<Key>],
        now: Timestamp,
    ) -> Result<Done, Code> {
        // What cannot be resolved refuses one step of a batch of each; but of one that may be asked
        // for again all of it, since no outcome of it could be kept.
        let partly = request.form == Form::Each && request.retry.is_none();
        let mut volatile = Vec::new();
        for step in &request.steps {
            match self.collections.get(&step.collection) {
                Some(found) => volatile.push(found.volatile),
                None if partly => {}
                None => return Err("unknown_collection"),
            }
        }
        let first = volatile.first().copied().unwrap_or(false);
        if volatile.iter().any(|other| *other != first) || first && request.retry.is_some() {
            return Err("mixed_persistence");
        }
        let text = format!("{:?} {:?}", request.form, request.steps);
        if let Some(retry) = &request.retry
            && let Some(done) = self.repeated(retry, &text, now)?
        {
            return Ok(done);
        }
        let at = self.next(first, now);
        let mut scratch = self.clone();
        let (mut outcomes, mut touched) = (Vec::new(), BTreeSet::new());
        for (number, step) in request.steps.iter().enumerate() {
            let chosen = ids.get(number).cloned().flatten();
            // Nobody hears the id of what was refused.
            let id = step.id.as_deref().map(key).or(chosen);
            let id = id.unwrap_or_else(|| key(&format!("refused {number}")));
            let result = scratch.step(step, &id, at, request.form == Form::Each);
            match result {
                Err(code) if request.form != Form::Each => return Err(code),
                Ok(_) => {
                    touched.insert((step.collection.clone(), id));
                }
                Err(_) => {}
            }
            outcomes.push(result);
        }
        if touched
            .iter()
            .any(|(name, id)| scratch.collections[name].collides(id))
        {
            return Err("unique_violation");
        }
        let done = Done {
            changed: !touched.is_empty(),
            repeated: false,
            at,
            outcomes,
        };
        if done.changed {
            *self = scratch;
            self.advance(first, at);
            if let Some(retry) = &request.retry {
                self.keep(retry, text, now, &done);
            }
        }
        Ok(done)
    }

    /// Does one step. With `alone` its own unique values are judged at once.
    fn step(
        &mut self,
        step: &Step,
        id: &Key,
        at: (u64, Timestamp),
        alone: bool,
    ) -> Result<Outcome, Code> {
        let collection = self.collection(&step.collection)?;
        let before = collection.documents.get(id).cloned();
        let fields = changed(step, before.as_deref())?;
        let changed_before = collection.changed;
        collection.put(id, fields, at);
        if alone && collection.collides(id) {
            match &before {
                Some(before) => collection.documents.insert(id.clone(), Arc::clone(before)),
                None => collection.documents.remove(id),
            };
            collection.changed = changed_before;
            return Err("unique_violation");
        }
        let after = collection
            .documents
            .get(id)
            .map(|document| document.version);
        Ok(outcome(id, before.map(|before| before.version), after))
    }

    /// Creates a collection as [`definition`] has it.
    pub fn create(&mut self, name: &str, now: Timestamp) -> Result<Done, Code> {
        if self.collections.contains_key(name) {
            return Err("collection_exists");
        }
        let definition = definition(name);
        let unique = definition
            .schema
            .fields()
            .iter()
            .filter(|field| field.unique);
        let at = self.next(false, now);
        let collection = ModelCollection {
            number: self.created,
            volatile: definition.persistence == velocitydb::Persistence::Volatile,
            unique: unique.map(|field| field.name.clone()).collect(),
            indexes: Vec::new(),
            documents: BTreeMap::new(),
            changed: 0,
            defined_at: at.0,
        };
        self.created += 1;
        self.collections
            .insert(name.to_owned(), Arc::new(collection));
        Ok(self.defined(at))
    }

    fn defined(&mut self, at: (u64, Timestamp)) -> Done {
        self.catalog_at = at.0;
        self.advance(false, at);
        Done {
            changed: true,
            repeated: false,
            at,
            outcomes: Vec::new(),
        }
    }

    /// Drops a collection.
    pub fn drop_collection(&mut self, name: &str, now: Timestamp) -> Result<Done, Code> {
        self.collections.remove(name).ok_or("unknown_collection")?;
        Ok(self.defined(self.next(false, now)))
    }

    /// Removes all documents of a collection.
    pub fn truncate(&mut self, name: &str, now: Timestamp) -> Result<Done, Code> {
        let at = self.next(false, now);
        let collection = self.collection(name)?;
        collection.documents.clear();
        (collection.changed, collection.defined_at) = (0, at.0);
        Ok(self.defined(at))
    }

    /// Creates a unique index.
    pub fn create_index(
        &mut self,
        name: &str,
        index: &str,
        field: &str,
        now: Timestamp,
    ) -> Result<Done, Code> {
        let at = self.next(false, now);
        let collection = self.collection(name)?;
        if collection.indexes.iter().any(|(held, _)| held == index) {
            return Err("index_exists");
        }
        let mut with = collection.clone();
        with.indexes.push((index.to_owned(), field.to_owned()));
        if with.documents.keys().any(|id| with.collides(id)) {
            return Err("unique_violation");
        }
        with.defined_at = at.0;
        *collection = with;
        Ok(self.defined(at))
    }

    /// Drops an index.
    pub fn drop_index(&mut self, name: &str, index: &str, now: Timestamp) -> Result<Done, Code> {
        let at = self.next(false, now);
        let collection = self.collection(name)?;
        let found = collection
            .indexes
            .iter()
            .position(|(held, _)| held == index);
        collection.indexes.remove(found.ok_or("unknown_index")?);
        collection.defined_at = at.0;
        Ok(self.defined(at))
    }
}

fn expires(retry: &Retry, now: Timestamp) -> i64 {
    now.0.saturating_add(retry.kept_micros as i64)
}
