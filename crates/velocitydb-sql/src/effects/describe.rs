//! `obj_description`, `col_description` and `shobj_description`: what COMMENT ON has kept.
//!
//! Relations are known by their names, as with `nextval`. What a transaction that is open has defined is
//! not looked at. Tests: tests/it/slt/define.slt.

use velocitydb::{Database, Definition};
use velocitydb_query::Arguments;
use velocitydb_types::Value;

use super::Effects;
use crate::error::{SqlError, sqlstate};
use crate::parse::name_in;
use crate::statement::collection_name;
use crate::table::Table;

/// What there is of a name.
enum Found {
    Table(Definition),
    /// An index or a sequence, and what is said of it.
    Other(Option<String>),
}

fn find(database: &Database, name: &str) -> Option<Found> {
    if let Ok(collection) = database.collection(name) {
        return collection.definition().ok().map(Found::Table);
    }
    if let Ok(Some(sequence)) = database.sequence(name) {
        return Some(Found::Other(sequence.definition().comment));
    }
    database.collections().into_iter().find_map(|table| {
        if name == crate::statement::define::primary_key_name(&table.name) {
            return Some(Found::Other(None));
        }
        let mut indexes = table.indexes.into_iter();
        let index = indexes.find(|index| index.name == name)?;
        Some(Found::Other(index.comment))
    })
}

impl Effects {
    fn relation(&self, text: &str) -> Result<Found, SqlError> {
        let settings = self.settings();
        let name = name_in(text)?;
        let mut found = None;
        settings.found(&name, |name| {
            found = find(&self.database, name);
            found.is_some()
        })?;
        let missing = || {
            let name = collection_name(&name).unwrap_or_default();
            let message = format!("relation {name:?} does not exist");
            SqlError::new(sqlstate::UNDEFINED_TABLE, message)
        };
        found.ok_or_else(missing)
    }

    /// `obj_description(relation, catalog)`, the catalog of relations unless it is said.
    pub(super) fn object_description(&self, given: &Arguments<'_>) -> Result<Value, SqlError> {
        let Value::String(name) = given.get(0)?.into_value() else {
            return Ok(Value::Null);
        };
        let catalog = match given.len() {
            1 => "pg_class".into(),
            _ => given.get(1)?.into_value(),
        };
        let comment = match self.relation(&name)? {
            Found::Table(table) => table.comment,
            Found::Other(comment) => comment,
        };
        let comment = comment.filter(|_| catalog == Value::from("pg_class"));
        Ok(comment.map_or(Value::Null, Value::from))
    }

    /// `col_description(table, number of the column)`.
    pub(super) fn column_description(&self, given: &Arguments<'_>) -> Result<Value, SqlError> {
        let (name, number) = (given.get(0)?.into_value(), given.get(1)?.into_value());
        let (Value::String(name), Value::Int(number)) = (name, number) else {
            return Ok(Value::Null);
        };
        let Found::Table(definition) = self.relation(&name)? else {
            return Ok(Value::Null);
        };
        let table = Table::new(definition);
        let at = usize::try_from(number.wrapping_sub(1)).ok();
        let column = at.and_then(|at| table.columns.get(at));
        let field = column.and_then(|column| table.definition.schema.field(&column.name));
        let comment = field.and_then(|field| field.comment.clone());
        Ok(comment.map_or(Value::Null, Value::from))
    }

    /// `shobj_description(number of a database, 'pg_database')`.
    pub(super) fn shared_description(&self, given: &Arguments<'_>) -> Result<Value, SqlError> {
        let (number, catalog) = (given.get(0)?.into_value(), given.get(1)?.into_value());
        let mut databases = self.database.databases().into_iter();
        let found = databases.find(|(id, _)| Value::Int(id.0.into()) == number);
        let comment = found.and_then(|(_, database)| database.comment);
        let comment = comment.filter(|_| catalog == Value::from("pg_database"));
        Ok(comment.map_or(Value::Null, Value::from))
    }
}
