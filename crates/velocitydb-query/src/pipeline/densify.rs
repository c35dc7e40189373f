//! The densify stage: rows where a sequence of numbers or times has gaps.
//!
//! ```text
//!   at   0  1     3  4              sensor a has no row at 2
//!              +                    step 1: a row {at: 2, sensor: a}
//! ```
//!
//! The n-th value of a sequence is its first one and n steps, so that months keep their day and
//! floats do not drift. Rows leave by partition, and by the field within; those without the field go
//! on at once. Rows that wait and rows that are made are on one account, bounded by [`Limits`](crate::Limits): a
//! sequence with too many steps is refused before its first row is made.
//! Tests: `gaps_in_a_sequence` among the scripts; below, against sets of numbers.

use velocitydb_types::number::{Arithmetic, Number, NumberError, calculate};
use velocitydb_types::{Decimal, Path, Value, View, compare};

use super::check_outputs;
use super::partition::{Partitions, Waiting, partitions};
use super::reshape::set;
use super::sink::{Flow, Next, Sink, push_all};
use crate::error::QueryError;
use crate::expression::{Expression, TimeUnit, later};
use crate::limits::{Allowance, Kept, map_bytes};
use crate::row::{Aggregated, Cell, Kind, Row};
use crate::sort::Direction;

const STAGE: &str = "$densify";

/// Adds rows where a sequence has gaps. They have the field and those of the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Densify {
    /// What there is a sequence of: numbers, times or dates. Rows without it are left as they are.
    pub field: Path,
    /// Rows with equal values here have a sequence of their own.
    pub partition: Vec<Path>,
    /// From one value of a sequence to the next.
    pub step: DensifyStep,
    /// From where to where a sequence goes.
    pub bounds: DensifyBounds,
}

/// From one value of a sequence to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DensifyStep {
    /// A number greater than 0; the field has numbers.
    Number(Value),
    /// So many units, 1 or more; the field has times, or dates.
    Time(u32, TimeUnit),
}

/// From where to where a sequence goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DensifyBounds {
    /// From the least to the greatest value of all partitions, in each of them.
    Full,
    /// From the least to the greatest value of the partition.
    Partition,
    /// From the first value up to the second, without it, in each partition.
    Between(Value, Value),
}

fn invalid(problem: impl Into<String>) -> QueryError {
    QueryError::InvalidStage {
        stage: STAGE,
        problem: problem.into(),
    }
}

impl Densify {
    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        check_outputs(self.partition.iter().chain([&self.field]).cloned())?;
        let mut paths = self.partition.iter().chain([&self.field]);
        paths.try_for_each(|path| kind.check(path))?;
        let step_is_right = match &self.step {
            DensifyStep::Number(step) => {
                is_finite(&Cell::Ref(step)) && compare(step, &Value::Int(0)).is_gt()
            }
            DensifyStep::Time(step, _) => *step > 0,
        };
        if !step_is_right {
            return Err(invalid("the step is a number greater than 0"));
        }
        match &self.bounds {
            DensifyBounds::Full => Ok(()),
            DensifyBounds::Partition if self.partition.is_empty() => Err(invalid(
                "bounds of each partition need partitionByFields; \"full\" is from the least to \
                 the greatest of all rows",
            )),
            DensifyBounds::Partition => Ok(()),
            DensifyBounds::Between(from, to) => {
                self.judge(&Cell::Ref(from))?;
                self.judge(&Cell::Ref(to))?;
                if from.type_name() != to.type_name() && matches!(self.step, DensifyStep::Time(..))
                {
                    return Err(invalid("one bound is a time and the other a date"));
                }
                match compare(from, to).is_le() {
                    true => Ok(()),
                    false => Err(invalid("the first bound is greater than the second")),
                }
            }
        }
    }

    /// Refuses what no sequence of these steps is made of.
    fn judge(&self, cell: &Cell<'_>) -> Result<(), QueryError> {
        let (name, found) = (&self.field, cell.type_name());
        let problem = match (&self.step, cell.view()) {
            (DensifyStep::Number(_), View::Number(_)) if is_finite(cell) => return Ok(()),
            (DensifyStep::Time(..), View::Time(_)) => return Ok(()),
            (DensifyStep::Time(_, unit), View::Date(_)) if unit.is_days() => return Ok(()),
            (DensifyStep::Number(_), View::Number(_)) => {
                format!("{name}: expected a finite number")
            }
            (DensifyStep::Time(..), View::Date(_)) => format!(
                "{name}: dates are whole days apart: give a unit of days or more, or make times \
                 of them with $toTime"
            ),
            (DensifyStep::Number(_), View::Time(_) | View::Date(_)) => {
                format!("{name} is a {found}: the range needs a unit, such as \"hour\"")
            }
            (DensifyStep::Time(..), View::Number(_)) => {
                format!("{name} is a number: a unit is for times")
            }
            (DensifyStep::Number(_), _) => format!("{name}: expected a number, found {found}"),
            (DensifyStep::Time(..), _) => format!("{name}: expected a time, found {found}"),
        };
        Err(invalid(problem))
    }

    /// The value so many steps behind the first one; `None` when there is no such value, and so no
    /// bound that is not before it.
    fn value(&self, from: &Value, steps: usize) -> Result<Option<Value>, QueryError> {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        match &self.step {
            DensifyStep::Time(step, unit) => {
                let amount = steps.checked_mul(i64::from(*step));
                let moved = amount.map(|amount| later(&Cell::Ref(from), *unit, amount));
                Ok(moved.and_then(Result::ok))
            }
            DensifyStep::Number(step) => {
                let behind = |from: &Value, step: &Value| {
                    let width = calculate(Arithmetic::Multiply, Number::Int(steps), number(step))?;
                    calculate(Arithmetic::Add, number(from), number(&width))
                };
                let value = match behind(from, step) {
                    // The way may be beyond integers, and the bound too.
                    Err(NumberError::Overflow) => behind(&wide(from), &wide(step)).map(narrow),
                    value => value,
                };
                match value {
                    Ok(value) => Ok(Some(value)),
                    Err(NumberError::Overflow) => Ok(None),
                    Err(error) => Err(invalid(error.to_string())),
                }
            }
        }
    }
}

