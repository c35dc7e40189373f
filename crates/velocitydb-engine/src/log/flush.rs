//! From the tail to the disk: writes, syncs, and who does them for whom.
//!
//! There is no flusher thread. A caller that needs its entries written takes the writer lock and
//! writes all that is there; one that comes later finds its own already written. A caller that
//! needs them synced becomes the **leader** when there is none: it writes and syncs for all. The
//! others park. When the leader is done it first wakes one of those that its sync did not cover,
//! as the next leader, and then those that it did: the next sync runs while they wake up.
//!
//! Locks, in the order they may be taken: writer, sync, tail, shared. `group` guards only the
//! list of waiters and is never held over another.
//!
//! Invariants: bytes reach a file in the order of the tail; one sync at a time (the kernel
//! reports a failure once per open file, so a second, concurrent sync could miss it); the first
//! failure closes the log, and no sync is ever tried again.
//!
//! Tests: with the log, and the crash tests of `velocitydb-sim`.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::{self, Thread};

use parking_lot::Mutex;

use super::error::LogError;
use super::record::{Frame, TERMINATOR};
use super::segment::{Position, Segment};
use super::tail::{Chunk, Spare};
use super::{Log, WritePath, segment};
use crate::disk::{DiskFile, MappedFile};

/// What a holder of the writer lock needs.
#[derive(Debug)]
pub(super) struct Writer {
    /// The other of the two buffers; the tail fills one while this one is written.
    empty: Vec<u8>,
    /// The segment that is written to.
    active: Option<Arc<dyn DiskFile>>,
    /// The same file in memory, where [`WritePath::Mapped`] is chosen and possible.
    map: Option<Box<dyn MappedFile>>,
}

/// Why a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Someone waits for it to be handed to the operating system.
    HandOver,
    /// A sync follows at once.
    Sync,
}

/// A written buffer larger than this is given back.
const BUFFER_KEPT: usize = 4 << 20;

/// What the files hold, for readers and syncers. Held for moments only.
#[derive(Debug)]
pub(super) struct Shared {
    /// The segments of the log, oldest first.
    pub(super) segments: Vec<Segment>,
    /// Segments that the log no longer needs, oldest first; removed once this is durable.
    pub(super) garbage: Vec<Segment>,
    /// Rolled-over segments that were not synced since.
    pub(super) unsynced: Vec<(u64, Arc<dyn DiskFile>)>,
    /// Everything before it was handed to the operating system.
    pub(super) written: Position,
    written_ticket: u64,
    written_next: u64,
    /// Segments begun, and how many of their names are durable.
    renames: u64,
    synced_renames: u64,
}

impl Shared {
    pub(super) fn new(segments: Vec<Segment>, written: Position, written_next: u64) -> Shared {
        Shared {
            segments,
            garbage: Vec::new(),
            unsynced: Vec::new(),
            written,
            written_ticket: 0,
            written_next,
            renames: 0,
            synced_renames: 0,
        }
    }
}

/// How far the log is, for readers without a lock. `first` is plus one, the others are the index
/// that comes next; 0 means none.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) first: AtomicU64,
    pub(super) last_next: AtomicU64,
    pub(super) written_next: AtomicU64,
    pub(super) synced_next: AtomicU64,
    pub(super) written_ticket: AtomicU64,
    pub(super) synced_ticket: AtomicU64,
    /// The ticket of the last entry minus its index.
    pub(super) shift: AtomicU64,
    pub(super) closed: AtomicBool,
}

/// Those who wait for a sync.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Someone is writing and syncing for all.
    leading: bool,
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    parker: Arc<Parker>,
}

/// Where one thread sleeps; each thread has one, since it waits for one thing at a time.
#[derive(Debug)]
struct Parker {
    thread: Thread,
    wake: AtomicU8,
}

const ASLEEP: u8 = 0;
const DONE: u8 = 1;
const LEAD: u8 = 2;

thread_local! {
    static PARKER: RefCell<Option<Arc<Parker>>> = const { RefCell::new(None) };
}

impl Parker {
    fn of_this_thread() -> Arc<Parker> {
        PARKER.with_borrow_mut(|slot| {
            let parker = slot.get_or_insert_with(|| {
                Arc::new(Parker {
                    thread: thread::current(),
                    wake: AtomicU8::new(ASLEEP),
                })
            });
            parker.wake.store(ASLEEP, Ordering::Relaxed);
            Arc::clone(parker)
        })
    }

