//! `velocitydb bench`: the benchmarks of velocitydb-bench, from the command line.
//!
//! Nothing is measured here. Tests: in velocitydb-bench; tests/it/main.rs runs small rounds.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use velocitydb::{Database, Options};
use velocitydb_bench::pg::colonies;
use velocitydb_bench::{BenchError, embedded, http, native, pg, query, tpch};

use crate::failure::Failure;

/// Which benchmark.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// The embedded library against bare structures of the language
    Embedded(Chosen),
    /// Queries by index and groups, against SQLite and DuckDB where they are there
    Query(Chosen),
    /// The HTTP door against a bare axum route that answers the same; wrk makes the load
    Http {
        #[command(flatten)]
        chosen: Chosen,

        #[command(flatten)]
        round: Round,
    },
    /// The PostgreSQL door, alone or against PostgreSQL, which is started for it; pgbench makes the load
    Pg {
        /// The other side
        #[arg(long, value_name = "PEER")]
        against: Option<Peer>,

        #[command(flatten)]
        common: Common,

        #[command(flatten)]
        round: Round,

        /// Scale of pgbench's tables: 100,000 accounts each
        #[arg(long, value_name = "N", default_value_t = 20)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        scale: u32,

        /// Clients of pgbench
        #[arg(long, value_name = "N", default_value_t = 16)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        clients: u32,

        /// Idle connections whose memory is measured
        #[arg(long, value_name = "N", default_value_t = 2000)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        connections: u32,
    },
    /// What servers of ColonyOS ask, alone or against PostgreSQL, or of a server that is there; or its
    /// assignments through the adapter for Rust
    Colonies {
        /// Assignments through the adapter for Rust, embedded, without a server
        #[arg(long, conflicts_with_all = ["against", "address", "clients"])]
        native: bool,

        /// Processes that wait in `latency`, against a thousandth of them; a tenth of them in `assign`
        #[arg(
            long,
            value_name = "N",
            default_value_t = 1_000_000,
            requires = "native"
        )]
        #[arg(value_parser = clap::value_parser!(u32).range(10_000..=10_000_000))]
        processes: u32,

        /// The other side
        #[arg(long, value_name = "PEER", conflicts_with = "address")]
        against: Option<Peer>,

        #[command(flatten)]
        at: At,

        #[command(flatten)]
        common: Common,

        #[command(flatten)]
        round: Round,

        /// Connections of the mix
        #[arg(long, value_name = "N", default_value_t = 16)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        clients: u32,
    },
    /// TPC-H's queries, alone or against PostgreSQL, which is started for it; what a join by key costs, and
    /// what a long query leaves to small statements
    Tpch {
        /// The other side
        #[arg(long, value_name = "PEER")]
        against: Option<Peer>,

        #[command(flatten)]
        at: At,

        #[command(flatten)]
        common: Common,

        #[command(flatten)]
        round: Round,

        /// Scale of the data: 1 is 8.7 million rows
        #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = scale)]
        scale: f64,

        /// Only these queries, such as 1,3,5
        #[arg(long, value_name = "N,N", value_delimiter = ',')]
        #[arg(value_parser = clap::value_parser!(u8).range(1..=22))]
        queries: Vec<u8>,

        /// Seconds after which a query is given up
        #[arg(long, value_name = "N", default_value_t = 120)]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=tpch::TIMEOUT_MAX.as_secs()))]
        timeout: u64,
    },
    /// The bare route of `http`, until it is killed
    #[command(hide = true)]
    BareRoute {
        /// What it answers to reads
        read: String,
        /// What it answers to inserts
        written: String,
    },
}

/// Whom we can be measured against.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Peer {
    /// PostgreSQL 15, as it is installed
    Postgres,
}

/// A server that is there.
#[derive(Debug, Args)]
struct At {
    /// A server that is there and asks for no password, instead of ours that is started; tables are made
    /// in it and dropped
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,

    /// The user at the address
    #[arg(long, value_name = "NAME", default_value = "postgres")]
    user: String,

    /// The database at the address
    #[arg(long, value_name = "NAME", default_value = "postgres")]
    database: String,
}

#[derive(Debug, Args)]
struct Round {
    /// How long each side is asked in a round
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

#[derive(Debug, Args)]
struct Chosen {
    #[command(flatten)]
    common: Common,

