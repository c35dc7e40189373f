//! Exact decimal numbers, bounded so that no input can make them expensive.
//!
//! A [`Decimal`] is `digits × 10^-scale`. Invariants: it is normalized (the digits end in no
//! zero, and zero has scale 0), so equal numbers are identical and encode to identical bytes;
//! it has at most [`Decimal::DIGITS_MAX`] digits and a scale within ±[`Decimal::SCALE_MAX`],
//! so comparing or printing one costs microseconds at most, whatever exponent was asked for.
//!
//! Does not keep trailing zeros: `1.50` is `1.5`. A column's display scale is its type's.
//! Tests: below; ordering against integers and floats in `number`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::{BigInt, Sign};

use crate::error::ErrorClass;

/// An exact decimal number, normalized and bounded.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal(BigDecimal);

/// Why a number is not a [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// The text is no decimal number.
    #[error("not a decimal number")]
    Syntax,
    /// More significant digits than [`Decimal::DIGITS_MAX`].
    #[error("decimal has more than {} significant digits", Decimal::DIGITS_MAX)]
    Digits,
    /// A scale outside ±[`Decimal::SCALE_MAX`].
    #[error("decimal scale is outside -{0}..={0}", Decimal::SCALE_MAX)]
    Scale,
    /// NaN and the infinities have no decimal form.
    #[error("not a finite number")]
    NotFinite,
}

impl DecimalError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Syntax | Self::NotFinite => ErrorClass::Invalid,
            Self::Digits | Self::Scale => ErrorClass::Limit,
        }
    }
}

impl Decimal {
    /// Significant digits a decimal may have.
    pub const DIGITS_MAX: usize = 1000;
    /// Largest absolute scale (power of ten below, or above, the last digit).
    pub const SCALE_MAX: i64 = 1000;
    /// Bytes of the longest digits in two's complement: `10^1000` needs 3322 bits and a sign.
    pub(crate) const DIGIT_BYTES_MAX: usize = 416;
    /// No useful text is longer: sign, digits, zeros, point and exponent.
    const TEXT_BYTES_MAX: usize = 4096;
    /// Digits above this many bits cannot be within bounds even after normalization.
    const RAW_BITS_MAX: u64 = 8192;

    /// `digits × 10^-scale`, normalized.
    ///
    /// # Errors
    /// When the normalized number is out of bounds.
    pub fn new(digits: BigInt, scale: i64) -> Result<Self, DecimalError> {
        if digits.sign() == Sign::NoSign {
            return Ok(Self::zero());
        }
        if digits.bits() > Self::RAW_BITS_MAX {
            return Err(DecimalError::Digits);
        }
        let text = digits.magnitude().to_str_radix(10);
        let significant = text.trim_end_matches('0').len();
        let zeros = text.len() - significant;
        if significant > Self::DIGITS_MAX {
            return Err(DecimalError::Digits);
        }
        let scale = scale.checked_sub(zeros as i64).ok_or(DecimalError::Scale)?;
        if scale.abs() > Self::SCALE_MAX {
            return Err(DecimalError::Scale);
        }
        let digits = match zeros {
            0 => digits,
            _ => digits / BigInt::from(10).pow(zeros as u32),
        };
        Ok(Self(BigDecimal::new(digits, scale)))
    }

    /// Zero.
    pub fn zero() -> Self {
        Self(BigDecimal::new(BigInt::ZERO, 0))
    }

    /// The digits as an integer, with sign; never a multiple of ten but for zero.
    pub fn digits(&self) -> &BigInt {
        match self.0.as_bigint_and_scale().0 {
            std::borrow::Cow::Borrowed(digits) => digits,
            // The accessor lends what the number holds; it has no reason to copy.
            std::borrow::Cow::Owned(_) => unreachable!("a decimal lends its digits"),
        }
    }

    /// Digits after the decimal point; negative for trailing zeros before it.
    pub fn scale(&self) -> i64 {
        self.0.as_bigint_and_scale().1
    }

    /// The number as the general-purpose type, for arithmetic that is not here.
    pub fn as_big_decimal(&self) -> &BigDecimal {
        &self.0
    }

    /// Whether the number is zero.
    pub fn is_zero(&self) -> bool {
        self.digits().sign() == Sign::NoSign
    }

