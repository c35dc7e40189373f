//! The memory limit, and that what is deleted is given back.

use velocitydb::{Batch, Collection, Database, Error, Isolation, Options, Update};
use velocitydb_sim::SimDisk;

use crate::support::{code, create, done, in_memory, on, on_disk, still, tidy};

const LIMIT: u64 = 1 << 20;

/// Inserts until there is no room; how many that were, and the error.
fn fill(a: &Collection) -> (i64, Error) {
    for n in 0..100_000 {
        if let Err(error) = a.insert_with_id(n, [("pad", "x".repeat(200).into())]) {
            return (n, error);
        }
    }
    panic!("there is a limit")
}

fn limited() -> (Database, Collection) {
    let db = Database::open(still(Options::in_memory()).memory_limit(LIMIT)).unwrap();
    let a = create(&db, "a");
    (db, a)
}

#[test]
fn at_the_limit_writes_are_refused_clearly_and_deletions_are_not() {
    let (db, a) = limited();
    let (many, error) = fill(&a);
    assert!(many > 1000);
    let Error::MemoryLimit {
        needed,
        used,
        limit,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(limit, LIMIT);
    assert!(needed > 200 && used + needed > LIMIT && used == db.stats().memory_used);
    assert!(
        db.stats().memory_used <= LIMIT + LIMIT / 8,
        "structures grow in small steps"
    );
    let text = error_text(&a);
    assert!(
        text.contains("the memory limit is reached") && text.contains("delete data"),
        "{text}"
    );
    let (digest, count) = (db.digest(), a.count().unwrap());
    assert_eq!(
        code(a.update(1, Update::new().set("more", "x".repeat(300)))),
        "memory_limit"
    );
    assert_eq!(
        code(db.batch(Batch::each().upsert("a", "new", [("p", "x".repeat(300).into())]))),
        "memory_limit"
    );
    let transacted = db.transact(Isolation::Snapshot, |t| {
        t.upsert("a", 1, [("p", "x".repeat(300).into())])
    });
    assert_eq!(code(transacted), "memory_limit");
    assert_eq!(
        (db.digest(), a.count().unwrap()),
        (digest, count),
        "nothing has changed"
    );
    assert!(a.get(1).unwrap().is_some(), "reads go on");
    assert!(db.health().warning.is_some() && db.health().writes.is_ok());
    // Deletions need no room, one by one or many at a time.
    a.delete(0).unwrap();
    let deletions = (1..200).fold(Batch::atomic(), |batch, n: i64| batch.delete("a", n));
    db.batch(deletions).unwrap();
    tidy(&db);
    for n in 0..100 {
        a.insert_with_id(n, [("pad", "x".repeat(200).into())])
            .unwrap();
    }
}

fn error_text(a: &Collection) -> String {
    a.insert([("pad", "x".repeat(200).into())])
        .unwrap_err()
        .to_string()
}

#[test]
fn at_the_limit_everything_that_removes_goes_on() {
    // A handle keeps what it looks at until its next use: dropped with it, or used.
    let remove: [fn(&Database, Collection); 3] = [
        |_, a| done(a.truncate()),
        |db, _| done(db.drop_collection("a")),
        |_, a| done(a.drop_index("pad")),
    ];
    for (at, remove) in remove.into_iter().enumerate() {
        let (db, a) = limited();
        let pad = velocitydb::IndexDefinition::unique("pad", vec![velocitydb::Path::field("id")]);
        a.create_index(pad).unwrap();
        fill(&a);
        remove(&db, a);
        tidy(&db);
        if at < 2 {
            assert!(db.stats().memory_used < LIMIT / 4);
            create(&db, "b")
                .insert([("pad", "x".repeat(200).into())])
                .unwrap();
        }
    }
}

#[test]
fn what_is_deleted_is_given_back() {
    let db = in_memory();
    let a = create(&db, "a");
    let warm = |turn: i64| {
        for n in 0..3000 {
            let fields = [("n", n.into()), ("pad", "x".repeat(100).into())];
            a.insert_with_id(turn * 10_000 + n, fields).unwrap();
        }
        let full = db.stats().memory_used;
        for n in 0..3000 {
            a.delete(turn * 10_000 + n).unwrap();
        }
        tidy(&db);
        (full, db.stats().memory_used)
    };
    let before = db.stats().memory_used;
    let (full, first) = warm(0);
    assert!(full > before + 3000 * 100);
    assert!(
        first < before + (full - before) / 8,
        "{before}, full {full}, emptied {first}"
    );
    for turn in 1..8 {
        let (_, after) = warm(turn);
        assert!(
            after <= first + 4096,
            "turn {turn}: {after} against {first}"
        );
    }
    assert_eq!(
        (a.count().unwrap(), a.stats().unwrap().bytes.documents),
        (0, 0)
    );
    db.drop_collection("a").unwrap();
    drop(a);
    tidy(&db);
    assert!(
        db.stats().memory_used <= before + 1024,
        "{} against {before}",
        db.stats().memory_used
    );
}

#[test]
fn the_account_is_the_sum_of_the_collections() {
    let db = in_memory();
    let a = create(&db, "a");
    let others = db.stats().memory_used - a.stats().unwrap().bytes.total() as u64;
    for n in 0..2000 {
        a.insert_with_id(n % 700, []).ok();
        a.upsert(n % 700, [("n", n.into())]).unwrap();
        a.delete(n % 500).ok();
    }
    let bytes = a.stats().unwrap().bytes;
    assert_eq!(db.stats().memory_used - others, bytes.total() as u64);
}

#[test]
fn what_fitted_once_always_loads_again() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let a = create(&db, "a");
    for n in 0..3000 {
        a.insert_with_id(n, [("pad", "x".repeat(100).into())])
            .unwrap();
    }
    let digest = db.digest();
    drop((a, db));
    let db = Database::open(on_disk(&disk).memory_limit(LIMIT / 8)).unwrap();
    assert_eq!(db.digest(), digest);
    let a = db.collection("a").unwrap();
    assert_eq!(a.count().unwrap(), 3000);
    assert!(db.stats().memory_used > LIMIT / 8);
    assert_eq!(code(a.insert([])), "memory_limit");
    for n in 0..3000 {
        a.delete(n).unwrap();
    }
    tidy(&db);
    a.insert_with_id("again", []).unwrap();
}
