//! Puts the rows of an input into a collection, many in one write.
//!
//! A row that cannot be kept (a field name or an id that no document may have, an id that is
//! there already, a schema that refuses it) is a bad row like one that cannot be read. Under
//! [`OnBadRow::Stop`] all rows before it are kept and nothing after it; under
//! [`OnBadRow::Skip`] it is noted and left out.
//!
//! Invariants: memory is bounded by a batch and [`BAD_ROWS_KEPT`]; a row is kept once or not at
//! all; [`Loader::rows`] counts only what the database has acknowledged.
//! Tests: below, and tests/it/import.rs.

use velocitydb::types::FieldsBuilder;
use velocitydb::{Batch, Database, Error, FieldType, Fields, Key, Uuid, Value};
use velocitydb_import::Row;

/// A batch is written when its documents take this many bytes, however few they are.
const BATCH_BYTES: usize = 4 << 20;

/// Bad rows that are told one by one; the others are only counted.
pub const BAD_ROWS_KEPT: usize = 100;

/// Metadata that an exported document carries beside its `_id`; the database makes it anew.
const METADATA: [&str; 4] = ["_version", "_index", "_created_at", "_updated_at"];

/// Where the ids come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// The value of this field.
    Field(String),
    /// The number of the row, from 1.
    RowNumber,
    /// The field `_id` of an exported document; without it a new UUID.
    ExportedOrNew,
}

/// What happens after a bad row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRow {
    /// The loading ends there.
    Stop,
    /// It is left out.
    Skip,
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

/// Why the loading ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A bad row, under [`OnBadRow::Stop`].
    #[error(transparent)]
    BadRow(#[from] BadRow),
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
    /// Rows of one write.
    pub batch_rows: usize,
}

/// Opens the database and creates the collection, when the first row is to be written. It is
/// told the type of the ids.
pub type Create = Box<dyn FnOnce(Option<FieldType>) -> Result<Database, Error>>;

enum Target {
    Ready(Database),
    Later(Create),
    /// It could not be opened, which has been said.
    Failed,
}

/// See the module.
pub struct Loader {
    target: Target,
    id_type: Option<FieldType>,
    options: LoadOptions,
    builder: FieldsBuilder,
    pending: Vec<Pending>,
    pending_bytes: usize,
    taken: u64,
    rows: u64,
    bad_rows: Vec<BadRow>,
    bad_count: u64,
}

