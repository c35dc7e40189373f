//! The rows of a CSV as typed values.
//!
//! Types of columns that the caller does not declare come from a sample at the start. A later
//! value that does not fit widens such a column for the rows from there on (int to float to
//! string, all else to string); rows already given keep what they had. A declared column never
//! widens. A column without any value in the sample is decided by its first value.
//!
//! Tests: `reader/tests.rs`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;
use velocitydb_types::{FieldType, Value};

use crate::delimited::{Delimited, TextRow};
use crate::error::{ErrorKind, ImportError, quoted};
use crate::infer;
use crate::input::Input;
use crate::options::{Header, Missing, Options};
use crate::reader::Row;
use crate::typed;

/// One column of a CSV.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: Arc<str>,
    /// The type of its values from the current row on; `None` while it has had none.
    pub field_type: Option<FieldType>,
    /// Where the type comes from.
    pub origin: TypeOrigin,
}

/// A column whose type changed, as a value did not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widening {
    /// Name of the column.
    pub column: Arc<str>,
    /// Line of the row from which on it has the new type.
    pub line: u64,
    /// The type of the rows before.
    pub from: FieldType,
    /// The type from there on.
    pub to: FieldType,
}

/// Where the type of a column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeOrigin {
    /// From the caller: it stays.
    Declared,
    /// From the values: it may widen.
    Inferred,
}

impl Column {
    fn value(&mut self, text: &str) -> Result<Value, ErrorKind> {
        match (self.origin, self.field_type) {
            (TypeOrigin::Declared, Some(field_type)) => {
                typed::parse(text, field_type).map_err(|reason| ErrorKind::Value {
                    column: self.name.as_ref().to_owned(),
                    value: quoted(text),
                    expected: field_type.name(),
                    reason,
                })
            }
            (_, known) => {
                if let Some(value) = known.and_then(|known| infer::parse_inferred(text, known)) {
                    return Ok(value);
                }
                let wider = infer::widen(known, text);
                self.field_type = Some(wider);
                Ok(infer::parse_inferred(text, wider).expect("a type is widened to hold the text"))
            }
        }
    }
}

/// Reads rows, first those of the sample.
pub(crate) struct Table {
    rows: Delimited,
    row: TextRow,
    sample: VecDeque<Result<TextRow, ImportError>>,
    columns: Vec<Column>,
    /// The columns' places in the order of their names, which is that of a document's fields: so
    /// that no document needs sorting.
    by_name: Vec<usize>,
    /// At most two for each column.
    widened: Vec<Widening>,
    nulls: Vec<String>,
    missing: Missing,
}

impl Table {
    /// Reads the header and the sample.
    ///
    /// # Errors
    /// A header that cannot be read or used. Faults of the sample come when its rows are read.
    pub fn open(input: Input, delimiter: u8, options: &Options) -> Result<Self, ImportError> {
        let mut rows = Delimited::new(input, delimiter, options.row_bytes_max);
        let mut row = TextRow::default();
        let (line, names) = match &options.header {
            Header::Names(names) => (0, names.clone()),
            Header::FirstRow => {
                if !rows.read(&mut row)? {
                    let message = "the input is empty: it should begin with a header".to_owned();
                    return Err(ImportError::new(1, ErrorKind::Header(message)));
                }
                (row.line, row.fields()?.map(str::to_owned).collect())
            }
        };
        let columns = columns(names, options)
            .map_err(|message| ImportError::new(line, ErrorKind::Header(message)))?;
        let mut by_name: Vec<usize> = (0..columns.len()).collect();
        by_name.sort_by(|a, b| columns[*a].name.cmp(&columns[*b].name));
        let sample = VecDeque::new();
        let (nulls, missing) = (options.nulls.clone(), options.missing);
        let mut table = Self {
            rows,
            row,
            sample,
            columns,
            by_name,
            widened: Vec::new(),
            nulls,
            missing,
        };
        table.read_sample(options);
        table.infer();
        Ok(table)
    }

    /// The columns in order, with their types as they are now.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The columns whose types have changed, in the order in which that happened.
    pub fn widened(&self) -> &[Widening] {
        &self.widened
    }

