//! The form `text`: fields between delimiters, with escapes by backslashes.

use super::lines::{Ending, Found, Words, marks, next_mark};
use super::options::Options;
use super::row::{Piece, Row, Step};
use crate::error::SqlError;

const WORDS: Words = Words {
    found: "literal",
    instead_of_return: "Use \"\\r\" to represent carriage return.",
    instead_of_newline: "Use \"\\n\" to represent newline.",
};

/// Cuts text into rows.
#[derive(Debug)]
pub(super) struct Text {
    null: Vec<u8>,
    marks: [bool; 256],
    ending: Ending,
    ended: bool,
}

/// The field that is being read.
struct Field {
    start: usize,
    /// Where it begins in what was made, when it has escapes.
    made: Option<usize>,
    /// Up to where it was copied there.
    copied: usize,
}

impl Field {
    fn at(start: usize) -> Field {
        Field {
            start,
            made: None,
            copied: start,
        }
    }

    /// Copies what stands before an escape, and goes on behind it.
    fn copy(&mut self, bytes: &[u8], to: usize, behind: usize, row: &mut Row) {
        self.made.get_or_insert(row.made.len());
        row.made.extend_from_slice(&bytes[self.copied..to]);
        self.copied = behind;
    }
}

impl Text {
    pub(super) fn new(options: &Options) -> Text {
        Text {
            null: options.null.as_bytes().to_vec(),
            marks: marks(&[options.delimiter, b'\\', b'\n', b'\r']),
            ending: Ending::Unknown,
            ended: false,
        }
    }

    /// The row that begins at `from`.
    pub(super) fn next(
        &mut self,
        bytes: &[u8],
        from: usize,
        at_end: bool,
        fields_max: usize,
        row: &mut Row,
    ) -> Result<Step, SqlError> {
        if self.ended {
            return Ok(Step::End);
        }
        row.clear();
        let mut field = Field::at(from);
        let mut at = from;
        loop {
            let Some(mark) = next_mark(bytes, at, &self.marks) else {
                return Ok(match at_end {
                    false => Step::Missing,
                    true if bytes.len() == from => Step::End,
                    true => self.end(
                        bytes,
                        (from, bytes.len()),
                        bytes.len(),
                        field,
                        fields_max,
                        row,
                    ),
                });
            };
            at = mark + 1;
            match bytes[mark] {
                b'\n' | b'\r' => match self.ending.read(bytes, mark, at_end, &WORDS)? {
                    Found::End(next) => {
                        return Ok(self.end(bytes, (from, mark), next, field, fields_max, row));
                    }
                    _ => return Ok(Step::Missing),
                },
                b'\\' => match bytes.get(mark + 1) {
                    None if !at_end => return Ok(Step::Missing),
                    // PostgreSQL passes over it, too.
                    None => field.copy(bytes, mark, mark + 1, row),
                    Some(b'.') => match self.ending.read_mark(bytes, mark, at_end, false)? {
                        Found::Missing => return Ok(Step::Missing),
                        _ => {
                            self.ended = true;
                            return Ok(match mark == from {
                                true => Step::End,
                                false => {
                                    self.end(bytes, (from, mark), mark, field, fields_max, row)
                                }
                            });
                        }
                    },
                    Some(_) => match unescaped(&bytes[mark + 1..], at_end) {
                        None => return Ok(Step::Missing),
                        Some((byte, length)) => {
                            at = mark + 1 + length;
                            field.copy(bytes, mark, at, row);
                            row.made.push(byte);
                        }
                    },
                },
                _ => {
                    self.push(bytes, mark, field, fields_max, row);
                    field = Field::at(mark + 1);
                }
            }
        }
    }

    fn end(
        &self,
        bytes: &[u8],
        (from, to): (usize, usize),
        next: usize,
        field: Field,
        fields_max: usize,
        row: &mut Row,
    ) -> Step {
        self.push(bytes, to, field, fields_max, row);
        row.line = from..to;
        Step::Row(next)
    }

    fn push(&self, bytes: &[u8], to: usize, mut field: Field, fields_max: usize, row: &mut Row) {
        let raw = field.start..to;
        let piece = if raw.len() == self.null.len() && bytes[raw.clone()] == self.null {
            Piece::Null
        } else if field.made.is_some() {
            field.copy(bytes, to, to, row);
            Piece::Made(field.made.unwrap_or_default()..row.made.len())
        } else {
            Piece::Raw(raw)
        };
        row.push(piece, fields_max);
    }
}

/// The byte that is meant by what follows a backslash, and how many bytes those are; `None`: that
/// the next ones tell.
fn unescaped(bytes: &[u8], at_end: bool) -> Option<(u8, usize)> {
    let number = |digits: &[u8], radix: u32, most: usize| {
        let value = |byte: &u8| char::from(*byte).to_digit(radix);
        let values: Vec<u32> = digits.iter().take(most).map_while(value).collect();
        let is_open = values.len() < most && values.len() == digits.len() && !at_end;
        let number = values
            .iter()
            .fold(0, |number, digit| number * radix + digit);
        (!is_open).then_some((number as u8, values.len()))
    };
    Some(match bytes[0] {
        b'b' => (8, 1),
        b'f' => (12, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (11, 1),
        b'0'..=b'7' => number(bytes, 8, 3)?,
        b'x' => match number(&bytes[1..], 16, 2)? {
            (_, 0) => (b'x', 1),
            (byte, length) => (byte, 1 + length),
        },
        other => (other, 1),
    })
}

/// Appends a field's text, escaped.
pub(super) fn write(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let escape = |byte: u8| match byte {
        8 => Some(b'b'),
        12 => Some(b'f'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        11 => Some(b'v'),
        b'\\' => Some(b'\\'),
        byte if byte == delimiter => Some(byte),
        _ => None,
    };
    let mut copied = 0;
    for (at, byte) in text.iter().enumerate() {
        if let Some(letter) = escape(*byte) {
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(&[b'\\', letter]);
            copied = at + 1;
        }
    }
    out.extend_from_slice(&text[copied..]);
}
