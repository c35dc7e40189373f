//! Reads entries back, in order, from any index.
//!
//! A reader takes a list of the segments it needs when it starts and holds their files open, so
//! a purge or a truncation does not disturb it: it reads the log as it was. Memory is one
//! buffer, whatever the range. Buffered entries are written first, so everything appended can be
//! read at once.
//!
//! Tests: with the log.

use std::collections::VecDeque;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Log;
use super::error::LogError;
use super::pack::Payload;
use super::record::{Frame, Record};
use super::scan::{Found, Scanner};
use crate::disk::DiskFile;

/// An entry, its payload copied out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub index: u64,
    /// The term it was proposed in (0 without a cluster).
    pub term: u64,
    /// What was appended.
    pub payload: Vec<u8>,
}

/// An entry whose payload stays in the reader's buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryView<'a> {
    /// Its place in the log.
    pub index: u64,
    /// The term it was proposed in (0 without a cluster).
    pub term: u64,
    /// What was appended.
    pub payload: &'a [u8],
}

/// The entries of a range, read as they are asked for; see [`Log::read`].
#[derive(Debug)]
pub struct Entries {
    parts: VecDeque<Part>,
    scanner: Option<Scanner>,
    /// The next entry of interest, and one past the last.
    next: u64,
    end: u64,
    /// The last entry of the segment that is being read.
    part_last: u64,
}

/// A segment to read: what to read of it and where.
#[derive(Debug)]
struct Part {
    file: Arc<dyn DiskFile>,
    name: String,
    frame: Frame,
    from: u64,
    limit: u64,
    last: u64,
}

impl Log {
    /// The entries from `range.start` up to, not including, `range.end`, or up to the newest.
    ///
    /// # Errors
    /// [`LogError::Missing`] when `range.start` was purged; what writing the buffered entries can
    /// fail with. The iterator ends after its first error.
    pub fn read(&self, range: Range<u64>) -> Result<Entries, LogError> {
        let end = range
            .end
            .min(self.progress.last_next.load(Ordering::Acquire));
        let start = range.start;
        if start >= end {
            let parts = VecDeque::new();
            return Ok(Entries {
                parts,
                scanner: None,
                next: end,
                end,
                part_last: 0,
            });
        }
        let first = self.first();
        if first.is_none_or(|first| start < first) {
            return Err(LogError::Missing { index: start });
        }
        if end > self.progress.written_next.load(Ordering::Acquire) {
            self.write_until(self.ticket_of(end - 1))?;
        }
        let shared = self.shared.lock();
        let parts = shared.segments.iter().filter_map(|segment| {
            let (first, last) = segment.entries?;
            (first < end && last >= start).then(|| Part {
                file: Arc::clone(&segment.file),
                name: segment.name.clone(),
                frame: segment.frame.clone(),
                from: segment.seek(start),
                limit: segment.end,
                last,
            })
        });
        let parts = parts.collect();
        Ok(Entries {
            parts,
            scanner: None,
            next: start,
            end,
            part_last: 0,
        })
    }

    /// Hands every entry from `from` to the newest to `apply`, which may break off. The fastest
    /// way to read: nothing is allocated per entry.
    ///
    /// # Errors
    /// As [`Log::read`], and what `apply` fails with.
    pub fn replay<E: From<LogError>>(
        &self,
        from: u64,
        mut apply: impl FnMut(EntryView<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut entries = self.read(from..u64::MAX)?;
        while let Some(entry) = entries.next_view()? {
            if apply(entry)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Entries {
    /// The next entry, lent from the buffer.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when it cannot be read as it was written; [`LogError::Io`].
    pub fn next_view(&mut self) -> Result<Option<EntryView<'_>>, LogError> {
        let Some((index, term, payload)) = self.step()? else {
            return Ok(None);
        };
        let scanner = self
            .scanner
            .as_mut()
            .expect("a step leaves its scanner in place");
        let known = payload.check_known();
        known.map_err(|error| LogError::io("unpack an entry of the log", error))?;
        if !scanner.unpack(&payload) {
            self.end = self.next;
            return Err(LogError::Damaged {
                segment: scanner.name().to_owned(),
                offset: scanner.offset(),
                index,
                what: "the entry before this byte does not decompress".into(),
            });
        }
        Ok(Some(EntryView {
            index,
            term,
            payload: scanner.unpacked(&payload),
        }))
    }

    /// Walks to the next entry of the range.
    fn step(&mut self) -> Result<Option<(u64, u64, Payload)>, LogError> {
        while self.next < self.end {
            let scanner = match &mut self.scanner {
                Some(scanner) if self.next <= self.part_last => scanner,
                slot => {
                    let Some(part) = self.parts.pop_front() else {
                        return Err(LogError::Missing { index: self.next });
                    };
                    self.part_last = part.last;
                    let Part {
                        file,
                        name,
                        frame,
                        from,
                        limit,
                        ..
                    } = part;
                    match slot {
                        Some(scanner) => scanner.restart(file, name, frame, from, limit),
                        None => *slot = Some(Scanner::new(file, name, frame, from, limit)),
                    }
                    continue;
                }
            };
            let offset = scanner.offset();
            match scanner.next()? {
                Found::Record(Record::Entry {
                    index,
                    term,
                    payload,
                }) if index >= self.next => {
                    if index != self.next {
                        return Err(LogError::Missing { index: self.next });
                    }
                    self.next += 1;
                    return Ok(Some((index, term, payload)));
                }
                Found::Record(_) => {}
                Found::End | Found::Limit | Found::Bad | Found::Unknown(_) => {
                    let segment = scanner.name().to_owned();
                    self.end = self.next;
                    return Err(LogError::Damaged {
                        segment,
                        offset,
                        index: self.next,
                        what: "a record that was valid when the log was opened is not".into(),
                    });
                }
            }
        }
        Ok(None)
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.next_view().map(|view| {
            view.map(|view| Entry {
                index: view.index,
                term: view.term,
                payload: view.payload.to_vec(),
            })
        });
        let entry = entry.transpose();
        if matches!(entry, Some(Err(_))) {
            self.end = self.next;
        }
        entry
    }
}
