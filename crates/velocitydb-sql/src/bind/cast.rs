//! Casts of bound expressions.

use std::sync::Arc;

use velocitydb_query::Scalar;
use velocitydb_types::{ScalarType, SqlType, Value};

use crate::casts::{self, CastContext};
use crate::error::{SqlError, sqlstate};
use crate::formats::{FormatError, Settings, read_text};
use crate::functions::{self, Conversion};

/// How a value becomes one of another type.
pub(super) enum Assigned {
    /// It is one.
    AsItIs,
    /// By this function.
    By(Arc<dyn Scalar>),
}

impl From<FormatError> for SqlError {
    fn from(error: FormatError) -> SqlError {
        let told = SqlError {
            detail: error.detail.map(Into::into),
            ..SqlError::new(error.code, error.message)
        };
        match error.context {
            Some(context) => told.context(context),
            None => told,
        }
    }
}

/// The value of a literal whose place asks for a type.
pub(super) fn literal(
    text: &str,
    to: SqlType,
    context: CastContext,
    settings: &Settings,
) -> Result<Value, SqlError> {
    if context == CastContext::Explicit && to.modifier() != -1 {
        let whole = of_any_length(to);
        let value = read_text(text, whole, settings)?;
        return Ok(casts::cast(value, whole, to, context, settings)?);
    }
    Ok(read_text(text, to, settings)?)
}

/// What a literal or a parameter is read as before a cast that was asked for makes it fit.
pub(super) fn of_any_length(to: SqlType) -> SqlType {
    let of = |scalar| match scalar {
        ScalarType::Char(_) => ScalarType::Text,
        other => other.row().scalar,
    };
    match to {
        SqlType::Scalar(scalar) => of(scalar).into(),
        SqlType::Array(element) => SqlType::Array(of(element)),
    }
}

/// How values of a type become those of another.
///
/// # Errors
/// They do not, in this context.
pub(super) fn cast(
    from: SqlType,
    to: SqlType,
    context: CastContext,
    settings: &Arc<Settings>,
) -> Result<Assigned, SqlError> {
    if from == to || is_wider(from, to) {
        return Ok(Assigned::AsItIs);
    }
    match functions::conversion(from, to, context, settings) {
        Some(Conversion::None) => Ok(Assigned::AsItIs),
        Some(Conversion::Function(function)) => Ok(Assigned::By(function)),
        None => {
            let message = match context {
                CastContext::Explicit => format!("cannot cast type {from} to {to}"),
                _ => format!("expression is of type {from}, where {to} is wanted"),
            };
            let (state, hint) = match context {
                CastContext::Explicit => ("42846", None),
                _ => (
                    sqlstate::DATATYPE_MISMATCH,
                    Some("You will need to rewrite or cast the expression.".into()),
                ),
            };
            Err(SqlError {
                hint,
                ..SqlError::new(state, message)
            })
        }
    }
}

/// Whether all values of a type are values of the other as they are.
fn is_wider(from: SqlType, to: SqlType) -> bool {
    let (SqlType::Scalar(from), SqlType::Scalar(to)) = (from, to) else {
        return false;
    };
    match to {
        ScalarType::Text | ScalarType::Varchar(None) => {
            matches!(from, ScalarType::Text | ScalarType::Varchar(_))
        }
        ScalarType::Int8 => matches!(from, ScalarType::Int2 | ScalarType::Int4),
        ScalarType::Int4 => from == ScalarType::Int2,
        ScalarType::Float8 => from == ScalarType::Float4,
        ScalarType::Numeric(None) => matches!(from, ScalarType::Numeric(_)),
        ScalarType::Jsonb | ScalarType::Json => {
            matches!(from, ScalarType::Json | ScalarType::Jsonb)
        }
        _ => false,
    }
}
