//! Prints what the log costs on the real disk, in the temporary directory or the one given as
//! argument: `cargo run --release -p velocitydb-sim --example log_figures -- DIR`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use velocitydb::Timestamp;
use velocitydb_engine::disk::{Disk, RealDisk};
use velocitydb_engine::log::{FlushLevel, Log, LogError, LogOptions, WritePath};
use velocitydb_sim::Random;

const PAYLOAD: [u8; 200] = [7; 200];

fn open(dir: &Path, write_path: WritePath) -> Log {
    let _ = std::fs::remove_dir_all(dir);
    let mut options = LogOptions::default();
    options.first_segment_bytes = options.segment_bytes;
    options.write_path = write_path;
    let salts = Random::new(1).salts();
    let (log, _) = Log::open(Arc::new(RealDisk), dir, options, salts).unwrap();
    // The first segment and a spare are there before the clock starts.
    log.prepare_spare(Timestamp(0)).unwrap();
    append(&log, 1);
    log.flush(1, FlushLevel::Synced).unwrap();
    log.prepare_spare(Timestamp(0)).unwrap();
    log
}

fn append(log: &Log, index: u64) {
    log.reserve(PAYLOAD.len() as u64).unwrap();
    log.append(index, 0, &PAYLOAD).unwrap();
}

fn nanoseconds(spent: Duration, count: u64) -> f64 {
    spent.as_nanos() as f64 / count as f64
}

fn lone(dir: &Path, write_path: WritePath) -> f64 {
    let log = open(dir, write_path);
    let (mut spent, count) = (Duration::ZERO, 200_000);
    for batch in 0..count / 1000 {
        let start = Instant::now();
        (2 + batch * 1000..2 + (batch + 1) * 1000).for_each(|index| append(&log, index));
        spent += start.elapsed();
        log.flush(log.last_index(), FlushLevel::Written).unwrap();
    }
    println!(
        "reserve + append, 200 bytes: {:.0} ns",
        nanoseconds(spent, count)
    );

    let log = open(dir, write_path);
    let (start, count) = (Instant::now(), 250_000);
    for index in 2..2 + count {
        append(&log, index);
        log.flush(index, FlushLevel::Written).unwrap();
    }
    println!(
        "append + flush(Written), alone: {:.0} ns",
        nanoseconds(start.elapsed(), count)
    );

    let start = Instant::now();
    let mut bytes = 0;
    let counted = log.replay::<LogError>(1, |entry| {
        bytes += entry.payload.len();
        Ok(ControlFlow::Continue(()))
    });
    counted.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "replay: {:.1} million entries/s",
        bytes as f64 / 200.0 / seconds / 1e6
    );
    drop(log);
    let start = Instant::now();
    let salts = Random::new(2).salts();
    Log::open(Arc::new(RealDisk), dir, LogOptions::default(), salts).unwrap();
    println!(
        "open after a kill, {} MB: {:.0?}",
        bytes / 1_000_000,
        start.elapsed()
    );

    let log = open(dir, write_path);
    let (start, count) = (Instant::now(), 5000);
    for index in 2..2 + count {
        append(&log, index);
        log.flush(index, FlushLevel::Synced).unwrap();
    }
    let each = nanoseconds(start.elapsed(), count);
    println!("append + flush(Synced), alone: {:.1} µs", each / 1000.0);
    1e9 / each
}

fn raw_sync(dir: &Path) {
    let path = dir.join("raw");
    let file = RealDisk.create(&path).unwrap();
    file.allocate(4 << 20).unwrap();
    file.sync_data().unwrap();
    let (start, count) = (Instant::now(), 5000);
    for number in 0..count {
        file.write_all_at(&PAYLOAD, number * 216).unwrap();
        file.sync_data().unwrap();
    }
    println!(
        "write + sync without a log: {:.1} µs",
        nanoseconds(start.elapsed(), count) / 1000.0
    );
    RealDisk.remove(&path).unwrap();
}

fn many(dir: &Path, write_path: WritePath, threads: u64, level: FlushLevel, lone: f64) {
    let log = open(dir, write_path);
    let (next, each) = (Mutex::new(2u64), 200_000 / threads);
    let before = log.stats();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..each {
                    let index = {
                        let mut next = next.lock();
                        append(&log, *next);
                        *next += 1;
                        *next - 1
                    };
                    log.flush(index, level).unwrap();
                }
            });
        }
    });
    let rate = (threads * each) as f64 / start.elapsed().as_secs_f64();
    let syncs = (log.stats().syncs - before.syncs).max(1);
    let (per_sync, times) = ((threads * each) as f64 / syncs as f64, rate / lone);
    println!("{threads} threads, {level:?}: {rate:.0}/s");
    if level == FlushLevel::Synced {
        println!("    {times:.1} times the rate alone, {per_sync:.1} entries a sync");
    }
}

fn main() {
    let base = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join(format!("velocitydb-log-figures-{}", std::process::id()));
    for write_path in [WritePath::Calls, WritePath::Mapped] {
        println!("\n{write_path:?}");
        let rate = lone(&dir, write_path);
        raw_sync(&dir);
        many(&dir, write_path, 16, FlushLevel::Synced, rate);
        many(&dir, write_path, 64, FlushLevel::Synced, rate);
        many(&dir, write_path, 64, FlushLevel::Written, rate);
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
