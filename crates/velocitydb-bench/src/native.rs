//! ColonyOS's assignments through its adapter, embedded: `velocitydb bench colonies --native`.
//!
//! `assign`: 64 callers, each of which asks for one process at a time, until all that waited are taken; at
//! `os` and at `full`, with the indexes of ColonyOS's server and with the few. A round counts only when each
//! process was assigned to one caller, once. `latency`: one caller, at `os`, while a million wait against
//! while a thousand do, and the same for the last hundred, which wait behind those of another type. What was
//! assigned is given back, so that as many wait the next time.
//!
//! Each database has a directory of its own, is filled at `memory`, and opened again for what is measured.

use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use velocitydb::{Database, Durability, Options as DatabaseOptions};
use velocitydb_colonies::{
    By, Candidate, Colonies, DEFAULT_PREFIX, Error, Find, FunctionSpec, Indexes, Process, State,
    load,
};

use crate::BenchError;
use crate::embedded::Options;
use crate::measure::{Better, HEAD, Row, Spread, alternate, rate, short, with_cpu};

/// The colony of all processes.
const COLONY: &str = "dev";
/// The type of the executors.
const EXECUTOR_TYPE: &str = "cli";
/// A type of executor for which few processes wait, behind all others.
const RARE_TYPE: &str = "rare";
/// Who ask at once.
const CALLERS: usize = 64;
/// Processes that are submitted in one step.
const BATCH: usize = 1_000;

/// What is measured, and on how much.
pub struct Subject {
    /// How often and where; the number of documents means nothing here.
    pub options: Options,
    /// How long each side of `latency` is asked in a round.
    pub round: Duration,
    /// Processes that wait in `latency`, against a thousandth of them; a tenth of them wait in `assign`. At
    /// least 10,000.
    pub processes: usize,
}

type Figures = fn(&Subject) -> Result<Vec<Row>, BenchError>;

/// The groups, by name, in the order of the report.
pub const GROUPS: &[(&str, Figures)] = &[("assign", assign), ("latency", latency)];

/// Runs the groups that were asked for and hands each line of the report to `print`.
pub fn run(subject: &Subject, mut print: impl FnMut(&str)) -> Result<(), BenchError> {
    let data = format!("{} processes", subject.processes);
    let load = format!(" of {} s", subject.round.as_secs());
    subject.options.announce_on(&data, &load, &mut print);
    print(HEAD);
    for figures in subject.options.chosen(GROUPS) {
        for row in figures(subject)? {
            print(&row.to_string());
        }
    }
    Ok(())
}

/// A database in which processes wait. Its files go when it is dropped: after it, so they come last.
struct Filled {
    colonies: Colonies,
    /// Of the processes, in order.
    ids: Vec<String>,
    _dir: TempDir,
}

impl Filled {
    /// Opened at `level`, with `count` processes for [`EXECUTOR_TYPE`], and behind them [`RARE_TYPE`]'s.
    fn new(
        subject: &Subject,
        (level, indexes): (Durability, Indexes),
        (count, rare): (usize, usize),
    ) -> Result<Filled, BenchError> {
        let dir = tempfile::tempdir_in(&subject.options.dir)?;
        // No checkpoint in between: its cost is measured by itself.
        let open = |level| {
            let options = DatabaseOptions::at(dir.path()).durability(level);
            let options = options.checkpoint_every(None);
            let options = options.checkpoint_log_bytes(u64::MAX);
            Database::open(options.checkpoint_entries(u64::MAX))
        };
        let db = open(Durability::Memory)?;
        let loaded = load(&db, DEFAULT_PREFIX, indexes);
        loaded.map_err(|error| BenchError::Unfit(error.to_string()))?;
        let colonies = Colonies::open(db.clone(), DEFAULT_PREFIX);
        let mut ids = Vec::with_capacity(count + rare);
        for (executor_type, count) in [(EXECUTOR_TYPE, count), (RARE_TYPE, rare)] {
            let spec = FunctionSpec::new(COLONY, executor_type, "echo");
            for begin in (0..count).step_by(BATCH) {
                let batch = (begin..count).take(BATCH);
                let mut batch: Vec<Process> = batch.map(|_| Process::new(spec.clone())).collect();
                colonies.processes().add_many(&mut batch)?;
                ids.extend(batch.into_iter().map(|process| process.id));
            }
        }
        drop(colonies);
        db.close()?;
        drop(db);
        Ok(Filled {
            colonies: Colonies::open(open(level)?, DEFAULT_PREFIX),
            ids,
            _dir: dir,
        })
    }
}

