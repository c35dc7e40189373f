//! What a server says to people while it runs, and how any command says that it failed.
//!
//! A server must not stand still, or fail, because nobody reads its standard output or error: a
//! full disk, a pipe that nobody empties, a terminal that has gone. So both go through
//! [`LossyWriter`]s. Commands whose output is their purpose write to standard output directly.
//! Tests: tests/it/output.rs.

use std::sync::OnceLock;
use std::time::Duration;

use velocitydb_server::LossyWriter;

/// How long the end of a command waits for its last words to be taken.
pub const FLUSH_BOUND: Duration = Duration::from_secs(1);

/// Bytes that wait to be taken; the longest text is far shorter.
const WAITING_BYTES_MAX: usize = 64 << 10;

static OUT: OnceLock<Option<LossyWriter>> = OnceLock::new();

/// Says a line, and those in it, on standard output.
pub fn say(text: &str) {
    // Without a thread for it there is nobody to say it.
    let out = OUT.get_or_init(|| LossyWriter::stdout(WAITING_BYTES_MAX).ok());
    if let Some(out) = out {
        out.append(format!("{text}\n").as_bytes());
    }
}

/// Waits until what was said is taken, for [`FLUSH_BOUND`] at most.
pub fn flush() {
    if let Some(Some(out)) = OUT.get() {
        out.flush(FLUSH_BOUND);
    }
}

/// Says a last line on standard error.
pub fn say_error(text: &str) {
    if let Ok(error) = LossyWriter::stderr(WAITING_BYTES_MAX) {
        error.append(format!("{text}\n").as_bytes());
        error.flush(FLUSH_BOUND);
    }
}
