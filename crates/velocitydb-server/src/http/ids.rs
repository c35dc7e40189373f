//! The path of a document. Ids in paths and bodies are read as at all doors: [`velocitydb::id_of_text`].
//!
//! Invariant: the path in a `Location` names the very document. Tests: below.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use velocitydb::{IdError, Key};

use super::problem::Problem;

/// What a segment of a path needs not to have encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b'@');

impl From<IdError> for Problem {
    fn from(error: IdError) -> Problem {
        Problem::new("invalid_id", error.to_string())
    }
}

/// The path of a document.
pub(super) fn location(collection: &str, key: &Key) -> String {
    let mut text = key.to_string();
    // What clients would resolve away, or routes not see, goes in quotes.
    if matches!(text.as_str(), "" | "." | "..") {
        text = format!("\"{text}\"");
    }
    let segment = |text| utf8_percent_encode(text, SEGMENT);
    let mut path = String::with_capacity(32 + collection.len() + text.len());
    path.push_str("/v1/collections/");
    path.extend(segment(collection));
    path.push_str("/documents/");
    path.extend(segment(&text));
    path
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use velocitydb::types::Openness;
    use velocitydb::{Definition, Field, FieldType, Schema, Value, id_of_text};

    use super::*;

    fn with_key(kind: FieldType) -> Definition {
        let schema = Schema::new(Openness::Open, vec![Field::new("k", kind)]).unwrap();
        Definition::new("c").schema(schema).primary_key("k")
    }

    fn key(value: impl Into<Value>) -> Key {
        Key::from_value(&value.into()).unwrap()
    }

    const UUID: &str = "01234567-89ab-7fff-bfff-ffffffffffff";

    #[test]
    fn a_location_names_the_document() {
        let free = Definition::new("c");
        let values: [Value; 7] = [
            18.into(),
            1.5.into(),
            true.into(),
            vec![0_u8, 255].into(),
            "0.1".parse::<velocitydb::Decimal>().unwrap().into(),
            "2026-11-30".parse::<velocitydb::Date>().unwrap().into(),
            velocitydb::Timestamp(5).into(),
        ];
        let kinds = [
            FieldType::Int,
            FieldType::Float,
            FieldType::Bool,
            FieldType::Bytes,
            FieldType::Decimal,
            FieldType::Date,
            FieldType::Time,
        ];
        for (value, kind) in values.into_iter().zip(kinds) {
            let id = key(value);
            let location = location("c", &id);
            let (_, text) = location.rsplit_once('/').unwrap();
            let text = percent_decode_str(text).decode_utf8().unwrap();
            assert_eq!(id_of_text(&free, &text).unwrap(), id, "{location}");
            assert_eq!(
                id_of_text(&with_key(kind), &text).unwrap(),
                id,
                "{location}"
            );
        }
        for id in [
            "a",
            "42",
            "",
            ".",
            "..",
            "a/b",
            "ö%20 ?#\"",
            "\"",
            "date:2026-11-30",
            UUID,
        ] {
            let location = location("c", &key(id));
            assert!(location.is_ascii(), "{location}");
            let text = location
                .strip_prefix("/v1/collections/c/documents/")
                .unwrap();
            assert!(!text.is_empty() && !text.contains('/'), "{location}");
            let text = percent_decode_str(text).decode_utf8().unwrap().into_owned();
            assert_eq!(id_of_text(&free, &text).unwrap(), key(id), "{location}");
            assert_eq!(
                id_of_text(&with_key(FieldType::String), &text).unwrap(),
                key(id)
            );
        }
    }
}
