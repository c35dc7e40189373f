//! `velocitydb bench`: the benchmarks of velocitydb-bench, from the command line.
//!
//! Nothing is measured here. Tests: in velocitydb-bench; tests/it/main.rs runs a small round.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use velocitydb_bench::embedded;

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
    Embedded(Embedded),
}

#[derive(Debug, Args)]
struct Embedded {
    /// Only the figures whose group contains this text
    #[arg(long, value_name = "NAME")]
    only: Option<String>,

    /// Rounds of each figure; at least 7 for figures that count
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,

    /// Documents
    #[arg(long, value_name = "N")]
    documents: Option<usize>,

    /// Directory for the files, which are removed at the end [default: the temporary one]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    match arguments.benchmark {
        Benchmark::Embedded(chosen) => run_embedded(chosen, out),
    }
}

fn run_embedded(chosen: Embedded, out: &mut dyn Write) -> Result<(), Failure> {
    let groups: Vec<&str> = embedded::GROUPS.iter().map(|(name, _)| *name).collect();
    if let Some(only) = &chosen.only
        && !groups.iter().any(|name| name.contains(only.as_str()))
    {
        let groups = groups.join(", ");
        return Err(Failure::Usage(format!(
            "no group contains {only:?}; there are {groups}"
        )));
    }
    let default = embedded::Options::default();
    let options = embedded::Options {
        rounds: chosen.rounds.unwrap_or(default.rounds),
        documents: chosen.documents.unwrap_or(default.documents),
        only: chosen.only,
        dir: chosen.dir.unwrap_or(default.dir),
    };
    let mut written = Ok(());
    let ran = embedded::run(&options, |line| {
        if written.is_ok() {
            written = writeln!(out, "{line}");
        }
    });
    ran.map_err(|error| Failure::new(error.to_string()))?;
    Ok(written?)
}
