//! jsonb, and json, which is kept as jsonb is.
//!
//! JSON's null is SQL's null here, so an argument or a result that is one is the other: `->` of a
//! member that is null gives null either way, and `jsonb_set(…, 'null')` is null. Null elements and
//! members inside a value stay what they are.

use std::collections::BTreeMap;

use velocitydb_query::QueryError;
use velocitydb_types::number::Number;
use velocitydb_types::{ScalarType, SqlType, Value, View, compare};

use super::call::{Call, owned};
use super::kinds::*;
use super::{Answer, Row, convert, f, fault};
use crate::formats::Settings;

macro_rules! both {
    ($($json:ident,)*) => {
        #[rustfmt::skip]
        pub(super) const BOTH: &[Row] = &[$(
            f("->", &[$json, TEXT], $json, |call| Ok(member(call.view(0), call.text(1)?).map_or(Value::Null, owned))),
            f("->", &[$json, INT4], $json, |call| Ok(element(call.view(0), call.int(1)?).map_or(Value::Null, owned))),
            f("->>", &[$json, TEXT], TEXT, |call| as_text(member(call.view(0), call.text(1)?), call)),
            f("->>", &[$json, INT4], TEXT, |call| as_text(element(call.view(0), call.int(1)?), call)),
            f("#>", &[$json, TEXTS], $json, |call| Ok(at_path(call)?.map_or(Value::Null, owned))),
            f("#>>", &[$json, TEXTS], TEXT, |call| as_text(at_path(call)?, call)),
        )*];
    };
}

both! { JSON, JSONB, }

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("@>", &[JSONB, JSONB], BOOL, |call| Ok(contains(call.view(0), call.view(1), true).into())),
    f("<@", &[JSONB, JSONB], BOOL, |call| Ok(contains(call.view(1), call.view(0), true).into())),
    f("?", &[JSONB, TEXT], BOOL, |call| Ok(has(call.view(0), call.text(1)?).into())),
    f("?|", &[JSONB, TEXTS], BOOL, |call| has_names(call, false)),
    f("?&", &[JSONB, TEXTS], BOOL, |call| has_names(call, true)),
    f("||", &[JSONB, JSONB], JSONB, concatenate),
    f("-", &[JSONB, TEXT], JSONB, |call| without(call, &[call.text(1)?])),
    f("-", &[JSONB, TEXTS], JSONB, without_names),
    f("-", &[JSONB, INT4], JSONB, without_element),
    f("#-", &[JSONB, TEXTS], JSONB, |call| change(call, &path(call, 1)?, Change::Delete)),
    f("subscript", &[JSONB, TEXT], JSONB, |call| Ok(either(call.view(0), call.text(1)?).map_or(Value::Null, owned))),
    f("subscript", &[JSONB, INT4], JSONB, |call| Ok(element(call.view(0), call.int(1)?).map_or(Value::Null, owned))),
    f("jsonb_set", &[JSONB, TEXTS, JSONB], JSONB, |call| set(call, true)),
    f("jsonb_set", &[JSONB, TEXTS, JSONB, BOOL], JSONB, |call| set(call, call.bool(3)?)),
    f("jsonb_insert", &[JSONB, TEXTS, JSONB], JSONB, |call| insert(call, false)),
    f("jsonb_insert", &[JSONB, TEXTS, JSONB, BOOL], JSONB, |call| insert(call, call.bool(3)?)),
    f("jsonb_typeof", &[JSONB], TEXT, type_of),
    f("json_typeof", &[JSON], TEXT, type_of),
    f("jsonb_array_length", &[JSONB], INT4, array_length),
    f("json_array_length", &[JSON], INT4, array_length),
    f("jsonb_extract_path", &[JSONB, TEXT], JSONB, |call| Ok(extract_path(call)?.map_or(Value::Null, owned))).variadic(),
    f("json_extract_path", &[JSON, TEXT], JSON, |call| Ok(extract_path(call)?.map_or(Value::Null, owned))).variadic(),
    f("jsonb_extract_path_text", &[JSONB, TEXT], TEXT, |call| as_text(extract_path(call)?, call)).variadic(),
    f("json_extract_path_text", &[JSON, TEXT], TEXT, |call| as_text(extract_path(call)?, call)).variadic(),
    f("jsonb_strip_nulls", &[JSONB], JSONB, |call| Ok(without_nulls(call.value(0)))),
    f("json_strip_nulls", &[JSON], JSON, |call| Ok(without_nulls(call.value(0)))),
    f("jsonb_pretty", &[JSONB], TEXT, |call| pretty(&call.value(0), &call.bound.settings).map(Value::String)),
    f("jsonb_build_array", &[], JSONB, build_array).with_nulls(),
    f("jsonb_build_array", &[Any], JSONB, build_array).with_nulls().variadic(),
    f("json_build_array", &[], JSON, build_array).with_nulls(),
    f("json_build_array", &[Any], JSON, build_array).with_nulls().variadic(),
    f("jsonb_build_object", &[], JSONB, build_object).with_nulls(),
    f("jsonb_build_object", &[Any], JSONB, build_object).with_nulls().variadic(),
    f("json_build_object", &[], JSON, build_object).with_nulls(),
    f("json_build_object", &[Any], JSON, build_object).with_nulls().variadic(),
    f("jsonb_object", &[TEXTS], JSONB, object_of_pairs),
    f("json_object", &[TEXTS], JSON, object_of_pairs),
    f("jsonb_object", &[TEXTS, TEXTS], JSONB, object_of_both),
    f("json_object", &[TEXTS, TEXTS], JSON, object_of_both),
    f("to_jsonb", &[Element], JSONB, |call| json_of(call.view(0), call.sql_type(0), &call.bound.settings)),
    f("to_json", &[Element], JSON, |call| json_of(call.view(0), call.sql_type(0), &call.bound.settings)),
    f("array_to_json", &[Array], JSON, |call| json_of(call.view(0), call.sql_type(0), &call.bound.settings)),
];

