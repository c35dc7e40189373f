//! Aggregates: which there are, for which types, and how they are computed.
//!
//! Results are of PostgreSQL's types: a sum of int4 is an int8, a sum of int8 and every average of
//! integers a numeric. Most are null of no rows, and leave out nulls (`array_agg` keeps them). What
//! a group keeps is on the account of the query.
//!
//! - `resolve.rs`: the names, and what they mean for types of arguments
//! - `moments.rs`: variance, covariance and regression of floats
//! - `ordered.rs`: those that take rows WITHIN GROUP (ORDER BY …)
//!
//! Tests: `tests/it/slt/aggregates.slt`, `statistics.slt`, `ordered_sets.slt`.

mod moments;
mod ordered;
mod resolve;

use std::collections::BTreeMap;
use std::sync::Arc;

use velocitydb_query::{Expression, Kept, QueryError, Scalar, value_bytes};
use velocitydb_types::{Decimal, Interval, ScalarType, SqlType, Value};

use crate::bound::{Bound, Environment};
use crate::error::{SqlError, sqlstate};
use crate::functions::variance;
use crate::statement::order::{Order, SortKey};
use crate::statement::row::Row;

use moments::{Moments, Pairs};
pub use moments::{Pair, Spread};
pub use ordered::Rank;
use ordered::{Ranked, Sorted};
pub(crate) use resolve::{NAMES, WITHIN_GROUP, is_aggregate, missing, resolve, resolve_within};

/// A call of an aggregate, bound.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// What is computed.
    pub kind: Kind,
    /// What of.
    pub arguments: Vec<Bound>,
    /// Whether equal arguments count once.
    pub distinct: bool,
    /// In which order it takes rows.
    pub order: Vec<Order>,
    /// Which rows it takes.
    pub filter: Option<Bound>,
    /// The type of what it gives.
    pub result: SqlType,
}

/// What is computed.
#[derive(Debug, Clone)]
pub enum Kind {
    /// `count(*)`.
    CountAll,
    /// Of values that are not null.
    Count,
    /// Their sum.
    Sum(Sum),
    /// A sum, divided by this function of numerics when it is one of numerics.
    Average(Sum, Arc<dyn Scalar>),
    /// `min`.
    Least,
    /// `max`.
    Greatest,
    /// `bool_and`.
    All,
    /// `bool_or`.
    Some,
    /// `string_agg` of texts.
    Text,
    /// `string_agg` of bytes.
    Bytes,
    /// `array_agg`.
    Array,
    /// The only value, null or not, of a sub-select.
    Only,
    /// How far values lie apart: of integers and numerics.
    Variance(Spread),
    /// How far values lie apart: of floats.
    FloatVariance(Spread),
    /// What two floats have to do with each other.
    Pair(Pair),
    /// `bit_and`.
    BitAnd,
    /// `bit_or`.
    BitOr,
    /// `bit_xor`.
    BitXor,
    /// A JSON object of names and values.
    Object,
    /// The value that a fraction of the others lies before, or values of an array of fractions; with
    /// what lies between two values (`percentile_cont`), or not.
    Percentile {
        /// Whether it may be between two values.
        between: bool,
    },
    /// The value that is there most often.
    Mode,
    /// Where the direct arguments would stand in the order.
    Rank(Rank),
    /// Which of the keys that are its arguments are not of the set of keys that a group is of. It is known
    /// of a group, and not computed of its rows.
    Grouping,
}

/// What sums are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Of integers, which is one as well.
    Int,
    /// Of integers, which is a numeric.
    IntToDecimal,
    /// Of numerics.
    Decimal,
    /// Of floats.
    Float,
    /// Of floats of single precision.
    Single,
    /// Of intervals.
    Interval,
}

impl Kind {
    /// The type of `count`.
    pub(crate) const COUNT: SqlType = SqlType::Scalar(ScalarType::Int8);

    /// What it is of no rows, when that is not null.
    pub(crate) fn of_nothing(&self) -> Option<Value> {
        match self {
            Kind::CountAll | Kind::Count | Kind::Pair(Pair::Count) => Some(0.into()),
            Kind::Rank(rank) => Some(Ranked::default().finish(*rank)),
            _ => None,
        }
    }

    /// Whether it takes rows in the order of WITHIN GROUP.
    fn is_within(&self) -> bool {
        matches!(self, Kind::Percentile { .. } | Kind::Mode | Kind::Rank(_))
    }

    /// Whether it leaves out a row with these arguments.
    fn skips(&self, values: &[Value]) -> bool {
        match self {
            Kind::CountAll | Kind::Array | Kind::Only | Kind::Object => false,
            Kind::Pair(_) => values.iter().any(Value::is_null),
            _ => values.first().is_none_or(Value::is_null),
        }
    }
}

