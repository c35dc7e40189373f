//! Calls of functions.

use sqlparser::ast::{
    self, BinaryOperator, DuplicateTreatment, Expr, FunctionArg, FunctionArgExpr,
    FunctionArgOperator, FunctionArgumentClause, FunctionArguments, Ident, ObjectName,
    ObjectNamePart,
};
use velocitydb_types::{SCALAR_TYPES, ScalarType, SqlType, Value};

use super::Binder;
use crate::bound::{Bound, Moment, Typed};
use crate::casts::{CastContext, cast_context};
use crate::error::{SqlError, sqlstate};
use crate::functions::{is_function, named_arguments, type_name};
use crate::parse::folded;
use crate::relation::is_unfold;
use crate::settings::version;

/// Functions that are neither in the table nor any other's: see [`Binder::named`].
pub(crate) const OF_BINDER: &[&str] = &[
    "clock_timestamp",
    "current_catalog",
    "current_database",
    "current_date",
    "current_role",
    "current_schema",
    "current_timestamp",
    "current_user",
    "localtimestamp",
    "now",
    "session_user",
    "statement_timestamp",
    "transaction_timestamp",
    "user",
    "version",
];

impl Binder<'_> {
    /// A call of a function, an aggregate or a sequence.
    pub(super) fn function(&mut self, function: &ast::Function) -> Result<Typed, SqlError> {
        if function.over.is_some() && self.queries.relational.is_some() {
            return self.window(function);
        }
        if let Some(aggregate) = self.aggregate(function)? {
            return Ok(aggregate);
        }
        self.check_plain(function)?;
        let ast::Function {
            name,
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args,
            filter: None,
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
        let last = called(name)?;
        let name = folded(last);
        if let Some(sequence) = crate::sequences::Function::named(&name) {
            let bound = self.sequence(sequence, &name, args);
            return bound.map_err(|error| error.at(self.place(last)));
        }
        if let Some(effect) = crate::effects::Function::named(&name) {
            let bound = self.effect(effect, &name, args);
            return bound.map_err(|error| error.at(self.place(last)));
        }
        let mut arguments = Vec::new();
        if let FunctionArguments::List(list) = args {
            if list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
                return Err(SqlError::unsupported(format!("{function}")));
            }
            for argument in &list.args {
                arguments.push(match argument {
                    // `name := value`.
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::BinaryOp {
                        left,
                        op: BinaryOperator::Assignment,
                        right,
                    })) if let Expr::Identifier(name) = &**left => {
                        (Some(folded(name)), self.bind(right)?)
                    }
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (None, self.bind(expr)?),
                    FunctionArg::Named {
                        name,
                        arg: FunctionArgExpr::Expr(expr),
                        operator: _,
                    }
                    | FunctionArg::ExprNamed {
                        name: Expr::Identifier(name),
                        arg: FunctionArgExpr::Expr(expr),
                        operator: FunctionArgOperator::RightArrow,
                    } => (Some(folded(name)), self.bind(expr)?),
                    other => return Err(SqlError::unsupported(format!("the argument {other}"))),
                });
            }
        } else if let FunctionArguments::Subquery(query) = args {
            return match name.as_str() {
                "array" => self.array_query(query),
                _ => Err(SqlError::unsupported("a sub-select here")),
            };
        }
        if self.queries.relational.is_some() && is_unfold(&name) {
            let arguments = arguments.into_iter().map(|(_, typed)| typed).collect();
            let unfolded = self.unfolded(&name, arguments);
            return unfolded.map_err(|error| error.at(self.place(last)));
        }
        self.named(&name, arguments)
            .map_err(|error| error.at(self.place(last)))
    }

    /// Refuses what only aggregates have.
    fn check_plain(&self, function: &ast::Function) -> Result<(), SqlError> {
        let specified = match &function.args {
            FunctionArguments::List(list)
                if list.duplicate_treatment == Some(DuplicateTreatment::Distinct) =>
            {
                "DISTINCT"
            }
            FunctionArguments::List(list)
                if matches!(list.clauses[..], [FunctionArgumentClause::OrderBy(_)]) =>
            {
                "ORDER BY"
            }
            _ if function.filter.is_some() => "FILTER",
            _ => return Ok(()),
        };
        let last = called(&function.name)?;
        let name = folded(last);
        if !is_function(&name) {
            return Ok(());
        }
        let message = format!("{specified} specified, but {name} is not an aggregate function");
        let error = SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message);
        Err(error.at(self.place(last)))
    }

    pub(super) fn named(
        &mut self,
        name: &str,
        arguments: Vec<(Option<String>, Typed)>,
    ) -> Result<Typed, SqlError> {
        let moment = |moment| Typed::new(Bound::Moment(moment), ScalarType::Timestamptz);
        let none = arguments.is_empty();
        match name {
            "now" | "transaction_timestamp" | "current_timestamp" if none => {
                return Ok(moment(Moment::Transaction));
            }
            "statement_timestamp" | "clock_timestamp" if none => {
                return Ok(moment(Moment::Statement));
            }
            "current_timestamp" | "localtimestamp" if !none => {
                return Err(SqlError::unsupported(format!("a precision of {name}")));
            }
            "current_date" if none => return self.today(),
            "version" | "current_user" | "session_user" | "user" | "current_role"
            | "current_database" | "current_catalog" | "current_schema"
                if none =>
            {
                let text = match name {
                    "version" => version(),
                    "current_database" | "current_catalog" => self.settings.database.to_string(),
                    "current_schema" => match self.settings.schema() {
                        Some(schema) => schema.to_owned(),
                        None => {
                            let bound = Bound::Constant(Value::Null);
                            return Ok(Typed::new(bound, ScalarType::Text));
                        }
                    },
                    _ => self.settings.user.to_string(),
                };
                return Ok(Typed::new(Bound::Constant(text.into()), ScalarType::Text));
            }
            "localtimestamp" if none => {
                let to = SqlType::from(ScalarType::Timestamp);
                let bound = self.cast(moment(Moment::Transaction), to, CastContext::Explicit)?;
                return Ok(Typed::new(bound, to));
            }
            _ => {}
        }
        let mut arguments = positioned(name, arguments)?;
        match &arguments[..] {
            [Typed { sql: Some(_), .. }] if name == "age" => arguments.insert(0, self.today()?),
            [argument] if !is_function(name) => {
                // A type's name is the cast to it, unless it says more in parentheses.
                let row = SCALAR_TYPES.iter().find(|row| row.name == name);
                let has_more =
                    ["bpchar", "varchar", "numeric", "timestamp", "interval"].contains(&name);
                if let Some(row) = row.filter(|_| !has_more) {
                    let to = row.scalar.into();
                    // That there is none, is said of the function.
                    let is_known = argument
                        .sql
                        .is_none_or(|from| cast_context(from, to).is_some());
                    if is_known {
                        let bound = self.cast(argument.clone(), to, CastContext::Explicit)?;
                        return Ok(Typed::new(bound, to));
                    }
                }
            }
            _ => {}
        }
        self.apply(name, arguments)
    }

    /// `current_date`.
    fn today(&mut self) -> Result<Typed, SqlError> {
        let now = Typed::new(Bound::Moment(Moment::Transaction), ScalarType::Timestamptz);
        let bound = self.cast(now, ScalarType::Date.into(), CastContext::Explicit)?;
        Ok(Typed::new(bound, ScalarType::Date))
    }
}

