//! Document ids and composite keys as bytes that sort as their values do.
//!
//! A [`Key`] is one component, or several concatenated, of the bytes of `ordered`. A component
//! may be a string, number, UUID, time, date, interval, bytes or bool; null, NaN and the infinities, points
//! and containers are refused. Numbers are ids by value: `1`, `1.0` and a decimal 1 are the same
//! id, and read back as an integer; so are intervals of one length (`P1M` and `P30D`). A string of n bytes takes n + 2 (plus one for each NUL), a
//! UUID 17, most integers 10; at most [`KEY_BYTES_MAX`] in all.
//!
//! Text, for URL paths and people ([`Key::parse`], `Display`); every key has one that is read
//! back as the same key:
//!
//! | text | key |
//! | --- | --- |
//! | `42`, `18446744073709551616` | an integer of any size, without zeros in front |
//! | `0191e0a4-7b7c-7000-8000-000000000001` | a UUID: hyphenated, 36 characters |
//! | `date:2013-01-01`, `time:2013-01-01T00:00:00Z` | a date, a time |
//! | `interval:P1DT2H` | an interval |
//! | `float:1.5`, `decimal:0.1` | a number that is not whole, by its value |
//! | `bool:true`, `bytes:AP8` | a bool; bytes in base64url without padding |
//! | `composite:a,1,date:2013-01-01` | several: each as above, a string with a comma in quotes |
//! | `"42"` | a JSON string in quotes: that string |
//! | anything else | a string as it stands |
//!
//! Tests: below, and `proptests` (order; text that comes back).

use std::borrow::Borrow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ErrorClass;
use crate::{Decimal, KEY_BYTES_MAX, Uuid, Value, decode_value_key, encode_value_key};

/// A document's id, or a composite of values, encoded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<[u8]>);

/// Why something is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A value of a type that no key may have.
    #[error("a key cannot be {found}")]
    Type {
        /// The type given.
        found: &'static str,
    },
    /// NaN or an infinity.
    #[error("a key cannot be NaN or infinite")]
    NotFinite,
    /// A composite key of nothing.
    #[error("a key needs at least one value")]
    Empty,
    /// Longer than [`KEY_BYTES_MAX`].
    #[error("key is longer than {KEY_BYTES_MAX} bytes when encoded")]
    TooLong,
    /// Text that begins with a quote and is no JSON string.
    #[error("a key in quotes must be a JSON string")]
    Quotes,
    /// Bytes that no key has.
    #[error("damaged key: {reason}")]
    Damaged {
        /// What is wrong.
        reason: &'static str,
    },
}

impl KeyError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::TooLong => ErrorClass::Limit,
            Self::Damaged { .. } => ErrorClass::Corrupt,
            Self::Type { .. } | Self::NotFinite | Self::Empty | Self::Quotes => ErrorClass::Invalid,
        }
    }
}

impl Key {
    /// The key of one value.
    ///
    /// # Errors
    /// A type that no key may have, or the length.
    pub fn from_value(value: &Value) -> Result<Self, KeyError> {
        Self::from_values(std::slice::from_ref(value))
    }

    /// The key of several values, ordered by the first, then the second, and so on.
    ///
    /// # Errors
    /// No values, a type that no key may have, or the length.
    pub fn from_values(values: &[Value]) -> Result<Self, KeyError> {
        if values.is_empty() {
            return Err(KeyError::Empty);
        }
        let mut bytes = Vec::with_capacity(24);
        for value in values {
            check_component(value)?;
            encode_value_key(value, &mut bytes);
        }
        if bytes.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        Ok(Self(bytes.into_boxed_slice()))
    }

    /// The key that shows itself as this value ([`Self::to_value`]): an array is that of several values.
    ///
    /// # Errors
    /// As [`Self::from_value`].
    pub fn from_shown(value: &Value) -> Result<Self, KeyError> {
        match value {
            Value::Array(values) if values.len() > 1 => Self::from_values(values),
            one => Self::from_value(one),
        }
    }

