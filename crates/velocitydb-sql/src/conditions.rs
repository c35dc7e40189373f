//! `WHERE`: what of it the planner below understands, and the rest.
//!
//! A condition on one column that an index could serve becomes a [`Filter`]; what is left is an
//! expression that is evaluated for each document that the filter lets through. A condition is
//! true of a document in both forms alike: null is not true. What stands below a NOT is turned into
//! its opposite first, which null does not meet either ([`Known::not`]).
//!
//! A filter may also say less than its condition: then the condition is left as well
//! ([`Known::is_exact`]). So `LIKE 'abc%'` is a range of an index.

use std::collections::HashMap;

use velocitydb::{IndexDefinition, IndexField};
use velocitydb_query::plan::Remembered;
use velocitydb_query::{ELEMENT, Expression, Filter, Find, IN_VALUES_MAX, Limits, Unsorted};
use velocitydb_types::terms::{TermsOf, json_terms, key_term};
use velocitydb_types::{Path, ScalarType, SqlType, Value, View};

use crate::bound::{Bound, Environment};
use crate::error::SqlError;
use crate::indexed::Terms;
use crate::table::Table;
use crate::words::How;

/// What a statement keeps is bounded by the memory of all queries alone, from which it is taken.
pub const UNLIMITED: Limits = Limits {
    rows_max: usize::MAX,
    bytes_max: usize::MAX,
};

/// What a statement asks of documents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    known: Vec<Known>,
    rest: Vec<Bound>,
    /// What follows from these for expressions that indexes are of: for the planner alone.
    indexed: Vec<Known>,
    /// The plan for other values.
    remembered: Remembered,
}

