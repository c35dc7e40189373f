//! DISTINCT, ORDER BY, OFFSET and LIMIT of rows that come in no order.

use std::collections::BTreeMap;

use velocitydb_query::{Expression, Kept, value_bytes};
use velocitydb_types::Value;

use super::order::{SortKey, Sorter};
use super::row::Row;
use super::select::Select;
use crate::bound::Environment;
use crate::error::SqlError;

/// See the module.
pub(super) struct Finish<'s> {
    select: &'s Select,
    keys: Vec<Expression>,
    limit: Option<usize>,
    offset: usize,
    stage: Stage,
}

enum Stage {
    /// As they come.
    Plain(Vec<Row>),
    Sorted(Sorter<Row>),
    /// Of those that are the same in these values the first in the order.
    Distinct(
        Vec<Expression>,
        BTreeMap<Vec<Value>, (Vec<SortKey>, u64, Row)>,
    ),
}

impl<'s> Finish<'s> {
    pub(super) fn new(
        select: &'s Select,
        environment: &Environment<'_>,
        limit: Option<usize>,
        offset: usize,
    ) -> Result<Finish<'s>, SqlError> {
        let wanted = limit.map(|limit| limit.saturating_add(offset));
        let stage = match &select.distinct {
            Some(distinct) => {
                let lowered = distinct.iter().map(|bound| bound.lower(environment));
                Stage::Distinct(lowered.collect::<Result<_, _>>()?, BTreeMap::new())
            }
            None if select.order.is_empty() => Stage::Plain(Vec::new()),
            None => Stage::Sorted(Sorter::new(wanted)),
        };
        Ok(Finish {
            keys: select.order_keys(environment)?,
            select,
            limit,
            offset,
            stage,
        })
    }

    fn wanted(&self) -> usize {
        let limit = self.limit.unwrap_or(usize::MAX);
        limit.saturating_add(self.offset)
    }

    fn sort_keys(&self, row: &Row) -> Result<Vec<SortKey>, SqlError> {
        let keys = self.select.order.iter().zip(&self.keys);
        keys.map(|(order, key)| Ok(order.key(row.value(key)?)))
            .collect()
    }

    /// Takes a row; whether more are wanted.
    pub(super) fn add(&mut self, row: Row, kept: &mut Kept) -> Result<bool, SqlError> {
        let (keys, wanted) = (self.sort_keys(&row)?, self.wanted());
        let bytes = match &row {
            Row::Document(_) => size_of::<Row>(),
            Row::Made(row) => row.values().map(|value| value_bytes(value) + 64).sum(),
        };
        match &mut self.stage {
            Stage::Plain(rows) => {
                if rows.len() < wanted {
                    kept.resize(0, bytes)?;
                    rows.push(row);
                }
                Ok(rows.len() < wanted)
            }
            Stage::Sorted(sorter) => {
                sorter.add(keys, bytes, row, kept)?;
                Ok(true)
            }
            Stage::Distinct(by, rows) => {
                let by = row.values(by)?;
                let number = rows.len() as u64;
                if let Some((first, _, held)) = rows.get_mut(&by) {
                    if keys < *first {
                        (*first, *held) = (keys, row);
                    }
                } else {
                    let values: usize = by.iter().map(value_bytes).sum();
                    kept.resize(0, 2 * values + bytes + 128)?;
                    rows.insert(by, (keys, number, row));
                }
                Ok(!self.select.order.is_empty() || rows.len() < wanted)
            }
        }
    }

    /// The rows that are wanted, in order.
    pub(super) fn rows(self, kept: &mut Kept) -> Result<Vec<Row>, SqlError> {
        let (limit, offset) = (self.limit.unwrap_or(usize::MAX), self.offset);
        let wanted = self.limit.map(|_| self.wanted());
        let cut = |rows: &mut dyn Iterator<Item = Row>| rows.skip(offset).take(limit).collect();
        Ok(match self.stage {
            Stage::Plain(rows) => cut(&mut rows.into_iter()),
            Stage::Sorted(sorter) => cut(&mut sorter.finish()),
            Stage::Distinct(_, rows) => {
                // Of equal keys the one that came first.
                let mut rows: Vec<_> = rows.into_values().collect();
                rows.sort_by_key(|(_, came, _)| *came);
                let mut sorter = Sorter::new(wanted);
                for (keys, _, row) in rows {
                    sorter.add(keys, 0, row, kept)?;
                }
                cut(&mut sorter.finish())
            }
        })
    }
}
