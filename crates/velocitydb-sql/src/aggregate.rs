//! Aggregates: which there are, for which types, and how they are computed.
//!
//! Results are of PostgreSQL's types: a sum of int4 is an int8, a sum of int8 and every average of
//! integers a numeric. All but `count` are null of no rows, and leave out nulls (`array_agg` keeps
//! them). What a group keeps is on the account of the query.
//!
//! Tests: `tests/it/slt/aggregates.slt`.

use std::collections::BTreeMap;
use std::sync::Arc;

use velocitydb_query::{Expression, Kept, QueryError, Scalar, value_bytes};
use velocitydb_types::{Decimal, Interval, ScalarType, SqlType, Value};

use crate::bound::{Bound, Environment};
use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::functions::{self, type_name};
use crate::statement::order::{Order, SortKey};
use crate::statement::row::Row;

/// A call of an aggregate, bound.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) kind: Kind,
    pub(crate) arguments: Vec<Bound>,
    pub(crate) distinct: bool,
    /// In which order it takes rows.
    pub(crate) order: Vec<Order>,
    pub(crate) filter: Option<Bound>,
}

/// What is computed.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// `count(*)`.
    CountAll,
    Count,
    Sum(Sum),
    /// A sum, divided by this function of numerics when it is one of numerics.
    Average(Sum, Arc<dyn Scalar>),
    Least,
    Greatest,
    All,
    Some,
    Text,
    Bytes,
    Array,
}

/// What sums are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sum {
    /// Of integers, which is one as well.
    Int,
    /// Of integers, which is a numeric.
    IntToDecimal,
    Decimal,
    Float,
    /// Of floats of single precision.
    Single,
    Interval,
}

impl Kind {
    /// The type of `count`.
    pub(crate) const COUNT: SqlType = SqlType::Scalar(ScalarType::Int8);
}

/// The most digits of a numeric with a declared scale.
const PRECISION_MAX: u16 = 1000;

