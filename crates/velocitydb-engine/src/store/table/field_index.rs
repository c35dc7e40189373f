//! A table's indexes over fields: what they hold, and which documents have a value.
//!
//! An index holds, for every kept version of every document, where its key leads: to the row.
//! So it serves every snapshot that is kept, and a reader judges by the version that its snapshot
//! sees in the row: an entry counts when that version still has the entry's key. An entry goes
//! with the last version in the row that has its key.
//!
//! ```text
//!   hash, unique     HashIndex:     hash of the key ──► row
//!   hash             BufferedIndex: hash of the key | row
//!   btree, geo,
//!   time series      BufferedIndex: key | id | end | row
//! ```
//!
//! A hash index that is not unique is ordered too: any number of documents may have one value,
//! which no chain of buckets would bear. In a B-tree documents with equal values stand in the
//! order of their ids, in the direction of the last field, so that reading it is sorting.
//!
//! One writer, any number of readers, who wait for nothing but changes of an index that wait to be
//! made (`ordered::buffer`). `keep` changes, `read` reads. Tests: `store::tests`, and the query
//! crate's, which compare with scans.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crossbeam_epoch::{Guard, pin};
use smallvec::SmallVec;
use velocitydb_types::view::ArrayView;
use velocitydb_types::{EvaluationError, RawMap, RawValue, Timestamp, View, encode_value_key};

mod keep;
mod read;
mod series;
#[cfg(feature = "full-text")]
mod text;

pub use series::Partition;

use crate::catalog::{Direction, IndexDefinition, IndexKind, Indexed};
use crate::store::index::{HashIndex, RowId};
use crate::store::ordered::{BufferedIndex, Change, ENTRY_BYTES_MAX};
use crate::store::record::Document;

/// The longest key of an ordered index, in bytes.
pub const INDEX_KEY_BYTES_MAX: usize = 8 * 1024;

/// An array whose elements are indexed has no more of them.
pub const INDEX_ELEMENTS_MAX: usize = 1000;

/// Bytes of an entry behind key and id: an end, and the row.
const ROW_BYTES: usize = 1 + size_of::<RowId>();

/// The number of the first row that is not built yet, when all are.
const BUILT: RowId = RowId::MAX;

/// See the module.
pub struct FieldIndex {
    definition: IndexDefinition,
    entries: Entries,
    /// Rows from here on may be missing: the index is still being built.
    built: AtomicU32,
    /// Whether it has one key at most of a document, and an entry for each key.
    plain: bool,
    /// Where each field was in the document before.
    places: Box<[AtomicUsize]>,
    /// Its memory, as far as the table's account has it.
    accounted: AtomicUsize,
    /// How many queries have used it, and when one last did.
    uses: AtomicU64,
    used_at: AtomicI64,
}

enum Entries {
    Unique(HashIndex<RowId>),
    Hashed(BufferedIndex),
    Ordered(BufferedIndex),
    #[cfg(feature = "full-text")]
    Text(Box<text::TextIndex>),
}

/// A part of an ordered index, from some bytes to before others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRange {
    /// Keys are not less.
    pub from: Vec<u8>,
    /// Keys are less; `None`: there is no bound.
    pub to: Option<Vec<u8>>,
}

/// What one index holds and takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexStats {
    /// How many entries it has, of old versions too.
    pub entries: usize,
    /// About how many different keys; `None` where the kind cannot tell.
    pub distinct: Option<usize>,
    /// Its memory, in bytes.
    pub bytes: usize,
    /// How many queries have used it since the start.
    pub uses: u64,
    /// When one last did.
    pub used_at: Option<Timestamp>,
    /// How many rows are in it, while it is being built.
    pub built: Option<u32>,
    /// How many are in the one that will take its place, while it is being rebuilt.
    pub rebuilt: Option<u32>,
}

impl IndexStats {
    /// Of the index when the one whose figures `twin` are is to take its place.
    #[must_use]
    pub fn with_twin(self, twin: &IndexStats) -> IndexStats {
        IndexStats {
            bytes: self.bytes + twin.bytes,
            rebuilt: twin.built,
            ..self
        }
    }
}

