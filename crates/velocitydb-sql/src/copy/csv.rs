//! The form `csv`: fields between delimiters, in quotes where they need them.

use super::lines::{Ending, Found, Words, marks, next_mark};
use super::options::Options;
use super::row::{Piece, Row, Step, bad};
use crate::error::SqlError;

const WORDS: Words = Words {
    found: "unquoted",
    instead_of_return: "Use quoted CSV field to represent carriage return.",
    instead_of_newline: "Use quoted CSV field to represent newline.",
};

/// Cuts CSV into rows.
#[derive(Debug)]
pub(super) struct Csv {
    quote: u8,
    escape: u8,
    null: Vec<u8>,
    /// Of what is not in quotes.
    plain: [bool; 256],
    /// Of what is.
    quoted: [bool; 256],
    ending: Ending,
    ended: bool,
    /// Lines of the last row beyond the first.
    pub(super) more_lines: u64,
}

/// The field that is being read.
struct Field {
    start: usize,
    /// Where its row begins.
    line: usize,
    saw_quote: bool,
    /// Where it begins in what was made, when it is not as it stands in the input.
    made: usize,
    copied: usize,
    /// Where it stands, when it is as it stands there but for the quotes around it.
    whole: Option<(usize, usize)>,
}

impl Field {
    fn at(start: usize, line: usize, row: &Row) -> Field {
        Field {
            start,
            line,
            saw_quote: false,
            made: row.made.len(),
            copied: start,
            whole: None,
        }
    }

    fn copy(&mut self, bytes: &[u8], to: usize, behind: usize, row: &mut Row) {
        row.made.extend_from_slice(&bytes[self.copied..to]);
        self.copied = behind;
    }
}

impl Csv {
    pub(super) fn new(options: &Options) -> Csv {
        Csv {
            quote: options.quote,
            escape: options.escape,
            null: options.null.as_bytes().to_vec(),
            plain: marks(&[options.delimiter, options.quote, b'\n', b'\r']),
            quoted: marks(&[options.quote, options.escape, b'\n', b'\r']),
            ending: Ending::Unknown,
            ended: false,
            more_lines: 0,
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
        self.more_lines = 0;
        match &bytes[from..] {
            [] if at_end => return Ok(Step::End),
            [] => return Ok(Step::Missing),
            [b'\\'] if !at_end => return Ok(Step::Missing),
            [b'\\', b'.', ..] => match self.ending.read_mark(bytes, from, at_end, true)? {
                Found::Missing => return Ok(Step::Missing),
                Found::End(_) => {
                    self.ended = true;
                    return Ok(Step::End);
                }
                Found::Other => {}
            },
            _ => {}
        }
        let mut field = Field::at(from, from, row);
        let mut at = from;
        loop {
            let Some(mark) = next_mark(bytes, at, &self.plain) else {
                if !at_end {
                    return Ok(Step::Missing);
                }
                return Ok(self.end(
                    bytes,
                    (from, bytes.len()),
                    bytes.len(),
                    field,
                    fields_max,
                    row,
                ));
            };
            match bytes[mark] {
                byte if byte == self.quote => {
                    match self.in_quotes(bytes, mark, at_end, &mut field, row)? {
                        None => return Ok(Step::Missing),
                        Some(behind) => at = behind,
                    }
                }
                b'\n' | b'\r' => match self.ending.read(bytes, mark, at_end, &WORDS)? {
                    Found::End(next) => {
                        return Ok(self.end(bytes, (from, mark), next, field, fields_max, row));
                    }
                    _ => return Ok(Step::Missing),
                },
                _ => {
                    self.push(bytes, mark, field, fields_max, row);
                    at = mark + 1;
                    field = Field::at(at, from, row);
                }
            }
        }
    }

    /// Reads from an opening quote to behind the closing one; `None`: it has not come yet.
    fn in_quotes(
        &mut self,
        bytes: &[u8],
        opening: usize,
        at_end: bool,
        field: &mut Field,
        row: &mut Row,
    ) -> Result<Option<usize>, SqlError> {
        let is_first = opening == field.start;
        if let Some((start, end)) = field.whole.take() {
            // There is more of it than what stood in quotes.
            row.made.extend_from_slice(&bytes[start..end]);
            field.copied = end + 1;
        }
        field.copy(bytes, opening, opening + 1, row);
        field.saw_quote = true;
        let line_end = match self.ending {
            Ending::Newline => b'\n',
            _ => b'\r',
        };
        let mut is_whole = is_first;
        let mut at = opening + 1;
        loop {
            let Some(mark) = next_mark(bytes, at, &self.quoted) else {
                return match at_end {
                    true => {
                        row.line = field.line..bytes.len();
                        Err(bad("unterminated CSV quoted field"))
                    }
                    false => Ok(None),
                };
            };
            let byte = bytes[mark];
            at = mark + 1;
            if byte == self.escape {
                match bytes.get(at) {
                    None if !at_end => return Ok(None),
                    Some(next) if *next == self.escape || *next == self.quote => {
                        // The escape goes, what it stands before stays.
                        field.copy(bytes, mark, at, row);
                        is_whole = false;
                        at += 1;
                        continue;
                    }
                    _ => {}
                }
            }
            if byte == self.quote {
                match is_whole {
                    true => {
                        field.whole = Some((opening + 1, mark));
                        field.copied = mark + 1;
                    }
                    false => field.copy(bytes, mark, mark + 1, row),
                }
                return Ok(Some(at));
            }
            self.more_lines += u64::from(byte == line_end);
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
        let piece = match (field.saw_quote, field.whole) {
            (false, _) if bytes[raw.clone()] == self.null => Piece::Null,
            (false, _) => Piece::Raw(raw),
            (true, Some((start, end))) if end + 1 == to => Piece::Raw(start..end),
            (true, whole) => {
                if let Some((start, end)) = whole {
                    row.made.extend_from_slice(&bytes[start..end]);
                    field.copied = end + 1;
                }
                field.copy(bytes, to, to, row);
                Piece::Made(field.made..row.made.len())
            }
        };
        row.push(piece, fields_max);
    }
}

/// Appends a field's text, in quotes where it needs them or `force`s them. Alone in its line it may
/// look like the end of the data.
pub(super) fn write(
    text: &[u8],
    options: &Options,
    force: bool,
    is_alone: bool,
    out: &mut Vec<u8>,
) {
    let Options {
        delimiter,
        quote,
        escape,
        null,
        ..
    } = options;
    let needs = |byte: &u8| byte == delimiter || byte == quote || matches!(byte, b'\n' | b'\r');
    let in_quotes =
        force || text == null.as_bytes() || is_alone && text == b"\\." || text.iter().any(needs);
    if !in_quotes {
        out.extend_from_slice(text);
        return;
    }
    out.push(*quote);
    for byte in text {
        if byte == quote || byte == escape {
            out.push(*escape);
        }
        out.push(*byte);
    }
    out.push(*quote);
}
