//! What a person types into a search box.
//!
//! | typed | finds texts with |
//! | --- | --- |
//! | `red apple` | both words, in any form and place (with [`Require::Any`] one of them) |
//! | `"red apple"` | the words one after the other; stop words between them count as a place |
//! | `app*` | a word that begins so |
//! | `aple~`, `aple~2` | a word within 1 or 2 typing errors |
//! | `apple OR pear pie` | `pie` and one of the two |
//! | `apple -pie -"apple tree"` | `apple`, but neither of the others |
//!
//! `AND` says what is so anyway. All else that is no word is left out, and a word of several
//! parts (`e-mail`) is a phrase. Stop words find nothing and hinder nothing; a query of stop
//! words alone finds nothing.
//!
//! A `*` is compared with stems, since those are what an index has: `happy*` finds `happiness`
//! (both have the stem `happi`), but `runnin*` does not find `running` (`run`). A fuzzy word is
//! brought to its stem too.
//!
//! Tests: in `tests`.

use unicode_segmentation::UnicodeSegmentation;
use velocitydb_types::ErrorClass;

use super::{Analyzer, EDITS_MAX, Fuzzy, Part, TermQuery};

/// Bytes of a query.
pub const QUERY_BYTES_MAX: usize = 4096;

/// Words and phrases of a query.
pub const PARTS_MAX: usize = 64;

/// Words of a query, those of its phrases included.
pub const WORDS_MAX: usize = 256;

/// Which of the words a text must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Require {
    /// All, but for those with `OR` between them.
    #[default]
    All,
    /// At least one; more are ranked higher.
    Any,
}

/// A query as it was typed, for any analyzer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextQuery {
    /// Of each, one must be found.
    required: Vec<Vec<Item>>,
    excluded: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    kind: Kind,
    text: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One word, or a phrase of several.
    Words,
    /// The beginning of one word.
    Prefix,
    /// One word within edits.
    Fuzzy(u8),
}

/// Why a text is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (character {character})")]
pub struct TextQueryError {
    /// What is wrong, and what would be right.
    pub message: String,
    /// Where, counted in characters from 1.
    pub character: usize,
    class: ErrorClass,
}

impl TextQueryError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    fn too_much(self) -> Self {
        Self {
            class: ErrorClass::Limit,
            ..self
        }
    }
}

impl TextQuery {
    /// Reads what was typed.
    ///
    /// # Errors
    /// A phrase without its end, an `OR` without both sides, a `*` or `~` that stands at no
    /// word, nothing to look for, or more than [`QUERY_BYTES_MAX`], [`PARTS_MAX`] or [`WORDS_MAX`].
    pub fn parse(text: &str, require: Require) -> Result<Self, TextQueryError> {
        let mut parser = Parser {
            text,
            at: 0,
            query: Self {
                required: Vec::new(),
                excluded: Vec::new(),
            },
            or: None,
            words: 0,
        };
        if text.len() > QUERY_BYTES_MAX {
            let message = format!("a query has at most {QUERY_BYTES_MAX} bytes");
            let at = text.floor_char_boundary(QUERY_BYTES_MAX);
            return Err(parser.error(at, message).too_much());
        }
        while parser.item()? {}
        if let Some(at) = parser.or {
            return Err(parser.error(at, "`OR` stands between two words or phrases"));
        }
        if parser.query.required.is_empty() {
            let message = if parser.query.excluded.is_empty() {
                "a query has at least one word"
            } else {
                "a query says what to look for, not only what to exclude"
            };
            return Err(parser.error(text.len(), message));
        }
        let mut query = parser.query;
        if require == Require::Any {
            query.required = vec![query.required.into_iter().flatten().collect()];
        }
        Ok(query)
    }

    /// What it asks of texts in terms of an analyzer.
    pub fn terms(&self, analyzer: &Analyzer) -> TermQuery {
        let parts = |items: &[Item]| -> Vec<Part> {
            let parts = items.iter().filter_map(|item| item.part(analyzer));
            parts.collect()
        };
        let required = self.required.iter().map(|items| parts(items));
        TermQuery {
            required: required.filter(|parts| !parts.is_empty()).collect(),
            excluded: parts(&self.excluded),
        }
    }
}

