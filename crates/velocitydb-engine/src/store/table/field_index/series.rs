//! The partitions of a time-series index.
//!
//! The index is ordered by time, so that a partition is a range of it: nothing is kept of one, and
//! its documents are found where those of any range are.

use std::ops::Bound;

use crossbeam_epoch::pin;
use velocitydb_types::{Timestamp, Value, decode_value_key, encode_value_key};

use super::{Entries, FieldIndex, KeyRange};
use crate::catalog::IndexKind;
use crate::store::ordered::{Order, Range};

/// What one partition of a time-series index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// The first moment in it.
    pub from: Timestamp,
    /// The first moment behind it.
    pub to: Timestamp,
    /// About how many entries it has, of old versions too.
    pub entries: usize,
    /// When its documents expire, all of them.
    pub kept_until: Option<Timestamp>,
}

impl FieldIndex {
    /// The newest partitions that have entries, at most so many, the newest first; of an index of
    /// another kind none. O(log n) for each.
    pub fn partitions(&self, most: usize) -> Vec<Partition> {
        let (IndexKind::TimeSeries, Entries::Ordered(entries)) =
            (self.definition.kind, &self.entries)
        else {
            return Vec::new();
        };
        let guard = &pin();
        let entries = entries.settled(guard);
        let first = key(Timestamp(i64::MIN));
        // Behind all times: theirs have 8 bytes after the type.
        let mut to = [&first[..1], &[0xff; 9][..]].concat();
        let mut partitions = Vec::new();
        while partitions.len() < most {
            let mut newest = None;
            let range = Range {
                from: Bound::Included(&first),
                to: Bound::Excluded(&to),
            };
            entries.visit(&range, Order::Backward, guard, &mut |mut entry| {
                newest = decode_value_key(&mut entry).ok();
                false
            });
            let Some(Value::Time(newest)) = newest else {
                break;
            };
            let partition = self.definition.partition_of(newest);
            let range = KeyRange {
                from: key(partition.start),
                to: Some(to),
            };
            partitions.push(Partition {
                from: partition.start,
                to: partition.end,
                entries: self.estimate(&range).max(1),
                kept_until: self.definition.expiry_of(newest),
            });
            to = range.from;
        }
        partitions
    }
}

fn key(time: Timestamp) -> Vec<u8> {
    let mut key = Vec::new();
    encode_value_key(&Value::Time(time), &mut key);
    key
}
