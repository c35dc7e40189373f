//! Which documents: conditions on fields, and what is made of them by and, or, not.
//!
//! ```text
//!   Filter::eq("state", "waiting").and(Filter::gt("priority", 3))
//! ```
//!
//! A condition is true or false, never unknown, so that the laws of logic hold: `!` of a filter
//! lets through exactly what the filter does not. An absent field counts as null; only
//! [`Filter::Exists`] tells the two apart. Greater and less are of one type: `age > 3` lets no
//! string through, though strings come after numbers where values are sorted. A path leads to one
//! value; an array is compared as a whole, and [`Filter::Contains`] looks at its elements.
//!
//! Invariant: constructors keep the first error and [`Filter::check`] tells it, with the bounds on
//! depth and number; every query checks its filter before it begins. Does not know indexes.
//! Tests: below; laws, and a plain evaluator to compare with, in `proptests`.

use std::cmp::Ordering;
use std::mem::discriminant;
use std::ops::Not;

use velocitydb_engine::Document;
use velocitydb_types::{Path, Value, View, compare};

use crate::error::QueryError;
use crate::path::IntoPath;
use crate::row::{Cell, Kind, RowRef};

/// How deep conditions may nest.
pub const FILTER_DEPTH_MAX: usize = 128;

/// How many conditions a filter may have, counting each and, or and not.
pub const CONDITIONS_MAX: usize = 10_000;

/// How many values the list of an [`Filter::In`] may have.
pub const IN_VALUES_MAX: usize = 100_000;

/// A condition on documents.
///
/// In all comparisons an absent field counts as null, and numbers of all types are one type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// Every document.
    #[default]
    All,
    /// The field has this value.
    Eq(Path, Value),
    /// The field does not have this value. An absent field does not.
    Ne(Path, Value),
    /// The field is of this value's type and less.
    Lt(Path, Value),
    /// The field is of this value's type and less, or has it.
    Le(Path, Value),
    /// The field is of this value's type and greater.
    Gt(Path, Value),
    /// The field is of this value's type and greater, or has it.
    Ge(Path, Value),
    /// The field has one of these values.
    In(Path, Values),
    /// The field is there, be it null.
    Exists(Path),
    /// The field is a string that begins so.
    Prefix(Path, String),
    /// The field is an array that has this element.
    Contains(Path, Value),
    /// All of these; every document when there are none.
    And(Vec<Filter>),
    /// At least one of these; no document when there are none.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// What could not be made into a condition; [`Filter::check`] tells why.
    Invalid(QueryError),
}

/// Different values in their order, for [`Filter::In`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(Vec<Value>);

impl Values {
    /// The values, ascending, each once.
    pub fn as_slice(&self) -> &[Value] {
        &self.0
    }

    fn contain(&self, value: &View<'_>) -> bool {
        self.0
            .binary_search_by(|listed| compare(listed, value.clone()))
            .is_ok()
    }
}

impl<V: Into<Value>> FromIterator<V> for Values {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Values {
        let mut values: Vec<Value> = values.into_iter().map(Into::into).collect();
        values.sort_unstable();
        values.dedup();
        Values(values)
    }
}

/// A condition of a path, or why there is none.
fn on(path: impl IntoPath, condition: impl FnOnce(Path) -> Filter) -> Filter {
    path.into_path().map_or_else(Filter::Invalid, condition)
}

impl Filter {
    /// The field has this value; null is also met by an absent field.
    pub fn eq(path: impl IntoPath, value: impl Into<Value>) -> Filter {
        on(path, |path| Filter::Eq(path, value.into()))
    }

    /// The field does not have this value.
    pub fn ne(path: impl IntoPath, value: impl Into<Value>) -> Filter {
        on(path, |path| Filter::Ne(path, value.into()))
    }

    /// The field is less than this value.
    pub fn lt(path: impl IntoPath, value: impl Into<Value>) -> Filter {
        on(path, |path| Filter::Lt(path, value.into()))
    }

