//! What clients send, read out of their bytes without copying.
//!
//! A message is its type, four bytes of length (which count themselves), and its body; those before
//! a session begins have no type. [`head`] finds where one ends, [`parse`] reads it.
//!
//! Invariants: nothing that a client sends makes this panic or reserve memory; a body is read to
//! its end and not beyond it; text is UTF-8 or an error. Does no I/O. Tests: below, and
//! tests/it/malformed.rs.

use smallvec::SmallVec;

use crate::backend::{Format, Oid, Parameter};
use crate::error::PgError;

/// The longest message before a session has begun, as in PostgreSQL.
pub(crate) const STARTUP_BYTES_MAX: usize = 10_000;

/// The longest message of those that only carry names, or a proof of who somebody is.
const SHORT_BYTES_MAX: usize = 64 << 10;

/// A message of a session.
#[derive(Debug, PartialEq)]
pub(crate) enum Message<'a> {
    Query(&'a str),
    Parse {
        name: &'a str,
        sql: &'a str,
        types: SmallVec<[Oid; 8]>,
    },
    Bind {
        portal: &'a str,
        statement: &'a str,
        parameters: SmallVec<[Parameter<'a>; 4]>,
        result_formats: SmallVec<[Format; 8]>,
    },
    Describe(Target<'a>),
    Close(Target<'a>),
    Execute {
        portal: &'a str,
        rows_max: u32,
    },
    Flush,
    Sync,
    Terminate,
    CopyDone,
    CopyFail(&'a str),
    FunctionCall,
}

/// What is described or closed.
#[derive(Debug, PartialEq)]
pub(crate) enum Target<'a> {
    Statement(&'a str),
    Portal(&'a str),
}

/// A message's type and how many bytes its body has, when so much has arrived that one can say.
pub(crate) fn head(input: &[u8], bytes_max: usize) -> Result<Option<(u8, usize)>, PgError> {
    let Some(&kind) = input.first() else {
        return Ok(None);
    };
    let short = match kind {
        b'Q' | b'P' | b'B' | b'd' | b'F' => false,
        b'D' | b'C' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' | b'p' => true,
        _ => {
            let message = format!("invalid frontend message type {kind}");
            return Err(PgError::protocol(message));
        }
    };
    let Some(length) = input[1..].first_chunk() else {
        return Ok(None);
    };
    let body = body_length(*length)?;
    // The bytes of a copy are handed on as they come.
    let bytes_max = match kind {
        b'd' => usize::MAX,
        _ if short => SHORT_BYTES_MAX.min(bytes_max),
        _ => bytes_max,
    };
    if body > bytes_max {
        let message = format!("a message of {body} bytes is longer than {bytes_max}");
        return Err(PgError::protocol(message));
    }
    Ok(Some((kind, body)))
}

fn body_length(length: [u8; 4]) -> Result<usize, PgError> {
    let body = u32::from_be_bytes(length).checked_sub(4);
    match body {
        Some(body) if body < 1 << 30 => Ok(body as usize),
        _ => Err(PgError::protocol("invalid message length")),
    }
}

/// How many bytes the body of a first message has, when so much has arrived.
pub(crate) fn startup_head(input: &[u8]) -> Result<Option<usize>, PgError> {
    let Some(length) = input.first_chunk() else {
        return Ok(None);
    };
    match body_length(*length) {
        Ok(body) if (4..=STARTUP_BYTES_MAX).contains(&body) => Ok(Some(body)),
        _ => Err(PgError::protocol("invalid length of startup packet")),
    }
}

/// Reads the body of a message.
pub(crate) fn parse(kind: u8, body: &[u8]) -> Result<Message<'_>, PgError> {
    let mut body = Reader(body);
    let message = match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => Message::Parse {
            name: body.text()?,
            sql: body.text()?,
            types: body.list(|body| body.u32())?,
        },
        b'B' => bind(&mut body)?,
        b'D' => Message::Describe(body.target()?),
        b'C' => Message::Close(body.target()?),
        b'E' => Message::Execute {
            portal: body.text()?,
            rows_max: u32::try_from(body.i32()?).unwrap_or(0), // negative: all
        },
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        b'X' => Message::Terminate,
        b'c' => Message::CopyDone,
        b'f' => Message::CopyFail(body.text()?),
        b'F' => return Ok(Message::FunctionCall),
        // `head` lets through only what is above, passwords, and the data of copies, which have no
        // end that is worth waiting for.
        _ => return Err(PgError::protocol("a password was not asked for")),
    };
    body.end()?;
    Ok(message)
}

fn bind<'a>(body: &mut Reader<'a>) -> Result<Message<'a>, PgError> {
    let (portal, statement) = (body.text()?, body.text()?);
    let formats: SmallVec<[Format; 8]> = body.list(|body| body.format())?;
    let mut index = 0;
    let parameters: SmallVec<[Parameter<'a>; 4]> = body.list(|body| {
        let format = crate::backend::format_of(&formats, index);
        index += 1;
        let value = match body.i32()? {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| malformed())?;
                Some(body.take(length)?)
            }
        };
        Ok(Parameter { format, value })
    })?;
    if formats.len() > 1 && formats.len() != parameters.len() {
        return Err(PgError::new(
            "08P01",
            format!(
                "bind message has {} parameter formats but {} parameters",
                formats.len(),
                parameters.len()
            ),
        ));
    }
    let result_formats = body.list(|body| body.format())?;
    Ok(Message::Bind {
        portal,
        statement,
        parameters,
        result_formats,
    })
}

