//! The sample data in the program itself: all flights from New York City in 2013.
//!
//! Five collections (data/nycflights13/README.md describes them). A collection that holds all
//! its rows is left alone; one whose loading was interrupted goes on where it stopped, which is
//! seen by its documents being exactly the first rows; one that somebody has changed is left
//! alone too.
//! Tests: below, and tests/it/serve.rs.

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use velocitydb::{Database, Definition, PrimaryKey};
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
    /// CSV, compressed with zstd.
    data: &'static [u8],
}

macro_rules! table {
    ($name:literal, $id:expr, $rows:literal) => {
        Table {
            name: $name,
            id: $id,
            rows: $rows,
            data: include_bytes!(concat!("../data/nycflights13/", $name, ".csv.zst")),
        }
    };
}

/// The collections, smallest first.
pub const TABLES: [Table; 5] = [
    table!("airlines", Some("carrier"), 16),
    table!("airports", Some("faa"), 1_458),
    table!("planes", Some("tailnum"), 3_322),
    table!("weather", None, 26_115),
    table!("flights", None, 336_776),
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
        Reader::open(Cursor::new(self.data), Format::Csv, Options::default())
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::new(format!(
            "loading the sample collection {}: {error}",
            self.name
        ))
    }

    fn load(&self, db: &Database, stop: &AtomicBool) -> Result<Loaded, Failure> {
        let started = Instant::now();
        if !db
            .collections()
            .iter()
            .any(|definition| definition.name == self.name)
        {
            let mut definition = Definition::new(self.name);
            definition.primary_key = self.id.map(PrimaryKey::from);
            db.create_collection(definition)?;
        }
        let collection = db.collection(self.name)?;
        let there = collection.count()?;
        if there >= self.rows {
            return Ok(Loaded::Present);
        }
        let ids = self
            .id
            .map_or(Ids::RowNumber, |field| Ids::Fields(field.into()));
        let mut loader = Loader::new(
            db,
            LoadOptions {
                on_bad_row: OnBadRow::SKIP,
                batch_rows: BATCH_ROWS,
                ..LoadOptions::new(self.name, ids)
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
