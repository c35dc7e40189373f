//! Documents: those a filter lets through, in an order, from a position, up to a number.
//!
//! Without a sort, documents come as they are scanned, and the scan ends when there are enough.
//! With a sort and a limit, no more than offset + limit documents are kept at any time. Documents
//! that are equal in all sort fields come in the order of their ids, in the direction of the last
//! field, so that pages fit together and an index can serve them.
//!
//! Tests: below; against a plain sort in `proptests`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use velocitydb_engine::Document;
use velocitydb_types::{Path, Value};

use crate::error::QueryError;
use crate::expression::Expression;
use crate::filter::{Filter, TypeOf};
use crate::limits::{Allowance, Kept, Limits, value_bytes};
use crate::memory::QueryMemory;
use crate::path::{IntoPath, Wrong};
use crate::plan::{Meter, Remembered};
use crate::projection::{Projection, Projector};
use crate::row::{Kind, RowRef};
use crate::sort::{Direction, Nulls, Sorter, encode_sort_key, tie_direction};

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
    /// What must be true of them besides: a condition that no index knows.
    pub condition: Option<Expression>,
    /// What follows from filter and condition for expressions that indexes are of, whose paths are
    /// those that stand for them ([`velocitydb_types::Expression::stand_in`]). It is there for the
    /// planner alone, and asked of no document.
    pub indexed: Filter,
    /// By which fields they are sorted, the first one first. None: in the order of the scan.
    pub sort: Vec<(Path, Direction)>,
    /// What the paths among them are that stand for expressions.
    pub made: Vec<(Path, Expression)>,
    /// Where nulls stand in that order.
    pub nulls: Nulls,
    /// In which order they come when nothing sorts them.
    pub unsorted: Unsorted,
    /// Which parts of each document are wanted; see [`Find::projector`].
    pub projection: Projection,
    /// How many of the first are left out.
    pub offset: usize,
    /// How many there are at most.
    pub limit: Option<usize>,
    /// Behind which document the answer begins.
    pub after: Option<Cursor>,
    /// Which index it insists on.
    pub hint: Option<Hint>,
    /// How much the query may keep.
    pub limits: Limits,
    /// What is remembered of its plan, by who asks it again and again.
    pub remembered: Option<Remembered>,
    wrong: Wrong,
}

/// In which order documents come when nothing sorts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unsorted {
    /// In that of the cheapest plan.
    #[default]
    Any,
    /// As programs have it from PostgreSQL, and lean on it: in that of an index that the filter helps
    /// with, however few documents there are; else in that of insertion, unless they are many.
    Habitual,
}

impl Find {
    /// All documents that a filter lets through.
    pub fn new(filter: Filter) -> Find {
        Find {
            filter,
            ..Find::default()
        }
    }

    /// Only those of which this is true, besides the filter.
    pub fn only(mut self, condition: Expression) -> Find {
        self.condition = Some(condition);
        self
    }

    /// Sorts by these fields, the first one first, in place of those named before.
    pub fn sort<P: IntoPath>(mut self, by: impl IntoIterator<Item = (P, Direction)>) -> Find {
        self.sort = sort_fields(by, &mut self.wrong);
        self
    }

