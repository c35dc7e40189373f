//! A repair says what it loses, keeps what it cuts, and leaves a log that opens.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use velocitydb_engine::disk::Disk;
use velocitydb_engine::log::{Base, FlushLevel, Log, RepairMode, WritePath, check, repair};
use velocitydb_sim::{Random, SimDisk};

use crate::model::{DIR, keys, open, options};

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
    repaired_behind(disk, 0, mode)
}

/// Repairs behind a checkpoint of this index.
fn repaired_behind(
    disk: &SimDisk,
    index: u64,
    mode: RepairMode,
) -> velocitydb_engine::log::RepairReport {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (base, salts) = (Base { index, term: 0 }, Random::new(77).salts());
    repair(&shared, Path::new(DIR), base, mode, salts, &keys()).unwrap()
}

/// A change of the files that nobody ordered; whether there was something to change.
type Damage = fn(&SimDisk, &[PathBuf]) -> bool;

/// The first entry of a segment, as its name says.
fn first_of(segment: &Path) -> u64 {
    let name = segment.file_stem().unwrap().to_str().unwrap();
    name.split_once('-').unwrap().1.parse().unwrap()
}

#[test]
pub fn a_whole_log_is_left_alone() {
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
pub fn damage_in_the_middle_cuts_there() {
    let (disk, segments) = log_of_thirty(0);
    assert!(disk.flip_bit(&segments[1], 8 * 700));
    let damage = check(&disk, Path::new(DIR), &keys()).unwrap().damage;
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
pub fn a_damaged_header_takes_its_segment_along() {
    let (disk, segments) = log_of_thirty(0);
    assert!(disk.flip_bit(segments.last().unwrap(), 8 * 20));
    let report = repaired(&disk, RepairMode::CarryOut);
    assert_eq!(report.saved_as.len(), 1);
    let (_, recovered) = open(&disk, 1).unwrap();
    assert_eq!(recovered.last, report.kept.map(|(_, last)| (last, 0)));
}

#[test]
pub fn a_lost_beginning_is_said_and_accepted() {
    let (disk, segments) = log_of_thirty(0);
    assert!(disk.lose(&segments[0]));
    assert!(open(&disk, 1).is_err());
    let first = first_of(&segments[1]);
    let hopeless = repaired_behind(&disk, first - 2, RepairMode::CarryOut).hopeless;
    assert!(hopeless.is_some_and(|why| why.contains("entries between them are missing")));
    assert!(
        open(&disk, 1).is_err(),
        "a checkpoint must hold what is missing"
    );
    let report = repaired_behind(&disk, first - 1, RepairMode::CarryOut);
    assert_eq!(
        (report.kept, report.in_checkpoint, report.lost),
        (Some((first, 30)), Some((1, first - 1)), None)
    );
    let (_, recovered) = open(&disk, 1).unwrap();
    assert_eq!(
        (recovered.first, recovered.last),
        (Some(first), Some((30, 0)))
    );
}

#[test]
pub fn a_hole_keeps_what_is_before_it() {
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
pub fn a_purge_position_that_is_cut_off_is_stated_again() {
    let (disk, segments) = log_of_thirty(6);
    // The purge was recorded in the newest segment; only the oldest is whole.
    assert!(disk.flip_bit(&segments[1], 8 * 20));
    let report = repaired_behind(&disk, 6, RepairMode::CarryOut);
    let (log, recovered) = open(&disk, 1).unwrap();
    assert_eq!(recovered.last, report.kept.map(|(_, last)| (last, 0)));
    assert!(
        recovered.first.is_some() && log.purged().is_some(),
        "{report:?}"
    );
}

#[test]
pub fn damage_that_a_checkpoint_stands_for_costs_no_entry() {
    let (whole, segments) = log_of_thirty(0);
    assert!(segments.len() >= 4, "{segments:?}");
    // A record, a header, a whole file, in the oldest segment or one behind it.
    let damages: [(usize, Damage); 6] = [
        (0, |disk, segments| disk.flip_bit(&segments[0], 8 * 700)),
        (0, |disk, segments| disk.flip_bit(&segments[0], 8 * 20)),
        (1, |disk, segments| disk.flip_bit(&segments[1], 8 * 700)),
        (1, |disk, segments| disk.flip_bit(&segments[1], 8 * 20)),
        (1, |disk, segments| disk.lose(&segments[1])),
        (1, |disk, segments| {
            disk.flip_bit(&segments[0], 8 * 700) && disk.flip_bit(&segments[1], 8 * 700)
        }),
    ];
    for (case, (damaged, change)) in damages.iter().enumerate() {
        let disk = whole.copy(case as u64);
        assert!(change(&disk, &segments), "case {case}");
        assert!(open(&disk, 1).is_err(), "case {case}: a start says so");
        let first = first_of(&segments[damaged + 1]);
        let report = repaired_behind(&disk, first + 3, RepairMode::CarryOut);
        assert_eq!(
            (report.kept, report.lost),
            (Some((first, 30)), None),
            "case {case}"
        );
        assert_eq!(report.in_checkpoint.map(|(_, last)| last), Some(first - 1));
        assert!(
            !report.saved_as.is_empty(),
            "case {case}: what was taken out is kept"
        );
        let (log, recovered) = open(&disk, 1).unwrap();
        assert_eq!(
            (recovered.first, recovered.last),
            (Some(first), Some((30, 0)))
        );
        drop(log);
        let again = repaired_behind(&disk, first + 3, RepairMode::CarryOut);
        assert!(again.damage.is_empty(), "case {case}: {again:?}");
    }
}

#[test]
pub fn damage_behind_the_checkpoint_is_cut_as_without_one() {
    let (disk, segments) = log_of_thirty(0);
    let last = segments.last().unwrap();
    assert!(disk.flip_bit(last, 8 * 700));
    let report = repaired_behind(&disk, first_of(last) - 1, RepairMode::CarryOut);
    assert!(
        !report.begins_anew && report.in_checkpoint.is_none(),
        "{report:?}"
    );
    let (lost, newest) = report.lost.unwrap();
    assert!(lost >= first_of(last) && newest == 30, "{report:?}");
}

#[test]
pub fn a_log_that_is_missing_or_ends_too_early_begins_anew_behind_the_checkpoint() {
    let (whole, segments) = log_of_thirty(0);
    // All of it, all but the oldest, and damage near the beginning of what is left.
    for lost in [0, 1, 2] {
        let disk = whole.copy(lost as u64);
        for path in &segments[lost.min(1)..] {
            assert!(disk.lose(path));
        }
        if lost == 2 {
            assert!(disk.flip_bit(&segments[0], 8 * 700));
        }
        let report = repaired_behind(&disk, 20, RepairMode::CarryOut);
        assert!(
            report.begins_anew && !report.damage.is_empty(),
            "{report:?}"
        );
        assert_eq!((report.ends, report.kept, report.lost), (20, None, None));
        let (log, recovered) = open(&disk, 1).unwrap();
        assert_eq!((recovered.last, recovered.purged), (None, Some((20, 0))));
        log.reserve(5).unwrap();
        log.append(21, 1, b"again").unwrap();
        log.flush(21, FlushLevel::Synced).unwrap();
        let kept_files = report.saved_as.len();
        assert_eq!(kept_files, lost.min(1), "what is taken out is kept");
        let newest = disk.paths().into_iter().rev();
        let newest = newest.filter_map(|path| path.file_name()?.to_str()?.get(..10)?.parse().ok());
        let newest: u64 = newest.max().unwrap();
        assert!(newest > lost.min(1) as u64, "no sequence is given twice");
    }
}
