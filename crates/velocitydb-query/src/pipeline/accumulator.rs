//! What is computed over the rows of a group.
//!
//! As in SQL: null and absent are left out, count aside, and over nothing a sum, a mean, a least and
//! a greatest are null. First and last do take nulls: after a sort they answer whose the extreme
//! was.
//!
//! Sums are exact as long as no float is among the numbers: integers are added in 128 bits, which
//! no number of rows can overflow, decimals without rounding. A sum of integers beyond 64 bits
//! is a decimal. With floats the result is a float, added up in the order of the rows.

use velocitydb_types::number::Number;
use velocitydb_types::{Decimal, DecimalError, Path, Value, View, compare};

use crate::error::QueryError;
use crate::limits::value_bytes;
use crate::row::{Cell, RowRef};

/// What is computed over the rows of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accumulator {
    /// How many rows there are.
    Count,
    /// The sum; an error when there is anything but numbers.
    Sum(Path),
    /// The mean, a float; an error when there is anything but numbers.
    Avg(Path),
    /// The least, by the order of values.
    Min(Path),
    /// The greatest, by the order of values.
    Max(Path),
    /// The value in the first row.
    First(Path),
    /// The value in the last row.
    Last(Path),
}

impl Accumulator {
    /// What it reads; a count reads nothing.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Accumulator::Count => None,
            Accumulator::Sum(path)
            | Accumulator::Avg(path)
            | Accumulator::Min(path)
            | Accumulator::Max(path)
            | Accumulator::First(path)
            | Accumulator::Last(path) => Some(path),
        }
    }
}

/// An accumulator and what it has seen so far.
pub(super) enum State<'p> {
    Count(u64),
    Sum(&'p Path, Sum),
    Avg(&'p Path, Sum),
    Min(&'p Path, Option<Value>),
    Max(&'p Path, Option<Value>),
    First(&'p Path, Option<Value>),
    Last(&'p Path, Value),
}

/// The numbers of each kind, added up.
#[derive(Default)]
pub(super) struct Sum {
    count: u64,
    ints: i128,
    decimals: Option<Decimal>,
    floats: Option<f64>,
}

impl<'p> State<'p> {
    pub(super) fn new(accumulator: &'p Accumulator) -> State<'p> {
        match accumulator {
            Accumulator::Count => State::Count(0),
            Accumulator::Sum(path) => State::Sum(path, Sum::default()),
            Accumulator::Avg(path) => State::Avg(path, Sum::default()),
            Accumulator::Min(path) => State::Min(path, None),
            Accumulator::Max(path) => State::Max(path, None),
            Accumulator::First(path) => State::First(path, None),
            Accumulator::Last(path) => State::Last(path, Value::Null),
        }
    }

    /// Takes a row.
    pub(super) fn add(&mut self, row: RowRef<'_>) -> Result<(), QueryError> {
        match self {
            State::Count(count) => *count += 1,
            State::Sum(path, sum) | State::Avg(path, sum) => sum.add(path, &row.value(path))?,
            State::Min(path, least) => {
                let found = row.value(path);
                let less = |least: &Value| compare(found.view(), least).is_lt();
                if !found.is_null() && least.as_ref().is_none_or(less) {
                    *least = Some(found.into_value());
                }
            }
            State::Max(path, greatest) => {
                let found = row.value(path);
                let greater = |greatest: &Value| compare(found.view(), greatest).is_gt();
                if !found.is_null() && greatest.as_ref().is_none_or(greater) {
                    *greatest = Some(found.into_value());
                }
            }
            State::First(path, first) => {
                first.get_or_insert_with(|| row.value(path).into_value());
            }
            State::Last(path, last) => *last = row.value(path).into_value(),
        }
        Ok(())
    }

    /// The result.
    pub(super) fn finish(self) -> Result<Value, QueryError> {
        match self {
            State::Count(count) => Ok(count.into()),
            State::Sum(path, sum) => sum.total().map_err(|source| QueryError::Sum {
                path: path.clone(),
                source,
            }),
            State::Avg(_, sum) => Ok(sum.mean()),
            State::Min(_, value) | State::Max(_, value) | State::First(_, value) => {
                Ok(value.unwrap_or_default())
            }
            State::Last(_, value) => Ok(value),
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let elsewhere = match self {
            State::Count(_) => 0,
            State::Sum(_, sum) | State::Avg(_, sum) => match sum.decimals {
                None => 0,
                Some(_) => DECIMAL_BYTES,
            },
            State::Min(_, value) | State::Max(_, value) | State::First(_, value) => {
                value.as_ref().map_or(0, value_bytes)
            }
            State::Last(_, value) => value_bytes(value),
        };
        size_of::<State<'_>>() + elsewhere
    }
}

/// Bytes of the longest decimal.
const DECIMAL_BYTES: usize = 448;

impl Sum {
    fn add(&mut self, path: &Path, found: &Cell<'_>) -> Result<(), QueryError> {
        match found.view() {
            View::Null => return Ok(()),
            View::Number(Number::Int(int)) => self.ints += i128::from(int),
            View::Number(Number::Float(float)) => *self.floats.get_or_insert(0.0) += float,
            View::Number(Number::Decimal(decimal)) => {
                let sum = match &self.decimals {
                    Some(sum) => sum.checked_add(&decimal),
                    None => Ok(decimal.into_owned()),
                };
                let sum = sum.map_err(|source| QueryError::Sum {
                    path: path.clone(),
                    source,
                })?;
                self.decimals = Some(sum);
            }
            _ => {
                return Err(QueryError::NotANumber {
                    path: path.clone(),
                    found: found.type_name(),
                });
            }
        }
        self.count += 1;
        Ok(())
    }

    fn total(self) -> Result<Value, DecimalError> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        if self.floats.is_some() {
            return Ok(Value::Float(self.to_f64()));
        }
        match (self.decimals, i64::try_from(self.ints)) {
            (None, Ok(int)) => Ok(Value::Int(int)),
            (None, Err(_)) => decimal(self.ints).map(Value::Decimal),
            (Some(sum), _) => sum.checked_add(&decimal(self.ints)?).map(Value::Decimal),
        }
    }

    fn mean(self) -> Value {
        match self.count {
            0 => Value::Null,
            count => Value::Float(self.to_f64() / count as f64),
        }
    }

    fn to_f64(&self) -> f64 {
        let decimals = self.decimals.as_ref().map_or(0.0, Decimal::to_f64);
        self.floats.unwrap_or(0.0) + decimals + self.ints as f64
    }
}

/// A wide integer as a decimal.
fn decimal(int: i128) -> Result<Decimal, DecimalError> {
    match i64::try_from(int) {
        Ok(int) => Ok(Decimal::from(int)),
        Err(_) => int.to_string().parse(),
    }
}
