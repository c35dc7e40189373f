//! Running the program: once to its end, or as a server that is asked to stop.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// The program with nothing of this process's environment that could configure it.
pub fn command<S: AsRef<OsStr>>(arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_velocitydb"));
    for (name, _) in std::env::vars() {
        if name.starts_with("VELOCITYDB_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The same in another directory.
pub fn command_in<S: AsRef<OsStr>>(dir: &Path, arguments: &[S]) -> Command {
    let mut command = command(arguments);
    command.current_dir(dir);
    command
}

/// A run that has ended.
pub struct Ended(Output);

/// Runs the program to its end.
pub fn velocitydb<S: AsRef<OsStr>>(arguments: &[S]) -> Ended {
    Ended(command(arguments).output().unwrap())
}

/// Runs the program to its end with this standard input.
pub fn velocitydb_with_input<S: AsRef<OsStr>>(arguments: &[S], input: &[u8]) -> Ended {
    let mut command = command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Ended(child.wait_with_output().unwrap())
}

impl Ended {
    /// What was written to standard output and standard error.
    fn texts(&self) -> (String, String) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(&self.0.stdout), text(&self.0.stderr))
    }

    /// Standard output of a run that went well.
    pub fn succeeds(&self) -> String {
        let (out, error) = self.texts();
        assert!(self.0.status.success(), "{}\n{out}\n{error}", self.0.status);
        out
    }

    /// Standard error and standard output of a run that ended with this status.
    pub fn fails(&self, status: i32) -> (String, String) {
        let (out, error) = self.texts();
        assert_eq!(self.0.status.code(), Some(status), "{out}\n{error}");
        (error, out)
    }
}

/// `velocitydb serve`, running. Killed when it is dropped.
pub struct Served {
    child: Child,
    out: BufReader<Box<dyn Read>>,
    error: Option<ChildStderr>,
    /// What it said before it was ready.
    pub said: String,
    /// `127.0.0.1:port`.
    pub address: String,
}

impl Served {
    /// Starts a server on a free port and waits until it says how to stop it.
    pub fn start(arguments: &[&str]) -> Served {
        Served::start_until(arguments, "Ctrl-C stops the server.\n")
    }

    /// Starts a server on a free port and waits until it has said `text`.
    pub fn start_until(arguments: &[&str], text: &str) -> Served {
        Served::start_with(
            command(&["serve", "--http", "127.0.0.1:0"]),
            arguments,
            text,
        )
    }

    /// [`Served::start`] in another directory.
    pub fn start_in(dir: &Path, arguments: &[&str]) -> Served {
        let command = command_in(dir, &["serve", "--http", "127.0.0.1:0"]);
        Served::start_with(command, arguments, "Ctrl-C stops the server.\n")
    }

    fn start_with(command: Command, arguments: &[&str], text: &str) -> Served {
        Served::start_command(command, arguments, text, Stdio::piped())
    }

    /// Starts a server by a command that may be another program's, with this standard error.
    pub fn start_command(
        mut command: Command,
        arguments: &[&str],
        text: &str,
        error: Stdio,
    ) -> Served {
        command.args(arguments).stdout(Stdio::piped()).stderr(error);
        let mut child = command.spawn().unwrap();
        let (out, error) = (child.stdout.take().unwrap(), child.stderr.take());
        let out: Box<dyn Read> = Box::new(out);
        let out = BufReader::new(out);
        let mut served = Served {
            child,
            out,
            error,
            said: String::new(),
            address: String::new(),
        };
        while !served.said.contains(text) {
            let ended = served.out.read_line(&mut served.said).unwrap() == 0;
            if ended {
                let errors = served.errors();
                panic!("it ended: {}\n{errors}", served.said);
            }
        }
        let (_, address) = served.said.split_once(" serves http://").unwrap();
        served.address = address.lines().next().unwrap().to_owned();
        served
    }

    /// Standard error, once the server has ended.
    fn errors(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut error) = self.error.take() {
            error.read_to_string(&mut text).unwrap();
        }
        text
    }

    /// Waits until it has said `text` on standard error; answers what it said there.
    pub fn logs_until(&mut self, text: &str) -> String {
        let mut error = BufReader::new(self.error.take().unwrap());
        let mut said = String::new();
        while !said.contains(text) {
            let ended = error.read_line(&mut said).unwrap() == 0;
            assert!(!ended, "it ended: {said}");
        }
        self.error = Some(error.into_inner());
        said
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes the ends of standard output and standard error that are read here.
    pub fn stop_reading(&mut self) {
        let (reader, _) = std::io::pipe().unwrap();
        self.out = BufReader::new(Box::new(reader));
        self.error = None;
    }

    /// Asks it to stop by this signal, and waits until it has.
    pub fn stops_by(mut self, signal: &str) -> String {
        self.signal(signal);
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}\n{rest}\n{}", self.errors());
        rest
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([format!("-{name}"), id])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Asks it to stop, waits until it has, and gives what it said in the end.
    pub fn stop(self) -> String {
        self.stops_by("TERM")
    }

    /// Kills it without warning.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
