//! The HTTP door against a bare axum route that answers the same: `velocitydb bench http`.
//!
//! Both sides are processes of this program: `velocitydb serve` with its defaults, and a route
//! without layers that answers the same status, type and body (`bare`). The load is wrk's, one
//! thread and 64 connections on the same machine, so that the client takes its share of the cores
//! on both sides. A round counts only when every answer was a success, and a round of inserts only
//! when the documents are there.

mod bare;
mod sides;
mod wrk;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use velocitydb::{Database, Options as DatabaseOptions};

pub use self::bare::{Answers, serve_bare};
use self::sides::Process;
use crate::BenchError;
use crate::data::Data;
use crate::embedded::{Options, with_collection};
use crate::measure::{Better, HEAD, Row, alternate, short};

/// What the figures are measured on.
pub struct Subject {
    /// How often, how many, where.
    pub options: Options,
    /// How long each side is asked in a round.
    pub round: Duration,
    /// This program.
    pub program: PathBuf,
}

/// Both sides, with the paths that they share. It is always the same document that is read, so that
/// the other side can answer the same.
#[derive(Debug)]
pub struct Sides {
    ours: Process,
    bare: Process,
    /// The path of a document.
    document: String,
    /// The path of all of them.
    documents: String,
    round: Duration,
    rounds: usize,
    dir: tempfile::TempDir,
}

type Figures = fn(&Sides) -> Result<Row, BenchError>;

/// The groups, by name, in the order of the report.
pub const GROUPS: &[(&str, Figures)] = &[("get", get), ("insert", insert)];

/// Runs the groups that were asked for and hands each line of the report to `print`.
pub fn run(subject: &Subject, mut print: impl FnMut(&str)) -> Result<(), BenchError> {
    wrk::find()?;
    let load = format!(
        " of {} s by {}",
        subject.round.as_secs(),
        wrk::LOAD.join(" ")
    );
    subject.options.announce(&load, &mut print);
    let sides = Sides::start(subject)?;
    print(HEAD);
    for figures in subject.options.chosen(GROUPS) {
        print(&figures(&sides)?.to_string());
    }
    Ok(())
}

/// A document, as a client sends it. wrk's script makes such ones.
const DOCUMENT: &str = r#"{"amount":0.5,"colony":"benchmark","name":"first","note":"the one that both sides answer for","priority":7,"state":1}"#;

impl Sides {
    /// Starts both, and makes sure that they answer the same.
    fn start(subject: &Subject) -> Result<Sides, BenchError> {
        let options = &subject.options;
        let dir = tempfile::tempdir_in(&options.dir)?;
        let id = fill(&dir.path().join("data"), options.documents.max(1))?;
        let ours = Process::serve(&subject.program, dir.path())?;
        let documents = "/v1/collections/documents/documents".to_owned();
        let document = format!("{documents}/{id}");
        let read = ours.get(&document)?;
        let written = ours.post(&documents, DOCUMENT)?;
        let answers = Answers {
            read: read.body.clone(),
            written: written.body.clone(),
        };
        let bare = Process::bare(&subject.program, dir.path(), &answers)?;
        let same = bare.get(&document)? == read && bare.post(&documents, DOCUMENT)? == written;
        if !same {
            let what = "the two sides do not answer the same".to_owned();
            return Err(BenchError::Unfit(what));
        }
        Ok(Sides {
            ours,
            bare,
            document,
            documents,
            round: subject.round,
            rounds: options.rounds,
            dir,
        })
    }

    /// Alternates the sides; `ask` answers the requests a second of one of them.
    fn compare(
        &self,
        what: &str,
        bar: f64,
        ask: impl Fn(&Process) -> Result<f64, BenchError>,
    ) -> Result<Row, BenchError> {
        // A first time that does not count.
        ask(&self.ours)?;
        ask(&self.bare)?;
        let (ratio, ours, theirs) = alternate(self.rounds, || ask(&self.ours), || ask(&self.bare))?;
        Ok(Row {
            what: format!("{what}, against a bare axum route"),
            figure: ratio,
            unit: "x",
            bar,
            aim: 1.0,
            better: Better::Higher,
            detail: format!(
                "{} against {} requests/s",
                short(ours.median),
                short(theirs.median)
            ),
        })
    }
}

fn get(sides: &Sides) -> Result<Row, BenchError> {
    sides.compare("document by id", 0.75, |side| {
        Ok(wrk::get(&side.url(&sides.document), sides.round)?.rate())
    })
}

/// The script of wrk that makes documents, all of them different.
const SCRIPT: &str = include_str!("http/insert.lua");

fn insert(sides: &Sides) -> Result<Row, BenchError> {
    let script = sides.dir.path().join("insert.lua");
    std::fs::write(&script, SCRIPT)?;
    let runs = Cell::new(0);
    sides.compare("insert at `os`", 0.6, |side| {
        let before = sides.ours.count()?;
        let run = runs.replace(runs.get() + 1).to_string();
        let load = wrk::run_script(&side.url(&sides.documents), sides.round, &script, &run)?;
        let inserted = sides.ours.count()? - before;
        // What was under way when the time was over may have been inserted, or not.
        let expected = match std::ptr::eq(side, &sides.ours) {
            true => load.requests..=load.requests + wrk::CONNECTIONS,
            // Those that were under way when our own round was over may still come.
            false => 0..=wrk::CONNECTIONS,
        };
        match expected.contains(&inserted) {
            true => Ok(load.rate()),
            false => Err(BenchError::Unfit(format!(
                "{inserted} documents were inserted, but {} inserts were answered",
                load.requests
            ))),
        }
    })
}

/// Makes a data directory with a collection of documents. Answers the id of one of them.
fn fill(path: &Path, documents: usize) -> Result<String, BenchError> {
    let (db, collection) = with_collection(Database::open(DatabaseOptions::at(path))?)?;
    let data = Data::new(documents, 1);
    for (at, key) in data.keys().iter().enumerate() {
        collection.insert_with_id(key, data.document(at))?;
    }
    db.close()?;
    Ok(data.ids[0].to_string())
}
