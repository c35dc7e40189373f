//! Which collections there are.

use serde_json::json;

use crate::harness::{THINGS, served, with_things};

#[test]
fn a_collection_from_creation_to_drop() {
    let served = served();
    assert_eq!(
        served.get("/v1/collections").json(),
        json!({"collections": []})
    );
    let made = served.post("/v1/collections", r#"{"name":"things"}"#);
    assert_eq!(made.status, 201);
    assert_eq!(made.header("location"), "/v1/collections/things");
    made.header("velocity-index").parse::<u64>().unwrap();
    let shown = made.json();
    assert_eq!(shown["name"], "things");
    assert_eq!(shown["persistence"], "logged");
    assert_eq!(shown["documents"], 0);
    served
        .post("/v1/collections", r#"{"name":"things"}"#)
        .problem(409, "collection_exists");

    served.put(&format!("{THINGS}/a"), r#"{"n":1}"#);
    let shown = served.get("/v1/collections/things").json();
    assert_eq!(shown["documents"], 1);
    let bytes = &shown["bytes"];
    assert!(bytes["documents"].as_u64().unwrap() > 0, "{bytes}");
    let total = bytes["total"].as_u64().unwrap();
    let sum = ["documents", "primary", "indexes"].map(|part| bytes[part].as_u64().unwrap());
    assert_eq!(sum.iter().sum::<u64>(), total);
    let listed = served.get("/v1/collections").json();
    assert_eq!(listed["collections"][0]["documents"], 1);
    assert_eq!(listed["collections"].as_array().unwrap().len(), 1);

    let dropped = served.ask("DELETE", "/v1/collections/things", &[], "");
    assert_eq!((dropped.status.as_u16(), dropped.text.as_str()), (204, ""));
    for path in [
        "/v1/collections/things",
        "/v1/collections/things/count",
        THINGS,
    ] {
        served.get(path).problem(404, "unknown_collection");
    }
    served
        .ask("DELETE", "/v1/collections/things", &[], "")
        .problem(404, "unknown_collection");
    served.post(THINGS, "{}").problem(404, "unknown_collection");
    served
        .put(&format!("{THINGS}/a"), "{}")
        .problem(404, "unknown_collection");
}

#[test]
fn a_definition_is_kept_and_obeyed() {
    let served = served();
    let definition = json!({
        "name": "users",
        "primary_key": "id",
        "schema": {"openness": "strict", "fields": [
            {"name": "id", "type": "int"},
            {"name": "mail", "type": "string", "required": true, "unique": true},
            {"name": "made", "type": "time", "default": "now"},
        ]},
        "indexes": [{"name": "by_made", "fields": ["made"], "kind": "unique_hash"}],
    });
    let made = served.post("/v1/collections", &definition.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let shown = served.get("/v1/collections/users").json();
    for name in ["name", "primary_key"] {
        assert_eq!(shown[name], definition[name]);
    }
    assert_eq!(shown["schema"]["fields"][1]["unique"], true);
    // `unique_hash` is what this was called once.
    let index = json!({"name": "by_made", "fields": ["made"], "kind": "hash", "unique": true});
    assert_eq!(shown["indexes"], json!([index]));

    let users = "/v1/collections/users/documents";
    let made = served.post(users, r#"{"id":7,"mail":"a@b"}"#);
    assert_eq!(made.json()["_id"], 7);
    assert!(made.json()["made"].is_string());
    served
        .post(users, r#"{"id":8,"mail":"a@b"}"#)
        .problem(409, "unique_violation");
    served
        .post(users, r#"{"id":8}"#)
        .problem(422, "schema_violation");
    served
        .post(users, r#"{"id":8,"mail":1}"#)
        .problem(422, "schema_violation");
    served
        .post(users, r#"{"id":8,"mail":"c","x":1}"#)
        .problem(422, "schema_violation");
    served.get(&format!("{users}/x")).problem(400, "invalid_id");
    served
        .ask("PATCH", &format!("{users}/7"), &[], r#"{"mail":null}"#)
        .problem(422, "schema_violation");
}

#[test]
fn names_that_no_path_or_field_can_have() {
    let served = served();
    for (body, what) in [
        (r#"{"name":"."}"#, "needs a character other than"),
        (r#"{"name":".."}"#, "needs a character other than"),
        (
            r#"{"name":"c","primary_key":"_id"}"#,
            "the primary key \"_id\"",
        ),
        (r#"{"name":"c","primary_key":""}"#, "the primary key \"\""),
    ] {
        let problem = served
            .post("/v1/collections", body)
            .problem(422, "invalid_definition");
        assert!(
            problem["detail"].as_str().unwrap().contains(what),
            "{problem}"
        );
    }
    assert_eq!(
        served.post("/v1/collections", r#"{"name":".a"}"#).status,
        201
    );
}

#[test]
fn definitions_that_are_not_sound() {
    let served = with_things();
    for (body, code, status) in [
        (r#"{"name":"a b"}"#, "invalid_definition", 422),
        (r#"{"name":"_a"}"#, "invalid_definition", 422),
        (r#"{"nam":"a"}"#, "invalid_definition", 422),
        (r#"{"name":"a","kind":"graph"}"#, "invalid_definition", 422),
        (
            r#"{"name":"a","schema":{"fields":[{"name":"x","type":"x"}]}}"#,
            "invalid_definition",
            422,
        ),
        (r#"{"name":"a""#, "invalid_json", 400),
    ] {
        let problem = served.post("/v1/collections", body).problem(status, code);
        assert!(problem["detail"].as_str().unwrap().len() > 5, "{problem}");
    }
    assert_eq!(
        served.get("/v1/collections").json()["collections"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_drop_is_as_durable_as_it_is_asked_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let served = crate::harness::Served::at(dir.path());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let level = [("velocity-durability", "full")];
    let dropped = served.ask("DELETE", "/v1/collections/things", &level, "");
    assert_eq!(dropped.status, 204);
    assert_eq!(dropped.header("velocity-durability"), "full");
}

#[test]
fn a_collection_is_altered() {
    let dir = tempfile::tempdir().unwrap();
    let served = crate::harness::Served::at(dir.path());
    let schema = r#"{"fields":[{"name":"old","type":"string"},{"name":"gone","type":"int"}]}"#;
    served.post(
        "/v1/collections",
        &format!(r#"{{"name":"things","schema":{schema}}}"#),
    );
    served.put(&format!("{THINGS}/a"), r#"{"old":"7","gone":1}"#);
    let alter = "/v1/collections/things/alter";
    let asked = r#"{"definition": {"name": "things", "schema": {"fields": [
            {"name": "new", "type": "int"},
            {"name": "state", "type": "string", "default": {"constant": "waiting"}}]}},
        "rename": {"old": "new"}, "drop": ["gone"]}"#;
    let level = [("velocity-durability", "full")];
    let altered = served.ask("POST", alter, &level, asked);
    assert_eq!(altered.status, 200, "{altered:?}");
    assert_eq!(altered.header("velocity-durability"), "full");
    assert_eq!(altered.json()["schema"]["fields"][0]["name"], "new");
    assert_eq!(altered.json()["documents"], 1);
    let document = served.get(&format!("{THINGS}/a")).json();
    assert_eq!(document["new"], 7);
    assert_eq!(document["state"], "waiting");
    assert!(document.get("gone").is_none(), "{document}");

    let misfit = r#"{"definition":{"name":"things","schema":{"fields":[
        {"name":"new","type":"int","minimum":8},{"name":"state","type":"string"}]}}}"#;
    let problem = served.post(alter, misfit).problem(422, "migration_refused");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("minimum is 8, got int 7"), "{detail}");
    assert!(detail.contains("document a:"), "{detail}");
    for (body, what) in [
        (
            r#"{"definition":{"name":"things"},"at":1}"#,
            "unknown field `at`",
        ),
        (r#"{}"#, "missing field `definition`"),
        (r#"[]"#, "expected an alteration"),
    ] {
        let problem = served.post(alter, body).problem(422, "invalid_definition");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(what), "{detail}");
    }
    let body = r#"{"definition":{"name":"nothing"}}"#;
    served
        .post("/v1/collections/nothing/alter", body)
        .problem(404, "unknown_collection");
    let key = [("idempotency-key", "k")];
    let keyed = served.ask("POST", alter, &key, asked);
    keyed.problem(400, "invalid_header");
    let renamed = served.post(alter, r#"{"definition":{"name":"others"}}"#);
    assert_eq!(renamed.json()["name"], "others");
    let document = "/v1/collections/others/documents/a";
    assert_eq!(served.get(document).json()["new"], 7);
    served
        .get("/v1/collections/things")
        .problem(404, "unknown_collection");
}
