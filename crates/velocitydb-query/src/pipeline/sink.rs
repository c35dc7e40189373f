//! How rows get from stage to stage, and the stages that are a few lines each.
//!
//! A stage is a [`Sink`] that owns the next one. `push` gives it a row and tells whether more
//! rows can still matter; `finish` tells it that the input has ended, and what it has kept goes
//! on. Invariant: after `Enough` a sink may be pushed to, and ignores it. At the end of the chain
//! [`Collect`] keeps the answer.

use velocitydb_types::Path;

use super::Stage;
use super::bucket::{BucketAutoRows, BucketRows};
use super::densify::DensifyRows;
use super::facet::Facet;
use super::fill::FillRows;
use super::group::GroupRows;
use super::lookup::{Collections, LookupRows};
use super::reshape::{AddFields, Project, Select, UnwindRows};
use super::window::WindowRows;
use crate::error::QueryError;
use crate::filter::Filter;
use crate::limits::{Allowance, Kept, map_bytes};
use crate::row::{Aggregated, Row, RowRef};
use crate::sort::{Direction, Sorter, tie_direction};

/// Whether more rows can still change the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    More,
    Enough,
}

/// A stage at work.
pub(super) trait Sink {
    /// Takes a row.
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError>;

    /// The input has ended: hands on what is kept, and answers the rows of the last stage.
    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError>;
}

/// The rest of the chain.
pub(super) type Next<'p> = Box<dyn Sink + 'p>;

/// The stages, ready to be given documents; the answer is on the account `answer`. Recursion is bounded by `STAGES_MAX`.
pub(super) fn chain<'p>(
    stages: &'p [Stage],
    limits: Allowance<'_>,
    collections: &'p dyn Collections,
    answer: Kept,
) -> Next<'p> {
    let Some((stage, rest)) = stages.split_first() else {
        return Box::new(Collect {
            rows: Vec::new(),
            kept: answer,
        });
    };
    let mut next = chain(rest, limits, collections, answer);
    if stage.makes_rows() {
        next = Box::new(Asking {
            collections,
            rows: 0,
            next,
        });
    }
    match stage {
        Stage::Match(filter) => Box::new(Match { filter, next }),
        Stage::Project(fields) => Box::new(Project::new(fields, limits, next)),
        Stage::AddFields(fields) => Box::new(AddFields::new(fields, limits, next)),
        Stage::Select(projection) => Box::new(Select {
            projector: projection.projector(),
            next,
        }),
        Stage::Group(group) => Box::new(GroupRows::new(group, limits, next)),
        Stage::Bucket(bucket) => Box::new(BucketRows::new(bucket, limits, next)),
        Stage::BucketAuto(bucket) => Box::new(BucketAutoRows::new(bucket, limits, next)),
        Stage::Sort(by) => Box::new(Sort::new(by, wanted(rest), limits, next)),
        Stage::Skip(rows) => Box::new(Skip { left: *rows, next }),
        Stage::Limit(rows) => Box::new(Limit { left: *rows, next }),
        Stage::Count(name) => Box::new(Count {
            name,
            count: 0,
            next,
        }),
        Stage::Unwind(unwind) => Box::new(UnwindRows {
            unwind,
            without: unwind.without(),
            next,
        }),
        Stage::Lookup(lookup) => Box::new(LookupRows::new(lookup, collections, limits, next)),
        Stage::Window(window) => Box::new(WindowRows::new(window, limits, next)),
        Stage::Densify(densify) => Box::new(DensifyRows::new(densify, limits, next)),
        Stage::Fill(fill) => Box::new(FillRows::new(fill, limits, next)),
        Stage::Facet(inside) => {
            let inside = inside.iter().map(|(name, stages)| {
                let answer = Kept::of("$facet", limits);
                (name.as_str(), chain(stages, limits, collections, answer))
            });
            Box::new(Facet::new(inside, limits, next))
        }
        // Whoever runs the pipeline writes its answer.
        Stage::Out(_) | Stage::Merge(_) => next,
    }
}

