//! Aggregation: a pipeline of stages that makes rows of documents.
//!
//! ```text
//!   documents ──► match ──► group ──► sort ──► limit ──► rows
//! ```
//!
//! A row is pushed from stage to stage (`sink`). Match, project, unwind, skip and limit hand each
//! row on at once; group, sort and count keep what they need and hand on when the input has
//! ended. Documents stay encoded until a stage changes them. A sort before a limit keeps no
//! more rows than the limit needs, and a limit that is full ends the scan. What a pipeline begins
//! with that a find can answer, an index may answer (`beginning`).
//!
//! One file for each stage that has something to itself: `group` with `accumulator` and `sum`,
//! `bucket`, `reshape` (project, add fields, select, unwind), `lookup`, `window`, `densify` and `fill`
//! (all three with `partition`), `facet`, `output` (where rows go); the short ones are in `sink`. What is computed of a row is an [`Expression`]. Tests: `pipeline/tests.rs`;
//! `language/tests` has one script for each stage, as JSON.

mod accumulator;
mod beginning;
mod bucket;
mod densify;
mod facet;
mod fill;
mod group;
mod input;
mod lookup;
mod output;
mod partition;
mod reshape;
mod sink;
mod sum;
#[cfg(test)]
mod tests;
mod window;

pub use accumulator::{Accumulator, Share};
pub use bucket::{BUCKETS_MAX, Bucket, BucketAuto};
pub use densify::{Densify, DensifyBounds, DensifyStep};
pub use fill::{Fill, FillWith};
pub use group::Group;
pub use lookup::{Collections, Lookup};
pub use output::{Merge, Output, WhenMatched, WhenNotMatched};
pub use reshape::Unwind;
pub use window::{Frame, WINDOW_ROWS_MAX, Window, WindowFunction};

pub(crate) use lookup::NoCollections;
pub(crate) use sum::Sum;

use std::collections::BTreeSet;

use velocitydb_engine::Document;
use velocitydb_types::Path;

use crate::error::QueryError;
use crate::expression::Expression;
use crate::filter::{Filter, TypeOf};
use crate::find::sort_fields;
use crate::limits::{Allowance, Kept, Limits};
use crate::path::{IntoPath, Wrong};
use crate::projection::Projection;
use crate::row::{Aggregated, Kind, Row};
use crate::sort::Direction;
use sink::Flow;

/// How many stages a pipeline may have.
pub const STAGES_MAX: usize = 100;

/// One step of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The rows that a filter lets through.
    Match(Filter),
    /// Rows of these values in these places; a field that is absent stays absent.
    Project(Vec<(Path, Expression)>),
    /// These values besides what the row has, or in its place.
    AddFields(Vec<(Path, Expression)>),
    /// Some parts of the rows, or all but some.
    Select(Projection),
    /// One row for each group of rows.
    Group(Group),
    /// One row for each range of a value.
    Bucket(Bucket),
    /// One row for each range of a value, about as many rows in each.
    BucketAuto(BucketAuto),
    /// The rows by these fields, the first one first; documents that are equal in them by id, in the
    /// direction of the last field, other rows as they came.
    Sort(Vec<(Path, Direction)>),
    /// All rows but the first few.
    Skip(usize),
    /// The first few rows.
    Limit(usize),
    /// One row: how many there were, by this name.
    Count(String),
    /// For each element of an array a row with the element in the array's place.
    Unwind(Unwind),
    /// The rows, each with documents of another collection.
    Lookup(Lookup),
    /// The rows, each with values computed of those around it.
    Window(Window),
    /// The rows, and others where a sequence has gaps.
    Densify(Densify),
    /// The rows, with values where fields are null or absent.
    Fill(Fill),
    /// One row: by these names what these stages make of the rows.
    Facet(Vec<(String, Vec<Stage>)>),
    /// The last stage: the rows go into the collection of this name. The pipeline only says so
    /// ([`Pipeline::out`]); whoever runs it writes them.
    Out(String),
    /// The last stage: each row goes into a collection by itself. As with [`Stage::Out`], the
    /// pipeline only says so.
    Merge(Merge),
}

