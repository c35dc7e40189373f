//! Deciding: what an entry would do to the state, or why it is refused.
//!
//! Staging reads the newest versions and changes nothing, so that a refused entry leaves no
//! trace and an accepted one can be logged before it is published. It is a pure function of the
//! state and the entry: no clock, no randomness, no memory limit.
//!
//! Operations of one write see the ones before them. Uniqueness is judged operation by operation
//! in [`Mode::Each`], and on the final state in [`Mode::Atomic`], where two documents may swap
//! their values.
//!
//! Tests: `engine::tests`, and the simulator against a plain model.

use std::collections::{self, BTreeSet};
use std::sync::Arc;

use crossbeam_epoch::Guard;
use hashbrown::HashTable;
use smallvec::SmallVec;
use velocitydb_types::{Key, RawMap, Timestamp};

use crate::catalog::{
    Catalog, Collection, CollectionId, DatabaseId, Persistence, SCHEMAS, SEQUENCES,
};
use crate::command::{
    Change, Condition, Effect, Expires, Mode, Operation, Outcome, Refusal, Results, Write,
};
use crate::store::{Document, FieldIndex, Keys, Link, Meta, Newest, RowId};

mod condition;
mod misfits;
mod references;

pub(crate) use condition::{changed_fields, check_condition};
use misfits::taken;
pub(crate) use misfits::{duplicate, index_key, misfit};
pub(crate) use references::check_found;

/// The most documents of one collection: fewer than there are row numbers, so that documents
/// that are deleted and not yet reclaimed have theirs.
const DOCUMENTS_MAX: u64 = 4_000_000_000;

/// A version that is decided and not yet published.
pub(crate) struct StagedVersion {
    pub(crate) collection: CollectionId,
    /// The key's hash in the collection's table.
    pub(crate) hash: u32,
    /// Where the key stood before the entry.
    pub(crate) present: Option<Newest>,
    /// What stood there, where definitions of the entry have brought the others to another table.
    pub(crate) former: Option<Document>,
    pub(crate) version: Document,
    /// Its keys in indexes over fields.
    pub(crate) keys: Keys,
    /// The operation that made it: the last one on its key.
    operation: usize,
}

/// A refusal that refuses the whole entry.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The operation at fault.
    pub(crate) operation: usize,
    pub(crate) refusal: Refusal,
    /// The newest index that the decision rests on: the answer waits until it is visible.
    pub(crate) read: u64,
}

/// See the module.
pub(crate) struct Stager<'s> {
    catalog: &'s Catalog,
    /// Where the entry has definitions: what there was before them, and the number that the first new
    /// collection gets.
    before: Option<(&'s Catalog, CollectionId)>,
    index: u64,
    time: Timestamp,
    guard: &'s Guard,
    pub(crate) versions: &'s mut SmallVec<[StagedVersion; 1]>,
    /// Newest index read so far.
    pub(crate) read: u64,
    /// Whether a staged version's collection has indexes over fields.
    indexed: bool,
    /// Whether any collection refers to another.
    linked: bool,
    /// Whether each operation stands or falls by itself.
    each: bool,
    /// Only of entries with several operations.
    many: Option<Box<Many>>,
}

/// Where a key stands: among the versions staged before, or in the table.
struct Place<'k> {
    key: &'k [u8],
    hash: u32,
    staged: Option<usize>,
    present: Option<Newest>,
}

/// A staged version that another took the place of, and its operation.
type Before = Option<(Document, usize)>;

/// Keys come from outside: seeded at random.
type HashMap<K, V> = collections::HashMap<K, V, foldhash::fast::RandomState>;
type HashSet<K> = collections::HashSet<K, foldhash::fast::RandomState>;

/// The hash of a table as a [`HashTable`] wants it, with all of its bits in use.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What operations need to know of those before them.
#[derive(Default)]
struct Many {
    /// The staged versions, by their keys' hashes.
    by_key: HashTable<usize>,
    rows: HashSet<(CollectionId, RowId)>,
    /// Which staged version has claimed a value of a unique index (named by its position).
    claims: HashMap<(CollectionId, usize, Vec<u8>), usize>,
    /// Which staged versions have been found to refer to a document; some may no longer.
    referring: HashMap<(CollectionId, Key), BTreeSet<usize>>,
}

