//! Polygons, as GeoJSON means them. Tests: below, and in `tests`.

use super::{BoundingBox, GeoError};
use crate::Point;

/// Corners of a polygon with its holes.
pub const POLYGON_CORNERS_MAX: usize = 10_000;

/// An area inside an outer ring and outside of holes.
///
/// As RFC 7946 says, an edge is a straight line in longitude and latitude, not the shortest way
/// on the earth, and it does not cross the antimeridian: from 179 to −179 it goes round through
/// 0. An area across the antimeridian is two polygons, one on each side. Edges belong to the
/// area, those of holes too. The direction of rings says nothing; where a ring crosses itself,
/// what it encloses twice is outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    /// The outer ring, then the holes; each without its first corner repeated at the end.
    rings: Vec<Vec<Point>>,
    bounds: BoundingBox,
}

impl Polygon {
    /// A polygon from its outer ring and its holes. A ring that does not end where it begins is
    /// closed.
    ///
    /// # Errors
    /// No ring; a ring with fewer than three different corners; more than
    /// [`POLYGON_CORNERS_MAX`] corners in all.
    pub fn new(mut rings: Vec<Vec<Point>>) -> Result<Self, GeoError> {
        let corners = rings.iter().map(Vec::len).sum();
        if corners > POLYGON_CORNERS_MAX {
            return Err(GeoError::ManyCorners(corners));
        }
        for (index, ring) in rings.iter_mut().enumerate() {
            if ring.len() > 1 && ring.first() == ring.last() {
                ring.pop();
            }
            let mut different = ring.clone();
            different.sort_unstable();
            different.dedup();
            if different.len() < 3 {
                return Err(GeoError::FewCorners { ring: index });
            }
        }
        let bounds = bounds(rings.first().ok_or(GeoError::NoRing)?);
        Ok(Self { rings, bounds })
    }

    /// The rings, the outer one first, each without its first corner repeated at the end.
    pub fn rings(&self) -> &[Vec<Point>] {
        &self.rings
    }

    /// The smallest box around the outer ring.
    pub fn bounding_box(&self) -> BoundingBox {
        self.bounds
    }

    /// Whether a point is inside or on an edge, in time linear in the corners (unless it is
    /// outside of the bounding box).
    pub fn contains(&self, point: Point) -> bool {
        let (lon, lat) = (point.lon(), point.lat());
        self.bounds.contains(point)
            && (self.encloses(lon, lat) || lon.abs() == 180.0 && self.encloses(-lon, lat))
    }

    fn encloses(&self, lon: f64, lat: f64) -> bool {
        // A ray to the east crosses the edges of the outer ring an odd number of times when it
        // begins inside of it; inside a hole it crosses the hole's once more.
        let mut inside = false;
        for ring in &self.rings {
            let mut from = ring[ring.len() - 1];
            for &to in ring {
                match ray(lon, lat, from, to) {
                    Ray::OnEdge => return true,
                    Ray::Crosses => inside = !inside,
                    Ray::Misses => {}
                }
                from = to;
            }
        }
        inside
    }
}

enum Ray {
    OnEdge,
    Crosses,
    Misses,
}

/// What the ray from a place to the east does with an edge.
fn ray(lon: f64, lat: f64, from: Point, to: Point) -> Ray {
    let (low, high) = if from.lat() <= to.lat() {
        (from, to)
    } else {
        (to, from)
    };
    if lat < low.lat() || lat > high.lat() {
        return Ray::Misses;
    }
    // Positive when the place is left of the edge, looking from low to high.
    let side =
        (high.lon() - low.lon()) * (lat - low.lat()) - (high.lat() - low.lat()) * (lon - low.lon());
    let between = |a: f64, b: f64| a.min(b) <= lon && lon <= a.max(b);
    if side == 0.0 && between(low.lon(), high.lon()) {
        Ray::OnEdge
    // Each edge has its lower end but not its upper one, so that a ray through a corner counts it
    // once; a level edge has neither.
    } else if side > 0.0 && lat < high.lat() {
        Ray::Crosses
    } else {
        Ray::Misses
    }
}

