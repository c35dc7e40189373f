//! TPC-H beside PostgreSQL: `velocitydb bench tpch --against postgres`.
//!
//! Both sides are servers of their own with the same tables, keys, indexes and rows (`load`), asked over
//! TCP on this machine in turn. `queries` are the 22 of the specification with the parameters of its
//! validation; an answer counts as right when it is PostgreSQL's, exactly (`answers`). `join` is what a
//! join by key costs more than a look into one of its tables, `beside` what a query over all of a table
//! leaves to small statements.
//!
//! PostgreSQL has two threads for a query, as we have. What one side refuses, or has no time for, is said
//! in the report and stops nothing. Without a peer our figures stand alone. Our side may be a server that
//! is there already, be it another PostgreSQL.

mod answers;
mod beside;
mod join;
mod load;
mod queries;

use std::path::PathBuf;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tpchgen::generators::OrderGenerator;

use self::load::{Filled, Loading};
use crate::BenchError;
use crate::embedded::Options;
use crate::measure::{HEAD, Spread, short};
use crate::pg::servers::{Peer, Server, Setup};
use crate::pg::wire::Client;
use crate::pg::{Address, Against, Commit};

/// What the figures are measured on.
#[derive(Debug)]
pub struct Subject {
    /// How often and where; the number of documents means nothing here.
    pub options: Options,
    /// How long a side is asked in a round of `join` and `beside`.
    pub round: Duration,
    /// TPC-H's, from [`SCALE_MIN`] to [`SCALE_MAX`]: 1 is 8,661,245 rows.
    pub scale: f64,
    /// Numbers of the queries; none: all of them.
    pub queries: Vec<u8>,
    /// After how long a query is given up, below [`TIMEOUT_MAX`].
    pub timeout: Duration,
    /// This program.
    pub program: PathBuf,
    /// Our side, where it is there already.
    pub address: Option<Address>,
    /// The other side.
    pub against: Against,
}

/// Below it suppliers are too few for the rows of partsupp to differ.
pub const SCALE_MIN: f64 = 0.01;
/// Beyond it keys of orders leave the integers.
pub const SCALE_MAX: f64 = 100.0;
/// Beyond it the client has no patience.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(290);

/// What PostgreSQL is given: room for all data of scale 1, and one worker besides the process that
/// answers. Its launcher of replication takes the other place of a worker.
const SETTINGS: [&str; 3] = [
    "shared_buffers=4GB",
    "max_parallel_workers_per_gather=1",
    "max_worker_processes=2",
];
/// Connections that are open at once, with some to spare.
const CONNECTIONS: usize = 30;

/// Characters of an error in the report.
const CELL_CHARS: usize = 160;
/// Our side, as the report calls it.
const OURS: &str = "ours";

/// A side.
#[derive(Debug)]
struct Side {
    /// As the report calls it.
    name: String,
    address: Address,
    /// Where it was started.
    _server: Option<Server>,
}

impl Side {
    fn started(name: &str, server: Server) -> Side {
        Side {
            name: name.to_owned(),
            address: server.address(),
            _server: Some(server),
        }
    }

    fn client(&self) -> Result<Client, BenchError> {
        Client::open(&self.address)
    }
}

/// A benchmark that runs.
#[derive(Debug)]
pub struct Bench<'a> {
    subject: &'a Subject,
    /// Ours, and the other one if there is one.
    sides: Vec<Side>,
}

/// What a side says in each round, or why it does not.
type Asked<T> = Result<Vec<T>, BenchError>;

