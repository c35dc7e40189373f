//! What ColonyOS needs of its database, in Rust: a typed adapter over VelocityDB.
//!
//! The data are those of ColonyOS's own server: the same tables, columns and texts of JSON, so that its
//! server, through the PostgreSQL door, and programs in Rust serve the same colonies at once.
//!
//! ```no_run
//! use velocitydb::Database;
//! use velocitydb_colonies::{By, Candidate, Colonies, DEFAULT_PREFIX, FunctionSpec, Indexes, Process};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = Database::open(velocitydb::Options::at("data"))?;
//! velocitydb_colonies::load(&db, DEFAULT_PREFIX, Indexes::Server)?;
//! let colonies = Colonies::open(db, DEFAULT_PREFIX);
//!
//! let mut process = Process::new(FunctionSpec::new("dev", "cli", "echo"));
//! colonies.processes().add(&mut process)?;
//!
//! let executor = Candidate::new("dev", "id of ann", "ann", "cli");
//! if let Some(process) = colonies.processes().assign(&executor)? {
//!     colonies.processes().succeed(&process.id, By::Executor("id of ann"), &["done".into()])?;
//! }
//! # Ok(()) }
//! ```
//!
//! A whole colony, with a workflow, logs and a cron, is `examples/colony.rs`. Which method of ColonyOS's
//! interfaces is which here is in docs/colonies.md.
//!
//! In reading order: `schema` (the tables), `store` (what is needed of a database), `embedded` (that,
//! over the embedded library), `row` (a row and what it means), `process`, `processes`, `counter` (who
//! asks for work at once), `closing`, `graph`, `wait`, and the other groups.
//! What it does not know: users and their rights (ColonyOS's server does), the network.
//! Tests: tests/it.

#![forbid(unsafe_code)]

mod attribute;
mod attributes;
mod blueprint;
mod closing;
mod colony;
mod counter;
mod cron;
mod embedded;
mod error;
mod executor;
mod file;
mod function;
mod generator;
mod graph;
mod ids;
mod location;
mod log;
mod model;
mod process;
mod processes;
mod records;
mod retention;
mod row;
mod schema;
mod security;
mod snapshot;
pub mod store;
mod user;
mod wait;

use std::sync::Arc;

pub use attribute::Attribute;
pub use attributes::{Attributes, Of};
pub use blueprint::{Blueprint, BlueprintDefinition, BlueprintVersion, Blueprints, Which};
pub use closing::{By, Closed, Enforced};
pub use colony::{Colony, ColonyGroup};
pub use cron::{Cron, Crons};
pub use error::Error;
pub use executor::{Allocations, Capabilities, Executor, Executors};
pub use file::{File, Files, Label, Reference, S3Object};
pub use function::{Function, Functions};
pub use generator::{Generator, GeneratorArg, Generators, Noted};
pub use graph::{Begin, Graphs, ProcessGraph, WorkflowSpec};
pub use ids::new_id;
pub use location::{Location, Locations};
pub use log::{Log, Logs, Part, Whose};
pub use model::{AttributeKind, Bytes, Cpu, ExecutorState, State};
pub use process::{Candidate, Conditions, Filesystem, FunctionSpec, Gpu, Process};
pub use processes::{Assigned, Find, Processes};
pub use retention::Removed;
pub use schema::{
    DEFAULT_PREFIX, Indexes, SCHEMA_NAME, SCHEMA_VERSION, load, make_sequence, schema, schema_with,
};
pub use security::Security;
pub use snapshot::{Snapshot, Snapshots};
pub use user::{User, Users};

use counter::Counter;
use row::Record as _;
use store::Store;
use wait::Waiters;

/// A database of colonies. Cheap to clone.
#[derive(Clone)]
pub struct Colonies {
    store: Arc<dyn Store>,
    prefix: Arc<str>,
    counter: Arc<Counter>,
    waiters: Arc<Waiters>,
}

impl Colonies {
    /// The colonies that are kept in a store under names that begin with `prefix`, where [`load`] has
    /// made the collections.
    pub fn open(store: impl Store, prefix: &str) -> Colonies {
        Colonies {
            store: Arc::new(store),
            prefix: prefix.into(),
            counter: Arc::default(),
            waiters: Arc::default(),
        }
    }

    pub(crate) fn counter(&self) -> &Counter {
        &self.counter
    }

    pub(crate) fn waiters(&self) -> &Arc<Waiters> {
        &self.waiters
    }

    /// The collections of processes and of attributes.
    pub(crate) fn process_names(&self) -> [String; 2] {
        [
            self.name(Process::COLLECTION),
            self.name(Attribute::COLLECTION),
        ]
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn name(&self, collection: &str) -> String {
        format!("{}{collection}", self.prefix)
    }

    /// The colonies themselves.
    pub fn colonies(&self) -> ColonyGroup<'_> {
        ColonyGroup { of: self }
    }

    /// Users.
    pub fn users(&self) -> Users<'_> {
        Users { of: self }
    }

    /// Executors.
    pub fn executors(&self) -> Executors<'_> {
        Executors { of: self }
    }

    /// Functions that executors have.
    pub fn functions(&self) -> Functions<'_> {
        Functions { of: self }
    }

    /// Processes.
    pub fn processes(&self) -> Processes<'_> {
        Processes { of: self }
    }

    /// Attributes of processes.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes { of: self }
    }

    /// Graphs of processes: workflows.
    pub fn graphs(&self) -> Graphs<'_> {
        Graphs { of: self }
    }

    /// Generators.
    pub fn generators(&self) -> Generators<'_> {
        Generators { of: self }
    }

    /// Crons.
    pub fn crons(&self) -> Crons<'_> {
        Crons { of: self }
    }

    /// Logs.
    pub fn logs(&self) -> Logs<'_> {
        Logs { of: self }
    }

    /// Files.
    pub fn files(&self) -> Files<'_> {
        Files { of: self }
    }

    /// Snapshots of labels.
    pub fn snapshots(&self) -> Snapshots<'_> {
        Snapshots { of: self }
    }

    /// Blueprints, their definitions and their history.
    pub fn blueprints(&self) -> Blueprints<'_> {
        Blueprints { of: self }
    }

    /// Identities.
    pub fn security(&self) -> Security<'_> {
        Security { of: self }
    }

    /// Places.
    pub fn locations(&self) -> Locations<'_> {
        Locations { of: self }
    }
}
