//! Queries by index and groups, against SQLite in memory and DuckDB: `velocitydb bench query`.
//!
//! SQLite is linked in with the feature `peers` (its own C code, the same process, prepared
//! statements); DuckDB is asked through Python, which takes its own times, when it is installed
//! (`pip install duckdb`). Without a peer the figure stands alone. Both sides read every field of
//! every document that they answer.

mod groups;
mod indexes;
mod lookups;
mod places;
#[cfg(feature = "peers")]
mod sqlite;

use std::sync::Arc;

use velocitydb::{Collection, Document};

use crate::BenchError;
use crate::embedded::Options;
use crate::measure::{HEAD, Row};

/// What the figures are measured on.
pub struct Subject {
    /// How often, how many, where.
    pub options: Options,
    /// The flights of the sample data.
    pub flights: Collection,
    /// Its airports.
    pub airports: Collection,
}

type Figures = fn(&Subject) -> Result<Vec<Row>, BenchError>;

/// The groups, by name, in the order of the report.
pub const GROUPS: &[(&str, Figures)] = &[
    ("unique", lookups::unique),
    ("range", lookups::range),
    ("group", groups::carriers),
    ("places", places::places),
    ("texts", places::texts),
    ("inserts", indexes::inserts),
    ("entries", indexes::entries),
];

/// Runs the groups that were asked for and hands each line of the report to `print`.
pub fn run(subject: &Subject, mut print: impl FnMut(&str)) -> Result<(), BenchError> {
    subject.options.announce("", &mut print);
    print(HEAD);
    for figures in subject.options.chosen(GROUPS) {
        for row in figures(subject)? {
            print(&row.to_string());
        }
    }
    Ok(())
}

/// Reads every field of a document, so that nothing is left for later.
fn read_all(document: &Document) -> usize {
    let bytes = document.fields().iter().map(|(name, value)| {
        use velocitydb_types::ValueRef;
        name.len()
            + match value.get() {
                ValueRef::Str(text) => text.len(),
                ValueRef::Int(int) => int as usize & 1,
                ValueRef::Float(float) => float as usize & 1,
                ValueRef::Bool(bool) => usize::from(bool),
                ValueRef::Time(time) => time.0 as usize & 1,
                _ => 1,
            }
    });
    bytes.fold(0, usize::wrapping_add)
}

/// Numbers in an order that no cache foresees.
fn shuffled(count: usize) -> Arc<[usize]> {
    use rand::SeedableRng;
    use rand::seq::SliceRandom;
    let mut numbers: Vec<usize> = (0..count).collect();
    numbers.shuffle(&mut rand::rngs::StdRng::seed_from_u64(1));
    numbers.into()
}