impl Item {
    /// Nothing where there are only stop words.
    fn part(&self, analyzer: &Analyzer) -> Option<Part> {
        let word = self.text.unicode_words().next().unwrap_or_default();
        let stem = analyzer.stem(word);
        match self.kind {
            Kind::Words => {
                let mut terms: Vec<(Box<str>, u32)> = Vec::new();
                analyzer.analyze(&mut Default::default(), &self.text, |term, position, _| {
                    terms.push((term.into(), position));
                });
                let first = terms.first()?.1;
                for (_, position) in &mut terms {
                    *position -= first;
                }
                if terms.len() > 1 {
                    Some(Part::Phrase(terms))
                } else {
                    terms.pop().map(|(term, _)| Part::Term(term))
                }
            }
            // Of a lone mark nothing is left, and everything begins with nothing.
            Kind::Prefix | Kind::Fuzzy(_) if stem.is_empty() => None,
            Kind::Prefix => Some(Part::Prefix {
                prefix: analyzer.unstemmed(word).into(),
                stem: stem.into(),
            }),
            Kind::Fuzzy(edits) => Some(Part::Fuzzy(Fuzzy::new(&stem, edits))),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    query: TextQuery,
    /// Where an `OR` is whose right side is still to come.
    or: Option<usize>,
    words: usize,
}

impl Parser<'_> {
    /// Reads one word, phrase or operator; false at the end.
    fn item(&mut self) -> Result<bool, TextQueryError> {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start();
        let from = self.text.len() - rest.len();
        if rest.is_empty() {
            return Ok(false);
        }
        let (excluded, rest) = match rest.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let begin = self.text.len() - rest.len();
        if let Some(phrase) = rest.strip_prefix('"') {
            let Some(end) = phrase.find('"') else {
                return Err(self.error(begin, "a phrase ends with a second `\"`"));
            };
            self.at = begin + end + 2;
            if self.text[self.at..].starts_with(['*', '~']) {
                let message = "`*` and `~` stand at one word, not at a phrase";
                return Err(self.error(self.at, message));
            }
            return self.add(from, excluded, Kind::Words, &phrase[..end]);
        }
        let end = rest.find(|c: char| c.is_whitespace() || c == '"');
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at = begin + word.len();
        match word {
            "AND" if !excluded => Ok(true),
            "OR" if !excluded => {
                if self.or.is_some() || self.query.required.is_empty() {
                    return Err(self.error(from, "`OR` stands between two words or phrases"));
                }
                self.or = Some(from);
                Ok(true)
            }
            _ => {
                let (kind, word) = self.kind(begin, word)?;
                self.add(from, excluded, kind, word)
            }
        }
    }

    /// Takes `*`, `~` or `~2` off the end of a word.
    fn kind<'a>(&self, begin: usize, word: &'a str) -> Result<(Kind, &'a str), TextQueryError> {
        let (kind, stem) = if let Some(stem) = word.strip_suffix('*') {
            (Kind::Prefix, stem)
        } else if let Some((stem, edits)) = word.rsplit_once('~')
            && edits.bytes().all(|byte| byte.is_ascii_digit())
        {
            let edits = match edits {
                "" => Some(1),
                digits => digits.parse().ok().filter(|edits| *edits <= EDITS_MAX),
            };
            let Some(edits) = edits else {
                let message = format!("a word may have at most {EDITS_MAX} errors: `~{EDITS_MAX}`");
                return Err(self.error(begin + stem.len(), message));
            };
            (Kind::Fuzzy(edits), stem)
        } else {
            return Ok((Kind::Words, word));
        };
        let mark = &word[stem.len()..];
        match stem.unicode_words().count() {
            1 => Ok((kind, stem)),
            0 => {
                let message = format!("`{mark}` stands at the end of a word");
                Err(self.error(begin + stem.len(), message))
            }
            _ => {
                let message = format!("`{mark}` stands at one word, and `{stem}` is several");
                Err(self.error(begin, message))
            }
        }
    }

    fn add(
        &mut self,
        from: usize,
        excluded: bool,
        kind: Kind,
        text: &str,
    ) -> Result<bool, TextQueryError> {
        let words = text.unicode_words().count();
        if words == 0 {
            return Ok(true);
        }
        self.words += words;
        if self.words > WORDS_MAX {
            let message =
                format!("a query has at most {WORDS_MAX} words, those of its phrases included");
            return Err(self.error(from, message).too_much());
        }
        let parts = self.query.required.iter().map(Vec::len).sum::<usize>();
        if parts + self.query.excluded.len() == PARTS_MAX {
            let message = format!("a query has at most {PARTS_MAX} words and phrases");
            return Err(self.error(from, message).too_much());
        }
        let item = Item {
            kind,
            text: text.into(),
        };
        let or = self.or.take();
        match self.query.required.last_mut() {
            _ if excluded && or.is_some() => {
                return Err(self.error(from, "what is excluded is no side of an `OR`"));
            }
            _ if excluded => self.query.excluded.push(item),
            Some(last) if or.is_some() => last.push(item),
            _ => self.query.required.push(vec![item]),
        }
        Ok(true)
    }

    fn error(&self, at: usize, message: impl Into<String>) -> TextQueryError {
        TextQueryError {
            message: message.into(),
            character: self.text[..at].chars().count() + 1,
            class: ErrorClass::Invalid,
        }
    }
}
