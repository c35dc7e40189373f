//! Casts between SQL types, as PostgreSQL 15 has them.
//!
//! [`cast_context`] says from which type one gets to which, and where that happens by itself: in any
//! expression, only where a value is stored, or only where it is asked for. [`cast`] does it. Beside
//! the table of [`CASTS`] every type becomes a text where it is stored, every text a type where that is
//! asked for, and arrays what their elements become.
//!
//! Tests: below, with what PostgreSQL 15 itself said (`casts.tsv`).

use velocitydb_types::{Decimal, ScalarType, SqlType, Value};

use crate::formats::numbers::{fit_numeric, round};
use crate::formats::{FormatError, Settings, read_text, write_text};

/// Where a cast happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// Where a value is stored in a column.
    Assignment,
    /// Where it is asked for: `CAST(x AS type)`, `x::type`.
    Explicit,
}

use CastContext::{Assignment, Explicit, Implicit};
use ScalarType::{
    Bool, Date, Float4, Float8, Int2, Int4, Int8, Json, Jsonb, Numeric, Timestamp, Timestamptz,
};

/// From, to, and where: `pg_cast`, without the texts.
#[rustfmt::skip]
const CASTS: &[(ScalarType, &[ScalarType], CastContext)] = &[
    (Int2, &[Int4, Int8, Numeric(None), Float4, Float8], Implicit),
    (Int4, &[Int8, Numeric(None), Float4, Float8], Implicit),
    (Int8, &[Numeric(None), Float4, Float8], Implicit),
    (Numeric(None), &[Float4, Float8], Implicit),
    (Float4, &[Float8], Implicit),
    (Int4, &[Int2], Assignment),
    (Int8, &[Int2, Int4], Assignment),
    (Numeric(None), &[Int2, Int4, Int8], Assignment),
    (Float4, &[Int2, Int4, Int8, Numeric(None)], Assignment),
    (Float8, &[Int2, Int4, Int8, Numeric(None), Float4], Assignment),
    (Int4, &[Bool], Explicit),
    (Bool, &[Int4], Explicit),
    (Date, &[Timestamp, Timestamptz], Implicit),
    (Timestamp, &[Timestamptz], Implicit),
    (Timestamp, &[Date], Assignment),
    (Timestamptz, &[Date, Timestamp], Assignment),
    (Json, &[Jsonb], Assignment),
    (Jsonb, &[Json], Assignment),
    (Jsonb, &[Bool, Int2, Int4, Int8, Float4, Float8, Numeric(None)], Explicit),
];

/// A type without its length or precision.
fn plain(scalar: ScalarType) -> ScalarType {
    scalar.row().scalar
}

/// Where a value of one type becomes one of another; `None` when it never does.
pub fn cast_context(from: SqlType, to: SqlType) -> Option<CastContext> {
    match (from, to) {
        (SqlType::Scalar(from), SqlType::Scalar(to)) => scalar_context(from, to),
        (SqlType::Array(from), SqlType::Array(to)) => scalar_context(from, to),
        (SqlType::Array(_), SqlType::Scalar(to)) => to.is_text().then_some(Assignment),
        (SqlType::Scalar(from), SqlType::Array(_)) => from.is_text().then_some(Explicit),
    }
}

fn scalar_context(from: ScalarType, to: ScalarType) -> Option<CastContext> {
    let (from, to) = (plain(from), plain(to));
    if from == to || (from.is_text() && to.is_text()) {
        return Some(Implicit);
    }
    let listed =
        |row: &&(ScalarType, &[ScalarType], CastContext)| row.0 == from && row.1.contains(&to);
    match CASTS.iter().find(listed) {
        Some((_, _, context)) => Some(*context),
        None if to.is_text() => Some(Assignment),
        None => from.is_text().then_some(Explicit),
    }
}

/// A value of one type as one of another. Asked for, a text that is too long is cut; stored, it is
/// refused. Null stays null, and the null of JSON is no other.
///
/// # Errors
/// There is no such cast here, or the value is none of the other type.
pub fn cast(
    value: Value,
    from: SqlType,
    to: SqlType,
    context: CastContext,
    settings: &Settings,
) -> Result<Value, FormatError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if cast_context(from, to).is_none_or(|needed| needed > context) {
        let message = format!("cannot cast type {} to {}", name(from), name(to));
        return Err(FormatError::new("42846", message));
    }
    match (from, to, value) {
        (SqlType::Scalar(from), SqlType::Scalar(to), value) => {
            scalar(value, from, to, context, settings)
        }
        (SqlType::Array(from), SqlType::Array(to), Value::Array(elements)) => {
            let elements = elements.into_iter().map(|value| match value {
                Value::Null => Ok(Value::Null),
                value => scalar(value, from, to, context, settings),
            });
            elements.collect::<Result<_, _>>().map(Value::Array)
        }
        (from, SqlType::Scalar(to), value) => {
            fit_text(text_of(&value, from, settings)?, to, context)
        }
        (_, to, Value::String(text)) => read_text(&text, to, settings),
        (from, _, value) => Err(mixed_up(&value, from)),
    }
}

