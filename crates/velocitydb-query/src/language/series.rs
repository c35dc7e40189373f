//! Gaps of time series in JSON: `$densify` and `$fill`.

use velocitydb_types::Path;

use super::finds::{read_sort, write_sort};
use super::{Json, Place, expressions, values};
use crate::error::QueryError;
use crate::expression::{Expression, TimeUnit, UNITS};
use crate::pipeline::{Densify, DensifyBounds, DensifyStep, Fill, FillWith};

/// A field of the stage itself: a name, without the `$` of expressions.
fn field(json: &Json, place: &Place<'_>) -> Result<Path, QueryError> {
    let text = place.string(json)?;
    match text.strip_prefix('$') {
        Some(name) => {
            Err(place.error(format!("expected the name of a field: {name:?}, without $")))
        }
        None => place.path(text),
    }
}

fn fields(json: &Json, place: &Place<'_>) -> Result<Vec<Path>, QueryError> {
    let names = place.array(json)?.iter().enumerate();
    names
        .map(|(at, json)| field(json, &place.index(at)))
        .collect()
}

pub(super) fn read_densify(json: &Json, place: &Place<'_>) -> Result<Densify, QueryError> {
    let (mut densified, mut partition, mut range) = (None, Vec::new(), None);
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        match name.as_str() {
            "field" => densified = Some(field(json, &here)?),
            "partitionByFields" => partition = fields(json, &here)?,
            "range" => range = Some(read_range(json, &here)?),
            unknown => {
                let known = ["field", "partitionByFields", "range"];
                return Err(place.unknown("member", unknown, known));
            }
        }
    }
    let (step, bounds) = range.ok_or_else(|| {
        place.error("range is missing: {\"step\":1,\"unit\":\"hour\",\"bounds\":\"full\"}")
    })?;
    Ok(Densify {
        field: densified.ok_or_else(|| place.error("field is missing: the name of one"))?,
        partition,
        step,
        bounds,
    })
}

fn read_range(json: &Json, place: &Place<'_>) -> Result<(DensifyStep, DensifyBounds), QueryError> {
    let (mut step, mut unit, mut bounds) = (None, None, None);
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        match name.as_str() {
            "step" => step = Some((json, name)),
            "unit" => {
                let name = here.string(json)?;
                let known = || here.unknown("unit", name, UNITS.iter().copied());
                unit = Some(TimeUnit::from_name(name).ok_or_else(known)?);
            }
            "bounds" => bounds = Some(read_bounds(json, &here)?),
            unknown => return Err(place.unknown("member", unknown, ["step", "unit", "bounds"])),
        }
    }
    let (step, name) = step.ok_or_else(|| place.error("step is missing: a number"))?;
    let here = place.name(name);
    let step = match unit {
        None => DensifyStep::Number(values::read(step, &here)?),
        Some(unit) => match step {
            Json::Int(step) if (1..=i64::from(u32::MAX)).contains(step) => {
                DensifyStep::Time(*step as u32, unit)
            }
            other => {
                return Err(here.error(format!(
                    "expected how many units, a whole number from 1 to {}, found {other}",
                    u32::MAX
                )));
            }
        },
    };
    let missing = || place.error("bounds is missing: \"full\", \"partition\" or [from, to]");
    Ok((step, bounds.ok_or_else(missing)?))
}

fn read_bounds(json: &Json, place: &Place<'_>) -> Result<DensifyBounds, QueryError> {
    Ok(match json {
        Json::String(text) if text == "full" => DensifyBounds::Full,
        Json::String(text) if text == "partition" => DensifyBounds::Partition,
        Json::Array(bounds) if bounds.len() == 2 => {
            let bound = |at: usize| match &bounds[at] {
                text @ Json::String(_) => Err(place.index(at).error(format!(
                    "expected a number, a time such as {{\"$time\":\"2024-03-01T06:00:00Z\"}} or a \
                     date such as {{\"$date\":\"2024-03-01\"}}, found {text}"
                ))),
                json => values::read(json, &place.index(at)),
            };
            DensifyBounds::Between(bound(0)?, bound(1)?)
        }
        other => {
            return Err(place.error(format!(
                "expected \"full\", \"partition\" or [from, to], found {other}"
            )));
        }
    })
}

