//! Unique indexes that come and go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use velocitydb::query::{Filter, Find, Hint};
use velocitydb::{
    Batch, Call, Clock, Database, Definition, Expiry, Field, FieldType, IndexDefinition,
    ManualClock, Openness, Options, Path, Schema, Timestamp, Update, Value,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{SECOND, code, create, done, in_memory, on, still};

fn unique(name: &str, fields: &[&str]) -> IndexDefinition {
    IndexDefinition::unique(
        name,
        fields
            .iter()
            .map(|path| path.parse::<Path>().unwrap())
            .collect(),
    )
}

#[test]
fn an_index_over_documents_that_are_there_is_kept_from_then_on() {
    let db = in_memory();
    let people = create(&db, "people");
    for (id, name) in [(1, "x"), (2, "y")] {
        people.insert_with_id(id, [("name", name.into())]).unwrap();
    }
    people.create_index(unique("by_name", &["name"])).unwrap();
    assert_eq!(people.definition().unwrap().indexes.len(), 1);
    assert_eq!(
        code(people.insert_with_id(3, [("name", "x".into())])),
        "unique_violation"
    );
    assert_eq!(
        code(people.create_index(unique("by_name", &["other"]))),
        "index_exists"
    );
    assert_eq!(
        code(people.create_index(unique("_b", &["other"]))),
        "invalid_definition"
    );
    assert_eq!(
        code(people.create_index(unique("b", &[]))),
        "invalid_definition"
    );
    assert_eq!(code(people.drop_index("none")), "unknown_index");
    people.drop_index("by_name").unwrap();
    people.insert_with_id(3, [("name", "x".into())]).unwrap();
    assert!(people.definition().unwrap().indexes.is_empty());
}

#[test]
fn an_index_over_duplicates_is_refused_and_names_both() {
    let db = in_memory();
    let people = create(&db, "people");
    for (id, name) in [("ada", "x"), ("bob", "y"), ("cyd", "x")] {
        people.insert_with_id(id, [("name", name.into())]).unwrap();
    }
    let digest = db.digest();
    let error = people
        .create_index(unique("by_name", &["name"]))
        .unwrap_err();
    assert_eq!(error.code().0, "unique_violation");
    let text = error.to_string();
    assert!(
        text.contains("ada") && text.contains("cyd") && text.contains("name"),
        "{text}"
    );
    assert_eq!(db.digest(), digest);
    assert!(people.definition().unwrap().indexes.is_empty());
    people
        .insert_with_id("dan", [("name", "y".into())])
        .unwrap();
    people.delete("cyd").unwrap();
    people.delete("dan").unwrap();
    people.create_index(unique("by_name", &["name"])).unwrap();
}

#[test]
fn an_index_over_several_nested_fields_counts_them_together() {
    let db = in_memory();
    let rooms = create(&db, "rooms");
    rooms
        .create_index(unique("place", &["at.house", "at.number"]))
        .unwrap();
    let at = |house: &str, number: i64| {
        Update::new()
            .set("at.house", house)
            .set("at.number", number)
    };
    for id in 1..=4 {
        rooms.insert_with_id(id, []).unwrap();
    }
    rooms.update(1, at("a", 1)).unwrap();
    rooms.update(2, at("a", 2)).unwrap();
    rooms.update(3, at("b", 1)).unwrap();
    assert_eq!(code(rooms.update(4, at("a", 2))), "unique_violation");
    // One part alone is not in the index.
    rooms.update(4, Update::new().set("at.house", "a")).unwrap();
    rooms
        .update(3, Update::new().unset("at.number").set("at.house", "a"))
        .unwrap();
}

#[test]
fn values_that_compare_equal_are_the_same_value() {
    let db = in_memory();
    let rows = create(&db, "rows");
    rows.create_index(unique("n", &["n"])).unwrap();
    rows.insert_with_id(1, [("n", 1.into())]).unwrap();
    assert_eq!(
        code(rows.insert_with_id(2, [("n", 1.0.into())])),
        "unique_violation"
    );
    rows.insert_with_id(3, [("n", "1".into())]).unwrap();
    rows.insert_with_id(4, [("n", 0.0.into())]).unwrap();
    assert_eq!(
        code(rows.insert_with_id(5, [("n", (-0.0).into())])),
        "unique_violation"
    );
}

fn declared(db: &Database) {
    let name = Field::new("name", FieldType::String).unique();
    let schema = Schema::new(Openness::Open, vec![name]).unwrap();
    done(db.create_collection(Definition::new("people").schema(schema)));
}

#[test]
fn dropping_a_second_index_over_a_unique_field_leaves_the_field_unique() {
    let disk = SimDisk::new(3);
    let db = on(&disk);
    declared(&db);
    let people = db.collection("people").unwrap();
    people.insert_with_id(1, [("name", "x".into())]).unwrap();
    people.create_index(unique("again", &["name"])).unwrap();
    people.drop_index("again").unwrap();
    assert_eq!(
        code(people.insert_with_id(2, [("name", "x".into())])),
        "unique_violation"
    );
    db.checkpoint().unwrap();
    let db = on(&disk.crash(CrashMode::Process));
    let people = db.collection("people").unwrap();
    assert_eq!(
        code(people.insert_with_id(2, [("name", "x".into())])),
        "unique_violation"
    );
}

#[test]
fn an_index_survives_a_truncate_and_is_empty_after_it() {
    let db = in_memory();
    declared(&db);
    let people = db.collection("people").unwrap();
    people.create_index(unique("by_mail", &["mail"])).unwrap();
    let insert = |id: i64| people.insert_with_id(id, [("name", "x".into()), ("mail", "m".into())]);
    insert(1).unwrap();
    people.truncate().unwrap();
    insert(2).unwrap();
    assert_eq!(code(insert(3)), "unique_violation");
    people.drop_index("by_mail").unwrap();
    assert_eq!(code(insert(3)), "unique_violation");
    people.update(2, Update::new().unset("name")).unwrap();
    insert(3).unwrap();
}

#[test]
fn an_index_is_made_while_writers_run() {
    let db = in_memory();
    let people = create(&db, "people");
    std::thread::scope(|scope| {
        for thread in 0..4_i64 {
            let people = people.clone();
            scope.spawn(move || {
                for n in 0..500 {
                    people.insert([("n", (thread * 1000 + n).into())]).unwrap();
                }
            });
        }
        for turn in 0..20 {
            people.create_index(unique("n", &["n"])).unwrap();
            if turn < 19 {
                people.drop_index("n").unwrap();
            }
        }
    });
    assert_eq!(people.count().unwrap(), 2000);
    let twice = (0..2000).map(|n| n / 500 * 1000 + n % 500);
    let batch = twice.fold(Batch::each(), |batch, n: i64| {
        batch.insert("people", [("n", n.into())])
    });
    assert!(
        done(db.batch(batch)).iter().all(|answer| answer.is_err()),
        "all are in the index"
    );
}

#[test]
fn an_index_is_rebuilt_while_writers_run() {
    let db = in_memory();
    let people = create(&db, "people");
    let path = || "n".parse::<Path>().unwrap();
    let indexes = [
        unique("unique", &["n"]),
        IndexDefinition::hash("hash", [path()]),
        IndexDefinition::btree("btree", [path()]),
    ];
    for index in &indexes {
        people.create_index(index.clone()).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..2_i64 {
            let people = people.clone();
            scope.spawn(move || {
                for n in (0..2000).map(|n| thread * 10_000 + n) {
                    people.insert_with_id(n, [("n", n.into())]).unwrap();
                    assert_eq!(code(people.insert([("n", n.into())])), "unique_violation");
                    match n % 4 {
                        0 => drop(people.delete(n).unwrap()),
                        1 => drop(people.update(n, Update::new().set("n", -1 - n)).unwrap()),
                        _ => {}
                    }
                }
            });
        }
        for turn in 0..60 {
            let index = &indexes[turn % 3];
            people.rebuild_index(&index.name).unwrap();
        }
    });
    let all = people.view().unwrap();
    let ids = |find: Find| -> Vec<String> {
        let mut ids: Vec<_> = all
            .find(&find)
            .unwrap()
            .iter()
            .map(|one| one.id().to_string())
            .collect();
        ids.sort();
        ids
    };
    let every = Find::new(Filter::from_json(r#"{"n":{"$gt":-100000}}"#).unwrap());
    let expected = ids(every.clone().hint(Hint::Scan));
    assert_eq!(ids(every.hint(Hint::Index("btree".into()))), expected);
    for document in all.find(&Find::default()).unwrap() {
        let find = Find::new(Filter::eq("n", document.get("n").unwrap().to_value()));
        for index in ["unique", "hash"] {
            let found = ids(find.clone().hint(Hint::Index(index.into())));
            assert_eq!(found, [document.id().to_string()], "by {index}");
        }
    }
    assert_eq!(people.indexes().unwrap().len(), 3);
    assert_eq!(code(people.rebuild_index("none")), "unknown_index");
}

/// An index that has held more than it does now is small again.
#[test]
fn rebuilding_an_index_gives_memory_back() {
    let db = in_memory();
    let people = create(&db, "people");
    people.create_index(unique("n", &["n"])).unwrap();
    for n in 0..5000_i64 {
        people.insert_with_id(n, [("n", n.into())]).unwrap();
    }
    for n in (0..5000_i64).filter(|n| n % 50 != 0) {
        people.delete(n).unwrap();
    }
    let bytes = || people.indexes().unwrap()[0].1.bytes;
    let before = bytes();
    people.rebuild_index("n").unwrap();
    assert!(bytes() * 3 < before, "{before} and now {}", bytes());
}

/// The definitions of the page on indexes are made, together, over documents that fit them.
#[test]
fn the_examples_of_the_page_are_indexes() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let page = std::fs::read_to_string(format!("{root}/../../docs/reference/indexes.md")).unwrap();
    let db = Database::open(velocitydb::Options::in_memory()).unwrap();
    let collection = db.create_collection(Definition::new("c")).unwrap().value;
    let mut count = 0;
    for block in page.split("```json\n").skip(1) {
        let (text, _) = block.split_once("```").unwrap();
        let index: IndexDefinition = serde_json::from_str(text).unwrap();
        collection.create_index(index.clone()).unwrap();
        assert_eq!(
            collection.definition().unwrap().indexes.last(),
            Some(&index)
        );
        count += 1;
    }
    assert_eq!((count, collection.indexes().unwrap().len()), (10, 10));
}

#[test]
fn a_document_is_read_by_its_values_in_a_unique_index() {
    let db = in_memory();
    let people = create(&db, "people");
    people
        .create_index(unique("by_name", &["first", "last"]))
        .unwrap();
    people.create_index(unique("by_n", &["n"])).unwrap();
    let path = || "n".parse::<Path>().unwrap();
    people
        .create_index(IndexDefinition::btree("plain", [path()]))
        .unwrap();
    let ada = [
        ("first", "ada".into()),
        ("last", "x".into()),
        ("n", 7.into()),
    ];
    people.insert_with_id(1, ada).unwrap();
    people
        .insert_with_id(2, [("first", "bob".into()), ("n", Value::Null)])
        .unwrap();
    let read = |index: &str, values: &[Value]| {
        let found = people.get_by_unique(index, values);
        found.map(|found| found.map(|found| found.id().to_string()))
    };
    let one = Some("1".to_owned());
    assert_eq!(read("by_name", &["ada".into(), "x".into()]).unwrap(), one);
    assert_eq!(read("by_n", &[7.into()]).unwrap(), one);
    for (index, values) in [
        ("by_name", vec!["ada".into(), "y".into()]),
        ("by_n", vec!["7".into()]),
        ("by_n", vec![Value::Null]),
    ] {
        assert_eq!(read(index, &values).unwrap(), None, "{index} {values:?}");
    }
    for (index, values) in [
        ("by_name", vec!["ada".into()]),
        ("plain", vec![7.into()]),
        ("none", vec![7.into()]),
    ] {
        assert_eq!(code(read(index, &values)), "unknown_index", "{index}");
    }
    people.delete(1).unwrap();
    assert_eq!(read("by_n", &[7.into()]).unwrap(), None);
}

/// Two documents change names all the time, so that both names are somebody's at each moment.
#[test]
fn a_name_that_goes_from_one_document_to_another_is_always_found() {
    let db = in_memory();
    let people = create(&db, "people");
    for index in [
        unique("by_name", &["name"]),
        IndexDefinition::btree("ordered", ["name".parse::<Path>().unwrap()]).and_unique(),
    ] {
        people.create_index(index).unwrap();
    }
    for (id, name) in [(1, "x"), (2, "y")] {
        people.insert_with_id(id, [("name", name.into())]).unwrap();
    }
    let running = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..5_000 {
                let (one, other) = if turn % 2 == 0 {
                    ("y", "x")
                } else {
                    ("x", "y")
                };
                let name = |name| Update::new().set("name", name);
                let swap = Batch::atomic().update("people", 1, name(one));
                done(db.batch(swap.update("people", 2, name(other))));
            }
            running.store(false, std::sync::atomic::Ordering::Relaxed);
        });
        while running.load(std::sync::atomic::Ordering::Relaxed) {
            for index in ["by_name", "ordered"] {
                let found = people.get_by_unique(index, &["x".into()]).unwrap();
                assert!(found.is_some(), "{index}");
            }
        }
    });
}

