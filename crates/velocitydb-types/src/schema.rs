//! What a collection's documents may hold.
//!
//! A [`Schema`] declares fields: type, required or not, unique or not, default, constraints,
//! references; and checks, which are conditions on whole documents. An open one lets any other
//! field be, a strict one refuses it. It is used twice. *Resolving* happens once, where a change
//! is proposed: defaults are filled in (the moment and the ids are arguments), and what JSON
//! cannot say is turned from what it says instead. *Checking* happens wherever a document comes
//! to be, and changes nothing; [`Schema::check`] is the one place that judges a document.
//!
//! Invariants: names are unique, not empty and not reserved; defaults and the values of
//! constraints are of their field's type, and defaults keep to the constraints; patterns and
//! expressions are compiled when the schema is made. Null is allowed wherever a field is not
//! required, and breaks no constraint. Uniqueness and references are only declared here: keeping
//! them takes an index, and the other collection.
//!
//! Files: `field`, `constraints`, `misfit`, `checks`, `plan` (judging in one walk), `form` (serde),
//! `error`. Tests: below, `laws` (a plain model, serde forms), `testscripts` (messages).

mod checks;
mod constraints;
mod error;
mod field;
mod form;
#[cfg(test)]
mod laws;
mod misfit;
mod plan;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::coerce::coerce;
use crate::encoding::{check_field_name, encode_value};
use crate::raw::{RawMap, RawValue};
use crate::update::rewrite;
use crate::{DOCUMENT_BYTES_MAX, FieldOperation, FieldType, Fields, Timestamp, Uuid, Value};

pub use checks::{CHECK_NAME_BYTES_MAX, CHECKS_MAX, Check};
pub use constraints::{Constraints, ONE_OF_MAX};
pub use error::SchemaError;
pub(crate) use error::shown;
pub use field::{DefaultValue, Field, Identity, OnDelete, Reference, SqlDefault};
pub use misfit::Misfit;
use plan::{Plan, Slot};

/// Patterns that the fields and checks of one schema may have.
pub const PATTERNS_MAX: usize = 50;

/// Whether documents may have fields that are not declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Openness {
    /// They may.
    #[default]
    Open,
    /// They may not.
    Strict,
}

/// What a collection's documents may hold.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    openness: Openness,
    fields: Vec<Field>,
    checks: Vec<Check>,
    /// What the fields ask, made of them.
    plan: Plan,
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        (self.openness, &self.fields, &self.checks)
            == (other.openness, &other.fields, &other.checks)
    }
}

impl Eq for Schema {}

impl Schema {
    /// A schema of declared fields. Constant defaults and the values of constraints are turned
    /// into their field's type as documents' values are.
    ///
    /// # Errors
    /// A name declared twice, empty or reserved; a default of another type than its field, or
    /// that its field may not have; constraints and references that make no sense.
    pub fn new(openness: Openness, mut fields: Vec<Field>) -> Result<Self, SchemaError> {
        // Before any is compiled: compiled ones take memory.
        at_most("patterns", pattern_count(&fields), PATTERNS_MAX)?;
        let mut names = BTreeSet::new();
        let mut slots = Vec::with_capacity(fields.len());
        for field in &mut fields {
            check_field_name(&field.name)?;
            if !names.insert(field.name.clone()) {
                return Err(SchemaError::DeclaredTwice {
                    field: field.name.clone(),
                });
            }
            check_sql_type(field)?;
            check_default(field)?;
            check_reference(field)?;
            let rules = constraints::compile(field)?;
            let slot = Slot::new(field, rules);
            check_default_fits(field, &slot)?;
            slots.push(slot);
        }
        Ok(Self {
            openness,
            fields,
            checks: Vec::new(),
            plan: Plan::new(slots),
        })
    }

