//! Golden scripts: a statement after `>`, and what it answers. Each runs against both targets.
//!
//! `⏎` in a statement is the end of a line. What differs from run to run is left out: metadata
//! but the id and the version, and cursors, for which `$NEXT` stands. `UPDATE_GOLDENFILES=1` writes
//! the answers anew, to be read before they are kept.

use std::error::Error;
use std::path::PathBuf;

use goldenscript::{Command, Context, Runner};
use velocitydb_shell::Session;

use crate::support::{Served, embedded, said, session};

struct Scripts {
    session: Session,
    next: String,
}

impl Runner for Scripts {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let statement = command.name.replace('⏎', "\n");
        let answer = said(&mut self.session, &statement.replace("$NEXT", &self.next));
        let lines: Vec<String> = answer
            .lines()
            .filter_map(|line| self.settled(line))
            .collect();
        Ok(lines.join("\n"))
    }
}

const UNSETTLED: [&str; 3] = ["_index", "_created_at", "_updated_at"];

impl Scripts {
    /// A line without what differs from run to run.
    fn settled(&mut self, line: &str) -> Option<String> {
        if UNSETTLED.iter().any(|name| line.starts_with(name)) {
            return None;
        }
        if let Some((before, next)) = line.rsplit_once(" after ")
            && before.contains("; for more: ")
        {
            self.next = next.to_owned();
            return Some(format!("{before} after $NEXT"));
        }
        let mut line = line.to_owned();
        for name in UNSETTLED {
            let name = format!("\"{name}\":");
            if let Some(start) = line.find(&name) {
                // Neither a number nor a time has a comma, and the version follows.
                let end = start + line[start..].find(',').unwrap();
                line.replace_range(start..=end, "");
            }
        }
        Some(line)
    }
}

fn run(name: &str) {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let path: PathBuf = [&dir, "tests/it/testscripts", &format!("{name}.script")]
        .iter()
        .collect();
    let served = Served::start();
    for session in [embedded(), session(served.target())] {
        let next = String::new();
        goldenscript::run(&mut Scripts { session, next }, &path).unwrap();
    }
}

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            run(stringify!($name));
        }
    )*};
}

scripts!(
    answers_as_json,
    collections_are_altered,
    databases_are_beside_each_other,
    documents_come_and_go,
    errors_point_at_their_place,
    escape_sequences_are_shown_not_obeyed,
    ids_have_types,
    lists_go_on_after_a_page,
    long_values_are_cut,
    metadata_is_not_written,
    questions_are_answered,
    swap_has_one_winner,
    texts_and_places_are_found,
);

#[test]
fn every_script_is_run() {
    let dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let files = std::fs::read_dir(PathBuf::from(dir).join("tests/it/testscripts")).unwrap();
    assert_eq!(files.count(), SCRIPTS);
}

const SCRIPTS: usize = 13;