/// Stages, in order.
///
/// ```text
///   Pipeline::new()
///       .filter(Filter::gt("distance", 500))
///       .group(Group::new().by("carrier", "carrier").avg("delay", "dep_delay"))
///       .sort([("delay", Direction::Descending)])
///       .limit(5)
/// ```
///
/// While rows are documents, paths may name metadata (`_id`, …). After a project, a group or a count
/// they name what that stage has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Pipeline {
    /// The stages, the first one first.
    pub stages: Vec<Stage>,
    /// How much each stage may keep, and how long the answer may be.
    pub limits: Limits,
    wrong: Wrong,
}

impl Pipeline {
    /// A pipeline that answers all documents.
    pub fn new() -> Pipeline {
        Pipeline::default()
    }

    /// Adds a stage.
    pub fn stage(mut self, stage: Stage) -> Pipeline {
        self.stages.push(stage);
        self
    }

    /// Adds a [`Stage::Match`].
    pub fn filter(self, filter: Filter) -> Pipeline {
        self.stage(Stage::Match(filter))
    }

    /// Adds a [`Stage::Project`] of names and paths.
    pub fn project<N: Into<String>, P: IntoPath>(
        mut self,
        fields: impl IntoIterator<Item = (N, P)>,
    ) -> Pipeline {
        let fields = fields.into_iter().filter_map(|(name, path)| {
            let field = self.wrong.take(Expression::field(path))?;
            Some((Path::field(name), field))
        });
        let fields = fields.collect();
        self.stage(Stage::Project(fields))
    }

    /// Adds a [`Stage::Project`] of paths and what is computed for them.
    pub fn compute<P: IntoPath>(
        mut self,
        fields: impl IntoIterator<Item = (P, Expression)>,
    ) -> Pipeline {
        let fields = computed(fields, &mut self.wrong);
        self.stage(Stage::Project(fields))
    }

    /// Adds a [`Stage::AddFields`].
    pub fn add_fields<P: IntoPath>(
        mut self,
        fields: impl IntoIterator<Item = (P, Expression)>,
    ) -> Pipeline {
        let fields = computed(fields, &mut self.wrong);
        self.stage(Stage::AddFields(fields))
    }

    /// Adds a [`Stage::Select`].
    pub fn select(self, projection: Projection) -> Pipeline {
        self.stage(Stage::Select(projection))
    }

    /// Adds a [`Stage::Select`] of all but these paths.
    pub fn unset<P: IntoPath>(mut self, paths: impl IntoIterator<Item = P>) -> Pipeline {
        match self.wrong.take(Projection::exclude(paths)) {
            Some(projection) => self.select(projection),
            None => self,
        }
    }

    /// Adds a [`Stage::Bucket`].
    pub fn bucket(self, bucket: Bucket) -> Pipeline {
        self.stage(Stage::Bucket(bucket))
    }

    /// Adds a [`Stage::Lookup`] of the documents of `from` whose `foreign` equals `local`.
    pub fn lookup(
        mut self,
        from: impl Into<String>,
        local: impl IntoPath,
        foreign: impl IntoPath,
        name: impl IntoPath,
    ) -> Pipeline {
        let mut take = |path: Result<Path, QueryError>| self.wrong.take(path);
        let paths = (
            take(local.into_path()),
            take(foreign.into_path()),
            take(name.into_path()),
        );
        let (Some(local), Some(foreign), Some(name)) = paths else {
            return self;
        };
        self.stage(Stage::Lookup(Lookup {
            from: from.into(),
            local,
            foreign,
            name,
        }))
    }

    /// Adds a [`Stage::Window`].
    pub fn window(self, window: Window) -> Pipeline {
        self.stage(Stage::Window(window))
    }

    /// Adds a [`Stage::Densify`].
    pub fn densify(self, densify: Densify) -> Pipeline {
        self.stage(Stage::Densify(densify))
    }

