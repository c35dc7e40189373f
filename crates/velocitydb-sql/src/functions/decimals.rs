//! Numerics: as many digits as PostgreSQL gives, of numbers that keep no zeros at their end.
//!
//! PostgreSQL chooses how many digits a quotient, a root or a logarithm has from the digits of its
//! arguments, zeros at the end included; here from those that are left. So `1.00000000000000000000/3`
//! has fewer digits here; there is no other difference.

use bigdecimal::num_bigint::{BigInt, Sign};
use bigdecimal::num_traits::{Signed, ToPrimitive, Zero};
use velocitydb_query::QueryError;
use velocitydb_types::{Decimal, DecimalError, Value};

use super::numbers::division_by_zero;
use super::{Answer, fault};

/// Digits after the point that a result has at most.
const SCALE_MAX: i64 = 1000;
/// Digits that a result has at least.
const DIGITS: i64 = 16;

pub(super) fn out_of_bounds(_: DecimalError) -> QueryError {
    fault("22003", "value overflows numeric format")
}

pub(super) fn new(digits: BigInt, scale: i64) -> Answer {
    Decimal::new(digits, scale)
        .map(Value::Decimal)
        .map_err(out_of_bounds)
}

fn ten(power: i64) -> BigInt {
    BigInt::from(10).pow(u32::try_from(power.max(0)).unwrap_or(0))
}

/// Digits after the point.
pub(super) fn scale(number: &Decimal) -> i64 {
    number.scale().max(0)
}

/// `number × 10^scale`, cut towards zero.
fn fixed(number: &Decimal, scale: i64) -> BigInt {
    match scale - number.scale() {
        more @ 0.. => number.digits() * ten(more),
        less => number.digits() / ten(-less),
    }
}

/// A quotient, rounded half away from zero.
fn round_quotient(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    let (twice, by) = (dividend.abs() * 2 + divisor.abs(), divisor.abs() * 2);
    let magnitude: BigInt = twice / by;
    match dividend.sign() == divisor.sign() {
        true => magnitude,
        false => -magnitude,
    }
}

/// Rounded to so many digits after the point (before it, when negative), half away from zero.
pub(super) fn round(number: &Decimal, wanted: i64) -> Answer {
    let wanted = wanted.clamp(-2 * SCALE_MAX, 2 * SCALE_MAX);
    if wanted >= number.scale() {
        return Ok(number.clone().into());
    }
    new(
        round_quotient(number.digits(), &ten(number.scale() - wanted)),
        wanted,
    )
}

/// Cut to so many digits after the point.
pub(super) fn truncate(number: &Decimal, wanted: i64) -> Answer {
    let wanted = wanted.clamp(-2 * SCALE_MAX, 2 * SCALE_MAX);
    if wanted >= number.scale() {
        return Ok(number.clone().into());
    }
    new(number.digits() / ten(number.scale() - wanted), wanted)
}

/// The whole number from a number down (or up).
pub(super) fn floor(number: &Decimal, up: bool) -> Answer {
    if number.scale() <= 0 {
        return Ok(number.clone().into());
    }
    let by = ten(number.scale());
    let (whole, rest): (BigInt, BigInt) = (number.digits() / &by, number.digits() % &by);
    new(
        match (rest.sign(), up) {
            (Sign::Minus, false) => whole - 1,
            (Sign::Plus, true) => whole + 1,
            _ => whole,
        },
        0,
    )
}

/// The power of ten of the first digit.
fn magnitude(number: &Decimal) -> i64 {
    let digits = number.digits().magnitude().to_str_radix(10).len() as i64;
    digits - 1 - number.scale()
}

/// PostgreSQL's weight, in powers of 10,000, and its first digit of that base.
fn weight(number: &Decimal) -> (i64, u32) {
    if number.is_zero() {
        return (0, 0);
    }
    let weight = magnitude(number).div_euclid(4);
    let first = fixed(number, -4 * weight);
    (weight, first.magnitude().to_u32().unwrap_or(0))
}

fn scale_of_quotient(a: &Decimal, b: &Decimal) -> i64 {
    let ((weight_a, first_a), (weight_b, first_b)) = (weight(a), weight(b));
    let weight = weight_a - weight_b - i64::from(first_a <= first_b);
    let scale_of_both = scale(a).max(scale(b));
    (DIGITS - weight * 4).max(scale_of_both).clamp(0, SCALE_MAX)
}

pub(super) fn divide(a: &Decimal, b: &Decimal) -> Answer {
    if b.is_zero() {
        return Err(division_by_zero());
    }
    quotient(a, b, scale_of_quotient(a, b))
}

