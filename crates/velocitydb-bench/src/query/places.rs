//! Places and texts: nearest, within a radius, full-text search.

use std::hint::black_box;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::query::{Filter, Find, Near};
use velocitydb::{
    Collection, Database, Definition, IndexDefinition, Options, Path, Point, Search, Value,
};

use super::Subject;
use super::lookups::median;
use crate::BenchError;
use crate::measure::{Better, Row, Spread};

const CALLS: usize = 5_000;

fn empty() -> Result<(Database, Collection), BenchError> {
    let db = Database::open(Options::in_memory())?;
    let collection = db.create_collection(Definition::new("documents"))?.value;
    Ok((db, collection))
}

fn row(what: &str, figures: &[f64], (unit, bar): (&'static str, f64), detail: String) -> Row {
    Row {
        what: what.into(),
        figure: Spread::of(figures),
        unit,
        bar,
        aim: bar / 2.0,
        better: Better::Lower,
        detail,
    }
}

/// Runs rounds of calls; the middle time of each in microseconds.
fn rounds(subject: &Subject, mut round: impl FnMut() -> f64) -> Vec<f64> {
    round();
    (0..subject.options.rounds).map(|_| round() / 1e3).collect()
}

pub(super) fn places(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let at = || Path::field("at");
    let (_db, airports) = empty()?;
    let mut all = Vec::new();
    subject.airports.view()?.scan(|airport| {
        let number = |name| match airport.get(name).map(|value| value.to_value()) {
            Some(Value::Float(float)) => Some(float),
            Some(Value::Int(int)) => Some(int as f64),
            _ => None,
        };
        let point = number("lon").zip(number("lat"));
        all.extend(point.and_then(|(lon, lat)| Point::new(lon, lat).ok()));
        true
    })?;
    for (id, point) in all.iter().enumerate() {
        airports.insert_with_id(
            id as i64,
            [("at", Value::Point(*point)), ("n", (id as i64).into())],
        )?;
    }
    airports.create_index(IndexDefinition::geo("by_place", at()))?;
    let nearest = rounds(subject, || {
        median(CALLS, |call| {
            let near = Near::new(at(), all[call % all.len()], 10);
            let found = airports.near(&near).expect("a query that can be run");
            assert_eq!(black_box(found).len(), 10);
        })
    });

    let count = subject.options.documents;
    let (_db, points) = empty()?;
    let random = &mut StdRng::seed_from_u64(1);
    let mut somewhere = || {
        // Over the contiguous United States.
        let (lon, lat) = (
            random.random_range(-125.0..-67.0),
            random.random_range(25.0..49.0),
        );
        Point::new(lon, lat).expect("on the earth")
    };
    for id in 0..count {
        points.insert_with_id(
            id as i64,
            [("at", Value::Point(somewhere())), ("n", (id as i64).into())],
        )?;
    }
    points.create_index(IndexDefinition::geo("by_place", at()))?;
    let centers: Vec<Point> = (0..CALLS).map(|_| somewhere()).collect();
    let mut hits = 0;
    let within = rounds(subject, || {
        hits = 0;
        median(CALLS, |call| {
            let find = Find::new(Filter::within_radius("at", centers[call], 10_000.0));
            let found = points.find(&find).expect("a query that can be run");
            hits += black_box(found).len();
        })
    });
    Ok(vec![
        row(
            &format!("10 nearest of {} airports", all.len()),
            &nearest,
            ("µs", 20.0),
            String::new(),
        ),
        row(
            &format!("within 10 km among {count} points"),
            &within,
            ("µs", 200.0),
            format!("{} points on average", hits / CALLS),
        ),
    ])
}

/// The descriptions of Debian's packages, where apt has them.
fn descriptions() -> Vec<String> {
    let output = std::process::Command::new("apt-cache")
        .arg("dumpavail")
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.split("\n\n")
        .filter_map(|package| {
            let (_, description) = package.split_once("\nDescription: ")?;
            let lines = description.lines();
            let lines = lines.take_while(|line| line.starts_with(' ') || !line.contains(": "));
            Some(lines.map(str::trim).collect::<Vec<_>>().join(" "))
        })
        .take(50_000)
        .collect()
}

pub(super) fn texts(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let texts = descriptions();
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let (_db, packages) = empty()?;
    for (id, text) in texts.iter().enumerate() {
        packages.insert_with_id(id as i64, [("text", text.as_str().into())])?;
    }
    let before = packages.stats()?.bytes.indexes;
    let since = std::time::Instant::now();
    packages.create_index(IndexDefinition::full_text(
        "words",
        [Path::field("text")],
        "english",
    ))?;
    let built = since.elapsed();
    let bytes = packages.stats()?.bytes.indexes - before;
    // Two words of a text each, so that there is an answer; four letters and more.
    let words = |text: &str| -> Option<String> {
        let mut words = text
            .split_whitespace()
            .filter(|word| word.len() > 3 && word.bytes().all(|b| b.is_ascii_alphabetic()));
        Some(format!("{} {}", words.nth(1)?, words.nth(1)?))
    };
    let queries: Vec<String> = texts
        .iter()
        .step_by(97)
        .filter_map(|text| words(text))
        .collect();
    let calls = queries.len().min(500);
    let mut found = 0;
    let times = rounds(subject, || {
        median(calls, |call| {
            let search = Search::new(queries[call].as_str());
            found += black_box(packages.search(&search).expect("a query that can be run")).len();
        })
    });
    let size: usize = texts.iter().map(String::len).sum();
    Ok(vec![row(
        &format!("two words among {} texts, the ten best", texts.len()),
        &times,
        ("µs", 1000.0),
        format!(
            "{} MB of text, built in {:.1} s, {} MB of index",
            size / 1_000_000,
            built.as_secs_f64(),
            bytes / 1_000_000
        ),
    )])
}
