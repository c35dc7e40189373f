//! SELECT.

use sqlparser::ast::{Fetch, LimitClause, OrderBy, Select};
use velocitydb_types::{Path, ScalarType, SqlType};

use super::query::{keys, limited, sorted};
use super::subquery::Pending;
use super::{Aggregate, AggregateKind, Computed, Field, Query, Relation};
use crate::bind::{Aggregates, Scope};
use crate::bound::{Bound, Typed};
use crate::error::{SqlError, sqlstate};
use crate::statement::Preparing;
use crate::statement::group::{Regroup, aggregate_field};
use crate::statement::order::Order;
use crate::statement::query::{Of, Parts, check_distinct, limits, parts};

impl Preparing<'_> {
    /// A SELECT with what stands behind it.
    pub(super) fn select_relation(
        &mut self,
        select: &Select,
        order_by: Option<&OrderBy>,
        (limit, fetch): (Option<&LimitClause>, Option<&Fetch>),
        targets: &[SqlType],
    ) -> Result<Query, SqlError> {
        let source = self.from(&select.from)?;
        let mut binder = self.binder(&source.scopes);
        binder.aggregates = Aggregates::Noted(Vec::new());
        let mut parts = parts(select, targets, &mut binder)?;
        let order = keys(order_by)?.iter();
        let order = order.map(|key| Order::of_outputs(key, &parts.outputs, &mut binder));
        let mut order = order.collect::<Result<Vec<_>, _>>()?;
        check_distinct(&parts, &order)?;
        let part = limits(limit, fetch, &mut binder)?;
        let aggregates = binder.aggregates.noted().to_vec();
        let mut windows = std::mem::take(&mut binder.windows);
        let mut unfolds = std::mem::take(&mut binder.unfolds);
        let mut pending = std::mem::take(&mut binder.queries.pending);

        let mut relation = source.relation;
        if let Some(condition) = parts.condition.take() {
            relation = self.filter(relation, condition, &mut pending)?;
        }
        let is_grouped = !aggregates.is_empty() || parts.grouped || parts.having.is_some();
        if is_grouped {
            let mut bounds: Vec<&mut Bound> = parts.outputs.bound.iter_mut().collect();
            bounds.extend(&mut parts.having);
            bounds.extend(parts.distinct.iter_mut().flat_map(|(_, keys)| keys));
            bounds.extend(order.iter_mut().map(|key| &mut key.by));
            bounds.extend(unfolds.iter_mut().flat_map(|call| &mut call.arguments));
            bounds.extend(windows.iter_mut().flat_map(|(_, call)| call.bounds_mut()));
            let prefix = format!("{}.", self.parameters.fresh());
            let named = std::mem::take(&mut parts.group_by);
            let mut regroup = Regroup::new(named, &source.scopes, prefix.clone());
            let is_grouping = |one: &Aggregate| matches!(one.kind, AggregateKind::Grouping);
            let set = match parts.sets.len() > 1 && aggregates.iter().any(is_grouping) {
                true => Some(self.field(ScalarType::Int8.into())),
                false => None,
            };
            regroup.groupings(&aggregates, |keys| self.grouping(set.as_ref(), keys))?;
            for bound in bounds {
                *bound = regroup.over_groups(bound)?;
            }
            regroup.check(&aggregates)?;
            let keys: Vec<_> = (0..regroup.keys.len())
                .map(|at| regroup.computed(at))
                .collect();
            let mut asked: Vec<&Bound> = keys.iter().map(|key| &key.bound).collect();
            asked.extend(aggregates.iter().flat_map(|aggregate| aggregate.bounds()));
            relation = self.with_queries(relation, &asked, &mut pending)?;
            let aggregates = aggregates.iter().enumerate();
            let aggregates = aggregates.filter(|(_, aggregate)| !is_grouping(aggregate));
            let aggregates = aggregates.map(|(at, aggregate)| {
                let field = Field {
                    name: aggregate_field(&prefix, at),
                    sql: aggregate.result,
                };
                (field, aggregate.clone())
            });
            relation = Relation::Aggregate {
                input: Box::new(relation),
                aggregates: aggregates.collect(),
                sets: match parts.sets.len() {
                    0 | 1 => Vec::new(),
                    _ => std::mem::take(&mut parts.sets),
                },
                set,
                keys,
            };
            check_grouped(&pending, &relation, &source.scopes)?;
            if let Some(having) = parts.having.take() {
                relation = self.filter(relation, having, &mut pending)?;
            }
        }
        if !windows.is_empty() {
            let asked: Vec<_> = windows.iter().flat_map(|(_, call)| call.bounds()).collect();
            relation = self.with_queries(relation, &asked, &mut pending)?;
            relation = Relation::Window {
                input: Box::new(relation),
                calls: windows,
            };
        }
        if !unfolds.is_empty() {
            let asked: Vec<_> = unfolds.iter().flat_map(|call| &call.arguments).collect();
            relation = self.with_queries(relation, &asked, &mut pending)?;
            relation = Relation::Unfold {
                input: Box::new(relation),
                calls: unfolds,
                ordinality: None,
            };
        }
        let mut asked: Vec<&Bound> = parts.outputs.bound.iter().collect();
        asked.extend(order.iter().map(|key| &key.by));
        asked.extend(parts.distinct.iter().flat_map(|(_, keys)| keys));
        relation = self.with_queries(relation, &asked, &mut pending)?;
        Ok(self.finished(relation, parts, order, part))
    }

    /// Which of these keys are not of the set that a group is of: a bit for each, the last is the lowest.
    fn grouping(&mut self, set: Option<&Field>, keys: &[usize]) -> Result<Bound, SqlError> {
        let (int4, int8) = (
            SqlType::from(ScalarType::Int4),
            SqlType::from(ScalarType::Int8),
        );
        let mut all = Typed::new(Bound::Constant(0.into()), int8);
        for (place, key) in set.iter().flat_map(|_| keys.iter().rev().enumerate()) {
            let number =
                |number: usize, sql| Typed::new(Bound::Constant((number as i64).into()), sql);
            let column = set.map(|set| Typed::new(set.column(), int8));
            let mut apply = |name: &str, one: Typed, other: Typed| {
                let bound = self.applied(name, vec![one, other])?;
                Ok::<_, SqlError>(Typed::new(bound, int8))
            };
            let column = column.expect("it is of a set");
            let bit = apply(">>", column, number(*key, int4))?;
            let bit = apply("&", bit, number(1, int8))?;
            let bit = apply("<<", bit, number(place, int4))?;
            all = apply("|", all, bit)?;
        }
        Ok(all.bound)
    }

    /// DISTINCT, ORDER BY and LIMIT, and the outputs.
    fn finished(
        &mut self,
        relation: Relation,
        parts: Parts,
        mut order: Vec<Order>,
        part: (Option<Bound>, Option<Bound>),
    ) -> Query {
        let outputs = parts.outputs;
        let columns = outputs.columns.iter().zip(&outputs.bound);
        let columns = columns.map(|(column, bound)| Computed {
            field: self.field(column.sql),
            bound: bound.clone(),
        });
        let columns: Vec<_> = columns.collect();
        let relation = match parts.distinct {
            Some((Of::Outputs, _)) => {
                for key in &mut order {
                    let mut columns = columns.iter();
                    let output = columns.find(|column| column.bound.is_same(&key.by));
                    let output = output.expect("each key of the order is an output: checked");
                    key.by = output.field.column();
                }
                let input = Relation::Distinct {
                    input: Box::new(Relation::Project {
                        input: Box::new(relation),
                        columns,
                    }),
                    on: Vec::new(),
                    order: Vec::new(),
                };
                limited(sorted(input, order), part)
            }
            distinct => {
                let input = match distinct {
                    Some((_, on)) => Relation::Distinct {
                        input: Box::new(relation),
                        on,
                        order: order.clone(),
                    },
                    None => relation,
                };
                Relation::Project {
                    input: Box::new(limited(sorted(input, order), part)),
                    columns,
                }
            }
        };
        Query {
            relation,
            outputs: outputs.columns,
            untyped: outputs.untyped,
        }
    }
}

