//! Reads the records of one segment file in order, a piece of the file at a time.
//!
//! Memory: one buffer of [`PIECE`] bytes, more only for a record that is longer.
//! Knows nothing of what the records mean. Tests: with [`super::recovery`] and the reader.

use std::sync::Arc;

use super::error::LogError;
use super::pack::Payload;
use super::record::{Check, Frame, Record, SYNCED_LEN, Step, decode, find_synced};
use crate::disk::DiskFile;

/// Bytes read at once.
pub(super) const PIECE: usize = 256 * 1024;

/// Walks the records of a segment.
#[derive(Debug)]
pub(super) struct Scanner {
    file: Arc<dyn DiskFile>,
    name: String,
    frame: Frame,
    /// File bytes `base..base + filled` stand in `buffer`.
    buffer: Vec<u8>,
    base: u64,
    filled: usize,
    /// The next record starts at `buffer[at]`.
    at: usize,
    /// No record reaches beyond this byte of the file.
    limit: u64,
    scratch: Vec<u8>,
}

/// What the scanner found at a position.
#[derive(Debug)]
pub(super) enum Found {
    Record(Record),
    /// The end mark.
    End,
    /// The limit, exactly.
    Limit,
    /// No valid record.
    Bad,
    /// A valid record that this version, or this segment's key, cannot read.
    Unknown(&'static str),
}

impl Scanner {
    /// Starts at byte `from`; reads nothing at or beyond byte `limit`.
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        name: String,
        frame: Frame,
        from: u64,
        limit: u64,
    ) -> Scanner {
        let buffer = Vec::new();
        Scanner {
            file,
            name,
            frame,
            buffer,
            base: from,
            filled: 0,
            at: 0,
            limit,
            scratch: Vec::new(),
        }
    }

    /// Goes on in another file, keeping the buffers.
    pub(super) fn restart(
        &mut self,
        file: Arc<dyn DiskFile>,
        name: String,
        frame: Frame,
        from: u64,
        limit: u64,
    ) {
        (self.file, self.name, self.frame, self.base, self.limit) =
            (file, name, frame, from, limit);
        (self.filled, self.at) = (0, 0);
    }

    /// The file position of the next record.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Steps over the next record; what was encrypted is decrypted in the buffer.
    pub(super) fn next(&mut self) -> Result<Found, LogError> {
        loop {
            let offset = self.offset();
            let room = self.limit.saturating_sub(offset);
            if room == 0 {
                return Ok(Found::Limit);
            }
            match decode(
                &self.buffer[..self.filled],
                self.at,
                self.frame.check,
                offset,
                room,
            ) {
                Step::Record { mut record, len } => {
                    let buffer = &mut self.buffer[..self.filled];
                    let opened = self.frame.open(buffer, self.at, offset, &mut record);
                    if let Err(what) = opened {
                        return Ok(Found::Unknown(what));
                    }
                    self.at += len;
                    return Ok(Found::Record(record));
                }
                Step::End => return Ok(Found::End),
                Step::Bad => return Ok(Found::Bad),
                Step::Unknown(what) => return Ok(Found::Unknown(what)),
                Step::Short { needed } => {
                    if !self.fill(needed)? {
                        return Ok(Found::Bad);
                    }
                }
            }
        }
    }

    /// The bytes of a record's payload, valid until the next step.
    pub(super) fn bytes(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// Unpacks the payload of the last entry; false when it does not unpack.
    pub(super) fn unpack(&mut self, payload: &Payload) -> bool {
        payload.unpack(&self.buffer, &mut self.scratch)
    }

    /// The payload that was last unpacked.
    pub(super) fn unpacked(&self, payload: &Payload) -> &[u8] {
        payload.unpacked(&self.buffer, &self.scratch)
    }

    /// Brings at least `needed` bytes from the current place on into the buffer; false when the
    /// file ends before.
    fn fill(&mut self, needed: usize) -> Result<bool, LogError> {
        self.buffer.copy_within(self.at..self.filled, 0);
        self.base += self.at as u64;
        self.filled -= self.at;
        self.at = 0;
        let want = needed.max(PIECE);
        if self.buffer.len() < want || self.buffer.len() > 4 * want {
            self.buffer.resize(want, 0);
            self.buffer.shrink_to_fit();
        }
        let from = self.base + self.filled as u64;
        let end = (self.buffer.len() as u64).min(self.limit.saturating_sub(self.base)) as usize;
        let count = self
            .file
            .read_at(&mut self.buffer[self.filled..end], from)
            .map_err(|error| LogError::io(format!("read {}", self.name), error))?;
        self.filled += count;
        Ok(self.filled >= needed)
    }
}

/// What a search through the rest of a damaged or torn segment found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    /// The largest position that a valid `Synced` record there names.
    pub(super) synced: Option<(u64, u64)>,
    /// One past the last byte there that is not zero.
    pub(super) used_end: u64,
}

/// Searches bytes `from..to` of a segment, at every byte, for `Synced` records.
pub(super) fn search(
    file: &dyn DiskFile,
    name: &str,
    check: Check,
    from: u64,
    to: u64,
) -> Result<Rest, LogError> {
    let overlap = SYNCED_LEN as usize - 1;
    let mut rest = Rest {
        synced: None,
        used_end: from,
    };
    let mut buffer = vec![0; PIECE];
    let mut at = from;
    while at < to {
        let want = (to - at).min(PIECE as u64) as usize;
        let count = file
            .read_at(&mut buffer[..want], at)
            .map_err(|error| LogError::io(format!("read {name}"), error))?;
        let piece = &buffer[..count];
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            rest.used_end = rest.used_end.max(at + last as u64 + 1);
            rest.synced = rest.synced.max(find_synced(piece, at, check));
        }
        if count < want || at + count as u64 == to || count <= overlap {
            break;
        }
        at += (count - overlap) as u64;
    }
    Ok(rest)
}
