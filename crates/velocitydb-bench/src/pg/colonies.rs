//! ColonyOS: what its servers ask of PostgreSQL, of both sides (`velocitydb bench colonies`).
//!
//! `mix`: each of 16 connections takes processes through their lives: submitted, assigned, two lines of log
//! and a heart-beat, closed; beside them one connection polls as idle servers do. `assign`: 32 executors
//! ask at once while 100,000 processes wait. `latency`: one executor asks while a million wait, against a
//! thousand, ours alone. Tables and indexes are `colonies/tables.sql`, the statements `work`.
//!
//! Each round counts what the tables show: every process that a round has assigned is assigned once.

mod work;

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::work::Worker;
use super::wire::{Address, Client};
use super::{Bench, Commit, Figures, Pair};
use crate::BenchError;
use crate::embedded::Options;
use crate::measure::{Better, HEAD, Row, Spread, rate, short};

/// The colony of all processes.
const COLONY: &str = "dev";
/// The type of the executors.
const EXECUTOR_TYPE: &str = "cli";
/// A type of executor for which few processes wait, behind all others.
const RARE_TYPE: &str = "rare";
/// How many wait for [`RARE_TYPE`].
const RARE: usize = 100;
/// Processes that wait while executors ask.
const WAITING: usize = 100_000;
/// Executors that ask at once.
const EXECUTORS: usize = 32;
/// How many wait for the two figures of `latency`.
const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
/// Assignments of one figure of `latency`.
const TAKEN: usize = 200;
/// How often an idle server asks.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// The groups, by name, in the order of the report.
pub const GROUPS: &[(&str, Figures)] = &[
    ("mix", mix),
    ("assign", assign),
    ("latency", |bench| latency(bench, EXECUTOR_TYPE)),
    ("rare", |bench| latency(bench, RARE_TYPE)),
];

/// The seed of all that is random: the same processes on both sides.
const SEED: u64 = 0x0c01_0a1e;

fn make_tables(client: &mut Client) -> Result<(), BenchError> {
    // One at a time: so they are told apart when one fails.
    let statements = include_str!("colonies/tables.sql").split(";\n");
    for statement in statements.filter(|statement| !statement.trim().is_empty()) {
        client.query(statement)?;
    }
    Ok(())
}

/// Processes that wait, in the order of their priority times and in no order of their ids.
fn waiting(count: usize) -> String {
    let mut random = StdRng::seed_from_u64(SEED);
    let mut rows = String::new();
    for at in 0..count {
        let kind = match at + RARE < count {
            true => EXECUTOR_TYPE,
            false => RARE_TYPE,
        };
        let id = random.random::<u128>();
        writeln!(
            rows,
            "{id:032x}\t{COLONY}\t{{}}\t\t0\tf\t{kind}\t2026-11-22 12:00:00Z\t0001-01-01 00:00:00Z\t{{}}\techo\t[\"hello\"]\t{{}}\t\
             -1\t60\t0\t3\t0\t{at}\tf\t\tnull\tnull\t0\t0\t0\t0\t0\t0\tu0\tann\t"
        )
        .expect("a string takes everything");
    }
    rows
}

const COPY: &str = "COPY p_processes (process_id, target_colony_name, target_executor_names, \
    assigned_executor_id, state, is_assigned, executor_type, submission_time, start_time, errors, funcname, \
    args, kwargs, max_wait_time, max_exec_time, retries, max_retries, priority, prioritytime, \
    wait_for_parents, processgraph_id, input, output, nodes, cpu, processes, processes_per_node, memory, \
    storage, initiator_id, initiator_name, location_name) FROM STDIN";

/// Rows of one COPY: a statement has a limit.
const COPY_ROWS: usize = 100_000;

/// Copies in rows of [`waiting`].
fn fill(client: &mut Client, rows: &str) -> Result<(), BenchError> {
    let mut rest = rows;
    while !rest.is_empty() {
        let end = rest.match_indices('\n').nth(COPY_ROWS - 1);
        let (part, behind) = rest.split_at(end.map_or(rest.len(), |(at, _)| at + 1));
        client.copy_in(COPY, part.as_bytes())?;
        rest = behind;
    }
    Ok(())
}

/// Opens a connection.
type Open<'o> = dyn Fn() -> Result<Client, BenchError> + Sync + 'o;

