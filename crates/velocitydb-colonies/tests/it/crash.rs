//! What a crash leaves: what was acknowledged, and nothing half done.

use std::sync::Arc;

use velocitydb::{Background, Database, Durability, Options};
use velocitydb_colonies::{By, Colonies, DEFAULT_PREFIX, Find, State, schema};
use velocitydb_sim::{CrashMode, SimDisk};

use crate::graphs::chain;
use crate::support::{executor, spec, submit};

fn open(disk: &SimDisk) -> Database {
    let options = Options::at("/data").disk(Arc::new(disk.clone()));
    let options = options
        .background(Background::Owner)
        .durability(Durability::Full);
    Database::open(options).unwrap()
}

#[test]
fn what_was_assigned_and_closed_is_so_after_a_crash() {
    for seed in 0..8 {
        let disk = SimDisk::new(seed);
        let db = open(&disk);
        db.load_schema(schema(DEFAULT_PREFIX)).unwrap();
        let colonies = Colonies::open(db, DEFAULT_PREFIX);
        let graph = chain(&colonies);
        for _ in 0..10 {
            submit(&colonies, spec("echo"));
        }
        let mut running = Vec::new();
        for _ in 0..4 {
            let process = colonies
                .processes()
                .assign(&executor("ann"))
                .unwrap()
                .unwrap();
            running.push(process);
        }
        // The first one is of the graph: closing it releases the one behind it.
        assert_eq!(running[0].graph_id, graph);
        colonies
            .processes()
            .succeed(&running[0].id, By::Anyone, &[])
            .unwrap();
        colonies
            .processes()
            .fail(&running[1].id, By::Anyone, &["x".into()])
            .unwrap();
        colonies
            .processes()
            .unassign(&running[2].id, By::Anyone)
            .unwrap();

        let crashed = disk.crash(CrashMode::PowerLoss);
        let colonies = Colonies::open(open(&crashed), DEFAULT_PREFIX);
        let count = |state| {
            colonies
                .processes()
                .count(Find::all().state(state))
                .unwrap()
        };
        let counts = State::ALL
            .iter()
            .map(|state| count(*state))
            .collect::<Vec<_>>();
        assert_eq!(counts, [9, 1, 1, 1, 0], "seed {seed}");
        let processes = colonies.graphs().processes(&graph).unwrap();
        assert!(!processes[1].wait_for_parents, "seed {seed}");
        assert_eq!(
            colonies.graphs().get(&graph).unwrap().unwrap().state,
            State::Running
        );
        // All that waits is assigned once.
        let rest = colonies
            .processes()
            .assign_many(&executor("bo"), 100)
            .unwrap();
        assert_eq!(rest.processes.len(), 9, "seed {seed}");
    }
}
