//! Writes: in memory, through the log, and to the disk with many writers.

use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use velocitydb::{
    Call, Collection, Database, Durability, EncryptionKey, EncryptionKeys, Key,
    Options as DatabaseOptions,
};

use super::{Map, Options, in_memory, with_collection};
use crate::BenchError;
use crate::data::Data;
use crate::measure::{Better, Row, Spread, alternate, rate, short, timed};

fn insert_all(collection: &Collection, keys: &[Key], data: &Data) -> f64 {
    timed(keys.len(), || {
        for (at, key) in keys.iter().enumerate() {
            collection
                .insert_with_id(key, data.document(at))
                .expect("a new id");
        }
    })
}

/// In memory, one thread: both sides copy the document from the same source.
pub(super) fn insert(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let (ratio, ours, theirs) = alternate::<BenchError>(
        options.rounds,
        || {
            let (_db, collection) = in_memory()?;
            Ok(insert_all(&collection, &data.keys(), data))
        },
        || {
            let mut map = Map::new();
            let taken = timed(data.ids.len(), || {
                for (at, id) in data.ids.iter().enumerate() {
                    map.insert(*id.as_bytes(), Arc::from(data.document(at).as_bytes()));
                }
            });
            black_box(&map);
            Ok(taken)
        },
    )?;
    Ok(vec![
        Row {
            what: "insert, memory-only, one thread, against the bare map".into(),
            figure: ratio,
            unit: "x",
            bar: 0.25,
            aim: 0.5,
            better: Better::Higher,
            detail: format!(
                "{} against {} ns",
                short(1e9 / ours.median),
                short(1e9 / theirs.median)
            ),
        },
        Row {
            what: "insert, memory-only, one thread".into(),
            figure: ours,
            unit: "/s",
            bar: 500_000.0,
            aim: 1_000_000.0,
            better: Better::Higher,
            detail: String::new(),
        },
    ])
}

fn on_disk(
    options: &Options,
    keys: EncryptionKeys,
) -> Result<(tempfile::TempDir, Database, Collection), BenchError> {
    let dir = tempfile::tempdir_in(&options.dir)?;
    // No checkpoint in between: its cost is measured by itself.
    let opened = DatabaseOptions::at(dir.path())
        .encryption(keys)
        .checkpoint_every(None)
        .checkpoint_log_bytes(u64::MAX)
        .checkpoint_entries(u64::MAX);
    let (db, collection) = with_collection(Database::open(opened)?)?;
    Ok((dir, db, collection))
}

/// What the log adds to an insert at `os`.
pub(super) fn log(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let (_, ours, theirs) = alternate::<BenchError>(
        options.rounds,
        || {
            let (_dir, _db, collection) = on_disk(options, EncryptionKeys::default())?;
            Ok(insert_all(&collection, &data.keys(), data))
        },
        || {
            let (_db, collection) = in_memory()?;
            Ok(insert_all(&collection, &data.keys(), data))
        },
    )?;
    // Each round's difference needs both of its sides; the medians give the figure.
    let added = |ours: f64, theirs: f64| 1e6 / ours - 1e6 / theirs;
    let figure = Spread {
        min: added(ours.max, theirs.median),
        median: added(ours.median, theirs.median),
        max: added(ours.min, theirs.median),
    };
    Ok(vec![Row {
        what: "what the log adds to an insert at `os`, one thread".into(),
        figure,
        unit: "µs",
        bar: 1.0,
        aim: 0.6,
        better: Better::Lower,
        detail: format!(
            "{} against {} ns in memory",
            short(1e9 / ours.median),
            short(1e9 / theirs.median)
        ),
    }])
}

const WRITERS: usize = 64;
const FULL_EACH: usize = 2_000;
const SYNCS: usize = 4_000;

