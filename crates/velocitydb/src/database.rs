//! The database: opening and closing, collections, transactions, health, background work.
//!
//! [`Store`] is all there is: the engine, its log and its threads. A [`Database`] is a handle to one
//! database of it ([`Namespace`]); the others are found from each (`crate::databases`).

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use smallvec::SmallVec;
use velocitydb_engine::catalog::{
    Catalog, Collection as Runtime, CollectionId, DatabaseId, Definition, Persistence,
};
use velocitydb_engine::changes::VisibleWatch;
use velocitydb_engine::command::{Command, Mode, Operation, Refusal, Write};
use velocitydb_engine::log::FlushLevel;
use velocitydb_engine::snapshot::Snapshot;
use velocitydb_engine::transaction::{Isolation, Transaction};
use velocitydb_engine::{
    Document, Durability, Engine, EngineOptions, EngineStats, Error, Recovery, Rekey, StorageMode,
    Written,
};
use velocitydb_query::QueryMemory;
use velocitydb_types::{Key, Timestamp, Uuid};

use crate::background::{Alarm, Workers};
use crate::batch::{self, Batch, BatchAnswer, Step};
use crate::changes::ChangesRequest;
use crate::clock::Clock;
use crate::collection::Collection;
use crate::collections::Collections;
use crate::committing::Flusher;
use crate::databases::Namespace;
use crate::ids::Random;
use crate::locks::{LockOptions, Locks};
use crate::notifications::Notifications;
use crate::options::{Background, Call, Consistency, Options};

/// A database. Cheap to clone: all clones are the same one, closed when the last goes, and the
/// last of the others beside it ([`Database::database`]).
#[derive(Clone)]
pub struct Database(pub(crate) Arc<Inner>);

/// One database of a store: names are looked up in it.
pub(crate) struct Inner {
    pub(crate) store: Arc<Store>,
    pub(crate) namespace: Arc<Namespace>,
}

impl Deref for Inner {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// See the module.
pub(crate) struct Store {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) options: Options,
    /// What all queries take from.
    pub(crate) query_memory: Arc<QueryMemory>,
    alarm: Arc<Alarm>,
    pub(crate) flusher: Arc<Flusher>,
    recovery: Recovery,
    /// Whether everything was saved and the owner said that it is enough.
    closed: AtomicBool,
    /// Held while a schema is loaded.
    pub(crate) loading: Mutex<()>,
    pub(crate) databases: Mutex<HashMap<DatabaseId, Arc<Namespace>>>,
    pub(crate) locks: Locks,
    /// Transactions that have defined something and are open.
    pub(crate) defining: AtomicUsize,
    // Last: the threads end before what they use goes.
    workers: Mutex<Option<Workers>>,
}

/// What [`Database::read`] has found.
#[derive(Debug, Clone)]
pub struct Read {
    /// The id that was made.
    pub key: Key,
    /// The document, if there is one.
    pub document: Option<Document>,
    /// The log index whose state this is.
    pub index: u64,
}

/// The answer to a call that changes something.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Log index of the change: a token for reading one's own writes, and a fencing token.
    pub index: u64,
    /// Log time of the change.
    pub time: Timestamp,
    /// The level really given.
    pub consistency: Consistency,
    /// The level really given.
    pub durability: Durability,
    /// Whether this is the kept outcome of an earlier request with the same idempotency key.
    pub repeated: bool,
}

impl<T> Answer<T> {
    /// The same answer about something else.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        Answer {
            value: f(self.value),
            index: self.index,
            time: self.time,
            consistency: self.consistency,
            durability: self.durability,
            repeated: self.repeated,
        }
    }

    pub(crate) fn of(value: T, written: &Written, call: &Call) -> Answer<T> {
        Answer {
            value,
            index: written.index,
            time: written.time,
            consistency: call.consistency,
            durability: written.durability,
            repeated: written.repeated,
        }
    }
}

/// Whether the database can serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether reads are served: always, while the process lives.
    pub reads: bool,
    /// Whether writes are served, or why not. A disk without space refuses them only until there
    /// is some again; what only removes is served meanwhile, as long as the space kept for it
    /// lasts.
    pub writes: Result<(), String>,
    /// Whether writes are refused until the database is opened again.
    pub closed: bool,
    /// Figures worth an eye: `None` when there is nothing to say.
    pub warning: Option<String>,
}

