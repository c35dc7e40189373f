//! Paths to values inside a document: `address.street`, `tags.0`, ``a.`b.c`.d``.
//!
//! Segments are separated by dots; one that holds a dot, a quote or nothing stands in backticks
//! or double quotes, with that quote doubled inside. A segment names a map's entry, or where an
//! array stands, a position from 0; which of the two is seen only on the data. Tests: below.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ErrorClass;
use crate::{DEPTH_MAX, Value};

/// The way to a value inside a document: one or more segments.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

/// Why a text is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing before, between or after dots.
    #[error("path has an empty segment (quote it as `` if it is meant)")]
    EmptySegment,
    /// A quote that is not closed.
    #[error("path has an unclosed quote")]
    OpenQuote,
    /// Something other than a dot after a closing quote.
    #[error("path has text after a closing quote")]
    AfterQuote,
    /// More segments than a document can be deep.
    #[error("path has more than {DEPTH_MAX} segments")]
    TooLong,
}

impl PathError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::TooLong => ErrorClass::Limit,
            Self::EmptySegment | Self::OpenQuote | Self::AfterQuote => ErrorClass::Invalid,
        }
    }
}

impl Path {
    /// The path of a field of the document itself.
    pub fn field(name: impl Into<String>) -> Self {
        Self(vec![name.into()])
    }

    /// The path of given segments, taken as they are.
    ///
    /// # Errors
    /// No segments, or more than [`DEPTH_MAX`].
    pub fn from_segments(segments: Vec<String>) -> Result<Self, PathError> {
        match segments.len() {
            0 => Err(PathError::EmptySegment),
            1..=DEPTH_MAX => Ok(Self(segments)),
            _ => Err(PathError::TooLong),
        }
    }

    /// The segments, at least one.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// The document's field that the path begins with.
    pub fn first(&self) -> &str {
        &self.0[0]
    }

    /// The segments within that field.
    pub fn rest(&self) -> &[String] {
        &self.0[1..]
    }

    /// What the path leads to in an owned value.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, segment| match value {
            Value::Map(map) => map.get(segment),
            Value::Array(elements) => elements.get(Self::position(segment)?),
            _ => None,
        })
    }

    /// The array position that a segment stands for: digits without leading zeros.
    pub fn position(segment: &str) -> Option<usize> {
        let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
        let usual = segment == "0" || !segment.starts_with('0');
        segment.parse().ok().filter(|_| digits && usual)
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut segments = Vec::new();
        let mut rest = text;
        loop {
            let (segment, after) = take_segment(rest)?;
            segments.push(segment);
            if segments.len() > DEPTH_MAX {
                return Err(PathError::TooLong);
            }
            if after.is_empty() {
                return Ok(Self(segments));
            }
            rest = after.strip_prefix('.').ok_or(PathError::AfterQuote)?;
        }
    }
}

/// Takes the first segment, quoted or not; what is left begins with a dot or is empty, or else
/// follows a quote.
fn take_segment(text: &str) -> Result<(String, &str), PathError> {
    let Some(quote) = text
        .chars()
        .next()
        .filter(|first| matches!(first, '`' | '"'))
    else {
        let end = text.find('.').unwrap_or(text.len());
        let (segment, after) = text.split_at(end);
        return match segment {
            "" => Err(PathError::EmptySegment),
            _ => Ok((segment.to_owned(), after)),
        };
    };
    let mut segment = String::new();
    let mut rest = &text[1..];
    loop {
        let (part, after) = rest.split_once(quote).ok_or(PathError::OpenQuote)?;
        segment.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                segment.push(quote);
                rest = more;
            }
            None => return Ok((segment, after)),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            if segment.is_empty() || segment.contains(['.', '`', '"']) {
                write!(f, "`{}`", segment.replace('`', "``"))?;
            } else {
                f.write_str(segment)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path({self})")
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_segments() {
        for (text, segments, shown) in [
            ("a", &["a"][..], "a"),
            ("a.b.0.c", &["a", "b", "0", "c"], "a.b.0.c"),
            ("a.`b.c`.d", &["a", "b.c", "d"], "a.`b.c`.d"),
            ("\"b.c\"", &["b.c"], "`b.c`"),
            ("`a``b`.\"c\"\"d\"", &["a`b", "c\"d"], "`a``b`.`c\"d`"),
            ("``", &[""], "``"),
            ("a b.ö", &["a b", "ö"], "a b.ö"),
        ] {
            let path: Path = text.parse().unwrap();
            assert_eq!(path.segments(), segments, "{text}");
            assert_eq!(path.to_string(), shown);
            assert_eq!(shown.parse(), Ok(path));
        }
        for (text, error) in [
            ("", PathError::EmptySegment),
            (".a", PathError::EmptySegment),
            ("a.", PathError::EmptySegment),
            ("a..b", PathError::EmptySegment),
            ("`a", PathError::OpenQuote),
            ("`a`b", PathError::AfterQuote),
        ] {
            assert_eq!(text.parse::<Path>(), Err(error), "{text}");
        }
        let long = vec!["a"; DEPTH_MAX + 1].join(".");
        assert_eq!(long.parse::<Path>(), Err(PathError::TooLong));
        assert_eq!(
            Path::from_segments(Vec::new()),
            Err(PathError::EmptySegment)
        );
    }

    #[test]
    fn positions_have_one_form() {
        assert_eq!(Path::position("0"), Some(0));
        assert_eq!(Path::position("10"), Some(10));
        for wrong in ["", "01", "-1", "+1", "1x", "99999999999999999999"] {
            assert_eq!(Path::position(wrong), None, "{wrong}");
        }
        let value = Value::from_json(r#"{"a":[{"b":7}]}"#).unwrap();
        let path: Path = "a.0.b".parse().unwrap();
        assert_eq!(path.get(&value), Some(&Value::Int(7)));
        assert_eq!("a.1".parse::<Path>().unwrap().get(&value), None);
    }
}
