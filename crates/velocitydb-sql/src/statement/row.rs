//! A row on its way through a SELECT: a document, or values that a stage has made.

use velocitydb::Document;
use velocitydb_query::{Aggregated, Cell, Expression, QueryError};
use velocitydb_types::Value;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) enum Row {
    Document(Document),
    Made(Aggregated),
}

impl Row {
    /// What an expression is of it.
    pub(crate) fn value(&self, expression: &Expression) -> Result<Value, QueryError> {
        let cell = match self {
            Row::Document(document) => expression.for_document(document),
            Row::Made(map) => expression.for_row(map),
        };
        cell.map(Cell::into_value)
    }

    /// What several expressions are of it.
    pub(crate) fn values(&self, expressions: &[Expression]) -> Result<Vec<Value>, QueryError> {
        let values = expressions.iter().map(|expression| self.value(expression));
        values.collect()
    }
}
