//! Interactive transactions.
//!
//! A transaction reads one snapshot with its own writes over it, and holds no locks. Commit is
//! one entry: each write on the condition that the document is still the one that was read
//! (`snapshot` isolation: first committer wins), and under `serializable` each read as well,
//! documents by the index of their last change, scans by that of the collection. The conditions
//! are on the newest state alone, so that every node that applies the entry decides the same.
//! A conflict is a retryable error; nothing was changed.
//!
//! Savepoints are positions in an undo list. Tests: `testscripts/transactions`.

use std::collections::HashMap;
use std::sync::Arc;

use velocitydb_types::Timestamp;

use crate::catalog::{Collection, CollectionId, Persistence};
use crate::command::{
    Change, Command, Condition, Effect, Mode, Operation, Outcome, Refusal, Results, Retry, Write,
};
use crate::commit::Durability;
use crate::engine::{Engine, Written};
use crate::error::Error;
use crate::snapshot::Snapshot;
use crate::stage::{changed_fields, check_condition};
use crate::store::{Document, Meta, make_version};

/// What a transaction is protected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// It reads one state, and no other has changed what it writes. Write skew is possible.
    #[default]
    Snapshot,
    /// As if transactions ran one after the other.
    Serializable,
}

/// The most documents that one transaction may write or, when serializable, read.
pub const TRANSACTION_DOCUMENTS_MAX: usize = 1_000_000;

type DocumentKey = (CollectionId, Box<[u8]>);

/// A written document: what was there when the transaction read it, and what shall be.
#[derive(Clone)]
struct Pending {
    /// Index of the last change of the document in the snapshot; 0: it was not there.
    base: u64,
    /// The document as the transaction sees it; `None`: deleted.
    document: Option<Document>,
}

/// A position to roll back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Savepoint(usize);

/// See the module. Dropped without [`Transaction::commit`], it never happened.
pub struct Transaction {
    engine: Arc<Engine>,
    snapshot: Snapshot,
    isolation: Isolation,
    began: Timestamp,
    writes: HashMap<DocumentKey, Pending>,
    /// Serializable only: what was read and at which index.
    reads: HashMap<DocumentKey, u64>,
    scans: HashMap<CollectionId, u64>,
    /// What each write replaced in `writes`, oldest first.
    undo: Vec<(DocumentKey, Option<Pending>)>,
}

impl Transaction {
    /// Begins on the visible state; it must end before `deadline`.
    pub fn begin(
        engine: Arc<Engine>,
        isolation: Isolation,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Transaction {
        let snapshot = engine.snapshot(deadline);
        Transaction {
            engine,
            snapshot,
            isolation,
            began: now,
            writes: HashMap::new(),
            reads: HashMap::new(),
            scans: HashMap::new(),
            undo: Vec::new(),
        }
    }

    /// What it reads, without its own writes.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn check(&self, collection: &Collection) -> Result<(), Error> {
        if collection.definition.persistence == Persistence::Volatile {
            let refusal = Refusal::MixedPersistence;
            return Err(Error::Refused {
                operation: 0,
                refusal,
            });
        }
        if self.writes.len() + self.reads.len() >= TRANSACTION_DOCUMENTS_MAX {
            return Err(Error::Invalid(format!(
                "a transaction may touch {TRANSACTION_DOCUMENTS_MAX} documents: split it up"
            )));
        }
        Ok(())
    }

    /// The document of this encoded id, own writes included.
    pub fn get(&mut self, collection: &Collection, key: &[u8]) -> Result<Option<Document>, Error> {
        self.check(collection)?;
        let name: DocumentKey = (collection.id, key.into());
        if let Some(pending) = self.writes.get(&name) {
            return Ok(pending.document.clone());
        }
        let found = self.snapshot.get(collection, key)?;
        if self.isolation == Isolation::Serializable {
            self.reads
                .insert(name, found.as_ref().map_or(0, |found| found.meta().index));
        }
        Ok(found)
    }

    /// Calls `visit` with every document of the collection, own writes included, until it
    /// answers `false`. Under serializable isolation any later change of the collection by
    /// another is then a conflict.
    pub fn scan(
        &mut self,
        collection: &Collection,
        mut visit: impl FnMut(Document) -> bool,
    ) -> Result<(), Error> {
        self.check(collection)?;
        if self.isolation == Isolation::Serializable {
            let changed = self.snapshot.changed(collection).ok_or_else(conflict)?;
            self.scans.insert(collection.id, changed);
        }
        let mut going = true;
        self.snapshot.scan(collection, 0, |document| {
            // Borrowed keys would need an own map type; a scan is not where this matters.
            let name = (collection.id, Box::from(document.key_bytes()));
            if !self.writes.contains_key(&name) {
                going = visit(document);
            }
            going
        })?;
        let own = self
            .writes
            .iter()
            .filter(|((id, _), _)| *id == collection.id);
        for document in own.filter_map(|(_, pending)| pending.document.clone()) {
            if !going {
                break;
            }
            going = visit(document);
        }
        Ok(())
    }

