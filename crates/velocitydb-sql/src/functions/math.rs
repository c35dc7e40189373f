//! Functions of analysis: roundings, roots, powers, logarithms, angles.

use std::cmp::Ordering;

use velocitydb_query::QueryError;
use velocitydb_types::{Decimal, Value, compare};

use super::call::Call;
use super::decimals;
use super::kinds::*;
use super::numbers::{overflow, underflow};
use super::{Answer, Row, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("ceil", &[FLOAT8], FLOAT8, |call| float(call, f64::ceil)),
    f("ceil", &[NUMERIC], NUMERIC, |call| decimals::floor(call.decimal(0)?.as_ref(), true)),
    f("ceiling", &[FLOAT8], FLOAT8, |call| float(call, f64::ceil)),
    f("ceiling", &[NUMERIC], NUMERIC, |call| decimals::floor(call.decimal(0)?.as_ref(), true)),
    f("floor", &[FLOAT8], FLOAT8, |call| float(call, f64::floor)),
    f("floor", &[NUMERIC], NUMERIC, |call| decimals::floor(call.decimal(0)?.as_ref(), false)),
    f("round", &[FLOAT8], FLOAT8, |call| float(call, f64::round_ties_even)),
    f("round", &[NUMERIC], NUMERIC, |call| decimals::round(call.decimal(0)?.as_ref(), 0)),
    f("round", &[NUMERIC, INT4], NUMERIC, |call| decimals::round(call.decimal(0)?.as_ref(), call.int(1)?)),
    f("trunc", &[FLOAT8], FLOAT8, |call| float(call, f64::trunc)),
    f("trunc", &[NUMERIC], NUMERIC, |call| decimals::truncate(call.decimal(0)?.as_ref(), 0)),
    f("trunc", &[NUMERIC, INT4], NUMERIC, |call| decimals::truncate(call.decimal(0)?.as_ref(), call.int(1)?)),
    f("sign", &[FLOAT8], FLOAT8, |call| float(call, |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { 0.0 })),
    f("sign", &[NUMERIC], NUMERIC, |call| Ok(Decimal::from(call.decimal(0)?.as_ref().cmp(&Decimal::zero()) as i64).into())),
    f("min_scale", &[NUMERIC], INT4, |call| Ok(decimals::scale(call.decimal(0)?.as_ref()).into())),
    f("trim_scale", &[NUMERIC], NUMERIC, |call| Ok(call.value(0))),
    f("sqrt", &[FLOAT8], FLOAT8, sqrt),
    f("sqrt", &[NUMERIC], NUMERIC, |call| decimals::sqrt(call.decimal(0)?.as_ref())),
    f("|/", &[FLOAT8], FLOAT8, sqrt),
    f("cbrt", &[FLOAT8], FLOAT8, |call| float(call, f64::cbrt)),
    f("||/", &[FLOAT8], FLOAT8, |call| float(call, f64::cbrt)),
    f("exp", &[FLOAT8], FLOAT8, exp),
    f("exp", &[NUMERIC], NUMERIC, |call| decimals::exp(call.decimal(0)?.as_ref())),
    f("ln", &[FLOAT8], FLOAT8, |call| logarithm(call, f64::ln)),
    f("ln", &[NUMERIC], NUMERIC, |call| decimals::ln(call.decimal(0)?.as_ref())),
    f("log", &[FLOAT8], FLOAT8, |call| logarithm(call, f64::log10)),
    f("log", &[NUMERIC], NUMERIC, |call| decimals::log(&Decimal::from(10), call.decimal(0)?.as_ref())),
    f("log", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::log(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
    f("log10", &[FLOAT8], FLOAT8, |call| logarithm(call, f64::log10)),
    f("log10", &[NUMERIC], NUMERIC, |call| decimals::log(&Decimal::from(10), call.decimal(0)?.as_ref())),
    f("power", &[FLOAT8, FLOAT8], FLOAT8, power),
    f("power", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::power(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
    f("pow", &[FLOAT8, FLOAT8], FLOAT8, power),
    f("pow", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::power(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
    f("^", &[FLOAT8, FLOAT8], FLOAT8, power),
    f("^", &[NUMERIC, NUMERIC], NUMERIC, |call| decimals::power(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref())),
    f("factorial", &[INT8], NUMERIC, |call| decimals::factorial(call.int(0)?)),
    f("pi", &[], FLOAT8, |_| Ok(std::f64::consts::PI.into())),
    f("degrees", &[FLOAT8], FLOAT8, |call| finite(call, call.float(0)? / (std::f64::consts::PI / 180.0))),
    f("radians", &[FLOAT8], FLOAT8, |call| finite(call, call.float(0)? * (std::f64::consts::PI / 180.0))),
    f("sin", &[FLOAT8], FLOAT8, |call| of_angle(call, f64::sin)),
    f("cos", &[FLOAT8], FLOAT8, |call| of_angle(call, f64::cos)),
    f("tan", &[FLOAT8], FLOAT8, |call| of_angle(call, f64::tan)),
    f("cot", &[FLOAT8], FLOAT8, |call| of_angle(call, |x| 1.0 / x.tan())),
    f("asin", &[FLOAT8], FLOAT8, |call| of_ratio(call, f64::asin)),
    f("acos", &[FLOAT8], FLOAT8, |call| of_ratio(call, f64::acos)),
    f("atan", &[FLOAT8], FLOAT8, |call| float(call, f64::atan)),
    f("atan2", &[FLOAT8, FLOAT8], FLOAT8, |call| Ok(call.float(0)?.atan2(call.float(1)?).into())),
    f("sinh", &[FLOAT8], FLOAT8, |call| float(call, f64::sinh)),
    f("cosh", &[FLOAT8], FLOAT8, |call| float(call, f64::cosh)),
    f("tanh", &[FLOAT8], FLOAT8, |call| float(call, f64::tanh)),
    f("asinh", &[FLOAT8], FLOAT8, |call| float(call, f64::asinh)),
    f("acosh", &[FLOAT8], FLOAT8, |call| match call.float(0)? {
        small if small < 1.0 => Err(input_out_of_range()),
        ratio => Ok(ratio.acosh().into()),
    }),
    f("atanh", &[FLOAT8], FLOAT8, |call| match call.float(0)? {
        one if one.abs() == 1.0 => Ok((one * f64::INFINITY).into()),
        _ => of_ratio(call, f64::atanh),
    }),
    f("width_bucket", &[FLOAT8, FLOAT8, FLOAT8, INT4], INT4, width_bucket),
    f("width_bucket", &[NUMERIC, NUMERIC, NUMERIC, INT4], INT4, |call| {
        decimals::width_bucket(call.decimal(0)?.as_ref(), call.decimal(1)?.as_ref(), call.decimal(2)?.as_ref(), call.int(3)?)
    }),
    f("width_bucket", &[Common, CommonArray], INT4, bucket_of_array),
];

fn float(call: &Call<'_, '_>, function: fn(f64) -> f64) -> Answer {
    Ok(function(call.float(0)?).into())
}

/// A result that is infinite only if the argument is.
fn finite(call: &Call<'_, '_>, result: f64) -> Answer {
    match result.is_infinite() && call.float(0)?.is_finite() {
        true => Err(overflow()),
        false => Ok(result.into()),
    }
}

fn sqrt(call: &Call<'_, '_>) -> Answer {
    match call.float(0)? {
        negative if negative < 0.0 => Err(fault(
            "2201F",
            "cannot take square root of a negative number",
        )),
        number => Ok(number.sqrt().into()),
    }
}

fn exp(call: &Call<'_, '_>) -> Answer {
    let number = call.float(0)?;
    match number.exp() {
        0.0 if number.is_finite() => Err(underflow()),
        result => finite(call, result),
    }
}

fn logarithm(call: &Call<'_, '_>, function: fn(f64) -> f64) -> Answer {
    match call.float(0)? {
        0.0 => Err(fault("2201E", "cannot take logarithm of zero")),
        negative if negative < 0.0 => {
            Err(fault("2201E", "cannot take logarithm of a negative number"))
        }
        number => Ok(function(number).into()),
    }
}

fn power(call: &Call<'_, '_>) -> Answer {
    let (base, exponent) = (call.float(0)?, call.float(1)?);
    if base == 0.0 && exponent < 0.0 {
        return Err(fault(
            "2201F",
            "zero raised to a negative power is undefined",
        ));
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return Err(fault(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    let result = base.powf(exponent);
    match base.is_finite() && exponent.is_finite() {
        true if result.is_infinite() => Err(overflow()),
        true if result == 0.0 && base != 0.0 => Err(underflow()),
        _ => Ok(result.into()),
    }
}

fn input_out_of_range() -> QueryError {
    fault("22003", "input is out of range")
}

fn of_angle(call: &Call<'_, '_>, function: fn(f64) -> f64) -> Answer {
    match call.float(0)? {
        infinite if infinite.is_infinite() => Err(input_out_of_range()),
        angle => Ok(function(angle).into()),
    }
}

fn of_ratio(call: &Call<'_, '_>, function: fn(f64) -> f64) -> Answer {
    match call.float(0)? {
        ratio if ratio.abs() > 1.0 => Err(input_out_of_range()),
        ratio => Ok(function(ratio).into()),
    }
}

fn width_bucket(call: &Call<'_, '_>) -> Answer {
    let (number, low, high) = (call.float(0)?, call.float(1)?, call.float(2)?);
    let count = call.int(3)?;
    let wrong = |message| Err(fault("2201G", message));
    if count <= 0 {
        return wrong("count must be greater than zero");
    }
    if number.is_nan() || low.is_nan() || high.is_nan() {
        return wrong("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return wrong("lower and upper bounds must be finite");
    }
    if low == high {
        return wrong("lower bound cannot equal upper bound");
    }
    let (below, above) = match low < high {
        true => (number < low, number >= high),
        false => (number > low, number <= high),
    };
    let bucket = match (below, above) {
        (true, _) => 0,
        (_, true) => count + 1,
        _ => {
            let share = (number / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0);
            ((share * count as f64) as i64).min(count - 1) + 1
        }
    };
    match i32::try_from(bucket) {
        Ok(bucket) => Ok(bucket.into()),
        Err(_) => Err(fault("22003", "integer out of range")),
    }
}

/// How many bounds, in ascending order, a value has reached.
fn bucket_of_array(call: &Call<'_, '_>) -> Answer {
    let bounds: Vec<_> = call.array(1)?.iter().collect();
    if bounds
        .iter()
        .any(|bound| matches!(bound, velocitydb_types::View::Null))
    {
        return Err(fault("22004", "thresholds array must not contain NULLs"));
    }
    let reached =
        bounds.partition_point(|bound| compare(bound.clone(), call.view(0)) != Ordering::Greater);
    Ok(Value::Int(reached as i64))
}
