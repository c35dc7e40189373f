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
//! value; an array is compared as a whole, and [`Filter::Contains`], [`Filter::ContainsAll`] and
//! [`Filter::ElemMatch`] look at its elements.
//!
//! Invariant: constructors keep the first error and [`Filter::check`] tells it, with the bounds on
//! depth and number; every query checks its filter before it begins. Does not know indexes.
//! Files: `holds` judges rows, `typed` knows declared types, `regex`, `types`, `area` and `text` are what conditions are made of; the JSON form is
//! in `language`. Tests: `filter/tests.rs`; laws, and a plain evaluator to compare with, in
//! `proptests`.

mod area;
mod holds;
mod regex;
#[cfg(test)]
mod tests;
#[cfg_attr(not(feature = "full-text"), path = "text_absent.rs")]
mod text;
mod typed;
mod types;

use std::ops::Not;

use velocitydb_types::{Path, Point, Value, View, compare};

use crate::error::QueryError;
use crate::path::IntoPath;
use crate::row::Kind;

pub use area::Area;
pub use regex::{REGEX_BYTES_MAX, Regex};
pub use text::Text;
pub use typed::TypeOf;
pub use types::{VALUE_TYPES, ValueType};

/// How deep conditions may nest.
pub const FILTER_DEPTH_MAX: usize = 128;

/// How many conditions a filter may have, counting each and, or and not.
pub const CONDITIONS_MAX: usize = 10_000;

/// How many values the list of an [`Filter::In`] may have.
pub const IN_VALUES_MAX: usize = 100_000;

/// How many regular expressions a filter may have.
pub const REGEXES_MAX: usize = 16;

/// How many conditions on texts a filter may have.
pub const TEXTS_MAX: usize = 16;

