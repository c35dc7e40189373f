//! The areas on the earth that a condition can ask for: those of [`velocitydb_types::geo`].

use velocitydb_types::Point;
use velocitydb_types::geo::{BoundingBox, Circle, GeoError, Polygon};

use crate::error::QueryError;

/// An area on the earth.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Area {
    /// All points within a distance of a centre.
    Circle(Circle),
    /// All points between two meridians and two parallels.
    Box(BoundingBox),
    /// All points inside a ring and outside of its holes.
    Polygon(Box<Polygon>),
}

/// Nothing in an area is NaN.
impl Eq for Area {}

impl Area {
    /// Whether a point is in the area.
    pub fn contains(&self, point: Point) -> bool {
        match self {
            Area::Circle(circle) => circle.contains(point),
            Area::Box(area) => area.contains(point),
            Area::Polygon(polygon) => polygon.contains(point),
        }
    }

    /// A box that contains the area.
    pub fn bounding_box(&self) -> BoundingBox {
        match self {
            Area::Circle(circle) => circle.bounding_box(),
            Area::Box(area) => *area,
            Area::Polygon(polygon) => polygon.bounding_box(),
        }
    }

    pub(super) fn circle(center: Point, radius_m: f64) -> Result<Area, QueryError> {
        let circle = Circle::new(center, radius_m);
        circle.map(Area::Circle).map_err(refused)
    }

    pub(super) fn rectangle(south_west: Point, north_east: Point) -> Result<Area, QueryError> {
        let area = BoundingBox::new(south_west, north_east);
        area.map(Area::Box).map_err(refused)
    }

    pub(super) fn polygon(rings: Vec<Vec<Point>>) -> Result<Area, QueryError> {
        let polygon = Polygon::new(rings);
        polygon
            .map(|polygon| Area::Polygon(Box::new(polygon)))
            .map_err(refused)
    }
}

fn refused(error: GeoError) -> QueryError {
    QueryError::Area {
        class: error.class(),
        reason: error.to_string(),
    }
}
