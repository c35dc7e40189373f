//! Calls of aggregates: `count(*)`, `sum(DISTINCT x) FILTER (WHERE …)`.

use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments,
};

use super::Binder;
use super::function::called;
use crate::aggregate::{Aggregate, Kind, is_aggregate, resolve};
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;
use crate::statement::order::Order;

/// What becomes of aggregates in an expression.
#[derive(Debug)]
pub(crate) enum Aggregates {
    /// They may not stand there, which is called so.
    Refused(&'static str),
    /// They are noted.
    Noted(Vec<Aggregate>),
}

impl Aggregates {
    /// Those that were noted.
    pub(crate) fn noted(&self) -> &[Aggregate] {
        match self {
            Aggregates::Noted(noted) => noted,
            Aggregates::Refused(_) => &[],
        }
    }
}

fn grouping(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::GROUPING_ERROR, message)
}

impl Binder<'_> {
    /// Binds with aggregates refused.
    pub(crate) fn without_aggregates<T>(
        &mut self,
        place: &'static str,
        bind: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let noted = std::mem::replace(&mut self.aggregates, Aggregates::Refused(place));
        let bound = bind(self);
        self.aggregates = noted;
        bound
    }

    /// A call of an aggregate; `None`: it is none.
    pub(super) fn aggregate(
        &mut self,
        function: &ast::Function,
    ) -> Result<Option<Typed>, SqlError> {
        let last = called(&function.name)?;
        let name = folded(last);
        if !is_aggregate(&name) || function.over.is_some() {
            return Ok(None);
        }
        self.aggregate_named(&name, function)
            .map(Some)
            .map_err(|error| error.at(self.place(last)))
    }

    fn aggregate_named(&mut self, name: &str, function: &ast::Function) -> Result<Typed, SqlError> {
        if let Aggregates::Refused(place) = self.aggregates {
            return Err(grouping(match place {
                "" => "aggregate function calls cannot be nested".to_owned(),
                place => format!("aggregate functions are not allowed in {place}"),
            }));
        }
        let ast::Function {
            name: _,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(list),
            filter,
            null_treatment: None,
            over: None,
            within_group,
        } = function
        else {
            return Err(SqlError::unsupported(format!("{function}")));
        };
        if !within_group.is_empty() {
            return Err(SqlError::unsupported("WITHIN GROUP"));
        }
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        let noted = self.without_aggregates("", |binder| {
            if let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = &list.args[..] {
                if name != "count" || distinct || !list.clauses.is_empty() {
                    return Err(SqlError::unsupported(format!("{function}")));
                }
                let kind = Kind::CountAll;
                return Ok((kind, Vec::new(), Vec::new(), Kind::COUNT));
            }
            let mut arguments = Vec::new();
            for argument in &list.args {
                let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
                    return Err(SqlError::unsupported(format!("the argument {argument}")));
                };
                let typed = binder.bind(expr)?;
                arguments.push(match name {
                    "json_agg" | "jsonb_agg" => binder.apply("to_jsonb", vec![typed])?,
                    _ => typed,
                });
            }
            let types: Vec<_> = arguments.iter().map(|argument| argument.sql).collect();
            let resolved = resolve(name, &types, binder.settings)?;
            let arguments = arguments.into_iter().zip(&resolved.arguments);
            let cast = arguments.map(|(typed, to)| binder.cast(typed, *to, CastContext::Implicit));
            let arguments = cast.collect::<Result<Vec<_>, _>>()?;
            let mut order = Vec::new();
            for clause in &list.clauses {
                let FunctionArgumentClause::OrderBy(keys) = clause else {
                    return Err(SqlError::unsupported(format!("{function}")));
                };
                for key in keys {
                    order.push(Order::plain(key, binder)?);
                }
            }
            Ok((resolved.kind, arguments, order, resolved.result))
        })?;
        let (kind, arguments, order, result) = noted;
        let is_argument = |order: &Order| {
            let mut arguments = arguments.iter();
            arguments.any(|argument| argument.is_same(&order.by))
        };
        if distinct && !order.iter().all(is_argument) {
            let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in \
                           argument list";
            return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
        }
        let filter = match filter {
            None => None,
            Some(filter) => Some(self.without_aggregates("FILTER", |binder| {
                let typed = binder.bind(filter)?;
                binder.condition(typed, "FILTER")
            })?),
        };
        let aggregate = Aggregate {
            kind,
            arguments,
            distinct,
            order,
            filter,
        };
        let Aggregates::Noted(noted) = &mut self.aggregates else {
            unreachable!("looked at above");
        };
        noted.push(aggregate);
        Ok(Typed::new(Bound::Aggregate(noted.len() - 1), result))
    }
}
