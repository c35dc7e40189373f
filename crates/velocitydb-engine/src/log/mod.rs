//! The write-ahead log: one totally ordered sequence of entries on disk.
//!
//! ```text
//! append ──► tail (memory) ──► write ──► segment files ──► sync
//!            └ space is reserved before     └ wal/0000000007-00000000000000000961.wal
//! ```
//!
//! Made to be a Raft log: an entry has an index and a term, a suffix can be cut off, a prefix
//! purged, and vote and commit position are records of the same sequence. A single node uses
//! entries alone.
//!
//! One life of an entry: [`Log::reserve`] finds room on disk or fails with
//! [`LogError::DiskFull`] and changes nothing; [`Log::append`] frames it in memory;
//! [`Log::flush`] returns when it was handed to the operating system or synced. After a failed
//! write or sync the log is closed for good.
//!
//! Invariants:
//! - entries are contiguous, and appended by one caller at a time;
//! - a record verifies only in its own segment at its own offset;
//! - what [`Log::open`] answers is a prefix of what was appended, and holds all that was synced;
//! - only a tail that was never synced may be torn; other damage stops the open.
//!
//! Has no thread, clock or randomness: callers flush, the owner calls [`Log::prepare_spare`]
//! from a thread of its own when [`Log::wants_care`] says so, and salts are handed in.
//! Does not know what a payload means.
//!
//! Reading order: `record` (framing), `pack`, `segment` (files), `state`, `tail` (appending), `flush`,
//! `spares`, `edit`, `reader`, `recovery`, `settle`, `check`, `repair`. The bytes are in docs/formats/log.md.
//! Tests: `tests` here; crashes, faults and flipped bits in `velocitydb-sim`; openraft's suite in
//! `velocitydb-log-suite`.

mod check;
mod edit;
mod error;
mod flush;
mod options;
mod pack;
mod reader;
mod record;
mod recovery;
mod repair;
mod scan;
mod segment;
mod settle;
mod spares;
mod state;
mod stats;
mod tail;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

pub use check::{CheckReport, SegmentReport, check};
pub use error::LogError;
pub use options::{Compression, FlushLevel, LogOptions, WritePath};
pub use reader::{Entries, Entry, EntryView};
pub use recovery::TornTail;
pub use repair::{RepairMode, RepairReport, repair};
pub use stats::LogStats;

use crate::disk::Disk;
use flush::{Group, Progress, Shared, SyncLock, Writer};
use pack::Packer;
use record::{ENTRY_OVERHEAD, PAYLOAD_MAX};
use recovery::View;
use spares::Spares;
use stats::Counters;
use tail::Tail;

/// What a log held when it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Index of the oldest entry.
    pub first: Option<u64>,
    /// Index and term of the newest entry.
    pub last: Option<(u64, u64)>,
    /// Index and term of the newest entry that was purged.
    pub purged: Option<(u64, u64)>,
    /// The newest commit position (index, term) that was saved.
    pub committed: Option<(u64, u64)>,
    /// The newest vote that was saved.
    pub vote: Option<Vec<u8>>,
    /// What was cut off the end.
    pub torn: Option<TornTail>,
}

/// An open log. Shared by reference between threads.
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: LogOptions,
    writer: Mutex<Writer>,
    sync: SyncLock,
    tail: Mutex<Tail>,
    shared: Mutex<Shared>,
    group: Mutex<Group>,
    spares: Mutex<Spares>,
    progress: Progress,
    cause: Mutex<Option<Arc<str>>>,
    wants_care: AtomicBool,
    stats: Counters,
}

/// Source of fresh salts: each call must give 16 bytes that were never given before.
pub type Salts = Box<dyn FnMut() -> [u8; 16] + Send>;

