//! A schema that changes again and again while real threads write and the machine is stopped at
//! a random moment: afterwards every document is as one version of the schema says, the newest
//! that was promised or the one after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use velocitydb::{
    Alteration, Background, Call, Collection, Database, DefaultValue, Definition, Durability,
    Error, Field, FieldType, LogOptions, Openness, Options, Schema, Update, Value,
};
use velocitydb_sim::{CrashMode, Random, SimDisk, seeds};

const WRITERS: u64 = 2;
const DOCUMENTS: u64 = 300;

fn options(disk: &SimDisk) -> Options {
    let mut log = LogOptions::default();
    (log.first_segment_bytes, log.segment_bytes) = (4096, 16384);
    Options::at("/data")
        .log(log)
        .disk(Arc::new(disk.clone()))
        .background(Background::Owner)
        .seed(disk.operations())
}

/// The schema's version `n`: a field that is a number and a text by turns, a renamed one, one that
/// comes and goes, and a constant that tells the version.
fn version(n: u64) -> Definition {
    let value = match n % 2 {
        0 => Field::new("value", FieldType::Int),
        _ => Field::new("value", FieldType::String),
    };
    let mut fields = vec![
        value.required(),
        Field::new(name(n), FieldType::String).required(),
    ];
    if n % 3 == 1 {
        let seven = DefaultValue::Constant(Value::Int(7));
        fields.push(
            Field::new("extra", FieldType::Int)
                .with_default(seven)
                .required(),
        );
    }
    let schema = Schema::new(Openness::Strict, fields).unwrap();
    Definition::new("things").schema(schema)
}

fn name(n: u64) -> String {
    format!("name{}", n / 2 % 2)
}

/// From version `n` to the next.
fn alteration(n: u64) -> Alteration {
    let mut alteration = Alteration::to(version(n + 1));
    if name(n) != name(n + 1) {
        alteration = alteration.rename(name(n), name(n + 1));
    }
    match n % 3 {
        1 => alteration.drop("extra"),
        _ => alteration,
    }
}

fn document(n: u64, id: u64) -> BTreeMap<String, Value> {
    let value = match n % 2 {
        0 => Value::Int(id as i64),
        _ => Value::String(id.to_string()),
    };
    BTreeMap::from([
        ("value".to_owned(), value),
        (name(n), Value::String(id.to_string())),
    ])
}

/// The version whose definition the collection has.
fn found(things: &Collection, near: u64) -> u64 {
    let definition = things.definition().unwrap();
    let candidates = [near, near + 1];
    let found = candidates.into_iter().find(|&n| version(n) == definition);
    found.unwrap_or_else(|| panic!("neither version {near} nor the next: {definition:?}"))
}

#[test]
fn a_schema_is_old_or_new_whenever_the_machine_stops() {
    for seed in seeds(16) {
        let mode = [CrashMode::Process, CrashMode::PowerLoss][seed as usize % 2];
        let disk = SimDisk::new(seed);
        let db = Database::open(options(&disk)).unwrap();
        let things = db.create_collection(version(0)).unwrap().value;
        for id in 0..DOCUMENTS {
            things.insert_with_id(id as i64, document(0, id)).unwrap();
        }
        db.sync().unwrap();
        let (promised, writes) = (AtomicU64::new(0), AtomicU64::new(0));
        let end = 3 + Random::new(seed).below(12);
        let next = std::thread::scope(|scope| {
            let (things, promised, writes) = (&things, &promised, &writes);
            for writer in 0..WRITERS {
                let mut random = Random::new(seed + writer);
                scope.spawn(move || {
                    let level = Durability::ALL[random.below(4) as usize];
                    let things = things.with(Call::new().durability(level));
                    loop {
                        let (id, n) = (random.below(DOCUMENTS), promised.load(Ordering::SeqCst));
                        let written = match random.below(3) {
                            0 => things.update(id as i64, Update::new().set("value", id as i64)),
                            1 => things.delete(id as i64),
                            _ => things.upsert(id as i64, document(n, id)),
                        };
                        match written {
                            Ok(_) => writes.fetch_add(1, Ordering::SeqCst),
                            // It was meant for another version, or the document is gone.
                            Err(Error::Refused { .. }) => 0,
                            Err(_) => return,
                        };
                    }
                });
            }
            let altering = scope.spawn(move || {
                let things = things.with(Call::new().durability(Durability::Full));
                for n in 0.. {
                    if things.alter(alteration(n)).is_err() {
                        return;
                    }
                    promised.store(n + 1, Ordering::SeqCst);
                }
            });
            let enough =
                || promised.load(Ordering::SeqCst) >= end && writes.load(Ordering::SeqCst) >= 50;
            while !enough() && !altering.is_finished() {
                db.checkpoint().unwrap();
                db.tend().unwrap();
            }
            disk.crash(mode)
        });
        let promised = promised.load(Ordering::SeqCst);
        assert!(
            promised >= end,
            "seed {seed}: alteration {promised} was refused"
        );
        drop((db, things));
        let db = Database::open(options(&next)).unwrap();
        let things = db.collection("things").unwrap();
        let n = found(&things, promised);
        let schema = &version(n).schema;
        let mut count = 0;
        things
            .view()
            .unwrap()
            .scan(|document| {
                let id = document.id().to_string();
                schema
                    .check(document.fields())
                    .unwrap_or_else(|error| panic!("seed {seed}, version {n}, {id}: {error}"));
                let name = document.get(&name(n)).unwrap();
                assert_eq!(name.as_str(), Some(&*id), "seed {seed}, version {n}");
                count += 1;
                true
            })
            .unwrap();
        assert_eq!(things.count().unwrap(), count);
        things.alter(alteration(n)).unwrap();
    }
}
