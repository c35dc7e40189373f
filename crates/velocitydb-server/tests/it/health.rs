//! Health and metrics.

use std::collections::BTreeMap;

use crate::harness::{Served, THINGS, served, with_things};

#[test]
fn health_says_what_is_served() {
    let served = with_things();
    let health = served.get("/health");
    assert_eq!(health.status, 200);
    let health = health.json();
    assert_eq!(
        (&health["live"], &health["ready"]),
        (&true.into(), &true.into())
    );
    assert_eq!(health["writes"], "ok");
    assert!(health["warning"].is_null());
    assert_eq!(health["storage_mode"], "memory-only");
    let index = health["index"].as_u64().unwrap();
    served.put(&format!("{THINGS}/a"), "{}");
    assert_eq!(served.get("/health").json()["index"], index + 1);
    assert_eq!(served.get("/health/live").status, 200);
    assert_eq!(served.get("/health/ready").status, 200);

    served.database.close().unwrap();
    assert_eq!(served.get("/health/live").status, 200);
    let problem = served.get("/health/ready").problem(503, "not_ready");
    assert!(
        problem["detail"].as_str().unwrap().contains("closed"),
        "{problem}"
    );
    let health = served.get("/health");
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["ready"], false);
    assert_ne!(health.json()["writes"], "ok");
    served
        .put(&format!("{THINGS}/a"), "{}")
        .problem(503, "closed");
    assert_eq!(
        served.get(&format!("{THINGS}/a")).status,
        200,
        "reads go on"
    );
    assert_eq!(served.figure("velocitydb_writable"), 0.0);
}

/// Reads the text as its format asks, and gives the samples by name with labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap_or_default());
            match what {
                "TYPE" => assert!(
                    families.insert(name, words.next().unwrap()).is_none(),
                    "{name}"
                ),
                "HELP" => assert!(words.next().unwrap().ends_with('.'), "{line}"),
                other => assert!(matches!(other, "UNIT" | "EOF"), "{line}"),
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let bare = name.split('{').next().unwrap();
        let endings = ["", "_total", "_info", "_bucket", "_sum", "_count"];
        let family = endings
            .iter()
            .find_map(|ending| families.get(bare.strip_suffix(ending)?));
        let family = family.unwrap_or_else(|| panic!("{name} has no type"));
        assert_eq!(*family == "counter", bare.ends_with("_total"), "{name}");
        assert!(bare.starts_with("velocitydb_"), "{name}");
        let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(
            samples.insert(name.to_owned(), value).is_none(),
            "{name} twice"
        );
    }
    samples
}

#[test]
fn metrics_have_their_figures() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::at(dir.path());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    for n in 0..3 {
        served.put(&format!("{THINGS}/{n}"), "{}");
    }
    served.get(&format!("{THINGS}/9"));
    served.get("/nowhere");
    served.database.checkpoint().unwrap();
    let view = served.database.snapshot();
    let reply = served.get("/metrics");
    assert!(
        reply
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let samples = samples(&reply.text);
    let value = |name: &str| {
        *samples
            .get(name)
            .unwrap_or_else(|| panic!("{name}: {samples:#?}"))
    };
    assert_eq!(value("velocitydb_entries_total"), 4.0);
    assert_eq!(value("velocitydb_visible_index"), view.index() as f64);
    assert_eq!(
        value("velocitydb_oldest_snapshot_index"),
        view.index() as f64
    );
    assert_eq!(value("velocitydb_checkpoints_total"), 1.0);
    assert_eq!(
        value("velocitydb_checkpoint_documents"),
        4.0,
        "with the definition"
    );
    assert!(value("velocitydb_log_written_bytes_total") > 0.0);
    assert!(value("velocitydb_log_segments") >= 1.0);
    assert!(value("velocitydb_memory_used_bytes") > 0.0);
    assert!(
        !samples.contains_key("velocitydb_memory_limit_bytes"),
        "there is none"
    );
    assert_eq!(value("velocitydb_writable"), 1.0);
    assert!(value("velocitydb_uptime_seconds") > 0.0);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        value(&format!("velocitydb_build_info{{version=\"{version}\"}}")),
        1.0
    );
    assert_eq!(
        value("velocitydb_collection_documents{database=\"velocity\",collection=\"things\"}"),
        3.0
    );
    let bytes = "velocitydb_collection_bytes{database=\"velocity\",collection=\"things\"}";
    assert!(value(bytes) > 0.0);
    let document = "route=\"/v1/collections/{name}/documents/{id}\"";
    let requests = |labels: String| value(&format!("velocitydb_http_requests_total{{{labels}}}"));
    assert_eq!(
        requests(format!("{document},method=\"PUT\",status=\"201\"")),
        3.0
    );
    assert_eq!(
        requests(format!("{document},method=\"GET\",status=\"404\"")),
        1.0
    );
    assert_eq!(
        requests("route=\"none\",method=\"GET\",status=\"404\"".into()),
        1.0
    );
    let put =
        format!("velocitydb_http_request_duration_seconds_count{{{document},method=\"PUT\"}}");
    assert_eq!(value(&put), 3.0);
    assert_eq!(value("velocitydb_http_requests_in_flight"), 1.0, "this one");
    assert!(value("velocitydb_http_connections") >= 1.0);
}

#[test]
fn metrics_without_collections_and_with_strange_methods() {
    let served = served();
    samples(&served.get("/metrics").text);
    let mut raw = served.connect();
    raw.send("BREW /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    raw.reply().problem(405, "method_not_allowed");
    let samples = samples(&served.get("/metrics").text);
    assert!(
        samples.keys().any(|name| name.contains("method=\"OTHER\"")),
        "{samples:#?}"
    );
}
