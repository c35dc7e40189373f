//! Expressions of SQL without columns, bound to functions: enough of a binder for the golden files.

use std::sync::Arc;

use sqlparser::ast::{
    self, AccessExpr, BinaryOperator as Op, CastKind, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, Subscript, TrimWhereField, UnaryOperator,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use velocitydb_query::{Expression, QueryError};
use velocitydb_sql::casts::CastContext;
use velocitydb_sql::formats::{Settings, read_text};
use velocitydb_sql::functions::{self, Conversion, FunctionError, Resolved};
use velocitydb_types::{ScalarType, SqlType, Value};

/// Why there is no answer.
pub(crate) struct Problem {
    pub(crate) sqlstate: String,
    pub(crate) message: String,
}

impl Problem {
    fn new(sqlstate: &str, message: impl ToString) -> Problem {
        Problem {
            sqlstate: sqlstate.to_owned(),
            message: message.to_string(),
        }
    }
}

impl From<FunctionError> for Problem {
    fn from(error: FunctionError) -> Problem {
        Problem::new(error.sqlstate, error.message)
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        match error {
            QueryError::Scalar { sqlstate, message } => Problem::new(sqlstate, message),
            other => Problem::new("54000", other),
        }
    }
}

/// An expression and its type; a text is a literal whose type is not known.
enum Part {
    Unknown(Option<String>),
    Known(Expression, SqlType),
}

use Part::{Known, Unknown};

const TEXT: SqlType = SqlType::Scalar(ScalarType::Text);

pub(crate) fn evaluate(text: &str, settings: &Arc<Settings>) -> Result<(SqlType, Value), Problem> {
    let dialect = PostgreSqlDialect {};
    let parsed = Parser::new(&dialect)
        .try_with_sql(text)
        .and_then(|mut parser| {
            let parsed = parser.parse_expr()?;
            parser.expect_token(&sqlparser::tokenizer::Token::EOF)?;
            Ok(parsed)
        })
        .map_err(|error| Problem::new("42601", error))?;
    let binder = Binder { settings };
    let part = binder.bind(&parsed)?;
    let sql = part.sql_type().unwrap_or(TEXT);
    let expression = binder.cast(part, sql)?;
    Ok((sql, expression.constant()?))
}

impl Part {
    fn sql_type(&self) -> Option<SqlType> {
        match self {
            Unknown(_) => None,
            Known(_, sql) => Some(*sql),
        }
    }
}

struct Binder<'a> {
    settings: &'a Arc<Settings>,
}