pub(super) fn write_densify(densify: &Densify) -> Json {
    let mut members = vec![("field".to_owned(), Json::String(densify.field.to_string()))];
    if !densify.partition.is_empty() {
        members.push((
            "partitionByFields".to_owned(),
            write_fields(&densify.partition),
        ));
    }
    let mut range = match &densify.step {
        DensifyStep::Number(step) => vec![("step".to_owned(), values::write(step))],
        DensifyStep::Time(step, unit) => vec![
            ("step".to_owned(), Json::Int((*step).into())),
            ("unit".to_owned(), unit.name().into()),
        ],
    };
    let bounds = match &densify.bounds {
        DensifyBounds::Full => "full".into(),
        DensifyBounds::Partition => "partition".into(),
        DensifyBounds::Between(from, to) => {
            Json::Array([from, to].map(values::write).into_iter().collect())
        }
    };
    range.push(("bounds".to_owned(), bounds));
    members.push(("range".to_owned(), Json::Object(range)));
    Json::Object(members)
}

fn write_fields<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Json {
    let paths = paths.into_iter().map(|path| Json::String(path.to_string()));
    Json::Array(paths.collect())
}

pub(super) fn read_fill(json: &Json, place: &Place<'_>) -> Result<Fill, QueryError> {
    let (mut fill, mut partitioned) = (Fill::default(), 0);
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        match name.as_str() {
            "partitionBy" => {
                partitioned += 1;
                fill.partition = expressions::read_some(json, &here)?;
            }
            "partitionByFields" => {
                partitioned += 1;
                let fields = fields(json, &here)?.into_iter();
                fill.partition = fields.map(Expression::Field).collect();
            }
            "sortBy" => fill.sort = read_sort(json, &here)?,
            "output" => {
                for (name, json) in here.object(json)? {
                    let inner = here.name(name);
                    fill.fields
                        .push((here.path(name)?, read_with(json, &inner)?));
                }
            }
            unknown => {
                let known = ["partitionBy", "partitionByFields", "sortBy", "output"];
                return Err(place.unknown("member", unknown, known));
            }
        }
    }
    if partitioned > 1 {
        return Err(place.error("give partitionBy or partitionByFields, not both"));
    }
    Ok(fill)
}

/// With what one field is filled.
fn read_with(json: &Json, place: &Place<'_>) -> Result<FillWith, QueryError> {
    let wanted = "expected {\"value\":…} or {\"method\":\"linear\"} or {\"method\":\"locf\"}";
    let Json::Object(members) = json else {
        return Err(place.error(wanted));
    };
    match &members[..] {
        [(name, json)] if name == "value" => {
            Ok(FillWith::Value(expressions::read(json, &place.name(name))?))
        }
        [(name, json)] if name == "method" => {
            let here = place.name(name);
            match here.string(json)? {
                "linear" => Ok(FillWith::Linear),
                "locf" => Ok(FillWith::Last),
                unknown => Err(here.unknown("method", unknown, ["linear", "locf"])),
            }
        }
        _ => Err(place.error(wanted)),
    }
}

pub(super) fn write_fill(fill: &Fill) -> Json {
    let mut members = Vec::new();
    let fields = fill.partition.iter().map(|by| match by {
        Expression::Field(path) => Some(path),
        _ => None,
    });
    match fields.collect::<Option<Vec<_>>>() {
        Some(fields) if fields.is_empty() => {}
        Some(fields) => members.push(("partitionByFields".to_owned(), write_fields(fields))),
        None => {
            let by = fill.partition.iter().map(expressions::write).collect();
            members.push(("partitionBy".to_owned(), Json::Array(by)));
        }
    }
    if !fill.sort.is_empty() {
        members.push(("sortBy".to_owned(), write_sort(&fill.sort)));
    }
    let output = fill.fields.iter().map(|(path, with)| {
        let with = match with {
            FillWith::Value(value) => Json::object("value", expressions::write(value)),
            FillWith::Linear => Json::object("method", "linear".into()),
            FillWith::Last => Json::object("method", "locf".into()),
        };
        (path.to_string(), with)
    });
    members.push(("output".to_owned(), Json::Object(output.collect())));
    Json::Object(members)
}
