//! The PostgreSQL door, beside PostgreSQL: `velocitydb bench pg --against postgres`.
//!
//! Both sides are servers of their own on new directories, asked over TCP on this machine: by
//! pgbench, which runs beside them and takes its share of the cores on both sides, and by a client
//! that costs next to nothing (`wire`). Commits are equally durable on both: `full` is
//! `synchronous_commit=on`, each forced to the disk before its answer; `memory` with a log that is
//! forced to the disk every 200 ms is `synchronous_commit=off` with PostgreSQL's writer of the
//! log, which does so every 200 ms. A transaction that fails is not tried again and does not count; a
//! round of TPC-B counts only when the tables show what was committed, no more and no less.
//!
//! `servers` starts both, `pgbench` is the load, `tables` fills and checks, `copy` and `idle` are
//! groups of their own. Without a peer our figures stand alone.

pub mod colonies;
mod copy;
mod idle;
mod pgbench;
pub(crate) mod servers;
mod tables;
pub(crate) mod wire;

use std::path::PathBuf;
use std::time::Duration;

use velocitydb::Database;

use self::pgbench::{Mode, Pgbench, Script};
use self::servers::{Peer, Server, Setup, programs};
pub use self::wire::Address;
use crate::BenchError;
use crate::embedded::Options;
use crate::measure::{Better, HEAD, Row, Spread, alternate, short};

/// Who we are, on both sides.
const USER: &str = "bench";
/// The database, on both sides.
const DATABASE: &str = "postgres";

/// Whom we are measured against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Nobody.
    Nobody,
    /// PostgreSQL, as it is installed.
    Postgres,
}

/// What the figures are measured on.
pub struct Subject<'a> {
    /// How often and where; the number of documents means nothing here.
    pub options: Options,
    /// How long each side is asked in a round.
    pub round: Duration,
    /// pgbench's: 100,000 accounts each.
    pub scale: usize,
    /// Clients of pgbench.
    pub clients: usize,
    /// Idle connections.
    pub connections: usize,
    /// This program.
    pub program: PathBuf,
    /// The other side.
    pub against: Against,
    /// A database with the flights of the sample data.
    pub flights: &'a dyn Fn() -> Result<Database, BenchError>,
}

impl Subject<'_> {
    fn setup(&self, commit: Commit, connections: usize) -> Setup<'_> {
        Setup {
            dir: &self.options.dir,
            commit,
            connections,
        }
    }

    fn ours(&self, commit: Commit, connections: usize) -> Result<Server, BenchError> {
        Server::ours(&self.program, self.setup(commit, connections))
    }

    fn theirs(
        &self,
        peer: &Peer,
        commit: Commit,
        connections: usize,
    ) -> Result<Server, BenchError> {
        peer.start(self.setup(commit, connections), &self.settings())
    }

    /// All data fits into PostgreSQL's buffers with a few times as much to spare: a table below a quarter
    /// of them is read into them whole, and the accounts take 13 MB a unit of scale.
    fn settings(&self) -> Vec<String> {
        vec![format!("shared_buffers={}MB", 512 + 64 * self.scale)]
    }
}

/// What a commit waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// The disk.
    Synced,
    /// Nothing; the disk has it a moment later.
    Asynchronous,
}

/// Both sides with the same tables.
#[derive(Debug)]
struct Pair {
    ours: Server,
    theirs: Option<Server>,
}

/// A benchmark that runs.
pub struct Bench<'a> {
    subject: &'a Subject<'a>,
    peer: Option<Peer>,
    pgbench: Pgbench,
    /// Those that were started last, with pgbench's tables.
    filled: Option<(Commit, Pair)>,
}

/// What a group of figures is made by.
pub type Figures = fn(&mut Bench<'_>) -> Result<Row, BenchError>;

/// The groups, by name, in the order of the report.
pub const GROUPS: &[(&str, Figures)] = &[
    ("prepared", |bench| bench.select(Mode::Prepared)),
    ("simple", |bench| bench.select(Mode::Simple)),
    ("tpcb", |bench| bench.tpcb(Commit::Synced)),
    ("async", |bench| bench.tpcb(Commit::Asynchronous)),
    ("copy", copy::flights),
    ("idle", idle::memory),
];

/// Runs those of `groups` that were asked for and hands each line of the report to `print`.
pub fn run(
    subject: &Subject<'_>,
    groups: &'static [(&'static str, Figures)],
    mut print: impl FnMut(&str),
) -> Result<(), BenchError> {
    let peer = match subject.against {
        Against::Nobody => None,
        Against::Postgres => Some(Peer::find()?),
    };
    let pgbench = Pgbench {
        program: programs(&["pgbench"])?.join("pgbench"),
        clients: subject.clients,
        scale: subject.scale,
        time: subject.round,
    };
    let data = format!("pgbench of scale {}", subject.scale);
    let load = format!(
        " of {} s by {} clients",
        subject.round.as_secs(),
        subject.clients
    );
    subject.options.announce_on(&data, &load, &mut print);
    if let Some(peer) = &peer {
        print(&peer.announcement(&subject.settings()));
    }
    print(HEAD);
    let mut bench = Bench {
        subject,
        peer,
        pgbench,
        filled: None,
    };
    for figures in subject.options.chosen(groups) {
        print(&figures(&mut bench)?.to_string());
    }
    Ok(())
}