/// What a caller was given.
#[derive(Debug, Default)]
struct Given {
    ids: Vec<String>,
    /// Rows that were looked at for that.
    examined: usize,
}

fn caller(number: usize) -> String {
    format!("caller {number}")
}

/// All ask at once until nothing waits any more; what each was given.
fn take_all(colonies: &Colonies) -> Result<Vec<Given>, Error> {
    let ask = |number: usize| {
        let executor = Candidate::new(COLONY, caller(number), caller(number), EXECUTOR_TYPE);
        let mut given = Given::default();
        loop {
            // As `assign`, which does not tell what it has looked at.
            let found = colonies.processes().assign_many(&executor, 1)?;
            given.examined += found.examined;
            if found.processes.is_empty() {
                return Ok(given);
            }
            given
                .ids
                .extend(found.processes.into_iter().map(|it| it.id));
        }
    };
    thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> = (0..CALLERS)
            .map(|number| scope.spawn(move || ask(number)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a caller does not panic"))
            .collect()
    })
}

/// That each process was given to one caller, once, and that the database says so too.
fn check(filled: &Filled, given: &[Given]) -> Result<(), BenchError> {
    let sorted = |mut ids: Vec<String>| {
        ids.sort_unstable();
        ids
    };
    let taken = given.iter().flat_map(|given| given.ids.clone()).collect();
    if sorted(taken) != sorted(filled.ids.clone()) {
        let count: usize = given.iter().map(|given| given.ids.len()).sum();
        return Err(BenchError::Unfit(format!(
            "of {} processes not each was assigned once: {count} assignments",
            filled.ids.len()
        )));
    }
    for (number, given) in given.iter().enumerate() {
        let theirs = Find::all().state(State::Running).executor(&caller(number));
        let count = filled.colonies.processes().count(theirs)?;
        if count != given.ids.len() as u64 {
            let (who, told) = (caller(number), given.ids.len());
            let what = format!("{who} was given {told} processes, and has {count}");
            return Err(BenchError::Unfit(what));
        }
    }
    Ok(())
}

/// What assignments cost beside time, round by round.
#[derive(Default)]
struct Costs {
    examined: Vec<f64>,
    cpu_us: Vec<f64>,
}

/// Assignments a second.
fn assigned(
    subject: &Subject,
    of: (Durability, Indexes),
    costs: &mut Costs,
) -> Result<f64, BenchError> {
    let count = subject.processes / 10;
    let filled = Filled::new(subject, of, (count, 0))?;
    let (given, taken, cpu) = with_cpu(|| take_all(&filled.colonies));
    let given = given?;
    check(&filled, &given)?;
    let examined: usize = given.iter().map(|given| given.examined).sum();
    costs.examined.push(examined as f64 / count as f64);
    costs.cpu_us.push(cpu.as_secs_f64() * 1e6 / count as f64);
    Ok(rate(count, taken))
}

fn assign(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let wait = short((subject.processes / 10) as f64);
    let mut rows = Vec::new();
    for (level, bar, aim) in [
        (Durability::Os, 100_000.0, 300_000.0),
        (Durability::Full, 30_000.0, 100_000.0),
    ] {
        let (mut server, mut few) = (Costs::default(), Costs::default());
        let (_, of_server, of_few) = alternate(
            subject.options.rounds,
            || assigned(subject, (level, Indexes::Server), &mut server),
            || assigned(subject, (level, Indexes::Few), &mut few),
        )?;
        let sides = [
            ("the server's indexes", of_server, server),
            ("the few indexes", of_few, few),
        ];
        rows.extend(sides.map(|(indexes, figure, costs)| Row {
            what: format!(
                "assignments at `{}`, {indexes}, {wait} processes wait, {CALLERS} callers",
                level.name()
            ),
            figure,
            unit: "/s",
            bar,
            aim,
            better: Better::Higher,
            detail: format!(
                "{} rows examined and {} µs of CPU each",
                short(Spread::of(&costs.examined).median),
                short(Spread::of(&costs.cpu_us).median)
            ),
        }));
    }
    Ok(rows)
}

