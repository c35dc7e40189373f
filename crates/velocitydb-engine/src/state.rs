//! The fold of the log: state after entry n = apply(state after n − 1, entry n).
//!
//! [`State`] is the writer's side: one thread at a time has it, under the engine's writer lock.
//! [`Shared`] is what readers use without a lock. Applying is in two steps: [`State::stage`]
//! decides and changes nothing, [`State::publish`] cannot fail; between them the engine logs the
//! entry. Replay does both at once ([`State::apply`]).
//!
//! Logged and volatile collections are two [`Domain`]s with an index sequence each: a volatile
//! write is no entry of the log. Log time is the larger of an entry's stamp and the last log
//! time plus 1 µs; expiry of idempotency keys goes by it alone.
//!
//! Invariants: same entries, same state, bit by bit ([`State::digest`]); a refusal depends on
//! state and entry alone. Tests: `engine::tests`, the simulator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use crossbeam_epoch::Guard;
use smallvec::SmallVec;
use velocitydb_types::{Fields, Key, Timestamp, Value};
use xxhash_rust::xxh3::Xxh3;

use crate::alter::Prepared;
use crate::catalog::{
    COLLECTIONS, Catalog, Collection, CollectionId, DATABASES, DatabaseId, Definition,
    FIRST_USER_COLLECTION, Persistence, RETRIES, SCHEMAS, SEQUENCES,
};
use crate::changes::{History, HistoryOptions};
use crate::command::{Command, Effect, Entry, Expires, Outcome, Refusal, Results, Retry, Write};
use crate::define::Redefined;
use crate::memory::Memory;
use crate::stage::{Refused, StagedVersion, Stager};
use crate::store::{Document, GarbageQueue, Meta, Snapshots, Table, Visible};

/// Replaced versions looked at after each entry: twice what it added, but no more than this.
const GARBAGE_STEP_MAX: usize = 64;

/// What readers of one domain need.
#[derive(Default)]
pub(crate) struct Domain {
    pub(crate) visible: Visible,
    pub(crate) snapshots: Snapshots,
    /// The newest log time, for those who ask whether a document has expired.
    time: AtomicI64,
}

impl Domain {
    /// The clock, unless log time is ahead of it: what has expired stays so.
    pub(crate) fn time_at_least(&self, now: Timestamp) -> Timestamp {
        now.max(Timestamp(self.time.load(Ordering::Acquire)))
    }

    pub(crate) fn set_time(&self, time: i64) {
        self.time.store(time, Ordering::Release);
    }
}

/// What readers use without a lock.
pub(crate) struct Shared {
    pub(crate) logged: Domain,
    pub(crate) volatile: Domain,
    /// The catalog that belongs to the visible index.
    pub(crate) catalog: ArcSwap<Catalog>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) history: History,
    /// Of all hash indexes of this process.
    pub(crate) seed: u64,
}

/// One domain's position and its replaced versions.
#[derive(Default)]
pub(crate) struct Sequence {
    pub(crate) last_index: u64,
    pub(crate) last_term: u64,
    pub(crate) last_time: i64,
    garbage: GarbageQueue,
    /// Looks at replaced versions that writes still owe.
    owed: usize,
}

/// See the module.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    /// The newest catalog, visible or not.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) logged: Sequence,
    pub(crate) volatile: Sequence,
    next_collection: CollectionId,
    /// Made for the definitions that are staged next.
    pub(crate) prepared: Vec<Prepared>,
}

/// An entry that is decided: what it will do.
pub(crate) struct Staged {
    versions: SmallVec<[StagedVersion; 1]>,
    /// It changes log time alone.
    tick: bool,
    definitions: Option<Box<Redefined>>,
    pub(crate) persistence: Persistence,
    pub(crate) index: u64,
    pub(crate) time: Timestamp,
    /// The time of the answer: log time, but for a repeated request that of the first.
    pub(crate) answer_time: Timestamp,
    pub(crate) results: Results,
    /// The newest index that the results rest on.
    pub(crate) read: u64,
    /// Answered from the outcome of an earlier request with the same idempotency key.
    pub(crate) repeated: bool,
}

impl Staged {
    /// Whether there is anything to log and publish.
    pub(crate) fn changes(&self) -> bool {
        !self.versions.is_empty() || self.tick
    }

    /// Whether it changes a definition.
    pub(crate) fn redefines(&self) -> bool {
        self.definitions.is_some()
    }

