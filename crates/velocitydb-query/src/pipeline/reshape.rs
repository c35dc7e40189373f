//! The stages that change a row's form: project, add fields, select, unwind.
//!
//! Unwind changes one copy of the row in place, element after element, and lends it to the next
//! stage: of a long array in a large document, only what a later stage keeps is ever copied.

use std::borrow::Cow;

use velocitydb_types::{DEPTH_MAX, ErrorClass, Path, Value, View};

use super::sink::{Flow, Next, Sink};
use crate::error::QueryError;
use crate::expression::Expression;
use crate::limits::{Allowance, Kept, value_bytes, value_depth};
use crate::path::IntoPath;
use crate::projection::{Projection, Projector};
use crate::row::{Aggregated, Cell, Row, RowRef, slot};

/// Puts a value where a path leads to; maps are made on the way. Of an array, a position names an
/// element, and any other name is set in each element that is a map.
pub(super) fn set(map: &mut Aggregated, path: &Path, value: Value) {
    let mut field = map.entry(path.first().to_owned()).or_default();
    if path.rest().is_empty() {
        *field = value;
        return;
    }
    if !matches!(field, Value::Map(_) | Value::Array(_)) {
        *field = Value::Map(Aggregated::new());
    }
    // Through maps alone, which is nearly always, the value is moved and not copied.
    for (at, segment) in path.rest().iter().enumerate() {
        match field {
            Value::Map(map) => field = map.entry(segment.clone()).or_default(),
            other => return set_within(other, &path.rest()[at..], &value),
        }
        let last = at + 1 == path.rest().len();
        if !last && !matches!(field, Value::Map(_) | Value::Array(_)) {
            *field = Value::Map(Aggregated::new());
        }
    }
    *field = value;
}

fn set_within(place: &mut Value, segments: &[String], value: &Value) {
    let Some((first, rest)) = segments.split_first() else {
        *place = value.clone();
        return;
    };
    match place {
        Value::Array(elements) => match Path::position(first) {
            Some(position) => {
                if let Some(element) = elements.get_mut(position) {
                    set_within(element, rest, value);
                }
            }
            None => {
                let maps = elements
                    .iter_mut()
                    .filter(|element| element.as_map().is_some());
                maps.for_each(|element| set_within(element, segments, value));
            }
        },
        Value::Map(map) => set_within(map.entry(first.clone()).or_default(), rest, value),
        other => {
            let mut map = Aggregated::new();
            set_within(map.entry(first.clone()).or_default(), rest, value);
            *other = Value::Map(map);
        }
    }
}

/// Refuses what would nest too deep where a path leads to: stage upon stage it would otherwise become
/// deeper than any stack.
pub(super) fn check_depth(path: &Path, value: &Value) -> Result<(), QueryError> {
    if value_depth(value) + path.segments().len() <= DEPTH_MAX {
        return Ok(());
    }
    Err(QueryError::Expression {
        function: "a value",
        problem: format!("values may nest {DEPTH_MAX} deep"),
        class: ErrorClass::Limit,
    })
}

/// Fields that are computed of a row.
struct Computed<'p> {
    fields: &'p [(Path, Expression)],
    stage: &'static str,
    kept: Kept,
}

impl<'p> Computed<'p> {
    fn new(stage: &'static str, fields: &'p [(Path, Expression)], limits: Allowance<'_>) -> Self {
        Computed {
            fields,
            stage,
            kept: Kept::of(stage, limits),
        }
    }

    /// Calls for each field that has a value. What is made is bounded as a whole.
    fn each(
        &self,
        row: RowRef<'_>,
        mut take: impl FnMut(&'p Path, Value),
    ) -> Result<(), QueryError> {
        let mut bytes = 0;
        for (path, expression) in self.fields {
            let made = expression.value_of(row);
            let made = made.map_err(|error| self.wrong(error))?;
            let Some(value) = made else {
                continue;
            };
            if !matches!(expression, Expression::Field(_) | Expression::Literal(_)) {
                bytes += value_bytes(&value);
                self.kept.pass(bytes)?;
            }
            check_depth(path, &value).map_err(|error| self.wrong(error))?;
            take(path, value);
        }
        Ok(())
    }

    fn wrong(&self, error: QueryError) -> QueryError {
        QueryError::Stage {
            stage: self.stage,
            source: Box::new(error),
        }
    }
}

/// Rows of computed fields alone.
pub(super) struct Project<'p> {
    computed: Computed<'p>,
    next: Next<'p>,
}

