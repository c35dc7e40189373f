//! Patterns of strings: regular expressions, and SQL's `like`.
//!
//! Both become one program of the `regex` crate, which matches in time linear in the string
//! whatever the pattern says (no back references, no looking around). A regular expression is
//! not anchored: it may match anywhere, so `^` and `$` say where it must. A `like` pattern
//! covers the whole string: `%` is any text, `_` any character, and `\` takes the next character
//! as it is.
//!
//! Invariant: a pattern is compiled when it is made and is bounded in memory
//! ([`COMPILED_BYTES_MAX`]). Two patterns are equal when their texts are. Tests: below.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::error::ErrorClass;

/// Bytes that one compiled pattern may take, and as many again while it matches.
pub const COMPILED_BYTES_MAX: usize = 4 << 20;

/// A compiled pattern.
#[derive(Clone)]
pub struct Pattern {
    text: Box<str>,
    regex: Regex,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PatternError {
    /// What is wrong.
    pub reason: String,
    class: ErrorClass,
}

impl PatternError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }
}

/// The regular expression that a pattern of SQL's `like` is, under the flag `s`; none when nothing
/// follows a `\` at its end.
pub fn of_sql_like(pattern: &str) -> Option<String> {
    let mut regular = String::from(r"\A");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '%' => {
                regular.push_str(".*");
                continue;
            }
            '_' => {
                regular.push('.');
                continue;
            }
            '\\' => characters.next()?,
            other => other,
        };
        regular.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
    }
    regular.push_str(r"\z");
    Some(regular)
}

impl Pattern {
    /// Compiles a regular expression.
    ///
    /// # Errors
    /// A text that is none, or that takes more than [`COMPILED_BYTES_MAX`].
    pub fn regular(text: &str) -> Result<Self, PatternError> {
        Self::compile(text, text)
    }

    /// Compiles a pattern of SQL's `like`.
    ///
    /// # Errors
    /// A `\` at the end, or a pattern that takes more than [`COMPILED_BYTES_MAX`].
    pub fn like(text: &str) -> Result<Self, PatternError> {
        let regular = of_sql_like(text).ok_or_else(|| PatternError {
            reason: r"nothing follows the \ at its end".to_owned(),
            class: ErrorClass::Invalid,
        })?;
        Self::compile(text, &format!("(?s){regular}"))
    }

    fn compile(text: &str, regular: &str) -> Result<Self, PatternError> {
        let compiled = RegexBuilder::new(regular)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .build();
        let regex = compiled.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError {
                reason: format!(
                    "it takes more than {} MiB when compiled: repeat less, or say [A-Za-z0-9_] \
                     instead of \\w",
                    COMPILED_BYTES_MAX >> 20
                ),
                class: ErrorClass::Limit,
            },
            // The last line says what is wrong, those before it draw where.
            other => {
                let said = other.to_string();
                let last = said.lines().last().unwrap_or_default();
                PatternError {
                    reason: last.trim_start_matches("error: ").to_owned(),
                    class: ErrorClass::Invalid,
                }
            }
        })?;
        let text = text.into();
        Ok(Self { text, regex })
    }

    /// The text it was made of.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a regular expression: else it is one of `like`.
    pub fn is_regular(&self) -> bool {
        *self.text == *self.regex.as_str()
    }

    /// Whether a string matches.
    pub fn matches(&self, string: &str) -> bool {
        self.regex.is_match(string)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_covers_the_whole_string() {
        for (pattern, matching, not) in [
            ("a%", &["a", "abc", "a\nb"][..], &["ba", ""][..]),
            ("%", &["", "é\n"], &[]),
            ("_", &["a", "é", "."], &["", "ab"]),
            (r"100\%", &["100%"], &["100x", "1000"]),
            ("a.c", &["a.c"], &["abc"]),
            (r"\\", &[r"\"], &[r"\\"]),
            ("", &[""], &["a"]),
        ] {
            let like = Pattern::like(pattern).unwrap();
            for string in matching {
                assert!(like.matches(string), "{pattern} {string:?}");
            }
            for string in not {
                assert!(!like.matches(string), "{pattern} {string:?}");
            }
        }
        let error = Pattern::like(r"a\").unwrap_err();
        assert_eq!(error.to_string(), r"nothing follows the \ at its end");
    }

    #[test]
    fn regular_expressions_match_anywhere_and_are_bounded() {
        let digits = Pattern::regular("[0-9]+").unwrap();
        assert!(digits.matches("a1b") && !digits.matches("ab"));
        assert_eq!(
            Pattern::regular("(").unwrap_err().to_string(),
            "unclosed group"
        );
        let large = Pattern::regular(r"(\w{100}){100}").unwrap_err();
        assert_eq!(large.class(), ErrorClass::Limit);
        assert!(Pattern::regular(r"^\w{1,64}$").is_ok());
    }
}
