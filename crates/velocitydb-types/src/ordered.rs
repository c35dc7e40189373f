//! Order-preserving bytes: for any two values, `memcmp` of these bytes is their order.
//!
//! A component is a tag that ranks its type, then:
//!
//! ```text
//! null, false, true   nothing
//! number              nearest f64 (8 bytes, sign folded), a byte: below, exact or above it;
//!                     unless exact, the number's decimal digits: exponent (2 bytes),
//!                     pairs of digits (each 1 + 0..=99), 0; all inverted below zero
//! string, bytes       the bytes, with 00 as 00 FF; then 00
//! date, time          big-endian with the sign bit turned
//! interval            its length in microseconds (10 bytes), big-endian with the sign bit turned
//! uuid                16 bytes
//! point               longitude and latitude as f64s
//! array               elements, then 01
//! map                 a string component for each name, then its value; then 01
//! ```
//!
//! Invariants: no component is a prefix of another, so components can be concatenated; tags lie
//! strictly between the 01 that ends a container and the FF that continues a string; equal
//! values have equal bytes, which serve as hash keys. An integer that a float can hold takes ten
//! bytes, a UUID seventeen.
//!
//! Descending order is the caller's (by inverting all bytes). Tests: below and `proptests`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bigdecimal::num_bigint::BigInt;

use crate::encoding::canonical_float;
use crate::key::KeyError;
use crate::number::{Number, compare_decimal_float};
use crate::view::View;
use crate::{DEPTH_MAX, Date, Decimal, Interval, Point, Timestamp, Uuid, Value};

/// The first byte of a component.
pub(crate) mod tag {
    pub const END: u8 = 0x01;
    pub const NULL: u8 = 0x08;
    pub const FALSE: u8 = 0x10;
    pub const TRUE: u8 = 0x11;
    pub const NUMBER: u8 = 0x18;
    pub const STRING: u8 = 0x20;
    pub const DATE: u8 = 0x28;
    pub const TIME: u8 = 0x30;
    pub const INTERVAL: u8 = 0x34;
    pub const UUID: u8 = 0x38;
    pub const BYTES: u8 = 0x40;
    pub const POINT: u8 = 0x48;
    pub const ARRAY: u8 = 0x50;
    pub const MAP: u8 = 0x58;
}

/// How a number lies to its nearest float.
const BELOW: u8 = 0;
const EXACT: u8 = 1;
const ABOVE: u8 = 2;

/// What is added to an interval's length, so that all lengths are positive: half of 80 bits.
const LENGTH_ZERO: i128 = 1 << 79;

/// Every integer up to here, of either sign, is a float too.
const EXACT_INT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;

/// Appends the order-preserving bytes of any value, owned or encoded.
pub fn encode_value_key<'a>(value: impl Into<View<'a>>, out: &mut Vec<u8>) {
    encode(&value.into(), out);
}

/// Appends the bytes with which the key of every string beginning with `prefix` begins.
pub fn encode_string_prefix(prefix: &str, out: &mut Vec<u8>) {
    out.push(tag::STRING);
    escape(prefix.as_bytes(), out);
}

/// Takes one component off the front of order-preserving bytes.
///
/// Numbers come back by value, not by type: as an integer if they are one, else as a float if
/// one is exact, else as a decimal. Intervals by length, with as many months and days as there are.
///
/// # Errors
/// When the bytes do not begin with what [`encode_value_key`] writes.
pub fn decode_value_key(bytes: &mut &[u8]) -> Result<Value, KeyError> {
    decode(bytes, 0)
}

fn encode(value: &View<'_>, out: &mut Vec<u8>) {
    match value {
        View::Null => out.push(tag::NULL),
        View::Bool(bool) => out.push(if *bool { tag::TRUE } else { tag::FALSE }),
        View::Number(number) => encode_number(number, out),
        View::Str(bytes) => encode_string(tag::STRING, bytes, out),
        View::Date(Date(days)) => {
            out.push(tag::DATE);
            out.extend_from_slice(&(days ^ i32::MIN).to_be_bytes());
        }
        View::Time(Timestamp(micros)) => {
            out.push(tag::TIME);
            out.extend_from_slice(&(micros ^ i64::MIN).to_be_bytes());
        }
        View::Interval(interval) => {
            out.push(tag::INTERVAL);
            let length = interval.length_micros() + LENGTH_ZERO;
            out.extend_from_slice(&length.to_be_bytes()[6..]);
        }
        View::Uuid(uuid) => {
            out.push(tag::UUID);
            out.extend_from_slice(uuid.as_bytes());
        }
        View::Bytes(bytes) => encode_string(tag::BYTES, bytes, out),
        View::Point(point) => {
            out.push(tag::POINT);
            out.extend_from_slice(&ordered_float(point.lon()));
            out.extend_from_slice(&ordered_float(point.lat()));
        }
        View::Array(array) => {
            out.push(tag::ARRAY);
            array.iter().for_each(|element| encode(&element, out));
            out.push(tag::END);
        }
        View::Map(map) => {
            out.push(tag::MAP);
            for (name, value) in map.iter() {
                encode_string(tag::STRING, name, out);
                encode(&value, out);
            }
            out.push(tag::END);
        }
    }
}

