//! A colony with three executors that do a workflow of dependent processes, write logs, and a cron.
//!
//! Run it: `cargo run -p velocitydb-colonies --example colony`.

// It shows what happens.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use serde_json::json;
use velocitydb::Database;
use velocitydb_colonies::{
    Begin, By, Colonies, Colony, Cron, DEFAULT_PREFIX, Error, Executor, FunctionSpec, Indexes, Log,
    Part, State, Whose, WorkflowSpec, load, new_id,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let db = Database::in_memory()?;
    load(&db, DEFAULT_PREFIX, Indexes::Server)?;
    let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);

    colonies.colonies().add(&Colony {
        id: new_id(),
        name: "dev".into(),
    })?;
    let names = ["ann", "bo", "cecilia"];
    for name in names {
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

    let workflow = workflow();
    let graph = colonies.graphs().submit(&workflow, &Begin::default())?;
    std::thread::scope(|scope| {
        let working: Vec<_> = names
            .map(|name| scope.spawn(|| work(&colonies, name)))
            .into_iter()
            .collect();
        working
            .into_iter()
            .try_for_each(|executor| match executor.join() {
                Ok(done) => done,
                Err(_) => Err(Error::Invalid("an executor has panicked".into())),
            })
    })?;

    for process in colonies.graphs().processes(&graph.id)? {
        println!(
            "{} {} gave {:?}",
            process.spec.node, process.state, process.output
        );
        for log in colonies
            .logs()
            .get(Whose::Process(&process.id), Part::Last, 10)?
        {
            println!("    {}: {}", log.executor, log.message);
        }
    }
    let state = colonies.graphs().get(&graph.id)?.map(|graph| graph.state);
    assert_eq!(state, Some(State::Successful));

    // The same workflow each hour, the first time now.
    let cron = Cron {
        id: new_id(),
        colony: "dev".into(),
        name: "hourly".into(),
        interval_s: 3600,
        next_run: Some(db.now()),
        workflow: serde_json::to_string(&workflow)?,
        ..Cron::default()
    };
    colonies.crons().add(&cron)?;
    let fired = colonies.crons().fire_due(Cron::by_interval)?;
    println!("the cron has submitted {} workflow", fired.len());
    assert_eq!(colonies.crons().fire_due(Cron::by_interval)?.len(), 0);
    Ok(())
}

/// Fetch, then two at once, then what needs both.
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

/// Does what there is to do, until nothing has come for a while.
fn work(colonies: &Colonies, name: &str) -> Result<(), Error> {
    let Some(me) = colonies.executors().get("dev", name)? else {
        return Ok(());
    };
    let patience = Duration::from_millis(200);
    while let Some(process) = colonies
        .processes()
        .assign_or_wait(&me.candidate(), patience)?
    {
        colonies.logs().add(&Log {
            process_id: process.id.clone(),
            colony: "dev".into(),
            executor: name.into(),
            message: format!("{} with {} inputs", process.spec.node, process.input.len()),
            time_ns: process.started_at.map_or(0, |time| time.0 * 1000),
        })?;
        let output = [json!(format!("{} by {name}", process.spec.node))];
        colonies
            .processes()
            .succeed(&process.id, By::Executor(&me.id), &output)?;
        colonies.executors().mark_alive(&me.id)?;
    }
    Ok(())
}
