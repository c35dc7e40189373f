//! The load: pgbench, and what it reports. Tests: below.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::servers::Server;
use crate::BenchError;
use crate::process::{Ended, run};

/// How statements are sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// As texts.
    Simple,
    /// Prepared once in each session.
    Prepared,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Mode::Simple => "simple",
            Mode::Prepared => "prepared",
        }
    }
}

/// What is run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Script {
    /// One row by its key: `-S`.
    Select,
    /// The standard one: seven round trips, five of them statements.
    TpcB,
}

/// The program, and how much of it.
#[derive(Debug)]
pub(super) struct Pgbench {
    pub(super) program: PathBuf,
    pub(super) clients: usize,
    pub(super) scale: usize,
    pub(super) time: Duration,
}

/// What pgbench has done.
#[derive(Debug, PartialEq)]
pub(super) struct Load {
    /// Transactions that were committed.
    pub(super) transactions: u64,
    /// Those that failed, and were not tried again.
    pub(super) failed: u64,
    /// Committed ones a second.
    pub(super) rate: f64,
}

impl Pgbench {
    /// Makes and fills the tables.
    pub(super) fn initialize(&self, server: &Server) -> Result<(), BenchError> {
        let mut command = self.command(server);
        let scale = self.scale.to_string();
        command.args(["-i", "-q", "-s", &scale, super::DATABASE]);
        let limit = Duration::from_secs(60 + 10 * self.scale as u64);
        let ended = run(&mut command, limit)?;
        match ended.status.success() {
            true => Ok(()),
            false => Err(unfit("pgbench -i failed", &ended)),
        }
    }

    /// Asks a server for as long as a round takes.
    pub(super) fn run(
        &self,
        server: &Server,
        script: Script,
        mode: Mode,
    ) -> Result<Load, BenchError> {
        let mut command = self.command(server);
        command.args(["-M", mode.name(), "-c", &self.clients.to_string()]);
        command.args(["-j", &self.clients.min(2).to_string()]);
        command.args(["-T", &self.time.as_secs().max(1).to_string()]);
        if let Script::Select = script {
            command.arg("-S");
        }
        command.arg(super::DATABASE);
        read(&run(&mut command, self.time + Duration::from_secs(60))?)
    }

    fn command(&self, server: &Server) -> Command {
        let mut command = Command::new(&self.program);
        // Nothing of this process's environment may make the two sides differ.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.envs([("PGSSLMODE", "disable"), ("PGGSSENCMODE", "disable")]);
        command.args(["-h", "127.0.0.1", "-p", &server.port.to_string()]);
        command.args(["-U", super::USER]);
        command
    }
}

/// Reads the report. A client that gave up makes it worthless, a transaction that failed does not.
fn read(ended: &Ended) -> Result<Load, BenchError> {
    let after = |head: &str| {
        let mut lines = ended.output.lines();
        let rest = lines.find_map(|line| line.strip_prefix(head))?;
        rest.split_whitespace().next()
    };
    let load = || {
        // pgbench before PostgreSQL 15 knows none: it gives up.
        let failed = after("number of failed transactions:").map_or(Some(0), |n| n.parse().ok());
        Some(Load {
            transactions: after("number of transactions actually processed:")?
                .parse()
                .ok()?,
            failed: failed?,
            rate: after("tps =")?.parse().ok()?,
        })
    };
    match load() {
        Some(load) if ended.status.success() && load.transactions > 0 => Ok(load),
        _ => Err(unfit("pgbench has not answered as expected", ended)),
    }
}

fn unfit(what: &str, ended: &Ended) -> BenchError {
    let Ended { output, errors, .. } = ended;
    BenchError::Unfit(format!("{what}:\n{output}{errors}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn report(failed: &str, status: i32) -> Result<Load, BenchError> {
        let output = format!(
            "pgbench (15.18 (Debian 15.18-0+deb12u1))\n\
             transaction type: <builtin: TPC-B (sort of)>\nscaling factor: 1\n\
             query mode: simple\nnumber of clients: 4\nnumber of threads: 1\n\
             maximum number of tries: 1\nduration: 2 s\n\
             number of transactions actually processed: 620\n{failed}\
             latency average = 6.199 ms (including failures)\n\
             initial connection time = 1.032 ms\n\
             tps = 309.626590 (without initial connection time)\n"
        );
        read(&Ended {
            status: ExitStatus::from_raw(status << 8),
            output,
            errors: "pgbench: error: client 3 aborted\n".to_owned(),
        })
    }

    #[test]
    fn transactions_that_failed_are_told_apart() {
        let mut expected = Load {
            transactions: 620,
            failed: 672,
            rate: 309.62659,
        };
        let failed = "number of failed transactions: 672 (52.012%)\n";
        assert_eq!(report(failed, 0).unwrap(), expected);
        expected.failed = 0;
        assert_eq!(report("", 0).unwrap(), expected);
    }

    #[test]
    fn a_client_that_gave_up_spoils_the_run() {
        let error = report("", 2).unwrap_err().to_string();
        assert!(error.contains("client 3 aborted"), "{error}");
    }
}
