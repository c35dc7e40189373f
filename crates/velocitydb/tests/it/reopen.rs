//! A database opened again is the database that it was.

use std::path::Path;
use std::sync::Arc;

use velocitydb::disk::Disk;
use velocitydb::{
    Batch, Call, Database, Definition, EncryptionKeys, Error, Field, FieldType, IndexDefinition,
    Openness, Options, Schema, StorageMode, Timestamp, Update,
};
use velocitydb_engine::log::RepairMode;
use velocitydb_engine::offline::repair;
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{SECOND, START, clock, code, create, done, on, on_disk, read, still};

/// A little of everything.
fn fill(db: &Database) {
    let name = Field::new("name", FieldType::String).unique();
    let schema = Schema::new(
        Openness::Strict,
        vec![name, Field::new("n", FieldType::Int)],
    )
    .unwrap();
    let people = done(db.create_collection(Definition::new("people").schema(schema)));
    create(db, "dropped").insert_with_id(1, []).unwrap();
    db.drop_collection("dropped").unwrap();
    create(db, "emptied").insert_with_id(1, []).unwrap();
    let emptied = db.collection("emptied").unwrap();
    emptied.truncate().unwrap();
    emptied.insert_with_id(2, []).unwrap();
    for n in 0..50 {
        people
            .insert_with_id(n, [("name", format!("p{n}").into()), ("n", n.into())])
            .unwrap();
    }
    let path = velocitydb::Path::field("n");
    people
        .create_index(IndexDefinition::unique("by_n", vec![path]))
        .unwrap();
}

/// More of it, so that there is something after a checkpoint.
fn change(db: &Database) {
    let people = db.collection("people").unwrap();
    for n in 0..20 {
        people
            .update(n, Update::new().set("name", format!("q{n}")))
            .unwrap();
        people.delete(n + 20).unwrap();
    }
    let call = Call::new().idempotency_key("once");
    people
        .with(call)
        .insert_with_id("kept", [("name", "kept".into())])
        .unwrap();
    let batch = Batch::each()
        .delete("people", 40)
        .delete("people", 40)
        .delete("emptied", 2);
    done(db.batch(batch));
    create(db, "late");
}

fn check(db: &Database) {
    let names: Vec<_> = db.collections().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["emptied", "late", "people"]);
    let people = db.collection("people").unwrap();
    assert_eq!(people.count().unwrap(), 50 - 20 - 1 + 1);
    assert_eq!(read(&people, "kept").unwrap(), r#"{"name":"kept"}"#);
    assert_eq!(people.get(7).unwrap().unwrap().meta().version, 2);
    let definition = people.definition().unwrap();
    assert_eq!(
        (definition.indexes.len(), definition.schema.fields().len()),
        (1, 2)
    );
    let insert = |fields| code(people.insert_with_id("x", fields));
    assert_eq!(
        insert([("name", "q7".into())]),
        "unique_violation",
        "declared with the field"
    );
    assert_eq!(insert([("n", 7.into())]), "unique_violation", "made later");
    assert_eq!(insert([("other", 7.into())]), "schema_violation");
    assert_eq!(db.collection("emptied").unwrap().count().unwrap(), 0);
}

fn opened_again(disk: &SimDisk, digest: u128) -> Database {
    let db = on(disk);
    assert_eq!(db.digest(), digest);
    check(&db);
    assert_eq!(db.digest(), digest, "refusals leave no trace");
    db
}

#[test]
fn from_the_log_alone() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    fill(&db);
    change(&db);
    let (digest, index) = (db.digest(), db.stats().visible_index);
    let disk = disk.crash(CrashMode::Process);
    drop(db);
    let db = opened_again(&disk, digest);
    let found = db.recovery();
    assert_eq!(
        (
            found.checkpoint_index,
            found.entries_replayed,
            found.last_index
        ),
        (0, index, index)
    );
    assert!(found.torn_tail.is_none());
}

#[test]
fn from_a_checkpoint_and_the_log_after_it() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    fill(&db);
    let at = db.checkpoint().unwrap();
    assert_eq!(at, db.stats().visible_index);
    assert_eq!(db.checkpoint().unwrap(), at, "nothing new, nothing written");
    assert_eq!(db.stats().checkpoints.written, 1);
    change(&db);
    let (digest, index) = (db.digest(), db.stats().visible_index);
    let disk = disk.crash(CrashMode::Process);
    drop(db);
    let db = opened_again(&disk, digest);
    let found = db.recovery();
    assert_eq!(
        (found.checkpoint_index, found.entries_replayed),
        (at, index - at)
    );
    assert!(found.checkpoint_documents > 50);
}

