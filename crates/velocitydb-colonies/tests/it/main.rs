//! The groups of the adapter, assignment by many at once, graphs, and what a crash leaves.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used)]

mod assignment;
mod contract;
mod crash;
mod example;
mod graphs;
mod groups;
mod processes;
mod races;
mod schema;
mod support;
mod waiting;
