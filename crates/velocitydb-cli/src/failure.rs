//! How a command ends when it cannot do what it was asked: in plain words, with what to do.
//!
//! Exit status 1, or 2 when the request itself was wrong. The words go to standard error.
//! Tests: tests/it, at the commands that fail.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use velocitydb::{Error, KeyError};

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// The arguments or the configuration are wrong.
    Usage(String),
    /// It could not be done.
    Failed {
        /// What happened.
        what: String,
        /// What the reader can do; may be empty.
        help: String,
    },
    /// All has been said on standard output: only the exit status is left.
    Said,
    /// Whoever read standard output has gone (`velocitydb … | head`).
    OutputClosed,
}

impl Failure {
    /// A failure without advice.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure::Failed {
            what: what.into(),
            help: String::new(),
        }
    }

    /// The same with what to do about it.
    pub fn help(self, help: impl Into<String>) -> Failure {
        match self {
            Failure::Failed { what, .. } => Failure::Failed {
                what,
                help: help.into(),
            },
            other => other,
        }
    }

    /// A failure of a database in `dir`.
    pub fn of(error: &Error, dir: &Path) -> Failure {
        let dir = dir.display();
        let help = match error {
            Error::InUse { .. } => {
                "Only one program may use a data directory at a time. Stop the one that does (a \
                 running `velocitydb serve`?), or give another directory with --data."
                    .to_owned()
            }
            Error::Damaged(_) => format!(
                "Nothing was changed. `velocitydb check {dir}` says exactly what is damaged, and \
                 `velocitydb repair {dir}` what a repair would lose."
            ),
            Error::UnsupportedFormat(_) => {
                "Use the version of the program that wrote the data.".to_owned()
            }
            Error::Key(KeyError::Missing { .. }) => {
                "Give the key with --encryption-key-file FILE. Nothing was changed.".to_owned()
            }
            Error::Key(KeyError::Wrong { .. }) => {
                "Give that key with --encryption-key-file FILE; or, to change from it to the key given, with \
                 --encryption-previous-key-file FILE. Nothing was changed."
                    .to_owned()
            }
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "Give this user the right to read and write there, or another directory with \
                 --data."
                    .to_owned()
            }
            _ => String::new(),
        };
        Failure::new(error.to_string()).help(help)
    }

    /// Says what happened, and gives the exit status.
    pub fn report(&self) -> ExitCode {
        match self {
            Failure::OutputClosed => return ExitCode::SUCCESS,
            Failure::Said => {}
            other => crate::output::say_error(&format!("error: {other}")),
        }
        ExitCode::from(if matches!(self, Failure::Usage(_)) {
            2
        } else {
            1
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(what) => f.write_str(what),
            Failure::Failed { what, help } if help.is_empty() => f.write_str(what),
            Failure::Failed { what, help } => write!(f, "{what}\n{help}"),
            Failure::Said | Failure::OutputClosed => Ok(()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::new(error.to_string())
    }
}

/// For what is written to standard output; files name themselves in their own failures.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::new(format!("cannot write to standard output: {error}")),
        }
    }
}
