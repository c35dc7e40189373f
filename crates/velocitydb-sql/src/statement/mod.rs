//! Statements: what they ask, bound and checked once, and run as often as wanted.
//!
//! A statement is native when the engine does what it asks by itself: one table, its columns,
//! conditions, an order, a number of rows. Everything of sqlparser's trees is looked at, so that
//! nothing a statement says is passed over in silence: what is not done is refused.
//!
//! Files: `from` (tables), `values` (VALUES), `query` (binding a SELECT), `select`, `group`, `finish` and `order` (its
//! stages), `subselect`, `whole` (documents without declared fields), `insert`, `assign`, `explain`, `modify` (UPDATE and DELETE), `define` (tables and indexes), `row`
//! and `rows` (answers).

mod assign;
mod casting;
mod conflict;
pub(crate) mod define;
pub(crate) mod explain;
mod finish;
mod from;
pub(crate) mod group;
pub(crate) mod insert;
pub(crate) mod modify;
pub(crate) mod order;
pub(crate) mod query;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod select;
pub(crate) mod subselect;
pub(crate) mod values;
mod whole;

pub(crate) use assign::default;
pub(crate) use from::collection_name;
pub(crate) use insert::no_column;
pub(crate) use select::account;

use std::sync::Arc;

use sqlparser::ast;
use velocitydb::locks::Mode;

use crate::bind::{Aggregates, Binder, Parameters, Queries, Scope};
use crate::bound::Environment;
use crate::definitions::Definitions;
use crate::effects::Effects;
use crate::error::{SqlError, sqlstate};
use crate::formats::Settings;
use crate::parse::Overriding;
use crate::planner::{Planned, Planner};
use crate::relation::Known;
use crate::sequences::Sequences;
use explain::Outline;
use subselect::SubSelect;

/// What binding a statement needs to know.
pub(crate) struct Preparing<'p> {
    pub(crate) definitions: Definitions<'p>,
    pub(crate) sql: &'p str,
    pub(crate) settings: &'p Arc<Settings>,
    pub(crate) parameters: &'p mut Parameters,
    /// The queries around, when it is a sub-select.
    pub(crate) outer: Vec<Arc<[Scope]>>,
    pub(crate) sequences: &'p Arc<Sequences>,
    pub(crate) effects: &'p Arc<Effects>,
    /// What the statement says of identity columns.
    pub(crate) overriding: Option<Overriding>,
    /// Who plans what is not native.
    pub(crate) planner: Option<&'p dyn Planner>,
    /// The queries that WITH has named, when it is a query of several tables that is bound.
    pub(crate) relational: Option<Known>,
}

impl Preparing<'_> {
    /// A query as the engine runs it; one that it does not, or that others do better, as the planner
    /// does, if there is one.
    fn native_or_planned(&mut self, query: &ast::Query) -> Result<Native, SqlError> {
        let declared = self.parameters.clone();
        let select = self.select(query);
        let planned = match &select {
            Ok(select) => select.is_analytical(),
            Err(reason) => reason.sqlstate == sqlstate::FEATURE_NOT_SUPPORTED,
        };
        if !planned || self.planner.is_none() {
            return select.map(Native::Select);
        }
        *self.parameters = declared;
        let planned = self.planned(query, |query, _| Ok(query))?;
        Ok(Native::Planned(planned))
    }

    /// Binds expressions over the rows of tables, or of nothing.
    pub(crate) fn binder<'b>(&'b mut self, tables: &'b [Scope]) -> Binder<'b> {
        Binder {
            sql: self.sql,
            settings: self.settings,
            parameters: self.parameters,
            sequences: self.sequences,
            effects: self.effects,
            tables,
            queries: Queries {
                definitions: Some(self.definitions),
                around: self.outer.clone(),
                met: Vec::new(),
                relational: self.relational.clone(),
                pending: Vec::new(),
            },
            aggregates: Aggregates::Refused("this place"),
            windows: Vec::new(),
            unfolds: Vec::new(),
            named_windows: Vec::new(),
        }
    }
}

