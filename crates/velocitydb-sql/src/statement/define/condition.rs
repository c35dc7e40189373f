//! Conditions that the engine keeps: of CHECK, and of indexes over a part of a table.
//!
//! The engine has its own language for them ([`velocitydb_types::expression`]), since it judges
//! documents from all doors, and replays them. What a condition says there is what it says in SQL;
//! what that language cannot say is refused.

use sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator};
use velocitydb_types::{Expression, ScalarType, SqlType};

use crate::bind::Scope;
use crate::error::SqlError;
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
        let scope = Scope {
            table,
            alias: table.name().to_owned(),
            excluded: false,
        };
        let mut binder = self.binder(Some(&scope));
        let typed = binder.bind(expr)?;
        binder.condition(typed, place)?;
        let text = text(expr)?;
        text.parse().map_err(|error| {
            SqlError::unsupported(format!("{place} ({expr})")).detail(format!("{error}"))
        })
    }
}

/// A condition in the engine's language.
fn text(expr: &Expr) -> Result<String, SqlError> {
    let refuse = || {
        Err(SqlError::unsupported(format!(
            "{expr} in a condition that is kept"
        )))
    };
    Ok(match expr {
        Expr::Nested(inner) => format!("({})", text(inner)?),
        Expr::Identifier(name) => quoted(&folded(name)),
        Expr::CompoundIdentifier(names) => match names.last() {
            Some(name) => quoted(&folded(name)),
            None => return refuse(),
        },
        Expr::Value(value) => literal(&value.value)?,
        Expr::IsNull(inner) => format!("({} is null)", text(inner)?),
        Expr::IsNotNull(inner) => format!("({} is not null)", text(inner)?),
        Expr::UnaryOp { op, expr } => match op {
            UnaryOperator::Not => format!("(not {})", text(expr)?),
            UnaryOperator::Minus => format!("(-{})", text(expr)?),
            _ => return refuse(),
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
                _ => return refuse(),
            };
            format!("({} {op} {})", text(left)?, text(right)?)
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => in_list(expr, list, *negated)?,
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            is_some: false,
        } => match without_cast(right) {
            Expr::Array(array) => in_list(left, &array.elem, false)?,
            _ => return refuse(),
        },
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => format!(
            "({} {}between {} and {})",
            text(expr)?,
            not(*negated),
            text(low)?,
            text(high)?
        ),
        Expr::Like {
            negated,
            any: false,
            expr,
            pattern,
            escape_char: None,
        } => format!("({} {}like {})", text(expr)?, not(*negated), text(pattern)?),
        Expr::Cast { .. } => match without_cast(expr) {
            inner @ (Expr::Value(_) | Expr::Identifier(_)) => text(inner)?,
            _ => return refuse(),
        },
        Expr::Function(function) => call(function)?,
        _ => return refuse(),
    })
}

fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

fn in_list(expr: &Expr, list: &[Expr], negated: bool) -> Result<String, SqlError> {
    let list = list.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let not = not(negated);
    Ok(format!("({} {not}in ({}))", text(expr)?, list.join(", ")))
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

fn call(function: &ast::Function) -> Result<String, SqlError> {
    let refuse = || {
        let message = format!("{function} in a condition that is kept");
        Err(SqlError::unsupported(message))
    };
    let name = function.name.to_string().to_lowercase();
    let name = match name.as_str() {
        "abs" | "coalesce" | "length" | "lower" | "upper" => name.as_str(),
        "char_length" | "character_length" => "length",
        _ => return refuse(),
    };
    let ast::FunctionArguments::List(list) = &function.args else {
        return refuse();
    };
    let mut arguments = Vec::new();
    for argument in &list.args {
        let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) = argument else {
            return refuse();
        };
        arguments.push(text(expr)?);
    }
    Ok(format!("{name}({})", arguments.join(", ")))
}
