//! A full disk is found before an entry is accepted, and is no end.

use std::io;
use std::path::Path;
use std::sync::Arc;

use velocitydb::Timestamp;
use velocitydb_engine::disk::Disk;
use velocitydb_engine::log::{FlushLevel, Log, LogError, WritePath};
use velocitydb_sim::{CrashMode, FaultPlan, Operation, Random, Repeat, SimDisk, seeds};

use crate::model::{Content, DIR, Event, Model, open, options};

#[test]
fn a_full_disk_refuses_entries_and_loses_none() {
    for seed in seeds(30) {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(seed);
        let (log, _) = open(&disk, seed).unwrap();
        let mut model = Model::default();
        disk.set_capacity(Some(3000 + random.below(30_000)));
        let mut refused = 0;
        let mut index = 1;
        while refused < 5 {
            let payload = vec![random.bits() as u8; random.below(900) as usize];
            let last = log.last_index();
            match log.reserve(payload.len() as u64) {
                Ok(()) => {
                    log.append(index, 1, &payload).unwrap();
                    log.flush(index, FlushLevel::Synced).unwrap();
                    model.events.push(Event::Append(index, 1, payload));
                    index += 1;
                }
                Err(LogError::DiskFull { needed }) => {
                    assert!(needed > 0);
                    assert_eq!(log.last_index(), last);
                    refused += 1;
                    // Space comes back, and goes again.
                    disk.set_capacity(None);
                    log.reserve(payload.len() as u64).unwrap();
                    log.append(index, 1, &payload).unwrap();
                    log.flush(index, FlushLevel::Synced).unwrap();
                    model.events.push(Event::Append(index, 1, payload));
                    index += 1;
                    let used: usize = disk
                        .paths()
                        .iter()
                        .filter_map(|path| disk.content(path))
                        .map(|c| c.len())
                        .sum();
                    disk.set_capacity(Some(used as u64 + random.below(9000)));
                }
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        // A full disk hinders no start.
        disk.set_capacity(Some(0));
        let disk = disk.crash(CrashMode::PowerLoss);
        let (log, recovered) = open(&disk, seed).unwrap();
        let floor = model.events.len();
        model.adopt(&Content::of(&log, &recovered), floor, &|| {
            format!("seed {seed}")
        });
        // A file that was prepared before the crash serves as long as it lasts.
        let next = log.last_index() + 1;
        let full = (next..next + 1000).find_map(|index| {
            let reserved = log.reserve(300);
            if reserved.is_ok() {
                log.append(index, 1, &[7; 300]).unwrap();
            }
            reserved.err()
        });
        assert!(
            matches!(full, Some(LogError::DiskFull { .. })),
            "seed {seed}: {full:?}"
        );
        disk.set_capacity(None);
        log.reserve(1).unwrap();
    }
}

#[test]
fn an_entry_larger_than_a_segment_gets_its_own() {
    let disk = SimDisk::new(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (log, _) = Log::open(
        shared,
        Path::new(DIR),
        options(WritePath::Calls),
        Random::new(1).salts(),
    )
    .unwrap();
    let mut random = Random::new(9);
    let large: Vec<u8> = (0..50_000).map(|_| random.bits() as u8).collect();
    for (index, payload) in [(1, &b"small"[..]), (2, &large), (3, &b"after"[..])] {
        log.reserve(payload.len() as u64).unwrap();
        log.append(index, 0, payload).unwrap();
    }
    log.flush(3, FlushLevel::Synced).unwrap();
    let disk = disk.crash(CrashMode::PowerLoss);
    let (log, _) = open(&disk, 2).unwrap();
    let entries: Vec<_> = log
        .read(1..9)
        .unwrap()
        .map(|entry| entry.unwrap().payload)
        .collect();
    assert_eq!(entries, [b"small".to_vec(), large, b"after".to_vec()]);
}

/// A log with segments of a usual size, on a disk that is small for it.
fn large_segments(disk: &SimDisk) -> Log {
    let mut options = options(WritePath::Calls);
    (options.first_segment_bytes, options.segment_bytes) = (64 << 10, 1 << 20);
    let (shared, salts) = (Arc::new(disk.clone()), Random::new(1).salts());
    let (log, _) = Log::open(shared, Path::new(DIR), options, salts).unwrap();
    log
}

/// Appends until it is refused; how many bytes fitted.
fn fill(log: &Log) -> (u64, LogError) {
    let mut random = Random::new(3);
    let mut bytes = 0;
    loop {
        let payload: Vec<u8> = (0..500).map(|_| random.bits() as u8).collect();
        if let Err(error) = log.reserve(500) {
            return (bytes, error);
        }
        log.append(log.last_index() + 1, 0, &payload).unwrap();
        log.flush(log.last_index(), FlushLevel::Written).unwrap();
        bytes += 500;
    }
}

fn done(disk: &SimDisk, operation: &str) -> usize {
    let of_it = |line: &&String| line.split(' ').nth(1) == Some(operation);
    disk.trace().iter().filter(of_it).count()
}

#[test]
fn segments_get_smaller_as_the_disk_gets_full_and_nothing_is_written_in_vain() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(300_000));
    let log = large_segments(&disk);
    let (bytes, error) = fill(&log);
    assert!(matches!(error, LogError::DiskFull { .. }), "{error}");
    assert!(bytes > 220_000, "{bytes} of 300000 bytes were used");
    assert!(matches!(log.refusal(), Some(LogError::DiskFull { .. })));
    assert!(log.is_short_of_space());
    let tried = || ["Create", "Allocate", "Write"].map(|operation| done(&disk, operation));
    let before = tried();
    for n in 0..100 {
        assert!(log.reserve(500).is_err());
        // What is prepared may be less than was asked for.
        let _ = log.prepare_spare(Timestamp(n * 20_000));
    }
    assert_eq!(tried(), before, "the disk is asked, not tried");
    // What only removes goes on, and the space that is kept for a checkpoint is left.
    for _ in 0..50 {
        log.reserve_to_remove(40).unwrap();
        log.append(log.last_index() + 1, 0, &[0; 40]).unwrap();
    }
    let used: usize = disk
        .paths()
        .iter()
        .filter_map(|path| disk.content(path))
        .map(|c| c.len())
        .sum();
    assert!(300_000 - used >= 8 << 10, "{used} bytes are used");
    disk.set_capacity(None);
    log.prepare_spare(Timestamp(3_000_000)).unwrap();
    assert!(log.refusal().is_none() && !log.is_short_of_space());
    log.reserve(500).unwrap();
}

/// A purge frees space without needing any, and its file becomes the next segment.
#[test]
fn a_purge_on_a_full_disk_lets_entries_in_again() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(300_000));
    let log = large_segments(&disk);
    fill(&log);
    log.purge(log.last_index()).unwrap();
    let before = log.stats().segments_recycled;
    assert_eq!(before, 1, "the largest of what is purged is not given away");
    log.reserve(500).unwrap();
    assert!(fill(&log).0 > 100_000);
}

