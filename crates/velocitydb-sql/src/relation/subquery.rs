//! Queries in expressions, which may depend on the row that the expression is asked of.
//!
//! Where a binder meets one it notes it as pending, and the expression becomes a column. The stage that
//! asks for the column brings the query in, as a join with the rows that it is asked of: for a value
//! the only row of the query there is; for a condition of WHERE the rows that have one, or have none.

use sqlparser::ast::{Expr, Query as Tree};
use velocitydb_types::{ScalarType, SqlType, Value};

use super::fields::Names;
use super::{Aggregate, AggregateKind, Computed, Field, JoinKind, Query, Relation};
use crate::bind::Binder;
use crate::bound::{Bound, Typed};
use crate::error::{SqlError, sqlstate};
use crate::statement::Preparing;
use crate::statement::order::Order;

/// A query that an expression has met, and the column that stands for its answer.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    field: Field,
    query: Relation,
    wanted: Wanted,
}

/// What the expression wants of its rows.
#[derive(Debug, Clone)]
enum Wanted {
    /// The value of the only one.
    Value,
    /// The values of all.
    Values,
    /// Whether there is one.
    Exists,
    /// Whether this is true of any, or of all.
    Test { test: Bound, all: bool },
}

impl Pending {
    /// The columns that it asks of the rows around.
    pub(super) fn free(&self) -> Names {
        let mut free = self.query.free();
        if let Wanted::Test { test, .. } = &self.wanted {
            free.extend(&test.columns() - &self.query.names());
        }
        free
    }
}

/// Refuses queries where nothing can bring them in.
pub(super) fn none(pending: &[Pending]) -> Result<(), SqlError> {
    match pending {
        [] => Ok(()),
        _ => Err(SqlError::unsupported("a sub-select here")),
    }
}

impl Binder<'_> {
    fn pending(&mut self, query: Relation, sql: SqlType, wanted: Wanted) -> Typed {
        let field = Field {
            name: self.parameters.fresh(),
            sql,
        };
        let column = field.column();
        self.queries.pending.push(Pending {
            field,
            query,
            wanted,
        });
        Typed::new(column, sql)
    }

    /// A query in an expression, bound with the tables here around it.
    fn sub_query(&mut self, query: &Tree) -> Result<Query, SqlError> {
        let Some(definitions) = self.queries.definitions else {
            return Err(SqlError::unsupported("a sub-select here"));
        };
        let mut outer = self.queries.around.clone();
        outer.push(self.tables.into());
        let mut preparing = Preparing {
            definitions,
            sql: self.sql,
            settings: self.settings,
            sequences: self.sequences,
            effects: self.effects,
            overriding: None,
            parameters: &mut *self.parameters,
            outer,
            planner: None,
            relational: self.queries.relational.clone(),
        };
        preparing.relation(query)
    }

    /// A query of one column.
    fn sub_column(&mut self, query: &Tree, many: &str) -> Result<(Relation, Field), SqlError> {
        let query = self.sub_query(query)?;
        match &query.relation.fields()[..] {
            [field] => Ok((query.relation, field.clone())),
            _ => Err(SqlError::new(sqlstate::SYNTAX_ERROR, many)),
        }
    }

    pub(crate) fn value_of(&mut self, query: &Tree) -> Result<Typed, SqlError> {
        let (query, field) = self.sub_column(query, "subquery must return only one column")?;
        Ok(self.pending(query, field.sql, Wanted::Value))
    }

    pub(crate) fn values_of(&mut self, query: &Tree) -> Result<Typed, SqlError> {
        let (query, field) = self.sub_column(query, "subquery must return only one column")?;
        let SqlType::Scalar(element) = field.sql else {
            return Err(SqlError::unsupported("an array of several dimensions"));
        };
        Ok(self.pending(query, SqlType::Array(element), Wanted::Values))
    }

    pub(crate) fn exists_in(&mut self, query: &Tree) -> Result<Typed, SqlError> {
        let query = self.sub_query(query)?;
        Ok(self.pending(query.relation, ScalarType::Bool.into(), Wanted::Exists))
    }

    /// `left operator ANY (query)`, of one expression or a row of several.
    pub(crate) fn test_of(
        &mut self,
        left: &Expr,
        operator: &str,
        query: &Tree,
        all: bool,
    ) -> Result<Typed, SqlError> {
        let left = match left {
            Expr::Tuple(parts) => parts.iter().map(|part| self.bind(part)).collect(),
            one => self.bind(one).map(|one| vec![one]),
        }?;
        let query = self.sub_query(query)?.relation;
        let fields = query.fields();
        if fields.len() != left.len() {
            let message = match fields.len() < left.len() {
                true => "subquery has too few columns",
                false => "subquery has too many columns",
            };
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let pairs = left.into_iter().zip(&fields);
        let tests = pairs.map(|(left, field)| {
            let right = Typed::new(field.column(), field.sql);
            self.apply(operator, vec![left, right])
        });
        let mut tests = tests.collect::<Result<Vec<_>, _>>()?;
        let test = match (tests.len(), operator) {
            (1, _) => tests.remove(0),
            (_, "=") => self.apply("and", tests)?,
            (_, "<>") => self.apply("or", tests)?,
            _ => return Err(SqlError::unsupported("an order of rows")),
        };
        let bool = ScalarType::Bool.into();
        if test.sql != Some(bool) {
            let message = "operator does not return boolean";
            return Err(SqlError::new(sqlstate::WRONG_OBJECT_TYPE, message));
        }
        let wanted = Wanted::Test {
            test: test.bound,
            all,
        };
        Ok(self.pending(query, bool, wanted))
    }
}

