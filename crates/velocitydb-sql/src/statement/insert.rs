//! INSERT.
//!
//! Every row is judged at once: its keys in unique indexes are compared with the newest state and
//! with the rows before it. A row that is in conflict with another is taken back and, when the
//! statement says so, left out or made an update of the other one. References are judged when all
//! rows are there.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use sqlparser::ast::{
    self, Expr, OnConflict, OnConflictAction, OnInsert, SetExpr, Spanned, TableObject,
};
use velocitydb::{DefaultValue, Document, Error, Key, Refusal, Transaction, Update};
use velocitydb_query::{Cell, Expression};
use velocitydb_types::{Path, Value};

use super::Preparing;
use super::assign::{Assigned, assignments, default, is_default, may_be_given, wrong_type};
use super::casting::cast_outputs;
use super::conflict::{constraint_of, holder};
use super::explain::Outline;
use super::row::Row;
use super::rows::{HANDLE_BYTES, Outputs, Rows};
use super::select::{Select, account};
use super::subselect::{self, SubSelect};
use super::values::check_width;
use super::whole;
use crate::bind::{Binder, EXCLUDED, Scope, simple};
use crate::bound::{Bound, Environment};
use crate::error::{SqlError, concurrent_update, sqlstate};
use crate::formats::Settings;
use crate::parse::{Overriding, folded, position};
use crate::planner::Planned;
use crate::table::Table;
use crate::violations::{Violations, Written};

/// An INSERT.
#[derive(Debug, Clone)]
pub(crate) struct Insert {
    table: Arc<Table>,
    settings: Arc<Settings>,
    /// The columns that get values, by their places in the table.
    columns: Vec<usize>,
    source: Source,
    conflict: Conflict,
    pub(crate) returning: Outputs,
    pub(super) queries: Vec<SubSelect>,
    /// What columns get whose default is SQL, in rows that have no values for them.
    defaults: Vec<Assigned>,
}

/// Where the rows come from.
#[derive(Debug, Clone)]
enum Source {
    /// For each row and column; `None`: the default.
    Values(Vec<Vec<Option<Bound>>>),
    Select(Box<Select>),
    Planned(Planned),
}

/// What becomes of a row whose key is taken.
#[derive(Debug, Clone)]
enum Conflict {
    Refuse,
    /// It is left out, when it is this constraint, or any.
    Skip(Option<String>),
    Update(Box<DoUpdate>),
}

#[derive(Debug, Clone)]
struct DoUpdate {
    constraint: String,
    assignments: Vec<Assigned>,
    condition: Option<Bound>,
    /// Defaults of columns that get no value in some row: `excluded` has them there.
    defaults: Vec<Assigned>,
}

