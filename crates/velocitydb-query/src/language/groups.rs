//! Groups, buckets and what is computed over them, in JSON.
//!
//! `_id` says by what rows are grouped, as in MongoDB: an expression, or an object of several. To
//! have the values under names of their own instead, `$by` takes an object of names.

use velocitydb_types::Path;

use super::{Json, Place, expressions, values};
use crate::error::QueryError;
use crate::expression::Expression;
use crate::pipeline::{Accumulator, Bucket, BucketAuto, Group, Share};
use crate::projection::ID;

const BY: &str = "$by";

const ACCUMULATORS: [&str; 14] = [
    "$count",
    "$sum",
    "$avg",
    "$min",
    "$max",
    "$first",
    "$last",
    "$countDistinct",
    "$addToSet",
    "$push",
    "$median",
    "$percentile",
    "$stdDevPop",
    "$stdDevSamp",
];

pub(super) fn read_group(json: &Json, place: &Place<'_>) -> Result<Group, QueryError> {
    let mut group = Group::new();
    let mut grouped = false;
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        match name.as_str() {
            ID => {
                grouped = true;
                let id = Path::field(ID);
                match json {
                    Json::Object(members) if is_parts(members) => {
                        for (name, json) in members {
                            let path = vec![ID.to_owned(), name.clone()];
                            let path = Path::from_segments(path)
                                .map_err(|error| here.error(error.to_string()))?;
                            group
                                .by
                                .push((path, expressions::read(json, &here.name(name))?));
                        }
                    }
                    json => group.by.push((id, expressions::read(json, &here)?)),
                }
            }
            BY => {
                grouped = true;
                for (name, json) in here.object(json)? {
                    let value = expressions::read(json, &here.name(name))?;
                    group.by.push((here.path(name)?, value));
                }
            }
            _ => group.with.push((name.clone(), read_with(json, &here)?)),
        }
    }
    match grouped {
        true => Ok(group),
        false => Err(place.error(
            "by what? \"_id\":\"$field\", \"_id\":null for all rows, or \"$by\":{\"name\":\"$field\"}",
        )),
    }
}

/// Whether an object names several values, and is none itself.
fn is_parts(members: &[(String, Json)]) -> bool {
    !members.is_empty() && members.iter().all(|(name, _)| !name.starts_with('$'))
}

/// What is computed for one name: `{"$sum":"$price"}`.
fn read_with(json: &Json, place: &Place<'_>) -> Result<Accumulator, QueryError> {
    match place.object(json)? {
        [(name, json)] => read_accumulator(name, json, &place.name(name), place),
        _ => Err(place.error("expected an object of one name, such as {\"$sum\":\"$price\"}")),
    }
}

pub(super) fn read_accumulator(
    name: &str,
    json: &Json,
    here: &Place<'_>,
    parent: &Place<'_>,
) -> Result<Accumulator, QueryError> {
    let of = || expressions::read(json, here);
    Ok(match name {
        "$count" => match json {
            Json::Object(members) if members.is_empty() => Accumulator::Count,
            other => return Err(here.expected("an empty object: {\"$count\":{}}", other)),
        },
        "$sum" if *json == Json::Int(1) => Accumulator::Count,
        "$sum" => Accumulator::Sum(of()?),
        "$avg" => Accumulator::Avg(of()?),
        "$min" => Accumulator::Min(of()?),
        "$max" => Accumulator::Max(of()?),
        "$first" => Accumulator::First(of()?),
        "$last" => Accumulator::Last(of()?),
        "$countDistinct" => Accumulator::CountDistinct(of()?),
        "$addToSet" | "$distinct" => Accumulator::Distinct(of()?),
        "$push" => Accumulator::Push(of()?),
        "$median" => Accumulator::Median(match json {
            Json::Object(members) if members.iter().any(|(name, _)| name == "input") => {
                input(members, here, &["input", "method"])?
            }
            _ => of()?,
        }),
        "$percentile" => {
            let members = here.object(json)?;
            let shares = members.iter().find(|(name, _)| name == "p");
            let (name, shares) = shares.ok_or_else(|| here.error("p is missing: [0.5,0.95]"))?;
            let place = here.name(name);
            let shares = place.array(shares)?.iter().enumerate().map(|(at, json)| {
                let share = match json {
                    Json::Float(share) => Share::new(*share),
                    Json::Int(share) => Share::new(*share as f64),
                    _ => None,
                };
                let wrong = || format!("expected a number from 0 to 1, found {json}");
                share.ok_or_else(|| place.index(at).error(wrong()))
            });
            let shares = shares.collect::<Result<_, _>>()?;
            Accumulator::Percentiles(input(members, here, &["input", "p", "method"])?, shares)
        }
        "$stdDevPop" => Accumulator::StdDevPop(of()?),
        "$stdDevSamp" => Accumulator::StdDevSamp(of()?),
        unknown => return Err(parent.unknown("accumulator", unknown, ACCUMULATORS)),
    })
}

