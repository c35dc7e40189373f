//! Clients that take nothing, or do not finish what they send: what they may hold, and how long.

use std::time::Duration;

use velocitydb::{Database, Definition};
use velocitydb_server::ServerConfig;

use crate::harness::{Raw, Served, THINGS, config, put_head};

const GET_PAGE: &str = "GET /v1/collections/things/documents HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Documents on one page of 30 MB: more than the system's buffers of a connection take.
fn with_large_page(config: ServerConfig) -> Served {
    let database = Database::in_memory().unwrap();
    let things = database
        .create_collection(Definition::new("things"))
        .unwrap()
        .value;
    let text = "x".repeat(10_000_000);
    for id in ["a", "b", "c"] {
        things
            .insert_with_id(id, [("text", text.as_str().into())])
            .unwrap();
    }
    Served::start(config, database)
}

/// Asks for the page and reads only the head of the answer; the length that it says.
fn begin_page(served: &Served) -> (Raw, usize) {
    let mut raw = served.connect();
    raw.send(GET_PAGE);
    let (status, _, length) = raw.head();
    assert_eq!(status, 200);
    assert!(length > 30_000_000, "{length}");
    (raw, length)
}

#[test]
fn answers_that_nobody_takes_are_bounded_in_all() {
    let mut config = config();
    config.in_flight_bytes_max = 80 << 20;
    let served = with_large_page(config);
    let slow = [begin_page(&served), begin_page(&served)];
    for path in [THINGS, "/v1/collections/things/documents?limit=3"] {
        let refused = served.get(path);
        refused.problem(503, "busy");
        assert_eq!(refused.header("retry-after"), "1");
    }
    // A write whose answer there is no room for is not made, and a body not taken.
    let patched = served.ask("PATCH", &format!("{THINGS}/a"), &[], r#"{"text":null}"#);
    patched.problem(503, "busy");
    let mut raw = served.connect();
    raw.send(&put_head(&format!("{THINGS}/a"), 23_000_000));
    raw.reply().problem(503, "busy");
    // What is small does not count.
    assert_eq!(served.put(&format!("{THINGS}/small"), "{}").status, 201);
    assert_eq!(served.get(&format!("{THINGS}/small")).status, 200);
    assert_eq!(served.get("/health").status, 200);
    drop(slow);
    while served.get(THINGS).status != 200 {
        std::thread::yield_now();
    }
    let untouched = served.get(&format!("{THINGS}/a")).json();
    assert_eq!(
        (&untouched["_version"], untouched["text"].is_string()),
        (&1.into(), true)
    );
}

#[test]
fn an_answer_keeps_its_slot_until_it_is_sent() {
    let mut config = config();
    config.requests_concurrent_max = 1;
    let served = with_large_page(config);
    let (slow, _) = begin_page(&served);
    served.get("/v1/collections").problem(503, "overloaded");
    drop(slow);
    while served.get("/v1/collections").status != 200 {
        std::thread::yield_now();
    }
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let mut config = config();
    config.write_timeout = Duration::from_millis(50);
    let served = with_large_page(config);
    let before = served.figure("velocitydb_http_connections");
    let (slow, length) = begin_page(&served);
    while served.figure("velocitydb_http_connections") > before {
        std::thread::yield_now();
    }
    assert!(slow.rest() < length, "the answer was not whole");
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let mut config = config();
    config.drain_timeout = Duration::from_millis(50);
    let mut served = with_large_page(config);
    let (slow, length) = begin_page(&served);
    served.shutdown().unwrap();
    assert!(slow.rest() < length);
}

#[test]
fn bodies_that_do_not_come_are_bounded_in_all() {
    let mut config = config();
    config.in_flight_bytes_max = 30 << 20;
    let served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let mut slow = served.connect();
    let path = format!("{THINGS}/a");
    let head = put_head(&path, 20 << 20).replace("host:", "expect: 100-continue\r\nhost:");
    slow.send(&head);
    assert_eq!(slow.head().0, 100, "the server begins to read the body");
    let mut second = served.connect();
    second.send(&put_head(&path, 20 << 20));
    second.reply().problem(503, "busy");
    // One that does not say how long it is gets as far as there is room.
    let mut third = served.connect();
    third.send(&put_head(&path, 0).replace("content-length: 0", "transfer-encoding: chunked"));
    third.send(&format!("{:x}\r\n", 12 << 20));
    third.send_bytes(&vec![b' '; (10 << 20) + 1]);
    third.reply().problem(503, "busy");
    assert_eq!(served.put(&format!("{THINGS}/small"), "{}").status, 201);
    drop(slow);
    let mut last = loop {
        let mut raw = served.connect();
        raw.send(&head);
        if raw.head().0 == 100 {
            break raw;
        }
    };
    last.send(&format!("{{\"n\":1}}{}", " ".repeat((20 << 20) - 7)));
    assert_eq!(last.reply().status, 201);
    assert_eq!(served.get(&path).status, 200);
}
