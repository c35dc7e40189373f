//! Serves a database: listeners, health, metrics, logs.
//!
//! In reading order: [`ServerConfig`] says what is wanted; [`Server`] binds, accepts, drains and
//! closes the database; `http` turns requests into calls of the embedded library and their
//! answers into responses; [`problem_table`] lists every error that a client can meet; `metrics`
//! shows what the server and the engine count; `slow` keeps the slow operations; `transactions` keeps those
//! that clients have open, `streams` the streams of changes; [`Reloader`]
//! changes settings while the server runs; [`init_logging`] sets the logs up; `progress`
//! closes connections whose clients take nothing, `timer` those that do not ask.
//!
//! Invariants: a listener turns bytes into calls and back and decides nothing about data; a call
//! that may wait for a disk, or that takes longer than some microseconds, runs where blocking is
//! allowed, so that one fsync does not hold up others; after [`Server::shutdown`] everything that
//! was acknowledged is in a checkpoint.
//! What this crate does not know: SQL, users, other nodes.
//! Tests: in the modules that have logic of their own; tests/it against real servers.

#![forbid(unsafe_code)]

mod app;
mod config;
mod http;
mod logging;
mod lossy;
mod metrics;
mod pg;
mod progress;
mod reload;
mod server;
mod slow;
mod streams;
mod system;
mod timer;
mod transactions;

pub use config::{ServerConfig, ServerError};
pub use http::{PROBLEMS, ProblemRow, openapi, problem_table};
pub use logging::{
    LogFormat, LoggingError, check_log_filter, flush_logs, init_logging, log_panics, set_log_filter,
};
pub use lossy::LossyWriter;
pub use pg::SqlBackend;
pub use reload::{Change, ReadConfig, ReloadError, Reloaded, Reloader};
pub use server::{Bound, Server};
pub use system::raise_file_limit;
