//! Entity tags, compare-and-swap: writes that hold only in a known state.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::harness::{THINGS, with_things};

#[test]
fn reads_that_know_the_document_already() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    let tag = served.put(&path, r#"{"n":1}"#).header("etag").to_owned();
    let weak = format!("W/{tag}");
    for same in [tag.as_str(), &weak, "*", &format!("\"other\", {tag}")] {
        for method in ["GET", "HEAD"] {
            let reply = served.ask(method, &path, &[("if-none-match", same)], "");
            assert_eq!(
                (reply.status.as_u16(), reply.text.as_str()),
                (304, ""),
                "{same}"
            );
            assert_eq!(reply.header("etag"), tag);
        }
    }
    let other = served.ask("GET", &path, &[("if-none-match", "\"0\"")], "");
    assert_eq!(
        (other.status.as_u16(), &other.json()["n"]),
        (200, &json!(1))
    );
    assert_eq!(
        served.ask("GET", &path, &[("if-match", &tag)], "").status,
        200
    );
    let reply = served.ask("GET", &path, &[("if-match", "\"0\"")], "");
    reply.problem(412, "precondition_failed");
    served.put(&path, r#"{"n":2}"#);
    assert_eq!(
        served
            .ask("GET", &path, &[("if-none-match", &tag)], "")
            .json()["n"],
        2
    );
}

#[test]
fn writes_of_the_state_that_was_read() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    let tag = |text: &str| served.put(&path, text).header("etag").to_owned();
    for (method, body, status) in [
        ("PUT", r#"{"n":2}"#, 200),
        ("PATCH", r#"{"m":2}"#, 200),
        ("DELETE", "", 204),
    ] {
        let old = tag(r#"{"n":0}"#);
        let new = tag(r#"{"n":1}"#);
        for wrong in [old.as_str(), "\"foreign\"", &format!("W/{new}"), "\"0\""] {
            let refused = served.ask(method, &path, &[("if-match", wrong)], body);
            refused.problem(412, "precondition_failed");
        }
        assert_eq!(served.get(&path).header("etag"), new, "nothing was changed");
        let done = served.ask(method, &path, &[("if-match", &new)], body);
        assert_eq!(done.status, status, "{done:?}");
        let again = served.ask(method, &path, &[("if-match", &new)], body);
        again.problem(412, "precondition_failed");
    }
    // The document is gone now.
    for method in ["PUT", "PATCH", "DELETE"] {
        let body = if method == "DELETE" { "" } else { "{}" };
        let refused = served.ask(method, &path, &[("if-match", "*")], body);
        refused.problem(412, "precondition_failed");
    }
    let create = [("if-none-match", "*")];
    assert_eq!(served.ask("PUT", &path, &create, "{}").status, 201);
    served
        .ask("PUT", &path, &create, "{}")
        .problem(412, "precondition_failed");
    assert_eq!(
        served.ask("PUT", &path, &[("if-match", "*")], "{}").status,
        200
    );
    assert_eq!(
        served.ask("DELETE", &path, &[("if-match", "*")], "").status,
        204
    );
}

#[test]
fn conditions_that_make_no_sense() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    for (method, path, headers) in [
        ("PUT", path.as_str(), &[("if-match", "\"1\", \"2\"")][..]),
        ("PUT", &path, &[("if-match", "1")]),
        ("PUT", &path, &[("if-none-match", "\"1\"")]),
        ("PUT", &path, &[("if-none-match", "*"), ("if-match", "*")]),
        ("PATCH", &path, &[("if-none-match", "*")]),
        ("POST", THINGS, &[("if-match", "*")]),
        (
            "POST",
            &format!("{path}/compare-and-swap"),
            &[("if-match", "*")],
        ),
    ] {
        let reply = served.ask(method, path, headers, "{}");
        reply.problem(400, "invalid_header");
    }
    let reply = served.ask("DELETE", &path, &[("if-none-match", "*")], "");
    reply.problem(400, "invalid_header");
}

#[test]
fn compare_and_swap() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    served.put(&path, r#"{"state":"waiting","n":1,"deep":{"x":1}}"#);
    let swap = |body: &str| served.post(&format!("{path}/compare-and-swap"), body);

    let won = swap(
        r#"{"expected":{"state":"waiting","deep.x":1.0},"update":{"state":"running","n":null}}"#,
    );
    assert_eq!(won.status, 200, "{won:?}");
    let document = won.json();
    assert_eq!(
        (&document["state"], &document["_version"]),
        (&json!("running"), &json!(2))
    );
    assert!(document.get("n").is_none());
    assert_eq!(won.header("etag"), format!("\"{}\"", document["_index"]));
    assert_eq!(served.get(&path).json(), document);

    let lost = swap(r#"{"expected":{"state":"waiting"},"update":{"state":"stolen"}}"#);
    let problem = lost.problem(409, "condition_failed");
    assert_eq!(problem["current"], document);
    assert!(problem["detail"].as_str().unwrap().contains("running"));

    let by_version = swap(r#"{"expected":{"_version":2},"update":{"k":1}}"#);
    assert_eq!(by_version.json()["_version"], 3);
    let old = swap(r#"{"expected":{"_version":2},"update":{"k":2}}"#);
    assert_eq!(old.problem(409, "condition_failed")["current"]["k"], 1);
    // Absent is met by null.
    assert_eq!(
        swap(r#"{"expected":{"absent":null},"update":{"absent":1}}"#).status,
        200
    );

    for bad in [
        "[]",
        "{}",
        r#"{"expected":{"a":1}}"#,
        r#"{"expected":{},"update":{}}"#,
        r#"{"expected":{"a":1},"update":{},"more":1}"#,
        r#"{"expected":{"a":1},"update":1}"#,
        r#"{"expected":{"_version":1,"a":1},"update":{}}"#,
        r#"{"expected":{"_version":-1},"update":{}}"#,
        r#"{"expected":{"a..b":1},"update":{}}"#,
    ] {
        swap(bad).problem(400, "invalid_request");
    }
    served
        .post(
            &format!("{THINGS}/none/compare-and-swap"),
            r#"{"expected":{"a":1},"update":{}}"#,
        )
        .problem(404, "not_found");
}

#[test]
fn one_of_many_wins_each_round() {
    let served = with_things();
    let path = format!("{THINGS}/counter");
    served.put(&path, r#"{"n":0}"#);
    let (rounds, wins) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (served, path, rounds, wins) = (&served, &path, &rounds, &wins);
            scope.spawn(move || {
                while rounds.fetch_add(1, Ordering::Relaxed) < 200 {
                    let now = served.get(path);
                    let n = now.json()["n"].as_u64().unwrap();
                    let reply = if thread % 2 == 0 {
                        let tag = now.header("etag");
                        let body = json!({"n": n + 1}).to_string();
                        served.ask("PUT", path, &[("if-match", tag)], &body)
                    } else {
                        let body = json!({"expected": {"n": n}, "update": {"n": n + 1}});
                        served.post(&format!("{path}/compare-and-swap"), &body.to_string())
                    };
                    match reply.status.as_u16() {
                        200 => drop(wins.fetch_add(1, Ordering::Relaxed)),
                        409 | 412 => {}
                        other => panic!("{other}: {reply:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(served.get(&path).json()["n"], wins.load(Ordering::Relaxed));
    assert!(wins.load(Ordering::Relaxed) > 0);
}

#[test]
fn declared_fields_are_expected_as_they_were_read() {
    let served = with_things();
    let definition = json!({"name": "typed", "schema": {"fields": [
        {"name": "price", "type": "decimal"}, {"name": "at", "type": "time"},
        {"name": "day", "type": "date"}, {"name": "owner", "type": "uuid"},
        {"name": "raw", "type": "bytes"}]}});
    served.post("/v1/collections", &definition.to_string());
    let path = "/v1/collections/typed/documents/a";
    served.put(
        path,
        r#"{"price":"9.90","at":"2026-11-30T12:00:00+01:00","day":"2026-11-30","raw":"AP8=",
            "owner":"0191e0a4-7b7c-7000-8000-000000000001"}"#,
    );
    for name in ["price", "at", "day", "owner", "raw"] {
        let read = served.get(path).json()[name].clone();
        let swap = json!({"expected": {name: read}, "update": {"seen": name}});
        let reply = served.post(&format!("{path}/compare-and-swap"), &swap.to_string());
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    for name in ["_id", "_index"] {
        let swap = json!({"expected": {name: null}, "update": {}});
        let reply = served.post(&format!("{path}/compare-and-swap"), &swap.to_string());
        let problem = reply.problem(400, "invalid_request");
        assert!(
            problem["detail"].as_str().unwrap().contains(name),
            "{problem}"
        );
    }
}
