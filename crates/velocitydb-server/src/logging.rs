//! Structured logs on standard error: text for people, JSON lines for programs.
//!
//! What is logged where: `velocitydb_server::http` has one line for each request (`info` when it
//! failed or was slow, `debug` otherwise); the crate itself says when it starts, what recovery
//! found, and when it stops. Tests: tests/it for the fields of a request's line.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

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
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| LoggingError(format!("the filter {filter:?}: {error}")))?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal);
    let set = match (format, terminal) {
        (LogFormat::Text, _) | (LogFormat::Auto, true) => builder.try_init(),
        (LogFormat::Json, _) | (LogFormat::Auto, false) => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
    };
    set.map_err(|error| LoggingError(error.to_string()))
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
