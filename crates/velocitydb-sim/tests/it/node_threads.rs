//! Checkpoints and crashes while real threads write. Which thread comes when is not the seed's
//! to say; what must hold afterwards is the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use velocitydb::disk::{Disk, RealDisk};
use velocitydb::{
    Background, Batch, Call, Collection, Database, Definition, Durability, Error, Expected, Input,
    Isolation, LogOptions, Options, Update, Value,
};
use velocitydb_sim::{CrashMode, Random, SimDisk, seeds};

const WRITERS: u64 = 3;
const ACCOUNTS: u64 = 8;
const BALANCE: i64 = 100;

fn options(disk: &SimDisk, kept: usize) -> Options {
    let mut log = LogOptions::default();
    (log.first_segment_bytes, log.segment_bytes) = (4096, 16384);
    Options::at("/data")
        .log(log)
        .checkpoints_kept(kept)
        .disk(Arc::new(disk.clone()))
        .background(Background::Owner)
        .seed(disk.operations())
}

fn number(n: i64) -> Input<'static> {
    [("n", Value::Int(n))].into()
}

fn read(collection: &Collection, id: &str) -> Option<i64> {
    let document = collection.get(id).unwrap()?;
    document.get("n").and_then(|value| value.as_int())
}

/// A collection with accounts whose sum never changes, and one with a counter for each writer.
fn prepare(db: &Database) {
    let bank = db.create_collection(Definition::new("bank")).unwrap().value;
    for account in 0..ACCOUNTS {
        bank.insert_with_id(format!("{account}"), number(BALANCE))
            .unwrap();
    }
    let counters = db
        .create_collection(Definition::new("counters"))
        .unwrap()
        .value;
    for writer in 0..WRITERS {
        counters
            .insert_with_id(format!("{writer}"), number(0))
            .unwrap();
    }
    db.create_collection(Definition::new("bulk")).unwrap();
    db.sync().unwrap();
}

fn assert_sum(db: &Database, context: &str) {
    let bank = db.collection("bank").unwrap();
    let sum: i64 = (0..ACCOUNTS)
        .filter_map(|account| read(&bank, &format!("{account}")))
        .sum();
    assert_eq!(sum, ACCOUNTS as i64 * BALANCE, "{context}");
}

/// Both halves of each pair are there and have one number.
fn assert_pairs(db: &Database, context: &str) {
    let (mut left, mut right) = (BTreeMap::new(), BTreeMap::new());
    let bulk = db.collection("bulk").unwrap().view().unwrap();
    let scanned = bulk.scan(|document| {
        let (id, n) = (
            document.id().to_string(),
            document.get("n").and_then(|n| n.as_int()),
        );
        if let Some(id) = id.strip_suffix(" left") {
            left.insert(id.to_owned(), n);
        } else if let Some(id) = id.strip_suffix(" right") {
            right.insert(id.to_owned(), n);
        }
        true
    });
    scanned.unwrap();
    assert!(!left.is_empty(), "{context}: no pairs");
    assert_eq!(left, right, "{context}");
}

/// One write of some kind.
fn write(db: &Database, writer: u64, random: &mut Random) -> Result<(), Error> {
    let level = Durability::ALL[random.below(4) as usize];
    let bulk = db.collection("bulk")?.with(Call::new().durability(level));
    let id = format!("{writer} {}", random.below(60));
    match random.below(8) {
        0 | 1 => transfer(db, random),
        2 => {
            // Both halves of a pair have one number, always.
            let n = random.below(1000) as i64;
            let both = Batch::atomic().upsert("bulk", format!("{id} left"), number(n));
            let both = both.upsert("bulk", format!("{id} right"), number(n));
            db.batch_with(both, &Call::new().durability(level))
                .map(|_| ())
        }
        3 => {
            let expected = Expected::field("n", 1);
            not_there(bulk.compare_and_swap(&id, &expected, Update::new().add("n", 1)))
        }
        4 => not_there(bulk.delete(&id)),
        _ => bulk.upsert(&id, number(random.below(9) as i64)).map(|_| ()),
    }
}