    fn sleep(&self) -> u8 {
        loop {
            let wake = self.wake.load(Ordering::Acquire);
            if wake != ASLEEP {
                return wake;
            }
            thread::park();
        }
    }

    fn wake(&self, why: u8) {
        self.wake.store(why, Ordering::Release);
        self.thread.unpark();
    }
}

impl Writer {
    pub(super) fn new() -> Writer {
        Writer {
            empty: Vec::new(),
            active: None,
            map: None,
        }
    }
}

impl Log {
    /// Returns when all up to `ticket` was handed to the operating system.
    pub(super) fn write_until(&self, ticket: u64) -> Result<(), LogError> {
        if self.progress.written_ticket.load(Ordering::Acquire) < ticket {
            let mut writer = self.writer.lock();
            if self.progress.written_ticket.load(Ordering::Acquire) < ticket {
                return self.write_batch(&mut writer, Purpose::HandOver);
            }
        }
        self.check_open()
    }

    /// Writes what waits in the tail.
    fn write_batch(&self, writer: &mut Writer, purpose: Purpose) -> Result<(), LogError> {
        self.check_open()?;
        let mut batch = {
            let mut tail = self.tail.lock();
            if tail.is_empty() {
                return Ok(());
            }
            tail.take(std::mem::take(&mut writer.empty))
        };
        let result = self.write_chunks(writer, &mut batch.rolled, &mut batch.current, purpose);
        if let Err(error) = result {
            return Err(self.close_for(&error));
        }
        let mut shared = self.shared.lock();
        shared.written_ticket = batch.ticket;
        shared.written_next = batch.next_index;
        drop(shared);
        self.progress
            .written_next
            .store(batch.next_index, Ordering::Release);
        self.progress
            .written_ticket
            .store(batch.ticket, Ordering::Release);
        let mut bytes = batch.current.bytes;
        bytes.clear();
        bytes.shrink_to(BUFFER_KEPT);
        writer.empty = bytes;
        Ok(())
    }

    fn write_chunks(
        &self,
        writer: &mut Writer,
        rolled: &mut Vec<Chunk>,
        current: &mut Chunk,
        purpose: Purpose,
    ) -> Result<(), LogError> {
        for mut chunk in rolled.drain(..) {
            self.write_chunk(writer, &mut chunk, purpose)?;
        }
        self.write_chunk(writer, current, purpose)
    }

    fn write_chunk(
        &self,
        writer: &mut Writer,
        chunk: &mut Chunk,
        purpose: Purpose,
    ) -> Result<(), LogError> {
        let len = chunk.bytes.len() as u64;
        chunk.bytes.extend_from_slice(&[0; TERMINATOR as usize]);
        if let Some((header, frame, spare)) = chunk.opens.take() {
            self.begin_segment(writer, (header, frame), spare, &chunk.bytes)?;
        } else if len > 0 {
            let file = writer
                .active
                .as_ref()
                .expect("its segment was begun before");
            match &mut writer.map {
                // A page that was touched through the mapping costs a later sync much more, so
                // what is synced at once does not go this way.
                Some(map) if purpose == Purpose::HandOver => {
                    map.write_at(&chunk.bytes, chunk.start);
                }
                _ => file
                    .write_all_at(&chunk.bytes, chunk.start)
                    .map_err(|error| LogError::io("write the log", error))?,
            }
        } else {
            return Ok(());
        }
        self.stats.writes.fetch_add(1, Ordering::Relaxed);
        self.stats.bytes_written.fetch_add(len, Ordering::Relaxed);
        let mut shared = self.shared.lock();
        let segment = shared
            .segments
            .last_mut()
            .expect("the active segment is listed");
        segment.end = chunk.start + len;
        if let Some((first, last)) = chunk.entries {
            segment.entries = Some((segment.entries.map_or(first, |(first, _)| first), last));
        }
        segment.landmarks.append(&mut chunk.landmarks);
        shared.written = (segment.header.sequence, segment.end);
        Ok(())
    }