/// A type in a message, without its length or precision.
fn name(sql: SqlType) -> String {
    match sql {
        SqlType::Scalar(scalar) => scalar.row().long_name.to_owned(),
        SqlType::Array(element) => format!("{}[]", element.row().long_name),
    }
}

fn mixed_up(value: &Value, from: SqlType) -> FormatError {
    let (expected, found) = (name(from), value.type_name());
    let message = format!("expected a value of type {expected}, found {found}");
    FormatError::new("42804", message)
}

fn text_of(value: &Value, from: SqlType, settings: &Settings) -> Result<String, FormatError> {
    let mut text = Vec::new();
    write_text(value, from, settings, &mut text)?;
    Ok(String::from_utf8(text).expect("texts of values are UTF-8"))
}

fn scalar(
    value: Value,
    from: ScalarType,
    to: ScalarType,
    context: CastContext,
    settings: &Settings,
) -> Result<Value, FormatError> {
    if to.is_text() {
        let text = match value {
            // A character(n) is kept without its blanks, which are lost in the cast too.
            Value::String(text) if from.is_text() => text,
            Value::Bool(bool) => bool.to_string(),
            value => text_of(&value, from.into(), settings)?,
        };
        return fit_text(text, to, context);
    }
    if from.is_text() {
        return read_text(
            &text_of(&value, from.into(), settings)?,
            to.into(),
            settings,
        );
    }
    if from == Jsonb && to != Json && to != Jsonb {
        return of_json(value, to);
    }
    match to {
        Bool => match value {
            Value::Int(int) => Ok(Value::Bool(int != 0)),
            value => Ok(value),
        },
        Int2 | Int4 | Int8 => to_int(value, to),
        Float4 | Float8 => to_float(value, to),
        Numeric(bounds) => to_numeric(value, from, bounds),
        Date | Timestamp | Timestamptz => to_moment(value, from, to, settings),
        _ => Ok(value),
    }
}

/// A text of a type with a length: what is too long is cut where that is asked for, blanks always.
fn fit_text(text: String, to: ScalarType, context: CastContext) -> Result<Value, FormatError> {
    let (length, is_padded) = match to {
        ScalarType::Varchar(Some(length)) => (length, false),
        ScalarType::Char(length) => (length, true),
        _ => return Ok(text.into()),
    };
    let mut text = text;
    if let Some((end, _)) = text.char_indices().nth(length as usize) {
        let is_blank = text[end..].bytes().all(|byte| byte == b' ');
        if context != Explicit && !is_blank {
            let message = format!("value too long for type {to}");
            return Err(FormatError::new("22001", message));
        }
        text.truncate(end);
    }
    if is_padded {
        text.truncate(text.trim_end_matches(' ').len());
    }
    Ok(text.into())
}

fn out_of_range(to: ScalarType) -> FormatError {
    FormatError::new("22003", format!("{} out of range", to.row().long_name))
}

/// Floats are rounded half to even, numerics half away from zero.
fn to_int(value: Value, to: ScalarType) -> Result<Value, FormatError> {
    let int = match &value {
        Value::Bool(bool) => Some(i64::from(*bool)),
        Value::Int(int) => Some(*int),
        Value::Float(float) => {
            let whole = float.round_ties_even();
            // 2^63 is the first float beyond.
            let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole);
            fits.then_some(whole as i64)
        }
        Value::Decimal(decimal) => round(decimal, 0).to_i64(),
        _ => return Err(mixed_up(&value, Numeric(None).into())),
    };
    let fits = |int: &i64| match to {
        Int2 => i16::try_from(*int).is_ok(),
        Int4 => i32::try_from(*int).is_ok(),
        _ => true,
    };
    int.filter(fits)
        .map(Value::Int)
        .ok_or_else(|| out_of_range(to))
}

