//! What statements do, as the scripts in `slt` say it; functions, as PostgreSQL has them.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used)]

mod catalog;
mod define;
mod explain;
mod golden;
mod indexed;
mod limits;
mod memory;
mod names;
mod now;
mod planner;
mod plans;
mod random;
mod recent;
mod requests;
mod resolution;
mod script;
mod sessions;
mod settings;
mod slt;
mod support;
mod supported;
mod temporary;
mod tools;
mod types;
mod violations;
