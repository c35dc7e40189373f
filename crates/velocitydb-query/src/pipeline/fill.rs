//! The fill stage: values for fields that are null or absent.
//!
//! A value that is computed of the row alone goes on with it at once. For one that depends on the
//! rows around it (linear, locf) rows are divided into partitions, sorted within, and leave in that
//! order; all of them are kept, bounded by [`Limits`](crate::Limits). Those values are there first: what is
//! computed of a row sees them. Tests: `values_that_are_filled_in` among the scripts; below, the plain way.

use velocitydb_types::number::{Arithmetic, NumberError, calculate};
use velocitydb_types::{Path, Value, View};

use super::check_outputs;
use super::densify::{number, wide};
use super::partition::{Partitions, Waiting, partitions};
use super::reshape::{check_depth, set};
use super::sink::{Flow, Next, Sink};
use crate::error::QueryError;
use crate::expression::Expression;
use crate::limits::{Allowance, Kept, value_bytes};
use crate::row::{Aggregated, Cell, Kind, Row, RowRef};
use crate::sort::Direction;

const STAGE: &str = "$fill";

/// Gives values to fields that are null or absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fill {
    /// Rows with equal values here are among themselves.
    pub partition: Vec<Expression>,
    /// In which order the rows of a partition are; as they came unless given.
    pub sort: Vec<(Path, Direction)>,
    /// The fields, and with what they are filled.
    pub fields: Vec<(Path, FillWith)>,
}

/// With what a field is filled that is null or absent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FillWith {
    /// This value.
    Value(Expression),
    /// The last value before it, in the order of the rows; null when there is none.
    Last,
    /// The value on the line between the last one before it and the next one, by the field of the
    /// sort: a number, a time or a date. Null where there is none on one side.
    Linear,
}

fn invalid(problem: impl Into<String>) -> QueryError {
    QueryError::InvalidStage {
        stage: STAGE,
        problem: problem.into(),
    }
}

impl Fill {
    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        if self.fields.is_empty() {
            return Err(invalid(
                "output is missing, such as {\"x\":{\"method\":\"locf\"}}",
            ));
        }
        check_outputs(self.fields.iter().map(|(path, _)| path.clone()))?;
        let sorted = self.sort.iter().map(|(path, _)| path);
        let mut paths = self.fields.iter().map(|(path, _)| path).chain(sorted);
        paths.try_for_each(|path| kind.check(path))?;
        self.partition.iter().try_for_each(|by| by.check(kind))?;
        for (path, with) in &self.fields {
            match with {
                FillWith::Value(value) => value.check(kind)?,
                FillWith::Linear if self.sort.len() != 1 => {
                    return Err(invalid(format!(
                        "{path}: linear needs a sortBy of one field, a number or a time"
                    )));
                }
                FillWith::Linear | FillWith::Last => {}
            }
        }
        Ok(())
    }

    /// Whether a row needs no others.
    fn is_alone(&self) -> bool {
        let mut fields = self.fields.iter();
        fields.all(|(_, with)| matches!(with, FillWith::Value(_)))
    }

    /// Fills what is computed of the row, and hands it on.
    fn hand_on(
        &self,
        mut map: Aggregated,
        kept: &Kept,
        next: &mut Next<'_>,
    ) -> Result<Flow, QueryError> {
        let mut bytes = 0;
        for (path, with) in &self.fields {
            if let FillWith::Value(value) = with
                && RowRef::Map(&map).value(path).is_null()
            {
                let value = value.evaluate(RowRef::Map(&map));
                let value = value.map(Cell::into_value).and_then(|value| {
                    check_depth(path, &value)?;
                    Ok(value)
                });
                let value = value.map_err(|error| error.in_stage(STAGE))?;
                bytes += value_bytes(&value);
                kept.pass(bytes)?;
                set(&mut map, path, value);
            }
        }
        next.push(Row::from(map))
    }
}

