//! Sorting rows, all of them or the first few.
//!
//! A row's place is one string of bytes that compares as the row does: the order-preserving bytes
//! of each sort field (inverted where descending), then a tie-breaker that no two rows share. So
//! the order is total and the same each time, and comparing is `memcmp`. When only the first n are
//! wanted, a heap of n rows with the last of them on top is all that is kept.
//!
//! Nulls, absent fields included, are the smallest, as the order of values has it, or the greatest
//! ([`Nulls`]). Tests: below, and against a plain sort in `proptests`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

pub use velocitydb_engine::catalog::Direction;
use velocitydb_engine::store::encode_directed;
use velocitydb_types::{Path, View};

use crate::error::QueryError;
use crate::expression::Expression;
use crate::limits::Kept;
use crate::row::RowRef;

/// Stands before the tie-breaker. A string's bytes end with 00 and go on with FF (inverted: with
/// FF and 00); what follows a field must lie between the two, as the first byte of a field does.
const TIE: u8 = 0x80;

/// Where nulls, absent fields included, stand in an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Nulls {
    /// Before all values: the first ones ascending, the last ones descending.
    #[default]
    Smallest,
    /// Behind all values: the last ones ascending, the first ones descending. So has it SQL.
    Greatest,
}

/// The bytes of a null in a sort key. As the greatest it is a tag above all others.
pub(crate) fn null_bytes(nulls: Nulls, direction: Direction) -> &'static [u8] {
    match (nulls, direction) {
        (Nulls::Smallest, Direction::Ascending) => &[0x08],
        (Nulls::Smallest, Direction::Descending) => &[!0x08],
        (Nulls::Greatest, Direction::Ascending) => &[0xfe],
        (Nulls::Greatest, Direction::Descending) => &[!0xfe],
    }
}

/// Sorts items by fields of their rows.
pub(crate) struct Sorter<'q, T> {
    by: &'q [(Path, Direction)],
    made: &'q [(Path, Expression)],
    /// How many of the first are wanted.
    wanted: usize,
    /// The greatest on top.
    heap: BinaryHeap<Entry<T>>,
    key: Vec<u8>,
    kept: Kept,
    ties: Direction,
    nulls: Nulls,
}

struct Entry<T> {
    key: Box<[u8]>,
    bytes: usize,
    item: T,
}

impl<'q, T> Sorter<'q, T> {
    /// Sorts by these fields; `None` wants all rows.
    pub(crate) fn new(
        by: &'q [(Path, Direction)],
        wanted: Option<usize>,
        kept: Kept,
    ) -> Sorter<'q, T> {
        let wanted = wanted.unwrap_or(usize::MAX);
        Sorter {
            by,
            made: &[],
            wanted,
            heap: BinaryHeap::new(),
            key: Vec::new(),
            kept,
            ties: Direction::Ascending,
            nulls: Nulls::Smallest,
        }
    }

    /// The same; rows whose fields are equal are in this direction of their ties.
    pub(crate) fn ties(self, ties: Direction) -> Sorter<'q, T> {
        Sorter { ties, ..self }
    }

    /// The same; these paths among the fields stand for expressions.
    pub(crate) fn made(self, made: &'q [(Path, Expression)]) -> Sorter<'q, T> {
        Sorter { made, ..self }
    }

    /// The same, with nulls there.
    pub(crate) fn nulls(self, nulls: Nulls) -> Sorter<'q, T> {
        Sorter { nulls, ..self }
    }

    /// Takes a row, unless it comes after all that are wanted. `tie` orders rows whose fields are
    /// equal and differs from row to row; `keep` answers the item and the bytes that it takes.
    pub(crate) fn offer(
        &mut self,
        row: RowRef<'_>,
        tie: &[u8],
        keep: impl FnOnce() -> (usize, T),
    ) -> Result<(), QueryError> {
        self.write_key(row, tie)?;
        if self.heap.len() >= self.wanted {
            if self.heap.peek().is_none_or(|last| *last.key <= *self.key) {
                return Ok(());
            }
            if let Some(last) = self.heap.pop() {
                self.kept.remove(last.bytes);
            }
        }
        let (bytes, item) = keep();
        let bytes = bytes + self.key.len() + size_of::<Entry<T>>();
        self.kept.add(bytes)?;
        self.heap.push(Entry {
            key: self.key.as_slice().into(),
            bytes,
            item,
        });
        Ok(())
    }

    fn write_key(&mut self, row: RowRef<'_>, tie: &[u8]) -> Result<(), QueryError> {
        self.key.clear();
        encode_sort_key(row, self.by, self.made, self.nulls, &mut self.key)?;
        self.key.push(TIE);
        let mask = match self.ties {
            Direction::Ascending => 0,
            Direction::Descending => 0xff,
        };
        self.key.extend(tie.iter().map(|byte| byte ^ mask));
        Ok(())
    }

    /// The bytes that tell a row's place, and how many of them are the fields'.
    ///
    /// # Errors
    /// An expression has no value.
    pub(crate) fn place(
        &mut self,
        row: RowRef<'_>,
        tie: &[u8],
    ) -> Result<(&[u8], usize), QueryError> {
        self.write_key(row, tie)?;
        Ok((&self.key, self.key.len() - 1 - tie.len()))
    }

    /// The items in order; it begins anew. What was taken for them from the memory of all queries
    /// stays taken as long as the sorter is there.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        for entry in &entries {
            self.kept.remove(entry.bytes);
        }
        entries.sort_unstable();
        entries.into_iter().map(|entry| entry.item)
    }
}

