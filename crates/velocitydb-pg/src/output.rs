//! What is written to a client and not yet sent: messages, put one behind another into one buffer.
//!
//! A message is its type, four bytes of length, and its body. The length is patched when the body
//! stands, so that values are written once, where they are sent from.
//!
//! Invariants: the buffer holds whole messages whenever no [`Row`] is being written. A row that is
//! dropped before [`Row::finish`] was never there. Text that the protocol ends by a zero byte is cut
//! at its first one. Who writes asks [`Output::is_full`] between rows, and drains.
//!
//! Does no I/O. Tests: below.

use std::fmt::Write as _;

use crate::backend::{Column, Format, Oid, TransactionStatus, format_of};
use crate::error::PgError;

/// What may be buffered before it is to be sent.
pub const FULL_BYTES: usize = 64 << 10;

/// A row may have as many bytes as a message of PostgreSQL.
const ROW_BYTES_MAX: usize = (1 << 30) - 1;

/// Capacity that an idle connection may keep.
const IDLE_BYTES: usize = 4 << 10;

/// Messages on their way to a client.
#[derive(Debug, Default)]
pub struct Output {
    buffer: Vec<u8>,
}

/// How a statement ended: `SELECT 5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    verb: &'static str,
    rows: Option<u64>,
}

impl Tag {
    /// A statement that counts nothing: `CREATE TABLE`.
    pub const fn new(verb: &'static str) -> Tag {
        Tag { verb, rows: None }
    }

    /// A statement that counts rows: `SELECT`, `UPDATE`, `INSERT 0`.
    pub const fn with_rows(verb: &'static str, rows: u64) -> Tag {
        Tag {
            verb,
            rows: Some(rows),
        }
    }
}

impl Output {
    /// Nothing yet.
    pub fn new() -> Output {
        Output::default()
    }

