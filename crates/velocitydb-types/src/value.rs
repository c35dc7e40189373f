//! Owned values, for building data and for answers; never how documents are kept.
//!
//! Equality and order are those of [`crate::order`]: `Int(1)`, `Float(1.0)` and a decimal 1 are
//! equal. Types are told apart by matching, or by the encoded bytes. A value has no `Hash`: the
//! bytes of [`crate::encode_value_key`] are equal exactly for equal values.
//!
//! Tests: order and conversions in `proptests`; the serde forms below.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    Date, Decimal, Interval, JsonError, Point, RawValue, Timestamp, Uuid, View, encode_value, json,
    order,
};

/// Any value, owned.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// The absence of a value, said aloud (an absent field is not there at all).
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Float(f64),
    /// An exact decimal.
    Decimal(Decimal),
    /// UTF-8 text.
    String(String),
    /// A day.
    Date(Date),
    /// A moment, to the microsecond.
    Time(Timestamp),
    /// A span of calendar time.
    Interval(Interval),
    /// A UUID.
    Uuid(Uuid),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A geographic point.
    Point(Point),
    /// Values in order.
    Array(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The type's name, as in [`crate::FIELD_TYPES`] (and `null`).
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Decimal(_) => "decimal",
            Self::String(_) => "string",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Interval(_) => "interval",
            Self::Uuid(_) => "uuid",
            Self::Bytes(_) => "bytes",
            Self::Point(_) => "point",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The integer, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The map, if this is one.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Reads JSON text. What JSON cannot say stays as JSON says it: a time is a string.
    ///
    /// # Errors
    /// With line and column: wrong JSON, a name twice in an object, depth or size.
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        json::read_value(text)
    }

    /// The value as JSON text.
    pub fn to_json(&self) -> String {
        json::to_string(View::from(self))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        order::compare(self, other)
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_from! {
    bool => Bool, i64 => Int, i32 => Int, u32 => Int, i16 => Int, u16 => Int, u8 => Int,
    f64 => Float, f32 => Float, Decimal => Decimal, &str => String, String => String,
    Date => Date, Timestamp => Time, Interval => Interval, Uuid => Uuid, Vec<u8> => Bytes, &[u8] => Bytes,
    Point => Point, Vec<Value> => Array, BTreeMap<String, Value> => Map,
}

impl From<u64> for Value {
    /// An integer, or beyond `i64` a decimal.
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(
            |_| {
                let decimal = Decimal::new(number.into(), 0);
                Self::Decimal(decimal.expect("twenty digits are within a decimal's bounds"))
            },
            Self::Int,
        )
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Serialize for Value {
    /// Plain JSON for people (which keeps no types that JSON lacks), the encoded bytes otherwise.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return View::from(self).serialize(serializer);
        }
        let bytes = encode_value(self).map_err(serde::ser::Error::custom)?;
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = json::deserialize_encoded(deserializer)?;
        let value = RawValue::validate(&bytes).map_err(serde::de::Error::custom)?;
        Ok(value.to_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_for_people_keeps_what_json_has_and_bytes_keep_all() {
        let value = Value::Array(vec![
            Value::Null,
            true.into(),
            (-7_i64).into(),
            1.0.into(),
            "x".into(),
            Timestamp(0).into(),
            u64::MAX.into(),
        ]);
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(
            json,
            r#"[null,true,-7,1.0,"x","1970-01-01T00:00:00Z","18446744073709551615"]"#
        );
        let back: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(back.as_array().unwrap()[5], "1970-01-01T00:00:00Z".into());
        let bytes = postcard::to_allocvec(&value).unwrap();
        let back: Value = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(encode_value(&back), encode_value(&value));
        assert!(
            postcard::from_bytes::<Value>(&[2, 3, 0]).is_err(),
            "not a minimal integer"
        );
    }

    #[test]
    fn conversions_choose_the_type() {
        for (value, name) in [
            (Value::from(1_u8), "int"),
            (Value::from(u64::MAX), "decimal"),
            (Value::from(1.5_f32), "float"),
            (Value::from(vec![1_u8]), "bytes"),
            (Value::from(None::<bool>), "null"),
            (Value::from(Some("x")), "string"),
        ] {
            assert_eq!(value.type_name(), name);
        }
    }
}
