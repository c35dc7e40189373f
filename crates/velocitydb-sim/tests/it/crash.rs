//! The process dies, or power is lost, at every operation of a run.

use std::io;

use velocitydb_engine::log::{FlushLevel, Recovered};
use velocitydb_sim::{CrashMode, FaultPlan, Random, Repeat, SimDisk, seeds};

use crate::model::{Content, Event, Model, open, step};

const STEPS: u64 = 40;

/// Runs until a step fails or the run is over; opens again now and then.
fn run(disk: &SimDisk, seed: u64, model: &mut Model) {
    let mut random = Random::new(seed);
    let context = || format!("seed {seed}, reopened in the middle");
    let mut log = None;
    for _ in 0..STEPS {
        if log.is_none() || random.one_in(12) {
            let reopened = log.take().is_some();
            let Ok((opened, recovered)) = open(disk, seed) else {
                return;
            };
            if reopened {
                let Ok(content) = Content::read(&opened, &recovered) else {
                    return;
                };
                model.adopt(&content, model.written, &context);
            }
            log = Some(opened);
        }
        let open = log.as_ref().expect("it was just opened");
        if step(open, model, &mut random).is_err() {
            return;
        }
        if random.one_in(20) {
            let closed = open.close();
            log = None;
            if closed.is_err() {
                return;
            }
            (model.written, model.synced) = (model.events.len(), model.events.len());
        }
    }
}

/// Opens what a crash left, checks it, and goes on with it for a while.
fn check(
    disk: SimDisk,
    mode: CrashMode,
    model: &mut Model,
    context: &dyn Fn() -> String,
) -> SimDisk {
    let floor = if mode == CrashMode::Process {
        model.written
    } else {
        model.synced
    };
    let (log, recovered) = match open(&disk, 2) {
        Ok(opened) => opened,
        Err(error) => panic!("{}: {error}\n{}", context(), disk.trace().join("\n")),
    };
    // Reading is checked against a log that was opened without any fault.
    model.adopt(&Content::of(&log, &recovered), floor, context);
    drop(log);
    // What is cut is cut once.
    let (_, again) = open(&disk, 2).unwrap();
    assert_eq!(
        again,
        Recovered {
            torn: None,
            ..recovered
        },
        "{}",
        context()
    );
    disk
}

fn crash_everywhere(mode: CrashMode, usual_seeds: u64) {
    for seed in seeds(usual_seeds) {
        let whole = SimDisk::new(seed);
        run(&whole, seed, &mut Model::default());
        for at in 0..whole.operations() {
            let disk = SimDisk::new(seed.wrapping_mul(31).wrapping_add(at));
            disk.plan(Some(FaultPlan::nth(
                at,
                Repeat::FromThenOn,
                io::ErrorKind::Other,
            )));
            let mut model = Model::default();
            run(&disk, seed, &mut model);
            let context = || format!("seed {seed}, {mode:?} at operation {at}");
            let disk = check(disk.crash(mode), mode, &mut model, &context);
            // What was recovered is durable, and the log can be used: once more, with another
            // crash after a few steps.
            let mut random = Random::new(seed ^ at);
            let (log, _) = open(&disk, seed).unwrap();
            for _ in 0..6 {
                step(&log, &mut model, &mut random).unwrap();
            }
            let context = || format!("seed {seed}, second crash after {mode:?} at operation {at}");
            check(
                disk.crash(CrashMode::PowerLoss),
                CrashMode::PowerLoss,
                &mut model,
                &context,
            );
        }
    }
}

#[test]
pub fn nothing_written_is_lost_when_the_process_dies() {
    crash_everywhere(CrashMode::Process, 12);
}

#[test]
pub fn nothing_synced_is_lost_when_power_is_lost() {
    crash_everywhere(CrashMode::PowerLoss, 24);
}

