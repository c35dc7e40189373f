//! A full disk and a failed sync, seen from the database: clear errors, nothing lost, and an
//! end of it.

use std::io;
use std::sync::Arc;

use velocitydb::{
    Background, Database, Definition, Durability, Error, LogOptions, ManualClock, Options,
    Timestamp,
};
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
                // A file that was prepared before the crash serves as long as it lasts.
                let refused =
                    (0..100).find_map(|n| node.perform(&put("a", n, 300, Durability::Os)).err());
                assert!(
                    matches!(refused, Some(Error::DiskFull { .. })),
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

/// Opens a database on a disk of 400 kB and fills it with documents of 4 kB that do not pack.
fn full_database() -> (SimDisk, Arc<ManualClock>, Database) {
    let (disk, clock) = (SimDisk::new(1), Arc::new(ManualClock::new(Timestamp(1))));
    disk.set_capacity(Some(400_000));
    let mut log = LogOptions::default();
    (log.first_segment_bytes, log.segment_bytes) = (64 << 10, 1 << 20);
    let options = Options::at("/data").disk(Arc::new(disk.clone())).log(log);
    let options = options
        .clock(Arc::clone(&clock) as _)
        .background(Background::Owner);
    let db = Database::open(options.seed(1)).unwrap();
    db.create_collection(Definition::new("c")).unwrap();
    (disk, clock, db)
}

fn fill_database(db: &Database) -> i64 {
    let mut random = Random::new(1);
    let items = db.collection("c").unwrap();
    for n in 0.. {
        let text: String = (0..4000)
            .map(|_| char::from(b'!' + random.below(90) as u8))
            .collect();
        match items.upsert(n, [("text", text.into())]) {
            Ok(_) => assert!(n < 1000, "a limited disk gets full"),
            Err(error) => {
                assert!(matches!(error, Error::DiskFull { .. }), "{error}");
                return n;
            }
        }
    }
    unreachable!("a limited disk gets full")
}

/// The worst case: everything is in the log and there is no checkpoint.
#[test]
fn removing_is_a_way_out_of_a_full_disk() {
    for at_once in [false, true] {
        let (disk, clock, db) = full_database();
        let count = fill_database(&db);
        let health = db.health();
        assert!(health.writes.unwrap_err().contains("the disk is full"));
        assert!(!health.closed && health.reads);
        assert!(
            db.checkpoint().is_err(),
            "there is no room for all the data"
        );
        let items = db.collection("c").unwrap();
        if at_once {
            items.truncate().unwrap();
        } else {
            for n in 0..count {
                items.delete(n).unwrap();
            }
        }
        db.checkpoint().unwrap();
        clock.advance(10_000_000);
        db.tend().unwrap();
        assert_eq!(db.health().writes, Ok(()));
        assert!(fill_database(&db) > 20);
        let digest = db.digest();
        drop((items, db));
        disk.set_capacity(None);
        let options = Options::at("/data").disk(Arc::new(disk));
        let db = Database::open(options.background(Background::Owner).seed(2)).unwrap();
        assert_eq!(db.digest(), digest);
    }
}

/// A checkpoint before it is too late: the log that it stands for goes, though only one is there.
#[test]
fn a_disk_that_gets_full_keeps_one_checkpoint_and_little_log() {
    let (disk, _, db) = full_database();
    let items = db.collection("c").unwrap();
    let text: String = "x".repeat(4000);
    let mut random = Random::new(1);
    for n in 0..2000 {
        let noise: String = (0..4000)
            .map(|_| char::from(b'!' + random.below(90) as u8))
            .collect();
        items
            .upsert(n % 9, [("text", noise.as_str().into())])
            .unwrap();
        if db.stats().log.unwrap().short_of_space {
            db.checkpoint().unwrap();
        }
        db.tend().unwrap();
    }
    items.upsert(1, [("text", text.into())]).unwrap();
    assert!(
        db.stats().log.unwrap().segments_recycled > 3,
        "{:?}",
        db.stats()
    );
    let checkpoints = disk.paths().into_iter();
    let checkpoints = checkpoints.filter(|path| path.extension().is_some_and(|e| e == "ckpt"));
    assert_eq!(checkpoints.count(), 1);
}