fn quotient(a: &Decimal, b: &Decimal, scale: i64) -> Answer {
    // a / b = (a.digits / b.digits) × 10^(b.scale - a.scale)
    let shift = scale + b.scale() - a.scale();
    let (dividend, divisor) = match shift >= 0 {
        true => (a.digits() * ten(shift), b.digits().clone()),
        false => (a.digits().clone(), b.digits() * ten(-shift)),
    };
    new(round_quotient(&dividend, &divisor), scale)
}

/// Both at one scale, as integers.
fn aligned(a: &Decimal, b: &Decimal) -> (BigInt, BigInt, i64) {
    let scale = a.scale().max(b.scale());
    (fixed(a, scale), fixed(b, scale), scale)
}

pub(super) fn whole_quotient(a: &Decimal, b: &Decimal) -> Answer {
    if b.is_zero() {
        return Err(division_by_zero());
    }
    let (a, b, _) = aligned(a, b);
    new(a / b, 0)
}

pub(super) fn remainder(a: &Decimal, b: &Decimal) -> Answer {
    if b.is_zero() {
        return Err(division_by_zero());
    }
    let (a, b, scale) = aligned(a, b);
    new(a % b, scale)
}

fn greatest_divisor(mut a: BigInt, mut b: BigInt) -> BigInt {
    while !b.is_zero() {
        let rest = &a % &b;
        a = std::mem::replace(&mut b, rest);
    }
    a.abs()
}

pub(super) fn gcd(a: &Decimal, b: &Decimal) -> Answer {
    let (a, b, scale) = aligned(a, b);
    new(greatest_divisor(a, b), scale)
}

pub(super) fn lcm(a: &Decimal, b: &Decimal) -> Answer {
    let (a, b, scale) = aligned(a, b);
    if a.is_zero() || b.is_zero() {
        return Ok(Decimal::zero().into());
    }
    let divisor = greatest_divisor(a.clone(), b.clone());
    new((a / divisor * b).abs(), scale)
}

pub(super) fn sqrt(number: &Decimal) -> Answer {
    if number.is_negative() {
        return Err(fault(
            "2201F",
            "cannot take square root of a negative number",
        ));
    }
    let (weight, _) = weight(number);
    let wanted = (DIGITS - ((weight + 1) * 4 / 2 - 1))
        .max(scale(number))
        .clamp(0, SCALE_MAX);
    root(number, wanted)
}

/// The root of what is not negative, with so many digits after the point.
fn root(number: &Decimal, wanted: i64) -> Answer {
    // One digit more, and whether anything follows, decide the rounding.
    let root = fixed(number, 2 * (wanted + 1)).sqrt();
    new(round_quotient(&root, &BigInt::from(10)), wanted)
}

/// The variance of numbers, or the root of it: of how many they are, their sum and that of their squares.
pub(crate) fn variance(
    count: i64,
    sum: &Decimal,
    squares: &Decimal,
    sample: bool,
    is_root: bool,
) -> Answer {
    let count = BigInt::from(count);
    let scale = (2 * sum.scale()).max(squares.scale()).max(0);
    let sum = fixed(sum, scale);
    let difference = fixed(squares, 2 * scale) * &count - &sum * &sum;
    if difference.sign() != Sign::Plus {
        return Ok(Decimal::zero().into());
    }
    let by = match sample {
        true => &count * (&count - 1),
        false => &count * &count,
    };
    let decimal = |digits, scale| Decimal::new(digits, scale).map_err(out_of_bounds);
    let (difference, by) = (decimal(difference, 2 * scale)?, decimal(by, 0)?);
    let wanted = scale_of_quotient(&difference, &by).max(scale);
    match quotient(&difference, &by, wanted)? {
        Value::Decimal(variance) if is_root => root(&variance, wanted),
        variance => Ok(variance),
    }
}

/// Digits that calculations have beyond those of the result.
const GUARD: i64 = 12;

/// `e^x` for fixed-point numbers of a scale.
fn exp_fixed(x: &BigInt, scale: i64) -> BigInt {
    // e^x = 2^k × e^r, and e^r = (e^(r / 2^8))^(2^8)
    let (scale_up, one) = (scale + GUARD, ten(scale + GUARD));
    let ln2 = ln_fixed(&(&one * 2), scale_up);
    let x = x * ten(GUARD);
    let k: BigInt = (&x * 2 + &ln2) / (&ln2 * 2);
    let r: BigInt = (&x - &k * &ln2) / 256;
    let (mut sum, mut term, mut n) = (one.clone(), one.clone(), 1);
    while !term.is_zero() {
        term = term * &r / &one / n;
        sum += &term;
        n += 1;
    }
    for _ in 0..8 {
        sum = &sum * &sum / &one;
    }
    let power = k.to_i64().unwrap_or(0);
    let result = match power {
        0.. => sum << power,
        _ => sum >> -power,
    };
    result / ten(GUARD)
}

