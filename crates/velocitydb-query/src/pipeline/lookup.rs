//! The lookup stage: documents of another collection beside each row.
//!
//! By an index of the other collection if there is one: then each row asks for its own. Without
//! one, the other collection is read once and its documents kept by the value that is asked for;
//! what is kept is bounded by [`Limits`](crate::Limits).

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use velocitydb_engine::Document;
use velocitydb_types::{Path, Value, encode_value_key};

use super::reshape::set;
use super::sink::{Flow, Next, Sink};
use crate::error::QueryError;
use crate::filter::Filter;
use crate::limits::{Allowance, Kept, map_bytes};
use crate::memory::QueryMemory;
use crate::row::{Aggregated, Kind, Row, RowRef};

/// The other collections that a pipeline can look into, as they are at one log index.
pub trait Collections {
    /// Whether the documents of a collection with a value at this path are found without reading
    /// all of them.
    fn is_indexed(&self, collection: &str, path: &Path) -> bool {
        let _ = (collection, path);
        false
    }

    /// What the pipeline's stages take from what they keep.
    fn memory(&self) -> Option<&Arc<QueryMemory>> {
        None
    }

    /// Whether the pipeline may go on, where it makes rows without reaching a document.
    ///
    /// # Errors
    /// When it may not.
    fn goes_on(&self) -> Result<(), QueryError> {
        Ok(())
    }

    /// Calls for each document that a filter lets through, until that answers `false`.
    ///
    /// # Errors
    /// [`QueryError::Collection`] when there is none of this name, or it cannot be read.
    fn find(
        &self,
        collection: &str,
        filter: &Filter,
        visit: &mut dyn FnMut(&Document) -> bool,
    ) -> Result<(), QueryError>;
}

/// No other collections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoCollections;

impl Collections for NoCollections {
    fn find(
        &self,
        collection: &str,
        _: &Filter,
        _: &mut dyn FnMut(&Document) -> bool,
    ) -> Result<(), QueryError> {
        Err(QueryError::Collection {
            name: collection.to_owned(),
            reason: "other collections cannot be read here".to_owned(),
            class: velocitydb_types::ErrorClass::Invalid,
        })
    }
}

/// Puts beside each row the documents of another collection that have an equal value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The other collection.
    pub from: String,
    /// What is compared of the row; absent counts as null, as in filters.
    pub local: Path,
    /// What is compared of the other documents.
    pub foreign: Path,
    /// Where the array of documents goes.
    pub name: Path,
}

impl Lookup {
    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        kind.check(&self.local)?;
        Kind::Documents.check(&self.foreign)?;
        super::check_outputs([self.name.clone()])
    }
}

/// Documents by the order-preserving bytes of a value.
type Known = HashMap<Box<[u8]>, Vec<Document>, RandomState>;

pub(super) struct LookupRows<'p> {
    lookup: &'p Lookup,
    collections: &'p dyn Collections,
    /// Read when the first row comes; none while an index finds each row's own.
    known: Option<Known>,
    indexed: bool,
    kept: Kept,
    next: Next<'p>,
}

impl<'p> LookupRows<'p> {
    pub(super) fn new(
        lookup: &'p Lookup,
        collections: &'p dyn Collections,
        limits: Allowance<'_>,
        next: Next<'p>,
    ) -> LookupRows<'p> {
        LookupRows {
            lookup,
            collections,
            known: None,
            indexed: collections.is_indexed(&lookup.from, &lookup.foreign),
            kept: Kept::of("$lookup", limits),
            next,
        }
    }

    fn read(&mut self) -> Result<Known, QueryError> {
        let mut known = Known::default();
        let (kept, foreign) = (&mut self.kept, &self.lookup.foreign);
        let mut outcome = Ok(());
        let visit = &mut |document: &Document| {
            let key = kept.scratch();
            encode_value_key(RowRef::document(document).value(foreign).view(), key);
            let key: Box<[u8]> = key.as_slice().into();
            outcome = kept.add(key.len() + size_of::<(Box<[u8]>, Vec<Document>, Document)>());
            known.entry(key).or_default().push(document.clone());
            outcome.is_ok()
        };
        self.collections
            .find(&self.lookup.from, &Filter::All, visit)?;
        outcome?;
        Ok(known)
    }

    /// The documents for a row, as values.
    fn documents(&mut self, row: RowRef<'_>) -> Result<Vec<Value>, QueryError> {
        let wanted = row.value(&self.lookup.local);
        let (mut found, mut bytes, mut outcome) = (Vec::new(), 0, Ok(()));
        let mut take = |kept: &Kept, document: &Document| {
            let map = Row::from(document).into_map();
            bytes += map_bytes(&map);
            found.push(Value::Map(map));
            kept.pass(bytes)
        };
        if self.indexed {
            let filter = Filter::Eq(self.lookup.foreign.clone(), wanted.into_value());
            let kept = &self.kept;
            let visit = &mut |document: &Document| {
                outcome = take(kept, document);
                outcome.is_ok()
            };
            self.collections.find(&self.lookup.from, &filter, visit)?;
            outcome?;
            return Ok(found);
        }
        let known = match self.known.take() {
            Some(known) => known,
            None => self.read()?,
        };
        let key = self.kept.scratch();
        encode_value_key(wanted.view(), key);
        let key = std::mem::take(key);
        for document in known.get(key.as_slice()).into_iter().flatten() {
            take(&self.kept, document)?;
        }
        *self.kept.scratch() = key;
        self.known = Some(known);
        Ok(found)
    }
}

impl Sink for LookupRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let documents = self.documents(row.as_ref())?;
        let mut map = row.into_map();
        set(&mut map, &self.lookup.name, Value::Array(documents));
        self.next.push(Row::from(map))
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}