pub(super) struct FillRows<'p> {
    fill: &'p Fill,
    rows: Partitions,
    next: Next<'p>,
}

impl<'p> FillRows<'p> {
    pub(super) fn new(fill: &'p Fill, limits: Allowance<'_>, next: Next<'p>) -> FillRows<'p> {
        FillRows {
            fill,
            rows: Partitions::new(STAGE, limits),
            next,
        }
    }
}

impl Sink for FillRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let fill = self.fill;
        if fill.is_alone() {
            return fill.hand_on(row.into_map(), &self.rows.kept, &mut self.next);
        }
        self.rows.push(row, &fill.partition, &fill.sort)?;
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        let FillRows {
            fill,
            rows,
            mut next,
        } = *self;
        let (rows, kept) = rows.finish();
        for rows in partitions(&rows) {
            if one_partition(fill, rows, &kept, &mut next)? == Flow::Enough {
                break;
            }
        }
        next.finish()
    }
}

/// The rows around a row that have a value.
#[derive(Clone, Copy, Default)]
struct Around {
    before: Option<usize>,
    /// The first one from some row on; as many as there are rows when there is none.
    after: usize,
}

fn one_partition(
    fill: &Fill,
    rows: &[Waiting],
    kept: &Kept,
    next: &mut Next<'_>,
) -> Result<Flow, QueryError> {
    let mut around = vec![Around::default(); fill.fields.len()];
    for (at, waiting) in rows.iter().enumerate() {
        let mut map = waiting.row.clone().into_map();
        for ((path, with), around) in fill.fields.iter().zip(&mut around) {
            let has = |waiting: &Waiting| !waiting.row.as_ref().value(path).is_null();
            if has(waiting) {
                around.before = Some(at);
                continue;
            }
            let value = match (with, around.before) {
                (FillWith::Value(_), _) => continue,
                (FillWith::Last, Some(before)) => {
                    rows[before].row.as_ref().value(path).into_value()
                }
                (FillWith::Linear, Some(before)) => {
                    if around.after < at {
                        let found = rows[at..].iter().position(has);
                        around.after = found.map_or(rows.len(), |found| at + found);
                    }
                    match rows.get(around.after) {
                        Some(after) => {
                            let rows = [&rows[before], waiting, after];
                            on_the_line(path, &fill.sort[0].0, rows.map(|it| it.row.as_ref()))?
                        }
                        None => Value::Null,
                    }
                }
                (FillWith::Last | FillWith::Linear, None) => Value::Null,
            };
            set(&mut map, path, value);
        }
        if fill.hand_on(map, kept, next)? == Flow::Enough {
            return Ok(Flow::Enough);
        }
    }
    Ok(Flow::More)
}

/// The value of the second row, between those of the first and the third.
fn on_the_line(path: &Path, by: &Path, rows: [RowRef<'_>; 3]) -> Result<Value, QueryError> {
    let [x0, x, x1] = rows.map(|row| place(by, row));
    let ((x0, kind), (x, its), (x1, last)) = (x0?, x?, x1?);
    if kind != its || kind != last {
        return Err(invalid(format!(
            "linear: {by} is a number in some rows and a time in others"
        )));
    }
    let y = |row: RowRef<'_>| {
        let cell = row.value(path);
        match cell.view() {
            View::Number(_) => Ok(cell.into_value()),
            _ => Err(invalid(format!(
                "linear: {path}: expected a number, found {}",
                cell.type_name()
            ))),
        }
    };
    line([&x0, &x, &x1], [&y(rows[0])?, &y(rows[2])?]).map_err(|error| match error {
        NumberError::DivisionByZero => invalid(format!("linear: two rows have the same {by}")),
        error => invalid(format!("linear: {path}: {error}")),
    })
}

