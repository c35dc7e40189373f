//! What the shell can do with a database, wherever it is: [`Target`].
//!
//! Two implementations: [`Http`] asks a running server, [`Embedded`] opens a database in this
//! process. Documents and definitions come as values with the metadata beside the fields, as the
//! HTTP API shows them; JSON goes in as text, so that an error can name its place.
//! Tests: tests/it runs the same scripts against both.

mod body;
mod embedded;
mod http;

use velocitydb::Value;

pub use embedded::Embedded;
pub use http::{Http, LoadMode, base_path, segment};

use crate::session::Format;
use crate::statement::{Explain, Question, Ranked};
use crate::status::Status;

/// Documents that `list` and `find` give when they do not say how many.
pub(crate) const LIST_DOCUMENTS: usize = 20;

/// The database of who names none.
pub const VELOCITY: &str = "velocity";

/// A database that answers the shell.
pub trait Target: Send {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// The name of the database that it is in.
    fn database(&self) -> String;

    /// All databases: their definitions, and the number of their `collections`.
    fn databases(&mut self) -> Result<Vec<Value>, TargetError>;

    /// Goes to another database.
    fn enter(&mut self, database: &str) -> Result<(), TargetError>;

    /// Creates a database, and stays in this one.
    fn create_database(&mut self, database: &str) -> Result<(), TargetError>;

    /// Drops a database other than this one, with all that is in it.
    fn drop_database(&mut self, database: &str) -> Result<(), TargetError>;

    /// The definitions of all collections, with `documents` and `bytes`.
    fn collections(&mut self) -> Result<Vec<Value>, TargetError>;

    /// One of them.
    fn describe(&mut self, collection: &str) -> Result<Value, TargetError>;

    /// Creates a collection from its definition: an object, in which the name is left out.
    fn create(&mut self, collection: &str, definition: &str) -> Result<(), TargetError>;

    /// Gives a collection another definition. Arguments of an error: the definition, then those of
    /// `rename` (an object) and `drop` (an array) that there are.
    fn alter(
        &mut self,
        collection: &str,
        definition: &str,
        rename: Option<&str>,
        drop: Option<&str>,
    ) -> Result<(), TargetError>;

    /// Drops a collection.
    fn drop_collection(&mut self, collection: &str) -> Result<(), TargetError>;

    /// How many documents there are, or a filter lets through.
    fn count(&mut self, collection: &str, filter: Option<&str>) -> Result<u64, TargetError>;

    /// A page of documents that a question finds. Arguments of an error: those of the question.
    fn find(&mut self, collection: &str, question: &Question<'_>) -> Result<Page, TargetError>;

    /// The documents that a search or a place finds, with `_score` or `_distance_m` among their
    /// metadata. Arguments of an error: those of the question.
    fn ranked(&mut self, collection: &str, ranked: &Ranked<'_>) -> Result<Vec<Value>, TargetError>;

    /// The rows that a pipeline makes.
    fn aggregate(&mut self, collection: &str, stages: &str) -> Result<Vec<Value>, TargetError>;

    /// How the documents of a question are found.
    fn explain(
        &mut self,
        collection: &str,
        question: &Question<'_>,
        explain: Explain,
        form: Format,
    ) -> Result<String, TargetError>;

    /// The indexes: definitions with what they hold.
    fn indexes(&mut self, collection: &str) -> Result<Vec<Value>, TargetError>;

    /// Makes an index, and waits until it is built.
    fn create_index(&mut self, collection: &str, definition: &str) -> Result<(), TargetError>;

    /// Builds an index anew, and waits until it is.
    fn rebuild_index(&mut self, collection: &str, index: &str) -> Result<(), TargetError>;

    /// Drops an index.
    fn drop_index(&mut self, collection: &str, index: &str) -> Result<(), TargetError>;

    /// A document.
    fn get(&mut self, collection: &str, id: &str) -> Result<Value, TargetError>;

    /// A page of documents.
    fn list(
        &mut self,
        collection: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page, TargetError>;

    /// Inserts a document; the answer is what it has become, as are those below.
    fn insert(
        &mut self,
        collection: &str,
        id: Option<&str>,
        document: &str,
    ) -> Result<Value, TargetError>;

    /// Puts a document.
    fn put(&mut self, collection: &str, id: &str, document: &str) -> Result<Value, TargetError>;

    /// Changes fields.
    fn patch(&mut self, collection: &str, id: &str, patch: &str) -> Result<Value, TargetError>;

    /// Deletes a document.
    fn delete(&mut self, collection: &str, id: &str) -> Result<(), TargetError>;

    /// Changes a document that is as expected. Arguments 0 and 1 of an error are `expected` and
    /// `update`.
    fn swap(
        &mut self,
        collection: &str,
        id: &str,
        expected: &str,
        update: &str,
    ) -> Result<Value, TargetError>;

    /// Ends the use of it, and says what could not be kept.
    fn close(&mut self) -> Result<(), TargetError>;

    /// How it is.
    fn status(&mut self) -> Result<Status, TargetError>;
}

/// The most databases that an error names.
const NAMED_MAX: usize = 20;

/// That there is no database of a name, and which there are.
pub fn no_such_database<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<_> = names.by_ref().take(NAMED_MAX).collect();
    let more = match names.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "there is no database {name:?}: there are {}{more}",
        shown.join(", ")
    )
}

/// A page of documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The documents.
    pub documents: Vec<Value>,
    /// What `after` takes to go on; `None` on the last page.
    pub next: Option<String>,
}

/// Why a target did not do it.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetError {
    /// The stable name of the error, as the HTTP API has it; empty when there is none.
    pub code: String,
    /// What is wrong.
    pub what: String,
    /// In which JSON argument, from 0, and at which byte of it.
    pub place: Option<(usize, usize)>,
    /// The document as it is, when a swap did not find it as expected.
    pub current: Option<Value>,
}

impl TargetError {
    /// An error without a place.
    pub fn new(code: impl Into<String>, what: impl Into<String>) -> TargetError {
        TargetError {
            code: code.into(),
            what: what.into(),
            place: None,
            current: None,
        }
    }
}
