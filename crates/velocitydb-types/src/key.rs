//! Document ids and composite keys as bytes that sort as their values do.
//!
//! A [`Key`] is one component, or several concatenated, of the bytes of `ordered`. A component
//! may be a string, number, UUID, time, date, bytes or bool; null, NaN and the infinities, points
//! and containers are refused. Numbers are ids by value: `1`, `1.0` and a decimal 1 are the same
//! id, and read back as an integer. A string of n bytes takes n + 2 (plus one for each NUL), a
//! UUID 17, most integers 10; at most [`KEY_BYTES_MAX`] in all.
//!
//! Text, for URL paths and people ([`Key::parse`], `Display`): integer text is an integer, a
//! hyphenated 36-character UUID is a UUID, a JSON string in quotes is that string, anything else
//! is a string as it stands.
//!
//! Tests: below, and `proptests` (order).

use std::borrow::Borrow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ErrorClass;
use crate::{KEY_BYTES_MAX, Uuid, Value, decode_value_key, encode_value_key};

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
        Self::from_value(&parse_value(text)?)
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
        match self.decode() {
            Ok(mut values) if values.len() == 1 => values.swap_remove(0),
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
    if let Some(int) = parse_int(text) {
        return Ok(Value::Int(int));
    }
    // The parser takes other forms too, with braces, without hyphens.
    if text.len() == 36
        && let Ok(uuid) = Uuid::try_parse(text)
    {
        return Ok(Value::Uuid(uuid));
    }
    Ok(Value::String(text.to_owned()))
}

/// An integer in its one usual form: `007`, `+7` and `-0` are strings.
fn parse_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let usual = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'0', ..] => false,
        _ => digits.bytes().all(|byte| byte.is_ascii_digit()),
    };
    text.parse().ok().filter(|_| usual)
}

impl fmt::Display for Key {
    /// Text that [`Key::parse`] reads back as the same key, if it is one integer, UUID or
    /// string. Other types are shown as in JSON but cannot be told from strings, and the parts
    /// of a composite key are joined with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for component in self.components() {
            f.write_str(separator)?;
            separator = ",";
            match component {
                Ok(Value::String(string)) => match parse_value(&string) {
                    Ok(Value::String(same)) if same == string => f.write_str(&string)?,
                    _ => f.write_str(&Value::String(string).to_json())?,
                },
                Ok(Value::Decimal(decimal)) => write!(f, "{decimal}")?,
                Ok(Value::Date(date)) => write!(f, "{date}")?,
                Ok(Value::Time(time)) => write!(f, "{time}")?,
                Ok(Value::Uuid(uuid)) => write!(f, "{uuid}")?,
                Ok(Value::Bytes(bytes)) => f.write_str(&BASE64.encode(bytes))?,
                Ok(other) => f.write_str(&other.to_json())?,
                Err(error) => write!(f, "<{error}>")?,
            }
        }
        Ok(())
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
            assert_eq!(Key::from_bytes(key.as_bytes()), Ok(key));
        }
        assert_eq!(key(1), key(1.0));
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
            ("9223372036854775808", "9223372036854775808".into()),
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
        assert_eq!(composite.to_string(), "a,1,1970-01-01");
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
