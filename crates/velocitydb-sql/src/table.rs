//! Collections as tables: declared fields are columns.
//!
//! A collection that declares none is a table of its id and of the whole document.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use velocitydb::locks::CollectionId;
use velocitydb::{Collection, Database, DefaultValue, Definition};
use velocitydb_types::{Path, ScalarType, SqlType};

use crate::bound::Bound;
use crate::catalog::Made;
use crate::indexed::Indexed;

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Where its rows are; a table that is being defined, or is a transaction's own, has no place yet.
    pub(crate) collection: Option<Collection>,
    /// What makes its rows, when there is no collection at all.
    pub(crate) made: Option<Made>,
    pub(crate) definition: Definition,
    pub(crate) columns: Vec<Column>,
    by_name: HashMap<String, usize>,
    /// What its indexes are of that is no column.
    pub(crate) indexed: Indexed,
    /// Which definition that is.
    pub(crate) defined: Option<(CollectionId, u64)>,
}

/// The collections of a database as tables. Those that statements have used last are kept, for all
/// sessions together.
#[derive(Debug)]
pub struct Tables {
    database: Database,
    kept: RwLock<HashMap<String, Arc<Table>>>,
}

/// The most tables that are kept.
const KEPT_MAX: usize = 1_000;

impl Tables {
    /// Those of this database.
    pub fn new(database: Database) -> Tables {
        Tables {
            database,
            kept: RwLock::default(),
        }
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The table that a collection is now.
    pub(crate) fn of(&self, collection: &str) -> Result<Arc<Table>, velocitydb::Error> {
        let kept = self.kept.read().get(collection).cloned();
        if let Some(table) = kept.filter(|table| table.is_current()) {
            return Ok(table);
        }
        let table = Arc::new(Table::of(self.database.collection(collection)?)?);
        let mut kept = self.kept.write();
        if kept.len() == KEPT_MAX {
            kept.clear();
        }
        kept.insert(collection.to_owned(), Arc::clone(&table));
        Ok(table)
    }
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
        // Asked before: whoever sees an older one makes the table once more.
        let defined = collection.defined()?;
        let table = Table::new(collection.definition()?);
        Ok(Table {
            collection: Some(collection),
            defined: Some(defined),
            ..table
        })
    }

    /// Whether the collection is still what the table was made of.
    pub(crate) fn is_current(&self) -> bool {
        let now = self.collection.as_ref().map(Collection::defined);
        now.is_none_or(|now| now.ok() == self.defined)
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
        Table::with(definition, columns, None)
    }

    /// A table whose rows are made.
    pub(crate) fn made(definition: Definition, columns: Vec<Column>, made: Made) -> Table {
        Table::with(definition, columns, Some(made))
    }

    /// The columns of VALUES, which stands in the place of a table.
    pub(crate) fn of_values(definition: Definition, columns: Vec<Column>) -> Table {
        Table::with(definition, columns, None)
    }

    fn with(definition: Definition, columns: Vec<Column>, made: Option<Made>) -> Table {
        let mut table = Table {
            by_name: HashMap::new(),
            collection: None,
            defined: None,
            made,
            indexed: Indexed::new(&definition),
            definition,
            columns,
        };
        table.name_columns();
        table
    }

    /// Finds its columns by the names that they have now.
    pub(crate) fn name_columns(&mut self) {
        let names = self.columns.iter().zip(0..);
        let by_name = names.map(|(column, at)| (column.name.clone(), at));
        self.by_name = by_name.collect();
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
