//! `SET column = …`.

use std::collections::BTreeSet;

use sqlparser::ast::{self, AssignmentTarget, Expr, ObjectName};
use velocitydb::DefaultValue;
use velocitydb_types::{Identity, ScalarType, SqlType, Value};

use super::define::identity;
use super::insert::no_column;
use crate::bind::{Binder, simple};
use crate::bound::{Bound, Moment, Typed};
use crate::error::{SqlError, sqlstate};
use crate::parse::{Overriding, expression_in};
use crate::table::{Column, Table};

/// A column by its place in the table, and what it becomes.
pub(super) type Assigned = (usize, Bound);

/// The keyword DEFAULT in the place of a value.
pub(super) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_none()
        && name.value.eq_ignore_ascii_case("default"))
}

/// All assignments of a SET.
///
/// # Errors
/// Columns that are not there or come twice, and values that are of no fitting type.
pub(super) fn assignments(
    given: &[ast::Assignment],
    table: &Table,
    binder: &mut Binder<'_>,
) -> Result<Vec<Assigned>, SqlError> {
    let mut all = Vec::new();
    for ast::Assignment { target, value } in given {
        match target {
            AssignmentTarget::ColumnName(name) => all.push(assigned(name, value, table, binder)?),
            AssignmentTarget::Tuple(names) => {
                let values = match value {
                    Expr::Tuple(values) => &values[..],
                    Expr::Nested(_) if names.len() == 1 => std::slice::from_ref(value),
                    Expr::Subquery(_) => {
                        return Err(SqlError::unsupported("SET (columns) = (SELECT …)"));
                    }
                    _ => {
                        return Err(SqlError::unsupported(
                            "a source of SET (columns) that is no row of values",
                        ));
                    }
                };
                if names.len() != values.len() {
                    let message = "number of columns does not match number of values";
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                }
                for (name, value) in names.iter().zip(values) {
                    all.push(assigned(name, value, table, binder)?);
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    match all.iter().find(|(at, _)| !seen.insert(*at)) {
        None => Ok(all),
        Some((at, _)) => {
            let name = &table.columns[*at].name;
            let message = format!("multiple assignments to same column {name:?}");
            Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
        }
    }
}

fn assigned(
    name: &ObjectName,
    value: &Expr,
    table: &Table,
    binder: &mut Binder<'_>,
) -> Result<Assigned, SqlError> {
    let name = simple(name)?;
    let at = table.position(&name);
    let at = at.ok_or_else(|| no_column(table, &name))?;
    let column = &table.columns[at];
    if is_default(value) {
        return Ok((at, default(column, binder)?));
    }
    if identity(column) == Some(Identity::Always) {
        let message = format!("column {name:?} can only be updated to DEFAULT");
        return Err(always(column, message));
    }
    let typed = binder.bind(value)?;
    let message_of = typed.sql;
    let bound = binder.assigned(typed, column.sql);
    Ok((
        at,
        bound.map_err(|error| wrong_type(error, column, message_of))?,
    ))
}

/// The error of a value of another type, as PostgreSQL words it.
pub(super) fn wrong_type(error: SqlError, column: &Column, from: Option<SqlType>) -> SqlError {
    match from {
        Some(from) if error.sqlstate == sqlstate::DATATYPE_MISMATCH => {
            let message = format!(
                "column {:?} is of type {} but expression is of type {}",
                column.name,
                crate::functions::type_name(Some(column.sql)),
                crate::functions::type_name(Some(from)),
            );
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
                .hint("You will need to rewrite or cast the expression.")
        }
        _ => error,
    }
}

/// Whether a value that a statement gives is the column's; not where its sequence has a say.
///
/// # Errors
/// Only the sequence has.
pub(super) fn may_be_given(
    column: &Column,
    overriding: Option<Overriding>,
) -> Result<bool, SqlError> {
    match (identity(column), overriding) {
        (Some(_), Some(Overriding::User)) => Ok(false),
        (Some(Identity::Always), None) => {
            let name = &column.name;
            let message = format!("cannot insert a non-DEFAULT value into column {name:?}");
            let hint = "Use OVERRIDING SYSTEM VALUE to override.";
            Err(always(column, message).hint(hint))
        }
        _ => Ok(true),
    }
}

fn always(column: &Column, message: String) -> SqlError {
    let what = "is an identity column defined as GENERATED ALWAYS.";
    SqlError::new(sqlstate::GENERATED_ALWAYS, message)
        .detail(format!("Column {:?} {what}", column.name))
}

/// What a column is when a statement says nothing of it.
pub(crate) fn default(column: &Column, binder: &mut Binder<'_>) -> Result<Bound, SqlError> {
    match &column.default {
        None => Ok(Bound::Constant(Value::Null)),
        Some(DefaultValue::Constant(value)) => Ok(Bound::Constant(value.clone())),
        Some(DefaultValue::Now) => {
            let now = Bound::Moment(Moment::Transaction);
            binder.assigned(Typed::new(now, ScalarType::Timestamptz), column.sql)
        }
        Some(DefaultValue::Sql(default)) => {
            let bound = expression_in(&default.text).and_then(|expr| {
                binder.without_path(|binder| {
                    let typed = binder.bind(&expr)?;
                    binder.assigned(typed, column.sql)
                })
            });
            // It has no place in the statement.
            bound.map_err(|error| SqlError {
                position: None,
                ..error
            })
        }
        Some(DefaultValue::Uuid) => Err(SqlError::unsupported(format!(
            "DEFAULT of column {:?} here",
            column.name
        ))),
    }
}
