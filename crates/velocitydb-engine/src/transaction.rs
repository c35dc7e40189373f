//! Interactive transactions.
//!
//! A transaction reads one snapshot with its own writes over it, and holds no locks. Commit is
//! one entry: each write on the condition that the document is still the one that was read
//! (`snapshot` isolation: first committer wins), and under `serializable` each read as well,
//! documents by the index of their last change, scans by that of the collection. The conditions
//! are on the newest state alone, so that every node that applies the entry decides the same.
//! A conflict is a retryable error; nothing was changed.
//!
//! Documents that a refusal told of count as read, and so do those of writes that were undone. A
//! document deleted and put anew is a new one.
//!
//! Definitions are made at once over a catalog of its own ([`Transaction::define`]), and with the writes
//! in its one entry at the commit.
//!
//! Savepoints are positions in an undo list. Tests: golden scripts in the embedded library's
//! `tests/it/testscripts`, and against a model in its `random`.

mod checks;
mod define;
mod needs;
mod sequence;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use velocitydb_types::{RawMap, Timestamp, Value};

use crate::catalog::{Catalog, Collection, CollectionId, DatabaseId, Persistence, SEQUENCES};
use crate::command::{
    Change, Command, Condition, Effect, Expires, Mode, Operation, Outcome, Refusal, Results, Retry,
    Write,
};
use crate::commit::Durability;
use crate::engine::{Engine, Made, Written};
use crate::error::Error;
use crate::snapshot::Snapshot;
use crate::stage::{changed_fields, check_condition};
use crate::store::{Document, Link, Meta};

pub use checks::Gone;
pub use needs::Need;

/// What a transaction is protected from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Each statement reads the newest state ([`Transaction::refresh`]), and what it writes is what it
    /// has read: when another was faster, the commit is a conflict, as under the others. Who does not
    /// want that holds locks meanwhile.
    ReadCommitted,
    /// It reads one state, and no other has changed what it writes. Write skew is possible.
    #[default]
    Snapshot,
    /// As if transactions ran one after the other.
    Serializable,
}

/// The most bytes that one transaction may keep: what it writes, what its savepoints need and, when
/// serializable, the ids of what it reads. Its commit takes as much again, as one entry of the log, which
/// may have this much too.
pub const TRANSACTION_BYTES_MAX: usize = if cfg!(test) { 1 << 20 } else { 1 << 30 };

/// More than this in one commit takes its time.
const QUICK_OPERATIONS_MAX: usize = 100;

/// What the transaction keeps of a document besides its id and the document itself, about.
const PENDING_BYTES: usize = 192;

type DocumentKey = (CollectionId, Box<[u8]>);

/// A written document: what was there when the transaction read it, and what shall be.
#[derive(Clone)]
struct Pending {
    /// Index of the last change of the document in the snapshot; 0: it was not there.
    base: u64,
    /// Its version there.
    base_version: u64,
    /// Whether it was deleted and put anew: then it is another document, from version 1 on.
    anew: bool,
    /// The document as the transaction sees it; `None`: deleted.
    document: Option<Document>,
    /// When it shall expire.
    expires: Expires,
    /// Its place among all that were written, by when each was written first, or put where none was.
    order: u64,
    /// What a sequence was then, of which it is the document.
    sequence: Option<Value>,
}

impl Pending {
    /// What it takes, about, in bytes.
    fn bytes(&self) -> usize {
        let document = self.document.as_ref();
        PENDING_BYTES + document.map_or(0, Document::allocated_bytes)
    }
}

/// What is kept of a document under its id.
fn bytes_of(key: &[u8], pending: Option<&Pending>) -> usize {
    key.len() + pending.map_or(PENDING_BYTES, Pending::bytes)
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
    /// When the catalog last changed by which everything that is written was resolved.
    resolved_at: u64,
    /// By collection and encoded id.
    writes: HashMap<CollectionId, BTreeMap<Box<[u8]>, Pending>>,
    /// How many documents that is.
    written: usize,
    /// The last [`Pending::order`].
    ordered: u64,
    /// What they and what was read take, about, in bytes.
    kept: usize,
    /// Serializable only: what was read and at which index.
    reads: HashMap<DocumentKey, u64>,
    scans: HashMap<CollectionId, u64>,
    /// What each write replaced in `writes`, and where definitions were made, oldest first.
    undo: Vec<Undo>,
    /// What that takes.
    undo_kept: usize,
    claims: checks::Claims,
    /// What the present statement needs besides its writes, when that is asked for.
    notes: Option<Vec<needs::Note>>,
    /// Its definitions, once there is one.
    private: Option<define::Private>,
    /// Whether something that it has found was found to be older than it is now.
    outdated: AtomicBool,
}

