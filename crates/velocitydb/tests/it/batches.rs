//! Batches: all or nothing, or each by itself.

use velocitydb::{
    Batch, BatchAnswer, Call, Database, Definition, Effect, Error, Expected, Field, FieldType,
    Fields, Openness, Schema, Update,
};

use crate::support::{code, create, done, in_memory, read};

/// Effects and versions, or the errors' codes.
fn shown(answers: &BatchAnswer) -> Vec<String> {
    let one = |answer: &Result<velocitydb::BatchOutcome, Error>| match answer {
        Ok(done) => format!(
            "{} {:?} v{}",
            done.id, done.outcome.effect, done.outcome.version
        ),
        Err(error) => error.code().0.to_owned(),
    };
    answers.iter().map(one).collect()
}

fn with_unique_name() -> Database {
    let db = in_memory();
    let name = Field::new("name", FieldType::String).unique();
    let schema = Schema::new(Openness::Open, vec![name]).unwrap();
    db.create_collection(Definition::new("a").schema(schema))
        .unwrap();
    db
}

#[test]
fn an_atomic_batch_is_one_entry_in_which_later_operations_see_earlier_ones() {
    let db = in_memory();
    let (a, b) = (create(&db, "a"), create(&db, "b"));
    let batch = Batch::atomic()
        .insert_with_id("a", "x", [("n", 1.into())])
        .update("a", "x", Update::new().add("n", 1))
        .update_if(
            "a",
            "x",
            &Expected::field("n", 2),
            Update::new().add("n", 5),
        )
        .unwrap()
        .upsert("b", "x", [("n", 9.into())])
        .delete("b", "x")
        .insert_with_id("b", "x", [("n", 10.into())]);
    assert_eq!((batch.len(), batch.is_empty()), (6, false));
    let answer = db.batch(batch).unwrap();
    assert_eq!(
        shown(&answer.value),
        [
            "x Inserted v1",
            "x Updated v2",
            "x Updated v3",
            "x Inserted v1",
            "x Deleted v1",
            "x Inserted v1"
        ]
    );
    assert_eq!(
        db.stats().visible_index,
        answer.index,
        "one entry after the two definitions"
    );
    assert_eq!(answer.index, 3);
    assert_eq!(read(&a, "x").unwrap(), r#"{"n":7}"#);
    assert_eq!(
        a.get("x").unwrap().unwrap().meta().version,
        3,
        "two changes count two versions"
    );
    assert_eq!(read(&b, "x").unwrap(), r#"{"n":10}"#);
}

#[test]
fn one_refusal_in_an_atomic_batch_changes_nothing() {
    let db = in_memory();
    let a = create(&db, "a");
    a.insert_with_id("x", [("n", 1.into())]).unwrap();
    let (digest, index) = (db.digest(), db.stats().visible_index);
    let batch = Batch::atomic()
        .insert_with_id("a", "y", [("n", 1.into())])
        .update("a", "x", Update::new().add("n", 1))
        .insert_with_id("a", "x", []);
    let error = db.batch(batch).unwrap_err();
    assert_eq!(error.code().0, "already_exists");
    assert!(
        matches!(error, Error::Refused { operation: 2, .. }),
        "{error:?}"
    );
    assert!(error.to_string().ends_with("(operation 2)"), "{error}");
    assert_eq!((db.digest(), db.stats().visible_index), (digest, index));
    assert_eq!(a.count().unwrap(), 1);
}

#[test]
fn each_operation_by_itself_has_its_own_result() {
    let db = in_memory();
    let a = create(&db, "a");
    a.insert_with_id("x", [("n", 1.into())]).unwrap();
    let batch = Batch::each()
        .insert_with_id("a", "x", [])
        .insert_with_id("a", "y", [("n", 2.into())])
        .update("a", "none", Update::new())
        .update("a", "y", Update::new().add("n", 1))
        .delete("a", "x");
    let answers = db.batch(batch).unwrap().value;
    assert_eq!(
        shown(&answers),
        [
            "already_exists",
            "y Inserted v1",
            "not_found",
            "y Updated v2",
            "x Deleted v1"
        ]
    );
    let Err(Error::Refused { operation, .. }) = &answers[2] else {
        panic!("{answers:?}")
    };
    assert_eq!(*operation, 2);
    assert_eq!(
        (read(&a, "x"), read(&a, "y").unwrap().as_str()),
        (None, r#"{"n":3}"#)
    );
}

#[test]
fn a_batch_of_each_that_changes_nothing_is_no_entry() {
    let db = in_memory();
    create(&db, "a");
    let index = db.stats().visible_index;
    let answers = done(db.batch(Batch::each().delete("a", 1).delete("a", 2)));
    assert_eq!(shown(&answers), ["not_found", "not_found"]);
    assert_eq!(db.stats().visible_index, index);
}

#[test]
fn a_document_that_does_not_fit_its_schema_refuses_only_its_own_operation() {
    let db = in_memory();
    let age = Field::new("age", FieldType::Int).required();
    let schema = Schema::new(Openness::Open, vec![age]).unwrap();
    let a = db
        .create_collection(Definition::new("a").schema(schema))
        .unwrap()
        .value;
    let batch = || {
        Batch::each()
            .insert_with_id("a", 1, [("age", 7.into())])
            .insert_with_id("a", 2, [("age", "old".into())])
            .insert_with_id("none", 3, [])
            .insert_with_id("a", 4, [("age", 8.into())])
    };
    let answers = done(db.batch(batch()));
    assert_eq!(
        shown(&answers),
        [
            "1 Inserted v1",
            "schema_violation",
            "unknown_collection",
            "4 Inserted v1"
        ]
    );
    let Err(Error::Refused { operation: 1, .. }) = &answers[1] else {
        panic!("{answers:?}")
    };
    assert_eq!(a.count().unwrap(), 2);
    let bad = || {
        Batch::each()
            .insert_with_id("a", 5, [])
            .insert_with_id("none", 6, [])
    };
    assert_eq!(
        shown(&done(db.batch(bad()))),
        ["schema_violation", "unknown_collection"]
    );
    // With an idempotency key it refuses all: no outcome of that operation could be kept.
    let call = velocitydb::Call::new().idempotency_key("k");
    let error = db.batch_with(batch(), &call).unwrap_err();
    assert!(
        matches!(error, Error::Refused { operation: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn an_atomic_batch_says_which_operation_does_not_fit() {
    let db = with_unique_name();
    let batch = Batch::atomic()
        .insert_with_id("a", 1, [("name", "x".into())])
        .insert_with_id("a", 2, [("name", 7.into())]);
    let error = db.batch(batch).unwrap_err();
    assert!(
        matches!(error, Error::Refused { operation: 1, .. }),
        "{error:?}"
    );
    assert_eq!(code(db.batch(Batch::atomic())), "invalid_request");
    assert_eq!(
        code(db.batch(Batch::atomic().delete("none", 1))),
        "unknown_collection"
    );
    assert_eq!(db.collection("a").unwrap().count().unwrap(), 0);
}

#[test]
fn unique_values_are_swapped_in_an_atomic_batch_only() {
    let db = with_unique_name();
    let a = db.collection("a").unwrap();
    for (id, name) in [(1, "x"), (2, "y")] {
        a.insert_with_id(id, [("name", name.into())]).unwrap();
    }
    let rename = |batch: Batch<'static>| {
        batch.update("a", 1, Update::new().set("name", "y")).update(
            "a",
            2,
            Update::new().set("name", "x"),
        )
    };
    assert_eq!(
        shown(&done(db.batch(rename(Batch::each())))),
        ["unique_violation"; 2]
    );
    assert_eq!(
        shown(&done(db.batch(rename(Batch::atomic())))),
        ["1 Updated v2", "2 Updated v2"]
    );
    assert_eq!(
        code(a.insert_with_id(3, [("name", "x".into())])),
        "unique_violation"
    );
    let takes_over = Batch::atomic()
        .delete("a", 1)
        .insert_with_id("a", 3, [("name", "y".into())]);
    assert_eq!(shown(&done(db.batch(takes_over)))[1], "3 Inserted v1");
    let twice = |batch: Batch<'static>| {
        batch
            .insert_with_id("a", 4, [("name", "z".into())])
            .insert_with_id("a", 5, [("name", "z".into())])
    };
    let error = db.batch(twice(Batch::atomic())).unwrap_err();
    assert_eq!(error.code().0, "unique_violation");
    assert_eq!(
        shown(&done(db.batch(twice(Batch::each())))),
        ["4 Inserted v1", "unique_violation"]
    );
    // A value given up within the batch is free for the rest of it.
    let passed_on = Batch::each()
        .update("a", 4, Update::new().set("name", "w"))
        .insert_with_id("a", 6, [("name", "z".into())])
        .insert_with_id("a", 7, [("name", "w".into())]);
    assert_eq!(
        shown(&done(db.batch(passed_on))),
        ["4 Updated v2", "6 Inserted v1", "unique_violation"]
    );
}

#[test]
fn an_insert_in_a_batch_gets_its_id_too() {
    let db = in_memory();
    let a = create(&db, "a");
    let batch = Batch::atomic()
        .insert("a", [("n", 1.into())])
        .insert("a", [("n", 2.into())]);
    let answers = done(db.batch(batch));
    for (n, answer) in answers.into_iter().enumerate() {
        let done = answer.unwrap();
        assert_eq!(done.outcome.effect, Effect::Inserted);
        let found = a.get(&done.id).unwrap().unwrap();
        assert_eq!(found.get("n").unwrap().as_int(), Some(n as i64 + 1));
    }
}

#[test]
fn many_documents_are_inserted_together_or_not_at_all() {
    let db = with_unique_name();
    let a = db.collection("a").unwrap();
    let named = |name: &str| Fields::from_json(&format!(r#"{{"name":"{name}"}}"#)).unwrap();
    let all = [named("x"), named("y")];
    assert_eq!(done(a.insert_all(&all)), 2);
    let error = a.insert_all(&[named("z"), named("y")]).unwrap_err();
    assert_eq!(error.code().0, "unique_violation");
    let error = a.insert_all(&[named("z"), named("z")]).unwrap_err();
    assert!(
        matches!(error, Error::Refused { operation: 1, .. }),
        "{error}"
    );
    assert_eq!(a.count().unwrap(), 2);
    // What fitted the definition before does not have to fit the one of now.
    let before = Some(a.defined().unwrap());
    let strict = Field::new("name", FieldType::Int);
    db.drop_collection("a").unwrap();
    let schema = Schema::new(Openness::Open, vec![strict]).unwrap();
    done(db.create_collection(Definition::new("a").schema(schema)));
    let a = db.collection("a").unwrap();
    let error = a.insert_checked(&all, before).unwrap_err();
    assert_eq!(error.code().0, "schema_violation");
    let number = [Fields::from_json(r#"{"name":1}"#).unwrap()];
    assert_eq!(
        done(a.insert_checked(&number, Some(a.defined().unwrap()))),
        1
    );
    let [number] = number;
    let error = a.insert_all(&[number.clone(), named("x")]).unwrap_err();
    assert!(
        matches!(error, Error::Refused { operation: 1, .. }),
        "{error}"
    );
    // What a retry would be answered is not kept of so many.
    let with_key = a.with(Call::default().idempotency_key("once"));
    let error = with_key.insert_all(&[number]).unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(done(a.insert_all(&[])), 0);
    assert_eq!(a.count().unwrap(), 1);
}
