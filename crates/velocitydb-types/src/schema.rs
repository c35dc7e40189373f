//! What a collection's documents may hold.
//!
//! A [`Schema`] declares fields: type, required or not, unique or not, default. An open one lets
//! any other field be, a strict one refuses it. It is used twice. *Resolving* happens once, where
//! a change is proposed: defaults are filled in (the moment and the ids are arguments), and what
//! JSON cannot say is turned from what it says instead. *Checking* happens wherever a document
//! comes to be, and changes nothing.
//!
//! Invariants: names are unique, not empty and not reserved; defaults are of their field's type.
//! Null is allowed wherever a field is not required. Uniqueness is only declared here: keeping
//! it takes an index. Tests: below.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::coerce::coerce;
use crate::encoding::{EncodeError, check_field_name, encode_value};
use crate::error::ErrorClass;
use crate::raw::{RawMap, RawValue};
use crate::update::rewrite;
use crate::{DOCUMENT_BYTES_MAX, FieldOperation, FieldType, Fields, Timestamp, Uuid, Value};

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

/// What a field gets when a document comes without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultValue {
    /// Always the same.
    Constant(Value),
    /// The moment of the change (for a date, its day).
    Now,
    /// A new UUID (for a string, its text).
    Uuid,
}

/// One declared field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// What it may hold.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Whether it must be there and not be null.
    #[serde(default)]
    pub required: bool,
    /// Whether no two documents may have the same value (absent and null do not count).
    #[serde(default)]
    pub unique: bool,
    /// What it gets when it is absent.
    #[serde(default)]
    pub default: Option<DefaultValue>,
}

impl Field {
    /// A field that may be absent, may repeat, and has no default.
    pub fn new(name: impl Into<String>, kind: FieldType) -> Self {
        Self {
            name: name.into(),
            kind,
            required: false,
            unique: false,
            default: None,
        }
    }

    /// The same, but it must be there and not be null.
    #[must_use]
    pub fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// The same, but no two documents may have the same value.
    #[must_use]
    pub fn unique(self) -> Self {
        Self {
            unique: true,
            ..self
        }
    }

    /// The same, with a default.
    #[must_use]
    pub fn with_default(self, default: DefaultValue) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }
}

/// What a collection's documents may hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Schema {
    openness: Openness,
    fields: Vec<Field>,
}

/// A schema as it comes in, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    #[serde(default)]
    openness: Openness,
    #[serde(default)]
    fields: Vec<Field>,
}

impl TryFrom<Unchecked> for Schema {
    type Error = SchemaError;

    fn try_from(unchecked: Unchecked) -> Result<Self, SchemaError> {
        Self::new(unchecked.openness, unchecked.fields)
    }
}

/// Why a schema is wrong, or a document does not fit one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A field has a value of another type.
    #[error("field {field:?}: expected {expected}, got {found}")]
    Type {
        /// The field.
        field: String,
        /// Its declared type.
        expected: FieldType,
        /// The value's type, and the value, shortened.
        found: String,
    },
    /// A required field is absent or null.
    #[error("field {field:?}: required, got {found}")]
    Required {
        /// The field.
        field: String,
        /// `nothing` or `null`.
        found: &'static str,
    },
    /// A strict schema does not know the field.
    #[error("field {field:?}: not declared, and the schema is strict (got {found})")]
    Undeclared {
        /// The field.
        field: String,
        /// The value's type, and the value, shortened.
        found: String,
    },
    /// Two fields of the schema have the same name.
    #[error("field {field:?} is declared twice")]
    DeclaredTwice {
        /// The field.
        field: String,
    },
    /// The default is not of the field's type.
    #[error("field {field:?}: a default of type {expected} cannot be {found}")]
    Default {
        /// The field.
        field: String,
        /// Its declared type.
        expected: FieldType,
        /// The default.
        found: String,
    },
    /// A declared name that no field may have, or a document that cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl SchemaError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Encode(error) => error.class(),
            Self::Type { .. }
            | Self::Required { .. }
            | Self::Undeclared { .. }
            | Self::DeclaredTwice { .. }
            | Self::Default { .. } => ErrorClass::Invalid,
        }
    }
}

impl Schema {
    /// A schema of declared fields. Constant defaults are turned into their field's type as
    /// documents' values are.
    ///
    /// # Errors
    /// A name declared twice, empty or reserved; a default of another type than its field.
    pub fn new(openness: Openness, mut fields: Vec<Field>) -> Result<Self, SchemaError> {
        let mut names = BTreeSet::new();
        for field in &mut fields {
            check_field_name(&field.name)?;
            if !names.insert(field.name.clone()) {
                return Err(SchemaError::DeclaredTwice {
                    field: field.name.clone(),
                });
            }
            check_default(field)?;
        }
        Ok(Self { openness, fields })
    }

    /// The schema that declares nothing and allows everything.
    pub fn open() -> Self {
        Self::default()
    }

