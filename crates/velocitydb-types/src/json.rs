//! JSON text in and out.
//!
//! In: text is read by `serde_json` straight into the encoded form, without a tree. A name
//! twice in one object is refused, depth and size are bounded, integers beyond 64 bits become
//! decimals, whole; a number beyond the range of `f64` is refused. Out: written straight from the encoded bytes, or from values; what JSON
//! lacks is said as in the table.
//!
//! | type | JSON | | type | JSON |
//! | --- | --- | --- | --- | --- |
//! | decimal | string, `"1.5"` | | uuid | string, hyphenated |
//! | date | string, `"2026-11-30"` | | bytes | string, base64 |
//! | time | string, RFC 3339 | | point | GeoJSON, `[lon, lat]` |
//! | interval | string, ISO 8601, `"P1DT2H"` | | NaN, ±∞ | `"NaN"`, `"Infinity"`, `"-Infinity"` |
//!
//! The way back from such strings is a schema's (`schema`), which knows the types. Rendering of
//! metadata is the caller's. Tests: below and `proptests`.

mod read;

use std::io::Write as _;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::error::ErrorClass;
use crate::ids::Uuid;
use crate::number::Number;
use crate::raw::{RawArray, RawMap, RawValue};
use crate::view::View;

pub(crate) use read::{BytesVisitor, deserialize_encoded, read_value};
pub use read::{is_long_integer, numbers, read_fields};

/// Why a text is not accepted as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct JsonError {
    /// What is wrong.
    pub message: String,
    /// Where, from 1.
    pub line: usize,
    /// Where, from 1 (in bytes); 0 at the very start of a line.
    pub column: usize,
    class: ErrorClass,
}

impl JsonError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        self.class
    }
}

/// Appends a value as JSON text.
pub fn write_json<'a>(value: impl Into<View<'a>>, out: &mut Vec<u8>) {
    write_view(&value.into(), out);
}

/// What [`Serialize`] would write, without its detours: this is what answers are made of.
fn write_view(value: &View<'_>, out: &mut Vec<u8>) {
    match value {
        View::Str(bytes) => write_str(bytes, out),
        View::Time(time) => write!(out, "\"{time}\"").expect(MEMORY),
        View::Uuid(uuid) => {
            let mut text = Uuid::encode_buffer();
            write_str(uuid.hyphenated().encode_lower(&mut text).as_bytes(), out);
        }
        View::Array(array) => {
            out.push(b'[');
            for (at, element) in array.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_view(&element, out);
            }
            out.push(b']');
        }
        View::Map(entries) => {
            out.push(b'{');
            for (at, (name, value)) in entries.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_str(name, out);
                out.push(b':');
                write_view(&value, out);
            }
            out.push(b'}');
        }
        scalar => serde_json::to_writer(out, scalar).expect(MEMORY),
    }
}

/// Most strings are of characters that stand for themselves: one look at them, one copy.
fn write_str(bytes: &[u8], out: &mut Vec<u8>) {
    let plain = |&byte: &u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if !bytes.iter().all(plain) {
        return serde_json::to_writer(out, text(bytes)).expect(MEMORY);
    }
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
}

/// Appends a value as PostgreSQL shows jsonb: with a space behind each comma and colon, the shortest
/// names first. A decimal is a number; other values that JSON does not have are strings.
pub fn write_jsonb(value: &View<'_>, out: &mut Vec<u8>) {
    match value {
        View::Number(Number::Decimal(decimal)) => write!(out, "{decimal}").expect(MEMORY),
        View::Array(array) => {
            out.push(b'[');
            for (at, element) in array.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                write_jsonb(&element, out);
            }
            out.push(b']');
        }
        View::Map(map) => {
            out.push(b'{');
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(name, _)| (name.len(), *name));
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                write_str(name, out);
                out.extend_from_slice(b": ");
                write_jsonb(&value, out);
            }
            out.push(b'}');
        }
        scalar => write_view(scalar, out),
    }
}