/// The keys of one version in the indexes of its table.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    bytes: Vec<u8>,
    keys: SmallVec<[KeyIn; 2]>,
}

/// A version's key in one index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyIn {
    /// The index's place among those of the table.
    index: u32,
    /// Where its bytes end.
    end: u32,
    /// The [`Table::hash`] of the key.
    hash: u32,
    /// Whether the version replaced has another, so that this one gets an entry.
    is_new: bool,
    /// Whether no other document may have it.
    claims: bool,
}

/// Why a document has no key in an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoKey {
    /// The index's name.
    pub(crate) index: String,
    pub(crate) why: NoKeyReason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoKeyReason {
    /// The key is too long, or has too many elements.
    TooLong {
        found: usize,
        max: usize,
        what: &'static str,
    },
    /// An expression has no value for it.
    NoValue {
        expression: String,
        error: EvaluationError,
    },
}

/// Room for most keys.
const KEY_BYTES: usize = 64;

/// Room for most entries.
type EntryBytes = SmallVec<[u8; 64]>;

/// Ends of keys in a buffer.
type Ends = SmallVec<[u32; 2]>;

impl std::fmt::Debug for FieldIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FieldIndex({:?})", self.definition.name)
    }
}

impl FieldIndex {
    /// An index that has everything its table has, which is nothing.
    pub(crate) fn new(definition: IndexDefinition) -> FieldIndex {
        let entries = match (definition.kind, definition.unique) {
            (IndexKind::Hash, true) => Entries::Unique(HashIndex::new()),
            (IndexKind::Hash, false) => Entries::Hashed(BufferedIndex::new()),
            (IndexKind::Btree | IndexKind::Geo | IndexKind::TimeSeries, _) => {
                Entries::Ordered(BufferedIndex::new())
            }
            #[cfg(feature = "full-text")]
            (IndexKind::FullText, _) => Entries::Text(Box::new(text::TextIndex::new(&definition))),
            #[cfg(not(feature = "full-text"))]
            (IndexKind::FullText, _) => unreachable!("refused by name"),
        };
        let in_order = matches!(definition.kind, IndexKind::Btree | IndexKind::TimeSeries);
        let mut fields = definition.fields.iter();
        let plain = in_order && !fields.any(|field| field.elements);
        let places = definition.fields.iter().map(|_| AtomicUsize::new(0));
        FieldIndex {
            plain,
            places: places.collect(),
            definition,
            entries,
            built: AtomicU32::new(BUILT),
            accounted: AtomicUsize::new(0),
            uses: AtomicU64::new(0),
            used_at: AtomicI64::new(i64::MIN),
        }
    }

    /// The same, yet to be built: see [`Table::build_step`].
    pub(crate) fn unbuilt(definition: IndexDefinition) -> FieldIndex {
        let index = FieldIndex::new(definition);
        index.built.store(0, Ordering::Relaxed);
        index
    }

    /// What it is.
    pub fn definition(&self) -> &IndexDefinition {
        &self.definition
    }

    pub(crate) fn is_unique(&self) -> bool {
        self.definition.unique
    }

    /// Whether its entries are hashes of keys.
    fn is_hashed(&self) -> bool {
        matches!(self.entries, Entries::Unique(_) | Entries::Hashed(_))
    }

    /// Whether it has everything.
    pub fn is_built(&self) -> bool {
        self.built.load(Ordering::Acquire) == BUILT
    }

