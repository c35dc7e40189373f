//! Changes to single fields of an encoded document.
//!
//! [`apply`] decodes only the fields of the document that operations touch; all others are
//! copied as bytes. Operations are applied in order, all or none. Where a path goes:
//!
//! - through absent values, `Set`, `Add`, `Push` and `Merge` create maps;
//! - through arrays by position; at the end of an array they append;
//! - through anything else (null too) they fail, and `Unset` does nothing.
//!
//! Only `Merge`, which is RFC 7396, replaces what is in its way; [`merge_patch`] turns a patch
//! into operations. Invariant: what comes out is a valid document, or an error.
//!
//! Does not know schemas (`schema` resolves and checks) nor metadata. Tests: below.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encoding::{EncodeError, Encoder, Kind, check_field_name};
use crate::error::ErrorClass;
use crate::number::{NumberError, add_numbers};
use crate::raw::{RawMap, RawValue};
use crate::{DOCUMENT_BYTES_MAX, Fields, Path, Value};

/// One change to a document's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldOperation {
    /// Puts a value in place of what is there, or where nothing is.
    Set {
        /// Where.
        path: Path,
        /// The value.
        value: Value,
    },
    /// Removes a value; what follows it in an array moves up.
    Unset {
        /// Where.
        path: Path,
    },
    /// Adds to a number; absent and null count as 0.
    Add {
        /// Where.
        path: Path,
        /// How much: a number.
        by: Value,
    },
    /// Appends to an array; absent and null count as an empty one.
    Push {
        /// Where.
        path: Path,
        /// The value.
        value: Value,
    },
    /// Merges a patch as RFC 7396 does: maps into maps name by name, null removes, anything else
    /// replaces.
    Merge {
        /// Where.
        path: Path,
        /// The patch.
        patch: Value,
    },
}

/// Why operations cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The result is no document: a name, its depth or its size.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The path leads through something that is no map and no array.
    #[error("{path}: cannot go through {found}")]
    NotAContainer {
        /// The path of the operation.
        path: Path,
        /// The type in the way.
        found: &'static str,
    },
    /// The path leads into an array by a name, or beyond its end.
    #[error("{path}: an array of {len} has no place {segment:?}")]
    NoSuchPosition {
        /// The path of the operation.
        path: Path,
        /// The segment that is no position.
        segment: String,
        /// Elements of the array.
        len: usize,
    },
    /// The sum does not exist.
    #[error("{path}: {source}")]
    Add {
        /// The path of the operation.
        path: Path,
        /// Why not.
        source: NumberError,
    },
    /// What should be pushed to is no array.
    #[error("{path}: expected an array, found {found}")]
    NotAnArray {
        /// The path of the operation.
        path: Path,
        /// The type there.
        found: &'static str,
    },
    /// A merge patch for a document must be a map.
    #[error("a merge patch is a map, not {found}")]
    NotAPatch {
        /// The type given.
        found: &'static str,
    },
}

impl UpdateError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Encode(error) => error.class(),
            Self::Add { source, .. } => source.class(),
            Self::NotAContainer { .. }
            | Self::NoSuchPosition { .. }
            | Self::NotAnArray { .. }
            | Self::NotAPatch { .. } => ErrorClass::Invalid,
        }
    }
}

impl FieldOperation {
    /// Where the operation applies.
    pub fn path(&self) -> &Path {
        match self {
            Self::Set { path, .. }
            | Self::Unset { path }
            | Self::Add { path, .. }
            | Self::Push { path, .. }
            | Self::Merge { path, .. } => path,
        }
    }
}

/// The operations of an RFC 7396 patch to a document, one for each of its fields.
///
/// # Errors
/// When the patch is not a map (as a whole it would replace the document by a non-document).
pub fn merge_patch(patch: &Value) -> Result<Vec<FieldOperation>, UpdateError> {
    let Value::Map(fields) = patch else {
        return Err(UpdateError::NotAPatch {
            found: patch.type_name(),
        });
    };
    let operation = |(name, value): (&String, &Value)| {
        let (path, value) = (Path::field(name), value.clone());
        match value {
            Value::Null => FieldOperation::Unset { path },
            Value::Map(_) => FieldOperation::Merge { path, patch: value },
            _ => FieldOperation::Set { path, value },
        }
    };
    Ok(fields.iter().map(operation).collect())
}