    /// Takes encoded bytes from outside.
    ///
    /// # Errors
    /// When they are not exactly those of a key.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Result<Self, KeyError> {
        let key = Self(bytes.into());
        if key.0.is_empty() {
            return Err(KeyError::Empty);
        }
        if key.0.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        key.components()
            .try_for_each(|component| check_component(&component?))?;
        Ok(key)
    }

    /// Takes encoded bytes that were once [`Self::as_bytes`] of a key.
    pub fn trusted(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Reads an id as people and URLs write it (the rule is in the module's head).
    ///
    /// # Errors
    /// Unfinished quotes, or the length.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        match parse_composite(text) {
            Some(values) => Self::from_values(&values),
            None => Self::from_value(&parse_value(text)?),
        }
    }

    /// The encoded bytes; they sort as the values do.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded bytes, owned.
    pub fn into_bytes(self) -> Box<[u8]> {
        self.0
    }

    /// The values of the key, one but for composite keys.
    ///
    /// # Errors
    /// Only when [`Self::trusted`] was given what was no key.
    pub fn decode(&self) -> Result<Vec<Value>, KeyError> {
        self.components().collect()
    }

    /// The value of the key: the one value, or for a composite key an array. Null when
    /// [`Self::trusted`] was given what was no key.
    pub fn to_value(&self) -> Value {
        let mut rest = &self.0[..];
        if let Ok(value) = decode_value_key(&mut rest)
            && rest.is_empty()
        {
            return value;
        }
        match self.decode() {
            Ok(values) => Value::Array(values),
            Err(_) => Value::Null,
        }
    }

    fn components(&self) -> impl Iterator<Item = Result<Value, KeyError>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let component = decode_value_key(&mut rest);
            if component.is_err() {
                rest = &[];
            }
            Some(component)
        })
    }
}

fn check_component(value: &Value) -> Result<(), KeyError> {
    match value {
        Value::Float(float) if !float.is_finite() => Err(KeyError::NotFinite),
        Value::Null | Value::Point(_) | Value::Array(_) | Value::Map(_) => Err(KeyError::Type {
            found: value.type_name(),
        }),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Decimal(_)
        | Value::String(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Interval(_)
        | Value::Uuid(_)
        | Value::Bytes(_) => Ok(()),
    }
}

/// The value that a key's text stands for.
fn parse_value(text: &str) -> Result<Value, KeyError> {
    if text.starts_with('"') {
        return serde_json::from_str(text)
            .map(Value::String)
            .map_err(|_| KeyError::Quotes);
    }
    if let Some(integer) = parse_integer(text) {
        return Ok(integer);
    }
    // The parser takes other forms too, with braces, without hyphens.
    if text.len() == 36
        && let Ok(uuid) = Uuid::try_parse(text)
    {
        return Ok(Value::Uuid(uuid));
    }
    let typed = text
        .split_once(':')
        .and_then(|(kind, rest)| parse_typed(kind, rest));
    Ok(typed.unwrap_or_else(|| Value::String(text.to_owned())))
}

/// An integer in its one usual form: `007`, `+7` and `-0` are strings.
fn parse_integer(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let usual = match digits.as_bytes() {
        [] => false,
        [b'0'] => digits.len() == text.len(),
        [b'0', ..] => false,
        _ => digits.bytes().all(|byte| byte.is_ascii_digit()),
    };
    if !usual {
        return None;
    }
    match text.parse() {
        Ok(int) => Some(Value::Int(int)),
        Err(_) => text.parse().map(Value::Decimal).ok(),
    }
}

/// What stands behind the name of a type.
fn parse_typed(kind: &str, text: &str) -> Option<Value> {
    match kind {
        "bool" => text.parse().map(Value::Bool).ok(),
        "float" => {
            let float = text.parse().ok();
            float
                .filter(|float: &f64| float.is_finite())
                .map(Value::Float)
        }
        "decimal" => text.parse().map(Value::Decimal).ok(),
        "date" => text.parse().map(Value::Date).ok(),
        "time" => text.parse().map(Value::Time).ok(),
        "interval" => text.parse().map(Value::Interval).ok(),
        "bytes" => BASE64URL.decode(text).map(Value::Bytes).ok(),
        _ => None,
    }
}

const COMPOSITE: &str = "composite:";

/// The values of a composite key's text: two or more.
fn parse_composite(text: &str) -> Option<Vec<Value>> {
    let mut rest = text.strip_prefix(COMPOSITE)?;
    let mut values = Vec::new();
    loop {
        let end = if rest.starts_with('"') {
            let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            strings.next()?.ok()?;
            strings.byte_offset()
        } else {
            rest.find(',').unwrap_or(rest.len())
        };
        values.push(parse_value(&rest[..end]).ok()?);
        match rest[end..].strip_prefix(',') {
            Some(more) => rest = more,
            None if end == rest.len() && values.len() > 1 => return Some(values),
            None => return None,
        }
    }
}

/// Whether a string stands for itself in a key's text; otherwise it is written in quotes.
fn is_plain(string: &str, alone: bool) -> bool {
    let is_composite = match alone {
        true => parse_composite(string).is_some(),
        false => string.contains(','),
    };
    !is_composite && matches!(parse_value(string), Ok(Value::String(same)) if same == string)
}

impl fmt::Display for Key {
    /// Text that [`Key::parse`] reads back as the same key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alone = self.components().nth(1).is_none();
        let mut separator = if alone { "" } else { COMPOSITE };
        for component in self.components() {
            f.write_str(separator)?;
            separator = ",";
            match component {
                Ok(value) => write_component(f, value, alone)?,
                Err(error) => write!(f, "<{error}>")?,
            }
        }
        Ok(())
    }
}

