//! Conditions on whole documents: a name and an expression.
//!
//! A document for which a check is false is refused. Unknown passes, as in SQL: whoever does not
//! want null says so with `required` or `is not null`. Tests: `schema/laws.rs`,
//! `testscripts`.

use serde::{Deserialize, Serialize, Serializer};

use super::error::{SchemaError, shortened, shown};
use super::{Field, Openness};
use crate::expression::Expression;
use crate::raw::{RawMap, RawValue};
use crate::{FieldType, Path};

/// Checks that a schema may have.
pub const CHECKS_MAX: usize = 100;

/// Bytes of a check's name.
pub const CHECK_NAME_BYTES_MAX: usize = 128;

/// A condition that every document must meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    name: String,
    #[serde(serialize_with = "text_of")]
    expression: Expression,
}

fn text_of<S: Serializer>(expression: &Expression, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(expression.text())
}

/// A check as it comes in, before its expression is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a check, an object")]
pub(super) struct CheckForm {
    name: String,
    expression: String,
}

impl TryFrom<CheckForm> for Check {
    type Error = SchemaError;

    fn try_from(form: CheckForm) -> Result<Self, SchemaError> {
        Self::new(form.name, &form.expression)
    }
}

impl Check {
    /// A check of this name: `Check::new("in_order", "ends >= starts")`.
    ///
    /// # Errors
    /// A name that is empty or too long, a text that is no expression.
    pub fn new(name: impl Into<String>, expression: &str) -> Result<Self, SchemaError> {
        let name = name.into();
        let bad = |reason| SchemaError::BadCheck {
            check: shortened(name.clone(), 50),
            reason,
        };
        if name.is_empty() || name.len() > CHECK_NAME_BYTES_MAX {
            let reason = format!("a check's name has 1 to {CHECK_NAME_BYTES_MAX} bytes");
            return Err(bad(reason));
        }
        let expression: Expression = match expression.parse() {
            Ok(expression) => expression,
            Err(error) => return Err(bad(error.to_string())),
        };
        if !expression.is_condition() {
            return Err(bad(
                "the expression is a value, never true or false".to_owned()
            ));
        }
        Ok(Self { name, expression })
    }

    /// The name, unique in its schema.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What must not be false.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Ties the expression to the schema's fields; it may have been tied to another's.
    pub(super) fn bind(&mut self, fields: &[Field], openness: Openness) -> Result<(), SchemaError> {
        let bound = self.expression.text().parse::<Expression>();
        let bound = bound.and_then(|mut expression| {
            expression.bind(&|path| declared(path, fields, openness))?;
            Ok(expression)
        });
        self.expression = bound.map_err(|error| SchemaError::BadCheck {
            check: self.name.clone(),
            reason: error.to_string(),
        })?;
        Ok(())
    }

    /// Judges a document.
    pub(super) fn judge(&self, map: RawMap<'_>) -> Result<(), SchemaError> {
        let outcome = match self.expression.judge(map) {
            Ok(Some(false)) => "is false".to_owned(),
            Ok(_) => return Ok(()),
            Err(error) => format!("has no answer: {error}"),
        };
        Err(SchemaError::Check {
            check: self.name.clone(),
            text: shortened(self.expression.text().to_owned(), 200),
            outcome,
            values: self.values(map),
        })
    }

    /// The fields that the expression names, with their values, for a message.
    fn values(&self, map: RawMap<'_>) -> String {
        const FIELDS_MAX: usize = 8;
        let paths = self.expression.paths();
        let value = |path: &Path| match map.get_path(path).map(RawValue::to_value) {
            Some(value) => format!("{path} = {}", shown(&value)),
            None => format!("{path} = nothing"),
        };
        let mut values: Vec<_> = paths
            .iter()
            .take(FIELDS_MAX)
            .map(|path| value(path))
            .collect();
        if paths.len() > FIELDS_MAX {
            values.push("…".to_owned());
        }
        match values.is_empty() {
            true => String::new(),
            false => format!(", with {}", values.join(", ")),
        }
    }
}

/// What a schema says of a path that a check names.
fn declared(
    path: &Path,
    fields: &[Field],
    openness: Openness,
) -> Result<Option<FieldType>, String> {
    let name = path.first();
    if name.starts_with('_') {
        return Err(format!(
            "{name:?} is metadata, and a check sees only fields"
        ));
    }
    match fields.iter().find(|field| field.name == name) {
        None if openness == Openness::Strict => Err(format!(
            "the strict schema does not declare the field {name:?}"
        )),
        None => Ok(None),
        Some(field) if path.rest().is_empty() => Ok(Some(field.kind)),
        Some(field) => match field.kind {
            FieldType::Json | FieldType::Array | FieldType::Map => Ok(None),
            kind => Err(format!(
                "the field {name:?} is {kind}: there is nothing inside"
            )),
        },
    }
}