/// How to undo something.
enum Undo {
    /// A document was this before.
    Written(DocumentKey, Option<Pending>),
    /// There were so many definitions before one that concerns this name.
    Defined {
        database: DatabaseId,
        name: Box<str>,
        /// The name as an encoded id.
        key: Box<[u8]>,
        before: usize,
    },
}

impl Undo {
    /// What it takes, about, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Undo::Written((_, key), before) => bytes_of(key, before.as_ref()),
            Undo::Defined { name, key, .. } => name.len() + bytes_of(key, None),
        }
    }
}

impl Transaction {
    /// Begins on the visible state; it must end before `deadline`.
    pub fn begin(
        engine: Arc<Engine>,
        isolation: Isolation,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Transaction {
        let snapshot = engine.snapshot(now, deadline);
        Transaction {
            engine,
            resolved_at: snapshot.catalog().changed_at(),
            snapshot,
            isolation,
            began: now,
            writes: HashMap::new(),
            written: 0,
            ordered: 0,
            kept: 0,
            reads: HashMap::new(),
            scans: HashMap::new(),
            undo: Vec::new(),
            undo_kept: 0,
            claims: checks::Claims::new(),
            notes: None,
            private: None,
            outdated: AtomicBool::new(false),
        }
    }

    /// What it reads, without its own writes.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What it is protected from.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Under [`Isolation::ReadCommitted`]: goes on with the visible state of now, until `deadline`.
    /// When a collection that it has written to was defined anew, the commit is refused, as under
    /// the others.
    pub fn refresh(&mut self, now: Timestamp, deadline: Timestamp) {
        if self.isolation == Isolation::ReadCommitted {
            self.begin_again(now, deadline);
        }
    }

    /// Goes on with the visible state of now, until `deadline`: under any isolation before anything
    /// was read or written.
    pub fn begin_again(&mut self, now: Timestamp, deadline: Timestamp) {
        self.snapshot = self.engine.snapshot(now, deadline);
        self.began = now;
        let catalog = self.snapshot.catalog();
        let mut written = self.writes.keys().filter(|id| self.writes_to(**id));
        let fits = |id| {
            let found = catalog.by_id(id);
            found.is_none_or(|found| found.defined_at <= self.resolved_at)
        };
        if written.all(|id| fits(*id)) {
            self.resolved_at = catalog.changed_at();
        }
        self.define_again();
    }

    /// The collections as it sees them: those of its snapshot, and what it has made of them.
    pub fn catalog(&self) -> &Arc<Catalog> {
        match &self.private {
            Some(private) => private.catalog(),
            None => self.snapshot.catalog(),
        }
    }

    /// What the transaction makes of a document of the snapshot: `None` when it leaves it as it is,
    /// `Some(None)` when it deletes it.
    pub fn written(&self, collection: CollectionId, key: &[u8]) -> Option<Option<&Document>> {
        let pending = self.writes.get(&collection)?.get(key)?;
        Some(pending.document.as_ref())
    }

    /// The ids of documents of a collection that the transaction has written or deleted.
    pub fn written_ids(&self, collection: CollectionId) -> impl Iterator<Item = &[u8]> {
        let own = self.writes.get(&collection).into_iter().flatten();
        own.map(|(key, _)| &key[..])
    }

    /// The documents of a collection that the transaction has written, in the order of their ids.
    pub fn own(&self, collection: CollectionId) -> impl Iterator<Item = &Document> {
        let own = self.writes.get(&collection).into_iter().flatten();
        own.filter_map(|(_, pending)| pending.document.as_ref())
    }

    /// As [`Transaction::own`], in the order in which they were inserted.
    pub fn own_as_inserted(&self, collection: CollectionId) -> impl Iterator<Item = &Document> {
        let own = self.writes.get(&collection).into_iter().flatten();
        let mut own: Vec<_> = own.map(|(_, pending)| pending).collect();
        own.sort_unstable_by_key(|pending| pending.order);
        own.into_iter()
            .filter_map(|pending| pending.document.as_ref())
    }

    /// Whether it has written to a collection.
    pub fn writes_to(&self, collection: CollectionId) -> bool {
        self.writes
            .get(&collection)
            .is_some_and(|writes| !writes.is_empty())
    }

    fn check(&self, collection: &Collection) -> Result<(), Error> {
        if collection.definition.persistence == Persistence::Volatile {
            let refusal = Refusal::MixedPersistence;
            return Err(Error::Refused {
                operation: 0,
                refusal,
            });
        }
        self.check_kept(0)
    }

    /// Refuses that so many bytes more are kept, when it is too much.
    fn check_kept(&self, more: usize) -> Result<(), Error> {
        self.check_defined()?;
        if self.kept + self.undo_kept + more > TRANSACTION_BYTES_MAX {
            let max = TRANSACTION_BYTES_MAX;
            return Err(Error::TransactionLimit { max });
        }
        Ok(())
    }

    /// The document of this encoded id, own writes included.
    pub fn get(&mut self, collection: &Collection, key: &[u8]) -> Result<Option<Document>, Error> {
        self.check(collection)?;
        if let Some(written) = self.written(collection.id, key) {
            return Ok(written.cloned());
        }
        self.read(collection, (collection.id, key.into()))
    }

    /// What the snapshot has of a document that was not written; noted when it must still hold at
    /// the commit.
    fn read(
        &mut self,
        collection: &Collection,
        name: DocumentKey,
    ) -> Result<Option<Document>, Error> {
        let found = self.snapshot.get(collection, &name.1)?;
        if self.isolation == Isolation::Serializable && collection.id != SEQUENCES {
            let (bytes, index) = (bytes_of(&name.1, None), found.as_ref().map(Document::meta));
            let before = self.reads.insert(name, index.map_or(0, |meta| meta.index));
            self.kept += before.map_or(bytes, |_| 0);
        }
        Ok(found)
    }

    /// A document as it is now, which under [`Isolation::ReadCommitted`] may be newer than the
    /// snapshot; own writes included.
    fn newest(&mut self, collection: &Collection, key: &[u8]) -> Result<Option<Document>, Error> {
        if let Some(written) = self.written(collection.id, key) {
            return Ok(written.cloned());
        }
        match self.isolation {
            Isolation::ReadCommitted => Ok(self.engine.get(collection, key, || self.began)),
            _ => self.read(collection, (collection.id, key.into())),
        }
    }

    /// Calls `visit` with every document of the collection, own writes included, until it
    /// answers `false` ([`Transaction::note_scan`]).
    pub fn scan(
        &mut self,
        collection: &Collection,
        mut visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        self.check(collection)?;
        self.note_scan(collection)?;
        let mut going = true;
        self.snapshot.scan(collection, 0, |document| {
            if self.written(collection.id, document.key_bytes()).is_none() {
                going = visit(document);
            }
            going
        })?;
        if going {
            self.own(collection.id).all(visit);
        }
        Ok(())
    }

    /// How many documents [`Transaction::scan`] would visit.
    pub fn count(&mut self, collection: &Collection) -> Result<u64, Error> {
        self.check(collection)?;
        self.note_scan(collection)?;
        let mut count = self.snapshot.count(collection)?;
        for (key, pending) in self.writes.get(&collection.id).into_iter().flatten() {
            let was = self.snapshot.get(collection, key)?.is_some();
            count = count + u64::from(pending.document.is_some()) - u64::from(was);
        }
        Ok(count)
    }

    /// Notes that a collection is read by more than ids: under serializable isolation any change of
    /// it by another after the snapshot is then a conflict at the commit, unless nothing is written.
    ///
    /// # Errors
    /// It was dropped since the transaction began.
    pub fn note_scan(&mut self, collection: &Collection) -> Result<(), Error> {
        self.check_defined()?;
        if self.isolation == Isolation::Serializable {
            // When another has changed it already, what was read holds at no commit.
            let changed = self.snapshot.changed(collection).unwrap_or(u64::MAX);
            self.scans.insert(collection.id, changed);
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
        expires: Expires,
    ) -> Result<Outcome, Error> {
        self.check(collection)?;
        let name: DocumentKey = (collection.id, key.into());
        let writes = self.writes.get(&name.0);
        let before = writes.and_then(|writes| writes.get(key)).cloned();
        let mut pending = match &before {
            Some(pending) => pending.clone(),
            None => {
                // A refusal below tells of it as well: it counts as read.
                let document = self.read(collection, name.clone())?;
                let meta = document.as_ref().map(Document::meta);
                Pending {
                    sequence: sequence::definition(collection.id, document.as_ref()),
                    base: meta.map_or(0, |meta| meta.index),
                    base_version: meta.map_or(0, |meta| meta.version),
                    anew: false,
                    document,
                    expires: Expires::Default,
                    order: 0,
                }
            }
        };
        let live = pending.document.take();
        let refused = |refusal| Error::Refused {
            operation: 0,
            refusal,
        };
        if let Err(refusal) = check_condition(condition, live.as_ref()) {
            if let Some(live) = &live {
                self.note_hindered(collection, live);
            }
            return Err(refused(refusal));
        }
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
                // However often it is written, the commit is one change of it.
                pending.anew |= old.is_none() && pending.base > 0;
                let base_version = if pending.anew {
                    0
                } else {
                    pending.base_version
                };
                pending.expires = match (expires, &live, change) {
                    (Expires::Default, Some(live), Change::Patch(_)) => {
                        Expires::kept(collection, live)
                    }
                    (expires, _, _) => expires,
                };
                let of = RawMap::trusted(&fields);
                let expires_at = pending.expires.at(collection, of, self.began);
                let expires_at = expires_at.map_err(refused)?;
                let meta = Meta {
                    index: self.snapshot.index(),
                    version: base_version + 1,
                    created_at: old.map_or(self.began, |old| old.created_at),
                    updated_at: self.began,
                    expires_at,
                };
                let document = Document::new(key, &meta, Some(&fields), Link::None);
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
                pending.anew = false;
                let version = old.map_or(0, |old| old.version);
                Outcome {
                    effect: Effect::Deleted,
                    version,
                    document: live,
                    earlier_id: None,
                }
            }
        };
        if outcome.effect != Effect::Deleted {
            pending.document = outcome.document.clone();
        }
        if before.is_none() || old.is_none() {
            self.ordered += 1;
            pending.order = self.ordered;
        }
        self.replace(name, before, pending)?;
        Ok(outcome)
    }