    /// The same with these checks.
    ///
    /// # Errors
    /// A name that stands twice; fields that a strict schema does not declare; a value that its
    /// field can never be compared with; too many checks or patterns.
    pub fn with_checks(mut self, mut checks: Vec<Check>) -> Result<Self, SchemaError> {
        let mut names = BTreeSet::new();
        for check in &mut checks {
            if !names.insert(check.name().to_owned()) {
                return Err(SchemaError::BadCheck {
                    check: check.name().to_owned(),
                    reason: "another check has this name".to_owned(),
                });
            }
            check.bind(&self.fields, self.openness)?;
        }
        let in_checks = checks
            .iter()
            .map(|check| check.expression().pattern_count());
        let patterns = pattern_count(&self.fields) + in_checks.sum::<usize>();
        at_most("patterns", patterns, PATTERNS_MAX)?;
        at_most("checks", checks.len(), CHECKS_MAX)?;
        self.checks = checks;
        Ok(self)
    }

    /// The schema that declares nothing and allows everything.
    pub fn open() -> Self {
        Self::default()
    }

    /// The same, with fields that refer to nothing.
    #[must_use]
    pub fn without_references(self) -> Self {
        self.without_references_to(|_| true)
    }

    /// The same, with fields that do not refer to these collections.
    #[must_use]
    pub fn without_references_to(mut self, these: impl Fn(&str) -> bool) -> Self {
        for field in &mut self.fields {
            field.references.take_if(|to| these(&to.collection));
        }
        self
    }

    /// The same; the collection `from`, where fields refer to it, is called `to`.
    #[must_use]
    pub fn with_references_renamed(mut self, from: &str, to: &str) -> Self {
        let references = self.fields.iter_mut();
        let references = references.filter_map(|field| field.references.as_mut());
        for reference in references.filter(|reference| reference.collection == from) {
            to.clone_into(&mut reference.collection);
        }
        self
    }

    /// The same, without what no document depends on that is there: defaults and comments.
    #[must_use]
    pub fn bare(mut self) -> Self {
        for field in &mut self.fields {
            (field.default, field.comment) = (None, None);
        }
        self
    }

    /// Whether fields that are not declared are allowed.
    pub fn openness(&self) -> Openness {
        self.openness
    }

    /// The declared fields, in the order of their declaration.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The checks, in the order in which they are asked.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The declaration of a field.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Checks a document against the schema.
    ///
    /// # Errors
    /// The first offence: fields in the order of their declaration, then what is not declared,
    /// then checks in their order.
    pub fn check(&self, map: RawMap<'_>) -> Result<(), SchemaError> {
        if !self.plan.all(self.openness, map, Slot::fits) {
            self.first_offence(map)?;
        }
        self.checks.iter().try_for_each(|check| check.judge(map))
    }

    /// What is wrong with the fields of a document that does not fit.
    fn first_offence(&self, map: RawMap<'_>) -> Result<(), SchemaError> {
        for field in &self.fields {
            field.check(map.get(&field.name), self.plan.slot(&field.name))?;
        }
        if self.openness == Openness::Open {
            return Ok(());
        }
        let undeclared = map.iter().find(|(name, _)| self.field(name).is_none());
        undeclared.map_or(Ok(()), |(name, value)| {
            let (field, found) = (name.to_owned(), shown(&value.to_value()));
            Err(SchemaError::Undeclared { field, found })
        })
    }

    /// Makes a document of given values: fills in defaults, turns what JSON says into declared
    /// types, and checks the result.
    ///
    /// # Errors
    /// The first offence, or values that no document may have.
    pub fn resolve(
        &self,
        map: &BTreeMap<String, Value>,
        now: Timestamp,
        new_uuid: &mut dyn FnMut() -> Uuid,
    ) -> Result<Fields, SchemaError> {
        let fields = Fields::from_map(map)?;
        let changed = self.resolve_fields(fields.as_raw(), DOCUMENT_BYTES_MAX, now, new_uuid)?;
        Ok(changed.unwrap_or(fields))
    }

