//! Aggregates that take rows WITHIN GROUP (ORDER BY …): percentiles, the most frequent value, and where
//! a row would stand that is not there.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use velocitydb_query::{Kept, value_bytes};
use velocitydb_types::Value;

use super::out_of_range;
use crate::error::SqlError;
use crate::statement::order::{Order, SortKey};

/// Rows in their order, and the direct arguments, which all rows of a group have in common.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    direct: Vec<Value>,
    rows: Vec<SortKey>,
}

impl Sorted {
    /// Takes a row; nulls are left out.
    pub(super) fn add(
        &mut self,
        direct: Vec<Value>,
        keys: Vec<Value>,
        order: &[Order],
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        self.direct = direct;
        for (value, order) in keys.into_iter().zip(order) {
            if !value.is_null() {
                kept.resize(0, value_bytes(&value) + size_of::<SortKey>())?;
                self.rows.push(order.key(value));
            }
        }
        Ok(())
    }

    pub(super) fn percentile(mut self, between: bool) -> Result<Value, SqlError> {
        self.rows.sort();
        let rows = &self.rows;
        let one = |fraction: &Value| match fraction {
            Value::Float(fraction) if between => continuous(*fraction, rows),
            Value::Float(fraction) => discrete(*fraction, rows),
            _ => Ok(Value::Null),
        };
        match self.direct.first() {
            Some(Value::Array(fractions)) => {
                let values = fractions.iter().map(one);
                let values = values.collect::<Result<_, _>>()?;
                Ok(match rows.is_empty() {
                    true => Value::Null,
                    false => Value::Array(values),
                })
            }
            Some(fraction) => one(fraction),
            None => Ok(Value::Null),
        }
    }

    /// Of the most frequent values the first.
    pub(super) fn mode(mut self) -> Value {
        self.rows.sort();
        let mut most: &[SortKey] = &[];
        for run in self.rows.chunk_by(|one, next| one == next) {
            if run.len() > most.len() {
                most = run;
            }
        }
        most.first()
            .map(|key| key.value().clone())
            .unwrap_or_default()
    }
}

fn check(fraction: f64) -> Result<(), SqlError> {
    match (0.0..=1.0).contains(&fraction) {
        true => Ok(()),
        false => {
            let shown = fraction.to_string().to_lowercase();
            let message = format!("percentile value {shown} is not between 0 and 1");
            Err(out_of_range(message))
        }
    }
}

/// The first value that at least this fraction of all is not behind.
fn discrete(fraction: f64, rows: &[SortKey]) -> Result<Value, SqlError> {
    check(fraction)?;
    let number = (fraction * rows.len() as f64).ceil() as usize;
    let row = rows.get(number.saturating_sub(1));
    Ok(row.map(|key| key.value().clone()).unwrap_or_default())
}

/// The value at this fraction of the way from the first to the last.
fn continuous(fraction: f64, rows: &[SortKey]) -> Result<Value, SqlError> {
    check(fraction)?;
    let Some(last) = rows.len().checked_sub(1) else {
        return Ok(Value::Null);
    };
    let place = fraction * last as f64;
    let (low, high) = (place.floor(), place.ceil());
    let part = place - low;
    let at = |place: f64| rows[place as usize].value();
    Ok(match (at(low), at(high)) {
        (value, _) if low == high => value.clone(),
        (Value::Float(low), Value::Float(high)) => Value::Float(low + part * (high - low)),
        (Value::Interval(low), Value::Interval(high)) => {
            let way = high.checked_sub(*low).and_then(|way| way.checked_mul(part));
            let sum = way.and_then(|way| way.checked_add(*low));
            Value::Interval(sum.map_err(out_of_range)?)
        }
        _ => Value::Null,
    })
}

/// What is asked of a row that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// `rank`
    Rank,
    /// `dense_rank`
    Dense,
    /// `percent_rank`
    Percent,
    /// `cume_dist`
    Cumulative,
}

impl Rank {
    pub(crate) fn named(name: &str) -> Option<Rank> {
        Some(match name {
            "rank" => Rank::Rank,
            "dense_rank" => Rank::Dense,
            "percent_rank" => Rank::Percent,
            "cume_dist" => Rank::Cumulative,
            _ => return None,
        })
    }
}

/// How many rows stand before a row that is not there.
#[derive(Debug, Default)]
pub(super) struct Ranked {
    all: u64,
    before: u64,
    alike: u64,
    /// The different ones before it.
    different: BTreeSet<Vec<SortKey>>,
}

impl Ranked {
    pub(super) fn add(
        &mut self,
        direct: Vec<Value>,
        keys: Vec<Value>,
        order: &[Order],
        is_dense: bool,
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        let bytes: usize = keys.iter().map(value_bytes).sum();
        let placed = |values: Vec<Value>| {
            let values = values.into_iter().zip(order);
            values.map(|(value, order)| order.key(value)).collect()
        };
        let (row, other): (Vec<_>, Vec<_>) = (placed(keys), placed(direct));
        self.all += 1;
        match row.cmp(&other) {
            Ordering::Less => {
                self.before += 1;
                if is_dense && self.different.insert(row) {
                    kept.resize(0, bytes + 64)?;
                }
            }
            Ordering::Equal => self.alike += 1,
            Ordering::Greater => {}
        }
        Ok(())
    }

    pub(super) fn finish(self, of: Rank) -> Value {
        let number = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        match of {
            Rank::Rank => number(self.before + 1),
            Rank::Dense => number(self.different.len() as u64 + 1),
            Rank::Percent if self.all == 0 => Value::Float(0.0),
            Rank::Percent => Value::Float(self.before as f64 / self.all as f64),
            Rank::Cumulative => {
                let not_behind = self.before + self.alike + 1;
                Value::Float(not_behind as f64 / (self.all + 1) as f64)
            }
        }
    }
}
