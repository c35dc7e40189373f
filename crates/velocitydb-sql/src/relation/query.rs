//! A query: WITH, a body, ORDER BY, LIMIT.

use sqlparser::ast::{OrderBy, OrderByKind, Query as Tree, SetExpr, SetOperator, SetQuantifier};

use super::{Computed, Query, Relation, SetKind};
use crate::bound::Bound;
use crate::error::SqlError;
use crate::statement::Preparing;
use crate::statement::order::Order;
use crate::statement::query::limits;
use crate::statement::rows::Outputs;
use crate::statement::values::rows_of_values;
use velocitydb_types::SqlType;

impl Preparing<'_> {
    /// A query of any form.
    ///
    /// # Errors
    /// Names that are not there, types that do not fit, and what is not supported.
    pub(crate) fn relation(&mut self, query: &Tree) -> Result<Query, SqlError> {
        self.relation_into(query, &[])
    }

    /// The same; outputs of no type of their own are of these.
    pub(super) fn relation_into(
        &mut self,
        query: &Tree,
        targets: &[SqlType],
    ) -> Result<Query, SqlError> {
        let Tree {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause: None,
            settings: None,
            format_clause: None,
            pipe_operators,
        } = query
        else {
            return Err(SqlError::unsupported("this form of SELECT"));
        };
        if !pipe_operators.is_empty() {
            return Err(SqlError::unsupported("this form of SELECT"));
        }
        if !locks.is_empty() {
            return Err(SqlError::unsupported("FOR UPDATE of several tables"));
        }
        let known = self.relational.clone();
        if let Some(with) = with {
            self.with(with)?;
        }
        let query = match &**body {
            SetExpr::Select(select) => self.select_relation(
                select,
                order_by.as_ref(),
                (limit_clause.as_ref(), fetch.as_ref()),
                targets,
            ),
            body => {
                let query = self.body(body, targets)?;
                self.ordered(query, order_by.as_ref(), (limit_clause, fetch))
            }
        };
        self.relational = known;
        query
    }

    /// What stands between WITH and ORDER BY.
    pub(super) fn body(&mut self, body: &SetExpr, targets: &[SqlType]) -> Result<Query, SqlError> {
        match body {
            SetExpr::Select(select) => self.select_relation(select, None, (None, None), targets),
            SetExpr::Query(query) => self.relation_into(query, targets),
            SetExpr::Values(values) => {
                let mut binder = self.binder(&[]);
                let (rows, outputs) = rows_of_values(values, &mut binder)?;
                super::subquery::none(&binder.queries.pending)?;
                let columns = outputs.columns;
                let fields = columns.iter().map(|column| self.field(column.sql));
                let fields = fields.collect();
                Ok(Query {
                    relation: Relation::Values { fields, rows },
                    untyped: vec![false; columns.len()],
                    outputs: columns,
                })
            }
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let kind = match op {
                    SetOperator::Union => SetKind::Union,
                    SetOperator::Intersect => SetKind::Intersect,
                    SetOperator::Except | SetOperator::Minus => SetKind::Except,
                };
                let all = match set_quantifier {
                    SetQuantifier::All => true,
                    SetQuantifier::None | SetQuantifier::Distinct => false,
                    other => return Err(SqlError::unsupported(format!("{op} {other}"))),
                };
                self.set(kind, all, (left, right), targets)
            }
            other => Err(SqlError::unsupported(format!("{other}"))),
        }
    }

    /// The rows of a query that is no SELECT in order, and some of them.
    fn ordered(
        &mut self,
        query: Query,
        order_by: Option<&OrderBy>,
        (limit, fetch): (
            &Option<sqlparser::ast::LimitClause>,
            &Option<sqlparser::ast::Fetch>,
        ),
    ) -> Result<Query, SqlError> {
        let Query {
            mut relation,
            outputs,
            untyped,
        } = query;
        let fields = relation.fields();
        let bound = fields.iter().map(|field| field.column());
        let named = Outputs {
            bound: bound.collect(),
            columns: outputs.clone(),
            ..Outputs::default()
        };
        let mut binder = self.binder(&[]);
        let keys = keys(order_by)?.iter();
        let keys = keys.map(|key| Order::of_outputs(key, &named, &mut binder));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let part = limits(limit.as_ref(), fetch.as_ref(), &mut binder)?;
        super::subquery::none(&binder.queries.pending)?;
        relation = sorted(relation, keys);
        relation = limited(relation, part);
        Ok(Query {
            relation,
            outputs,
            untyped,
        })
    }
}

/// The keys of an ORDER BY.
pub(super) fn keys(order_by: Option<&OrderBy>) -> Result<&[sqlparser::ast::OrderByExpr], SqlError> {
    match order_by {
        None => Ok(&[]),
        Some(OrderBy {
            kind: OrderByKind::Expressions(keys),
            interpolate: None,
        }) => Ok(keys),
        Some(other) => Err(SqlError::unsupported(format!("{other}"))),
    }
}

pub(super) fn sorted(relation: Relation, keys: Vec<Order>) -> Relation {
    match keys.is_empty() {
        true => relation,
        false => Relation::Sort {
            input: Box::new(relation),
            keys,
        },
    }
}

pub(super) fn limited(
    relation: Relation,
    (count, offset): (Option<Bound>, Option<Bound>),
) -> Relation {
    match (&count, &offset) {
        (None, None) => relation,
        _ => Relation::Limit {
            input: Box::new(relation),
            offset,
            count,
            ties: false,
        },
    }
}

impl Relation {
    /// The same rows with other names of columns.
    pub(super) fn named(self, fields: Vec<super::Field>) -> Relation {
        let columns = self.fields().into_iter().zip(fields);
        let columns = columns.map(|(from, field)| Computed {
            bound: from.column(),
            field,
        });
        Relation::Project {
            columns: columns.collect(),
            input: Box::new(self),
        }
    }
}
