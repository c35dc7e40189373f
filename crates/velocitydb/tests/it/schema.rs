//! Schemas: what is required, filled in, converted and refused, and in which words.

use velocitydb::types::ScalarType;
use velocitydb::{
    Collection, Database, Date, Decimal, DefaultValue, Definition, Error, Field, FieldType,
    Interval, Key, Openness, Schema, SqlType, Update, Uuid, Value,
};

use crate::support::{START, code, done, in_memory, json, read, value};

fn collection(db: &Database, openness: Openness, fields: Vec<Field>) -> Collection {
    let schema = Schema::new(openness, fields).unwrap();
    done(db.create_collection(Definition::new("c").schema(schema)))
}

fn said<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn refusals_name_the_field_what_is_wanted_and_what_came() {
    let db = in_memory();
    let people = collection(
        &db,
        Openness::Strict,
        vec![
            Field::new("name", FieldType::String).required(),
            Field::new("age", FieldType::Int),
        ],
    );
    let insert = |text: &str| said(people.insert_with_id("p", json(text)));
    assert_eq!(
        insert(r#"{"age":1}"#),
        r#"field "name": required, got nothing"#
    );
    assert_eq!(
        insert(r#"{"name":null}"#),
        r#"field "name": required, got null"#
    );
    assert_eq!(
        insert(r#"{"name":"x","age":"old"}"#),
        r#"field "age": expected int, got string "old""#
    );
    assert_eq!(
        insert(r#"{"name":"x","nick":1}"#),
        r#"field "nick": not declared, and the schema is strict (got int 1)"#
    );
    people
        .insert_with_id("p", json(r#"{"name":"x","age":null}"#))
        .unwrap();
    // Whatever changes a document later must leave it fitting.
    let update = |update| said(people.update("p", update));
    assert_eq!(
        update(Update::new().unset("name")),
        r#"field "name": required, got nothing"#
    );
    assert_eq!(
        update(Update::new().set("age", 1.5)),
        r#"field "age": expected int, got float 1.5"#
    );
    assert_eq!(
        said(people.replace("p", json("{}"))),
        r#"field "name": required, got nothing"#
    );
    assert_eq!(read(&people, "p").unwrap(), r#"{"age":null,"name":"x"}"#);
    assert_eq!(
        code(people.update("p", Update::new().set("nick", 1))),
        "schema_violation"
    );
}

#[test]
fn a_reserved_name_is_no_field() {
    let db = in_memory();
    let open = collection(&db, Openness::Open, vec![]);
    assert!(open.insert_with_id(1, [("_id", 1.into())]).is_err());
    open.insert_with_id(1, []).unwrap();
    assert!(open.update(1, Update::new().set("_version", 7)).is_err());
    assert!(Schema::new(Openness::Open, vec![Field::new("_x", FieldType::Int)]).is_err());
}

#[test]
fn absent_fields_get_their_defaults() {
    let db = in_memory();
    let tasks = collection(
        &db,
        Openness::Strict,
        vec![
            Field::new("state", FieldType::String)
                .required()
                .with_default(DefaultValue::Constant("waiting".into())),
            Field::new("at", FieldType::Time).with_default(DefaultValue::Now),
            Field::new("day", FieldType::Date).with_default(DefaultValue::Now),
            Field::new("token", FieldType::Uuid).with_default(DefaultValue::Uuid),
        ],
    );
    let before = db.now();
    let key = done(tasks.insert([]));
    let one = tasks.get(&key).unwrap().unwrap();
    assert_eq!(value(&one, "state"), "waiting".into());
    let at = one.get("at").unwrap().as_time().unwrap();
    assert!(before <= at && at <= db.now());
    assert_eq!(one.get("day").unwrap().as_date().unwrap(), at.date());
    let token = one.get("token").unwrap().as_uuid().unwrap();
    let other = tasks.get(done(tasks.insert([]))).unwrap().unwrap();
    assert_ne!(other.get("token").unwrap().as_uuid().unwrap(), token);
    // What is given stays, null too where it may be; a default that is removed stays away.
    let given = [("state", "done".into()), ("at", Value::Null)];
    let given = tasks.get(done(tasks.insert(given))).unwrap().unwrap();
    assert_eq!(
        (value(&given, "state"), value(&given, "at")),
        ("done".into(), Value::Null)
    );
    done(tasks.update(&key, Update::new().unset("token")));
    assert!(tasks.get(&key).unwrap().unwrap().get("token").is_none());
}

#[test]
fn what_json_cannot_say_is_converted_to_the_declared_type() {
    let db = in_memory();
    let all = collection(
        &db,
        Openness::Open,
        vec![
            Field::new("time", FieldType::Time),
            Field::new("date", FieldType::Date),
            Field::new("uuid", FieldType::Uuid),
            Field::new("decimal", FieldType::Decimal),
            Field::new("bytes", FieldType::Bytes),
            Field::new("float", FieldType::Float),
        ],
    );
    let text = r#"{"time":"2026-01-01T00:00:00Z","date":"2026-01-01","uuid":
        "ffffffff-ffff-ffff-ffff-ffffffffffff","decimal":"1.50","bytes":"AQI=","float":1}"#;
    let document = done(all.insert_with_id("j", json(text))).document.unwrap();
    assert_eq!(document.get("time").unwrap().as_time(), Some(START));
    assert_eq!(document.get("date").unwrap().as_date(), Some(START.date()));
    assert_eq!(document.get("uuid").unwrap().as_uuid(), Some(Uuid::max()));
    let decimal: Decimal = "1.50".parse().unwrap();
    assert_eq!(document.get("decimal").unwrap().as_decimal(), Some(decimal));
    assert_eq!(value(&document, "bytes"), Value::Bytes(vec![1, 2]));
    assert_eq!(document.get("float").unwrap().type_name(), "float");
    let set = Update::new().set("date", "2026-02-03");
    let document = done(all.update("j", set)).document.unwrap();
    let day = Date::from_ymd(2026, 2, 3).unwrap();
    assert_eq!(document.get("date").unwrap().as_date(), Some(day));
    assert_eq!(
        code(all.update("j", Update::new().set("date", "soon"))),
        "schema_violation"
    );
}

#[test]
fn a_unique_field_stands_once_and_null_does_not_count() {
    let db = in_memory();
    let name = Field::new("name", FieldType::String).unique();
    let people = collection(&db, Openness::Open, vec![name]);
    people.insert_with_id("a", [("name", "x".into())]).unwrap();
    let refusal = "unique index over name: another document (a) has this value";
    assert_eq!(
        said(people.insert_with_id("b", [("name", "x".into())])),
        refusal
    );
    for id in ["b", "c"] {
        people.insert_with_id(id, []).unwrap();
        people
            .update(id, Update::new().set("name", Value::Null))
            .unwrap();
    }
    assert_eq!(
        said(people.update("b", Update::new().set("name", "x"))),
        refusal
    );
    assert_eq!(said(people.upsert("c", [("name", "x".into())])), refusal);
    people
        .update("a", Update::new().set("n", 1).set("name", "x"))
        .unwrap();
    // Given up, it is free: by a change, by a deletion.
    people.update("a", Update::new().set("name", "y")).unwrap();
    people.update("b", Update::new().set("name", "x")).unwrap();
    people.delete("b").unwrap();
    people.update("c", Update::new().set("name", "x")).unwrap();
    assert_eq!(
        code(people.insert([("name", "x".into())])),
        "unique_violation"
    );
}

#[test]
fn defaults_make_a_primary_key_too() {
    let db = in_memory();
    let id = Field::new("id", FieldType::Uuid).with_default(DefaultValue::Uuid);
    let schema = Schema::new(Openness::Open, vec![id]).unwrap();
    let definition = Definition::new("c").schema(schema).primary_key("id");
    let rows = done(db.create_collection(definition));
    let key = done(rows.insert([("n", 1.into())]));
    let document = rows.get(&key).unwrap().unwrap();
    assert_eq!(Key::from_value(&value(&document, "id")).unwrap(), key);
}

#[test]
fn definitions_that_make_no_sense_are_refused() {
    let db = in_memory();
    let refused = |definition: Definition| code(db.create_collection(definition));
    for name in ["", "a b", "_mine", &"x".repeat(129)] {
        assert_eq!(
            refused(Definition::new(name)),
            "invalid_definition",
            "{name:?}"
        );
    }
    done(db.create_collection(Definition::new("a")));
    assert_eq!(refused(Definition::new("a")), "collection_exists");
    assert_eq!(
        said(db.create_collection(Definition::new("a"))),
        "there is a collection a already"
    );
    assert_eq!(code(db.drop_collection("none")), "unknown_collection");
    assert_eq!(
        said(db.collection("none")),
        "there is no collection \"none\""
    );
    assert_eq!(db.collections().len(), 1);
}

#[test]
fn an_sql_type_holds_for_every_write() {
    let db = in_memory();
    let tasks = collection(
        &db,
        Openness::Open,
        vec![
            Field::new("level", FieldType::Int).with_sql_type(ScalarType::Int2),
            Field::new("tags", FieldType::Array).with_sql_type(SqlType::Array(ScalarType::Text)),
            Field::new("wait", FieldType::Interval),
        ],
    );
    let given = json(r#"{"level":32767,"tags":["a",null],"wait":"1 day 02:00"}"#);
    let document = done(tasks.insert_with_id(1, given)).document.unwrap();
    let wait = document.get("wait").unwrap().as_interval().unwrap();
    assert_eq!(wait.to_string(), "1 day 02:00:00");
    let refusals = [
        (
            said(tasks.insert_with_id(2, json(r#"{"level":32768}"#))),
            r#"field "level": out of range for type smallint, got int 32768"#,
        ),
        (
            said(tasks.update(1, Update::new().add("level", 1))),
            r#"field "level": out of range for type smallint, got int 32768"#,
        ),
        (
            said(tasks.update(1, Update::new().push("tags", 5))),
            r#"field "tags": an element that does not fit type text[], got array ["a",null,5]"#,
        ),
    ];
    for (refusal, says) in refusals {
        assert!(refusal.contains(says), "{refusal}");
    }
}

/// They are equal, so they are one id, whichever is written.
#[test]
fn a_month_and_thirty_days_are_one_id() {
    let db = in_memory();
    let terms = collection(&db, Openness::Open, vec![]);
    let [month, days] = ["1 mon", "30 days"].map(|text| text.parse::<Interval>().unwrap());
    done(terms.insert_with_id(Key::from_value(&month.into()).unwrap(), []));
    let key = Key::from_value(&days.into()).unwrap();
    assert!(terms.get(&key).unwrap().is_some());
    assert_eq!(key.to_string(), "interval:P1M");
    assert_eq!(Key::parse("interval:P30D").unwrap(), key);
}
