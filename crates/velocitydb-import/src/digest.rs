//! One number for the data of a collection: ids, expiries and fields, in any order.
//!
//! Two collections with the same documents have the same digest, whatever the order in which they
//! were written, their versions, log indexes and times. The sum of a hash (XXH3, 128 bits) of each
//! document; it finds accidents, not attacks. Tests: velocitydb-cli, tests/it/export.rs.

use std::fmt;

use velocitydb_types::{Fields, Key, RawMap, Timestamp};
use xxhash_rust::xxh3::Xxh3;

/// See the module. Written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataDigest(u128);

impl DataDigest {
    /// Adds a document.
    pub fn add(&mut self, id: &Key, expires_at: Option<Timestamp>, fields: RawMap<'_>) {
        let mut hash = Xxh3::new();
        hash.update(&(id.as_bytes().len() as u64).to_le_bytes());
        hash.update(id.as_bytes());
        match expires_at {
            Some(time) => {
                hash.update(&[1]);
                hash.update(&time.0.to_le_bytes());
            }
            None => hash.update(&[0]),
        }
        // The encoding of equal fields is the same bytes.
        hash.update(fields.as_bytes());
        self.0 = self.0.wrapping_add(hash.digest128());
    }

    /// The same for fields that are held.
    pub(crate) fn add_fields(&mut self, id: &Key, expires_at: Option<Timestamp>, fields: &Fields) {
        self.add(id, expires_at, fields.as_raw());
    }
}

impl fmt::Display for DataDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
