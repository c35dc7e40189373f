//! Pipelines in JSON: an array of stages, each an object of one name.

use velocitydb_types::{Path, Value};

use super::finds::{read_projection, read_sort, wanted, write_projection, write_sort};
use super::{Json, Place, expressions, filters, groups, series, values};
use crate::error::QueryError;
use crate::expression::Expression;
use crate::pipeline::{
    Frame, Lookup, Merge, Pipeline, Stage, Unwind, WhenMatched, WhenNotMatched, Window,
    WindowFunction,
};
use crate::projection::{ID, Projection};

const STAGES: [&str; 20] = [
    "$match",
    "$project",
    "$addFields",
    "$set",
    "$unset",
    "$group",
    "$bucket",
    "$bucketAuto",
    "$sort",
    "$skip",
    "$limit",
    "$count",
    "$unwind",
    "$lookup",
    "$window",
    "$densify",
    "$fill",
    "$facet",
    "$out",
    "$merge",
];

/// Reads a pipeline.
pub(super) fn read(json: &Json, place: &Place<'_>) -> Result<Pipeline, QueryError> {
    let mut pipeline = Pipeline::new();
    pipeline.stages = read_stages(json, place)?;
    Ok(pipeline)
}

fn read_stages(json: &Json, place: &Place<'_>) -> Result<Vec<Stage>, QueryError> {
    let stages = place.array(json)?.iter().enumerate();
    let read = stages.map(|(at, json)| {
        let here = place.index(at);
        match here.object(json)? {
            [(name, json)] => read_stage(name, json, &here.name(name), &here),
            _ => Err(here.error("a stage is an object of one name, such as {\"$limit\":10}")),
        }
    });
    read.collect()
}

fn read_stage(
    name: &str,
    json: &Json,
    here: &Place<'_>,
    parent: &Place<'_>,
) -> Result<Stage, QueryError> {
    Ok(match name {
        "$match" => Stage::Match(filters::read(json, here)?),
        "$project" => read_project(json, here)?,
        "$addFields" | "$set" => Stage::AddFields(computed(here.object(json)?, here)?),
        "$unset" => {
            let paths = match json {
                Json::String(path) => vec![here.path(path)?],
                json => paths(json, here)?,
            };
            Stage::Select(Projection::Exclude(paths))
        }
        "$group" => Stage::Group(groups::read_group(json, here)?),
        "$bucket" => Stage::Bucket(groups::read_bucket(json, here)?),
        "$bucketAuto" => Stage::BucketAuto(groups::read_bucket_auto(json, here)?),
        "$sort" => Stage::Sort(read_sort(json, here)?),
        "$skip" => Stage::Skip(here.count(json)?),
        "$limit" => Stage::Limit(here.count(json)?),
        "$count" => Stage::Count(here.string(json)?.to_owned()),
        "$unwind" => Stage::Unwind(read_unwind(json, here)?),
        "$lookup" => Stage::Lookup(read_lookup(json, here)?),
        "$window" => Stage::Window(read_window(json, here)?),
        "$densify" => Stage::Densify(series::read_densify(json, here)?),
        "$fill" => Stage::Fill(series::read_fill(json, here)?),
        "$facet" => {
            let members = here.object(json)?.iter();
            let read = members
                .map(|(name, json)| Ok((name.clone(), read_stages(json, &here.name(name))?)));
            Stage::Facet(read.collect::<Result<_, QueryError>>()?)
        }
        "$out" => Stage::Out(here.string(json)?.to_owned()),
        "$merge" => Stage::Merge(read_merge(json, here)?),
        unknown => return Err(parent.unknown("stage", unknown, STAGES)),
    })
}

fn paths(json: &Json, place: &Place<'_>) -> Result<Vec<Path>, QueryError> {
    let paths = place.array(json)?.iter().enumerate();
    let read = paths.map(|(at, json)| {
        let here = place.index(at);
        here.path(here.string(json)?)
    });
    read.collect()
}

/// Paths and what is computed for them.
fn computed(
    members: &[(String, Json)],
    place: &Place<'_>,
) -> Result<Vec<(Path, Expression)>, QueryError> {
    let members = members.iter();
    let read = members.map(|(name, json)| {
        let path = place.path(name)?;
        Ok((path, expressions::read(json, &place.name(name))?))
    });
    read.collect()
}

/// Whether all that is said is which paths are wanted, or not.
fn only_selects(json: &Json) -> bool {
    match json {
        Json::Object(members) => members.iter().all(|(_, json)| wanted(json).is_some()),
        _ => true,
    }
}

