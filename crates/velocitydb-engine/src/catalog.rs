//! Which collections there are, and what each is.
//!
//! The catalog is itself kept as documents, in the collection [`COLLECTIONS`] (id: the name), so
//! that it is logged, checkpointed and digested as everything else. [`Catalog`] is its form at
//! run time: immutable, replaced as a whole when a definition changes. A snapshot keeps the one
//! that belongs to its index.
//!
//! Tests: `tests::formats`, and the embedded library.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_epoch::pin;
use serde::{Deserialize, Serialize};
use velocitydb_types::{
    DOCUMENT_BYTES_MAX, Field, FieldType, Fields, Key, Path, RawMap, Reference, Schema, Value,
};

mod alteration;
mod database;
mod expiry;
mod index;
mod primary_key;
mod references;

pub use alteration::Alteration;
pub use database::{DatabaseDefinition, DatabaseId};
pub use expiry::TimeToLive;
pub(crate) use index::Indexed;
pub use index::{Direction, INDEX_FIELDS_MAX, IndexDefinition, IndexField, IndexKind, PARTITION};
pub use primary_key::{PRIMARY_KEY_FIELDS_MAX, PrimaryKey};

pub(crate) use database::Namespace;
pub(crate) use references::Referrer;

use crate::command::Refusal;
use crate::stage::index_key;
use crate::store::{FieldIndex, Table, TableBytes};

/// Number of a collection. Never used again, also after a drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollectionId(pub u32);

/// The collection of the definitions.
pub const COLLECTIONS: CollectionId = CollectionId(0);
/// The collection of the outcomes of requests with an idempotency key.
pub const RETRIES: CollectionId = CollectionId(1);
/// The collection of the schemas that were loaded, by name.
pub const SCHEMAS: CollectionId = CollectionId(2);
/// The collection of the sequences, by name.
pub const SEQUENCES: CollectionId = CollectionId(3);
/// The collection of the databases, by number.
pub const DATABASES: CollectionId = CollectionId(4);
/// Collections that users create are numbered from here.
pub(crate) const FIRST_USER_COLLECTION: CollectionId = CollectionId(16);

/// New collections of a transaction have numbers from here until it is committed, each transaction its
/// own.
pub(crate) const PROVISIONAL: CollectionId = CollectionId(1 << 31);

impl CollectionId {
    /// Whether it is the number of a collection that a transaction has made, and nobody else knows.
    pub fn is_provisional(self) -> bool {
        self >= PROVISIONAL
    }

    /// The number that it stands for, where the first provisional one stands for `first`.
    pub(crate) fn real(self, first: CollectionId) -> CollectionId {
        match self.0.checked_sub(PROVISIONAL.0) {
            Some(which) => CollectionId(first.0.saturating_add(which)),
            None => self,
        }
    }
}

/// The longest name of a collection or an index, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// The longest definition, in bytes of JSON: it is kept in a document.
pub const DEFINITION_BYTES_MAX: usize = DOCUMENT_BYTES_MAX / 2;

/// What a collection is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// Documents with fields.
    #[default]
    Document,
}

/// Whether a collection's documents survive a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Persistence {
    /// Every change is an entry of the log.
    #[default]
    Logged,
    /// A cache: never logged, empty after a start.
    Volatile,
}

