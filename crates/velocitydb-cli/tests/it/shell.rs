//! The shell without a terminal, `status`, and one frame of `top`.

use crate::process::{Served, velocitydb, velocitydb_with_input};

#[test]
fn a_script_goes_to_a_running_server_and_answers_in_json() {
    let served = Served::start(&["--mode", "memory-only"]);
    let url = format!("http://{}", served.address);
    let script = b"create tasks\nput tasks t1 {\n  \"n\": 1\n}\nlist tasks\ncount tasks\n";
    let out = velocitydb_with_input(&["shell", "--url", &url, "--json"], script).succeeds();
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert_eq!(
        (&lines[1]["_id"], &lines[1]["n"]),
        (&"t1".into(), &1.into())
    );
    assert_eq!(lines[2]["count"], 1);

    let out = velocitydb(&[
        "shell",
        "--url",
        &url,
        "-c",
        "count tasks",
        "-c",
        "get tasks t1",
    ]);
    assert!(out.succeeds().starts_with("1 document\n_id "));

    let status = velocitydb(&["status", "--url", &url]).succeeds();
    assert!(
        status.contains("health       reads and writes are served"),
        "{status}"
    );
    let status = velocitydb(&["status", "--url", &url, "--json"]).succeeds();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["collections"][0]["name"], "tasks");
    let top = velocitydb(&["top", "--url", &url, "--once"]).succeeds();
    assert!(top.contains("averages since the start"), "{top}");
    served.stop();
}

#[test]
fn a_script_ends_at_its_first_error_with_status_1() {
    let script = b"create tasks\ncount nothing\ncount tasks\n";
    let (error, out) = velocitydb_with_input(&["shell", "--memory"], script).fails(1);
    assert_eq!(out, "tasks created\n");
    assert!(
        error.starts_with("error at line 2: there is no collection \"nothing\""),
        "{error}"
    );
    let arguments = ["shell", "--memory", "--keep-going"];
    let (_, out) = velocitydb_with_input(&arguments, script).fails(1);
    assert_eq!(out, "tasks created\n0 documents\n");
}

#[test]
fn a_directory_is_opened_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    velocitydb(&["shell", "--data", data, "-c", "create tasks"]).succeeds();
    let out = velocitydb(&["shell", "--data", data, "-c", "count tasks"]).succeeds();
    assert_eq!(out, "0 documents\n");
}

#[test]
fn without_a_server_it_is_said_how_to_start_one() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for command in ["shell", "status", "top"] {
        let (error, _) = velocitydb(&[command, "--url", &url]).fails(1);
        assert!(error.contains(&format!("no answer from {url}")), "{error}");
        assert!(error.contains("velocitydb serve"), "{error}");
    }
    let (error, _) = velocitydb(&["status", "--url", "https://localhost"]).fails(2);
    assert!(error.contains("https is not served"), "{error}");
}

#[test]
fn top_needs_a_terminal() {
    let served = Served::start(&["--mode", "memory-only"]);
    let url = format!("http://{}", served.address);
    let (error, _) = velocitydb(&["top", "--url", &url]).fails(2);
    assert!(error.contains("--once"), "{error}");
    served.stop();
}
