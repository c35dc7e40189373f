//! A segment file: its name, its header and what is known of it while the log is open.
//!
//! A segment's header names the one before it and where that one ends. The chain of these links
//! from the newest segment back **is** the log: a file that is not in it holds nothing, which is
//! how a torn tail, a truncation or a reset takes effect in one step.
//! The header's first index voids every earlier entry with this or a larger index.
//!
//! Bytes in docs/formats/log.md. Tests: below.

use std::sync::Arc;

use super::record::{Check, Frame};
use crate::crypt::KeyId;
use crate::disk::DiskFile;

/// Bytes of a segment's header; records follow.
pub(super) const HEADER_LEN: u64 = 128;
/// The newest format this code reads, and the one it writes.
pub(super) const FORMAT: u32 = 3;

const MAGIC: [u8; 8] = *b"VDB-WAL\n";
/// The file held other records before: what follows the last record is not all zeros.
const FLAG_RECYCLED: u32 = 1;
/// Entries and votes are encrypted.
const FLAG_ENCRYPTED: u32 = 2;

/// A position in the log: segment sequence, then byte offset in it.
pub(super) type Position = (u64, u64);

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Orders the segments; never used twice.
    pub(super) sequence: u64,
    /// The first entry that may stand here; earlier segments' entries from here on are void.
    pub(super) first_index: u64,
    /// Term of entry `first_index - 1`, 0 when there is none.
    pub(super) base_term: u64,
    /// Sequence of the segment before and where it ends; sequence 0 when the log starts here.
    pub(super) previous: Position,
    /// All before this was synced when this segment was begun.
    pub(super) synced: Position,
    /// Where the records end that were written and synced with the header, which restate the
    /// vote, the commit and the purge position.
    pub(super) begun: u64,
    pub(super) recycled: bool,
    /// Bytes of the file when it was made; not stated before format 2.
    pub(super) capacity: Option<u64>,
    pub(super) salt: [u8; 16],
    /// The master key; `None` when the segment is plain.
    pub(super) key: Option<KeyId>,
}

/// Why a header cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    Bad(&'static str),
    Newer(u32),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        let mut flags = if self.recycled { FLAG_RECYCLED } else { 0 };
        if let Some(KeyId(id)) = self.key {
            flags |= FLAG_ENCRYPTED;
            bytes[104..112].copy_from_slice(&id);
        }
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        let numbers = [
            self.sequence,
            self.first_index,
            self.base_term,
            self.previous.0,
            self.previous.1,
            self.synced.0,
            self.synced.1,
            self.begun,
        ];
        for (place, number) in bytes[16..80].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[80..96].copy_from_slice(&self.salt);
        bytes[96..104].copy_from_slice(&self.capacity.unwrap_or(0).to_le_bytes());
        let crc = crc32fast::hash(&bytes[..124]);
        bytes[124..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, HeaderError> {
        let Some((bytes, _)) = bytes.split_first_chunk::<{ HEADER_LEN as usize }>() else {
            return Err(HeaderError::Bad(
                "the file is shorter than a segment's header",
            ));
        };
        if bytes[..8] != MAGIC {
            return Err(HeaderError::Bad(
                "this is no log segment (its magic number is wrong)",
            ));
        }
        let half = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let word = |at: usize| u64::from(half(at)) | u64::from(half(at + 4)) << 32;
        if crc32fast::hash(&bytes[..124]) != half(124) {
            return Err(HeaderError::Bad(
                "the segment's header does not match its checksum",
            ));
        }
        if half(8) > FORMAT {
            return Err(HeaderError::Newer(half(8)));
        }
        let encrypted = half(8) >= 3 && half(12) & FLAG_ENCRYPTED != 0;
        let reserved = match half(8) {
            0 | 1 => 96..124,
            _ if encrypted => 112..124,
            _ => 104..124,
        };
        let mut known = FLAG_RECYCLED;
        if encrypted {
            known |= FLAG_ENCRYPTED;
        }
        if half(8) == 0 || half(12) & !known != 0 || bytes[reserved].iter().any(|b| *b != 0) {
            return Err(HeaderError::Bad(
                "the segment's header has fields unknown to its format",
            ));
        }
        let mut salt = [0; 16];
        salt.copy_from_slice(&bytes[80..96]);
        Ok(Header {
            sequence: word(16),
            first_index: word(24),
            base_term: word(32),
            previous: (word(40), word(48)),
            synced: (word(56), word(64)),
            begun: word(72),
            recycled: half(12) & FLAG_RECYCLED != 0,
            capacity: Some(word(96)).filter(|bytes| *bytes > 0),
            salt,
            key: encrypted.then(|| KeyId(std::array::from_fn(|at| bytes[104 + at]))),
        })
    }

    pub(super) fn file_name(&self) -> String {
        format!("{:010}-{:020}.wal", self.sequence, self.first_index)
    }
}

/// Sequence and first index from a segment's file name; `None` for any other name.
pub(super) fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (sequence, first) = name.strip_suffix(".wal")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if sequence.len() < 10 || first.len() != 20 || !digits(sequence) || !digits(first) {
        return None;
    }
    Some((sequence.parse().ok()?, first.parse().ok()?))
}

/// The name of a prepared file that no segment uses yet.
pub(super) fn spare_name(number: u64) -> String {
    format!("{number:010}.spare")
}

/// The number in a spare's name; `None` for any other name.
pub(super) fn parse_spare_name(name: &str) -> Option<u64> {
    name.strip_suffix(".spare")?.parse().ok()
}