    /// Makes one change, seen by this transaction at once and by others after the commit.
    pub fn write(
        &mut self,
        collection: &Collection,
        key: &[u8],
        condition: &Condition,
        change: &Change<'_>,
    ) -> Result<Outcome, Error> {
        self.check(collection)?;
        let name: DocumentKey = (collection.id, key.into());
        let before = self.writes.get(&name).cloned();
        let (base, live) = match &before {
            Some(pending) => (pending.base, pending.document.clone()),
            None => {
                let found = self.snapshot.get(collection, key)?;
                (found.as_ref().map_or(0, |found| found.meta().index), found)
            }
        };
        let refused = |refusal| Error::Refused {
            operation: 0,
            refusal,
        };
        check_condition(condition, live.as_ref()).map_err(refused)?;
        let fields = changed_fields(collection, key, live.as_ref(), change).map_err(refused)?;
        let old = live.as_ref().map(Document::meta);
        let outcome = match (change, fields) {
            (Change::None, _) => {
                let version = old.map_or(0, |old| old.version);
                return Ok(Outcome {
                    effect: Effect::Checked,
                    version,
                    document: live,
                    earlier_id: None,
                });
            }
            (_, Some(fields)) => {
                let meta = Meta {
                    index: self.snapshot.index(),
                    version: old.map_or(1, |old| old.version + 1),
                    created_at: old.map_or(self.began, |old| old.created_at),
                    updated_at: self.began,
                };
                let document = make_version(&mut Vec::new(), key, &meta, Some(&fields), false);
                let effect = if old.is_some() {
                    Effect::Updated
                } else {
                    Effect::Inserted
                };
                Outcome {
                    effect,
                    version: meta.version,
                    document: Some(document),
                    earlier_id: None,
                }
            }
            (_, None) => {
                let version = old.map_or(0, |old| old.version);
                Outcome {
                    effect: Effect::Deleted,
                    version,
                    document: live,
                    earlier_id: None,
                }
            }
        };
        let document = if outcome.effect == Effect::Deleted {
            None
        } else {
            outcome.document.clone()
        };
        self.undo.push((name.clone(), before));
        self.writes.insert(name, Pending { base, document });
        Ok(outcome)
    }

    /// A position that [`Transaction::roll_back_to`] returns to.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint(self.undo.len())
    }

    /// Undoes what was written after `savepoint`; reads stay noted.
    pub fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        if savepoint.0 > self.undo.len() {
            return Err(Error::Invalid(
                "the savepoint was rolled back before".into(),
            ));
        }
        for (name, before) in self.undo.drain(savepoint.0..).rev() {
            match before {
                Some(before) => self.writes.insert(name, before),
                None => self.writes.remove(&name),
            };
        }
        Ok(())
    }

    /// Proposes everything as one entry. A conflict ([`Error::is_retryable`]) has changed
    /// nothing: begin again.
    pub fn commit(
        self,
        now: Timestamp,
        level: Option<Durability>,
        retry: Option<Retry<'_>>,
    ) -> Result<Written, Error> {
        if self.writes.is_empty() {
            // It has read one state and changed nothing: it happened at its snapshot.
            return Ok(Written {
                index: self.snapshot.index(),
                time: self.began,
                durability: level.unwrap_or(self.engine.default_durability()),
                results: Results::new(),
                repeated: false,
            });
        }
        let mut operations = Vec::with_capacity(self.writes.len() + self.reads.len());
        for (id, index) in &self.scans {
            operations.push(condition(*id, &[], Condition::CollectionIndex(*index)));
        }
        let only_read = self
            .reads
            .iter()
            .filter(|(name, _)| !self.writes.contains_key(*name));
        for ((id, key), index) in only_read {
            operations.push(condition(*id, key, Condition::Index(*index)));
        }
        for ((id, key), pending) in &self.writes {
            let change = match &pending.document {
                Some(document) => Change::Put(document.fields().as_bytes().into()),
                None if pending.base > 0 => Change::Delete,
                None => Change::None,
            };
            let condition = Condition::Index(pending.base);
            operations.push(Operation {
                collection: *id,
                key: (&key[..]).into(),
                condition,
                change,
            });
        }
        // The entry is the same however the maps are ordered.
        operations.sort_by(|a, b| (a.collection, &a.key).cmp(&(b.collection, &b.key)));
        let resolved_at = self.snapshot.catalog().changed_at();
        let write = Write {
            mode: Mode::Atomic,
            resolved_at,
            operations: operations.into(),
            retry,
        };
        self.engine.propose(now, Command::Write(write), level)
    }
}

fn condition(id: CollectionId, key: &[u8], condition: Condition) -> Operation<'_> {
    Operation {
        collection: id,
        key: key.into(),
        condition,
        change: Change::None,
    }
}

fn conflict() -> Error {
    Error::Refused {
        operation: 0,
        refusal: Refusal::Conflict,
    }
}