    /// Whether so much is buffered that it is to be sent before more is written.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= FULL_BYTES
    }

    /// What is buffered.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets what was sent, and gives back memory that only a large answer needs.
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        if self.buffer.capacity() > 2 * FULL_BYTES {
            self.buffer = Vec::new();
        }
    }

    /// Gives back what an idle connection does not need. Nothing is buffered.
    pub(crate) fn shrink(&mut self) {
        debug_assert!(self.buffer.is_empty(), "what is buffered would be lost");
        if self.buffer.capacity() > IDLE_BYTES {
            self.buffer = Vec::new();
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// A message: its type, and what `body` writes.
    pub(crate) fn message(&mut self, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        self.buffer.push(kind);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        body(&mut self.buffer);
        patch(&mut self.buffer, start, 0);
    }

    /// A byte that is no message: the answer to a request for encryption.
    pub(crate) fn byte(&mut self, byte: u8) {
        self.buffer.push(byte);
    }

    /// The columns of the rows that follow. Of the simple protocol alone: in the extended one the
    /// client asks for them ([`Output::columns`]).
    pub fn row_description<'c>(
        &mut self,
        columns: impl ExactSizeIterator<Item = Column<'c>>,
        formats: &[Format],
    ) {
        self.message(b'T', |body| {
            put_i16(body, columns.len());
            for (index, column) in columns.enumerate() {
                put_text(body, column.name);
                body.extend_from_slice(&column.table.to_be_bytes());
                body.extend_from_slice(&column.attribute.to_be_bytes());
                body.extend_from_slice(&column.type_oid.to_be_bytes());
                body.extend_from_slice(&column.type_size.to_be_bytes());
                body.extend_from_slice(&column.type_modifier.to_be_bytes());
                put_format(body, format_of(formats, index));
            }
        });
    }

    /// A row of so many fields, to be written one after the other.
    pub fn row(&mut self, columns: usize) -> Row<'_> {
        let start = self.buffer.len();
        self.buffer.push(b'D');
        self.buffer.extend_from_slice(&[0; 4]);
        put_i16(&mut self.buffer, columns);
        Row {
            buffer: &mut self.buffer,
            start,
            missing: columns,
        }
    }

    /// The end of a statement of the simple protocol. That of the extended one is written by the
    /// door.
    pub fn complete(&mut self, tag: Tag) {
        self.message(b'C', |body| {
            body.extend_from_slice(tag.verb.as_bytes());
            if let Some(rows) = tag.rows {
                put_display(body, format_args!(" {rows}"));
            }
            body.push(0);
        });
    }

    /// The answer to a request of the simple protocol that has no statement.
    pub fn empty_query(&mut self) {
        self.message(b'I', |_| {});
    }

    /// Says that the data of COPY … TO STDOUT follow: `columns` in one `format`.
    pub fn copy_out(&mut self, format: Format, columns: usize) {
        self.copy_response(b'H', format, columns);
    }

    /// Data of a copy: a row, as a rule. [`Output::is_full`] is to be asked between them.
    pub fn copy_data(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.message(b'd', write);
    }

    /// The end of a copy's data. [`Output::complete`] or [`crate::Execution::Complete`] follows.
    pub fn copy_done(&mut self) {
        self.message(b'c', |_| {});
    }

    pub(crate) fn copy_in(&mut self, format: Format, columns: usize) {
        self.copy_response(b'G', format, columns);
    }

    fn copy_response(&mut self, kind: u8, format: Format, columns: usize) {
        self.message(kind, |body| {
            body.push(matches!(format, Format::Binary).into());
            put_i16(body, columns);
            for _ in 0..columns {
                put_format(body, format);
            }
        });
    }

    /// A notice: what the client should know, and no error.
    pub fn notice(&mut self, notice: &PgError) {
        self.message(b'N', |body| put_error(body, notice));
    }

    /// The value of a setting that clients keep track of, at the beginning or because it changed.
    pub fn parameter_status(&mut self, name: &str, value: &str) {
        self.message(b'S', |body| {
            put_text(body, name);
            put_text(body, value);
        });
    }

    pub(crate) fn error(&mut self, error: &PgError) {
        self.message(b'E', |body| put_error(body, error));
    }

    pub(crate) fn notification(&mut self, process_id: i32, channel: &str, payload: &str) {
        self.message(b'A', |body| {
            body.extend_from_slice(&process_id.to_be_bytes());
            put_text(body, channel);
            put_text(body, payload);
        });
    }

    pub(crate) fn ready(&mut self, status: TransactionStatus) {
        let status = match status {
            TransactionStatus::Idle => b'I',
            TransactionStatus::Open => b'T',
            TransactionStatus::Failed => b'E',
        };
        self.message(b'Z', |body| body.push(status));
    }

    /// The types of a statement's parameters.
    pub fn parameter_description(&mut self, types: impl ExactSizeIterator<Item = Oid>) {
        self.message(b't', |body| {
            put_i16(body, types.len());
            for oid in types {
                body.extend_from_slice(&oid.to_be_bytes());
            }
        });
    }

    /// The columns that a statement answers, for a client that asks; none: it answers no rows.
    /// `formats` are none for text, one for all, or one for each.
    pub fn columns<'c>(
        &mut self,
        columns: impl ExactSizeIterator<Item = Column<'c>>,
        formats: &[Format],
    ) {
        match columns.len() {
            0 => self.message(b'n', |_| {}),
            _ => self.row_description(columns, formats),
        }
    }

    pub(crate) fn authentication(&mut self, code: i32, data: &[u8]) {
        self.message(b'R', |body| {
            body.extend_from_slice(&code.to_be_bytes());
            body.extend_from_slice(data);
        });
    }

    pub(crate) fn backend_key(&mut self, process_id: i32, secret: i32) {
        self.message(b'K', |body| {
            body.extend_from_slice(&process_id.to_be_bytes());
            body.extend_from_slice(&secret.to_be_bytes());
        });
    }

    /// The newest version of the protocol that there is here, and the options that there are not.
    pub(crate) fn negotiate_version(&mut self, version: i32, unknown: &[String]) {
        self.message(b'v', |body| {
            body.extend_from_slice(&version.to_be_bytes());
            let count = i32::try_from(unknown.len()).expect("they stood in one message");
            body.extend_from_slice(&count.to_be_bytes());
            for name in unknown {
                put_text(body, name);
            }
        });
    }
}

/// A row that is being written. Dropped before [`Row::finish`] it was never there.
#[derive(Debug)]
#[must_use = "a row that is not finished is taken back"]
pub struct Row<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    missing: usize,
}

