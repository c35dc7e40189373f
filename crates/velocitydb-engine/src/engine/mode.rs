//! Storage modes.

use crate::commit::Durability;
use crate::error::Error;

/// How much of the data lives where. See the design's table; `hybrid` comes with the cold tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StorageMode {
    /// All data in memory, no log: empty after a restart.
    MemoryOnly,
    /// All data in memory, logged; `os` by default.
    #[default]
    MemoryFirst,
    /// As memory-first with `full` by default.
    Persistent,
}

impl StorageMode {
    /// Its name, as flags and the configuration spell it.
    pub fn name(self) -> &'static str {
        match self {
            StorageMode::MemoryOnly => "memory-only",
            StorageMode::MemoryFirst => "memory-first",
            StorageMode::Persistent => "persistent",
        }
    }

    /// The level of a write that names none.
    pub fn durability(self) -> Durability {
        match self {
            StorageMode::MemoryOnly => Durability::Memory,
            StorageMode::MemoryFirst => Durability::Os,
            StorageMode::Persistent => Durability::Full,
        }
    }
}

impl std::str::FromStr for StorageMode {
    type Err = Error;
    fn from_str(name: &str) -> Result<StorageMode, Error> {
        match name {
            "memory-only" => Ok(StorageMode::MemoryOnly),
            "memory-first" => Ok(StorageMode::MemoryFirst),
            "persistent" => Ok(StorageMode::Persistent),
            "hybrid" => Err(Error::Invalid(
                "storage mode \"hybrid\" needs the cold tier, which this version does not have: \
                 use memory-first"
                    .into(),
            )),
            _ => Err(Error::Invalid(format!(
                "storage mode {name:?} is none of memory-only, memory-first, persistent"
            ))),
        }
    }
}
