//! The shell and `top` as a person meets them: through a pseudo-terminal.
//!
//! [`Terminal`] is a small terminal emulator: it shows what the program writes (crate `vt100`),
//! answers where the cursor is, and sends keys. A test waits for a text on its screen; nothing
//! sleeps. One that never comes is reported with the screen after [`PATIENCE`].

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::process::{Served, command};

/// How long a text may take to come, on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: u16 = 40;
const COLUMNS: u16 = 100;

const TAB: &str = "\t";
const ENTER: &str = "\r";
const UP: &str = "\x1b[A";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";

/// A program and the terminal that it runs in.
struct Terminal {
    child: Child,
    /// The program's end, kept so that its settings can be looked at.
    theirs: OwnedFd,
    keys: File,
    shown: Receiver<Vec<u8>>,
    screen: vt100::Parser<Answers>,
}

/// Answers what a program asks of its terminal: where the cursor is.
struct Answers(File);

impl vt100::Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut vt100::Screen,
        _: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        last: char,
    ) {
        if (parameters, last) == (&[&[6]], 'n') {
            let (row, column) = screen.cursor_position();
            write!(self.0, "\x1b[{};{}R", row + 1, column + 1).unwrap();
        }
    }
}

impl Terminal {
    fn start(arguments: &[&str], home: &Path) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let theirs = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&theirs, size).unwrap();
        let stdio = || Stdio::from(theirs.try_clone().unwrap());
        let child = command(arguments)
            .env("HOME", home)
            .env("TERM", "xterm-256color")
            .env_remove("XDG_STATE_HOME")
            .env_remove("NO_COLOR")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let keys = File::from(ours);
        let answers = Answers(keys.try_clone().unwrap());
        let (mut screen, (send, shown)) = (keys.try_clone().unwrap(), channel());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            theirs,
            keys,
            shown,
            screen: vt100::Parser::new_with_callbacks(ROWS, COLUMNS, 0, answers),
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Takes in what the program has written; `false` when there was nothing in time.
    fn take(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = match self.shown.recv_timeout(left) {
            Ok(bytes) => bytes,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        };
        self.screen.process(&bytes);
        true
    }

    /// Waits until the screen is as asked.
    fn until(&mut self, what: &str, is: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is(self.screen.screen()) {
            let more = self.take(deadline);
            let screen = self.screen.screen().contents();
            assert!(more, "{what} did not come; the screen:\n{screen}");
        }
    }

    /// Waits until the screen shows a text.
    fn shows(&mut self, text: &str) {
        self.until(&format!("{text:?}"), |screen| {
            screen.contents().contains(text)
        });
    }

    /// Waits until the line with the cursor reads so.
    fn line_is(&mut self, line: &str) {
        self.until(&format!("the line {line:?}"), |screen| {
            let (row, _) = screen.cursor_position();
            let found = screen.rows(0, COLUMNS).nth(usize::from(row));
            found.is_some_and(|found| found.trim_end() == line.trim_end())
        });
    }

    fn contents(&self) -> String {
        self.screen.screen().contents()
    }

    /// Waits for the end of the program, which must be well; the terminal must be as it was.
    fn ends(mut self, before: &Termios) {
        let status = self.child.wait().unwrap();
        // All that it wrote, up to this mark, which the terminal itself puts there.
        let mut theirs = File::from(self.theirs.try_clone().unwrap());
        theirs.write_all(b"<the end>").unwrap();
        self.shows("<the end>");
        assert!(status.success(), "{status}\n{}", self.contents());
        let after = tcgetattr(&self.theirs).unwrap();
        assert_eq!(after.local_modes, before.local_modes, "raw mode is left");
        assert!(!self.screen.screen().alternate_screen());
        assert!(!self.screen.screen().hide_cursor());
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.theirs).unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PROMPT: &str = "velocitydb> ";

fn shell(home: &Path, arguments: &[&str]) -> Terminal {
    let mut shell = Terminal::start(&[&["shell"], arguments].concat(), home);
    shell.line_is(PROMPT);
    shell
}

