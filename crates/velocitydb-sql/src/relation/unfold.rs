//! Functions that make rows: `generate_series(1, 3)`, `unnest(array)`.

use std::sync::Arc;

use velocitydb_query::{Expression, Scalar};
use velocitydb_types::{ScalarType, SqlType, Value, compare};

use crate::bind::Binder;
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::functions::{common_type, conversion, type_name};

/// A function that makes rows of its arguments. It takes no nulls: of one it makes no rows.
#[derive(Debug, Clone)]
pub enum Function {
    /// From one value to another, by steps: how a step is added.
    Series(Arc<dyn Scalar>),
    /// The elements of an array, of SQL or JSON.
    Elements,
    /// The elements of an array of JSON as texts.
    ElementTexts(Arc<dyn Scalar>),
    /// The names and values of a JSON object.
    Entries,
    /// The same, values as texts.
    EntryTexts(Arc<dyn Scalar>),
    /// The names of a JSON object.
    Names,
}

/// A call of a function that makes rows.
#[derive(Debug, Clone)]
pub struct UnfoldCall {
    /// The function.
    pub function: Function,
    /// Its arguments.
    pub arguments: Vec<Bound>,
    /// The columns of what it makes.
    pub fields: Vec<super::Field>,
}

/// A function, its arguments as it takes them, and the types of what it makes.
pub(super) type Resolved = (Function, Vec<Bound>, Vec<SqlType>);

/// So many rows a function makes of one at most.
const ROWS_MAX: usize = 10_000_000;

fn apply(function: &Arc<dyn Scalar>, arguments: &[&Value]) -> Result<Value, SqlError> {
    let arguments = arguments
        .iter()
        .map(|value| Expression::Literal((*value).clone()));
    let value = Expression::apply(Arc::clone(function), arguments).constant();
    value.map_err(SqlError::from)
}

fn invalid(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

impl Function {
    /// Calls `each` with the rows that it makes.
    ///
    /// # Errors
    /// What it makes no rows of; those of `each`.
    pub fn rows(
        &self,
        arguments: &[Value],
        each: &mut dyn FnMut(&[Value]) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        if arguments.iter().any(Value::is_null) {
            return Ok(());
        }
        let text = |function, value: &Value| match value {
            Value::Null => Ok(Value::Null),
            Value::String(text) => Ok(Value::String(text.clone())),
            value => apply(function, &[value]),
        };
        match (self, arguments) {
            (Function::Series(add), [from, to, step]) => series(add, (from, to, step), each),
            (Function::Elements, [Value::Array(elements)]) => elements
                .iter()
                .try_for_each(|element| each(std::slice::from_ref(element))),
            (Function::ElementTexts(shown), [Value::Array(elements)]) => {
                let mut elements = elements.iter();
                elements.try_for_each(|element| each(&[text(shown, element)?]))
            }
            (Function::Entries, [Value::Map(entries)]) => {
                let mut entries = entries.iter();
                entries.try_for_each(|(name, value)| each(&[name.clone().into(), value.clone()]))
            }
            (Function::EntryTexts(shown), [Value::Map(entries)]) => {
                let mut entries = entries.iter();
                entries
                    .try_for_each(|(name, value)| each(&[name.clone().into(), text(shown, value)?]))
            }
            (Function::Names, [Value::Map(entries)]) => entries
                .keys()
                .try_for_each(|name| each(&[name.clone().into()])),
            (Function::Elements | Function::ElementTexts(_), [Value::Map(_)]) => {
                Err(invalid("cannot extract elements from an object"))
            }
            (Function::Elements | Function::ElementTexts(_), _) => {
                Err(invalid("cannot extract elements from a scalar"))
            }
            (_, [Value::Array(_)]) => Err(invalid("cannot deconstruct an array as an object")),
            _ => Err(invalid("cannot deconstruct a scalar")),
        }
    }
}

fn series(
    add: &Arc<dyn Scalar>,
    (from, to, step): (&Value, &Value, &Value),
    each: &mut dyn FnMut(&[Value]) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    if matches!(from, Value::Float(float) if float.is_nan()) {
        return Ok(());
    }
    // Which way a step leads, a step says that is taken.
    let first = match apply(add, &[from, step]) {
        Ok(next) => compare(from, &next),
        Err(_) => return each(std::slice::from_ref(from)),
    };
    if first.is_eq() {
        return Err(invalid("step size cannot equal zero"));
    }
    let mut value = from.clone();
    for _ in 0..ROWS_MAX {
        let order = compare(&value, to);
        if order.is_ne() && order != first {
            return Ok(());
        }
        each(std::slice::from_ref(&value))?;
        match apply(add, &[&value, step]) {
            Ok(next) => value = next,
            // Behind the last value of the type there is none.
            Err(_) => return Ok(()),
        }
    }
    let message = format!("generate_series makes at most {ROWS_MAX} rows");
    Err(SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, message))
}

