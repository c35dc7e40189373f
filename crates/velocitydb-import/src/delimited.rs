//! The rows of a CSV as text: split, unquoted, counted.
//!
//! The grammar is that of `csv-core` (RFC 4180, lenient about quotes inside of unquoted fields;
//! empty lines are skipped). Used directly and not through the crate `csv`, because that one
//! grows a row without limit and takes the end of the input for the end of a quote.
//!
//! Invariant: a row holds at most the limit in bytes, plus 512 KiB of positions.
//!
//! Tests: below.

use csv_core::ReadRecordResult;

use crate::error::{ErrorKind, ImportError};
use crate::input::{Input, fill};

/// Fields of one row.
pub(crate) const FIELDS_MAX: usize = 1 << 16;

/// One row: its text without delimiters and quotes, and where each field ends. Reused.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextRow {
    /// Line on which it begins.
    pub line: u64,
    text: Vec<u8>,
    text_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
}

impl TextRow {
    /// How many fields there are.
    pub fn field_count(&self) -> usize {
        self.ends_len
    }

    /// Bytes that a compact copy takes.
    pub fn memory_bytes(&self) -> usize {
        self.text_len + self.ends_len * size_of::<usize>()
    }

    /// A copy without spare room.
    pub fn compact(&self) -> Self {
        Self {
            line: self.line,
            text: self.text[..self.text_len].to_vec(),
            text_len: self.text_len,
            ends: self.ends[..self.ends_len].to_vec(),
            ends_len: self.ends_len,
        }
    }

    /// The fields in order.
    ///
    /// # Errors
    /// [`ErrorKind::NotUtf8`].
    pub fn fields(&self) -> Result<impl Iterator<Item = &str>, ImportError> {
        let error = || ImportError::new(self.line, ErrorKind::NotUtf8);
        let text = std::str::from_utf8(&self.text[..self.text_len]).map_err(|_| error())?;
        let ends = &self.ends[..self.ends_len];
        // Halves of a character in two fields are together one, but neither is text.
        if !ends.iter().all(|end| text.is_char_boundary(*end)) {
            return Err(error());
        }
        let mut start = 0;
        Ok(ends
            .iter()
            .map(move |end| &text[std::mem::replace(&mut start, *end)..*end]))
    }
}

/// Splits the text into rows.
pub(crate) struct Delimited {
    input: Input,
    parser: csv_core::Reader,
    row_bytes_max: usize,
}

impl Delimited {
    pub fn new(input: Input, delimiter: u8, row_bytes_max: usize) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self {
            input,
            parser,
            row_bytes_max: row_bytes_max.clamp(1, usize::MAX - 1),
        }
    }

    /// Line at which the reading is.
    pub fn line(&self) -> u64 {
        self.parser.line()
    }

    /// Reads the next row into `row`; false at the end of the input.
    ///
    /// # Errors
    /// After one that is a bad row the next call reads on; after any other it may not be called.
    pub fn read(&mut self, row: &mut TextRow) -> Result<bool, ImportError> {
        if !self.skip_empty_lines()? {
            return Ok(false);
        }
        row.line = self.line();
        (row.text_len, row.ends_len) = (0, 0);
        let mut refused = None;
        loop {
            let line = self.parser.line();
            let filled = fill(&mut self.input).map_err(|error| ImportError::read(line, error))?;
            // The end of the input ends a row as the end of a line does, except inside of quotes.
            let at_end = filled.is_empty();
            let (result, taken, text, ends) = self.parser.read_record(
                if at_end { b"\n" } else { filled },
                &mut row.text[row.text_len..],
                &mut row.ends[row.ends_len..],
            );
            if !at_end {
                self.input.consume(taken);
            }
            row.text_len += text;
            row.ends_len += ends;
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::InputEmpty if at_end => {
                    return Err(ImportError::new(row.line, ErrorKind::UnterminatedQuote));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => {
                    let bytes_max = self.row_bytes_max;
                    if !make_room(&mut row.text, &mut row.text_len, bytes_max + 1) {
                        refused = Some(ErrorKind::RowTooLong { bytes_max });
                    }
                }
                ReadRecordResult::OutputEndsFull => {
                    let fields_max = FIELDS_MAX;
                    if !make_room(&mut row.ends, &mut row.ends_len, fields_max + 1) {
                        refused = Some(ErrorKind::TooManyFields { fields_max });
                    }
                }
                ReadRecordResult::End => unreachable!("the parser is never given an empty input"),
            }
        }
        match refused {
            Some(kind) => Err(ImportError::new(row.line, kind)),
            None => Ok(true),
        }
    }

    /// Moves to the first byte of a row; false when there is none.
    fn skip_empty_lines(&mut self) -> Result<bool, ImportError> {
        loop {
            let line = self.parser.line();
            let filled = fill(&mut self.input).map_err(|error| ImportError::read(line, error))?;
            if filled.is_empty() {
                return Ok(false);
            }
            let empty = filled
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let (count, lines) = empty.fold((0, 0), |(count, lines), byte| {
                (count + 1, lines + u64::from(*byte == b'\n'))
            });
            let begins = count < filled.len();
            self.input.consume(count);
            self.parser.set_line(line + lines);
            if begins {
                return Ok(true);
            }
        }
    }
}

