//! Values of a type that the caller declares, from a text or from JSON.
//!
//! Texts are read freely: with spaces around them, `yes` and `1` for true, numbers as people
//! write them. What JSON cannot say (times, bytes, points) comes in as a schema's declared types
//! do: by `velocitydb_types::Schema`.
//!
//! Tests: below.

use std::fmt::Display;
use std::num::IntErrorKind;
use std::str::FromStr;

use velocitydb_types::{FieldType, Value};

/// A text as a value of a declared type.
///
/// # Errors
/// Why it is none; empty when there is no more to say.
pub(crate) fn parse(text: &str, kind: FieldType) -> Result<Value, String> {
    let trimmed = text.trim();
    match kind {
        FieldType::String => Ok(Value::String(text.to_owned())),
        FieldType::Int => int(trimmed).map(Value::Int),
        FieldType::Float => trimmed.parse().map(Value::Float).map_err(|_| String::new()),
        FieldType::Bool => bool(trimmed).map(Value::Bool).ok_or_else(String::new),
        FieldType::Decimal => from_str(trimmed).map(Value::Decimal),
        FieldType::Time => from_str(trimmed).map(Value::Time),
        FieldType::Date => from_str(trimmed).map(Value::Date),
        FieldType::Interval => from_str(trimmed).map(Value::Interval),
        FieldType::Uuid => from_str(trimmed).map(Value::Uuid),
        FieldType::Bytes => {
            let string = Value::String(trimmed.to_owned());
            convert(string, kind).map_err(|_| "expected base64".to_owned())
        }
        FieldType::Json | FieldType::Array | FieldType::Map | FieldType::Point => {
            let value = Value::from_json(trimmed).map_err(|error| error.message)?;
            let found = value.type_name();
            convert(value, kind).map_err(|_| format!("found {found}"))
        }
    }
}

/// A value that JSON gave as one of a declared type. Null is of every type.
///
/// # Errors
/// The value, unchanged.
pub(crate) fn convert(value: Value, kind: FieldType) -> Result<Value, Value> {
    let fits = |value: &Value| {
        kind == FieldType::Json || value.is_null() || value.type_name() == kind.name()
    };
    if fits(&value) {
        return Ok(value);
    }
    let value = kind.coerce(value);
    if fits(&value) { Ok(value) } else { Err(value) }
}

fn int(text: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|error: std::num::ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "beyond 64 bits".to_owned(),
            _ => String::new(),
        })
}

fn bool(text: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(["true", "t", "yes", "y", "1"]) {
        Some(true)
    } else if is_one_of(["false", "f", "no", "n", "0"]) {
        Some(false)
    } else {
        None
    }
}

fn from_str<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use FieldType::{
        Array, Bool, Bytes, Date, Decimal, Float, Int, Interval, Json, Map, Point, String, Time,
        Uuid,
    };

    use super::*;

    #[test]
    fn texts_become_values_of_declared_types() {
        for (text, kind, expected) in [
            (" x ", String, "String(\" x \")"),
            (" +007 ", Int, "Int(7)"),
            ("5", Float, "Float(5.0)"),
            ("-inf", Float, "Float(-inf)"),
            ("Yes", Bool, "Bool(true)"),
            ("0", Bool, "Bool(false)"),
            (
                "2013-01-01T00:00:00Z",
                Time,
                "Time(Timestamp(1356998400000000))",
            ),
            ("2013-01-01", Date, "Date(Date(15706))"),
            (
                "1 day 02:00",
                Interval,
                "Interval(Interval { months: 0, days: 1, micros: 7200000000 })",
            ),
            ("AAEC", Bytes, "Bytes([0, 1, 2])"),
            ("[1,\"a\"]", Array, "Array([Int(1), String(\"a\")])"),
            ("{\"a\":null}", Map, "Map({\"a\": Null})"),
            ("true", Json, "Bool(true)"),
        ] {
            let value = parse(text, kind).map(|value| format!("{value:?}"));
            assert_eq!(value.as_deref(), Ok(expected), "{text} as {kind}");
        }
        for (text, kind) in [
            ("1.50", Decimal),
            ("00000000-0000-0000-0000-000000000000", Uuid),
            ("{\"type\":\"Point\",\"coordinates\":[13.4,52.5]}", Point),
        ] {
            assert_eq!(parse(text, kind).unwrap().type_name(), kind.name());
        }
    }

    #[test]
    fn other_texts_say_why_not() {
        for (text, kind, reason) in [
            ("x", Int, ""),
            ("9223372036854775808", Int, "beyond 64 bits"),
            ("1.5", Int, ""),
            ("x", Float, ""),
            ("2", Bool, ""),
            ("2013-02-30", Date, "no such date or time of day"),
            ("?", Bytes, "expected base64"),
            ("{}", Array, "found map"),
            ("[0, 0]", Point, "found array"),
        ] {
            assert_eq!(parse(text, kind).unwrap_err(), reason, "{text} as {kind}");
        }
        for kind in [Decimal, Time, Uuid, Json] {
            assert!(!parse("x", kind).unwrap_err().is_empty(), "{kind}");
        }
    }

    #[test]
    fn values_from_json_become_values_of_declared_types() {
        for (value, kind, expected) in [
            (Value::Int(1), Int, "Int(1)"),
            (Value::Int(1), Float, "Float(1.0)"),
            (Value::Null, Int, "Null"),
            (Value::from("x"), Json, "String(\"x\")"),
            (Value::from("2013-01-01"), Date, "Date(Date(15706))"),
        ] {
            assert_eq!(format!("{:?}", convert(value, kind).unwrap()), expected);
        }
        for (value, kind) in [
            (Value::Float(1.5), Int),
            (Value::Int(1), String),
            (Value::from("1"), Int),
            (Value::from("x"), Time),
        ] {
            assert_eq!(convert(value.clone(), kind).unwrap_err(), value);
        }
    }
}