impl Preparing<'_> {
    /// A function of bound arguments.
    pub(super) fn applied(&mut self, name: &str, of: Vec<Typed>) -> Result<Bound, SqlError> {
        Ok(self.binder(&[]).apply(name, of)?.bound)
    }

    /// The rows, with the answers of those queries that the expressions ask for. What they do not ask
    /// for stays pending.
    pub(super) fn with_queries(
        &mut self,
        mut relation: Relation,
        bounds: &[&Bound],
        pending: &mut Vec<Pending>,
    ) -> Result<Relation, SqlError> {
        let mut asked: Names = bounds.iter().flat_map(|bound| bound.columns()).collect();
        let mut wanted = Vec::new();
        // One may ask for those that were met before it.
        for at in (0..pending.len()).rev() {
            if asked.contains(&pending[at].field.name) {
                let query = pending.remove(at);
                asked.extend(query.free());
                wanted.push(query);
            }
        }
        for query in wanted.into_iter().rev() {
            relation = self.with_answer(relation, query)?;
        }
        Ok(relation)
    }

    /// The rows for which a condition is true.
    pub(super) fn filter(
        &mut self,
        mut relation: Relation,
        condition: Bound,
        pending: &mut Vec<Pending>,
    ) -> Result<Relation, SqlError> {
        let mut rest = Vec::new();
        let mut joins = Vec::new();
        for part in condition.conjuncts() {
            let (column, negated) = match part {
                Bound::Apply {
                    function,
                    arguments,
                    ..
                } if function.name() == "not" => (&arguments[0], true),
                part => (part, false),
            };
            let is_it = |pending: &Pending| match column {
                Bound::Column(path) => *path.first() == *pending.field.name,
                _ => false,
            };
            let found = pending.iter().position(is_it);
            // One that depends on no row is asked once, and not for each.
            let found = found.filter(|at| match pending[*at].wanted {
                Wanted::Exists => !pending[*at].free().is_empty(),
                Wanted::Test { .. } => true,
                Wanted::Value | Wanted::Values => false,
            });
            match found {
                Some(at) => joins.push((pending.remove(at), negated)),
                None => rest.push(part.clone()),
            }
        }
        // What asks for no query comes first: queries are about the rows that are left.
        let asks = |part: &Bound| {
            let columns = part.columns();
            pending
                .iter()
                .any(|query| columns.contains(&query.field.name))
        };
        let (rest, plain): (Vec<_>, Vec<_>) = rest.into_iter().partition(asks);
        relation = self.filtered(relation, plain)?;
        let bounds: Vec<_> = rest.iter().collect();
        relation = self.with_queries(relation, &bounds, pending)?;
        relation = self.filtered(relation, rest)?;
        for (query, negated) in joins {
            let test = match &query.wanted {
                Wanted::Test { test, .. } => vec![test],
                _ => Vec::new(),
            };
            relation = self.with_queries(relation, &test, pending)?;
            relation = self.semi_join(relation, query, negated)?;
        }
        Ok(relation)
    }

    /// The rows for which all of these are true.
    fn filtered(&mut self, relation: Relation, all: Vec<Bound>) -> Result<Relation, SqlError> {
        Ok(match self.all_of(all)? {
            None => relation,
            Some(condition) => Relation::Filter {
                input: Box::new(relation),
                condition,
            },
        })
    }

    /// The rows for which a query has a row that fits, or has none.
    fn semi_join(
        &mut self,
        left: Relation,
        query: Pending,
        negated: bool,
    ) -> Result<Relation, SqlError> {
        let bool = ScalarType::Bool;
        let (kind, on) = match (query.wanted, negated) {
            (Wanted::Test { test, all: false }, false) => (JoinKind::Semi, Some(test)),
            (Wanted::Test { test, all: true }, false) => {
                let fails = self.applied("is not true", vec![Typed::new(test, bool)])?;
                (JoinKind::Anti, Some(fails))
            }
            (Wanted::Test { test, all: false }, true) => {
                let fits = self.applied("is not false", vec![Typed::new(test, bool)])?;
                (JoinKind::Anti, Some(fits))
            }
            (Wanted::Test { test, all: true }, true) => {
                let fails = self.applied("is false", vec![Typed::new(test, bool)])?;
                (JoinKind::Semi, Some(fails))
            }
            (_, false) => (JoinKind::Semi, None),
            (_, true) => (JoinKind::Anti, None),
        };
        Ok(Relation::Join {
            kind,
            left: Box::new(left),
            right: Box::new(query.query),
            on,
        })
    }

    /// The rows, each beside the only row of a query that has the answer.
    fn with_answer(&mut self, relation: Relation, pending: Pending) -> Result<Relation, SqlError> {
        let Pending {
            field,
            query,
            wanted,
        } = pending;
        let bool = SqlType::from(ScalarType::Bool);
        let right = match wanted {
            Wanted::Value => {
                let value = only(&query);
                let aggregate = aggregate(AggregateKind::Only, vec![value.column()], value.sql);
                self.one_row(query, aggregate, field)
            }
            Wanted::Values => {
                let value = only(&query);
                let (query, order) = ordered(query);
                let kind = AggregateKind::Array;
                let aggregate = Aggregate {
                    order,
                    ..aggregate(kind, vec![value.column()], field.sql)
                };
                let (made, sql) = (self.field(field.sql), field.sql);
                let found = Typed::new(made.column(), sql);
                let none = Typed::new(Bound::Constant(Value::Array(Vec::new())), sql);
                let bound = self.applied("coalesce", vec![found, none])?;
                let input = Box::new(self.one_row(query, aggregate, made));
                Relation::Project {
                    input,
                    columns: vec![Computed { field, bound }],
                }
            }
            Wanted::Exists => {
                let made = self.field(ScalarType::Int8.into());
                let count = Typed::new(made.column(), ScalarType::Int8);
                let none = Typed::new(Bound::Constant(0.into()), ScalarType::Int8);
                let bound = self.applied(">", vec![count, none])?;
                let aggregate = aggregate(AggregateKind::CountAll, Vec::new(), made.sql);
                let input = Box::new(self.one_row(query, aggregate, made));
                Relation::Project {
                    input,
                    columns: vec![Computed { field, bound }],
                }
            }
            Wanted::Test { test, all } => {
                // Of all answers the one that decides, or else whether one was null.
                let (decisive, unknown) = (self.field(bool), self.field(bool));
                let tested = self.field(bool);
                let is_null = Typed::new(tested.column(), bool);
                let is_null = self.applied("is null", vec![is_null])?;
                let query = Relation::Project {
                    input: Box::new(query),
                    columns: vec![Computed {
                        field: tested.clone(),
                        bound: test,
                    }],
                };
                let kind = match all {
                    true => AggregateKind::All,
                    false => AggregateKind::Some,
                };
                let decides = aggregate(kind, vec![tested.column()], bool);
                let any_null = aggregate(AggregateKind::Some, vec![is_null], bool);
                let grouped = Relation::Aggregate {
                    input: Box::new(query),
                    keys: Vec::new(),
                    sets: Vec::new(),
                    set: None,
                    aggregates: vec![(decisive.clone(), decides), (unknown.clone(), any_null)],
                };
                let typed = |bound| Typed::new(bound, bool);
                let constant = |value: Value| typed(Bound::Constant(value));
                let test = match all {
                    true => "is false",
                    false => "is true",
                };
                let decided = self.applied(test, vec![typed(decisive.column())])?;
                let case = vec![
                    typed(decided),
                    constant((!all).into()),
                    typed(unknown.column()),
                    constant(Value::Null),
                    constant(all.into()),
                ];
                let bound = self.applied("case", case)?;
                Relation::Project {
                    input: Box::new(grouped),
                    columns: vec![Computed { field, bound }],
                }
            }
        };
        Ok(Relation::Join {
            kind: JoinKind::Left,
            left: Box::new(relation),
            right: Box::new(right),
            on: None,
        })
    }

    /// The one row that an aggregate of all rows makes.
    fn one_row(&mut self, query: Relation, aggregate: Aggregate, field: Field) -> Relation {
        Relation::Aggregate {
            input: Box::new(query),
            keys: Vec::new(),
            sets: Vec::new(),
            set: None,
            aggregates: vec![(field, aggregate)],
        }
    }
}

