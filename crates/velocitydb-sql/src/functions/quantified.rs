//! `value operator ANY (array)` and `value operator ALL (array)`.

use std::sync::Arc;

use velocitydb_query::{Arguments, Cell, Expression, QueryError, Scalar};
use velocitydb_types::view::ArrayView;
use velocitydb_types::{SqlType, Value, View};

use super::call::owned;
use super::resolve::type_name;
use super::{FunctionError, Resolved, fault, resolve};
use crate::formats::Settings;

/// Whether an operator holds between a value and any (or every) element of an array.
#[derive(Debug)]
struct Quantified {
    operator: Arc<dyn Scalar>,
    is_all: bool,
    /// Equality is asked most, and needs no call for each element.
    is_equality: bool,
    value: SqlType,
}

/// The function of `value operator ANY (array)`, or `ALL` when `is_all`; the two types are those
/// of the value and of the array.
///
/// # Errors
/// The right side is no array, or there is no such operator between the value and the elements.
pub fn resolve_quantified(
    operator: &str,
    is_all: bool,
    types: [Option<SqlType>; 2],
    settings: &Arc<Settings>,
) -> Result<Resolved, FunctionError> {
    let element = match types[1] {
        None => None,
        Some(SqlType::Array(element)) => Some(SqlType::Scalar(element)),
        Some(SqlType::Scalar(_)) => {
            return Err(FunctionError {
                sqlstate: "42809",
                message: "op ANY/ALL (array) requires array on right side".to_owned(),
                hint: None,
            });
        }
    };
    let resolved = resolve(operator, &[types[0], element], settings)?;
    let boolean = SqlType::Scalar(velocitydb_types::ScalarType::Bool);
    if resolved.result != boolean {
        return Err(FunctionError {
            sqlstate: "42809",
            message: "op ANY/ALL (array) requires operator to yield boolean".to_owned(),
            hint: None,
        });
    }
    let (value, element) = (resolved.arguments[0], resolved.arguments[1]);
    let SqlType::Scalar(scalar) = element else {
        return Err(FunctionError::mismatch(format!(
            "could not find array type for data type {}",
            type_name(Some(element))
        )));
    };
    let function = Quantified {
        operator: resolved.function,
        is_all,
        is_equality: operator == "=" && !is_all && value == element && !has_own_order(value),
        value,
    };
    Ok(Resolved {
        function: Arc::new(function),
        arguments: vec![value, SqlType::Array(scalar)],
        result: boolean,
    })
}

/// Whether equality of a type is not that of values.
fn has_own_order(sql: SqlType) -> bool {
    matches!(sql, SqlType::Scalar(velocitydb_types::ScalarType::Char(_)))
}

impl Scalar for Quantified {
    fn name(&self) -> &str {
        match (self.operator.name(), self.is_all) {
            ("=", false) => "= any",
            ("<>", true) => "<> all",
            (_, false) => "any",
            (_, true) => "all",
        }
    }

    fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
        let array = arguments.get(1)?;
        let elements = match array.view() {
            View::Null => return Ok(Cell::Owned(Value::Null)),
            View::Array(elements) => elements,
            _ => return Err(fault("42804", "the right side of ANY or ALL is no array")),
        };
        let value = arguments.get(0)?;
        self.over(&value, elements).map(Cell::Owned)
    }
}

impl Quantified {
    fn over(&self, value: &Cell<'_>, elements: ArrayView<'_>) -> Result<Value, QueryError> {
        let mut result = Value::Bool(self.is_all);
        for element in elements.iter() {
            // An array of arrays is seen as one row of elements.
            let holds = match element {
                View::Array(inner)
                    if self.value != SqlType::Scalar(velocitydb_types::ScalarType::Jsonb) =>
                {
                    self.over(value, inner)?
                }
                View::Null if self.is_equality => Value::Null,
                element if self.is_equality => match value.view() {
                    View::Null => Value::Null,
                    value => velocitydb_types::compare(value, element).is_eq().into(),
                },
                element => {
                    let operands = [value.clone().into_value(), owned(element)];
                    let call =
                        Expression::apply(self.operator.clone(), operands.map(Expression::Literal));
                    call.constant()?
                }
            };
            match holds {
                Value::Bool(bool) if bool != self.is_all => return Ok(bool.into()),
                Value::Null => result = Value::Null,
                _ => {}
            }
        }
        Ok(result)
    }
}
