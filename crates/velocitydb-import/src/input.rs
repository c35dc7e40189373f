//! The bytes of an input: counted, decompressed, without a byte order mark.
//!
//! Compression is recognised by the first bytes, never by a name: gzip (any number of members),
//! zstd (any number of frames), or plain. Memory is bounded: a few buffers, and for zstd a window
//! of at most 128 MiB.
//!
//! Tests: below, and damaged inputs in `reader/tests.rs`.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BUFFER_BYTES: usize = 64 << 10;
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// After a byte from 0x50 to 0x5f: a frame that decoders skip.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// How far the reading is, for a display. May be cloned and read from any thread.
#[derive(Debug, Clone)]
pub struct Progress {
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

impl Progress {
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self {
            read: Arc::default(),
            total,
        }
    }

    /// Bytes taken from the source so far, before decompression. Runs ahead of the rows given
    /// by what is buffered.
    pub fn bytes_read(&self) -> u64 {
        // Only a number for people: it orders nothing.
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the source, when its length is known.
    pub fn bytes_total(&self) -> Option<u64> {
        self.total
    }
}

/// The decompressed text.
pub(crate) type Input = Box<dyn BufRead + Send>;

/// Begins to read a source, and counts in `progress` what is taken from it.
pub(crate) fn open(source: impl Read + Send + 'static, progress: &Progress) -> io::Result<Input> {
    let counted = Counted {
        source,
        read: Arc::clone(&progress.read),
    };
    let (head, rest) = peek::<4>(BufReader::with_capacity(BUFFER_BYTES, counted))?;
    let text: Box<dyn Read + Send> = if head.starts_with(GZIP) {
        Box::new(flate2::bufread::MultiGzDecoder::new(rest))
    } else if is_zstd(&head) {
        Box::new(zstd::Decoder::with_buffer(rest)?)
    } else {
        Box::new(rest)
    };
    let (head, mut rest) = peek::<3>(BufReader::with_capacity(BUFFER_BYTES, text))?;
    if head == BYTE_ORDER_MARK {
        rest.consume(head.len());
    }
    Ok(Box::new(rest))
}

fn is_zstd(head: &[u8]) -> bool {
    head == ZSTD || matches!(head, [0x50..=0x5f, rest @ ..] if rest == ZSTD_SKIPPABLE)
}

type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first bytes (fewer only at the end), and the whole again.
fn peek<const COUNT: usize>(
    mut input: impl BufRead,
) -> io::Result<(Vec<u8>, Peeked<impl BufRead>)> {
    let mut head = Vec::with_capacity(COUNT);
    input.by_ref().take(COUNT as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(input)))
}

/// Counts what passes.
struct Counted<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// What `fill_buf` gives, tried again when a signal interrupts it.
pub(crate) fn fill(input: &mut Input) -> io::Result<&[u8]> {
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // Filled above: this returns what is there.
    input.fill_buf()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    pub fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    pub fn zstd(text: &[u8]) -> Vec<u8> {
        ::zstd::encode_all(text, 1).unwrap()
    }

    fn read(bytes: Vec<u8>) -> (io::Result<String>, u64) {
        let progress = Progress::new(None);
        let mut text = String::new();
        let result = open(Cursor::new(bytes), &progress)
            .and_then(|mut input| input.read_to_string(&mut text))
            .map(|_| text);
        (result, progress.bytes_read())
    }

    #[test]
    fn compression_is_seen_in_the_bytes() {
        for text in ["", "a", "a,b\n1,2\n", &"long ".repeat(100_000)] {
            for bytes in [text.into(), gzip(text.as_bytes()), zstd(text.as_bytes())] {
                let len = bytes.len() as u64;
                let (result, count) = read(bytes);
                assert_eq!(result.unwrap(), text);
                assert_eq!(count, len);
            }
        }
    }

    #[test]
    fn parts_are_read_one_after_the_other() {
        let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7];
        for bytes in [
            [gzip(b"ab"), gzip(b"cd")].concat(),
            [zstd(b"ab"), zstd(b"cd")].concat(),
            [&skippable[..], &zstd(b"abcd")].concat(),
        ] {
            assert_eq!(read(bytes).0.unwrap(), "abcd");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_text() {
        for text in ["\u{feff}a", "\u{feff}", "a\u{feff}"] {
            let expected = text.strip_prefix('\u{feff}').unwrap_or(text);
            assert_eq!(read(text.into()).0.unwrap(), expected);
            assert_eq!(read(gzip(text.as_bytes())).0.unwrap(), expected);
        }
        assert_eq!(
            read(vec![0xef, 0xbb]).0.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_cut_is_an_unexpected_end() {
        let text = "some text, ".repeat(1000);
        for whole in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
            for len in 4..whole.len() {
                let error = read(whole[..len].to_vec()).0.expect_err("a cut input");
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{len}: {error}");
            }
        }
    }
}
