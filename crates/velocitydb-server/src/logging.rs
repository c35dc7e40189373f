//! Structured logs on standard error: text for people, JSON lines for programs.
//!
//! What is logged where: `velocitydb_server::http` has one line for each request (`info` when it
//! failed, `debug` otherwise), `velocitydb_server::slow` one for each slow operation; the crate itself says when it starts, what recovery
//! found, and when it stops.
//!
//! Logging never holds the server up and never fails it: lines go through a [`LossyWriter`], and
//! those that standard error does not take are lost and counted. Panics are logged the same way,
//! as the usual way would stand still with a stalled reader.
//! Tests: tests/it for the fields of a request's line; the program's tests for streams that are
//! full, closed or stalled.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::{EnvFilter, reload};

use crate::lossy::LossyWriter;

/// Bytes of log lines that wait for standard error.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// Changes what is logged.
type SetFilter = dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync;
static SET_FILTER: OnceLock<Box<SetFilter>> = OnceLock::new();

/// Where the process's logs go.
static LINES: OnceLock<LossyWriter> = OnceLock::new();

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object on each line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = LoggingError;

    fn from_str(name: &str) -> Result<LogFormat, LoggingError> {
        match name {
            "auto" => Ok(LogFormat::Auto),
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(LoggingError(format!(
                "log format {name:?} is none of auto, text, json"
            ))),
        }
    }
}

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
#[error("logging: {0}")]
pub struct LoggingError(String);

/// Sends the logs of the whole process to standard error. `filter` is a level (`info`) or a list
/// of targets with levels (`info,velocitydb_server::http=debug`).
///
/// # Errors
/// A filter that cannot be read; a process whose logs go somewhere already.
pub fn init_logging(format: LogFormat, filter: &str) -> Result<(), LoggingError> {
    let filter = parse_filter(filter)?;
    let terminal = std::io::stderr().is_terminal();
    let lines = LossyWriter::stderr(WAITING_BYTES_MAX)
        .map_err(|error| LoggingError(format!("standard error: {error}")))?;
    let writer = lines.clone();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || writer.clone())
        .log_internal_errors(false)
        .with_ansi(terminal);
    // A macro, as each format makes a handle of a type of its own.
    macro_rules! init {
        ($builder:expr) => {{
            let builder = $builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder
                .try_init()
                .map(|()| -> Box<SetFilter> { Box::new(move |filter| handle.reload(filter)) })
        }};
    }
    let set = match (format, terminal) {
        (LogFormat::Text, _) | (LogFormat::Auto, true) => init!(builder),
        (LogFormat::Json, _) | (LogFormat::Auto, false) => {
            init!(builder.json().flatten_event(true).with_current_span(false))
        }
    };
    let set = set.map_err(|error| LoggingError(error.to_string()))?;
    // Only the first call comes here: the second has failed above.
    SET_FILTER.get_or_init(|| set);
    LINES.get_or_init(|| lines);
    Ok(())
}

fn parse_filter(filter: &str) -> Result<EnvFilter, LoggingError> {
    EnvFilter::try_new(filter)
        .map_err(|error| LoggingError(format!("the filter {filter:?}: {error}")))
}

/// Whether [`init_logging`] and [`set_log_filter`] take a filter.
///
/// # Errors
/// A filter that cannot be read.
pub fn check_log_filter(filter: &str) -> Result<(), LoggingError> {
    parse_filter(filter).map(|_| ())
}

/// Changes what is logged from now on, if [`init_logging`] has set the logs up.
///
/// # Errors
/// A filter that cannot be read; then everything is as before.
pub fn set_log_filter(filter: &str) -> Result<(), LoggingError> {
    let filter = parse_filter(filter)?;
    let Some(set) = SET_FILTER.get() else {
        return Ok(());
    };
    set(filter).map_err(|error| LoggingError(error.to_string()))
}

/// Sends the messages of panics to the log, from now on.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = captured.then(|| backtrace.to_string());
        tracing::error!(%panic, backtrace, "a thread panicked");
    }));
}

/// Waits until the lines logged so far are written, for `bound` at most.
pub fn flush_logs(bound: Duration) {
    if let Some(lines) = LINES.get() {
        lines.flush(bound);
    }
}

/// Log lines that standard error did not take.
pub(crate) fn lines_lost() -> u64 {
    LINES.get().map_or(0, LossyWriter::lines_lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names_and_filters_are_read() {
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        assert!("xml".parse::<LogFormat>().is_err());
        assert!(init_logging(LogFormat::Json, "=[").is_err());
        assert!(init_logging(LogFormat::Json, "error").is_ok());
        assert!(
            init_logging(LogFormat::Json, "error").is_err(),
            "the second time"
        );
    }
}
