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
//! When the disk gets full, segments get smaller, then entries are refused; the last bytes of the
//! current segment are kept for entries that only remove ([`Log::reserve_to_remove`]), and a bit
//! of the disk for a checkpoint, after which the log can be purged. See `spares`.
//!
//! Invariants:
//! - entries are contiguous, and appended by one caller at a time;
//! - a record verifies only in its own segment at its own offset;
//! - what [`Log::open`] answers is a prefix of what was appended, and holds all that was synced;
//! - only a tail that was never synced may be torn; other damage stops the open.
//!
//! Has no thread, clock or randomness: callers flush, the owner calls [`Log::prepare_spare`]
//! with the time, from a thread of its own, when [`Log::wants_care`] says so, and salts are
//! handed in.
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
use velocitydb_types::Timestamp;

pub use check::{CheckReport, SegmentReport, check};
pub use error::LogError;
pub use options::{Compression, FlushLevel, LogOptions, WritePath};
pub use reader::{Entries, Entry, EntryView};
pub use recovery::TornTail;
pub use repair::{Base, RepairMode, RepairReport, repair};
pub(crate) use repair::{missing_beginning, missing_end};
pub use stats::LogStats;

use crate::disk::{Disk, DiskDir, DiskFile};
use flush::{Group, Progress, Shared, SyncLock, Writer};
use pack::Packer;
use record::{ENTRY_OVERHEAD, PAYLOAD_MAX};
use recovery::View;
use spares::{Spares, Wanted};
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
    /// The directory itself, open from the start: a sync must not fail for want of a descriptor.
    directory: Box<dyn DiskDir>,
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
    /// Why entries are refused, and whether they are.
    refusal: Mutex<Option<LogError>>,
    refusing: AtomicBool,
    /// Whether the disk had less space than the log, or none for the next segment.
    short_of_space: AtomicBool,
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
    /// [`LogError::Damaged`], [`LogError::Key`] and [`LogError::NewerFormat`], with nothing changed;
    /// [`LogError::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LogOptions,
        salts: Salts,
    ) -> Result<(Log, Recovered), LogError> {
        Log::open_if(disk, dir, options, salts, |_| Ok(()))
    }

    /// As [`Log::open`], when the caller can use what was found; nothing is changed before it says
    /// so.
    ///
    /// # Errors
    /// As [`Log::open`], and what `accept` answers.
    pub fn open_if<E: From<LogError>>(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LogOptions,
        salts: Salts,
        accept: impl FnOnce(&Recovered) -> Result<(), E>,
    ) -> Result<(Log, Recovered), E> {
        let view = View {
            keys: options.keys.clone(),
            ..View::default()
        };
        Log::open_as(disk, dir, options, salts, &view, accept)
    }

    fn open_as<E: From<LogError>>(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LogOptions,
        salts: Salts,
        view: &View,
        accept: impl FnOnce(&Recovered) -> Result<(), E>,
    ) -> Result<(Log, Recovered), E> {
        disk.create_dir_all(dir)
            .map_err(|error| LogError::io("create the log's directory", error))?;
        let directory = disk
            .open_dir(dir)
            .map_err(|error| LogError::io("open the log's directory", error))?;
        let mut found = recovery::recover(&*disk, dir, view)?;
        let packer = Packer::new(options.compression, options.compress_above)
            .map_err(|error| LogError::io("prepare compression", error))?;
        let recovered = Recovered {
            first: found.state.first,
            last: found.state.last,
            purged: found.state.purged,
            committed: found.state.committed,
            vote: found.state.vote.clone(),
            torn: found.torn.clone(),
        };
        accept(&recovered)?;
        let spares = settle::settle(&*disk, dir, &mut found, options.keys.current())?;
        let state = found.state;
        let next = state.next.unwrap_or(0);
        let shared = Shared::new(found.segments, found.end, next);
        let tail = Tail::new(
            state,
            found.end,
            found.synced,
            found.next_sequence,
            salts,
            packer,
            options.keys.clone(),
        );
        let log = Log {
            disk,
            dir: dir.into(),
            directory,
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
            refusal: Mutex::new(None),
            refusing: AtomicBool::new(false),
            short_of_space: AtomicBool::new(false),
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
    /// [`LogError::Closed`]; [`LogError::Io`] when space could not be prepared for another reason,
    /// again with nothing changed. After two failures in a row the disk is left alone until the
    /// time given to [`Log::prepare_spare`] has moved on by a second and more.
    pub fn reserve(&self, payload_bytes: u64) -> Result<(), LogError> {
        let left = self.options.left_for_checkpoint();
        self.reserve_beside(payload_bytes, self.options.headroom(), left)
    }

    /// As [`Log::reserve`] for an entry that only removes: it may use the space that is kept back
    /// from others, so that a full disk has a way out.
    ///
    /// # Errors
    /// As [`Log::reserve`].
    pub fn reserve_to_remove(&self, payload_bytes: u64) -> Result<(), LogError> {
        self.reserve_beside(payload_bytes, 0, self.options.left_for_checkpoint() / 2)
    }

    /// Reserves, when that keeps `headroom` bytes in the log and leaves `left` on the disk.
    fn reserve_beside(&self, payload_bytes: u64, headroom: u64, left: u64) -> Result<(), LogError> {
        if payload_bytes > PAYLOAD_MAX {
            return Err(LogError::TooLarge {
                bytes: payload_bytes,
                max: PAYLOAD_MAX,
            });
        }
        self.check_open()?;
        loop {
            let wanted = {
                let mut tail = self.tail.lock();
                if tail.reserve(payload_bytes, headroom) {
                    if headroom > 0 && self.refusing.load(Ordering::Relaxed) {
                        self.accept();
                    }
                    return Ok(());
                }
                let bytes = payload_bytes + ENTRY_OVERHEAD + headroom;
                Wanted {
                    left,
                    ..self.wanted(&tail, bytes)
                }
            };
            self.bring_spare(wanted)
                .map_err(|error| self.refuse(error))?;
        }
    }

    /// Notes that entries are refused, and why.
    fn refuse(&self, error: LogError) -> LogError {
        if !matches!(error, LogError::Closed { .. }) {
            *self.refusal.lock() = Some(error.clone());
            self.refusing.store(true, Ordering::Release);
            self.wants_care.store(true, Ordering::Release);
        }
        error
    }

    fn accept(&self) {
        self.refusing.store(false, Ordering::Release);
        *self.refusal.lock() = None;
    }

    /// Whether the disk gets full: see [`LogStats::short_of_space`]. One atomic load.
    pub fn is_short_of_space(&self) -> bool {
        self.short_of_space.load(Ordering::Acquire)
    }

    /// Why entries were refused last, while nothing says that this is over.
    pub fn refusal(&self) -> Option<LogError> {
        self.refusal.lock().clone()
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
    /// flushers do the same when they must. `now` says how long after a failure it is.
    ///
    /// # Errors
    /// As [`Log::reserve`].
    pub fn prepare_spare(&self, now: Timestamp) -> Result<(), LogError> {
        self.wants_care.store(false, Ordering::Release);
        self.spares.lock().now = now;
        let headroom = self.options.headroom();
        let prepared = self.sync_rolled().and_then(|()| {
            let wanted = self.wanted(&self.tail.lock(), headroom);
            self.bring_spare(wanted)
        });
        match &prepared {
            Ok(()) if self.refusing.load(Ordering::Acquire) => self.accept(),
            Err(error) if !self.tail.lock().has_room(headroom) => {
                self.refuse(error.clone());
            }
            _ => {}
        }
        if prepared.is_err() || self.is_short_of_space() {
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
            shared
                .segments
                .last()
                .map_or(Ok(()), |newest| shorten(&*newest.file, newest.end))
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
    fn wanted(&self, tail: &Tail, bytes: u64) -> Wanted {
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
        let needed = Tail::needed_capacity(bytes);
        Wanted {
            usual: usual.max(needed),
            needed,
            left: self.options.left_for_checkpoint(),
        }
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

/// Ends a segment's file at `end`, where its last record does. What is before is durable first:
/// after a crash a file that is shorter than it was made ends where a record ends.
fn shorten(file: &dyn DiskFile, end: u64) -> std::io::Result<()> {
    file.sync_data()?;
    file.set_len(end)?;
    file.sync_data()
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
