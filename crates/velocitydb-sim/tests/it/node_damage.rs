//! Bits flip, files are cut and lost: a node names the damage or has exactly what it had. What
//! is damaged is never taken for data.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use velocitydb::disk::Disk;
use velocitydb::{Durability, Error, Recovery};
use velocitydb_engine::log::{RepairMode, check};
use velocitydb_engine::offline::{self, DirectoryRepair};
use velocitydb_sim::operation::Operation;
use velocitydb_sim::{CrashMode, Node, Random, Settings, SimDisk};

use crate::model::keys;
use crate::scenario::{create, put, run, tiny_lives};

/// How the last life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Everything was synced.
    Synced,
    /// The last entries were only written.
    Written,
}

/// A node that was killed, with small files.
fn small_node(ending: Ending) -> Node {
    let mut settings = Settings::small();
    settings.keys = keys();
    (settings.log.first_segment_bytes, settings.log.segment_bytes) = (512, 512);
    let mut node = Node::new(1, settings, format!("damage, {ending:?}"));
    node.open().unwrap();
    let [first, second] = tiny_lives();
    run(&mut node, &first);
    node.crash(CrashMode::Process);
    node.open_after(CrashMode::Process).unwrap();
    run(&mut node, &second);
    match ending {
        Ending::Synced => run(&mut node, &[Operation::Sync]),
        Ending::Written => {
            run(
                &mut node,
                &[
                    put("g", 9, 70, Durability::Os),
                    put("h", 10, 70, Durability::Os),
                ],
            );
        }
    }
    node.crash(CrashMode::Process);
    node
}

