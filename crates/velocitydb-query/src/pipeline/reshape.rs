//! The stages that change a row's form: project and unwind.
//!
//! Unwind changes one copy of the row in place, element after element, and lends it to the next
//! stage: of a long array in a large document, only what a later stage keeps is ever copied.

use std::borrow::Cow;

use velocitydb_types::{Path, Value, View};

use super::sink::{Flow, Next, Sink};
use crate::error::QueryError;
use crate::row::{Aggregated, Cell, Row, slot};

pub(super) struct Project<'p> {
    pub(super) fields: &'p [(String, Path)],
    pub(super) next: Next<'p>,
}

impl Sink for Project<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let read = row.as_ref();
        let fields = self
            .fields
            .iter()
            .filter_map(|(name, path)| Some((name.clone(), read.get(path)?.into_value())));
        let projected: Aggregated = fields.collect();
        self.next.push(Row::from(projected))
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

pub(super) struct Unwind<'p> {
    pub(super) path: &'p Path,
    pub(super) next: Next<'p>,
}

impl Sink for Unwind<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        match row.as_ref().get(self.path).as_ref().map(Cell::view) {
            None | Some(View::Null) => return Ok(Flow::More),
            Some(View::Array(_)) => {}
            Some(_) => return self.next.push(row),
        }
        let mut map = row.into_map();
        let Some(Value::Array(elements)) = slot(&mut map, self.path).map(std::mem::take) else {
            return Ok(Flow::More);
        };
        for element in elements {
            if let Some(slot) = slot(&mut map, self.path) {
                *slot = element;
            }
            if self.next.push(Row::Map(Cow::Borrowed(&map)))? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}