fn bounds(ring: &[Point]) -> BoundingBox {
    let lons = || ring.iter().map(|corner| corner.lon());
    let lats = || ring.iter().map(|corner| corner.lat());
    BoundingBox {
        west: lons().fold(180.0, f64::min),
        south: lats().fold(90.0, f64::min),
        east: lons().fold(-180.0, f64::max),
        north: lats().fold(-90.0, f64::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(corners: &[(f64, f64)]) -> Vec<Point> {
        let point = |&(lon, lat): &(f64, f64)| Point::new(lon, lat).unwrap();
        corners.iter().map(point).collect()
    }

    const SQUARE: [(f64, f64); 5] = [
        (0.0, 0.0),
        (10.0, 0.0),
        (10.0, 10.0),
        (0.0, 10.0),
        (0.0, 0.0),
    ];
    const HOLE: [(f64, f64); 4] = [(4.0, 4.0), (6.0, 4.0), (6.0, 6.0), (4.0, 6.0)];

    fn contains(polygon: &Polygon, lon: f64, lat: f64) -> bool {
        polygon.contains(Point::new(lon, lat).unwrap())
    }

    #[test]
    fn a_hole_is_outside_and_edges_are_inside() {
        let polygon = Polygon::new(vec![ring(&SQUARE), ring(&HOLE)]).unwrap();
        for (lon, lat) in [
            (1.0, 1.0),
            (0.0, 0.0),
            (10.0, 5.0),
            (5.0, 10.0),
            (4.0, 5.0),
            (5.0, 3.0),
            // Level with corners of square and hole.
            (2.0, 4.0),
            (2.0, 6.0),
        ] {
            assert!(contains(&polygon, lon, lat), "{lon} {lat}");
        }
        for (lon, lat) in [
            (5.0, 5.0),
            (-1.0, 0.0),
            (11.0, 10.0),
            (-1.0, 4.0),
            (5.0, 10.1),
        ] {
            assert!(!contains(&polygon, lon, lat), "{lon} {lat}");
        }
        let bounds = polygon.bounding_box();
        assert_eq!((bounds.west(), bounds.south()), (0.0, 0.0));
        assert_eq!((bounds.east(), bounds.north()), (10.0, 10.0));
    }

    #[test]
    fn a_ray_through_corners_counts_each_once() {
        // A diamond and a W: rays at the height of their corners.
        let diamond = Polygon::new(vec![ring(&[
            (0.0, -1.0),
            (1.0, 0.0),
            (0.0, 1.0),
            (-1.0, 0.0),
        ])]);
        let diamond = diamond.unwrap();
        assert!(contains(&diamond, 0.0, 0.0) && contains(&diamond, 1.0, 0.0));
        assert!(!contains(&diamond, -2.0, 0.0) && !contains(&diamond, -0.5, 1.0));
        let w = [(0.0, 2.0), (1.0, 0.0), (2.0, 1.0), (3.0, 0.0), (4.0, 2.0)];
        let w = Polygon::new(vec![ring(&w)]).unwrap();
        assert!(contains(&w, 1.0, 1.0) && contains(&w, 2.0, 1.5));
        assert!(!contains(&w, 0.0, 1.0) && !contains(&w, 2.0, 0.5) && !contains(&w, 0.0, 0.0));
    }

    #[test]
    fn the_antimeridian_is_an_edge_and_has_two_names() {
        let east = ring(&[(170.0, 0.0), (180.0, 0.0), (180.0, 10.0), (170.0, 10.0)]);
        let east = Polygon::new(vec![east]).unwrap();
        assert!(contains(&east, 180.0, 5.0) && contains(&east, -180.0, 5.0));
        assert!(!contains(&east, -179.0, 5.0));
    }

    #[test]
    fn what_is_no_polygon_is_refused() {
        let line = ring(&[(0.0, 0.0), (1.0, 1.0), (0.0, 0.0)]);
        let many = (0..=POLYGON_CORNERS_MAX).map(|i| Point::new(i as f64 / 1e3, 0.0).unwrap());
        for (rings, error) in [
            (vec![], GeoError::NoRing),
            (vec![vec![]], GeoError::FewCorners { ring: 0 }),
            (vec![ring(&SQUARE), line], GeoError::FewCorners { ring: 1 }),
            (
                vec![many.collect()],
                GeoError::ManyCorners(POLYGON_CORNERS_MAX + 1),
            ),
        ] {
            assert_eq!(Polygon::new(rings), Err(error));
        }
    }
}
