//! Databases: namespaces of one catalog over one log.
//!
//! Each collection is in one database, and its name is its own there; references stay within it.
//! What a database is called is a document of the collection [`super::DATABASES`] (id: its number);
//! [`DatabaseId::VELOCITY`] and [`DatabaseId::POSTGRES`] are always there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use velocitydb_types::{Fields, Key, KeyError, RawMap, Value};

use super::{Catalog, CollectionId, NAME_BYTES_MAX, Referrer};
use crate::command::Refusal;

/// Number of a database. Never used again, also after a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DatabaseId(pub u32);

impl DatabaseId {
    /// The database of those who name none.
    pub const VELOCITY: DatabaseId = DatabaseId(0);
    /// The one that clients of PostgreSQL expect.
    pub const POSTGRES: DatabaseId = DatabaseId(1);

    /// Whether it can neither be dropped nor get another name.
    pub fn is_lasting(self) -> bool {
        self <= DatabaseId::POSTGRES
    }

    /// The key of a system collection's document that a name in this database is.
    ///
    /// # Errors
    /// The name is too long.
    pub fn key(self, name: &str) -> Result<Key, KeyError> {
        match self {
            DatabaseId::VELOCITY => Key::from_value(&Value::from(name)),
            DatabaseId(number) => {
                Key::from_values(&[Value::Int(i64::from(number)), Value::from(name)])
            }
        }
    }

    /// Whether [`DatabaseId::key`] of this database made a key.
    pub fn has_key(self, key: &Key) -> bool {
        DatabaseId::of_key(key) == Some(self)
    }

    /// The database whose [`DatabaseId::key`] made a key.
    pub(crate) fn of_key(key: &Key) -> Option<DatabaseId> {
        match key.to_value() {
            Value::Array(parts) => {
                let number = parts.first()?.as_int()?;
                u32::try_from(number).ok().map(DatabaseId)
            }
            _ => Some(DatabaseId::VELOCITY),
        }
    }
}

/// What a database is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseDefinition {
    /// Its name: 1 to [`NAME_BYTES_MAX`] bytes, no control characters, no '/'.
    pub name: String,
    /// What people say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl DatabaseDefinition {
    /// A database of this name.
    pub fn new(name: impl Into<String>) -> DatabaseDefinition {
        DatabaseDefinition {
            name: name.into(),
            comment: None,
        }
    }

    /// Whether it makes sense.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let name = &self.name;
        let bad = |c: char| c == '/' || c.is_control();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(bad) {
            return Err(Refusal::BadDefinition(format!(
                "the database name {name:?} is not 1 to {NAME_BYTES_MAX} bytes without '/' and \
                 control characters"
            )));
        }
        // Clients resolve such segments of a path away.
        if name.chars().all(|c| c == '.') {
            return Err(Refusal::BadDefinition(format!(
                "the database name {name:?} needs a character other than '.'"
            )));
        }
        Ok(())
    }

    /// As the document that the catalog keeps.
    pub(crate) fn to_document(&self, id: DatabaseId) -> Fields {
        let comment = self.comment.as_deref().map_or(Value::Null, Value::from);
        let fields = BTreeMap::from([
            ("id".to_owned(), Value::Int(i64::from(id.0))),
            ("name".to_owned(), Value::from(self.name.as_str())),
            ("comment".to_owned(), comment),
        ]);
        Fields::from_map(&fields).expect("three known fields")
    }

    /// The inverse of [`DatabaseDefinition::to_document`]; the error says what is wrong.
    pub(crate) fn from_document(
        fields: RawMap<'_>,
    ) -> Result<(DatabaseId, DatabaseDefinition), String> {
        let id = fields.get("id").and_then(|id| id.as_int());
        let id = id.and_then(|id| u32::try_from(id).ok());
        let name = fields.get("name").and_then(|name| name.as_str());
        let comment = fields.get("comment").and_then(|comment| comment.as_str());
        let (Some(id), Some(name)) = (id, name) else {
            return Err("a database without a number or a name".to_owned());
        };
        let definition = DatabaseDefinition {
            name: name.to_owned(),
            comment: comment.map(str::to_owned),
        };
        Ok((DatabaseId(id), definition))
    }
}

/// The names of one database.
#[derive(Clone)]
pub(crate) struct Namespace {
    pub(crate) definition: DatabaseDefinition,
    pub(crate) collections: BTreeMap<String, CollectionId>,
    /// Who refers to a collection, by its name.
    pub(crate) referrers: BTreeMap<String, Vec<Referrer>>,
}

impl Namespace {
    pub(crate) fn new(definition: DatabaseDefinition) -> Namespace {
        Namespace {
            definition,
            collections: BTreeMap::new(),
            referrers: BTreeMap::new(),
        }
    }
}

impl Catalog {
    /// The databases, by number.
    pub fn databases(&self) -> impl Iterator<Item = (DatabaseId, &DatabaseDefinition)> {
        let all = self.databases.iter();
        all.map(|(id, database)| (*id, &database.definition))
    }

    /// The number of the database of this name. O(databases).
    pub fn database(&self, name: &str) -> Option<DatabaseId> {
        let mut all = self.databases();
        all.find_map(|(id, definition)| (definition.name == name).then_some(id))
    }

    /// What the database of this number is.
    pub fn database_definition(&self, id: DatabaseId) -> Option<&DatabaseDefinition> {
        self.databases.get(&id).map(|database| &database.definition)
    }

    /// Adds a database, or gives the one of this number another definition.
    pub(crate) fn put_database(&mut self, id: DatabaseId, definition: DatabaseDefinition) {
        match self.databases.get_mut(&id) {
            Some(database) => database.definition = definition,
            None => {
                self.databases.insert(id, Namespace::new(definition));
            }
        }
    }

    pub(crate) fn remove_database(&mut self, id: DatabaseId) {
        self.by_id.retain(|_, collection| collection.database != id);
        self.databases.remove(&id);
    }

    /// Refuses what would stay behind when a database was dropped meanwhile.
    pub(crate) fn check_present(&self, id: Option<DatabaseId>) -> Result<(), Refusal> {
        match id {
            Some(id) if self.databases.contains_key(&id) => Ok(()),
            Some(DatabaseId(number)) => Err(Refusal::UnknownDatabase(format!("number {number}"))),
            None => Err(Refusal::UnknownDatabase("without a number".to_owned())),
        }
    }

    /// Refuses to drop a database that is always there.
    ///
    /// # Errors
    /// It is, or there is none of this number.
    pub fn check_droppable(&self, id: DatabaseId) -> Result<(), Refusal> {
        self.passing_database(id).map(|_| ())
    }

    /// A database that may be dropped or get another name.
    pub(crate) fn passing_database(&self, id: DatabaseId) -> Result<&Namespace, Refusal> {
        let found = self.databases.get(&id);
        let found = found.ok_or_else(|| Refusal::UnknownDatabase(format!("number {}", id.0)))?;
        match id.is_lasting() {
            false => Ok(found),
            true => Err(Refusal::BadDefinition(format!(
                "the database {:?} is always there: it cannot be dropped or renamed",
                found.definition.name
            ))),
        }
    }

    /// Refuses a database of a name that another has.
    pub(crate) fn check_database(
        &self,
        id: Option<DatabaseId>,
        definition: &DatabaseDefinition,
    ) -> Result<(), Refusal> {
        definition.check()?;
        let name = &definition.name;
        match self.database(name) {
            Some(other) if Some(other) != id => Err(Refusal::DatabaseExists(name.clone())),
            _ => Ok(()),
        }
    }
}
