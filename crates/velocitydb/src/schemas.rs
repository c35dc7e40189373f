//! Schemas of whole databases: a name, a version and the collections that there are to be.
//!
//! Loading a newer version brings the database to it: [`Database::plan_schema`] says how,
//! [`SchemaPlan::run`] does it, one entry of the log for each collection, each atomic and beside
//! running readers and writers. What was loaded is a document of the collection `_schemas`, written
//! last: a load that was interrupted is made again, and goes on where it was.
//!
//! Nothing is lost by leaving it out: a collection or a field that is no longer there must be
//! named under `dropped`. The text of a schema file, YAML or JSON, is read by `velocitydb-import`.
//! Files: `plan` (what differs), `order` (in which order it is made).
//! Tests: tests/it/schemas.rs, and velocitydb-cli (tests/it/schema.rs).

mod order;
mod plan;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use velocitydb_engine::catalog::{Collection as Runtime, Definition, SCHEMAS};
use velocitydb_engine::command::{Change, Command, Condition, Expires, Mode, Operation, Write};
use velocitydb_engine::{Document, Error};
use velocitydb_types::{ErrorClass, Fields, Key, RawMap, Timestamp, Value};

use crate::database::Database;
use crate::options::{Call, Consistency};

pub use plan::{PlanStep, SchemaPlan, ShownPlan};

/// A version of a database's schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseSchema {
    /// Its name: there may be several beside each other, of different applications.
    pub name: String,
    /// Its version, from 1.
    pub version: u64,
    /// Its collections, by name.
    pub collections: BTreeMap<String, CollectionSchema>,
    /// Collections of the former version that go, with their documents.
    #[serde(default)]
    pub dropped: Vec<String>,
    /// How far statements of collections must agree with other nodes that do not say it themselves. Kept
    /// with the schema; without a cluster it changes nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consistency: Vec<ConsistencyRule>,
}

/// The level of a kind of statement: of the rules that fit, the first one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyRule {
    /// The collection; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// What the statement does.
    pub statement: StatementKind,
    /// Only updates that set no other fields than these; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The level.
    pub level: Consistency,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StatementKind {
    /// Reads.
    Read,
    /// Inserts.
    Insert,
    /// Changes.
    Update,
    /// Deletes.
    Delete,
}

/// A collection of a [`DatabaseSchema`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionSchema {
    /// What it is to be.
    pub definition: Definition,
    /// Fields that had another name before: the old name, the new name. Of no account once the old
    /// one is gone and the new one there.
    #[serde(default)]
    pub renamed: BTreeMap<String, String>,
    /// Fields of the former version that go, with their values.
    #[serde(default)]
    pub dropped: Vec<String>,
}

impl DatabaseSchema {
    /// A schema without collections.
    pub fn new(name: impl Into<String>, version: u64) -> DatabaseSchema {
        DatabaseSchema {
            name: name.into(),
            version,
            collections: BTreeMap::new(),
            dropped: Vec::new(),
            consistency: Vec::new(),
        }
    }

    /// The level that the schema gives a statement, if it does: an update says which fields it sets.
    pub fn consistency_of(
        &self,
        collection: &str,
        statement: StatementKind,
        fields: &[&str],
    ) -> Option<Consistency> {
        let fits = |rule: &&ConsistencyRule| {
            let own = |field: &&str| rule.fields.iter().any(|own| own == field);
            rule.statement == statement
                && rule
                    .collection
                    .as_deref()
                    .is_none_or(|name| name == collection)
                && (rule.fields.is_empty() || fields.iter().all(own))
        };
        self.consistency.iter().find(fits).map(|rule| rule.level)
    }

    /// The same with one more collection.
    #[must_use]
    pub fn collection(mut self, definition: Definition) -> DatabaseSchema {
        let collection = CollectionSchema {
            definition,
            renamed: BTreeMap::new(),
            dropped: Vec::new(),
        };
        let name = collection.definition.name.clone();
        self.collections.insert(name, collection);
        self
    }

    fn content(&self) -> String {
        serde_json::to_string(self).expect("a schema has only string keys")
    }
}

/// A schema that was loaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadedSchema {
    /// What it says.
    #[serde(flatten)]
    pub schema: DatabaseSchema,
    /// A number of its content, in hexadecimal: equal for equal schemas.
    pub fingerprint: String,
    /// When it was loaded.
    #[serde(serialize_with = "text")]
    pub loaded_at: Timestamp,
    /// Log index of the document that says so.
    #[serde(skip)]
    pub(crate) index: u64,
}

/// A [`LoadedSchema`] in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRow {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// See [`LoadedSchema::fingerprint`].
    pub fingerprint: String,
    /// When it was loaded.
    pub loaded_at: String,
}

impl LoadedSchema {
    /// As a list shows it.
    pub fn row(&self) -> SchemaRow {
        SchemaRow {
            name: self.schema.name.clone(),
            version: self.schema.version,
            fingerprint: self.fingerprint.clone(),
            loaded_at: self.loaded_at.to_string(),
        }
    }
}

fn text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// Why a schema was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadSchemaError {
    /// The schema makes no sense, or does not say what becomes of what is there.
    #[error("{0}")]
    Invalid(String),
    /// Another version is loaded that does not let this one follow.
    #[error("{0}")]
    Version(String),
    /// A step was refused. What was done before it stays, the collection of this step is as it was.
    #[error("{step}: {error}{}", done_before(.done))]
    Step {
        /// What was to be done.
        step: String,
        /// Why it was not.
        error: Box<Error>,
        /// What was done before.
        done: Vec<String>,
    },
    /// Something else of the database.
    #[error(transparent)]
    Database(#[from] Error),
}

