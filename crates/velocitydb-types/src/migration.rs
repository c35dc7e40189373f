//! Documents written under one schema, made to fit the next.
//!
//! A migration is the new schema and what it cannot say by itself: which declared fields have
//! another name now, and which go with their values. The rest follows from the two schemas: a
//! field that is new gets its default, a value of another type is converted, and everything must
//! fit in the end. It depends on nothing but the document and the moment, so that every node and
//! every replay makes the same of it.
//!
//! Conversions lose nothing that matters: any value becomes a string; numbers become other
//! numbers of the same value; a string becomes what it says; a date its midnight (UTC), a time
//! its day. Tests: below.

use std::collections::{BTreeMap, BTreeSet};

use crate::coerce::coerce;
use crate::schema::{DefaultValue, Schema, SchemaError};
use crate::update::rewrite;
use crate::{DOCUMENT_BYTES_MAX, Decimal, ErrorClass, FieldType, Fields, RawMap, Timestamp, Value};

/// See the module.
#[derive(Debug, Clone)]
pub struct Migration<'a> {
    to: &'a Schema,
    /// Old name by new name.
    renamed: BTreeMap<&'a str, &'a str>,
    dropped: BTreeSet<&'a str>,
    /// Declared fields that the old schema did not declare under any name.
    added: BTreeSet<&'a str>,
}

/// Why a document, or all of them, cannot be brought to a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// A field to be renamed or dropped is not declared.
    #[error("field {0:?}: the present schema does not declare it")]
    NotDeclared(String),
    /// A field is renamed to one that the new schema does not declare, or dropped and declared.
    #[error("field {0:?}: the new schema must {not}declare it", not = if *.1 { "" } else { "not " })]
    Declared(String, bool),
    /// A field is renamed twice, or two to one.
    #[error("field {0:?} is named twice")]
    Twice(String),
    /// The document has a field of the new name already.
    #[error("field {from:?} cannot become {to:?}: the document has both")]
    Both {
        /// The old name.
        from: String,
        /// The new name.
        to: String,
    },
    /// It does not fit the new schema.
    #[error(transparent)]
    Misfit(#[from] SchemaError),
}

impl MigrationError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Misfit(error) => error.class(),
            _ => ErrorClass::Invalid,
        }
    }
}

impl<'a> Migration<'a> {
    /// From one schema to the next.
    ///
    /// # Errors
    /// Renames and drops that do not fit the two schemas.
    pub fn new(
        from: &Schema,
        to: &'a Schema,
        renamed: &'a BTreeMap<String, String>,
        dropped: &'a [String],
    ) -> Result<Self, MigrationError> {
        let declared = |schema: &Schema, name: &str| schema.field(name).is_some();
        let mut sources = BTreeSet::new();
        for (old, new) in renamed {
            if !declared(from, old) {
                return Err(MigrationError::NotDeclared(old.clone()));
            }
            if !declared(to, new) {
                return Err(MigrationError::Declared(new.clone(), true));
            }
            if declared(from, new) && !renamed.contains_key(new) && !dropped.contains(new) {
                return Err(MigrationError::Twice(new.clone()));
            }
            sources.insert(old.as_str());
        }
        let by_new: BTreeMap<_, _> = renamed
            .iter()
            .map(|(old, new)| (new.as_str(), old.as_str()))
            .collect();
        if by_new.len() < renamed.len() {
            let twice = renamed.values().find(|new| {
                let same = renamed.values().filter(|other| other == new);
                same.count() > 1
            });
            return Err(MigrationError::Twice(twice.cloned().unwrap_or_default()));
        }
        for name in dropped {
            if !declared(from, name) {
                return Err(MigrationError::NotDeclared(name.clone()));
            }
            if sources.contains(name.as_str()) {
                return Err(MigrationError::Twice(name.clone()));
            }
            if declared(to, name) && !by_new.contains_key(name.as_str()) {
                return Err(MigrationError::Declared(name.clone(), false));
            }
        }
        let added = to.fields().iter().map(|field| field.name.as_str());
        let added = added.filter(|name| !declared(from, name) && !by_new.contains_key(name));
        Ok(Self {
            to,
            added: added.collect(),
            renamed: by_new,
            dropped: dropped.iter().map(String::as_str).collect(),
        })
    }

