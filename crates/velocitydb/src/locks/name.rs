//! What can be locked: names, as callers give them ([`Name`]) and as they are kept ([`LockName`]).
//!
//! A kept name is 32 bytes; keys of up to 22 bytes (integers, UUIDs, short texts) are in it, longer
//! ones in an allocation of their own. Tests: below.

use std::fmt;
use std::hash::{Hash, Hasher};

use velocitydb_engine::catalog::{CollectionId, DatabaseId};
use velocitydb_types::Key;

/// The longest key that needs no allocation.
const INLINE_BYTES: usize = 22;

/// Instead of an index's number: the rows themselves.
const ROWS: u32 = 1 << 16;

/// Something that can be locked, in one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name<'a> {
    /// A row, by its encoded id ([`Key::as_bytes`]); it need not exist.
    Row {
        /// Its collection.
        collection: CollectionId,
        /// Its id.
        key: &'a [u8],
    },
    /// A key of a unique index; nothing need have it.
    Unique {
        /// The collection of the index.
        collection: CollectionId,
        /// The caller's number for the index. A hash of its name does: equal keys of two indexes with
        /// one number only wait for each other needlessly.
        index: u16,
        /// The key in the index.
        key: &'a [u8],
    },
    /// A whole collection. Knows nothing of the locks on its rows.
    Collection(CollectionId),
    /// An advisory lock by one number.
    Advisory(DatabaseId, i64),
    /// An advisory lock by two numbers; none of them is one of those by one number.
    AdvisoryPair(DatabaseId, i32, i32),
}

impl<'a> Name<'a> {
    /// The row of `collection` with this id.
    pub fn row(collection: CollectionId, key: &'a Key) -> Name<'a> {
        Name::Row {
            collection,
            key: key.as_bytes(),
        }
    }

    /// What the name counts against the limit: 1, and 1 for each whole 64 bytes of a long key.
    pub(super) fn weight(&self) -> usize {
        match self {
            Name::Row { key, .. } | Name::Unique { key, .. } => 1 + key.len() / 64,
            Name::Collection(_) | Name::Advisory(..) | Name::AdvisoryPair(..) => 1,
        }
    }
}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        match *self {
            Name::Row { collection, key } => {
                state.write_u64(pair(collection.0, ROWS));
                state.write(key);
            }
            Name::Unique {
                collection,
                index,
                key,
            } => {
                state.write_u64(pair(collection.0, u32::from(index)));
                state.write(key);
            }
            Name::Collection(collection) => state.write_u32(collection.0),
            Name::Advisory(database, key) => {
                state.write_u32(database.0);
                state.write_i64(key);
            }
            Name::AdvisoryPair(database, first, second) => {
                state.write_u32(database.0);
                state.write_i32(first);
                state.write_i32(second);
            }
        }
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Name::Row { collection, key } => {
                write!(f, "row {} of collection {}", KeyText(key), collection.0)
            }
            Name::Unique {
                collection,
                index,
                key,
            } => write!(
                f,
                "key {} of unique index {index} of collection {}",
                KeyText(key),
                collection.0
            ),
            Name::Collection(collection) => write!(f, "collection {}", collection.0),
            Name::Advisory(_, key) => write!(f, "advisory lock {key}"),
            Name::AdvisoryPair(_, first, second) => write!(f, "advisory lock ({first}, {second})"),
        }
    }
}

/// A key as people write it, or in hexadecimal when it is not one of a document.
struct KeyText<'a>(&'a [u8]);

impl fmt::Display for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(key) = Key::from_bytes(self.0) {
            return write!(f, "{key}");
        }
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A [`Name`] that is kept.
#[derive(Clone)]
pub struct LockName(Kept);

#[derive(Clone)]
enum Kept {
    /// A row when `index` is [`ROWS`].
    Keyed {
        collection: u32,
        index: u32,
        key: KeyBytes,
    },
    Collection(u32),
    Advisory(DatabaseId, i64),
    AdvisoryPair(DatabaseId, i32, i32),
}

#[derive(Clone)]
enum KeyBytes {
    Inline(u8, [u8; INLINE_BYTES]),
    Long(Box<[u8]>),
}

