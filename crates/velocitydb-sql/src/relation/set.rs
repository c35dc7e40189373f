//! UNION, INTERSECT, EXCEPT.

use sqlparser::ast::SetExpr;
use velocitydb_types::SqlType;

use super::{Computed, Query, Relation, SetKind};
use crate::bound::Typed;
use crate::casts::CastContext;
use crate::error::{SqlError, sqlstate};
use crate::functions::{common_type, type_name};
use crate::statement::Preparing;

impl SetKind {
    fn name(self) -> &'static str {
        match self {
            SetKind::Union => "UNION",
            SetKind::Intersect => "INTERSECT",
            SetKind::Except => "EXCEPT",
        }
    }
}

impl Preparing<'_> {
    /// The rows of two queries.
    pub(super) fn set(
        &mut self,
        kind: SetKind,
        all: bool,
        (left, right): (&SetExpr, &SetExpr),
        targets: &[SqlType],
    ) -> Result<Query, SqlError> {
        let (mut one, mut other) = (self.body(left, targets)?, self.body(right, targets)?);
        if one.outputs.len() != other.outputs.len() {
            let name = kind.name();
            let message = format!("each {name} query must have the same number of columns");
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let types = |query: &Query, at: usize| {
            let sql = query.outputs[at].sql;
            (!query.untyped[at]).then_some(sql)
        };
        let mut common = Vec::new();
        for at in 0..one.outputs.len() {
            let sql = common_type(&[types(&one, at), types(&other, at)]);
            common.push(sql.map_err(|(one, other)| {
                let name = kind.name();
                let (one, other) = (type_name(Some(one)), type_name(Some(other)));
                let message = format!("{name} types {one} and {other} cannot be matched");
                SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
            })?);
        }
        // Literals of no type of their own become of the type that they have to be.
        if one.untyped.contains(&true) {
            one = self.body(left, &common)?;
        }
        if other.untyped.contains(&true) {
            other = self.body(right, &common)?;
        }
        let untyped = one.untyped.iter().zip(&other.untyped);
        let untyped = untyped.map(|(one, other)| *one && *other).collect();
        let mut outputs = one.outputs.clone();
        for (output, sql) in outputs.iter_mut().zip(&common) {
            output.sql = *sql;
        }
        let fields = common.iter().map(|sql| self.field(*sql)).collect();
        Ok(Query {
            relation: Relation::Set {
                kind,
                all,
                fields,
                left: Box::new(self.as_types(one, &common)?),
                right: Box::new(self.as_types(other, &common)?),
            },
            outputs,
            untyped,
        })
    }

    /// The rows of a query, cast to these types.
    pub(super) fn as_types(
        &mut self,
        query: Query,
        types: &[SqlType],
    ) -> Result<Relation, SqlError> {
        let fields = query.relation.fields();
        if fields
            .iter()
            .zip(types)
            .all(|(field, sql)| field.sql == *sql)
        {
            return Ok(query.relation);
        }
        let mut columns = Vec::new();
        for (from, sql) in fields.iter().zip(types) {
            let typed = Typed::new(from.column(), from.sql);
            let bound = self.binder(&[]).cast(typed, *sql, CastContext::Implicit)?;
            let field = self.field(*sql);
            columns.push(Computed { field, bound });
        }
        Ok(Relation::Project {
            input: Box::new(query.relation),
            columns,
        })
    }
}
