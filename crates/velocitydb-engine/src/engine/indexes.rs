//! Building indexes beside writers. Tests: the embedded library's.

use std::sync::Arc;

use parking_lot::MutexGuard;

use super::Engine;
use crate::catalog::CollectionId;
use crate::command::Refusal;
use crate::error::Error;

/// Rows that are put into an index at a time.
const INDEX_STEP_ROWS: u32 = 256;

/// What an entry of an index is taken to need before it is made.
const INDEX_ENTRY_BYTES: usize = 64;

impl Engine {
    /// Builds an index anew from the documents, beside readers and writers, who use the present
    /// one until the new one takes its place. For the time being there is memory for both.
    ///
    /// # Errors
    /// When there is no such index, or no memory: then the present one stays.
    pub fn rebuild_index(&self, of: CollectionId, name: &str) -> Result<(), Error> {
        let state = self.writer.lock();
        let found = state.catalog.by_id.get(&of).cloned();
        let table = &found.ok_or_else(|| Refusal::no_collection(of))?.table;
        if !table.begin_rebuild(name) {
            return Err(Refusal::UnknownIndex(name.to_owned()).into());
        }
        drop(state);
        let built = self.finish_indexes(of);
        if built.is_err() {
            let _state = self.writer.lock();
            table.end_rebuild(name);
        }
        built
    }

    /// Goes on until all indexes of a collection are built.
    ///
    /// # Errors
    /// When there is no memory for more.
    pub fn finish_indexes(&self, of: CollectionId) -> Result<(), Error> {
        while self.build_indexes(Some(of))? {}
        Ok(())
    }

    /// Goes on building indexes that are not built yet, of one collection or of all, for a moment
    /// during which writers wait; whether there is more to do.
    ///
    /// # Errors
    /// When there is no memory for more.
    pub fn build_indexes(&self, of: Option<CollectionId>) -> Result<bool, Error> {
        let state = self.writer.lock();
        let building = state.catalog.by_id.values().find_map(|collection| {
            let wanted = of.is_none_or(|id| id == collection.id);
            let indexes = collection.table.indexes();
            let index = indexes.iter().find(|index| wanted && !index.is_built())?;
            Some((Arc::clone(collection), Arc::clone(index)))
        });
        let Some((collection, index)) = building else {
            return Ok(false);
        };
        self.fits(INDEX_STEP_ROWS as usize * INDEX_ENTRY_BYTES)?;
        collection.table.build_step(&index, INDEX_STEP_ROWS);
        MutexGuard::unlock_fair(state);
        Ok(true)
    }
}