    /// Makes `spare` the active segment, with `records` (and their end mark) as its first. They
    /// are durable before its name makes it part of the log: the vote and the purge position of
    /// the segments that it may void are among them. At most the two newest segments hold
    /// unsynced records, and only the newest may have a name that is not durable.
    fn begin_segment(
        &self,
        writer: &mut Writer,
        (header, frame): (segment::Header, Frame),
        spare: Spare,
        records: &[u8],
    ) -> Result<(), LogError> {
        self.sync_rolled()?;
        let name = header.file_name();
        let Spare {
            file,
            name: spare_name,
            capacity,
            ..
        } = spare;
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(records);
        file.write_all_at(&bytes, 0)
            .map_err(|error| LogError::io(format!("write the beginning of {name}"), error))?;
        self.sync_file(&file, &name)?;
        self.disk
            .rename(&self.dir.join(&spare_name), &self.dir.join(&name))
            .map_err(|error| LogError::io(format!("rename {spare_name} to {name}"), error))?;
        let map = match self.options.write_path {
            // Where memory or descriptors are short it goes by calls.
            WritePath::Mapped => file.map(capacity).unwrap_or(None),
            WritePath::Calls => None,
        };
        self.stats.segments_begun.fetch_add(1, Ordering::Relaxed);
        let mut shared = self.shared.lock();
        if let (Some(active), Some(segment)) = (writer.active.take(), shared.segments.last()) {
            let sequence = segment.header.sequence;
            shared.unsynced.push((sequence, active));
        }
        if header.previous.0 == 0 {
            let mut void = std::mem::take(&mut shared.segments);
            shared.garbage.append(&mut void);
        }
        for older in &mut shared.segments {
            older.void_from(header.first_index);
        }
        writer.active = Some(Arc::clone(&file));
        writer.map = map;
        let end = segment::HEADER_LEN;
        shared.written = (header.sequence, end);
        let entries = None;
        let landmarks = Vec::new();
        shared.segments.push(Segment {
            header,
            name,
            file,
            entries,
            end,
            capacity,
            landmarks,
            frame,
        });
        shared.renames += 1;
        self.wants_care.store(true, Ordering::Release);
        Ok(())
    }

    /// Returns when all up to `ticket` is durable.
    pub(super) fn sync_until(&self, ticket: u64) -> Result<(), LogError> {
        if self.progress.synced_ticket.load(Ordering::Acquire) >= ticket {
            return Ok(());
        }
        let parker = {
            let mut group = self.group.lock();
            if self.progress.synced_ticket.load(Ordering::Acquire) >= ticket {
                return Ok(());
            }
            self.check_open()?;
            if group.leading {
                let parker = Parker::of_this_thread();
                group.waiters.push(Waiter {
                    ticket,
                    parker: Arc::clone(&parker),
                });
                Some(parker)
            } else {
                group.leading = true;
                None
            }
        };
        match parker {
            None => self.lead(),
            Some(parker) if parker.sleep() == LEAD => self.lead(),
            Some(_) => {}
        }
        if self.progress.synced_ticket.load(Ordering::Acquire) >= ticket {
            return Ok(());
        }
        // A leader wakes those it did not cover only when the log is closed.
        self.check_open()?;
        unreachable!("a sync covers all that was appended before it")
    }

    /// Writes and syncs for everyone, then hands over.
    fn lead(&self) {
        let mut result = {
            let mut writer = self.writer.lock();
            self.write_batch(&mut writer, Purpose::Sync)
        };
        if result.is_ok() {
            result = self.sync_written();
        }
        debug_assert!(
            result.is_ok() || self.check_open().is_err(),
            "a failure closes the log"
        );
        let (next, done) = self.divide_waiters();
        let last = next.is_none();
        if let Some(next) = next {
            next.parker.wake(LEAD);
        }
        for waiter in done {
            waiter.parker.wake(DONE);
        }
        if last && result.is_ok() {
            // The mark of this sync. A failure closes the log for the next caller.
            if let Some(mut writer) = self.writer.try_lock() {
                let _ = self.write_batch(&mut writer, Purpose::Sync);
            }
        }
    }

