//! Places on the earth: distances, areas, and an order of points that keeps neighbours together.
//!
//! The earth is a sphere of its mean radius ([`EARTH_RADIUS_M`]), which is within 0.6 % of
//! distances on the ellipsoid. A [`Circle`], a [`BoundingBox`] and a [`Polygon`] say which points
//! they contain. [`cell`] maps a point to 64 bits along a Hilbert curve, so that an ordered index
//! of cells answers for an area with a few ranges: [`cover`]. [`Nearest`] keeps the k nearest of
//! the candidates it is offered; its docs say how a search reads them from such an index.
//!
//! The longitudes 180 and −180 are one meridian everywhere. The poles are one point for
//! distances and circles; boxes and polygons take a point at a pole by its longitude, as any other.
//!
//! Invariant: an area contains no point that is outside its bounding box, and a cover leaves out
//! no point of its box. So an index proposes candidates, and `contains` decides.
//!
//! Tests: beside each part; `tests` holds the laws between them.

mod area;
mod cells;
mod nearest;
mod polygon;
#[cfg(test)]
mod tests;

pub use area::{BoundingBox, Circle};
pub use cells::{CELL_ERROR_M, cell, cover, point_of_cell};
pub use nearest::Nearest;
pub use polygon::{POLYGON_CORNERS_MAX, Polygon};

use crate::Point;
use crate::error::ErrorClass;

/// The earth's mean radius in metres (IUGG).
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// The distance of a point's antipode in metres: nothing is farther.
pub const DISTANCE_MAX_M: f64 = std::f64::consts::PI * EARTH_RADIUS_M;

/// Why there is no such area.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GeoError {
    /// The south of a box is north of its north.
    #[error("a box goes from its south-west to its north-east: south is {south}, north is {north}")]
    UpsideDown {
        /// Latitude of the corner given first.
        south: f64,
        /// Latitude of the corner given second.
        north: f64,
    },
    /// A radius is negative or not finite.
    #[error("a radius is in metres, 0 or more: {0}")]
    Radius(f64),
    /// A polygon has no ring at all.
    #[error("a polygon has at least its outer ring")]
    NoRing,
    /// A ring has fewer than three different corners.
    #[error("ring {ring} has fewer than 3 different corners (ring 0 is the outer one)")]
    FewCorners {
        /// Which ring, the outer one being 0.
        ring: usize,
    },
    /// A polygon has too many corners.
    #[error("a polygon has at most {POLYGON_CORNERS_MAX} corners, this one {0}")]
    ManyCorners(usize),
}

impl GeoError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// The great-circle distance of two points in metres.
pub fn distance_m(a: Point, b: Point) -> f64 {
    let h = haversine(a, b, a.lat().to_radians().cos());
    2.0 * EARTH_RADIUS_M * h.sqrt().asin()
}

/// The squared sine of half the angle between two points, 0 to 1; `cos_lat_a` is the cosine of
/// `a`'s latitude.
fn haversine(a: Point, b: Point, cos_lat_a: f64) -> f64 {
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin();
    let lat = half(a.lat(), b.lat());
    let lon = half(a.lon(), b.lon());
    // Rounding alone goes beyond 1.
    (lat * lat + cos_lat_a * b.lat().to_radians().cos() * lon * lon).min(1.0)
}
