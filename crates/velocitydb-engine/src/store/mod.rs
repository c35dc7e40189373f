//! The in-memory multi-version store.
//!
//! In reading order: [`record`](self) (one version of a document), `rows` (from a row to its
//! newest version), `index` (from a key's hash to rows), `table` (a collection's documents),
//! `visible` (what readers may see, and when old versions go).
//!
//! ```text
//!   key ──hash──► index ──row──► rows ──► version @ 912 ──► version @ 640 ──► …
//!                                          newest            kept for a snapshot
//! ```
//!
//! Many readers, one writer: nothing here makes a reader wait. All of the crate's `unsafe` is
//! in `record`, `rows`, `index` and `ordered`.

mod index;
mod ordered;
mod record;
mod rows;
mod table;
pub(crate) mod varint;
mod visible;

#[cfg(test)]
mod tests;

pub use ordered::Order;
pub use record::{Document, Meta};
pub use table::{
    At, FieldIndex, INDEX_ELEMENTS_MAX, INDEX_KEY_BYTES_MAX, IndexStats, KeyRange, Partition,
    TableBytes, encode_directed,
};
pub use visible::Visible;

pub(crate) use index::RowId;
pub(crate) use record::{BODY_BYTES_MAX, Link, parse_body};
pub(crate) use table::{Keys, Misfit, Newest, NoKey, NoKeyReason, Table};
pub(crate) use visible::{GarbageQueue, Snapshots};
