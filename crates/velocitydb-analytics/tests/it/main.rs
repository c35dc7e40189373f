//! Queries as PostgreSQL answers them, in the scripts of `slt`.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used)]

mod slt;
mod support;
