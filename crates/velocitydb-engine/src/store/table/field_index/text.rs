//! A full-text index: which documents have a word, how often and where.
//!
//! ```text
//!   term | 0 | row (4) | fingerprint of the text (4) | words of the text (4) | positions, varints
//!   0    | row (4) | fingerprint (4)                   one for each text: how many there are
//! ```
//!
//! A posting belongs to the text that a document had, which its fingerprint tells: a reader takes
//! it when the version that its snapshot sees has that text. Only those that come into the answer
//! are looked at: they are ranked by what postings say alone.
//!
//! Ranking is BM25 over all texts that are kept, old versions included. Tests: `search` in the
//! embedded library's tests/it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_epoch::{Guard, pin};
use parking_lot::Mutex;
use velocitydb_types::{Path, RawMap, RawValue};

use crate::catalog::IndexDefinition;
use crate::store::index::RowId;
use crate::store::ordered::{Order, OrderedIndex, Range};
use crate::store::varint;
use crate::text::{Analyzer, Diacritics, Part, Scratch, TermQuery, bm25, idf};

/// Positions of one word in one text that are kept: phrases further on are not found.
const POSITIONS_MAX: usize = 256;

/// Between two fields, so that no phrase spans them.
const FIELD_GAP: u32 = 1000;

/// See the module.
pub(super) struct TextIndex {
    entries: OrderedIndex,
    fields: Vec<Path>,
    pub(super) analyzer: Analyzer,
    /// The writer's.
    scratch: Mutex<Scratch>,
    texts: AtomicU64,
    words: AtomicU64,
}

/// A text that may answer a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    pub(crate) score: f64,
    pub(crate) row: RowId,
    pub(crate) fingerprint: u32,
}

/// Something of texts, by row and fingerprint.
type Texts<V> = HashMap<(RowId, u32), V, foldhash::fast::FixedState>;

/// One word in one text.
struct Posting {
    row: RowId,
    fingerprint: u32,
    words: u32,
    frequency: u32,
}

