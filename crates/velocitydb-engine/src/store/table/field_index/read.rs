//! Reading indexes over fields: by the writer, of the newest state, and by queries, of a snapshot.
//!
//! A query proposes entries and judges each by the version that its snapshot sees: a document is
//! given when that version has the entry's key, once.

#[cfg(feature = "full-text")]
use std::collections::{BinaryHeap, HashMap};
use std::ops::Bound;
use std::sync::atomic::Ordering;

use crossbeam_epoch::{Guard, pin};
use velocitydb_types::{Timestamp, decode_value_key};

use super::{BUILT, Entries, EntryBytes, FieldIndex, IndexStats, KeyRange};
use crate::catalog::Direction;
use crate::store::index::RowId;
use crate::store::ordered::{Order, OrderedIndex, Range};
use crate::store::record::{Borrowed, Document};
use crate::store::table::Table;
use crate::store::{At, Visible};

/// Entries that a query reads before it lets go of what it holds up: few at first, since many
/// queries want few, then up to so many.
const STEP_FIRST: usize = 8;
const STEP: usize = 64;

/// Room for the entries of most steps.
const STEP_BYTES: usize = 512;

/// Different keys that are looked for, one by one, to guess how many there are.
const DISTINCT_LOOKS: usize = 100;

impl KeyRange {
    /// The keys that are these bytes, alone or followed by further components.
    pub fn equal(mut key: Vec<u8>) -> KeyRange {
        let mut to = key.clone();
        key.push(0x01);
        to.push(0xff);
        KeyRange {
            from: key,
            to: Some(to),
        }
    }

    /// Everything.
    pub fn all() -> KeyRange {
        KeyRange::default()
    }

    fn as_range(&self) -> Range<'_> {
        Range {
            from: Bound::Included(&self.from),
            to: self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        }
    }
}

fn row_of(entry: &[u8]) -> RowId {
    let row = entry.last_chunk().expect("an entry ends with its row");
    RowId::from_be_bytes(*row)
}

impl FieldIndex {
    /// Whether it can be read in order, and by ranges.
    pub fn is_ordered(&self) -> bool {
        matches!(self.entries, Entries::Ordered(_))
    }

    /// About how many entries a range has; in an index that has no order, how many a value has.
    pub fn estimate(&self, range: &KeyRange) -> usize {
        match &self.entries {
            Entries::Ordered(entries) => {
                let guard = &pin();
                entries.nearly(guard).estimate(&range.as_range(), guard)
            }
            Entries::Hashed(entries) => {
                let guard = &pin();
                let entries = entries.nearly(guard);
                (entries.len() / distinct(entries, guard, |entry| &entry[..4]).max(1)).max(1)
            }
            Entries::Unique(_) => 1,
            #[cfg(feature = "full-text")]
            Entries::Text(entries) => entries.len(),
        }
    }

    /// About how many entries of an ordered index have the same values in their first `fields` as the
    /// one that comes first in a range.
    pub fn estimate_run(&self, range: &KeyRange, order: Order, fields: usize) -> usize {
        let Entries::Ordered(entries) = &self.entries else {
            return self.len();
        };
        let (mut run, guard) = (Vec::new(), &pin());
        let entries = entries.nearly(guard);
        entries.visit(&range.as_range(), order, guard, &mut |entry| {
            run = entry.to_vec();
            false
        });
        let mut end = 0;
        for field in self.definition.fields.iter().take(fields) {
            let mut value = run[end..].to_vec();
            if field.direction == Direction::Descending {
                value.iter_mut().for_each(|byte| *byte = !*byte);
            }
            let mut rest = &value[..];
            if decode_value_key(&mut rest).is_err() {
                return self.estimate(range);
            }
            end += value.len() - rest.len();
        }
        run.truncate(end);
        self.estimate(&KeyRange::equal(run))
    }

    /// About how many texts of a full-text index have one of these words, of a phrase its first.
    #[cfg(feature = "full-text")]
    pub fn estimate_words(&self, words: &[crate::text::Part]) -> usize {
        match &self.entries {
            Entries::Text(texts) => texts.estimate(words),
            _ => self.len(),
        }
    }

    /// What it holds and takes.
    pub fn stats(&self) -> IndexStats {
        let used_at = self.used_at.load(Ordering::Relaxed);
        let built = self.built.load(Ordering::Relaxed);
        let guard = &pin();
        let (entries, distinct) = match &self.entries {
            Entries::Unique(entries) => (entries.len(), Some(entries.len())),
            Entries::Hashed(entries) => {
                let entries = entries.settled(guard);
                let distinct = distinct(entries, guard, |entry| &entry[..4]);
                (entries.len(), Some(distinct))
            }
            Entries::Ordered(entries) => (entries.settled(guard).len(), None),
            #[cfg(feature = "full-text")]
            Entries::Text(entries) => (entries.len(), None),
        };
        IndexStats {
            entries,
            distinct,
            bytes: self.bytes(),
            uses: self.uses.load(Ordering::Relaxed),
            used_at: (used_at > i64::MIN).then_some(Timestamp(used_at)),
            built: (built != BUILT).then_some(built),
            rebuilt: None,
        }
    }

