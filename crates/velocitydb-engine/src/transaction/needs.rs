//! What a statement of a transaction rests on while others are not done yet, for who keeps
//! transactions apart by locks.
//!
//! A transaction holds no locks itself: its commit is judged whatever was locked. Who has it wait
//! for others instead lets a statement run, locks all that it needs, and asks of each what was not
//! locked before whether it is still as the statement found it. When it is not, the statement is
//! taken back and run again over the newest state.
//!
//! Writes are found in the undo list; the rest is noted here as it is met. Tests: in the library and
//! in velocitydb-sql, which lock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Isolation, Savepoint, Transaction, Undo};
use crate::catalog::{Collection, CollectionId, DatabaseId};
use crate::store::Document;

/// One thing that a statement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'t> {
    /// It has written this document.
    Written {
        /// Its collection.
        collection: CollectionId,
        /// Its encoded id.
        key: &'t [u8],
        /// Log index of the version that it found; 0: there was none.
        base: u64,
        /// Whether the id comes or goes by it.
        whole: bool,
    },
    /// It has found a key of a unique index free and taken it.
    Claimed {
        /// The collection of the index.
        collection: CollectionId,
        /// The position of the index among those of the collection.
        index: usize,
        /// The key.
        claim: &'t [u8],
    },
    /// It refers to this document, which is to stay.
    Referred {
        /// Its collection.
        collection: CollectionId,
        /// Its encoded id.
        key: &'t [u8],
    },
    /// It has defined something of this name: a collection, or the one that is called so.
    Defined {
        /// Its database.
        database: DatabaseId,
        /// The name.
        name: &'t str,
        /// The name as an encoded id.
        key: &'t [u8],
    },
    /// It was refused, or has done something else, because of this document of another.
    Hindered {
        /// Its collection.
        collection: CollectionId,
        /// Its encoded id.
        key: &'t [u8],
        /// Log index of the version that it found.
        base: u64,
    },
}

/// What is noted of a [`Need`] that is not a write.
#[derive(Debug)]
pub(super) enum Note {
    Claimed(CollectionId, usize, Vec<u8>),
    Referred(CollectionId, Box<[u8]>),
    Hindered(CollectionId, Box<[u8]>, u64),
}

impl Transaction {
    /// From here on what statements need is noted, anew with each call.
    pub fn note_needs(&mut self) {
        self.notes.get_or_insert_default().clear();
    }

    /// How many things the statement that began at `since` needs.
    pub fn need_count(&self, since: Savepoint) -> usize {
        self.undo[since.0..].len() + self.notes.as_ref().map_or(0, Vec::len)
    }

    /// One of the [`Transaction::need_count`] things that the statement that began at `since` needs,
    /// in the order in which it came to it, its writes first.
    ///
    /// # Panics
    /// There are not so many.
    pub fn need(&self, since: Savepoint, number: usize) -> Need<'_> {
        let writes = &self.undo[since.0..];
        if let Some(Undo::Defined {
            database,
            name,
            key,
            ..
        }) = writes.get(number)
        {
            return Need::Defined {
                database: *database,
                name,
                key,
            };
        }
        if let Some(Undo::Written((collection, key), _)) = writes.get(number) {
            let pending = &self.writes[collection][key];
            return Need::Written {
                collection: *collection,
                key,
                base: pending.base,
                whole: pending.base == 0 || pending.document.is_none(),
            };
        }
        let note = self.notes.as_ref().map(|all| &all[number - writes.len()]);
        match note.expect("only what is noted is counted") {
            Note::Claimed(collection, index, claim) => Need::Claimed {
                collection: *collection,
                index: *index,
                claim,
            },
            Note::Referred(collection, key) => Need::Referred {
                collection: *collection,
                key,
            },
            Note::Hindered(collection, key, base) => Need::Hindered {
                collection: *collection,
                key,
                base: *base,
            },
        }
    }

    /// Whether what is needed is now as the statement found it, in the newest state.
    pub fn is_still_so(&self, need: Need<'_>) -> bool {
        match need {
            Need::Written {
                collection,
                key,
                base,
                ..
            }
            | Need::Hindered {
                collection,
                key,
                base,
            } => {
                let same = self.is_as_found(collection, key, base);
                self.outdated.fetch_or(!same, Ordering::Relaxed);
                same
            }
            Need::Referred { collection, key } => self.newest_index(collection, key) > 0,
            Need::Defined { database, name, .. } => {
                let visible = self.engine.catalog();
                let then = self.snapshot.catalog().get(database, name);
                let now = visible.get(database, name);
                then.map(Arc::as_ptr) == now.map(Arc::as_ptr)
            }
            Need::Claimed {
                collection,
                index,
                claim,
            } => {
                let Some(collection) = self.catalog().by_id(collection) else {
                    return false;
                };
                let unique = collection.table.indexes();
                unique
                    .get(index)
                    .is_some_and(|unique| self.holder(collection, unique, claim).is_none())
            }
        }
    }

    /// Log index of the newest version of a document; 0: there is none. It is that of all, where the
    /// transaction has a table of its own.
    pub fn newest_index(&self, collection: CollectionId, key: &[u8]) -> u64 {
        let visible = self.engine.catalog();
        let newest = visible
            .by_id(collection)
            .and_then(|found| self.engine.get(found, key, || self.began));
        newest.map_or(0, |newest| newest.meta().index)
    }

    pub(super) fn note(&mut self, note: impl FnOnce() -> Note) {
        if let Some(notes) = &mut self.notes {
            notes.push(note());
        }
    }

    /// Notes that a document is in the way, unless the transaction has written it itself. Where each
    /// statement has a state of its own, it is to be in that.
    pub(super) fn note_hindered(&mut self, collection: &Collection, by: &Document) {
        if self.notes.is_none() || self.written(collection.id, by.key_bytes()).is_some() {
            return;
        }
        let base = match self.isolation {
            Isolation::ReadCommitted => {
                let found = self.snapshot.get(collection, by.key_bytes());
                found.ok().flatten().map_or(0, |found| found.meta().index)
            }
            Isolation::Snapshot | Isolation::Serializable => by.meta().index,
        };
        self.note(|| Note::Hindered(collection.id, by.key_bytes().into(), base));
    }
}