impl Many {
    /// Notes the version that was staged last.
    fn note(&mut self, versions: &[StagedVersion]) {
        let Some(staged) = versions.last() else {
            return;
        };
        let hash = |at: &usize| spread(versions[*at].hash);
        let at = versions.len() - 1;
        self.by_key.insert_unique(spread(staged.hash), at, hash);
        let present = staged.present.as_ref();
        self.rows
            .extend(present.map(|present| (staged.collection, present.row)));
    }
}

impl<'s> Stager<'s> {
    /// Stages for the entry that will have this index and log time.
    pub(crate) fn new(
        catalog: &'s Catalog,
        index: u64,
        time: Timestamp,
        versions: &'s mut SmallVec<[StagedVersion; 1]>,
        guard: &'s Guard,
    ) -> Stager<'s> {
        Stager {
            catalog,
            before: None,
            index,
            time,
            guard,
            versions,
            read: 0,
            indexed: false,
            linked: catalog.has_references(),
            each: false,
            many: None,
        }
    }

    /// The entry has definitions: documents are changed as they leave them, on the conditions that
    /// were met before.
    pub(crate) fn define_over(&mut self, catalog: &'s Catalog, first: CollectionId) {
        self.before = Some((catalog, first));
    }

    /// Refuses what cannot be beside definitions: changes of volatile collections, and changes of single
    /// fields, which are of documents as they were. Those of sequences are as they were.
    pub(crate) fn check_beside(&self, write: &Write<'_>) -> Result<(), Refusal> {
        let changes = write.operations.iter();
        let mut changes = changes.filter(|operation| operation.change != Change::None);
        let is_patch = |one: &Operation<'_>| {
            one.collection != SEQUENCES && matches!(one.change, Change::Patch(_))
        };
        if changes.clone().any(is_patch) {
            let what = "beside definitions documents are put as a whole";
            return Err(Refusal::BadDefinition(what.to_owned()));
        }
        let is_logged = |operation: &Operation<'_>| {
            let found = self.collection(self.real(operation.collection));
            found.is_ok_and(|found| found.definition.persistence == Persistence::Logged)
        };
        match changes.all(is_logged) {
            true => Ok(()),
            false => Err(Refusal::MixedPersistence),
        }
    }

    /// The number that the collection of an operation has.
    fn real(&self, id: CollectionId) -> CollectionId {
        self.before.map_or(id, |(_, first)| id.real(first))
    }

    /// Decides a write; its answers go into `results`.
    pub(crate) fn write(
        &mut self,
        write: &Write<'_>,
        results: &mut Results,
    ) -> Result<(), Refused> {
        self.each = write.mode == Mode::Each;
        let expiring = write.retry.is_some();
        let count = write.operations.len();
        self.many = (count > 1 || expiring).then(Box::default);
        // Of an entry with many, what is left behind by growing would be as much again.
        self.versions.reserve(count);
        results.reserve(count);
        for (at, operation) in write.operations.iter().enumerate() {
            match self.operation(at, operation, write) {
                Err(refusal) if write.mode == Mode::Atomic || refusal.is_stale() => {
                    return Err(self.refused(at, *refusal));
                }
                result => results.push(result),
            }
        }
        if write.mode == Mode::Atomic {
            self.judge_all()?;
        }
        Ok(())
    }

    /// Judges what all operations together leave.
    fn judge_all(&mut self) -> Result<(), Refused> {
        if self.linked {
            for at in 0..self.versions.len() {
                self.follow_deletion(at, &mut Vec::new())
                    .map_err(|refusal| self.refused(self.versions[at].operation, refusal))?;
            }
        }
        if self.indexed {
            for at in 0..self.versions.len() {
                self.check_unique(at)
                    .map_err(|refusal| self.refused(self.versions[at].operation, refusal))?;
            }
        }
        if self.linked {
            for at in 0..self.versions.len() {
                self.check_references(at)
                    .map_err(|refusal| self.refused(self.versions[at].operation, refusal))?;
            }
        }
        Ok(())
    }

    /// Judges what an operation leaves that stands or falls by itself; `changed` notes what
    /// follows from it.
    fn judge(&mut self, at: usize, changed: &mut Vec<(usize, Before)>) -> Result<(), Refusal> {
        if self.linked {
            self.follow_deletion(at, changed)?;
        }
        if self.indexed {
            self.check_unique(at)?;
            for (followed, _) in &*changed {
                self.check_unique(*followed)?;
            }
        }
        if self.linked {
            self.check_references(at)?;
            self.check_referring(at)?;
            for (followed, _) in &*changed {
                self.check_referring(*followed)?;
            }
        }
        Ok(())
    }

    fn refused(&self, operation: usize, refusal: Refusal) -> Refused {
        Refused {
            operation,
            refusal,
            read: self.read,
        }
    }

    fn operation(
        &mut self,
        at: usize,
        operation: &Operation<'_>,
        write: &Write<'_>,
    ) -> Result<Outcome, Box<Refusal>> {
        let id = self.real(operation.collection);
        let collection = match (self.before, &operation.change) {
            // A condition alone is about what was there.
            (Some((before, _)), Change::None) => before.by_id(id),
            _ => None,
        };
        let collection = collection.map_or_else(|| self.collection(id), Ok)?;
        let is_new = self.before.is_some() && collection.defined_at == self.index;
        if collection.defined_at > write.resolved_at && !is_new {
            return Err(Refusal::DefinitionChanged.into());
        }
        if matches!(collection.id, SCHEMAS | SEQUENCES) {
            let key = Key::trusted(&*operation.key);
            self.catalog.check_present(DatabaseId::of_key(&key))?;
        }
        if let Condition::CollectionIndex(index) = operation.condition {
            self.read = self.read.max(collection.table.changed());
            let unchanged = collection.table.changed() == index;
            return if unchanged {
                Ok(Outcome::checked(0, None))
            } else {
                Err(Refusal::Conflict.into())
            };
        }
        self.indexed |= collection.table.has_indexes();
        let place = self.find(collection, &operation.key);
        let former = match (place.staged, &place.present, is_new) {
            (None, None, true) => self.former(collection, &operation.key),
            _ => None,
        };
        let newest = match (place.staged, &place.present) {
            (Some(at), _) => Some(&self.versions[at].version),
            (None, Some(present)) => Some(&present.version),
            (None, None) => former.as_ref(),
        };
        if place.staged.is_none() {
            // What this entry has staged itself is nothing to wait for.
            let read = newest.map_or(0, |newest| newest.index());
            self.read = self.read.max(read);
        }
        let live = newest.filter(|newest| newest.is_live(self.time)).cloned();
        check_condition(&operation.condition, live.as_ref())?;
        let fields = changed_fields(collection, &operation.key, live.as_ref(), &operation.change)?;
        let fields = fields.as_deref();
        if operation.change == Change::None {
            let version = live.as_ref().map_or(0, |live| live.meta().version);
            return Ok(Outcome::checked(version, live));
        }
        let before = self.before(place.staged);
        let kept = matches!(operation.change, Change::Patch(_));
        let expires = match (operation.expires, &live) {
            (Expires::Default, Some(live)) if kept => Expires::kept(collection, live),
            (expires, _) => expires,
        };
        let (staged, document) =
            self.stage(at, collection, place, live.as_ref(), fields, expires)?;
        if self.each {
            let mut changed = Vec::new();
            if let Err(refusal) = self.judge(staged, &mut changed) {
                for (followed, before) in changed.into_iter().rev() {
                    self.unstage(followed, before);
                }
                self.unstage(staged, before);
                return Err(refusal.into());
            }
        }
        let before = live.as_ref().map_or(0, |live| live.meta().version);
        let (effect, version, document) = match (fields, live) {
            (Some(_), None) => (Effect::Inserted, 1, Some(document)),
            (Some(_), Some(_)) => (Effect::Updated, before + 1, Some(document)),
            (None, last) => (Effect::Deleted, before, last),
        };
        Ok(Outcome {
            effect,
            version,
            document,
            earlier_id: None,
        })
    }

    fn collection(&self, id: CollectionId) -> Result<&'s Arc<Collection>, Refusal> {
        let found = self.catalog.by_id(id);
        found.ok_or_else(|| Refusal::no_collection(id))
    }

    /// A document as it was before definitions of the entry brought its collection to another table;
    /// they have left it to the write.
    fn former(&self, collection: &Collection, key: &[u8]) -> Option<Document> {
        let (before, _) = self.before?;
        let table = &before.by_id(collection.id)?.table;
        if Arc::ptr_eq(table, &collection.table) {
            return None;
        }
        let newest = table.newest(table.hash(key), key, self.guard)?;
        Some(newest.version)
    }

    fn find<'k>(&self, collection: &Collection, key: &'k [u8]) -> Place<'k> {
        let hash = collection.table.hash(key);
        let staged = match &self.many {
            Some(many) => {
                let is_it = |at: &usize| {
                    let staged = &self.versions[*at];
                    staged.collection == collection.id && staged.version.key_bytes() == key
                };
                many.by_key.find(spread(hash), is_it).copied()
            }
            // One at most.
            None => self.versions.iter().position(|staged| {
                staged.collection == collection.id && staged.version.key_bytes() == key
            }),
        };
        let present = match staged {
            Some(_) => None,
            None => collection.table.newest(hash, key, self.guard),
        };
        Place {
            key,
            hash,
            staged,
            present,
        }
    }

    /// Stages the version that `fields` (`None`: a tombstone) make; its place among the staged
    /// and a handle to it.
    fn stage(
        &mut self,
        operation: usize,
        collection: &Collection,
        place: Place<'_>,
        live: Option<&Document>,
        fields: Option<&[u8]>,
        expires: Expires,
    ) -> Result<(usize, Document), Refusal> {
        let Place {
            key,
            hash,
            staged,
            present,
        } = place;
        let before = live.map(Document::meta);
        let expires_at = match fields {
            Some(fields) => expires.at(collection, RawMap::trusted(fields), self.time)?,
            None => None,
        };
        let meta = Meta {
            index: self.index,
            version: before.map_or(1, |before| before.version + 1),
            created_at: before.map_or(self.time, |before| before.created_at),
            updated_at: self.time,
            expires_at,
        };
        // Before the version is made, so that what the indexes will read is on its way.
        let newest = match staged {
            Some(at) => self.versions[at].present.as_ref(),
            None => present.as_ref(),
        };
        let new = fields.map(RawMap::trusted);
        let keys = collection.table.keys(newest, key, new, self.guard);
        let keys = keys.map_err(|no_key| index_key(None, no_key))?;
        let (version, document) =
            Document::new_pair(key, &meta, fields, Link::of(newest.is_some()));
        if let Some(at) = staged {
            self.versions[at].keys = keys;
            self.versions[at].version = version;
            self.versions[at].operation = operation;
            return Ok((at, document));
        }
        // By what is in the state, not by the rows in use: those differ from node to node.
        let documents = collection.table.live() + self.versions.len() as u64;
        if present.is_none() && documents >= DOCUMENTS_MAX {
            return Err(Refusal::CollectionFull);
        }
        self.versions.push(StagedVersion {
            collection: collection.id,
            hash,
            former: self.former(collection, key),
            present,
            version,
            keys,
            operation,
        });
        if let Some(many) = &mut self.many {
            many.note(self.versions);
        }
        Ok((self.versions.len() - 1, document))
    }

    /// What is staged there, to be put back.
    fn before(&self, staged: Option<usize>) -> Before {
        let staged = &self.versions[staged?];
        Some((staged.version.clone(), staged.operation))
    }

    /// From now on operations know of those before them, also where there was one only.
    fn note_all(&mut self) {
        if self.many.is_some() {
            return;
        }
        let mut many = Box::new(Many::default());
        for staged in 1..=self.versions.len() {
            many.note(&self.versions[..staged]);
        }
        self.many = Some(many);
    }

    /// Puts back what was staged before an operation that turned out to be refused.
    fn unstage(&mut self, at: usize, before: Before) {
        if let Some((version, operation)) = before {
            let table = &self.catalog.by_id(self.versions[at].collection);
            let table = &table.expect("it has a staged document").table;
            let staged = &mut self.versions[at];
            let keys = table.keys_of_version(staged.present.as_ref(), &version, self.guard);
            staged.keys = keys.expect("they were short enough when it was staged");
            staged.version = version;
            staged.operation = operation;
            // They were free when it was staged, and nothing has come between.
            let free = self.check_unique(at);
            assert!(free.is_ok(), "what was accepted before is taken back to");
            return;
        }
        assert_eq!(
            at,
            self.versions.len() - 1,
            "the last one staged is taken back"
        );
        let staged = self.versions.pop().expect("it was just staged");
        let id = staged.collection;
        if let Some(many) = &mut self.many {
            if let Ok(found) = many
                .by_key
                .find_entry(spread(staged.hash), |&other| other == at)
            {
                found.remove();
            }
            if let Some(present) = staged.present {
                many.rows.remove(&(id, present.row));
            }
        }
    }

    /// Whether the keys of a staged version are free in each unique index; claims them.
    fn check_unique(&mut self, at: usize) -> Result<(), Refusal> {
        let staged = &self.versions[at];
        let id = staged.collection;
        if staged.keys.is_empty() || !staged.version.is_live(self.time) {
            return Ok(());
        }
        let collection = self.collection(id)?;
        let table = &collection.table;
        let redefined = self.before.is_some() && collection.defined_at == self.index;
        let own = staged.present.as_ref().map(|present| present.row);
        for (position, unique) in table.indexes().iter().enumerate() {
            let Some((key, hash)) = self.versions[at].keys.claim(position) else {
                continue;
            };
            // One that goes with the same entry.
            if redefined && !collection.has_index(unique.definition()) {
                continue;
            }
            let many = self.many.as_ref();
            let held = table.unique_holder(unique, (key, hash), self.time, self.guard, |row| {
                Some(row) == own || many.is_some_and(|many| many.rows.contains(&(id, row)))
            });
            if let Some(holder) = held {
                self.read = self.read.max(holder.meta().index);
                return Err(taken(unique, &holder));
            }
            let Some(many) = &mut self.many else {
                continue;
            };
            let claim = (id, position, key.to_vec());
            let claimed = many.claims.get(&claim).filter(|&&other| other != at);
            let claimed = claimed
                .and_then(|&other| self.versions.get(other))
                .filter(|other| holds(&other.version, unique, &claim.2, self.time));
            if let Some(other) = claimed {
                return Err(taken(unique, &other.version));
            }
            many.claims.insert(claim, at);
        }
        Ok(())
    }

    /// Stages a document of a system collection.
    pub(crate) fn system(
        &mut self,
        id: CollectionId,
        key: &Key,
        fields: Option<&[u8]>,
        expires: Expires,
    ) -> Result<(), Refusal> {
        let collection = self.collection(id)?;
        let place = self.find(collection, key.as_bytes());
        let live = match place.staged {
            Some(at) => Some(&self.versions[at].version),
            None => place.present.as_ref().map(|present| &present.version),
        };
        let live = live.filter(|live| live.is_live(self.time)).cloned();
        self.stage(0, collection, place, live.as_ref(), fields, expires)?;
        Ok(())
    }

    /// Whether the write stays within logged or within volatile collections.
    pub(crate) fn persistence(
        catalog: &Catalog,
        write: &Write<'_>,
    ) -> Result<Persistence, Refusal> {
        let mut all = write.operations.iter().filter_map(|operation| {
            catalog
                .by_id(operation.collection)
                .map(|found| found.definition.persistence)
        });
        let first = all.next().unwrap_or_default();
        if all.any(|other| other != first)
            || first == Persistence::Volatile && write.retry.is_some()
        {
            return Err(Refusal::MixedPersistence);
        }
        Ok(first)
    }
}

fn holds(version: &Document, unique: &FieldIndex, key: &[u8], time: Timestamp) -> bool {
    version.is_live(time)
        && unique
            .key_of(version.fields())
            .is_some_and(|held| held == key)
}

impl Outcome {
    fn checked(version: u64, document: Option<Document>) -> Outcome {
        Outcome {
            effect: Effect::Checked,
            version,
            document,
            earlier_id: None,
        }
    }
}