impl Preparing<'_> {
    pub(super) fn insert(&mut self, insert: &ast::Insert) -> Result<Insert, SqlError> {
        let ast::Insert {
            insert_token: _,
            optimizer_hints: _,
            or: None,
            ignore: false,
            into: _,
            table: TableObject::TableName(name),
            table_alias,
            columns,
            overwrite: false,
            source,
            assignments: no_assignments,
            partitioned: None,
            after_columns,
            has_table_keyword: false,
            on,
            returning,
            output: None,
            replace_into: false,
            priority: None,
            insert_alias: None,
            settings: None,
            format_clause: None,
            multi_table_insert_type: None,
            multi_table_into_clauses,
            multi_table_when_clauses,
            multi_table_else_clause: None,
        } = insert
        else {
            return Err(SqlError::unsupported("this form of INSERT"));
        };
        let plain = no_assignments.is_empty()
            && after_columns.is_empty()
            && multi_table_into_clauses.is_empty()
            && multi_table_when_clauses.is_empty();
        if !plain {
            return Err(SqlError::unsupported("this form of INSERT"));
        }
        let table = self.table(name)?;
        let mut places = Vec::new();
        for column in columns {
            let column = simple(column)?;
            let at = table.position(&column);
            let at = at.ok_or_else(|| no_column(&table, &column))?;
            if places.contains(&at) {
                let message = format!("column {column:?} specified more than once");
                return Err(SqlError::new(sqlstate::DUPLICATE_COLUMN, message));
            }
            places.push(at);
        }
        let named = !places.is_empty();
        if !named {
            places = (0..table.columns.len()).collect();
        }
        let (mut source_select, mut source_planned) = (None, None);
        let rows = match source.as_deref() {
            None => None,
            Some(query) => match &*query.body {
                SetExpr::Values(values) if is_bare(query) => Some(&values.rows),
                _ => {
                    let targets: Vec<_> = places.iter().map(|at| table.columns[*at].sql).collect();
                    match self.select_into(query, &targets) {
                        Err(error)
                            if error.sqlstate == sqlstate::FEATURE_NOT_SUPPORTED
                                && self.planner.is_some() =>
                        {
                            let planned = self.planned(query, |query, preparing| {
                                let of = (&*table, &places[..], named);
                                preparing.cast_query(query, of, columns)
                            })?;
                            source_planned = Some(planned);
                        }
                        select => source_select = Some(select?),
                    }
                    None
                }
            },
        };
        let alias = table_alias.as_ref().map(|alias| folded(&alias.alias));
        let alias = alias.unwrap_or_else(|| table.name().to_owned());
        let scope = [Scope::new(Arc::clone(&table), alias)];
        let with_excluded = [Scope {
            excluded: true,
            ..scope[0].clone()
        }];
        let settings = Arc::clone(self.settings);
        let overriding = self.overriding;
        let sql = self.sql;
        let column_place = |at: usize| position(sql, columns[at].span().start);
        let mut binder = self.binder(&[]);
        let source = match (source_select, rows) {
            _ if source_planned.is_some() => {
                let planned = source_planned.expect("just seen");
                Source::Planned(planned)
            }
            (Some(select), _) => {
                let width = select.outputs.columns.len();
                check_width(width, (places.len(), named), |_| None, column_place)?;
                let select = cast_outputs(select, &places, overriding, &table, &mut binder)?;
                Source::Select(Box::new(select))
            }
            (None, None) => {
                places.clear();
                Source::Values(vec![Vec::new()])
            }
            (None, Some(rows)) => {
                let width = rows.first().map_or(0, |row| row.content.len());
                if rows.iter().any(|row| row.content.len() != width) {
                    let message = "VALUES lists must all be the same length";
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                }
                if let Some(row) = rows.first() {
                    let place = |at: usize| position(sql, row.content[at].span().start);
                    check_width(width, (places.len(), named), place, column_place)?;
                }
                let rows = rows.iter();
                let rows = rows
                    .map(|row| values_row(&row.content, &places, overriding, &table, &mut binder));
                Source::Values(rows.collect::<Result<_, _>>()?)
            }
        };
        // Those that have a value in every row.
        let is_given = |nth: usize| match &source {
            Source::Values(rows) => rows.iter().all(|row| matches!(row.get(nth), Some(Some(_)))),
            Source::Select(select) => nth < select.outputs.columns.len(),
            Source::Planned(planned) => nth < planned.columns.len(),
        };
        let given = places.iter().enumerate();
        let given = given.filter_map(|(nth, at)| is_given(nth).then_some(*at));
        let given: Vec<_> = given.collect();
        binder.tables = &with_excluded;
        let conflict = match on {
            None => Conflict::Refuse,
            Some(OnInsert::OnConflict(on)) => conflict(on, &table, &given, &mut binder)?,
            Some(other) => return Err(SqlError::unsupported(format!("{other}"))),
        };
        binder.tables = &scope;
        let returning = Outputs::new(returning.as_deref().unwrap_or_default(), &[], &mut binder)?;
        let mut defaults = Vec::new();
        for (at, column) in table.columns.iter().enumerate() {
            if let Some(DefaultValue::Sql(_)) = &column.default {
                defaults.push((at, default(column, &mut binder)?));
            }
        }
        let queries = std::mem::take(&mut binder.queries.met);
        Ok(Insert {
            defaults,
            columns: places,
            source,
            conflict,
            returning,
            settings,
            queries,
            table,
        })
    }
}

/// Whether a VALUES stands alone.
pub(super) fn is_bare(query: &ast::Query) -> bool {
    let ast::Query {
        with: None,
        body: _,
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks,
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators,
    } = query
    else {
        return false;
    };
    locks.is_empty() && pipe_operators.is_empty()
}

