//! Conditions that the engine keeps: of CHECK, and of indexes over a part of a table.
//!
//! The engine has its own language for them ([`velocitydb_types::expression`]), since it judges
//! documents from all doors, and replays them. What a condition says there is what it says in SQL;
//! what that language cannot say is refused.

use std::sync::Arc;

use sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator};
use velocitydb_types::{Expression, ScalarType, SqlType};

use crate::bind::{Binder, Scope};
use crate::error::{SqlError, sqlstate};
use crate::indexed::{is_immutable, kept};
use crate::parse::folded;
use crate::statement::Preparing;
use crate::table::Table;

impl Preparing<'_> {
    /// The condition, once it is known to be one of this table.
    ///
    /// # Errors
    /// Columns that are not there, types that do not fit, what the engine cannot say.
    pub(super) fn kept_condition(
        &mut self,
        expr: &Expr,
        table: &Table,
        place: &'static str,
    ) -> Result<Expression, SqlError> {
        let scope = [Scope::new(Arc::new(table.clone()), table.name())];
        let mut binder = self.binder(&scope);
        let typed = binder.bind(expr)?;
        let bound = binder.condition(typed, place)?;
        // CHECK may ask for what changes, says PostgreSQL, though it is asked once.
        if place == "WHERE" && !is_immutable(&bound) {
            let message = "functions in index predicate must be marked IMMUTABLE";
            return Err(SqlError::new(sqlstate::INVALID_OBJECT_DEFINITION, message));
        }
        let text = text(expr, &mut binder)?;
        text.parse().map_err(|error| {
            SqlError::unsupported(format!("{place} ({expr})")).detail(format!("{error}"))
        })
    }
}

/// A condition in the engine's language.
fn text(expr: &Expr, binder: &mut Binder<'_>) -> Result<String, SqlError> {
    // What is said the same there depends on the types.
    let typed = |binder: &mut Binder<'_>| {
        let bound = binder.bind_output(expr)?.bound;
        kept(&bound)
            .ok_or_else(|| SqlError::unsupported(format!("{expr} in a condition that is kept")))
    };
    Ok(match expr {
        Expr::Nested(inner) => format!("({})", text(inner, binder)?),
        Expr::Identifier(name) => quoted(&folded(name)),
        Expr::CompoundIdentifier(names) => match names.last() {
            Some(name) => quoted(&folded(name)),
            None => return typed(binder),
        },
        Expr::Value(value) => literal(&value.value)?,
        Expr::IsNull(inner) => format!("({} is null)", text(inner, binder)?),
        Expr::IsNotNull(inner) => format!("({} is not null)", text(inner, binder)?),
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Not => format!("(not {})", text(expr, binder)?),
            UnaryOperator::Minus => format!("(-{})", text(expr, binder)?),
            _ => return typed(binder),
        },
        Expr::BinaryOp { left, op, right } => {
            let op = match op {
                BinaryOperator::And => "and",
                BinaryOperator::Or => "or",
                BinaryOperator::Eq => "=",
                BinaryOperator::NotEq => "<>",
                BinaryOperator::Lt => "<",
                BinaryOperator::LtEq => "<=",
                BinaryOperator::Gt => ">",
                BinaryOperator::GtEq => ">=",
                BinaryOperator::Plus => "+",
                BinaryOperator::Minus => "-",
                BinaryOperator::Multiply => "*",
                BinaryOperator::Divide => "/",
                BinaryOperator::Modulo => "%",
                BinaryOperator::PGRegexMatch => "~",
                _ => return typed(binder),
            };
            format!("({} {op} {})", text(left, binder)?, text(right, binder)?)
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => in_list(expr, list, *negated, binder)?,
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            is_some: false,
        } => match without_cast(right) {
            Expr::Array(array) => in_list(left, &array.elem, false, binder)?,
            _ => return typed(binder),
        },
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => format!(
            "({} {}between {} and {})",
            text(expr, binder)?,
            not(*negated),
            text(low, binder)?,
            text(high, binder)?
        ),
        Expr::Like {
            negated,
            any: false,
            expr,
            pattern,
            escape_char: None,
        } => format!(
            "({} {}like {})",
            text(expr, binder)?,
            not(*negated),
            text(pattern, binder)?
        ),
        Expr::Cast { .. } => match without_cast(expr) {
            inner @ (Expr::Value(_) | Expr::Identifier(_)) => text(inner, binder)?,
            _ => return typed(binder),
        },
        Expr::Function(function) => match call(function, binder)? {
            Some(text) => text,
            None => return typed(binder),
        },
        _ => return typed(binder),
    })
}

fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

fn in_list(
    expr: &Expr,
    list: &[Expr],
    negated: bool,
    binder: &mut Binder<'_>,
) -> Result<String, SqlError> {
    let list = list.iter().map(|expr| text(expr, binder));
    let list = list.collect::<Result<Vec<_>, _>>()?;
    let not = not(negated);
    Ok(format!(
        "({} {not}in ({}))",
        text(expr, binder)?,
        list.join(", ")
    ))
}

/// What is cast to a text, or is a literal of any type: the engine gives a text the type of the
/// field that it is compared with.
fn without_cast(expr: &Expr) -> &Expr {
    let Expr::Cast {
        expr: inner,
        data_type,
        ..
    } = expr
    else {
        return expr;
    };
    // One with a length cuts off.
    let is_text = crate::bind::sql_type(data_type).is_ok_and(|sql| {
        let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
        matches!(scalar, ScalarType::Text | ScalarType::Varchar(None))
    });
    let mut whole = &**inner;
    while let Expr::Nested(nested) = whole {
        whole = nested;
    }
    match is_text {
        true => without_cast(whole),
        false => expr,
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(value: &ast::Value) -> Result<String, SqlError> {
    Ok(match value {
        ast::Value::Number(text, _) => text.clone(),
        ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => {
            format!("'{}'", text.replace('\'', "''"))
        }
        ast::Value::Boolean(bool) => bool.to_string(),
        ast::Value::Null => "null".into(),
        other => return Err(SqlError::unsupported(format!("the literal {other} here"))),
    })
}

/// A call that is the same whatever the types are.
fn call(function: &ast::Function, binder: &mut Binder<'_>) -> Result<Option<String>, SqlError> {
    let name = function.name.to_string().to_lowercase();
    let name = match name.as_str() {
        "abs" | "coalesce" | "length" | "lower" | "upper" => name.as_str(),
        "char_length" | "character_length" => "length",
        _ => return Ok(None),
    };
    let ast::FunctionArguments::List(list) = &function.args else {
        return Ok(None);
    };
    let mut arguments = Vec::new();
    for argument in &list.args {
        let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) = argument else {
            return Ok(None);
        };
        arguments.push(text(expr, binder)?);
    }
    Ok(Some(format!("{name}({})", arguments.join(", "))))
}
