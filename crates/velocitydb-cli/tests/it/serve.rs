//! `velocitydb serve`: what it prints can be pasted, and what it was given is there after it
//! stopped, was killed, or was in the way of another.

use std::path::Path;

use serde_json::json;

use crate::http::{Request, get};
use crate::postgres::{Client, Row};
use crate::process::{Served, velocitydb};

/// The `curl` lines of what a server said.
fn pasted(said: &str) -> Vec<Request> {
    let lines = said
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("curl "));
    lines.map(Request::from_curl).collect()
}

/// The rows of the query that a server said is for psql.
fn in_psql(said: &str) -> Vec<Row> {
    let sql = said.lines().find_map(|line| line.strip_prefix("In psql: "));
    Client::of(said).query(sql.unwrap()).0
}

fn data(dir: &Path) -> String {
    dir.join("data").to_str().unwrap().to_owned()
}

/// The whole life of the sample: loaded, used as the lines say, stopped, found again.
#[test]
fn the_sample_is_loaded_and_answers_every_line_that_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let postgres = ["--postgres", "127.0.0.1:0"];
    let served = Served::start(&[&["--sample", "--data", &data][..], &postgres].concat());
    assert!(
        served
            .said
            .contains("Sample: flights, 336,776 documents loaded in "),
        "{}",
        served.said
    );
    let flights = in_psql(&served.said);
    assert_eq!(flights.len(), 16);
    let united = ["UA", "58665"].map(|text| Some(text.to_owned()));
    assert!(flights.iter().any(|row| *row == united), "{flights:?}");
    let answers: Vec<_> = pasted(&served.said)
        .iter()
        .map(|request| (request.url.clone(), request.send()))
        .collect();
    let statuses: Vec<u16> = answers.iter().map(|(_, answer)| answer.status).collect();
    assert_eq!(
        statuses,
        [200, 200, 200, 200, 200, 201, 200, 200, 409],
        "{answers:#?}"
    );
    for (url, _) in &answers {
        assert!(
            url.starts_with(&format!("http://{}/", served.address)),
            "{url}"
        );
    }
    let body = |at: usize| answers[at].1.json();
    let collections = body(1).to_string();
    for name in ["airlines", "airports", "planes", "weather", "flights"] {
        assert!(
            collections.contains(&format!("\"{name}\"")),
            "{collections}"
        );
    }
    assert_eq!(body(2)["name"], "John F Kennedy Intl");
    assert_eq!(body(3)["count"], 336_776);
    let page = body(4);
    assert_eq!(page["documents"].as_array().unwrap().len(), 3);
    assert_eq!(page["documents"][0]["_id"], json!(1));
    assert_eq!(page["documents"][0]["carrier"], "UA");
    assert_eq!(
        (&body(7)["alt"], &body(7)["name"]),
        (&json!(30), &json!("Velocity Field"))
    );
    let rest = served.stop();
    assert!(rest.contains("SIGTERM: stopping."), "{rest}");
    assert!(
        rest.contains("Stopped. All data is in the checkpoint at log index "),
        "{rest}"
    );

    let served = Served::start(&["--sample", "--data", &data]);
    assert!(
        served
            .said
            .contains("Sample: flights is there (336,776 documents)"),
        "{}",
        served.said
    );
    // One airport more than the sample has: it is complete all the same.
    assert!(
        served.said.contains("Sample: airports is there"),
        "{}",
        served.said
    );
    let v1 = format!("http://{}/v1/collections", served.address);
    assert_eq!(
        get(&format!("{v1}/airports/documents/VDB")).json()["alt"],
        30
    );
    assert_eq!(get(&format!("{v1}/flights/count")).json()["count"], 336_776);
    assert_eq!(
        get(&format!("{v1}/flights/documents/336776")).json()["carrier"],
        "MQ"
    );
    served.stop();
    assert!(
        velocitydb(&["check", &data])
            .succeeds()
            .ends_with("Everything is whole.\n")
    );
}

#[test]
fn an_empty_database_says_how_to_begin() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&["--data", &data(dir.path())]);
    let answers: Vec<_> = pasted(&served.said).iter().map(Request::send).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 201, 201, 200], "{answers:#?}");
    assert_eq!(answers[3].json()["state"], "waiting");
    served.stop();
}

#[test]
fn what_was_answered_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let served = Served::start(&["--data", &data]);
    for request in pasted(&served.said) {
        request.send();
    }
    served.kill();
    let served = Served::start(&["--data", &data]);
    let url = format!(
        "http://{}/v1/collections/tasks/documents/t1",
        served.address
    );
    assert_eq!(get(&url).json()["state"], "waiting");
    served.stop();
}

#[test]
fn memory_only_keeps_nothing_and_says_so() {
    let served = Served::start(&["--mode", "memory-only"]);
    assert!(
        served.said.contains("in memory only; nothing is kept"),
        "{}",
        served.said
    );
    let rest = served.stop();
    assert!(rest.contains("was in memory only and is gone"), "{rest}");
}

