//! What an engine tells about itself.

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
