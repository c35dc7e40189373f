//! Running pipelines: over a snapshot, with the other collections that `$lookup` reads at the same
//! log index, and `$out`, which writes the rows into a collection (`$merge`: `merge`).
//!
//! A pipeline's first filter and a sort behind it are planned as a find
//! ([`Pipeline::beginning`]). Tests: `aggregates` in tests/it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use velocitydb_engine::catalog::Collection as Runtime;
use velocitydb_engine::command::Refusal;
use velocitydb_engine::{Document, Error};
use velocitydb_query::plan::{Access, Explained, Meter, Step};
use velocitydb_query::{
    self as query, Aggregated, Collections, Filter, Find, Kept, Output, Pipeline, Plan, QueryError,
    QueryMemory,
};
use velocitydb_types::{Fields, Key, Path, RawMap, Timestamp, Value};

use crate::batch::{Batch, refused};
use crate::collection::Collection;
use crate::database::{Answer, Database};
use crate::doors::take_metadata;
use crate::input::{Input, resolve};
use crate::view::{CollectionView, Failure};

/// A batch of `$out` or `$merge` has at most so many documents …
pub(crate) const BATCH_ROWS: usize = 1000;
/// … and ends with the one that brings it to so many bytes.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

impl CollectionView {
    /// Runs an aggregation pipeline over the documents. Those of a filter and a sort at its
    /// beginning are found as by [`CollectionView::find`]; `$lookup` reads other collections at the
    /// same log index.
    ///
    /// # Errors
    /// Beside those of [`Pipeline::run`]: `$out` and `$merge`, since a view only reads; a collection
    /// of `$lookup` that is not there.
    pub fn aggregate(&self, pipeline: &Pipeline) -> Result<Vec<Aggregated>, Error> {
        match pipeline.out() {
            None => self
                .rows(pipeline, &mut Meter::default())
                .map(|(rows, _)| rows),
            Some(output) => Err(Error::Invalid(format!(
                "{}: the rows cannot be written into {:?} from a view of {:?}, which is \
                 read-only; run the pipeline on the collection itself",
                output.stage(),
                output.collection(),
                self.definition().name
            ))),
        }
    }

    /// The rows, and how the documents were found.
    fn rows(
        &self,
        pipeline: &Pipeline,
        meter: &mut Meter,
    ) -> Result<(Vec<Aggregated>, Option<Plan>), Error> {
        let others = Others {
            view: self,
            failed: RefCell::default(),
        };
        let mut plan = None;
        let rows = pipeline.run_planned(&others, |find, visit| {
            plan = Some(self.answer(find, meter, visit).map_err(of_sort)?);
            Ok::<_, Failure>(())
        });
        match others.failed.into_inner() {
            Some(error) => Err(error),
            None => Ok((rows?, plan)),
        }
    }

    /// How the documents of a pipeline would be found, and the stages that are left to do with
    /// them.
    pub fn explain_aggregate(&self, pipeline: &Pipeline) -> Result<Explained, Error> {
        pipeline.check().map_err(Failure::Query)?;
        let (find, _) = pipeline.beginning();
        Ok(with_stages(pipeline, self.explain(&find)?))
    }

    /// Runs a pipeline, and what its steps did; the time of the stages is part of that of the step
    /// that reaches documents. Nothing is written.
    pub fn explain_analyze_aggregate(&self, pipeline: &Pipeline) -> Result<Explained, Error> {
        let mut meter = Meter {
            timed: true,
            ..Meter::default()
        };
        let (_, plan) = self.rows(pipeline, &mut meter)?;
        let (find, _) = pipeline.beginning();
        let plan = plan.map(|plan| plan.explain(&find, Some(&meter)));
        let explained = plan.map_or_else(|| self.explain(&find), Ok)?;
        Ok(with_stages(pipeline, explained))
    }
}

/// Puts the stages of a pipeline that are left above the plan of its beginning.
fn with_stages(pipeline: &Pipeline, mut explained: Explained) -> Explained {
    // The limit takes part in the choice; what is done is its stage.
    explained.steps.retain(|step| step.name != "limit");
    let (_, stages) = pipeline.beginning();
    let stages = stages.iter().rev().map(|stage| Step {
        name: stage.name(),
        detail: stage.name().to_owned(),
        guessed: None,
        rows: None,
        ns: None,
    });
    explained.steps.splice(..0, stages);
    explained
}

