//! Streams of changes, as server-sent events and over a WebSocket.

use serde_json::{Value as Json, json};
use velocitydb::{Database, Definition, HistoryKept, HistoryOptions, Options, Persistence};

use crate::harness::{Raw, Served, THINGS, config, with_things};

const OF_THINGS: &str = "/v1/collections/things/changes";

/// A client of server-sent events.
struct Events {
    raw: Raw,
    text: String,
    last_id: String,
}

impl Events {
    fn open(served: &Served, path: &str, headers: &str) -> Events {
        let mut raw = served.connect();
        let get = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        raw.send(&get);
        let (status, headers, _) = raw.head();
        assert_eq!(status, 200);
        assert_eq!(headers["content-type"], "text/event-stream");
        let mut events = Events {
            raw,
            text: String::new(),
            last_id: String::new(),
        };
        let begin = events.next();
        assert_eq!(
            (&begin["event"], &begin["position"]),
            (&"begin".into(), &events.last_id.as_str().into())
        );
        events
    }

    /// One block of lines; comments as they are.
    fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return block;
            }
            self.text += &self.raw.chunk();
        }
    }

    /// The data of the next event that has some.
    fn next(&mut self) -> Json {
        loop {
            let block = self.block();
            let mut data = None;
            for line in block.lines() {
                if let Some(id) = line.strip_prefix("id: ") {
                    self.last_id = id.to_owned();
                }
                let text = line.strip_prefix("data: ");
                data = data.or(text.map(|text| serde_json::from_str::<Json>(text).unwrap()));
            }
            if let Some(data) = data {
                if data["event"] == "change" {
                    assert_eq!(data["position"], self.last_id);
                }
                return data;
            }
        }
    }
}

/// What a change says in short.
fn brief(change: &Json) -> String {
    let fields = |document: &Json| document["n"].to_string();
    let (kind, id) = (change["kind"].as_str().unwrap(), &change["id"]);
    let images = format!("{}→{}", fields(&change["before"]), fields(&change["after"]));
    let crossing = change["filter"].as_str().unwrap_or("");
    format!("{kind} {id} {images} {crossing}")
        .trim_end()
        .to_owned()
}

