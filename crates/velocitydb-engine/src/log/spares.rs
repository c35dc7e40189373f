//! Files prepared for the segments to come, so that a full disk is found before an entry is
//! accepted and a roll-over costs one small sync.
//!
//! A spare is allocated to its whole length and synced, its name is durable; its content means
//! nothing (it may have been a segment). At most [`KEPT`] lie about besides the one that the
//! tail holds.
//!
//! **When space is short.** The disk is asked what is free before zeros are written to it: a
//! spare takes at most half of that, so the sizes halve towards the smallest; what does not fit
//! is refused without a write. A try that fails all the same (a quota, another process, no
//! descriptors, no directory) changes nothing; the second failure in a row and those after it are
//! followed by a pause of 1 s to 8 s in which nothing is tried. Time is what the owner hands in.
//!
//! Tests: with the log, and the full-disk tests of `velocitydb-sim`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use velocitydb_types::Timestamp;

use super::Log;
use super::error::{LogError, is_full};
use super::segment::{Segment, spare_name};
use super::tail::Spare;
use crate::disk::Disk;

/// Spares kept beside the tail's.
const KEPT: usize = 1;
/// The first pause after failures, and the longest.
const PAUSE_US: i64 = 1_000_000;
const PAUSE_US_MAX: i64 = 8 * PAUSE_US;

/// The spares that no one has taken yet.
#[derive(Debug, Default)]
pub(super) struct Spares {
    pub(super) free: Vec<Spare>,
    /// The number in the next new spare's name.
    pub(super) next_number: u64,
    /// The time, as far as the owner told.
    pub(super) now: Timestamp,
    pub(super) trouble: Option<Trouble>,
}

/// What kept a spare from being prepared.
#[derive(Debug)]
pub(super) struct Trouble {
    error: LogError,
    failures: u32,
    at: Timestamp,
    pause_us: i64,
}

/// What a spare is to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Its size when there is space enough, in bytes.
    pub(super) usual: u64,
    /// The smallest that serves.
    pub(super) needed: u64,
    /// Bytes of the disk that it must leave free.
    pub(super) left: u64,
}

impl Wanted {
    /// The size to give a spare that has `has` bytes already; `None` when nothing that serves
    /// fits into what is free (`None`: not known).
    fn fitting(&self, smallest: u64, has: u64, free: Option<u64>) -> Option<u64> {
        let Some(free) = free else {
            return Some(self.usual);
        };
        let free = free.saturating_sub(self.left);
        let smallest = smallest.max(self.needed).min(self.usual);
        let mut size = self.usual;
        while size > smallest && size.saturating_sub(has) > free / 2 {
            size = (size / 2).max(smallest);
        }
        let size = size.max(has.min(self.usual));
        (size.saturating_sub(has) <= free).then_some(size)
    }
}

impl Spares {
    /// The error of the last tries, while nothing new is tried.
    fn pausing(&self) -> Option<LogError> {
        let trouble = self.trouble.as_ref()?;
        let since_us = self.now.0.saturating_sub(trouble.at.0);
        // A clock that was set back ends the pause.
        (0..trouble.pause_us)
            .contains(&since_us)
            .then(|| trouble.error.clone())
    }

    fn note_failure(&mut self, error: &LogError) {
        let failures = self.trouble.as_ref().map_or(0, |trouble| trouble.failures);
        let doubled = PAUSE_US << failures.saturating_sub(1).min(8);
        self.trouble = Some(Trouble {
            error: error.clone(),
            failures: failures + 1,
            at: self.now,
            pause_us: if failures == 0 {
                0
            } else {
                doubled.min(PAUSE_US_MAX)
            },
        });
    }
}

impl Log {
    /// Sees to it that the tail holds a spare as wanted: of the usual size where there is space,
    /// of a smaller one that serves where there is not.
    pub(super) fn bring_spare(&self, wanted: Wanted) -> Result<(), LogError> {
        self.check_open()?;
        let mut spares = self.spares.lock();
        let held = self.tail.lock().spare.as_ref().map_or(0, |s| s.capacity);
        let smallest = self.options.smallest_segment_bytes();
        let has = spares.free.last().map_or(0, |spare| spare.capacity);
        let free = self.directory.free_bytes().unwrap_or(None);
        let size = wanted.fitting(smallest, has, free);
        self.note_space(free, size.unwrap_or(0).max(held) >= wanted.needed);
        if held >= wanted.usual {
            return Ok(());
        }
        let serves = held >= wanted.needed;
        let needed = wanted.needed;
        let larger = size.filter(|size| *size > held);
        let larger = larger.ok_or(LogError::DiskFull { needed });
        let usable = larger.and_then(|size| spares.pausing().map_or(Ok(size), Err));
        let size = match usable {
            Err(_) if serves => return Ok(()),
            usable => usable?,
        };
        let spare = match self.new_spare(&mut spares, size) {
            Ok(spare) => spare,
            Err(error) => {
                spares.note_failure(&error);
                return Err(error);
            }
        };
        spares.trouble = None;
        let replaced = self.tail.lock().spare.replace(spare);
        if let Some(small) = replaced {
            self.keep_spare(&mut spares, small)?;
        }
        Ok(())
    }

