//! Settings that change while the server runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use velocitydb::Database;
use velocitydb_server::{Change, ReadConfig, Reloaded, ServerConfig};

use crate::harness::{Served, THINGS, config, served};

/// What the next reading gives.
type Next = Arc<Mutex<Result<ServerConfig, String>>>;

fn reloading() -> (Served, Next) {
    let next: Next = Arc::new(Mutex::new(Ok(config())));
    let mut first = config();
    let read = Arc::clone(&next);
    first.read_again = Some(ReadConfig::new(move || {
        let config = read.lock().unwrap().clone()?;
        let change = Change {
            key: "slow-operation",
            from: "a".to_owned(),
            to: "b".to_owned(),
        };
        let reloaded = Reloaded {
            changed: vec![change],
            needs_restart: Vec::new(),
        };
        Ok((config, reloaded))
    }));
    let served = Served::start(first, Database::in_memory().unwrap());
    served.post("/v1/collections", r#"{"name":"things"}"#);
    (served, next)
}

fn slow_operation_us(served: &Served) -> u64 {
    let slow = served.get("/v1/admin/slow").json();
    slow["slow_operation_us"].as_u64().unwrap()
}

#[test]
fn a_reload_changes_a_running_server_and_says_what() {
    let (served, next) = reloading();
    assert_eq!(slow_operation_us(&served), 100_000);
    let mut config = config();
    config.slow_operation = Duration::from_micros(5);
    config.request_timeout = Duration::from_nanos(1);
    *next.lock().unwrap() = Ok(config);
    let reply = served.ask("POST", "/v1/admin/reload", &[], "");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(
        reply.text,
        r#"{"changed":[{"key":"slow-operation","from":"a","to":"b"}],"needs_restart":[]}"#
    );
    assert_eq!(slow_operation_us(&served), 5);
    assert_eq!(served.get(THINGS).status, 504, "no request has time now");
}

#[test]
fn a_wrong_configuration_changes_nothing() {
    let (served, next) = reloading();
    *next.lock().unwrap() = Err("key `mode` of a.yaml, line 2: nonsense".to_owned());
    let reply = served.ask("POST", "/v1/admin/reload", &[], "");
    let problem = reply.problem(422, "invalid_configuration");
    assert_eq!(problem["detail"], "key `mode` of a.yaml, line 2: nonsense");
    assert_eq!(slow_operation_us(&served), 100_000);
}

#[test]
fn without_a_file_there_is_nothing_to_reload() {
    let reply = served().ask("POST", "/v1/admin/reload", &[], "");
    reply.problem(409, "no_configuration_file");
}
