//! Names of columns, and what is said of their order.

use sqlparser::ast::{Expr, Ident, ObjectName};
use velocitydb_types::{Path, ScalarType, SqlType};

use super::{Binder, EXCLUDED, check_collation};
use crate::bound::{Bound, Typed};
use crate::error::{SqlError, sqlstate};
use crate::functions::type_name;
use crate::parse::folded;
use crate::statement::collection_name;

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
        let is_it = self.table.is_some_and(|scope| {
            scope.alias == folded(last)
                && match scope.table.made {
                    Some(made) => format!("{made:?}") == name.to_string(),
                    None => collection_name(name).is_ok_and(|name| name == scope.table.name()),
                }
        });
        if is_it {
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
        if let (Some(table), Some(scope)) = (table, self.table)
            && scope.excluded
            && folded(table) == "excluded"
            && let Some(found) = scope.table.column(&column)
            && let Some(path) = found.path()
        {
            let segments = [EXCLUDED.to_owned(), path.first().to_owned()];
            let path = Path::from_segments(segments.into());
            let path = path.map_err(SqlError::unsupported)?;
            return Ok(Typed::new(Bound::Column(path), found.sql));
        }
        let is_here = match table {
            None => self
                .table
                .is_some_and(|scope| scope.table.column(&column).is_some()),
            Some(table) => self.table.is_some_and(|scope| scope.alias == folded(table)),
        };
        let around = table.map(folded);
        if !is_here && self.queries.is_around(around.as_deref(), &column) {
            let what = "a sub-select that refers to the query around it";
            return Err(SqlError::unsupported(what));
        }
        if let (Some(table), scope) = (table, self.table) {
            let table = folded(table);
            if scope.is_none_or(|scope| scope.alias != table) {
                let message = format!("missing FROM-clause entry for table {table:?}");
                return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
            }
        }
        let found = self.table.and_then(|scope| scope.table.column(&column));
        let Some(found) = found else {
            if table.is_none() && self.table.is_some_and(|scope| scope.alias == column) {
                return Err(SqlError::unsupported(format!(
                    "{column}, a row, as a value"
                )));
            }
            let message = match table {
                Some(table) => format!("column {}.{column} does not exist", folded(table)),
                None => format!("column {column:?} does not exist"),
            };
            return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
        };
        Ok(Typed::new(found.bound.clone(), found.sql))
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
