//! Functions of arrays.

use std::cmp::Ordering;

use velocitydb_types::view::ArrayView;
use velocitydb_types::{DOCUMENT_BYTES_MAX, Path, Value, View, compare};

use super::Problem;
use super::evaluate::{Arguments, Failure, int_of};
use super::text::string;
use crate::limits::value_bytes;
use crate::pipeline::Sum;
use crate::row::{Cell, CellRef, RowRef};

pub(super) fn array<'c>(cell: &'c Cell<'_>) -> Result<ArrayView<'c>, Problem> {
    match cell.view() {
        View::Array(array) => Ok(array),
        _ => Err(Problem::expected("an array", cell.type_name())),
    }
}

/// The elements of an array that a cell is, each as a cell.
fn elements<'c>(cell: &'c Cell<'_>) -> Result<Vec<Cell<'c>>, Problem> {
    Ok(match array(cell)? {
        ArrayView::Owned(elements) => elements.iter().map(Cell::Ref).collect(),
        ArrayView::Raw(array) => array.iter().map(Cell::Raw).collect(),
    })
}

fn element<'c>(cell: &'c Cell<'_>, index: usize) -> Result<Option<Cell<'c>>, Problem> {
    Ok(match array(cell)? {
        ArrayView::Owned(elements) => elements.get(index).map(Cell::Ref),
        ArrayView::Raw(array) => array.get(index).map(Cell::Raw),
    })
}

/// A position from 0, or from the end when negative; `None` before the first.
fn position(index: i64, len: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

pub(super) fn element_at(cell: &Cell<'_>, index: &Cell<'_>) -> Result<Value, Problem> {
    if cell.is_null() || index.is_null() {
        return Ok(Value::Null);
    }
    let Some(index) = position(int_of(index)?, array(cell)?.len()) else {
        return Ok(Value::Null);
    };
    Ok(element(cell, index)?.map_or(Value::Null, Cell::into_value))
}

pub(super) fn slice(
    cell: &Cell<'_>,
    first: &Cell<'_>,
    second: &Cell<'_>,
    arguments: usize,
) -> Result<Value, Problem> {
    if cell.is_null() || first.is_null() || (arguments > 2 && second.is_null()) {
        return Ok(Value::Null);
    }
    let len = array(cell)?.len();
    let first = int_of(first)?;
    let (start, count) = match arguments {
        0..=2 if first < 0 => (position(first, len).unwrap_or(0), len),
        0..=2 => (0, first as usize),
        _ => {
            let count = int_of(second)?;
            let count = usize::try_from(count)
                .map_err(|_| Problem::new(format!("expected a count from 0 on, found {count}")))?;
            (position(first, len).unwrap_or(0), count)
        }
    };
    let taken = elements(cell)?.into_iter().skip(start).take(count);
    Ok(Value::Array(taken.map(Cell::into_value).collect()))
}

pub(super) fn contains(cell: &Cell<'_>, value: &Cell<'_>) -> Result<Value, Problem> {
    if cell.is_null() {
        return Ok(Value::Null);
    }
    let mut elements = array(cell)?.iter();
    Ok(elements
        .any(|element| compare(element, value.view()).is_eq())
        .into())
}

pub(super) fn pluck(cell: &Cell<'_>, path: &Cell<'_>) -> Result<Value, Problem> {
    if cell.is_null() || path.is_null() {
        return Ok(Value::Null);
    }
    let text = string(path)?;
    let path: Path = text
        .parse()
        .map_err(|error| Problem::new(format!("{text:?} is no path: {error}")))?;
    let read = |element: &Cell<'_>| {
        let element = match element {
            Cell::Raw(raw) => CellRef::Raw(*raw),
            Cell::Ref(value) => CellRef::Value(value),
            Cell::Owned(value) => CellRef::Value(value),
        };
        RowRef::Element(element).get(&path).map(Cell::into_value)
    };
    let found = elements(cell)?;
    Ok(Value::Array(found.iter().filter_map(read).collect()))
}

pub(super) fn concat(arguments: &Arguments<'_>) -> Result<Value, Failure> {
    let (mut all, mut bytes, mut null) = (Vec::new(), 0, false);
    for cell in arguments.iter() {
        let cell = cell?;
        if cell.is_null() {
            null = true;
            continue;
        }
        for element in elements(&cell)? {
            let element = element.into_value();
            bytes += value_bytes(&element);
            if bytes > DOCUMENT_BYTES_MAX {
                return Err(
                    Problem::limit(format!("a value may have {DOCUMENT_BYTES_MAX} bytes")).into(),
                );
            }
            all.push(element);
        }
    }
    Ok(if null { Value::Null } else { Value::Array(all) })
}

/// Calls for each element of one array, or for each of several values.
fn each(
    arguments: &Arguments<'_>,
    mut visit: impl FnMut(&Cell<'_>) -> Result<(), Problem>,
) -> Result<(), Failure> {
    if arguments.len() == 1 {
        let cell = arguments.get(0)?;
        if matches!(cell.view(), View::Array(_)) {
            for element in elements(&cell)? {
                visit(&element)?;
            }
            return Ok(());
        }
    }
    for cell in arguments.iter() {
        visit(&cell?)?;
    }
    Ok(())
}

pub(super) fn sum(arguments: &Arguments<'_>) -> Result<Sum, Failure> {
    let mut sum = Sum::default();
    each(arguments, |cell| {
        let added = sum.add(cell);
        added.map_err(|error| Problem::new(error.to_string()))
    })?;
    Ok(sum)
}

impl Sum {
    /// The sum, 0 of nothing.
    pub(super) fn total_or_zero(self) -> Result<Value, Problem> {
        match self
            .total()
            .map_err(|error| Problem::new(error.to_string()))?
        {
            Value::Null => Ok(Value::Int(0)),
            sum => Ok(sum),
        }
    }
}

/// The least or the greatest; nulls are left out.
pub(super) fn extreme(arguments: &Arguments<'_>, wanted: Ordering) -> Result<Value, Failure> {
    let mut extreme = Value::Null;
    each(arguments, |cell| {
        let better = extreme.is_null() || compare(cell.view(), &extreme) == wanted;
        if better && !cell.is_null() {
            extreme = cell.clone().into_value();
        }
        Ok(())
    })?;
    Ok(extreme)
}
