//! What is written in the entry that defines something, as the definitions ask for it.

use std::collections::HashMap;

use crate::catalog::{Collection, CollectionId};
use crate::command::{Change, Write};

/// What is written beside definitions.
pub(crate) trait Writes {
    /// Whether a document is there after it; `None`: it is not written.
    fn leaves(&self, collection: CollectionId, key: &[u8]) -> Option<bool>;

    /// Whether documents of a collection may be written.
    fn touches(&self, collection: &Collection) -> bool;
}

/// Nothing is.
pub(crate) struct NoWrites;

impl Writes for NoWrites {
    fn leaves(&self, _: CollectionId, _: &[u8]) -> Option<bool> {
        None
    }

    fn touches(&self, _: &Collection) -> bool {
        false
    }
}

/// The documents that a write changes.
pub(crate) struct Written<'w> {
    first: CollectionId,
    by_key: HashMap<CollectionId, HashMap<&'w [u8], bool>>,
}

impl<'w> Written<'w> {
    /// Those of a write whose first provisional number stands for `first`.
    pub(crate) fn of(write: &'w Write<'_>, first: CollectionId) -> Written<'w> {
        let mut by_key: HashMap<_, HashMap<_, _>> = HashMap::new();
        let changes = write.operations.iter();
        for operation in changes.filter(|operation| operation.change != Change::None) {
            let keys = by_key.entry(operation.collection.real(first)).or_default();
            keys.insert(&*operation.key, operation.change != Change::Delete);
        }
        Written { first, by_key }
    }
}

impl Writes for Written<'_> {
    fn leaves(&self, collection: CollectionId, key: &[u8]) -> Option<bool> {
        let collection = collection.real(self.first);
        self.by_key.get(&collection)?.get(key).copied()
    }

    fn touches(&self, collection: &Collection) -> bool {
        self.by_key.contains_key(&collection.id)
            // What a deletion takes along.
            || !collection.references.is_empty() && !self.by_key.is_empty()
    }
}
