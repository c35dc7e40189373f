//! Calls of the functions of sequences.

use sqlparser::ast::{DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use velocitydb_types::{ScalarType, Value};

use super::Binder;
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::sequences::Function;

impl Binder<'_> {
    pub(super) fn sequence(
        &mut self,
        function: Function,
        name: &str,
        given: &FunctionArguments,
    ) -> Result<Typed, SqlError> {
        let given = match given {
            FunctionArguments::List(list)
                if list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
            {
                &list.args[..]
            }
            FunctionArguments::None => &[],
            _ => return Err(SqlError::unsupported(format!("these arguments of {name}"))),
        };
        let (least, types) = function.arguments();
        if !(least..=types.len()).contains(&given.len()) {
            let message = format!("function {name} does not have {} arguments", given.len());
            return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
        }
        let (mut known, mut arguments, mut of) = (None, Vec::new(), Vec::new());
        for (at, (argument, sql)) in given.iter().zip(types).enumerate() {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
                return Err(SqlError::unsupported(format!("the argument {argument}")));
            };
            let typed = self.bind(if at == 0 {
                without_regclass(expr)
            } else {
                expr
            })?;
            match self.cast(typed, (*sql).into(), CastContext::Implicit)? {
                Bound::Constant(Value::String(text)) if at == 0 => known = Some(text),
                bound => {
                    arguments.push(bound);
                    of.push((*sql).into());
                }
            }
        }
        let bound = Bound::Apply {
            function: self
                .sequences
                .call(function, known.as_deref(), self.settings)?,
            arguments,
            types: of.into(),
            volatile: true,
        };
        Ok(Typed::new(bound, ScalarType::Int8))
    }
}

/// `'name'` of `'name'::regclass`: names are known here as texts.
fn without_regclass(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast {
            expr: inner,
            data_type: DataType::Custom(name, _),
            ..
        } if name.to_string().eq_ignore_ascii_case("regclass") => inner,
        Expr::Cast {
            expr: inner,
            data_type: DataType::Regclass,
            ..
        } => inner,
        Expr::Nested(inner) => without_regclass(inner),
        expr => expr,
    }
}