    /// Whether an entry of an ordered index is this document's, by a key that it has.
    fn is_of(&self, entry: &[u8], version: &Document, row: RowId, spare: &mut Vec<u8>) -> bool {
        let mut found = false;
        self.keys_of(version, spare, |key| {
            found |= entry.strip_prefix(key).is_some_and(|rest| {
                let mut tail = EntryBytes::new();
                self.push_row(version.key_bytes(), row, &mut tail);
                rest == &tail[..]
            });
        });
        found
    }
}

/// About how many different `key`s entries have: counted when they are few; else the first ones
/// are taken for all.
fn distinct(entries: &OrderedIndex, guard: &Guard, key: impl Fn(&[u8]) -> &[u8]) -> usize {
    let (mut last, mut count) = (Vec::new(), 0);
    while count < DISTINCT_LOOKS {
        let mut after = last.clone();
        after.extend_from_slice(&[0xff; 8]);
        let range = Range {
            from: if count == 0 {
                Bound::Unbounded
            } else {
                Bound::Excluded(&after)
            },
            to: Bound::Unbounded,
        };
        let ended = entries.visit(&range, Order::Forward, guard, &mut |entry| {
            last = key(entry).to_vec();
            false
        });
        if ended {
            return count;
        }
        count += 1;
    }
    last.extend_from_slice(&[0xff; 8]);
    let range = Range {
        from: Bound::Unbounded,
        to: Bound::Included(&last),
    };
    let seen = entries.estimate(&range, guard).max(1);
    count * entries.len().max(1) / seen
}

impl Table {
    /// The document, in a row other than those ignored, whose newest version has `key` (and its
    /// [`Table::hash`]) in a unique index.
    pub(crate) fn unique_holder(
        &self,
        unique: &FieldIndex,
        (key, hash): (&[u8], u32),
        time: Timestamp,
        guard: &Guard,
        mut ignored: impl FnMut(RowId) -> bool,
    ) -> Option<Document> {
        let mut spare = Vec::new();
        self.find_row(unique, (key, hash), guard, |row| {
            let head = self.rows.head(row, guard)?;
            let holds = head.is_live(time) && !ignored(row) && unique.has(&head, key, &mut spare);
            holds.then(|| head.to_owned())
        })
    }

    /// The document that has a key in a unique index, as it may be seen now: one that has expired may
    /// have it besides. O(1) expected in an index without order, O(log n) in one with.
    pub(crate) fn get_unique(
        &self,
        unique: &FieldIndex,
        key: &[u8],
        visible: &Visible,
        is_live: impl Fn(&Document) -> bool,
    ) -> Option<Document> {
        let (guard, hash) = (&pin(), self.hash(key));
        let mut spare = Vec::new();
        loop {
            let index = visible.index();
            let found = self.find_row(unique, (key, hash), guard, |row| {
                let seen = Table::seen(self.rows.head(row, guard)?, At::Latest, visible, guard)?;
                (unique.has(&seen, key, &mut spare) && is_live(&seen)).then_some(seen)
            });
            // The rows are looked at one after the other: that none has it says something about a
            // state only when that was the same all the while.
            if found.is_some() || visible.index() == index {
                return found;
            }
        }
    }

    /// The documents whose newest version has `key` in an index, in the order of their ids.
    pub(crate) fn holders(
        &self,
        index: &FieldIndex,
        key: &[u8],
        time: Timestamp,
        guard: &Guard,
    ) -> Vec<Document> {
        let (mut holders, mut spare) = (Vec::new(), Vec::new());
        self.find_row(index, (key, self.hash(key)), guard, |row| {
            let head = self.rows.head(row, guard)?;
            if head.is_live(time) && index.has(&head, key, &mut spare) {
                holders.push(head.to_owned());
            }
            None::<()>
        });
        holders.sort_unstable_by(|a, b| a.key_bytes().cmp(b.key_bytes()));
        holders
    }

