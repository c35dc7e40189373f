//! Which of its type's values a field may have.
//!
//! [`Constraints`] are what is declared; a schema turns them into [`Rule`]s when it is made,
//! refuses what makes no sense, and asks only the rules from then on. Null breaks no constraint.
//! Tests: `schema/laws.rs` (a plain model), `testscripts` (messages).

use std::cmp::Ordering;

use serde::Serialize;

use super::Field;
use super::error::{SchemaError, named, shortened, shown};
use super::misfit::{is_narrower, misfit};
use crate::coerce::coerce;
use crate::encoding::encode_value;
use crate::expression::length;
use crate::pattern::Pattern;
use crate::raw::RawValue;
use crate::view::View;
use crate::{FieldType, SqlType, Value, compare};

/// Values that a `one_of` may list.
pub const ONE_OF_MAX: usize = 1000;

/// Which of its type's values a field may have; each part may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Constraints {
    /// The least value. For numbers, strings, times and dates, in the one order of values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Value>,
    /// A value that all must be greater than.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive_minimum: Option<Value>,
    /// The greatest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Value>,
    /// A value that all must be less than.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclusive_maximum: Option<Value>,
    /// The least length: characters of a string, bytes of bytes, elements of an array or map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// The greatest length.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// A regular expression that must match somewhere in a string (see [`crate::pattern`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// All the values there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Value>>,
}

/// One constraint, ready to be asked.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    Bound(Bound, Value),
    MinLength(u64),
    MaxLength(u64),
    Pattern(Pattern),
    /// In order.
    OneOf(Vec<Value>),
    /// The bounds of an SQL type.
    Sql(SqlType),
}

/// On which side of a value others must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Minimum,
    ExclusiveMinimum,
    Maximum,
    ExclusiveMaximum,
}

impl Bound {
    fn name(self) -> &'static str {
        match self {
            Self::Minimum => "minimum",
            Self::ExclusiveMinimum => "exclusive_minimum",
            Self::Maximum => "maximum",
            Self::ExclusiveMaximum => "exclusive_maximum",
        }
    }

    /// Whether a value that compares so with the bound is on the right side.
    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Minimum => order.is_ge(),
            Self::ExclusiveMinimum => order.is_gt(),
            Self::Maximum => order.is_le(),
            Self::ExclusiveMaximum => order.is_lt(),
        }
    }
}

impl Rule {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Bound(bound, _) => bound.name(),
            Self::MinLength(_) => "min_length",
            Self::MaxLength(_) => "max_length",
            Self::Pattern(_) => "pattern",
            Self::OneOf(_) => "one_of",
            Self::Sql(_) => "sql_type",
        }
    }

    /// Whether a value that is of the field's type and not null keeps to it.
    pub(super) fn allows(&self, value: RawValue<'_>) -> bool {
        let length = || length(View::from(value)).unwrap_or(0) as u64;
        match self {
            Self::Bound(bound, limit) => bound.allows(compare(value, limit)),
            Self::MinLength(least) => length() >= *least,
            Self::MaxLength(most) => length() <= *most,
            Self::Pattern(pattern) => value.as_str().is_some_and(|text| pattern.matches(text)),
            Self::OneOf(values) => values
                .binary_search_by(|listed| compare(listed, value))
                .is_ok(),
            Self::Sql(sql) => misfit(*sql, value).is_none(),
        }
    }

    /// What it says, for a message.
    fn limit(&self) -> String {
        match self {
            Self::Bound(_, value) => shortened(value.to_json(), 50),
            Self::MinLength(length) | Self::MaxLength(length) => length.to_string(),
            Self::Pattern(pattern) => shortened(format!("\"{}\"", pattern.text()), 100),
            Self::OneOf(values) => {
                let listed: Vec<_> = values.iter().map(Value::to_json).collect();
                shortened(listed.join(", "), 100)
            }
            Self::Sql(sql) => sql.to_string(),
        }
    }

    /// The error about a value that breaks it.
    pub(super) fn error(&self, field: &str, value: RawValue<'_>) -> SchemaError {
        let mut found = shown(&value.to_value());
        if let (Self::MinLength(_) | Self::MaxLength(_), Some(length)) =
            (self, length(View::from(value)))
        {
            found = format!("{length}: {found}");
        }
        if let Self::Sql(sql) = *self
            && let Some(misfit) = misfit(sql, value)
        {
            return SchemaError::Misfit {
                field: field.to_owned(),
                sql,
                misfit,
                found,
            };
        }
        SchemaError::Constraint {
            field: field.to_owned(),
            rule: self.name(),
            limit: self.limit(),
            found,
        }
    }
}

