//! Rebuilds the state when a node starts.
//!
//! Loads the newest checkpoint that is whole, then applies the log after it.
//!
//! ```text
//!     checkpoint 700                       last 971
//!          v                                  v
//!   +----------+----------+-------------------~
//!   | 640..799 | 800..959 | 960..971 | torn
//!   +----------+----------+-------------------~
//!   skip ..700, apply 701..971, cut 972 (its checksum fails)
//! ```
//!
//! A checkpoint that cannot be read is put aside (`.damaged`) and the one before it is used,
//! with more of the log. Damage in the log stops the start ([`crate::log`] says what counts as a
//! torn tail), also before the checkpoint, which then has no older one to fall back to. So does a
//! log that ends before a checkpoint, or that is missing: a checkpoint gets its name only when
//! the log up to it is durable, and a purge leaves its position in the log. A start that is
//! refused has changed nothing. Invariants: an entry is applied once or not at all; entries follow the checkpoint
//! without a gap; the memory limit does not count here, what fitted before always loads again.
//! Tests: `engine::tests`, and every crash and damage in `velocitydb-sim`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use velocitydb_types::RawMap;

use crate::catalog::{
    COLLECTIONS, Collection, CollectionId, DATABASES, DatabaseDefinition, Definition,
};
use crate::checkpoint::{self, Checkpoints, Part};
use crate::command::Entry;
use crate::crypt::EncryptionKeys;
use crate::define::new_table;
use crate::disk::{Disk, DiskLock};
use crate::engine::EngineOptions;
use crate::error::Error;
use crate::log::{Log, Recovered, TornTail, missing_beginning, missing_end};
use crate::state::State;

/// What a start found and did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Index of the checkpoint that was loaded; 0 without one.
    pub checkpoint_index: u64,
    /// Documents loaded from it.
    pub checkpoint_documents: u64,
    /// Checkpoints that could not be read and were put aside, with what was wrong.
    pub damaged_checkpoints: Vec<String>,
    /// Entries applied from the log.
    pub entries_replayed: u64,
    /// Log index of the state.
    pub last_index: u64,
    /// The end of the log that was cut, if any.
    pub torn_tail: Option<TornTail>,
    /// Segments and checkpoints that another key than the present one encrypted, or none although
    /// there is one.
    pub rekey_files: u64,
}

pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) log: Log,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) lock: Box<dyn DiskLock>,
    pub(crate) report: Recovery,
}

/// Opens a data directory: see the module.
pub(crate) fn open(
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: EngineOptions,
) -> Result<Opened, Error> {
    let (wal_dir, checkpoint_dir) = directories(&dir);
    for dir in [&dir, &wal_dir, &checkpoint_dir] {
        let failed = |error| Error::io(format!("create {}", dir.display()), error);
        disk.create_dir_all(dir).map_err(failed)?;
    }
    disk.sync_dir(&dir)
        .map_err(|error| Error::io(format!("sync {}", dir.display()), error))?;
    let lock = lock(&*disk, &dir)?;
    let keys = options.log.keys.clone();
    // A wrong key is named before anything else is read.
    let mut rekey = checkpoint::under_other_keys(&*disk, &checkpoint_dir, &keys)?;
    let mut report = Recovery::default();
    let Loaded {
        mut state,
        newest,
        damaged,
    } = load_newest(&disk, &checkpoint_dir, &options, &mut report)?;
    let salts = Arc::new(Mutex::new(options.salts));
    let source = || -> Box<dyn FnMut() -> [u8; 16] + Send> {
        let salts = Arc::clone(&salts);
        Box::new(move || (salts.lock())())
    };
    let from = state.logged.last_index;
    let follows = |found: &Recovered| {
        // A log that was purged to its end still says where it goes on.
        let purged = found.purged.map_or(0, |(index, _)| index);
        let last = found.last.map_or(purged, |(index, _)| index);
        let begins = found.first.unwrap_or(purged + 1);
        let reasons = report.damaged_checkpoints.iter();
        match gap((begins, last), from, newest) {
            Some(gap) => Err(Error::Damaged(
                reasons.fold(gap, |gap, reason| format!("{gap}; {reason}")),
            )),
            None => Ok(()),
        }
    };
    let (log, recovered) =
        Log::open_if(Arc::clone(&disk), &wal_dir, options.log, source(), follows)?;
    remove_unfinished(&*disk, &checkpoint_dir)?;
    put_aside(&*disk, &checkpoint_dir, &damaged)?;
    rekey.retain(|(index, _)| !damaged.contains(index));
    report.torn_tail = recovered.torn;
    report.rekey_files = rekey.len() as u64 + log.stats().rekey_segments;
    report.entries_replayed = replay(&log, &mut state)?;
    report.last_index = state.logged.last_index;
    let (kept, last) = (options.checkpoints_kept, report.checkpoint_index);
    let checkpoints = Checkpoints::new(disk, checkpoint_dir, kept, source(), last, keys, rekey);
    Ok(Opened {
        state,
        log,
        checkpoints,
        lock,
        report,
    })
}

/// Where the log and the checkpoints of a data directory are.
pub(crate) fn directories(dir: &Path) -> (PathBuf, PathBuf) {
    (dir.join("wal"), dir.join("checkpoints"))
}