/// Paths that are wanted as they are, and others that are computed; `_id` unless it is excluded.
fn read_project(json: &Json, place: &Place<'_>) -> Result<Stage, QueryError> {
    if only_selects(json) {
        return Ok(Stage::Select(read_projection(json, place)?));
    }
    let id = Path::field(ID);
    let (mut fields, mut with_id) = (Vec::new(), true);
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        let path = place.path(name)?;
        if path == id {
            with_id = false;
        }
        match wanted(json) {
            Some(true) => fields.push((path.clone(), Expression::Field(path))),
            Some(false) if path == id => {}
            Some(false) => {
                return Err(here.error(
                    "beside computed fields only _id may be 0: others are left out by not being \
                     named",
                ));
            }
            None => fields.push((path, expressions::read(json, &here)?)),
        }
    }
    if with_id {
        fields.insert(0, (id.clone(), Expression::Field(id)));
    }
    Ok(Stage::Project(fields))
}

/// The path of `"$tags"`.
fn field_path(json: &Json, place: &Place<'_>) -> Result<Path, QueryError> {
    let text = place.string(json)?;
    let path = text.strip_prefix('$');
    let path = path
        .ok_or_else(|| place.error(format!("expected a field such as \"$tags\", found {json}")))?;
    place.path(path)
}

fn read_unwind(json: &Json, place: &Place<'_>) -> Result<Unwind, QueryError> {
    let Json::Object(members) = json else {
        return Unwind::new(field_path(json, place)?);
    };
    let (mut path, mut keep_empty, mut index) = (None, false, None);
    for (name, json) in members {
        let here = place.name(name);
        match name.as_str() {
            "path" => path = Some(field_path(json, &here)?),
            "preserveNullAndEmptyArrays" | "keepEmpty" => keep_empty = here.bool(json)?,
            "includeArrayIndex" | "index" => index = Some(here.string(json)?.to_owned()),
            unknown => {
                let known = ["path", "preserveNullAndEmptyArrays", "includeArrayIndex"];
                return Err(place.unknown("member", unknown, known));
            }
        }
    }
    Ok(Unwind {
        path: path.ok_or_else(|| place.error("path is missing"))?,
        keep_empty,
        index,
    })
}

fn read_lookup(json: &Json, place: &Place<'_>) -> Result<Lookup, QueryError> {
    const MEMBERS: [&str; 4] = ["from", "localField", "foreignField", "as"];
    let members = place.object(json)?;
    if let Some((unknown, _)) = members
        .iter()
        .find(|(name, _)| !MEMBERS.contains(&name.as_str()))
    {
        return Err(place.unknown("member", unknown, MEMBERS));
    }
    let text = |wanted: &str| {
        let found = members.iter().find(|(name, _)| name == wanted);
        let (name, json) = found.ok_or_else(|| place.error(format!("{wanted} is missing")))?;
        place.name(name).string(json)
    };
    let path = |wanted: &str| place.name(wanted).path(text(wanted)?);
    Ok(Lookup {
        from: text("from")?.to_owned(),
        local: path("localField")?,
        foreign: path("foreignField")?,
        name: path("as")?,
    })
}

fn read_window(json: &Json, place: &Place<'_>) -> Result<Window, QueryError> {
    let mut window = Window::default();
    for (name, json) in place.object(json)? {
        let here = place.name(name);
        match name.as_str() {
            "partition" => window.partition = expressions::read_some(json, &here)?,
            "sort" => window.sort = read_sort(json, &here)?,
            "fields" => {
                for (name, json) in here.object(json)? {
                    let inner = here.name(name);
                    let function = read_window_function(json, &inner)?;
                    window.fields.push((here.path(name)?, function));
                }
            }
            unknown => {
                return Err(place.unknown("member", unknown, ["partition", "sort", "fields"]));
            }
        }
    }
    Ok(window)
}

const MATCHED: [(&str, WhenMatched); 4] = [
    ("replace", WhenMatched::Replace),
    ("merge", WhenMatched::Merge),
    ("keepExisting", WhenMatched::KeepExisting),
    ("fail", WhenMatched::Fail),
];

const UNMATCHED: [(&str, WhenNotMatched); 3] = [
    ("insert", WhenNotMatched::Insert),
    ("discard", WhenNotMatched::Discard),
    ("fail", WhenNotMatched::Fail),
];

/// The member of a table that is called so.
fn named<T: Copy>(json: &Json, place: &Place<'_>, table: &[(&str, T)]) -> Result<T, QueryError> {
    let known = table.iter().map(|(known, _)| *known);
    let Json::String(name) = json else {
        let known: Vec<&str> = known.collect();
        return Err(place.expected(&format!("one of {}", known.join(", ")), json));
    };
    let found = table.iter().find(|(known, _)| known == name);
    found
        .map(|(_, member)| *member)
        .ok_or_else(|| place.unknown("action", name, known))
}

