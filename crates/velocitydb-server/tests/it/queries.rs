//! Questions for documents: pages, lines, counts, pipelines, plans, and what is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value as Json, json};
use velocitydb::Database;

use crate::harness::{Reply, Served, config, served, with_things};

const FIND: &str = "/v1/collections/things/find";
const COUNT: &str = "/v1/collections/things/count";
const AGGREGATE: &str = "/v1/collections/things/aggregate";
const DISTINCT: &str = "/v1/collections/things/distinct";
const EXPLAIN: &str = "/v1/collections/things/explain";
const LINES: [(&str, &str); 1] = [("accept", "application/x-ndjson")];

/// Documents 0..count: `{"n": 0, 1, …, "third": n % 3, "tags": […]}`.
fn filled(served: &Served, count: i64) {
    let things = served.database.collection("things").unwrap();
    for n in 0..count {
        let text = format!(r#"{{"n":{n},"third":{},"tags":["a","b{}"]}}"#, n % 3, n % 2);
        let fields = velocitydb::Input::json(&text).unwrap();
        things.upsert(n, fields).unwrap();
    }
}

fn ids(reply: &Reply) -> Vec<i64> {
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    let documents = body["documents"].as_array().unwrap();
    documents
        .iter()
        .map(|one| one["_id"].as_i64().unwrap())
        .collect()
}

fn post(served: &Served, path: &str, body: &Json) -> Reply {
    served.post(path, &body.to_string())
}

#[test]
fn a_question_in_the_body_and_behind_the_question_mark() {
    let served = with_things();
    filled(&served, 12);
    let body = json!({ "filter": { "third": 1, "n": { "$gt": 1 } }, "sort": { "n": -1 },
        "project": ["n"], "offset": 1, "limit": 2, "count": true });
    let reply = post(&served, FIND, &body);
    assert_eq!(ids(&reply), [7, 4]);
    let answer = reply.json();
    assert_eq!(answer["documents"][0], json!({ "_id": 7, "n": 7 }));
    assert_eq!(
        (&answer["count"], &answer["next"]),
        (&json!(3), &Json::Null)
    );
    assert_eq!(reply.header("velocity-index"), answer["index"].to_string());
    assert_eq!(reply.header("velocity-consistency"), "strong");
    let asked = "filter=%7B%22third%22:1,%22n%22:%7B%22$gt%22:1%7D%7D&sort=-n&project=n\
                 &offset=1&limit=2&count=true";
    assert_eq!(served.get(&format!("{FIND}?{asked}")).json(), answer);
    // Without a projection a document is as its own route shows it.
    let one = post(&served, FIND, &json!({ "filter": { "_id": 3 } })).json();
    assert_eq!(
        one["documents"][0],
        served.get("/v1/collections/things/documents/3").json()
    );
    let without = served.get(&format!("{FIND}?project=-tags,-third&limit=1"));
    assert_eq!(
        without.json()["documents"][0]
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| !name.starts_with('_'))
            .collect::<Vec<_>>(),
        ["n"]
    );
    served
        .get("/v1/collections/none/find")
        .problem(404, "unknown_collection");
}

