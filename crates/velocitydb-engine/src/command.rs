//! What the log says: entries, the commands in them, and why one may be refused.
//!
//! A command is resolved by its gateway (ids, defaults, `now()`), so that applying it depends on
//! nothing but the state and the entry. One [`Operation`] form serves every write: an insert is
//! a put on the condition that the document is absent, a compare-and-swap one on expected
//! fields, and a transaction's read is a condition without a change.
//!
//! Encoded by postcard behind a version byte ([`Entry::encode`]); docs/formats/log.md.
//! Tests: `tests::formats`, golden bytes; `tests::conditions`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use velocitydb_types::{
    EvaluationError, FieldOperation, Key, Path, SchemaError, TimeSpan, Timestamp, UpdateError,
    Value,
};

use crate::catalog::{
    Alteration, CollectionId, DatabaseDefinition, DatabaseId, Definition, IndexDefinition,
};
use crate::store::Document;

/// Version of the rules by which entries are applied. An entry names the one that it needs. Versions
/// 1 and 2 were never released.
pub const APPLY_VERSION: u8 = 3;

/// One entry of the log, without the index and the term that the log keeps beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// The proposer's clock; log time is the larger of it and the last entry's plus 1 µs.
    pub stamp: i64,
    /// What to do.
    #[serde(borrow)]
    pub command: Command<'a>,
}

/// Every kind of change there is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command<'a> {
    /// Changes of documents.
    #[serde(borrow)]
    Write(Write<'a>),
    /// Creates a collection in a database.
    CreateCollection(DatabaseId, #[serde(with = "json")] Box<Definition>),
    /// Drops a collection with its documents.
    DropCollection(CollectionId),
    /// Removes all documents of a collection.
    Truncate(CollectionId),
    /// Creates an index over the present documents.
    CreateIndex(CollectionId, #[serde(with = "json")] IndexDefinition),
    /// Drops the index of this name.
    DropIndex(CollectionId, String),
    /// Nothing, but log time goes on: what has expired meanwhile can be removed.
    Tick,
    /// Gives a collection another definition and brings its documents to it.
    Alter(CollectionId, #[serde(with = "json")] Box<Alteration>),
    /// Creates a database.
    CreateDatabase(#[serde(with = "json")] DatabaseDefinition),
    /// Gives a database another name or comment.
    AlterDatabase(DatabaseId, #[serde(with = "json")] DatabaseDefinition),
    /// Drops a database with all that is in it.
    DropDatabase(DatabaseId),
    /// Definitions, each over what those before it leave, and then changes of documents: all or
    /// nothing. The new collections have the numbers from [`CollectionId::is_provisional`]'s first on,
    /// in the order in which they are created.
    Transaction {
        /// Those of collections and indexes.
        #[serde(borrow)]
        definitions: Vec<Command<'a>>,
        /// The changes: of documents as the definitions leave them, but on conditions that they met
        /// before.
        #[serde(borrow)]
        write: Write<'a>,
    },
}

/// Changes of documents, in order, later ones seeing earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Write<'a> {
    /// Whether one refusal refuses all.
    pub mode: Mode,
    /// Log index of the catalog under which defaults and types were resolved.
    pub resolved_at: u64,
    /// The changes.
    #[serde(borrow)]
    pub operations: Cow<'a, [Operation<'a>]>,
    /// Makes the write happen once however often it is asked for.
    pub retry: Option<Retry<'a>>,
}

/// What a refusal means for the rest of a [`Write`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// All operations or none.
    Atomic,
    /// Each operation by itself.
    Each,
}

/// One change of one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Operation<'a> {
    /// The collection.
    pub collection: CollectionId,
    /// The encoded id.
    #[serde(borrow, with = "bytes")]
    pub key: Cow<'a, [u8]>,
    /// What must hold.
    pub condition: Condition,
    /// What then happens.
    #[serde(borrow)]
    pub change: Change<'a>,
    /// From when on the document is gone again.
    pub expires: Expires,
}

/// When a document that is changed expires.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expires {
    /// As its collection says ([`crate::catalog::TimeToLive`]). Where that says nothing, a new
    /// document never, a patched one as before.
    #[default]
    Default,
    /// Never.
    Never,
    /// At this time, in µs.
    At(i64),
}

