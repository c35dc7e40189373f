//! Functions of the rows around a row: `rank() OVER (PARTITION BY a ORDER BY b)`.

use crate::aggregate::Aggregate;
use crate::bound::Bound;
use crate::statement::order::Order;

/// A call of a window function, bound.
#[derive(Debug, Clone)]
pub struct WindowCall {
    /// What is computed.
    pub function: WindowFunction,
    /// Its arguments; those of an aggregate are its own.
    pub arguments: Vec<Bound>,
    /// What the rows of a window have in common.
    pub partition: Vec<Bound>,
    /// Their order.
    pub order: Vec<Order>,
    /// Which of them count; `None`: as is usual.
    pub frame: Option<Frame>,
}

/// What is computed of a window.
#[derive(Debug, Clone)]
pub enum WindowFunction {
    /// The number of the row.
    RowNumber,
    /// The number of the first that is alike.
    Rank,
    /// The same, without gaps.
    DenseRank,
    /// The rank as a part of all.
    PercentRank,
    /// The part of the rows up to the last that is alike.
    CumeDist,
    /// The number of one of so many parts.
    Ntile,
    /// An expression of an earlier row.
    Lag,
    /// Of a later one.
    Lead,
    /// Of the first of the frame.
    FirstValue,
    /// Of the last.
    LastValue,
    /// Of one of the frame, by its number.
    NthValue,
    /// An aggregate of the rows of the frame.
    Aggregate(Aggregate),
}

/// Which rows of a window count for a row.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What it is counted in.
    pub unit: FrameUnit,
    /// The first.
    pub start: FrameEnd,
    /// The last.
    pub end: FrameEnd,
}

/// What a frame is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameUnit {
    /// In rows.
    Rows,
    /// In values of the order.
    Range,
    /// In groups of rows that are alike.
    Groups,
}

/// An end of a frame.
#[derive(Debug, Clone)]
pub enum FrameEnd {
    /// The first row.
    UnboundedPreceding,
    /// So much before.
    Preceding(Bound),
    /// The row itself, and those that are alike unless it counts in rows.
    Current,
    /// So much after.
    Following(Bound),
    /// The last row.
    UnboundedFollowing,
}

impl WindowCall {
    /// All its expressions.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = &Bound> {
        let aggregate = match &self.function {
            WindowFunction::Aggregate(aggregate) => Some(aggregate.bounds()),
            _ => None,
        };
        let ends = self
            .frame
            .iter()
            .flat_map(|frame| [&frame.start, &frame.end]);
        let offsets = ends.filter_map(|end| match end {
            FrameEnd::Preceding(bound) | FrameEnd::Following(bound) => Some(bound),
            _ => None,
        });
        self.arguments
            .iter()
            .chain(&self.partition)
            .chain(self.order.iter().map(|order| &order.by))
            .chain(offsets)
            .chain(aggregate.into_iter().flatten())
    }

    pub(crate) fn bounds_mut(&mut self) -> impl Iterator<Item = &mut Bound> {
        let aggregate = match &mut self.function {
            WindowFunction::Aggregate(aggregate) => Some(aggregate.bounds_mut()),
            _ => None,
        };
        let ends = self.frame.iter_mut();
        let ends = ends.flat_map(|frame| [&mut frame.start, &mut frame.end]);
        let offsets = ends.filter_map(|end| match end {
            FrameEnd::Preceding(bound) | FrameEnd::Following(bound) => Some(bound),
            _ => None,
        });
        self.arguments
            .iter_mut()
            .chain(&mut self.partition)
            .chain(self.order.iter_mut().map(|order| &mut order.by))
            .chain(offsets)
            .chain(aggregate.into_iter().flatten())
    }
}