fn done_before(done: &[String]) -> String {
    match done {
        [] => "; nothing was changed".to_owned(),
        done => format!("; done before: {}", done.join("; ")),
    }
}

impl LoadSchemaError {
    /// The stable name of the error, and what the receiver can do about it.
    pub fn code(&self) -> (&'static str, ErrorClass) {
        match self {
            LoadSchemaError::Invalid(_) => ("invalid_schema", ErrorClass::Invalid),
            LoadSchemaError::Version(_) => ("schema_version", ErrorClass::Conflict),
            LoadSchemaError::Step { error, .. } => error.code(),
            LoadSchemaError::Database(error) => error.code(),
        }
    }
}

impl Database {
    /// What loading a schema would do. Changes nothing.
    ///
    /// # Errors
    /// It makes no sense, leaves out what is there, or cannot follow what is loaded.
    pub fn plan_schema(&self, schema: DatabaseSchema) -> Result<SchemaPlan, LoadSchemaError> {
        SchemaPlan::new(self, schema)
    }

    /// Loads a schema.
    ///
    /// # Errors
    /// As [`Database::plan_schema`]; or a step was refused, say by a document that does not fit.
    pub fn load_schema(&self, schema: DatabaseSchema) -> Result<SchemaPlan, LoadSchemaError> {
        let plan = self.plan_schema(schema)?;
        let _whole = plan.run(self, &Call::new(), |_| ControlFlow::Continue(()))?;
        Ok(plan)
    }

    /// The schema of this name, if one was loaded.
    pub fn schema(&self, name: &str) -> Result<Option<LoadedSchema>, Error> {
        let (engine, clock) = (&self.0.engine, &self.0.clock);
        let key = self.schema_key(name)?;
        let found = engine.get(&*self.schemas_table()?, key.as_bytes(), || clock.now());
        found.as_ref().map(read).transpose()
    }

    /// The schemas that were loaded, by name.
    pub fn schemas(&self) -> Result<Vec<LoadedSchema>, Error> {
        let view = self.snapshot();
        let mut schemas = Vec::new();
        let table = self.schemas_table()?;
        let database = self.0.namespace.id;
        view.snapshot.scan(&table, 0, |document| {
            if database.has_key(&document.id()) {
                schemas.push(read(document));
            }
            true
        })?;
        let mut schemas = schemas.into_iter().collect::<Result<Vec<_>, _>>()?;
        schemas.sort_by(|a, b| a.schema.name.cmp(&b.schema.name));
        Ok(schemas)
    }

    fn schemas_table(&self) -> Result<std::sync::Arc<Runtime>, Error> {
        let found = self.0.engine.catalog().by_id(SCHEMAS).cloned();
        found.ok_or_else(|| Error::UnknownCollection("_schemas".to_owned()))
    }

    /// Writes down that a schema was loaded, unless another one was meanwhile.
    fn record_schema(
        &self,
        schema: &DatabaseSchema,
        former: Option<&LoadedSchema>,
        call: &Call,
    ) -> Result<(), Error> {
        let now = self.0.begin(call)?;
        let version = i64::try_from(schema.version)
            .map_err(|_| Error::Invalid(format!("the version {} is too large", schema.version)))?;
        let fields = BTreeMap::from([
            ("name".to_owned(), Value::from(schema.name.as_str())),
            ("version".to_owned(), Value::Int(version)),
            ("content".to_owned(), Value::from(schema.content().as_str())),
            ("loaded_at".to_owned(), Value::Time(now)),
        ]);
        let fields =
            Fields::from_map(&fields).map_err(|error| Error::Invalid(error.to_string()))?;
        let operation = Operation {
            collection: SCHEMAS,
            key: Cow::Owned(self.schema_key(&schema.name)?.into_bytes().into_vec()),
            condition: Condition::Index(former.map_or(0, |former| former.index)),
            change: Change::Put(Cow::Owned(fields.into_bytes().into_vec())),
            expires: Expires::Never,
        };
        let write = Write {
            mode: Mode::Atomic,
            resolved_at: self.0.engine.catalog().changed_at(),
            operations: Cow::Owned(vec![operation]),
            retry: None,
        };
        let engine = &self.0.engine;
        engine.propose(now, &Command::Write(write), call.durability)?;
        Ok(())
    }

    fn schema_key(&self, name: &str) -> Result<Key, Error> {
        let key = self.0.namespace.id.key(name);
        key.map_err(|error| Error::Invalid(format!("the schema name {name:?}: {error}")))
    }
}

fn read(document: &Document) -> Result<LoadedSchema, Error> {
    let fields: RawMap<'_> = document.fields();
    let damaged = |what: &str| Error::Damaged(format!("a schema in _schemas: {what}"));
    let content = fields.get("content").and_then(|text| text.as_str());
    let content = content.ok_or_else(|| damaged("it has no content"))?;
    let loaded_at = fields.get("loaded_at").and_then(|time| time.as_time());
    Ok(LoadedSchema {
        schema: serde_json::from_str(content).map_err(|error| damaged(&error.to_string()))?,
        fingerprint: fingerprint(content),
        loaded_at: loaded_at.ok_or_else(|| damaged("it has no time"))?,
        index: document.meta().index,
    })
}

fn fingerprint(content: &str) -> String {
    format!("{:016x}", velocitydb_engine::command::fingerprint(&content))
}
