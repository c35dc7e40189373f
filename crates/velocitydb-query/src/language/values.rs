//! Values in queries.
//!
//! JSON says itself what is null, true or false, a number, a string, an array or a map. Other types
//! are an object of one name, the same as in exports:
//!
//! | | | | |
//! | --- | --- | --- | --- |
//! | `{"$time":"2013-01-01T05:00:00Z"}` | `{"$date":"2013-01-01"}` | `{"$decimal":"1.5"}` | `{"$uuid":"…"}` |
//! | `{"$bytes":"AP8="}` (base64) | `{"$point":[-73.8,40.6]}` | `{"$float":"NaN"}` | `{"$map":{"$time":1}}` |
//! | `{"$interval":"P1DT2H"}` | | | |
//!
//! `$map` is for a map whose only name begins with `$`; `$string` and `$int` say what JSON says
//! itself.

use velocitydb_types::{FieldType, Point, Value};

use super::{Json, Place};
use crate::error::QueryError;

/// What an object of one such name stands for.
const TAGS: [(&str, Option<FieldType>); 11] = [
    ("$time", Some(FieldType::Time)),
    ("$date", Some(FieldType::Date)),
    ("$interval", Some(FieldType::Interval)),
    ("$decimal", Some(FieldType::Decimal)),
    ("$uuid", Some(FieldType::Uuid)),
    ("$bytes", Some(FieldType::Bytes)),
    ("$float", Some(FieldType::Float)),
    ("$string", Some(FieldType::String)),
    ("$int", Some(FieldType::Int)),
    ("$point", None),
    ("$map", None),
];

/// Whether an object is a value with its type.
pub(super) fn is_tagged(members: &[(String, Json)]) -> bool {
    matches!(members, [(name, _)] if TAGS.iter().any(|(tag, _)| tag == name))
}

/// Reads a value.
pub(super) fn read(json: &Json, place: &Place<'_>) -> Result<Value, QueryError> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(*bool),
        Json::Int(int) => Value::Int(*int),
        Json::Float(float) => Value::Float(*float),
        Json::String(string) => Value::String(string.clone()),
        Json::Array(elements) => {
            let elements = elements.iter().enumerate();
            let read = elements.map(|(at, element)| read(element, &place.index(at)));
            Value::Array(read.collect::<Result<_, _>>()?)
        }
        Json::Object(members) => match &members[..] {
            [(name, content)] if name.starts_with('$') => {
                return tagged(name, content, place);
            }
            members => map(members, place)?,
        },
    })
}

fn map(members: &[(String, Json)], place: &Place<'_>) -> Result<Value, QueryError> {
    let members = members.iter();
    let read = members.map(|(name, json)| Ok((name.clone(), read(json, &place.name(name))?)));
    Ok(Value::Map(read.collect::<Result<_, QueryError>>()?))
}

fn tagged(name: &str, content: &Json, place: &Place<'_>) -> Result<Value, QueryError> {
    let tag = TAGS.iter().find(|(tag, _)| *tag == name);
    let inside = place.name(name);
    match (name, tag) {
        ("$map", _) => map(inside.object(content)?, &inside),
        ("$point", _) => point(content).map(Value::Point).ok_or_else(|| {
            inside.error(format!("expected [longitude, latitude], found {content}"))
        }),
        (_, Some((_, Some(kind)))) => {
            let given = match content {
                Json::Array(_) | Json::Object(_) | Json::Null => None,
                scalar => Some(kind.coerce(read(scalar, &inside)?)),
            };
            given
                .filter(|value| value.type_name() == kind.name())
                .ok_or_else(|| {
                    inside.error(format!("expected {}, found {content}", kind.row().json))
                })
        }
        _ => Err(inside.unknown("type", name, TAGS.iter().map(|(tag, _)| *tag))),
    }
}

/// The point of `[longitude,latitude]`.
pub(super) fn point(json: &Json) -> Option<Point> {
    let degrees = |json: &Json| match json {
        Json::Int(int) => Some(*int as f64),
        Json::Float(float) => Some(*float),
        _ => None,
    };
    match json {
        Json::Array(elements) => match &elements[..] {
            [lon, lat] => Point::new(degrees(lon)?, degrees(lat)?).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Writes a value, so that [`read`] gives it back.
pub(super) fn write(value: &Value) -> Json {
    let text = |tag: &str, text: String| Json::object(tag, Json::String(text));
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => Json::Bool(*bool),
        Value::Int(int) => Json::Int(*int),
        Value::Float(float) if float.is_finite() => Json::Float(*float),
        Value::Float(_) => text("$float", value.to_json().replace('"', "")),
        Value::Decimal(decimal) => text("$decimal", decimal.to_string()),
        Value::String(string) => Json::String(string.clone()),
        Value::Date(date) => text("$date", date.to_string()),
        Value::Time(time) => text("$time", time.to_string()),
        Value::Interval(interval) => text("$interval", interval.iso().to_string()),
        Value::Uuid(uuid) => text("$uuid", uuid.to_string()),
        // Base64 has nothing to escape.
        Value::Bytes(_) => text("$bytes", value.to_json().replace('"', "")),
        Value::Point(point) => {
            let degrees = [point.lon(), point.lat()].map(Json::Float);
            Json::object("$point", Json::Array(degrees.into()))
        }
        Value::Array(elements) => Json::Array(elements.iter().map(write).collect()),
        Value::Map(map) => {
            let members = map.iter().map(|(name, value)| (name.clone(), write(value)));
            let object = Json::Object(members.collect());
            match map.len() == 1 && map.keys().all(|name| name.starts_with('$')) {
                true => Json::object("$map", object),
                false => object,
            }
        }
    }
}
