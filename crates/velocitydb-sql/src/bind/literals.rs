//! What stands in the text itself: numbers, strings, parameters.

use sqlparser::ast::{self, Expr};
use velocitydb_types::{Decimal, Interval, ScalarType, Value};

use super::{Binder, PARAMETERS_MAX};
use crate::bound::{Bound, Typed};
use crate::error::{SqlError, sqlstate};

impl Binder<'_> {
    /// `INTERVAL '1' DAY`.
    pub(super) fn interval(&mut self, interval: &ast::Interval) -> Result<Typed, SqlError> {
        let ast::Interval {
            value,
            leading_field,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        } = interval
        else {
            return Err(SqlError::unsupported(format!("{interval}")));
        };
        let Expr::Value(value) = &**value else {
            return Err(SqlError::unsupported(format!("{interval}")));
        };
        let mut text = value.value.clone().into_string().unwrap_or_default();
        let Some(unit) = leading_field else {
            return self.constant(&text, ScalarType::Interval.into());
        };
        let kept = kept_of(unit).ok_or_else(|| SqlError::unsupported(format!("{interval}")))?;
        // The unit of a number that has none.
        let last = text.split_whitespace().next_back();
        if last.is_some_and(|last| last.parse::<f64>().is_ok()) {
            text = format!("{text} {unit}");
        }
        let mut typed = self.constant(&text, ScalarType::Interval.into())?;
        if let Bound::Constant(Value::Interval(interval)) = &mut typed.bound {
            *interval = kept(*interval);
        }
        Ok(typed)
    }

    /// A literal or a parameter.
    pub(super) fn literal(&mut self, value: &ast::Value) -> Result<Typed, SqlError> {
        let unknown = |value| Typed {
            bound: Bound::Constant(value),
            sql: None,
        };
        Ok(match value {
            ast::Value::Number(text, _) => number(text)?,
            ast::Value::SingleQuotedString(text)
            | ast::Value::EscapedStringLiteral(text)
            | ast::Value::UnicodeStringLiteral(text)
            | ast::Value::NationalStringLiteral(text) => unknown(Value::String(text.clone())),
            ast::Value::DollarQuotedString(text) => unknown(Value::String(text.value.clone())),
            ast::Value::Boolean(bool) => {
                Typed::new(Bound::Constant((*bool).into()), ScalarType::Bool)
            }
            ast::Value::Null => unknown(Value::Null),
            ast::Value::Placeholder(name) => self.parameter(name)?,
            other => return Err(SqlError::unsupported(format!("the literal {other}"))),
        })
    }

    fn parameter(&mut self, name: &str) -> Result<Typed, SqlError> {
        let number = name
            .strip_prefix('$')
            .and_then(|number| number.parse::<usize>().ok());
        match number {
            Some(number @ 1..=PARAMETERS_MAX) => Ok(Typed {
                bound: Bound::Parameter(number - 1),
                sql: self.parameters.get(number - 1),
            }),
            _ => {
                let message = format!("there is no parameter {name}");
                Err(SqlError::new(sqlstate::UNDEFINED_PARAMETER, message))
            }
        }
    }
}

/// A number of the smallest type that PostgreSQL gives it: integer, bigint, numeric.
pub(super) fn number(text: &str) -> Result<Typed, SqlError> {
    let digits = text.replace('_', "");
    if let Ok(int) = digits.parse::<i64>() {
        let scalar = match i32::try_from(int) {
            Ok(_) => ScalarType::Int4,
            Err(_) => ScalarType::Int8,
        };
        return Ok(Typed::new(Bound::Constant(Value::Int(int)), scalar));
    }
    let decimal = digits.parse::<Decimal>().map_err(|error| {
        let message = format!("the number {text}: {error}");
        SqlError::new(sqlstate::NUMERIC_VALUE_OUT_OF_RANGE, message)
    })?;
    let bound = Bound::Constant(Value::Decimal(decimal));
    Ok(Typed::new(bound, ScalarType::Numeric(None)))
}

/// What an interval of a unit keeps of a value: nothing smaller than the unit.
fn kept_of(unit: &ast::DateTimeField) -> Option<fn(Interval) -> Interval> {
    const MINUTE: i64 = 60_000_000;
    const HOUR: i64 = 60 * MINUTE;
    Some(match unit {
        ast::DateTimeField::Year => |of| Interval::new(of.months / 12 * 12, 0, 0),
        ast::DateTimeField::Month => |of| Interval::new(of.months, 0, 0),
        ast::DateTimeField::Day => |of| Interval::new(of.months, of.days, 0),
        ast::DateTimeField::Hour => |of| Interval::new(of.months, of.days, of.micros / HOUR * HOUR),
        ast::DateTimeField::Minute => {
            |of| Interval::new(of.months, of.days, of.micros / MINUTE * MINUTE)
        }
        ast::DateTimeField::Second => |of| of,
        _ => return None,
    })
}
