//! What can be wrong with an input, and where.

use std::io;

use velocitydb_types::ErrorClass;

/// Bytes of a value that a message quotes.
const QUOTED_BYTES_MAX: usize = 60;

/// A fault of the input, at the line where it was seen.
#[derive(Debug, thiserror::Error)]
#[error("{}{kind}", at_line(*.line))]
pub struct ImportError {
    /// Counted from 1 in the decompressed text; of a row over several lines the first. 0 when
    /// the input could not be opened.
    pub line: u64,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with an input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source failed, or its compressed data is damaged.
    #[error("cannot read the input: {0}")]
    Io(io::Error),
    /// The compressed data stops before its end.
    #[error("the compressed input ends early: the file is truncated")]
    Truncated,
    /// The input ends inside of a quoted field: all after the quote would be lost.
    #[error("a quote opens here and the input ends before it closes")]
    UnterminatedQuote,
    /// The header or the options cannot be used with this input.
    #[error("{0}")]
    Header(String),
    /// A row has more or fewer fields than the header.
    #[error("{}, the header has {expected}", fields(*.found))]
    FieldCount {
        /// Columns of the header.
        expected: usize,
        /// Fields of this row.
        found: usize,
    },
    /// A row is longer than [`Options::row_bytes_max`](crate::Options::row_bytes_max) allows.
    #[error("the row is longer than {bytes_max} bytes")]
    RowTooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// A row of a CSV has more fields than any header may have.
    #[error("the row has more than {fields_max} fields")]
    TooManyFields {
        /// The limit.
        fields_max: usize,
    },
    /// A row is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A value is not of its column's type.
    #[error("column `{column}`: `{value}` is not of type {expected}{}", because(.reason))]
    Value {
        /// Name of the column.
        column: String,
        /// The value, cut when it is long.
        value: String,
        /// Name of the type.
        expected: &'static str,
        /// What the type says about the value; may be empty.
        reason: String,
    },
    /// A line of NDJSON is not one JSON object that a document can hold.
    #[error("{0}")]
    Json(String),
}

impl ImportError {
    /// Whether the fault is one row's alone: the rows after it can still be read.
    pub fn is_bad_row(&self) -> bool {
        match self.kind {
            ErrorKind::FieldCount { .. }
            | ErrorKind::RowTooLong { .. }
            | ErrorKind::TooManyFields { .. }
            | ErrorKind::NotUtf8
            | ErrorKind::Value { .. }
            | ErrorKind::Json(_) => true,
            ErrorKind::Io(_)
            | ErrorKind::Truncated
            | ErrorKind::UnterminatedQuote
            | ErrorKind::Header(_) => false,
        }
    }

    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self.kind {
            ErrorKind::Io(_) => ErrorClass::Io,
            ErrorKind::RowTooLong { .. } | ErrorKind::TooManyFields { .. } => ErrorClass::Limit,
            _ => ErrorClass::Invalid,
        }
    }

    pub(crate) fn new(line: u64, kind: ErrorKind) -> Self {
        Self { line, kind }
    }

    /// A failure of the source or of its decompression, seen while reading `line`.
    pub(crate) fn read(line: u64, error: io::Error) -> Self {
        // Sources never say so themselves: a plain file that is cut just ends.
        let cut = error.kind() == io::ErrorKind::UnexpectedEof;
        Self::new(
            line,
            if cut {
                ErrorKind::Truncated
            } else {
                ErrorKind::Io(error)
            },
        )
    }
}

/// Where it is; nothing when that is no line of the text.
fn at_line(line: u64) -> String {
    match line {
        0 => String::new(),
        line => format!("line {line}: "),
    }
}

fn fields(count: usize) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} field{ending}")
}

fn because(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(" ({reason})")
    }
}

/// A value as messages quote it: whole, or its beginning.
pub(crate) fn quoted(value: &str) -> String {
    if value.len() <= QUOTED_BYTES_MAX {
        return value.to_owned();
    }
    let end = value.floor_char_boundary(QUOTED_BYTES_MAX);
    format!("{}…", &value[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_and_what() {
        let value = |reason: &str| ErrorKind::Value {
            column: "n".into(),
            value: "x".into(),
            expected: "int",
            reason: reason.into(),
        };
        let error = ImportError::new(7, value(""));
        assert_eq!(
            error.to_string(),
            "line 7: column `n`: `x` is not of type int"
        );
        let error = ImportError::new(7, value("why"));
        assert_eq!(
            error.to_string(),
            "line 7: column `n`: `x` is not of type int (why)"
        );
    }

    #[test]
    fn what_is_no_line_names_none_and_one_field_is_no_fields() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let error = ImportError::new(0, ErrorKind::Io(missing));
        assert_eq!(error.to_string(), "cannot read the input: entity not found");
        for (found, text) in [
            (1, "1 field, the"),
            (2, "2 fields, the"),
            (0, "0 fields, the"),
        ] {
            let error = ImportError::new(3, ErrorKind::FieldCount { expected: 3, found });
            assert_eq!(error.to_string(), format!("line 3: {text} header has 3"));
        }
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        assert_eq!(quoted(&"a".repeat(60)), "a".repeat(60));
        let long = format!("a{}", "ä".repeat(100));
        assert_eq!(quoted(&long), format!("a{}…", "ä".repeat(29)));
    }
}
