//! Documents: those a filter lets through, in an order, from a position, up to a number.
//!
//! Without a sort, documents come as they are scanned, and the scan ends when there are enough.
//! With a sort and a limit, no more than offset + limit documents are kept at any time. Documents
//! that are equal in all sort fields come in the order of their ids, so that pages fit together.
//!
//! Tests: below; against a plain sort in `proptests`.

use velocitydb_engine::Document;
use velocitydb_types::Path;

use crate::error::QueryError;
use crate::filter::Filter;
use crate::limits::{Kept, Limits};
use crate::path::{IntoPath, Wrong};
use crate::projection::{Projection, Projector};
use crate::row::{Kind, RowRef};
use crate::sort::{Direction, Sorter};

/// A question for documents.
///
/// ```text
///   Find::new(Filter::eq("state", "waiting"))
///       .sort([("priority", Direction::Descending), ("_created_at", Direction::Ascending)])
///       .limit(10)
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Find {
    /// Which documents.
    pub filter: Filter,
    /// By which fields they are sorted, the first one first. None: in the order of the scan.
    pub sort: Vec<(Path, Direction)>,
    /// Which parts of each document are wanted; see [`Find::projector`].
    pub projection: Projection,
    /// How many of the first are left out.
    pub offset: usize,
    /// How many there are at most.
    pub limit: Option<usize>,
    /// How much the query may keep.
    pub limits: Limits,
    wrong: Wrong,
}

impl Find {
    /// All documents that a filter lets through.
    pub fn new(filter: Filter) -> Find {
        Find {
            filter,
            ..Find::default()
        }
    }

    /// Sorts by these fields, the first one first, in place of those named before.
    pub fn sort<P: IntoPath>(mut self, by: impl IntoIterator<Item = (P, Direction)>) -> Find {
        self.sort = sort_fields(by, &mut self.wrong);
        self
    }

    /// Answers these paths of each document, and its id.
    pub fn project<P: IntoPath>(mut self, paths: impl IntoIterator<Item = P>) -> Find {
        if let Some(projection) = self.wrong.take(Projection::include(paths)) {
            self.projection = projection;
        }
        self
    }

    /// Answers all of each document but these paths.
    pub fn project_without<P: IntoPath>(mut self, paths: impl IntoIterator<Item = P>) -> Find {
        if let Some(projection) = self.wrong.take(Projection::exclude(paths)) {
            self.projection = projection;
        }
        self
    }

