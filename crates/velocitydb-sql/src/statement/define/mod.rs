//! Definitions: tables, indexes, sequences, schemas, and what is done to them as a whole.
//!
//! A definition is looked at when it is run, not when it is prepared: names, types and constraints
//! are those of that moment. Outside of transaction blocks one definition is made after the other
//! ([`velocitydb::Database::define_alone`]), so that a name that was free is free still; in a block it is
//! made in its transaction ([`crate::definitions`]). Everything that a statement says is done, told by a
//! notice, or refused.
//!
//! Files: `table` (CREATE TABLE), `column` and `constraint` (what is said there and in ALTER TABLE),
//! `condition` (CHECK and WHERE), `database`, `default`, `alter`, `comment`, `index`, `sequence`, `drop` (DROP, TRUNCATE,
//! schemas), `rename`, `names`. Tests: tests/it/slt.

mod alter;
mod column;
mod comment;
mod condition;
mod constraint;
mod database;
mod default;
mod drop;
mod hypertable;
mod index;
mod names;
mod rename;
mod sequence;
mod table;

use std::sync::Arc;

use sqlparser::ast::{CommentObject, ObjectType, Statement as Tree};
use velocitydb::{Error, Refusal};

use super::Preparing;
use crate::error::{SqlError, sqlstate};
use crate::parse::{Form, Own, Parsed, ReindexKind};

pub(crate) use default::{identity, sequences_of};
pub(crate) use drop::empty;
use hypertable::is_hypertable;

/// A statement that defines something. See the module.
#[derive(Debug, Clone)]
pub(crate) struct Define {
    statement: Form,
    tag: &'static str,
    /// The whole text, for places in it.
    sql: Arc<str>,
}

/// What is there already, or is not there, where the statement says that this is no error.
fn skipped(error: SqlError) -> SqlError {
    SqlError {
        message: format!("{}, skipping", error.message).into(),
        ..error
    }
}

/// What is worth knowing.
fn notice(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::SUCCESSFUL_COMPLETION, message)
}

fn invalid(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::INVALID_TABLE_DEFINITION, message)
}

impl Define {
    /// Of a statement; `None` of another.
    pub(crate) fn new(statement: &Parsed, sql: &str) -> Option<Define> {
        let tag = match &statement.form {
            Form::Own(own) => match **own {
                Own::CreateSequence { .. } => "CREATE SEQUENCE",
                Own::AlterSequence { .. } | Own::RenameSequence { .. } => "ALTER SEQUENCE",
                Own::Reindex { .. } => "REINDEX",
                Own::CreateDatabase { .. } => "CREATE DATABASE",
                Own::RenameDatabase { .. } => "ALTER DATABASE",
                Own::DropDatabase { .. } => "DROP DATABASE",
                Own::Tend { vacuum: true, .. } => "VACUUM",
                Own::Tend { .. } => "ANALYZE",
                Own::Session(_) | Own::Copy(_) => return None,
            },
            Form::Tree(tree) => match &**tree {
                Tree::CreateTable(_) => "CREATE TABLE",
                Tree::CreateIndex(_) => "CREATE INDEX",
                Tree::CreateSchema { .. } => "CREATE SCHEMA",
                Tree::AlterTable(_) => "ALTER TABLE",
                Tree::AlterIndex { .. } => "ALTER INDEX",
                Tree::Comment { .. } => "COMMENT",
                Tree::Truncate(_) => "TRUNCATE TABLE",
                Tree::Drop { object_type, .. } => match object_type {
                    ObjectType::Table => "DROP TABLE",
                    ObjectType::Index => "DROP INDEX",
                    ObjectType::Sequence => "DROP SEQUENCE",
                    ObjectType::Schema => "DROP SCHEMA",
                    _ => return None,
                },
                Tree::Query(query) if is_hypertable(query) => "SELECT 0",
                _ => return None,
            },
        };
        Some(Define {
            statement: statement.form.clone(),
            tag,
            sql: sql.into(),
        })
    }