fn not_there<T>(result: Result<T, Error>) -> Result<(), Error> {
    match result {
        Err(Error::Refused { .. }) => Ok(()),
        result => result.map(|_| ()),
    }
}

fn transfer(db: &Database, random: &mut Random) -> Result<(), Error> {
    let from = random.below(ACCOUNTS);
    let to = (from + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
    let moved = db.transact(Isolation::Serializable, |transaction| {
        transaction.update("bank", format!("{from}"), Update::new().add("n", -1))?;
        transaction.update("bank", format!("{to}"), Update::new().add("n", 1))
    });
    moved.map(|_| ())
}

fn checkpoints(disk: &SimDisk) -> Vec<PathBuf> {
    let mut paths = disk.paths();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "ckpt"));
    paths
}

#[test]
fn each_kept_checkpoint_and_the_log_behind_it_give_the_live_state() {
    for seed in seeds(6) {
        let kept = 1 + seed as usize % 3;
        let disk = SimDisk::new(seed);
        let db = Database::open(options(&disk, kept)).unwrap();
        prepare(&db);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (db, mut random) = (db.clone(), Random::new(seed * 100 + writer));
                    scope.spawn(move || {
                        for _ in 0..150 {
                            write(&db, writer, &mut random).unwrap();
                        }
                    })
                })
                .collect();
            while !writers.iter().all(|writer| writer.is_finished()) {
                db.checkpoint().unwrap();
                db.tend().unwrap();
                assert!(checkpoints(&disk).len() <= kept);
            }
        });
        for _ in 0..kept {
            transfer(&db, &mut Random::new(seed)).unwrap();
            db.checkpoint().unwrap();
        }
        let last = Call::new().durability(Durability::Full);
        let counters = db.collection("counters").unwrap().with(last);
        counters.update("0", Update::new().set("n", 77)).unwrap();
        let digest = db.digest();
        assert_eq!(checkpoints(&disk).len(), kept, "seed {seed}");
        let disk = disk.crash(CrashMode::PowerLoss);
        drop((db, counters));
        // Without the newest, the one before it serves, and so on to the oldest.
        let mut newest = checkpoints(&disk);
        while let Some(path) = newest.pop() {
            let copy = disk.copy(seed);
            let db = Database::open(options(&copy, kept)).unwrap();
            let index = format!("{:020}.ckpt", db.recovery().checkpoint_index);
            assert_eq!(path.file_name().unwrap().to_str(), Some(index.as_str()));
            assert_eq!(db.digest(), digest, "seed {seed}, from {}", path.display());
            assert_sum(&db, "after the end");
            assert_pairs(&db, "after the end");
            copy.crash(CrashMode::Process);
            assert!(disk.lose(&path));
        }
        // The log went only as far as the oldest kept.
        let error = Database::open(options(&disk, kept)).unwrap_err();
        assert!(error.to_string().contains("are missing"), "{error}");
    }
}

