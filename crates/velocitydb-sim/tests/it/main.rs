//! The log, and a whole node, against a disk that fails. One file per property. The log's oracle is
//! `model`, that of a node `velocitydb_sim::Model`; `node*` and `found` are about the latter.
//!
//! A failure prints its seed and the operation; `VELOCITYDB_SEEDS=n` runs n seeds of each.

// All of it is test code, helpers as well.
#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod encryption;
mod fault;
mod found;
mod model;
mod node;
mod node_damage;
mod node_evolution;
mod node_fault;
mod node_space;
mod node_threads;
mod repair;
mod scenario;
mod space;
