//! Interactive transactions, as the oracle has them: a copy of the state, what was read and
//! written in it, and the conditions under which that may happen later.

use std::collections::{BTreeMap, BTreeSet};

use velocitydb::{Isolation, Key, Timestamp};

use super::{Code, Done, Model, ModelCollection, ModelDocument, Outcome, changed, key, outcome};
use crate::operation::{Map, Retry, TransactionStep};

/// What a transaction rests on: a document as of an index, with what becomes of it, or a
/// collection as of an index.
#[derive(Debug, Clone, PartialEq)]
enum Read {
    Document { index: u64, write: Option<Written> },
    Collection(u64),
}

/// The documents that a transaction has written as it sees them: fields and version.
type Writes = BTreeMap<(u32, Key), Written>;

/// What a transaction makes of a document, however often it writes it.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    /// Fields and version; `None`: deleted.
    document: Option<(Map, u64)>,
    /// Whether a document that was there was deleted first: then it is a new one.
    anew: bool,
}

/// A collection's number and a document in it, or all of it.
type Place = (u32, Option<Key>);

/// A transaction that has not committed yet.
#[derive(Debug, Clone)]
pub struct Attempt {
    base: Model,
    isolation: Isolation,
    writes: Writes,
    reads: BTreeSet<(u32, Key)>,
    scans: BTreeSet<u32>,
    savepoints: Vec<Writes>,
}

/// What a step of a transaction answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// A document's fields and version.
    Document(Option<(Map, u64)>),
    /// All documents of a collection.
    Documents(BTreeMap<Key, (Map, u64)>),
    /// What a write did.
    Outcome(Outcome),
    /// Nothing to compare.
    Nothing,
}

impl Attempt {
    /// A transaction that reads `base`.
    pub fn new(base: Model, isolation: Isolation) -> Attempt {
        Attempt {
            base,
            isolation,
            writes: BTreeMap::new(),
            reads: BTreeSet::new(),
            scans: BTreeSet::new(),
            savepoints: Vec::new(),
        }
    }

    fn collection(&self, name: &str) -> Result<&ModelCollection, Code> {
        let found = self
            .base
            .collections
            .get(name)
            .ok_or("unknown_collection")?;
        if found.volatile {
            Err("mixed_persistence")
        } else {
            Ok(found)
        }
    }

    fn see(&self, number: u32, base: &ModelCollection, id: &Key) -> Option<(Map, u64)> {
        match self.writes.get(&(number, id.clone())) {
            Some(written) => written.document.clone(),
            None => base
                .documents
                .get(id)
                .map(|found| (found.fields.clone(), found.version)),
        }
    }

    /// Does one step.
    pub fn step(&mut self, step: &TransactionStep) -> Result<Seen, Code> {
        match step {
            TransactionStep::Get { collection, id } => {
                let found = self.collection(collection)?;
                let (number, id) = (found.number, key(id));
                let seen = self.see(number, found, &id);
                if !self.writes.contains_key(&(number, id.clone())) {
                    self.reads.insert((number, id));
                }
                Ok(Seen::Document(seen))
            }
            TransactionStep::Scan { collection } => {
                let found = self.collection(collection)?;
                let number = found.number;
                let all: BTreeSet<Key> = found
                    .documents
                    .keys()
                    .chain(
                        self.writes
                            .keys()
                            .filter(|(n, _)| *n == number)
                            .map(|(_, id)| id),
                    )
                    .cloned()
                    .collect();
                let seen = all.into_iter().filter_map(|id| {
                    let document = self.see(number, found, &id)?;
                    Some((id, document))
                });
                let seen = Seen::Documents(seen.collect());
                self.scans.insert(number);
                Ok(seen)
            }
            TransactionStep::Write(step) => {
                let found = self.collection(&step.collection)?;
                let number = found.number;
                let id = key(step.id.as_deref().unwrap_or_default());
                let base = found.documents.get(&id).map(|document| document.version);
                let live = self
                    .see(number, found, &id)
                    .map(|(fields, version)| ModelDocument {
                        fields,
                        version,
                        index: 0,
                        created_at: Timestamp(0),
                        updated_at: Timestamp(0),
                    });
                let place = (number, id.clone());
                let written = self.writes.get(&place);
                let mut anew = written.is_some_and(|written| written.anew);
                if written.is_none() {
                    // Also when it is refused or undone.
                    self.reads.insert(place.clone());
                }
                let fields = changed(step, live.as_ref())?;
                let before = live.map(|live| live.version);
                anew = fields.is_some() && (anew || base.is_some() && before.is_none());
                let after = fields.is_some().then(|| match base {
                    Some(base) if !anew => base + 1,
                    _ => 1,
                });
                let document = fields.zip(after);
                self.writes.insert(place, Written { document, anew });
                Ok(Seen::Outcome(outcome(&id, before, after)))
            }
            TransactionStep::Savepoint => {
                self.savepoints.push(self.writes.clone());
                Ok(Seen::Nothing)
            }
            TransactionStep::RollBack => {
                if let Some(writes) = self.savepoints.pop() {
                    self.writes = writes;
                }
                Ok(Seen::Nothing)
            }
        }
    }