/// The name of a function: one of the schema `pg_catalog`.
///
/// # Errors
/// It is of another.
pub(super) fn called(name: &ObjectName) -> Result<&Ident, SqlError> {
    match &name.0[..] {
        [ObjectNamePart::Identifier(last)] => Ok(last),
        [schema, ObjectNamePart::Identifier(last)]
            if schema.as_ident().map(folded).as_deref() == Some("pg_catalog") =>
        {
            Ok(last)
        }
        _ => {
            let message = format!("function {name} does not exist");
            Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message))
        }
    }
}

/// The arguments of a function in their order: those that were named in their places, and what is
/// meant where one was left out.
fn positioned(function: &str, given: Vec<(Option<String>, Typed)>) -> Result<Vec<Typed>, SqlError> {
    let wrong = |message: String| Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
    let shown = |(name, argument): &(Option<String>, Typed)| match name {
        Some(name) => format!("{name} => {}", type_name(argument.sql)),
        None => type_name(argument.sql),
    };
    let types: Vec<_> = given.iter().map(shown).collect();
    let (mut arguments, mut named) = (Vec::new(), Vec::new());
    for (name, argument) in given {
        match name {
            Some(name) if named.iter().any(|(other, _)| *other == name) => {
                return wrong(format!("argument name {name:?} used more than once"));
            }
            Some(name) => named.push((name, argument)),
            None if named.is_empty() => arguments.push(argument),
            None => return wrong("positional argument cannot follow named argument".into()),
        }
    }
    for argument in named_arguments(function).iter().skip(arguments.len()) {
        let at = named.iter().position(|(name, _)| name == argument.name);
        arguments.push(match at {
            Some(at) => named.swap_remove(at).1,
            None => Typed {
                bound: Bound::Constant(argument.default.into()),
                sql: None,
            },
        });
    }
    if named.is_empty() {
        return Ok(arguments);
    }
    let message = format!("function {function}({}) does not exist", types.join(", "));
    Err(SqlError::new(sqlstate::UNDEFINED_FUNCTION, message))
}