#[test]
pub fn a_crash_while_recovering_is_recovered() {
    for seed in seeds(16) {
        let disk = SimDisk::new(seed);
        let mut model = Model::default();
        run(&disk, seed, &mut model);
        let mut disk = disk.crash(CrashMode::PowerLoss);
        for at in 0..40 {
            disk.plan(Some(FaultPlan::nth(
                at,
                Repeat::FromThenOn,
                io::ErrorKind::Other,
            )));
            let done = open(&disk, seed).is_ok();
            disk = disk.crash(CrashMode::PowerLoss);
            if done {
                break;
            }
        }
        let context = || format!("seed {seed}");
        check(disk, CrashMode::PowerLoss, &mut model, &context);
    }
}

#[test]
pub fn reused_files_never_show_old_records() {
    // Every payload is unique, so an old record in a reused file would not be explained.
    let mut recycled = 0;
    for seed in seeds(40) {
        let disk = SimDisk::new(seed);
        let mut model = Model::default();
        let mut random = Random::new(seed);
        let (log, _) = open(&disk, seed).unwrap();
        for index in 1..=60u64 {
            let payload: Vec<u8> = (0..400).map(|_| random.bits() as u8).collect();
            log.reserve(500).unwrap();
            log.append(index, seed, &payload).unwrap();
            model.events.push(Event::Append(index, seed, payload));
            if random.one_in(3) {
                log.flush(index, FlushLevel::Synced).unwrap();
                model.synced = model.events.len();
            }
            if index > 12 && random.one_in(8) {
                model.events.push(Event::Purge(index - 8));
                log.purge(index - 8).unwrap();
                model.synced = model.events.len();
            }
        }
        recycled += log.stats().segments_recycled;
        let context = || format!("seed {seed}");
        let disk = disk.crash(CrashMode::PowerLoss);
        check(disk, CrashMode::PowerLoss, &mut model, &context);
    }
    assert!(recycled > 10, "the test reuses files: {recycled}");
}

/// A log whose newest segment is a reused file, its unsynced records at the places where the
/// old ones are: each is a sector, and the end mark behind it is in the next one. Answers it and
/// its newest entry.
fn log_in_a_reused_file(seed: u64) -> (SimDisk, u64) {
    let disk = SimDisk::new(seed);
    let (log, _) = open(&disk, 0).unwrap();
    let mut random = Random::new(seed);
    let append = |record: usize, random: &mut Random| {
        let index = log.last().map_or(200, |last| last + 1);
        // Prefix, tag, an index of two bytes and a term of one.
        let payload: Vec<u8> = (0..record - 12).map(|_| random.bits() as u8).collect();
        log.reserve(payload.len() as u64).unwrap();
        log.append(index, 1, &payload).unwrap();
        log.flush(index, FlushLevel::Written).unwrap();
        index
    };
    let begin = |random: &mut Random| {
        // Behind the header and the purge position that is restated.
        let begun = log.stats().segments_begun;
        loop {
            let first = append(512 - 153, random);
            if log.stats().segments_begun > begun {
                return first;
            }
        }
    };
    append(100, &mut random);
    while log.stats().segments_recycled < 4 {
        let first = begin(&mut random);
        for _ in 0..6 {
            append(512, &mut random);
        }
        append(300, &mut random);
        log.purge(first - 1).unwrap();
    }
    begin(&mut random);
    append(512, &mut random);
    let last = append(512, &mut random);
    (disk, last)
}

#[test]
pub fn an_old_record_behind_a_lost_end_mark_is_not_taken() {
    for seed in seeds(60) {
        let (disk, last) = log_in_a_reused_file(seed);
        let copy = disk.copy(seed);
        let (_, recovered) = open(&copy, 0).unwrap();
        assert_eq!(
            (recovered.last, recovered.torn),
            (Some((last, 1)), None),
            "seed {seed}"
        );
        let disk = disk.crash(CrashMode::PowerLoss);
        let (_, recovered) = open(&disk, 0).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(
            recovered.last.is_some_and(|(newest, _)| newest <= last),
            "seed {seed}"
        );
    }
}