fn encode_string(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    out.push(tag);
    escape(bytes, out);
    out.push(0);
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.contains(&0) {
        return out.extend_from_slice(bytes);
    }
    let mut parts = bytes.split(|&byte| byte == 0);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend_from_slice(&[0, 0xff]);
        out.extend_from_slice(part);
    }
}

/// A float's bits, turned so that they sort as bytes.
fn ordered_float(float: f64) -> [u8; 8] {
    // Adding zero turns −0 into 0.
    let bits = (canonical_float(float) + 0.0).to_bits();
    let folded = if bits >> 63 == 1 {
        !bits
    } else {
        bits | 1 << 63
    };
    folded.to_be_bytes()
}

fn float_from_ordered(bytes: [u8; 8]) -> f64 {
    let folded = u64::from_be_bytes(bytes);
    f64::from_bits(if folded >> 63 == 1 {
        folded & !(1 << 63)
    } else {
        !folded
    })
}

fn encode_number(number: &Number<'_>, out: &mut Vec<u8>) {
    out.reserve(10);
    out.push(tag::NUMBER);
    match number {
        Number::Int(int) => {
            let nearest = *int as f64;
            out.extend_from_slice(&ordered_float(nearest));
            let side = if int.unsigned_abs() <= EXACT_INT_MAX {
                Ordering::Equal
            } else {
                i128::from(*int).cmp(&(nearest as i128))
            };
            match side {
                Ordering::Equal => out.push(EXACT),
                side => encode_inexact(side, &Decimal::from(*int), out),
            }
        }
        Number::Float(float) => {
            out.extend_from_slice(&ordered_float(*float));
            out.push(EXACT);
        }
        Number::Decimal(decimal) => {
            // A decimal beyond all floats lies above the greatest of them, not at infinity.
            let nearest = decimal.to_f64().clamp(f64::MIN, f64::MAX);
            out.extend_from_slice(&ordered_float(nearest));
            match compare_decimal_float(decimal, nearest) {
                Ordering::Equal => out.push(EXACT),
                side => encode_inexact(side, decimal, out),
            }
        }
    }
}

