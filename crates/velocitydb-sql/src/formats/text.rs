//! The texts of scalars; those of numbers and moments have modules of their own.

use std::io::Write as _;

use velocitydb_types::number::Number;
use velocitydb_types::{IntervalError, ScalarType, Uuid, Value, View, write_jsonb};

use super::error::FormatError;
use super::numbers::trim;
use super::{IntervalStyle, Settings, binary, json_faults, moments, numbers};

const MEMORY: &str = "memory takes all bytes";

pub(super) fn type_name(value: &View<'_>) -> &'static str {
    match value {
        View::Null => "null",
        View::Bool(_) => "bool",
        View::Number(Number::Int(_)) => "int",
        View::Number(Number::Float(_)) => "float",
        View::Number(Number::Decimal(_)) => "decimal",
        View::Str(_) => "string",
        View::Date(_) => "date",
        View::Time(_) => "time",
        View::Interval(_) => "interval",
        View::Uuid(_) => "uuid",
        View::Bytes(_) => "bytes",
        View::Point(_) => "point",
        View::Array(_) => "array",
        View::Map(_) => "map",
    }
}

pub(super) fn write(
    value: &View<'_>,
    scalar: ScalarType,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    match (scalar, value) {
        (ScalarType::Bool, View::Bool(bool)) => out.push(if *bool { b't' } else { b'f' }),
        (
            ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8,
            View::Number(Number::Int(int)),
        ) => write!(out, "{int}").expect(MEMORY),
        (ScalarType::Float4 | ScalarType::Float8, View::Number(Number::Float(float))) => {
            numbers::write_float(*float, scalar, out);
        }
        (ScalarType::Numeric(bounds), View::Number(Number::Decimal(decimal))) => {
            numbers::write_numeric(decimal, bounds, out);
        }
        (ScalarType::Text | ScalarType::Varchar(_) | ScalarType::Char(_), View::Str(bytes)) => {
            write_string(bytes, scalar, out);
        }
        (ScalarType::Bytea, View::Bytes(bytes)) => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.reserve(2 + 2 * bytes.len());
            out.extend_from_slice(b"\\x");
            let digits = |byte: &u8| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]);
            out.extend(bytes.iter().flat_map(digits));
        }
        (ScalarType::Date, View::Date(date)) => moments::write_date(*date, out),
        (ScalarType::Timestamp, View::Time(time)) => moments::write_timestamp(*time, out),
        (ScalarType::Timestamptz, View::Time(time)) => {
            moments::write_timestamptz(*time, &settings.zone, out)?;
        }
        (ScalarType::Interval, View::Interval(interval)) => match settings.interval_style {
            IntervalStyle::Postgres => write!(out, "{interval}").expect(MEMORY),
            IntervalStyle::Iso8601 => write!(out, "{}", interval.iso()).expect(MEMORY),
        },
        (ScalarType::Uuid, View::Uuid(uuid)) => {
            let mut text = Uuid::encode_buffer();
            out.extend_from_slice(uuid.hyphenated().encode_lower(&mut text).as_bytes());
        }
        (ScalarType::Json | ScalarType::Jsonb, value) => write_jsonb(value, out),
        (ScalarType::Point, View::Point(point)) => {
            out.push(b'(');
            numbers::write_float(point.lon(), ScalarType::Float8, out);
            out.push(b',');
            numbers::write_float(point.lat(), ScalarType::Float8, out);
            out.push(b')');
        }
        _ => {
            return Err(FormatError::mixed_up(
                scalar.row().long_name,
                type_name(value),
            ));
        }
    }
    Ok(())
}

pub(super) fn read(
    text: &str,
    scalar: ScalarType,
    settings: &Settings,
) -> Result<Value, FormatError> {
    match scalar {
        ScalarType::Bool => read_bool(text),
        ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8 => numbers::read_int(text, scalar),
        ScalarType::Float4 | ScalarType::Float8 => numbers::read_float(text, scalar),
        ScalarType::Numeric(bounds) => numbers::read_numeric(text, bounds),
        ScalarType::Text | ScalarType::Varchar(_) | ScalarType::Char(_) => {
            read_string(text, scalar)
        }
        ScalarType::Bytea => read_bytea(text),
        ScalarType::Date => moments::read_date(text, settings),
        ScalarType::Timestamp | ScalarType::Timestamptz => {
            moments::read_timestamp(text, scalar, settings)
        }
        ScalarType::Interval => text
            .parse()
            .map(Value::Interval)
            .map_err(|error| match error {
                IntervalError::Field => {
                    let message = format!("interval field value out of range: \"{text}\"");
                    FormatError::new("22015", message)
                }
                IntervalError::Range => FormatError::new("22008", "interval out of range"),
                _ => FormatError {
                    code: "22007",
                    ..FormatError::syntax("interval", text)
                },
            }),
        ScalarType::Uuid => {
            let uuid = read_uuid(text).ok_or_else(|| FormatError::syntax("uuid", text))?;
            Ok(Value::Uuid(uuid))
        }
        ScalarType::Json | ScalarType::Jsonb => read_json(text),
        ScalarType::Point => read_point(text),
    }
}