/// Figures of all rounds: the ratio and the other side's are there when it is.
struct Compared {
    ratio: Option<Spread>,
    ours: Spread,
    theirs: Option<Spread>,
}

impl Compared {
    /// A line of the report: the ratio where there is another side, which is to reach bar and aim.
    fn row(
        &self,
        bench: &Bench<'_>,
        what: String,
        unit: &'static str,
        (bar, aim): (f64, f64),
    ) -> Row {
        let row = Row {
            what,
            figure: self.ours,
            unit,
            bar: f64::NAN,
            aim: f64::NAN,
            better: Better::Higher,
            detail: String::new(),
        };
        let (Some(ratio), Some(theirs), Some(peer)) = (self.ratio, self.theirs, &bench.peer) else {
            return row;
        };
        let [ours, theirs] = [self.ours, theirs].map(|side| short(side.median));
        Row {
            what: format!("{}, against {}", row.what, peer.version),
            figure: ratio,
            unit: "x",
            bar,
            aim,
            detail: format!("{ours} against {theirs} {unit}"),
            ..row
        }
    }
}

/// How many connections a server has to take for so many at once: some more, since those that are
/// closed take a moment to end.
fn room_for(connections: usize) -> usize {
    connections + 10
}

impl Pair {
    /// Starts both, with room for this many connections.
    fn start(bench: &Bench<'_>, commit: Commit, connections: usize) -> Result<Pair, BenchError> {
        let connections = room_for(connections);
        let start = |peer: &Peer| bench.subject.theirs(peer, commit, connections);
        Ok(Pair {
            ours: bench.subject.ours(commit, connections)?,
            theirs: bench.peer.as_ref().map(start).transpose()?,
        })
    }

    /// Does something on each side.
    fn each(&self, work: impl Fn(&Server) -> Result<(), BenchError>) -> Result<(), BenchError> {
        work(&self.ours)?;
        self.theirs.as_ref().map_or(Ok(()), work)
    }

    /// Alternates the sides; `ask` answers the figure of one of them.
    fn compare(
        &self,
        rounds: usize,
        ask: impl Fn(&Server) -> Result<f64, BenchError>,
    ) -> Result<Compared, BenchError> {
        // A first time that does not count.
        ask(&self.ours)?;
        self.theirs.as_ref().map(&ask).transpose()?;
        let Some(theirs) = &self.theirs else {
            let figures: Result<Vec<f64>, BenchError> =
                (0..rounds).map(|_| ask(&self.ours)).collect();
            return Ok(Compared {
                ratio: None,
                ours: Spread::of(&figures?),
                theirs: None,
            });
        };
        let (ratio, ours, theirs) = alternate(rounds, || ask(&self.ours), || ask(theirs))?;
        Ok(Compared {
            ratio: Some(ratio),
            ours,
            theirs: Some(theirs),
        })
    }
}

impl Bench<'_> {
    /// Both sides with pgbench's tables, as they are or new.
    fn filled(&mut self, commit: Commit) -> Result<&Pair, BenchError> {
        let of_the_kind = |(kind, _): &(Commit, Pair)| *kind == commit;
        let filled = match self.filled.take().filter(of_the_kind) {
            Some(filled) => filled,
            None => {
                let pair = Pair::start(self, commit, self.subject.clients)?;
                tables::fill(&pair, &self.pgbench)?;
                (commit, pair)
            }
        };
        Ok(&self.filled.insert(filled).1)
    }

    fn select(&mut self, mode: Mode) -> Result<Row, BenchError> {
        let what = format!("pgbench -S -M {}", mode.name());
        self.compare(what, Commit::Synced, Script::Select, mode, (1.5, 2.5))
    }

    fn tpcb(&mut self, commit: Commit) -> Result<Row, BenchError> {
        let (how, bars) = match commit {
            Commit::Synced => ("each commit forced to the disk", (1.5, 2.2)),
            Commit::Asynchronous => ("asynchronous commit", (1.4, 2.0)),
        };
        let what = format!("pgbench TPC-B, {how}");
        self.compare(what, commit, Script::TpcB, Mode::Simple, bars)
    }

    fn compare(
        &mut self,
        what: String,
        commit: Commit,
        script: Script,
        mode: Mode,
        goals: (f64, f64),
    ) -> Result<Row, BenchError> {
        self.filled(commit)?;
        let (_, pair) = self.filled.as_ref().expect("they were started");
        let (failed, all) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
        let compared = pair.compare(self.subject.options.rounds, |side| {
            let load = self.pgbench.run(side, script, mode)?;
            if let Script::TpcB = script {
                tables::check(side, &load)?;
            }
            if std::ptr::eq(side, &pair.ours) {
                failed.set(failed.get() + load.failed);
                all.set(all.get() + load.failed + load.transactions);
            }
            Ok(load.rate)
        })?;
        let note = match failed.get() {
            0 => String::new(),
            failed => format!(
                "; {} % of ours failed and do not count",
                short(failed as f64 / all.get() as f64 * 100.0)
            ),
        };
        let mut row = compared.row(self, what, "transactions/s", goals);
        row.detail.push_str(&note);
        Ok(row)
    }
}
