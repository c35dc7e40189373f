//! Expressions.

use std::sync::Arc;

use sqlparser::ast::{
    self, AccessExpr, BinaryOperator, CastKind, CeilFloorKind, Expr, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, Subscript, TrimWhereField, UnaryOperator,
};
use velocitydb_types::{ScalarType, SqlType, Value};

use super::{Binder, sql_type};
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::functions::{FunctionError, Resolved, resolve, resolve_quantified, type_name};
use crate::parse::folded;

impl From<FunctionError> for SqlError {
    fn from(error: FunctionError) -> SqlError {
        let FunctionError {
            sqlstate,
            message,
            hint,
        } = error;
        SqlError {
            hint: hint.map(Into::into),
            ..SqlError::new(sqlstate, message)
        }
    }
}

impl Binder<'_> {
    /// An expression with its type.
    ///
    /// # Errors
    /// Names that are not there, types that do not fit, and what is not supported.
    pub(crate) fn bind(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Value(value) => self.literal(&value.value),
            Expr::Nested(inner) => self.bind(inner),
            // Two, since binding takes more of the stack than all that is done with what is bound.
            expr => self.deeper(2, |binder| binder.compound(expr)),
        }
    }

    fn compound(&mut self, expr: &Expr) -> Result<Typed, SqlError> {
        match expr {
            Expr::Identifier(name) if is_call(name) => self.named(&folded(name), Vec::new()),
            Expr::Identifier(name) => self.column(None, name),
            Expr::CompoundIdentifier(names) => match &names[..] {
                [table, name] => self.column(Some(table), name),
                [_, table, name] => {
                    let of = ObjectName::from(names[..2].to_vec());
                    self.check_entry(&of, table)?;
                    self.column(Some(table), name)
                }
                _ => Err(SqlError::unsupported(format!("the name {expr}"))),
            },
            Expr::TypedString(typed) if typed.uses_odbc_syntax => {
                Err(SqlError::unsupported(format!("the literal {typed}")))
            }
            Expr::TypedString(typed) => {
                let sql = sql_type(&typed.data_type)?;
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                self.constant(&text, sql)
            }
            Expr::Interval(interval) => self.interval(interval),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right),
            Expr::IsNull(inner) => self.call("is null", [&**inner]),
            Expr::IsNotNull(inner) => self.call("is not null", [&**inner]),
            Expr::IsTrue(inner) => self.call("is true", [&**inner]),
            Expr::IsNotTrue(inner) => self.call("is not true", [&**inner]),
            Expr::IsFalse(inner) => self.call("is false", [&**inner]),
            Expr::IsNotFalse(inner) => self.call("is not false", [&**inner]),
            Expr::IsUnknown(inner) => self.call("is unknown", [&**inner]),
            Expr::IsNotUnknown(inner) => self.call("is not unknown", [&**inner]),
            Expr::IsDistinctFrom(a, b) => {
                match rejoined(b, &|b| Expr::IsDistinctFrom(a.clone(), Box::new(b))) {
                    Some(joined) => self.bind(&joined),
                    None => self.call("is distinct from", [&**a, &**b]),
                }
            }
            Expr::IsNotDistinctFrom(a, b) => {
                match rejoined(b, &|b| Expr::IsNotDistinctFrom(a.clone(), Box::new(b))) {
                    Some(joined) => self.bind(&joined),
                    None => self.call("is not distinct from", [&**a, &**b]),
                }
            }
            Expr::InList {
                expr,
                list,
                negated,
            } if matches!(&**expr, Expr::Tuple(_)) => {
                let equal = list.iter().map(|one| self.rows_equal(expr, one));
                let equal = equal.collect::<Result<Vec<_>, _>>()?;
                let any = self.joined("or", equal)?;
                match negated {
                    true => self.apply("not", vec![any]),
                    false => Ok(any),
                }
            }
            Expr::InList {
                expr,
                list,
                negated,
            } => {
                let name = if *negated { "not in" } else { "in" };
                self.call(name, std::iter::once(&**expr).chain(list))
            }
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let name = if *negated { "not between" } else { "between" };
                self.call(name, [&**expr, &**low, &**high])
            }
            like @ (Expr::Like {
                negated,
                any,
                expr,
                pattern,
                escape_char,
            }
            | Expr::ILike {
                negated,
                any,
                expr,
                pattern,
                escape_char,
            }) => {
                let name = match (matches!(like, Expr::Like { .. }), negated) {
                    (true, false) => "~~",
                    (true, true) => "!~~",
                    (false, false) => "~~*",
                    (false, true) => "!~~*",
                };
                self.like(name, *any, expr, pattern, escape_char.as_ref())
            }
            Expr::SimilarTo {
                negated,
                expr,
                pattern,
                escape_char,
            } => {
                let of = self.bind(expr)?;
                let mut pattern = vec![self.bind(pattern)?];
                if let Some(escape) = escape_char {
                    pattern.push(self.literal(&escape.value)?);
                }
                let pattern = self.apply("similar_to_escape", pattern)?;
                self.apply(if *negated { "!~" } else { "~" }, vec![of, pattern])
            }
            Expr::AnyOp {
                left,
                compare_op,
                right,
                is_some: _,
            } => self.quantified(left, &operator(compare_op)?, right, false),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => self.quantified(left, &operator(compare_op)?, right, true),
            Expr::Cast {
                kind: CastKind::Cast | CastKind::DoubleColon,
                expr,
                data_type,
                array: false,
                format: None,
            } => {
                if let Some(object) = self.registered(expr, data_type)? {
                    return Ok(object);
                }
                let to = sql_type(data_type)?;
                let typed = self.bind(expr)?;
                let bound = self.cast(typed, to, CastContext::Explicit)?;
                Ok(Typed::new(bound, to))
            }
            Expr::Case {
                case_token: _,
                end_token: _,
                operand,
                conditions,
                else_result,
            } => self.case(operand.as_deref(), conditions, else_result.as_deref()),
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => self.call("timezone", [&**time_zone, &**timestamp]),
            Expr::Extract {
                field,
                syntax: _,
                expr,
            } => {
                let field = match field {
                    ast::DateTimeField::Custom(quoted) => quoted.value.clone(),
                    field => field.to_string(),
                };
                let field = text(&field.to_lowercase());
                let of = self.bind(expr)?;
                self.apply("extract", vec![field, of])
            }
            Expr::Ceil { expr, field } => self.rounded("ceil", expr, field),
            Expr::Floor { expr, field } => self.rounded("floor", expr, field),
            Expr::Position { expr, r#in } => self.call("position", [&**r#in, &**expr]),
            Expr::Substring {
                expr,
                substring_from,
                substring_for,
                special: _,
                shorthand,
            } => {
                let name = if *shorthand { "substr" } else { "substring" };
                let mut arguments = vec![self.bind(expr)?];
                match (substring_from, substring_for) {
                    (None, Some(_)) => {
                        arguments.push(Typed::new(Bound::Constant(1.into()), ScalarType::Int4))
                    }
                    (None, None) => {}
                    (Some(from), _) => arguments.push(self.bind(from)?),
                }
                if let Some(count) = substring_for {
                    arguments.push(self.bind(count)?);
                }
                self.apply(name, arguments)
            }
            Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let what = trim_what.as_deref().into_iter();
                let what = what.chain(trim_characters.iter().flatten());
                self.call(name, std::iter::once(&**expr).chain(what))
            }
            Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let given = [&**expr, &**overlay_what, &**overlay_from].into_iter();
                self.call("overlay", given.chain(overlay_for.as_deref()))
            }
            Expr::Array(array) => self.array(&array.elem),
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain),
            Expr::Function(function) => self.function(function),
            Expr::Subquery(query) => self.scalar_query(query),
            Expr::Collate { expr, collation } => self.collated(expr, collation),
            Expr::Exists { subquery, negated } => {
                let exists = self.exists(subquery)?;
                match negated {
                    true => self.apply("not", vec![exists]),
                    false => Ok(exists),
                }
            }
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => self.in_query(expr, subquery, *negated),
            other => Err(SqlError::unsupported(format!("the expression {other}"))),
        }
    }

    /// A text as a value of a type.
    pub(super) fn constant(&mut self, text: &str, sql: SqlType) -> Result<Typed, SqlError> {
        let value = super::cast::literal(text, sql, CastContext::Explicit, self.settings)?;
        Ok(Typed::new(Bound::Constant(value), sql))
    }

    fn unary(&mut self, op: UnaryOperator, expr: &Expr) -> Result<Typed, SqlError> {
        // The least integers have no positive counterpart.
        if op == UnaryOperator::Minus
            && let Expr::Value(value) = expr
            && let ast::Value::Number(text, _) = &value.value
        {
            return super::literals::number(&format!("-{text}"));
        }
        let name = match op {
            UnaryOperator::Not => "not",
            UnaryOperator::Minus => "-",
            UnaryOperator::Plus => "+",
            UnaryOperator::BitwiseNot => "~",
            UnaryOperator::PGSquareRoot => "|/",
            UnaryOperator::PGCubeRoot => "||/",
            UnaryOperator::PGAbs => "@",
            other => return Err(SqlError::unsupported(format!("the operator {other}"))),
        };
        self.call(name, [expr])
    }

    /// `a + b - c`: a tree that grows to the left, as deep as it is long.
    fn binary<'e>(
        &mut self,
        mut left: &'e Expr,
        op: &'e BinaryOperator,
        right: &'e Expr,
    ) -> Result<Typed, SqlError> {
        let mut chain = vec![(op, right)];
        while let Expr::BinaryOp {
            left: further,
            op,
            right,
        } = left
        {
            chain.push((op, &**right));
            left = further;
        }
        // Conditions that are joined alike stand beside each other.
        let joined = |op: &BinaryOperator| matches!(op, BinaryOperator::And | BinaryOperator::Or);
        let alike = chain.chunk_by(|(one, _), (other, _)| one == other && joined(one));
        self.deeper(alike.count() - 1, |binder| {
            let Some((op, right)) = chain.pop() else {
                return binder.bind(left);
            };
            let mut typed = match joined(op) {
                true => {
                    chain.push((op, right));
                    binder.bind(left)?
                }
                false => binder.of_two(left, op, right)?,
            };
            while let Some((op, right)) = chain.pop() {
                let mut operands = vec![typed, binder.bind(right)?];
                while joined(op)
                    && let Some((_, right)) = chain.pop_if(|(next, _)| *next == op)
                {
                    operands.push(binder.bind(right)?);
                }
                typed = binder.apply(operator(op)?.as_str(), operands)?;
            }
            Ok(typed)
        })
    }

    fn of_two(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<Typed, SqlError> {
        if *op == BinaryOperator::AtAt {
            return self.words(left, right);
        }
        if let (Expr::Tuple(one), Expr::Tuple(other)) = (left, right)
            && *op == BinaryOperator::Overlaps
            && (one.len(), other.len()) == (2, 2)
        {
            return self.call("overlaps", one.iter().chain(other));
        }
        if matches!((left, right), (Expr::Tuple(_), Expr::Tuple(_))) {
            let equal = self.rows_equal(left, right)?;
            return match op {
                BinaryOperator::Eq => Ok(equal),
                BinaryOperator::NotEq => self.apply("not", vec![equal]),
                _ => Err(SqlError::unsupported(format!("the operator {op} of rows"))),
            };
        }
        self.call(operator(op)?.as_str(), [left, right])
    }

    /// `to_tsvector('english', a) @@ plainto_tsquery('english', b)`.
    fn words(&mut self, left: &Expr, right: &Expr) -> Result<Typed, SqlError> {
        let sides = crate::words::sides(left, right)?;
        let text = SqlType::from(ScalarType::Text);
        let mut arguments = Vec::new();
        for side in [sides.text, sides.query] {
            let typed = self.bind(side)?;
            arguments.push(self.cast(typed, text, CastContext::Implicit)?);
        }
        for constant in [&*sides.reads, sides.language] {
            arguments.push(Bound::Constant(constant.into()));
        }
        let bound = Bound::Apply {
            function: Arc::new(crate::words::Matches::default()),
            arguments,
            types: [text; 4].into(),
            volatile: false,
        };
        Ok(Typed::new(bound, ScalarType::Bool))
    }

    /// `(a, b) = (c, d)`.
    fn rows_equal(&mut self, left: &Expr, right: &Expr) -> Result<Typed, SqlError> {
        let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) else {
            return Err(SqlError::unsupported("comparing a row with something else"));
        };
        if left.len() != right.len() {
            let message = "unequal number of entries in row expressions";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let pairs = left.iter().zip(right);
        let equal = pairs.map(|(left, right)| self.call("=", [left, right]));
        let equal = equal.collect::<Result<Vec<_>, _>>()?;
        self.joined("and", equal)
    }

    /// Conditions joined by `and` or `or`.
    fn joined(&mut self, name: &str, conditions: Vec<Typed>) -> Result<Typed, SqlError> {
        match <[Typed; 1]>::try_from(conditions) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => Err(SqlError::unsupported("a row of nothing")),
            Err(several) => self.apply(name, several),
        }
    }

    fn like(
        &mut self,
        name: &str,
        is_any: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&ast::ValueWithSpan>,
    ) -> Result<Typed, SqlError> {
        let patterns = match pattern {
            pattern if is_any => Some((pattern, false)),
            pattern => all_or_some(pattern),
        };
        match (patterns, escape) {
            (Some((patterns, is_all)), None) => {
                return self.quantified(expr, name, patterns, is_all);
            }
            (Some(_), Some(_)) => {
                return Err(SqlError::unsupported("ESCAPE of several patterns"));
            }
            (None, _) => {}
        }
        let of = self.bind(expr)?;
        let mut pattern = self.bind(pattern)?;
        if let Some(escape) = escape {
            let escape = self.literal(&escape.value)?;
            pattern = self.apply("like_escape", vec![pattern, escape])?;
        }
        self.apply(name, vec![of, pattern])
    }

    fn quantified(
        &mut self,
        left: &Expr,
        operator: &str,
        right: &Expr,
        is_all: bool,
    ) -> Result<Typed, SqlError> {
        if let Expr::Subquery(query) = right {
            return self.quantified_query(left, operator, query, is_all);
        }
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let types = [left.sql, right.sql];
        let resolved = resolve_quantified(operator, is_all, types, self.settings)?;
        self.applied(resolved, vec![left, right])
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Typed, SqlError> {
        let mut arguments = Vec::new();
        for ast::CaseWhen { condition, result } in conditions {
            arguments.push(match operand {
                Some(operand) => {
                    let of = self.bind(operand)?;
                    if conditions.len() > 1 && of.bound.is_volatile() {
                        // It stands in each of the conditions.
                        let what = "the operand of a CASE that is another each time";
                        return Err(SqlError::unsupported(what));
                    }
                    let with = self.bind(condition)?;
                    self.apply("=", vec![of, with])?
                }
                None => self.bind(condition)?,
            });
            arguments.push(self.bind(result)?);
        }
        if let Some(otherwise) = otherwise {
            arguments.push(self.bind(otherwise)?);
        }
        self.apply("case", arguments)
    }

    fn rounded(
        &mut self,
        name: &str,
        expr: &Expr,
        field: &CeilFloorKind,
    ) -> Result<Typed, SqlError> {
        match field {
            CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => self.call(name, [expr]),
            _ => Err(SqlError::unsupported(format!("{name} to a unit"))),
        }
    }

    fn array(&mut self, elements: &[Expr]) -> Result<Typed, SqlError> {
        if elements.is_empty() {
            // Of which type, a cast around it says.
            return Ok(Typed {
                bound: Bound::Constant(Value::String("{}".into())),
                sql: None,
            });
        }
        self.call("array", elements)
    }

    fn access(&mut self, root: &Expr, chain: &[AccessExpr]) -> Result<Typed, SqlError> {
        let mut typed = self.bind(root)?;
        let jsonb = SqlType::Scalar(ScalarType::Jsonb);
        if !matches!(typed.sql, Some(SqlType::Array(_))) && typed.sql != Some(jsonb) {
            let name = type_name(typed.sql);
            let message =
                format!("cannot subscript type {name} because it does not support subscripting");
            return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
        }
        for access in chain {
            typed = match access {
                AccessExpr::Subscript(Subscript::Index { index }) => {
                    let index = self.bind(index)?;
                    self.apply("subscript", vec![typed, index])?
                }
                AccessExpr::Subscript(Subscript::Slice {
                    lower_bound,
                    upper_bound,
                    stride: None,
                }) if chain.len() == 1 => {
                    if typed.sql == Some(jsonb) {
                        let message = "jsonb subscript does not support slices";
                        return Err(SqlError::new(sqlstate::DATATYPE_MISMATCH, message));
                    }
                    let name = match (lower_bound, upper_bound) {
                        (Some(_), Some(_)) => "slice",
                        (Some(_), None) => "slice from",
                        (None, Some(_)) => "slice to",
                        (None, None) => "slice all",
                    };
                    let mut arguments = vec![typed];
                    for bound in [lower_bound, upper_bound].into_iter().flatten() {
                        arguments.push(self.bind(bound)?);
                    }
                    self.apply(name, arguments)?
                }
                other => return Err(SqlError::unsupported(format!("{root}{other}"))),
            };
        }
        Ok(typed)
    }

    /// A function or operator of expressions.
    fn call<'e>(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<Typed, SqlError> {
        let bound = arguments.into_iter().map(|argument| self.bind(argument));
        let bound = bound.collect::<Result<_, _>>()?;
        self.apply(name, bound)
    }

    pub(crate) fn apply(&mut self, name: &str, arguments: Vec<Typed>) -> Result<Typed, SqlError> {
        let types: Vec<_> = arguments.iter().map(|argument| argument.sql).collect();
        let resolved = resolve(name, &types, self.settings)?;
        self.applied(resolved, arguments)
    }

    pub(super) fn applied(
        &mut self,
        resolved: Resolved,
        arguments: Vec<Typed>,
    ) -> Result<Typed, SqlError> {
        let wanted = resolved.arguments.iter();
        let arguments = arguments.into_iter().zip(wanted);
        let cast = arguments.map(|(argument, to)| self.cast(argument, *to, CastContext::Implicit));
        let arguments = cast.collect::<Result<_, _>>()?;
        let bound = Bound::Apply {
            function: resolved.function,
            arguments,
            types: resolved.arguments.into(),
            volatile: false,
        };
        Ok(Typed::new(bound, resolved.result))
    }
}