    /// Adds a [`Stage::Fill`].
    pub fn fill(self, fill: Fill) -> Pipeline {
        self.stage(Stage::Fill(fill))
    }

    /// Adds a [`Stage::Facet`] of pipelines by name.
    pub fn facet<N: Into<String>>(
        mut self,
        pipelines: impl IntoIterator<Item = (N, Pipeline)>,
    ) -> Pipeline {
        let inside = pipelines.into_iter().map(|(name, pipeline)| {
            self.wrong.take(pipeline.wrong.check());
            (name.into(), pipeline.stages)
        });
        let inside = inside.collect();
        self.stage(Stage::Facet(inside))
    }

    /// Adds a [`Stage::Out`].
    pub fn into_collection(self, name: impl Into<String>) -> Pipeline {
        self.stage(Stage::Out(name.into()))
    }

    /// Adds a [`Stage::Merge`].
    pub fn merge_into(self, merge: Merge) -> Pipeline {
        self.stage(Stage::Merge(merge))
    }

    /// Adds a [`Stage::Group`].
    pub fn group(self, group: Group) -> Pipeline {
        self.stage(Stage::Group(group))
    }

    /// Adds a [`Stage::Sort`].
    pub fn sort<P: IntoPath>(mut self, by: impl IntoIterator<Item = (P, Direction)>) -> Pipeline {
        let by = sort_fields(by, &mut self.wrong);
        self.stage(Stage::Sort(by))
    }

    /// Adds a [`Stage::Skip`].
    pub fn skip(self, rows: usize) -> Pipeline {
        self.stage(Stage::Skip(rows))
    }

    /// Adds a [`Stage::Limit`].
    pub fn limit(self, rows: usize) -> Pipeline {
        self.stage(Stage::Limit(rows))
    }

    /// Adds a [`Stage::Count`].
    pub fn count(self, name: impl Into<String>) -> Pipeline {
        self.stage(Stage::Count(name.into()))
    }

    /// Adds a [`Stage::Unwind`].
    pub fn unwind(mut self, path: impl IntoPath) -> Pipeline {
        match self.wrong.take(Unwind::new(path)) {
            Some(unwind) => self.stage(Stage::Unwind(unwind)),
            None => self,
        }
    }

    /// Bounds what each stage may keep, and the answer.
    pub fn limits(mut self, limits: Limits) -> Pipeline {
        self.limits = limits;
        self
    }

    /// The pipeline with the values of declared types in the filters that are given documents; see
    /// [`Filter::typed`].
    pub fn typed(mut self, type_of: TypeOf<'_>) -> Pipeline {
        let mut kind = Kind::Documents;
        for stage in &mut self.stages {
            kind = stage.makes(kind);
            match stage {
                Stage::Match(filter) if kind == Kind::Documents => {
                    *filter = std::mem::take(filter).typed(type_of);
                }
                _ => {}
            }
        }
        self
    }

