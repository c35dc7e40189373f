//! Collections as tables: declared fields are columns.
//!
//! A collection that declares none is a table of its id and of the whole document.

use std::collections::HashMap;

use velocitydb::{Collection, DefaultValue, Definition};
use velocitydb_types::{Path, ScalarType, SqlType};

use crate::bound::Bound;

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Where its rows are; a table that is being defined has no place yet.
    pub(crate) collection: Option<Collection>,
    pub(crate) definition: Definition,
    pub(crate) columns: Vec<Column>,
    by_name: HashMap<String, usize>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) sql: SqlType,
    /// What it is of a document.
    pub(crate) bound: Bound,
    /// Whether it may not be null.
    pub(crate) required: bool,
    pub(crate) default: Option<DefaultValue>,
}

impl Column {
    /// The field that it is, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.bound {
            Bound::Column(path) => Some(path),
            _ => None,
        }
    }
}

impl Table {
    /// The table that a collection is.
    pub(crate) fn of(collection: Collection) -> Result<Table, velocitydb::Error> {
        let table = Table::new(collection.definition()?);
        Ok(Table {
            collection: Some(collection),
            ..table
        })
    }

    pub(crate) fn new(definition: Definition) -> Table {
        let mut columns: Vec<Column> = Vec::new();
        for field in definition.schema.fields() {
            let key = definition.primary_key.as_ref();
            let is_key = key.is_some_and(|key| key.has(&field.name));
            columns.push(Column {
                name: field.name.clone(),
                sql: field.sql_type(),
                bound: Bound::Column(Path::field(field.name.clone())),
                required: field.required || is_key,
                default: field.default.clone(),
            });
        }
        if columns.is_empty() {
            let column = |name: &str, sql: ScalarType, bound| Column {
                name: name.to_owned(),
                sql: sql.into(),
                bound,
                required: true,
                default: None,
            };
            let id = Bound::Column(Path::field("_id"));
            columns.push(column("_id", ScalarType::Text, id));
            columns.push(column("doc", ScalarType::Jsonb, Bound::Document));
        }
        let names = columns.iter().zip(0..);
        let by_name = names.map(|(column, at)| (column.name.clone(), at));
        Table {
            by_name: by_name.collect(),
            collection: None,
            definition,
            columns,
        }
    }

    /// The columns of its primary key. Where that is not the collection's, it is a unique index of
    /// the name that PostgreSQL gives it, over columns that are required.
    pub(crate) fn key_columns(&self) -> Option<Vec<&str>> {
        if let Some(key) = &self.definition.primary_key {
            return Some(key.fields().iter().map(String::as_str).collect());
        }
        let name = format!("{}_pkey", self.name());
        let mut indexes = self.definition.indexes.iter();
        let key = indexes.find(|index| index.unique && index.name == name)?;
        Some(key.fields.iter().map(|field| field.path.first()).collect())
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.definition.name
    }

    pub(crate) fn position(&self, column: &str) -> Option<usize> {
        self.by_name.get(column).copied()
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.position(name).map(|at| &self.columns[at])
    }
}
