//! Bits flip, files are cut and get lost. Never wrong data; and what was synced is either there
//! or its loss is named.

use std::path::{Path, PathBuf};

use velocitydb_engine::log::{LogError, check};
use velocitydb_sim::{CrashMode, Random, SimDisk, seeds};

use crate::model::{Content, DIR, Model, keys, open, step};

/// A log of a few segments; what it holds.
fn small_log(seed: u64, ending: Ending) -> (SimDisk, Model) {
    let disk = SimDisk::new(seed);
    let mut model = Model::default();
    let mut random = Random::new(seed);
    let (log, _) = open(&disk, seed).unwrap();
    for _ in 0..30 {
        step(&log, &mut model, &mut random).unwrap();
    }
    match ending {
        Ending::Closed => {
            log.close().unwrap();
            model.synced = model.events.len();
        }
        Ending::Killed => {
            log.flush(
                log.last_index(),
                velocitydb_engine::log::FlushLevel::Written,
            )
            .unwrap();
        }
    }
    (disk.crash(CrashMode::Process), model)
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Closed,
    Killed,
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    disk.paths()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "wal"))
        .collect()
}

/// The log either opens with a prefix of at least `floor` events, or says that it is damaged.
/// What it holds when it opens.
fn open_or_damaged(disk: &SimDisk, model: &Model, floor: usize, context: &str) -> Option<Content> {
    let report = check(disk, Path::new(DIR), &keys()).unwrap();
    match open(disk, 0) {
        Ok((log, recovered)) => {
            assert!(
                report.damage.is_none(),
                "{context}: check disagrees: {report:?}"
            );
            let content = Content::of(&log, &recovered);
            let explained = model.explain(&content, floor);
            assert!(explained.is_some(), "{context}: {content:?}");
            Some(content)
        }
        Err(LogError::Damaged { .. }) => {
            assert!(report.damage.is_some(), "{context}: check disagrees");
            None
        }
        Err(error) => panic!("{context}: {error}"),
    }
}

#[test]
pub fn a_flipped_bit_is_named_or_harmless() {
    let (mut named, mut harmless) = (0, 0);
    for seed in seeds(6) {
        for ending in [Ending::Closed, Ending::Killed] {
            let (disk, model) = small_log(seed, ending);
            for path in segments(&disk) {
                let len = disk.content(&path).unwrap().len() as u64;
                for byte in 0..len {
                    let bit = byte * 8 + (byte * 5 + seed) % 8;
                    let damaged = disk.copy(byte);
                    assert!(damaged.flip_bit(&path, bit));
                    let context = format!("seed {seed}, {ending:?}, {}, bit {bit}", path.display());
                    if open_or_damaged(&damaged, &model, model.synced, &context).is_some() {
                        harmless += 1;
                    } else {
                        named += 1;
                    }
                }
            }
        }
    }
    assert!(
        named > harmless / 4 && harmless > 0,
        "{named} named, {harmless} harmless"
    );
}

#[test]
pub fn a_cut_file_gives_a_prefix_or_is_named() {
    for seed in seeds(4) {
        let (disk, model) = small_log(seed, Ending::Closed);
        let segments = segments(&disk);
        for path in &segments {
            let len = disk.content(path).unwrap().len() as u64;
            for cut in 0..len {
                let damaged = disk.copy(cut);
                assert!(damaged.truncate(path, cut));
                let context = format!("seed {seed}, {} cut to {cut}", path.display());
                open_or_damaged(&damaged, &model, 0, &context);
            }
        }
    }
}

#[test]
pub fn a_lost_segment_is_named_unless_it_is_the_newest() {
    for seed in seeds(30) {
        let (disk, model) = small_log(seed, Ending::Closed);
        let segments = segments(&disk);
        for (at, path) in segments.iter().enumerate() {
            let damaged = disk.copy(1);
            assert!(damaged.lose(path));
            let context = format!("seed {seed}, {} lost", path.display());
            let opened = open_or_damaged(&damaged, &model, 0, &context);
            // A segment whose entries are all void or purged is not missed.
            let whole = model.content(model.events.len());
            let newest = at + 1 == segments.len();
            assert!(
                newest || opened.is_none_or(|content| content == whole),
                "{context}"
            );
        }
    }
}

#[test]
pub fn segments_of_another_log_are_refused() {
    let (disk, _) = small_log(1, Ending::Closed);
    let (other, _) = small_log(2, Ending::Closed);
    let (mine, theirs) = (segments(&disk), segments(&other));
    use velocitydb_engine::disk::Disk;
    let file = disk.open(mine.last().unwrap()).unwrap();
    let bytes = other.content(theirs.last().unwrap()).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    let name = |path: &PathBuf| path.file_name().unwrap().to_owned();
    assert_ne!(name(mine.last().unwrap()), name(theirs.last().unwrap()));
    assert!(matches!(open(&disk, 1), Err(LogError::Damaged { .. })));
}
