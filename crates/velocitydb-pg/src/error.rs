//! Errors and notices as PostgreSQL reports them.

use std::fmt;

/// An error or a notice: severity, SQLSTATE, message, and what else is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{severity}: {message} ({code})")]
pub struct PgError {
    /// How bad it is. After [`Severity::Fatal`] the connection is closed.
    pub severity: Severity,
    /// The SQLSTATE: five letters or digits.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What else is known; seldom anything.
    pub fields: Option<Box<Fields>>,
}

/// What may be known of an error beside its message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fields {
    /// More about what is wrong.
    pub detail: Option<String>,
    /// What would be right.
    pub hint: Option<String>,
    /// Where in the statement: characters from 1.
    pub position: Option<u32>,
    /// Where it happened: a line for each level.
    pub context: Option<String>,
    /// The schema of what is concerned.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The type.
    pub data_type: Option<String>,
    /// The constraint, or the index.
    pub constraint: Option<String>,
}

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The request failed.
    Error,
    /// The session is over.
    Fatal,
    /// A notice: probably a mistake.
    Warning,
    /// A notice.
    Notice,
    /// A notice that was asked for.
    Info,
    /// A notice for those who look for an error.
    Debug,
}

impl Severity {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Info => "INFO",
            Severity::Debug => "DEBUG",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes a method that sets a text among the fields.
macro_rules! with_text {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: impl Into<String>) -> PgError {
            self.fields_mut().$name = Some($name.into());
            self
        })*
    };
}

impl PgError {
    /// An error of a request.
    pub fn new(code: &'static str, message: impl Into<String>) -> PgError {
        PgError {
            severity: Severity::Error,
            code,
            message: message.into(),
            fields: None,
        }
    }

    /// An error that ends the session.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> PgError {
        PgError::new(code, message).with_severity(Severity::Fatal)
    }

    /// The same with another severity: a notice, say.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> PgError {
        self.severity = severity;
        self
    }

    with_text! {
        /// With more about what is wrong.
        detail,
        /// With what would be right.
        hint,
        /// With where it happened.
        context,
        /// With the schema of what is concerned.
        schema,
        /// With the table.
        table,
        /// With the column.
        column,
        /// With the type.
        data_type,
        /// With the constraint, or the index.
        constraint,
    }

    /// With the place in the statement: characters from 1.
    #[must_use]
    pub fn position(mut self, position: u32) -> PgError {
        self.fields_mut().position = Some(position);
        self
    }

    /// The fields beside the message, made when there are none.
    pub fn fields_mut(&mut self) -> &mut Fields {
        self.fields.get_or_insert_default()
    }

    /// The client cannot be written to or read from any more.
    pub fn connection_lost() -> PgError {
        PgError::fatal("08006", "the connection to the client was lost")
    }

    /// A message of the client that is none.
    pub fn protocol(message: impl Into<String>) -> PgError {
        PgError::fatal("08P01", message)
    }
}
