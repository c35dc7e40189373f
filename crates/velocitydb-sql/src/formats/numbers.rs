//! Integers, floats and numerics.

use std::io::Write as _;

use bigdecimal::num_bigint::BigInt;
use velocitydb_types::{Decimal, ScalarType, Value};

use super::error::FormatError;

/// Spaces that C's `isspace` knows.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// An integer of a text, within the bounds of a type.
pub(super) fn read_int(text: &str, scalar: ScalarType) -> Result<Value, FormatError> {
    let name = scalar.row().long_name;
    let number = trim(text);
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FormatError::syntax(name, text));
    }
    let int = number.parse().ok().filter(|int| in_range(*int, scalar));
    int.map(Value::Int)
        .ok_or_else(|| FormatError::range(name, text))
}

fn in_range(int: i64, scalar: ScalarType) -> bool {
    match scalar {
        ScalarType::Int2 => i16::try_from(int).is_ok(),
        ScalarType::Int4 => i32::try_from(int).is_ok(),
        _ => true,
    }
}

/// Appends a float: its shortest digits that are read back as it.
pub(super) fn write_float(float: f64, scalar: ScalarType, out: &mut Vec<u8>) {
    let name = match float {
        _ if float.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => return write_finite(float, scalar, out),
    };
    out.extend_from_slice(name.as_bytes());
}

fn write_finite(float: f64, scalar: ScalarType, out: &mut Vec<u8>) {
    let mut buffer = [0; 40];
    let mut rest = &mut buffer[..];
    let (written, fixed_max) = match scalar {
        ScalarType::Float4 => (write!(rest, "{:e}", float as f32), 6),
        _ => (write!(rest, "{float:e}"), 15),
    };
    written.expect("17 digits and an exponent are less than 40 bytes");
    let left = rest.len();
    let text = &buffer[..buffer.len() - left];
    let text = std::str::from_utf8(text).expect("digits are ASCII");
    let (mantissa, exponent) = text.split_once('e').expect("the form has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    out.extend_from_slice(sign.as_bytes());
    if !(-4..fixed_max).contains(&exponent) {
        out.extend_from_slice(mantissa.as_bytes());
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "e{sign}{:02}", exponent.unsigned_abs()).expect("memory takes all bytes");
        return;
    }
    let digits = mantissa.bytes().filter(|byte| *byte != b'.');
    if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend((1..-exponent).map(|_| b'0'));
        out.extend(digits);
        return;
    }
    let mut count = 0;
    for digit in digits {
        if count == exponent + 1 {
            out.push(b'.');
        }
        out.push(digit);
        count += 1;
    }
    out.extend((count..=exponent).map(|_| b'0'));
}

/// A float of a text.
pub(super) fn read_float(text: &str, scalar: ScalarType) -> Result<Value, FormatError> {
    let name = scalar.row().long_name;
    let number = trim(text);
    let syntax = || FormatError::syntax(name, text);
    let range = || {
        let message = format!("\"{number}\" is out of range for type {name}");
        FormatError::new("22003", message)
    };
    let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
    let special = match unsigned.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => Some(f64::INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    };
    if let Some(special) = special {
        let negative = number.starts_with('-');
        return Ok(Value::Float(if negative { -special } else { special }));
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(syntax());
    }
    let float = match scalar {
        ScalarType::Float4 => number.parse::<f32>().map(f64::from),
        _ => number.parse::<f64>(),
    };
    let float = float.map_err(|_| syntax())?;
    let digits = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let is_zero = digits.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    match float.is_infinite() || float == 0.0 && !is_zero {
        true => Err(range()),
        false => Ok(Value::Float(float)),
    }
}

/// Calls with the digits of a decimal, without its sign; ordinary ones are put together in place.
pub(super) fn with_digits<T>(decimal: &Decimal, then: impl FnOnce(&[u8]) -> T) -> T {
    let digits = decimal.digits().magnitude();
    let Ok(small) = u128::try_from(digits) else {
        return then(digits.to_str_radix(10).as_bytes());
    };
    let mut buffer = [0; 40];
    let mut rest = &mut buffer[..];
    write!(rest, "{small}").expect("39 digits are less than 40 bytes");
    let left = rest.len();
    then(&buffer[..buffer.len() - left])
}