/// The functions of a name for these arguments: several, whose rows stand beside each other, of `unnest`
/// of several arrays.
///
/// # Errors
/// There is none for these arguments.
pub(super) fn resolve(
    name: &str,
    arguments: Vec<Typed>,
    binder: &mut Binder<'_>,
) -> Result<Vec<Resolved>, SqlError> {
    use ScalarType as T;
    let types: Vec<_> = arguments.iter().map(|argument| argument.sql).collect();
    let unknown = || {
        let types: Vec<_> = types.iter().map(|sql| type_name(*sql)).collect();
        let message = format!("function {name}({}) does not exist", types.join(", "));
        SqlError::new(sqlstate::UNDEFINED_FUNCTION, message)
    };
    let text = SqlType::from(T::Text);
    let shown = |settings| match conversion(T::Jsonb.into(), text, CastContext::Explicit, settings)
    {
        Some(crate::functions::Conversion::Function(function)) => Ok(function),
        _ => Err(unknown()),
    };
    let jsonb: SqlType = T::Jsonb.into();
    let of_json = match name {
        "jsonb_array_elements" | "json_array_elements" => Some((Function::Elements, vec![jsonb])),
        "jsonb_array_elements_text" | "json_array_elements_text" => {
            Some((Function::ElementTexts(shown(binder.settings)?), vec![text]))
        }
        "jsonb_each" | "json_each" => Some((Function::Entries, vec![text, jsonb])),
        "jsonb_each_text" | "json_each_text" => Some((
            Function::EntryTexts(shown(binder.settings)?),
            vec![text, text],
        )),
        "jsonb_object_keys" | "json_object_keys" => Some((Function::Names, vec![text])),
        _ => None,
    };
    if let Some((function, made)) = of_json {
        let Ok([argument]) = <[Typed; 1]>::try_from(arguments) else {
            return Err(unknown());
        };
        let wanted = match name.starts_with("jsonb") {
            true => jsonb,
            false => T::Json.into(),
        };
        let bound = binder
            .cast(argument, wanted, CastContext::Implicit)
            .map_err(|_| unknown())?;
        return Ok(vec![(function, vec![bound], made)]);
    }
    match name {
        "generate_series" if matches!(types.len(), 2 | 3) => {
            let common = common_type(&types[..2]).map_err(|_| unknown())?;
            let SqlType::Scalar(scalar) = common else {
                return Err(unknown());
            };
            let step = types.get(2).copied().flatten();
            let (of, step) = match (scalar, step) {
                (T::Int2 | T::Int4, None | Some(SqlType::Scalar(T::Int2 | T::Int4))) => {
                    (T::Int4, T::Int4)
                }
                (
                    T::Int2 | T::Int4 | T::Int8,
                    None | Some(SqlType::Scalar(T::Int2 | T::Int4 | T::Int8)),
                ) => (T::Int8, T::Int8),
                (T::Int2 | T::Int4 | T::Int8 | T::Numeric(_), _) => {
                    (T::Numeric(None), T::Numeric(None))
                }
                (T::Timestamp, _) if types.len() == 3 => (T::Timestamp, T::Interval),
                (T::Timestamptz | T::Date | T::Text, _) if types.len() == 3 => {
                    (T::Timestamptz, T::Interval)
                }
                _ => return Err(unknown()),
            };
            let mut arguments = arguments;
            if arguments.len() == 2 {
                arguments.push(Typed::new(Bound::Constant(1.into()), T::Int4));
            }
            let wanted = [of, of, step].map(SqlType::from);
            let arguments = arguments.into_iter().zip(wanted);
            let cast = arguments.map(|(one, to)| binder.cast(one, to, CastContext::Implicit));
            let arguments = cast.collect::<Result<_, _>>()?;
            let types = [of, step].map(|scalar| Some(scalar.into()));
            let add = crate::functions::resolve("+", &types, binder.settings)?;
            let function = Function::Series(add.function);
            Ok(vec![(function, arguments, vec![of.into()])])
        }
        "unnest" if !types.is_empty() => {
            let unfold = |argument: Typed| match argument.sql {
                Some(SqlType::Array(element)) => Ok((
                    Function::Elements,
                    vec![argument.bound],
                    vec![element.into()],
                )),
                _ => Err(unknown()),
            };
            arguments.into_iter().map(unfold).collect()
        }
        "string_to_table" | "regexp_split_to_table" => {
            let array = name.replace("_table", "_array");
            let typed = binder.apply(&array, arguments)?;
            Ok(vec![(Function::Elements, vec![typed.bound], vec![text])])
        }
        _ => Err(SqlError::unsupported(format!("{name}(…) in FROM"))),
    }
}

