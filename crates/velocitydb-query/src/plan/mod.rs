//! How a question for documents is answered: which index, in what order, what is left to do.
//!
//! ```text
//!   filter, sort ──► candidates: each built index that helps, and the scan
//!                        │ how many entries (asked of the index itself: no histograms)
//!                        ▼
//!                    the cheapest ──► access ──► filter ──► order ──► offset, limit
//! ```
//!
//! An index only proposes documents: the whole filter is asked again of each, so that an index
//! never changes an answer. Costs are guesses in nanoseconds; what they decide is which plan is
//! tried, and a scan wins where an index would touch much of the collection in random order.
//!
//! Files: `remembered` (what is not asked each time), `bounds` (from a filter to keys), `order` (in
//! which order an index comes), `texts` (words in texts), `explain` (what a plan says of itself).
//! Carried out by [`Find::stream`](crate::Find). Tests: `queries` in the embedded library's tests/it,
//! against scans with every subset of indexes.

mod bounds;
mod explain;
mod order;
mod remembered;
mod run;
#[cfg(feature = "full-text")]
mod texts;

use std::cmp::Reverse;
use std::sync::Arc;

use velocitydb_engine::catalog::{Collection, IndexKind, PrimaryKey};
use velocitydb_engine::store::{FieldIndex, KeyRange, Order, encode_directed};
use velocitydb_types::geo::{self, BoundingBox};
use velocitydb_types::{Key, Path, Value};

use crate::error::QueryError;
use crate::filter::Filter;
use crate::find::{Arrival, Find, Hint, Unsorted};
use bounds::Keys;
use order::InOrder;

pub use explain::{Explained, Meter, Step};
pub use remembered::Remembered;

/// What a document costs in a scan, in nanoseconds.
const SCANNED_NS: f64 = 150.0;
/// What an entry of an index costs, with its document, which lies anywhere.
const FETCHED_NS: f64 = 400.0;
/// What it costs to begin with a range.
const RANGE_NS: f64 = 1000.0;
/// What keeping a row and comparing it costs in a sort, for each comparison.
const SORTED_NS: f64 = 60.0;

/// So many documents at most are put into the order of insertion when nothing sorts them.
const OLDEST_FIRST_MAX: f64 = 10_000.0;

/// Costs seem to be the same up to this factor.
const SAME: f64 = 1.1;
/// A scan is no cheaper than one of so many documents where an index gives the order
/// ([`Unsorted::Habitual`]).
const SCANNED_MIN: f64 = 1000.0;

/// What it costs to ask a condition on a text of one document: its words are read anew.
const TEXT_NS: f64 = 3000.0;

/// How many parts of a geo index an area is covered by.
const COVER_RANGES: usize = 8;

/// How documents are reached.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Access {
    /// All of the collection, about in the order of insertion.
    Scan,
    /// Those with these ids.
    Ids {
        /// The ids.
        ids: Vec<Key>,
    },
    /// Those that have one of these keys, by an index without order.
    Lookup {
        /// The index.
        index: Arc<FieldIndex>,
        /// The keys.
        keys: Vec<Vec<u8>>,
    },
    /// Those in parts of an ordered index.
    Ranges {
        /// The index.
        index: Arc<FieldIndex>,
        /// The parts, in the order in which they are read forwards.
        ranges: Vec<KeyRange>,
        /// Which way they are read.
        order: Order,
    },
    /// Those whose texts have one of these words, by a full-text index.
    #[cfg(feature = "full-text")]
    Words {
        /// The index.
        index: Arc<FieldIndex>,
        /// The words.
        words: Vec<velocitydb_engine::text::Part>,
    },
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How documents are reached.
    pub access: Access,
    /// How many of the first sort fields they come in the order of.
    pub(crate) sorted_by: usize,
    /// Whether they come in the whole order that is asked for, ids included.
    pub(crate) sorted: bool,
    /// About how many documents are looked at.
    pub rows: f64,
    /// About how long it takes, in nanoseconds.
    pub cost: f64,
    /// Whether a scan hands on the oldest documents first, whichever row they stand in.
    pub(crate) oldest_first: bool,
    /// The plans that were dearer: their access, rows and cost.
    pub rejected: Vec<(Access, f64, f64)>,
}

