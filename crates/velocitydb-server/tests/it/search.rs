//! Searching texts and the nearest places over HTTP: what is found, page by page and as lines, and
//! what is refused by which code.

use serde_json::{Value as Json, json};

use crate::harness::{Reply, Served, config, with_things};

const SEARCH: &str = "/v1/collections/things/search";
const NEAR: &str = "/v1/collections/things/near";
const INDEXES: &str = "/v1/collections/things/indexes";
const LINES: [(&str, &str); 1] = [("accept", "application/x-ndjson")];

fn post(served: &Served, path: &str, body: &Json) -> Reply {
    served.post(path, &body.to_string())
}

fn index(served: &Served, definition: &Json) {
    let reply = post(served, INDEXES, definition);
    assert_eq!(reply.status, 201, "{reply:?}");
}

fn put(served: &Served, id: i64, document: &Json) {
    let path = format!("/v1/collections/things/documents/{id}");
    let reply = served.put(&path, &document.to_string());
    assert_eq!(reply.status, 201, "{reply:?}");
}

/// Foxes, with a full-text index `words` over title and body.
fn with_texts() -> Served {
    let served = with_things();
    let words = json!({ "name": "words", "kind": "full_text", "fields": ["title", "body"], "language": "english" });
    index(&served, &words);
    for (id, title, body) in [
        (1, "Fables", "The quick brown fox jumps over the lazy dog"),
        (2, "A fox", "Foxes are quick, quick, quick"),
        (3, "Bread", "Brown bread and a fox, 🦊 and <b>foxes</b>"),
    ] {
        let third = id % 3;
        put(
            &served,
            id,
            &json!({ "title": title, "body": body, "third": third }),
        );
    }
    served
}

/// Cities, with a geo index over `position`.
fn with_places() -> Served {
    let served = with_things();
    let cities = json!({ "definition": { "name": "things", "schema": { "fields": [{ "name": "position", "type": "point" }] } } });
    let reply = post(&served, "/v1/collections/things/alter", &cities);
    assert_eq!(reply.status, 200, "{reply:?}");
    index(
        &served,
        &json!({ "name": "places", "kind": "geo", "fields": ["position"] }),
    );
    for (id, name, lon, lat) in [
        (1, "Luleå", 22.15, 65.58),
        (2, "Stockholm", 18.07, 59.33),
        (3, "Suva", 178.44, -18.14),
        (4, "Apia", -171.76, -13.83),
    ] {
        put(
            &served,
            id,
            &json!({ "name": name, "position": { "type": "Point", "coordinates": [lon, lat] } }),
        );
    }
    put(&served, 5, &json!({ "name": "nowhere" }));
    served
}

fn ids(reply: &Reply) -> Vec<i64> {
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    let found = body["found"].as_array().unwrap();
    found
        .iter()
        .map(|one| one["document"]["_id"].as_i64().unwrap())
        .collect()
}

#[test]
fn texts_in_the_body_and_behind_the_question_mark() {
    let served = with_texts();
    let body = json!({ "text": "quick -lazy", "highlight": true, "project": ["title"] });
    let reply = post(&served, SEARCH, &body);
    assert_eq!(ids(&reply), [2]);
    let answer = reply.json();
    let found = &answer["found"][0];
    assert!(found["score"].as_f64().unwrap() > 0.0);
    assert_eq!(found["document"], json!({ "_id": 2, "title": "A fox" }));
    // Every second part of a fragment is a word that was found.
    let marked = json!({ "body": [["Foxes are ", "quick", ", ", "quick", ", ", "quick", ""]] });
    assert_eq!(found["highlights"], marked);
    assert_eq!(answer["next"], Json::Null);
    assert_eq!(reply.header("velocity-index"), answer["index"].to_string());
    assert_eq!(reply.header("velocity-consistency"), "strong");
    let asked = "text=quick+-lazy&highlight=true&project=title";
    assert_eq!(served.get(&format!("{SEARCH}?{asked}")).json(), answer);

    let any = json!({ "text": "bread lazy", "require": "any", "index": "words" });
    assert_eq!(ids(&post(&served, SEARCH, &any)).len(), 2);
    let reply = served.get(&format!("{SEARCH}?text=bread+lazy&require=any&index=words"));
    assert_eq!(ids(&reply).len(), 2);
    let filtered = json!({ "text": "fox", "filter": { "third": 0 } });
    assert_eq!(ids(&post(&served, SEARCH, &filtered)), [3]);
    // Words that say nothing find nothing.
    assert_eq!(ids(&served.get(&format!("{SEARCH}?text=the"))), [0_i64; 0]);
    // Without a projection a document is as its own route shows it.
    let one = served.get(&format!("{SEARCH}?text=lazy")).json();
    let document = served.get("/v1/collections/things/documents/1").json();
    assert_eq!(one["found"][0]["document"], document);
    assert_eq!(one["found"][0].get("highlights"), None);
}

