//! A checkpoint file, byte by byte: docs/formats/checkpoint.md.
//!
//! ```text
//!   header 64 bytes: magic, version, flags, salt, zeroes, CRC
//!   block:  header 24 bytes | payload     (meta, documents …, end)
//! ```
//!
//! Each block's CRC also covers the file's salt and the block's offset, so that no block passes
//! in another file or place; the end block carries the totals, so that no block can be missing.
//! Tests: below, and `checkpoint`'s in the simulator.

use serde::{Deserialize, Serialize};

use crate::crypt::{KeyId, TAG_BYTES};

/// First bytes of every checkpoint.
pub(crate) const MAGIC: [u8; 8] = *b"VELOCKPT";
/// The format that this program writes and reads. Version 1 was never released.
pub(crate) const VERSION: u32 = 2;
pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const BLOCK_HEADER_BYTES: usize = 24;
/// Documents are gathered into blocks of about this size before compression.
pub(crate) const BLOCK_BYTES: usize = 256 << 10;
/// The largest block: one document of the largest size.
pub(crate) const BLOCK_BYTES_MAX: usize = crate::store::BODY_BYTES_MAX + 16;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum BlockKind {
    Meta = 1,
    Documents = 2,
    End = 3,
}

/// How a block's payload is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Packing {
    Plain = 0,
    Lz4 = 1,
}

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockHeader {
    pub(crate) kind: BlockKind,
    pub(crate) packing: Packing,
    /// Of a documents block.
    pub(crate) collection: u32,
    /// Documents in the block.
    pub(crate) count: u32,
    /// Bytes that follow.
    pub(crate) stored_bytes: u32,
    /// Bytes after unpacking.
    pub(crate) raw_bytes: u32,
    pub(crate) crc: u32,
}

/// The first block's payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetaBlock {
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) time: i64,
    pub(crate) next_collection: u32,
    /// Number and newest change of each logged collection: a delete leaves no document behind.
    pub(crate) changed: Vec<(u32, u64)>,
}

/// The last block's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EndBlock {
    pub(crate) blocks: u64,
    pub(crate) documents: u64,
}

/// Payloads are encrypted.
const FLAG_ENCRYPTED: u32 = 1;

pub(crate) fn header(salt: &[u8; 16], key: Option<KeyId>) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..32].copy_from_slice(salt);
    if let Some(KeyId(id)) = key {
        bytes[12..16].copy_from_slice(&FLAG_ENCRYPTED.to_le_bytes());
        bytes[32..40].copy_from_slice(&id);
    }
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What is wrong with a checkpoint, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    Unsupported(u32),
    Damaged(String),
}

/// The salt in a header, and the id of the master key when payloads are encrypted.
pub(crate) fn parse_header(bytes: &[u8; HEADER_BYTES]) -> Result<([u8; 16], Option<KeyId>), Wrong> {
    let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
    if bytes[..8] != MAGIC {
        return Err(Wrong::Damaged(
            "it does not begin as a checkpoint does".into(),
        ));
    }
    if number(60) != crc32fast::hash(&bytes[..60]) {
        return Err(Wrong::Damaged("the header's checksum does not fit".into()));
    }
    if number(8) != VERSION {
        return Err(Wrong::Unsupported(number(8)));
    }
    let encrypted = number(12) == FLAG_ENCRYPTED;
    let reserved = if encrypted { 40..60 } else { 32..60 };
    if number(12) & !FLAG_ENCRYPTED != 0 || bytes[reserved].iter().any(|byte| *byte != 0) {
        return Err(Wrong::Damaged(
            "the header has fields unknown to its format".into(),
        ));
    }
    let key = KeyId(std::array::from_fn(|at| bytes[32 + at]));
    let salt = std::array::from_fn(|at| bytes[16 + at]);
    Ok((salt, encrypted.then_some(key)))
}

fn block_crc(salt: &[u8; 16], offset: u64, head: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(salt);
    crc.update(&offset.to_le_bytes());
    crc.update(head);
    crc.update(payload);
    crc.finalize()
}

impl BlockHeader {
    /// What the tag of an encrypted payload also covers: the header but for its CRC.
    pub(crate) const COVERED: usize = 20;

    /// The bytes of a block's header; fills in the CRC.
    pub(crate) fn encode(
        &self,
        salt: &[u8; 16],
        offset: u64,
        payload: &[u8],
    ) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0; BLOCK_HEADER_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = self.packing as u8;
        bytes[4..8].copy_from_slice(&self.collection.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.count.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.raw_bytes.to_le_bytes());
        let crc = block_crc(salt, offset, &bytes[..20], payload);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Takes a header apart; sizes are bounded, the CRC is not checked yet.
    pub(crate) fn decode(bytes: &[u8; BLOCK_HEADER_BYTES]) -> Result<BlockHeader, String> {
        let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        let kind = match bytes[0] {
            1 => BlockKind::Meta,
            2 => BlockKind::Documents,
            3 => BlockKind::End,
            kind => return Err(format!("a block of unknown kind {kind}")),
        };
        let packing = match bytes[1] {
            0 => Packing::Plain,
            1 => Packing::Lz4,
            packing => return Err(format!("a block of unknown packing {packing}")),
        };
        let header = BlockHeader {
            kind,
            packing,
            collection: number(4),
            count: number(8),
            stored_bytes: number(12),
            raw_bytes: number(16),
            crc: number(20),
        };
        if header.stored_bytes as usize > BLOCK_BYTES_MAX + TAG_BYTES
            || header.raw_bytes as usize > BLOCK_BYTES_MAX
        {
            return Err("a block larger than any document".into());
        }
        Ok(header)
    }

    /// Whether header and payload are what was written at this place of this file.
    pub(crate) fn verify(
        &self,
        bytes: &[u8; BLOCK_HEADER_BYTES],
        salt: &[u8; 16],
        offset: u64,
        payload: &[u8],
    ) -> bool {
        block_crc(salt, offset, &bytes[..20], payload) == self.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_another_format_is_named() {
        let written = header(&[7; 16], None);
        assert_eq!(parse_header(&written), Ok(([7; 16], None)));
        let encrypted = header(&[7; 16], Some(KeyId([9; 8])));
        assert_eq!((encrypted[12], &encrypted[32..40]), (1, &[9; 8][..]));
        let parsed = parse_header(&encrypted);
        assert_eq!(parsed, Ok(([7; 16], Some(KeyId([9; 8])))));
        for version in [VERSION - 1, VERSION + 1] {
            let mut bytes = written;
            bytes[8..12].copy_from_slice(&version.to_le_bytes());
            let crc = crc32fast::hash(&bytes[..60]);
            bytes[60..].copy_from_slice(&crc.to_le_bytes());
            assert_eq!(parse_header(&bytes), Err(Wrong::Unsupported(version)));
        }
    }
}
