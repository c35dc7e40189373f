//! Files prepared for the segments to come, so that a full disk is found before an entry is
//! accepted and a roll-over costs one small sync.
//!
//! A spare is allocated to its whole length and synced, its name is durable; its content means
//! nothing (it may have been a segment). At most [`KEPT`] lie about besides the one that the
//! tail holds. A failure here changes nothing: the next try starts with a new file.
//!
//! Tests: with the log, and the full-disk tests of `velocitydb-sim`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Log;
use super::error::{LogError, is_full};
use super::segment::{Segment, spare_name};
use super::tail::Spare;
use crate::disk::Disk;

/// Spares kept beside the tail's.
const KEPT: usize = 1;

/// The spares that no one has taken yet.
#[derive(Debug)]
pub(super) struct Spares {
    pub(super) free: Vec<Spare>,
    /// The number in the next new spare's name.
    pub(super) next_number: u64,
}

impl Log {
    /// Sees to it that the tail holds a spare of at least `capacity` bytes.
    pub(super) fn bring_spare(&self, capacity: u64) -> Result<(), LogError> {
        let mut spares = self.spares.lock();
        if self
            .tail
            .lock()
            .spare
            .as_ref()
            .is_some_and(|spare| spare.capacity >= capacity)
        {
            return Ok(());
        }
        let spare = match spares.free.pop() {
            Some(spare) => spare,
            None => {
                let name = spare_name(spares.next_number);
                spares.next_number += 1;
                let file = self
                    .disk
                    .create(&self.dir.join(&name))
                    .map_err(|error| spare_error(&name, capacity, error))?;
                Spare {
                    file,
                    name,
                    capacity: 0,
                    recycled: false,
                }
            }
        };
        let spare = grow(&*self.disk, &self.dir, spare, capacity)?;
        let replaced = self.tail.lock().spare.replace(spare);
        if let Some(small) = replaced {
            self.keep_spare(&mut spares, small)?;
        }
        Ok(())
    }

    /// Removes or recycles segments that the log no longer needs. Their end is durable, so it
    /// does not matter which of the removals survive a crash: what is left is not in the chain.
    pub(super) fn dispose(&self, segments: Vec<Segment>) -> Result<(), LogError> {
        if segments.is_empty() {
            return Ok(());
        }
        let mut spares = self.spares.lock();
        let mut recycled = Vec::new();
        for segment in segments {
            let Segment {
                name,
                file,
                capacity,
                ..
            } = segment;
            // A reader may still hold the file; then its content must stay as it is.
            let unused = Arc::strong_count(&file) == 1;
            let kept = spares.free.len() + recycled.len();
            if unused && capacity >= self.options.segment_bytes && kept < KEPT {
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
        remove(&*self.disk, &self.dir, &spare.name)
    }

    pub(super) fn sync_dir(&self) -> Result<(), LogError> {
        sync_dir(&*self.disk, &self.dir)
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
    let grown = grown.and_then(|()| disk.sync_dir(dir));
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
