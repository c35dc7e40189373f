//! Writes collections of one snapshot: in the exported form, or as plain JSON or CSV.
//!
//! An [`Export`] is pulled: [`Export::next_chunk`] gives the next piece of text, so that whoever
//! takes it (a file, a client) sets the pace. Memory is bounded by a piece and the largest
//! document, and for a CSV by the names of the columns.
//!
//! Tests: velocitydb-cli (tests/it/export.rs), velocitydb-server (tests/it/transfer.rs).

use std::collections::BTreeSet;

use velocitydb::{
    CollectionView, DatabaseDefinition, Definition, Document, Error, Openness, PageRequest, View,
};
use velocitydb_types::{RawValue, ValueRef, write_json};

use crate::digest::DataDigest;
use crate::exported;

/// A piece of text has about this many bytes.
const CHUNK_BYTES: usize = 128 << 10;
/// Documents that are held at a time: handles, not copies.
const PAGE_DOCUMENTS: usize = 256;

/// The most columns of a CSV.
pub const COLUMNS_MAX: usize = 65_536;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The exported form: definitions and documents with all types, to be imported again.
    Exported,
    /// One plain JSON object on each line.
    Ndjson,
    /// One plain JSON array.
    Json,
    /// Values between commas, with a header.
    Csv,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// What was asked for cannot be written in this layout.
    #[error("{0}")]
    Invalid(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
}

/// The collections of one snapshot as text.
pub struct Export {
    layout: Layout,
    /// What is still to be written, the next one last.
    rest: Vec<Part>,
    index: Option<u64>,
    current: Option<Current>,
    written: Written,
    ended: bool,
}

/// What an export has written so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Collections that were begun.
    pub collections: u64,
    /// Documents.
    pub documents: u64,
    /// Documents of all the collections together, when the export was begun.
    pub documents_total: u64,
    /// Names and digests of the collections that were ended; of several databases behind the
    /// database's name and `/`.
    pub digests: Vec<(String, DataDigest)>,
}

enum Part {
    /// The collections after it are of this one.
    Database(DatabaseDefinition),
    Collection(String, Box<CollectionView>),
}

struct Current {
    /// What the digest is told for.
    name: String,
    view: CollectionView,
    columns: Vec<String>,
    /// Read and not yet written.
    page: std::vec::IntoIter<Document>,
    next: Next,
    documents: u64,
    digest: DataDigest,
}

#[derive(Clone, Copy)]
enum Next {
    Page(Option<u32>),
    End,
}

impl Export {
    /// Begins to export these collections as a snapshot has them.
    ///
    /// # Errors
    /// A collection that is not there; several in a layout that holds one.
    pub fn new(view: &View, names: &[String], layout: Layout) -> Result<Export, ExportError> {
        if layout != Layout::Exported && names.len() != 1 {
            return Err(ExportError::Invalid(format!(
                "plain JSON and CSV hold one collection; {} were asked for",
                names.len()
            )));
        }
        let views = names.iter().map(|name| {
            let found = Box::new(view.collection(name)?);
            Ok(Part::Collection(name.clone(), found))
        });
        let parts = views.collect::<Result<Vec<_>, Error>>()?;
        Export::of(parts, layout)
    }

    /// Begins to export all databases of the store as a snapshot has them, whichever of them it is
    /// of: each with its definition, also those without collections, in the exported form.
    ///
    /// # Errors
    /// The snapshot is too old.
    pub fn of_all_databases(view: &View) -> Result<Export, ExportError> {
        let mut parts = Vec::new();
        for (id, database) in view.databases() {
            let (view, of) = (view.of_database(id), database.name.clone());
            parts.push(Part::Database(database));
            for name in view.collection_names() {
                let found = Box::new(view.collection(&name)?);
                parts.push(Part::Collection(format!("{of}/{name}"), found));
            }
        }
        Export::of(parts, Layout::Exported)
    }

    fn of(mut parts: Vec<Part>, layout: Layout) -> Result<Export, ExportError> {
        let views = parts.iter().filter_map(|part| match part {
            Part::Database(_) => None,
            Part::Collection(_, view) => Some(view),
        });
        let index = views.clone().next().map(|view| view.index());
        let documents_total = views.map(|view| view.count()).sum::<Result<u64, _>>()?;
        parts.reverse();
        Ok(Export {
            layout,
            rest: parts,
            index,
            current: None,
            written: Written {
                documents_total,
                ..Written::default()
            },
            ended: false,
        })
    }

    /// The log index of the snapshot; `None` of an export of nothing.
    pub fn index(&self) -> Option<u64> {
        self.index
    }

