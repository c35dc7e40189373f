//! Errors of the engine, by what the receiver can do about them.
//!
//! One table, [`Error::code`], names each; its class says how HTTP, SQL and RESP put it. A
//! refusal is deterministic (the same on every node that applies the entry); everything else
//! concerns this node alone.

use std::io;
use std::sync::Arc;

use velocitydb_types::ErrorClass;

use crate::changes::Position;
use crate::command::{EntryError, Refusal};
use crate::crypt::KeyError;
use crate::log::LogError;

/// An error of the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state refuses the request.
    #[error("{refusal}{}", if *.operation > 0 { format!(" (operation {operation})") } else { String::new() })]
    Refused {
        /// Which operation of the request, from 0.
        operation: usize,
        /// Why.
        refusal: Refusal,
    },
    /// The request itself is at fault.
    #[error("{0}")]
    Invalid(String),
    /// There is no collection of this name.
    #[error("there is no collection {0:?}")]
    UnknownCollection(String),
    /// There is no database of this name.
    #[error("there is no database {0:?}")]
    UnknownDatabase(String),
    /// A database cannot be dropped or renamed while somebody has it in use.
    #[error("the database {name:?} is in use by {guests}: end their sessions first")]
    DatabaseInUse {
        /// Its name.
        name: String,
        /// How many have it in use.
        guests: usize,
    },
    /// The memory limit is reached.
    #[error(
        "the memory limit is reached: {used} of {limit} bytes are used and the write needs {needed} \
         more; delete data or raise the limit"
    )]
    MemoryLimit {
        /// What the write needs.
        needed: u64,
        /// What the data takes.
        used: u64,
        /// The limit.
        limit: u64,
    },
    /// The disk is full: nothing was changed, and writes go on when there is space.
    #[error(
        "the disk is full: no room for {needed} more bytes of log; free some space and try again"
    )]
    DiskFull {
        /// Bytes that could not be reserved.
        needed: u64,
    },
    /// A transaction would keep more than it may.
    #[error("a transaction keeps at most {max} bytes of what it writes and reads: split it up")]
    TransactionLimit {
        /// What it may keep.
        max: usize,
    },
    /// A query needs more memory or rows than one query may have.
    #[error("{0}")]
    QueryLimit(String),
    /// A query needs more memory than others leave of what there is for all queries.
    #[error("{0}")]
    QueryMemory(String),
    /// A function of a query has no value.
    #[error("{message}")]
    Expression {
        /// What SQL calls it.
        sqlstate: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A query took longer than it may and was ended.
    #[error(
        "the query was ended when its time was over: narrow it, give it an index or a limit, or \
         ask for more time"
    )]
    QueryTimeout,
    /// The database is closed, by its owner or after a failure.
    #[error("the database is closed: {cause}")]
    Closed {
        /// What closed it.
        cause: Arc<str>,
    },
    /// The write was made, but whether it will survive a crash is not known.
    #[error("the outcome of the write is unknown: {cause}; open the database again and look")]
    OutcomeUnknown {
        /// What happened.
        cause: Arc<str>,
    },
    /// The deadline passed before the request was begun.
    #[error("the deadline passed before the request was begun; nothing was changed")]
    DeadlineExceeded,
    /// The snapshot was kept longer than its deadline and has been given up.
    #[error(
        "the snapshot at index {index} was kept past its deadline and given up: take a new one"
    )]
    SnapshotTooOld {
        /// The log index it was taken at.
        index: u64,
    },
    /// The changes behind a position are not all there any more, or the position is not there yet.
    #[error(
        "the changes behind position {asked} are not kept, only those behind {oldest} and up to \
         {newest}: read everything at a snapshot, and go on behind its index"
    )]
    PositionGone {
        /// The position asked for, or fallen behind at.
        asked: Position,
        /// The oldest position from which changes are given.
        oldest: Position,
        /// Behind the newest visible change.
        newest: Position,
    },
    /// Another process, or another handle in this one, has the data directory.
    #[error(
        "the data directory {dir} is in use by another process, or by another handle in this one"
    )]
    InUse {
        /// The directory.
        dir: String,
    },
    /// Stored data is damaged.
    #[error("{0}")]
    Damaged(String),
    /// Written by a program of another version.
    #[error("{0}")]
    UnsupportedFormat(String),
    /// Stored data is encrypted with a key that was not given, or what was given is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file operation failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: String,
        /// The cause.
        source: Arc<io::Error>,
    },
}

impl Error {
    pub(crate) fn io(action: impl Into<String>, source: io::Error) -> Error {
        Error::Io {
            action: action.into(),
            source: Arc::new(source),
        }
    }

