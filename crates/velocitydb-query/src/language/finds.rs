//! Questions for documents in JSON, and the parts that pipelines share with them: sorts and
//! projections.

use velocitydb_types::Path;

use super::filters::{self, name_of};
use super::{Json, Place};
use crate::error::QueryError;
use crate::find::{Cursor, Find, Hint};
use crate::projection::{ID, Projection};
use crate::sort::{Direction, Nulls};

const MEMBERS: [&str; 8] = [
    "filter", "sort", "nulls", "project", "offset", "limit", "after", "hint",
];

/// Where nulls stand, as text.
const NULLS: [(&str, Nulls); 2] = [("smallest", Nulls::Smallest), ("greatest", Nulls::Greatest)];

/// The hint that insists on no index.
const SCAN: &str = "scan";

/// Reads a [`Find`].
pub(super) fn read(json: &Json, place: &Place<'_>) -> Result<Find, QueryError> {
    let mut find = Find::default();
    let mut after = None;
    for (name, json) in place.object(json)? {
        let here = Place::root(name);
        match name.as_str() {
            "filter" => find.filter = filters::read(json, &here)?,
            "sort" => find.sort = read_sort(json, &here)?,
            "nulls" => {
                let text = here.string(json)?;
                let named = NULLS.iter().find(|(name, _)| *name == text);
                let named = named.ok_or_else(|| {
                    here.error(format!("expected smallest or greatest, found {text:?}"))
                });
                find.nulls = named?.1;
            }
            "project" => find.projection = read_projection(json, &here)?,
            "offset" => find.offset = here.count(json)?,
            "limit" if *json == Json::Null => find.limit = None,
            "limit" => find.limit = Some(here.count(json)?),
            "after" if *json == Json::Null => {}
            "after" => {
                let cursor = here.string(json)?.parse::<Cursor>();
                after = Some(cursor.map_err(|error| here.wrap(&error))?);
            }
            "hint" if *json == Json::Null => {}
            "hint" => find.hint = Some(Hint::named(here.string(json)?)),
            unknown => return Err(place.unknown("member", unknown, MEMBERS)),
        }
    }
    if after.is_some() {
        find = find.page(after);
    }
    Ok(find)
}

/// Writes a [`Find`], so that [`read`] gives it back.
pub(super) fn write(find: &Find) -> Json {
    let mut members = vec![("filter".to_owned(), filters::write(&find.filter))];
    let mut add = |name: &str, json| members.push((name.to_owned(), json));
    if !find.sort.is_empty() {
        add("sort", write_sort(&find.sort));
    }
    if find.nulls == Nulls::Greatest {
        add("nulls", "greatest".into());
    }
    if let Some(json) = write_projection(&find.projection) {
        add("project", json);
    }
    if find.offset > 0 {
        add("offset", Json::count(find.offset));
    }
    if let Some(limit) = find.limit {
        add("limit", Json::count(limit));
    }
    if let Some(after) = &find.after {
        add("after", Json::String(after.to_string()));
    }
    match &find.hint {
        Some(Hint::Scan) => add("hint", SCAN.into()),
        Some(Hint::Index(name)) => add("hint", name.as_str().into()),
        None => {}
    }
    Json::Object(members)
}

impl Hint {
    /// `scan`, or the name of an index.
    pub fn named(name: &str) -> Hint {
        match name {
            SCAN => Hint::Scan,
            name => Hint::Index(name.to_owned()),
        }
    }
}

/// Reads `{"a":1,"b":-1}` or `[["a",1],["b",-1]]`.
pub(super) fn read_sort(
    json: &Json,
    place: &Place<'_>,
) -> Result<Vec<(Path, Direction)>, QueryError> {
    let field = |path: &str, json: &Json, place: &Place<'_>| {
        let direction = match json {
            Json::Int(1) => Direction::Ascending,
            Json::Int(-1) => Direction::Descending,
            Json::String(text) if text == "asc" => Direction::Ascending,
            Json::String(text) if text == "desc" => Direction::Descending,
            other => {
                return Err(place.error(format!(
                    "expected 1 (the smallest first) or -1 (the greatest first), found {other}"
                )));
            }
        };
        Ok((place.path(path)?, direction))
    };
    match json {
        Json::Object(members) => {
            let fields = members.iter();
            fields
                .map(|(name, json)| field(name, json, &place.name(name)))
                .collect()
        }
        Json::Array(pairs) => {
            let pairs = pairs.iter().enumerate();
            let read = pairs.map(|(at, pair)| {
                let here = place.index(at);
                match pair {
                    Json::Array(pair) => match &pair[..] {
                        [Json::String(path), direction] => field(path, direction, &here),
                        _ => Err(here.error("expected a pair such as [\"a\",1]")),
                    },
                    other => Err(here.expected("a pair such as [\"a\",1]", other)),
                }
            });
            read.collect()
        }
        other => Err(place.expected("an object such as {\"a\":1,\"b\":-1}", other)),
    }
}