impl Binder<'_> {
    fn cast(&self, part: Part, to: SqlType) -> Result<Expression, Problem> {
        self.cast_as(part, to, CastContext::Implicit)
    }

    fn cast_as(
        &self,
        part: Part,
        to: SqlType,
        context: CastContext,
    ) -> Result<Expression, Problem> {
        match part {
            // A literal is read without a length, then made as long as it has to be.
            Unknown(Some(text)) if context == CastContext::Explicit && to.modifier() != -1 => {
                let literal = Known(Expression::literal(text), TEXT);
                self.cast_as(literal, to, context)
            }
            Unknown(None) => Ok(Expression::Literal(Value::Null)),
            Unknown(Some(text)) => {
                let value = read_text(&text, to, self.settings);
                let value = value.map_err(|error| Problem::new(error.code, error.message))?;
                Ok(Expression::Literal(value))
            }
            Known(expression, from) => {
                let cast =
                    functions::conversion(from, to, context, self.settings).ok_or_else(|| {
                        let name = |sql| functions::type_name(Some(sql));
                        let message = format!("cannot cast type {} to {}", name(from), name(to));
                        Problem::new("42846", message)
                    })?;
                Ok(match cast {
                    Conversion::None => expression,
                    Conversion::Function(cast) => Expression::apply(cast, [expression]),
                })
            }
        }
    }

    fn apply(&self, resolved: Resolved, parts: Vec<Part>) -> Result<Part, Problem> {
        let wanted = resolved.arguments.iter();
        let arguments: Result<Vec<_>, _> = parts
            .into_iter()
            .zip(wanted)
            .map(|(part, wanted)| self.cast(part, *wanted))
            .collect();
        Ok(Known(
            Expression::apply(resolved.function, arguments?),
            resolved.result,
        ))
    }

    fn call_parts(&self, name: &str, parts: Vec<Part>) -> Result<Part, Problem> {
        let types: Vec<_> = parts.iter().map(Part::sql_type).collect();
        let resolved = functions::resolve(name, &types, self.settings)?;
        self.apply(resolved, parts)
    }

    fn call(&self, name: &str, arguments: &[&Expr]) -> Result<Part, Problem> {
        let parts: Result<Vec<_>, _> = arguments.iter().map(|part| self.bind(part)).collect();
        self.call_parts(name, parts?)
    }

    fn bind(&self, expr: &Expr) -> Result<Part, Problem> {
        match expr {
            Expr::Nested(inner) => self.bind(inner),
            Expr::Value(value) => self.literal(&value.value),
            Expr::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                let to = self.type_of(&typed.data_type)?;
                Ok(Known(self.cast(Unknown(Some(text)), to)?, to))
            }
            Expr::Interval(interval) => {
                let part = self.bind(&interval.value)?;
                let to = SqlType::Scalar(ScalarType::Interval);
                Ok(Known(self.cast(part, to)?, to))
            }
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                ..
            } => {
                let to = self.type_of(data_type)?;
                let part = self.bind(expr)?;
                Ok(Known(self.cast_as(part, to, CastContext::Explicit)?, to))
            }
            Expr::UnaryOp { op, expr } => {
                if let (UnaryOperator::Minus, Expr::Value(value)) = (op, &**expr)
                    && let ast::Value::Number(digits, _) = &value.value
                {
                    return self.literal(&ast::Value::Number(format!("-{digits}"), false));
                }
                let name = match op {
                    UnaryOperator::Not => "not".to_owned(),
                    other => other.to_string(),
                };
                self.call(&name, &[expr])
            }
            Expr::BinaryOp { left, op, right } => {
                let name = match op {
                    Op::And => "and".to_owned(),
                    Op::Or => "or".to_owned(),
                    other => other.to_string(),
                };
                self.call(&name, &[left, right])
            }
            Expr::IsNull(e) => self.call("is null", &[e]),
            Expr::IsNotNull(e) => self.call("is not null", &[e]),
            Expr::IsTrue(e) => self.call("is true", &[e]),
            Expr::IsNotTrue(e) => self.call("is not true", &[e]),
            Expr::IsFalse(e) => self.call("is false", &[e]),
            Expr::IsNotFalse(e) => self.call("is not false", &[e]),
            Expr::IsUnknown(e) => self.call("is unknown", &[e]),
            Expr::IsNotUnknown(e) => self.call("is not unknown", &[e]),
            Expr::IsDistinctFrom(a, b) => self.call("is distinct from", &[a, b]),
            Expr::IsNotDistinctFrom(a, b) => self.call("is not distinct from", &[a, b]),
            Expr::InList {
                expr,
                list,
                negated,
            } => {
                let all: Vec<&Expr> = std::iter::once(&**expr).chain(list).collect();
                self.call(if *negated { "not in" } else { "in" }, &all)
            }
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => self.call(
                if *negated { "not between" } else { "between" },
                &[expr, low, high],
            ),
            Expr::Like {
                negated: false,
                any: true,
                expr,
                pattern,
                ..
            } => self.quantified_by("~~", false, expr, pattern),
            Expr::Like {
                negated,
                expr,
                pattern,
                escape_char,
                ..
            } => self.like(
                ["~~", "!~~"][usize::from(*negated)],
                expr,
                pattern,
                escape_char,
            ),
            Expr::ILike {
                negated,
                expr,
                pattern,
                escape_char,
                ..
            } => self.like(
                ["~~*", "!~~*"][usize::from(*negated)],
                expr,
                pattern,
                escape_char,
            ),
            Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => {
                let mut parts = vec![self.bind(pattern)?];
                if let Some(escape) = escape_char {
                    parts.push(self.literal(&escape.value)?);
                }
                let pattern = self.call_parts("similar_to_escape", parts)?;
                let name = ["~", "!~"][usize::from(*negated)];
                self.call_parts(name, vec![self.bind(expr)?, pattern])
            }
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => self.quantified(compare_op, false, left, right),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(compare_op, true, left, right),
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                let mut parts = Vec::new();
                for when in conditions {
                    parts.push(match operand {
                        None => self.bind(&when.condition)?,
                        Some(operand) => self.call("=", &[operand, &when.condition])?,
                    });
                    parts.push(self.bind(&when.result)?);
                }
                if let Some(other) = else_result {
                    parts.push(self.bind(other)?);
                }
                self.call_parts("case", parts)
            }
            Expr::Array(array) => {
                let parts: Result<Vec<_>, _> = array.elem.iter().map(|e| self.bind(e)).collect();
                self.call_parts("array", parts?)
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                let mut part = self.bind(root)?;
                for access in access_chain {
                    part = self.subscript(part, access)?;
                }
                Ok(part)
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.call("timezone", &[time_zone, timestamp]),
            Expr::Extract { field, expr, .. } => {
                let field = Unknown(Some(field.to_string().trim_matches('\'').to_lowercase()));
                self.call_parts("extract", vec![field, self.bind(expr)?])
            }
            Expr::Ceil { expr, .. } => self.call("ceil", &[expr]),
            Expr::Floor { expr, .. } => self.call("floor", &[expr]),
            Expr::Position { expr, r#in } => self.call("position", &[r#in, expr]),
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                shorthand,
                ..
            } => {
                let one = Expr::value(ast::Value::Number("1".into(), false));
                let name = if *shorthand { "substr" } else { "substring" };
                match (substring_from, substring_for) {
                    (Some(from), Some(count)) => self.call(name, &[expr, from, count]),
                    (Some(from), None) => self.call(name, &[expr, from]),
                    (None, Some(count)) => self.call(name, &[expr, &one, count]),
                    (None, None) => self.call(name, &[expr]),
                }
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                let mut arguments = vec![&**expr];
                arguments.extend(trim_what.as_deref());
                arguments.extend(trim_characters.iter().flatten());
                self.call(name, &arguments)
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut arguments = vec![&**expr, overlay_what, overlay_from];
                arguments.extend(overlay_for.as_deref());
                self.call("overlay", &arguments)
            }
            Expr::Function(function) => self.function(function),
            other => Err(Problem::new("0A000", format!("{other:?}"))),
        }
    }

    fn like(
        &self,
        name: &str,
        expr: &Expr,
        pattern: &Expr,
        escape: &Option<ast::ValueWithSpan>,
    ) -> Result<Part, Problem> {
        let mut pattern = self.bind(pattern)?;
        if let Some(escape) = escape {
            let escape = self.literal(&escape.value)?;
            pattern = self.call_parts("like_escape", vec![pattern, escape])?;
        }
        self.call_parts(name, vec![self.bind(expr)?, pattern])
    }

    fn quantified(
        &self,
        op: &Op,
        is_all: bool,
        left: &Expr,
        right: &Expr,
    ) -> Result<Part, Problem> {
        self.quantified_by(&op.to_string(), is_all, left, right)
    }

    fn quantified_by(
        &self,
        operator: &str,
        is_all: bool,
        left: &Expr,
        right: &Expr,
    ) -> Result<Part, Problem> {
        let parts = vec![self.bind(left)?, self.bind(right)?];
        let types = [parts[0].sql_type(), parts[1].sql_type()];
        let resolved = functions::resolve_quantified(operator, is_all, types, self.settings)?;
        self.apply(resolved, parts)
    }

    fn subscript(&self, part: Part, access: &AccessExpr) -> Result<Part, Problem> {
        let AccessExpr::Subscript(subscript) = access else {
            return Err(Problem::new("0A000", "a field"));
        };
        match subscript {
            Subscript::Index { index } => {
                let index = self.bind(index)?;
                self.call_parts("subscript", vec![part, index])
            }
            Subscript::Slice {
                lower_bound,
                upper_bound,
                ..
            } => {
                let (name, bounds) = match (lower_bound, upper_bound) {
                    (Some(lower), Some(upper)) => ("slice", vec![lower, upper]),
                    (Some(lower), None) => ("slice from", vec![lower]),
                    (None, Some(upper)) => ("slice to", vec![upper]),
                    (None, None) => ("slice all", vec![]),
                };
                let mut parts = vec![part];
                for bound in bounds {
                    parts.push(self.bind(bound)?);
                }
                self.call_parts(name, parts)
            }
        }
    }

    fn function(&self, function: &ast::Function) -> Result<Part, Problem> {
        let name = function.name.to_string().to_lowercase();
        let FunctionArguments::List(list) = &function.args else {
            return Err(Problem::new("0A000", function));
        };
        let (mut parts, mut named) = (Vec::new(), Vec::new());
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => parts.push(self.bind(expr)?),
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expr),
                    ..
                } => {
                    named.push((name.value.clone(), self.bind(expr)?));
                }
                FunctionArg::ExprNamed {
                    name: Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(expr),
                    ..
                } => {
                    named.push((name.value.clone(), self.bind(expr)?));
                }
                other => return Err(Problem::new("0A000", other)),
            }
        }
        // Arguments by name, and those that were left out.
        for argument in functions::named_arguments(&name).iter().skip(parts.len()) {
            let given = named.iter().position(|(name, _)| name == argument.name);
            parts.push(match given {
                Some(given) => named.swap_remove(given).1,
                None => Unknown(Some(argument.default.to_owned())),
            });
        }
        self.call_parts(&name, parts)
    }

    fn literal(&self, value: &ast::Value) -> Result<Part, Problem> {
        use ast::Value as V;
        Ok(match value {
            V::Null => Unknown(None),
            V::Boolean(bool) => Known(
                Expression::literal(*bool),
                SqlType::Scalar(ScalarType::Bool),
            ),
            V::SingleQuotedString(text) | V::EscapedStringLiteral(text) => {
                Unknown(Some(text.clone()))
            }
            V::DollarQuotedString(text) => Unknown(Some(text.value.clone())),
            V::Number(digits, _) => {
                let scalar = match digits.parse::<i64>() {
                    Ok(int) if i32::try_from(int).is_ok() => ScalarType::Int4,
                    Ok(_) => ScalarType::Int8,
                    Err(_) => ScalarType::Numeric(None),
                };
                let sql = SqlType::Scalar(scalar);
                Known(self.cast(Unknown(Some(digits.clone())), sql)?, sql)
            }
            other => return Err(Problem::new("0A000", other)),
        })
    }

    fn type_of(&self, data_type: &ast::DataType) -> Result<SqlType, Problem> {
        let name = data_type.to_string().to_lowercase();
        name.parse().map_err(|error| Problem::new("42704", error))
    }
}