impl Row<'_> {
    /// NULL.
    pub fn null(&mut self) {
        self.count();
        self.buffer.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    /// A value that is there as bytes already.
    pub fn value(&mut self, bytes: &[u8]) {
        self.write(|buffer| buffer.extend_from_slice(bytes));
    }

    /// A value as `write` appends it. What is in the buffer before is not to be touched.
    pub fn write<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.count();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        let answer = write(self.buffer);
        patch(self.buffer, start, 4);
        answer
    }

    /// The row is whole.
    ///
    /// # Errors
    /// It has more bytes than a message may have.
    pub fn finish(mut self) -> Result<(), PgError> {
        assert_eq!(self.missing, 0, "a row has all its fields");
        let length = self.buffer.len() - self.start - 1;
        if length > ROW_BYTES_MAX {
            let message = format!("a row of {length} bytes is larger than {ROW_BYTES_MAX}");
            return Err(PgError::new("54000", message));
        }
        patch(self.buffer, self.start + 1, 0);
        self.start = self.buffer.len(); // what drop goes back to
        Ok(())
    }

    fn count(&mut self) {
        let missing = self.missing.checked_sub(1);
        self.missing = missing.expect("a row has as many fields as were said");
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.start);
    }
}

/// Writes into the four bytes at `start` how many follow, those four less `without` included.
fn patch(buffer: &mut [u8], start: usize, without: usize) {
    let length = i32::try_from(buffer.len() - start - without).unwrap_or(i32::MAX);
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// A count of the protocol. More than 65,535 there are of nothing: columns and parameters are
/// bounded far below.
fn put_i16(body: &mut Vec<u8>, count: usize) {
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    body.extend_from_slice(&count.to_be_bytes());
}

fn put_format(body: &mut Vec<u8>, format: Format) {
    let code = i16::from(matches!(format, Format::Binary));
    body.extend_from_slice(&code.to_be_bytes());
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    let end = text.bytes().position(|byte| byte == 0);
    body.extend_from_slice(&text.as_bytes()[..end.unwrap_or(text.len())]);
    body.push(0);
}

fn put_display(body: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    struct Into<'a>(&'a mut Vec<u8>);
    impl std::fmt::Write for Into<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    Into(body).write_fmt(text).expect("memory takes all");
}

fn put_error(body: &mut Vec<u8>, error: &PgError) {
    let mut put = |code: u8, text: &str| {
        body.push(code);
        put_text(body, text);
    };
    put(b'S', error.severity.name());
    put(b'V', error.severity.name());
    put(b'C', error.code);
    put(b'M', &error.message);
    if let Some(fields) = &error.fields {
        if let Some(position) = fields.position {
            put(b'P', &position.to_string());
        }
        for (code, text) in [
            (b'D', &fields.detail),
            (b'H', &fields.hint),
            (b'W', &fields.context),
            (b's', &fields.schema),
            (b't', &fields.table),
            (b'c', &fields.column),
            (b'd', &fields.data_type),
            (b'n', &fields.constraint),
        ] {
            if let Some(text) = text {
                put(code, text);
            }
        }
    }
    body.push(0);
}

#[cfg(test)]
mod tests {
    use super::{Output, Tag};
    use crate::error::PgError;

    #[test]
    fn a_row_is_written_in_place_and_its_lengths_follow() {
        let mut out = Output::new();
        let mut row = out.row(3);
        row.value(b"ab");
        row.null();
        row.write(|buffer| buffer.push(b'c'));
        row.finish().unwrap();
        let expected = b"D\0\0\0\x15\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\x01c";
        assert_eq!(out.bytes(), expected);
    }

    #[test]
    fn a_row_that_failed_halfway_was_never_there() {
        let mut out = Output::new();
        out.complete(Tag::with_rows("INSERT 0", 2));
        let before = out.bytes().to_vec();
        let mut row = out.row(2);
        row.value(b"half");
        drop(row);
        assert_eq!(out.bytes(), before);
        assert_eq!(before, b"C\0\0\0\x0fINSERT 0 2\0");
    }

    #[test]
    fn an_error_has_the_fields_it_was_given() {
        let mut out = Output::new();
        out.error(
            &PgError::new("23505", "it is there already")
                .detail("Key (id)=(1)")
                .constraint("t_pkey")
                .position(7),
        );
        let bytes = &out.bytes()[5..];
        let expected = b"SERROR\0VERROR\0C23505\0Mit is there already\0P7\0\
            DKey (id)=(1)\0nt_pkey\0\0";
        assert_eq!(bytes, expected);
    }

    #[test]
    fn text_ends_at_a_zero_byte() {
        let mut out = Output::new();
        out.parameter_status("a\0b", "c");
        assert_eq!(out.bytes(), b"S\0\0\0\x08a\0c\0");
    }
}