#[test]
fn pages_fit_together_while_others_write() {
    let served = with_things();
    filled(&served, 25);
    for sort in [json!({}), json!({ "third": -1 }), json!({ "n": 1 })] {
        let (mut seen, mut after) = (Vec::new(), Json::Null);
        loop {
            let body = json!({ "sort": sort, "limit": 4, "after": after });
            let reply = post(&served, FIND, &body);
            seen.extend(ids(&reply));
            after = reply.json()["next"].clone();
            if after.is_null() {
                break;
            }
            // What is new stands in no gap of what was there.
            served.put(
                "/v1/collections/things/documents/new",
                "{\"n\":7,\"third\":2}",
            );
            served.ask("DELETE", "/v1/collections/things/documents/new", &[], "");
        }
        assert_eq!(seen.len(), 25, "{sort}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 25, "{sort}");
    }
    let next = post(&served, FIND, &json!({ "limit": 1 })).json()["next"].clone();
    let other = json!({ "filter": { "n": 1 }, "after": next });
    let detail = post(&served, FIND, &other).problem(400, "invalid_request")["detail"].to_string();
    assert!(detail.contains("another filter or order"), "{detail}");
    for bad in [
        json!({ "after": "xyz" }),
        json!({ "after": next, "offset": 1 }),
    ] {
        post(&served, FIND, &bad).problem(400, "invalid_query");
    }
}

#[test]
fn a_page_ends_before_the_bytes_that_it_may_have() {
    let mut small = config();
    small.page_bytes_max = 1_000;
    let served = Served::start(small, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let long = "x".repeat(400);
    for id in 0..5 {
        served.put(
            &format!("/v1/collections/things/documents/{id}"),
            &json!({ "long": long }).to_string(),
        );
    }
    let (mut pages, mut path) = (Vec::new(), FIND.to_owned());
    loop {
        let reply = served.get(&path);
        pages.push(ids(&reply).len());
        match reply.json()["next"].as_str() {
            Some(next) => path = format!("{FIND}?after={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [1, 1, 1, 1, 1]);
}

#[test]
fn all_of_an_answer_as_lines() {
    let served = with_things();
    filled(&served, 12_000);
    let reply = served.ask("GET", &format!("{FIND}?sort=-n"), &LINES, "");
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    let lines: Vec<Json> = reply
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 12_000);
    assert!(
        lines
            .iter()
            .map(|one| &one["n"])
            .eq(&(0..12_000).rev().map(Json::from).collect::<Vec<_>>())
    );
    let index: u64 = reply.header("velocity-index").parse().unwrap();
    assert!(index > 0);
    let body = json!({ "filter": { "third": 1 }, "project": { "n": 1, "_id": 0 }, "limit": 2 });
    let reply = served.ask("POST", FIND, &LINES, &body.to_string());
    assert_eq!(reply.text, "{\"n\":1}\n{\"n\":4}\n");
    let none = served.ask("POST", FIND, &LINES, r#"{"filter":{"n":-1}}"#);
    assert_eq!((none.status.as_u16(), none.text.as_str()), (200, ""));
    // What is wrong from the start has a status.
    served
        .ask("POST", FIND, &LINES, r#"{"hint":"none"}"#)
        .problem(400, "invalid_request");
    served
        .ask("POST", FIND, &LINES, r#"{"count":true}"#)
        .problem(400, "invalid_query");
}

#[test]
fn lines_that_nobody_takes_end_with_their_client() {
    let mut one = config();
    one.requests_concurrent_max = 1;
    let served = Served::start(one, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    // More than a connection has room for.
    let long = json!({ "long": "x".repeat(1 << 20) }).to_string();
    for id in 0..30 {
        let things = served.database.collection("things").unwrap();
        let fields = velocitydb::Input::json(&long).unwrap();
        things.upsert(id, fields).unwrap();
    }
    let mut raw = served.connect();
    raw.send(&format!(
        "GET {FIND} HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\n\r\n"
    ));
    assert_eq!(raw.head().0, 200);
    served.get(COUNT).problem(503, "overloaded");
    drop(raw);
    while served.get(COUNT).status == 503 {
        std::thread::yield_now();
    }
    assert_eq!(served.get(COUNT).json()["count"], 30);
}

#[test]
fn counts() {
    let served = with_things();
    filled(&served, 12);
    assert_eq!(served.get(COUNT).json()["count"], 12);
    let filtered = served.get(&format!("{COUNT}?filter=%7B%22third%22:1%7D"));
    assert_eq!(filtered.json()["count"], 4);
    let body = json!({ "filter": { "tags": { "$contains": "b1" } } });
    let reply = post(&served, COUNT, &body);
    assert_eq!(reply.json()["count"], 6);
    assert_eq!(
        reply.header("velocity-index"),
        reply.json()["index"].to_string()
    );
    post(&served, COUNT, &json!({ "filtr": {} })).problem(400, "invalid_query");
}

#[test]
fn rows_and_values() {
    let served = with_things();
    filled(&served, 12);
    served.post("/v1/collections", r#"{"name":"thirds"}"#);
    served.put(
        "/v1/collections/thirds/documents/x",
        r#"{"third":1,"name":"one"}"#,
    );
    let stages = json!([
        { "$match": { "n": { "$lt": 9 } } },
        { "$group": { "_id": "$third", "count": { "$sum": 1 } } },
        { "$sort": { "_id": 1 } },
    ]);
    let rows =
        json!([{ "_id": 0, "count": 3 }, { "_id": 1, "count": 3 }, { "_id": 2, "count": 3 }]);
    let reply = post(&served, AGGREGATE, &stages);
    assert_eq!(reply.json()["rows"], rows);
    assert_eq!(
        reply.header("velocity-index"),
        reply.json()["index"].to_string()
    );
    let reply = post(
        &served,
        AGGREGATE,
        &json!({ "pipeline": stages, "timeout_ms": 20_000 }),
    );
    assert_eq!(reply.json()["rows"], rows);
    let joined = json!([
        { "$match": { "n": 4 } },
        { "$lookup": { "from": "thirds", "localField": "third", "foreignField": "third", "as": "names" } },
    ]);
    let reply = post(&served, AGGREGATE, &joined);
    assert_eq!(reply.json()["rows"][0]["names"][0]["name"], "one");
    for bad in [
        json!([{ "$grup": {} }]),
        json!([{ "$out": "" }]),
        json!({ "stages": [] }),
        json!({ "pipeline": [], "limit": 1 }),
    ] {
        post(&served, AGGREGATE, &bad).problem(400, "invalid_query");
    }
    let values = post(
        &served,
        DISTINCT,
        &json!({ "path": "tags", "filter": { "n": { "$lt": 1 } } }),
    );
    assert_eq!(values.json()["values"], json!(["a", "b0"]));
    for bad in [
        json!({}),
        json!({ "path": "" }),
        json!({ "path": "a", "limit": 1 }),
    ] {
        post(&served, DISTINCT, &bad).problem(400, "invalid_query");
    }
}

/// `$out` is a write: with its levels and its refusals, though not with an idempotency key.
#[test]
fn rows_are_written_into_a_collection() {
    let served = with_things();
    filled(&served, 12);
    let sums = json!([
        { "$group": { "_id": "$third", "count": { "$sum": 1 } } },
        { "$out": "sums" },
    ]);
    let headers = [
        ("velocity-durability", "memory"),
        ("velocity-expires-in", "1000"),
    ];
    let ask = |headers: &[(&str, &str)], body: &Json| {
        served.ask("POST", AGGREGATE, headers, &body.to_string())
    };
    let reply = ask(&headers, &sums);
    let answer = reply.json();
    let rows = json!([{ "collection": "sums", "documents": 3 }]);
    assert_eq!((reply.status.as_u16(), &answer["rows"]), (200, &rows));
    assert_eq!(reply.header("velocity-durability"), "memory");
    assert_eq!(reply.header("velocity-index"), answer["index"].to_string());
    let one = served.get("/v1/collections/sums/documents/1").json();
    assert_eq!(one["count"], 4);
    assert!(one["_expires_at"].is_string() && one["_index"] == answer["index"]);
    // Again, from the collection itself, in place of what is there.
    let few = json!([{ "$match": { "_id": { "$lt": 2 } } }, { "$out": "sums" }]);
    let reply = served.post("/v1/collections/sums/aggregate", &few.to_string());
    let rows = json!([{ "collection": "sums", "documents": 2 }]);
    assert_eq!(reply.json()["rows"], rows);
    assert_eq!(served.get("/v1/collections/sums/count").json()["count"], 2);
    // What it would do can be asked.
    let plan = post(&served, EXPLAIN, &json!({ "pipeline": sums }));
    assert_eq!(plan.json()["steps"][0]["step"], "$out", "{plan:?}");

    // Nothing is written when a row cannot be.
    let twice = json!([{ "$project": { "_id": "same" } }, { "$out": "sums" }]);
    ask(&[], &twice).problem(400, "invalid_request");
    assert_eq!(served.get("/v1/collections/sums/count").json()["count"], 2);
    for header in [("idempotency-key", "k"), ("if-match", "*")] {
        ask(&[header], &sums).problem(400, "invalid_header");
    }
    // `$merge` as well.
    let merge =
        json!([{ "$group": { "_id": "$third", "n": { "$max": "$n" } } }, { "$merge": "sums" }]);
    let reply = ask(&headers, &merge);
    let row = json!({ "collection": "sums", "inserted": 1, "replaced": 0, "merged": 2, "left": 0 });
    assert_eq!(reply.json()["rows"], json!([row]), "{reply:?}");
    assert_eq!(reply.header("velocity-durability"), "memory");
    let told = ask(&[("idempotency-key", "k")], &merge).problem(400, "invalid_header");
    assert!(
        told["detail"].as_str().unwrap().contains("$merge"),
        "{told}"
    );
    // Without it the same request only reads, and takes no level of a write.
    let reads = json!([{ "$count": "n" }]);
    ask(&headers[..1], &reads).problem(400, "invalid_header");
    ask(&headers[1..], &reads).problem(400, "invalid_header");
    assert_eq!(ask(&[], &reads).json()["rows"], json!([{ "n": 12 }]));
}

#[test]
fn how_documents_are_found() {
    let served = with_things();
    filled(&served, 300);
    let index = r#"{"name":"by_n","kind":"btree","fields":["n"]}"#;
    assert_eq!(
        served.post("/v1/collections/things/indexes", index).status,
        201
    );
    let body = json!({ "filter": { "n": { "$lt": 5 } }, "sort": { "n": 1 } });
    let plan = post(&served, EXPLAIN, &body).json();
    let steps = plan["steps"].as_array().unwrap();
    assert_eq!(steps.last().unwrap()["step"], "ranges", "{plan}");
    assert!(steps.last().unwrap()["rows"].is_null());
    let analyzed = post(&served, &format!("{EXPLAIN}?analyze=true"), &body).json();
    assert_eq!(
        analyzed["steps"].as_array().unwrap().last().unwrap()["rows"],
        5
    );
    let text = served.ask(
        "POST",
        EXPLAIN,
        &[("accept", "text/plain")],
        &body.to_string(),
    );
    assert!(text.text.contains("index by_n, 1 range"), "{}", text.text);
    let mut scan = body.clone();
    scan["hint"] = "scan".into();
    let plan = post(&served, EXPLAIN, &scan).json();
    assert_eq!(
        plan["steps"].as_array().unwrap().last().unwrap()["step"],
        "scan"
    );
    assert_eq!(
        ids(&post(&served, FIND, &scan)),
        ids(&post(&served, FIND, &body))
    );
    let pipeline = json!({ "pipeline": [{ "$match": { "n": 7 } }] });
    let analyzed = post(&served, &format!("{EXPLAIN}?analyze=true"), &pipeline).json();
    assert_eq!(
        analyzed["steps"].as_array().unwrap().last().unwrap()["rows"],
        1
    );
    served
        .post(&format!("{EXPLAIN}?analyze=1"), "{}")
        .problem(400, "invalid_query");
}

#[test]
fn a_query_has_its_time() {
    let mut hasty = config();
    hasty.query_timeout = Duration::from_nanos(1);
    let served = Served::start(hasty, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    filled(&served, 3);
    let filter = json!({ "filter": { "n": 1 } });
    let distinct = json!({ "path": "n" });
    for (path, body) in [
        (FIND, &filter),
        (COUNT, &filter),
        (AGGREGATE, &json!([])),
        (DISTINCT, &distinct),
        ("/v1/collections/things/explain?analyze=true", &filter),
    ] {
        post(&served, path, body).problem(504, "query_timeout");
    }
    served
        .ask("GET", FIND, &LINES, "")
        .problem(504, "query_timeout");
    // What looks at no document needs no time.
    assert_eq!(served.get(COUNT).json()["count"], 3);
    assert_eq!(post(&served, EXPLAIN, &filter).status, 200);
}

#[test]
fn a_query_ends_with_its_client() {
    let mut patient = config();
    patient.requests_concurrent_max = 1;
    patient.query_timeout = Duration::from_secs(3_000);
    patient.request_timeout = Duration::from_secs(3_000);
    let served = Served::start(patient, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    filled(&served, 12_000);
    // Every document with every one: minutes of work.
    let body = json!([
        { "$lookup": { "from": "things", "localField": "tags.0", "foreignField": "tags.0", "as": "all" } },
        { "$count": "n" },
    ]);
    let body = body.to_string();
    let mut raw = served.connect();
    raw.send(&format!(
        "POST {AGGREGATE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    // It, and the request that asks for the figure.
    while served.figure("velocitydb_http_requests_in_flight") < 2.0 {
        std::thread::yield_now();
    }
    served.get(COUNT).problem(503, "overloaded");
    drop(raw);
    while served.get(COUNT).status == 503 {
        std::thread::yield_now();
    }
}

#[test]
fn less_time_may_be_asked_for() {
    let served = with_things();
    for bad in [json!(0), json!(25_001), json!(-1), json!("5s"), json!(1.5)] {
        let detail = post(&served, FIND, &json!({ "timeout_ms": bad }));
        let detail = detail.problem(400, "invalid_query")["detail"].to_string();
        assert!(
            detail.contains("a whole number from 1 to 25000"),
            "{detail}"
        );
    }
    served
        .get(&format!("{FIND}?timeout_ms=0"))
        .problem(400, "invalid_query");
    let most = post(&served, FIND, &json!({ "timeout_ms": 25_000 }));
    assert_eq!(most.status, 200);
}

#[test]
fn a_query_has_its_memory() {
    let mut frugal = config();
    frugal.query_bytes_max = 1 << 10;
    let served = Served::start(frugal, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    filled(&served, 200);
    let sorted = json!({ "sort": { "tags": 1 } });
    let group = json!([{ "$group": { "_id": "$n" } }]);
    let distinct = json!({ "path": "n" });
    for (path, body) in [(FIND, sorted), (AGGREGATE, group), (DISTINCT, distinct)] {
        let problem = post(&served, path, &body).problem(422, "query_limit");
        assert!(
            problem["detail"].to_string().contains("1024 bytes"),
            "{problem}"
        );
    }
}

#[test]
fn hostile_questions_are_refused() {
    let served = with_things();
    filled(&served, 3);
    let nested = |open: &str, close: &str, depth| {
        format!(
            "{{\"filter\":{}{{}}{}}}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    let many: Vec<i64> = (0..1_000_000).collect();
    for (body, status, code) in [
        (nested("{\"$not\":", "}", 10_000), 422, "query_limit"),
        (nested("{\"$and\":[", "]}", 10_000), 422, "query_limit"),
        (nested("{\"$not\":", "}", 200), 422, "query_limit"),
        (
            json!({ "filter": { "n": { "$in": many } } }).to_string(),
            422,
            "query_limit",
        ),
        (
            r#"{"filter":{"n":{"$regex":"((a{1000}){1000}){1000}"}}}"#.into(),
            422,
            "query_limit",
        ),
        (
            r#"{"filter":{"n":{"$regex":"("}}}"#.into(),
            400,
            "invalid_query",
        ),
        (
            r#"{"filter":{"n":{"$gtt":1}}}"#.into(),
            400,
            "invalid_query",
        ),
        (r#"{"limit":10001}"#.into(), 400, "invalid_query"),
        (
            r#"{"limit":9223372036854775807}"#.into(),
            400,
            "invalid_query",
        ),
        (r#"{"limit":0}"#.into(), 400, "invalid_query"),
        (r#"{"filter":{},"filter":{}}"#.into(), 400, "invalid_json"),
        (r#"[]"#.into(), 400, "invalid_query"),
        ("{".into(), 400, "invalid_json"),
        (
            format!("{{\"hint\":\"{}\"}}", "x".repeat(9 << 20)),
            422,
            "query_limit",
        ),
    ] {
        served.post(FIND, &body).problem(status, code);
    }
    let json = [("content-type", "application/json")];
    let empty = served
        .ask("POST", FIND, &json, "")
        .problem(400, "invalid_json");
    assert_eq!(empty["detail"], "there is no body: expected JSON");
    // No regular expression takes longer for a shape that would be catastrophic elsewhere.
    let long = "a".repeat(50_000);
    served.put(
        "/v1/collections/things/documents/x",
        &json!({ "s": long }).to_string(),
    );
    let shape = json!({ "filter": { "s": { "$regex": "^(a+)+$" } } });
    assert_eq!(post(&served, COUNT, &shape).json()["count"], 1);
    // Nobody has to be told how many are left out: what is not there is not reached.
    let far = json!({ "offset": i64::MAX, "limit": 1 });
    assert_eq!(ids(&post(&served, FIND, &far)), [0; 0]);
    served
        .get(&format!("{FIND}?filter={}", "%7B%22$not%22:".repeat(100)))
        .problem(400, "invalid_query");
}

#[test]
fn reads_take_no_headers_of_writes() {
    let served = served();
    served.post("/v1/collections", r#"{"name":"things"}"#);
    for header in [
        ("idempotency-key", "k"),
        ("velocity-durability", "full"),
        ("if-match", "*"),
        ("velocity-expires-in", "5"),
    ] {
        served
            .ask("POST", FIND, &[header], "{}")
            .problem(400, "invalid_header");
    }
}

/// JSON says a time as text: a question means what the schema declares.
#[test]
fn text_in_a_question_is_of_the_declared_type() {
    let served = served();
    let schema =
        json!({ "fields": [{ "name": "at", "type": "time" }, { "name": "day", "type": "date" }] });
    let definition = json!({ "name": "things", "schema": schema });
    assert_eq!(post(&served, "/v1/collections", &definition).status, 201);
    let path = "/v1/collections/things/documents/1";
    let document = json!({ "at": "2013-01-01T10:00:00Z", "day": "2013-01-01" });
    assert_eq!(served.put(path, &document.to_string()).status, 201);
    for filter in [
        json!({ "at": "2013-01-01T10:00:00Z" }),
        json!({ "at": { "$gt": "2012-12-31T00:00:00Z" }, "day": { "$lte": "2013-01-01" } }),
    ] {
        let asked = json!({ "filter": filter });
        assert_eq!(ids(&post(&served, FIND, &asked)), [1]);
        assert_eq!(post(&served, COUNT, &asked).json()["count"], 1);
        let matched = json!([{ "$match": filter }, { "$count": "n" }]);
        assert_eq!(post(&served, AGGREGATE, &matched).json()["rows"][0]["n"], 1);
    }
}
