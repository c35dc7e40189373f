//! In which order an index comes, and in which parts it is read for the one that is wanted.
//!
//! An index has null as the smallest value. Where the greatest is wanted ([`Nulls::Greatest`]), the
//! first sort field's nulls are a part of their own that is read on the other side:
//!
//! ```text
//!   the index, ascending      null null │ 1  2  5
//!   read ascending            1  2  5 │ null null
//!   read descending           null null │ 5  2  1
//! ```
//!
//! Where a further field may be null, the order ends before it. Tests: through `plan`, whose answers
//! are compared with scans.

use velocitydb_engine::catalog::Collection;
use velocitydb_engine::store::{FieldIndex, KeyRange, Order, encode_directed};
use velocitydb_types::{Path, Value};

use super::bounds::{self, Bounds, Keys};
use super::is_id;
use crate::filter::Filter;
use crate::find::{Cursor, Find};
use crate::sort::{Direction, Nulls, null_bytes};

/// The order in which one range of an index comes.
pub(super) struct InOrder {
    /// How many of the first sort fields it is that of.
    pub(super) sorted_by: usize,
    /// Whether it is the whole order.
    pub(super) sorted: bool,
    /// Which way the range is read for it.
    pub(super) order: Order,
    /// How many of the index's first fields are equal where those sort fields are.
    pub(super) fields: usize,
    /// What is to be done with the nulls of the first field that has no given value.
    pub(super) nulls: Part,
}

/// What is done with a part of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It is read where it stands.
    Stays,
    /// It is read on the other side.
    Moves,
    /// It is not read: the filter wants nothing of it.
    Goes,
}

impl InOrder {
    /// In no order of interest.
    pub(super) fn none(find: &Find) -> InOrder {
        InOrder {
            sorted_by: 0,
            sorted: find.sort.is_empty(),
            order: Order::Forward,
            fields: 0,
            nulls: Part::Stays,
        }
    }
}

/// The order of an index of which a query needs one range.
pub(super) fn of(
    collection: &Collection,
    index: &FieldIndex,
    keys: &Keys,
    find: &Find,
    conjuncts: &[&Filter],
) -> InOrder {
    if find.sort.is_empty() {
        return InOrder::none(find);
    }
    let constant = |path: &Path| {
        let field = path.clone().into();
        matches!(bounds::of_field(conjuncts, &field), Some(Bounds::Points(values)) if values.len() == 1)
    };
    let fields = &index.definition().fields;
    let id_direction = fields
        .last()
        .map_or(Direction::Ascending, |last| last.direction);
    let (mut at, mut backward) = (keys.points, None);
    let mut agrees = |stored: Direction, wanted: Direction| {
        let reversed = stored != wanted;
        *backward.get_or_insert(reversed) == reversed
    };
    let mut nulls = Part::Stays;
    // Whether the nulls of the index's field at this place can be where they are wanted.
    let mut nulls_fit = |at: usize, path: &Path| {
        if find.nulls == Nulls::Smallest {
            return true;
        }
        let free = at == keys.bounded;
        match (at == keys.points, never_null(collection, conjuncts, path)) {
            // An interval is of values of one type.
            (true, _) if !free => {}
            (true, true) => nulls = Part::Goes,
            (true, false) => nulls = Part::Moves,
            (false, never) => return never,
        }
        true
    };
    let mut matched = 0;
    let mut by_id = false;
    for (path, direction) in &find.sort {
        let next = fields.get(at).filter(|next| next.path == *path);
        if next.is_some_and(|next| agrees(next.direction, *direction) && nulls_fit(at, path)) {
            at += 1;
        } else if at == fields.len() && is_id(path) && agrees(id_direction, *direction) {
            by_id = true;
            matched = find.sort.len();
            break;
        } else if !constant(path) {
            break;
        }
        matched += 1;
    }
    let ties = find.tie_direction();
    let whole =
        matched == find.sort.len() && (by_id || at == fields.len() && agrees(id_direction, ties));
    let order = if backward == Some(true) {
        Order::Backward
    } else {
        Order::Forward
    };
    InOrder {
        sorted_by: matched,
        sorted: whole,
        order,
        fields: at,
        nulls,
    }
}

