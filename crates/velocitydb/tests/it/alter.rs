//! Another definition for a collection: old or new for every reader, never between.

use std::sync::atomic::{AtomicBool, Ordering};

use velocitydb::query::{Filter, Find};
use velocitydb::{
    Alteration, Collection, Database, DefaultValue, Definition, Error, Expected, Field, FieldType,
    IndexDefinition, Isolation, Openness, Schema, Swap, Update,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{code, create, in_memory, json, number, on, read};

fn strict(fields: &[Field]) -> Schema {
    Schema::new(Openness::Strict, fields.to_vec()).unwrap()
}

fn people(db: &Database) -> Collection {
    let schema = strict(&[
        Field::new("name", FieldType::String).required(),
        Field::new("age", FieldType::String),
        Field::new("old", FieldType::Int),
    ]);
    let definition = Definition::new("people").schema(schema);
    let people = db.create_collection(definition).unwrap().value;
    for (id, age) in [("a", "36"), ("b", "41")] {
        let document = format!(r#"{{"name":"{id}","age":"{age}","old":1}}"#);
        people.insert_with_id(id, json(&document)).unwrap();
    }
    people
}

/// `age` becomes a number, `name` becomes `full_name`, `old` goes, `level` comes.
fn altered(db: &Database) -> Alteration {
    let definition = db.collection("people").unwrap().definition().unwrap();
    let schema = strict(&[
        Field::new("full_name", FieldType::String).required(),
        Field::new("age", FieldType::Int),
        Field::new("level", FieldType::Int)
            .required()
            .with_default(DefaultValue::Constant(1.into())),
    ]);
    Alteration::to(definition.schema(schema))
        .rename("name", "full_name")
        .drop("old")
}

#[test]
fn documents_come_along() {
    let db = in_memory();
    let people = people(&db);
    people.update("b", Update::new().set("age", "42")).unwrap();
    let before = people.get("b").unwrap().unwrap().meta();
    let view = db.snapshot();
    people.alter(altered(&db)).unwrap();
    assert_eq!(
        read(&people, "b").unwrap(),
        r#"{"age":42,"full_name":"b","level":1}"#
    );
    let after = people.get("b").unwrap().unwrap();
    assert_eq!(after.meta(), before, "its own history is as it was");
    assert_eq!(people.count().unwrap(), 2);
    // Whoever began before sees the old ones, with the old definition.
    let then = view.collection("people").unwrap();
    let old = then.get("a").unwrap().unwrap();
    assert_eq!(old.get("age").unwrap().as_str(), Some("36"));
    // New rules hold from now on.
    let wrong = people.update("a", Update::new().set("age", "x"));
    assert_eq!(code(wrong), "schema_violation");
    let swapped = people
        .compare_and_swap("a", &Expected::Version(1), Update::new().set("age", 37))
        .unwrap();
    assert!(matches!(&swapped.value, Swap::Won(won) if number(won, "age") == 37));
}

#[test]
fn one_document_that_does_not_fit_refuses_it_by_name() {
    let db = in_memory();
    let people = people(&db);
    people
        .update("b", Update::new().set("age", "old enough"))
        .unwrap();
    let digest = db.digest();
    let error = people.alter(altered(&db)).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"document b: field "age": expected int, got string "old enough""#
    );
    assert_eq!(db.digest(), digest);
    people.update("b", Update::new().set("age", "9")).unwrap();
    people.alter(altered(&db)).unwrap();
}

#[test]
fn new_unique_fields_and_constraints_are_judged_against_what_is_there() {
    let db = in_memory();
    let a = create(&db, "a");
    for (id, n) in [(1, 5), (2, 5), (3, 7)] {
        a.insert_with_id(id, [("n", n.into())]).unwrap();
    }
    let with = |field: Field| {
        let schema = Schema::new(Openness::Open, vec![field]).unwrap();
        Alteration::to(a.definition().unwrap().schema(schema))
    };
    let unique = with(Field::new("n", FieldType::Int).unique());
    assert_eq!(code(a.alter(unique.clone())), "unique_violation");
    a.delete(2).unwrap();
    a.alter(unique).unwrap();
    let again = a.insert_with_id(4, [("n", 7.into())]);
    assert_eq!(code(again), "unique_violation");
    let required = with(Field::new("m", FieldType::Int).required());
    assert_eq!(code(a.alter(required)), "migration_refused");
    a.alter(with(Field::new("n", FieldType::Int))).unwrap();
    a.insert_with_id(4, [("n", 7.into())]).unwrap();
}

#[test]
fn indexes_come_along_and_what_cannot_be_altered_says_so() {
    let db = in_memory();
    let people = people(&db);
    let name = IndexDefinition::unique("by_name", vec!["name".parse().unwrap()]);
    people.create_index(name).unwrap();
    let twin = json(r#"{"name":"a"}"#);
    assert_eq!(code(people.insert_with_id("c", twin)), "unique_violation");
    let definition = people.definition().unwrap();
    let checked = Alteration::to(definition.clone()).drop("old");
    assert_eq!(code(people.alter(checked)), "invalid_definition");
    let other = definition.volatile();
    assert_eq!(
        code(people.alter(Alteration::to(other))),
        "invalid_definition"
    );
    // The same definition with the index over the field's new name.
    let mut alteration = altered(&db);
    let path: velocitydb::Path = "full_name".parse().unwrap();
    alteration.definition.indexes[0].fields = vec![path.into()];
    people.alter(alteration).unwrap();
    let twin = json(r#"{"full_name":"a"}"#);
    assert_eq!(code(people.insert_with_id("c", twin)), "unique_violation");
}

#[test]
fn a_transaction_that_began_before_is_tried_again() {
    let db = in_memory();
    let people = people(&db);
    let mut transaction = db.begin(Isolation::Snapshot);
    let update = Update::new().set("age", "50");
    transaction.update("people", "a", update).unwrap();
    people.alter(altered(&db)).unwrap();
    let error: Error = transaction.commit().unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[test]
fn it_is_there_after_a_restart_from_the_log_and_from_a_checkpoint() {
    for checkpoint in [None, Some(false), Some(true)] {
        let disk = SimDisk::new(1);
        let db = on(&disk);
        let people = people(&db);
        if checkpoint == Some(false) {
            db.checkpoint().unwrap();
        }
        people.alter(altered(&db)).unwrap();
        people.update("a", Update::new().add("level", 1)).unwrap();
        if checkpoint == Some(true) {
            db.checkpoint().unwrap();
        }
        let digest = db.digest();
        let db = on(&disk.crash(CrashMode::Process));
        let people = db.collection("people").unwrap();
        assert_eq!(db.digest(), digest);
        assert_eq!(
            read(&people, "a").unwrap(),
            r#"{"age":36,"full_name":"a","level":2}"#
        );
    }
}

#[test]
fn writers_beside_it_are_before_or_after() {
    let db = in_memory();
    let a = create(&db, "a");
    for id in 0..200 {
        a.insert_with_id(id, [("n", "0".into())]).unwrap();
    }
    let int = Schema::new(Openness::Open, vec![Field::new("n", FieldType::Int)]).unwrap();
    let alteration = Alteration::to(a.definition().unwrap().schema(int));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for turn in 0..2000 {
                let n = turn.to_string();
                let value = match a.definition().unwrap().schema.fields().is_empty() {
                    true => n.as_str().into(),
                    false => velocitydb::Value::Int(turn),
                };
                let update = Update::new().set("n", value);
                match a.update(turn % 200, update) {
                    Ok(_) => {}
                    // Resolved before, judged after.
                    Err(error) => assert_eq!(error.code().0, "schema_violation"),
                }
            }
        });
        a.alter(alteration).unwrap();
        writer.join().unwrap();
    });
    for id in 0..200 {
        let document = a.get(id).unwrap().unwrap();
        assert!(
            document.get("n").unwrap().as_int().is_some(),
            "{document:?}"
        );
    }
}