fn values_row(
    given: &[Expr],
    places: &[usize],
    overriding: Option<Overriding>,
    table: &Table,
    binder: &mut Binder<'_>,
) -> Result<Vec<Option<Bound>>, SqlError> {
    let row = given.iter().zip(places).map(|(expr, at)| {
        if is_default(expr) {
            return Ok(None);
        }
        let column = &table.columns[*at];
        if !may_be_given(column, overriding)? {
            return Ok(None);
        }
        let typed = binder.bind(expr)?;
        let from = typed.sql;
        let bound = binder.assigned(typed, column.sql);
        bound
            .map(Some)
            .map_err(|error| wrong_type(error, column, from))
    });
    row.collect()
}

fn conflict(
    on: &OnConflict,
    table: &Table,
    given: &[usize],
    binder: &mut Binder<'_>,
) -> Result<Conflict, SqlError> {
    let target = on.conflict_target.as_ref();
    let constraint = target.map(|target| constraint_of(target, table, binder));
    let constraint = constraint.transpose()?;
    let update = match &on.action {
        OnConflictAction::DoNothing => return Ok(Conflict::Skip(constraint)),
        OnConflictAction::DoUpdate(update) => update,
    };
    let Some(constraint) = constraint else {
        let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
        return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message)
            .hint("For example, ON CONFLICT (column_name)."));
    };
    if table.definition.schema.fields().is_empty() {
        return Err(SqlError::unsupported(
            "ON CONFLICT DO UPDATE of a table without declared columns",
        ));
    }
    let assignments = assignments(&update.assignments, table, binder)?;
    let condition = match &update.selection {
        None => None,
        Some(condition) => {
            let typed = binder.bind(condition)?;
            Some(binder.condition(typed, "WHERE")?)
        }
    };
    let mut defaults = Vec::new();
    for (at, column) in table.columns.iter().enumerate() {
        // Those of SQL are values of the row already.
        let of_engine = !matches!(column.default, None | Some(DefaultValue::Sql(_)));
        if !given.contains(&at) && of_engine {
            defaults.push((at, default(column, binder)?));
        }
    }
    Ok(Conflict::Update(Box::new(DoUpdate {
        constraint,
        assignments,
        condition,
        defaults,
    })))
}

pub(crate) fn no_column(table: &Table, column: &str) -> SqlError {
    let message = format!(
        "column {column:?} of relation {:?} does not exist",
        table.name()
    );
    SqlError::new(sqlstate::UNDEFINED_COLUMN, message)
}

/// One run of an INSERT.
struct Run<'r, 'e> {
    insert: &'r Insert,
    environment: &'r Environment<'e>,
    violations: Violations<'r>,
    update: Option<Lowered<'r>>,
    /// The documents that it has written, and whether the answer wants them.
    written: Vec<Document>,
    touched: HashSet<Key>,
    count: u64,
}

/// A [`DoUpdate`] for one execution.
struct Lowered<'r> {
    update: &'r DoUpdate,
    assignments: Vec<Expression>,
    condition: Option<Expression>,
}

impl Insert {
    /// Whether its tables are still as they were.
    pub(super) fn is_current(&self) -> bool {
        let source = match &self.source {
            Source::Values(_) => true,
            Source::Select(select) => select.is_current(),
            Source::Planned(planned) => planned.is_current(),
        };
        source && self.table.is_current() && subselect::are_current(&self.queries)
    }

    /// Whether it brings its rows, and not many.
    pub(super) fn is_quick(&self) -> bool {
        let rows = match &self.source {
            Source::Values(rows) => rows.len(),
            Source::Select(_) | Source::Planned(_) => return false,
        };
        rows <= 10 && self.queries.is_empty()
    }