/// What a collection is. Built by [`Definition::new`] and the methods that follow it, or read from
/// JSON, where everything but the name may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a definition, an object")]
pub struct Definition {
    /// The name: 1 to [`NAME_BYTES_MAX`] bytes of letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub kind: Kind,
    /// Whether it survives a restart.
    #[serde(default)]
    pub persistence: Persistence,
    /// The fields that are the id; `None`: ids stand beside the fields.
    #[serde(default)]
    pub primary_key: Option<PrimaryKey>,
    /// The fields.
    #[serde(default)]
    pub schema: Schema,
    /// Indexes besides those of unique fields.
    #[serde(default)]
    pub indexes: Vec<IndexDefinition>,
    /// When documents expire that do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<TimeToLive>,
    /// What people say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A collection at run time: its definition and its documents.
pub struct Collection {
    /// The number.
    pub id: CollectionId,
    /// The database that it is in.
    pub database: DatabaseId,
    /// What it is.
    pub definition: Definition,
    /// Its name, for those who keep it.
    pub(crate) name: Arc<str>,
    /// Log index of the entry that made this definition.
    pub defined_at: u64,
    pub(crate) table: Arc<Table>,
    /// Fields whose values are ids of another collection's documents, and its name.
    pub(crate) references: Vec<(Path, String)>,
    /// The index by whose retention its documents expire, if there is one.
    pub(crate) retention: Option<IndexDefinition>,
    /// Set once another definition, or none, stands in the visible catalog.
    pub(crate) superseded: AtomicBool,
}

/// See the module.
#[derive(Clone)]
pub struct Catalog {
    /// Log index of the newest change.
    pub(crate) changed_at: u64,
    pub(crate) by_id: BTreeMap<CollectionId, Arc<Collection>>,
    pub(crate) databases: BTreeMap<DatabaseId, Namespace>,
}

/// What the index of a unique field is called.
pub(crate) fn unique_name(field: &str) -> String {
    format!("_unique_{field}")
}

/// What the index of a field that refers is called.
pub(crate) fn reference_name(field: &str) -> String {
    format!("_references_{field}")
}

/// A name that may be a collection's or an index's.
pub fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(good) {
        return Err(Refusal::BadDefinition(format!(
            "the {what} name {name:?} is not 1 to {NAME_BYTES_MAX} bytes of letters, digits, \
             '_', '-' and '.'"
        )));
    }
    // Clients resolve such segments of a path away.
    if name.chars().all(|c| c == '.') {
        return Err(Refusal::BadDefinition(format!(
            "the {what} name {name:?} needs a character other than '.'"
        )));
    }
    if name.starts_with('_') {
        return Err(Refusal::BadDefinition(format!(
            "the {what} name {name:?} begins with '_', which is reserved"
        )));
    }
    Ok(())
}

impl Definition {
    /// An open collection of documents, logged, with ids beside the fields.
    pub fn new(name: impl Into<String>) -> Definition {
        Definition {
            name: name.into(),
            kind: Kind::Document,
            persistence: Persistence::Logged,
            primary_key: None,
            schema: Schema::open(),
            indexes: Vec::new(),
            ttl: None,
            comment: None,
        }
    }

    /// The same; documents expire this many seconds after their last change.
    #[must_use]
    pub fn expire_after(self, seconds: u32) -> Definition {
        let ttl = Some(TimeToLive {
            seconds,
            field: None,
        });
        Definition { ttl, ..self }
    }

    /// The same; documents expire this many seconds after the time in `field`.
    #[must_use]
    pub fn expire_after_field(self, field: Path, seconds: u32) -> Definition {
        let ttl = Some(TimeToLive {
            seconds,
            field: Some(field),
        });
        Definition { ttl, ..self }
    }

    /// The same with this schema.
    #[must_use]
    pub fn schema(self, schema: Schema) -> Definition {
        Definition { schema, ..self }
    }

    /// The same with ids taken from a field, or from several.
    #[must_use]
    pub fn primary_key(self, fields: impl Into<PrimaryKey>) -> Definition {
        Definition {
            primary_key: Some(fields.into()),
            ..self
        }
    }

    /// The same, volatile.
    #[must_use]
    pub fn volatile(self) -> Definition {
        Definition {
            persistence: Persistence::Volatile,
            ..self
        }
    }

