//! What an index costs: time at each insert, memory for each entry.

use velocitydb::{Collection, Database, Definition, IndexDefinition, Options, Path};

use super::{Subject, lookups};
use crate::BenchError;
use crate::measure::{Better, Row, alternate, short};

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

fn empty(index: Option<IndexDefinition>) -> Result<(Database, Collection), BenchError> {
    let db = Database::open(Options::in_memory())?;
    let people = db.create_collection(Definition::new("people"))?.value;
    if let Some(index) = index {
        people.create_index(index)?;
    }
    Ok((db, people))
}

/// Nanoseconds of an insert.
fn insert(count: usize, index: Option<IndexDefinition>) -> Result<f64, BenchError> {
    let documents: Vec<_> = (0..count).map(lookups::person).collect();
    let (_db, people) = empty(index)?;
    let since = std::time::Instant::now();
    for (at, document) in documents.iter().enumerate() {
        people.insert_with_id(at as i64, document)?;
    }
    Ok(since.elapsed().as_nanos() as f64 / count as f64)
}

pub(super) fn inserts(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let count = subject.options.documents / 2;
    let mut rows = Vec::new();
    for (what, index) in [
        (
            "a hash index adds to an insert",
            IndexDefinition::hash("i", [path("score")]),
        ),
        (
            "a unique hash index adds to an insert",
            IndexDefinition::unique("i", vec![path("email")]),
        ),
        (
            "a B-tree index adds to an insert",
            IndexDefinition::btree("i", [path("score")]),
        ),
    ] {
        let mut added = Vec::new();
        let (_, with, without) = alternate::<BenchError>(
            subject.options.rounds,
            || insert(count, Some(index.clone())),
            || insert(count, None),
        )?;
        added.extend([
            with.min - without.min,
            with.median - without.median,
            with.max - without.max,
        ]);
        rows.push(Row {
            what: what.into(),
            figure: crate::measure::Spread::of(&added),
            unit: "ns",
            bar: 1000.0,
            aim: 500.0,
            better: Better::Lower,
            detail: format!(
                "{} against {} ns",
                short(with.median),
                short(without.median)
            ),
        });
    }
    Ok(rows)
}

pub(super) fn entries(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let count = subject.options.documents;
    let (_db, people) = empty(None)?;
    for at in 0..count {
        people.insert_with_id(at as i64, lookups::person(at))?;
    }
    let bytes = || Ok::<_, BenchError>(people.stats()?.bytes.indexes as f64);
    let before = bytes()?;
    people.create_index(IndexDefinition::btree("i", [path("score")]))?;
    let each = (bytes()? - before) / count as f64;
    Ok(vec![Row {
        what: "memory of a B-tree entry on a number".into(),
        figure: crate::measure::Spread::of(&[each]),
        unit: "bytes",
        bar: 40.0,
        aim: 30.0,
        better: Better::Lower,
        detail: "as requested from the allocator".into(),
    }])
}
