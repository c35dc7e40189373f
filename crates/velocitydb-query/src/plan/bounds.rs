//! What a filter says of one field, as far as an index can use it, and the keys that come of it.
//!
//! Everything here may be wider than the filter, never narrower: what an index finds is filtered
//! again. Tests: through `plan`, whose answers are compared with scans.

use std::ops::Bound;

use velocitydb_engine::catalog::{Direction, IndexDefinition, IndexField};
use velocitydb_engine::store::{KeyRange, encode_directed};
use velocitydb_types::{Comparison, Expression, Path, Value, compare, encode_string_prefix};

use crate::filter::{ELEMENT, Filter};

/// How many ranges of an index, or keys, a query may be made of.
pub(super) const RANGES_MAX: usize = 1000;

/// The values that a field may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bounds {
    /// One of these.
    Points(Vec<Value>),
    /// Values of one type between these.
    Interval(Bound<Value>, Bound<Value>),
    /// Strings that begin so.
    Prefix(String),
}

/// The conditions that all must hold.
pub(super) fn conjuncts(filter: &Filter) -> Vec<&Filter> {
    if !matches!(filter, Filter::And(_) | Filter::All) {
        return vec![filter];
    }
    let mut all = Vec::new();
    let mut left = vec![filter];
    while let Some(filter) = left.pop() {
        match filter {
            Filter::And(filters) => left.extend(filters.iter().rev()),
            Filter::All => {}
            other => all.push(other),
        }
    }
    all
}

/// What conditions that all must hold say of a field of an index.
pub(super) fn of_field(conjuncts: &[&Filter], field: &IndexField) -> Option<Bounds> {
    if field.elements {
        of_elements(conjuncts, &field.path)
    } else {
        of_path(conjuncts, &field.path)
    }
}

fn of_elements(conjuncts: &[&Filter], path: &Path) -> Option<Bounds> {
    conjuncts.iter().find_map(|condition| match condition {
        Filter::Contains(at, value) if at == path => Some(Bounds::Points(vec![value.clone()])),
        Filter::ContainsAll(at, values) if at == path => {
            let first = values.as_slice().first()?;
            Some(Bounds::Points(vec![first.clone()]))
        }
        Filter::ElemMatch(at, condition) if at == path => {
            of_path(&self::conjuncts(condition), &Path::field(ELEMENT))
        }
        _ => None,
    })
}

/// The tightest that one of the conditions, or those on a range together, say of a path.
fn of_path(conjuncts: &[&Filter], path: &Path) -> Option<Bounds> {
    let mut interval: Option<(Bound<Value>, Bound<Value>)> = None;
    let mut prefix = None;
    let mut listed: Option<&[Value]> = None;
    for condition in conjuncts {
        let (from, to, value) = match condition {
            Filter::Eq(at, value) if at == path => {
                return Some(Bounds::Points(vec![value.clone()]));
            }
            Filter::In(at, values) if at == path => {
                let shorter = |listed: &[Value]| values.as_slice().len() < listed.len();
                if listed.is_none_or(shorter) {
                    listed = Some(values.as_slice());
                }
                continue;
            }
            Filter::Prefix(at, text) if at == path => {
                prefix = Some(text);
                continue;
            }
            Filter::Lt(at, value) if at == path => (None, Some(Bound::Excluded(value)), value),
            Filter::Le(at, value) if at == path => (None, Some(Bound::Included(value)), value),
            Filter::Gt(at, value) if at == path => (Some(Bound::Excluded(value)), None, value),
            Filter::Ge(at, value) if at == path => (Some(Bound::Included(value)), None, value),
            _ => continue,
        };
        let (low, high) = interval.get_or_insert((Bound::Unbounded, Bound::Unbounded));
        // Of two types nothing holds: any one of the conditions will do.
        if [&*low, &*high]
            .into_iter()
            .any(|bound| !same_type(bound, value))
        {
            continue;
        }
        if let Some(from) = from
            && (*low == Bound::Unbounded || later(low.as_ref(), from))
        {
            *low = from.cloned();
        }
        if let Some(to) = to
            && (*high == Bound::Unbounded || earlier(high.as_ref(), to))
        {
            *high = to.cloned();
        }
    }
    match (listed, interval, prefix) {
        (Some(values), _, _) => Some(Bounds::Points(values.to_vec())),
        (None, Some((from, to)), _) => Some(Bounds::Interval(from, to)),
        (None, None, Some(prefix)) => Some(Bounds::Prefix(prefix.clone())),
        (None, None, None) => None,
    }
}

