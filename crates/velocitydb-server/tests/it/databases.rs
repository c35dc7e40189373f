//! Databases over HTTP, and the same ones by SQL.

use serde_json::json;

use crate::harness::{Reply, Served, served};

const DATABASES: &str = "/v1/databases";

fn delete(served: &Served, path: &str) -> Reply {
    served.ask("DELETE", path, &[], "")
}

#[test]
fn a_database_is_made_used_and_dropped() {
    let served = served();
    let made = served.post(DATABASES, r#"{"name": "shop & co"}"#);
    assert_eq!(made.status, 201);
    let shop = made.header("location").to_owned();
    assert_eq!(shop, "/v1/databases/shop%20%26%20co");
    served
        .post(DATABASES, r#"{"name": "shop & co"}"#)
        .problem(409, "database_exists");
    served
        .post(DATABASES, r#"{"name": "a/b"}"#)
        .problem(422, "invalid_definition");
    let listed = served.get(DATABASES).json();
    let names = ["velocity", "postgres", "shop & co"].map(|name| json!({ "name": name }));
    assert_eq!(listed, json!({ "databases": names }));

    // All that is under /v1 for the one is under its path for the other.
    let made = served.post(&format!("{shop}/collections"), r#"{"name": "things"}"#);
    assert_eq!(
        made.header("location"),
        format!("{shop}/collections/things")
    );
    let put = format!("{shop}/collections/things/documents/a");
    assert_eq!(served.put(&put, r#"{"n": 1}"#).status, 201);
    served
        .get("/v1/collections/things/documents/a")
        .problem(404, "unknown_collection");
    assert_eq!(served.get(&put).json()["n"], 1);
    let found = served.post(&format!("{shop}/collections/things/find"), "{}");
    assert_eq!(found.json()["documents"][0]["_id"], "a");
    let transaction = served.post(&format!("{shop}/transactions"), "");
    let path = transaction.header("location").to_owned();
    assert!(path.starts_with(&shop), "{path}");
    let inside = format!("{path}/collections/things/documents/a");
    assert_eq!(served.get(&inside).json()["n"], 1);
    assert_eq!(delete(&served, &path).status, 204);

    assert_eq!(delete(&served, &shop).status, 204);
    served.get(&put).problem(404, "unknown_database");
    delete(&served, &shop).problem(404, "unknown_database");
    delete(&served, "/v1/databases/velocity").problem(422, "invalid_definition");
}

#[test]
fn what_is_of_the_whole_server_is_in_no_database() {
    let served = served();
    for path in [
        "metrics",
        "health",
        "v1/collections",
        "admin/slow",
        "databases",
        "openapi.json",
    ] {
        let path = format!("/v1/databases/velocity/{path}");
        served.get(&path).problem(404, "no_such_route");
    }
    served
        .get("/v1/databases/velocity/collections?colour=red")
        .problem(400, "invalid_query");
    served
        .get("/v1/databases/none/collections")
        .problem(404, "unknown_database");
    assert_eq!(served.get("/v1/databases/velocity/collections").status, 200);
}
