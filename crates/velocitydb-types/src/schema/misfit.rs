//! Whether a value that is kept as a field's SQL type is kept also has that type's bounds.
//!
//! `int4` and `int8` are both kept as integers: the narrower is the schema's to hold. So every
//! door holds it, not only that of SQL. Tests: `schema/laws.rs`, `testscripts`.

use std::fmt;

use crate::raw::RawValue;
use crate::{Decimal, ScalarType, SqlType, Value};

/// How a value is not of a field's SQL type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// A number that the type does not reach, or not exactly.
    OutOfRange,
    /// More characters than the type has.
    TooLong,
    /// More digits after the point than the type has.
    Fraction,
    /// An element of an array that is of another type.
    Element,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "out of range for",
            Self::TooLong => "too long for",
            Self::Fraction => "more digits after the point than in",
            Self::Element => "an element that does not fit",
        })
    }
}

/// Whether some value that is kept as the type is kept is not of the type.
pub(super) fn is_narrower(sql: SqlType) -> bool {
    match sql {
        SqlType::Array(_) => true,
        SqlType::Scalar(scalar) => matches!(
            scalar,
            ScalarType::Int2
                | ScalarType::Int4
                | ScalarType::Float4
                | ScalarType::Numeric(Some(_))
                | ScalarType::Varchar(Some(_))
                | ScalarType::Char(_)
        ),
    }
}

/// What is wrong with a value that is kept as the type is.
pub(super) fn misfit(sql: SqlType, value: RawValue<'_>) -> Option<Misfit> {
    match sql {
        SqlType::Scalar(scalar) => scalar_misfit(scalar, value),
        SqlType::Array(element) => {
            let kept = element.row().kept;
            value.as_array()?.iter().find_map(|value| {
                if value.is_null() {
                    return None;
                }
                match kept.accepts(value) {
                    true => scalar_misfit(element, value),
                    false => Some(Misfit::Element),
                }
            })
        }
    }
}

fn scalar_misfit(scalar: ScalarType, value: RawValue<'_>) -> Option<Misfit> {
    let range = |fits: bool| (!fits).then_some(Misfit::OutOfRange);
    match scalar {
        ScalarType::Int2 => range(i16::try_from(value.as_int()?).is_ok()),
        ScalarType::Int4 => range(i32::try_from(value.as_int()?).is_ok()),
        ScalarType::Float4 => range(is_float4(value.as_float()?)),
        ScalarType::Varchar(Some(length)) | ScalarType::Char(length) => {
            let bytes = value.as_str_bytes()?;
            // A character has a byte or more.
            let short = bytes.len() <= length as usize;
            let starts = bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80);
            (!short && starts.count() > length as usize).then_some(Misfit::TooLong)
        }
        ScalarType::Numeric(Some(bounds)) => numeric_misfit(&value.as_decimal()?, bounds),
        _ => None,
    }
}

fn numeric_misfit(decimal: &Decimal, (precision, scale): (u16, u16)) -> Option<Misfit> {
    let digits = decimal.digits().magnitude().to_str_radix(10).len() as i64;
    let before = digits - decimal.scale();
    match decimal.is_zero() {
        true => None,
        false if before > i64::from(precision) - i64::from(scale) => Some(Misfit::OutOfRange),
        false => (decimal.scale() > i64::from(scale)).then_some(Misfit::Fraction),
    }
}

/// Whether a float is one of 32 bits.
fn is_float4(float: f64) -> bool {
    float.is_nan() || f64::from(float as f32).to_bits() == float.to_bits()
}

/// A value made one of the type where the type rounds (`real`), or where JSON cannot say an
/// element's type; unchanged where that is not possible.
pub(super) fn coerce(sql: SqlType, value: Value) -> Value {
    match (sql, value) {
        (SqlType::Scalar(ScalarType::Float4), Value::Float(float)) => {
            let near = f64::from(float as f32);
            Value::Float(if near.is_finite() { near } else { float })
        }
        (SqlType::Array(element), Value::Array(elements)) => {
            let kept = element.row().kept;
            let elements = elements.into_iter();
            let coerced = elements.map(|value| coerce(element.into(), kept.coerce(value)));
            Value::Array(coerced.collect())
        }
        (_, value) => value,
    }
}
