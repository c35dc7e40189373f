//! A database of colonies for a test.

use velocitydb::{Database, ManualClock, Options, Timestamp};
use velocitydb_colonies::{Candidate, Colonies, DEFAULT_PREFIX, FunctionSpec, Process, schema};

/// 2026-11-22.
pub const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

/// In memory, at the time that the clock says.
pub fn colonies() -> (Colonies, std::sync::Arc<ManualClock>) {
    let clock = std::sync::Arc::new(ManualClock::new(NOW));
    let db = Database::open(Options::in_memory().clock(clock.clone())).unwrap();
    db.load_schema(schema(DEFAULT_PREFIX)).unwrap();
    (Colonies::open(db, DEFAULT_PREFIX), clock)
}

/// A function for executors of the type `cli` in the colony `dev`.
pub fn spec(function: &str) -> FunctionSpec {
    FunctionSpec::new("dev", "cli", function)
}

/// Submits a process.
pub fn submit(colonies: &Colonies, spec: FunctionSpec) -> Process {
    let mut process = Process::new(spec);
    colonies.processes().add(&mut process).unwrap();
    process
}

/// An executor of the type `cli` in the colony `dev`, whose name is its id.
pub fn executor(name: &str) -> Candidate {
    Candidate::new("dev", name, name, "cli")
}