/// An [`Aggregate`] for one execution.
#[derive(Debug)]
pub(crate) struct Lowered<'a> {
    aggregate: &'a Aggregate,
    arguments: Vec<Expression>,
    order: Vec<Expression>,
    filter: Option<Expression>,
}

impl Aggregate {
    /// For one execution.
    pub(crate) fn lower(&self, environment: &Environment<'_>) -> Result<Lowered<'_>, SqlError> {
        let all = |bound: &[Bound]| {
            let lowered = bound.iter().map(|bound| bound.lower(environment));
            lowered.collect::<Result<Vec<_>, _>>()
        };
        let order = self.order.iter().map(|order| order.by.lower(environment));
        let filter = self.filter.as_ref();
        Ok(Lowered {
            aggregate: self,
            arguments: all(&self.arguments)?,
            order: order.collect::<Result<_, _>>()?,
            filter: filter.map(|filter| filter.lower(environment)).transpose()?,
        })
    }

    /// The arguments that are of the group: those before WITHIN GROUP.
    pub(crate) fn direct(&self) -> &[Bound] {
        match self.kind.is_within() {
            true => &self.arguments,
            false => &[],
        }
    }

    /// Whether it is nothing but the number of rows.
    pub(crate) fn is_count(&self) -> bool {
        matches!(self.kind, Kind::CountAll) && self.filter.is_none()
    }
}

/// What one group has of one aggregate.
#[derive(Debug)]
pub struct Accumulator {
    state: State,
    /// Rows that wait until all are there, to be taken in order.
    waiting: BTreeMap<(Vec<SortKey>, u64), Vec<Value>>,
}

#[derive(Debug)]
enum State {
    Count(i64),
    Int(i128, i64),
    Decimal(Decimal, i64),
    Float(f64, i64),
    Interval(Interval, i64),
    /// The best value, or all of it so far.
    Value(Option<Value>),
    /// How many values there are, their sum, and that of their squares.
    Squares(i64, Decimal, Decimal),
    Moments(Moments),
    Pairs(Pairs),
    Sorted(Sorted),
    Ranked(Ranked),
}

impl Lowered<'_> {
    /// Of no rows.
    pub(crate) fn accumulator(&self) -> Accumulator {
        self.aggregate.accumulator()
    }

    /// Takes a row.
    pub(crate) fn add(
        &self,
        accumulator: &mut Accumulator,
        row: &Row,
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        if let Some(filter) = &self.filter
            && row.value(filter)? != Value::Bool(true)
        {
            return Ok(());
        }
        let (values, keys) = (row.values(&self.arguments)?, row.values(&self.order)?);
        self.aggregate.add(accumulator, values, keys, kept)
    }

    /// The value for the rows that were taken.
    pub(crate) fn finish(
        &self,
        accumulator: Accumulator,
        kept: &mut Kept,
    ) -> Result<Value, SqlError> {
        self.aggregate.finish(accumulator, kept)
    }
}

impl Aggregate {
    /// Of no rows.
    pub fn accumulator(&self) -> Accumulator {
        let sum = |sum| match sum {
            Sum::Int | Sum::IntToDecimal => State::Int(0, 0),
            Sum::Decimal => State::Decimal(Decimal::zero(), 0),
            Sum::Float | Sum::Single => State::Float(0.0, 0),
            Sum::Interval => State::Interval(Interval::new(0, 0, 0), 0),
        };
        Accumulator {
            state: match &self.kind {
                Kind::CountAll | Kind::Count => State::Count(0),
                Kind::Sum(of) | Kind::Average(of, _) => sum(*of),
                Kind::Variance(_) => State::Squares(0, Decimal::zero(), Decimal::zero()),
                Kind::FloatVariance(_) => State::Moments(Moments::default()),
                Kind::Pair(_) => State::Pairs(Pairs::default()),
                Kind::Percentile { .. } | Kind::Mode => State::Sorted(Sorted::default()),
                Kind::Rank(_) => State::Ranked(Ranked::default()),
                _ => State::Value(None),
            },
            waiting: BTreeMap::new(),
        }
    }