/// The natural logarithm for fixed-point numbers of a scale; of what is above 0.
fn ln_fixed(x: &BigInt, scale: i64) -> BigInt {
    let one = ten(scale);
    // x = m × 2^k with m about 1, ln m = 2 × atanh((m - 1) / (m + 1))
    let mut k = x.bits() as i64 - one.bits() as i64;
    let halved = |k: i64| match k {
        0.. => x >> k,
        _ => x << -k,
    };
    let mut m = halved(k);
    if &m * 3 > &one * 4 {
        k += 1;
        m = halved(k);
    }
    let series = |numerator: BigInt, denominator: BigInt| {
        let y = numerator * &one / denominator;
        let square = &y * &y / &one;
        let (mut sum, mut power, mut n) = (BigInt::zero(), y, 1);
        while !power.is_zero() {
            sum += &power / n;
            power = power * &square / &one;
            n += 2;
        }
        sum * 2
    };
    let of_m = series(&m - &one, &m + &one);
    let ln2 = series(one.clone(), &one * 3);
    of_m + ln2 * k
}

/// The power of ten of a number's logarithm, as PostgreSQL estimates it.
fn magnitude_of_ln(number: &Decimal) -> i64 {
    let float = number.to_f64();
    if (0.9..=1.1).contains(&float) {
        let one = Decimal::from(1);
        return match number.checked_sub(&one) {
            Ok(rest) if !rest.is_zero() => magnitude(&rest),
            _ => 0,
        };
    }
    let ln = match float.is_normal() {
        true => float.ln(),
        false => magnitude(number) as f64 * std::f64::consts::LN_10,
    };
    ln.abs().log10() as i64
}

fn check_logarithm(number: &Decimal) -> Result<(), QueryError> {
    match number {
        zero if zero.is_zero() => Err(fault("2201E", "cannot take logarithm of zero")),
        negative if negative.is_negative() => {
            Err(fault("2201E", "cannot take logarithm of a negative number"))
        }
        _ => Ok(()),
    }
}

/// A number's logarithm at a scale, which is as exact as that.
fn ln_at(number: &Decimal, scale: i64) -> BigInt {
    let more = scale + GUARD + number.scale().abs();
    ln_fixed(&fixed(number, more), more) / ten(more - scale)
}

fn round_fixed(number: &BigInt, scale: i64, wanted: i64) -> Answer {
    new(round_quotient(number, &ten(scale - wanted)), wanted)
}

pub(super) fn ln(number: &Decimal) -> Answer {
    check_logarithm(number)?;
    let wanted = (DIGITS - magnitude_of_ln(number))
        .max(scale(number))
        .clamp(0, SCALE_MAX);
    round_fixed(&ln_at(number, wanted + GUARD), wanted + GUARD, wanted)
}

pub(super) fn log(base: &Decimal, number: &Decimal) -> Answer {
    check_logarithm(base)?;
    check_logarithm(number)?;
    let weight = magnitude_of_ln(number) - magnitude_of_ln(base);
    let wanted = (DIGITS - weight)
        .max(scale(base))
        .max(scale(number))
        .clamp(0, SCALE_MAX);
    let work = wanted + 2 * GUARD + magnitude_of_ln(base).abs();
    let divisor = ln_at(base, work);
    if divisor.is_zero() {
        return Err(division_by_zero());
    }
    let quotient = ln_at(number, work) * ten(work) / divisor;
    round_fixed(&quotient, work, wanted)
}

/// Beyond this no power of e is within the bounds of a numeric.
const EXPONENT_MAX: f64 = 2_400.0;

pub(super) fn exp(number: &Decimal) -> Answer {
    let float = number.to_f64();
    if float > EXPONENT_MAX {
        return Err(fault("22003", "value overflows numeric format"));
    }
    if float < -EXPONENT_MAX {
        return Ok(Decimal::zero().into());
    }
    let weight = (float * std::f64::consts::LOG10_E) as i64;
    let wanted = (DIGITS - weight).max(scale(number)).clamp(0, SCALE_MAX);
    let work = wanted + 2 * GUARD + weight.abs();
    round_fixed(&exp_fixed(&fixed(number, work), work), work, wanted)
}

