//! From text to terms.
//!
//! 1. Words are those of Unicode (UAX 29): `don't`, `3.14` and `example.com` are one word each,
//!    `e-mail` is two, each ideograph is one.
//! 2. A word is brought to one form (NFKC), in lower case (`normal`).
//! 3. Stop words of the language go, but keep their position, so that a phrase across them
//!    still has its distances.
//! 4. The stemmer of the language takes endings off: `running` and `runs` become `run`.
//! 5. Diacritics are folded, unless they are to be kept: `Luleå` is found as `lulea`. This comes
//!    last since stemmers and stop words need them.
//!
//! The stemmers are those of the Snowball project, from the crate `frostem`.
//!
//! Tests: below, and in the module `tests`.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use frostem::{Algorithm, Stemmer};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use super::{normal, stop_words};

/// Bytes of a term. Of a longer word only the beginning counts.
pub const TERM_BYTES_MAX: usize = 64;

/// Words whose terms a [`Scratch`] remembers; some 1 MB at most.
const MEMO_WORDS_MAX: usize = 8192;

/// Words that a [`Scratch`] sees before it remembers any.
const MEMO_FROM: u32 = 64;

/// What language a text is in, which decides on stems and stop words.
///
/// In JSON by name, in binary forms by number: new ones come at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Any: no stems, no stop words.
    #[default]
    Simple,
    /// English.
    English,
    /// German; `ß` is `ss`.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Italian.
    Italian,
    /// Portuguese.
    Portuguese,
    /// Dutch.
    Dutch,
    /// Swedish.
    Swedish,
    /// Danish.
    Danish,
    /// Norwegian, Bokmål and Nynorsk.
    Norwegian,
    /// Finnish.
    Finnish,
    /// Hungarian.
    Hungarian,
    /// Romanian.
    Romanian,
    /// Russian.
    Russian,
    /// Turkish; `I` is `ı` in lower case.
    Turkish,
}

/// Name, code of the stop words (ISO 639-1), stemmer; [`Language::Simple`] has no row.
const LANGUAGES: [(Language, &str, &str, Algorithm); 15] = [
    (Language::English, "english", "en", Algorithm::English),
    (Language::German, "german", "de", Algorithm::German),
    (Language::French, "french", "fr", Algorithm::French),
    (Language::Spanish, "spanish", "es", Algorithm::Spanish),
    (Language::Italian, "italian", "it", Algorithm::Italian),
    (
        Language::Portuguese,
        "portuguese",
        "pt",
        Algorithm::Portuguese,
    ),
    (Language::Dutch, "dutch", "nl", Algorithm::Dutch),
    (Language::Swedish, "swedish", "sv", Algorithm::Swedish),
    (Language::Danish, "danish", "da", Algorithm::Danish),
    (Language::Norwegian, "norwegian", "no", Algorithm::Norwegian),
    (Language::Finnish, "finnish", "fi", Algorithm::Finnish),
    (Language::Hungarian, "hungarian", "hu", Algorithm::Hungarian),
    (Language::Romanian, "romanian", "ro", Algorithm::Romanian),
    (Language::Russian, "russian", "ru", Algorithm::Russian),
    (Language::Turkish, "turkish", "tr", Algorithm::Turkish),
];

impl Language {
    /// Every language, `simple` first.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Simple).chain(LANGUAGES.iter().map(|row| row.0))
    }

    /// Its name, as in JSON: `english`.
    pub fn name(self) -> &'static str {
        self.row().map_or("simple", |row| row.1)
    }

    fn row(self) -> Option<&'static (Self, &'static str, &'static str, Algorithm)> {
        LANGUAGES.iter().find(|row| row.0 == self)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = String;

    /// The language of a name.
    ///
    /// # Errors
    /// Another name; the message lists those there are.
    fn from_str(name: &str) -> Result<Self, String> {
        Self::all()
            .find(|language| language.name() == name)
            .ok_or_else(|| {
                let names: Vec<&str> = Self::all().map(Self::name).collect();
                format!("no language `{name}`; there are {}", names.join(", "))
            })
    }
}

/// Whether letters are told from those with marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Diacritics {
    /// `é` is `e`, `å` is `a`, `ø` is `o`, `æ` is `ae`, `ł` is `l`, in Latin and Greek; `ё` is `е`.
    #[default]
    Fold,
    /// They stay.
    Keep,
}

/// What analysis works with from one text to the next: buffers, and the terms of words seen
/// lately. Any scratch serves any analyzer; the result never depends on it.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Whose terms the memo has.
    analyzer: (Language, Diacritics),
    /// The term of a word as it is written; none for a stop word.
    memo: HashMap<Box<str>, Option<Box<str>>, foldhash::fast::FixedState>,
    /// How many words it has seen.
    words: u32,
    buffers: Buffers,
}

#[derive(Debug, Default)]
struct Buffers {
    word: String,
    folded: String,
}

/// Turns text into terms.
#[derive(Clone)]
pub struct Analyzer {
    language: Language,
    diacritics: Diacritics,
    stemmer: Option<Stemmer>,
    /// In order.
    stop_words: Vec<&'static str>,
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Analyzer({}, {:?})", self.language, self.diacritics)
    }
}

