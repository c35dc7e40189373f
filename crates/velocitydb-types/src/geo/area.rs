//! Circles, and boxes between two meridians and two parallels. Tests: in `tests`.

use super::{EARTH_RADIUS_M, GeoError, haversine};
use crate::Point;

/// All points within a distance of a centre, the rim included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Circle {
    center: Point,
    radius_m: f64,
    cos_lat: f64,
    /// What [`haversine`] is at the rim.
    rim: f64,
}

impl Circle {
    /// The circle of a radius in metres. One of half the earth's circumference or more
    /// contains everything.
    ///
    /// # Errors
    /// A radius that is negative or not finite.
    pub fn new(center: Point, radius_m: f64) -> Result<Self, GeoError> {
        if !(radius_m >= 0.0 && radius_m.is_finite()) {
            return Err(GeoError::Radius(radius_m));
        }
        let half_angle = (radius_m / EARTH_RADIUS_M / 2.0).min(std::f64::consts::FRAC_PI_2);
        Ok(Self {
            center,
            radius_m,
            cos_lat: center.lat().to_radians().cos(),
            rim: half_angle.sin() * half_angle.sin(),
        })
    }

    /// Its middle.
    pub fn center(&self) -> Point {
        self.center
    }

    /// Its radius in metres.
    pub fn radius_m(&self) -> f64 {
        self.radius_m
    }

    /// Whether a point is within the radius: what [`distance_m`](super::distance_m) says but for
    /// rounding at the rim, for half the price.
    pub fn contains(&self, point: Point) -> bool {
        haversine(self.center, point, self.cos_lat) <= self.rim
    }

    /// A box that contains the circle. It is the smallest, but for a margin of 0.1 mm and a
    /// billionth of the radius that makes up for rounding.
    pub fn bounding_box(&self) -> BoundingBox {
        let angle = self.radius_m / EARTH_RADIUS_M;
        // So close to the antipode the haversine has no precision left.
        if angle > 3.1 {
            return BoundingBox::WORLD;
        }
        let angle = angle * (1.0 + 1e-9) + 1.6e-11;
        let (lon, lat) = (self.center.lon(), self.center.lat());
        let (south, north) = (lat - angle.to_degrees(), lat + angle.to_degrees());
        let mut area = BoundingBox {
            south: south.max(-90.0),
            north: north.min(90.0),
            ..BoundingBox::WORLD
        };
        // A circle without a pole touches two meridians; with one it crosses all of them.
        let across = angle.sin() / self.cos_lat;
        if south > -90.0 && north < 90.0 && across < 1.0 {
            let across = across.asin().to_degrees();
            area.west = wrapped(lon - across);
            area.east = wrapped(lon + across);
        }
        area
    }
}

/// A longitude brought back within ±180, when it is at most one turn away.
fn wrapped(lon: f64) -> f64 {
    if lon < -180.0 {
        lon + 360.0
    } else if lon > 180.0 {
        lon - 360.0
    } else {
        lon
    }
}

/// All points between two parallels and two meridians, the edges included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    pub(super) west: f64,
    pub(super) south: f64,
    pub(super) east: f64,
    pub(super) north: f64,
}

impl BoundingBox {
    /// Everything.
    pub const WORLD: Self = Self {
        west: -180.0,
        south: -90.0,
        east: 180.0,
        north: 90.0,
    };

    /// The box from its south-west to its north-east corner. When the first corner is east of
    /// the second, the box crosses the antimeridian: from 170 to −170 it is 20 degrees wide.
    ///
    /// # Errors
    /// A south that is north of the north.
    pub fn new(south_west: Point, north_east: Point) -> Result<Self, GeoError> {
        let (south, north) = (south_west.lat(), north_east.lat());
        if south > north {
            return Err(GeoError::UpsideDown { south, north });
        }
        Ok(Self {
            west: south_west.lon(),
            south,
            east: north_east.lon(),
            north,
        })
    }

    /// Degrees of longitude, where it begins.
    pub fn west(&self) -> f64 {
        self.west
    }

    /// Degrees of latitude, its lower edge.
    pub fn south(&self) -> f64 {
        self.south
    }

    /// Degrees of longitude, where it ends; less than [`Self::west`] when the box crosses the
    /// antimeridian.
    pub fn east(&self) -> f64 {
        self.east
    }

    /// Degrees of latitude, its upper edge.
    pub fn north(&self) -> f64 {
        self.north
    }

    /// Whether a point is inside or on an edge.
    pub fn contains(&self, point: Point) -> bool {
        let lon = point.lon();
        (self.south..=self.north).contains(&point.lat())
            && (self.contains_lon(lon) || lon.abs() == 180.0 && self.contains_lon(-lon))
    }

    fn contains_lon(&self, lon: f64) -> bool {
        if self.west <= self.east {
            self.west <= lon && lon <= self.east
        } else {
            lon >= self.west || lon <= self.east
        }
    }
}
