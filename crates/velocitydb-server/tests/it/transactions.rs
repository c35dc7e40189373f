//! Transactions over several requests. The time is turned by hand: nothing here waits.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use velocitydb::{Database, ManualClock, Options, Timestamp};
use velocitydb_server::ServerConfig;

use crate::harness::{Reply, Served, THINGS, config, with_things};

const TRANSACTIONS: &str = "/v1/transactions";

/// Begins one; the path of it.
fn begin(served: &Served, body: &str) -> String {
    let reply = served.post(TRANSACTIONS, body);
    assert_eq!(reply.status, 201, "{reply:?}");
    let path = reply.header("location").to_owned();
    assert_eq!(
        path,
        format!("{TRANSACTIONS}/{}", reply.json()["id"].as_str().unwrap())
    );
    path
}

/// The path of a document of `things` in a transaction.
fn thing(transaction: &str, id: &str) -> String {
    format!("{transaction}/collections/things/documents/{id}")
}

fn commit(served: &Served, transaction: &str) -> Reply {
    served.post(&format!("{transaction}/commit"), "")
}

fn roll_back(served: &Served, transaction: &str) -> Reply {
    served.ask("DELETE", transaction, &[], "")
}

/// The field `n` of a document outside of any transaction; null when it is not there.
fn n(served: &Served, id: &str) -> Json {
    served.get(&format!("{THINGS}/{id}")).json()["n"].clone()
}

/// A server whose clock stands still, with a collection `things`.
fn with_clock(change: impl FnOnce(&mut ServerConfig)) -> (Served, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp(1_000_000_000_000_000)));
    let options = Options::in_memory().clock(Arc::clone(&clock) as _);
    let mut config = config();
    change(&mut config);
    let served = Served::start(config, Database::open(options).unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    (served, clock)
}

const SECOND: i64 = 1_000_000;

