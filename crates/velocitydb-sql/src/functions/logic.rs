//! Conditions with three values, comparisons, and what chooses among values.

use std::cmp::Ordering;

use velocitydb_query::{Arguments, Cell, QueryError};
use velocitydb_types::{ScalarType, SqlType, Value, View, compare};

use super::call::Call;
use super::kinds::*;
use super::{Answer, Bound, Row, f, fault, lazy};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    lazy("and", &[BOOL, BOOL], BOOL, |_, arguments| until(arguments, false)).variadic(),
    lazy("or", &[BOOL, BOOL], BOOL, |_, arguments| until(arguments, true)).variadic(),
    f("not", &[BOOL], BOOL, |call| Ok((!call.bool(0)?).into())),
    f("is null", &[Any], BOOL, |call| Ok(call.is_null(0).into())).with_nulls(),
    f("is not null", &[Any], BOOL, |call| Ok((!call.is_null(0)).into())).with_nulls(),
    f("is true", &[BOOL], BOOL, |call| is(call, Some(true), true)).with_nulls(),
    f("is not true", &[BOOL], BOOL, |call| is(call, Some(true), false)).with_nulls(),
    f("is false", &[BOOL], BOOL, |call| is(call, Some(false), true)).with_nulls(),
    f("is not false", &[BOOL], BOOL, |call| is(call, Some(false), false)).with_nulls(),
    f("is unknown", &[BOOL], BOOL, |call| is(call, None, true)).with_nulls(),
    f("is not unknown", &[BOOL], BOOL, |call| is(call, None, false)).with_nulls(),
    f("is distinct from", &[Any, Any], BOOL, |call| Ok(is_distinct(call)?.into())).with_nulls(),
    f("is not distinct from", &[Any, Any], BOOL, |call| Ok((!is_distinct(call)?).into())).with_nulls(),
    lazy("in", &[Any, Any], BOOL, |bound, arguments| is_in(bound, arguments, true)).variadic(),
    lazy("not in", &[Any, Any], BOOL, |bound, arguments| is_in(bound, arguments, false)).variadic(),
    f("between", &[Any, Any, Any], BOOL, |call| is_between(call, true)).with_nulls(),
    f("not between", &[Any, Any, Any], BOOL, |call| is_between(call, false)).with_nulls(),
    lazy("coalesce", &[Common], Common, coalesce).variadic(),
    f("nullif", &[Any, Any], Element, nullif).with_nulls(),
    f("greatest", &[Common], Common, |call| extreme(call, Ordering::Greater)).with_nulls().variadic(),
    f("least", &[Common], Common, |call| extreme(call, Ordering::Less)).with_nulls().variadic(),
    lazy("case", &[Any], Any, case).variadic(),
    f("num_nulls", &[Any], INT4, |call| Ok((nulls(call) as i64).into())).with_nulls().variadic(),
    f("num_nonnulls", &[Any], INT4, |call| Ok(((call.len() - nulls(call)) as i64).into())).with_nulls().variadic(),
];

macro_rules! comparisons {
    ($($a:ident $b:ident,)*) => {
        /// `=`, `<>`, `<`, `<=`, `>` and `>=` of these.
        pub(super) const COMPARISONS: &[Row] = &[$(
            f("=", &[$a, $b], BOOL, |call| holds(call, Ordering::is_eq)),
            f("<>", &[$a, $b], BOOL, |call| holds(call, Ordering::is_ne)),
            f("<", &[$a, $b], BOOL, |call| holds(call, Ordering::is_lt)),
            f("<=", &[$a, $b], BOOL, |call| holds(call, Ordering::is_le)),
            f(">", &[$a, $b], BOOL, |call| holds(call, Ordering::is_gt)),
            f(">=", &[$a, $b], BOOL, |call| holds(call, Ordering::is_ge)),
        )*];
    };
}

comparisons! {
    BOOL BOOL, TEXT TEXT, CHAR CHAR, BYTEA BYTEA, UUID UUID, JSONB JSONB, INTERVAL INTERVAL,
    INT2 INT2, INT2 INT4, INT2 INT8, INT4 INT2, INT4 INT4, INT4 INT8, INT8 INT2, INT8 INT4, INT8 INT8,
    FLOAT4 FLOAT4, FLOAT4 FLOAT8, FLOAT8 FLOAT4, FLOAT8 FLOAT8, NUMERIC NUMERIC,
    DATE DATE, DATE TIMESTAMP, DATE TIMESTAMPTZ,
    TIMESTAMP DATE, TIMESTAMP TIMESTAMP, TIMESTAMP TIMESTAMPTZ,
    TIMESTAMPTZ DATE, TIMESTAMPTZ TIMESTAMP, TIMESTAMPTZ TIMESTAMPTZ,
    Array Array,
}

/// `and` stops at the first false, `or` at the first true; null if any was.
fn until<'a>(arguments: &Arguments<'a>, decisive: bool) -> Result<Cell<'a>, QueryError> {
    let mut result = Value::Bool(!decisive);
    for cell in arguments.iter() {
        match truth(&cell?)? {
            Some(bool) if bool == decisive => return Ok(Cell::Owned(bool.into())),
            Some(_) => {}
            None => result = Value::Null,
        }
    }
    Ok(Cell::Owned(result))
}

fn truth(cell: &Cell<'_>) -> Result<Option<bool>, QueryError> {
    match cell.view() {
        View::Bool(bool) => Ok(Some(bool)),
        View::Null => Ok(None),
        _ => Err(fault(
            "42804",
            format!("a condition is {}, not true or false", cell.type_name()),
        )),
    }
}