    /// As [`Self::resolve`], for fields that are encoded already, up to a number of bytes. `None`
    /// when nothing changes; only fields that change are decoded.
    ///
    /// # Errors
    /// The first offence, or a document that has become too large.
    pub fn resolve_fields(
        &self,
        map: RawMap<'_>,
        bytes_max: usize,
        now: Timestamp,
        new_uuid: &mut dyn FnMut() -> Uuid,
    ) -> Result<Option<Fields>, SchemaError> {
        if self.plan.all(self.openness, map, Slot::is_settled) {
            self.checks.iter().try_for_each(|check| check.judge(map))?;
            return Ok(None);
        }
        let mut changed = BTreeMap::new();
        for field in &self.fields {
            let value = match map.get(&field.name) {
                Some(value) if value.is_null() || field.takes(value) => None,
                Some(value) => Some(field.coerce(value.to_value())),
                None => field.default_value(now, new_uuid),
            };
            changed.extend(value.map(|value| (field.name.as_str(), Some(value))));
        }
        let resolved = match changed.is_empty() {
            true => None,
            false => Some(rewrite(map, changed, bytes_max)?),
        };
        self.check(resolved.as_ref().map_or(map, Fields::as_raw))?;
        Ok(resolved)
    }

    /// Turns the values of operations on whole declared fields into the declared types, so that
    /// a patch may say what a new document may. [`Self::check`] judges the outcome.
    pub fn resolve_operations(&self, operations: &mut [FieldOperation]) {
        for operation in operations {
            let path = operation.path();
            let declared = self.field(path.first()).filter(|_| path.rest().is_empty());
            let Some(field) = declared else {
                continue;
            };
            match operation {
                FieldOperation::Set { value, .. } | FieldOperation::Add { by: value, .. } => {
                    *value = field.coerce(std::mem::take(value));
                }
                // A point is an object in JSON, but it is replaced as a whole.
                FieldOperation::Merge { path, patch } if field.kind == FieldType::Point => {
                    if let value @ Value::Point(_) = field.coerce(patch.clone()) {
                        *operation = FieldOperation::Set {
                            path: path.clone(),
                            value,
                        };
                    }
                }
                FieldOperation::Merge { .. }
                | FieldOperation::Push { .. }
                | FieldOperation::Unset { .. } => {}
            }
        }
    }
}

impl Field {
    /// Whether a value that is not null may stay as it is.
    pub(crate) fn takes(&self, value: RawValue<'_>) -> bool {
        let fits = |sql| misfit::misfit(sql, value).is_none();
        self.kind.accepts(value) && self.sql.is_none_or(fits)
    }

    /// A value turned into the field's type where JSON cannot say it, or where the type rounds;
    /// unchanged where that is not possible.
    pub(crate) fn coerce(&self, value: Value) -> Value {
        let value = coerce(self.kind, value);
        match self.sql {
            None => value,
            Some(sql) => misfit::coerce(sql, value),
        }
    }

    /// What the field gets when it is absent, if it has a default.
    pub(crate) fn default_value(
        &self,
        now: Timestamp,
        new_uuid: &mut dyn FnMut() -> Uuid,
    ) -> Option<Value> {
        Some(match (self.default.as_ref()?, self.kind) {
            (DefaultValue::Constant(value), _) => value.clone(),
            (DefaultValue::Now, FieldType::Date) => now.date().into(),
            (DefaultValue::Now, _) => now.into(),
            (DefaultValue::Uuid, FieldType::String) => new_uuid().to_string().into(),
            (DefaultValue::Uuid, _) => new_uuid().into(),
            (DefaultValue::Sql(_), _) => return None,
        })
    }

    /// What is wrong with the value of this field in a document.
    fn check(&self, value: Option<RawValue<'_>>, slot: Option<&Slot>) -> Result<(), SchemaError> {
        let found = match value {
            None => "nothing",
            Some(value) if value.is_null() => "null",
            Some(value) if self.kind.accepts(value) => {
                let broken = slot.and_then(|slot| slot.broken(value));
                return broken.map_or(Ok(()), |rule| Err(rule.error(&self.name, value)));
            }
            Some(value) => {
                let (field, found) = (self.name.clone(), shown(&value.to_value()));
                return Err(SchemaError::Type {
                    field,
                    expected: self.kind,
                    found,
                });
            }
        };
        match self.required {
            true => Err(SchemaError::Required {
                field: self.name.clone(),
                found,
            }),
            false => Ok(()),
        }
    }
}