    /// Keeps a written document, and what was kept before.
    fn replace(
        &mut self,
        name: DocumentKey,
        before: Option<Pending>,
        pending: Pending,
    ) -> Result<(), Error> {
        let bytes = bytes_of(&name.1, Some(&pending));
        let undo = Undo::Written(name.clone(), before);
        self.check_kept(undo.bytes() + bytes)?;
        self.undo_kept += undo.bytes();
        self.undo.push(undo);
        self.put(name, Some(pending));
        Ok(())
    }

    fn put(&mut self, (collection, key): DocumentKey, pending: Option<Pending>) {
        let writes = self.writes.entry(collection).or_default();
        let (written, bytes) = (writes.len(), key.len());
        let of = |pending: &Option<Pending>| match pending {
            Some(pending) => bytes + pending.bytes(),
            None => 0,
        };
        let kept = self.kept + of(&pending);
        let before = match pending {
            Some(pending) => writes.insert(key, pending),
            None => writes.remove(&key),
        };
        self.kept = kept - of(&before);
        self.written = self.written + writes.len() - written;
    }

    /// A position that [`Transaction::roll_back_to`] returns to.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint(self.undo.len())
    }

    /// Keeps what is written for good: none of the savepoints may be returned to. What they need is
    /// forgotten, a copy of each document for each time that it was written.
    pub fn forget_savepoints(&mut self) {
        self.undo.clear();
        self.undo_kept = 0;
    }

    /// Undoes what was written after `savepoint`; reads stay noted.
    pub fn roll_back_to(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        if savepoint.0 > self.undo.len() {
            return Err(Error::Invalid(
                "the savepoint was rolled back before".into(),
            ));
        }
        let mut definitions = None;
        for undo in self.undo.split_off(savepoint.0).into_iter().rev() {
            self.undo_kept -= undo.bytes();
            match undo {
                Undo::Written(name, before) => self.put(name, before),
                Undo::Defined { before, .. } => definitions = Some(before),
            }
        }
        if let Some(before) = definitions {
            self.undefine(before);
        }
        Ok(())
    }

    /// Whether its commit is made in no time worth speaking of, as far as anybody can tell.
    pub fn commits_quickly(&self) -> bool {
        self.private.is_none()
            && self.written + self.reads.len() <= QUICK_OPERATIONS_MAX
            && !self.engine.is_occupied()
    }

    /// Makes everything as one entry. A conflict ([`Error::is_retryable`]) has changed
    /// nothing: begin again.
    pub fn commit(
        mut self,
        now: Timestamp,
        level: Option<Durability>,
        retry: Option<Retry<'_>>,
    ) -> Made {
        self.catch_up();
        let refused = self.check_defined();
        let (definitions, prepared) = self.take_definitions();
        if let Err(error) = refused {
            return Made {
                index: 0,
                outcome: Err(error),
            };
        }
        if self.written == 0 && definitions.is_empty() {
            // It has read one state and changed nothing: it happened at its snapshot.
            let outcome = Ok(Written {
                index: self.snapshot.index(),
                time: self.began,
                durability: level.unwrap_or(self.engine.default_durability()),
                results: Results::new(),
                repeated: false,
            });
            return Made { index: 0, outcome };
        }
        let catalog = Arc::clone(self.catalog());
        let mut operations = Vec::with_capacity(self.written + self.reads.len());
        let scans = self.scans.iter();
        for (id, index) in scans.filter(|(id, _)| !id.is_provisional()) {
            operations.push(condition(*id, &[], Condition::CollectionIndex(*index)));
        }
        let only_read = self
            .reads
            .iter()
            .filter(|((id, key), _)| !id.is_provisional() && self.written(*id, key).is_none());
        for ((id, key), index) in only_read {
            operations.push(condition(*id, key, Condition::Index(*index)));
        }
        // The entry is the same however the maps are ordered.
        operations.sort_by(|a, b| (a.collection, &a.key).cmp(&(b.collection, &b.key)));
        // Those of collections that it has dropped went with them.
        let all = self.writes.iter();
        let all = all.filter(|(id, _)| catalog.by_id(**id).is_some());
        let all = all.flat_map(|(id, writes)| writes.iter().map(move |(key, it)| (id, key, it)));
        // What is inserted stands in the order in which it was, and is read so.
        let mut all: Vec<_> = all.collect();
        all.sort_unstable_by_key(|(id, _, pending)| (**id, pending.order));
        for (id, key, pending) in all {
            let mut expected = pending.expected();
            if pending.anew {
                let change = Change::Delete;
                operations.push(Operation {
                    change,
                    ..condition(*id, key, expected)
                });
                expected = Condition::Absent;
            }
            let change = match &pending.document {
                Some(document) => pending.change(document),
                None if pending.base > 0 => Change::Delete,
                None if id.is_provisional() => continue,
                None => Change::None,
            };
            operations.push(Operation {
                change,
                expires: pending.expires,
                ..condition(*id, key, expected)
            });
        }
        let write = Write {
            mode: Mode::Atomic,
            resolved_at: self.resolved_at,
            operations: operations.into(),
            retry,
        };
        let indexed = define::indexed(&definitions);
        let command = match definitions.is_empty() {
            false => Command::Transaction { definitions, write },
            true => Command::Write(write),
        };
        let made = self.engine.make_prepared(now, &command, level, prepared);
        let Made { index, outcome } = made;
        if outcome.is_ok() {
            // What there is no memory for now is built later.
            let mut built = indexed.into_iter();
            let _ = built.try_for_each(|id| self.engine.finish_indexes(id));
        }
        let outcome = match outcome {
            // Its writes took each other back: it happened at its snapshot, or at what it rests on.
            Ok(written) if !written.repeated => {
                let index = written.index.max(self.snapshot.index());
                Ok(Written { index, ..written })
            }
            // Dropped since it began, or a sequence is another. Whoever begins again is told the name.
            Err(Error::Refused {
                refusal:
                    Refusal::UnknownCollection(_) | Refusal::ConditionFailed { .. } | Refusal::NotFound,
                ..
            }) => Err(conflict()),
            // The operations of the entry are not the calls of the transaction.
            Err(Error::Refused { refusal, .. }) => Err(Error::Refused {
                operation: 0,
                refusal,
            }),
            outcome => outcome,
        };
        Made { index, outcome }
    }
}

fn condition(id: CollectionId, key: &[u8], condition: Condition) -> Operation<'_> {
    Operation {
        collection: id,
        key: key.into(),
        condition,
        change: Change::None,
        expires: Expires::Default,
    }
}

fn conflict() -> Error {
    Error::Refused {
        operation: 0,
        refusal: Refusal::Conflict,
    }
}
