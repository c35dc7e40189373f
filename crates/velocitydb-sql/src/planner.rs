//! The one place for statements that the engine does not run natively.
//!
//! A session that has a [`Planner`] offers it every statement that would be refused as not
//! supported: joins, unions, windows, WITH, sub-selects that depend on rows. What it answers is run
//! in the session's transactions as any other statement. Without one, or when it declines too, the
//! statement is refused with the first reason.

use std::fmt;
use std::sync::Arc;

use sqlparser::ast::Statement;
use velocitydb::{Database, Transaction};
use velocitydb_types::{SqlType, Timestamp, Value};

use crate::error::SqlError;
use crate::formats::Settings;
use crate::session::Answer;
use crate::statement::rows::Column;

/// A statement that is not native, and what there is to know of it.
#[derive(Clone, Copy)]
pub struct NotNative<'n> {
    /// Where its tables are.
    pub database: &'n Database,
    /// The whole text, for places in it.
    pub sql: &'n str,
    /// The statement.
    pub tree: &'n Statement,
    /// Types of parameters, as far as the client declares them.
    pub parameters: &'n [Option<SqlType>],
    /// How texts are shown and read.
    pub settings: &'n Arc<Settings>,
    /// Why it is not native.
    pub reason: &'n SqlError,
}

/// Plans statements that the engine does not run natively.
pub trait Planner: Send + Sync {
    /// The statement, ready to be run as often as wanted; `None`: it is not supported here either.
    ///
    /// # Errors
    /// Names that are not there, types that do not fit.
    fn plan(&self, statement: NotNative<'_>) -> Result<Option<Arc<dyn Planned>>, SqlError>;
}

/// What one run of a statement brings.
#[derive(Debug, Clone, Copy)]
pub struct Execution<'e> {
    /// Values of its parameters.
    pub parameters: &'e [Value],
    /// When the transaction began: `now()`.
    pub transaction: Timestamp,
    /// When the statement began.
    pub statement: Timestamp,
}

/// A statement that a [`Planner`] has planned.
pub trait Planned: fmt::Debug + Send + Sync {
    /// Types of its parameters.
    fn parameters(&self) -> &[SqlType];

    /// Columns of its answer; none when it answers no rows.
    fn columns(&self) -> &[Column];

    /// Whether it changes documents.
    fn writes(&self) -> bool {
        false
    }

    /// Runs it in a transaction. Run alone, it is run anew when another was faster.
    ///
    /// # Errors
    /// What it has no answer for.
    fn run(
        &self,
        transaction: &mut Transaction,
        execution: Execution<'_>,
    ) -> Result<Answer, SqlError>;
}
