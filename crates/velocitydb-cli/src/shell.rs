//! `velocitydb shell`, `status`, `top`: what `velocitydb-shell` does, with the program's arguments.
//!
//! The history of the shell is a file of the user's: `velocitydb/shell_history` in
//! `$XDG_STATE_HOME`, or in `~/.local/state`.
//! Tests: tests/it/shell.rs, tests/it/terminal.rs.

use std::io::{self, BufReader, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use velocitydb_shell::{
    Embedded, Ended, Format, Http, OnError, Session, SharedTarget, Target, TargetError, Top,
    run_interactive, run_script,
};

use crate::database::InDatabase;
use crate::encryption::KeyFiles;
use crate::failure::Failure;

const URL_DEFAULT: &str = "http://127.0.0.1:7480";

/// Which server.
#[derive(Debug, Args)]
pub struct Server {
    /// The server
    #[arg(long, value_name = "URL", env = "VELOCITYDB_URL", default_value = URL_DEFAULT)]
    url: String,
}

impl Server {
    /// The way to it.
    pub fn target(&self) -> Result<Http, Failure> {
        Http::at(&self.url).map_err(|error| Failure::Usage(format!("--url {error}")))
    }
}

/// Arguments of `shell`.
#[derive(Debug, Args)]
pub struct ShellArguments {
    #[command(flatten)]
    server: Server,

    /// Open the database in this directory, which no server uses, instead of asking a server;
    /// created when it is missing
    #[arg(long, value_name = "DIR", conflicts_with = "memory")]
    data: Option<PathBuf>,

    #[command(flatten)]
    keys: KeyFiles,

    #[command(flatten)]
    database: InDatabase,

    /// Use an empty database in memory instead of asking a server
    #[arg(long)]
    memory: bool,

    /// Do this and leave; may be given many times
    #[arg(short, long = "command", value_name = "COMMAND")]
    commands: Vec<String>,

    /// Answer in JSON, one document a line
    #[arg(long)]
    json: bool,

    /// In a script, go on after an error
    #[arg(long)]
    keep_going: bool,

    /// File of the history [default: velocitydb/shell_history in the user's state directory]
    #[arg(
        long,
        value_name = "FILE",
        env = "VELOCITYDB_HISTORY",
        conflicts_with = "no_history"
    )]
    history: Option<PathBuf>,

    /// Keep no history
    #[arg(long)]
    no_history: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    #[command(flatten)]
    server: Server,

    /// Show the collections of this database alone
    #[arg(long, value_name = "NAME")]
    database: Option<String>,

    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArguments {
    #[command(flatten)]
    server: Server,

    /// Show the collections of this database alone
    #[arg(long, value_name = "NAME")]
    database: Option<String>,

    /// Time between two frames, such as 1s or 500ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = every)]
    every: Duration,

    /// Print one frame, with averages since the server's start, and leave
    #[arg(long)]
    once: bool,
}

/// From 100 ms to an hour: figures cost the server a little.
fn every(text: &str) -> Result<Duration, String> {
    let (number, unit_ms) = match text.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (text.strip_suffix('s').unwrap_or(text), 1_000),
    };
    let time_ms = number.parse::<u64>().ok();
    let time_ms = time_ms.and_then(|number| number.checked_mul(unit_ms));
    match time_ms {
        Some(time_ms @ 100..=3_600_000) => Ok(Duration::from_millis(time_ms)),
        _ => Err("expected a time from 100ms to 3600s".to_owned()),
    }
}

/// The failure of a target.
pub fn failed(error: &TargetError) -> Failure {
    let help = match error.code.as_str() {
        "unreachable" => {
            "Start a server with `velocitydb serve`, or name another one with --url. \
             `velocitydb shell --memory` needs none."
        }
        _ => "",
    };
    Failure::new(velocitydb_shell::escape(&error.what)).help(help)
}

