//! Reading and changing documents.

use std::collections::BTreeSet;

use serde_json::json;
use velocitydb::{Database, Date, Decimal, Key, Options, Timestamp};

use crate::harness::{Served, THINGS, config, served, with_things};

#[test]
fn a_document_from_insert_to_delete() {
    let served = with_things();
    let made = served.post(THINGS, r#"{"_id":"a","n":1,"deep":{"x":[1,2.5,null,"ö"]}}"#);
    assert_eq!(made.status, 201);
    assert_eq!(made.header("location"), format!("{THINGS}/a"));
    let document = made.json();
    assert_eq!(document["_id"], "a");
    assert_eq!(document["_version"], 1);
    assert_eq!(document["deep"], json!({"x": [1, 2.5, null, "ö"]}));
    assert_eq!(document["_created_at"], document["_updated_at"]);
    let index = document["_index"].as_u64().unwrap();
    assert_eq!(made.header("etag"), format!("\"{index}\""));
    assert_eq!(made.header("velocity-index"), index.to_string());

    let path = made.header("location").to_owned();
    let got = served.get(&path);
    assert_eq!((got.status.as_u16(), got.json()), (200, document.clone()));
    assert_eq!(got.header("etag"), made.header("etag"));
    assert_eq!(got.header("content-type"), "application/json");
    let head = served.ask("HEAD", &path, &[], "");
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    assert_eq!(head.header("etag"), made.header("etag"));
    assert_eq!(head.header("content-length"), got.text.len().to_string());

    let replaced = served.put(&path, r#"{"n":2}"#);
    assert_eq!(replaced.status, 200);
    let document = replaced.json();
    assert_eq!(
        (&document["n"], &document["_version"]),
        (&json!(2), &json!(2))
    );
    assert!(document.get("deep").is_none());
    assert!(document["_index"].as_u64().unwrap() > index);

    let patched = served.ask("PATCH", &path, &[], r#"{"n":null,"m":{"a":1}}"#);
    assert_eq!(patched.status, 200);
    assert_eq!(patched.json()["m"], json!({"a": 1}));
    assert!(patched.json().get("n").is_none());
    let kind = [("content-type", "application/merge-patch+json")];
    let patched = served.ask("PATCH", &path, &kind, r#"{"m":{"b":2}}"#);
    assert_eq!(patched.json()["m"], json!({"a": 1, "b": 2}));

    let gone = served.ask("DELETE", &path, &[], "");
    assert_eq!((gone.status.as_u16(), gone.text.as_str()), (204, ""));
    gone.header("velocity-index").parse::<u64>().unwrap();
    served.get(&path).problem(404, "not_found");
    served
        .ask("DELETE", &path, &[], "")
        .problem(404, "not_found");
    served
        .ask("PATCH", &path, &[], "{}")
        .problem(404, "not_found");
    assert_eq!(served.ask("HEAD", &path, &[], "").status, 404);
}

#[test]
fn ids_given_chosen_and_written_in_paths() {
    let served = with_things();
    let chosen = served.post(THINGS, r#"{"n":1}"#);
    let id = chosen.json()["_id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(served.get(chosen.header("location")).json()["n"], 1);
    // A generated id, sent back in a body, is the same id.
    served
        .post(THINGS, &json!({"_id": id}).to_string())
        .problem(409, "already_exists");

    for id in [
        json!(42),
        json!("42"),
        json!("a/b ö?"),
        json!(""),
        json!(".."),
        json!(1.5),
    ] {
        let made = served.post(THINGS, &json!({"_id": id}).to_string());
        assert_eq!(made.status, 201, "{id}: {made:?}");
        assert_eq!(made.json()["_id"], id);
        assert_eq!(served.get(made.header("location")).json()["_id"], id);
    }
    let created = served.put(&format!("{THINGS}/new%20one"), "{}");
    assert_eq!(
        (created.status.as_u16(), &created.json()["_id"]),
        (201, &json!("new one"))
    );
    assert_eq!(created.header("location"), format!("{THINGS}/new%20one"));
    served
        .put(&format!("{THINGS}/x"), r#"{"_id":"y"}"#)
        .problem(400, "invalid_id");
    served
        .post(THINGS, r#"{"_id":[1]}"#)
        .problem(400, "invalid_id");
    served
        .get(&format!("{THINGS}/%22unfinished"))
        .problem(400, "invalid_id");
}

#[test]
fn a_primary_key_field_is_the_id() {
    let served = served();
    let definition = r#"{"name":"users","primary_key":"code",
        "schema":{"fields":[{"name":"code","type":"string"}]}}"#;
    assert_eq!(served.post("/v1/collections", definition).status, 201);
    let users = "/v1/collections/users/documents";
    let made = served.post(users, r#"{"code":"42"}"#);
    assert_eq!(made.json()["_id"], "42");
    assert_eq!(served.get(&format!("{users}/42")).json()["code"], "42");
    assert_eq!(served.get(made.header("location")).json()["code"], "42");
    served
        .post(users, r#"{"code":"42"}"#)
        .problem(409, "already_exists");
    served
        .put(&format!("{users}/43"), r#"{"code":"42"}"#)
        .problem(400, "invalid_request");
    served
        .ask("PATCH", &format!("{users}/42"), &[], r#"{"code":"43"}"#)
        .problem(422, "primary_key_changed");
}

#[test]
fn several_fields_are_the_id() {
    let served = served();
    let definition = r#"{"name":"seats","primary_key":["flight","day","seat"],"schema":{"fields":[
        {"name":"flight","type":"string"},{"name":"day","type":"date"},{"name":"seat","type":"int"}]}}"#;
    let made = served.post("/v1/collections", definition);
    assert_eq!(made.status, 201, "{made:?}");
    let described = served.get("/v1/collections/seats").json();
    let key = serde_json::json!(["flight", "day", "seat"]);
    assert_eq!(described["primary_key"], key);
    let seats = "/v1/collections/seats/documents";
    let document = r#"{"flight":"42","day":"2026-11-30","seat":7}"#;
    let made = served.post(seats, document);
    let id = serde_json::json!(["42", "2026-11-30", 7]);
    assert_eq!(made.json()["_id"], id);
    served.post(seats, document).problem(409, "already_exists");
    // Under its address, under what a person writes, and sent back as it was read.
    let read = served.get(made.header("location"));
    assert_eq!(read.json()["_id"], id);
    let path = format!("{seats}/composite:42,2026-11-30,7");
    assert_eq!(served.get(&path).json()["_id"], id);
    let again = served.put(&path, &read.text);
    assert_eq!(again.status, 200, "{again:?}");
    let found = served.post(
        "/v1/collections/seats/find",
        r#"{"filter":{"_id":["42","2026-11-30",7]}}"#,
    );
    assert_eq!(found.json()["documents"][0]["_id"], id, "{found:?}");
    let changed = served.ask("PATCH", &path, &[], r#"{"seat":8}"#);
    changed.problem(422, "primary_key_changed");
    served
        .get(&format!("{seats}/42"))
        .problem(400, "invalid_id");
    let wrong = r#"{"name":"c","primary_key":["a","a"]}"#;
    served
        .post("/v1/collections", wrong)
        .problem(422, "invalid_definition");
}

#[test]
fn what_was_read_can_be_written_back() {
    let served = with_things();
    let path = format!("{THINGS}/a");
    let first = served.put(&path, r#"{"n":1,"big":123456789012345678901234567890}"#);
    let again = served.put(&path, &first.text);
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(again.json()["_version"], 2);
    assert_eq!(again.json()["big"], first.json()["big"]);
    served
        .put(&path, r#"{"_other":1}"#)
        .problem(422, "schema_violation");
}

/// A document can be read under the address that its id has as text, whatever its type, and be
/// sent back to it as it was read.
#[test]
fn every_id_has_an_address() {
    let served = with_things();
    let things = served.database.collection("things").unwrap();
    let composite = Key::from_values(&["a,b".into(), 1.into(), Date(0).into()]).unwrap();
    let ids: [Key; 8] = [
        composite,
        Key::from_value(&Date(15_706).into()).unwrap(),
        Key::from_value(&Timestamp(1).into()).unwrap(),
        Key::from_value(&1.5.into()).unwrap(),
        Key::from_value(&true.into()).unwrap(),
        Key::from_value(&vec![0_u8, 255].into()).unwrap(),
        Key::from_value(&"18446744073709551616".parse::<Decimal>().unwrap().into()).unwrap(),
        Key::from_value(&"date:2013-01-01".into()).unwrap(),
    ];
    for id in ids {
        things.insert_with_id(&id, [("n", 1.into())]).unwrap();
        let segment = percent_encoding::utf8_percent_encode(
            &id.to_string(),
            percent_encoding::NON_ALPHANUMERIC,
        )
        .to_string();
        let path = format!("{THINGS}/{segment}");
        let read = served.get(&path);
        assert_eq!(read.status, 200, "{id}: {read:?}");
        for method in ["PUT", "PATCH"] {
            let written = served.ask(method, &path, &[], &read.text);
            assert_eq!(written.status, 200, "{method} {id}: {written:?}");
            assert_eq!(written.json()["_id"], read.json()["_id"]);
        }
        assert_eq!(things.get(&id).unwrap().unwrap().meta().version, 3, "{id}");
    }
    assert_eq!(things.count().unwrap(), 8);
}

#[test]
fn a_refusal_names_the_document() {
    let served = with_things();
    let path = format!("{THINGS}/x%201");
    let named = "there is no document \"x 1\" in things";
    for (method, body) in [("GET", ""), ("PATCH", "{}"), ("DELETE", "")] {
        let problem = served
            .ask(method, &path, &[], body)
            .problem(404, "not_found");
        assert_eq!(problem["detail"], named, "{method}");
    }
    let swap = r#"{"expected":{"n":1},"update":{}}"#;
    let problem = served.post(&format!("{path}/compare-and-swap"), swap);
    assert_eq!(problem.problem(404, "not_found")["detail"], named);
    served.put(&path, "{}");
    let problem = served
        .post(THINGS, r#"{"_id":"x 1"}"#)
        .problem(409, "already_exists");
    assert_eq!(
        problem["detail"],
        "there is a document \"x 1\" in things already"
    );
    let problem = served.ask("PATCH", &path, &[], r#"{"_id":"y"}"#);
    let detail = problem.problem(400, "invalid_id")["detail"].to_string();
    assert!(detail.contains("the path names x 1"), "{detail}");
}

#[test]
fn a_list_page_by_page() {
    let served = with_things();
    let count = 250;
    for n in 0..count {
        served.put(&format!("{THINGS}/{n}"), &format!(r#"{{"n":{n}}}"#));
    }
    let first = served.get(THINGS).json();
    assert_eq!(
        first["documents"].as_array().unwrap().len(),
        100,
        "by default"
    );
    for limit in [1, 7, 249, 250, 251, 10_000] {
        let (mut after, mut seen, mut pages) = (String::new(), BTreeSet::new(), 0);
        loop {
            let page = served.get(&format!("{THINGS}?limit={limit}{after}"));
            assert_eq!(page.status, 200);
            let body = page.json();
            assert_eq!(page.header("velocity-index"), body["index"].to_string());
            let documents = body["documents"].as_array().unwrap();
            assert!(documents.len() <= limit);
            for document in documents {
                assert!(
                    seen.insert(document["n"].as_u64().unwrap()),
                    "{document} twice"
                );
            }
            pages += 1;
            match body["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
            if limit == 1 && pages == 20 {
                break; // the pages of one have been seen
            }
        }
        assert!(limit == 1 || seen.len() == count, "{limit}: {}", seen.len());
    }
    let count = served.get("/v1/collections/things/count");
    assert_eq!(count.json()["count"], 250);
    assert_eq!(
        count.json()["index"].to_string(),
        count.header("velocity-index")
    );
}

#[test]
fn a_page_of_large_documents_ends_early() {
    let mut config = config();
    config.page_bytes_max = 10_000;
    let served = Served::start(config, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let sizes = [100, 9_000, 4_000, 20_000, 20_000, 100, 100];
    for (n, size) in sizes.iter().enumerate() {
        served.put(
            &format!("{THINGS}/{n}"),
            &json!({"s": "x".repeat(*size)}).to_string(),
        );
    }
    let (mut after, mut pages) = (String::new(), Vec::new());
    loop {
        let body = served.get(&format!("{THINGS}?limit=100{after}")).json();
        pages.push(body["documents"].as_array().unwrap().len());
        match body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(pages, [2, 1, 1, 1, 2]);
}

#[test]
fn positions_of_another_run_are_refused() {
    let (one, other) = (with_things(), with_things());
    for n in 0..3 {
        one.put(&format!("{THINGS}/{n}"), "{}");
    }
    let next = one.get(&format!("{THINGS}?limit=1")).json()["next"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(one.get(&format!("{THINGS}?after={next}")).status, 200);
    other
        .get(&format!("{THINGS}?after={next}"))
        .problem(400, "stale_cursor");
}

#[test]
fn levels_are_asked_for_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::at(dir.path());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let path = format!("{THINGS}/a");
    for (asked, given) in [
        ("", "os"),
        ("none", "none"),
        ("memory", "memory"),
        ("full", "full"),
    ] {
        let header = [("velocity-durability", asked)];
        let header = if asked.is_empty() { &[][..] } else { &header };
        let reply = served.ask("PUT", &path, header, "{}");
        assert_eq!(reply.header("velocity-durability"), given);
        assert_eq!(reply.header("velocity-consistency"), "strong");
    }
    for level in ["local", "eventual", "quorum", "strong"] {
        let header = [("velocity-consistency", level)];
        assert_eq!(
            served
                .ask("PUT", &path, &header, "{}")
                .header("velocity-consistency"),
            level
        );
        assert_eq!(
            served
                .ask("GET", &path, &header, "")
                .header("velocity-consistency"),
            level
        );
    }
    let syncs = served.figure("velocitydb_log_syncs_total");
    served.ask("PUT", &path, &[("velocity-durability", "full")], "{}");
    assert!(served.figure("velocitydb_log_syncs_total") > syncs);

    // Without a log nothing is forced to a disk, and nobody claims that it was.
    let memory = with_things();
    let reply = memory.ask("PUT", &path, &[("velocity-durability", "full")], "{}");
    assert_eq!(reply.header("velocity-durability"), "memory");
}

#[test]
fn a_key_makes_a_write_happen_once() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::at(dir.path());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let once =
        |method, path: &str, key, body| served.ask(method, path, &[("idempotency-key", key)], body);
    let first = once("POST", THINGS, "k1", r#"{"n":1}"#);
    let second = once("POST", THINGS, "k1", r#"{"n":1}"#);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
    assert_eq!(first.json(), second.json());
    assert!(!first.headers.contains_key("velocity-repeated"));
    assert_eq!(second.header("velocity-repeated"), "true");
    assert_eq!(second.header("location"), first.header("location"));
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        1
    );
    once("POST", THINGS, "k1", r#"{"n":2}"#).problem(422, "idempotency_key_reused");

    // Repeated when the document has moved on: what is known of the first outcome.
    let path = first.header("location");
    assert_eq!(served.put(path, r#"{"n":3}"#).status, 200);
    let third = once("POST", THINGS, "k1", r#"{"n":1}"#);
    let id = &first.json()["_id"];
    assert_eq!(
        (third.status.as_u16(), third.json()),
        (201, json!({"_id": id, "_version": 1}))
    );

    assert_eq!(once("DELETE", path, "k2", "").status, 204);
    assert_eq!(once("DELETE", path, "k2", "").status, 204);
    served
        .ask("DELETE", path, &[], "")
        .problem(404, "not_found");
    let create = once("POST", "/v1/collections", "k3", r#"{"name":"more"}"#);
    create.problem(400, "invalid_header");
}

#[test]
fn limits_of_memory_are_said() {
    let options = Options::in_memory().memory_limit(200_000);
    let served = Served::start(config(), Database::open(options).unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let body = json!({"s": "x".repeat(50_000)}).to_string();
    let full = (0..10).find_map(|n| {
        let reply = served.put(&format!("{THINGS}/{n}"), &body);
        (reply.status != 201).then_some((n, reply))
    });
    let (n, reply) = full.expect("ten of these do not fit");
    reply.problem(507, "memory_limit");
    assert!(n > 0);
    assert_eq!(
        served.ask("DELETE", &format!("{THINGS}/0"), &[], "").status,
        204
    );
}

#[test]
fn large_documents() {
    let served = with_things();
    let large = json!({"s": "x".repeat(3 << 20)}).to_string();
    let path = format!("{THINGS}/a");
    assert_eq!(served.put(&path, &large).status, 201);
    let got = served.get(&path);
    assert_eq!(got.json()["s"].as_str().unwrap().len(), 3 << 20);
    let too_large = json!({"s": "x".repeat((16 << 20) + 1)}).to_string();
    served
        .put(&path, &too_large)
        .problem(413, "document_too_large");
}

/// All documents of one moment in one answer, a line each: however many, and however large.
#[test]
fn all_documents_as_lines() {
    let served = with_things();
    let lines = |query: &str, accept: &str| {
        let path = format!("{THINGS}{query}");
        let reply = served.ask("GET", &path, &[("accept", accept)], "");
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
        let lines = reply
            .text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<serde_json::Value> = lines.collect();
        (lines, reply.header("velocity-index").to_owned())
    };
    let ndjson = "application/x-ndjson";
    assert!(lines("", ndjson).0.is_empty());
    let things = served.database.collection("things").unwrap();
    for id in 0..2_500 {
        things.insert_with_id(id, [("n", id.into())]).unwrap();
    }
    for id in 2_500..2_505 {
        let text = velocitydb::Value::from("x".repeat(200 << 10));
        things.insert_with_id(id, [("text", text)]).unwrap();
    }
    let (all, index) = lines("", "text/html, Application/X-NDJSON;q=0.9");
    let ids: BTreeSet<_> = all.iter().map(|one| one["_id"].as_u64().unwrap()).collect();
    assert_eq!((all.len(), ids.len()), (2_505, 2_505));
    assert_eq!(index, served.database.stats().visible_index.to_string());
    let one = served.get(&format!("{THINGS}/{}", all[7]["_id"])).json();
    assert_eq!(one, all[7]);

    assert_eq!(lines("?limit=1500", ndjson).0, all[..1_500]);
    let page = served.get(&format!("{THINGS}?limit=10")).json();
    let next = page["next"].as_str().unwrap();
    assert_eq!(lines(&format!("?after={next}"), ndjson).0, all[10..]);
    served
        .ask(
            "GET",
            &format!("{THINGS}?limit=0"),
            &[("accept", ndjson)],
            "",
        )
        .problem(400, "invalid_query");
    let none = "/v1/collections/none/documents";
    let reply = served.ask("GET", none, &[("accept", ndjson)], "");
    reply.problem(404, "unknown_collection");
}