/// How many patterns fields have, compiled or not.
fn pattern_count(fields: &[Field]) -> usize {
    let patterns = fields
        .iter()
        .filter_map(|field| field.constraints.pattern.as_ref());
    patterns.count()
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), SchemaError> {
    match count <= max {
        true => Ok(()),
        false => Err(SchemaError::TooMany { what, count, max }),
    }
}

/// A field's SQL type is kept as the field is.
fn check_sql_type(field: &Field) -> Result<(), SchemaError> {
    match field.sql.filter(|sql| sql.kept() != field.kind) {
        None => Ok(()),
        Some(sql) => Err(SchemaError::BadField {
            field: field.name.clone(),
            rule: "sql_type",
            reason: format!(
                "{sql} is kept as {}, and this is {}",
                sql.kept(),
                field.kind
            ),
        }),
    }
}

/// Turns a constant default into its field's type, and refuses any other.
fn check_default(field: &mut Field) -> Result<(), SchemaError> {
    let coerced = match &field.default {
        Some(DefaultValue::Constant(value)) => field.coerce(value.clone()),
        _ => Value::Null,
    };
    let found = match &mut field.default {
        None | Some(DefaultValue::Sql(_)) => return Ok(()),
        Some(DefaultValue::Constant(value)) => {
            *value = coerced;
            let encoded = encode_value(value)?;
            if field.kind.accepts(RawValue::trusted(&encoded)) {
                return Ok(());
            }
            shown(value)
        }
        Some(DefaultValue::Now) => match field.kind {
            FieldType::Time | FieldType::Date | FieldType::Json => return Ok(()),
            _ => "now".to_owned(),
        },
        Some(DefaultValue::Uuid) => match field.kind {
            FieldType::Uuid | FieldType::String | FieldType::Json => return Ok(()),
            _ => "uuid".to_owned(),
        },
    };
    Err(SchemaError::Default {
        field: field.name.clone(),
        expected: field.kind,
        found,
    })
}

/// A constant default keeps to its field's constraints.
fn check_default_fits(field: &Field, slot: &Slot) -> Result<(), SchemaError> {
    let Some(DefaultValue::Constant(value)) = &field.default else {
        return Ok(());
    };
    if value.is_null() {
        return Ok(());
    }
    let encoded = encode_value(value)?;
    match slot.broken(RawValue::trusted(&encoded)) {
        None => Ok(()),
        Some(rule) => Err(SchemaError::BadField {
            field: field.name.clone(),
            rule: "default",
            reason: format!("{} breaks the {}", shown(value), rule.name()),
        }),
    }
}

