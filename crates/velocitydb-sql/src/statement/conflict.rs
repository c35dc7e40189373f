//! `ON CONFLICT (…)`: which unique index is meant, and who has a row's key in it.

use sqlparser::ast::{ConflictTarget, Expr, Ident};
use velocitydb::{Document, Transaction};
use velocitydb_query::{Filter, Find};
use velocitydb_types::{Expression, Path, Value};

use crate::bind::{Binder, simple};
use crate::error::{SqlError, sqlstate};
use crate::indexed::kept;
use crate::parse::{conflict_expression, folded};
use crate::table::Table;
use crate::violations::Written;

/// The constraint that a statement names, or means by columns and expressions.
pub(super) fn constraint_of(
    target: &ConflictTarget,
    table: &Table,
    binder: &mut Binder<'_>,
) -> Result<String, SqlError> {
    match target {
        ConflictTarget::Columns(given) => {
            let paths = given.iter().map(|given| path_of(given, table, binder));
            let paths: Option<Vec<_>> = paths.collect::<Result<_, _>>()?;
            let found = paths.and_then(|paths| table.unique_on(&paths));
            found.ok_or_else(|| {
                let message = "there is no unique or exclusion constraint matching the ON \
                               CONFLICT specification";
                SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message)
            })
        }
        ConflictTarget::OnConstraint(name) => {
            let name = simple(name)?;
            if !table.has_unique(&name) {
                let message = format!(
                    "constraint {name:?} for table {:?} does not exist",
                    table.name()
                );
                return Err(SqlError::new(sqlstate::UNDEFINED_OBJECT, message));
            }
            Ok(name)
        }
    }
}

/// What an index has in the place of this; `None`: nothing that an index can have.
fn path_of(
    given: &Ident,
    table: &Table,
    binder: &mut Binder<'_>,
) -> Result<Option<Path>, SqlError> {
    let column = |name: String| match table.column(&name) {
        Some(_) => Ok(Some(Path::field(name))),
        None => {
            let message = format!("column {name:?} does not exist");
            Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message))
        }
    };
    let Some(expr) = conflict_expression(given) else {
        return column(folded(given));
    };
    let mut expr = &expr?;
    while let Expr::Nested(inner) = expr {
        expr = inner;
    }
    match expr {
        Expr::Identifier(name) => column(folded(name)),
        Expr::Collate { .. } => Err(SqlError::unsupported("ON CONFLICT (… COLLATE …)")),
        expr => {
            let bound = binder.bind_output(expr)?.bound;
            let expression = kept(&bound).and_then(|text| text.parse::<Expression>().ok());
            Ok(expression.map(|expression| expression.stand_in()))
        }
    }
}

/// Who has the key in a unique index that a row would have; nobody has one with a null.
pub(super) fn holder(
    constraint: &str,
    table: &Table,
    fields: &Written,
    transaction: &mut Transaction,
) -> Result<Option<Document>, SqlError> {
    let key = table.unique_key(constraint);
    let values = key.iter().map(|field| field.value(fields));
    let values: Option<Vec<Value>> = values.collect();
    let Some(values) = values.filter(|values| !values.is_empty()) else {
        return Ok(None);
    };
    let equal = key.iter().zip(&values);
    let equal = equal.map(|(field, value)| Filter::Eq(field.path.clone(), value.clone()));
    let (mut read, mut made) = (Vec::new(), Vec::new());
    for (field, filter) in key.iter().zip(equal) {
        match field.expression {
            None => read.push(filter),
            Some(_) => made.push(filter),
        }
    }
    let mut find = Find::new(Filter::And(read.clone()));
    // For the planner the index is of all of them.
    made.extend(read);
    find.indexed = Filter::And(made);
    let mut holder = None;
    transaction.find_each(table.name(), &find, |document| {
        let row = document.fields().to_map();
        let mut both = key.iter().zip(&values);
        if both.all(|(field, value)| field.value(&row).as_ref() == Some(value)) {
            holder = Some(document.clone());
        }
        holder.is_none()
    })?;
    Ok(holder)
}
