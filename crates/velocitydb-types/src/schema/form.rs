//! A schema as JSON and the like have it, and as bytes.
//!
//! For people: `openness`, `fields`, `checks`. In the log (postcard): the number of the openness
//! and the fields as they were before there were constraints; a schema that says more has the
//! number 2 there and is kept as its JSON text. So the bytes of a schema that does not say more
//! are what they always were, and a program that does not know the rest refuses it. Tests:
//! `schema/laws.rs`.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checks::CheckForm;
use super::{
    CHECKS_MAX, Check, Constraints, DefaultValue, Field, Openness, PATTERNS_MAX, Schema,
    SchemaError, at_most, pattern_count,
};
use crate::FieldType;

/// What is written for people.
#[derive(Serialize)]
struct Written<'s> {
    openness: Openness,
    fields: &'s [Field],
    #[serde(skip_serializing_if = "<[Check]>::is_empty")]
    checks: &'s [Check],
}

/// A schema as it comes in, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a schema, an object")]
struct Unchecked {
    #[serde(default)]
    openness: Openness,
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default)]
    checks: Vec<CheckForm>,
}

/// A schema as bytes.
#[derive(Serialize, Deserialize)]
enum Binary {
    Open(Vec<PlainField>),
    Strict(Vec<PlainField>),
    Text(String),
}

/// A field without constraints.
#[derive(Serialize, Deserialize)]
struct PlainField {
    name: String,
    kind: FieldType,
    required: bool,
    unique: bool,
    default: Option<DefaultValue>,
}

impl TryFrom<Unchecked> for Schema {
    type Error = SchemaError;

    fn try_from(unchecked: Unchecked) -> Result<Self, SchemaError> {
        let schema = Self::new(unchecked.openness, unchecked.fields)?;
        at_most("checks", unchecked.checks.len(), CHECKS_MAX)?;
        let mut patterns = pattern_count(&schema.fields);
        let mut checks = Vec::new();
        for form in unchecked.checks {
            let check = Check::try_from(form)?;
            // Before the next are compiled: compiled ones take memory.
            patterns += check.expression().pattern_count();
            at_most("patterns", patterns, PATTERNS_MAX)?;
            checks.push(check);
        }
        schema.with_checks(checks)
    }
}

impl TryFrom<Binary> for Schema {
    type Error = String;

    fn try_from(binary: Binary) -> Result<Self, String> {
        let (openness, fields) = match binary {
            Binary::Open(fields) => (Openness::Open, fields),
            Binary::Strict(fields) => (Openness::Strict, fields),
            Binary::Text(text) => {
                return serde_json::from_str(&text).map_err(|error| error.to_string());
            }
        };
        let fields = fields.into_iter().map(Field::from).collect();
        Self::new(openness, fields).map_err(|error| error.to_string())
    }
}

impl From<PlainField> for Field {
    fn from(plain: PlainField) -> Self {
        Self {
            required: plain.required,
            unique: plain.unique,
            default: plain.default,
            ..Self::new(plain.name, plain.kind)
        }
    }
}

impl Field {
    /// The field, if it says nothing that a [`PlainField`] does not.
    fn plain(&self) -> Option<PlainField> {
        let plain = self.constraints == Constraints::default() && self.references.is_none();
        plain.then(|| PlainField {
            name: self.name.clone(),
            kind: self.kind,
            required: self.required,
            unique: self.unique,
            default: self.default.clone(),
        })
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            openness: self.openness,
            fields: &self.fields,
            checks: &self.checks,
        };
        if serializer.is_human_readable() {
            return written.serialize(serializer);
        }
        let plain: Option<_> = self.fields.iter().map(Field::plain).collect();
        let binary = match (plain, self.openness) {
            (Some(fields), Openness::Open) if self.checks.is_empty() => Binary::Open(fields),
            (Some(fields), Openness::Strict) if self.checks.is_empty() => Binary::Strict(fields),
            _ => Binary::Text(serde_json::to_string(&written).map_err(S::Error::custom)?),
        };
        binary.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let unchecked = Unchecked::deserialize(deserializer)?;
            return unchecked.try_into().map_err(D::Error::custom);
        }
        Binary::deserialize(deserializer)?
            .try_into()
            .map_err(D::Error::custom)
    }
}
