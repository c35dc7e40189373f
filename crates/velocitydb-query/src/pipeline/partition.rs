//! Rows that wait for all others, to be divided into partitions and sorted within.
//!
//! What `window`, `densify` and `fill` have in common. All rows are kept, bounded by [`Limits`](crate::Limits).

use velocitydb_types::{Path, encode_value_key};

use crate::error::QueryError;
use crate::expression::Expression;
use crate::limits::{Allowance, Kept};
use crate::row::Row;
use crate::sort::{Direction, Nulls, encode_sort_key};

/// A row that waits for the others.
pub(super) struct Waiting {
    partition: Box<[u8]>,
    /// The place in its partition: equal for rows that are equal in the sort.
    pub(super) sort: Box<[u8]>,
    pub(super) row: Row<'static>,
}

/// The rows that wait.
pub(super) struct Partitions {
    stage: &'static str,
    rows: Vec<Waiting>,
    pub(super) kept: Kept,
}

impl Partitions {
    pub(super) fn new(stage: &'static str, limits: Allowance<'_>) -> Partitions {
        Partitions {
            stage,
            rows: Vec::new(),
            kept: Kept::of(stage, limits),
        }
    }

    /// Keeps a row, which belongs to those with equal values here.
    pub(super) fn push(
        &mut self,
        row: Row<'_>,
        by: &[Expression],
        sort: &[(Path, Direction)],
    ) -> Result<(), QueryError> {
        let read = row.as_ref();
        let key = self.kept.scratch();
        for by in by {
            let value = by.evaluate(read);
            let value = value.map_err(|error| error.in_stage(self.stage))?;
            encode_value_key(value.view(), key);
        }
        let partition: Box<[u8]> = key.as_slice().into();
        let key = self.kept.scratch();
        encode_sort_key(read, sort, &[], Nulls::Smallest, key)?;
        let sort: Box<[u8]> = key.as_slice().into();
        let bytes = size_of::<Waiting>() + partition.len() + sort.len() + row.bytes();
        self.kept.add(bytes)?;
        let row = row.into_owned();
        self.rows.push(Waiting {
            partition,
            sort,
            row,
        });
        Ok(())
    }

    /// All rows by partition and sort, and the account that they stay on. Rows that are equal in
    /// all stay as they came.
    pub(super) fn finish(mut self) -> (Vec<Waiting>, Kept) {
        self.rows
            .sort_by(|a, b| (&a.partition, &a.sort).cmp(&(&b.partition, &b.sort)));
        (self.rows, self.kept)
    }
}

/// The partitions of rows that are in order.
pub(super) fn partitions(rows: &[Waiting]) -> impl Iterator<Item = &[Waiting]> {
    rows.chunk_by(|a, b| a.partition == b.partition)
}