    /// Says where nulls stand among what is sorted.
    pub fn nulls(mut self, nulls: Nulls) -> Find {
        self.nulls = nulls;
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

    /// The question with its filter's values of declared types; see [`Filter::typed`].
    pub fn typed(mut self, type_of: TypeOf<'_>) -> Find {
        self.filter = std::mem::take(&mut self.filter).typed(type_of);
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

    /// Answers a page: in a whole order (by id, where none is asked for), behind a cursor.
    pub fn page(mut self, after: Option<Cursor>) -> Find {
        if self.sort.is_empty() {
            self.sort = vec![(Path::field("_id"), Direction::Ascending)];
        }
        self.after = after;
        self
    }

    /// Insists on an index, or on none.
    pub fn hint(mut self, hint: Hint) -> Find {
        self.hint = Some(hint);
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
        if let Some(condition) = &self.condition {
            condition.check(Kind::Documents)?;
        }
        self.projection.check(Kind::Documents)?;
        for (_, expression) in &self.made {
            expression.check(Kind::Documents)?;
        }
        let is_made = |path: &Path| self.made.iter().any(|(made, _)| made == path);
        let mut read = self.sort.iter().filter(|(path, _)| !is_made(path));
        read.try_for_each(|(path, _)| Kind::Documents.check(path))
    }

    /// The direction of the ids of documents whose sort fields are equal: that of the last field.
    pub(crate) fn tie_direction(&self) -> Direction {
        tie_direction(&self.sort)
    }

    /// Answers the question over the documents that `scan` gives to its argument, one by one, in
    /// any order, until that answers `false`.
    ///
    /// # Errors
    /// What [`Find::check`] refuses, before the scan; the scan's own; and
    /// [`QueryError::TooManyRows`] or [`QueryError::TooManyBytes`] when the answer, or with a sort
    /// offset + limit, is beyond [`Limits`].
    pub fn run<E: From<QueryError>>(
        &self,
        scan: impl FnOnce(&mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Document>, E> {
        self.check()?;
        let (mut found, mut kept) = (Vec::new(), Kept::new(self.limits));
        let mut outcome = Ok(());
        let arrival = Arrival::of_scan(self);
        let meter = &mut Meter::default();
        self.stream(arrival, meter, self.limits.into(), scan, |document| {
            outcome = kept.add(size_of::<Document>());
            if outcome.is_ok() {
                found.push(document.clone());
            }
            outcome.is_ok()
        })?;
        outcome?;
        Ok(found)
    }

    /// The different values that `path` leads to in the documents that the filter lets through,
    /// ascending; of an array its elements. Nulls are left out, and so are sort, offset and limit.
    ///
    /// # Errors
    /// As [`Find::run`], but for the limits, which count values; and when the memory of all queries,
    /// from which it is taken, is not enough.
    pub fn distinct<E: From<QueryError>>(
        &self,
        path: impl IntoPath,
        memory: Option<&Arc<QueryMemory>>,
        scan: impl FnOnce(&mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
    ) -> Result<Vec<Value>, E> {
        self.check()?;
        let path = path.into_path()?;
        Kind::Documents.check(&path)?;
        let mut values = BTreeSet::new();
        let mut kept = Kept::new(Allowance {
            limits: self.limits,
            memory,
        });
        let mut outcome = Ok(());
        scan(&mut |document| {
            let matched = self.filter.matches(document);
            let holds = matched.then(|| self.holds(RowRef::document(document)));
            if let Some(Err(error)) = holds {
                outcome = Err(error);
            } else if let Some(Ok(true)) = holds {
                let mut take = |value: Value| {
                    let bytes = value_bytes(&value);
                    match value.is_null() || !values.insert(value) {
                        true => Ok(()),
                        false => kept.add(bytes),
                    }
                };
                outcome = match RowRef::document(document).value(&path).into_value() {
                    Value::Array(elements) => elements.into_iter().try_for_each(take),
                    value => take(value),
                };
            }
            outcome.is_ok()
        })?;
        outcome?;
        Ok(values.into_iter().collect())
    }

    /// As [`Find::run`], for documents that come in an order of their own; hands each document of
    /// the answer to `emit`, in order, until that answers `false`. Keeps only what it must sort.
    pub(crate) fn stream<E: From<QueryError>>(
        &self,
        arrival: Arrival,
        meter: &mut Meter,
        allowed: Allowance<'_>,
        scan: impl FnOnce(&mut dyn FnMut(&Document) -> bool) -> Result<(), E>,
        mut emit: impl FnMut(&Document) -> bool,
    ) -> Result<(), E> {
        let after = self
            .after
            .as_ref()
            .map(|cursor| cursor.place(self))
            .transpose()?;
        if self.limit == Some(0) {
            return Ok(());
        }
        let (mut left_out, mut answered) = (0, 0);
        let mut hand_on = |document: &Document| {
            if left_out < self.offset {
                left_out += 1;
                return true;
            }
            answered += 1;
            emit(document) && self.limit.is_none_or(|limit| answered < limit)
        };
        let wanted = self.limit.map(|limit| limit.saturating_add(self.offset));
        let kept = match arrival.sorted {
            true => Kept::new(self.limits),
            false => Kept::new(allowed),
        };
        let mut sorted = self.sorter(wanted, kept);
        let sorted_by = arrival.sorted_by.min(self.sort.len());
        let mut run = Run::new(&self.sort[..sorted_by], &self.made, self.nulls);
        let (mut outcome, mut going) = (Ok(()), true);
        let filtered = self.filter != Filter::All;
        let timed = meter.timed;
        let clock = || timed.then(Instant::now);
        let spent =
            |since: Option<Instant>| since.map_or(0, |since| since.elapsed().as_nanos() as u64);
        scan(&mut |document| {
            meter.reached += 1;
            // Parsed only for those who look into it.
            let row = || RowRef::document(document);
            if filtered {
                let since = clock();
                let holds = self.filter.holds(row());
                meter.filter_ns += spent(since);
                if !holds {
                    return true;
                }
            }
            if self.condition.is_some() {
                let since = clock();
                let holds = self.holds(row());
                meter.filter_ns += spent(since);
                match holds {
                    Ok(true) => {}
                    Ok(false) => return true,
                    Err(error) => {
                        outcome = Err(error);
                        return false;
                    }
                }
            }
            if let Some(after) = &after {
                match sorted.place(row(), document.key_bytes()) {
                    Ok((place, _)) if place <= *after => return true,
                    Ok(_) => {}
                    Err(error) => {
                        outcome = Err(error);
                        return false;
                    }
                }
            }
            meter.matched += 1;
            if arrival.sorted {
                going = hand_on(document);
                return going;
            }
            let since = clock();
            match run.ends_before(row()) {
                Ok(true) => going = sorted.take().all(|document| hand_on(&document)),
                Ok(false) => {}
                Err(error) => outcome = Err(error),
            }
            if going && outcome.is_ok() {
                let keep = || (size_of::<Document>(), document.clone());
                outcome = sorted.offer(row(), document.key_bytes(), keep);
            }
            meter.sort_ns += spent(since);
            going && outcome.is_ok()
        })?;
        outcome?;
        if going {
            let since = clock();
            sorted.take().all(|document| hand_on(&document));
            meter.sort_ns += spent(since);
        }
        meter.answered += answered as u64;
        Ok(())
    }

    /// Whether a document is one of those that it asks for, wherever it stands among them.
    ///
    /// # Errors
    /// The condition has no value.
    pub fn admits(&self, document: &Document) -> Result<bool, QueryError> {
        let row = RowRef::document(document);
        Ok(self.filter.holds(row) && self.holds(row)?)
    }

    /// Whether the condition is true of a row.
    fn holds(&self, row: RowRef<'_>) -> Result<bool, QueryError> {
        let condition = self.condition.as_ref();
        condition.map_or(Ok(true), |condition| condition.is_true(row))
    }

    /// The place of a document in the answer, to go on behind it. Of questions that are sorted by
    /// fields: who sorts by expressions has no pages.
    pub fn cursor_at(&self, document: &Document) -> Cursor {
        let sorter: Sorter<'_, ()> = self.sorter(None, Kept::new(self.limits));
        let mut sorter = sorter.made(&[]);
        let row = RowRef::document(document);
        let placed = sorter.place(row, document.key_bytes());
        let (place, fields) = placed.expect("reading fields does not fail");
        Cursor {
            query: self.fingerprint(),
            fields: u32::try_from(fields).expect("documents are smaller than 4 GiB"),
            place: place.into(),
        }
    }

    fn sorter<T>(&self, wanted: Option<usize>, kept: Kept) -> Sorter<'_, T> {
        Sorter::new(&self.sort, wanted, kept)
            .made(&self.made)
            .ties(self.tie_direction())
            .nulls(self.nulls)
    }

    /// A number for the filter and the order.
    fn fingerprint(&self) -> u32 {
        let mut text = format!("{:?} {:?}", self.filter, self.sort);
        // Left out where it is as it always was: cursors stay good.
        if let Some(condition) = &self.condition {
            text += &format!(" {condition:?}");
        }
        if self.nulls == Nulls::Greatest {
            text += " nulls greatest";
        }
        velocitydb_engine::command::fingerprint(&text) as u32
    }
}

/// In what order documents come to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// By how many of the first sort fields they are sorted.
    pub(crate) sorted_by: usize,
    /// Whether they come in the order of the answer.
    pub(crate) sorted: bool,
}

impl Arrival {
    fn of_scan(find: &Find) -> Arrival {
        Arrival {
            sorted_by: 0,
            sorted: find.sort.is_empty(),
        }
    }
}

/// Tells where a run of documents ends that are equal in the fields by which they come sorted.
struct Run<'q> {
    by: &'q [(Path, Direction)],
    made: &'q [(Path, Expression)],
    nulls: Nulls,
    present: Option<Vec<u8>>,
}

impl<'q> Run<'q> {
    fn new(by: &'q [(Path, Direction)], made: &'q [(Path, Expression)], nulls: Nulls) -> Run<'q> {
        Run {
            by,
            made,
            nulls,
            present: None,
        }
    }

    fn ends_before(&mut self, row: RowRef<'_>) -> Result<bool, QueryError> {
        if self.by.is_empty() {
            return Ok(false);
        }
        let mut next = Vec::new();
        encode_sort_key(row, self.by, self.made, self.nulls, &mut next)?;
        let ends = self
            .present
            .as_ref()
            .is_some_and(|present| *present != next);
        self.present = Some(next);
        Ok(ends)
    }
}

/// Which index a query insists on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// None: all documents are looked at.
    Scan,
    /// The one of this name.
    Index(String),
}

