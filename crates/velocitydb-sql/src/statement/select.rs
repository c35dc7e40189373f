//! SELECT of one table, of VALUES, or of nothing.
//!
//! ```text
//!   table, VALUES ─► WHERE ─► groups, HAVING ─► DISTINCT ─► ORDER BY, LIMIT ─► outputs
//! ```
//!
//! The planner below does as much of it as it can: conditions, and order and limit when no stage
//! stands between. Memory: what a stage keeps is on the account of all queries.
//! Binding is in `query`, stages in `group` and `order`.

use std::sync::Arc;

use velocitydb::locks::{Mode, Wait};
use velocitydb::{Document, Freed, Isolation, PrimaryKey, Transaction};
use velocitydb_query::{Aggregated, Allowance, Direction, Expression, Find, Kept, Limits, Nulls};
use velocitydb_types::{Key, Path, Value};

use super::explain::Outline;
use super::finish::Finish;
use super::group::Grouping;
use super::order::Order;
use super::row::Row;
use super::rows::{HANDLE_BYTES, Outputs, Rows};
use super::subselect::{self, SubSelect};
use crate::bound::{Bound, Environment};
use crate::conditions::{Conditions, UNLIMITED};
use crate::error::{SqlError, concurrent_update, sqlstate};
use crate::table::Table;

/// As many documents can be grouped one by one in the time that a plan of columns takes to begin.
const ANALYTICAL_ROWS: u64 = 20_000;

/// A SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) table: Option<Arc<Table>>,
    /// Rows that stand in the statement, in the place of a table; a SELECT of nothing has one of no
    /// columns.
    pub(super) values: Vec<Vec<Bound>>,
    pub(crate) conditions: Conditions,
    pub(super) grouping: Option<Grouping>,
    pub(crate) outputs: Outputs,
    /// What no two rows have the same of.
    pub(super) distinct: Option<Vec<Bound>>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<Bound>,
    pub(super) offset: Option<Bound>,
    pub(super) queries: Vec<SubSelect>,
    /// How its rows are locked.
    pub(super) locks: Option<RowLocks>,
}

/// FOR UPDATE and FOR SHARE.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowLocks {
    pub(super) mode: Mode,
    pub(super) wait: Wait,
}

/// An order that the engine gives.
struct EngineOrder<'s> {
    by: Vec<(Path, Direction)>,
    /// Those that stand for expressions that indexes are of.
    made: Vec<(Path, &'s Bound)>,
    nulls: Nulls,
}

impl EngineOrder<'_> {
    /// The question, with its answers in the order.
    fn of(self, mut find: Find, environment: &Environment<'_>) -> Result<Find, SqlError> {
        (find.sort, find.nulls) = (self.by, self.nulls);
        for (path, bound) in self.made {
            find.made.push((path, bound.lower(environment)?));
        }
        Ok(find)
    }
}

/// The name of a column of VALUES, from 0.
pub(super) fn value_column(at: usize) -> String {
    format!("column{}", at + 1)
}

