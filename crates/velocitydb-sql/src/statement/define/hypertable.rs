//! `SELECT create_hypertable(…)`, as TimescaleDB has it: an empty table is partitioned by time.
//!
//! What it is here is a time-series index over the column ([`IndexDefinition::time_series`]).
//! Programs that can do without partitions pass over its result, so that it never fails: a notice
//! tells why nothing was done. Tests: tests/it/slt/define.slt.

use sqlparser::ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName};
use velocitydb::IndexDefinition;
use velocitydb_types::{Interval, ScalarType, SqlType, TimeSpan, Value};

use super::names::Names;
use super::notice;
use crate::error::SqlError;
use crate::formats::read_text;
use crate::parse::folded;
use crate::statement::Preparing;

/// What TimescaleDB takes when nothing is said.
const PARTITION: TimeSpan = TimeSpan::days(7);

/// Whether it is nothing but a call of `create_hypertable`.
pub(super) fn is_hypertable(query: &ast::Query) -> bool {
    call(query).is_some()
}

/// The only call in a query, when it is this one.
fn call(query: &ast::Query) -> Option<&ast::Function> {
    let ast::SetExpr::Select(select) = &*query.body else {
        return None;
    };
    match &select.projection[..] {
        [ast::SelectItem::UnnamedExpr(Expr::Function(function))]
            if select.from.is_empty() && is_named(function, "create_hypertable") =>
        {
            Some(function)
        }
        _ => None,
    }
}

fn is_named(function: &ast::Function, name: &str) -> bool {
    let last = function.name.0.last().and_then(|part| part.as_ident());
    last.is_some_and(|last| folded(last) == name)
}

/// The arguments of a call: those with names, and those without.
#[derive(Default)]
struct Given<'a> {
    plain: Vec<&'a Expr>,
    named: Vec<(String, &'a Expr)>,
}

impl<'a> Given<'a> {
    fn of(function: &'a ast::Function) -> Given<'a> {
        let mut given = Given::default();
        if let FunctionArguments::List(list) = &function.args {
            for argument in &list.args {
                match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => given.plain.push(expr),
                    FunctionArg::Named {
                        name,
                        arg: FunctionArgExpr::Expr(expr),
                        ..
                    }
                    | FunctionArg::ExprNamed {
                        name: Expr::Identifier(name),
                        arg: FunctionArgExpr::Expr(expr),
                        ..
                    } => given.named.push((folded(name), expr)),
                    _ => {}
                }
            }
        }
        given
    }

    fn get(&self, place: usize, name: &str) -> Option<&'a Expr> {
        let named = self.named.iter().find(|(given, _)| given == name);
        let named = named.map(|(_, expr)| *expr);
        named.or_else(|| self.plain.get(place).copied())
    }
}

/// The text of a literal.
fn text(expr: Option<&Expr>) -> Option<&str> {
    match expr? {
        Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => text(Some(expr)),
        _ => None,
    }
}

impl Preparing<'_> {
    /// Partitions the table of a call.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) fn hypertable(&mut self, query: &ast::Query) -> Result<Vec<SqlError>, SqlError> {
        let told = match self.partition(query)? {
            Ok(()) => return Ok(Vec::new()),
            Err(reason) => format!("create_hypertable does nothing: {reason}"),
        };
        Ok(vec![notice(told)])
    }

    /// Does it, or tells why there is nothing that could be done.
    fn partition(&mut self, query: &ast::Query) -> Result<Result<(), String>, SqlError> {
        let given = call(query).map(Given::of).unwrap_or_default();
        let name = text(given.get(0, "relation"));
        let name = name
            .map(|name| ObjectName::from(name.split('.').map(ast::Ident::new).collect::<Vec<_>>()));
        let Some(table) = name.and_then(|name| self.table(&name).ok()) else {
            return Ok(Err("there is no such table".into()));
        };
        let (dimension, mut span) = (given.get(1, "dimension"), Some(PARTITION));
        let column = match dimension {
            Some(Expr::Function(range)) if is_named(range, "by_range") => {
                let range = Given::of(range);
                if let Some(interval) = range.get(1, "partition_interval") {
                    span = self.span(interval);
                }
                text(range.get(0, "column_name"))
            }
            _ => text(given.get(1, "time_column_name")),
        };
        if let Some(interval) = given.get(usize::MAX, "chunk_time_interval") {
            span = self.span(interval);
        }
        let column = column.and_then(|name| table.position(name));
        let Some(column) = column.map(|at| &table.columns[at]) else {
            return Ok(Err("the table has no such column".into()));
        };
        let is_time = matches!(
            column.sql,
            SqlType::Scalar(ScalarType::Timestamptz | ScalarType::Timestamp)
        );
        let (true, Some(span)) = (is_time, span) else {
            return Ok(Err(format!(
                "tables are partitioned by times, not by {:?}",
                column.name
            )));
        };
        let collection = self.definitions.collection(table.name())?;
        if collection.count()? > 0 {
            return Ok(Err("the table has rows".into()));
        }
        let mut names = Names::new(self.definitions);
        let index = names.chosen(&format!("{}_{}_idx", table.name(), column.name))?;
        let path = velocitydb::Path::field(&column.name);
        let made = collection.create_index(IndexDefinition::time_series(index, path, span));
        Ok(made.map_err(|error| error.to_string()))
    }

    /// How long an interval is, of one that has a fixed length.
    fn span(&mut self, interval: &Expr) -> Option<TimeSpan> {
        let literal = match interval {
            Expr::Interval(interval) => text(Some(&interval.value)),
            expr => text(Some(expr)),
        }?;
        let to = SqlType::Scalar(ScalarType::Interval);
        match read_text(literal, to, self.settings) {
            Ok(Value::Interval(Interval {
                months: 0,
                days,
                micros,
            })) => {
                let days = u64::try_from(days).ok()?.checked_mul(TimeSpan::days(1).0)?;
                let span = days.checked_add(u64::try_from(micros).ok()?)?;
                (span > 0).then_some(TimeSpan(span))
            }
            _ => None,
        }
    }
}
