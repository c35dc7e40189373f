//! Judges rows by filters.
//!
//! Of a document only the fields that are named are read, in their encoded form; the elements of an
//! array are judged where they are. The recursion is as deep as the filter may be, whatever filter
//! comes. Tests: `filter/tests.rs` and `proptests`.

use std::cmp::Ordering;
use std::mem::discriminant;

use velocitydb_engine::Document;
use velocitydb_types::{Path, Value, View, compare};

use super::{FILTER_DEPTH_MAX, Filter};
use crate::row::{Cell, RowRef};

impl Filter {
    /// Whether a document meets the condition. Reads the encoded fields, and of them only those
    /// that are named.
    ///
    /// Only a filter that [`Filter::check`] accepts has a meaning; of another, what is wrong or too
    /// deep is met by no document.
    pub fn matches(&self, document: &Document) -> bool {
        self.holds(RowRef::document(document))
    }

    /// As [`Filter::matches`], for whatever a stage is given.
    pub(crate) fn holds(&self, row: RowRef<'_>) -> bool {
        self.holds_within(row, 1)
    }

    fn holds_within(&self, row: RowRef<'_>, depth: usize) -> bool {
        if depth > FILTER_DEPTH_MAX {
            return false;
        }
        match self {
            Filter::All => true,
            Filter::Eq(path, value) => compare(row.value(path).view(), value).is_eq(),
            Filter::Ne(path, value) => compare(row.value(path).view(), value).is_ne(),
            Filter::Lt(path, value) => ordered(row, path, value, Ordering::is_lt),
            Filter::Le(path, value) => ordered(row, path, value, Ordering::is_le),
            Filter::Gt(path, value) => ordered(row, path, value, Ordering::is_gt),
            Filter::Ge(path, value) => ordered(row, path, value, Ordering::is_ge),
            Filter::In(path, values) => values.contain(&row.value(path).view()),
            Filter::Exists(path) => row.get(path).is_some(),
            Filter::Prefix(path, prefix) => match row.value(path).view() {
                View::Str(bytes) => bytes.starts_with(prefix.as_bytes()),
                _ => false,
            },
            Filter::Contains(path, element) => contains(&row.value(path), element),
            Filter::ContainsAll(path, values) => match row.value(path).view() {
                View::Array(array) => values.all_among(array.iter()),
                _ => false,
            },
            Filter::ElemMatch(path, condition) => row
                .value(path)
                .any_element(|element| condition.holds_within(element, depth + 1)),
            Filter::Size(path, elements) => match row.value(path).view() {
                View::Array(array) => array.len() == *elements,
                _ => false,
            },
            Filter::Type(path, types) => row.get(path).is_some_and(|cell| {
                let name = cell.type_name();
                types.iter().any(|wanted| wanted.includes(name))
            }),
            Filter::Regex(path, regex) => match row.value(path).view() {
                View::Str(bytes) => regex.matches(bytes),
                _ => false,
            },
            Filter::Within(path, area) => match row.value(path).view() {
                View::Point(point) => area.contains(point),
                _ => false,
            },
            Filter::Text(path, text) => text.holds(&row.value(path).view()),
            Filter::And(filters) => filters
                .iter()
                .all(|filter| filter.holds_within(row, depth + 1)),
            Filter::Or(filters) => filters
                .iter()
                .any(|filter| filter.holds_within(row, depth + 1)),
            Filter::Not(filter) => !filter.holds_within(row, depth + 1),
            Filter::Invalid(_) => false,
        }
    }
}

/// Compares values of one type; of different types no order holds.
fn ordered(row: RowRef<'_>, path: &Path, value: &Value, holds: fn(Ordering) -> bool) -> bool {
    let cell = row.value(path);
    let (found, wanted) = (cell.view(), View::from(value));
    // The variants of a view are the types of the order: numbers of all kinds are one.
    discriminant(&found) == discriminant(&wanted) && holds(compare(found, wanted))
}

fn contains(cell: &Cell<'_>, element: &Value) -> bool {
    match cell.view() {
        View::Array(array) => array.iter().any(|found| compare(found, element).is_eq()),
        _ => false,
    }
}
