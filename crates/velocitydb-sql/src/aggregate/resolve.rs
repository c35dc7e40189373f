//! Which aggregates there are, and for which types.

use std::sync::Arc;

use velocitydb_types::{ScalarType, SqlType};

use super::{Kind, Pair, Rank, Spread, Sum};
use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::functions::{self, common_type, type_name};

/// The most digits of a numeric with a declared scale.
const PRECISION_MAX: u16 = 1000;

/// The names of all aggregates.
pub(crate) const NAMES: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

/// Those that take rows WITHIN GROUP; of the last four, without it, there are functions of windows.
pub(crate) const WITHIN_GROUP: &[&str] = &[
    "mode",
    "percentile_cont",
    "percentile_disc",
    "cume_dist",
    "dense_rank",
    "percent_rank",
    "rank",
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
        ("count", 0) => {
            let message = "count(*) must be used to call a parameterless aggregate function";
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        }
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
        ("string_agg", 2) if !is_between(scalar, types[1]) => return Err(missing(name, types)),
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
        // Of values that are JSON already: `Binder::aggregate_call`.
        ("json_agg", 1) => one(Kind::Array, T::Jsonb, T::Json),
        ("jsonb_agg", 1) => one(Kind::Array, T::Jsonb, T::Jsonb),
        ("json_object_agg" | "jsonb_object_agg", 2) => {
            let result = match name {
                "json_object_agg" => T::Json,
                _ => T::Jsonb,
            };
            // A name that is no text is refused when it is met.
            let key = match scalar {
                None if first.is_some() => T::Jsonb,
                Some(T::Json | T::Jsonb) => T::Jsonb,
                _ => T::Text,
            };
            of(
                Kind::Object,
                vec![key.into(), T::Jsonb.into()],
                result.into(),
            )
        }
        ("bit_and" | "bit_or" | "bit_xor", 1) => match scalar {
            Some(scalar @ (T::Int2 | T::Int4 | T::Int8)) => {
                let kind = match name {
                    "bit_and" => Kind::BitAnd,
                    "bit_or" => Kind::BitOr,
                    _ => Kind::BitXor,
                };
                one(kind, scalar, scalar)
            }
            _ => return Err(missing(name, types)),
        },
        (_, 1) if let Some(spread) = Spread::named(name) => match scalar {
            Some(from @ (T::Int2 | T::Int4 | T::Int8)) => {
                one(Kind::Variance(spread), from, T::Numeric(None))
            }
            Some(T::Numeric(_)) => one(Kind::Variance(spread), T::Numeric(None), T::Numeric(None)),
            Some(from @ (T::Float4 | T::Float8)) => {
                one(Kind::FloatVariance(spread), from, T::Float8)
            }
            None if first.is_none() => one(Kind::FloatVariance(spread), T::Float8, T::Float8),
            _ => return Err(missing(name, types)),
        },
        (_, 2)
            if let Some(pair) = Pair::named(name)
                && types.iter().all(is_float) =>
        {
            let result = match pair {
                Pair::Count => Kind::COUNT,
                _ => T::Float8.into(),
            };
            of(Kind::Pair(pair), vec![T::Float8.into(); 2], result)
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

/// Whether a type may stand between values of another in `string_agg`.
fn is_between(values: Option<ScalarType>, between: Option<SqlType>) -> bool {
    match between {
        None => true,
        Some(SqlType::Scalar(ScalarType::Bytea)) => {
            matches!(values, None | Some(ScalarType::Bytea))
        }
        Some(SqlType::Scalar(scalar)) => scalar.is_text() && values != Some(ScalarType::Bytea),
        Some(SqlType::Array(_)) => false,
    }
}

/// Whether it is a number, or may be.
fn is_float(sql: &Option<SqlType>) -> bool {
    match sql {
        None => true,
        Some(SqlType::Scalar(scalar)) => scalar.is_number(),
        Some(SqlType::Array(_)) => false,
    }
}

/// The aggregate that a name means which takes rows WITHIN GROUP: of types of its direct arguments, and
/// of what the order is by, each of which is cast to those of [`Resolved`] in this order.
///
/// # Errors
/// There is none.
pub(crate) fn resolve_within(
    name: &str,
    direct: &[Option<SqlType>],
    order: &[Option<SqlType>],
) -> Result<Resolved, SqlError> {
    use ScalarType as T;
    let all = [direct, order].concat();
    let resolved = |kind, arguments: Vec<SqlType>, result: SqlType| {
        Ok(Resolved {
            kind,
            arguments,
            result,
        })
    };
    if let Some(rank) = Rank::named(name) {
        if direct.len() != order.len() {
            let (given, wanted) = (direct.len(), order.len());
            let hint = format!(
                "To use the hypothetical-set aggregate {name}, the number of hypothetical direct \
                 arguments (here {given}) must match the number of ordering columns (here {wanted})."
            );
            return Err(missing(name, &all).hint(hint));
        }
        let mut common = Vec::new();
        for (direct, order) in direct.iter().zip(order) {
            common.push(common_type(&[*order, *direct]).map_err(|(one, other)| {
                let (one, other) = (type_name(Some(one)), type_name(Some(other)));
                let message = format!("WITHIN GROUP types {one} and {other} cannot be matched");
                SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
            })?);
        }
        let result = match rank {
            Rank::Rank | Rank::Dense => T::Int8,
            Rank::Percent | Rank::Cumulative => T::Float8,
        };
        return resolved(
            Kind::Rank(rank),
            [&common[..], &common].concat(),
            result.into(),
        );
    }
    let one = |order: &Option<SqlType>| match order {
        None | Some(SqlType::Scalar(T::Varchar(_))) => SqlType::Scalar(T::Text),
        Some(sql) => *sql,
    };
    match (name, direct, order) {
        ("mode", [], [order]) => resolved(Kind::Mode, vec![one(order)], one(order)),
        ("percentile_cont" | "percentile_disc", [fraction], [order]) => {
            let between = name == "percentile_cont";
            let element = match order {
                order if !between => one(order),
                Some(SqlType::Scalar(T::Interval)) => T::Interval.into(),
                order if is_float(order) => T::Float8.into(),
                _ => return Err(missing(name, &all)),
            };
            let kind = Kind::Percentile { between };
            match (fraction, element) {
                (fraction, _) if is_float(fraction) => {
                    resolved(kind, vec![T::Float8.into(), element], element)
                }
                (Some(SqlType::Array(of)), SqlType::Scalar(scalar)) if of.is_number() => {
                    let fractions = SqlType::Array(T::Float8);
                    resolved(kind, vec![fractions, element], SqlType::Array(scalar))
                }
                _ => Err(missing(name, &all)),
            }
        }
        _ => Err(missing(name, &all)),
    }
}

pub(crate) fn missing(name: &str, types: &[Option<SqlType>]) -> SqlError {
    let types: Vec<_> = types.iter().map(|sql| type_name(*sql)).collect();
    let message = format!("function {name}({}) does not exist", types.join(", "));
    SqlError::new(sqlstate::UNDEFINED_FUNCTION, message).hint(
        "No function matches the given name and argument types. You might need to add explicit \
         type casts.",
    )
}