pub(super) fn power(base: &Decimal, exponent: &Decimal) -> Answer {
    if base.is_zero() && exponent.is_negative() {
        return Err(fault(
            "2201F",
            "zero raised to a negative power is undefined",
        ));
    }
    let whole = exponent
        .to_i64()
        .and_then(|whole| i32::try_from(whole).ok());
    if base.is_negative() && exponent.scale() > 0 {
        return Err(fault(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    if exponent.is_zero() || base.is_zero() {
        return Ok(Decimal::from(i64::from(exponent.is_zero())).into());
    }
    let digits = magnitude(base).abs() + scale(base) + 1;
    if let Some(whole) = whole {
        let wanted = DIGITS.max(scale(base)).min(SCALE_MAX);
        let power = whole.unsigned_abs();
        if i64::from(power) * digits <= 3000 {
            let raised = (base.digits().pow(power), base.scale() * i64::from(power));
            // The value is raised.0 × 10^-raised.1, or one divided by that.
            let (dividend, divisor) = match whole > 0 {
                true => (raised.0, BigInt::from(1)),
                false => (BigInt::from(1), raised.0),
            };
            let shift = wanted - if whole > 0 { raised.1 } else { -raised.1 };
            let (dividend, divisor) = match shift >= 0 {
                true => (dividend * ten(shift), divisor),
                false => (dividend, divisor * ten(-shift)),
            };
            return new(round_quotient(&dividend, &divisor), wanted);
        }
    }
    let (odd, positive) = (
        whole.is_some_and(|whole| whole % 2 != 0),
        if base.is_negative() {
            base.negated()
        } else {
            base.clone()
        },
    );
    // With so many digits the product is exact to more than the result shows.
    let work = 2 * SCALE_MAX.min(40 + scale(base).max(scale(exponent))) + 40;
    let ln = ln_at(&positive, work) * fixed(exponent, work) / ten(work);
    let float = (&ln / ten(work - 6)).to_f64().unwrap_or(f64::INFINITY) / 1e6;
    if float > EXPONENT_MAX {
        return Err(fault("22003", "value overflows numeric format"));
    }
    if float < -EXPONENT_MAX {
        return Ok(Decimal::zero().into());
    }
    let weight = (float * std::f64::consts::LOG10_E) as i64;
    let wanted = match whole {
        Some(_) => DIGITS.max(scale(base)),
        None => (DIGITS - weight).max(scale(base)).max(scale(exponent)),
    };
    let wanted = wanted.clamp(0, SCALE_MAX);
    let more = (wanted + 2 * GUARD + weight.abs() - work).max(0);
    let work = work + more;
    let ln = ln_at(&positive, work) * fixed(exponent, work) / ten(work);
    let result = exp_fixed(&ln, work);
    round_fixed(
        &if base.is_negative() && odd {
            -result
        } else {
            result
        },
        work,
        wanted,
    )
}

pub(super) fn factorial(of: i64) -> Answer {
    if of < 0 {
        return Err(fault(
            "22003",
            "factorial of a negative number is undefined",
        ));
    }
    // 450! has a thousand digits.
    if of > 500 {
        return Err(fault("22003", "value overflows numeric format"));
    }
    new((1..=of).fold(BigInt::from(1), |product, n| product * n), 0)
}

/// The bucket (from 1) of so many between two bounds that a number lies in; 0 and one more than
/// there are stand for below and above.
pub(super) fn width_bucket(number: &Decimal, low: &Decimal, high: &Decimal, count: i64) -> Answer {
    let wrong = |message| Err(fault("2201G", message));
    if count <= 0 {
        return wrong("count must be greater than zero");
    }
    if low == high {
        return wrong("lower bound cannot equal upper bound");
    }
    let (below, above) = match low < high {
        true => (number < low, number >= high),
        false => (number > low, number <= high),
    };
    if below || above {
        let bucket = if above { count + 1 } else { 0 };
        return match i32::try_from(bucket) {
            Ok(bucket) => Ok(bucket.into()),
            Err(_) => Err(fault("22003", "integer out of range")),
        };
    }
    let scale = number.scale().max(low.scale()).max(high.scale());
    let (number, low, high) = (fixed(number, scale), fixed(low, scale), fixed(high, scale));
    let bucket: BigInt = (number - &low) * count / (high - low) + 1;
    Ok(Value::Int(bucket.to_i64().unwrap_or(count)))
}
