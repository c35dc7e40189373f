//! Why a statement cannot be run, as PostgreSQL tells it.

use velocitydb::Refusal;
use velocitydb::locks::{LockError, Name};
use velocitydb_query::QueryError;
use velocitydb_types::{ErrorClass, MigrationError, SchemaError};

/// SQLSTATEs, by the names that PostgreSQL gives them.
pub mod sqlstate {
    macro_rules! states {
        ($($name:ident = $code:literal;)*) => {
            $(#[doc = concat!("`", $code, "`")] pub const $name: &str = $code;)*
        };
    }
    states! {
        SUCCESSFUL_COMPLETION = "00000";
        WARNING = "01000";
        FEATURE_NOT_SUPPORTED = "0A000";
        CARDINALITY_VIOLATION = "21000";
        STRING_DATA_RIGHT_TRUNCATION = "22001";
        NUMERIC_VALUE_OUT_OF_RANGE = "22003";
        INVALID_ROW_COUNT_IN_LIMIT = "2201W";
        INVALID_ROW_COUNT_IN_OFFSET = "2201X";
        NULL_VALUE_NOT_ALLOWED = "22004";
        INVALID_PARAMETER_VALUE = "22023";
        INVALID_TEXT_REPRESENTATION = "22P02";
        NOT_NULL_VIOLATION = "23502";
        FOREIGN_KEY_VIOLATION = "23503";
        UNIQUE_VIOLATION = "23505";
        CHECK_VIOLATION = "23514";
        ACTIVE_SQL_TRANSACTION = "25001";
        NO_ACTIVE_SQL_TRANSACTION = "25P01";
        IN_FAILED_SQL_TRANSACTION = "25P02";
        READ_ONLY_SQL_TRANSACTION = "25006";
        INVALID_SQL_STATEMENT_NAME = "26000";
        INVALID_CURSOR_NAME = "34000";
        DUPLICATE_CURSOR = "42P03";
        INVALID_SAVEPOINT = "3B001";
        SERIALIZATION_FAILURE = "40001";
        SYNTAX_ERROR = "42601";
        DATATYPE_MISMATCH = "42804";
        SEQUENCE_GENERATOR_LIMIT_EXCEEDED = "2200H";
        DEPENDENT_OBJECTS_STILL_EXIST = "2BP01";
        OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
        GENERATED_ALWAYS = "428C9";
        WRONG_OBJECT_TYPE = "42809";
        DUPLICATE_OBJECT = "42710";
        UNDEFINED_SCHEMA = "3F000";
        DUPLICATE_SCHEMA = "42P06";
        INVALID_FOREIGN_KEY = "42830";
        UNDEFINED_COLUMN = "42703";
        UNDEFINED_TABLE = "42P01";
        UNDEFINED_DATABASE = "3D000";
        DUPLICATE_DATABASE = "42P04";
        OBJECT_IN_USE = "55006";
        UNDEFINED_PARAMETER = "42P02";
        UNDEFINED_FUNCTION = "42883";
        UNDEFINED_OBJECT = "42704";
        DUPLICATE_COLUMN = "42701";
        DUPLICATE_TABLE = "42P07";
        DUPLICATE_ALIAS = "42712";
        WINDOWING_ERROR = "42P20";
        DUPLICATE_PREPARED_STATEMENT = "42P05";
        INDETERMINATE_DATATYPE = "42P18";
        GROUPING_ERROR = "42803";
        AMBIGUOUS_COLUMN = "42702";
        INVALID_COLUMN_REFERENCE = "42P10";
        INVALID_TABLE_DEFINITION = "42P16";
        INVALID_OBJECT_DEFINITION = "42P17";
        INVALID_NAME = "42602";
        PROGRAM_LIMIT_EXCEEDED = "54000";
        STATEMENT_TOO_COMPLEX = "54001";
        TOO_MANY_COLUMNS = "54011";
        CANT_CHANGE_RUNTIME_PARAM = "55P02";
        LOCK_NOT_AVAILABLE = "55P03";
        QUERY_CANCELED = "57014";
        OUT_OF_MEMORY = "53200";
        DISK_FULL = "53100";
        CONFIGURATION_LIMIT_EXCEEDED = "53400";
        IO_ERROR = "58030";
        INTERNAL_ERROR = "XX000";
    }
}

/// An error with what PostgreSQL's clients look at.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// What clients decide by: five characters of the standard or PostgreSQL's own.
    pub sqlstate: &'static str,
    /// What is wrong.
    pub message: Box<str>,
    /// More of it.
    pub detail: Option<Box<str>>,
    /// What would be right.
    pub hint: Option<Box<str>>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
    /// The table that it is about.
    pub table: Option<Box<str>>,
    /// The constraint that was violated.
    pub constraint: Option<Box<str>>,
    /// Where else, which is seldom known.
    pub place: Option<Box<Place>>,
}

