//! Volatile collections: a cache beside the log.

use velocitydb::{Batch, Call, Collection, Database, Definition, Durability, Isolation, Update};
use velocitydb_sim::SimDisk;

use crate::support::{code, create, done, in_memory, on, read, text, tidy};

fn cache(db: &Database) -> Collection {
    done(db.create_collection(Definition::new("cache").volatile()))
}

#[test]
fn nothing_is_logged_and_nothing_comes_back() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let (a, cache) = (create(&db, "a"), cache(&db));
    db.sync().unwrap();
    let (digest, index, log) = (db.digest(), db.stats().visible_index, db.stats().log);
    for n in 0..100 {
        cache.upsert(n % 10, [("n", n.into())]).unwrap();
    }
    cache.delete(3).unwrap();
    db.sync().unwrap();
    let answer = cache.update(4, Update::new().set("x", 1)).unwrap();
    assert_eq!(
        answer.durability,
        Durability::Memory,
        "no more than is given"
    );
    let full = cache.with(Call::new().durability(Durability::Full));
    assert_eq!(
        full.insert_with_id("f", []).unwrap().durability,
        Durability::Memory
    );
    assert_eq!((db.digest(), db.stats().visible_index), (digest, index));
    assert_eq!(db.stats().log, log, "not one byte");
    assert_eq!(cache.count().unwrap(), 10);
    a.insert_with_id(1, []).unwrap();
    drop((a, cache, full, db));
    for _ in 0..2 {
        let db = on(&disk);
        let cache = db.collection("cache").unwrap();
        assert_eq!(
            cache.definition().unwrap(),
            Definition::new("cache").volatile()
        );
        assert_eq!(cache.count().unwrap(), 0);
        cache.insert_with_id(1, []).unwrap();
        assert_eq!(db.collection("a").unwrap().count().unwrap(), 1);
    }
}

#[test]
fn it_does_all_that_a_collection_does() {
    let db = in_memory();
    let cache = cache(&db);
    cache.insert_with_id("k", [("n", 1.into())]).unwrap();
    assert_eq!(code(cache.insert_with_id("k", [])), "already_exists");
    let view = db.snapshot();
    assert_eq!(done(cache.increment("k", "n", 1)).as_int(), Some(2));
    let batch = Batch::atomic()
        .upsert("cache", "k", [("n", 3.into())])
        .delete("cache", "k");
    done(db.batch(batch));
    tidy(&db);
    let seen = view.collection("cache").unwrap().get("k").unwrap().unwrap();
    assert_eq!(
        text(&seen),
        r#"{"n":1}"#,
        "a snapshot holds it as anything else"
    );
    assert_eq!(read(&cache, "k"), None);
    cache.insert_with_id("k", []).unwrap();
    cache.truncate().unwrap();
    assert_eq!((read(&cache, "k"), cache.count().unwrap()), (None, 0));
}

#[test]
fn nothing_spans_it_and_what_is_logged() {
    let db = in_memory();
    let (a, cache) = (create(&db, "a"), cache(&db));
    for mode in [Batch::atomic, Batch::each] {
        let both = mode()
            .insert_with_id("a", 1, [])
            .insert_with_id("cache", 1, []);
        assert_eq!(code(db.batch(both)), "mixed_persistence");
    }
    let mut transaction = db.begin(Isolation::Snapshot);
    assert_eq!(code(transaction.get("cache", 1)), "mixed_persistence");
    assert_eq!(
        code(transaction.upsert("cache", 1, [])),
        "mixed_persistence"
    );
    assert_eq!(
        code(transaction.scan("cache", |_| true)),
        "mixed_persistence"
    );
    let once = cache.with(Call::new().idempotency_key("k"));
    assert_eq!(
        code(once.insert([])),
        "mixed_persistence",
        "its outcome would have to be kept"
    );
    assert_eq!((a.count().unwrap(), cache.count().unwrap()), (0, 0));
}