fn malformed() -> PgError {
    PgError::protocol("invalid message format")
}

/// The rest of a body.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], PgError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PgError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, PgError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, PgError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, PgError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn format(&mut self) -> Result<Format, PgError> {
        match self.u16()? {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            // Of an error of this kind the session survives, as in PostgreSQL.
            code => Err(PgError::new(
                "22023",
                format!("invalid format code: {code}: it is 0 (text) or 1 (binary)"),
            )),
        }
    }

    /// A count, and so many of what `item` reads. Memory is taken as they are read.
    fn list<T, const N: usize>(
        &mut self,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<T, PgError>,
    ) -> Result<SmallVec<[T; N]>, PgError>
    where
        [T; N]: smallvec::Array<Item = T>,
    {
        let count = self.u16()?;
        let mut items = SmallVec::new();
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Text up to a zero byte.
    pub(crate) fn text(&mut self) -> Result<&'a str, PgError> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = self.take(end.ok_or_else(malformed)?)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|error| {
            let wrong = &text[error.valid_up_to()..];
            let wrong = &wrong[..error.error_len().unwrap_or(wrong.len())];
            let wrong: Vec<String> = wrong.iter().map(|byte| format!("{byte:#04x}")).collect();
            let wrong = wrong.join(" ");
            let message = format!("invalid byte sequence for encoding \"UTF8\": {wrong}");
            PgError::new("22021", message)
        })
    }

    fn target(&mut self) -> Result<Target<'a>, PgError> {
        match self.array()? {
            [b'S'] => Ok(Target::Statement(self.text()?)),
            [b'P'] => Ok(Target::Portal(self.text()?)),
            _ => Err(malformed()),
        }
    }

    fn end(&self) -> Result<(), PgError> {
        match self.0 {
            [] => Ok(()),
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, any, prop, prop_oneof, proptest};

    use super::{Message, head, parse, startup_head};
    use crate::backend::{Format, Parameter};
    use crate::error::Severity;

    #[test]
    fn a_bind_is_read_without_copying() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\0";
        let Message::Bind { parameters, .. } = parse(b'B', body).unwrap() else {
            panic!("a bind");
        };
        let format = Format::Binary;
        let value = Some(&b"ab"[..]);
        let expected = [
            Parameter { format, value },
            Parameter {
                format,
                value: None,
            },
        ];
        assert_eq!(parameters.as_slice(), expected);
    }

    /// Cut anywhere, each message is refused and none panics.
    #[test]
    fn what_is_cut_short_is_refused() {
        let bodies: &[(u8, &[u8])] = &[
            (b'Q', b"SELECT\0"),
            (b'P', b"n\0SELECT\0\0\x01\0\0\0\x17"),
            (
                b'B',
                b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02ab\xff\xff\xff\xff\0\x01\0\0",
            ),
            (b'D', b"Sn\0"),
            (b'C', b"Pn\0"),
            (b'E', b"p\0\0\0\0\x05"),
            (b'f', b"why\0"),
        ];
        for (kind, body) in bodies {
            parse(*kind, body).unwrap();
            for length in 0..body.len() {
                let error = parse(*kind, &body[..length]).unwrap_err();
                assert_eq!(error.code, "08P01", "{kind} {length}");
            }
            let longer = [body, &b"x"[..]].concat();
            assert_eq!(parse(*kind, &longer).unwrap_err().code, "08P01", "{kind}");
        }
    }

    proptest! {
        /// Whatever the bytes are, they are a message or an error.
        #[test]
        fn no_bytes_make_it_panic(
            kind in prop::sample::select(&b"QPBDCEHSXcfFpd"[..]),
            body in prop::collection::vec(
                prop_oneof![Just(0), Just(1), Just(b'S'), Just(0xff), any::<u8>()],
                0..64,
            ),
        ) {
            let _ = parse(kind, &body);
            let _ = head(&body, 1_000);
            let _ = startup_head(&body);
        }
    }

    #[test]
    fn counts_that_nothing_stands_behind_are_refused() {
        for body in [
            &b"\0\0\0\0\0\x01\x7f\xff\xff\xff"[..], // a value of 2 GiB
            b"\0\0\0\0\0\x01\xff\xff\xff\xfe",      // a value of -2 bytes
            b"\0\0\xff\xff",                        // 65,535 formats
            b"\0\0\0\0\xff\xff\0\0",                // 65,535 values
        ] {
            assert_eq!(parse(b'B', body).unwrap_err().code, "08P01", "{body:?}");
        }
    }

    #[test]
    fn text_that_is_no_utf8_is_refused_and_the_session_survives() {
        let error = parse(b'Q', b"SELECT '\xff\xfe'\0").unwrap_err();
        assert_eq!((error.code, error.severity), ("22021", Severity::Error));
        assert!(error.message.ends_with("0xff"), "{error}");
    }

    #[test]
    fn lengths_and_types_that_cannot_be_are_refused() {
        for input in [
            &b"Q\0\0\0\x03"[..],
            b"Q\xff\xff\xff\xff",
            b"Q\0\x10\0\0", // 1 MiB where 1,000 bytes are allowed
            b"S\0\x10\0\0", // a Sync has no body
            b"?",
            b"GET / HTTP/1.1",
        ] {
            assert_eq!(head(input, 1_000).unwrap_err().code, "08P01", "{input:?}");
        }
        assert_eq!(head(b"Q\0\0\0", 1_000).unwrap(), None);
        assert_eq!(head(b"Q\0\0\0\x05", 1_000).unwrap(), Some((b'Q', 1)));
    }
}