/// The only column of a query.
fn only(query: &Relation) -> Field {
    query.fields().remove(0)
}

/// A call of an aggregate.
pub(super) fn aggregate(kind: AggregateKind, arguments: Vec<Bound>, result: SqlType) -> Aggregate {
    Aggregate {
        kind,
        arguments,
        distinct: false,
        order: Vec::new(),
        filter: None,
        result,
    }
}

/// A query, and the order in which its rows come, by columns that it has.
fn ordered(query: Relation) -> (Relation, Vec<Order>) {
    let sorted = match &query {
        Relation::Project { input, columns } => match &**input {
            Relation::Sort { keys, .. } => Some((columns.clone(), keys.clone())),
            Relation::Limit { input, .. } => match &**input {
                Relation::Sort { keys, .. } => Some((columns.clone(), keys.clone())),
                _ => None,
            },
            _ => None,
        },
        Relation::Sort { keys, .. } => return (query.clone(), keys.clone()),
        Relation::Limit { input, .. } => match &**input {
            Relation::Sort { keys, .. } => return (query.clone(), keys.clone()),
            _ => None,
        },
        _ => None,
    };
    let (Some((mut columns, keys)), Relation::Project { input, .. }) = (sorted, &query) else {
        return (query, Vec::new());
    };
    // What it is sorted by goes along.
    let known: Names = columns
        .iter()
        .map(|column| column.field.name.clone())
        .collect();
    for field in input.fields() {
        if !known.contains(&field.name) {
            let bound = field.column();
            columns.push(Computed { field, bound });
        }
    }
    let query = Relation::Project {
        input: input.clone(),
        columns,
    };
    (query, keys)
}