/// See [`choose`].
type Helpful = Vec<(Arc<FieldIndex>, usize)>;

/// Chooses how `find` is answered from a collection.
///
/// # Errors
/// What [`Find::check`] refuses; when the index that `find` insists on is not there, not built, or
/// of no use.
pub fn plan(collection: &Collection, find: &Find) -> Result<Plan, QueryError> {
    find.check()?;
    choose(collection, find).map(|(plan, _)| plan)
}

/// [`plan`] of a question that may be asked; and the indexes that help with it, each with how many of
/// its first fields are bounded. None where nothing else had to be looked at.
fn choose(collection: &Collection, find: &Find) -> Result<(Plan, Helpful), QueryError> {
    let mut conjuncts = bounds::conjuncts(&find.filter);
    conjuncts.extend(bounds::conjuncts(&find.indexed));
    if find.hint.is_none() {
        if let Some(plan) = by_id(collection, find, &conjuncts) {
            return Ok((plan, Helpful::new()));
        }
        let mut unique = collection
            .indexes()
            .filter(|index| index.definition().unique);
        if let Some(plan) = unique.find_map(|index| by_unique(&index, &conjuncts)) {
            return Ok((plan, Helpful::new()));
        }
    }
    let documents = collection.len() as f64;
    let wanted = |index: &Arc<FieldIndex>| match &find.hint {
        // What it insists on is all that is looked at.
        Some(Hint::Index(name)) => index.definition().name == *name,
        Some(Hint::Scan) | None => true,
    };
    let usable = collection
        .indexes()
        .filter(|index| index.is_built() && wanted(index));
    let found = usable.filter_map(|index| candidate(collection, &index, find, &conjuncts));
    let mut candidates: Vec<Candidate> = found.collect();
    // What all conditions leave, as far as indexes know.
    let left = candidates
        .iter()
        .map(|one| one.rows)
        .fold(documents, f64::min);
    let helpful: Helpful = candidates
        .iter()
        .filter_map(|one| Some((Arc::clone(one.access.index()?), one.bounded)))
        .collect();
    candidates.push(Candidate {
        access: Access::Scan,
        rows: documents,
        sorted_by: 0,
        sorted: find.sort.is_empty(),
        run: None,
        known: 0,
        bounded: 0,
    });
    let costed = candidates
        .into_iter()
        .map(|one| (one.known, one.cost(find, left)));
    let mut costed: Vec<(usize, Plan)> = costed.collect();
    costed.sort_by(|(_, one), (_, other)| one.cost.total_cmp(&other.cost));
    // What is known of numbers is not exact. Of plans that seem to cost the same that one is taken
    // whose entries meet the most conditions: it passes over the fewest documents.
    let most = costed
        .first()
        .map_or(0.0, |(_, cheapest)| cheapest.cost * SAME);
    let same = costed.partition_point(|(_, plan)| plan.cost <= most);
    costed[..same].sort_by_key(|(known, _)| Reverse(*known));
    let mut plans: Vec<Plan> = costed.into_iter().map(|(_, plan)| plan).collect();
    match &find.hint {
        None => {}
        Some(Hint::Scan) => plans.retain(|plan| plan.index().is_none()),
        Some(Hint::Index(name)) => {
            let named = |plan: &Plan| plan.index().is_some_and(|i| i.definition().name == *name);
            plans.retain(named);
            if plans.is_empty() {
                return Err(QueryError::Hint {
                    index: name.clone(),
                });
            }
        }
    }
    let mut plans = plans.into_iter();
    let mut best = plans.next().unwrap_or_else(Plan::nothing);
    best.oldest_first = find.unsorted == Unsorted::Habitual
        && find.sort.is_empty()
        && documents <= OLDEST_FIRST_MAX;
    best.rejected = plans
        .map(|plan| (plan.access, plan.rows, plan.cost))
        .collect();
    Ok((best, helpful))
}

impl Plan {
    /// A scan, chosen by nobody.
    fn nothing() -> Plan {
        Plan {
            access: Access::Scan,
            sorted_by: 0,
            sorted: false,
            rows: 0.0,
            cost: 0.0,
            oldest_first: false,
            rejected: Vec::new(),
        }
    }

    pub(crate) fn arrival(&self) -> Arrival {
        Arrival {
            sorted_by: self.sorted_by,
            sorted: self.sorted,
        }
    }

