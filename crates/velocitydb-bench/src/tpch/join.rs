//! What a join by key costs more than a look into one of its tables: both are prepared, and one connection
//! runs them in turn.

use std::time::Instant;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{Bench, failed, spread};
use crate::BenchError;
use crate::measure::{Better, Row, Spread, short};
use crate::pg::wire::Client;

const JOIN: &str = "SELECT o.*, c.c_name FROM orders o JOIN customer c ON c.c_custkey = o.o_custkey \
                    WHERE o.o_orderkey = $1";
const SINGLE: &str = "SELECT * FROM orders WHERE o_orderkey = $1";

const WHAT: &str = "overhead of a join of two tables by key, prepared, one connection";
const GOALS: (f64, f64) = (100.0, 30.0);

/// Microseconds of a call, in the middle of a round.
struct Times {
    join: f64,
    single: f64,
}

impl Times {
    fn overhead(&self) -> f64 {
        self.join - self.single
    }
}

pub(super) fn by_key(bench: &Bench<'_>) -> Vec<String> {
    let asked = bench.each(
        |side| {
            let mut client = side.client()?;
            client.prepare("join", JOIN)?;
            client.prepare("single", SINGLE)?;
            Ok((client, StdRng::seed_from_u64(1)))
        },
        |(client, random)| round(bench, client, random),
    );
    let ours = match &asked[0] {
        Ok(ours) => ours,
        Err(error) => return vec![failed(WHAT, GOALS, error)],
    };
    let sides = |times: &[Times]| {
        let join = spread(times, |times| times.join).median;
        let single = spread(times, |times| times.single).median;
        format!("{} against {} µs of one table", short(join), short(single))
    };
    let theirs = bench.aside(&asked, |times| {
        let overhead = spread(times, Times::overhead).median;
        format!("{} µs, {}", short(overhead), sides(times))
    });
    let row = Row {
        what: WHAT.to_owned(),
        figure: spread(ours, Times::overhead),
        unit: "µs",
        bar: GOALS.0,
        aim: GOALS.1,
        better: Better::Lower,
        detail: format!("{}{theirs}", sides(ours)),
    };
    vec![row.to_string()]
}

fn round(bench: &Bench<'_>, client: &mut Client, random: &mut StdRng) -> Result<Times, BenchError> {
    let (mut joins, mut singles) = (Vec::new(), Vec::new());
    let since = Instant::now();
    while since.elapsed() < bench.subject.round {
        for (name, times) in [("join", &mut joins), ("single", &mut singles)] {
            let key = bench.order(random);
            let since = Instant::now();
            let first = client.run(name, &[&key])?;
            times.push(since.elapsed().as_secs_f64() * 1e6);
            if first.as_ref() != Some(&key) {
                let what = format!("order {key}: {name} answers {first:?}");
                return Err(BenchError::Unfit(what));
            }
        }
    }
    Ok(Times {
        join: Spread::of(&joins).median,
        single: Spread::of(&singles).median,
    })
}
