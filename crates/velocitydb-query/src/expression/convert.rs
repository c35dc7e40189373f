//! Rounding, and values of one type made into values of another.

use std::borrow::Cow;

use velocitydb_types::number::Number;
use velocitydb_types::{Decimal, Timestamp, Value, View};

use super::evaluate::{int_of, number_of};
use super::text::string;
use super::{Problem, dates};
use crate::row::Cell;

/// Which way a number is rounded.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Rounding {
    Up,
    Down,
    /// To the nearest, ties to even.
    Nearest,
    /// What is after the point goes.
    Cut,
}

/// Digits that a number may be rounded to.
const DIGITS_MAX: i64 = 100;

pub(super) fn round_to(
    cell: &Cell<'_>,
    digits: &Cell<'_>,
    arguments: usize,
) -> Result<Value, Problem> {
    if cell.is_null() || (arguments > 1 && digits.is_null()) {
        return Ok(Value::Null);
    }
    let digits = match arguments {
        0 | 1 => 0,
        _ => int_of(digits)?,
    };
    if digits.abs() > DIGITS_MAX {
        let problem = format!("digits are -{DIGITS_MAX} to {DIGITS_MAX}, found {digits}");
        return Err(Problem::new(problem));
    }
    round(cell, digits, Rounding::Nearest)
}

/// A number of the same type, rounded to so many digits after the point.
pub(super) fn round(cell: &Cell<'_>, digits: i64, rounding: Rounding) -> Result<Value, Problem> {
    match number_of(cell)? {
        Number::Int(int) if digits >= 0 => Ok(Value::Int(int)),
        Number::Int(int) => {
            let rounded = decimal(&Decimal::from(int), digits, rounding)?;
            let int = rounded.to_i64();
            int.map(Value::Int)
                .ok_or_else(|| Problem::new("integer overflow"))
        }
        Number::Float(float) if !float.is_finite() => Ok(Value::Float(float)),
        Number::Float(float) if digits == 0 => Ok(Value::Float(match rounding {
            Rounding::Up => float.ceil(),
            Rounding::Down => float.floor(),
            Rounding::Nearest => float.round_ties_even(),
            Rounding::Cut => float.trunc(),
        })),
        Number::Float(float) => {
            // By the digits that the float prints with: 2.675 is rounded as it is read.
            let printed: Result<Decimal, _> = float.to_string().parse();
            match printed {
                Ok(printed) => Ok(Value::Float(decimal(&printed, digits, rounding)?.to_f64())),
                // It has no digits there.
                Err(_) => Ok(Value::Float(float)),
            }
        }
        Number::Decimal(number) => Ok(Value::Decimal(decimal(&number, digits, rounding)?)),
    }
}

/// A decimal rounded, by its text: sign, digits and scale are all that matters.
fn decimal(number: &Decimal, digits: i64, rounding: Rounding) -> Result<Decimal, Problem> {
    let cut = number.scale() - digits;
    if cut <= 0 {
        return Ok(number.clone());
    }
    let text = number.digits().magnitude().to_string();
    let kept = text.len().saturating_sub(cut as usize);
    let (whole, rest) = (&text[..kept], &text[kept..]);
    // What was cut, beside a half; digits that are not there are zeros before.
    let missing = (cut as usize).saturating_sub(text.len());
    let half = match missing {
        0 => rest.cmp(&format!("5{}", "0".repeat(rest.len().saturating_sub(1)))),
        _ => std::cmp::Ordering::Less,
    };
    let odd = whole.bytes().last().is_some_and(|digit| digit % 2 == 1);
    let away = match rounding {
        Rounding::Up => !number.is_negative(),
        Rounding::Down => number.is_negative(),
        Rounding::Nearest => half.is_gt() || (half.is_eq() && odd),
        Rounding::Cut => false,
    };
    let sign = if number.is_negative() { "-" } else { "" };
    let parse = |text: String| -> Result<Decimal, Problem> {
        text.parse()
            .map_err(|error: velocitydb_types::DecimalError| Problem::new(error.to_string()))
    };
    let cut_off = parse(format!(
        "{sign}{}e{}",
        if whole.is_empty() { "0" } else { whole },
        -digits
    ))?;
    match away {
        false => Ok(cut_off),
        true => cut_off
            .checked_add(&parse(format!("{sign}1e{}", -digits))?)
            .map_err(|error| Problem::new(error.to_string())),
    }
}