impl Database {
    /// Opens a database, bringing back what was in it. See [`Options`].
    pub fn open(options: Options) -> Result<Database, Error> {
        let random = Random::new(options.seed);
        let salts_from = Random::new(options.seed.map(|seed| seed ^ 0x5a17));
        let mut log = options.log.clone();
        log.keys = options.keys.clone();
        let engine_options = EngineOptions {
            mode: options.mode,
            durability: options.durability,
            memory_limit: options.memory_limit,
            history: options.history,
            log,
            checkpoints_kept: options.checkpoints_kept,
            seed: random.number(),
            salts: Box::new(move || salts_from.bytes()),
        };
        let (engine, recovery) = match (&options.dir, options.mode) {
            (_, StorageMode::MemoryOnly) => {
                (Engine::in_memory(engine_options), Recovery::default())
            }
            (None, mode) => {
                return Err(Error::Invalid(format!(
                    "storage mode {} needs a directory",
                    mode.name()
                )));
            }
            (Some(dir), _) => Engine::open(Arc::clone(&options.disk), dir.clone(), engine_options)?,
        };
        let (engine, alarm) = (Arc::new(engine), Arc::new(Alarm::default()));
        let flusher = Arc::new(Flusher::default());
        let workers = match options.background {
            Background::Owner => None,
            Background::Threads => Some(Workers::start(&engine, &options, &alarm, &flusher)?),
        };
        let store = Arc::new(Store {
            engine,
            clock: Arc::clone(&options.clock),
            random,
            query_memory: QueryMemory::new(options.query_memory_bytes()),
            locks: Locks::new(&LockOptions::default(), Arc::clone(&options.clock)),
            defining: AtomicUsize::new(0),
            options,
            alarm,
            flusher,
            recovery,
            closed: AtomicBool::new(false),
            loading: Mutex::default(),
            databases: Mutex::default(),
            workers: Mutex::new(workers),
        });
        let database = Database::of(&store, DatabaseId::VELOCITY);
        for id in database.0.engine.catalog().databases().map(|(id, _)| id) {
            // Those of sessions that a crash has ended.
            Database::of(&store, id).drop_named(crate::temporary::is_temporary)?;
        }
        Ok(database)
    }

    /// A database in memory alone.
    pub fn in_memory() -> Result<Database, Error> {
        Database::open(Options::in_memory())
    }

    /// What the start found: checkpoint, replayed entries, a torn tail that was cut.
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// The present time, as the database sees it.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Creates a collection.
    pub fn create_collection(&self, definition: Definition) -> Result<Answer<Collection>, Error> {
        self.create_collection_with(definition, &Call::new())
    }

    /// Creates a collection, with options.
    pub fn create_collection_with(
        &self,
        definition: Definition,
        call: &Call,
    ) -> Result<Answer<Collection>, Error> {
        crate::temporary::check_lasting(&definition.name)?;
        self.create(definition, call)
    }

    pub(crate) fn create(
        &self,
        definition: Definition,
        call: &Call,
    ) -> Result<Answer<Collection>, Error> {
        let (database, name) = (self.0.namespace.id, definition.name.clone());
        let written = self.0.define(
            Command::CreateCollection(database, Box::new(definition)),
            call,
        )?;
        Ok(Answer::of(self.collection(&name)?, &written, call))
    }