#[test]
fn a_transfer_between_two_documents() {
    let served = with_things();
    served.put(&format!("{THINGS}/a"), r#"{"n":10}"#);
    served.put(&format!("{THINGS}/b"), r#"{"n":0}"#);
    let t = begin(&served, "");
    let read = served.get(&thing(&t, "a"));
    assert_eq!(read.json()["n"], 10);
    let index = read.header("velocity-index").to_owned();
    let patched = served.ask("PATCH", &thing(&t, "a"), &[], r#"{"n":7}"#);
    assert_eq!(
        (patched.status.as_u16(), &patched.json()["n"]),
        (200, &json!(7))
    );
    assert_eq!(served.put(&thing(&t, "b"), r#"{"n":3}"#).status, 200);
    // It sees its own writes, and nobody else does.
    assert_eq!(served.get(&thing(&t, "b")).json()["n"], 3);
    assert_eq!(served.get(&thing(&t, "b")).header("velocity-index"), index);
    assert_eq!((n(&served, "a"), n(&served, "b")), (json!(10), json!(0)));

    let done = commit(&served, &t);
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(done.header("velocity-durability"), "memory");
    assert_eq!((n(&served, "a"), n(&served, "b")), (json!(7), json!(3)));
    let (a, b) = (
        served.get(&format!("{THINGS}/a")),
        served.get(&format!("{THINGS}/b")),
    );
    assert_eq!(a.json()["_index"], done.json()["index"]);
    assert_eq!(b.json()["_index"], done.json()["index"]);
}

#[test]
fn every_change_of_a_document() {
    let served = with_things();
    let t = begin(&served, r#"{"isolation":"serializable","timeout_ms":5000}"#);
    assert_eq!(served.get(&t).json()["isolation"], "serializable");
    let all = format!("{t}/collections/things/documents");
    let chosen = served.post(&all, r#"{"n":1}"#);
    assert_eq!(chosen.status, 201);
    let path = chosen.header("location").to_owned();
    assert!(path.starts_with(&all), "{path}");
    assert_eq!(served.get(&path).json()["n"], 1);
    let named = served.post(&all, r#"{"_id":"x y","n":2}"#);
    assert_eq!(named.header("location"), format!("{all}/x%20y"));
    served
        .post(&all, r#"{"_id":"x y"}"#)
        .problem(409, "already_exists");
    assert_eq!(served.put(&thing(&t, "new"), r#"{"n":3}"#).status, 201);

    let swap = format!("{}/compare-and-swap", thing(&t, "new"));
    let body = r#"{"expected":{"n":3},"update":{"n":4}}"#;
    assert_eq!(served.post(&swap, body).json()["n"], 4);
    served.post(&swap, body).problem(409, "condition_failed");
    assert_eq!(
        served.ask("DELETE", &thing(&t, "x%20y"), &[], "").status,
        204
    );
    served.get(&thing(&t, "x%20y")).problem(404, "not_found");
    served
        .ask("DELETE", &thing(&t, "none"), &[], "")
        .problem(404, "not_found");
    served
        .ask("PATCH", &thing(&t, "none"), &[], "{}")
        .problem(404, "not_found");
    served
        .put(&thing(&t, "z"), r#"{"_id":"y"}"#)
        .problem(400, "invalid_id");
    served
        .put(&thing(&t, "z"), "{")
        .problem(400, "invalid_json");
    let elsewhere = format!("{t}/collections/none/documents/a");
    served.get(&elsewhere).problem(404, "unknown_collection");

    // What was refused did not end it.
    assert_eq!(commit(&served, &t).status, 200);
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        2
    );
    assert_eq!(n(&served, "new"), 4);
}

#[test]
fn documents_of_a_transaction_can_expire() {
    let served = with_things();
    let t = begin(&served, "");
    let headers = [("velocity-expires-in", "60")];
    assert_eq!(
        served.ask("PUT", &thing(&t, "a"), &headers, "{}").status,
        201
    );
    assert_eq!(served.put(&thing(&t, "b"), "{}").status, 201);
    commit(&served, &t);
    let expires = |id: &str| served.get(&format!("{THINGS}/{id}")).json()["_expires_at"].clone();
    assert!(expires("a").is_string() && expires("b").is_null());
}

/// The first to commit wins; the other is told, and has changed nothing.
#[test]
fn what_another_has_changed_meanwhile_is_a_conflict() {
    let served = with_things();
    served.put(&format!("{THINGS}/a"), r#"{"n":1}"#);
    let (one, other) = (begin(&served, ""), begin(&served, ""));
    for (t, text) in [(&one, r#"{"n":2}"#), (&other, r#"{"n":3}"#)] {
        assert_eq!(served.ask("PATCH", &thing(t, "a"), &[], text).status, 200);
    }
    served.put(&thing(&other, "b"), "{}");
    assert_eq!(commit(&served, &one).status, 200);
    commit(&served, &other).problem(409, "conflict");
    assert_eq!(n(&served, "a"), 2);
    served.get(&format!("{THINGS}/b")).problem(404, "not_found");
    // The refusal is the outcome, however often it is asked for.
    commit(&served, &other).problem(409, "conflict");
    let problem = served.get(&thing(&other, "a"));
    let problem = problem.problem(410, "transaction_ended");
    assert!(
        problem["detail"].as_str().unwrap().contains("refused"),
        "{problem}"
    );
}

/// Each reads what the other writes: both may do so at `snapshot`, one alone at `serializable`.
#[test]
fn write_skew_is_a_conflict_where_it_is_asked_for() {
    let served = with_things();
    for (isolation, second) in [("snapshot", 200), ("serializable", 409)] {
        served.put(&format!("{THINGS}/a"), "{}");
        served.put(&format!("{THINGS}/b"), "{}");
        let body = json!({ "isolation": isolation }).to_string();
        let (one, other) = (begin(&served, &body), begin(&served, &body));
        for (t, reads, writes) in [(&one, "a", "b"), (&other, "b", "a")] {
            assert_eq!(served.get(&thing(t, reads)).status, 200);
            assert_eq!(served.put(&thing(t, writes), "{}").status, 200);
        }
        assert_eq!(commit(&served, &one).status, 200);
        assert_eq!(commit(&served, &other).status, second, "{isolation}");
    }
}

#[test]
fn what_is_rolled_back_never_happened() {
    let served = with_things();
    let t = begin(&served, "");
    served.put(&thing(&t, "a"), "{}");
    assert_eq!(roll_back(&served, &t).status, 204);
    served.get(&format!("{THINGS}/a")).problem(404, "not_found");
    // It may be said twice; nothing else may be done with it.
    assert_eq!(roll_back(&served, &t).status, 204);
    served
        .get(&thing(&t, "a"))
        .problem(410, "transaction_ended");
    served
        .put(&thing(&t, "a"), "{}")
        .problem(410, "transaction_ended");
    commit(&served, &t).problem(410, "transaction_ended");
}

/// The answer to a commit may be lost: whoever asks again is given the same.
#[test]
fn a_commit_repeated_is_answered_the_same() {
    let (served, clock) = with_clock(|_| ());
    let t = begin(&served, "");
    served.put(&thing(&t, "a"), r#"{"n":1}"#);
    let first = commit(&served, &t);
    assert!(first.headers.get("velocity-repeated").is_none());
    served.put(&format!("{THINGS}/a"), r#"{"n":2}"#);
    let again = commit(&served, &t);
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(
        again.header("velocity-index"),
        first.header("velocity-index")
    );
    assert_eq!(
        again.header("velocity-durability"),
        first.header("velocity-durability")
    );
    assert_eq!(again.header("velocity-repeated"), "true");
    assert_eq!(n(&served, "a"), 2);
    roll_back(&served, &t).problem(410, "transaction_ended");

    clock.advance(599 * SECOND);
    assert_eq!(commit(&served, &t).status, 200);
    clock.advance(SECOND);
    commit(&served, &t).problem(404, "unknown_transaction");
}

/// With a key, the transaction run again as a whole happens once.
#[test]
fn a_key_makes_a_transaction_happen_once() {
    let served = with_things();
    let run = || {
        let t = begin(&served, "");
        served.post(&format!("{t}/collections/things/documents"), "{}");
        served.ask(
            "POST",
            &format!("{t}/commit"),
            &[("idempotency-key", "k")],
            "",
        )
    };
    let (first, again) = (run(), run());
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (200, 200));
    assert_eq!(again.header("velocity-repeated"), "true");
    assert_eq!(again.json()["index"], first.json()["index"]);
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        1
    );
}

#[test]
fn one_that_is_not_used_is_rolled_back() {
    let (served, clock) = with_clock(|_| ());
    let t = begin(&served, "");
    served.put(&thing(&t, "a"), "{}");
    clock.advance(29 * SECOND);
    assert_eq!(served.get(&thing(&t, "a")).status, 200); // begins the idle time again
    clock.advance(29 * SECOND);
    assert_eq!(served.get(&t).status, 200);
    clock.advance(30 * SECOND - 1);
    // The time in all, which no use makes longer.
    commit(&served, &t).problem(410, "transaction_timed_out");

    let t = begin(&served, "");
    served.put(&thing(&t, "a"), "{}");
    clock.advance(30 * SECOND);
    let problem = served
        .get(&thing(&t, "a"))
        .problem(410, "transaction_timed_out");
    assert!(
        problem["detail"].as_str().unwrap().contains("not used"),
        "{problem}"
    );
    commit(&served, &t).problem(410, "transaction_timed_out");
    assert_eq!(roll_back(&served, &t).status, 204);
    served.get(&format!("{THINGS}/a")).problem(404, "not_found");
}

#[test]
fn a_client_may_ask_for_less_time_and_not_for_more() {
    let (served, clock) = with_clock(|_| ());
    let t = begin(&served, r#"{"timeout_ms":1500}"#);
    clock.advance(SECOND);
    assert_eq!(served.get(&t).status, 200);
    clock.advance(SECOND);
    served.get(&t).problem(410, "transaction_timed_out");
    for bad in [
        r#"{"timeout_ms":0}"#,
        r#"{"timeout_ms":60001}"#,
        r#"{"timeout_ms":"1"}"#,
        r#"{"isolation":"chaos"}"#,
        r#"{"iso":"snapshot"}"#,
        "[]",
        "1",
    ] {
        served
            .post(TRANSACTIONS, bad)
            .problem(400, "invalid_request");
    }
    served.post(TRANSACTIONS, "{").problem(400, "invalid_json");
}

#[test]
fn so_many_are_open_and_no_more() {
    let (served, clock) = with_clock(|config| config.transactions_max = 2);
    let (one, _other) = (begin(&served, ""), begin(&served, ""));
    let refused = served.post(TRANSACTIONS, "");
    refused.problem(503, "too_many_transactions");
    assert_eq!(refused.header("retry-after"), "1");
    roll_back(&served, &one);
    begin(&served, "");
    served
        .post(TRANSACTIONS, "")
        .problem(503, "too_many_transactions");
    clock.advance(30 * SECOND); // those who have gone make room
    begin(&served, "");
}

/// What open transactions have written is bounded in all, and given back at their end.
#[test]
fn the_bytes_of_open_transactions_are_bounded() {
    let (served, _) = with_clock(|config| {
        config.body_bytes_max = 1 << 20;
        config.in_flight_bytes_max = 1 << 20;
    });
    let large = json!({ "text": "x".repeat(400 << 10) }).to_string();
    let (one, other) = (begin(&served, ""), begin(&served, ""));
    assert_eq!(served.put(&thing(&one, "a"), &large).status, 201);
    assert_eq!(served.put(&thing(&other, "b"), &large).status, 201);
    served.put(&thing(&other, "c"), &large).problem(503, "busy");
    assert_eq!(served.put(&thing(&other, "small"), "{}").status, 201);
    roll_back(&served, &one);
    // Short as text, long as it is kept: what is kept counts.
    let numbers = json!({ "n": vec![1; 60 << 10] }).to_string();
    assert_eq!(served.put(&thing(&other, "n"), &numbers).status, 201);
    assert_eq!(
        served.ask("DELETE", &thing(&other, "n"), &[], "").status,
        204
    );
    served.put(&thing(&other, "c"), &large).problem(503, "busy");
    roll_back(&served, &other);
    let other = begin(&served, "");
    assert_eq!(served.put(&thing(&other, "a"), "{}").status, 201);
    assert_eq!(served.put(&thing(&other, "b"), &large).status, 201);
    assert_eq!(served.put(&thing(&other, "c"), &large).status, 201);
    assert_eq!(commit(&served, &other).status, 200);
    assert_eq!(
        served.get("/v1/collections/things/count").json()["count"],
        3
    );
}

/// However they fall, each is made, or told that another is at work (that this is so whenever
/// they meet is a test of `transactions` in the server).
#[test]
fn requests_at_once_in_one_transaction() {
    let served = with_things();
    let t = begin(&served, "");
    let document = thing(&t, "a");
    assert_eq!(served.put(&document, r#"{"n":1}"#).status, 201);
    std::thread::scope(|scope| {
        let ask = || match served.put(&document, r#"{"n":1}"#) {
            made if made.status == 200 => made.json()["n"] == 1,
            busy => busy.problem(409, "transaction_busy").is_object(),
        };
        let asked: Vec<_> = (0..32).map(|_| scope.spawn(ask)).collect();
        assert!(asked.into_iter().all(|one| one.join().unwrap()));
    });
    assert_eq!(commit(&served, &t).status, 200);
    assert_eq!(n(&served, "a"), 1);
}

#[test]
fn headers_that_mean_nothing_in_a_transaction_are_refused() {
    let served = with_things();
    let t = begin(&served, "");
    for header in [
        ("if-match", "\"1\""),
        ("idempotency-key", "k"),
        ("velocity-durability", "full"),
    ] {
        let reply = served.ask("PUT", &thing(&t, "a"), &[header], "{}");
        let problem = reply.problem(400, "invalid_header");
        assert!(
            problem["detail"].as_str().unwrap().contains(header.0),
            "{problem}"
        );
    }
    let path = format!("{t}/commit");
    let done = served.ask("POST", &path, &[("velocity-durability", "none")], "");
    assert_eq!(done.header("velocity-durability"), "none");
}

#[test]
fn ids_that_are_not_known() {
    let served = with_things();
    let zeros = "0".repeat(32);
    for id in [zeros.as_str(), "x", "0", "%00", &"F".repeat(32)] {
        let t = format!("{TRANSACTIONS}/{id}");
        served.get(&t).problem(404, "unknown_transaction");
        served
            .get(&thing(&t, "a"))
            .problem(404, "unknown_transaction");
        served
            .put(&thing(&t, "a"), "{}")
            .problem(404, "unknown_transaction");
        commit(&served, &t).problem(404, "unknown_transaction");
        roll_back(&served, &t).problem(404, "unknown_transaction");
    }
}
