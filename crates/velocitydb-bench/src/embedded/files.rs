//! Starting again: from a checkpoint, and from the log.

use std::time::Instant;

use velocitydb::{Database, Options as DatabaseOptions};

use super::{Options, with_collection};
use crate::BenchError;
use crate::data::Data;
use crate::measure::{Better, Row, Spread, rate};

fn database(dir: &std::path::Path) -> Result<Database, BenchError> {
    let options = DatabaseOptions::at(dir)
        .checkpoint_every(None)
        .checkpoint_log_bytes(u64::MAX)
        .checkpoint_entries(u64::MAX)
        .background(velocitydb::Background::Owner);
    Ok(Database::open(options)?)
}

fn fill(db: Database, data: &Data) -> Result<Database, BenchError> {
    let (db, collection) = with_collection(db)?;
    for (at, key) in data.keys().into_iter().enumerate() {
        collection.insert_with_id(key, data.document(at).clone())?;
    }
    Ok(db)
}

fn row(what: &str, figures: &[f64], bar: f64, aim: f64) -> Row {
    Row {
        what: what.into(),
        figure: Spread::of(figures),
        unit: "/s",
        bar,
        aim,
        better: Better::Higher,
        detail: String::new(),
    }
}

/// From a checkpoint, warm page cache.
pub(super) fn recovery(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let dir = tempfile::tempdir_in(&options.dir)?;
    fill(database(dir.path())?, data)?.close()?;
    let mut rates = Vec::new();
    for _ in 0..options.rounds {
        let start = Instant::now();
        let db = database(dir.path())?;
        rates.push(rate(data.ids.len(), start.elapsed()));
        let loaded = db.recovery().checkpoint_documents as usize;
        if loaded < data.ids.len() {
            return Err(BenchError::Unfit(format!(
                "only {loaded} documents were loaded"
            )));
        }
    }
    let what = "recovery from a checkpoint, documents, warm page cache";
    Ok(vec![row(what, &rates, 1_000_000.0, 2_000_000.0)])
}

/// From the log alone.
pub(super) fn replay(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let mut rates = Vec::new();
    let dir = tempfile::tempdir_in(&options.dir)?;
    let db = fill(database(dir.path())?, data)?;
    db.sync()?;
    // The log of a database that runs on: as after a crash, there is no checkpoint.
    for _ in 0..options.rounds {
        let copy = tempfile::tempdir_in(&options.dir)?;
        copy_dir(&dir.path().join("wal"), &copy.path().join("wal"))?;
        let start = Instant::now();
        let db = database(copy.path())?;
        rates.push(rate(data.ids.len(), start.elapsed()));
        let replayed = db.recovery().entries_replayed as usize;
        if replayed < data.ids.len() {
            return Err(BenchError::Unfit(format!(
                "only {replayed} entries were replayed"
            )));
        }
    }
    Ok(vec![row(
        "log replay, operations",
        &rates,
        500_000.0,
        1_000_000.0,
    )])
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
