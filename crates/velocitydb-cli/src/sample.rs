//! The sample data in the program itself: all flights from New York City in 2013.
//!
//! Five collections (data/nycflights13/README.md describes them). They declare their fields, so that
//! these are columns for SQL; nothing is required, and other fields are welcome. A collection that
//! holds all its rows is left alone; one whose loading was interrupted goes on where it stopped,
//! which is seen by its documents being exactly the first rows; one that somebody has changed, or
//! that is there already and declares nothing, is left as it is too.
//! Tests: below, and tests/it/serve.rs.

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use velocitydb::FieldType::{self, Float, Int, String as Text, Time};
use velocitydb::{Database, Definition, Field, Openness, PrimaryKey, Schema};
use velocitydb_import::{Format, Ids, LoadError, LoadOptions, Loader, OnBadRow, Options, Reader};

use crate::failure::Failure;

/// Documents of one write.
const BATCH_ROWS: usize = 1_000;

/// One collection of the sample.
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The field that is the id; `None`: the row's number is.
    pub id: Option<&'static str>,
    /// Rows in the data.
    pub rows: u64,
    /// Its fields, in the order of the data's columns.
    fields: &'static [(&'static str, FieldType)],
    /// CSV, compressed with zstd.
    data: &'static [u8],
}

macro_rules! table {
    ($name:literal, $id:expr, $rows:literal, $fields:expr) => {
        Table {
            name: $name,
            id: $id,
            rows: $rows,
            fields: &$fields,
            data: include_bytes!(concat!("../data/nycflights13/", $name, ".csv.zst")),
        }
    };
}

/// The collections, smallest first.
pub const TABLES: [Table; 5] = [
    table!(
        "airlines",
        Some("carrier"),
        16,
        [("carrier", Text), ("name", Text)]
    ),
    table!(
        "airports",
        Some("faa"),
        1_458,
        [
            ("faa", Text),
            ("name", Text),
            ("lat", Float),
            ("lon", Float),
            ("alt", Int),
            ("tz", Int),
            ("dst", Text),
            ("tzone", Text),
        ]
    ),
    table!(
        "planes",
        Some("tailnum"),
        3_322,
        [
            ("tailnum", Text),
            ("year", Int),
            ("type", Text),
            ("manufacturer", Text),
            ("model", Text),
            ("engines", Int),
            ("seats", Int),
            ("speed", Int),
            ("engine", Text),
        ]
    ),
    table!(
        "weather",
        None,
        26_115,
        [
            ("origin", Text),
            ("year", Int),
            ("month", Int),
            ("day", Int),
            ("hour", Int),
            ("temp", Float),
            ("dewp", Float),
            ("humid", Float),
            ("wind_dir", Int),
            ("wind_speed", Float),
            ("wind_gust", Float),
            ("precip", Float),
            ("pressure", Float),
            ("visib", Float),
            ("time_hour", Time),
        ]
    ),
    table!(
        "flights",
        None,
        336_776,
        [
            ("year", Int),
            ("month", Int),
            ("day", Int),
            ("dep_time", Int),
            ("sched_dep_time", Int),
            ("dep_delay", Int),
            ("arr_time", Int),
            ("sched_arr_time", Int),
            ("arr_delay", Int),
            ("carrier", Text),
            ("flight", Int),
            ("tailnum", Text),
            ("origin", Text),
            ("dest", Text),
            ("air_time", Int),
            ("distance", Int),
            ("hour", Int),
            ("minute", Int),
            ("time_hour", Time),
        ]
    ),
];

/// What was done about one collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// Rows were loaded in this time.
    Rows(u64, Duration),
    /// All was there.
    Present,
    /// There is something else under this name; it was left alone.
    Other,
    /// It was told to stop; the rest is loaded at the next start.
    Stopped,
}

/// Loads what is missing, and calls `done` after each collection. Ends early when `stop` is set.
pub fn load(
    db: &Database,
    stop: &AtomicBool,
    mut done: impl FnMut(&Table, Loaded) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for table in &TABLES {
        let loaded = table.load(db, stop)?;
        done(table, loaded)?;
        if loaded == Loaded::Stopped {
            break;
        }
    }
    Ok(())
}

impl Table {
    /// Its rows.
    pub fn reader(&self) -> Result<Reader, Failure> {
        let types = self
            .fields
            .iter()
            .map(|(name, kind)| ((*name).to_owned(), *kind));
        let options = Options {
            types: types.collect(),
            ..Options::default()
        };
        Reader::open(Cursor::new(self.data), Format::Csv, options)
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::new(format!(
            "loading the sample collection {}: {error}",
            self.name
        ))
    }

    /// What it is as a collection.
    pub fn definition(&self) -> Result<Definition, Failure> {
        let fields = self
            .fields
            .iter()
            .map(|(name, kind)| Field::new(*name, *kind));
        let schema = Schema::new(Openness::Open, fields.collect());
        let schema = schema.map_err(|error| self.failed(error))?;
        let mut definition = Definition::new(self.name).schema(schema);
        definition.primary_key = self.id.map(PrimaryKey::from);
        Ok(definition)
    }

    /// What each document is named by.
    pub fn ids(&self) -> Ids {
        self.id
            .map_or(Ids::RowNumber, |field| Ids::Fields(field.into()))
    }

