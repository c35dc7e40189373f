//! Expressions whose names and types are known, and how they become what the evaluator runs.
//!
//! A prepared statement keeps them; every execution puts its parameters and moments in their
//! places and makes constants of what depends on nothing else ([`Bound::lower`]). So the planner
//! below sees `created < '2026-11-22 10:00:00Z'` where the text says `created < now() - $1`.

use std::sync::Arc;

use velocitydb_query::{Expression, Scalar};
use velocitydb_types::{Path, SqlType, Timestamp, Value};

use crate::error::SqlError;

/// An expression, bound.
#[derive(Debug, Clone)]
pub enum Bound {
    /// A value.
    Constant(Value),
    /// A parameter, from 0.
    Parameter(usize),
    /// What a path leads to in the row at hand.
    Column(Path),
    /// The whole document at hand.
    Document,
    /// A moment of the execution.
    Moment(Moment),
    /// What a sub-select of the statement answered, by its number there.
    Query(usize),
    /// An aggregate of the SELECT that is being bound, by its number there. Becomes a column of the
    /// groups before anything is run.
    Aggregate(usize),
    /// A function of arguments.
    Apply {
        /// The function.
        function: Arc<dyn Scalar>,
        /// Its arguments.
        arguments: Vec<Bound>,
        /// Their types.
        types: Box<[SqlType]>,
        /// Whether it gives another value each time it is called.
        volatile: bool,
    },
}

/// A moment that a statement may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When the transaction began: `now()`.
    Transaction,
    /// When the statement began: `statement_timestamp()`.
    Statement,
}

/// A bound expression with its type.
#[derive(Debug, Clone)]
pub(crate) struct Typed {
    pub(crate) bound: Bound,
    /// `None`: a text, a null or a parameter that takes the type that its place asks for.
    pub(crate) sql: Option<SqlType>,
}

impl Typed {
    pub(crate) fn new(bound: Bound, sql: impl Into<SqlType>) -> Typed {
        Typed {
            bound,
            sql: Some(sql.into()),
        }
    }
}

/// What one execution brings.
#[derive(Debug, Clone)]
pub struct Environment<'e> {
    /// Values of its parameters.
    pub parameters: &'e [Value],
    /// When the transaction began: `now()`.
    pub transaction: Timestamp,
    /// When the statement began.
    pub statement: Timestamp,
    /// What the sub-selects of the statement answered.
    pub(crate) queries: &'e [Value],
}

impl Bound {
    /// Whether both ask the same of a row.
    pub(crate) fn is_same(&self, other: &Bound) -> bool {
        match (self, other) {
            (Bound::Column(one), Bound::Column(other)) => one == other,
            (Bound::Document, Bound::Document) => true,
            (Bound::Parameter(one), Bound::Parameter(other))
            | (Bound::Query(one), Bound::Query(other))
            | (Bound::Aggregate(one), Bound::Aggregate(other)) => one == other,
            (Bound::Moment(one), Bound::Moment(other)) => one == other,
            // Equal values may be written in several ways.
            (Bound::Constant(one), Bound::Constant(other)) => {
                format!("{one:?}") == format!("{other:?}")
            }
            (
                Bound::Apply {
                    function,
                    arguments,
                    types,
                    volatile,
                },
                Bound::Apply {
                    function: f,
                    arguments: a,
                    types: t,
                    volatile: v,
                },
            ) => {
                let all = |(one, other): (&Bound, &Bound)| one.is_same(other);
                volatile == v
                    && types == t
                    && arguments.len() == a.len()
                    && function.name() == f.name()
                    && arguments.iter().zip(a).all(all)
                    // What two functions have to have in common to be the same, they show.
                    && format!("{function:?}") == format!("{f:?}")
            }
            _ => false,
        }
    }

    /// Whether a part of it is an aggregate.
    pub(crate) fn has_aggregate(&self) -> bool {
        match self {
            Bound::Aggregate(_) => true,
            Bound::Apply { arguments, .. } => arguments.iter().any(Bound::has_aggregate),
            _ => false,
        }
    }

    /// Whether a part of it gives another value each time.
    pub fn is_volatile(&self) -> bool {
        match self {
            Bound::Apply {
                arguments,
                volatile,
                ..
            } => *volatile || arguments.iter().any(Bound::is_volatile),
            _ => false,
        }
    }

    /// Whether it depends on no row.
    pub fn is_constant(&self) -> bool {
        match self {
            Bound::Column(_) | Bound::Document | Bound::Aggregate(_) => false,
            Bound::Constant(_) | Bound::Parameter(_) | Bound::Moment(_) | Bound::Query(_) => true,
            Bound::Apply {
                arguments,
                volatile,
                ..
            } => !volatile && arguments.iter().all(Bound::is_constant),
        }
    }

    /// The expression for one execution.
    ///
    /// # Errors
    /// When a part that depends on no row has no value; but a part that `CASE` and its like may not
    /// ask for stays as it is, to be asked for then.
    pub fn lower(&self, environment: &Environment<'_>) -> Result<Expression, SqlError> {
        self.expression(environment, true)
    }

    fn expression(
        &self,
        environment: &Environment<'_>,
        folds: bool,
    ) -> Result<Expression, SqlError> {
        Ok(match self {
            Bound::Constant(value) => Expression::Literal(value.clone()),
            Bound::Parameter(at) => Expression::Literal(environment.parameters[*at].clone()),
            Bound::Column(path) => Expression::Field(path.clone()),
            Bound::Document => Expression::Root,
            Bound::Query(at) => Expression::Literal(environment.queries[*at].clone()),
            Bound::Aggregate(_) => unreachable!("a column of the groups since it was bound"),
            Bound::Moment(moment) => Expression::Literal(Value::Time(match moment {
                Moment::Transaction => environment.transaction,
                Moment::Statement => environment.statement,
            })),
            Bound::Apply {
                function,
                arguments,
                volatile,
                ..
            } => {
                let is_lazy = function.is_lazy();
                let arguments = arguments.iter().map(|argument| {
                    let folded = argument.expression(environment, folds);
                    match folded {
                        Err(_) if is_lazy => argument.expression(environment, false),
                        folded => folded,
                    }
                });
                let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
                let literal = |part: &Expression| matches!(part, Expression::Literal(_));
                let folds = folds && !volatile && arguments.iter().all(literal);
                let expression = Expression::apply(Arc::clone(function), arguments);
                match folds {
                    true => Expression::Literal(expression.constant()?),
                    false => expression,
                }
            }
        })
    }

    /// The value of an expression that depends on no row.
    ///
    /// # Errors
    /// When it has none.
    pub fn value(&self, environment: &Environment<'_>) -> Result<Value, SqlError> {
        match self {
            Bound::Constant(value) => Ok(value.clone()),
            Bound::Parameter(at) => Ok(environment.parameters[*at].clone()),
            Bound::Query(at) => Ok(environment.queries[*at].clone()),
            other => Ok(other.lower(environment)?.constant()?),
        }
    }
}