/// Takes a data directory for this process.
fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn DiskLock>, Error> {
    disk.lock(&dir.join("LOCK"))
        .map_err(|error| lock_error(dir, error))
}

/// What a lock that cannot be had means.
pub(crate) fn lock_error(dir: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::InUse {
            dir: dir.display().to_string(),
        },
        _ => Error::io(format!("lock {}", dir.display()), error),
    }
}

fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let failed = |error| Error::io(format!("tidy {}", dir.display()), error);
    for name in disk.list(dir).map_err(failed)? {
        if name.ends_with(".tmp") {
            disk.remove(&dir.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

/// Why a log from `begins` to `ends` does not fit the checkpoints: the one that is loaded, and
/// the newest there is, whole or not.
pub(crate) fn gap((begins, ends): (u64, u64), loaded: u64, newest: u64) -> Option<String> {
    if ends < newest {
        return Some(missing_end(ends, newest));
    }
    (begins > loaded + 1).then(|| missing_beginning(begins, loaded))
}

/// What the checkpoints held.
struct Loaded {
    state: State,
    /// Index of the newest, whole or not.
    newest: u64,
    /// Those that cannot be read.
    damaged: Vec<u64>,
}

/// The state of the newest checkpoint that can be read; the empty state when there is none.
fn load_newest(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    options: &EngineOptions,
    report: &mut Recovery,
) -> Result<Loaded, Error> {
    let indexes = checkpoint::list(&**disk, dir)?;
    let mut loaded = Loaded {
        state: State::new(options.seed, options.memory_limit, options.history),
        newest: indexes.last().copied().unwrap_or(0),
        damaged: Vec::new(),
    };
    for index in indexes.into_iter().rev() {
        let path = checkpoint::path(dir, index);
        match load(&**disk, &path, &options.log.keys, &mut loaded.state) {
            Ok(documents) => {
                report.checkpoint_index = index;
                report.checkpoint_documents = documents;
                return Ok(loaded);
            }
            Err(Error::Damaged(what)) => {
                loaded.damaged.push(index);
                report.damaged_checkpoints.push(what);
                loaded.state = State::new(options.seed, options.memory_limit, options.history);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(loaded)
}

/// Takes damaged checkpoints out of the way; they stay under another name.
pub(crate) fn put_aside(disk: &dyn Disk, dir: &Path, damaged: &[u64]) -> Result<(), Error> {
    for index in damaged {
        let path = checkpoint::path(dir, *index);
        let aside = path.with_extension("damaged");
        let failed = |error| Error::io(format!("put {} aside", path.display()), error);
        disk.rename(&path, &aside).map_err(failed)?;
        disk.sync_dir(dir).map_err(failed)?;
    }
    Ok(())
}

fn load(
    disk: &dyn Disk,
    path: &Path,
    keys: &EncryptionKeys,
    state: &mut State,
) -> Result<u64, Error> {
    let (mut meta, mut documents) = (None, 0);
    checkpoint::read(disk, path, keys, |part| match part {
        Part::Meta(found) => {
            meta = Some(found);
            Ok(())
        }
        Part::Documents {
            collection,
            documents: found,
        } => {
            documents += found.len() as u64;
            load_documents(state, CollectionId(collection), found)
        }
    })?;
    let meta =
        meta.ok_or_else(|| Error::Damaged(format!("{} has no meta block", path.display())))?;
    state.logged.last_index = meta.index;
    state.logged.last_term = meta.term;
    state.logged.last_time = meta.time;
    state.shared.logged.set_time(meta.time);
    state.shared.logged.visible.advance(meta.index);
    for (id, changed) in meta.changed {
        if let Some(collection) = state.catalog.by_id(CollectionId(id)) {
            collection.table.set_changed(changed);
        }
    }
    state.derive(CollectionId(meta.next_collection));
    Ok(documents)
}

fn load_documents(
    state: &mut State,
    id: CollectionId,
    documents: Vec<crate::store::Document>,
) -> Result<(), String> {
    if id == DATABASES {
        for document in &documents {
            let fields = RawMap::trusted(document.body().fields);
            let (id, definition) = DatabaseDefinition::from_document(fields)?;
            Arc::make_mut(&mut state.catalog).put_database(id, definition);
        }
    }
    if id == COLLECTIONS {
        for document in &documents {
            let (id, database, definition) =
                Definition::from_document(RawMap::trusted(document.body().fields))?;
            let table = new_table(&state.shared, &definition);
            let defined_at = document.meta().index;
            let catalog = Arc::make_mut(&mut state.catalog);
            let new = Collection::new(id, database, definition, defined_at, table);
            catalog.put(Arc::new(new));
        }
    }
    let collection = state.catalog.by_id(id).cloned();
    let collection = collection.ok_or_else(|| format!("no definition of collection {}", id.0))?;
    collection.table.load(documents)
}

/// Applies the log behind the state; how many entries.
fn replay(log: &Log, state: &mut State) -> Result<u64, Error> {
    let from = state.logged.last_index;
    log.replay(from + 1, |record| {
        let entry = Entry::decode(record.payload)?;
        state
            .apply(record.index, record.term, &entry)
            .map_err(|refused| {
                Error::Damaged(format!(
                    "entry {} was accepted when it was written and is refused now: {}",
                    record.index, refused.refusal
                ))
            })?;
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    Ok(state.logged.last_index - from)
}