/// Whether no document that meets the conditions has null in a field, or lacks it.
fn never_null(collection: &Collection, conjuncts: &[&Filter], path: &Path) -> bool {
    let definition = &collection.definition;
    let required = || {
        let field = definition.schema.field(path.first());
        path.rest().is_empty() && field.is_some_and(|field| field.required)
    };
    let excluded = |condition: &&Filter| match condition {
        Filter::Ne(at, Value::Null) => at == path,
        Filter::Eq(at, value)
        | Filter::Lt(at, value)
        | Filter::Le(at, value)
        | Filter::Gt(at, value)
        | Filter::Ge(at, value) => at == path && !value.is_null(),
        Filter::In(at, values) => at == path && !values.as_slice().iter().any(Value::is_null),
        Filter::Prefix(at, _) => at == path,
        _ => false,
    };
    let key = definition.primary_key.as_ref();
    required()
        || path.rest().is_empty() && key.is_some_and(|key| key.has(path.first()))
        || conjuncts.iter().any(excluded)
}

/// The parts of an index, in the order in which they are read forwards; behind the cursor.
pub(super) fn parts(
    index: &FieldIndex,
    keys: &Keys,
    in_order: &InOrder,
    find: &Find,
) -> Vec<KeyRange> {
    let after = find
        .after
        .as_ref()
        .filter(|_| in_order.sorted && continues(index, keys.points, find));
    let [range] = &keys.ranges[..] else {
        return keys.ranges.clone();
    };
    let order = in_order.order;
    let go_on = |mut range, after: &Cursor, fields: &[u8]| {
        go_on_behind(index, &mut range, &keys.prefix, order, after, fields);
        range
    };
    if in_order.nulls == Part::Stays {
        let behind = after.map(|after| go_on(range.clone(), after, after.parts().0));
        return vec![behind.unwrap_or_else(|| range.clone())];
    }
    let stored = index.definition().fields[keys.points].direction;
    let mut null = Vec::new();
    encode_directed(&Value::Null, stored, &mut null);
    let nulls = KeyRange::equal([&keys.prefix[..], &null].concat());
    // Null is at one end of the index.
    let others = match stored {
        Direction::Ascending => KeyRange {
            from: nulls.to.clone().unwrap_or_default(),
            to: range.to.clone(),
        },
        Direction::Descending => KeyRange {
            from: range.from.clone(),
            to: Some(nulls.from.clone()),
        },
    };
    let goes = in_order.nulls == Part::Goes;
    let (mut nulls, mut others) = ((!goes).then_some(nulls), Some(others));
    if let Some(after) = after {
        let wanted = find.sort[0].1;
        let fields = after.parts().0;
        if let Some(rest) = fields.strip_prefix(null_bytes(Nulls::Greatest, wanted)) {
            let fields = [null_bytes(Nulls::Smallest, wanted), rest].concat();
            nulls = nulls.map(|range| go_on(range, after, &fields));
            others = others.filter(|_| wanted == Direction::Descending);
        } else {
            others = others.map(|range| go_on(range, after, fields));
            nulls = nulls.filter(|_| wanted == Direction::Ascending);
        }
    }
    let parts = match stored {
        Direction::Ascending => [others, nulls],
        Direction::Descending => [nulls, others],
    };
    parts.into_iter().flatten().collect()
}

/// Whether the sort fields are those of an index behind the first ones, and nothing else.
fn continues(index: &FieldIndex, points: usize, find: &Find) -> bool {
    let fields = index.definition().fields[points..].iter();
    fields
        .map(|field| &field.path)
        .eq(find.sort.iter().map(|(path, _)| path))
}

/// Lets a range begin behind a place in the answer, whose sort fields have these bytes in the
/// order of the index: see the layout in the engine's `FieldIndex`.
fn go_on_behind(
    index: &FieldIndex,
    range: &mut KeyRange,
    prefix: &[u8],
    order: Order,
    after: &Cursor,
    fields: &[u8],
) {
    let last = index.definition().fields.last();
    let descends = last.is_some_and(|last| last.direction == Direction::Descending);
    let end = if descends { 0xff } else { 0 };
    let (_, id) = after.parts();
    let mut place = prefix.to_vec();
    let turned = if order == Order::Backward { 0xff } else { 0 };
    place.extend(fields.iter().chain(id).map(|byte| byte ^ turned));
    place.push(end);
    match order {
        Order::Forward => {
            // Behind all rows.
            place.extend_from_slice(&[0xff; 4]);
            range.from = place.max(std::mem::take(&mut range.from));
        }
        Order::Backward => match &mut range.to {
            Some(to) if *to <= place => {}
            to => *to = Some(place),
        },
    }
}
