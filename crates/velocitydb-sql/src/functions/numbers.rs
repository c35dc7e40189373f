//! Arithmetic: operators, and the functions that stay within a type. Functions of analysis are in
//! `math`, the digits of numerics in `decimals`.

use velocitydb_query::QueryError;
use velocitydb_types::{Decimal, ScalarType, SqlType, Value};

use super::call::Call;
use super::decimals;
use super::kinds::*;
use super::{Answer, Row, f, fault};

macro_rules! arithmetic {
    (ints { $($a:ident $b:ident $to:ident,)* } floats { $($c:ident $d:ident $result:ident,)* }) => {
        #[rustfmt::skip]
        pub(super) const ROWS: &[Row] = &[
            $(
                f("+", &[$a, $b], $to, |call| ints(call, i64::checked_add)),
                f("-", &[$a, $b], $to, |call| ints(call, i64::checked_sub)),
                f("*", &[$a, $b], $to, |call| ints(call, i64::checked_mul)),
                f("/", &[$a, $b], $to, divide_ints),
            )*
            $(
                f("+", &[$c, $d], $result, |call| floats(call, |a, b| a + b, Loss::Overflow)),
                f("-", &[$c, $d], $result, |call| floats(call, |a, b| a - b, Loss::Overflow)),
                f("*", &[$c, $d], $result, |call| floats(call, |a, b| a * b, Loss::Both)),
                f("/", &[$c, $d], $result, divide_floats),
            )*
            f("+", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals(call, Decimal::checked_add)),
            f("-", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals(call, Decimal::checked_sub)),
            f("*", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals(call, Decimal::checked_mul)),
            f("/", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::divide(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
            f("%", &[INT2, INT2], INT2, remainder),
            f("%", &[INT4, INT4], INT4, remainder),
            f("%", &[INT8, INT8], INT8, remainder),
            f("%", &[NUMERIC, NUMERIC], NUMERIC, remainder_decimals),
            f("mod", &[INT2, INT2], INT2, remainder),
            f("mod", &[INT4, INT4], INT4, remainder),
            f("mod", &[INT8, INT8], INT8, remainder),
            f("mod", &[NUMERIC, NUMERIC], NUMERIC, remainder_decimals),
            f("div", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::whole_quotient(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
            f("-", &[INT2], INT2, negate_int), f("-", &[INT4], INT4, negate_int), f("-", &[INT8], INT8, negate_int),
            f("-", &[FLOAT4], FLOAT4, |call| Ok((-call.float(0)?).into())),
            f("-", &[FLOAT8], FLOAT8, |call| Ok((-call.float(0)?).into())),
            f("-", &[NUMERIC], NUMERIC, |call| Ok(call.decimal(0)?.negated().into())),
            f("+", &[INT2], INT2, same), f("+", &[INT4], INT4, same), f("+", &[INT8], INT8, same),
            f("+", &[FLOAT4], FLOAT4, same), f("+", &[FLOAT8], FLOAT8, same), f("+", &[NUMERIC], NUMERIC, same),
            f("abs", &[INT2], INT2, abs_int), f("abs", &[INT4], INT4, abs_int), f("abs", &[INT8], INT8, abs_int),
            f("abs", &[FLOAT4], FLOAT4, |call| Ok(call.float(0)?.abs().into())),
            f("abs", &[FLOAT8], FLOAT8, |call| Ok(call.float(0)?.abs().into())),
            f("abs", &[NUMERIC], NUMERIC, abs_decimal),
            f("@", &[INT2], INT2, abs_int), f("@", &[INT4], INT4, abs_int), f("@", &[INT8], INT8, abs_int),
            f("@", &[FLOAT4], FLOAT4, |call| Ok(call.float(0)?.abs().into())),
            f("@", &[FLOAT8], FLOAT8, |call| Ok(call.float(0)?.abs().into())),
            f("@", &[NUMERIC], NUMERIC, abs_decimal),
            f("&", &[INT2, INT2], INT2, |call| bits(call, |a, b| a & b)),
            f("&", &[INT4, INT4], INT4, |call| bits(call, |a, b| a & b)),
            f("&", &[INT8, INT8], INT8, |call| bits(call, |a, b| a & b)),
            f("|", &[INT2, INT2], INT2, |call| bits(call, |a, b| a | b)),
            f("|", &[INT4, INT4], INT4, |call| bits(call, |a, b| a | b)),
            f("|", &[INT8, INT8], INT8, |call| bits(call, |a, b| a | b)),
            f("#", &[INT2, INT2], INT2, |call| bits(call, |a, b| a ^ b)),
            f("#", &[INT4, INT4], INT4, |call| bits(call, |a, b| a ^ b)),
            f("#", &[INT8, INT8], INT8, |call| bits(call, |a, b| a ^ b)),
            f("~", &[INT2], INT2, |call| Ok((!call.int(0)?).into())),
            f("~", &[INT4], INT4, |call| Ok((!call.int(0)?).into())),
            f("~", &[INT8], INT8, |call| Ok((!call.int(0)?).into())),
            f("<<", &[INT2, INT4], INT2, |call| shift(call, true)),
            f("<<", &[INT4, INT4], INT4, |call| shift(call, true)),
            f("<<", &[INT8, INT4], INT8, |call| shift(call, true)),
            f(">>", &[INT2, INT4], INT2, |call| shift(call, false)),
            f(">>", &[INT4, INT4], INT4, |call| shift(call, false)),
            f(">>", &[INT8, INT4], INT8, |call| shift(call, false)),
            f("gcd", &[INT4, INT4], INT4, gcd), f("gcd", &[INT8, INT8], INT8, gcd),
            f("gcd", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::gcd(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
            f("lcm", &[INT4, INT4], INT4, lcm), f("lcm", &[INT8, INT8], INT8, lcm),
            f("lcm", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::lcm(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
        ];
    };
}

arithmetic! {
    ints {
    INT2 INT2 INT2, INT2 INT4 INT4, INT2 INT8 INT8, INT4 INT2 INT4, INT4 INT4 INT4, INT4 INT8 INT8,
    INT8 INT2 INT8, INT8 INT4 INT8, INT8 INT8 INT8,
    } floats {
    FLOAT4 FLOAT4 FLOAT4, FLOAT4 FLOAT8 FLOAT8, FLOAT8 FLOAT4 FLOAT8, FLOAT8 FLOAT8 FLOAT8,
    }
}

fn same(call: &Call<'_, '_>) -> Answer {
    Ok(call.value(0))
}

pub(super) fn division_by_zero() -> QueryError {
    fault("22012", "division by zero")
}

/// An integer, if it is one of the result's type.
pub(super) fn within(call: &Call<'_, '_>, int: Option<i64>) -> Answer {
    let (name, fits) = match call.bound.result {
        SqlType::Scalar(ScalarType::Int2) => (
            "smallint",
            int.is_some_and(|int| i16::try_from(int).is_ok()),
        ),
        SqlType::Scalar(ScalarType::Int4) => {
            ("integer", int.is_some_and(|int| i32::try_from(int).is_ok()))
        }
        _ => ("bigint", int.is_some()),
    };
    match int {
        Some(int) if fits => Ok(Value::Int(int)),
        _ => Err(fault("22003", format!("{name} out of range"))),
    }
}

fn ints(call: &Call<'_, '_>, operation: fn(i64, i64) -> Option<i64>) -> Answer {
    within(call, operation(call.int(0)?, call.int(1)?))
}

fn divide_ints(call: &Call<'_, '_>) -> Answer {
    match call.int(1)? {
        0 => Err(division_by_zero()),
        divisor => within(call, call.int(0)?.checked_div(divisor)),
    }
}

fn remainder(call: &Call<'_, '_>) -> Answer {
    match call.int(1)? {
        0 => Err(division_by_zero()),
        divisor => Ok(call.int(0)?.wrapping_rem(divisor).into()),
    }
}

fn negate_int(call: &Call<'_, '_>) -> Answer {
    within(call, call.int(0)?.checked_neg())
}

fn abs_int(call: &Call<'_, '_>) -> Answer {
    within(call, call.int(0)?.checked_abs())
}

fn bits(call: &Call<'_, '_>, operation: fn(i64, i64) -> i64) -> Answer {
    Ok(operation(call.int(0)?, call.int(1)?).into())
}

/// As processors shift: by the count's lowest bits, keeping the result's.
fn shift(call: &Call<'_, '_>, left: bool) -> Answer {
    let (int, count) = (call.int(0)?, call.int(1)?);
    Ok(match call.bound.result {
        SqlType::Scalar(ScalarType::Int8) => match left {
            true => int.wrapping_shl(count as u32),
            false => int.wrapping_shr(count as u32),
        },
        SqlType::Scalar(ScalarType::Int2) => {
            // Of two bytes, the processor shifts four.
            let int = int as i32;
            i64::from(match left {
                true => int.wrapping_shl(count as u32) as i16,
                false => int.wrapping_shr(count as u32) as i16,
            })
        }
        _ => {
            let int = int as i32;
            i64::from(match left {
                true => int.wrapping_shl(count as u32),
                false => int.wrapping_shr(count as u32),
            })
        }
    }
    .into())
}

fn greatest_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn gcd(call: &Call<'_, '_>) -> Answer {
    let divisor = greatest_divisor(call.int(0)?.unsigned_abs(), call.int(1)?.unsigned_abs());
    within(call, i64::try_from(divisor).ok())
}

fn lcm(call: &Call<'_, '_>) -> Answer {
    let (a, b) = (call.int(0)?.unsigned_abs(), call.int(1)?.unsigned_abs());
    if a == 0 || b == 0 {
        return Ok(Value::Int(0));
    }
    let multiple = (a / greatest_divisor(a, b)).checked_mul(b);
    within(
        call,
        multiple.and_then(|multiple| i64::try_from(multiple).ok()),
    )
}

/// What the result of an operation on floats may have lost.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Overflow,
    Both,
}

fn floats(call: &Call<'_, '_>, operation: fn(f64, f64) -> f64, loss: Loss) -> Answer {
    let (a, b) = (call.float(0)?, call.float(1)?);
    let result = operation(a, b);
    let result = match call.bound.result {
        // To double precision first is no second rounding: it has more than twice the digits.
        SqlType::Scalar(ScalarType::Float4) => f64::from(result as f32),
        _ => result,
    };
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(overflow());
    }
    if loss == Loss::Both && result == 0.0 && a != 0.0 && b != 0.0 && b.is_finite() {
        return Err(underflow());
    }
    Ok(result.into())
}

fn divide_floats(call: &Call<'_, '_>) -> Answer {
    match call.float(1)? == 0.0 && !call.float(0)?.is_nan() {
        true => Err(division_by_zero()),
        false => floats(call, |a, b| a / b, Loss::Both),
    }
}

pub(super) fn overflow() -> QueryError {
    fault("22003", "value out of range: overflow")
}

pub(super) fn underflow() -> QueryError {
    fault("22003", "value out of range: underflow")
}

fn decimals(
    call: &Call<'_, '_>,
    operation: fn(&Decimal, &Decimal) -> Result<Decimal, velocitydb_types::DecimalError>,
) -> Answer {
    let result = operation(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref());
    result.map(Value::Decimal).map_err(decimals::out_of_bounds)
}

fn remainder_decimals(call: &Call<'_, '_>) -> Answer {
    decimals::remainder(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())
}

fn abs_decimal(call: &Call<'_, '_>) -> Answer {
    let decimal = call.decimal(0)?;
    Ok(match decimal.is_negative() {
        true => decimal.negated().into(),
        false => decimal.into_owned().into(),
    })
}
