//! Databases for tests, and short words for what they say often.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use velocitydb::{
    Answer, Background, Collection, CollectionView, Database, Definition, Document, Error,
    ErrorClass, Input, LogOptions, ManualClock, Options, Timestamp, Value,
};
use velocitydb_sim::SimDisk;

/// Where manual clocks begin: 2026-01-01, in µs.
pub const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// One second, in µs.
pub const SECOND: i64 = 1_000_000;

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(START))
}

/// Everything that a test decides itself: no threads, no chance.
pub fn still(options: Options) -> Options {
    options.background(Background::Owner).seed(7)
}

/// A database in memory that does nothing by itself.
pub fn in_memory() -> Database {
    Database::open(still(Options::in_memory())).unwrap()
}

/// A database on a simulated disk that does nothing by itself.
pub fn on(disk: &SimDisk) -> Database {
    Database::open(on_disk(disk)).unwrap()
}

/// With small segments, so that the log rolls over.
pub fn on_disk(disk: &SimDisk) -> Options {
    let mut log = LogOptions::default();
    (log.first_segment_bytes, log.segment_bytes) = (16 << 10, 256 << 10);
    still(Options::at("/data"))
        .log(log)
        .disk(Arc::new(disk.clone()))
}

/// A new open collection.
pub fn create(db: &Database, name: &str) -> Collection {
    db.create_collection(Definition::new(name)).unwrap().value
}

/// A view that counts how often its queries ask whether they may go on, and says no from then on.
pub fn asking(collection: &Collection, stop_at: Option<u32>) -> (CollectionView, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let view = collection.view().unwrap().interrupted_by(move || {
        let so_far = counter.fetch_add(1, Ordering::Relaxed) + 1;
        match stop_at.is_some_and(|stop_at| so_far >= stop_at) {
            true => Err(Error::QueryTimeout),
            false => Ok(()),
        }
    });
    (view, asked)
}

/// The lines of a text between two marks, without indentation and the marks of comments.
pub fn between<'t>(text: &'t str, from: &str, to: &str) -> Vec<&'t str> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("//!").trim())
        .skip_while(|line| *line != from)
        .skip(1);
    lines
        .take_while(|line| *line != to)
        .filter(|line| !line.is_empty())
        .collect()
}

/// A document written as JSON.
pub fn json(text: &str) -> Input<'_> {
    Input::json(text).unwrap()
}

/// The fields of a document as JSON.
pub fn text(document: &Document) -> String {
    document.fields().as_value().to_value().to_json()
}

/// The fields of the document of this id; `None` when there is none.
pub fn read(collection: &Collection, id: &str) -> Option<String> {
    collection.get(id).unwrap().as_ref().map(text)
}

/// A number in a document.
pub fn number(document: &Document, field: &str) -> i64 {
    document.get(field).unwrap().as_int().unwrap()
}

/// One field of a document.
pub fn value(document: &Document, field: &str) -> Value {
    document.get(field).unwrap().to_value()
}

/// The stable name of the error that a call failed with.
#[track_caller]
pub fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code().0
}

/// What the receiver of a failed call can do about it.
#[track_caller]
pub fn class<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorClass {
    result.unwrap_err().class()
}

/// Gives back everything that nobody sees any more.
pub fn tidy(db: &Database) {
    while db.tend().unwrap() {}
}

/// What was asked for, of an answer that must be one.
#[track_caller]
pub fn done<T>(answer: Result<Answer<T>, Error>) -> T {
    answer.unwrap().value
}
