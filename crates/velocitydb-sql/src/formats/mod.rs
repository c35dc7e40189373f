//! PostgreSQL's text and binary forms of every [`SqlType`], in and out.
//!
//! [`write_text`] and [`write_binary`] append what a client gets of a value, owned or encoded;
//! [`read_text`] and [`read_binary`] make a value of what a client sends, within the bounds of the
//! type, and say what is wrong in PostgreSQL's words, with its SQLSTATE ([`FormatError`]). What is
//! written is read back as the same value. Null has no form: whoever calls has its own sign for it.
//!
//! What differs from PostgreSQL 15, all of it because of what values are here:
//! - A numeric keeps no zeros at its end: `1.50` goes out as `1.5`, but with the scale of
//!   `numeric(10,2)` as `1.50`. There is no NaN and no infinity among numerics.
//! - There are no infinite dates and times.
//! - Members of a json object stand in the order of their names, where jsonb has the shorter names
//!   first; a name twice is refused. `json` is kept as `jsonb` is. Its numbers are integers and floats:
//!   `1.50` goes out as `1.5`, `1e2` as `100.0`.
//! - A `character(n)` is kept without the blanks at its end, and goes out with them.
//! - A point is a place on the earth: longitude and latitude within their bounds.
//! - Arrays have one dimension, and begin at 1.
//!
//! Tests: `tests`, with what PostgreSQL 15 itself said (`golden.tsv`).

pub(crate) mod abbreviations;
mod arrays;
mod binary;
mod error;
mod json_faults;
mod moments;
pub(crate) mod numbers;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use velocitydb_query::Zone;
use velocitydb_types::{SqlType, Timestamp, Value, View};

use crate::search_path::SearchPath;

pub use error::FormatError;
pub(crate) use text::{read_escaped, read_hex};

/// What of a session texts depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// In which zone a `timestamptz` is shown, and one without a zone is meant.
    pub zone: Zone,
    /// What `1/2/2026` means.
    pub date_order: DateOrder,
    /// How intervals are shown.
    pub interval_style: IntervalStyle,
    /// What `now` means.
    pub now: Now,
    /// Who asks.
    pub user: Arc<str>,
    /// The database that was asked for.
    pub database: Arc<str>,
    /// Where names without a schema are looked for.
    pub search_path: SearchPath,
}

/// What `now` means in texts: when the transaction began. Clones share it, so that what was made
/// ready earlier reads texts as of the statement that runs it.
#[derive(Debug, Clone)]
pub struct Now(Arc<Moment>);

#[derive(Debug, Default)]
struct Moment {
    micros: AtomicI64,
    /// How often it was asked for.
    asked: AtomicU64,
}

impl Now {
    /// Means this from now on.
    pub fn set(&self, now: Timestamp) {
        self.0.micros.store(now.0, Ordering::Relaxed);
    }

    fn get(&self) -> Timestamp {
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        Timestamp(self.0.micros.load(Ordering::Relaxed))
    }

    /// How often it was asked for: what is made ready meanwhile is of that moment, if this changes.
    pub(crate) fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }
}

/// Of one session.
impl PartialEq for Now {
    fn eq(&self, other: &Now) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Timestamp> for Now {
    fn from(now: Timestamp) -> Now {
        let moment = Moment {
            micros: AtomicI64::new(now.0),
            asked: AtomicU64::new(0),
        };
        Now(Arc::new(moment))
    }
}

impl Settings {
    /// PostgreSQL's own, with universal time.
    pub fn new(now: Timestamp) -> Self {
        Self {
            zone: Zone::utc(),
            date_order: DateOrder::default(),
            interval_style: IntervalStyle::default(),
            now: now.into(),
            user: "postgres".into(),
            database: "postgres".into(),
            search_path: SearchPath::default(),
        }
    }
}

/// In which order days, months and years stand where a text does not say so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DateOrder {
    /// Month, day, year.
    #[default]
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// How intervals are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalStyle {
    /// `1 day 02:00:00`
    #[default]
    Postgres,
    /// `P1DT2H`
    Iso8601,
}

/// Appends the text of a value that is not null.
///
/// # Errors
/// A value that is not of the type.
pub fn write_text<'a>(
    value: impl Into<View<'a>>,
    sql: SqlType,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let value = value.into();
    match sql {
        SqlType::Scalar(scalar) => text::write(&value, scalar, settings, out),
        SqlType::Array(element) => arrays::write_text(&value, element, settings, out),
    }
}

/// Appends the bytes of a value that is not null.
///
/// # Errors
/// A value that is not of the type, or that the bytes have no room for.
pub fn write_binary<'a>(
    value: impl Into<View<'a>>,
    sql: SqlType,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let value = value.into();
    match sql {
        SqlType::Scalar(scalar) => binary::write(&value, scalar, out),
        SqlType::Array(element) => arrays::write_binary(&value, element, out),
    }
}

/// The value of a text.
///
/// # Errors
/// It is none of the type.
pub fn read_text(text: &str, sql: SqlType, settings: &Settings) -> Result<Value, FormatError> {
    match sql {
        SqlType::Scalar(scalar) => text::read(text, scalar, settings),
        SqlType::Array(element) => arrays::read_text(text, element, settings),
    }
}

/// The value of bytes.
///
/// # Errors
/// They are not those of a value of the type.
pub fn read_binary(bytes: &[u8], sql: SqlType) -> Result<Value, FormatError> {
    match sql {
        SqlType::Scalar(scalar) => binary::read(bytes, scalar),
        SqlType::Array(element) => arrays::read_binary(bytes, element),
    }
}