fn write_some(served: &Served) {
    served.put(&format!("{THINGS}/a"), r#"{"n":1}"#);
    served.put(&format!("{THINGS}/a"), r#"{"n":2}"#);
    served.ask("DELETE", &format!("{THINGS}/a"), &[], "");
}

/// A server whose database keeps a history of so many bytes from the start.
fn with_history(bytes_max: usize) -> Served {
    let history = HistoryOptions {
        kept: HistoryKept::Always,
        bytes_max,
        ..HistoryOptions::default()
    };
    let database = Database::open(Options::in_memory().history(history)).unwrap();
    database
        .create_collection(Definition::new("things"))
        .unwrap();
    Served::start(config(), database)
}

#[test]
fn events_tell_each_change_and_go_on_where_they_were() {
    let served = with_things();
    let mut events = Events::open(&served, &format!("{OF_THINGS}?before=true"), "");
    write_some(&served);
    let first = events.next();
    assert_eq!(brief(&first), "inserted \"a\" null→1");
    assert_eq!(first["collection"], "things");
    assert_eq!(first["after"]["_index"], first["index"]);
    assert_eq!((&first["last"], first.get("before")), (&true.into(), None));
    let came_to = events.last_id.clone();
    drop(events);

    // A browser comes back to the same address with the header, which wins.
    let header = format!("last-event-id: {came_to}\r\n");
    let path = format!("{OF_THINGS}?before=true&after=0");
    let mut again = Events::open(&served, &path, &header);
    assert_eq!(brief(&again.next()), "updated \"a\" 1→2");
    let deleted = again.next();
    assert_eq!(brief(&deleted), "deleted \"a\" 2→null");
    assert_eq!(deleted.get("after"), None);

    let path = format!("/v1/changes?after={came_to}");
    let mut without = Events::open(&served, &path, "");
    assert_eq!(brief(&without.next()), "updated \"a\" null→2");
}

#[test]
fn events_of_a_filter_and_of_definitions() {
    let served = with_things();
    let filter = "%7B%22n%22%3A%7B%22%24gt%22%3A1%7D%7D"; // {"n":{"$gt":1}}
    let mut events = Events::open(&served, &format!("/v1/changes?filter={filter}"), "");
    write_some(&served);
    served.post("/v1/collections/things/truncate", "");
    served.ask("DELETE", "/v1/collections/things", &[], "");
    served.post("/v1/collections", r#"{"name":"others"}"#);
    let entered = events.next();
    assert_eq!(brief(&entered), "updated \"a\" null→2 enters");
    assert_eq!(events.next()["kind"], "deleted");
    let mut kinds = Vec::new();
    let created = loop {
        let change = events.next();
        kinds.push(change["kind"].clone());
        if change["kind"] == "collection_created" {
            break change;
        }
    };
    assert!(kinds.contains(&"collection_dropped".into()), "{kinds:?}");
    assert_eq!(created["definition"]["name"], "others");
    assert_eq!(created.get("id"), None);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let served = with_things();
    let refused = |path: &str, status, code, word: &str| {
        let problem = served.get(path).problem(status, code);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{detail}");
    };
    refused("/v1/changes?after=x", 400, "invalid_query", "after: \"x\"");
    refused("/v1/changes?filter=x", 400, "invalid_query", "filter: ");
    refused("/v1/changes?before=yes", 400, "invalid_query", "before: ");
    refused(
        "/v1/collections/no/changes",
        404,
        "unknown_collection",
        "\"no\"",
    );
    let header = [("last-event-id", "x")];
    let reply = served.ask("GET", "/v1/changes", &header, "");
    reply.problem(400, "invalid_header");
    let header = [("upgrade", "websocket")];
    let reply = served.ask("GET", "/v1/changes", &header, "");
    reply.problem(400, "invalid_header");
    let definition = Definition {
        persistence: Persistence::Volatile,
        ..Definition::new("now")
    };
    served.database.create_collection(definition).unwrap();
    refused(
        "/v1/collections/now/changes",
        400,
        "invalid_request",
        "volatile",
    );
    // Nobody has followed yet, so nothing was kept.
    refused("/v1/changes?after=1", 410, "position_gone", "at a snapshot");
    refused("/v1/changes?after=1000000", 410, "position_gone", "up to");
}

#[test]
fn a_reader_that_takes_nothing_falls_behind_and_is_told_so() {
    let served = with_history(4 << 20);
    let mut events = Events::open(&served, OF_THINGS, "");
    let text = "x".repeat(1 << 20);
    let things = served.database.collection("things").unwrap();
    things.insert_with_id("first", [("n", 1.into())]).unwrap();
    assert_eq!(events.next()["event"], "change");
    // More than the buffers of a connection take.
    for n in 0..60i64 {
        things
            .insert_with_id(n, [("text", text.as_str().into())])
            .unwrap();
    }
    let mut count = 0;
    let end = loop {
        let event = events.next();
        match event["event"].as_str().unwrap() {
            "change" => count += 1,
            _ => break event,
        }
    };
    assert!(count < 60, "{count}");
    assert_eq!(
        (&end["event"], &end["code"]),
        (&"end".into(), &"position_gone".into())
    );
    assert_eq!(events.raw.chunk(), "", "it ends");
    let gone = format!("{OF_THINGS}?after={}", events.last_id);
    served.get(&gone).problem(410, "position_gone");
}

#[test]
fn so_many_streams_and_no_more() {
    let mut config = config();
    config.streams_max = 1;
    config.requests_concurrent_max = 1;
    let served = Served::start(config, Database::in_memory().unwrap());
    let events = Events::open(&served, "/v1/changes", "");
    assert_eq!(served.figure("velocitydb_change_streams"), 1.0);
    let refused = served.get("/v1/changes");
    refused.problem(503, "too_many_streams");
    assert_eq!(refused.header("retry-after"), "1");
    // A stream is no request that is worked on.
    assert_eq!(served.get("/v1/collections").status, 200);
    drop(events);
    while served.figure("velocitydb_change_streams") > 0.0 {
        std::thread::yield_now();
    }
    Events::open(&served, "/v1/changes", "");
}

/// A client of a WebSocket.
struct Socket(Raw);

impl Socket {
    fn open(served: &Served, path: &str) -> Socket {
        let mut raw = served.connect();
        raw.send(&upgrade(path, ""));
        let (status, headers, _) = raw.head();
        assert_eq!(status, 101);
        assert_eq!(
            headers["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        let mut socket = Socket(raw);
        assert_eq!(socket.next()["event"], "begin");
        socket
    }

    /// A frame: its kind and content.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.0.bytes(2);
        assert_eq!(head[0] & 0x80, 0x80, "in one piece");
        let length = match head[1] {
            126 => u16::from_be_bytes(self.0.bytes(2).try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.0.bytes(8).try_into().unwrap()),
            length => length.into(),
        };
        (head[0] & 0x0f, self.0.bytes(length as usize))
    }

    /// The next message; pings on the way are answered.
    fn next(&mut self) -> Json {
        loop {
            match self.frame() {
                (1, text) => return serde_json::from_slice(&text).unwrap(),
                // Masked with zeros.
                (9, _) => self.0.send_bytes(&[0x8a, 0x80, 0, 0, 0, 0]),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn upgrade(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {headers}\r\n"
    )
}

#[test]
fn a_web_socket_tells_the_same() {
    let served = with_things();
    let mut socket = Socket::open(&served, &format!("{OF_THINGS}?before=true"));
    let mut events = Events::open(&served, &format!("{OF_THINGS}?before=true"), "");
    write_some(&served);
    for _ in 0..3 {
        let told = socket.next();
        assert_eq!(told, events.next());
        assert_eq!(told["event"], "change");
    }
    let mut raw = served.connect();
    raw.send(&upgrade(OF_THINGS, "origin: https://evil.example\r\n"));
    raw.reply().problem(403, "origin_not_allowed");
}

/// A server with `things` and `others`, whose idle streams say something so often.
fn with_heartbeat(millis: u64) -> Served {
    let mut config = config();
    config.heartbeat = std::time::Duration::from_millis(millis);
    let database = Database::in_memory().unwrap();
    for name in ["things", "others"] {
        database.create_collection(Definition::new(name)).unwrap();
    }
    Served::start(config, database)
}

fn write_others(served: &Served) -> u64 {
    let others = served.database.collection("others").unwrap();
    others.insert_with_id("a", [("n", 1.into())]).unwrap().index
}

#[test]
fn idle_events_say_how_far_they_are() {
    let served = with_heartbeat(1);
    let mut events = Events::open(&served, OF_THINGS, "");
    let index = write_others(&served);
    loop {
        let beat = events.block();
        assert!(beat.starts_with(':'), "{beat}");
        if beat == format!(":\nid: {index}") {
            break;
        }
    }
}

#[test]
fn an_idle_web_socket_says_how_far_it_is_and_wants_its_pings_answered() {
    let served = with_heartbeat(500);
    let mut socket = Socket::open(&served, OF_THINGS);
    let index = write_others(&served);
    let position = json!({"event": "position", "position": index.to_string()});
    assert_eq!(socket.next(), position);
    // Nothing is answered from here on: so it is given up.
    while !socket.0.is_closed() {}
}

#[test]
fn a_shutdown_ends_streams_with_a_reason() {
    let mut served = with_things();
    let mut events = Events::open(&served, OF_THINGS, "");
    let mut socket = Socket::open(&served, OF_THINGS);
    let write = served.put(&format!("{THINGS}/a"), "{}");
    for told in [events.next(), socket.next()] {
        assert_eq!(told["index"].to_string(), write.header("velocity-index"));
    }
    served.shutdown().unwrap();
    for told in [events.next(), socket.next()] {
        assert_eq!(
            (&told["event"], &told["code"]),
            (&"end".into(), &"stopping".into())
        );
    }
    assert_eq!(events.raw.chunk(), "");
    let (kind, close) = socket.frame();
    assert_eq!(
        (kind, &close[..2], &close[2..]),
        (8, &1001u16.to_be_bytes()[..], &b"stopping"[..])
    );
}

/// Hundreds of streams that wait beside one writer: each gets every change, and none holds a thread
/// (there are two).
#[test]
fn hundreds_of_streams_wait_at_once() {
    let served = with_things();
    let mut streams: Vec<_> = (0..300)
        .map(|_| Events::open(&served, OF_THINGS, ""))
        .collect();
    for n in 0..20 {
        served.put(&format!("{THINGS}/{n}"), "{}");
    }
    for stream in &mut streams {
        let mut last = 0;
        for _ in 0..20 {
            let index = stream.next()["index"].as_u64().unwrap();
            assert!(index > last);
            last = index;
        }
    }
}
