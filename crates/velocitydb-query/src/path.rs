//! What a query takes for a path: a path, or its text.
//!
//! A query is written down without asking at each step whether a text is a path: the error is
//! kept, and told by whoever checks or runs the query. Tests: through `filter` and `pipeline`.

use velocitydb_types::Path;

use crate::error::QueryError;

/// Something that names a field: a [`Path`], or the text of one such as `address.street`.
pub trait IntoPath {
    /// The path.
    ///
    /// # Errors
    /// A text that is no path.
    fn into_path(self) -> Result<Path, QueryError>;
}

impl IntoPath for Path {
    fn into_path(self) -> Result<Path, QueryError> {
        Ok(self)
    }
}

impl IntoPath for &Path {
    fn into_path(self) -> Result<Path, QueryError> {
        Ok(self.clone())
    }
}

impl IntoPath for &str {
    fn into_path(self) -> Result<Path, QueryError> {
        self.parse().map_err(|source| QueryError::Path {
            text: self.to_owned(),
            source,
        })
    }
}

impl IntoPath for String {
    fn into_path(self) -> Result<Path, QueryError> {
        self.as_str().into_path()
    }
}

/// The first thing that went wrong while a query was written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wrong(Option<QueryError>);

impl Wrong {
    /// The value; without one its error is kept.
    pub(crate) fn take<T>(&mut self, made: Result<T, QueryError>) -> Option<T> {
        made.map_err(|error| self.0.get_or_insert(error)).ok()
    }

    /// Fails with what went wrong.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        self.0.clone().map_or(Ok(()), Err)
    }
}
