//! The program as people run it: every test starts `velocitydb` itself.
//!
//! - [`demo`], [`import`], [`check`], [`config`]: what a command prints and leaves;
//! - [`serve`]: the server, its pasted lines, its end and its next start;
//! - [`output`]: the server when nobody reads what it says;
//! - [`schema`]: schema files;
//! - [`databases`]: `--database`, and a backup of all databases;
//! - [`shell`], [`terminal`]: the shell, status and top, without a terminal and through one;
//! - [`slow_reader`]: a large result of SQL that nobody takes;
//! - [`docs`]: the examples of docs/operating;
//! - [`kill`]: SIGKILL under load, again and again, and what is left.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod check;
mod config;
mod databases;
mod demo;
mod docs;
mod encryption;
mod export;
mod http;
mod import;
mod kill;
mod output;
mod postgres;
mod process;
mod schema;
mod serve;
mod shell;
#[cfg(target_os = "linux")]
mod slow_reader;
#[cfg(unix)]
mod terminal;

use process::velocitydb;

#[test]
fn it_says_what_it_is() {
    let version = velocitydb(&["--version"]).succeeds();
    assert!(
        version.starts_with(concat!("velocitydb ", env!("CARGO_PKG_VERSION"), " (")),
        "{version}"
    );
    assert_eq!(velocitydb(&["version"]).succeeds(), version);
}

#[test]
fn help_names_every_command_but_the_hidden_one() {
    let help = velocitydb(&["--help"]).succeeds();
    for command in [
        "serve", "demo", "shell", "status", "top", "import", "export", "schema", "check", "repair",
        "bench", "version",
    ] {
        assert!(help.contains(&format!("\n  {command}")), "{help}");
    }
    assert!(!help.contains("torture"), "{help}");
}

#[test]
fn a_wrong_request_ends_with_status_2() {
    let (error, _) = velocitydb(&["serv"]).fails(2);
    assert!(error.contains("serve"), "{error}");
    velocitydb::<&str>(&[]).fails(2);
}

#[test]
fn benchmarks_run() {
    let arguments = [
        "bench",
        "embedded",
        "--only",
        "get",
        "--rounds",
        "1",
        "--documents",
        "1000",
    ];
    let report = velocitydb(&arguments).succeeds();
    assert!(report.contains("1000 documents, 1 rounds"), "{report}");
    let (error, _) = velocitydb(&["bench", "embedded", "--only", "nothing"]).fails(2);
    assert!(error.contains("there are get, "), "{error}");
}

/// All are assigned, once, and nothing is left of the databases.
#[test]
fn the_benchmark_of_assignments_runs() {
    let dir = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let dir = dir.path().to_str().unwrap();
        let fixed = [
            "bench", "colonies", "--native", "--rounds", "1", "--dir", dir,
        ];
        velocitydb(&[&fixed[..], more].concat())
    };
    let report = run(&["--seconds", "1", "--processes", "10000"]).succeeds();
    assert!(
        report.contains("10000 processes, 1 rounds of 1 s"),
        "{report}"
    );
    for figure in [
        "| assignments at `os`, the server's indexes, 1000 processes wait, 64 callers | ",
        "| assignments at `full`, the few indexes, 1000 processes wait, 64 callers | ",
        "| time of an assignment at `os`, median, 10,000 processes wait, against 10.0 | ",
        "| time of an assignment at `os`, p99, 10,000 processes wait, all but the last 1 for others, against 10.0 | ",
    ] {
        assert!(report.contains(figure), "{report}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let (error, _) = run(&["--only", "mix"]).fails(2);
    assert!(error.contains("there are assign, latency"), "{error}");
    run(&["--against", "postgres"]).fails(2);
    let without = [
        "bench",
        "colonies",
        "--processes",
        "10000",
        "--only",
        "nothing",
    ];
    let (error, _) = velocitydb(&without).fails(2);
    assert!(error.contains("--native"), "{error}");
}

/// Both sides are started and asked, and what was inserted is counted.
#[test]
fn the_benchmark_of_http_runs_where_wrk_is() {
    let arguments = [
        "bench",
        "http",
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--documents",
        "100",
    ];
    if std::process::Command::new("wrk").output().is_err() {
        let (error, _) = velocitydb(&arguments).fails(1);
        assert!(error.contains("apt-get install wrk"), "{error}");
        return;
    }
    let report = velocitydb(&arguments).succeeds();
    for figure in ["| document by id, ", "| insert at `os`, "] {
        assert!(report.contains(figure), "{report}");
    }
}

/// Both sides are started, filled, asked and measured, and nothing of them is left.
#[test]
fn the_benchmark_of_the_postgres_door_runs_where_postgres_is() {
    let dir = tempfile::tempdir().unwrap();
    // A directory that PostgreSQL's user may enter.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let run = |more: &[&str]| {
        let dir = dir.path().to_str().unwrap();
        let fixed = [
            "bench",
            "pg",
            "--rounds",
            "1",
            "--seconds",
            "1",
            "--dir",
            dir,
        ];
        let sizes = ["--scale", "1", "--clients", "4", "--connections", "20"];
        velocitydb(&[&fixed[..], &sizes, more].concat())
    };
    let debian = std::path::Path::new("/usr/lib/postgresql/15/bin/initdb");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join("initdb").is_file());
    if !there && !debian.is_file() {
        let (error, _) = run(&["--against", "postgres"]).fails(1);
        assert!(error.contains("apt-get install postgresql-15"), "{error}");
        return;
    }
    let against = |only| run(&["--against", "postgres", "--only", only]).succeeds();
    let report = against("prepared");
    let head = "pgbench of scale 1, 1 rounds of 1 s by 4 clients";
    assert!(report.contains(head), "{report}");
    let row = "| pgbench -S -M prepared, against PostgreSQL ";
    assert!(report.contains(row), "{report}");
    let report = against("idle");
    let row = "| memory of an idle connection, 20 of them | ";
    assert!(report.contains(row), "{report}");
    let report = run(&["--only", "simple"]).succeeds();
    assert!(report.contains("| pgbench -S -M simple | "), "{report}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let (error, _) = run(&["--only", "nothing"]).fails(2);
    assert!(
        error.contains("there are prepared, simple, tpcb"),
        "{error}"
    );
}

/// What cannot be asked for is refused before anything is started.
#[test]
fn the_benchmark_of_tpch_knows_what_it_can_do() {
    let refused = |more: &[&str]| velocitydb(&[&["bench", "tpch"], more].concat()).fails(2).0;
    for scale in ["0.001", "101", "one"] {
        let error = refused(&["--scale", scale]);
        assert!(error.contains("a number from 0.01 to 100"), "{error}");
    }
    for wrong in [
        ["--queries", "1,23"],
        ["--queries", "0"],
        ["--timeout", "0"],
    ] {
        let error = refused(&wrong);
        assert!(error.contains(" is not in "), "{error}");
    }
    let error = refused(&["--only", "nothing"]);
    assert!(error.contains("there are queries, join, beside"), "{error}");
    let error = refused(&["--address", "here"]);
    assert!(error.contains("is not HOST:PORT"), "{error}");
    // Nobody is there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    let arguments = ["bench", "tpch", "--address", &address, "--queries", "1,6"];
    let (error, _) = velocitydb(&arguments).fails(1);
    assert!(error.contains("refused"), "{error}");
}
