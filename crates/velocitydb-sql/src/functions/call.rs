//! What a function sees of its arguments.

use std::borrow::Cow;
use std::sync::Arc;

use velocitydb_query::{Cell, QueryError};
use velocitydb_types::number::Number;
use velocitydb_types::view::ArrayView;
use velocitydb_types::{Date, Decimal, Interval, SqlType, Value, View};

use super::{Bound, fault};

/// The arguments of one call, all evaluated.
pub(super) struct Call<'c, 'a> {
    pub(super) values: &'c [Cell<'a>],
    pub(super) bound: &'c Bound,
}

/// A pattern, compiled; and what it was compiled of.
pub(super) struct Compiled {
    pub(super) text: Box<str>,
    pub(super) flags: Box<str>,
    pub(super) regex: Arc<regex::Regex>,
}

fn wrong(wanted: &str, cell: &Cell<'_>) -> QueryError {
    let message = format!("expected {wanted}, found {}", cell.type_name());
    fault("42804", message)
}

/// The text that a cell is.
pub(super) fn text_of<'c>(cell: &'c Cell<'_>) -> Result<&'c str, QueryError> {
    match cell.view() {
        View::Str(bytes) => std::str::from_utf8(bytes).map_err(|_| wrong("UTF-8", cell)),
        _ => Err(wrong("a text", cell)),
    }
}

/// The integer that a cell is.
pub(super) fn int_of(cell: &Cell<'_>) -> Result<i64, QueryError> {
    match cell.view() {
        View::Number(Number::Int(int)) => Ok(int),
        _ => Err(wrong("an integer", cell)),
    }
}

impl<'c, 'a> Call<'c, 'a> {
    /// How many arguments there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// What an argument is.
    pub(super) fn sql_type(&self, index: usize) -> SqlType {
        self.bound.arguments[index]
    }

    pub(super) fn cell(&self, index: usize) -> &'c Cell<'a> {
        &self.values[index]
    }

    pub(super) fn is_null(&self, index: usize) -> bool {
        self.cell(index).is_null()
    }

    pub(super) fn view(&self, index: usize) -> View<'c> {
        self.cell(index).view()
    }

    pub(super) fn value(&self, index: usize) -> Value {
        self.cell(index).clone().into_value()
    }

    pub(super) fn bool(&self, index: usize) -> Result<bool, QueryError> {
        match self.view(index) {
            View::Bool(bool) => Ok(bool),
            _ => Err(wrong("true or false", self.cell(index))),
        }
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, QueryError> {
        int_of(self.cell(index))
    }

    pub(super) fn float(&self, index: usize) -> Result<f64, QueryError> {
        match self.view(index) {
            View::Number(number) => Ok(number.to_f64()),
            _ => Err(wrong("a number", self.cell(index))),
        }
    }

    pub(super) fn decimal(&self, index: usize) -> Result<Cow<'c, Decimal>, QueryError> {
        match self.view(index) {
            View::Number(Number::Decimal(decimal)) => Ok(decimal),
            View::Number(Number::Int(int)) => Ok(Cow::Owned(Decimal::from(int))),
            _ => Err(wrong("a numeric", self.cell(index))),
        }
    }

    pub(super) fn text(&self, index: usize) -> Result<&'c str, QueryError> {
        text_of(self.cell(index))
    }

    pub(super) fn bytes(&self, index: usize) -> Result<&'c [u8], QueryError> {
        match self.view(index) {
            View::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong("bytes", self.cell(index))),
        }
    }

    pub(super) fn date(&self, index: usize) -> Result<Date, QueryError> {
        match self.view(index) {
            View::Date(date) => Ok(date),
            _ => Err(wrong("a date", self.cell(index))),
        }
    }

    /// Microseconds since 1970.
    pub(super) fn time(&self, index: usize) -> Result<i64, QueryError> {
        match self.view(index) {
            View::Time(time) => Ok(time.0),
            _ => Err(wrong("a timestamp", self.cell(index))),
        }
    }

    pub(super) fn interval(&self, index: usize) -> Result<Interval, QueryError> {
        match self.view(index) {
            View::Interval(interval) => Ok(interval),
            _ => Err(wrong("an interval", self.cell(index))),
        }
    }

    pub(super) fn array(&self, index: usize) -> Result<ArrayView<'c>, QueryError> {
        match self.view(index) {
            View::Array(array) => Ok(array),
            _ => Err(wrong("an array", self.cell(index))),
        }
    }
}

/// The value that a view shows.
pub(super) fn owned(view: View<'_>) -> Value {
    view.to_value()
}
