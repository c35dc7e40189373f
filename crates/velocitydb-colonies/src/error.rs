//! What may be wrong, by what the caller can do about it.

use velocitydb::ErrorClass;

use crate::model::State;

/// Why something was not done. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What is named is not there.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// There is one already.
    #[error("there is a {what} {id:?} already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its id or name.
        id: String,
    },
    /// A process in this state cannot become what it should.
    #[error("the process {id:?} is {is}: it cannot be {wanted}")]
    State {
        /// The process.
        id: String,
        /// Its state.
        is: State,
        /// What it was to become.
        wanted: &'static str,
    },
    /// It makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It was to be done together with others, and could not.
    #[error("{0}")]
    Unavailable(String),
    /// What is stored is not of the form that it should have.
    #[error("what is stored of {what}: {why}")]
    Stored {
        /// The collection.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] velocitydb::Error),
}

impl Error {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Error::NotFound { .. } => ErrorClass::NotFound,
            Error::Exists { .. } | Error::State { .. } => ErrorClass::Conflict,
            Error::Invalid(_) => ErrorClass::Invalid,
            Error::Unavailable(_) => ErrorClass::Unavailable,
            Error::Stored { .. } => ErrorClass::Corrupt,
            Error::Database(error) => error.code().1,
        }
    }

    pub(crate) fn not_found(what: &'static str, id: impl Into<String>) -> Error {
        let id = id.into();
        Error::NotFound { what, id }
    }

    pub(crate) fn exists(what: &'static str, id: impl Into<String>) -> Error {
        let id = id.into();
        Error::Exists { what, id }
    }
}
