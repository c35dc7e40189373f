//! Deterministic simulation: the same seed gives the same run, bit by bit.
//!
//! [`SimDisk`] stands in for the file system. It keeps what is written apart from what is
//! durable, and on demand it fails an operation, fills up, loses power or flips a bit.
//! [`Random`] is the one source of chance.
//!
//! Above it, one node: [`run`] makes a [`Node`], a whole database on such a disk, live from a
//! seed ([`workload`]), beside the oracle of what it must hold and answer ([`Model`]).
//!
//! For tests only. Tests: `tests/it`, one file per property.

mod ask;
mod disk;
mod fault;
mod file;
mod image;
pub mod model;
mod node;
pub mod operation;
mod random;
mod run;
pub mod workload;

pub use disk::{CrashMode, SimDisk};
pub use fault::{AfterFailedSync, FaultPlan, Operation, Repeat};
pub use model::Model;
pub use node::{Counts, DIR, Faults, Node, Settings};
pub use random::{Random, seeds};
pub use run::{Report, run};
