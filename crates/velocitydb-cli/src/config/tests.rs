//! Tests of the settings: every source, every kind of mistake.

use velocitydb::HistoryKept;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, Flags) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.yaml");
    std::fs::write(&path, text).unwrap();
    let flags = Flags {
        config: Some(path),
        ..Flags::default()
    };
    (dir, flags)
}

fn from_file(text: &str) -> Result<Settings, String> {
    file(text).1.settle_in(|_| None)
}

fn parsed(arguments: &[&str]) -> Flags {
    let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
    Flags::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

#[test]
fn defaults_are_those_of_the_library() {
    let settings = Flags::default().settle_in(|_| None).unwrap();
    let (found, expected) = (settings.server, ServerConfig::default());
    assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    assert_eq!(settings.data, Path::new(DATA_DEFAULT));
    assert_eq!(settings.mode, StorageMode::MemoryFirst);
    assert_eq!((settings.durability, settings.memory_limit), (None, None));
    assert_eq!(settings.history, HistoryOptions::default());
}

#[test]
fn every_key_is_read_from_the_file() {
    let settings = from_file(
        "
        # where and how
        data: /var/lib/velocitydb
        mode: persistent
        encryption-key-file: /keys/new
        encryption-previous-key-file: /keys/old
        durability: os
        http: localhost:80
        postgres: 127.0.0.1:5432
        insecure: true
        host-names: db.example, db2.example
        cors-origins: https://app.example, http://localhost:5173
        transactions: 8
        streams: 9
        history-limit: 8MiB
        history-kept: 1h
        transaction-timeout: 20s
        transaction-idle-timeout: 5s
        memory-limit: 4GiB
        in-flight-limit: 64MiB
        connections: 1_000
        requests: 10
        request-timeout: 1min
        query-timeout: 5s
        query-memory: 32MiB
        query-memory-total: 128MiB
        idle-timeout: 2h
        write-timeout: 10
        drain-timeout: 500ms
        slow-operation: 0
        sync-every: 250ms
        checkpoint-every: 1min
        sample: false
        log-format: json
        log-level: debug
        ",
    );
    let settings = settings.unwrap();
    assert_eq!(
        settings.texts.len(),
        KEYS.len(),
        "a key is not in this test"
    );
    assert_eq!(settings.data, Path::new("/var/lib/velocitydb"));
    assert_eq!(settings.mode, StorageMode::Persistent);
    assert_eq!(settings.postgres, Some("127.0.0.1:5432".parse().unwrap()));
    let key_files = format!("{:?}", settings.keys);
    assert!(key_files.contains("/keys/new") && key_files.contains("/keys/old"));
    assert_eq!(settings.durability, Some(Durability::Os));
    assert_eq!(settings.memory_limit, Some(Bytes(4 << 30)));
    assert_eq!(settings.query_memory, Some(Bytes(128 << 20)));
    let kept = HistoryKept::WhileFollowed(Duration::from_secs(3600));
    assert_eq!(
        (settings.history.bytes_max, settings.history.kept),
        (8 << 20, kept)
    );
    assert_eq!(settings.sync_every, Duration::from_millis(250));
    assert_eq!(settings.checkpoint_every, Duration::from_secs(60));
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!((settings.sample, &*settings.log_level), (false, "debug"));
    let server = settings.server;
    assert_eq!(server.http, "127.0.0.1:80".parse().unwrap());
    assert!(server.insecure);
    assert_eq!(server.host_names, ["db.example", "db2.example"]);
    let origins = ["https://app.example", "http://localhost:5173"];
    assert_eq!(server.cors_origins, origins);
    assert_eq!(server.transactions_max, 8);
    assert_eq!(server.streams_max, 9);
    assert_eq!(server.transaction_timeout, Duration::from_secs(20));
    assert_eq!(server.transaction_idle_timeout, Duration::from_secs(5));
    assert_eq!(server.in_flight_bytes_max, 64 << 20);
    assert_eq!(
        (server.connections_max, server.requests_concurrent_max),
        (1_000, 10)
    );
    assert_eq!(server.request_timeout, Duration::from_secs(60));
    assert_eq!(server.query_timeout, Duration::from_secs(5));
    assert_eq!(server.query_bytes_max, 32 << 20);
    assert_eq!(server.idle_timeout, Duration::from_secs(7200));
    assert_eq!(server.write_timeout, Duration::from_secs(10));
    assert_eq!(server.drain_timeout, Duration::from_millis(500));
    assert_eq!(server.slow_operation, Duration::ZERO);
}

#[test]
fn what_is_empty_says_nothing() {
    for text in ["", "# nothing\n", "data:\n", "mode: ~\n"] {
        let found = from_file(text).unwrap();
        assert_eq!(found.data, Path::new(DATA_DEFAULT), "{text:?}");
        assert_eq!(found.mode, StorageMode::MemoryFirst, "{text:?}");
    }
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let (_dir, mut flags) = file("requests: 1\nconnections: 1\nsync-every: 1ms");
    flags.given = parsed(&["--connections", "3", "--insecure"]).given;
    let environment = |name: &str| match name {
        "VELOCITYDB_CONNECTIONS" => Some("2".to_owned()),
        "VELOCITYDB_REQUESTS" => Some("2".to_owned()),
        _ => None,
    };
    let settings = flags.settle_in(environment).unwrap();
    assert_eq!(settings.server.connections_max, 3);
    assert_eq!(settings.server.requests_concurrent_max, 2);
    assert_eq!(settings.sync_every, Duration::from_millis(1));
    assert!(settings.server.insecure);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest_and_the_line() {
    let wrong = |text: &str| from_file(text).unwrap_err();
    for (text, words) in [
        (
            "mode: persistent\nmemory_limit: 1",
            "line 2: there is no key `memory_limit`; did you mean `memory-limit`?",
        ),
        (
            "htttp: 1",
            "line 1: there is no key `htttp`; did you mean `http`?",
        ),
        ("Slow-Operations: 1", "did you mean `slow-operation`?"),
        (
            "replication-factor: 3",
            "the keys are data, mode, encryption-key-file",
        ),
        ("config: a", "there is no key `config`"),
    ] {
        assert!(wrong(text).contains(words), "{}", wrong(text));
    }
    assert!(wrong("data: [1, 2]").contains("line 1"));
    assert!(wrong("mode: persistent\nmode: persistent").contains("duplicate"));
}

#[test]
fn a_wrong_value_names_its_key_what_is_allowed_and_where_it_stands() {
    for (key, value, allowed) in [
        (
            "mode",
            "fast",
            "expected one of memory-only, memory-first, persistent",
        ),
        ("mode", "hybrid", "cold tier"),
        (
            "durability",
            "very",
            "expected one of none, memory, os, full",
        ),
        ("http", "7480", "expected an IP address and a port"),
        ("memory-limit", "much", "expected a size such as 4GiB"),
        ("in-flight-limit", "1KiB", "from 24MiB to 1TiB"),
        (
            "connections",
            "0",
            "expected a whole number from 1 to 1000000",
        ),
        ("write-timeout", "0", "from 1ms to 1d"),
        (
            "slow-operation",
            "fast",
            "expected a duration such as 100ms",
        ),
        ("insecure", "perhaps", "expected true or false"),
        ("log-format", "xml", "expected one of auto, text, json"),
        ("log-level", "=[", "expected error, warn, info"),
    ] {
        let error = from_file(&format!("# one\n{key}: '{value}'")).unwrap_err();
        assert!(error.starts_with(&format!("key `{key}` of ")), "{error}");
        assert!(
            error.contains("v.yaml, line 2: ") && error.contains(allowed),
            "{error}"
        );
        let variable = format!("VELOCITYDB_{}", key.to_uppercase().replace('-', "_"));
        let in_environment = |name: &str| (name == variable).then(|| value.to_owned());
        let error = Flags::default().settle_in(in_environment).unwrap_err();
        assert!(error.starts_with(&format!("{variable}: ")), "{error}");
        let flag = parsed(&[&format!("--{key}={value}")]);
        let error = flag.settle_in(|_| None).unwrap_err();
        assert!(
            error.starts_with(&format!("--{key}: ")) && error.contains(allowed),
            "{error}"
        );
    }
}

#[test]
fn a_reload_takes_what_can_change_and_tells_the_rest() {
    let (_dir, flags) = file("slow-operation: 1s\nmemory-limit: 1GiB");
    let path = flags.config.clone().unwrap();
    let settings = flags.settle_in(|_| None).unwrap();
    let mut running = settings.clone();
    let changes = |list: &[Change]| {
        let shown = |change: &Change| format!("{} {}->{}", change.key, change.from, change.to);
        list.iter().map(shown).collect::<Vec<_>>()
    };
    std::fs::write(&path, "write-timeout: 5s\nmemory-limit: 2GiB").unwrap();
    let new = flags.settle_in(|_| None).unwrap();
    let reloaded = running.compare(&new);
    assert_eq!(
        changes(&reloaded.changed),
        ["write-timeout 30s->5s", "slow-operation 1s->100ms"]
    );
    assert_eq!(
        changes(&reloaded.needs_restart),
        ["memory-limit 1GiB->2GiB"]
    );
    running.take_live(&new);
    let again = running.compare(&new);
    assert!(again.changed.is_empty());
    assert_eq!(again.needs_restart.len(), 1, "until the restart");
}
