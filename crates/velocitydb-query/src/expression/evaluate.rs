//! Evaluates expressions for a row.
//!
//! What a part gives stays where it is, in the row or in the expression; only results of functions
//! are new. The recursion is as deep as the expression.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::mem::discriminant;

use velocitydb_types::number::{self, Arithmetic, Number};
use velocitydb_types::{DEPTH_MAX, DOCUMENT_BYTES_MAX, Decimal, Value, View, compare};

use super::{Expression, Function, Problem, arrays, convert, dates, text};
use crate::error::QueryError;
use crate::limits::{value_bytes, value_depth};
use crate::row::{Cell, RowRef};

impl Expression {
    /// The value for a row; null where a field is absent.
    #[inline]
    pub(crate) fn evaluate<'a>(&'a self, row: RowRef<'a>) -> Result<Cell<'a>, QueryError> {
        match self {
            Expression::Field(path) => Ok(row.value(path)),
            Expression::Literal(value) => Ok(Cell::Ref(value)),
            other => other.make(row),
        }
    }

    /// The value for a row, unless it is a field that is absent.
    pub(crate) fn value_of(&self, row: RowRef<'_>) -> Result<Option<Value>, QueryError> {
        match self {
            Expression::Field(path) => Ok(row.get(path).map(Cell::into_value)),
            other => other.evaluate(row).map(|cell| Some(cell.into_value())),
        }
    }

    fn make<'a>(&'a self, row: RowRef<'a>) -> Result<Cell<'a>, QueryError> {
        match self {
            Expression::Field(_) | Expression::Literal(_) => self.evaluate(row),
            Expression::Root => Ok(Cell::Owned(Value::Map(row.to_map()))),
            Expression::Array(parts) => {
                let mut elements = Vec::with_capacity(parts.len());
                let mut bytes = 0;
                for part in parts {
                    let element = part.evaluate(row)?.into_value();
                    bounded("an array", &element, &mut bytes)?;
                    elements.push(element);
                }
                Ok(Cell::Owned(Value::Array(elements)))
            }
            Expression::Map(parts) => {
                let (mut map, mut bytes) = (BTreeMap::new(), 0);
                for (name, part) in parts {
                    if let Some(value) = part.value_of(row)? {
                        bounded("a map", &value, &mut bytes)?;
                        map.insert(name.clone(), value);
                    }
                }
                Ok(Cell::Owned(Value::Map(map)))
            }
            Expression::Apply(function, arguments) => {
                let cell = function.0.call(&Arguments { arguments, row })?;
                if let Cell::Owned(value) = &cell {
                    bounded("an expression", value, &mut 0)?;
                }
                Ok(cell)
            }
            Expression::Call(function, arguments) => {
                let arguments = Arguments { arguments, row };
                call(*function, &arguments).map_err(|failure| match failure {
                    Failure::Inside(error) => *error,
                    Failure::Here(problem) => QueryError::Expression {
                        function: function.name(),
                        problem: problem.message,
                        class: problem.class,
                    },
                })
            }
        }
    }
}

/// Bounds what one value is made of, in bytes and in depth.
fn bounded(function: &'static str, part: &Value, bytes: &mut usize) -> Result<(), QueryError> {
    *bytes += value_bytes(part);
    let problem = match value_depth(part) {
        depth if depth >= DEPTH_MAX => format!("values may nest {DEPTH_MAX} deep"),
        _ if *bytes > DOCUMENT_BYTES_MAX => {
            format!("a value may have {DOCUMENT_BYTES_MAX} bytes")
        }
        _ => return Ok(()),
    };
    Err(QueryError::Expression {
        function,
        problem,
        class: velocitydb_types::ErrorClass::Limit,
    })
}

/// Why a call has no value: for an argument's reason or its own.
pub(super) enum Failure {
    Inside(Box<QueryError>),
    Here(Problem),
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::Inside(Box::new(error))
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        Failure::Here(problem)
    }
}

/// The arguments of a call, evaluated when they are asked for.
pub struct Arguments<'a> {
    arguments: &'a [Expression],
    row: RowRef<'a>,
}

impl<'a> Arguments<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.arguments.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }

    /// An argument; null when it was not given.
    ///
    /// # Errors
    /// When a function in it has no value.
    pub fn get(&self, index: usize) -> Result<Cell<'a>, QueryError> {
        match self.arguments.get(index) {
            Some(argument) => argument.evaluate(self.row),
            None => Ok(Cell::Owned(Value::Null)),
        }
    }

    /// All of them, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = Result<Cell<'a>, QueryError>> {
        self.arguments
            .iter()
            .map(|argument| argument.evaluate(self.row))
    }

    /// Whether a condition is true.
    fn truth(&self, index: usize) -> Result<bool, Failure> {
        let cell = self.get(index)?;
        match cell.view() {
            View::Bool(bool) => Ok(bool),
            View::Null => Ok(false),
            _ => Err(Problem::expected("true or false", cell.type_name()).into()),
        }
    }

    /// The first and the second, compared by the order of values when they are of one type.
    fn order(&self) -> Result<Option<Ordering>, Failure> {
        let (a, b) = (self.get(0)?, self.get(1)?);
        let (a, b) = (a.view(), b.view());
        Ok((discriminant(&a) == discriminant(&b)).then(|| compare(a, b)))
    }
}

