//! One node under test: a database on a simulated disk with a clock turned by hand, beside the
//! oracle of what it must hold.
//!
//! Each [`Operation`](crate::operation::Operation) is given to both, and their answers must be
//! equal. Each log index is kept with the oracle's state and the database's digest at it. After
//! a crash the database must open with one of these states, bit by bit: at least the newest that
//! its durability level promised, and none that was never there.
//!
//! Nothing runs in the background, so a seed gives one trace. A violation panics; the trace's
//! end is printed with it. In reading order: this file opens, ends and keeps account; `perform`
//! does operations; `readers` compares. Tests: `tests/it`.

mod perform;
mod readers;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use velocitydb::{
    Background, Database, Durability, EncryptionKeys, Error, LogOptions, ManualClock, Options,
    Recovery, Timestamp, View,
};

use crate::disk::{CrashMode, SimDisk};
use crate::model::Model;
use readers::compare;

/// Where the database lives on the simulated disk.
pub const DIR: &str = "/data";

/// Lines of the trace that are printed with a violation.
const SHOWN: usize = 60;
/// Characters of each.
const LINE_SHOWN: usize = 240;

/// What a node is opened with besides its seed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The log's sizes and write path.
    pub log: LogOptions,
    /// Checkpoints kept.
    pub checkpoints_kept: usize,
    /// The level of writes that name none.
    pub durability: Durability,
    /// Its keys.
    pub keys: EncryptionKeys,
}

impl Settings {
    /// Small segments, so that they roll over; two checkpoints; `os`.
    pub fn small() -> Settings {
        let mut log = LogOptions::default();
        (log.first_segment_bytes, log.segment_bytes) = (2048, 4096);
        (log.compression, log.compress_above) = (velocitydb_engine::log::Compression::Lz4, 100);
        Settings {
            log,
            checkpoints_kept: 2,
            durability: Durability::Os,
            keys: EncryptionKeys::default(),
        }
    }
}

/// Whether file operations may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// They do not: any failure is a violation.
    None,
    /// They may: a request may fail with a clear error.
    Planned,
}

/// What happened so far, for tests to see that enough did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changes that were acknowledged.
    pub acknowledged: u64,
    /// Requests that the state refused.
    pub refused: u64,
    /// Of these, transactions that met a conflict.
    pub conflicts: u64,
    /// Requests answered from an earlier one.
    pub repeated: u64,
    /// Requests that failed because of a planned fault.
    pub failed: u64,
    /// Opens.
    pub opened: u64,
    /// Entries that a crash took back; all were acknowledged for less than it.
    pub lost: u64,
    /// Opens that loaded a checkpoint and applied entries after it.
    pub from_both: u64,
    /// Opens that cut a torn tail.
    pub torn: u64,
    /// Snapshots that were checked.
    pub snapshots: u64,
}

/// What the database must hold at a log index.
#[derive(Debug, Clone)]
struct Moment {
    model: Model,
    /// Not known of a change whose request failed before it could be asked for.
    digest: Option<u128>,
}

struct Held {
    view: View,
    model: Model,
    deadline: Timestamp,
    given_up: bool,
}

/// See the module.
pub struct Node {
    seed: u64,
    settings: Settings,
    disk: SimDisk,
    clock: Arc<ManualClock>,
    database: Option<Database>,
    /// What the last open found.
    recovery: Recovery,
    model: Model,
    moments: BTreeMap<u64, Moment>,
    /// Entries up to here survive a crash of the process, and a loss of power.
    written: u64,
    synced: u64,
    held: Vec<Held>,
    /// Whether a failed request left the log closed.
    broken: bool,
    faults: Faults,
    counts: Counts,
    trace: VecDeque<String>,
    trace_hash: xxhash_rust::xxh3::Xxh3,
    label: String,
}

/// How long a snapshot may be kept: shorter than some steps of the clock.
const SNAPSHOT_KEPT: std::time::Duration = std::time::Duration::from_secs(300);

