//! Ids in paths and bodies, by what a collection's primary key declares.
//!
//! Where the id is a declared field, text and JSON become that field's type: `/documents/42` is
//! the string `"42"` in a collection whose key is a string. Elsewhere the rule is that of
//! [`Key::parse`]: integer text is an integer, a hyphenated UUID is one, `date:2013-01-01` is a
//! date, the rest is a string; `"42"` in quotes is the string. In a body, `"_id": "42"` is a string, as JSON has said so.
//!
//! Invariant: the path in a `Location` names the very document. Tests: below.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use velocitydb::types::{FieldOperation, Path};
use velocitydb::{Definition, FieldType, Key, Uuid, Value};

use super::problem::Problem;

/// What a segment of a path needs not to have encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b'@');

fn invalid(text: &str, what: impl std::fmt::Display) -> Problem {
    Problem::new("invalid_id", format!("the id {text:?}: {what}"))
}

fn declared(definition: &Definition) -> Option<(&str, FieldType)> {
    let name = definition.primary_key.as_deref()?;
    definition
        .schema
        .field(name)
        .map(|field| (name, field.kind))
}

/// The id that the text in a path stands for.
pub(super) fn from_path(definition: &Definition, text: &str) -> Result<Key, Problem> {
    let parse = || Key::parse(text).map_err(|error| invalid(text, error));
    let Some((_, kind)) = declared(definition) else {
        return parse();
    };
    let value = match kind {
        FieldType::Json | FieldType::Array | FieldType::Map | FieldType::Point => return parse(),
        FieldType::String if text.starts_with('"') => return parse(),
        FieldType::Bool => text.parse().map(Value::Bool).ok(),
        FieldType::Int => text.parse().map(Value::Int).ok(),
        FieldType::Float => text.parse().map(Value::Float).ok(),
        FieldType::String => Some(Value::from(text)),
        FieldType::Decimal
        | FieldType::Time
        | FieldType::Date
        | FieldType::Uuid
        | FieldType::Bytes => Some(typed(definition, Value::from(text)))
            .filter(|value| !matches!(value, Value::String(_))),
    };
    // What is not written as the type may be the text of a key: `date:2013-01-01`.
    let value = value.or_else(|| {
        let value = Key::parse(text).ok()?.to_value();
        (!matches!(value, Value::String(_) | Value::Int(_) | Value::Uuid(_))).then_some(value)
    });
    let expected = || invalid(text, format!("the primary key is of type {kind}"));
    Key::from_value(&value.ok_or_else(expected)?).map_err(|error| invalid(text, error))
}

/// The id that `_id` in a body stands for.
pub(super) fn from_body(definition: &Definition, value: Value) -> Result<Key, Problem> {
    let value = match value {
        Value::String(text) if declared(definition).is_none() && text.len() == 36 => {
            Uuid::try_parse(&text).map_or(Value::String(text), Value::Uuid)
        }
        value => typed(definition, value),
    };
    Key::from_value(&value).map_err(|error| invalid(&value.to_json(), error))
}

/// Refuses an `_id` in a body that is not the one in the path. What a document shows as its
/// `_id` names it, also where JSON does not have the type.
pub(super) fn must_name(definition: &Definition, named: Value, key: &Key) -> Result<(), Problem> {
    if named.to_json() == key.to_value().to_json() {
        return Ok(());
    }
    let shown = named.to_json();
    match from_body(definition, named)? == *key {
        true => Ok(()),
        false => {
            let detail = format!("\"_id\" is {shown} but the path names {key}");
            Err(Problem::new("invalid_id", detail))
        }
    }
}

/// The value as the primary key's field would have it.
fn typed(definition: &Definition, value: Value) -> Value {
    let Some((name, _)) = declared(definition) else {
        return value;
    };
    let mut operation = [FieldOperation::Set {
        path: Path::field(name),
        value,
    }];
    definition.schema.resolve_operations(&mut operation);
    match operation {
        [FieldOperation::Set { value, .. }] => value,
        _ => unreachable!("resolving keeps a set of a declared field a set"),
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
    format!(
        "/v1/collections/{}/documents/{}",
        segment(collection),
        segment(&text)
    )
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use velocitydb::types::Openness;
    use velocitydb::{Field, Schema};

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
    fn ids_without_a_declared_type() {
        let free = Definition::new("c");
        let uuid = Uuid::try_parse(UUID).unwrap();
        assert_eq!(from_path(&free, "42").unwrap(), key(42));
        assert_eq!(from_path(&free, "\"42\"").unwrap(), key("42"));
        assert_eq!(from_path(&free, UUID).unwrap(), key(uuid));
        assert_eq!(from_body(&free, UUID.into()).unwrap(), key(uuid));
        assert_eq!(from_body(&free, "42".into()).unwrap(), key("42"));
        assert_eq!(from_body(&free, 42.into()).unwrap(), key(42));
        assert_eq!(from_path(&free, "\"a").unwrap_err().row.code, "invalid_id");
        assert_eq!(
            from_body(&free, Value::Null).unwrap_err().row.code,
            "invalid_id"
        );
    }

    #[test]
    fn ids_of_a_declared_type() {
        let uuid = Uuid::try_parse(UUID).unwrap();
        let day: velocitydb::Date = "2026-11-30".parse().unwrap();
        for (kind, text, id) in [
            (FieldType::String, "42", key("42")),
            (FieldType::String, "\"42\"", key("42")),
            (FieldType::String, UUID, key(UUID)),
            (FieldType::Int, "42", key(42)),
            (FieldType::Float, "1.5", key(1.5)),
            (
                FieldType::Decimal,
                "1.50",
                key("1.5".parse::<velocitydb::Decimal>().unwrap()),
            ),
            (FieldType::Bool, "true", key(true)),
            (FieldType::Uuid, UUID, key(uuid)),
            (FieldType::Date, "2026-11-30", key(day)),
            (FieldType::Json, "42", key(42)),
        ] {
            assert_eq!(
                from_path(&with_key(kind), text).unwrap(),
                id,
                "{kind} {text}"
            );
        }
        for kind in [
            FieldType::Int,
            FieldType::Uuid,
            FieldType::Bool,
            FieldType::Time,
        ] {
            assert_eq!(
                from_path(&with_key(kind), "x").unwrap_err().row.status,
                400,
                "{kind}"
            );
        }
        assert_eq!(
            from_body(&with_key(FieldType::Uuid), UUID.into()).unwrap(),
            key(uuid)
        );
        assert_eq!(
            from_body(&with_key(FieldType::String), UUID.into()).unwrap(),
            key(UUID)
        );
    }

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
            assert_eq!(from_path(&free, &text).unwrap(), id, "{location}");
            assert_eq!(from_path(&with_key(kind), &text).unwrap(), id, "{location}");
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
            assert_eq!(from_path(&free, &text).unwrap(), key(id), "{location}");
            assert_eq!(
                from_path(&with_key(FieldType::String), &text).unwrap(),
                key(id)
            );
        }
    }
}
