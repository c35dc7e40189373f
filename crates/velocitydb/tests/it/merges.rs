//! `$merge`: the rows of a pipeline go into a collection that may hold documents already.

use velocitydb::query::Pipeline;
use velocitydb::{
    Call, Collection, Database, Definition, Error, Expiry, IndexDefinition, Key, Options, Path,
    Refusal, Timestamp, Value,
};

use crate::aggregates::{documents, error, filled, json, pipeline};
use crate::support::{SECOND, START, clock, create, in_memory, still};

/// Measurements of three hours, of which one is among the means that are there.
fn measured(db: &Database) -> (Collection, Collection) {
    let raw = filled(
        db,
        "raw",
        &[
            r#"{"_id":1,"hour":1,"v":10}"#,
            r#"{"_id":2,"hour":1,"v":20}"#,
            r#"{"_id":3,"hour":2,"v":5}"#,
            r#"{"_id":4,"hour":3,"v":7}"#,
        ],
    );
    let hourly = filled(
        db,
        "hourly",
        &[
            r#"{"_id":0,"n":9,"note":"old"}"#,
            r#"{"_id":1,"n":1,"note":"kept"}"#,
        ],
    );
    (raw, hourly)
}

/// Counts by hour, merged so.
fn by_hour(how: &str) -> Pipeline {
    pipeline(&format!(
        r#"[{{"$group":{{"_id":"$hour","n":{{"$count":{{}}}}}}}},{{"$merge":{{"into":"hourly"{how}}}}}]"#
    ))
}

