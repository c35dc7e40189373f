//! Values as JSON that keeps their types.
//!
//! What JSON has is written as JSON. Any other value is an object with one tag:
//!
//! | type | written as | | type | written as |
//! | --- | --- | --- | --- | --- |
//! | decimal | `{"$decimal":"1.5"}` | | time | `{"$time":"2013-01-01T05:00:00Z"}` |
//! | uuid | `{"$uuid":"0191e0a4-…"}` | | date | `{"$date":"2013-01-01"}` |
//! | bytes | `{"$bytes":"AP8="}` (base64) | | point | `{"$point":[-73.8,40.6]}` |
//! | interval | `{"$interval":"P1DT2H"}` | | | |
//! | NaN, ±∞ | `{"$float":"NaN"}` | | map that looks like a tag | `{"$map":{…}}` |
//!
//! The value of a declared field needs no tag where it is of the declared type: it is written as
//! the server shows it. One that is of another type, and would be taken for the declared one, has
//! a tag that says so: `{"$string":"…"}`, `{"$int":5}`, `{"$map":{…}}`.
//!
//! Invariant: what is written is read back as the same value. Tests: below, and the round trip in
//! `velocitydb-cli` (tests/it/export.rs).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use velocitydb_types::{DEPTH_MAX, FieldType, Point, RawValue, Value, ValueRef, write_json};

/// Levels that the tags and the line around a document add to its own.
const DEPTH_ADDED: usize = 4;

/// Appends a value that no schema declares.
pub(crate) fn write(value: RawValue<'_>, out: &mut Vec<u8>) {
    match value.get() {
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::Int(_) | ValueRef::Str(_) => {
            write_json(value, out);
        }
        ValueRef::Float(float) if float.is_finite() => write_json(value, out),
        ValueRef::Float(_) => tag("$float", out, |out| write_json(value, out)),
        ValueRef::Decimal(_) => tag("$decimal", out, |out| write_json(value, out)),
        ValueRef::Date(_) => tag("$date", out, |out| write_json(value, out)),
        ValueRef::Time(_) => tag("$time", out, |out| write_json(value, out)),
        ValueRef::Interval(_) => tag("$interval", out, |out| write_json(value, out)),
        ValueRef::Uuid(_) => tag("$uuid", out, |out| write_json(value, out)),
        ValueRef::Bytes(_) => tag("$bytes", out, |out| write_json(value, out)),
        ValueRef::Point(point) => tag("$point", out, |out| {
            write_value(
                &Value::Array(vec![point.lon().into(), point.lat().into()]),
                out,
            );
        }),
        ValueRef::Array(array) => {
            out.push(b'[');
            for (at, element) in array.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(element, out);
            }
            out.push(b']');
        }
        ValueRef::Map(map) => {
            let looks_like_a_tag = map.len() == 1 && map.iter().any(|(name, _)| is_tag(name));
            match looks_like_a_tag {
                true => tag("$map", out, |out| write_map(value, out)),
                false => write_map(value, out),
            }
        }
    }
}

/// Appends the value of a field of this declared type.
pub(crate) fn write_declared(value: RawValue<'_>, declared: FieldType, out: &mut Vec<u8>) {
    let says_it_itself = matches!(
        declared,
        FieldType::Json | FieldType::Array | FieldType::Map
    );
    if says_it_itself {
        return write(value, out);
    }
    match value.get() {
        ValueRef::Null => write_json(value, out),
        _ if declared.accepts(value) => write_json(value, out),
        ValueRef::Str(_) => tag("$string", out, |out| write_json(value, out)),
        ValueRef::Int(_) => tag("$int", out, |out| write_json(value, out)),
        ValueRef::Map(_) => tag("$map", out, |out| write_map(value, out)),
        _ => write(value, out),
    }
}

/// Appends a value that is not encoded.
pub(crate) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match velocitydb_types::encode_value(value) {
        Ok(bytes) => write(RawValue::trusted(&bytes), out),
        // Only what nests too deep: no document holds it.
        Err(_) => out.extend_from_slice(b"null"),
    }
}

fn tag(name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write(out);
    out.push(b'}');
}

fn write_map(value: RawValue<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, value)) in value.as_map().iter().flat_map(|map| map.iter()).enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_name(name, out);
        write(value, out);
    }
    out.push(b'}');
}

