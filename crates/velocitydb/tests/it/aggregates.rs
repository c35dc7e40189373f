//! Pipelines in the library: planned like finds, looking into other collections, written into one.

use velocitydb::query::{Aggregated, Limits, Pipeline};
use velocitydb::{
    Call, Collection, Database, Definition, Error, ErrorClass, IndexDefinition, Path, Value,
};

use crate::support::{create, in_memory};

/// A collection of documents as JSON; an `_id` is the id.
pub(crate) fn filled(db: &Database, name: &str, documents: &[&str]) -> Collection {
    let collection = create(db, name);
    for json in documents {
        let Value::Map(mut map) = Value::from_json(json).unwrap() else {
            panic!("{json}");
        };
        match map.remove("_id") {
            Some(id) => collection.insert_with_id(id, map).map(drop),
            None => collection.insert(map).map(drop),
        }
        .unwrap();
    }
    collection
}

fn flights(db: &Database) -> Collection {
    filled(
        db,
        "flights",
        &[
            r#"{"_id":1,"carrier":"UA","delay":2}"#,
            r#"{"_id":2,"carrier":"AA","delay":40}"#,
            r#"{"_id":3,"carrier":"UA","delay":40}"#,
            r#"{"_id":4,"carrier":"B6","delay":-1}"#,
            r#"{"_id":5,"carrier":null,"delay":7}"#,
        ],
    )
}

fn carriers(db: &Database) -> Collection {
    filled(
        db,
        "carriers",
        &[
            r#"{"_id":"UA","code":"UA","name":"United"}"#,
            r#"{"_id":"AA","code":"AA","name":"American"}"#,
        ],
    )
}

pub(crate) fn pipeline(json: &str) -> Pipeline {
    Pipeline::from_json(json).unwrap()
}

pub(crate) fn json(rows: Vec<Aggregated>) -> Vec<String> {
    let rows = rows.into_iter();
    rows.map(|row| Value::Map(row).to_json()).collect()
}

/// The documents of a collection by id, without metadata.
pub(crate) fn documents(collection: &Collection) -> Vec<String> {
    let rows =
        r#"[{"$sort":{"_id":1}},{"$unset":["_version","_index","_created_at","_updated_at"]}]"#;
    json(collection.aggregate(&pipeline(rows)).unwrap())
}

pub(crate) fn error(result: Result<Vec<Aggregated>, velocitydb::Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_lookup_reads_another_collection_of_the_same_moment() {
    let db = in_memory();
    let (flights, carriers) = (flights(&db), carriers(&db));
    let by = |foreign: &str| {
        pipeline(&format!(
            r#"[{{"$sort":{{"_id":1}}}},
                {{"$lookup":{{"from":"carriers","localField":"carrier","foreignField":"{foreign}","as":"c"}}}},
                {{"$project":{{"name":"$c.0.name"}}}}]"#
        ))
    };
    let expected = [
        r#"{"_id":1,"name":"United"}"#,
        r#"{"_id":2,"name":"American"}"#,
        r#"{"_id":3,"name":"United"}"#,
        r#"{"_id":4}"#,
        r#"{"_id":5}"#,
    ];
    let view = flights.view().unwrap();
    assert_eq!(json(view.aggregate(&by("_id")).unwrap()), expected);
    assert_eq!(json(view.aggregate(&by("code")).unwrap()), expected);
    // By an index, which pays once there are more than a few.
    for n in 0..100 {
        carriers.insert([("code", n.into())]).unwrap();
    }
    let index = IndexDefinition::hash("by_code", [Path::field("code")]);
    carriers.create_index(index).unwrap();
    assert_eq!(json(flights.aggregate(&by("code")).unwrap()), expected);
    // The view is older than what happens now.
    carriers.truncate().unwrap();
    assert_eq!(json(view.aggregate(&by("_id")).unwrap()), expected);
    assert_eq!(
        json(flights.aggregate(&by("_id")).unwrap())[0],
        r#"{"_id":1}"#
    );
    // Joined with itself, and with what is not there.
    let lookup = r#"[{"$lookup":{"from":"carrier","localField":"a","foreignField":"b","as":"c"}}]"#;
    let missing = flights.aggregate(&pipeline(lookup)).unwrap_err();
    assert_eq!(missing.class(), ErrorClass::NotFound);
    assert!(missing.to_string().contains("carrier"), "{missing}");
}

