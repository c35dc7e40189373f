//! Time to live: a document that has expired is not there for anybody, at once and for good.

use std::sync::Arc;
use std::time::Duration;

use velocitydb::query::Filter;
use velocitydb::{
    Batch, Call, Collection, Database, Definition, Effect, Expected, Expiry, Field, FieldType,
    IndexDefinition, Isolation, ManualClock, Openness, Options, PageRequest, Path, Persistence,
    Schema, Timestamp, Update, Value,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{SECOND, START, clock, code, create, json, on_disk, read, still};

fn seconds(count: u64) -> Expiry {
    Expiry::In(Duration::from_secs(count))
}

fn expiring(collection: &Collection, after: u64) -> Collection {
    collection.with(Call::new().expires(seconds(after)))
}

fn timed() -> (Database, Arc<ManualClock>) {
    let clock = clock();
    let options = still(Options::in_memory()).clock(clock.clone());
    (Database::open(options).unwrap(), clock)
}

/// Every way of reading one collection; they must agree.
#[track_caller]
fn ids(collection: &Collection) -> Vec<String> {
    let listed = collection
        .list(&PageRequest {
            limit: 1000,
            after: None,
        })
        .unwrap()
        .documents;
    let mut ids: Vec<_> = listed.iter().map(|found| found.id().to_string()).collect();
    ids.sort();
    assert_eq!(collection.count().unwrap(), ids.len() as u64);
    assert_eq!(
        collection.count_where(&Filter::All).unwrap(),
        ids.len() as u64
    );
    for found in &listed {
        assert!(collection.get(found.id()).unwrap().is_some());
    }
    ids
}

#[test]
fn an_expired_document_is_gone_for_every_call() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    expiring(&a, 10)
        .insert_with_id("x", [("n", 1.into())])
        .unwrap();
    a.insert_with_id("y", []).unwrap();
    clock.advance(10 * SECOND - 10);
    assert_eq!(ids(&a), ["x", "y"]);
    let document = a.get("x").unwrap().unwrap();
    assert_eq!(
        document.expires_at(),
        Some(Timestamp(START.0 + 10 * SECOND))
    );
    clock.advance(10);
    assert_eq!(ids(&a), ["y"], "to the microsecond");
    assert_eq!(code(a.update("x", Update::new().set("n", 2))), "not_found");
    assert_eq!(code(a.delete("x")), "not_found");
    assert_eq!(
        code(a.compare_and_swap("x", &Expected::Version(1), Update::new())),
        "not_found"
    );
    let again = a.insert_with_id("x", []).unwrap().value;
    assert_eq!((again.effect, again.version), (Effect::Inserted, 1));
    let again = again.document.unwrap();
    assert_eq!(again.meta().created_at, again.meta().updated_at);
    assert_eq!(ids(&a), ["x", "y"]);
}

#[test]
fn a_put_sets_the_expiry_anew_and_an_update_keeps_it() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    let expires = |id: &str| a.get(id).unwrap().unwrap().expires_at();
    let at = |seconds: i64| Some(Timestamp(START.0 + seconds * SECOND));
    expiring(&a, 10).upsert("x", []).unwrap();
    a.update("x", Update::new().set("n", 1)).unwrap();
    assert_eq!(expires("x"), at(10));
    clock.advance(5 * SECOND);
    expiring(&a, 10)
        .update("x", Update::new().set("n", 2))
        .unwrap();
    assert_eq!(expires("x"), at(15));
    let never = a.with(Call::new().expires(Expiry::Never));
    never.update("x", Update::new().set("n", 3)).unwrap();
    assert_eq!(expires("x"), None);
    let exact = a.with(Call::new().expires(Expiry::At(Timestamp(START.0 + 20 * SECOND))));
    exact.upsert("x", []).unwrap();
    assert_eq!(expires("x"), at(20));
    a.upsert("x", []).unwrap();
    assert_eq!(expires("x"), None, "a new document of the same id");
    exact.upsert("x", []).unwrap();
    clock.advance(60 * SECOND);
    assert!(ids(&a).is_empty());
    // A time that is over already: it is gone when it comes.
    exact.upsert("x", []).unwrap();
    assert!(ids(&a).is_empty());
}