/// An integer as a decimal, so that no sum or difference overflows; anything else as it is.
pub(super) fn wide(value: &Value) -> Value {
    match value {
        Value::Int(int) => Value::Decimal(Decimal::from(*int)),
        other => other.clone(),
    }
}

/// A decimal as an integer where it is one.
fn narrow(value: Value) -> Value {
    match value {
        Value::Decimal(decimal) => decimal.to_i64().map_or(Value::Decimal(decimal), Value::Int),
        other => other,
    }
}

/// A number; 0 of anything else, which was refused before.
pub(super) fn number(value: &Value) -> Number<'_> {
    match View::from(value) {
        View::Number(number) => number,
        _ => Number::Int(0),
    }
}

fn is_finite(cell: &Cell<'_>) -> bool {
    match cell.view() {
        View::Number(Number::Float(float)) => float.is_finite(),
        View::Number(_) => true,
        _ => false,
    }
}

/// Where a sequence ends.
#[derive(Clone, Copy)]
enum End<'v> {
    With(&'v Value),
    Before(&'v Value),
}

impl End<'_> {
    fn is_before(self, value: &Value) -> bool {
        match self {
            End::With(last) => compare(value, last).is_gt(),
            End::Before(end) => compare(value, end).is_ge(),
        }
    }
}

pub(super) struct DensifyRows<'p> {
    densify: &'p Densify,
    by: Vec<Expression>,
    sort: [(Path, Direction); 1],
    /// The type of the values: all are of one.
    found: Option<&'static str>,
    rows: Partitions,
    next: Next<'p>,
}

impl<'p> DensifyRows<'p> {
    pub(super) fn new(
        densify: &'p Densify,
        limits: Allowance<'_>,
        next: Next<'p>,
    ) -> DensifyRows<'p> {
        let by = densify.partition.iter().cloned().map(Expression::Field);
        DensifyRows {
            densify,
            by: by.collect(),
            sort: [(densify.field.clone(), Direction::Ascending)],
            found: match &densify.bounds {
                DensifyBounds::Between(from, _) => Some(type_of(&Cell::Ref(from))),
                DensifyBounds::Full | DensifyBounds::Partition => None,
            },
            rows: Partitions::new(STAGE, limits),
            next,
        }
    }
}

/// The type of a value; numbers are of one.
fn type_of(cell: &Cell<'_>) -> &'static str {
    match cell.view() {
        View::Number(_) => "number",
        _ => cell.type_name(),
    }
}

impl Sink for DensifyRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let value = row.as_ref().value(&self.densify.field);
        if value.is_null() {
            return self.next.push(row);
        }
        self.densify.judge(&value)?;
        let found = type_of(&value);
        let expected = *self.found.get_or_insert(found);
        if expected != found {
            let name = &self.densify.field;
            return Err(invalid(format!(
                "{name}: expected a {expected} as before, found a {found}: $toTime makes times of \
                 dates, $toDay dates of times"
            )));
        }
        drop(value);
        self.rows.push(row, &self.by, &self.sort)?;
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        let DensifyRows {
            densify,
            rows,
            mut next,
            ..
        } = *self;
        let (rows, mut kept) = rows.finish();
        let value = |waiting: &Waiting| waiting.row.as_ref().value(&densify.field).into_value();
        let extremes = |rows: &[Waiting]| Some((value(rows.first()?), value(rows.last()?)));
        // The least and the greatest of all are those of some partition.
        let full = partitions(&rows).filter_map(extremes);
        let full = full.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let mut one = |rows: &[Waiting]| {
            let own = extremes(rows);
            let (from, end) = match (&densify.bounds, &full, &own) {
                (DensifyBounds::Between(from, to), ..) => (from, End::Before(to)),
                (DensifyBounds::Full, Some((least, greatest)), _)
                | (DensifyBounds::Partition, _, Some((least, greatest))) => {
                    (least, End::With(greatest))
                }
                (DensifyBounds::Full | DensifyBounds::Partition, ..) => return Ok(Flow::More),
            };
            one_partition(densify, rows, from, end, &mut kept, &mut next)
        };
        // Without partitions there is one, be it without rows.
        if rows.is_empty() && densify.partition.is_empty() {
            one(&[])?;
        }
        for rows in partitions(&rows) {
            if one(rows)? == Flow::Enough {
                break;
            }
        }
        next.finish()
    }
}

