//! The lines of NDJSON as fields: one object on each line, empty lines skipped.
//!
//! What JSON becomes is `velocitydb_types::json`'s to say. Fields with a declared type are made
//! values of that type; all others stay what JSON says they are, strings that look like times
//! included.
//!
//! Tests: `reader/tests.rs`.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Read};
use std::sync::Arc;

use velocitydb_types::{FieldType, Value};

use crate::error::{ErrorKind, ImportError, quoted};
use crate::input::{Input, fill};
use crate::options::Options;
use crate::reader::Row;
use crate::typed;

/// Names of fields that rows share instead of each having its own.
const NAMES_MAX: usize = 4096;

/// Reads objects.
pub(crate) struct Ndjson {
    input: Input,
    types: BTreeMap<String, FieldType>,
    row_bytes_max: usize,
    line: u64,
    text: Vec<u8>,
    names: HashSet<Arc<str>>,
}

impl Ndjson {
    pub fn new(input: Input, options: &Options) -> Self {
        Self {
            input,
            types: options.types.clone(),
            row_bytes_max: options.row_bytes_max.max(1),
            line: 0,
            text: Vec::new(),
            names: HashSet::new(),
        }
    }

    /// The next row; nothing at the end.
    ///
    /// # Errors
    /// After one that is a bad row the next call reads on; after any other it may not be called.
    pub fn read(&mut self) -> Result<Option<Row>, ImportError> {
        while self.read_line()? {
            if !self.text.trim_ascii().is_empty() {
                let fields = self
                    .fields()
                    .map_err(|kind| ImportError::new(self.line, kind))?;
                return Ok(Some(Row {
                    line: self.line,
                    fields,
                }));
            }
        }
        Ok(None)
    }

    /// Reads one line into `text`, without its end; false at the end of the input.
    fn read_line(&mut self) -> Result<bool, ImportError> {
        self.line += 1;
        self.text.clear();
        let failed = |error| ImportError::read(self.line, error);
        let bytes_max = self.row_bytes_max;
        // As much as the longest row and `\r\n`: a longer row shows by its length.
        let mut limited = (&mut self.input).take((bytes_max as u64).saturating_add(2));
        let count = limited.read_until(b'\n', &mut self.text).map_err(failed)?;
        if self.text.last() == Some(&b'\n') {
            self.text.pop();
            self.text.pop_if(|byte| *byte == b'\r');
        } else if self.text.len() > bytes_max {
            self.skip_line()?;
        }
        if self.text.len() > bytes_max {
            return Err(ImportError::new(
                self.line,
                ErrorKind::RowTooLong { bytes_max },
            ));
        }
        Ok(count > 0)
    }

    /// Passes over the rest of a line.
    fn skip_line(&mut self) -> Result<(), ImportError> {
        loop {
            let filled =
                fill(&mut self.input).map_err(|error| ImportError::read(self.line, error))?;
            let end = filled.iter().position(|byte| *byte == b'\n');
            let count = end.map_or(filled.len(), |end| end + 1);
            let done = end.is_some() || filled.is_empty();
            self.input.consume(count);
            if done {
                return Ok(());
            }
        }
    }

    fn fields(&mut self) -> Result<Vec<(Arc<str>, Value)>, ErrorKind> {
        let text = std::str::from_utf8(&self.text).map_err(|_| ErrorKind::NotUtf8)?;
        let value = Value::from_json(text).map_err(|error| {
            ErrorKind::Json(format!("{} (column {})", error.message, error.column))
        })?;
        let Value::Map(map) = value else {
            let message = format!("expected one JSON object, found {}", value.type_name());
            return Err(ErrorKind::Json(message));
        };
        map.into_iter()
            .map(|(name, value)| self.field(name, value))
            .collect()
    }

    fn field(&mut self, name: String, value: Value) -> Result<(Arc<str>, Value), ErrorKind> {
        let value = match self.types.get(&name) {
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
        let name = match self.names.get(name.as_str()) {
            Some(shared) => Arc::clone(shared),
            None => {
                let name: Arc<str> = name.into();
                if self.names.len() < NAMES_MAX {
                    self.names.insert(Arc::clone(&name));
                }
                name
            }
        };
        Ok((name, value))
    }
}
