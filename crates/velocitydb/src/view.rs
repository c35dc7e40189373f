//! Reading a collection at one log index.

use std::cell::RefCell;
use std::sync::Arc;

use velocitydb_engine::catalog::{Collection as Runtime, Definition, IndexDefinition};
use velocitydb_engine::command::Refusal;
use velocitydb_engine::store::{IndexStats, Partition};
use velocitydb_engine::transaction::Transaction;
use velocitydb_engine::{Document, Error};
use velocitydb_query::plan::{Access, Explained, Meter};
use velocitydb_query::{self as query, Filter, Find, Kept, Pipeline, Plan, QueryError, Unsorted};
use velocitydb_types::{ErrorClass, FieldType, Key, Path, Value};

use crate::database::View;
use crate::input::Id;
use crate::transaction::FreeRows;

/// A collection as it was at the index of its [`View`].
#[derive(Clone)]
pub struct CollectionView {
    pub(crate) view: View,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) interrupt: Option<Interrupt>,
    /// Documents that others have are passed over, before anything is asked of them.
    pub(crate) free: Option<FreeRows>,
}

/// Says whether a query may go on.
pub(crate) type Interrupt = Arc<dyn Fn() -> Result<(), Error> + Send + Sync>;

/// Documents that a query reaches between two questions whether it may go on …
const INTERRUPT_EVERY: u32 = 256;
/// … where it reads the words of each.
const INTERRUPT_EVERY_TEXT: u32 = 8;

/// Asks an interrupt, before the first document and then every [`INTERRUPT_EVERY`], whether a query
/// may go on, and keeps what it said when it may not.
pub(crate) struct Gate<'i> {
    interrupt: Option<&'i Interrupt>,
    every: u32,
    reached: u32,
    pub(crate) outcome: Result<(), Error>,
}

impl<'i> Gate<'i> {
    /// For a query that asks a filter of each document.
    pub(crate) fn new(interrupt: Option<&'i Interrupt>, filter: &Filter) -> Gate<'i> {
        Gate {
            interrupt,
            every: match filter.texts() {
                0 => INTERRUPT_EVERY,
                _ => INTERRUPT_EVERY_TEXT,
            },
            reached: 0,
            outcome: Ok(()),
        }
    }

    /// Asks; whether the query may go on.
    pub(crate) fn asks(&mut self) -> bool {
        if let Some(interrupt) = self.interrupt
            && self.outcome.is_ok()
        {
            self.outcome = interrupt();
        }
        self.outcome.is_ok()
    }

    /// Counts a document that is reached, and asks when it is time to.
    pub(crate) fn passes(&mut self) -> bool {
        if self.interrupt.is_none() {
            return true;
        }
        self.reached = self.reached.wrapping_add(1);
        match self.reached.is_multiple_of(self.every) {
            true => self.asks(),
            false => self.outcome.is_ok(),
        }
    }
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
        let runtime = view.snapshot.catalog().get(view.database, name).cloned();
        let runtime = runtime.ok_or_else(|| Error::UnknownCollection(name.to_owned()))?;
        Ok(CollectionView {
            view: view.clone(),
            runtime,
            interrupt: None,
            free: None,
        })
    }

