//! The program `velocitydb`: reads its arguments and calls the module that does the work.
//!
//! One module for each command: [`serve`] (with [`sample`]), [`demo`], [`shell`] (with status and
//! top), [`import`] (with [`restore`]), [`export`], [`schema`], [`check`]
//! (and repair), [`mod@bench`],
//! [`torture`] (the load of the kill tests). What they share: [`config`], [`database`] (`--database`), [`encryption`] (key files), [`failure`] (how a
//! command ends), [`output`], [`text`], [`version`].
//!
//! Invariants: answers go to standard output, failures and logs to standard error; the exit
//! status is 0, 1 for a failure, 2 for a wrong request. This is the only crate that chooses an
//! allocator.
//! Tests: in the modules; tests/it runs the program itself.

mod bench;
mod check;
mod config;
mod database;
mod demo;
mod encryption;
mod export;
mod failure;
mod import;
mod output;
#[cfg(test)]
mod plans;
mod restore;
mod sample;
mod schema;
mod serve;
mod shell;
mod text;
mod torture;
mod version;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The allocator's options, read by it at the start: huge pages, because a lookup among millions
/// of documents is a few cache misses, and with small pages each is a walk of the page table too.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 29] = b"thp:always,metadata_thp:auto\0";

const ABOUT: &str = "\
An in-memory-first database.

Start with one of these:
  velocitydb demo              what it does, in ten seconds, without leaving anything behind
  velocitydb serve --sample    a server with data to play with, and commands to paste";

#[derive(Parser)]
#[command(name = "velocitydb", version = version::LONG, about = ABOUT, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a data directory over HTTP until Ctrl-C
    Serve(config::Flags),
    /// Show what the database does, step by step
    Demo(demo::Arguments),
    /// Ask a server, or a data directory that none uses; completion, history, scripts
    Shell(shell::ShellArguments),
    /// Say how a server is; exit status 1 when it refuses writes
    Status(shell::StatusArguments),
    /// Watch what a server does
    Top(shell::TopArguments),
    /// Import a CSV, JSON or exported file into a data directory that no server uses
    Import(import::Arguments),
    /// Export collections from a server, or from a data directory that none uses
    Export(export::Arguments),
    /// Load a schema file, or show what was loaded
    #[command(subcommand)]
    Schema(schema::Action),
    /// Verify every file of a data directory that no server uses; exit status 1 when damaged
    Check(check::CheckArguments),
    /// Say what repairing a damaged data directory would lose; with --yes, repair it
    Repair(check::RepairArguments),
    /// Measure the database on this machine
    Bench(bench::Arguments),
    /// Write until killed, saying what was acknowledged: the load of the kill tests
    #[command(hide = true)]
    Torture(torture::Arguments),
    /// Print docs/reference/configuration.md
    #[command(hide = true)]
    ConfigurationReference,
    /// Print the version and what it was built from
    Version,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let mut out = io::stdout();
    match command {
        Command::Serve(flags) => serve::run(flags),
        Command::Demo(arguments) => demo::run(&arguments, &mut out),
        Command::Shell(arguments) => shell::shell(arguments),
        Command::Status(arguments) => shell::status(&arguments, &mut out),
        Command::Top(arguments) => shell::top(&arguments, &mut out),
        Command::Import(arguments) => import::run(&arguments, &mut out),
        Command::Export(arguments) => export::run(&arguments, &mut out),
        Command::Schema(action) => schema::run(&action, &mut out),
        Command::Check(arguments) => check::check(&arguments, &mut out),
        Command::Repair(arguments) => check::repair(&arguments, &mut out),
        Command::Bench(arguments) => bench::run(arguments, &mut out),
        Command::Torture(arguments) => torture::run(&arguments),
        Command::ConfigurationReference => Ok(out.write_all(config::keys::reference().as_bytes())?),
        Command::Version => Ok(writeln!(out, "velocitydb {}", version::LONG)?),
    }
}
