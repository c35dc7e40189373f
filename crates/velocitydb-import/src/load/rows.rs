//! From a row to a document with its id. Tests: through the loader.

use velocitydb::{Expiry, FieldType, Fields, Key, METADATA, Uuid, Value};
use velocitydb_types::FieldsBuilder;

use super::{BadRow, Ids};
use crate::reader::Row;

/// Makes documents of rows, in their order.
pub(super) struct Maker {
    ids: Ids,
    /// The types of the fields that are the id, where the collection declares them.
    declared_id: Vec<Option<FieldType>>,
    builder: FieldsBuilder,
    /// Rows so far.
    pub(super) taken: u64,
}

/// A document that is to be written.
pub(super) struct Made {
    pub(super) line: u64,
    pub(super) id: Option<Key>,
    pub(super) expires: Expiry,
    pub(super) fields: Fields,
    /// The type of the field that is the id.
    pub(super) id_type: Option<FieldType>,
}

impl Default for Maker {
    fn default() -> Maker {
        Maker::new(Ids::ExportedOrNew, Vec::new())
    }
}

impl Maker {
    pub(super) fn new(ids: Ids, declared_id: Vec<Option<FieldType>>) -> Maker {
        Maker {
            ids,
            declared_id,
            builder: FieldsBuilder::new(),
            taken: 0,
        }
    }

    /// The document of the next row.
    pub(super) fn make(&mut self, row: &Row) -> Result<Made, BadRow> {
        let id = self.next_id(row);
        self.taken += 1;
        Ok(Made {
            line: row.line,
            id: id?,
            expires: expiry(row)?,
            fields: self.fields(row)?,
            id_type: self.type_of_id(row),
        })
    }

    /// The id that this row would get if it were the next one; `None` for a new one.
    ///
    /// # Errors
    /// Why it can have none.
    pub(super) fn next_id(&self, row: &Row) -> Result<Option<Key>, BadRow> {
        let bad = |what: String| BadRow {
            line: row.line,
            what,
        };
        let field = |name: &str| row.fields.iter().find(|(field, _)| &**field == name);
        let value = match &self.ids {
            Ids::RowNumber => {
                let number = i64::try_from(self.taken + 1).expect("no input has 2^63 rows");
                return Ok(Some(
                    Key::from_value(&Value::Int(number)).expect("an integer is an id"),
                ));
            }
            Ids::Fields(names) => {
                let mut values = Vec::with_capacity(names.fields().len());
                for (at, name) in names.fields().iter().enumerate() {
                    let Some((_, value)) = field(name) else {
                        return Err(bad(format!("it has no field `{name}`, which is the id")));
                    };
                    // A text in the input may be a date in the collection.
                    let declared = self.declared_id.get(at).copied().flatten();
                    values.push(match declared {
                        Some(kind) => kind.coerce(value.clone()),
                        None => value.clone(),
                    });
                }
                let key = Key::from_values(&values);
                let bad = |error| bad(format!("the id in `{names}`: {error}"));
                return key.map(Some).map_err(bad);
            }
            Ids::ExportedOrNew => match field("_id") {
                Some((_, value)) => value,
                None => return Ok(None),
            },
        };
        let key = match value {
            // As the server reads a body: of the ids that JSON writes as strings, UUIDs are known.
            Value::String(text) if text.len() == 36 => {
                let uuid = Uuid::try_parse(text).map_or_else(|_| value.clone(), Value::Uuid);
                Key::from_value(&uuid)
            }
            value => Key::from_value(value),
        };
        key.map(Some)
            .map_err(|error| bad(format!("the id in `_id`: {error}")))
    }

    fn type_of_id(&self, row: &Row) -> Option<FieldType> {
        let Ids::Fields(names) = &self.ids else {
            return None;
        };
        let name = names.only()?;
        let (_, id) = row.fields.iter().find(|(field, _)| **field == *name)?;
        id.type_name().parse().ok()
    }

    fn fields(&mut self, row: &Row) -> Result<Fields, BadRow> {
        let bad = |what: String| BadRow {
            line: row.line,
            what,
        };
        for (name, value) in &row.fields {
            if name.starts_with('_') && METADATA.contains(&&**name) {
                // The database makes it anew; the id is taken elsewhere.
                continue;
            }
            if let Err(error) = self.builder.push_value(name, value) {
                // A builder is empty after this, whatever it answers.
                let _ = self.builder.finish();
                return Err(bad(format!("field `{name}`: {error}")));
            }
        }
        self.builder
            .finish()
            .map_err(|error| bad(error.to_string()))
    }
}

/// When a listed document expires.
fn expiry(row: &Row) -> Result<Expiry, BadRow> {
    let field = row.fields.iter().find(|(name, _)| &**name == "_expires_at");
    let time = match field {
        None | Some((_, Value::Null)) => return Ok(Expiry::Default),
        Some((_, Value::Time(time))) => Some(*time),
        Some((_, Value::String(text))) => text.parse().ok(),
        Some(_) => None,
    };
    time.map(Expiry::At).ok_or_else(|| BadRow {
        line: row.line,
        what: "`_expires_at` is no time such as 2026-11-30T12:00:00Z".to_owned(),
    })
}
