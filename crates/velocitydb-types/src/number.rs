//! The three kinds of numbers as one line: exact comparison, and arithmetic.
//!
//! Integers, floats and decimals compare by their exact values: an integer beyond 2^53 is not
//! rounded to a float, nor a float to a decimal. NaN is the greatest number and equal to
//! itself; −0 is 0.
//!
//! In arithmetic integers stay integers (a quotient is cut towards zero), a float makes a float,
//! and decimals are exact but for quotients, which keep 38 digits. Nothing wraps, saturates or
//! is divided by zero. Tests: below and `proptests`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::num::NonZeroU64;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode};

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

/// What is made of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The sum.
    Add,
    /// The difference.
    Subtract,
    /// The product.
    Multiply,
    /// The quotient; of integers, cut towards zero.
    Divide,
    /// What such a division leaves; it has the sign of the first.
    Remainder,
}

/// Why there is no result of arithmetic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// The result of integers is beyond 64 bits.
    #[error("integer overflow")]
    Overflow,
    /// The result of decimals is out of bounds.
    #[error(transparent)]
    Decimal(#[from] DecimalError),
    /// The second number of a division is zero.
    #[error("division by zero")]
    DivisionByZero,
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
    calculate(Arithmetic::Add, number(a)?, number(b)?)
}

/// Arithmetic by the rules of the module.
///
/// # Errors
/// Integer overflow, a decimal out of bounds, a division by zero.
pub fn calculate(
    operation: Arithmetic,
    a: Number<'_>,
    b: Number<'_>,
) -> Result<Value, NumberError> {
    let divides = matches!(operation, Arithmetic::Divide | Arithmetic::Remainder);
    if divides && compare(&b, &Number::Int(0)).is_eq() {
        return Err(NumberError::DivisionByZero);
    }
    Ok(match (a, b) {
        (Number::Int(a), Number::Int(b)) => {
            Value::Int(of_ints(operation, a, b).ok_or(NumberError::Overflow)?)
        }
        (Number::Float(a), b) => Value::Float(of_floats(operation, a, b.to_f64())),
        (a, Number::Float(b)) => Value::Float(of_floats(operation, a.to_f64(), b)),
        (a, b) => {
            let (a, b) = (a.into_decimal()?, b.into_decimal()?);
            Value::Decimal(match operation {
                Arithmetic::Add => a.checked_add(&b)?,
                Arithmetic::Subtract => a.checked_sub(&b)?,
                Arithmetic::Multiply => a.checked_mul(&b)?,
                Arithmetic::Divide => quotient(&a, &b)?,
                Arithmetic::Remainder => {
                    let scale = a.scale().max(b.scale());
                    let whole = |number: &Decimal| rescaled(number.digits(), number.scale(), scale);
                    Decimal::new(whole(&a) % whole(&b), scale)?
                }
            })
        }
    })
}

/// `None` when it is beyond 64 bits; the divisor is not zero.
fn of_ints(operation: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match operation {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => a.checked_div(b),
        // The least integer by -1 leaves nothing, though its quotient has no place.
        Arithmetic::Remainder => Some(a.wrapping_rem(b)),
    }
}

fn of_floats(operation: Arithmetic, a: f64, b: f64) -> f64 {
    match operation {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => a % b,
    }
}

/// Significant digits of a quotient of decimals.
const QUOTIENT_DIGITS: NonZeroU64 = NonZeroU64::new(38).expect("not zero");

/// The quotient of decimals, rounded to [`QUOTIENT_DIGITS`], ties to even; the divisor is not 0.
fn quotient(a: &Decimal, b: &Decimal) -> Result<Decimal, DecimalError> {
    let count = |number: &Decimal| number.as_big_decimal().digits() as i64;
    let shift = (QUOTIENT_DIGITS.get() as i64 + 2 + count(b) - count(a)).max(0);
    let dividend = a.digits() * BigInt::from(10).pow(shift as u32);
    let (whole, rest) = (&dividend / b.digits(), &dividend % b.digits());
    // One more digit says that something follows, so that nothing else passes for a tie.
    let more = BigInt::from_biguint(rest.sign() * b.digits().sign(), 1_u8.into());
    let exact = BigDecimal::new(whole * 10 + more, a.scale() - b.scale() + shift + 1);
    let (digits, scale) = exact
        .with_precision_round(QUOTIENT_DIGITS, RoundingMode::HalfEven)
        .into_bigint_and_scale();
    Decimal::new(digits, scale)
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

    #[test]
    fn quotients_and_remainders() {
        let number = |value: &Value| super::number(value).unwrap().into_decimal().unwrap();
        for (a, operation, b, expected) in [
            ("7", Arithmetic::Divide, "-2", "-3.5"),
            (
                "1",
                Arithmetic::Divide,
                "3",
                "0.33333333333333333333333333333333333333",
            ),
            (
                "-2",
                Arithmetic::Divide,
                "3",
                "-0.66666666666666666666666666666666666667",
            ),
            ("1e500", Arithmetic::Divide, "1e-400", "1e900"),
            // A tie goes to the even digit; a little more than a tie goes up.
            (
                "1.00000000000000000000000000000000000005",
                Arithmetic::Divide,
                "1",
                "1",
            ),
            (
                "2.0000000000000000000000000000000000001000000000000000000000001",
                Arithmetic::Divide,
                "2",
                "1.0000000000000000000000000000000000001",
            ),
            ("7.5", Arithmetic::Remainder, "-2", "1.5"),
            ("-7.5", Arithmetic::Remainder, "2", "-1.5"),
        ] {
            let (a, b) = (decimal(a), decimal(b));
            let found = calculate(
                operation,
                Number::Decimal(Cow::Owned(number(&a))),
                Number::Decimal(Cow::Owned(number(&b))),
            );
            assert_eq!(found, Ok(decimal(expected)), "{a:?} {operation:?} {b:?}");
        }
        let ints = |operation, a, b| calculate(operation, Number::Int(a), Number::Int(b));
        assert_eq!(ints(Arithmetic::Divide, -7, 2), Ok(Value::Int(-3)));
        assert_eq!(ints(Arithmetic::Remainder, -7, 2), Ok(Value::Int(-1)));
        assert_eq!(ints(Arithmetic::Remainder, i64::MIN, -1), Ok(0.into()));
        assert_eq!(
            ints(Arithmetic::Divide, i64::MIN, -1),
            Err(NumberError::Overflow)
        );
        for zero in [Number::Int(0), Number::Float(-0.0)] {
            let divided = calculate(Arithmetic::Divide, Number::Float(1.0), zero);
            assert_eq!(divided, Err(NumberError::DivisionByZero));
        }
    }
}
