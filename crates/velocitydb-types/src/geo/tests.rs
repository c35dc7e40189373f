//! The laws between distances, areas and cells, and what a cover costs.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

fn at(lon: f64, lat: f64) -> Point {
    Point::new(lon, lat).unwrap()
}

/// Longitudes or latitudes up to `max`, the ends and what is next to them often.
fn degrees(max: f64) -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -max..=max,
        1 => prop::sample::select(vec![-max, max, 0.0, max.next_down(), (-max).next_up()]),
        1 => (0.0..1e-6).prop_map(move |less| max - less),
        1 => (0.0..1e-6).prop_map(move |more| more - max),
    ]
}

fn point() -> impl Strategy<Value = Point> {
    (degrees(180.0), degrees(90.0)).prop_map(|(lon, lat)| at(lon, lat))
}

/// Boxes of all sizes, some across the antimeridian.
fn bounding_box() -> impl Strategy<Value = BoundingBox> {
    let size = || (-9.0..0.3_f64).prop_map(|exponent| 10_f64.powf(exponent));
    let any = (point(), point()).prop_map(|(a, b)| {
        let (south, north) = (a.lat().min(b.lat()), a.lat().max(b.lat()));
        BoundingBox::new(at(a.lon(), south), at(b.lon(), north)).unwrap()
    });
    let small = (point(), size(), size()).prop_map(|(corner, width, height)| {
        let east = corner.lon() + width * 180.0;
        let east = if east > 180.0 { east - 360.0 } else { east };
        let north = (corner.lat() + height * 90.0).min(90.0);
        BoundingBox::new(corner, at(east.max(-180.0), north)).unwrap()
    });
    prop_oneof![any, small]
}

/// The point at parts (0 to 1) of a box's width and height.
fn point_in(area: &BoundingBox, across: f64, up: f64) -> Point {
    let turn = if area.west() > area.east() {
        360.0
    } else {
        0.0
    };
    let lon = area.west() + (area.east() + turn - area.west()) * across;
    let lon = if lon > 180.0 { lon - 360.0 } else { lon };
    at(
        lon,
        (area.south() + (area.north() - area.south()) * up).min(90.0),
    )
}

fn in_cover(ranges: &[std::ops::RangeInclusive<u64>], point: Point) -> bool {
    ranges.iter().any(|range| range.contains(&cell(point)))
}

#[test]
fn distances_that_are_known() {
    let airports = [
        (
            "New York to London",
            at(-73.7789, 40.6397),
            at(-0.4614, 51.4775),
            5_540_000.0,
        ),
        (
            "Sydney to Santiago",
            at(151.177, -33.946),
            at(-70.786, -33.393),
            11_343_000.0,
        ),
        (
            "across the antimeridian",
            at(179.5, 0.0),
            at(-179.5, 0.0),
            111_195.0,
        ),
        ("over the pole", at(0.0, 89.0), at(180.0, 89.0), 222_390.0),
        (
            "to the antipode",
            at(10.0, 20.0),
            at(-170.0, -20.0),
            DISTANCE_MAX_M,
        ),
        ("the pole to itself", at(-75.0, 90.0), at(120.0, 90.0), 0.0),
    ];
    for (name, a, b, expected) in airports {
        let distance = distance_m(a, b);
        let error = (distance - expected).abs();
        assert!(error <= expected * 1e-3 + 1e-6, "{name}: {distance}");
    }
}