/// What must hold for an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// Anything.
    None,
    /// There is no such document.
    Absent,
    /// There is such a document.
    Present,
    /// The document has this version.
    Version(u64),
    /// The document was last changed by the entry of this index; 0: there is no such document.
    /// What a transaction read; a mismatch is a conflict to be retried.
    Index(u64),
    /// The collection was last changed by the entry of this index. What a serializable
    /// transaction that scanned a collection read.
    CollectionIndex(u64),
    /// The document's fields have these values; null is also met by an absent field.
    Fields(Vec<(Path, Value)>),
}

/// What happens to a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change<'a> {
    /// Nothing: the operation is its condition.
    None,
    /// The document gets exactly these fields: an encoded map that fits the collection's schema.
    /// Whoever proposes it has checked that, under the definition that [`Write::resolved_at`]
    /// names; under another one it is refused.
    #[serde(borrow, with = "bytes")]
    Put(Cow<'a, [u8]>),
    /// Fields change one by one; the document must be there.
    Patch(Vec<FieldOperation>),
    /// The document goes.
    Delete,
}

/// An idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retry<'a> {
    /// The database in which it is the caller's.
    pub database: DatabaseId,
    /// The caller's key.
    pub key: Cow<'a, str>,
    /// Hash of the request: the same key for another request is an error.
    pub request: u64,
    /// Until when the outcome is kept; after it the entry is refused.
    pub expires: i64,
}

/// What an operation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It was a condition only.
    Checked,
    /// A document came to be.
    Inserted,
    /// A document was changed.
    Updated,
    /// A document went.
    Deleted,
}

/// The answer to one operation that was not refused.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What it did.
    pub effect: Effect,
    /// The document's version after it (of a deleted one: its last).
    pub version: u64,
    /// The document after it (of a deleted one: its last state). `None` for a repeated request.
    pub document: Option<Document>,
    /// Of a repeated request: the id that was used when it was first made.
    pub earlier_id: Option<Key>,
}

/// The answers to the operations of a write, in their order.
pub type Results = SmallVec<[Result<Outcome, Box<Refusal>>; 1]>;

/// Why an operation did not happen. Depends on nothing but the state and the entry.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// An insert met a document.
    #[error("a document with this id exists already")]
    AlreadyExists(Document),
    /// The document that was to be changed is not there.
    #[error("there is no document with this id")]
    NotFound,
    /// A compare-and-swap did not find what it expected.
    #[error("{expected}")]
    ConditionFailed {
        /// What was expected and what was found.
        expected: String,
        /// The document as it is.
        current: Document,
    },
    /// Something that a transaction read has been changed since.
    #[error("a document or collection that the transaction read has changed since: try it again")]
    Conflict,
    /// Another document has the value of a unique field.
    #[error("unique index over {fields}: another document ({holder}) has this value")]
    Unique {
        /// The name of the index.
        index: String,
        /// The fields of the index.
        fields: String,
        /// The id of the document that has the value.
        holder: String,
    },
    /// A unique index cannot be made over documents that are there.
    #[error("unique index over {fields}: the documents {first} and {second} have the same value")]
    Duplicate {
        /// The fields of the index.
        fields: String,
        /// The id of one document.
        first: String,
        /// The id of the other.
        second: String,
    },
    /// A value is too long for an index, or an array has too many elements for one.
    #[error(transparent)]
    IndexKey(Box<IndexKeyError>),
    /// An expression that an index is of has no value for a document.
    #[error(transparent)]
    IndexValue(Box<IndexValueError>),
    /// A reference would not be kept.
    #[error(transparent)]
    Reference(Box<ReferenceError>),
    /// What follows from a deletion is too much for one write.
    #[error("the write would change more than {0} documents through references: delete them first")]
    TooManyChanges(usize),
    /// The document does not fit the schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A field operation cannot be done.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The primary key's fields do not agree with the id.
    #[error("the primary key field {0} cannot be changed: delete the document and insert it anew")]
    PrimaryKeyChanged(String),
    /// The collection's definition changed after the write was resolved.
    #[error("the definition of the collection has changed meanwhile: try it again")]
    DefinitionChanged,
    /// There is no such collection.
    #[error("there is no collection {0}")]
    UnknownCollection(String),
    /// There is no such database.
    #[error("there is no database {0}")]
    UnknownDatabase(String),
    /// A database of this name exists.
    #[error("there is a database {0} already")]
    DatabaseExists(String),
    /// A collection of this name exists.
    #[error("there is a collection {0} already")]
    CollectionExists(String),
    /// An index of this name exists.
    #[error("there is an index {0} already")]
    IndexExists(String),
    /// There is no such index.
    #[error("there is no index {0}")]
    UnknownIndex(String),
    /// The definition is not sound.
    #[error("{0}")]
    BadDefinition(String),
    /// The document's time is longer ago than its collection keeps.
    #[error(
        "the time {found} is longer ago than the index {index:?} keeps documents: {retention} after \
         the end of their partition, now from {oldest} on"
    )]
    BeyondRetention {
        /// The time-series index.
        index: String,
        /// How long it keeps.
        retention: TimeSpan,
        /// The document's time, as JSON.
        found: String,
        /// The oldest time that is kept.
        oldest: Timestamp,
    },
    /// The document would be larger than a document may be.
    #[error("the document would take {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// What it would take.
        bytes: usize,
        /// What it may take.
        max: usize,
    },
    /// The collection has as many documents as a collection may have.
    #[error("the collection is full: it has 4,000,000,000 documents")]
    CollectionFull,
    /// The idempotency key was used for a different request.
    #[error("the idempotency key {0:?} was used before, for a different request")]
    RetryKeyReused(String),
    /// The idempotency key's time was over before the write arrived.
    #[error("the idempotency key {0:?} has expired")]
    RetryExpired(String),
    /// A part of a repeated request that was refused when it was first made.
    #[error("refused when it was first asked for: {0}")]
    Earlier(String),
    /// A document cannot be brought to the collection's new definition.
    #[error("document {id}: {error}")]
    Migration {
        /// Its id.
        id: String,
        /// Why.
        error: Box<velocitydb_types::MigrationError>,
    },
    /// A document's id would be another one under the collection's new definition.
    #[error(
        "document {id}: the primary key field {field:?} would become {value}, and with it the id: \
         its type cannot be altered so"
    )]
    AlteredKey {
        /// Its id.
        id: String,
        /// The field.
        field: String,
        /// What would be in it, as JSON with its type.
        value: String,
    },
    /// Volatile and logged data in one write.
    #[error("volatile and logged collections cannot be changed in one write")]
    MixedPersistence,
}