    /// How it is run.
    pub(super) fn outline(&self, environment: &Environment<'_>) -> Result<Outline<'_>, SqlError> {
        let stage = ("insert", format!("insert into {}", self.table.name()));
        let (below, question, others) = match &self.source {
            Source::Values(rows) => {
                let values = ("values", format!("values, {} rows", rows.len()));
                (vec![values], None, Vec::new())
            }
            Source::Planned(_) => (vec![("query", "query".into())], None, Vec::new()),
            Source::Select(select) => {
                let outline = select.outline(environment)?;
                (outline.stages, outline.question, outline.others)
            }
        };
        Ok(Outline {
            stages: std::iter::once(stage).chain(below).collect(),
            question,
            others: self.queries.iter().chain(others).collect(),
        })
    }

    /// How many rows were inserted or updated, and what of them is returned.
    ///
    /// # Errors
    /// Values that the table may not have.
    pub(crate) fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<(u64, Rows), SqlError> {
        let (answers, _kept) = subselect::answers(&self.queries, transaction, environment)?;
        let environment = &Environment {
            queries: &answers,
            ..environment.clone()
        };
        let outputs = self.returning.lower(environment)?;
        let update = match &self.conflict {
            Conflict::Update(update) => {
                let assignments = update.assignments.iter();
                let assignments = assignments.map(|(_, bound)| bound.lower(environment));
                let condition = update.condition.as_ref();
                Some(Lowered {
                    update,
                    assignments: assignments.collect::<Result<_, _>>()?,
                    condition: condition
                        .map(|condition| condition.lower(environment))
                        .transpose()?,
                })
            }
            _ => None,
        };
        let mut run = Run {
            insert: self,
            environment,
            violations: Violations {
                table: &self.table,
                settings: &self.settings,
            },
            update,
            written: Vec::new(),
            touched: HashSet::new(),
            count: 0,
        };
        match &self.source {
            Source::Values(rows) => {
                for row in rows {
                    let value = |bound: &Option<Bound>| {
                        let value = bound.as_ref().map(|bound| bound.value(environment));
                        value.transpose()
                    };
                    let row = row.iter().map(value).collect::<Result<Vec<_>, _>>()?;
                    run.row(row, transaction)?;
                }
            }
            Source::Select(_) | Source::Planned(_) => {
                let mut rows = match &self.source {
                    Source::Planned(planned) => planned.run(transaction, environment)?,
                    Source::Select(select) => select.run(transaction, environment)?,
                    Source::Values(_) => unreachable!("matched above"),
                };
                loop {
                    let mut row = Vec::new();
                    let is_row = rows.next(|_, cell: &Cell<'_>| {
                        row.push(Some(cell.clone().into_value()));
                        Ok::<_, SqlError>(())
                    })?;
                    if !is_row {
                        break;
                    }
                    run.row(row, transaction)?;
                }
            }
        }
        for document in &run.written {
            let checked = transaction.check_references(self.table.name(), &document.id());
            checked.map_err(|error| {
                let row = document.fields().to_map();
                run.violations.of(error, &row)
            })?;
        }
        let mut kept = account(transaction);
        let written = match outputs.is_empty() {
            true => Vec::new(),
            false => run.written,
        };
        kept.resize(0, written.len() * HANDLE_BYTES)?;
        Ok((run.count, Rows::of_documents(written, outputs, kept)?))
    }
}

