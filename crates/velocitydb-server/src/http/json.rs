//! Documents to JSON and back, with the metadata beside the fields.
//!
//! Out: `{"_id":…,"_version":…,"_index":…,"_created_at":…,"_updated_at":…,`, for a document
//! that expires `"_expires_at":…,`, and the fields, written straight from their encoded bytes. In: the fields are read straight into the encoded
//! form. A body with metadata (one that was read before, or that names its `_id`) takes the
//! longer way over values; all but `_id` is left out. Tests: below.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use velocitydb::query::Aggregated;
use velocitydb::types::{View, write_json};
use velocitydb::{Document, Input, Key, METADATA, Value, take_metadata};

use super::problem::Problem;

/// As many as an answer has, at most.
const HEADERS: usize = 8;

/// A response of JSON text.
pub(super) fn response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Appends a document.
pub(super) fn write_document(document: &Document, out: &mut Vec<u8>) {
    let meta = document.meta();
    let [id, version, index, created_at, updated_at, expires_at] = METADATA;
    out.push(b'{');
    write_name(id, out);
    write_json(&document.id().to_value(), out);
    for (name, number) in [(version, meta.version), (index, meta.index)] {
        out.push(b',');
        write_name(name, out);
        serde_json::to_writer(&mut *out, &number).expect("memory takes all bytes");
    }
    let expires = document.expires_at().map(|time| (expires_at, time));
    let times = [(created_at, meta.created_at), (updated_at, meta.updated_at)];
    for (name, time) in times.into_iter().chain(expires) {
        out.push(b',');
        write_name(name, out);
        write_json(View::Time(time), out);
    }
    let fields = document.fields();
    if fields.is_empty() {
        return out.push(b'}');
    }
    let brace = out.len();
    write_json(fields.as_value(), out);
    debug_assert_eq!(out[brace], b'{');
    out[brace] = b',';
}

/// Appends the name of a member.
fn write_name(name: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// A row that a query has made.
pub(super) fn row(row: Aggregated) -> String {
    Value::Map(row).to_json()
}

/// Appends a row that a query has made.
pub(super) fn write_row(found: Aggregated, out: &mut Vec<u8>) {
    out.extend_from_slice(row(found).as_bytes());
}

/// About how many bytes a document takes as JSON.
pub(super) fn bytes_about(document: &Document) -> usize {
    210 + document.fields().as_bytes().len() * 5 / 4
}

/// A document.
pub(super) fn document(document: &Document) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes_about(document));
    write_document(document, &mut out);
    out
}

/// All that can be said of a document whose fields are no longer known.
pub(super) fn metadata_only(id: &Key, version: u64) -> Vec<u8> {
    format!(
        "{{\"_id\":{},\"_version\":{version}}}",
        id.to_value().to_json()
    )
    .into_bytes()
}

/// Reads a document: its `_id`, if it has one, and its fields.
pub(super) fn read_document(text: &str) -> Result<(Option<Value>, Input<'static>), Problem> {
    if !text.contains("\"_") {
        return Ok((
            None,
            Input::json(text).map_err(|error| Problem::json(&error))?,
        ));
    }
    match read_value(text)? {
        Value::Map(mut map) => {
            let id = take_metadata(&mut map);
            Ok((id, Input::from(map)))
        }
        other => {
            let detail = format!("expected an object, got {}", other.type_name());
            Err(Problem::new("invalid_json", detail).place(1, 1))
        }
    }
}

/// Reads any JSON text.
pub(super) fn read_value(text: &str) -> Result<Value, Problem> {
    Value::from_json(text).map_err(|error| Problem::json(&error))
}

#[cfg(test)]
mod tests {
    use velocitydb::Database;

    use super::*;

    fn fields_of(text: &str) -> (Option<Value>, Value) {
        let (id, input) = read_document(text).unwrap();
        let map = match input {
            Input::Fields(fields) => fields.to_map(),
            Input::Map(map) => map.into_owned(),
        };
        (id, Value::Map(map))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let db = Database::in_memory().unwrap();
        let things = db
            .create_collection(velocitydb::Definition::new("things"))
            .unwrap()
            .value;
        for body in [
            r#"{}"#,
            r#"{"a":1}"#,
            r#"{"a":{"_b":[1,"{\"_c\":"]},"z":"ö\"\\"}"#,
        ] {
            let input = Input::json(body).unwrap();
            let document = things.upsert("x", input).unwrap().value.document.unwrap();
            let text = String::from_utf8(super::document(&document)).unwrap();
            let meta = document.meta();
            let head = format!(
                "{{\"_id\":\"x\",\"_version\":{},\"_index\":{},\"_created_at\":\"{}\",",
                meta.version, meta.index, meta.created_at
            );
            assert!(text.starts_with(&head), "{text}");
            let (id, fields) = fields_of(&text);
            assert_eq!(id, Some("x".into()));
            assert_eq!(fields, Value::from_json(body).unwrap());
        }
    }

    #[test]
    fn both_ways_of_reading_agree() {
        for body in [
            r#"{"a":[1,{"b":18446744073709551617}],"c":1.5}"#,
            r#"{"t":""}"#,
        ] {
            let with_id = body.replacen('{', "{\"_id\":7,\"_version\":3,", 1);
            assert_eq!(fields_of(&with_id), (Some(7.into()), fields_of(body).1));
        }
        for bad in [
            "[]",
            "[\"_\"]",
            "1",
            "",
            "{",
            "{\"_a\"",
            "{\"a\":1,\"a\":2,\"b\":\"_\"}",
        ] {
            assert_eq!(
                read_document(bad).unwrap_err().row.code,
                "invalid_json",
                "{bad}"
            );
        }
    }

    #[test]
    fn deep_and_escaped() {
        let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(200), close.repeat(200));
        for text in [
            deep("{\"a\":", "}"),
            format!("{{\"_id\":1,\"a\":{}}}", deep("[", "]")),
        ] {
            assert_eq!(read_document(&text).unwrap_err().row.code, "invalid_json");
        }
        // Spelled so that it is not seen as metadata: refused, not kept as a field.
        assert_eq!(
            read_document("{\"\\u005fid\":1}").unwrap_err().row.code,
            "invalid_json"
        );
    }
}
