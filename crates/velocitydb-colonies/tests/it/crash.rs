//! What a crash leaves: what was acknowledged, and nothing half done.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use serde_json::json;
use velocitydb::{Background, Database, Durability, LogOptions, ManualClock, Options};
use velocitydb_colonies::{
    Attribute, AttributeKind, Begin, By, Colonies, Colony, Cron, DEFAULT_PREFIX, Error, Executor,
    Find, Function, Of, State, schema,
};
use velocitydb_sim::{CrashMode, FaultPlan, Repeat, SimDisk};

use crate::graphs::{chain, diamond};
use crate::support::{NOW, executor, spec, submit};

fn options(disk: &SimDisk) -> Options {
    // Small segments are read fast, and are full in the middle of a step now and then.
    let mut log = LogOptions::default();
    (log.first_segment_bytes, log.segment_bytes) = (8 << 10, 8 << 10);
    let options = Options::at("/data").disk(Arc::new(disk.clone())).log(log);
    options
        .background(Background::Owner)
        .durability(Durability::Full)
}

fn open(disk: &SimDisk) -> Database {
    Database::open(options(disk)).unwrap()
}

/// At a time that stands still.
fn open_at_now(disk: &SimDisk, durability: Durability) -> Database {
    let clock = Arc::new(ManualClock::new(NOW));
    Database::open(options(disk).durability(durability).clock(clock)).unwrap()
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

/// What there is before each step: a graph of four (`first`; `left` and `right`; `last`), of which the first
/// one is done, `left` runs and `right` waits; one more that runs, and one more that waits; a cron that is due.
/// All with an attribute, and a function that is counted.
fn before_the_step() -> (SimDisk, String) {
    let disk = SimDisk::new(0);
    let db = open_at_now(&disk, Durability::Full);
    db.load_schema(schema(DEFAULT_PREFIX)).unwrap();
    let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);
    let dev = Colony {
        id: "dev".into(),
        name: "dev".into(),
    };
    colonies.colonies().add(&dev).unwrap();
    let ann = Executor {
        id: "ann".into(),
        name: "ann".into(),
        kind: "cli".into(),
        colony: "dev".into(),
        ..Executor::default()
    };
    colonies.executors().add(&ann).unwrap();
    let counted = Function {
        id: "f".into(),
        executor: "ann".into(),
        colony: "dev".into(),
        name: "echo".into(),
        ..Function::default()
    };
    colonies.functions().add(&counted).unwrap();
    let processes = colonies.processes();
    let assign = || processes.assign(&executor("ann")).unwrap().unwrap();
    let mut alone = spec("alone");
    (alone.priority, alone.max_exec_s, alone.max_wait_s) = (1, 60, 60);
    submit(&colonies, alone.clone());
    assign();
    let graph = diamond(&colonies);
    let first = assign();
    let given = [json!("from first")];
    processes.succeed(&first.id, By::Anyone, &given).unwrap();
    let left = node(&colonies, &graph, "left").unwrap();
    processes.assign_to(&left, "ann").unwrap();
    alone.priority = -1;
    submit(&colonies, alone);
    for process in processes.find(Find::all()).unwrap() {
        let note = Attribute::new(&process, AttributeKind::Out, "key", "value");
        colonies.attributes().add(&[note]).unwrap();
        // As if it had been added while the process was as it is.
        processes.set_state(&process.id, process.state).unwrap();
    }
    let workflow = crate::graphs::workflow(&[("a", &[]), ("b", &["a"])]);
    let due = Cron {
        id: "due".into(),
        colony: "dev".into(),
        name: "due".into(),
        interval_s: 60,
        next_run: Some(NOW),
        workflow: serde_json::to_string(&workflow).unwrap(),
        ..Cron::default()
    };
    colonies.crons().add(&due).unwrap();
    drop(colonies);
    db.close().unwrap();
    (disk, graph)
}