impl Run<'_, '_> {
    /// Inserts a row of the values for its columns; `None`: the default.
    fn row(
        &mut self,
        values: Vec<Option<Value>>,
        transaction: &mut Transaction,
    ) -> Result<(), SqlError> {
        let table = &self.insert.table;
        let mut fields: Written = BTreeMap::new();
        for (at, default) in &self.insert.defaults {
            let mut given = self.insert.columns.iter().zip(&values);
            if !given.any(|(column, value)| column == at && value.is_some()) {
                let value = default.value(self.environment)?;
                fields.insert(table.columns[*at].name.clone(), value);
            }
        }
        for (value, at) in values.into_iter().zip(&self.insert.columns) {
            let column = &table.columns[*at];
            // An absent field is null, unless a default would come in its place.
            if let Some(value) = value
                && (!value.is_null() || column.default.is_some())
            {
                fields.insert(column.name.clone(), value);
            }
        }
        let before = transaction.savepoint();
        let (inserted, fields) = whole::insert(table, fields, transaction)?;
        let (constraint, holder) = match inserted {
            Ok(document) => {
                let id = document.id();
                match transaction.taken(table.name(), &id)? {
                    None => {
                        self.note(document);
                        return Ok(());
                    }
                    Some((Some(index), holder)) => {
                        transaction.roll_back_to(before)?;
                        (index, holder)
                    }
                    Some((None, _)) => {
                        return Err(match self.insert.conflict {
                            Conflict::Refuse => {
                                self.violations.unique(&table.key_constraint(), &fields)
                            }
                            _ => concurrent_update(),
                        });
                    }
                }
            }
            Err(Error::Refused {
                refusal: Refusal::AlreadyExists(holder),
                ..
            }) => (table.key_constraint(), holder),
            Err(error) => return Err(self.violations.of(error, &fields)),
        };
        // Of several conflicts the one that the statement names counts.
        let (constraint, holder) = match self.named_holder(&constraint, &fields, transaction)? {
            Some(named) => named,
            None => (constraint, holder),
        };
        match (&self.insert.conflict, &self.update) {
            (Conflict::Skip(of), _) if of.as_ref().is_none_or(|of| *of == constraint) => Ok(()),
            (_, Some(update)) if update.update.constraint == constraint => {
                self.update(holder, fields, transaction)
            }
            _ => Err(self.violations.unique(&constraint, &fields)),
        }
    }

    /// When a row is in conflict by another constraint than the one that the statement names: who
    /// has its key in that one.
    fn named_holder(
        &self,
        found: &str,
        fields: &Written,
        transaction: &mut Transaction,
    ) -> Result<Option<(String, Document)>, SqlError> {
        let named = match &self.insert.conflict {
            Conflict::Skip(Some(named)) => named,
            Conflict::Update(update) => &update.constraint,
            _ => return Ok(None),
        };
        if named == found {
            return Ok(None);
        }
        let holder = holder(named, &self.insert.table, fields, transaction)?;
        Ok(holder.map(|holder| (named.clone(), holder)))
    }

    fn note(&mut self, document: Document) {
        self.count += 1;
        if self.update.is_some() {
            self.touched.insert(document.id());
        }
        self.written.push(document);
    }

    /// Updates the row that stands in the way.
    fn update(
        &mut self,
        holder: Document,
        mut proposed: Written,
        transaction: &mut Transaction,
    ) -> Result<(), SqlError> {
        let Some(lowered) = &self.update else {
            return Ok(());
        };
        let (table, id) = (&self.insert.table, holder.id());
        if self.touched.contains(&id) {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            return Err(
                SqlError::new(sqlstate::CARDINALITY_VIOLATION, message).hint(
                    "Ensure that no rows proposed for insertion within the same command have \
                 duplicate constrained values.",
                ),
            );
        }
        for (at, default) in &lowered.update.defaults {
            let name = table.columns[*at].name.clone();
            if let Entry::Vacant(vacant) = proposed.entry(name) {
                vacant.insert(default.value(self.environment)?);
            }
        }
        let mut both = holder.fields().to_map();
        both.insert("_id".into(), id.to_value());
        both.insert(EXCLUDED.into(), Value::Map(proposed));
        let both = Row::Made(both);
        if let Some(condition) = &lowered.condition
            && both.value(condition)? != Value::Bool(true)
        {
            return Ok(());
        }
        let mut row = holder.fields().to_map();
        let mut update = Update::new();
        let assignments = lowered.update.assignments.iter().zip(&lowered.assignments);
        for ((at, _), expression) in assignments {
            let (name, value) = (&table.columns[*at].name, both.value(expression)?);
            row.insert(name.clone(), value.clone());
            update = update.set(&Path::field(name).to_string(), value);
        }
        let outcome = transaction.update(table.name(), &id, update);
        if let Err(Error::Refused {
            refusal: Refusal::NotFound,
            ..
        }) = &outcome
        {
            // The transaction reads a state in which it is not there yet.
            return Err(concurrent_update());
        }
        let outcome = outcome.map_err(|error| self.violations.of(error, &row))?;
        if let Some((Some(constraint), _)) = transaction.taken(table.name(), &id)? {
            return Err(self.violations.unique(&constraint, &row));
        }
        if let Some(document) = outcome.document {
            self.note(document);
        }
        Ok(())
    }
}