fn to_float(value: Value, to: ScalarType) -> Result<Value, FormatError> {
    let wrong = |what: &str| FormatError::new("22003", format!("value out of range: {what}"));
    match (&value, to) {
        (Value::Int(int), Float4) => Ok(Value::Float(f64::from(*int as f32))),
        (Value::Int(int), _) => Ok(Value::Float(*int as f64)),
        (Value::Float(float), Float4) => {
            let near = *float as f32;
            match () {
                () if near.is_infinite() && float.is_finite() => Err(wrong("overflow")),
                () if near == 0.0 && *float != 0.0 => Err(wrong("underflow")),
                () => Ok(Value::Float(near.into())),
            }
        }
        (Value::Float(_), _) => Ok(value),
        // By its digits: by way of 64 bits, 32 bits would be rounded twice.
        (Value::Decimal(decimal), _) => {
            let text = decimal.to_string();
            let float = match to {
                Float4 => text.parse::<f32>().map(f64::from),
                _ => text.parse(),
            };
            match float {
                Ok(float) if float.is_finite() && (float != 0.0 || decimal.is_zero()) => {
                    Ok(Value::Float(float))
                }
                _ => {
                    let name = to.row().long_name;
                    let message = format!("\"{text}\" is out of range for type {name}");
                    Err(FormatError::new("22003", message))
                }
            }
        }
        _ => Err(mixed_up(&value, Numeric(None).into())),
    }
}

fn to_numeric(
    value: Value,
    from: ScalarType,
    bounds: Option<(u16, u16)>,
) -> Result<Value, FormatError> {
    let decimal = match value {
        Value::Int(int) => Decimal::from(int),
        Value::Decimal(decimal) => decimal,
        Value::Float(float) if float.is_infinite() && bounds.is_some() => {
            return Err(FormatError::new("22003", "numeric field overflow"));
        }
        Value::Float(float) if !float.is_finite() => {
            let message = "numeric NaN and infinity are not supported";
            return Err(FormatError::new("0A000", message));
        }
        // The digits that are surely meant: 6 of a real, 15 of a double.
        Value::Float(float) => {
            let digits = if from == Float4 { 5 } else { 14 };
            let text = format!("{float:.digits$e}");
            let overflow = |_| FormatError::new("22003", "value overflows numeric format");
            text.parse().map_err(overflow)?
        }
        value => return Err(mixed_up(&value, from.into())),
    };
    fit_numeric(decimal, bounds).map(Value::Decimal)
}

fn to_moment(
    value: Value,
    from: ScalarType,
    to: ScalarType,
    settings: &Settings,
) -> Result<Value, FormatError> {
    let zone = &settings.zone;
    let moved = match (&value, from, to) {
        (Value::Date(date), _, Timestamp) => date.midnight().map(Value::Time),
        (Value::Date(date), _, Timestamptz) => {
            let midnight = date.midnight();
            midnight
                .and_then(|local| zone.from_local(local))
                .map(Value::Time)
        }
        (Value::Time(time), Timestamp, Timestamptz) => zone.from_local(*time).map(Value::Time),
        (Value::Time(time), Timestamptz, Timestamp) => zone.to_local(*time).map(Value::Time),
        (Value::Time(time), Timestamptz, Date) => {
            zone.to_local(*time).map(|local| Value::Date(local.date()))
        }
        (Value::Time(time), _, Date) => Some(Value::Date(time.date())),
        _ => return Ok(value),
    };
    moved.ok_or_else(|| {
        FormatError::new(
            "22008",
            match from {
                Date => "date out of range for timestamp",
                _ => "timestamp out of range",
            },
        )
    })
}

/// A scalar of JSON: a number, true or false.
fn of_json(value: Value, to: ScalarType) -> Result<Value, FormatError> {
    let kind = match &value {
        Value::Bool(_) if to == Bool => return Ok(value),
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) if to != Bool => {
            // Numbers of JSON are numerics: by the digits that they print with.
            let number = match &value {
                Value::Float(float) => {
                    let overflow = |_| FormatError::new("22003", "value overflows numeric format");
                    Value::Decimal(float.to_string().parse().map_err(overflow)?)
                }
                _ => value,
            };
            return match to {
                Numeric(bounds) => to_numeric(number, Numeric(None), bounds),
                Float4 | Float8 => to_float(number, to),
                _ => to_int(number, to),
            };
        }
        Value::Bool(_) => "boolean",
        Value::Int(_) | Value::Float(_) | Value::Decimal(_) => "numeric",
        Value::Array(_) => "array",
        Value::Map(_) => "object",
        Value::Null => "null",
        _ => "string",
    };
    let message = format!("cannot cast jsonb {kind} to type {}", to.row().long_name);
    Err(FormatError::new("22023", message))
}

#[cfg(test)]
mod tests;