    /// Calls `found` with each row that may have a key until it returns `Some`.
    fn find_row<T>(
        &self,
        index: &FieldIndex,
        (key, hash): (&[u8], u32),
        guard: &Guard,
        mut found: impl FnMut(RowId) -> Option<T>,
    ) -> Option<T> {
        let mut answer = None;
        let mut visit = |entry: &[u8]| {
            answer = found(row_of(entry));
            answer.is_none()
        };
        match &index.entries {
            Entries::Unique(entries) => return entries.find(hash, guard, found),
            Entries::Hashed(entries) => {
                let (from, to) = (super::hashed(hash, 0), super::hashed(hash, RowId::MAX));
                let range = Range {
                    from: Bound::Included(&from),
                    to: Bound::Included(&to),
                };
                let entries = entries.settled(guard);
                entries.visit(&range, Order::Forward, guard, &mut visit);
            }
            Entries::Ordered(entries) => {
                let range = KeyRange::equal(key.to_vec());
                let entries = entries.settled(guard);
                entries.visit(&range.as_range(), Order::Forward, guard, &mut visit);
            }
            #[cfg(feature = "full-text")]
            Entries::Text(_) => {}
        }
        answer
    }

    /// About how many entries an index has for a key.
    pub(crate) fn estimate_equal(&self, index: &FieldIndex, key: &[u8]) -> usize {
        match &index.entries {
            Entries::Unique(_) => 1,
            #[cfg(feature = "full-text")]
            Entries::Text(entries) => entries.len(),
            Entries::Ordered(_) => index.estimate(&KeyRange::equal(key.to_vec())),
            Entries::Hashed(entries) => {
                let hash = self.hash(key);
                let (from, to) = (super::hashed(hash, 0), super::hashed(hash, RowId::MAX));
                let range = Range {
                    from: Bound::Included(&from),
                    to: Bound::Included(&to),
                };
                let guard = &pin();
                entries.nearly(guard).estimate(&range, guard)
            }
        }
    }

    /// Calls `visit` with the documents that the state at `at` has under a key in a hash index,
    /// until it answers `false`. The caller keeps the state from being reclaimed.
    pub(crate) fn visit_equal(
        &self,
        index: &FieldIndex,
        key: &[u8],
        at: u64,
        mut visit: impl FnMut(&Document) -> bool,
    ) {
        let hash = self.hash(key);
        let mut spare = Vec::with_capacity(key.len());
        let mut offer = |row: RowId, guard: &Guard| {
            let head = self.rows.head(row, guard);
            let seen = head.and_then(|head| Table::seen_at(head, at, guard));
            seen.is_none_or(|version| !index.has(&version, key, &mut spare) || visit(&version))
        };
        let entries = match &index.entries {
            Entries::Unique(entries) => {
                let guard = &pin();
                entries.find(hash, guard, |row| (!offer(row, guard)).then_some(()));
                return;
            }
            Entries::Hashed(entries) | Entries::Ordered(entries) => entries.settled(&pin()),
            #[cfg(feature = "full-text")]
            Entries::Text(_) => return,
        };
        let (mut from, to) = (
            super::hashed(hash, 0).to_vec(),
            super::hashed(hash, RowId::MAX),
        );
        let mut rows = Vec::with_capacity(STEP);
        let (mut included, mut step) = (true, STEP_FIRST);
        loop {
            let guard = &pin();
            rows.clear();
            let range = Range {
                from: if included {
                    Bound::Included(&from[..])
                } else {
                    Bound::Excluded(&from[..])
                },
                to: Bound::Included(&to),
            };
            let ended = entries.visit(&range, Order::Forward, guard, &mut |entry| {
                rows.push(row_of(entry));
                rows.len() < step
            });
            step = STEP.min(2 * step);
            if !rows.iter().all(|row| offer(*row, guard)) {
                return;
            }
            let Some(last) = rows.last().filter(|_| !ended) else {
                return;
            };
            (from, included) = (super::hashed(hash, *last).to_vec(), false);
        }
    }