    /// Takes the next leader and those who need wait no longer off the list.
    fn divide_waiters(&self) -> (Option<Waiter>, Vec<Waiter>) {
        let mut group = self.group.lock();
        let waiters = std::mem::take(&mut group.waiters);
        if self.progress.closed.load(Ordering::Acquire) {
            group.leading = false;
            return (None, waiters);
        }
        let synced = self.progress.synced_ticket.load(Ordering::Acquire);
        let (mut later, done): (Vec<_>, Vec<_>) = waiters
            .into_iter()
            .partition(|waiter| waiter.ticket > synced);
        let next = if later.is_empty() {
            None
        } else {
            Some(later.remove(0))
        };
        group.leading = next.is_some();
        group.waiters = later;
        (next, done)
    }

    /// Makes everything written durable. Any failure closes the log.
    fn sync_written(&self) -> Result<(), LogError> {
        let syncing = self.sync.lock();
        self.check_open()?;
        let (files, position, ticket, next_index, renames, dir) = {
            let shared = self.shared.lock();
            let active = shared.segments.last().map(|segment| &segment.file);
            let rolled = shared.unsynced.iter().map(|(_, file)| file);
            let files: Vec<_> = rolled.chain(active).map(Arc::clone).collect();
            let dir = shared.renames > shared.synced_renames;
            let next_index = shared.written_next;
            (
                files,
                shared.written,
                shared.written_ticket,
                next_index,
                shared.renames,
                dir,
            )
        };
        let mut result = Ok(());
        for file in &files {
            result = result.and_then(|()| self.sync_data(file, "the log"));
        }
        if dir {
            result = result.and_then(|()| self.sync_dir());
        }
        if let Err(error) = result {
            return Err(self.close_for(&error));
        }
        {
            let mut shared = self.shared.lock();
            shared
                .unsynced
                .retain(|(sequence, _)| *sequence >= position.0);
            shared.synced_renames = shared.synced_renames.max(renames);
        }
        self.progress
            .synced_next
            .store(next_index, Ordering::Release);
        self.progress.synced_ticket.store(ticket, Ordering::Release);
        drop(syncing);
        self.tail.lock().mark(position);
        Ok(())
    }

    /// Syncs the segments that were rolled over, and the names of all. Their last bytes were
    /// written before.
    pub(super) fn sync_rolled(&self) -> Result<(), LogError> {
        let _syncing = self.sync.lock();
        self.check_open()?;
        let (rolled, renames, dir) = {
            let shared = self.shared.lock();
            let dir = shared.renames > shared.synced_renames;
            (shared.unsynced.clone(), shared.renames, dir)
        };
        let mut result = Ok(());
        for (_, file) in &rolled {
            result = result.and_then(|()| self.sync_data(file, "a full log segment"));
        }
        if dir {
            result = result.and_then(|()| self.sync_dir());
        }
        if let Err(error) = result {
            return Err(self.close_for(&error));
        }
        let mut shared = self.shared.lock();
        shared
            .unsynced
            .retain(|(sequence, _)| rolled.iter().all(|(synced, _)| synced != sequence));
        shared.synced_renames = shared.synced_renames.max(renames);
        Ok(())
    }

    fn sync_file(&self, file: &Arc<dyn DiskFile>, name: &str) -> Result<(), LogError> {
        let _syncing = self.sync.lock();
        self.sync_data(file, name)
    }

    fn sync_data(&self, file: &Arc<dyn DiskFile>, what: &str) -> Result<(), LogError> {
        self.stats.syncs.fetch_add(1, Ordering::Relaxed);
        file.sync_data()
            .map_err(|error| LogError::io(format!("sync {what}"), error))
    }

    /// Whether the log still takes entries. One atomic load.
    ///
    /// # Errors
    /// [`LogError::Closed`].
    pub fn check_open(&self) -> Result<(), LogError> {
        if !self.progress.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let cause = self
            .cause
            .lock()
            .clone()
            .expect("the cause is stored before the flag");
        Err(LogError::Closed { cause })
    }

    /// Closes the log because of `error`; the first cause stays.
    pub(super) fn close_for(&self, error: &LogError) -> LogError {
        let mut cause = self.cause.lock();
        let cause = cause.get_or_insert_with(|| Arc::from(error.to_string()));
        self.progress.closed.store(true, Ordering::Release);
        LogError::Closed {
            cause: Arc::clone(cause),
        }
    }
}

/// The lock that keeps syncs apart; it guards no data.
pub(super) type SyncLock = Mutex<()>;
