//! Ids as people and JSON write them, by what a collection's primary key declares.
//!
//! Where the id is a declared field, text and JSON become that field's type: `42` is the string
//! `"42"` in a collection whose key is a string. Elsewhere the rule is that of [`Key::parse`]:
//! integer text is an integer, a hyphenated UUID is one, `date:2013-01-01` is a date, the rest is a
//! string; `"42"` in quotes is the string. In JSON, `"_id": "42"` is a string, as JSON has said so.
//! Where the primary key has several fields, this holds for each: `composite:a,42`, and
//! `"_id": ["a", 42]`.
//!
//! One place for all doors. Tests: below.

use velocitydb_engine::catalog::Definition;
use velocitydb_types::{FieldType, Key, Uuid, Value};

/// Why a text or a value is not the id of a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(String);

impl IdError {
    fn new(text: &str, what: impl std::fmt::Display) -> IdError {
        IdError(format!("the id {text:?}: {what}"))
    }
}

/// The declared types of the id: of each of its values, where it is one of several.
enum Declared {
    One(Option<FieldType>),
    Several(Vec<Option<FieldType>>),
}

fn declared(definition: &Definition) -> Declared {
    let kind = |name: &str| definition.schema.field(name).map(|field| field.kind);
    match &definition.primary_key {
        None => Declared::One(None),
        Some(key) => match key.only() {
            Some(name) => Declared::One(kind(name)),
            None => Declared::Several(key.fields().iter().map(|name| kind(name)).collect()),
        },
    }
}

/// What an id has to look like whose values are of these types.
fn expected(definition: &Definition, text: &str, kinds: &[Option<FieldType>]) -> IdError {
    let fields = definition.primary_key.iter().map(ToString::to_string);
    let fields: String = fields.collect();
    let count = kinds.len();
    IdError::new(
        text,
        format!(
            "the primary key is ({fields}): expected {count} values, such as composite:a,1 in text \
             and [\"a\",1] in JSON"
        ),
    )
}

/// The id that a text stands for.
///
/// # Errors
/// It is none, or not one of the declared type.
pub fn id_of_text(definition: &Definition, text: &str) -> Result<Key, IdError> {
    let kinds = match declared(definition) {
        Declared::One(kind) => {
            let value = value_of_text(kind, text)?;
            return Key::from_shown(&value).map_err(|error| IdError::new(text, error));
        }
        Declared::Several(kinds) => kinds,
    };
    let key = Key::parse(text).map_err(|error| IdError::new(text, error))?;
    let values = key.decode().unwrap_or_default();
    if values.len() != kinds.len() {
        return Err(expected(definition, text, &kinds));
    }
    // Each as if its text stood alone.
    let each = values.iter().zip(kinds).map(|(value, kind)| {
        let alone = Key::from_value(value).map_err(|error| IdError::new(text, error))?;
        value_of_text(kind, &alone.to_string())
    });
    let values = each.collect::<Result<Vec<_>, IdError>>()?;
    Key::from_values(&values).map_err(|error| IdError::new(text, error))
}

/// The value of this type that a text stands for.
fn value_of_text(kind: Option<FieldType>, text: &str) -> Result<Value, IdError> {
    let parse = || {
        let key = Key::parse(text).map_err(|error| IdError::new(text, error))?;
        Ok(key.to_value())
    };
    let Some(kind) = kind else {
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
        | FieldType::Interval
        | FieldType::Uuid
        | FieldType::Bytes => {
            Some(kind.coerce(Value::from(text))).filter(|value| !matches!(value, Value::String(_)))
        }
    };
    // What is not written as the type may be the text of a key: `date:2013-01-01`.
    let value = value.or_else(|| {
        let value = Key::parse(text).ok()?.to_value();
        (!matches!(value, Value::String(_) | Value::Int(_) | Value::Uuid(_))).then_some(value)
    });
    let expected = || IdError::new(text, format!("the primary key is of type {kind}"));
    value.ok_or_else(expected)
}

/// The id that the `_id` of a document in JSON stands for.
///
/// # Errors
/// It is none.
pub fn id_of_value(definition: &Definition, value: Value) -> Result<Key, IdError> {
    let (key, shown) = match (declared(definition), value) {
        (Declared::One(kind), value) => {
            let value = typed(kind, value);
            (Key::from_value(&value), value.to_json())
        }
        (Declared::Several(kinds), Value::Array(values)) if values.len() == kinds.len() => {
            let each = values.into_iter().zip(kinds);
            let values: Vec<_> = each.map(|(value, kind)| typed(kind, value)).collect();
            (Key::from_values(&values), Value::Array(values).to_json())
        }
        (Declared::Several(kinds), value) => {
            return Err(expected(definition, &value.to_json(), &kinds));
        }
    };
    key.map_err(|error| IdError::new(&shown, error))
}

/// Refuses the `_id` of a document that is not the id under which it is written. What a document
/// shows as its `_id` names it, also where JSON does not have the type.
///
/// # Errors
/// It is another one, or none.
pub fn id_must_be(definition: &Definition, named: Value, key: &Key) -> Result<(), IdError> {
    let shown = named.to_json();
    if shown == key.to_value().to_json() || id_of_value(definition, named)? == *key {
        return Ok(());
    }
    Err(IdError(format!(
        "\"_id\" is {shown} but the path names {key}"
    )))
}