#[test]
fn what_is_looked_up_by_a_primary_key_is_found_by_id() {
    let db = in_memory();
    let docs = create(&db, "docs");
    let keyed = Definition::new("keyed").primary_key("n");
    let keyed = db.create_collection(keyed).unwrap().value;
    for n in 0..1000_i64 {
        docs.insert_with_id(n, [("n", n.into())]).unwrap();
        keyed.insert([("n", n.into())]).unwrap();
    }
    // Far fewer than there are: each row asks for its own.
    let few = Limits {
        rows_max: 10,
        ..Limits::default()
    };
    for field in ["_id", "n"] {
        let lookup = format!(
            r#"[{{"$match":{{"n":{{"$lt":5}}}}}},{{"$addFields":{{"m":{{"$add":["$n",998]}}}}}},
                {{"$lookup":{{"from":"keyed","localField":"m","foreignField":"{field}","as":"found"}}}},
                {{"$project":{{"_id":0,"n":{{"$pluck":["$found","n"]}}}}}}]"#
        );
        let lookup = pipeline(&lookup).limits(few);
        let rows = docs.aggregate(&lookup).unwrap().into_iter();
        let rows: Vec<_> = rows.map(|row| row["n"].to_json()).collect();
        assert_eq!(rows, ["[998]", "[999]", "[]", "[]", "[]"], "{field}");
    }
}

