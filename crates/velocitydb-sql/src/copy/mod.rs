//! COPY: rows as data, in the forms text, CSV and binary, in both directions.
//!
//! ```text
//!   FROM: data ──► rows cut into fields ──► documents ──► one entry of the log, or the transaction
//!                  text, csv, binary        maker, values
//!   TO:   a SELECT's rows ──► to ──► data
//! ```
//!
//! Who runs it: [`crate::Session::copy_in`] and what follows it takes data as they come;
//! [`CopyTo`] writes the rows of an answer. Data come from the client and go there: files of the
//! server are refused. `FREEZE` means nothing here, and is taken.
//!
//! All rows or none: an error takes back what was copied before it. Outside of a transaction block
//! the rows are written at the end, as one entry of the log; so they wait in memory as encoded
//! documents, whose number is bounded (`from`). Errors tell where: `COPY t, line 3, column a: "x"`.
//!
//! Tests: `tests` (the forms among themselves), tests/it/sessions/copy.script (with other sessions), and
//! velocitydb-server, tests/it/copy.rs (what PostgreSQL 15 says to the same; drivers).

mod binary;
mod csv;
mod from;
mod lines;
mod maker;
mod options;
mod row;
#[cfg(test)]
mod tests;
mod text;
mod to;
mod values;

use std::sync::Arc;

use sqlparser::ast::{Expr, Ident, ObjectName};

pub(crate) use from::CopyFrom;
pub use from::CopyIn;
pub use to::CopyTo;

use crate::bind::{Aggregates, Scope};
use crate::bound::Bound;
use crate::error::{SqlError, sqlstate};
use crate::parse::copy::{CopyTree, Direction, Server, What};
use crate::parse::{folded, parse};
use crate::statement::{Native, Preparing, default, no_column};
use crate::table::Table;
use options::{Columns, Options};
use velocitydb::DefaultValue;

/// A COPY, bound.
pub(crate) enum Copy {
    From(Arc<CopyFrom>),
    To(Arc<CopyTo>),
}

impl Preparing<'_> {
    /// Binds a COPY.
    ///
    /// # Errors
    /// Names that are not there, options that do not fit, what is not supported.
    pub(crate) fn copy(&mut self, tree: &CopyTree) -> Result<Copy, SqlError> {
        if let Some(server) = tree.server {
            return Err(of_server(server, tree.direction));
        }
        if tree.condition.is_some() && tree.direction == Direction::To {
            let message = "WHERE clause not allowed with COPY TO";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let options = Options::new(tree, self.sql)?;
        match (&tree.what, tree.direction) {
            (What::Table(name, columns), Direction::From) => {
                let from = self.copy_from(name, columns, options, tree.condition.as_ref());
                from.map(Arc::new).map(Copy::From)
            }
            (What::Table(name, columns), Direction::To) => {
                let table = self.table(name)?;
                let places = places(&table, columns)?;
                let names = places.iter().map(|at| quoted(&table.columns[*at].name));
                let names: Vec<_> = names.collect();
                // As one name: that of another schema has its point in it.
                let sql = format!("SELECT {} FROM {}", names.join(", "), name);
                let parsed = parse(&sql)?;
                let statement = parsed.first().and_then(|parsed| parsed.tree());
                let statement = statement.expect("it was made as a SELECT");
                let native = Native::new(statement, self)?;
                copy_to(native, options).map(Arc::new).map(Copy::To)
            }
            (What::Query(statement), _) => {
                let native = Native::new(statement, self)?;
                copy_to(native, options).map(Arc::new).map(Copy::To)
            }
        }
    }

    fn copy_from(
        &mut self,
        name: &ObjectName,
        columns: &[Ident],
        options: Options,
        condition: Option<&Expr>,
    ) -> Result<CopyFrom, SqlError> {
        let table = self.table(name)?;
        if table.definition.schema.fields().is_empty() {
            return Err(SqlError::unsupported(
                "COPY FROM into a table without declared columns",
            ));
        }
        let columns = places(&table, columns)?;
        let names: Vec<_> = columns.iter().map(|at| &*table.columns[*at].name).collect();
        referenced("FORCE_NOT_NULL", &options.force_not_null, &names)?;
        referenced("FORCE_NULL", &options.force_null, &names)?;
        let settings = Arc::clone(self.settings);
        let scope = [Scope::new(Arc::clone(&table), table.name())];
        let mut binder = self.binder(&scope);
        binder.aggregates = Aggregates::Refused("COPY FROM WHERE conditions");
        let condition = condition.map(|condition| {
            let typed = binder.bind(condition)?;
            binder.condition(typed, "WHERE")
        });
        let condition = condition.transpose()?;
        if !binder.queries.met.is_empty() {
            let message = "cannot use subquery in COPY FROM WHERE condition";
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let mut defaults: Vec<(usize, Bound)> = Vec::new();
        for (at, column) in table.columns.iter().enumerate() {
            if let (Some(DefaultValue::Sql(_)), false) = (&column.default, columns.contains(&at)) {
                defaults.push((at, default(column, &mut binder)?));
            }
        }
        Ok(CopyFrom {
            columns,
            defaults,
            condition,
            settings,
            options,
            table,
        })
    }
}

fn copy_to(native: Option<Native>, options: Options) -> Result<CopyTo, SqlError> {
    let statement = match native {
        None | Some(Native::Explain(_)) => {
            return Err(SqlError::unsupported("COPY of this statement"));
        }
        Some(statement) => statement,
    };
    let columns = statement.columns().to_vec();
    if columns.is_empty() && statement.writes() {
        let message = "COPY query must have a RETURNING clause";
        return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
    }
    let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
    referenced("FORCE_QUOTE", &options.force_quote, &names)?;
    let force_quote = names.iter().map(|name| options.force_quote.has(name));
    Ok(CopyTo {
        force_quote: force_quote.collect(),
        statement,
        options,
        columns,
    })
}

fn of_server(server: Server, direction: Direction) -> SqlError {
    let (what, hint) = match (server, direction) {
        (Server::Program, _) => ("COPY with a program of the server", "STDIN or STDOUT"),
        (Server::File, Direction::From) => ("COPY from a file of the server", "FROM STDIN"),
        (Server::File, Direction::To) => ("COPY to a file of the server", "TO STDOUT"),
    };
    SqlError::unsupported(what).hint(format!(
        "Use {hint}: psql's \\copy does so with a file of the client."
    ))
}

/// Refuses columns that the rows do not have.
fn referenced(option: &str, columns: &Columns, names: &[&str]) -> Result<(), SqlError> {
    let Columns::These(columns) = columns else {
        return Ok(());
    };
    match columns
        .iter()
        .find(|column| !names.contains(&column.as_str()))
    {
        None => Ok(()),
        Some(column) => {
            let message = format!("{option} column {column:?} not referenced by COPY");
            Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message))
        }
    }
}

/// Where the columns that are named are in a table; all, when none is named.
fn places(table: &Table, columns: &[Ident]) -> Result<Vec<usize>, SqlError> {
    let mut places = Vec::new();
    for column in columns {
        let column = folded(column);
        let at = table.position(&column);
        let at = at.ok_or_else(|| no_column(table, &column))?;
        if places.contains(&at) {
            let message = format!("column {column:?} specified more than once");
            return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
        }
        places.push(at);
    }
    match places.is_empty() {
        true => Ok((0..table.columns.len()).collect()),
        false => Ok(places),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