struct Pending {
    line: u64,
    id: Option<Key>,
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
        Loader {
            target,
            id_type: None,
            options,
            builder: FieldsBuilder::new(),
            pending: Vec::new(),
            pending_bytes: 0,
            taken: 0,
            rows: 0,
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

    /// Rows that were bad, and the first [`BAD_ROWS_KEPT`] of them.
    pub fn bad_rows(&self) -> (u64, &[BadRow]) {
        (self.bad_count, &self.bad_rows)
    }

    /// Counts a row as taken without loading it.
    pub fn pass(&mut self) {
        self.taken += 1;
    }

    /// The id that this row would get if it were the next one; `None` for a new one.
    ///
    /// # Errors
    /// Why it can have none.
    pub fn next_id(&self, row: &Row) -> Result<Option<Key>, BadRow> {
        let bad = |what: String| BadRow {
            line: row.line,
            what,
        };
        let field = |name: &str| row.fields.iter().find(|(field, _)| &**field == name);
        let (name, value) = match &self.options.ids {
            Ids::RowNumber => {
                let number = i64::try_from(self.taken + 1).expect("no input has 2^63 rows");
                return Ok(Some(
                    Key::from_value(&Value::Int(number)).expect("an integer is an id"),
                ));
            }
            Ids::Field(name) => match field(name) {
                Some((_, value)) => (name.as_str(), value),
                None => return Err(bad(format!("it has no field `{name}`, which is the id"))),
            },
            Ids::ExportedOrNew => match field("_id") {
                Some((_, value)) => ("_id", value),
                None => return Ok(None),
            },
        };
        let key = match value {
            // As the server reads a body: of the ids that JSON writes as strings, UUIDs are known.
            Value::String(text) if name == "_id" && text.len() == 36 => {
                let uuid = Uuid::try_parse(text).map_or_else(|_| value.clone(), Value::Uuid);
                Key::from_value(&uuid)
            }
            value => Key::from_value(value),
        };
        key.map(Some)
            .map_err(|error| bad(format!("the id in `{name}`: {error}")))
    }

    /// Takes a row. It is in the database after [`Loader::flush`] at the latest.
    ///
    /// # Errors
    /// A bad row under [`OnBadRow::Stop`], which may be an earlier one; the database failed.
    pub fn push(&mut self, row: Row) -> Result<(), LoadError> {
        let document = self
            .next_id(&row)
            .and_then(|id| Ok((id, self.fields(&row)?)));
        self.taken += 1;
        match document {
            Ok((id, fields)) => {
                self.id_type = self.id_type.or_else(|| self.type_of_id(&row));
                self.pending_bytes += fields.as_bytes().len();
                self.pending.push(Pending {
                    line: row.line,
                    id,
                    fields,
                });
                if self.pending.len() >= self.options.batch_rows
                    || self.pending_bytes >= BATCH_BYTES
                {
                    self.flush()?;
                }
                Ok(())
            }
            Err(bad_row) => self.bad(bad_row),
        }
    }

    fn type_of_id(&self, row: &Row) -> Option<FieldType> {
        let Ids::Field(name) = &self.options.ids else {
            return None;
        };
        let (_, id) = row.fields.iter().find(|(field, _)| **field == **name)?;
        id.type_name().parse().ok()
    }

    fn fields(&mut self, row: &Row) -> Result<Fields, BadRow> {
        let bad = |what: String| BadRow {
            line: row.line,
            what,
        };
        for (name, value) in &row.fields {
            if &**name == "_id" || METADATA.contains(&&**name) {
                continue;
            }
            if let Err(error) = self.builder.push_value(name, value) {
                // A builder is empty after this, whatever it answers.
                let _ = self.builder.finish();
                return Err(bad(format!("field `{name}`: {error}")));
            }
        }
        self.builder
            .finish()
            .map_err(|error| bad(error.to_string()))
    }

    /// Notes a bad row, met in reading or in writing.
    ///
    /// # Errors
    /// Under [`OnBadRow::Stop`] the row itself, after the rows before it have been written.
    pub fn bad(&mut self, row: BadRow) -> Result<(), LoadError> {
        self.bad_count += 1;
        if self.bad_rows.len() < BAD_ROWS_KEPT {
            self.bad_rows.push(row.clone());
        }
        match self.options.on_bad_row {
            OnBadRow::Skip => Ok(()),
            OnBadRow::Stop => {
                self.flush()?;
                Err(row.into())
            }
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
        Ok(())
    }

    fn write(&mut self, rows: &[Pending]) -> Result<(), Error> {
        let mut batch = match self.options.on_bad_row {
            OnBadRow::Stop => Batch::atomic(),
            OnBadRow::Skip => Batch::each(),
        };
        let name = &self.options.collection;
        for row in rows {
            batch = match &row.id {
                Some(id) => batch.insert_with_id(name, id, row.fields.clone()),
                None => batch.insert(name, row.fields.clone()),
            };
        }
        let db = match std::mem::replace(&mut self.target, Target::Failed) {
            Target::Ready(db) => db,
            Target::Later(create) => create(self.id_type)?,
            Target::Failed => unreachable!("a loading ends with its first failure"),
        };
        self.target = Target::Ready(db.clone());
        let answers = db.batch(batch)?.value;
        for (row, answer) in rows.iter().zip(answers) {
            match answer {
                Ok(_) => self.rows += 1,
                Err(Error::Refused { refusal, .. }) => {
                    self.bad_count += 1;
                    if self.bad_rows.len() < BAD_ROWS_KEPT {
                        self.bad_rows.push(BadRow {
                            line: row.line,
                            what: refusal.to_string(),
                        });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use velocitydb::{Definition, Field, Schema};

    use super::*;

    fn row(line: u64, fields: &[(&str, Value)]) -> Row {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).into(), value.clone()));
        Row {
            line,
            fields: fields.collect(),
        }
    }

    fn loader(db: &Database, ids: Ids, on_bad_row: OnBadRow, batch_rows: usize) -> Loader {
        let options = LoadOptions {
            collection: "c".into(),
            ids,
            on_bad_row,
            batch_rows,
        };
        Loader::new(db, options)
    }

    /// Documents as text, in the order of their ids.
    fn documents(db: &Database) -> Vec<String> {
        let mut found = Vec::new();
        let view = db.snapshot().collection("c").unwrap();
        view.scan(|document| {
            found.push((document.id().to_value(), document.fields().to_json()));
            true
        })
        .unwrap();
        found.sort();
        found
            .into_iter()
            .map(|(id, json)| format!("{} {json}", id.to_json()))
            .collect()
    }

    fn database(definition: Definition) -> Database {
        let db = Database::in_memory().unwrap();
        db.create_collection(definition).unwrap();
        db
    }

    /// Ids 1 to 6, of which 3 comes twice.
    fn rows_with_a_repeated_id() -> Vec<Row> {
        let ids = [1, 2, 3, 3, 4, 5, 6];
        ids.iter()
            .zip(2..)
            .map(|(id, line)| row(line, &[("n", Value::Int(*id))]))
            .collect()
    }

    #[test]
    fn skipping_leaves_out_the_bad_rows_alone_whatever_the_batch() {
        for batch_rows in 1..9 {
            let db = database(Definition::new("c").primary_key("n"));
            let mut loader = loader(&db, Ids::Field("n".into()), OnBadRow::Skip, batch_rows);
            for row in rows_with_a_repeated_id() {
                loader.push(row).unwrap();
            }
            loader.push(row(9, &[("m", Value::Int(9))])).unwrap();
            loader.push(row(10, &[("n", Value::Null)])).unwrap();
            loader
                .push(row(11, &[("n", Value::Int(7)), ("_x", Value::Null)]))
                .unwrap();
            loader.flush().unwrap();
            assert_eq!(loader.rows(), 6);
            let (count, bad_rows) = loader.bad_rows();
            assert_eq!(count, 4);
            let mut lines: Vec<u64> = bad_rows.iter().map(|bad| bad.line).collect();
            lines.sort_unstable();
            assert_eq!(lines, [5, 9, 10, 11]);
            assert_eq!(documents(&db).len(), 6);
        }
    }

    #[test]
    fn stopping_keeps_all_before_the_bad_row_and_nothing_after() {
        for batch_rows in 1..9 {
            let db = database(Definition::new("c").primary_key("n"));
            let mut loader = loader(&db, Ids::Field("n".into()), OnBadRow::Stop, batch_rows);
            let mut rows = rows_with_a_repeated_id().into_iter();
            let stopped = rows.try_for_each(|row| loader.push(row));
            let stopped = stopped.and_then(|()| loader.flush()).unwrap_err();
            assert!(stopped.to_string().starts_with("line 5: "), "{stopped}");
            assert_eq!(
                (loader.rows(), loader.bad_rows().0),
                (3, 1),
                "batches of {batch_rows}"
            );
            assert_eq!(
                documents(&db),
                [r#"1 {"n":1}"#, r#"2 {"n":2}"#, r#"3 {"n":3}"#]
            );
        }
    }

    #[test]
    fn what_the_schema_refuses_is_a_bad_row() {
        let schema = Schema::new(
            Default::default(),
            vec![Field::new("n", FieldType::Int).required()],
        );
        for batch_rows in 1..5 {
            let db = database(Definition::new("c").schema(schema.clone().unwrap()));
            let mut loader = loader(&db, Ids::RowNumber, OnBadRow::Skip, batch_rows);
            for (line, value) in [
                (2, Value::from("x")),
                (3, 7.into()),
                (4, "y".into()),
                (5, 8.into()),
            ] {
                loader.push(row(line, &[("n", value)])).unwrap();
            }
            loader.flush().unwrap();
            assert_eq!(documents(&db), [r#"2 {"n":7}"#, r#"4 {"n":8}"#]);
            let lines: Vec<u64> = loader.bad_rows().1.iter().map(|bad| bad.line).collect();
            assert_eq!(lines, [2, 4]);
        }
    }

    #[test]
    fn an_exported_document_keeps_its_id_and_gets_new_metadata() {
        let db = database(Definition::new("c"));
        let mut loader = loader(&db, Ids::ExportedOrNew, OnBadRow::Stop, 10);
        let exported = [
            ("_id", Value::from("a")),
            ("_version", 9.into()),
            ("_index", 9.into()),
            ("n", 1.into()),
        ];
        loader.push(row(1, &exported)).unwrap();
        let uuid = "0191e0a4-7b7c-7000-8000-000000000001";
        for (line, id) in [(2, "42"), (3, "date:2013-01-01"), (4, uuid)] {
            loader.push(row(line, &[("_id", id.into())])).unwrap();
        }
        loader.push(row(5, &[("_id", 42.into())])).unwrap();
        loader.flush().unwrap();
        let strings = [
            r#"42 {}"#,
            r#""42" {}"#,
            r#""a" {"n":1}"#,
            r#""date:2013-01-01" {}"#,
        ];
        assert_eq!(documents(&db)[..4], strings);
        let things = db.collection("c").unwrap();
        let uuid = Uuid::try_parse(uuid).unwrap();
        assert!(things.get(uuid).unwrap().is_some());
        assert_eq!(
            db.collection("c")
                .unwrap()
                .get("a")
                .unwrap()
                .unwrap()
                .meta()
                .version,
            1
        );
    }
}
