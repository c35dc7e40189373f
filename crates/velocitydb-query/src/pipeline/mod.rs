//! Aggregation: a pipeline of stages that makes rows of documents.
//!
//! ```text
//!   documents ──► match ──► group ──► sort ──► limit ──► rows
//! ```
//!
//! A row is pushed from stage to stage (`sink`). Match, project, unwind, skip and limit hand each
//! row on at once; group, sort and count keep what they need and hand on when the input has
//! ended. Documents stay encoded until a stage changes them. A sort before a limit keeps no
//! more rows than the limit needs, and a limit that is full ends the scan.
//!
//! One file for each stage that has something to itself: `group` with `accumulator`, `reshape`
//! (project and unwind); the short ones are in `sink`. Tests: `pipeline/tests.rs`.

mod accumulator;
mod group;
mod reshape;
mod sink;
#[cfg(test)]
mod tests;

pub use accumulator::Accumulator;
pub use group::Group;

use velocitydb_engine::Document;
use velocitydb_types::Path;

use crate::error::QueryError;
use crate::filter::Filter;
use crate::find::sort_fields;
use crate::limits::Limits;
use crate::path::{IntoPath, Wrong};
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
    /// Rows of these values by these names; what is absent stays absent.
    Project(Vec<(String, Path)>),
    /// One row for each group of rows.
    Group(Group),
    /// The rows by these fields, the first one first; equal ones by id, or as they came.
    Sort(Vec<(Path, Direction)>),
    /// All rows but the first few.
    Skip(usize),
    /// The first few rows.
    Limit(usize),
    /// One row: how many there were, by this name.
    Count(String),
    /// For each element of an array a row with the element in the array's place. No rows for
    /// null and absent; any other value stays as it is.
    Unwind(Path),
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
        let fields = fields
            .into_iter()
            .filter_map(|(name, path)| Some((name.into(), self.wrong.take(path.into_path())?)));
        let fields = fields.collect();
        self.stage(Stage::Project(fields))
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
        match self.wrong.take(path.into_path()) {
            Some(path) => self.stage(Stage::Unwind(path)),
            None => self,
        }
    }

    /// Bounds what each stage may keep, and the answer.
    pub fn limits(mut self, limits: Limits) -> Pipeline {
        self.limits = limits;
        self
    }

    /// Whether the pipeline can be run.
    ///
    /// # Errors
    /// Too many stages, a text that was no path, unknown metadata, a filter that
    /// [`Filter::check`] refuses, an output name that is empty or given twice.
    pub fn check(&self) -> Result<(), QueryError> {
        self.wrong.check()?;
        if self.stages.len() > STAGES_MAX {
            return Err(QueryError::TooManyStages {
                count: self.stages.len(),
            });
        }
        let mut kind = Kind::Documents;
        self.stages.iter().try_for_each(|stage| {
            stage.check(kind)?;
            if let Stage::Project(_) | Stage::Group(_) | Stage::Count(_) = stage {
                kind = Kind::Rows;
            }
            Ok(())
        })
    }

    /// Runs the stages over the documents that `scan` gives to its argument, one by one, until
    /// that answers `false`. Without a sort, groups come in the order in which they first
    /// appeared.
    ///
    /// # Errors
    /// What [`Pipeline::check`] refuses, before the scan; the scan's own; a sum over something
    /// that is no number, or beyond a decimal; and [`QueryError::TooManyRows`] or
    /// [`QueryError::TooManyBytes`] when a stage, or the answer, is beyond [`Limits`].
    pub fn run<E: From<QueryError>>(
        &self,
        scan: impl FnOnce(&mut dyn FnMut(Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Aggregated>, E> {
        self.check()?;
        let mut sink = sink::chain(&self.stages, self.limits);
        let mut outcome = Ok(Flow::More);
        scan(&mut |document| {
            outcome = sink.push(Row::Document(document));
            matches!(outcome, Ok(Flow::More))
        })?;
        outcome?;
        Ok(sink.finish()?)
    }
}

impl Stage {
    fn check(&self, kind: Kind) -> Result<(), QueryError> {
        match self {
            Stage::Match(filter) => filter.check_for(kind),
            Stage::Project(fields) => {
                check_names(fields.iter().map(|(name, _)| name))?;
                fields.iter().try_for_each(|(_, path)| kind.check(path))
            }
            Stage::Group(group) => group.check(kind),
            Stage::Sort(by) => by.iter().try_for_each(|(path, _)| kind.check(path)),
            Stage::Count(name) => check_names([name]),
            Stage::Unwind(path) => kind.check(path),
            Stage::Skip(_) | Stage::Limit(_) => Ok(()),
        }
    }
}

/// Refuses output names that are empty or given twice.
fn check_names<'n>(names: impl IntoIterator<Item = &'n String>) -> Result<(), QueryError> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().try_for_each(|name| match name.as_str() {
        "" => Err(QueryError::EmptyName),
        _ if !seen.insert(name) => Err(QueryError::DuplicateName { name: name.clone() }),
        _ => Ok(()),
    })
}