    /// Whether everything in it is sound.
    pub fn check(&self) -> Result<(), Refusal> {
        check_name("collection", &self.name)?;
        if let Some(primary_key) = &self.primary_key {
            primary_key.check(&self.schema)?;
        }
        for (at, index) in self.indexes.iter().enumerate() {
            index.check()?;
            if self.indexes[..at]
                .iter()
                .any(|other| other.name == index.name)
            {
                return Err(Refusal::IndexExists(index.name.clone()));
            }
        }
        let bytes = serde_json::to_string(self).map_or(usize::MAX, |text| text.len());
        if bytes > DEFINITION_BYTES_MAX {
            return Err(Refusal::BadDefinition(format!(
                "the definition takes {bytes} bytes as JSON; at most {DEFINITION_BYTES_MAX} are \
                 allowed"
            )));
        }
        let mut retentions = self
            .indexes
            .iter()
            .filter(|index| index.retention.is_some());
        if let (Some(first), Some(second)) = (retentions.next(), retentions.next()) {
            return Err(Refusal::BadDefinition(format!(
                "the indexes {:?} and {:?} both have a retention: documents expire by one",
                first.name, second.name
            )));
        }
        Ok(())
    }

    /// The same; the collection `from`, where fields refer to it, is called `to`.
    pub(crate) fn with_references_renamed(mut self, from: &str, to: &str) -> Definition {
        self.schema = self.schema.with_references_renamed(from, to);
        self
    }

    /// The same without what no document or index depends on that is there.
    fn bare(&self) -> Definition {
        let mut bare = self.clone();
        bare.comment = None;
        bare.schema = bare.schema.bare();
        for index in &mut bare.indexes {
            index.comment = None;
        }
        bare
    }

    /// The index by whose retention documents expire.
    pub(crate) fn retention(&self) -> Option<&IndexDefinition> {
        self.indexes.iter().find(|index| index.retention.is_some())
    }

    /// Whether documents expire that do not say it themselves.
    fn expires(&self) -> bool {
        self.ttl.is_some() || self.retention().is_some()
    }

    /// All indexes: of fields that are unique or refer first, then [`Self::indexes`].
    pub fn all_indexes(&self) -> impl Iterator<Item = IndexDefinition> {
        let fields = self.schema.fields().iter();
        let fields = fields.filter_map(|field| {
            let path = vec![Path::field(&field.name)];
            match (field.unique, &field.references) {
                (true, _) => Some(IndexDefinition::unique(unique_name(&field.name), path)),
                (false, Some(_)) => Some(IndexDefinition::hash(reference_name(&field.name), path)),
                (false, None) => None,
            }
        });
        fields.chain(self.indexes.iter().cloned())
    }

    /// The fields that refer to other collections.
    fn references(&self) -> impl Iterator<Item = (&Field, &Reference)> {
        let fields = self.schema.fields().iter();
        fields.filter_map(|field| Some((field, field.references.as_ref()?)))
    }

    /// The same, with fields that refer to nothing: for documents that come before those that they
    /// refer to.
    #[must_use]
    pub fn without_references(mut self) -> Definition {
        self.schema = self.schema.without_references();
        self
    }

    /// The declared type of the id, where that is one field.
    fn id_type(&self) -> Option<FieldType> {
        let field = self.schema.field(self.primary_key.as_ref()?.only()?)?;
        Some(field.kind).filter(|kind| *kind != FieldType::Json)
    }

    /// The id that a document's fields name, when there is a primary key; or what is wrong.
    pub fn key_in(&self, fields: RawMap<'_>) -> Result<Option<Key>, String> {
        let value = |name: &str| fields.get(name).map(|value| value.to_value());
        let key = |key: &PrimaryKey| key.key(|name| value(name).unwrap_or_default());
        self.primary_key.as_ref().map(key).transpose()
    }

    /// As the document that the catalog keeps.
    pub(crate) fn to_document(&self, id: CollectionId, database: DatabaseId) -> Fields {
        let text = serde_json::to_string(self).expect("a definition has only string keys");
        let fields = BTreeMap::from([
            ("id".to_owned(), Value::Int(i64::from(id.0))),
            ("database".to_owned(), Value::Int(i64::from(database.0))),
            ("definition".to_owned(), Value::String(text)),
        ]);
        Fields::from_map(&fields).expect("three known fields")
    }

