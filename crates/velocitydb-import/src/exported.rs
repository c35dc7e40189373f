//! The exported form: collections with their definitions and documents, types and all.
//!
//! ```text
//! {"$velocitydb":1,"definition":{"name":"flights",…}}
//! {"_id":1,"carrier":"UA","time_hour":"2013-01-01T10:00:00Z"}
//! {"_id":{"$uuid":"…"},"_expires_at":"2026-12-01T00:00:00Z","data":{"$bytes":"AP8="}}
//! {"$end":{"documents":2,"digest":"…"}}
//! ```
//!
//! Of several databases each begins with a line of its own, and the collections after it are in it:
//!
//! ```text
//! {"$velocitydb":1,"database":{"name":"shop"}}
//! ```
//!
//! Each collection begins with its definition and ends with what it must have held: so a file that
//! was cut, or changed on its way, shows. A line that begins with `_id` is a document; values are
//! as `tagged` writes them, those of declared fields as the definition's schema has them.
//!
//! Tests: below, and velocitydb-cli (tests/it/export.rs) for whole files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use velocitydb::{DatabaseDefinition, Definition};
use velocitydb_types::{Fields, Key, RawMap, Schema, Timestamp, Value};

use crate::digest::DataDigest;
use crate::error::{ErrorKind, ImportError};
use crate::input::{Input, Progress};
use crate::lines::Lines;
use crate::options::Options;
use crate::tagged;

/// The version of the form that is written, and the newest that is read.
const VERSION: u64 = 1;

#[derive(Serialize)]
struct WrittenHead<'d> {
    #[serde(rename = "$velocitydb")]
    version: u64,
    definition: &'d Definition,
}

#[derive(Serialize)]
struct WrittenDatabase<'d> {
    #[serde(rename = "$velocitydb")]
    version: u64,
    database: &'d DatabaseDefinition,
}

/// The one or the other.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "$velocitydb")]
    version: u64,
    definition: Option<serde_json::Value>,
    database: Option<DatabaseDefinition>,
}

#[derive(Serialize, Deserialize)]
struct End {
    documents: u64,
    digest: String,
}

#[derive(Serialize, Deserialize)]
struct EndLine {
    #[serde(rename = "$end")]
    end: End,
}

/// Appends the line that begins a collection.
pub(crate) fn write_head(definition: &Definition, out: &mut Vec<u8>) {
    let head = WrittenHead {
        version: VERSION,
        definition,
    };
    serde_json::to_writer(&mut *out, &head).expect("names are strings");
    out.push(b'\n');
}

/// Appends the line that begins a database.
pub(crate) fn write_database(database: &DatabaseDefinition, out: &mut Vec<u8>) {
    let version = VERSION;
    let head = WrittenDatabase { version, database };
    serde_json::to_writer(&mut *out, &head).expect("names are strings");
    out.push(b'\n');
}

/// Appends the line of a document.
pub(crate) fn write_document(
    id: &Key,
    expires_at: Option<Timestamp>,
    fields: RawMap<'_>,
    schema: &Schema,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"_id\":");
    tagged::write_value(&id.to_value(), out);
    if let Some(time) = expires_at {
        out.extend_from_slice(format!(",\"_expires_at\":\"{time}\"").as_bytes());
    }
    for (name, value) in fields.iter() {
        out.push(b',');
        tagged::write_name(name, out);
        match schema.field(name) {
            Some(field) => tagged::write_declared(value, field.kind, out),
            None => tagged::write(value, out),
        }
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the line that ends a collection.
pub(crate) fn write_end(documents: u64, digest: DataDigest, out: &mut Vec<u8>) {
    let digest = digest.to_string();
    let end = End { documents, digest };
    serde_json::to_writer(&mut *out, &EndLine { end }).expect("names are strings");
    out.push(b'\n');
}

/// A document of an exported file.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// Its line, from 1.
    pub line: u64,
    /// Its id.
    pub id: Key,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Its fields.
    pub fields: Fields,
}

/// What stands on a line of an exported file.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A database begins: the collections after it are in it.
    Database(DatabaseDefinition),
    /// A collection begins.
    Collection(Box<Definition>),
    /// A document of the collection that has begun.
    Document(Exported),
    /// The collection ends; all of it was there.
    End,
}

/// Reads an exported file. After an error that is not a bad row there are no more items.
pub struct ExportReader {
    lines: Lines,
    progress: Progress,
    schema: Option<Schema>,
    documents: u64,
    bad: u64,
    digest: DataDigest,
}

impl ExportReader {
    pub(crate) fn new(input: Input, progress: Progress, options: &Options) -> Self {
        // A line says more than the longest document: names, tags, base64.
        let bytes_max = options.row_bytes_max.saturating_mul(8);
        Self {
            lines: Lines::new(input, bytes_max, 0),
            progress,
            schema: None,
            documents: 0,
            bad: 0,
            digest: DataDigest::default(),
        }
    }