fn input(
    members: &[(String, Json)],
    place: &Place<'_>,
    known: &[&str],
) -> Result<Expression, QueryError> {
    if let Some((unknown, _)) = members
        .iter()
        .find(|(name, _)| !known.contains(&name.as_str()))
    {
        return Err(place.unknown("member", unknown, known.iter().copied()));
    }
    let found = members.iter().find(|(name, _)| name == "input");
    let (name, json) = found.ok_or_else(|| place.error("input is missing"))?;
    expressions::read(json, &place.name(name))
}

/// The members of a bucket stage, its output read.
fn read_output(json: &Json, place: &Place<'_>) -> Result<Vec<(String, Accumulator)>, QueryError> {
    let members = place.object(json)?.iter();
    let read = members.map(|(name, json)| Ok((name.clone(), read_with(json, &place.name(name))?)));
    read.collect()
}

/// What is computed unless something else is asked for.
fn counted() -> Vec<(String, Accumulator)> {
    vec![("count".to_owned(), Accumulator::Count)]
}

pub(super) fn read_bucket(json: &Json, place: &Place<'_>) -> Result<Bucket, QueryError> {
    let (mut by, mut boundaries, mut default, mut with) = (None, None, None, counted());
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        match name.as_str() {
            "groupBy" => by = Some(expressions::read(json, &here)?),
            "boundaries" => {
                let values = here.array(json)?.iter().enumerate();
                let read = values.map(|(at, json)| values::read(json, &here.index(at)));
                boundaries = Some(read.collect::<Result<Vec<_>, _>>()?);
            }
            "default" => default = Some(values::read(json, &here)?),
            "output" => with = read_output(json, &here)?,
            unknown => {
                let known = ["groupBy", "boundaries", "default", "output"];
                return Err(place.unknown("member", unknown, known));
            }
        }
    }
    Ok(Bucket {
        by: by.ok_or_else(|| place.error("groupBy is missing"))?,
        boundaries: boundaries.ok_or_else(|| place.error("boundaries is missing"))?,
        default,
        with,
    })
}

pub(super) fn read_bucket_auto(json: &Json, place: &Place<'_>) -> Result<BucketAuto, QueryError> {
    let (mut by, mut buckets, mut with) = (None, None, counted());
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        match name.as_str() {
            "groupBy" => by = Some(expressions::read(json, &here)?),
            "buckets" => buckets = Some(here.count(json)?),
            "output" => with = read_output(json, &here)?,
            unknown => {
                let known = ["groupBy", "buckets", "output"];
                return Err(place.unknown("member", unknown, known));
            }
        }
    }
    Ok(BucketAuto {
        by: by.ok_or_else(|| place.error("groupBy is missing"))?,
        buckets: buckets.ok_or_else(|| place.error("buckets is missing"))?,
        with,
    })
}