    /// Takes what the arguments are of a row, and what its order is by.
    ///
    /// # Errors
    /// A sum is out of range, the memory is not there.
    pub fn add(
        &self,
        accumulator: &mut Accumulator,
        values: Vec<Value>,
        keys: Vec<Value>,
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        match &mut accumulator.state {
            State::Sorted(sorted) => return sorted.add(values, keys, &self.order, kept),
            State::Ranked(ranked) => {
                let is_dense = matches!(self.kind, Kind::Rank(Rank::Dense));
                return ranked.add(values, keys, &self.order, is_dense, kept);
            }
            _ if self.kind.skips(&values) => return Ok(()),
            _ => {}
        }
        if !self.distinct && self.order.is_empty() {
            return self.take(&mut accumulator.state, values, kept);
        }
        let order = self.order.iter().zip(keys);
        let mut keys: Vec<_> = order.map(|(order, value)| order.key(value)).collect();
        let mut number = 0;
        if self.distinct {
            keys.extend(values.iter().cloned().map(SortKey::ascending));
        } else {
            number = accumulator.waiting.len() as u64;
        }
        let bytes: usize = values.iter().map(value_bytes).sum();
        if accumulator.waiting.insert((keys, number), values).is_none() {
            kept.resize(0, 3 * bytes + 64)?;
        }
        Ok(())
    }

    fn take(
        &self,
        state: &mut State,
        mut values: Vec<Value>,
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        let value = values.first_mut().map(std::mem::take).unwrap_or_default();
        match state {
            State::Count(count) => *count += 1,
            State::Int(sum, count) => {
                if let Value::Int(int) = value {
                    (*sum, *count) = (*sum + i128::from(int), *count + 1);
                }
            }
            State::Decimal(sum, count) => {
                if let Value::Decimal(decimal) = value {
                    *sum = sum.checked_add(&decimal).map_err(out_of_range)?;
                    *count += 1;
                }
            }
            State::Float(sum, count) => {
                if let Value::Float(float) = value {
                    let finite = sum.is_finite() && float.is_finite();
                    *sum += float;
                    if self.is_single() {
                        *sum = f64::from(*sum as f32);
                    }
                    if finite && !sum.is_finite() {
                        return Err(out_of_range("value out of range: overflow"));
                    }
                    *count += 1;
                }
            }
            State::Interval(sum, count) => {
                if let Value::Interval(interval) = value {
                    *sum = sum.checked_add(interval).map_err(out_of_range)?;
                    *count += 1;
                }
            }
            State::Value(held) => self.merge(held, value, values.get(1), kept)?,
            State::Squares(count, sum, squares) => {
                let number = match value {
                    Value::Int(int) => int.into(),
                    Value::Decimal(decimal) => decimal,
                    _ => return Ok(()),
                };
                let square = number.checked_mul(&number).map_err(out_of_range)?;
                *sum = sum.checked_add(&number).map_err(out_of_range)?;
                *squares = squares.checked_add(&square).map_err(out_of_range)?;
                *count += 1;
            }
            State::Moments(moments) => {
                if let Value::Float(float) = value {
                    moments.add(float)?;
                }
            }
            State::Pairs(pairs) => {
                if let (Value::Float(y), Some(Value::Float(x))) = (value, values.get(1)) {
                    pairs.add(y, *x)?;
                }
            }
            State::Sorted(_) | State::Ranked(_) => unreachable!("they take rows as they come"),
        }
        Ok(())
    }

    fn is_single(&self) -> bool {
        matches!(self.kind, Kind::Sum(Sum::Single))
    }