/// Hands on the rows of a partition, which are in order, and makes those that are missing.
fn one_partition(
    densify: &Densify,
    rows: &[Waiting],
    from: &Value,
    end: End<'_>,
    kept: &mut Kept,
    next: &mut Next<'_>,
) -> Result<Flow, QueryError> {
    // There can be no more values than rows that are there and rows that may be made.
    let most = densify.value(from, rows.len().saturating_add(kept.rows_left()))?;
    if most.is_some_and(|value| !end.is_before(&value)) {
        return Err(kept.too_many_rows());
    }
    let mut made = Aggregated::new();
    for path in rows.first().map_or(&[][..], |_| &densify.partition) {
        let value = rows[0].row.as_ref().get(path).map(Cell::into_value);
        if let Some(value) = value {
            set(&mut made, path, value);
        }
    }
    let mut rows = rows.iter().peekable();
    let mut before: Option<Value> = None;
    for steps in 0.. {
        let Some(value) = densify.value(from, steps)? else {
            break;
        };
        if end.is_before(&value) {
            break;
        }
        if before.is_some_and(|before| compare(&value, &before).is_le()) {
            return Err(invalid("the step is too small for numbers of this size"));
        }
        let order = |waiting: &Waiting| {
            let found = waiting.row.as_ref().value(&densify.field);
            compare(found.view(), &value)
        };
        while let Some(waiting) = rows.next_if(|waiting| order(waiting).is_lt()) {
            if next.push(waiting.row.lend())? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        if !rows.peek().is_some_and(|waiting| order(waiting).is_eq()) {
            let mut row = made.clone();
            set(&mut row, &densify.field, value.clone());
            kept.add(map_bytes(&row))?;
            if next.push(Row::from(row))? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        before = Some(value);
    }
    push_all(next, rows.map(|waiting| waiting.row.lend()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::pipeline::Pipeline;
    use crate::testing::{documents, scan};

    proptest! {
        /// Each partition has the values that it had, and those of its sequence, in order; only what
        /// was there has an id.
        #[test]
        fn a_partition_has_its_values_and_those_of_its_sequence(
            rows in vec((0..3_i64, -20..20_i64), 0..12),
            step in 1..7_i64,
            bounds in 0..3,
            (from, length) in (-15..15_i64, 0..20_i64),
        ) {
            let json: Vec<String> =
                rows.iter().map(|(p, n)| format!(r#"{{"p":{p},"n":{n}}}"#)).collect();
            let json: Vec<&str> = json.iter().map(String::as_str).collect();
            let densify = Densify {
                field: Path::field("n"),
                partition: vec![Path::field("p")],
                step: DensifyStep::Number(step.into()),
                bounds: match bounds {
                    0 => DensifyBounds::Full,
                    1 => DensifyBounds::Partition,
                    _ => DensifyBounds::Between(from.into(), (from + length).into()),
                },
            };
            let found = Pipeline::new().densify(densify).run(scan(&documents(&json))).unwrap();
            let found: Vec<(i64, i64, bool)> = found
                .iter()
                .map(|row| {
                    let int = |name: &str| row[name].as_int().unwrap();
                    (int("p"), int("n"), row.contains_key("_id"))
                })
                .collect();

            let mut expected = Vec::new();
            let all: BTreeSet<i64> = rows.iter().map(|(_, n)| *n).collect();
            for partition in rows.iter().map(|(p, _)| *p).collect::<BTreeSet<_>>() {
                let own = rows.iter().filter(|(p, _)| *p == partition).map(|(_, n)| *n);
                let own: Vec<i64> = own.collect();
                let range = match bounds {
                    0 => *all.first().unwrap()..*all.last().unwrap() + 1,
                    1 => *own.iter().min().unwrap()..*own.iter().max().unwrap() + 1,
                    _ => from..from + length,
                };
                expected.extend(own.iter().map(|n| (partition, *n, true)));
                let made = range.step_by(step as usize).filter(|n| !own.contains(n));
                expected.extend(made.map(|n| (partition, n, false)));
            }
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
