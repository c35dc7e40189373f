//! Functions that a language brings along, beside those of [`super::FUNCTIONS`]: SQL's are such.
//!
//! They are called by the same evaluator, with the same bounds. Tests: below, and SQL's.

use std::fmt;
use std::sync::Arc;

use velocitydb_engine::Document;
use velocitydb_types::{SqlType, Value};

use super::Expression;
use super::evaluate::Arguments;
use crate::error::QueryError;
use crate::row::{Aggregated, Cell, RowRef};

/// A function of values. The same arguments give the same value.
pub trait Scalar: fmt::Debug + Send + Sync {
    /// Its name, as messages and plans show it.
    fn name(&self) -> &str;

    /// Its value. Arguments are evaluated when they are asked for.
    ///
    /// # Errors
    /// Those of the arguments, and its own ([`QueryError::Scalar`]).
    fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError>;

    /// What SQL takes its values for, where that is known.
    fn result(&self) -> Option<SqlType> {
        None
    }

    /// Whether it may have a value without asking for all of its arguments, so that one that has
    /// none does no harm: `CASE`, `AND`.
    fn is_lazy(&self) -> bool {
        false
    }
}

/// A [`Scalar`] in an expression. Two are equal when they show the same.
#[derive(Clone)]
pub struct ScalarFunction(pub Arc<dyn Scalar>);

impl fmt::Debug for ScalarFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for ScalarFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || format!("{self:?}") == format!("{other:?}")
    }
}

impl Eq for ScalarFunction {}

impl Expression {
    /// A function of a language, of arguments.
    pub fn apply(
        function: Arc<dyn Scalar>,
        arguments: impl IntoIterator<Item = Expression>,
    ) -> Expression {
        Expression::Apply(ScalarFunction(function), arguments.into_iter().collect())
    }

    /// The value for a document; null where a field is absent.
    ///
    /// # Errors
    /// When a function has no value.
    #[inline]
    pub fn for_document<'a>(&'a self, document: &'a Document) -> Result<Cell<'a>, QueryError> {
        self.evaluate(RowRef::document(document))
    }

    /// The value for a row.
    ///
    /// # Errors
    /// When a function has no value.
    pub fn for_row<'a>(&'a self, row: &'a Aggregated) -> Result<Cell<'a>, QueryError> {
        self.evaluate(RowRef::Map(row))
    }

    /// The value of an expression without fields.
    ///
    /// # Errors
    /// When a function has no value.
    pub fn constant(&self) -> Result<Value, QueryError> {
        static EMPTY: Aggregated = Aggregated::new();
        self.for_row(&EMPTY).map(Cell::into_value)
    }

    /// Whether it is true of a row; null is not.
    pub(crate) fn is_true(&self, row: RowRef<'_>) -> Result<bool, QueryError> {
        let cell = self.evaluate(row)?;
        match cell.view() {
            velocitydb_types::View::Bool(bool) => Ok(bool),
            velocitydb_types::View::Null => Ok(false),
            _ => Err(QueryError::Scalar {
                sqlstate: "42804",
                message: format!("a condition is {}, not true or false", cell.type_name()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::documents;
    use crate::{Filter, Find};

    #[derive(Debug)]
    struct Twice;

    impl Scalar for Twice {
        fn name(&self) -> &str {
            "twice"
        }

        fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
            let text = arguments.get(0)?.into_value();
            let Some(text) = text.as_str() else {
                return Err(QueryError::Scalar {
                    sqlstate: "22000",
                    message: "no text".into(),
                });
            };
            Ok(Cell::Owned(text.repeat(2).into()))
        }
    }

    fn twice(of: Expression) -> Expression {
        Expression::apply(Arc::new(Twice), [of])
    }

    #[test]
    fn a_function_of_a_language_is_evaluated_within_the_bounds() {
        let expression = twice(twice(Expression::literal("ab")));
        assert_eq!(expression.constant().unwrap(), "abababab".into());
        assert_eq!(expression, twice(twice(Expression::literal("ab"))));
        let error = twice(Expression::literal(1)).constant().unwrap_err();
        assert_eq!(error.to_string(), "no text");
        let long = Expression::literal("x".repeat(9 << 20));
        assert!(
            twice(long)
                .constant()
                .unwrap_err()
                .to_string()
                .contains("bytes")
        );
    }

    #[test]
    fn documents_meet_a_condition_when_it_is_true() {
        let all = documents(&[
            r#"{"a":"x","b":"xx"}"#,
            r#"{"a":"x","b":"x"}"#,
            r#"{"a":"y"}"#,
        ]);
        let field = |name: &str| Expression::field(name).unwrap();
        let equal = Expression::call(crate::Function::Eq, [twice(field("a")), field("b")]);
        let found = |find: &Find| {
            find.run(|visit| {
                all.iter().all(visit);
                Ok::<_, QueryError>(())
            })
        };
        assert_eq!(found(&Find::default().only(equal)).unwrap().len(), 1);
        let find = Find::new(Filter::eq("a", "x")).only(field("a"));
        let error = found(&find).unwrap_err();
        assert!(
            error.to_string().contains("a condition is string"),
            "{error}"
        );
    }
}
