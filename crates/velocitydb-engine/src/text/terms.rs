//! A query in the terms of an analyzer, and whether a text matches it. Tests: in `tests`.

use std::ops::Range;

use super::{Analyzer, Fuzzy, Scratch, WORDS_MAX};

/// Words between two texts of a document: no phrase spans them.
pub(crate) const TEXT_GAP: u32 = 1000;

const _: () = assert!(TEXT_GAP as usize > WORDS_MAX);

/// What a query asks of the terms of a text: of each list in [`Self::required`] at least one
/// part, and no part of [`Self::excluded`].
///
/// For an index: unite what the parts of each list find, intersect the lists, take away what the
/// excluded parts find. Parts other than [`Part::Phrase`] stand for terms of the dictionary (those
/// that [`Part::accepts`] says), a phrase for terms at positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermQuery {
    /// Lists of which one part each must be found; none of them is empty. Without any list
    /// (there were stop words alone) nothing matches.
    pub required: Vec<Vec<Part>>,
    /// Parts none of which may be found.
    pub excluded: Vec<Part>,
}

/// One word or phrase of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A term.
    Term(Box<str>),
    /// At least two terms, each so many positions after the first, which has 0; in that order.
    Phrase(Vec<(Box<str>, u32)>),
    /// Any term that begins with the prefix, and the stem.
    Prefix {
        /// The beginning.
        prefix: Box<str>,
        /// The term that the prefix is when taken as a word.
        stem: Box<str>,
    },
    /// Any term within edits of a word.
    Fuzzy(Fuzzy),
}

impl Part {
    /// Whether one term of a text is what this part asks for; of a phrase, its first.
    pub fn accepts(&self, term: &str) -> bool {
        match self {
            Self::Term(wanted) => **wanted == *term,
            Self::Phrase(terms) => terms.first().is_some_and(|(first, _)| **first == *term),
            Self::Prefix { prefix, stem } => term.starts_with(&**prefix) || **stem == *term,
            Self::Fuzzy(fuzzy) => fuzzy.accepts(term),
        }
    }

    /// Whether this part is found from a token on; if so its tokens are added to `found`.
    pub(super) fn find(&self, tokens: &Tokens, index: usize, found: &mut Vec<usize>) -> bool {
        if !self.accepts(tokens.term(index)) {
            return false;
        }
        let before = found.len();
        found.push(index);
        if let Self::Phrase(terms) = self {
            let first = tokens.list[index].position;
            let mut next = index;
            for (term, offset) in &terms[1..] {
                let position = first.saturating_add(*offset);
                let after = &tokens.list[next..];
                next += after.iter().take_while(|t| t.position < position).count();
                let is_there = tokens
                    .list
                    .get(next)
                    .is_some_and(|t| t.position == position);
                if !is_there || tokens.term(next) != &**term {
                    found.truncate(before);
                    return false;
                }
                found.push(next);
            }
        }
        true
    }

    fn is_in(&self, tokens: &Tokens) -> bool {
        let mut found = Vec::new();
        (0..tokens.list.len()).any(|index| self.find(tokens, index, &mut found))
    }
}

impl TermQuery {
    /// Whether a text matches: the truth that an index has to reproduce.
    pub fn matches(&self, analyzer: &Analyzer, scratch: &mut Scratch, text: &str) -> bool {
        self.matches_texts(analyzer, scratch, [text])
    }

    /// Whether texts match together, as those of one document do: words may stand in several of
    /// them, a phrase stands in one.
    pub fn matches_texts<'t>(
        &self,
        analyzer: &Analyzer,
        scratch: &mut Scratch,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> bool {
        if self.required.is_empty() {
            return false;
        }
        let (mut tokens, mut position) = (Tokens::default(), 0);
        for text in texts {
            let end = tokens.add(analyzer, scratch, text, position);
            position = end.saturating_add(TEXT_GAP);
        }
        self.matches_tokens(&tokens)
    }

    fn matches_tokens(&self, tokens: &Tokens) -> bool {
        let any = |parts: &[Part]| parts.iter().any(|part| part.is_in(tokens));
        self.required.iter().all(|parts| any(parts)) && !any(&self.excluded)
    }

    /// The parts that are looked for, without those that are excluded.
    pub fn wanted(&self) -> impl Iterator<Item = &Part> {
        self.required.iter().flatten()
    }
}

/// The terms of one text in order.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// All terms, one behind the other.
    terms: String,
    pub(super) list: Vec<Token>,
}

#[derive(Debug)]
pub(super) struct Token {
    /// Where its term ends in `terms`.
    term_end: usize,
    position: u32,
    /// Its word in the text.
    pub(super) range: Range<usize>,
}

impl Tokens {
    pub(super) fn of(analyzer: &Analyzer, scratch: &mut Scratch, text: &str) -> Self {
        let mut tokens = Self::default();
        tokens.add(analyzer, scratch, text, 0);
        tokens
    }

    /// Adds a text whose first word has a position; the position behind its last.
    fn add(&mut self, analyzer: &Analyzer, scratch: &mut Scratch, text: &str, first: u32) -> u32 {
        let words = analyzer.analyze(scratch, text, |term, position, range| {
            self.terms.push_str(term);
            self.list.push(Token {
                term_end: self.terms.len(),
                position: first.saturating_add(position),
                range,
            });
        });
        first.saturating_add(words)
    }

    fn term(&self, index: usize) -> &str {
        let start = match index {
            0 => 0,
            _ => self.list[index - 1].term_end,
        };
        &self.terms[start..self.list[index].term_end]
    }
}