#[test]
fn each_row_goes_into_the_document_of_its_id() {
    let zero = r#"{"_id":0,"n":9,"note":"old"}"#;
    let (two, three) = (r#"{"_id":2,"n":1}"#, r#"{"_id":3,"n":1}"#);
    let merged = r#"{"_id":1,"n":2,"note":"kept"}"#;
    let replaced = r#"{"_id":1,"n":2}"#;
    let kept = r#"{"_id":1,"n":1,"note":"kept"}"#;
    let counts = |inserted, replaced, merged, left| {
        format!(
            r#"{{"collection":"hourly","inserted":{inserted},"left":{left},"merged":{merged},"replaced":{replaced}}}"#
        )
    };
    for (how, answer, expected) in [
        ("", counts(2, 0, 1, 0), vec![zero, merged, two, three]),
        (
            r#","on":"_id","whenMatched":"replace""#,
            counts(2, 1, 0, 0),
            vec![zero, replaced, two, three],
        ),
        (
            r#","whenMatched":"keepExisting""#,
            counts(2, 0, 0, 1),
            vec![zero, kept, two, three],
        ),
        (
            r#","whenMatched":"merge","whenNotMatched":"discard""#,
            counts(0, 0, 1, 2),
            vec![zero, merged],
        ),
        (
            r#","whenMatched":"replace","whenNotMatched":"discard""#,
            counts(0, 1, 0, 2),
            vec![zero, replaced],
        ),
    ] {
        let db = in_memory();
        let (raw, hourly) = measured(&db);
        assert_eq!(
            json(raw.aggregate(&by_hour(how)).unwrap()),
            [answer],
            "{how}"
        );
        assert_eq!(documents(&hourly), expected, "{how}");
        // What is done once more is the same.
        raw.aggregate(&by_hour(how)).unwrap();
        assert_eq!(documents(&hourly), expected, "{how}");
    }
}

#[test]
fn what_must_not_match_or_must_is_refused_before_anything_is_written() {
    let db = in_memory();
    let (raw, hourly) = measured(&db);
    let before = documents(&hourly);
    match raw.aggregate(&by_hour(r#","whenMatched":"fail""#)) {
        Err(Error::Refused {
            operation: 0,
            refusal: Refusal::AlreadyExists(document),
        }) => assert_eq!(document.id().to_value(), Value::Int(1)),
        other => panic!("{other:?}"),
    }
    match raw.aggregate(&by_hour(r#","whenNotMatched":"fail""#)) {
        Err(Error::Refused {
            operation: 1,
            refusal: Refusal::NotFound,
        }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(documents(&hourly), before);
    let twice = r#"[{"$sort":{"_id":1}},{"$project":{"_id":"$hour"}},{"$merge":"hourly"}]"#;
    assert_eq!(
        error(raw.aggregate(&pipeline(twice))),
        "$merge: row 1: another row has the id 1 too"
    );
    assert_eq!(
        error(raw.view().unwrap().aggregate(&by_hour(""))),
        "$merge: the rows cannot be written into \"hourly\" from a view of \"raw\", which is \
         read-only; run the pipeline on the collection itself"
    );
    let map = r#"[{"$group":{"_id":{"hour":"$hour"}}},{"$merge":"hourly"}]"#;
    let said = error(raw.aggregate(&pipeline(map)));
    assert!(
        said.starts_with("$merge: row 0: its _id cannot be"),
        "{said}"
    );
    assert!(said.contains("an array of its parts"), "{said}");
    let keyed = raw.with(Call::new().idempotency_key("once"));
    assert!(error(keyed.aggregate(&by_hour(""))).starts_with("$merge makes several writes"));
    assert_eq!(documents(&hourly), before);
}

#[test]
fn a_collection_is_made_for_rows_that_are_inserted() {
    let db = in_memory();
    let (raw, _) = measured(&db);
    let into = |how: &str| {
        let merge = format!(r#"[{{"$unset":"hour"}},{{"$merge":{{"into":"new"{how}}}}}]"#);
        raw.aggregate(&pipeline(&merge))
    };
    let none = into(r#","whenNotMatched":"discard""#).unwrap();
    assert_eq!(
        json(none),
        [r#"{"collection":"new","inserted":0,"left":4,"merged":0,"replaced":0}"#]
    );
    let refused = into(r#","whenNotMatched":"fail""#).unwrap_err();
    assert!(
        matches!(refused, Error::Refused { operation: 0, .. }),
        "{refused}"
    );
    assert!(db.collection("new").is_err());
    into("").unwrap();
    assert_eq!(db.collection("new").unwrap().count().unwrap(), 4);
    // Rows without an id are new ones, each time.
    let nameless = r#"[{"$project":{"_id":0,"v":1}},{"$merge":"new"}]"#;
    raw.aggregate(&pipeline(nameless)).unwrap();
    assert_eq!(db.collection("new").unwrap().count().unwrap(), 8);
    // An id of several values.
    let both = r#"[{"$project":{"_id":["$hour","$v"]}},{"$merge":"both"}]"#;
    raw.aggregate(&pipeline(both)).unwrap();
    let both = db.collection("both").unwrap();
    let id = Key::from_values(&[1.into(), 20.into()]).unwrap();
    assert!(both.get(&id).unwrap().is_some());
    let copy = r#"[{"$sort":{"_id":-1}},{"$limit":1},{"$out":"copy"}]"#;
    both.aggregate(&pipeline(copy)).unwrap();
    let copy = db.collection("copy").unwrap();
    assert_eq!(documents(&copy), [r#"{"_id":[3,7]}"#]);
    // Into itself.
    let itself = r#"[{"$project":{"double":{"$multiply":["$v",2]}}},{"$merge":"raw"}]"#;
    raw.aggregate(&pipeline(itself)).unwrap();
    assert_eq!(
        documents(&raw)[3],
        r#"{"_id":4,"double":14,"hour":3,"v":7}"#
    );
}

#[test]
fn the_document_that_a_row_makes_is_judged_and_not_the_row() {
    let db = in_memory();
    let (raw, _) = measured(&db);
    let schema = r#"{"fields":[{"name":"id","type":"int","required":true},
        {"name":"note","type":"string","required":true},{"name":"n","type":"int","maximum":1}]}"#;
    let schema = serde_json::from_str(schema).unwrap();
    let definition = Definition::new("judged").schema(schema).primary_key("id");
    let judged = db.create_collection(definition).unwrap().value;
    for id in [2, 3] {
        judged
            .insert([("id", id.into()), ("note", "x".into())])
            .unwrap();
    }
    // By the field of the primary key; the note that the row lacks is the document's.
    let merge = |from: &str| {
        let text = format!(
            r#"[{{"$match":{{"hour":{from}}}}},{{"$group":{{"$by":{{"id":"$hour"}},"n":{{"$count":{{}}}}}}}},
                {{"$sort":{{"id":-1}}}},{{"$merge":"judged"}}]"#
        );
        raw.aggregate(&pipeline(&text))
    };
    assert_eq!(
        json(merge(r#"{"$gt":1}"#).unwrap()),
        [r#"{"collection":"judged","inserted":0,"left":0,"merged":2,"replaced":0}"#]
    );
    assert_eq!(
        documents(&judged)[0],
        r#"{"_id":2,"id":2,"n":1,"note":"x"}"#
    );
    // One that would be new lacks it, and nothing of the others is written.
    judged
        .update(3, velocitydb::Update::new().unset("n"))
        .unwrap();
    match merge(r#"{"$gt":0}"#) {
        Err(Error::Refused {
            operation: 2,
            refusal,
        }) => {
            assert!(refusal.to_string().contains("note"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(documents(&judged)[1], r#"{"_id":3,"id":3,"note":"x"}"#);
}

#[test]
fn a_document_that_gets_fields_expires_when_it_did() {
    let clock = clock();
    let db = Database::open(still(Options::in_memory()).clock(clock.clone())).unwrap();
    let rows = filled(&db, "rows", &[r#"{"_id":1,"n":1}"#, r#"{"_id":2,"n":2}"#]);
    let copy = create(&db, "copy");
    let at = |seconds: i64| Expiry::At(Timestamp(START.0 + seconds * SECOND));
    let soon = || {
        copy.with(Call::new().expires(at(10)))
            .upsert(1, [("note", "soon gone".into())])
            .unwrap();
    };
    let expires = |id: i64| copy.get(id).unwrap().unwrap().expires_at();
    let merge = |how: &str, call| {
        let merge = format!(r#"[{{"$merge":{{"into":"copy","whenMatched":"{how}"}}}}]"#);
        rows.with(call).aggregate(&pipeline(&merge)).unwrap();
    };

    soon();
    merge("merge", Call::new());
    assert_eq!(expires(1), Some(Timestamp(START.0 + 10 * SECOND)));
    assert_eq!(expires(2), None);
    merge("merge", Call::new().expires(at(20)));
    assert_eq!(expires(1), Some(Timestamp(START.0 + 20 * SECOND)));
    merge("merge", Call::new().expires(Expiry::Never));
    assert_eq!(expires(1), None);
    soon();
    merge("replace", Call::new());
    assert_eq!(expires(1), None);
}

#[test]
fn a_batch_is_all_or_nothing_and_what_was_refused_can_be_run_again() {
    let db = in_memory();
    let numbers = create(&db, "numbers");
    for n in 0..1500 {
        numbers.insert_with_id(n, [("n", n.into())]).unwrap();
    }
    let copy = filled(&db, "copy", &[r#"{"_id":9999,"n":1200}"#]);
    copy.create_index(IndexDefinition::hash("n", [Path::field("n")]).and_unique())
        .unwrap();
    let merge = pipeline(r#"[{"$sort":{"_id":1}},{"$merge":"copy"}]"#);
    match numbers.aggregate(&merge) {
        Err(Error::Refused {
            operation: 1200,
            refusal: Refusal::Unique { .. },
        }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(copy.count().unwrap(), 1001);
    copy.delete(9999).unwrap();
    assert_eq!(
        json(numbers.aggregate(&merge).unwrap()),
        [r#"{"collection":"copy","inserted":500,"left":0,"merged":1000,"replaced":0}"#]
    );
    assert_eq!(copy.count().unwrap(), 1500);
}

#[test]
fn what_others_write_meanwhile_is_not_lost() {
    let db = in_memory();
    let (raw, hourly) = measured(&db);
    let merge = by_hour("");
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            for _ in 0..500 {
                hourly.increment(1, "hits", 1).unwrap();
            }
        });
        while !other.is_finished() {
            raw.aggregate(&merge).unwrap();
        }
    });
    raw.aggregate(&merge).unwrap();
    assert_eq!(
        documents(&hourly)[1],
        r#"{"_id":1,"hits":500,"n":2,"note":"kept"}"#
    );
}