    /// How far the reading is.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The next item; nothing at the end.
    ///
    /// # Errors
    /// After one that is a bad row the next call reads on; after any other it may not be called.
    pub fn next_item(&mut self) -> Result<Option<Item>, ImportError> {
        if !self.lines.next_filled()? {
            return match self.schema {
                None => Ok(None),
                Some(_) => Err(self.fatal("the exported file ends early: it was cut")),
            };
        }
        let text = std::str::from_utf8(&self.lines.text).map_err(|_| self.bad(ErrorKind::NotUtf8));
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                self.bad += 1;
                return Err(error);
            }
        };
        if text.starts_with("{\"$velocitydb\":") {
            return self.head().map(Some);
        }
        if text.starts_with("{\"$end\":") {
            return self.end().map(|()| Some(Item::End));
        }
        let Some(schema) = &self.schema else {
            return Err(self.fatal("a document before the definition of its collection"));
        };
        match document(text, schema) {
            Ok((id, expires_at, fields)) => {
                self.documents += 1;
                self.digest.add_fields(&id, expires_at, &fields);
                let line = self.lines.line;
                Ok(Some(Item::Document(Exported {
                    line,
                    id,
                    expires_at,
                    fields,
                })))
            }
            Err(what) => {
                self.bad += 1;
                Err(self.bad(ErrorKind::Json(what)))
            }
        }
    }

    fn bad(&self, kind: ErrorKind) -> ImportError {
        ImportError::new(self.lines.line, kind)
    }

    fn fatal(&self, what: impl Into<String>) -> ImportError {
        self.bad(ErrorKind::Header(what.into()))
    }

    fn head(&mut self) -> Result<Item, ImportError> {
        if self.schema.is_some() {
            return Err(self.fatal("a collection begins before the one before it has ended"));
        }
        let wrong = |error: serde_json::Error| {
            self.fatal(format!(
                "the definition of a collection cannot be read: {error}"
            ))
        };
        let head: Head = serde_json::from_slice(&self.lines.text).map_err(wrong)?;
        if head.version != VERSION {
            return Err(self.fatal(format!(
                "the file was exported in version {} of the form; this program reads version \
                 {VERSION}",
                head.version
            )));
        }
        let definition = match (head.definition, head.database) {
            (None, Some(database)) => return Ok(Item::Database(database)),
            (Some(definition), None) => definition,
            _ => return Err(self.fatal("expected a definition or a database")),
        };
        let definition: Definition = serde_json::from_value(definition).map_err(wrong)?;
        self.schema = Some(definition.schema.clone());
        (self.documents, self.bad, self.digest) = (0, 0, DataDigest::default());
        Ok(Item::Collection(Box::new(definition)))
    }

    fn end(&mut self) -> Result<(), ImportError> {
        let read: Result<EndLine, _> = serde_json::from_slice(&self.lines.text);
        let EndLine { end } = read.map_err(|error| {
            self.fatal(format!("the end of a collection cannot be read: {error}"))
        })?;
        if self.schema.take().is_none() {
            return Err(self.fatal("a collection ends that has not begun"));
        }
        // Bad rows have been told one by one.
        if self.bad > 0 {
            return Ok(());
        }
        if self.documents != end.documents {
            return Err(self.fatal(format!(
                "the collection should have {} documents, the file has {}",
                end.documents, self.documents
            )));
        }
        if self.digest.to_string() != end.digest {
            let what = "the documents are not those that were exported: the file was changed";
            return Err(self.fatal(what));
        }
        Ok(())
    }
}

impl std::fmt::Debug for ExportReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportReader")
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

fn document(text: &str, schema: &Schema) -> Result<(Key, Option<Timestamp>, Fields), String> {
    let Value::Map(mut map) = tagged::read_tree(text)? else {
        return Err("expected one JSON object".to_owned());
    };
    let id = map.remove("_id").ok_or("the document has no `_id`")?;
    let id = Key::from_shown(&tagged::untag(id)?).map_err(|error| format!("the id: {error}"))?;
    let expires_at = match map.remove("_expires_at") {
        None => None,
        Some(Value::String(time)) => Some(
            time.parse()
                .map_err(|error| format!("`_expires_at`: {error}"))?,
        ),
        Some(other) => {
            return Err(format!(
                "`_expires_at` is {}, not a time",
                other.type_name()
            ));
        }
    };
    let mut fields = BTreeMap::new();
    for (name, tree) in map {
        let value = match schema.field(&name) {
            Some(field) => tagged::untag_declared(tree, field.kind),
            None => tagged::untag(tree),
        };
        let value = value.map_err(|what| format!("field `{name}`: {what}"))?;
        fields.insert(name, value);
    }
    let fields = Fields::from_map(&fields).map_err(|error| error.to_string())?;
    Ok((id, expires_at, fields))
}
