//! A script: statements from a file or a pipe, one a line, JSON over as many as it takes.
//!
//! Read line by line: a script may be longer than the memory, a statement may not be longer than
//! [`STATEMENT_BYTES_MAX`]. Tests: tests/it/scripts.rs.

use std::io::{self, BufRead, Read, Write};

use crate::complaint::Complaint;
use crate::session::{Flow, Session, Stop};
use crate::statement::is_open;

/// The longest statement: more than the largest document takes as JSON.
const STATEMENT_BYTES_MAX: u64 = 64 << 20;

/// What happens after a statement that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The script ends.
    #[default]
    Stop,
    /// The next statement is done.
    Go,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every statement was done.
    Well,
    /// At least one was not; it has been said which.
    WithErrors,
}

/// Does every statement of `script`. What is wrong is said on `errors`, with its line.
pub fn run(
    session: &mut Session,
    mut script: impl BufRead,
    on_error: OnError,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> io::Result<Ended> {
    let mut ended = Ended::Well;
    let (mut statement, mut first, mut line) = (String::new(), 1, 0);
    loop {
        let room = STATEMENT_BYTES_MAX.saturating_sub(statement.len() as u64);
        let read = script.by_ref().take(room).read_line(&mut statement);
        let (at_end, wrong) = match read {
            Ok(read) => (read == 0, None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                (true, Some("the script is not UTF-8 text"))
            }
            Err(error) => return Err(error),
        };
        line += 1;
        let full = statement.len() as u64 >= STATEMENT_BYTES_MAX;
        let wrong = wrong.or(full.then_some("the statement that begins here is too long"));
        if wrong.is_none() && !at_end && is_open(&statement) {
            continue;
        }
        let done = match wrong {
            Some(what) => Err(Stop::Complaint(Complaint::new(what))),
            None => session.execute(statement.trim_end(), out, errors),
        };
        match done {
            Ok(Flow::Go) => {}
            Ok(Flow::Quit) => break,
            Err(Stop::Output(error)) => return Err(error),
            Err(Stop::Complaint(complaint)) => {
                out.flush()?;
                let shown = complaint.show(statement.trim_end(), Some(first));
                writeln!(errors, "{shown}")?;
                ended = Ended::WithErrors;
                if on_error == OnError::Stop || wrong.is_some() {
                    break;
                }
            }
        }
        if at_end {
            break;
        }
        statement.clear();
        first = line + 1;
    }
    out.flush()?;
    Ok(ended)
}
