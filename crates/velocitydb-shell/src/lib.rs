//! A database seen from a terminal: the shell, `status` and `top`.
//!
//! In reading order: `statement` takes apart what was typed, and has the list of commands;
//! [`Session`] does it on a [`Target`] (a running server over HTTP, or a database that this
//! process opens) and writes the answer; `render` makes tables and JSON of documents, and keeps
//! terminal escape sequences away from the terminal; `complaint` shows what is wrong under the
//! place. [`run_interactive`] is the shell at a terminal, with `complete` for Tab, and
//! [`run_script`] the one for pipes. [`Status`] is one screen of figures, [`Top`] a live one.
//!
//! What this crate does not know: SQL (statements that end in `;` are left to it), arguments of
//! the program, where a user's files are.
//! Tests: in the modules; tests/it runs golden scripts against both targets; the program's own
//! tests drive the shell through a pseudo-terminal.

#![forbid(unsafe_code)]

mod complaint;
mod complete;
mod figures;
mod interactive;
mod render;
mod script;
mod session;
mod statement;
mod status;
mod targets;
mod top;

pub use complaint::Complaint;
pub use complete::{Completion, complete};
pub use figures::{Figures, Sample};
pub use interactive::run as run_interactive;
pub use render::{bytes, count, escape, thousands};
pub use script::{Ended, OnError, run as run_script};
pub use session::{Confirm, Flow, Format, Session, SharedTarget, Stop};
pub use statement::{
    COMMANDS, CommandRow, Explain, Json, Question, Ranked, Setting, Statement, Wanted, is_open,
    parse,
};
pub use status::{
    CheckpointStatus, CollectionStatus, HealthAnswer, LogStatus, ServerStatus, Status,
};
pub use targets::{
    Embedded, Http, LoadMode, Page, Target, TargetError, VELOCITY, base_path, no_such_database,
    segment,
};
pub use top::Top;

/// Columns of the terminal; `None` where there is none.
pub fn terminal_width() -> Option<usize> {
    let size = crossterm::terminal::size().ok();
    size.map(|(columns, _)| usize::from(columns))
}