impl Log {
    /// Opens the log in `dir`, creating the directory when it is missing. The caller holds the
    /// data directory's lock. No segment is begun before the first append, so a full disk does
    /// not hinder it.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::NewerFormat`], with nothing changed;
    /// [`LogError::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LogOptions,
        salts: Salts,
    ) -> Result<(Log, Recovered), LogError> {
        Log::open_as(disk, dir, options, salts, &View::default())
    }

    fn open_as(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LogOptions,
        salts: Salts,
        view: &View,
    ) -> Result<(Log, Recovered), LogError> {
        disk.create_dir_all(dir)
            .map_err(|error| LogError::io("create the log's directory", error))?;
        let mut found = recovery::recover(&*disk, dir, view)?;
        let spares = settle::settle(&*disk, dir, &mut found)?;
        let packer = Packer::new(options.compression, options.compress_above)
            .map_err(|error| LogError::io("prepare compression", error))?;
        let state = found.state;
        let recovered = Recovered {
            first: state.first,
            last: state.last,
            purged: state.purged,
            committed: state.committed,
            vote: state.vote.clone(),
            torn: found.torn,
        };
        let next = state.next.unwrap_or(0);
        let shared = Shared::new(found.segments, found.end, next);
        let tail = Tail::new(
            state,
            found.end,
            found.synced,
            found.next_sequence,
            salts,
            packer,
        );
        let log = Log {
            disk,
            dir: dir.into(),
            options,
            writer: Mutex::new(Writer::new()),
            sync: Mutex::new(()),
            tail: Mutex::new(tail),
            shared: Mutex::new(shared),
            group: Mutex::default(),
            spares: Mutex::new(spares),
            progress: Progress::default(),
            cause: Mutex::new(None),
            wants_care: AtomicBool::new(true),
            stats: Counters::default(),
        };
        log.progress.written_next.store(next, Ordering::Release);
        log.progress.synced_next.store(next, Ordering::Release);
        log.publish(&log.tail.lock());
        Ok((log, recovered))
    }

    /// Sets disk space aside for one entry of at most `payload_bytes`, beyond what is appended.
    /// The next append uses it up.
    ///
    /// # Errors
    /// [`LogError::DiskFull`]: nothing has changed, try again later. [`LogError::TooLarge`],
    /// [`LogError::Closed`]; [`LogError::Io`] when space could not be prepared for another reason.
    pub fn reserve(&self, payload_bytes: u64) -> Result<(), LogError> {
        if payload_bytes > PAYLOAD_MAX {
            return Err(LogError::TooLarge {
                bytes: payload_bytes,
                max: PAYLOAD_MAX,
            });
        }
        self.check_open()?;
        loop {
            let capacity = {
                let mut tail = self.tail.lock();
                if tail.reserve(payload_bytes) {
                    return Ok(());
                }
                self.spare_capacity(&tail, payload_bytes + ENTRY_OVERHEAD)
            };
            self.bring_spare(capacity)?;
        }
    }

    /// Appends an entry in memory. It must have been reserved, and follow the last one (the
    /// first of a log that never had one may have any index).
    ///
    /// # Errors
    /// [`LogError::Closed`].
    ///
    /// # Panics
    /// When it was not reserved or does not follow: the caller's error.
    pub fn append(&self, index: u64, term: u64, payload: &[u8]) -> Result<(), LogError> {
        self.append_with(index, term, |buffer| buffer.extend_from_slice(payload))
    }

    /// As [`Log::append`]; `write` pushes the payload onto the log's own buffer, and must leave
    /// alone what is there.
    ///
    /// # Errors
    /// [`LogError::Closed`].
    ///
    /// # Panics
    /// As [`Log::append`], also when more is pushed than was reserved.
    pub fn append_with(
        &self,
        index: u64,
        term: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), LogError> {
        assert!(
            index < u64::MAX,
            "the last index is kept for one past the end"
        );
        self.check_open()?;
        let mut tail = self.tail.lock();
        let first = tail.state.first.is_none();
        tail.append(index, term, write);
        if first {
            self.publish(&tail);
        } else {
            self.progress.last_next.store(index + 1, Ordering::Release);
        }
        Ok(())
    }

    /// Returns when every entry up to `upto` has reached `level`, flushing for all callers
    /// when no one does.
    ///
    /// # Errors
    /// [`LogError::Closed`] when a write or sync failed, now or before;
    /// [`LogError::Missing`] when `upto` was not appended.
    pub fn flush(&self, upto: u64, level: FlushLevel) -> Result<(), LogError> {
        if self.progress.synced_next.load(Ordering::Acquire) > upto {
            return Ok(());
        }
        if self.progress.last_next.load(Ordering::Acquire) <= upto {
            return Err(LogError::Missing { index: upto });
        }
        let ticket = self.ticket_of(upto);
        match level {
            FlushLevel::Written => self.write_until(ticket),
            FlushLevel::Synced => self.sync_until(ticket),
        }
    }

    /// Syncs all that was appended, of whatever kind.
    ///
    /// # Errors
    /// [`LogError::Closed`].
    pub fn sync_all(&self) -> Result<(), LogError> {
        let ticket = self.tail.lock().ticket;
        self.sync_until(ticket)
    }

    /// Prepares what the next roll-over needs: a spare file, and the sync of the segment that
    /// was rolled over last. For a background thread of the owner; without it appenders and
    /// flushers do the same when they must.
    ///
    /// # Errors
    /// As [`Log::reserve`].
    pub fn prepare_spare(&self) -> Result<(), LogError> {
        self.wants_care.store(false, Ordering::Release);
        let prepared = self.sync_rolled().and_then(|()| {
            let capacity = self.spare_capacity(&self.tail.lock(), 0);
            self.bring_spare(capacity)
        });
        if prepared.is_err() {
            self.wants_care.store(true, Ordering::Release);
        }
        prepared
    }

    /// Whether [`Log::prepare_spare`] has something to do. One atomic load.
    pub fn wants_care(&self) -> bool {
        self.wants_care.load(Ordering::Acquire)
    }

    /// Syncs everything, frees the unused end of the last file and closes the log.
    ///
    /// # Errors
    /// [`LogError::Closed`] when it was closed before or this failed.
    pub fn close(&self) -> Result<(), LogError> {
        self.sync_all()?;
        // The mark of that sync.
        self.write_until(u64::MAX)?;
        let trimmed = {
            let _syncing = self.sync.lock();
            let shared = self.shared.lock();
            shared.segments.last().map_or(Ok(()), |newest| {
                newest
                    .file
                    .set_len(newest.end)
                    .and_then(|()| newest.file.sync_data())
            })
        };
        let closed = LogError::Closed {
            cause: Arc::from("the owner closed it"),
        };
        let result = trimmed.map_err(|error| LogError::io("shorten the log's last file", error));
        let result = result.map_err(|error| self.close_for(&error));
        self.close_for(&closed);
        result
    }

    /// Index of the oldest entry. One atomic load, as the next ones.
    pub fn first(&self) -> Option<u64> {
        self.progress.first.load(Ordering::Acquire).checked_sub(1)
    }

    /// Index of the newest entry, in memory or on disk; `None` when all are purged.
    pub fn last(&self) -> Option<u64> {
        self.first().and(
            self.progress
                .last_next
                .load(Ordering::Acquire)
                .checked_sub(1),
        )
    }

    /// One less than the index of the next entry: that of the newest entry, of the newest purged
    /// one when there is no other, or 0.
    pub fn last_index(&self) -> u64 {
        self.progress
            .last_next
            .load(Ordering::Acquire)
            .saturating_sub(1)
    }

    /// As [`Log::last_index`], of what was handed to the operating system.
    pub fn written(&self) -> u64 {
        self.progress
            .written_next
            .load(Ordering::Acquire)
            .saturating_sub(1)
    }

    /// As [`Log::last_index`], of what is known to be durable.
    pub fn synced(&self) -> u64 {
        self.progress
            .synced_next
            .load(Ordering::Acquire)
            .saturating_sub(1)
    }

    /// Index and term of the newest entry.
    pub fn last_entry(&self) -> Option<(u64, u64)> {
        self.tail.lock().state.last
    }

    /// Index and term of the newest purged entry.
    pub fn purged(&self) -> Option<(u64, u64)> {
        self.tail.lock().state.purged
    }

    /// The vote that was saved last.
    pub fn vote(&self) -> Option<Vec<u8>> {
        self.tail.lock().state.vote.clone()
    }

    /// The commit position (index, term) that was saved last.
    pub fn committed(&self) -> Option<(u64, u64)> {
        self.tail.lock().state.committed
    }

    /// A ticket at which entry `index`, which was appended, is flushed.
    fn ticket_of(&self, index: u64) -> u64 {
        index.wrapping_add(self.progress.shift.load(Ordering::Acquire))
    }

    /// The size for the next spare, which must hold `bytes` of records.
    fn spare_capacity(&self, tail: &Tail, bytes: u64) -> u64 {
        let LogOptions {
            segment_bytes,
            first_segment_bytes,
            ..
        } = self.options;
        let usual = tail
            .capacity()
            .saturating_mul(2)
            .max(first_segment_bytes)
            .min(segment_bytes);
        usual.max(Tail::needed_capacity(bytes))
    }

    /// Makes the tail's state visible to readers without a lock.
    fn publish(&self, tail: &Tail) {
        let last_next = tail.state.next.unwrap_or(0);
        let shift = tail.ticket.wrapping_sub(last_next.wrapping_sub(1));
        self.progress.shift.store(shift, Ordering::Release);
        let first = tail.state.first.map_or(0, |first| first + 1);
        self.progress.first.store(first, Ordering::Release);
        self.progress.last_next.store(last_next, Ordering::Release);
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, last, synced) = (self.first(), self.last(), self.synced());
        f.debug_struct("Log")
            .field("dir", &self.dir)
            .field("first", &first)
            .field("last", &last)
            .field("synced", &synced)
            .finish_non_exhaustive()
    }
}
