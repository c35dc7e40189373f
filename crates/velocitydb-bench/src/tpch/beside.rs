//! What small statements still get while a query goes over a whole table: rows by their keys, prepared, as
//! `pgbench -S -M prepared` asks for them, alone and then beside query 1 in a loop on one more connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::queries::PRICING_SUMMARY;
use super::{Bench, failed, spread};
use crate::BenchError;
use crate::measure::{Better, Row, rate, short};
use crate::pg::wire::Client;

/// Connections that ask for rows.
const CLIENTS: usize = 8;
const SELECT: &str = "SELECT o_totalprice FROM orders WHERE o_orderkey = $1";

const RATE: &str = "rows by key of 8 connections beside query 1, of their rate alone";
const RATE_GOALS: (f64, f64) = (0.5, 0.7);
const P99: &str = "99th percentile of these beside query 1";
const P99_GOALS: (f64, f64) = (5.0, 2.0);

/// The connections of a side.
struct Connections {
    clients: Vec<(Client, StdRng)>,
    analyst: Client,
}

/// What the clients get.
struct Load {
    /// Statements a second.
    rate: f64,
    /// Milliseconds.
    p99: f64,
}

/// What a round shows.
struct Round {
    alone: Load,
    beside: Load,
    /// Seconds of a query 1 beside them.
    query: f64,
}

impl Round {
    fn share(&self) -> f64 {
        self.beside.rate / self.alone.rate
    }
}

pub(super) fn a_query(bench: &Bench<'_>) -> Vec<String> {
    let asked = bench.each(
        |side| {
            let client = |number| {
                let mut client = side.client()?;
                client.prepare("select", SELECT)?;
                Ok((client, StdRng::seed_from_u64(number)))
            };
            let clients = (0..CLIENTS as u64).map(client);
            let clients = clients.collect::<Result<_, BenchError>>()?;
            let mut analyst = side.client()?;
            let limit = bench.subject.timeout.as_millis();
            analyst.query(&format!("SET statement_timeout = {limit}"))?;
            Ok(Connections { clients, analyst })
        },
        |connections| round(bench, connections),
    );
    let ours = match &asked[0] {
        Ok(ours) => ours,
        Err(error) => {
            let figures = [(RATE, RATE_GOALS), (P99, P99_GOALS)];
            return figures
                .map(|(what, goals)| failed(what, goals, error))
                .into();
        }
    };
    let median = |rounds: &[Round], figure: fn(&Round) -> f64| short(spread(rounds, figure).median);
    let rates = |rounds: &[Round]| {
        format!(
            "{} against {}/s, query 1 in {} s",
            median(rounds, |round| round.beside.rate),
            median(rounds, |round| round.alone.rate),
            median(rounds, |round| round.query)
        )
    };
    let alone = |rounds: &[Round]| format!("{} ms alone", median(rounds, |round| round.alone.p99));
    let their_rates = bench.aside(&asked, |rounds| {
        format!("{}, {}", median(rounds, Round::share), rates(rounds))
    });
    let their_p99 = bench.aside(&asked, |rounds| {
        let beside = median(rounds, |round| round.beside.p99);
        format!("{beside} ms, {}", alone(rounds))
    });
    let rate = Row {
        what: RATE.to_owned(),
        figure: spread(ours, Round::share),
        unit: "x",
        bar: RATE_GOALS.0,
        aim: RATE_GOALS.1,
        better: Better::Higher,
        detail: format!("{}{their_rates}", rates(ours)),
    };
    let p99 = Row {
        what: P99.to_owned(),
        figure: spread(ours, |round| round.beside.p99),
        unit: "ms",
        bar: P99_GOALS.0,
        aim: P99_GOALS.1,
        better: Better::Lower,
        detail: format!("{}{their_p99}", alone(ours)),
    };
    [rate, p99].map(|row| row.to_string()).into()
}

fn round(bench: &Bench<'_>, connections: &mut Connections) -> Result<Round, BenchError> {
    let Connections { clients, analyst } = connections;
    let alone = load(bench, clients)?;
    let ended = AtomicBool::new(false);
    let (beside, query) = thread::scope(|scope| {
        let queries = scope.spawn(|| {
            let (since, mut asked) = (Instant::now(), 0);
            while asked == 0 || !ended.load(Ordering::Relaxed) {
                analyst.answer(PRICING_SUMMARY)?;
                asked += 1;
            }
            Ok::<_, BenchError>(since.elapsed().as_secs_f64() / f64::from(asked))
        });
        let beside = load(bench, clients);
        ended.store(true, Ordering::Relaxed);
        let query = queries.join().expect("it does not panic");
        Ok::<_, BenchError>((beside?, query?))
    })?;
    Ok(Round {
        alone,
        beside,
        query,
    })
}

/// Lets all clients ask for as long as a round takes.
fn load(bench: &Bench<'_>, clients: &mut [(Client, StdRng)]) -> Result<Load, BenchError> {
    let since = Instant::now();
    let ask = |(client, random): &mut (Client, StdRng)| {
        let mut times = Vec::new();
        while since.elapsed() < bench.subject.round {
            let key = bench.order(random);
            let since = Instant::now();
            if client.run("select", &[&key])?.is_none() {
                return Err(BenchError::Unfit(format!("there is no order {key}")));
            }
            times.push(since.elapsed());
        }
        Ok(times)
    };
    let times = thread::scope(|scope| {
        let asking = clients.iter_mut().map(|client| scope.spawn(|| ask(client)));
        let asking: Vec<_> = asking.collect();
        let times = asking
            .into_iter()
            .map(|thread| thread.join().expect("it does not panic"));
        times.collect::<Result<Vec<Vec<Duration>>, BenchError>>()
    })?;
    let mut times = times.concat();
    let rate = rate(times.len(), since.elapsed());
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied();
    Ok(Load {
        rate,
        p99: p99.unwrap_or_default().as_secs_f64() * 1e3,
    })
}
