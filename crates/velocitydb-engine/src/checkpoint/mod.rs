//! Checkpoints: the state at one log index, in a file of its own.
//!
//! `checkpoints/{index}.ckpt`, the newest few are kept; the log is purged up to the oldest kept,
//! once that many exist, so that a damaged checkpoint can always be replaced by an older one and
//! the log behind it. In reading order: `format`, `write`, `read`.
//!
//! When the disk is nearly full, the newest checkpoint that is read through and found whole stands
//! for all before it: older ones and the log up to it go before the next one is written, and after
//! it. So one checkpoint is left instead of the few.
//!
//! A file with another ending is not a checkpoint: `.tmp` is one that was not finished and is
//! removed at the next start, `.damaged` one that recovery could not read and has put aside.
//! Tests: `engine::tests`, and crashes and damage at every byte in `velocitydb-sim`.

mod format;
mod read;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::crypt::{EncryptionKeys, Purpose};
use crate::disk::Disk;
use crate::error::Error;
use crate::log::{FlushLevel, Log};

use read::key_of;
pub(crate) use read::{Part, read};
pub(crate) use write::Source;

/// The checkpoints' figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Written since the start.
    pub written: u64,
    /// Failed since the start.
    pub failed: u64,
    /// Index of the newest one; 0 when there is none.
    pub last_index: u64,
    /// Documents in the last one written.
    pub last_documents: u64,
    /// Its size in bytes.
    pub last_bytes: u64,
    /// Checkpoints that another key than the present one encrypted, or none …
    pub rekey_files: u64,
    /// … and their bytes.
    pub rekey_bytes: u64,
}

/// See the module.
pub(crate) struct Checkpoints {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    kept: usize,
    writing: Mutex<Box<dyn FnMut() -> [u8; 16] + Send>>,
    stats: Mutex<CheckpointStats>,
    /// The newest checkpoint when everything before it was let go for want of space.
    freed_at: Mutex<u64>,
    keys: EncryptionKeys,
    /// Index and bytes of those under another key.
    rekey: Mutex<Vec<(u64, u64)>>,
}

const ENDING: &str = ".ckpt";

