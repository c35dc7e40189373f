//! SQLite in memory, in this process, with the same rows.

use std::collections::BTreeMap;

use rusqlite::types::{ToSql, ValueRef};
use rusqlite::{Connection, Params, Statement};
use velocitydb::{Collection, Document, FieldType};
use velocitydb_types::ValueRef as Ours;

use super::lookups;
use crate::BenchError;

/// Runs a statement and reads every column of every row; how many rows there were.
pub(super) fn read_all(
    statement: &mut Statement<'_>,
    with: impl Params,
) -> Result<usize, rusqlite::Error> {
    let columns = statement.column_count();
    let mut rows = statement.query(with)?;
    let (mut count, mut sum) = (0, 0_usize);
    while let Some(row) = rows.next()? {
        count += 1;
        for column in 0..columns {
            sum = sum.wrapping_add(match row.get_ref(column)? {
                ValueRef::Integer(int) => int as usize & 1,
                ValueRef::Real(float) => float as usize & 1,
                ValueRef::Text(text) => text.len(),
                _ => 1,
            });
        }
    }
    std::hint::black_box(sum);
    Ok(count)
}

fn filled(
    table: &str,
    columns: &[(&str, &str)],
    documents: impl Iterator<Item = velocitydb::Fields>,
    constraint: &str,
) -> Result<Connection, BenchError> {
    let db = Connection::open_in_memory()?;
    let declared: Vec<_> = columns
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    let sql = format!("CREATE TABLE {table} ({}{constraint})", declared.join(", "));
    db.execute_batch(&format!("{sql}; BEGIN"))?;
    let places: Vec<_> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
    let insert = format!("INSERT INTO {table} VALUES ({})", places.join(", "));
    let mut insert = db.prepare(&insert)?;
    for fields in documents {
        let raw = fields.as_raw();
        let values = columns.iter().map(|(name, _)| -> Box<dyn ToSql> {
            match raw.get(name).map(|value| value.get()) {
                Some(Ours::Int(int)) => Box::new(int),
                Some(Ours::Float(float)) => Box::new(float),
                Some(Ours::Bool(bool)) => Box::new(bool),
                Some(Ours::Str(text)) => Box::new(text.to_owned()),
                Some(Ours::Time(time)) => Box::new(time.0),
                _ => Box::new(Option::<i64>::None),
            }
        });
        let values: Vec<_> = values.collect();
        insert.execute(rusqlite::params_from_iter(values.iter()))?;
    }
    drop(insert);
    db.execute_batch("COMMIT; ANALYZE")?;
    Ok(db)
}

/// The people of [`lookups::people`].
pub(super) fn people(count: usize) -> Result<Connection, BenchError> {
    let columns: Vec<_> = lookups::PERSON
        .iter()
        .map(|(name, kind)| match kind {
            FieldType::String => (*name, "TEXT"),
            FieldType::Float => (*name, "REAL"),
            _ => (*name, "INTEGER"),
        })
        .collect();
    filled(
        "people",
        &columns,
        (0..count).map(lookups::person),
        ", UNIQUE (email)",
    )
}

/// The flights, every column.
pub(super) fn flights(flights: &Collection) -> Result<Connection, BenchError> {
    let mut all: Vec<Document> = Vec::new();
    flights.view()?.scan(|document| {
        all.push(document.clone());
        true
    })?;
    let mut columns: BTreeMap<String, &str> = BTreeMap::new();
    for document in all.iter().take(1000) {
        for (name, value) in document.fields().iter() {
            let kind = match value.get() {
                Ours::Int(_) | Ours::Time(_) | Ours::Bool(_) => "INTEGER",
                Ours::Float(_) => "REAL",
                Ours::Null => continue,
                _ => "TEXT",
            };
            columns.insert(name.to_owned(), kind);
        }
    }
    let columns: Vec<_> = columns
        .iter()
        .map(|(name, kind)| (&**name, *kind))
        .collect();
    let fields = all.iter().map(|document| {
        velocitydb::Fields::from_bytes(document.fields().as_bytes()).expect("kept so")
    });
    filled("flights", &columns, fields, "")
}