#[test]
fn highlights_are_of_the_fields_and_lengths_that_are_asked_for() {
    let served = with_texts();
    let highlights = |highlight: Json| {
        let body = json!({ "text": "fox", "filter": { "_id": 3 }, "highlight": highlight });
        let reply = post(&served, SEARCH, &body);
        assert_eq!(ids(&reply), [3]);
        reply.json()["found"][0]["highlights"].clone()
    };
    let body = json!({ "body": [["Brown bread and a ", "fox", ", 🦊 and <b>", "foxes", "</b>"]] });
    assert_eq!(highlights(json!(["body"])), body);
    assert_eq!(highlights(json!({})), body);
    assert_eq!(highlights(json!(["title"])), json!({}));
    assert_eq!(highlights(json!(false)), Json::Null);
    let short = highlights(json!({ "fields": ["body"], "fragments": 1, "fragment_bytes": 10 }));
    let fragments = short["body"].as_array().unwrap();
    assert_eq!(fragments.len(), 1);
    let parts = fragments[0].as_array().unwrap();
    let bytes: usize = parts.iter().map(|part| part.as_str().unwrap().len()).sum();
    assert!(bytes <= 10 && parts.len() % 2 == 1, "{short}");
    for bad in [
        json!(["other"]),
        json!([1]),
        json!("body"),
        json!({ "fragments": 0 }),
        json!({ "fragment_bytes": 100_000 }),
        json!({ "nonsense": 1 }),
    ] {
        let body = json!({ "text": "fox", "highlight": bad });
        post(&served, SEARCH, &body).problem(400, "invalid_query");
    }
}

