//! Puts rows and exported documents into a collection, many in one write.
//!
//! A row that cannot be kept (a field name or an id that no document may have, an id that is
//! there already, a schema that refuses it) is a bad row like one that cannot be read. Under
//! [`OnBadRow::Stop`] all rows before it are kept and nothing after it; under
//! [`OnBadRow::Skip`] it is noted and left out.
//!
//! An import that was interrupted goes on by being run again ([`LoadOptions::resume`]): what has
//! an id that is in the collection is passed over. Rows without an id get one that depends on
//! the source, the line and the fields, so that it is the same the next time.
//!
//! While documents are written the next ones are read and made, by another thread (`ahead`).
//!
//! Invariants: memory is bounded by a batch, what is read ahead and [`BAD_ROWS_KEPT`]; a row is kept once or not at
//! all; [`Loader::rows`] counts only what the database has acknowledged.
//! Tests: `load/tests.rs`, and velocitydb-cli (tests/it/import.rs).

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};

use velocitydb::{
    Batch, Call, Collection, Database, Definition, Error, Expiry, Field, FieldType, Fields, Key,
    Openness, PrimaryKey, Schema, Uuid, Value,
};
use xxhash_rust::xxh3::Xxh3;

use crate::error::ImportError;
use crate::exported::{ExportReader, Exported, Item};
use crate::options::BadRows;
use crate::reader::{Reader, Row};

mod ahead;
mod rows;
#[cfg(test)]
mod tests;

use ahead::{Ahead, CHUNKS_AHEAD, NoRow};
use rows::{Made, Maker};

/// A batch is written when its documents take this many bytes, however few they are.
const BATCH_BYTES: usize = 4 << 20;

/// Bad rows that are told one by one; the others are only counted.
pub const BAD_ROWS_KEPT: usize = 100;

/// Where the ids come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// The values of these fields.
    Fields(PrimaryKey),
    /// The number of the row, from 1.
    RowNumber,
    /// The field `_id` of a listed document; without it a new UUID.
    ExportedOrNew,
}

/// What happens after a bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRow {
    /// The loading ends there.
    Stop,
    /// It is left out, unless there were more than this many before.
    Skip {
        /// How many bad rows are left out before the loading ends.
        bad_rows_max: u64,
    },
}

impl OnBadRow {
    /// However many there are.
    pub const SKIP: OnBadRow = OnBadRow::Skip {
        bad_rows_max: u64::MAX,
    };
}

/// What happens with a document whose id is in the collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Present {
    /// The row is a bad row.
    #[default]
    Refuse,
    /// The row takes its place.
    Replace,
}

/// A row that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadRow {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

impl From<&ImportError> for BadRow {
    fn from(error: &ImportError) -> BadRow {
        BadRow {
            line: error.line,
            what: error.kind.to_string(),
        }
    }
}

/// Why the loading ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A bad row, under [`OnBadRow::Stop`].
    #[error(transparent)]
    BadRow(#[from] BadRow),
    /// More bad rows than [`OnBadRow::Skip`] allows.
    #[error("more than {bad_rows_max} bad rows")]
    TooManyBadRows {
        /// The limit.
        bad_rows_max: u64,
    },
    /// The input cannot be read on.
    #[error(transparent)]
    Input(ImportError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
}

/// How rows become documents.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The collection.
    pub collection: String,
    /// Where the ids come from.
    pub ids: Ids,
    /// What happens after a bad row.
    pub on_bad_row: OnBadRow,
    /// What happens with an id that is there.
    pub present: Present,
    /// Set when an interrupted loading goes on: what names the source, the same each time.
    pub resume: Option<String>,
    /// Rows of one write.
    pub batch_rows: usize,
    /// The options of the writes.
    pub call: Call,
}

impl LoadOptions {
    /// Rows that are new, a thousand at a time, up to the first bad one.
    pub fn new(collection: impl Into<String>, ids: Ids) -> LoadOptions {
        LoadOptions {
            collection: collection.into(),
            ids,
            on_bad_row: OnBadRow::Stop,
            present: Present::Refuse,
            resume: None,
            batch_rows: 1_000,
            call: Call::default(),
        }
    }
}