/// A node with several segments before and behind its newest checkpoint; `first` is done early.
fn long_node(first: Operation) -> Node {
    let mut settings = Settings::small();
    settings.keys = keys();
    (settings.log.first_segment_bytes, settings.log.segment_bytes) = (512, 512);
    let mut node = Node::new(1, settings, "many segments");
    node.open().unwrap();
    run(&mut node, &[create("open")]);
    let ends = [first, Operation::Checkpoint, Operation::Sync];
    for (part, last) in ends.into_iter().enumerate() {
        let puts = (0..30).map(|n| put(&format!("{part}{n}"), n, 70, Durability::Full));
        run(&mut node, &puts.collect::<Vec<_>>());
        run(&mut node, &[last]);
    }
    node.crash(CrashMode::Process);
    node
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn files(node: &Node, ending: &str) -> Vec<PathBuf> {
    let mut paths = node.disk().paths();
    paths.retain(|path| path.to_str().unwrap().ends_with(ending));
    paths
}

/// The damage is named, with file and place.
fn assert_named(path: &Path, text: &str, context: &str) {
    assert!(
        text.contains(&name(path)) && text.contains(" byte "),
        "{context}: {text}"
    );
}

/// Opens a damaged copy, of which `velocitydb check` says beforehand whether it opens.
fn examine(node: &Node, disk: &SimDisk, context: &str) -> Result<Recovery, Error> {
    let report = offline::check(disk, Path::new("/data"), &keys()).unwrap();
    let refused = report.log.damage.is_some() || report.gap.is_some();
    let opened = node.examine(disk);
    assert_eq!(
        opened.is_err(),
        refused,
        "{context}: {opened:?}, {report:?}"
    );
    if let Ok(recovery) = &opened {
        let whole = recovery.damaged_checkpoints.is_empty();
        // One that is not read is checked too.
        assert!(whole || !report.is_whole(), "{context}: {report:?}");
    }
    opened
}

/// Opens a damaged copy. `Err` has been checked to name the file and the place.
fn open(node: &Node, disk: &SimDisk, path: &Path, context: &str) -> Option<Recovery> {
    match examine(node, disk, context) {
        Ok(recovery) => {
            for what in &recovery.damaged_checkpoints {
                assert_named(path, what, context);
            }
            Some(recovery)
        }
        Err(Error::Damaged(what)) => {
            assert_named(path, &what, context);
            None
        }
        Err(error) => panic!("{context}: {error}"),
    }
}

#[test]
pub fn every_flipped_bit_of_the_log_is_named_or_harmless() {
    for ending in [Ending::Synced, Ending::Written] {
        let node = small_node(ending);
        let segments = files(&node, ".wal");
        assert!(segments.len() >= 3, "{segments:?}");
        let (mut named, mut harmless, mut cut) = (0, 0, 0);
        for path in &segments {
            let length = node.disk().content(path).unwrap().len() as u64;
            for byte in 0..length {
                let disk = node.disk().copy(byte);
                let bit = byte * 8 + byte * 5 % 8;
                assert!(disk.flip_bit(path, bit));
                let context = format!("{ending:?}, {}, bit {bit}", path.display());
                let Some(recovery) = open(&node, &disk, path, &context) else {
                    named += 1;
                    continue;
                };
                assert!(recovery.damaged_checkpoints.is_empty(), "{context}");
                if recovery.last_index == node.model().index {
                    harmless += 1;
                    continue;
                }
                // What was never synced may be torn, and the report says where.
                assert_eq!(ending, Ending::Written, "{context}: {recovery:?}");
                assert!(recovery.last_index >= node.model().index - 2, "{context}");
                let torn = recovery.torn_tail.expect("what is missing is named");
                assert!(
                    torn.segment == name(path) && torn.offset * 8 <= bit,
                    "{context}: {torn:?}"
                );
                cut += 1;
            }
        }
        assert!(
            named > 1000 && named > harmless,
            "{named} named, {harmless} harmless"
        );
        assert_eq!(cut > 0, ending == Ending::Written);
    }
}

#[test]
pub fn every_flipped_bit_of_a_checkpoint_is_named_and_an_older_one_used() {
    let node = small_node(Ending::Synced);
    let checkpoints = files(&node, ".ckpt");
    assert_eq!(checkpoints.len(), 2);
    for (path, newest) in checkpoints.iter().zip([false, true]) {
        let length = node.disk().content(path).unwrap().len() as u64;
        for byte in 0..length {
            let bit = byte * 8 + byte * 3 % 8;
            let disk = node.disk().copy(bit);
            assert!(disk.flip_bit(path, bit));
            let context = format!("{}, bit {bit}", path.display());
            let recovery = open(&node, &disk, path, &context).expect("the older one serves");
            assert_eq!(recovery.last_index, node.model().index, "{context}");
            // The older one is not read while the newer one is whole.
            assert_eq!(
                !recovery.damaged_checkpoints.is_empty(),
                newest,
                "{context}"
            );
        }
    }
}

#[test]
pub fn every_cut_file_is_named_unless_it_ends_between_two_records() {
    let node = small_node(Ending::Synced);
    let segments = files(&node, ".wal");
    let newest = segments.last().unwrap();
    let mut at_a_boundary = 0;
    for path in node.disk().paths() {
        let length = node.disk().content(&path).unwrap().len() as u64;
        for cut in 0..length {
            let disk = node.disk().copy(cut);
            assert!(disk.truncate(&path, cut));
            let context = format!("{} cut to {cut}", path.display());
            let report = check(&disk, Path::new("/data/wal"), &keys()).unwrap();
            let Some(recovery) = open(&node, &disk, &path, &context) else {
                continue;
            };
            if recovery.last_index == node.model().index {
                continue;
            }
            assert_eq!(&path, newest, "{context}: {recovery:?}");
            // A crash leaves no file that is shorter than it was made and ends in a record.
            assert_eq!(recovery.torn_tail, None, "{context}");
            let last = report.segments.last().unwrap();
            assert_eq!(
                (&last.name, last.used_bytes),
                (&name(&path), cut),
                "{context}"
            );
            at_a_boundary += 1;
        }
    }
    assert!(
        (2..20).contains(&at_a_boundary),
        "{at_a_boundary} boundaries in the newest segment"
    );
}

#[test]
pub fn a_lost_file_is_named_or_not_needed() {
    let node = small_node(Ending::Synced);
    let segments = files(&node, ".wal");
    for path in node.disk().paths() {
        let disk = node.disk().copy(1);
        assert!(disk.lose(&path));
        let context = format!("{} lost", path.display());
        match examine(&node, &disk, &context) {
            Ok(recovery) => {
                let whole = recovery.last_index == node.model().index;
                // The newest segment with all it held is as a log that ended before it.
                assert!(
                    whole || Some(&path) == segments.last(),
                    "{context}: {recovery:?}"
                );
            }
            Err(Error::Damaged(what)) => {
                assert!(segments.contains(&path), "{context}: {what}");
                assert!(what.contains("missing"), "{context}: {what}");
            }
            Err(error) => panic!("{context}: {error}"),
        }
    }
}

/// With one checkpoint kept, the log behind it is empty: nothing but its purge position says that
/// there was more.
#[test]
pub fn without_its_only_checkpoint_a_purged_log_is_not_taken_for_an_empty_one() {
    let mut settings = Settings::small();
    settings.keys = keys();
    settings.checkpoints_kept = 1;
    let mut node = Node::new(1, settings, "a lost checkpoint");
    node.open().unwrap();
    run(&mut node, &tiny_lives()[0]);
    node.close().unwrap();
    let checkpoints = files(&node, ".ckpt");
    assert_eq!(checkpoints.len(), 1);
    for flip in [true, false] {
        let disk = node.disk().copy(1);
        assert!(if flip {
            disk.flip_bit(&checkpoints[0], 800)
        } else {
            disk.lose(&checkpoints[0])
        });
        let error = node.examine(&disk).unwrap_err();
        assert!(matches!(error, Error::Damaged(_)), "{error}");
        assert!(
            error
                .to_string()
                .contains("entries between them are missing"),
            "{error}"
        );
    }
}

#[test]
pub fn without_any_whole_checkpoint_the_missing_entries_are_named() {
    let node = small_node(Ending::Synced);
    let checkpoints = files(&node, ".ckpt");
    let lost = node.disk().copy(1);
    let flipped = node.disk().copy(2);
    for path in &checkpoints {
        assert!(lost.lose(path));
        assert!(flipped.flip_bit(path, 8 * 90));
    }
    let error = node.examine(&lost).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("entries between them are missing"),
        "{error}"
    );
    let error = node.examine(&flipped).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
    for path in &checkpoints {
        assert_named(path, &error.to_string(), "both flipped");
    }
}

