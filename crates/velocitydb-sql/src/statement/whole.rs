//! Rows of tables without declared columns: an id, and a document as a whole.
//!
//! What the engine says of a document (`_version` and its like) is shown within `doc`, and left out of
//! what is written.

use velocitydb::{Document, Error, Key, Transaction, Update};
use velocitydb_types::{Path, Value};

use crate::error::{SqlError, sqlstate};
use crate::table::Table;
use crate::violations::Written;

/// What the engine says of a document, besides its id.
const METADATA: [&str; 4] = ["_version", "_index", "_created_at", "_updated_at"];

/// Inserts a row of any table; what became of it, and the fields that it has.
///
/// # Errors
/// The id is none; the document is no object.
pub(super) fn insert(
    table: &Table,
    mut row: Written,
    transaction: &mut Transaction,
) -> Result<(Result<Document, Error>, Written), SqlError> {
    let name = table.name();
    if !table.definition.schema.fields().is_empty() {
        return Ok((transaction.insert_returning(name, &row), row));
    }
    let given = row.remove("_id");
    let (own, fields) = match row.remove("doc") {
        Some(document) => fields(document)?,
        None => (None, Written::new()),
    };
    let inserted = match given.or(own) {
        None => transaction.insert_returning(name, &fields),
        Some(id) => {
            let inserted = transaction.insert_with_id(name, &key(&id)?, &fields);
            inserted.map(|outcome| outcome.document.expect("an insert leaves a document"))
        }
    };
    Ok((inserted, fields))
}

/// What makes a document one of other fields.
///
/// # Errors
/// It is no object, or has another id.
pub(super) fn replacement(present: &Document, document: Value) -> Result<Update, SqlError> {
    let (own, fields) = fields(document)?;
    if own
        .as_ref()
        .map(key)
        .transpose()?
        .is_some_and(|own| own != present.id())
    {
        return Err(SqlError::unsupported("changing _id"));
    }
    let mut update = Update::new();
    let path = |name: &str| Path::field(name).to_string();
    for name in present.fields().to_map().keys() {
        if !fields.contains_key(name) {
            update = update.unset(&path(name));
        }
    }
    for (name, value) in fields {
        update = update.set(&path(&name), value);
    }
    Ok(update)
}

fn key(id: &Value) -> Result<Key, SqlError> {
    let key = Key::from_value(id);
    key.map_err(|error| SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, error.to_string()))
}

/// The id within a document, and its fields.
fn fields(document: Value) -> Result<(Option<Value>, Written), SqlError> {
    let Value::Map(mut fields) = document else {
        let message = "doc must be a JSON object";
        return Err(SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message).column("doc"));
    };
    let own = fields.remove("_id");
    fields.retain(|name, _| !METADATA.contains(&name.as_str()));
    Ok((own, fields))
}
