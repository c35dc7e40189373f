//! An encoded value, seen by type: what [`RawValue::get`] answers and builders take.
//!
//! Scalars are values, strings and bytes borrow from the encoded bytes, and containers are views
//! to read on in. Tests: through `raw`, `fields` and `proptests`.

use crate::{Date, Decimal, Interval, Point, RawArray, RawMap, RawValue, Timestamp, Uuid, Value};

/// An encoded value, seen by type.
#[derive(Debug, Clone)]
pub enum ValueRef<'a> {
    /// The absence of a value, said aloud.
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
    Str(&'a str),
    /// A day.
    Date(Date),
    /// A moment.
    Time(Timestamp),
    /// A span of calendar time.
    Interval(Interval),
    /// A UUID.
    Uuid(Uuid),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// A geographic point.
    Point(Point),
    /// Values in order.
    Array(RawArray<'a>),
    /// Values by name.
    Map(RawMap<'a>),
}

impl ValueRef<'_> {
    /// The value, owned.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Int(int) => Value::Int(*int),
            Self::Float(float) => Value::Float(*float),
            Self::Decimal(decimal) => Value::Decimal(decimal.clone()),
            Self::Str(string) => Value::String((*string).to_owned()),
            Self::Date(date) => Value::Date(*date),
            Self::Time(time) => Value::Time(*time),
            Self::Interval(interval) => Value::Interval(*interval),
            Self::Uuid(uuid) => Value::Uuid(*uuid),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Point(point) => Value::Point(*point),
            Self::Array(array) => Value::Array(array.iter().map(RawValue::to_value).collect()),
            Self::Map(map) => Value::Map(map.to_map()),
        }
    }
}

macro_rules! value_ref_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl<'a> From<$from> for ValueRef<'a> {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

value_ref_from! {
    bool => Bool, i64 => Int, i32 => Int, u32 => Int, f64 => Float, Decimal => Decimal,
    &'a str => Str, Date => Date, Timestamp => Time, Interval => Interval, Uuid => Uuid,
    &'a [u8] => Bytes, Point => Point, RawArray<'a> => Array, RawMap<'a> => Map,
}

impl<'a> From<&'a String> for ValueRef<'a> {
    fn from(value: &'a String) -> Self {
        Self::Str(value)
    }
}

impl<'a> From<RawValue<'a>> for ValueRef<'a> {
    fn from(value: RawValue<'a>) -> Self {
        value.get()
    }
}

impl<'a, T: Into<ValueRef<'a>>> From<Option<T>> for ValueRef<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
