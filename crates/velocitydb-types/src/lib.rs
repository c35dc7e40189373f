//! What data is: values and their order, encoded documents, keys, schemas.
//!
//! Reading order: a [`Value`] is owned data, for building and for answers. A document is never
//! kept as a tree of values but as [`Fields`], one contiguous encoded map, read through the
//! borrowed views [`RawMap`], [`RawArray`] and [`RawValue`]. Values have one total order
//! ([`order`]), and [`Key`] and [`encode_value_key`] write bytes whose `memcmp` order is that
//! order. [`FieldOperation`]s change encoded documents, a [`Schema`] says what documents may
//! hold, an [`Expression`] is what SQL says of one, and [`FIELD_TYPES`] names every type to the outside world,
//! and a [`SqlType`] says what PostgreSQL's clients take a column for.
//! [`geo`] has distances, areas, and points in an order for indexes.
//!
//! Invariants: no `unsafe`; nothing here reads a clock, draws randomness or does I/O, so that
//! every function is deterministic; bytes from outside enter through `validate` and never
//! panic.
//!
//! What is not here: filters, metadata (`_id`, `_version`, …), collections,
//! and anything that knows of a log or a protocol.
//!
//! Tests: in each module; `proptests` holds the laws that span modules, `testscripts` what is
//! said of schemas and expressions.

#![forbid(unsafe_code)]

mod coerce;
pub mod date_words;
pub mod decimal;
pub mod encoding;
pub mod error;
pub mod expression;
pub mod fields;
pub mod geo;
pub mod ids;
pub mod interval;
pub mod json;
pub mod key;
pub mod migration;
pub mod number;
pub mod order;
mod ordered;
pub mod path;
pub mod pattern;
pub mod point;
pub mod raw;
pub mod schema;
pub mod span;
pub mod sql_type;
pub mod terms;
pub mod text;
pub mod time;
pub mod types;
pub mod update;
mod validate;
pub mod value;
pub mod value_ref;
pub mod view;

#[cfg(test)]
mod proptests;
#[cfg(test)]
mod scripts;

pub use decimal::{Decimal, DecimalError};
pub use encoding::{EncodeError, encode_value};
pub use error::{ClassRow, ERROR_CLASSES, ErrorClass};
pub use expression::{Comparison, EvaluationError, Expression, ExpressionError, Shown};
pub use fields::{Fields, FieldsBuilder};
pub use ids::{Uuid, uuid_v7};
pub use interval::{Interval, IntervalError};
pub use json::{JsonError, read_fields, write_json, write_jsonb};
pub use key::{Key, KeyError};
pub use migration::{Migration, MigrationError};
pub use number::{NumberError, add_numbers};
pub use order::compare;
pub use ordered::{decode_value_key, encode_string_prefix, encode_value_key};
pub use path::{Path, PathError};
pub use point::{Point, PointError};
pub use raw::{RawArray, RawMap, RawValue};
pub use schema::{
    Check, Constraints, DefaultValue, Field, Identity, Misfit, OnDelete, Openness, Reference,
    Schema, SchemaError, SqlDefault,
};
pub use span::{TimeSpan, TimeSpanError};
pub use sql_type::{SCALAR_TYPES, ScalarType, SqlType, SqlTypeError, SqlTypeRow};
pub use time::{Date, TimeError, TimeUnit, Timestamp};
pub use types::{FIELD_TYPES, FieldType, TypeRow};
pub use update::{FieldOperation, UpdateError, apply, apply_with_limit, merge_patch};
pub use validate::DecodeError;
pub use value::Value;
pub use value_ref::ValueRef;
pub use view::View;

/// Containers inside containers, the document itself included.
pub const DEPTH_MAX: usize = 128;

/// Bytes of an encoded document unless the caller passes another limit: 16 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Bytes of an encoded key: 64 KiB.
pub const KEY_BYTES_MAX: usize = 64 << 10;