    /// Whether fields that are not declared are allowed.
    pub fn openness(&self) -> Openness {
        self.openness
    }

    /// The declared fields, in the order of their declaration.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The declaration of a field.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Checks a document against the schema.
    ///
    /// # Errors
    /// The first offence, in the order of declaration.
    pub fn check(&self, map: RawMap<'_>) -> Result<(), SchemaError> {
        let mut declared = 0;
        for field in &self.fields {
            let value = map.get(&field.name);
            declared += usize::from(value.is_some());
            field.check(value)?;
        }
        if self.openness == Openness::Open || declared == map.len() {
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
        self.resolve_fields(Fields::from_map(map)?, DOCUMENT_BYTES_MAX, now, new_uuid)
    }

    /// As [`Self::resolve`], for fields that are encoded already, up to a number of bytes. Only
    /// fields that change are decoded; without any, the fields come back as they are.
    ///
    /// # Errors
    /// The first offence, or a document that has become too large.
    pub fn resolve_fields(
        &self,
        fields: Fields,
        bytes_max: usize,
        now: Timestamp,
        new_uuid: &mut dyn FnMut() -> Uuid,
    ) -> Result<Fields, SchemaError> {
        let mut changed = BTreeMap::new();
        let map = fields.as_raw();
        for field in &self.fields {
            let value = match map.get(&field.name) {
                Some(value) if value.is_null() || field.kind.accepts(value) => None,
                Some(value) => Some(coerce(field.kind, value.to_value())),
                None => field.default_value(now, new_uuid),
            };
            changed.extend(value.map(|value| (field.name.as_str(), Some(value))));
        }
        let resolved = match changed.is_empty() {
            true => fields,
            false => rewrite(map, changed, bytes_max)?,
        };
        self.check(resolved.as_raw())?;
        Ok(resolved)
    }

    /// Turns the values of operations on whole declared fields into the declared types, so that
    /// a patch may say what a new document may. [`Self::check`] judges the outcome.
    pub fn resolve_operations(&self, operations: &mut [FieldOperation]) {
        for operation in operations {
            let path = operation.path();
            let declared = self.field(path.first()).filter(|_| path.rest().is_empty());
            let Some(kind) = declared.map(|field| field.kind) else {
                continue;
            };
            match operation {
                FieldOperation::Set { value, .. } | FieldOperation::Add { by: value, .. } => {
                    *value = coerce(kind, std::mem::take(value));
                }
                // A point is an object in JSON, but it is replaced as a whole.
                FieldOperation::Merge { path, patch } if kind == FieldType::Point => {
                    if let value @ Value::Point(_) = coerce(kind, patch.clone()) {
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
    /// What the field gets when it is absent, if it has a default.
    fn default_value(&self, now: Timestamp, new_uuid: &mut dyn FnMut() -> Uuid) -> Option<Value> {
        Some(match (self.default.as_ref()?, self.kind) {
            (DefaultValue::Constant(value), _) => value.clone(),
            (DefaultValue::Now, FieldType::Date) => now.date().into(),
            (DefaultValue::Now, _) => now.into(),
            (DefaultValue::Uuid, FieldType::String) => new_uuid().to_string().into(),
            (DefaultValue::Uuid, _) => new_uuid().into(),
        })
    }

    /// Checks the value of this field in a document.
    ///
    /// # Errors
    /// When it is required and absent or null, or of another type.
    pub fn check(&self, value: Option<RawValue<'_>>) -> Result<(), SchemaError> {
        let found = match value {
            None => "nothing",
            Some(value) if value.is_null() => "null",
            Some(value) if self.kind.accepts(value) => return Ok(()),
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

/// Turns a constant default into its field's type, and refuses any other.
fn check_default(field: &mut Field) -> Result<(), SchemaError> {
    let found = match &mut field.default {
        None => return Ok(()),
        Some(DefaultValue::Constant(value)) => {
            *value = coerce(field.kind, std::mem::take(value));
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

/// A value's type and text for a message, at most about sixty characters.
fn shown(value: &Value) -> String {
    const CHARS_MAX: usize = 50;
    let name = value.type_name();
    if value.is_null() {
        return name.to_owned();
    }
    let json = value.to_json();
    match json.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{name} {}…", &json[..end]),
        None => format!("{name} {json}"),
    }
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
    fn both_serde_forms_round_trip() {
        let fields = vec![
            Field::new("a", FieldType::Int).required().unique(),
            Field::new("b", FieldType::Date).with_default(DefaultValue::Constant(Date(3).into())),
            Field::new("c", FieldType::Json).with_default(DefaultValue::Uuid),
        ];
        let schema = Schema::new(Openness::Strict, fields).unwrap();
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
        let bytes = postcard::to_allocvec(&schema).unwrap();
        assert_eq!(postcard::from_bytes::<Schema>(&bytes), Ok(schema));
        assert_eq!(
            serde_json::from_str::<Schema>("{}").unwrap(),
            Schema::open()
        );
    }
}
