//! The log against a disk that fails. One file per property; `model` is the oracle.
//!
//! A failure prints its seed and the operation; `VELOCITYDB_SEEDS=n` runs n seeds of each.

// All of it is test code, helpers as well.
#![allow(clippy::unwrap_used)]

mod crash;
mod damage;
mod fault;
mod found;
mod model;
mod node;
mod node_damage;
mod node_fault;
mod node_space;
mod node_threads;
mod scenario;
mod repair;
mod space;
