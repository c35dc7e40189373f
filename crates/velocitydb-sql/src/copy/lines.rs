//! What lines of text and of CSV have in common: how they end, and how the data end.

use super::row::bad;
use crate::error::SqlError;

/// What ends a line. The first one decides for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Ending {
    #[default]
    Unknown,
    Newline,
    Return,
    Both,
}

/// What was found where something may end.
pub(super) enum Found {
    /// It does; what follows begins here.
    End(usize),
    /// It does not.
    Other,
    /// That the next bytes tell.
    Missing,
}

/// How an error calls what stands where it must not, and what would be right.
pub(super) struct Words {
    pub(super) found: &'static str,
    pub(super) instead_of_return: &'static str,
    pub(super) instead_of_newline: &'static str,
}

impl Ending {
    /// Reads the end of a line at a carriage return or a newline.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        at: usize,
        at_end: bool,
        words: &Words,
    ) -> Result<Found, SqlError> {
        if bytes[at] == b'\n' {
            if matches!(self, Ending::Return | Ending::Both) {
                let error = bad(format!("{} newline found in data", words.found));
                return Err(error.hint(words.instead_of_newline));
            }
            *self = Ending::Newline;
            return Ok(Found::End(at + 1));
        }
        let wrong = || {
            let error = bad(format!("{} carriage return found in data", words.found));
            Err(error.hint(words.instead_of_return))
        };
        match (*self, bytes.get(at + 1)) {
            (Ending::Newline, _) => wrong(),
            (Ending::Return, _) => Ok(Found::End(at + 1)),
            (_, None) if !at_end => Ok(Found::Missing),
            (_, Some(b'\n')) => {
                *self = Ending::Both;
                Ok(Found::End(at + 2))
            }
            (Ending::Both, _) => wrong(),
            (Ending::Unknown, _) => {
                *self = Ending::Return;
                Ok(Found::End(at + 1))
            }
        }
    }

    /// Reads the end of the data (`\.`) at a backslash before a point. In CSV, where it may be data,
    /// what is not quite it is.
    pub(super) fn read_mark(
        self,
        bytes: &[u8],
        at: usize,
        at_end: bool,
        is_csv: bool,
    ) -> Result<Found, SqlError> {
        let mut next = at + 2;
        let other = |message: &str| match is_csv {
            true => Ok(Found::Other),
            false => Err(bad(message)),
        };
        let mismatch = "end-of-copy marker does not match previous newline style";
        let corrupt = "end-of-copy marker corrupt";
        if self == Ending::Both {
            match bytes.get(next) {
                None if !at_end => return Ok(Found::Missing),
                Some(b'\r') => next += 1,
                Some(b'\n') => return other(mismatch),
                _ => return other(corrupt),
            }
        }
        match (bytes.get(next), self) {
            (None, _) if !at_end => Ok(Found::Missing),
            (Some(b'\n'), Ending::Return) => Err(bad(mismatch)),
            (Some(b'\r'), Ending::Newline | Ending::Both) => Err(bad(mismatch)),
            (Some(b'\r' | b'\n'), _) => Ok(Found::End(next + 1)),
            _ => other(corrupt),
        }
    }
}

/// For each byte whether it means something.
pub(super) fn marks(bytes: &[u8]) -> [bool; 256] {
    let mut marks = [false; 256];
    for byte in bytes {
        marks[usize::from(*byte)] = true;
    }
    marks
}

/// Where the next byte is that means something.
#[inline]
pub(super) fn next_mark(bytes: &[u8], from: usize, marks: &[bool; 256]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let mark = rest.iter().position(|byte| marks[usize::from(*byte)]);
    mark.map(|mark| from + mark)
}
