//! What names without a schema mean: `search_path`.
//!
//! A schema is the beginning of the names of its tables ([`collection_name`]), and is there when one
//! of them is. What the system shows of itself is found before any of the path, then the session's
//! temporary tables ([`Temporary`]). Defaults of columns do not know the path of who inserts: they
//! are bound with the usual one.

use std::sync::Arc;

use sqlparser::ast::ObjectName;

use crate::bind::{Aggregates, Binder, Queries};
use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::parse::{folded, names_in};
use crate::statement::collection_name;
use crate::temporary::Temporary;

/// The schemas in which names are looked for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    text: Arc<str>,
    schemas: Arc<[String]>,
    /// Looked in before them.
    pub(crate) temporary: Temporary,
}

/// The schema that is called as the user.
const USER: &str = "$user";

/// A path of more schemas is refused.
const SCHEMAS_MAX: usize = 100;

impl Default for SearchPath {
    fn default() -> SearchPath {
        SearchPath {
            text: "\"$user\", public".into(),
            schemas: [USER.to_owned(), "public".to_owned()].into(),
            temporary: Temporary::default(),
        }
    }
}

impl SearchPath {
    /// Reads names that commas divide; `None` when it is something else, or too long.
    pub(crate) fn read(text: &str) -> Option<SearchPath> {
        let names = match text.trim() {
            "" => Vec::new(),
            text => names_in(text)?,
        };
        let schemas = names.iter().map(folded);
        let schemas: Vec<_> = schemas.filter(|schema| !schema.is_empty()).collect();
        (schemas.len() <= SCHEMAS_MAX).then(|| SearchPath {
            text: text.into(),
            schemas: schemas.into(),
            temporary: Temporary::default(),
        })
    }

    /// The same path, of the session that had another one.
    pub(crate) fn of_session(self, former: &SearchPath) -> SearchPath {
        SearchPath {
            temporary: former.temporary.clone(),
            ..self
        }
    }

    /// As SHOW shows it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl Settings {
    /// The schema in which new tables are, if there is any.
    pub(crate) fn schema(&self) -> Option<&str> {
        let mut schemas = self.search_path.schemas.iter();
        let found = schemas.find(|schema| !matches!(&***schema, USER | "pg_catalog" | "pg_temp"));
        found.map(String::as_str)
    }

    /// The schemas in which names are looked for, in order.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &str> {
        let schemas = self.search_path.schemas.iter();
        schemas.map(|schema| match &**schema {
            USER => &*self.user,
            schema => schema,
        })
    }

    /// The name of the first collection of the path that `exists`.
    ///
    /// # Errors
    /// It is no name of a table.
    pub(crate) fn found(
        &self,
        name: &ObjectName,
        mut exists: impl FnMut(&str) -> bool,
    ) -> Result<Option<String>, SqlError> {
        let given = collection_name(name)?;
        let temporary = &self.search_path.temporary;
        if name.0.len() > 1 {
            let given = temporary.resolved(given);
            return Ok(given.filter(|given| exists(given)));
        }
        if let Some(schema) = temporary.in_use() {
            let collection = in_schema(schema, &given);
            if exists(&collection) {
                return Ok(Some(collection));
            }
        }
        for schema in self.schemas() {
            let collection = in_schema(schema, &given);
            if exists(&collection) {
                return Ok(Some(collection));
            }
        }
        Ok(None)
    }

    /// The name of the collection that is made for a name.
    ///
    /// # Errors
    /// It is no name of a table, or of no schema.
    pub(crate) fn new_name(&self, name: &ObjectName) -> Result<String, SqlError> {
        let given = collection_name(name)?;
        if name.0.len() > 1 {
            return self.search_path.temporary.resolved(given).ok_or_else(|| {
                let message = "cannot create relations in temporary schemas of other sessions";
                SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message)
            });
        }
        match self.schema() {
            Some(schema) => Ok(in_schema(schema, &given)),
            None => {
                let message = "no schema has been selected to create in";
                Err(SqlError::new(sqlstate::UNDEFINED_SCHEMA, message))
            }
        }
    }
}

impl Binder<'_> {
    /// Binds what is the same whoever asks: names without a schema are of `public`.
    pub(crate) fn without_path<R>(&mut self, bind: impl FnOnce(&mut Binder<'_>) -> R) -> R {
        let search_path = SearchPath {
            text: "public".into(),
            schemas: ["public".to_owned()].into(),
            temporary: Temporary::default(),
        };
        let settings = Arc::new(Settings {
            search_path,
            ..(**self.settings).clone()
        });
        bind(&mut Binder {
            settings: &settings,
            sql: self.sql,
            parameters: self.parameters,
            sequences: self.sequences,
            effects: self.effects,
            tables: self.tables,
            queries: Queries::default(),
            aggregates: Aggregates::Refused("this place"),
            windows: Vec::new(),
            unfolds: Vec::new(),
            named_windows: Vec::new(),
        })
    }
}

/// The name of the collection that a table of a schema is.
pub(crate) fn in_schema(schema: &str, table: &str) -> String {
    match schema {
        "public" => table.to_owned(),
        schema => format!("{schema}.{table}"),
    }
}
