//! ORDER BY: keys, and rows in their order; with a LIMIT no more than are wanted are kept.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use sqlparser::ast::{self, Expr, OrderByOptions, UnaryOperator};
use velocitydb_query::{Direction, Kept, Nulls, value_bytes};
use velocitydb_types::{Path, Value};

use super::rows::Outputs;
use crate::bind::Binder;
use crate::bound::Bound;
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;

/// One key of an ORDER BY.
#[derive(Debug, Clone)]
pub struct Order {
    /// What it sorts by.
    pub by: Bound,
    /// The smallest first, or the greatest.
    pub direction: Direction,
    /// Where nulls stand.
    pub nulls_first: bool,
    /// Whether it is never null.
    pub(super) required: bool,
}

impl Order {
    /// Of a key that may be the number or the name of an output.
    pub(crate) fn of_outputs(
        key: &ast::OrderByExpr,
        outputs: &Outputs,
        binder: &mut Binder<'_>,
    ) -> Result<Order, SqlError> {
        let by = match output(&key.expr, outputs, "ORDER BY")? {
            Some(at) => outputs.bound[at].clone(),
            None => match &key.expr {
                Expr::Identifier(name) => match outputs.named(&folded(name), "ORDER BY")? {
                    Some(at) => outputs.bound[at].clone(),
                    None => binder.bind_output(&key.expr)?.bound,
                },
                expr => binder.bind_output(expr)?.bound,
            },
        };
        Order::by(key, by, binder)
    }

    /// Of a key that is nothing but an expression.
    pub(crate) fn plain(
        key: &ast::OrderByExpr,
        binder: &mut Binder<'_>,
    ) -> Result<Order, SqlError> {
        let by = binder.bind_output(&key.expr)?.bound;
        Order::by(key, by, binder)
    }

    /// Of a key whose expression is bound already.
    pub(crate) fn by(
        key: &ast::OrderByExpr,
        by: Bound,
        binder: &Binder<'_>,
    ) -> Result<Order, SqlError> {
        let ast::OrderByExpr {
            expr: _,
            options: OrderByOptions { asc, nulls_first },
            with_fill: None,
        } = key
        else {
            return Err(SqlError::unsupported(format!("{key}")));
        };
        let columns = binder.tables.iter().flat_map(|scope| &scope.table.columns);
        let mut columns = columns.filter(|column| column.required);
        let required = columns.any(|column| column.bound.is_same(&by));
        let ascending = asc.unwrap_or(true);
        Ok(Order {
            by,
            direction: match ascending {
                true => Direction::Ascending,
                false => Direction::Descending,
            },
            nulls_first: nulls_first.unwrap_or(!ascending),
            required,
        })
    }

    /// The column, if it is one.
    pub(super) fn column(&self) -> Option<(Path, Direction)> {
        match &self.by {
            Bound::Column(path) => Some((path.clone(), self.direction)),
            _ => None,
        }
    }

    /// Whether nulls stand where they are the smallest values, or the greatest.
    pub(super) fn has_nulls(&self, nulls: Nulls) -> bool {
        let ascending = self.direction == Direction::Ascending;
        self.required || self.nulls_first == (ascending == (nulls == Nulls::Smallest))
    }

    /// Where a value stands.
    pub(crate) fn key(&self, value: Value) -> SortKey {
        SortKey {
            value,
            descending: self.direction == Direction::Descending,
            nulls_first: self.nulls_first,
        }
    }
}

/// The output that a number means.
pub(super) fn output(
    expr: &Expr,
    outputs: &Outputs,
    clause: &str,
) -> Result<Option<usize>, SqlError> {
    let value = match expr {
        Expr::Value(value) => value,
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: inner,
        } if matches!(&**inner, Expr::Value(_)) => {
            let message = format!("{clause} position {expr} is not in select list");
            return Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message));
        }
        _ => return Ok(None),
    };
    let text = match &value.value {
        ast::Value::Number(text, _) => text,
        ast::Value::Placeholder(_) => return Ok(None),
        _ => {
            let message = format!("non-integer constant in {clause}");
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
    };
    let at = text.parse::<usize>().ok().and_then(|at| at.checked_sub(1));
    match at.filter(|at| *at < outputs.bound.len()) {
        Some(at) => Ok(Some(at)),
        None => {
            let message = format!("{clause} position {text} is not in select list");
            Err(SqlError::new(sqlstate::INVALID_COLUMN_REFERENCE, message))
        }
    }
}

/// A value with the place that it has in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SortKey {
    value: Value,
    descending: bool,
    nulls_first: bool,
}

impl SortKey {
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// The smallest first, nulls last.
    pub(crate) fn ascending(value: Value) -> SortKey {
        SortKey {
            value,
            descending: false,
            nulls_first: false,
        }
    }
}

impl Ord for SortKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_nulls = match self.nulls_first {
            true => other.value.is_null().cmp(&self.value.is_null()),
            false => self.value.is_null().cmp(&other.value.is_null()),
        };
        let by_values = || match self.descending {
            false => self.value.cmp(&other.value),
            true => other.value.cmp(&self.value),
        };
        by_nulls.then_with(by_values)
    }
}

impl PartialOrd for SortKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Puts items in order; of equal ones, the first to come is the first.
pub(super) struct Sorter<T> {
    /// How many of the first are wanted.
    wanted: usize,
    /// The last of them on top.
    heap: BinaryHeap<Entry<T>>,
    came: u64,
}

struct Entry<T> {
    keys: Vec<SortKey>,
    came: u64,
    bytes: usize,
    item: T,
}

impl<T> Sorter<T> {
    pub(super) fn new(wanted: Option<usize>) -> Sorter<T> {
        Sorter {
            wanted: wanted.unwrap_or(usize::MAX),
            heap: BinaryHeap::new(),
            came: 0,
        }
    }

    /// Takes an item of so many bytes.
    pub(super) fn add(
        &mut self,
        keys: Vec<SortKey>,
        bytes: usize,
        item: T,
        kept: &mut Kept,
    ) -> Result<(), SqlError> {
        let keys_bytes = keys.iter().map(|key| value_bytes(&key.value));
        let entry = Entry {
            bytes: keys_bytes.sum::<usize>() + size_of::<Entry<T>>() + bytes,
            keys,
            came: self.came,
            item,
        };
        self.came += 1;
        if self.heap.len() >= self.wanted {
            match self.heap.pop() {
                Some(last) if last > entry => kept.resize(last.bytes, 0)?,
                Some(last) => {
                    self.heap.push(last);
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
        kept.resize(0, entry.bytes)?;
        self.heap.push(entry);
        Ok(())
    }

    /// The items, in order.
    pub(super) fn finish(self) -> impl Iterator<Item = T> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|entry| entry.item)
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.keys, self.came).cmp(&(&other.keys, other.came))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}
