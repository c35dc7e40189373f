//! What is refused, and how it is said.

use serde_json::json;
use velocitydb::Database;

use crate::harness::{Served, THINGS, config, logged, put_head, served, with_things};

#[test]
fn bodies_that_are_not_json() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    for (body, line, column) in [
        ("{\n  \"a\": 1,\n  \"b\": }", 3, 8),
        ("{\"a\":1}}", 1, 8),
        ("{\"a\":1,\"a\":2}", 1, 10),
        ("[1]", 1, 1),
        ("nul", 1, 3),
    ] {
        let problem = served.put(&path, body).problem(400, "invalid_json");
        assert_eq!(
            (&problem["line"], &problem["column"]),
            (&json!(line), &json!(column)),
            "{body}"
        );
    }
    for method in ["PUT", "PATCH"] {
        served
            .ask(method, &path, &[], "{")
            .problem(400, "invalid_json");
    }
    for depth in [200, 10_000, 100_000] {
        let deep = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for (method, path) in [("PUT", &*path), ("PATCH", &*path), ("POST", THINGS)] {
            let reply = served.ask(method, path, &[], &deep);
            let problem = reply.problem(400, "invalid_json");
            assert!(
                problem["detail"].as_str().unwrap().contains("deep"),
                "{problem}"
            );
        }
    }
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let alter = "/v1/collections/things/alter";
    for (path, body) in [
        (alter, format!(r#"{{"definition":{deep}}}"#)),
        ("/v1/transactions", format!(r#"{{"isolation":{deep}}}"#)),
        ("/v1/batch", format!(r#"{{"operations":{deep}}}"#)),
    ] {
        let reply = served.post(path, &body);
        assert!(matches!(reply.status.as_u16(), 400 | 422), "{reply:?}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    served
        .post("/v1/collections", &deep)
        .problem(422, "invalid_definition");
    let mut raw = served.connect();
    raw.send(&put_head(&path, 0));
    raw.reply().problem(400, "invalid_json");
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        0
    );
}

#[test]
fn a_body_that_is_not_utf8() {
    let served = with_things();
    let mut raw = served.connect();
    raw.send(&put_head(&format!("{THINGS}/a"), 5));
    raw.send_bytes(b"{\n\"\xff\"");
    let problem = raw.reply().problem(400, "invalid_json");
    assert_eq!(
        (&problem["line"], &problem["column"]),
        (&json!(2), &json!(2))
    );
}

#[test]
fn bodies_that_are_too_large() {
    let mut config = config();
    config.body_bytes_max = 1_000;
    let served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let path = format!("{THINGS}/a");
    let body = |bytes: usize| format!("{{\"s\":\"{}\"}}", "x".repeat(bytes - 8));
    assert_eq!(served.put(&path, &body(1_000)).status, 201);
    served
        .put(&path, &body(1_001))
        .problem(413, "body_too_large");
    // Announced: refused before any of it is read.
    let mut raw = served.connect();
    raw.send(&put_head(&path, 1 << 40));
    raw.reply().problem(413, "body_too_large");
    // Not announced.
    let mut raw = served.connect();
    let head = put_head(&path, 0).replace("content-length: 0", "transfer-encoding: chunked");
    raw.send(&head);
    raw.send(&format!("{:x}\r\n{}\r\n", 1_500, "x".repeat(1_500)));
    raw.reply().problem(413, "body_too_large");
}

#[test]
fn a_refusal_does_not_cost_the_connection() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    let mut raw = served.connect();
    for (from, to, status) in [
        ("host: localhost", "host: evil.example", 403),
        ("host: localhost", "host: localhost\r\nx-request-id:", 400),
        ("host: localhost", "host: localhost\r\nif-match: x", 400),
        ("application/json", "text/plain", 415),
        ("/things/", "/others/", 404),
        ("PUT", "POST", 405),
        ("PUT", "PUT", 201),
    ] {
        // The body comes later than the head.
        raw.send(&put_head(&path, 2).replace(from, to));
        assert_eq!(served.get("/health/live").status, 200);
        raw.send("{}");
        let reply = raw.reply();
        assert_eq!(reply.status, status, "{to}: {reply:?}");
        assert!(!reply.headers.contains_key("connection"), "{reply:?}");
    }
    // A body that is too long to be read for nothing does, and the answer says so.
    raw.send(&put_head(&path, 1 << 20).replace("application/json", "text/plain"));
    let reply = raw.reply();
    reply.problem(415, "unsupported_media_type");
    assert_eq!(reply.header("connection"), "close");
    assert!(raw.is_closed());
}

#[test]
fn types_methods_and_routes() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    let typed = |kind| served.ask("PUT", &path, &[("content-type", kind)], "{}");
    typed("text/plain").problem(415, "unsupported_media_type");
    typed("application/x-www-form-urlencoded").problem(415, "unsupported_media_type");
    assert_eq!(typed("application/json; charset=utf-8").status, 201);

    for (method, path, allow) in [
        ("DELETE", THINGS, ["GET", "HEAD", "POST"].as_slice()),
        (
            "DELETE",
            "/v1/collections/things/near?point=1,2",
            &["GET", "HEAD", "POST"],
        ),
        ("POST", &path, &["GET", "HEAD", "PUT", "PATCH", "DELETE"]),
        ("PUT", "/health", &["GET", "HEAD"]),
    ] {
        let reply = served.ask(method, path, &[], "");
        reply.problem(405, "method_not_allowed");
        let mut allowed: Vec<_> = reply.header("allow").split(',').collect();
        let mut expected = allow.to_vec();
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allowed, expected);
    }
    for path in [
        "/",
        "/v1",
        "/v2/collections",
        "/v1/collections/",
        "/v1/collections/things/x",
    ] {
        served.get(path).problem(404, "no_such_route");
    }
    served
        .get(&format!("{THINGS}/%ff"))
        .problem(400, "invalid_request");
}

#[test]
fn headers_and_queries_that_cannot_be_read() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    for header in [
        ("velocity-consistency", "sequential"),
        ("velocity-durability", "FULL"),
        ("idempotency-key", ""),
        ("x-request-id", ""),
    ] {
        let problem = served
            .ask("PUT", &path, &[header], "{}")
            .problem(400, "invalid_header");
        assert!(
            problem["detail"].as_str().unwrap().starts_with(header.0),
            "{problem}"
        );
    }
    let long = "k".repeat(256);
    served
        .ask("PUT", &path, &[("idempotency-key", &long)], "{}")
        .problem(400, "invalid_header");
    served
        .ask("GET", &path, &[("velocity-consistency", "x")], "")
        .problem(400, "invalid_header");
    for query in [
        "limit=0",
        "limit=10001",
        "limit=-1",
        "limit=x",
        "after=x",
        "after=1.",
        "page=2",
        "limit=1&limit=2",
    ] {
        served
            .get(&format!("{THINGS}?{query}"))
            .problem(400, "invalid_query");
    }
}

#[test]
fn parameters_that_no_route_takes() {
    let served = with_things();
    served.put(&format!("{THINGS}/a"), "{}");
    for path in [
        "/health",
        "/metrics",
        "/v1/collections",
        "/v1/collections/things",
        "/v1/collections/things/count",
        &format!("{THINGS}/a"),
    ] {
        let problem = served
            .get(&format!("{path}?verbose=1"))
            .problem(400, "invalid_query");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("\"verbose\""), "{path}: {detail}");
        assert_eq!(served.get(&format!("{path}?")).status, 200);
    }
    for (method, path) in [("POST", THINGS), ("DELETE", "/v1/collections/things")] {
        let reply = served.ask(method, &format!("{path}?limit=1"), &[], "{}");
        reply.problem(400, "invalid_query");
    }
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        1
    );
    let problem = served
        .get(&format!("{THINGS}?page=2"))
        .problem(400, "invalid_query");
    assert_eq!(
        problem["detail"],
        "there is no parameter \"page\" here: only limit, after"
    );
    served.get("/nothing?a=1").problem(404, "no_such_route");
}