/// Turns a field's constraints into rules; their values become the field's type, as documents'
/// values do.
///
/// # Errors
/// Constraints that the type does not have, that no value can keep to, or that contradict each
/// other.
pub(super) fn compile(field: &mut Field) -> Result<Vec<Rule>, SchemaError> {
    let (name, kind) = (&field.name, field.kind);
    let bad = |rule, reason| SchemaError::BadField {
        field: name.clone(),
        rule,
        reason,
    };
    let constraints = &mut field.constraints;
    let mut rules = Vec::new();
    rules.extend(field.sql.filter(|sql| is_narrower(*sql)).map(Rule::Sql));
    for (bound, limit) in [
        (Bound::Minimum, &mut constraints.minimum),
        (Bound::ExclusiveMinimum, &mut constraints.exclusive_minimum),
        (Bound::Maximum, &mut constraints.maximum),
        (Bound::ExclusiveMaximum, &mut constraints.exclusive_maximum),
    ] {
        let Some(limit) = limit else { continue };
        let rule = bound.name();
        kind_is(kind, BOUNDED).map_err(|reason| bad(rule, reason))?;
        fit(kind, limit).map_err(|reason| bad(rule, reason))?;
        rules.push(Rule::Bound(bound, limit.clone()));
    }
    for rule in [
        constraints.min_length.map(Rule::MinLength),
        constraints.max_length.map(Rule::MaxLength),
    ] {
        let Some(rule) = rule else { continue };
        kind_is(kind, MEASURED).map_err(|reason| bad(rule.name(), reason))?;
        rules.push(rule);
    }
    if let Some(text) = &constraints.pattern {
        let compiled = kind_is(kind, &[FieldType::String]).and_then(|()| {
            let said = |error| format!("\"{}\": {error}", shortened(text.clone(), 50));
            Pattern::regular(text).map_err(said)
        });
        rules.push(
            compiled
                .map(Rule::Pattern)
                .map_err(|reason| bad("pattern", reason))?,
        );
    }
    contradiction(&rules).map_err(|(rule, reason)| bad(rule, reason))?;
    if let Some(values) = &mut constraints.one_of {
        let one_of = one_of(kind, values, &rules).map_err(|reason| bad("one_of", reason))?;
        rules.push(one_of);
    }
    Ok(rules)
}

/// Types whose values have a least and a greatest.
const BOUNDED: &[FieldType] = &[
    FieldType::Int,
    FieldType::Float,
    FieldType::Decimal,
    FieldType::String,
    FieldType::Time,
    FieldType::Date,
    FieldType::Interval,
];

/// Types whose values have a length.
const MEASURED: &[FieldType] = &[
    FieldType::String,
    FieldType::Bytes,
    FieldType::Array,
    FieldType::Map,
];

fn kind_is(kind: FieldType, allowed: &[FieldType]) -> Result<(), String> {
    if allowed.contains(&kind) {
        return Ok(());
    }
    let names: Vec<_> = allowed.iter().map(|kind| kind.name()).collect();
    Err(format!(
        "only for a field of type {}, and this is {kind}",
        names.join(", ")
    ))
}

/// Turns a value of a constraint into the field's type. It must be one that comes back from
/// JSON as it is, since that is how a definition is kept.
fn fit(kind: FieldType, value: &mut Value) -> Result<(), String> {
    *value = coerce(kind, std::mem::take(value));
    let encoded = encode_value(value).map_err(|error| error.to_string())?;
    if value.is_null() {
        return Err("null has no place here: a field may be null unless it is required".to_owned());
    }
    if !kind.accepts(RawValue::trusted(&encoded)) {
        return Err(format!("expected {}, got {}", named(kind), shown(value)));
    }
    let kept = Value::from_json(&value.to_json()).map(|kept| encode_value(&coerce(kind, kept)));
    match kept {
        Ok(Ok(kept)) if kept == encoded => Ok(()),
        _ => Err(format!(
            "{} cannot be told from other values in JSON where the field is {kind}",
            shown(value)
        )),
    }
}

/// Two rules that no value can keep to at once: the one to blame, and why.
fn contradiction(rules: &[Rule]) -> Result<(), (&'static str, String)> {
    for low in rules {
        for high in rules {
            let contradict = match (low, high) {
                (
                    Rule::Bound(below @ (Bound::Minimum | Bound::ExclusiveMinimum), least),
                    Rule::Bound(above @ (Bound::Maximum | Bound::ExclusiveMaximum), most),
                ) => {
                    let order = compare(least, most);
                    !(below.allows(order.reverse()) && above.allows(order))
                }
                (Rule::MinLength(least), Rule::MaxLength(most)) => least > most,
                _ => false,
            };
            if contradict {
                let reason = format!(
                    "{} leaves no value: {} is {}",
                    low.limit(),
                    high.name(),
                    high.limit()
                );
                return Err((low.name(), reason));
            }
        }
    }
    Ok(())
}

/// The rule of a list, whose values keep to the other rules.
fn one_of(kind: FieldType, values: &mut [Value], rules: &[Rule]) -> Result<Rule, String> {
    if values.is_empty() || values.len() > ONE_OF_MAX {
        let count = values.len();
        return Err(format!("{count} values: there must be 1 to {ONE_OF_MAX}"));
    }
    for value in values.iter_mut() {
        fit(kind, value)?;
        let encoded = encode_value(value).map_err(|error| error.to_string())?;
        let broken = rules
            .iter()
            .find(|rule| !rule.allows(RawValue::trusted(&encoded)));
        if let Some(rule) = broken {
            let (name, limit) = (rule.name(), rule.limit());
            return Err(format!("{} can never be: {name} is {limit}", shown(value)));
        }
    }
    let mut sorted = values.to_vec();
    sorted.sort();
    Ok(Rule::OneOf(sorted))
}
