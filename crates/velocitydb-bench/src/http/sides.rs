//! The processes of both sides: started, asked, killed when they are dropped.

use std::path::Path;
use std::process::Command;

use super::Answers;
use crate::BenchError;
use crate::process::{Server, Start};

/// A server in a process of its own.
#[derive(Debug)]
pub(super) struct Process {
    /// Ends with this.
    _server: Server,
    /// `http://` and its address.
    base: String,
}

/// What a client gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    kind: Option<String>,
    pub(super) body: String,
}

impl Process {
    /// `velocitydb serve` with its defaults, on the data in `dir`.
    pub(super) fn serve(program: &Path, dir: &Path) -> Result<Process, BenchError> {
        let mut command = Command::new(program);
        command.args(["serve", "--http", "127.0.0.1:0", "--durability", "os"]);
        command.arg("--data").arg(dir.join("data"));
        Process::start(command, &dir.join("serve.log"))
    }

    /// The routes of [`super::serve_bare`].
    pub(super) fn bare(
        program: &Path,
        dir: &Path,
        answers: &Answers,
    ) -> Result<Process, BenchError> {
        let mut command = Command::new(program);
        command.args(["bench", "bare-route", &answers.read, &answers.written]);
        Process::start(command, &dir.join("bare.log"))
    }

    /// Starts a server that says its address. Its log goes to a file.
    fn start(command: Command, log: &Path) -> Result<Process, BenchError> {
        let start = Start {
            // Its data is removed with it: there is nothing to end in order.
            signal: "KILL",
            dir: None,
            log,
            user: None,
        };
        let mut server = Server::start(&command, start)?;
        let line = server.line_with("http://")?;
        let at = line.find("http://").expect("the line contains it");
        Ok(Process {
            base: line[at..].trim().to_owned(),
            _server: server,
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer, BenchError> {
        Answer::read(ureq::get(self.url(path)).call())
    }

    pub(super) fn post(&self, path: &str, body: &str) -> Result<Answer, BenchError> {
        let request = ureq::post(self.url(path)).header("content-type", "application/json");
        Answer::read(request.send(body))
    }

    /// How many documents the server has.
    pub(super) fn count(&self) -> Result<u64, BenchError> {
        let answer = self.get("/v1/collections/documents/count")?;
        let count = answer.body.split_once("\"count\":").and_then(|(_, rest)| {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            rest[..end].parse().ok()
        });
        count.ok_or_else(|| BenchError::Unfit(format!("the count is {:?}", answer.body)))
    }
}

impl Answer {
    fn read(
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, BenchError> {
        let failed = |error: ureq::Error| BenchError::Unfit(error.to_string());
        let mut answer = answer.map_err(failed)?;
        let kind = answer.headers().get("content-type");
        Ok(Answer {
            status: answer.status().as_u16(),
            kind: kind.and_then(|kind| kind.to_str().ok().map(str::to_owned)),
            body: answer.body_mut().read_to_string().map_err(failed)?,
        })
    }
}