    /// The memory that publishing will take for versions, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.versions
            .iter()
            .map(|staged| staged.version.allocated_bytes())
            .sum()
    }

    /// Whether it only removes: allowed also when memory is short.
    pub(crate) fn only_removes(&self) -> bool {
        let removes = |staged: &StagedVersion| {
            // Of what is defined else only the definition's document is there.
            staged.version.is_tombstone() || self.redefines() && staged.collection == COLLECTIONS
        };
        let definitions = self.definitions.as_deref();
        definitions.is_none_or(Redefined::only_removes) && self.versions.iter().all(removes)
    }
}

impl State {
    /// The empty state. `seed` keys the hash indexes of this process and is not part of it.
    pub(crate) fn new(seed: u64, memory_limit: Option<u64>, history: HistoryOptions) -> State {
        let memory = Arc::new(Memory::new(memory_limit));
        let mut catalog = Catalog::default();
        let system = [
            (COLLECTIONS, "_collections"),
            (RETRIES, "_retries"),
            (SCHEMAS, "_schemas"),
            (SEQUENCES, "_sequences"),
            (DATABASES, "_databases"),
        ];
        for (id, name) in system {
            let table = Arc::new(Table::new(seed, Arc::clone(&memory)));
            let definition = Definition::new(name);
            let one = Collection::new(id, DatabaseId::VELOCITY, definition, 0, table);
            catalog.put(Arc::new(one));
        }
        let catalog = Arc::new(catalog);
        let shared = Shared {
            logged: Domain::default(),
            volatile: Domain::default(),
            catalog: ArcSwap::new(Arc::clone(&catalog)),
            memory,
            history: History::new(history),
            seed,
        };
        State {
            shared: Arc::new(shared),
            catalog,
            logged: Sequence::default(),
            volatile: Sequence::default(),
            next_collection: FIRST_USER_COLLECTION,
            prepared: Vec::new(),
        }
    }

    pub(crate) fn sequence(&mut self, persistence: Persistence) -> &mut Sequence {
        match persistence {
            Persistence::Logged => &mut self.logged,
            Persistence::Volatile => &mut self.volatile,
        }
    }

    /// The log time of an entry with this stamp that comes next.
    pub(crate) fn next_time(&self, persistence: Persistence, stamp: Timestamp) -> Timestamp {
        let sequence = match persistence {
            Persistence::Logged => &self.logged,
            Persistence::Volatile => &self.volatile,
        };
        Timestamp(stamp.0.max(sequence.last_time.saturating_add(1)))
    }

    /// Decides an entry. Changes nothing.
    pub(crate) fn stage(
        &mut self,
        stamp: Timestamp,
        command: &Command<'_>,
        guard: &Guard,
    ) -> Result<Staged, Refused> {
        let persistence = match command {
            Command::Write(write) => {
                Stager::persistence(&self.catalog, write).map_err(|refusal| Refused {
                    operation: 0,
                    refusal,
                    read: 0,
                })?
            }
            _ => Persistence::Logged,
        };
        let sequence = match persistence {
            Persistence::Logged => &self.logged,
            Persistence::Volatile => &self.volatile,
        };
        let index = sequence.last_index + 1;
        let time = self.next_time(persistence, stamp);
        let mut staged = Staged {
            versions: SmallVec::new(),
            tick: matches!(command, Command::Tick),
            definitions: None,
            persistence,
            index,
            time,
            answer_time: time,
            results: Results::new(),
            read: 0,
            repeated: false,
        };
        match self.stage_into(&mut staged, command, guard) {
            Ok(()) => Ok(staged),
            // Volatile data is visible as soon as it is there, under indexes of its own.
            Err(refused) if persistence == Persistence::Volatile => {
                Err(Refused { read: 0, ..refused })
            }
            Err(refused) => Err(refused),
        }
    }

