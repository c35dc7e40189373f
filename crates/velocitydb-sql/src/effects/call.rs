//! Functions that are about the session, or do something to it.

use std::fmt;
use std::sync::Arc;

use velocitydb::locks::Mode;
use velocitydb_query::{Arguments, Cell, QueryError, Scalar};
use velocitydb_types::{ScalarType, Value};

use super::Effects;
use super::advisory::{Lock, Number, Scope};
use super::config::Set;
use crate::error::{SqlError, sqlstate};
use crate::settings;

/// One of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    BackendPid,
    NewUuid,
    Random,
    Notify,
    QueueUsage,
    SetConfig,
    CurrentSetting,
    /// `obj_description`
    Description,
    /// `col_description`
    ColumnDescription,
    /// `shobj_description`
    SharedDescription,
    Advisory(&'static (&'static str, Ask)),
}

/// What a function does to advisory locks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Lock {
        scope: Scope,
        mode: Mode,
        wait: bool,
    },
    Unlock(Mode),
    UnlockAll,
}

const fn ask(scope: Scope, mode: Mode, wait: bool) -> Ask {
    Ask::Lock { scope, mode, wait }
}

const EXCLUSIVE: Mode = Mode::EXCLUSIVE;
const SHARED: Mode = Mode::SHARED;

#[rustfmt::skip]
static ADVISORY: [(&str, Ask); 11] = [
    ("pg_advisory_lock", ask(Scope::Session, EXCLUSIVE, true)),
    ("pg_advisory_lock_shared", ask(Scope::Session, SHARED, true)),
    ("pg_advisory_xact_lock", ask(Scope::Transaction, EXCLUSIVE, true)),
    ("pg_advisory_xact_lock_shared", ask(Scope::Transaction, SHARED, true)),
    ("pg_try_advisory_lock", ask(Scope::Session, EXCLUSIVE, false)),
    ("pg_try_advisory_lock_shared", ask(Scope::Session, SHARED, false)),
    ("pg_try_advisory_xact_lock", ask(Scope::Transaction, EXCLUSIVE, false)),
    ("pg_try_advisory_xact_lock_shared", ask(Scope::Transaction, SHARED, false)),
    ("pg_advisory_unlock", Ask::Unlock(EXCLUSIVE)),
    ("pg_advisory_unlock_shared", Ask::Unlock(SHARED)),
    ("pg_advisory_unlock_all", Ask::UnlockAll),
];

impl Function {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Function> {
        Some(match name {
            "pg_backend_pid" => Function::BackendPid,
            "gen_random_uuid" => Function::NewUuid,
            "random" => Function::Random,
            "pg_notify" => Function::Notify,
            "pg_notification_queue_usage" => Function::QueueUsage,
            "set_config" => Function::SetConfig,
            "current_setting" => Function::CurrentSetting,
            "obj_description" => Function::Description,
            "col_description" => Function::ColumnDescription,
            "shobj_description" => Function::SharedDescription,
            name => {
                let row = ADVISORY.iter().find(|(known, _)| *known == name)?;
                Function::Advisory(row)
            }
        })
    }

