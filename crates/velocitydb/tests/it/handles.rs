//! Handles: to collections that change under them, to a directory that has one owner, to a
//! database that was closed.

use std::thread;

use velocitydb::{Call, Collection, Database, Definition, Options, Update};

use crate::support::{code, create, done, in_memory, on, read, still};

#[test]
fn a_handle_survives_a_truncate_and_a_new_collection_of_the_same_name() {
    survives_a_truncate_and_a_new_collection(|_, first| first.clone());
}

#[test]
fn a_handle_for_a_call_survives_them_too() {
    survives_a_truncate_and_a_new_collection(|db, _| {
        db.collection_with("notes", Call::new()).unwrap()
    });
}

fn survives_a_truncate_and_a_new_collection(
    another: impl FnOnce(&Database, &Collection) -> Collection,
) {
    let db = in_memory();
    let other = create(&db, "notes");
    let notes = another(&db, &other);
    notes.insert_with_id("a", [("n", 1.into())]).unwrap();
    other.truncate().unwrap();
    assert_eq!((read(&notes, "a"), notes.count().unwrap()), (None, 0));
    assert_eq!(
        notes
            .insert_with_id("a", [("n", 2.into())])
            .unwrap()
            .value
            .version,
        1
    );
    assert_eq!(read(&other, "a").unwrap(), r#"{"n":2}"#);
    db.drop_collection("notes").unwrap();
    assert_eq!(code(notes.get("a")), "unknown_collection");
    assert_eq!(code(notes.insert([])), "unknown_collection");
    assert_eq!(code(notes.count()), "unknown_collection");
    assert_eq!(code(db.collection("notes")), "unknown_collection");
    done(db.create_collection(Definition::new("notes").primary_key("k")));
    assert_eq!(read(&notes, "a"), None, "nothing of the old one");
    notes.insert([("k", "a".into())]).unwrap();
    assert_eq!(read(&other, "a").unwrap(), r#"{"k":"a"}"#);
    assert_eq!(notes.definition().unwrap().primary_key, Some("k".into()));
    assert_eq!(notes.stats().unwrap().documents, 1);
}

#[test]
fn writers_never_notice_a_truncate_or_a_new_collection() {
    let db = in_memory();
    let notes = create(&db, "notes");
    thread::scope(|scope| {
        for thread in 0..4_i64 {
            let notes = notes.clone();
            scope.spawn(move || {
                for n in 0..400 {
                    let id = thread * 1000 + n;
                    // Between a drop and the next create there is no collection; nothing else
                    // may go wrong.
                    if let Err(error) = notes.insert_with_id(id, [("n", n.into())]) {
                        assert_eq!(error.to_string(), "there is no collection \"notes\"");
                    }
                }
            });
        }
        for turn in 0..60 {
            if turn % 2 == 0 {
                notes.truncate().unwrap();
            } else {
                db.drop_collection("notes").unwrap();
                create(&db, "notes");
            }
        }
    });
    notes.truncate().unwrap();
    assert_eq!(notes.count().unwrap(), 0);
}

#[test]
fn a_directory_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Database::open(still(Options::at(dir.path())));
    let db = open().unwrap();
    create(&db, "notes")
        .insert_with_id(1, [("n", 1.into())])
        .unwrap();
    let error = open().unwrap_err();
    assert_eq!(error.code().0, "in_use");
    let text = error.to_string();
    assert!(
        text.contains(&dir.path().display().to_string()) && text.contains("in use"),
        "{text}"
    );
    // A second handle to the same database is a clone, and the last one closes it.
    let clone = db.clone();
    drop(db);
    assert_eq!(code(open()), "in_use");
    drop(clone);
    let db = open().unwrap();
    assert_eq!(db.collection("notes").unwrap().count().unwrap(), 1);
    // A closed database reads on, and lets go of the directory with its last handle.
    db.close().unwrap();
    assert_eq!(code(open()), "in_use");
    let notes = db.collection("notes").unwrap();
    drop(db);
    assert_eq!((notes.count().unwrap(), code(open())), (1, "in_use"));
    drop(notes);
    open().unwrap();
}

#[test]
fn a_closed_database_reads_and_refuses_writes() {
    let disk = velocitydb_sim::SimDisk::new(5);
    for db in [in_memory(), on(&disk)] {
        let notes = create(&db, "notes");
        notes.insert_with_id("a", [("n", 1.into())]).unwrap();
        let mut transaction = db.begin(Default::default());
        transaction
            .update("notes", "a", Update::new().set("n", 2))
            .unwrap();
        assert!(db.health().writes.is_ok());
        db.close().unwrap();
        let error = notes.insert([]).unwrap_err();
        assert_eq!(error.code().0, "closed");
        assert_eq!(
            error.to_string(),
            "the database is closed: it was closed by its owner"
        );
        assert_eq!(code(transaction.commit()), "closed");
        assert_eq!(code(db.create_collection(Definition::new("x"))), "closed");
        assert_eq!(db.health().writes.unwrap_err(), error.to_string());
        assert_eq!(read(&notes, "a").unwrap(), r#"{"n":1}"#);
        let view = db.snapshot().collection("notes").unwrap();
        assert_eq!((view.count().unwrap(), notes.count().unwrap()), (1, 1));
        // Background work and a second close find nothing to do, and say nothing wrong.
        db.tend().unwrap();
        db.close().unwrap();
    }
    assert_eq!(
        read(&on(&disk).collection("notes").unwrap(), "a").unwrap(),
        r#"{"n":1}"#
    );
}
