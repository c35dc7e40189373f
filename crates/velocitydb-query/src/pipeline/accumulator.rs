//! What is computed over the rows of a group.
//!
//! As in SQL: null and absent are left out, count aside, and over nothing a sum, a mean, a least and
//! a greatest are null. First, last and push do take nulls: after a sort they answer whose the
//! extreme was.
//!
//! Sums (`sum`) are exact as long as no float is among the numbers. A percentile is one of the
//! values, the least that at least so many of them do not exceed; all values are kept for it, so
//! that it is exact, within [`crate::Limits`].

use std::collections::BTreeMap;

use velocitydb_types::{RawValue, Value, compare, encode_value_key};

use super::input::Input;
use super::sum::{Spread, Sum, SumError};
use crate::error::QueryError;
use crate::expression::Expression;
use crate::limits::{Kept, value_bytes};
use crate::row::RowRef;

/// What is computed over the rows of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accumulator {
    /// How many rows there are.
    Count,
    /// The sum; an error when there is anything but numbers.
    Sum(Expression),
    /// The mean, a float; an error when there is anything but numbers.
    Avg(Expression),
    /// The least, by the order of values.
    Min(Expression),
    /// The greatest, by the order of values.
    Max(Expression),
    /// The value in the first row.
    First(Expression),
    /// The value in the last row.
    Last(Expression),
    /// How many different values there are.
    CountDistinct(Expression),
    /// The different values, ascending.
    Distinct(Expression),
    /// All values, in the order of the rows.
    Push(Expression),
    /// The value in the middle, the lower one of two.
    Median(Expression),
    /// For each of these shares the value that so many do not exceed.
    Percentiles(Expression, Vec<Share>),
    /// The standard deviation, the rows being all there is.
    StdDevPop(Expression),
    /// The standard deviation, the rows being a sample.
    StdDevSamp(Expression),
}

/// A share of rows, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(f64);

impl Eq for Share {}

impl Share {
    /// A share; `None` unless it is 0 to 1.
    pub fn new(share: f64) -> Option<Share> {
        (0.0..=1.0).contains(&share).then_some(Share(share))
    }

    /// The share, 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The place among so many sorted values.
    fn place(self, count: usize) -> usize {
        let place = (self.0 * count as f64).ceil() as usize;
        place.clamp(1, count.max(1)) - 1
    }
}

impl Accumulator {
    /// What it reads; a count reads nothing.
    pub fn input(&self) -> Option<&Expression> {
        match self {
            Accumulator::Count => None,
            Accumulator::Sum(of)
            | Accumulator::Avg(of)
            | Accumulator::Min(of)
            | Accumulator::Max(of)
            | Accumulator::First(of)
            | Accumulator::Last(of)
            | Accumulator::CountDistinct(of)
            | Accumulator::Distinct(of)
            | Accumulator::Push(of)
            | Accumulator::Median(of)
            | Accumulator::Percentiles(of, _)
            | Accumulator::StdDevPop(of)
            | Accumulator::StdDevSamp(of) => Some(of),
        }
    }
}