pub(super) fn write_sort(by: &[(Path, Direction)]) -> Json {
    let direction = |direction| match direction {
        Direction::Ascending => Json::Int(1),
        Direction::Descending => Json::Int(-1),
    };
    let paths: std::collections::BTreeSet<&Path> = by.iter().map(|(path, _)| path).collect();
    if paths.len() == by.len() {
        let fields = by
            .iter()
            .map(|(path, by)| (path.to_string(), direction(*by)));
        return Json::Object(fields.collect());
    }
    let pairs = by
        .iter()
        .map(|(path, by)| Json::Array(vec![Json::String(path.to_string()), direction(*by)]));
    Json::Array(pairs.collect())
}

/// Whether a member of a projection says that a path is wanted, or is not; `None` when it says
/// something else.
pub(super) fn wanted(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(wanted) => Some(*wanted),
        Json::Int(1) => Some(true),
        Json::Int(0) => Some(false),
        _ => None,
    }
}

/// Reads `["a","b.c"]`, `{"a":1}` or `{"a":0}`.
pub(super) fn read_projection(json: &Json, place: &Place<'_>) -> Result<Projection, QueryError> {
    let members = match json {
        Json::Null => return Ok(Projection::All),
        Json::Array(paths) => {
            let paths = paths.iter().enumerate();
            let paths = paths.map(|(at, json)| {
                let here = place.index(at);
                here.path(here.string(json)?)
            });
            return Projection::include(paths.collect::<Result<Vec<_>, _>>()?);
        }
        Json::Object(members) => members,
        other => {
            let expected = "an array such as [\"a\",\"b.c\"], or an object such as {\"a\":1}";
            return Err(place.expected(expected, other));
        }
    };
    let (mut included, mut excluded, mut id) = (Vec::new(), Vec::new(), None);
    for (name, json) in members {
        let here = place.name(name);
        let path = here.path(name)?;
        let wanted = wanted(json).ok_or_else(|| {
            here.error(format!(
                "expected 1 (wanted) or 0 (not wanted), found {json}"
            ))
        })?;
        match wanted {
            _ if path == Path::field(ID) && !wanted => id = Some(path),
            true => included.push(path),
            false => excluded.push(path),
        }
    }
    match (included.is_empty(), excluded.is_empty(), id) {
        (false, false, _) => Err(place.error(
            "1 and 0 are mixed: name what is wanted, or what is not (only _id may be 0 among 1)",
        )),
        (false, true, Some(_)) => Ok(Projection::Include(included)),
        (false, true, None) => Projection::include(included),
        (true, true, None) => Ok(Projection::All),
        (true, _, id) => Ok(Projection::Exclude(
            id.into_iter().chain(excluded).collect(),
        )),
    }
}

/// Writes a projection; `None` when it is of all.
pub(super) fn write_projection(projection: &Projection) -> Option<Json> {
    let number = |paths: &[Path], number| {
        let members = paths.iter().map(|path| (name_of(path), Json::Int(number)));
        members.collect::<Vec<_>>()
    };
    let id = Path::field(ID);
    match projection {
        Projection::All => None,
        Projection::Exclude(paths) => Some(Json::Object(number(paths, 0))),
        Projection::Include(paths) => Some(Json::Object(match paths.split_first() {
            Some((first, rest)) if *first == id && !rest.is_empty() => number(rest, 1),
            _ if paths.contains(&id) => number(paths, 1),
            _ => {
                let mut members = number(&[id], 0);
                members.extend(number(paths, 1));
                members
            }
        })),
    }
}
