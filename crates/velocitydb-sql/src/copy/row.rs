//! A row of a COPY, cut into its fields, and what is wrong with data.

use std::ops::Range;

use crate::error::SqlError;

/// The class of what is wrong with the data themselves.
const BAD_COPY_FILE_FORMAT: &str = "22P04";

/// The most bytes of data that an error shows, as PostgreSQL has it.
const SHOWN_MAX: usize = 100;

/// Where the bytes of a field are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Null,
    /// In the input.
    Raw(Range<usize>),
    /// In [`Row::made`], since they are others than in the input.
    Made(Range<usize>),
}

/// A row that was cut into its fields. Reused.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) pieces: Vec<Piece>,
    pub(super) made: Vec<u8>,
    /// Where in the input it stands, without what ends it.
    pub(super) line: Range<usize>,
    /// Whether what is wrong is the field behind these, if something is.
    pub(super) in_field: bool,
    /// Fields beyond those that were asked for.
    pub(super) more: usize,
}

impl Row {
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.made.clear();
        self.more = 0;
        self.in_field = false;
        self.line = 0..0;
    }

    /// Adds a field, unless there are so many already.
    pub(super) fn push(&mut self, piece: Piece, fields_max: usize) {
        match self.pieces.len() < fields_max {
            true => self.pieces.push(piece),
            false => self.more += 1,
        }
    }

    /// The bytes of a field; `None`: it is null.
    pub(super) fn bytes<'a>(&'a self, input: &'a [u8], at: usize) -> Option<&'a [u8]> {
        match &self.pieces[at] {
            Piece::Null => None,
            Piece::Raw(range) => Some(&input[range.clone()]),
            Piece::Made(range) => Some(&self.made[range.clone()]),
        }
    }

    /// The text of a field; `None`: it is null.
    ///
    /// # Errors
    /// Escapes that make no text together.
    pub(super) fn text<'a>(
        &'a self,
        input: &'a str,
        at: usize,
    ) -> Result<Option<&'a str>, SqlError> {
        Ok(match &self.pieces[at] {
            Piece::Null => None,
            Piece::Raw(range) => Some(&input[range.clone()]),
            Piece::Made(range) => {
                let made = &self.made[range.clone()];
                match std::str::from_utf8(made) {
                    Ok(text) if !made.contains(&0) => Some(text),
                    Ok(_) => return Err(not_utf8(&[0])),
                    Err(error) => return Err(not_utf8(&made[error.valid_up_to()..])),
                }
            }
        })
    }
}

/// What a decoder answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A row; what follows begins here.
    Row(usize),
    /// No row, but something that is done with; what follows begins here.
    Skip(usize),
    /// What there is of the input ends within a row.
    Missing,
    /// There are no more rows.
    End,
}

/// What is wrong with the data.
pub(super) fn bad(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(BAD_COPY_FILE_FORMAT, message)
}

/// How many bytes the character would have that begins here.
pub(super) fn character_bytes(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    }
}

/// What is wrong with these bytes, of which the first ones are no character.
pub(super) fn not_utf8(bytes: &[u8]) -> SqlError {
    let length = character_bytes(bytes);
    let shown: Vec<_> = bytes
        .iter()
        .take(length)
        .map(|byte| format!("0x{byte:02x}"))
        .collect();
    let message = format!(
        "invalid byte sequence for encoding \"UTF8\": {}",
        shown.join(" ")
    );
    SqlError::new("22021", message)
}

/// A text as errors show it, which is not all of one that is long.
pub(super) fn shown(text: &str) -> String {
    match text.len() > SHOWN_MAX {
        true => format!("{}...", &text[..text.floor_char_boundary(SHOWN_MAX)]),
        false => text.to_owned(),
    }
}
