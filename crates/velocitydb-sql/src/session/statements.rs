//! Prepared statements with names: those that the client's protocol has prepared and those of PREPARE,
//! in one name space, as in PostgreSQL. They are the session's and no part of its transactions.
//! Tests: tests/it/slt/prepare.slt; with the protocol's in the server's tests/it/pg.rs.

use std::sync::Arc;

use velocitydb_types::{SqlType, Value};

use super::{Kind, Prepared, Session, Status};
use crate::bind::{Aggregates, Parameters, sql_type};
use crate::bound::{Bound, Environment};
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::functions::type_name;
use crate::parse::{self, position};
use crate::statement::Preparing;

/// PREPARE: the statement is bound when it is run.
#[derive(Debug)]
pub(super) struct Prepare {
    name: String,
    /// Types of parameters, as far as they are said.
    types: Vec<Option<SqlType>>,
    text: Box<str>,
    /// Where the text begins in that of the whole, in characters from 1.
    begins: u32,
}

/// EXECUTE: a statement, and its parameters' values.
#[derive(Debug)]
pub(super) struct Execute {
    name: String,
    pub(super) statement: Arc<Prepared>,
    arguments: Vec<Bound>,
}

/// What an EXECUTE runs, with the values of its parameters.
pub(super) struct Executed {
    pub(super) statement: Arc<Prepared>,
    pub(super) values: Vec<Value>,
}

fn missing(name: &str) -> SqlError {
    let message = match name {
        "" => "unnamed prepared statement does not exist".to_owned(),
        name => format!("prepared statement {name:?} does not exist"),
    };
    SqlError::new(sqlstate::INVALID_SQL_STATEMENT_NAME, message)
}

impl Prepare {
    pub(super) fn new(prepare: &parse::Prepare, sql: &str) -> Result<Prepare, SqlError> {
        let types = prepare.types.iter().map(|named| {
            // A pseudo-type of PostgreSQL's: as if nothing was said.
            let unsaid = named.to_string().eq_ignore_ascii_case("unknown");
            (!unsaid).then(|| sql_type(named)).transpose()
        });
        let begins = position(sql, prepare.begins).unwrap_or(1);
        let end = prepare.ends.and_then(|place| position(sql, place));
        let before = begins.saturating_sub(1) as usize;
        let characters = sql.chars().skip(before);
        let text: String = match end {
            Some(end) => characters.take((end - begins) as usize).collect(),
            None => characters.collect(),
        };
        Ok(Prepare {
            name: prepare.name.clone(),
            types: types.collect::<Result<_, _>>()?,
            text: text.into(),
            begins,
        })
    }
}

impl Session {
    /// Prepares a statement and keeps it under a name; the one without a name is replaced.
    ///
    /// # Errors
    /// As [`Session::prepare`]; the name is taken; there are too many.
    pub fn prepare_as(
        &mut self,
        name: &str,
        sql: &str,
        types: &[Option<SqlType>],
    ) -> Result<(), SqlError> {
        if !name.is_empty() && self.statements.get(name).is_some() {
            let message = format!("prepared statement {name:?} already exists");
            let state = sqlstate::DUPLICATE_PREPARED_STATEMENT;
            return Err(SqlError::new(state, message));
        }
        if !name.is_empty() {
            let prepared = Arc::new(self.prepare(sql, types)?);
            return self.statements.insert(name, sql.len(), prepared);
        }
        let recent = self.recent.find(sql, types);
        let prepared = match recent.filter(|recent| self.is_current(recent)) {
            Some(recent) => {
                self.set_now();
                Arc::clone(recent)
            }
            None => {
                let asked = self.settings.now.asked();
                let prepared = Arc::new(self.prepare(sql, types)?);
                // Another time `'today'` may be another day.
                if self.settings.now.asked() == asked {
                    self.recent.keep(sql, types, &prepared);
                }
                prepared
            }
        };
        self.statements.insert(name, sql.len(), prepared)
    }