    /// About how many entries it has.
    pub fn len(&self) -> usize {
        match &self.entries {
            Entries::Unique(entries) => entries.len(),
            Entries::Hashed(entries) | Entries::Ordered(entries) => entries.nearly(&pin()).len(),
            #[cfg(feature = "full-text")]
            Entries::Text(entries) => entries.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What turns texts into the terms of a full-text index.
    #[cfg(feature = "full-text")]
    pub fn analyzer(&self) -> Option<&crate::text::Analyzer> {
        match &self.entries {
            Entries::Text(texts) => Some(&texts.analyzer),
            _ => None,
        }
    }

    /// Notes that a query uses it.
    pub fn note_use(&self, now: Timestamp) {
        self.uses.fetch_add(1, Ordering::Relaxed);
        self.used_at.store(now.0, Ordering::Relaxed);
    }

    /// Goes on with the account of queries that `old` has.
    fn take_uses(&self, old: &FieldIndex) {
        let (uses, used_at) = (&old.uses, &old.used_at);
        self.uses
            .fetch_add(uses.load(Ordering::Relaxed), Ordering::Relaxed);
        self.used_at
            .fetch_max(used_at.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    fn bytes(&self) -> usize {
        match &self.entries {
            Entries::Unique(entries) => entries.bytes(),
            Entries::Hashed(entries) | Entries::Ordered(entries) => entries.bytes(),
            #[cfg(feature = "full-text")]
            Entries::Text(entries) => entries.bytes(),
        }
    }

    /// Appends the keys of a document to `bytes`, and where each ends to `ends`; whether they
    /// claim to be the only ones.
    ///
    /// # Errors
    /// An expression has no value for the document.
    fn push_keys(
        &self,
        fields: RawMap<'_>,
        bytes: &mut Vec<u8>,
        ends: &mut Ends,
    ) -> Result<bool, NoKey> {
        let definition = &self.definition;
        if !definition.admits(fields) {
            return Ok(false);
        }
        if definition.kind == IndexKind::Geo {
            let point = fields.get_path(&definition.fields[0].path);
            if let Some(point) = point.and_then(RawValue::as_point) {
                bytes.extend_from_slice(&velocitydb_types::geo::cell(point).to_be_bytes());
                ends.push(bytes.len() as u32);
            }
            return Ok(false);
        }
        #[cfg(feature = "full-text")]
        if let Entries::Text(texts) = &self.entries {
            // The text stands for its words.
            if let Some(fingerprint) = texts.fingerprint(fields) {
                bytes.extend_from_slice(&fingerprint.to_be_bytes());
                ends.push(bytes.len() as u32);
            }
            return Ok(false);
        }
        let start = bytes.len();
        let mut complete = true;
        for (at, field) in definition.fields.iter().enumerate() {
            let value = self.value(at, fields)?;
            let view = value.view();
            if field.elements
                && let View::Array(array) = view
            {
                self.push_elements(fields, at, array, start, bytes, ends)?;
                return Ok(false);
            }
            complete &= !matches!(view, View::Null);
            encode_directed(view, field.direction, bytes);
        }
        if !complete && matches!(self.entries, Entries::Unique(_)) {
            bytes.truncate(start);
            return Ok(false);
        }
        ends.push(bytes.len() as u32);
        Ok(complete && definition.unique)
    }

    /// The value of the field at a place of its definition in a document.
    fn value<'a>(&self, at: usize, fields: RawMap<'a>) -> Result<Indexed<'a>, NoKey> {
        let (field, place) = (&self.definition.fields[at], &self.places[at]);
        let before = place.load(Ordering::Relaxed);
        let mut near = before;
        let value = field.value(fields, &mut near);
        if near != before {
            place.store(near, Ordering::Relaxed);
        }
        value.map_err(|error| NoKey {
            index: self.definition.name.clone(),
            why: NoKeyReason::NoValue {
                expression: field.to_string(),
                error,
            },
        })
    }

    /// Whether a version has the key that another one has: cheaper than both keys. For an index that
    /// is plain.
    fn shares_key(&self, version: &Document, other: RawMap<'_>) -> bool {
        if version.is_tombstone() {
            return false;
        }
        let fields = version.fields();
        let (mut key, mut other_key) = (Vec::new(), Vec::new());
        let equal = (0..self.definition.fields.len()).all(|at| {
            let (Ok(one), Ok(other)) = (self.value(at, fields), self.value(at, other)) else {
                return false;
            };
            if let (Indexed::Raw(one), Indexed::Raw(other)) = (&one, &other)
                && one.as_bytes() == other.as_bytes()
            {
                return true;
            }
            key.clear();
            other_key.clear();
            encode_value_key(one.view(), &mut key);
            encode_value_key(other.view(), &mut other_key);
            key == other_key
        });
        equal && self.definition.admits(fields)
    }

    /// A key for each element of an array, each once, behind what stands in `bytes` from `start`
    /// on. An empty array has none.
    fn push_elements(
        &self,
        fields: RawMap<'_>,
        at: usize,
        array: ArrayView<'_>,
        start: usize,
        bytes: &mut Vec<u8>,
        ends: &mut Ends,
    ) -> Result<(), NoKey> {
        let (head, mut tail) = (bytes.split_off(start), Vec::new());
        let field = &self.definition.fields[at];
        for (at, field) in self.definition.fields.iter().enumerate().skip(at + 1) {
            encode_directed(self.value(at, fields)?.view(), field.direction, &mut tail);
        }
        let keys = array.iter().map(|element| {
            let mut key = Vec::new();
            encode_directed(element, field.direction, &mut key);
            key
        });
        for key in keys.collect::<BTreeSet<_>>() {
            bytes.extend([&head[..], &key, &tail].concat());
            ends.push(bytes.len() as u32);
        }
        Ok(())
    }

    /// Calls `each` with the keys of a version; `spare` is room for them.
    fn keys_of(&self, version: &Document, spare: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
        if version.is_tombstone() {
            return;
        }
        let mut ends = Ends::new();
        spare.clear();
        // A version that is refused today has no entries, whenever it was made.
        if self.push_keys(version.fields(), spare, &mut ends).is_err() {
            return;
        }
        let mut start = 0;
        for end in ends {
            each(&spare[start..end as usize]);
            start = end as usize;
        }
    }

    /// The only key of a document in an index without elements; `None` when it is not in it.
    pub(crate) fn key_of(&self, fields: RawMap<'_>) -> Option<Vec<u8>> {
        let (mut bytes, mut ends) = (Vec::with_capacity(KEY_BYTES), Ends::new());
        let pushed = self.push_keys(fields, &mut bytes, &mut ends);
        (pushed.is_ok() && ends.len() == 1).then_some(bytes)
    }

    /// As [`FieldIndex::key_of`], where it must be the only document's.
    pub(crate) fn claim_of(&self, version: &Document) -> Option<Vec<u8>> {
        let (mut bytes, mut ends) = (Vec::with_capacity(KEY_BYTES), Ends::new());
        let claims = self.push_keys(version.fields(), &mut bytes, &mut ends);
        (claims == Ok(true) && !version.is_tombstone()).then_some(bytes)
    }

    /// Whether a version has a key.
    fn has(&self, version: &Document, key: &[u8], spare: &mut Vec<u8>) -> bool {
        let mut found = false;
        self.keys_of(version, spare, |held| found |= held == key);
        found
    }

    /// The bytes of an entry of an ordered index behind its key.
    fn push_row(&self, id: &[u8], row: RowId, entry: &mut EntryBytes) {
        let last = self.definition.fields.last();
        let inverted = last.is_some_and(|last| last.direction == Direction::Descending);
        let mask = if inverted { 0xff } else { 0 };
        entry.extend(id.iter().map(|byte| byte ^ mask));
        entry.push(mask);
        entry.extend_from_slice(&row.to_be_bytes());
    }

    /// Adds a row under a key. One that came back while an old version with it is still kept has
    /// its entry already, but never in a `fresh` row.
    fn insert(&self, key: Key<'_>, row: RowId, fresh: bool, guard: &Guard) {
        match &self.entries {
            Entries::Unique(entries) => {
                let held = |held| (held == row).then_some(());
                if fresh || entries.find(key.hash, guard, held).is_none() {
                    entries.insert(key.hash, row, |_| key.hash, guard);
                }
            }
            Entries::Hashed(entries) => {
                entries.change(&hashed(key.hash, row), Change::Put, guard);
            }
            Entries::Ordered(entries) => {
                let mut entry = EntryBytes::from_slice(key.bytes);
                self.push_row(key.version.key_bytes(), row, &mut entry);
                entries.change(&entry, Change::Put, guard);
            }
            #[cfg(feature = "full-text")]
            Entries::Text(entries) => entries.insert(key.version.fields(), row, guard),
        }
    }

    fn remove(&self, key: Key<'_>, row: RowId, guard: &Guard) {
        match &self.entries {
            Entries::Unique(entries) => {
                entries.remove(key.hash, row, |_| 0, guard);
            }
            Entries::Hashed(entries) => {
                entries.change(&hashed(key.hash, row), Change::Take, guard);
            }
            Entries::Ordered(entries) => {
                let mut entry = EntryBytes::from_slice(key.bytes);
                self.push_row(key.version.key_bytes(), row, &mut entry);
                entries.change(&entry, Change::Take, guard);
            }
            #[cfg(feature = "full-text")]
            Entries::Text(entries) => entries.remove(key.version.fields(), row, guard),
        }
    }

    /// Whether it has the entries of this row already. What changes in other rows is found when
    /// they are built.
    fn covers(&self, row: RowId) -> bool {
        row < self.built.load(Ordering::Relaxed)
    }

    /// Judges the keys of a document: where each ends, in bytes that begin at `from`.
    fn check_length(&self, id: &[u8], from: usize, ends: &[u32]) -> Result<(), NoKey> {
        if ends.len() > INDEX_ELEMENTS_MAX {
            let mut fields = self.definition.fields.iter();
            let what = match fields.any(|field| field.elements && field.expression.is_some()) {
                true => "names and values in the JSON",
                false => "elements of the array",
            };
            return Err(self.too_long(what, ends.len(), INDEX_ELEMENTS_MAX));
        }
        let starts = std::iter::once(from).chain(ends.iter().map(|end| *end as usize));
        let mut keys = starts.zip(ends);
        keys.try_for_each(|(start, end)| self.check_key(id, *end as usize - start))
    }

    /// Judges a key of so many bytes.
    fn check_key(&self, id: &[u8], key: usize) -> Result<(), NoKey> {
        if !matches!(self.entries, Entries::Ordered(_)) {
            return Ok(());
        }
        if key > INDEX_KEY_BYTES_MAX {
            return Err(self.too_long("bytes of the indexed value", key, INDEX_KEY_BYTES_MAX));
        }
        let (both, both_max) = (key + id.len(), ENTRY_BYTES_MAX - ROW_BYTES);
        if both > both_max {
            return Err(self.too_long("bytes of the indexed value and the id", both, both_max));
        }
        Ok(())
    }

    fn too_long(&self, what: &'static str, found: usize, max: usize) -> NoKey {
        NoKey {
            index: self.definition.name.clone(),
            why: NoKeyReason::TooLong { found, max, what },
        }
    }
}

/// A key of a document.
#[derive(Clone, Copy)]
struct Key<'a> {
    bytes: &'a [u8],
    hash: u32,
    /// The version that has it.
    version: &'a Document,
}

fn hashed(hash: u32, row: RowId) -> [u8; 8] {
    (u64::from(hash) << 32 | u64::from(row)).to_be_bytes()
}

/// Appends the bytes by which a value is ordered in a direction.
pub fn encode_directed<'a>(
    value: impl Into<velocitydb_types::View<'a>>,
    direction: Direction,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    encode_value_key(value, out);
    if direction == Direction::Descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

impl Keys {
    fn iter(&self) -> impl Iterator<Item = (KeyIn, &[u8])> {
        let starts = std::iter::once(0).chain(self.keys.iter().map(|key| key.end));
        self.keys
            .iter()
            .zip(starts)
            .map(move |(key, start)| (*key, &self.bytes[start as usize..key.end as usize]))
    }

    /// The key in the unique index at this place that no other document may have, and its hash.
    pub(crate) fn claim(&self, index: usize) -> Option<(&[u8], u32)> {
        let mut keys = self.iter();
        let claim = keys.find(|(key, _)| key.claims && key.index as usize == index);
        claim.map(|(key, bytes)| (bytes, key.hash))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Why documents cannot be in an index.
pub(crate) enum Misfit {
    NoKey(Document, NoKey),
    /// Two have the same key in a unique one.
    Twice(Box<(Document, Document)>),
}

#[cfg(test)]
mod tests;
