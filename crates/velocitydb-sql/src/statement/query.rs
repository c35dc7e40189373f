//! Binding a SELECT or VALUES.

use sqlparser::ast::{
    self, Distinct, Expr, GroupByExpr, LimitClause, OrderByKind, Query, SelectFlavor, SetExpr,
};
use std::sync::Arc;

use velocitydb::locks::{Mode, Wait};
use velocitydb_types::{ScalarType, SqlType};

use super::Preparing;
use super::from::collection_name;
use super::group::{Grouping, Regroup};
use super::order::{Order, output};
use super::rows::Outputs;
use super::select::{RowLocks, Select};
use super::values::{ListedRows, rows_of_values};
use crate::bind::{Aggregates, Binder, Scope};
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::conditions::Conditions;
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;

impl Preparing<'_> {
    /// A SELECT or VALUES.
    ///
    /// # Errors
    /// Names that are not there, types that do not fit, and what is not supported.
    pub(crate) fn select(&mut self, query: &Query) -> Result<Select, SqlError> {
        self.select_into(query, &[])
    }

    /// The same; outputs of no type of their own are of these.
    pub(super) fn select_into(
        &mut self,
        query: &Query,
        targets: &[SqlType],
    ) -> Result<Select, SqlError> {
        let Query {
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
        if with.is_some() {
            return Err(SqlError::unsupported("WITH"));
        }
        if !pipe_operators.is_empty() {
            return Err(SqlError::unsupported("this form of SELECT"));
        }
        let is_bare =
            locks.is_empty() && order_by.is_none() && limit_clause.is_none() && fetch.is_none();
        let select = match &**body {
            SetExpr::Select(select) => Some(&**select),
            SetExpr::Values(_) if !locks.is_empty() => {
                return Err(SqlError::unsupported("FOR UPDATE of VALUES"));
            }
            SetExpr::Values(_) => None,
            SetExpr::Query(inner) if is_bare => return self.select_into(inner, targets),
            SetExpr::Query(_) => return Err(SqlError::unsupported("nested SELECT")),
            SetExpr::SetOperation { op, .. } => return Err(SqlError::unsupported(op)),
            other => return Err(SqlError::unsupported(format!("{other}"))),
        };
        let mut listed = match select {
            Some(select) => self.listed(&select.from)?,
            None => None,
        };
        let table = match select {
            Some(select) if listed.is_none() && !select.from.is_empty() => {
                Some(self.one_table(&select.from)?)
            }
            _ => None,
        };
        let rows = listed
            .as_mut()
            .map(|listed| std::mem::take(&mut listed.rows));
        let scope = match (&listed, &table) {
            (Some(listed), _) => Some((&listed.table, &listed.alias)),
            (None, Some((table, alias))) => Some((table, alias)),
            (None, None) => None,
        };
        let scope = scope.map(|(table, alias)| Scope::new(Arc::clone(table), alias.as_str()));
        let mut binder = self.binder(scope.as_slice());
        binder.aggregates = Aggregates::Noted(Vec::new());
        let mut parts = match (select, &**body) {
            (Some(select), _) => {
                let rows = rows.unwrap_or_else(ListedRows::one);
                binder.queries.met = rows.queries;
                Parts {
                    values: rows.values,
                    ..parts(select, targets, &mut binder)?
                }
            }
            (None, SetExpr::Values(values)) => {
                let (values, outputs) = rows_of_values(values, &mut binder)?;
                Parts {
                    values,
                    ..Parts::of(outputs)
                }
            }
            (None, _) => unreachable!("looked at above"),
        };
        let mut order = match order_by {
            None => Vec::new(),
            Some(ast::OrderBy {
                kind: OrderByKind::Expressions(keys),
                interpolate: None,
            }) => {
                let keys = keys.iter();
                let keys = keys.map(|key| Order::of_outputs(key, &parts.outputs, &mut binder));
                keys.collect::<Result<_, _>>()?
            }
            Some(other) => return Err(SqlError::unsupported(format!("{other}"))),
        };
        check_distinct(&parts, &order)?;
        let (limit, offset) = limits(limit_clause.as_ref(), fetch.as_ref(), &mut binder)?;
        let grouping = group(&mut parts, &mut order, &mut binder)?;
        let locks = row_locks(locks, scope.as_ref(), &parts, grouping.is_some())?;
        let queries = std::mem::take(&mut binder.queries.met);
        let table = table.map(|(table, _)| table);
        Ok(Select {
            conditions: match &table {
                Some(table) if table.made.is_none() => Conditions::new(parts.condition, table),
                _ => Conditions::of_rows(parts.condition),
            },
            values: parts.values,
            grouping,
            distinct: parts.distinct.map(|(_, keys)| keys),
            outputs: parts.outputs,
            order,
            limit,
            offset,
            queries,
            table,
            locks,
        })
    }
}

