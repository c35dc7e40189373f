//! The program as people run it: every test starts `velocitydb` itself.
//!
//! - [`demo`], [`import`], [`check`], [`config`]: what a command prints and leaves;
//! - [`serve`]: the server, its pasted lines, its end and its next start;
//! - [`output`]: the server when nobody reads what it says;
//! - [`schema`]: schema files;
//! - [`shell`], [`terminal`]: the shell, status and top, without a terminal and through one;
//! - [`docs`]: the examples of docs/operating;
//! - [`kill`]: SIGKILL under load, again and again, and what is left.

#![allow(clippy::unwrap_used)] // a test that cannot go on has failed

mod check;
mod config;
mod demo;
mod docs;
mod encryption;
mod export;
mod http;
mod import;
mod kill;
mod output;
mod process;
mod schema;
mod serve;
mod shell;
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
