//! Where `velocitydb serve` takes its settings from, and what it says about wrong ones.

use std::path::{Path, PathBuf};

use crate::process::{Served, command, velocitydb};

fn file(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("velocitydb.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_file_configures_what_no_flag_does() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("from the file");
    let text = format!(
        "data: {}\nmode: persistent\nhttp: 127.0.0.1:1\n",
        data.display()
    );
    let file = file(dir.path(), &text);
    let served = Served::start(&["--config", file.to_str().unwrap()]);
    assert!(
        served.said.contains("from the file (persistent; "),
        "{}",
        served.said
    );
    assert!(
        served.said.contains("at durability `full`"),
        "{}",
        served.said
    );
    served.stop();
    assert!(data.join("wal").is_dir());
}

#[test]
fn wrong_settings_end_it_with_status_2_and_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let with = |text: &str| {
        let file = file(dir.path(), text);
        velocitydb(&["serve", "--config", file.to_str().unwrap()])
            .fails(2)
            .0
    };
    let error = with("memory-limits: 1GiB");
    assert!(
        error.contains("no key `memory-limits`; did you mean `memory-limit`?"),
        "{error}"
    );
    let error = with("durability: paper");
    assert!(error.contains("key `durability` of "), "{error}");
    let (error, _) = velocitydb(&["serve", "--config", "no such file"]).fails(2);
    assert!(
        error.contains("cannot read the configuration no such file"),
        "{error}"
    );
    let (error, _) = velocitydb(&["serve", "--mode", "hybrid"]).fails(2);
    assert!(error.contains("cold tier"), "{error}");
    let (error, _) =
        velocitydb(&["serve", "--mode", "memory-only", "--durability", "full"]).fails(2);
    assert!(error.contains("no write can be `full`"), "{error}");
}

/// A wrong value is only an error where it counts: the flag wins over the environment, which
/// wins over the file.
#[test]
fn flags_win_over_the_environment_which_wins_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(dir.path(), "http: 10.0.0.3:3\nmode: memory-only\n");
    let run = |flags: &[&str], environment: &[(&str, &str)]| {
        let mut command = command(&["serve", "--config", file.to_str().unwrap()]);
        command.args(flags).envs(environment.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let environment = [("VELOCITYDB_HTTP", "10.0.0.2:2")];
    for (flags, environment, address) in [
        (&[][..], &[][..], "10.0.0.3:3"),
        (&[], &environment, "10.0.0.2:2"),
        (&["--http", "10.0.0.1:1"], &environment, "10.0.0.1:1"),
    ] {
        let error = run(flags, environment);
        assert!(
            error.contains(&format!("refusing to serve on {address}")),
            "{error}"
        );
        assert!(error.contains("--insecure"), "{error}");
    }
}

/// docs/reference/configuration.md is what the program says of itself.
#[test]
fn the_reference_is_current() {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let path = Path::new(&root).join("../../docs/reference/configuration.md");
    let kept = std::fs::read_to_string(path).unwrap();
    let now = velocitydb(&["configuration-reference"]).succeeds();
    assert!(
        kept == now,
        "`cargo xtask fix` writes docs/reference/configuration.md"
    );
}

#[cfg(unix)]
#[test]
fn a_hangup_reads_the_file_again_and_the_server_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), "mode: memory-only\nslow-operation: 1s\n");
    let served = Served::start(&["--config", path.to_str().unwrap()]);
    let slow = || {
        let url = format!("http://{}/v1/admin/slow", served.address);
        crate::http::get(&url).json()["slow_operation_us"].clone()
    };
    assert_eq!(slow(), 1_000_000);
    // With something wrong, nothing changes.
    file(dir.path(), "slow-operation: 2s\nconnections: none\n");
    let url = format!("http://{}/v1/admin/reload", served.address);
    let refused = crate::http::Request::from_curl(&format!("curl -X POST {url}")).send();
    assert_eq!(refused.status, 422);
    let detail = refused.json()["detail"].to_string();
    assert!(
        detail.contains("key `connections` of ") && detail.contains("line 2"),
        "{detail}"
    );
    assert_eq!(slow(), 1_000_000);

    file(dir.path(), "mode: memory-only\nslow-operation: 3s\n");
    served.signal("HUP");
    while slow() != 3_000_000 {
        std::thread::yield_now();
    }
    let rest = served.stop();
    assert!(rest.contains("SIGTERM: stopping."), "{rest}");
}