#[test]
fn from_a_checkpoint_alone_after_a_repair() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    fill(&db);
    change(&db);
    let (digest, index) = (db.digest(), db.stats().visible_index);
    db.close().unwrap();
    drop(db);
    for path in disk.paths() {
        if path.starts_with("/data/wal") {
            assert!(disk.lose(&path));
        }
    }
    // Whether there was more in the log nobody knows: only a repair goes on without it.
    let refused = Database::open(on_disk(&disk));
    assert!(matches!(refused, Err(Error::Damaged(_))), "{refused:?}");
    let (shared, salts): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), Box::new(|| [7; 16]));
    let done = repair(
        &shared,
        Path::new("/data"),
        RepairMode::CarryOut,
        salts,
        &EncryptionKeys::default(),
    )
    .unwrap();
    assert!(done.log.begins_anew, "{done:?}");
    let db = opened_again(&disk, digest);
    assert_eq!(
        (
            db.recovery().checkpoint_index,
            db.recovery().entries_replayed
        ),
        (index, 0)
    );
    // The log goes on where the checkpoint ended.
    let answer = db
        .collection("late")
        .unwrap()
        .insert_with_id(1, [])
        .unwrap();
    assert_eq!(answer.index, index + 1);
    let digest = db.digest();
    let disk = disk.crash(CrashMode::Process);
    drop(db);
    let db = on(&disk);
    assert_eq!((db.digest(), db.recovery().entries_replayed), (digest, 1));
}

#[test]
fn many_times_with_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Database::open(still(Options::at(dir.path()).checkpoints_kept(1))).unwrap();
    let db = open();
    fill(&db);
    change(&db);
    let mut digest = db.digest();
    drop(db);
    for n in 0..5 {
        let db = open();
        assert_eq!(db.digest(), digest);
        check(&db);
        db.collection("late")
            .unwrap()
            .insert_with_id(n, [])
            .unwrap();
        if n % 2 == 0 {
            db.checkpoint().unwrap();
            db.collection("late")
                .unwrap()
                .insert_with_id(n + 100, [])
                .unwrap();
        }
        digest = db.digest();
        drop(db);
    }
    let checkpoints = std::fs::read_dir(dir.path().join("checkpoints"))
        .unwrap()
        .count();
    assert_eq!(checkpoints, 1, "older ones go");
    assert!(Path::new(dir.path()).join("LOCK").exists());
}

#[test]
fn from_an_older_checkpoint_when_the_newest_is_damaged() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    fill(&db);
    let first = db.checkpoint().unwrap();
    change(&db);
    let second = db.checkpoint().unwrap();
    let digest = db.digest();
    let disk = disk.crash(CrashMode::Process);
    drop(db);
    let newest = format!("/data/checkpoints/{second:020}.ckpt");
    assert!(disk.flip_bit(Path::new(&newest), 4000));
    let db = opened_again(&disk, digest);
    let found = db.recovery();
    assert_eq!(
        (found.checkpoint_index, found.entries_replayed),
        (first, second - first)
    );
    assert_eq!(found.damaged_checkpoints.len(), 1);
    // The next checkpoint takes the damaged one's place.
    db.collection("late").unwrap().insert([]).unwrap();
    db.checkpoint().unwrap();
}

#[test]
fn a_torn_tail_is_cut_and_said() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let a = create(&db, "a");
    a.insert_with_id(1, []).unwrap();
    db.sync().unwrap();
    let digest = db.digest();
    a.insert_with_id(2, [("pad", "x".repeat(500).into())])
        .unwrap();
    let disk = disk.crash(CrashMode::Process);
    drop((a, db));
    let segment = disk
        .paths()
        .into_iter()
        .rfind(|path| path.starts_with("/data/wal"))
        .unwrap();
    let content = disk.content(&segment).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).unwrap();
    assert!(disk.flip_bit(&segment, (end as u64 - 20) * 8));
    let db = on(&disk);
    assert!(db.recovery().torn_tail.is_some());
    assert_eq!(db.digest(), digest);
}

#[test]
fn log_time_never_goes_back() {
    let (mut disk, clock) = (SimDisk::new(1), clock());
    let mut last = Timestamp(0);
    for turn in 0..6 {
        let db = Database::open(on_disk(&disk).clock(clock.clone())).unwrap();
        if turn == 0 {
            create(&db, "a");
        }
        let a = db.collection("a").unwrap();
        for _ in 0..3 {
            let time = a.upsert(1, []).unwrap().time;
            assert!(time > last && time >= START, "{time:?} after {last:?}");
            last = time;
            clock.advance(-3600 * SECOND);
        }
        // Of one document the times are in order, whatever the clock says.
        let meta = a.get(1).unwrap().unwrap().meta();
        assert!(meta.created_at < meta.updated_at && meta.updated_at == last);
        if turn % 2 == 0 {
            db.checkpoint().unwrap();
        }
        disk = match turn % 3 {
            0 => disk.crash(CrashMode::Process),
            _ => disk,
        };
        drop((a, db));
    }
}

#[test]
fn memory_only_leaves_nothing() {
    let disk = SimDisk::new(1);
    let options = || on_disk(&disk).mode(StorageMode::MemoryOnly);
    let db = Database::open(options()).unwrap();
    create(&db, "a").insert([]).unwrap();
    assert_eq!(db.checkpoint().unwrap(), 0);
    db.sync().unwrap();
    assert!(db.stats().log.is_none());
    drop(db);
    assert!(disk.paths().is_empty());
    assert!(Database::open(options()).unwrap().collections().is_empty());
}

#[test]
fn what_is_synced_survives_a_loss_of_power() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let db = Database::open(on_disk(&disk).mode(StorageMode::Persistent)).unwrap();
        fill(&db);
        if seed % 2 == 0 {
            db.checkpoint().unwrap();
        }
        change(&db);
        let digest = db.digest();
        let disk = disk.crash(CrashMode::PowerLoss);
        drop(db);
        opened_again(&disk, digest);
    }
}
