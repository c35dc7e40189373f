//! Functions that are about the session, or do something to it.

use std::fmt;
use std::sync::Arc;

use velocitydb_query::{Arguments, Cell, QueryError, Scalar};
use velocitydb_types::{ScalarType, Value};

use super::Effects;
use crate::error::SqlError;

/// One of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    BackendPid,
    Notify,
    QueueUsage,
}

impl Function {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Function> {
        Some(match name {
            "pg_backend_pid" => Function::BackendPid,
            "pg_notify" => Function::Notify,
            "pg_notification_queue_usage" => Function::QueueUsage,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Function::BackendPid => "pg_backend_pid",
            Function::Notify => "pg_notify",
            Function::QueueUsage => "pg_notification_queue_usage",
        }
    }

    /// Types of so many arguments, if it can have so many.
    pub(crate) fn arguments(self, count: usize) -> Option<&'static [ScalarType]> {
        let forms: &[&[ScalarType]] = match self {
            Function::BackendPid | Function::QueueUsage => &[&[]],
            Function::Notify => &[&[ScalarType::Text, ScalarType::Text]],
        };
        forms.iter().find(|form| form.len() == count).copied()
    }

    /// What it answers. What is `void` in PostgreSQL is an empty text.
    pub(crate) fn answer(self) -> ScalarType {
        match self {
            Function::BackendPid => ScalarType::Int4,
            Function::Notify => ScalarType::Text,
            Function::QueueUsage => ScalarType::Float8,
        }
    }

    /// A call of it by a session.
    pub(crate) fn call(self, effects: &Arc<Effects>) -> Arc<dyn Scalar> {
        Arc::new(Call {
            function: self,
            effects: Arc::clone(effects),
        })
    }
}

struct Call {
    function: Function,
    effects: Arc<Effects>,
}

impl Call {
    fn run(&self, arguments: &Arguments<'_>) -> Result<Value, SqlError> {
        let effects = &self.effects;
        Ok(match self.function {
            Function::BackendPid => Value::Int(effects.process_id().into()),
            Function::QueueUsage => Value::Float(effects.database.notifications().usage()),
            Function::Notify => {
                // Null is nothing, as in PostgreSQL.
                let text = |at| match arguments.get(at)?.into_value() {
                    Value::String(text) => Ok::<_, SqlError>(text),
                    _ => Ok(String::new()),
                };
                effects.notify(&text(0)?, &text(1)?)?;
                Value::from("")
            }
        })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}()", self.function.name())
    }
}

impl Scalar for Call {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
        match self.run(arguments) {
            Ok(value) => Ok(Cell::Owned(value)),
            Err(error) => Err(QueryError::Scalar {
                sqlstate: error.sqlstate,
                message: error.message.into(),
            }),
        }
    }
}