#[test]
fn a_crash_among_writers_takes_back_nothing_that_was_promised() {
    for seed in seeds(12) {
        let mode = [CrashMode::Process, CrashMode::PowerLoss][seed as usize % 2];
        let disk = SimDisk::new(seed);
        let db = Database::open(options(&disk, 2)).unwrap();
        prepare(&db);
        let acknowledged: Vec<_> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
        let writes = AtomicU64::new(0);
        let end = 60 + Random::new(seed).below(200);
        let next = std::thread::scope(|scope| {
            for (writer, acknowledged) in (0..).zip(&acknowledged) {
                let (db, writes, mut random) = (db.clone(), &writes, Random::new(seed + writer));
                scope.spawn(move || {
                    let own = db.collection("counters").unwrap();
                    let own = own.with(Call::new().durability(Durability::Full));
                    // Until the crash.
                    while own
                        .update(format!("{writer}"), Update::new().add("n", 1))
                        .is_ok()
                    {
                        acknowledged.fetch_add(1, Ordering::SeqCst);
                        writes.fetch_add(1, Ordering::SeqCst);
                        if write(&db, writer, &mut random).is_err() {
                            return;
                        }
                    }
                });
            }
            while writes.load(Ordering::SeqCst) < end {
                db.checkpoint().unwrap();
            }
            disk.crash(mode)
        });
        drop(db);
        let db = Database::open(options(&next, 2)).unwrap();
        let counters = db.collection("counters").unwrap();
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let acknowledged = acknowledged.load(Ordering::SeqCst) as i64;
            let found = read(&counters, &format!("{writer}")).unwrap();
            let range = acknowledged..=acknowledged + 1;
            assert!(
                range.contains(&found),
                "seed {seed}, {mode:?}: {found}, not {range:?}"
            );
        }
        assert_sum(&db, &format!("seed {seed}, {mode:?}"));
        assert_pairs(&db, &format!("seed {seed}, {mode:?}"));
    }
}

/// The same on a real disk, with the database's own threads.
#[test]
fn the_real_disk_gives_the_live_state_back() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let open = || {
        let mut log = LogOptions::default();
        (log.first_segment_bytes, log.segment_bytes) = (1 << 16, 1 << 18);
        log.write_path = velocitydb_engine::log::WritePath::Mapped;
        let options = Options::at(dir.path()).log(log).disk(Arc::clone(&disk));
        Database::open(options.checkpoint_entries(300)).unwrap()
    };
    let db = open();
    prepare(&db);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (db, mut random) = (db.clone(), Random::new(writer));
            scope.spawn(move || {
                for _ in 0..700 {
                    write(&db, writer, &mut random).unwrap();
                }
            });
        }
        for _ in 0..4 {
            db.checkpoint().unwrap();
        }
    });
    let digest = db.digest();
    db.close().unwrap();
    drop(db);
    let kept = disk.list(&dir.path().join("checkpoints")).unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let db = open();
    assert_eq!(db.digest(), digest);
    assert_sum(&db, "the real disk");
    drop(db);
    // The older checkpoint and the log give the same.
    disk.remove(&dir.path().join("checkpoints").join(Path::new(&kept[1])))
        .unwrap();
    let db = open();
    assert_eq!(db.digest(), digest);
    assert!(db.recovery().entries_replayed > 0);
}

#[test]
fn data_beyond_the_memory_limit_loads_again() {
    for checkpointed in [false, true] {
        let disk = SimDisk::new(1);
        let limit = 300_000;
        let db = Database::open(options(&disk, 2).memory_limit(limit)).unwrap();
        let data = db.create_collection(Definition::new("data")).unwrap().value;
        let text = Value::String("y".repeat(500));
        let full = (0..).find_map(|n: i64| data.insert_with_id(n, [("s", text.clone())]).err());
        let full = full.unwrap();
        assert!(matches!(full, Error::MemoryLimit { .. }), "{full}");
        if checkpointed {
            db.checkpoint().unwrap();
        }
        let (digest, count) = (db.digest(), data.count().unwrap());
        assert!(count > 100, "{count}");
        let next = disk.crash(CrashMode::Process);
        drop((db, data));
        let db = Database::open(options(&next, 2).memory_limit(limit / 3)).unwrap();
        assert_eq!(db.digest(), digest);
        assert_eq!(db.recovery().checkpoint_documents > 0, checkpointed);
        assert!(db.stats().memory_used > limit / 3);
        let data = db.collection("data").unwrap();
        let refused = data
            .insert_with_id("more", [("s", text.clone())])
            .unwrap_err();
        assert!(matches!(refused, Error::MemoryLimit { .. }), "{refused}");
        // Removing goes on, and makes room in the end.
        for n in 0..count as i64 {
            data.delete(n).unwrap();
        }
        while db.tend().unwrap() {}
        data.insert_with_id("more", [("s", text)]).unwrap();
    }
}
