//! Queries whose rows are inserted: their outputs as values of columns.

use sqlparser::ast::{self, Spanned};

use super::Preparing;
use super::assign::{may_be_given, wrong_type};
use super::select::Select;
use super::values::check_width;
use crate::bind::Binder;
use crate::bound::{Bound, Typed};
use crate::error::SqlError;
use crate::parse::{Overriding, position};
use crate::relation::{Computed, Field, Query, Relation};
use crate::table::Table;

/// The SELECT with its outputs as values of the columns.
pub(super) fn cast_outputs(
    mut select: Select,
    places: &[usize],
    overriding: Option<Overriding>,
    table: &Table,
    binder: &mut Binder<'_>,
) -> Result<Select, SqlError> {
    let outputs = select.outputs.bound.drain(..);
    let outputs = outputs.zip(&select.outputs.columns).zip(places);
    let cast = outputs.map(|((bound, output), at)| {
        let column = &table.columns[*at];
        if !may_be_given(column, overriding)? {
            return Err(SqlError::unsupported("OVERRIDING USER VALUE of a SELECT"));
        }
        let bound = binder.assigned(Typed::new(bound, output.sql), column.sql);
        bound.map_err(|error| wrong_type(error, column, Some(output.sql)))
    });
    let cast: Vec<Bound> = cast.collect::<Result<_, _>>()?;
    select.outputs.bound = cast;
    Ok(select)
}

impl Preparing<'_> {
    /// A query whose outputs are of the types of columns.
    pub(super) fn cast_query(
        &mut self,
        query: Query,
        (table, places, named): (&Table, &[usize], bool),
        columns: &[ast::ObjectName],
    ) -> Result<Query, SqlError> {
        let sql = self.sql;
        let column_place = |at: usize| position(sql, columns[at].span().start);
        let width = query.outputs.len();
        check_width(width, (places.len(), named), |_| None, column_place)?;
        let overriding = self.overriding;
        let mut computed = Vec::new();
        for ((from, at), untyped) in query
            .relation
            .fields()
            .iter()
            .zip(places)
            .zip(&query.untyped)
        {
            let column = &table.columns[*at];
            if !may_be_given(column, overriding)? {
                return Err(SqlError::unsupported("OVERRIDING USER VALUE of a SELECT"));
            }
            let sql = (!untyped).then_some(from.sql);
            let typed = Typed::new(from.column(), from.sql);
            let bound = self.binder(&[]).assigned(typed, column.sql);
            let bound = bound.map_err(|error| wrong_type(error, column, sql))?;
            let name = self.parameters.fresh();
            let field = Field {
                name,
                sql: column.sql,
            };
            computed.push(Computed { field, bound });
        }
        Ok(Query {
            relation: Relation::Project {
                input: Box::new(query.relation),
                columns: computed,
            },
            ..query
        })
    }
}
