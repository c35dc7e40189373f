//! The door from outside: clients by `tokio-postgres` and by hand, before a backend that knows a few
//! words (`words`).

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod bounds;
mod cancel;
mod copy;
mod flow;
mod malformed;
mod notify;
mod raw;
mod startup;
mod words;
