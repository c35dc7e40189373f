//! Scripts from standard input.

use velocitydb_server::ServerConfig;
use velocitydb_shell::{Ended, OnError, run_script};

use crate::support::{Served, embedded, said, session};

/// How a script ended, what it answered, and what was wrong.
fn run(script: &[u8], on_error: OnError) -> (Ended, String, String) {
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let mut session = embedded();
    let ended = run_script(&mut session, script, on_error, &mut out, &mut errors).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ended, text(out), text(errors))
}

#[test]
fn a_script_is_done_line_by_line() {
    let script = b"# tasks\ncreate tasks\n\nput tasks t1 {\n  \"n\":\n  1\n}\ncount tasks";
    let (ended, out, errors) = run(script, OnError::Stop);
    assert_eq!(ended, Ended::Well);
    assert_eq!(out, "tasks created\nt1 put, version 1\n1 document\n");
    assert_eq!(errors, "");
}

#[test]
fn the_first_error_ends_a_script_and_names_its_line() {
    let script = b"create tasks\n\nput tasks t1 {\n  \"n\": x\n}\ncount tasks\n";
    let (ended, out, errors) = run(script, OnError::Stop);
    assert_eq!(ended, Ended::WithErrors);
    assert_eq!(out, "tasks created\n");
    assert_eq!(
        errors,
        "error at line 4: expected value\n    \"n\": x\n         ^\n"
    );
}

#[test]
fn with_keep_going_a_script_goes_on() {
    let script = b"git\ncreate tasks\ncount nothing\ncount tasks\n";
    let (ended, out, errors) = run(script, OnError::Go);
    assert_eq!(ended, Ended::WithErrors);
    assert_eq!(out, "tasks created\n0 documents\n");
    assert!(errors.starts_with("error at line 1: there is no command `git`"));
    assert!(errors.contains("\nerror at line 3: "), "{errors}");
}

#[test]
fn json_without_an_end_and_bytes_that_are_no_text_are_errors() {
    let (ended, _, errors) = run(b"create t\nput t 1 {\n\n", OnError::Go);
    assert_eq!(ended, Ended::WithErrors);
    assert_eq!(
        errors,
        "error at line 2: the JSON that begins here has no end\n  put t 1 {\n          ^\n"
    );
    let (ended, _, errors) = run(b"count t\xff\n", OnError::Go);
    assert_eq!(ended, Ended::WithErrors);
    assert_eq!(errors, "error at line 1: the script is not UTF-8 text\n");
}

#[test]
fn what_follows_leaving_is_not_done() {
    let (ended, out, _) = run(b"create t\n\\q\ncount t\n", OnError::Stop);
    assert_eq!((ended, out.as_str()), (Ended::Well, "t created\n"));
}

#[test]
fn a_server_that_is_gone_is_named() {
    let served = Served::start();
    let (url, mut session) = (served.url.clone(), session(served.target()));
    assert_eq!(said(&mut session, "create t"), "t created\n");
    drop(served);
    let answer = said(&mut session, "count t");
    let expected = format!("error: no answer from {url}: ");
    assert!(answer.starts_with(&expected), "{answer}");
}

#[test]
fn another_server_is_told_from_ours() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let mut session = session(velocitydb_shell::Http::at(&url).unwrap());
    let answer = said(&mut session, "count t");
    assert!(answer.contains("is it another server?"), "{answer}");
    other.join().unwrap();
}

/// A page of a server ends at so many bytes; what a search or a place finds is there whole.
#[test]
fn what_is_found_is_no_page() {
    let mut config = ServerConfig::default();
    config.page_bytes_max = 4 << 10;
    let served = Served::with(config);
    for mut session in [embedded(), session(served.target())] {
        said(&mut session, "create texts");
        let index =
            r#"{"name": "words", "kind": "full_text", "fields": ["text"], "language": "english"}"#;
        said(&mut session, &format!("create index texts {index}"));
        for id in 0..9 {
            let long = "x".repeat(1_000);
            let document = format!(r#"{{"text": "a fox", "long": "{long}"}}"#);
            said(&mut session, &format!("put texts {id} {document}"));
        }
        let answer = said(&mut session, "search texts fox");
        assert!(answer.ends_with("\n9 documents\n"), "{answer}");
    }
}
