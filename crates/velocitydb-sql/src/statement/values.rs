//! VALUES: rows that stand in the statement, as a query and in the place of a table.
//!
//! The columns of all rows become of one type. Within they are called `column1` and so on, whatever
//! names an alias gives them. Tests: tests/it/slt/values.slt.

use std::sync::Arc;

use sqlparser::ast::{SetExpr, TableAlias, TableFactor, TableWithJoins, Values};
use velocitydb::Definition;
use velocitydb_types::Path;

use super::Preparing;
use super::insert::is_bare;
use super::rows::{Column, Outputs};
use super::select::value_column;
use super::subselect::SubSelect;
use crate::bind::Binder;
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::functions::{common_type, type_name};
use crate::parse::folded;
use crate::table::{self, Table};

/// VALUES in the place of a table.
pub(super) struct Listed {
    /// Its columns.
    pub(super) table: Arc<Table>,
    /// What the statement calls it.
    pub(super) alias: String,
    pub(super) rows: ListedRows,
}

/// The rows of it, and their sub-selects.
#[derive(Default)]
pub(super) struct ListedRows {
    pub(super) values: Vec<Vec<Bound>>,
    pub(super) queries: Vec<SubSelect>,
}

impl ListedRows {
    /// The row of a SELECT without a FROM.
    pub(super) fn one() -> ListedRows {
        ListedRows {
            values: vec![Vec::new()],
            queries: Vec::new(),
        }
    }
}

/// The rows of VALUES, and what answers them.
///
/// # Errors
/// They are not of one length, or of types that have none in common.
pub(crate) fn rows_of_values(
    values: &Values,
    binder: &mut Binder<'_>,
) -> Result<(Vec<Vec<Bound>>, Outputs), SqlError> {
    let width = values.rows.first().map_or(0, |row| row.content.len());
    let mut rows: Vec<Vec<Typed>> = Vec::new();
    for row in &values.rows {
        if row.content.len() != width {
            let message = "VALUES lists must all be the same length";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let row = row.content.iter();
        rows.push(binder.without_aggregates("VALUES", |binder| {
            row.map(|expr| binder.bind(expr)).collect()
        })?);
    }
    let mut outputs = Outputs::default();
    for at in 0..width {
        let types: Vec<_> = rows.iter().map(|row| row[at].sql).collect();
        let sql = common_type(&types).map_err(|(one, other)| {
            let (one, other) = (type_name(Some(one)), type_name(Some(other)));
            let message = format!("VALUES types {one} and {other} cannot be matched");
            SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
        })?;
        let name = value_column(at);
        outputs.bound.push(Bound::Column(Path::field(name.clone())));
        outputs.columns.push(Column { name, sql });
    }
    outputs.check_width()?;
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let row = row.into_iter().zip(&outputs.columns);
        let row = row.map(|(typed, column)| binder.cast(typed, column.sql, CastContext::Implicit));
        values.push(row.collect::<Result<_, _>>()?);
    }
    Ok((values, outputs))
}

/// The columns as those of a table, called as an alias says.
fn columns(outputs: Outputs, alias: &TableAlias) -> Result<Vec<table::Column>, SqlError> {
    let (available, specified) = (outputs.columns.len(), alias.columns.len());
    if specified > available {
        let name = folded(&alias.name);
        let message = format!(
            "table {name:?} has {available} columns available but {specified} columns specified"
        );
        return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
    }
    let mut columns: Vec<table::Column> = Vec::with_capacity(available);
    for (at, output) in outputs.columns.into_iter().enumerate() {
        let name = alias.columns.get(at).map(|column| folded(&column.name));
        let name = name.unwrap_or(output.name);
        if columns.iter().any(|column| column.name == name) {
            let what = format!("VALUES with two columns {name:?}");
            return Err(SqlError::unsupported(what));
        }
        columns.push(table::Column {
            name,
            sql: output.sql,
            bound: outputs.bound[at].clone(),
            required: false,
            default: None,
        });
    }
    Ok(columns)
}

impl Preparing<'_> {
    /// The VALUES that a FROM is, if it is.
    ///
    /// # Errors
    /// It has no alias, or one that does not fit; and what its rows are refused for.
    pub(super) fn listed(&mut self, from: &[TableWithJoins]) -> Result<Option<Listed>, SqlError> {
        let [
            TableWithJoins {
                relation:
                    TableFactor::Derived {
                        lateral: _, // no table stands before it
                        subquery,
                        alias,
                        sample: None,
                    },
                joins,
            },
        ] = from
        else {
            return Ok(None);
        };
        let SetExpr::Values(values) = &*subquery.body else {
            return Ok(None);
        };
        if !joins.is_empty() || !is_bare(subquery) {
            return Ok(None);
        }
        let Some(alias) = alias else {
            let message = "VALUES in FROM must have an alias";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message)
                .hint("For example, FROM (VALUES ...) [AS] foo."));
        };
        let mut binder = self.binder(&[]);
        let (values, outputs) = rows_of_values(values, &mut binder)?;
        let queries = std::mem::take(&mut binder.queries.met);
        let columns = columns(outputs, alias)?;
        let name = folded(&alias.name);
        Ok(Some(Listed {
            table: Arc::new(Table::of_values(Definition::new(&*name), columns)),
            alias: name,
            rows: ListedRows { values, queries },
        }))
    }
}

/// Whether there is a value for each column, and a column for each value; the error is at the first
/// that is without, of which `value` and `column` tell the places.
///
/// # Errors
/// There are too many or too few.
pub(super) fn check_width(
    given: usize,
    (columns, named): (usize, bool),
    value: impl Fn(usize) -> Option<u32>,
    column: impl Fn(usize) -> Option<u32>,
) -> Result<(), SqlError> {
    let (which, place) = match given > columns {
        true => ("more expressions than target columns", value(columns)),
        false if named && given < columns => {
            ("more target columns than expressions", column(given))
        }
        false => return Ok(()),
    };
    let message = format!("INSERT has {which}");
    Err(SqlError::new(sqlstate::SYNTAX_ERROR, message).at(place))
}