fn rank(value: &Value) -> u8 {
    let mut bytes = Vec::new();
    encode_directed(value, Direction::Ascending, &mut bytes);
    match bytes.first() {
        // Both bools are of one type.
        Some(0x11) => 0x10,
        first => first.copied().unwrap_or(0),
    }
}

fn same_type(bound: &Bound<Value>, value: &Value) -> bool {
    match bound {
        Bound::Included(other) | Bound::Excluded(other) => rank(other) == rank(value),
        Bound::Unbounded => true,
    }
}

/// Whether an interval from `new` on is smaller than one from `old` on.
fn later(old: Bound<&Value>, new: Bound<&Value>) -> bool {
    match (old, new) {
        (Bound::Unbounded, _) => true,
        (_, Bound::Unbounded) => false,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
            let excluded = matches!(new, Bound::Excluded(_));
            a < b || a == b && excluded
        }
    }
}

fn earlier(old: Bound<&Value>, new: Bound<&Value>) -> bool {
    match (old, new) {
        (Bound::Unbounded, _) => true,
        (_, Bound::Unbounded) => false,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
            let excluded = matches!(new, Bound::Excluded(_));
            b < a || a == b && excluded
        }
    }
}

/// The keys of an index that a query needs, as far as its first fields go.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    /// The parts of the index.
    pub(super) ranges: Vec<KeyRange>,
    /// How many of the first fields have given values; with one range: one value each.
    pub(super) points: usize,
    /// How many of the first fields are bounded at all.
    pub(super) bounded: usize,
    /// The bytes of the given values, where each field has one.
    pub(super) prefix: Vec<u8>,
    /// Whether null is among the given values.
    pub(super) nulls: bool,
}

/// The one key of an index, when conditions give each of its fields one value, and none is null.
pub(super) fn only_key(definition: &IndexDefinition, conjuncts: &[&Filter]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    for field in &definition.fields {
        let value = conjuncts.iter().find_map(|condition| match condition {
            Filter::Eq(at, value) if *at == field.path && !value.is_null() => Some(value),
            _ => None,
        })?;
        encode_directed(value, field.direction, &mut key);
    }
    Some(key)
}

/// The keys of an index, when its first field is bounded.
pub(super) fn keys(definition: &IndexDefinition, conjuncts: &[&Filter]) -> Option<Keys> {
    let mut keys = Keys::default();
    let mut prefixes = vec![Vec::new()];
    for field in &definition.fields {
        let bounds = of_field(conjuncts, field);
        match bounds {
            Some(Bounds::Points(values)) if prefixes.len() * values.len() <= RANGES_MAX => {
                let with = |value: &Value, prefix: &Vec<u8>| {
                    let mut key = prefix.clone();
                    encode_directed(value, field.direction, &mut key);
                    key
                };
                let longer = prefixes
                    .iter()
                    .flat_map(|prefix| values.iter().map(move |value| with(value, prefix)));
                prefixes = longer.collect();
                keys.nulls |= values.iter().any(Value::is_null);
                if let [prefix] = &prefixes[..] {
                    keys.prefix.clone_from(prefix);
                }
                keys.points += 1;
                keys.bounded += 1;
            }
            Some(Bounds::Interval(from, to)) => {
                let (from, to) = (from.as_ref(), to.as_ref());
                let ranges = prefixes
                    .iter()
                    .map(|p| interval(p, from, to, field.direction));
                keys.ranges = ranges.collect();
                keys.bounded += 1;
                return Some(keys);
            }
            Some(Bounds::Prefix(text)) => {
                let mut bytes = Vec::new();
                encode_string_prefix(&text, &mut bytes);
                if field.direction == Direction::Descending {
                    bytes.iter_mut().for_each(|byte| *byte = !*byte);
                }
                let ranges = prefixes.iter().map(|prefix| {
                    let from = [&prefix[..], &bytes].concat();
                    KeyRange {
                        to: successor(&from),
                        from,
                    }
                });
                keys.ranges = ranges.collect();
                keys.bounded += 1;
                return Some(keys);
            }
            _ => break,
        }
    }
    if keys.bounded == 0 {
        return None;
    }
    // In the order of the index, also where fields descend.
    prefixes.sort_unstable();
    prefixes.dedup();
    keys.ranges = prefixes.into_iter().map(KeyRange::equal).collect();
    Some(keys)
}