/// Messages are about JSON, never about the program's own types.
#[test]
fn definitions_of_another_form() {
    let served = served();
    for body in [
        "[]",
        r#"["a"]"#,
        "1",
        r#""a""#,
        "null",
        r#"{"name":1}"#,
        r#"{"name":"a","schema":1}"#,
        r#"{"name":"a","schema":{"fields":[1]}}"#,
        r#"{"name":"a","schema":{"fields":[["a"]]}}"#,
        r#"{"name":"a","schema":{"fields":[{"name":"a","type":"int","default":7}]}}"#,
        r#"{"name":"a","indexes":[1]}"#,
        r#"{"name":"a","indexes":[["x"]]}"#,
        r#"{"name":"a","kind":1}"#,
        r#"{"name":"a","persistence":"x"}"#,
    ] {
        let reply = served.post("/v1/collections", body);
        assert!(
            matches!(reply.status.as_u16(), 400 | 422),
            "{body}: {reply:?}"
        );
        let problem = reply.json();
        let detail = problem["detail"].as_str().unwrap();
        for word in ["struct", "enum", "tuple", "elements", "NewCollection"] {
            assert!(!detail.contains(word), "{body}: {detail}");
        }
    }
}

#[test]
fn names_that_the_server_does_not_have() {
    let served = served();
    let host = |host: &str, more: &str| {
        let mut raw = served.connect();
        raw.send(&format!(
            "GET /health HTTP/1.1\r\nhost: {host}\r\n{more}\r\n"
        ));
        raw.reply()
    };
    for good in ["localhost", "127.0.0.1:7480", "[::1]:80"] {
        assert_eq!(host(good, "").status, 200, "{good}");
        assert_eq!(host(good, "origin: http://localhost:5173\r\n").status, 200);
        assert_eq!(host(good, "origin: https://127.0.0.1\r\n").status, 200);
    }
    for bad in ["evil.example", "10.0.0.1", "localhost.evil.example"] {
        host(bad, "").problem(403, "host_not_allowed");
    }
    for bad in [
        "null",
        "http://evil.example",
        "file://localhost",
        "http://localhost@evil.example",
    ] {
        let reply = host("localhost", &format!("origin: {bad}\r\n"));
        reply.problem(403, "origin_not_allowed");
    }
    let mut raw = served.connect();
    raw.send("GET /health HTTP/1.1\r\n\r\n");
    raw.reply().problem(400, "invalid_header");
    host("localhost", "host: localhost\r\n").problem(400, "invalid_header");
}

