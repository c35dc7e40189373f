//! A collection as a transaction sees it, read in parts by several threads.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use velocitydb_engine::transaction::Transaction;
use velocitydb_engine::{Document, Error};
use velocitydb_query::Find;

use crate::view::CollectionView;

/// See the module. From [`crate::Transaction::reader`].
#[derive(Clone)]
pub struct Reader {
    view: CollectionView,
    /// What the transaction has made of documents until then, when it has written any.
    own: Option<Arc<Own>>,
}

/// The writes of a transaction to a collection.
struct Own {
    /// The ids of documents that are not as others see them.
    written: HashSet<Box<[u8]>>,
    documents: Vec<Document>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({})", self.view.definition().name)
    }
}

impl Reader {
    pub(crate) fn new(view: CollectionView, transaction: &Transaction) -> Reader {
        let id = view.runtime.id;
        let own = transaction.writes_to(id).then(|| {
            let written = transaction.written_ids(id).map(Box::from);
            Arc::new(Own {
                written: written.collect(),
                documents: transaction.own_as_inserted(id).cloned().collect(),
            })
        });
        Reader { view, own }
    }

    /// How many positions there are: each document that others see too is at one.
    pub fn positions(&self) -> u32 {
        self.view.view.snapshot.positions(&self.view.runtime)
    }

    /// About how many documents there are.
    ///
    /// # Errors
    /// The transaction has begun too long ago.
    pub fn count(&self) -> Result<u64, Error> {
        let own = self.own.as_ref().map_or(0, |own| own.documents.len());
        Ok(self.view.count()? + own as u64)
    }

    /// Calls `visit` with the documents at these positions that the transaction has not written to.
    ///
    /// # Errors
    /// The transaction has begun too long ago, or was interrupted.
    pub fn scan_part(
        &self,
        positions: Range<u32>,
        mut visit: impl FnMut(&Document),
    ) -> Result<(), Error> {
        self.check()?;
        let (snapshot, runtime) = (&self.view.view.snapshot, &self.view.runtime);
        let scanned = snapshot.scan_part(runtime, positions, |document| {
            let own = self.own.as_ref();
            if own.is_none_or(|own| !own.written.contains(document.key_bytes())) {
                visit(document);
            }
            true
        });
        scanned.map(drop)
    }

    /// The documents that the transaction has written, in the order in which it inserted them.
    pub fn own(&self) -> &[Document] {
        self.own.as_ref().map_or(&[], |own| &own.documents)
    }

    /// Whether it may go on.
    ///
    /// # Errors
    /// It was interrupted.
    pub fn check(&self) -> Result<(), Error> {
        match &self.view.interrupt {
            Some(interrupt) => interrupt(),
            None => Ok(()),
        }
    }

    /// Whether an index leads to the documents that `find` describes.
    ///
    /// # Errors
    /// It makes no sense.
    pub fn has_index_for(&self, find: &Find) -> Result<bool, Error> {
        self.view.has_index_for(find)
    }

    /// The documents that `find` describes, by the indexes that help; of those that the transaction has
    /// not written to.
    ///
    /// # Errors
    /// As [`CollectionView::find`].
    pub fn find(&self, find: &Find) -> Result<Vec<Document>, Error> {
        let mut found = self.view.find(find)?;
        if let Some(own) = &self.own {
            found.retain(|document| !own.written.contains(document.key_bytes()));
        }
        Ok(found)
    }

    /// The collection, as it was when the transaction began.
    pub fn view(&self) -> &CollectionView {
        &self.view
    }
}
