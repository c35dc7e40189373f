//! Areas on the earth in JSON: `{"$withinRadius":{"center":[22.15,65.58],"radius":5000}}`,
//! `{"$withinBox":[[20,65],[23,66]]}`, `{"$withinPolygon":[[0,0],[9,0],[9,9]]}` (or a list of
//! rings, the outer one first). Points are `[longitude,latitude]`, radii in metres.

use velocitydb_types::{Path, Point};

use super::{Json, Place, values};
use crate::error::QueryError;
use crate::filter::{Area, Filter};

pub(super) fn read(
    path: &Path,
    operator: &str,
    json: &Json,
    place: &Place<'_>,
) -> Result<Filter, QueryError> {
    match operator {
        "$withinRadius" => {
            let (mut center, mut radius) = (None, None);
            for (name, json) in place.object(json)? {
                let here = place.name(name);
                match name.as_str() {
                    "center" => center = Some(point(json, &here)?),
                    "radius" => {
                        radius = Some(match json {
                            Json::Int(int) => *int as f64,
                            Json::Float(float) => *float,
                            other => return Err(here.expected("a number of metres", other)),
                        });
                    }
                    unknown => return Err(place.unknown("member", unknown, ["center", "radius"])),
                }
            }
            let center = center.ok_or_else(|| place.error("center is missing"))?;
            let radius = radius.ok_or_else(|| place.error("radius is missing"))?;
            Ok(Filter::within_radius(path, center, radius))
        }
        "$withinBox" => match place.array(json)? {
            [south_west, north_east] => Ok(Filter::within_box(
                path,
                point(south_west, &place.index(0))?,
                point(north_east, &place.index(1))?,
            )),
            _ => Err(place.error("expected [south-west corner, north-east corner]")),
        },
        _ => {
            let rings = place.array(json)?;
            let one = rings
                .first()
                .is_none_or(|first| values::point(first).is_some());
            let rings = match one {
                true => vec![ring(json, place)?],
                false => {
                    let rings = rings.iter().enumerate();
                    let read = rings.map(|(at, json)| ring(json, &place.index(at)));
                    read.collect::<Result<_, _>>()?
                }
            };
            Ok(Filter::within_polygon(path, rings))
        }
    }
}

fn ring(json: &Json, place: &Place<'_>) -> Result<Vec<Point>, QueryError> {
    let corners = place.array(json)?.iter().enumerate();
    corners
        .map(|(at, json)| point(json, &place.index(at)))
        .collect()
}

fn point(json: &Json, place: &Place<'_>) -> Result<Point, QueryError> {
    values::point(json)
        .ok_or_else(|| place.error(format!("expected [longitude, latitude], found {json}")))
}

/// Writes an area: the operator, and what it is given.
pub(super) fn write(area: &Area) -> (&'static str, Json) {
    let pair = |lon, lat| Json::Array(vec![Json::Float(lon), Json::Float(lat)]);
    let point = |point: &Point| pair(point.lon(), point.lat());
    match area {
        Area::Circle(circle) => {
            let members = vec![
                ("center".to_owned(), point(&circle.center())),
                ("radius".to_owned(), Json::Float(circle.radius_m())),
            ];
            ("$withinRadius", Json::Object(members))
        }
        Area::Box(area) => {
            let corners = vec![
                pair(area.west(), area.south()),
                pair(area.east(), area.north()),
            ];
            ("$withinBox", Json::Array(corners))
        }
        Area::Polygon(polygon) => {
            let ring = |ring: &Vec<Point>| Json::Array(ring.iter().map(point).collect());
            let rings = polygon.rings().iter().map(ring);
            ("$withinPolygon", Json::Array(rings.collect()))
        }
    }
}
