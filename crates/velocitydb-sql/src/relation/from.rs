//! FROM: tables, joins, and what stands in the place of tables.

use std::sync::Arc;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, JoinConstraint, JoinOperator, ObjectName, TableAlias,
    TableAliasColumnDef, TableFactor, TableFunctionArgs, TableWithJoins,
};
use velocitydb::Definition;
use velocitydb_types::{ScalarType, SqlType};

use super::subquery::Pending;
use super::{Computed, Field, JoinKind, Query, Relation, Scan, UnfoldCall};
use crate::bind::{Aggregates, Scope};
use crate::bound::{Bound, Typed};
use crate::casts::CastContext;
use crate::catalog;
use crate::error::{SqlError, sqlstate};
use crate::functions::{common_type, type_name};
use crate::parse::folded;
use crate::statement::{Preparing, collection_name};
use crate::table::{self, Table};

/// Rows, and the tables that the statement takes them for.
pub(super) struct Source {
    pub(super) relation: Relation,
    pub(super) scopes: Vec<Scope>,
}

/// A table of these columns, whose fields are called otherwise.
fn table_of(alias: &str, columns: impl IntoIterator<Item = (String, SqlType, Bound)>) -> Table {
    let columns = columns.into_iter().map(|(name, sql, bound)| table::Column {
        name,
        sql,
        bound,
        required: false,
        default: None,
    });
    Table::of_values(Definition::new(alias), columns.collect())
}

/// The names of columns, the first of which an alias may rename.
pub(super) fn renamed(
    alias: &str,
    names: Vec<String>,
    given: &[TableAliasColumnDef],
) -> Result<Vec<String>, SqlError> {
    let (available, specified) = (names.len(), given.len());
    if specified > available {
        let message = format!(
            "table {alias:?} has {available} columns available but {specified} columns specified"
        );
        return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
    }
    let mut given = given.iter();
    let name = |name| {
        given
            .next()
            .map_or(name, |column: &TableAliasColumnDef| folded(&column.name))
    };
    Ok(names.into_iter().map(name).collect())
}

