//! The lines of a text: each whole, numbered, and no longer than a bound.
//!
//! Tests: `reader/tests.rs`, through `ndjson`.

use std::io::{BufRead, Read};

use crate::error::{ErrorKind, ImportError};
use crate::input::{Input, fill};

/// Reads lines.
pub(crate) struct Lines {
    input: Input,
    bytes_max: usize,
    /// Number of the line in `text`, from 1; 0 before the first.
    pub line: u64,
    /// The line that was read last, without its end.
    pub text: Vec<u8>,
}

impl Lines {
    /// Lines of at most `bytes_max` bytes, the first of them after `line` others.
    pub fn new(input: Input, bytes_max: usize, line: u64) -> Self {
        Self {
            input,
            bytes_max: bytes_max.max(1),
            line,
            text: Vec::new(),
        }
    }

    /// Reads the next line that is not empty into `text`; false at the end of the input.
    ///
    /// # Errors
    /// After a line that is too long the next call reads on; after any other error it may not be
    /// called.
    pub fn next_filled(&mut self) -> Result<bool, ImportError> {
        while self.next_line()? {
            if !self.text.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn next_line(&mut self) -> Result<bool, ImportError> {
        self.line += 1;
        self.text.clear();
        let failed = |error| ImportError::read(self.line, error);
        let bytes_max = self.bytes_max;
        // As much as the longest line and `\r\n`: a longer line shows by its length.
        let mut limited = (&mut self.input).take((bytes_max as u64).saturating_add(2));
        let count = limited.read_until(b'\n', &mut self.text).map_err(failed)?;
        if self.text.last() == Some(&b'\n') {
            self.text.pop();
            self.text.pop_if(|byte| *byte == b'\r');
        } else if self.text.len() > bytes_max {
            self.skip_line()?;
        }
        if self.text.len() > bytes_max {
            let kind = ErrorKind::RowTooLong { bytes_max };
            return Err(ImportError::new(self.line, kind));
        }
        Ok(count > 0)
    }

    /// Passes over the rest of a line.
    fn skip_line(&mut self) -> Result<(), ImportError> {
        loop {
            let filled =
                fill(&mut self.input).map_err(|error| ImportError::read(self.line, error))?;
            let end = filled.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(filled.len(), |end| end + 1);
            let done = end.is_some() || filled.is_empty();
            self.input.consume(count);
            if done {
                return Ok(());
            }
        }
    }
}
