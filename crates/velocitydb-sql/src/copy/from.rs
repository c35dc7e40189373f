//! COPY … FROM STDIN: data as they come, cut into rows, which become documents.
//!
//! Data are gathered until there are [`TAKE_BYTES`], so that they are worked through in stretches
//! that are worth it, however small the client's messages; what is left of them is less than a row.
//! Outside of a transaction block the documents wait for the end and are written as one entry of the
//! log; within one each stretch goes to the transaction at once.

use std::sync::Arc;

use velocitydb::locks::CollectionId;
use velocitydb::{Call, Database, DefaultValue, Error, Fields, Key, Refusal, Transaction};
use velocitydb_query::Kept;
use velocitydb_types::Timestamp;

use super::binary::Binary;
use super::csv::Csv;
use super::maker::{Input, Maker};
use super::options::{Form, Header, Options};
use super::row::{Row, Step, bad, character_bytes, not_utf8, shown};
use super::text::Text;
use crate::bound::Bound;
use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::statement::account;
use crate::table::{Column, Table};
use crate::violations::Violations;

/// Data that are worked through at once, if there are so many. Tests want to see every cut.
const TAKE_BYTES: usize = if cfg!(test) { 1 } else { 64 << 10 };

/// The most bytes of one row's data: more than a document may have, since they may be escaped.
const ROW_BYTES_MAX: usize = 64 << 20;

/// The most rows that are written together outside of a transaction block.
const ROWS_MAX: usize = 4_000_000;

/// The most bytes of their documents; an entry of the log may have twice as many.
const BYTES_MAX: usize = 512 << 20;

/// A COPY … FROM, bound.
#[derive(Debug)]
pub(crate) struct CopyFrom {
    pub(crate) table: Arc<Table>,
    pub(super) settings: Arc<Settings>,
    pub(super) options: Options,
    /// The columns that the rows have, by their places in the table.
    pub(super) columns: Vec<usize>,
    /// Defaults that are SQL, of the other columns.
    pub(super) defaults: Vec<(usize, Bound)>,
    pub(super) condition: Option<Bound>,
}

#[derive(Debug)]
enum Decoder {
    Text(Box<Text>),
    Csv(Box<Csv>),
    Binary(Binary),
}

impl Decoder {
    /// Whether no row can have come yet.
    fn is_at_header(&self) -> bool {
        matches!(self, Decoder::Binary(binary) if binary.is_at_header())
    }
}

/// A COPY … FROM that is being run. Dropped, it never was.
pub struct CopyIn {
    from: Arc<CopyFrom>,
    decoder: Decoder,
    maker: Maker,
    buffer: Vec<u8>,
    /// Bytes of the buffer from which on it is worked through.
    wanted: usize,
    row: Row,
    /// Lines that were read, or rows.
    line: u64,
    /// Whether the first line is still to be passed over.
    before_header: bool,
    ended: bool,
    /// Rows that were taken.
    count: u64,
    waiting: Waiting,
    /// In a transaction block: what was written that refers to others.
    referring: Vec<Key>,
}

/// Documents that are not written yet, and where they came from.
struct Waiting {
    documents: Vec<Fields>,
    lines: Vec<u64>,
    bytes: usize,
    /// What they take of the memory of all queries.
    kept: Kept,
}

impl CopyIn {
    pub(crate) fn new(
        from: &Arc<CopyFrom>,
        database: &Database,
        began: Option<Timestamp>,
    ) -> Result<CopyIn, SqlError> {
        let options = &from.options;
        let now = database.now();
        let began = began.unwrap_or(now);
        from.settings.now.set(began);
        let transaction = database.begin(velocitydb::Isolation::ReadCommitted);
        Ok(CopyIn {
            decoder: match options.form {
                Form::Text => Decoder::Text(Box::new(Text::new(options))),
                Form::Csv => Decoder::Csv(Box::new(Csv::new(options))),
                Form::Binary => Decoder::Binary(Binary::default()),
            },
            maker: Maker::new(from, began, now)?,
            buffer: Vec::new(),
            wanted: TAKE_BYTES,
            row: Row::default(),
            line: 0,
            before_header: options.header != Header::None,
            ended: false,
            count: 0,
            waiting: Waiting {
                documents: Vec::new(),
                lines: Vec::new(),
                bytes: 0,
                kept: account(&transaction),
            },
            referring: Vec::new(),
            from: Arc::clone(from),
        })
    }

    /// Whether the data are binary.
    pub fn is_binary(&self) -> bool {
        matches!(self.decoder, Decoder::Binary(_))
    }

    /// How many fields a row has.
    pub fn columns(&self) -> usize {
        self.from.columns.len()
    }