    /// The same; its queries ask before the first document that they reach, and then every 256 (every
    /// 8 where the words of texts are read), and every 256 rows that a stage of a pipeline makes of those it
    /// keeps, whether they may go on, and end with the error that they are given.
    #[must_use]
    pub fn interrupted_by(
        self,
        interrupt: impl Fn() -> Result<(), Error> + Send + Sync + 'static,
    ) -> CollectionView {
        CollectionView {
            interrupt: Some(Arc::new(interrupt)),
            ..self
        }
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
    pub fn scan(&self, visit: impl FnMut(&Document) -> bool) -> Result<(), Error> {
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
                    documents.push(document.clone());
                    documents.len() < request.limit
                })?
        };
        Ok(Page {
            documents,
            next,
            index: self.index(),
        })
    }

    /// The documents that `find` describes, by the indexes that help.
    pub fn find(&self, find: &Find) -> Result<Vec<Document>, Error> {
        let (mut found, mut outcome) = (Vec::new(), Ok(()));
        let mut kept = Kept::new(find.limits.of_all(&self.view.memory));
        self.find_each(find, |document| {
            outcome = kept.add(size_of::<Document>());
            if outcome.is_ok() {
                found.push(document.clone());
            }
            outcome.is_ok()
        })?;
        outcome.map_err(Failure::Query)?;
        Ok(found)
    }

    /// Calls `visit` with the documents that `find` describes, in order, until it answers
    /// `false`. Keeps only what has to be sorted.
    pub fn find_each(
        &self,
        find: &Find,
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        self.run(find, &mut Meter::default(), visit).map(|_| ())
    }

    fn run(
        &self,
        find: &Find,
        meter: &mut Meter,
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<Plan, Error> {
        self.answer(find, meter, visit).map_err(Error::from)
    }

    /// The one way to documents of a question.
    pub(crate) fn answer(
        &self,
        find: &Find,
        meter: &mut Meter,
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<Plan, Failure> {
        let plan = self.plan(find)?;
        let reach = |visit: &mut dyn FnMut(&Document) -> bool| {
            self.reach(find, &plan, visit).map_err(Failure::Engine)
        };
        find.answer::<Failure>(&plan, meter, Some(&self.view.memory), reach, visit)?;
        Ok(plan)
    }

    /// As [`CollectionView::find_each`], with what a transaction has made of the documents.
    pub(crate) fn find_each_in(
        &self,
        transaction: &Transaction,
        find: &Find,
        visit: impl FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let id = self.runtime.id;
        if !transaction.writes_to(id) {
            return self.find_each(find, visit);
        }
        let plan = self.plan(find).map_err(Failure::Query)?.among_others(find);
        let reach = |visit: &mut dyn FnMut(&Document) -> bool| {
            let mut going = true;
            let unwritten = &mut |document: &Document| {
                if transaction.written(id, document.key_bytes()).is_none() {
                    going = visit(document);
                }
                going
            };
            self.reach(find, &plan, unwritten)
                .map_err(Failure::Engine)?;
            if !going {
                return Ok(());
            }
            let mut gate = Gate::new(self.interrupt.as_ref(), &find.filter);
            let mut visit = |document: &Document| gate.passes() && visit(document);
            match &plan.access {
                Access::Ids { ids } => {
                    let own = |key: &Key| transaction.written(id, key.as_bytes()).flatten();
                    ids.iter().filter_map(own).all(&mut visit);
                }
                Access::Scan if find.unsorted == Unsorted::Habitual && find.sort.is_empty() => {
                    transaction.own_as_inserted(id).all(&mut visit);
                }
                _ => {
                    transaction.own(id).all(&mut visit);
                }
            }
            gate.outcome.map_err(Failure::Engine)
        };
        let meter = &mut Meter::default();
        find.answer::<Failure>(&plan, meter, Some(&self.view.memory), reach, visit)?;
        Ok(())
    }

    /// The plan of a query that is run now.
    fn plan(&self, find: &Find) -> Result<Plan, QueryError> {
        let plan = match &find.remembered {
            Some(remembered) => remembered.plan(&self.runtime, find)?,
            None => query::plan(&self.runtime, find)?,
        };
        if let Some(index) = plan.index() {
            index.note_use(self.view.snapshot.time());
        }
        Ok(plan)
    }

    /// Calls `visit` with each document that a plan reaches, until it answers `false`.
    fn reach(
        &self,
        find: &Find,
        plan: &Plan,
        visit: &mut dyn FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let gate = RefCell::new(Gate::new(self.interrupt.as_ref(), &find.filter));
        if gate.borrow_mut().asks() {
            let goes_on = &mut || gate.borrow_mut().asks();
            let others = |document: &Document| {
                let free = self.free.as_ref();
                free.is_some_and(|free| free.is_taken(document))
            };
            let visit = &mut |document: &Document| {
                gate.borrow_mut().passes() && (others(document) || visit(document))
            };
            plan.visit(&self.view.snapshot, &self.runtime, goes_on, visit)?;
        }
        gate.into_inner().outcome
    }

    /// Whether an index leads to the documents that `find` describes, or their ids.
    pub(crate) fn has_index_for(&self, find: &Find) -> Result<bool, Error> {
        let plan = self.plan(find).map_err(Failure::Query)?;
        Ok(!matches!(plan.access, Access::Scan))
    }

    /// How `find` would be answered.
    pub fn explain(&self, find: &Find) -> Result<Explained, Error> {
        let plan = query::plan(&self.runtime, find).map_err(Failure::Query)?;
        Ok(plan.explain(find, None))
    }

    /// Answers `find`, and how long each step took, with its rows.
    pub fn explain_analyze(&self, find: &Find) -> Result<Explained, Error> {
        let mut meter = Meter {
            timed: true,
            ..Meter::default()
        };
        let plan = self.run(find, &mut meter, |_| true)?;
        Ok(plan.explain(find, Some(&meter)))
    }

    /// How many documents a filter lets through.
    pub fn count_where(&self, filter: &Filter) -> Result<u64, Error> {
        if *filter == Filter::All {
            return self.count();
        }
        let mut count = 0;
        self.find_each(&Find::new(filter.clone()), |_| {
            count += 1;
            true
        })?;
        Ok(count)
    }

    /// The different values that a path leads to in the documents that a filter lets through,
    /// ascending; of an array its elements. Nulls are left out.
    pub fn distinct(&self, path: &Path, find: &Find) -> Result<Vec<Value>, Error> {
        let distinct = || {
            let plan = self.plan(find)?;
            find.distinct(path.clone(), Some(&self.view.memory), |visit| {
                self.reach(find, &plan, visit).map_err(Failure::Engine)
            })
        };
        distinct().map_err(Error::from)
    }

    /// The documents nearest to a place, the nearest first, each with its distance in metres.
    pub fn near(&self, near: &query::Near) -> Result<Vec<(f64, Document)>, Error> {
        let mut gate = Gate::new(self.interrupt.as_ref(), &near.filter);
        if !gate.asks() {
            return gate.outcome.map(|()| Vec::new());
        }
        let goes_on = &mut || gate.passes();
        let view = &self.view;
        let memory = Some(&view.memory);
        let found = near.answer::<Failure>(&view.snapshot, &self.runtime, memory, goes_on);
        gate.outcome.and(found.map_err(Error::from))
    }

    /// The indexes of the collection: what they are, and what they hold now.
    pub fn indexes(&self) -> Vec<(IndexDefinition, IndexStats)> {
        let mut all: Vec<(IndexDefinition, IndexStats)> = Vec::new();
        for index in self.runtime.indexes() {
            let (definition, stats) = (index.definition(), index.stats());
            match all
                .iter_mut()
                .find(|(held, _)| held.name == definition.name)
            {
                Some((_, held)) => *held = held.with_twin(&stats),
                None => all.push((definition.clone(), stats)),
            }
        }
        all
    }
}

impl CollectionView {
    /// The newest partitions of a time-series index, at most so many, the newest first; of another
    /// index none.
    pub fn partitions(&self, index: &str, most: usize) -> Result<Vec<Partition>, Error> {
        let mut indexes = self.runtime.indexes();
        let found = indexes.find(|held| held.definition().name == index);
        let found = found.ok_or_else(|| Refusal::UnknownIndex(index.to_owned()))?;
        Ok(found.partitions(most))
    }

    /// The question with texts turned into the types that the collection declares: JSON says a
    /// time, a date, a UUID, a decimal as text, and text is equal to none of them. `_id` is of the
    /// type of the primary key's field. For all questions that come as text.
    pub fn typed(&self, find: Find) -> Find {
        find.typed(&|path| self.declared(path))
    }

    /// The pipeline, the same way, as long as its rows are documents.
    pub fn typed_pipeline(&self, pipeline: Pipeline) -> Pipeline {
        pipeline.typed(&|path| self.declared(path))
    }

    fn declared(&self, path: &Path) -> Option<FieldType> {
        let definition = self.definition();
        let key = definition.primary_key.as_ref();
        let name = match (path.first(), path.rest()) {
            ("_id", []) => key?.only()?,
            // A part of an id of several fields.
            ("_id", [at]) if key?.only().is_none() => {
                key?.fields().get(at.parse::<usize>().ok()?)?
            }
            (name, []) => name,
            _ => return None,
        };
        definition.schema.field(name).map(|field| field.kind)
    }
}

/// Either side of a query's work.
pub(crate) enum Failure {
    Engine(Error),
    Query(QueryError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Engine(error)
    }
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
            Failure::Query(QueryError::Scalar { sqlstate, message }) => {
                Error::Expression { sqlstate, message }
            }
            Failure::Query(error) => match error.class() {
                ErrorClass::Limit => Error::QueryLimit(error.to_string()),
                ErrorClass::Retry => Error::QueryMemory(error.to_string()),
                _ => Error::Invalid(error.to_string()),
            },
        }
    }
}