/// How the rows of a query are locked: of several clauses by the strongest, and by the most impatient.
fn row_locks(
    locks: &[ast::LockClause],
    scope: Option<&Scope>,
    parts: &Parts,
    grouped: bool,
) -> Result<Option<RowLocks>, SqlError> {
    let mut all: Option<RowLocks> = None;
    for lock in locks {
        let ast::LockClause {
            lock_type,
            of,
            nonblock,
        } = lock;
        let mode = match lock_type {
            ast::LockType::Update => Mode::Update,
            ast::LockType::Share => Mode::Share,
        };
        let with = match parts.distinct {
            Some(_) => Some("DISTINCT clause"),
            None if grouped => Some("GROUP BY, HAVING or aggregate functions"),
            None => None,
        };
        if let Some(with) = with {
            let message = format!("FOR {mode} is not allowed with {with}");
            return Err(SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message));
        }
        if let Some(made) = scope.and_then(|scope| scope.table.made.as_ref()) {
            made.check_changes()?;
        }
        if let Some(of) = of {
            let name = collection_name(of)?;
            if scope.is_none_or(|scope| scope.alias != name) {
                let message =
                    format!("relation {name:?} in FOR {mode} clause not found in FROM clause");
                return Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message));
            }
        }
        let wait = match nonblock {
            None => Wait::Block,
            Some(ast::NonBlock::SkipLocked) => Wait::SkipLocked,
            Some(ast::NonBlock::Nowait) => Wait::NoWait,
        };
        all = Some(match all {
            None => RowLocks { mode, wait },
            Some(before) => RowLocks {
                mode: mode.max(before.mode),
                wait: match (before.wait, wait) {
                    (Wait::NoWait, _) | (_, Wait::NoWait) => Wait::NoWait,
                    (Wait::SkipLocked, _) | (_, Wait::SkipLocked) => Wait::SkipLocked,
                    _ => Wait::Block,
                },
            },
        });
    }
    Ok(all)
}

/// What stands between SELECT and ORDER BY.
pub(crate) struct Parts {
    values: Vec<Vec<Bound>>,
    pub(crate) outputs: Outputs,
    pub(crate) condition: Option<Bound>,
    pub(crate) group_by: Vec<Typed>,
    /// Which of these keys make groups together; of GROUPING SETS there are several such sets.
    pub(crate) sets: Vec<Vec<usize>>,
    pub(crate) having: Option<Bound>,
    /// Whether it says GROUP BY.
    pub(crate) grouped: bool,
    /// Whether of outputs, or ON what is named.
    pub(crate) distinct: Option<(Of, Vec<Bound>)>,
}

#[derive(PartialEq, Eq)]
pub(crate) enum Of {
    Outputs,
    Named,
}

impl Parts {
    /// What answers these alone, of no rows.
    fn of(outputs: Outputs) -> Parts {
        Parts {
            values: Vec::new(),
            outputs,
            condition: None,
            group_by: Vec::new(),
            sets: Vec::new(),
            having: None,
            grouped: false,
            distinct: None,
        }
    }
}

