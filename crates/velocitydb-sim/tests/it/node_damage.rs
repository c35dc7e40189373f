//! Bits flip, files are cut and lost: a node names the damage or has exactly what it had. What
//! is damaged is never taken for data.

use std::path::{Path, PathBuf};

use velocitydb::{Durability, Error, Recovery};
use velocitydb_engine::log::check;
use velocitydb_sim::operation::Operation;
use velocitydb_sim::{CrashMode, Node, Settings, SimDisk};

use crate::scenario::{put, run, tiny_lives};

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

/// Opens a damaged copy. `Err` has been checked to name the file and the place.
fn open(node: &Node, disk: &SimDisk, path: &Path, context: &str) -> Option<Recovery> {
    match node.examine(disk) {
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
fn every_flipped_bit_of_the_log_is_named_or_harmless() {
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
fn every_flipped_bit_of_a_checkpoint_is_named_and_an_older_one_used() {
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
fn every_cut_file_is_named_or_ends_where_it_was_cut() {
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
            let report = check(&disk, Path::new("/data/wal")).unwrap();
            let Some(recovery) = open(&node, &disk, &path, &context) else {
                continue;
            };
            if recovery.last_index == node.model().index {
                continue;
            }
            assert_eq!(&path, newest, "{context}: {recovery:?}");
            match recovery.torn_tail {
                Some(torn) => assert_eq!(torn.segment, name(&path), "{context}"),
                None => {
                    let last = report.segments.last().unwrap();
                    assert_eq!(
                        (&last.name, last.used_bytes),
                        (&name(&path), cut),
                        "{context}"
                    );
                    at_a_boundary += 1;
                }
            }
        }
    }
    assert!(
        (2..20).contains(&at_a_boundary),
        "{at_a_boundary} boundaries in the newest segment"
    );
}

#[test]
fn a_lost_file_is_named_or_not_needed() {
    let node = small_node(Ending::Synced);
    let segments = files(&node, ".wal");
    for path in node.disk().paths() {
        let disk = node.disk().copy(1);
        assert!(disk.lose(&path));
        let context = format!("{} lost", path.display());
        match node.examine(&disk) {
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
fn without_its_only_checkpoint_a_purged_log_is_not_taken_for_an_empty_one() {
    let mut settings = Settings::small();
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
fn without_any_whole_checkpoint_the_missing_entries_are_named() {
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
