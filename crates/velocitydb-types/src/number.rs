//! The three kinds of numbers as one line: exact comparison, and addition.
//!
//! Integers, floats and decimals compare by their exact values: an integer beyond 2^53 is not
//! rounded to a float, nor a float to a decimal. NaN is the greatest number and equal to
//! itself; −0 is 0. Tests: below and `proptests`.

use std::borrow::Cow;
use std::cmp::Ordering;

use bigdecimal::num_bigint::BigInt;

use crate::decimal::{DecimalError, float_parts, rescaled};
use crate::error::ErrorClass;
use crate::{Decimal, Value};

/// A number of any kind, borrowed where it is large.
#[derive(Debug, Clone)]
pub enum Number<'a> {
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// An exact decimal.
    Decimal(Cow<'a, Decimal>),
}

/// Why numbers cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// The sum of two integers is beyond 64 bits.
    #[error("integer overflow")]
    Overflow,
    /// The sum of two decimals is out of bounds.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// An operand is not a number.
    #[error("expected a number, found {found}")]
    NotANumber {
        /// The type given.
        found: &'static str,
    },
}

impl NumberError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// The exact order of two numbers.
pub fn compare(a: &Number<'_>, b: &Number<'_>) -> Ordering {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => a.cmp(b),
        (Number::Float(a), Number::Float(b)) => compare_floats(*a, *b),
        (Number::Decimal(a), Number::Decimal(b)) => a.cmp(b),
        (Number::Int(a), Number::Float(b)) => compare_int_float(*a, *b),
        (Number::Float(a), Number::Int(b)) => compare_int_float(*b, *a).reverse(),
        (Number::Int(a), Number::Decimal(b)) => Decimal::from(*a).cmp(b),
        (Number::Decimal(a), Number::Int(b)) => a.as_ref().cmp(&Decimal::from(*b)),
        (Number::Decimal(a), Number::Float(b)) => compare_decimal_float(a, *b),
        (Number::Float(a), Number::Decimal(b)) => compare_decimal_float(b, *a).reverse(),
    }
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    // Only a NaN compares with nothing; it is the greater one, or equal to the other NaN.
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// 2^63, the first float beyond `i64`.
const INT_END: f64 = 9_223_372_036_854_775_808.0;

fn compare_int_float(int: i64, float: f64) -> Ordering {
    if float.is_nan() || float >= INT_END {
        return Ordering::Less;
    }
    if float < -INT_END {
        return Ordering::Greater;
    }
    // Within range the truncation is exact, and what it cut decides a tie.
    let whole = float.trunc();
    int.cmp(&(whole as i64))
        .then_with(|| compare_floats(0.0, float - whole))
}

/// The exact order of a decimal and a float.
pub(crate) fn compare_decimal_float(decimal: &Decimal, float: f64) -> Ordering {
    let Some((digits, scale)) = float_parts(float) else {
        return if float == f64::NEG_INFINITY {
            Ordering::Greater
        } else {
            Ordering::Less
        };
    };
    let common = scale.max(decimal.scale());
    let decimal: BigInt = rescaled(decimal.digits(), decimal.scale(), common);
    decimal.cmp(&rescaled(&digits, scale, common))
}

/// The sum of two numbers: integers stay integers, a float makes a float, decimals are exact.
///
/// # Errors
/// Integer overflow, a decimal out of bounds, an operand that is no number.
pub fn add_numbers(a: &Value, b: &Value) -> Result<Value, NumberError> {
    Ok(match (number(a)?, number(b)?) {
        (Number::Int(a), Number::Int(b)) => {
            Value::Int(a.checked_add(b).ok_or(NumberError::Overflow)?)
        }
        (Number::Float(a), b) => Value::Float(a + b.to_f64()),
        (a, Number::Float(b)) => Value::Float(a.to_f64() + b),
        (a, b) => Value::Decimal(a.into_decimal()?.checked_add(&b.into_decimal()?)?),
    })
}

fn number(value: &Value) -> Result<Number<'_>, NumberError> {
    match value {
        Value::Int(int) => Ok(Number::Int(*int)),
        Value::Float(float) => Ok(Number::Float(*float)),
        Value::Decimal(decimal) => Ok(Number::Decimal(Cow::Borrowed(decimal))),
        other => Err(NumberError::NotANumber {
            found: other.type_name(),
        }),
    }
}

impl Number<'_> {
    /// The nearest float, ties to even.
    pub fn to_f64(&self) -> f64 {
        match self {
            Self::Int(int) => *int as f64,
            Self::Float(float) => *float,
            Self::Decimal(decimal) => decimal.to_f64(),
        }
    }

    /// The exact decimal.
    ///
    /// # Errors
    /// A float that is not finite or too small to be one.
    pub fn into_decimal(self) -> Result<Decimal, DecimalError> {
        match self {
            Self::Int(int) => Ok(Decimal::from(int)),
            Self::Float(float) => Decimal::from_f64_exact(float),
            Self::Decimal(decimal) => Ok(decimal.into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Value {
        Value::Decimal(text.parse().unwrap())
    }

    #[test]
    fn the_line_of_numbers() {
        let ascending = [
            Value::Float(f64::NEG_INFINITY),
            decimal("-1e1000"),
            Value::Float(f64::MIN),
            Value::Float(-9_223_372_036_854_777_856.0),
            decimal("-9223372036854775809"),
            Value::Int(i64::MIN),
            Value::Int(-1),
            decimal("-0.5000000000000000000000000000000001"),
            Value::Float(-0.5),
            decimal("-1e-1000"),
            Value::Int(0),
            decimal("1e-1000"),
            Value::Float(5e-324),
            decimal("0.1"),
            Value::Float(0.1),
            Value::Int((1 << 53) - 1),
            Value::Float(9_007_199_254_740_992.0),
            Value::Int((1 << 53) + 1),
            Value::Float(9_007_199_254_740_994.0),
            Value::Int(i64::MAX),
            Value::Float(INT_END),
            decimal("9223372036854775809"),
            Value::Float(f64::MAX),
            decimal("1e1000"),
            Value::Float(f64::INFINITY),
            Value::Float(f64::NAN),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        for (a, b) in [
            (Value::Float(-0.0), Value::Int(0)),
            (Value::Float(-0.0), decimal("0")),
            (Value::Float(0.5), decimal("0.50")),
            (Value::Float(-f64::NAN), Value::Float(f64::NAN)),
            (Value::Float(1e22), decimal("1e22")),
            (Value::Int(i64::MIN), Value::Float(-INT_END)),
        ] {
            assert_eq!(a, b);
        }
    }

    #[test]
    fn sums() {
        let add = |a: Value, b: Value| add_numbers(&a, &b);
        assert_eq!(add(1.into(), 2.into()).unwrap().type_name(), "int");
        assert_eq!(add(i64::MAX.into(), 1.into()), Err(NumberError::Overflow));
        assert_eq!(add(1.into(), 0.5.into()).unwrap().type_name(), "float");
        assert_eq!(add(decimal("0.1"), 0.5.into()), Ok(Value::Float(0.6)));
        let exact = add(decimal("0.1"), 1.into()).unwrap();
        assert_eq!((exact.type_name(), exact), ("decimal", decimal("1.1")));
        assert_eq!(
            add(1.into(), "x".into()),
            Err(NumberError::NotANumber { found: "string" })
        );
    }
}