    /// Lets a column keep the type that it has.
    pub fn keep_type(&mut self, column: &str) {
        let found = self.columns.iter_mut().find(|found| &*found.name == column);
        if let Some(found) = found.filter(|found| found.field_type.is_some()) {
            found.origin = TypeOrigin::Declared;
        }
    }

    /// The next row; nothing at the end.
    ///
    /// # Errors
    /// After one that is a bad row the next call reads on; after any other it may not be called.
    pub fn read(&mut self) -> Result<Option<Row>, ImportError> {
        if let Some(sampled) = self.sample.pop_front() {
            self.row = sampled?;
        } else if !self.rows.read(&mut self.row)? {
            return Ok(None);
        }
        let line = self.row.line;
        let bad = |kind| ImportError::new(line, kind);
        let (expected, found) = (self.columns.len(), self.row.field_count());
        if expected != found {
            return Err(bad(ErrorKind::FieldCount { expected, found }));
        }
        let texts: SmallVec<[&str; 32]> = self.row.fields()?.collect();
        let mut fields = Vec::with_capacity(expected);
        for &at in &self.by_name {
            let (column, text) = (&mut self.columns[at], texts[at]);
            if !is_null(&self.nulls, text) {
                let before = column.field_type;
                fields.push((Arc::clone(&column.name), column.value(text).map_err(bad)?));
                if let (Some(from), Some(to)) = (before, column.field_type)
                    && from != to
                {
                    let column = Arc::clone(&column.name);
                    self.widened.push(Widening {
                        column,
                        line,
                        from,
                        to,
                    });
                }
            } else if self.missing == Missing::Null {
                fields.push((Arc::clone(&column.name), Value::Null));
            }
        }
        Ok(Some(Row { line, fields }))
    }

    /// Reads ahead what types are inferred from, at most a row more than the limit in bytes.
    fn read_sample(&mut self, options: &Options) {
        let mut bytes = 0;
        while self.sample.len() < options.sample_rows && bytes < options.row_bytes_max {
            match self.rows.read(&mut self.row) {
                Ok(false) => break,
                Ok(true) => {
                    bytes += self.row.memory_bytes();
                    self.sample.push_back(Ok(self.row.compact()));
                }
                Err(error) => {
                    let goes_on = error.is_bad_row();
                    self.sample.push_back(Err(error));
                    if !goes_on {
                        break;
                    }
                }
            }
        }
    }

    /// Gives each undeclared column the narrowest type that holds all that the sample has of it.
    fn infer(&mut self) {
        let Self {
            sample,
            columns,
            nulls,
            ..
        } = self;
        // Twice: what came before a type widened must fit the wider type as well.
        let count = columns.len();
        for _ in 0..2 {
            let whole = sample
                .iter()
                .flatten()
                .filter(|row| row.field_count() == count);
            for texts in whole.filter_map(|row| row.fields().ok()) {
                for (column, text) in columns.iter_mut().zip(texts) {
                    if column.origin == TypeOrigin::Inferred && !is_null(nulls, text) {
                        column.field_type = Some(infer::widen(column.field_type, text));
                    }
                }
            }
        }
    }
}

fn is_null(nulls: &[String], text: &str) -> bool {
    nulls.iter().any(|null| null == text)
}

/// The columns with these names, before any inference.
fn columns(names: Vec<String>, options: &Options) -> Result<Vec<Column>, String> {
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name", index + 1));
        }
        if !seen.insert(name.as_str()) {
            return Err(format!("two columns are named `{}`", quoted(name)));
        }
    }
    if let Some(unknown) = options
        .types
        .keys()
        .find(|name| !seen.contains(name.as_str()))
    {
        return Err(format!(
            "a type is given for `{}`, which is no column",
            quoted(unknown)
        ));
    }
    let column = |name: &String| {
        let declared = options.types.get(name).copied();
        let origin = declared.map_or(TypeOrigin::Inferred, |_| TypeOrigin::Declared);
        Column {
            name: name.as_str().into(),
            field_type: declared,
            origin,
        }
    };
    Ok(names.iter().map(column).collect())
}
