//! The slow operations: a line of the log each, and the newest of them to be asked for.
//!
//! Holds at most [`KEPT`] entries of bounded length. Says what was done, to which document, for
//! whom; never what a document holds. Tests: tests/it/slow_operations.rs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

/// How many are kept.
pub(crate) const KEPT: usize = 256;

/// Characters of a name or an id that are kept.
const SHORTENED_TO: usize = 40;

/// One slow operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct SlowOperation {
    /// When it had ended.
    pub(crate) at: String,
    /// The method and the route.
    pub(crate) operation: String,
    /// As in the path, shortened; behind its database when the path names one.
    pub(crate) collection: Option<String>,
    /// As in the path, shortened.
    pub(crate) id: Option<String>,
    pub(crate) status: u16,
    pub(crate) duration_us: u64,
    pub(crate) request_id: String,
    /// Address and port of whoever asked.
    pub(crate) client: Option<String>,
}

impl SlowOperation {
    /// The collection and the document that a path names.
    pub(crate) fn target(path: &str) -> (Option<String>, Option<String>) {
        let path = path.strip_prefix("/v1/").unwrap_or_default();
        let within = path.strip_prefix("databases/");
        let (database, path) = match within.and_then(|rest| rest.split_once('/')) {
            Some((database, path)) => (Some(database), path),
            None => (None, path),
        };
        // In a transaction the same path stands behind its id.
        let within = path.strip_prefix("transactions/");
        let within = within.and_then(|rest| rest.split_once('/'));
        let path = within.map_or(path, |(_transaction, path)| path);
        let mut parts = path.split('/');
        if parts.next() != Some("collections") {
            return (None, None);
        }
        let collection = parts.next().filter(|name| !name.is_empty());
        let collection = collection.map(|name| match database {
            Some(database) => format!("{}/{}", shortened(database), shortened(name)),
            None => shortened(name),
        });
        let id = match parts.next() {
            Some("documents") => parts.next().map(shortened),
            _ => None,
        };
        (collection, id)
    }

    fn log(&self) {
        let SlowOperation {
            at: _,
            operation,
            collection,
            id,
            status,
            duration_us,
            request_id,
            client,
        } = self;
        tracing::info!(
            target: "velocitydb_server::slow",
            operation, collection, id, status, duration_us, request_id, client, "slow operation"
        );
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHORTENED_TO) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The newest slow operations.
#[derive(Debug, Default)]
pub(crate) struct SlowLog(Mutex<VecDeque<SlowOperation>>);

impl SlowLog {
    /// Logs one and keeps it, in place of the oldest when there are many.
    pub(crate) fn add(&self, operation: SlowOperation) {
        operation.log();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(operation);
    }

    /// The newest `limit`, newest first.
    pub(crate) fn newest(&self, limit: usize) -> Vec<SlowOperation> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().take(limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_collections_and_documents() {
        let target = |path| SlowOperation::target(path);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(target("/v1/collections"), (None, None));
        assert_eq!(target("/v1/collections/a"), (some("a"), None));
        assert_eq!(target("/v1/collections/a/count"), (some("a"), None));
        assert_eq!(target("/v1/collections/a/documents"), (some("a"), None));
        let cas = "/v1/collections/a/documents/x/compare-and-swap";
        assert_eq!(target(cas), (some("a"), some("x")));
        let within = "/v1/transactions/0f/collections/a/documents/x";
        assert_eq!(target(within), (some("a"), some("x")));
        for none in [
            "/v1/admin/reload",
            "/v1/transactions/0f/commit",
            "/health",
            "/",
        ] {
            assert_eq!(target(none), (None, None), "{none}");
        }
        let (_, id) = target(&format!("/v1/collections/a/documents/{}", "ö".repeat(100)));
        assert_eq!(id, Some("ö".repeat(40) + "…"));
    }

    #[test]
    fn the_oldest_makes_room() {
        let log = SlowLog::default();
        for at in 0..KEPT + 3 {
            log.add(SlowOperation {
                at: at.to_string(),
                operation: String::new(),
                collection: None,
                id: None,
                status: 200,
                duration_us: 0,
                request_id: String::new(),
                client: None,
            });
        }
        let kept = log.newest(usize::MAX);
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[0].at, (KEPT + 2).to_string());
        assert_eq!(kept[KEPT - 1].at, "3");
        assert_eq!(log.newest(2).len(), 2);
    }
}