/// Why a reference between documents would not be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// A document refers to one that is not there.
    #[error("document {document}: {field} refers to {collection:?}, which has no document {value}")]
    Missing {
        /// The id of the document that refers.
        document: String,
        /// Its field.
        field: String,
        /// The collection that it refers to.
        collection: String,
        /// The field's value, as JSON.
        value: String,
    },
    /// A document that is to go is referred to.
    #[error(
        "document {id} of {collection:?} stays: document {holder} of {by:?} refers to it by {field}"
    )]
    Referenced {
        /// Its collection.
        collection: String,
        /// Its id.
        id: String,
        /// The collection of the document that refers to it.
        by: String,
        /// The id of that document.
        holder: String,
        /// Its field.
        field: String,
    },
    /// A collection whose documents others may refer to was to be dropped or truncated.
    #[error("{by:?} refers to {collection:?} by {field}: drop or alter that first")]
    CollectionReferenced {
        /// The collection.
        collection: String,
        /// The collection that refers to it.
        by: String,
        /// Its field.
        field: String,
    },
    /// A document refers to one that expires.
    #[error(
        "document {document}: {field} refers to document {value} of {collection:?}, which expires: \
         let that one never expire"
    )]
    Expires {
        /// The id of the document that refers.
        document: String,
        /// Its field.
        field: String,
        /// The collection that it refers to.
        collection: String,
        /// The field's value, as JSON.
        value: String,
    },
    /// A document that others may refer to was given an expiry.
    #[error("documents of {collection:?} cannot expire: {by:?} refers to them")]
    CannotExpire {
        /// Its collection.
        collection: String,
        /// The collection that refers to it.
        by: String,
    },
}

/// What is too much for an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}the index {index:?} takes up to {max} {what}, and here are {found}",
    id.as_ref().map(|id| format!("the document {id}: ")).unwrap_or_default()
)]
pub struct IndexKeyError {
    /// The document, where it is not the one that is written.
    pub id: Option<String>,
    /// The index.
    pub index: String,
    /// What is counted.
    pub what: &'static str,
    /// How many there are.
    pub found: usize,
    /// How many there may be.
    pub max: usize,
}