/// Where a row is: a number, of times their microseconds. And whether it is a time.
fn place(by: &Path, row: RowRef<'_>) -> Result<(Value, bool), QueryError> {
    let cell = row.value(by);
    match cell.view() {
        View::Number(_) => Ok((cell.into_value(), false)),
        View::Time(time) => Ok((time.0.into(), true)),
        View::Date(date) => match date.midnight() {
            Some(time) => Ok((time.0.into(), true)),
            None => Err(invalid(format!(
                "linear: {by} is out of the range of times"
            ))),
        },
        _ => Err(invalid(format!(
            "linear: {by}: expected a number or a time, found {}",
            cell.type_name()
        ))),
    }
}

/// The value at the second place, on the line through those of the first and the third. Of integers
/// and floats it is a float, with a decimal among them a decimal.
fn line([x0, x, x1]: [&Value; 3], [y0, y1]: [&Value; 2]) -> Result<Value, NumberError> {
    let of = |operation, a: &Value, b: &Value| calculate(operation, number(a), number(b));
    let (x0, x, x1) = (wide(x0), wide(x), wide(x1));
    let (width, part) = (
        of(Arithmetic::Subtract, &x1, &x0)?,
        of(Arithmetic::Subtract, &x, &x0)?,
    );
    if [y0, y1].iter().any(|y| matches!(y, Value::Decimal(_))) {
        let rise = of(Arithmetic::Subtract, &wide(y1), &wide(y0))?;
        let rise = of(Arithmetic::Multiply, &rise, &part)?;
        return of(
            Arithmetic::Add,
            &wide(y0),
            &of(Arithmetic::Divide, &rise, &width)?,
        );
    }
    let share = number(&of(Arithmetic::Divide, &part, &width)?).to_f64();
    let (y0, y1) = (number(y0).to_f64(), number(y1).to_f64());
    Ok(Value::Float(y0 + (y1 - y0) * share))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::pipeline::Pipeline;
    use crate::testing::{documents, scan};

    proptest! {
        /// The value before and the value on the line, looked for anew for each row.
        #[test]
        fn values_are_those_before_and_on_the_line(
            values in vec(option::of(-100..100_i64), 0..12), width in 1..50_i64,
        ) {
            let place = |at: usize| at as i64 * width + (at % 2) as i64;
            let row = |(at, value): (usize, &Option<i64>)| match value {
                Some(value) => format!(r#"{{"x":{},"a":{value},"b":{value}}}"#, place(at)),
                None => format!(r#"{{"x":{}}}"#, place(at)),
            };
            let json: Vec<String> = values.iter().enumerate().map(row).collect();
            let json: Vec<&str> = json.iter().map(String::as_str).collect();
            let fill = Fill {
                sort: vec![(Path::field("x"), Direction::Ascending)],
                fields: vec![
                    (Path::field("a"), FillWith::Last),
                    (Path::field("b"), FillWith::Linear),
                ],
                ..Fill::default()
            };
            let found = Pipeline::new().fill(fill).run(scan(&documents(&json))).unwrap();
            prop_assert_eq!(found.len(), values.len());
            for (at, row) in found.iter().enumerate() {
                let known = |at: &usize| values[*at].is_some();
                let (before, after) = ((0..=at).rfind(known), (at..values.len()).find(known));
                let last = before.and_then(|at| values[at]);
                prop_assert_eq!(&row["a"], &last.map_or(Value::Null, Value::Int));
                match (&row["b"], before, after) {
                    (Value::Int(same), Some(before), _) if before == at => {
                        prop_assert_eq!(Some(*same), values[at]);
                    }
                    (Value::Float(found), Some(before), Some(after)) => {
                        let y = |at: usize| values[at].unwrap() as f64;
                        let slope = (y(after) - y(before)) / (place(after) - place(before)) as f64;
                        let expected = y(before) + slope * (place(at) - place(before)) as f64;
                        prop_assert!((found - expected).abs() < 1e-9, "{found} {expected}");
                    }
                    (found, ..) => prop_assert_eq!(found, &Value::Null),
                }
            }
        }
    }
}