    /// The field is this value or less.
    pub fn le(path: impl IntoPath, value: impl Into<Value>) -> Filter {
        on(path, |path| Filter::Le(path, value.into()))
    }

    /// The field is greater than this value.
    pub fn gt(path: impl IntoPath, value: impl Into<Value>) -> Filter {
        on(path, |path| Filter::Gt(path, value.into()))
    }

    /// The field is this value or greater.
    pub fn ge(path: impl IntoPath, value: impl Into<Value>) -> Filter {
        on(path, |path| Filter::Ge(path, value.into()))
    }

    /// The field has one of these values. O(log n) in their number for each document.
    pub fn is_in<V: Into<Value>>(
        path: impl IntoPath,
        values: impl IntoIterator<Item = V>,
    ) -> Filter {
        on(path, |path| Filter::In(path, values.into_iter().collect()))
    }

    /// The field is there, be it null.
    pub fn exists(path: impl IntoPath) -> Filter {
        on(path, Filter::Exists)
    }

    /// The field is null or absent.
    pub fn is_null(path: impl IntoPath) -> Filter {
        Filter::eq(path, Value::Null)
    }

    /// The field is a string that begins so.
    pub fn prefix(path: impl IntoPath, prefix: impl Into<String>) -> Filter {
        on(path, |path| Filter::Prefix(path, prefix.into()))
    }

    /// The field is an array that has this element.
    pub fn contains(path: impl IntoPath, element: impl Into<Value>) -> Filter {
        on(path, |path| Filter::Contains(path, element.into()))
    }

    /// This and `other`. A chain of these stays flat.
    #[must_use]
    pub fn and(self, other: Filter) -> Filter {
        match (self, other) {
            (Filter::Invalid(error), _) | (_, Filter::Invalid(error)) => Filter::Invalid(error),
            (Filter::All, filter) | (filter, Filter::All) => filter,
            (Filter::And(mut filters), other) => {
                filters.push(other);
                Filter::And(filters)
            }
            (filter, other) => Filter::And(vec![filter, other]),
        }
    }

    /// This or `other`. A chain of these stays flat.
    #[must_use]
    pub fn or(self, other: Filter) -> Filter {
        match (self, other) {
            (Filter::Invalid(error), _) | (_, Filter::Invalid(error)) => Filter::Invalid(error),
            (Filter::All, _) | (_, Filter::All) => Filter::All,
            (Filter::Or(mut filters), other) => {
                filters.push(other);
                Filter::Or(filters)
            }
            (filter, other) => Filter::Or(vec![filter, other]),
        }
    }

    /// Whether the filter can be used on documents.
    ///
    /// # Errors
    /// A text that was no path, unknown metadata, conditions too deep or too many, a list too
    /// long.
    pub fn check(&self) -> Result<(), QueryError> {
        self.check_for(Kind::Documents)
    }

    pub(crate) fn check_for(&self, kind: Kind) -> Result<(), QueryError> {
        self.check_within(kind, 1, &mut 0)
    }

    fn check_within(&self, kind: Kind, depth: usize, count: &mut usize) -> Result<(), QueryError> {
        *count += 1;
        if depth > FILTER_DEPTH_MAX {
            return Err(QueryError::FilterTooDeep);
        }
        if *count > CONDITIONS_MAX {
            return Err(QueryError::TooManyConditions);
        }
        match self {
            Filter::All => Ok(()),
            Filter::Eq(path, _)
            | Filter::Ne(path, _)
            | Filter::Lt(path, _)
            | Filter::Le(path, _)
            | Filter::Gt(path, _)
            | Filter::Ge(path, _)
            | Filter::Exists(path)
            | Filter::Prefix(path, _)
            | Filter::Contains(path, _) => kind.check(path),
            Filter::In(path, values) => match values.0.len() {
                count if count > IN_VALUES_MAX => Err(QueryError::TooManyValues { count }),
                _ => kind.check(path),
            },
            Filter::And(filters) | Filter::Or(filters) => filters
                .iter()
                .try_for_each(|filter| filter.check_within(kind, depth + 1, count)),
            Filter::Not(filter) => filter.check_within(kind, depth + 1, count),
            Filter::Invalid(error) => Err(error.clone()),
        }
    }

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

impl Not for Filter {
    type Output = Filter;