fn member<'c>(view: View<'c>, name: &str) -> Option<View<'c>> {
    let View::Map(map) = view else { return None };
    let found = map.iter().find(|(other, _)| *other == name.as_bytes());
    found.map(|(_, value)| value)
}

/// A position from 0, or from the end when negative.
fn place(position: i64, len: usize) -> Option<usize> {
    let at = if position < 0 {
        position + len as i64
    } else {
        position
    };
    usize::try_from(at).ok()
}

fn element(view: View<'_>, position: i64) -> Option<View<'_>> {
    match view {
        View::Array(array) => array.get(place(position, array.len())?),
        _ => None,
    }
}

/// A step of a path: the name of a member, or the position of an element.
fn either<'c>(view: View<'c>, step: &str) -> Option<View<'c>> {
    match view {
        View::Map(_) => member(view, step),
        View::Array(_) => element(view, step.trim().parse::<i32>().ok()?.into()),
        _ => None,
    }
}

/// The text of a scalar without quotes; of a container as JSON.
fn as_text(view: Option<View<'_>>, call: &Call<'_, '_>) -> Answer {
    Ok(match view {
        None | Some(View::Null) => Value::Null,
        Some(View::Str(bytes)) => String::from_utf8_lossy(bytes).into_owned().into(),
        Some(view) => text(view, &call.bound.settings)?.into(),
    })
}

/// The text of JSON.
fn text(view: View<'_>, settings: &Settings) -> Result<String, QueryError> {
    convert::shown(view, SqlType::Scalar(ScalarType::Jsonb), settings)
}

