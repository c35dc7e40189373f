//! Snapshots: one index across collections, never blocked, given up when they are forgotten.

use std::thread;
use std::time::Duration;

use velocitydb::{Batch, Database, Definition, ErrorClass, Isolation, Options, Update};

use crate::support::{
    SECOND, class, clock, code, create, in_memory, number, read, still, text, tidy,
};

#[test]
fn a_snapshot_sees_exactly_its_index_in_every_collection() {
    let db = in_memory();
    let (a, b) = (create(&db, "a"), create(&db, "b"));
    let mut views = Vec::new();
    for n in 0..20_i64 {
        let both =
            Batch::atomic()
                .upsert("a", "x", [("n", n.into())])
                .upsert("b", n, [("n", n.into())]);
        let index = db.batch(both).unwrap().index;
        let view = db.snapshot();
        assert_eq!(view.index(), index);
        views.push(view);
        tidy(&db);
    }
    a.delete("x").unwrap();
    tidy(&db);
    for (n, view) in views.iter().enumerate() {
        let seen = view.collection("a").unwrap().get("x").unwrap().unwrap();
        assert_eq!(
            (number(&seen, "n"), seen.meta().index),
            (n as i64, view.index())
        );
        let in_b = view.collection("b").unwrap();
        assert_eq!(in_b.count().unwrap(), n as u64 + 1);
        assert!(in_b.get(n as i64).unwrap().is_some() && in_b.get(n as i64 + 1).unwrap().is_none());
        assert_eq!(in_b.index(), view.index());
    }
    assert_eq!(db.stats().snapshots, 20);
    assert_eq!(db.stats().oldest_snapshot, Some(views[0].index()));
    drop(views);
    assert_eq!(
        (db.stats().snapshots, db.stats().oldest_snapshot),
        (0, None)
    );
    assert_eq!((read(&a, "x"), b.count().unwrap()), (None, 20));
}

#[test]
fn a_snapshot_survives_truncate_drop_and_create() {
    let db = in_memory();
    let (a, b) = (create(&db, "a"), create(&db, "b"));
    a.insert_with_id(1, [("n", 1.into())]).unwrap();
    b.insert_with_id(1, [("n", 2.into())]).unwrap();
    let view = db.snapshot();
    let kept = view.collection("a").unwrap();
    a.truncate().unwrap();
    a.insert_with_id(1, [("n", 3.into())]).unwrap();
    db.drop_collection("b").unwrap();
    db.create_collection(Definition::new("b").primary_key("k"))
        .unwrap();
    create(&db, "c");
    tidy(&db);
    for one in [kept, view.collection("a").unwrap()] {
        assert_eq!(text(&one.get(1).unwrap().unwrap()), r#"{"n":1}"#);
        assert_eq!(one.count().unwrap(), 1);
    }
    let old = view.collection("b").unwrap();
    assert_eq!(text(&old.get(1).unwrap().unwrap()), r#"{"n":2}"#);
    assert_eq!(old.definition().primary_key, None, "what it was then");
    assert_eq!(code(view.collection("c").map(|_| ())), "unknown_collection");
    let new = db.snapshot();
    assert_eq!(new.collection("b").unwrap().count().unwrap(), 0);
    assert_eq!(
        text(&new.collection("a").unwrap().get(1).unwrap().unwrap()),
        r#"{"n":3}"#
    );
}

#[test]
fn readers_at_an_index_are_never_blocked_and_never_wrong() {
    const TURNS: i64 = 4000;
    let db = in_memory();
    let (a, b) = (create(&db, "a"), create(&db, "b"));
    let write = |n: i64| {
        let both =
            Batch::atomic()
                .upsert("a", 1, [("n", n.into())])
                .upsert("b", 1, [("n", (-n).into())]);
        db.batch(both).unwrap();
    };
    write(0);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 1..=TURNS {
                write(n);
                if n % 16 == 0 {
                    db.tend().unwrap();
                }
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while last < TURNS {
                    let view = db.snapshot();
                    let [x, y] = ["a", "b"].map(|name| {
                        let one = view.collection(name).unwrap().get(1).unwrap();
                        number(&one.expect("it is always there"), "n")
                    });
                    assert_eq!(x, -y, "both of one index");
                    assert!(x >= last, "time does not go back");
                    last = x;
                    assert!(number(&a.get(1).unwrap().unwrap(), "n") >= x);
                    assert!(-number(&b.get(1).unwrap().unwrap(), "n") >= x);
                }
            });
        }
        writer.join().unwrap();
    });
    tidy(&db);
    assert_eq!(a.stats().unwrap().bytes.old_versions, 0);
}