    /// The inverse of [`Definition::to_document`]; the error says what is wrong.
    pub(crate) fn from_document(
        fields: RawMap<'_>,
    ) -> Result<(CollectionId, DatabaseId, Definition), String> {
        let number = |field| {
            let number = fields.get(field).and_then(|number| number.as_int());
            number.and_then(|number| u32::try_from(number).ok())
        };
        let id = number("id").ok_or("a definition without an id")?;
        let database = number("database").ok_or("a definition without a database")?;
        let text = fields
            .get("definition")
            .and_then(|text| text.as_str())
            .ok_or("a definition without its text")?;
        let definition: Definition =
            serde_json::from_str(text).map_err(|error| format!("a definition: {error}"))?;
        let mut indexes = definition.indexes.iter();
        if !cfg!(feature = "full-text")
            && let Some(index) = indexes.find(|index| index.kind == IndexKind::FullText)
        {
            return Err(format!(
                "the index {:?} of {:?} is a full-text index, for which this program was not built",
                index.name, definition.name
            ));
        }
        Ok((CollectionId(id), DatabaseId(database), definition))
    }
}

impl Collection {
    pub(crate) fn new(
        id: CollectionId,
        database: DatabaseId,
        definition: Definition,
        defined_at: u64,
        table: Arc<Table>,
    ) -> Collection {
        let references = definition.references();
        let references = references
            .map(|(field, reference)| (Path::field(&field.name), reference.collection.clone()))
            .collect();
        Collection {
            id,
            database,
            references,
            retention: definition.retention().cloned(),
            name: definition.name.as_str().into(),
            definition,
            defined_at,
            table,
            superseded: AtomicBool::new(false),
        }
    }

    /// Whether the visible catalog has another definition under this number, or none: whoever
    /// keeps a handle looks the name up again.
    #[inline]
    pub fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    pub(crate) fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    /// Asks the memory for what a write of this key will read first, so that it is there when
    /// the write's turn comes.
    #[inline]
    pub fn prefetch(&self, key: &[u8]) {
        self.table.prefetch(key);
    }

    /// The indexes that its documents are in, whether they are built yet or not, as far as this
    /// definition has them: one that was made later does not serve snapshots of before.
    pub fn indexes(&self) -> impl Iterator<Item = Arc<FieldIndex>> {
        let indexes = Arc::clone(&self.table.indexes());
        (0..indexes.len()).filter_map(move |at| {
            let index = &indexes[at];
            self.has_index(index.definition())
                .then(|| Arc::clone(index))
        })
    }

    /// The one of this name among [`Collection::indexes`].
    pub fn index(&self, name: &str) -> Option<Arc<FieldIndex>> {
        let indexes = self.table.indexes();
        let found = indexes.iter().find(|index| {
            let definition = index.definition();
            definition.name == name && self.has_index(definition)
        });
        found.cloned()
    }

    /// Whether it is one of the definition, or of one of its fields.
    pub(crate) fn has_index(&self, index: &IndexDefinition) -> bool {
        let mut own = self.definition.indexes.iter();
        index.name.starts_with('_') || own.any(|own| own.is_made_as(index))
    }

    /// About how many entries an index has for a key. O(log n).
    pub fn estimate_equal(&self, index: &FieldIndex, key: &[u8]) -> usize {
        self.table.estimate_equal(index, key)
    }

    /// Refuses fields with values that are too long for an index or too many, or for which an index's
    /// expression has no value.
    pub fn check_index_keys(&self, key: &[u8], fields: RawMap<'_>) -> Result<(), Refusal> {
        let keys = self.table.keys(None, key, Some(fields), &pin());
        keys.map(drop).map_err(|no_key| index_key(None, no_key))
    }

