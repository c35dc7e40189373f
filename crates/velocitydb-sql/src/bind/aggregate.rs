//! Calls of aggregates: `count(*)`, `sum(DISTINCT x) FILTER (WHERE …)`,
//! `percentile_cont(0.5) WITHIN GROUP (ORDER BY x)`.

use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments,
};
use velocitydb_types::{ScalarType, SqlType};

use super::Binder;
use super::function::called;
use crate::aggregate::{
    Aggregate, Kind, Rank, WITHIN_GROUP, is_aggregate, missing, resolve, resolve_within,
};
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

/// As many arguments as GROUPING may have, in PostgreSQL too.
const GROUPING_MAX: usize = 31;

pub(super) fn grouping(message: impl Into<Box<str>>) -> SqlError {
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
        if function.over.is_some() {
            return Ok(None);
        }
        let typed = match name.as_str() {
            "grouping" => self.grouping(function),
            name if is_aggregate(name) || WITHIN_GROUP.contains(&name) => {
                self.aggregate_named(name, function)
            }
            _ => return Ok(None),
        };
        typed.map(Some).map_err(|error| error.at(self.place(last)))
    }

    /// `GROUPING(a, b)`.
    fn grouping(&mut self, function: &ast::Function) -> Result<Typed, SqlError> {
        let FunctionArguments::List(list) = &function.args else {
            return Err(SqlError::unsupported(format!("{function}")));
        };
        if let Aggregates::Refused(place) = self.aggregates {
            return Err(grouping(match place {
                "" => "aggregate function calls cannot be nested".to_owned(),
                place => format!("grouping operations are not allowed in {place}"),
            }));
        }
        if list.args.len() > GROUPING_MAX {
            let message = "GROUPING must have fewer than 32 arguments";
            return Err(SqlError::new("54023", message));
        }
        let arguments = self.without_aggregates("", |binder| {
            let bound = list.args.iter().map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    Ok(binder.bind_output(expr)?.bound)
                }
                other => Err(SqlError::unsupported(format!("the argument {other}"))),
            });
            bound.collect::<Result<Vec<_>, _>>()
        })?;
        Ok(self.note(Aggregate {
            kind: Kind::Grouping,
            arguments,
            distinct: false,
            order: Vec::new(),
            filter: None,
            result: ScalarType::Int4.into(),
        }))
    }

    fn note(&mut self, aggregate: Aggregate) -> Typed {
        let Aggregates::Noted(noted) = &mut self.aggregates else {
            unreachable!("it was looked at before");
        };
        let result = aggregate.result;
        noted.push(aggregate);
        Typed::new(Bound::Aggregate(noted.len() - 1), result)
    }

    fn aggregate_named(&mut self, name: &str, function: &ast::Function) -> Result<Typed, SqlError> {
        if let Aggregates::Refused(place) = self.aggregates {
            return Err(grouping(match place {
                "" => "aggregate function calls cannot be nested".to_owned(),
                place => format!("aggregate functions are not allowed in {place}"),
            }));
        }
        let aggregate =
            self.without_aggregates("", |binder| binder.aggregate_call(name, function))?;
        self.check_level(&aggregate)?;
        Ok(self.note(aggregate))
    }

    /// Refuses an aggregate that is of the query around, since it asks for nothing of the tables here.
    fn check_level(&self, aggregate: &Aggregate) -> Result<(), SqlError> {
        if self.queries.relational.is_none() {
            return Ok(());
        }
        let mut asked = aggregate.bounds().flat_map(Bound::columns).peekable();
        let around = self.queries.around.iter().flat_map(|level| level.iter());
        let columns = around.flat_map(|scope| &scope.table.columns);
        let around: Vec<_> = columns.flat_map(|column| column.bound.columns()).collect();
        match asked.peek().is_none() || !asked.all(|name| around.contains(&name)) {
            true => Ok(()),
            false => Err(SqlError::unsupported(
                "an aggregate of columns of the query around alone",
            )),
        }
    }

    /// What a call of an aggregate asks, over a window or not.
    pub(super) fn aggregate_call(
        &mut self,
        name: &str,
        function: &ast::Function,
    ) -> Result<Aggregate, SqlError> {
        let ast::Function {
            name: _,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(list),
            filter,
            null_treatment: None,
            over: _,
            within_group,
        } = function
        else {
            return Err(SqlError::unsupported(format!("{function}")));
        };
        let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        if !within_group.is_empty() {
            let with = match distinct {
                true => Some("DISTINCT"),
                false if list.clauses.is_empty() => None,
                false => Some("multiple ORDER BY clauses"),
            };
            if let Some(with) = with {
                let message = format!("cannot use {with} with WITHIN GROUP");
                return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
            }
        }
        // The arguments as they were written.
        let mut given: Vec<Bound> = Vec::new();
        let mut call = |binder: &mut Self| {
            if let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = &list.args[..] {
                if name != "count" && !distinct && within_group.is_empty() {
                    return Err(missing(name, &[]));
                }
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
                arguments.push(binder.bind(expr)?);
            }
            if !within_group.is_empty() || WITHIN_GROUP.contains(&name) {
                return binder.within_group(name, arguments, within_group);
            }
            let types: Vec<_> = arguments.iter().map(|argument| argument.sql).collect();
            let resolved = resolve(name, &types, binder.settings)?;
            let unequal = |sql: &Option<SqlType>| match sql {
                Some(SqlType::Scalar(scalar @ (ScalarType::Json | ScalarType::Point))) => {
                    Some(scalar.row().name)
                }
                _ => None,
            };
            if distinct && let Some(unequal) = types.iter().find_map(unequal) {
                let message = format!("could not identify an equality operator for type {unequal}");
                return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
            }
            given = arguments.iter().map(|typed| typed.bound.clone()).collect();
            let is_json = name.starts_with("json");
            let mut cast = Vec::new();
            for (typed, to) in arguments.into_iter().zip(&resolved.arguments) {
                let is_object = matches!(resolved.kind, Kind::Object);
                let is_key = is_object && cast.is_empty();
                let typed = match typed.sql {
                    None if is_object => {
                        let text = ScalarType::Text;
                        let bound = binder.cast(typed, text.into(), CastContext::Implicit)?;
                        Typed::new(bound, text)
                    }
                    _ => typed,
                };
                cast.push(match to {
                    SqlType::Scalar(ScalarType::Jsonb) if is_json => binder.json(typed, is_key)?,
                    to if is_key => binder.cast(typed, *to, CastContext::Explicit)?,
                    to => binder.cast(typed, *to, CastContext::Implicit)?,
                });
            }
            let arguments = cast;
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
        };
        let (kind, arguments, order, result) = call(self)?;
        let is_argument = |order: &Order| {
            let mut arguments = arguments.iter().chain(&given);
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
        Ok(Aggregate {
            kind,
            arguments,
            distinct,
            order,
            filter,
            result,
        })
    }

    /// A value as JSON. A name of an object is given as an array when it is JSON, since it may be none.
    fn json(&mut self, typed: Typed, is_key: bool) -> Result<Bound, SqlError> {
        let name = match typed.sql {
            Some(SqlType::Scalar(_)) if is_key => "jsonb_build_array",
            Some(SqlType::Scalar(ScalarType::Jsonb)) => return Ok(typed.bound),
            _ => "to_jsonb",
        };
        Ok(self.apply(name, vec![typed])?.bound)
    }

    /// A call that takes rows WITHIN GROUP: what is asked, direct arguments, order, and type.
    fn within_group(
        &mut self,
        name: &str,
        direct: Vec<Typed>,
        keys: &[ast::OrderByExpr],
    ) -> Result<(Kind, Vec<Bound>, Vec<Order>, SqlType), SqlError> {
        let wrong = |message: String| SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message);
        let direct_types: Vec<_> = direct.iter().map(|typed| typed.sql).collect();
        if keys.is_empty() {
            let is_window = Rank::named(name).is_some();
            if is_window && direct.is_empty() {
                return Err(wrong(format!(
                    "window function {name} requires an OVER clause"
                )));
            }
            // What would stand in the order may be among the arguments.
            let order = usize::from(!direct_types.is_empty());
            let (before, order) = direct_types.split_at(direct_types.len() - order);
            if !is_window && resolve_within(name, before, order).is_err() {
                return Err(missing(name, &direct_types));
            }
            return Err(wrong(format!(
                "WITHIN GROUP is required for ordered-set aggregate {name}"
            )));
        }
        let mut by = Vec::new();
        for key in keys {
            by.push(self.bind(&key.expr)?);
        }
        let order_types: Vec<_> = by.iter().map(|typed| typed.sql).collect();
        if !WITHIN_GROUP.contains(&name) {
            resolve(name, &[direct_types, order_types].concat(), self.settings)?;
            return Err(wrong(format!(
                "{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"
            )));
        }
        let resolved = resolve_within(name, &direct_types, &order_types)?;
        let (to_direct, to_order) = resolved.arguments.split_at(direct.len());
        let mut arguments = Vec::new();
        for (typed, to) in direct.into_iter().zip(to_direct) {
            arguments.push(self.cast(typed, *to, CastContext::Implicit)?);
        }
        let mut order = Vec::new();
        for ((typed, to), key) in by.into_iter().zip(to_order).zip(keys) {
            if let SqlType::Scalar(scalar @ (ScalarType::Json | ScalarType::Point)) = to {
                let unordered = scalar.row().name;
                let message =
                    format!("could not identify an ordering operator for type {unordered}");
                return Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message));
            }
            let bound = self.cast(typed, *to, CastContext::Implicit)?;
            order.push(Order::by(key, bound, self)?);
        }
        Ok((resolved.kind, arguments, order, resolved.result))
    }
}