#[test]
fn a_sort_behind_the_first_match_is_by_an_index_where_there_is_one() {
    let db = in_memory();
    let flights = flights(&db);
    for n in 0..1000 {
        let flight: [(&str, Value); 2] = [("carrier", "XX".into()), ("delay", (n % 50).into())];
        flights.insert_with_id(n + 100, flight).unwrap();
    }
    let ask = pipeline(
        r#"[{"$match":{"carrier":"UA"}},{"$sort":{"delay":-1}},{"$limit":2},{"$project":{"delay":1}}]"#,
    );
    let most =
        pipeline(r#"[{"$sort":{"delay":-1}},{"$skip":1},{"$limit":2},{"$project":{"delay":1}}]"#);
    let expected = [r#"{"_id":3,"delay":40}"#, r#"{"_id":1,"delay":2}"#];
    // Equal delays: the ids descend as the delays do.
    let expected_most = [r#"{"_id":1049,"delay":49}"#, r#"{"_id":999,"delay":49}"#];
    let plan = |ask| flights.view().unwrap().explain_aggregate(ask).unwrap();
    assert_eq!(json(flights.aggregate(&ask).unwrap()), expected);
    assert_eq!(json(flights.aggregate(&most).unwrap()), expected_most);
    assert!(plan(&ask).to_string().contains("scan"), "{}", plan(&ask));

    let by = [Path::field("carrier"), Path::field("delay")];
    flights
        .create_index(IndexDefinition::btree("by", by))
        .unwrap();
    let delay = IndexDefinition::btree("by_delay", [Path::field("delay")]);
    flights.create_index(delay).unwrap();
    assert_eq!(json(flights.aggregate(&ask).unwrap()), expected);
    assert_eq!(json(flights.aggregate(&most).unwrap()), expected_most);
    let steps: Vec<_> = plan(&ask).steps.into_iter().map(|step| step.name).collect();
    assert_eq!(steps, ["$project", "$limit", "filter", "ranges"]);
    let steps: Vec<_> = plan(&most)
        .steps
        .into_iter()
        .map(|step| step.name)
        .collect();
    assert_eq!(steps, ["$project", "$limit", "$skip", "ranges"]);
}

#[test]
fn a_sort_that_would_keep_too_much_is_named() {
    let db = in_memory();
    let flights = flights(&db);
    let few = Limits {
        rows_max: 2,
        ..Limits::default()
    };
    let sort = pipeline(r#"[{"$sort":{"delay":1}},{"$count":"n"}]"#).limits(few);
    let refused = flights.aggregate(&sort).unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Limit);
    assert!(refused.to_string().starts_with("$sort: "), "{refused}");
}

#[test]
fn out_replaces_what_a_collection_holds() {
    let db = in_memory();
    let flights = flights(&db);
    let out = pipeline(
        r#"[{"$match":{"carrier":{"$ne":null}}},
            {"$group":{"_id":"$carrier","worst":{"$max":"$delay"}}},{"$out":"worst"}]"#,
    );
    let answer = json(flights.aggregate(&out).unwrap());
    assert_eq!(answer, [r#"{"collection":"worst","documents":3}"#]);
    let worst = db.collection("worst").unwrap();
    let expected = [
        r#"{"_id":"AA","worst":40}"#,
        r#"{"_id":"B6","worst":-1}"#,
        r#"{"_id":"UA","worst":40}"#,
    ];
    assert_eq!(documents(&worst), expected);
    // What was there before is gone, be it of another id.
    worst.insert_with_id("ZZ", [("worst", 1.into())]).unwrap();
    flights.delete(2).unwrap();
    flights.aggregate(&out).unwrap();
    assert_eq!(documents(&worst), expected[1..]);
    // Whole documents keep their ids; the rest of their metadata is the database's to say.
    let copy = pipeline(r#"[{"$match":{"carrier":"UA"}},{"$out":"worst"}]"#);
    flights.aggregate(&copy).unwrap();
    assert_eq!(
        documents(&worst),
        [
            r#"{"_id":1,"carrier":"UA","delay":2}"#,
            r#"{"_id":3,"carrier":"UA","delay":40}"#
        ]
    );
    // Into itself, and without ids.
    let sums = r#"[{"$group":{"_id":null,"n":{"$count":{}}}},{"$out":"flights"}]"#;
    flights.aggregate(&pipeline(sums)).unwrap();
    assert_eq!(flights.count().unwrap(), 1);
}

#[test]
fn out_writes_more_than_one_batch() {
    let db = in_memory();
    let numbers = create(&db, "numbers");
    for n in 0..2500 {
        numbers.insert_with_id(n, [("n", n.into())]).unwrap();
    }
    let answer = numbers
        .aggregate(&pipeline(r#"[{"$out":"copy"}]"#))
        .unwrap();
    assert_eq!(json(answer), [r#"{"collection":"copy","documents":2500}"#]);
    let copy = db.collection("copy").unwrap();
    assert_eq!(copy.count().unwrap(), 2500);
    assert_eq!(documents(&copy)[2499], r#"{"_id":2499,"n":2499}"#);
}

#[test]
fn out_that_cannot_be_written_changes_nothing_and_says_why() {
    let db = in_memory();
    let (flights, carriers) = (flights(&db), carriers(&db));
    let view = flights.view().unwrap();
    let out = pipeline(r#"[{"$out":"carriers"}]"#);
    assert_eq!(
        error(view.aggregate(&out)),
        "$out: the rows cannot be written into \"carriers\" from a view of \"flights\", which is \
         read-only; run the pipeline on the collection itself"
    );
    let twice =
        r#"[{"$project":{"_id":"$carrier"}},{"$match":{"_id":{"$ne":null}}},{"$out":"carriers"}]"#;
    assert_eq!(
        error(flights.aggregate(&pipeline(twice))),
        "$out: row 2: another row has the id UA too"
    );
    let map = r#"[{"$group":{"_id":{"a":"$carrier"}}},{"$out":"carriers"}]"#;
    let said = error(flights.aggregate(&pipeline(map)));
    assert!(said.starts_with("$out: row 0: its _id cannot be"), "{said}");
    assert!(said.contains("$by"), "{said}");
    let keyed = flights.with(Call::new().idempotency_key("once"));
    assert!(error(keyed.aggregate(&out)).contains("idempotency key"));
    assert_eq!(carriers.count().unwrap(), 2);
}

#[test]
fn a_row_that_the_schema_refuses_is_named_before_anything_is_written() {
    let db = in_memory();
    let flights = flights(&db);
    let schema = r#"{"fields":[{"name":"delay","type":"int","maximum":7}]}"#;
    let schema = serde_json::from_str(schema).unwrap();
    let definition = Definition::new("punctual").schema(schema);
    let punctual = db.create_collection(definition).unwrap().value;
    punctual.insert([("delay", 1.into())]).unwrap();
    let out = r#"[{"$sort":{"_id":1}},{"$out":"punctual"}]"#;
    match flights.aggregate(&pipeline(out)) {
        Err(Error::Refused {
            operation: 1,
            refusal,
        }) => {
            assert!(refusal.to_string().contains("delay"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(punctual.count().unwrap(), 1);
}

#[test]
fn a_row_that_is_too_long_for_an_index_is_named_before_anything_is_written() {
    let db = in_memory();
    let long = "x".repeat(9000);
    let texts = filled(&db, "texts", &[&format!(r#"{{"_id":1,"text":"{long}"}}"#)]);
    let index = IndexDefinition::btree("by_text", [Path::field("text")]);
    let short = filled(&db, "short", &[r#"{"_id":2,"text":"x"}"#]);
    short.create_index(index).unwrap();
    for output in ["out", "merge"] {
        let pipeline = pipeline(&format!(r#"[{{"${output}":"short"}}]"#));
        let said = error(texts.aggregate(&pipeline));
        assert!(said.contains("by_text"), "{said}");
        assert_eq!(documents(&short), [r#"{"_id":2,"text":"x"}"#], "{output}");
    }
}
