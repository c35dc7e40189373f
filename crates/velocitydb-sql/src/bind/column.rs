//! Names of columns, and what is said of their order.

use sqlparser::ast::{Expr, Ident, ObjectName};
use velocitydb_types::{Path, ScalarType, SqlType};

use super::{Binder, EXCLUDED, Scope, check_collation};
use crate::bound::{Bound, Typed};
use crate::error::{SqlError, sqlstate};
use crate::functions::type_name;
use crate::parse::folded;
use crate::statement::collection_name;
use crate::table::Column;

/// The column of a name, behind a table's or alone; `None`: there is no such table, or no such column.
///
/// # Errors
/// There are several; the table has no such column.
fn find<'s>(
    tables: &'s [Scope],
    table: Option<&str>,
    column: &str,
) -> Result<Option<&'s Column>, SqlError> {
    let mut found = match table {
        None => {
            let columns = tables.iter().flat_map(Scope::plain_columns);
            columns.filter(|one| one.name == column).collect()
        }
        Some(table) => {
            let mut named = tables.iter().filter(|scope| scope.alias == table);
            let Some(scope) = named.next() else {
                return Ok(None);
            };
            let Some(found) = scope.table.column(column) else {
                let message = format!("column {table}.{column} does not exist");
                return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
            };
            vec![found]
        }
    };
    match (found.pop(), found.is_empty()) {
        (found, true) => Ok(found),
        _ => {
            let message = format!("column reference {column:?} is ambiguous");
            Err(SqlError::new(sqlstate::AMBIGUOUS_COLUMN, message))
        }
    }
}

impl Binder<'_> {
    pub(super) fn column(
        &mut self,
        table: Option<&Ident>,
        name: &Ident,
    ) -> Result<Typed, SqlError> {
        // Looked up for an error alone: it takes time to count the characters up to there.
        self.column_of(table, name)
            .map_err(|error| error.at(self.place(table.unwrap_or(name))))
    }

    /// Refuses a table with its schema that is not the one which the statement is about.
    pub(crate) fn check_entry(&self, name: &ObjectName, last: &Ident) -> Result<(), SqlError> {
        let is_it = |scope: &Scope| {
            scope.alias == folded(last)
                && match &scope.table.made {
                    Some(made) => format!("{made:?}") == name.to_string(),
                    None => collection_name(name).is_ok_and(|name| name == scope.table.name()),
                }
        };
        if self.tables.iter().any(is_it) {
            return Ok(());
        }
        let message = format!(
            "invalid reference to FROM-clause entry for table {:?}",
            last.value
        );
        Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message).at(self.place(last)))
    }

    fn column_of(&mut self, table: Option<&Ident>, name: &Ident) -> Result<Typed, SqlError> {
        let column = folded(name);
        let table = table.map(folded);
        if let (Some("excluded"), [scope]) = (table.as_deref(), self.tables)
            && scope.excluded
            && let Some(found) = scope.table.column(&column)
            && let Some(path) = found.path()
        {
            let segments = [EXCLUDED.to_owned(), path.first().to_owned()];
            let path = Path::from_segments(segments.into());
            let path = path.map_err(SqlError::unsupported)?;
            return Ok(Typed::new(Bound::Column(path), found.sql));
        }
        let table = table.as_deref();
        if let Some(found) = find(self.tables, table, &column)? {
            return Ok(Typed::new(found.bound.clone(), found.sql));
        }
        for around in self.queries.around.iter().rev() {
            let Some(found) = find(around, table, &column)? else {
                continue;
            };
            if self.queries.relational.is_none() {
                let what = "a sub-select that refers to the query around it";
                return Err(SqlError::unsupported(what));
            }
            return Ok(Typed::new(found.bound.clone(), found.sql));
        }
        if let Some(table) = table {
            let message = format!("missing FROM-clause entry for table {table:?}");
            return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
        }
        if self.scope(&column).is_some() {
            return Err(SqlError::unsupported(format!(
                "{column}, a row, as a value"
            )));
        }
        let message = format!("column {column:?} does not exist");
        Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message))
    }

    /// The table that the statement calls so.
    pub(crate) fn scope(&self, alias: &str) -> Option<&Scope> {
        self.tables.iter().find(|scope| scope.alias == alias)
    }

    /// Whether a name alone may mean a column of the tables.
    pub(crate) fn has_column(&self, name: &str) -> bool {
        let mut columns = self.tables.iter().flat_map(Scope::plain_columns);
        columns.any(|column| column.name == name)
    }

    /// `expression COLLATE collation`.
    pub(super) fn collated(
        &mut self,
        expr: &Expr,
        collation: &ObjectName,
    ) -> Result<Typed, SqlError> {
        check_collation(collation)?;
        let typed = self.bind(expr)?;
        match typed.sql {
            None | Some(SqlType::Scalar(ScalarType::Text | ScalarType::Varchar(_))) => Ok(typed),
            Some(SqlType::Scalar(ScalarType::Char(_))) => Ok(typed),
            other => {
                let name = type_name(other);
                let message = format!("collations are not supported by type {name}");
                Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message))
            }
        }
    }
}
