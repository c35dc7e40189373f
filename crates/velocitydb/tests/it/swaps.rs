//! Compare-and-swap: what it expects, what a refusal tells, and that there is one winner.

use std::sync::Barrier;
use std::thread;

use velocitydb::{
    Batch, Definition, Expected, Field, FieldType, Isolation, Schema, Swap, Update, Value,
};

use crate::support::{code, create, done, in_memory, json, number, read, text, value};

fn won(swap: Swap) -> String {
    match swap {
        Swap::Won(document) => text(&document),
        Swap::Refused { reason, .. } => panic!("{reason}"),
    }
}

fn refused(swap: Swap) -> (String, String) {
    match swap {
        Swap::Won(document) => panic!("won: {}", text(&document)),
        Swap::Refused { current, reason } => (text(&current), reason),
    }
}

#[test]
fn a_version_is_expected() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    tasks.insert_with_id("t", [("n", 1.into())]).unwrap();
    let set = |n: i64| Update::new().set("n", n);
    let swap = |version, n| tasks.compare_and_swap("t", &Expected::Version(version), set(n));
    assert_eq!(won(done(swap(1, 2))), r#"{"n":2}"#);
    let lost = swap(1, 3).unwrap();
    assert_eq!(lost.index, tasks.get("t").unwrap().unwrap().meta().index);
    let (current, reason) = refused(lost.value);
    assert_eq!(current, r#"{"n":2}"#);
    assert_eq!(reason, "expected version 1, the document has 2");
    assert_eq!(
        code(tasks.compare_and_swap("u", &Expected::Version(1), set(1))),
        "not_found"
    );
}

#[test]
fn fields_are_expected_and_null_is_met_by_nothing() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    tasks
        .insert_with_id("t", json(r#"{"state":"waiting","by":{"id":7}}"#))
        .unwrap();
    let claim = Update::new().set("state", "running");
    let expected = |fields: &[(&str, Value)]| {
        Expected::Fields(
            fields
                .iter()
                .map(|(path, v)| (path.to_string(), v.clone()))
                .collect(),
        )
    };
    for (wrong, found) in [
        (
            expected(&[("state", "done".into())]),
            r#"expected state = "done", found "waiting""#,
        ),
        (
            expected(&[("state", "waiting".into()), ("by.id", 8.into())]),
            "expected by.id = 8, found 7",
        ),
        (
            expected(&[("owner", 1.into())]),
            "expected owner = 1, found nothing",
        ),
        (
            expected(&[("state", Value::Null)]),
            r#"expected state = null, found "waiting""#,
        ),
    ] {
        let (current, reason) = refused(done(tasks.compare_and_swap("t", &wrong, claim.clone())));
        assert_eq!(
            (current, reason.as_str()),
            (read(&tasks, "t").unwrap(), found)
        );
    }
    let right = expected(&[
        ("state", "waiting".into()),
        ("by.id", 7.0.into()),
        ("owner", Value::Null),
    ]);
    let swapped = won(done(tasks.compare_and_swap("t", &right, claim.clone())));
    assert_eq!(swapped, r#"{"by":{"id":7},"state":"running"}"#);
    let bad = expected(&[("a..b", 1.into())]);
    assert_eq!(
        code(tasks.compare_and_swap("t", &bad, claim)),
        "invalid_request"
    );
}

/// What a document shows of its declared fields may be expected of it, at every door.
#[test]
fn declared_fields_are_expected_as_they_are_written() {
    let db = in_memory();
    let kinds = [
        ("at", FieldType::Time),
        ("day", FieldType::Date),
        ("owner", FieldType::Uuid),
        ("place", FieldType::Point),
        ("price", FieldType::Decimal),
        ("raw", FieldType::Bytes),
        ("weight", FieldType::Float),
    ];
    let fields = kinds.map(|(name, kind)| Field::new(name, kind)).into();
    let schema = Schema::new(Default::default(), fields).unwrap();
    let definition = Definition::new("t").schema(schema);
    let things = done(db.create_collection(definition));
    let written = r#"{"at":"2026-11-30T11:00:00Z","day":"2026-11-30","n":0,
        "owner":"0191e0a4-7b7c-7000-8000-000000000001","raw":"AP8=",
        "place":{"type":"Point","coordinates":[22,65.5]},"price":"1.50","weight":3}"#;
    things.insert_with_id("a", json(written)).unwrap();
    let Value::Map(fields) = Value::from_json(written).unwrap() else {
        panic!("an object")
    };
    let claim = || Update::new().add("n", 1);
    for (name, _) in kinds {
        let expected = Expected::field(name, fields[name].clone());
        won(done(things.compare_and_swap("a", &expected, claim())));
        let batch = Batch::atomic()
            .update_if("t", "a", &expected, claim())
            .unwrap();
        assert!(done(db.batch(batch))[0].is_ok(), "{name}");
        let mut transaction = db.begin(Isolation::Snapshot);
        transaction.update_if("t", "a", &expected, claim()).unwrap();
        transaction.commit().unwrap();
        let wrong = Expected::field(name, "2026-12-01");
        refused(done(things.compare_and_swap("a", &wrong, claim())));
    }
    let found = things.get("a").unwrap().unwrap();
    assert_eq!(number(&found, "n"), 3 * kinds.len() as i64);
}

#[test]
fn a_refusal_tells_types_that_json_writes_alike() {
    let db = in_memory();
    let things = create(&db, "t");
    let large = "18446744073709551616";
    things
        .insert_with_id("a", json(&format!("{{\"n\":{large}}}")))
        .unwrap();
    let expected = Expected::field("n", large);
    let (_, reason) = refused(done(things.compare_and_swap("a", &expected, Update::new())));
    let both = format!("expected n = string \"{large}\", found decimal \"{large}\"");
    assert_eq!(reason, both);
    let number = Expected::field("n", Value::from_json(large).unwrap());
    won(done(things.compare_and_swap("a", &number, Update::new())));
}

#[test]
fn metadata_but_the_version_is_not_expected() {
    let db = in_memory();
    let things = create(&db, "t");
    things.insert_with_id("a", json("{}")).unwrap();
    for name in ["_id", "_index", "_version", "_x.y"] {
        for value in [Value::Null, "a".into()] {
            let expected = Expected::field(name, value);
            let error = things
                .compare_and_swap("a", &expected, Update::new())
                .unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains(&format!("{name:?} cannot be expected")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_whole_document_is_replaced_or_deleted_as_expected() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    tasks.insert_with_id("t", [("n", 1.into())]).unwrap();
    let (one, two) = (Expected::field("n", 1), Expected::field("n", 2));
    refused(done(tasks.compare_and_replace("t", &two, json("{}"))));
    assert_eq!(
        won(done(tasks.compare_and_replace(
            "t",
            &one,
            json(r#"{"n":2}"#)
        ))),
        r#"{"n":2}"#
    );
    refused(done(tasks.compare_and_delete("t", &one)));
    assert_eq!(
        won(done(tasks.compare_and_delete("t", &two))),
        r#"{"n":2}"#,
        "its last state"
    );
    assert_eq!(read(&tasks, "t"), None);
}

#[test]
fn sixteen_ask_and_one_wins() {
    let db = in_memory();
    let tasks = create(&db, "tasks");
    for round in 0..50 {
        tasks
            .insert_with_id(round, [("state", "waiting".into())])
            .unwrap();
        let start = Barrier::new(16);
        let ask = |executor: i64| {
            start.wait();
            let update = Update::new()
                .set("state", "running")
                .set("executor", executor);
            let answer =
                tasks.compare_and_swap(round, &Expected::field("state", "waiting"), update);
            let answer = answer.unwrap();
            match answer.value {
                Swap::Won(document) => {
                    assert_eq!(number(&document, "executor"), executor);
                    assert_eq!(answer.index, document.meta().index, "the fencing token");
                    Some(executor)
                }
                Swap::Refused { current, .. } => {
                    assert_eq!(value(&current, "state"), "running".into());
                    None
                }
            }
        };
        let winners: Vec<i64> = thread::scope(|scope| {
            let ask = &ask;
            let all: Vec<_> = (0..16)
                .map(|executor| scope.spawn(move || ask(executor)))
                .collect();
            all.into_iter()
                .filter_map(|thread| thread.join().unwrap())
                .collect()
        });
        let document = tasks.get(round).unwrap().unwrap();
        assert_eq!(winners, [number(&document, "executor")], "round {round}");
        assert_eq!(document.meta().version, 2);
    }
}
