//! State and its durability.
//!
//! The engine is the deterministic half of the database: the same log gives the same state, bit
//! by bit. It has no threads of its own but for loading a checkpoint, no clock, no randomness
//! and no network; whoever owns it (the embedded library, the simulator) brings them.
//!
//! In reading order:
//! - [`command`]: what the log says; [`catalog`]: which collections there are;
//! - [`store`]: documents in memory, in versions; [`memory`](self): their account;
//! - `stage` decides what an entry would do, `state` is the fold of the log;
//! - [`disk`], [`log`], [`checkpoint`](self), [`recovery`](self): files, and back from them;
//! - [`crypt`]: the encryption of both;
//! - `commit`: when a change is visible and its answer may go out;
//! - [`changes`]: what has changed lately, for those who follow;
//! - `text` (with the feature `full-text`): words of texts, queries over them, ranking;
//! - [`engine`]: all of it together; [`snapshot`], [`transaction`]: reads and writes over time.

mod alter;
pub mod catalog;
pub mod changes;
mod checkpoint;
pub mod command;
mod commit;
pub mod crypt;
mod define;
pub mod disk;
pub mod engine;
mod error;
pub mod log;
mod memory;
pub mod offline;
mod recovery;
pub mod snapshot;
mod stage;
mod state;
pub mod store;
#[cfg(feature = "full-text")]
pub mod text;
pub mod transaction;

#[cfg(test)]
mod tests;

pub use checkpoint::CheckpointStats;
pub use command::Results;
pub use commit::Durability;
pub use engine::{Engine, EngineOptions, EngineStats, Made, Rekey, StorageMode, Written};
pub use error::Error;
pub use recovery::Recovery;
pub use store::{Document, Meta};