/// The beginning of a word is enough, as long as it is of one alone.
fn read_bool(text: &str) -> Result<Value, FormatError> {
    let word = trim(text).to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        return Ok(Value::Bool(true));
    }
    if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        return Ok(Value::Bool(false));
    }
    Err(FormatError::syntax("boolean", text))
}

/// Appends a string; a `character(n)` with blanks up to its length.
pub(super) fn write_string(bytes: &[u8], scalar: ScalarType, out: &mut Vec<u8>) {
    out.extend_from_slice(bytes);
    if let ScalarType::Char(length) = scalar {
        let blanks = (length as usize).saturating_sub(characters(bytes));
        out.extend((0..blanks).map(|_| b' '));
    }
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count()
}

/// A string within the length of its type; blanks beyond it are cut.
pub(super) fn read_string(text: &str, scalar: ScalarType) -> Result<Value, FormatError> {
    if text.contains('\0') {
        let message = "invalid byte sequence for encoding \"UTF8\": 0x00";
        return Err(FormatError::new("22021", message));
    }
    let (length, kept) = match scalar {
        ScalarType::Varchar(Some(length)) => (length, text),
        ScalarType::Char(length) => (length, text.trim_end_matches(' ')),
        _ => return Ok(text.into()),
    };
    match text.char_indices().nth(length as usize) {
        None => Ok(kept.into()),
        Some((end, _)) if text[end..].bytes().all(|byte| byte == b' ') => {
            Ok(kept[..end.min(kept.len())].into())
        }
        Some(_) => {
            let message = format!("value too long for type {scalar}");
            Err(FormatError::new("22001", message))
        }
    }
}

fn read_bytea(text: &str) -> Result<Value, FormatError> {
    let bytes = match text.strip_prefix("\\x") {
        Some(hex) => read_hex(hex)?,
        None => read_escaped(text)?,
    };
    Ok(Value::Bytes(bytes))
}

/// Two digits for each byte, with blanks between bytes.
pub(crate) fn read_hex(hex: &str) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::with_capacity(hex.len() / 2);
    let mut rest = hex.chars();
    let value = |digit: char| {
        let value = digit.to_digit(16).map(|value| value as u8);
        value.ok_or_else(|| {
            let message = format!("invalid hexadecimal digit: \"{digit}\"");
            FormatError::new("22023", message)
        })
    };
    while let Some(first) = rest.next() {
        if matches!(first, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = value(first)?;
        let second = rest.next().ok_or_else(|| {
            FormatError::new("22023", "invalid hexadecimal data: odd number of digits")
        })?;
        bytes.push(high << 4 | value(second)?);
    }
    Ok(bytes)
}

/// The old form of bytes: `\\` is one backslash, `\ooo` any byte, the rest stands for itself.
pub(crate) fn read_escaped(text: &str) -> Result<Vec<u8>, FormatError> {
    let mut text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len());
    loop {
        text = match text {
            [] => return Ok(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                rest @ ..,
            ] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest
            }
            [b'\\', ..] => {
                return Err(FormatError::new(
                    "22P02",
                    "invalid input syntax for type bytea",
                ));
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

/// Thirty-two digits, with a hyphen behind any four of them, braces around or not.
fn read_uuid(text: &str) -> Option<Uuid> {
    let inner = text.strip_prefix('{');
    let digits = match inner {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let mut rest = digits.bytes().peekable();
    let mut uuid = [0; 16];
    for (at, byte) in uuid.iter_mut().enumerate() {
        for _ in 0..2 {
            let digit = char::from(rest.next()?).to_digit(16)?;
            *byte = *byte << 4 | digit as u8;
        }
        if at % 2 == 1 && at < 15 {
            rest.next_if_eq(&b'-');
        }
    }
    rest.next().is_none().then(|| Uuid::from_bytes(uuid))
}

fn read_point(text: &str) -> Result<Value, FormatError> {
    let syntax = || FormatError::syntax("point", text);
    let inner = trim(text);
    let inner = match inner.strip_prefix('(') {
        Some(inner) => inner.strip_suffix(')').ok_or_else(syntax)?,
        None => inner,
    };
    let (lon, lat) = inner.split_once(',').ok_or_else(syntax)?;
    let degrees = |text: &str| match numbers::read_float(text, ScalarType::Float8) {
        Ok(Value::Float(degrees)) => Ok(degrees),
        Err(error) if error.code == "22003" => Err(error),
        _ => Err(syntax()),
    };
    binary::point(degrees(lon)?, degrees(lat)?)
}

pub(super) fn read_json(text: &str) -> Result<Value, FormatError> {
    let value = Value::from_json(text).map_err(|error| {
        // What only we refuse is told in our words.
        json_faults::found(text).unwrap_or_else(|| {
            FormatError::new("22P02", "invalid input syntax for type json")
                .with_detail(error.to_string())
        })
    })?;
    match has_nul(&value) {
        true => Err(json_faults::found(text)
            .unwrap_or_else(|| FormatError::new("22P05", "unsupported Unicode escape sequence"))),
        false => Ok(value),
    }
}

/// Whether some string has a NUL, which no text of PostgreSQL's has. Depth is bounded by the reader.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(string) => string.contains('\0'),
        Value::Array(elements) => elements.iter().any(has_nul),
        Value::Map(map) => map
            .iter()
            .any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}
