//! A full disk and a failed sync, seen from the database: clear errors, nothing lost, and an
//! end of it.

use std::io;

use velocitydb::{Durability, Error};
use velocitydb_sim::operation::Operation;
use velocitydb_sim::{
    AfterFailedSync, CrashMode, FaultPlan, Faults, Node, Random, Repeat, Settings, SimDisk, seeds,
};

use crate::scenario::{add, create, delete, put, run};

fn used(disk: &SimDisk) -> u64 {
    let lengths = disk
        .paths()
        .into_iter()
        .filter_map(|path| disk.content(&path));
    lengths.map(|content| content.len() as u64).sum()
}

fn level(random: &mut Random) -> Durability {
    Durability::ALL[random.below(4) as usize]
}

/// Writes until the disk is full, on a node with the collection `open`.
fn fill(node: &mut Node, random: &mut Random) {
    let more = random.below(9000);
    node.disk().set_capacity(Some(used(node.disk()) + more));
    node.expect_faults(Faults::Planned);
    for n in 0.. {
        let bytes = random.below(600) as usize;
        let id = format!("k{}", random.below(30));
        let written = node.perform(&put(&id, n, bytes, level(random)));
        node.check();
        match written {
            Ok(()) => assert!(n < 2000, "a limited disk gets full"),
            Err(Error::DiskFull { needed }) => {
                assert!(needed > 0);
                break;
            }
            Err(error) => panic!("a full disk is no reason for: {error}"),
        }
    }
    assert!(!node.is_broken(), "a full disk closes nothing");
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    for seed in seeds(20) {
        let mut random = Random::new(seed);
        let mut settings = Settings::small();
        settings.checkpoints_kept = 1 + random.below(2) as usize;
        let mut node = Node::new(seed, settings, "a full disk");
        node.open().unwrap();
        run(
            &mut node,
            &[create("open"), put("a", 0, 10, Durability::Os)],
        );
        for _ in 0..4 {
            fill(&mut node, &mut random);
            // Also a removal needs the log; a refusal and a read need nothing.
            let none = node.perform(&delete("nobody", Durability::Full));
            assert!(none.is_ok(), "{none:?}");
            if random.one_in(2) {
                // A full disk hinders no start.
                let mode = [CrashMode::Process, CrashMode::PowerLoss][random.below(2) as usize];
                node.crash(mode);
                node.disk().set_capacity(Some(0));
                node.open_after(mode).unwrap();
                node.check();
                let refused = node.perform(&add("a", Durability::Os));
                assert!(
                    matches!(refused, Err(Error::DiskFull { .. })),
                    "{refused:?}"
                );
            }
            node.disk().set_capacity(None);
            node.expect_faults(Faults::None);
            run(
                &mut node,
                &[
                    add("a", level(&mut random)),
                    put("b", 1, 500, Durability::Full),
                ],
            );
            if random.one_in(3) {
                run(&mut node, &[Operation::Checkpoint]);
            }
        }
    }
}

/// The log behind the newest checkpoint is empty then, and its first segment not begun.
#[test]
fn a_full_disk_hinders_no_start_behind_a_checkpoint() {
    for kept in 1..=2 {
        let mut settings = Settings::small();
        settings.checkpoints_kept = kept;
        let mut node = Node::new(kept as u64, settings, "a start on a full disk");
        node.open().unwrap();
        run(
            &mut node,
            &[
                create("open"),
                put("a", 0, 10, Durability::Os),
                Operation::Checkpoint,
            ],
        );
        run(&mut node, &[add("a", Durability::Os)]);
        node.close().unwrap();
        for _ in 0..2 {
            node.disk().set_capacity(Some(0));
            node.open().unwrap();
            node.expect_faults(Faults::Planned);
            let refused = node.perform(&add("a", Durability::Os));
            assert!(
                matches!(refused, Err(Error::DiskFull { .. })),
                "{refused:?}"
            );
            node.expect_faults(Faults::None);
            node.close().unwrap();
        }
        node.disk().set_capacity(None);
        node.open().unwrap();
        run(&mut node, &[add("a", Durability::Full)]);
    }
}

