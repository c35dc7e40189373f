//! A place on the earth: longitude and latitude, checked at construction.
//!
//! Invariants: both finite and in range, and neither is −0, so that equal points have equal
//! bytes. Distances and areas: [`geo`](crate::geo). Tests: below.

use std::cmp::Ordering;
use std::fmt;

use crate::error::ErrorClass;

/// A geographic point in degrees (WGS 84), ordered by longitude, then latitude.
#[derive(Clone, Copy, PartialEq)]
pub struct Point {
    lon: f64,
    lat: f64,
}

/// A longitude or latitude that is not on the earth.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("no such point: longitude {lon} (within ±180), latitude {lat} (within ±90)")]
pub struct PointError {
    /// The longitude asked for.
    pub lon: f64,
    /// The latitude asked for.
    pub lat: f64,
}

impl PointError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Point {
    /// The point at a longitude and a latitude, in degrees.
    ///
    /// # Errors
    /// Unless both are finite, the longitude within ±180 and the latitude within ±90.
    pub fn new(lon: f64, lat: f64) -> Result<Self, PointError> {
        // NaN is within no range.
        if !(lon.abs() <= 180.0 && lat.abs() <= 90.0) {
            return Err(PointError { lon, lat });
        }
        // Adding zero turns −0 into 0 and changes nothing else.
        Ok(Self {
            lon: lon + 0.0,
            lat: lat + 0.0,
        })
    }

    /// Degrees east, −180 to 180.
    pub fn lon(self) -> f64 {
        self.lon
    }

    /// Degrees north, −90 to 90.
    pub fn lat(self) -> f64 {
        self.lat
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.lon.to_le_bytes());
        bytes[8..].copy_from_slice(&self.lat.to_le_bytes());
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote and accepts nothing else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (lon, lat) = bytes.split_first_chunk::<8>()?;
        let lat = <[u8; 8]>::try_from(lat).ok()?;
        let point = Self::new(f64::from_le_bytes(*lon), f64::from_le_bytes(lat)).ok()?;
        (point.to_bytes() == bytes).then_some(point)
    }
}

impl Eq for Point {}

impl Ord for Point {
    fn cmp(&self, other: &Self) -> Ordering {
        // No NaN and no −0, so the total order of bits is the order of numbers.
        self.lon
            .total_cmp(&other.lon)
            .then(self.lat.total_cmp(&other.lat))
    }
}

impl PartialOrd for Point {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for Point {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(&self.to_bytes());
    }
}

impl fmt::Debug for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Point({}, {})", self.lon, self.lat)
    }
}

impl fmt::Display for Point {
    /// PostgreSQL's form, `(lon,lat)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.lon, self.lat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_points_on_the_earth() {
        for (lon, lat) in [(180.0, 90.0), (-180.0, -90.0), (-0.0, 0.0), (22.15, 65.58)] {
            let point = Point::new(lon, lat).unwrap();
            assert_eq!(Point::from_bytes(&point.to_bytes()), Some(point));
        }
        for (lon, lat) in [
            (180.1, 0.0),
            (0.0, -90.1),
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
        ] {
            assert!(Point::new(lon, lat).is_err(), "{lon} {lat}");
        }
        assert_eq!(Point::new(-0.0, -0.0).unwrap().to_bytes(), [0; 16]);
        assert!(Point::new(-1.0, 5.0).unwrap() < Point::new(0.0, -5.0).unwrap());
    }

    #[test]
    fn bytes_of_no_point_are_refused() {
        let mut negative_zero = [0; 16];
        negative_zero[7] = 0x80;
        for bytes in [&[0; 15][..], &[0; 17], &[255; 16], &negative_zero] {
            assert_eq!(Point::from_bytes(bytes), None);
        }
    }
}
