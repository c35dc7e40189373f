//! Counters of what the log has done since it was opened, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Log;
use crate::crypt::KeyId;

/// What the log has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStats {
    /// Writes to segment files.
    pub writes: u64,
    /// Bytes of records written.
    pub bytes_written: u64,
    /// Syncs of files.
    pub syncs: u64,
    /// Segments begun.
    pub segments_begun: u64,
    /// Purged segments kept for reuse.
    pub segments_recycled: u64,
    /// Purged segments removed.
    pub segments_removed: u64,
    /// Segments in use now.
    pub segments: u64,
    /// Bytes of the segments' files now.
    pub segment_bytes: u64,
    /// Bytes appended and not yet written.
    pub buffered_bytes: u64,
    /// Whether the disk has less space than the log takes, or none for the next segment: a
    /// checkpoint would let the log go that it stands for.
    pub short_of_space: bool,
    /// Segments that another key than the present one encrypted, or none; a database lets them go
    /// by and by …
    pub rekey_segments: u64,
    /// … and their bytes.
    pub rekey_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) writes: AtomicU64,
    pub(super) bytes_written: AtomicU64,
    pub(super) syncs: AtomicU64,
    pub(super) segments_begun: AtomicU64,
    pub(super) segments_recycled: AtomicU64,
    pub(super) segments_removed: AtomicU64,
}

impl Log {
    /// The key that encrypts new segments.
    pub fn key(&self) -> Option<KeyId> {
        self.options.keys.current()
    }

    /// The counters now. Each is exact, together they are no snapshot.
    pub fn stats(&self) -> LogStats {
        let key = self.options.keys.current();
        let (segments, segment_bytes, rekey_segments, rekey_bytes) = {
            let shared = self.shared.lock();
            let bytes = shared.segments.iter().map(|segment| segment.capacity).sum();
            let old = shared.segments.iter().filter(|one| one.header.key != key);
            let (count, old_bytes) = old.fold((0, 0), |(count, bytes), one| {
                (count + 1, bytes + one.capacity)
            });
            (shared.segments.len() as u64, bytes, count, old_bytes)
        };
        let counters = &self.stats;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogStats {
            writes: get(&counters.writes),
            bytes_written: get(&counters.bytes_written),
            syncs: get(&counters.syncs),
            segments_begun: get(&counters.segments_begun),
            segments_recycled: get(&counters.segments_recycled),
            segments_removed: get(&counters.segments_removed),
            segments,
            segment_bytes,
            buffered_bytes: self.tail.lock().buffered(),
            short_of_space: self.is_short_of_space(),
            rekey_segments,
            rekey_bytes,
        }
    }
}
