//! One node's database: the writer, the log, the readers.
//!
//! A write's life ([`Engine::propose`]): staged on the newest state, judged against memory and
//! disk, appended to the log's buffer, published, and answered once it is visible; a refusal once
//! all that it rests on is ([`crate::commit`]). Writers take turns under one lock for the steps in
//! memory; the waiting for the disk happens outside of it, shared by all who wait.
//!
//! The engine has no threads, no clock and no randomness: its owner calls [`Engine::flush`],
//! [`Engine::checkpoint`] and [`Engine::tend`], and hands in the time.
//!
//! Tests: `engine::tests`; with faults and crashes in `velocitydb-sim`.

mod indexes;
mod mode;
mod rekey;
mod stats;
mod tending;
mod visibility;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crossbeam_epoch::Guard;
use parking_lot::{Mutex, MutexGuard};
use velocitydb_types::Timestamp;

pub use mode::StorageMode;
pub use rekey::Rekey;
pub use stats::EngineStats;

use crate::alter::{Builder, Prepared, Watch};
use crate::catalog::{Alteration, Catalog, Collection, PROVISIONAL, Persistence};
use crate::changes::HistoryOptions;
use crate::checkpoint::Checkpoints;
use crate::command::{Command, Results};
use crate::commit::{Commits, Durability};
use crate::define::alteration_of;
use crate::disk::{Disk, DiskLock};
use crate::error::Error;
use crate::log::{FlushLevel, Log};
use crate::recovery::{self, Recovery};
use crate::snapshot::{Deadlines, Snapshot};
use crate::state::{Domain, Shared, Staged, State};
use crate::store::{At, Document, FieldIndex};

/// What an engine is opened with. The caller brings everything that is not deterministic.
pub struct EngineOptions {
    /// How much of the data lives where.
    pub mode: StorageMode,
    /// The level of a write that names none; the mode's own when `None`.
    pub durability: Option<Durability>,
    /// Bytes that the data may take; no limit when `None`.
    pub memory_limit: Option<u64>,
    /// What is kept for those who follow the changes.
    pub history: HistoryOptions,
    /// The log's sizes and compression.
    pub log: crate::log::LogOptions,
    /// Checkpoints kept besides the newest one's predecessors: at least 1.
    pub checkpoints_kept: usize,
    /// Keys the hash indexes of this process: random in production.
    pub seed: u64,
    /// Fresh random salts for log segments and checkpoints.
    pub salts: Box<dyn FnMut() -> [u8; 16] + Send>,
}

/// The answer to a write.
#[derive(Debug, Clone)]
pub struct Written {
    /// The log index of the entry; of a write that changed nothing, what it rests on.
    pub index: u64,
    /// The log time of the entry.
    pub time: Timestamp,
    /// The level that was really given.
    pub durability: Durability,
    /// An answer for each operation; empty for definitions.
    pub results: Results,
    /// Whether it was answered from an earlier request with the same idempotency key.
    pub repeated: bool,
}

/// A change that is made, or refused, and not told yet.
#[derive(Debug)]
pub struct Made {
    /// What it came to is not to be told before this log index is visible
    /// ([`Engine::wait_visible`]), as 0 always is.
    pub index: u64,
    /// What it came to, if that becomes visible.
    pub outcome: Result<Written, Error>,
}

/// A change that takes long, from before it waits for its turn until it is made.
struct Long<'e>(&'e AtomicUsize);

impl Long<'_> {
    fn begin(long: &AtomicUsize) -> Long<'_> {
        long.fetch_add(1, Ordering::Relaxed);
        Long(long)
    }
}

impl Drop for Long<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a data directory has besides memory.
struct Files {
    log: Log,
    checkpoints: Checkpoints,
    _lock: Box<dyn DiskLock>,
}

/// Above all log indexes.
const PRIVATE: u64 = 1 << 63;

/// Freeing fewer documents than this is not worth postponing.
const RETIRED_DOCUMENTS_MIN: u64 = 1000;

