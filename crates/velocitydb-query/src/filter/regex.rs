//! Regular expressions of filters.
//!
//! Matched in time linear in the string ([`velocitydb_types::pattern`]), bounded in length here and
//! in compiled size there. Two are equal when pattern and options are.

use velocitydb_types::pattern::Pattern;

use crate::error::QueryError;

/// Bytes that the text of a regular expression may have.
pub const REGEX_BYTES_MAX: usize = 4096;

/// What options there are, in the order in which they are written.
const OPTIONS: &str = "imsx";

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub struct Regex {
    pattern: Box<str>,
    options: Box<str>,
    compiled: Pattern,
}

impl Regex {
    /// Compiles a regular expression with options, each one of the letters `imsx`.
    ///
    /// # Errors
    /// A text that is none or too long, too much when compiled, an unknown option.
    pub fn new(pattern: &str, options: &str) -> Result<Regex, QueryError> {
        if pattern.len() > REGEX_BYTES_MAX {
            return Err(QueryError::RegexTooLong {
                bytes: pattern.len(),
            });
        }
        if let Some(unknown) = options.chars().find(|option| !OPTIONS.contains(*option)) {
            return Err(QueryError::RegexOption { option: unknown });
        }
        let options: String = OPTIONS.chars().filter(|o| options.contains(*o)).collect();
        let compiled = match options.as_str() {
            "" => Pattern::regular(pattern),
            options => Pattern::regular(&format!("(?{options}){pattern}")),
        };
        let compiled = compiled.map_err(|error| QueryError::Regex {
            pattern: pattern.to_owned(),
            class: error.class(),
            reason: error.reason,
        })?;
        Ok(Regex {
            pattern: pattern.into(),
            options: options.into(),
            compiled,
        })
    }

    /// The text.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The options, each once, in the order `imsx`.
    pub fn options(&self) -> &str {
        &self.options
    }

    /// Whether it matches in a string, given as bytes.
    pub(crate) fn matches(&self, string: &[u8]) -> bool {
        std::str::from_utf8(string).is_ok_and(|string| self.compiled.matches(string))
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        (&self.pattern, &self.options) == (&other.pattern, &other.options)
    }
}

impl Eq for Regex {}
