//! What a database is opened with, and what a single call may ask for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use velocitydb_engine::changes::HistoryOptions;
use velocitydb_engine::command::Expires;
use velocitydb_engine::crypt::EncryptionKeys;
use velocitydb_engine::disk::{Disk, RealDisk};
use velocitydb_engine::log::LogOptions;
use velocitydb_engine::{Durability, Error, StorageMode};
use velocitydb_types::Timestamp;

use crate::clock::{Clock, SystemClock};

/// What all queries may keep where nothing is said of memory.
const QUERY_MEMORY_BYTES: u64 = 1 << 30;

/// What a database is opened with.
///
/// ```no_run
/// # fn main() -> Result<(), velocitydb::Error> {
/// let options = velocitydb::Options::at("data").mode(velocitydb::StorageMode::Persistent);
/// let db = velocitydb::Database::open(options)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) mode: StorageMode,
    pub(crate) durability: Option<Durability>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) query_memory: Option<u64>,
    pub(crate) history: HistoryOptions,
    pub(crate) log: LogOptions,
    pub(crate) checkpoints_kept: usize,
    pub(crate) checkpoint_every: Option<Duration>,
    pub(crate) checkpoint_log_bytes: u64,
    pub(crate) checkpoint_entries: u64,
    pub(crate) sync_every: Duration,
    pub(crate) snapshot_deadline: Duration,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) background: Background,
    pub(crate) seed: Option<u64>,
    pub(crate) keys: EncryptionKeys,
}

/// Who does the work that no call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Background {
    /// Threads of the database.
    #[default]
    Threads,
    /// The owner, who calls [`crate::Database::tend`] and [`crate::Database::checkpoint`]: for
    /// simulations.
    Owner,
}

impl Options {
    /// A database kept in this directory (created when it is missing), `memory-first`.
    pub fn at(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: Some(dir.into()),
            ..Options::in_memory()
        }
        .mode(StorageMode::MemoryFirst)
    }

    /// A database in memory alone: no files, empty after a restart.
    pub fn in_memory() -> Options {
        Options {
            dir: None,
            mode: StorageMode::MemoryOnly,
            durability: None,
            memory_limit: None,
            query_memory: None,
            history: HistoryOptions::default(),
            log: LogOptions::default(),
            checkpoints_kept: 2,
            checkpoint_every: Some(Duration::from_secs(300)),
            checkpoint_log_bytes: 512 << 20,
            checkpoint_entries: 1_000_000,
            sync_every: Duration::from_secs(1),
            snapshot_deadline: Duration::from_secs(300),
            disk: Arc::new(RealDisk),
            clock: Arc::new(SystemClock),
            background: Background::Threads,
            seed: None,
            keys: EncryptionKeys::default(),
        }
    }

    /// How much of the data lives where. `MemoryOnly` uses no directory.
    pub fn mode(self, mode: StorageMode) -> Options {
        Options { mode, ..self }
    }

    /// The level of writes that name none. The mode's own by default.
    pub fn durability(self, level: Durability) -> Options {
        Options {
            durability: Some(level),
            ..self
        }
    }

    /// Bytes that the data may take. No limit by default.
    pub fn memory_limit(self, bytes: u64) -> Options {
        Options {
            memory_limit: Some(bytes),
            ..self
        }
    }

    /// Bytes that all queries together may keep, beside the data: rows to sort, groups, answers. A
    /// query that needs more than is left ends with [`Error::QueryMemory`]. By default a quarter
    /// of the memory limit, 16 MiB at least; 1 GiB without one. What one query may keep is in its
    /// [`Limits`](crate::query::Limits).
    pub fn query_memory(self, bytes: u64) -> Options {
        Options {
            query_memory: Some(bytes),
            ..self
        }
    }

    pub(crate) fn query_memory_bytes(&self) -> usize {
        let quarter = self.memory_limit.map(|limit| (limit / 4).max(16 << 20));
        let bytes = self.query_memory.or(quarter).unwrap_or(QUERY_MEMORY_BYTES);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// What is kept of the changes for those who follow them: [`crate::Database::changes`].
    pub fn history(self, history: HistoryOptions) -> Options {
        Options { history, ..self }
    }

    /// Sizes and compression of the log.
    pub fn log(self, log: LogOptions) -> Options {
        Options { log, ..self }
    }

    /// Encrypts the log and the checkpoints with AES-256-GCM. Files that are plain or under the
    /// previous key are read, and replaced in the background: see [`crate::EngineStats::rekey`].
    pub fn encryption(self, keys: EncryptionKeys) -> Options {
        Options { keys, ..self }
    }

    /// How many checkpoints are kept (2 by default, at least 1): the log goes only up to the
    /// oldest of them.
    pub fn checkpoints_kept(self, count: usize) -> Options {
        Options {
            checkpoints_kept: count.max(1),
            ..self
        }
    }

    /// How often a checkpoint is written when something has changed (5 minutes by default), or
    /// `None` for never by time.
    pub fn checkpoint_every(self, every: Option<Duration>) -> Options {
        Options {
            checkpoint_every: every,
            ..self
        }
    }

    /// A checkpoint is written after this many bytes of log (512 MiB by default) …
    pub fn checkpoint_log_bytes(self, bytes: u64) -> Options {
        Options {
            checkpoint_log_bytes: bytes,
            ..self
        }
    }

    /// … or this many entries (1,000,000 by default).
    pub fn checkpoint_entries(self, entries: u64) -> Options {
        Options {
            checkpoint_entries: entries,
            ..self
        }
    }

    /// How often the log is forced to the disk for writes that do not wait for it (1 s).
    pub fn sync_every(self, every: Duration) -> Options {
        Options {
            sync_every: every,
            ..self
        }
    }

    /// How long a snapshot or transaction may be kept (5 minutes): then it is given up, so that
    /// a forgotten one cannot fill the memory with old versions.
    pub fn snapshot_deadline(self, after: Duration) -> Options {
        Options {
            snapshot_deadline: after,
            ..self
        }
    }

    /// The disk: the real one by default, a simulated one in tests.
    pub fn disk(self, disk: Arc<dyn Disk>) -> Options {
        Options { disk, ..self }
    }

    /// The clock.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Options {
        Options { clock, ..self }
    }

    /// Who does the work that no call waits for.
    pub fn background(self, background: Background) -> Options {
        Options { background, ..self }
    }

    /// Makes ids, salts and hashes follow from a number: for simulations, never in
    /// production: with encryption a salt that comes again would give a key away.
    pub fn seed(self, seed: u64) -> Options {
        Options {
            seed: Some(seed),
            ..self
        }
    }
}