/// Workers with connections of their own.
fn workers(open: &Open<'_>, count: usize) -> Result<Vec<Worker>, BenchError> {
    let worker = |number: usize| {
        // Every time others: what is random are ids.
        Ok(Worker::new(open()?, number, StdRng::from_os_rng()))
    };
    (0..count).map(worker).collect()
}

/// Lets each work on a thread of its own; all that they count, together.
fn together(
    workers: Vec<Worker>,
    work: impl Fn(&mut Worker) -> Result<usize, BenchError> + Sync,
) -> Result<usize, BenchError> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut worker| scope.spawn(move || work(&mut worker)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a worker does not panic"))
            .sum()
    })
}

fn count(client: &mut Client, condition: &str) -> Result<usize, BenchError> {
    let sql = format!("SELECT count(*) FROM p_processes WHERE {condition}");
    let answer = client.query(&sql)?;
    let answer = answer.and_then(|answer| answer.parse().ok());
    answer.ok_or_else(|| BenchError::Unfit(format!("{sql}: no number")))
}

/// Lives of processes a second.
fn lives(open: &Open<'_>, clients: usize, time: Duration) -> Result<f64, BenchError> {
    let mut client = open()?;
    let before = count(&mut client, "state = 2")?;
    let ended = AtomicBool::new(false);
    let since = Instant::now();
    let work = |worker: &mut Worker| {
        let mut done = 0;
        while since.elapsed() < time {
            worker.submit()?;
            if let Some(process) = worker.assign()? {
                worker.log(&process)?;
                worker.log(&process)?;
                worker.heart_beat()?;
                worker.close(&process)?;
                done += 1;
            }
        }
        Ok(done)
    };
    let idle = |mut server: Worker| {
        let mut turn = 0_u32;
        while !ended.load(Ordering::Relaxed) {
            server.poll(turn.is_multiple_of(2))?;
            turn += 1;
            thread::sleep(POLL_EVERY);
        }
        Ok::<_, BenchError>(())
    };
    let mut all = workers(open, clients + 1)?;
    let poller = all.pop().expect("one more than the clients");
    let done = thread::scope(|scope| {
        let polls = scope.spawn(|| idle(poller));
        let done = together(all, work);
        ended.store(true, Ordering::Relaxed);
        polls.join().expect("it does not panic")?;
        done
    })?;
    let taken = since.elapsed();
    let there = count(&mut client, "state = 2")? - before;
    match there == done {
        true => Ok(rate(done, taken)),
        false => {
            let what = format!("{done} processes were closed, and {there} are");
            Err(BenchError::Unfit(what))
        }
    }
}

/// Tables, and what is in them before processes are.
fn prepare(open: &Open<'_>, clients: usize) -> Result<(), BenchError> {
    make_tables(&mut open()?)?;
    let mut workers = workers(open, clients)?;
    workers.iter_mut().try_for_each(Worker::introduce)
}

/// The same work on a server that is there, in tables that are made for it and dropped.
pub fn run_at(
    address: &Address,
    options: &Options,
    (clients, round): (usize, Duration),
    mut print: impl FnMut(&str),
) -> Result<(), BenchError> {
    let open = || Client::open(address);
    let load = format!(" of {} s by {clients} clients", round.as_secs());
    options.announce_on("ColonyOS's statements", &load, &mut print);
    print(HEAD);
    prepare(&open, clients)?;
    let rows = waiting(WAITING);
    let alone = |what: &str, figures: &[f64], unit| Row {
        what: what.to_owned(),
        figure: Spread::of(figures),
        unit,
        bar: f64::NAN,
        aim: f64::NAN,
        better: Better::Higher,
        detail: String::new(),
    };
    let measured = (|| {
        let rounds = || 0..options.rounds;
        let lives = rounds().map(|_| lives(&open, clients, round));
        let lives = lives.collect::<Result<Vec<_>, _>>()?;
        print(&alone("mix", &lives, "lives of processes/s").to_string());
        let taken = rounds().map(|_| assigned(&open, &rows, round));
        let taken = taken.collect::<Result<Vec<_>, _>>()?;
        print(&alone("assign", &taken, "assignments/s").to_string());
        Ok(())
    })();
    let mut client = open()?;
    for table in TABLES {
        client.query(&format!("DROP TABLE {table}"))?;
    }
    measured
}

