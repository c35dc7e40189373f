//! `velocitydb demo`: what the database does, step by step, each with what came out of it.
//!
//! In memory unless a directory is given. The text is the same each time.
//! Tests: tests/it/demo.rs holds the whole text.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use velocitydb::{
    Collection, Database, Definition, Document, Expected, Options, PageRequest, Swap, Update,
};

use crate::failure::Failure;
use crate::text::count;

/// Where the demo happens.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Keep the data in this directory [default: in memory, nothing is kept]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The collection of the demo.
const COLLECTION: &str = "demo_tasks";

/// Runs the command.
pub fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let db = match &arguments.data {
        Some(dir) => {
            writeln!(out, "A database in {}.", dir.display())?;
            Database::open(Options::at(dir)).map_err(|error| Failure::of(&error, dir))?
        }
        None => {
            writeln!(out, "A database in memory: nothing of this is kept.")?;
            Database::in_memory()?
        }
    };
    let tasks = collection(&db, out)?;
    documents(&tasks, out)?;
    updates(&tasks, out)?;
    health(&db, out)?;
    db.close()?;
    if let Some(dir) = &arguments.data {
        writeln!(
            out,
            "\nAll of it is kept: `velocitydb check {}` looks at it.",
            dir.display()
        )?;
    }
    Ok(())
}

fn step(out: &mut dyn Write, title: &str) -> Result<(), Failure> {
    Ok(writeln!(out, "\n{title}")?)
}

fn collection(db: &Database, out: &mut dyn Write) -> Result<Collection, Failure> {
    step(out, "Create a collection")?;
    if let Ok(tasks) = db.collection(COLLECTION) {
        let before = tasks.count()?;
        tasks.truncate()?;
        let before = count(before, "document");
        writeln!(
            out,
            "  {COLLECTION} is there, with {before} of an earlier demo: removed them"
        )?;
        return Ok(tasks);
    }
    let tasks = db.create_collection(Definition::new(COLLECTION))?.value;
    writeln!(out, "  created {COLLECTION}")?;
    Ok(tasks)
}

fn documents(tasks: &Collection, out: &mut dyn Write) -> Result<(), Failure> {
    step(out, "Insert three documents")?;
    for (id, name, priority) in [("t1", "resize", 5), ("t2", "train", 9), ("t3", "report", 1)] {
        let document = [
            ("name", name.into()),
            ("priority", priority.into()),
            ("state", "waiting".into()),
        ];
        let outcome = tasks.insert_with_id(id, document)?.value;
        writeln!(out, "  inserted {id}, version {}", outcome.version)?;
    }
    step(out, "Insert one of them again")?;
    match tasks.insert_with_id("t1", [("name", "resize".into())]) {
        Ok(_) => return Err(Failure::new("the second document t1 was taken")),
        Err(error) => writeln!(out, "  refused: {error}")?,
    }
    step(out, "Count them")?;
    writeln!(out, "  {}", count(tasks.count()?, "document"))?;
    step(out, "List the first two, then the rest")?;
    let first = tasks.list(&PageRequest {
        limit: 2,
        after: None,
    })?;
    let rest = tasks.list(&PageRequest {
        limit: 2,
        after: first.next,
    })?;
    for (page, documents) in [(1, &first.documents), (2, &rest.documents)] {
        for document in documents {
            writeln!(out, "  page {page}: {}", shown(document))?;
        }
    }
    step(out, "Get one by its id")?;
    writeln!(out, "  {}", shown(&get(tasks, "t2")?))?;
    Ok(())
}

fn updates(tasks: &Collection, out: &mut dyn Write) -> Result<(), Failure> {
    step(out, "Change one field of it")?;
    let outcome = tasks.update("t2", Update::new().set("priority", 10))?.value;
    writeln!(
        out,
        "  t2 has version {} now: {}",
        outcome.version,
        shown(&get(tasks, "t2")?)
    )?;
    let waiting = Expected::field("state", "waiting");
    for worker in ["ada", "bob"] {
        step(
            out,
            &format!("{worker} takes t1, if it is still waiting (compare-and-swap)"),
        )?;
        let update = Update::new().set("state", "running").set("worker", worker);
        match tasks.compare_and_swap("t1", &waiting, update)?.value {
            Swap::Won(document) => writeln!(out, "  won: {}", shown(&document))?,
            Swap::Refused { current, reason } => {
                writeln!(out, "  refused: {reason}")?;
                writeln!(out, "  it is {}", shown(&current))?;
            }
        }
    }
    Ok(())
}

fn health(db: &Database, out: &mut dyn Write) -> Result<(), Failure> {
    step(out, "Ask how the database is")?;
    let health = db.health();
    let word = |served: bool| if served { "served" } else { "not served" };
    writeln!(
        out,
        "  reads are {}, writes are {}",
        word(health.reads),
        word(health.writes.is_ok())
    )?;
    if let Err(why) = &health.writes {
        writeln!(out, "  {why}")?;
    }
    if let Some(warning) = &health.warning {
        writeln!(out, "  warning: {warning}")?;
    }
    Ok(())
}

fn get(tasks: &Collection, id: &str) -> Result<Document, Failure> {
    tasks
        .get(id)?
        .ok_or_else(|| Failure::new(format!("the document {id} is gone")))
}

fn shown(document: &Document) -> String {
    format!("{} {}", document.id(), document.fields().to_json())
}
