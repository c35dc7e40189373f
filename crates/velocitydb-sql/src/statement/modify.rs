//! UPDATE and DELETE.

use std::sync::Arc;

use sqlparser::ast::{self, Assignment, Expr, FromTable};
use velocitydb::{Document, Error, Gone, Refusal, Transaction, Update};
use velocitydb_query::{Cell, Expression};
use velocitydb_types::Path;

use super::Preparing;
use super::assign::{Assigned, assignments};
use super::explain::Outline;
use super::rows::{HANDLE_BYTES, Outputs, Rows};
use super::select::account;
use super::subselect::{self, SubSelect};
use super::whole;
use crate::bind::Scope;
use crate::bound::{Bound, Environment};
use crate::conditions::Conditions;
use crate::error::SqlError;
use crate::formats::Settings;
use crate::table::{Column, Table};
use crate::violations::{Violations, Written};

/// An UPDATE or a DELETE.
#[derive(Debug, Clone)]
pub(crate) struct Modify {
    table: Arc<Table>,
    conditions: Conditions,
    /// Columns by their places in the table, and what each becomes; `None`: rows are deleted.
    assignments: Option<Vec<Assigned>>,
    pub(crate) returning: Outputs,
    settings: Arc<Settings>,
    pub(super) queries: Vec<SubSelect>,
}

impl Preparing<'_> {
    pub(super) fn update(&mut self, update: &ast::Update) -> Result<Modify, SqlError> {
        let ast::Update {
            update_token: _,
            optimizer_hints: _,
            table,
            assignments,
            from: None,
            selection,
            returning,
            output: None,
            or: None,
            order_by,
            limit: None,
        } = update
        else {
            return Err(SqlError::unsupported("this form of UPDATE"));
        };
        if !order_by.is_empty() {
            return Err(SqlError::unsupported("UPDATE … ORDER BY"));
        }
        let from = std::slice::from_ref(table);
        self.modify(
            from,
            Some(assignments),
            selection.as_ref(),
            returning.as_deref(),
        )
    }

    pub(super) fn delete(&mut self, delete: &ast::Delete) -> Result<Modify, SqlError> {
        let ast::Delete {
            delete_token: _,
            optimizer_hints: _,
            tables,
            from: FromTable::WithFromKeyword(from),
            using: None,
            selection,
            returning,
            output: None,
            order_by,
            limit: None,
        } = delete
        else {
            return Err(SqlError::unsupported("this form of DELETE"));
        };
        if !order_by.is_empty() || !tables.is_empty() {
            return Err(SqlError::unsupported("this form of DELETE"));
        }
        self.modify(from, None, selection.as_ref(), returning.as_deref())
    }

    fn modify(
        &mut self,
        from: &[ast::TableWithJoins],
        given: Option<&Vec<Assignment>>,
        condition: Option<&Expr>,
        returning: Option<&[ast::SelectItem]>,
    ) -> Result<Modify, SqlError> {
        let (table, alias) = self.one_table(from)?;
        if let Some(made) = &table.made {
            made.check_changes()?;
        }
        let scope = [Scope::new(Arc::clone(&table), alias)];
        let settings = Arc::clone(self.settings);
        let mut binder = self.binder(&scope);
        let assignments = match given {
            None => None,
            Some(given) => Some(
                binder.without_aggregates("UPDATE", |binder| assignments(given, &table, binder))?,
            ),
        };
        let condition = match condition {
            Some(condition) => Some(binder.without_aggregates("WHERE", |binder| {
                let typed = binder.bind(condition)?;
                binder.condition(typed, "WHERE")
            })?),
            None => None,
        };
        let returning = binder.without_aggregates("RETURNING", |binder| {
            Outputs::new(returning.unwrap_or_default(), &[], binder)
        })?;
        let queries = std::mem::take(&mut binder.queries.met);
        Ok(Modify {
            conditions: Conditions::new(condition, &table),
            assignments,
            returning,
            settings,
            queries,
            table,
        })
    }
}

/// Whether another has deleted the row since the statement found it: then there is nothing to do.
fn is_gone(error: &Error) -> bool {
    let refusal = match error {
        Error::Refused { refusal, .. } => Some(refusal),
        _ => None,
    };
    matches!(refusal, Some(Refusal::NotFound))
}

impl Modify {
    /// How it is run.
    pub(super) fn outline(&self, environment: &Environment<'_>) -> Result<Outline<'_>, SqlError> {
        let name = self.table.name();
        let stage = match self.assignments {
            Some(_) => ("update", format!("update {name}")),
            None => ("delete", format!("delete from {name}")),
        };
        Ok(Outline {
            stages: vec![stage],
            question: Some((name, self.conditions.find(environment)?)),
            others: self.queries.iter().collect(),
        })
    }

    /// Whether its tables are still as they were.
    pub(super) fn is_current(&self) -> bool {
        self.table.is_current() && subselect::are_current(&self.queries)
    }

    /// Whether it is about one document, that it finds by its key.
    pub(super) fn is_quick(&self) -> bool {
        self.queries.is_empty() && self.conditions.are_of_one(&self.table)
    }

    /// What the command is called in its tag.
    pub(crate) fn command(&self) -> &'static str {
        match self.assignments {
            Some(_) => "UPDATE",
            None => "DELETE",
        }
    }

