//! Databases of one store keep out of each other's way.

use std::sync::atomic::{AtomicBool, Ordering};
use velocitydb::{
    Call, ChangeKind, Database, DatabaseDefinition, Definition, Error, Field, FieldType, OnDelete,
    Openness, Refusal, Schema, SequenceDefinition,
};

use velocitydb::{Batch, Isolation, SequenceError};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{code, create, done, in_memory, json, on, read, tidy};

fn make(db: &Database, name: &str) -> Database {
    done(db.create_database(DatabaseDefinition::new(name), &Call::new()))
}

fn names(db: &Database) -> Vec<String> {
    let all = db.databases().into_iter();
    all.map(|(_, definition)| definition.name).collect()
}

fn collections(db: &Database) -> Vec<String> {
    db.collections().into_iter().map(|one| one.name).collect()
}

#[test]
fn a_name_is_of_its_database() {
    let db = in_memory();
    assert_eq!(names(&db), ["velocity", "postgres"]);
    let shop = make(&db, "shop");
    assert_eq!(shop.name().unwrap(), "shop");
    assert_eq!(
        code(db.create_database(DatabaseDefinition::new("shop"), &Call::new())),
        "database_exists"
    );
    for database in [&db, &shop] {
        let things = create(database, "things");
        let name = database.name().unwrap();
        things
            .insert_with_id("a", json(&format!(r#"{{"of": "{name}"}}"#)))
            .unwrap();
    }
    create(&shop, "orders");
    assert_eq!(collections(&db), ["things"]);
    assert_eq!(collections(&shop), ["orders", "things"]);
    assert_eq!(code(db.collection("orders")), "unknown_collection");
    let things = |db: &Database| read(&db.collection("things").unwrap(), "a");
    assert_eq!(things(&db).as_deref(), Some(r#"{"of":"velocity"}"#));
    let again = db.database("shop").unwrap();
    assert_eq!(things(&again).as_deref(), Some(r#"{"of":"shop"}"#));
    // Also in a transaction and in a snapshot.
    let mut transaction = again.begin(velocitydb::Isolation::Snapshot);
    assert!(transaction.get("orders", "x").unwrap().is_none());
    let mut outside = db.begin(velocitydb::Isolation::Snapshot);
    assert_eq!(code(outside.get("orders", "x")), "unknown_collection");
    assert!(shop.snapshot().collection("orders").is_ok());
    assert!(db.snapshot().collection("orders").is_err());
    assert_eq!(code(db.database("none").map(drop)), "unknown_database");
}

#[test]
fn sequences_keys_and_messages_are_of_a_database() {
    let db = in_memory();
    let shop = make(&db, "shop");
    let [ours, theirs] = [&db, &shop].map(|db| {
        let made = db.create_sequence(SequenceDefinition::new("numbers"));
        made.unwrap()
    });
    assert_eq!([ours.next().unwrap(), ours.next().unwrap()], [1, 2]);
    assert_eq!(theirs.next().unwrap(), 1);
    assert_eq!(shop.sequences().unwrap().len(), 1);
    assert!(shop.drop_sequence("numbers").unwrap());
    assert_eq!(ours.next().unwrap(), 3);

    // The same request with the same key, in each: neither is the other's repetition.
    let call = Call::new().idempotency_key("k");
    for database in [&db, &shop] {
        let things = create(database, "things").with(call.clone());
        let inserted = things.insert_with_id("a", json("{}")).unwrap();
        assert!(!inserted.repeated);
    }

    let mut changes = shop.changes().open().unwrap();
    create(&db, "elsewhere");
    create(&shop, "here");
    let told = changes.try_next().unwrap().unwrap();
    assert_eq!(told.kind, ChangeKind::CollectionCreated);
    assert_eq!(&*told.collection, "here");
    assert!(changes.try_next().unwrap().is_none());
}

#[test]
fn references_stay_in_the_database() {
    let db = in_memory();
    let shop = make(&db, "shop");
    create(&db, "customers");
    let customer =
        Field::new("customer", FieldType::String).references("customers", OnDelete::Restrict);
    let schema = Schema::new(Openness::Open, vec![customer]).unwrap();
    let orders = Definition::new("orders").schema(schema);
    assert_eq!(
        code(shop.create_collection(orders.clone())),
        "invalid_definition"
    );
    let customers = create(&shop, "customers");
    let orders = shop.create_collection(orders).unwrap().value;
    customers.insert_with_id("c", json("{}")).unwrap();
    orders
        .insert_with_id("o", json(r#"{"customer": "c"}"#))
        .unwrap();
    // Those of the same name elsewhere are referred to by nobody.
    db.drop_collection("customers").unwrap();
    let refused = shop.drop_collection("customers");
    assert!(matches!(
        refused,
        Err(Error::Refused {
            refusal: Refusal::Reference(_),
            ..
        })
    ));
}

#[test]
fn a_database_goes_with_all_that_is_in_it_and_its_number_never_comes_back() {
    let disk = SimDisk::new(7);
    let first = {
        let db = on(&disk);
        let shop = make(&db, "shop");
        create(&shop, "things")
            .insert_with_id("a", json("{}"))
            .unwrap();
        shop.create_sequence(SequenceDefinition::new("numbers"))
            .unwrap();
        create(&db, "things");
        db.close().unwrap();
        shop.id()
    };
    let db = on(&disk);
    assert_eq!(names(&db), ["velocity", "postgres", "shop"]);
    let shop = db.database("shop").unwrap();
    assert_eq!(shop.id(), first);
    let guest = shop.enter(|| ()).unwrap();
    let call = Call::new();
    assert_eq!(code(db.drop_database("shop", &call)), "database_in_use");
    let other = DatabaseDefinition::new("other");
    let renamed = db.alter_database("shop", other.clone(), &call);
    assert_eq!(code(renamed), "database_in_use");
    drop(guest);
    done(db.alter_database("shop", other, &call));
    assert_eq!(shop.name().unwrap(), "other");
    done(db.drop_database("other", &call));
    assert_eq!(code(shop.enter(|| ()).map(drop)), "unknown_database");
    assert_eq!(
        code(shop.collection("things").map(drop)),
        "unknown_collection"
    );
    assert_eq!(
        code(shop.create_collection(Definition::new("new"))),
        "unknown_database"
    );
    assert_eq!(collections(&db), ["things"]);
    for lasting in ["velocity", "postgres"] {
        assert_eq!(code(db.drop_database(lasting, &call)), "invalid_definition");
    }
    // What is made anew under the name has nothing of it, also after the log was read again.
    let again = make(&db, "other");
    assert!(again.id() > first);
    assert!(again.sequences().unwrap().is_empty());
    let digest = db.digest();
    drop((again, shop, db));
    let db = on(&disk);
    assert_eq!(db.digest(), digest);
    assert_eq!(names(&db), ["velocity", "postgres", "other"]);
    assert!(collections(&db.database("other").unwrap()).is_empty());
}

#[test]
fn what_cannot_be_a_name_is_refused() {
    let db = in_memory();
    for bad in ["", "a/b", "..", "a\n"] {
        let made = db.create_database(DatabaseDefinition::new(bad), &Call::new());
        assert_eq!(code(made), "invalid_definition", "{bad:?}");
    }
}

/// What was made in the database before it was dropped.
#[test]
fn handles_of_a_dropped_database_leave_nothing_behind() {
    let disk = SimDisk::new(8);
    let db = on(&disk);
    let shop = make(&db, "shop");
    let things = create(&shop, "things");
    things.insert_with_id("a", json("{}")).unwrap();
    let mut transaction = shop.begin(Isolation::Snapshot);
    transaction.insert("things", json("{}")).unwrap();
    let view = shop.snapshot();
    let mut changes = shop.changes().open().unwrap();
    let numbers = shop
        .create_sequence(SequenceDefinition::new("numbers"))
        .unwrap();
    done(db.drop_database("shop", &Call::new()));
    let before = db.digest();

    let made = shop.create_sequence(SequenceDefinition::new("others"));
    let is_gone = |error: &SequenceError| matches!(error, SequenceError::Database(error) if error.code().0 == "unknown_database");
    assert!(made.is_err_and(|error| is_gone(&error)));
    assert!(
        numbers
            .set(velocitydb::SequencePosition {
                last: 9,
                called: true
            })
            .is_err()
    );
    let schema = velocitydb::DatabaseSchema {
        name: "s".into(),
        version: 1,
        collections: Default::default(),
        consistency: Vec::new(),
        dropped: Vec::new(),
    };
    let plan = shop.plan_schema(schema).unwrap();
    let run = plan.run(&shop, &Call::new(), |_| std::ops::ControlFlow::Continue(()));
    assert!(run.is_err());
    assert_eq!(code(transaction.commit()), "conflict");
    let call = Call::new().idempotency_key("k");
    assert!(
        things
            .clone()
            .with(call)
            .insert_with_id("c", json("{}"))
            .is_err()
    );
    assert!(
        shop.batch(Batch::atomic().insert("things", json("{}")))
            .is_err()
    );
    assert_eq!(
        code(
            shop.create_temporary(Definition::new("pg_temp_1.t"))
                .map(|_| ())
        ),
        "unknown_database"
    );

    // A snapshot is of then; a stream tells that the collection has gone, and ends.
    assert_eq!(view.collection("things").unwrap().count().unwrap(), 1);
    let told: Vec<_> = std::iter::from_fn(|| changes.try_next().transpose())
        .take(9)
        .collect();
    assert_eq!(
        told[0].as_ref().unwrap().kind,
        ChangeKind::CollectionDropped
    );
    assert_eq!(told[1].as_ref().unwrap_err().code().0, "unknown_database");
    assert_eq!(code(shop.changes().open().map(drop)), "unknown_database");
    assert_eq!(db.digest(), before);
    drop((view, changes, shop));
    let db = on(&disk.crash(CrashMode::Process));
    assert_eq!(db.digest(), before);
}

#[test]
fn what_sessions_have_left_is_dropped_in_every_database() {
    let disk = SimDisk::new(9);
    let db = on(&disk);
    let shop = make(&db, "shop");
    for database in [&db, &shop] {
        database
            .create_temporary(Definition::new("pg_temp_1.t"))
            .unwrap();
        database
            .create_temporary_sequence(SequenceDefinition::new("pg_temp_1.s"))
            .unwrap();
        create(database, "kept");
    }
    for round in 0..2 {
        let db = on(&disk.crash(CrashMode::Process));
        for name in ["velocity", "shop"] {
            let database = db.database(name).unwrap();
            assert_eq!(collections(&database), ["kept"], "{round}");
            assert!(database.sequences().unwrap().is_empty());
        }
        let kept = db.snapshot().of_database(shop.id()).collection_names();
        assert_eq!(kept, ["kept"]);
    }
}

/// Memory is given back, however often.
#[test]
fn databases_that_come_and_go_leave_no_memory() {
    let db = in_memory();
    let round = || {
        for number in 0..50 {
            let shop = make(&db, &format!("shop {number}"));
            let things = create(&shop, "things");
            things
                .insert_with_id("a", json(r#"{"text": "some words"}"#))
                .unwrap();
            shop.create_sequence(SequenceDefinition::new("numbers"))
                .unwrap();
        }
        for number in 0..50 {
            done(db.drop_database(&format!("shop {number}"), &Call::new()));
        }
        tidy(&db);
        db.stats().memory_used
    };
    let first = round();
    let later = (0..5).fold(0, |_, _| round());
    assert!(later <= first + first / 8, "{first} {later}");
}

/// Force waits for those who leave, and for no more: who comes meanwhile is refused.
#[test]
fn force_asks_those_who_are_there_to_leave() {
    let db = in_memory();
    let shop = make(&db, "shop");
    let (asked, asking) = std::sync::mpsc::channel();
    let stays = shop.enter(|| ()).unwrap();
    let leaves = shop.enter(move || asked.send(()).unwrap_or(())).unwrap();
    std::thread::scope(|scope| {
        let dropped = scope.spawn(|| db.drop_database_with_force("shop", &Call::new()));
        asking.recv().unwrap();
        assert_eq!(code(shop.enter(|| ()).map(drop)), "database_in_use");
        drop(leaves);
        drop(stays);
        done(dropped.join().unwrap());
    });
    assert_eq!(code(db.database("shop").map(drop)), "unknown_database");
}

/// Threads that use a database while others drop it, make it anew and rename it: each call does all
/// or nothing, and nothing of a dropped one is left.
#[test]
fn use_while_it_is_dropped_and_renamed() {
    let disk = SimDisk::new(10);
    let db = on(&disk);
    let stop = AtomicBool::new(false);
    let expected = |result: Result<(), Error>| {
        if let Err(error) = result {
            let known = [
                "unknown_database",
                "unknown_collection",
                "collection_exists",
                "database_exists",
                "database_in_use",
                "conflict",
            ];
            assert!(known.contains(&error.code().0), "{error}");
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (db, stop) = (&db, &stop);
            scope.spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let Ok(shop) = db.database("shop") else {
                        continue;
                    };
                    let guest = match number % 3 {
                        0 => shop.enter(|| ()).ok(),
                        _ => None,
                    };
                    let name = format!("t{thread}-{}", number % 5);
                    let made = shop.create_collection(Definition::new(&name));
                    let there = guest.is_some();
                    if there {
                        // Nobody drops it now.
                        assert!(
                            shop.name().is_ok() && made.is_ok()
                                || code(made.map(|_| ())) == "collection_exists"
                        );
                    } else {
                        expected(made.map(|_| ()));
                    }
                    match shop.create_sequence(SequenceDefinition::new(&*name)) {
                        Ok(_) | Err(SequenceError::Exists(_)) => {}
                        Err(SequenceError::Database(error)) => expected(Err(error)),
                        Err(error) => panic!("{error}"),
                    }
                    let inserted = shop
                        .collection(&name)
                        .and_then(|found| found.insert(json("{}")).map(|_| ()));
                    expected(inserted);
                    expected(shop.drop_collection(&name).map(|_| ()));
                    drop(guest);
                }
            });
        }
        let call = Call::new();
        for round in 0..200 {
            expected(
                db.create_database(DatabaseDefinition::new("shop"), &call)
                    .map(|_| ()),
            );
            if round % 3 == 0 {
                expected(
                    db.alter_database("shop", DatabaseDefinition::new("other"), &call)
                        .map(|_| ()),
                );
                expected(db.drop_database("other", &call).map(|_| ()));
            }
            expected(db.drop_database("shop", &call).map(|_| ()));
        }
        stop.store(true, Ordering::Relaxed);
    });
    for name in ["shop", "other"] {
        let _ = db.drop_database(name, &Call::new());
    }
    assert_eq!(names(&db), ["velocity", "postgres"]);
    let digest = db.digest();
    db.checkpoint().unwrap();
    let db = on(&disk.crash(CrashMode::Process));
    assert_eq!(db.digest(), digest);
    // As one that had nothing ever.
    let documents = db.stats().checkpoints.last_documents;
    assert_eq!(documents, 0);
}

#[test]
fn a_thousand_databases() {
    let disk = SimDisk::new(11);
    let db = on(&disk);
    for number in 0..1_000 {
        let shop = make(&db, &format!("shop {number}"));
        create(&shop, "things");
    }
    db.close().unwrap();
    drop(db);
    let db = on(&disk.crash(CrashMode::Process));
    let every = db.every_database();
    assert_eq!(every.len(), 1_002);
    let with: Vec<_> = every
        .iter()
        .filter(|(_, one)| collections(one) == ["things"])
        .collect();
    assert_eq!(with.len(), 1_000);
}
