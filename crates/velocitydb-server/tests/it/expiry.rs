//! Time to live over HTTP, with a clock that is moved by hand.

use std::sync::Arc;

use velocitydb::{Background, Database, ManualClock, Options, Timestamp};

use crate::harness::{Served, THINGS, config};

const SECOND: i64 = 1_000_000;

/// 2030-01-01T00:00:00Z.
const START: Timestamp = Timestamp(1_893_456_000 * SECOND);

fn timed() -> (Served, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(START));
    let options = Options::in_memory()
        .clock(clock.clone())
        .background(Background::Owner);
    let served = Served::start(config(), Database::open(options).unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    (served, clock)
}

#[test]
fn a_document_says_when_it_expires_and_is_gone_then() {
    let (served, clock) = timed();
    let path = format!("{THINGS}/a");
    let made = served.ask("PUT", &path, &[("velocity-expires-in", "3600")], "{}");
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["_expires_at"], "2030-01-01T01:00:00Z");
    // What was read can be sent back: its `_expires_at` is not an order.
    let mut read = served.get(&path).json();
    assert_eq!(read["_expires_at"], "2030-01-01T01:00:00Z");
    read["_expires_at"] = "2040-01-01T00:00:00Z".into();
    let patched = served.ask("PATCH", &path, &[], &read.to_string()).json();
    assert_eq!(patched["_expires_at"], "2030-01-01T01:00:00Z", "as before");
    let listed = served.get(THINGS).json();
    assert_eq!(
        listed["documents"][0]["_expires_at"],
        "2030-01-01T01:00:00Z"
    );

    let at = [("velocity-expires-at", "2030-01-02T02:00:00+02:00")];
    let later = served.ask("PATCH", &path, &at, r#"{"n":1}"#).json();
    assert_eq!(later["_expires_at"], "2030-01-02T00:00:00Z");
    clock.advance(24 * 3600 * SECOND - 1);
    assert_eq!(served.get(&path).status, 200);
    clock.advance(1);
    served.get(&path).problem(404, "not_found");
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        0
    );
    assert_eq!(served.figure("velocitydb_expired_documents_total"), 0.0);
    // Log time follows the clock at a distance; the round after that removes.
    clock.advance(2 * SECOND);
    for _ in 0..2 {
        served.database.tend().unwrap();
    }
    assert_eq!(served.figure("velocitydb_expired_documents_total"), 1.0);

    let kept = served.ask(
        "POST",
        THINGS,
        &[("velocity-expires", "never")],
        r#"{"_id":"b"}"#,
    );
    assert!(kept.json().get("_expires_at").is_none(), "{kept:?}");
}

#[test]
fn a_collection_has_a_time_to_live_that_a_request_overrides() {
    let (served, clock) = timed();
    let sessions = r#"{"name":"sessions","ttl":{"seconds":60}}"#;
    let made = served.post("/v1/collections", sessions);
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["ttl"]["seconds"], 60);
    let tasks = r#"{"name":"tasks","ttl":{"seconds":60,"field":"due"},
        "schema":{"fields":[{"name":"due","type":"time"}]}}"#;
    let made = served.post("/v1/collections", tasks);
    assert_eq!(made.json()["ttl"]["field"], "due", "{made:?}");

    let put = |path: &str, headers: &[(&str, &str)], body: &str| {
        let path = format!("/v1/collections/{path}");
        let made = served.ask("PUT", &path, headers, body).json();
        // Each entry is a microsecond after the one before.
        let expires_at = made["_expires_at"].as_str();
        expires_at.map(|time| time[..19].to_owned())
    };
    assert_eq!(
        put("sessions/documents/a", &[], "{}"),
        Some("2030-01-01T00:01:00".to_owned())
    );
    let never = [("velocity-expires", "never")];
    assert_eq!(put("sessions/documents/b", &never, "{}"), None);
    let due = r#"{"due":"2030-01-01T00:10:00Z"}"#;
    assert_eq!(
        put("tasks/documents/a", &[], due),
        Some("2030-01-01T00:11:00".to_owned())
    );
    assert_eq!(put("tasks/documents/b", &[], "{}"), None);
    clock.advance(61 * SECOND);
    for (path, count) in [("sessions", 1), ("tasks", 2)] {
        let found = served.get(&format!("/v1/collections/{path}/count")).json();
        assert_eq!(found["count"], count, "{path}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name_and_nothing_written() {
    let (served, _) = timed();
    let path = format!("{THINGS}/a");
    for (name, value) in [
        ("velocity-expires-in", "0"),
        ("velocity-expires-in", "-1"),
        ("velocity-expires-in", "1.5"),
        ("velocity-expires-in", "4294967296"),
        ("velocity-expires-at", "tomorrow"),
        ("velocity-expires-at", "2030-01-01"),
        ("velocity-expires", "soon"),
    ] {
        let refused = served.ask("PUT", &path, &[(name, value)], "{}");
        let problem = refused.problem(400, "invalid_header");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.starts_with(&format!("{name}: ")) && detail.contains(value),
            "{detail}"
        );
    }
    let both = [("velocity-expires-in", "1"), ("velocity-expires", "never")];
    served
        .ask("PUT", &path, &both, "{}")
        .problem(400, "invalid_header");
    served.get(&path).problem(404, "not_found");
    // It means nothing where no document is written.
    let one = [("velocity-expires-in", "1")];
    served
        .ask("GET", THINGS, &one, "")
        .problem(400, "invalid_header");
    served
        .ask("DELETE", &path, &one, "")
        .problem(400, "invalid_header");
    let create = served.ask("POST", "/v1/collections", &one, r#"{"name":"x"}"#);
    create.problem(400, "invalid_header");
    for ttl in [
        r#"{"second":1}"#,
        r#"{"seconds":-1}"#,
        r#"{"seconds":1,"field":7}"#,
        "60",
    ] {
        let body = format!(r#"{{"name":"x","ttl":{ttl}}}"#);
        served
            .post("/v1/collections", &body)
            .problem(422, "invalid_definition");
    }
}
