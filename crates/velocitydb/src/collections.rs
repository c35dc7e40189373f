//! The collections of a database at one moment, with their numbers: for who describes them.
//!
//! Tests: tests/it/definitions.rs.

use std::sync::Arc;

use velocitydb_engine::catalog::{Catalog, CollectionId, DatabaseId, Definition};

/// See the module. It is cheap to keep, and stays as it is.
#[derive(Clone)]
pub struct Collections {
    catalog: Arc<Catalog>,
    database: DatabaseId,
}

impl Collections {
    pub(crate) fn new(catalog: Arc<Catalog>, database: DatabaseId) -> Collections {
        Collections { catalog, database }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (CollectionId, &Definition)> {
        let all = self.catalog.collections_of(self.database);
        all.map(|collection| (collection.id, &collection.definition))
    }
}