/// A document that cannot be in an index of an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}the index {index:?} is of {expression}: {error}",
    id.as_ref().map(|id| format!("the document {id}: ")).unwrap_or_default()
)]
pub struct IndexValueError {
    /// The document, where it is not the one that is written.
    pub id: Option<String>,
    /// The index.
    pub index: String,
    /// The expression.
    pub expression: String,
    /// Why it has no value.
    pub error: EvaluationError,
}

impl From<ReferenceError> for Refusal {
    fn from(error: ReferenceError) -> Refusal {
        Refusal::Reference(Box::new(error))
    }
}

impl Refusal {
    /// There is no collection of this number.
    pub(crate) fn no_collection(id: CollectionId) -> Refusal {
        Refusal::UnknownCollection(format!("number {}", id.0))
    }

    /// Whether the write was resolved under another catalog: it is resolved again, as a whole.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(
            self,
            Refusal::DefinitionChanged | Refusal::UnknownCollection(_)
        )
    }
}

/// Why an entry's bytes are not an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Written by a program of another version.
    #[error(
        "the entry needs apply version {needs}; this program has {APPLY_VERSION}: use the one that \
         wrote it"
    )]
    NeedsVersion {
        /// The version that it names.
        needs: u8,
    },
    /// Not an entry.
    #[error("the entry cannot be decoded: {0}")]
    Malformed(String),
}

impl<'a> Entry<'a> {
    /// The encoded entry.
    pub fn encode(&self) -> Vec<u8> {
        self.command.encode(self.timestamp())
    }

    /// Decodes what [`Entry::encode`] made; documents are borrowed, not yet checked.
    pub fn decode(bytes: &'a [u8]) -> Result<Entry<'a>, EntryError> {
        let (&needs, rest) = bytes
            .split_first()
            .ok_or_else(|| EntryError::Malformed("it is empty".into()))?;
        if needs != APPLY_VERSION {
            return Err(EntryError::NeedsVersion { needs });
        }
        postcard::from_bytes(rest).map_err(|error| EntryError::Malformed(error.to_string()))
    }

    /// The time stamp.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(self.stamp)
    }
}

/// So many changes take milliseconds.
const LONG_OPERATIONS_MIN: usize = 1000;

impl Command<'_> {
    /// The encoded entry that this command makes: what [`Entry::decode`] reads.
    pub fn encode(&self, stamp: Timestamp) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.bytes_about());
        bytes.push(APPLY_VERSION);
        // A struct is encoded as the tuple of its fields.
        postcard::to_extend(&(stamp.0, self), bytes).expect("writing to memory cannot fail")
    }

    /// Whether others wait for long behind it: many changes, or a definition.
    pub(crate) fn is_long(&self) -> bool {
        match self {
            Command::Write(write) => write.operations.len() > LONG_OPERATIONS_MIN,
            Command::Tick => false,
            _ => true,
        }
    }

    /// About as many bytes as the operations of a large write take, so that the buffer does not
    /// grow while it is written: each growth is a copy into fresh memory.
    fn bytes_about(&self) -> usize {
        let (Command::Write(write) | Command::Transaction { write, .. }) = self else {
            return 0;
        };
        let of = |operation: &Operation<'_>| {
            let put = match &operation.change {
                Change::Put(fields) => fields.len(),
                _ => 0,
            };
            // The lengths of both, the collection, what kinds of things they are, an index.
            16 + operation.key.len() + put
        };
        match &write.operations[..] {
            [] | [_] => 0,
            many => many.iter().map(of).sum(),
        }
    }
}

/// A number for a request that is the same for the same request, in every version of the program:
/// XXH3 of its encoding.
pub fn fingerprint(request: &impl Serialize) -> u64 {
    let bytes = postcard::to_allocvec(request).expect("writing to memory cannot fail");
    xxhash_rust::xxh3::xxh3_64(&bytes)
}

/// Definitions as JSON text: what they can say grows, by names, and old entries still read.
mod json {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        definition: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(definition).map_err(S::Error::custom)?;
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        from: D,
    ) -> Result<T, D::Error> {
        let text = <&'de str>::deserialize(from)?;
        serde_json::from_str(text).map_err(D::Error::custom)
    }
}

/// Byte strings as one block, borrowed when decoded.
mod bytes {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ptr_arg, reason = "serde hands the field over by reference")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Cow<'_, [u8]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Cow<'de, [u8]>, D::Error> {
        <&'de serde_bytes::Bytes>::deserialize(from).map(|bytes| Cow::Borrowed(&**bytes))
    }
}