/// Digits behind the point that a type shows.
pub(super) fn shown_scale(decimal: &Decimal, bounds: Option<(u16, u16)>) -> usize {
    let own = decimal.scale().max(0) as usize;
    bounds.map_or(own, |(_, scale)| own.max(scale.into()))
}

/// Appends a decimal; of `numeric(p, s)` with all of its `s` digits.
pub(super) fn write_numeric(decimal: &Decimal, bounds: Option<(u16, u16)>, out: &mut Vec<u8>) {
    if decimal.is_negative() {
        out.push(b'-');
    }
    let own = decimal.scale();
    let shown = shown_scale(decimal, bounds);
    with_digits(decimal, |digits| {
        let before = digits.len() as i64 - own;
        if before <= 0 {
            out.push(b'0');
        } else {
            out.extend_from_slice(&digits[..digits.len().min(before as usize)]);
            out.extend((digits.len() as i64..before).map(|_| b'0'));
        }
        if shown > 0 {
            out.push(b'.');
            out.extend((0..-before.min(0)).map(|_| b'0'));
            out.extend_from_slice(digits.get(before.max(0) as usize..).unwrap_or_default());
            out.extend((own.max(0) as usize..shown).map(|_| b'0'));
        }
    });
}

/// A decimal of a text, rounded to the digits of its type.
pub(super) fn read_numeric(text: &str, bounds: Option<(u16, u16)>) -> Result<Value, FormatError> {
    let number = trim(text);
    let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
    if ["nan", "inf", "infinity"].contains(&unsigned.to_ascii_lowercase().as_str()) {
        let message = format!("numeric {unsigned} is not supported");
        return Err(FormatError::new("0A000", message));
    }
    let decimal = number.parse::<Decimal>().map_err(|error| match error {
        velocitydb_types::DecimalError::Syntax => FormatError::syntax("numeric", text),
        error => FormatError::new("22003", "value overflows numeric format")
            .with_detail(error.to_string()),
    })?;
    fit_numeric(decimal, bounds).map(Value::Decimal)
}

/// A decimal rounded to the digits of `numeric(p, s)`, half away from zero.
pub(crate) fn fit_numeric(
    decimal: Decimal,
    bounds: Option<(u16, u16)>,
) -> Result<Decimal, FormatError> {
    let Some((precision, scale)) = bounds else {
        return Ok(decimal);
    };
    let rounded = round(&decimal, scale.into());
    let whole = i64::from(precision) - i64::from(scale);
    let before = with_digits(&rounded, |digits| digits.len()) as i64 - rounded.scale();
    if !rounded.is_zero() && before > whole {
        let most = if whole == 0 {
            "1".to_owned()
        } else {
            format!("10^{whole}")
        };
        let detail = format!(
            "A field with precision {precision}, scale {scale} must round to an absolute value \
             less than {most}."
        );
        return Err(FormatError::new("22003", "numeric field overflow").with_detail(detail));
    }
    Ok(rounded)
}

/// A decimal with so many digits behind its point, half away from zero.
pub(crate) fn round(decimal: &Decimal, scale: i64) -> Decimal {
    let cut = decimal.scale() - scale;
    if cut <= 0 {
        return decimal.clone();
    }
    let power = BigInt::from(10).pow(cut as u32);
    let half = &power / 2_u8;
    let (digits, half) = match decimal.is_negative() {
        true => (decimal.digits() - half, power),
        false => (decimal.digits() + half, power),
    };
    Decimal::new(digits / half, scale).expect("a decimal with fewer digits is within bounds")
}

