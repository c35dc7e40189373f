//! The window stage: values computed of the rows around each row.
//!
//! Rows are divided into partitions, sorted within, and leave in that order (`partition`). All of
//! them are kept, bounded by [`Limits`].

use velocitydb_types::{Path, Value};

use super::accumulator::{Accumulator, State};
use super::check_outputs;
use super::partition::{Partitions, Waiting, partitions};
use super::reshape::{check_depth, set};
use super::sink::{Flow, Next, Sink};
use crate::error::QueryError;
use crate::expression::Expression;
use crate::limits::{Allowance, Kept};
use crate::row::{Aggregated, Kind, Row};
use crate::sort::Direction;

/// How many rows a moving window may have.
pub const WINDOW_ROWS_MAX: usize = 1000;

/// Computes values of the rows around each row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Rows with equal values here are among themselves.
    pub partition: Vec<Expression>,
    /// In which order the rows of a partition are.
    pub sort: Vec<(Path, Direction)>,
    /// What is computed, and where it goes.
    pub fields: Vec<(Path, WindowFunction)>,
}

/// What is computed of the rows around a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowFunction {
    /// The place of the row from 1; rows equal in the sort share one, and leave a gap.
    Rank,
    /// As rank, without gaps.
    DenseRank,
    /// The number of the row from 1.
    RowNumber,
    /// A count, sum, mean, least or greatest over some rows of the partition.
    Over(Accumulator, Frame),
    /// The value so many rows before, or the last one when there is none.
    Lag(Expression, usize, Value),
    /// The value so many rows later, or the last one when there is none.
    Lead(Expression, usize, Value),
}

/// Over which rows of its partition a value is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Frame {
    /// The row and all before it.
    #[default]
    Running,
    /// The row and those right before it, so many in all.
    Rows(usize),
    /// All rows of the partition.
    All,
}

impl Window {
    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        let invalid = |problem: String| QueryError::InvalidStage {
            stage: "$window",
            problem,
        };
        check_outputs(self.fields.iter().map(|(path, _)| path.clone()))?;
        self.partition.iter().try_for_each(|by| by.check(kind))?;
        self.sort
            .iter()
            .try_for_each(|(path, _)| kind.check(path))?;
        for (_, function) in &self.fields {
            match function {
                WindowFunction::Rank | WindowFunction::DenseRank if self.sort.is_empty() => {
                    return Err(invalid("a rank needs a sort".to_owned()));
                }
                WindowFunction::Rank | WindowFunction::DenseRank | WindowFunction::RowNumber => {}
                WindowFunction::Lag(of, ..) | WindowFunction::Lead(of, ..) => of.check(kind)?,
                WindowFunction::Over(accumulator, frame) => {
                    let (Accumulator::Count
                    | Accumulator::Sum(_)
                    | Accumulator::Avg(_)
                    | Accumulator::Min(_)
                    | Accumulator::Max(_)) = accumulator
                    else {
                        return Err(invalid(
                            "over a window there are $count, $sum, $avg, $min and $max".to_owned(),
                        ));
                    };
                    if let Some(input) = accumulator.input() {
                        input.check(kind)?;
                    }
                    if let Frame::Rows(rows) = frame
                        && !(1..=WINDOW_ROWS_MAX).contains(rows)
                    {
                        return Err(invalid(format!(
                            "a moving window has 1 to {WINDOW_ROWS_MAX} rows, found {rows}"
                        )));
                    }
                }
            }
        }
        Ok(())
    }
}

pub(super) struct WindowRows<'p> {
    window: &'p Window,
    rows: Partitions,
    next: Next<'p>,
}

impl<'p> WindowRows<'p> {
    pub(super) fn new(window: &'p Window, limits: Allowance<'_>, next: Next<'p>) -> WindowRows<'p> {
        WindowRows {
            window,
            rows: Partitions::new("$window", limits),
            next,
        }
    }
}

impl Sink for WindowRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let window = self.window;
        self.rows.push(row, &window.partition, &window.sort)?;
        Ok(Flow::More)
    }

    fn finish(self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        let WindowRows {
            window,
            rows,
            mut next,
        } = *self;
        let (rows, mut kept) = rows.finish();
        for rows in partitions(&rows) {
            if one_partition(window, rows, &mut kept, &mut next)? == Flow::Enough {
                break;
            }
        }
        next.finish()
    }
}