/// See the module.
pub struct Engine {
    shared: Arc<Shared>,
    writer: Mutex<State>,
    files: Option<Files>,
    commits: Commits,
    deadlines: Deadlines,
    durability: Durability,
    mode: StorageMode,
    /// Why, once it is.
    closed: OnceLock<Arc<str>>,
    entries: AtomicU64,
    refusals: AtomicU64,
    /// Changes under way behind which others have to wait for long.
    long: AtomicUsize,
    given_up: AtomicU64,
    expired: AtomicU64,
    /// What open transactions number their definitions by, instead of log indexes.
    private: AtomicU64,
    /// Collections whose tables wait to be freed.
    retired: Mutex<Vec<Arc<Collection>>>,
}

impl Engine {
    /// A database in memory alone.
    pub fn in_memory(options: EngineOptions) -> Engine {
        let state = State::new(options.seed, options.memory_limit, options.history);
        Engine::with(state, None, StorageMode::MemoryOnly, options.durability)
    }

    /// Opens the database in `dir` and brings its state back: the newest whole checkpoint, then
    /// the log after it. The answer says what was found.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        options: EngineOptions,
    ) -> Result<(Engine, Recovery), Error> {
        let (mode, durability) = (options.mode, options.durability);
        let opened = recovery::open(disk, dir, options)?;
        // Those that the log has made after the checkpoint.
        for collection in opened.state.catalog.collections() {
            for index in collection.indexes() {
                collection.table.build_step(&index, u32::MAX);
            }
        }
        let files = Files {
            log: opened.log,
            checkpoints: opened.checkpoints,
            _lock: opened.lock,
        };
        let engine = Engine::with(opened.state, Some(files), mode, durability);
        Ok((engine, opened.report))
    }

    fn with(
        state: State,
        files: Option<Files>,
        mode: StorageMode,
        durability: Option<Durability>,
    ) -> Engine {
        let commits = Commits::default();
        commits.start(state.logged.last_index);
        state.shared.logged.visible.advance(state.logged.last_index);
        state.shared.logged.visible.settle();
        state
            .shared
            .history
            .begin_if_always(state.logged.last_index);
        Engine {
            shared: Arc::clone(&state.shared),
            writer: Mutex::new(state),
            files,
            commits,
            deadlines: Deadlines::default(),
            durability: durability.unwrap_or(mode.durability()),
            mode,
            closed: OnceLock::new(),
            entries: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            long: AtomicUsize::new(0),
            given_up: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            private: AtomicU64::new(PRIVATE),
            retired: Mutex::new(Vec::new()),
        }
    }

    /// The level of a write that names none.
    pub fn default_durability(&self) -> Durability {
        self.durability
    }

    /// The storage mode.
    pub fn mode(&self) -> StorageMode {
        self.mode
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The log index up to which a collection has changed, with all of that in its table.
    pub(crate) fn changed(&self, collection: &Collection) -> u64 {
        let _state = self.writer.lock();
        collection.table.changed()
    }

    /// The next number for a definition of an open transaction.
    pub(crate) fn next_private(&self) -> u64 {
        self.private.fetch_add(1, Ordering::Relaxed)
    }

    /// The visible collections.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.load_full()
    }

    /// The newest visible log index.
    pub fn visible_index(&self) -> u64 {
        self.shared.logged.visible.index()
    }

    /// The newest visible state of a document. O(1) expected; never waits. `now` is asked only
    /// of a document that expires.
    #[inline]
    pub fn get(
        &self,
        collection: &Collection,
        key: &[u8],
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Document> {
        let domain = self.shared.domain(collection.definition.persistence);
        let found = collection.table.get(key, At::Latest, &domain.visible);
        found.filter(|found| Engine::is_live(found, domain, now))
    }

    /// The newest visible state of the document that has a key in a unique index of its collection.
    /// Never waits. `now` as above.
    pub fn get_unique(
        &self,
        collection: &Collection,
        unique: &FieldIndex,
        key: &[u8],
        now: impl Fn() -> Timestamp,
    ) -> Option<Document> {
        let domain = self.shared.domain(collection.definition.persistence);
        let table = &collection.table;
        table.get_unique(unique, key, &domain.visible, |found| {
            Engine::is_live(found, domain, &now)
        })
    }

    #[inline]
    fn is_live(found: &Document, domain: &Domain, now: impl FnOnce() -> Timestamp) -> bool {
        let expires_at = found.expires_at();
        expires_at.is_none_or(|expires_at| expires_at > domain.time_at_least(now()))
    }

    /// The visible state of now, kept until `deadline`.
    pub fn snapshot(&self, now: Timestamp, deadline: Timestamp) -> Snapshot {
        let snapshot = Snapshot::take(&self.shared, now, deadline);
        self.deadlines.watch(&snapshot);
        snapshot
    }

    /// Proposes a change and answers when its durability level is met and it is visible.
    ///
    /// `now` stamps the entry. Errors: [`Error::Refused`] by the state; memory and disk limits,
    /// with nothing changed; [`Error::OutcomeUnknown`] when the log failed after the change was
    /// made.
    pub fn propose(
        &self,
        now: Timestamp,
        command: &Command<'_>,
        level: Option<Durability>,
    ) -> Result<Written, Error> {
        let made = self.make(now, command, level);
        self.wait_visible(made.index)?;
        made.outcome
    }

    /// As [`Engine::propose`], without the last wait.
    pub fn make(&self, now: Timestamp, command: &Command<'_>, level: Option<Durability>) -> Made {
        self.make_prepared(now, command, level, Vec::new())
    }

    /// As [`Engine::make`], with tables that were made for the command's definitions.
    pub(crate) fn make_prepared(
        &self,
        now: Timestamp,
        command: &Command<'_>,
        level: Option<Durability>,
        prepared: Vec<Prepared>,
    ) -> Made {
        let _long = command.is_long().then(|| Long::begin(&self.long));
        let mut index = 0;
        let outcome = self.try_make(now, command, level, prepared, &mut index);
        Made { index, outcome }
    }

    /// Whether a change is being made behind which others have to wait for long.
    pub fn is_occupied(&self) -> bool {
        self.long.load(Ordering::Relaxed) > 0
    }

    /// With the index that the outcome rests on, unless that is visible.
    fn try_make(
        &self,
        now: Timestamp,
        command: &Command<'_>,
        level: Option<Durability>,
        tables: Vec<Prepared>,
        rests_on: &mut u64,
    ) -> Result<Written, Error> {
        let level = level.unwrap_or(self.durability);
        let payload = self.files.as_ref().map(|_| command.encode(now));
        let altering = self.altering(command);
        let prepared = match &altering {
            Some((watch, alteration)) => Some((self.prepare(watch, alteration, now)?, watch)),
            None => None,
        };
        let mut state = self.writer.lock();
        self.check_open()?;
        state.prepared = tables;
        if let Some((mut builder, watch)) = prepared {
            // The last changes, with writers waiting.
            builder.advance(state.next_time(Persistence::Logged, now))?;
            builder.catch_up()?;
            let old = watch.collection();
            let table = builder.finish(&self.shared.memory);
            state.prepared.push(Prepared {
                at: 0,
                old,
                table,
                until: None,
            });
        }
        let pinned = crossbeam_epoch::pin();
        let staged = state.stage(now, command, &pinned);
        state.prepared.clear();
        let mut staged = match staged {
            Ok(staged) => staged,
            Err(refused) => {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                *rests_on = refused.read;
                let (operation, refusal) = (refused.operation, refused.refusal);
                return Err(Error::Refused { operation, refusal });
            }
        };
        let volatile = staged.persistence == Persistence::Volatile;
        let level = match &self.files {
            Some(_) if !volatile => level,
            _ => level.min(Durability::Memory),
        };
        let (changes, redefines) = (staged.changes(), staged.redefines());
        if changes {
            self.make_room(&state, &staged)?;
            self.log_and_publish(&mut state, &mut staged, payload.as_deref(), level, &pinned)?;
        }
        drop(pinned);
        let index = if changes { staged.index } else { staged.read };
        if redefines {
            return self.settle_definition(state, staged, level);
        }
        drop(state);
        if staged.repeated {
            self.wait_visible(index)?;
            self.raise(index, level)?;
        } else if !volatile {
            *rests_on = index;
        }
        Ok(Written {
            index,
            time: staged.answer_time,
            durability: level,
            results: staged.results,
            repeated: staged.repeated,
        })
    }

    /// The alteration that a command is, and the notes of what writers change from now on. `None`
    /// also when somebody else is at it, or there is no such collection: the entry then does it, or
    /// is refused.
    fn altering<'c>(&self, command: &'c Command<'_>) -> Option<(Watch, Cow<'c, Alteration>)> {
        // Not under the lock, for most commands are writes.
        if matches!(command, Command::Write(_) | Command::Tick) {
            return None;
        }
        let state = self.writer.lock();
        let (id, alteration) = alteration_of(command, &state.catalog, PROVISIONAL)?;
        let found = state.catalog.known(id).ok()?;
        if alteration.leaves_documents(&found.definition) {
            return None;
        }
        Some((Watch::start(found)?, alteration))
    }

    /// Brings a collection's documents to another definition, beside running writers: all but
    /// the changes of the last moment.
    fn prepare<'a>(
        &self,
        watch: &Watch,
        alteration: &'a Alteration,
        now: Timestamp,
    ) -> Result<Builder<'a>, Error> {
        let mut builder = Builder::new(&watch.collection(), alteration, now, self.shared.seed)?;
        builder.copy(|builder| {
            builder.catch_up()?;
            self.fits(builder.bytes())
        })?;
        builder.catch_up()?;
        builder.index()?;
        // Until little is left; a writer faster than this one would never let it end.
        for _ in 0..10 {
            if builder.catch_up()? < 100 {
                break;
            }
        }
        Ok(builder)
    }

    pub(crate) fn fits(&self, bytes: usize) -> Result<(), Error> {
        let memory = &self.shared.memory;
        match memory.limit() {
            Some(limit) if !memory.fits(bytes) => Err(Error::MemoryLimit {
                needed: bytes as u64,
                used: memory.used(),
                limit,
            }),
            _ => Ok(()),
        }
    }

    /// Brings an entry that met its own level to the one that its repetition asks for.
    fn raise(&self, index: u64, level: Durability) -> Result<(), Error> {
        let level = match level {
            Durability::None | Durability::Memory => return Ok(()),
            Durability::Os => FlushLevel::Written,
            Durability::Full => FlushLevel::Synced,
        };
        let Some(files) = &self.files else {
            return Ok(());
        };
        files
            .log
            .flush(index, level)
            .map_err(|error| Error::OutcomeUnknown {
                cause: error.to_string().into(),
            })
    }

    /// Refuses what does not fit memory. What only removes may always go on.
    fn make_room(&self, state: &State, staged: &Staged) -> Result<(), Error> {
        let memory = &state.shared.memory;
        let needed = staged.bytes();
        if !memory.fits(needed) {
            state.shared.history.make_room(needed, memory);
        }
        // Indexes and tables that were built for it are counted already.
        match memory.limit() {
            Some(limit) if !memory.fits(needed) && !staged.only_removes() => {
                Err(Error::MemoryLimit {
                    needed: needed as u64,
                    used: memory.used(),
                    limit,
                })
            }
            _ => Ok(()),
        }
    }

    /// The steps in memory: log buffer, state, pending visibility.
    fn log_and_publish(
        &self,
        state: &mut State,
        staged: &mut Staged,
        payload: Option<&[u8]>,
        level: Durability,
        guard: &Guard,
    ) -> Result<(), Error> {
        let persistence = staged.persistence;
        let log = match (&self.files, persistence, payload) {
            (Some(files), Persistence::Logged, Some(payload)) => Some((&files.log, payload)),
            _ => None,
        };
        let term = state.logged.last_term;
        if let Some((log, payload)) = log {
            if staged.only_removes() {
                log.reserve_to_remove(payload.len() as u64)?;
            } else {
                log.reserve(payload.len() as u64)?;
            }
            log.append(staged.index, term, payload)?;
        }
        state.publish(staged, term, guard);
        match log {
            Some(_) => self.commits.applied(staged.index, level),
            None => state
                .shared
                .domain(persistence)
                .visible
                .advance(staged.index),
        }
        state.collect_step(persistence);
        // Only the writer changes it: no locked instruction is needed.
        let entries = self.entries.load(Ordering::Relaxed) + 1;
        self.entries.store(entries, Ordering::Relaxed);
        Ok(())
    }

    /// Makes a new definition durable and visible before anybody else writes: definitions are
    /// rare, and a catalog that is visible too early or too late would be a wrong read.
    fn settle_definition(
        &self,
        state: MutexGuard<'_, State>,
        staged: Staged,
        level: Durability,
    ) -> Result<Written, Error> {
        if let Some(files) = &self.files {
            self.wait_visible(staged.index - 1)?;
            let flush = if level == Durability::Full {
                FlushLevel::Synced
            } else {
                FlushLevel::Written
            };
            files
                .log
                .flush(staged.index, flush)
                .map_err(|error| Error::OutcomeUnknown {
                    cause: error.to_string().into(),
                })?;
        }
        let old = self.shared.catalog.load_full();
        self.shared.logged.snapshots.exclude(|| {
            self.shared.catalog.store(Arc::clone(&state.catalog));
            match &self.files {
                Some(files) => {
                    self.commits
                        .advance(staged.index, &files.log, &self.shared.logged.visible);
                }
                None => self.shared.logged.visible.advance(staged.index),
            }
        });
        for old in old.collections() {
            let same = state
                .catalog
                .by_id(old.id)
                .is_some_and(|new| Arc::ptr_eq(new, old));
            if !same {
                old.supersede();
                self.retire(old);
            }
        }
        drop(state);
        Ok(Written {
            index: staged.index,
            time: staged.answer_time,
            durability: level,
            results: staged.results,
            repeated: false,
        })
    }

    /// Keeps a collection with many documents, whose table is not the newest any more, until
    /// [`Engine::tend`] frees it: nobody who merely lets go of a handle shall pay for that.
    fn retire(&self, old: &Arc<Collection>) {
        if old.table.live() > RETIRED_DOCUMENTS_MIN {
            self.retired.lock().push(Arc::clone(old));
        }
    }

    /// Forces everything applied so far to the disk (`full`) or to the operating system.
    pub fn flush(&self, level: FlushLevel) -> Result<(), Error> {
        let Some(files) = &self.files else {
            return Ok(());
        };
        let last = files.log.last_index();
        if last > 0 {
            files.log.flush(last, level)?;
        }
        self.commits
            .advance(last, &files.log, &self.shared.logged.visible);
        Ok(())
    }

    /// Writes a checkpoint of the present state, beside running writers, and lets go of the log
    /// that no kept checkpoint needs. One at a time. The answer is its index; in memory-only
    /// mode, or when nothing has changed since the last one, nothing is written.
    pub fn checkpoint(&self) -> Result<u64, Error> {
        let Some(files) = &self.files else {
            return Ok(0);
        };
        self.check_open()?;
        files
            .checkpoints
            .write(|| self.begin_checkpoint(), &files.log)
    }

    fn begin_checkpoint(&self) -> crate::checkpoint::Source {
        let state = self.writer.lock();
        let index = state.logged.last_index;
        let time = Timestamp(state.logged.last_time);
        let snapshots = &self.shared.logged.snapshots;
        let (_, _, catalog) = snapshots.register(|| (index, time, Arc::clone(&state.catalog)));
        crate::checkpoint::Source {
            index,
            term: state.logged.last_term,
            time: time.0,
            next_collection: state.next_collection(),
            changed: state.changed(),
            snapshot: Snapshot::hold(&self.shared, catalog, index, time, Timestamp(i64::MAX)),
        }
    }

    /// A number that is equal for equal logged states. Stops writers while it runs.
    pub fn digest(&self) -> u128 {
        self.writer.lock().digest()
    }

    /// Fails when the database was closed or its log has failed.
    pub fn check_open(&self) -> Result<(), Error> {
        if let Some(cause) = self.closed.get() {
            return Err(Error::Closed {
                cause: Arc::clone(cause),
            });
        }
        match &self.files {
            Some(files) => files.log.check_open().map_err(Error::from),
            None => Ok(()),
        }
    }

    /// Fails as [`Engine::check_open`], and while writes are refused for another reason that lasts:
    /// the log finds no space.
    pub fn check_writes(&self) -> Result<(), Error> {
        self.check_open()?;
        let refusal = self.files.as_ref().and_then(|files| files.log.refusal());
        refusal.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Refuses writes from now on and forces the log to the disk. Reads go on.
    pub fn close(&self, cause: &str) -> Result<(), Error> {
        let writer = self.writer.lock();
        // The first cause stays.
        self.closed.get_or_init(|| cause.into());
        drop(writer);
        let flushed = self.flush(FlushLevel::Synced);
        self.shared.logged.visible.bell().ring();
        flushed
    }
}
