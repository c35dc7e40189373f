//! Many changes in one request.

use serde_json::{Value as Json, json};

use crate::harness::{Reply, Served, THINGS, served, with_things};

const BATCH: &str = "/v1/batch";

fn batch(served: &Served, body: &Json) -> Reply {
    served.post(BATCH, &body.to_string())
}

#[test]
fn every_operation_in_one_batch() {
    let served = with_things();
    served.put(&format!("{THINGS}/old"), r#"{"n":1}"#);
    served.put(&format!("{THINGS}/gone"), "{}");
    let reply = batch(
        &served,
        &json!({ "operations": [
            { "op": "insert", "collection": "things", "document": { "n": 1 } },
            { "op": "insert", "collection": "things", "document": { "_id": 7, "n": 2 } },
            { "op": "insert", "collection": "things", "id": "named", "document": { "n": 3 } },
            { "op": "put", "collection": "things", "id": "put", "document": { "n": 4 } },
            { "op": "replace", "collection": "things", "id": "put", "document": { "n": 5 } },
            { "op": "patch", "collection": "things", "id": "old", "patch": { "m": 6 } },
            { "op": "patch", "collection": "things", "id": "old", "patch": { "m": 7 },
              "expected": { "m": 6 } },
            { "op": "delete", "collection": "things", "id": "gone" },
        ] }),
    );
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = reply.json();
    let results = answer["results"].as_array().unwrap();
    let statuses: Vec<_> = results
        .iter()
        .map(|one| one["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [201, 201, 201, 201, 200, 200, 200, 200]);
    assert_eq!(results[1]["id"], 7);
    assert_eq!(
        (&results[6]["id"], &results[6]["version"]),
        (&json!("old"), &json!(3))
    );
    assert_eq!(reply.header("velocity-index"), answer["index"].to_string());
    assert_eq!(reply.header("velocity-durability"), "memory");
    let old = served.get(&format!("{THINGS}/old")).json();
    assert_eq!((&old["n"], &old["m"]), (&json!(1), &json!(7)));
    assert_eq!(served.get(&format!("{THINGS}/put")).json()["n"], 5);
    // All of it is one entry of the log.
    assert_eq!(old["_index"], answer["index"]);
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        5
    );
}

#[test]
fn an_atomic_batch_is_refused_whole_and_names_the_operation() {
    let served = with_things();
    let put = |id: &str| json!({ "op": "put", "collection": "things", "id": id, "document": {} });
    let missing = json!({ "op": "delete", "collection": "things", "id": "none" });
    let reply = batch(
        &served,
        &json!({ "operations": [put("a"), put("b"), missing, put("c")] }),
    );
    assert_eq!(reply.problem(404, "not_found")["operation"], 2);
    let elsewhere = json!({ "op": "delete", "collection": "none", "id": "a" });
    batch(&served, &json!({ "operations": [put("a"), elsewhere] }))
        .problem(404, "unknown_collection");
    let unlike = json!({ "op": "patch", "collection": "things", "id": "a", "patch": {},
        "expected": { "n": 1 } });
    let reply = batch(&served, &json!({ "operations": [put("a"), unlike] }));
    assert_eq!(reply.problem(409, "condition_failed")["operation"], 1);
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        0
    );
}

#[test]
fn each_operation_by_itself() {
    let served = with_things();
    let reply = batch(
        &served,
        &json!({ "mode": "each", "operations": [
            { "op": "insert", "collection": "things", "id": "a", "document": {} },
            { "op": "insert", "collection": "things", "id": "a", "document": {} },
            { "op": "delete", "collection": "none", "id": "a" },
            { "op": "delete", "collection": "things", "id": "none" },
            { "op": "insert", "collection": "things", "id": "b", "document": {} },
        ] }),
    );
    assert_eq!(reply.status, 200);
    let results = reply.json()["results"].clone();
    let codes: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].clone())
        .collect();
    let none = Json::Null;
    let expected = [
        none.clone(),
        json!("already_exists"),
        json!("unknown_collection"),
        json!("not_found"),
        none,
    ];
    assert_eq!(codes, expected);
    assert_eq!(results[1]["status"], 409);
    assert!(
        results[3]["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty())
    );
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        2
    );
}

#[test]
fn a_batch_with_a_key_is_made_once() {
    let served = with_things();
    let body = r#"{"operations":[{"op":"insert","collection":"things","document":{"n":1}}]}"#;
    let once = || served.ask("POST", BATCH, &[("idempotency-key", "k")], body);
    let (first, again) = (once(), once());
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("velocity-repeated"), "true");
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        1
    );
}

#[test]
fn batches_that_make_no_sense() {
    let served = with_things();
    for (operation, code) in [
        (
            json!({ "op": "insert", "collection": "things" }),
            "invalid_request",
        ),
        (
            json!({ "op": "put", "collection": "things", "document": {} }),
            "invalid_request",
        ),
        (
            json!({ "op": "delete", "collection": "things" }),
            "invalid_request",
        ),
        (
            json!({ "op": "delete", "collection": "things", "id": "a", "document": {} }),
            "invalid_request",
        ),
        (
            json!({ "op": "patch", "collection": "things", "id": "a" }),
            "invalid_request",
        ),
        (
            json!({ "op": "patch", "collection": "things", "id": "a", "patch": {}, "expected": 1 }),
            "invalid_request",
        ),
        (
            json!({ "op": "put", "collection": "things", "id": "a", "document": [] }),
            "invalid_json",
        ),
        (
            json!({ "op": "put", "collection": "things", "id": "a", "document": { "_id": "b" } }),
            "invalid_id",
        ),
        (
            json!({ "op": "put", "collection": "things", "id": [1], "document": {} }),
            "invalid_id",
        ),
    ] {
        let fine = json!({ "op": "put", "collection": "things", "id": "fine", "document": {} });
        let reply = batch(&served, &json!({ "operations": [fine, operation] }));
        let problem = reply.problem(400, code);
        assert_eq!(problem["operation"], 1, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("operation 1: "), "{detail}");
    }
    for body in [
        "[]",
        "{}",
        r#"{"operations":[]}"#,
        r#"{"operations":[1]}"#,
        r#"{"operations":[{"op":"upsert","collection":"things"}]}"#,
        r#"{"operations":[],"mode":"all"}"#,
    ] {
        served.post(BATCH, body).problem(400, "invalid_request");
    }
    served
        .post(BATCH, r#"{"operations":"#)
        .problem(400, "invalid_json");
    let one = r#"{"op":"delete","collection":"things","id":1},"#;
    let many = one.repeat(10_001);
    let many = format!(r#"{{"operations":[{}]}}"#, many.trim_end_matches(','));
    served.post(BATCH, &many).problem(400, "invalid_request");
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        0
    );
}

/// A document in a batch may be as deep as one that comes alone.
#[test]
fn deep_documents_in_a_batch() {
    let served = served();
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let put = |depth| {
        let document = nested(depth);
        let operation =
            format!(r#"{{"op":"put","collection":"things","id":1,"document":{document}}}"#);
        served.post(BATCH, &format!(r#"{{"operations":[{operation}]}}"#))
    };
    assert_eq!(served.put(&format!("{THINGS}/x"), &nested(127)).status, 201);
    assert_eq!(put(127).status, 200, "the same as alone");
    put(10_000).problem(400, "invalid_json");
}