    /// Documents, those that expired and are not removed yet included. O(1).
    pub fn len(&self) -> u64 {
        self.table.live()
    }

    /// Whether a scan comes in the order of insertion. O(1).
    pub fn in_order(&self) -> bool {
        self.table.in_order()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it takes from memory.
    pub fn bytes(&self) -> TableBytes {
        self.table.bytes()
    }
}

impl Default for Catalog {
    /// The databases that are always there, without collections.
    fn default() -> Catalog {
        let lasting = [
            (DatabaseId::VELOCITY, "velocity"),
            (DatabaseId::POSTGRES, "postgres"),
        ];
        let lasting = lasting.map(|(id, name)| (id, Namespace::new(DatabaseDefinition::new(name))));
        Catalog {
            changed_at: 0,
            by_id: BTreeMap::new(),
            databases: BTreeMap::from(lasting),
        }
    }
}

impl Catalog {
    /// The collection of this name.
    pub fn get(&self, database: DatabaseId, name: &str) -> Option<&Arc<Collection>> {
        let id = self.databases.get(&database)?.collections.get(name)?;
        self.by_id.get(id)
    }

    /// The collection of this number.
    pub fn by_id(&self, id: CollectionId) -> Option<&Arc<Collection>> {
        self.by_id.get(&id)
    }

    /// The one of this number that a user created.
    pub(crate) fn known(&self, id: CollectionId) -> Result<&Arc<Collection>, Refusal> {
        let found = self.by_id(id).filter(|_| id >= FIRST_USER_COLLECTION);
        found.ok_or_else(|| Refusal::no_collection(id))
    }

    /// The collections that users created in a database, by name.
    pub fn collections_of(&self, database: DatabaseId) -> impl Iterator<Item = &Arc<Collection>> {
        let names = self.databases.get(&database).map(|one| &one.collections);
        let ids = names.into_iter().flat_map(BTreeMap::values);
        ids.filter_map(|id| self.by_id.get(id))
    }

    /// The collections that users created, of all databases.
    pub fn collections(&self) -> impl Iterator<Item = &Arc<Collection>> {
        self.by_id
            .range(FIRST_USER_COLLECTION..)
            .map(|(_, one)| one)
    }

    /// Log index of the newest change of any definition.
    pub fn changed_at(&self) -> u64 {
        self.changed_at
    }

    /// Adds a collection, or replaces the one of the same number.
    pub(crate) fn put(&mut self, collection: Arc<Collection>) {
        self.changed_at = self.changed_at.max(collection.defined_at);
        self.forget_referrer(collection.database, collection.id);
        let Some(database) = self.databases.get_mut(&collection.database) else {
            unreachable!("a collection is in a database that is there");
        };
        for (field, reference) in collection.definition.references() {
            let referrers = database.referrers.entry(reference.collection.clone());
            let referrers = referrers.or_default();
            referrers.push(Referrer {
                collection: collection.id,
                field: Path::field(&field.name),
                on_delete: reference.on_delete,
            });
            // What a deletion does may depend on their order: the same after an alteration as
            // after a start from a checkpoint.
            referrers.sort_by_key(|referrer| referrer.collection);
        }
        if let Some(former) = self.by_id.get(&collection.id) {
            database.collections.remove(&former.definition.name);
        }
        if collection.id >= FIRST_USER_COLLECTION {
            let name = collection.definition.name.clone();
            database.collections.insert(name, collection.id);
        }
        self.by_id.insert(collection.id, collection);
    }

    pub(crate) fn remove(&mut self, id: CollectionId, index: u64) {
        self.changed_at = index;
        let Some(collection) = self.by_id.remove(&id) else {
            return;
        };
        self.forget_referrer(collection.database, id);
        if let Some(database) = self.databases.get_mut(&collection.database) {
            database.collections.remove(&collection.definition.name);
        }
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collection({} = {:?})", self.id.0, self.definition.name)
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.collections()).finish()
    }
}
