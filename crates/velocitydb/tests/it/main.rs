//! The embedded library as its users meet it: one file for each thing that they rely on.
//!
//! `support` opens databases and shortens what tests say; `gate` is a disk whose syncs wait or
//! fail when a test says so. Nothing here sleeps or measures time: threads meet at channels,
//! counters and the gate, and time is a `ManualClock`. Golden scripts are in `testscripts`.

// All of it is test code, helpers as well.
#![allow(clippy::unwrap_used)]

mod aggregates;
mod alter;
mod batches;
mod builder;
mod changes;
mod databases;
mod definitions;
mod documents;
mod encryption;
mod errors;
mod expiry;
mod futures;
mod gate;
mod handles;
mod indexes;
mod lists;
mod memory;
mod merges;
mod options;
mod orders;
mod own_writes;
mod places;
mod primary_keys;
mod queries;
mod random;
mod readme;
mod references;
mod remembered;
mod rename;
mod reopen;
mod retention;
mod retries;
mod schema;
mod schemas;
mod scripts;
#[cfg(feature = "full-text")]
mod search;
mod sequences;
mod snapshots;
mod support;
mod swaps;
mod temporary;
mod time_series;
mod transfers;
mod visibility;
mod volatile;
