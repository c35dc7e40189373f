//! Building indexes beside writers. Tests: the embedded library's.

use std::sync::Arc;

use parking_lot::MutexGuard;

use super::Engine;
use crate::catalog::CollectionId;
use crate::error::Error;

/// Rows that are put into an index at a time.
const INDEX_STEP_ROWS: u32 = 256;

/// What an entry of an index is taken to need before it is made.
const INDEX_ENTRY_BYTES: usize = 64;

impl Engine {
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