/// The direction of what tells documents apart whose sort fields are equal: that of the last field.
/// So one index read one way serves fields and ids.
pub(crate) fn tie_direction(by: &[(Path, Direction)]) -> Direction {
    by.last().map_or(Direction::Ascending, |(_, last)| *last)
}

/// Appends bytes that are equal for rows that are equal in these fields, and with anything behind
/// that begins with [`TIE`] compare as the fields do.
pub(crate) fn encode_sort_key(
    row: RowRef<'_>,
    by: &[(Path, Direction)],
    made: &[(Path, Expression)],
    nulls: Nulls,
    key: &mut Vec<u8>,
) -> Result<(), QueryError> {
    for (path, direction) in by {
        let cell = match made.iter().find(|(made, _)| made == path) {
            None => row.value(path),
            Some((_, expression)) => expression.evaluate(row)?,
        };
        match cell.view() {
            View::Null => key.extend_from_slice(null_bytes(nulls, *direction)),
            value => encode_directed(value, *direction, key),
        }
    }
    Ok(())
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use velocitydb_types::Value;

    use super::*;
    use crate::limits::Limits;

    /// Sorts these values; the answer is their positions.
    fn sorted(values: &[Value], direction: Direction, wanted: Option<usize>) -> Vec<usize> {
        let by = [(Path::field("a"), direction)];
        let limits = Limits {
            rows_max: wanted.unwrap_or(values.len()),
            ..Limits::default()
        };
        let mut sorter = Sorter::new(&by, wanted, Kept::new(limits));
        for (position, value) in values.iter().enumerate() {
            let row = BTreeMap::from([("a".to_owned(), value.clone())]);
            let tie = position.to_be_bytes();
            sorter
                .offer(RowRef::Map(&row), &tie, || (0, position))
                .unwrap();
        }
        sorter.take().collect()
    }

    #[test]
    fn the_first_few_are_the_first_of_all_and_all_that_is_kept() {
        let values: Vec<Value> = [3, 1, 2, 3, 1, 9, 0]
            .into_iter()
            .map(Value::from)
            .chain([Value::Null])
            .collect();
        for direction in [Direction::Ascending, Direction::Descending] {
            let all = sorted(&values, direction, None);
            for wanted in 0..=values.len() + 1 {
                let few = sorted(&values, direction, Some(wanted));
                assert_eq!(
                    few,
                    all[..wanted.min(values.len())],
                    "{direction:?} {wanted}"
                );
            }
        }
        assert_eq!(
            sorted(&values, Direction::Ascending, None),
            [7, 6, 1, 4, 2, 0, 3, 5]
        );
        assert_eq!(
            sorted(&values, Direction::Descending, None),
            [5, 0, 3, 2, 1, 4, 6, 7]
        );
    }

    #[test]
    fn one_value_before_another_of_which_it_is_the_beginning() {
        let values: Vec<Value> = ["ab", "a", "", "a\0", "b"].map(Value::from).to_vec();
        assert_eq!(sorted(&values, Direction::Ascending, None), [2, 1, 3, 0, 4]);
        assert_eq!(
            sorted(&values, Direction::Descending, None),
            [4, 0, 3, 1, 2]
        );
    }

    #[test]
    fn rows_that_went_are_off_the_account() {
        let by = [(Path::field("a"), Direction::Ascending)];
        let limits = Limits {
            rows_max: 2,
            bytes_max: 400,
        };
        let mut sorter = Sorter::new(&by, Some(2), Kept::new(limits));
        for number in (0..1000_i64).rev() {
            let row = BTreeMap::from([("a".to_owned(), Value::Int(number))]);
            sorter
                .offer(RowRef::Map(&row), &[], || (100, number))
                .unwrap();
        }
        assert_eq!(sorter.take().collect::<Vec<_>>(), [0, 1]);

        let mut sorter = Sorter::new(
            &by,
            None,
            Kept::new(Limits {
                rows_max: 10,
                bytes_max: 400,
            }),
        );
        let row = BTreeMap::from([("a".to_owned(), Value::from("x".repeat(400)))]);
        let offered = sorter.offer(RowRef::Map(&row), &[], || (0, ()));
        assert_eq!(offered, Err(QueryError::TooManyBytes { bytes_max: 400 }));
    }
}