/// A condition that the planner understands.
#[derive(Debug, Clone)]
enum Known {
    Compare(Operator, Path, Bound),
    /// The column is one of these.
    In(Path, Vec<Bound>),
    /// The column is one of the elements of this array.
    AnyOf(Path, Bound),
    /// The column is none of the elements of this array.
    NoneOf(Path, Bound),
    /// The column is an array with this element.
    Contains(Path, Bound),
    /// What this path stands for are the terms of a jsonb that contains this.
    ContainsJson(Path, Bound),
    /// The column is a text with these words: the query, and what reads it.
    Words(Path, Bound, How),
    /// Or that has this name; or these names: all of them, or any.
    HasNames(Path, Bound, Quantity),
    NotIn(Path, Vec<Bound>),
    /// The column is like this pattern: at least it begins as the pattern does.
    Like(Path, Bound),
    IsNull(Path),
    IsNotNull(Path),
    /// One of these holds.
    Or(Vec<Vec<Known>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantity {
    All,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Operator {
    fn named(name: &str) -> Option<Operator> {
        Some(match name {
            "=" => Operator::Eq,
            "<>" => Operator::Ne,
            "<" => Operator::Lt,
            "<=" => Operator::Le,
            ">" => Operator::Gt,
            ">=" => Operator::Ge,
            _ => return None,
        })
    }

    /// What is true of a value, not null, when this is not.
    fn opposite(self) -> Operator {
        match self {
            Operator::Eq => Operator::Ne,
            Operator::Ne => Operator::Eq,
            Operator::Lt => Operator::Ge,
            Operator::Le => Operator::Gt,
            Operator::Gt => Operator::Le,
            Operator::Ge => Operator::Lt,
        }
    }

    /// The same question with its two sides exchanged.
    fn turned(self) -> Operator {
        match self {
            Operator::Eq | Operator::Ne => self,
            Operator::Lt => Operator::Gt,
            Operator::Le => Operator::Ge,
            Operator::Gt => Operator::Lt,
            Operator::Ge => Operator::Le,
        }
    }

    fn filter(self, path: Path, value: Value) -> Filter {
        match self {
            Operator::Eq => Filter::Eq(path, value),
            // An absent field is not equal to a value, but not true either.
            Operator::Ne => Filter::And(vec![
                Filter::Ne(path.clone(), value),
                Filter::Ne(path, Value::Null),
            ]),
            Operator::Lt => Filter::Lt(path, value),
            Operator::Le => Filter::Le(path, value),
            Operator::Gt => Filter::Gt(path, value),
            Operator::Ge => Filter::Ge(path, value),
        }
    }
}

/// No document.
fn nothing() -> Filter {
    Filter::Or(Vec::new())
}

impl Conditions {
    /// Of a condition on the rows of a table.
    pub(crate) fn new(condition: Option<Bound>, table: &Table) -> Conditions {
        let mut conditions = Conditions::default();
        if let Some(condition) = condition {
            conditions.add(condition, table);
        }
        conditions
    }

    /// Of rows that are no documents: nothing but expressions.
    pub(crate) fn of_rows(condition: Option<Bound>) -> Conditions {
        Conditions {
            rest: condition.into_iter().collect(),
            ..Conditions::default()
        }
    }

    fn add(&mut self, condition: Bound, table: &Table) {
        if let Bound::Apply {
            function,
            arguments,
            ..
        } = &condition
            && function.name() == "and"
        {
            for part in arguments.clone() {
                self.add(part, table);
            }
            return;
        }
        let mut types = HashMap::new();
        if let Some(replaced) = table.indexed.replaced(&condition, &mut types) {
            let columns = |path: &Path| types.get(path).copied().or_else(|| column(table, path));
            self.indexed.extend(Known::of(&replaced, &columns));
        }
        let words = crate::words::of_column(&condition);
        self.indexed
            .extend(words.map(|(path, query, how)| Known::Words(path, query, how)));
        match Known::of(&condition, &|path| column(table, path)) {
            Some(known) => {
                if !known.is_exact() {
                    self.rest.push(condition);
                }
                self.known.push(known);
            }
            None => self.rest.push(condition),
        }
    }

    /// The key of the document that can meet the conditions, when they say so.
    pub(crate) fn key(&self, of: &str) -> Option<&Bound> {
        self.known.iter().find_map(|known| match known {
            Known::Compare(Operator::Eq, path, value)
                if path.first() == of && path.rest().is_empty() =>
            {
                Some(value)
            }
            _ => None,
        })
    }

    /// Whether they are met by one row of a table at most, which its key or a unique index finds.
    pub(crate) fn are_of_one(&self, table: &Table) -> bool {
        let known = |field: &String| self.key(field).is_some();
        let definition = &table.definition;
        let key = definition.primary_key.as_ref();
        if key.is_some_and(|key| key.fields().iter().all(known)) {
            return true;
        }
        definition.indexes.iter().any(|index| {
            let known = |field: &IndexField| self.key(field.path.first()).is_some();
            Conditions::finds_one(index) && index.fields.iter().all(known)
        })
    }

    /// Whether one row at most has the same values of an index's columns.
    pub(crate) fn finds_one(index: &IndexDefinition) -> bool {
        let is_column = |field: &IndexField| field.path.rest().is_empty() && !field.elements;
        index.unique && index.filter.is_none() && index.fields.iter().all(is_column)
    }

    /// Whether they ask nothing.
    pub(crate) fn is_none(&self) -> bool {
        self.known.is_empty() && self.rest.is_empty()
    }

    /// Whether they are others each time that they are asked.
    pub(crate) fn are_volatile(&self) -> bool {
        // What the planner understands is compared with constants.
        self.rest.iter().any(Bound::is_volatile)
    }

    /// What these columns have to be equal to, when that is all that is asked.
    pub(crate) fn only_keys(&self, columns: &[&str]) -> Option<Vec<&Bound>> {
        if self.known.len() != columns.len() || !self.rest.is_empty() {
            return None;
        }
        columns.iter().map(|column| self.key(column)).collect()
    }

    /// Whether they say what the first field of an index is, or the primary key.
    pub(crate) fn have_key_of(&self, table: &Table) -> bool {
        let fields = table.definition.indexes.iter();
        let fields = fields.filter_map(|index| index.fields.first());
        let mut fields = fields.map(|field| field.path.first());
        let primary = table.definition.primary_key.as_ref();
        let primary = primary.and_then(|key| key.fields().first());
        fields.any(|field| self.key(field).is_some())
            || primary.is_some_and(|field| self.key(field).is_some())
    }

    /// The question for documents, for one execution.
    ///
    /// # Errors
    /// When a part that depends on no document has no value.
    pub(crate) fn find(&self, environment: &Environment<'_>) -> Result<Find, SqlError> {
        let filters = self.known.iter().map(|known| known.filter(environment));
        let mut filters = filters.collect::<Result<Vec<_>, _>>()?;
        let filter = match filters.len() {
            0 => Filter::All,
            1 => filters.remove(0),
            _ => Filter::And(filters),
        };
        let mut find = Find::new(filter).limits(UNLIMITED);
        find.unsorted = Unsorted::Habitual;
        find.remembered = Some(self.remembered.clone());
        if !self.indexed.is_empty() {
            let indexed = self.indexed.iter().map(|known| known.filter(environment));
            find.indexed = Filter::And(indexed.collect::<Result<_, _>>()?);
        }
        let rest = self.rest.iter().map(|part| part.lower(environment));
        let mut rest = rest.collect::<Result<Vec<_>, _>>()?;
        find.condition = match rest.len() {
            0 => None,
            1 => Some(rest.remove(0)),
            _ => Some(Expression::call(velocitydb_query::Function::And, rest)),
        };
        Ok(find)
    }
}

/// The type of a table's column, by its path.
fn column(table: &Table, path: &Path) -> Option<SqlType> {
    match path.rest() {
        [] => table.column(path.first()).map(|column| column.sql),
        _ => None,
    }
}

/// That a field has one of these values; null is none.
fn one_of(path: &Path, values: Vec<Value>) -> Filter {
    let values = values.into_iter().filter(|value| !value.is_null());
    let mut values: Vec<_> = values.collect();
    if values.len() <= IN_VALUES_MAX {
        return Filter::In(path.clone(), values.into_iter().collect());
    }
    let mut parts = Vec::new();
    while !values.is_empty() {
        let rest = values.split_off(values.len().min(IN_VALUES_MAX));
        let part = std::mem::replace(&mut values, rest);
        parts.push(Filter::In(path.clone(), part.into_iter().collect()));
    }
    Filter::Or(parts)
}

/// That a field is an array with all of these elements.
fn all_of(path: &Path, terms: Vec<Value>) -> Filter {
    match terms.is_empty() {
        true => Filter::All,
        false => Filter::ContainsAll(path.clone(), terms.into_iter().collect()),
    }
}

/// That a field has none of these values: true of no null, and nothing is when null is among them.
fn none_of(path: &Path, values: Vec<Value>) -> Filter {
    match values.iter().any(Value::is_null) {
        true => nothing(),
        false => Filter::And(vec![
            Filter::Ne(path.clone(), Value::Null),
            Filter::Not(Box::new(one_of(path, values))),
        ]),
    }
}

/// Equalities of one field as a list of its values, which an index serves.
fn values_of(alternatives: &[Filter]) -> Option<Filter> {
    let mut listed: Vec<Value> = Vec::new();
    let mut field: Option<&Path> = None;
    for alternative in alternatives {
        let path = match alternative {
            Filter::Eq(path, value) => {
                listed.push(value.clone());
                path
            }
            Filter::In(path, values) => {
                listed.extend_from_slice(values.as_slice());
                path
            }
            _ => return None,
        };
        if field.is_some_and(|field| field != path) {
            return None;
        }
        field = Some(path);
    }
    (listed.len() <= IN_VALUES_MAX).then_some(())?;
    Some(Filter::In(field?.clone(), listed.into_iter().collect()))
}

/// Whether a comparison of the two types is that of values of any type, so that an index in their
/// order serves it.
fn is_plain(column: SqlType, other: SqlType) -> bool {
    let (SqlType::Scalar(column), SqlType::Scalar(other)) = (column, other) else {
        return false;
    };
    match column {
        // Its blanks at the end do not count; json has no order.
        ScalarType::Char(_) | ScalarType::Json | ScalarType::Jsonb | ScalarType::Point => false,
        _ if column.is_text() => other.is_text() && !matches!(other, ScalarType::Char(_)),
        _ if column.is_number() => other.is_number(),
        // The zone of the session stands between them.
        ScalarType::Date | ScalarType::Timestamp | ScalarType::Timestamptz => column == other,
        _ => column.row().kept == other.row().kept,
    }
}

impl Known {
    fn of(condition: &Bound, columns: &dyn Fn(&Path) -> Option<SqlType>) -> Option<Known> {
        let Bound::Apply {
            function,
            arguments,
            types,
            volatile: false,
        } = condition
        else {
            // A column that is true.
            let Bound::Column(path) = condition else {
                return None;
            };
            let value = Bound::Constant(true.into());
            return Some(Known::Compare(Operator::Eq, path.clone(), value));
        };
        // Whether the column is compared as it is with values as they are.
        let plain = |path: &Path| {
            let column = columns(path)?;
            let is_plain = |other: &SqlType| match (*other, types.len()) {
                (SqlType::Array(element), 2) => is_plain(column, element.into()),
                (other, _) => is_plain(column, other),
            };
            types.iter().all(is_plain).then_some(())
        };
        match (function.name(), &arguments[..]) {
            ("or", parts) => {
                let alternative = |part: &Bound| match part {
                    Bound::Apply {
                        function,
                        arguments,
                        ..
                    } if function.name() == "and" => arguments
                        .iter()
                        .map(|part| Known::of(part, columns))
                        .collect(),
                    part => Known::of(part, columns).map(|known| vec![known]),
                };
                parts
                    .iter()
                    .map(alternative)
                    .collect::<Option<_>>()
                    .map(Known::Or)
            }
            ("not", [inner]) => Known::of_opposite(inner, columns),
            ("is null", [Bound::Column(path)]) => Some(Known::IsNull(path.clone())),
            ("is not null", [Bound::Column(path)]) => Some(Known::IsNotNull(path.clone())),
            ("between", [Bound::Column(path), low, high])
                if low.is_constant() && high.is_constant() && plain(path).is_some() =>
            {
                let of =
                    |operator, bound: &Bound| Known::Compare(operator, path.clone(), bound.clone());
                Some(Known::Or(vec![vec![
                    of(Operator::Ge, low),
                    of(Operator::Le, high),
                ]]))
            }
            ("not between", [Bound::Column(path), low, high])
                if low.is_constant() && high.is_constant() && plain(path).is_some() =>
            {
                let of =
                    |operator, bound: &Bound| Known::Compare(operator, path.clone(), bound.clone());
                let (low, high) = (of(Operator::Lt, low), of(Operator::Gt, high));
                Some(Known::Or(vec![vec![low], vec![high]]))
            }
            ("not in", [Bound::Column(path), list @ ..])
                if list.iter().all(Bound::is_constant) && plain(path).is_some() =>
            {
                Some(Known::NotIn(path.clone(), list.to_vec()))
            }
            ("~~", [Bound::Column(path), pattern])
                if pattern.is_constant() && plain(path).is_some() =>
            {
                Some(Known::Like(path.clone(), pattern.clone()))
            }
            // An array without elements has no length.
            (
                "is null",
                [
                    Bound::Apply {
                        function,
                        arguments,
                        ..
                    },
                ],
            ) if function.name() == "array_length" => {
                let [Bound::Column(path), Bound::Constant(Value::Int(1))] = &arguments[..] else {
                    return None;
                };
                let empty = Bound::Constant(Value::Array(Vec::new()));
                Some(Known::Or(vec![
                    vec![Known::IsNull(path.clone())],
                    vec![Known::Compare(Operator::Eq, path.clone(), empty)],
                ]))
            }
            ("in", [Bound::Column(path), list @ ..])
                if list.iter().all(Bound::is_constant) && plain(path).is_some() =>
            {
                Some(Known::In(path.clone(), list.to_vec()))
            }
            ("= any", [Bound::Column(path), array])
                if array.is_constant() && plain(path).is_some() =>
            {
                Some(Known::AnyOf(path.clone(), array.clone()))
            }
            ("<> all", [Bound::Column(path), array])
                if array.is_constant() && plain(path).is_some() =>
            {
                Some(Known::NoneOf(path.clone(), array.clone()))
            }
            ("= any", [value, Bound::Column(path)]) if value.is_constant() => {
                match columns(path)? {
                    SqlType::Array(element) if is_plain(element.into(), types[0]) => {
                        Some(Known::Contains(path.clone(), value.clone()))
                    }
                    _ => None,
                }
            }
            ("@>", [Bound::Column(path), value]) | ("<@", [value, Bound::Column(path)])
                if Terms::of(path).is_some() && value.is_constant() =>
            {
                Some(Known::ContainsJson(path.clone(), value.clone()))
            }
            (name @ ("?" | "?&" | "?|"), [Bound::Column(path), names])
                if Terms::of(path) == Some(Terms::Keys) && names.is_constant() =>
            {
                let quantity = match name {
                    "?|" => Quantity::Any,
                    _ => Quantity::All,
                };
                Some(Known::HasNames(path.clone(), names.clone(), quantity))
            }
            (name, [one, other]) => {
                let operator = Operator::named(name)?;
                let (path, value, operator) = match (one, other) {
                    (Bound::Column(path), value) => (path, value, operator),
                    (value, Bound::Column(path)) => (path, value, operator.turned()),
                    _ => return None,
                };
                let are_arrays = || match (columns(path)?, &types[..]) {
                    (SqlType::Array(of), [SqlType::Array(one), SqlType::Array(other)]) => {
                        let is_plain = |other: &ScalarType| is_plain(of.into(), (*other).into());
                        let is_equality = matches!(operator, Operator::Eq | Operator::Ne);
                        (is_equality && is_plain(one) && is_plain(other)).then_some(())
                    }
                    _ => None,
                };
                plain(path).or_else(are_arrays)?;
                let known = || Known::Compare(operator, path.clone(), value.clone());
                value.is_constant().then(known)
            }
            _ => None,
        }
    }

    /// What is true exactly where a condition is false.
    fn of_opposite(condition: &Bound, columns: &dyn Fn(&Path) -> Option<SqlType>) -> Option<Known> {
        let parts = |parts: &[Bound]| {
            let parts = parts.iter().map(|part| Known::of_opposite(part, columns));
            parts.collect::<Option<Vec<_>>>()
        };
        match condition {
            Bound::Apply {
                function,
                arguments,
                volatile: false,
                ..
            } if function.name() == "or" => Some(Known::Or(vec![parts(arguments)?])),
            Bound::Apply {
                function,
                arguments,
                volatile: false,
                ..
            } if function.name() == "and" => {
                let parts = parts(arguments)?.into_iter().map(|part| vec![part]);
                Some(Known::Or(parts.collect()))
            }
            condition => Known::of(condition, columns)?.not(),
        }
    }

    /// What is true exactly where this is false: neither is true of null.
    fn not(self) -> Option<Known> {
        Some(match self {
            Known::Compare(operator, path, value) => {
                Known::Compare(operator.opposite(), path, value)
            }
            Known::In(path, list) => Known::NotIn(path, list),
            Known::NotIn(path, list) => Known::In(path, list),
            Known::IsNull(path) => Known::IsNotNull(path),
            Known::IsNotNull(path) => Known::IsNull(path),
            Known::Or(alternatives) => {
                // Not (a and b, or c) is (not a, or not b) and not c.
                let all = alternatives.into_iter().map(|all| {
                    let all = all.into_iter().map(|known| Some(vec![known.not()?]));
                    all.collect::<Option<Vec<_>>>().map(Known::Or)
                });
                Known::Or(vec![all.collect::<Option<_>>()?])
            }
            Known::AnyOf(..)
            | Known::NoneOf(..)
            | Known::Contains(..)
            | Known::ContainsJson(..)
            | Known::HasNames(..)
            | Known::Words(..)
            | Known::Like(..) => return None,
        })
    }

    /// Whether the filter says all that the condition does.
    fn is_exact(&self) -> bool {
        match self {
            Known::Like(..) => false,
            Known::Or(alternatives) => alternatives.iter().flatten().all(Known::is_exact),
            _ => true,
        }
    }

    fn filter(&self, environment: &Environment<'_>) -> Result<Filter, SqlError> {
        Ok(match self {
            Known::Compare(operator, path, value) => match value.value(environment)? {
                Value::Null => nothing(),
                value => operator.filter(path.clone(), value),
            },
            Known::In(path, values) => {
                let values = values.iter().map(|value| value.value(environment));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                one_of(path, values)
            }
            Known::NotIn(path, values) => {
                let values = values.iter().map(|value| value.value(environment));
                none_of(path, values.collect::<Result<Vec<_>, _>>()?)
            }
            Known::NoneOf(path, array) => match array.value(environment)? {
                // Of no values nothing is one, not even null.
                Value::Array(values) if values.is_empty() => Filter::All,
                Value::Array(values) => none_of(path, values),
                _ => nothing(),
            },
            Known::Like(path, pattern) => match pattern.value(environment)? {
                Value::String(pattern) => match pattern.find(['%', '_', '\\']) {
                    Some(end) => Filter::Prefix(path.clone(), pattern[..end].to_owned()),
                    None => Filter::Eq(path.clone(), pattern.into()),
                },
                _ => nothing(),
            },
            Known::AnyOf(path, array) => match array.value(environment)? {
                Value::Array(values) => one_of(path, values),
                _ => nothing(),
            },
            Known::Contains(path, value) => match value.value(environment)? {
                Value::Null => nothing(),
                value => Filter::Contains(path.clone(), value),
            },
            Known::ContainsJson(path, value) => match value.value(environment)? {
                Value::Null => nothing(),
                value => {
                    let of = match Terms::of(path) {
                        Some(Terms::Paths) => TermsOf::Paths,
                        _ => TermsOf::Keys,
                    };
                    all_of(path, json_terms(View::from(&value), of))
                }
            },
            Known::Words(path, query, how) => match query.value(environment)? {
                Value::String(query) => how.filter(path, &query)?,
                _ => nothing(),
            },
            Known::HasNames(path, names, quantity) => {
                let names = match names.value(environment)? {
                    Value::Null => return Ok(nothing()),
                    Value::Array(names) => names,
                    name => vec![name],
                };
                let terms = names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(key_term)
                    .collect();
                match quantity {
                    Quantity::All => all_of(path, terms),
                    Quantity::Any => {
                        let any = Filter::In(Path::field(ELEMENT), terms.into_iter().collect());
                        Filter::ElemMatch(path.clone(), Box::new(any))
                    }
                }
            }
            Known::IsNull(path) => Filter::Eq(path.clone(), Value::Null),
            Known::IsNotNull(path) => Filter::Ne(path.clone(), Value::Null),
            Known::Or(alternatives) => {
                let all = |all: &Vec<Known>| {
                    let all = all.iter().map(|known| known.filter(environment));
                    all.collect::<Result<Vec<_>, _>>()
                        .map(|mut all| match all.len() {
                            1 => all.remove(0),
                            _ => Filter::And(all),
                        })
                };
                let alternatives = alternatives.iter().map(all);
                let mut alternatives = alternatives.collect::<Result<Vec<_>, _>>()?;
                match alternatives.len() {
                    1 => alternatives.remove(0),
                    _ => values_of(&alternatives).unwrap_or(Filter::Or(alternatives)),
                }
            }
        })
    }
}