    /// Every document that this one does not let through.
    fn not(self) -> Filter {
        match self {
            Filter::Not(filter) => *filter,
            Filter::Invalid(error) => Filter::Invalid(error),
            filter => Filter::Not(Box::new(filter)),
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

#[cfg(test)]
mod tests {
    use velocitydb_types::{PathError, Timestamp};

    use super::*;
    use crate::testing::documents;

    /// The ids of the documents (numbered from 0) that a filter lets through.
    #[track_caller]
    fn check(fields: &[&str], table: &[(Filter, &[i64])]) {
        let documents = documents(fields);
        for (filter, expected) in table {
            assert_eq!(filter.check(), Ok(()), "{filter:?}");
            let through = documents.iter().filter(|document| filter.matches(document));
            let ids: Vec<_> = through.filter_map(|d| d.id().to_value().as_int()).collect();
            assert_eq!(&ids, expected, "{filter:?}");
        }
    }

    #[test]
    fn a_field_equals_by_exact_value_and_an_absent_one_is_null() {
        let fields = [
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":null}"#,
            r#"{}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":[1]}"#,
        ];
        check(
            &fields,
            &[
                (Filter::eq("a", 1), &[0, 1]),
                (Filter::ne("a", 1), &[2, 3, 4, 5, 6]),
                (Filter::eq("a", 9_007_199_254_740_992.0), &[]),
                (Filter::is_null("a"), &[3, 4]),
                (Filter::ne("a", Value::Null), &[0, 1, 2, 5, 6]),
                (Filter::exists("a"), &[0, 1, 2, 3, 5, 6]),
                (Filter::is_in("a", ["1", "x", "1"]), &[2]),
                (Filter::is_in("a", [Value::Null, 1.into()]), &[0, 1, 3, 4]),
                (Filter::is_in("a", Vec::<Value>::new()), &[]),
                (Filter::eq("a", vec![Value::Int(1)]), &[6]),
                (Filter::contains("a", 1.0), &[6]),
            ],
        );
    }

    #[test]
    fn order_is_within_a_type() {
        let fields = [
            r#"{"a":1}"#,
            r#"{"a":2.5}"#,
            r#"{"a":"2"}"#,
            r#"{"a":null}"#,
            r#"{}"#,
            r#"{"a":true}"#,
        ];
        check(
            &fields,
            &[
                (Filter::lt("a", 2), &[0]),
                (Filter::le("a", 2.5), &[0, 1]),
                (Filter::gt("a", 1), &[1]),
                (Filter::ge("a", 1), &[0, 1]),
                (Filter::lt("a", "3"), &[2]),
                (Filter::ge("a", false), &[5]),
                (Filter::lt("a", Value::Null), &[]),
                (Filter::le("a", Value::Null), &[3, 4]),
                (!Filter::lt("a", 2), &[1, 2, 3, 4, 5]),
            ],
        );
    }

    #[test]
    fn paths_lead_inside_and_text_is_compared_by_bytes() {
        let fields = [
            r#"{"a":{"b":"abc"},"t":["x",1]}"#,
            r#"{"a":{"b":"ab"},"t":[]}"#,
            r#"{"a":{"b":"b"},"t":"x"}"#,
            r#"{"a.b":"abc"}"#,
        ];
        check(
            &fields,
            &[
                (Filter::prefix("a.b", "ab"), &[0, 1]),
                (Filter::prefix("a.b", ""), &[0, 1, 2]),
                (Filter::prefix("a", "ab"), &[]),
                (Filter::prefix("`a.b`", "ab"), &[3]),
                (Filter::eq("t.0", "x"), &[0]),
                (Filter::contains("t", "x"), &[0]),
                (Filter::contains("t", 1), &[0]),
                (Filter::exists("t.1"), &[0]),
            ],
        );
    }

    #[test]
    fn metadata_is_read_like_fields() {
        let documents = documents(&["{}", "{}"]);
        let index = documents[0].meta().index as i64;
        check(
            &["{}", "{}"],
            &[
                (Filter::eq("_id", 1), &[1]),
                (Filter::gt("_id", -1), &[0, 1]),
                (Filter::eq("_version", 1), &[0, 1]),
                (Filter::eq("_index", index), &[0, 1]),
                (Filter::gt("_index", index), &[]),
                (Filter::eq("_created_at", Timestamp(2)), &[0, 1]),
                (Filter::lt("_updated_at", Timestamp(2)), &[]),
                (Filter::exists("_id.0"), &[]),
            ],
        );
    }

    #[test]
    fn and_or_not() {
        let fields = [r#"{"a":1,"b":1}"#, r#"{"a":1,"b":2}"#, r#"{"a":2,"b":2}"#];
        let (a, b) = (Filter::eq("a", 1), Filter::eq("b", 2));
        check(
            &fields,
            &[
                (Filter::All, &[0, 1, 2]),
                (!Filter::All, &[]),
                (a.clone().and(b.clone()), &[1]),
                (a.clone().or(b.clone()), &[0, 1, 2]),
                (!a.clone().and(b.clone()), &[0, 2]),
                (a.clone().and(!b.clone()), &[0]),
                (!!a.clone(), &[0, 1]),
                (a.clone().and(Filter::All), &[0, 1]),
                (a.clone().or(Filter::All), &[0, 1, 2]),
                (Filter::And(vec![]), &[0, 1, 2]),
                (Filter::Or(vec![]), &[]),
            ],
        );
    }

    #[test]
    fn what_is_wrong_stays_wrong_until_it_is_told() {
        let wrong = || Filter::eq("a..b", 1);
        let error = QueryError::Path {
            text: "a..b".into(),
            source: PathError::EmptySegment,
        };
        let fine = || Filter::eq("a", 1);
        for filter in [
            wrong(),
            !wrong(),
            wrong().and(fine()),
            fine().and(wrong()),
            wrong().or(Filter::All),
            Filter::All.or(wrong()),
            Filter::Not(Box::new(wrong())),
            Filter::prefix("a..b", "x"),
        ] {
            assert_eq!(filter.check(), Err(error.clone()));
        }
        assert_eq!(
            fine().and(Filter::exists("_hidden")).check(),
            Err(QueryError::UnknownMetadata {
                path: Path::field("_hidden")
            })
        );
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |depth: usize| {
            (1..depth).fold(Filter::eq("a", 1), |filter, _| {
                Filter::Not(Box::new(filter))
            })
        };
        let document = documents(&[r#"{"a":1}"#]).swap_remove(0);
        assert_eq!(nested(FILTER_DEPTH_MAX).check(), Ok(()));
        assert!(
            !nested(FILTER_DEPTH_MAX).matches(&document),
            "an odd number of nots"
        );
        assert_eq!(
            nested(FILTER_DEPTH_MAX + 1).check(),
            Err(QueryError::FilterTooDeep)
        );
        nested(10_000).matches(&document);

        let chain = |count: i64, join: fn(Filter, Filter) -> Filter| {
            (0..count).map(|n| Filter::eq("a", n)).reduce(join).unwrap()
        };
        for join in [Filter::and, Filter::or] {
            let most = CONDITIONS_MAX as i64 - 1;
            assert_eq!(chain(most, join).check(), Ok(()));
            assert_eq!(
                chain(most + 1, join).check(),
                Err(QueryError::TooManyConditions)
            );
        }
        let count = IN_VALUES_MAX + 1;
        let list = |count: usize| Filter::is_in("a", (0..count).map(|n| n as i64));
        assert_eq!(list(count - 1).check(), Ok(()));
        assert_eq!(
            list(count).check(),
            Err(QueryError::TooManyValues { count })
        );
    }
}