/// Makes room behind the first `len` items; at `len_max` it gives up the items and says false.
/// One item more than a row may have tells a full row from one that is too long.
fn make_room<T: Copy + Default>(items: &mut Vec<T>, len: &mut usize, len_max: usize) -> bool {
    if items.len() < len_max {
        let room = (items.len() * 2).clamp(256, len_max.max(256)).min(len_max);
        items.resize(room, T::default());
        return true;
    }
    *len = 0;
    false
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    /// Rows as `line: field|field`, errors as they print; read in pieces of every small size.
    fn rows(text: &[u8], row_bytes_max: usize) -> Vec<String> {
        let read = |piece: usize| {
            let input = BufReader::with_capacity(piece, Cursor::new(text.to_vec()));
            let mut delimited = Delimited::new(Box::new(input), b',', row_bytes_max);
            let (mut row, mut rows) = (TextRow::default(), Vec::new());
            loop {
                let result = delimited.read(&mut row).and_then(|more| {
                    if !more {
                        return Ok(None);
                    }
                    let fields: Vec<&str> = row.fields()?.collect();
                    Ok(Some(format!("{}: {}", row.line, fields.join("|"))))
                });
                match result {
                    Ok(None) => return rows,
                    Ok(Some(row)) => rows.push(row),
                    Err(error) => {
                        rows.push(error.to_string());
                        if !error.is_bad_row() {
                            return rows;
                        }
                    }
                }
            }
        };
        let expected = read(1 << 16);
        for piece in 1..9 {
            assert_eq!(read(piece), expected, "in pieces of {piece} bytes");
        }
        expected
    }

    #[test]
    fn rows_are_split_and_unquoted() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n\r\n\n", &[]),
            ("a,b", &["1: a|b"]),
            ("a,b\nc,\n", &["1: a|b", "2: c|"]),
            ("a\r\n\r\nb\r\n", &["1: a", "3: b"]),
            ("\n\na\n\nb", &["3: a", "5: b"]),
            ("\"a,\"\"b\"\"\",c\n", &["1: a,\"b\"|c"]),
            ("\"a\nb\",c\r\nd,e", &["1: a\nb|c", "3: d|e"]),
            ("\"\",\"\"", &["1: |"]),
            ("a \"b\" c,5\"\nd", &["1: a \"b\" c|5\"", "2: d"]),
            (" a , b ", &["1:  a | b "]),
        ] {
            assert_eq!(rows(text.as_bytes(), 1000), expected, "{text:?}");
        }
    }

    #[test]
    fn an_unterminated_quote_is_not_the_end() {
        let error = "line 2: a quote opens here and the input ends before it closes";
        for text in ["a\n\"b", "a\n\"", "a\nb,\"c\n\nd", "a\n\"b\n", "a\n\"b\"\""] {
            assert_eq!(rows(text.as_bytes(), 1000), ["1: a", error], "{text:?}");
        }
        assert_eq!(rows(b"a\n\"b\"", 1000), ["1: a", "2: b"]);
    }

    #[test]
    fn a_row_is_bounded_and_the_next_is_read() {
        let text = format!("a,b\n{},c\nd,e\n", "x".repeat(5000));
        let error = "line 2: the row is longer than 1000 bytes";
        assert_eq!(rows(text.as_bytes(), 1000), ["1: a|b", error, "3: d|e"]);
        assert_eq!(rows(text.as_bytes(), 5001).len(), 3);
        assert_eq!(rows(text.as_bytes(), 5000)[1].len(), error.len());
        let text = format!("a\n{}\nb\n", ",".repeat(FIELDS_MAX + 5));
        let error = "line 2: the row has more than 65536 fields";
        assert_eq!(rows(text.as_bytes(), 1000), ["1: a", error, "3: b"]);
    }

    #[test]
    fn text_is_utf8_in_each_field() {
        let error = "line 2: the text is not UTF-8";
        assert_eq!(rows("ä,€\n".as_bytes(), 1000), ["1: ä|€"]);
        assert_eq!(rows(b"a\n\xff,b\nc\n", 1000), ["1: a", error, "3: c"]);
        // Two halves of one character.
        assert_eq!(rows(b"a\n\xc3,\xa4\nc\n", 1000), ["1: a", error, "3: c"]);
    }
}
