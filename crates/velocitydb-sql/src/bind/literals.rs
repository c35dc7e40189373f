//! What stands in the text itself: numbers, strings, parameters.

use sqlparser::ast;
use velocitydb_types::{Decimal, ScalarType, Value};

use super::{Binder, PARAMETERS_MAX};
use crate::bound::{Bound, Typed};
use crate::error::{SqlError, sqlstate};

impl Binder<'_> {
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