/// Opens the database and creates the collection, when the first row is to be written. It is
/// told the type of the ids.
pub type Create = Box<dyn FnOnce(Option<FieldType>) -> Result<Database, Error> + Send>;

enum Target {
    Ready(Database),
    Later(Create),
    /// It could not be opened, which has been said.
    Failed,
}

/// Bad rows that a reader has met since they were last taken.
#[derive(Debug, Clone, Default)]
pub struct Met(Arc<Mutex<Vec<BadRow>>>);

impl Met {
    /// What a reader does with bad rows that this collects.
    pub fn skip(&self) -> BadRows {
        let met = self.clone();
        BadRows::Skip(Box::new(move |error| met.lock().push(BadRow::from(error))))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<BadRow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub struct Loader {
    target: Target,
    /// Of the collection, when rows that are there are passed over.
    resumed: Option<Collection>,
    maker: Maker,
    /// The type of the ids that were read.
    id_type: Option<FieldType>,
    options: LoadOptions,
    pending: Vec<Pending>,
    pending_bytes: usize,
    rows: u64,
    passed: u64,
    bad_rows: Vec<BadRow>,
    bad_count: u64,
}

struct Pending {
    line: u64,
    id: Option<Key>,
    expires: Expiry,
    fields: Fields,
}

impl Loader {
    /// A loader that has taken no row yet, for a collection that is there.
    pub fn new(db: &Database, options: LoadOptions) -> Loader {
        Loader::with(Target::Ready(db.clone()), options)
    }

    /// The same for a collection that is created when the first row is to be written.
    pub fn creating(create: Create, options: LoadOptions) -> Loader {
        Loader::with(Target::Later(create), options)
    }

    fn with(target: Target, options: LoadOptions) -> Loader {
        let present = match &target {
            Target::Ready(db) => db.collection(&options.collection).ok(),
            Target::Later(_) | Target::Failed => None,
        };
        let definition = present.as_ref().and_then(|found| found.definition().ok());
        let kinds = |definition: Definition| match &options.ids {
            Ids::Fields(names) => {
                let kind = |name: &String| definition.schema.field(name).map(|field| field.kind);
                names.fields().iter().map(kind).collect()
            }
            Ids::RowNumber | Ids::ExportedOrNew => Vec::new(),
        };
        let declared_id = definition.map_or_else(Vec::new, kinds);
        let resumed = present.filter(|_| options.resume.is_some());
        Loader {
            target,
            resumed,
            maker: Maker::new(options.ids.clone(), declared_id),
            id_type: None,
            options,
            pending: Vec::new(),
            pending_bytes: 0,
            rows: 0,
            passed: 0,
            bad_rows: Vec::new(),
            bad_count: 0,
        }
    }

    /// The database; `None` while nothing was to be written to one that is to be created.
    pub fn database(&self) -> Option<&Database> {
        match &self.target {
            Target::Ready(db) => Some(db),
            Target::Later(_) | Target::Failed => None,
        }
    }

    /// Rows that are in the database.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that were passed over, being there already.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Rows that were bad, and the first [`BAD_ROWS_KEPT`] of them.
    pub fn bad_rows(&self) -> (u64, &[BadRow]) {
        (self.bad_count, &self.bad_rows)
    }

    /// Counts a row as taken without loading it.
    pub fn pass(&mut self) {
        self.maker.taken += 1;
    }

    /// Loads all rows of a reader, and calls `advanced` after each.
    ///
    /// # Errors
    /// As [`Loader::push`]; the input cannot be read on. The rows before are in the database.
    pub fn load(
        &mut self,
        reader: &mut Reader,
        met: &Met,
        mut advanced: impl FnMut(),
    ) -> Result<(), LoadError> {
        let maker = std::mem::take(&mut self.maker);
        std::thread::scope(|scope| {
            let (to, rows) = sync_channel(CHUNKS_AHEAD);
            let reading = std::thread::Builder::new()
                .name("velocitydb-read".to_owned())
                .spawn_scoped(scope, move || ahead::read(reader, met, maker, &to));
            let reading = reading.map_err(|source| Error::Io {
                action: "start a thread that reads".to_owned(),
                source: Arc::new(source),
            })?;
            let loaded = rows
                .into_iter()
                .flatten()
                .try_for_each(|Ahead { met, row }| {
                    met.into_iter().try_for_each(|bad_row| self.bad(bad_row))?;
                    match row {
                        None => {}
                        Some(Ok(made)) => self.push_made(made)?,
                        Some(Err(NoRow::Bad(bad_row))) => self.bad(bad_row)?,
                        Some(Err(NoRow::Input(error))) => {
                            self.flush()?;
                            return Err(LoadError::Input(error));
                        }
                    }
                    advanced();
                    Ok(())
                });
            self.maker = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
            loaded.and_then(|()| self.flush())
        })
    }

    /// Loads the documents of the collection that a reader has begun, to its end, and calls
    /// `advanced` after each.
    ///
    /// # Errors
    /// As [`Loader::load`]; the collection ends early or is not what was exported.
    pub fn load_exported(
        &mut self,
        reader: &mut ExportReader,
        mut advanced: impl FnMut(),
    ) -> Result<(), LoadError> {
        loop {
            match reader.next_item() {
                Ok(Some(Item::Document(exported))) => self.push_exported(exported)?,
                // A reader lets no collection begin before the one before it has ended.
                Ok(Some(Item::End | Item::Collection(_) | Item::Database(_)) | None) => {
                    return self.flush();
                }
                Err(error) if error.is_bad_row() => self.bad(BadRow::from(&error))?,
                Err(error) => {
                    self.flush()?;
                    return Err(LoadError::Input(error));
                }
            }
            advanced();
        }
    }

    /// The id that this row would get if it were the next one; `None` for a new one.
    ///
    /// # Errors
    /// Why it can have none.
    pub fn next_id(&self, row: &Row) -> Result<Option<Key>, BadRow> {
        self.maker.next_id(row)
    }

    /// Takes a row. It is in the database after [`Loader::flush`] at the latest.
    ///
    /// # Errors
    /// A bad row under [`OnBadRow::Stop`], which may be an earlier one; the database failed.
    pub fn push(&mut self, row: Row) -> Result<(), LoadError> {
        match self.maker.make(&row) {
            Ok(made) => self.push_made(made),
            Err(bad_row) => self.bad(bad_row),
        }
    }

    /// Takes a document that was exported, with its id and expiry.
    ///
    /// # Errors
    /// As [`Loader::push`].
    pub fn push_exported(&mut self, exported: Exported) -> Result<(), LoadError> {
        let Exported {
            line,
            id,
            expires_at,
            fields,
        } = exported;
        self.maker.taken += 1;
        self.push_made(Made {
            line,
            id: Some(id),
            expires: expires_at.map_or(Expiry::Never, Expiry::At),
            fields,
            id_type: None,
        })
    }

    fn push_made(&mut self, made: Made) -> Result<(), LoadError> {
        let Made {
            line,
            id,
            expires,
            fields,
            id_type,
        } = made;
        self.id_type = self.id_type.or(id_type);
        let id = match &self.options.resume {
            None => id,
            Some(source) => {
                let id = id.unwrap_or_else(|| repeatable_id(source, line, &fields));
                if self.is_present(&id)? {
                    self.passed += 1;
                    return Ok(());
                }
                Some(id)
            }
        };
        self.pending_bytes += fields.as_bytes().len();
        self.pending.push(Pending {
            line,
            id,
            expires,
            fields,
        });
        match self.pending.len() >= self.options.batch_rows || self.pending_bytes >= BATCH_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    /// Whether an earlier run has written this document.
    fn is_present(&self, id: &Key) -> Result<bool, Error> {
        match &self.resumed {
            None => Ok(false),
            Some(collection) => Ok(collection.get_by_key(id)?.is_some()),
        }
    }

    /// Notes a bad row, met in reading or in writing.
    ///
    /// # Errors
    /// Under [`OnBadRow::Stop`] the row itself, after the rows before it have been written; under
    /// [`OnBadRow::Skip`] that there are too many.
    pub fn bad(&mut self, row: BadRow) -> Result<(), LoadError> {
        self.note(row.clone());
        match self.options.on_bad_row {
            OnBadRow::Skip { bad_rows_max } if self.bad_count <= bad_rows_max => Ok(()),
            OnBadRow::Skip { bad_rows_max } => {
                self.flush()?;
                Err(LoadError::TooManyBadRows { bad_rows_max })
            }
            OnBadRow::Stop => {
                self.flush()?;
                Err(row.into())
            }
        }
    }

    fn note(&mut self, row: BadRow) {
        self.bad_count += 1;
        if self.bad_rows.len() < BAD_ROWS_KEPT {
            self.bad_rows.push(row);
        }
    }

    /// Writes all rows taken so far.
    ///
    /// # Errors
    /// As [`Loader::push`].
    pub fn flush(&mut self) -> Result<(), LoadError> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let mut rest = &pending[..];
        while !rest.is_empty() {
            match self.write(rest) {
                Ok(()) => break,
                // Nothing of it was written: what is before the refused row is, by itself.
                Err(Error::Refused { operation, refusal }) if operation < rest.len() => {
                    let (before, refused) = rest.split_at(operation);
                    if !before.is_empty() {
                        self.write(before)?;
                    }
                    self.bad(BadRow {
                        line: refused[0].line,
                        what: refusal.to_string(),
                    })?;
                    rest = &refused[1..];
                }
                Err(error) => return Err(error.into()),
            }
        }
        match self.options.on_bad_row {
            OnBadRow::Skip { bad_rows_max } if self.bad_count > bad_rows_max => {
                Err(LoadError::TooManyBadRows { bad_rows_max })
            }
            OnBadRow::Skip { .. } | OnBadRow::Stop => Ok(()),
        }
    }

    fn write(&mut self, rows: &[Pending]) -> Result<(), Error> {
        let mut batch = match self.options.on_bad_row {
            OnBadRow::Stop => Batch::atomic(),
            OnBadRow::Skip { .. } => Batch::each(),
        };
        let name = &self.options.collection;
        for row in rows {
            batch = batch.expires(row.expires);
            batch = match (&row.id, self.options.present) {
                (Some(id), Present::Refuse) => batch.insert_with_id(name, id, &row.fields),
                (Some(id), Present::Replace) => batch.upsert(name, id, &row.fields),
                (None, _) => batch.insert(name, &row.fields),
            };
        }
        let db = match std::mem::replace(&mut self.target, Target::Failed) {
            Target::Ready(db) => db,
            Target::Later(create) => create(self.id_type)?,
            Target::Failed => unreachable!("a loading ends with its first failure"),
        };
        self.target = Target::Ready(db.clone());
        let answers = db.batch_with(batch, &self.options.call)?.value;
        for (row, answer) in rows.iter().zip(answers) {
            match answer {
                Ok(_) => self.rows += 1,
                Err(Error::Refused { refusal, .. }) => self.note(BadRow {
                    line: row.line,
                    what: refusal.to_string(),
                }),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A definition whose primary key is declared with the type of the ids that were read, to which
/// later rows are held.
///
/// # Errors
/// No field may have the name of the primary key.
pub fn with_id_type(
    mut definition: Definition,
    id_type: Option<FieldType>,
) -> Result<Definition, Error> {
    let id = definition.primary_key.as_ref().and_then(PrimaryKey::only);
    if let (Some(id), Some(kind)) = (id, id_type) {
        let fields = vec![Field::new(id, kind)];
        definition.schema = Schema::new(Openness::Open, fields)
            .map_err(|error| Error::Invalid(error.to_string()))?;
    }
    Ok(definition)
}

/// The id of a row that has none: the same for the same row of the same source.
fn repeatable_id(source: &str, line: u64, fields: &Fields) -> Key {
    let mut hash = Xxh3::new();
    hash.update(&(source.len() as u64).to_le_bytes());
    hash.update(source.as_bytes());
    hash.update(&line.to_le_bytes());
    hash.update(fields.as_bytes());
    let mut bytes = hash.digest128().to_be_bytes();
    // A UUID of version 8, whose bits mean what its maker says.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Key::from_value(&Value::Uuid(Uuid::from_bytes(bytes))).expect("a UUID is an id")
}
