//! Compression of entries' payloads.
//!
//! A payload is compressed when it is long enough and gets shorter by it; a flag in its record's
//! tag says how. Failing to compress is no failure: the payload stays plain.
//!
//! Tests: with [`super::record`].

use std::ops::Range;

use super::Compression;
use super::record::push_varint;

/// Flags of a record's tag.
pub(super) const LZ4: u8 = 0x10;
pub(super) const ZSTD: u8 = 0x20;

/// An entry's payload as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) range: Range<usize>,
    pub(super) packing: Packing,
}

/// How it is stored; `len` is its length when unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Lz4 { len: usize },
    Zstd { len: usize },
}

/// Compresses payloads; keeps the working memory between calls.
pub(super) struct Packer {
    compression: Compression,
    above: usize,
    scratch: Vec<u8>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Packer {
    pub(super) fn new(compression: Compression, above: usize) -> std::io::Result<Packer> {
        let zstd = match compression {
            Compression::Zstd => Some(zstd::bulk::Compressor::new(1)?),
            Compression::None | Compression::Lz4 => None,
        };
        Ok(Packer {
            compression,
            above,
            scratch: Vec::new(),
            zstd,
        })
    }

    /// Replaces `buffer[from..]` by a length and its compressed form when that is shorter;
    /// answers the flag for the tag, and where the stored payload begins.
    pub(super) fn pack(&mut self, buffer: &mut Vec<u8>, from: usize) -> (u8, usize) {
        let len = buffer.len() - from;
        if self.compression == Compression::None || len <= self.above {
            return (0, from);
        }
        let room =
            lz4_flex::block::get_maximum_output_size(len).max(zstd::zstd_safe::compress_bound(len));
        self.scratch.resize(room.max(self.scratch.len()), 0);
        let (packed, flag) = match (&mut self.zstd, self.compression) {
            (Some(zstd), _) => {
                let packed = zstd.compress_to_buffer(&buffer[from..], &mut self.scratch[..]);
                (packed.ok(), ZSTD)
            }
            (None, _) => (
                lz4_flex::block::compress_into(&buffer[from..], &mut self.scratch).ok(),
                LZ4,
            ),
        };
        let stored = match packed {
            Some(packed) if packed + 5 < len => {
                buffer.truncate(from);
                push_varint(buffer, len as u64);
                let stored = buffer.len();
                buffer.extend_from_slice(&self.scratch[..packed]);
                (flag, stored)
            }
            _ => (0, from),
        };
        if self.scratch.len() > 1 << 20 {
            self.scratch = Vec::new();
        }
        stored
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl Payload {
    /// Unpacks a compressed payload into `scratch`; false when it does not unpack to the length
    /// it claims.
    pub(super) fn unpack(&self, buffer: &[u8], scratch: &mut Vec<u8>) -> bool {
        let stored = &buffer[self.range.clone()];
        let (len, unpacked) = match self.packing {
            Packing::Plain => return true,
            Packing::Lz4 { len } => {
                scratch.resize(len, 0);
                (len, lz4_flex::block::decompress_into(stored, scratch).ok())
            }
            Packing::Zstd { len } => {
                scratch.resize(len, 0);
                (
                    len,
                    zstd::bulk::decompress_to_buffer(stored, &mut scratch[..]).ok(),
                )
            }
        };
        unpacked == Some(len)
    }

    /// The payload's bytes; `scratch` holds what [`Payload::unpack`] left there.
    pub(super) fn unpacked<'a>(&self, buffer: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        match self.packing {
            Packing::Plain => &buffer[self.range.clone()],
            Packing::Lz4 { .. } | Packing::Zstd { .. } => scratch,
        }
    }
}
