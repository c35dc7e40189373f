//! What headers ask for, and what they answer.
//!
//! | header | in | out |
//! | --- | --- | --- |
//! | `Velocity-Consistency` | `local`, `eventual`, `quorum`, `strong` (default) | the level given |
//! | `Velocity-Durability` | `none`, `memory`, `os`, `full` | of a write: the level given |
//! | `Velocity-Expires-In` | seconds until the document that is written expires | |
//! | `Velocity-Expires-At` | the time, RFC 3339 | |
//! | `Velocity-Expires` | `never` | |
//! | `Velocity-Index` | | log index of the change, or of the state that was read |
//! | `Velocity-Repeated` | | `true`: the kept outcome of an earlier request with this key |
//! | `Idempotency-Key` | 1 to 255 visible characters | |
//! | `If-Match`, `If-None-Match` | `*`, or entity tags | |
//! | `ETag` | | `"<index>"`: log index of the document's last change |
//! | `X-Request-Id` | 1 to 128 visible characters | the same, or one that was made |
//!
//! What cannot be read is a 400, never ignored. Tests: below; tests/it.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use axum::response::Response;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use velocitydb::{Answer, Call, Consistency, Document, Durability, Expiry};

use super::problem::Problem;

/// What `Velocity-…` and `Idempotency-Key` ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) consistency: Consistency,
    pub(crate) durability: Option<Durability>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) expires: Expiry,
}

/// What `If-Match` and `If-None-Match` ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Preconditions {
    pub(crate) matches: Option<Tags>,
    pub(crate) differs: Option<Tags>,
}

/// A list of entity tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`: any present document.
    Any,
    /// Log indexes of last changes; tags that this server does not make are left out, as no
    /// document has them.
    These(Vec<Tag>),
}

/// One entity tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) index: u64,
    /// `W/`: good for `If-None-Match` only.
    pub(crate) weak: bool,
}

/// Which tags count: the two comparisons of RFC 9110.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// For `If-Match`: weak tags match nothing.
    Strong,
    /// For `If-None-Match`.
    Weak,
}

fn invalid(name: &HeaderName, what: impl std::fmt::Display) -> Problem {
    Problem::new("invalid_header", format!("{name}: {what}"))
}

/// The value of a header that may stand once, of visible characters.
pub(crate) fn single<'h>(
    headers: &'h HeaderMap,
    name: &HeaderName,
    bytes_max: usize,
) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid(name, "given more than once"));
    }
    match value.to_str() {
        Ok(text) if (1..=bytes_max).contains(&text.len()) => Ok(Some(text)),
        Ok(_) => Err(invalid(
            name,
            format!("it must have 1 to {bytes_max} characters"),
        )),
        Err(_) => Err(invalid(name, "it may have visible ASCII characters only")),
    }
}

const CONSISTENCY: HeaderName = HeaderName::from_static("velocity-consistency");
const DURABILITY: HeaderName = HeaderName::from_static("velocity-durability");
const EXPIRES: HeaderName = HeaderName::from_static("velocity-expires");
const EXPIRES_IN: HeaderName = HeaderName::from_static("velocity-expires-in");
const EXPIRES_AT: HeaderName = HeaderName::from_static("velocity-expires-at");
const INDEX: HeaderName = HeaderName::from_static("velocity-index");
const REPEATED: HeaderName = HeaderName::from_static("velocity-repeated");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The request's id.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id taken from a client.
pub(crate) const REQUEST_ID_BYTES_MAX: usize = 128;
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

impl Asked {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Asked, Problem> {
        // Most requests have none of them: one look at the names instead of one for each of ours.
        let ours = |name: &HeaderName| name.as_str().starts_with("velocity-");
        if !headers
            .keys()
            .any(|name| ours(name) || name == IDEMPOTENCY_KEY)
        {
            return Ok(Asked::default());
        }
        let level = |name: &HeaderName| single(headers, name, 32);
        let consistency = level(&CONSISTENCY)?.map(str::parse).transpose();
        let durability = level(&DURABILITY)?.map(str::parse).transpose();
        Ok(Asked {
            consistency: consistency
                .map_err(|error| invalid(&CONSISTENCY, error))?
                .unwrap_or_default(),
            durability: durability.map_err(|error| invalid(&DURABILITY, error))?,
            idempotency_key: single(headers, &IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_BYTES_MAX)?
                .map(str::to_owned),
            expires: read_expiry(headers)?,
        })
    }

