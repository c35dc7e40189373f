//! Places: within areas and nearest, with a geo index and without.

use std::sync::atomic::Ordering;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::query::{Filter, Find, Hint, Limits, Near};
use velocitydb::types::geo::distance_m;
use velocitydb::{Collection, Database, Definition, Error, IndexDefinition, Options, Path, Point};

use crate::support::asking;

fn collection() -> Collection {
    let db = Database::open(Options::in_memory()).unwrap();
    db.create_collection(Definition::new("places"))
        .unwrap()
        .value
}

fn at() -> Path {
    Path::field("at")
}

fn point(lon: f64, lat: f64) -> Point {
    Point::new(lon, lat).unwrap()
}

fn somewhere(random: &mut StdRng) -> Point {
    // Often near the places where the map ends.
    let lon = match random.random_range(0..4) {
        0 => random.random_range(-180.0..180.0),
        1 => random.random_range(179.0..180.0),
        2 => random.random_range(-180.0..-179.0),
        _ => random.random_range(-5.0..5.0),
    };
    let lat = match random.random_range(0..4) {
        0 => random.random_range(-90.0..90.0),
        1 => random.random_range(88.0..90.0),
        _ => random.random_range(-5.0..5.0),
    };
    point(lon, lat)
}

#[test]
fn an_index_finds_the_places_that_a_scan_finds() {
    for seed in 0..8 {
        let random = &mut StdRng::seed_from_u64(seed);
        let places = collection();
        let put = |random: &mut StdRng| {
            let id = random.random_range(0..400_i64);
            match random.random_range(0..10) {
                0 => drop(places.delete(id)),
                1 => drop(places.upsert(id, [("at", "nowhere".into())])),
                _ => drop(places.upsert(
                    id,
                    [("at", somewhere(random).into()), ("n", (id % 3).into())],
                )),
            }
        };
        (0..200).for_each(|_| put(random));
        places
            .create_index(IndexDefinition::geo("by_place", at()))
            .unwrap();
        let before = places.view().unwrap();
        (0..300).for_each(|_| put(random));
        for view in [before, places.view().unwrap()] {
            for _ in 0..40 {
                let (a, b) = (somewhere(random), somewhere(random));
                let (south, north) = (a.lat().min(b.lat()), a.lat().max(b.lat()));
                let radius = 10.0_f64.powf(random.random_range(2.0..7.3));
                let filter = match random.random_range(0..2) {
                    0 => Filter::within_radius("at", a, radius),
                    _ => Filter::within_box("at", point(a.lon(), south), point(b.lon(), north)),
                };
                let find = Find::new(filter.and(Filter::lt("n", 2)))
                    .sort([("_id", velocitydb::Direction::Ascending)]);
                let found = |find: Find| {
                    let found = view.find(&find).unwrap();
                    found
                        .iter()
                        .map(|document| document.id())
                        .collect::<Vec<_>>()
                };
                let expected = found(find.clone().hint(Hint::Scan));
                assert_eq!(found(find.clone()), expected, "seed {seed} {find:?}");
                assert_eq!(
                    found(find.clone().hint(Hint::Index("by_place".into()))),
                    expected,
                    "seed {seed} {find:?}"
                );

                let count = random.random_range(1..30);
                let near = Near::new(at(), a, count)
                    .within_m(radius * 10.0)
                    .filter(Filter::lt("n", 2));
                let near_found = view.near(&near).unwrap();
                let mut all = Vec::new();
                view.scan(|document| {
                    let there = document.get("at").and_then(|value| value.as_point());
                    let n = document.get("n").and_then(|n| n.as_int());
                    if let (Some(there), Some(0 | 1)) = (there, n) {
                        all.push((distance_m(there, a), document.id().clone()));
                    }
                    true
                })
                .unwrap();
                all.retain(|(distance, _)| *distance <= radius * 10.0);
                all.sort_by(|(d, id), (e, other)| d.total_cmp(e).then_with(|| id.cmp(other)));
                all.truncate(count);
                let near_found: Vec<_> = near_found
                    .iter()
                    .map(|(d, found)| (*d, found.id().clone()))
                    .collect();
                assert_eq!(near_found, all, "seed {seed} {near:?}");
            }
        }
    }
}

#[test]
fn a_distance_below_nothing_is_refused_with_an_index_and_without() {
    let places = collection();
    places.upsert(1, [("at", point(0.0, 0.0).into())]).unwrap();
    let near = |distance_max_m| {
        let near = Near::new(at(), point(0.0, 0.0), 3).within_m(distance_max_m);
        places.near(&near).map(|found| found.len())
    };
    for indexed in [false, true] {
        if indexed {
            places
                .create_index(IndexDefinition::geo("at", at()))
                .unwrap();
        }
        assert_eq!(near(0.0).unwrap(), 1);
        assert_eq!(near(f64::INFINITY).unwrap(), 1);
        for wrong in [-1.0, -5.0, f64::NAN] {
            let error = near(wrong).unwrap_err().to_string();
            assert!(error.contains("0 or more"), "{error}");
        }
    }
}

#[test]
fn places_that_are_passed_by_are_asked_about_too() {
    let random = &mut StdRng::seed_from_u64(1);
    let places = collection();
    places
        .create_index(IndexDefinition::geo("at", at()))
        .unwrap();
    for id in 0..5000_i64 {
        let mut near = || random.random_range(-1.0..1.0);
        let at = point(near(), near());
        places.upsert(id, [("at", at.into())]).unwrap();
    }
    let near = Near::new(at(), point(0.01, 0.01), 300);
    let (view, asked) = asking(&places, None);
    assert_eq!(view.near(&near).unwrap().len(), 300);
    // 300 on each side along the curve, and then all that a box around the circle covers.
    assert!(asked.load(Ordering::Relaxed) > 1 + 1500 / 256);
}

#[test]
fn as_many_places_as_there_are_and_no_more_than_may_be_kept() {
    let places = collection();
    for id in 0..100_i64 {
        let at = point(id as f64, 0.0);
        places.upsert(id, [("at", at.into())]).unwrap();
    }
    for indexed in [false, true] {
        if indexed {
            places
                .create_index(IndexDefinition::geo("at", at()))
                .unwrap();
        }
        let near = Near::new(at(), point(0.0, 0.0), 10_000_000);
        assert_eq!(places.near(&near).unwrap().len(), 100);
        let few = Limits {
            rows_max: 99,
            ..Limits::default()
        };
        let error = places.near(&near.limits(few)).unwrap_err();
        assert!(matches!(error, Error::QueryLimit(_)), "{error}");
    }
}