#[test]
fn boxes_at_the_antimeridian_and_at_poles() {
    let fiji = BoundingBox::new(at(176.0, -20.0), at(-178.0, -15.0)).unwrap();
    assert!(fiji.contains(at(179.0, -17.0)) && fiji.contains(at(-179.0, -17.0)));
    assert!(fiji.contains(at(180.0, -17.0)) && fiji.contains(at(-180.0, -17.0)));
    assert!(!fiji.contains(at(0.0, -17.0)) && !fiji.contains(at(-177.0, -17.0)));

    let east = BoundingBox::new(at(170.0, 0.0), at(180.0, 10.0)).unwrap();
    assert!(east.contains(at(-180.0, 5.0)) && !east.contains(at(-179.9, 5.0)));
    assert!(in_cover(&cover(&east, 8), at(-180.0, 5.0)));
    let seam = BoundingBox::new(at(180.0, 0.0), at(180.0, 10.0)).unwrap();
    assert!(seam.contains(at(-180.0, 5.0)) && !seam.contains(at(170.0, 5.0)));
    assert!(in_cover(&cover(&seam, 8), at(-180.0, 5.0)));

    let pole = Circle::new(at(25.0, 89.5), 100_000.0)
        .unwrap()
        .bounding_box();
    assert_eq!(
        (pole.west(), pole.east(), pole.north()),
        (-180.0, 180.0, 90.0)
    );
    assert!(pole.contains(at(-155.0, 89.8)) && !pole.contains(at(25.0, 88.0)));

    // Next to the pole it is wider than the circle's radius in degrees, but does not go round.
    let wide = Circle::new(at(0.0, 80.0), 800_000.0)
        .unwrap()
        .bounding_box();
    assert!(
        (wide.east() - 46.1).abs() < 0.1 && (wide.west() + 46.1).abs() < 0.1,
        "{wide:?}"
    );

    let error = BoundingBox::new(at(0.0, 10.0), at(1.0, 5.0)).unwrap_err();
    assert_eq!(
        error,
        GeoError::UpsideDown {
            south: 10.0,
            north: 5.0
        }
    );
    for radius in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(Circle::new(at(0.0, 0.0), radius).is_err());
    }
    let everything = Circle::new(at(10.0, 20.0), DISTANCE_MAX_M).unwrap();
    assert!(everything.contains(at(-170.0, -20.0)));
}

/// The order is in files that may come, so it stays.
#[test]
fn cells_of_known_points() {
    for (point, expected) in [
        (at(-180.0, -90.0), 0),
        (at(180.0, -90.0), 0),
        (at(-180.0, 90.0), 0x5555_5555_5555_5555),
        (at(180.0_f64.next_down(), -90.0), u64::MAX),
        (at(0.0, 0.0), 0x8000_0000_0000_0000),
    ] {
        assert_eq!(cell(point), expected, "{point}: {:#x}", cell(point));
    }
}

/// Neighbours along the curve are neighbours on the plane: what makes it Hilbert's.
#[test]
fn the_curve_never_jumps() {
    for first in [
        0,
        0x0123_4567_89ab_cdef,
        u64::MAX / 2 - 500,
        u64::MAX - 1000,
    ] {
        for code in first..first + 1000 {
            let (a, b) = (point_of_cell(code), point_of_cell(code + 1));
            let columns = (a.lon() - b.lon()).abs() * (4_294_967_296.0 / 360.0);
            let rows = (a.lat() - b.lat()).abs() * (4_294_967_296.0 / 180.0);
            assert!(
                (columns + rows - 1.0).abs() < 1e-3,
                "{code}: {columns} {rows}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_cell_is_its_points_place(point in point()) {
        let code = cell(point);
        prop_assert!(distance_m(point, point_of_cell(code)) <= CELL_ERROR_M);
        prop_assert_eq!(cell(point_of_cell(code)), code);
    }

    #[test]
    fn a_cover_has_the_cell_of_every_point_of_its_box(
        area in bounding_box(),
        places in prop::collection::vec((0.0..=1.0, 0.0..=1.0), 20),
        others in prop::collection::vec(point(), 5),
        ranges_max in 0_usize..40,
    ) {
        let ranges = cover(&area, ranges_max);
        prop_assert!(!ranges.is_empty() && ranges.len() <= ranges_max.max(1));
        prop_assert!(ranges.iter().all(|range| range.start() <= range.end()));
        // Apart: at least one cell between two.
        prop_assert!(ranges.windows(2).all(|pair| pair[1].start() - pair[0].end() > 1));
        let corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)];
        let places = corners.into_iter().chain(places);
        let places = places.map(|(across, up)| point_in(&area, across, up));
        for point in places.chain(others).filter(|point| area.contains(*point)) {
            prop_assert!(in_cover(&ranges, point), "{point}");
        }
    }

    #[test]
    fn a_circle_contains_what_is_near_and_its_box_contains_the_circle(
        center in point(),
        exponent in -2.0..7.4_f64,
        direction in prop_oneof![0.0..TAU, prop::sample::select(vec![0.0, TAU / 2.0])],
        part in prop_oneof![0.0..1.0_f64, 0.99999..1.0001_f64, Just(1.0)],
        other in point(),
    ) {
        let circle = Circle::new(center, 10_f64.powf(exponent)).unwrap();
        let near = destination(center, direction, circle.radius_m() * part);
        for point in [center, near, other] {
            let distance = distance_m(center, point);
            let margin = 1e-9 * circle.radius_m() + 1e-6;
            if distance < circle.radius_m() - margin {
                prop_assert!(circle.contains(point), "{point} at {distance}");
            } else if distance > circle.radius_m() + margin && distance < 1.9e7 {
                prop_assert!(!circle.contains(point), "{point} at {distance}");
            }
            if circle.contains(point) || distance <= circle.radius_m() {
                prop_assert!(circle.bounding_box().contains(point), "{point} at {distance}");
            }
        }
    }

    #[test]
    fn the_nearest_by_cells_are_the_nearest(
        points in prop::collection::vec(point(), 1..200),
        center in point(),
        k in 1_usize..12,
    ) {
        let mut all = Nearest::new(k);
        let mut index: Vec<(u64, usize)> = Vec::new();
        for (id, point) in points.iter().enumerate() {
            all.offer(distance_m(center, *point), id);
            index.push((cell(*point), id));
        }
        index.sort_unstable();

        // The two steps that `Nearest` tells of.
        let here = index.partition_point(|(code, _)| *code < cell(center));
        let mut bound = Nearest::new(k);
        for (_, id) in &index[here.saturating_sub(k)..(here + k).min(index.len())] {
            bound.offer(distance_m(center, points[*id]), *id);
        }
        let mut nearest = Nearest::new(k);
        match bound.radius_m() {
            None => nearest = bound,
            Some(radius) => {
                let circle = Circle::new(center, radius).unwrap();
                for range in cover(&circle.bounding_box(), 16) {
                    for (_, id) in index.iter().filter(|(code, _)| range.contains(code)) {
                        nearest.offer(distance_m(center, points[*id]), *id);
                    }
                }
            }
        }
        prop_assert_eq!(nearest.into_sorted(), all.into_sorted());
    }
}