/// What `->>` gives: a string as it is, all else as [`write_jsonb`] writes it.
pub(crate) fn jsonb_text(value: &View<'_>) -> String {
    let mut out = Vec::new();
    match value {
        View::Str(bytes) => out.extend_from_slice(bytes),
        value => write_jsonb(value, &mut out),
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}

const MEMORY: &str = "memory takes all bytes";

/// A value as JSON text.
pub(crate) fn to_string(value: View<'_>) -> String {
    let mut out = Vec::new();
    write_view(&value, &mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

impl RawValue<'_> {
    /// The value as JSON text.
    pub fn to_json(self) -> String {
        to_string(self.into())
    }
}

impl RawMap<'_> {
    /// The map as JSON text.
    pub fn to_json(self) -> String {
        to_string(self.into())
    }
}

impl Serialize for View<'_> {
    /// Plain JSON (or the like of another format for people).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            View::Null => serializer.serialize_unit(),
            View::Bool(bool) => serializer.serialize_bool(*bool),
            View::Number(Number::Int(int)) => serializer.serialize_i64(*int),
            View::Number(Number::Float(float)) => match float_name(*float) {
                Some(name) => serializer.serialize_str(name),
                None => serializer.serialize_f64(*float),
            },
            View::Number(Number::Decimal(decimal)) => serializer.collect_str(decimal),
            View::Str(bytes) => serializer.serialize_str(text(bytes)),
            View::Date(date) => serializer.collect_str(date),
            View::Time(time) => serializer.collect_str(time),
            View::Interval(interval) => serializer.collect_str(&interval.iso()),
            View::Uuid(uuid) => {
                let mut text = Uuid::encode_buffer();
                serializer.serialize_str(uuid.hyphenated().encode_lower(&mut text))
            }
            View::Bytes(bytes) => serializer.collect_str(&Base64Display::new(bytes, &BASE64)),
            View::Point(point) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("type", "Point")?;
                map.serialize_entry("coordinates", &[point.lon(), point.lat()])?;
                map.end()
            }
            View::Array(array) => {
                let mut seq = serializer.serialize_seq(Some(array.len()))?;
                array
                    .iter()
                    .try_for_each(|element| seq.serialize_element(&element))?;
                seq.end()
            }
            View::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (name, value) in entries.iter() {
                    map.serialize_entry(text(name), &value)?;
                }
                map.end()
            }
        }
    }
}

/// UTF-8 that was validated before.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The string that stands for a float that JSON has no number for.
fn float_name(float: f64) -> Option<&'static str> {
    match float {
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => float.is_nan().then_some("NaN"),
    }
}

/// The float that a string of [`float_name`] stands for.
pub(crate) fn float_from_name(name: &str) -> Option<f64> {
    match name {
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => None,
    }
}

macro_rules! serialize_by_view {
    ($($ty:ident),*) => {
        $(impl Serialize for $ty<'_> {
            /// Plain JSON for people, the encoded bytes otherwise.
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match serializer.is_human_readable() {
                    true => View::from(*self).serialize(serializer),
                    false => serializer.serialize_bytes(self.as_bytes()),
                }
            }
        })*
    };
}

