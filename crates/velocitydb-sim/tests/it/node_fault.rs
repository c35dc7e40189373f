//! Each file operation of a node's life fails, once or from then on: it goes on or says why not,
//! and afterwards everything promised is there.

use std::io;

use velocitydb::{Database, Durability, Error};
use velocitydb_engine::log::WritePath;
use velocitydb_sim::operation::Operation;
use velocitydb_sim::{CrashMode, FaultPlan, Faults, Node, Repeat, Settings};

use crate::scenario::{create, first_life, put, run, second_life};

/// Opens, a second time when the first fails. Whether it is open.
fn open(node: &mut Node) -> bool {
    node.database().is_some() || node.open().is_ok() || node.open().is_ok()
}

/// Does what it can of the operations; after a failure that closed the log, the process starts
/// anew on the same machine. A single fault that closed nothing leaves nothing behind.
fn live(node: &mut Node, operations: &[Operation], plan: Option<&FaultPlan>) {
    for operation in operations {
        if !open(node) {
            return;
        }
        let once = plan.filter(|plan| plan.repeat == Repeat::Once);
        let over = once.is_some_and(|plan| node.disk().operations() > plan.nth);
        let healthy = |database: &Database| !database.health().closed;
        if over && node.database().is_some_and(healthy) {
            node.expect_faults(Faults::None);
        }
        // A failure is counted and judged by the node.
        let _ = node.perform(operation);
        node.check();
        if node.is_broken() {
            for other in [create("later"), Operation::Checkpoint] {
                let refused = node.perform(&other);
                assert!(matches!(refused, Err(Error::Closed { .. })), "{refused:?}");
            }
            // May succeed when all was durable before; what it says is held against it.
            let _ = node.perform(&Operation::Sync);
            node.drop_database();
        }
    }
}

/// The scenario: two lives with a crash between them that only recovery mends, and a close.
/// `plan` is counted over all of it.
fn scenario(node: &mut Node, plan: Option<FaultPlan>) {
    node.disk().plan(plan.clone());
    if open(node) {
        live(node, &first_life(), plan.as_ref());
    }
    node.crash(CrashMode::Process);
    node.disk().plan(plan.clone().and_then(|plan| {
        let (done, nth) = (node.disk().operations(), plan.nth);
        let over = plan.repeat == Repeat::Once && nth < done;
        (!over).then(|| FaultPlan {
            nth: nth.saturating_sub(done),
            ..plan
        })
    }));
    if open(node) {
        live(node, &second_life(), plan.as_ref());
    }
    if open(node) {
        // A failure is counted and judged by the node.
        let _ = node.close();
    }
}

struct Case {
    repeat: Repeat,
    error: io::ErrorKind,
    end: CrashMode,
    write_path: WritePath,
}

fn settings(write_path: WritePath) -> Settings {
    let mut settings = Settings::small();
    settings.log.write_path = write_path;
    settings
}

fn fail_everywhere(case: &Case) {
    let Case {
        repeat,
        error,
        end,
        write_path,
    } = *case;
    let operations = {
        let mut whole = Node::new(1, settings(write_path), "the whole scenario");
        scenario(&mut whole, None);
        assert!(whole.counts().from_both > 0 && whole.counts().lost > 0);
        whole.disk().operations()
    };
    assert!(operations > 150, "{operations} operations");
    let mut failed = 0;
    for nth in 0..operations {
        let label = format!("{repeat:?} {error:?} at operation {nth}, then {end:?}");
        let mut node = Node::new(1, settings(write_path), label);
        node.expect_faults(Faults::Planned);
        scenario(&mut node, Some(FaultPlan::nth(nth, repeat, error)));
        failed += u64::from(node.counts().failed > 0);
        node.crash(end);
        node.expect_faults(Faults::None);
        node.open_after(end).expect("the faults are over");
        // It can be used, and what it says then holds as well.
        if !node.model().collections.contains_key("open") {
            run(&mut node, &[create("open")]);
        }
        run(
            &mut node,
            &[put("z", 99, 100, Durability::Full), Operation::Checkpoint],
        );
        node.crash(CrashMode::PowerLoss);
        node.open_after(CrashMode::PowerLoss)
            .expect("no fault is planned");
    }
    assert!(
        failed * 2 > operations,
        "{failed} of {operations} faults were noticed"
    );
}

#[test]
fn any_operation_may_fail_once_before_a_crash_of_the_process() {
    fail_everywhere(&Case {
        repeat: Repeat::Once,
        error: io::ErrorKind::Other,
        end: CrashMode::Process,
        write_path: WritePath::Calls,
    });
}

#[test]
fn any_operation_may_fail_once_before_a_loss_of_power() {
    fail_everywhere(&Case {
        repeat: Repeat::Once,
        error: io::ErrorKind::Other,
        end: CrashMode::PowerLoss,
        write_path: WritePath::Mapped,
    });
}

#[test]
fn any_operation_may_find_the_disk_full_once() {
    fail_everywhere(&Case {
        repeat: Repeat::Once,
        error: io::ErrorKind::StorageFull,
        end: CrashMode::PowerLoss,
        write_path: WritePath::Calls,
    });
}

#[test]
fn every_operation_may_fail_from_one_on() {
    fail_everywhere(&Case {
        repeat: Repeat::FromThenOn,
        error: io::ErrorKind::Other,
        end: CrashMode::Process,
        write_path: WritePath::Mapped,
    });
}

#[test]
fn every_operation_may_fail_from_one_on_before_a_loss_of_power() {
    fail_everywhere(&Case {
        repeat: Repeat::FromThenOn,
        error: io::ErrorKind::Other,
        end: CrashMode::PowerLoss,
        write_path: WritePath::Calls,
    });
}