/// All that there is, a line each; ids that are not known are those of new things.
fn lines(colonies: &Colonies, graph: &str, known: Option<&[String]>) -> Vec<String> {
    let mut lines = Vec::new();
    let processes = colonies.processes().find(Find::all()).unwrap();
    let graphs: BTreeSet<&str> = processes
        .iter()
        .map(|process| process.graph_id.as_str())
        .collect();
    let graphs = graphs.iter().map(|id| colonies.graphs().get(id).unwrap());
    lines.extend(graphs.map(|graph| format!("{graph:?}")));
    assert!(colonies.graphs().get(graph).unwrap().is_some());
    lines.extend(processes.iter().map(|process| format!("{process:?}")));
    let notes = colonies.attributes().find(Of::All).unwrap();
    lines.extend(notes.iter().map(|note| format!("{note:?}")));
    lines.push(format!("{:?}", colonies.functions().get("f").unwrap()));
    let ann = colonies.executors().by_id("ann").unwrap();
    lines.push(format!("{ann:?}"));
    lines.push(format!("{:?}", colonies.crons().get("due").unwrap()));
    if let Some(known) = known {
        let known = known.concat();
        for line in &mut lines {
            let word = |word: &str| match word.len() == 64 && !known.contains(word) {
                true => "new".to_owned(),
                false => word.to_owned(),
            };
            *line = line.split('"').map(word).collect::<Vec<_>>().join("\"");
        }
    }
    lines.sort();
    lines
}

/// Finishes all that there is: nothing is left over, and all notes are of the state of their process.
fn go_on(colonies: &Colonies, graph: &str, context: &str) {
    let processes = colonies.processes();
    loop {
        let open = Find::all().state(State::Running);
        for process in processes.find(open).unwrap() {
            processes.succeed(&process.id, By::Anyone, &[]).unwrap();
        }
        if processes.assign(&executor("bo")).unwrap().is_none() {
            break;
        }
    }
    let all = colonies.graphs().processes(graph).unwrap();
    let state = colonies.graphs().get(graph).unwrap().unwrap().state;
    assert!(state.is_closed(), "{context}: the graph is {state}");
    for process in all {
        // What was done stays so when the rest is given up.
        let done = state == State::Cancelled && process.state == State::Successful;
        assert!(done || process.state == state, "{context}: {process:?}");
        let notes = colonies.attributes().of_process(&process.id).unwrap();
        let as_noted = notes.iter().all(|note| note.state == process.state);
        assert!(as_noted, "{context}: {notes:?}");
    }
    let waits = processes.count(Find::all().state(State::Waiting)).unwrap();
    assert_eq!(waits, 0, "{context}");
}

/// Stops the database at each operation of the disk that a step takes. Afterwards the step has happened,
/// or it has not; one that was acknowledged has, as far as the durability goes. `between` is a state that
/// may be found too: the first of several steps.
fn crash_within(
    name: &str,
    step: impl Fn(&Colonies, &str) -> Result<(), Error>,
    between: impl Fn(&[String], &[String]) -> Option<Vec<String>>,
) {
    let (base, graph) = before_the_step();
    let colonies = Colonies::open(open_at_now(&base.copy(0), Durability::Full), DEFAULT_PREFIX);
    let ids = lines(&colonies, &graph, None);
    let before = lines(&colonies, &graph, Some(&ids));
    step(&colonies, &graph).unwrap();
    let after = lines(&colonies, &graph, Some(&ids));
    assert_ne!(before, after, "{name}");
    let between = between(&before, &after);

    let mut found = [0; 2];
    // What survives a loss of power is chance.
    let ends = [
        (Durability::Os, CrashMode::Process, 0),
        (Durability::Os, CrashMode::PowerLoss, 1),
        (Durability::Full, CrashMode::PowerLoss, 2),
        (Durability::Full, CrashMode::PowerLoss, 3),
    ];
    for (durability, mode, seed) in ends {
        for nth in 0.. {
            let context = format!("{name}: {durability:?} {mode:?} {seed}, operation {nth}");
            let disk = base.copy(seed);
            let colonies = Colonies::open(open_at_now(&disk, durability), DEFAULT_PREFIX);
            let operations = disk.operations();
            let failing = FaultPlan::nth(nth, Repeat::FromThenOn, ErrorKind::Other);
            disk.plan(Some(failing));
            let done = step(&colonies, &graph);
            let whole = disk.operations() - operations <= nth;
            let crashed = disk.crash(mode);
            let colonies = Colonies::open(open_at_now(&crashed, durability), DEFAULT_PREFIX);
            let now = lines(&colonies, &graph, Some(&ids));
            let kept = durability == Durability::Full || mode == CrashMode::Process;
            match &now {
                now if *now == after => found[1] += 1,
                now if done.is_ok() && kept => panic!("{context}: lost, {now:#?}"),
                now if *now == before => found[0] += 1,
                now if between.as_ref() == Some(now) => {}
                now => panic!("{context}: half done: {now:#?}"),
            }
            go_on(&colonies, &graph, &context);
            if whole {
                done.unwrap();
                break;
            }
        }
    }
    assert!(found[0] > 0 && found[1] > 0, "{name}: {found:?}");
}

