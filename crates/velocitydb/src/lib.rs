//! VelocityDB, embedded: documents in memory, over one log, in your process.
//!
//! ```no_run
//! use velocitydb::{Database, Definition, Expected, Options, Update};
//!
//! # fn main() -> Result<(), velocitydb::Error> {
//! let db = Database::open(Options::at("data"))?;
//! let tasks = db.create_collection(Definition::new("tasks"))?.value;
//! tasks.insert_with_id("t1", [("state", "waiting".into())])?;
//! let won = tasks.compare_and_swap(
//!     "t1",
//!     &Expected::field("state", "waiting"),
//!     Update::new().set("state", "running"),
//! )?;
//! println!("{won:?}");
//! # Ok(()) }
//! ```
//!
//! In reading order: [`Options`] and [`Call`] say what is wanted; [`Database`] opens, begins
//! transactions and takes snapshots; [`Collection`] reads and changes documents; [`Query`] asks
//! for them step by step; [`Batch`] does several things at once; [`Transaction`] does them in
//! steps; [`Changes`] follows what is written. All calls block; none needs an
//! async runtime, and `Database::run` (feature `async`) makes a future of any of them.
//!
//! What this crate adds to `velocitydb-engine`: a clock, randomness, threads, names and
//! conversions. What it does not know: users, protocols, SQL.
//! Tests: tests/it.

mod aggregate;
mod background;
mod batch;
mod builder;
mod bulk;
mod changes;
mod clock;
mod collection;
mod collections;
mod committing;
mod database;
mod databases;
mod doors;
mod encryption;
mod id_text;
mod ids;
mod input;
pub mod locks;
mod merge;
pub mod notifications;
mod options;
mod reader;
mod schemas;
#[cfg(feature = "full-text")]
mod search;
mod sequences;
mod temporary;
mod transaction;
mod view;

pub use batch::{Batch, BatchAnswer, BatchOutcome};
pub use builder::{Query, QueryPage};
pub use changes::{Change, Changes, ChangesRequest, Crossing};
pub use clock::{Clock, ManualClock, SystemClock};
pub use collection::{Collection, CollectionStats, Swap};
pub use collections::Collections;
pub use committing::Committing;
pub use database::{Answer, Database, Health, Read, View};
pub use databases::Guest;
pub use doors::{AskedAlteration, Described, DescribedBytes, METADATA, take_metadata};
pub use encryption::{KeyFile, read_key_file};
pub use id_text::{IdError, id_must_be, id_of_text, id_of_value};
pub use input::{Expected, Id, Input, Update};
pub use options::{Background, Call, Consistency, Expiry, IDEMPOTENCY_KEPT, Options};
pub use reader::Reader;
pub use schemas::{
    CollectionSchema, ConsistencyRule, DatabaseSchema, LoadSchemaError, LoadedSchema, PlanStep,
    SchemaPlan, SchemaRow, ShownPlan, StatementKind,
};
#[cfg(feature = "full-text")]
pub use search::{Found, Search, languages};
pub use sequences::{Sequence, SequenceDefinition, SequenceError, SequenceOwner, SequencePosition};
pub use temporary::{TEMPORARY, is_temporary};
pub use transaction::{FreeRows, Freed, Settled, Settling, Transaction};
pub use view::{CollectionView, Page, PageRequest};

pub use velocitydb_engine::catalog::{
    Alteration, DatabaseDefinition, DatabaseId, Definition, Direction, IndexDefinition, IndexField,
    IndexKind, Kind, Persistence, PrimaryKey, TimeToLive,
};
pub use velocitydb_engine::changes::{
    ChangeKind, HistoryKept, HistoryOptions, Position, VisibleWatch,
};
pub use velocitydb_engine::command::{Effect, Outcome, ReferenceError, Refusal};
pub use velocitydb_engine::crypt::{EncryptionKey, EncryptionKeys, KeyError, KeyId};
pub use velocitydb_engine::disk;
pub use velocitydb_engine::log::{Compression, LogOptions, LogStats, WritePath};
pub use velocitydb_engine::store::{IndexStats, Partition, TableBytes};
#[cfg(feature = "full-text")]
pub use velocitydb_engine::text;
pub use velocitydb_engine::transaction::{Gone, Isolation, Savepoint};
pub use velocitydb_engine::{
    CheckpointStats, Document, Durability, EngineStats, Error, Meta, Recovery, Rekey, StorageMode,
};
pub use velocitydb_query as query;
pub use velocitydb_types::{
    self as types, Date, Decimal, DefaultValue, ErrorClass, Field, FieldType, Fields, Interval,
    Key, OnDelete, Openness, Path, Point, RawMap, RawValue, Schema, SqlType, TimeSpan, Timestamp,
    Uuid, Value,
};