/// The tables of `colonies/tables.sql`.
const TABLES: [&str; 7] = [
    "p_colonies",
    "p_users",
    "p_executors",
    "p_functions",
    "p_processes",
    "p_attributes",
    "p_logs",
];

fn mix(bench: &mut Bench<'_>) -> Result<Row, BenchError> {
    let (clients, round) = (bench.subject.clients, bench.subject.round);
    let pair = Pair::start(bench, Commit::Synced, clients + 1)?;
    pair.each(|server| prepare(&|| server.client(), clients))?;
    let compared = pair.compare(bench.subject.options.rounds, |server| {
        lives(&|| server.client(), clients, round)
    })?;
    let what = format!("ColonyOS's mix, {clients} connections");
    Ok(compared.row(bench, what, "lives of processes/s", (1.5, 2.5)))
}

/// Assignments a second, from when as many wait as are to: until time is up, or half of them are taken.
fn assigned(open: &Open<'_>, rows: &str, time: Duration) -> Result<f64, BenchError> {
    let mut client = open()?;
    client.query("TRUNCATE p_processes")?;
    fill(&mut client, rows)?;
    client.query("VACUUM ANALYZE p_processes")?;
    let since = Instant::now();
    let share = WAITING / 2 / EXECUTORS;
    let taken = together(workers(open, EXECUTORS)?, |worker| {
        let mut taken = 0;
        while taken < share && since.elapsed() < time {
            taken += usize::from(worker.take(EXECUTOR_TYPE)?.is_some());
        }
        Ok(taken)
    })?;
    let rate = rate(taken, since.elapsed());
    let there = count(&mut client, "is_assigned")?;
    match there == taken {
        true => Ok(rate),
        false => {
            let what = format!("{taken} processes were assigned, and {there} are");
            Err(BenchError::Unfit(what))
        }
    }
}

fn assign(bench: &mut Bench<'_>) -> Result<Row, BenchError> {
    let pair = Pair::start(bench, Commit::Synced, EXECUTORS + 1)?;
    pair.each(|server| make_tables(&mut server.client()?))?;
    let (rows, round) = (waiting(WAITING), bench.subject.round);
    let compared = pair.compare(bench.subject.options.rounds, |server| {
        assigned(&|| server.client(), &rows, round)
    })?;
    let what = format!(
        "assignments, {} processes wait, {EXECUTORS} executors ask",
        short(WAITING as f64)
    );
    Ok(compared.row(bench, what, "assignments/s", (5.0, 20.0)))
}

/// How long one assignment takes in the middle of [`TAKEN`], in microseconds. Each is given back.
fn takes(open: &Open<'_>, executor_type: &str) -> Result<f64, BenchError> {
    let mut worker = workers(open, 1)?.remove(0);
    let mut times = Vec::new();
    for _ in 0..TAKEN {
        let since = Instant::now();
        let taken = worker.take(executor_type)?;
        times.push(since.elapsed().as_secs_f64() * 1e6);
        let taken = taken.ok_or_else(|| BenchError::Unfit("none was assigned".to_owned()))?;
        worker.give_back(&taken)?;
    }
    Ok(Spread::of(&times).median)
}

fn latency(bench: &mut Bench<'_>, executor_type: &str) -> Result<Row, BenchError> {
    let start = |count: usize| {
        let server = bench
            .subject
            .ours(Commit::Asynchronous, super::room_for(1))?;
        let mut client = server.client()?;
        make_tables(&mut client)?;
        fill(&mut client, &waiting(count))?;
        Ok::<_, BenchError>(server)
    };
    let pair = Pair {
        ours: start(MANY)?,
        theirs: Some(start(FEW)?),
    };
    let compared = pair.compare(bench.subject.options.rounds, |server| {
        takes(&|| server.client(), executor_type)
    })?;
    let (many, few) = (short(MANY as f64), short(FEW as f64));
    let theirs = compared.theirs.map_or(f64::NAN, |few| few.median);
    let which = match executor_type {
        RARE_TYPE => format!(", all but the last {RARE} for others"),
        _ => String::new(),
    };
    Ok(Row {
        what: format!("time of an assignment, {many} processes wait{which}, against {few}"),
        figure: compared.ratio.unwrap_or(compared.ours),
        unit: "x",
        bar: 2.0,
        aim: 1.3,
        better: Better::Lower,
        detail: format!(
            "{} against {} µs",
            short(compared.ours.median),
            short(theirs)
        ),
    })
}
