//! The elements of one JSON array, split without reading them: each is the text between two
//! commas of the outermost level.
//!
//! Strings, escapes and brackets are followed, nothing else is judged: what is no JSON shows when
//! the element is read, and the elements after it are still found where its brackets were in
//! order. Tests: below.

use std::io::BufRead;

use crate::error::{ErrorKind, ImportError};
use crate::input::{Input, fill};

/// Reads elements.
pub(crate) struct Elements {
    input: Input,
    bytes_max: usize,
    state: State,
    /// Line on which the reading is, from 1.
    at_line: u64,
    /// Line on which the element in `text` begins.
    pub line: u64,
    /// The element that was read last.
    pub text: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the opening bracket.
    Before,
    /// Behind the opening bracket or a comma.
    Inside {
        /// Behind the opening bracket, where the array may end at once.
        first: bool,
    },
    /// Behind the closing bracket.
    Behind,
}

impl Elements {
    /// The elements of the array with which `input` begins, on line `line`.
    pub fn new(input: Input, bytes_max: usize, line: u64) -> Self {
        Self {
            input,
            bytes_max: bytes_max.max(1),
            state: State::Before,
            at_line: line,
            line,
            text: Vec::new(),
        }
    }

    /// Reads the next element into `text`; false at the end of the input.
    ///
    /// # Errors
    /// After an element that is too long the next call reads on; after any other error it may not
    /// be called.
    pub fn next_element(&mut self) -> Result<bool, ImportError> {
        if self.state == State::Before {
            self.next_visible()?;
            self.input.consume(1); // the bracket, by which the format was recognised
            self.state = State::Inside { first: true };
        }
        let found = self.next_visible()?;
        match (self.state, found) {
            (State::Behind, None) => Ok(false),
            (State::Behind, Some(_)) => self.fatal("something follows the end of the array"),
            (State::Inside { first: true }, Some(b']')) => {
                self.input.consume(1);
                self.state = State::Behind;
                self.next_element()
            }
            (_, None) => self.fatal("the input ends before the array does"),
            (_, Some(_)) => self.element().map(|()| true),
        }
    }

    fn fatal(&self, what: &str) -> Result<bool, ImportError> {
        let kind = ErrorKind::Header(what.to_owned());
        Err(ImportError::new(self.at_line, kind))
    }

    /// The next byte that is no white space, without taking it.
    fn next_visible(&mut self) -> Result<Option<u8>, ImportError> {
        loop {
            let line = self.at_line;
            let filled = fill(&mut self.input).map_err(|error| ImportError::read(line, error))?;
            let blank = filled.iter().take_while(|byte| byte.is_ascii_whitespace());
            let count = blank.count();
            let lines = filled[..count].iter().filter(|byte| **byte == b'\n');
            self.at_line += lines.count() as u64;
            let found = filled.get(count).copied();
            let ended = filled.is_empty();
            self.input.consume(count);
            if found.is_some() || ended {
                return Ok(found);
            }
        }
    }

    /// Reads to the comma or the bracket behind an element, and takes that as well.
    fn element(&mut self) -> Result<(), ImportError> {
        self.line = self.at_line;
        self.text.clear();
        let mut too_long = false;
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        loop {
            let line = self.at_line;
            let filled = fill(&mut self.input).map_err(|error| ImportError::read(line, error))?;
            if filled.is_empty() {
                return self
                    .fatal("the input ends before the array does")
                    .map(|_| ());
            }
            let mut end = None;
            for (at, byte) in filled.iter().enumerate() {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'\n' => self.at_line += 1,
                    _ if in_string => {}
                    b'{' | b'[' => depth += 1,
                    b',' | b']' if depth == 0 => {
                        end = Some((at, *byte));
                        break;
                    }
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            let count = end.map_or(filled.len(), |(at, _)| at);
            too_long |= self.text.len() + count > self.bytes_max;
            if !too_long {
                self.text.extend_from_slice(&filled[..count]);
            }
            self.input.consume(count + usize::from(end.is_some()));
            let Some((_, end)) = end else {
                continue;
            };
            self.state = match end {
                b',' => State::Inside { first: false },
                _ => State::Behind,
            };
            if too_long {
                let bytes_max = self.bytes_max;
                return Err(ImportError::new(
                    self.line,
                    ErrorKind::RowTooLong { bytes_max },
                ));
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    /// Elements as `line: text`, errors as they print; read in pieces of every small size.
    fn elements(text: &str, bytes_max: usize) -> Vec<String> {
        let read = |piece: usize| {
            let input = BufReader::with_capacity(piece, Cursor::new(text.to_owned()));
            let mut elements = Elements::new(Box::new(input), bytes_max, 1);
            let mut found = Vec::new();
            loop {
                match elements.next_element() {
                    Ok(false) => return found,
                    Ok(true) => {
                        let text = String::from_utf8(elements.text.clone()).unwrap();
                        found.push(format!("{}: {}", elements.line, text.trim_end()));
                    }
                    Err(error) => {
                        found.push(error.to_string());
                        if !error.is_bad_row() {
                            return found;
                        }
                    }
                }
            }
        };
        let expected = read(1 << 16);
        for piece in 1..7 {
            assert_eq!(read(piece), expected, "in pieces of {piece} bytes");
        }
        expected
    }

    #[test]
    fn an_array_is_split_at_its_own_commas() {
        for (text, expected) in [
            ("[]", &[][..]),
            (" \n[ \n ] \n", &[]),
            ("[1]", &["1: 1"]),
            (
                "[{\"a\":[1,2]},\n {\"b\":\"],\\\"\"}\n]\n",
                &["1: {\"a\":[1,2]}", "2: {\"b\":\"],\\\"\"}"],
            ),
            ("[1\n,\n\n2]", &["1: 1", "4: 2"]),
            ("[1,,2]", &["1: 1", "1: ", "1: 2"]),
        ] {
            assert_eq!(elements(text, 100), expected, "{text:?}");
        }
    }

    #[test]
    fn an_array_without_an_end_is_not_read_as_whole() {
        let cut = "line 2: the input ends before the array does";
        assert_eq!(elements("[1,\n", 100), ["1: 1", cut]);
        assert_eq!(elements("[1,\n2", 100), ["1: 1", cut]);
        assert_eq!(elements("[1,\n\"]", 100), ["1: 1", cut]);
        let more = "line 1: something follows the end of the array";
        assert_eq!(elements("[1] 2", 100), ["1: 1", more]);
    }

    #[test]
    fn an_element_is_bounded_and_the_next_is_read() {
        let long = "line 1: the row is longer than 4 bytes";
        assert_eq!(elements("[1,\"abc\",2]", 4), ["1: 1", long, "1: 2"]);
    }
}
