//! Makes joins of relations that depend on another's rows.
//!
//! The way of Neumann and Kemper, "Unnesting Arbitrary Queries" (BTW 2015): the distinct values that the
//! outer rows have in the columns that are asked for, the *domain*, go down into the relation that
//! asks, where a stage that asked for an outer column finds it among its own. Every stage knows how
//! to take the domain along: groups have it among their keys, windows among their partitions, a
//! LIMIT counts the rows of each of its values. So all is computed once for all outer rows, and whatever a
//! query may be nested in, only joins are left.
//!
//! Where a condition says that an outer column equals something of the inner rows, those rows have the
//! domain already, and it is not joined.

use std::collections::BTreeMap;

use velocitydb_types::{ScalarType, SqlType};

use super::fields::Names;
use super::{Computed, Field, JoinKind, Relation, SetKind, WindowCall, WindowFunction};
use crate::bound::{Bound, Typed};
use crate::error::SqlError;
use crate::statement::Preparing;
use crate::statement::order::Order;

/// What outer rows have in the columns that are asked for.
struct Domain {
    /// Its rows, each once.
    relation: Relation,
    /// The outer columns.
    fields: Vec<Field>,
    /// Whether an outer row for which there is nothing needs no row with nulls.
    lenient: bool,
}

/// A relation that has the domain, and where it has each outer column.
struct Pushed {
    relation: Relation,
    columns: BTreeMap<String, Field>,
    /// Whether all of it is there because it equals a column of the inner rows.
    equal: bool,
}

