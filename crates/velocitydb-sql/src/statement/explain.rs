//! EXPLAIN: how a statement would be run, or with ANALYZE how it was.
//!
//! The steps are those of the engine's plan, with the stages that SQL puts above it. Sub-selects
//! are run in any case: what they answer decides the plan. ANALYZE runs the statement too, and
//! what it changes is changed.

use std::time::Instant;

use sqlparser::ast::{AnalyzeFormatKind, DescribeAlias, Expr, Statement, Value as V};
use velocitydb::Transaction;
use velocitydb_query::Find;
use velocitydb_query::plan::{Explained, Step};
use velocitydb_types::{ScalarType, Value};

use super::rows::{Column, Rows};
use super::subselect::{self, SubSelect};
use super::{Native, Preparing};
use crate::bound::Environment;
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;

/// An EXPLAIN.
#[derive(Debug, Clone)]
pub(crate) struct Explain {
    pub(super) statement: Box<Native>,
    pub(super) analyze: bool,
    format: Format,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// How a statement is run: its stages, the uppermost first, and what is asked of which table.
pub(super) struct Outline<'s> {
    pub(super) stages: Vec<(&'static str, String)>,
    pub(super) question: Option<(&'s str, Find)>,
    pub(super) others: Vec<&'s SubSelect>,
}

impl Preparing<'_> {
    /// An EXPLAIN; `None`: it is another statement.
    pub(super) fn explain(&mut self, statement: &Statement) -> Result<Option<Explain>, SqlError> {
        let Statement::Explain {
            describe_alias: DescribeAlias::Explain,
            analyze,
            verbose: _,
            query_plan: false,
            estimate: false,
            statement,
            format,
            options,
        } = statement
        else {
            return Ok(None);
        };
        let mut analyze = *analyze;
        let mut named = match format {
            None => None,
            Some(AnalyzeFormatKind::Keyword(format) | AnalyzeFormatKind::Assignment(format)) => {
                Some(format.to_string())
            }
        };
        for option in options.iter().flatten() {
            match (folded(&option.name).as_str(), word(option.arg.as_ref())) {
                ("analyze", Some(word)) => analyze = is_on(&word)?,
                ("format", Some(word)) => named = Some(word),
                // There is nothing that they would add or leave out.
                (
                    "verbose" | "costs" | "buffers" | "timing" | "summary" | "settings" | "wal",
                    Some(word),
                ) => drop(is_on(&word)?),
                (name, _) => {
                    let message = format!("unrecognized EXPLAIN option {name:?}");
                    return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
                }
            }
        }
        let format = match named.map(|name| name.to_lowercase()).as_deref() {
            None | Some("text") => Format::Text,
            Some("json") => Format::Json,
            Some(other) => {
                return Err(SqlError::unsupported(format!("EXPLAIN (FORMAT {other})")));
            }
        };
        let Some(native) = Native::new(statement, self)? else {
            return Err(SqlError::unsupported("EXPLAIN of this statement"));
        };
        let sql = match format {
            Format::Text => ScalarType::Text,
            Format::Json => ScalarType::Json,
        };
        Ok(Some(Explain {
            statement: Box::new(native),
            analyze,
            format,
            columns: vec![Column {
                name: "QUERY PLAN".into(),
                sql: sql.into(),
            }],
        }))
    }
}

/// The argument of an option; without one it is on.
fn word(argument: Option<&Expr>) -> Option<String> {
    match argument {
        None => Some("on".into()),
        Some(Expr::Identifier(name)) => Some(folded(name)),
        Some(Expr::Value(value)) => match &value.value {
            V::Boolean(on) => Some(on.to_string()),
            V::Number(number, _) => Some(number.clone()),
            value => value.clone().into_string(),
        },
        Some(_) => None,
    }
}

fn is_on(word: &str) -> Result<bool, SqlError> {
    match word.to_lowercase().as_str() {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err(SqlError::new(
            sqlstate::SYNTAX_ERROR,
            "EXPLAIN option requires a Boolean value",
        )),
    }
}

/// The plans of a statement and of its sub-selects.
struct Explanation {
    plan: Explained,
    others: Vec<Explanation>,
    /// In the place of both, what a planner says.
    lines: Vec<String>,
}

impl Explain {
    /// Its lines, or the document that tells the same.
    ///
    /// # Errors
    /// Those of running the statement.
    pub(crate) fn run(
        &self,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Rows, SqlError> {
        let mut began = Instant::now();
        let explanation = self.explained(&self.statement, transaction, environment)?;
        let mut ran = None;
        if self.analyze {
            // A planner has run it already.
            if explanation.lines.is_empty() {
                began = Instant::now();
                self.statement.run(transaction, environment)?;
            }
            ran = Some(began.elapsed().as_secs_f64() * 1000.0);
        }
        let rows = match self.format {
            Format::Text => {
                let mut text = String::new();
                explanation.write(0, &mut text);
                let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                lines.extend(ran.map(|ms| format!("Execution Time: {ms:.3} ms")));
                lines
            }
            Format::Json => {
                let mut text = format!("[{{{}", explanation.json());
                text.extend(ran.map(|ms| format!(", \"Execution Time\": {ms:.3}")));
                vec![text + "}]"]
            }
        };
        let row = |line: String| match self.format {
            Format::Text => Ok(vec![Value::String(line)]),
            Format::Json => Value::from_json(&line).map(|value| vec![value]),
        };
        let rows: Result<_, _> = rows.into_iter().map(row).collect();
        let wrong = |error| SqlError::new(sqlstate::INTERNAL_ERROR, format!("{error}"));
        Ok(Rows::values(rows.map_err(wrong)?))
    }

    fn explained(
        &self,
        statement: &Native,
        transaction: &mut Transaction,
        environment: &Environment<'_>,
    ) -> Result<Explanation, SqlError> {
        if let Native::Planned(planned) = statement {
            let what = match self.analyze {
                true => crate::planner::Explained::Run,
                false => crate::planner::Explained::Plan,
            };
            return Ok(Explanation {
                lines: planned.plan.explain(what, transaction, environment)?,
                plan: Explained {
                    steps: Vec::new(),
                    rejected: Vec::new(),
                    cost: 0.0,
                },
                others: Vec::new(),
            });
        }
        let (answers, _kept) = subselect::answers(statement.queries(), transaction, environment)?;
        let environment = &Environment {
            queries: &answers,
            ..environment.clone()
        };
        let outline = statement.outline(environment)?;
        let mut plan = match &outline.question {
            Some((table, find)) if self.analyze => transaction.explain_analyze(table, find)?,
            Some((table, find)) => transaction.explain(table, find)?,
            None => Explained {
                steps: Vec::new(),
                rejected: Vec::new(),
                cost: 0.0,
            },
        };
        let stages = outline.stages.into_iter().map(|(name, detail)| Step {
            name,
            detail,
            guessed: None,
            rows: None,
            ns: None,
        });
        plan.steps.splice(0..0, stages);
        let mut others = Vec::new();
        for other in outline.others {
            let other = Native::Select(other.select().clone());
            others.push(self.explained(&other, transaction, environment)?);
        }
        Ok(Explanation {
            plan,
            others,
            lines: Vec::new(),
        })
    }
}

impl Explanation {
    fn write(&self, depth: usize, out: &mut String) {
        let indent = "   ".repeat(depth);
        let plan = match self.lines.is_empty() {
            true => self.plan.to_string(),
            false => self.lines.join("\n"),
        };
        for line in plan.lines() {
            *out += &format!("{indent}{line}\n");
        }
        for other in &self.others {
            *out += &format!("{indent}sub-select\n");
            other.write(depth + 1, out);
        }
    }

    fn json(&self) -> String {
        let others = self.others.iter().map(|one| format!("{{{}}}", one.json()));
        let others: Vec<_> = others.collect();
        if !self.lines.is_empty() {
            let lines = serde_json::to_string(&self.lines).unwrap_or_default();
            return format!("\"Plan\": {lines}");
        }
        format!(
            "\"Plan\": {}, \"Sub-selects\": [{}]",
            self.plan.to_json(),
            others.join(", ")
        )
    }
}