    /// What has been written so far.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// Appends the next piece to `out`; false when there is no more.
    ///
    /// # Errors
    /// The snapshot is too old, or there are too many columns. What was written is no whole export.
    pub fn next_chunk(&mut self, out: &mut Vec<u8>) -> Result<bool, ExportError> {
        let start = out.len();
        while !self.ended && out.len() - start < CHUNK_BYTES {
            self.step(out)?;
        }
        Ok(out.len() > start)
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<(), ExportError> {
        let Some(current) = &mut self.current else {
            match self.rest.pop() {
                None => self.ended = true,
                Some(Part::Database(database)) => exported::write_database(&database, out),
                Some(Part::Collection(name, view)) => {
                    self.current = Some(Current::begin(name, *view, self.layout, out)?);
                    self.written.collections += 1;
                }
            }
            return Ok(());
        };
        if let Some(document) = current.page.next() {
            current.document(&document, self.layout, out);
            self.written.documents += 1;
            return Ok(());
        }
        match current.next {
            Next::Page(after) => {
                let limit = PAGE_DOCUMENTS;
                let page = current.view.list(&PageRequest { limit, after })?;
                current.page = page.documents.into_iter();
                current.next = page.next.map_or(Next::End, |next| Next::Page(Some(next)));
            }
            Next::End => {
                match self.layout {
                    Layout::Exported => {
                        exported::write_end(current.documents, current.digest, out);
                    }
                    Layout::Json => out.extend_from_slice(b"\n]\n"),
                    Layout::Ndjson | Layout::Csv => {}
                }
                let name = std::mem::take(&mut current.name);
                self.written.digests.push((name, current.digest));
                self.current = None;
            }
        }
        Ok(())
    }
}

impl Current {
    fn begin(
        name: String,
        view: CollectionView,
        layout: Layout,
        out: &mut Vec<u8>,
    ) -> Result<Current, ExportError> {
        let mut columns = Vec::new();
        match layout {
            Layout::Exported => exported::write_head(view.definition(), out),
            Layout::Ndjson => {}
            Layout::Json => out.push(b'['),
            Layout::Csv => {
                columns = columns_of(&view)?;
                let names = columns.iter().map(|name| name.as_bytes().to_vec());
                write_row(names, out);
            }
        }
        Ok(Current {
            name,
            view,
            columns,
            page: Vec::new().into_iter(),
            next: Next::Page(None),
            documents: 0,
            digest: DataDigest::default(),
        })
    }

    fn document(&mut self, document: &Document, layout: Layout, out: &mut Vec<u8>) {
        let (id, expires_at) = (document.id(), document.meta().expires_at);
        let fields = document.fields();
        self.digest.add(&id, expires_at, fields);
        match layout {
            Layout::Exported => {
                let schema = &self.view.definition().schema;
                exported::write_document(&id, expires_at, fields, schema, out);
            }
            Layout::Ndjson => {
                self.write_plain(document, out);
                out.push(b'\n');
            }
            Layout::Json => {
                let before: &[u8] = if self.documents == 0 { b"\n" } else { b",\n" };
                out.extend_from_slice(before);
                self.write_plain(document, out);
            }
            Layout::Csv => {
                let values = self.columns.iter().map(|column| match column.as_str() {
                    "_id" => text(RawValue::trusted(
                        &velocitydb_types::encode_value(&id.to_value()).unwrap_or_default(),
                    )),
                    name => fields.get(name).map_or_else(Vec::new, text),
                });
                write_row(values, out);
            }
        }
        self.documents += 1;
    }

    fn write_plain(&self, document: &Document, out: &mut Vec<u8>) {
        let fields = document.fields();
        if self.view.definition().primary_key.is_some() {
            return write_json(fields.as_value(), out);
        }
        out.extend_from_slice(b"{\"_id\":");
        out.extend_from_slice(document.id().to_value().to_json().as_bytes());
        if fields.is_empty() {
            return out.push(b'}');
        }
        let brace = out.len();
        write_json(fields.as_value(), out);
        out[brace] = b',';
    }
}

/// The columns of a collection: the id where it is no field, the declared fields in the order of
/// the schema, and of an open schema all others that any document has.
fn columns_of(view: &CollectionView) -> Result<Vec<String>, ExportError> {
    let Definition {
        schema,
        primary_key,
        ..
    } = view.definition();
    let mut columns: Vec<String> = match primary_key {
        Some(_) => Vec::new(),
        None => vec!["_id".to_owned()],
    };
    columns.extend(schema.fields().iter().map(|field| field.name.clone()));
    if schema.openness() == Openness::Open {
        let mut others = BTreeSet::new();
        view.scan(|document| {
            for (name, _) in document.fields().iter() {
                if schema.field(name).is_none() && !others.contains(name) {
                    others.insert(name.to_owned());
                }
            }
            others.len() <= COLUMNS_MAX
        })?;
        columns.extend(others);
    }
    match columns.len() > COLUMNS_MAX {
        false => Ok(columns),
        true => Err(ExportError::Invalid(format!(
            "the documents have more than {COLUMNS_MAX} different fields: a CSV has at most that \
             many columns"
        ))),
    }
}

/// A value as it stands between commas: text as it is, nothing for null, the rest as JSON.
fn text(value: RawValue<'_>) -> Vec<u8> {
    match value.get() {
        ValueRef::Null => Vec::new(),
        ValueRef::Str(text) => text.as_bytes().to_vec(),
        ValueRef::Map(_) | ValueRef::Array(_) | ValueRef::Point(_) => value.to_json().into_bytes(),
        // A string in JSON only because JSON has no such type: no such string needs an escape.
        _ => {
            let mut json = value.to_json();
            json.retain(|c| c != '"');
            json.into_bytes()
        }
    }
}

/// Appends values between commas, in quotes where RFC 4180 needs them or a reader might think
/// otherwise of the spaces around them.
fn write_row(values: impl Iterator<Item = Vec<u8>>, out: &mut Vec<u8>) {
    let start = out.len();
    for (at, value) in values.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
        let space = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
        match value.iter().any(special) || space(value.first()) || space(value.last()) {
            false => out.extend_from_slice(&value),
            true => {
                out.push(b'"');
                for byte in value {
                    if byte == b'"' {
                        out.push(b'"');
                    }
                    out.push(byte);
                }
                out.push(b'"');
            }
        }
    }
    if out.len() == start {
        // One empty value: an empty line would be no row.
        out.extend_from_slice(b"\"\"");
    }
    out.push(b'\n');
}