fn read_merge(json: &Json, place: &Place<'_>) -> Result<Merge, QueryError> {
    let Json::Object(members) = json else {
        return Ok(Merge::new(place.string(json)?));
    };
    let (mut merge, mut into) = (Merge::new(""), None);
    for (name, json) in members {
        let here = place.name(name);
        match name.as_str() {
            "into" => match json {
                Json::String(name) => into = Some(name.clone()),
                other => return Err(here.expected("the name of a collection", other)),
            },
            "on" if *json == Json::from(ID) || *json == Json::Array(vec![ID.into()]) => {}
            "on" => {
                return Err(here.error(format!(
                    "expected \"_id\", found {json}: rows are matched by their ids; make the _id \
                     of what shall match, as with {{\"$addFields\":{{\"_id\":\"$hour\"}}}}"
                )));
            }
            "whenMatched" => merge.matched = named(json, &here, &MATCHED)?,
            "whenNotMatched" => merge.unmatched = named(json, &here, &UNMATCHED)?,
            unknown => {
                let known = ["into", "on", "whenMatched", "whenNotMatched"];
                return Err(place.unknown("member", unknown, known));
            }
        }
    }
    merge.into = into.ok_or_else(|| place.error("into is missing: the name of a collection"))?;
    Ok(merge)
}

const WINDOW_FUNCTIONS: [&str; 10] = [
    "$rank",
    "$denseRank",
    "$rowNumber",
    "$lag",
    "$lead",
    "$sum",
    "$avg",
    "$min",
    "$max",
    "$count",
];

fn read_window_function(json: &Json, place: &Place<'_>) -> Result<WindowFunction, QueryError> {
    let members = place.object(json)?;
    let Some((name, json)) = members.iter().find(|(name, _)| name.starts_with('$')) else {
        return Err(place.error(format!("expected one of {}", WINDOW_FUNCTIONS.join(", "))));
    };
    let here = place.name(name);
    let options: &[&str] = match name.as_str() {
        "$rank" | "$denseRank" | "$rowNumber" => &[],
        "$lag" | "$lead" => &["by", "default"],
        known if WINDOW_FUNCTIONS.contains(&known) => &["rows"],
        unknown => return Err(place.unknown("function", unknown, WINDOW_FUNCTIONS)),
    };
    let others = members.iter().filter(|(other, _)| other != name);
    for (option, _) in others {
        if !options.contains(&option.as_str()) {
            return Err(place.unknown("option", option, options.iter().copied()));
        }
    }
    let option = |wanted: &str| members.iter().find(|(name, _)| name == wanted);
    Ok(match name.as_str() {
        "$rank" => WindowFunction::Rank,
        "$denseRank" => WindowFunction::DenseRank,
        "$rowNumber" => WindowFunction::RowNumber,
        "$lag" | "$lead" => {
            let of = expressions::read(json, &here)?;
            let rows = match option("by") {
                Some((name, json)) => place.name(name).count(json)?,
                None => 1,
            };
            let default = match option("default") {
                Some((name, json)) => values::read(json, &place.name(name))?,
                None => Value::Null,
            };
            match name.as_str() {
                "$lag" => WindowFunction::Lag(of, rows, default),
                _ => WindowFunction::Lead(of, rows, default),
            }
        }
        _ => {
            let frame = match option("rows") {
                None => Frame::Running,
                Some((_, Json::String(all))) if all == "all" => Frame::All,
                Some((name, json)) => Frame::Rows(place.name(name).count(json)?),
            };
            WindowFunction::Over(groups::read_accumulator(name, json, &here, place)?, frame)
        }
    })
}

/// Writes a pipeline, so that [`read`] gives it back.
pub(super) fn write(pipeline: &Pipeline) -> Json {
    write_stages(&pipeline.stages)
}

fn write_stages(stages: &[Stage]) -> Json {
    Json::Array(stages.iter().map(write_stage).collect())
}

fn write_stage(stage: &Stage) -> Json {
    let member = |name: &str, json| (name.to_owned(), json);
    let json = match stage {
        Stage::Match(filter) => filters::write(filter),
        Stage::Project(fields) => write_project(fields),
        Stage::AddFields(fields) => write_computed(fields),
        Stage::Select(projection) => match write_projection(projection) {
            Some(json) => json,
            None => Json::Object(Vec::new()),
        },
        Stage::Group(group) => groups::write_group(group),
        Stage::Bucket(bucket) => groups::write_bucket(bucket),
        Stage::BucketAuto(bucket) => groups::write_bucket_auto(bucket),
        Stage::Sort(by) => write_sort(by),
        Stage::Skip(rows) | Stage::Limit(rows) => Json::count(*rows),
        Stage::Count(name) | Stage::Out(name) => Json::String(name.clone()),
        Stage::Merge(merge) => write_merge(merge),
        Stage::Unwind(unwind) => write_unwind(unwind),
        Stage::Lookup(lookup) => Json::Object(vec![
            member("from", lookup.from.as_str().into()),
            member("localField", Json::String(lookup.local.to_string())),
            member("foreignField", Json::String(lookup.foreign.to_string())),
            member("as", Json::String(lookup.name.to_string())),
        ]),
        Stage::Window(window) => write_window(window),
        Stage::Densify(densify) => series::write_densify(densify),
        Stage::Fill(fill) => series::write_fill(fill),
        Stage::Facet(inside) => {
            let inside = inside.iter();
            Json::Object(
                inside
                    .map(|(name, stages)| (name.clone(), write_stages(stages)))
                    .collect(),
            )
        }
    };
    Json::object(stage.name(), json)
}