    /// Whether the number is below zero.
    pub fn is_negative(&self) -> bool {
        self.digits().sign() == Sign::Minus
    }

    /// The nearest `f64`, ties to even; infinite beyond the range of `f64`.
    pub fn to_f64(&self) -> f64 {
        let exact = i32::try_from(self.digits()).ok();
        if let (Some(digits), 0) = (exact, self.scale()) {
            return f64::from(digits);
        }
        // The standard parser rounds correctly whatever the length.
        format!("{}e{}", self.digits(), -self.scale())
            .parse()
            .expect("a decimal prints as a number in scientific notation")
    }

    /// The integer this number is, when it is one and fits.
    pub fn to_i64(&self) -> Option<i64> {
        let scale = self.scale();
        if !(-18..=0).contains(&scale) {
            return None;
        }
        let digits = i64::try_from(self.digits()).ok()?;
        digits.checked_mul(10_i64.pow(scale.unsigned_abs() as u32))
    }

    /// The exact value of a float.
    ///
    /// # Errors
    /// NaN and infinities, and floats too small to fit the scale (below about `1e-290`).
    pub fn from_f64_exact(float: f64) -> Result<Self, DecimalError> {
        let (digits, scale) = float_parts(float).ok_or(DecimalError::NotFinite)?;
        Self::new(digits, scale)
    }

    /// The exact sum.
    ///
    /// # Errors
    /// When it is out of bounds.
    pub fn checked_add(&self, other: &Self) -> Result<Self, DecimalError> {
        let (a, b, scale) = aligned(self, other);
        Self::new(a + b, scale)
    }

    /// The exact difference.
    ///
    /// # Errors
    /// When it is out of bounds.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, DecimalError> {
        let (a, b, scale) = aligned(self, other);
        Self::new(a - b, scale)
    }

    /// The exact product.
    ///
    /// # Errors
    /// When it is out of bounds.
    pub fn checked_mul(&self, other: &Self) -> Result<Self, DecimalError> {
        Self::new(self.digits() * other.digits(), self.scale() + other.scale())
    }

    /// The number with its sign turned.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self(BigDecimal::new(-self.digits(), self.scale()))
    }

    /// Appends scale (two bytes, little-endian) and digits (minimal two's complement).
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let scale = i16::try_from(self.scale()).expect("the scale is within ±1000");
        out.extend_from_slice(&scale.to_le_bytes());
        if !self.is_zero() {
            out.extend_from_slice(&self.digits().to_signed_bytes_le());
        }
    }

    /// Reads what [`Self::encode`] wrote; `None` unless the bytes are those of a decimal,
    /// bounded but not checked to be normalized.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let (scale, digits) = payload.split_first_chunk::<2>()?;
        let scale = i64::from(i16::from_le_bytes(*scale));
        if digits.len() > Self::DIGIT_BYTES_MAX || scale.abs() > Self::SCALE_MAX {
            return None;
        }
        Some(Self(BigDecimal::new(
            BigInt::from_signed_bytes_le(digits),
            scale,
        )))
    }

    /// As [`Self::decode`], digits and scale, when an `i128` holds the digits.
    #[inline]
    pub(crate) fn decode_small(payload: &[u8]) -> Option<(i128, i64)> {
        let (scale, digits) = payload.split_first_chunk::<2>()?;
        let last = digits.last().copied().unwrap_or_default();
        // Further digits continue the sign.
        let mut bytes = [if last & 0x80 == 0 { 0x00 } else { 0xFF }; 16];
        bytes.get_mut(..digits.len())?.copy_from_slice(digits);
        Some((
            i128::from_le_bytes(bytes),
            i16::from_le_bytes(*scale).into(),
        ))
    }

    /// Reads what [`Self::encode`] wrote and accepts nothing else.
    pub(crate) fn decode_canonical(payload: &[u8]) -> Option<Self> {
        let read = Self::decode(payload)?;
        let normalized = Self::new(read.digits().clone(), read.scale()).ok()?;
        let mut again = Vec::with_capacity(payload.len());
        normalized.encode(&mut again);
        (again == payload).then_some(normalized)
    }
}

/// Both digits at the larger of the two scales. Bounded: scales differ by at most 2000.
fn aligned(a: &Decimal, b: &Decimal) -> (BigInt, BigInt, i64) {
    let scale = a.scale().max(b.scale());
    (
        rescaled(a.digits(), a.scale(), scale),
        rescaled(b.digits(), b.scale(), scale),
        scale,
    )
}

