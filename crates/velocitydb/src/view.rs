//! Reading a collection at one log index.

use std::sync::Arc;

use velocitydb_engine::catalog::{Collection as Runtime, Definition};
use velocitydb_engine::{Document, Error};
use velocitydb_query::{Aggregated, Filter, Find, Pipeline, QueryError};
use velocitydb_types::ErrorClass;

use crate::database::View;
use crate::input::Id;

/// A collection as it was at the index of its [`View`].
#[derive(Clone)]
pub struct CollectionView {
    view: View,
    runtime: Arc<Runtime>,
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many documents.
    pub limit: usize,
    /// Where to go on: [`Page::next`] of the page before.
    pub after: Option<u32>,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The documents.
    pub documents: Vec<Document>,
    /// Where to go on; `None` after the last page. A document that stays is on exactly one page,
    /// whatever is written between the pages. Good until the database is opened again.
    pub next: Option<u32>,
    /// The log index whose state this page shows.
    pub index: u64,
}

impl CollectionView {
    pub(crate) fn new(view: &View, name: &str) -> Result<CollectionView, Error> {
        let runtime = view.snapshot.catalog().get(name).cloned();
        let runtime = runtime.ok_or_else(|| Error::UnknownCollection(name.to_owned()))?;
        Ok(CollectionView {
            view: view.clone(),
            runtime,
        })
    }

    /// The log index whose state this is.
    pub fn index(&self) -> u64 {
        self.view.index()
    }

    /// What the collection was.
    pub fn definition(&self) -> &Definition {
        &self.runtime.definition
    }

    /// The document of this id.
    pub fn get<'a>(&self, id: impl Into<Id<'a>>) -> Result<Option<Document>, Error> {
        let id = id.into();
        let key = id.key()?;
        self.view.snapshot.get(&self.runtime, key.as_bytes())
    }

    /// How many documents there are.
    pub fn count(&self) -> Result<u64, Error> {
        self.view.snapshot.count(&self.runtime)
    }

    /// Calls `visit` with each document, about in the order of insertion, until it answers
    /// `false`.
    pub fn scan(&self, visit: impl FnMut(Document) -> bool) -> Result<(), Error> {
        self.view.snapshot.scan(&self.runtime, 0, visit).map(|_| ())
    }

    /// A page of documents.
    pub fn list(&self, request: &PageRequest) -> Result<Page, Error> {
        let mut documents = Vec::new();
        let next = if request.limit == 0 {
            request.after.or(Some(0))
        } else {
            self.view
                .snapshot
                .scan(&self.runtime, request.after.unwrap_or(0), |document| {
                    documents.push(document);
                    documents.len() < request.limit
                })?
        };
        Ok(Page {
            documents,
            next,
            index: self.index(),
        })
    }

    /// The documents that `find` describes.
    pub fn find(&self, find: &Find) -> Result<Vec<Document>, Error> {
        find.run(|visit| self.scan(visit).map_err(Failure::Engine))
            .map_err(Error::from)
    }

    /// How many documents a filter lets through.
    pub fn count_where(&self, filter: &Filter) -> Result<u64, Error> {
        filter
            .check()
            .map_err(|error| Error::from(Failure::Query(error)))?;
        let mut count = 0;
        self.scan(|document| {
            count += u64::from(filter.matches(&document));
            true
        })?;
        Ok(count)
    }

    /// Runs an aggregation pipeline over the documents.
    pub fn aggregate(&self, pipeline: &Pipeline) -> Result<Vec<Aggregated>, Error> {
        pipeline
            .run(|visit| self.scan(visit).map_err(Failure::Engine))
            .map_err(Error::from)
    }
}

/// Either side of a query's work.
enum Failure {
    Engine(Error),
    Query(QueryError),
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::Query(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Engine(error) => error,
            Failure::Query(error) => match error.class() {
                ErrorClass::Limit => Error::QueryLimit(error.to_string()),
                _ => Error::Invalid(error.to_string()),
            },
        }
    }
}
