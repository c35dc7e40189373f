//! A colony with three executors, which do a workflow of dependent processes and write logs; then a cron.
//!
//! Run it: `cargo run -p velocitydb-colonies --example colony`.

// It shows what happens.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use serde_json::json;
use velocitydb::Database;
use velocitydb_colonies::{
    Begin, By, Colonies, Colony, Cron, DEFAULT_PREFIX, Executor, FunctionSpec, Indexes, Log, Part,
    Process, State, Whose, WorkflowSpec, load, new_id,
};

fn main() -> Result<(), Box<dyn Error>> {
    // In a directory it is `Database::open(velocitydb::Options::at("data"))`.
    for line in colony(&Database::in_memory()?)? {
        println!("{line}");
    }
    Ok(())
}

/// Does all of it, and answers what has happened.
pub fn colony(db: &Database) -> Result<Vec<String>, Box<dyn Error>> {
    // The tables that ColonyOS's server would make for itself. Loading them again changes nothing.
    load(db, DEFAULT_PREFIX, Indexes::Server)?;
    let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);

    // A colony, and who works in it.
    colonies.colonies().add(&Colony {
        id: new_id(),
        name: "dev".into(),
    })?;
    for name in ["ann", "bo", "cecilia"] {
        let executor = Executor {
            id: new_id(),
            kind: "cli".into(),
            name: name.into(),
            colony: "dev".into(),
            ..Executor::default()
        };
        colonies.executors().add(&executor)?;
        colonies.executors().approve(&executor.id)?;
    }

    // The graph and its processes are there at once. Only the root can be assigned by now: each other
    // process is released in the same step in which the last one before it is closed.
    let workflow = workflow();
    let graph = colonies.graphs().submit(&workflow, &Begin::default())?;
    std::thread::scope(|scope| {
        let start = |me: Executor| {
            let colonies = &colonies;
            scope.spawn(move || work(colonies, &me))
        };
        let team = colonies.executors().in_colony("dev")?;
        let team: Vec<_> = team.into_iter().map(start).collect();
        team.into_iter()
            .try_for_each(|executor| executor.join().expect("no executor panics"))
    })?;

    // What became of it.
    let mut story = Vec::new();
    for process in colonies.graphs().processes(&graph.id)? {
        let (node, given) = (&process.spec.node, &process.output);
        story.push(format!("{node}: {}, gave {given:?}", process.state));
        let logs = colonies.logs();
        for log in logs.get(Whose::Process(&process.id), Part::Last, 10)? {
            story.push(format!("  {} said: {}", log.executor, log.message));
        }
    }
    let graph = colonies.graphs().get(&graph.id)?.expect("it was submitted");
    story.push(format!("the workflow: {}", graph.state));

    // The same workflow each hour, the first time now. Any number of servers may ask: it is submitted
    // once each time.
    colonies.crons().add(&Cron {
        id: new_id(),
        colony: "dev".into(),
        name: "hourly".into(),
        interval_s: 3600,
        next_run: Some(db.now()),
        workflow: serde_json::to_string(&workflow)?,
        ..Cron::default()
    })?;
    for server in ["one server", "another"] {
        let submitted = colonies.crons().fire_due(Cron::by_interval)?.len();
        story.push(format!("{server} has submitted {submitted}"));
    }
    let waiting = colonies.graphs().count(Some("dev"), Some(State::Waiting))?;
    story.push(format!("workflows that wait: {waiting}"));
    Ok(story)
}

/// `fetch`, then `train` and `test` at the same time, then `report`, which needs both.
fn workflow() -> WorkflowSpec {
    let node = |name: &str, before: &[&str]| {
        let mut spec = FunctionSpec::new("dev", "cli", "echo");
        spec.node = name.into();
        spec.conditions.dependencies = before.iter().map(|name| (*name).into()).collect();
        spec
    };
    WorkflowSpec {
        colony: "dev".into(),
        nodes: vec![
            node("fetch", &[]),
            node("train", &["fetch"]),
            node("test", &["fetch"]),
            node("report", &["train", "test"]),
        ],
    }
}

/// An executor: takes what fits it, does it, and leaves when nothing has come for a while. Whoever closes
/// a process asks once more, so that nothing is left behind when the others have gone already.
fn work(colonies: &Colonies, me: &Executor) -> Result<(), velocitydb_colonies::Error> {
    let (processes, patience) = (colonies.processes(), Duration::from_millis(200));
    while let Some(process) = processes.assign_or_wait(&me.candidate(), patience)? {
        say(colonies, me, &process)?;
        // Refused, if somebody has taken it away meanwhile because its time was up.
        let given = [json!(process.spec.node)];
        processes.succeed(&process.id, By::Executor(&me.id), &given)?;
        colonies.executors().mark_alive(&me.id)?;
    }
    Ok(())
}

/// Logs what a process has to begin with: what those before it have given.
fn say(
    colonies: &Colonies,
    me: &Executor,
    process: &Process,
) -> Result<(), velocitydb_colonies::Error> {
    colonies.logs().add(&Log {
        process_id: process.id.clone(),
        colony: me.colony.clone(),
        executor: me.name.clone(),
        message: format!("{} with {:?}", process.spec.node, process.input),
        time_ns: process.started_at.map_or(0, |time| time.0 * 1000),
    })
}
