//! Servers and programs of a benchmark. None outlives it, however it ends.
//!
//! A server runs beside a shell that reads from a pipe whose other end only this process has. When the
//! pipe is closed, by [`Server`]'s drop or by the death of this process, the shell ends the server and
//! removes its directory. Tests: below.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::BenchError;

/// Its arguments: the signal that ends the server, the directory to remove (may be empty), the server.
/// The first line that it writes is the server's process id.
const GUARD: &str = r#"
trap '' HUP INT TERM
signal=$1 dir=$2
shift 2
sh -c 'echo $$; exec "$@"' sh "$@" </dev/null &
exec >/dev/null
read -r _
kill -"$signal" $!
wait $!
rm -rf -- "$dir"
"#;

/// Who runs a program, where this process is root and the program refuses to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User {
    /// Its number.
    pub(crate) uid: u32,
    /// The number of its group.
    pub(crate) gid: u32,
}

/// A server in a process of its own.
#[derive(Debug)]
pub(crate) struct Server {
    guard: Child,
    /// What it writes; kept open for as long as it runs.
    output: BufReader<ChildStdout>,
    pid: u32,
    log: PathBuf,
}

/// How a server is started and ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    /// The signal that ends it, as `kill` names it.
    pub(crate) signal: &'static str,
    /// Removed when it has ended.
    pub(crate) dir: Option<&'a Path>,
    /// Where its standard error goes.
    pub(crate) log: &'a Path,
    /// Another user than this process's.
    pub(crate) user: Option<User>,
}

impl Server {
    /// Starts the program of `command` with its arguments; of the rest of it nothing is used.
    pub(crate) fn start(command: &Command, start: Start<'_>) -> Result<Server, BenchError> {
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard", start.signal]);
        guard.arg(start.dir.unwrap_or(Path::new("")));
        guard.arg(command.get_program()).args(command.get_args());
        guard.stdin(Stdio::piped()).stdout(Stdio::piped());
        guard.stderr(File::create(start.log)?);
        become_user(&mut guard, start.user);
        // Not ours: another user may not be allowed to be there.
        guard.current_dir(start.dir.unwrap_or(Path::new("/")));
        let mut guard = guard.spawn()?;
        let output = guard.stdout.take().expect("its output goes to a pipe");
        let mut server = Server {
            guard,
            output: BufReader::new(output),
            pid: 0,
            log: start.log.to_owned(),
        };
        let pid = server.line_with("")?;
        let pid = pid.trim().parse();
        server.pid = pid.map_err(|_| server.failed("it has no process id"))?;
        Ok(server)
    }

    /// The next line of its output that contains `text`.
    pub(crate) fn line_with(&mut self, text: &str) -> Result<String, BenchError> {
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 {
            if line.contains(text) {
                return Ok(line);
            }
            line.clear();
        }
        Err(self.failed("a server did not start"))
    }

    /// Whether it still runs.
    pub(crate) fn runs(&self) -> bool {
        // Of one that has ended and was not waited for yet, it is empty.
        let line = std::fs::read(format!("/proc/{}/cmdline", self.pid));
        line.is_ok_and(|line| !line.is_empty())
    }

    /// An error with what its log says.
    pub(crate) fn failed(&self, what: &str) -> BenchError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(20).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        BenchError::Unfit(format!("{what}\n{}", last.join("\n")))
    }

    /// Memory of it and its children, in bytes: what several share counts once.
    pub(crate) fn memory_bytes(&self) -> Result<u64, BenchError> {
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = std::fs::read_to_string(children)?;
        let own = self.pid.to_string();
        let mut bytes = 0;
        for pid in children.split_whitespace().chain([&*own]) {
            match std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
                Ok(rollup) => bytes += share_bytes(&rollup),
                // One that has just ended.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) if error.raw_os_error() == Some(ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(bytes)
    }
}

/// No such process.
const ESRCH: i32 = 3;

/// A process's proportional share of what it maps, from `/proc/PID/smaps_rollup`.
fn share_bytes(rollup: &str) -> u64 {
    let kilobytes = rollup.lines().find_map(|line| {
        let size = line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?;
        size.parse::<u64>().ok()
    });
    kilobytes.unwrap_or(0) << 10
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Makes a program run as another user.
pub(crate) fn become_user(command: &mut Command, user: Option<User>) {
    if let Some(User { uid, gid }) = user {
        command.uid(uid).gid(gid);
    }
}

/// What a program has written.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// Runs a program to its end, which must come within `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<Ended, BenchError> {
    let (mut output, mut errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null());
    command.stdout(output.try_clone()?);
    command.stderr(errors.try_clone()?);
    let mut child = command.spawn()?;
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if since.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            let (name, limit) = (command.get_program().display(), limit.as_secs());
            let what = format!("{name} did not end within {limit} s");
            return Err(BenchError::Unfit(what));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    Ok(Ended {
        status,
        output: all(&mut output)?,
        errors: all(&mut errors)?,
    })
}

/// The whole of a file that another process has written through the same description.
fn all(file: &mut File) -> Result<String, BenchError> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(file, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(dir: &Path, script: &str) -> Result<Server, BenchError> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let start = Start {
            signal: "KILL",
            dir: Some(dir),
            log: &dir.join("log"),
            user: None,
        };
        Server::start(&command, start)
    }

    #[test]
    fn a_server_ends_with_its_handle_and_its_directory_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo ready at 7; exec sleep 1000";
        let mut server = start(dir.path(), script).unwrap();
        assert_eq!(server.line_with("ready").unwrap(), "ready at 7\n");
        // While it becomes another program it has neither a name nor memory.
        while !server.runs() || server.memory_bytes().unwrap() == 0 {
            std::thread::yield_now();
        }
        let pid = server.pid;
        drop(server);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!dir.path().exists());
    }

    #[test]
    fn one_that_does_not_start_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut server = start(dir.path(), "echo the reason >&2; exit 1").unwrap();
        let error = server.line_with("ready").unwrap_err().to_string();
        assert!(error.ends_with("\nthe reason"), "{error}");
    }

    #[test]
    fn a_program_ends_in_time() {
        let shell = |script| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            run(&mut command, Duration::from_millis(200))
        };
        let error = shell("exec sleep 1000").unwrap_err().to_string();
        assert_eq!(error, "sh did not end within 0 s");
        let limit = Duration::from_secs(60);
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let ended = run(&mut command, limit).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        assert_eq!((&*ended.output, &*ended.errors), ("out\n", "err\n"));
    }

    #[test]
    fn what_is_shared_counts_once() {
        let rollup = "55d0-7ffd ---p 00000000 00:00 0    [rollup]\n\
                      Rss:                3536 kB\nPss:                 411 kB\nPss_Dirty: 10 kB\n";
        assert_eq!(share_bytes(rollup), 411 << 10);
    }
}