#[test]
fn what_is_wrong_with_a_search_has_a_code() {
    let served = with_things();
    let search = |asked: &str| served.get(&format!("{SEARCH}?{asked}"));
    search("text=fox").problem(404, "unknown_index");
    let one = json!({ "name": "one", "kind": "full_text", "fields": ["a"], "language": "english" });
    index(&served, &one);
    index(
        &served,
        &json!({ "name": "tree", "kind": "btree", "fields": ["a"] }),
    );
    let detail = search("text=fox&index=two").problem(404, "unknown_index")["detail"].to_string();
    assert!(detail.contains("there are one"), "{detail}");
    search("text=fox&index=tree").problem(422, "wrong_index");
    for text in ["", "-fox", "%22fox", "fox+OR", "*"] {
        search(&format!("text={text}")).problem(400, "invalid_search");
    }
    // As in a filter by `$text`.
    for long in ["fox+".repeat(65), "x".repeat(5_000)] {
        search(&format!("text={long}")).problem(422, "query_limit");
    }
    for bad in [
        "",
        "text=fox&require=some",
        "text=fox&limit=0",
        "text=fox&limit=10001",
    ] {
        search(bad).problem(400, "invalid_query");
    }
    for bad in [
        json!({ "text": 1 }),
        json!({ "text": "fox", "sort": { "a": 1 } }),
        json!({ "text": "fox", "after": "x" }),
        json!({ "text": "fox", "index": 1 }),
        json!({ "text": "fox", "filter": { "a": { "$no": 1 } } }),
        json!({ "text": "fox", "timeout_ms": 0 }),
    ] {
        post(&served, SEARCH, &bad).problem(400, "invalid_query");
    }
    let key = [("idempotency-key", "k")];
    let reply = served.ask("POST", SEARCH, &key, r#"{"text":"fox"}"#);
    reply.problem(400, "invalid_header");
    let two = json!({ "name": "two", "kind": "full_text", "fields": ["b"], "language": "english" });
    index(&served, &two);
    let detail = search("text=fox").problem(400, "invalid_query")["detail"].to_string();
    assert!(detail.contains("one, two"), "{detail}");
    assert_eq!(search("text=fox&index=two").status, 200);
    served
        .get("/v1/collections/none/search?text=fox")
        .problem(404, "unknown_collection");
}

#[test]
fn places_by_their_distance() {
    let served = with_places();
    let body = json!({ "path": "position", "point": [18, 59], "limit": 2, "project": ["name"] });
    let reply = post(&served, NEAR, &body);
    assert_eq!(ids(&reply), [2, 1]);
    let answer = reply.json();
    let distance = answer["found"][0]["distance_m"].as_f64().unwrap();
    assert!((36_000.0..38_000.0).contains(&distance), "{distance}");
    assert_eq!(answer["next"], 2);
    assert_eq!(reply.header("velocity-index"), answer["index"].to_string());
    let asked = "path=position&point=18,59&limit=2&project=name";
    assert_eq!(served.get(&format!("{NEAR}?{asked}")).json(), answer);
    let near = |asked: &str| ids(&served.get(&format!("{NEAR}?{asked}")));
    // The only geo index says where the points are.
    assert_eq!(near("point=18,59&within_m=40000.5"), [2]);
    assert_eq!(near("point=18,59&within_m=0"), [0_i64; 0]);
    // Across the antimeridian.
    assert_eq!(near("point=-179.9,-15&limit=2"), [3, 4]);
    assert_eq!(near("point=18,59&filter=%7B%22name%22:%22Suva%22%7D"), [3]);
    // Without an index all documents are looked at.
    let gone = served.ask("DELETE", &format!("{INDEXES}/places"), &[], "");
    assert_eq!(gone.status, 204);
    assert_eq!(near("path=position&point=18,59&limit=2"), [2, 1]);
}

#[test]
fn what_is_wrong_with_a_place_has_a_code() {
    let served = with_things();
    let near = |asked: &str| served.get(&format!("{NEAR}?{asked}"));
    near("point=1,2").problem(404, "unknown_index");
    for outside in ["181,0", "0,-90.5"] {
        near(&format!("path=a&point={outside}")).problem(400, "invalid_point");
    }
    for bad in [
        "path=a",
        "path=a&point=1",
        "path=a&point=1,2,3",
        "path=a&point=x,2",
        "path=a&point=1,2&within_m=-1",
        "path=a&point=1,2&within_m=NaN",
        "path=a..b&point=1,2",
        "path=a&point=1,2&limit=0",
    ] {
        near(bad).problem(400, "invalid_query");
    }
    let beyond = json!({ "path": "a", "point": [1, 2], "offset": 10_000_000 });
    assert_eq!(post(&served, NEAR, &beyond).json()["found"], json!([]));
    for name in ["a", "b"] {
        index(
            &served,
            &json!({ "name": name, "kind": "geo", "fields": [name] }),
        );
    }
    near("point=1,2").problem(400, "invalid_query");
}

#[test]
fn pages_fit_together_and_lines_have_the_same() {
    let served = with_things();
    let definition =
        json!({ "name": "words", "kind": "full_text", "fields": ["text"], "language": "english" });
    index(&served, &definition);
    for id in 0..25 {
        let text = format!("fox {}", "filler ".repeat(usize::try_from(id).unwrap()));
        put(&served, id, &json!({ "text": text }));
    }
    let (mut seen, mut offset) = (Vec::new(), json!(0));
    while !offset.is_null() {
        let body = json!({ "text": "fox", "limit": 4, "offset": offset });
        let reply = post(&served, SEARCH, &body);
        seen.extend(ids(&reply));
        offset = reply.json()["next"].clone();
    }
    // The shorter a text, the better it answers.
    assert_eq!(seen, (0..25).collect::<Vec<_>>());
    let lines = |asked: &str| {
        let reply = served.ask("GET", &format!("{SEARCH}?{asked}"), &LINES, "");
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
        assert!(reply.headers.contains_key("velocity-index"));
        let lines = reply.text.lines();
        let lines = lines.map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Json>>()
    };
    let page = served.get(&format!("{SEARCH}?text=fox&offset=3&limit=7"));
    let same = lines("text=fox&offset=3&limit=7");
    assert_eq!(json!(same), page.json()["found"]);
    assert_eq!(lines("text=fox&limit=100").len(), 25);
    assert_eq!(lines("text=nothing").len(), 0);
    let reply = served.ask("GET", &format!("{SEARCH}?text=%22"), &LINES, "");
    reply.problem(400, "invalid_search");
}

#[test]
fn a_search_has_the_memory_of_a_query() {
    let mut frugal = config();
    frugal.query_bytes_max = 1 << 10;
    let served = Served::start(frugal, velocitydb::Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let words =
        json!({ "name": "words", "kind": "full_text", "fields": ["text"], "language": "english" });
    index(&served, &words);
    let things = served.database.collection("things").unwrap();
    for id in 0..200 {
        let text = ("text", "a quick fox".into());
        let place = velocitydb::Point::new(1.0, 2.0).unwrap();
        things
            .insert_with_id(id, [text, ("place", place.into())])
            .unwrap();
    }
    for asked in [
        format!("{SEARCH}?text=fox"),
        format!("{NEAR}?path=place&point=1,2&limit=200"),
    ] {
        let problem = served.get(&asked).problem(422, "query_limit");
        assert!(
            problem["detail"].to_string().contains("1024 bytes"),
            "{problem}"
        );
    }
}

#[test]
fn a_page_ends_before_the_bytes_that_it_may_have() {
    let mut small = config();
    small.page_bytes_max = 4 << 10;
    let served = Served::start(small, velocitydb::Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    let definition =
        json!({ "name": "words", "kind": "full_text", "fields": ["text"], "language": "english" });
    index(&served, &definition);
    for id in 0..9 {
        put(
            &served,
            id,
            &json!({ "text": "fox", "rest": "x".repeat(1_000) }),
        );
    }
    let reply = served.get(&format!("{SEARCH}?text=fox"));
    let first = ids(&reply).len();
    assert!((1..5).contains(&first), "{first}");
    assert_eq!(reply.json()["next"], first);
    let rest = served.get(&format!("{SEARCH}?text=fox&offset={first}"));
    assert!(!ids(&rest).is_empty());
}
