//! Calls of functions that are about the session, or do something to it.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use velocitydb_types::ScalarType;

use super::Binder;
use crate::bound::{Bound, Typed};
use crate::effects::Function;
use crate::error::{SqlError, sqlstate};
use crate::functions::type_name;

/// The arguments of a call that takes expressions in their order, and nothing besides.
pub(super) fn plain_arguments<'e>(
    name: &str,
    given: &'e FunctionArguments,
) -> Result<Vec<&'e Expr>, SqlError> {
    let given = match given {
        FunctionArguments::List(list)
            if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            &list.args[..]
        }
        FunctionArguments::None => &[],
        _ => return Err(SqlError::unsupported(format!("these arguments of {name}"))),
    };
    let given = given.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        other => Err(SqlError::unsupported(format!("the argument {other}"))),
    });
    given.collect()
}

impl Binder<'_> {
    pub(super) fn effect(
        &mut self,
        function: Function,
        name: &str,
        given: &FunctionArguments,
    ) -> Result<Typed, SqlError> {
        let mut arguments = Vec::new();
        for expr in plain_arguments(name, given)? {
            arguments.push(self.bind(expr)?);
        }
        let types: Vec<_> = arguments.iter().map(|typed| type_name(typed.sql)).collect();
        let none = || {
            let message = format!("function {name}({}) does not exist", types.join(", "));
            SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
        };
        let of = function.arguments(arguments.len()).ok_or_else(none)?;
        let arguments = arguments.into_iter().zip(of).map(|(typed, sql)| {
            let has_type = typed.sql.is_some();
            let bound = self.cast(typed, (*sql).into(), function.context());
            bound.map_err(|error| if has_type { none() } else { error })
        });
        let arguments = arguments.collect::<Result<_, _>>()?;
        Ok(self.effect_of(function, arguments, of))
    }

    /// A call with arguments of these types.
    pub(super) fn effect_of(
        &self,
        function: Function,
        arguments: Vec<Bound>,
        of: &[ScalarType],
    ) -> Typed {
        let bound = Bound::Apply {
            function: function.call(self.effects),
            arguments,
            types: of.iter().map(|sql| (*sql).into()).collect(),
            volatile: true,
        };
        Typed::new(bound, function.answer())
    }
}