fn write_component(f: &mut fmt::Formatter<'_>, value: Value, alone: bool) -> fmt::Result {
    match value {
        Value::String(string) if is_plain(&string, alone) => f.write_str(&string),
        Value::Bool(bool) => write!(f, "bool:{bool}"),
        // Beyond 64 bits a whole number comes as a float or a decimal.
        Value::Float(float) if float.trunc() == float => match Decimal::from_f64_exact(float) {
            Ok(integer) => write!(f, "{integer}"),
            Err(_) => write!(f, "float:{float:?}"),
        },
        Value::Float(float) => write!(f, "float:{float:?}"),
        Value::Decimal(decimal) if decimal.scale() <= 0 => write!(f, "{decimal}"),
        Value::Decimal(decimal) => write!(f, "decimal:{decimal}"),
        Value::Date(date) => write!(f, "date:{date}"),
        Value::Time(time) => write!(f, "time:{time}"),
        Value::Interval(interval) => write!(f, "interval:{}", interval.iso()),
        Value::Uuid(uuid) => write!(f, "{uuid}"),
        Value::Bytes(bytes) => write!(f, "bytes:{}", BASE64URL.encode(bytes)),
        // A string that would be read as something else, and integers.
        other => f.write_str(&other.to_json()),
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&Value> for Key {
    type Error = KeyError;

    fn try_from(value: &Value) -> Result<Self, KeyError> {
        Self::from_value(value)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_bytes(crate::json::BytesVisitor)?;
        Self::from_bytes(bytes).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Date, Decimal, Point, Timestamp};

    fn key(value: impl Into<Value>) -> Key {
        Key::from_value(&value.into()).unwrap()
    }

    #[test]
    fn what_a_key_may_be() {
        for value in [
            Value::from("x"),
            Value::from(""),
            7.into(),
            Uuid::max().into(),
            "0.1".parse::<Decimal>().unwrap().into(),
            Timestamp(5).into(),
            Date(5).into(),
            vec![0_u8, 1].into(),
            true.into(),
        ] {
            let key = key(value.clone());
            assert_eq!(
                (key.to_value(), key.to_value().type_name()),
                (value.clone(), value.type_name())
            );
            assert_eq!(Key::from_shown(&value), Ok(key.clone()));
            assert_eq!(Key::from_bytes(key.as_bytes()), Ok(key));
        }
        assert_eq!(key(1), key(1.0));
        let several = Key::from_values(&[1.into(), "x".into()]).unwrap();
        assert_eq!(Key::from_shown(&several.to_value()), Ok(several));
        for no_key in [vec![], vec![1.into()]] {
            assert!(Key::from_shown(&Value::Array(no_key)).is_err());
        }
        let point = Point::new(0.0, 0.0).unwrap();
        for (value, error) in [
            (Value::Null, KeyError::Type { found: "null" }),
            (point.into(), KeyError::Type { found: "point" }),
            (
                Vec::<Value>::new().into(),
                KeyError::Type { found: "array" },
            ),
            (
                Value::Map(Default::default()),
                KeyError::Type { found: "map" },
            ),
            (f64::NAN.into(), KeyError::NotFinite),
            (f64::NEG_INFINITY.into(), KeyError::NotFinite),
            ("x".repeat(KEY_BYTES_MAX - 1).into(), KeyError::TooLong),
        ] {
            assert_eq!(Key::from_value(&value), Err(error));
        }
        assert_eq!(
            key("x".repeat(KEY_BYTES_MAX - 2)).as_bytes().len(),
            KEY_BYTES_MAX
        );
        assert_eq!(Key::from_values(&[]), Err(KeyError::Empty));
        assert_eq!(Key::from_bytes([]), Err(KeyError::Empty));
        assert_eq!(Key::from_bytes([8]), Err(KeyError::Type { found: "null" }));
    }

    #[test]
    fn text_stands_for_one_key() {
        let id = "0191e0a4-7b7c-7000-8000-000000000001";
        for (text, value) in [
            ("42", Value::Int(42)),
            ("-7", Value::Int(-7)),
            ("0", Value::Int(0)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            (
                "9223372036854775808",
                "9223372036854775808".parse::<Decimal>().unwrap().into(),
            ),
            ("date:2013-01-01", Date(15_706).into()),
            ("time:1970-01-01T00:00:00Z", Timestamp(0).into()),
            ("float:1.5", 1.5.into()),
            ("float:0.1", 0.1.into()),
            ("decimal:0.1", "0.1".parse::<Decimal>().unwrap().into()),
            ("bool:true", true.into()),
            ("bytes:AP8", vec![0_u8, 255].into()),
            ("date:tomorrow", "date:tomorrow".into()),
            ("\"date:2013-01-01\"", "date:2013-01-01".into()),
            ("composite:a", "composite:a".into()),
            ("\"composite:a,b\"", "composite:a,b".into()),
            ("a,b", "a,b".into()),
            ("007", "007".into()),
            ("-0", "-0".into()),
            ("+7", "+7".into()),
            ("-", "-".into()),
            ("", "".into()),
            ("4.2", "4.2".into()),
            (id, Uuid::try_parse(id).unwrap().into()),
            ("\"42\"", "42".into()),
            ("\"\\\"\"", "\"".into()),
            ("user:7", "user:7".into()),
        ] {
            let parsed = Key::parse(text).unwrap();
            assert_eq!(parsed, key(value), "{text}");
            assert_eq!(parsed.to_string(), text);
        }
        assert_eq!(
            Key::parse(&id.replace('-', ""))
                .unwrap()
                .to_value()
                .type_name(),
            "string"
        );
        let upper = id.to_uppercase();
        assert_eq!(key(upper.as_str()).to_string(), format!("\"{upper}\""));
        assert_eq!(Key::parse("\"42"), Err(KeyError::Quotes));
        let composite = Key::from_values(&["a".into(), 1.into(), Date(0).into()]).unwrap();
        assert_eq!(composite.to_string(), "composite:a,1,date:1970-01-01");
        assert_eq!(Key::parse(&composite.to_string()), Ok(composite.clone()));
        let same = Key::parse("date:02013-01-01").unwrap();
        assert_eq!(
            same.to_value().type_name(),
            "string",
            "not as dates are written"
        );
        assert_eq!(Key::parse("decimal:42.0"), Ok(key(42)), "by value");
        assert_eq!(composite.decode().unwrap().len(), 3);
        assert!(key("a") < composite && composite < key("a\0"));
    }

    #[test]
    fn serde_keeps_bytes() {
        let id = key("x");
        let bytes = postcard::to_allocvec(&id).unwrap();
        assert_eq!(bytes, [3, 0x20, b'x', 0]);
        assert_eq!(postcard::from_bytes::<Key>(&bytes), Ok(id.clone()));
        assert!(postcard::from_bytes::<Key>(&[1, 8]).is_err());
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<Key>(&json).unwrap(), id);
    }
}