impl<'p> Project<'p> {
    pub(super) fn new(
        fields: &'p [(Path, Expression)],
        limits: Allowance<'_>,
        next: Next<'p>,
    ) -> Self {
        let computed = Computed::new("$project", fields, limits);
        Project { computed, next }
    }
}

impl Sink for Project<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let mut map = Aggregated::new();
        self.computed
            .each(row.as_ref(), |path, value| set(&mut map, path, value))?;
        self.next.push(Row::from(map))
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

/// Rows with computed fields besides their own; all are computed of the row as it came.
pub(super) struct AddFields<'p> {
    computed: Computed<'p>,
    next: Next<'p>,
}

impl<'p> AddFields<'p> {
    pub(super) fn new(
        fields: &'p [(Path, Expression)],
        limits: Allowance<'_>,
        next: Next<'p>,
    ) -> Self {
        let computed = Computed::new("$addFields", fields, limits);
        AddFields { computed, next }
    }
}

impl Sink for AddFields<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let mut made = Vec::with_capacity(self.computed.fields.len());
        self.computed
            .each(row.as_ref(), |path, value| made.push((path, value)))?;
        let mut map = row.into_map();
        for (path, value) in made {
            set(&mut map, path, value);
        }
        self.next.push(Row::from(map))
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

/// Rows of which parts are left out.
pub(super) struct Select<'p> {
    pub(super) projector: Projector<'p>,
    pub(super) next: Next<'p>,
}

impl Sink for Select<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let map = match row {
            Row::Document(document) => self.projector.row(&document),
            Row::Map(map) => self.projector.map(map.into_owned()),
        };
        self.next.push(Row::from(map))
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

/// For each element of an array a row with the element in the array's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwind {
    /// Where the array is. Any other value than an array stays as it is.
    pub path: Path,
    /// Whether a row whose array is empty, null or absent is kept: without the field.
    pub keep_empty: bool,
    /// The name of the element's position, from 0; null where there was no array.
    pub index: Option<String>,
}

impl Unwind {
    /// No rows for arrays that are empty, null or absent.
    ///
    /// # Errors
    /// A text that is no path.
    pub fn new(path: impl IntoPath) -> Result<Unwind, QueryError> {
        Ok(Unwind {
            path: path.into_path()?,
            keep_empty: false,
            index: None,
        })
    }

    /// What takes a row's array away.
    pub(super) fn without(&self) -> Projection {
        Projection::Exclude(vec![self.path.clone()])
    }
}

pub(super) struct UnwindRows<'p> {
    pub(super) unwind: &'p Unwind,
    pub(super) without: Projection,
    pub(super) next: Next<'p>,
}

impl UnwindRows<'_> {
    /// Hands on a row that stays one row.
    fn one(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        match &self.unwind.index {
            None => self.next.push(row),
            Some(name) => {
                let mut map = row.into_map();
                map.insert(name.clone(), Value::Null);
                self.next.push(Row::from(map))
            }
        }
    }

    fn empty(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        if !self.unwind.keep_empty {
            return Ok(Flow::More);
        }
        let map = self.without.projector().map(row.into_map());
        self.one(Row::from(map))
    }
}

impl Sink for UnwindRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let path = &self.unwind.path;
        match row.as_ref().get(path).as_ref().map(Cell::view) {
            None | Some(View::Null) => return self.empty(row),
            Some(View::Array(array)) if array.is_empty() => return self.empty(row),
            Some(View::Array(_)) => {}
            Some(_) => return self.one(row),
        }
        let mut map = row.into_map();
        let Some(Value::Array(elements)) = slot(&mut map, path).map(std::mem::take) else {
            return Ok(Flow::More);
        };
        for (position, element) in elements.into_iter().enumerate() {
            if let Some(slot) = slot(&mut map, path) {
                *slot = element;
            }
            if let Some(name) = &self.unwind.index {
                map.insert(name.clone(), Value::Int(position as i64));
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
