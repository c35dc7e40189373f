//! A server, a client, and a raw connection for what no client would send.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, OnceLock};

use serde_json::Value as Json;
use tokio::runtime::Runtime;
use ureq::http::{HeaderMap, Request, StatusCode};
use velocitydb::{Database, Options};
use velocitydb_server::{Server, ServerConfig, ServerError};

/// A running server with its runtime.
pub struct Served {
    runtime: Runtime,
    server: Option<Server>,
    agent: ureq::Agent,
    pub database: Database,
    pub address: SocketAddr,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

pub fn config() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.http = SocketAddr::from(([127, 0, 0, 1], 0));
    config
}

/// A server over a database in memory.
pub fn served() -> Served {
    Served::start(config(), Database::in_memory().unwrap())
}

/// The same with a collection `things`.
pub fn with_things() -> Served {
    let served = served();
    let reply = served.post("/v1/collections", r#"{"name":"things"}"#);
    assert_eq!(reply.status, 201, "{reply:?}");
    served
}

pub const THINGS: &str = "/v1/collections/things/documents";

impl Served {
    pub fn start(config: ServerConfig, database: Database) -> Served {
        captured_logs();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let server = runtime
            .block_on(Server::start(config, database.clone()))
            .unwrap();
        let address = server.local_addr();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        Served {
            runtime,
            server: Some(server),
            agent,
            database,
            address,
        }
    }

    pub fn at(dir: &std::path::Path) -> Served {
        Served::start(config(), Database::open(Options::at(dir)).unwrap())
    }

    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub fn take_server(&mut self) -> Server {
        self.server.take().unwrap()
    }

    pub fn shutdown(&mut self) -> Result<(), ServerError> {
        let server = self.take_server();
        self.runtime.block_on(server.shutdown())
    }

    /// Asks with these headers; a body says that it is JSON unless a header says otherwise. The
    /// answer must be one that the description has, and the body too, when all is well.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (body_sent, uri) = (body, format!("http://{}{path}", self.address));
        let mut request = Request::builder().method(method).uri(uri);
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        if !body.is_empty() && !typed {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = if body.is_empty() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body.to_owned()).unwrap())
        };
        let (parts, mut body) = reply.unwrap().into_parts();
        let text = body.with_config().limit(1 << 30).read_to_string().unwrap();
        let reply = Reply {
            status: parts.status,
            headers: parts.headers,
            text,
        };
        crate::described::check(method, path, body_sent, &reply);
        reply
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &str) -> Reply {
        self.ask("POST", path, &[], body)
    }

    pub fn put(&self, path: &str, body: &str) -> Reply {
        self.ask("PUT", path, &[], body)
    }

    /// A figure of `/metrics`, by its whole name with labels.
    pub fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
            .parse()
            .unwrap()
    }

    pub fn connect(&self) -> Raw {
        Raw(BufReader::new(TcpStream::connect(self.address).unwrap()))
    }
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self
            .headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        value.to_str().unwrap()
    }

    /// Checks that the answer is a problem of this kind, in form too, and gives its members.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Json {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:velocitydb:problem:{code}"));
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert!(
            body["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
        );
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        let row = velocitydb_server::PROBLEMS
            .iter()
            .find(|row| row.code == code);
        assert_eq!(row.expect("documented").status, status);
        body
    }
}

/// A connection on which anything can be sent.
pub struct Raw(BufReader<TcpStream>);

impl Raw {
    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// Reads one answer that has a content length.
    pub fn reply(&mut self) -> Reply {
        let (status, headers, length) = self.head();
        let text = self.body(length);
        Reply {
            status,
            headers,
            text,
        }
    }

    /// Reads a body of this length.
    pub fn body(&mut self, length: usize) -> String {
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// Reads this many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads a chunk of a body that has no length; empty at its end.
    pub fn chunk(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
        let chunk = self.body(length);
        assert_eq!(self.bytes(2), b"\r\n");
        chunk
    }

    /// Reads what is left until the other side closes; how many bytes that were.
    pub fn rest(self) -> usize {
        self.rest_bytes().len()
    }

    /// The same, and the bytes themselves.
    pub fn rest_bytes(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // That it ends with an error is as good.
        let _ = self.0.read_to_end(&mut rest);
        rest
    }

    /// Reads the head of an answer: its status, headers, and content length.
    pub fn head(&mut self) -> (StatusCode, HeaderMap, usize) {
        let (mut first, mut headers) = (String::new(), HeaderMap::new());
        self.0.read_line(&mut first).unwrap();
        let status = first
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("no answer: {first:?}"));
        let status = status.parse().unwrap();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            let name: ureq::http::HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        let length = headers
            .get("content-length")
            .map_or("0", |length| length.to_str().unwrap());
        let length = length.parse().unwrap();
        (status, headers, length)
    }

    /// Whether the other side has closed, with nothing more to read.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

/// The head of a request to put a document, whose body of `bytes` is to follow.
pub fn put_head(path: &str, bytes: usize) -> String {
    format!(
        "PUT {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {bytes}\r\n\r\n"
    )
}

static LOGS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The logs of the whole test program, as JSON lines.
fn captured_logs() {
    struct Capture;
    impl Write for Capture {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            LOGS.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    static SET: OnceLock<()> = OnceLock::new();
    SET.get_or_init(|| {
        let filter = tracing_subscriber::EnvFilter::new("velocitydb_server=debug");
        let logs = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter(filter);
        logs.with_writer(|| Capture).init();
    });
}

/// The lines of the log that `wanted` lets through.
pub fn logged(wanted: impl Fn(&Json) -> bool) -> Vec<Json> {
    let text = String::from_utf8(LOGS.lock().unwrap().clone()).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(wanted).collect()
}