    /// As options of a call of the library.
    pub(crate) fn call(&self) -> Call {
        let mut call = Call::new()
            .consistency(self.consistency)
            .expires(self.expires);
        if let Some(level) = self.durability {
            call = call.durability(level);
        }
        match &self.idempotency_key {
            Some(key) => call.idempotency_key(key.as_str()),
            None => call,
        }
    }

    /// Says what was really given to a read of the state at `index`.
    pub(crate) fn answer_read(&self, response: &mut Response, index: u64) {
        let headers = response.headers_mut();
        headers.insert(
            CONSISTENCY,
            HeaderValue::from_static(self.consistency.name()),
        );
        headers.insert(INDEX, HeaderValue::from(index));
    }
}

/// When the documents that a request writes expire.
fn read_expiry(headers: &HeaderMap) -> Result<Expiry, Problem> {
    let after = single(headers, &EXPIRES_IN, 20)?;
    let at = single(headers, &EXPIRES_AT, 64)?;
    let never = single(headers, &EXPIRES, 32)?;
    match (after, at, never) {
        (None, None, None) => Ok(Expiry::Default),
        (Some(after), None, None) => match after.parse::<u32>() {
            Ok(seconds @ 1..) => Ok(Expiry::In(Duration::from_secs(seconds.into()))),
            _ => Err(invalid(
                &EXPIRES_IN,
                format!(
                    "{after:?} is not a whole number of seconds from 1 to {}",
                    u32::MAX
                ),
            )),
        },
        (None, Some(at), None) => at.parse().map(Expiry::At).map_err(|_| {
            let what = "is not a time such as 2030-01-31T12:00:00Z (RFC 3339)";
            invalid(&EXPIRES_AT, format!("{at:?} {what}"))
        }),
        (None, None, Some("never")) => Ok(Expiry::Never),
        (None, None, Some(other)) => Err(invalid(
            &EXPIRES,
            format!("{other:?} is not never; {EXPIRES_IN} takes seconds, {EXPIRES_AT} a time"),
        )),
        _ => Err(invalid(
            &EXPIRES,
            format!("a request takes one of {EXPIRES}, {EXPIRES_IN}, {EXPIRES_AT}"),
        )),
    }
}

/// Says what was really given to a write.
pub(crate) fn answer_write<T>(response: &mut Response, answer: &Answer<T>) {
    let headers = response.headers_mut();
    headers.insert(
        CONSISTENCY,
        HeaderValue::from_static(answer.consistency.name()),
    );
    headers.insert(
        DURABILITY,
        HeaderValue::from_static(answer.durability.name()),
    );
    headers.insert(INDEX, HeaderValue::from(answer.index));
    if answer.repeated {
        headers.insert(REPEATED, HeaderValue::from_static("true"));
    }
}

/// The entity tag of a document.
pub(crate) fn etag(document: &Document) -> HeaderValue {
    short(format_args!("\"{}\"", document.meta().index))
}

/// A value of visible characters, 64 at most. It is put together on the stack: from a string it
/// would be copied anyway.
pub(crate) fn short(text: fmt::Arguments<'_>) -> HeaderValue {
    let mut room = [0; 64];
    let mut rest = &mut room[..];
    rest.write_fmt(text).expect("there is room for it");
    let left = rest.len();
    let text = &room[..room.len() - left];
    HeaderValue::from_bytes(text).expect("visible characters are a header's value")
}

impl Preconditions {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Preconditions, Problem> {
        Ok(Preconditions {
            matches: Tags::read(headers, &IF_MATCH)?,
            differs: Tags::read(headers, &IF_NONE_MATCH)?,
        })
    }
}