/// A number of rows; `None`: all.
fn count(
    bound: Option<&Bound>,
    environment: &Environment<'_>,
    (state, name): (&'static str, &str),
) -> Result<Option<usize>, SqlError> {
    let Some(bound) = bound else {
        return Ok(None);
    };
    match bound.value(environment)? {
        Value::Int(count) => match usize::try_from(count) {
            Ok(count) => Ok(Some(count)),
            Err(_) => Err(SqlError::new(state, format!("{name} must not be negative"))),
        },
        _ => Ok(None),
    }
}

/// The account of a statement: bounded by the memory of all queries alone.
pub(crate) fn account(transaction: &Transaction) -> Kept {
    Kept::new(Allowance {
        limits: UNLIMITED,
        memory: Some(transaction.query_memory()),
    })
}

impl Select {
    /// Its rows, in a transaction.
    ///
    /// # Errors
    /// What an expression has no value for, and the bounds of a query.
    pub(crate) fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Rows, SqlError> {
        let (answers, _kept) = subselect::answers(&self.queries, transaction, environment)?;
        let environment = &Environment {
            queries: &answers,
            ..environment.clone()
        };
        let (limit, offset) = self.part(environment)?;
        let outputs = self.outputs.lower(environment)?;
        let mut kept = account(transaction);
        if let (Some(table), Some(locks)) = (&self.table, self.locks) {
            let rows = self.locked(table, locks, transaction, environment)?;
            kept.resize(0, rows.len() * HANDLE_BYTES)?;
            return Rows::of_documents(rows, outputs, kept);
        }
        if let (Some(table), Some(order)) = (&self.table, self.engine_order()) {
            let mut find = order.of(self.conditions.find(environment)?, environment)?;
            (find.offset, find.limit) = (offset, limit);
            let (mut rows, mut outcome) = (Vec::new(), Ok(()));
            transaction.find_each(table.name(), &find, |document| {
                outcome = kept.resize(0, HANDLE_BYTES);
                rows.push(document.clone());
                outcome.is_ok()
            })?;
            outcome?;
            return Rows::of_documents(rows, outputs, kept);
        }
        let mut finish = Finish::new(self, environment, limit, offset)?;
        match &self.grouping {
            None => {
                self.source(transaction, environment, |row| finish.add(row, &mut kept))?;
            }
            Some(grouping) => {
                self.groups(grouping, transaction, environment, &mut finish, &mut kept)?;
            }
        }
        Rows::of(finish.rows(&mut kept)?, outputs, kept)
    }

    /// Its rows, when they are locked: in their order, and no more than it answers.
    fn locked(
        &self,
        table: &Table,
        locks: RowLocks,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Vec<Document>, SqlError> {
        let (limit, offset) = self.part(environment)?;
        let wanted = limit.unwrap_or(usize::MAX).saturating_add(offset);
        if limit == Some(0) {
            return Ok(Vec::new());
        }
        let question = self.conditions.find(environment)?;
        let isolation = transaction.isolation();
        let free = match locks.wait {
            Wait::SkipLocked => transaction.free_rows(table.name(), locks.mode)?,
            Wait::Block | Wait::NoWait => None,
        };
        let mut changed = Vec::new();
        // The document as it is to be answered, unless another has it.
        let mut lock = |document: &Document| match &free {
            None => Ok(Some(document.clone())),
            Some(free) => match free.take(document)? {
                Freed::Skipped => Ok(None),
                Freed::Kept => Ok(Some(document.clone())),
                Freed::Changed(_) if isolation != Isolation::ReadCommitted => {
                    Err(concurrent_update())
                }
                Freed::Changed(Some(newest)) if question.admits(&newest)? => {
                    changed.push(document.clone());
                    Ok(Some(newest))
                }
                Freed::Changed(_) => Ok(None),
            },
        };
        let mut kept = account(transaction);
        let mut found = Vec::new();
        let mut each = |document: &Document| {
            if let Some(document) = lock(document)? {
                kept.resize(0, HANDLE_BYTES)?;
                found.push(document);
            }
            Ok::<_, SqlError>(found.len() < wanted)
        };
        if let Some(order) = self.engine_order() {
            let mut find = order.of(question.clone(), environment)?;
            // Those that others have do not count.
            find.limit = limit.filter(|_| free.is_none()).map(|_| wanted);
            let mut outcome = Ok(());
            let visit = |document: &Document| {
                each(document).unwrap_or_else(|error| {
                    outcome = Err(error);
                    false
                })
            };
            match &free {
                None => transaction.find_each(table.name(), &find, visit)?,
                Some(free) => transaction.find_each_free(table.name(), &find, free, visit)?,
            }
            outcome?;
        } else {
            let mut kept = account(transaction);
            let mut sorted = Finish::new(self, environment, None, 0)?;
            self.source(transaction, environment, |row| sorted.add(row, &mut kept))?;
            for row in sorted.rows(&mut kept)? {
                if let Row::Document(document) = &row
                    && !each(document)?
                {
                    break;
                }
            }
        }
        let to_lock = if free.is_none() { &found } else { &changed };
        for document in to_lock {
            transaction.lock_row(table.name(), document, locks.mode, locks.wait)?;
        }
        found.drain(..offset.min(found.len()));
        Ok(found)
    }

    /// Whether its tables are still as they were.
    pub(super) fn is_current(&self) -> bool {
        let table = self.table.as_ref();
        table.is_none_or(|table| table.is_current()) && subselect::are_current(&self.queries)
    }

    /// The order, when the engine gives it, with OFFSET and LIMIT behind it: no stage of SQL stands
    /// between.
    fn engine_order(&self) -> Option<EngineOrder<'_>> {
        let is_made = self
            .table
            .as_ref()
            .is_some_and(|table| table.made.is_some());
        if self.grouping.is_some() || self.distinct.is_some() || is_made {
            return None;
        }
        let (mut by, mut made) = (Vec::new(), Vec::new());
        for order in &self.order {
            by.push(match order.column() {
                Some(column) => column,
                None => {
                    let path = self.table.as_ref()?.indexed.stands_for(&order.by)?;
                    made.push((path.clone(), &order.by));
                    (path, order.direction)
                }
            });
        }
        let nulls = match &self.order[..] {
            order if order.iter().all(|key| key.has_nulls(Nulls::Smallest)) => Nulls::Smallest,
            order if order.iter().all(|key| key.has_nulls(Nulls::Greatest)) => Nulls::Greatest,
            _ => return None,
        };
        Some(EngineOrder { by, made, nulls })
    }

    /// How many rows at most, and how many are left out.
    fn part(&self, environment: &Environment<'_>) -> Result<(Option<usize>, usize), SqlError> {
        let limit = (sqlstate::INVALID_ROW_COUNT_IN_LIMIT, "LIMIT");
        let limit = count(self.limit.as_ref(), environment, limit)?;
        let offset = (sqlstate::INVALID_ROW_COUNT_IN_OFFSET, "OFFSET");
        let offset = count(self.offset.as_ref(), environment, offset)?;
        Ok((limit, offset.unwrap_or(0)))
    }

    /// How it is run.
    pub(super) fn outline(&self, environment: &Environment<'_>) -> Result<Outline<'_>, SqlError> {
        let (limit, offset) = self.part(environment)?;
        let mut find = self.conditions.find(environment)?;
        let mut stages = Vec::new();
        let table = self.table.as_ref().filter(|table| table.made.is_none());
        match (table, self.engine_order()) {
            (Some(_), Some(order)) => {
                find = order.of(find, environment)?;
                find.offset = offset;
                find.limit = limit;
            }
            _ => {
                let limit = limit.map(|limit| format!("limit {limit}"));
                let offset = (offset > 0).then(|| format!("offset {offset}"));
                let parts: Vec<_> = limit.into_iter().chain(offset).collect();
                if !parts.is_empty() {
                    stages.push(("limit", parts.join(", ")));
                }
                if !self.order.is_empty() {
                    stages.push(("sort", format!("sort by {} keys", self.order.len())));
                }
                if self.distinct.is_some() {
                    stages.push(("distinct", "distinct".into()));
                }
                if let Some(grouping) = &self.grouping {
                    stages.push(("group", grouping.to_string()));
                }
                if self.table.is_none() {
                    stages.push(("values", format!("values, {} rows", self.values.len())));
                }
                if let Some(made) = self.table.as_ref().and_then(|table| table.made.as_ref()) {
                    stages.push(("rows", format!("rows of {made:?}")));
                }
            }
        }
        Ok(Outline {
            stages,
            question: table.map(|table| (table.name(), find)),
            others: self.queries.iter().collect(),
        })
    }

    fn groups(
        &self,
        grouping: &Grouping,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
        finish: &mut Finish<'_>,
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        if let Some(table) = &self.table
            && grouping.is_count()
            && grouping.having.is_none()
            && self.conditions.is_none()
            && table.made.is_none()
        {
            let count = transaction.count(table.name())?;
            return finish.add(grouping.counted(count), kept).map(|_| ());
        }
        let mut groups = grouping.groups(environment)?;
        self.source(transaction, environment, |row| {
            groups.add(&row, kept).map(|()| true)
        })?;
        groups.finish(kept, |row, kept| finish.add(row, kept))
    }

    /// Calls `visit` with each row that meets the conditions, until it answers `false`.
    fn source(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
        mut visit: impl FnMut(Row) -> Result<bool, SqlError>,
    ) -> Result<(), SqlError> {
        let find = self.conditions.find(environment)?;
        let mut outcome = Ok(());
        if let Some(table) = &self.table
            && let Some(made) = &table.made
        {
            let database = transaction.database();
            return made.rows(&database, &mut |values| {
                let names = table.columns.iter().map(|column| column.name.clone());
                let row = Row::Made(names.zip(values).collect());
                match &find.condition {
                    Some(condition) if row.value(condition)? != Value::Bool(true) => Ok(true),
                    _ => visit(row),
                }
            });
        }
        if let Some(table) = &self.table {
            transaction.find_each(table.name(), &find, |document| {
                let visited = visit(Row::Document(document.clone()));
                visited.unwrap_or_else(|error| {
                    outcome = Err(error);
                    false
                })
            })?;
            return outcome;
        }
        for values in &self.values {
            let values = values.iter().map(|value| value.value(environment));
            let row = values.enumerate();
            let row = row.map(|(at, value)| Ok((value_column(at), value?)));
            let row = Row::Made(row.collect::<Result<Aggregated, SqlError>>()?);
            let admitted = match &find.condition {
                Some(condition) => row.value(condition)? == Value::Bool(true),
                None => true,
            };
            if admitted && !visit(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether it groups so many documents that a planner should do it, and no index leads to few.
    pub(crate) fn is_analytical(&self) -> bool {
        let Some(table) = &self.table else {
            return false;
        };
        let Some(collection) = table
            .collection
            .as_ref()
            .filter(|_| self.grouping.is_some())
        else {
            return false;
        };
        let counts = self.grouping.as_ref().is_some_and(Grouping::is_count);
        let is_count = counts && self.conditions.is_none();
        let many = collection
            .count()
            .is_ok_and(|count| count > ANALYTICAL_ROWS);
        !is_count && many && !self.conditions.have_key_of(table) && self.queries.is_empty()
    }

    /// Whether it locks the rows that it answers.
    pub(crate) fn locks_rows(&self) -> bool {
        self.locks.is_some()
    }

    /// How it or one of its sub-selects locks rows.
    pub(super) fn locks_how(&self) -> Option<Mode> {
        let mut queries = self.queries.iter();
        let own = self.locks.map(|locks| locks.mode);
        own.or_else(|| queries.find_map(|query| query.select().locks_how()))
    }

    /// Asks for its first row alone.
    pub(super) fn first_only(&mut self) {
        if self.limit.is_none() {
            self.limit = Some(Bound::Constant(Value::Int(1)));
        }
    }

    /// Whether it is about one row, that it finds by its key.
    pub(super) fn is_quick(&self) -> bool {
        let table = self.table.as_ref();
        let one = table.is_some_and(|table| self.conditions.are_of_one(table));
        one && self.queries.is_empty()
    }

    /// Keys of its order for one execution.
    pub(super) fn order_keys(
        &self,
        environment: &Environment<'_>,
    ) -> Result<Vec<Expression>, SqlError> {
        let keys = self.order.iter().map(|order| order.by.lower(environment));
        keys.collect()
    }

    /// Whether it is quick, and neither locks nor does anything: which state it reads, and for how
    /// long, nobody can tell.
    pub(crate) fn only_reads(&self) -> bool {
        let bounds = self.outputs.bound.iter();
        let bounds = bounds.chain(&self.limit).chain(&self.offset);
        let mut bounds = bounds.chain(self.order.iter().map(|order| &order.by));
        self.is_quick()
            && self.locks.is_none()
            && self.grouping.is_none()
            && self.distinct.is_none()
            && !bounds.any(Bound::is_volatile)
            && !self.conditions.are_volatile()
    }

    /// What names its only row, if one that only reads asks for that alone.
    pub(crate) fn point(&self) -> Option<Point<'_>> {
        let table = self.table.as_ref()?;
        let definition = &table.definition;
        if self.limit.is_some() || self.offset.is_some() || !self.order.is_empty() {
            return None;
        }
        let primary = definition.primary_key.as_ref().and_then(PrimaryKey::only);
        if let Some(primary) = primary
            && let Some(key) = self.conditions.only_keys(&[primary])
        {
            return Some(Point::Id(key[0]));
        }
        definition.indexes.iter().find_map(|index| {
            let fields = index.fields.iter().map(|field| field.path.first());
            let is_one = Conditions::finds_one(index);
            let keys = is_one.then(|| self.conditions.only_keys(&fields.collect::<Vec<_>>()))?;
            Some(Point::Unique(&index.name, keys?))
        })
    }

    /// The row that a point names, from the newest state; `None`: its table has just been defined
    /// anew.
    ///
    /// # Errors
    /// What an expression has no value for.
    pub(crate) fn at(
        &self,
        point: &Point<'_>,
        environment: &Environment<'_>,
    ) -> Result<Option<Rows>, SqlError> {
        let table = self.table.as_ref();
        let outputs = self.outputs.lower(environment)?;
        let collection = table.and_then(|table| table.collection.as_ref());
        let found = match (collection, point) {
            (None, _) => None,
            // What no key can be is nobody's.
            (Some(collection), Point::Id(key)) => match Key::from_value(&key.value(environment)?) {
                Ok(key) => collection.get_by_key(&key)?,
                Err(_) => None,
            },
            (Some(collection), Point::Unique(index, keys)) => {
                let values = keys.iter().map(|key| key.value(environment));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                let found = collection.get_by_unique(index, &values);
                // Another index may have the name by now.
                if !self.is_current() {
                    return Ok(None);
                }
                found?
            }
        };
        let found = found.into_iter().collect();
        Rows::of_documents(found, outputs, Kept::new(Limits::default())).map(Some)
    }
}

/// What names a row.
pub(crate) enum Point<'s> {
    /// The value of its primary key.
    Id(&'s Bound),
    /// The values of the fields of a unique index.
    Unique(&'s str, Vec<&'s Bound>),
}
