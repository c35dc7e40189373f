//! Questions about documents: filters, sorted pages, aggregation.
//!
//! In reading order:
//! - [`Filter`] says which documents; [`Find`] asks for them, in an order and in part
//!   ([`Projection`]);
//! - [`Pipeline`] makes new rows of them, stage by stage: groups, sums, computed fields
//!   ([`Expression`]), other collections ([`Collections`]);
//! - `language` reads and writes all of these as JSON text (docs/reference/queries.md);
//! - [`Zone`] says what clocks of a place show;
//! - `row` reads one field of whatever a stage is given, `sort` orders, `limits` bounds.
//!
//! A query does not know where its documents come from: its caller scans, a query says of each
//! document whether it wants more. So the same query runs on a snapshot, inside a transaction,
//! or on what an index has found.
//!
//! Invariants: documents are read in their encoded form, field by field, and never decoded to
//! be tested, sorted or grouped; every comparison is by the one order of values
//! ([`velocitydb_types::order`]); memory is bounded by [`Limits`]; the same documents in the same
//! order give the same answer (or are refused memory that other queries have); no query and no document causes a panic.
//!
//! What is not here: reading indexes (the planner), SQL, changes.
//! Tests: beside each module; `testscripts` are queries in JSON and their answers; `proptests`
//! compares with the obvious way on random documents.

#![forbid(unsafe_code)]

mod error;
mod expression;
mod filter;
mod find;
mod language;
mod limits;
mod memory;
mod nearest;
mod path;
mod pipeline;
pub mod plan;
mod projection;
mod row;
mod sort;
mod zone;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod testing;

pub use error::QueryError;
pub use expression::{
    Arguments, EXPRESSION_DEPTH_MAX, EXPRESSION_PARTS_MAX, Expression, FUNCTIONS, Function,
    FunctionRow, Scalar, ScalarFunction, TimeUnit, UNITS,
};
pub use filter::{
    Area, CONDITIONS_MAX, ELEMENT, FILTER_DEPTH_MAX, Filter, IN_VALUES_MAX, REGEX_BYTES_MAX,
    REGEXES_MAX, Regex, TEXTS_MAX, Text, TypeOf, VALUE_TYPES, ValueType, Values,
};
pub use find::{Cursor, Find, Hint, Unsorted};
pub use language::{JSON_BYTES_MAX, JSON_DEPTH_MAX, Json};
pub use limits::{Allowance, Kept, Limits, value_bytes};
pub use memory::QueryMemory;
pub use nearest::Near;
pub use path::IntoPath;
pub use pipeline::{
    Accumulator, BUCKETS_MAX, Bucket, BucketAuto, Collections, Densify, DensifyBounds, DensifyStep,
    Fill, FillWith, Frame, Group, Lookup, Merge, Output, Pipeline, STAGES_MAX, Share, Stage,
    Unwind, WINDOW_ROWS_MAX, WhenMatched, WhenNotMatched, Window, WindowFunction,
};
pub use plan::{Plan, plan};
pub use projection::{Projection, Projector};
pub use row::{Aggregated, Cell};
pub use sort::{Direction, Nulls};
pub use zone::Zone;
