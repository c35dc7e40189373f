//! How a log is kept: the choices that its owner has.

use crate::crypt::EncryptionKeys;

/// How payloads are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// LZ4: fast.
    Lz4,
    /// Zstandard, level 1: smaller. Takes the cargo feature `zstd`.
    Zstd,
}

/// How records that only need to survive the process reach the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WritePath {
    /// By a system call; every failure is an error.
    Calls,
    /// Through a mapping of the segment where the disk offers it (on Linux: ext4, XFS, tmpfs),
    /// else by calls: several times faster for a lone small write. When a disk fails to read
    /// back a page that was dropped from memory, the operating system ends the process instead
    /// of reporting an error; what was acknowledged is not touched by that.
    #[default]
    Mapped,
}

/// How a log is kept.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogOptions {
    /// The size that segments grow to, in bytes. An entry that is larger gets its own.
    pub segment_bytes: u64,
    /// The size of the first segment after opening; each next one is twice as large.
    pub first_segment_bytes: u64,
    /// Compression of payloads, where it makes them smaller.
    pub compression: Compression,
    /// Payloads of up to this many bytes are never compressed.
    pub compress_above: usize,
    /// How records are handed to the operating system.
    pub write_path: WritePath,
    /// The keys that encrypt entries; a database puts its own here.
    pub keys: EncryptionKeys,
}

impl LogOptions {
    /// Bytes of the log that only entries which remove may use once no new segment fits the disk:
    /// 256 KiB of the usual 64 MiB.
    pub(super) fn headroom(&self) -> u64 {
        self.segment_bytes / 256
    }

    /// Bytes of the disk that the log leaves free, so that a small checkpoint fits: 1 MiB.
    pub(super) fn left_for_checkpoint(&self) -> u64 {
        self.segment_bytes / 64
    }

    /// The smallest segment that is prepared when space is short: 64 KiB.
    pub(super) fn smallest_segment_bytes(&self) -> u64 {
        self.segment_bytes / 1024
    }
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            segment_bytes: 64 << 20,
            first_segment_bytes: 4 << 20,
            compression: Compression::None,
            compress_above: 512,
            write_path: WritePath::default(),
            keys: EncryptionKeys::default(),
        }
    }
}

/// How far a flush brings an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlushLevel {
    /// Handed to the operating system: survives the process.
    Written,
    /// Synced to the disk: survives a power loss.
    Synced,
}
