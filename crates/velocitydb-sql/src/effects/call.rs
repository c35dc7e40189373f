//! Functions that are about the session, or do something to it.

use std::fmt;
use std::sync::Arc;

use velocitydb::locks::Mode;
use velocitydb_query::{Arguments, Cell, QueryError, Scalar};
use velocitydb_types::{ScalarType, SqlType, Value};

use super::Effects;
use super::advisory::{Lock, Number, Scope};
use super::config::Set;
use crate::casts::CastContext;
use crate::catalog::calls::CatalogCall;
use crate::error::{SqlError, sqlstate};
use crate::settings;

/// One of the functions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Function {
    BackendPid,
    NewUuid,
    Random,
    Notify,
    QueueUsage,
    SetConfig,
    CurrentSetting,
    /// Of the system's tables.
    Catalog(&'static CatalogCall),
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
            name => match ADVISORY.iter().find(|(known, _)| *known == name) {
                Some(row) => Function::Advisory(row),
                None => Function::Catalog(CatalogCall::named(name)?),
            },
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
        ];
        let others = others.into_iter().map(Function::name);
        others.chain(of_locks).chain(CatalogCall::names())
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
            Function::Catalog(call) => call.name,
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
            Function::Catalog(call) => call.forms,
        };
        forms.iter().find(|form| form.len() == count).copied()
    }

    /// What it answers. What is `void` in PostgreSQL is an empty text.
    pub(crate) fn answer(self) -> SqlType {
        let scalar = match self {
            Function::Catalog(call) => return call.answer,
            Function::BackendPid => ScalarType::Int4,
            Function::NewUuid => ScalarType::Uuid,
            Function::Random => ScalarType::Float8,
            Function::Advisory((_, Ask::Lock { wait: false, .. } | Ask::Unlock(_))) => {
                ScalarType::Bool
            }
            Function::Notify
            | Function::SetConfig
            | Function::CurrentSetting
            | Function::Advisory(_) => ScalarType::Text,
            Function::QueueUsage => ScalarType::Float8,
        };
        scalar.into()
    }

    /// How its arguments become what it takes: numbers of objects are names as well.
    pub(crate) fn context(self) -> CastContext {
        match self {
            Function::Catalog(_) => CastContext::Assignment,
            _ => CastContext::Implicit,
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
            Function::Catalog(call) => {
                let given = arguments.iter().map(|given| Ok(given?.into_value()));
                let given = given.collect::<Result<Vec<_>, QueryError>>()?;
                call.run(effects, &given)?
            }
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
