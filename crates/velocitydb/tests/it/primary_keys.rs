//! Primary keys of several fields: the id is made of them, in their order.

use velocitydb::query::{Filter, Find, Hint, Pipeline};
use velocitydb::{
    Alteration, Collection, Database, Definition, Field, FieldType, Key, OnDelete, Openness,
    PrimaryKey, Schema, Update, Value,
};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::support::{code, done, in_memory, json, on};

fn seats(db: &Database) -> Collection {
    let fields = vec![
        Field::new("flight", FieldType::String),
        Field::new("day", FieldType::Date),
        Field::new("seat", FieldType::Int),
    ];
    let schema = Schema::new(Openness::Open, fields).unwrap();
    let definition = Definition::new("seats").schema(schema);
    done(db.create_collection(definition.primary_key(["flight", "day", "seat"])))
}

fn id(flight: &str, day: &str, seat: i64) -> Key {
    let day: velocitydb::Date = day.parse().unwrap();
    Key::from_values(&[flight.into(), day.into(), seat.into()]).unwrap()
}

#[test]
fn several_fields_are_the_id() {
    let db = in_memory();
    let seats = seats(&db);
    let document = r#"{"flight":"VD1","day":"2026-11-30","seat":12,"name":"Ada"}"#;
    let first = done(seats.insert(json(document)));
    assert_eq!(first, id("VD1", "2026-11-30", 12));
    assert_eq!(first.to_string(), "composite:VD1,date:2026-11-30,12");
    assert_eq!(code(seats.insert(json(document))), "already_exists");
    // Another value of any of them is another document.
    for other in [
        r#"{"flight":"VD2","day":"2026-11-30","seat":12}"#,
        r#"{"flight":"VD1","day":"2026-12-01","seat":12}"#,
        r#"{"flight":"VD1","day":"2026-11-30","seat":13}"#,
    ] {
        seats.insert(json(other)).unwrap();
    }
    let lacking = seats.insert(json(r#"{"flight":"VD1","seat":12}"#));
    let error = lacking.unwrap_err().to_string();
    assert!(error.contains(r#"the primary key field "day""#), "{error}");
    // Each of them could be an id; all together are too long.
    let long = "x".repeat(velocitydb::types::KEY_BYTES_MAX - 10);
    let long = seats.insert([
        ("flight", long.into()),
        ("day", "2026-11-30".into()),
        ("seat", 1.into()),
    ]);
    let error = long.unwrap_err().to_string();
    assert!(error.contains("(flight, day, seat)"), "{error}");

    seats
        .update(&first, Update::new().set("name", "Bo"))
        .unwrap();
    let changed = seats.update(&first, Update::new().set("seat", 14));
    let error = changed.unwrap_err();
    assert_eq!(error.code().0, "primary_key_changed");
    assert!(error.to_string().contains("flight, day, seat"), "{error}");
    let other = seats.replace(id("VD9", "2026-11-30", 12), json(document));
    assert_eq!(code(other), "invalid_request");
    let found = seats.get(&first).unwrap().unwrap();
    let name = found.fields().get("name").map(|name| name.to_value());
    assert_eq!(name, Some("Bo".into()));
    seats.delete(&first).unwrap();
    assert_eq!(seats.count().unwrap(), 3);
}

#[test]
fn they_are_the_same_after_a_restart() {
    let disk = SimDisk::new(7);
    let db = on(&disk);
    let there = seats(&db);
    for seat in 0..10 {
        let day = if seat < 5 { "2026-11-30" } else { "2026-12-01" };
        let fields = format!(r#"{{"flight":"VD1","day":"{day}","seat":{seat}}}"#);
        there.insert(json(&fields)).unwrap();
        if seat == 6 {
            db.checkpoint().unwrap();
        }
    }
    let before = there.definition().unwrap();
    let disk = disk.crash(CrashMode::Process);
    drop((there, db));
    let db = on(&disk);
    let seats = db.collection("seats").unwrap();
    assert_eq!(seats.definition().unwrap(), before);
    assert_eq!(seats.count().unwrap(), 10);
    for key in [id("VD1", "2026-11-30", 0), id("VD1", "2026-12-01", 9)] {
        assert!(seats.get(&key).unwrap().is_some(), "{key}");
    }
    let again = seats.insert(json(r#"{"flight":"VD1","day":"2026-12-01","seat":9}"#));
    assert_eq!(code(again), "already_exists");
}

/// Values for all fields of the key are ids; values for some of them are none.
#[test]
fn a_query_by_the_whole_key_reads_ids() {
    let db = in_memory();
    let docs = Definition::new("docs").primary_key(["a", "b"]);
    let docs = done(db.create_collection(docs));
    for (a, b) in (0..20_i64).flat_map(|a| (0..20_i64).map(move |b| (a, b))) {
        docs.insert([("a", a.into()), ("b", b.into()), ("n", (a + b).into())])
            .unwrap();
    }
    let view = docs.view().unwrap();
    let a = || Filter::eq("a", 3);
    let shown = |a: i64, b: i64| Value::Array(vec![a.into(), b.into()]);
    for (filter, documents, ids) in [
        (a().and(Filter::eq("b", 4)), 1, true),
        (a().and(Filter::eq("b", Value::Float(4.0))), 1, true),
        (a().and(Filter::eq("b", 99)), 0, true),
        (a().and(Filter::eq("b", Value::Null)), 0, true),
        (a().and(Filter::eq("b", 4)).and(Filter::eq("n", 0)), 0, true),
        (a().and(Filter::is_in("b", [1, 2, 3, 3, 77])), 3, true),
        (
            Filter::is_in("a", [1, 2]).and(Filter::is_in("b", [1, 2])),
            4,
            true,
        ),
        (Filter::eq("_id", shown(3, 4)), 1, true),
        (Filter::is_in("_id", [shown(3, 4), shown(4, 3)]), 2, true),
        (a(), 20, false),
        (Filter::eq("b", 4), 20, false),
        (a().and(Filter::gt("b", 17)), 2, false),
        (a().or(Filter::eq("b", 4)), 39, false),
        (
            Filter::is_in("a", 0..40).and(Filter::is_in("b", 0..40)),
            400,
            false,
        ),
    ] {
        let sort = [("_id", velocitydb::Direction::Descending)];
        let find = Find::new(filter).sort(sort);
        let found = view.find(&find).unwrap();
        let scanned = view.find(&find.clone().hint(Hint::Scan)).unwrap();
        let keys = |all: &[velocitydb::Document]| all.iter().map(|d| d.id()).collect::<Vec<_>>();
        assert_eq!(keys(&found), keys(&scanned), "{find:?}");
        assert_eq!(found.len(), documents, "{find:?}");
        let explained = view.explain(&find).unwrap();
        let last = explained.steps.last().map(|step| step.name);
        assert_eq!(last == Some("ids"), ids, "{explained}");
    }
}

#[test]
fn parts_of_an_id_in_a_query_are_of_the_types_of_their_fields() {
    let db = in_memory();
    let seats = seats(&db);
    let document = r#"{"flight":"VD1","day":"2026-11-30","seat":12}"#;
    seats.insert(json(document)).unwrap();
    let view = seats.view().unwrap();
    for filter in [
        r#"{"_id":["VD1","2026-11-30",12]}"#,
        r#"{"_id":{"$in":[["VD1","2026-11-30",12],["VD2","2026-11-30",12]]}}"#,
        document,
    ] {
        let find = view.typed(Find::new(Filter::from_json(filter).unwrap()));
        let found = view.find(&find).unwrap();
        assert_eq!(found.len(), 1, "{filter}");
        let shown = r#"["VD1","2026-11-30",12]"#;
        assert_eq!(found[0].id().to_value().to_json(), shown);
    }
}

#[test]
fn pipelines_read_and_write_such_ids() {
    let db = in_memory();
    for (name, key) in [("orders", vec!["shop", "n"]), ("sums", vec!["shop", "day"])] {
        let definition = Definition::new(name).primary_key(key);
        db.create_collection(definition).unwrap();
    }
    let orders = db.collection("orders").unwrap();
    for n in 0..4_i64 {
        let fields = [
            ("shop", "a".into()),
            ("n", n.into()),
            ("day", (n / 2).into()),
        ];
        orders.insert(fields).unwrap();
    }
    // Twice: the rows of the second time meet those of the first by their key.
    for _ in 0..2 {
        let merge = Pipeline::from_json(
            r#"[{"$group":{"$by":{"shop":"$shop","day":"$day"},"n":{"$sum":1}}},
                {"$merge":{"into":"sums"}}]"#,
        );
        orders.aggregate(&merge.unwrap()).unwrap();
    }
    let sums = db.collection("sums").unwrap();
    assert_eq!(sums.count().unwrap(), 2);
    let lookup = Pipeline::from_json(
        r#"[{"$project":{"_id":1,"key":["$shop","$n"]}},
            {"$lookup":{"from":"orders","localField":"key","foreignField":"_id","as":"found"}},
            {"$project":{"n":{"$size":"$found"}}}]"#,
    );
    let rows = orders.aggregate(&lookup.unwrap()).unwrap();
    assert!(rows.iter().all(|row| row["n"] == Value::Int(1)), "{rows:?}");
}

#[test]
fn what_such_a_key_cannot_be() {
    let db = in_memory();
    let create = |definition: Definition| {
        let refused = db.create_collection(definition).unwrap_err();
        assert_eq!(refused.code().0, "invalid_definition");
        refused.to_string()
    };
    let with = |fields: Vec<String>| Definition::new("c").primary_key(fields);
    let names = |count: usize| (0..count).map(|n| format!("f{n}")).collect::<Vec<_>>();
    for (fields, what) in [
        (vec![], "1 to 16 fields, not 0"),
        (names(17), "1 to 16 fields, not 17"),
        (vec!["a".into(), "a".into()], r#"names the field "a" twice"#),
        (vec!["a".into(), "_x".into()], r#""_x" can be no field"#),
    ] {
        let error = create(with(fields));
        assert!(error.contains(what), "{error}");
    }
    let nulled = Field::new("b", FieldType::Int).references("c", OnDelete::SetNull);
    let schema = Schema::new(Openness::Open, vec![nulled]).unwrap();
    let error = create(with(vec!["a".into(), "b".into()]).schema(schema));
    assert!(error.contains("set_null"), "{error}");

    db.create_collection(with(names(16))).unwrap();
    let refers = Field::new("to", FieldType::Int).references("c", OnDelete::Restrict);
    let schema = Schema::new(Openness::Open, vec![refers]).unwrap();
    let error = create(Definition::new("d").schema(schema));
    let what = r#"the field "to" refers to "c", whose primary key has several fields"#;
    assert!(error.contains(what), "{error}");
    let altered = with(names(15));
    let refused = db.collection("c").unwrap().alter(Alteration::to(altered));
    assert!(refused.unwrap_err().to_string().contains("primary key"));
}

/// One field is written as its name, as it always was; both forms are read.
#[test]
fn keys_are_written_as_a_name_or_a_list_of_names() {
    for (text, key) in [
        (r#""a""#, PrimaryKey::from("a")),
        (r#"["a","b"]"#, PrimaryKey::from(["a", "b"])),
    ] {
        assert_eq!(serde_json::from_str::<PrimaryKey>(text).unwrap(), key);
        assert_eq!(serde_json::to_string(&key).unwrap(), text);
    }
    let one: PrimaryKey = serde_json::from_str(r#"["a"]"#).unwrap();
    assert_eq!(one, PrimaryKey::from("a"));
    let wrong = serde_json::from_str::<PrimaryKey>("7").unwrap_err();
    let what = "the name of a field, or a list of names";
    assert!(wrong.to_string().contains(what), "{wrong}");
}