    /// Documents
    #[arg(long, value_name = "N")]
    documents: Option<usize>,
}

#[derive(Debug, Args)]
struct Common {
    /// Only the figures whose group contains this text
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Rounds of each figure; at least 7 for figures that count
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Directory for the files, which are removed at the end [default: the temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    match arguments.benchmark {
        Benchmark::Embedded(chosen) => {
            let options = chosen.options(embedded::GROUPS.iter().map(|(name, _)| *name))?;
            report(out, |print| embedded::run(&options, print))
        }
        Benchmark::Query(chosen) => {
            let options = chosen.options(query::GROUPS.iter().map(|(name, _)| *name))?;
            let db = sample()?;
            let subject = query::Subject {
                options,
                flights: db.collection("flights")?,
                airports: db.collection("airports")?,
            };
            report(out, |print| query::run(&subject, print))
        }
        Benchmark::Http { chosen, round } => {
            let subject = http::Subject {
                options: chosen.options(http::GROUPS.iter().map(|(name, _)| *name))?,
                round: Duration::from_secs(round.seconds),
                program: std::env::current_exe()?,
            };
            report(out, |print| http::run(&subject, print))
        }
        Benchmark::Pg {
            against,
            common,
            round,
            scale,
            clients,
            connections,
        } => {
            let subject = pg::Subject {
                options: common.options(pg::GROUPS.iter().map(|(name, _)| *name))?,
                round: Duration::from_secs(round.seconds),
                scale: scale as usize,
                clients: clients as usize,
                connections: connections as usize,
                program: std::env::current_exe()?,
                against: of_peer(against),
                flights: &|| sample().map_err(|error| BenchError::Unfit(error.to_string())),
            };
            report(out, |print| pg::run(&subject, pg::GROUPS, print))
        }
        Benchmark::Colonies {
            native: true,
            processes,
            common,
            round,
            ..
        } => {
            let subject = native::Subject {
                options: common.options(native::GROUPS.iter().map(|(name, _)| *name))?,
                round: Duration::from_secs(round.seconds),
                processes: processes as usize,
            };
            report(out, |print| native::run(&subject, print))
        }
        Benchmark::Colonies {
            native: false,
            processes: _,
            against,
            at,
            common,
            round,
            clients,
        } => {
            let options = common.options(colonies::GROUPS.iter().map(|(name, _)| *name))?;
            let (clients, round) = (clients as usize, Duration::from_secs(round.seconds));
            if let Some(address) = at.address()? {
                return report(out, |print| {
                    colonies::run_at(&address, &options, (clients, round), print)
                });
            }
            let subject = pg::Subject {
                options,
                round,
                scale: 1,
                clients,
                connections: 0,
                program: std::env::current_exe()?,
                against: of_peer(against),
                flights: &|| Err(BenchError::Unfit("nobody asks for flights".to_owned())),
            };
            report(out, |print| pg::run(&subject, colonies::GROUPS, print))
        }
        Benchmark::Tpch {
            against,
            at,
            common,
            round,
            scale,
            queries,
            timeout,
        } => {
            let subject = tpch::Subject {
                options: common.options(tpch::GROUPS.iter().map(|(name, _)| *name))?,
                round: Duration::from_secs(round.seconds),
                scale,
                queries,
                timeout: Duration::from_secs(timeout),
                program: std::env::current_exe()?,
                address: at.address()?,
                against: of_peer(against),
            };
            report(out, |print| tpch::run(&subject, print))
        }
        Benchmark::BareRoute { read, written } => {
            let answers = http::Answers { read, written };
            let mut told = Ok(());
            let served = http::serve_bare(answers, |address| told = writeln!(out, "{address}"));
            served.map_err(|error| Failure::new(error.to_string()))?;
            Ok(told?)
        }
    }
}

fn of_peer(peer: Option<Peer>) -> pg::Against {
    match peer {
        None => pg::Against::Nobody,
        Some(Peer::Postgres) => pg::Against::Postgres,
    }
}

/// A scale of TPC-H.
fn scale(text: &str) -> Result<f64, String> {
    let range = tpch::SCALE_MIN..=tpch::SCALE_MAX;
    let scale = text.parse().ok().filter(|scale| range.contains(scale));
    scale.ok_or_else(|| format!("it is a number from {} to {}", range.start(), range.end()))
}

/// The sample data in memory.
fn sample() -> Result<Database, Failure> {
    let db = Database::open(Options::in_memory())?;
    crate::sample::load(&db, &AtomicBool::new(false), |_, _| Ok(()))?;
    Ok(db)
}

impl At {
    /// Where the server is, if one is named.
    fn address(self) -> Result<Option<pg::Address>, Failure> {
        let Some(address) = self.address else {
            return Ok(None);
        };
        let (host, port) = address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "{address:?} is not HOST:PORT, such as 127.0.0.1:5432"
                ))
            })?;
        Ok(Some(pg::Address {
            host,
            port,
            user: self.user,
            database: self.database,
        }))
    }
}

impl Chosen {
    fn options(
        self,
        groups: impl Iterator<Item = &'static str>,
    ) -> Result<embedded::Options, Failure> {
        let default = self.common.options(groups)?;
        Ok(embedded::Options {
            documents: self.documents.unwrap_or(default.documents),
            ..default
        })
    }
}

impl Common {
    fn options(
        self,
        groups: impl Iterator<Item = &'static str>,
    ) -> Result<embedded::Options, Failure> {
        let groups: Vec<&str> = groups.collect();
        if let Some(only) = &self.only
            && !groups.iter().any(|name| name.contains(only.as_str()))
        {
            let groups = groups.join(", ");
            return Err(Failure::Usage(format!(
                "no group contains {only:?}; there are {groups}"
            )));
        }
        let default = embedded::Options::default();
        Ok(embedded::Options {
            rounds: self.rounds.unwrap_or(default.rounds),
            only: self.only,
            dir: self.dir.unwrap_or(default.dir),
            ..default
        })
    }
}

/// Writes the lines of a report as they come.
fn report(
    out: &mut dyn Write,
    run: impl FnOnce(&mut dyn FnMut(&str)) -> Result<(), BenchError>,
) -> Result<(), Failure> {
    let mut written = Ok(());
    let ran = run(&mut |line| {
        if written.is_ok() {
            written = writeln!(out, "{line}");
        }
    });
    ran.map_err(|error| Failure::new(error.to_string()))?;
    Ok(written?)
}
