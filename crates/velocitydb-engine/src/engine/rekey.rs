//! Bringing a data directory under the present key, step by step.
//!
//! Tests: `velocitydb`, tests/it/encryption.rs.

use velocitydb_types::Timestamp;

use super::Engine;
use crate::command::Command;
use crate::commit::Durability;
use crate::error::Error;

/// Files that another key than the present one encrypted, or none although there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rekey {
    /// Segments and checkpoints.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Engine {
    /// One step towards a directory that the present key encrypts as a whole: new segments and
    /// checkpoints are under it anyway, and what is not goes when as many checkpoints as are kept
    /// have followed. Each step writes one, at an index of its own. Without anything to do, or
    /// without a directory, nothing happens. The answer is what is left.
    ///
    /// A crash between or in steps loses nothing: the next start finds what is left.
    pub fn rekey(&self, now: Timestamp) -> Result<Rekey, Error> {
        let Some(files) = &self.files else {
            return Ok(Rekey::default());
        };
        if self.stats().rekey.files == 0 {
            return Ok(Rekey::default());
        }
        files.log.begin_under_key()?;
        self.propose(now, &Command::Tick, Some(Durability::Memory))?;
        self.checkpoint()?;
        Ok(self.stats().rekey)
    }
}
