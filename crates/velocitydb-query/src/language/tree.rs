//! JSON as it was written: a tree that keeps the order of names.
//!
//! A sort by `{"a":1,"b":-1}` means its order, which a map of values would lose. Depth and size are
//! bounded while the text is read, a name twice in one object is refused, and so is an integer
//! that would be rounded. Tests: `language/tests.rs`.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use velocitydb_types::ErrorClass;
use velocitydb_types::json::{is_long_integer, numbers};

use crate::error::QueryError;

/// Containers inside containers that the text of a query may have.
pub const JSON_DEPTH_MAX: usize = 256;

/// Bytes that the text of a query may have.
pub const JSON_BYTES_MAX: usize = 8 << 20;

/// JSON, its names in the order in which they were written.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is called as it is")]
pub enum Json {
    Null,
    Bool(bool),
    Int(i64),
    /// Never NaN or infinite.
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a text.
    ///
    /// # Errors
    /// With line and column: wrong JSON, a name twice in an object, depth or size.
    pub fn parse(text: &str) -> Result<Json, QueryError> {
        let limit = |message: String| QueryError::Json {
            message,
            place: None,
            class: ErrorClass::Limit,
        };
        if text.len() > JSON_BYTES_MAX {
            let bytes = text.len();
            return Err(limit(format!(
                "{bytes} bytes, at most {JSON_BYTES_MAX} are allowed"
            )));
        }
        if let Some(number) = numbers(text).find(|number| is_long_integer(number)) {
            return Err(QueryError::Json {
                message: format!(
                    "the integer {number} is beyond 64 bits: write {{\"$decimal\":\"{number}\"}}"
                ),
                place: None,
                class: ErrorClass::Invalid,
            });
        }
        let mut too_deep = false;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.disable_recursion_limit(); // `Tree` has its own
        let tree = Tree {
            depth: 0,
            too_deep: &mut too_deep,
        };
        tree.deserialize(&mut deserializer)
            .and_then(|json| deserializer.end().map(|()| json))
            .map_err(|error| QueryError::Json {
                message: error.to_string(),
                place: Some((error.line(), error.column())),
                class: match too_deep {
                    true => ErrorClass::Limit,
                    false => ErrorClass::Invalid,
                },
            })
    }

    /// Reads bytes, as they come from outside.
    ///
    /// # Errors
    /// As [`Json::parse`], and bytes that are no UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Json, QueryError> {
        let text = std::str::from_utf8(bytes).map_err(|error| QueryError::Json {
            message: format!("no UTF-8 at byte {}", error.valid_up_to()),
            place: None,
            class: ErrorClass::Invalid,
        })?;
        Json::parse(text)
    }

    /// The member of this name, taken out of an object.
    pub fn take(&mut self, name: &str) -> Option<Json> {
        match self {
            Json::Object(members) => {
                let at = members.iter().position(|(known, _)| known == name)?;
                Some(members.remove(at).1)
            }
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "true or false",
            Json::Int(_) | Json::Float(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }

    /// How many names like this there are, at any depth.
    pub(super) fn count_names(&self, name: &str) -> usize {
        match self {
            Json::Array(elements) => elements.iter().map(|json| json.count_names(name)).sum(),
            Json::Object(members) => members
                .iter()
                .map(|(known, json)| usize::from(known == name) + json.count_names(name))
                .sum(),
            _ => 0,
        }
    }

    /// A number of things. More than there can ever be are as many as JSON can say.
    pub(super) fn count(number: usize) -> Json {
        Json::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// An object of one member.
    pub(super) fn object(name: impl Into<String>, json: Json) -> Json {
        Json::Object(vec![(name.into(), json)])
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_owned())
    }
}

impl fmt::Display for Json {
    /// JSON text without blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scalar = |f: &mut fmt::Formatter<'_>, text: serde_json::Result<String>| {
            f.write_str(&text.map_err(|_| fmt::Error)?)
        };
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(bool) => write!(f, "{bool}"),
            Json::Int(int) => write!(f, "{int}"),
            Json::Float(float) => scalar(f, serde_json::to_string(float)),
            Json::String(string) => scalar(f, serde_json::to_string(string)),
            Json::Array(elements) => {
                f.write_str("[")?;
                for (at, element) in elements.iter().enumerate() {
                    f.write_str(if at > 0 { "," } else { "" })?;
                    element.fmt(f)?;
                }
                f.write_str("]")
            }
            Json::Object(members) => {
                f.write_str("{")?;
                for (at, (name, json)) in members.iter().enumerate() {
                    f.write_str(if at > 0 { "," } else { "" })?;
                    scalar(f, serde_json::to_string(name))?;
                    f.write_str(":")?;
                    json.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Reads one value inside `depth` containers.
struct Tree<'t> {
    depth: usize,
    too_deep: &'t mut bool,
}

impl Tree<'_> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > JSON_DEPTH_MAX {
            *self.too_deep = true;
            return Err(E::custom(format_args!(
                "nested more than {JSON_DEPTH_MAX} deep"
            )));
        }
        Ok(())
    }

    fn inner(&mut self) -> Tree<'_> {
        Tree {
            depth: self.depth,
            too_deep: self.too_deep,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Json;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Json, E> {
        Ok(Json::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Json, E> {
        Ok(Json::Int(int))
    }

    fn visit_u64<E: serde::de::Error>(self, int: u64) -> Result<Json, E> {
        let int = i64::try_from(int);
        int.map(Json::Int)
            .map_err(|_| E::custom("an integer beyond 64 bits"))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Json, E> {
        Ok(Json::Float(float))
    }

    fn visit_str<E>(self, string: &str) -> Result<Json, E> {
        Ok(Json::String(string.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Json, A::Error> {
        self.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(self.inner())? {
            elements.push(element);
        }
        Ok(Json::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Json, A::Error> {
        self.deeper()?;
        let mut members: Vec<(String, Json)> = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("{name:?} appears twice")));
            }
            members.push((name, map.next_value_seed(self.inner())?));
        }
        Ok(Json::Object(members))
    }
}
