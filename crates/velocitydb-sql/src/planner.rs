//! The one place for queries that the engine does not run natively.
//!
//! A session that has a [`Planner`] offers it every query that would be refused as not supported:
//! joins, unions, windows, WITH, sub-selects that depend on rows. It is bound as a [`Query`] first, whose
//! relations no longer depend on each other's rows. What the planner answers is run in the session's
//! transactions as any other statement. Without one the query is refused.

use std::fmt;
use std::sync::Arc;

use sqlparser::ast;
use velocitydb::Transaction;
use velocitydb_types::SqlType;

use crate::bound::Environment;
use crate::error::SqlError;
use crate::relation::{Query, Relation};
use crate::statement::Preparing;
use crate::statement::rows::{Column, Rows};
use crate::table::Table;

/// Plans queries that the engine does not run natively.
pub trait Planner: Send + Sync {
    /// The query, ready to be run as often as wanted.
    ///
    /// # Errors
    /// What it has no way to run.
    fn plan(&self, query: Query) -> Result<Arc<dyn Plan>, SqlError>;
}

/// A query that a [`Planner`] has planned.
pub trait Plan: fmt::Debug + Send + Sync {
    /// Its rows, in a transaction.
    ///
    /// # Errors
    /// What an expression has no value for, and the bounds of a query.
    fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Rows, SqlError>;

    /// How it is run, a line for each step.
    ///
    /// # Errors
    /// What an expression has no value for; of a run, all that that has.
    fn explain(
        &self,
        what: Explained,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Vec<String>, SqlError>;
}

/// What is to be shown of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Explained {
    /// How it would be run.
    Plan,
    /// How it was run: rows, times and memory of each step.
    Run,
}

/// A planned query, and what a session has to know of it.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) columns: Vec<Column>,
    pub(crate) parameters: Vec<SqlType>,
    pub(crate) plan: Arc<dyn Plan>,
    tables: Vec<Arc<Table>>,
}

impl Planned {
    /// Its rows, in a transaction.
    pub(crate) fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Rows, SqlError> {
        self.plan.run(transaction, environment)
    }

    /// Whether its tables are still as they were.
    pub(crate) fn is_current(&self) -> bool {
        self.tables.iter().all(|table| table.is_current())
    }
}

impl Preparing<'_> {
    /// A query as the planner runs it; `finish` may make another of it, once it is bound.
    ///
    /// # Errors
    /// Names that are not there, types that do not fit, what is not supported.
    pub(crate) fn planned(
        &mut self,
        query: &ast::Query,
        finish: impl FnOnce(Query, &mut Self) -> Result<Query, SqlError>,
    ) -> Result<Planned, SqlError> {
        let Some(planner) = self.planner else {
            return Err(SqlError::unsupported("a query of several tables"));
        };
        self.relational = Some(Vec::new());
        let bound = self.relation(query).and_then(|query| finish(query, self));
        let bound = bound.and_then(|query| {
            let relation = self.unnest(query.relation)?;
            Ok(Query { relation, ..query })
        });
        self.relational = None;
        let query = bound?;
        let (columns, mut tables) = (query.outputs.clone(), Vec::new());
        query.relation.each_table(&mut tables);
        Ok(Planned {
            columns,
            parameters: self.parameters.types(),
            plan: planner.plan(query)?,
            tables,
        })
    }
}

impl Relation {
    fn each_table(&self, tables: &mut Vec<Arc<Table>>) {
        if let Relation::Scan(scan) = self {
            tables.push(Arc::clone(&scan.table));
        }
        for input in self.inputs() {
            input.each_table(tables);
        }
    }
}
