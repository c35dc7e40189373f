//! The group stage: rows with equal values become one row.
//!
//! A group is found by the order-preserving bytes of its values, which are equal exactly for
//! equal values: 1 and 1.0 are one group, and so are null and absent. A group shows the values of
//! the row that began it. Groups leave in the order in which they began.
//!
//! Memory: each group's key, values and accumulators, bounded by [`Limits`]. Rows are not kept.

use std::collections::HashMap;

use velocitydb_types::{Path, Value, encode_value_key};

use super::accumulator::{Accumulator, State};
use super::check_names;
use super::sink::{Flow, Next, Sink, push_all};
use crate::error::QueryError;
use crate::limits::{Kept, Limits, value_bytes};
use crate::path::{IntoPath, Wrong};
use crate::row::{Aggregated, Kind, Row, RowRef};

/// By what rows are grouped, and what is known of each group.
///
/// Grouped by nothing, all rows are one group, which is there even without rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Group {
    /// The values that the rows of a group share, by their names in the output.
    pub by: Vec<(String, Path)>,
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
        self.by.extend(
            self.wrong
                .take(path.into_path())
                .map(|path| (name.into(), path)),
        );
        self
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

    fn with(
        mut self,
        name: impl Into<String>,
        path: impl IntoPath,
        accumulator: fn(Path) -> Accumulator,
    ) -> Group {
        let path = self.wrong.take(path.into_path());
        self.with
            .extend(path.map(|path| (name.into(), accumulator(path))));
        self
    }

    pub(super) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        self.wrong.check()?;
        let names = self.by.iter().map(|(name, _)| name);
        check_names(names.chain(self.with.iter().map(|(name, _)| name)))?;
        let paths = self.by.iter().map(|(_, path)| path);
        let mut paths = paths.chain(self.with.iter().filter_map(|(_, with)| with.path()));
        paths.try_for_each(|path| kind.check(path))
    }
}

/// Groups the rows that it is given.
pub(super) struct GroupRows<'p> {
    group: &'p Group,
    next: Next<'p>,
    /// From the bytes of its values to a group's position.
    positions: HashMap<Box<[u8]>, usize>,
    groups: Vec<Members<'p>>,
    key: Vec<u8>,
    kept: Kept,
}

/// What is known of one group.
struct Members<'p> {
    by: Box<[Value]>,
    states: Box<[State<'p>]>,
}

/// Bytes of a group's places in the list and in the table, both up to half empty.
const GROUP_BYTES: usize = 2 * (size_of::<Members<'_>>() + size_of::<(Box<[u8]>, usize)>());

impl<'p> GroupRows<'p> {
    pub(super) fn new(group: &'p Group, limits: Limits, next: Next<'p>) -> GroupRows<'p> {
        GroupRows {
            group,
            next,
            positions: HashMap::new(),
            groups: Vec::new(),
            key: Vec::new(),
            kept: Kept::new(limits),
        }
    }

    /// The position of the group that a row belongs to.
    fn position(&mut self, row: RowRef<'_>) -> Result<usize, QueryError> {
        self.key.clear();
        for (_, path) in &self.group.by {
            encode_value_key(row.value(path).view(), &mut self.key);
        }
        match self.positions.get(self.key.as_slice()) {
            Some(position) => Ok(*position),
            None => self.begin(row),
        }
    }

    /// Begins the group of a row, whose key is written.
    fn begin(&mut self, row: RowRef<'_>) -> Result<usize, QueryError> {
        let values = self
            .group
            .by
            .iter()
            .map(|(_, path)| row.value(path).into_value());
        let members = Members {
            by: values.collect(),
            states: self.states(),
        };
        let bytes = members.by.iter().map(value_bytes).sum::<usize>()
            + members.states.iter().map(State::bytes).sum::<usize>()
            + self.key.len();
        self.kept.add(GROUP_BYTES + bytes)?;
        let position = self.groups.len();
        self.groups.push(members);
        self.positions.insert(self.key.as_slice().into(), position);
        Ok(position)
    }

    fn states(&self) -> Box<[State<'p>]> {
        self.group
            .with
            .iter()
            .map(|(_, accumulator)| State::new(accumulator))
            .collect()
    }

    /// The row of one group.
    fn row(group: &Group, members: Members<'_>) -> Result<Aggregated, QueryError> {
        let by = group
            .by
            .iter()
            .map(|(name, _)| name.clone())
            .zip(members.by);
        let mut row: Aggregated = by.collect();
        for ((name, _), state) in group.with.iter().zip(members.states) {
            row.insert(name.clone(), state.finish()?);
        }
        Ok(row)
    }
}

impl Sink for GroupRows<'_> {
    fn push(&mut self, row: Row<'_>) -> Result<Flow, QueryError> {
        let row = row.as_ref();
        let position = self.position(row)?;
        for state in &mut self.groups[position].states {
            let before = state.bytes();
            state.add(row)?;
            self.kept.resize(before, state.bytes())?;
        }
        Ok(Flow::More)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Aggregated>, QueryError> {
        if self.groups.is_empty() && self.group.by.is_empty() {
            let members = Members {
                by: Box::default(),
                states: self.states(),
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