    /// Takes a value into what is held.
    fn merge(
        &self,
        held: &mut Option<Value>,
        value: Value,
        between: Option<&Value>,
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        let better = |held: &Option<Value>, is_better: fn(&Value, &Value) -> bool| {
            held.as_ref().is_none_or(|held| is_better(&value, held))
        };
        match self.kind {
            Kind::Least | Kind::All if better(held, |new, held| new < held) => *held = Some(value),
            Kind::Greatest | Kind::Some if better(held, |new, held| new > held) => {
                *held = Some(value);
            }
            Kind::Text => {
                let Value::String(text) = value else {
                    return Ok(());
                };
                kept.resize(0, text.len())?;
                match held {
                    Some(Value::String(all)) => {
                        if let Some(Value::String(between)) = between {
                            kept.resize(0, between.len())?;
                            all.push_str(between);
                        }
                        all.push_str(&text);
                    }
                    held => *held = Some(Value::String(text)),
                }
            }
            Kind::Bytes => {
                let Value::Bytes(bytes) = value else {
                    return Ok(());
                };
                kept.resize(0, bytes.len())?;
                match held {
                    Some(Value::Bytes(all)) => {
                        if let Some(Value::Bytes(between)) = between {
                            kept.resize(0, between.len())?;
                            all.extend_from_slice(between);
                        }
                        all.extend_from_slice(&bytes);
                    }
                    held => *held = Some(Value::Bytes(bytes)),
                }
            }
            Kind::Only => {
                if held.is_some() {
                    let message = "more than one row returned by a subquery used as an expression";
                    return Err(SqlError::new(sqlstate::CARDINALITY_VIOLATION, message));
                }
                *held = Some(value);
            }
            Kind::BitAnd | Kind::BitOr | Kind::BitXor => {
                *held = Some(match (held.take(), value, &self.kind) {
                    (Some(Value::Int(held)), Value::Int(new), Kind::BitAnd) => (held & new).into(),
                    (Some(Value::Int(held)), Value::Int(new), Kind::BitOr) => (held | new).into(),
                    (Some(Value::Int(held)), Value::Int(new), _) => (held ^ new).into(),
                    (_, new, _) => new,
                });
            }
            Kind::Object => {
                let wrong = |message: &str| Err(SqlError::new("22023", message));
                let name = match value {
                    Value::String(name) => name,
                    Value::Null => return wrong("field name must not be null"),
                    _ => return wrong("key value must be scalar, not array, composite, or json"),
                };
                let member = between.cloned().unwrap_or_default();
                kept.resize(0, name.len() + value_bytes(&member))?;
                match held {
                    Some(Value::Map(all)) => drop(all.insert(name, member)),
                    held => *held = Some(Value::Map([(name, member)].into())),
                }
            }
            Kind::Array => {
                kept.resize(0, value_bytes(&value))?;
                match held {
                    Some(Value::Array(all)) => all.push(value),
                    held => *held = Some(Value::Array(vec![value])),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The value for the rows that were taken.
    ///
    /// # Errors
    /// It is out of range.
    pub fn finish(&self, mut accumulator: Accumulator, kept: &mut Kept) -> Result<Value, SqlError> {
        for values in std::mem::take(&mut accumulator.waiting).into_values() {
            self.take(&mut accumulator.state, values, kept)?;
        }
        let average = match &self.kind {
            Kind::Average(_, divide) => Some(divide),
            _ => None,
        };
        let divided = |sum: Decimal, count: i64| match average {
            None => Ok(Value::Decimal(sum)),
            Some(divide) => {
                let parts = [Value::Decimal(sum), Value::Decimal(count.into())];
                let quotient =
                    Expression::apply(Arc::clone(divide), parts.map(Expression::Literal));
                quotient.constant().map_err(SqlError::from)
            }
        };
        Ok(match accumulator.state {
            State::Count(count) => Value::Int(count),
            State::Int(_, 0)
            | State::Decimal(_, 0)
            | State::Float(_, 0)
            | State::Interval(_, 0) => Value::Null,
            State::Int(sum, count) => match self.kind {
                Kind::Sum(Sum::Int) => {
                    let sum = i64::try_from(sum);
                    Value::Int(sum.map_err(|_| out_of_range("bigint out of range"))?)
                }
                _ => {
                    let sum = sum.to_string().parse::<Decimal>();
                    divided(sum.map_err(out_of_range)?, count)?
                }
            },
            State::Decimal(sum, count) => divided(sum, count)?,
            State::Float(sum, count) => Value::Float(match average {
                None => sum,
                Some(_) => sum / count as f64,
            }),
            State::Interval(sum, count) => Value::Interval(match average {
                None => sum,
                Some(_) => sum.checked_div(count as f64).map_err(out_of_range)?,
            }),
            State::Value(value) => value.unwrap_or_default(),
            State::Squares(count, sum, squares) => match self.kind {
                Kind::Variance(Spread { sample: true, .. }) if count < 2 => Value::Null,
                Kind::Variance(of) if count > 0 => {
                    variance(count, &sum, &squares, of.sample, of.root)?
                }
                _ => Value::Null,
            },
            State::Moments(moments) => match self.kind {
                Kind::FloatVariance(of) => moments.finish(of),
                _ => Value::Null,
            },
            State::Pairs(pairs) => match self.kind {
                Kind::Pair(of) => pairs.finish(of),
                _ => Value::Null,
            },
            State::Sorted(sorted) => match self.kind {
                Kind::Percentile { between } => sorted.percentile(between)?,
                _ => sorted.mode(),
            },
            State::Ranked(ranked) => match self.kind {
                Kind::Rank(of) => ranked.finish(of),
                _ => Value::Null,
            },
        })
    }
}

fn out_of_range(why: impl ToString) -> SqlError {
    SqlError::from(QueryError::Scalar {
        sqlstate: sqlstate::NUMERIC_VALUE_OUT_OF_RANGE,
        message: why.to_string(),
    })
}
