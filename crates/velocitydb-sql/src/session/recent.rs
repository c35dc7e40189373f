//! Statements without a name that a session has prepared lately: programs send the same texts again
//! and again, and reading one takes longer than many a statement.
//!
//! One is found by its text and the types that the client declares, and only while binding it anew would
//! lead to the same. Tests: tests/it/requests.rs.

use std::collections::HashMap;
use std::sync::Arc;

use velocitydb_types::SqlType;

use super::Prepared;

/// The most statements.
const COUNT_MAX: usize = 32;
/// The most bytes of a text.
const BYTES_MAX: usize = 8 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent(HashMap<Box<str>, Statement>);

#[derive(Debug)]
struct Statement {
    types: Box<[Option<SqlType>]>,
    prepared: Arc<Prepared>,
}

impl Recent {
    pub(super) fn find(&self, sql: &str, types: &[Option<SqlType>]) -> Option<&Arc<Prepared>> {
        let found = self.0.get(sql)?;
        (*found.types == *types).then_some(&found.prepared)
    }

    /// Keeps one; all others go when there are too many.
    pub(super) fn keep(&mut self, sql: &str, types: &[Option<SqlType>], prepared: &Arc<Prepared>) {
        if sql.len() > BYTES_MAX {
            return;
        }
        if self.0.len() >= COUNT_MAX {
            self.0.clear();
        }
        let statement = Statement {
            types: types.into(),
            prepared: Arc::clone(prepared),
        };
        self.0.insert(sql.into(), statement);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