/// What follows the nearest float of a number that is not it. All numbers with the same float
/// and side are told apart by their own digits.
fn encode_inexact(side: Ordering, decimal: &Decimal, out: &mut Vec<u8>) {
    out.push(if side.is_lt() { BELOW } else { ABOVE });
    let start = out.len();
    let digits = decimal.digits().magnitude().to_str_radix(10);
    // The number is 0.digits × 10^exponent; the exponent lies within -999..=2000.
    let exponent = digits.len() as i64 - decimal.scale();
    out.extend_from_slice(&((exponent + 0x8000) as u16).to_be_bytes());
    for pair in digits.as_bytes().chunks(2) {
        let tens = pair[0] - b'0';
        let ones = pair.get(1).map_or(0, |digit| digit - b'0');
        out.push(1 + 10 * tens + ones);
    }
    out.push(0);
    if decimal.is_negative() {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

fn damaged(reason: &'static str) -> KeyError {
    KeyError::Damaged { reason }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], KeyError> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(damaged("cut"))?;
    *bytes = rest;
    Ok(*taken)
}

fn decode(bytes: &mut &[u8], depth: usize) -> Result<Value, KeyError> {
    let [tag] = take(bytes)?;
    Ok(match tag {
        tag::NULL => Value::Null,
        tag::FALSE => Value::Bool(false),
        tag::TRUE => Value::Bool(true),
        tag::NUMBER => decode_number(bytes)?,
        tag::STRING => Value::String(decode_string(bytes)?),
        tag::DATE => Value::Date(Date(i32::from_be_bytes(take(bytes)?) ^ i32::MIN)),
        tag::TIME => Value::Time(Timestamp(i64::from_be_bytes(take(bytes)?) ^ i64::MIN)),
        tag::INTERVAL => {
            let mut length = [0; 16];
            length[6..].copy_from_slice(&take::<10>(bytes)?);
            let length = i128::from_be_bytes(length) - LENGTH_ZERO;
            Value::Interval(Interval::of_length(length).ok_or(damaged("interval"))?)
        }
        tag::UUID => Value::Uuid(Uuid::from_bytes(take(bytes)?)),
        tag::BYTES => Value::Bytes(unescape(bytes)?),
        tag::POINT => {
            let (lon, lat) = (take(bytes)?, take(bytes)?);
            let point = Point::new(float_from_ordered(lon), float_from_ordered(lat));
            let canonical = |point: &Point| {
                (ordered_float(point.lon()), ordered_float(point.lat())) == (lon, lat)
            };
            Value::Point(point.ok().filter(canonical).ok_or(damaged("point"))?)
        }
        tag::ARRAY | tag::MAP if depth >= DEPTH_MAX => return Err(damaged("nested too deep")),
        tag::ARRAY => {
            let mut elements = Vec::new();
            while !ended(bytes)? {
                elements.push(decode(bytes, depth + 1)?);
            }
            Value::Array(elements)
        }
        tag::MAP => Value::Map(decode_map(bytes, depth)?),
        _ => return Err(damaged("unknown tag")),
    })
}

/// Takes the end of a container, if it is next.
fn ended(bytes: &mut &[u8]) -> Result<bool, KeyError> {
    let (&next, rest) = bytes.split_first().ok_or(damaged("cut"))?;
    if next == tag::END {
        *bytes = rest;
    }
    Ok(next == tag::END)
}

fn decode_map(bytes: &mut &[u8], depth: usize) -> Result<BTreeMap<String, Value>, KeyError> {
    let mut map = BTreeMap::new();
    while !ended(bytes)? {
        if take(bytes)? != [tag::STRING] {
            return Err(damaged("name"));
        }
        let name = decode_string(bytes)?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(damaged("names out of order"));
        }
        let value = decode(bytes, depth + 1)?;
        map.insert(name, value);
    }
    Ok(map)
}

fn decode_string(bytes: &mut &[u8]) -> Result<String, KeyError> {
    String::from_utf8(unescape(bytes)?).map_err(|_| damaged("string is not UTF-8"))
}

fn unescape(bytes: &mut &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut plain = Vec::new();
    loop {
        let zero = bytes
            .iter()
            .position(|&byte| byte == 0)
            .ok_or(damaged("string is cut"))?;
        plain.extend_from_slice(&bytes[..zero]);
        *bytes = &bytes[zero + 1..];
        if bytes.first() != Some(&0xff) {
            return Ok(plain);
        }
        plain.push(0);
        *bytes = &bytes[1..];
    }
}

fn decode_number(bytes: &mut &[u8]) -> Result<Value, KeyError> {
    let whole = *bytes;
    let nearest = float_from_ordered(take(bytes)?);
    let [side] = take(bytes)?;
    let value = match side {
        EXACT => Value::Float(nearest),
        BELOW | ABOVE => {
            let negative = nearest < 0.0 || (nearest == 0.0 && side == BELOW);
            Value::Decimal(decode_digits(bytes, negative)?)
        }
        _ => return Err(damaged("number")),
    };
    // Only the bytes that the number would get again are its bytes.
    let mut again = Vec::with_capacity(16);
    encode_value_key(&value, &mut again);
    if again[1..] != whole[..whole.len() - bytes.len()] {
        return Err(damaged("number"));
    }
    Ok(match value {
        // Every float of this range is an integer's only if it is whole; -2^63 is, 2^63 is not.
        Value::Float(float)
            if float.trunc() == float
                && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float) =>
        {
            Value::Int(float as i64)
        }
        Value::Decimal(decimal) => decimal.to_i64().map_or(Value::Decimal(decimal), Value::Int),
        float => float,
    })
}