#[test]
fn a_collection_says_when_its_documents_expire() {
    let (db, clock) = timed();
    let sessions = Definition::new("sessions").expire_after(30);
    let sessions = db.create_collection(sessions).unwrap().value;
    sessions.insert_with_id("x", []).unwrap();
    sessions.insert_with_id("y", []).unwrap();
    clock.advance(20 * SECOND);
    sessions.update("x", Update::new().set("seen", 1)).unwrap();
    clock.advance(20 * SECOND);
    assert_eq!(ids(&sessions), ["x"], "each change counts anew");
    expiring(&sessions, 300).upsert("x", []).unwrap();
    clock.advance(200 * SECOND);
    assert_eq!(ids(&sessions), ["x"], "a call may say otherwise");

    let due = Schema::new(Openness::Open, vec![Field::new("due", FieldType::Time)]).unwrap();
    let tasks = Definition::new("tasks")
        .schema(due)
        .expire_after_field("due".parse().unwrap(), 5);
    let tasks = db.create_collection(tasks).unwrap().value;
    let now = db.now();
    let due = |seconds: i64| Value::Time(Timestamp(now.0 + seconds * SECOND));
    tasks.insert_with_id("x", [("due", due(10))]).unwrap();
    tasks.insert_with_id("y", []).unwrap();
    tasks.insert_with_id("z", [("due", due(10))]).unwrap();
    tasks
        .update("z", Update::new().set("due", due(100)))
        .unwrap();
    clock.advance(15 * SECOND);
    assert_eq!(ids(&tasks), ["y", "z"]);
}

#[test]
fn unique_values_of_expired_documents_are_free() {
    let (db, clock) = timed();
    let fields = vec![Field::new("mail", FieldType::String).unique()];
    let schema = Schema::new(Openness::Open, fields).unwrap();
    let a = db
        .create_collection(Definition::new("a").schema(schema))
        .unwrap()
        .value;
    let mail = || [("mail", "m".into())];
    expiring(&a, 10).insert_with_id("x", mail()).unwrap();
    assert_eq!(code(a.insert_with_id("y", mail())), "unique_violation");
    clock.advance(10 * SECOND);
    a.insert_with_id("y", mail()).unwrap();
    assert_eq!(code(a.insert_with_id("z", mail())), "unique_violation");
    while db.tend().unwrap() {}
    assert_eq!(
        code(a.insert_with_id("z", mail())),
        "unique_violation",
        "still y's"
    );
    a.delete("y").unwrap();
    a.insert_with_id("z", mail()).unwrap();
}

/// A name that a document had which has expired is free, and whoever has it now is found by it, though
/// the old one is not removed yet.
#[test]
fn who_has_the_name_of_an_expired_document_is_found_by_it() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    let path = || "name".parse::<Path>().unwrap();
    for index in [
        IndexDefinition::btree("ordered", [path()]).and_unique(),
        IndexDefinition::unique("hashed", vec![path()]),
    ] {
        a.create_index(index).unwrap();
    }
    let name = || [("name", "ann".into())];
    for turn in 0..20 {
        expiring(&a, 1).insert_with_id(turn, name()).unwrap();
        for index in ["hashed", "ordered"] {
            let found = a.get_by_unique(index, &["ann".into()]).unwrap();
            assert_eq!(
                found.map(|found| found.id().to_string()),
                Some(turn.to_string()),
                "{index}"
            );
        }
        clock.advance(2 * SECOND);
        for index in ["hashed", "ordered"] {
            assert!(
                a.get_by_unique(index, &["ann".into()]).unwrap().is_none(),
                "{index}"
            );
        }
    }
}

#[test]
fn a_snapshot_sees_what_had_not_expired_when_it_began() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    for id in 0..300 {
        expiring(&a, 10).insert_with_id(id, []).unwrap();
    }
    let view = db.snapshot();
    clock.advance(10 * SECOND);
    a.insert_with_id("later", []).unwrap();
    while db.tend().unwrap() {}
    let seen = view.collection("a").unwrap();
    assert_eq!(seen.count().unwrap(), 300);
    assert!(seen.get(7).unwrap().is_some());
    assert_eq!(ids(&a), ["later"]);
    assert_eq!(db.snapshot().collection("a").unwrap().count().unwrap(), 1);
    drop((view, seen));
    while db.tend().unwrap() {}
    assert_eq!((ids(&a), db.stats().expired), (vec!["later".into()], 300));
}

#[test]
fn memory_comes_back_without_further_writes() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    let used = db.stats().memory_used;
    for id in 0..20_000 {
        expiring(&a, 10)
            .insert_with_id(id, [("n", id.into())])
            .unwrap();
    }
    // One that changed, so that it has an older version, and one that another put replaced.
    a.update(1, Update::new().set("n", 2)).unwrap();
    a.upsert(2, []).unwrap();
    let full = db.stats().memory_used - used;
    clock.advance(20 * SECOND);
    while db.tend().unwrap() {}
    // The first round has let log time go on, the second removes.
    while db.tend().unwrap() {}
    assert_eq!(ids(&a), ["2"]);
    assert_eq!(db.stats().expired, 19_999);
    let left = db.stats().memory_used - used;
    assert!(left < full / 5, "{left} of {full} bytes are left");
}