/// Appends a name and its colon.
pub(crate) fn write_name(name: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, name).expect("memory takes all bytes");
    out.push(b':');
}

fn is_tag(name: &str) -> bool {
    name.starts_with('$')
}

/// Reads JSON text as it stands, tags and all.
///
/// # Errors
/// What is wrong with the text, and in which column.
pub(crate) fn read_tree(text: &str) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    deserializer.disable_recursion_limit(); // `Tree` has its own
    Tree { depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| error.to_string().replacen(" at line 1", " at", 1))
}

/// The value that a tree with tags stands for.
///
/// # Errors
/// A tag that is not known, or whose content is not of its type.
pub(crate) fn untag(tree: Value) -> Result<Value, String> {
    match tree {
        Value::Array(elements) => {
            let elements: Result<_, _> = elements.into_iter().map(untag).collect();
            elements.map(Value::Array)
        }
        Value::Map(map) if map.len() == 1 => match map.into_iter().next() {
            Some((name, content)) if is_tag(&name) => untag_one(&name, content),
            only => untag_map(only),
        },
        Value::Map(map) => untag_map(map),
        scalar => Ok(scalar),
    }
}

/// The value of a field of this declared type.
///
/// # Errors
/// As [`untag`].
pub(crate) fn untag_declared(tree: Value, declared: FieldType) -> Result<Value, String> {
    let tagged = match &tree {
        Value::Map(map) => map.len() == 1 && map.keys().all(|name| is_tag(name)),
        _ => false,
    };
    match tagged {
        true => untag(tree),
        false
            if matches!(
                declared,
                FieldType::Json | FieldType::Array | FieldType::Map
            ) =>
        {
            untag(tree)
        }
        false => match tree {
            Value::Array(_) => untag(tree),
            tree => Ok(declared.coerce(tree)),
        },
    }
}

fn untag_map(map: impl IntoIterator<Item = (String, Value)>) -> Result<Value, String> {
    let entries = map.into_iter();
    let entries: Result<_, _> = entries
        .map(|(name, value)| Ok::<_, String>((name, untag(value)?)))
        .collect();
    entries.map(Value::Map)
}

fn untag_one(name: &str, content: Value) -> Result<Value, String> {
    let kind = match name {
        "$map" => {
            return match content {
                Value::Map(map) => untag_map(map),
                other => Err(format!("$map holds {}", other.type_name())),
            };
        }
        "$point" => {
            let degrees = |value: &Value| match value {
                Value::Int(int) => Some(*int as f64),
                Value::Float(float) => Some(*float),
                _ => None,
            };
            let point = match &content {
                Value::Array(array) => match array.as_slice() {
                    [lon, lat] => degrees(lon).zip(degrees(lat)),
                    _ => None,
                },
                _ => None,
            };
            let point = point.and_then(|(lon, lat)| Point::new(lon, lat).ok());
            let point = point.map(Value::Point);
            return point.ok_or_else(|| format!("$point holds {}", content.to_json()));
        }
        "$decimal" => FieldType::Decimal,
        "$date" => FieldType::Date,
        "$time" => FieldType::Time,
        "$interval" => FieldType::Interval,
        "$uuid" => FieldType::Uuid,
        "$bytes" => FieldType::Bytes,
        "$float" => FieldType::Float,
        "$string" => FieldType::String,
        "$int" => FieldType::Int,
        _ => return Err(format!("{name} is no tag of this format")),
    };
    let value = kind.coerce(content);
    match value.type_name() == kind.name() {
        true => Ok(value),
        false => Err(format!("{name} holds {}", value.to_json())),
    }
}

/// Reads any JSON as a value, tags as the maps they are written as.
#[derive(Clone, Copy)]
struct Tree {
    depth: usize,
}

impl Tree {
    fn deeper<E: serde::de::Error>(self) -> Result<Tree, E> {
        let depth = self.depth + 1;
        match depth > DEPTH_MAX + DEPTH_ADDED {
            true => Err(E::custom("nested too deep")),
            false => Ok(Tree { depth }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(Value::Int(int))
    }

    fn visit_u64<E: serde::de::Error>(self, int: u64) -> Result<Value, E> {
        let int = i64::try_from(int);
        int.map(Value::Int)
            .map_err(|_| E::custom("an integer beyond 64 bits: write it as $decimal"))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E>(self, string: &str) -> Result<Value, E> {
        Ok(Value::String(string.to_owned()))
    }

    fn visit_string<E>(self, string: String) -> Result<Value, E> {
        Ok(Value::String(string))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element_seed(inner)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = BTreeMap::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(inner)?;
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "field {name:?} appears twice"
                )));
            }
            map.insert(name, value);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use velocitydb_types::{FIELD_TYPES, encode_value};