/// A clock that does something the next time that it is asked.
#[derive(Default)]
struct BusyClock(ManualClock, Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl std::fmt::Debug for BusyClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Clock for BusyClock {
    fn now(&self) -> Timestamp {
        let deed = self.1.lock().unwrap().take();
        deed.into_iter().for_each(|deed| deed());
        self.0.now()
    }
}

/// In the middle of a read, which asks the clock whether the first of two documents has expired, the
/// index is rebuilt and the name goes from the second to a third, which only the new index has.
#[test]
fn a_name_is_found_while_its_index_is_rebuilt() {
    let clock = Arc::new(BusyClock::default());
    let options = still(Options::in_memory()).clock(clock.clone());
    let db = Database::open(options).unwrap();
    let people = create(&db, "people");
    let name = || "name".parse::<Path>().unwrap();
    let index = IndexDefinition::btree("by_name", [name()]).and_unique();
    people.create_index(index).unwrap();
    let ann = || [("name", "ann".into())];
    let brief = Call::new().expires(Expiry::In(Duration::from_secs(1)));
    people.with(brief).insert_with_id(1, ann()).unwrap();
    clock.0.advance(2 * SECOND);
    people.insert_with_id(2, ann()).unwrap();
    let (other, moved) = (db.clone(), people.clone());
    *clock.1.lock().unwrap() = Some(Box::new(move || {
        moved.rebuild_index("by_name").unwrap();
        let swap = Batch::atomic().delete("people", 2);
        done(other.batch(swap.insert_with_id("people", 3, [("name", "ann".into())])));
    }));
    let found = people.get_by_unique("by_name", &["ann".into()]).unwrap();
    assert!(clock.1.lock().unwrap().is_none());
    assert_eq!(found.map(|found| found.id().to_string()), Some("3".into()));
}

/// An index of what is computed of documents, from whichever door they come.
#[test]
fn an_index_of_an_expression_is_kept_and_found_again() {
    let of_names: IndexDefinition = serde_json::from_str(
        r#"{"name": "by_name", "kind": "btree", "fields": [{"expression": "lower(name)"}],
            "unique": true}"#,
    )
    .unwrap();
    let of_sizes =
        r#"{"name": "by_size", "kind": "btree", "fields": [{"expression": "int4(size)"}]}"#;
    let disk = SimDisk::new(3);
    let db = on(&disk);
    done(db.create_collection(Definition::new("people")));
    let people = db.collection("people").unwrap();
    people
        .insert_with_id(1, [("name", "Ada".into()), ("size", "170".into())])
        .unwrap();
    people.create_index(of_names).unwrap();
    people
        .create_index(serde_json::from_str(of_sizes).unwrap())
        .unwrap();
    let put = |people: &velocitydb::Collection, id: i64, name: &str, size: Value| {
        let inserted = people.insert_with_id(id, [("name", name.into()), ("size", size)]);
        inserted.map(drop)
    };
    assert_eq!(
        code(put(&people, 2, "ADA", Value::Null)),
        "unique_violation"
    );
    let error = put(&people, 2, "Bob", "tall".into()).unwrap_err();
    assert_eq!(error.code().0, "no_index_value");
    let told =
        "the index \"by_size\" is of int4(size): invalid input syntax for type integer: \"tall\"";
    assert!(error.to_string().contains(told), "{error}");
    assert_eq!(code(put(&people, 2, "Bob", true.into())), "no_index_value");
    put(&people, 2, "Bob", 180.into()).unwrap();
    // Over documents that are there it is made when it has a value for each.
    let wrong = r#"{"name": "wrong", "kind": "btree", "fields": [{"expression": "lower(size)"}]}"#;
    let error = people
        .create_index(serde_json::from_str(wrong).unwrap())
        .unwrap_err();
    assert_eq!(error.code().0, "no_index_value");
    assert!(error.to_string().contains("the document 2"), "{error}");
    drop((people, db));

    let db = on(&disk.crash(CrashMode::Process));
    let people = db.collection("people").unwrap();
    assert_eq!(
        code(put(&people, 3, "bOB", Value::Null)),
        "unique_violation"
    );
    let found = people
        .get_by_unique("by_name", &["bob".into()])
        .unwrap()
        .unwrap();
    assert_eq!(found.id().to_string(), "2");
}