fn repaired(disk: &SimDisk, mode: RepairMode) -> DirectoryRepair {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let salts = Random::new(disk.operations()).salts();
    offline::repair(&shared, Path::new("/data"), mode, salts, &keys()).unwrap()
}

/// The log is lost from some segment on, or all of it: a checkpoint that is newer than what is
/// left shows it, and only a repair goes on from there.
#[test]
pub fn a_log_that_ends_before_a_checkpoint_is_not_taken_for_a_short_one() {
    // With an older checkpoint the log was purged; without, it goes back to the first entry.
    for first in [Operation::Checkpoint, Operation::Sync] {
        let node = long_node(first);
        let segments = files(&node, ".wal");
        let mut refused = 0;
        for left in 0..segments.len() {
            for damaged in [false, true] {
                refused += u64::from(loses_its_end(&node, left, damaged));
            }
        }
        assert!(refused > 4, "{refused} were refused");
    }
}

/// Only the oldest `left` segments are there, and the newest checkpoint may be damaged. Whether
/// only a repair goes on from there.
fn loses_its_end(node: &Node, left: usize, damaged: bool) -> bool {
    let checkpoints = files(node, ".ckpt");
    let index =
        |path: &PathBuf| -> u64 { path.file_stem().unwrap().to_str().unwrap().parse().unwrap() };
    let newest = index(checkpoints.last().unwrap());
    let older = checkpoints.iter().rev().nth(1).map_or(0, index);
    let disk = node.disk().copy(left as u64);
    for path in &files(node, ".wal")[left..] {
        assert!(disk.lose(path));
    }
    assert!(!damaged || disk.flip_bit(checkpoints.last().unwrap(), 800));
    let context = format!("{left} segments left, newest checkpoint damaged: {damaged}");
    let error = match examine(node, &disk, &context) {
        Ok(recovery) => {
            assert!(
                left > 0 && recovery.last_index >= newest,
                "{context}: {recovery:?}"
            );
            return false;
        }
        Err(error) => error,
    };
    assert!(matches!(error, Error::Damaged(_)), "{context}: {error}");
    assert!(error.to_string().contains("missing"), "{context}: {error}");
    let before = disk.paths();
    let plan = repaired(&disk, RepairMode::DryRun);
    assert_eq!(disk.paths(), before, "{context}: a dry run changes nothing");
    let base = if damaged { older } else { newest };
    assert_eq!(plan.checkpoint, base, "{context}");
    if plan.log.hopeless.is_some() {
        assert!(damaged, "{context}: {plan:?}");
        return true;
    }
    assert!(!plan.log.damage.is_empty(), "{context}: {plan:?}");
    let done = repaired(&disk, RepairMode::CarryOut);
    assert_eq!(
        (done.log.ends, done.log.lost),
        (plan.log.ends, plan.log.lost)
    );
    let report = offline::check(&disk, Path::new("/data"), &keys()).unwrap();
    assert!(report.is_whole(), "{context}: {report:?}");
    let recovery = node.examine(&disk).unwrap();
    assert_eq!(recovery.last_index, done.log.ends, "{context}");
    true
}

