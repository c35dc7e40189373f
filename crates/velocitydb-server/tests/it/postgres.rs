//! A real PostgreSQL 15, to compare with: in a directory of its own that goes with it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

/// With this variable, as in `.ci/run`, it has to be there.
const REQUIRED: &str = "VELOCITYDB_TEST_PEERS";

const READY: &str = "database system is ready to accept connections";

/// How long a backend waits for a lock until it looks for a deadlock.
const DEADLOCK_TIMEOUT_MS: f64 = 10.0;

pub struct Postgres {
    pub address: SocketAddr,
    process: Child,
    waits: Waits,
    _directory: TempDir,
}

/// Of each backend that found no deadlock and waits on: its process, and when, in milliseconds since
/// 1970.
type Waits = Arc<Mutex<Vec<(i32, f64)>>>;

impl Postgres {
    /// Its superuser is `ann`, who needs no password. `None`, with a notice, where it is not installed.
    pub fn start() -> Option<Postgres> {
        let Some(programs) = programs() else {
            let required = std::env::var_os(REQUIRED).is_some();
            assert!(
                !required,
                "{REQUIRED} is set, and PostgreSQL 15 is not installed"
            );
            eprintln!("not compared with PostgreSQL 15: it is not installed");
            return None;
        };
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        let user = other_than_root(directory.path());
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(directory.path()).arg("-D").arg(&data);
            if let Some((user, group)) = user {
                chown(directory.path(), Some(user), Some(group)).unwrap();
                command.uid(user).gid(group);
            }
            command
        };
        let mut make = command("initdb");
        make.args([
            "-U",
            "ann",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        let made = make.output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let started = (0..10).find_map(|_| {
            // Another may take it before PostgreSQL does.
            let address = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let mut server = command("postgres");
            server.args([
                "-h",
                "127.0.0.1",
                "-p",
                &address.port().to_string(),
                "-k",
                "",
            ]);
            for setting in [
                "fsync=off",
                "timezone=UTC",
                &format!("deadlock_timeout={DEADLOCK_TIMEOUT_MS}ms"),
                "log_lock_waits=on",
                "log_line_prefix=%p %n ",
            ] {
                server.args(["-c", setting]);
            }
            let mut process = server.stderr(Stdio::piped()).spawn().unwrap();
            let log = BufReader::new(process.stderr.take().unwrap());
            let waits = Waits::default();
            let (ready, is_ready) = channel();
            let to = Arc::clone(&waits);
            thread::spawn(move || read(log, &to, &ready));
            match is_ready.recv() {
                Ok(()) => Some((address, process, waits)),
                Err(_) => process.wait().map(|_| None).unwrap(),
            }
        });
        let (address, process, waits) = started.expect("PostgreSQL finds a port");
        Some(Postgres {
            address,
            process,
            waits,
            _directory: directory,
        })
    }

    /// Whether a backend has waited since then, in milliseconds since 1970, for so long that it has
    /// looked for a deadlock.
    pub fn waits(&self) -> impl Fn(i32, f64) -> bool + Clone + 'static {
        let waits = Arc::clone(&self.waits);
        move |process_id, since_ms| {
            let least_ms = since_ms + DEADLOCK_TIMEOUT_MS / 2.0;
            let waits = waits.lock().unwrap();
            waits
                .iter()
                .any(|(id, at_ms)| *id == process_id && *at_ms >= least_ms)
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads its log up to its end.
fn read(log: BufReader<impl std::io::Read>, waits: &Waits, ready: &Sender<()>) {
    for line in log.lines().map_while(Result::ok) {
        if line.contains(READY) {
            let _ = ready.send(());
        }
        let mut words = line.split(' ');
        if let (Some(process_id), Some(at), true) = (
            words.next(),
            words.next(),
            line.contains(" still waiting for "),
        ) {
            let at_ms = at.parse::<f64>().unwrap() * 1000.0;
            waits
                .lock()
                .unwrap()
                .push((process_id.parse().unwrap(), at_ms));
        }
    }
}

/// The folder with its programs: Debian has not all of them in the path.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = PathBuf::from("/usr/lib/postgresql/15/bin");
    std::env::split_paths(&path).chain([debian]).find(|folder| {
        let version = Command::new(folder.join("postgres"))
            .arg("--version")
            .output();
        let version = version.map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&version).contains(" 15.") && folder.join("initdb").exists()
    })
}

/// It does not run as root: the user and the group that it then runs as.
fn other_than_root(own: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata(own).unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line
        .expect("Debian's package makes a user")
        .split(':')
        .skip(2);
    let mut number = || fields.next().unwrap().parse().unwrap();
    Some((number(), number()))
}
