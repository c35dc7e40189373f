//! Arrays: of one dimension, beginning at 1.

use velocitydb_query::QueryError;
use velocitydb_types::{SqlType, Value, View};

use super::call::{Call, owned};
use super::kinds::*;
use super::logic::order;
use super::{Answer, BYTES_MAX, Row, convert, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("array", &[Common], CommonArray, |call| Ok(Value::Array((0..call.len()).map(|at| call.value(at)).collect()))).with_nulls().variadic(),
    f("subscript", &[Array, INT4], Element, subscript),
    f("slice", &[Array, INT4, INT4], Array, |call| slice(call, call.int(1)?, call.int(2)?)),
    f("slice from", &[Array, INT4], Array, |call| slice(call, call.int(1)?, i64::MAX)),
    f("slice to", &[Array, INT4], Array, |call| slice(call, 1, call.int(1)?)),
    f("slice all", &[Array], Array, |call| Ok(call.value(0))),
    f("array_length", &[Array, INT4], INT4, |call| bound(call, |len| len)),
    f("array_lower", &[Array, INT4], INT4, |call| bound(call, |_| 1)),
    f("array_upper", &[Array, INT4], INT4, |call| bound(call, |len| len)),
    f("array_ndims", &[Array], INT4, |call| Ok(not_empty(call)?.map(|_| 1_i64).into())),
    f("array_dims", &[Array], TEXT, |call| Ok(not_empty(call)?.map(|len| format!("[1:{len}]")).into())),
    f("cardinality", &[Array], INT4, |call| Ok((call.array(0)?.len() as i64).into())),
    f("array_append", &[CommonArray, Common], CommonArray, append).with_nulls(),
    f("array_prepend", &[Common, CommonArray], CommonArray, prepend).with_nulls(),
    f("array_cat", &[CommonArray, CommonArray], CommonArray, cat).with_nulls(),
    f("||", &[CommonArray, Common], CommonArray, append).with_nulls(),
    f("||", &[Common, CommonArray], CommonArray, prepend).with_nulls(),
    f("||", &[CommonArray, CommonArray], CommonArray, cat).with_nulls(),
    f("array_position", &[CommonArray, Common], INT4, |call| position(call, 1)).with_nulls(),
    f("array_position", &[CommonArray, Common, INT4], INT4, position_from).with_nulls(),
    f("array_positions", &[CommonArray, Common], Kind::ArrayOf(velocitydb_types::ScalarType::Int4), positions).with_nulls(),
    f("array_remove", &[CommonArray, Common], CommonArray, remove).with_nulls(),
    f("array_replace", &[CommonArray, Common, Common], CommonArray, replace).with_nulls(),
    f("trim_array", &[Array, INT4], Array, trim_array),
    f("array_fill", &[Element, Kind::ArrayOf(velocitydb_types::ScalarType::Int4)], Array, fill).with_nulls(),
    f("@>", &[Array, Array], BOOL, |call| contains(call, 0, 1)),
    f("<@", &[Array, Array], BOOL, |call| contains(call, 1, 0)),
    f("&&", &[Array, Array], BOOL, overlaps),
    f("array_to_string", &[Array, TEXT], TEXT, |call| join(call, None)),
    f("array_to_string", &[Array, TEXT, TEXT], TEXT, join_with_null).with_nulls(),
];

use super::Kind;

/// The type of the elements of an argument.
fn element_type(call: &Call<'_, '_>, index: usize) -> SqlType {
    match call.sql_type(index) {
        SqlType::Array(element) => SqlType::Scalar(element),
        scalar => scalar,
    }
}

fn subscript(call: &Call<'_, '_>) -> Answer {
    let index = usize::try_from(call.int(1)?)
        .ok()
        .and_then(|index| index.checked_sub(1));
    let element = index.and_then(|index| call.array(0).ok()?.get(index));
    Ok(element.map_or(Value::Null, owned))
}

fn slice(call: &Call<'_, '_>, from: i64, to: i64) -> Answer {
    let array = call.array(0)?;
    let (from, to) = (from.max(1), to.min(array.len() as i64));
    let positions = (from..=to).filter_map(|at| array.get(at as usize - 1));
    Ok(Value::Array(positions.map(owned).collect()))
}

fn not_empty(call: &Call<'_, '_>) -> Result<Option<i64>, QueryError> {
    Ok(match call.array(0)?.len() {
        0 => None,
        len => Some(len as i64),
    })
}

fn bound(call: &Call<'_, '_>, of: fn(i64) -> i64) -> Answer {
    let len = not_empty(call)?.filter(|_| call.int(1).is_ok_and(|dimension| dimension == 1));
    Ok(len.map(of).into())
}

fn elements(call: &Call<'_, '_>, index: usize) -> Result<Vec<Value>, QueryError> {
    match call.is_null(index) {
        true => Ok(Vec::new()),
        false => Ok(call.array(index)?.iter().map(owned).collect()),
    }
}

fn append(call: &Call<'_, '_>) -> Answer {
    let mut array = elements(call, 0)?;
    array.push(call.value(1));
    Ok(array.into())
}