    fn stage_into<'c>(
        &self,
        staged: &mut Staged,
        command: &Command<'c>,
        guard: &Guard,
    ) -> Result<(), Refused> {
        let (index, time) = (staged.index, staged.time);
        let refused = |refusal| Refused {
            operation: 0,
            refusal,
            read: index - 1,
        };
        let definitions: &[Command<'c>] = match command {
            Command::Write(_) | Command::Tick => &[],
            Command::Transaction { definitions, .. } => &definitions[..],
            definition => std::slice::from_ref(definition),
        };
        let write = match command {
            Command::Write(write) | Command::Transaction { write, .. } => Some(write),
            _ => None,
        };
        if let Some(retry) = write.and_then(|write| write.retry.as_ref())
            && let Some((kept, results)) = self.repeated(retry, time, guard).map_err(refused)?
        {
            // It is the answer of then: the index may be somebody's fencing token.
            staged.results = results;
            staged.repeated = true;
            staged.read = kept.index;
            staged.answer_time = kept.updated_at;
            return Ok(());
        }
        let redefined = match definitions {
            [] => None,
            all => Some(self.define(all, (index, time), write).map_err(refused)?),
        };
        let catalog = redefined.as_ref().map_or(&self.catalog, |new| &new.catalog);
        let mut stager = Stager::new(catalog, index, time, &mut staged.versions, guard);
        if let Some(redefined) = &redefined {
            stager.define_over(&self.catalog, self.next_collection);
            self.write_down(redefined, &mut stager).map_err(refused)?;
            for definition in definitions {
                if let Command::Alter(id, alteration) = definition {
                    let id = id.real(self.next_collection);
                    let Some(database) = catalog.by_id(id).map(|one| one.database) else {
                        continue;
                    };
                    for (name, definition) in &alteration.sequences {
                        self.describe_sequence(database, (name, definition), &mut stager)
                            .map_err(refused)?;
                    }
                }
            }
        }
        if let Some(write) = write {
            if redefined.is_some() {
                stager.check_beside(write).map_err(refused)?;
            }
            stager
                .write(write, &mut staged.results)
                .map_err(|cause| match redefined {
                    Some(_) => Refused {
                        read: index - 1,
                        ..cause
                    },
                    None => cause,
                })?;
            if let Some(retry) = &write.retry
                && !stager.versions.is_empty()
            {
                let key = retry_key(retry).map_err(refused)?;
                let fields = retry_document(retry, index, write, &staged.results);
                let expires = Expires::At(retry.expires);
                stager
                    .system(RETRIES, &key, Some(fields.as_bytes()), expires)
                    .map_err(refused)?;
            }
        }
        staged.read = match redefined {
            Some(_) => index - 1,
            None => stager.read,
        };
        staged.definitions = redefined.map(Box::new);
        Ok(())
    }

    /// Publishes what was staged in the same critical section. Readers see it once its index is
    /// visible. The answer says whether the catalog changed.
    pub(crate) fn publish(&mut self, staged: &mut Staged, term: u64, guard: &Guard) -> bool {
        let persistence = staged.persistence;
        let sequence = match persistence {
            Persistence::Logged => &mut self.logged,
            Persistence::Volatile => &mut self.volatile,
        };
        assert_eq!(
            staged.index,
            sequence.last_index + 1,
            "staged for another state"
        );
        sequence.last_index = staged.index;
        sequence.last_time = staged.time.0;
        self.shared.domain(persistence).set_time(staged.time.0);
        sequence.last_term = term;
        let mut told = match persistence {
            Persistence::Logged => self.shared.history.told(),
            Persistence::Volatile => None,
        };
        let time = staged.time;
        let redefined = staged.definitions.take();
        if let Some(redefined) = &redefined {
            self.catalog = Arc::clone(&redefined.catalog);
            self.next_collection = redefined.next_collection;
            let changes = redefined.changes.iter();
            changes.for_each(|change| told.iter_mut().for_each(|told| told.definition(change)));
        }
        for staged in staged.versions.drain(..) {
            let StagedVersion {
                collection,
                hash,
                present,
                former,
                version,
                keys,
                ..
            } = staged;
            let collection = self.catalog.by_id(collection);
            let collection = collection.expect("staged under this catalog");
            let table = &collection.table;
            let after = told.is_some().then(|| version.clone());
            // Where documents have come to another table, those that go are not in it.
            let is_left_out = redefined.is_some() && present.is_none() && version.is_tombstone();
            if !is_left_out
                && let Some(garbage) = table.publish(hash, present.as_ref(), version, &keys, guard)
            {
                sequence.garbage.push(garbage);
                sequence.owed += 2;
            }
            if let (Some(told), Some(after)) = (&mut told, after) {
                let before = former.or(present.map(|present| present.version));
                told.document(collection, before, after, time);
            }
        }
        if let Some(told) = told {
            let shared = &self.shared;
            shared
                .history
                .note(staged.index, time, told, &shared.memory);
        }
        // Behind the versions: what they have of indexes was found in the tables as they were.
        let redefines = redefined.is_some();
        redefined.into_iter().for_each(|new| new.settle_indexes());
        redefines
    }

    /// Looks at up to `limit` replaced versions and gives back those that nobody can see any
    /// more. The answer is how many were looked at.
    pub(crate) fn collect(&mut self, persistence: Persistence, limit: usize) -> usize {
        let shared = Arc::clone(&self.shared);
        let domain = shared.domain(persistence);
        let garbage = &mut self.sequence(persistence).garbage;
        garbage.collect(
            limit,
            &domain.visible,
            &domain.snapshots,
            &crossbeam_epoch::pin(),
        )
    }

    /// Removes up to `limit` documents that have expired by log time and that no snapshot sees;
    /// how many. What has expired is not there for anybody: this only gives back the memory.
    pub(crate) fn remove_expired(
        &mut self,
        persistence: Persistence,
        now: Timestamp,
        limit: usize,
    ) -> usize {
        let guard = &crossbeam_epoch::pin();
        let last = Timestamp(self.sequence(persistence).last_time);
        let time = match persistence {
            Persistence::Logged => last,
            // Nobody else has it: the clock is enough.
            Persistence::Volatile => last.max(now),
        };
        let until = self.shared.domain(persistence).snapshots.oldest_time(time);
        let mut removed = 0;
        for collection in self.catalog.by_id.values() {
            if collection.definition.persistence == persistence && removed < limit {
                removed += collection
                    .table
                    .remove_expired(until, limit - removed, guard);
            }
        }
        removed
    }

    /// Whether documents wait to be removed until log time has reached `time`.
    pub(crate) fn waits_for_time(&self, time: Timestamp) -> bool {
        let last = Timestamp(self.logged.last_time);
        let mut logged = self
            .catalog
            .by_id
            .values()
            .filter(|one| one.definition.persistence == Persistence::Logged);
        last < time
            && logged.any(|one| one.table.next_expiry(last).is_some_and(|next| next <= time))
    }

    /// The step that follows each write: a few versions, so that no write pays for many.
    pub(crate) fn collect_step(&mut self, persistence: Persistence) {
        let sequence = self.sequence(persistence);
        let limit = sequence.owed.min(GARBAGE_STEP_MAX);
        if limit > 0 {
            sequence.owed -= limit;
            self.collect(persistence, limit);
        }
    }

    /// Applies an entry of the log at once: recovery, and later replication. A refusal leaves
    /// the state as it is, but for its index and time.
    pub(crate) fn apply(
        &mut self,
        index: u64,
        term: u64,
        entry: &Entry<'_>,
    ) -> Result<Results, Refused> {
        assert_eq!(
            index,
            self.logged.last_index + 1,
            "entries are applied in order"
        );
        let guard = &crossbeam_epoch::pin();
        let staged = self.stage(entry.timestamp(), &entry.command, guard);
        let answer = match staged {
            Ok(mut staged) if staged.persistence == Persistence::Logged => {
                if self.publish(&mut staged, term, guard) {
                    self.shared.catalog.store(Arc::clone(&self.catalog));
                }
                Ok(std::mem::take(&mut staged.results))
            }
            Ok(_) => Err(Refused {
                operation: 0,
                refusal: Refusal::MixedPersistence,
                read: 0,
            }),
            Err(refused) => Err(refused),
        };
        if answer.is_err() {
            let last = &mut self.logged;
            last.last_index = index;
            last.last_term = term;
            last.last_time = entry.stamp.max(last.last_time.saturating_add(1));
            self.shared.logged.set_time(self.logged.last_time);
        }
        self.shared.logged.visible.advance(index);
        self.collect_step(Persistence::Logged);
        answer
    }

    /// The document of an idempotency key, a tombstone included.
    fn kept(&self, key: &Key, guard: &Guard) -> Option<Document> {
        let table = &self.catalog.by_id[&RETRIES].table;
        let newest = table.newest(table.hash(key.as_bytes()), key.as_bytes(), guard);
        newest.map(|newest| newest.version)
    }

    /// The kept outcome of a request, when its key is known, and when it was kept.
    fn repeated(
        &self,
        retry: &Retry<'_>,
        time: Timestamp,
        guard: &Guard,
    ) -> Result<Option<(Meta, Results)>, Refusal> {
        if retry.expires <= time.0 {
            return Err(Refusal::RetryExpired(retry.key.to_string()));
        }
        let key = retry_key(retry)?;
        let kept = self.kept(&key, guard);
        let Some(kept) = kept.filter(|kept| kept.is_live(time)) else {
            return Ok(None);
        };
        if kept.get("request").and_then(|request| request.as_int()) != Some(retry.request as i64) {
            return Err(Refusal::RetryKeyReused(retry.key.to_string()));
        }
        let results = kept
            .get("results")
            .and_then(|results| results.as_byte_string());
        let results: Vec<KeptResult> = results
            .and_then(|bytes| postcard::from_bytes(bytes).ok())
            .unwrap_or_default();
        let outcome = |(effect, version, id): (Effect, u64, Vec<u8>)| Outcome {
            effect,
            version,
            document: None,
            earlier_id: Some(Key::trusted(id)),
        };
        let results = results.into_iter();
        let results = results.map(|result| {
            result
                .map(outcome)
                .map_err(|why| Box::new(Refusal::Earlier(why)))
        });
        Ok(Some((kept.meta(), results.collect())))
    }

    /// Rebuilds what is derived from documents, after a checkpoint was loaded.
    pub(crate) fn derive(&mut self, next_collection: CollectionId) {
        self.next_collection = next_collection;
        self.shared.catalog.store(Arc::clone(&self.catalog));
    }

    pub(crate) fn next_collection(&self) -> CollectionId {
        self.next_collection
    }

    /// Number and newest change of each logged collection.
    pub(crate) fn changed(&self) -> Vec<(u32, u64)> {
        let logged = self.catalog.by_id.values();
        let logged = logged.filter(|one| one.definition.persistence == Persistence::Logged);
        logged.map(|one| (one.id.0, one.table.changed())).collect()
    }

    /// A number that is equal for equal states: of every logged document with its id, version,
    /// index and times, and of the last index and log time. Independent of row numbers, of what
    /// snapshots keep and of this process. O(data).
    pub(crate) fn digest(&self) -> u128 {
        let mut digest = 0u128;
        for collection in self.catalog.by_id.values() {
            if collection.definition.persistence == Persistence::Volatile {
                continue;
            }
            collection.table.scan(0, u64::MAX, |document| {
                // When it is removed is each node's own affair.
                if !document.is_live(Timestamp(self.logged.last_time)) {
                    return true;
                }
                let mut hash = Xxh3::new();
                hash.update(&collection.id.0.to_le_bytes());
                hash.update(document.body_slice());
                digest = digest.wrapping_add(hash.digest128());
                true
            });
        }
        let mut hash = Xxh3::new();
        for (id, changed) in self.changed() {
            hash.update(&id.to_le_bytes());
            hash.update(&changed.to_le_bytes());
        }
        for number in [self.logged.last_index, self.logged.last_time as u64] {
            hash.update(&number.to_le_bytes());
        }
        hash.update(&self.next_collection.0.to_le_bytes());
        digest.wrapping_add(hash.digest128())
    }
}