/// A find inside a pipeline keeps something only to sort it.
fn of_sort(failure: Failure) -> Failure {
    match failure {
        Failure::Query(
            error @ (QueryError::TooManyRows { .. }
            | QueryError::TooManyBytes { .. }
            | QueryError::MemoryOfAll { .. }),
        ) => Failure::Query(of_stage("$sort", error)),
        failure => failure,
    }
}

fn of_stage(stage: &'static str, error: QueryError) -> QueryError {
    QueryError::Stage {
        stage,
        source: Box::new(error),
    }
}

/// What a pipeline asks of its database: what `$lookup` reads, and whether it may go on.
struct Others<'v> {
    view: &'v CollectionView,
    /// The first error of the database, which says more than that of the pipeline it ends.
    failed: RefCell<Option<Error>>,
}

impl Others<'_> {
    fn named(&self, name: &str) -> Result<CollectionView, Error> {
        let other = self.view.view.collection(name)?;
        Ok(CollectionView {
            interrupt: self.view.interrupt.clone(),
            ..other
        })
    }

    /// Keeps an error of the database, and ends the pipeline.
    fn fail(&self, collection: &str, error: Error) -> QueryError {
        let refused = QueryError::Collection {
            name: collection.to_owned(),
            reason: error.to_string(),
            class: error.class(),
        };
        self.failed.borrow_mut().get_or_insert(error);
        refused
    }

    fn visit(
        &self,
        collection: &str,
        filter: &Filter,
        visit: &mut dyn FnMut(&Document) -> bool,
    ) -> Result<(), Error> {
        let other = self.named(collection)?;
        match filter {
            Filter::Eq(path, id) if is_id(path) => {
                // A value that can be no id is that of no document.
                if let Ok(key) = Key::from_shown(id)
                    && let Some(document) = other.get(&key)?
                {
                    visit(&document);
                }
                Ok(())
            }
            filter => other.find_each(&Find::new(filter.clone()), visit),
        }
    }
}

impl Collections for Others<'_> {
    fn memory(&self) -> Option<&Arc<QueryMemory>> {
        Some(&self.view.view.memory)
    }

    fn is_indexed(&self, collection: &str, path: &Path) -> bool {
        let Ok(other) = self.named(collection) else {
            return false;
        };
        // Asked for some value: whether an index wins depends on the path and on how many there are.
        let find = Find::new(Filter::Eq(path.clone(), Value::Int(0)));
        let plan = query::plan(&other.runtime, &find);
        plan.is_ok_and(|plan| !matches!(plan.access, Access::Scan))
    }

    fn find(
        &self,
        collection: &str,
        filter: &Filter,
        visit: &mut dyn FnMut(&Document) -> bool,
    ) -> Result<(), QueryError> {
        let visited = self.visit(collection, filter, visit);
        visited.map_err(|error| self.fail(collection, error))
    }

    fn goes_on(&self) -> Result<(), QueryError> {
        let asked = self.view.interrupt.as_ref().map_or(Ok(()), |ask| ask());
        asked.map_err(|error| self.fail(&self.view.definition().name, error))
    }
}

fn is_id(path: &Path) -> bool {
    path.first() == "_id" && path.rest().is_empty()
}

