//! Text on its way out, compressed or not.
//!
//! Tests: velocitydb-cli (tests/it/export.rs).

use std::io::{self, Write};

use flate2::write::GzEncoder;

/// How text is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    /// What the ending of a file's name means: `.gz`, `.zst`, anything else.
    pub fn from_name(name: &str) -> Compression {
        let name = name.to_ascii_lowercase();
        match name.rsplit_once('.') {
            Some((_, "gz")) => Compression::Gzip,
            Some((_, "zst")) => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

/// Writes text to `W`, compressed. What was not finished is no whole file.
pub enum Compressor<W: Write> {
    /// As it is.
    None(W),
    /// gzip.
    Gzip(GzEncoder<W>),
    /// zstd, with a checksum.
    Zstd(Box<zstd::Encoder<'static, W>>),
}

impl<W: Write> Compressor<W> {
    /// Begins to write.
    ///
    /// # Errors
    /// The first bytes cannot be written.
    pub fn new(target: W, compression: Compression) -> io::Result<Compressor<W>> {
        Ok(match compression {
            Compression::None => Compressor::None(target),
            Compression::Gzip => {
                Compressor::Gzip(GzEncoder::new(target, flate2::Compression::default()))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(target, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Compressor::Zstd(Box::new(encoder))
            }
        })
    }

    /// Writes what is left, and gives the target back.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Compressor::None(target) => Ok(target),
            Compressor::Gzip(encoder) => encoder.finish(),
            Compressor::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Compressor::None(target) => target.write(bytes),
            Compressor::Gzip(encoder) => encoder.write(bytes),
            Compressor::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Compressor::None(target) => target.flush(),
            Compressor::Gzip(encoder) => encoder.flush(),
            Compressor::Zstd(encoder) => encoder.flush(),
        }
    }
}
