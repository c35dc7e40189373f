//! What schemas, expiry and alterations cost those who write beside them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use velocitydb::{
    Alteration, Call, Collection, Database, Definition, Expiry, Field, FieldType, Fields, Openness,
    Options as DatabaseOptions, Schema, Update, Value,
};
use velocitydb_types::FieldsBuilder;

use super::{Options, filled, in_memory};
use crate::BenchError;
use crate::data::Data;
use crate::measure::{Better, Row, Spread, alternate, rate, short, timed};

const INSERTS: usize = 200_000;

/// Documents of ten fields, of types that a schema can check; `f0` is another in each.
fn wide(at: usize) -> Fields {
    let mut fields = FieldsBuilder::new();
    for field in 0..10 {
        let value = match field % 5 {
            0 => Value::Int((at * 10 + field) as i64),
            1 => Value::String(format!("text {at}")),
            2 => Value::Float(at as f64 / 3.0),
            3 => Value::Bool(at.is_multiple_of(2)),
            _ => Value::String("the same for all".into()),
        };
        fields
            .push_value(&format!("f{field}"), &value)
            .expect("a short field");
    }
    fields.finish().expect("a short document")
}

fn strict() -> Schema {
    let kinds = [
        FieldType::Int,
        FieldType::String,
        FieldType::Float,
        FieldType::Bool,
        FieldType::String,
    ];
    let field = |at: usize| Field::new(format!("f{at}"), kinds[at % 5]).required();
    let mut fields: Vec<_> = (0..10).map(field).collect();
    fields[0].unique = true;
    Schema::new(Openness::Strict, fields).expect("a sound schema")
}

fn insert(schema: Schema, documents: &[Fields]) -> Result<f64, BenchError> {
    let db = Database::open(DatabaseOptions::in_memory())?;
    let definition = Definition::new("documents").schema(schema);
    let collection = db.create_collection(definition)?.value;
    Ok(timed(documents.len(), || {
        for (at, document) in documents.iter().enumerate() {
            collection
                .insert_with_id(at as i64, document)
                .expect("a new id");
        }
    }))
}

/// Inserts under a strict schema of ten fields with a unique index, and without.
pub(super) fn schema(options: &Options, _data: &Data) -> Result<Vec<Row>, BenchError> {
    let documents: Vec<_> = (0..INSERTS).map(wide).collect();
    let (ratio, ours, theirs) = alternate::<BenchError>(
        options.rounds,
        || insert(strict(), &documents),
        || insert(Schema::open(), &documents),
    )?;
    Ok(vec![Row {
        what: "insert under a strict schema of 10 fields, one unique, against none".into(),
        figure: ratio,
        unit: "x",
        bar: 0.7,
        aim: 0.9,
        better: Better::Higher,
        detail: format!(
            "{} against {} ns",
            short(1e9 / ours.median),
            short(1e9 / theirs.median)
        ),
    }])
}

/// Writes and reads one document after the other until `go_on` says no: how many, and the
/// longest one, in ms.
fn operations(collection: &Collection, go_on: impl Fn() -> bool) -> Result<(f64, f64), BenchError> {
    let (start, mut longest, mut count) = (Instant::now(), Duration::ZERO, 0);
    while go_on() {
        let before = Instant::now();
        let id = format!("live {}", count % 10_000);
        collection.upsert(id.as_str(), [("n", Value::Int(count))])?;
        collection.get(id.as_str())?;
        longest = longest.max(before.elapsed());
        count += 2;
    }
    Ok((
        rate(count as usize, start.elapsed()),
        longest.as_secs_f64() * 1e3,
    ))
}

/// All documents expire at once while one thread goes on working.
pub(super) fn expiry(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let (mut longest, mut alone, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let (db, collection) = in_memory()?;
        let due = Expiry::At(velocitydb::Timestamp(db.now().0 + 3_600_000_000));
        let expiring = collection.with(Call::new().expires(due));
        for (at, key) in data.keys().iter().enumerate() {
            expiring.insert_with_id(key, data.document(at))?;
        }
        let start = Instant::now();
        alone.push(operations(&collection, || start.elapsed() < Duration::from_secs(1))?.1);
        // The same documents again, due in a moment.
        let due = Expiry::At(velocitydb::Timestamp(db.now().0 + 4_000_000));
        let expiring = collection.with(Call::new().expires(due));
        let keys = data.keys();
        for key in &keys {
            expiring.update(key, Update::new())?;
        }
        let removed = db.stats().expired + keys.len() as u64;
        let start = Instant::now();
        longest.push(
            operations(&collection, || {
                db.stats().expired < removed && start.elapsed() < Duration::from_secs(60)
            })?
            .1,
        );
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(vec![Row {
        what: "the longest operation while a million documents expire at once".into(),
        figure: Spread::of(&longest),
        unit: "ms",
        bar: 5.0,
        aim: 1.0,
        better: Better::Lower,
        detail: format!(
            "{} ms without; all removed after {} s",
            short(Spread::of(&alone).median),
            short(Spread::of(&seconds).median)
        ),
    }])
}

/// A writer while a field of all documents gets another type, against the writer alone.
pub(super) fn alter(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let (_db, collection) = filled(data)?;
    let (mut ratios, mut longest, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let kind = [FieldType::String, FieldType::Int][round % 2];
        let schema = Schema::new(Openness::Open, vec![Field::new("priority", kind)])
            .expect("a sound schema");
        let alteration = Alteration::to(collection.definition()?.schema(schema));
        let start = Instant::now();
        let (alone, _) = operations(&collection, || start.elapsed() < Duration::from_secs(2))?;
        let done = AtomicBool::new(false);
        let (beside, slowest) = std::thread::scope(|scope| {
            let altering = scope.spawn(|| {
                let start = Instant::now();
                let altered = collection.alter(alteration);
                done.store(true, Ordering::Release);
                altered.map(|_| start.elapsed().as_secs_f64())
            });
            let beside = operations(&collection, || !done.load(Ordering::Acquire));
            if let Ok(seconds) = altering.join() {
                taken.push(seconds?);
            }
            beside
        })?;
        ratios.push(beside / alone);
        longest.push(slowest);
    }
    Ok(vec![Row {
        what: "a writer while a field of a million documents gets another type".into(),
        figure: Spread::of(&ratios),
        unit: "x",
        bar: 0.7,
        aim: 0.9,
        better: Better::Higher,
        detail: format!(
            "longest operation {} ms; the change takes {} s",
            short(Spread::of(&longest).max),
            short(Spread::of(&taken).median)
        ),
    }])
}