fn nothing_between(_: &[String], _: &[String]) -> Option<Vec<String>> {
    None
}

/// The id of the process of a graph that has this name.
fn node(colonies: &Colonies, graph: &str, name: &str) -> Result<String, Error> {
    let all = colonies.graphs().processes(graph)?;
    let found = all.into_iter().find(|process| process.spec.node == name);
    Ok(found.unwrap().id)
}

#[test]
fn a_crash_while_a_process_of_a_graph_is_closed() {
    let given = [json!({"from": "left"})];
    let succeed = |colonies: &Colonies, graph: &str| {
        let id = node(colonies, graph, "left")?;
        let mine = By::Executor("ann");
        colonies.processes().succeed(&id, mine, &given).map(drop)
    };
    crash_within("succeed", succeed, nothing_between);
    // The graph fails with it.
    let fail = |colonies: &Colonies, graph: &str| {
        let id = node(colonies, graph, "left")?;
        let why = ["broken".to_owned()];
        let mine = By::Executor("ann");
        colonies.processes().fail(&id, mine, &why).map(drop)
    };
    crash_within("fail", fail, nothing_between);
    let cancel = |colonies: &Colonies, graph: &str| colonies.graphs().cancel(graph);
    crash_within("cancel", cancel, nothing_between);
}

#[test]
fn a_crash_while_a_process_is_taken_away() {
    let unassign = |colonies: &Colonies, graph: &str| {
        let id = node(colonies, graph, "left")?;
        colonies.processes().unassign(&id, By::Executor("ann"))
    };
    crash_within("unassign", unassign, nothing_between);
    let leave = |colonies: &Colonies, _: &str| colonies.executors().remove("dev", "ann");
    crash_within("leave", leave, nothing_between);
}

#[test]
fn a_crash_while_a_process_is_assigned() {
    let assign = |colonies: &Colonies, _: &str| {
        let found = colonies.processes().assign(&executor("bo"))?;
        found.map(drop).ok_or(Error::Invalid("there is one".into()))
    };
    // The process is assigned in one step; its attributes and its graph are told afterwards.
    let assigned = |before: &[String], after: &[String]| {
        let is_process = |line: &&String| line.starts_with("Process {");
        let processes = after.iter().filter(is_process);
        let others = before.iter().filter(|line| !is_process(line));
        let mut lines: Vec<String> = processes.chain(others).cloned().collect();
        lines.sort();
        Some(lines)
    };
    crash_within("assign", assign, assigned);
}

#[test]
fn a_crash_while_workflows_are_submitted() {
    let submit = |colonies: &Colonies, _: &str| {
        let workflow = crate::graphs::workflow(&[("a", &[]), ("b", &["a"]), ("c", &["a"])]);
        let begin = Begin::default();
        colonies.graphs().submit(&workflow, &begin).map(drop)
    };
    crash_within("submit", submit, nothing_between);
    let fire = |colonies: &Colonies, _: &str| {
        let fired = colonies.crons().fire_due(Cron::by_interval)?;
        assert_eq!(fired.len(), 1);
        Ok(())
    };
    crash_within("fire", fire, nothing_between);
}

#[test]
fn a_colony_whose_removal_was_interrupted_can_be_removed() {
    let (base, _) = before_the_step();
    for nth in 0.. {
        let disk = base.copy(0);
        let colonies = Colonies::open(open(&disk), DEFAULT_PREFIX);
        let failing = FaultPlan::nth(nth, Repeat::FromThenOn, ErrorKind::Other);
        disk.plan(Some(failing));
        let done = colonies.colonies().remove("dev");
        let crashed = disk.crash(CrashMode::PowerLoss);
        let colonies = Colonies::open(open(&crashed), DEFAULT_PREFIX);
        match colonies.colonies().remove("dev") {
            Ok(()) => assert!(done.is_err(), "operation {nth}: lost"),
            Err(Error::NotFound { .. }) => {}
            Err(error) => panic!("operation {nth}: {error}"),
        }
        let left = [
            colonies.processes().count(Find::all()).unwrap(),
            colonies.graphs().count(None, None).unwrap(),
            colonies.executors().count(None, None).unwrap(),
            colonies.crons().find(None, 10).unwrap().len() as u64,
        ];
        assert_eq!(left, [0; 4], "operation {nth}");
        if done.is_ok() {
            break;
        }
    }
}
