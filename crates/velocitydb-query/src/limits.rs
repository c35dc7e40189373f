//! How much a query may keep, and the account of what it keeps.
//!
//! Only what a query holds on to is counted: rows to sort, groups, the answer. Sizes are
//! estimates, a little above what is asked of the allocator. Documents are counted handles, not
//! copies, and count as such. Tests: below, and where rows are kept.

use std::collections::BTreeMap;

use std::sync::Arc;

use velocitydb_types::Value;

use crate::error::QueryError;
use crate::memory::{FREE_BYTES, QueryMemory, Taken};

/// How much a query may keep at a time, in each of its stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows or groups. 1,000,000 unless set.
    pub rows_max: usize,
    /// Bytes of values and sort keys, documents themselves not included. 256 MiB unless set.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            rows_max: 1_000_000,
            bytes_max: 256 << 20,
        }
    }
}

impl Limits {
    /// These limits, and what is kept taken from the memory of all queries.
    pub fn of_all(self, memory: &Arc<QueryMemory>) -> Allowance<'_> {
        Allowance {
            limits: self,
            memory: Some(memory),
        }
    }
}

/// What a query may keep.
#[derive(Debug, Clone, Copy)]
pub struct Allowance<'m> {
    /// The limits of each of its stages.
    pub limits: Limits,
    /// Where that is taken from; `None`: from no common amount.
    pub memory: Option<&'m Arc<QueryMemory>>,
}

impl From<Limits> for Allowance<'_> {
    fn from(limits: Limits) -> Self {
        Allowance {
            limits,
            memory: None,
        }
    }
}

/// What a query keeps in one of its stages, on account of its [`Limits`].
#[derive(Debug)]
pub struct Kept {
    limits: Limits,
    /// The stage whose account this is, for errors.
    stage: Option<&'static str>,
    rows: usize,
    bytes: usize,
    /// So many bytes may be kept without taking more from the memory of all.
    covered: usize,
    taken: Option<Taken>,
    scratch: Vec<u8>,
}

impl Kept {
    /// An empty account.
    pub fn new<'m>(allowed: impl Into<Allowance<'m>>) -> Kept {
        let Allowance { limits, memory } = allowed.into();
        Kept {
            limits,
            stage: None,
            rows: 0,
            bytes: 0,
            covered: memory.map_or(usize::MAX, |_| FREE_BYTES),
            taken: memory.map(Taken::nothing),
            scratch: Vec::new(),
        }
    }

    /// The account of a stage, which its errors name.
    pub(crate) fn of<'m>(stage: &'static str, allowed: impl Into<Allowance<'m>>) -> Kept {
        Kept {
            stage: Some(stage),
            ..Kept::new(allowed)
        }
    }

    /// Another account of the stage, from no common amount: for what is there for one row alone.
    pub(crate) fn of_one_row(&self) -> Kept {
        Kept {
            stage: self.stage,
            ..Kept::new(self.limits)
        }
    }

    /// Empty bytes to write a key into.
    pub(crate) fn scratch(&mut self) -> &mut Vec<u8> {
        self.scratch.clear();
        &mut self.scratch
    }

    fn refuse(&self, error: QueryError) -> QueryError {
        match self.stage {
            Some(stage) => QueryError::Stage {
                stage,
                source: Box::new(error),
            },
            None => error,
        }
    }

    /// Refuses one row that is larger than all that may be kept.
    pub(crate) fn pass(&self, bytes: usize) -> Result<(), QueryError> {
        match bytes > self.limits.bytes_max {
            true => Err(self.refuse(QueryError::TooManyBytes {
                bytes_max: self.limits.bytes_max,
            })),
            false => Ok(()),
        }
    }

    /// Counts a row; refused when it is one too many.
    pub fn add(&mut self, bytes: usize) -> Result<(), QueryError> {
        if self.rows >= self.limits.rows_max {
            return Err(self.too_many_rows());
        }
        self.rows += 1;
        self.resize(0, bytes)
    }

    /// How many more rows there may be.
    pub(crate) fn rows_left(&self) -> usize {
        self.limits.rows_max.saturating_sub(self.rows)
    }

    /// That there would be too many rows.
    pub(crate) fn too_many_rows(&self) -> QueryError {
        self.refuse(QueryError::TooManyRows {
            rows_max: self.limits.rows_max,
        })
    }

    /// Takes a row off the account.
    pub(crate) fn remove(&mut self, bytes: usize) {
        self.rows -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Something that is kept already changes its size.
    pub fn resize(&mut self, from: usize, to: usize) -> Result<(), QueryError> {
        self.bytes = self.bytes.saturating_sub(from).saturating_add(to);
        if self.bytes > self.limits.bytes_max {
            return Err(self.refuse(QueryError::TooManyBytes {
                bytes_max: self.limits.bytes_max,
            }));
        }
        if self.bytes > self.covered
            && let Some(taken) = &mut self.taken
        {
            let covered = taken.cover(self.bytes);
            self.covered = covered.map_err(|error| self.refuse(error))?;
        }
        Ok(())
    }
}

/// Bytes of a name and a value in a map, the tree's share included.
const ENTRY_BYTES: usize = size_of::<String>() + size_of::<Value>() + 16;

/// Bytes of a value, itself included.
pub fn value_bytes(value: &Value) -> usize {
    size_of::<Value>() + heap_bytes(value)
}

/// Containers inside containers, this one included; 0 for a scalar.
pub(crate) fn value_depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(value_depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.values().map(value_depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Bytes that a map takes.
pub(crate) fn map_bytes(map: &BTreeMap<String, Value>) -> usize {
    let entries = map
        .iter()
        .map(|(name, value)| ENTRY_BYTES + name.len() + heap_bytes(value));
    size_of::<BTreeMap<String, Value>>() + entries.sum::<usize>()
}

/// Bytes that a value has elsewhere. Recursion is bounded by the depth of documents.
fn heap_bytes(value: &Value) -> usize {
    match value {
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Interval(_)
        | Value::Uuid(_)
        | Value::Point(_) => 0,
        Value::Decimal(decimal) => 16 + (decimal.digits().bits() / 8) as usize,
        Value::String(string) => string.capacity(),
        Value::Bytes(bytes) => bytes.capacity(),
        Value::Array(elements) => elements.iter().map(value_bytes).sum(),
        Value::Map(map) => map_bytes(map),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_goes_both_ways() {
        let mut kept = Kept::new(Limits {
            rows_max: 2,
            bytes_max: 100,
        });
        kept.add(60).unwrap();
        kept.add(40).unwrap();
        assert_eq!(kept.add(0), Err(QueryError::TooManyRows { rows_max: 2 }));
        kept.remove(60);
        kept.add(60).unwrap();
        kept.resize(60, 10).unwrap();
        kept.resize(10, 60).unwrap();
        assert_eq!(
            kept.resize(0, 1),
            Err(QueryError::TooManyBytes { bytes_max: 100 })
        );
    }

    #[test]
    fn what_is_inside_counts() {
        let long = Value::from("x".repeat(1000));
        let array = Value::Array(vec![long.clone(); 3]);
        let map = Value::Map(BTreeMap::from([("a".to_owned(), array.clone())]));
        assert!(value_bytes(&long) >= 1000);
        assert!(value_bytes(&array) >= 3000 + 3 * size_of::<Value>());
        assert!(value_bytes(&map) > value_bytes(&array));
        let decimal = Value::Decimal("9".repeat(1000).parse().unwrap());
        assert!(value_bytes(&decimal) > 400);
    }
}
