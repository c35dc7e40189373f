//! Documents of sequences: numbers are given, to others and to the transaction itself, whatever it says
//! of a sequence meanwhile. So what it writes rests on what the sequence was, not on where it stood, and
//! leaves that as it is.
//!
//! Tests: the embedded library's.

use velocitydb_types::{FieldOperation, Path, Value};

use super::{Pending, Transaction};
use crate::catalog::{CollectionId, SEQUENCES};
use crate::command::{Change, Condition};
use crate::store::Document;

/// The field of the document that says what a sequence is.
const DEFINITION: &str = "definition";

/// What a sequence is, by its document; `None` of a document of another collection.
pub(super) fn definition(collection: CollectionId, document: Option<&Document>) -> Option<Value> {
    let document = document.filter(|_| collection == SEQUENCES)?;
    Some(definition_in(document))
}

fn definition_in(document: &Document) -> Value {
    let found = document.fields().get(DEFINITION);
    found.map_or(Value::Null, |found| found.to_value())
}

impl Pending {
    /// What the document has to be at the commit.
    pub(super) fn expected(&self) -> Condition {
        match &self.sequence {
            None => Condition::Index(self.base),
            Some(was) => Condition::Fields(vec![(Path::field(DEFINITION), was.clone())]),
        }
    }

    /// How it is made to be what the transaction sees.
    pub(super) fn change<'d>(&self, document: &'d Document) -> Change<'d> {
        match self.sequence.is_some() && !self.anew {
            false => Change::Put(document.fields().as_bytes().into()),
            true => Change::Patch(vec![FieldOperation::Set {
                path: Path::field(DEFINITION),
                value: definition_in(document),
            }]),
        }
    }
}

impl Transaction {
    /// Whether a document that was found as of the log index `base` is so in the newest state.
    pub(super) fn is_as_found(&self, collection: CollectionId, key: &[u8], base: u64) -> bool {
        let writes = self.writes.get(&collection);
        let pending = writes.and_then(|writes| writes.get(key));
        let Some(was) = pending.and_then(|pending| pending.sequence.as_ref()) else {
            return self.newest_index(collection, key) == base;
        };
        let sequences = self.catalog().by_id(collection);
        let newest = sequences.and_then(|found| self.engine.get(found, key, || self.began));
        newest.is_some_and(|newest| definition_in(&newest) == *was)
    }
}
