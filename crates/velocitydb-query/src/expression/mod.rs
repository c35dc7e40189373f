//! What stages compute: values made of the fields of a row.
//!
//! ```text
//!   {"$multiply": ["$price", "$count"]}        {"$ifNull": ["$name", "unknown"]}
//! ```
//!
//! Rules that hold for all functions ([`FUNCTIONS`] lists them):
//! - An absent field is null, and a function of null is null; `$ifNull`, `$cond`, `$switch`, `$and`,
//!   `$or`, comparisons, arrays and maps are the ones that take nulls.
//! - `$eq` and `$ne` compare any values; of different types nothing is greater or less, as in
//!   filters. Numbers of all types compare by exact value.
//! - Conditions are true or false, null counts as false, anything else is an error.
//! - Arithmetic is that of [`velocitydb_types::number`]: integer overflow and division by zero are
//!   errors; but a quotient of integers is a float (`$floor` and `$toInt` make whole numbers of it).
//! - Positions are counted from 0, negative ones from the end; strings are counted in characters.
//!
//! Invariants: the same row gives the same value, so there is no clock; depth and number of parts
//! are bounded, and so are depth and size of every value that is made. Files: `evaluate`, `scalar` (functions that a
//! language brings along), and by
//! what they work on `text`, `dates`, `arrays`, `convert`. JSON is read in `language`. Tests:
//! `expression/tests.rs`, a table for each function.

mod arrays;
mod convert;
mod dates;
mod evaluate;
mod functions;
mod scalar;
#[cfg(test)]
mod tests;
mod text;

use velocitydb_types::{ErrorClass, Path, Value};

use crate::error::QueryError;
use crate::path::IntoPath;
use crate::row::Kind;

pub(crate) use dates::later;
pub use dates::{TimeUnit, UNITS};
pub use evaluate::Arguments;
pub use functions::{FUNCTIONS, Function, FunctionRow};
pub use scalar::{Scalar, ScalarFunction};

/// How deep an expression may nest.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// How many parts an expression may have.
pub const EXPRESSION_PARTS_MAX: usize = 10_000;

/// A value made of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expression {
    /// This value.
    Literal(Value),
    /// What a path leads to.
    Field(Path),
    /// The whole row, as a map.
    Root,
    /// An array of these.
    Array(Vec<Expression>),
    /// A map of these.
    Map(Vec<(String, Expression)>),
    /// A function of these. Of `$switch`, the arguments are conditions and values in turn, and
    /// may end with a value for all else.
    Call(Function, Vec<Expression>),
    /// A function that a language brings along, of these. JSON cannot say it.
    Apply(ScalarFunction, Vec<Expression>),
}

/// Why a function has no value.
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) class: ErrorClass,
}

impl Problem {
    fn new(message: impl Into<String>) -> Problem {
        Problem {
            message: message.into(),
            class: ErrorClass::Invalid,
        }
    }

    fn expected(expected: &str, found: &str) -> Problem {
        Problem::new(format!("expected {expected}, found {found}"))
    }

    fn limit(message: impl Into<String>) -> Problem {
        Problem {
            message: message.into(),
            class: ErrorClass::Limit,
        }
    }
}

impl Expression {
    /// What a path leads to.
    ///
    /// # Errors
    /// A text that is no path.
    pub fn field(path: impl IntoPath) -> Result<Expression, QueryError> {
        path.into_path().map(Expression::Field)
    }

    /// This value.
    pub fn literal(value: impl Into<Value>) -> Expression {
        Expression::Literal(value.into())
    }

    /// A function of arguments.
    pub fn call(function: Function, arguments: impl IntoIterator<Item = Expression>) -> Expression {
        Expression::Call(function, arguments.into_iter().collect())
    }

    /// Its parts, one level down.
    fn parts(&self) -> Box<dyn Iterator<Item = &Expression> + '_> {
        match self {
            Expression::Literal(_) | Expression::Field(_) | Expression::Root => {
                Box::new(std::iter::empty())
            }
            Expression::Array(parts) | Expression::Call(_, parts) | Expression::Apply(_, parts) => {
                Box::new(parts.iter())
            }
            Expression::Map(parts) => Box::new(parts.iter().map(|(_, part)| part)),
        }
    }

    /// Whether it can be evaluated for rows of this kind.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        self.check_within(kind, 1, &mut 0)
    }

    fn check_within(&self, kind: Kind, depth: usize, count: &mut usize) -> Result<(), QueryError> {
        *count += 1;
        if depth > EXPRESSION_DEPTH_MAX {
            return Err(QueryError::ExpressionTooDeep);
        }
        if *count > EXPRESSION_PARTS_MAX {
            return Err(QueryError::ExpressionTooLarge);
        }
        match self {
            Expression::Field(path) => kind.check(path)?,
            Expression::Call(function, arguments) => {
                let row = function.row();
                if !(row.least..=row.most).contains(&arguments.len()) {
                    return Err(QueryError::Expression {
                        function: row.name,
                        problem: row.takes(arguments.len()),
                        class: ErrorClass::Invalid,
                    });
                }
            }
            Expression::Map(parts) => {
                crate::pipeline::check_names(parts.iter().map(|(name, _)| name))?;
                if let Some((name, _)) = parts.iter().find(|(name, _)| name.starts_with('$')) {
                    return Err(QueryError::Expression {
                        function: "a map",
                        problem: format!("no function is called {name}, and no name may begin so"),
                        class: ErrorClass::Invalid,
                    });
                }
            }
            Expression::Literal(_)
            | Expression::Root
            | Expression::Array(_)
            | Expression::Apply(..) => {}
        }
        self.parts()
            .try_for_each(|part| part.check_within(kind, depth + 1, count))
    }
}

impl<V: Into<Value>> From<V> for Expression {
    fn from(value: V) -> Expression {
        Expression::Literal(value.into())
    }
}

impl FunctionRow {
    /// What is wrong with so many arguments.
    pub(crate) fn takes(&self, given: usize) -> String {
        let wanted = match (self.least, self.most) {
            (1, 1) => return format!("takes one argument, found {given}: {}", self.help),
            (least, most) if least == most => format!("{least}"),
            (least, usize::MAX) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        format!("takes {wanted} arguments, found {given}: {}", self.help)
    }
}
