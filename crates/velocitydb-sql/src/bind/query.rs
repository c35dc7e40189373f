//! Sub-selects of expressions: bound as statements of their own, that are run before the one around
//! them and whose answer is a constant there. None may depend on a row of the query around it.

use sqlparser::ast::{BinaryOperator, Expr, Query};
use velocitydb_types::{ScalarType, SqlType};

use std::sync::Arc;

use super::{Binder, Scope};
use crate::bound::{Bound, Typed};
use crate::definitions::Definitions;
use crate::error::{SqlError, sqlstate};
use crate::functions::resolve_quantified;
use crate::relation::{Known, Pending};
use crate::statement::Preparing;
use crate::statement::select::Select;
use crate::statement::subselect::{SubSelect, Wanted};

/// The sub-selects that a statement has, and what is needed to bind them.
#[derive(Default)]
pub(crate) struct Queries<'b> {
    /// Where their tables are; `None`: there may be no sub-selects.
    pub(crate) definitions: Option<Definitions<'b>>,
    /// The tables of queries around, the outermost first.
    pub(crate) around: Vec<Arc<[Scope]>>,
    pub(crate) met: Vec<SubSelect>,
    /// The queries that WITH has named, when it is a query of several tables that is being bound: then
    /// sub-selects are pending.
    pub(crate) relational: Option<Known>,
    pub(crate) pending: Vec<Pending>,
}

impl Binder<'_> {
    fn sub_select(&mut self, query: &Query) -> Result<Select, SqlError> {
        let Some(definitions) = self.queries.definitions else {
            return Err(SqlError::unsupported("a sub-select here"));
        };
        let mut around = self.queries.around.clone();
        around.push(self.tables.into());
        let mut preparing = Preparing {
            definitions,
            sql: self.sql,
            settings: self.settings,
            sequences: self.sequences,
            effects: self.effects,
            overriding: None,
            parameters: &mut *self.parameters,
            outer: around,
            planner: None,
            relational: None,
        };
        preparing.select(query)
    }

    /// A sub-select of one column, with the column's type.
    fn of_one_column(&mut self, query: &Query, many: &str) -> Result<(Select, SqlType), SqlError> {
        let select = self.sub_select(query)?;
        match &select.outputs.columns[..] {
            [column] => {
                let sql = column.sql;
                Ok((select, sql))
            }
            _ => Err(SqlError::new(sqlstate::SYNTAX_ERROR, many)),
        }
    }

    fn met(&mut self, select: Select, wanted: Wanted) -> Bound {
        self.queries.met.push(SubSelect::new(select, wanted));
        Bound::Query(self.queries.met.len() - 1)
    }

    /// `(SELECT …)`: the value of its only row, null without one.
    pub(super) fn scalar_query(&mut self, query: &Query) -> Result<Typed, SqlError> {
        if self.queries.relational.is_some() {
            return self.value_of(query);
        }
        let (select, sql) = self.of_one_column(query, "subquery must return only one column")?;
        Ok(Typed::new(self.met(select, Wanted::Value), sql))
    }

    /// `ARRAY(SELECT …)`: the values of all its rows.
    pub(super) fn array_query(&mut self, query: &Query) -> Result<Typed, SqlError> {
        if self.queries.relational.is_some() {
            return self.values_of(query);
        }
        let (select, sql) = self.of_one_column(query, "subquery must return only one column")?;
        let SqlType::Scalar(element) = sql else {
            return Err(SqlError::unsupported("an array of several dimensions"));
        };
        let bound = self.met(select, Wanted::Values);
        Ok(Typed::new(bound, SqlType::Array(element)))
    }

    /// `EXISTS (SELECT …)`.
    pub(super) fn exists(&mut self, query: &Query) -> Result<Typed, SqlError> {
        if self.queries.relational.is_some() {
            return self.exists_in(query);
        }
        let select = self.sub_select(query)?;
        Ok(Typed::new(self.met(select, Wanted::Any), ScalarType::Bool))
    }

    /// `x operator ANY (SELECT …)` and `ALL`.
    pub(super) fn quantified_query(
        &mut self,
        left: &Expr,
        operator: &str,
        query: &Query,
        is_all: bool,
    ) -> Result<Typed, SqlError> {
        if self.queries.relational.is_some() {
            return self.test_of(left, operator, query, is_all);
        }
        let left = self.bind(left)?;
        let (select, sql) = self.of_one_column(query, "subquery has too many columns")?;
        let SqlType::Scalar(element) = sql else {
            return Err(SqlError::unsupported("a sub-select of arrays here"));
        };
        let right = Typed::new(self.met(select, Wanted::Values), SqlType::Array(element));
        let types = [left.sql, right.sql];
        let resolved = resolve_quantified(operator, is_all, types, self.settings)?;
        self.applied(resolved, vec![left, right])
    }

    /// `x IN (SELECT …)`, `x NOT IN (SELECT …)`.
    pub(super) fn in_query(
        &mut self,
        left: &Expr,
        query: &Query,
        negated: bool,
    ) -> Result<Typed, SqlError> {
        let operator = match negated {
            false => BinaryOperator::Eq,
            true => BinaryOperator::NotEq,
        };
        self.quantified_query(
            left,
            &super::expression::operator(&operator)?,
            query,
            negated,
        )
    }
}