    /// Calls `visit` with the entries of a range of an ordered index that the state at `at` has,
    /// each with its document, in order or backwards, until it answers `false`. A document whose
    /// array has several elements in the range is given once for each: `elements` of the
    /// definition. Of entries that are not `wanted` no document is looked at. The caller keeps the
    /// state from being reclaimed.
    pub(crate) fn visit_range(
        &self,
        index: &FieldIndex,
        range: &KeyRange,
        order: Order,
        at: u64,
        mut wanted: impl FnMut(&[u8]) -> bool,
        mut visit: impl FnMut(&[u8], &Document) -> bool,
    ) {
        let Entries::Ordered(entries) = &index.entries else {
            return;
        };
        let entries = entries.settled(&pin());
        let mut spare = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        // The entries of a step, one after the other, and where each ends.
        let (mut bytes, mut ends) = (Vec::with_capacity(STEP_BYTES), Vec::with_capacity(STEP));
        let mut step = STEP_FIRST;
        loop {
            let guard = &pin();
            bytes.clear();
            ends.clear();
            let mut left = range.as_range();
            match (&last, order) {
                (Some(last), Order::Forward) => left.from = Bound::Excluded(last),
                (Some(last), Order::Backward) => left.to = Bound::Excluded(last),
                (None, _) => {}
            }
            let (mut looked_at, mut next) = (0, None);
            let ended = entries.visit(&left, order, guard, &mut |entry| {
                if wanted(entry) {
                    bytes.extend_from_slice(entry);
                    ends.push(bytes.len());
                    self.rows.prefetch(row_of(entry), guard);
                }
                looked_at += 1;
                let more = ends.len() < step && looked_at < STEP;
                if !more {
                    next = Some(entry.to_vec());
                }
                more
            });
            step = STEP.min(2 * step);
            let mut start = 0;
            for &end in &ends {
                let entry = &bytes[start..end];
                start = end;
                let row = row_of(entry);
                let seen = self
                    .rows
                    .head(row, guard)
                    .and_then(|head: Borrowed<'_>| Table::seen_at(head, at, guard));
                if let Some(document) = seen
                    && index.is_of(entry, &document, row, &mut spare)
                    && !visit(entry, &document)
                {
                    return;
                }
            }
            if ended {
                return;
            }
            last = next;
        }
    }

    /// Calls `visit` with the documents of a full-text index that answer a query, in the state at
    /// `at`, the best first, each with its score, until it answers `false`. The caller keeps the
    /// state from being reclaimed. Asks `may` now and then whether it may go on, with the bytes that
    /// it keeps, and ends when that answers `false`.
    #[cfg(feature = "full-text")]
    pub(crate) fn search(
        &self,
        index: &FieldIndex,
        query: &crate::text::TermQuery,
        at: u64,
        may: super::text::May<'_>,
        mut visit: impl FnMut(f64, &Document) -> bool,
    ) {
        let Entries::Text(texts) = &index.entries else {
            return;
        };
        let hits = texts.search(query, may);
        let bytes = size_of_val(&hits[..]);
        let mut hits: BinaryHeap<Ranked> = hits.into_iter().map(Ranked).collect();
        let mut looked_at = 0_u32;
        while let Some(Ranked(hit)) = hits.pop() {
            let guard = &pin();
            let head = self.rows.head(hit.row, guard);
            let seen = head.and_then(|head| Table::seen_at(head, at, guard));
            if let Some(document) = seen
                && index.definition.admits(document.fields())
                && texts.fingerprint(document.fields()) == Some(hit.fingerprint)
                && !visit(hit.score, &document)
            {
                return;
            }
            looked_at = looked_at.wrapping_add(1);
            if looked_at.is_multiple_of(super::text::ASK_EVERY) && !may(bytes) {
                return;
            }
        }
    }
}

#[cfg(feature = "full-text")]
impl Table {
    /// Calls `visit` with the documents of the state at `at` whose texts in a full-text index have
    /// one of these words (of a phrase its first), each once, in no order, until it answers `false`.
    /// Asks `goes_on` every few hundred entries. The caller keeps the state from being reclaimed.
    ///
    /// What it keeps are the rows that were given, where there are several words: at most a byte or
    /// two for each row of the table.
    pub(crate) fn visit_words(
        &self,
        index: &FieldIndex,
        words: &[crate::text::Part],
        at: u64,
        goes_on: &mut dyn FnMut() -> bool,
        mut visit: impl FnMut(&Document) -> bool,
    ) {
        let Entries::Text(texts) = &index.entries else {
            return;
        };
        // A term has a document's text once.
        let once = matches!(words, [crate::text::Part::Term(_)]);
        let mut given: HashMap<RowId, u64, foldhash::fast::FixedState> = HashMap::default();
        texts.having(words, goes_on, &mut |row, fingerprint| {
            let (bits, bit) = (row / 64, 1 << (row % 64));
            if !once && given.get(&bits).is_some_and(|rows| rows & bit != 0) {
                return true;
            }
            let guard = &pin();
            let head = self.rows.head(row, guard);
            let seen = head.and_then(|head| Table::seen_at(head, at, guard));
            let Some(document) = seen.filter(|document| {
                index.definition.admits(document.fields())
                    && texts.fingerprint(document.fields()) == Some(fingerprint)
            }) else {
                return true;
            };
            if !once {
                *given.entry(bits).or_default() |= bit;
            }
            visit(&document)
        });
    }
}

/// Hits by score, equal ones as their documents came.
#[cfg(feature = "full-text")]
struct Ranked(super::text::Hit);

#[cfg(feature = "full-text")]
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_score = self.0.score.total_cmp(&other.0.score);
        by_score.then_with(|| other.0.row.cmp(&self.0.row))
    }
}

#[cfg(feature = "full-text")]
impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(feature = "full-text")]
impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

#[cfg(feature = "full-text")]
impl Eq for Ranked {}