/// Alterations are made beside the writers; replay makes them with nobody beside.
#[test]
fn replay_makes_the_same_of_alterations_beside_writers() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let a = create(&db, "a");
    let form = |kind: FieldType, unique: bool| {
        let mut n = Field::new("n", kind);
        n.unique = unique;
        Schema::new(Openness::Open, vec![n]).unwrap()
    };
    a.alter(Alteration::to(
        a.definition().unwrap().schema(form(FieldType::Int, true)),
    ))
    .unwrap();
    for id in 0..3000 {
        a.insert_with_id(id, [("n", id.into())]).unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..8 {
                let kind = [FieldType::String, FieldType::Int][round % 2];
                let definition = a.definition().unwrap().schema(form(kind, round % 3 != 0));
                a.alter(Alteration::to(definition)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        for writer in 0..2_i64 {
            let (a, done) = (&a, &done);
            scope.spawn(move || {
                let mut turn = writer;
                // Each writer has its own ids and values: nothing it does is refused.
                while !done.load(Ordering::Acquire) {
                    turn += 2;
                    let id = turn % 3000;
                    let int = a.definition().unwrap().schema.fields()[0].kind == FieldType::Int;
                    let value = 10_000 + turn;
                    let value = match int {
                        true => velocitydb::Value::Int(value),
                        false => value.to_string().into(),
                    };
                    let changed = match turn % 5 {
                        0 => a.delete(id).map(|_| ()),
                        1 | 2 => a.upsert(id, [("n", value)]).map(|_| ()),
                        _ => a.update(id, Update::new().set("n", value)).map(|_| ()),
                    };
                    if let Err(error) = changed {
                        let expected = ["not_found", "schema_violation"];
                        assert!(expected.contains(&error.code().0), "{error}");
                    }
                }
            });
        }
    });
    let (digest, count) = (db.digest(), a.count().unwrap());
    let all = |a: &velocitydb::Collection| {
        let mut all = Vec::new();
        a.view()
            .unwrap()
            .scan(|document| {
                all.push((document.id(), document.fields().to_map(), document.meta()));
                true
            })
            .unwrap();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let before = all(&a);
    // Not closed: a checkpoint would spare the replay.
    let db = on(&disk.crash(CrashMode::Process));
    assert!(db.recovery().entries_replayed > 3000);
    let a = db.collection("a").unwrap();
    for (one, other) in before.iter().zip(all(&a)) {
        assert_eq!(*one, other);
    }
    assert_eq!(a.count().unwrap(), count);
    assert_eq!(db.digest(), digest);
    assert!(count > 0);
}

/// Whichever was inserted first: the name is the same on each node.
#[test]
fn of_documents_that_do_not_fit_the_one_with_the_smallest_id_is_named() {
    let db = Database::in_memory().unwrap();
    let a = db.create_collection(Definition::new("a")).unwrap().value;
    for id in ["b", "fits", "c", "a", "d"] {
        let n = if id == "fits" { 7.into() } else { "x".into() };
        a.insert_with_id(id, [("n", n)]).unwrap();
    }
    let n = Field::new("n", FieldType::Int);
    let schema = Schema::new(Openness::Open, vec![n]).unwrap();
    let alteration = Alteration::to(a.definition().unwrap().schema(schema));
    let error = a.alter(alteration).unwrap_err().to_string();
    assert!(error.contains("document a: field \"n\""), "{error}");
}

#[test]
fn the_type_of_the_primary_key_is_altered_only_where_ids_stay() {
    let db = in_memory();
    let of = |kind| {
        let field = Field::new("number", kind);
        let schema = Schema::new(Openness::Open, vec![field]).unwrap();
        Definition::new("orders")
            .primary_key("number")
            .schema(schema)
    };
    let orders = db.create_collection(of(FieldType::Int)).unwrap().value;
    orders.insert(json(r#"{"number":7}"#)).unwrap();
    let refused = orders.alter(Alteration::to(of(FieldType::String)));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "document 7: the primary key field \"number\" would become string \"7\", and with it the \
         id: its type cannot be altered so"
    );
    orders
        .alter(Alteration::to(of(FieldType::Decimal)))
        .unwrap();
    orders
        .update(7_i64, Update::new().set("paid", true))
        .unwrap();
    orders.truncate().unwrap();
    orders.alter(Alteration::to(of(FieldType::String))).unwrap();
    orders.insert(json(r#"{"number":"7"}"#)).unwrap();
}

/// What only says something is done at once, whatever the collection holds.
#[test]
fn comments_and_defaults_leave_documents_and_indexes_as_they_are() {
    let disk = SimDisk::new(1);
    let db = on(&disk);
    let a = create(&db, "a");
    a.create_index(IndexDefinition::btree(
        "by_n",
        [velocitydb::Path::field("n")],
    ))
    .unwrap();
    let schema = Schema::new(Openness::Open, vec![Field::new("n", FieldType::Int)]).unwrap();
    a.alter(Alteration::to(a.definition().unwrap().schema(schema)))
        .unwrap();
    for id in 0..100 {
        a.insert_with_id(id, [("n", id.into())]).unwrap();
    }
    let find = |n: i64| Find::new(Filter::Eq(velocitydb::Path::field("n"), n.into()));
    let before = db.snapshot();
    let bytes = a.stats().unwrap().bytes;
    let mut definition = a.definition().unwrap();
    let mut n = definition.schema.fields()[0].clone();
    n.comment = Some("a number".into());
    n.default = Some(DefaultValue::Constant(7.into()));
    definition.schema = Schema::new(Openness::Open, vec![n]).unwrap();
    definition.comment = Some("numbers".into());
    definition.indexes[0].comment = Some("to find them".into());
    a.alter(Alteration::to(definition.clone())).unwrap();
    assert_eq!(a.definition().unwrap(), definition);
    assert_eq!(
        a.stats().unwrap().bytes,
        bytes,
        "the same documents and indexes"
    );
    // The index is one of both definitions.
    let then = before.collection("a").unwrap();
    for explained in [then.explain(&find(5)), a.explain(&find(5))] {
        let explained = format!("{:?}", explained.unwrap());
        assert!(explained.contains("by_n"), "{explained}");
    }
    a.insert_with_id("later", json("{}")).unwrap();
    assert_eq!(a.count_where(&find(7).filter).unwrap(), 2);
    a.drop_index("by_n").unwrap();
    let digest = db.digest();
    let db = on(&disk.crash(CrashMode::Process));
    assert_eq!(db.digest(), digest);
    let now = db.collection("a").unwrap().definition().unwrap();
    assert_eq!(now.comment.as_deref(), Some("numbers"));
}

#[test]
fn a_definition_that_no_document_could_keep_is_refused() {
    let db = in_memory();
    let definition = Definition {
        comment: Some("x".repeat(16 << 20)),
        ..Definition::new("a")
    };
    let error = db.create_collection(definition).unwrap_err();
    assert_eq!(error.code().0, "invalid_definition");
    assert!(error.to_string().contains("at most 8388608"), "{error}");
}
