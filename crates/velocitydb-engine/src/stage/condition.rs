//! Whether an operation's condition holds, and what its change makes of the fields.

use std::borrow::Cow;

use velocitydb_types::update::apply as apply_update;
use velocitydb_types::{DOCUMENT_BYTES_MAX, Path, RawMap, RawValue, Value};

use crate::catalog::Collection;
use crate::command::{Change, Condition, Refusal};
use crate::store::Document;

/// The fields that a change leaves: `None` when it deletes or changes nothing.
pub(crate) fn changed_fields<'c>(
    collection: &Collection,
    key: &[u8],
    live: Option<&Document>,
    change: &'c Change<'_>,
) -> Result<Option<Cow<'c, [u8]>>, Refusal> {
    let fields = match change {
        Change::None => return Ok(None),
        Change::Put(fields) => Cow::Borrowed(&fields[..]),
        Change::Patch(operations) => {
            let live = live.ok_or(Refusal::NotFound)?;
            let fields = apply_update(live.fields(), operations)?;
            collection.definition.schema.check(fields.as_raw())?;
            Cow::Owned(fields.into_bytes().into_vec())
        }
        Change::Delete => return live.map(|_| None).ok_or(Refusal::NotFound),
    };
    check_fields(collection, key, &fields)?;
    Ok(Some(fields))
}

fn check_fields(collection: &Collection, key: &[u8], fields: &[u8]) -> Result<(), Refusal> {
    if fields.len() > DOCUMENT_BYTES_MAX {
        return Err(Refusal::TooLarge {
            bytes: fields.len(),
            max: DOCUMENT_BYTES_MAX,
        });
    }
    if let Some(primary_key) = &collection.definition.primary_key {
        let named = collection.definition.key_in(RawMap::trusted(fields));
        let named = named.map_err(Refusal::BadDefinition)?;
        if named.is_none_or(|named| named.as_bytes() != key) {
            return Err(Refusal::PrimaryKeyChanged(primary_key.to_string()));
        }
    }
    Ok(())
}

/// Whether a document, or its absence, meets a condition.
pub(crate) fn check_condition(
    condition: &Condition,
    live: Option<&Document>,
) -> Result<(), Refusal> {
    let version = live.map_or(0, |live| live.meta().version);
    match (condition, live) {
        (Condition::None, _) => Ok(()),
        (Condition::Absent, Some(live)) => Err(Refusal::AlreadyExists(live.clone())),
        (Condition::Absent, None) => Ok(()),
        (Condition::Index(index), _) => {
            let found = live.map_or(0, |live| live.meta().index);
            if found == *index {
                Ok(())
            } else {
                Err(Refusal::Conflict)
            }
        }
        (Condition::CollectionIndex(_), _) => unreachable!("decided before a document is read"),
        (Condition::Present | Condition::Version(_) | Condition::Fields(_), None) => {
            Err(Refusal::NotFound)
        }
        (Condition::Present, Some(_)) => Ok(()),
        (Condition::Version(expected), Some(live)) => {
            if version == *expected {
                return Ok(());
            }
            let expected = format!("expected version {expected}, the document has {version}");
            Err(Refusal::ConditionFailed {
                expected,
                current: live.clone(),
            })
        }
        (Condition::Fields(expected), Some(live)) => {
            for (path, value) in expected {
                let found = live.fields().get_path(path);
                let equal = match found {
                    Some(found) => found.to_value() == *value,
                    None => value.is_null(),
                };
                if !equal {
                    let expected = not_as_expected(path, value, found);
                    return Err(Refusal::ConditionFailed {
                        expected,
                        current: live.clone(),
                    });
                }
            }
            Ok(())
        }
    }
}

/// Says what was expected and what was found; with the types where JSON writes both alike.
fn not_as_expected(path: &Path, expected: &Value, found: Option<RawValue<'_>>) -> String {
    let wanted = expected.to_json();
    let Some(found) = found else {
        return format!("expected {path} = {wanted}, found nothing");
    };
    let (shown, kind) = (found.to_json(), found.type_name());
    match shown == wanted {
        true => format!(
            "expected {path} = {} {wanted}, found {kind} {shown}",
            expected.type_name()
        ),
        false => format!("expected {path} = {wanted}, found {shown}"),
    }
}
