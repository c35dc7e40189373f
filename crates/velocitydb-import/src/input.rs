//! The bytes of an input: counted, decompressed, without a byte order mark.
//!
//! Compression is recognised by the first bytes, never by a name: gzip (any number of members),
//! zstd (any number of frames), or plain. Memory is bounded: a few buffers, and for zstd a window
//! of a size that the caller bounds.
//!
//! Tests: below, and damaged inputs in `reader/tests.rs`.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;

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

/// What begins an exported file, and nothing else.
pub(crate) const EXPORT: &[u8] = b"{\"$velocitydb\":";

/// What the text of an input looks like at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// It was exported by this program.
    Export,
    /// Anything else.
    Other,
}

/// Begins to read a source, and counts in `progress` what is taken from it.
pub(crate) fn open(
    source: impl Read + Send + 'static,
    progress: &Progress,
    window_log_max: u32,
) -> io::Result<(Input, Content)> {
    let counted = Counted {
        source,
        read: Arc::clone(&progress.read),
    };
    let counted = BufReader::with_capacity(BUFFER_BYTES, counted);
    let (head, rest) = peek_while(counted, |head| head.len() < ZSTD.len())?;
    let text: Box<dyn Read + Send> = if head.starts_with(GZIP) {
        Box::new(GzipMembers(Some(GzDecoder::new(rest))))
    } else if is_zstd(&head) {
        let mut decoder = zstd::Decoder::with_buffer(rest)?;
        decoder.window_log_max(window_log_max)?;
        Box::new(decoder)
    } else {
        Box::new(rest)
    };
    let text = BufReader::with_capacity(BUFFER_BYTES, text);
    // No further than it may matter: what fails behind that fails where it is read.
    let (head, mut rest) = peek_while(text, |head| {
        [EXPORT, BYTE_ORDER_MARK]
            .iter()
            .any(|known| known.starts_with(head))
    })?;
    if head.starts_with(BYTE_ORDER_MARK) {
        rest.consume(BYTE_ORDER_MARK.len());
    }
    let content = match head.starts_with(EXPORT) {
        true => Content::Export,
        false => Content::Other,
    };
    Ok((Box::new(rest), content))
}

fn is_zstd(head: &[u8]) -> bool {
    head == ZSTD || matches!(head, [0x50..=0x5f, rest @ ..] if rest == ZSTD_SKIPPABLE)
}

type Peeked<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The first bytes, as long as more of them are wanted, and the whole again.
fn peek_while(
    mut input: impl BufRead,
    wanted: impl Fn(&[u8]) -> bool,
) -> io::Result<(Vec<u8>, Peeked<impl BufRead>)> {
    let mut head = Vec::new();
    while wanted(&head) && input.by_ref().take(1).read_to_end(&mut head)? > 0 {}
    Ok((head.clone(), Cursor::new(head).chain(input)))
}

/// The text of one gzip member after the other; `None` after the last.
struct GzipMembers<R>(Option<GzDecoder<R>>);

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(member) = &mut self.0 else {
                return Ok(0);
            };
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            // A decoder that is asked again after its end says the same: an error here is no end.
            match member.get_mut().fill_buf()?.first() {
                None => self.0 = None,
                Some(first) if *first == GZIP[0] => {
                    let rest = self.0.take().map(GzDecoder::into_inner);
                    self.0 = rest.map(GzDecoder::new);
                }
                Some(_) => {
                    let what = "behind the end of the gzip data are bytes that are none";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
    }
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

/// The first byte that is no white space, without taking it, and the lines that end before it,
/// which are taken.
pub(crate) fn first_visible(input: &mut Input) -> io::Result<(Option<u8>, u64)> {
    let mut lines = 0;
    loop {
        let filled = fill(input)?;
        let visible = filled.iter().position(|byte| !byte.is_ascii_whitespace());
        let blank = &filled[..visible.unwrap_or(filled.len())];
        let ended = blank.iter().filter(|byte| **byte == b'\n').count();
        // What stands before the first byte on its own line is left: columns are counted there.
        let taken = match visible {
            Some(_) => blank
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |at| at + 1),
            None => blank.len(),
        };
        let (first, at_end) = (visible.map(|at| filled[at]), filled.is_empty());
        lines += ended as u64;
        input.consume(taken);
        if first.is_some() || at_end {
            return Ok((first, lines));
        }
    }
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
        let result = open(Cursor::new(bytes), &progress, 27)
            .and_then(|(mut input, _)| input.read_to_string(&mut text))
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
    fn what_follows_gzip_data_and_is_none_is_no_cut() {
        for behind in [
            &b"x"[..],
            b"\0\0\0",
            b"a long text, more than a header of gzip has",
        ] {
            let (result, _) = read([&gzip(b"ab"), &gzip(b"cd"), behind].concat());
            let error = result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            assert!(
                error
                    .to_string()
                    .contains("behind the end of the gzip data"),
                "{error}"
            );
        }
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