/// The value as a field of the primary key would have it.
fn typed(kind: Option<FieldType>, value: Value) -> Value {
    match (kind, value) {
        (Some(kind), value) => kind.coerce(value),
        (None, Value::String(text)) if text.len() == 36 => {
            Uuid::try_parse(&text).map_or(Value::String(text), Value::Uuid)
        }
        (None, value) => value,
    }
}

#[cfg(test)]
mod tests {
    use velocitydb_types::{Field, Openness, Schema};

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
        assert_eq!(id_of_text(&free, "42").unwrap(), key(42));
        assert_eq!(id_of_text(&free, "\"42\"").unwrap(), key("42"));
        assert_eq!(id_of_text(&free, UUID).unwrap(), key(uuid));
        assert_eq!(id_of_value(&free, UUID.into()).unwrap(), key(uuid));
        assert_eq!(id_of_value(&free, "42".into()).unwrap(), key("42"));
        assert_eq!(id_of_value(&free, 42.into()).unwrap(), key(42));
        assert!(id_of_text(&free, "\"a").is_err());
        assert!(id_of_value(&free, Value::Null).is_err());
    }

    #[test]
    fn ids_of_a_declared_type() {
        let uuid = Uuid::try_parse(UUID).unwrap();
        let day: velocitydb_types::Date = "2026-11-30".parse().unwrap();
        let month = velocitydb_types::Interval::new(1, 0, 0);
        let decimal: velocitydb_types::Decimal = "1.5".parse().unwrap();
        for (kind, text, id) in [
            (FieldType::String, "42", key("42")),
            (FieldType::String, "\"42\"", key("42")),
            (FieldType::String, UUID, key(UUID)),
            (FieldType::Int, "42", key(42)),
            (FieldType::Float, "1.5", key(1.5)),
            (FieldType::Decimal, "1.50", key(decimal)),
            (FieldType::Bool, "true", key(true)),
            (FieldType::Uuid, UUID, key(uuid)),
            (FieldType::Date, "2026-11-30", key(day)),
            (FieldType::Interval, "P30D", key(month)),
            (FieldType::Json, "42", key(42)),
        ] {
            let found = id_of_text(&with_key(kind), text).unwrap();
            assert_eq!(found, id, "{kind} {text}");
        }
        for kind in [
            FieldType::Int,
            FieldType::Uuid,
            FieldType::Bool,
            FieldType::Time,
        ] {
            let error = id_of_text(&with_key(kind), "x").unwrap_err().to_string();
            let expected = format!("the id \"x\": the primary key is of type {kind}");
            assert_eq!(error, expected);
        }
        let of_uuid = with_key(FieldType::Uuid);
        assert_eq!(id_of_value(&of_uuid, UUID.into()).unwrap(), key(uuid));
        let of_string = with_key(FieldType::String);
        assert_eq!(id_of_value(&of_string, UUID.into()).unwrap(), key(UUID));
    }

    #[test]
    fn ids_of_several_fields() {
        let fields = vec![
            Field::new("flight", FieldType::String),
            Field::new("day", FieldType::Date),
        ];
        let schema = Schema::new(Openness::Open, fields).unwrap();
        let definition = Definition::new("c").schema(schema);
        let definition = definition.primary_key(["flight", "day", "seat"]);
        let day: velocitydb_types::Date = "2026-11-30".parse().unwrap();
        let id = Key::from_values(&["42".into(), day.into(), 7.into()]).unwrap();
        let in_json = Value::Array(vec!["42".into(), "2026-11-30".into(), 7.into()]);
        assert_eq!(id_of_value(&definition, in_json.clone()).unwrap(), id);
        assert_eq!(id_must_be(&definition, in_json, &id), Ok(()));
        for text in [&id.to_string(), "composite:42,2026-11-30,7"] {
            assert_eq!(id_of_text(&definition, text).unwrap(), id, "{text}");
        }
        for error in [
            id_of_text(&definition, "42").unwrap_err(),
            id_of_text(&definition, "composite:42,2026-11-30").unwrap_err(),
            id_of_value(&definition, "42".into()).unwrap_err(),
            id_of_value(&definition, Value::Array(vec![42.into()])).unwrap_err(),
        ] {
            let what = "the primary key is (flight, day, seat): expected 3 values";
            assert!(error.to_string().contains(what), "{error}");
        }
        let wrong = id_of_text(&definition, "composite:42,soon,7").unwrap_err();
        let what = "the id \"soon\": the primary key is of type date";
        assert_eq!(wrong.to_string(), what);
    }

    #[test]
    fn a_document_names_its_own_id() {
        let of_date = with_key(FieldType::Date);
        let day = key("2026-11-30".parse::<velocitydb_types::Date>().unwrap());
        assert_eq!(id_must_be(&of_date, "2026-11-30".into(), &day), Ok(()));
        let other = id_must_be(&of_date, "2026-12-01".into(), &day).unwrap_err();
        assert_eq!(
            other.to_string(),
            "\"_id\" is \"2026-12-01\" but the path names date:2026-11-30"
        );
    }
}
