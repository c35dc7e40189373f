//! Words in texts, as a condition, where the feature `full-text` is left out: there is none.

use velocitydb_types::{ErrorClass, View};

use crate::error::QueryError;

/// What is asked of a text. Without the feature `full-text` nothing can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {}

impl Text {
    pub(crate) fn named(_: &str, _: Option<&str>, _: bool) -> Result<Text, QueryError> {
        Err(QueryError::Text {
            reason:
                "$text needs full-text search (the feature `full-text`), which was left out of \
                     this build"
                    .to_owned(),
            class: ErrorClass::Invalid,
        })
    }

    /// What was typed.
    pub fn words(&self) -> &str {
        match *self {}
    }

    /// The name of the language.
    pub fn language(&self) -> &'static str {
        match *self {}
    }

    /// Whether one of the words is enough.
    pub fn is_any(&self) -> bool {
        match *self {}
    }

    pub(crate) fn holds(&self, _: &View<'_>) -> bool {
        match *self {}
    }
}
