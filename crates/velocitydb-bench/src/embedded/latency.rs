//! Writers beside a checkpoint: their latency, and the checkpoint's memory.
//!
//! One writer updates random documents at a fixed rate, with and without a checkpoint running.
//! Latencies count from when a write was due, so that a stall is seen by all that it delays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use velocitydb::{Collection, Database, Options as DatabaseOptions};

use super::{Options, with_collection};
use crate::BenchError;
use crate::data::Data;
use crate::measure::{Better, Row, Spread, short};

const UPDATES_PER_SECOND: u64 = 20_000;
/// How long a side of a round takes, at least. In `n` seconds the p99.9 is what `n` milliseconds of
/// standing still make it: with one second, a single hiccup of the machine would be it.
const SPAN: Duration = Duration::from_secs(10);

/// What a span of updates looked like.
struct Span {
    p999_ms: f64,
    max_ms: f64,
    memory_max: u64,
}

fn updates(
    db: &Database,
    collection: &Collection,
    data: &Data,
    seed: u64,
    go_on: impl Fn(Duration) -> bool,
) -> Result<Span, BenchError> {
    let keys = data.keys();
    let mut random = StdRng::seed_from_u64(seed);
    let gap = Duration::from_nanos(1_000_000_000 / UPDATES_PER_SECOND);
    // No growing of its own between two updates.
    let mut latencies =
        Vec::with_capacity(UPDATES_PER_SECOND as usize * SPAN.as_secs() as usize * 2);
    let (start, mut due, mut memory_max) = (Instant::now(), Duration::ZERO, 0);
    while go_on(due) {
        while start.elapsed() < due {
            std::hint::spin_loop();
        }
        let at = random.random_range(0..keys.len());
        collection.upsert(&keys[at], data.document(at + 1))?;
        latencies.push((start.elapsed() - due).as_secs_f64() * 1e3);
        due += gap;
        if latencies.len() % 128 == 0 {
            memory_max = memory_max.max(db.stats().memory_used);
        }
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Ok(Span {
        p999_ms: at(0.999),
        max_ms: at(1.0),
        memory_max,
    })
}

/// With and without a checkpoint, round by round.
pub(super) fn latency(options: &Options, data: &Data) -> Result<Vec<Row>, BenchError> {
    let dir = tempfile::tempdir_in(&options.dir)?;
    let opened = DatabaseOptions::at(dir.path())
        .checkpoint_every(None)
        .checkpoint_log_bytes(u64::MAX)
        .checkpoint_entries(u64::MAX);
    let (db, collection) = with_collection(Database::open(opened)?)?;
    for (at, key) in data.keys().iter().enumerate() {
        collection.insert_with_id(key, data.document(at))?;
    }
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut max_with, mut max_without, mut growth) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds as u64 {
        let alone = updates(&db, &collection, data, round, |due| due < SPAN)?;
        let before = db.stats().memory_used;
        let done = AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            // One after the other: no moment of the span is without.
            let checkpoint = scope.spawn(|| {
                let start = Instant::now();
                let mut result = Ok(0);
                while result.is_ok() && start.elapsed() < SPAN {
                    result = db.checkpoint();
                }
                done.store(true, Ordering::Release);
                result
            });
            let span = updates(&db, &collection, data, round + 100, |_| {
                !done.load(Ordering::Acquire)
            });
            if let Ok(Err(error)) = checkpoint.join() {
                return Err(BenchError::from(error));
            }
            span
        })?;
        with.push(beside.p999_ms);
        without.push(alone.p999_ms);
        ratios.push(beside.p999_ms / alone.p999_ms);
        max_with.push(beside.max_ms);
        max_without.push(alone.max_ms);
        growth.push((beside.memory_max as f64 / before as f64 - 1.0) * 100.0);
    }
    let maxima = format!(
        "maximum {} ms with, {} ms without; p99.9 without: {} ms",
        short(Spread::of(&max_with).max),
        short(Spread::of(&max_without).max),
        short(Spread::of(&without).median)
    );
    Ok(vec![
        Row {
            what: "write latency p99.9 while a checkpoint runs".into(),
            figure: Spread::of(&with),
            unit: "ms",
            bar: 5.0,
            aim: 1.0,
            better: Better::Lower,
            detail: maxima,
        },
        Row {
            what: "the same, against p99.9 without a checkpoint".into(),
            figure: Spread::of(&ratios),
            unit: "x",
            bar: 2.0,
            aim: 1.0,
            better: Better::Lower,
            detail: String::new(),
        },
        Row {
            what: "a checkpoint's memory at 20,000 updates/s".into(),
            figure: Spread::of(&growth),
            unit: "%",
            bar: 5.0,
            aim: 2.0,
            better: Better::Lower,
            detail: String::new(),
        },
    ])
}
