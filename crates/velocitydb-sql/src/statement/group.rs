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
use crate::aggregate::{Accumulator, Aggregate, Kind, Lowered};
use crate::bind::Scope;
use crate::bound::{Bound, Environment, Typed};
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

pub(crate) fn key_field(prefix: &str, at: usize) -> String {
    format!("{prefix}key{at}")
}

pub(crate) fn aggregate_field(prefix: &str, at: usize) -> String {
    format!("{prefix}aggregate{at}")
}

/// Turns expressions over rows into expressions over groups.
pub(crate) struct Regroup<'r> {
    pub(crate) keys: Vec<Typed>,
    tables: &'r [Scope],
    /// Those of which a key is the primary key: all their columns are known of a group.
    known: Vec<&'r Scope>,
    prefix: String,
    /// What those aggregates are that are not computed of rows, by their numbers.
    groupings: Vec<Option<Bound>>,
}

impl<'r> Regroup<'r> {
    /// Fields of groups are called as in [`Grouping::groups`], behind a prefix. Behind one, keys that
    /// are columns keep their names.
    pub(crate) fn new(keys: Vec<Typed>, tables: &'r [Scope], prefix: String) -> Regroup<'r> {
        let is_known = |scope: &&Scope| {
            let is_key = |field: &String| {
                let column = scope.table.column(field);
                column.is_some_and(|column| keys.iter().any(|key| key.bound.is_same(&column.bound)))
            };
            let primary = &scope.table.definition.primary_key;
            let primary = primary.as_ref();
            primary.is_some_and(|primary| primary.fields().iter().all(is_key))
        };
        Regroup {
            known: tables.iter().filter(is_known).collect(),
            keys,
            tables,
            prefix,
            groupings: Vec::new(),
        }
    }

    /// For each call of GROUPING, which the aggregates have among them, what it is, made of the places of
    /// its arguments among the keys. Before expressions are turned.
    pub(crate) fn groupings(
        &mut self,
        aggregates: &[Aggregate],
        mut made: impl FnMut(&[usize]) -> Result<Bound, SqlError>,
    ) -> Result<(), SqlError> {
        for aggregate in aggregates {
            self.groupings.push(match aggregate.kind {
                Kind::Grouping => {
                    let place = |bound: &Bound| {
                        let mut keys = self.keys.iter();
                        keys.position(|key| key.bound.is_same(bound))
                    };
                    let places: Option<Vec<_>> = aggregate.arguments.iter().map(place).collect();
                    let message = "arguments to GROUPING must be grouping expressions of the \
                                   associated query level";
                    let wrong = || SqlError::new(sqlstate::GROUPING_ERROR, message);
                    Some(made(&places.ok_or_else(wrong)?)?)
                }
                _ => None,
            });
        }
        Ok(())
    }

    /// The field of a group that a key is.
    pub(crate) fn key(&self, at: usize) -> Bound {
        match &self.keys[at].bound {
            column @ Bound::Column(_) if !self.prefix.is_empty() => column.clone(),
            _ => Bound::Column(Path::field(key_field(&self.prefix, at))),
        }
    }

    pub(crate) fn over_groups(&mut self, bound: &Bound) -> Result<Bound, SqlError> {
        if bound.is_constant() {
            return Ok(bound.clone());
        }
        let known = self.keys.iter().position(|key| key.bound.is_same(bound));
        if let Some(at) = known {
            return Ok(self.key(at));
        }
        match bound {
            Bound::Aggregate(at) if let Some(Some(grouping)) = self.groupings.get(*at) => {
                Ok(grouping.clone())
            }
            Bound::Aggregate(at) => {
                let field = aggregate_field(&self.prefix, *at);
                Ok(Bound::Column(Path::field(field)))
            }
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
            other => self.column(other),
        }
    }

    /// Refuses direct arguments of aggregates that are not of a group.
    pub(crate) fn check(&mut self, aggregates: &[Aggregate]) -> Result<(), SqlError> {
        for bound in aggregates.iter().flat_map(Aggregate::direct) {
            self.over_groups(bound)?;
        }
        Ok(())
    }

    /// What a column that is no key is of a group.
    fn column(&mut self, bound: &Bound) -> Result<Bound, SqlError> {
        let mut columns = self.known.iter().flat_map(|scope| &scope.table.columns);
        if let Some(column) = columns.find(|column| column.bound.is_same(bound)) {
            self.keys.push(Typed::new(bound.clone(), column.sql));
            return Ok(self.key(self.keys.len() - 1));
        }
        for scope in self.tables {
            let mut columns = scope.table.columns.iter();
            if let Some(column) = columns.find(|column| column.bound.is_same(bound)) {
                let (alias, name) = (&scope.alias, &column.name);
                let message = format!(
                    "column \"{alias}.{name}\" must appear in the GROUP BY clause or be used in an \
                     aggregate function"
                );
                return Err(SqlError::new(sqlstate::GROUPING_ERROR, message));
            }
        }
        // Of a query around: the same for all rows.
        Ok(bound.clone())
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
                .map(|at| (aggregate_field("", at), count.clone()))
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
            let mut row: Aggregated = keys.map(|(at, key)| (key_field("", at), key)).collect();
            let aggregates = self.aggregates.iter().zip(accumulators).enumerate();
            for (at, (aggregate, accumulator)) in aggregates {
                let value = aggregate.finish(accumulator, kept)?;
                row.insert(aggregate_field("", at), value);
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
