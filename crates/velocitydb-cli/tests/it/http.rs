//! A small HTTP client, and the reading of `curl` lines as a shell and curl would read them.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// GET, …
    pub method: String,
    /// `http://address/path`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

/// Asks for a page.
pub fn get(url: &str) -> Answer {
    let (method, url) = ("GET".to_owned(), url.to_owned());
    Request {
        method,
        url,
        headers: Vec::new(),
        body: String::new(),
    }
    .send()
}

impl Request {
    /// Sends it and reads the whole answer.
    pub fn send(&self) -> Answer {
        let rest = self.url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let mut text = format!("{} /{path} HTTP/1.1\r\nHost: {address}\r\n", self.method);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += &format!(
            "Connection: close\r\nContent-Length: {}\r\n\r\n",
            self.body.len()
        );
        stream.write_all((text + &self.body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        parse(&answer)
    }

    /// Reads a line as `curl -X POST URL -H 'Name: value' -d '…'`.
    pub fn from_curl(line: &str) -> Request {
        let mut words = shell_words(line).into_iter();
        assert_eq!(words.next().as_deref(), Some("curl"));
        let (mut method, mut url, mut headers, mut body) = (None, None, Vec::new(), String::new());
        while let Some(word) = words.next() {
            match word.as_str() {
                "-X" => method = words.next(),
                "-H" => {
                    let header = words.next().unwrap();
                    let (name, value) = header.split_once(": ").unwrap();
                    headers.push((name.to_owned(), value.to_owned()));
                }
                "-d" => body = words.next().unwrap(),
                option if option.starts_with('-') => panic!("curl's option {option}"),
                _ => url = Some(word),
            }
        }
        let default = if body.is_empty() { "GET" } else { "POST" };
        let method = method.unwrap_or_else(|| default.to_owned());
        Request {
            method,
            url: url.unwrap(),
            headers,
            body,
        }
    }
}

fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head
        .to_ascii_lowercase()
        .contains("\r\ntransfer-encoding: chunked");
    let body = if chunked {
        dechunked(body)
    } else {
        body.to_owned()
    };
    Answer { status, body }
}

fn dechunked(mut rest: &str) -> String {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body += &after[..size];
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
}

/// Words as a shell splits them: spaces, single quotes. What else a shell reads as special is an
/// error outside of quotes, for nobody pastes what it would do.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            _ => {
                assert!(
                    quoted || !"?&*$;|<>()\"\\`{}[]~#!".contains(c),
                    "{c} unquoted in {line}"
                );
                word.push(c);
                begun = true;
            }
        }
    }
    assert!(!quoted, "{line}");
    if begun {
        words.push(word);
    }
    words
}

#[test]
fn curl_lines_are_read() {
    let line = r#"curl -X PUT http://a/b -H 'Content-Type: x/y' -d '{"n": 1}'"#;
    let request = Request {
        method: "PUT".into(),
        url: "http://a/b".into(),
        headers: vec![("Content-Type".into(), "x/y".into())],
        body: r#"{"n": 1}"#.into(),
    };
    assert_eq!(Request::from_curl(line), request);
    assert_eq!(shell_words("  a  'b c'd ''"), ["a", "b cd", ""]);
}

#[test]
fn chunked_answers_are_read() {
    let answer = parse(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, "abcd"));
}
