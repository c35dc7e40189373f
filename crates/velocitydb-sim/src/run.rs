//! A whole life of one node from a seed: random operations, crashes, restarts.
//!
//! ```text
//!   open ─► operations ─┬► close ────────────┐
//!    ▲                  ├► crash             ├► open, perhaps with crashes while it recovers
//!    │                  └► crash during one ─┘                │
//!    └────────────────────────────────────────────────────────┘
//! ```
//!
//! Tests: `tests/it/node.rs`.

use std::io;

use velocitydb::{Durability, EncryptionKey, EncryptionKeys};
use velocitydb_engine::log::WritePath;

use crate::disk::CrashMode;
use crate::fault::{FaultPlan, Repeat};
use crate::node::{Counts, Faults, Node, Settings};
use crate::operation::Operation;
use crate::random::Random;
use crate::workload::{COLLECTIONS, Workload};

/// Lives of one process in a run.
const LIVES: u64 = 6;
/// Operations of one life, at most.
const OPERATIONS: u64 = 80;
/// File operations after which a planned crash strikes, at most: a life has about as many.
const CRASH_AFTER: u64 = 120;

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// A hash of every operation and answer, every digest and every file operation.
    pub digest: u128,
    /// What happened.
    pub counts: Counts,
}

/// Runs a seed.
///
/// # Panics
/// When the database answers or recovers otherwise than the oracle; the seed is printed.
pub fn run(seed: u64) -> Report {
    let mut random = Random::new(seed);
    let mut workload = Workload::new(random.bits());
    let mut settings = settings(&mut random);
    if seed % 3 == 1 {
        let key = EncryptionKey::from_content(vec![seed as u8; 32]);
        settings.keys = EncryptionKeys::new(key.expect("it has 32 bytes"));
    }
    let mut node = Node::new(seed, settings, "a random run");
    let mut worst = CrashMode::Process;
    for life in 0..LIVES {
        open(&mut node, &mut random, worst);
        if life == 0 {
            for name in COLLECTIONS {
                let created = node.perform(&Operation::Create(name.to_owned(), None));
                created.expect("no fault is planned");
            }
        }
        worst = live(&mut node, &mut workload, &mut random);
    }
    open(&mut node, &mut random, worst);
    node.close().expect("no fault is planned");
    node.open().expect("no fault is planned");
    Report {
        digest: node.digest(),
        counts: node.counts(),
    }
}

fn settings(random: &mut Random) -> Settings {
    let mut settings = Settings::small();
    if random.one_in(2) {
        settings.log.write_path = WritePath::Mapped;
    }
    if random.one_in(3) {
        settings.durability = Durability::Full;
    }
    settings.checkpoints_kept = 1 + random.below(3) as usize;
    settings
}

/// Opens the node, perhaps only after further crashes in the middle of it.
fn open(node: &mut Node, random: &mut Random, mut worst: CrashMode) {
    while random.one_in(3) {
        node.expect_faults(Faults::Planned);
        let strike = FaultPlan::nth(random.below(40), Repeat::FromThenOn, io::ErrorKind::Other);
        node.disk().plan(Some(strike));
        let opened = node.open_after(worst);
        if opened.is_ok() {
            // What it found is durable; the next life begins with the next crash.
            worst = CrashMode::Process;
        }
        let mode = crash_mode(random);
        node.crash(mode);
        node.expect_faults(Faults::None);
        if mode == CrashMode::PowerLoss {
            worst = mode;
        }
    }
    if random.one_in(3) {
        node.examine_older_checkpoint(worst);
    }
    let opened = node.open_after(worst);
    opened.expect("no fault is planned");
}

fn crash_mode(random: &mut Random) -> CrashMode {
    if random.one_in(2) {
        CrashMode::Process
    } else {
        CrashMode::PowerLoss
    }
}

/// One life, from an open node to its end; how it ended.
fn live(node: &mut Node, workload: &mut Workload, random: &mut Random) -> CrashMode {
    let strikes = random.one_in(3);
    if strikes {
        node.expect_faults(Faults::Planned);
        let after = random.below(CRASH_AFTER);
        let strike = FaultPlan::nth(after, Repeat::FromThenOn, io::ErrorKind::Other);
        node.disk().plan(Some(strike));
    }
    for _ in 0..random.below(OPERATIONS) {
        let operation = workload.next(node.model());
        let operation = if strikes {
            with_ids(operation, random)
        } else {
            operation
        };
        let done = node.perform(&operation);
        node.check();
        if done.is_err() || node.is_broken() {
            break;
        }
    }
    if !strikes && random.one_in(3) {
        node.close().expect("no fault is planned");
        return CrashMode::Process;
    }
    let mode = crash_mode(random);
    node.crash(mode);
    node.expect_faults(Faults::None);
    mode
}

/// The same operation with ids for all documents: when it fails, nobody hears the id that the
/// database chose.
fn with_ids(mut operation: Operation, random: &mut Random) -> Operation {
    let give = |steps: &mut Vec<crate::operation::Step>, random: &mut Random| {
        for step in steps {
            step.id
                .get_or_insert_with(|| format!("given{}", random.below(1000)));
        }
    };
    match &mut operation {
        Operation::Write(request) => give(&mut request.steps, random),
        Operation::Transact { meanwhile, .. } => {
            for other in meanwhile {
                if let Operation::Write(request) = other {
                    give(&mut request.steps, random);
                }
            }
        }
        _ => {}
    }
    operation
}