/// The digits of an inexact number, after the byte that names its side.
fn decode_digits(bytes: &mut &[u8], negative: bool) -> Result<Decimal, KeyError> {
    let turn = |byte: u8| if negative { !byte } else { byte };
    let exponent = take::<2>(bytes)?.map(turn);
    let exponent = i64::from(u16::from_be_bytes(exponent)) - 0x8000;
    let mut digits = Vec::new();
    loop {
        let [byte] = take(bytes)?;
        match turn(byte) {
            0 => break,
            pair @ 1..=100 if digits.len() <= Decimal::DIGITS_MAX => {
                digits.extend_from_slice(&[b'0' + (pair - 1) / 10, b'0' + (pair - 1) % 10]);
            }
            _ => return Err(damaged("number")),
        }
    }
    let scale = digits.len() as i64 - exponent;
    let magnitude = BigInt::parse_bytes(&digits, 10).ok_or(damaged("number"))?;
    let signed = if negative { -magnitude } else { magnitude };
    Decimal::new(signed, scale).map_err(|_| damaged("number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: impl Into<Value>) -> Vec<u8> {
        let mut out = Vec::new();
        encode_value_key(&value.into(), &mut out);
        out
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(key(Value::Null), [8]);
        assert_eq!([key(false), key(true)], [[0x10], [0x11]]);
        assert_eq!(key(1), [0x18, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(key(-1), [0x18, 0x40, 0x0f, 255, 255, 255, 255, 255, 255, 1]);
        // 0.1 lies below its nearest float: 0.1 × 10^0, one pair.
        let tenth: Decimal = "0.1".parse().unwrap();
        let near = [0x18, 0xbf, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a, 0];
        assert_eq!(key(tenth), [&near[..], &[0x80, 0, 11, 0]].concat());
        // 2^53 + 1 rounds to 2^53: above it, 0.9007… × 10^16, eight pairs.
        let odd = key((1_i64 << 53) + 1);
        let float = [0x18, 0xc3, 0x40, 0, 0, 0, 0, 0, 0, 2];
        assert_eq!(
            odd,
            [&float[..], &[0x80, 16, 91, 8, 20, 93, 55, 75, 10, 94, 0]].concat()
        );
        assert_eq!(key("a\0b"), [0x20, b'a', 0, 0xff, b'b', 0]);
        assert_eq!(key(Date(-1)), [0x28, 0x7f, 255, 255, 255]);
        assert_eq!(key(Timestamp(1)), [0x30, 0x80, 0, 0, 0, 0, 0, 0, 1]);
        let month = key(Interval::new(1, 0, 0));
        assert_eq!(month, [0x34, 0x80, 0, 0, 0, 2, 0x5b, 0x7f, 0x3d, 0x40, 0]);
        assert_eq!(month, key(Interval::new(0, 30, 0)));
        assert_eq!(key(Uuid::max()).len(), 17);
        assert_eq!(key(vec![0_u8]), [0x40, 0, 0xff, 0]);
        assert_eq!(key(Point::new(0.0, 0.0).unwrap()).len(), 17);
        assert_eq!(key(vec![Value::Null, true.into()]), [0x50, 8, 0x11, 1]);
        let map = BTreeMap::from([("a".to_owned(), Value::Null)]);
        assert_eq!(key(map), [0x58, 0x20, b'a', 0, 8, 1]);
    }

    #[test]
    fn numbers_come_back_by_value() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        for (given, back, name) in [
            (Value::Float(3.0), Value::Int(3), "int"),
            (decimal("3.00"), Value::Int(3), "int"),
            (Value::Int(i64::MAX), Value::Int(i64::MAX), "int"),
            (decimal("9223372036854775807"), Value::Int(i64::MAX), "int"),
            (Value::Int(i64::MIN), Value::Int(i64::MIN), "int"),
            (decimal("0.5"), Value::Float(0.5), "float"),
            (Value::Float(f64::NAN), Value::Float(f64::NAN), "float"),
            (decimal("0.1"), decimal("0.1"), "decimal"),
            (decimal("-1e1000"), decimal("-1e1000"), "decimal"),
            (decimal("-1e-1000"), decimal("-1e-1000"), "decimal"),
            (
                decimal("9223372036854775809"),
                decimal("9223372036854775809"),
                "decimal",
            ),
        ] {
            let bytes = key(given);
            let mut rest = &bytes[..];
            let read = decode_value_key(&mut rest).unwrap();
            assert_eq!((read.type_name(), &read, rest.len()), (name, &back, 0));
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let negative_zero = [0x18, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1];
        let exact_as_digits = [0x18, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0, 2, 0x80, 1, 11, 0];
        for bytes in [
            &[][..],
            &[1],
            &[0xff],
            &[0x20, b'a'],
            &[0x20, 0xfe, 0],
            &[0x18, 0],
            &negative_zero,
            &exact_as_digits,
            &[0x50, 8],
            &[0x58, 8, 8, 1],
            &[0x58, 0x20, 0, 8, 0x20, 0, 8, 1],
            &[&[0x34][..], &[0xff; 10]].concat(),
            &[&[0x48][..], &[0xff; 16]].concat(),
        ] {
            assert!(decode_value_key(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
        assert!(decode_value_key(&mut &[0x50; 1 << 20][..]).is_err());
    }
}