    use super::*;

    fn value(json: &str) -> Value {
        untag(read_tree(json).unwrap()).unwrap()
    }

    fn written(value: &Value) -> String {
        let mut out = Vec::new();
        write_value(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    const FORMS: [&str; 21] = [
        "null",
        "true",
        "-9223372036854775808",
        "1.0",
        "-0.0",
        "5e-324",
        r#"{"$float":"NaN"}"#,
        r#"{"$float":"-Infinity"}"#,
        r#"{"$decimal":"18446744073709551617"}"#,
        r#""2013-01-01""#,
        r#"{"$date":"2013-01-01"}"#,
        r#"{"$time":"2013-01-01T05:00:00.000001Z"}"#,
        r#"{"$interval":"P-1Y-2M3DT4H5M6.5S"}"#,
        r#""P1D""#,
        r#"{"$uuid":"0191e0a4-7b7c-7000-8000-000000000001"}"#,
        r#"{"$bytes":"AP8="}"#,
        r#"{"$point":[-73.75,40.5]}"#,
        r#"[{"$map":{"$time":"x"}},{"$a":1,"$b":2},{"a":{"$date":"2013-01-01"}}]"#,
        r#"{"$map":{"$map":{"$map":{"$":1}}}}"#,
        r#"{"type":"Point","coordinates":[1,2]}"#,
        r#"{}"#,
    ];

    #[test]
    fn every_form_is_read_and_written_back() {
        for form in FORMS {
            let form = form.to_owned();
            let read = value(&form);
            // Maps are written in the order of their names.
            assert_eq!(value(&written(&read)), read, "{form}");
            if !form.contains("type") {
                assert_eq!(written(&read), form);
            }
        }
        let map = Value::Map([("$time".to_owned(), Value::from("x"))].into());
        assert_eq!(written(&map), r#"{"$map":{"$time":"x"}}"#);
    }

    #[test]
    fn values_of_declared_fields_come_back_whatever_their_type() {
        for form in FORMS {
            let original = value(form);
            for row in FIELD_TYPES {
                let bytes = encode_value(&original).unwrap();
                let mut out = Vec::new();
                write_declared(RawValue::trusted(&bytes), row.kind, &mut out);
                let text = String::from_utf8(out).unwrap();
                let read = untag_declared(read_tree(&text).unwrap(), row.kind).unwrap();
                assert_eq!(
                    format!("{read:?}"),
                    format!("{original:?}"),
                    "{text} as {}",
                    row.name
                );
            }
        }
        let time = value(r#"{"$time":"2013-01-01T05:00:00Z"}"#);
        let bytes = encode_value(&time).unwrap();
        let mut out = Vec::new();
        write_declared(RawValue::trusted(&bytes), FieldType::Time, &mut out);
        assert_eq!(out, br#""2013-01-01T05:00:00Z""#);
    }

    #[test]
    fn what_is_no_tag_is_named() {
        for (text, says) in [
            (r#"{"$tme":"2013"}"#, "$tme is no tag"),
            (r#"{"$time":"2013"}"#, "$time holds \"2013\""),
            (r#"{"$int":1.5}"#, "$int holds 1.5"),
            (r#"{"$point":[1]}"#, "$point holds [1]"),
            (r#"{"$map":1}"#, "$map holds int"),
        ] {
            let error = untag(read_tree(text).unwrap()).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
        for (text, says) in [
            ("{\"a\":1,\"a\":2}", "appears twice"),
            ("9223372036854775808", "$decimal"),
            ("{} {}", "trailing characters"),
            (&"[".repeat(100_000), "nested too deep"),
        ] {
            let error = read_tree(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_deepest_document_comes_back() {
        let mut deep = Value::Date(velocitydb_types::Date(1));
        for _ in 0..DEPTH_MAX - 1 {
            deep = Value::Array(vec![deep]);
        }
        let mut text = written(&deep);
        assert_eq!(value(&text), deep);
        text = format!("{{\"a\":{text}}}");
        assert!(read_tree(&text).is_ok());
    }
}
