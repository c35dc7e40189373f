//! A schema as text: `openness`, `fields`, `checks`. The log and the catalog keep it as JSON, so
//! that what can be declared grows by names. Tests: `schema/laws.rs`.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::checks::CheckForm;
use super::{
    CHECKS_MAX, Check, Field, Openness, PATTERNS_MAX, Schema, SchemaError, at_most, pattern_count,
};
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

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = Written {
            openness: self.openness,
            fields: &self.fields,
            checks: &self.checks,
        };
        written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unchecked = Unchecked::deserialize(deserializer)?;
        unchecked.try_into().map_err(D::Error::custom)
    }
}