/// `digits` at a scale that is no smaller than their own.
pub(crate) fn rescaled(digits: &BigInt, scale: i64, wanted: i64) -> BigInt {
    debug_assert!(wanted >= scale, "rescaling never drops digits");
    match wanted - scale {
        0 => digits.clone(),
        by => digits * BigInt::from(10).pow(by as u32),
    }
}

/// A finite float as exact `digits × 10^-scale`; scale at most 1074.
pub(crate) fn float_parts(float: f64) -> Option<(BigInt, i64)> {
    if !float.is_finite() {
        return None;
    }
    let bits = float.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, exponent) = match (bits >> 52) & 0x7ff {
        0 => (fraction, -1074),
        biased => (fraction | 1 << 52, biased as i64 - 1075),
    };
    let shift = if mantissa == 0 {
        0
    } else {
        i64::from(mantissa.trailing_zeros())
    };
    let (mantissa, exponent) = (
        mantissa >> shift,
        if mantissa == 0 { 0 } else { exponent + shift },
    );
    let magnitude = BigInt::from(mantissa);
    // m × 2^-k = m × 5^k × 10^-k
    let (digits, scale) = match exponent {
        0.. => (magnitude << exponent, 0),
        _ => (magnitude * BigInt::from(5).pow(-exponent as u32), -exponent),
    };
    Some((
        if float.is_sign_negative() {
            -digits
        } else {
            digits
        },
        scale,
    ))
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale() == other.scale() {
            return self.digits().cmp(other.digits());
        }
        let signs = self.digits().sign().cmp(&other.digits().sign());
        signs.then_with(|| {
            let (a, b, _) = aligned(self, other);
            a.cmp(&b)
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Digits and at most one point; never an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits().magnitude().to_str_radix(10);
        let scale = self.scale();
        if self.is_negative() {
            f.write_str("-")?;
        }
        if scale <= 0 {
            f.write_str(&digits)?;
            return (0..-scale).try_for_each(|_| f.write_str("0"));
        }
        let scale = scale as usize;
        if digits.len() > scale {
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            return write!(f, "{whole}.{fraction}");
        }
        write!(f, "0.{digits:0>scale$}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({self})")
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads `-12.50`, `.5`, `1e3`; no spaces, no separators.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        if text.len() > Self::TEXT_BYTES_MAX {
            return Err(DecimalError::Digits);
        }
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole.as_bytes(), fraction.as_bytes()].concat();
        if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
            return Err(DecimalError::Syntax);
        }
        let digits = BigInt::parse_bytes(&all, 10).ok_or(DecimalError::Syntax)?;
        let digits = if negative { -digits } else { digits };
        Self::new(digits, fraction.len() as i64 - exponent)
    }
}

/// A signed exponent; beyond six digits it is out of bounds whatever the mantissa.
fn parse_exponent(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    if digits.trim_start_matches('0').len() > 6 {
        return Err(DecimalError::Scale);
    }
    text.parse().map_err(|_| DecimalError::Syntax)
}

impl From<i64> for Decimal {
    fn from(int: i64) -> Self {
        let (mut digits, mut scale) = (int, 0);
        while digits != 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        Self(BigDecimal::new(BigInt::from(digits), scale))
    }
}

impl TryFrom<BigDecimal> for Decimal {
    type Error = DecimalError;

    fn try_from(number: BigDecimal) -> Result<Self, DecimalError> {
        let (digits, scale) = number.into_bigint_and_scale();
        Self::new(digits, scale)
    }
}

