//! Groups by ranges: between given boundaries, or of about equal size.
//!
//! Buckets that no row fell into are not in the answer; those that are come in order.

use velocitydb_types::{Value, compare, encode_value_key};

use super::accumulator::{Accumulator, State};
use super::check_names;
use super::group::{States, check_inputs, finish_into, states};
use super::sink::{Flow, Next, Sink, push_all};
use crate::error::QueryError;
use crate::expression::Expression;
use crate::limits::{Allowance, Kept, value_bytes};
use crate::projection::ID;
use crate::row::{Aggregated, Cell, Kind, Row};

/// How many boundaries there may be, and buckets of equal size.
pub const BUCKETS_MAX: usize = 10_000;

/// Groups by ranges of a value. The row of a bucket has its lower boundary as `_id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// What decides.
    pub by: Expression,
    /// Ascending; a bucket is from one on up to the next, without it.
    pub boundaries: Vec<Value>,
    /// The `_id` of the bucket for all else; without one, anything else is an error.
    pub default: Option<Value>,
    /// What is computed over the rows of a bucket, by name.
    pub with: Vec<(String, Accumulator)>,
}

/// Groups by ranges that are found so that about as many rows are in each. The row of a bucket has
/// `{min, max}` as `_id`: its least value, and the least of the next bucket (of the last one its
/// greatest). Equal values are always in one bucket, so there may be fewer than asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketAuto {
    /// What decides.
    pub by: Expression,
    /// How many buckets, at least 1.
    pub buckets: usize,
    /// What is computed over the rows of a bucket, by name.
    pub with: Vec<(String, Accumulator)>,
}

fn check_output(with: &[(String, Accumulator)], kind: Kind) -> Result<(), QueryError> {
    let id = ID.to_owned();
    check_names(with.iter().map(|(name, _)| name).chain([&id]))?;
    check_inputs(with, kind)
}

impl Bucket {
    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        let invalid = |problem: String| QueryError::InvalidStage {
            stage: "$bucket",
            problem,
        };
        if !(2..=BUCKETS_MAX).contains(&self.boundaries.len()) {
            return Err(invalid(format!(
                "expected 2 to {BUCKETS_MAX} boundaries, found {}",
                self.boundaries.len()
            )));
        }
        if !self.boundaries.is_sorted_by(|a, b| a < b) {
            return Err(invalid("the boundaries must ascend".to_owned()));
        }
        self.by.check(kind)?;
        check_output(&self.with, kind)
    }

    /// The bucket of a value; the last one is for all else.
    fn position(&self, value: &Cell<'_>) -> usize {
        let above = self
            .boundaries
            .partition_point(|boundary| compare(boundary, value.view()).is_le());
        match above {
            0 => self.boundaries.len() - 1,
            above => above - 1,
        }
    }
}

impl BucketAuto {
    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        if !(1..=BUCKETS_MAX).contains(&self.buckets) {
            return Err(QueryError::InvalidStage {
                stage: "$bucketAuto",
                problem: format!(
                    "expected 1 to {BUCKETS_MAX} buckets, found {}",
                    self.buckets
                ),
            });
        }
        self.by.check(kind)?;
        check_output(&self.with, kind)
    }
}

/// Puts rows into buckets.
pub(super) struct BucketRows<'p> {
    bucket: &'p Bucket,
    /// One for each boundary; the last boundary's is for all else.
    found: Vec<Option<States<'p>>>,
    kept: Kept,
    next: Next<'p>,
}

