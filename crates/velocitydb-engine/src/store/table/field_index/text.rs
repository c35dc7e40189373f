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
//! Ranking is BM25 over all texts that are kept, old versions included.
//!
//! Postings are read in steps between which memory can be reclaimed. Whoever searches is asked every
//! [`ASK_EVERY`] of them, and before what is kept grows, whether the search may go on with so many
//! bytes: see [`Room`]. Tests: `search` in the embedded library's tests/it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_epoch::{Guard, pin};
use parking_lot::Mutex;
use velocitydb_types::{Path, RawMap, RawValue};

use crate::catalog::IndexDefinition;
use crate::store::index::RowId;
use crate::store::ordered::{Change, Order, OrderedIndex, Range};
use crate::store::varint;
use crate::text::{Analyzer, Diacritics, Part, Scratch, TEXT_GAP, TermQuery, bm25, idf};

/// Positions of one word in one text that are kept: phrases further on are not found.
const POSITIONS_MAX: usize = 256;

/// Entries that are read before what they hold up is let go of.
const STEP: usize = 64;

/// Of so many texts one is guessed to have a word like a misspelt one.
const FUZZY_SHARE: usize = 10;

/// Entries that are read between two questions whether a search may go on.
pub(super) const ASK_EVERY: u32 = 256;

/// Whether a search may go on, asked with the bytes that it keeps.
pub(super) type May<'a> = &'a mut dyn FnMut(usize) -> bool;

/// What a search keeps, and whom it asks.
struct Room<'a> {
    /// Bytes of what is found already.
    kept: usize,
    /// Entries read.
    read: u32,
    may: May<'a>,
}

impl Room<'_> {
    /// Counts an entry that is read, with so many bytes kept beside; false when that is enough.
    fn reads(&mut self, kept: impl FnOnce() -> usize) -> bool {
        self.read = self.read.wrapping_add(1);
        !self.read.is_multiple_of(ASK_EVERY) || (self.may)(self.kept + kept())
    }

    /// Makes room for one more text; false when there is none.
    fn grows<V>(&mut self, texts: &Texts<V>, more: usize) -> bool {
        // While a map grows there are the old one and one of twice the size.
        texts.len() < texts.capacity() || (self.may)(self.kept + 3 * bytes_of(texts) + more)
    }
}

