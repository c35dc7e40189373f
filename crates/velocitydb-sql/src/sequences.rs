//! `nextval`, `currval`, `lastval` and `setval`: the functions of sequences, and what a session
//! remembers of the numbers that it got.
//!
//! A name that stands in the statement is looked up when it is bound, so that a mistake is told
//! then, and again at each call: another sequence may have the name by then. Tests: tests/it/slt.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use velocitydb::{Database, Sequence, SequenceError, SequencePosition};
use velocitydb_query::{Arguments, Cell, QueryError, Scalar};
use velocitydb_types::{ScalarType, Value, View};

use sqlparser::ast::ObjectName;

use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::parse::name_in;
use crate::statement::collection_name;

/// The sequences of a database, and what one session got of them.
pub(crate) struct Sequences {
    database: Database,
    used: Mutex<Used>,
    /// What the transaction that is open has made of sequences, by name; `None`: it has dropped it.
    own: Mutex<HashMap<String, Option<Arc<Sequence>>>>,
    /// The transaction may only read: none moves.
    only_reads: AtomicBool,
}

#[derive(Default)]
struct Used {
    /// By [`Sequence::number`].
    values: HashMap<u64, i64>,
    /// The one that `nextval` was called for last, and the name by which.
    last: Option<(Arc<Sequence>, String)>,
}

/// One of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Nextval,
    Currval,
    Lastval,
    Setval,
}

impl Function {
    pub(crate) const ALL: [Function; 4] = [
        Function::Nextval,
        Function::Currval,
        Function::Lastval,
        Function::Setval,
    ];

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Function> {
        Some(match name {
            "nextval" => Function::Nextval,
            "currval" => Function::Currval,
            "lastval" => Function::Lastval,
            "setval" => Function::Setval,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Function::Nextval => "nextval",
            Function::Currval => "currval",
            Function::Lastval => "lastval",
            Function::Setval => "setval",
        }
    }

    /// Types of its arguments: so many are needed, so many may be.
    pub(crate) fn arguments(self) -> (usize, &'static [ScalarType]) {
        const TYPES: &[ScalarType] = &[ScalarType::Text, ScalarType::Int8, ScalarType::Bool];
        match self {
            Function::Nextval | Function::Currval => (1, &TYPES[..1]),
            Function::Lastval => (0, &[]),
            Function::Setval => (2, TYPES),
        }
    }
}

/// The name of the sequence that a name means, or of the table in its place.
///
/// # Errors
/// There is neither.
pub(crate) fn relation_name(
    name: &ObjectName,
    settings: &Settings,
    relations: &impl Relations,
) -> Result<String, SqlError> {
    let found = settings.found(name, |name| {
        matches!(relations.sequence(name), Ok(Some(_))) || relations.has_collection(name)
    })?;
    found.map_or_else(|| Err(missing(&collection_name(name)?)), Ok)
}

fn undefined(message: String) -> SqlError {
    SqlError::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message)
}

/// Where sequences and tables are looked for.
pub(crate) trait Relations {
    /// Whether there is a collection of this name.
    fn has_collection(&self, name: &str) -> bool;

    /// The sequence of this name, if there is one.
    ///
    /// # Errors
    /// The database cannot read it.
    fn sequence(&self, name: &str) -> Result<Option<Arc<Sequence>>, SequenceError>;
}

impl Relations for Sequences {
    fn has_collection(&self, name: &str) -> bool {
        self.database.collection(name).is_ok()
    }

    fn sequence(&self, name: &str) -> Result<Option<Arc<Sequence>>, SequenceError> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        match own.get(name) {
            Some(own) => Ok(own.clone()),
            None => self.database.sequence(name),
        }
    }
}

impl Sequences {
    pub(crate) fn new(database: Database) -> Sequences {
        Sequences {
            database,
            used: Mutex::default(),
            own: Mutex::default(),
            only_reads: AtomicBool::new(false),
        }
    }

    /// What the transaction that is open has made of sequences.
    pub(crate) fn set_own(&self, own: Vec<(String, Option<Arc<Sequence>>)>) {
        let mut present = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        *present = own.into_iter().collect();
    }

    /// Whether statements from here on leave sequences where they are.
    pub(crate) fn only_read(&self, only_reads: bool) {
        self.only_reads.store(only_reads, Ordering::Relaxed);
    }