#[test]
fn tab_completes_commands_collections_and_fields() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = shell(home.path(), &["--memory"]);
    shell.press("create tasks\r");
    shell.shows("tasks created");
    shell.press("put tasks t1 {\"state\": \"new\"}\r");
    shell.shows("t1 put, version 1");
    shell.line_is(PROMPT);
    shell.press("pat");
    shell.press(TAB);
    shell.line_is("velocitydb> patch");
    shell.press("ta");
    shell.press(TAB);
    shell.line_is("velocitydb> patch tasks");
    shell.press("t1 {\"st");
    shell.press(TAB);
    shell.line_is("velocitydb> patch tasks t1 {\"state\":");
    shell.press("\"done\"}");
    shell.press(ENTER);
    shell.shows("t1 patched, version 2");
    shell.line_is(PROMPT);
}

#[test]
fn history_comes_back_by_arrow_up_and_in_the_next_session() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".local/state/velocitydb/shell_history");
    {
        let mut shell = shell(home.path(), &["--memory"]);
        shell.press("create tasks\r");
        shell.shows("tasks created");
        shell.line_is(PROMPT);
        shell.press("count tasks\r");
        shell.shows("0 documents");
        shell.line_is(PROMPT);
        shell.press(UP);
        shell.line_is("velocitydb> count tasks");
        shell.press(UP);
        shell.line_is("velocitydb> create tasks");
        shell.press(CTRL_C);
        shell.line_is(PROMPT);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&file).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "statements hold data");
        // Killed, not left: what was typed is kept all the same.
    }
    let mut shell = shell(home.path(), &["--memory"]);
    shell.press(UP);
    shell.line_is("velocitydb> count tasks");
}

#[test]
fn a_history_that_cannot_be_kept_is_said_and_no_obstacle() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    let history = home.path().join("file/history");
    let mut shell = shell(
        home.path(),
        &["--memory", "--history", history.to_str().unwrap()],
    );
    assert!(shell.contents().contains("The history is not kept: "));
    shell.press("collections\r");
    shell.shows("no collections");
}

#[test]
fn json_goes_over_several_lines() {
    let home = tempfile::tempdir().unwrap();
    let mut shell = shell(home.path(), &["--memory"]);
    shell.press("create tasks\r");
    shell.shows("tasks created");
    shell.line_is(PROMPT);
    shell.press("put tasks t1 {\r");
    shell.line_is("       ...>");
    shell.press("\"n\": 1\r");
    shell.line_is("       ...>");
    shell.press("}\r");
    shell.shows("t1 put, version 1");
}

#[test]
fn an_error_points_at_its_place_and_the_shell_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&["--mode", "memory-only"]);
    let before;
    {
        let url = format!("http://{}", served.address);
        let mut shell = Terminal::start(&["shell", "--url", &url, "--no-history"], home.path());
        before = shell.settings();
        shell.line_is(PROMPT);
        shell.press("create tasks\r");
        shell.shows("tasks created");
        shell.line_is(PROMPT);
        shell.press("put tasks t1 {\"a\": }\r");
        shell.shows("error: expected value");
        shell.line_is(PROMPT);
        let contents = shell.contents();
        let lines: Vec<&str> = contents.lines().collect();
        let error = lines
            .iter()
            .position(|line| line.starts_with("error"))
            .unwrap();
        assert_eq!(lines[error + 1], "  put tasks t1 {\"a\": }");
        assert_eq!(lines[error + 2], "                     ^");
        // A drop is asked for.
        shell.press("drop tasks\r");
        shell.shows("Drop tasks with its 0 documents? [y/N]");
        shell.press("n\r");
        shell.shows("nothing was dropped");
        shell.line_is(PROMPT);
        shell.press(CTRL_D);
        shell.ends(&before);
    }
    served.stop();
}

#[test]
fn top_is_refreshed_and_gives_the_terminal_back() {
    let home = tempfile::tempdir().unwrap();
    let served = Served::start(&["--mode", "memory-only"]);
    let url = format!("http://{}", served.address);
    for leave in ["q", CTRL_C] {
        let mut top = Terminal::start(&["top", "--url", &url, "--every", "100ms"], home.path());
        let before = top.settings();
        top.shows("averages since the start");
        assert!(top.screen.screen().alternate_screen());
        top.shows(": the last 0.");
        top.press(leave);
        top.ends(&before);
    }
    // A server that has gone is said, and asked again.
    let mut top = Terminal::start(&["top", "--url", &url, "--every", "100ms"], home.path());
    let before = top.settings();
    top.shows("averages since the start");
    served.stop();
    top.shows("q leaves  no answer from");
    top.press("q");
    top.ends(&before);
}