/// Refuses queries that ask for a column of a row, where there are groups of rows.
fn check_grouped(
    pending: &[Pending],
    grouped: &Relation,
    scopes: &[Scope],
) -> Result<(), SqlError> {
    let known = grouped.names();
    for name in pending.iter().flat_map(Pending::free) {
        let is_it = |bound: &Bound| matches!(bound, Bound::Column(path) if path.first() == name);
        for scope in scopes {
            let mut columns = scope.table.columns.iter();
            if let Some(column) = columns.find(|column| is_it(&column.bound))
                && !known.contains(&name)
            {
                let (alias, column) = (&scope.alias, &column.name);
                let message =
                    format!("subquery uses ungrouped column \"{alias}.{column}\" from outer query");
                return Err(SqlError::new(sqlstate::GROUPING_ERROR, message));
            }
        }
    }
    Ok(())
}

impl Regroup<'_> {
    /// A key as a column of the groups.
    fn computed(&self, at: usize) -> Computed {
        let key = &self.keys[at];
        let Bound::Column(path) = self.key(at) else {
            unreachable!("keys are columns of groups");
        };
        Computed {
            field: Field {
                name: Path::first(&path).to_owned(),
                sql: key.sql.expect("what is grouped by has a type"),
            },
            bound: key.bound.clone(),
        }
    }
}