    /// Keeps others who ask for it from defining anything for as long as the answer lives: for
    /// definitions that depend on others.
    pub fn define_alone(&self) -> impl Sized + use<'_> {
        self.0.loading.lock()
    }

    /// Drops a collection with all its documents.
    pub fn drop_collection(&self, name: &str) -> Result<Answer<()>, Error> {
        self.drop_collection_with(name, &Call::new())
    }

    /// As [`Database::drop_collection`], with options.
    pub fn drop_collection_with(&self, name: &str, call: &Call) -> Result<Answer<()>, Error> {
        self.0.redefine(name, call, Command::DropCollection)
    }

    /// A handle to a collection.
    pub fn collection(&self, name: &str) -> Result<Collection, Error> {
        Collection::new(Arc::clone(&self.0), name)
    }

    /// A handle for a call or two, which ask for what `call` says. It is made faster than one of
    /// [`Database::collection`], and looks the collection up at each call.
    pub fn collection_with(&self, name: &str, call: Call) -> Result<Collection, Error> {
        Collection::for_call(Arc::clone(&self.0), name, call)
    }

    /// Reads one document now, for a caller that has the collection's name and no handle. `key`
    /// makes the id by what the collection is.
    ///
    /// # Errors
    /// What `key` answers; there is no such collection; the call comes too late.
    pub fn read<E: From<Error>>(
        &self,
        collection: &str,
        call: &Call,
        key: impl FnOnce(&Definition) -> Result<Key, E>,
    ) -> Result<Read, E> {
        let now = self.0.begin(call)?;
        let engine = &self.0.engine;
        // Before the document is looked for: what is found was the newest at this index too,
        // unless it was written later.
        let index = engine.visible_index();
        let runtime = self.0.runtime(collection)?;
        let key = key(&runtime.definition)?;
        let document = engine.get(&runtime, key.as_bytes(), || now);
        let logged = runtime.definition.persistence == Persistence::Logged;
        let later = document.as_ref().filter(|_| logged);
        let index = later.map_or(index, |document| document.meta().index.max(index));
        Ok(Read {
            key,
            document,
            index,
        })
    }

    /// The definitions of all collections, by name.
    pub fn collections(&self) -> Vec<Definition> {
        let catalog = self.0.engine.catalog();
        catalog
            .collections_of(self.0.namespace.id)
            .map(|collection| collection.definition.clone())
            .collect()
    }

    /// The collections that there are now, with their numbers.
    pub fn catalog(&self) -> Collections {
        Collections::new(self.0.engine.catalog(), self.0.namespace.id)
    }

    /// The name of a collection, if there is one of this number in this database.
    pub fn collection_name(&self, id: crate::locks::CollectionId) -> Option<String> {
        let catalog = self.0.engine.catalog();
        let collection = catalog.by_id(id)?;
        let own = collection.database == self.0.namespace.id;
        own.then(|| collection.definition.name.clone())
    }

    /// Makes changes in several collections at once.
    pub fn batch(&self, batch: Batch) -> Result<Answer<BatchAnswer>, Error> {
        self.batch_with(batch, &Call::new())
    }

    /// As [`Database::batch`], with options.
    pub fn batch_with(&self, batch: Batch, call: &Call) -> Result<Answer<BatchAnswer>, Error> {
        batch.execute(&self.0, call)
    }

    /// The locks of those who want to wait for each other ([`crate::Transaction::lock_as`]).
    pub fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// Messages to whoever listens.
    pub fn notifications(&self) -> &Notifications {
        &self.0.namespace.notifications
    }

    /// Begins a transaction. It holds no locks; see [`Isolation`].
    pub fn begin(&self, isolation: Isolation) -> crate::transaction::Transaction {
        let now = self.now();
        let deadline = self.0.snapshot_deadline(now);
        let engine = Arc::clone(&self.0.engine);
        let transaction = Transaction::begin(engine, isolation, now, deadline);
        crate::transaction::Transaction::new(Arc::clone(&self.0), transaction)
    }

    /// Runs `work` in a transaction and commits it, again when there was a conflict: after a
    /// pause that doubles each time (50 µs to 20 ms, in part random), up to 100 times.
    pub fn transact<T>(
        &self,
        isolation: Isolation,
        mut work: impl FnMut(&mut crate::transaction::Transaction) -> Result<T, Error>,
    ) -> Result<Answer<T>, Error> {
        let mut pause_us = 50;
        for attempt in 1.. {
            let mut transaction = self.begin(isolation);
            let result = work(&mut transaction)
                .and_then(|value| transaction.commit().map(|answer| answer.map(|()| value)));
            match result {
                Err(error) if error.is_retryable() && attempt < 100 => {
                    let jitter_us = self.0.random.below(pause_us);
                    std::thread::sleep(Duration::from_micros(pause_us / 2 + jitter_us / 2));
                    pause_us = (pause_us * 2).min(20_000);
                }
                result => return result,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// The visible state of now, for reads that belong together. It keeps old versions alive
    /// until it is dropped or its deadline passes.
    pub fn snapshot(&self) -> View {
        self.0.view(self.0.clock.now())
    }

    /// Follows the changes of all collections. See [`ChangesRequest`].
    pub fn changes(&self) -> ChangesRequest {
        ChangesRequest::new(Arc::clone(&self.0), None)
    }

    /// What one task can wait with for the visible index, on behalf of many streams of changes.
    pub fn watch_visible(&self) -> VisibleWatch {
        self.0.engine.watch_visible()
    }

    /// Returns once the change of this index is visible here: reads what another call wrote.
    /// [`Error::Invalid`] when nothing has been written under this index yet.
    pub fn wait_for(&self, index: u64) -> Result<(), Error> {
        self.0.engine.wait_visible(index)
    }

    /// Forces everything written so far to the disk.
    pub fn sync(&self) -> Result<(), Error> {
        self.0.engine.flush(FlushLevel::Synced)
    }

    /// Writes a checkpoint now; the answer is its log index. Without a directory nothing is done.
    pub fn checkpoint(&self) -> Result<u64, Error> {
        self.0.engine.checkpoint()
    }

    /// One step of bringing all files under the present key, for owners that chose
    /// [`Background::Owner`]: writes a checkpoint. The answer is what is left.
    pub fn rekey(&self) -> Result<Rekey, Error> {
        self.0.engine.rekey(self.now())
    }

    /// One round of background work, for owners that chose [`Background::Owner`].
    pub fn tend(&self) -> Result<bool, Error> {
        self.0.engine.tend(self.now(), 10_000)
    }

    /// Figures for metrics.
    pub fn stats(&self) -> EngineStats {
        self.0.engine.stats()
    }

    /// What all queries keep together, and may: [`Options::query_memory`].
    pub fn query_memory(&self) -> &Arc<QueryMemory> {
        &self.0.query_memory
    }

    /// A random number, of the source that ids come from.
    pub fn random(&self) -> u64 {
        self.0.random.number()
    }

    /// A new UUIDv7, as ids are: one that is made later sorts later.
    pub fn new_uuid(&self) -> Uuid {
        self.0.random.uuid(self.now())
    }

    /// The storage mode.
    pub fn mode(&self) -> StorageMode {
        self.0.engine.mode()
    }

    /// The level of writes that name none.
    pub fn default_durability(&self) -> Durability {
        self.0.engine.default_durability()
    }

    /// A number that is equal for equal logged states. Stops writers while it runs.
    pub fn digest(&self) -> u128 {
        self.0.engine.digest()
    }

    /// Whether the database can serve.
    pub fn health(&self) -> Health {
        let stats = self.stats();
        let warning = match (stats.memory_limit, self.0.alarm.last()) {
            (_, Some(failure)) => Some(format!("background work failed: {failure}")),
            (_, None) if stats.log.is_some_and(|log| log.short_of_space) => Some(
                "the disk has little space left: the log's files are made smaller, and older \
                 checkpoints are given up"
                    .to_owned(),
            ),
            (Some(limit), None) if stats.memory_used > limit / 10 * 9 => Some(format!(
                "{} of {limit} bytes of memory are used",
                stats.memory_used
            )),
            _ => None,
        };
        let engine = &self.0.engine;
        Health {
            reads: true,
            writes: engine.check_writes().map_err(|error| error.to_string()),
            closed: engine.check_open().is_err(),
            warning,
        }
    }

    /// Refuses writes from now on, writes a last checkpoint and forces everything to the disk.
    /// Reads go on. Dropping the last handle does the same, but cannot say what failed. Closing
    /// twice is fine; [`Error::Closed`] when the log had failed before.
    pub fn close(&self) -> Result<(), Error> {
        self.0.close()
    }

    /// Runs a call where blocking is allowed, and gives a future for its answer. Any runtime.
    ///
    /// A read, or a write that does not wait for the disk, takes microseconds and needs no
    /// future.
    #[cfg(feature = "async")]
    pub fn run<T, W>(&self, work: W) -> impl Future<Output = T> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Database) -> T + Send + 'static,
    {
        let database = self.clone();
        blocking::unblock(move || work(&database))
    }
}

impl Inner {
    /// The collection of this name in a catalog of now or of then.
    pub(crate) fn find<'a>(
        &self,
        catalog: &'a Catalog,
        name: &str,
    ) -> Result<&'a Arc<Runtime>, Error> {
        let found = catalog.get(self.namespace.id, name);
        found.ok_or_else(|| Error::UnknownCollection(name.to_owned()))
    }

    pub(crate) fn runtime(&self, name: &str) -> Result<Arc<Runtime>, Error> {
        self.find(&self.engine.catalog(), name).cloned()
    }

    /// The state of now.
    pub(crate) fn view(&self, now: Timestamp) -> View {
        let deadline = self.snapshot_deadline(now);
        self.view_of(self.engine.snapshot(now, deadline))
    }

    /// The state of a snapshot.
    pub(crate) fn view_of(&self, snapshot: Snapshot) -> View {
        View {
            snapshot,
            database: self.namespace.id,
            memory: Arc::clone(&self.query_memory),
        }
    }

    /// Changes the definition of the collection that has this name; the name is looked up again
    /// when that collection is dropped in between.
    pub(crate) fn redefine(
        &self,
        name: &str,
        call: &Call,
        command: impl Fn(CollectionId) -> Command<'static>,
    ) -> Result<Answer<()>, Error> {
        loop {
            let id = self.runtime(name)?.id;
            match self.define(command(id), call) {
                Err(Error::Refused {
                    refusal: Refusal::UnknownCollection(_),
                    ..
                }) => {}
                result => return result.map(|written| Answer::of((), &written, call)),
            }
        }
    }

    /// Proposes a write made by `prepare` under the present catalog; resolved again when a
    /// definition changes in between.
    pub(crate) fn write<'a>(
        &self,
        call: &Call,
        mode: Mode,
        steps: &[Step<'_>],
        mut prepare: impl FnMut(Timestamp) -> Result<Prepared<'a>, Error>,
    ) -> Result<Written, Error> {
        loop {
            let now = self.begin(call)?;
            let Prepared {
                resolved_at,
                operations,
            } = prepare(now)?;
            let retry = batch::retry(self.namespace.id, call, now, || {
                batch::fingerprint(mode, steps)
            })?;
            let operations = operations[..].into();
            let write = Write {
                mode,
                resolved_at,
                operations,
                retry,
            };
            match self
                .engine
                .propose(now, &Command::Write(write), call.durability)
            {
                Err(Error::Refused {
                    refusal: Refusal::DefinitionChanged | Refusal::UnknownCollection(_),
                    ..
                }) => {}
                result => return result,
            }
        }
    }
}