    /// The stable name of the error and its class: the one table.
    pub fn code(&self) -> (&'static str, ErrorClass) {
        use ErrorClass as Class;
        match self {
            Error::Refused { refusal, .. } => refusal.code(),
            Error::Invalid(_) => ("invalid_request", Class::Invalid),
            Error::UnknownCollection(_) => ("unknown_collection", Class::NotFound),
            Error::UnknownDatabase(_) => ("unknown_database", Class::NotFound),
            Error::DatabaseInUse { .. } => ("database_in_use", Class::Conflict),
            Error::MemoryLimit { .. } => ("memory_limit", Class::Limit),
            Error::DiskFull { .. } => ("disk_full", Class::Unavailable),
            Error::TransactionLimit { .. } => ("transaction_limit", Class::Limit),
            Error::QueryLimit(_) => ("query_limit", Class::Limit),
            Error::QueryMemory(_) => ("query_memory_total", Class::Retry),
            Error::Expression { .. } => ("expression", Class::Invalid),
            Error::QueryTimeout => ("query_timeout", Class::Limit),
            Error::Closed { .. } => ("closed", Class::Unavailable),
            Error::OutcomeUnknown { .. } => ("outcome_unknown", Class::Io),
            Error::DeadlineExceeded => ("deadline_exceeded", Class::Limit),
            Error::SnapshotTooOld { .. } => ("snapshot_too_old", Class::Retry),
            Error::PositionGone { .. } => ("position_gone", Class::Limit),
            Error::InUse { .. } => ("in_use", Class::Unavailable),
            Error::Damaged(_) => ("damaged", Class::Corrupt),
            Error::UnsupportedFormat(_) => ("unsupported_format", Class::Unavailable),
            Error::Key(_) => ("encryption_key", Class::Unavailable),
            Error::Io { .. } => ("io", Class::Io),
        }
    }

    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        self.code().1
    }

    /// Whether the same request may succeed when it is simply made again.
    pub fn is_retryable(&self) -> bool {
        self.class() == ErrorClass::Retry
    }
}

impl Refusal {
    /// The stable name of the refusal and its class: the one table.
    pub fn code(&self) -> (&'static str, ErrorClass) {
        use ErrorClass as Class;
        match self {
            Refusal::AlreadyExists(_) => ("already_exists", Class::Conflict),
            Refusal::NotFound => ("not_found", Class::NotFound),
            Refusal::ConditionFailed { .. } => ("condition_failed", Class::Conflict),
            Refusal::Conflict => ("conflict", Class::Retry),
            Refusal::Unique { .. } | Refusal::Duplicate { .. } => {
                ("unique_violation", Class::Conflict)
            }
            Refusal::IndexKey(_) => ("index_key_too_long", Class::Limit),
            Refusal::IndexValue(_) => ("no_index_value", Class::Invalid),
            Refusal::Reference(_) => ("reference_violation", Class::Conflict),
            Refusal::TooManyChanges(_) => ("too_many_changes", Class::Limit),
            Refusal::Schema(_) => ("schema_violation", Class::Invalid),
            Refusal::Migration { .. } => ("migration_refused", Class::Invalid),
            Refusal::Update(_) => ("invalid_update", Class::Invalid),
            Refusal::PrimaryKeyChanged(_) | Refusal::AlteredKey { .. } => {
                ("primary_key_changed", Class::Invalid)
            }
            Refusal::DefinitionChanged => ("definition_changed", Class::Retry),
            Refusal::UnknownCollection(_) => ("unknown_collection", Class::NotFound),
            Refusal::CollectionExists(_) => ("collection_exists", Class::Conflict),
            Refusal::UnknownDatabase(_) => ("unknown_database", Class::NotFound),
            Refusal::DatabaseExists(_) => ("database_exists", Class::Conflict),
            Refusal::IndexExists(_) => ("index_exists", Class::Conflict),
            Refusal::UnknownIndex(_) => ("unknown_index", Class::NotFound),
            Refusal::BadDefinition(_) => ("invalid_definition", Class::Invalid),
            Refusal::BeyondRetention { .. } => ("beyond_retention", Class::Invalid),
            Refusal::TooLarge { .. } => ("document_too_large", Class::Limit),
            Refusal::CollectionFull => ("collection_full", Class::Limit),
            Refusal::RetryKeyReused(_) => ("idempotency_key_reused", Class::Invalid),
            Refusal::RetryExpired(_) => ("idempotency_key_expired", Class::Invalid),
            Refusal::Earlier(_) => ("refused_earlier", Class::Conflict),
            Refusal::MixedPersistence => ("mixed_persistence", Class::Invalid),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused {
            operation: 0,
            refusal,
        }
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Error {
        match error {
            LogError::Closed { cause } => Error::Closed { cause },
            LogError::DiskFull { needed } => Error::DiskFull { needed },
            LogError::TooLarge { bytes, max } => Error::Invalid(format!(
                "a write of {bytes} bytes; at most {max} fit one log entry"
            )),
            LogError::Key(error) => Error::Key(error),
            LogError::Io { action, source } => Error::Io { action, source },
            LogError::NewerFormat { .. } => Error::UnsupportedFormat(error.to_string()),
            error => Error::Damaged(error.to_string()),
        }
    }
}

impl From<EntryError> for Error {
    fn from(error: EntryError) -> Error {
        match error {
            EntryError::NeedsVersion { .. } => Error::UnsupportedFormat(error.to_string()),
            EntryError::Malformed(_) => Error::Damaged(error.to_string()),
        }
    }
}