impl Checkpoints {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        kept: usize,
        salts: Box<dyn FnMut() -> [u8; 16] + Send>,
        last_index: u64,
        keys: EncryptionKeys,
        rekey: Vec<(u64, u64)>,
    ) -> Checkpoints {
        let stats = CheckpointStats {
            last_index,
            ..CheckpointStats::default()
        };
        let (writing, stats) = (Mutex::new(salts), Mutex::new(stats));
        Checkpoints {
            disk,
            dir,
            kept: kept.max(1),
            writing,
            stats,
            freed_at: Mutex::new(0),
            keys,
            rekey: Mutex::new(rekey),
        }
    }

    pub(crate) fn stats(&self) -> CheckpointStats {
        let rekey = self.rekey.lock();
        CheckpointStats {
            rekey_files: rekey.len() as u64,
            rekey_bytes: rekey.iter().map(|(_, bytes)| bytes).sum(),
            ..*self.stats.lock()
        }
    }

    /// Writes what `source` answers, unless nothing has changed since the last one, and lets go
    /// of what is not needed any more. The answer is the checkpoint's index.
    pub(crate) fn write(&self, source: impl FnOnce() -> Source, log: &Log) -> Result<u64, Error> {
        let mut salts = self.writing.lock();
        if log.is_short_of_space() {
            // What hinders it shows when there is no room for the checkpoint either.
            let _ = self.keep_newest(log);
        }
        let source = source();
        if source.index == self.stats().last_index {
            return Ok(source.index);
        }
        let written = self.write_one(salts(), &source, log);
        let mut stats = self.stats.lock();
        match &written {
            Ok((bytes, documents)) => {
                stats.written += 1;
                stats.last_index = source.index;
                stats.last_bytes = *bytes;
                stats.last_documents = *documents;
            }
            Err(_) => stats.failed += 1,
        }
        drop(stats);
        written?;
        if log.is_short_of_space() {
            self.keep_newest(log)?;
        } else {
            self.let_go(log, self.kept)?;
        }
        Ok(source.index)
    }

    /// Lets go of everything before the newest checkpoint, once that has been read through; a
    /// damaged one is nobody's reason to give up the one before it.
    fn keep_newest(&self, log: &Log) -> Result<(), Error> {
        let indexes = list(&*self.disk, &self.dir)?;
        let Some(newest) = indexes.last().copied() else {
            return Ok(());
        };
        let frees = indexes.len() > 1 || log.first().is_some_and(|first| first <= newest);
        if !frees || *self.freed_at.lock() == newest {
            return Ok(());
        }
        let failed = |error| Error::io(format!("sync {}", self.dir.display()), error);
        let path = path(&self.dir, newest);
        read(&*self.disk, &path, &self.keys, |_| Ok(()))?;
        // Its own name may have missed the sync, when that found no descriptor.
        self.disk.sync_dir(&self.dir).map_err(failed)?;
        self.let_go(log, 1)?;
        *self.freed_at.lock() = newest;
        Ok(())
    }

    fn write_one(&self, salt: [u8; 16], source: &Source, log: &Log) -> Result<(u64, u64), Error> {
        let aside = self.dir.join(format!("{:020}.tmp", source.index));
        let path = self.dir.join(format!("{:020}{ENDING}", source.index));
        let written = self.clear(&aside);
        let written =
            written.and_then(|()| write::write(&*self.disk, &aside, salt, &self.keys, source));
        let written = written.and_then(|written| {
            // The log must not end before the checkpoint that stands for its beginning.
            if source.index > 0 {
                log.flush(source.index, FlushLevel::Synced)?;
            }
            let failed = |error| Error::io(format!("finish {}", path.display()), error);
            self.disk.rename(&aside, &path).map_err(failed)?;
            self.disk.sync_dir(&self.dir).map_err(failed)?;
            self.rekey
                .lock()
                .retain(|(index, _)| *index != source.index);
            Ok(written)
        });
        if written.is_err() {
            // Left over otherwise until the next try or the next start, which remove it.
            let _ = self.disk.remove(&aside);
        }
        written
    }

    /// Removes what an earlier try for the same index may have left.
    fn clear(&self, aside: &Path) -> Result<(), Error> {
        match self.disk.remove(aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}", aside.display()), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes checkpoints beyond the newest `kept`, and the log before the oldest of those.
    fn let_go(&self, log: &Log, kept: usize) -> Result<(), Error> {
        let mut indexes = list(&*self.disk, &self.dir)?;
        let failed = |error| Error::io(format!("tidy {}", self.dir.display()), error);
        while indexes.len() > kept {
            let oldest = indexes.remove(0);
            self.disk.remove(&path(&self.dir, oldest)).map_err(failed)?;
            self.disk.sync_dir(&self.dir).map_err(failed)?;
            self.rekey.lock().retain(|(index, _)| *index != oldest);
        }
        if indexes.len() == kept && indexes[0] > 0 {
            log.purge(indexes[0])?;
        }
        Ok(())
    }
}

/// Index and bytes of the checkpoints in `dir` that another key than the present one encrypted,
/// or none.
///
/// # Errors
/// [`Error::Key`] when the keys do not do for one of them.
pub(crate) fn under_other_keys(
    disk: &dyn Disk,
    dir: &Path,
    keys: &EncryptionKeys,
) -> Result<Vec<(u64, u64)>, Error> {
    let mut found = Vec::new();
    for index in list(disk, dir)? {
        let path = path(dir, index);
        let failed = |error| Error::io(format!("read the checkpoint {}", path.display()), error);
        let Some((key, bytes)) = key_of(disk, &path).map_err(failed)? else {
            continue;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        keys.opening(key, &[0; 16], Purpose::Checkpoint, &name)?;
        if key != keys.current() {
            found.push((index, bytes));
        }
    }
    Ok(found)
}

/// The file of the checkpoint at `index`.
pub(crate) fn path(dir: &Path, index: u64) -> PathBuf {
    dir.join(format!("{index:020}{ENDING}"))
}

/// The indexes of the checkpoints in `dir`, ascending.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, Error> {
    let names = match disk.list(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        names => names.map_err(|error| Error::io(format!("list {}", dir.display()), error))?,
    };
    let mut indexes: Vec<u64> = names
        .iter()
        .filter_map(|name| name.strip_suffix(ENDING)?.parse().ok())
        .collect();
    indexes.sort_unstable();
    Ok(indexes)
}