/// A segment of the open log.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) name: String,
    pub(super) file: Arc<dyn DiskFile>,
    /// The entries that count here: first and last, both included.
    pub(super) entries: Option<(u64, u64)>,
    /// Where the written records end.
    pub(super) end: u64,
    /// Bytes of the file.
    pub(super) capacity: u64,
    /// Some entries and their offsets, ascending, so that a read need not start at the top.
    pub(super) landmarks: Vec<(u64, u64)>,
    pub(super) frame: Frame,
}

/// Bytes between two landmarks, at least.
pub(super) const LANDMARK_EVERY: u64 = 64 * 1024;

impl Segment {
    pub(super) fn check(&self) -> Check {
        self.frame.check
    }

    /// Where to start looking for entry `index`.
    pub(super) fn seek(&self, index: u64) -> u64 {
        let after = self
            .landmarks
            .partition_point(|(landmark, _)| *landmark <= index);
        after
            .checked_sub(1)
            .map_or(HEADER_LEN, |at| self.landmarks[at].1)
    }

    /// Forgets the entries from `first` on.
    pub(super) fn void_from(&mut self, first: u64) {
        self.entries = match self.entries {
            Some((low, high)) if low < first => Some((low, high.min(first - 1))),
            _ => None,
        };
        let keep = self
            .landmarks
            .partition_point(|(landmark, _)| *landmark < first);
        self.landmarks.truncate(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            sequence: 3,
            first_index: 961,
            base_term: 4,
            previous: (2, 7000),
            synced: (2, 6000),
            begun: 153,
            recycled: true,
            capacity: Some(4 << 20),
            salt: [0xab; 16],
            key: None,
        }
    }

    #[test]
    fn a_header_is_as_the_format_says() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), 128);
        assert_eq!(&bytes[..8], b"VDB-WAL\n");
        assert_eq!(bytes[8..16], [3, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(bytes[16..24], 3u64.to_le_bytes());
        assert_eq!(bytes[24..32], 961u64.to_le_bytes());
        assert_eq!(bytes[32..40], 4u64.to_le_bytes());
        assert_eq!(bytes[40..48], 2u64.to_le_bytes());
        assert_eq!(bytes[48..56], 7000u64.to_le_bytes());
        assert_eq!(bytes[56..64], 2u64.to_le_bytes());
        assert_eq!(bytes[64..72], 6000u64.to_le_bytes());
        assert_eq!(bytes[72..80], 153u64.to_le_bytes());
        assert_eq!(bytes[80..96], [0xab; 16]);
        assert_eq!(bytes[96..104], (4u64 << 20).to_le_bytes());
        assert_eq!(bytes[104..124], [0; 20]);
        assert_eq!(bytes[124..], crc32fast::hash(&bytes[..124]).to_le_bytes());
        assert_eq!(Header::decode(&bytes).unwrap(), header());
        assert_eq!(header().file_name(), "0000000003-00000000000000000961.wal");
        assert_eq!(
            parse_name("0000000003-00000000000000000961.wal"),
            Some((3, 961))
        );
    }

    #[test]
    fn any_flipped_bit_of_a_header_is_seen() {
        for bit in 0..128 * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_format_is_named_and_unknown_fields_are_refused() {
        let sealed = |change: fn(&mut [u8])| {
            let mut bytes = header().encode();
            change(&mut bytes);
            let crc = crc32fast::hash(&bytes[..124]);
            bytes[124..].copy_from_slice(&crc.to_le_bytes());
            Header::decode(&bytes).unwrap_err()
        };
        assert_eq!(sealed(|bytes| bytes[8] = 4), HeaderError::Newer(4));
        assert!(
            matches!(sealed(|bytes| bytes[8] = 1), HeaderError::Bad(_)),
            "format 1 states no length"
        );
        assert!(
            matches!(sealed(|bytes| bytes[13] = 1), HeaderError::Bad(_)),
            "a flag"
        );
        assert!(
            matches!(sealed(|bytes| bytes[104] = 1), HeaderError::Bad(_)),
            "a reserved byte"
        );
    }

    #[test]
    fn an_encrypted_header_names_its_key() {
        let key = KeyId([9; 8]);
        let encrypted = Header {
            key: Some(key),
            ..header()
        };
        let mut bytes = encrypted.encode();
        assert_eq!(bytes[12..16], 3u32.to_le_bytes());
        assert_eq!(
            (&bytes[104..112], &bytes[112..124]),
            (&[9; 8][..], &[0; 12][..])
        );
        assert_eq!(Header::decode(&bytes).unwrap(), encrypted);
        // Format 2 knew no encryption.
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..124]);
        bytes[124..].copy_from_slice(&crc.to_le_bytes());
        assert!(matches!(Header::decode(&bytes), Err(HeaderError::Bad(_))));
    }

    #[test]
    fn a_header_of_format_1_is_read() {
        let mut bytes = header().encode();
        bytes[8] = 1;
        bytes[96..104].fill(0);
        let crc = crc32fast::hash(&bytes[..124]);
        bytes[124..].copy_from_slice(&crc.to_le_bytes());
        let expected = Header {
            capacity: None,
            ..header()
        };
        assert_eq!(Header::decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn only_the_names_of_segments_are_taken_for_segments() {
        for name in [
            "0000000003-00000000000000000961.wal.cut",
            "3-961.wal",
            "0000000003-0000000000000000096x.wal",
            "0000000003.spare",
            "LOCK",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
        assert_eq!(
            parse_name("12345678901-00000000000000000000.wal"),
            Some((12345678901, 0))
        );
        assert_eq!(parse_spare_name(&spare_name(7)), Some(7));
    }
}