fn prepend(call: &Call<'_, '_>) -> Answer {
    let mut array = elements(call, 1)?;
    array.insert(0, call.value(0));
    Ok(array.into())
}

fn cat(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) {
        return Ok(call.value(1));
    }
    let mut array = elements(call, 0)?;
    array.extend(elements(call, 1)?);
    Ok(array.into())
}

/// Positions, from 1, of a value in the first argument; a null is found as a null.
fn found<'c>(
    call: &'c Call<'_, '_>,
    from: i64,
) -> Result<impl Iterator<Item = i64> + 'c, QueryError> {
    let (array, sql) = (call.array(0)?, element_type(call, 0));
    let matches = move |element: Option<View<'_>>| {
        element.is_some_and(|element| order(sql, element, call.view(1)).is_eq())
    };
    let from = from.max(1);
    Ok((from..=array.len() as i64).filter(move |at| matches(array.get(*at as usize - 1))))
}

fn position(call: &Call<'_, '_>, from: i64) -> Answer {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    Ok(found(call, from)?.next().into())
}

fn position_from(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    match call.is_null(2) {
        true => Err(fault("22004", "initial position must not be null")),
        false => position(call, call.int(2)?),
    }
}

fn positions(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    Ok(Value::Array(found(call, 1)?.map(Value::Int).collect()))
}

fn remove(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    let sql = element_type(call, 0);
    let kept = call
        .array(0)?
        .iter()
        .filter(|element| order(sql, element.clone(), call.view(1)).is_ne());
    Ok(Value::Array(kept.map(owned).collect()))
}

fn replace(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    let sql = element_type(call, 0);
    let replaced = call.array(0)?.iter().map(|element| {
        match order(sql, element.clone(), call.view(1)).is_eq() {
            true => call.value(2),
            false => owned(element),
        }
    });
    Ok(Value::Array(replaced.collect()))
}

fn trim_array(call: &Call<'_, '_>) -> Answer {
    let (len, less) = (call.array(0)?.len() as i64, call.int(1)?);
    match (0..=len).contains(&less) {
        true => slice(call, 1, len - less),
        false => Err(fault(
            "2202E",
            format!("number of elements to trim must be between 0 and {len}"),
        )),
    }
}

fn fill(call: &Call<'_, '_>) -> Answer {
    if call.is_null(1) {
        return Err(fault(
            "22004",
            "dimension array or low bound array cannot be null",
        ));
    }
    let lengths = elements(call, 1)?;
    let [Value::Int(length)] = lengths.as_slice() else {
        return match lengths.as_slice() {
            [] => Ok(Value::Array(Vec::new())),
            [Value::Null] => Err(fault("22004", "dimension values cannot be null")),
            _ => Err(fault(
                "0A000",
                "arrays of several dimensions are not supported",
            )),
        };
    };
    let value = call.value(0);
    let bytes = usize::try_from(*length)
        .unwrap_or(0)
        .saturating_mul(size_of::<Value>());
    if bytes > BYTES_MAX {
        return Err(fault("54000", "array size exceeds the maximum allowed"));
    }
    Ok(Value::Array(vec![
        value;
        usize::try_from(*length).unwrap_or(0)
    ]))
}

/// Whether every element of one array is in another; a null is in none.
fn contains(call: &Call<'_, '_>, all: usize, some: usize) -> Answer {
    let sql = element_type(call, all);
    let mut all: Vec<_> = call.array(all)?.iter().collect();
    all.sort_by(|a, b| order(sql, a.clone(), b.clone()));
    let is_in = |element: View<'_>| {
        !matches!(element, View::Null)
            && all
                .binary_search_by(|other| order(sql, other.clone(), element.clone()))
                .is_ok()
    };
    Ok(call.array(some)?.iter().all(is_in).into())
}

fn overlaps(call: &Call<'_, '_>) -> Answer {
    let sql = element_type(call, 0);
    let mut all: Vec<_> = call.array(0)?.iter().collect();
    all.sort_by(|a, b| order(sql, a.clone(), b.clone()));
    let is_in = |element: View<'_>| {
        !matches!(element, View::Null)
            && all
                .binary_search_by(|other| order(sql, other.clone(), element.clone()))
                .is_ok()
    };
    Ok(call.array(1)?.iter().any(is_in).into())
}

fn join(call: &Call<'_, '_>, null: Option<&str>) -> Answer {
    let (sql, separator) = (element_type(call, 0), call.text(1)?);
    let (mut joined, mut is_first) = (String::new(), true);
    for element in call.array(0)?.iter() {
        let text = match (element, null) {
            (View::Null, None) => continue,
            (View::Null, Some(null)) => null.to_owned(),
            (element, _) => convert::shown(element, sql, &call.bound.settings)?,
        };
        if !std::mem::take(&mut is_first) {
            joined.push_str(separator);
        }
        joined.push_str(&text);
        super::text::check_len(joined.len())?;
    }
    Ok(joined.into())
}

fn join_with_null(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) || call.is_null(1) {
        return Ok(Value::Null);
    }
    match call.is_null(2) {
        true => join(call, None),
        false => join(call, Some(call.text(2)?)),
    }
}