/// Where one arrives from a point in a direction (0 is north) after a distance.
fn destination(from: Point, direction: f64, distance: f64) -> Point {
    let angle = distance / EARTH_RADIUS_M;
    let (lat, lon) = (from.lat().to_radians(), from.lon().to_radians());
    let sin = lat.sin() * angle.cos() + lat.cos() * angle.sin() * direction.cos();
    let to = sin.clamp(-1.0, 1.0).asin();
    let turn = (direction.sin() * angle.sin() * lat.cos()).atan2(angle.cos() - lat.sin() * sin);
    let lon = (lon + turn).to_degrees();
    let lon = (lon + 540.0).rem_euclid(360.0) - 180.0;
    at(lon.clamp(-180.0, 180.0), to.to_degrees().clamp(-90.0, 90.0))
}

/// How many times the area of the box its cover has, on average over circles of 1 to 100 km
/// anywhere between the polar circles.
fn waste(ranges_max: usize) -> f64 {
    let mut waste = 0.0;
    let circles = 500;
    for i in 0..circles {
        let part = |prime: f64| (f64::from(i) * prime).fract();
        let center = at(
            part(0.618_034) * 360.0 - 180.0,
            part(0.754_878) * 132.0 - 66.0,
        );
        let radius = 10_f64.powf(3.0 + 2.0 * part(0.569_840));
        let area = Circle::new(center, radius).unwrap().bounding_box();
        let cells = |range: &std::ops::RangeInclusive<u64>| (range.end() - range.start()) as f64;
        let covered: f64 = cover(&area, ranges_max).iter().map(cells).sum();
        let width = (area.east() - area.west()).rem_euclid(360.0);
        let wanted = width / 360.0 * ((area.north() - area.south()) / 180.0) * 2_f64.powi(64);
        waste += covered / wanted / f64::from(circles);
    }
    waste
}

#[test]
fn few_ranges_waste_little() {
    for (ranges_max, bound) in [(4, 2.2), (8, 1.6), (16, 1.35), (32, 1.2)] {
        let waste = waste(ranges_max);
        println!("{ranges_max} ranges read {waste:.2} times the box");
        assert!(
            waste < bound,
            "{ranges_max} ranges read {waste:.2} times the box"
        );
    }
}