impl Shared {
    /// An empty table.
    pub(crate) fn table(&self) -> Arc<Table> {
        Arc::new(Table::new(self.seed, Arc::clone(&self.memory)))
    }

    pub(crate) fn domain(&self, persistence: Persistence) -> &Domain {
        match persistence {
            Persistence::Logged => &self.logged,
            Persistence::Volatile => &self.volatile,
        }
    }
}

fn retry_key(retry: &Retry<'_>) -> Result<Key, Refusal> {
    let key = retry.database.key(&retry.key);
    key.map_err(|error| Refusal::BadDefinition(format!("the idempotency key: {error}")))
}

/// What is kept of one operation's answer: its effect, version and id, or why it was refused.
type KeptResult = Result<(Effect, u64, Vec<u8>), String>;

fn retry_document(retry: &Retry<'_>, index: u64, write: &Write<'_>, results: &Results) -> Fields {
    let each = write.operations.iter().zip(results);
    let kept = each.map(|(operation, result)| match result {
        Ok(outcome) => Ok((outcome.effect, outcome.version, operation.key.to_vec())),
        Err(refusal) => Err(refusal.to_string()),
    });
    let kept: Vec<KeptResult> = kept.collect();
    let kept = postcard::to_allocvec(&kept).expect("writing to memory cannot fail");
    let fields = BTreeMap::from([
        ("index".to_owned(), Value::Int(index as i64)),
        ("request".to_owned(), Value::Int(retry.request as i64)),
        ("results".to_owned(), Value::Bytes(kept)),
    ]);
    Fields::from_map(&fields).expect("three known fields")
}
