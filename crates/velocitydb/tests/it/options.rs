//! What a call may ask for: durability, consistency, a deadline.

use velocitydb::{
    Answer, Batch, Call, Consistency, Database, Definition, Durability, Error, Isolation, Options,
    StorageMode, Timestamp, Update,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{SECOND, START, clock, code, create, in_memory, on, on_disk, read, still};

#[test]
fn the_mode_chooses_the_level_and_the_answer_says_it() {
    for (mode, level) in [
        (StorageMode::MemoryOnly, Durability::Memory),
        (StorageMode::MemoryFirst, Durability::Os),
        (StorageMode::Persistent, Durability::Full),
    ] {
        let disk = SimDisk::new(1);
        let db = Database::open(on_disk(&disk).mode(mode)).unwrap();
        assert_eq!((db.mode(), db.default_durability()), (mode, level));
        let created = db.create_collection(Definition::new("a")).unwrap();
        let inserted = created.value.insert_with_id(1, []).unwrap();
        let batch = db.batch(Batch::atomic().delete("a", 1)).unwrap();
        let transacted = db
            .transact(Isolation::Snapshot, |t| t.upsert("a", 2, []))
            .unwrap();
        let given = [
            created.durability,
            inserted.durability,
            batch.durability,
            transacted.durability,
        ];
        assert_eq!(given, [level; 4], "{mode:?}");
    }
    let disk = SimDisk::new(1);
    let db = Database::open(on_disk(&disk).durability(Durability::None)).unwrap();
    let answer = create(&db, "a").insert([]).unwrap();
    assert_eq!(
        answer.durability,
        Durability::None,
        "the option outranks the mode"
    );
}

#[test]
fn a_call_chooses_its_own_level() {
    let db = on(&SimDisk::new(1));
    let a = create(&db, "a");
    for level in Durability::ALL {
        let answer = a.with(Call::new().durability(level)).insert([]).unwrap();
        assert_eq!(answer.durability, level);
    }
    // Where nothing is logged, no more than memory can be given, and that is said.
    let db = in_memory();
    let a = create(&db, "a");
    for (asked, given) in [
        (Durability::Full, Durability::Memory),
        (Durability::None, Durability::None),
    ] {
        let answer = a.with(Call::new().durability(asked)).insert([]).unwrap();
        assert_eq!(answer.durability, given);
    }
}

/// What is left of four writes, one at each level, after a crash.
fn survivors(mode: CrashMode, seed: u64) -> Vec<&'static str> {
    let disk = SimDisk::new(seed);
    let db = on(&disk);
    let a = create(&db, "a");
    // Weakest last, so that no stronger one takes a weaker one along.
    for level in Durability::ALL.into_iter().rev() {
        a.with(Call::new().durability(level))
            .insert_with_id(level.name(), [])
            .unwrap();
    }
    let disk = disk.crash(mode);
    drop(db);
    let a = on(&disk).collection("a").unwrap();
    let levels = Durability::ALL.into_iter().map(Durability::name);
    levels
        .filter(|name| a.get(*name).unwrap().is_some())
        .collect()
}

#[test]
fn each_level_survives_what_it_promises() {
    for seed in 0..20 {
        let left = survivors(CrashMode::Process, seed);
        assert!(left.contains(&"os") && left.contains(&"full"), "{left:?}");
        assert!(
            survivors(CrashMode::PowerLoss, seed).contains(&"full"),
            "seed {seed}"
        );
    }
}

#[test]
fn every_consistency_is_met_by_the_one_commit() {
    let db = in_memory();
    let a = create(&db, "a");
    for (n, level) in Consistency::ALL.into_iter().enumerate() {
        let answer = a
            .with(Call::new().consistency(level))
            .insert_with_id(n as i64, [])
            .unwrap();
        assert_eq!(answer.consistency, level);
    }
    assert_eq!(a.insert([]).unwrap().consistency, Consistency::Strong);
}

#[test]
fn a_call_after_its_deadline_changes_nothing() {
    let clock = clock();
    let db = Database::open(still(Options::in_memory()).clock(clock.clone())).unwrap();
    let a = create(&db, "a");
    a.insert_with_id("x", [("n", 1.into())]).unwrap();
    let call = Call::new().deadline(Timestamp(START.0 + SECOND));
    let bound = a.with(call.clone());
    bound.update("x", Update::new().add("n", 1)).unwrap();
    let mut transaction = db.begin(Isolation::Snapshot);
    transaction.upsert("a", "y", []).unwrap();
    clock.advance(SECOND);
    let digest = db.digest();
    let late = |result: Result<(), Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.code().0, "deadline_exceeded");
        assert!(!error.is_retryable());
    };
    fn unit<T>(answer: Result<Answer<T>, Error>) -> Result<(), Error> {
        answer.map(|_| ())
    }
    late(unit(bound.update("x", Update::new().add("n", 1))));
    late(unit(bound.insert([])));
    late(unit(bound.truncate()));
    late(unit(db.batch_with(Batch::each().delete("a", "x"), &call)));
    late(unit(db.create_collection_with(Definition::new("b"), &call)));
    late(unit(transaction.commit_with(&call)));
    late(bound.get("x").map(|_| ()));
    late(bound.count().map(|_| ()));
    assert_eq!(db.digest(), digest);
    assert_eq!(read(&a, "x").unwrap(), r#"{"n":2}"#);
}

#[test]
fn the_same_seed_gives_the_same_database() {
    let run = || {
        let options = still(Options::in_memory()).clock(clock());
        let db = Database::open(options).unwrap();
        let a = create(&db, "a");
        for n in 0..50 {
            a.insert([("n", n.into())]).unwrap();
        }
        db.digest()
    };
    assert_eq!(run(), run());
    let other = Options::in_memory().clock(clock()).seed(8);
    let db = Database::open(other.background(velocitydb::Background::Owner)).unwrap();
    let a = create(&db, "a");
    for n in 0..50 {
        a.insert([("n", n.into())]).unwrap();
    }
    assert_ne!(db.digest(), run(), "ids follow from the seed");
}

#[test]
fn the_threads_of_a_database_end_with_it() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..3 {
        let db = Database::open(Options::at(dir.path())).unwrap();
        if n == 0 {
            create(&db, "a");
        }
        let a = db.collection("a").unwrap();
        assert_eq!(a.count().unwrap(), n);
        a.insert([]).unwrap();
        drop(db);
        drop(a);
    }
}

#[test]
fn definitions_take_no_idempotency_key() {
    let db = in_memory();
    let call = Call::new().idempotency_key("k");
    assert_eq!(
        code(db.create_collection_with(Definition::new("a"), &call)),
        "invalid_request"
    );
}
