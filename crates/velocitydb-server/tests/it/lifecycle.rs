//! Start, limits, shutdown.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use velocitydb::{Database, Options};
use velocitydb_server::{Server, ServerError};

use crate::harness::{Served, THINGS, config, put_head, served, with_things};

#[test]
fn what_does_not_start() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = |config| {
        runtime
            .block_on(Server::start(config, Database::in_memory().unwrap()))
            .unwrap_err()
    };
    let mut exposed = config();
    exposed.http = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(matches!(start(exposed), ServerError::Exposed { .. }));
    let other = served();
    let mut taken = config();
    taken.http = other.address;
    let error = start(taken);
    assert!(matches!(error, ServerError::Bind { .. }), "{error}");
    assert!(
        error.to_string().contains(&other.address.to_string()),
        "{error}"
    );
}

#[test]
fn after_a_shutdown_everything_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::at(dir.path());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    for n in 0..50 {
        let level = [("velocity-durability", "none")];
        assert_eq!(
            served
                .ask("PUT", &format!("{THINGS}/{n}"), &level, "{}")
                .status,
            201
        );
    }
    let tag = served.get(&format!("{THINGS}/7")).header("etag").to_owned();
    served.shutdown().unwrap();
    assert!(
        TcpStream::connect(served.address).is_err(),
        "nobody listens"
    );
    drop(served);

    let served = Served::at(dir.path());
    let recovery = served.database.recovery();
    assert_eq!(
        recovery.entries_replayed, 0,
        "all of it is in the checkpoint: {recovery:?}"
    );
    assert_eq!(recovery.checkpoint_index, recovery.last_index);
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        50
    );
    assert_eq!(served.get(&format!("{THINGS}/7")).header("etag"), tag);
}

/// Begins to put a document and returns when the server works on it.
fn begin_put(served: &Served, path: &str) -> crate::harness::Raw {
    let before = served.figure("velocitydb_http_requests_in_flight");
    let mut raw = served.connect();
    raw.send(&put_head(path, 9));
    raw.send("{\"n\"");
    while served.figure("velocitydb_http_requests_in_flight") <= before {
        std::thread::yield_now();
    }
    raw
}

#[test]
fn requests_in_progress_are_finished() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::at(dir.path());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let mut raw = begin_put(&served, &format!("{THINGS}/a"));
    let server = served.take_server();
    let stopping = served.runtime().spawn(server.shutdown());
    while TcpStream::connect(served.address).is_ok() {
        std::thread::yield_now();
    }
    raw.send(":123}");
    let reply = raw.reply();
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(raw.is_closed());
    served.runtime().block_on(stopping).unwrap().unwrap();
    drop(served);
    let served = Served::at(dir.path());
    assert_eq!(served.get(&format!("{THINGS}/a")).json()["n"], 123);
}

#[test]
fn requests_that_do_not_end_are_cut() {
    let mut config = config();
    config.drain_timeout = Duration::from_millis(20);
    let mut served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let mut raw = begin_put(&served, &format!("{THINGS}/a"));
    served.shutdown().unwrap();
    assert!(raw.is_closed());
}

#[test]
fn a_signal_ends_it() {
    let mut served = with_things();
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let server = served.take_server();
    let running = served.runtime().spawn(server.run_until(async {
        receive.await.unwrap();
    }));
    assert_eq!(served.get("/health/ready").status, 200);
    send.send(()).unwrap();
    served.runtime().block_on(running).unwrap().unwrap();
    assert!(
        served.database.health().writes.is_err(),
        "the database is closed"
    );
}

#[test]
fn too_many_requests_at_once() {
    let mut config = config();
    config.requests_concurrent_max = 1;
    let served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let mut raw = begin_put(&served, &format!("{THINGS}/a"));
    let refused = served.get("/v1/collections");
    refused.problem(503, "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(served.get("/health/ready").status, 200, "always answered");
    raw.send(":123}");
    assert_eq!(raw.reply().status, 201);
    assert_eq!(served.get("/v1/collections").status, 200);
}

#[test]
fn too_many_connections() {
    let mut config = config();
    config.connections_max = 2;
    let served = Served::start(config, Database::in_memory().unwrap());
    let ask = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut open = [served.connect(), served.connect()];
    for raw in &mut open {
        raw.send(ask);
        assert_eq!(raw.reply().status, 200);
    }
    let mut third = served.connect();
    let reply = third.reply();
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["code"], "overloaded");
    assert!(third.is_closed());
    for raw in &mut open {
        raw.send(ask);
        assert_eq!(raw.reply().status, 200);
    }
}

#[test]
fn bodies_and_heads_that_never_come() {
    let mut config = config();
    config.request_timeout = Duration::from_millis(30);
    config.idle_timeout = Duration::from_millis(30);
    let served = Served::start(config, Database::in_memory().unwrap());
    served
        .database
        .create_collection(velocitydb::Definition::new("things"))
        .unwrap();
    let mut raw = served.connect();
    raw.send(&put_head(&format!("{THINGS}/a"), 9));
    raw.reply().problem(408, "body_timeout");
    let mut raw = served.connect();
    raw.send("GET /hea");
    assert!(raw.is_closed());
    assert!(served.connect().is_closed(), "nothing was sent at all");
    // The time begins anew with each request.
    let mut raw = served.connect();
    raw.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(raw.reply().status, 200);
    assert!(raw.is_closed(), "nothing was sent after an answer");
}

#[test]
fn requests_that_come_too_late() {
    let mut config = config();
    config.request_timeout = Duration::from_nanos(1);
    let served = Served::start(config, Database::in_memory().unwrap());
    let things = served
        .database
        .create_collection(velocitydb::Definition::new("things"))
        .unwrap();
    assert_eq!(served.get(THINGS).status, 504);
    let reply = served.ask("DELETE", &format!("{THINGS}/a"), &[], "");
    reply.problem(504, "deadline_exceeded");
    assert_eq!(things.value.count().unwrap(), 0);
}

#[test]
fn full_writes_beside_others() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(Options::at(dir.path())).unwrap();
    let served = Served::start(config(), database);
    served.post("/v1/collections", r#"{"name":"things"}"#);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let served = &served;
            scope.spawn(move || {
                let level = [("velocity-durability", ["full", "os"][thread % 2])];
                for n in 0..25 {
                    let path = format!("{THINGS}/{thread}-{n}");
                    assert_eq!(served.ask("PUT", &path, &level, "{}").status, 201);
                    assert_eq!(served.get(&path).status, 200, "one sees one's own write");
                }
            });
        }
    });
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        100
    );
}