fn call<'a>(function: Function, arguments: &Arguments<'a>) -> Result<Cell<'a>, Failure> {
    let get = |index| arguments.get(index);
    let holds = |holds: fn(Ordering) -> bool| -> Result<Value, Failure> {
        Ok(arguments.order()?.is_some_and(holds).into())
    };
    let fold = |operation| -> Result<Value, Failure> {
        let mut sum = get(0)?.into_value();
        for index in 1..arguments.len().max(1) {
            sum = calculate(operation, &Cell::Ref(&sum), &get(index)?)?;
        }
        if !sum.is_null() {
            number_of(&Cell::Ref(&sum))?;
        }
        Ok(sum)
    };
    // A function of one value, which is null for null.
    let of = |function: fn(&Cell<'_>) -> Result<Value, Problem>| -> Result<Value, Failure> {
        let cell = get(0)?;
        match cell.is_null() {
            true => Ok(Value::Null),
            false => Ok(function(&cell)?),
        }
    };
    let value = match function {
        Function::Add => fold(Arithmetic::Add)?,
        Function::Multiply => fold(Arithmetic::Multiply)?,
        Function::Subtract => calculate(Arithmetic::Subtract, &get(0)?, &get(1)?)?,
        Function::Divide => divide(&get(0)?, &get(1)?)?,
        Function::Mod => calculate(Arithmetic::Remainder, &get(0)?, &get(1)?)?,
        Function::Abs => of(absolute)?,
        Function::Ceil => of(|cell| convert::round(cell, 0, convert::Rounding::Up))?,
        Function::Floor => of(|cell| convert::round(cell, 0, convert::Rounding::Down))?,
        Function::Round => convert::round_to(&get(0)?, &get(1)?, arguments.len())?,
        Function::Sqrt => of(|cell| match number_of(cell)?.to_f64() {
            negative if negative < 0.0 => Err(Problem::new("a negative number has no root")),
            number => Ok(Value::Float(number.sqrt())),
        })?,
        Function::Eq | Function::Ne => {
            let equal = compare(get(0)?.view(), get(1)?.view()).is_eq();
            Value::Bool(equal == (function == Function::Eq))
        }
        Function::Gt => holds(Ordering::is_gt)?,
        Function::Gte => holds(Ordering::is_ge)?,
        Function::Lt => holds(Ordering::is_lt)?,
        Function::Lte => holds(Ordering::is_le)?,
        Function::Cmp => Value::Int(compare(get(0)?.view(), get(1)?.view()) as i64),
        Function::And | Function::Or => {
            let decisive = function == Function::Or;
            let mut result = !decisive;
            for index in 0..arguments.len() {
                if arguments.truth(index)? == decisive {
                    result = decisive;
                    break;
                }
            }
            Value::Bool(result)
        }
        Function::Not => Value::Bool(!arguments.truth(0)?),
        Function::Cond => {
            let chosen = if arguments.truth(0)? { 1 } else { 2 };
            return Ok(get(chosen)?);
        }
        Function::IfNull => {
            for index in 0..arguments.len() {
                let cell = get(index)?;
                if !cell.is_null() {
                    return Ok(cell);
                }
            }
            Value::Null
        }
        Function::Switch => {
            let cases = arguments.len() / 2;
            for case in 0..cases {
                if arguments.truth(2 * case)? {
                    return Ok(get(2 * case + 1)?);
                }
            }
            // One argument more is the value for all else.
            return Ok(get(2 * cases)?);
        }
        Function::Concat => text::concat(arguments)?,
        Function::Lower => of(|cell| Ok(text::string(cell)?.to_lowercase().into()))?,
        Function::Upper => of(|cell| Ok(text::string(cell)?.to_uppercase().into()))?,
        Function::Substr => text::substr(&get(0)?, &get(1)?, &get(2)?)?,
        Function::Length => of(text::length)?,
        Function::Split => text::split(&get(0)?, &get(1)?)?,
        Function::Trim => text::trim(&get(0)?, &get(1)?, true, true)?,
        Function::Ltrim => text::trim(&get(0)?, &get(1)?, true, false)?,
        Function::Rtrim => text::trim(&get(0)?, &get(1)?, false, true)?,
        Function::ReplaceAll => text::replace_all(&get(0)?, &get(1)?, &get(2)?)?,
        Function::Year => of(|cell| Ok(dates::date(cell)?.ymd().0.into()))?,
        Function::Month => of(|cell| Ok(dates::date(cell)?.ymd().1.into()))?,
        Function::Day => of(|cell| Ok(dates::date(cell)?.ymd().2.into()))?,
        Function::Weekday => of(|cell| Ok(dates::weekday(dates::date(cell)?).into()))?,
        Function::Hour => of(|cell| Ok((dates::seconds_of_day(cell)? / 3600).into()))?,
        Function::Minute => of(|cell| Ok((dates::seconds_of_day(cell)? / 60 % 60).into()))?,
        Function::Second => of(|cell| Ok((dates::seconds_of_day(cell)? % 60).into()))?,
        Function::DateTrunc => {
            let bin = match arguments.len() {
                2 => Cell::Owned(1.into()),
                _ => get(2)?,
            };
            dates::truncate(&get(0)?, &get(1)?, &bin)?
        }
        Function::DateDiff => dates::difference(&get(0)?, &get(1)?, &get(2)?)?,
        Function::DateAdd => dates::add(&get(0)?, &get(1)?, &get(2)?)?,
        Function::Size => of(|cell| Ok((arrays::array(cell)?.len() as i64).into()))?,
        Function::ElementAt => arrays::element_at(&get(0)?, &get(1)?)?,
        Function::First => arrays::element_at(&get(0)?, &Cell::Owned(0.into()))?,
        Function::Last => arrays::element_at(&get(0)?, &Cell::Owned((-1).into()))?,
        Function::Slice => arrays::slice(&get(0)?, &get(1)?, &get(2)?, arguments.len())?,
        Function::In => arrays::contains(&get(1)?, &get(0)?)?,
        Function::Contains => arrays::contains(&get(0)?, &get(1)?)?,
        Function::Pluck => arrays::pluck(&get(0)?, &get(1)?)?,
        Function::ConcatArrays => arrays::concat(arguments)?,
        Function::Sum => arrays::sum(arguments)?.total_or_zero()?,
        Function::Avg => arrays::sum(arguments)?.mean(),
        Function::Min => arrays::extreme(arguments, Ordering::Less)?,
        Function::Max => arrays::extreme(arguments, Ordering::Greater)?,
        Function::Type => get(0)?.type_name().into(),
        Function::ToString => of(convert::to_string)?,
        Function::ToInt => of(convert::to_int)?,
        Function::ToFloat => of(convert::to_float)?,
        Function::ToDecimal => of(convert::to_decimal)?,
        Function::ToBool => of(convert::to_bool)?,
        Function::ToTime => of(convert::to_time)?,
        Function::ToDay => of(convert::to_day)?,
        Function::ToUuid => of(convert::to_uuid)?,
    };
    Ok(Cell::Owned(value))
}

