//! One borrowed view of values, owned or encoded, so that comparing, keys and JSON are written
//! once.
//!
//! Where [`crate::ValueRef`] shows what is encoded, a [`View`] can also stand for a [`Value`].
//! Strings and names are bytes here: none of the readers of views needs to know that they are
//! UTF-8, so none pays for checking. Tests: through `order`, `ordered` and `json`.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};

use crate::encoding::tag;
use crate::number::Number;
use crate::raw::{MapEntries, RawArray, RawMap, RawValue};
use crate::value_ref::ValueRef;
use crate::{Date, Decimal, Interval, Point, Timestamp, Uuid, Value};

/// A value, borrowed from wherever it is.
#[derive(Clone)]
pub enum View<'a> {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer, float or decimal.
    Number(Number<'a>),
    /// The bytes of a string.
    Str(&'a [u8]),
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
    Array(ArrayView<'a>),
    /// Values by name.
    Map(MapView<'a>),
}

/// An array, borrowed from wherever it is.
#[derive(Clone, Copy)]
pub enum ArrayView<'a> {
    /// Owned values.
    Owned(&'a [Value]),
    /// An encoded array.
    Raw(RawArray<'a>),
}

/// A map, borrowed from wherever it is.
#[derive(Clone, Copy)]
pub enum MapView<'a> {
    /// Owned values.
    Owned(&'a BTreeMap<String, Value>),
    /// An encoded map.
    Raw(RawMap<'a>),
}

impl<'a> ArrayView<'a> {
    /// Number of elements.
    pub fn len(self) -> usize {
        match self {
            Self::Owned(elements) => elements.len(),
            Self::Raw(array) => array.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at a position from 0.
    pub fn get(self, index: usize) -> Option<View<'a>> {
        match self {
            Self::Owned(elements) => elements.get(index).map(View::from),
            Self::Raw(array) => array.get(index).map(View::from),
        }
    }

    /// The elements in order.
    pub fn iter(self) -> impl Iterator<Item = View<'a>> {
        (0..self.len()).map_while(move |index| self.get(index))
    }
}

impl<'a> MapView<'a> {
    /// Number of names.
    pub fn len(self) -> usize {
        match self {
            Self::Owned(map) => map.len(),
            Self::Raw(map) => map.len(),
        }
    }

    /// Whether there are no names.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Names (their bytes) and values, in the order of the names.
    pub fn iter(self) -> MapIter<'a> {
        match self {
            Self::Owned(map) => MapIter::Owned(map.iter()),
            Self::Raw(map) => MapIter::Raw(RawEntries(map.entries())),
        }
    }
}

/// Iterates over the names and values of a [`MapView`].
pub enum MapIter<'a> {
    /// Of owned values.
    Owned(btree_map::Iter<'a, String, Value>),
    /// Of an encoded map.
    Raw(RawEntries<'a>),
}

/// Iterates over the names and values of an encoded map.
pub struct RawEntries<'a>(MapEntries<'a>);

impl<'a> Iterator for MapIter<'a> {
    type Item = (&'a [u8], View<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Owned(entries) => entries
                .next()
                .map(|(name, value)| (name.as_bytes(), View::from(value))),
            Self::Raw(RawEntries(entries)) => entries
                .next()
                .map(|(name, value)| (name, View::from(value))),
        }
    }
}

impl View<'_> {
    /// The value that it shows.
    pub fn to_value(&self) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Number(Number::Int(int)) => Value::Int(*int),
            Self::Number(Number::Float(float)) => Value::Float(*float),
            Self::Number(Number::Decimal(decimal)) => Value::Decimal(Decimal::clone(decimal)),
            Self::Str(bytes) => Value::String(text(bytes)),
            Self::Date(date) => Value::Date(*date),
            Self::Time(time) => Value::Time(*time),
            Self::Interval(interval) => Value::Interval(*interval),
            Self::Uuid(uuid) => Value::Uuid(*uuid),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Point(point) => Value::Point(*point),
            Self::Array(array) => Value::Array(array.iter().map(|view| view.to_value()).collect()),
            Self::Map(map) => {
                let entries = map
                    .iter()
                    .map(|(name, value)| (text(name), value.to_value()));
                Value::Map(entries.collect())
            }
        }
    }
}

impl<'a> From<&'a Value> for View<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Int(int) => Self::Number(Number::Int(*int)),
            Value::Float(float) => Self::Number(Number::Float(*float)),
            Value::Decimal(decimal) => Self::Number(Number::Decimal(Cow::Borrowed(decimal))),
            Value::String(string) => Self::Str(string.as_bytes()),
            Value::Date(date) => Self::Date(*date),
            Value::Time(time) => Self::Time(*time),
            Value::Interval(interval) => Self::Interval(*interval),
            Value::Uuid(uuid) => Self::Uuid(*uuid),
            Value::Bytes(bytes) => Self::Bytes(bytes),
            Value::Point(point) => Self::Point(*point),
            Value::Array(elements) => Self::Array(ArrayView::Owned(elements)),
            Value::Map(map) => Self::Map(MapView::Owned(map)),
        }
    }
}

impl<'a> From<RawValue<'a>> for View<'a> {
    fn from(value: RawValue<'a>) -> Self {
        // The one case in which going by way of `ValueRef` would cost: the check of the UTF-8.
        if value.tag() == tag::STRING {
            return Self::Str(value.payload());
        }
        Self::from(value.get())
    }
}

impl<'a> From<ValueRef<'a>> for View<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Bool(bool) => Self::Bool(bool),
            ValueRef::Int(int) => Self::Number(Number::Int(int)),
            ValueRef::Float(float) => Self::Number(Number::Float(float)),
            ValueRef::Decimal(decimal) => Self::Number(Number::Decimal(Cow::Owned(decimal))),
            ValueRef::Str(string) => Self::Str(string.as_bytes()),
            ValueRef::Date(date) => Self::Date(date),
            ValueRef::Time(time) => Self::Time(time),
            ValueRef::Interval(interval) => Self::Interval(interval),
            ValueRef::Uuid(uuid) => Self::Uuid(uuid),
            ValueRef::Bytes(bytes) => Self::Bytes(bytes),
            ValueRef::Point(point) => Self::Point(point),
            ValueRef::Array(array) => Self::Array(ArrayView::Raw(array)),
            ValueRef::Map(map) => Self::Map(MapView::Raw(map)),
        }
    }
}

impl<'a> From<&ValueRef<'a>> for View<'a> {
    fn from(value: &ValueRef<'a>) -> Self {
        Self::from(value.clone())
    }
}

impl<'a> From<RawMap<'a>> for View<'a> {
    fn from(map: RawMap<'a>) -> Self {
        Self::Map(MapView::Raw(map))
    }
}

impl<'a> From<RawArray<'a>> for View<'a> {
    fn from(array: RawArray<'a>) -> Self {
        Self::Array(ArrayView::Raw(array))
    }
}