/// In the conditions of a [`Filter::ElemMatch`], the path of the element itself. A path that begins
/// with it goes on inside the element, so that a field of this very name is `$.$`.
pub const ELEMENT: &str = "$";

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
    /// The field is an array that has all of these elements.
    ContainsAll(Path, Values),
    /// The field is an array, and one of its elements meets this condition, whose paths begin at
    /// the element; [`ELEMENT`] is the element itself.
    ElemMatch(Path, Box<Filter>),
    /// The field is an array of so many elements.
    Size(Path, usize),
    /// The field is of one of these types. An absent field is of none.
    Type(Path, Vec<ValueType>),
    /// The field is a string in which this regular expression matches.
    Regex(Path, Regex),
    /// The field is a point in this area.
    Within(Path, Area),
    /// The field is a string, or an array of strings, that has these words.
    Text(Path, Text),
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
        self.position(value).is_some()
    }

    fn position(&self, value: &View<'_>) -> Option<usize> {
        let order = |listed: &Value| compare(listed, value.clone());
        self.0.binary_search_by(order).ok()
    }

    /// Whether each of these is among the elements: each element is looked up once, so that the
    /// time is not that of all pairs.
    fn all_among<'v>(&self, elements: impl Iterator<Item = View<'v>>) -> bool {
        let (mut found, mut missing) = (vec![false; self.0.len()], self.0.len());
        for element in elements {
            if missing == 0 {
                break;
            }
            if let Some(position) = self.position(&element)
                && !std::mem::replace(&mut found[position], true)
            {
                missing -= 1;
            }
        }
        missing == 0
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

/// A condition of an area, or why there is none.
fn within(path: impl IntoPath, area: Result<Area, QueryError>) -> Filter {
    match area {
        Ok(area) => on(path, |path| Filter::Within(path, area)),
        Err(error) => Filter::Invalid(error),
    }
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

    /// The field is an array that has all of these elements.
    pub fn contains_all<V: Into<Value>>(
        path: impl IntoPath,
        elements: impl IntoIterator<Item = V>,
    ) -> Filter {
        on(path, |path| {
            Filter::ContainsAll(path, elements.into_iter().collect())
        })
    }

    /// The field is an array, and one of its elements meets this condition.
    ///
    /// ```text
    ///   Filter::elem_match("items", Filter::eq("sku", "a1").and(Filter::gt("count", 2)))
    ///   Filter::elem_match("scores", Filter::ge(ELEMENT, 80).and(Filter::lt(ELEMENT, 90)))
    /// ```
    pub fn elem_match(path: impl IntoPath, condition: Filter) -> Filter {
        match condition {
            Filter::Invalid(error) => Filter::Invalid(error),
            condition => on(path, |path| Filter::ElemMatch(path, Box::new(condition))),
        }
    }

    /// The field is an array of so many elements.
    pub fn size(path: impl IntoPath, elements: usize) -> Filter {
        on(path, |path| Filter::Size(path, elements))
    }

    /// The field is of one of these types.
    pub fn is_type(path: impl IntoPath, types: impl IntoIterator<Item = ValueType>) -> Filter {
        on(path, |path| Filter::Type(path, types.into_iter().collect()))
    }

    /// The field is a string in which a regular expression matches: anywhere, unless the
    /// expression says where (`^`, `$`).
    pub fn regex(path: impl IntoPath, pattern: &str) -> Filter {
        Filter::regex_with(path, pattern, "")
    }

    /// As [`Filter::regex`], with options: `i` for any case, `m` for `^` and `$` at lines, `s` for
    /// `.` at ends of lines, `x` for a pattern with blanks and comments.
    pub fn regex_with(path: impl IntoPath, pattern: &str, options: &str) -> Filter {
        match Regex::new(pattern, options) {
            Ok(regex) => on(path, |path| Filter::Regex(path, regex)),
            Err(error) => Filter::Invalid(error),
        }
    }

    /// The field is a string, or an array of strings, that has these words; as in a search:
    /// `fox "quick brown" jump* lazi~ -cat`. Words are those of a language, reduced to their stems,
    /// without its stop words; of none, `simple`, they are as they are.
    ///
    /// ```text
    ///   Filter::text("description", "running shoes", Language::English)
    /// ```
    #[cfg(feature = "full-text")]
    pub fn text(
        path: impl IntoPath,
        words: &str,
        language: velocitydb_engine::text::Language,
    ) -> Filter {
        match Text::new(words, language, velocitydb_engine::text::Require::All) {
            Ok(text) => on(path, |path| Filter::Text(path, text)),
            Err(error) => Filter::Invalid(error),
        }
    }

    /// The field is a point no farther than so many metres from a centre.
    pub fn within_radius(path: impl IntoPath, center: Point, radius_m: f64) -> Filter {
        within(path, Area::circle(center, radius_m))
    }

    /// The field is a point in the box from its south-west to its north-east corner. Where the
    /// first corner is east of the second, the box crosses the antimeridian.
    pub fn within_box(path: impl IntoPath, south_west: Point, north_east: Point) -> Filter {
        within(path, Area::rectangle(south_west, north_east))
    }

    /// The field is a point in a polygon: an outer ring, then holes, as in GeoJSON.
    pub fn within_polygon(path: impl IntoPath, rings: Vec<Vec<Point>>) -> Filter {
        within(path, Area::polygon(rings))
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

    /// How many conditions on texts there are: each takes time in proportion to a text.
    pub fn texts(&self) -> usize {
        match self {
            Filter::Text(..) => 1,
            Filter::And(filters) | Filter::Or(filters) => filters.iter().map(Filter::texts).sum(),
            Filter::Not(filter) | Filter::ElemMatch(_, filter) => filter.texts(),
            _ => 0,
        }
    }

    pub(crate) fn check_for(&self, kind: Kind) -> Result<(), QueryError> {
        self.check_within(kind, 1, &mut Counts::default())
    }

    fn check_within(
        &self,
        kind: Kind,
        depth: usize,
        counts: &mut Counts,
    ) -> Result<(), QueryError> {
        counts.conditions += 1;
        if depth > FILTER_DEPTH_MAX {
            return Err(QueryError::FilterTooDeep);
        }
        if counts.conditions > CONDITIONS_MAX {
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
            | Filter::Contains(path, _)
            | Filter::Size(path, _)
            | Filter::Type(path, _)
            | Filter::Within(path, _) => kind.check(path),
            Filter::In(path, values) | Filter::ContainsAll(path, values) => match values.0.len() {
                count if count > IN_VALUES_MAX => Err(QueryError::TooManyValues { count }),
                _ => kind.check(path),
            },
            Filter::Regex(path, _) => {
                counts.regexes += 1;
                if counts.regexes > REGEXES_MAX {
                    return Err(QueryError::TooManyRegexes);
                }
                kind.check(path)
            }
            Filter::Text(path, _) => {
                counts.texts += 1;
                if counts.texts > TEXTS_MAX {
                    return Err(QueryError::TooManyTexts);
                }
                kind.check(path)
            }
            Filter::ElemMatch(path, condition) => {
                kind.check(path)?;
                condition.check_within(Kind::Rows, depth + 1, counts)
            }
            Filter::And(filters) | Filter::Or(filters) => filters
                .iter()
                .try_for_each(|filter| filter.check_within(kind, depth + 1, counts)),
            Filter::Not(filter) => filter.check_within(kind, depth + 1, counts),
            Filter::Invalid(error) => Err(error.clone()),
        }
    }
}

/// What has been counted of a filter so far.
#[derive(Default)]
struct Counts {
    conditions: usize,
    regexes: usize,
    texts: usize,
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
