//! The shell against both of its targets: a database in this process, and a server on a port of
//! its own.
//!
//! - [`golden`]: scripts of statements with their answers, the same for both targets;
//! - [`scripts`]: standard input: lines, errors, the exit;
//! - [`figures`]: status and top of a real server.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod figures;
mod golden;
mod scripts;
mod support;
