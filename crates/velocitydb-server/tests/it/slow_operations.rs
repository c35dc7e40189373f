//! Which operations are told as slow, and what is told of them.

use std::time::Duration;

use velocitydb::Database;

use crate::harness::{Served, THINGS, config, logged};

/// Every operation is slow when `limit` is a nanosecond.
fn served(limit: Duration) -> Served {
    let mut config = config();
    config.slow_operation = limit;
    let served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    served
}

#[test]
fn a_slow_operation_is_logged_counted_and_kept_without_its_document() {
    let served = served(Duration::from_nanos(1));
    let path = format!("{THINGS}/{}", "x".repeat(100));
    let id = [("x-request-id", "slow-1")];
    let reply = served.ask("PUT", &path, &id, r#"{"secret":"s3cr3t"}"#);
    assert_eq!(reply.status, 201);
    let slow = served.get("/v1/admin/slow");
    assert!(!slow.text.contains("s3cr3t"), "{}", slow.text);
    let operations = slow.json()["operations"].as_array().unwrap().clone();
    assert_eq!(operations.len(), 2, "the newest first: {}", slow.text);
    let put = &operations[0];
    assert_eq!(
        put["operation"],
        "PUT /v1/collections/{name}/documents/{id}"
    );
    assert_eq!(put["collection"], "things");
    assert_eq!(put["id"], format!("{}…", "x".repeat(40)));
    assert_eq!(
        (&put["status"], &put["request_id"]),
        (&201.into(), &"slow-1".into())
    );
    assert!(put["duration_us"].as_u64().is_some());
    assert!(put["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert_eq!(operations[1]["operation"], "POST /v1/collections");

    let line = logged(|line| {
        line["target"] == "velocitydb_server::slow" && line["request_id"] == "slow-1"
    });
    assert_eq!(line.len(), 1, "{line:?}");
    assert_eq!(line[0]["collection"], "things");
    assert!(!line[0].to_string().contains("s3cr3t"));
    assert_eq!(served.figure("velocitydb_slow_operations_total"), 2.0);

    let one = served.get("/v1/admin/slow?limit=1").json();
    assert_eq!(one["operations"].as_array().unwrap().len(), 1);
    for bad in ["limit=0", "limit=257", "limit=x", "most=1"] {
        served
            .get(&format!("/v1/admin/slow?{bad}"))
            .problem(400, "invalid_query");
    }
}

#[test]
fn fast_operations_are_not_told_nor_any_when_it_is_off() {
    for limit in [Duration::from_secs(3600), Duration::ZERO] {
        let served = served(limit);
        let slow = served.get("/v1/admin/slow").json();
        assert_eq!(slow["operations"].as_array().unwrap().len(), 0);
        assert_eq!(slow["slow_operation_us"], limit.as_micros() as u64);
        assert_eq!(served.figure("velocitydb_slow_operations_total"), 0.0);
    }
}
