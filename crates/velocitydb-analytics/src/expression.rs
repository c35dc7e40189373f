//! Bound expressions as expressions of DataFusion.
//!
//! What Arrow computes exactly as PostgreSQL does becomes Arrow's: comparisons of one form, logic,
//! arithmetic of decimals. All else is called row by row ([`Rowwise`]).

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::{Case, InList, Like, ScalarFunction};
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, Expr, Operator, ScalarUDF, ScalarUDFImpl, SortExpr,
};
use velocitydb_query::{Direction, Scalar};
use velocitydb_sql::Environment;
use velocitydb_sql::relation::{Bound, Order};
use velocitydb_types::{ScalarType, SqlType, Value};

use crate::form::{Builder, Form};
use crate::function::{Keys, Reform, Rowwise};
use crate::run::error_of;

/// An expression of columns.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) expr: Expr,
    pub(crate) sql: SqlType,
    pub(crate) form: Form,
}

/// What columns there are, and what an execution brings.
pub(crate) struct Scope<'s> {
    pub(crate) columns: &'s HashMap<String, (SqlType, Form)>,
    pub(crate) environment: &'s Environment<'s>,
}

/// The column of a name.
pub(crate) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

pub(crate) fn call(function: impl ScalarUDFImpl + 'static, arguments: Vec<Expr>) -> Expr {
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}

fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

/// A value as a constant of a form.
pub(crate) fn scalar(value: &Value, form: Form) -> Result<ScalarValue> {
    let mut column = Builder::new(form, 1);
    column.push(value);
    ScalarValue::try_from_array(&column.finish(), 0)
}

/// The form that a value of a type has by itself.
fn form_of(value: &Value, sql: SqlType) -> Form {
    match (value, Form::of(sql)) {
        (Value::Decimal(decimal), Form::Key) => {
            let scale = u32::try_from(decimal.scale()).unwrap_or(0);
            let digits = decimal.digits().to_string().trim_start_matches('-').len() as u32;
            let digits = match decimal.scale() {
                scale if scale < 0 => digits + scale.unsigned_abs() as u32,
                _ => digits.max(scale),
            };
            Form::decimal(digits, scale).unwrap_or(Form::Key)
        }
        (_, form) => form,
    }
}

/// The type that a value has when nothing says so.
fn type_of(value: &Value) -> SqlType {
    use ScalarType as T;
    SqlType::Scalar(match value {
        Value::Null | Value::String(_) => T::Text,
        Value::Bool(_) => T::Bool,
        Value::Int(_) => T::Int8,
        Value::Float(_) => T::Float8,
        Value::Decimal(_) => T::Numeric(None),
        Value::Date(_) => T::Date,
        Value::Time(_) => T::Timestamptz,
        Value::Interval(_) => T::Interval,
        Value::Uuid(_) => T::Uuid,
        Value::Bytes(_) => T::Bytea,
        Value::Point(_) => T::Point,
        Value::Array(_) => return SqlType::Array(T::Text),
        Value::Map(_) => T::Jsonb,
    })
}

impl Made {
    /// The same value in another form.
    pub(crate) fn to(self, form: Form) -> Made {
        if self.form == form {
            return self;
        }
        let expr = match (self.form, form) {
            (_, Form::Float | Form::Decimal(..)) if self.form.digits().is_some() => {
                Expr::Cast(Cast::new(Box::new(self.expr), form.data_type()))
            }
            (from, to) => call(Reform::new(self.sql, from, to), vec![self.expr]),
        };
        Made { expr, form, ..self }
    }

    /// What it is compared by.
    pub(crate) fn key(self) -> Made {
        match self.form {
            Form::Exact => Made {
                expr: call(Keys::new(), vec![self.expr]),
                form: Form::Key,
                ..self
            },
            _ => self,
        }
    }
}

/// Several values in one form, in which they can be compared.
fn alike(made: Vec<Made>) -> Vec<Made> {
    let mut forms = made.iter().map(|made| made.form);
    let first = forms.next();
    let form = first.and_then(|first| forms.try_fold(first, common));
    let form = form.unwrap_or(Form::Key);
    made.into_iter().map(|made| made.to(form)).collect()
}