/// What stands behind `IS DISTINCT FROM` is taken by the parser as far as it goes; what AND and OR join to
/// it is joined to the whole. `None`: nothing is.
fn rejoined(behind: &Expr, whole: &dyn Fn(Expr) -> Expr) -> Option<Expr> {
    let Expr::BinaryOp {
        left,
        op: op @ (BinaryOperator::And | BinaryOperator::Or),
        right,
    } = behind
    else {
        return None;
    };
    let left = rejoined(left, whole).unwrap_or_else(|| whole((**left).clone()));
    Some(Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: right.clone(),
    })
}

/// Whether a name is a function that is called without parentheses, and the parser does not know it.
fn is_call(name: &Ident) -> bool {
    name.quote_style.is_none()
        && ["current_role", "current_schema"]
            .iter()
            .any(|known| name.value.eq_ignore_ascii_case(known))
}

/// The patterns of `LIKE ALL (…)` and `LIKE SOME (…)`, which the parser takes for functions; and
/// whether it is all.
fn all_or_some(pattern: &Expr) -> Option<(&Expr, bool)> {
    let Expr::Function(function) = pattern else {
        return None;
    };
    let [ast::ObjectNamePart::Identifier(name)] = &function.name.0[..] else {
        return None;
    };
    let is_all = match (name.quote_style, folded(name).as_str()) {
        (None, "all") => true,
        (None, "some") => false,
        _ => return None,
    };
    match &function.args {
        FunctionArguments::List(list) => match &list.args[..] {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(patterns))] => Some((patterns, is_all)),
            _ => None,
        },
        _ => None,
    }
}

fn text(text: &str) -> Typed {
    Typed::new(Bound::Constant(text.into()), ScalarType::Text)
}

/// What functions call an operator.
pub(super) fn operator(op: &BinaryOperator) -> Result<String, SqlError> {
    Ok(match op {
        BinaryOperator::And => "and".into(),
        BinaryOperator::Or => "or".into(),
        BinaryOperator::NotEq => "<>".into(),
        BinaryOperator::PGExp => "^".into(),
        BinaryOperator::PGBitwiseXor => "#".into(),
        BinaryOperator::PGCustomBinaryOperator(parts) => match &parts[..] {
            [operator] => operator.clone(),
            [schema, operator] if schema == "pg_catalog" => operator.clone(),
            _ => return Err(SqlError::unsupported(format!("the operator {op}"))),
        },
        BinaryOperator::Xor | BinaryOperator::Spaceship => {
            return Err(SqlError::unsupported(format!("the operator {op}")));
        }
        other => other.to_string(),
    })
}
