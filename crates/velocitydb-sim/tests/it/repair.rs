//! A repair says what it loses, keeps what it cuts, and leaves a log that opens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use velocitydb_engine::disk::Disk;
use velocitydb_engine::log::{FlushLevel, Log, RepairMode, WritePath, check, repair};
use velocitydb_sim::{Random, SimDisk};

use crate::model::{DIR, open, options};

/// Entries 1 to 30 in several segments, purged up to `purged`.
fn log_of_thirty(purged: u64) -> (SimDisk, Vec<PathBuf>) {
    let disk = SimDisk::new(5);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let salts = Random::new(8).salts();
    let (log, _) = Log::open(shared, Path::new(DIR), options(WritePath::Calls), salts).unwrap();
    let mut random = Random::new(6);
    for index in 1..=30 {
        let payload: Vec<u8> = (0..400).map(|_| random.bits() as u8).collect();
        log.reserve(400).unwrap();
        log.append(index, 0, &payload).unwrap();
        log.flush(index, FlushLevel::Synced).unwrap();
    }
    if purged > 0 {
        log.purge(purged).unwrap();
    }
    log.close().unwrap();
    let segments: Vec<_> = disk
        .paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "wal"))
        .collect();
    assert!(segments.len() >= 3, "{segments:?}");
    (disk, segments)
}

fn repaired(disk: &SimDisk, mode: RepairMode) -> velocitydb_engine::log::RepairReport {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    repair(&shared, Path::new(DIR), mode, Random::new(77).salts()).unwrap()
}

#[test]
fn a_whole_log_is_left_alone() {
    let (disk, _) = log_of_thirty(0);
    let before: Vec<_> = disk.paths();
    let report = repaired(&disk, RepairMode::CarryOut);
    assert_eq!(
        (report.kept, report.lost, report.damage.len()),
        (Some((1, 30)), None, 0)
    );
    assert_eq!(disk.paths(), before);
}

#[test]
fn damage_in_the_middle_cuts_there() {
    let (disk, segments) = log_of_thirty(0);
    assert!(disk.flip_bit(&segments[1], 8 * 700));
    let damage = check(&disk, Path::new(DIR)).unwrap().damage;
    assert!(damage.is_some());
    assert!(open(&disk, 1).is_err());

    let before = disk.paths();
    let dry = repaired(&disk, RepairMode::DryRun);
    assert_eq!(disk.paths(), before, "a dry run changes nothing");
    let (first, kept) = dry.kept.unwrap();
    assert_eq!((first, dry.lost), (1, Some((kept + 1, 30))));
    assert!(kept > 1 && dry.lost_bytes > 400, "{dry:?}");

    let done = repaired(&disk, RepairMode::CarryOut);
    assert_eq!(
        (done.kept, done.lost, done.lost_bytes),
        (dry.kept, dry.lost, dry.lost_bytes)
    );
    let (log, recovered) = open(&disk, 1).unwrap();
    assert_eq!(
        (recovered.first, recovered.last),
        (Some(1), Some((kept, 0)))
    );
    assert_eq!(
        done.saved_as.len(),
        segments.len() - 1,
        "the rest of one and all after it"
    );
    for name in &done.saved_as {
        assert!(
            disk.content(&Path::new(DIR).join(name))
                .is_some_and(|bytes| !bytes.is_empty())
        );
    }
    // The log goes on.
    log.reserve(5).unwrap();
    log.append(kept + 1, 1, b"again").unwrap();
    log.flush(kept + 1, FlushLevel::Synced).unwrap();
}

#[test]
fn a_damaged_header_takes_its_segment_along() {
    let (disk, segments) = log_of_thirty(0);
    assert!(disk.flip_bit(segments.last().unwrap(), 8 * 20));
    let report = repaired(&disk, RepairMode::CarryOut);
    assert_eq!(report.saved_as.len(), 1);
    let (_, recovered) = open(&disk, 1).unwrap();
    assert_eq!(recovered.last, report.kept.map(|(_, last)| (last, 0)));
}

#[test]
fn a_lost_beginning_is_said_and_accepted() {
    let (disk, segments) = log_of_thirty(0);
    assert!(disk.lose(&segments[0]));
    assert!(open(&disk, 1).is_err());
    let report = repaired(&disk, RepairMode::CarryOut);
    let (first, last) = report.kept.unwrap();
    assert_eq!((report.missing_before, last), (Some((0, first - 1)), 30));
    let (_, recovered) = open(&disk, 1).unwrap();
    assert_eq!(
        (recovered.first, recovered.last),
        (Some(first), Some((30, 0)))
    );
}

#[test]
fn a_hole_keeps_what_is_before_it() {
    let (disk, segments) = log_of_thirty(0);
    assert!(disk.lose(&segments[1]));
    assert!(open(&disk, 1).is_err());
    let report = repaired(&disk, RepairMode::CarryOut);
    let (first, last) = report.kept.unwrap();
    assert_eq!(first, 1);
    assert_eq!(report.lost, Some((last + 1, 30)));
    let (_, recovered) = open(&disk, 1).unwrap();
    assert_eq!(recovered.last, Some((last, 0)));
}

#[test]
fn a_purge_position_that_is_cut_off_is_stated_again() {
    let (disk, segments) = log_of_thirty(6);
    // The purge was recorded in the newest segment; only the oldest is whole.
    assert!(disk.flip_bit(&segments[1], 8 * 20));
    let report = repaired(&disk, RepairMode::CarryOut);
    let (log, recovered) = open(&disk, 1).unwrap();
    assert_eq!(recovered.last, report.kept.map(|(_, last)| (last, 0)));
    assert!(
        recovered.first.is_some() && log.purged().is_some(),
        "{report:?}"
    );
}