    /// The same where others stand among the documents that it reaches, in no order.
    #[must_use]
    pub fn among_others(self, find: &Find) -> Plan {
        Plan {
            sorted: find.sort.is_empty(),
            sorted_by: 0,
            ..self
        }
    }

    /// The index that it uses.
    pub fn index(&self) -> Option<&Arc<FieldIndex>> {
        self.access.index()
    }
}

impl Access {
    fn index(&self) -> Option<&Arc<FieldIndex>> {
        match self {
            Access::Scan | Access::Ids { .. } => None,
            Access::Lookup { index, .. } | Access::Ranges { index, .. } => Some(index),
            #[cfg(feature = "full-text")]
            Access::Words { index, .. } => Some(index),
        }
    }
}

/// The plan of a query that names its documents by their ids: nothing is better.
fn by_id(collection: &Collection, find: &Find, conjuncts: &[&Filter]) -> Option<Plan> {
    let primary_key = collection.definition.primary_key.as_ref();
    let only = primary_key.and_then(PrimaryKey::only);
    let ids: Vec<Key> = match given(conjuncts, |name| name == "_id" || only == Some(name)) {
        // What can be no id is the id of no document.
        Some(values) => values
            .iter()
            .filter_map(|value| Key::from_shown(value).ok())
            .collect(),
        None => combined(primary_key?, conjuncts)?,
    };
    let rows = ids.len() as f64;
    Some(Plan {
        sorted_by: 0,
        sorted: find.sort.is_empty() || ids.len() <= 1,
        rows,
        cost: rows * FETCHED_NS,
        access: Access::Ids { ids },
        oldest_first: false,
        rejected: Vec::new(),
    })
}

/// The fewest values that a condition leaves to one of these fields of the document.
fn given<'f>(conjuncts: &[&'f Filter], is_it: impl Fn(&str) -> bool) -> Option<&'f [Value]> {
    let is_it = |path: &Path| path.rest().is_empty() && is_it(path.first());
    let all = conjuncts.iter().filter_map(|condition| match condition {
        Filter::Eq(path, value) if is_it(path) => Some(std::slice::from_ref(value)),
        Filter::In(path, values) if is_it(path) => Some(values.as_slice()),
        _ => None,
    });
    all.min_by_key(|values| values.len())
}

/// The ids that come of values for each field of the primary key, unless they are too many.
fn combined(primary_key: &PrimaryKey, conjuncts: &[&Filter]) -> Option<Vec<Key>> {
    let mut all = vec![Vec::new()];
    for field in primary_key.fields() {
        let values = given(conjuncts, |name| name == field)?;
        if all.len() * values.len() > bounds::RANGES_MAX {
            return None;
        }
        let with = |before: &Vec<Value>, value| before.iter().chain([value]).cloned().collect();
        let longer = all
            .iter()
            .flat_map(|before| values.iter().map(move |value| with(before, value)));
        all = longer.collect();
    }
    let keys = all
        .iter()
        .filter_map(|values| Key::from_values(values).ok());
    Some(keys.collect())
}

/// The plan of a query that names one document by a unique index: nothing is better.
fn by_unique(index: &Arc<FieldIndex>, conjuncts: &[&Filter]) -> Option<Plan> {
    let definition = index.definition();
    if definition.filter.is_some() {
        return None;
    }
    let key = bounds::only_key(definition, conjuncts)?;
    let index = Arc::clone(index);
    Some(Plan {
        access: match index.is_ordered() {
            false => Access::Lookup {
                index,
                keys: vec![key],
            },
            true => Access::Ranges {
                index,
                ranges: vec![KeyRange::equal(key)],
                order: Order::Forward,
            },
        },
        sorted_by: 0,
        sorted: true,
        rows: 1.0,
        cost: RANGE_NS,
        oldest_first: false,
        rejected: Vec::new(),
    })
}

fn access(index: &Arc<FieldIndex>, keys: Keys) -> Access {
    let index = Arc::clone(index);
    if index.is_ordered() {
        return Access::Ranges {
            index,
            ranges: keys.ranges,
            order: Order::Forward,
        };
    }
    let key = |mut range: KeyRange| {
        range.from.pop();
        range.from
    };
    Access::Lookup {
        index,
        keys: keys.ranges.into_iter().map(key).collect(),
    }
}