    /// The text that it stands in.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// What the command is called in its tag.
    pub(crate) fn tag(&self) -> &'static str {
        self.tag
    }

    /// Does it; the answer is what is worth knowing.
    ///
    /// # Errors
    /// What is there already, or is not there; rows that do not fit; what is not supported.
    pub(crate) fn run(&self, preparing: &mut Preparing<'_>) -> Result<Vec<SqlError>, SqlError> {
        let definitions = preparing.definitions;
        // Those whom DROP DATABASE sends away may wait for their turn to define something.
        let drops =
            matches!(&self.statement, Form::Own(own) if matches!(**own, Own::DropDatabase { .. }));
        let is_alone = !drops && !definitions.is_open();
        let _alone = is_alone.then(|| definitions.database().define_alone());
        match &self.statement {
            Form::Tree(tree) => preparing.define(tree),
            Form::Own(own) => preparing.define_own(own),
        }
    }

    /// Why not in a transaction block, of what cannot be rolled back.
    pub(crate) fn outside(&self) -> Option<SqlError> {
        let not_here = |what: &str| {
            let message = format!("{what} cannot run inside a transaction block");
            Some(SqlError::new(sqlstate::ACTIVE_SQL_TRANSACTION, message))
        };
        let made_at_once = |what: &str| {
            let error = SqlError::unsupported(format!("{what} in a transaction block"));
            let detail = "It is done at once, and could not be rolled back.";
            Some(
                error
                    .detail(detail)
                    .hint("Run it outside of BEGIN and COMMIT."),
            )
        };
        match &self.statement {
            Form::Tree(tree) => match &**tree {
                Tree::CreateIndex(create) if create.concurrently => {
                    not_here("CREATE INDEX CONCURRENTLY")
                }
                Tree::Comment {
                    object_type: CommentObject::Database,
                    ..
                } => made_at_once("COMMENT ON DATABASE"),
                _ => None,
            },
            Form::Own(own) => match **own {
                Own::Tend { vacuum: true, .. } => not_here("VACUUM"),
                Own::CreateDatabase { .. } | Own::DropDatabase { .. } => not_here(self.tag),
                Own::RenameDatabase { .. } => made_at_once(self.tag),
                Own::Reindex {
                    kind: ReindexKind::All,
                    ..
                } => not_here("REINDEX DATABASE"),
                _ => None,
            },
        }
    }
}

impl Preparing<'_> {
    fn define(&mut self, tree: &Tree) -> Result<Vec<SqlError>, SqlError> {
        match tree {
            Tree::CreateTable(create) => self.create_table(create),
            Tree::CreateIndex(create) => self.create_index(create),
            Tree::AlterTable(alter) => self.alter_table(alter),
            Tree::AlterIndex { name, operation } => self.alter_index(name, operation),
            Tree::CreateSchema { .. } => drop::create_schema(tree),
            Tree::Truncate(truncate) => self.truncate(truncate),
            Tree::Drop { .. } => self.drop_objects(tree),
            Tree::Comment { .. } => self.comment(tree),
            Tree::Query(query) => self.hypertable(query),
            other => Err(SqlError::unsupported(format!("{other}"))),
        }
    }

    fn define_own(&mut self, own: &Own) -> Result<Vec<SqlError>, SqlError> {
        match own {
            Own::CreateSequence {
                name,
                if_not_exists,
                options,
                temporary,
            } => self.create_sequence(name, *temporary, *if_not_exists, options),
            Own::RenameSequence {
                name,
                if_exists,
                new_name,
            } => self.rename_sequence(name, *if_exists, new_name),
            Own::AlterSequence {
                name,
                if_exists,
                options,
            } => self.alter_sequence(name, *if_exists, options),
            Own::Reindex { kind, name } => self.reindex(*kind, name.as_ref()),
            Own::CreateDatabase { name, options } => self.create_database(name, options),
            Own::RenameDatabase { name, new_name } => self.rename_database(name, new_name),
            Own::DropDatabase {
                name,
                if_exists,
                force,
            } => self.drop_database(name, *if_exists, *force),
            Own::Session(_) => unreachable!("no definition"),
            // Memory is given back, and figures are kept, without being asked.
            Own::Tend { vacuum: _, tables } => {
                tables
                    .iter()
                    .try_for_each(|table| self.table(table).map(drop))?;
                Ok(Vec::new())
            }
            Own::Copy(_) => unreachable!("it defines nothing"),
        }
    }
}

/// The error of a definition that the engine refuses.
fn refused(error: Error, table: &str) -> SqlError {
    let Error::Refused { refusal, .. } = &error else {
        return error.into();
    };
    let state = match refusal {
        Refusal::Migration { error, .. } => match &**error {
            velocitydb_types::MigrationError::Misfit(misfit) => {
                return misfits(misfit, table).unwrap_or_else(|| of_row(&error.to_string()));
            }
            _ => return of_row(&error.to_string()),
        },
        Refusal::BadDefinition(_) => sqlstate::INVALID_TABLE_DEFINITION,
        _ => return error.into(),
    };
    SqlError::new(state, error.to_string())
}

fn of_row(message: &str) -> SqlError {
    SqlError::new(
        sqlstate::INVALID_TEXT_REPRESENTATION,
        format!("a row does not fit: {message}"),
    )
}

/// Rows that do not fit, as PostgreSQL tells it.
fn misfits(error: &velocitydb_types::SchemaError, table: &str) -> Option<SqlError> {
    use velocitydb_types::SchemaError;
    let (state, message) = match error {
        SchemaError::Required { field, .. } => (
            sqlstate::NOT_NULL_VIOLATION,
            format!("column {field:?} of relation {table:?} contains null values"),
        ),
        SchemaError::Check { check, .. } => (
            sqlstate::CHECK_VIOLATION,
            format!("check constraint {check:?} of relation {table:?} is violated by some row"),
        ),
        _ => return None,
    };
    Some(SqlError::new(state, message))
}