pub(crate) fn parts(
    select: &ast::Select,
    targets: &[SqlType],
    binder: &mut Binder<'_>,
) -> Result<Parts, SqlError> {
    let ast::Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers: None,
        top: None,
        top_before_distinct: _,
        projection,
        exclude: None,
        into,
        from: _,
        lateral_views,
        prewhere: None,
        selection,
        connect_by,
        group_by: GroupByExpr::Expressions(group_by, modifiers),
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify: None,
        window_before_qualify: _,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    } = select
    else {
        return Err(SqlError::unsupported("this form of SELECT"));
    };
    if into.is_some() {
        return Err(SqlError::unsupported("SELECT INTO"));
    }
    if !modifiers.is_empty() {
        return Err(SqlError::unsupported("GROUP BY … WITH"));
    }
    if !named_window.is_empty() && binder.queries.relational.is_none() {
        return Err(SqlError::unsupported("WINDOW"));
    }
    binder.name_windows(named_window)?;
    let plain = optimizer_hints.is_empty()
        && lateral_views.is_empty()
        && connect_by.is_empty()
        && cluster_by.is_empty()
        && distribute_by.is_empty()
        && sort_by.is_empty();
    if !plain {
        return Err(SqlError::unsupported("this form of SELECT"));
    }
    let outputs = Outputs::new(projection, targets, binder)?;
    let condition = match selection {
        None => None,
        Some(condition) => Some(binder.without_aggregates("WHERE", |binder| {
            let typed = binder.bind(condition)?;
            binder.condition(typed, "WHERE")
        })?),
    };
    let grouped = !group_by.is_empty();
    let (group_by, sets) = binder.without_aggregates("GROUP BY", |binder| {
        grouping_sets(group_by, &outputs, binder)
    })?;
    if sets.len() > 1 && binder.queries.relational.is_none() {
        return Err(SqlError::unsupported("GROUPING SETS, ROLLUP and CUBE"));
    }
    let having = match having {
        None => None,
        Some(having) => {
            let typed = binder.bind(having)?;
            Some(binder.condition(typed, "HAVING")?)
        }
    };
    let distinct = match distinct {
        None | Some(Distinct::All) => None,
        Some(Distinct::Distinct) => Some((Of::Outputs, outputs.bound.clone())),
        Some(Distinct::On(keys)) => {
            let mut on = Vec::new();
            for key in keys {
                on.push(match output(key, &outputs, "DISTINCT ON")? {
                    Some(at) => outputs.bound[at].clone(),
                    None => named_or_bound(key, "DISTINCT ON", &outputs, binder)?.bound,
                });
            }
            Some((Of::Named, on))
        }
    };
    Ok(Parts {
        condition,
        group_by,
        sets,
        having,
        grouped,
        distinct,
        ..Parts::of(outputs)
    })
}

/// What a name means that is an output's or else a column's.
fn named_or_bound(
    expr: &Expr,
    clause: &str,
    outputs: &Outputs,
    binder: &mut Binder<'_>,
) -> Result<Typed, SqlError> {
    if let Expr::Identifier(name) = expr
        && let Some(at) = outputs.named(&folded(name), clause)?
    {
        let sql = outputs.columns[at].sql;
        return Ok(Typed::new(outputs.bound[at].clone(), sql));
    }
    binder.bind_output(expr)
}

/// The keys of GROUP BY, each once, and the sets of them that make groups: one, unless the statement
/// names several.
fn grouping_sets(
    group_by: &[Expr],
    outputs: &Outputs,
    binder: &mut Binder<'_>,
) -> Result<(Vec<Typed>, Vec<Vec<usize>>), SqlError> {
    let (mut keys, mut all): (Vec<Typed>, _) = (Vec::new(), vec![Vec::new()]);
    for expr in group_by {
        let lists = lists_of(expr)?;
        let mut sets = Vec::new();
        for list in lists {
            let mut set = Vec::new();
            for key in list {
                let key = group_key(key, outputs, binder)?;
                let known = keys
                    .iter()
                    .position(|known| known.bound.is_same(&key.bound));
                set.push(known.unwrap_or(keys.len()));
                if known.is_none() {
                    keys.push(key);
                }
            }
            sets.push(set);
        }
        let combined = |one: &Vec<usize>| {
            let one = one.clone();
            sets.iter().map(move |other| [&one[..], other].concat())
        };
        all = all.iter().flat_map(combined).collect();
        if all.len() > SETS_MAX {
            let what = format!("more than {SETS_MAX} grouping sets");
            return Err(SqlError::unsupported(what));
        }
    }
    Ok((keys, all))
}

