//! Why a schema is wrong, or a document does not fit one.
//!
//! Every message names the field or the check, the rule, and what was found, shortened. Tests:
//! `testscripts`.

use crate::encoding::EncodeError;
use crate::error::ErrorClass;
use crate::{FieldType, SqlType, Value};

use super::misfit::Misfit;

/// Why a schema is wrong, or a document does not fit one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// A field has a value of another type.
    #[error("field {field:?}: expected {}, got {found}", named(*.expected))]
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
    /// A field's value breaks one of its constraints.
    #[error("field {field:?}: {rule} is {limit}, got {found}")]
    Constraint {
        /// The field.
        field: String,
        /// The constraint's name, as `max_length`.
        rule: &'static str,
        /// What the constraint says.
        limit: String,
        /// The value's type, and the value, shortened.
        found: String,
    },
    /// A field's value is not within the bounds of its SQL type.
    #[error("field {field:?}: {misfit} type {sql}, got {found}")]
    Misfit {
        /// The field.
        field: String,
        /// Its SQL type.
        sql: SqlType,
        /// In which way it is not.
        misfit: Misfit,
        /// The value's type, and the value, shortened.
        found: String,
    },
    /// A check is false of the document, or has no answer.
    #[error("check {check:?}: `{text}` {outcome}{values}")]
    Check {
        /// The check's name.
        check: String,
        /// Its expression, shortened.
        text: String,
        /// `is false`, or why it has no answer.
        outcome: String,
        /// The fields that it names, with their values; empty when it names none.
        values: String,
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
    /// Something else that is declared of a field makes no sense.
    #[error("field {field:?}: {rule}: {reason}")]
    BadField {
        /// The field.
        field: String,
        /// What is declared, as `max_length` or `references`.
        rule: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A check that makes no sense.
    #[error("check {check:?}: {reason}")]
    BadCheck {
        /// The check's name.
        check: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// More of something than a schema may have.
    #[error("the schema has {count} {what}, at most {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
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
            Self::TooMany { .. } => ErrorClass::Limit,
            Self::Type { .. }
            | Self::Required { .. }
            | Self::Undeclared { .. }
            | Self::Constraint { .. }
            | Self::Misfit { .. }
            | Self::Check { .. }
            | Self::DeclaredTwice { .. }
            | Self::Default { .. }
            | Self::BadField { .. }
            | Self::BadCheck { .. } => ErrorClass::Invalid,
        }
    }
}

/// A type for a message, with how it is written where JSON does not have it.
pub(super) fn named(kind: FieldType) -> String {
    use FieldType::{Bytes, Date, Decimal, Interval, Point, Time, Uuid};
    match kind {
        Bytes | Date | Decimal | Interval | Point | Time | Uuid => {
            format!("{kind} ({})", kind.row().json)
        }
        _ => kind.to_string(),
    }
}

/// A value's type and text for a message, at most about sixty characters.
pub(crate) fn shown(value: &Value) -> String {
    let name = value.type_name();
    match value.is_null() {
        true => name.to_owned(),
        false => format!("{name} {}", shortened(value.to_json(), 50)),
    }
}

/// A text for a message, at most so many characters of it.
pub(super) fn shortened(mut text: String, chars_max: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
        text.push('…');
    }
    text
}
