//! A small client of PostgreSQL's protocol, which reads no more than it is asked to.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

/// A session. It knows answers as texts, and takes every error for a failed test.
pub struct Client(BufReader<TcpStream>);

/// The columns of a row.
pub type Row = Vec<Option<String>>;

/// What there is in an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Row(Row),
    /// The end of a statement: `SELECT 5`.
    Tag(String),
    /// The end of the request.
    Ready,
}

impl Client {
    /// By the line for psql that a server has said.
    pub fn of(said: &str) -> Client {
        let mut lines = said.lines();
        let port = lines.find_map(|line| line.strip_prefix("PostgreSQL: psql -h 127.0.0.1 -p "));
        let stream = TcpStream::connect(format!("127.0.0.1:{}", port.unwrap())).unwrap();
        let mut client = Client(BufReader::new(stream));
        let hello = b"\0\x03\0\0user\0ann\0\0";
        client.send(&[&length(hello.len())[..], hello].concat());
        while client.part() != Part::Ready {}
        client
    }

    pub fn port(&self) -> u16 {
        self.0.get_ref().local_addr().unwrap().port()
    }

    /// Asks, and reads nothing.
    pub fn ask(&mut self, sql: &str) {
        self.message(b'Q', format!("{sql}\0").as_bytes());
    }

    /// Asks: the rows of the answer, and its tag.
    pub fn query(&mut self, sql: &str) -> (Vec<Row>, String) {
        self.ask(sql);
        let (mut rows, mut tag) = (Vec::new(), String::new());
        loop {
            match self.part() {
                Part::Row(row) => rows.push(row),
                Part::Tag(of) => tag = of,
                Part::Ready => return (rows, tag),
            }
        }
    }

    /// Copies in these data; the tag.
    pub fn copy_in(&mut self, sql: &str, data: &[u8]) -> String {
        self.ask(sql);
        for piece in data.chunks(64 << 10) {
            self.message(b'd', piece);
        }
        self.message(b'c', b"");
        let Part::Tag(tag) = self.part() else {
            panic!("{sql} answers a row");
        };
        assert_eq!(self.part(), Part::Ready);
        tag
    }

    /// The next part of the answer.
    pub fn part(&mut self) -> Part {
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).unwrap();
            let [kind, length @ ..] = head;
            let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
            self.0.read_exact(&mut body).unwrap();
            match kind {
                b'D' => return Part::Row(row(&body)),
                b'C' => return Part::Tag(text(&body).trim_end_matches('\0').to_owned()),
                b'Z' => return Part::Ready,
                b'E' => panic!("{}", text(&body)),
                _ => {}
            }
        }
    }

    fn message(&mut self, kind: u8, body: &[u8]) {
        self.send(&[&[kind], &length(body.len())[..], body].concat());
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }
}

fn length(body: usize) -> [u8; 4] {
    u32::try_from(body + 4).unwrap().to_be_bytes()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn row(body: &[u8]) -> Row {
    let (columns, mut rest) = body.split_first_chunk().unwrap();
    let column = |_| {
        let (length, after) = rest.split_first_chunk().unwrap();
        // Of a null it is -1.
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let (value, after) = after.split_at(length.unwrap_or(0));
        rest = after;
        length.map(|_| text(value))
    };
    (0..u16::from_be_bytes(*columns)).map(column).collect()
}