    /// Space is short when the log has more than is free: a checkpoint still fits then, as a rule,
    /// and the log behind it can go.
    fn note_space(&self, free: Option<u64>, goes_on: bool) {
        let segments = &self.shared.lock().segments;
        let log: u64 = segments.iter().map(|segment| segment.capacity).sum();
        let short = !goes_on || free.is_some_and(|free| free < log);
        self.short_of_space.store(short, Ordering::Release);
    }

    /// A spare of at least `capacity` bytes: one that lies about, or a new one.
    fn new_spare(&self, spares: &mut Spares, capacity: u64) -> Result<Spare, LogError> {
        if let Some(spare) = spares.free.pop() {
            return grow(&*self.disk, &self.dir, spare, capacity);
        }
        let name = spare_name(spares.next_number);
        let created = self.disk.create(&self.dir.join(&name));
        let taken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AlreadyExists;
        if created.as_ref().err().is_none_or(taken) {
            spares.next_number += 1;
        }
        let spare = Spare {
            file: created.map_err(|error| spare_error(&name, capacity, error))?,
            name,
            capacity: 0,
            recycled: false,
        };
        let spare = grow(&*self.disk, &self.dir, spare, capacity)?;
        self.sync_dir()?;
        Ok(spare)
    }

    /// Removes or recycles segments that the log no longer needs. Their end is durable, so it
    /// does not matter which of the removals survive a crash: what is left is not in the chain.
    pub(super) fn dispose(&self, segments: Vec<Segment>) -> Result<(), LogError> {
        if segments.is_empty() {
            return Ok(());
        }
        let mut spares = self.spares.lock();
        let short = self.short_of_space.load(Ordering::Acquire);
        let mut recycled = Vec::new();
        for segment in segments {
            let Segment {
                header,
                name,
                file,
                capacity,
                ..
            } = segment;
            // A reader may still hold the file; then its content must stay as it is.
            let unused = Arc::strong_count(&file) == 1;
            let kept = spares.free.len() + recycled.len();
            // What space there is is not given away while it is short.
            let large = capacity >= self.options.segment_bytes || short;
            // What another key encrypted, or none, goes from the disk.
            let ours = header.key == self.options.keys.current();
            if unused && large && ours && kept < KEPT {
                let spare = spare_name(spares.next_number);
                spares.next_number += 1;
                self.disk
                    .rename(&self.dir.join(&name), &self.dir.join(&spare))
                    .map_err(|error| LogError::io(format!("rename {name} to {spare}"), error))?;
                self.stats.segments_recycled.fetch_add(1, Ordering::Relaxed);
                recycled.push(Spare {
                    file,
                    name: spare,
                    capacity,
                    recycled: true,
                });
            } else {
                self.disk
                    .remove(&self.dir.join(&name))
                    .map_err(|error| LogError::io(format!("remove {name}"), error))?;
                self.stats.segments_removed.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Only now may a recycled file be written to.
        self.sync_dir()?;
        spares.free.append(&mut recycled);
        Ok(())
    }

    fn keep_spare(&self, spares: &mut Spares, spare: Spare) -> Result<(), LogError> {
        if spares.free.len() < KEPT {
            spares.free.push(spare);
            return Ok(());
        }
        self.disk
            .remove(&self.dir.join(&spare.name))
            .map_err(|error| LogError::io(format!("remove {}", spare.name), error))?;
        self.sync_dir()
    }

    /// Makes names durable. A failure closes the log: it may have been about a segment's name,
    /// and the system reports it once.
    pub(super) fn sync_dir(&self) -> Result<(), LogError> {
        self.directory
            .sync()
            .map_err(|error| self.close_for(&LogError::io("sync the log's directory", error)))
    }
}

/// Makes `spare` at least `capacity` bytes long, durably; removes it when that fails.
fn grow(disk: &dyn Disk, dir: &Path, mut spare: Spare, capacity: u64) -> Result<Spare, LogError> {
    if spare.capacity >= capacity {
        return Ok(spare);
    }
    let grown = spare
        .file
        .allocate(capacity)
        .and_then(|()| spare.file.sync_data());
    match grown {
        Ok(()) => {
            spare.capacity = capacity;
            Ok(spare)
        }
        Err(error) => {
            // What is left of it is found and removed when the log is opened.
            let _ = disk.remove(&dir.join(&spare.name));
            Err(spare_error(&spare.name, capacity, error))
        }
    }
}

fn spare_error(name: &str, capacity: u64, error: std::io::Error) -> LogError {
    if is_full(&error) {
        return LogError::DiskFull { needed: capacity };
    }
    LogError::io(format!("prepare the log file {name}"), error)
}

/// Removes a file of the log, durably.
pub(super) fn remove(disk: &dyn Disk, dir: &Path, name: &str) -> Result<(), LogError> {
    disk.remove(&dir.join(name))
        .map_err(|error| LogError::io(format!("remove {name}"), error))?;
    sync_dir(disk, dir)
}

pub(super) fn sync_dir(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    disk.sync_dir(dir)
        .map_err(|error| LogError::io("sync the log's directory", error))
}