fn none(cell: &Cell<'_>, wanted: &str) -> Problem {
    let value = cell.clone().into_value();
    let mut shown = value.to_json();
    if shown.chars().count() > 60 {
        shown = shown.chars().take(60).chain(['…']).collect();
    }
    Problem::new(format!("{shown} ({}) is no {wanted}", value.type_name()))
}

pub(super) fn to_string(cell: &Cell<'_>) -> Result<Value, Problem> {
    let value = cell.clone().into_value();
    Ok(match value {
        Value::String(_) => value,
        Value::Array(_) | Value::Map(_) | Value::Point(_) => value.to_json().into(),
        // Quotes stand around those that JSON has as strings, none of which has any inside.
        scalar => scalar.to_json().trim_matches('"').into(),
    })
}

pub(super) fn to_int(cell: &Cell<'_>) -> Result<Value, Problem> {
    let int = match cell.view() {
        View::Bool(bool) => Some(bool.into()),
        View::Number(Number::Int(int)) => Some(int),
        View::Number(Number::Float(float)) => {
            let whole = float.trunc();
            // 2^63 is the first float beyond.
            let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&whole);
            fits.then_some(whole as i64)
        }
        View::Number(Number::Decimal(number)) => decimal(&number, 0, Rounding::Cut)?.to_i64(),
        View::Str(_) => string(cell)?.trim().parse().ok(),
        _ => None,
    };
    int.map(Value::Int)
        .ok_or_else(|| none(cell, "integer of 64 bits"))
}

pub(super) fn to_float(cell: &Cell<'_>) -> Result<Value, Problem> {
    let float = match cell.view() {
        View::Bool(bool) => Some(f64::from(u8::from(bool))),
        View::Number(number) => Some(number.to_f64()),
        View::Str(_) => string(cell)?.trim().parse().ok(),
        _ => None,
    };
    float.map(Value::Float).ok_or_else(|| none(cell, "float"))
}

pub(super) fn to_decimal(cell: &Cell<'_>) -> Result<Value, Problem> {
    let made = match cell.view() {
        View::Number(Number::Int(int)) => Some(Decimal::from(int)),
        View::Number(Number::Decimal(decimal)) => Some(Cow::into_owned(decimal)),
        // By the digits that the float prints with: 0.1 is meant as 0.1.
        View::Number(Number::Float(float)) => float.to_string().parse().ok(),
        View::Str(_) => string(cell)?.trim().parse().ok(),
        _ => None,
    };
    made.map(Value::Decimal)
        .ok_or_else(|| none(cell, "decimal"))
}

pub(super) fn to_bool(cell: &Cell<'_>) -> Result<Value, Problem> {
    let bool = match cell.view() {
        View::Bool(bool) => Some(bool),
        View::Number(number) => {
            Some(velocitydb_types::number::compare(&number, &Number::Int(0)).is_ne())
        }
        View::Str(b"true") => Some(true),
        View::Str(b"false") => Some(false),
        _ => None,
    };
    bool.map(Value::Bool)
        .ok_or_else(|| none(cell, "truth value"))
}

pub(super) fn to_time(cell: &Cell<'_>) -> Result<Value, Problem> {
    let time = match cell.view() {
        View::Time(_) | View::Date(_) => Some(dates::time(cell)?),
        View::Number(Number::Int(millis)) => millis.checked_mul(1000).map(Timestamp),
        View::Str(_) => {
            let text = string(cell)?.trim();
            let date = || text.parse().ok().and_then(velocitydb_types::Date::midnight);
            text.parse().ok().or_else(date)
        }
        _ => None,
    };
    time.map(Value::Time).ok_or_else(|| none(cell, "time"))
}

pub(super) fn to_day(cell: &Cell<'_>) -> Result<Value, Problem> {
    let date = match cell.view() {
        View::Time(_) | View::Date(_) => Some(dates::date(cell)?),
        View::Str(_) => {
            let text = string(cell)?.trim();
            let of_time = || text.parse::<Timestamp>().ok().map(Timestamp::date);
            text.parse().ok().or_else(of_time)
        }
        _ => None,
    };
    date.map(Value::Date).ok_or_else(|| none(cell, "date"))
}

pub(super) fn to_uuid(cell: &Cell<'_>) -> Result<Value, Problem> {
    let uuid = match cell.view() {
        View::Uuid(uuid) => Some(uuid),
        View::Str(_) => string(cell)?.trim().parse().ok(),
        _ => None,
    };
    uuid.map(Value::Uuid).ok_or_else(|| none(cell, "UUID"))
}