/// Where an error happened, but in the statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The column that it is about.
    pub column: Option<Box<str>>,
    /// Where in the data: `COPY t, line 3`.
    pub context: Option<Box<str>>,
}

impl SqlError {
    /// An error of this SQLSTATE.
    pub fn new(sqlstate: &'static str, message: impl Into<Box<str>>) -> SqlError {
        SqlError {
            sqlstate,
            message: message.into(),
            ..SqlError::default()
        }
    }

    /// That something which PostgreSQL has is not there.
    pub fn unsupported(what: impl std::fmt::Display) -> SqlError {
        let message = format!("{what} is not supported");
        SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
    }

    /// That a transaction which may only read cannot do something.
    pub(crate) fn only_reads(what: &str) -> SqlError {
        let message = format!("cannot execute {what} in a read-only transaction");
        SqlError::new(sqlstate::READ_ONLY_SQL_TRANSACTION, message)
    }

    /// That a constraint lets values stand once, and they stand already.
    pub(crate) fn taken(constraint: &str) -> SqlError {
        let message = format!("duplicate key value violates unique constraint {constraint:?}");
        SqlError {
            constraint: Some(constraint.into()),
            ..SqlError::new(sqlstate::UNIQUE_VIOLATION, message)
        }
    }

    /// With more about it.
    #[must_use]
    pub fn detail(self, detail: impl Into<Box<str>>) -> SqlError {
        SqlError {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// With what would be right.
    #[must_use]
    pub fn hint(self, hint: impl Into<Box<str>>) -> SqlError {
        SqlError {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// With where it happened, unless that is known.
    #[must_use]
    pub fn context(mut self, context: impl Into<Box<str>>) -> SqlError {
        let place = self.place.get_or_insert_default();
        place.context.get_or_insert_with(|| context.into());
        self
    }

    /// With the column that it is about.
    #[must_use]
    pub fn column(mut self, column: impl Into<Box<str>>) -> SqlError {
        self.place.get_or_insert_default().column = Some(column.into());
        self
    }

    /// At this place of the statement, unless it has one.
    #[must_use]
    pub fn at(self, position: Option<u32>) -> SqlError {
        SqlError {
            position: self.position.or(position),
            ..self
        }
    }

    /// Whether it names something that is not there.
    pub fn is_missing(&self) -> bool {
        let missing = [
            sqlstate::UNDEFINED_TABLE,
            sqlstate::UNDEFINED_COLUMN,
            sqlstate::UNDEFINED_FUNCTION,
            sqlstate::UNDEFINED_OBJECT,
        ];
        missing.contains(&self.sqlstate)
    }

    /// Whether the statement may succeed when it is simply run again.
    pub fn is_retryable(&self) -> bool {
        self.sqlstate == sqlstate::SERIALIZATION_FAILURE
    }
}

impl From<QueryError> for SqlError {
    fn from(error: QueryError) -> SqlError {
        match error {
            QueryError::Scalar { sqlstate, message } => SqlError::new(sqlstate, message),
            // Others may end meanwhile, but that is the client's to wait for.
            error
                if error.class() == ErrorClass::Retry
                    || matches!(
                        error,
                        QueryError::TooManyRows { .. } | QueryError::TooManyBytes { .. }
                    ) =>
            {
                SqlError::new(sqlstate::OUT_OF_MEMORY, error.to_string())
            }
            QueryError::ExpressionTooDeep | QueryError::ExpressionTooLarge => {
                SqlError::new(sqlstate::STATEMENT_TOO_COMPLEX, error.to_string())
            }
            error => SqlError::new(error.class().sqlstate(), error.to_string()),
        }
    }
}

impl From<velocitydb::Error> for SqlError {
    fn from(error: velocitydb::Error) -> SqlError {
        use velocitydb::Error;
        let sqlstate = match &error {
            Error::Expression { sqlstate, .. } => sqlstate,
            Error::QueryTimeout | Error::DeadlineExceeded => sqlstate::QUERY_CANCELED,
            Error::MemoryLimit { .. } | Error::QueryMemory(_) => sqlstate::OUT_OF_MEMORY,
            // That of rows and bytes is not set for statements: it is that of a filter's size.
            Error::QueryLimit(_) => sqlstate::STATEMENT_TOO_COMPLEX,
            Error::DiskFull { .. } => sqlstate::DISK_FULL,
            Error::Io { .. } => sqlstate::IO_ERROR,
            Error::UnknownDatabase(name) => return missing_database(name),
            Error::DatabaseInUse { name, guests } => {
                let message = format!("database {name:?} is being accessed by other users");
                let sessions = if *guests == 1 { "session" } else { "sessions" };
                let detail = format!("There is {guests} other {sessions} using the database.");
                return SqlError::new(sqlstate::OBJECT_IN_USE, message).detail(detail);
            }
            Error::UnknownCollection(name) => {
                let message = format!("relation {name:?} does not exist");
                return SqlError::new(sqlstate::UNDEFINED_TABLE, message);
            }
            Error::Refused { refusal, .. } => return refused(refusal, &error),
            error => error.class().sqlstate(),
        };
        SqlError::new(sqlstate, error.to_string())
    }
}

impl From<LockError> for SqlError {
    fn from(error: LockError) -> SqlError {
        let message = match &error {
            LockError::NotAvailable { name, .. } => match name.name() {
                Name::Row { .. } => "could not obtain lock on row".to_owned(),
                _ => error.to_string(),
            },
            LockError::Deadlock(cycle) => {
                return SqlError::new(error.sqlstate(), "deadlock detected")
                    .detail(cycle.to_string())
                    .hint("Run the transaction again.");
            }
            LockError::Timeout { .. } => "canceling statement due to lock timeout".to_owned(),
            LockError::Interrupted { .. } => "canceling statement due to user request".to_owned(),
            error => error.to_string(),
        };
        SqlError::new(error.sqlstate(), message)
    }
}

/// That there is no database of this name.
pub(crate) fn missing_database(name: &str) -> SqlError {
    let message = format!("database {name:?} does not exist");
    SqlError::new(sqlstate::UNDEFINED_DATABASE, message)
}

/// That another was faster.
pub(crate) fn concurrent_update() -> SqlError {
    let message = "could not serialize access due to concurrent update";
    SqlError::new(sqlstate::SERIALIZATION_FAILURE, message)
}

fn refused(refusal: &Refusal, error: &velocitydb::Error) -> SqlError {
    let sqlstate = match refusal {
        Refusal::Conflict | Refusal::DefinitionChanged => {
            return concurrent_update();
        }
        Refusal::Unique { index, .. } => return SqlError::taken(index),
        Refusal::IndexValue(value) => return crate::violations::no_value(&value.error),
        Refusal::AlreadyExists(_) | Refusal::Duplicate { .. } => sqlstate::UNIQUE_VIOLATION,
        Refusal::Reference(_) => sqlstate::FOREIGN_KEY_VIOLATION,
        Refusal::CollectionExists(name) => {
            let message = format!("relation {name:?} already exists");
            return SqlError::new(sqlstate::DUPLICATE_TABLE, message);
        }
        Refusal::DatabaseExists(name) => {
            let message = format!("database {name:?} already exists");
            return SqlError::new(sqlstate::DUPLICATE_DATABASE, message);
        }
        Refusal::IndexExists(name) => {
            let message = format!("relation {name:?} already exists");
            return SqlError::new(sqlstate::DUPLICATE_TABLE, message);
        }
        Refusal::UnknownIndex(name) => {
            let message = format!("index {name:?} does not exist");
            return SqlError::new(sqlstate::UNDEFINED_OBJECT, message);
        }
        // What others have written meanwhile does not fit what a block has defined.
        Refusal::Migration { error, .. } => match &**error {
            MigrationError::Misfit(SchemaError::Required { .. }) => sqlstate::NOT_NULL_VIOLATION,
            MigrationError::Misfit(SchemaError::Check { .. }) => sqlstate::CHECK_VIOLATION,
            _ => sqlstate::INVALID_TEXT_REPRESENTATION,
        },
        _ => error.class().sqlstate(),
    };
    SqlError::new(sqlstate, error.to_string())
}
