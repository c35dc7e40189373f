//! Status and top of a real server.

use velocitydb_shell::{Target, Top};

use crate::support::{Served, embedded, said, session};

#[test]
fn status_of_a_server() {
    let served = Served::start();
    let mut session = session(served.target());
    said(&mut session, "create tasks");
    said(&mut session, "put tasks t1 {}");
    said(&mut session, "get tasks t2");
    let status = served.target().status().unwrap();
    assert!(status.is_well());
    assert_eq!(status.storage_mode, "memory-only");
    assert_eq!(status.collections.len(), 1, "{status:?}");
    assert_eq!(status.collections[0].name, "tasks");
    assert_eq!(status.collections[0].documents, 1);
    assert!(status.collections[0].bytes > 0);
    // Two writes, the read, and the request for health before the figures.
    let server = status.server.as_ref().unwrap();
    assert_eq!((server.requests, server.server_errors), (4, 0));
    let text = said(&mut session, "status");
    assert!(text.contains("\nup for       "), "{text}");
    assert!(text.contains("│ tasks "), "{text}");
    said(&mut session, "\\json");
    let json: serde_json::Value = serde_json::from_str(&said(&mut session, "status")).unwrap();
    assert_eq!(json["collections"][0]["documents"], 1);
}

#[test]
fn status_of_an_embedded_database() {
    let mut session = embedded();
    assert!(said(&mut session, "status").ends_with("no collections\n"));
    said(&mut session, "create tasks");
    let text = said(&mut session, "status");
    assert!(
        text.contains("health       reads and writes are served\n"),
        "{text}"
    );
    assert!(!text.contains("up for"), "{text}");
    let text = said(&mut session, "collections");
    assert!(text.contains("│ tasks ┆         0 ┆ "), "{text}");
    assert!(said(&mut session, "describe tasks").starts_with("tasks: document"));
}

#[test]
fn top_counts_operations() {
    let served = Served::start();
    let mut session = session(served.target());
    said(&mut session, "create tasks");
    said(&mut session, "put tasks t1 {}");
    let top = Top::of(served.target(), &served.url, None).unwrap();
    let text = top.once();
    let put = text.lines().find(|line| line.starts_with("put ")).unwrap();
    let get = text.lines().find(|line| line.starts_with("get ")).unwrap();
    assert!(put.contains(" ms"), "{put}\n{text}");
    assert!(get.ends_with(" -"), "{get}");
    assert!(text.contains("\ntasks "), "{text}");
}