#[test]
fn a_checkpoint_that_finds_the_disk_full_is_tried_again() {
    for seed in seeds(20) {
        let mut random = Random::new(seed);
        let mut node = Node::new(seed, Settings::small(), "a checkpoint on a full disk");
        node.open().unwrap();
        run(
            &mut node,
            &[create("open"), put("a", 0, 10, Durability::Os)],
        );
        let mut failed = 0;
        for _ in 0..6 {
            let many = (0..5).map(|n| put(&format!("k{n}"), n, 300, Durability::None));
            run(&mut node, &many.collect::<Vec<_>>());
            // Space for the log is reserved; the checkpoint comes to an end somewhere.
            let room = random.below(2500);
            node.disk().set_capacity(Some(used(node.disk()) + room));
            node.expect_faults(Faults::Planned);
            if let Err(error) = node.perform(&Operation::Checkpoint) {
                failed += 1;
                let text = error.to_string();
                assert!(
                    text.contains("checkpoint") || text.contains("disk is full"),
                    "{text}"
                );
            }
            assert!(!node.is_broken(), "a checkpoint closes nothing");
            node.check();
            node.disk().set_capacity(None);
            node.expect_faults(Faults::None);
            if random.one_in(2) {
                run(&mut node, &[add("a", Durability::Full)]);
            }
            run(
                &mut node,
                &[Operation::Checkpoint, add("a", Durability::None)],
            );
        }
        assert!(failed > 0, "seed {seed}: no checkpoint failed");
        let tmp = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "tmp");
        assert!(
            !node.disk().paths().iter().any(tmp),
            "what failed is removed"
        );
        node.crash(CrashMode::Process);
        node.open_after(CrashMode::Process).unwrap();
    }
}

/// What is left of a failed checkpoint may be impossible to remove at the time.
#[test]
fn a_checkpoint_that_could_not_be_tidied_hinders_no_later_one() {
    let mut node = Node::new(1, Settings::small(), "an untidy checkpoint");
    node.open().unwrap();
    run(
        &mut node,
        &[create("open"), put("a", 0, 2000, Durability::Full)],
    );
    node.expect_faults(Faults::Planned);
    // The header and what follows cannot be written, nor the file removed.
    node.disk().plan(Some(FaultPlan::nth(
        1,
        Repeat::FromThenOn,
        io::ErrorKind::Other,
    )));
    assert!(node.perform(&Operation::Checkpoint).is_err());
    node.disk().plan(None);
    node.expect_faults(Faults::None);
    run(&mut node, &[Operation::Checkpoint]);
}

#[test]
fn a_failed_sync_is_never_taken_for_a_good_one() {
    for seed in seeds(20) {
        for after in [AfterFailedSync::Forgotten, AfterFailedSync::Kept] {
            let mut random = Random::new(seed);
            let mut node = Node::new(seed, Settings::small(), format!("a failed sync, {after:?}"));
            node.disk().after_failed_sync(after);
            node.open().unwrap();
            run(
                &mut node,
                &[create("open"), put("a", 0, 10, Durability::Full)],
            );
            for n in 0..random.below(6) {
                run(
                    &mut node,
                    &[put(&format!("k{n}"), 1, 200, level(&mut random))],
                );
            }
            node.expect_faults(Faults::Planned);
            let sync = velocitydb_sim::FaultPlan::nth_of(
                velocitydb_sim::Operation::Sync,
                0,
                Repeat::Once,
                io::ErrorKind::Other,
            );
            node.disk().plan(Some(sync));
            let unknown = node.perform(&put("full", 1, 10, Durability::Full));
            assert!(
                matches!(unknown, Err(Error::OutcomeUnknown { .. })),
                "{unknown:?}"
            );
            assert!(node.is_broken());
            // The fault is over, and still nothing is acknowledged.
            for level in Durability::ALL {
                let refused = node.perform(&put("later", 1, 10, level));
                let Err(Error::Closed { cause }) = refused else {
                    panic!("{refused:?}")
                };
                assert!(cause.contains("sync"), "{cause}");
            }
            for work in [Operation::Sync, Operation::Checkpoint, Operation::Tend] {
                let refused = node.perform(&work);
                assert!(
                    matches!(refused, Err(Error::Closed { .. })),
                    "{work:?}: {refused:?}"
                );
            }
            node.check();
            let end = seed % 3;
            if end == 0 {
                node.drop_database();
            } else {
                node.crash([CrashMode::Process, CrashMode::PowerLoss][end as usize - 1]);
            }
            node.expect_faults(Faults::None);
            let mode = if end == 2 {
                CrashMode::PowerLoss
            } else {
                CrashMode::Process
            };
            node.open_after(mode).unwrap();
            run(&mut node, &[put("again", 1, 10, Durability::Full)]);
            node.crash(CrashMode::PowerLoss);
            node.open_after(CrashMode::PowerLoss).unwrap();
        }
    }
}