#[test]
fn what_has_expired_stays_gone_after_a_restart() {
    for checkpoint in [false, true] {
        let (disk, clock) = (SimDisk::new(1), clock());
        let db = Database::open(on_disk(&disk).clock(clock.clone())).unwrap();
        let a = create(&db, "a");
        for id in 0..10 {
            expiring(&a, 10).insert_with_id(id, []).unwrap();
            expiring(&a, 50).insert_with_id(100 + id, []).unwrap();
        }
        clock.advance(20 * SECOND);
        a.insert_with_id("now", []).unwrap();
        if checkpoint {
            db.checkpoint().unwrap();
        }
        while db.tend().unwrap() {}
        let digest = db.digest();
        let disk = disk.crash(CrashMode::Process);
        let db = Database::open(on_disk(&disk).clock(clock.clone())).unwrap();
        let a = db.collection("a").unwrap();
        assert_eq!(db.digest(), digest, "whoever has removed what");
        assert_eq!(a.count().unwrap(), 11);
        assert!(a.get(100).unwrap().unwrap().expires_at().is_some());
        clock.advance(30 * SECOND);
        assert_eq!(ids(&a), ["now"]);
        while db.tend().unwrap() {}
        while db.tend().unwrap() {}
        assert_eq!(ids(&a), ["now"]);
    }
}

#[test]
fn an_idle_database_writes_one_entry_for_what_expires_together() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    for id in 0..1000 {
        expiring(&a, 10).insert_with_id(id, []).unwrap();
    }
    clock.advance(60 * SECOND);
    let entries = db.stats().entries;
    for _ in 0..50 {
        db.tend().unwrap();
    }
    assert_eq!(db.stats().entries, entries + 1);
    assert_eq!(db.stats().expired, 1000);
}

#[test]
fn transactions_and_batches_say_when_what_they_write_expires() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    let mut transaction = db.begin(Isolation::Serializable);
    transaction.expires(seconds(10));
    transaction.insert_with_id("a", "x", []).unwrap();
    transaction
        .update("a", "x", Update::new().set("n", 1))
        .unwrap();
    transaction.expires(Expiry::Default);
    transaction.insert_with_id("a", "y", []).unwrap();
    transaction.commit().unwrap();
    let batch = Batch::atomic()
        .insert_with_id("a", "p", [])
        .expires(seconds(10))
        .insert_with_id("a", "q", []);
    db.batch(batch).unwrap();
    clock.advance(10 * SECOND);
    assert_eq!(ids(&a), ["p", "y"]);
}

#[test]
fn a_transaction_that_read_a_document_before_it_expired_is_tried_again() {
    let (db, clock) = timed();
    let a = create(&db, "a");
    expiring(&a, 10).insert_with_id("x", []).unwrap();
    let mut transaction = db.begin(Isolation::Serializable);
    assert!(transaction.get("a", "x").unwrap().is_some());
    transaction.insert_with_id("a", "saw-x", []).unwrap();
    clock.advance(10 * SECOND);
    assert!(transaction.commit().unwrap_err().is_retryable());
    assert_eq!(read(&a, "saw-x"), None);
}

#[test]
fn volatile_collections_expire_too() {
    let (db, clock) = timed();
    let cache = Definition::new("cache").volatile().expire_after(5);
    let cache = db.create_collection(cache).unwrap().value;
    assert_eq!(
        cache.definition().unwrap().persistence,
        Persistence::Volatile
    );
    for id in 0..1000 {
        cache.insert_with_id(id, []).unwrap();
    }
    // Log time goes on by 1 µs with each entry.
    clock.advance(6 * SECOND);
    assert!(ids(&cache).is_empty());
    while db.tend().unwrap() {}
    assert_eq!(db.stats().expired, 1000, "no log time to wait for");
}

#[test]
fn the_log_is_synced_while_much_expires() {
    const DOCUMENTS: i64 = 50_000;
    let (dir, clock) = (tempfile::tempdir().unwrap(), clock());
    let options = Options::at(dir.path()).clock(clock.clone());
    let db = Database::open(options.sync_every(Duration::from_millis(1))).unwrap();
    let a = create(&db, "a");
    let brief = expiring(&a, 10);
    for id in 0..DOCUMENTS {
        brief.insert_with_id(id, json("{}")).unwrap();
    }
    clock.advance(20 * SECOND);
    let expired = || db.stats().expired;
    while expired() == 0 {
        std::thread::yield_now();
    }
    let syncs = || db.stats().log.unwrap().syncs;
    let before = syncs();
    while syncs() == before && expired() < DOCUMENTS as u64 {
        a.upsert("live", json("{}")).unwrap();
    }
    assert!(
        expired() < DOCUMENTS as u64,
        "nothing was synced until all were removed"
    );
}