/// The form that has the values of both.
pub(crate) fn common(one: Form, other: Form) -> Option<Form> {
    if one == other {
        return Some(one);
    }
    let ((a, s), (b, t)) = (one.digits()?, other.digits()?);
    Form::decimal((a - s).max(b - t) + s.max(t), s.max(t))
}

/// A type without its length or precision.
fn bare(sql: SqlType) -> std::mem::Discriminant<ScalarType> {
    let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
    std::mem::discriminant(&scalar)
}

impl Scope<'_> {
    /// An expression; of a constant, as a value of the type.
    pub(crate) fn made(&self, bound: &Bound, sql: Option<SqlType>) -> Result<Made> {
        if bound.is_constant() && !matches!(bound, Bound::Column(_)) {
            let value = bound.value(self.environment).map_err(error_of)?;
            let sql = sql.or(result_of(bound)).unwrap_or_else(|| type_of(&value));
            let form = form_of(&value, sql);
            let expr = Expr::Literal(scalar(&value, form)?, None);
            return Ok(Made { expr, sql, form });
        }
        match bound {
            Bound::Column(path) => {
                let name = path.first();
                let Some((sql, form)) = self.columns.get(name) else {
                    return Err(datafusion::error::DataFusionError::Internal(format!(
                        "no column {name} of {:?}",
                        self.columns.keys()
                    )));
                };
                Ok(Made {
                    expr: column(name),
                    sql: *sql,
                    form: *form,
                })
            }
            Bound::Apply {
                function,
                arguments,
                types,
                volatile,
            } => {
                let types = types
                    .iter()
                    .map(|sql| Some(*sql))
                    .chain(std::iter::repeat(None));
                let made = arguments.iter().zip(types);
                let made = made.map(|(argument, sql)| self.made(argument, sql));
                let made = made.collect::<Result<Vec<_>>>()?;
                let result = result_of(bound).or(sql);
                self.applied(function, made, result, *volatile)
            }
            other => Err(datafusion::error::DataFusionError::NotImplemented(format!(
                "{other:?}"
            ))),
        }
    }

    /// A condition.
    pub(crate) fn condition(&self, bound: &Bound) -> Result<Expr> {
        Ok(
            match self.made(bound, Some(ScalarType::Bool.into()))?.expr {
                // Null is not true; of DataFusion's rules some take it for a condition like others.
                Expr::Literal(value, _) if value.is_null() => {
                    Expr::Literal(ScalarValue::Boolean(Some(false)), None)
                }
                expr => expr,
            },
        )
    }

    /// The keys of an order.
    pub(crate) fn order(&self, order: &[Order]) -> Result<Vec<SortExpr>> {
        let keys = order.iter().map(|order| {
            let expr = self.made(&order.by, None)?.key().expr;
            let ascending = order.direction == Direction::Ascending;
            Ok(SortExpr::new(expr, ascending, order.nulls_first))
        });
        keys.collect()
    }

    fn applied(
        &self,
        function: &Arc<dyn Scalar>,
        arguments: Vec<Made>,
        result: Option<SqlType>,
        volatile: bool,
    ) -> Result<Made> {
        let name = function.name();
        let bool = |expr| {
            Ok(Made {
                expr,
                sql: ScalarType::Bool.into(),
                form: Form::Bool,
            })
        };
        if let Some(expr) = logic(name, &arguments) {
            return bool(expr);
        }
        if let Some(expr) = comparison(name, &arguments) {
            return bool(expr);
        }
        if let Some(made) = arithmetic(name, &arguments, result) {
            return Ok(made);
        }
        if name == "case" || name == "coalesce" {
            return Ok(chosen(name == "case", arguments, result));
        }
        if let ("cast", [from], Some(to)) = (name, &arguments[..], result)
            && let Some(made) = cast(from, to)
        {
            return Ok(made);
        }
        let sql = result.unwrap_or(ScalarType::Text.into());
        let form = Form::of(sql);
        let taken = arguments.iter().map(|made| (made.sql, made.form)).collect();
        let function = Rowwise::new(Arc::clone(function), taken, (sql, form), volatile);
        let arguments = arguments.into_iter().map(|made| made.expr).collect();
        Ok(Made {
            expr: call(function, arguments),
            sql,
            form,
        })
    }
}

/// The type of what a function gives.
fn result_of(bound: &Bound) -> Option<SqlType> {
    match bound {
        Bound::Apply { function, .. } => function.result(),
        Bound::Moment(_) => Some(ScalarType::Timestamptz.into()),
        _ => None,
    }
}