/// Applies operations in order to a document of up to [`DOCUMENT_BYTES_MAX`].
///
/// # Errors
/// The first operation that cannot be applied, or a result that is no document.
pub fn apply(map: RawMap<'_>, operations: &[FieldOperation]) -> Result<Fields, UpdateError> {
    apply_with_limit(map, operations, DOCUMENT_BYTES_MAX)
}

/// Applies operations in order to a document of up to a number of bytes.
///
/// # Errors
/// The first operation that cannot be applied, or a result that is no document.
pub fn apply_with_limit(
    map: RawMap<'_>,
    operations: &[FieldOperation],
    bytes_max: usize,
) -> Result<Fields, UpdateError> {
    let mut touched: BTreeMap<&str, Option<Value>> = BTreeMap::new();
    for operation in operations {
        let path = operation.path();
        let field = path.first();
        check_field_name(field)?;
        let current = match (touched.remove(field), operation) {
            (Some(current), _) => current,
            // What is replaced need not be decoded.
            (None, FieldOperation::Set { path, .. }) if path.rest().is_empty() => None,
            (None, _) => map.get(field).map(RawValue::to_value),
        };
        touched.insert(field, change(current, path.rest(), operation)?);
    }
    Ok(rewrite(map, touched, bytes_max)?)
}

/// A document with some of its fields exchanged, added or (where `None`) removed.
pub(crate) fn rewrite(
    map: RawMap<'_>,
    touched: BTreeMap<&str, Option<Value>>,
    bytes_max: usize,
) -> Result<Fields, EncodeError> {
    let mut encoder = Encoder::new(bytes_max);
    let mut frame = encoder.open(0)?;
    let mut next = 0;
    for (name, value) in touched {
        let (end, behind) = match map.search(name.as_bytes()) {
            Ok(at) => (at, at + 1),
            Err(at) => (at, at),
        };
        // Between two fields that are touched all stay as they are.
        encoder.entries_of(&mut frame, map, next..end)?;
        next = behind;
        if let Some(value) = value {
            encoder.name(&mut frame, name)?;
            encoder.value(&value, 1)?;
            encoder.end_entry(&frame)?;
        }
    }
    encoder.entries_of(&mut frame, map, next..map.len())?;
    encoder.close(frame, Kind::Map)?;
    Ok(Fields::from_encoder(&encoder))
}

/// What becomes of a value (absent as `None`) when an operation goes on within it.
fn change(
    current: Option<Value>,
    rest: &[String],
    operation: &FieldOperation,
) -> Result<Option<Value>, UpdateError> {
    let Some((segment, rest)) = rest.split_first() else {
        return change_here(current, operation);
    };
    match current {
        Some(Value::Map(mut map)) => {
            let changed = change(map.remove(segment), rest, operation)?;
            map.extend(changed.map(|value| (segment.clone(), value)));
            Ok(Some(Value::Map(map)))
        }
        Some(Value::Array(elements)) => {
            change_element(elements, segment, rest, operation).map(Some)
        }
        kept if matches!(operation, FieldOperation::Unset { .. }) => Ok(kept),
        Some(other) if !matches!(operation, FieldOperation::Merge { .. }) => {
            let (path, found) = (operation.path().clone(), other.type_name());
            Err(UpdateError::NotAContainer { path, found })
        }
        _ => {
            let created = change(None, rest, operation)?;
            let entries = created.map(|value| (segment.clone(), value));
            Ok(Some(Value::Map(entries.into_iter().collect())))
        }
    }
}

/// An array after an operation that goes on within one element, or just after the last.
fn change_element(
    mut elements: Vec<Value>,
    segment: &str,
    rest: &[String],
    operation: &FieldOperation,
) -> Result<Value, UpdateError> {
    let position = Path::position(segment);
    let unset = matches!(operation, FieldOperation::Unset { .. });
    match position {
        Some(position) if position < elements.len() => {
            let element = std::mem::take(&mut elements[position]);
            match change(Some(element), rest, operation)? {
                Some(changed) => elements[position] = changed,
                None => {
                    elements.remove(position);
                }
            }
        }
        _ if unset => {}
        Some(position) if position == elements.len() => {
            elements.extend(change(None, rest, operation)?);
        }
        _ => {
            let (path, segment) = (operation.path().clone(), segment.to_owned());
            return Err(UpdateError::NoSuchPosition {
                path,
                segment,
                len: elements.len(),
            });
        }
    }
    Ok(Value::Array(elements))
}

