//! A client of both sides that costs next to nothing: PostgreSQL's messages, made by hand.
//!
//! It knows what the benchmark says, and takes every error for its end. Tests: below.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::BenchError;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes of a message of COPY, as psql sends them.
const COPY_BYTES: usize = 64 << 10;

/// Where a server is, who we are there, and in which database. It asks for no password.
#[derive(Debug, Clone)]
pub struct Address {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The database.
    pub database: String,
}

/// A session.
#[derive(Debug)]
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    /// Opens a session on this machine.
    pub(super) fn open(port: u16) -> Result<Client, BenchError> {
        Client::open_at(&Address {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port,
            user: super::USER.to_owned(),
            database: super::DATABASE.to_owned(),
        })
    }

    /// Opens a session of a server.
    pub(super) fn open_at(address: &Address) -> Result<Client, BenchError> {
        let Address {
            host,
            port,
            user,
            database,
        } = address;
        let stream = TcpStream::connect((host.as_str(), *port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut client = Client(BufReader::with_capacity(512, stream));
        let hello = format!("\0\x03\0\0user\0{user}\0database\0{database}\0\0");
        client.send(&with_length(hello.as_bytes()))?;
        client.until_ready()?;
        Ok(client)
    }

    /// Runs statements by the simple protocol. Answers the first column of the first row.
    pub(super) fn query(&mut self, sql: &str) -> Result<Option<String>, BenchError> {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()))?;
        self.until_ready()
    }

    /// Prepares a statement with a name, runs it, and keeps it.
    pub(super) fn prepare_and_run(&mut self, sql: &str) -> Result<Option<String>, BenchError> {
        let messages = [
            message(b'P', format!("kept\0{sql}\0\0\0").as_bytes()),
            message(b'B', b"\0kept\0\0\0\0\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        self.send(&messages.concat())?;
        self.until_ready()
    }

    /// Runs a statement as lib/pq does: parsed without a name and described, and a round trip later
    /// bound and run; all parameters are texts. Answers the first column of the first row.
    pub(super) fn ask(
        &mut self,
        sql: &str,
        parameters: &[&str],
    ) -> Result<Option<String>, BenchError> {
        let messages = [
            message(b'P', format!("\0{sql}\0\0\0").as_bytes()),
            message(b'D', b"S\0"),
            message(b'S', b""),
        ];
        self.send(&messages.concat())?;
        self.until_ready()?;
        let count = |count: usize| u16::try_from(count).expect("few parameters").to_be_bytes();
        let mut bind = b"\0\0\0\0".to_vec();
        bind.extend(count(parameters.len()));
        for parameter in parameters {
            let length = u32::try_from(parameter.len()).expect("a short parameter");
            bind.extend(length.to_be_bytes());
            bind.extend(parameter.as_bytes());
        }
        bind.extend([0, 0]);
        let messages = [
            message(b'B', &bind),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        self.send(&messages.concat())?;
        self.until_ready()
    }

    /// Copies in what `data` is.
    pub(super) fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<(), BenchError> {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()))?;
        let (kind, body) = self.receive()?;
        if kind != b'G' {
            let refused = match kind {
                b'E' => error(&body),
                _ => format!("answered {:?}", char::from(kind)),
            };
            return Err(BenchError::Unfit(format!("{sql}: {refused}")));
        }
        for chunk in data.chunks(COPY_BYTES) {
            self.send(&message(b'd', chunk))?;
        }
        self.send(&message(b'c', b""))?;
        self.until_ready().map(|_| ())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), BenchError> {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    fn receive(&mut self) -> Result<(u8, Vec<u8>), BenchError> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length).saturating_sub(4);
        let mut body = vec![0; length as usize];
        self.0.read_exact(&mut body)?;
        Ok((kind, body))
    }

    fn until_ready(&mut self) -> Result<Option<String>, BenchError> {
        let (mut first, mut failed) = (None, None);
        loop {
            match self.receive()? {
                (b'Z', _) => break,
                (b'D', body) if first.is_none() => first = first_column(&body),
                (b'E', body) => {
                    let error = error(&body);
                    // After such a one nothing comes any more.
                    if error.starts_with("FATAL") {
                        return Err(BenchError::Unfit(error));
                    }
                    failed = Some(error);
                }
                _ => {}
            }
        }
        match failed {
            None => Ok(first),
            Some(error) => Err(BenchError::Unfit(error)),
        }
    }
}

/// A message: its kind, its length, its body.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &with_length(body)[..]].concat()
}

fn with_length(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short message");
    [&length.to_be_bytes(), body].concat()
}

fn first_column(row: &[u8]) -> Option<String> {
    let (length, rest) = row.get(2..)?.split_first_chunk()?;
    // Of a null, it is -1.
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    Some(String::from_utf8_lossy(rest.get(..length)?).into_owned())
}

/// Severity, SQLSTATE and text.
fn error(body: &[u8]) -> String {
    let field = |code| {
        let mut fields = body.split(|byte| *byte == 0);
        let field = fields.find(|field| field.first() == Some(&code));
        String::from_utf8_lossy(field.map_or(&[][..], |field| &field[1..])).into_owned()
    };
    format!("{} {}: {}", field(b'S'), field(b'C'), field(b'M'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_are_laid_out() {
        assert_eq!(message(b'Q', b"x\0"), b"Q\0\0\0\x06x\0");
        let row = b"\0\x02\0\0\0\x0242\0\0\0\x01x";
        assert_eq!(first_column(row).as_deref(), Some("42"));
        assert_eq!(first_column(b"\0\x01\xff\xff\xff\xff"), None);
        assert_eq!(first_column(b"\0\x01\0\0\0\x09x"), None);
        let refused = b"SERROR\0VERROR\0C42P01\0Mno such table\0\0";
        assert_eq!(error(refused), "ERROR 42P01: no such table");
    }
}