impl<'p> BucketRows<'p> {
    pub(super) fn new(bucket: &'p Bucket, limits: Allowance<'_>, next: Next<'p>) -> BucketRows<'p> {
        BucketRows {
            bucket,
            found: vec![None; bucket.boundaries.len()],
            kept: Kept::of("$bucket", limits),
            next,
        }
    }
}

impl Sink for BucketRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let row = row.as_ref();
        let wrong = |error: QueryError| error.in_stage("$bucket");
        let value = self.bucket.by.evaluate(row).map_err(wrong)?;
        let position = self.bucket.position(&value);
        if position + 1 == self.found.len() && self.bucket.default.is_none() {
            return Err(QueryError::InvalidStage {
                stage: "$bucket",
                problem: format!(
                    "{} is in no bucket; give a default for all else",
                    value.into_value().to_json()
                ),
            });
        }
        let place = &mut self.found[position];
        if place.is_none() {
            self.kept.add(self.bucket.with.len() * State::BYTES)?;
        }
        let states = place.get_or_insert_with(|| states(&self.bucket.with));
        for state in states {
            state.add(row, &mut self.kept).map_err(wrong)?;
        }
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        let BucketRows {
            bucket,
            mut found,
            mut next,
            ..
        } = *self;
        let rest = found.pop().flatten();
        let ids = bucket.boundaries.iter().zip(found);
        let last = bucket.default.iter().zip([rest]);
        let mut rows = Vec::new();
        for (id, states) in ids.chain(last) {
            if let Some(states) = states {
                let mut row = Aggregated::from([(ID.to_owned(), id.clone())]);
                finish_into(&mut row, &bucket.with, states)?;
                rows.push(row);
            }
        }
        push_all(&mut next, rows.into_iter().map(Row::from))?;
        next.finish()
    }
}

/// Keeps all rows, to divide them when there are no more.
pub(super) struct BucketAutoRows<'p> {
    bucket: &'p BucketAuto,
    /// With the order-preserving bytes of what decides.
    rows: Vec<(Box<[u8]>, Value, Row<'static>)>,
    kept: Kept,
    next: Next<'p>,
}

impl<'p> BucketAutoRows<'p> {
    pub(super) fn new(bucket: &'p BucketAuto, limits: Allowance<'_>, next: Next<'p>) -> Self {
        BucketAutoRows {
            bucket,
            rows: Vec::new(),
            kept: Kept::of("$bucketAuto", limits),
            next,
        }
    }
}

impl Sink for BucketAutoRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let value = self.bucket.by.evaluate(row.as_ref());
        let value = value.map_err(|error| error.in_stage("$bucketAuto"))?;
        let value = value.into_value();
        let key = self.kept.scratch();
        encode_value_key(&value, key);
        let key: Box<[u8]> = key.as_slice().into();
        let bytes = key.len() + size_of::<Box<[u8]>>() + value_bytes(&value) + row.bytes();
        self.kept.add(bytes)?;
        self.rows.push((key, value, row.into_owned()));
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        let BucketAutoRows {
            bucket,
            mut rows,
            mut kept,
            mut next,
        } = *self;
        rows.sort_by(|(a, _, _), (b, _, _)| a.cmp(b));
        let mut made: Vec<Aggregated> = Vec::new();
        let (mut start, mut left) = (0, bucket.buckets);
        while start < rows.len() {
            // What is left is divided among the buckets that are left.
            let size = (rows.len() - start).div_ceil(left.max(1));
            let mut end = start + size;
            let last = |end: usize| &rows[end - 1].0;
            while end < rows.len() && rows[end].0 == *last(end) {
                end += 1;
            }
            let mut states = states(&bucket.with);
            for (_, _, row) in &rows[start..end] {
                for state in &mut states {
                    let added = state.add(row.as_ref(), &mut kept);
                    added.map_err(|error| error.in_stage("$bucketAuto"))?;
                }
            }
            let max = rows.get(end).unwrap_or(&rows[end - 1]).1.clone();
            let range = [("min", rows[start].1.clone()), ("max", max)];
            let id = range.map(|(name, value)| (name.to_owned(), value));
            let mut row = Aggregated::from([(ID.to_owned(), Value::Map(id.into()))]);
            finish_into(&mut row, &bucket.with, states)?;
            made.push(row);
            (start, left) = (end, left.saturating_sub(1));
        }
        push_all(&mut next, made.into_iter().map(Row::from))?;
        next.finish()
    }
}
