//! A server whose standard output and error nobody reads, or that cannot be written.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use velocitydb::{Database, Options};

use crate::http::{Request, get};
use crate::process::{Served, command};

/// Makes many requests that each leave a long line in the log; all are answered.
fn fill_the_log(address: &str) {
    const REQUESTS: usize = 3_000;
    let mut connection = TcpStream::connect(address).unwrap();
    let mut reader = connection.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut answers = String::new();
        reader.read_to_string(&mut answers).unwrap();
        answers.matches("HTTP/1.1 404 Not Found").count()
    });
    let path = "x".repeat(1_000);
    for n in 1..=REQUESTS {
        let ending = if n == REQUESTS {
            "connection: close\r\n"
        } else {
            ""
        };
        let request = format!("GET /{path} HTTP/1.1\r\nhost: localhost\r\n{ending}\r\n");
        connection.write_all(request.as_bytes()).unwrap();
    }
    assert_eq!(reading.join().unwrap(), REQUESTS);
}

fn lines_dropped(address: &str) -> f64 {
    let text = get(&format!("http://{address}/metrics")).body;
    let name = "velocitydb_log_lines_dropped_total ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_reader_of_the_log_that_stalls_does_not_stop_it() {
    let served = Served::start(&["--mode", "memory-only"]);
    fill_the_log(&served.address);
    assert!(lines_dropped(&served.address) > 0.0);
    let rest = served.stop();
    assert!(rest.contains("Stopped."), "{rest}");
}

#[test]
fn readers_that_go_away_do_not_stop_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let mut served = Served::start(&["--data", data]);
    Request::from_curl(&format!(
        "curl -X POST http://{}/v1/collections -H 'Content-Type: application/json' -d '{{\"name\": \"c\"}}'",
        served.address
    ))
    .send();
    served.stop_reading();
    fill_the_log(&served.address);
    served.stop();
    // It was stopped in order: all is in a checkpoint.
    let db = Database::open(Options::at(dir.path())).unwrap();
    let recovery = db.recovery();
    assert_eq!(
        (recovery.last_index > 0, recovery.entries_replayed),
        (true, 0)
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_under_the_log_does_not_stop_it() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let start = command(&["serve", "--http", "127.0.0.1:0"]);
    let arguments = ["--mode", "memory-only"];
    let served =
        Served::start_command(start, &arguments, "Ctrl-C stops the server.\n", full.into());
    fill_the_log(&served.address);
    assert!(lines_dropped(&served.address) >= 3_000.0);
    served.stop();
}

#[test]
#[cfg(target_os = "linux")]
fn standard_output_that_cannot_be_written_does_not_stop_it() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut start = command(&["serve", "--http", "127.0.0.1:0", "--mode", "memory-only"]);
    start.stdout(full).stderr(Stdio::piped());
    let mut child = start.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut lines = log.lines().map(|line| line.unwrap());
    let listening = lines.find(|line| line.contains("\"listening\"")).unwrap();
    let listening: serde_json::Value = serde_json::from_str(&listening).unwrap();
    let address = listening["local_addr"].as_str().unwrap();
    assert_eq!(get(&format!("http://{address}/health")).status, 200);
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status();
    assert!(sent.unwrap().success());
    assert!(child.wait().unwrap().success());
    assert!(lines.any(|line| line.contains("\"stopped\"")));
}