const _: () = assert!(size_of::<LockName>() == 32);

impl LockName {
    /// The name, borrowed.
    pub fn name(&self) -> Name<'_> {
        match &self.0 {
            Kept::Keyed {
                collection,
                index,
                key,
            } => {
                let (collection, key) = (CollectionId(*collection), key.as_slice());
                match u16::try_from(*index) {
                    Ok(index) => Name::Unique {
                        collection,
                        index,
                        key,
                    },
                    Err(_) => Name::Row { collection, key },
                }
            }
            Kept::Collection(collection) => Name::Collection(CollectionId(*collection)),
            Kept::Advisory(database, key) => Name::Advisory(*database, *key),
            Kept::AdvisoryPair(database, first, second) => {
                Name::AdvisoryPair(*database, *first, *second)
            }
        }
    }
}

impl KeyBytes {
    fn new(key: &[u8]) -> KeyBytes {
        let mut bytes = [0; INLINE_BYTES];
        match bytes.get_mut(..key.len()) {
            Some(short) => {
                short.copy_from_slice(key);
                KeyBytes::Inline(key.len() as u8, bytes)
            }
            None => KeyBytes::Long(key.into()),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            KeyBytes::Inline(len, bytes) => &bytes[..usize::from(*len)],
            KeyBytes::Long(bytes) => bytes,
        }
    }
}

impl From<Name<'_>> for LockName {
    fn from(name: Name<'_>) -> LockName {
        let keyed = |collection: CollectionId, index, key| Kept::Keyed {
            collection: collection.0,
            index,
            key: KeyBytes::new(key),
        };
        LockName(match name {
            Name::Row { collection, key } => keyed(collection, ROWS, key),
            Name::Unique {
                collection,
                index,
                key,
            } => keyed(collection, u32::from(index), key),
            Name::Collection(collection) => Kept::Collection(collection.0),
            Name::Advisory(database, key) => Kept::Advisory(database, key),
            Name::AdvisoryPair(database, first, second) => {
                Kept::AdvisoryPair(database, first, second)
            }
        })
    }
}

impl PartialEq for LockName {
    fn eq(&self, other: &LockName) -> bool {
        self.name() == other.name()
    }
}

impl Eq for LockName {}

impl Hash for LockName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}

impl fmt::Debug for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockName({self})")
    }
}

#[cfg(test)]
mod tests {
    use velocitydb_types::Value;

    use super::*;

    #[test]
    fn a_name_comes_back_whatever_its_length_and_is_said_in_words() {
        let key = |text: &str| Key::from_value(&Value::from(text)).unwrap();
        let [short, long] = [key("JFK"), key("an id that is longer than 22 bytes")];
        let collection = CollectionId(7);
        let unique = |index, key| Name::Unique {
            collection,
            index,
            key,
        };
        let rows = [
            (Name::row(collection, &short), "row JFK of collection 7"),
            (
                Name::row(collection, &long),
                "row an id that is longer than 22 bytes of collection 7",
            ),
            (
                unique(2, b"\xff"),
                "key 0xff of unique index 2 of collection 7",
            ),
            (
                unique(u16::MAX, b"\xff"),
                "key 0xff of unique index 65535 of collection 7",
            ),
            (unique(3, b""), "key 0x of unique index 3 of collection 7"),
            (Name::Collection(collection), "collection 7"),
            (Name::Advisory(DatabaseId::VELOCITY, -1), "advisory lock -1"),
            (Name::Advisory(DatabaseId::VELOCITY, 7), "advisory lock 7"),
            (
                Name::AdvisoryPair(DatabaseId::VELOCITY, 0, 7),
                "advisory lock (0, 7)",
            ),
        ];
        for (position, (name, text)) in rows.iter().enumerate() {
            let kept = LockName::from(*name);
            assert_eq!(kept.name(), *name);
            assert_eq!(kept.to_string(), *text);
            let same = rows.iter().position(|(other, _)| kept.name() == *other);
            assert_eq!(same, Some(position), "{text} is one name alone");
        }
    }
}
