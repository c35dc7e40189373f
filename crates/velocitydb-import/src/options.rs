//! What the caller says about an input.

use std::collections::BTreeMap;
use std::fmt;

use velocitydb_types::FieldType;

use crate::error::ImportError;

/// How the decompressed text is laid out. Compression is never said: it is seen in the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// By the name of the file (see [`Format::from_name`]), and where that says nothing, by the
    /// first character: `{` and `[` begin JSON, all else is CSV.
    Auto {
        /// Name or path of the file; may be empty.
        name: String,
    },
    /// Values between delimiters, quoted as RFC 4180 has it.
    #[default]
    Csv,
    /// Values between tabs, quoted as in CSV.
    Tsv,
    /// JSON documents: one object on each line, or one array of objects.
    Ndjson,
}

impl Format {
    /// The format that the ending of a file's name means, with or without `.gz` or `.zst`:
    /// `csv`, `tsv`, `ndjson`, `jsonl`, `json`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            _ => None,
        }
    }
}

/// Where the columns of a CSV get their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Header {
    /// The first row names them.
    #[default]
    FirstRow,
    /// The input has no header; these are the names, in order.
    Names(Vec<String>),
}

/// What a missing value of a CSV becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// The field is there, and null.
    #[default]
    Null,
    /// The field is not there.
    Absent,
}

/// What happens with a row that cannot be read.
#[derive(Default)]
pub enum BadRows {
    /// It is the last item that the reader gives.
    #[default]
    Stop,
    /// It is given to this function, and the reader goes on with the next row.
    Skip(Box<dyn FnMut(&ImportError) + Send>),
}

impl fmt::Debug for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stop => "Stop",
            Self::Skip(_) => "Skip(..)",
        })
    }
}

/// How to read an input. [`Options::default`] suits most files.
#[derive(Debug)]
pub struct Options {
    /// Types of columns (CSV) or of top-level fields (NDJSON) that are not to be inferred. A
    /// value that does not fit makes a bad row.
    pub types: BTreeMap<String, FieldType>,
    /// What is done with bad rows.
    pub bad_rows: BadRows,
    /// Longest row in bytes of decompressed text, which bounds the reader's memory, together
    /// with the sample, to a small multiple of it. At least 1.
    pub row_bytes_max: usize,
    /// CSV: where the names come from.
    pub header: Header,
    /// CSV: the byte between values; of the format (comma or tab) unless given.
    pub delimiter: Option<u8>,
    /// CSV: texts that mean a missing value, quoted or not. In a column declared as string too.
    pub nulls: Vec<String>,
    /// CSV: what a missing value becomes.
    pub missing: Missing,
    /// CSV: rows from which types are inferred. Fewer when they are long: the sample ends with the
    /// row that brings it to [`Options::row_bytes_max`].
    pub sample_rows: usize,
    /// zstd: the base 2 logarithm of the largest window, which is memory of the reader's; 10 to 31.
    pub window_log_max: u32,
    /// Length of the compressed input in bytes, when it is known; only told on in
    /// [`Progress`](crate::Progress).
    pub bytes_total: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            types: BTreeMap::new(),
            bad_rows: BadRows::Stop,
            row_bytes_max: 16 << 20,
            header: Header::FirstRow,
            delimiter: None,
            nulls: vec![String::new(), "NA".to_owned()],
            missing: Missing::Null,
            sample_rows: 1000,
            window_log_max: 27,
            bytes_total: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_formats() {
        for (name, format) in [
            ("a.csv", Some(Format::Csv)),
            ("dir.json/a.CSV.GZ", Some(Format::Csv)),
            ("a.tsv.zst", Some(Format::Tsv)),
            ("a.ndjson", Some(Format::Ndjson)),
            ("a.b.jsonl", Some(Format::Ndjson)),
            ("csv", None),
            ("a.gz", None),
            ("a.parquet", None),
            ("", None),
        ] {
            assert_eq!(Format::from_name(name), format, "{name}");
        }
    }
}