/// Runs `shell`.
pub fn shell(arguments: ShellArguments) -> Result<(), Failure> {
    let mut target: Box<dyn Target> = match (&arguments.data, arguments.memory) {
        (Some(dir), _) => {
            let opened = Embedded::open(dir, arguments.keys.read()?);
            Box::new(opened.map_err(|error| Failure::of(&error, dir))?)
        }
        (None, true) => Box::new(Embedded::in_memory()?),
        (None, false) => Box::new(arguments.server.target()?),
    };
    // Nobody should type before it is known that there is a server.
    target.status().map_err(|error| failed(&error))?;
    arguments.database.enter(&mut *target)?;
    let target: SharedTarget = Arc::new(Mutex::new(target));
    let ended = converse(arguments, &target);
    let closed = target
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .close();
    ended.and(closed.map_err(|error| failed(&error)))
}

fn converse(arguments: ShellArguments, target: &SharedTarget) -> Result<(), Failure> {
    let mut session = Session::new(SharedTarget::clone(target));
    if arguments.json {
        session.format = Format::Json;
    }
    let on_error = match arguments.keep_going {
        true => OnError::Go,
        false => OnError::Stop,
    };
    if !arguments.commands.is_empty() {
        let commands = arguments.commands.join("\n");
        return script(&mut session, commands.as_bytes(), on_error);
    }
    if !io::stdin().is_terminal() {
        return script(&mut session, BufReader::new(io::stdin()), on_error);
    }
    let history = match arguments.no_history {
        true => None,
        false => arguments.history.or_else(history_file),
    };
    Ok(run_interactive(session, target, history.as_deref())?)
}

fn script(session: &mut Session, text: impl io::BufRead, on_error: OnError) -> Result<(), Failure> {
    let (mut out, mut errors) = (io::BufWriter::new(io::stdout().lock()), io::stderr());
    match run_script(session, text, on_error, &mut out, &mut errors)? {
        Ended::Well => Ok(()),
        Ended::WithErrors => Err(Failure::Said),
    }
}

/// Where the history is kept when the user does not say.
fn history_file() -> Option<PathBuf> {
    let dir = |name| {
        let dir = std::env::var_os(name).map(PathBuf::from);
        dir.filter(|dir| dir.is_absolute())
    };
    let state = dir("XDG_STATE_HOME").or_else(|| Some(dir("HOME")?.join(".local/state")))?;
    Some(state.join("velocitydb/shell_history"))
}

/// Columns of the terminal, when standard output is one.
fn width() -> Option<usize> {
    let terminal = io::stdout().is_terminal();
    terminal.then(velocitydb_shell::terminal_width).flatten()
}

/// Runs `status`. A server that refuses writes is a failure, so that scripts can tell.
pub fn status(arguments: &StatusArguments, out: &mut impl Write) -> Result<(), Failure> {
    let mut server = arguments.server.target()?;
    let mut status = server.status().map_err(|error| failed(&error))?;
    if let Some(database) = &arguments.database {
        server.enter(database).map_err(|error| failed(&error))?;
        status.collections.retain(|one| one.database == *database);
    }
    match arguments.json {
        true => writeln!(out, "{}", status.json())?,
        false => writeln!(out, "{}", status.text(width()))?,
    }
    match status.is_well() {
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

/// Runs `top`.
pub fn top(arguments: &TopArguments, out: &mut impl Write) -> Result<(), Failure> {
    let mut server = arguments.server.target()?;
    let database = arguments.database.as_deref();
    let known = database.map_or(Ok(()), |name| server.enter(name));
    let top = known.and_then(|()| Top::of(server, &arguments.server.url, database));
    let top = top.map_err(|error| failed(&error))?;
    if arguments.once {
        return Ok(writeln!(out, "{}", top.once())?);
    }
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        let what = "top is for a terminal; --once prints one frame anywhere";
        return Err(Failure::Usage(what.to_owned()));
    }
    Ok(top.run(arguments.every)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, time_ms) in [("1s", 1_000), ("2", 2_000), ("250ms", 250)] {
            assert_eq!(every(text), Ok(Duration::from_millis(time_ms)));
        }
        for text in ["", "0s", "99ms", "1h", "-1s", "9999999999999999999s"] {
            assert!(every(text).is_err(), "{text}");
        }
    }
}
