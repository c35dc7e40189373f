//! What an engine tells about itself.

use std::sync::atomic::Ordering;

use super::Rekey;
use crate::checkpoint::CheckpointStats;
use crate::crypt::KeyId;
use crate::log::LogStats;

/// Figures for metrics, since the engine was opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineStats {
    /// The newest visible log index.
    pub visible_index: u64,
    /// Entries logged and published.
    pub entries: u64,
    /// Requests that the state refused.
    pub refusals: u64,
    /// Bytes that the data takes.
    pub memory_used: u64,
    /// Bytes that it may take.
    pub memory_limit: Option<u64>,
    /// Snapshots in use.
    pub snapshots: usize,
    /// The oldest index that a snapshot holds.
    pub oldest_snapshot: Option<u64>,
    /// Snapshots given up at their deadline.
    pub snapshots_given_up: u64,
    /// Bytes of the changes that are kept for those who follow; in `memory_used` too.
    pub history_bytes: u64,
    /// How many follow the changes.
    pub followers: usize,
    /// Expired documents removed.
    pub expired: u64,
    /// The key that encrypts what is written; `None` without encryption.
    pub key: Option<KeyId>,
    /// What is still under another key.
    pub rekey: Rekey,
    /// The log's figures; `None` in memory-only mode.
    pub log: Option<LogStats>,
    /// The checkpoints' figures.
    pub checkpoints: CheckpointStats,
}

impl super::Engine {
    /// Figures for metrics.
    pub fn stats(&self) -> EngineStats {
        let (snapshots, oldest_snapshot) = self.shared.logged.snapshots.in_use();
        let log = self.files.as_ref().map(|files| files.log.stats());
        let checkpoints = self.files.as_ref().map(|files| files.checkpoints.stats());
        let checkpoints = checkpoints.unwrap_or_default();
        let rekey = Rekey {
            files: checkpoints.rekey_files + log.map_or(0, |log| log.rekey_segments),
            bytes: checkpoints.rekey_bytes + log.map_or(0, |log| log.rekey_bytes),
        };
        let (history_bytes, followers) = self.shared.history.figures();
        EngineStats {
            history_bytes: history_bytes as u64,
            followers,
            key: self.files.as_ref().and_then(|files| files.log.key()),
            rekey,
            visible_index: self.visible_index(),
            entries: self.entries.load(Ordering::Relaxed),
            refusals: self.refusals.load(Ordering::Relaxed),
            memory_used: self.shared.memory.used(),
            memory_limit: self.shared.memory.limit(),
            snapshots,
            oldest_snapshot,
            snapshots_given_up: self.given_up.load(Ordering::Relaxed),
            expired: self.expired.load(Ordering::Relaxed),
            log,
            checkpoints,
        }
    }
}
