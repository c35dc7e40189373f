//! Real servers on ports of the system's choice, asked by a real client.
//!
//! `harness` starts them and asks; one file for each group of routes or concern.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod assignment;
mod batch;
mod changes;
mod coding;
mod collections;
mod colonies;
mod conditions;
mod copy;
mod databases;
mod described;
mod documents;
mod expiry;
mod harness;
mod health;
mod hostile;
mod indexes;
mod lifecycle;
mod pg;
mod postgres;
mod problems;
mod queries;
mod reload;
mod schemas;
mod search;
mod sessions;
mod slow;
mod slow_operations;
mod supported;
mod temporary;
mod transactions;
mod transfer;
