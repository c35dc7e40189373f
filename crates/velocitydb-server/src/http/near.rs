//! `…/near`: the documents nearest to a place, with their distances. Tests: tests/it/search.rs.

use velocitydb::query::{Find, Json, Near};
use velocitydb::{CollectionView, IndexKind, Path, Point};

use super::describe::{Query, Route, get, post};
use super::problem::Problem;
use super::query::invalid;
use super::ranked::{self, Hit, Question};

const NEAR: &str = "/v1/collections/{name}/near";

pub(super) fn routes() -> Vec<Route> {
    let about = |route: Route, id| {
        let route = route
            .about("Queries", id, "The documents nearest to a place")
            .detail(
                "The nearest first. A page at a time, or with `Accept: application/x-ndjson` the \
                 same as lines. By a geo index over the path where there is one; without, all \
                 documents are looked at. See docs/operating/search.md.",
            );
        ranked::described(route, "NearFound").problems(&["invalid_point", "unknown_index"])
    };
    let by_parameters = ranked::parameters(get(NEAR, ranked::by_parameters::<Asked>))
        .needs(
            "point",
            "The place: longitude and latitude in degrees, with a comma between",
            Query::Text,
        )
        .query(
            "path",
            "Where the points are; not needed where there is one geo index",
            Query::Text,
        )
        .query("within_m", "Not farther than so many metres", Query::Real);
    vec![
        about(by_parameters, "near"),
        about(post(NEAR, ranked::by_body::<Asked>), "nearByBody").takes_json("Near"),
    ]
}

/// What is asked of places.
struct Asked {
    point: Point,
    path: Option<Path>,
    within_m: Option<f64>,
}

impl Question for Asked {
    const MEMBERS: &'static [&'static str] = &["point", "path", "within_m"];
    const EXAMPLE: &'static str = r#"{"path": "position", "point": [-73.97, 40.77]}"#;

    fn parameter(name: &str, text: String) -> Result<Json, Problem> {
        match name {
            "point" => {
                let degrees = text.split(',').map(|text| number(name, text.trim()));
                degrees.collect::<Result<_, _>>().map(Json::Array)
            }
            "within_m" => number(name, &text),
            _ => Ok(Json::String(text)),
        }
    }

    fn take(question: &mut Json) -> Result<Asked, Problem> {
        let point = read_point(question.take("point"))?;
        let path = match question.take("path") {
            None | Some(Json::Null) => None,
            Some(Json::String(path)) => Some(
                path.parse()
                    .map_err(|error| invalid(format!("path: {path:?} is no path: {error}")))?,
            ),
            Some(_) => return Err(invalid("path: expected a string")),
        };
        let within_m = match question.take("within_m") {
            None | Some(Json::Null) => None,
            Some(asked) => match real(&asked) {
                Some(metres) if metres >= 0.0 => Some(metres),
                _ => return Err(invalid("within_m: a number of metres, 0 or more")),
            },
        };
        Ok(Asked {
            point,
            path,
            within_m,
        })
    }

    fn hits(self, view: &CollectionView, find: &Find, limit: usize) -> Result<Vec<Hit>, Problem> {
        let path = self.path.map_or_else(|| only_path(view), Ok)?;
        let count = find.offset.saturating_add(limit);
        let near = Near::new(path, self.point, count).filter(find.filter.clone());
        let mut near = near.limits(find.limits);
        if let Some(metres) = self.within_m {
            near = near.within_m(metres);
        }
        let found = view.near(&near)?.into_iter().skip(find.offset);
        let hit = |(distance_m, document)| Hit {
            document,
            about: format!("\"distance_m\":{},", Json::Float(distance_m)),
        };
        Ok(found.map(hit).collect())
    }
}

/// A number in a parameter.
fn number(name: &str, text: &str) -> Result<Json, Problem> {
    match Json::parse(text) {
        Ok(number @ (Json::Int(_) | Json::Float(_))) => Ok(number),
        _ => Err(invalid(format!("{name}: {text:?} is no number"))),
    }
}

fn real(json: &Json) -> Option<f64> {
    match json {
        Json::Int(int) => Some(*int as f64),
        Json::Float(float) => Some(*float),
        _ => None,
    }
}

fn read_point(json: Option<Json>) -> Result<Point, Problem> {
    let expected = || invalid("expected a place, longitude first: {\"point\": [-73.97, 40.77]}");
    let Some(Json::Array(pair)) = json else {
        return Err(expected());
    };
    let [lon, lat] = &pair[..] else {
        return Err(expected());
    };
    let (Some(lon), Some(lat)) = (real(lon), real(lat)) else {
        return Err(expected());
    };
    Point::new(lon, lat).map_err(|error| Problem::new("invalid_point", format!("point: {error}")))
}

/// The path of the only geo index.
fn only_path(view: &CollectionView) -> Result<Path, Problem> {
    let all = view.indexes().into_iter();
    let mut paths: Vec<Path> = all
        .filter(|(index, _)| index.kind == IndexKind::Geo)
        .filter_map(|(index, _)| Some(index.fields.first()?.path.clone()))
        .collect();
    paths.dedup();
    match &paths[..] {
        [_] => Ok(paths.remove(0)),
        [] => {
            let what = "the collection has no geo index that says where the points are: expected \
                        a path";
            Err(Problem::new("unknown_index", what))
        }
        _ => {
            let names: Vec<_> = paths.iter().map(Path::to_string).collect();
            let what = format!(
                "path: expected one; there are indexes of {}",
                names.join(", ")
            );
            Err(invalid(what))
        }
    }
}