fn is(call: &Call<'_, '_>, what: Option<bool>, wanted: bool) -> Answer {
    Ok(((truth(call.cell(0))? == what) == wanted).into())
}

/// The order of two values of a type. Blanks at the end of a `char` are nothing.
pub(super) fn order(sql: SqlType, a: View<'_>, b: View<'_>) -> Ordering {
    let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
    if !matches!(scalar, ScalarType::Char(_)) {
        return compare(a, b);
    }
    match (a, b) {
        (View::Str(a), View::Str(b)) => trimmed(a).cmp(trimmed(b)),
        (View::Array(a), View::Array(b)) => {
            let pairs = a.iter().zip(b.iter());
            let mut orders = pairs.map(|(a, b)| order(sql, a, b));
            let first = orders.find(|order| order.is_ne());
            first.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (a, b) => compare(a, b),
    }
}

fn trimmed(text: &[u8]) -> &[u8] {
    let blanks = text.iter().rev().take_while(|byte| **byte == b' ').count();
    &text[..text.len() - blanks]
}

/// The order of two arguments of a call, which may be of different types.
fn order_of(
    bound: &Bound,
    a: (usize, &Cell<'_>),
    b: (usize, &Cell<'_>),
) -> Result<Ordering, QueryError> {
    let (first, second) = (bound.arguments[a.0], bound.arguments[b.0]);
    if first == second {
        return Ok(order(first, a.1.view(), b.1.view()));
    }
    if let (SqlType::Scalar(first), SqlType::Scalar(second)) = (first, second)
        && is_moment(first)
        && is_moment(second)
    {
        return super::moments::compare_moments(bound, (first, a.1), (second, b.1));
    }
    // Of two texts, one is a `char` when both are (what else is compared with it is cast).
    Ok(match first {
        SqlType::Scalar(ScalarType::Char(_)) => order(first, a.1.view(), b.1.view()),
        _ => order(second, a.1.view(), b.1.view()),
    })
}

fn is_moment(scalar: ScalarType) -> bool {
    matches!(
        scalar,
        ScalarType::Date | ScalarType::Timestamp | ScalarType::Timestamptz
    )
}

fn holds(call: &Call<'_, '_>, holds: fn(Ordering) -> bool) -> Answer {
    let order = order_of(call.bound, (0, call.cell(0)), (1, call.cell(1)))?;
    Ok(holds(order).into())
}

fn is_distinct(call: &Call<'_, '_>) -> Result<bool, QueryError> {
    Ok(match (call.is_null(0), call.is_null(1)) {
        (false, false) => order_of(call.bound, (0, call.cell(0)), (1, call.cell(1)))?.is_ne(),
        (a, b) => a != b,
    })
}

fn is_in<'a>(
    bound: &Bound,
    arguments: &Arguments<'a>,
    wanted: bool,
) -> Result<Cell<'a>, QueryError> {
    let value = arguments.get(0)?;
    if value.is_null() {
        return Ok(Cell::Owned(Value::Null));
    }
    let mut result = Value::Bool(!wanted);
    for index in 1..arguments.len() {
        let item = arguments.get(index)?;
        if item.is_null() {
            result = Value::Null;
        } else if order_of(bound, (0, &value), (index, &item))?.is_eq() {
            return Ok(Cell::Owned(wanted.into()));
        }
    }
    Ok(Cell::Owned(result))
}

fn is_between(call: &Call<'_, '_>, wanted: bool) -> Answer {
    let compared = |other: usize| match call.is_null(0) || call.is_null(other) {
        true => Ok(None),
        false => order_of(call.bound, (0, call.cell(0)), (other, call.cell(other))).map(Some),
    };
    let from = compared(1)?.map(Ordering::is_ge);
    let to = compared(2)?.map(Ordering::is_le);
    Ok(match (from, to) {
        (Some(false), _) | (_, Some(false)) => (!wanted).into(),
        (Some(true), Some(true)) => wanted.into(),
        _ => Value::Null,
    })
}

fn coalesce<'a>(_: &Bound, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
    for cell in arguments.iter() {
        let cell = cell?;
        if !cell.is_null() {
            return Ok(cell);
        }
    }
    Ok(Cell::Owned(Value::Null))
}

fn nullif(call: &Call<'_, '_>) -> Answer {
    Ok(match is_distinct(call)? {
        true => call.value(0),
        false => Value::Null,
    })
}

fn extreme(call: &Call<'_, '_>, wanted: Ordering) -> Answer {
    let mut extreme: Option<&Cell<'_>> = None;
    for cell in call.values.iter().filter(|cell| !cell.is_null()) {
        let better =
            |other: &Cell<'_>| order(call.bound.result, cell.view(), other.view()) == wanted;
        if extreme.is_none_or(better) {
            extreme = Some(cell);
        }
    }
    Ok(extreme.map_or(Value::Null, |cell| cell.clone().into_value()))
}

fn nulls(call: &Call<'_, '_>) -> usize {
    call.values.iter().filter(|cell| cell.is_null()).count()
}

/// Conditions and values in turn, then the value for all else.
fn case<'a>(_: &Bound, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
    let cases = arguments.len() / 2;
    for case in 0..cases {
        if truth(&arguments.get(2 * case)?)? == Some(true) {
            return arguments.get(2 * case + 1);
        }
    }
    arguments.get(2 * cases)
}