impl Collection {
    /// Runs an aggregation pipeline over the documents.
    ///
    /// With `$out` the rows replace the content of the collection of that name, which is created
    /// where it is not there, and the answer is one row: its name, and how many documents were
    /// written. A row's `_id` is the document's id; without one, or with null, it is given a new one.
    /// All rows are made, and judged by the schema, a retention and the bounds of indexes, before
    /// anything is written. Then removing the old documents is one atomic step, and each batch of new
    /// ones (1,000, or 4 MiB) is one: who reads meanwhile sees a part. What is refused after that, say
    /// by a unique index or for want of memory, leaves the batches before it, and not the old documents.
    ///
    /// With `$merge` each row goes into the collection by itself: into the document of its `_id`, or
    /// as a new one ([`Merge`](velocitydb_query::Merge)). The collection is created where it is not
    /// there and rows may be inserted. The answer is one row: its name, and how many rows were
    /// `inserted`, `replaced`, `merged` and `left`. All rows are made, and judged with the documents
    /// as they are, before anything is written; then each batch is one atomic step, which sees what
    /// others have written since. What is refused after that leaves the batches before it; the
    /// pipeline can be run again.
    pub fn aggregate(&self, pipeline: &Pipeline) -> Result<Vec<Aggregated>, Error> {
        self.aggregate_view(self.view()?, pipeline)
    }

    /// As [`Collection::aggregate`], over a view of it: one that is interrupted, say.
    pub fn aggregate_view(
        &self,
        view: CollectionView,
        pipeline: &Pipeline,
    ) -> Result<Vec<Aggregated>, Error> {
        if pipeline.out().is_none() {
            return view.aggregate(pipeline);
        }
        Ok(self.aggregate_out(view, pipeline)?.value)
    }

    /// As [`Collection::aggregate_view`], of a pipeline with `$out` or `$merge`; with what was really
    /// given to the last of its writes.
    pub fn aggregate_out(
        &self,
        view: CollectionView,
        pipeline: &Pipeline,
    ) -> Result<Answer<Vec<Aggregated>>, Error> {
        let Some(output) = pipeline.out() else {
            let what = "the pipeline does not end with $out or $merge";
            return Err(Error::Invalid(what.into()));
        };
        let stage = output.stage();
        if self.call().idempotency.is_some() {
            return Err(Error::Invalid(format!(
                "{stage} makes several writes, and an idempotency key is for one: a pipeline that \
                 is run again writes the same anew"
            )));
        }
        let (rows, _) = view.rows(pipeline, &mut Meter::default())?;
        // The stages have given back what they kept, and these are here until all are written.
        let mut kept = Kept::new(pipeline.limits.of_all(&view.view.memory));
        let rows = identified(stage, rows, &mut kept)?;
        let answer = match output {
            Output::Out(name) => {
                self.judge(name, &rows)?;
                // Its snapshot keeps what is about to be replaced.
                drop(view);
                let documents = rows.len() as u64;
                let written = self.replace_all(name, rows)?;
                written.map(|()| Aggregated::from([("documents".to_owned(), documents.into())]))
            }
            Output::Merge(merge) => {
                let index = view.index();
                drop(view);
                self.merge(merge, &rows, index)?
            }
        };
        let name = ("collection".to_owned(), output.collection().into());
        Ok(answer.map(|row| vec![row.into_iter().chain([name]).collect()]))
    }

    /// Refuses rows that the collection `name`, if it is there, would refuse whatever it holds, and
    /// two of one id.
    fn judge(&self, name: &str, rows: &[(Option<Key>, Fields)]) -> Result<(), Error> {
        let inner = self.inner();
        let runtime = match inner.runtime(name) {
            Ok(runtime) => Some(runtime),
            Err(Error::UnknownCollection(_)) => None,
            Err(error) => return Err(error),
        };
        let (now, mut seen) = (inner.begin(self.call())?, Seen::new("$out"));
        for (at, (id, fields)) in rows.iter().enumerate() {
            let key = match &runtime {
                None => id.clone(),
                Some(runtime) => Some(self.fits(runtime, at, id.as_ref(), fields, now)?),
            };
            seen.take(at, key)?;
        }
        Ok(())
    }

    /// Refuses a row that a collection would not take as a document of this id, if it has one
    /// already; the answer is its id.
    pub(crate) fn fits(
        &self,
        runtime: &Runtime,
        at: usize,
        id: Option<&Key>,
        fields: &Fields,
        now: Timestamp,
    ) -> Result<Key, Error> {
        let input = Input::from(fields);
        let random = &self.inner().random;
        let resolved = resolve(runtime, &input, id, now, random);
        let (key, fields) = resolved.map_err(|error| at_row(at, error))?;
        let (schema, fields) = (&runtime.definition.schema, RawMap::trusted(&fields));
        let fits = schema.check(fields).map_err(Refusal::Schema);
        let fits = fits.and_then(|()| runtime.kept_until(fields, now));
        let fits = fits.and_then(|_| runtime.check_index_keys(key.as_bytes(), fields));
        fits.map_err(|refusal| refused(at, refusal))?;
        Ok(key.into_owned())
    }

