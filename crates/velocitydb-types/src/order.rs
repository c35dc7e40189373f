//! The one total order of values.
//!
//! null < bool < number < string < date < time < interval < uuid < bytes < point < array < map. Numbers by
//! exact value (see `number`), intervals by length, strings and names by UTF-8 bytes, points by longitude, arrays
//! and maps lexicographically (a map as its name and value pairs in name order; what ends first
//! is smaller). Every index, sort and comparison in VelocityDB uses it, directly or by way of
//! the bytes of `ordered`, which sort the same.
//!
//! Tests: below, and the laws of a total order in `proptests`.

use std::cmp::Ordering;

use crate::number;
use crate::raw::{RawMap, RawValue};
use crate::value_ref::ValueRef;
use crate::view::{ArrayView, MapView, View};

/// Compares two values, each owned or encoded.
pub fn compare<'a, 'b>(a: impl Into<View<'a>>, b: impl Into<View<'b>>) -> Ordering {
    compare_views(&a.into(), &b.into())
}

fn compare_views(a: &View<'_>, b: &View<'_>) -> Ordering {
    match (a, b) {
        (View::Bool(a), View::Bool(b)) => a.cmp(b),
        (View::Number(a), View::Number(b)) => number::compare(a, b),
        (View::Str(a), View::Str(b)) | (View::Bytes(a), View::Bytes(b)) => a.cmp(b),
        (View::Date(a), View::Date(b)) => a.cmp(b),
        (View::Time(a), View::Time(b)) => a.cmp(b),
        (View::Interval(a), View::Interval(b)) => a.cmp(b),
        (View::Uuid(a), View::Uuid(b)) => a.cmp(b),
        (View::Point(a), View::Point(b)) => a.cmp(b),
        (View::Array(a), View::Array(b)) => compare_arrays(*a, *b),
        (View::Map(a), View::Map(b)) => compare_maps(*a, *b),
        // Nulls, and values of different types.
        _ => rank(a).cmp(&rank(b)),
    }
}

/// The place of a type among the types.
fn rank(value: &View<'_>) -> u8 {
    match value {
        View::Null => 0,
        View::Bool(_) => 1,
        View::Number(_) => 2,
        View::Str(_) => 3,
        View::Date(_) => 4,
        View::Time(_) => 5,
        View::Interval(_) => 6,
        View::Uuid(_) => 7,
        View::Bytes(_) => 8,
        View::Point(_) => 9,
        View::Array(_) => 10,
        View::Map(_) => 11,
    }
}

fn compare_arrays(a: ArrayView<'_>, b: ArrayView<'_>) -> Ordering {
    a.iter()
        .zip(b.iter())
        .map(|(a, b)| compare_views(&a, &b))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn compare_maps(a: MapView<'_>, b: MapView<'_>) -> Ordering {
    a.iter()
        .zip(b.iter())
        .map(|((name_a, a), (name_b, b))| name_a.cmp(name_b).then_with(|| compare_views(&a, &b)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

macro_rules! ordered_by_compare {
    ($($ty:ident),*) => {
        $(impl Ord for $ty<'_> {
            fn cmp(&self, other: &Self) -> Ordering {
                compare(self.clone(), other.clone())
            }
        }

        impl PartialOrd for $ty<'_> {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $ty<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $ty<'_> {})*
    };
}

ordered_by_compare!(RawValue, RawMap, ValueRef);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{Date, Interval, Point, Timestamp, Uuid, Value};

    fn map(entries: &[(&str, Value)]) -> Value {
        let owned = entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Map(owned.collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn one_of_each_in_order() {
        let ascending = [
            Value::Null,
            false.into(),
            true.into(),
            (-1).into(),
            f64::NAN.into(),
            "".into(),
            "a".into(),
            "a\0".into(),
            "ab".into(),
            "é".into(),
            Date(-1).into(),
            Timestamp(-1).into(),
            Interval::new(0, -1, 0).into(),
            Interval::new(1, -30, 1).into(),
            Uuid::nil().into(),
            Uuid::max().into(),
            Vec::<u8>::new().into(),
            vec![255_u8].into(),
            Point::new(-1.0, 9.0).unwrap().into(),
            Point::new(0.0, -9.0).unwrap().into(),
            Vec::<Value>::new().into(),
            vec![Value::Null].into(),
            vec![Value::Int(1)].into(),
            vec![Value::Int(1), Value::Null].into(),
            vec![Value::Int(2)].into(),
            map(&[]),
            map(&[("a", 1.into())]),
            map(&[("a", 1.into()), ("b", Value::Null)]),
            map(&[("a", 2.into())]),
            map(&[("b", 0.into())]),
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }
}
