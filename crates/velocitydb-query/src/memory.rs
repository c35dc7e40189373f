//! What all queries of a database keep together.
//!
//! Each stage of a query has its own account and its own limits ([`crate::Kept`]). Many queries at
//! once could still fill the memory, so that what they keep is taken from one amount for all, in
//! chunks: small queries, which are most, never touch it. A stage gives back what it took when it
//! ends. A query that would need more than is left ends with [`QueryError::MemoryOfAll`]; it may
//! well succeed when others have ended, so nothing is kept waiting here.
//!
//! Tests: below, and `memory` in the embedded library's tests/it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::error::QueryError;

/// Bytes that each stage may keep without taking them from the amount for all.
pub(crate) const FREE_BYTES: usize = 64 << 10;

/// Bytes that are taken at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub struct QueryMemory {
    bytes_max: usize,
    used: AtomicUsize,
    refused: AtomicU64,
}

impl QueryMemory {
    /// So many bytes for all queries.
    pub fn new(bytes_max: usize) -> Arc<QueryMemory> {
        Arc::new(QueryMemory {
            bytes_max,
            used: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// How many bytes there are.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// How many of them are taken now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// How often a query was refused more.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes bytes, or says how many are in use.
    fn take(&self, bytes: usize) -> Result<(), usize> {
        let with = |used: usize| {
            let sum = used.checked_add(bytes);
            sum.filter(|sum| *sum <= self.bytes_max)
        };
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, with);
        taken.map(|_| ())
    }
}

/// What one stage has taken.
#[derive(Debug)]
pub(crate) struct Taken {
    of: Arc<QueryMemory>,
    bytes: usize,
}

impl Taken {
    pub(crate) fn nothing(of: &Arc<QueryMemory>) -> Taken {
        Taken {
            of: Arc::clone(of),
            bytes: 0,
        }
    }

    /// Takes what is missing to cover so many bytes; the bytes that are covered then.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<usize, QueryError> {
        let missing = bytes.saturating_sub(FREE_BYTES + self.bytes);
        let chunks = missing.next_multiple_of(CHUNK_BYTES);
        // Near the end what is missing may be there when a whole chunk is not.
        let took = match self.of.take(chunks) {
            Ok(()) => chunks,
            Err(_) => {
                self.of.take(missing).map_err(|used| self.refused(used))?;
                missing
            }
        };
        self.bytes += took;
        Ok(FREE_BYTES + self.bytes)
    }

    fn refused(&self, used: usize) -> QueryError {
        self.of.refused.fetch_add(1, Ordering::Relaxed);
        QueryError::MemoryOfAll {
            bytes_max: self.of.bytes_max,
            used,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Kept, Limits};

    #[test]
    fn what_one_keeps_another_cannot() {
        let memory = QueryMemory::new(2 * CHUNK_BYTES);
        let account = || Kept::new(Limits::default().of_all(&memory));
        let (mut a, mut b, mut small) = (account(), account(), account());
        a.add(FREE_BYTES).unwrap();
        assert_eq!(memory.used(), 0, "small queries take nothing");
        a.add(1).unwrap();
        assert_eq!(memory.used(), CHUNK_BYTES);
        b.add(FREE_BYTES + CHUNK_BYTES).unwrap();
        assert_eq!(memory.used(), 2 * CHUNK_BYTES);

        let error = b.add(1).unwrap_err();
        let (bytes_max, used) = (2 * CHUNK_BYTES, 2 * CHUNK_BYTES);
        assert_eq!(error, QueryError::MemoryOfAll { bytes_max, used });
        small.add(FREE_BYTES).unwrap();
        assert_eq!(memory.refused(), 1);

        drop(a);
        assert_eq!(memory.used(), CHUNK_BYTES);
        small.add(1).unwrap();
        drop((b, small));
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn the_last_bytes_need_no_whole_chunk() {
        let memory = QueryMemory::new(CHUNK_BYTES + 10);
        let mut kept = Kept::new(Limits::default().of_all(&memory));
        kept.add(FREE_BYTES + CHUNK_BYTES).unwrap();
        kept.resize(0, 10).unwrap();
        assert_eq!(memory.used(), CHUNK_BYTES + 10);
        assert!(kept.resize(0, 1).is_err());
    }
}
