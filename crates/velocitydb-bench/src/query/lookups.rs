//! One document by a unique text, and ranges of a B-tree.

use std::hint::black_box;
use std::time::Instant;

use velocitydb::query::{Direction, Filter, Find};
use velocitydb::{
    Collection, Database, Definition, Field, FieldType, Fields, IndexDefinition, Openness, Options,
    Path, Schema, Value,
};
use velocitydb_types::FieldsBuilder;

use super::{Subject, read_all, shuffled};
use crate::BenchError;
use crate::measure::{Better, Row, Spread, alternate};

/// Lookups of one round.
const LOOKUPS: usize = 100_000;
/// Ranges of one round.
const RANGES: usize = 5_000;

/// The names and types of the fields of [`person`].
pub(super) const PERSON: [(&str, FieldType); 8] = [
    ("age", FieldType::Int),
    ("balance", FieldType::Float),
    ("city", FieldType::String),
    ("email", FieldType::String),
    ("joined", FieldType::Int),
    ("name", FieldType::String),
    ("score", FieldType::Int),
    ("vip", FieldType::Bool),
];

pub(super) fn email(at: usize) -> String {
    format!("user{at}@example.org")
}

/// A document of eight fields, about 110 bytes.
pub(super) fn person(at: usize) -> Fields {
    let mut fields = FieldsBuilder::new();
    let values = [
        Value::Int((at % 90) as i64),
        Value::Float(at as f64 / 7.0),
        format!("City {}", at % 1000).into(),
        email(at).into(),
        Value::Int(at as i64 * 60),
        format!("Name of {at}").into(),
        Value::Int((at * 7919 % 1_000_003) as i64),
        Value::Bool(at.is_multiple_of(3)),
    ];
    for ((name, _), value) in PERSON.iter().zip(values) {
        fields.push_value(name, &value).expect("a short field");
    }
    fields.finish().expect("a short document")
}

/// People under a strict schema in which the e-mail address is unique.
pub(super) fn people(count: usize) -> Result<(Database, Collection), BenchError> {
    let db = Database::open(Options::in_memory())?;
    let mut fields: Vec<_> = PERSON
        .iter()
        .map(|(name, kind)| Field::new(*name, *kind).required())
        .collect();
    fields[3].unique = true;
    let schema = Schema::new(Openness::Strict, fields).expect("a sound schema");
    let people = db
        .create_collection(Definition::new("people").schema(schema))?
        .value;
    for at in 0..count {
        people.insert_with_id(at as i64, person(at))?;
    }
    Ok((db, people))
}

/// The middle of the times of single calls, in nanoseconds.
pub(super) fn median(calls: usize, mut call: impl FnMut(usize)) -> f64 {
    let mut times = Vec::with_capacity(calls);
    for at in 0..calls {
        let since = Instant::now();
        call(at);
        times.push(since.elapsed().as_nanos() as f64);
    }
    Spread::of(&times).median
}

pub(super) fn unique(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let count = subject.options.documents;
    let (_db, people) = people(count)?;
    let order = shuffled(count);
    let emails: Vec<String> = order.iter().take(LOOKUPS).map(|at| email(*at)).collect();
    let ours = || {
        Ok::<_, BenchError>(median(emails.len(), |at| {
            let find = Find::new(Filter::eq("email", emails[at].as_str()));
            let found = people.find(&find).expect("a query that can be run");
            assert_eq!(found.len(), 1);
            black_box(read_all(&found[0]));
        }))
    };
    compare(
        subject,
        ("one document by a unique text, all fields", 2000.0),
        ours,
        #[cfg(feature = "peers")]
        {
            let (peer, emails) = (super::sqlite::people(count)?, &emails);
            move || {
                let mut statement = peer.prepare("SELECT * FROM people WHERE email = ?1")?;
                Ok(median(emails.len(), |at| {
                    let rows = super::sqlite::read_all(&mut statement, [&emails[at]]);
                    assert_eq!(rows, Ok(1));
                }))
            }
        },
    )
}

pub(super) fn range(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let count = subject.options.documents;
    let (_db, people) = people(count)?;
    let path: Path = "score".parse().expect("a path");
    people.create_index(IndexDefinition::btree("by_score", [path]))?;
    let order = shuffled(1_000_003);
    let ours = || {
        Ok::<_, BenchError>(median(RANGES, |at| {
            let find = Find::new(Filter::ge("score", order[at] as i64))
                .sort([("score", Direction::Ascending)])
                .limit(100);
            let found = people.find(&find).expect("a query that can be run");
            black_box(found.iter().map(read_all).fold(0, usize::wrapping_add));
        }))
    };
    compare(
        subject,
        (
            "100 documents of a range by B-tree, sorted, all fields",
            f64::MAX,
        ),
        ours,
        #[cfg(feature = "peers")]
        {
            let (peer, order) = (super::sqlite::people(count)?, order.clone());
            peer.execute_batch("CREATE INDEX by_score ON people (score)")?;
            move || {
                let sql = "SELECT * FROM people WHERE score >= ?1 ORDER BY score LIMIT 100";
                let mut statement = peer.prepare(sql)?;
                Ok(median(RANGES, |at| {
                    let from = order[at] as i64;
                    let rows = super::sqlite::read_all(&mut statement, [&from]);
                    assert!(rows.is_ok_and(|rows| rows > 0 || from > 1_000_000));
                }))
            }
        },
    )
}

/// Our time against a bar, and against SQLite's where it is there.
fn compare(
    subject: &Subject,
    (what, bar): (&str, f64),
    mut ours: impl FnMut() -> Result<f64, BenchError>,
    #[cfg(feature = "peers")] theirs: impl FnMut() -> Result<f64, BenchError>,
) -> Result<Vec<Row>, BenchError> {
    let rounds = subject.options.rounds;
    ours()?;
    #[cfg(feature = "peers")]
    let (ratio, ours, theirs) = alternate::<BenchError>(rounds, ours, theirs)?;
    #[cfg(not(feature = "peers"))]
    let (_, ours, _) = alternate::<BenchError>(rounds, ours, || Ok(1.0))?;
    let row = |what: String, figure, unit, bar, detail| Row {
        what,
        figure,
        unit,
        bar,
        aim: bar / 2.0,
        better: Better::Lower,
        detail,
    };
    let mut rows = Vec::new();
    if bar < f64::MAX {
        rows.push(row(what.to_owned(), ours, "ns", bar, String::new()));
    }
    #[cfg(feature = "peers")]
    rows.push(row(
        format!("{what}: against SQLite in memory, prepared"),
        ratio,
        "x",
        1.0,
        format!("{:.0} against {:.0} ns", ours.median, theirs.median),
    ));
    #[cfg(not(feature = "peers"))]
    if rows.is_empty() {
        rows.push(row(
            what.to_owned(),
            ours,
            "ns",
            bar,
            "no peer linked in".into(),
        ));
    }
    Ok(rows)
}
