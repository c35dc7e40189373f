//! Expressions in JSON.
//!
//! A string that begins with `$` is what a path leads to (`"$address.city"`; `"$$ROOT"` is the whole
//! row), an object of one name that begins with `$` a function (`{"$add":["$a",1]}`) or a value with
//! its type (`{"$date":"2013-01-01"}`), other objects and arrays are made of their parts, and
//! anything else is itself. `{"$literal":…}` is a value whatever it looks like.

use velocitydb_types::Value;

use super::{Json, Place, values};
use crate::error::QueryError;
use crate::expression::{Expression, FUNCTIONS, Function};

const LITERAL: &str = "$literal";
const ROOT: &str = "$$ROOT";

/// Reads an expression.
pub(super) fn read(json: &Json, place: &Place<'_>) -> Result<Expression, QueryError> {
    Ok(match json {
        Json::String(text) if text == ROOT => Expression::Root,
        Json::String(text) => match text.strip_prefix('$') {
            Some(variable) if variable.starts_with('$') => {
                return Err(place.unknown("variable", text, [ROOT]));
            }
            Some(path) => Expression::Field(place.path(path)?),
            None => Expression::Literal(text.as_str().into()),
        },
        Json::Array(parts) => Expression::Array(list(parts, place)?),
        Json::Object(members) => match &members[..] {
            [(name, json)] if name == LITERAL => {
                Expression::Literal(values::read(json, &place.name(name))?)
            }
            members if values::is_tagged(members) => {
                Expression::Literal(values::read(json, place)?)
            }
            [(name, json)] if name.starts_with('$') => {
                let here = place.name(name);
                let function = Function::from_name(name).ok_or_else(|| {
                    here.unknown("function", name, FUNCTIONS.iter().map(|row| row.name))
                })?;
                call(function, json, &here)?
            }
            members => {
                if let Some((name, _)) = members.iter().find(|(name, _)| name.starts_with('$')) {
                    return Err(place.error(format!(
                        "{name} stands beside other names: a function is an object of its own"
                    )));
                }
                let parts = members.iter();
                let read =
                    parts.map(|(name, json)| Ok((name.clone(), read(json, &place.name(name))?)));
                Expression::Map(read.collect::<Result<_, QueryError>>()?)
            }
        },
        scalar => Expression::Literal(values::read(scalar, place)?),
    })
}

/// Reads one expression, or an array of several.
pub(super) fn read_some(json: &Json, place: &Place<'_>) -> Result<Vec<Expression>, QueryError> {
    match json {
        Json::Array(parts) => list(parts, place),
        one => Ok(vec![read(one, place)?]),
    }
}

fn list(parts: &[Json], place: &Place<'_>) -> Result<Vec<Expression>, QueryError> {
    let parts = parts.iter().enumerate();
    parts
        .map(|(at, json)| read(json, &place.index(at)))
        .collect()
}

fn call(function: Function, json: &Json, place: &Place<'_>) -> Result<Expression, QueryError> {
    let row = function.row();
    let arguments = match json {
        Json::Object(members) if function == Function::Switch => switch(members, place)?,
        other if function == Function::Switch => {
            return Err(place.expected("an object of branches and default", other));
        }
        Json::Array(arguments) => list(arguments, place)?,
        Json::Object(members) if is_named(members) && !row.names.is_empty() => {
            let mut arguments = Vec::new();
            if let Some((unknown, _)) = members
                .iter()
                .find(|(name, _)| !row.names.contains(&name.as_str()))
            {
                return Err(place.unknown("argument", unknown, row.names.iter().copied()));
            }
            for (at, name) in row.names.iter().enumerate() {
                match members.iter().find(|(given, _)| given == name) {
                    Some((name, json)) => arguments.push(read(json, &place.name(name))?),
                    None if at < row.least => {
                        return Err(place.error(format!("{name} is missing: {}", row.help)));
                    }
                    None => break,
                }
            }
            arguments
        }
        one => vec![read(one, place)?],
    };
    if !(row.least..=row.most).contains(&arguments.len()) {
        return Err(place.error(row.takes(arguments.len())));
    }
    Ok(Expression::Call(function, arguments))
}

/// Whether the names of an object may be those of arguments.
fn is_named(members: &[(String, Json)]) -> bool {
    members.iter().all(|(name, _)| !name.starts_with('$'))
}

fn switch(members: &[(String, Json)], place: &Place<'_>) -> Result<Vec<Expression>, QueryError> {
    let (mut arguments, mut default) = (Vec::new(), None);
    for (name, json) in members {
        let here = place.name(name);
        match name.as_str() {
            "branches" => {
                for (at, branch) in here.array(json)?.iter().enumerate() {
                    let here = here.index(at);
                    let members = here.object(branch)?;
                    let part = |wanted: &str| {
                        let found = members.iter().find(|(name, _)| name == wanted);
                        let (name, json) =
                            found.ok_or_else(|| here.error(format!("{wanted} is missing")))?;
                        read(json, &here.name(name))
                    };
                    if members.len() > 2 {
                        return Err(here.error("a branch has case and then, and nothing else"));
                    }
                    arguments.extend([part("case")?, part("then")?]);
                }
            }
            "default" => default = Some(read(json, &here)?),
            unknown => return Err(place.unknown("member", unknown, ["branches", "default"])),
        }
    }
    arguments.extend(default);
    Ok(arguments)
}

/// Writes an expression, so that [`read`] gives it back (but for [`Expression::Apply`]).
pub(super) fn write(expression: &Expression) -> Json {
    match expression {
        Expression::Literal(value) => literal(value),
        Expression::Field(path) => Json::String(format!("${path}")),
        Expression::Root => ROOT.into(),
        Expression::Array(parts) => Json::Array(parts.iter().map(write).collect()),
        Expression::Map(parts) => {
            let members = parts.iter().map(|(name, part)| (name.clone(), write(part)));
            Json::Object(members.collect())
        }
        Expression::Call(Function::Switch, arguments) => {
            let (pairs, default) = arguments.as_chunks::<2>();
            let branches = pairs.iter().map(|[case, then]| {
                Json::Object(vec![
                    ("case".to_owned(), write(case)),
                    ("then".to_owned(), write(then)),
                ])
            });
            let branches = Json::Array(branches.collect());
            let mut members = vec![("branches".to_owned(), branches)];
            members.extend(
                default
                    .iter()
                    .map(|json| ("default".to_owned(), write(json))),
            );
            Json::object(Function::Switch.name(), Json::Object(members))
        }
        Expression::Call(function, arguments) => {
            let written = match &arguments[..] {
                [only @ (Expression::Field(_) | Expression::Root | Expression::Call(..))] => {
                    write(only)
                }
                arguments => Json::Array(arguments.iter().map(write).collect()),
            };
            Json::object(function.name(), written)
        }
        Expression::Apply(function, arguments) => {
            let written = arguments.iter().map(write).collect();
            Json::object(function.0.name(), Json::Array(written))
        }
    }
}

/// A value, marked where it would be taken for something else.
fn literal(value: &Value) -> Json {
    let json = values::write(value);
    let plain = match &json {
        Json::String(text) => !text.starts_with('$'),
        Json::Array(_) => false,
        Json::Object(members) => values::is_tagged(members),
        _ => true,
    };
    match plain {
        true => json,
        false => Json::object(LITERAL, json),
    }
}