/// How many of the first rows these stages can make use of; `None` when all.
pub(super) fn wanted(stages: &[Stage]) -> Option<usize> {
    let mut skipped = 0_usize;
    for stage in stages {
        match stage {
            Stage::Skip(rows) => skipped = skipped.saturating_add(*rows),
            Stage::Limit(rows) => return Some(skipped.saturating_add(*rows)),
            Stage::Project(_)
            | Stage::AddFields(_)
            | Stage::Select(_)
            | Stage::Lookup(_)
            | Stage::Out(_)
            | Stage::Merge(_) => {}
            Stage::Match(_)
            | Stage::Group(_)
            | Stage::Bucket(_)
            | Stage::BucketAuto(_)
            | Stage::Sort(_)
            | Stage::Count(_)
            | Stage::Unwind(_)
            | Stage::Window(_)
            | Stage::Densify(_)
            | Stage::Fill(_)
            | Stage::Facet(_) => return None,
        }
    }
    None
}

/// Pushes rows until there are enough.
pub(super) fn push_all<'r>(
    next: &mut Next<'_>,
    rows: impl IntoIterator<Item = Row<'r>>,
) -> Result<Flow, QueryError> {
    for row in rows {
        if next.push(row)? == Flow::Enough {
            return Ok(Flow::Enough);
        }
    }
    Ok(Flow::More)
}

/// Rows that a stage makes between two questions whether the pipeline may go on.
const ASK_EVERY: u32 = 256;

/// Asks behind a stage that makes rows while no document is reached, for which the view asks.
struct Asking<'p> {
    collections: &'p dyn Collections,
    rows: u32,
    next: Next<'p>,
}

impl Sink for Asking<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        self.rows = self.rows.wrapping_add(1);
        if self.rows.is_multiple_of(ASK_EVERY) {
            self.collections.goes_on()?;
        }
        self.next.push(row)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

struct Match<'p> {
    filter: &'p Filter,
    next: Next<'p>,
}

impl Sink for Match<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        if self.filter.holds(row.as_ref()) {
            self.next.push(row)
        } else {
            Ok(Flow::More)
        }
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

struct Skip<'p> {
    left: usize,
    next: Next<'p>,
}

impl Sink for Skip<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        if self.left > 0 {
            self.left -= 1;
            return Ok(Flow::More);
        }
        self.next.push(row)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

struct Limit<'p> {
    left: usize,
    next: Next<'p>,
}

impl Sink for Limit<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        if self.left == 0 {
            return Ok(Flow::Enough);
        }
        self.left -= 1;
        let flow = self.next.push(row)?;
        Ok(if self.left == 0 { Flow::Enough } else { flow })
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        self.next.finish()
    }
}

struct Count<'p> {
    name: &'p str,
    count: u64,
    next: Next<'p>,
}

impl Sink for Count<'_> {
    fn push(&mut self, _: Row<'_>) -> Result<Flow, QueryError> {
        self.count += 1;
        Ok(Flow::More)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        let row = Aggregated::from([(self.name.to_owned(), self.count.into())]);
        self.next.push(Row::from(row))?;
        self.next.finish()
    }
}

/// Documents are ordered by id where their fields are equal, in the direction of the last field as
/// in [`Find`](crate::Find); other rows as they came.
struct Sort<'p> {
    sorter: Sorter<'p, Row<'static>>,
    ties: Direction,
    came: u64,
    next: Next<'p>,
}

impl<'p> Sort<'p> {
    fn new(
        by: &'p [(Path, Direction)],
        wanted: Option<usize>,
        limits: Allowance<'_>,
        next: Next<'p>,
    ) -> Sort<'p> {
        let ties = tie_direction(by);
        Sort {
            sorter: Sorter::new(by, wanted, Kept::of("$sort", limits)).ties(ties),
            ties,
            came: 0,
            next,
        }
    }
}

impl Sink for Sort<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        // Turned here where the sorter turns ties, so that it stays what it is.
        let came = match self.ties {
            Direction::Ascending => self.came,
            Direction::Descending => !self.came,
        };
        let came = came.to_be_bytes();
        self.came += 1;
        let read = row.as_ref();
        let tie = match read {
            RowRef::Document(document, _) => document.key_bytes(),
            RowRef::Map(_) | RowRef::Element(_) => &came,
        };
        // The row is copied only when it is kept.
        self.sorter
            .offer(read, tie, || (row.bytes(), row.clone().into_owned()))?;
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        // The sorter's account is there as long as its rows are.
        let Sort {
            mut sorter,
            mut next,
            ..
        } = *self;
        push_all(&mut next, sorter.take())?;
        next.finish()
    }
}

struct Collect {
    rows: Vec<Aggregated>,
    kept: Kept,
}

impl Sink for Collect {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let row = row.into_map();
        self.kept.add(map_bytes(&row))?;
        self.rows.push(row);
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        Ok(self.rows)
    }
}