/// A repair keeps what the log has behind a checkpoint that stands for what is damaged.
#[test]
pub fn damage_before_the_newest_checkpoint_costs_nothing() {
    let node = long_node(Operation::Checkpoint);
    let segments = files(&node, ".wal");
    let mut free = 0;
    for path in &segments {
        let disk = node.disk().copy(1);
        assert!(disk.flip_bit(path, 8 * 200));
        let context = path.display().to_string();
        let error = examine(&node, &disk, &context).unwrap_err();
        assert_named(path, &error.to_string(), &context);
        let done = repaired(&disk, RepairMode::CarryOut);
        let recovery = node.examine(&disk).unwrap();
        assert_eq!(recovery.last_index, done.log.ends, "{context}");
        let whole = recovery.last_index == node.model().index;
        assert_eq!(done.log.lost.is_none(), whole, "{context}: {done:?}");
        free += u64::from(whole);
    }
    assert!(free >= 2, "{free} of {} segments", segments.len());
}

/// Without a checkpoint the log may begin too late: nothing repairs that, and it is said.
#[test]
pub fn a_beginning_that_is_nowhere_is_named_and_nothing_changed() {
    let node = small_node(Ending::Synced);
    let disk = node.disk().copy(1);
    for path in files(&node, ".ckpt") {
        assert!(disk.lose(&path));
    }
    let before = disk.paths();
    let done = repaired(&disk, RepairMode::CarryOut);
    let why = done.log.hopeless.unwrap();
    assert!(why.contains("there is no whole checkpoint"), "{why}");
    assert!(
        why.contains("entries between them are missing, 1 to "),
        "{why}"
    );
    assert_eq!(disk.paths(), before);
}

#[test]
pub fn a_check_needs_no_right_to_write() {
    let node = small_node(Ending::Synced);
    let disk = node.disk().copy(1);
    disk.set_read_only(true);
    let report = offline::check(&disk, Path::new("/data"), &keys()).unwrap();
    assert!(report.is_whole() && report.locked, "{report:?}");
    assert!(matches!(node.examine(&disk), Err(Error::Io { .. })));
}
