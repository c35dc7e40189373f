//! Verifies and repairs a data directory that nobody uses: every checkpoint and every record of
//! the log.
//!
//! A check changes nothing, and needs no right to: it takes the directory's lock for as long as it
//! runs where there is one to take, so that no server starts meanwhile. A repair does what no
//! start may do by itself: it gives up a part of the log, or all of it.
//! Tests: `velocitydb-cli`, tests/it/check.rs; `velocitydb-sim`.

use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{self, Part};
use crate::crypt::EncryptionKeys;
use crate::disk::Disk;
use crate::error::Error;
use crate::log::{self, Base, CheckReport, RepairMode, RepairReport, Salts};
use crate::recovery;

/// What a data directory holds.
#[derive(Debug)]
pub struct DirectoryReport {
    /// Whether nobody could begin to use it meanwhile; where nothing may be written and nothing
    /// locked, somebody could.
    pub locked: bool,
    /// The checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointReport>,
    /// The log.
    pub log: CheckReport,
    /// Why the log does not fit the checkpoints, when it does not.
    pub gap: Option<String>,
}

/// One checkpoint.
#[derive(Debug)]
pub struct CheckpointReport {
    /// Its log index.
    pub index: u64,
    /// Its documents, or what is wrong with it.
    pub documents: Result<u64, Error>,
    /// The term of its last entry, as far as it could be read.
    term: u64,
}

impl DirectoryReport {
    /// Whether a start would find everything.
    pub fn is_whole(&self) -> bool {
        let checkpoints = self.checkpoints.iter().all(|one| one.documents.is_ok());
        checkpoints && self.log.damage.is_none() && self.gap.is_none()
    }
}

/// Checks the data directory `dir`. An error means that it could not be read, or is in use;
/// damage is part of the report.
pub fn check(disk: &dyn Disk, dir: &Path, keys: &EncryptionKeys) -> Result<DirectoryReport, Error> {
    let (wal_dir, checkpoint_dir) = recovery::directories(dir);
    let listed = disk
        .list(dir)
        .map_err(|error| Error::io(format!("read {}", dir.display()), error))?;
    if !listed
        .iter()
        .any(|name| name == "wal" || name == "checkpoints")
    {
        return Err(Error::Invalid(format!(
            "{} is not a data directory: it has no wal and no checkpoints",
            dir.display()
        )));
    }
    let lock = disk.lock_to_read(&dir.join("LOCK"));
    let lock = lock.map_err(|error| recovery::lock_error(dir, error))?;
    let checkpoints = checkpoints(disk, &checkpoint_dir, keys)?;
    let log = log::check(disk, &wal_dir, keys)?;
    let first = log.entries.map_or(log.purged + 1, |(first, _)| first);
    let last = log.entries.map_or(log.purged, |(_, last)| last);
    let newest = checkpoints.last().map_or(0, |one| one.index);
    let gap = recovery::gap((first, last), base(&checkpoints).index, newest);
    Ok(DirectoryReport {
        locked: lock.is_some(),
        checkpoints,
        gap: gap.filter(|_| log.damage.is_none()),
        log,
    })
}

/// Reads all checkpoints through, oldest first.
fn checkpoints(
    disk: &dyn Disk,
    dir: &Path,
    keys: &EncryptionKeys,
) -> Result<Vec<CheckpointReport>, Error> {
    checkpoint::under_other_keys(disk, dir, keys)?;
    let mut checkpoints = Vec::new();
    for index in checkpoint::list(disk, dir)? {
        let (mut documents, mut term) = (0, 0);
        let path = checkpoint::path(dir, index);
        let read = checkpoint::read(disk, &path, keys, |part| {
            match part {
                Part::Meta(meta) => term = meta.term,
                Part::Documents {
                    documents: found, ..
                } => documents += found.len() as u64,
            }
            Ok(())
        });
        checkpoints.push(CheckpointReport {
            index,
            documents: read.map(|()| documents),
            term,
        });
    }
    Ok(checkpoints)
}

/// What the log goes on from.
fn base(checkpoints: &[CheckpointReport]) -> Base {
    let newest = checkpoints.iter().rev().find(|one| one.documents.is_ok());
    newest.map_or(Base::default(), |one| Base {
        index: one.index,
        term: one.term,
    })
}

/// What a repair of a data directory does, or would.
#[derive(Debug)]
pub struct DirectoryRepair {
    /// Index of the newest whole checkpoint; 0 when there is none.
    pub checkpoint: u64,
    /// The log.
    pub log: RepairReport,
}

/// Repairs the data directory `dir`, whose lock the caller holds, or says what that would do: see
/// [`log::repair`]. Damaged checkpoints that the log does not reach are put aside.
///
/// # Errors
/// As [`log::repair`].
pub fn repair(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    mode: RepairMode,
    salts: Salts,
    keys: &EncryptionKeys,
) -> Result<DirectoryRepair, Error> {
    let (wal_dir, checkpoint_dir) = recovery::directories(dir);
    let checkpoints = checkpoints(&**disk, &checkpoint_dir, keys)?;
    let base = base(&checkpoints);
    let mut log = log::repair(disk, &wal_dir, base, mode, salts, keys)?;
    let ends = log.ends;
    let beyond = checkpoints
        .iter()
        .filter(|one| one.index > ends)
        .map(|one| one.index);
    let beyond: Vec<u64> = beyond.collect();
    if let Some(newest) = beyond.last() {
        log.damage.push(log::missing_end(ends, *newest));
        let (first, last) = log.lost.unwrap_or((ends + 1, *newest));
        log.lost = Some((first, last.max(*newest)));
        if mode == RepairMode::CarryOut && log.hopeless.is_none() {
            recovery::put_aside(&**disk, &checkpoint_dir, &beyond)?;
        }
    }
    Ok(DirectoryRepair {
        checkpoint: base.index,
        log,
    })
}
