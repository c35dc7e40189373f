//! What can go wrong with the log, by what the receiver can do about it.

use std::io;
use std::sync::Arc;

use crate::crypt::KeyError;

/// An error of the log. Cloneable, because one failed sync fails every waiter.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A write or a sync failed, or the owner closed the log. Nothing more can be written; what
    /// was acknowledged is as durable as was said. Open the log again to go on.
    #[error("the log is closed: {cause}")]
    Closed {
        /// What closed it.
        cause: Arc<str>,
    },

    /// No space for `needed` more bytes. Nothing has changed; try again when there is space.
    #[error("the disk is full: the log cannot reserve {needed} bytes more")]
    DiskFull {
        /// Bytes that could not be reserved.
        needed: u64,
    },

    /// The log holds damage that a crash cannot explain. Not opened, nothing changed.
    #[error(
        "log segment {segment} is damaged at byte {offset}, where entry {index} should be: {what}"
    )]
    Damaged {
        /// File name of the segment.
        segment: String,
        /// Byte position of the first bad record.
        offset: u64,
        /// The entry that was expected there, or after it.
        index: u64,
        /// What is wrong.
        what: String,
    },

    /// Written by a newer version of VelocityDB.
    #[error("log segment {segment} has format {found}, this binary reads up to {known}")]
    NewerFormat {
        /// File name of the segment.
        segment: String,
        /// The version found.
        found: u32,
        /// The newest version known here.
        known: u32,
    },

    /// It is encrypted with a key that was not given. Not opened, nothing changed.
    #[error(transparent)]
    Key(#[from] KeyError),

    /// A file operation failed while opening, reading, purging or preparing space.
    #[error("log: cannot {action}: {source}")]
    Io {
        /// What was tried, with the file's name.
        action: String,
        /// The cause.
        source: Arc<io::Error>,
    },

    /// An entry or a vote is larger than the log can frame.
    #[error("a log record of {bytes} bytes is larger than the limit of {max}")]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        max: u64,
    },

    /// The log does not hold entry `index` (purged, truncated or not yet appended).
    #[error("the log does not hold entry {index}")]
    Missing {
        /// The entry asked for.
        index: u64,
    },
}

impl LogError {
    pub(super) fn io(action: impl Into<String>, source: io::Error) -> LogError {
        LogError::Io {
            action: action.into(),
            source: Arc::new(source),
        }
    }
}

/// Whether an error says that there is no space, which is the caller's to wait out.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
