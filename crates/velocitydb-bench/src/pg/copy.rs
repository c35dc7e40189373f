//! COPY in of the flights: the rows that a second takes, as CSV from memory.

use std::fmt::Write;
use std::time::Instant;

use velocitydb::Database;
use velocitydb_types::ValueRef;

use super::servers::Server;
use super::{Bench, Commit, Pair};
use crate::BenchError;
use crate::measure::{Better, Row, Spread, rate, short};

/// The columns, as in the file that the flights come from.
const COLUMNS: [(&str, &str); 19] = [
    ("year", "integer"),
    ("month", "integer"),
    ("day", "integer"),
    ("dep_time", "integer"),
    ("sched_dep_time", "integer"),
    ("dep_delay", "integer"),
    ("arr_time", "integer"),
    ("sched_arr_time", "integer"),
    ("arr_delay", "integer"),
    ("carrier", "text"),
    ("flight", "integer"),
    ("tailnum", "text"),
    ("origin", "text"),
    ("dest", "text"),
    ("air_time", "integer"),
    ("distance", "integer"),
    ("hour", "integer"),
    ("minute", "integer"),
    ("time_hour", "timestamptz"),
];

pub(super) fn flights(bench: &mut Bench<'_>) -> Result<Row, BenchError> {
    let (csv, rows) = csv(&(bench.subject.flights)()?)?;
    let pair = Pair::start(bench, Commit::Synced, 1)?;
    let ask = |side: &Server| copy(side, &csv, rows);
    let compared = pair.compare(bench.subject.options.rounds, ask)?;
    let theirs = compared.theirs.zip(bench.peer.as_ref());
    let detail = theirs.map(|(Spread { min, median, max }, peer)| {
        let [min, median, max] = [min, median, max].map(short);
        format!("{}: {median} rows/s ({min} to {max})", peer.version)
    });
    Ok(Row {
        what: format!("COPY in of the flights, {rows} rows of 19 columns, CSV"),
        figure: compared.ours,
        unit: "rows/s",
        bar: 300_000.0,
        aim: 1_000_000.0,
        better: Better::Higher,
        detail: detail.unwrap_or_default(),
    })
}

/// Into a new table; it is there and synced when the answer comes.
fn copy(side: &Server, csv: &str, rows: usize) -> Result<f64, BenchError> {
    let mut client = side.client()?;
    client.query("DROP TABLE IF EXISTS flights")?;
    let columns = COLUMNS.map(|(name, kind)| format!("{name} {kind}"));
    client.query(&format!("CREATE TABLE flights ({})", columns.join(", ")))?;
    let since = Instant::now();
    client.copy_in("COPY flights FROM STDIN (FORMAT csv)", csv.as_bytes())?;
    let taken = since.elapsed();
    let there = client.query("SELECT count(*) FROM flights")?;
    match there == Some(rows.to_string()) {
        true => Ok(rate(rows, taken)),
        false => {
            let what = format!("{rows} rows were copied in, but there are {there:?}");
            Err(BenchError::Unfit(what))
        }
    }
}

/// The flights and how many they are. No text of theirs needs quotes.
fn csv(db: &Database) -> Result<(String, usize), BenchError> {
    let (mut text, mut rows) = (String::new(), 0);
    db.collection("flights")?.view()?.scan(|flight| {
        rows += 1;
        for (at, (name, _)) in COLUMNS.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let written = match flight.get(name).map(|value| value.get()) {
                Some(ValueRef::Int(int)) => write!(text, "{comma}{int}"),
                Some(ValueRef::Str(string)) => write!(text, "{comma}{string}"),
                Some(ValueRef::Time(time)) => write!(text, "{comma}{time}"),
                _ => write!(text, "{comma}"),
            };
            written.expect("a string takes everything");
        }
        text.push('\n');
        true
    })?;
    Ok((text, rows))
}