impl Preparing<'_> {
    /// A column that is called as no other.
    pub(super) fn field(&mut self, sql: SqlType) -> Field {
        Field {
            name: self.parameters.fresh(),
            sql,
        }
    }

    /// What stands behind FROM: one row of nothing without one.
    pub(super) fn from(&mut self, from: &[TableWithJoins]) -> Result<Source, SqlError> {
        let mut all = Source {
            relation: Relation::One,
            scopes: Vec::new(),
        };
        for item in from {
            let item = self.item(item, &all.scopes)?;
            all = beside(all, item, JoinKind::Inner, None)?;
        }
        Ok(all)
    }

    /// One item of a FROM; `before`: what stands before it.
    fn item(&mut self, item: &TableWithJoins, before: &[Scope]) -> Result<Source, SqlError> {
        let mut left = self.factor(&item.relation, before)?;
        for join in &item.joins {
            let before = [before, &left.scopes].concat();
            let right = self.factor(&join.relation, &before)?;
            left = self.join(left, right, &join.join_operator)?;
        }
        Ok(left)
    }

    fn factor(&mut self, factor: &TableFactor, before: &[Scope]) -> Result<Source, SqlError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                self.named(name, alias.as_ref())
            }
            TableFactor::Derived {
                lateral,
                subquery,
                alias,
                sample: None,
            } => {
                let Some(alias) = alias else {
                    let message = "subquery in FROM must have an alias";
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                };
                let query = match lateral {
                    true => self.behind(before, |preparing| preparing.relation(subquery))?,
                    false => self.relation(subquery)?,
                };
                self.derived(query, alias)
            }
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.item(table_with_joins, before),
            TableFactor::Table {
                name,
                alias,
                args:
                    Some(TableFunctionArgs {
                        args,
                        settings: None,
                    }),
                with_ordinality,
                ..
            } => self.function(name, args, *with_ordinality, alias.as_ref(), before),
            TableFactor::Function {
                lateral: _,
                name,
                args,
                with_ordinality,
                alias,
            } => self.function(name, args, *with_ordinality, alias.as_ref(), before),
            TableFactor::UNNEST {
                alias,
                array_exprs,
                with_offset: false,
                with_offset_alias: None,
                with_ordinality,
            } => self.unfold(
                "unnest",
                array_exprs,
                *with_ordinality,
                alias.as_ref(),
                before,
            ),
            other => Err(SqlError::unsupported(format!("FROM {other}"))),
        }
    }

    /// What `bind` answers, with these tables around.
    fn behind<T>(
        &mut self,
        before: &[Scope],
        bind: impl FnOnce(&mut Self) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.outer.push(before.into());
        let bound = bind(self);
        self.outer.pop();
        bound
    }

    /// A table, or a query that WITH has named.
    fn named(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> Result<Source, SqlError> {
        let last = name.0.last().and_then(|part| part.as_ident()).map(folded);
        let given = |table: &str| match alias {
            Some(alias) => folded(&alias.name),
            None => last.clone().unwrap_or_else(|| table.to_owned()),
        };
        let columns = alias.map_or(&[][..], |alias| &alias.columns);
        if let ([_], Some(last)) = (&name.0[..], &last)
            && let Some(query) = self.with_query(last)?
        {
            let alias = given(last);
            return self.query_as(query, &alias, columns);
        }
        let table = match catalog::table(&collection_name(name)?, self.effects) {
            Some(table) => Arc::new(table),
            None => self.table(name)?,
        };
        let alias = given(table.name());
        let names = table.columns.iter().map(|column| column.name.clone());
        let names = renamed(&alias, names.collect(), columns)?;
        let mut scan = Scan {
            table: Arc::clone(&table),
            alias: alias.clone(),
            columns: Vec::with_capacity(names.len()),
        };
        let mut seen = Table::clone(&table);
        for (column, name) in seen.columns.iter_mut().zip(names) {
            let field = self.field(column.sql);
            let bound = std::mem::replace(&mut column.bound, field.column());
            column.name = name;
            scan.columns.push(Computed { field, bound });
        }
        seen.name_columns();
        Ok(Source {
            relation: Relation::Scan(scan),
            scopes: vec![Scope::new(Arc::new(seen), alias)],
        })
    }

    fn derived(&mut self, query: Query, alias: &TableAlias) -> Result<Source, SqlError> {
        if alias.at.is_some() {
            return Err(SqlError::unsupported(format!("the alias {alias}")));
        }
        self.query_as(query, &folded(&alias.name), &alias.columns)
    }

    /// The rows of a query as a table.
    pub(super) fn query_as(
        &mut self,
        query: Query,
        alias: &str,
        columns: &[TableAliasColumnDef],
    ) -> Result<Source, SqlError> {
        let names = query.outputs.iter().map(|output| output.name.clone());
        let names = renamed(alias, names.collect(), columns)?;
        let fields = query.relation.fields();
        let columns = names.into_iter().zip(fields);
        let columns = columns.map(|(name, field)| (name, field.sql, field.column()));
        let table = table_of(alias, columns);
        Ok(Source {
            relation: query.relation,
            scopes: vec![Scope::new(Arc::new(table), alias)],
        })
    }

    fn function(
        &mut self,
        name: &ObjectName,
        arguments: &[FunctionArg],
        ordinality: bool,
        alias: Option<&TableAlias>,
        before: &[Scope],
    ) -> Result<Source, SqlError> {
        let last = name.0.last().and_then(|part| part.as_ident()).map(folded);
        let arguments = arguments.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
            other => Err(SqlError::unsupported(format!("the argument {other}"))),
        });
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let last = last.unwrap_or_default();
        self.unfold(&last, &arguments, ordinality, alias, before)
    }

    /// A function that makes rows, in the place of a table.
    fn unfold(
        &mut self,
        name: &str,
        arguments: &[Expr],
        ordinality: bool,
        alias: Option<&TableAlias>,
        before: &[Scope],
    ) -> Result<Source, SqlError> {
        let made = self.behind(before, |preparing| {
            let mut binder = preparing.binder(&[]);
            binder.aggregates = Aggregates::Refused("functions in FROM");
            let arguments = arguments.iter().map(|expr| binder.bind(expr));
            let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
            let made = super::unfold::resolve(name, arguments, &mut binder)?;
            super::subquery::none(&binder.queries.pending)?;
            Ok(made)
        })?;
        let mut calls = Vec::new();
        for (function, arguments, types) in made {
            calls.push(UnfoldCall {
                function,
                arguments,
                fields: types.into_iter().map(|sql| self.field(sql)).collect(),
            });
        }
        let fields: Vec<_> = calls.iter().flat_map(|call| &call.fields).collect();
        let ordinality = ordinality.then(|| self.field(ScalarType::Int8.into()));
        let called = alias.map_or_else(|| name.to_owned(), |alias| folded(&alias.name));
        // A function's only column is called as its table is.
        let mut names = match super::unfold::names(name, fields.len()) {
            names if names.len() == 1 && (alias.is_some() || names[0] == name) => {
                vec![called.clone()]
            }
            names => names,
        };
        names.extend(ordinality.iter().map(|_| "ordinality".to_owned()));
        let names = renamed(&called, names, alias.map_or(&[], |alias| &alias.columns))?;
        let columns = names.into_iter().zip(fields.into_iter().chain(&ordinality));
        let columns = columns.map(|(name, field)| (name, field.sql, field.column()));
        let table = table_of(&called, columns);
        Ok(Source {
            relation: Relation::Unfold {
                input: Box::new(Relation::One),
                calls,
                ordinality,
            },
            scopes: vec![Scope::new(Arc::new(table), called)],
        })
    }

    fn join(
        &mut self,
        left: Source,
        right: Source,
        operator: &JoinOperator,
    ) -> Result<Source, SqlError> {
        let (kind, constraint) = match operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => {
                (JoinKind::Inner, constraint)
            }
            JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (JoinKind::Left, constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (JoinKind::Right, constraint)
            }
            JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
            other => return Err(SqlError::unsupported(format!("{other:?}"))),
        };
        match constraint {
            JoinConstraint::None => beside(left, right, kind, None),
            JoinConstraint::On(on) => self.join_on(left, right, kind, on),
            JoinConstraint::Using(names) => {
                let name = |name: &ObjectName| match &name.0[..] {
                    [part] => part.as_ident().map(folded),
                    _ => None,
                };
                let names: Option<Vec<_>> = names.iter().map(name).collect();
                self.join_using(left, right, kind, names.unwrap_or_default())
            }
            JoinConstraint::Natural => {
                let mut names: Vec<String> = Vec::new();
                for column in left.scopes.iter().flat_map(Scope::plain_columns) {
                    let mut others = right.scopes.iter().flat_map(Scope::plain_columns);
                    if others.any(|other| other.name == column.name) {
                        names.push(column.name.clone());
                    }
                }
                self.join_using(left, right, kind, names)
            }
        }
    }

    fn join_on(
        &mut self,
        left: Source,
        right: Source,
        kind: JoinKind,
        on: &Expr,
    ) -> Result<Source, SqlError> {
        let scopes = [&left.scopes[..], &right.scopes].concat();
        let mut binder = self.binder(&scopes);
        binder.aggregates = Aggregates::Refused("JOIN conditions");
        let typed = binder.bind(on)?;
        let on = binder.condition(typed, "JOIN/ON")?;
        let mut pending = std::mem::take(&mut binder.queries.pending);
        if pending.is_empty() {
            return beside(left, right, kind, Some(on));
        }
        match kind {
            JoinKind::Inner => {
                let mut all = beside(left, right, kind, None)?;
                all.relation = self.filter(all.relation, on, &mut pending)?;
                Ok(all)
            }
            // What the condition asks of the right alone can be asked there.
            JoinKind::Left => {
                let own = left.relation.names();
                let asks = |pending: &Pending| !pending.free().is_disjoint(&own);
                if pending.iter().any(asks) {
                    let what = "a sub-select about the left side in the condition of an outer join";
                    return Err(SqlError::unsupported(what));
                }
                let relation = self.with_queries(right.relation, &[&on], &mut pending)?;
                let right = Source { relation, ..right };
                beside(left, right, kind, Some(on))
            }
            _ => Err(SqlError::unsupported(
                "a sub-select in the condition of an outer join",
            )),
        }
    }

    fn join_using(
        &mut self,
        mut left: Source,
        mut right: Source,
        kind: JoinKind,
        names: Vec<String>,
    ) -> Result<Source, SqlError> {
        let (mut merged, mut on) = (Vec::new(), Vec::new());
        for name in &names {
            let side = |source: &Source, which: &str| {
                let columns = source.scopes.iter().flat_map(Scope::plain_columns);
                let mut found: Vec<Typed> = columns
                    .filter(|column| column.name == *name)
                    .map(|column| Typed::new(column.bound.clone(), column.sql))
                    .collect();
                match (found.pop(), found.is_empty()) {
                    (Some(found), true) => Ok(found),
                    (None, _) => {
                        let message = format!(
                            "column {name:?} specified in USING clause does not exist in {which} table"
                        );
                        Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message))
                    }
                    _ => {
                        let message = format!(
                            "common column name {name:?} appears more than once in {which} table"
                        );
                        Err(SqlError::new(sqlstate::AMBIGUOUS_COLUMN, message))
                    }
                }
            };
            let (one, other) = (side(&left, "left")?, side(&right, "right")?);
            let sql = common_type(&[one.sql, other.sql]).map_err(|(one, other)| {
                let (one, other) = (type_name(Some(one)), type_name(Some(other)));
                let message = format!("JOIN/USING types {one} and {other} cannot be matched");
                SqlError::new(sqlstate::DATATYPE_MISMATCH, message)
            })?;
            let mut binder = self.binder(&[]);
            let equal = binder.apply("=", vec![one.clone(), other.clone()])?;
            on.push(equal);
            let typed = match kind {
                JoinKind::Right => other,
                JoinKind::Full => binder.apply("coalesce", vec![one, other])?,
                _ => one,
            };
            let bound = binder.cast(typed, sql, CastContext::Implicit)?;
            merged.push((name.clone(), sql, bound));
        }
        for scope in left.scopes.iter_mut().chain(&mut right.scopes) {
            scope.merged.extend(names.iter().cloned());
        }
        let on = match on.len() {
            0 | 1 => on.pop(),
            _ => Some(self.binder(&[]).apply("and", on)?),
        };
        let mut all = beside(left, right, kind, on.map(|on| on.bound))?;
        if !merged.is_empty() {
            let table = table_of("", merged);
            all.scopes.insert(0, Scope::new(Arc::new(table), ""));
        }
        Ok(all)
    }
}

/// Rows of two sources beside each other.
fn beside(
    left: Source,
    right: Source,
    kind: JoinKind,
    on: Option<Bound>,
) -> Result<Source, SqlError> {
    let mut scopes = left.scopes;
    for scope in right.scopes {
        if !scope.alias.is_empty() && scopes.iter().any(|other| other.alias == scope.alias) {
            let message = format!("table name {:?} specified more than once", scope.alias);
            return Err(SqlError::new(sqlstate::DUPLICATE_ALIAS, message));
        }
        scopes.push(scope);
    }
    let relation = match (left.relation, right.relation) {
        (Relation::One, right) if kind == JoinKind::Inner && on.is_none() => right,
        (left, right) => Relation::Join {
            kind,
            left: Box::new(left),
            right: Box::new(right),
            on,
        },
    };
    Ok(Source { relation, scopes })
}
