//! The reader: rows of any format, and what becomes of bad ones.
//!
//! Tests: `reader/tests.rs`.

use std::fs::File;
use std::io::Read;
use std::iter::FusedIterator;
use std::path::Path;
use std::sync::Arc;

use velocitydb_types::Value;

use crate::error::{ErrorKind, ImportError};
use crate::exported::ExportReader;
use crate::input::{self, Content, Input, Progress};
use crate::ndjson::Ndjson;
use crate::options::{BadRows, Format, Options};
use crate::table::{Column, Table, Widening};

#[cfg(test)]
mod tests;

/// One row of the input.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Line on which it begins, counted from 1 in the decompressed text.
    pub line: u64,
    /// Names and values, each name once; of a CSV in the order of the names. Names are as the input
    /// has them, also those that a document may not have.
    pub fields: Vec<(Arc<str>, Value)>,
}

/// Reads the rows of one input.
///
/// After an error that is not a bad row, and after a bad row under [`BadRows::Stop`], there are
/// no more rows.
pub struct Reader {
    source: Source,
    bad_rows: BadRows,
    skipped: u64,
    ended: bool,
    progress: Progress,
}

enum Source {
    Table(Box<Table>),
    Ndjson(Ndjson),
}

/// An input, seen for what it is.
#[derive(Debug)]
pub enum Opened {
    /// Rows.
    Rows(Reader),
    /// Collections that were exported, with their definitions.
    Export(ExportReader),
}

/// Begins to read an input: what was exported is seen by its first bytes, unless it is to be read
/// as CSV or TSV.
///
/// # Errors
/// As [`Reader::open`].
pub fn open(
    source: impl Read + Send + 'static,
    format: Format,
    options: Options,
) -> Result<Opened, ImportError> {
    let progress = Progress::new(options.bytes_total);
    let (input, content) = input::open(source, &progress, options.window_log_max)
        .map_err(|error| ImportError::read(0, error))?;
    match (&format, content) {
        (Format::Auto { .. } | Format::Ndjson, Content::Export) => {
            Ok(Opened::Export(ExportReader::new(input, progress, &options)))
        }
        _ => Reader::of(input, progress, format, options).map(Opened::Rows),
    }
}

impl Reader {
    /// Begins to read an input, decompressing it when it is gzip or zstd. Of a CSV the header and
    /// the sample are read at once.
    ///
    /// # Errors
    /// The input cannot be read, or its header cannot be used.
    pub fn open(
        source: impl Read + Send + 'static,
        format: Format,
        options: Options,
    ) -> Result<Self, ImportError> {
        let progress = Progress::new(options.bytes_total);
        let (input, _) = input::open(source, &progress, options.window_log_max)
            .map_err(|error| ImportError::read(0, error))?;
        Self::of(input, progress, format, options)
    }

    /// A reader of a text that is decompressed already.
    pub(crate) fn of(
        mut input: Input,
        progress: Progress,
        format: Format,
        options: Options,
    ) -> Result<Self, ImportError> {
        let format = match format {
            Format::Auto { name } => match Format::from_name(&name) {
                Some(format) => format,
                None => format_by_content(&mut input)?,
            },
            format => format,
        };
        let source = match format {
            Format::Ndjson => Source::Ndjson(Ndjson::open(input, &options)?),
            format => {
                let by_format = if format == Format::Tsv { b'\t' } else { b',' };
                let delimiter = options.delimiter.unwrap_or(by_format);
                Source::Table(Box::new(Table::open(input, delimiter, &options)?))
            }
        };
        Ok(Self {
            source,
            bad_rows: options.bad_rows,
            skipped: 0,
            ended: false,
            progress,
        })
    }

    /// [`Reader::open`] for a file, whose name says the format and whose length is the total.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_file(path: &Path, mut options: Options) -> Result<Self, ImportError> {
        let failed = |error| ImportError::new(0, ErrorKind::Io(error));
        let file = File::open(path).map_err(failed)?;
        options.bytes_total = Some(file.metadata().map_err(failed)?.len());
        let name = path.to_string_lossy().into_owned();
        Self::open(file, Format::Auto { name }, options)
    }

    /// The columns of a CSV, with their types as they are now: a type may widen as rows are read.
    /// Empty for NDJSON, where each row has its own fields.
    pub fn columns(&self) -> &[Column] {
        match &self.source {
            Source::Table(table) => table.columns(),
            Source::Ndjson(_) => &[],
        }
    }

    /// The columns of a CSV whose types have changed so far, since a later value did not fit.
    pub fn widened(&self) -> &[Widening] {
        match &self.source {
            Source::Table(table) => table.widened(),
            Source::Ndjson(_) => &[],
        }
    }

    /// Lets a column of a CSV keep the type that it has: from now on a value that does not fit
    /// makes a bad row. Nothing is changed where the sample had no value of the column.
    pub fn keep_type(&mut self, column: &str) {
        if let Source::Table(table) = &mut self.source {
            table.keep_type(column);
        }
    }

    /// How far the reading is.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Rows skipped so far because they were bad.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn read(&mut self) -> Result<Option<Row>, ImportError> {
        loop {
            let read = match &mut self.source {
                Source::Table(table) => table.read(),
                Source::Ndjson(ndjson) => ndjson.read(),
            };
            match (read, &mut self.bad_rows) {
                (Err(error), BadRows::Skip(report)) if error.is_bad_row() => {
                    self.skipped += 1;
                    report(&error);
                }
                (read, _) => return read,
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Row, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read();
        self.ended = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}

impl FusedIterator for Reader {}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

fn format_by_content(input: &mut Input) -> Result<Format, ImportError> {
    let start = input::fill(input).map_err(|error| ImportError::read(1, error))?;
    let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(if matches!(first, Some(b'{' | b'[')) {
        Format::Ndjson
    } else {
        Format::Csv
    })
}
