//! The shell at a terminal: editing, history, completion.
//!
//! `reedline` edits; what is typed goes to the [`Session`], and what Tab offers comes from
//! `complete`. Tests: crates/velocitydb-cli/tests/it/terminal.rs drives it through a
//! pseudo-terminal.

use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultHinter, Emacs, FileBackedHistory, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, Reedline,
    ReedlineEvent, ReedlineMenu, Signal, Span, Suggestion, ValidationResult, Validator,
    default_emacs_keybindings,
};

use crate::complete::complete;
use crate::session::{Confirm, Flow, Session, SharedTarget, Stop, lock};
use crate::statement::is_open;

/// Lines that the history keeps.
const HISTORY_LINES: usize = 1_000;
const MENU: &str = "completion";

/// Reads statements from the terminal until the user leaves. `history` is a file for what was
/// typed; when it cannot be used that is said, and nothing is kept.
pub fn run(mut session: Session, target: &SharedTarget, history: Option<&Path>) -> io::Result<()> {
    let (mut out, place) = (io::stdout(), lock(target).place());
    writeln!(
        out,
        "Connected to {place}. `help` lists the commands, Ctrl-D leaves."
    )?;
    session.confirm = Confirm::User(Box::new(ask));
    let mut editor = editor(target);
    if let Some(path) = history {
        match open_history(path) {
            Ok(history) => editor = editor.with_history(Box::new(history)),
            Err(error) => writeln!(out, "The history is not kept: {}: {error}", path.display())?,
        }
    }
    loop {
        let text = match editor.read_line(&ShellPrompt)? {
            Signal::Success(text) => text,
            Signal::CtrlC => continue,
            _ => return Ok(()),
        };
        // What is written in this session survives it even if the program is killed.
        let _ = editor.sync_history();
        session.width = crate::terminal_width();
        let mut notes = io::stderr();
        match session.execute(&text, &mut out, &mut notes) {
            Ok(Flow::Go) => {}
            Ok(Flow::Quit) => return Ok(()),
            Err(Stop::Complaint(complaint)) => writeln!(out, "{}", complaint.show(&text, None))?,
            Err(Stop::Output(error)) => return Err(error),
        }
        out.flush()?;
    }
}

/// Asks the user; whatever is not yes is no.
fn ask(question: &str) -> bool {
    let mut out = io::stdout();
    if write!(out, "{question}")
        .and_then(|()| out.flush())
        .is_err()
    {
        return false;
    }
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

fn editor(target: &SharedTarget) -> Reedline {
    let mut keys = default_emacs_keybindings();
    keys.add_binding(
        KeyModifiers::NONE,
        KeyCode::Tab,
        ReedlineEvent::UntilFound(vec![
            ReedlineEvent::Menu(MENU.to_owned()),
            ReedlineEvent::MenuNext,
        ]),
    );
    let menu = ColumnarMenu::default().with_name(MENU);
    let hint = Style::new().fg(Color::DarkGray);
    Reedline::create()
        .with_validator(Box::new(Brackets))
        .with_completer(Box::new(Names(SharedTarget::clone(target))))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_hinter(Box::new(DefaultHinter::default().with_style(hint)))
        .with_edit_mode(Box::new(Emacs::new(keys)))
}

/// The history in a file that only its owner reads: statements hold data.
fn open_history(path: &Path) -> io::Result<FileBackedHistory> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?;
    FileBackedHistory::with_file(HISTORY_LINES, path.to_owned()).map_err(io::Error::other)
}

/// A statement goes on while its brackets are open.
struct Brackets;

impl Validator for Brackets {
    fn validate(&self, line: &str) -> ValidationResult {
        match is_open(line) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Complete,
        }
    }
}

struct Names(SharedTarget);

impl Completer for Names {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let mut target = lock(&self.0);
        let line = line.get(..position).unwrap_or(line);
        let suggestions: Vec<Suggestion> = complete(line, &mut **target)
            .into_iter()
            .map(|completion| Suggestion {
                value: completion.by,
                description: Some(completion.what).filter(|what| !what.is_empty()),
                span: Span::new(completion.replace.start, completion.replace.end),
                append_whitespace: completion.finished,
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

struct ShellPrompt;

impl Prompt for ShellPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("velocitydb")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("       ...> ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!(" (search: {}) ", search.term))
    }
}
