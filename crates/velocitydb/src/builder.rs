//! A question written down step by step. Thin: all of it is a [`Find`] over one [`CollectionView`].
//!
//! ```rust
//! #[derive(serde::Deserialize)]
//! struct Process {
//!     #[serde(rename = "_id")]
//!     id: String,
//!     priority: i64,
//! }
//!
//! let waiting = db
//!     .query("processes")
//!     .filter(Filter::eq("state", "waiting"))
//!     .sort([("priority", Direction::Descending)])
//!     .limit(10)
//!     .project(["priority"])
//!     .timeout(Duration::from_secs(1));
//! for process in waiting.execute_as::<Process>()? {
//!     println!("{}: {}", process.id, process.priority);
//! }
//! println!("{} wait in all; by {}", waiting.count()?, waiting.explain()?);
//! ```
//!
//! Tests: `builder` in tests/it, which runs the example.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use velocitydb_engine::{Document, Error};
use velocitydb_query::plan::Explained;
use velocitydb_query::{
    Aggregated, Cursor, Direction, Filter, Find, Hint, IntoPath, Limits, Nulls,
};
use velocitydb_types::Value;

use crate::database::Database;
use crate::options::{Call, Consistency};
use crate::view::CollectionView;

/// Documents of a page, unless [`Query::limit`] says how many.
const PAGE: usize = 100;

/// A question for documents of a collection, from [`Database::query`]. It can be asked again: each
/// answer is of one state, that of its time.
///
/// Answers are rows: values by name, with `_id`, `_version`, `_index`, `_created_at` and
/// `_updated_at` unless [`Query::project`] says otherwise. [`Query::documents`] gives documents as
/// they are kept.
#[derive(Debug, Clone)]
#[must_use]
pub struct Query {
    db: Database,
    collection: String,
    find: Find,
    call: Call,
    timeout: Option<Duration>,
}

/// A page of an answer.
#[derive(Debug, Clone)]
pub struct QueryPage {
    /// The rows.
    pub rows: Vec<Aggregated>,
    /// Behind what the next page begins; `None` after the last one. Good at any time.
    pub next: Option<Cursor>,
    /// The log index whose state this page shows.
    pub index: u64,
}

impl Database {
    /// A question for the documents of a collection: all of them, until it says otherwise.
    pub fn query(&self, collection: impl Into<String>) -> Query {
        Query {
            db: self.clone(),
            collection: collection.into(),
            find: Find::default(),
            call: Call::new(),
            timeout: None,
        }
    }
}

impl Query {
    /// Those that this filter lets through too. Text stands for times, dates and the like where a
    /// field is declared so; see [`CollectionView::typed`].
    pub fn filter(mut self, filter: Filter) -> Query {
        self.find.filter = match std::mem::take(&mut self.find.filter) {
            Filter::All => filter,
            before => before.and(filter),
        };
        self
    }

    /// By these fields, the first one first; equal ones by id, in the direction of the last field.
    pub fn sort<P: IntoPath>(self, by: impl IntoIterator<Item = (P, Direction)>) -> Query {
        self.with(|find| find.sort(by))
    }

    /// With nulls there in that order.
    pub fn nulls(self, nulls: Nulls) -> Query {
        self.with(|find| find.nulls(nulls))
    }

    /// Without the first so many.
    pub fn offset(self, offset: usize) -> Query {
        self.with(|find| find.offset(offset))
    }

    /// At most so many; for [`Query::page`], on a page.
    pub fn limit(self, limit: usize) -> Query {
        self.with(|find| find.limit(limit))
    }

    /// These paths of each, and its `_id`.
    pub fn project<P: IntoPath>(self, paths: impl IntoIterator<Item = P>) -> Query {
        self.with(|find| find.project(paths))
    }

    /// All of each but these paths.
    pub fn project_without<P: IntoPath>(self, paths: impl IntoIterator<Item = P>) -> Query {
        self.with(|find| find.project_without(paths))
    }

    /// By this index, or by none.
    pub fn hint(self, hint: Hint) -> Query {
        self.with(|find| find.hint(hint))
    }

    /// Bounds what it may keep.
    pub fn limits(self, limits: Limits) -> Query {
        self.with(|find| find.limits(limits))
    }

    /// How far the answer must agree with other nodes.
    pub fn consistency(mut self, consistency: Consistency) -> Query {
        self.call = self.call.consistency(consistency);
        self
    }

    /// Ends with [`Error::QueryTimeout`] when it has taken so long.
    pub fn timeout(mut self, timeout: Duration) -> Query {
        self.timeout = Some(timeout);
        self
    }

