//! COPY … TO STDOUT: the rows of a query, written as data.

use super::options::{Form, Header, Options};
use super::{binary, csv, text};
use crate::error::SqlError;
use crate::formats::{Settings, write_binary, write_text};
use crate::statement::Native;
use crate::statement::rows::{Column, Rows};

/// A COPY … TO, bound: how the rows that it answers are written.
#[derive(Debug)]
pub struct CopyTo {
    pub(crate) statement: Native,
    pub(super) options: Options,
    pub(super) columns: Vec<Column>,
    /// For each column whether it stands in quotes in any case.
    pub(super) force_quote: Vec<bool>,
}

impl CopyTo {
    /// Whether the data are binary.
    pub fn is_binary(&self) -> bool {
        self.options.form == Form::Binary
    }

    /// How many fields a row has.
    pub fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Appends what stands before the rows, if there is anything.
    pub fn write_header(&self, out: &mut Vec<u8>) {
        if self.is_binary() {
            return binary::write_header(out);
        }
        if self.options.header == Header::None {
            return;
        }
        for (at, column) in self.columns.iter().enumerate() {
            self.begin(at, out);
            self.write(column.name.as_bytes(), false, out);
        }
        out.push(b'\n');
    }

    /// Appends what stands behind the rows, if there is anything.
    pub fn write_trailer(&self, out: &mut Vec<u8>) {
        if self.is_binary() {
            binary::write_trailer(out);
        }
    }

    /// Appends the next row; whether there was one. `scratch` is used again and again.
    ///
    /// # Errors
    /// A value that cannot be written.
    pub fn write_row(
        &self,
        rows: &mut Rows,
        settings: &Settings,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<bool, SqlError> {
        let begins = out.len();
        if self.is_binary() {
            // As many as a statement may have columns is less.
            let count = i16::try_from(self.columns.len()).unwrap_or(i16::MAX);
            out.extend_from_slice(&count.to_be_bytes());
        }
        let is_row = rows.next(|at, cell| {
            if !self.is_binary() {
                self.begin(at, out);
            }
            if cell.is_null() {
                match self.is_binary() {
                    true => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                    false => out.extend_from_slice(self.options.null.as_bytes()),
                }
                return Ok(());
            }
            let (sql, view) = (self.columns[at].sql, cell.view());
            if self.is_binary() {
                let start = out.len();
                out.extend_from_slice(&[0; 4]);
                write_binary(view, sql, out)?;
                let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
                out[start..start + 4].copy_from_slice(&length.to_be_bytes());
                return Ok(());
            }
            scratch.clear();
            write_text(view, sql, settings, scratch)?;
            self.write(scratch, self.force_quote[at], out);
            Ok::<_, SqlError>(())
        })?;
        match is_row {
            false => out.truncate(begins),
            true if !self.is_binary() => out.push(b'\n'),
            true => {}
        }
        Ok(is_row)
    }

    /// What stands before a field of text.
    fn begin(&self, at: usize, out: &mut Vec<u8>) {
        if at > 0 {
            out.push(self.options.delimiter);
        }
    }

    fn write(&self, field: &[u8], force: bool, out: &mut Vec<u8>) {
        match self.options.form {
            Form::Csv => {
                let is_alone = self.columns.len() == 1;
                csv::write(field, &self.options, force, is_alone, out);
            }
            _ => text::write(field, self.options.delimiter, out),
        }
    }
}
