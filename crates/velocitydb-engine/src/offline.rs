//! Verifies a data directory that nobody uses: every checkpoint and every record of the log.
//!
//! Changes nothing but the lock file, which it takes for as long as it runs, so that no server
//! starts meanwhile. Tests: `velocitydb-cli`, tests/it/check.rs.

use std::path::Path;

use crate::checkpoint::{self, Part};
use crate::disk::Disk;
use crate::error::Error;
use crate::log::{self, CheckReport};
use crate::recovery;

/// What a data directory holds.
#[derive(Debug)]
pub struct DirectoryReport {
    /// The checkpoints, oldest first.
    pub checkpoints: Vec<CheckpointReport>,
    /// The log.
    pub log: CheckReport,
    /// Why the log does not follow the newest whole checkpoint, when it does not.
    pub gap: Option<String>,
}

/// One checkpoint.
#[derive(Debug)]
pub struct CheckpointReport {
    /// Its log index.
    pub index: u64,
    /// Its documents, or what is wrong with it.
    pub documents: Result<u64, Error>,
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
pub fn check(disk: &dyn Disk, dir: &Path) -> Result<DirectoryReport, Error> {
    let (wal_dir, checkpoint_dir) = recovery::directories(dir);
    let listed = disk
        .list(dir)
        .map_err(|error| Error::io(format!("read {}", dir.display()), error))?;
    if !listed.iter().any(|name| name == "wal") {
        return Err(Error::Invalid(format!(
            "{} is not a data directory: it has no wal",
            dir.display()
        )));
    }
    let _lock = recovery::lock(disk, dir)?;
    let mut checkpoints = Vec::new();
    for index in checkpoint::list(disk, &checkpoint_dir)? {
        let mut documents = 0;
        let path = checkpoint::path(&checkpoint_dir, index);
        let read = checkpoint::read(disk, &path, |part| {
            if let Part::Documents {
                documents: found, ..
            } = part
            {
                documents += found.len() as u64;
            }
            Ok(())
        });
        checkpoints.push(CheckpointReport {
            index,
            documents: read.map(|()| documents),
        });
    }
    let log = log::check(disk, &wal_dir)?;
    let newest = checkpoints.iter().rev().find(|one| one.documents.is_ok());
    let newest = newest.map_or(0, |one| one.index);
    let first = log.entries.map_or(log.purged + 1, |(first, _)| first);
    let gap = (first > newest + 1).then(|| {
        format!("the log begins at entry {first}, the newest whole checkpoint ends at {newest}")
    });
    Ok(DirectoryReport {
        checkpoints,
        log,
        gap,
    })
}