    /// The names of all.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let of_locks = ADVISORY.iter().map(|(name, _)| *name);
        let others = [
            Function::BackendPid,
            Function::NewUuid,
            Function::Random,
            Function::Notify,
            Function::QueueUsage,
            Function::SetConfig,
            Function::CurrentSetting,
            Function::Description,
            Function::ColumnDescription,
            Function::SharedDescription,
        ];
        others.into_iter().map(Function::name).chain(of_locks)
    }

    fn name(self) -> &'static str {
        match self {
            Function::BackendPid => "pg_backend_pid",
            Function::NewUuid => "gen_random_uuid",
            Function::Random => "random",
            Function::Notify => "pg_notify",
            Function::QueueUsage => "pg_notification_queue_usage",
            Function::SetConfig => "set_config",
            Function::CurrentSetting => "current_setting",
            Function::Description => "obj_description",
            Function::ColumnDescription => "col_description",
            Function::SharedDescription => "shobj_description",
            Function::Advisory((name, _)) => name,
        }
    }

    /// Types of so many arguments, if it can have so many.
    pub(crate) fn arguments(self, count: usize) -> Option<&'static [ScalarType]> {
        let forms: &[&[ScalarType]] = match self {
            Function::BackendPid
            | Function::NewUuid
            | Function::Random
            | Function::QueueUsage
            | Function::Advisory((_, Ask::UnlockAll)) => &[&[]],
            Function::Advisory(_) => &[&[ScalarType::Int8], &[ScalarType::Int4, ScalarType::Int4]],
            Function::Notify => &[&[ScalarType::Text, ScalarType::Text]],
            Function::SetConfig => &[&[ScalarType::Text, ScalarType::Text, ScalarType::Bool]],
            Function::CurrentSetting => {
                &[&[ScalarType::Text], &[ScalarType::Text, ScalarType::Bool]]
            }
            Function::Description => &[&[ScalarType::Text], &[ScalarType::Text, ScalarType::Text]],
            Function::ColumnDescription => &[&[ScalarType::Text, ScalarType::Int4]],
            Function::SharedDescription => &[&[ScalarType::Int8, ScalarType::Text]],
        };
        forms.iter().find(|form| form.len() == count).copied()
    }

    /// What it answers. What is `void` in PostgreSQL is an empty text.
    pub(crate) fn answer(self) -> ScalarType {
        match self {
            Function::BackendPid => ScalarType::Int4,
            Function::NewUuid => ScalarType::Uuid,
            Function::Random => ScalarType::Float8,
            Function::Advisory((_, Ask::Lock { wait: false, .. } | Ask::Unlock(_))) => {
                ScalarType::Bool
            }
            Function::Notify
            | Function::SetConfig
            | Function::CurrentSetting
            | Function::Description
            | Function::ColumnDescription
            | Function::SharedDescription
            | Function::Advisory(_) => ScalarType::Text,
            Function::QueueUsage => ScalarType::Float8,
        }
    }

    /// Whether its first argument is a relation, which is known by its name.
    pub(crate) fn is_of_relation(self) -> bool {
        matches!(self, Function::Description | Function::ColumnDescription)
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
            Function::NewUuid => Value::Uuid(effects.database.new_uuid()),
            // As many bits as a float has.
            Function::Random => {
                Value::Float((effects.database.random() >> 11) as f64 / (1_u64 << 53) as f64)
            }
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
            Function::SetConfig => {
                let Value::String(name) = arguments.get(0)?.into_value() else {
                    let message = "SET requires parameter name";
                    return Err(SqlError::new(sqlstate::NULL_VALUE_NOT_ALLOWED, message));
                };
                let value = match arguments.get(1)?.into_value() {
                    Value::String(value) => Some(value),
                    _ => None,
                };
                let local = arguments.get(2)?.into_value() == Value::Bool(true);
                effects.set_config(Set { name, value, local })?.into()
            }
            Function::CurrentSetting => {
                let given = arguments.iter().map(|given| Ok(given?.into_value()));
                let given = given.collect::<Result<Vec<_>, QueryError>>()?;
                match &given[..] {
                    [Value::String(name)] | [Value::String(name), Value::Bool(false)] => effects
                        .setting(name)
                        .ok_or_else(|| settings::unknown(name))?
                        .into(),
                    [Value::String(name), Value::Bool(true)] => {
                        effects.setting(name).map_or(Value::Null, Value::from)
                    }
                    // Null is nothing, as in PostgreSQL.
                    _ => Value::Null,
                }
            }
            Function::Description => effects.object_description(arguments)?,
            Function::ColumnDescription => effects.column_description(arguments)?,
            Function::SharedDescription => effects.shared_description(arguments)?,
            Function::Advisory((_, ask)) => {
                let given = arguments.iter().map(|given| Ok(given?.into_value()));
                let given = given.collect::<Result<Vec<_>, QueryError>>()?;
                let number = match given[..] {
                    [Value::Int(number)] => Some(Number::One(number)),
                    // They were made 4 bytes long when they were bound.
                    [Value::Int(first), Value::Int(second)] => {
                        Some(Number::Pair(first as i32, second as i32))
                    }
                    _ => None,
                };
                match (ask, number) {
                    (Ask::UnlockAll, _) => {
                        effects.unlock_all();
                        Value::from("")
                    }
                    (_, None) => Value::Null,
                    (&Ask::Lock { scope, mode, wait }, Some(number)) => {
                        let lock = Lock {
                            number,
                            mode,
                            scope,
                        };
                        match (effects.lock(lock, wait)?, wait) {
                            (_, true) => Value::from(""),
                            (locked, false) => Value::Bool(locked),
                        }
                    }
                    (&Ask::Unlock(mode), Some(number)) => Value::Bool(effects.unlock(Lock {
                        number,
                        mode,
                        scope: Scope::Session,
                    })),
                }
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