/// The names of all aggregates.
pub(crate) const NAMES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "jsonb_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Whether a function is an aggregate.
pub(crate) fn is_aggregate(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The aggregate that a name and types of arguments mean.
pub(crate) struct Resolved {
    pub(crate) kind: Kind,
    /// What each argument has to be cast to before.
    pub(crate) arguments: Vec<SqlType>,
    pub(crate) result: SqlType,
}

/// See [`Resolved`].
///
/// # Errors
/// There is none.
pub(crate) fn resolve(
    name: &str,
    types: &[Option<SqlType>],
    settings: &Arc<Settings>,
) -> Result<Resolved, SqlError> {
    use ScalarType as T;
    let of = |kind, arguments: Vec<SqlType>, result: SqlType| Resolved {
        kind,
        arguments,
        result,
    };
    let one = |kind, argument: T, result: T| of(kind, vec![argument.into()], result.into());
    let first = types.first().copied().flatten();
    let scalar = match first {
        Some(SqlType::Scalar(scalar)) => Some(scalar),
        _ => None,
    };
    let is_array = matches!(first, Some(SqlType::Array(_)));
    Ok(match (name, types.len()) {
        ("count", 1) => of(
            Kind::Count,
            vec![first.unwrap_or(T::Text.into())],
            Kind::COUNT,
        ),
        ("sum", 1) => match scalar {
            Some(from @ (T::Int2 | T::Int4)) => one(Kind::Sum(Sum::Int), from, T::Int8),
            Some(T::Int8) => one(Kind::Sum(Sum::IntToDecimal), T::Int8, T::Numeric(None)),
            Some(T::Numeric(of)) => {
                // Of as many digits after the point as what it sums, and any number before.
                let scale = of.map(|(_, scale)| (PRECISION_MAX, scale));
                let (from, to) = (T::Numeric(of), T::Numeric(scale));
                one(Kind::Sum(Sum::Decimal), from, to)
            }
            Some(T::Float4) => one(Kind::Sum(Sum::Single), T::Float4, T::Float4),
            Some(T::Float8) => one(Kind::Sum(Sum::Float), T::Float8, T::Float8),
            Some(T::Interval) => one(Kind::Sum(Sum::Interval), T::Interval, T::Interval),
            _ => return Err(missing(name, types)),
        },
        ("avg", 1) => {
            let numeric = Some(SqlType::Scalar(T::Numeric(None)));
            let divide = functions::resolve("/", &[numeric, numeric], settings)?.function;
            let average = |sum| Kind::Average(sum, divide);
            match scalar {
                Some(from @ (T::Int2 | T::Int4 | T::Int8)) => {
                    one(average(Sum::IntToDecimal), from, T::Numeric(None))
                }
                Some(T::Numeric(_)) => {
                    one(average(Sum::Decimal), T::Numeric(None), T::Numeric(None))
                }
                Some(from @ (T::Float4 | T::Float8)) => one(average(Sum::Float), from, T::Float8),
                Some(T::Interval) => one(average(Sum::Interval), T::Interval, T::Interval),
                _ => return Err(missing(name, types)),
            }
        }
        ("min" | "max", 1) => {
            let kind = match name {
                "min" => Kind::Least,
                _ => Kind::Greatest,
            };
            match scalar {
                None if !is_array => one(kind, T::Text, T::Text),
                Some(T::Varchar(_)) => one(kind, T::Text, T::Text),
                Some(T::Bool | T::Json | T::Jsonb | T::Uuid | T::Point | T::Bytea) => {
                    return Err(missing(name, types));
                }
                _ => {
                    let sql = first.unwrap_or(T::Text.into());
                    of(kind, vec![sql], sql)
                }
            }
        }
        ("bool_and" | "every", 1) if matches!(scalar, None | Some(T::Bool)) && !is_array => {
            one(Kind::All, T::Bool, T::Bool)
        }
        ("bool_or", 1) if matches!(scalar, None | Some(T::Bool)) && !is_array => {
            one(Kind::Some, T::Bool, T::Bool)
        }
        ("string_agg", 2) => match scalar {
            Some(T::Bytea) => of(
                Kind::Bytes,
                vec![T::Bytea.into(), T::Bytea.into()],
                T::Bytea.into(),
            ),
            None if !is_array => of(
                Kind::Text,
                vec![T::Text.into(), T::Text.into()],
                T::Text.into(),
            ),
            Some(scalar) if scalar.is_text() => of(
                Kind::Text,
                vec![T::Text.into(), T::Text.into()],
                T::Text.into(),
            ),
            _ => return Err(missing(name, types)),
        },
        // Of values that are JSON already: `Binder::aggregate_named`.
        ("json_agg" | "jsonb_agg", 1) => {
            let result = if name == "json_agg" {
                T::Json
            } else {
                T::Jsonb
            };
            one(Kind::Array, T::Jsonb, result)
        }
        ("array_agg", 1) => match scalar {
            _ if is_array => {
                return Err(SqlError::unsupported("an array of several dimensions"));
            }
            scalar => {
                let scalar = scalar.unwrap_or(T::Text);
                of(Kind::Array, vec![scalar.into()], SqlType::Array(scalar))
            }
        },
        _ => return Err(missing(name, types)),
    })
}

fn missing(name: &str, types: &[Option<SqlType>]) -> SqlError {
    let types: Vec<_> = types.iter().map(|sql| type_name(*sql)).collect();
    let message = format!("function {name}({}) does not exist", types.join(", "));
    SqlError::new(sqlstate::UNDEFINED_FUNCTION, message).hint(
        "No function matches the given name and argument types. You might need to add explicit \
         type casts.",
    )
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

    /// Whether it is nothing but the number of rows.
    pub(crate) fn is_count(&self) -> bool {
        matches!(self.kind, Kind::CountAll) && self.filter.is_none()
    }
}

/// What one group has of one aggregate.
#[derive(Debug)]
pub(crate) struct Accumulator {
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
}

impl Lowered<'_> {
    /// Of no rows.
    pub(crate) fn accumulator(&self) -> Accumulator {
        let sum = |sum| match sum {
            Sum::Int | Sum::IntToDecimal => State::Int(0, 0),
            Sum::Decimal => State::Decimal(Decimal::zero(), 0),
            Sum::Float | Sum::Single => State::Float(0.0, 0),
            Sum::Interval => State::Interval(Interval::new(0, 0, 0), 0),
        };
        Accumulator {
            state: match &self.aggregate.kind {
                Kind::CountAll | Kind::Count => State::Count(0),
                Kind::Sum(of) | Kind::Average(of, _) => sum(*of),
                _ => State::Value(None),
            },
            waiting: BTreeMap::new(),
        }
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
        let values = self.arguments.iter().map(|argument| row.value(argument));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let keeps_nulls = matches!(self.aggregate.kind, Kind::CountAll | Kind::Array);
        if !keeps_nulls && values.first().is_none_or(Value::is_null) {
            return Ok(());
        }
        if !self.aggregate.distinct && self.order.is_empty() {
            return self.take(&mut accumulator.state, values, kept);
        }
        let mut keys = Vec::with_capacity(self.order.len() + values.len());
        for (order, by) in self.aggregate.order.iter().zip(&self.order) {
            keys.push(order.key(row.value(by)?));
        }
        let mut number = 0;
        if self.aggregate.distinct {
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
        }
        Ok(())
    }

    fn is_single(&self) -> bool {
        matches!(self.aggregate.kind, Kind::Sum(Sum::Single))
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
        match self.aggregate.kind {
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
    pub(crate) fn finish(
        &self,
        mut accumulator: Accumulator,
        kept: &mut Kept,
    ) -> Result<Value, SqlError> {
        for values in std::mem::take(&mut accumulator.waiting).into_values() {
            self.take(&mut accumulator.state, values, kept)?;
        }
        let average = match &self.aggregate.kind {
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
            State::Int(sum, count) => match self.aggregate.kind {
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
        })
    }
}

fn out_of_range(why: impl ToString) -> SqlError {
    SqlError::from(QueryError::Scalar {
        sqlstate: sqlstate::NUMERIC_VALUE_OUT_OF_RANGE,
        message: why.to_string(),
    })
}