impl Node {
    /// A node with an empty disk, not yet opened. `label` names it in messages.
    pub fn new(seed: u64, settings: Settings, label: impl Into<String>) -> Node {
        let model = Model::default();
        Node {
            seed,
            settings,
            disk: SimDisk::new(seed),
            clock: Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000))),
            database: None,
            recovery: Recovery::default(),
            moments: BTreeMap::from([(
                0,
                Moment {
                    model: model.clone(),
                    digest: None,
                },
            )]),
            model,
            written: 0,
            synced: 0,
            held: Vec::new(),
            broken: false,
            faults: Faults::None,
            counts: Counts::default(),
            trace: VecDeque::new(),
            trace_hash: xxhash_rust::xxh3::Xxh3::new(),
            label: label.into(),
        }
    }

    /// The disk of the present boot.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// Puts another disk in the place of this one; the database must be closed.
    pub fn set_disk(&mut self, disk: SimDisk) {
        assert!(
            self.database.is_none(),
            "a disk is not changed under a database"
        );
        self.disk = disk;
    }

    /// What the database must hold.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What the last open found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The database, when it is open.
    pub fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// Whether the log was closed by a failure: only a restart helps.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Says whether file operations may fail from now on.
    pub fn expect_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// A hash of everything that was done and answered, of every digest of the state and of
    /// every file operation.
    pub fn digest(&self) -> u128 {
        self.trace_hash.digest128()
    }

    /// The newest lines of the trace, oldest first.
    pub fn trace(&self) -> impl Iterator<Item = &str> {
        self.trace.iter().map(String::as_str)
    }

    fn note(&mut self, line: String) {
        self.trace_hash.update(line.as_bytes());
        let operations = self.disk.operations();
        self.trace_hash.update(&operations.to_le_bytes());
        if self.trace.len() == SHOWN {
            self.trace.pop_front();
        }
        let shown: String = line.chars().take(LINE_SHOWN).collect();
        self.trace.push_back(format!("[{operations}] {shown}"));
    }

    /// Opens a database on a disk. `seed` must be another each time: salts follow from it.
    fn start(&self, disk: &SimDisk, seed: u64) -> Result<Database, Error> {
        let options = Options::at(PathBuf::from(DIR))
            .durability(self.settings.durability)
            .log(self.settings.log.clone())
            .encryption(self.settings.keys.clone())
            .checkpoints_kept(self.settings.checkpoints_kept)
            .snapshot_deadline(SNAPSHOT_KEPT)
            .disk(Arc::new(disk.clone()))
            .clock(Arc::clone(&self.clock) as _)
            .background(Background::Owner)
            .seed(seed);
        Database::open(options)
    }

    /// What the database holds that was just opened: the state of one moment, whole.
    fn moment_of(&self, database: &Database) -> (u64, Model) {
        let recovery = database.recovery();
        let index = recovery.last_index;
        let moment = self.moments.get(&index);
        let moment = moment.unwrap_or_else(|| panic!("nothing ever ended at entry {index}"));
        assert_eq!(recovery.checkpoint_index + recovery.entries_replayed, index);
        if let Some(digest) = moment.digest {
            assert_eq!(database.digest(), digest, "the digest at {index}");
        }
        let mut model = moment.model.clone();
        model.restart();
        compare(database, &model, true);
        (index, model)
    }

    /// Opens the database on another disk: a damaged copy. On success its state is that of one
    /// moment; the answer is what was found.
    ///
    /// # Errors
    /// What the database says of the damage.
    pub fn examine(&self, disk: &SimDisk) -> Result<Recovery, Error> {
        let database = self.start(disk, disk.operations())?;
        self.moment_of(&database);
        let recovery = database.recovery().clone();
        // What a drop would write is of no interest.
        disk.crash(CrashMode::Process);
        Ok(recovery)
    }

    /// The newest entry that must be there after a crash or a sequence of them; the worst counts.
    fn promised(&self, worst: CrashMode) -> u64 {
        match worst {
            CrashMode::Process => self.written,
            CrashMode::PowerLoss => self.synced,
        }
    }

    /// Opens a copy of the disk without its newest checkpoint, as if that could not be read: the
    /// one before it and the log behind that hold everything promised. Nothing is done when no
    /// other checkpoint need be there.
    ///
    /// # Panics
    /// When they do not.
    pub fn examine_older_checkpoint(&self, worst: CrashMode) {
        let mut checkpoints = self.disk.paths();
        checkpoints.retain(|path| path.extension().is_some_and(|ending| ending == "ckpt"));
        let Some(newest) = checkpoints.last() else {
            return;
        };
        // Before as many as are kept exist, the log is whole.
        if checkpoints.len() < 2 && self.settings.checkpoints_kept < 2 {
            return;
        }
        let copy = self.disk.copy(self.seed);
        assert!(copy.lose(newest), "it was just listed");
        let recovery = match self.examine(&copy) {
            Ok(recovery) => recovery,
            Err(error) => panic!("without {}: {error}", newest.display()),
        };
        let (last, promised) = (recovery.last_index, self.promised(worst));
        assert!(
            last >= promised,
            "without {} it ends at {last}; {promised} was promised",
            newest.display()
        );
    }

    /// Opens the database. Its state is compared with the oracle and must not be before `floor`.
    fn open_at_least(&mut self, floor: u64) -> Result<(), Error> {
        assert!(
            self.database.is_none() && self.held.is_empty(),
            "it is closed"
        );
        self.counts.opened += 1;
        let seed = self.seed.wrapping_mul(0x9e37_79b9) ^ (self.counts.opened << 40);
        let database = match self.start(&self.disk, seed) {
            Ok(database) => database,
            Err(error) => {
                self.note(format!("open: {error}"));
                self.tolerate(&error);
                return Err(error);
            }
        };
        let recovery = database.recovery().clone();
        self.note(format!("open: {recovery:?}"));
        let (index, model) = self.moment_of(&database);
        assert!(
            index >= floor,
            "it ends at entry {index}; {floor} was promised"
        );
        let newest = self.moments.last_key_value().map_or(0, |(index, _)| *index);
        self.counts.lost += newest - index;
        self.counts.torn += u64::from(recovery.torn_tail.is_some());
        let both = recovery.checkpoint_index > 0 && recovery.entries_replayed > 0;
        self.counts.from_both += u64::from(both);
        let digest = Some(database.digest());
        self.moments.split_off(&index);
        self.moments.insert(
            index,
            Moment {
                model: model.clone(),
                digest,
            },
        );
        self.model = model;
        (self.written, self.synced) = (index, index);
        self.database = Some(database);
        self.broken = false;
        self.recovery = recovery;
        Ok(())
    }

    /// Opens the database after a clean end, or for the first time.
    ///
    /// # Errors
    /// Those of a planned fault.
    pub fn open(&mut self) -> Result<(), Error> {
        self.open_at_least(self.written)
    }

    /// Opens the database after a crash or a sequence of them; the worst counts.
    ///
    /// # Errors
    /// Those of a planned fault.
    pub fn open_after(&mut self, worst: CrashMode) -> Result<(), Error> {
        self.open_at_least(self.promised(worst))
    }

    /// Ends the process. Snapshots must still read what they saw.
    pub fn crash(&mut self, mode: CrashMode) {
        self.note(format!("crash: {mode:?}"));
        self.disk = self.disk.crash(mode);
        self.give_back();
        self.database = None;
    }

    fn give_back(&mut self) {
        while !self.held.is_empty() {
            self.release(0);
        }
    }

    /// Drops the database without a crash, as a process does that gives up after an error.
    pub fn drop_database(&mut self) {
        self.note("drop".to_owned());
        self.give_back();
        self.database = None;
    }

    /// Closes the database and drops it.
    ///
    /// # Errors
    /// Those of a planned fault.
    pub fn close(&mut self) -> Result<(), Error> {
        self.give_back();
        let Some(database) = self.database.take() else {
            return Ok(());
        };
        let closed = database.close();
        self.note(format!("close: {closed:?}"));
        match &closed {
            Ok(()) if !self.broken => self.durable(),
            Ok(()) => {}
            Err(error) => self.tolerate(error),
        }
        closed
    }

    /// Everything so far survives everything.
    fn durable(&mut self) {
        (self.written, self.synced) = (self.model.index, self.model.index);
    }

    /// A failure that only a planned fault explains, put clearly.
    fn tolerate(&mut self, error: &Error) {
        let code = error.code().0;
        assert_eq!(
            self.faults,
            Faults::Planned,
            "no operation failed, but: {error}"
        );
        assert!(
            ["io", "disk_full", "closed", "outcome_unknown"].contains(&code),
            "a failed operation is no reason for {code}: {error}"
        );
        self.counts.failed += 1;
        let closed = |database: &Database| database.health().closed;
        self.broken = self.database.as_ref().is_some_and(closed);
    }

    fn now(&self) -> Timestamp {
        velocitydb::Clock::now(&*self.clock)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let trace: Vec<_> = self.trace().collect();
            eprintln!(
                "{}\n--- {} (seed {})",
                trace.join("\n"),
                self.label,
                self.seed
            );
        }
    }
}