fn write_computed(fields: &[(Path, Expression)]) -> Json {
    let members = fields
        .iter()
        .map(|(path, value)| (path.to_string(), expressions::write(value)));
    Json::Object(members.collect())
}

fn write_project(fields: &[(Path, Expression)]) -> Json {
    let id = Path::field(ID);
    let is_id =
        |(path, value): &(Path, Expression)| *path == id && *value == Expression::Field(id.clone());
    let mut members = Vec::new();
    let rest = match fields.split_first() {
        // Said without being said.
        Some((first, rest)) if is_id(first) && !rest.is_empty() => rest,
        _ => {
            if !fields.iter().any(|(path, _)| *path == id) {
                members.push((ID.to_owned(), Json::Int(0)));
            }
            fields
        }
    };
    members.extend(rest.iter().map(|(path, value)| {
        let json = match expressions::write(value) {
            // A number or a truth value would say whether the path is wanted.
            json if wanted(&json).is_some() => Json::object("$literal", json),
            json => json,
        };
        (path.to_string(), json)
    }));
    Json::Object(members)
}

fn write_unwind(unwind: &Unwind) -> Json {
    let path = Json::String(format!("${}", unwind.path));
    if !unwind.keep_empty && unwind.index.is_none() {
        return path;
    }
    let mut members = vec![("path".to_owned(), path)];
    if unwind.keep_empty {
        members.push(("preserveNullAndEmptyArrays".to_owned(), Json::Bool(true)));
    }
    if let Some(index) = &unwind.index {
        members.push(("includeArrayIndex".to_owned(), index.as_str().into()));
    }
    Json::Object(members)
}

fn write_merge(merge: &Merge) -> Json {
    fn name<T: PartialEq>(table: &[(&'static str, T)], wanted: &T) -> Json {
        let found = table.iter().find(|(_, member)| member == wanted);
        found.map_or(Json::Null, |(name, _)| (*name).into())
    }
    let member = |name: &str, json| (name.to_owned(), json);
    Json::Object(vec![
        member("into", merge.into.as_str().into()),
        member("whenMatched", name(&MATCHED, &merge.matched)),
        member("whenNotMatched", name(&UNMATCHED, &merge.unmatched)),
    ])
}

fn write_window(window: &Window) -> Json {
    let mut members = Vec::new();
    if !window.partition.is_empty() {
        let partition = window.partition.iter().map(expressions::write);
        members.push(("partition".to_owned(), Json::Array(partition.collect())));
    }
    if !window.sort.is_empty() {
        members.push(("sort".to_owned(), write_sort(&window.sort)));
    }
    let fields = window.fields.iter();
    let fields = fields.map(|(path, function)| (path.to_string(), write_window_function(function)));
    members.push(("fields".to_owned(), Json::Object(fields.collect())));
    Json::Object(members)
}

fn write_window_function(function: &WindowFunction) -> Json {
    let nothing = || Json::Object(Vec::new());
    let shifted = |name: &str, of: &Expression, rows: usize, default: &Value| {
        Json::Object(vec![
            (name.to_owned(), expressions::write(of)),
            ("by".to_owned(), Json::count(rows)),
            ("default".to_owned(), values::write(default)),
        ])
    };
    match function {
        WindowFunction::Rank => Json::object("$rank", nothing()),
        WindowFunction::DenseRank => Json::object("$denseRank", nothing()),
        WindowFunction::RowNumber => Json::object("$rowNumber", nothing()),
        WindowFunction::Lag(of, rows, default) => shifted("$lag", of, *rows, default),
        WindowFunction::Lead(of, rows, default) => shifted("$lead", of, *rows, default),
        WindowFunction::Over(accumulator, frame) => {
            let (name, json) = groups::write_accumulator(accumulator);
            let mut members = vec![(name.to_owned(), json)];
            match frame {
                Frame::Running => {}
                Frame::Rows(rows) => members.push(("rows".to_owned(), Json::count(*rows))),
                Frame::All => members.push(("rows".to_owned(), "all".into())),
            }
            Json::Object(members)
        }
    }
}