    fn load(&self, db: &Database, stop: &AtomicBool) -> Result<Loaded, Failure> {
        let started = Instant::now();
        if !db
            .collections()
            .iter()
            .any(|definition| definition.name == self.name)
        {
            db.create_collection(self.definition()?)?;
        }
        let collection = db.collection(self.name)?;
        let there = collection.count()?;
        if there >= self.rows {
            return Ok(Loaded::Present);
        }
        let mut loader = Loader::new(
            db,
            LoadOptions {
                on_bad_row: OnBadRow::SKIP,
                batch_rows: BATCH_ROWS,
                ..LoadOptions::new(self.name, self.ids())
            },
        );
        for (number, row) in (1..).zip(self.reader()?) {
            let row = row.map_err(|error| self.failed(error))?;
            if number >= there && number <= there + 1 {
                // The last of the rows that are there, and the first that is not.
                let id = loader.next_id(&row).map_err(|error| self.failed(error))?;
                let id = id.ok_or_else(|| self.failed("a row without an id"))?;
                if collection.get_by_key(&id)?.is_some() != (number == there) {
                    return Ok(Loaded::Other);
                }
            }
            if number <= there {
                loader.pass();
                continue;
            }
            if number % BATCH_ROWS as u64 == 0 && stop.load(Ordering::Relaxed) {
                return Ok(Loaded::Stopped);
            }
            loader.push(row).map_err(|error| self.failed(error))?;
        }
        loader
            .flush()
            .map_err(|error: LoadError| self.failed(error))?;
        Ok(Loaded::Rows(loader.rows(), started.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use velocitydb::Key;

    use super::*;

    fn go() -> AtomicBool {
        AtomicBool::new(false)
    }

    /// The tables but for the flights, which take a while in a debug build.
    fn small() -> impl Iterator<Item = &'static Table> {
        const { &TABLES }
            .iter()
            .filter(|table| table.rows < 100_000)
    }

    #[test]
    fn the_data_has_the_rows_that_the_table_says() {
        let db = Database::in_memory().unwrap();
        for table in small() {
            let loaded = table.load(&db, &go()).unwrap();
            assert!(
                matches!(loaded, Loaded::Rows(rows, _) if rows == table.rows),
                "{}",
                table.name
            );
            assert_eq!(table.reader().unwrap().count() as u64, table.rows);
            assert_eq!(table.load(&db, &go()).unwrap(), Loaded::Present);
        }
        let jfk = db
            .collection("airports")
            .unwrap()
            .get("JFK")
            .unwrap()
            .unwrap();
        assert_eq!(
            jfk.get("name").unwrap().as_str(),
            Some("John F Kennedy Intl")
        );
        let first = db.collection("weather").unwrap().get(1).unwrap().unwrap();
        assert_eq!(first.get("origin").unwrap().as_str(), Some("EWR"));
    }

    /// As one who has only the data would declare them.
    #[test]
    fn the_fields_of_the_data_are_declared() {
        for table in &TABLES {
            let options = Options::default();
            let mut data = Reader::open(Cursor::new(table.data), Format::Csv, options).unwrap();
            // A type widens as rows are read.
            data.by_ref().take(30_000).for_each(drop);
            let columns = data.columns().iter();
            let columns = columns.map(|column| (&*column.name, column.field_type.unwrap()));
            let columns: Vec<_> = columns.collect();
            assert_eq!(columns, table.fields, "{}", table.name);
        }
    }

    /// Whatever was there when the program died, the rest comes, and nothing twice.
    #[test]
    fn an_interrupted_load_goes_on() {
        let [_, airports, ..] = &TABLES;
        for there in [1, 700, airports.rows - 1] {
            let db = Database::in_memory().unwrap();
            db.create_collection(Definition::new("airports").primary_key("faa"))
                .unwrap();
            let options = LoadOptions {
                on_bad_row: OnBadRow::Stop,
                batch_rows: 10,
                ..LoadOptions::new("airports", Ids::Fields("faa".into()))
            };
            let mut loader = Loader::new(&db, options);
            for row in airports.reader().unwrap().take(there as usize) {
                loader.push(row.unwrap()).unwrap();
            }
            loader.flush().unwrap();
            let loaded = airports.load(&db, &go()).unwrap();
            assert!(matches!(loaded, Loaded::Rows(rows, _) if rows == airports.rows - there));
            assert_eq!(
                db.collection("airports").unwrap().count().unwrap(),
                airports.rows
            );
        }
    }

    #[test]
    fn what_somebody_has_changed_is_left_alone() {
        let [airlines, ..] = &TABLES;
        let db = Database::in_memory().unwrap();
        airlines.load(&db, &go()).unwrap();
        let collection = db.collection("airlines").unwrap();
        collection.delete(Key::parse("AA").unwrap()).unwrap();
        // 15 documents, and the fifteenth row is there: the row that follows is there as well.
        assert_eq!(airlines.load(&db, &go()).unwrap(), Loaded::Other);
        assert_eq!(collection.count().unwrap(), 15);
    }

    #[test]
    fn it_stops_when_told() {
        let db = Database::in_memory().unwrap();
        let (mut seen, stop) = (Vec::new(), AtomicBool::new(true));
        load(&db, &stop, |table, loaded| {
            seen.push((table.name, loaded));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen.last(), Some(&("airports", Loaded::Stopped)));
    }
}