/// How long single assignments take, in microseconds.
struct Latency {
    median: f64,
    p99: f64,
}

/// Asks again and again for so long; each process is given back.
fn takes(colonies: &Colonies, executor_type: &str, time: Duration) -> Result<Latency, BenchError> {
    let executor = Candidate::new(COLONY, caller(0), caller(0), executor_type);
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || begin.elapsed() < time {
        let since = Instant::now();
        let taken = colonies.processes().assign(&executor)?;
        times.push(since.elapsed().as_secs_f64() * 1e6);
        let taken = taken.ok_or_else(|| BenchError::Unfit("none was assigned".to_owned()))?;
        let mine = By::Executor(&executor.executor_id);
        colonies.processes().unassign(&taken.id, mine)?;
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok(Latency {
        median: at(0.5),
        p99: at(0.99),
    })
}

fn latency(subject: &Subject) -> Result<Vec<Row>, BenchError> {
    let [many, few] = [1, 1_000].map(|part| subject.processes / part);
    let rare = few / 10;
    let fill = |count: usize| {
        let of = (Durability::Os, Indexes::Server);
        Filled::new(subject, of, (count - rare, rare))
    };
    let (of_many, of_few) = (fill(many)?, fill(few)?);
    let mut rows = Vec::new();
    for executor_type in [EXECUTOR_TYPE, RARE_TYPE] {
        let (mut many_p99, mut few_p99) = (Vec::new(), Vec::new());
        let ask = |filled: &Filled, p99: &mut Vec<f64>| {
            let latency = takes(&filled.colonies, executor_type, subject.round)?;
            p99.push(latency.p99);
            Ok::<_, BenchError>(latency.median)
        };
        let medians = alternate(
            subject.options.rounds,
            || ask(&of_many, &mut many_p99),
            || ask(&of_few, &mut few_p99),
        )?;
        let ratios = many_p99.iter().zip(&few_p99).map(|(many, few)| many / few);
        let ratios: Vec<f64> = ratios.collect();
        let p99s = [&ratios, &many_p99, &few_p99].map(|figures| Spread::of(figures));
        let which = match executor_type {
            RARE_TYPE => format!(", all but the last {rare} for others"),
            _ => String::new(),
        };
        let (many, few) = (short(many as f64), short(few as f64));
        let sides = [("median", medians), ("p99", p99s.into())];
        rows.extend(sides.map(|(share, (ratio, ours, theirs))| Row {
            what: format!(
                "time of an assignment at `os`, {share}, {many} processes wait{which}, against {few}"
            ),
            figure: ratio,
            unit: "x",
            bar: 2.0,
            aim: 1.3,
            better: Better::Lower,
            detail: format!("{} against {} µs", short(ours.median), short(theirs.median)),
        }));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_not_assigned_once_is_found() {
        let subject = Subject {
            options: Options::default(),
            round: Duration::ZERO,
            processes: 0,
        };
        let of = (Durability::Memory, Indexes::Few);
        let filled = Filled::new(&subject, of, (200, 0)).unwrap();
        let given = take_all(&filled.colonies).unwrap();
        check(&filled, &given).unwrap();
        // Whoever was given one, and somebody else.
        let one = given.iter().position(|given| !given.ids.is_empty());
        let one = one.expect("200 were assigned");
        let other = (one + 1) % CALLERS;
        let refused = |change: &dyn Fn(&mut [Vec<String>])| {
            let mut ids: Vec<_> = given.iter().map(|given| given.ids.clone()).collect();
            change(&mut ids);
            let given = ids.into_iter().map(|ids| Given { ids, examined: 0 });
            let given: Vec<Given> = given.collect();
            check(&filled, &given).unwrap_err().to_string()
        };
        let twice = refused(&|ids| {
            let id = ids[one][0].clone();
            ids[other].push(id);
        });
        let what = "of 200 processes not each was assigned once: 201 assignments";
        assert_eq!(twice, what);
        let lost = refused(&|ids| {
            ids[one].pop();
        });
        assert!(lost.ends_with(": 199 assignments"), "{lost}");
        let wrong = refused(&|ids| {
            let id = ids[one].pop().expect("it was given one");
            ids[other].push(id);
        });
        assert!(wrong.starts_with("caller "), "{wrong}");
    }
}