impl Store {
    pub(crate) fn snapshot_deadline(&self, now: Timestamp) -> Timestamp {
        let after = i64::try_from(self.options.snapshot_deadline.as_micros()).unwrap_or(i64::MAX);
        Timestamp(now.0.saturating_add(after))
    }

    /// The time of a call, unless it comes too late.
    pub(crate) fn begin(&self, call: &Call) -> Result<Timestamp, Error> {
        let now = self.clock.now();
        match call.deadline {
            Some(deadline) if deadline <= now => Err(Error::DeadlineExceeded),
            _ => Ok(now),
        }
    }

    pub(crate) fn define(&self, command: Command<'_>, call: &Call) -> Result<Written, Error> {
        let now = self.begin(call)?;
        if call.idempotency.is_some() {
            let what = "idempotency keys are for changes of documents: definitions are refused \
                        the second time anyway";
            return Err(Error::Invalid(what.into()));
        }
        self.engine.propose(now, &command, call.durability)
    }

    fn close(&self) -> Result<(), Error> {
        drop(self.workers.lock().take());
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        // After a failure there is nothing left to save, and the owner must not take it as saved.
        self.engine.check_open()?;
        for namespace in self.databases.lock().values() {
            namespace.sequences.settle(self);
        }
        let checkpoint = self.engine.checkpoint();
        self.engine.close("it was closed by its owner")?;
        self.closed.store(true, Ordering::Release);
        checkpoint.map(|_| ())
    }
}

/// Operations and the catalog under which they were resolved.
pub(crate) struct Prepared<'a> {
    pub(crate) resolved_at: u64,
    pub(crate) operations: SmallVec<[Operation<'a>; 1]>,
}

impl Drop for Store {
    fn drop(&mut self) {
        // Whoever wants to know what failed calls `Database::close`.
        let _ = self.close();
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dir = self.0.options.dir.as_deref();
        f.debug_struct("Database")
            .field("mode", &self.mode())
            .field("dir", &dir)
            .finish()
    }
}

/// The state at one log index, across collections. From [`Database::snapshot`].
#[derive(Clone)]
pub struct View {
    pub(crate) snapshot: Snapshot,
    pub(crate) database: DatabaseId,
    /// What its queries take from.
    pub(crate) memory: Arc<QueryMemory>,
}

impl View {
    /// The log index.
    pub fn index(&self) -> u64 {
        self.snapshot.index()
    }

    /// A collection as it was.
    pub fn collection(&self, name: &str) -> Result<crate::view::CollectionView, Error> {
        crate::view::CollectionView::new(self, name)
    }
}
