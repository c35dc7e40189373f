//! GROUP BY, HAVING and aggregates: rows of groups, made of the rows that are given.
//!
//! Everything that stands behind the grouping is bound over the rows before it first. Then each
//! part that is a key of the groups becomes that field of a group's row, each aggregate another,
//! and a column that is left over is refused ([`Regroup`]).

use std::collections::BTreeMap;
use std::fmt;

use velocitydb_query::{Aggregated, Expression, Kept, value_bytes};
use velocitydb_types::{Path, Value};

use super::row::Row;
use crate::aggregate::{Accumulator, Aggregate, Lowered};
use crate::bind::Scope;
use crate::bound::{Bound, Environment};
use crate::error::{SqlError, sqlstate};

/// What groups there are, and what is computed of each.
#[derive(Debug, Clone)]
pub(crate) struct Grouping {
    pub(super) keys: Vec<Bound>,
    /// How many of the keys the statement names: without any there is one group, of no rows too.
    pub(super) named: usize,
    pub(super) aggregates: Vec<Aggregate>,
    /// Of the rows of groups.
    pub(super) having: Option<Bound>,
}

/// As EXPLAIN shows it.
impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, aggregates) = (self.keys.len(), self.aggregates.len());
        write!(f, "group by {keys} keys, {aggregates} aggregates")?;
        match self.having {
            Some(_) => f.write_str(", having"),
            None => Ok(()),
        }
    }
}

fn key_field(at: usize) -> String {
    format!("key{at}")
}

fn aggregate_field(at: usize) -> String {
    format!("aggregate{at}")
}

/// Turns expressions over rows into expressions over groups.
pub(super) struct Regroup<'r> {
    pub(super) keys: Vec<Bound>,
    pub(super) scope: Option<&'r Scope<'r>>,
    /// Whether a key is the primary key: then all columns of a group are known.
    by_primary_key: bool,
}

impl<'r> Regroup<'r> {
    pub(super) fn new(keys: Vec<Bound>, scope: Option<&'r Scope<'r>>) -> Regroup<'r> {
        let primary = scope.and_then(|scope| scope.table.definition.primary_key.clone());
        let is_key = |field: &String| {
            let is_it = |key: &Bound| match key {
                Bound::Column(path) => path.rest().is_empty() && path.first() == field,
                _ => false,
            };
            keys.iter().any(is_it)
        };
        Regroup {
            by_primary_key: primary.is_some_and(|primary| primary.fields().iter().all(is_key)),
            keys,
            scope,
        }
    }

    pub(super) fn over_groups(&mut self, bound: &Bound) -> Result<Bound, SqlError> {
        if bound.is_constant() {
            return Ok(bound.clone());
        }
        let known = self.keys.iter().position(|key| key.is_same(bound));
        if let Some(at) = known {
            return Ok(Bound::Column(Path::field(key_field(at))));
        }
        match bound {
            Bound::Aggregate(at) => Ok(Bound::Column(Path::field(aggregate_field(*at)))),
            Bound::Apply {
                function,
                arguments,
                types,
                volatile,
            } => {
                let arguments = arguments.iter().map(|argument| self.over_groups(argument));
                Ok(Bound::Apply {
                    function: function.clone(),
                    arguments: arguments.collect::<Result<_, _>>()?,
                    types: types.clone(),
                    volatile: *volatile,
                })
            }
            Bound::Column(_) | Bound::Document if self.by_primary_key => {
                self.keys.push(bound.clone());
                Ok(Bound::Column(Path::field(key_field(self.keys.len() - 1))))
            }
            Bound::Column(path) => Err(self.ungrouped(path.first())),
            _ => Err(self.ungrouped("doc")),
        }
    }

    fn ungrouped(&self, column: &str) -> SqlError {
        let table = self.scope.map_or("", |scope| &scope.alias);
        let message = format!(
            "column \"{table}.{column}\" must appear in the GROUP BY clause or be used in an \
             aggregate function"
        );
        SqlError::new(sqlstate::GROUPING_ERROR, message)
    }
}

impl Grouping {
    /// Whether all that is wanted is the number of rows.
    pub(super) fn is_count(&self) -> bool {
        self.keys.is_empty() && self.aggregates.iter().all(Aggregate::is_count)
    }

    /// The only group of so many rows, when nothing but their number is wanted.
    pub(super) fn counted(&self, count: u64) -> Row {
        let fields = 0..self.aggregates.len();
        let count = Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        Row::Made(
            fields
                .map(|at| (aggregate_field(at), count.clone()))
                .collect(),
        )
    }

    /// For one execution.
    pub(super) fn groups(&self, environment: &Environment<'_>) -> Result<Groups<'_>, SqlError> {
        let keys = self.keys.iter().map(|key| key.lower(environment));
        let aggregates = self.aggregates.iter().map(|one| one.lower(environment));
        let having = self.having.as_ref();
        let mut groups = Groups {
            keys: keys.collect::<Result<_, _>>()?,
            aggregates: aggregates.collect::<Result<_, _>>()?,
            having: having.map(|having| having.lower(environment)).transpose()?,
            groups: BTreeMap::new(),
        };
        if self.named == 0 {
            let group = groups.group();
            groups.groups.insert(Vec::new(), group);
        }
        Ok(groups)
    }
}

/// Groups in the making.
pub(super) struct Groups<'a> {
    keys: Vec<Expression>,
    aggregates: Vec<Lowered<'a>>,
    having: Option<Expression>,
    groups: BTreeMap<Vec<Value>, Vec<Accumulator>>,
}

impl Groups<'_> {
    fn group(&self) -> Vec<Accumulator> {
        self.aggregates.iter().map(Lowered::accumulator).collect()
    }

    /// Takes a row into its group.
    pub(super) fn add(&mut self, row: &Row, kept: &mut Kept) -> Result<(), SqlError> {
        let key = row.values(&self.keys)?;
        if !self.groups.contains_key(&key) {
            let bytes: usize = key.iter().map(value_bytes).sum();
            kept.resize(
                0,
                bytes + self.aggregates.len() * size_of::<Accumulator>() + 64,
            )?;
            let group = self.group();
            self.groups.insert(key.clone(), group);
        }
        let group = self.groups.get_mut(&key).into_iter().flatten();
        for (accumulator, aggregate) in group.zip(&self.aggregates) {
            aggregate.add(accumulator, row, kept)?;
        }
        Ok(())
    }

    /// Calls `visit` with the row of each group that HAVING lets through, until it answers `false`.
    pub(super) fn finish(
        self,
        kept: &mut Kept,
        mut visit: impl FnMut(Row, &mut Kept) -> Result<bool, SqlError>,
    ) -> Result<(), SqlError> {
        for (keys, accumulators) in self.groups {
            let keys = keys.into_iter().enumerate();
            let mut row: Aggregated = keys.map(|(at, key)| (key_field(at), key)).collect();
            let aggregates = self.aggregates.iter().zip(accumulators).enumerate();
            for (at, (aggregate, accumulator)) in aggregates {
                let value = aggregate.finish(accumulator, kept)?;
                row.insert(aggregate_field(at), value);
            }
            let row = Row::Made(row);
            if let Some(having) = &self.having
                && row.value(having)? != Value::Bool(true)
            {
                continue;
            }
            if !visit(row, kept)? {
                break;
            }
        }
        Ok(())
    }
}
