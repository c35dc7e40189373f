//! Key files, for every command that opens a data directory.
//!
//! Tests: tests/it/encryption.rs.

use std::path::{Path, PathBuf};

use clap::Args;
use velocitydb::{EncryptionKey, EncryptionKeys, Options};

use crate::failure::Failure;

/// Which keys.
#[derive(Debug, Clone, Default, Args)]
pub struct KeyFiles {
    /// File with the key that encrypts the data: 32 random bytes, or 64 hexadecimal digits
    #[arg(long, value_name = "FILE", env = "VELOCITYDB_ENCRYPTION_KEY_FILE")]
    pub encryption_key_file: Option<PathBuf>,

    /// File with the key before that one
    #[arg(
        long,
        value_name = "FILE",
        env = "VELOCITYDB_ENCRYPTION_PREVIOUS_KEY_FILE"
    )]
    pub encryption_previous_key_file: Option<PathBuf>,
}

impl KeyFiles {
    /// Reads them.
    pub fn read(&self) -> Result<EncryptionKeys, Failure> {
        let previous = self.encryption_previous_key_file.as_deref();
        let Some(current) = self.encryption_key_file.as_deref() else {
            return match previous {
                None => Ok(EncryptionKeys::default()),
                Some(_) => Err(Failure::Usage(
                    "--encryption-previous-key-file needs --encryption-key-file, the key to go on \
                     with"
                        .to_owned(),
                )),
            };
        };
        let keys = EncryptionKeys::new(read(current)?);
        match previous {
            Some(previous) => Ok(keys.with_previous(read(previous)?)),
            None => Ok(keys),
        }
    }

    /// The options of a database in `dir`.
    pub fn options(&self, dir: &Path) -> Result<Options, Failure> {
        Ok(Options::at(dir).encryption(self.read()?))
    }
}

fn read(path: &Path) -> Result<EncryptionKey, Failure> {
    let file = velocitydb::read_key_file(path)?;
    if file.readable_by_others {
        crate::output::say_error(&format!(
            "warning: others can read the key file {}: chmod 600 it",
            path.display()
        ));
    }
    Ok(file.key)
}