/// An accumulator and what it has seen so far.
#[derive(Clone)]
pub(super) enum State<'p> {
    Count(u64),
    Sum(Input<'p>, Sum),
    Avg(Input<'p>, Sum),
    Min(Input<'p>, Option<Value>),
    Max(Input<'p>, Option<Value>),
    First(Input<'p>, Option<Value>),
    Last(Input<'p>, Value),
    /// By their order-preserving bytes.
    Distinct(Input<'p>, BTreeMap<Box<[u8]>, Value>, Answer),
    Values(Input<'p>, Vec<Value>, Order<'p>),
    Spread(Input<'p>, Spread, Sample),
}

/// What is answered of different values.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    Count,
    Values,
}

/// What is answered of all values.
#[derive(Clone, Copy)]
pub(super) enum Order<'p> {
    AsTheyCame,
    Median,
    At(&'p [Share]),
}

/// Whether rows are all there is, or a sample of it.
#[derive(Clone, Copy)]
pub(super) enum Sample {
    All,
    Some,
}

impl<'p> State<'p> {
    pub(super) fn new(accumulator: &'p Accumulator) -> State<'p> {
        match accumulator {
            Accumulator::Count => State::Count(0),
            Accumulator::Sum(of) => State::Sum(Input::new(of), Sum::default()),
            Accumulator::Avg(of) => State::Avg(Input::new(of), Sum::default()),
            Accumulator::Min(of) => State::Min(Input::new(of), None),
            Accumulator::Max(of) => State::Max(Input::new(of), None),
            Accumulator::First(of) => State::First(Input::new(of), None),
            Accumulator::Last(of) => State::Last(Input::new(of), Value::Null),
            Accumulator::CountDistinct(of) => {
                State::Distinct(Input::new(of), BTreeMap::new(), Answer::Count)
            }
            Accumulator::Distinct(of) => {
                State::Distinct(Input::new(of), BTreeMap::new(), Answer::Values)
            }
            Accumulator::Push(of) => State::Values(Input::new(of), Vec::new(), Order::AsTheyCame),
            Accumulator::Median(of) => State::Values(Input::new(of), Vec::new(), Order::Median),
            Accumulator::Percentiles(of, at) => {
                State::Values(Input::new(of), Vec::new(), Order::At(at))
            }
            Accumulator::StdDevPop(of) => {
                State::Spread(Input::new(of), Spread::default(), Sample::All)
            }
            Accumulator::StdDevSamp(of) => {
                State::Spread(Input::new(of), Spread::default(), Sample::Some)
            }
        }
    }

    /// Takes a row. What grows is taken into the account; what has a fixed size costs nothing.
    #[inline]
    pub(super) fn add(&mut self, row: RowRef<'_>, kept: &mut Kept) -> Result<(), QueryError> {
        match self {
            State::Count(count) => *count += 1,
            State::Sum(of, sum) | State::Avg(of, sum) => {
                if let Some(int) = of.raw(row).and_then(RawValue::as_int) {
                    sum.add_int(int);
                    return Ok(());
                }
                let added = sum.add(&of.evaluate(row)?);
                added.map_err(|error| error.of(of.expression))?;
            }
            State::Spread(of, spread, _) => {
                let added = spread.add(&of.evaluate(row)?);
                added.map_err(|error| error.of(of.expression))?;
            }
            State::Min(of, least) => {
                let found = of.evaluate(row)?;
                let less = |least: &Value| compare(found.view(), least).is_lt();
                if !found.is_null() && least.as_ref().is_none_or(less) {
                    replace(least, found.into_value(), kept)?;
                }
            }
            State::Max(of, greatest) => {
                let found = of.evaluate(row)?;
                let greater = |greatest: &Value| compare(found.view(), greatest).is_gt();
                if !found.is_null() && greatest.as_ref().is_none_or(greater) {
                    replace(greatest, found.into_value(), kept)?;
                }
            }
            State::First(of, first) => {
                if first.is_none() {
                    replace(first, of.evaluate(row)?.into_value(), kept)?;
                }
            }
            State::Last(of, last) => {
                let before = value_bytes(last);
                *last = of.evaluate(row)?.into_value();
                kept.resize(before, value_bytes(last))?;
            }
            State::Distinct(of, seen, _) => {
                let found = of.evaluate(row)?;
                if !found.is_null() {
                    let key = kept.scratch();
                    encode_value_key(found.view(), key);
                    if !seen.contains_key(key.as_slice()) {
                        let key: Box<[u8]> = key.as_slice().into();
                        let value = found.into_value();
                        kept.resize(0, key.len() + ENTRY_BYTES + value_bytes(&value))?;
                        seen.insert(key, value);
                    }
                }
            }
            State::Values(of, values, order) => {
                let found = of.evaluate(row)?;
                if !found.is_null() || matches!(order, Order::AsTheyCame) {
                    let value = found.into_value();
                    // Its place, and as much again for a list that is half empty.
                    kept.resize(0, size_of::<Value>() + value_bytes(&value))?;
                    values.push(value);
                }
            }
        }
        Ok(())
    }

    /// The result.
    pub(super) fn finish(self) -> Result<Value, QueryError> {
        match self {
            State::Count(count) => Ok(count.into()),
            State::Sum(of, sum) => sum
                .total()
                .map_err(|error| SumError::from(error).of(of.expression)),
            State::Avg(_, sum) => Ok(sum.mean()),
            State::Min(_, value) | State::Max(_, value) | State::First(_, value) => {
                Ok(value.unwrap_or_default())
            }
            State::Last(_, value) => Ok(value),
            State::Distinct(_, seen, Answer::Count) => Ok((seen.len() as i64).into()),
            State::Distinct(_, seen, Answer::Values) => {
                Ok(Value::Array(seen.into_values().collect()))
            }
            State::Values(_, values, Order::AsTheyCame) => Ok(Value::Array(values)),
            State::Values(_, mut values, Order::Median) => {
                values.sort_unstable();
                Ok(at(&values, Share(0.5)))
            }
            State::Values(_, mut values, Order::At(shares)) => {
                values.sort_unstable();
                let found = shares.iter().map(|share| at(&values, *share));
                Ok(Value::Array(found.collect()))
            }
            State::Spread(_, spread, Sample::All) => Ok(spread.of_all()),
            State::Spread(_, spread, Sample::Some) => Ok(spread.of_sample()),
        }
    }

    /// Bytes that it takes before it has seen a row.
    pub(super) const BYTES: usize = size_of::<State<'_>>();
}

/// Bytes of a place in a tree.
const ENTRY_BYTES: usize = size_of::<Box<[u8]>>() + 16;

fn at(sorted: &[Value], share: Share) -> Value {
    sorted
        .get(share.place(sorted.len()))
        .cloned()
        .unwrap_or_default()
}

fn replace(place: &mut Option<Value>, value: Value, kept: &mut Kept) -> Result<(), QueryError> {
    let before = place.as_ref().map_or(0, value_bytes);
    kept.resize(before, value_bytes(&value))?;
    *place = Some(value);
    Ok(())
}