/// A place in the answer of a query: behind a document. It stays right whatever is written
/// meanwhile: a document that stays is on exactly one page. Good at any node and after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// [`Find::fingerprint`] of the query.
    query: u32,
    /// How many of the bytes of `place` are those of the sort fields; then a byte, then the id's.
    fields: u32,
    place: Box<[u8]>,
}

impl Cursor {
    /// The bytes of the sort fields and of the id, in the directions of the query.
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        let (fields, id) = self.place.split_at(self.fields as usize);
        (fields, &id[1..])
    }

    fn place(&self, find: &Find) -> Result<&[u8], QueryError> {
        let reason = "it was made for another filter or order";
        match self.query == find.fingerprint() {
            true => Ok(&self.place),
            false => Err(QueryError::Cursor { reason }),
        }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let head = u64::from(self.query) << 32 | u64::from(self.fields);
        let bytes = head.to_be_bytes();
        bytes
            .iter()
            .chain(&*self.place)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Cursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Cursor, QueryError> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs
            .iter()
            .map(|[high, low]| Some(digit(high)? << 4 | digit(low)?));
        let bytes = bytes
            .collect::<Option<Vec<u8>>>()
            .filter(|_| rest.is_empty());
        let reason = "it is not the text of a cursor";
        let bytes = bytes.ok_or(QueryError::Cursor { reason })?;
        let (head, place) = bytes
            .split_first_chunk()
            .ok_or(QueryError::Cursor { reason })?;
        let head = u64::from_be_bytes(*head);
        let (query, fields) = ((head >> 32) as u32, head as u32);
        if place.len() <= fields as usize {
            return Err(QueryError::Cursor { reason });
        }
        Ok(Cursor {
            query,
            fields,
            place: place.into(),
        })
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
                if !visit(document) {
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
        check(&all().sort([("a", DESC)]), &[3, 0, 2, 5, 1, 4], 6);
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
        let unused = |_: &mut dyn FnMut(&Document) -> bool| unreachable!("nothing is scanned");
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
