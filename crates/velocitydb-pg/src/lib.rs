//! The PostgreSQL door: between clients that speak PostgreSQL's protocol (3.0) and a backend.
//!
//! It knows the protocol and nothing of SQL: what is behind it is a [`Backend`], which makes a
//! [`Session`] for each client. The modules, in the order in which a connection meets them:
//!
//! - `door`: the listener, its limits and its end;
//! - `startup`, `auth`: encryption, who the client is, and its proof;
//! - `sessions`: those that are open, and how one is cancelled;
//! - `connection`: a session's requests, one after the other;
//! - `link`, `stream`: a connection's buffers and bytes;
//! - `messages`: what clients send; `output`: what is sent to them;
//! - `backend`, `error`: the traits that a backend has, and its errors.
//!
//! Absent on purpose: SQL, types' text and binary forms, users. Tests: tests/it, with a backend
//! that knows a few words.

mod auth;
mod backend;
mod connection;
mod door;
mod error;
mod link;
mod messages;
mod output;
mod sessions;
mod startup;
mod stream;

pub use auth::{Authenticator, Proof, Trust, Verifier};
pub use backend::{
    Backend, Bind, Cancel, Client, Column, Event, Execution, Format, Oid, Parameter, Session,
    Startup, TransactionStatus, format_of,
};
pub use door::{Bound, Door, DoorError, PgConfig, accept};
pub use error::{Fields, PgError, Severity};
pub use output::{FULL_BYTES, Output, Row, Tag};
pub use tokio_rustls::{TlsAcceptor, rustls};