/// What a group of figures is made by: it may print a table of its own, and answers lines of the common one.
pub type Figures = fn(&Bench<'_>, &mut dyn FnMut(&str)) -> Vec<String>;

/// The groups, by name, in the order of the report.
pub const GROUPS: &[(&str, Figures)] = &[
    ("queries", queries::all),
    ("join", |bench, _| join::by_key(bench)),
    ("beside", |bench, _| beside::a_query(bench)),
];

/// Runs the groups that were asked for and hands each line of the report to `print`.
pub fn run(subject: &Subject, mut print: impl FnMut(&str)) -> Result<(), BenchError> {
    let data = format!("TPC-H of scale {}", subject.scale);
    subject.options.announce_on(&data, "", &mut print);
    let setup = Setup {
        dir: &subject.options.dir,
        commit: Commit::Synced,
        connections: CONNECTIONS,
    };
    let ours = match &subject.address {
        Some(address) => Side {
            name: OURS.to_owned(),
            address: address.clone(),
            _server: None,
        },
        None => Side::started(OURS, Server::ours(&subject.program, setup)?),
    };
    let mut bench = Bench {
        subject,
        sides: vec![ours],
    };
    if subject.against == Against::Postgres {
        let peer = Peer::find()?;
        let settings = SETTINGS.map(str::to_owned);
        print(&peer.announcement(&settings));
        let theirs = Side::started(&peer.version, peer.start(setup, &settings)?);
        bench.sides.push(theirs);
    }
    // When it fails, tables of these names may be somebody's: they stay.
    let mut loading = Loading::make_tables(&bench.sides)?;
    let measured = loading
        .fill(subject.scale)
        .map(|taken| bench.measure(&taken, &mut print));
    if subject.address.is_some() {
        load::drop_tables(&bench.sides[0])?;
    }
    measured
}

impl Bench<'_> {
    /// Measures what was asked for on sides that took so long to be filled.
    fn measure(&self, filled: &[Filled], print: &mut dyn FnMut(&str)) {
        for (side, filled) in self.sides.iter().zip(filled) {
            let [copy, keys] = [filled.copy, filled.keys].map(|taken| short(taken.as_secs_f64()));
            let name = &side.name;
            print(&format!(
                "{name}: COPY in {copy} s, indexes and foreign keys {keys} s."
            ));
        }
        let mut headed = false;
        for figures in self.subject.options.chosen(GROUPS) {
            for line in figures(self, print) {
                if !std::mem::replace(&mut headed, true) {
                    print(HEAD);
                }
                print(&line);
            }
        }
    }

    /// Asks each side a first time, which does not count, and then in each round. `open` makes what it is
    /// asked by. One that has failed is not asked again.
    fn each<S, T>(
        &self,
        open: impl Fn(&Side) -> Result<S, BenchError>,
        ask: impl Fn(&mut S) -> Result<T, BenchError>,
    ) -> Vec<Asked<T>> {
        let open = |side: &Side| Ok((open(side)?, Vec::new()));
        let mut sides: Vec<Result<(S, Vec<T>), BenchError>> = self.sides.iter().map(open).collect();
        for round in 0..=self.subject.options.rounds {
            let mut turn: Vec<_> = sides.iter_mut().collect();
            // Who begins changes, so that neither side always has the warmer machine.
            if round % 2 == 1 {
                turn.reverse();
            }
            for side in turn {
                let Ok((session, figures)) = side else {
                    continue;
                };
                match ask(session) {
                    Ok(figure) if round > 0 => figures.push(figure),
                    Ok(_) => {}
                    Err(error) => *side = Err(error),
                }
            }
        }
        let figures = |(_, figures)| figures;
        sides.into_iter().map(|side| side.map(figures)).collect()
    }

    /// A random key of an order that is there.
    fn order(&self, random: &mut StdRng) -> String {
        let orders = OrderGenerator::calculate_row_count(self.subject.scale, 1, 1);
        OrderGenerator::make_order_key(random.random_range(1..=orders)).to_string()
    }

    /// What the other side says of its own figures, to be put behind ours.
    fn aside<T>(&self, asked: &[Asked<T>], say: impl Fn(&[T]) -> String) -> String {
        match (self.sides.get(1), asked.get(1)) {
            (Some(side), Some(Ok(figures))) => format!("; {}: {}", side.name, say(figures)),
            (Some(side), Some(Err(error))) => format!("; {}: {}", side.name, cell(error)),
            _ => String::new(),
        }
    }
}

/// A line of the common table without a figure: why there is none.
fn failed(what: &str, (bar, aim): (f64, f64), error: &BenchError) -> String {
    let (bar, aim, error) = (short(bar), short(aim), cell(error));
    format!("| {what} |  | {bar} | {aim} | failed | {error} |")
}

/// Of an error, or of what differs, what fits into a table.
fn cell(text: &impl ToString) -> String {
    let text = text.to_string().replace('\n', " ").replace('|', "/");
    match text.char_indices().nth(CELL_CHARS) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// The middle of one of several figures of each round.
fn spread<T>(rounds: &[T], figure: impl Fn(&T) -> f64) -> Spread {
    Spread::of(&rounds.iter().map(figure).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn sides_take_turns_and_one_that_failed_is_left_out() {
        let subject = Subject {
            options: Options {
                rounds: 3,
                ..Options::default()
            },
            round: Duration::ZERO,
            scale: SCALE_MIN,
            queries: Vec::new(),
            timeout: Duration::ZERO,
            program: PathBuf::new(),
            address: None,
            against: Against::Nobody,
        };
        let side = |name: &str| Side {
            name: name.to_owned(),
            address: Address::here(0),
            _server: None,
        };
        let bench = Bench {
            subject: &subject,
            sides: vec![side("a"), side("b")],
        };
        let order = RefCell::new(String::new());
        let run = |fails: fn(&str, usize) -> bool| {
            order.borrow_mut().clear();
            let asked = bench.each(
                |side| Ok((side.name.clone(), 0)),
                |(name, times)| {
                    order.borrow_mut().push_str(name);
                    *times += 1;
                    match fails(name, *times) {
                        true => Err(BenchError::Unfit("a|b\nc".to_owned())),
                        false => Ok(*times),
                    }
                },
            );
            (asked, order.borrow().clone())
        };
        // The first time does not count.
        let (asked, order) = run(|_, _| false);
        assert_eq!(order, "abbaabba");
        let [Ok(ours), Ok(theirs)] = &asked[..] else {
            panic!("{asked:?}");
        };
        assert_eq!((&ours[..], &theirs[..]), (&[2, 3, 4][..], &[2, 3, 4][..]));
        let (asked, order) = run(|name, times| name == "a" && times == 2);
        assert_eq!(order, "abbabb");
        let [Err(error), Ok(theirs)] = &asked[..] else {
            panic!("{asked:?}");
        };
        assert_eq!(theirs[..], [2, 3, 4]);
        let line = failed("w", (1.0, 2.0), error);
        assert_eq!(line, "| w |  | 1.00 | 2.00 | failed | a/b c |");
        let said = bench.aside(&asked, |rounds| rounds.len().to_string());
        assert_eq!(said, "; b: 3");
    }

    #[test]
    fn what_is_said_of_an_error_is_short() {
        assert_eq!(cell(&"é".repeat(CELL_CHARS)), "é".repeat(CELL_CHARS));
        let long = cell(&"é".repeat(CELL_CHARS + 1));
        assert_eq!(long, format!("{}…", "é".repeat(CELL_CHARS)));
    }
}