impl Tags {
    fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
        if !headers.contains_key(name) {
            return Ok(None);
        }
        let malformed = || invalid(name, "expected * or entity tags such as \"42\"");
        let (mut any, mut tags, mut members) = (false, Vec::new(), 0);
        for value in headers.get_all(name) {
            for member in value.to_str().map_err(|_| malformed())?.split(',') {
                let member = member.trim();
                members += 1;
                if member == "*" {
                    any = true;
                    continue;
                }
                let (weak, quoted) = match member.strip_prefix("W/") {
                    Some(rest) => (true, rest),
                    None => (false, member),
                };
                let tag = quoted
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'));
                let tag = tag.filter(|tag| !tag.contains('"')).ok_or_else(malformed)?;
                // Only in the one form that `etag` gives it.
                let index = tag
                    .parse()
                    .ok()
                    .filter(|index: &u64| index.to_string() == tag);
                tags.extend(index.map(|index| Tag { index, weak }));
            }
        }
        match (any, members) {
            (true, 1) => Ok(Some(Tags::Any)),
            (false, 1..) => Ok(Some(Tags::These(tags))),
            _ => Err(malformed()),
        }
    }

    /// Whether a document is among them; its absence never is.
    pub(crate) fn contain(&self, document: Option<&Document>, comparison: Comparison) -> bool {
        let Some(document) = document else {
            return false;
        };
        match self {
            Tags::Any => true,
            Tags::These(tags) => {
                let index = document.meta().index;
                let counts = |tag: &Tag| comparison == Comparison::Weak || !tag.weak;
                tags.iter().any(|tag| tag.index == index && counts(tag))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        let mut map = HeaderMap::new();
        lines.iter().map(pair).for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    #[test]
    fn levels_are_read_or_refused() {
        let asked = Asked::read(&headers(&[
            ("velocity-consistency", "local"),
            ("velocity-durability", "full"),
            ("idempotency-key", "k"),
        ]));
        let asked = asked.unwrap();
        assert_eq!(asked.consistency, Consistency::Local);
        assert_eq!(asked.durability, Some(Durability::Full));
        assert_eq!(asked.idempotency_key.as_deref(), Some("k"));
        let none = Asked::read(&HeaderMap::new()).unwrap();
        assert_eq!(
            (none.consistency, none.durability),
            (Consistency::Strong, None)
        );
        for bad in [
            ("velocity-consistency", "Strong"),
            ("velocity-consistency", ""),
            ("velocity-durability", "disk"),
            ("idempotency-key", ""),
        ] {
            let problem = Asked::read(&headers(&[bad])).unwrap_err();
            assert_eq!(problem.row.code, "invalid_header", "{bad:?}");
            assert!(problem.detail.starts_with(bad.0), "{}", problem.detail);
        }
        let twice = headers(&[
            ("velocity-durability", "os"),
            ("velocity-durability", "full"),
        ]);
        assert!(Asked::read(&twice).is_err());
    }

    #[test]
    fn entity_tags() {
        let read = |values: &[&'static str]| {
            let lines: Vec<_> = values.iter().map(|value| ("if-match", *value)).collect();
            Preconditions::read(&headers(&lines)).map(|found| found.matches)
        };
        let (tag, weak) = (
            |index| Tag { index, weak: false },
            |index| Tag { index, weak: true },
        );
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&["*"]).unwrap(), Some(Tags::Any));
        assert_eq!(read(&["\"7\""]).unwrap(), Some(Tags::These(vec![tag(7)])));
        let several = read(&["\"7\", W/\"8\"", "\"foreign\", \"08\""]).unwrap();
        assert_eq!(several, Some(Tags::These(vec![tag(7), weak(8)])));
        for bad in [
            "", "7", "\"7", "*, \"7\"", "*,*", "w/\"7\"", "\"7\",", "\"a\"b\"",
        ] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
    }
}
