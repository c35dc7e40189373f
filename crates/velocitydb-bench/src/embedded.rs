//! The embedded library against bare structures of the language: `velocitydb bench embedded`.
//!
//! One file per group of figures: `reads`, `writes`, `memory`, `files`, `latency`, `schemas`, and
//! `structures`, the comparison behind the choice of the store's own structures.

mod files;
mod latency;
mod memory;
mod reads;
mod schemas;
mod structures;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;

use velocitydb::{Collection, Database, Definition, Options as DatabaseOptions};

use crate::BenchError;
use crate::data::Data;
use crate::measure::{HEAD, Row, machine};

/// What is measured and how often.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rounds: at least seven count.
    pub rounds: usize,
    /// Documents.
    pub documents: usize,
    /// Only figures whose group contains this text.
    pub only: Option<String>,
    /// Where files go; a new temporary directory in it is used and removed.
    pub dir: PathBuf,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rounds: 7,
            documents: 1_000_000,
            only: None,
            dir: std::env::temp_dir(),
        }
    }
}

impl Options {
    /// Says what is measured, how often and where; `load` follows the number of rounds.
    pub(crate) fn announce(&self, load: &str, print: &mut impl FnMut(&str)) {
        self.announce_on(&format!("{} documents", self.documents), load, print);
    }

    /// The same for other data than documents.
    pub(crate) fn announce_on(&self, data: &str, load: &str, print: &mut impl FnMut(&str)) {
        if cfg!(debug_assertions) {
            print("This is a debug build: its figures mean nothing. Use a release build.");
        }
        print(&format!(
            "{}; {data}, {} rounds{load}; ours against theirs, round by round.",
            machine(),
            self.rounds
        ));
    }

    /// The groups that were asked for.
    pub(crate) fn chosen<'g, F>(&self, groups: &'g [(&'g str, F)]) -> impl Iterator<Item = &'g F> {
        let wanted = |name: &str| self.only.as_ref().is_none_or(|only| name.contains(&**only));
        let chosen = groups.iter().filter(move |(name, _)| wanted(name));
        chosen.map(|(_, figures)| figures)
    }
}

pub(crate) type Map = hashbrown::HashMap<[u8; 16], Arc<[u8]>>;

type Figures = fn(&Options, &Data) -> Result<Vec<Row>, BenchError>;

/// The groups, by name, in the order of the report.
pub const GROUPS: &[(&str, Figures)] = &[
    ("get", reads::get),
    ("readers", reads::readers),
    ("insert", writes::insert),
    ("log", writes::log),
    ("full", writes::full),
    ("encryption", writes::encryption),
    ("memory", memory::memory),
    ("recovery", files::recovery),
    ("replay", files::replay),
    ("latency", latency::latency),
    ("schema", schemas::schema),
    ("expiry", schemas::expiry),
    ("alter", schemas::alter),
    ("structures", structures::structures),
];

/// Runs the groups that were asked for and hands each line of the report to `print`.
pub fn run(options: &Options, mut print: impl FnMut(&str)) -> Result<(), BenchError> {
    options.announce("", &mut print);
    let data = Data::new(options.documents, 1);
    print(HEAD);
    for figures in options.chosen(GROUPS) {
        for row in figures(options, &data)? {
            print(&row.to_string());
        }
    }
    Ok(())
}

/// A database in memory with an empty collection.
pub(crate) fn in_memory() -> Result<(Database, Collection), BenchError> {
    with_collection(Database::open(DatabaseOptions::in_memory())?)
}

pub(crate) fn with_collection(db: Database) -> Result<(Database, Collection), BenchError> {
    let collection = db.create_collection(Definition::new("documents"))?.value;
    Ok((db, collection))
}

/// A database in memory that holds `data`.
pub(crate) fn filled(data: &Data) -> Result<(Database, Collection), BenchError> {
    let (db, collection) = in_memory()?;
    for (at, key) in data.keys().into_iter().enumerate() {
        collection.insert_with_id(key, data.document(at))?;
    }
    Ok((db, collection))
}

/// The bare map with the same documents.
pub(crate) fn filled_map(data: &Data) -> Map {
    let mut map = Map::new();
    for (at, id) in data.ids.iter().enumerate() {
        map.insert(*id.as_bytes(), Arc::from(data.document(at).as_bytes()));
    }
    map
}
