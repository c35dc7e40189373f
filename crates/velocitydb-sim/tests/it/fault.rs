//! Every operation of a run fails, once or from then on.

use std::io;

use velocitydb::Timestamp;
use velocitydb_engine::log::LogError;
use velocitydb_sim::{
    AfterFailedSync, CrashMode, FaultPlan, Operation, Random, Repeat, SimDisk, seeds,
};

use crate::model::{Content, Model, open, step};

const STEPS: u64 = 40;

/// Opens, again when a fault hits that; the second time there is none.
fn open_again(
    disk: &SimDisk,
    seed: u64,
) -> (
    velocitydb_engine::log::Log,
    velocitydb_engine::log::Recovered,
) {
    open(disk, seed).or_else(|_| open(disk, seed)).unwrap()
}

/// A run that lives on after errors: a closed log is opened again on the same, running machine.
fn run(disk: &SimDisk, seed: u64, model: &mut Model, context: &dyn Fn() -> String) {
    let mut random = Random::new(seed);
    let (mut log, _) = open_again(disk, seed);
    for _ in 0..STEPS {
        let events = model.events.len();
        match step(&log, model, &mut random) {
            Ok(()) => {}
            Err(LogError::DiskFull { .. }) => {
                assert!(
                    log.check_open().is_ok(),
                    "{}: a full disk closes nothing",
                    context()
                );
                model.events.truncate(events);
            }
            Err(_) => {
                drop(log);
                let opened = open_again(disk, seed);
                let floor = model.written;
                model.adopt(&Content::of(&opened.0, &opened.1), floor, context);
                log = opened.0;
            }
        }
    }
}

fn fail_everywhere(kind: io::ErrorKind, operation: Option<Operation>, usual_seeds: u64) {
    for seed in seeds(usual_seeds) {
        let whole = SimDisk::new(seed);
        run(&whole, seed, &mut Model::default(), &|| {
            format!("seed {seed}")
        });
        for at in 0..whole.operations() {
            let disk = SimDisk::new(seed);
            if seed % 3 == 0 {
                disk.after_failed_sync(AfterFailedSync::Kept);
            }
            disk.plan(Some(FaultPlan {
                operation,
                nth: at,
                repeat: Repeat::Once,
                error: kind,
            }));
            let context = || format!("seed {seed}, {operation:?} {at} fails once with {kind:?}");
            let mut model = Model::default();
            run(&disk, seed, &mut model, &context);
            let disk = disk.crash(CrashMode::PowerLoss);
            let (log, recovered) = match open(&disk, seed) {
                Ok(opened) => opened,
                Err(error) => panic!("{}: {error}\n{}", context(), disk.trace().join("\n")),
            };
            let floor = model.synced;
            model.adopt(&Content::of(&log, &recovered), floor, &context);
        }
    }
}

#[test]
pub fn any_operation_may_fail_once() {
    fail_everywhere(io::ErrorKind::Other, None, 12);
}

#[test]
pub fn any_operation_may_find_the_disk_full_once() {
    fail_everywhere(io::ErrorKind::StorageFull, None, 6);
}

#[test]
pub fn a_failed_sync_closes_the_log_for_everyone_and_is_not_retried() {
    let disk = SimDisk::new(3);
    let (log, _) = open(&disk, 4).unwrap();
    for index in 1..=3 {
        log.reserve(10).unwrap();
        log.append(index, 0, b"payload").unwrap();
    }
    log.flush(2, velocitydb_engine::log::FlushLevel::Synced)
        .unwrap();
    log.reserve(10).unwrap();
    log.append(4, 0, b"payload").unwrap();
    let plan = FaultPlan::nth_of(Operation::Sync, 0, Repeat::Once, io::ErrorKind::Other);
    disk.plan(Some(plan));
    let failed = log
        .flush(4, velocitydb_engine::log::FlushLevel::Synced)
        .unwrap_err();
    assert!(matches!(failed, LogError::Closed { .. }), "{failed:?}");
    let operations = disk.operations();
    // The fault is over, and still:
    for result in [
        log.flush(4, velocitydb_engine::log::FlushLevel::Synced),
        log.flush(4, velocitydb_engine::log::FlushLevel::Written),
        log.reserve(1),
        log.append(5, 0, b""),
        log.save_vote(b"v"),
        log.save_committed(1, 1),
        log.truncate_after(Some(1)),
        log.purge(1),
        log.reset_to(9, 9),
        log.prepare_spare(Timestamp(0)),
        log.sync_all(),
        log.close(),
    ] {
        assert!(matches!(result, Err(LogError::Closed { .. })), "{result:?}");
    }
    assert_eq!(
        disk.operations(),
        operations,
        "a closed log leaves the disk alone"
    );
    assert_eq!(log.synced(), 3, "the first sync covered what was there");
}