    /// The fields that a document has under the new schema; `None` when they are the same.
    ///
    /// # Errors
    /// When it cannot be made to fit.
    pub fn apply(&self, map: RawMap<'_>, now: Timestamp) -> Result<Option<Fields>, MigrationError> {
        let mut changed: BTreeMap<&str, Option<Value>> = BTreeMap::new();
        // Names that go; what comes under the same name is put in afterwards.
        for &name in self.dropped.iter().chain(self.renamed.values()) {
            if map.get(name).is_some() {
                changed.insert(name, None);
            }
        }
        for field in self.to.fields() {
            let name = field.name.as_str();
            let old = self.renamed.get(name).copied();
            let value = match (old, map.get(old.unwrap_or(name))) {
                (Some(from), Some(_)) if map.get(name).is_some() && !changed.contains_key(name) => {
                    return Err(MigrationError::Both {
                        from: from.to_owned(),
                        to: name.to_owned(),
                    });
                }
                (_, Some(value)) if value.is_null() || field.takes(value) => {
                    old.map(|_| value.to_value())
                }
                (_, Some(value)) => Some(field.coerce(convert(field.kind, value.to_value()))),
                // A new id for each document is chance, which a migration has none of.
                (_, None) if field.default == Some(DefaultValue::Uuid) => None,
                (_, None) if self.added.contains(name) => {
                    field.default_value(now, &mut || unreachable!("no default is a new id"))
                }
                (_, None) => None,
            };
            if let Some(value) = value {
                changed.insert(name, Some(value));
            }
        }
        if changed.is_empty() {
            self.to.check(map)?;
            return Ok(None);
        }
        let fields = rewrite(map, changed, DOCUMENT_BYTES_MAX).map_err(SchemaError::from)?;
        self.to.check(fields.as_raw())?;
        Ok(Some(fields))
    }
}