/// A statement that reads or changes documents.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "it is boxed as a whole")]
pub(crate) enum Native {
    Select(select::Select),
    Insert(insert::Insert),
    Modify(modify::Modify),
    Explain(explain::Explain),
    /// What is not native, but a planner knows to run.
    Planned(Planned),
}

impl Native {
    /// Of a statement that reads or changes documents; `None` of another.
    ///
    /// # Errors
    /// Names that are not there, types that do not fit, and what is not supported.
    pub(crate) fn new(
        statement: &ast::Statement,
        preparing: &mut Preparing<'_>,
    ) -> Result<Option<Native>, SqlError> {
        Ok(Some(match statement {
            ast::Statement::Query(query) => preparing.native_or_planned(query)?,
            ast::Statement::Insert(insert) => Native::Insert(preparing.insert(insert)?),
            ast::Statement::Update(update) => Native::Modify(preparing.update(update)?),
            ast::Statement::Delete(delete) => Native::Modify(preparing.delete(delete)?),
            other => match preparing.explain(other)? {
                Some(explain) => Native::Explain(explain),
                None => return Ok(None),
            },
        }))
    }

    /// The columns of its answer; none when it answers no rows.
    pub(crate) fn columns(&self) -> &[rows::Column] {
        match self {
            Native::Select(select) => &select.outputs.columns,
            Native::Insert(insert) => &insert.returning.columns,
            Native::Modify(modify) => &modify.returning.columns,
            Native::Explain(explain) => &explain.columns,
            Native::Planned(planned) => &planned.columns,
        }
    }

    /// Whether the tables that it is bound to are still as they were.
    pub(crate) fn is_current(&self) -> bool {
        match self {
            Native::Select(select) => select.is_current(),
            Native::Insert(insert) => insert.is_current(),
            Native::Modify(modify) => modify.is_current(),
            Native::Explain(explain) => explain.statement.is_current(),
            Native::Planned(planned) => planned.is_current(),
        }
    }

    /// Whether it takes no time worth speaking of: one document by its key, or few new ones. To
    /// commit it takes its time all the same.
    pub(crate) fn is_quick(&self) -> bool {
        match self {
            Native::Select(select) => select.is_quick(),
            Native::Insert(insert) => insert.is_quick(),
            Native::Modify(modify) => modify.is_quick(),
            Native::Explain(_) | Native::Planned(_) => false,
        }
    }

    /// Whether it changes documents.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Native::Select(_) => false,
            Native::Insert(_) | Native::Modify(_) => true,
            Native::Explain(explain) => explain.analyze && explain.statement.writes(),
            Native::Planned(_) => false,
        }
    }

    /// What it does that a transaction which only reads may not.
    pub(crate) fn written(&self) -> Option<&'static str> {
        match self {
            Native::Select(select) => select.locks_how().map(|mode| match mode {
                Mode::Share => "SELECT FOR SHARE",
                _ => "SELECT FOR UPDATE",
            }),
            Native::Insert(_) => Some("INSERT"),
            Native::Modify(modify) => Some(modify.command()),
            Native::Explain(explain) => match explain.analyze {
                true => explain.statement.written(),
                false => None,
            },
            Native::Planned(_) => None,
        }
    }

    /// Its sub-selects.
    fn queries(&self) -> &[SubSelect] {
        match self {
            Native::Select(select) => &select.queries,
            Native::Insert(insert) => &insert.queries,
            Native::Modify(modify) => &modify.queries,
            Native::Explain(_) | Native::Planned(_) => &[],
        }
    }

    /// How it is run.
    fn outline(&self, environment: &Environment<'_>) -> Result<Outline<'_>, SqlError> {
        match self {
            Native::Select(select) => select.outline(environment),
            Native::Insert(insert) => insert.outline(environment),
            Native::Modify(modify) => modify.outline(environment),
            Native::Explain(_) | Native::Planned(_) => Err(SqlError::unsupported("EXPLAIN of it")),
        }
    }
}