    /// Puts `rows` in place of what the collection `name` holds.
    fn replace_all(
        &self,
        name: &str,
        rows: Vec<(Option<Key>, Fields)>,
    ) -> Result<Answer<()>, Error> {
        let db = Database(self.inner());
        let mut answer = match db.collection(name) {
            Ok(out) => out.with(self.call().clone()).truncate()?,
            Err(Error::UnknownCollection(_)) => {
                let definition = crate::Definition::new(name);
                let created = db.create_collection_with(definition, self.call())?;
                created.map(|_| ())
            }
            Err(error) => return Err(error),
        };
        let begin = || Batch::atomic().expires(self.call().expires);
        let (mut batch, mut bytes) = (begin(), 0);
        let mut written = 0;
        let mut write = |batch: Batch<'_>| {
            let count = batch.len();
            if count > 0 {
                let made = db.batch_with(batch, self.call());
                let made = made.map_err(|error| at_row(written, error))?;
                answer = made.map(|_| ());
                written += count;
            }
            Ok::<_, Error>(())
        };
        for (id, fields) in rows {
            bytes += fields.as_bytes().len();
            batch = match id {
                Some(id) => batch.insert_with_id(name, id, fields),
                None => batch.insert(name, fields),
            };
            if batch.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
                write(std::mem::replace(&mut batch, begin()))?;
                bytes = 0;
            }
        }
        write(batch)?;
        Ok(answer)
    }
}

/// The ids of rows: each may come once.
pub(crate) struct Seen {
    stage: &'static str,
    ids: HashSet<Key>,
}

impl Seen {
    pub(crate) fn new(stage: &'static str) -> Seen {
        let ids = HashSet::new();
        Seen { stage, ids }
    }

    /// Takes the id of a row; one that is given a new id has none.
    pub(crate) fn take(&mut self, at: usize, id: Option<Key>) -> Result<(), Error> {
        match id.and_then(|id| self.ids.replace(id)) {
            None => Ok(()),
            Some(id) => Err(Error::Invalid(format!(
                "{}: row {at}: another row has the id {id} too",
                self.stage
            ))),
        }
    }
}

/// The error with the number of the row, of which there were so many before.
fn at_row(before: usize, error: Error) -> Error {
    match error {
        Error::Refused { operation, refusal } => Error::Refused {
            operation: before + operation,
            refusal,
        },
        error => error,
    }
}

/// Rows as documents: their ids, and the rest of them. They are kept.
fn identified(
    stage: &'static str,
    rows: Vec<Aggregated>,
    kept: &mut Kept,
) -> Result<Vec<(Option<Key>, Fields)>, Error> {
    let rows = rows.into_iter().enumerate();
    let document = |(at, mut row): (usize, Aggregated)| {
        let wrong = |what: String| Error::Invalid(format!("{stage}: row {at}: {what}"));
        let id = take_metadata(&mut row).filter(|id| !id.is_null());
        let id = id.map(|id| {
            Key::from_shown(&id).map_err(|error| {
                wrong(format!(
                    "its _id cannot be that of a document: {error}; make an array of its parts, or \
                     give it another name, as with $by in place of _id in a $group"
                ))
            })
        });
        let id = id.transpose()?;
        let fields = Fields::from_map(&row).map_err(|error| wrong(error.to_string()))?;
        // The id once more, among those that were seen.
        let key = 2 * (size_of::<Key>() + id.as_ref().map_or(0, |id| id.as_bytes().len()));
        let counted = kept.add(key + size_of::<Fields>() + fields.as_bytes().len());
        counted.map_err(|error| Failure::Query(of_stage(stage, error)))?;
        Ok((id, fields))
    };
    rows.map(document).collect()
}