pub(super) fn write_group(group: &Group) -> Json {
    let in_id = |path: &Path| path.first() == ID && path.segments().len() == 2;
    let plain = |path: &Path| {
        !path
            .segments()
            .last()
            .is_some_and(|name| name.starts_with('$'))
    };
    let written = |name: String, value: &Expression| (name, expressions::write(value));
    let by = match &group.by[..] {
        [(path, value)] if *path == Path::field(ID) => {
            let json = match value {
                // An object of several would be read as several values.
                Expression::Map(_) => None,
                value => Some(expressions::write(value)),
            };
            json.map(|json| (ID.to_owned(), json))
        }
        by if !by.is_empty() && by.iter().all(|(path, _)| in_id(path) && plain(path)) => {
            let members = by
                .iter()
                .map(|(path, value)| written(path.rest()[0].clone(), value));
            Some((ID.to_owned(), Json::Object(members.collect())))
        }
        _ => None,
    };
    let by = by.unwrap_or_else(|| {
        let members = group.by.iter();
        let members = members.map(|(path, value)| written(path.to_string(), value));
        (BY.to_owned(), Json::Object(members.collect()))
    });
    let mut members = vec![by];
    members.extend(write_output(&group.with));
    Json::Object(members)
}

fn write_output(with: &[(String, Accumulator)]) -> Vec<(String, Json)> {
    let members = with.iter().map(|(name, accumulator)| {
        let (function, json) = write_accumulator(accumulator);
        (name.clone(), Json::object(function, json))
    });
    members.collect()
}

pub(super) fn write_accumulator(accumulator: &Accumulator) -> (&'static str, Json) {
    let name = match accumulator {
        Accumulator::Count => "$count",
        Accumulator::Sum(_) => "$sum",
        Accumulator::Avg(_) => "$avg",
        Accumulator::Min(_) => "$min",
        Accumulator::Max(_) => "$max",
        Accumulator::First(_) => "$first",
        Accumulator::Last(_) => "$last",
        Accumulator::CountDistinct(_) => "$countDistinct",
        Accumulator::Distinct(_) => "$addToSet",
        Accumulator::Push(_) => "$push",
        Accumulator::Median(_) => "$median",
        Accumulator::Percentiles(..) => "$percentile",
        Accumulator::StdDevPop(_) => "$stdDevPop",
        Accumulator::StdDevSamp(_) => "$stdDevSamp",
    };
    let input = || {
        accumulator
            .input()
            .map_or(Json::Object(Vec::new()), expressions::write)
    };
    let json = match accumulator {
        Accumulator::Percentiles(_, shares) => {
            let shares = shares.iter().map(|share| Json::Float(share.get()));
            Json::Object(vec![
                ("input".to_owned(), input()),
                ("p".to_owned(), Json::Array(shares.collect())),
            ])
        }
        // A sum of the number 1 counts.
        Accumulator::Sum(Expression::Literal(velocitydb_types::Value::Int(1))) => {
            Json::object("$literal", Json::Int(1))
        }
        _ => input(),
    };
    (name, json)
}

pub(super) fn write_bucket(bucket: &Bucket) -> Json {
    let boundaries = bucket.boundaries.iter().map(values::write);
    let mut members = vec![
        ("groupBy".to_owned(), expressions::write(&bucket.by)),
        ("boundaries".to_owned(), Json::Array(boundaries.collect())),
    ];
    if let Some(default) = &bucket.default {
        members.push(("default".to_owned(), values::write(default)));
    }
    members.push((
        "output".to_owned(),
        Json::Object(write_output(&bucket.with)),
    ));
    Json::Object(members)
}

pub(super) fn write_bucket_auto(bucket: &BucketAuto) -> Json {
    Json::Object(vec![
        ("groupBy".to_owned(), expressions::write(&bucket.by)),
        ("buckets".to_owned(), Json::count(bucket.buckets)),
        (
            "output".to_owned(),
            Json::Object(write_output(&bucket.with)),
        ),
    ])
}