impl From<Decimal> for BigDecimal {
    fn from(decimal: Decimal) -> Self {
        decimal.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn text_is_normalized() {
        for (text, shown) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("0e999999", "0"),
            ("1.50", "1.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("+12e3", "12000"),
            ("1200e-2", "12"),
            ("0.000123", "0.000123"),
            ("9223372036854775808", "9223372036854775808"),
        ] {
            assert_eq!(decimal(text).to_string(), shown, "{text}");
        }
        assert_eq!(decimal("1.50"), decimal("15e-1"));
        assert_eq!(Decimal::from(-1200), decimal("-1200"));
    }

    #[test]
    fn hostile_text_is_refused_cheaply() {
        for (text, error) in [
            ("", DecimalError::Syntax),
            ("-", DecimalError::Syntax),
            (".", DecimalError::Syntax),
            ("1e", DecimalError::Syntax),
            ("1e+-2", DecimalError::Syntax),
            ("1_000", DecimalError::Syntax),
            ("--1", DecimalError::Syntax),
            ("NaN", DecimalError::Syntax),
            ("1.2.3", DecimalError::Syntax),
            ("1e1001", DecimalError::Scale),
            ("1e-1001", DecimalError::Scale),
            ("1e9223372036854775807", DecimalError::Scale),
            ("1e-9223372036854775808", DecimalError::Scale),
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(error), "{text}");
        }
        assert_eq!(
            "1".repeat(1001).parse::<Decimal>(),
            Err(DecimalError::Digits)
        );
        assert_eq!(
            "1".repeat(5000).parse::<Decimal>(),
            Err(DecimalError::Digits)
        );
        let longest = "9".repeat(1000);
        assert_eq!(decimal(&longest).to_string(), longest);
        let mut bytes = Vec::new();
        decimal(&longest).encode(&mut bytes);
        assert_eq!(bytes.len(), 2 + Decimal::DIGIT_BYTES_MAX);
        assert_eq!(Decimal::decode_canonical(&bytes), Some(decimal(&longest)));
        assert_eq!(
            decimal("1e-1000").to_string(),
            format!("0.{}1", "0".repeat(999))
        );
    }

    #[test]
    fn other_forms_of_the_same_number_are_not_decoded() {
        for bytes in [
            &[][..],
            &[0],
            &[0, 0, 10],
            &[1, 0],
            &[0, 0, 1, 0],
            &[0, 0, 0],
            &[233, 3, 1],
        ] {
            assert_eq!(Decimal::decode_canonical(bytes), None, "{bytes:?}");
        }
        assert_eq!(Decimal::decode_canonical(&[1, 0, 15]), Some(decimal("1.5")));
    }

    #[test]
    fn arithmetic_is_exact_and_bounded() {
        let sum = decimal("0.1").checked_add(&decimal("0.2")).unwrap();
        assert_eq!(sum, decimal("0.3"));
        assert_eq!(decimal("0.3").checked_sub(&sum).unwrap(), Decimal::zero());
        assert_eq!(
            decimal("1.5").checked_mul(&decimal("-4")).unwrap(),
            decimal("-6")
        );
        assert_eq!(decimal("1.5").negated(), decimal("-1.5"));
        let (huge, tiny) = (decimal("1e1000"), decimal("1e-1000"));
        assert_eq!(huge.checked_add(&tiny), Err(DecimalError::Digits));
        assert_eq!(huge.checked_mul(&huge), Err(DecimalError::Scale));
        assert!(tiny < huge && huge.negated() < tiny && huge.negated() < tiny.negated());
    }

    #[test]
    fn conversions_are_exact_or_nearest() {
        assert_eq!(Decimal::from_f64_exact(0.5).unwrap(), decimal("0.5"));
        assert_eq!(
            Decimal::from_f64_exact(0.1).unwrap(),
            decimal("0.1000000000000000055511151231257827021181583404541015625")
        );
        assert_eq!(Decimal::from_f64_exact(-1e22).unwrap(), decimal("-1e22"));
        assert_eq!(Decimal::from_f64_exact(-0.0).unwrap(), Decimal::zero());
        assert_eq!(
            Decimal::from_f64_exact(f64::NAN),
            Err(DecimalError::NotFinite)
        );
        assert_eq!(Decimal::from_f64_exact(5e-324), Err(DecimalError::Scale));
        assert_eq!(decimal("0.1").to_f64(), 0.1);
        assert_eq!(decimal("1e1000").to_f64(), f64::INFINITY);
        assert_eq!(decimal("1e-1000").to_f64(), 0.0);
        assert_eq!(decimal("9223372036854775807").to_i64(), Some(i64::MAX));
        assert_eq!(decimal("9223372036854775808").to_i64(), None);
        assert_eq!(decimal("1e18").to_i64(), Some(1_000_000_000_000_000_000));
        assert_eq!(decimal("1e19").to_i64(), None);
        assert_eq!(decimal("0.5").to_i64(), None);
    }
}