    /// Rows that were taken.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Takes more data; whether rows may have come out of them.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<bool, SqlError> {
        if self.ended && !matches!(self.decoder, Decoder::Binary(_)) {
            // Behind the mark of the end anything may stand.
            return Ok(false);
        }
        self.buffer.extend_from_slice(bytes);
        match self.buffer.len() >= self.wanted {
            true => self.work(false).map(|()| true),
            false => Ok(false),
        }
    }

    /// Takes what is left, since no more will come.
    pub(crate) fn end(&mut self) -> Result<(), SqlError> {
        self.work(true)
    }

    fn work(&mut self, at_end: bool) -> Result<(), SqlError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let done = self.decode(&buffer, at_end)?;
        buffer.drain(..done);
        if buffer.len() > ROW_BYTES_MAX {
            let message = format!("a row of COPY has more than {ROW_BYTES_MAX} bytes");
            let error = SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message);
            return Err(self.at_line(error, self.line + 1));
        }
        // A row that is longer is not looked at again with each piece that comes.
        self.wanted = TAKE_BYTES.max(2 * buffer.len());
        self.buffer = buffer;
        Ok(())
    }

    fn at_line(&self, error: SqlError, line: u64) -> SqlError {
        error.context(format!("COPY {}, line {line}", self.from.table.name()))
    }

    /// Reads all rows that are whole; up to where.
    fn decode(&mut self, buffer: &[u8], at_end: bool) -> Result<usize, SqlError> {
        let (input, wrong) = match self.decoder {
            Decoder::Binary(_) => (Input::Binary(buffer), None),
            _ => {
                let (text, wrong) = valid(buffer, at_end);
                (Input::Text(text), wrong)
            }
        };
        let bytes = match input {
            Input::Binary(bytes) => bytes,
            Input::Text(text) => text.as_bytes(),
        };
        let at_end = at_end && wrong.is_none();
        let columns = self.from.columns.len();
        let mut row = std::mem::take(&mut self.row);
        let mut from = 0;
        loop {
            let (step, more_lines) = match &mut self.decoder {
                Decoder::Text(text) => (text.next(bytes, from, at_end, columns, &mut row), 0),
                Decoder::Csv(csv) => {
                    let step = csv.next(bytes, from, at_end, columns, &mut row);
                    (step, csv.more_lines)
                }
                Decoder::Binary(binary) => (binary.next(bytes, from, at_end, columns, &mut row), 0),
            };
            let line = self.line + 1 + more_lines;
            match step {
                Ok(Step::Row(next)) => {
                    self.line = line;
                    self.take_row(input, &row)?;
                    from = next;
                }
                Ok(Step::Skip(next)) => from = next,
                Ok(Step::Missing) => break,
                Ok(Step::End) => {
                    self.ended = true;
                    self.row = row;
                    return Ok(buffer.len());
                }
                Err(error) if self.decoder.is_at_header() => return Err(error),
                Err(error) if row.in_field => {
                    let name = self.maker.names().nth(row.pieces.len()).unwrap_or_default();
                    let table = self.from.table.name();
                    let context = format!("COPY {table}, line {line}, column {name}");
                    return Err(error.context(context));
                }
                Err(error) if row.line.is_empty() => return Err(self.at_line(error, line)),
                Err(error) => {
                    let text = String::from_utf8_lossy(&bytes[row.line.clone()]);
                    let (table, text) = (self.from.table.name(), shown(&text));
                    let context = format!("COPY {table}, line {line}: \"{text}\"");
                    return Err(error.context(context));
                }
            }
        }
        self.row = row;
        match wrong {
            None => Ok(from),
            Some(error) => Err(self.at_line(error, self.line + 1)),
        }
    }

    fn take_row(&mut self, input: Input<'_>, row: &Row) -> Result<(), SqlError> {
        if std::mem::take(&mut self.before_header) {
            return match (self.from.options.header, input) {
                (Header::Match, Input::Text(text)) => {
                    let checked = self.check_header(text, row);
                    checked.map_err(|error| {
                        let (table, line) = (self.from.table.name(), &text[row.line.clone()]);
                        let context = format!("COPY {table}, line 1: \"{}\"", shown(line));
                        error.context(context)
                    })
                }
                _ => Ok(()),
            };
        }
        let made = self.maker.make(&self.from, input, row, self.line)?;
        if let Some(fields) = made {
            self.count += 1;
            self.waiting.push(fields, self.line)?;
        }
        Ok(())
    }

    /// Refuses a first line that does not name the columns.
    fn check_header(&self, text: &str, row: &Row) -> Result<(), SqlError> {
        let (found, expected) = (row.pieces.len() + row.more, self.from.columns.len());
        if found != expected {
            return Err(bad(format!(
                "wrong number of fields in header line: got {found}, expected {expected}"
            )));
        }
        for (at, name) in self.maker.names().enumerate() {
            let got = match row.text(text, at)? {
                Some(got) if got == name => continue,
                Some(got) => format!("{got:?}"),
                None => format!("null value (\"{}\")", self.from.options.null),
            };
            return Err(bad(format!(
                "column name mismatch in header line field {}: got {got}, expected {name:?}",
                at + 1
            )));
        }
        Ok(())
    }

    /// Inserts what waits, all of it or nothing.
    pub(crate) fn write(&mut self, database: &Database, call: Call) -> Result<(), SqlError> {
        if self.waiting.documents.is_empty() {
            return Ok(());
        }
        let name = self.from.table.name();
        let written = database
            .collection(name)?
            .with(call)
            .insert_checked(&self.waiting.documents, self.checked());
        written.map(drop).map_err(|error| {
            let at = match &error {
                Error::Refused { operation, .. } => *operation,
                _ => return error.into(),
            };
            self.refused(error, at)
        })
    }

    /// Inserts what waits in a transaction: the keys of what refers to others, to be told to
    /// [`CopyIn::written`].
    pub(crate) fn write_in(&self, transaction: &mut Transaction) -> Result<Vec<Key>, SqlError> {
        let mut referring = Vec::new();
        let definition = &self.from.table.definition;
        let name = self.from.table.name();
        let is_unique = definition.indexes.iter().any(|index| index.unique);
        let mut fields = definition.schema.fields().iter();
        let refers = fields.any(|field| field.references.is_some());
        for (at, document) in self.waiting.documents.iter().enumerate() {
            let key = match transaction.insert(name, document) {
                Ok(key) => key,
                Err(error) => return Err(self.refused(error, at)),
            };
            if is_unique && let Some((index, _)) = transaction.taken(name, &key)? {
                let index = index.unwrap_or_else(|| self.from.table.key_constraint());
                let row = document.to_map();
                let error = self.violations().unique(&index, &row);
                return Err(self.at_line(error, self.waiting.lines[at]));
            }
            if refers {
                referring.push(key);
            }
        }
        Ok(referring)
    }

    /// Forgets what waited: it is written.
    pub(crate) fn written(&mut self, referring: Vec<Key>) -> Result<(), SqlError> {
        self.referring.extend(referring);
        self.waiting.clear()
    }

    /// Refuses what refers to documents that are not there.
    pub(crate) fn check_references(&self, transaction: &mut Transaction) -> Result<(), SqlError> {
        let name = self.from.table.name();
        for key in &self.referring {
            if let Err(error) = transaction.check_references(name, key) {
                let row = transaction.get(name, key)?;
                let row = row.map(|row| row.fields().to_map()).unwrap_or_default();
                return Err(self.violations().of(error, &row));
            }
        }
        Ok(())
    }

    /// The definition that the documents fit: values were read as those of their columns, and nulls,
    /// constraints and checks were looked at ([`Maker::make`]). `None`: a default is still to be filled in.
    fn checked(&self) -> Option<(CollectionId, u64)> {
        let table = &self.from.table;
        let mut columns = table.columns.iter().enumerate();
        let is_there = |(at, column): (usize, &Column)| {
            let wants_nothing = matches!(column.default, None | Some(DefaultValue::Sql(_)));
            wants_nothing || self.from.columns.contains(&at)
        };
        table.defined.filter(|_| columns.all(is_there))
    }

    fn violations(&self) -> Violations<'_> {
        Violations {
            table: &self.from.table,
            settings: &self.from.settings,
        }
    }

    /// The error of a document that waited.
    fn refused(&self, error: Error, at: usize) -> SqlError {
        let Some(document) = self.waiting.documents.get(at) else {
            return error.into();
        };
        // What a row refers to is looked at when all are there.
        let is_reference = matches!(
            &error,
            Error::Refused {
                refusal: Refusal::Reference(_),
                ..
            }
        );
        let error = self.violations().of(error, &document.to_map());
        match is_reference {
            true => error,
            false => self.at_line(error, self.waiting.lines[at]),
        }
    }
}