#[test]
fn configured_names_are_answered_to() {
    let mut config = config();
    config.host_names = vec!["db.example".into()];
    let served = Served::start(config, Database::in_memory().unwrap());
    let mut raw = served.connect();
    raw.send("GET /health HTTP/1.1\r\nhost: DB.example:80\r\norigin: https://db.example\r\n\r\n");
    assert_eq!(raw.reply().status, 200);
}

#[test]
fn each_request_has_an_id_and_a_line() {
    let served = with_things();
    let id = "of-the-client-4711";
    let reply = served.ask(
        "GET",
        &format!("{THINGS}/none"),
        &[("x-request-id", id)],
        "",
    );
    assert_eq!(reply.problem(404, "not_found")["request_id"], id);
    let lines = logged(|line| line["request_id"] == id);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert_eq!(line["level"], "INFO");
    assert_eq!(
        (&line["method"], &line["status"]),
        (&json!("GET"), &json!(404))
    );
    assert_eq!(line["path"], format!("{THINGS}/none"));
    assert_eq!(line["route"], "/v1/collections/{name}/documents/{id}");
    assert_eq!(line["code"], "not_found");
    assert!(line["duration_us"].is_u64());

    let (one, other) = (served.get("/health"), served.get("/health"));
    let (one, other) = (one.header("x-request-id"), other.header("x-request-id"));
    assert_ne!(one, other);
    let lines = logged(|line| line["request_id"] == one);
    assert_eq!((lines.len(), &lines[0]["level"]), (1, &json!("DEBUG")));
    let long = "r".repeat(129);
    let reply = served.ask("GET", "/health", &[("x-request-id", &long)], "");
    assert_ne!(reply.problem(400, "invalid_header")["request_id"], long);
}
