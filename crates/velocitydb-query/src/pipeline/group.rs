//! The group stage: rows with equal values become one row.
//!
//! A group is found by the order-preserving bytes of its values, which are equal exactly for
//! equal values: 1 and 1.0 are one group, and so are null and absent. A group shows the values of
//! the row that began it. Groups leave in the order in which they began. A row that belongs to a
//! known group allocates nothing.
//!
//! Memory: each group's key, values and accumulators, bounded by [`Limits`]. Rows are not kept.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use velocitydb_types::{Path, RawValue, Value, encode_value_key};

use super::accumulator::{Accumulator, Share, State};
use super::check_outputs;
use super::input::Input;
use super::reshape::{check_depth, set};
use super::sink::{Flow, Next, Sink, push_all};
use crate::error::QueryError;
use crate::expression::{Expression, Function, TimeUnit};
use crate::limits::{Allowance, Kept, value_bytes};
use crate::path::{IntoPath, Wrong};
use crate::row::{Aggregated, Kind, Row, RowRef};

/// By what rows are grouped, and what is known of each group.
///
/// Grouped by nothing, all rows are one group, which is there even without rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Group {
    /// The values that the rows of a group share, and where they stand in the output.
    pub by: Vec<(Path, Expression)>,
    /// What is computed over the rows of a group, by name.
    pub with: Vec<(String, Accumulator)>,
    wrong: Wrong,
}

impl Group {
    /// One group of all rows.
    pub fn new() -> Group {
        Group::default()
    }

    /// Rows of one group share what `path` leads to.
    pub fn by(mut self, name: impl Into<String>, path: impl IntoPath) -> Group {
        let field = self.wrong.take(Expression::field(path));
        self.by
            .extend(field.map(|field| (Path::field(name), field)));
        self
    }

    /// Rows of one group share this value.
    pub fn by_value(mut self, name: impl Into<String>, value: Expression) -> Group {
        self.by.push((Path::field(name), value));
        self
    }

    /// Rows of one group have times (or dates) at `path` that lie in one bin of so many units; the
    /// group shows its beginning. Bins are counted from 2000-01-01T00:00Z, as in `$dateTrunc`.
    pub fn by_time(
        mut self,
        name: impl Into<String>,
        path: impl IntoPath,
        unit: TimeUnit,
        bin: u32,
    ) -> Group {
        let Some(time) = self.wrong.take(Expression::field(path)) else {
            return self;
        };
        let bin = Expression::call(
            Function::DateTrunc,
            [time, unit.name().into(), i64::from(bin).into()],
        );
        self.by_value(name, bin)
    }

    /// How many rows there are.
    pub fn count(mut self, name: impl Into<String>) -> Group {
        self.with.push((name.into(), Accumulator::Count));
        self
    }

    /// The sum of what `path` leads to.
    pub fn sum(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::Sum)
    }

    /// The mean of what `path` leads to.
    pub fn avg(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::Avg)
    }

    /// The least that `path` leads to.
    pub fn min(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::Min)
    }

    /// The greatest that `path` leads to.
    pub fn max(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::Max)
    }

    /// What `path` leads to in the first row.
    pub fn first(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::First)
    }

    /// What `path` leads to in the last row.
    pub fn last(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::Last)
    }

    /// How many different values `path` leads to.
    pub fn count_distinct(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::CountDistinct)
    }

    /// All values that `path` leads to, in the order of the rows.
    pub fn push(self, name: impl Into<String>, path: impl IntoPath) -> Group {
        self.with(name, path, Accumulator::Push)
    }

    /// For each share (0 to 1) the value that so many of those that `path` leads to do not
    /// exceed. All values are kept for it.
    pub fn percentiles(
        mut self,
        name: impl Into<String>,
        path: impl IntoPath,
        shares: &[f64],
    ) -> Group {
        let checked = shares.iter().map(|share| {
            Share::new(*share).ok_or_else(|| QueryError::InvalidStage {
                stage: "$group",
                problem: format!("a percentile is 0 to 1, found {share}"),
            })
        });
        let checked = self.wrong.take(checked.collect::<Result<Vec<_>, _>>());
        match checked {
            Some(shares) => self.with(name, path, |of| Accumulator::Percentiles(of, shares)),
            None => self,
        }
    }

    /// Computes any accumulator.
    pub fn compute(mut self, name: impl Into<String>, accumulator: Accumulator) -> Group {
        self.with.push((name.into(), accumulator));
        self
    }

    fn with(
        mut self,
        name: impl Into<String>,
        path: impl IntoPath,
        accumulator: impl FnOnce(Expression) -> Accumulator,
    ) -> Group {
        let field = self.wrong.take(Expression::field(path));
        self.with
            .extend(field.map(|field| (name.into(), accumulator(field))));
        self
    }

    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        self.wrong.check()?;
        let names = self.with.iter().map(|(name, _)| Path::field(name.as_str()));
        check_outputs(self.by.iter().map(|(path, _)| path.clone()).chain(names))?;
        self.by
            .iter()
            .try_for_each(|(_, value)| value.check(kind))?;
        check_inputs(&self.with, kind)
    }
}

pub(super) fn check_inputs(with: &[(String, Accumulator)], kind: Kind) -> Result<(), QueryError> {
    let mut inputs = with.iter().filter_map(|(_, with)| with.input());
    inputs.try_for_each(|input| input.check(kind))
}

/// The accumulators of one group.
pub(super) type States<'p> = Box<[State<'p>]>;

