//! Functions of strings.

use velocitydb_types::{DOCUMENT_BYTES_MAX, Value, View};

use super::Problem;
use super::evaluate::{Arguments, Failure, int_of};
use crate::row::Cell;

/// Bytes that an element of an array takes besides its text.
const ELEMENT_BYTES: usize = size_of::<Value>();

pub(super) fn string<'c>(cell: &'c Cell<'_>) -> Result<&'c str, Problem> {
    match cell.view() {
        View::Str(bytes) => Ok(match cell {
            Cell::Ref(value) => value.as_str().unwrap_or_default(),
            Cell::Owned(value) => value.as_str().unwrap_or_default(),
            Cell::Raw(raw) => {
                debug_assert_eq!(raw.as_str_bytes(), Some(bytes));
                raw.as_str().unwrap_or_default()
            }
        }),
        _ => Err(Problem::expected("a string", cell.type_name())),
    }
}

/// Refuses a result that is too large.
pub(super) fn bounded(bytes: usize) -> Result<(), Problem> {
    match bytes > DOCUMENT_BYTES_MAX {
        true => Err(Problem::limit(format!(
            "a value may have {DOCUMENT_BYTES_MAX} bytes"
        ))),
        false => Ok(()),
    }
}

pub(super) fn concat(arguments: &Arguments<'_>) -> Result<Value, Failure> {
    let mut all = String::new();
    let mut null = false;
    for cell in arguments.iter() {
        let cell = cell?;
        if cell.is_null() {
            null = true;
            continue;
        }
        let text = string(&cell)?;
        bounded(all.len() + text.len())?;
        all.push_str(text);
    }
    Ok(if null { Value::Null } else { all.into() })
}

pub(super) fn substr(
    text: &Cell<'_>,
    start: &Cell<'_>,
    length: &Cell<'_>,
) -> Result<Value, Problem> {
    if [text, start, length].iter().any(|cell| cell.is_null()) {
        return Ok(Value::Null);
    }
    let (text, start, length) = (string(text)?, int_of(start)?, int_of(length)?);
    let length = usize::try_from(length)
        .map_err(|_| Problem::new(format!("expected a length from 0 on, found {length}")))?;
    let start = match usize::try_from(start) {
        Ok(start) => start,
        Err(_) => {
            let from_end = usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX);
            text.chars().count().saturating_sub(from_end)
        }
    };
    Ok(Value::String(
        text.chars().skip(start).take(length).collect(),
    ))
}

pub(super) fn length(cell: &Cell<'_>) -> Result<Value, Problem> {
    let length = match cell.view() {
        // Every character of UTF-8 has one byte that continues none.
        View::Str(bytes) => bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count(),
        View::Bytes(bytes) => bytes.len(),
        View::Array(array) => array.len(),
        View::Map(map) => map.len(),
        _ => {
            return Err(Problem::expected(
                "a string, bytes, an array or a map",
                cell.type_name(),
            ));
        }
    };
    Ok((length as i64).into())
}

pub(super) fn split(text: &Cell<'_>, separator: &Cell<'_>) -> Result<Value, Problem> {
    if text.is_null() || separator.is_null() {
        return Ok(Value::Null);
    }
    let (text, separator) = (string(text)?, string(separator)?);
    if separator.is_empty() {
        return Err(Problem::new("the separator is empty"));
    }
    let parts = text.matches(separator).count() + 1;
    bounded(text.len() + parts.saturating_mul(ELEMENT_BYTES))?;
    Ok(Value::Array(
        text.split(separator).map(Value::from).collect(),
    ))
}

pub(super) fn trim(
    text: &Cell<'_>,
    characters: &Cell<'_>,
    start: bool,
    end: bool,
) -> Result<Value, Problem> {
    if text.is_null() {
        return Ok(Value::Null);
    }
    let mut text = string(text)?;
    let characters = match characters.is_null() {
        true => None,
        false => Some(string(characters)?),
    };
    let goes = |character: char| match characters {
        Some(characters) => characters.contains(character),
        None => character.is_whitespace(),
    };
    if start {
        text = text.trim_start_matches(goes);
    }
    if end {
        text = text.trim_end_matches(goes);
    }
    Ok(text.into())
}

pub(super) fn replace_all(
    text: &Cell<'_>,
    find: &Cell<'_>,
    replacement: &Cell<'_>,
) -> Result<Value, Problem> {
    if [text, find, replacement].iter().any(|cell| cell.is_null()) {
        return Ok(Value::Null);
    }
    let (text, find, replacement) = (string(text)?, string(find)?, string(replacement)?);
    if find.is_empty() {
        return Err(Problem::new("what is to be found is empty"));
    }
    let found = text.matches(find).count();
    bounded(text.len() + found.saturating_mul(replacement.len()))?;
    Ok(text.replace(find, replacement).into())
}