/// A way to reach documents, and what is known of it.
struct Candidate {
    access: Access,
    rows: f64,
    sorted_by: usize,
    sorted: bool,
    /// About how many of them are equal in the sort fields by which they come sorted; of no
    /// interest where those are none or all.
    run: Option<f64>,
    /// About how many conditions its entries meet.
    known: usize,
    /// Of how many of the index's first fields.
    bounded: usize,
}

fn candidate(
    collection: &Collection,
    index: &Arc<FieldIndex>,
    find: &Find,
    conjuncts: &[&Filter],
) -> Option<Candidate> {
    let definition = index.definition();
    if !bounds::implies(conjuncts, definition.filter.as_ref()) {
        return None;
    }
    match definition.kind {
        IndexKind::Hash | IndexKind::Btree | IndexKind::TimeSeries => {}
        IndexKind::Geo => return within(index, find, conjuncts),
        #[cfg(feature = "full-text")]
        IndexKind::FullText => return texts::candidate(index, find, conjuncts),
        _ => return None,
    }
    let elements = definition.fields.iter().any(|field| field.elements);
    let rarest = rarest_element(collection, index, conjuncts);
    let keys = match &rarest {
        None => bounds::keys(definition, conjuncts),
        Some(rarest) => bounds::keys(definition, &[rarest]),
    };
    if !index.is_ordered() {
        let whole = |keys: &Keys| keys.points == definition.fields.len();
        let keys = keys.filter(|keys| whole(keys) && !(definition.unique && keys.nulls))?;
        let Access::Lookup { index, keys } = access(index, keys) else {
            return None;
        };
        let rows = keys
            .iter()
            .map(|key| collection.estimate_equal(&index, key))
            .sum::<usize>();
        return Some(Candidate {
            access: Access::Lookup { index, keys },
            rows: rows as f64,
            sorted_by: 0,
            sorted: find.sort.is_empty(),
            run: None,
            known: definition.fields.len(),
            bounded: definition.fields.len(),
        });
    }
    // Documents without elements are not in the index: only who asks for elements is served.
    if elements
        && keys
            .as_ref()
            .is_none_or(|keys| !reaches_elements(index, keys))
    {
        return None;
    }
    let keys = keys.unwrap_or_else(|| Keys {
        ranges: vec![KeyRange::all()],
        ..Keys::default()
    });
    let rows = keys
        .ranges
        .iter()
        .map(|range| index.estimate(range))
        .sum::<usize>();
    let in_order = if keys.ranges.len() == 1 && !elements {
        order::of(collection, index, &keys, find, conjuncts)
    } else {
        InOrder::none(find)
    };
    // A whole index in no useful order is a dear scan.
    if keys.bounded == 0 && in_order.sorted_by == 0 {
        return None;
    }
    let ranges = order::parts(index, &keys, &in_order, find);
    let known = keys.points + usize::from(definition.filter.is_some());
    let InOrder {
        sorted_by,
        sorted,
        order,
        fields,
        ..
    } = in_order;
    let in_runs = sorted_by > 0 && !sorted && find.limit.is_some();
    let first = match order {
        Order::Forward => ranges.first(),
        Order::Backward => ranges.last(),
    };
    let run = first.filter(|_| in_runs);
    let run = run.map(|first| index.estimate_run(first, order, fields) as f64);
    Some(Candidate {
        access: Access::Ranges {
            index: Arc::clone(index),
            ranges,
            order,
        },
        rows: rows as f64,
        sorted_by,
        sorted,
        run,
        known,
        bounded: keys.bounded,
    })
}

/// How many of the elements that an array must have are looked at for the one that the fewest have.
const RAREST_LOOKS: usize = 32;

