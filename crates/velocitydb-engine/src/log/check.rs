//! Verifies a log without opening it.
//!
//! Changes nothing, so it may run on a copy or on the log of a stopped server.
//! Tests: `velocitydb-sim`.

use std::path::Path;

use super::error::LogError;
use super::recovery::{Access, Recovery, TornTail, View, recover_partly};
use crate::crypt::EncryptionKeys;
use crate::disk::Disk;

/// What a log's files hold.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// The segments that make up the log, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Files that an interrupted step left; opening the log removes them.
    pub leftovers: Vec<String>,
    /// Records that verify.
    pub records: u64,
    /// Oldest and newest entry.
    pub entries: Option<(u64, u64)>,
    /// The entry that the log goes on from when it has none: what was purged before it.
    pub purged: u64,
    /// A tail that opening the log would cut.
    pub torn: Option<TornTail>,
    /// Why the log cannot be opened. The rest of the report then covers what is before it.
    pub damage: Option<LogError>,
}

/// One segment of a checked log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// File name.
    pub name: String,
    /// Length of the file in bytes.
    pub file_bytes: u64,
    /// Bytes of header and records.
    pub used_bytes: u64,
    /// First and last entry that count.
    pub entries: Option<(u64, u64)>,
}

/// Reads every record of the log in `dir` and says what it finds.
///
/// # Errors
/// [`LogError::Io`] when it cannot be read, [`LogError::Key`] when another key is needed; damage is part of the report.
pub fn check(disk: &dyn Disk, dir: &Path, keys: &EncryptionKeys) -> Result<CheckReport, LogError> {
    let view = View {
        access: Access::Read,
        keys: keys.clone(),
        ..View::default()
    };
    match recover_partly(disk, dir, &view) {
        Ok((recovery, damage)) => Ok(report(recovery, damage)),
        Err(error @ (LogError::Io { .. } | LogError::Key(_))) => Err(error),
        Err(error) => Ok(CheckReport {
            segments: Vec::new(),
            leftovers: Vec::new(),
            records: 0,
            entries: None,
            purged: 0,
            torn: None,
            damage: Some(error),
        }),
    }
}

fn report(recovery: Recovery, damage: Option<LogError>) -> CheckReport {
    let state = &recovery.state;
    let entries = state.first.zip(state.last.map(|(last, _)| last));
    let segments = recovery.segments.into_iter().map(|segment| SegmentReport {
        name: segment.name,
        file_bytes: segment.capacity,
        used_bytes: segment.end,
        entries: segment.entries,
    });
    CheckReport {
        segments: segments.collect(),
        leftovers: recovery.leftovers,
        records: recovery.records,
        entries,
        purged: state.purged.map_or(0, |(index, _)| index),
        torn: recovery.torn,
        damage,
    }
}
