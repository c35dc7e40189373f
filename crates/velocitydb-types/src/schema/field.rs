//! One declared field, and what may be declared of it.
//!
//! In JSON a field is one object: its constraints stand beside its name and type. What is not
//! there is not written either, so that older definitions stay as they are. As bytes a field is
//! kept within its schema only (`form`). Tests: `schema/laws.rs`.

use serde::{Deserialize, Serialize};

use super::constraints::Constraints;
use crate::{FieldType, SqlType, Value};

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
    /// What the SQL door evaluates for each row. At the other doors, which have no SQL, the field
    /// stays absent.
    Sql(SqlDefault),
}

/// A default that only the SQL door has: it knows expressions and sequences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a default of SQL, an object")]
pub struct SqlDefault {
    /// An expression without columns, as SQL writes it: `nextval('tasks_id_seq')`.
    pub text: String,
    /// Whether the column is an identity, and which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// What a statement may say of an identity column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Its values come from the sequence, unless a statement overrides it.
    Always,
    /// A statement may give values.
    ByDefault,
}

/// That a field's values are ids of another collection's documents.
///
/// Only declared here: keeping it takes the other collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a reference, an object")]
pub struct Reference {
    /// The other collection's name.
    pub collection: String,
    /// What becomes of the document that refers when the other one is deleted.
    #[serde(default)]
    pub on_delete: OnDelete,
}

/// What becomes of a document when the one it refers to is to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDelete {
    /// The deletion is refused.
    #[default]
    Restrict,
    /// It is deleted too.
    Cascade,
    /// Its field becomes null.
    SetNull,
}

/// One declared field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FieldForm")]
pub struct Field {
    /// The field's name.
    pub name: String,
    /// What it may hold.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// What it is at the SQL door, where that is narrower than its kind says: `int4`, `varchar(20)`.
    #[serde(rename = "sql_type", skip_serializing_if = "Option::is_none")]
    pub sql: Option<SqlType>,
    /// Whether it must be there and not be null.
    pub required: bool,
    /// Whether no two documents may have the same value (absent and null do not count).
    pub unique: bool,
    /// What it gets when it is absent.
    pub default: Option<DefaultValue>,
    /// Which of the type's values it may have.
    #[serde(flatten)]
    pub constraints: Constraints,
    /// Whose documents its values name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Reference>,
    /// What people say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A field as it comes in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a field, an object")]
struct FieldForm {
    name: String,
    #[serde(rename = "type")]
    kind: FieldType,
    #[serde(default, rename = "sql_type")]
    sql: Option<SqlType>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    default: Option<DefaultValue>,
    #[serde(default)]
    minimum: Option<Value>,
    #[serde(default)]
    exclusive_minimum: Option<Value>,
    #[serde(default)]
    maximum: Option<Value>,
    #[serde(default)]
    exclusive_maximum: Option<Value>,
    #[serde(default)]
    min_length: Option<u64>,
    #[serde(default)]
    max_length: Option<u64>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    one_of: Option<Vec<Value>>,
    #[serde(default)]
    references: Option<Reference>,
    #[serde(default)]
    comment: Option<String>,
}

impl From<FieldForm> for Field {
    fn from(form: FieldForm) -> Self {
        Self {
            name: form.name,
            kind: form.kind,
            sql: form.sql,
            required: form.required,
            unique: form.unique,
            default: form.default,
            constraints: Constraints {
                minimum: form.minimum,
                exclusive_minimum: form.exclusive_minimum,
                maximum: form.maximum,
                exclusive_maximum: form.exclusive_maximum,
                min_length: form.min_length,
                max_length: form.max_length,
                pattern: form.pattern,
                one_of: form.one_of,
            },
            references: form.references,
            comment: form.comment,
        }
    }
}

impl Field {
    /// A field that may be absent, may repeat, and has nothing else declared.
    pub fn new(name: impl Into<String>, kind: FieldType) -> Self {
        Self {
            name: name.into(),
            kind,
            sql: None,
            required: false,
            unique: false,
            default: None,
            constraints: Constraints::default(),
            references: None,
            comment: None,
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

    /// The same, but at the SQL door it is of this type, whose bounds its values keep to.
    #[must_use]
    pub fn with_sql_type(self, sql: impl Into<SqlType>) -> Self {
        Self {
            sql: Some(sql.into()),
            ..self
        }
    }

    /// What it is at the SQL door.
    pub fn sql_type(&self) -> SqlType {
        self.sql.unwrap_or_else(|| self.kind.into())
    }

    /// The same, with these constraints.
    #[must_use]
    pub fn with_constraints(self, constraints: Constraints) -> Self {
        Self {
            constraints,
            ..self
        }
    }

    /// The same, with values that name documents of another collection.
    #[must_use]
    pub fn references(self, collection: impl Into<String>, on_delete: OnDelete) -> Self {
        let collection = collection.into();
        Self {
            references: Some(Reference {
                collection,
                on_delete,
            }),
            ..self
        }
    }
}
