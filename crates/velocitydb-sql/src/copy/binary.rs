//! The form `binary`: a signature, rows of counted fields, and a mark behind them.

use super::row::{Piece, Row, Step, bad};
use crate::error::SqlError;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Cuts bytes into rows.
#[derive(Debug, Default)]
pub(super) struct Binary {
    begun: bool,
    /// Bytes of the header's extension that are still to be passed over.
    skip: usize,
    ended: bool,
}

fn integer(bytes: &[u8], at: usize) -> Option<i32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_be_bytes(*bytes))
}

impl Binary {
    /// Whether what stands before the rows is not read yet.
    pub(super) fn is_at_header(&self) -> bool {
        !self.begun || self.skip > 0
    }

    /// The row that begins at `from`.
    pub(super) fn next(
        &mut self,
        bytes: &[u8],
        from: usize,
        at_end: bool,
        fields: usize,
        row: &mut Row,
    ) -> Result<Step, SqlError> {
        row.clear();
        if !self.begun {
            return self.begin(bytes, from, at_end);
        }
        if self.skip > 0 {
            let (skip, given) = (self.skip, bytes.len() - from);
            if given < skip {
                return match at_end {
                    true => Err(bad("invalid COPY file header (wrong length)")),
                    false => Ok(Step::Missing),
                };
            }
            self.skip = 0;
            return Ok(Step::Skip(from + skip));
        }
        if self.ended {
            return match bytes.len() > from {
                true => Err(bad("received copy data after EOF marker")),
                false => Ok(if at_end { Step::End } else { Step::Missing }),
            };
        }
        let short = || match at_end {
            true => Err(bad("unexpected EOF in COPY data")),
            false => Ok(Step::Missing),
        };
        let Some(count) = bytes[from..].first_chunk::<2>() else {
            // The mark behind the rows may be missing.
            return Ok(if at_end { Step::End } else { Step::Missing });
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.ended = true;
            return Ok(Step::Skip(from + 2));
        }
        if usize::try_from(count) != Ok(fields) {
            let message = format!("row field count is {count}, expected {fields}");
            return Err(bad(message));
        }
        let mut at = from + 2;
        row.in_field = true;
        for _ in 0..fields {
            let Some(length) = integer(bytes, at) else {
                return short();
            };
            at += 4;
            let Ok(length) = usize::try_from(length) else {
                if length != -1 {
                    return Err(bad("invalid field size"));
                }
                row.pieces.push(Piece::Null);
                continue;
            };
            let end = at.saturating_add(length);
            if end > bytes.len() {
                return short();
            }
            row.pieces.push(Piece::Raw(at..end));
            at = end;
        }
        row.line = from..at;
        Ok(Step::Row(at))
    }

    fn begin(&mut self, bytes: &[u8], from: usize, at_end: bool) -> Result<Step, SqlError> {
        let given = &bytes[from..];
        let same = given
            .iter()
            .zip(SIGNATURE)
            .all(|(given, byte)| given == byte);
        if !same || at_end && given.len() < SIGNATURE.len() {
            return Err(bad("COPY file signature not recognized"));
        }
        let at = from + SIGNATURE.len();
        let (flags, length) = (integer(bytes, at), integer(bytes, at + 4));
        match (flags, length) {
            (None, _) if at_end => return Err(bad("invalid COPY file header (missing flags)")),
            (Some(flags), _) if flags & 1 << 16 != 0 => {
                return Err(bad("invalid COPY file header (WITH OIDS)"));
            }
            (Some(flags), _) if flags >> 16 != 0 => {
                return Err(bad("unrecognized critical flags in COPY file header"));
            }
            (_, None) if at_end => return Err(bad("invalid COPY file header (missing length)")),
            (_, None) => return Ok(Step::Missing),
            (_, Some(length)) => {
                let length = usize::try_from(length);
                let missing = |_| bad("invalid COPY file header (missing length)");
                self.skip = length.map_err(missing)?;
            }
        }
        self.begun = true;
        Ok(Step::Skip(at + 8))
    }
}

/// Appends what stands before the rows.
pub(super) fn write_header(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
}

/// Appends what stands behind the rows.
pub(super) fn write_trailer(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
}
