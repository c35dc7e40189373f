//! Compressed bodies both ways, and pages of other origins.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use velocitydb::Database;

use crate::harness::{Raw, Reply, Served, THINGS, config, with_things};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Puts the document `a` with a body that is encoded.
fn put(served: &Served, coding: &str, body: &[u8]) -> Reply {
    let mut raw = served.connect();
    let length = body.len();
    raw.send(&format!(
        "PUT {THINGS}/a HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-encoding: {coding}\r\ncontent-length: {length}\r\n\r\n"
    ));
    raw.send_bytes(body);
    raw.reply()
}

fn get(served: &Served, path: &str, accept: &str) -> Raw {
    let mut raw = served.connect();
    raw.send(&format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: {accept}\r\nconnection: close\r\n\r\n"
    ));
    raw
}

/// The parts of a chunked body, put together.
fn chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
}

#[test]
fn bodies_may_come_compressed() {
    let served = with_things();
    let text = br#"{"n":1}"#;
    assert_eq!(put(&served, "gzip", &gzip(text)).status, 201);
    let zstd = zstd::encode_all(&text[..], 3).unwrap();
    assert_eq!(put(&served, "zstd", &zstd).status, 200);
    assert_eq!(put(&served, "identity", text).status, 200);
    assert_eq!(served.get(&format!("{THINGS}/a")).json()["n"], 1);

    put(&served, "gzip", text).problem(400, "invalid_request");
    put(&served, "zstd", &gzip(text)).problem(400, "invalid_request");
    let cut = gzip(&[b' '; 1000]);
    put(&served, "gzip", &cut[..cut.len() - 9]).problem(400, "invalid_request");
    let problem = put(&served, "br", text).problem(415, "unsupported_media_type");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("gzip and zstd")
    );
}

/// What unpacks to more than a body may be is refused, however small it comes.
#[test]
fn the_limit_is_on_what_is_unpacked() {
    let mut config = config();
    config.body_bytes_max = 1 << 20;
    let served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let spaces = vec![b' '; (1 << 20) - 2];
    let most = gzip(&[&spaces[..], b"{}"].concat());
    assert!(most.len() < 4 << 10);
    assert_eq!(put(&served, "gzip", &most).status, 201);
    let bomb = gzip(&vec![b' '; 64 << 20]);
    put(&served, "gzip", &bomb).problem(413, "body_too_large");
    let bomb = zstd::encode_all(&vec![b' '; 64 << 20][..], 3).unwrap();
    put(&served, "zstd", &bomb).problem(413, "body_too_large");
}

#[test]
fn answers_are_compressed_for_who_takes_it() {
    let served = with_things();
    let long = format!(r#"{{"text":"{}"}}"#, "many words ".repeat(1000));
    served.put(&format!("{THINGS}/long"), &long);
    let plain = served.get(&format!("{THINGS}/long"));
    assert!(plain.headers.get("content-encoding").is_none());
    assert_eq!(plain.header("vary"), "accept-encoding", "for caches");
    for (accept, coding) in [("gzip", "gzip"), ("gzip, zstd, br", "zstd")] {
        let mut raw = get(&served, &format!("{THINGS}/long"), accept);
        let (status, headers, _) = raw.head();
        assert_eq!(
            (status.as_u16(), &headers["content-encoding"]),
            (200, &coding.parse().unwrap())
        );
        assert!(
            headers["vary"]
                .to_str()
                .unwrap()
                .contains("accept-encoding")
        );
        assert_eq!(headers["etag"], plain.headers["etag"]);
        let body = chunks(&raw.rest_bytes());
        assert!(body.len() < plain.text.len() / 10);
        let mut text = String::new();
        match coding {
            "gzip" => GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap(),
            _ => zstd::Decoder::new(&body[..])
                .unwrap()
                .read_to_string(&mut text)
                .unwrap(),
        };
        assert_eq!(text, plain.text);
    }
}

/// Short answers, and those that are made as they are taken, go out as they are.
#[test]
fn short_and_streamed_answers_are_not_compressed() {
    let served = with_things();
    let long = format!(r#"{{"text":"{}"}}"#, "many words ".repeat(1000));
    served.put(&format!("{THINGS}/long"), &long);
    for path in [
        "/health",
        "/v1/export",
        "/v1/collections/things/export?plain=true",
    ] {
        let mut raw = get(&served, path, "gzip, zstd");
        let (status, headers, _) = raw.head();
        assert_eq!(status, 200, "{path}");
        assert!(
            !headers.contains_key("content-encoding"),
            "{path}: {headers:?}"
        );
    }
}

fn with_origin() -> Served {
    let mut config = config();
    config.cors_origins = vec!["https://app.example".into()];
    let served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    served
}

/// Asks before the request itself, as browsers do.
fn preflight(served: &Served, origin: &str) -> Reply {
    let mut raw = served.connect();
    raw.send(&format!(
        "OPTIONS {THINGS}/a HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n\
         access-control-request-method: PUT\r\n\
         access-control-request-headers: content-type,idempotency-key,if-match\r\n\r\n"
    ));
    raw.reply()
}

#[test]
fn pages_of_configured_origins_may_use_the_server() {
    let served = with_origin();
    let told = preflight(&served, "https://app.example");
    assert_eq!(told.status, 200);
    assert_eq!(
        told.header("access-control-allow-origin"),
        "https://app.example"
    );
    assert!(told.header("access-control-allow-methods").contains("PUT"));
    let allowed = told
        .header("access-control-allow-headers")
        .to_ascii_lowercase();
    for name in [
        "content-type",
        "idempotency-key",
        "if-match",
        "velocity-durability",
    ] {
        assert!(allowed.contains(name), "{name}: {allowed}");
    }
    assert!(told.header("vary").contains("origin"));
    assert!(
        !told
            .headers
            .contains_key("access-control-allow-credentials")
    );

    let origin = [("origin", "https://app.example")];
    let made = served.ask("PUT", &format!("{THINGS}/a"), &origin, "{}");
    assert_eq!(made.status, 201);
    assert_eq!(
        made.header("access-control-allow-origin"),
        "https://app.example"
    );
    let seen = made
        .header("access-control-expose-headers")
        .to_ascii_lowercase();
    for name in ["etag", "location", "velocity-index", "x-request-id"] {
        assert!(seen.contains(name), "{name}: {seen}");
    }
    // A page can read what went wrong, too.
    let missing = served.ask("GET", &format!("{THINGS}/none"), &origin, "");
    missing.problem(404, "not_found");
    assert_eq!(
        missing.header("access-control-allow-origin"),
        "https://app.example"
    );
}

#[test]
fn pages_of_other_origins_may_not() {
    let served = with_origin();
    for other in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "null",
    ] {
        let told = preflight(&served, other);
        assert!(
            !told.headers.contains_key("access-control-allow-origin"),
            "{other}: {told:?}"
        );
        let reply = served.ask("GET", THINGS, &[("origin", other)], "");
        reply.problem(403, "origin_not_allowed");
        assert!(
            !reply.headers.contains_key("access-control-allow-origin"),
            "{other}"
        );
    }
    // Nothing is allowed that is not configured.
    let served = with_things();
    preflight(&served, "http://localhost:5173").problem(405, "method_not_allowed");
    let reply = served.ask("GET", THINGS, &[("origin", "http://localhost:5173")], "");
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
}
