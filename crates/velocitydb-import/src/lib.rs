//! Imports and exports collections: files, pipes and HTTP bodies in, text out.
//!
//! In: [`open`] takes any source of bytes and sees what it is. What happens to a byte on the way,
//! and the module that does it:
//!
//! 1. `input` counts it for the [`Progress`] and decompresses it (gzip, zstd, seen by their
//!    first bytes);
//! 2. `delimited` splits the rows of a CSV, `lines` the lines of NDJSON, `elements` the elements
//!    of a JSON array; `ndjson` reads the latter two;
//! 3. `table` gives each column of a CSV a type, by `infer` from a sample or as declared, and
//!    `typed` makes a value of a type from a text or from JSON;
//! 4. `reader` hands the [`Row`] out, or the error to whoever asked for bad rows; of a file that
//!    was exported, `exported` hands out definitions and documents ([`ExportReader`]);
//! 5. `load` puts them into a collection, many in one write.
//!
//! Out: [`Export`] writes collections of one snapshot, in a form that keeps all types (`exported`,
//! `tagged`) or plainly, [`Compressor`] makes it smaller; `digest` tells whether what came back is what went out.
//!
//! Invariants: memory is bounded by a small multiple of [`Options::row_bytes_max`] and a batch,
//! whatever the input; no input causes a panic; a row is given whole or not at all; each error
//! names its line.
//!
//! Beside it, `schema_file` reads what a database is to hold, from YAML or JSON.
//!
//! What is not here: names of files and directories, HTTP, threads.
//!
//! Tests: in each module; whole inputs, the sample data and arbitrary bytes in `reader/tests.rs`;
//! round trips in velocitydb-cli (tests/it/export.rs).

#![forbid(unsafe_code)]

mod compress;
mod delimited;
mod digest;
mod elements;
mod error;
mod export;
mod exported;
mod infer;
mod input;
mod lines;
mod load;
mod ndjson;
mod options;
mod reader;
mod schema_file;
mod table;
mod tagged;
mod typed;

pub use compress::{Compression, Compressor};
pub use digest::DataDigest;
pub use error::{ErrorKind, ImportError};
pub use export::{COLUMNS_MAX, Export, ExportError, Layout, Written};
pub use exported::{ExportReader, Exported, Item};
pub use input::Progress;
pub use load::{
    BAD_ROWS_KEPT, BadRow, Create, Ids, LoadError, LoadOptions, Loader, Met, OnBadRow, Present,
    with_id_type,
};
pub use options::{BadRows, Format, Header, Missing, Options};
pub use reader::{Opened, Reader, Row, open};
pub use schema_file::{SchemaFileError, nearest, read_schema_file};
pub use table::{Column, TypeOrigin, Widening};
