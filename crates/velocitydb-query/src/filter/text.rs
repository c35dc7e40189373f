//! Words in texts, as a condition.
//!
//! What it means is said by the document alone, never by an index: the text of a field is taken
//! apart into words, by the rules of a language, and the words are asked what a search would ask. A
//! field's text is its string, or the strings of its array together; anything else has no text.
//!
//! What was typed is read once, for all documents. Tests: `filter/tests.rs`, and `queries` in the
//! embedded library's tests/it, against indexes.

use std::fmt;
use std::sync::{Arc, Mutex};

use velocitydb_engine::text::{
    Analyzer, Diacritics, Language, Require, Scratch, TermQuery, TextQuery,
};
use velocitydb_types::{ErrorClass, View};

use crate::error::QueryError;

/// What is asked of a text: words, "phrases", beginnings*, misspelt~ words, and -words that it must
/// not have, in a language. Two are equal when all of that is.
#[derive(Clone)]
pub struct Text {
    words: Box<str>,
    language: Language,
    require: Require,
    prepared: Arc<Prepared>,
}

struct Prepared {
    analyzer: Analyzer,
    terms: TermQuery,
    /// What analysis works with; who finds it taken does without.
    scratch: Mutex<Scratch>,
}

impl Text {
    /// What was typed, for texts of a language.
    ///
    /// # Errors
    /// What [`TextQuery::parse`] refuses.
    pub fn new(words: &str, language: Language, require: Require) -> Result<Text, QueryError> {
        let query = TextQuery::parse(words, require).map_err(|error| QueryError::Text {
            class: error.class(),
            reason: error.to_string(),
        })?;
        let analyzer = Analyzer::new(language, Diacritics::Fold);
        let terms = query.terms(&analyzer);
        Ok(Text {
            words: words.into(),
            language,
            require,
            prepared: Arc::new(Prepared {
                analyzer,
                terms,
                scratch: Mutex::default(),
            }),
        })
    }

    /// The same, of a language's name, `simple` where there is none.
    pub(crate) fn named(
        words: &str,
        language: Option<&str>,
        any: bool,
    ) -> Result<Text, QueryError> {
        let language = language.map(str::parse::<Language>).transpose();
        let language = language.map_err(|reason| QueryError::Text {
            reason,
            class: ErrorClass::Invalid,
        })?;
        let require = if any { Require::Any } else { Require::All };
        Text::new(words, language.unwrap_or_default(), require)
    }

    /// What was typed.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The name of the language.
    pub fn language(&self) -> &'static str {
        self.language.name()
    }

    /// Whether one of the words is enough.
    pub fn is_any(&self) -> bool {
        self.require == Require::Any
    }

    /// What is asked of terms.
    pub(crate) fn terms(&self) -> &TermQuery {
        &self.prepared.terms
    }

    /// Whether nothing is asked for: there are stop words alone.
    pub fn is_empty(&self) -> bool {
        let TermQuery { required, excluded } = &self.prepared.terms;
        required.is_empty() && excluded.is_empty()
    }

    /// Whether the text of a value is what is asked for.
    pub fn holds(&self, value: &View<'_>) -> bool {
        let Prepared {
            analyzer,
            terms,
            scratch,
        } = &*self.prepared;
        let (mut taken, mut own) = (scratch.try_lock(), None);
        let scratch = match &mut taken {
            Ok(scratch) => scratch,
            Err(_) => own.get_or_insert_with(Scratch::default),
        };
        match value {
            View::Str(bytes) => terms.matches(analyzer, scratch, text_of(bytes)),
            View::Array(array) => {
                let strings: Vec<_> = array.iter().collect();
                let strings = strings.iter().filter_map(|element| match element {
                    View::Str(bytes) => Some(text_of(bytes)),
                    _ => None,
                });
                terms.matches_texts(analyzer, scratch, strings)
            }
            _ => false,
        }
    }
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({:?}, {}", self.words, self.language())?;
        f.write_str(if self.is_any() { ", any)" } else { ")" })
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        (&self.words, self.language, self.require) == (&other.words, other.language, other.require)
    }
}

impl Eq for Text {}