fn logic(name: &str, arguments: &[Made]) -> Option<Expr> {
    let joined = |operator| {
        let parts = arguments.iter().map(|made| made.expr.clone());
        parts.reduce(|left, right| binary(left, operator, right))
    };
    let first = || Box::new(arguments[0].expr.clone());
    Some(match name {
        "and" => joined(Operator::And)?,
        "or" => joined(Operator::Or)?,
        "not" => Expr::Not(first()),
        "is null" => Expr::IsNull(first()),
        "is not null" => Expr::IsNotNull(first()),
        "is true" => Expr::IsTrue(first()),
        "is not true" => Expr::IsNotTrue(first()),
        "is false" => Expr::IsFalse(first()),
        "is not false" => Expr::IsNotFalse(first()),
        "is unknown" => Expr::IsUnknown(first()),
        "is not unknown" => Expr::IsNotUnknown(first()),
        "~~" | "!~~" => match arguments {
            [text, pattern]
                if text.form == Form::Text && matches!(pattern.expr, Expr::Literal(..)) =>
            {
                let pattern = Box::new(pattern.expr.clone());
                let like = Like::new(name == "!~~", first(), pattern, None, false);
                Expr::Like(like)
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// Comparisons of values of one type, whose forms have their order.
fn comparison(name: &str, arguments: &[Made]) -> Option<Expr> {
    let operator = match name {
        "=" => Operator::Eq,
        "<>" => Operator::NotEq,
        "<" => Operator::Lt,
        "<=" => Operator::LtEq,
        ">" => Operator::Gt,
        ">=" => Operator::GtEq,
        "is distinct from" => Operator::IsDistinctFrom,
        "is not distinct from" => Operator::IsNotDistinctFrom,
        "in" | "not in" | "between" | "not between" => Operator::Eq,
        _ => return None,
    };
    let is_int = |made: &Made| made.form == Form::Int;
    let is_text = |made: &Made| made.form == Form::Text;
    let one_type = arguments.windows(2).all(|pair| {
        bare(pair[0].sql) == bare(pair[1].sql)
            && matches!(
                (pair[0].sql, pair[1].sql),
                (SqlType::Scalar(_), SqlType::Scalar(_)) | (SqlType::Array(_), SqlType::Array(_))
            )
    });
    let comparable = one_type || arguments.iter().all(is_int) || arguments.iter().all(is_text);
    if !comparable {
        return None;
    }
    let arguments = arguments.iter().cloned().map(Made::key).collect();
    let arguments = alike(arguments);
    let form = arguments.first()?.form;
    let mut arguments = arguments.into_iter().map(|made| made.expr);
    let first = arguments.next()?;
    Some(match name {
        "in" | "not in" => {
            let list = arguments.collect();
            Expr::InList(InList::new(Box::new(first), list, name == "not in"))
        }
        "between" | "not between" => {
            let (low, high) = (arguments.next()?, arguments.next()?);
            let negated = name == "not between";
            Expr::Between(Between::new(
                Box::new(first),
                negated,
                Box::new(low),
                Box::new(high),
            ))
        }
        "is not distinct from" => {
            // By what is never null: of DataFusion's joins by such an equality some forget that nulls
            // are alike, and some hold it of all their keys.
            let second = arguments.next()?;
            let is_null = |expr: &Expr| Expr::IsNull(Box::new(expr.clone()));
            let nulls = binary(is_null(&first), Operator::Eq, is_null(&second));
            let nothing = Expr::Literal(nothing(form)?, None);
            let value = |expr: Expr| {
                let there = Expr::IsNotNull(Box::new(expr.clone()));
                let whens = vec![(Box::new(there), Box::new(expr))];
                Expr::Case(Case::new(None, whens, Some(Box::new(nothing.clone()))))
            };
            let values = binary(value(first), Operator::Eq, value(second));
            binary(nulls, Operator::And, values)
        }
        _ => binary(first, operator, arguments.next()?),
    })
}

/// Some value of a form.
fn nothing(form: Form) -> Option<ScalarValue> {
    Some(match form {
        Form::Text => ScalarValue::Utf8View(Some(String::new())),
        Form::Key | Form::Exact => ScalarValue::Binary(Some(Vec::new())),
        form => ScalarValue::new_zero(&form.data_type())
            .or_else(|_| ScalarValue::new_default(&form.data_type()))
            .ok()?,
    })
}

/// Sums, differences and products of decimals, which are exact.
fn arithmetic(name: &str, arguments: &[Made], result: Option<SqlType>) -> Option<Made> {
    let sql = result.filter(|sql| matches!(sql, SqlType::Scalar(ScalarType::Numeric(_))))?;
    let [left, right] = arguments else {
        return None;
    };
    let ((a, s), (b, t)) = (left.form.digits()?, right.form.digits()?);
    let (operator, digits, scale) = match name {
        "+" | "-" => {
            let operator = if name == "+" {
                Operator::Plus
            } else {
                Operator::Minus
            };
            let scale = s.max(t);
            (operator, (a - s).max(b - t) + scale + 1, scale)
        }
        "*" => (Operator::Multiply, a + b + 1, s + t),
        _ => return None,
    };
    let form = Form::decimal(digits, scale)?;
    // Arrow's product of two decimals of 128 bits has no more digits than they have.
    let widened = |made: &Made, digits, scale| match form.data_type() {
        arrow::datatypes::DataType::Decimal256(..) => {
            let wide = arrow::datatypes::DataType::Decimal256(digits as u8, scale as i8);
            Expr::Cast(Cast::new(Box::new(made.expr.clone()), wide))
        }
        _ => {
            let narrow = Form::decimal(digits, scale).unwrap_or(made.form);
            made.clone().to(narrow).expr
        }
    };
    Some(Made {
        expr: binary(widened(left, a, s), operator, widened(right, b, t)),
        sql,
        form,
    })
}

/// Casts that lose nothing.
fn cast(from: &Made, to: SqlType) -> Option<Made> {
    use ScalarType as T;
    let (SqlType::Scalar(one), SqlType::Scalar(other)) = (from.sql, to) else {
        return None;
    };
    let form = match (one, other) {
        (T::Int2 | T::Int4, T::Int8) | (T::Int2, T::Int4) => Form::Int,
        (T::Int2 | T::Int4 | T::Int8, T::Float8) => Form::Float,
        (T::Int2, T::Numeric(None)) => Form::Decimal(5, 0),
        (T::Int4, T::Numeric(None)) => Form::Decimal(10, 0),
        (T::Int8, T::Numeric(None)) => Form::Decimal(19, 0),
        _ => return None,
    };
    let mut made = from.clone().to(form);
    made.sql = to;
    Some(made)
}

/// `CASE` and `COALESCE`.
fn chosen(is_case: bool, arguments: Vec<Made>, result: Option<SqlType>) -> Made {
    let (mut conditions, mut values) = (Vec::new(), Vec::new());
    let mut otherwise = None;
    let mut arguments = arguments.into_iter();
    while let Some(first) = arguments.next() {
        match is_case {
            true => match arguments.next() {
                Some(value) => {
                    conditions.push(first.expr);
                    values.push(value);
                }
                None => otherwise = Some(first),
            },
            false => {
                conditions.push(Expr::IsNotNull(Box::new(first.expr.clone())));
                values.push(first);
            }
        }
    }
    let is_null = |made: &Made| matches!(&made.expr, Expr::Literal(value, _) if value.is_null());
    let known = values
        .iter()
        .chain(&otherwise)
        .filter(|made| !is_null(made));
    let sql = result
        .or_else(|| known.clone().next().map(|made| made.sql))
        .unwrap_or(ScalarType::Text.into());
    let mut forms = known.map(|made| made.form);
    let form = match forms.next() {
        None => Some(Form::of(sql)),
        Some(first) => forms.try_fold(first, common),
    };
    let form = form.unwrap_or_else(|| Form::of(sql));
    let value = |made: Made| match is_null(&made) {
        true => Expr::Literal(
            ScalarValue::try_from(&form.data_type()).unwrap_or(ScalarValue::Null),
            None,
        ),
        false => made.to(form).expr,
    };
    let values = values.into_iter().map(value).map(Box::new);
    let conditions = conditions.into_iter().map(Box::new);
    let whens = conditions.zip(values).collect();
    let expr = Expr::Case(Case::new(None, whens, otherwise.map(value).map(Box::new)));
    Made { expr, sql, form }
}