impl Analyzer {
    /// The analyzer of a language.
    pub fn new(language: Language, diacritics: Diacritics) -> Self {
        let row = language.row();
        Self {
            language,
            diacritics,
            stemmer: row.map(|row| Stemmer::new(row.3)),
            stop_words: row.map_or_else(Vec::new, |row| stop_words::of(row.2)),
        }
    }

    /// Its language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// What it does with diacritics.
    pub fn diacritics(&self) -> Diacritics {
        self.diacritics
    }

    /// Calls `each` for every term in order, with its position among the words of the text (stop
    /// words count) and the bytes of the word it comes from. Answers how many words there
    /// are, so that a next text can go on from there.
    ///
    /// A term has 1 to [`TERM_BYTES_MAX`] bytes. Positions end at `u32::MAX`, which no document is
    /// large enough for.
    pub fn analyze(
        &self,
        scratch: &mut Scratch,
        text: &str,
        mut each: impl FnMut(&str, u32, Range<usize>),
    ) -> u32 {
        let Scratch {
            analyzer,
            memo,
            words,
            buffers,
        } = scratch;
        if *analyzer != (self.language, self.diacritics) {
            *analyzer = (self.language, self.diacritics);
            memo.clear();
        }
        let mut position = 0_u32;
        each_word(text, |start, word| {
            let range = start..start + word.len();
            if let Some(known) = memo.get(word) {
                if let Some(term) = known {
                    each(term, position, range);
                }
            } else {
                let term = self.term_of(buffers, word);
                if let Some(term) = term {
                    each(term, position, range);
                }
                // The first words of a scratch may be its last, and long ones seldom come again.
                if *words >= MEMO_FROM && word.len() <= TERM_BYTES_MAX {
                    let term = term.map(Box::from);
                    if memo.len() == MEMO_WORDS_MAX {
                        memo.clear();
                    }
                    memo.insert(word.into(), term);
                }
            }
            *words = words.saturating_add(1);
            position = position.saturating_add(1);
        });
        position
    }

    /// The term of one word, also if it is a stop word; empty if nothing of the word counts.
    pub(super) fn stem(&self, word: &str) -> String {
        let mut buffers = Buffers::default();
        normal::lower(word, self.language, &mut buffers.word);
        self.finish(&mut buffers, self.stemmer).to_owned()
    }

    /// A word as terms are written, but with its ending: what a prefix is compared with.
    pub(super) fn unstemmed(&self, word: &str) -> String {
        let mut buffers = Buffers::default();
        normal::lower(word, self.language, &mut buffers.word);
        self.finish(&mut buffers, None).to_owned()
    }

    fn term_of<'a>(&self, buffers: &'a mut Buffers, word: &str) -> Option<&'a str> {
        normal::lower(word, self.language, &mut buffers.word);
        if self
            .stop_words
            .binary_search(&buffers.word.as_str())
            .is_ok()
        {
            return None;
        }
        Some(self.finish(buffers, self.stemmer)).filter(|term| !term.is_empty())
    }

    /// Stems, folds and cuts the word in the buffers.
    fn finish<'a>(&self, buffers: &'a mut Buffers, stemmer: Option<Stemmer>) -> &'a str {
        if let Some(stemmer) = stemmer {
            let stem = stemmer.stem(&buffers.word);
            if let std::borrow::Cow::Owned(stem) = stem
                && !stem.is_empty()
            {
                buffers.word = stem;
            }
        }
        let word = match self.diacritics {
            Diacritics::Fold if !buffers.word.is_ascii() => {
                normal::fold(&buffers.word, &mut buffers.folded);
                &buffers.folded
            }
            _ => &buffers.word,
        };
        &word[..word.floor_char_boundary(TERM_BYTES_MAX)]
    }
}

/// Calls `each` with the words of a text and where they begin: those of
/// [`UnicodeSegmentation::unicode_word_indices`], which is much faster with ASCII alone. No word
/// goes beyond its line or over a space, so that pieces have the words of the whole. (The rules
/// join a vowel sign to a space before it; the space goes.)
fn each_word<'t>(text: &'t str, mut each: impl FnMut(usize, &'t str)) {
    let mut at = 0;
    for line in text.split('\n') {
        // A line of ASCII is one piece: it has no further newline.
        let separator = if line.is_ascii() { '\n' } else { ' ' };
        for piece in line.split(separator) {
            for (start, word) in piece.unicode_word_indices() {
                let trimmed = word.trim_start();
                each(at + start + word.len() - trimmed.len(), trimmed);
            }
            at += piece.len() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn pieces_have_the_words_of_the_whole(
            text in prop_oneof![
                any::<String>(),
                "([ab1é日ア\u{5d0}'’.,:_ \n\r\u{301}\u{200d}\u{ad}\u{1f1e6}\u{a0}\u{2028}\"-]){0,12}",
            ],
        ) {
            let mut words = Vec::new();
            each_word(&text, |start, word| words.push((start, word)));
            let expected = text.unicode_word_indices().map(|(start, word)| {
                let trimmed = word.trim_start();
                (start + word.len() - trimmed.len(), trimmed)
            });
            prop_assert_eq!(words, expected.collect::<Vec<_>>());
        }
    }
}