/// One thread's fdatasync rate on a preallocated (written) file, 200 bytes each.
fn bare_syncs(options: &Options) -> Result<f64, BenchError> {
    let file = tempfile::tempfile_in(&options.dir)?;
    file.write_all_at(&vec![0; 1 << 20], 0)?;
    file.sync_all()?;
    let start = Instant::now();
    for at in 0..SYNCS {
        file.write_all_at(&[at as u8; 200], (at * 200) as u64 % (1 << 20))?;
        file.sync_data()?;
    }
    Ok(rate(SYNCS, start.elapsed()))
}

/// 64 writers at `full`.
pub(super) fn full(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let mut per_sync = Vec::new();
    let (ratio, ours, theirs) = alternate::<BenchError>(
        options.rounds,
        || {
            let (_dir, db, collection) = on_disk(options, EncryptionKeys::default())?;
            let collection = collection.with(Call::new().durability(Durability::Full));
            let syncs = |db: &Database| db.stats().log.map_or(0, |log| log.syncs);
            let before = syncs(&db);
            let start = Instant::now();
            std::thread::scope(|scope| {
                for writer in 0..WRITERS {
                    let collection = &collection;
                    scope.spawn(move || {
                        for at in writer * FULL_EACH..(writer + 1) * FULL_EACH {
                            let id = format!("{at}");
                            let document = data.document(at);
                            collection.insert_with_id(id, document).expect("a new id");
                        }
                    });
                }
            });
            let commits = WRITERS * FULL_EACH;
            per_sync.push(commits as f64 / (syncs(&db) - before).max(1) as f64);
            Ok(rate(commits, start.elapsed()))
        },
        || bare_syncs(options),
    )?;
    Ok(vec![
        Row {
            what: "insert at `full`, 64 writers, against one thread's fdatasync rate".into(),
            figure: ratio,
            unit: "x",
            bar: 6.0,
            aim: 9.0,
            better: Better::Higher,
            detail: format!("{} against {} /s", short(ours.median), short(theirs.median)),
        },
        Row {
            what: "commits for each fsync, 64 writers".into(),
            figure: Spread::of(&per_sync),
            unit: "",
            bar: 16.0,
            aim: 24.0,
            better: Better::Higher,
            detail: String::new(),
        },
    ])
}

/// Inserts at `os`, and checkpoints, encrypted against plain.
pub(super) fn encryption(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let keys = || -> Result<EncryptionKeys, BenchError> {
        let key = EncryptionKey::from_content(vec![7; 32]);
        Ok(EncryptionKeys::new(key.map_err(velocitydb::Error::from)?))
    };
    let inserts = |keys: EncryptionKeys| {
        let (_dir, _db, collection) = on_disk(options, keys)?;
        Ok(insert_all(&collection, &data.keys(), data))
    };
    let row = |what: &str, (ratio, ours, theirs): (Spread, Spread, Spread), unit: &str| Row {
        what: what.into(),
        figure: ratio,
        unit: "x",
        bar: 0.85,
        aim: 0.95,
        better: Better::Higher,
        detail: format!(
            "{} against {} {unit}",
            short(ours.median),
            short(theirs.median)
        ),
    };
    let log = alternate::<BenchError>(
        options.rounds,
        || inserts(keys()?),
        || inserts(EncryptionKeys::default()),
    )?;
    let (_dir, encrypted, ours) = on_disk(options, keys()?)?;
    let (_other, plain, theirs) = on_disk(options, EncryptionKeys::default())?;
    for collection in [&ours, &theirs] {
        insert_all(collection, &data.keys(), data);
    }
    let documents = data.ids.len();
    let checkpoint = |db: &Database, collection: &Collection| {
        // Without a change there is nothing to write.
        collection.upsert("changed", data.document(0))?;
        let start = Instant::now();
        db.checkpoint()?;
        Ok(rate(documents, start.elapsed()))
    };
    let checkpoints = alternate::<BenchError>(
        options.rounds,
        || checkpoint(&encrypted, &ours),
        || checkpoint(&plain, &theirs),
    )?;
    Ok(vec![
        row("insert at `os`, encrypted against plain", log, "/s"),
        row(
            "checkpoint, encrypted against plain",
            checkpoints,
            "documents/s",
        ),
    ])
}