/// A reference names a collection, and what becomes of its field is possible.
fn check_reference(field: &Field) -> Result<(), SchemaError> {
    use FieldType::{Array, Json, Map, Point};
    let Some(reference) = &field.references else {
        return Ok(());
    };
    let reason = match (reference.on_delete, field.kind) {
        _ if reference.collection.is_empty() => "name the other collection".to_owned(),
        (_, kind @ (Array | Json | Map | Point)) => {
            format!("the field is {kind}, which no document's id is")
        }
        (OnDelete::SetNull, _) if field.required => {
            "on_delete is set_null, but the field is required".to_owned()
        }
        _ => return Ok(()),
    };
    Err(SchemaError::BadField {
        field: field.name.clone(),
        rule: "references",
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Date, Point, merge_patch};

    fn schema(json: &str) -> Schema {
        serde_json::from_str(json).unwrap()
    }

    fn resolve(schema: &Schema, json: &str) -> Result<String, String> {
        let Value::Map(map) = Value::from_json(json).unwrap() else {
            panic!("a document is an object");
        };
        let fields = schema.resolve(&map, Timestamp(1_500_000), &mut || Uuid::max());
        fields
            .map(|fields| fields.as_raw().to_json())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_offence_is_named() {
        let people = schema(
            r#"{"openness":"strict","fields":[
                {"name":"age","type":"int","required":true},{"name":"nick","type":"string"}]}"#,
        );
        let typed =
            schema(r#"{"fields":[{"name":"n","type":"decimal"},{"name":"p","type":"point"}]}"#);
        for (document, error) in [
            (
                r#"{"n":0.1}"#,
                r#"field "n": expected decimal (string such as "1.50", or a whole number), got float 0.1"#,
            ),
            (
                r#"{"p":[1,2]}"#,
                r#"field "p": expected point (object {"type":"Point","coordinates":[lon,lat]}), got array [1,2]"#,
            ),
        ] {
            assert_eq!(resolve(&typed, document), Err(error.to_owned()));
        }
        for (document, error) in [
            (
                r#"{"age":"x"}"#,
                r#"field "age": expected int, got string "x""#,
            ),
            (
                r#"{"age":1.5}"#,
                r#"field "age": expected int, got float 1.5"#,
            ),
            ("{}", r#"field "age": required, got nothing"#),
            (r#"{"age":null}"#, r#"field "age": required, got null"#),
            (
                r#"{"age":1,"extra":[1],"nick":"a"}"#,
                r#"field "extra": not declared, and the schema is strict (got array [1])"#,
            ),
            (
                r#"{"_id":1,"age":1}"#,
                r#"field name "_id" is reserved: a leading _ is metadata"#,
            ),
        ] {
            assert_eq!(resolve(&people, document), Err(error.to_owned()));
        }
        let document = r#"{"age":1,"nick":null}"#;
        assert_eq!(resolve(&people, document).as_deref(), Ok(document));
        let open = Schema::new(Openness::Open, people.fields().to_vec()).unwrap();
        assert!(resolve(&open, r#"{"age":1,"extra":[1]}"#).is_ok());
        let long = format!(r#"{{"age":{:?}}}"#, "é".repeat(100));
        assert!(resolve(&open, &long).unwrap_err().ends_with("é…"));
    }

    #[test]
    fn what_json_cannot_say_is_turned_into_declared_types() {
        let all = schema(
            r#"{"fields":[{"name":"t","type":"time"},{"name":"d","type":"date"},
                {"name":"u","type":"uuid"},{"name":"n","type":"decimal"},
                {"name":"b","type":"bytes"},{"name":"f","type":"float"},
                {"name":"p","type":"point"},{"name":"j","type":"any"}]}"#,
        );
        let Value::Map(map) = Value::from_json(
            r#"{"t":"2026-11-30T12:00:00+01:00","d":"2026-11-30","n":"1.50","b":"AP8=","f":3,
                "u":"ffffffff-ffff-ffff-ffff-ffffffffffff","j":"2026-11-30",
                "p":{"type":"Point","coordinates":[22,65.5]}}"#,
        )
        .unwrap() else {
            panic!("an object")
        };
        let fields = all
            .resolve(&map, Timestamp(0), &mut || Uuid::nil())
            .unwrap();
        let get = |name| fields.get(name).unwrap();
        assert_eq!(
            get("t").as_time(),
            Some("2026-11-30T11:00:00Z".parse().unwrap())
        );
        assert_eq!(get("d").as_date(), Some("2026-11-30".parse().unwrap()));
        assert_eq!(get("u").as_uuid(), Some(Uuid::max()));
        assert_eq!(get("n").as_decimal(), Some("1.5".parse().unwrap()));
        assert_eq!(get("b").as_byte_string(), Some(&[0, 255][..]));
        assert_eq!(get("f").as_float(), Some(3.0));
        assert_eq!(get("p").as_point(), Some(Point::new(22.0, 65.5).unwrap()));
        assert_eq!(get("j").as_str(), Some("2026-11-30"));
        for wrong in [
            r#"{"t":"yesterday"}"#,
            r#"{"u":"x"}"#,
            r#"{"b":"?"}"#,
            r#"{"f":"1"}"#,
            r#"{"n":1.5}"#,
            r#"{"p":{"type":"Point","coordinates":[0,91]}}"#,
            r#"{"p":{"type":"Point","coordinates":[0,0,0]}}"#,
            r#"{"p":{"type":"Polygon","coordinates":[0,0]}}"#,
        ] {
            assert!(
                resolve(&all, wrong).unwrap_err().contains("expected"),
                "{wrong}"
            );
        }

        let patch = r#"{"p":{"type":"Point","coordinates":[1,2]},"t":"1970-01-01T00:00:00Z"}"#;
        let mut operations = merge_patch(&Value::from_json(patch).unwrap()).unwrap();
        operations.push(FieldOperation::Add {
            path: "f".parse().unwrap(),
            by: 1.into(),
        });
        operations.push(FieldOperation::Add {
            path: "n".parse().unwrap(),
            by: 1.into(),
        });
        all.resolve_operations(&mut operations);
        let empty = Fields::empty();
        let patched = crate::apply(empty.as_raw(), &operations).unwrap();
        assert_eq!(all.check(patched.as_raw()), Ok(()));
        assert_eq!(patched.get("f").unwrap().type_name(), "float");
    }

    #[test]
    fn defaults_fill_what_is_absent() {
        let defaults = schema(
            r#"{"fields":[{"name":"at","type":"time","default":"now"},
                {"name":"day","type":"date","default":"now"},
                {"name":"id","type":"uuid","default":"uuid"},
                {"name":"text","type":"string","default":"uuid"},
                {"name":"since","type":"time","default":{"constant":"1970-01-01T00:00:00Z"}},
                {"name":"n","type":"int","required":true,"default":{"constant":7}}]}"#,
        );
        let max = "ffffffff-ffff-ffff-ffff-ffffffffffff";
        let filled = format!(
            r#"{{"at":"1970-01-01T00:00:01.5Z","day":"1970-01-01","id":"{max}","n":7,"since":"1970-01-01T00:00:00Z","text":"{max}"}}"#
        );
        assert_eq!(resolve(&defaults, "{}"), Ok(filled));
        assert!(
            resolve(&defaults, r#"{"at":null}"#)
                .unwrap()
                .contains(r#""at":null"#)
        );
        assert!(resolve(&defaults, r#"{"n":null}"#).is_err());
        let since = defaults.field("since").unwrap().default.clone();
        assert_eq!(since, Some(DefaultValue::Constant(Timestamp(0).into())));
    }

    #[test]
    fn a_wrong_schema_is_refused() {
        let field = |name: &str| Field::new(name, FieldType::Int);
        let new = |fields| Schema::new(Openness::Strict, fields).map_err(|error| error.to_string());
        for (fields, error) in [
            (
                vec![field("a"), field("a")],
                r#"field "a" is declared twice"#,
            ),
            (vec![field("")], "a field needs a name"),
            (
                vec![field("_a")],
                r#"field name "_a" is reserved: a leading _ is metadata"#,
            ),
            (
                vec![field("a").with_default(DefaultValue::Constant("x".into()))],
                r#"field "a": a default of type int cannot be string "x""#,
            ),
            (
                vec![field("a").with_default(DefaultValue::Now)],
                r#"field "a": a default of type int cannot be now"#,
            ),
            (
                vec![field("a").with_default(DefaultValue::Constant(Value::Null))],
                r#"field "a": a default of type int cannot be null"#,
            ),
        ] {
            assert_eq!(new(fields).unwrap_err(), error);
        }
        for wrong in [
            r#"{"fields":[{"name":"a","type":"integer"}]}"#,
            r#"{"fields":[{"name":"a","type":"int","requred":true}]}"#,
            r#"{"fields":[{"name":"_a","type":"int"}]}"#,
            r#"{"strict":true}"#,
        ] {
            assert!(serde_json::from_str::<Schema>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn its_text_reads_back() {
        let fields = vec![
            Field::new("a", FieldType::Int).required().unique(),
            Field::new("b", FieldType::Date).with_default(DefaultValue::Constant(Date(3).into())),
            Field::new("c", FieldType::Json).with_default(DefaultValue::Uuid),
        ];
        let schema = Schema::new(Openness::Strict, fields).unwrap();
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
        assert_eq!(
            serde_json::from_str::<Schema>("{}").unwrap(),
            Schema::open()
        );
    }
}
