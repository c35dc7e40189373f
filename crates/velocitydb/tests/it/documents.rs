//! Single documents: their life, ids, metadata, nested fields, counters.

use std::sync::Barrier;
use std::thread;

use velocitydb::{Call, Definition, Effect, Error, Key, Update, Uuid, Value};

use crate::support::{code, create, done, in_memory, json, number, read, text};

#[test]
fn a_read_by_the_name_of_the_collection_says_of_which_index_it_is() {
    let db = in_memory();
    let people = create(&db, "people");
    let ada = Key::from_value(&"ada".into()).unwrap();
    let read = |name: &str, call: &Call| db.read::<Error>(name, call, |_| Ok(ada.clone()));
    let created = read("people", &Call::new()).unwrap();
    assert_eq!((&created.key, created.document.is_some()), (&ada, false));
    let inserted = people
        .insert_with_id("ada", [("born", 1815.into())])
        .unwrap();
    people.insert_with_id("bob", []).unwrap();
    let found = read("people", &Call::new()).unwrap();
    assert_eq!(
        found.index,
        inserted.index + 1,
        "the newest state, not the document's"
    );
    assert_eq!(text(&found.document.unwrap()), r#"{"born":1815}"#);
    assert!(created.index < inserted.index);
    let nobody = read("nobody", &Call::new()).unwrap_err();
    assert_eq!(nobody.code().0, "unknown_collection");
    let late = read("people", &Call::new().deadline(db.now())).unwrap_err();
    assert_eq!(late.code().0, "deadline_exceeded");
}

#[test]
fn a_handle_for_a_call_asks_for_what_the_call_says() {
    let db = in_memory();
    create(&db, "people");
    let people = |call| db.collection_with("people", call).unwrap();
    let inserted = people(Call::new()).insert_returning([("born", 1815.into())]);
    let (id, outcome) = inserted.unwrap().value;
    let document = outcome.document.unwrap();
    assert_eq!(
        (document.id(), text(&document)),
        (id, r#"{"born":1815}"#.to_owned())
    );
    let late = people(Call::new().deadline(db.now()));
    assert_eq!(code(late.get_by_key(&document.id())), "deadline_exceeded");
    assert_eq!(code(late.insert([])), "deadline_exceeded");
    let nobody = db.collection_with("nobody", Call::new());
    assert_eq!(code(nobody), "unknown_collection");
}

#[test]
fn a_document_lives_as_long_as_nobody_deletes_it() {
    let db = in_memory();
    let people = create(&db, "people");
    let inserted = people
        .insert_with_id("ada", [("born", 1815.into())])
        .unwrap();
    assert_eq!(
        (inserted.value.effect, inserted.value.version),
        (Effect::Inserted, 1)
    );
    assert_eq!(read(&people, "ada").unwrap(), r#"{"born":1815}"#);
    assert_eq!(code(people.insert_with_id("ada", [])), "already_exists");
    let replaced = done(people.replace("ada", [("died", 1852.into())]));
    assert_eq!((replaced.effect, replaced.version), (Effect::Updated, 2));
    assert_eq!(
        read(&people, "ada").unwrap(),
        r#"{"died":1852}"#,
        "no field stays"
    );
    let updated = done(people.update("ada", Update::new().set("born", 1815)));
    assert_eq!(
        text(&updated.document.unwrap()),
        r#"{"born":1815,"died":1852}"#
    );
    let upserted = done(people.upsert("ada", [("x", 1.into())]));
    assert_eq!((upserted.effect, upserted.version), (Effect::Updated, 4));
    let deleted = people.delete("ada").unwrap();
    assert_eq!(
        (deleted.value.effect, deleted.value.version),
        (Effect::Deleted, 4)
    );
    assert_eq!(
        text(&deleted.value.document.unwrap()),
        r#"{"x":1}"#,
        "its last state"
    );
    assert_eq!(
        deleted.index,
        inserted.index + 4,
        "one entry each, refusals none"
    );
    assert_eq!(read(&people, "ada"), None);
    for gone in [
        people.replace("ada", []),
        people.update("ada", Update::new()),
        people.delete("ada"),
    ] {
        assert_eq!(code(gone), "not_found");
    }
    let again = done(people.upsert("ada", [("y", 2.into())]));
    assert_eq!(
        (again.effect, again.version),
        (Effect::Inserted, 1),
        "versions begin anew"
    );
}

#[test]
fn a_refusal_leaves_no_trace() {
    let db = in_memory();
    let people = create(&db, "people");
    people
        .insert_with_id("ada", [("born", 1815.into())])
        .unwrap();
    let (digest, index) = (db.digest(), db.stats().visible_index);
    assert_eq!(code(people.insert_with_id("ada", [])), "already_exists");
    assert_eq!(code(people.delete("bob")), "not_found");
    assert_eq!(
        code(people.update("ada", Update::new().add("name.first", "x"))),
        "invalid_update"
    );
    assert_eq!(
        code(people.update("ada", Update::new().push("born", 1))),
        "invalid_update"
    );
    assert_eq!(
        code(people.update("ada", Update::new().set("born.year", 1))),
        "invalid_update"
    );
    assert_eq!((db.digest(), db.stats().visible_index), (digest, index));
    assert_eq!(db.stats().refusals, 5);
}

#[test]
fn metadata_says_when_and_how_often() {
    let db = in_memory();
    let notes = create(&db, "notes");
    let first = notes.insert_with_id(1, [("n", 1.into())]).unwrap();
    let second = notes.update(1, Update::new().set("n", 2)).unwrap();
    let meta = notes.get(1).unwrap().unwrap().meta();
    assert_eq!((meta.version, meta.index), (2, second.index));
    assert_eq!(
        (meta.created_at, meta.updated_at),
        (first.time, second.time)
    );
    assert!(first.time < second.time, "log time never stands still");
    db.wait_for(second.index).unwrap();
}

#[test]
fn ids_are_given_or_new_and_sort_by_time() {
    let db = in_memory();
    let notes = create(&db, "notes");
    let mut made: Vec<Key> = Vec::new();
    for n in 0..20 {
        made.push(notes.insert([("n", n.into())]).unwrap().value);
    }
    for (n, id) in made.iter().enumerate() {
        let [Value::Uuid(uuid)] = id.decode().unwrap()[..] else {
            panic!("{id}")
        };
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(number(&notes.get(id).unwrap().unwrap(), "n"), n as i64);
    }
    made.dedup();
    assert_eq!(made.len(), 20);
    // Numbers are one id by value, and another one than their text.
    notes
        .insert_with_id(7, [("kind", "number".into())])
        .unwrap();
    notes
        .insert_with_id("7", [("kind", "text".into())])
        .unwrap();
    notes
        .insert_with_id(Uuid::max(), [("kind", "uuid".into())])
        .unwrap();
    assert_eq!(
        text(&notes.get(Value::Float(7.0)).unwrap().unwrap()),
        r#"{"kind":"number"}"#
    );
    assert_eq!(
        text(&notes.get("7").unwrap().unwrap()),
        r#"{"kind":"text"}"#
    );
    assert_eq!(
        text(&notes.get(Uuid::max()).unwrap().unwrap()),
        r#"{"kind":"uuid"}"#
    );
    for bad in [Value::Null, Value::Float(f64::NAN), Value::Array(vec![])] {
        assert_eq!(
            code(notes.insert_with_id(bad.clone(), [])),
            "invalid_request"
        );
        assert_eq!(code(notes.get(bad)), "invalid_request");
    }
}

#[test]
fn a_primary_key_field_is_the_id() {
    let db = in_memory();
    let users = db
        .create_collection(Definition::new("users").primary_key("email"))
        .unwrap()
        .value;
    let id = done(users.insert([("email", "a@x".into()), ("n", 1.into())]));
    assert_eq!(id.to_string(), "a@x");
    assert_eq!(
        code(users.insert([("email", "a@x".into())])),
        "already_exists"
    );
    assert_eq!(code(users.insert([("n", 1.into())])), "invalid_request");
    assert_eq!(
        code(users.insert_with_id("b@x", [("email", "c@x".into())])),
        "invalid_request"
    );
    let moved = users.update("a@x", Update::new().set("email", "b@x"));
    assert_eq!(code(moved), "primary_key_changed");
    assert_eq!(
        code(users.update("a@x", Update::new().unset("email"))),
        "invalid_definition"
    );
    assert_eq!(
        code(users.replace("a@x", [("email", "b@x".into())])),
        "invalid_request"
    );
    users.update("a@x", Update::new().set("n", 2)).unwrap();
    assert_eq!(read(&users, "a@x").unwrap(), r#"{"email":"a@x","n":2}"#);
}

#[test]
fn nested_fields_are_reached_by_paths() {
    let db = in_memory();
    let notes = create(&db, "notes");
    notes
        .insert_with_id("a", json(r#"{"tags":["x"],"at":{"x":1}}"#))
        .unwrap();
    let update = Update::new()
        .set("at.y", 2)
        .set("made.on.the.way", true)
        .push("tags", "y")
        .set("tags.0", "z")
        .add("at.x", 0.5)
        .unset("at.none");
    notes.update("a", update).unwrap();
    assert_eq!(
        read(&notes, "a").unwrap(),
        r#"{"at":{"x":1.5,"y":2},"made":{"on":{"the":{"way":true}}},"tags":["z","y"]}"#
    );
    let patch = Value::from_json(r#"{"at":{"x":null,"z":3},"tags":null}"#).unwrap();
    notes.update("a", Update::merge(&patch)).unwrap();
    assert_eq!(
        read(&notes, "a").unwrap(),
        r#"{"at":{"y":2,"z":3},"made":{"on":{"the":{"way":true}}}}"#
    );
    assert_eq!(
        code(notes.update("a", Update::new().set("a..b", 1))),
        "invalid_request"
    );
    assert_eq!(
        code(notes.update("a", Update::merge(&Value::Int(1)))),
        "invalid_request"
    );
}

#[test]
fn a_counter_counts_under_contention() {
    const THREADS: i64 = 8;
    const EACH: i64 = 500;
    let db = in_memory();
    let counters = create(&db, "counters");
    counters.insert_with_id("hits", []).unwrap();
    let start = Barrier::new(THREADS as usize);
    let mut seen: Vec<i64> = thread::scope(|scope| {
        let count = || {
            start.wait();
            let hit = |_| done(counters.increment("hits", "n", 1)).as_int().unwrap();
            (0..EACH).map(hit).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(count)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    seen.sort_unstable();
    assert!(
        seen.into_iter().eq(1..=THREADS * EACH),
        "each number was answered once"
    );
    let document = counters.get("hits").unwrap().unwrap();
    assert_eq!(number(&document, "n"), THREADS * EACH);
    assert_eq!(document.meta().version, (THREADS * EACH + 1) as u64);
}

#[test]
fn a_counter_that_would_overflow_is_refused() {
    let db = in_memory();
    let counters = create(&db, "counters");
    counters
        .insert_with_id("big", [("n", i64::MAX.into())])
        .unwrap();
    assert_eq!(code(counters.increment("big", "n", 1)), "invalid_update");
    assert_eq!(code(counters.increment("none", "n", 1)), "not_found");
    assert_eq!(
        number(&counters.get("big").unwrap().unwrap(), "n"),
        i64::MAX
    );
}

#[test]
fn a_document_may_be_as_large_as_the_limit_and_no_larger() {
    let db = in_memory();
    let blobs = create(&db, "blobs");
    let bytes = |len: usize| [("b", Value::Bytes(vec![7; len]))];
    blobs
        .insert_with_id("most", bytes((16 << 20) - 100))
        .unwrap();
    let over = blobs
        .insert_with_id("more", bytes((16 << 20) + 1))
        .unwrap_err();
    assert!(blobs.get("more").unwrap().is_none(), "{over}");
    let push = Update::new().set("c", vec![7_u8; 200]);
    assert!(blobs.update("most", push).is_err());
    assert_eq!(blobs.get("most").unwrap().unwrap().meta().version, 1);
}