    fn check_moves(&self, function: Function) -> Result<(), SqlError> {
        match self.only_reads.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(SqlError::only_reads(&format!("{}()", function.name()))),
        }
    }

    /// A call of a function. Its first argument is the name, unless that is known already.
    ///
    /// # Errors
    /// There is no such sequence.
    pub(crate) fn call(
        self: &Arc<Sequences>,
        function: Function,
        name: Option<&str>,
        settings: &Arc<Settings>,
    ) -> Result<Arc<dyn Scalar>, SqlError> {
        let named = |name| relation_name(&name_in(name)?, settings, &**self);
        let name = name.map(named).transpose()?;
        if let Some(name) = &name {
            find(&**self, name)?;
        }
        Ok(Arc::new(Call {
            function,
            name,
            sequences: Arc::clone(self),
            settings: Arc::clone(settings),
        }))
    }

    fn run(&self, call: &Call, arguments: &Arguments<'_>) -> Result<Value, SqlError> {
        let given = match (&call.name, call.function) {
            (Some(name), _) => (name.clone(), 0),
            (None, Function::Lastval) => return self.lastval(),
            (None, _) => match arguments.get(0)?.view() {
                View::Str(text) => {
                    let text = String::from_utf8_lossy(text);
                    let name = name_in(&text)?;
                    (relation_name(&name, &call.settings, self)?, 1)
                }
                _ => return Ok(Value::Null),
            },
        };
        let (name, first) = given;
        match call.function {
            Function::Nextval => {
                self.check_moves(call.function)?;
                let sequence = find(self, &name)?;
                let value = sequence.next()?;
                let mut used = self.used();
                used.values.insert(sequence.number(), value);
                let is_last = |(last, by): &(Arc<Sequence>, String)| {
                    last.number() == sequence.number() && *by == name
                };
                if !used.last.as_ref().is_some_and(is_last) {
                    used.last = Some((sequence, name));
                }
                Ok(Value::Int(value))
            }
            Function::Currval | Function::Lastval => self.current(&name).and_then(|value| {
                let message = || {
                    let what = "is not yet defined in this session";
                    undefined(format!("currval of sequence {name:?} {what}"))
                };
                value.map(Value::Int).ok_or_else(message)
            }),
            Function::Setval => {
                let value = arguments.get(first)?.into_value();
                let called = match arguments.len() > first + 1 {
                    true => arguments.get(first + 1)?.into_value(),
                    false => Value::Bool(true),
                };
                let (Value::Int(last), Value::Bool(called)) = (value, called) else {
                    return Ok(Value::Null);
                };
                self.check_moves(call.function)?;
                let sequence = find(self, &name)?;
                let set = sequence.set(SequencePosition { last, called });
                set.map_err(|error| match error {
                    SequenceError::OutOfBounds {
                        name,
                        value,
                        minimum,
                        maximum,
                    } => SqlError::new(
                        sqlstate::NUMERIC_VALUE_OUT_OF_RANGE,
                        format!(
                            "setval: value {value} is out of bounds for sequence {name:?} \
                             ({minimum}..{maximum})"
                        ),
                    ),
                    error => error.into(),
                })?;
                if called {
                    self.used().values.insert(sequence.number(), last);
                }
                Ok(Value::Int(last))
            }
        }
    }

    /// Forgets what the session got.
    pub(crate) fn forget(&self) {
        *self.used() = Used::default();
    }

    fn lastval(&self) -> Result<Value, SqlError> {
        let last = self.used().last.clone();
        let value = match last {
            // It may have gone since, or be called otherwise.
            Some((sequence, name)) => {
                let number = sequence.number();
                let is_there = |name: &str| {
                    let found = Relations::sequence(self, name);
                    matches!(found, Ok(Some(found)) if found.number() == number)
                };
                let is_there = is_there(&name) || is_there(&sequence.definition().name);
                is_there
                    .then(|| self.used().values.get(&number).copied())
                    .flatten()
            }
            None => None,
        };
        let message = || undefined("lastval is not yet defined in this session".into());
        value.map(Value::Int).ok_or_else(message)
    }

    /// What the session got of a sequence last.
    fn current(&self, name: &str) -> Result<Option<i64>, SqlError> {
        let sequence = find(self, name)?;
        Ok(self.used().values.get(&sequence.number()).copied())
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Used> {
        // Whoever panicked while it was held has left it whole.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sequence of a name.
///
/// # Errors
/// There is none.
pub(crate) fn find(relations: &impl Relations, name: &str) -> Result<Arc<Sequence>, SqlError> {
    match relations.sequence(name)? {
        Some(sequence) => Ok(sequence),
        None if relations.has_collection(name) => {
            let message = format!("{name:?} is not a sequence");
            Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message))
        }
        None => Err(missing(name)),
    }
}

fn missing(name: &str) -> SqlError {
    let message = format!("relation {name:?} does not exist");
    SqlError::new(sqlstate::UNDEFINED_TABLE, message)
}

impl From<SequenceError> for SqlError {
    fn from(error: SequenceError) -> SqlError {
        match error {
            SequenceError::Unknown(name) => missing(&name),
            SequenceError::Exists(name) => {
                let message = format!("relation {name:?} already exists");
                SqlError::new(sqlstate::DUPLICATE_TABLE, message)
            }
            SequenceError::Exhausted { name, which, limit } => {
                let message =
                    format!("nextval: reached {which} value of sequence {name:?} ({limit})");
                SqlError::new(sqlstate::SEQUENCE_GENERATOR_LIMIT_EXCEEDED, message)
            }
            SequenceError::InUse(name) => {
                let what = "altering the numbers of a sequence in a transaction block";
                SqlError::unsupported(what).detail(format!("Others use sequence {name:?}."))
            }
            SequenceError::Database(error) => error.into(),
            error => SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, error.to_string()),
        }
    }
}

struct Call {
    function: Function,
    name: Option<String>,
    sequences: Arc<Sequences>,
    settings: Arc<Settings>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({:?})", self.function.name(), self.name)
    }
}

impl Scalar for Call {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn call<'a>(&self, arguments: &Arguments<'a>) -> Result<Cell<'a>, QueryError> {
        match self.sequences.run(self, arguments) {
            Ok(value) => Ok(Cell::Owned(value)),
            Err(error) => Err(QueryError::Scalar {
                sqlstate: error.sqlstate,
                message: error.message.into(),
            }),
        }
    }
}
