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

/// What a build without the feature `zstd` says of what needs it.
#[cfg(not(feature = "zstd"))]
fn without_zstd() -> std::io::Error {
    let what = "an entry is compressed with zstd, and this program was built without it";
    std::io::Error::new(std::io::ErrorKind::Unsupported, what)
}

#[cfg(feature = "zstd")]
struct Zstd(zstd::bulk::Compressor<'static>);

#[cfg(feature = "zstd")]
impl Zstd {
    fn new() -> std::io::Result<Zstd> {
        zstd::bulk::Compressor::new(1).map(Zstd)
    }

    fn bound(len: usize) -> usize {
        zstd::zstd_safe::compress_bound(len)
    }

    fn pack(&mut self, plain: &[u8], packed: &mut [u8]) -> Option<usize> {
        self.0.compress_to_buffer(plain, packed).ok()
    }

    fn unpack(packed: &[u8], plain: &mut [u8]) -> Option<usize> {
        zstd::bulk::decompress_to_buffer(packed, plain).ok()
    }
}

/// Never one.
#[cfg(not(feature = "zstd"))]
enum Zstd {}

#[cfg(not(feature = "zstd"))]
impl Zstd {
    fn new() -> std::io::Result<Zstd> {
        Err(without_zstd())
    }

    fn bound(_len: usize) -> usize {
        0
    }

    fn pack(&mut self, _plain: &[u8], _packed: &mut [u8]) -> Option<usize> {
        match *self {}
    }

    fn unpack(_packed: &[u8], _plain: &mut [u8]) -> Option<usize> {
        None
    }
}

/// Compresses payloads; keeps the working memory between calls.
pub(super) struct Packer {
    compression: Compression,
    above: usize,
    scratch: Vec<u8>,
    zstd: Option<Zstd>,
}

impl Packer {
    pub(super) fn new(compression: Compression, above: usize) -> std::io::Result<Packer> {
        let zstd = match compression {
            Compression::Zstd => Some(Zstd::new()?),
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
        let room = match &self.zstd {
            Some(_) => Zstd::bound(len),
            None => lz4_flex::block::get_maximum_output_size(len),
        };
        self.scratch.resize(room.max(self.scratch.len()), 0);
        let (packed, flag) = match &mut self.zstd {
            Some(zstd) => (zstd.pack(&buffer[from..], &mut self.scratch), ZSTD),
            None => (
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
                (len, Zstd::unpack(stored, scratch))
            }
        };
        unpacked == Some(len)
    }

    /// Whether this build can unpack it.
    pub(super) fn check_known(&self) -> std::io::Result<()> {
        match self.packing {
            #[cfg(not(feature = "zstd"))]
            Packing::Zstd { .. } => Err(without_zstd()),
            _ => Ok(()),
        }
    }

    /// The payload's bytes; `scratch` holds what [`Payload::unpack`] left there.
    pub(super) fn unpacked<'a>(&self, buffer: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        match self.packing {
            Packing::Plain => &buffer[self.range.clone()],
            Packing::Lz4 { .. } | Packing::Zstd { .. } => scratch,
        }
    }
}