/// Appends PostgreSQL's bytes of a numeric: digits of base 10,000, aligned at the point.
pub(super) fn write_numeric_binary(
    decimal: &Decimal,
    bounds: Option<(u16, u16)>,
    out: &mut Vec<u8>,
) {
    let shown = shown_scale(decimal, bounds) as u16;
    let sign: u16 = if decimal.is_negative() { 0x4000 } else { 0 };
    if decimal.is_zero() {
        let head = [0, 0, sign, shown];
        return head
            .iter()
            .for_each(|part| out.extend_from_slice(&part.to_be_bytes()));
    }
    with_digits(decimal, |digits| {
        // Decimal digits before the point, negative for zeros behind it.
        let before = digits.len() as i64 - decimal.scale();
        let groups_before = before.div_euclid(4) + i64::from(before.rem_euclid(4) != 0);
        let weight = groups_before - 1;
        // The first group begins with zeros, so that groups are aligned at the point.
        let lead = (groups_before * 4 - before) as usize;
        let count = (lead + digits.len()).div_ceil(4);
        out.extend_from_slice(&(count as u16).to_be_bytes());
        out.extend_from_slice(&(weight as i16).to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&shown.to_be_bytes());
        let digit = |at: usize| match at.checked_sub(lead).and_then(|at| digits.get(at)) {
            Some(digit) => u16::from(digit - b'0'),
            None => 0,
        };
        for group in 0..count {
            let number = (0..4).fold(0, |sum, at| sum * 10 + digit(group * 4 + at));
            out.extend_from_slice(&number.to_be_bytes());
        }
    });
}

/// The numeric of PostgreSQL's bytes.
pub(super) fn read_numeric_binary(
    bytes: &[u8],
    bounds: Option<(u16, u16)>,
) -> Result<Value, FormatError> {
    let wrong =
        |what: &str| FormatError::binary(&format!("invalid {what} in external \"numeric\" value"));
    let (words, rest) = bytes.as_chunks::<2>();
    let [count, weight, sign, scale, groups @ ..] = words else {
        return Err(FormatError::new(
            "08P01",
            "insufficient data left in message",
        ));
    };
    let [count, sign, scale] = [*count, *sign, *scale].map(u16::from_be_bytes);
    let weight = i16::from_be_bytes(*weight);
    match groups.len().cmp(&count.into()) {
        std::cmp::Ordering::Less => {
            return Err(FormatError::new(
                "08P01",
                "insufficient data left in message",
            ));
        }
        std::cmp::Ordering::Equal if rest.is_empty() => {}
        _ => return Err(FormatError::binary("incorrect binary data format")),
    }
    let negative = match sign {
        0 => false,
        0x4000 => true,
        0xc000 | 0xd000 | 0xf000 => {
            let message = "numeric NaN and infinity are not supported";
            return Err(FormatError::new("0A000", message));
        }
        _ => return Err(wrong("sign")),
    };
    if scale > 0x3fff {
        return Err(wrong("scale"));
    }
    let mut digits = String::with_capacity(groups.len() * 4 + 1);
    if negative {
        digits.push('-');
    }
    digits.push('0');
    for group in groups {
        let group = u16::from_be_bytes(*group);
        if group > 9999 {
            return Err(wrong("digit"));
        }
        digits.push_str(&format!("{group:04}"));
    }
    let too_large = || FormatError::new("22003", "value overflows numeric format");
    // A decimal has at most 1,000 digits, so 260 groups hold each of them.
    if groups.len() > 520 {
        return Err(too_large());
    }
    let exponent = 4 * (i64::from(weight) + 1 - groups.len() as i64);
    let number = BigInt::parse_bytes(digits.as_bytes(), 10).ok_or_else(|| wrong("digit"))?;
    let decimal = Decimal::new(number, -exponent).map_err(|_| too_large())?;
    // What is behind the scale is cut, as PostgreSQL does.
    let decimal = match decimal.scale() > scale.into() {
        true => cut(&decimal, scale.into()),
        false => decimal,
    };
    fit_numeric(decimal, bounds).map(Value::Decimal)
}

/// A decimal without the digits behind a scale.
fn cut(decimal: &Decimal, scale: i64) -> Decimal {
    let power = BigInt::from(10).pow((decimal.scale() - scale) as u32);
    Decimal::new(decimal.digits() / power, scale)
        .expect("a decimal with fewer digits is within bounds")
}