impl TextIndex {
    pub(super) fn new(definition: &IndexDefinition) -> TextIndex {
        TextIndex {
            entries: OrderedIndex::new(),
            fields: definition
                .fields
                .iter()
                .map(|field| field.path.clone())
                .collect(),
            analyzer: Analyzer::new(definition.text_language(), Diacritics::Fold),
            scratch: Mutex::default(),
            texts: AtomicU64::new(0),
            words: AtomicU64::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes()
    }

    /// Calls `each` with the texts of a document: strings, and those in arrays.
    fn texts(&self, fields: RawMap<'_>, mut each: impl FnMut(&[u8])) {
        for path in &self.fields {
            let value = fields.get_path(path).unwrap_or(RawValue::NULL);
            if let Some(text) = value.as_str_bytes() {
                each(text);
            }
            let elements = value.as_array().into_iter().flat_map(|array| array.iter());
            elements
                .filter_map(RawValue::as_str_bytes)
                .for_each(&mut each);
        }
    }

    /// A number for the texts of a document; `None` when it has none.
    pub(super) fn fingerprint(&self, fields: RawMap<'_>) -> Option<u32> {
        let mut hash = None;
        self.texts(fields, |text| {
            let before = hash.unwrap_or(0);
            hash = Some(xxhash_rust::xxh3::xxh3_64_with_seed(text, before));
        });
        hash.map(|hash| hash as u32)
    }

    /// Calls `each` with every entry of a document; how many words it has.
    fn entries_of(&self, fields: RawMap<'_>, row: RowId, mut each: impl FnMut(&[u8])) -> u32 {
        let Some(fingerprint) = self.fingerprint(fields) else {
            return 0;
        };
        let mut positions: BTreeMap<Box<str>, Vec<u32>> = BTreeMap::new();
        let (mut words, mut offset) = (0, 0);
        let mut scratch = self.scratch.lock();
        self.texts(fields, |text| {
            let text = std::str::from_utf8(text).unwrap_or_default();
            let count = self
                .analyzer
                .analyze(&mut scratch, text, |term, position, _| {
                    let at = offset + position;
                    match positions.get_mut(term) {
                        Some(known) => known.push(at),
                        None => {
                            positions.insert(term.into(), vec![at]);
                        }
                    }
                });
            words += count;
            offset += count + FIELD_GAP;
        });
        let mut entry = vec![0];
        entry.extend_from_slice(&row.to_be_bytes());
        entry.extend_from_slice(&fingerprint.to_be_bytes());
        each(&entry);
        for (term, positions) in positions {
            entry.clear();
            entry.extend_from_slice(term.as_bytes());
            entry.push(0);
            entry.extend_from_slice(&row.to_be_bytes());
            entry.extend_from_slice(&fingerprint.to_be_bytes());
            entry.extend_from_slice(&words.to_be_bytes());
            varint::put(&mut entry, positions.len() as u64);
            let mut before = 0;
            for position in positions.into_iter().take(POSITIONS_MAX) {
                varint::put(&mut entry, u64::from(position - before));
                before = position;
            }
            each(&entry);
        }
        words
    }

    pub(super) fn insert(&self, fields: RawMap<'_>, row: RowId, guard: &Guard) {
        let mut is_new = false;
        let words = self.entries_of(fields, row, |entry| {
            is_new |= self.entries.insert(entry, guard);
        });
        if is_new {
            self.texts.fetch_add(1, Ordering::Relaxed);
            self.words.fetch_add(words.into(), Ordering::Relaxed);
        }
    }

    pub(super) fn remove(&self, fields: RawMap<'_>, row: RowId, guard: &Guard) {
        let mut was_there = false;
        let words = self.entries_of(fields, row, |entry| {
            was_there |= self.entries.remove(entry, guard);
        });
        if was_there {
            self.texts.fetch_sub(1, Ordering::Relaxed);
            self.words.fetch_sub(words.into(), Ordering::Relaxed);
        }
    }

    /// Calls `each` with every posting, and its encoded positions, of the terms from some bytes to before others.
    fn postings(&self, from: &[u8], to: Bound<&[u8]>, each: &mut dyn FnMut(Posting, &[u8])) {
        let range = Range {
            from: Bound::Included(from),
            to,
        };
        self.entries
            .visit(&range, Order::Forward, &pin(), &mut |entry| {
                let Some(end) = entry.iter().position(|&byte| byte == 0) else {
                    return true;
                };
                let rest = &entry[end + 1..];
                let number = |at: usize| {
                    let bytes = rest.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
                    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
                };
                let mut positions = rest.get(12..).unwrap_or_default();
                let frequency = varint::take(&mut positions).unwrap_or(0) as u32;
                let posting = Posting {
                    row: number(0),
                    fingerprint: number(4),
                    words: number(8),
                    frequency,
                };
                each(posting, positions);
                true
            });
    }

    /// The postings of one term.
    fn of_term(&self, term: &str, each: &mut dyn FnMut(Posting, &[u8])) {
        let (from, to) = (
            [term.as_bytes(), &[0]].concat(),
            [term.as_bytes(), &[1]].concat(),
        );
        self.postings(&from, Bound::Excluded(&to), each);
    }

    /// Every different term, found one by one.
    fn terms(&self, mut each: impl FnMut(&str)) {
        let guard = &pin();
        let mut from = vec![1];
        loop {
            let mut term = Vec::new();
            let range = Range {
                from: Bound::Included(&from),
                to: Bound::Unbounded,
            };
            let ended = self
                .entries
                .visit(&range, Order::Forward, guard, &mut |entry| {
                    term = entry
                        .iter()
                        .take_while(|byte| **byte != 0)
                        .copied()
                        .collect();
                    false
                });
            if ended {
                return;
            }
            each(std::str::from_utf8(&term).unwrap_or_default());
            term.push(1);
            from = term;
        }
    }

    /// The texts that one part of a query finds, by row and fingerprint, with what it adds to
    /// their scores.
    fn find(&self, part: &Part) -> Texts<f64> {
        let mut found: Texts<(u32, u32)> = Texts::default();
        let mut add = |posting: Posting, _: &[u8]| {
            let of = found.entry((posting.row, posting.fingerprint)).or_default();
            *of = (of.0 + posting.frequency, posting.words);
        };
        match part {
            Part::Term(term) => self.of_term(term, &mut add),
            Part::Prefix { prefix, stem } => {
                let mut to = prefix.as_bytes().to_vec();
                // No text has this byte.
                to.push(0xff);
                self.postings(prefix.as_bytes(), Bound::Excluded(&to), &mut add);
                if !stem.starts_with(&**prefix) {
                    self.of_term(stem, &mut add);
                }
            }
            Part::Fuzzy(fuzzy) => {
                let mut terms = Vec::new();
                self.terms(|term| terms.extend(fuzzy.accepts(term).then(|| term.to_owned())));
                terms.iter().for_each(|term| self.of_term(term, &mut add));
            }
            Part::Phrase(words) => found = self.find_phrase(words),
        }
        let documents = self.texts.load(Ordering::Relaxed).max(1);
        let average = self.words.load(Ordering::Relaxed) as f64 / documents as f64;
        let weight = idf(documents, (found.len() as u64).min(documents));
        let score = |(frequency, words)| bm25(weight, frequency, words, average.max(1.0));
        found
            .into_iter()
            .map(|(text, of)| (text, score(of)))
            .collect()
    }

    /// The texts with words at these distances from each other: how often, and their words.
    fn find_phrase(&self, words: &[(Box<str>, u32)]) -> Texts<(u32, u32)> {
        // Where the phrase may begin, in each text that has had all words so far.
        let mut begins: Option<Texts<(Vec<u32>, u32)>> = None;
        for (word, distance) in words {
            let mut next = Texts::default();
            self.of_term(word, &mut |posting, mut positions| {
                let text = (posting.row, posting.fingerprint);
                let before = begins.as_ref().map(|begins| begins.get(&text));
                if matches!(before, Some(None)) {
                    return;
                }
                let mut at = 0;
                let mut starts = Vec::new();
                while let Some(step) = varint::take(&mut positions) {
                    at += step as u32;
                    let start = at.checked_sub(*distance);
                    let fits = |start: &u32| match before.flatten() {
                        Some((starts, _)) => starts.binary_search(start).is_ok(),
                        None => true,
                    };
                    starts.extend(start.filter(fits));
                }
                if !starts.is_empty() {
                    next.insert(text, (starts, posting.words));
                }
            });
            begins = Some(next);
        }
        let begins = begins.unwrap_or_default().into_iter();
        begins
            .map(|(text, (starts, words))| (text, (starts.len() as u32, words)))
            .collect()
    }

    /// The texts that answer a query, in no order.
    pub(super) fn search(&self, query: &TermQuery) -> Vec<Hit> {
        let mut all: Option<Texts<f64>> = None;
        // The rarest would be best first; without frequencies the order of the query will do.
        for any in &query.required {
            let mut clause: Texts<f64> = Texts::default();
            for part in any {
                for (text, score) in self.find(part) {
                    *clause.entry(text).or_default() += score;
                }
            }
            all = Some(match all {
                None => clause,
                Some(mut all) => {
                    all.retain(|text, score| {
                        let more = clause.get(text);
                        *score += more.copied().unwrap_or_default();
                        more.is_some()
                    });
                    all
                }
            });
        }
        let mut all = all.unwrap_or_default();
        for part in &query.excluded {
            for text in self.find(part).keys() {
                all.remove(text);
            }
        }
        let hit = |((row, fingerprint), score)| Hit {
            score,
            row,
            fingerprint,
        };
        all.into_iter().map(hit).collect()
    }
}
