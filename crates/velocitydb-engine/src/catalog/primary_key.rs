//! The fields of a document whose values are its id.
//!
//! Of one field the id is its value; of several it is a composite [`Key`], in the order in which the
//! key names them. In JSON a primary key is the name of the field, or a list of names. Tests: in the
//! embedded library's tests/it, `primary_keys`.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use velocitydb_types::{Key, OnDelete, Schema, Value};

use crate::command::Refusal;

/// A primary key has no more fields.
pub const PRIMARY_KEY_FIELDS_MAX: usize = 16;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct PrimaryKey(Vec<String>);

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "the name of a field, or a list of names")]
enum Written {
    One(String),
    Several(Vec<String>),
}

impl PrimaryKey {
    /// The names of the fields, the first one first.
    pub fn fields(&self) -> &[String] {
        &self.0
    }

    /// The field, where there is one only.
    pub fn only(&self) -> Option<&str> {
        match &self.0[..] {
            [field] => Some(field),
            _ => None,
        }
    }

    /// Whether a field is of it.
    pub fn has(&self, field: &str) -> bool {
        self.0.iter().any(|own| own == field)
    }

    /// The id that the values of its fields make. The error says which of them cannot be.
    pub fn key(&self, value_of: impl FnMut(&str) -> Value) -> Result<Key, String> {
        let fields = self.0.iter().map(String::as_str);
        let values: SmallVec<[Value; 2]> = fields.clone().map(value_of).collect();
        Key::from_values(&values).map_err(|error| {
            let mut each = fields.zip(&values);
            let wrong = each.find(|(_, value)| Key::from_value(value).is_err());
            match wrong {
                Some((field, _)) => format!("the primary key field {field:?}: {error}"),
                None => format!("the primary key ({self}): {error}"),
            }
        })
    }

    /// Whether documents of a schema can have it.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), Refusal> {
        let bad = |what| Err(Refusal::BadDefinition(what));
        if self.0.is_empty() || self.0.len() > PRIMARY_KEY_FIELDS_MAX {
            return bad(format!(
                "a primary key has 1 to {PRIMARY_KEY_FIELDS_MAX} fields, not {}",
                self.0.len()
            ));
        }
        for (at, field) in self.0.iter().enumerate() {
            if field.is_empty() || field.starts_with('_') {
                return bad(format!(
                    "the primary key {field:?} can be no field: names that begin with '_' are \
                     metadata. Without a primary key a document's id is its \"_id\""
                ));
            }
            if self.0[..at].contains(field) {
                return bad(format!("the primary key names the field {field:?} twice"));
            }
            let reference = schema.field(field).and_then(|it| it.references.as_ref());
            if reference.is_some_and(|it| it.on_delete == OnDelete::SetNull) {
                return bad(
                    "the primary key cannot refer with on_delete set_null: an id is never null"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}

impl fmt::Display for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl From<Written> for PrimaryKey {
    fn from(written: Written) -> PrimaryKey {
        PrimaryKey(match written {
            Written::One(field) => vec![field],
            Written::Several(fields) => fields,
        })
    }
}

impl From<PrimaryKey> for Written {
    fn from(PrimaryKey(mut fields): PrimaryKey) -> Written {
        match fields.len() {
            1 => Written::One(fields.swap_remove(0)),
            _ => Written::Several(fields),
        }
    }
}

impl From<&str> for PrimaryKey {
    fn from(field: &str) -> PrimaryKey {
        PrimaryKey(vec![field.to_owned()])
    }
}

impl From<String> for PrimaryKey {
    fn from(field: String) -> PrimaryKey {
        PrimaryKey(vec![field])
    }
}

impl<S: Into<String>> From<Vec<S>> for PrimaryKey {
    fn from(fields: Vec<S>) -> PrimaryKey {
        PrimaryKey(fields.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for PrimaryKey {
    fn from(fields: [S; N]) -> PrimaryKey {
        PrimaryKey(fields.map(Into::into).into())
    }
}
