//! JSON documents as fields: one object on each line (NDJSON), or the elements of one array.
//!
//! Which of the two it is shows in the first character. What JSON becomes is
//! `velocitydb_types::json`'s to say. Fields with a declared type are made values of that type;
//! all others stay what JSON says they are, strings that look like times included.
//!
//! Tests: `reader/tests.rs`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use velocitydb_types::{FieldType, Value};

use crate::elements::Elements;
use crate::error::{ErrorKind, ImportError, quoted};
use crate::input::{self, Input};
use crate::lines::Lines;
use crate::options::Options;
use crate::reader::Row;
use crate::typed;

/// Names of fields that rows share instead of each having its own.
const NAMES_MAX: usize = 4096;

/// Reads objects.
pub(crate) struct Ndjson {
    texts: Texts,
    types: BTreeMap<String, FieldType>,
    names: HashSet<Arc<str>>,
}

/// Where the text of the next object comes from.
enum Texts {
    Lines(Lines),
    Array(Elements),
}

impl Texts {
    fn next(&mut self) -> Result<bool, ImportError> {
        match self {
            Self::Lines(lines) => lines.next_filled(),
            Self::Array(elements) => elements.next_element(),
        }
    }

    fn current(&self) -> (u64, &[u8]) {
        match self {
            Self::Lines(lines) => (lines.line, &lines.text),
            Self::Array(elements) => (elements.line, &elements.text),
        }
    }
}

impl Ndjson {
    pub fn open(mut input: Input, options: &Options) -> Result<Self, ImportError> {
        let bytes_max = options.row_bytes_max;
        let (first, lines) =
            input::first_visible(&mut input).map_err(|error| ImportError::read(1, error))?;
        let texts = match first {
            Some(b'[') => Texts::Array(Elements::new(input, bytes_max, lines + 1)),
            _ => Texts::Lines(Lines::new(input, bytes_max, lines)),
        };
        Ok(Self {
            texts,
            types: options.types.clone(),
            names: HashSet::new(),
        })
    }

    /// The next row; nothing at the end.
    ///
    /// # Errors
    /// After one that is a bad row the next call reads on; after any other it may not be called.
    pub fn read(&mut self) -> Result<Option<Row>, ImportError> {
        if !self.texts.next()? {
            return Ok(None);
        }
        let (line, text) = self.texts.current();
        let fields = object(text).and_then(|map| {
            let fields = map.into_iter();
            let fields =
                fields.map(|(name, value)| field(&self.types, &mut self.names, name, value));
            fields.collect()
        });
        match fields {
            Ok(fields) => Ok(Some(Row { line, fields })),
            Err(kind) => Err(ImportError::new(line, kind)),
        }
    }
}

fn object(text: &[u8]) -> Result<BTreeMap<String, Value>, ErrorKind> {
    let text = std::str::from_utf8(text).map_err(|_| ErrorKind::NotUtf8)?;
    let value = Value::from_json(text)
        .map_err(|error| ErrorKind::Json(format!("{} (column {})", error.message, error.column)))?;
    match value {
        Value::Map(map) => Ok(map),
        other => {
            let message = format!("expected one JSON object, found {}", other.type_name());
            Err(ErrorKind::Json(message))
        }
    }
}

fn field(
    types: &BTreeMap<String, FieldType>,
    names: &mut HashSet<Arc<str>>,
    name: String,
    value: Value,
) -> Result<(Arc<str>, Value), ErrorKind> {
    let value = match types.get(&name) {
        None => value,
        Some(field_type) => typed::convert(value, *field_type).map_err(|value| {
            let (column, value) = (name.clone(), quoted(&value.to_json()));
            ErrorKind::Value {
                column,
                value,
                expected: field_type.name(),
                reason: String::new(),
            }
        })?,
    };
    let name = match names.get(name.as_str()) {
        Some(shared) => Arc::clone(shared),
        None => {
            let name: Arc<str> = name.into();
            if names.len() < NAMES_MAX {
                names.insert(Arc::clone(&name));
            }
            name
        }
    };
    Ok((name, value))
}