#[test]
fn a_second_server_on_the_same_data_or_address_is_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let served = Served::start(&["--data", &data]);
    let (error, out) = velocitydb(&["serve", "--http", "127.0.0.1:0", "--data", &data]).fails(1);
    assert!(error.contains("is in use by another process"), "{error}");
    assert!(
        error.contains("give another directory with --data"),
        "{error}"
    );
    assert!(!out.contains("serves http"), "{out}");
    let csv = dir.path().join("a.csv");
    std::fs::write(&csv, "a\n1\n").unwrap();
    let import = [
        "import",
        csv.to_str().unwrap(),
        "--collection",
        "c",
        "--data",
        &data,
    ];
    let (error, _) = velocitydb(&import).fails(1);
    assert!(error.contains("a running `velocitydb serve`"), "{error}");

    let (address, mode) = (served.address.as_str(), "memory-only");
    let (error, _) = velocitydb(&["serve", "--http", address, "--mode", mode]).fails(1);
    assert!(
        error.contains(&format!("cannot listen on {address}")),
        "{error}"
    );
    assert!(error.contains("choose another port with --http"), "{error}");
    served.stop();
}

/// A signal during the load ends it between two writes; the next start goes on.
#[test]
fn an_interrupted_sample_is_finished_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let served = Served::start_until(&["--sample", "--data", &data], "Sample: planes");
    let rest = served.stop();
    assert!(
        rest.contains("is not complete; the next start goes on"),
        "{rest}"
    );
    let served = Served::start(&["--sample", "--data", &data]);
    let url = format!("http://{}/v1/collections/flights/count", served.address);
    assert_eq!(get(&url).json()["count"], 336_776);
    served.stop();
}

#[test]
fn an_address_in_use_leaves_no_data_behind() {
    let served = Served::start(&["--mode", "memory-only"]);
    let dir = tempfile::tempdir().unwrap();
    let data = data(dir.path());
    let address = served.address.as_str();
    let (error, _) = velocitydb(&["serve", "--http", address, "--data", &data]).fails(1);
    assert!(
        error.contains(&format!("cannot listen on {address}")),
        "{error}"
    );
    let other = ["serve", "--http", "10.0.0.1:7480", "--data", &data];
    let (error, _) = velocitydb(&other).fails(1);
    assert!(error.contains("refusing to serve on 10.0.0.1"), "{error}");
    let little = ["serve", "--in-flight-limit", "1MiB", "--data", &data];
    let (error, _) = velocitydb(&little).fails(2);
    assert!(
        error.contains("--in-flight-limit: expected a size such as 512MiB, from 24MiB to 1TiB"),
        "{error}"
    );
    assert!(!Path::new(&data).exists());
    served.stop();
}

#[test]
fn a_terminal_that_hangs_up_stops_it_in_order() {
    let served = Served::start(&["--mode", "memory-only"]);
    let rest = served.stops_by("HUP");
    assert!(rest.contains("SIGHUP: stopping."), "{rest}");
    assert!(rest.contains("Stopped."), "{rest}");
}

#[test]
fn a_memory_limit_of_nearly_nothing_gets_a_warning() {
    let served = Served::start(&["--mode", "memory-only", "--memory-limit", "1MiB"]);
    let warning = "Warning: --memory-limit 1.0 MiB is little";
    assert!(served.said.contains(warning), "{}", served.said);
    served.stop();
    let served = Served::start(&["--mode", "memory-only", "--memory-limit", "16MiB"]);
    assert!(!served.said.contains("Warning"), "{}", served.said);
    served.stop();
}

/// Starts it from a shell under a limit of open files.
#[cfg(target_os = "linux")]
fn under_file_limit(limit: &str) -> Served {
    let program = env!("CARGO_BIN_EXE_velocitydb");
    let mut shell = std::process::Command::new("sh");
    let line =
        format!("ulimit {limit} && exec {program} serve --http 127.0.0.1:0 --mode memory-only");
    shell.args(["-c", &line]);
    let ready = "Ctrl-C stops the server.\n";
    Served::start_command(shell, &[], ready, std::process::Stdio::piped())
}

#[test]
#[cfg(target_os = "linux")]
fn it_opens_as_many_files_as_it_may() {
    let served = under_file_limit("-S -n 100");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", served.id())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<_> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "soft and hard");
    served.stop();

    // No more of them can be had: there are fewer connections, and one too many is answered.
    let served = under_file_limit("-n 80");
    let open: Vec<_> = (0..16)
        .map(|_| {
            let connection = std::net::TcpStream::connect(&served.address).unwrap();
            let ask = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
            std::io::Write::write_all(&mut &connection, ask).unwrap();
            let mut first = [0; 12];
            std::io::Read::read_exact(&mut &connection, &mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            connection
        })
        .collect();
    assert_eq!(
        get(&format!("http://{}/health/live", served.address)).status,
        503
    );
    drop(open);
    served.stop();
}