/// Whether a function makes rows.
pub(crate) fn is_unfold(name: &str) -> bool {
    matches!(
        name,
        "generate_series"
            | "unnest"
            | "string_to_table"
            | "regexp_split_to_table"
            | "jsonb_array_elements"
            | "json_array_elements"
            | "jsonb_array_elements_text"
            | "json_array_elements_text"
            | "jsonb_each"
            | "json_each"
            | "jsonb_each_text"
            | "json_each_text"
            | "jsonb_object_keys"
            | "json_object_keys"
    )
}

/// What the columns of what a function makes are called.
pub(super) fn names(name: &str, count: usize) -> Vec<String> {
    match (name, count) {
        ("jsonb_each" | "json_each" | "jsonb_each_text" | "json_each_text", 2) => {
            vec!["key".into(), "value".into()]
        }
        (
            "jsonb_array_elements"
            | "json_array_elements"
            | "jsonb_array_elements_text"
            | "json_array_elements_text",
            1,
        ) => vec!["value".into()],
        (name, count) => vec![name.to_owned(); count],
    }
}

impl Binder<'_> {
    /// A call, in the outputs of a SELECT, of a function that makes rows: it becomes a column.
    pub(crate) fn unfolded(
        &mut self,
        name: &str,
        arguments: Vec<Typed>,
    ) -> Result<Typed, SqlError> {
        use crate::bind::Aggregates;
        if let Aggregates::Refused(place) = self.aggregates {
            let message = match place {
                "" => "aggregate function calls cannot contain set-returning function calls".into(),
                place => format!("set-returning functions are not allowed in {place}"),
            };
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        let made = resolve(name, arguments, self)?;
        let [(function, arguments, types)] = &made[..] else {
            return Err(SqlError::unsupported(format!(
                "{name} of several arrays here"
            )));
        };
        let [sql] = types[..] else {
            return Err(SqlError::unsupported(format!("{name}, a row, as a value")));
        };
        let field = super::Field {
            name: self.parameters.fresh(),
            sql,
        };
        let column = field.column();
        self.unfolds.push(UnfoldCall {
            function: function.clone(),
            arguments: arguments.clone(),
            fields: vec![field],
        });
        Ok(Typed::new(column, sql))
    }
}
