//! What a simulated client asks of a database: plain data, so that one value can be printed,
//! given to the database ([`crate::Node`]) and given to the oracle ([`crate::Model`]).

use std::collections::BTreeMap;

use velocitydb::{Durability, Isolation, Value};

/// The fields of a document.
pub type Map = BTreeMap<String, Value>;

/// One change of one document.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The collection's name.
    pub collection: String,
    /// The document's id; `None` (of an insert only): a new one.
    pub id: Option<String>,
    /// What must hold.
    pub condition: Condition,
    /// What then happens.
    pub change: Change,
}

/// What must hold for a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Anything.
    Any,
    /// There is no such document.
    Absent,
    /// There is such a document.
    Present,
    /// It has this version.
    Version(u64),
    /// Its field has this value.
    Field(String, Value),
}

/// What a step does to its document.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It gets exactly these fields.
    Put(Map),
    /// Its fields change one by one.
    Patch(Vec<Patch>),
    /// It goes.
    Delete,
}

/// One change of one field.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// It gets this value.
    Set(String, Value),
    /// A number is added to it.
    Add(String, i64),
    /// It goes.
    Unset(String),
}

/// How the steps of a request belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One step, by the collection's own call.
    Single,
    /// A batch of which all happens or nothing.
    Atomic,
    /// A batch of which each step stands by itself.
    Each,
}

/// An idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// The key.
    pub key: String,
    /// How long the outcome is kept, in µs.
    pub kept_micros: u64,
}

/// A write without reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// How the steps belong together.
    pub form: Form,
    /// The steps: one of a single request.
    pub steps: Vec<Step>,
    /// Its idempotency key.
    pub retry: Option<Retry>,
    /// Its durability; the database's own when `None`.
    pub level: Option<Durability>,
}

/// What a transaction does before it commits.
#[derive(Debug, Clone, PartialEq)]
pub enum TransactionStep {
    /// Reads a document.
    Get {
        /// The collection's name.
        collection: String,
        /// The document's id.
        id: String,
    },
    /// Reads a whole collection.
    Scan {
        /// The collection's name.
        collection: String,
    },
    /// Changes a document.
    Write(Step),
    /// Takes a position to roll back to.
    Savepoint,
    /// Rolls back to the newest position, if there is one.
    RollBack,
}

/// Everything that a simulated client or its operator does.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Changes documents.
    Write(Request),
    /// Runs a transaction, with other operations just before its commit.
    Transact {
        /// Its isolation.
        isolation: Isolation,
        /// What it does.
        steps: Vec<TransactionStep>,
        /// What others do before it commits.
        meanwhile: Vec<Operation>,
        /// Its idempotency key.
        retry: Option<Retry>,
        /// Its durability.
        level: Option<Durability>,
    },
    /// Creates one of the [`crate::workload::COLLECTIONS`].
    Create(String, Option<Durability>),
    /// Drops a collection.
    Drop(String),
    /// Removes all documents of a collection.
    Truncate(String, Option<Durability>),
    /// Creates a unique index of this name over one field.
    CreateIndex {
        /// The collection's name.
        collection: String,
        /// The index's name.
        index: String,
        /// The field.
        field: String,
        /// Its durability.
        level: Option<Durability>,
    },
    /// Drops an index.
    DropIndex {
        /// The collection's name.
        collection: String,
        /// The index's name.
        index: String,
        /// Its durability.
        level: Option<Durability>,
    },
    /// Writes a checkpoint.
    Checkpoint,
    /// Does a round of background work.
    Tend,
    /// Forces the log to the disk.
    Sync,
    /// Takes a snapshot and keeps it.
    Hold,
    /// Checks the snapshot at this place of the list and lets it go.
    Release(usize),
    /// Moves the clock by so many µs, also back.
    Clock(i64),
}