/// What a function has seen of its partition so far.
enum Progress<'p> {
    /// The place of the row before.
    Place(u64),
    State(State<'p>),
    /// The same for all rows.
    Known(Value),
    Nothing,
}

fn one_partition(
    window: &Window,
    rows: &[Waiting],
    kept: &mut Kept,
    next: &mut Next<'_>,
) -> Result<Flow, QueryError> {
    let begin = |function| begin(function, rows, kept);
    let functions = window.fields.iter().map(|(_, function)| function);
    let mut progress: Vec<Progress<'_>> = functions.map(begin).collect::<Result<_, _>>()?;
    for (at, waiting) in rows.iter().enumerate() {
        let mut map = waiting.row.clone().into_map();
        for ((path, function), progress) in window.fields.iter().zip(&mut progress) {
            let value = value_at(function, progress, rows, at, kept).and_then(|value| {
                check_depth(path, &value)?;
                Ok(value)
            });
            let value = value.map_err(|error| error.in_stage("$window"))?;
            set(&mut map, path, value);
        }
        if next.push(Row::from(map))? == Flow::Enough {
            return Ok(Flow::Enough);
        }
    }
    Ok(Flow::More)
}

fn begin<'p>(
    function: &'p WindowFunction,
    rows: &[Waiting],
    kept: &mut Kept,
) -> Result<Progress<'p>, QueryError> {
    Ok(match function {
        WindowFunction::Rank | WindowFunction::DenseRank => Progress::Place(0),
        WindowFunction::Over(accumulator, Frame::Running) => {
            Progress::State(State::new(accumulator))
        }
        WindowFunction::Over(accumulator, Frame::All) => {
            let value = over(accumulator, rows, kept);
            Progress::Known(value.map_err(|error| error.in_stage("$window"))?)
        }
        WindowFunction::Over(_, Frame::Rows(_))
        | WindowFunction::RowNumber
        | WindowFunction::Lag(..)
        | WindowFunction::Lead(..) => Progress::Nothing,
    })
}

fn over(accumulator: &Accumulator, rows: &[Waiting], kept: &mut Kept) -> Result<Value, QueryError> {
    let mut state = State::new(accumulator);
    for waiting in rows {
        state.add(waiting.row.as_ref(), kept)?;
    }
    state.finish()
}

fn value_at(
    function: &WindowFunction,
    progress: &mut Progress<'_>,
    rows: &[Waiting],
    at: usize,
    kept: &mut Kept,
) -> Result<Value, QueryError> {
    let new_place = at == 0 || rows[at].sort != rows[at - 1].sort;
    let other = |of: &Expression, at: Option<usize>, default: &Value| match at
        .and_then(|at| rows.get(at))
    {
        Some(waiting) => Ok(of.evaluate(waiting.row.as_ref())?.into_value()),
        None => Ok(default.clone()),
    };
    match (function, progress) {
        (WindowFunction::Rank, Progress::Place(place)) => {
            if new_place {
                *place = at as u64 + 1;
            }
            Ok((*place).into())
        }
        (WindowFunction::DenseRank, Progress::Place(place)) => {
            *place += u64::from(new_place);
            Ok((*place).into())
        }
        (WindowFunction::RowNumber, _) => Ok((at as u64 + 1).into()),
        (WindowFunction::Lag(of, rows, default), _) => other(of, at.checked_sub(*rows), default),
        (WindowFunction::Lead(of, rows, default), _) => other(of, at.checked_add(*rows), default),
        (WindowFunction::Over(accumulator, Frame::Rows(count)), _) => over(
            accumulator,
            &rows[(at + 1).saturating_sub(*count)..=at],
            &mut kept.of_one_row(),
        ),
        (_, Progress::State(state)) => {
            state.add(rows[at].row.as_ref(), kept)?;
            state.clone().finish()
        }
        (_, Progress::Known(value)) => Ok(value.clone()),
        (_, Progress::Place(_) | Progress::Nothing) => Ok(Value::Null),
    }
}