/// The least bytes greater than all that begin with these; `None`: there are none.
fn successor(bytes: &[u8]) -> Option<Vec<u8>> {
    let last = bytes.iter().rposition(|&byte| byte != 0xff)?;
    let mut next = bytes[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// The keys behind `prefix` whose next component is in an interval of one type.
///
/// A string's bytes are the beginning of those of the same string with a zero byte and more behind
/// it. Those go on with FF (inverted: with 00), all other keys with something between.
fn interval(
    prefix: &[u8],
    from: Bound<&Value>,
    to: Bound<&Value>,
    direction: Direction,
) -> KeyRange {
    let value = |bound| match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    };
    let Some(any) = value(from).or(value(to)) else {
        return KeyRange::all();
    };
    let (mut least, mut most) = match rank(any) {
        0x10 => (vec![0x10], vec![0x12]),
        tag => (vec![tag], vec![tag + 1]),
    };
    let key = |value: &Value, last: Option<u8>| {
        let mut key = Vec::new();
        encode_directed(value, direction, &mut key);
        key.extend(last);
        key
    };
    let (equal, above) = (Some(0x01), Some(0xff));
    if direction == Direction::Ascending {
        match from {
            Bound::Included(from) => least = key(from, equal),
            Bound::Excluded(from) => least = key(from, above),
            Bound::Unbounded => {}
        }
        match to {
            Bound::Included(to) => most = key(to, above),
            Bound::Excluded(to) => most = key(to, None),
            Bound::Unbounded => {}
        }
    } else {
        // All bytes below ~tag + 1 and from ~(tag of the next type) + 1 on.
        let (tag, next) = (least[0], most[0]);
        (least, most) = (vec![!next + 1], vec![!tag + 1]);
        match to {
            Bound::Included(to) => least = key(to, equal),
            Bound::Excluded(to) => least = key(to, above),
            Bound::Unbounded => {}
        }
        match from {
            Bound::Included(from) => most = key(from, above),
            Bound::Excluded(from) => most = key(from, equal),
            Bound::Unbounded => {}
        }
    }
    KeyRange {
        from: [prefix, &least].concat(),
        to: Some([prefix, &most].concat()),
    }
}

/// Whether documents that meet all conditions meet an index's.
pub(super) fn implies(conjuncts: &[&Filter], condition: Option<&Expression>) -> bool {
    let Some(condition) = condition else {
        return true;
    };
    let Some(comparisons) = condition.comparisons() else {
        return false;
    };
    comparisons.iter().all(|(path, comparison, value)| {
        let met = |found: &Value| {
            rank(found) == rank(value) && !found.is_null() && {
                let order = compare(found, *value);
                match comparison {
                    Comparison::Equal => order.is_eq(),
                    Comparison::NotEqual => order.is_ne(),
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterOrEqual => order.is_ge(),
                }
            }
        };
        // The end of an interval that is left out may be the value itself.
        let within = |bound: &Bound<Value>, excluded: Comparison| match bound {
            Bound::Included(end) => met(end),
            Bound::Excluded(end) => met(end) || end == *value && *comparison == excluded,
            Bound::Unbounded => false,
        };
        match (of_path(conjuncts, path), comparison) {
            (Some(Bounds::Points(values)), _) => values.iter().all(met),
            (Some(Bounds::Interval(_, to)), Comparison::Less | Comparison::LessOrEqual) => {
                within(&to, Comparison::Less)
            }
            (Some(Bounds::Interval(from, _)), Comparison::Greater | Comparison::GreaterOrEqual) => {
                within(&from, Comparison::Greater)
            }
            _ => false,
        }
    })
}