    /// The collection that the rows go into, and how, if the pipeline says so. This is what tells a
    /// pipeline that writes from one that only reads.
    pub fn out(&self) -> Option<Output<'_>> {
        match self.stages.last() {
            Some(Stage::Out(name)) => Some(Output::Out(name)),
            Some(Stage::Merge(merge)) => Some(Output::Merge(merge)),
            _ => None,
        }
    }

    /// Whether the pipeline can be run.
    ///
    /// # Errors
    /// Too many stages, a text that was no path, unknown metadata, a filter that
    /// [`Filter::check`] refuses, an output name that is empty or given twice, a stage that makes
    /// no sense where it is.
    pub fn check(&self) -> Result<(), QueryError> {
        self.wrong.check()?;
        let count = count_stages(&self.stages);
        if count > STAGES_MAX {
            return Err(QueryError::TooManyStages { count });
        }
        check_stages(&self.stages, Kind::Documents, Inside::Pipeline)
    }

    /// Runs the stages over the documents that `scan` gives to its argument, one by one, until
    /// that answers `false`. Without a sort, groups come in the order in which they first
    /// appeared. There are no other collections to look into.
    ///
    /// # Errors
    /// What [`Pipeline::check`] refuses, before the scan; the scan's own; a sum over something
    /// that is no number, or beyond a decimal; an expression without a value; and
    /// [`QueryError::TooManyRows`] or [`QueryError::TooManyBytes`] when a stage (then inside
    /// [`QueryError::Stage`]), or the answer, is beyond [`Limits`].
    pub fn run<E: From<QueryError>>(
        &self,
        scan: impl FnOnce(&mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Aggregated>, E> {
        self.run_with(&NoCollections, scan)
    }

    /// As [`Pipeline::run`], with other collections to look into.
    ///
    /// # Errors
    /// As [`Pipeline::run`], and those of the collections.
    pub fn run_with<E: From<QueryError>>(
        &self,
        collections: &dyn Collections,
        scan: impl FnOnce(&mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Aggregated>, E> {
        self.check()?;
        self.run_stages(&self.stages, collections, scan)
    }

    fn run_stages<E: From<QueryError>>(
        &self,
        stages: &[Stage],
        collections: &dyn Collections,
        scan: impl FnOnce(&mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Aggregated>, E> {
        let allowed = Allowance {
            limits: self.limits,
            memory: collections.memory(),
        };
        let mut sink = sink::chain(stages, allowed, collections, Kept::new(allowed));
        let mut outcome = Ok(Flow::More);
        scan(&mut |document| {
            outcome = sink.push(Row::from(document));
            matches!(outcome, Ok(Flow::More))
        })?;
        outcome?;
        Ok(sink.finish()?)
    }
}

/// Paths and what is computed for them.
fn computed<P: IntoPath>(
    fields: impl IntoIterator<Item = (P, Expression)>,
    wrong: &mut Wrong,
) -> Vec<(Path, Expression)> {
    let fields = fields.into_iter();
    fields
        .filter_map(|(path, expression)| Some((wrong.take(path.into_path())?, expression)))
        .collect()
}

/// How many stages there are, those inside facets included.
fn count_stages(stages: &[Stage]) -> usize {
    let counts = stages.iter().map(|stage| match stage {
        Stage::Facet(inside) => {
            1 + inside
                .iter()
                .map(|(_, stages)| stages.len().max(1))
                .sum::<usize>()
        }
        _ => 1,
    });
    counts.sum()
}

/// Where stages stand.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Pipeline,
    Facet,
}

fn check_stages(stages: &[Stage], mut kind: Kind, inside: Inside) -> Result<(), QueryError> {
    for (at, stage) in stages.iter().enumerate() {
        let misplaced = |problem: &str| QueryError::InvalidStage {
            stage: stage.name(),
            problem: problem.to_owned(),
        };
        match stage {
            Stage::Facet(_) if inside == Inside::Facet => {
                return Err(misplaced("a facet cannot stand in another"));
            }
            Stage::Out(_) | Stage::Merge(_) if inside == Inside::Facet || at + 1 < stages.len() => {
                return Err(misplaced("it is the last stage of a pipeline"));
            }
            _ => stage.check(kind)?,
        }
        kind = stage.makes(kind);
    }
    Ok(())
}

impl Stage {
    /// The stage's name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Stage::Match(_) => "$match",
            Stage::Project(_) | Stage::Select(_) => "$project",
            Stage::AddFields(_) => "$addFields",
            Stage::Group(_) => "$group",
            Stage::Bucket(_) => "$bucket",
            Stage::BucketAuto(_) => "$bucketAuto",
            Stage::Sort(_) => "$sort",
            Stage::Skip(_) => "$skip",
            Stage::Limit(_) => "$limit",
            Stage::Count(_) => "$count",
            Stage::Unwind(_) => "$unwind",
            Stage::Lookup(_) => "$lookup",
            Stage::Window(_) => "$window",
            Stage::Densify(_) => "$densify",
            Stage::Fill(_) => "$fill",
            Stage::Facet(_) => "$facet",
            Stage::Out(_) => "$out",
            Stage::Merge(_) => "$merge",
        }
    }

    /// Whether it hands on many rows when one has come, or when none comes any more.
    fn makes_rows(&self) -> bool {
        match self {
            Stage::Group(_)
            | Stage::Sort(_)
            | Stage::Unwind(_)
            | Stage::Window(_)
            | Stage::Densify(_)
            | Stage::Fill(_) => true,
            Stage::Match(_)
            | Stage::Project(_)
            | Stage::AddFields(_)
            | Stage::Select(_)
            | Stage::Bucket(_)
            | Stage::BucketAuto(_)
            | Stage::Skip(_)
            | Stage::Limit(_)
            | Stage::Count(_)
            | Stage::Lookup(_)
            | Stage::Facet(_)
            | Stage::Out(_)
            | Stage::Merge(_) => false,
        }
    }

    /// What kind of rows it makes of rows of this kind.
    fn makes(&self, kind: Kind) -> Kind {
        match self {
            Stage::Match(_)
            | Stage::Sort(_)
            | Stage::Skip(_)
            | Stage::Limit(_)
            | Stage::Out(_)
            | Stage::Merge(_) => kind,
            Stage::Unwind(unwind) if unwind.index.is_none() => kind,
            _ => Kind::Rows,
        }
    }

    fn check(&self, kind: Kind) -> Result<(), QueryError> {
        match self {
            Stage::Match(filter) => filter.check_for(kind),
            Stage::Project(fields) | Stage::AddFields(fields) => {
                check_outputs(fields.iter().map(|(path, _)| path.clone()))?;
                fields.iter().try_for_each(|(_, value)| value.check(kind))
            }
            Stage::Select(projection) => projection.check(kind),
            Stage::Group(group) => group.check(kind),
            Stage::Bucket(bucket) => bucket.check(kind),
            Stage::BucketAuto(bucket) => bucket.check(kind),
            Stage::Sort(by) => by.iter().try_for_each(|(path, _)| kind.check(path)),
            Stage::Count(name) => check_names([name]),
            Stage::Unwind(unwind) => {
                let first = unwind.path.first().to_owned();
                check_names(unwind.index.iter().chain([&first]))?;
                kind.check(&unwind.path)
            }
            Stage::Lookup(lookup) => lookup.check(kind),
            Stage::Window(window) => window.check(kind),
            Stage::Densify(densify) => densify.check(kind),
            Stage::Fill(fill) => fill.check(kind),
            Stage::Facet(inside) => {
                check_names(inside.iter().map(|(name, _)| name))?;
                let mut inside = inside.iter();
                inside.try_for_each(|(_, stages)| check_stages(stages, kind, Inside::Facet))
            }
            Stage::Skip(_) | Stage::Limit(_) => Ok(()),
            Stage::Out(name) if name.is_empty() => Err(QueryError::EmptyName),
            Stage::Out(_) => Ok(()),
            Stage::Merge(merge) => merge.check(),
        }
    }
}

/// Refuses output names that are empty or given twice.
pub(crate) fn check_names<'n>(
    names: impl IntoIterator<Item = &'n String>,
) -> Result<(), QueryError> {
    check_outputs(names.into_iter().map(|name| Path::field(name.as_str())))
}

/// Refuses places of the output that have no name, or of which one is another, or inside another.
fn check_outputs(paths: impl IntoIterator<Item = Path>) -> Result<(), QueryError> {
    let mut seen = BTreeSet::new();
    for path in paths {
        if path.first().is_empty() {
            return Err(QueryError::EmptyName);
        }
        seen.insert(path.segments().to_vec())
            .then_some(())
            .ok_or_else(|| QueryError::DuplicateName {
                name: path.to_string(),
            })?;
    }
    // What is inside another comes right after it.
    let inside = seen.iter().zip(seen.iter().skip(1));
    match inside
        .into_iter()
        .find(|(outer, inner)| inner.starts_with(outer))
    {
        None => Ok(()),
        Some((outer, _)) => Err(QueryError::DuplicateName {
            name: outer.join("."),
        }),
    }
}
