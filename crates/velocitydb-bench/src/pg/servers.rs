//! The servers of both sides, each on a directory of its own that goes with it.
//!
//! Both listen on loopback alone, take everyone who is on this machine, and take as many connections
//! as are asked for. What differs from PostgreSQL's defaults is in [`Peer::start`] and what its caller says.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::wire::{Address, Client};
use super::{Commit, USER};
use crate::BenchError;
use crate::process::{self, Start, User, become_user, run};

/// How a server is started, on either side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// Where its directory is made.
    pub(crate) dir: &'a Path,
    /// What its commits wait for.
    pub(crate) commit: Commit,
    /// How many it takes at once.
    pub(crate) connections: usize,
}

/// A server that takes connections.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: process::Server,
    pub(crate) port: u16,
    _dir: tempfile::TempDir,
}

impl Server {
    /// A session.
    pub(crate) fn client(&self) -> Result<Client, BenchError> {
        Client::open(&self.address())
    }

    /// Where it is.
    pub(crate) fn address(&self) -> Address {
        Address::here(self.port)
    }

    /// `velocitydb serve` with its PostgreSQL door, of this program.
    pub(crate) fn ours(program: &Path, setup: Setup<'_>) -> Result<Server, BenchError> {
        let dir = tempfile::tempdir_in(setup.dir)?;
        let mut command = Command::new(program);
        command.args(["serve", "--http", "127.0.0.1:0"]);
        command.args(["--postgres", "127.0.0.1:0"]);
        command.args(["--connections", &setup.connections.to_string()]);
        command.arg("--data").arg(dir.path().join("data"));
        command.args(match setup.commit {
            Commit::Synced => &["--durability", "full"][..],
            Commit::Asynchronous => &["--durability", "memory", "--sync-every", SYNC_EVERY],
        });
        let start = Start {
            signal: "KILL",
            dir: Some(dir.path()),
            log: &dir.path().join("serve.log"),
            user: None,
        };
        let mut process = process::Server::start(&command, start)?;
        let line = process.line_with("PostgreSQL: ")?;
        let port = line.rsplit(' ').next().and_then(|p| p.trim().parse().ok());
        Ok(Server {
            port: port.ok_or_else(|| process.failed(&format!("no port: {line}")))?,
            process,
            _dir: dir,
        })
    }
}

/// How often PostgreSQL's writer of the log forces it to the disk: its default.
const SYNC_EVERY: &str = "200ms";
/// More of PostgreSQL's log than some rounds write.
const WAL: &str = "8GB";

/// PostgreSQL as it is installed.
#[derive(Debug)]
pub(crate) struct Peer {
    programs: PathBuf,
    /// Such as `PostgreSQL 15.18`.
    pub(crate) version: String,
    /// Who runs it, when we are root.
    user: Option<User>,
}

/// Where Debian has PostgreSQL's programs: outside of PATH.
const DEBIAN: &str = "/usr/lib/postgresql/15/bin";

/// The directory that has all these programs.
pub(crate) fn programs(names: &[&str]) -> Result<PathBuf, BenchError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = [PathBuf::from(DEBIAN)]
        .into_iter()
        .chain(std::env::split_paths(&path));
    let found = dirs.find(|dir| names.iter().all(|name| dir.join(name).is_file()));
    found.ok_or_else(|| {
        BenchError::Unfit(format!(
            "{} of PostgreSQL are needed for this benchmark, and neither in {DEBIAN} nor in one \
             directory of PATH: apt-get install postgresql-15, or \
             https://www.postgresql.org/download",
            names.join(", ")
        ))
    })
}

/// What `id` says.
fn id(arguments: &[&str]) -> Result<Option<u32>, BenchError> {
    let ended = run(Command::new("id").args(arguments), Duration::from_secs(10))?;
    Ok(ended.output.trim().parse().ok())
}

impl Peer {
    /// Looks for it.
    pub(crate) fn find() -> Result<Peer, BenchError> {
        let programs = programs(&["initdb", "pgbench", "postgres"])?;
        let mut version = Command::new(programs.join("postgres"));
        let version = run(version.arg("--version"), Duration::from_secs(10))?;
        // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
        let number = version.output.split_whitespace().nth(2);
        let user = match id(&["-u"])? {
            Some(0) => match (id(&["-u", "postgres"])?, id(&["-g", "postgres"])?) {
                (Some(uid), Some(gid)) => Some(User { uid, gid }),
                _ => {
                    let what = "PostgreSQL does not run as root, and there is no user postgres: \
                                adduser --system --group postgres";
                    return Err(BenchError::Unfit(what.to_owned()));
                }
            },
            _ => None,
        };
        Ok(Peer {
            version: format!("PostgreSQL {}", number.unwrap_or("of no version")),
            programs,
            user,
        })
    }

    /// Says how both sides are set; `settings` are those that [`Peer::start`] is given.
    pub(crate) fn announcement(&self, settings: &[String]) -> String {
        format!(
            "{} as it is by default, but {}, max_wal_size={WAL}, and connections as needed; fsync=on; \
             synchronous_commit=on against durability `full`, or off against `memory` with \
             --sync-every {SYNC_EVERY}.",
            self.version,
            settings.join(", ")
        )
    }

    /// Starts it on a new cluster of databases, with these settings besides: the size of its buffers at
    /// least. No round is interrupted by a checkpoint for the log's size.
    pub(crate) fn start(&self, setup: Setup<'_>, more: &[String]) -> Result<Server, BenchError> {
        let dir = tempfile::tempdir_in(setup.dir)?;
        if let Some(User { uid, gid }) = self.user {
            chown(dir.path(), Some(uid), Some(gid))?;
        }
        let data = dir.path().join("data");
        self.make_cluster(dir.path(), &data)?;
        let port = free_port()?;
        let mut command = Command::new(self.programs.join("postgres"));
        command.arg("-D").arg(&data);
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            format!("max_connections={}", setup.connections.max(100)),
            format!("max_wal_size={WAL}"),
            "fsync=on".to_owned(),
            match setup.commit {
                Commit::Synced => "synchronous_commit=on",
                Commit::Asynchronous => "synchronous_commit=off",
            }
            .to_owned(),
        ];
        command.args(
            settings
                .iter()
                .chain(more)
                .flat_map(|setting| ["-c", setting]),
        );
        let start = Start {
            // At once, its children and its shared memory with it.
            signal: "QUIT",
            dir: Some(dir.path()),
            log: &dir.path().join("postgres.log"),
            user: self.user,
        };
        let server = Server {
            process: process::Server::start(&command, start)?,
            port,
            _dir: dir,
        };
        let since = Instant::now();
        // Until it is there, there is nobody, or one who says that it starts.
        while let Err(error) = server.client() {
            if !server.process.runs() || since.elapsed() > Duration::from_secs(60) {
                let what = format!("PostgreSQL did not start: {error}");
                return Err(server.process.failed(&what));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    fn make_cluster(&self, dir: &Path, data: &Path) -> Result<(), BenchError> {
        let mut command = Command::new(self.programs.join("initdb"));
        command.arg("-D").arg(data).args(["-U", USER]);
        command.args(["--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"]);
        become_user(&mut command, self.user);
        let ended = run(command.current_dir(dir), Duration::from_secs(120))?;
        match ended.status.success() {
            true => Ok(()),
            false => {
                let what = format!("initdb failed:\n{}{}", ended.output, ended.errors);
                Err(BenchError::Unfit(what))
            }
        }
    }
}

fn free_port() -> Result<u16, BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