/// About what a map takes.
fn bytes_of<V>(texts: &Texts<V>) -> usize {
    texts.capacity() * (size_of::<((RowId, u32), V)>() + 1) / 7 * 8
}

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
            offset += count + TEXT_GAP;
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
        if let Some(words) = self.change(fields, row, Change::Put, guard) {
            self.texts.fetch_add(1, Ordering::Relaxed);
            self.words.fetch_add(words.into(), Ordering::Relaxed);
        }
    }

    pub(super) fn remove(&self, fields: RawMap<'_>, row: RowId, guard: &Guard) {
        if let Some(words) = self.change(fields, row, Change::Take, guard) {
            self.texts.fetch_sub(1, Ordering::Relaxed);
            self.words.fetch_sub(words.into(), Ordering::Relaxed);
        }
    }

    /// Changes all entries of a document; how many words it has, if that has changed anything.
    fn change(&self, fields: RawMap<'_>, row: RowId, change: Change, guard: &Guard) -> Option<u32> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let words = self.entries_of(fields, row, |entry| {
            bytes.extend_from_slice(entry);
            ends.push(bytes.len());
        });
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let entries = starts.zip(&ends).map(|(start, end)| &bytes[start..*end]);
        let mut changes: Vec<_> = entries.map(|entry| (entry, change)).collect();
        changes.sort_unstable_by_key(|(entry, _)| *entry);
        let before = self.entries.len();
        self.entries.change_all(&changes, guard);
        (self.entries.len() != before).then_some(words)
    }

    /// Calls `each` with every posting, and its encoded positions, of the terms from some bytes to
    /// before others, until it answers `false`; whether it never did.
    fn postings(
        &self,
        from: &[u8],
        to: Bound<&[u8]>,
        each: &mut dyn FnMut(Posting, &[u8]) -> bool,
    ) -> bool {
        let mut last: Option<Vec<u8>> = None;
        loop {
            let range = Range {
                from: last
                    .as_deref()
                    .map_or(Bound::Included(from), Bound::Excluded),
                to,
            };
            let (mut left, mut going, mut reached) = (STEP, true, Vec::new());
            let visit = &mut |entry: &[u8]| {
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
                going = each(posting, positions);
                left -= 1;
                if left == 0 {
                    reached.extend_from_slice(entry);
                }
                going && left > 0
            };
            let ended = self.entries.visit(&range, Order::Forward, &pin(), visit);
            if ended || !going {
                return going;
            }
            last = Some(reached);
        }
    }

    /// The postings of one term.
    fn of_term(&self, term: &str, each: &mut dyn FnMut(Posting, &[u8]) -> bool) -> bool {
        let (from, to) = (
            [term.as_bytes(), &[0]].concat(),
            [term.as_bytes(), &[1]].concat(),
        );
        self.postings(&from, Bound::Excluded(&to), each)
    }

    /// The postings of the terms that begin so.
    fn of_prefix(&self, prefix: &str, each: &mut dyn FnMut(Posting, &[u8]) -> bool) -> bool {
        let mut to = prefix.as_bytes().to_vec();
        // No text has this byte.
        to.push(0xff);
        self.postings(prefix.as_bytes(), Bound::Excluded(&to), each)
    }

    /// Every different term, found one by one, until `each` answers `false`; whether it never did.
    fn terms(&self, mut each: impl FnMut(&str) -> bool) -> bool {
        let mut from = vec![1];
        loop {
            let mut term = Vec::new();
            let range = Range {
                from: Bound::Included(&from),
                to: Bound::Unbounded,
            };
            let visit = &mut |entry: &[u8]| {
                term.extend(entry.iter().take_while(|byte| **byte != 0));
                false
            };
            if self.entries.visit(&range, Order::Forward, &pin(), visit) {
                return true;
            }
            if !each(std::str::from_utf8(&term).unwrap_or_default()) {
                return false;
            }
            term.push(1);
            from = term;
        }
    }

    /// The postings of the terms that a part of a query accepts, of a phrase those of its first; and
    /// a term that was only looked at as `None`.
    fn of_part(&self, part: &Part, step: &mut dyn FnMut(Option<Posting>) -> bool) -> bool {
        let mut add = |posting, _: &[u8]| step(Some(posting));
        match part {
            Part::Term(term) => self.of_term(term, &mut add),
            Part::Phrase(words) => {
                let first = words.first();
                first.is_none_or(|(word, _)| self.of_term(word, &mut add))
            }
            Part::Prefix { prefix, stem } => {
                self.of_prefix(prefix, &mut add)
                    && (stem.starts_with(&**prefix) || self.of_term(stem, &mut add))
            }
            Part::Fuzzy(fuzzy) => self.terms(|term| match fuzzy.accepts(term) {
                true => self.of_term(term, &mut |posting, _| step(Some(posting))),
                false => step(None),
            }),
        }
    }

    /// Calls `each` with the row and the fingerprint of each text that has one of these, of a phrase
    /// its first word, until it answers `false`; with a text once for each of its terms that are
    /// asked for. Asks `goes_on` now and then whether to go on.
    pub(super) fn having(
        &self,
        parts: &[Part],
        goes_on: &mut dyn FnMut() -> bool,
        each: &mut dyn FnMut(RowId, u32) -> bool,
    ) {
        let mut read = 0_u32;
        let mut step = |posting: Option<Posting>| {
            read = read.wrapping_add(1);
            (!read.is_multiple_of(ASK_EVERY) || goes_on())
                && posting.is_none_or(|posting| each(posting.row, posting.fingerprint))
        };
        parts.iter().all(|part| self.of_part(part, &mut step));
    }

    /// About how many texts have one of these, of a phrase its first word.
    pub(super) fn estimate(&self, parts: &[Part]) -> usize {
        let guard = &pin();
        let between = |from: Vec<u8>, to: Vec<u8>| {
            let range = Range {
                from: Bound::Included(&from[..]),
                to: Bound::Excluded(&to[..]),
            };
            self.entries.estimate(&range, guard)
        };
        let of_term = |term: &str| {
            let term = term.as_bytes();
            between([term, &[0]].concat(), [term, &[1]].concat())
        };
        let texts = self.texts.load(Ordering::Relaxed) as usize;
        let of_part = |part: &Part| match part {
            Part::Term(term) => of_term(term),
            Part::Phrase(words) => words.first().map_or(0, |(word, _)| of_term(word)),
            Part::Prefix { prefix, stem } => {
                let prefix = prefix.as_bytes();
                between(prefix.to_vec(), [prefix, &[0xff]].concat()) + of_term(stem)
            }
            Part::Fuzzy(_) => texts / FUZZY_SHARE + 1,
        };
        parts.iter().map(of_part).sum::<usize>().min(texts)
    }

    /// The texts that one part of a query finds, by row and fingerprint: how often, and their
    /// words. `None` when it may not go on.
    fn find(&self, part: &Part, room: &mut Room<'_>) -> Option<Texts<(u32, u32)>> {
        let mut found: Texts<(u32, u32)> = Texts::default();
        // Takes a posting, or a term that was looked at.
        let mut step = |posting: Option<Posting>| {
            if let Some(posting) = posting {
                let text = (posting.row, posting.fingerprint);
                if let Some((frequency, _)) = found.get_mut(&text) {
                    *frequency += posting.frequency;
                } else if room.grows(&found, 0) {
                    found.insert(text, (posting.frequency, posting.words));
                } else {
                    return false;
                }
            }
            room.reads(|| bytes_of(&found))
        };
        if let Part::Phrase(words) = part {
            return self.find_phrase(words, room);
        }
        let went_on = self.of_part(part, &mut step);
        went_on.then_some(found)
    }

    /// The texts with words at these distances from each other: how often, and their words.
    fn find_phrase(
        &self,
        words: &[(Box<str>, u32)],
        room: &mut Room<'_>,
    ) -> Option<Texts<(u32, u32)>> {
        // Where the phrase may begin, in each text that has had all words so far.
        let mut begins: Option<Texts<(Box<[u32]>, u32)>> = None;
        // Bytes of the places before and of those found now.
        let (mut before_bytes, mut bytes) = (0, 0);
        for (word, distance) in words {
            let mut next: Texts<(Box<[u32]>, u32)> = Texts::default();
            let kept_before = begins.as_ref().map_or(0, bytes_of) + before_bytes;
            let went_on = self.of_term(word, &mut |posting, mut positions| {
                if !room.reads(|| bytes_of(&next) + kept_before + bytes) {
                    return false;
                }
                let text = (posting.row, posting.fingerprint);
                let before = begins.as_ref().map(|begins| begins.get(&text));
                if matches!(before, Some(None)) {
                    return true;
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
                if starts.is_empty() {
                    return true;
                }
                bytes += size_of_val(&starts[..]);
                let going = room.grows(&next, kept_before + bytes);
                next.insert(text, (starts.into(), posting.words));
                going
            });
            went_on.then_some(())?;
            begins = Some(next);
            (before_bytes, bytes) = (bytes, 0);
        }
        let begins = begins.unwrap_or_default();
        (room.may)(room.kept + 2 * bytes_of(&begins) + before_bytes).then_some(())?;
        let begins = begins.into_iter();
        let found = begins.map(|(text, (starts, words))| (text, (starts.len() as u32, words)));
        Some(found.collect())
    }

    /// Adds what one part of a query finds to the scores of texts.
    fn add_scores(&self, part: &Part, scores: &mut Texts<f64>, room: &mut Room<'_>) -> Option<()> {
        let kept = room.kept;
        room.kept += bytes_of(scores);
        let found = self.find(part, room)?;
        room.kept = kept + bytes_of(&found);
        let documents = self.texts.load(Ordering::Relaxed).max(1);
        let average = self.words.load(Ordering::Relaxed) as f64 / documents as f64;
        let weight = idf(documents, (found.len() as u64).min(documents));
        for (text, (frequency, words)) in found {
            (room.reads(|| bytes_of(scores)) && room.grows(scores, 0)).then_some(())?;
            let score = bm25(weight, frequency, words, average.max(1.0));
            *scores.entry(text).or_default() += score;
        }
        room.kept = kept;
        Some(())
    }

    /// The texts that answer a query, in no order. None when `may` answered `false`.
    pub(super) fn search(&self, query: &TermQuery, may: May<'_>) -> Vec<Hit> {
        let room = &mut Room {
            kept: 0,
            read: 0,
            may,
        };
        self.search_within(query, room).unwrap_or_default()
    }

    fn search_within(&self, query: &TermQuery, room: &mut Room<'_>) -> Option<Vec<Hit>> {
        let mut all: Option<Texts<f64>> = None;
        // The rarest would be best first; without frequencies the order of the query will do.
        for any in &query.required {
            room.kept = all.as_ref().map_or(0, bytes_of);
            let mut clause: Texts<f64> = Texts::default();
            for part in any {
                self.add_scores(part, &mut clause, room)?;
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
        room.kept = bytes_of(&all);
        for part in &query.excluded {
            for text in self.find(part, room)?.keys() {
                all.remove(text);
            }
        }
        (room.may)(room.kept + all.len() * size_of::<Hit>()).then_some(())?;
        let hit = |((row, fingerprint), score)| Hit {
            score,
            row,
            fingerprint,
        };
        Some(all.into_iter().map(hit).collect())
    }
}