/// Of several elements that an array must have, the one that an index of elements alone has for the
/// fewest documents.
fn rarest_element(
    collection: &Collection,
    index: &FieldIndex,
    conjuncts: &[&Filter],
) -> Option<Filter> {
    let [field] = &index.definition().fields[..] else {
        return None;
    };
    if !field.elements || index.is_ordered() {
        return None;
    }
    let all = conjuncts.iter().flat_map(|condition| match condition {
        Filter::ContainsAll(at, values) if *at == field.path => values.as_slice(),
        Filter::Contains(at, value) if *at == field.path => std::slice::from_ref(value),
        _ => &[],
    });
    let guessed = all.take(RAREST_LOOKS).map(|value| {
        let mut key = Vec::new();
        encode_directed(value, field.direction, &mut key);
        (collection.estimate_equal(index, &key), value)
    });
    let (_, rarest) = guessed.min_by_key(|(rows, _)| *rows)?;
    Some(Filter::Contains(field.path.clone(), rarest.clone()))
}

/// The parts of a geo index that have every point in a box, at most so many.
pub(crate) fn key_ranges(area: &BoundingBox, ranges_max: usize) -> impl Iterator<Item = KeyRange> {
    let key = |cell: u64| cell.to_be_bytes().to_vec();
    let cells = geo::cover(area, ranges_max).into_iter();
    cells.map(move |cells| KeyRange {
        from: key(*cells.start()),
        to: cells.end().checked_add(1).map(key),
    })
}

/// How an area is reached by a geo index: by the parts of the curve that cover a box around it.
fn within(index: &Arc<FieldIndex>, find: &Find, conjuncts: &[&Filter]) -> Option<Candidate> {
    let path = &index.definition().fields[0].path;
    let area = conjuncts.iter().find_map(|condition| match condition {
        Filter::Within(at, area) if at == path => Some(area),
        _ => None,
    })?;
    let ranges: Vec<_> = key_ranges(&area.bounding_box(), COVER_RANGES).collect();
    let rows = ranges
        .iter()
        .map(|range| index.estimate(range))
        .sum::<usize>();
    Some(Candidate {
        access: Access::Ranges {
            index: Arc::clone(index),
            ranges,
            order: Order::Forward,
        },
        rows: rows as f64,
        sorted_by: 0,
        sorted: find.sort.is_empty(),
        run: None,
        known: 1,
        bounded: 1,
    })
}

fn reaches_elements(index: &FieldIndex, keys: &Keys) -> bool {
    let fields = &index.definition().fields;
    fields
        .iter()
        .position(|field| field.elements)
        .is_some_and(|at| keys.bounded > at)
}

fn is_id(path: &Path) -> bool {
    path.first() == "_id" && path.rest().is_empty()
}

impl Candidate {
    /// `left` is how many documents all conditions leave, as far as is known.
    fn cost(self, find: &Find, left: f64) -> Plan {
        let reached = match self.access {
            Access::Scan => SCANNED_NS,
            _ => FETCHED_NS,
        };
        let each = reached + find.filter.texts() as f64 * TEXT_NS;
        let ranges = match &self.access {
            Access::Scan | Access::Ids { .. } => 0,
            Access::Lookup { keys, .. } => keys.len(),
            Access::Ranges { ranges, .. } => ranges.len(),
            #[cfg(feature = "full-text")]
            Access::Words { words, .. } => words.len(),
        };
        let mut rows = self.rows;
        let wanted = find
            .limit
            .map(|limit| (limit.saturating_add(find.offset)) as f64);
        // In order, the first ones are enough; of those that the index proposes only some are wanted.
        // In runs, the last one is read to its end.
        let beyond = match self.sorted {
            true => Some(0.0),
            false => self.run,
        };
        if let (Some(wanted), Some(beyond)) = (wanted, beyond) {
            let proposed = wanted * (self.rows / left.max(1.0)).max(1.0);
            rows = rows.min(proposed + beyond);
        }
        let read = match (&self.access, find.unsorted) {
            (Access::Scan, Unsorted::Habitual) if find.sort.is_empty() => rows.max(SCANNED_MIN),
            _ => rows,
        };
        let mut cost = ranges as f64 * RANGE_NS + read * each;
        if !self.sorted {
            let sorted = left.min(rows);
            let depth = wanted.unwrap_or(sorted).min(sorted).max(2.0).log2();
            let part = if self.sorted_by > 0 { 0.5 } else { 1.0 };
            cost += sorted * depth * SORTED_NS * part;
        }
        Plan {
            access: self.access,
            sorted_by: self.sorted_by,
            sorted: self.sorted,
            rows,
            cost,
            oldest_first: false,
            rejected: Vec::new(),
        }
    }
}
