//! What is wrong with a text or with bytes, in PostgreSQL's words.

use std::fmt;

/// Why a text or bytes are no value of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// The SQLSTATE: `22P02` for a text that is no integer.
    pub code: &'static str,
    /// What is wrong, as PostgreSQL says it.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// Where in the text: `JSON data, line 1: {x`.
    pub context: Option<String>,
}

impl FormatError {
    /// An error of this code.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: None,
            context: None,
        }
    }

    pub(super) fn with_detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    pub(super) fn with_context(self, context: String) -> Self {
        Self {
            context: Some(context),
            ..self
        }
    }

    /// `invalid input syntax for type integer: "x"`.
    pub(super) fn syntax(type_name: &str, text: &str) -> Self {
        let message = format!("invalid input syntax for type {type_name}: \"{text}\"");
        Self::new("22P02", message)
    }

    /// `value "99999" is out of range for type smallint`.
    pub(super) fn range(type_name: &str, text: &str) -> Self {
        let message = format!("value \"{text}\" is out of range for type {type_name}");
        Self::new("22003", message)
    }

    /// Bytes that are too few, too many, or not of the form.
    pub(super) fn binary(what: &str) -> Self {
        Self::new("22P03", what)
    }

    /// A value that is not kept as the type is: whoever asked has mixed up types.
    pub(super) fn mixed_up(type_name: &str, found: &str) -> Self {
        Self::new(
            "42804",
            format!("expected a value of type {type_name}, found {found}"),
        )
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FormatError {}
