//! What a write is refused for by an index: its key is taken, too long, or there is none.
//!
//! Tests: the embedded library's.

use crate::command::{IndexKeyError, IndexValueError, Refusal};
use crate::store::{Document, FieldIndex, Misfit, NoKey, NoKeyReason};

fn fields_of(unique: &FieldIndex) -> String {
    let fields = unique.definition().fields.iter();
    let fields: Vec<_> = fields.map(ToString::to_string).collect();
    fields.join(", ")
}

pub(super) fn taken(unique: &FieldIndex, holder: &Document) -> Refusal {
    Refusal::Unique {
        index: unique.definition().name.clone(),
        fields: fields_of(unique),
        holder: holder.id().to_string(),
    }
}

pub(crate) fn duplicate(unique: &FieldIndex, both: &(Document, Document)) -> Refusal {
    Refusal::Duplicate {
        fields: fields_of(unique),
        first: both.0.id().to_string(),
        second: both.1.id().to_string(),
    }
}

/// Why documents cannot be in an index.
pub(crate) fn misfit(index: &FieldIndex, misfit: Misfit) -> Refusal {
    match misfit {
        Misfit::Twice(both) => duplicate(index, &both),
        Misfit::NoKey(document, no_key) => index_key(Some(document.id().to_string()), no_key),
    }
}

/// `id` names a document that is there already.
pub(crate) fn index_key(id: Option<String>, no_key: NoKey) -> Refusal {
    let NoKey { index, why } = no_key;
    match why {
        NoKeyReason::TooLong { found, max, what } => Refusal::IndexKey(Box::new(IndexKeyError {
            id,
            index,
            what,
            found,
            max,
        })),
        NoKeyReason::NoValue { expression, error } => {
            Refusal::IndexValue(Box::new(IndexValueError {
                id,
                index,
                expression,
                error,
            }))
        }
    }
}