/// The sets of keys that a part of GROUP BY means.
fn lists_of(expr: &Expr) -> Result<Vec<Vec<&Expr>>, SqlError> {
    Ok(match expr {
        Expr::GroupingSets(sets) => {
            let mut lists = Vec::new();
            for set in sets {
                match &set[..] {
                    // ROLLUP and CUBE within are calls to the parser.
                    [Expr::Function(function)] if let Some((name, parts)) = nested(function) => {
                        lists.extend(match name.as_str() {
                            "rollup" => rollup(&parts),
                            _ => cube(&parts)?,
                        });
                    }
                    keys => lists.push(keys.iter().collect()),
                }
            }
            lists
        }
        Expr::Rollup(parts) => rollup(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        Expr::Cube(parts) => cube(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())?,
        Expr::Tuple(parts) => vec![parts.iter().collect()],
        one => vec![vec![one]],
    })
}

fn rollup<'e>(parts: &[&'e [Expr]]) -> Vec<Vec<&'e Expr>> {
    let ends = (0..=parts.len()).rev();
    ends.map(|end| parts[..end].iter().copied().flatten().collect())
        .collect()
}

fn cube<'e>(parts: &[&'e [Expr]]) -> Result<Vec<Vec<&'e Expr>>, SqlError> {
    if parts.len() > CUBE_MAX {
        let what = format!("CUBE of more than {CUBE_MAX} keys");
        return Err(SqlError::unsupported(what));
    }
    let sets = (0..1_usize << parts.len()).rev();
    let has = |set: usize, at: usize| set >> (parts.len() - 1 - at) & 1 == 1;
    let keys = sets.map(|set| {
        let parts = parts.iter().enumerate();
        let parts = parts.filter(|(at, _)| has(set, *at));
        parts.flat_map(|(_, part)| part.iter()).collect()
    });
    Ok(keys.collect())
}

/// What looks like a call and is ROLLUP or CUBE: which of them, and its parts.
fn nested(function: &ast::Function) -> Option<(String, Vec<&[Expr]>)> {
    let [ast::ObjectNamePart::Identifier(name)] = &function.name.0[..] else {
        return None;
    };
    let name = folded(name);
    let ast::FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let parts = list.args.iter().map(|argument| match argument {
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(Expr::Tuple(parts))) => {
            Some(&parts[..])
        }
        ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(one)) => {
            Some(std::slice::from_ref(one))
        }
        _ => None,
    });
    let parts = parts.collect::<Option<Vec<_>>>()?;
    ["rollup", "cube"]
        .contains(&name.as_str())
        .then_some((name, parts))
}

/// As many keys as a CUBE may have, in PostgreSQL too …
const CUBE_MAX: usize = 12;

/// … and as many sets of keys as a statement.
const SETS_MAX: usize = 4096;

/// A key of GROUP BY: the number of an output, a column, the name of an output, an expression.
fn group_key(key: &Expr, outputs: &Outputs, binder: &mut Binder<'_>) -> Result<Typed, SqlError> {
    if let Some(at) = output(key, outputs, "GROUP BY")? {
        let bound = outputs.bound[at].clone();
        if bound.has_aggregate() {
            let message = "aggregate functions are not allowed in GROUP BY";
            return Err(SqlError::new(sqlstate::GROUPING_ERROR, message));
        }
        return Ok(Typed::new(bound, outputs.columns[at].sql));
    }
    match key {
        Expr::Identifier(name) if !binder.has_column(&folded(name)) => {
            let typed = named_or_bound(key, "GROUP BY", outputs, binder)?;
            if typed.bound.has_aggregate() {
                let message = "aggregate functions are not allowed in GROUP BY";
                return Err(SqlError::new(sqlstate::GROUPING_ERROR, message));
            }
            Ok(typed)
        }
        key => binder.bind_output(key),
    }
}

