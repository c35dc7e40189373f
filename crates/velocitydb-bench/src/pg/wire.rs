//! A client of both sides that costs next to nothing: PostgreSQL's messages, made by hand.
//!
//! It knows what the benchmark says, and takes every error for its end. Tests: below.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::BenchError;

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes that are read at once: some rows of an answer.
const BUFFER_BYTES: usize = 8 << 10;
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

impl Address {
    /// Of a server that was started on this machine.
    pub(crate) fn here(port: u16) -> Address {
        Address {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port,
            user: super::USER.to_owned(),
            database: super::DATABASE.to_owned(),
        }
    }
}

/// What a statement answers.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) columns: Vec<Column>,
    /// Texts, and nulls.
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// PostgreSQL's number of its type.
    pub(crate) kind: u32,
}

/// A session.
#[derive(Debug)]
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    /// Opens a session of a server.
    pub(crate) fn open(address: &Address) -> Result<Client, BenchError> {
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
        let mut client = Client(BufReader::with_capacity(BUFFER_BYTES, stream));
        let hello = format!("\0\x03\0\0user\0{user}\0database\0{database}\0\0");
        client.send(&with_length(hello.as_bytes()))?;
        client.until_ready()?;
        Ok(client)
    }

    /// Runs statements by the simple protocol. Answers the first column of the first row.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Option<String>, BenchError> {
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()))?;
        self.until_ready()
    }

    /// Runs a statement by the simple protocol. Answers all of its rows.
    pub(crate) fn answer(&mut self, sql: &str) -> Result<Answer, BenchError> {
        let mut answer = Answer::default();
        self.send(&message(b'Q', format!("{sql}\0").as_bytes()))?;
        self.each_until_ready(|kind, body| match kind {
            b'T' => answer.columns = columns(body).unwrap_or_default(),
            b'D' => answer.rows.extend(row(body)),
            _ => {}
        })?;
        Ok(answer)
    }

    /// Prepares a statement with a name and keeps it.
    pub(crate) fn prepare(&mut self, name: &str, sql: &str) -> Result<(), BenchError> {
        let messages = [
            message(b'P', format!("{name}\0{sql}\0\0\0").as_bytes()),
            message(b'S', b""),
        ];
        self.send(&messages.concat())?;
        self.until_ready().map(|_| ())
    }

    /// Runs a statement that was prepared, as libpq does; all parameters are texts. Answers the first
    /// column of the first row.
    pub(crate) fn run(
        &mut self,
        name: &str,
        parameters: &[&str],
    ) -> Result<Option<String>, BenchError> {
        let messages = [
            bind(name, parameters),
            message(b'D', b"P\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        self.send(&messages.concat())?;
        self.until_ready()
    }

    /// Prepares a statement with a name, runs it, and keeps it.
    pub(crate) fn prepare_and_run(&mut self, sql: &str) -> Result<Option<String>, BenchError> {
        let messages = [
            message(b'P', format!("kept\0{sql}\0\0\0").as_bytes()),
            bind("kept", &[]),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        self.send(&messages.concat())?;
        self.until_ready()
    }

    /// Runs a statement as lib/pq does: parsed without a name and described, and a round trip later
    /// bound and run; all parameters are texts. Answers the first column of the first row.
    pub(crate) fn ask(
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
        let messages = [
            bind("", parameters),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
        ];
        self.send(&messages.concat())?;
        self.until_ready()
    }

    /// Copies in what `data` is.
    pub(crate) fn copy_in(&mut self, sql: &str, data: &[u8]) -> Result<(), BenchError> {
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

    /// The first column of the first row of what comes.
    fn until_ready(&mut self) -> Result<Option<String>, BenchError> {
        let mut first = None;
        self.each_until_ready(|kind, body| {
            if kind == b'D' && first.is_none() {
                first = first_column(body);
            }
        })?;
        Ok(first)
    }

    /// Hands over each message that comes, but errors.
    fn each_until_ready(&mut self, mut take: impl FnMut(u8, &[u8])) -> Result<(), BenchError> {
        let mut failed = None;
        loop {
            match self.receive()? {
                (b'Z', _) => break,
                (b'E', body) => {
                    let error = error(&body);
                    // After such a one nothing comes any more.
                    if error.starts_with("FATAL") {
                        return Err(BenchError::Unfit(error));
                    }
                    failed = Some(error);
                }
                (kind, body) => take(kind, &body),
            }
        }
        match failed {
            None => Ok(()),
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

/// Binds what was prepared with this name; its parameters and its columns are texts.
fn bind(name: &str, parameters: &[&str]) -> Vec<u8> {
    let mut body = format!("\0{name}\0\0\0").into_bytes();
    let count = u16::try_from(parameters.len()).expect("few parameters");
    body.extend(count.to_be_bytes());
    for parameter in parameters {
        let length = u32::try_from(parameter.len()).expect("a short parameter");
        body.extend(length.to_be_bytes());
        body.extend(parameter.as_bytes());
    }
    body.extend([0, 0]);
    message(b'B', &body)
}

/// The value that comes next in a row, a text or a null, and what is behind it.
fn value(row: &[u8]) -> Option<(Option<String>, &[u8])> {
    let (length, rest) = row.split_first_chunk()?;
    // Of a null, it is -1.
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        return Some((None, rest));
    };
    let (text, rest) = rest.split_at_checked(length)?;
    Some((Some(String::from_utf8_lossy(text).into_owned()), rest))
}

fn first_column(row: &[u8]) -> Option<String> {
    value(row.get(2..)?)?.0
}

fn row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk()?;
    let next = |_| {
        let (value, behind) = value(rest)?;
        rest = behind;
        Some(value)
    };
    (0..u16::from_be_bytes(*count)).map(next).collect()
}

fn columns(body: &[u8]) -> Option<Vec<Column>> {
    let (count, mut rest) = body.split_first_chunk()?;
    let next = |_| {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        // Behind the name: table 4, column 2, type 4, size 2, modifier 4, format 2.
        let (fixed, behind) = rest[end + 1..].split_first_chunk::<18>()?;
        rest = behind;
        let kind = fixed[6..].first_chunk().copied().map(u32::from_be_bytes)?;
        Some(Column { name, kind })
    };
    (0..u16::from_be_bytes(*count)).map(next).collect()
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
        let texts = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect();
        assert_eq!(super::row(row), Some(texts(&["42", "x"])));
        assert_eq!(super::row(b"\0\x01\xff\xff\xff\xff"), Some(vec![None]));
        assert_eq!(super::row(b"\0\x02\0\0\0\x0242"), None);
        let head = b"\0\x01id\0\0\0\0\x07\0\x01\0\0\x06\xa4\xff\xff\xff\xff\xff\xff\0\0";
        let column = Column {
            name: "id".to_owned(),
            kind: 1700,
        };
        assert_eq!(columns(head), Some(vec![column]));
        assert_eq!(
            bind("s", &["42"]),
            b"B\0\0\0\x13\0s\0\0\0\0\x01\0\0\0\x0242\0\0"
        );
        let refused = b"SERROR\0VERROR\0C42P01\0Mno such table\0\0";
        assert_eq!(error(refused), "ERROR 42P01: no such table");
    }
}