pub(super) fn number_of<'c>(cell: &'c Cell<'_>) -> Result<Number<'c>, Problem> {
    match cell.view() {
        View::Number(number) => Ok(number),
        _ => Err(Problem::expected("a number", cell.type_name())),
    }
}

/// An integer, given for a position or a count.
pub(super) fn int_of(cell: &Cell<'_>) -> Result<i64, Problem> {
    match cell.view() {
        View::Number(Number::Int(int)) => Ok(int),
        View::Number(Number::Float(float)) if float == float.trunc() && float.abs() < 9e15 => {
            Ok(float as i64)
        }
        _ => Err(Problem::expected("a whole number", cell.type_name())),
    }
}

fn calculate(operation: Arithmetic, a: &Cell<'_>, b: &Cell<'_>) -> Result<Value, Problem> {
    if a.is_null() || b.is_null() {
        return Ok(Value::Null);
    }
    number::calculate(operation, number_of(a)?, number_of(b)?)
        .map_err(|error| Problem::new(error.to_string()))
}

fn divide(a: &Cell<'_>, b: &Cell<'_>) -> Result<Value, Problem> {
    match (a.view(), b.view()) {
        (View::Number(Number::Int(a)), View::Number(Number::Int(b))) if b != 0 => {
            Ok(Value::Float(a as f64 / b as f64))
        }
        _ => calculate(Arithmetic::Divide, a, b),
    }
}

fn absolute(cell: &Cell<'_>) -> Result<Value, Problem> {
    Ok(match number_of(cell)? {
        Number::Int(int) => {
            let absolute = int.checked_abs();
            absolute
                .ok_or_else(|| Problem::new("integer overflow"))?
                .into()
        }
        Number::Float(float) => float.abs().into(),
        Number::Decimal(decimal) if decimal.is_negative() => decimal.negated().into(),
        Number::Decimal(decimal) => Decimal::clone(&decimal).into(),
    })
}