#[test]
fn old_versions_are_kept_while_they_are_seen_and_given_back_then() {
    let db = in_memory();
    let a = create(&db, "a");
    let fill = |n: i64| {
        for id in 0..200 {
            a.upsert(id, [("n", n.into()), ("pad", "x".repeat(100).into())])
                .unwrap();
        }
    };
    fill(0);
    tidy(&db);
    let one = a.stats().unwrap().bytes;
    assert_eq!(one.old_versions, 0);
    let view = db.snapshot();
    for n in 1..10 {
        fill(n);
        tidy(&db);
    }
    let held = a.stats().unwrap().bytes;
    assert!(
        held.old_versions >= 200 * 100,
        "the snapshot's versions are kept"
    );
    assert!(
        held.old_versions <= 2 * one.documents,
        "and no others: {held:?}"
    );
    let seen = view.collection("a").unwrap();
    for id in 0..200 {
        assert_eq!(number(&seen.get(id).unwrap().unwrap(), "n"), 0);
    }
    drop((view, seen));
    tidy(&db);
    assert_eq!(a.stats().unwrap().bytes.old_versions, 0);
    assert!(
        a.stats().unwrap().bytes.documents <= one.documents + 200 * 16,
        "a link and a digit"
    );
}

#[test]
fn a_forgotten_snapshot_is_given_up_at_its_deadline() {
    let clock = clock();
    let options = still(Options::in_memory()).clock(clock.clone());
    let db = Database::open(options.snapshot_deadline(Duration::from_secs(60))).unwrap();
    let a = create(&db, "a");
    a.insert_with_id(1, [("n", 1.into())]).unwrap();
    let view = db.snapshot();
    let (index, in_a) = (view.index(), view.collection("a").unwrap());
    let mut transaction = db.begin(Isolation::Snapshot);
    a.update(1, Update::new().set("n", 2)).unwrap();
    clock.advance(60 * SECOND - 1);
    tidy(&db);
    assert_eq!(
        (db.stats().snapshots, db.stats().snapshots_given_up),
        (2, 0)
    );
    assert_eq!(number(&in_a.get(1).unwrap().unwrap(), "n"), 1);
    clock.advance(1);
    let young = db.snapshot();
    tidy(&db);
    let stats = db.stats();
    assert_eq!((stats.snapshots, stats.snapshots_given_up), (1, 2));
    assert_eq!(stats.oldest_snapshot, Some(young.index()));
    assert_eq!(a.stats().unwrap().bytes.old_versions, 0);
    let error = in_a.get(1).unwrap_err();
    assert_eq!(error.code(), ("snapshot_too_old", ErrorClass::Retry));
    let said = format!(
        "the snapshot at index {index} was kept past its deadline and given up: take a new one"
    );
    assert_eq!(error.to_string(), said);
    assert_eq!(code(in_a.scan(|_| true)), "snapshot_too_old");
    assert_eq!(
        class(in_a.list(&velocitydb::PageRequest {
            limit: 5,
            after: None
        })),
        ErrorClass::Retry
    );
    assert_eq!(class(transaction.get("a", 1)), ErrorClass::Retry);
    assert_eq!(
        number(
            &young.collection("a").unwrap().get(1).unwrap().unwrap(),
            "n"
        ),
        2
    );
    // Given up once: dropping it takes nothing from others at the same index.
    drop((view, in_a, transaction));
    assert_eq!(
        (db.stats().snapshots, db.stats().snapshots_given_up),
        (1, 2)
    );
}

#[test]
fn a_document_in_hand_outlives_everything() {
    let db = in_memory();
    let a = create(&db, "a");
    let document = a
        .insert_with_id(1, [("n", 1.into())])
        .unwrap()
        .value
        .document
        .unwrap();
    a.delete(1).unwrap();
    a.truncate().unwrap();
    tidy(&db);
    drop((a, db));
    assert_eq!(text(&document), r#"{"n":1}"#);
}
