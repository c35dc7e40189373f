//! Numbers added up.
//!
//! Integers are added in 128 bits, which no number of rows can overflow, decimals without
//! rounding. A sum of integers beyond 64 bits is a decimal. With floats the result is a float,
//! added up in the order of the rows. Tests: `pipeline/tests.rs` and `proptests`.

use velocitydb_types::number::Number;
use velocitydb_types::{Decimal, DecimalError, Value, View};

use crate::error::QueryError;
use crate::expression::Expression;
use crate::row::Cell;

/// The numbers of each kind, added up; nulls are left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sum {
    count: u64,
    ints: i128,
    floats: Option<f64>,
    /// Boxed, since it is rare, and large.
    decimals: Option<Box<Decimal>>,
}

/// Why something cannot be added up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SumError {
    #[error("expected a number, found {0}")]
    NotANumber(&'static str),
    #[error(transparent)]
    Decimal(#[from] DecimalError),
}

impl SumError {
    /// The error of adding up what an expression gives.
    pub(crate) fn of(self, expression: &Expression) -> QueryError {
        let of = match expression {
            Expression::Field(path) => path.to_string(),
            other => other.to_string(),
        };
        match self {
            SumError::NotANumber(found) => QueryError::NotANumber { of, found },
            SumError::Decimal(source) => QueryError::Sum { of, source },
        }
    }
}

impl Sum {
    #[inline]
    pub(crate) fn add_int(&mut self, int: i64) {
        self.ints += i128::from(int);
        self.count += 1;
    }

    #[inline]
    pub(crate) fn add(&mut self, found: &Cell<'_>) -> Result<(), SumError> {
        match found.view() {
            View::Null => return Ok(()),
            View::Number(Number::Int(int)) => self.ints += i128::from(int),
            View::Number(Number::Float(float)) => *self.floats.get_or_insert(0.0) += float,
            View::Number(Number::Decimal(decimal)) => {
                let sum = match &self.decimals {
                    Some(sum) => sum.checked_add(&decimal)?,
                    None => decimal.into_owned(),
                };
                self.decimals = Some(Box::new(sum));
            }
            _ => return Err(SumError::NotANumber(found.type_name())),
        }
        self.count += 1;
        Ok(())
    }

    /// The sum; null of nothing.
    pub(crate) fn total(self) -> Result<Value, DecimalError> {
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

    /// The mean; null of nothing.
    pub(crate) fn mean(self) -> Value {
        match self.count {
            0 => Value::Null,
            count => Value::Float(self.to_f64() / count as f64),
        }
    }

    fn to_f64(&self) -> f64 {
        let decimals = self.decimals.as_ref().map_or(0.0, |sum| sum.to_f64());
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

/// How far numbers are from their mean, as floats, by Welford's method: in one pass, and without
/// the difference of two large sums.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    count: u64,
    mean: f64,
    /// The squares of the distances, added up.
    squares: f64,
}

impl Spread {
    pub(crate) fn add(&mut self, found: &Cell<'_>) -> Result<(), SumError> {
        let number = match found.view() {
            View::Null => return Ok(()),
            View::Number(number) => number.to_f64(),
            _ => return Err(SumError::NotANumber(found.type_name())),
        };
        self.count += 1;
        let before = number - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (number - self.mean);
        Ok(())
    }

    /// The standard deviation of a population; null of nothing.
    pub(crate) fn of_all(self) -> Value {
        match self.count {
            0 => Value::Null,
            count => Value::Float((self.squares / count as f64).sqrt()),
        }
    }

    /// The standard deviation that a sample speaks of; null of fewer than two.
    pub(crate) fn of_sample(self) -> Value {
        match self.count {
            0 | 1 => Value::Null,
            count => Value::Float((self.squares / (count - 1) as f64).sqrt()),
        }
    }
}