/// Refuses an order that DISTINCT leaves no room for.
pub(crate) fn check_distinct(parts: &Parts, order: &[Order]) -> Result<(), SqlError> {
    let Some((of, keys)) = &parts.distinct else {
        return Ok(());
    };
    let is_key = |order: &Order| keys.iter().any(|key| key.is_same(&order.by));
    let (fits, message) = match of {
        Of::Outputs => (
            order.iter().all(is_key),
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
        ),
        Of::Named => {
            let first = order.iter().position(|order| !is_key(order));
            let begin = &order[..first.unwrap_or(order.len())];
            let all = keys
                .iter()
                .all(|key| begin.iter().any(|order| order.by.is_same(key)));
            (
                all || first.is_none(),
                "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
            )
        }
    };
    match fits {
        true => Ok(()),
        false => Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message)),
    }
}

/// How many rows, and from which on.
pub(crate) fn limits(
    clause: Option<&LimitClause>,
    fetch: Option<&ast::Fetch>,
    binder: &mut Binder<'_>,
) -> Result<(Option<Bound>, Option<Bound>), SqlError> {
    let (limit, offset) = match clause {
        None => (None, None),
        Some(LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        }) if limit_by.is_empty() => (limit.as_ref(), offset.as_ref().map(|offset| &offset.value)),
        Some(other) => return Err(SqlError::unsupported(format!("{other}"))),
    };
    binder.without_aggregates("LIMIT", |binder| {
        let mut count = |expr: Option<&Expr>| {
            let count = |expr| {
                let typed = binder.bind(expr)?;
                if !typed.bound.is_constant() {
                    let message = "argument of LIMIT must not contain variables";
                    return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
                }
                binder.cast(typed, ScalarType::Int8.into(), CastContext::Assignment)
            };
            expr.map(count).transpose()
        };
        let (mut limit, offset) = (count(limit)?, count(offset)?);
        match fetch {
            None => {}
            Some(ast::Fetch {
                with_ties: false,
                percent: false,
                quantity,
            }) if limit.is_none() => {
                let one = Bound::Constant(1.into());
                limit = count(quantity.as_ref())?.or(Some(one));
            }
            Some(other) => return Err(SqlError::unsupported(format!("{other}"))),
        }
        Ok((limit, offset))
    })
}

/// The grouping, if there is one: then outputs, order and all else are of its rows.
fn group(
    parts: &mut Parts,
    order: &mut [Order],
    binder: &mut Binder<'_>,
) -> Result<Option<Grouping>, SqlError> {
    let aggregates = binder.aggregates.noted().to_vec();
    if aggregates.is_empty() && !parts.grouped && parts.having.is_none() {
        return Ok(None);
    }
    let keys = std::mem::take(&mut parts.group_by);
    let named = keys.len();
    let mut regroup = Regroup::new(keys, binder.tables, String::new());
    // There is one set of keys.
    regroup.groupings(&aggregates, |_| Ok(Bound::Constant(0.into())))?;
    let distinct = parts.distinct.iter_mut().flat_map(|(_, keys)| keys);
    let orders = order.iter_mut().map(|order| &mut order.by);
    let outputs = parts.outputs.bound.iter_mut();
    for bound in outputs
        .chain(&mut parts.having)
        .chain(distinct)
        .chain(orders)
    {
        *bound = regroup.over_groups(bound)?;
    }
    regroup.check(&aggregates)?;
    Ok(Some(Grouping {
        keys: regroup.keys.into_iter().map(|key| key.bound).collect(),
        named,
        aggregates,
        having: parts.having.take(),
    }))
}
