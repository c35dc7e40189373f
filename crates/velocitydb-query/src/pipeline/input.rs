//! What a stage reads of every row.
//!
//! A plain field of a document, which is nearly always what is read, is found where it was in the
//! document before, and looked at in its encoded form. Tests: through `pipeline/tests.rs`; that the
//! two ways are one, in `proptests`.

use velocitydb_types::RawValue;

use crate::error::QueryError;
use crate::expression::Expression;
use crate::row::{Cell, RowRef};

/// An expression, and what is known of where it reads.
#[derive(Clone)]
pub(super) struct Input<'p> {
    pub(super) expression: &'p Expression,
    /// The name of a field that is one of a document's own.
    field: Option<&'p str>,
    /// Where that was in the document before.
    place: usize,
}

impl<'p> Input<'p> {
    pub(super) fn new(expression: &'p Expression) -> Input<'p> {
        let field = match expression {
            Expression::Field(path) if path.rest().is_empty() => Some(path.first()),
            _ => None,
        };
        Input {
            expression,
            // Metadata is no field.
            field: field.filter(|name| !name.starts_with('_')),
            place: 0,
        }
    }

    /// The encoded value of a document's own field, null where it is absent; `None` for all else
    /// that can be read.
    #[inline]
    pub(super) fn raw<'a>(&mut self, row: RowRef<'a>) -> Option<RawValue<'a>> {
        match (self.field, row) {
            (Some(name), RowRef::Document(_, fields)) => {
                let found = fields.get_near(name, &mut self.place);
                Some(found.unwrap_or(RawValue::NULL))
            }
            _ => None,
        }
    }

    /// The value for a row.
    #[inline]
    pub(super) fn evaluate<'a>(&mut self, row: RowRef<'a>) -> Result<Cell<'a>, QueryError>
    where
        'p: 'a,
    {
        match self.raw(row) {
            Some(raw) => Ok(Cell::Raw(raw)),
            None => self.expression.evaluate(row),
        }
    }
}