    fn with(mut self, change: impl FnOnce(Find) -> Find) -> Query {
        self.find = change(std::mem::take(&mut self.find));
        self
    }

    /// The state that is asked, and the question as its schema has it.
    fn begin(&self) -> Result<(CollectionView, Find), Error> {
        let collection = self.db.collection(&self.collection)?;
        let mut view = collection.with(self.call.clone()).view()?;
        if let Some(timeout) = self.timeout {
            let clock = Arc::clone(&self.db.0.clock);
            let timeout = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
            let until = clock.now().0.saturating_add(timeout);
            view = view.interrupted_by(move || match clock.now().0 >= until {
                true => Err(Error::QueryTimeout),
                false => Ok(()),
            });
        }
        let find = view.typed(self.find.clone());
        Ok((view, find))
    }

    /// The rows.
    pub fn execute(&self) -> Result<Vec<Aggregated>, Error> {
        let (view, find) = self.begin()?;
        let projector = find.projector();
        let found = view.find(&find)?;
        Ok(found.iter().map(|found| projector.row(found)).collect())
    }

    /// The rows as values of a type: a row's JSON must be one of it, so that times, dates and
    /// decimals are texts. A name that begins with `_` is renamed: `#[serde(rename = "_id")]`.
    ///
    /// # Errors
    /// A row that is none, by its id.
    pub fn execute_as<T: DeserializeOwned>(&self) -> Result<Vec<T>, Error> {
        let (view, find) = self.begin()?;
        let found = view.find(&find)?;
        found.iter().map(|found| row_as(&find, found)).collect()
    }

    /// The documents as they are kept, without projection.
    pub fn documents(&self) -> Result<Vec<Document>, Error> {
        let (view, find) = self.begin()?;
        view.find(&find)
    }

    /// The first row.
    pub fn first(&self) -> Result<Option<Aggregated>, Error> {
        let (view, find) = self.begin()?;
        let first = view.find(&first_of(&find))?;
        Ok(first.first().map(|found| find.projector().row(found)))
    }

    /// The first row as a value of a type; see [`Query::execute_as`].
    pub fn first_as<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let (view, find) = self.begin()?;
        let first = view.find(&first_of(&find))?;
        first.first().map(|found| row_as(&find, found)).transpose()
    }

    /// How many documents the filters let through, whatever limit and offset.
    pub fn count(&self) -> Result<u64, Error> {
        let (view, find) = self.begin()?;
        view.count_where(&find.filter)
    }

    /// How it would be answered.
    pub fn explain(&self) -> Result<Explained, Error> {
        let (view, find) = self.begin()?;
        view.explain(&find)
    }

    /// Calls `visit` with the rows, in order, until it answers `false`. Keeps only what has to be
    /// sorted.
    pub fn stream(&self, mut visit: impl FnMut(Aggregated) -> bool) -> Result<(), Error> {
        let (view, find) = self.begin()?;
        let projector = find.projector();
        view.find_each(&find, |document| visit(projector.row(document)))
    }

    /// A page of [`Query::limit`] rows (100 unless set), behind the one that `after` is the
    /// [`QueryPage::next`] of. By id, unless a sort says otherwise. A document that stays is on
    /// exactly one page, whatever is written between the pages.
    pub fn page(&self, after: Option<Cursor>) -> Result<QueryPage, Error> {
        let (view, find) = self.begin()?;
        let size = find.limit.unwrap_or(PAGE);
        // What is left out is left out once.
        let offset = if after.is_some() { 0 } else { find.offset };
        // One more tells whether there is another page.
        let find = find
            .page(after)
            .offset(offset)
            .limit(size.saturating_add(1));
        let mut found = view.find(&find)?;
        let more = found.len() > size;
        found.truncate(size);
        let last = found.last().filter(|_| more);
        let projector = find.projector();
        Ok(QueryPage {
            next: last.map(|last| find.cursor_at(last)),
            rows: found.iter().map(|found| projector.row(found)).collect(),
            index: view.index(),
        })
    }
}

fn first_of(find: &Find) -> Find {
    find.clone()
        .limit(find.limit.map_or(1, |limit| limit.min(1)))
}

fn row_as<T: DeserializeOwned>(find: &Find, document: &Document) -> Result<T, Error> {
    let row = Value::Map(find.projector().row(document));
    let read = serde_json::to_value(&row).and_then(serde_json::from_value);
    read.map_err(|error| {
        let what = format!(
            "the document {} is not of the type asked for: {error}",
            document.id()
        );
        Error::Invalid(what)
    })
}