    /// The prepared statement of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn statement(&self, name: &str) -> Result<&Arc<Prepared>, SqlError> {
        self.statements.get(name).ok_or_else(|| missing(name))
    }

    /// Forgets a prepared statement, and answers it.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn deallocate(&mut self, name: &str) -> Result<Arc<Prepared>, SqlError> {
        self.statements.remove(name).ok_or_else(|| missing(name))
    }

    /// Runs PREPARE.
    pub(super) fn prepare_named(&mut self, prepare: &Prepare) -> Result<(), SqlError> {
        let prepared = self.prepare_as(&prepare.name, &prepare.text, &prepare.types);
        prepared.map_err(|error| SqlError {
            position: error.position.map(|at| at + prepare.begins - 1),
            ..error
        })
    }

    /// Binds EXECUTE.
    pub(super) fn execute(
        &self,
        execute: &parse::Execute,
        preparing: &mut Preparing<'_>,
    ) -> Result<Execute, SqlError> {
        let statement = Arc::clone(self.statement(&execute.name)?);
        let kind = Arc::clone(&statement.plan.lock().kind);
        if let Kind::CopyFrom(_) | Kind::CopyTo(_) | Kind::Execute(_) = *kind {
            return Err(SqlError::unsupported("EXECUTE of COPY and of EXECUTE"));
        }
        let (types, given) = (statement.parameters(), &execute.arguments);
        if types.len() != given.len() {
            let (name, expected, got) = (&execute.name, types.len(), given.len());
            let message = format!("wrong number of parameters for prepared statement {name:?}");
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message)
                .detail(format!("Expected {expected} parameters but got {got}.")));
        }
        // It has none itself, whatever the client declares.
        let mut parameters = Parameters::default();
        let mut binder = preparing.binder(&[]);
        binder.parameters = &mut parameters;
        binder.aggregates = Aggregates::Refused("EXECUTE parameters");
        binder.queries.definitions = None;
        let mut arguments = Vec::with_capacity(given.len());
        for (nth, (expr, sql)) in given.iter().zip(types).enumerate() {
            let typed = binder.bind(expr)?;
            let from = typed.sql;
            let bound = binder.cast(typed, *sql, CastContext::Assignment);
            arguments.push(bound.map_err(|error| match from {
                Some(from) if error.sqlstate == sqlstate::DATATYPE_MISMATCH => {
                    let message = format!(
                        "parameter ${} of type {} cannot be coerced to the expected type {}",
                        nth + 1,
                        type_name(Some(from)),
                        type_name(Some(*sql)),
                    );
                    SqlError {
                        message: message.into(),
                        ..error
                    }
                }
                _ => error,
            })?);
        }
        if !parameters.types().is_empty() {
            let message = "there is no parameter $1";
            return Err(SqlError::new(sqlstate::UNDEFINED_PARAMETER, message));
        }
        Ok(Execute {
            name: execute.name.clone(),
            arguments,
            statement,
        })
    }

    /// Whether its statement is still the one of that name.
    pub(super) fn is_named(&self, execute: &Execute) -> bool {
        let named = self.statements.get(&execute.name);
        named.is_some_and(|named| Arc::ptr_eq(named, &execute.statement))
    }

    /// What an EXECUTE runs; `None` of another statement, and in a transaction block that has failed.
    pub(super) fn executed(&mut self, prepared: &Prepared) -> Result<Option<Executed>, SqlError> {
        if !prepared.executes || self.status() == Status::Failed {
            return Ok(None);
        }
        let kind = self.bound(prepared)?;
        let Kind::Execute(execute) = &*kind else {
            return Ok(None);
        };
        let now = self.database.now();
        let environment = Environment {
            parameters: &[],
            transaction: self.block.as_ref().map_or(now, |block| block.began),
            statement: now,
            queries: &[],
        };
        self.settings.now.set(environment.transaction);
        let values = execute.arguments.iter();
        let values = values.map(|argument| argument.value(&environment));
        let values = values.collect::<Result<_, SqlError>>();
        self.set_by_calls(values.is_ok())?;
        Ok(Some(Executed {
            statement: Arc::clone(&execute.statement),
            values: values?,
        }))
    }
}