impl Waiting {
    fn push(&mut self, fields: Fields, line: u64) -> Result<(), SqlError> {
        let bytes = fields.as_bytes().len();
        self.kept.resize(0, bytes + size_of::<(Fields, u64)>())?;
        self.bytes += bytes;
        self.documents.push(fields);
        self.lines.push(line);
        if self.documents.len() > ROWS_MAX || self.bytes > BYTES_MAX {
            let message = format!(
                "COPY takes at most {ROWS_MAX} rows, or {} MiB of documents, as one statement",
                BYTES_MAX >> 20
            );
            let error = SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message);
            return Err(error.hint("Nothing was copied. Copy the rows in several statements."));
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<(), SqlError> {
        let taken = self.bytes + self.documents.len() * size_of::<(Fields, u64)>();
        self.kept.resize(taken, 0)?;
        self.documents.clear();
        self.lines.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// What of bytes is text, and what is wrong with what follows, if it is no text.
fn valid(bytes: &[u8], at_end: bool) -> (&str, Option<SqlError>) {
    let (text, wrong) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let (good, rest) = bytes.split_at(error.valid_up_to());
            let is_cut = rest.len() < character_bytes(rest) && !at_end;
            let text = std::str::from_utf8(good).unwrap_or_default();
            (text, (!is_cut).then(|| not_utf8(rest)))
        }
    };
    match text.bytes().position(|byte| byte == 0) {
        Some(zero) => (&text[..zero], Some(not_utf8(&[0]))),
        None => (text, wrong),
    }
}