/// A disk that says it has space and then has none, as with a quota.
#[test]
fn a_failure_that_nobody_foresaw_is_tried_again_after_growing_pauses() {
    let disk = SimDisk::new(1);
    let log = large_segments(&disk);
    let full = FaultPlan::nth_of(
        Operation::Allocate,
        0,
        Repeat::FromThenOn,
        io::ErrorKind::StorageFull,
    );
    disk.plan(Some(full));
    let tries_until = |end_ms: i64| {
        let before = done(&disk, "Allocate");
        for ms in (end_ms - 1000..end_ms).step_by(20) {
            assert!(log.prepare_spare(Timestamp(ms * 1000)).is_err());
            assert!(matches!(log.reserve(10), Err(LogError::DiskFull { .. })));
        }
        done(&disk, "Allocate") - before
    };
    let tries: Vec<usize> = (1..=16).map(|second| tries_until(second * 1000)).collect();
    assert_eq!(tries, [2, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    disk.plan(None);
    assert!(log.reserve(10).is_err(), "it is not yet time");
    log.prepare_spare(Timestamp(30_000_000)).unwrap();
    log.reserve(10).unwrap();
    assert!(log.refusal().is_none());
}

/// Descriptors: nothing that only goes on needs a new one, and a new segment waits for one.
#[test]
fn when_no_file_can_be_opened_entries_are_refused_until_one_can() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk, 2).unwrap();
    let append = |index: u64| {
        log.reserve(100)?;
        log.append(index, 1, &[index as u8; 100])?;
        log.flush(index, FlushLevel::Synced)
    };
    append(1).unwrap();
    for operation in [Operation::Open, Operation::OpenToRead] {
        let plan = FaultPlan::nth_of(operation, 0, Repeat::FromThenOn, io::ErrorKind::Other);
        disk.plan(Some(plan));
        for _ in 0..100 {
            append(log.last_index() + 1).unwrap();
        }
        log.purge(log.last_index() - 3).unwrap();
    }
    assert!(log.stats().segments_begun > 4);
    let plan = FaultPlan::nth_of(
        Operation::Create,
        0,
        Repeat::FromThenOn,
        io::ErrorKind::Other,
    );
    disk.plan(Some(plan));
    let mut index = log.last_index();
    let error = loop {
        match append(index + 1) {
            Ok(()) => index += 1,
            Err(error) => break error,
        }
    };
    assert!(
        error.to_string().contains("cannot prepare the log file"),
        "{error}"
    );
    assert!(log.check_open().is_ok() && log.refusal().is_some());
    let number = |path: &std::path::PathBuf| path.to_str().map(str::to_owned);
    let names: Vec<_> = disk.paths().iter().filter_map(number).collect();
    for second in 0..60 {
        assert!(log.prepare_spare(Timestamp(second * 1_000_000)).is_err());
    }
    disk.plan(None);
    log.prepare_spare(Timestamp(100_000_000)).unwrap();
    assert!(log.refusal().is_none());
    let new: Vec<_> = disk
        .paths()
        .iter()
        .filter_map(number)
        .filter(|n| !names.contains(n))
        .collect();
    assert_eq!(new.len(), 1, "{new:?}");
    append(index + 1).unwrap();
    let disk = disk.crash(CrashMode::PowerLoss);
    let (_, recovered) = open(&disk, 3).unwrap();
    assert_eq!(recovered.last, Some((index + 1, 1)));
}

