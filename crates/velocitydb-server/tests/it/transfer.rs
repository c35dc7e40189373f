//! Importing and exporting over HTTP.

use std::io::Write;

use crate::harness::{Reply, Served};
use crate::harness::{config, served};
use velocitydb::Database;

const CSV: &str = "code,alt\nJFK,13\nLGA,22\n";

fn import(served: &Served, name: &str, parameters: &str, kind: &str, body: &str) -> Reply {
    let path = format!("/v1/collections/{name}/import{parameters}");
    served.ask("POST", &path, &[("content-type", kind)], body)
}

#[test]
fn a_body_of_many_documents_becomes_a_collection() {
    let served = served();
    let array = "[{\"code\":\"JFK\",\"alt\":13},\n{\"code\":\"LGA\",\"alt\":22}]";
    let lines = "{\"code\":\"JFK\",\"alt\":13}\n{\"code\":\"LGA\",\"alt\":22}\n";
    for (name, kind, body) in [
        ("csv", "text/csv; charset=utf-8", CSV),
        ("json", "application/json", array),
        ("ndjson", "application/x-ndjson", lines),
    ] {
        import(&served, name, "", kind, body).problem(404, "unknown_collection");
        let reply = import(&served, name, "?create=true&id=code", kind, body);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.text, r#"{"rows":2,"bad_rows":0,"bad":[]}"#);
        let export = served.get(&format!("/v1/collections/{name}/export?format=csv"));
        assert_eq!(export.header("content-type"), "text/csv; charset=utf-8");
        let mut lines: Vec<&str> = export.text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["JFK,13", "LGA,22", "code,alt"], "{name}");
    }
}

#[test]
fn bad_rows_are_told_with_their_lines() {
    let served = served();
    let bad = "code,alt\nJFK,13\nLGA\nEWR,18\nJFK,1\n";
    let skipped = import(
        &served,
        "a",
        "?create=true&id=code&on_error=skip",
        "text/csv",
        bad,
    );
    assert_eq!(skipped.status, 200, "{skipped:?}");
    let answer = skipped.json();
    assert_eq!(
        (&answer["rows"], &answer["bad_rows"]),
        (&2.into(), &2.into())
    );
    let mut lines: Vec<u64> = (0..2)
        .map(|at| answer["bad"][at]["line"].as_u64().unwrap())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [3, 5]);
    let stopped = import(&served, "b", "?create=true&id=code", "text/csv", bad);
    let problem = stopped.problem(422, "invalid_row");
    assert_eq!(problem["rows"], 1, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().starts_with("line 3: "),
        "{problem}"
    );
    let parameters = "?create=true&id=code&on_error=skip&max_errors=1";
    let many = import(&served, "c", parameters, "text/csv", bad);
    assert_eq!(many.problem(422, "invalid_row")["bad_rows"], 2);
}

#[test]
fn what_an_import_does_not_take_is_named() {
    let served = served();
    for (parameters, kind, status, code) in [
        ("?create=true", "text/plain", 415, "unsupported_media_type"),
        ("?create=1", "text/csv", 400, "invalid_query"),
        ("?create=true&on_error=go", "text/csv", 400, "invalid_query"),
        (
            "?create=true&max_errors=1",
            "text/csv",
            400,
            "invalid_query",
        ),
        ("?creat=true", "text/csv", 400, "invalid_query"),
        ("?create=true&id=_x", "text/csv", 422, "invalid_definition"),
    ] {
        import(&served, "a", parameters, kind, CSV).problem(status, code);
    }
    served
        .get("/v1/collections/a")
        .problem(404, "unknown_collection");
    served
        .get("/v1/collections/a/export")
        .problem(404, "unknown_collection");
    served
        .get("/v1/export?format=xml")
        .problem(400, "invalid_query");
}

#[test]
fn a_body_may_be_compressed_and_larger_than_any_other() {
    let mut config = config();
    config.body_bytes_max = 64 << 10;
    let served = Served::start(config, Database::in_memory().unwrap());
    let rows: String = (0..20_000)
        .map(|n| format!("{n},{}\n", "x".repeat(50)))
        .collect();
    let text = format!("n,text\n{rows}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let bodies = [
        ("identity", text.clone().into_bytes()),
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd::encode_all(text.as_bytes(), 1).unwrap()),
    ];
    for (coding, body) in bodies {
        let mut raw = served.connect();
        let head = format!(
            "POST /v1/collections/{coding}/import?create=true HTTP/1.1\r\nhost: localhost\r\n\
             content-type: text/csv\r\ncontent-encoding: {coding}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        raw.send(&head);
        raw.send_bytes(&body);
        let reply = raw.reply();
        assert_eq!(
            reply.text, r#"{"rows":20000,"bad_rows":0,"bad":[]}"#,
            "{coding}"
        );
        let export = served.get(&format!("/v1/collections/{coding}/export?plain=true"));
        assert_eq!(export.text.lines().count(), 20_000);
    }
}

#[test]
fn what_one_server_exports_another_imports_as_it_was() {
    let (first, second) = (served(), served());
    let definition =
        r#"{"name":"a","primary_key":"day","schema":{"fields":[{"name":"day","type":"date"}]}}"#;
    assert_eq!(first.post("/v1/collections", definition).status, 201);
    let body = "{\"day\":\"2013-01-01\"}\n{\"day\":\"2013-01-02\",\"x\":[1.0,null]}\n";
    assert_eq!(
        import(&first, "a", "", "application/x-ndjson", body).status,
        200
    );
    let exported = first.get("/v1/collections/a/export");
    assert_eq!(exported.text, first.get("/v1/export?collections=a").text);
    assert_eq!(exported.text, first.get("/v1/export").text);
    let imported = import(
        &second,
        "a",
        "?create=true",
        "application/x-ndjson",
        &exported.text,
    );
    assert_eq!(imported.status, 200, "{imported:?}");
    assert_eq!(second.get("/v1/collections/a/export").text, exported.text);
    let cut = exported.text.rsplit_once("{\"$end\"").unwrap().0;
    let cut = import(&second, "b", "?create=true", "application/x-ndjson", cut);
    let problem = cut.problem(422, "invalid_row");
    assert!(
        problem["detail"].as_str().unwrap().contains("ends early"),
        "{problem}"
    );
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_whole_rows() {
    let served = served();
    let mut raw = served.connect();
    let rows: String = (0..50_000)
        .map(|n| format!("{n},{}\n", "x".repeat(50)))
        .collect();
    raw.send(
        "POST /v1/collections/a/import?create=true HTTP/1.1\r\nhost: localhost\r\n\
         content-type: text/csv\r\ncontent-length: 100000000\r\n\r\n",
    );
    raw.send_bytes(format!("n,text\n{rows}123456").as_bytes());
    // Once the first rows are there, the client goes.
    while served.get("/v1/collections/a").status != 200 {
        std::thread::yield_now();
    }
    drop(raw);
    while served.figure("velocitydb_http_requests_in_flight") > 1.0 {
        std::thread::yield_now();
    }
    let export = served.get("/v1/collections/a/export?format=csv").text;
    let mut rows = export.lines().skip(1);
    assert!(
        rows.all(|row| row.ends_with(&"x".repeat(50))),
        "a row that was cut"
    );
}