    /// How many rows were changed, and what of them is returned.
    ///
    /// # Errors
    /// Values that the table may not have, and what an expression has no value for.
    pub(crate) fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<(u64, Rows), SqlError> {
        let (answers, _kept) = subselect::answers(&self.queries, transaction, environment)?;
        let environment = &Environment {
            queries: &answers,
            ..environment.clone()
        };
        let find = self.conditions.find(environment)?;
        let outputs = self.returning.lower(environment)?;
        let mut kept = account(transaction);
        let (mut found, mut outcome) = (Vec::new(), Ok(()));
        transaction.find_each(self.table.name(), &find, |document| {
            outcome = kept.resize(0, HANDLE_BYTES);
            found.push(document.clone());
            outcome.is_ok()
        })?;
        outcome?;
        let changed = match &self.assignments {
            None => self.delete(found, transaction)?,
            Some(assignments) => {
                let lowered = assignments.iter().map(|(at, bound)| {
                    let column = &self.table.columns[*at];
                    Ok::<_, SqlError>((column, bound.lower(environment)?))
                });
                let lowered = lowered.collect::<Result<Vec<_>, _>>()?;
                self.update(found, &lowered, transaction)?
            }
        };
        let count = changed.len() as u64;
        let changed = match outputs.is_empty() {
            true => Vec::new(),
            false => changed,
        };
        Ok((count, Rows::of_documents(changed, outputs, kept)?))
    }

    fn violations(&self) -> Violations<'_> {
        Violations {
            table: &self.table,
            settings: &self.settings,
        }
    }

    /// Deletes documents; what they were.
    fn delete(
        &self,
        found: Vec<Document>,
        transaction: &mut Transaction,
    ) -> Result<Vec<Document>, SqlError> {
        let name = self.table.name();
        let (mut keys, mut deleted) = (Vec::with_capacity(found.len()), Vec::new());
        for document in found {
            let id = document.id();
            match transaction.delete(name, &id) {
                Err(error) if is_gone(&error) => continue,
                outcome => outcome.map_err(|error| self.violations().of(error, &Written::new()))?,
            };
            keys.push(id);
            deleted.push(document);
        }
        let followed = transaction.follow(name, &keys, Gone::Deleted);
        followed.map_err(|error| self.violations().of(error, &Written::new()))?;
        Ok(deleted)
    }

    /// Updates documents; what they are now. Those whose id changes are deleted, and inserted when
    /// all others have their place. Unique keys and references are judged when all is done.
    fn update(
        &self,
        found: Vec<Document>,
        assignments: &[(&Column, Expression)],
        transaction: &mut Transaction,
    ) -> Result<Vec<Document>, SqlError> {
        let name = self.table.name();
        let key = self.table.definition.primary_key.as_ref();
        let (mut changed, mut moved, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for document in found {
            let id = document.id();
            let mut values = Vec::with_capacity(assignments.len());
            for (_, expression) in assignments {
                values.push(expression.for_document(&document).map(Cell::into_value)?);
            }
            let pairs = || assignments.iter().zip(&values);
            let row = || {
                let mut row = document.fields().to_map();
                row.extend(
                    pairs().map(|((column, _), value)| (column.name.clone(), value.clone())),
                );
                row
            };
            let is_moved = pairs().any(|((column, _), value)| {
                let name = &column.name;
                let present = || document.fields().get(name).map(|value| value.to_value());
                key.is_some_and(|key| key.has(name)) && Some(value) != present().as_ref()
            });
            if is_moved {
                match transaction.delete(name, &id) {
                    Err(error) if is_gone(&error) => continue,
                    outcome => outcome.map_err(|error| self.violations().of(error, &row()))?,
                };
                moved.push(row());
                gone.push(id);
                continue;
            }
            let mut update = Update::new();
            for ((column, _), value) in pairs() {
                if matches!(column.bound, Bound::Document) {
                    update = whole::replacement(&document, value.clone())?;
                    continue;
                }
                update = update.set(&Path::field(&column.name).to_string(), value.clone());
            }
            match transaction.update(name, &id, update) {
                Err(error) if is_gone(&error) => {}
                outcome => {
                    let outcome = outcome.map_err(|error| self.violations().of(error, &row()))?;
                    changed.extend(outcome.document);
                }
            }
        }
        for row in moved {
            let inserted = transaction.insert_returning(name, &row);
            changed.push(inserted.map_err(|error| self.violations().of(error, &row))?);
        }
        for document in &changed {
            let (id, row) = (document.id(), || document.fields().to_map());
            if let Some((constraint, _)) = transaction.taken(name, &id)? {
                let constraint = constraint.unwrap_or_else(|| self.table.key_constraint());
                return Err(self.violations().unique(&constraint, &row()));
            }
            let checked = transaction.check_references(name, &id);
            checked.map_err(|error| self.violations().of(error, &row()))?;
        }
        let followed = transaction.follow(name, &gone, Gone::Renamed);
        followed.map_err(|error| self.violations().of(error, &Written::new()))?;
        Ok(changed)
    }
}