impl Preparing<'_> {
    /// The same rows, without a part that depends on another's rows.
    ///
    /// # Errors
    /// A recursive query depends on the query around it.
    pub(crate) fn unnest(&mut self, relation: Relation) -> Result<Relation, SqlError> {
        let relation = relation.try_map(&mut |input| self.unnest(input))?;
        let Relation::Join {
            kind,
            left,
            right,
            on,
        } = relation
        else {
            return Ok(relation);
        };
        let asked = right.free();
        let mut fields = left.fields();
        fields.retain(|field| asked.contains(&field.name));
        if fields.is_empty() {
            return Ok(Relation::Join {
                // A row that is always there is beside every row.
                kind: match kind {
                    JoinKind::Left if on.is_none() && right.is_one_row() => JoinKind::Inner,
                    kind => kind,
                },
                left,
                right,
                on,
            });
        }
        let columns = fields.iter().map(|field| Computed {
            field: field.clone(),
            bound: field.column(),
        });
        let domain = Domain {
            relation: Relation::Distinct {
                input: Box::new(Relation::Project {
                    input: left.clone(),
                    columns: columns.collect(),
                }),
                on: Vec::new(),
                order: Vec::new(),
            },
            fields,
            lenient: kind == JoinKind::Left && on.is_none() && right.is_null_of_nothing(),
        };
        let pushed = self.push(*right, &domain)?;
        let mut fits: Vec<Bound> = on.into_iter().collect();
        for field in &domain.fields {
            let own = &pushed.columns[&field.name];
            fits.push(self.equal(field, own, pushed.equal)?);
        }
        Ok(Relation::Join {
            kind,
            left,
            right: Box::new(pushed.relation),
            on: self.all_of(fits)?,
        })
    }

    /// That two columns have the same value; with `strict`, one that is not null.
    fn equal(&mut self, one: &Field, other: &Field, strict: bool) -> Result<Bound, SqlError> {
        let sides = [one, other].map(|field| Typed::new(field.column(), field.sql));
        let name = match strict {
            true => "=",
            false => "is not distinct from",
        };
        self.applied(name, sides.into())
    }

    pub(super) fn all_of(&mut self, mut conditions: Vec<Bound>) -> Result<Option<Bound>, SqlError> {
        Ok(match conditions.len() {
            0 | 1 => conditions.pop(),
            _ => {
                let bool = ScalarType::Bool;
                let conditions = conditions.into_iter().map(|it| Typed::new(it, bool));
                Some(self.applied("and", conditions.collect())?)
            }
        })
    }

    /// The domain under names of its own.
    fn instance(&mut self, domain: &Domain) -> Pushed {
        let fields: Vec<_> = domain
            .fields
            .iter()
            .map(|field| self.field(field.sql))
            .collect();
        let names = domain.fields.iter().map(|field| field.name.clone());
        Pushed {
            columns: names.zip(fields.iter().cloned()).collect(),
            relation: domain.relation.clone().named(fields),
            equal: false,
        }
    }

    /// The relation, with the domain among its columns.
    fn push(&mut self, relation: Relation, domain: &Domain) -> Result<Pushed, SqlError> {
        if !domain.is_asked(&relation) {
            let instance = self.instance(domain);
            return Ok(Pushed {
                relation: match relation {
                    Relation::One => instance.relation,
                    relation => Relation::Join {
                        kind: JoinKind::Inner,
                        left: Box::new(relation),
                        right: Box::new(instance.relation),
                        on: None,
                    },
                },
                ..instance
            });
        }
        match relation {
            Relation::Filter { input, condition } => self.push_filter(*input, condition, domain),
            Relation::Join {
                kind,
                left,
                right,
                on,
            } => self.push_join(kind, *left, *right, on, domain),
            Relation::Aggregate { .. } => self.push_groups(relation, domain),
            Relation::Limit {
                input,
                offset,
                count,
                ties,
            } => self.push_limit(*input, (offset, count, ties), domain),
            Relation::Set {
                kind,
                all,
                fields,
                left,
                right,
            } => self.push_set(kind, all, fields, (*left, *right), domain),
            Relation::Values { fields, rows } => {
                let rows = rows.into_iter().map(|row| {
                    let columns = fields.iter().cloned().zip(row);
                    let columns = columns.map(|(field, bound)| Computed { field, bound });
                    Relation::Project {
                        input: Box::new(Relation::One),
                        columns: columns.collect(),
                    }
                });
                let all = rows.reduce(|left, right| Relation::Set {
                    kind: SetKind::Union,
                    all: true,
                    fields: fields.clone(),
                    left: Box::new(left),
                    right: Box::new(right),
                });
                self.push(all.expect("VALUES has a row"), domain)
            }
            Relation::Project { input, columns } => {
                let mut pushed = self.push(*input, domain)?;
                let mut columns: Vec<_> = columns
                    .into_iter()
                    .map(|column| Computed {
                        bound: pushed.over(&column.bound),
                        field: column.field,
                    })
                    .collect();
                columns.extend(pushed.kept());
                pushed.relation = Relation::Project {
                    input: Box::new(pushed.relation),
                    columns,
                };
                Ok(pushed)
            }
            Relation::Window { input, calls } => {
                let mut pushed = self.push(*input, domain)?;
                let mut calls = calls;
                for (_, call) in &mut calls {
                    for bound in call.bounds_mut() {
                        *bound = pushed.over(bound);
                    }
                    call.partition.extend(pushed.bounds());
                }
                pushed.relation = Relation::Window {
                    input: Box::new(pushed.relation),
                    calls,
                };
                Ok(pushed)
            }
            Relation::Distinct { input, on, order } => {
                let mut pushed = self.push(*input, domain)?;
                let mut on: Vec<_> = on.iter().map(|bound| pushed.over(bound)).collect();
                if !on.is_empty() {
                    on.extend(pushed.bounds());
                }
                pushed.relation = Relation::Distinct {
                    on,
                    order: pushed.orders(order),
                    input: Box::new(pushed.relation),
                };
                Ok(pushed)
            }
            Relation::Sort { input, keys } => {
                let mut pushed = self.push(*input, domain)?;
                pushed.relation = Relation::Sort {
                    keys: pushed.orders(keys),
                    input: Box::new(pushed.relation),
                };
                Ok(pushed)
            }
            Relation::Unfold {
                input,
                mut calls,
                ordinality,
            } => {
                let mut pushed = self.push(*input, domain)?;
                for argument in calls.iter_mut().flat_map(|call| &mut call.arguments) {
                    *argument = pushed.over(argument);
                }
                pushed.relation = Relation::Unfold {
                    input: Box::new(pushed.relation),
                    calls,
                    ordinality,
                };
                Ok(pushed)
            }
            Relation::Recursive { .. } | Relation::Found { .. } => Err(SqlError::unsupported(
                "a recursive query that refers to the query around it",
            )),
            Relation::One | Relation::Scan(_) => unreachable!("they ask for nothing"),
        }
    }

    fn push_filter(
        &mut self,
        input: Relation,
        condition: Bound,
        domain: &Domain,
    ) -> Result<Pushed, SqlError> {
        if !domain.is_asked(&input)
            && let Some(pushed) = self.equated(&input, &condition, domain)
        {
            return Ok(pushed);
        }
        let mut pushed = self.push(input, domain)?;
        pushed.relation = Relation::Filter {
            condition: pushed.over(&condition),
            input: Box::new(pushed.relation),
        };
        Ok(pushed)
    }

    /// The rows of a relation that have all of the domain themselves, since a condition says what equals
    /// its columns.
    fn equated(&mut self, input: &Relation, condition: &Bound, domain: &Domain) -> Option<Pushed> {
        let own = input.names();
        let mut equal: BTreeMap<String, Bound> = BTreeMap::new();
        let mut rest = Vec::new();
        for part in condition.conjuncts() {
            let found = domain.fields.iter().find_map(|field| {
                let other = part.equals(field)?;
                let asks = other.columns();
                let is_own = !asks.is_empty() && asks.is_subset(&own);
                (is_own && !equal.contains_key(&field.name)).then(|| (field, other.clone()))
            });
            match found {
                Some((field, bound)) => {
                    equal.insert(field.name.clone(), bound);
                }
                None => rest.push(part.clone()),
            }
        }
        if equal.len() < domain.fields.len() {
            return None;
        }
        let mut columns: Vec<_> = input
            .fields()
            .into_iter()
            .map(|field| Computed {
                bound: field.column(),
                field,
            })
            .collect();
        let mut places = BTreeMap::new();
        for field in &domain.fields {
            let own = self.field(field.sql);
            columns.push(Computed {
                field: own.clone(),
                bound: equal.remove(&field.name)?,
            });
            places.insert(field.name.clone(), own);
        }
        let mut pushed = Pushed {
            relation: Relation::Project {
                input: Box::new(input.clone()),
                columns,
            },
            columns: places,
            equal: true,
        };
        let rest = rest.iter().map(|part| pushed.over(part)).collect();
        if let Some(condition) = self.all_of(rest).ok()? {
            pushed.relation = Relation::Filter {
                input: Box::new(pushed.relation),
                condition,
            };
        }
        Some(pushed)
    }

    fn push_join(
        &mut self,
        kind: JoinKind,
        left: Relation,
        right: Relation,
        on: Option<Bound>,
        domain: &Domain,
    ) -> Result<Pushed, SqlError> {
        use JoinKind::{Anti, Full, Inner, Left, Right, Semi};
        let mut asks = (domain.is_asked(&left), domain.is_asked(&right));
        let on_asks = on.as_ref().is_some_and(|on| domain.has_any(&on.columns()));
        match kind {
            Inner if on_asks && asks == (false, false) => asks.0 = true,
            Inner => {}
            Left | Semi | Anti => asks.0 = true,
            Right => asks.1 = true,
            Full => asks = (true, true),
        }
        let mut side = |relation, asks| match asks {
            true => self.push(relation, domain).map(Ok),
            false => Ok(Err(relation)),
        };
        let (left, right) = (side(left, asks.0)?, side(right, asks.1)?);
        let join = |left, right, on| Relation::Join {
            kind,
            left: Box::new(left),
            right: Box::new(right),
            on,
        };
        Ok(match (left, right) {
            (Ok(pushed), Err(right)) => {
                let on = on.map(|on| pushed.over(&on));
                Pushed {
                    relation: join(pushed.relation, right, on),
                    ..pushed
                }
            }
            (Err(left), Ok(pushed)) => {
                let on = on.map(|on| pushed.over(&on));
                Pushed {
                    relation: join(left, pushed.relation, on),
                    ..pushed
                }
            }
            (Ok(one), Ok(other)) => {
                let keeps = if kind == Right { &other } else { &one };
                let mut fits: Vec<_> = on.iter().map(|on| keeps.over(on)).collect();
                for field in &domain.fields {
                    let (own, others) = (&one.columns[&field.name], &other.columns[&field.name]);
                    fits.push(self.equal(own, others, one.equal || other.equal)?);
                }
                let on = self.all_of(fits)?;
                if kind != Full {
                    let columns = keeps.columns.clone();
                    // Whether rows without a value were left out of the side that is kept.
                    let equal = match kind {
                        Inner | Semi => one.equal || other.equal,
                        Right => other.equal,
                        _ => one.equal,
                    };
                    return Ok(Pushed {
                        equal,
                        columns,
                        relation: join(one.relation, other.relation, on),
                    });
                }
                let (mut columns, mut places) = (Vec::new(), BTreeMap::new());
                for field in &domain.fields {
                    let sides = [&one, &other].map(|side| {
                        let field = &side.columns[&field.name];
                        Typed::new(field.column(), field.sql)
                    });
                    let own = self.field(field.sql);
                    columns.push(Computed {
                        field: own.clone(),
                        bound: self.applied("coalesce", sides.into())?,
                    });
                    places.insert(field.name.clone(), own);
                }
                let equal = one.equal && other.equal;
                let input = join(one.relation, other.relation, on);
                columns.extend(input.fields().into_iter().map(|field| Computed {
                    bound: field.column(),
                    field,
                }));
                Pushed {
                    relation: Relation::Project {
                        input: Box::new(input),
                        columns,
                    },
                    columns: places,
                    equal,
                }
            }
            (Err(_), Err(_)) => unreachable!("one side at least takes it along"),
        })
    }

    /// Groups: of each value of the domain its own. One group of all rows there is also of a value that
    /// has none.
    fn push_groups(&mut self, relation: Relation, domain: &Domain) -> Result<Pushed, SqlError> {
        let Relation::Aggregate {
            input,
            mut keys,
            mut sets,
            set,
            mut aggregates,
        } = relation
        else {
            unreachable!("it is called with groups");
        };
        if sets.iter().any(Vec::is_empty) {
            let what =
                "a group of all rows among others in a query that refers to the one around it";
            return Err(SqlError::unsupported(what));
        }
        let is_one = keys.is_empty() && sets.is_empty();
        let inner = Domain {
            relation: domain.relation.clone(),
            fields: domain.fields.clone(),
            lenient: false,
        };
        let mut pushed = self.push(*input, &inner)?;
        for (_, aggregate) in &mut aggregates {
            for bound in aggregate.bounds_mut() {
                *bound = pushed.over(bound);
            }
        }
        for key in &mut keys {
            key.bound = pushed.over(&key.bound);
        }
        let first = keys.len();
        keys.extend(pushed.kept());
        for set in &mut sets {
            set.extend(first..keys.len());
        }
        if !is_one || domain.lenient {
            pushed.relation = Relation::Aggregate {
                input: Box::new(pushed.relation),
                keys,
                sets,
                set,
                aggregates,
            };
            return Ok(pushed);
        }
        let mut columns = Vec::new();
        for (field, aggregate) in &mut aggregates {
            let made = self.field(field.sql);
            let outer = std::mem::replace(field, made);
            let bound = match aggregate.kind.of_nothing() {
                None => field.column(),
                Some(none) => {
                    let found = Typed::new(field.column(), field.sql);
                    let none = Typed::new(Bound::Constant(none), field.sql);
                    self.applied("coalesce", vec![found, none])?
                }
            };
            columns.push(Computed {
                field: outer,
                bound,
            });
        }
        let all = self.instance(domain);
        let mut fits = Vec::new();
        for field in &domain.fields {
            let (own, others) = (&all.columns[&field.name], &pushed.columns[&field.name]);
            fits.push(self.equal(own, others, pushed.equal)?);
        }
        columns.extend(all.kept());
        Ok(Pushed {
            relation: Relation::Project {
                input: Box::new(Relation::Join {
                    kind: JoinKind::Left,
                    left: Box::new(all.relation),
                    right: Box::new(Relation::Aggregate {
                        input: Box::new(pushed.relation),
                        keys,
                        sets,
                        set,
                        aggregates,
                    }),
                    on: self.all_of(fits)?,
                }),
                columns,
            },
            columns: all.columns,
            equal: false,
        })
    }

    /// A LIMIT: of each value of the domain so many rows.
    fn push_limit(
        &mut self,
        input: Relation,
        (offset, count, ties): (Option<Bound>, Option<Bound>, bool),
        domain: &Domain,
    ) -> Result<Pushed, SqlError> {
        if ties {
            return Err(SqlError::unsupported(
                "WITH TIES in a query that refers to the one around it",
            ));
        }
        let mut pushed = self.push(input, domain)?;
        let order = match &pushed.relation {
            Relation::Sort { keys, .. } => keys.clone(),
            _ => Vec::new(),
        };
        let int8 = SqlType::from(ScalarType::Int8);
        let number = self.field(int8);
        let call = WindowCall {
            function: WindowFunction::RowNumber,
            arguments: Vec::new(),
            partition: pushed.bounds(),
            order,
            frame: None,
        };
        let at = || Typed::new(number.column(), int8);
        let offset = offset.map(|offset| Typed::new(offset, int8));
        let mut conditions = Vec::new();
        if let Some(count) = count {
            let last = Typed::new(count, int8);
            let last = match &offset {
                Some(offset) => {
                    let sum = self.applied("+", vec![offset.clone(), last])?;
                    Typed::new(sum, int8)
                }
                None => last,
            };
            conditions.push(self.applied("<=", vec![at(), last])?);
        }
        if let Some(offset) = offset {
            conditions.push(self.applied(">", vec![at(), offset])?);
        }
        pushed.relation = Relation::Window {
            input: Box::new(pushed.relation),
            calls: vec![(number, call)],
        };
        if let Some(condition) = self.all_of(conditions)? {
            pushed.relation = Relation::Filter {
                input: Box::new(pushed.relation),
                condition,
            };
        }
        Ok(pushed)
    }

    fn push_set(
        &mut self,
        kind: SetKind,
        all: bool,
        mut fields: Vec<Field>,
        (left, right): (Relation, Relation),
        domain: &Domain,
    ) -> Result<Pushed, SqlError> {
        let mut sides = Vec::new();
        for side in [left, right] {
            let own = side.fields().into_iter().map(|field| Computed {
                bound: field.column(),
                field,
            });
            let mut columns: Vec<_> = own.collect();
            let pushed = self.push(side, domain)?;
            for field in &domain.fields {
                let field = pushed.columns[&field.name].clone();
                let bound = field.column();
                columns.push(Computed { field, bound });
            }
            sides.push(Box::new(Relation::Project {
                input: Box::new(pushed.relation),
                columns,
            }));
        }
        let mut columns = BTreeMap::new();
        for field in &domain.fields {
            let own = self.field(field.sql);
            fields.push(own.clone());
            columns.insert(field.name.clone(), own);
        }
        let (Some(right), Some(left)) = (sides.pop(), sides.pop()) else {
            unreachable!("there are two");
        };
        Ok(Pushed {
            relation: Relation::Set {
                kind,
                all,
                fields,
                left,
                right,
            },
            columns,
            equal: false,
        })
    }
}

impl Domain {
    fn has_any(&self, names: &Names) -> bool {
        self.fields.iter().any(|field| names.contains(&field.name))
    }

    /// Whether a relation asks for a column of it.
    fn is_asked(&self, relation: &Relation) -> bool {
        self.has_any(&relation.free())
    }
}

impl Pushed {
    /// What an expression over the outer columns is over its own.
    fn over(&self, bound: &Bound) -> Bound {
        bound.with_columns(&|name| self.columns.get(name).map(Field::column))
    }

    fn orders(&self, mut orders: Vec<Order>) -> Vec<Order> {
        for order in &mut orders {
            order.by = self.over(&order.by);
        }
        orders
    }

    fn bounds(&self) -> Vec<Bound> {
        self.columns.values().map(Field::column).collect()
    }

    /// The domain's columns, as a stage keeps them.
    fn kept(&self) -> impl Iterator<Item = Computed> {
        self.columns.values().map(|field| Computed {
            field: field.clone(),
            bound: field.column(),
        })
    }
}
