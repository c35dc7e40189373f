//! A group-by over all flights.

use std::hint::black_box;
use std::time::Instant;

use velocitydb::query::{Group, Pipeline};

use super::Subject;
use crate::BenchError;
use crate::measure::{Better, Row, Spread, short};

/// The average delay of each carrier.
fn pipeline() -> Pipeline {
    Pipeline::new().group(
        Group::new()
            .by("carrier", "carrier")
            .avg("delay", "dep_delay"),
    )
}

pub(super) fn carriers(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let (flights, rounds) = (&subject.flights, subject.options.rounds);
    let (mut ours, mut ratios) = (Vec::new(), Vec::new());
    let mut sqlite = Sqlite::new(flights)?;
    for _ in 0..rounds {
        let since = Instant::now();
        let rows = flights.aggregate(&pipeline())?;
        let taken = since.elapsed().as_secs_f64() * 1e3;
        assert_eq!(black_box(rows).len(), 16);
        ours.push(taken);
        ratios.extend(sqlite.group()?.map(|theirs| taken / theirs));
    }
    let ours = Spread::of(&ours);
    let row = |what: &str, figure, unit, bar, detail| Row {
        what: what.into(),
        figure,
        unit,
        bar,
        aim: bar / 2.0,
        better: Better::Lower,
        detail,
    };
    let mut rows = vec![row(
        "average delay by carrier, 336,776 flights",
        ours,
        "ms",
        245.0,
        String::new(),
    )];
    if !ratios.is_empty() {
        let detail = format!("{} ms", short(ours.median));
        rows.push(row(
            "the same against SQLite",
            Spread::of(&ratios),
            "x",
            1.0,
            detail,
        ));
    }
    if let Some(theirs) = duckdb(flights, rounds)? {
        let ratio = Spread {
            min: ours.min / theirs.median,
            median: ours.median / theirs.median,
            max: ours.max / theirs.median,
        };
        let detail = format!(
            "{} against {} ms, one thread",
            short(ours.median),
            short(theirs.median)
        );
        rows.push(row("the same against DuckDB", ratio, "x", 4.0, detail));
    }
    Ok(rows)
}

/// SQLite with the same rows, where it is linked in.
struct Sqlite(#[cfg(feature = "peers")] rusqlite::Connection);

#[cfg(feature = "peers")]
impl Sqlite {
    fn new(flights: &velocitydb::Collection) -> Result<Sqlite, BenchError> {
        Ok(Sqlite(super::sqlite::flights(flights)?))
    }

    fn group(&mut self) -> Result<Option<f64>, BenchError> {
        let since = Instant::now();
        let mut statement = self
            .0
            .prepare_cached("SELECT carrier, avg(dep_delay) FROM flights GROUP BY carrier")?;
        let rows = super::sqlite::read_all(&mut statement, [])?;
        assert_eq!(rows, 16);
        Ok(Some(since.elapsed().as_secs_f64() * 1e3))
    }
}

#[cfg(not(feature = "peers"))]
impl Sqlite {
    fn new(_: &velocitydb::Collection) -> Result<Sqlite, BenchError> {
        Ok(Sqlite())
    }

    fn group(&mut self) -> Result<Option<f64>, BenchError> {
        Ok(None)
    }
}

/// DuckDB's times on one thread, where Python has it.
fn duckdb(flights: &velocitydb::Collection, rounds: usize) -> Result<Option<Spread>, BenchError> {
    const SCRIPT: &str = "\
import sys, time
try:
    import duckdb
except ImportError:
    sys.exit(3)
db = duckdb.connect()
db.execute('SET threads = 1')
db.execute(\"CREATE TABLE flights AS SELECT * FROM read_csv(?, header = true, columns = {'carrier': 'VARCHAR', 'dep_delay': 'BIGINT'})\", [sys.argv[1]])
for _ in range(int(sys.argv[2]) + 1):
    since = time.perf_counter()
    rows = db.execute('SELECT carrier, avg(dep_delay) FROM flights GROUP BY carrier').fetchall()
    print((time.perf_counter() - since) * 1e3)
    assert len(rows) == 16
";
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("flights.csv");
    let mut text = String::from("carrier,dep_delay\n");
    flights.view()?.scan(|flight| {
        use std::fmt::Write;
        let carrier = flight.get("carrier").and_then(|value| value.as_str());
        let delay = flight.get("dep_delay").and_then(|value| value.as_int());
        let delay = delay.map(|delay| delay.to_string()).unwrap_or_default();
        writeln!(text, "{},{delay}", carrier.unwrap_or_default()).is_ok()
    })?;
    std::fs::write(&file, text)?;
    let mut python = std::process::Command::new("python3");
    python
        .args(["-c", SCRIPT])
        .arg(&file)
        .arg(rounds.to_string());
    let Ok(output) = python.output() else {
        return Ok(None);
    };
    let times = String::from_utf8_lossy(&output.stdout);
    let times: Vec<f64> = times
        .lines()
        .skip(1)
        .filter_map(|line| line.parse().ok())
        .collect();
    Ok((!times.is_empty()).then(|| Spread::of(&times)))
}