/// A directory that cannot be synced may have lost a segment's name.
#[test]
fn a_directory_whose_sync_fails_closes_the_log() {
    let disk = SimDisk::new(1);
    let (log, _) = open(&disk, 2).unwrap();
    let plan = FaultPlan::nth_of(Operation::SyncDir, 0, Repeat::Once, io::ErrorKind::Other);
    disk.plan(Some(plan));
    assert!(matches!(log.reserve(10), Err(LogError::Closed { .. })));
    assert!(matches!(log.reserve(10), Err(LogError::Closed { .. })));
}

/// A file that was being prepared when everything failed: its length is not on the disk, though it
/// reads so until power is lost.
#[test]
fn a_prepared_file_whose_sync_failed_is_used_only_in_its_whole_length() {
    for faulty in 0..12 {
        let disk = SimDisk::new(faulty);
        let (log, _) = open(&disk, 2).unwrap();
        let plan = FaultPlan::nth(faulty, Repeat::FromThenOn, io::ErrorKind::Other);
        disk.plan(Some(plan));
        let _ = log.reserve(10);
        let disk = disk.crash(CrashMode::Process);
        let (log, _) = open(&disk, 2).unwrap();
        log.reserve(10).unwrap();
        log.append(1, 0, &[7; 10]).unwrap();
        log.flush(1, FlushLevel::Synced).unwrap();
        let disk = disk.crash(CrashMode::PowerLoss);
        let path = disk
            .paths()
            .into_iter()
            .find(|path| path.extension().is_some_and(|e| e == "wal"));
        let length = disk.content(&path.unwrap()).unwrap().len();
        assert!(length >= 2048, "fault {faulty}: {length} bytes");
        let (_, recovered) = open(&disk, 2).unwrap();
        assert_eq!(recovered.last, Some((1, 0)), "fault {faulty}");
    }
}