    /// What must still hold at the commit, in the order in which it is judged.
    fn conditions(&self) -> BTreeMap<Place, Read> {
        let mut conditions = BTreeMap::new();
        let by_number = |number: u32| {
            let mut found = self
                .base
                .collections
                .values()
                .filter(|one| one.number == number);
            found.next().expect("it was read in the base")
        };
        let index = |number: u32, id: &Key| {
            by_number(number)
                .documents
                .get(id)
                .map_or(0, |document| document.index)
        };
        if self.isolation == Isolation::Serializable {
            for &number in &self.scans {
                conditions.insert((number, None), Read::Collection(by_number(number).changed));
            }
            for (number, id) in &self.reads {
                let read = Read::Document {
                    index: index(*number, id),
                    write: None,
                };
                conditions.insert((*number, Some(id.clone())), read);
            }
        }
        for ((number, id), written) in &self.writes {
            let read = Read::Document {
                index: index(*number, id),
                write: Some(written.clone()),
            };
            conditions.insert((*number, Some(id.clone())), read);
        }
        conditions
    }
}

impl Model {
    /// Commits what a transaction did; the answer has no outcomes. Conditions are judged in the
    /// order of collections and ids, then uniqueness.
    pub fn commit(
        &mut self,
        attempt: &Attempt,
        retry: Option<&Retry>,
        now: Timestamp,
    ) -> Result<Done, Code> {
        let nothing = Done {
            changed: false,
            repeated: false,
            at: (attempt.base.index, now),
            outcomes: Vec::new(),
        };
        if attempt.writes.is_empty() {
            return Ok(nothing);
        }
        if let Some(retry) = retry
            && let Some(done) = self.repeated(retry, "transaction", now)?
        {
            return Ok(done);
        }
        let at = self.next(false, now);
        let mut scratch = self.clone();
        let mut touched = Vec::new();
        for ((number, id), read) in attempt.conditions() {
            // Whoever begins again is told that it is gone.
            let name = scratch.name_of(number).ok_or("conflict")?;
            let collection = scratch.collection(&name)?;
            if collection.defined_at > attempt.base.catalog_at {
                return Err("definition_changed");
            }
            let (id, index, write) = match (id, read) {
                (Some(id), Read::Document { index, write }) => (id, index, write),
                (_, read) if read == Read::Collection(collection.changed) => continue,
                _ => return Err("conflict"),
            };
            let live = collection.documents.get(&id).cloned();
            if live.as_ref().map_or(0, |live| live.index) != index {
                return Err("conflict");
            }
            if let Some(Written { document, anew }) = write
                && (document.is_some() || live.is_some())
            {
                if anew {
                    collection.documents.remove(&id);
                }
                collection.put(&id, document.map(|(fields, _)| fields), at);
                touched.push((name, id));
            }
        }
        if touched
            .iter()
            .any(|(name, id)| scratch.collections[name].collides(id))
        {
            return Err("unique_violation");
        }
        if touched.is_empty() {
            return Ok(nothing);
        }
        let done = Done {
            changed: true,
            repeated: false,
            at,
            outcomes: Vec::new(),
        };
        *self = scratch;
        self.advance(false, at);
        if let Some(retry) = retry {
            self.keep(retry, "transaction".to_owned(), now, &done);
        }
        Ok(done)
    }

    fn name_of(&self, number: u32) -> Option<String> {
        let mut found = self
            .collections
            .iter()
            .filter(|(_, one)| one.number == number);
        found.next().map(|(name, _)| name.clone())
    }
}