serialize_by_view!(RawValue, RawMap, RawArray);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DEPTH_MAX, Date, Decimal, Fields, Point, Timestamp, Value};

    #[test]
    fn each_type_has_its_form() {
        let decimal: Decimal = "1.50".parse().unwrap();
        for (value, json) in [
            (Value::Null, "null"),
            (true.into(), "true"),
            (i64::MIN.into(), "-9223372036854775808"),
            (1.0.into(), "1.0"),
            (1e300.into(), "1e+300"),
            (f64::NAN.into(), r#""NaN""#),
            (f64::NEG_INFINITY.into(), r#""-Infinity""#),
            (decimal.into(), r#""1.5""#),
            ("a\"\\\n\u{1}ö".into(), r#""a\"\\\n\u0001ö""#),
            (Date(0).into(), r#""1970-01-01""#),
            (Timestamp(1).into(), r#""1970-01-01T00:00:00.000001Z""#),
            (
                Uuid::nil().into(),
                r#""00000000-0000-0000-0000-000000000000""#,
            ),
            (vec![0_u8, 255].into(), r#""AP8=""#),
            (
                Point::new(22.15, 65.5).unwrap().into(),
                r#"{"type":"Point","coordinates":[22.15,65.5]}"#,
            ),
            (vec![1.into(), Value::Null].into(), "[1,null]"),
        ] {
            let bytes = crate::encode_value(&value).unwrap();
            assert_eq!(RawValue::validate(&bytes).unwrap().to_json(), json);
            assert_eq!(value.to_json(), json);
        }
    }

    #[test]
    fn integers_beyond_64_bits_stay_exact() {
        let text = r#"{"a":[9223372036854775807,-9223372036854775808,9223372036854775808],
            "b":18446744073709551617,"c":-123456789012345678901234567890,
            "text \" 99999999999999999999":"99999999999999999999",
            "d":1e30,"e":1.2345678901234567890123,"f":7}"#;
        let fields = Fields::from_json(text).unwrap();
        let at = |path: &str| fields.as_raw().get_path(&path.parse().unwrap()).unwrap();
        assert_eq!(at("a.0").as_int(), Some(i64::MAX));
        assert_eq!(at("a.1").as_int(), Some(i64::MIN));
        assert_eq!(
            at("a.2").as_decimal().unwrap().to_string(),
            "9223372036854775808"
        );
        assert_eq!(
            at("b").as_decimal().unwrap().to_string(),
            "18446744073709551617"
        );
        assert_eq!(
            at("c").as_decimal().unwrap().to_string(),
            "-123456789012345678901234567890"
        );
        assert_eq!(at("d").as_float(), Some(1e30));
        assert_eq!(at("e").as_float(), Some(1.2345678901234567));
        assert_eq!(at("f").as_int(), Some(7));
        let longest = "9".repeat(308);
        assert_eq!(
            Value::from_json(&longest).unwrap().to_json(),
            format!("{longest:?}")
        );
        let error = Value::from_json(&format!("{longest}9")).unwrap_err();
        assert_eq!(error.message, "number out of range");
    }

    #[test]
    fn errors_say_where_and_what() {
        let nested = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
        for (text, message, line, class) in [
            (
                "{\"a\":1,\n\"a\":2}",
                "field \"a\" appears twice",
                2,
                ErrorClass::Invalid,
            ),
            (
                "{\"b\":1,\"a\":1,\n\"b\":2}",
                "field \"b\" appears twice",
                2,
                ErrorClass::Invalid,
            ),
            (
                "{\"_id\":1}",
                "field name \"_id\" is reserved",
                1,
                ErrorClass::Invalid,
            ),
            ("{\"\":1}", "a field needs a name", 1, ErrorClass::Invalid),
            ("{\"a\":}", "expected value", 1, ErrorClass::Invalid),
            ("{} {}", "trailing characters", 1, ErrorClass::Invalid),
            ("", "EOF while parsing", 1, ErrorClass::Invalid),
            (
                "[1]",
                "a document is a map, not array",
                1,
                ErrorClass::Invalid,
            ),
            (
                "{\"a\":1e999}",
                "number out of range",
                1,
                ErrorClass::Invalid,
            ),
            (&nested, "nested more than 128 deep", 1, ErrorClass::Invalid),
        ] {
            let error = Fields::from_json(text).unwrap_err();
            assert!(error.message.contains(message), "{text}: {error}");
            assert_eq!(
                (error.line, error.class()),
                (line, class),
                "{text}: {error}"
            );
        }
        assert!(Value::from_json(&nested[1..nested.len() - 1]).is_ok());
        assert!(Value::from_json(r#"{"_id":1,"":2}"#).is_ok());
        let error = read_fields(r#"{"a":"0123456789"}"#, 10).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Limit);
        let error = Fields::from_json("{\n  \"a\": x}").unwrap_err();
        assert_eq!(error.to_string(), "expected value at line 2 column 8");
    }
}