/// The steps of a path; a null among them leads nowhere.
fn path(call: &Call<'_, '_>, index: usize) -> Result<Vec<Option<String>>, QueryError> {
    let steps = call.array(index)?.iter().map(|step| match step {
        View::Str(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    Ok(steps.collect())
}

fn at_path<'c>(call: &Call<'c, '_>) -> Result<Option<View<'c>>, QueryError> {
    let steps = path(call, 1)?;
    let mut view = call.view(0);
    for step in &steps {
        let Some(found) = step.as_ref().and_then(|step| either(view, step)) else {
            return Ok(None);
        };
        view = found;
    }
    Ok(Some(view))
}

fn extract_path<'c>(call: &Call<'c, '_>) -> Result<Option<View<'c>>, QueryError> {
    let mut view = call.view(0);
    for index in 1..call.len() {
        let Some(found) = either(view, call.text(index)?) else {
            return Ok(None);
        };
        view = found;
    }
    Ok(Some(view))
}

/// Whether one value has all that another has; a scalar is also in an array that has it.
fn contains(all: View<'_>, some: View<'_>, is_outermost: bool) -> bool {
    match (all, some) {
        (all @ View::Map(_), View::Map(some)) => some.iter().all(|(name, value)| {
            let name = std::str::from_utf8(name).unwrap_or_default();
            member(all.clone(), name).is_some_and(|found| contains(found, value, false))
        }),
        (View::Array(all), View::Array(some)) => some.iter().all(|value| {
            all.iter()
                .any(|found| contains(found, value.clone(), false))
        }),
        (View::Array(all), scalar) if is_outermost && !matches!(scalar, View::Map(_)) => {
            all.iter().any(|found| is_same(found, scalar.clone()))
        }
        (all, some) => is_same(all, some),
    }
}

fn is_same(a: View<'_>, b: View<'_>) -> bool {
    compare(a, b).is_eq()
}

/// Whether a text is a member's name, an element, or the string itself.
fn has(view: View<'_>, name: &str) -> bool {
    let is_name = |view: View<'_>| matches!(view, View::Str(bytes) if bytes == name.as_bytes());
    match view {
        View::Map(_) => member(view, name).is_some(),
        View::Array(array) => array.iter().any(is_name),
        scalar => is_name(scalar),
    }
}

fn has_names(call: &Call<'_, '_>, all: bool) -> Answer {
    let names = path(call, 1)?;
    let mut names = names.iter().flatten();
    let has = |name: &String| has(call.view(0), name);
    Ok(match all {
        true => names.all(has),
        false => names.any(has),
    }
    .into())
}

fn concatenate(call: &Call<'_, '_>) -> Answer {
    let elements = |value: Value| match value {
        Value::Array(elements) => elements,
        other => vec![other],
    };
    Ok(match (call.value(0), call.value(1)) {
        (Value::Map(mut a), Value::Map(b)) => {
            a.extend(b);
            Value::Map(a)
        }
        (a, b) => {
            let mut all = elements(a);
            all.extend(elements(b));
            Value::Array(all)
        }
    })
}

fn without(call: &Call<'_, '_>, names: &[&str]) -> Answer {
    match call.value(0) {
        Value::Map(mut map) => {
            map.retain(|name, _| !names.contains(&name.as_str()));
            Ok(map.into())
        }
        Value::Array(mut array) => {
            array.retain(|element| !element.as_str().is_some_and(|text| names.contains(&text)));
            Ok(array.into())
        }
        _ => Err(fault("22023", "cannot delete from scalar")),
    }
}

fn without_names(call: &Call<'_, '_>) -> Answer {
    let names = path(call, 1)?;
    let names: Vec<&str> = names.iter().flatten().map(String::as_str).collect();
    without(call, &names)
}

fn without_element(call: &Call<'_, '_>) -> Answer {
    match call.value(0) {
        Value::Map(_) => Err(fault(
            "22023",
            "cannot delete from object using integer index",
        )),
        Value::Array(mut array) => {
            if let Some(at) = place(call.int(1)?, array.len()).filter(|at| *at < array.len()) {
                array.remove(at);
            }
            Ok(array.into())
        }
        _ => Err(fault("22023", "cannot delete from scalar")),
    }
}

/// What is done where a path leads.
#[derive(Clone, PartialEq, Eq)]
enum Change {
    Delete,
    /// Replaces; makes what is not there if so.
    Set(Value, bool),
    /// Before an element, or behind it.
    Insert(Value, bool),
}

fn set(call: &Call<'_, '_>, creates: bool) -> Answer {
    change(call, &path(call, 1)?, Change::Set(call.value(2), creates))
}

fn insert(call: &Call<'_, '_>, after: bool) -> Answer {
    change(call, &path(call, 1)?, Change::Insert(call.value(2), after))
}

fn change(call: &Call<'_, '_>, path: &[Option<String>], change: Change) -> Answer {
    let mut value = call.value(0);
    match value {
        Value::Map(_) | Value::Array(_) => {}
        _ if change == Change::Delete => {
            return Err(fault("22023", "cannot delete path in scalar"));
        }
        _ => return Err(fault("22023", "cannot set path in scalar")),
    }
    apply(&mut value, path, 1, &change)?;
    Ok(value)
}

fn apply(
    value: &mut Value,
    path: &[Option<String>],
    level: usize,
    change: &Change,
) -> Result<(), QueryError> {
    let Some((step, rest)) = path.split_first() else {
        return Ok(());
    };
    if !matches!(value, Value::Map(_) | Value::Array(_)) {
        return Ok(());
    }
    let Some(step) = step else {
        return Err(fault(
            "22004",
            format!("path element at position {level} is null"),
        ));
    };
    match value {
        Value::Map(map) if rest.is_empty() => match change {
            Change::Delete => drop(map.remove(step)),
            Change::Set(new, creates) => {
                if *creates || map.contains_key(step) {
                    map.insert(step.clone(), new.clone());
                }
            }
            Change::Insert(new, _) => {
                if map.contains_key(step) {
                    return Err(fault("22023", "cannot replace existing key"));
                }
                map.insert(step.clone(), new.clone());
            }
        },
        Value::Map(map) => {
            if let Some(inner) = map.get_mut(step) {
                apply(inner, rest, level + 1, change)?;
            }
        }
        Value::Array(array) => {
            let position = step.parse::<i32>().map_err(|_| {
                fault(
                    "22P02",
                    format!("path element at position {level} is not an integer: \"{step}\""),
                )
            })?;
            let found = place(position.into(), array.len()).filter(|at| *at < array.len());
            match (found, rest.is_empty()) {
                (Some(at), false) => apply(&mut array[at], rest, level + 1, change)?,
                (None, false) => {}
                (Some(at), true) => match change {
                    Change::Delete => drop(array.remove(at)),
                    Change::Set(new, _) => array[at] = new.clone(),
                    Change::Insert(new, after) => {
                        array.insert(at + usize::from(*after), new.clone())
                    }
                },
                (None, true) => {
                    let new = match change {
                        Change::Delete | Change::Set(_, false) => return Ok(()),
                        Change::Set(new, true) | Change::Insert(new, _) => new.clone(),
                    };
                    match position < 0 {
                        true => array.insert(0, new),
                        false => array.push(new),
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn type_of(call: &Call<'_, '_>) -> Answer {
    Ok(match call.view(0) {
        View::Null => "null",
        View::Bool(_) => "boolean",
        View::Number(_) => "number",
        View::Array(_) => "array",
        View::Map(_) | View::Point(_) => "object",
        _ => "string",
    }
    .into())
}

fn array_length(call: &Call<'_, '_>) -> Answer {
    match call.view(0) {
        View::Array(array) => Ok((array.len() as i64).into()),
        View::Map(_) => Err(fault("22023", "cannot get array length of a non-array")),
        _ => Err(fault("22023", "cannot get array length of a scalar")),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Map(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Map(
                kept.map(|(name, value)| (name, without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(array) => Value::Array(array.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// As `jsonb_pretty` has it: four blanks for each level, each member on a line.
fn pretty(value: &Value, settings: &Settings) -> Result<String, QueryError> {
    fn write(
        value: &Value,
        depth: usize,
        settings: &Settings,
        out: &mut String,
    ) -> Result<(), QueryError> {
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("    ", depth));
        };
        super::text::check_len(out.len())?;
        match value {
            Value::Map(map) => {
                out.push('{');
                for (at, (name, value)) in map.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    line(out, depth + 1);
                    out.push_str(&text(View::Str(name.as_bytes()), settings)?);
                    out.push_str(": ");
                    write(value, depth + 1, settings, out)?;
                }
                line(out, depth);
                out.push('}');
            }
            Value::Array(array) => {
                out.push('[');
                for (at, value) in array.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    line(out, depth + 1);
                    write(value, depth + 1, settings, out)?;
                }
                line(out, depth);
                out.push(']');
            }
            Value::Null => out.push_str("null"),
            scalar => out.push_str(&text(View::from(scalar), settings)?),
        }
        Ok(())
    }
    let mut out = String::new();
    write(value, 0, settings, &mut out)?;
    Ok(out)
}

/// A value of any type as JSON.
fn json_of(view: View<'_>, sql: SqlType, settings: &Settings) -> Answer {
    Ok(match (view, sql) {
        (View::Null, _) => Value::Null,
        (View::Array(array), SqlType::Array(element)) => {
            let elements = array
                .iter()
                .map(|view| json_of(view, element.into(), settings));
            Value::Array(elements.collect::<Result<_, _>>()?)
        }
        (view, SqlType::Scalar(ScalarType::Json | ScalarType::Jsonb)) => owned(view),
        (View::Bool(bool), _) => bool.into(),
        (View::Number(Number::Float(float)), _) if !float.is_finite() => {
            convert::shown(View::Number(Number::Float(float)), sql, settings)?.into()
        }
        (View::Number(Number::Float(float)), SqlType::Scalar(ScalarType::Float4)) => {
            // The digits that a real has, not those of the double that it is kept as.
            let narrow = (float as f32).to_string();
            number_of(Number::Float(narrow.parse().unwrap_or(float)))
        }
        (View::Number(number), _) => number_of(number),
        (View::Time(time), sql) => {
            // As ISO 8601 has it.
            let shown = convert::shown(View::Time(time), sql, settings)?;
            let shown = shown.replacen(' ', "T", 1);
            // An offset has its minutes.
            match sql == ScalarType::Timestamptz.into()
                && shown.len() > 3
                && matches!(shown.as_bytes()[shown.len() - 3], b'+' | b'-')
            {
                true => format!("{shown}:00"),
                false => shown,
            }
            .into()
        }
        (view, sql) => convert::shown(view, sql, settings)?.into(),
    })
}

/// JSON keeps integers and floats; a decimal that is no integer becomes the nearest float.
fn number_of(number: Number<'_>) -> Value {
    match number {
        Number::Decimal(decimal) => match decimal.to_i64() {
            Some(int) => int.into(),
            None if decimal.scale() <= 0 => decimal.into_owned().into(),
            None => decimal.to_f64().into(),
        },
        Number::Int(int) => int.into(),
        // A whole number has no point, as numerics have none.
        Number::Float(float) if float == float.trunc() && float.abs() < 9e15 => {
            (float as i64).into()
        }
        Number::Float(float) => float.into(),
    }
}

fn argument(call: &Call<'_, '_>, index: usize) -> Answer {
    json_of(call.view(index), call.sql_type(index), &call.bound.settings)
}

fn build_array(call: &Call<'_, '_>) -> Answer {
    let elements = (0..call.len()).map(|index| argument(call, index));
    elements.collect::<Result<_, _>>().map(Value::Array)
}

fn build_object(call: &Call<'_, '_>) -> Answer {
    if call.len() % 2 == 1 {
        return Err(fault(
            "22023",
            "argument list must have even number of elements",
        ));
    }
    let mut map = BTreeMap::new();
    for index in (0..call.len()).step_by(2) {
        let name = match (call.view(index), call.sql_type(index)) {
            (View::Null, _) => {
                return Err(fault(
                    "22023",
                    format!("argument {}: key must not be null", index + 1),
                ));
            }
            (View::Array(_) | View::Map(_), _)
            | (_, SqlType::Scalar(ScalarType::Json | ScalarType::Jsonb)) => {
                return Err(fault(
                    "22023",
                    "key value must be scalar, not array, composite, or json",
                ));
            }
            (view, sql) => convert::text(view, sql, &call.bound.settings)?,
        };
        map.insert(name, argument(call, index + 1)?);
    }
    Ok(map.into())
}

fn text_or_null(step: Option<String>) -> Value {
    step.map_or(Value::Null, Value::String)
}

fn null_name() -> QueryError {
    fault("22004", "null value not allowed for object key")
}

fn object_of_pairs(call: &Call<'_, '_>) -> Answer {
    let texts = path(call, 0)?;
    if texts.len() % 2 == 1 {
        return Err(fault("2202E", "array must have even number of elements"));
    }
    let mut map = BTreeMap::new();
    for pair in texts.chunks(2) {
        let name = pair[0].clone().ok_or_else(null_name)?;
        map.insert(name, text_or_null(pair[1].clone()));
    }
    Ok(map.into())
}

fn object_of_both(call: &Call<'_, '_>) -> Answer {
    let (names, values) = (path(call, 0)?, path(call, 1)?);
    if names.len() != values.len() {
        return Err(fault("2202E", "mismatched array dimensions"));
    }
    let mut map = BTreeMap::new();
    for (name, value) in names.into_iter().zip(values) {
        map.insert(name.ok_or_else(null_name)?, text_or_null(value));
    }
    Ok(map.into())
}