/// How far a read or a write must agree with other nodes. Without a cluster all four are the
/// one local commit.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Consistency {
    /// This node alone.
    Local,
    /// Accepted here, delivered to the others in time.
    Eventual,
    /// A majority has it.
    Quorum,
    /// Linearizable.
    #[default]
    Strong,
}

impl Consistency {
    /// All levels, weakest first.
    pub const ALL: [Consistency; 4] = [
        Consistency::Local,
        Consistency::Eventual,
        Consistency::Quorum,
        Consistency::Strong,
    ];

    /// Its name, as options and answers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Consistency::Local => "local",
            Consistency::Eventual => "eventual",
            Consistency::Quorum => "quorum",
            Consistency::Strong => "strong",
        }
    }
}

impl std::str::FromStr for Consistency {
    type Err = Error;
    fn from_str(name: &str) -> Result<Consistency, Error> {
        Consistency::ALL
            .into_iter()
            .find(|level| level.name() == name)
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "consistency {name:?} is none of local, eventual, quorum, strong"
                ))
            })
    }
}

/// What a single call asks for beyond its arguments. Everything has a default.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Call {
    pub(crate) consistency: Consistency,
    pub(crate) durability: Option<Durability>,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) idempotency: Option<Idempotency>,
    pub(crate) expires: Expiry,
}

/// When a document that a call writes expires. Then it is gone: no read finds it, its id and its
/// unique values are free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expiry {
    /// As its collection says (`Definition::ttl`). Where that says nothing, a new document never,
    /// an updated one as before.
    #[default]
    Default,
    /// Never.
    Never,
    /// So long after the call.
    In(Duration),
    /// At this time.
    At(Timestamp),
}

impl Expiry {
    pub(crate) fn at(self, now: Timestamp) -> Expires {
        match self {
            Expiry::Default => Expires::Default,
            Expiry::Never => Expires::Never,
            Expiry::At(time) => Expires::At(time.0),
            Expiry::In(after) => {
                let after = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
                Expires::At(now.0.saturating_add(after))
            }
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Idempotency {
    pub(crate) key: String,
    pub(crate) kept: Duration,
}

/// How long the outcome of a request with an idempotency key is kept when the call does not say.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);

impl Call {
    /// When the documents that it writes expire.
    pub fn expires(self, expires: Expiry) -> Call {
        Call { expires, ..self }
    }

    /// The defaults: strong, the database's own durability, no deadline.
    pub fn new() -> Call {
        Call::default()
    }

    /// How far it must agree with other nodes.
    pub fn consistency(self, consistency: Consistency) -> Call {
        Call {
            consistency,
            ..self
        }
    }

    /// What must have happened to a write before the call returns.
    pub fn durability(self, level: Durability) -> Call {
        Call {
            durability: Some(level),
            ..self
        }
    }

    /// When the call is too late to be begun.
    pub fn deadline(self, deadline: Timestamp) -> Call {
        Call {
            deadline: Some(deadline),
            ..self
        }
    }

    /// Makes a write happen once, however often it is asked for with this key: the outcome is
    /// kept for [`IDEMPOTENCY_KEPT`] and given again.
    pub fn idempotency_key(self, key: impl Into<String>) -> Call {
        self.idempotency_key_for(key, IDEMPOTENCY_KEPT)
    }

    /// As [`Call::idempotency_key`]; the outcome is kept for `kept`.
    pub fn idempotency_key_for(self, key: impl Into<String>, kept: Duration) -> Call {
        Call {
            idempotency: Some(Idempotency {
                key: key.into(),
                kept,
            }),
            ..self
        }
    }
}