/// What becomes of the value at the end of an operation's path.
fn change_here(
    current: Option<Value>,
    operation: &FieldOperation,
) -> Result<Option<Value>, UpdateError> {
    Ok(match operation {
        FieldOperation::Set { value, .. } => Some(value.clone()),
        FieldOperation::Unset { .. } => None,
        FieldOperation::Add { path, by } => {
            let current = current
                .filter(|value| !value.is_null())
                .unwrap_or(Value::Int(0));
            let sum = add_numbers(&current, by);
            Some(sum.map_err(|source| UpdateError::Add {
                path: path.clone(),
                source,
            })?)
        }
        FieldOperation::Push { path, value } => {
            let mut elements = match current {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(elements)) => elements,
                Some(other) => {
                    let (path, found) = (path.clone(), other.type_name());
                    return Err(UpdateError::NotAnArray { path, found });
                }
            };
            elements.push(value.clone());
            Some(Value::Array(elements))
        }
        FieldOperation::Merge {
            patch: Value::Null, ..
        } => None,
        FieldOperation::Merge { patch, .. } => Some(merge(current, patch)),
    })
}

/// RFC 7396's `MergePatch`.
fn merge(current: Option<Value>, patch: &Value) -> Value {
    let Value::Map(patches) = patch else {
        return patch.clone();
    };
    let mut map = match current {
        Some(Value::Map(map)) => map,
        _ => BTreeMap::new(),
    };
    for (name, patch) in patches {
        let current = map.remove(name);
        if !patch.is_null() {
            map.insert(name.clone(), merge(current, patch));
        }
    }
    Value::Map(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &str, json: &str) -> FieldOperation {
        FieldOperation::Set {
            path: path.parse().unwrap(),
            value: Value::from_json(json).unwrap(),
        }
    }

    fn unset(path: &str) -> FieldOperation {
        FieldOperation::Unset {
            path: path.parse().unwrap(),
        }
    }

    fn add(path: &str, by: impl Into<Value>) -> FieldOperation {
        FieldOperation::Add {
            path: path.parse().unwrap(),
            by: by.into(),
        }
    }

    fn push(path: &str, json: &str) -> FieldOperation {
        FieldOperation::Push {
            path: path.parse().unwrap(),
            value: Value::from_json(json).unwrap(),
        }
    }

    #[track_caller]
    fn check(before: &str, operations: &[FieldOperation], after: &str) {
        let fields = Fields::from_json(before).unwrap();
        let changed = apply(fields.as_raw(), operations).unwrap();
        assert_eq!(changed.as_raw().to_json(), after);
        assert_eq!(Fields::from_bytes(changed.as_bytes()), Ok(changed));
    }

    #[track_caller]
    fn refused(before: &str, operation: FieldOperation, message: &str) {
        let fields = Fields::from_json(before).unwrap();
        let error = apply(fields.as_raw(), &[operation]).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn set_and_unset() {
        check(r#"{"b":1}"#, &[], r#"{"b":1}"#);
        check(
            r#"{"b":1,"d":2}"#,
            &[
                set("a", "0"),
                set("b", "[]"),
                set("c", "1.5"),
                set("e", "null"),
                unset("d"),
            ],
            r#"{"a":0,"b":[],"c":1.5,"e":null}"#,
        );
        check("{}", &[set("a.b.c", "1")], r#"{"a":{"b":{"c":1}}}"#);
        check(
            r#"{"a":{"b":1}}"#,
            &[set("a.c", "2"), unset("a.b")],
            r#"{"a":{"c":2}}"#,
        );
        check(
            r#"{"a":[1,2]}"#,
            &[set("a.0", "7"), set("a.2", "3")],
            r#"{"a":[7,2,3]}"#,
        );
        check(
            r#"{"a":[1,2,3]}"#,
            &[unset("a.1"), unset("a.9"), unset("a.x")],
            r#"{"a":[1,3]}"#,
        );
        check(
            r#"{"a":1}"#,
            &[unset("b"), unset("a.b"), unset("b.c")],
            r#"{"a":1}"#,
        );
        check(
            r#"{"a":1}"#,
            &[unset("a"), set("a.b", "2")],
            r#"{"a":{"b":2}}"#,
        );
        refused(r#"{"a":1}"#, set("a.b", "2"), "a.b: cannot go through int");
        refused(
            r#"{"a":null}"#,
            set("a.b", "2"),
            "a.b: cannot go through null",
        );
        refused(
            r#"{"a":[1]}"#,
            set("a.2", "2"),
            "a.2: an array of 1 has no place \"2\"",
        );
        refused(
            r#"{"a":[1]}"#,
            set("a.b", "2"),
            "a.b: an array of 1 has no place \"b\"",
        );
        let reserved = "field name \"_id\" is reserved: a leading _ is metadata";
        refused("{}", set("_id", "2"), reserved);
        refused("{}", unset("_id"), reserved);
        check("{}", &[set("a._id", "2")], r#"{"a":{"_id":2}}"#);
    }

    #[test]
    fn add_and_push() {
        check(
            r#"{"n":1}"#,
            &[add("n", 2), add("m", -1)],
            r#"{"m":-1,"n":3}"#,
        );
        check(
            r#"{"n":null}"#,
            &[add("n", 0.5), add("n", 1)],
            r#"{"n":1.5}"#,
        );
        check("{}", &[add("a.b", 1), add("a.b", 1)], r#"{"a":{"b":2}}"#);
        let tenth: crate::Decimal = "0.1".parse().unwrap();
        check(r#"{"n":1}"#, &[add("n", tenth)], r#"{"n":"1.1"}"#);
        check(
            r#"{"a":[1]}"#,
            &[push("a", "2"), push("b", "{}")],
            r#"{"a":[1,2],"b":[{}]}"#,
        );
        check(
            r#"{"a":[[1]]}"#,
            &[push("a.0", "2"), push("a.1", "3")],
            r#"{"a":[[1,2],[3]]}"#,
        );
        refused(
            r#"{"n":9223372036854775807}"#,
            add("n", 1),
            "n: integer overflow",
        );
        refused(
            r#"{"n":"x"}"#,
            add("n", 1),
            "n: expected a number, found string",
        );
        refused("{}", add("n", "x"), "n: expected a number, found string");
        refused(
            r#"{"a":1}"#,
            push("a", "1"),
            "a: expected an array, found int",
        );
    }

    #[test]
    fn the_examples_of_rfc_7396() {
        for (original, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"a":5}"#, r#"{"a":{"b":null}}"#, r#"{"a":{}}"#),
        ] {
            check(
                original,
                &merge_patch(&Value::from_json(patch).unwrap()).unwrap(),
                result,
            );
        }
        let error = merge_patch(&Value::from_json("[1]").unwrap()).unwrap_err();
        assert_eq!(error, UpdateError::NotAPatch { found: "array" });
        let merge = |json| FieldOperation::Merge {
            path: "a.b".parse().unwrap(),
            patch: Value::from_json(json).unwrap(),
        };
        check(
            r#"{"a":5}"#,
            &[merge(r#"{"c":1}"#)],
            r#"{"a":{"b":{"c":1}}}"#,
        );
        check(r#"{"a":{"b":1}}"#, &[merge("null")], r#"{"a":{}}"#);
    }

    #[test]
    fn limits_hold_and_serde_round_trips() {
        let fields = Fields::from_json(r#"{"a":1}"#).unwrap();
        let grow = [set("b", &format!("{:?}", "x".repeat(50)))];
        let refused = apply_with_limit(fields.as_raw(), &grow, 50);
        assert_eq!(refused, Err(EncodeError::Size { bytes_max: 50 }.into()));
        let deep = vec!["a"; 128].join(".");
        assert!(apply(RawMap::empty(), &[set(&deep, "1")]).is_ok());
        let deeper = apply(RawMap::empty(), &[set(&deep, "[]")]);
        assert_eq!(deeper, Err(EncodeError::Depth.into()));

        let operations = vec![set("a.b", "1"), unset("a"), add("n", 2.5), push("l", "[1]")];
        let json = serde_json::to_string(&operations).unwrap();
        assert!(json.starts_with(r#"[{"set":{"path":"a.b","value":1}},{"unset":{"path":"a"}}"#));
        assert_eq!(
            serde_json::from_str::<Vec<FieldOperation>>(&json).unwrap(),
            operations
        );
        let bytes = postcard::to_allocvec(&operations).unwrap();
        assert_eq!(
            postcard::from_bytes::<Vec<FieldOperation>>(&bytes),
            Ok(operations)
        );
    }
}
