//! Reads CSV and NDJSON, plain or compressed, into typed fields.
//!
//! A [`Reader`] takes any source of bytes and gives one [`Row`] after the other. What happens to
//! a byte on the way, and the module that does it:
//!
//! 1. `input` counts it for the [`Progress`] and decompresses it (gzip, zstd, seen by their
//!    first bytes);
//! 2. `delimited` splits the rows of a CSV, `ndjson` reads the lines of NDJSON;
//! 3. `table` gives each column of a CSV a type, by `infer` from a sample or as declared, and
//!    `typed` makes a value of a type from a text or from JSON;
//! 4. `reader` hands the row out, or the error to whoever asked for bad rows.
//!
//! Invariants: memory is bounded by a small multiple of [`Options::row_bytes_max`], whatever the
//! input; no input causes a panic; a row is given whole or not at all; each error names its line.
//!
//! What is not here: writing to a database, its names and limits, files other than one to read,
//! threads.
//!
//! Tests: in each module; whole inputs, the sample data and arbitrary bytes in `reader/tests.rs`.

#![forbid(unsafe_code)]

mod delimited;
mod error;
mod infer;
mod input;
mod ndjson;
mod options;
mod reader;
mod table;
mod typed;

pub use error::{ErrorKind, ImportError};
pub use input::Progress;
pub use options::{BadRows, Format, Header, Missing, Options};
pub use reader::{Reader, Row};
pub use table::{Column, TypeOrigin};
