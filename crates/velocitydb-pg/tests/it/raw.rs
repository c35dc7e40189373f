//! A client by hand: what is sent and received is what stands there.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is waited for comes, or the test has failed: it does not wait for ever.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(60), future).await;
    waited.expect("what was waited for has come")
}

pub struct Raw(pub TcpStream);

pub type Answer = (u8, Vec<u8>);

/// A message of a session.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &first(body)[..]].concat()
}

/// A message before a session: without a type.
pub fn first(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes(), body].concat()
}

/// The messages of a statement in the extended protocol, up to its execution.
pub fn extended(sql: &str) -> Vec<u8> {
    [
        message(b'P', format!("\0{sql}\0\0\0").as_bytes()),
        message(b'B', b"\0\0\0\0\0\0\0\0"),
        message(b'E', b"\0\0\0\0\0"),
    ]
    .concat()
}

pub fn sync() -> Vec<u8> {
    message(b'S', b"")
}

pub fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// The fields of an error: their codes and texts.
pub fn field(body: &[u8], code: u8) -> Option<String> {
    let mut fields = body.split(|byte| *byte == 0);
    let field = fields.find(|field| field.first() == Some(&code))?;
    Some(String::from_utf8(field[1..].to_vec()).unwrap())
}

/// The types of messages, one letter for each.
pub fn kinds(answers: &[Answer]) -> String {
    answers.iter().map(|(kind, _)| char::from(*kind)).collect()
}

impl Raw {
    pub async fn open(address: SocketAddr) -> Raw {
        Raw(TcpStream::connect(address).await.unwrap())
    }

    /// A client with a session.
    pub async fn connect(address: SocketAddr) -> Raw {
        let mut raw = Raw::open(address).await;
        raw.send(&first(b"\0\x03\0\0user\0ann\0\0")).await;
        raw.until_ready().await;
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next message; `None` when the server has closed the connection.
    pub async fn receive(&mut self) -> Option<Answer> {
        let kind = within(self.0.read_u8()).await.ok()?;
        let length = self.0.read_u32().await.ok()?;
        let mut body = vec![0; length as usize - 4];
        self.0.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }

    /// What comes up to and with the next ReadyForQuery.
    pub async fn until_ready(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(answer) = self.receive().await {
            let ready = answer.0 == b'Z';
            answers.push(answer);
            if ready {
                return answers;
            }
        }
        panic!("the connection was closed after {answers:?}");
    }

    /// The SQLSTATE of the error that is the last that comes before the connection is closed.
    pub async fn refused(&mut self) -> String {
        let mut last = None;
        while let Some(answer) = self.receive().await {
            last = Some(answer);
        }
        let (kind, body) = last.expect("an error");
        assert_eq!(kind, b'E', "{body:?}");
        assert_eq!(field(&body, b'S').as_deref(), Some("FATAL"));
        field(&body, b'C').unwrap()
    }
}