/// Accumulators that have seen no row.
pub(super) fn states(with: &[(String, Accumulator)]) -> States<'_> {
    let states = with.iter().map(|(_, accumulator)| State::new(accumulator));
    states.collect()
}

/// Adds to a row what accumulators have computed.
pub(super) fn finish_into(
    row: &mut Aggregated,
    with: &[(String, Accumulator)],
    states: States<'_>,
) -> Result<(), QueryError> {
    for ((name, _), state) in with.iter().zip(states) {
        row.insert(name.clone(), state.finish()?);
    }
    Ok(())
}

/// Groups the rows that it is given.
pub(super) struct GroupRows<'p> {
    group: &'p Group,
    by: Vec<Input<'p>>,
    next: Next<'p>,
    /// From the bytes of its values to a group's position.
    positions: HashMap<Box<[u8]>, usize, RandomState>,
    /// From the encoded form of a value to the position of its group, where rows are documents
    /// grouped by one field: a shortcut, that may know less, and several forms of one value.
    encoded: HashMap<Box<[u8]>, usize, RandomState>,
    groups: Vec<Members<'p>>,
    key: Vec<u8>,
    kept: Kept,
}

/// What is known of one group.
struct Members<'p> {
    by: Box<[Value]>,
    states: States<'p>,
}

/// Bytes of a group's places in the list and in the table, both up to half empty.
const GROUP_BYTES: usize = 2 * (size_of::<Members<'_>>() + size_of::<(Box<[u8]>, usize)>());

/// Longer values are looked up by their keys alone.
const ENCODED_LEN_MAX: usize = 64;

/// Bytes of a place in the shortcut, which is up to half empty.
const ENCODED_BYTES: usize = 2 * size_of::<(Box<[u8]>, usize)>();

impl<'p> GroupRows<'p> {
    pub(super) fn new(group: &'p Group, limits: Allowance<'_>, next: Next<'p>) -> GroupRows<'p> {
        GroupRows {
            group,
            by: group.by.iter().map(|(_, by)| Input::new(by)).collect(),
            next,
            positions: HashMap::default(),
            encoded: HashMap::default(),
            groups: Vec::new(),
            key: Vec::new(),
            kept: Kept::of("$group", limits),
        }
    }

    /// The position of the group that a row belongs to.
    #[inline]
    fn position(&mut self, row: RowRef<'_>) -> Result<usize, QueryError> {
        let raw = match &mut self.by[..] {
            [only] => only.raw(row),
            _ => None,
        };
        let raw = raw.map(RawValue::as_bytes);
        let Some(raw) = raw.filter(|raw| raw.len() <= ENCODED_LEN_MAX) else {
            return self.position_by_key(row);
        };
        if let Some(position) = self.encoded.get(raw) {
            return Ok(*position);
        }
        let position = self.position_by_key(row)?;
        self.kept.resize(0, raw.len() + ENCODED_BYTES)?;
        self.encoded.insert(raw.into(), position);
        Ok(position)
    }

    fn position_by_key(&mut self, row: RowRef<'_>) -> Result<usize, QueryError> {
        self.key.clear();
        for value in &mut self.by {
            encode_value_key(value.evaluate(row)?.view(), &mut self.key);
        }
        match self.positions.get(self.key.as_slice()) {
            Some(position) => Ok(*position),
            None => self.begin(row),
        }
    }

    /// Begins the group of a row, whose key is written.
    fn begin(&mut self, row: RowRef<'_>) -> Result<usize, QueryError> {
        let values = self.group.by.iter();
        let values = values.map(|(_, value)| value.evaluate(row).map(|cell| cell.into_value()));
        let members = Members {
            by: values.collect::<Result<_, _>>()?,
            states: states(&self.group.with),
        };
        let bytes = members.by.iter().map(value_bytes).sum::<usize>()
            + members.states.len() * State::BYTES
            + self.key.len();
        self.kept.add(GROUP_BYTES + bytes)?;
        let position = self.groups.len();
        self.groups.push(members);
        self.positions.insert(self.key.as_slice().into(), position);
        Ok(position)
    }

    #[inline]
    fn take(&mut self, row: RowRef<'_>) -> Result<(), QueryError> {
        let position = self.position(row)?;
        let mut states = self.groups[position].states.iter_mut();
        states.try_for_each(|state| state.add(row, &mut self.kept))
    }

    /// The row of one group.
    fn row(group: &Group, members: Members<'_>) -> Result<Aggregated, QueryError> {
        let mut row = Aggregated::new();
        for ((path, _), value) in group.by.iter().zip(members.by) {
            check_depth(path, &value).map_err(|error| error.in_stage("$group"))?;
            set(&mut row, path, value);
        }
        finish_into(&mut row, &group.with, members.states)?;
        Ok(row)
    }
}

impl Sink for GroupRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let taken = self.take(row.as_ref());
        taken.map_err(|error| error.in_stage("$group"))?;
        Ok(Flow::More)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        if self.groups.is_empty() && self.group.by.is_empty() {
            let members = Members {
                by: Box::default(),
                states: states(&self.group.with),
            };
            self.groups.push(members);
        }
        // An error of a sum is one of the whole query, also in a group that a limit leaves out.
        let groups = std::mem::take(&mut self.groups).into_iter();
        let rows = groups.map(|members| Self::row(self.group, members));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        push_all(&mut self.next, rows.into_iter().map(Row::from))?;
        self.next.finish()
    }
}
