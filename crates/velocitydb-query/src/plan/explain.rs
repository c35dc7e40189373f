//! What a plan says of itself: as text, as JSON, and with what it did.
//!
//! ```text
//!   limit 3                        3 rows
//!   └─ filter tail = "N14228"      3 of 40 rows     12 µs
//!      └─ index by_day: 1 range    40 rows (guessed 38)  80 µs
//! ```

use std::fmt;

use velocitydb_engine::store::Order;

use super::{Access, Plan};
use crate::find::Find;

/// What a query did, step by step. Filled while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Meter {
    /// Whether time is taken too.
    pub timed: bool,
    /// Documents that were looked at.
    pub reached: u64,
    /// Those that met the filter.
    pub matched: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Nanoseconds of the filter.
    pub filter_ns: u64,
    /// Nanoseconds of sorting.
    pub sort_ns: u64,
    /// Nanoseconds of everything.
    pub total_ns: u64,
}

/// A plan, what it is for, and what it did if it ran.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The steps, the last one first.
    pub steps: Vec<Step>,
    /// The plans that were dearer, with their rows and costs in nanoseconds.
    pub rejected: Vec<(String, f64, f64)>,
    /// The guess of what it costs, in nanoseconds.
    pub cost: f64,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it does.
    pub name: &'static str,
    /// With what.
    pub detail: String,
    /// About how many rows it was expected to hand on, where that was guessed.
    pub guessed: Option<u64>,
    /// How many it has handed on.
    pub rows: Option<u64>,
    /// How long it took, in nanoseconds, without the steps below it.
    pub ns: Option<u64>,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |f: &mut fmt::Formatter<'_>, n: usize, what: &str| {
            let plural = if n == 1 { "" } else { "s" };
            write!(f, ", {n} {what}{plural}")
        };
        match self {
            Access::Scan => f.write_str("scan"),
            Access::Ids { ids } => {
                f.write_str("by id")?;
                count(f, ids.len(), "id")
            }
            #[cfg(feature = "full-text")]
            Access::Words { index, words } => {
                write!(f, "index {}", index.definition().name)?;
                super::texts::describe(words, f)
            }
            Access::Lookup { index, keys } => {
                write!(f, "index {}", index.definition().name)?;
                count(f, keys.len(), "key")
            }
            Access::Ranges {
                index,
                ranges,
                order,
            } => {
                write!(f, "index {}", index.definition().name)?;
                let all = ranges
                    .iter()
                    .any(|range| range.from.is_empty() && range.to.is_none());
                match all {
                    true => f.write_str(", all of it")?,
                    false => count(f, ranges.len(), "range")?,
                }
                match order {
                    Order::Forward => Ok(()),
                    Order::Backward => f.write_str(", backwards"),
                }
            }
        }
    }
}

impl Plan {
    /// The plan in words; with `meter`, what it did.
    pub fn explain(&self, find: &Find, meter: Option<&Meter>) -> Explained {
        let of = |figure: fn(&Meter) -> u64| meter.map(figure);
        let step = |name, detail: String, rows, ns| Step {
            name,
            detail,
            guessed: None,
            rows,
            ns,
        };
        let mut steps = Vec::new();
        if find.limit.is_some() || find.offset > 0 {
            let limit = find.limit.map(|limit| format!("limit {limit}"));
            let offset = (find.offset > 0).then(|| format!("offset {}", find.offset));
            let parts: Vec<_> = limit.into_iter().chain(offset).collect();
            steps.push(step("limit", parts.join(", "), of(|m| m.answered), None));
        }
        if !self.sorted && !find.sort.is_empty() {
            let by = find.sort.iter().map(|(path, direction)| match direction {
                crate::Direction::Ascending => path.to_string(),
                crate::Direction::Descending => format!("{path} desc"),
            });
            let mut detail = by.collect::<Vec<_>>().join(", ");
            if self.sorted_by > 0 {
                detail += &format!(", in runs of equal first {}", self.sorted_by);
            }
            steps.push(step("sort", detail, of(|m| m.matched), of(|m| m.sort_ns)));
        }
        if find.filter != crate::Filter::All {
            let detail = find.filter.to_string();
            steps.push(step(
                "filter",
                detail,
                of(|m| m.matched),
                of(|m| m.filter_ns),
            ));
        }
        if let Some(condition) = &find.condition {
            let detail = condition.to_string();
            steps.push(step("condition", detail, of(|m| m.matched), None));
        }
        let rest = |m: &Meter| m.total_ns.saturating_sub(m.filter_ns + m.sort_ns);
        steps.push(Step {
            name: match self.access {
                Access::Scan => "scan",
                Access::Ids { .. } => "ids",
                Access::Lookup { .. } => "lookup",
                Access::Ranges { .. } => "ranges",
                #[cfg(feature = "full-text")]
                Access::Words { .. } => "words",
            },
            detail: self.access.to_string(),
            guessed: Some(self.rows.round() as u64),
            rows: of(|m| m.reached),
            ns: of(rest),
        });
        let rejected = self.rejected.iter();
        let rejected = rejected.map(|(access, rows, cost)| (access.to_string(), *rows, *cost));
        Explained {
            steps,
            rejected: rejected.collect(),
            cost: self.cost,
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.steps.iter().enumerate() {
            if depth > 0 {
                write!(f, "{:indent$}└─ ", "", indent = (depth - 1) * 3)?;
            }
            let named = step.detail.starts_with(step.name) || step.guessed.is_some();
            match named {
                true => write!(f, "{}", step.detail)?,
                false => write!(f, "{} {}", step.name, step.detail)?,
            }
            if let Some(rows) = step.rows {
                write!(f, "  rows {rows}")?;
            }
            if let Some(guessed) = step.guessed {
                write!(f, "  guessed {guessed}")?;
            }
            if let Some(ns) = step.ns {
                write!(f, "  {:.1} µs", ns as f64 / 1000.0)?;
            }
            writeln!(f)?;
        }
        for (access, rows, cost) in &self.rejected {
            writeln!(
                f,
                "not: {access}  guessed {rows:.0}  {:.1} µs",
                cost / 1000.0
            )?;
        }
        Ok(())
    }
}

impl Explained {
    /// As JSON text.
    pub fn to_json(&self) -> String {
        use velocitydb_types::Value;
        let number = |n: u64| Value::from(n);
        let steps = self.steps.iter().map(|step| {
            let mut map = crate::Aggregated::new();
            map.insert("step".into(), step.name.into());
            map.insert("detail".into(), step.detail.as_str().into());
            let figures = [
                ("guessed_rows", step.guessed),
                ("rows", step.rows),
                ("ns", step.ns),
            ];
            for (name, figure) in figures {
                map.extend(figure.map(|figure| (name.to_owned(), number(figure))));
            }
            Value::Map(map)
        });
        let rejected = self.rejected.iter().map(|(access, rows, cost)| {
            Value::Map(crate::Aggregated::from([
                ("access".to_owned(), access.as_str().into()),
                ("guessed_rows".to_owned(), number(rows.round() as u64)),
                ("cost_ns".to_owned(), number(cost.round() as u64)),
            ]))
        });
        Value::Map(crate::Aggregated::from([
            ("steps".to_owned(), Value::Array(steps.collect())),
            ("rejected".to_owned(), Value::Array(rejected.collect())),
            ("cost_ns".to_owned(), number(self.cost.round() as u64)),
        ]))
        .to_json()
        .to_string()
    }
}
