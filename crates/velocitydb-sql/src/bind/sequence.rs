//! Calls of the functions of sequences.

use sqlparser::ast::{DataType, Expr, FunctionArguments, Spanned};
use velocitydb_types::{ScalarType, Value};

use super::Binder;
use super::effects::plain_arguments;
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::parse::position;
use crate::sequences::Function;

impl Binder<'_> {
    pub(super) fn sequence(
        &mut self,
        function: Function,
        name: &str,
        given: &FunctionArguments,
    ) -> Result<Typed, SqlError> {
        let given = plain_arguments(name, given)?;
        let (least, types) = function.arguments();
        if !(least..=types.len()).contains(&given.len()) {
            let message = format!("function {name} does not have {} arguments", given.len());
            return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
        }
        // A sequence that is not there is missed where its name stands.
        let first = given.first().map(|expr| without_regclass(expr).span());
        let place = first.and_then(|first| position(self.sql, first.start));
        let (mut known, mut arguments, mut of) = (None, Vec::new(), Vec::new());
        for (at, (expr, sql)) in given.into_iter().zip(types).enumerate() {
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
        let called = self
            .sequences
            .call(function, known.as_deref(), self.settings);
        let bound = Bound::Apply {
            function: called.map_err(|error| error.at(place))?,
            arguments,
            types: of.into(),
            volatile: true,
        };
        Ok(Typed::new(bound, ScalarType::Int8))
    }
}

/// `'name'` of `'name'::regclass`: names are known here as texts.
pub(super) fn without_regclass(expr: &Expr) -> &Expr {
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
