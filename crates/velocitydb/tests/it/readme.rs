//! The README's Rust example: it runs, and it is the one that the README shows.

use velocitydb::{Database, Error};

use crate::support::between;

const README: &str = include_str!("../../../../README.md");
const THIS: &str = include_str!("readme.rs");

#[test]
fn the_example_runs_and_is_the_one_shown() {
    let (mut shown, run) = (
        between(README, "```rust", "```"),
        between(THIS, "// begin", "// end"),
    );
    shown.retain(|line| !line.contains("Database::open(") && !line.starts_with("use "));
    assert_eq!(shown, run);
    example(&Database::in_memory().unwrap()).unwrap();
}

#[rustfmt::skip] // as the README has it
#[expect(clippy::print_stdout, reason = "as the README has it")]
fn example(db: &Database) -> Result<(), Error> {
    use velocitydb::{Definition, Expected, Swap, Update};
    // begin
    let tasks = db.create_collection(Definition::new("tasks"))?.value;
    tasks.insert_with_id("t1", [("state", "waiting".into())])?;

    // Many may try; one wins, and the others learn what the task is now.
    let expected = Expected::field("state", "waiting");
    match tasks.compare_and_swap("t1", &expected, Update::new().set("state", "running"))?.value {
        Swap::Won(task) => println!("it is ours: {task:?}"),
        Swap::Refused { current, reason } => println!("{reason}: {current:?}"),
    }
    // end
    Ok(())
}