/// A value of another type; unchanged where there is none, so that the check shows it.
fn convert(kind: FieldType, value: Value) -> Value {
    let turned = match (kind, &value) {
        (FieldType::String, Value::Bool(_) | Value::Int(_) | Value::Float(_))
        | (FieldType::String, Value::Array(_) | Value::Map(_) | Value::Point(_)) => {
            Some(value.to_json().into())
        }
        (FieldType::String, Value::Decimal(decimal)) => Some(decimal.to_string().into()),
        (FieldType::String, Value::Time(time)) => Some(time.to_string().into()),
        (FieldType::String, Value::Date(date)) => Some(date.to_string().into()),
        (FieldType::String, Value::Interval(interval)) => Some(interval.iso().to_string().into()),
        (FieldType::String, Value::Uuid(uuid)) => Some(uuid.to_string().into()),
        (FieldType::Int, Value::Float(float)) => Decimal::from_f64_exact(*float)
            .ok()
            .and_then(|exact| exact.to_i64())
            .map(Value::Int),
        (FieldType::Int, Value::Decimal(decimal)) => decimal.to_i64().map(Value::Int),
        (FieldType::Int, Value::String(text)) => text.trim().parse().ok().map(Value::Int),
        (FieldType::Int, Value::Bool(bool)) => Some(Value::Int(i64::from(*bool))),
        (FieldType::Float, Value::Decimal(decimal)) => Some(Value::Float(decimal.to_f64())),
        (FieldType::Float, Value::String(text)) => text.trim().parse().ok().map(Value::Float),
        // The digits that people see, not those of the binary fraction.
        (FieldType::Decimal, Value::Float(float)) => {
            float.to_string().parse().ok().map(Value::Decimal)
        }
        (FieldType::Bool, Value::Int(0 | 1)) => Some(Value::Bool(value == Value::Int(1))),
        (FieldType::Bool, Value::String(text)) => text.trim().parse().ok().map(Value::Bool),
        (FieldType::Time, Value::Date(date)) => date.midnight().map(Value::Time),
        (FieldType::Date, Value::Time(time)) => Some(Value::Date(time.date())),
        _ => None,
    };
    turned.unwrap_or_else(|| coerce(kind, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Field, Openness};

    fn schema(openness: Openness, fields: &[Field]) -> Schema {
        Schema::new(openness, fields.to_vec()).unwrap()
    }

    fn strict(fields: &[Field]) -> Schema {
        schema(Openness::Strict, fields)
    }

    fn migrate(
        from: &Schema,
        to: &Schema,
        renamed: &[(&str, &str)],
        dropped: &[&str],
        document: &str,
    ) -> Result<String, String> {
        let renamed = renamed.iter().map(|(a, b)| ((*a).into(), (*b).into()));
        let (renamed, dropped) = (renamed.collect(), dropped.iter().map(|d| (*d).into()));
        let dropped: Vec<String> = dropped.collect();
        let migration =
            Migration::new(from, to, &renamed, &dropped).map_err(|error| error.to_string())?;
        let fields = Fields::from_json(document).unwrap();
        let done = migration.apply(fields.as_raw(), Timestamp(86_400_000_000));
        let done = done.map_err(|error| error.to_string())?;
        let fields = done.unwrap_or(fields);
        Ok(Value::Map(fields.to_map()).to_json())
    }

    #[test]
    fn fields_are_added_dropped_renamed_and_converted_at_once() {
        let from = strict(&[
            Field::new("a", FieldType::Int),
            Field::new("b", FieldType::String),
            Field::new("c", FieldType::String),
        ]);
        let to = strict(&[
            Field::new("a", FieldType::String),
            Field::new("c", FieldType::Int),
            Field::new("new", FieldType::Int)
                .with_default(DefaultValue::Constant(7.into()))
                .required(),
            Field::new("since", FieldType::Date).with_default(DefaultValue::Now),
        ]);
        let done = migrate(
            &from,
            &to,
            &[("b", "c")],
            &["c"],
            r#"{"a":1,"b":"2","c":"x"}"#,
        );
        assert_eq!(
            done.unwrap(),
            r#"{"a":"1","c":2,"new":7,"since":"1970-01-02"}"#
        );
        let absent = migrate(&from, &to, &[("b", "c")], &["c"], "{}");
        assert_eq!(absent.unwrap(), r#"{"new":7,"since":"1970-01-02"}"#);
    }

    #[test]
    fn names_may_be_exchanged() {
        let both = strict(&[
            Field::new("a", FieldType::Int),
            Field::new("b", FieldType::Int),
        ]);
        let renames = [("a", "b"), ("b", "a")];
        let swapped = migrate(&both, &both, &renames, &[], r#"{"a":1,"b":2}"#);
        assert_eq!(swapped.unwrap(), r#"{"a":2,"b":1}"#);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let from = schema(Openness::Open, &[Field::new("a", FieldType::String)]);
        let int = schema(Openness::Open, &[Field::new("a", FieldType::Int)]);
        let renamed = schema(Openness::Open, &[Field::new("b", FieldType::String)]);
        let failed = |to: &Schema, renames: &[(&str, &str)], drops: &[&str], document: &str| {
            migrate(&from, to, renames, drops, document).unwrap_err()
        };
        assert_eq!(
            failed(&int, &[], &[], r#"{"a":"x"}"#),
            r#"field "a": expected int, got string "x""#
        );
        assert_eq!(
            failed(&renamed, &[("a", "b")], &[], r#"{"a":"x","b":"y"}"#),
            r#"field "a" cannot become "b": the document has both"#
        );
        assert_eq!(
            failed(&renamed, &[("z", "b")], &[], "{}"),
            r#"field "z": the present schema does not declare it"#
        );
        assert_eq!(
            failed(&int, &[], &["a"], "{}"),
            r#"field "a": the new schema must not declare it"#
        );
        assert_eq!(
            failed(&int, &[("a", "q")], &[], "{}"),
            r#"field "q": the new schema must declare it"#
        );
    }

    #[test]
    fn values_become_other_types_without_loss() {
        use FieldType::{Bool, Date, Decimal as Exact, Float, Int, String as Text, Time, Uuid};
        for (from, to, before, after) in [
            (Int, Text, "7", r#""7""#),
            (Text, Int, r#"" 7 ""#, "7"),
            (Int, Float, "7", "7.0"),
            (Float, Int, "7.0", "7"),
            (Float, Exact, "0.1", r#""0.1""#),
            (Exact, Float, r#""0.5""#, "0.5"),
            (Bool, Int, "true", "1"),
            (Int, Bool, "0", "false"),
            (Text, Date, r#""2026-11-21""#, r#""2026-11-21""#),
            (Date, Time, r#""2026-11-21""#, r#""2026-11-21T00:00:00Z""#),
            (Time, Date, r#""2026-11-21T23:00:00Z""#, r#""2026-11-21""#),
            (
                Uuid,
                Text,
                r#""01920000-0000-7000-8000-000000000000""#,
                r#""01920000-0000-7000-8000-000000000000""#,
            ),
        ] {
            let [from, to] = [from, to].map(|kind| strict(&[Field::new("v", kind)]));
            let mut uuid = || unreachable!("no default");
            let document = Fields::from_json(&format!(r#"{{"v":{before}}}"#)).unwrap();
            let resolved = from.resolve_fields(document.as_raw(), 1000, Timestamp(0), &mut uuid);
            let document = resolved.unwrap().unwrap_or(document);
            let (renamed, dropped) = (BTreeMap::new(), Vec::new());
            let migration = Migration::new(&from, &to, &renamed, &dropped).unwrap();
            let done = migration.apply(document.as_raw(), Timestamp(0)).unwrap();
            let done = Value::Map(done.unwrap_or(document).to_map()).to_json();
            assert_eq!(done, format!(r#"{{"v":{after}}}"#));
        }
        let fraction = strict(&[Field::new("v", Float)]);
        let int = strict(&[Field::new("v", Int)]);
        let refused = migrate(&fraction, &int, &[], &[], r#"{"v":7.5}"#);
        assert_eq!(
            refused.unwrap_err(),
            r#"field "v": expected int, got float 7.5"#
        );
    }
}
