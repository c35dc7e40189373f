//! Indexes of a collection: made, looked at, dropped.

use serde_json::json;

use crate::harness::{Served, with_things};

const INDEXES: &str = "/v1/collections/things/indexes";

fn filled(served: &Served) {
    for id in 0..20 {
        let body = json!({ "n": id % 4, "state": "waiting" }).to_string();
        served.put(&format!("/v1/collections/things/documents/{id}"), &body);
    }
}

#[test]
fn an_index_comes_is_used_and_goes() {
    let served = with_things();
    filled(&served);
    let body = json!({ "name": "by n", "kind": "btree",
        "fields": [{ "path": "n", "direction": "desc" }, "state"], "filter": "n > 0" });
    let made = served.post(INDEXES, &body.to_string());
    assert_eq!(made.status, 422, "{made:?}");
    let body = json!({ "name": "by_n", "kind": "btree",
        "fields": [{ "path": "n", "direction": "desc" }, "state"] });
    let made = served.post(INDEXES, &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let location = made.header("location").to_owned();
    assert_eq!(made.json()["entries"], 20);
    assert_eq!(made.header("velocity-durability"), "memory");
    let shown = served.get(&location).json();
    assert_eq!(
        (&shown["name"], &shown["uses"]),
        (&json!("by_n"), &json!(0))
    );
    assert_eq!(shown["building"], json!(null));
    let find = r#"{"filter":{"n":2},"hint":"by_n"}"#;
    let found = served.post("/v1/collections/things/find", find).json();
    assert_eq!(found["documents"].as_array().unwrap().len(), 5);
    let all = served.get(INDEXES);
    let shown = &all.json()["indexes"][0];
    assert_eq!(shown["uses"], 1);
    assert!(shown["used_at"].is_string());
    assert_eq!(
        all.header("velocity-index"),
        all.json()["index"].to_string()
    );
    // The definition of the collection has it, too.
    let described = served.get("/v1/collections/things").json();
    assert_eq!(described["indexes"][0]["name"], "by_n");
    served
        .post(INDEXES, &body.to_string())
        .problem(409, "index_exists");
    let rebuild = format!("{location}/rebuild");
    let rebuilt = served.post(&rebuild, "");
    assert_eq!(rebuilt.status, 200, "{rebuilt:?}");
    assert_eq!(rebuilt.json()["entries"], 20);
    assert_eq!(rebuilt.json()["uses"], 1);
    assert_eq!(served.ask("DELETE", &location, &[], "").status, 204);
    served.post(&rebuild, "").problem(404, "unknown_index");
    served
        .ask("DELETE", &location, &[], "")
        .problem(404, "unknown_index");
    served.get(&location).problem(404, "unknown_index");
    assert_eq!(served.get(INDEXES).json()["indexes"], json!([]));
    served
        .post("/v1/collections/things/find", find)
        .problem(400, "invalid_request");
}

#[test]
fn what_can_be_no_index_is_refused() {
    let served = with_things();
    filled(&served);
    for bad in [
        json!({ "name": "x", "fields": ["n"] }),
        json!({ "name": "x", "kind": "tree", "fields": ["n"] }),
        json!({ "name": "x", "kind": "btree", "fields": [] }),
        json!({ "name": "", "kind": "btree", "fields": ["n"] }),
        json!({ "name": "x", "kind": "btree", "fields": ["n"], "filter": "n >" }),
        json!(["x"]),
    ] {
        served
            .post(INDEXES, &bad.to_string())
            .problem(422, "invalid_definition");
    }
    served.post(INDEXES, "{").problem(400, "invalid_json");
    let unique = json!({ "name": "x", "kind": "hash", "fields": ["n"], "unique": true });
    served
        .post(INDEXES, &unique.to_string())
        .problem(409, "unique_violation");
    assert_eq!(served.get(INDEXES).json()["indexes"], json!([]));
    served
        .get("/v1/collections/none/indexes")
        .problem(404, "unknown_collection");
}

#[test]
fn every_kind_of_index_is_described() {
    let served = with_things();
    filled(&served);
    for index in [
        json!({ "name": "a", "kind": "hash", "fields": ["n"], "filter": "n > 1" }),
        json!({ "name": "b", "kind": "unique_hash", "fields": ["mail"] }),
        json!({ "name": "c", "kind": "btree", "fields": [{ "path": "tags", "elements": true }] }),
        json!({ "name": "d", "kind": "geo", "fields": ["place"] }),
    ] {
        let made = served.post(INDEXES, &index.to_string());
        assert_eq!(made.status, 201, "{index}: {made:?}");
    }
    let shown = served.get(INDEXES).json();
    let names = shown["indexes"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}

#[test]
fn a_time_series_index_tells_its_partitions() {
    let served = with_things();
    let readings = json!({ "name": "readings",
        "schema": { "fields": [{ "name": "at", "type": "time" }] } });
    let made = served.post("/v1/collections", &readings.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let indexes = "/v1/collections/readings/indexes";
    let time = |text: &str| json!({ "at": text }).to_string();
    let document = |id: &str| format!("/v1/collections/readings/documents/{id}");
    for (id, at) in [("a", "2100-01-01T10:10:00Z"), ("b", "2100-01-01T10:50:00Z")] {
        served.put(&document(id), &time(at));
    }
    served.put(&document("old"), &time("2001-01-01T00:00:00Z"));
    let body = json!({ "name": "by_time", "kind": "time_series", "fields": ["at"],
        "partition": "1h", "retention": "7d" });
    let made = served.post(indexes, &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        made.json()["partitions"],
        json!([{ "from": "2100-01-01T10:00:00Z", "to": "2100-01-01T11:00:00Z", "entries": 2,
            "kept_until": "2100-01-08T11:00:00Z" }])
    );
    let kept = served.get(&document("a")).json();
    assert_eq!(kept["_expires_at"], "2100-01-08T11:00:00Z");
    served.get(&document("old")).problem(404, "not_found");
    let told = served.put(&document("old"), &time("2001-01-01T00:00:00Z"));
    told.problem(422, "beyond_retention");
    let body = json!({ "name": "other", "kind": "btree", "fields": ["at"], "retention": "7" });
    let told = served.post(indexes, &body.to_string());
    told.problem(422, "invalid_definition");
}

#[test]
fn an_index_of_an_expression_is_of_documents_from_every_door() {
    let served = with_things();
    let body = json!({ "name": "by_name", "kind": "btree", "unique": true,
        "fields": [{ "expression": "lower(name)" }, "n"] });
    let made = served.post(INDEXES, &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let location = made.header("location").to_owned();
    let shown = served.get(&location).json();
    let field = json!({ "expression": "lower(name)", "direction": "asc" });
    assert_eq!(shown["fields"], json!([field, "n"]));
    const THINGS: &str = "/v1/collections/things/documents";
    assert_eq!(served.post(THINGS, r#"{"name":"Ada","n":1}"#).status, 201);
    let taken = served.post(THINGS, r#"{"name":"ADA","n":1}"#);
    taken.problem(409, "unique_violation");
    let no_value = served.post(THINGS, r#"{"name":7,"n":1}"#);
    no_value.problem(422, "no_index_value");
    for wrong in [
        json!({ "path": "a", "expression": "lower(a)" }),
        json!({ "expression": "reverse(a)" }),
        json!({ "expression": "1 + 1" }),
    ] {
        let body = json!({ "name": "wrong", "kind": "btree", "fields": [wrong] });
        assert_eq!(served.post(INDEXES, &body.to_string()).status, 422);
    }
}