    /// Makes rows of the documents that [`Find::run`] answers, with the parts that are wanted.
    pub fn projector(&self) -> Projector<'_> {
        self.projection.projector()
    }

    /// Leaves out the first `offset` documents.
    pub fn offset(mut self, offset: usize) -> Find {
        self.offset = offset;
        self
    }

    /// Answers at most `limit` documents.
    pub fn limit(mut self, limit: usize) -> Find {
        self.limit = Some(limit);
        self
    }

    /// Bounds what the query may keep.
    pub fn limits(mut self, limits: Limits) -> Find {
        self.limits = limits;
        self
    }

    /// Whether the query can be run.
    ///
    /// # Errors
    /// What [`Filter::check`] refuses, and sort fields that are no paths.
    pub fn check(&self) -> Result<(), QueryError> {
        self.wrong.check()?;
        self.filter.check()?;
        self.projection.check(Kind::Documents)?;
        self.sort
            .iter()
            .try_for_each(|(path, _)| Kind::Documents.check(path))
    }

    /// Answers the question over the documents that `scan` gives to its argument, one by one,
    /// until that answers `false`.
    ///
    /// # Errors
    /// What [`Find::check`] refuses, before the scan; the scan's own; and
    /// [`QueryError::TooManyRows`] or [`QueryError::TooManyBytes`] when the answer, or with a sort
    /// offset + limit, is beyond [`Limits`].
    pub fn run<E: From<QueryError>>(
        &self,
        scan: impl FnOnce(&mut dyn FnMut(Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Document>, E> {
        self.check()?;
        if self.limit == Some(0) {
            return Ok(Vec::new());
        }
        if self.sort.is_empty() {
            self.run_unsorted(scan)
        } else {
            self.run_sorted(scan)
        }
    }

    fn run_unsorted<E: From<QueryError>>(
        &self,
        scan: impl FnOnce(&mut dyn FnMut(Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Document>, E> {
        let (mut found, mut left_out) = (Vec::new(), 0);
        let mut kept = Kept::new(self.limits);
        let mut outcome = Ok(());
        scan(&mut |document| {
            if !self.filter.matches(&document) {
                return true;
            }
            if left_out < self.offset {
                left_out += 1;
                return true;
            }
            outcome = kept.add(size_of::<Document>());
            if outcome.is_ok() {
                found.push(document);
            }
            outcome.is_ok() && self.limit.is_none_or(|limit| found.len() < limit)
        })?;
        outcome?;
        Ok(found)
    }

    fn run_sorted<E: From<QueryError>>(
        &self,
        scan: impl FnOnce(&mut dyn FnMut(Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Document>, E> {
        let wanted = self.limit.map(|limit| limit.saturating_add(self.offset));
        let mut sorter = Sorter::new(&self.sort, wanted, self.limits);
        let mut outcome = Ok(());
        scan(&mut |document| {
            let row = RowRef::document(&document);
            if self.filter.holds(row) {
                let keep = || (size_of::<Document>(), document.clone());
                outcome = sorter.offer(row, document.key_bytes(), keep);
            }
            outcome.is_ok()
        })?;
        outcome?;
        Ok(sorter.finish().skip(self.offset).collect())
    }
}

/// The paths of sort fields.
pub(crate) fn sort_fields<P: IntoPath>(
    by: impl IntoIterator<Item = (P, Direction)>,
    wrong: &mut Wrong,
) -> Vec<(Path, Direction)> {
    let fields = by.into_iter();
    fields
        .filter_map(|(path, direction)| Some((wrong.take(path.into_path())?, direction)))
        .collect()
}

#[cfg(test)]
mod tests {
    use velocitydb_types::PathError;

    use super::*;
    use crate::testing::{documents, scan};

    const ASC: Direction = Direction::Ascending;
    const DESC: Direction = Direction::Descending;

    fn ids(documents: &[Document]) -> Vec<i64> {
        documents
            .iter()
            .filter_map(|document| document.id().to_value().as_int())
            .collect()
    }

    /// Runs a query over six documents; the answer is their ids, and how many were scanned.
    #[track_caller]
    fn check(find: &Find, expected: &[i64], expected_scanned: usize) {
        let documents = documents(&[
            r#"{"a":3,"b":"x"}"#,
            r#"{"a":1,"b":"y"}"#,
            r#"{"a":2,"b":"x"}"#,
            r#"{"a":3,"b":"y"}"#,
            r#"{"b":"x"}"#,
            r#"{"a":1,"b":"x"}"#,
        ]);
        let mut scanned = 0;
        let found = find.run::<QueryError>(|visit| {
            for document in &documents {
                scanned += 1;
                if !visit(document.clone()) {
                    break;
                }
            }
            Ok(())
        });
        assert_eq!(ids(&found.unwrap()), expected, "{find:?}");
        assert_eq!(scanned, expected_scanned, "{find:?}");
    }

    #[test]
    fn without_a_sort_the_scan_ends_when_there_are_enough() {
        let x = || Find::new(Filter::eq("b", "x"));
        check(&Find::default(), &[0, 1, 2, 3, 4, 5], 6);
        check(&x(), &[0, 2, 4, 5], 6);
        check(&x().limit(2), &[0, 2], 3);
        check(&x().offset(1).limit(2), &[2, 4], 5);
        check(&x().offset(9).limit(2), &[], 6);
        check(&x().limit(0), &[], 0);
    }

    #[test]
    fn a_sort_is_total_by_the_id() {
        let all = || Find::new(Filter::All);
        check(&all().sort([("a", ASC)]), &[4, 1, 5, 2, 0, 3], 6);
        check(&all().sort([("a", DESC)]), &[0, 3, 2, 1, 5, 4], 6);
        check(
            &all().sort([("b", ASC), ("a", DESC)]),
            &[0, 2, 5, 4, 3, 1],
            6,
        );
        check(&all().sort([("_id", DESC)]).limit(2), &[5, 4], 6);
        check(&all().sort([("a", ASC)]).offset(1).limit(3), &[1, 5, 2], 6);
        check(&all().sort([("a", ASC)]).offset(5).limit(3), &[3], 6);
        check(
            &all().sort([("a", ASC)]).offset(usize::MAX).limit(3),
            &[],
            6,
        );
        check(&all().sort([("a", ASC)]).limit(0), &[], 0);
    }

    #[test]
    fn more_rows_than_may_be_kept_are_an_error_and_pages_need_few() {
        let documents = documents(&["{}"; 5]);
        let limits = Limits {
            rows_max: 3,
            ..Limits::default()
        };
        let error = Err(QueryError::TooManyRows { rows_max: 3 });
        let all = || Find::new(Filter::All).limits(limits);
        let sorted = || all().sort([("a", ASC)]);
        let run = |find: Find| find.run(scan(&documents)).map(|found| found.len());
        assert_eq!(run(all()), error);
        assert_eq!(run(sorted()), error);
        assert_eq!(run(all().offset(2)), Ok(3));
        assert_eq!(run(all().limit(3)), Ok(3));
        assert_eq!(run(sorted().offset(1).limit(2)), Ok(2));
        assert_eq!(run(sorted().offset(2).limit(2)), error);
    }

    #[test]
    fn what_is_wrong_is_told_before_the_scan() {
        let unused = |_: &mut dyn FnMut(Document) -> bool| unreachable!("nothing is scanned");
        let run = |find: Find| find.run::<QueryError>(unused).map(|found| found.len());
        let path = |text: &str, source| QueryError::Path {
            text: text.into(),
            source,
        };
        let find = || Find::new(Filter::All);
        assert_eq!(
            run(find().sort([("", ASC)])),
            Err(path("", PathError::EmptySegment))
        );
        assert_eq!(
            run(Find::new(Filter::eq("`a", 1))),
            Err(path("`a", PathError::OpenQuote))
        );
        assert_eq!(
            run(find().sort([("_x", ASC)])),
            Err(QueryError::UnknownMetadata {
                path: Path::field("_x")
            })
        );
    }

    #[test]
    fn the_scan_may_fail() {
        #[derive(Debug, PartialEq)]
        enum Failure {
            Scan,
            Query,
        }
        impl From<QueryError> for Failure {
            fn from(_: QueryError) -> Failure {
                Failure::Query
            }
        }
        for find in [Find::default(), Find::default().sort([("a", ASC)])] {
            let found = find.run(|_| Err(Failure::Scan)).map(|found| found.len());
            assert_eq!(found, Err(Failure::Scan));
        }
        let wrong = Find::new(Filter::exists("")).run(|_| Ok::<_, Failure>(()));
        assert_eq!(wrong.map(|found| found.len()), Err(Failure::Query));
    }
}
