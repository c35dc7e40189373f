//! Key files.
//!
//! What a key is and does: `velocitydb_engine::crypt`. Tests: tests/it/encryption.rs.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use velocitydb_engine::Error;
use velocitydb_engine::crypt::{EncryptionKey, KeyError};

/// More than any key file has.
const READ_MAX: usize = 4096;

/// A key, and how well its file is kept.
#[derive(Debug)]
pub struct KeyFile {
    /// The key.
    pub key: EncryptionKey,
    /// Whether users other than its owner may read the file.
    pub readable_by_others: bool,
}

/// Reads a key from a file: 32 bytes, or 64 hexadecimal digits and perhaps a newline.
///
/// # Errors
/// [`Error::Io`], and [`Error::Key`] when it holds no key, with how to make one.
pub fn read_key_file(path: &Path) -> Result<KeyFile, Error> {
    let failed = |source| Error::Io {
        action: format!("read the key file {}", path.display()),
        source: Arc::new(source),
    };
    let file = File::open(path).map_err(failed)?;
    let readable_by_others = readable_by_others(&file);
    // All at once: a vector that grows would leave pieces of the key behind.
    let mut content = Vec::with_capacity(READ_MAX);
    let read = file.take(READ_MAX as u64 - 64).read_to_end(&mut content);
    read.map_err(failed)?;
    let key = EncryptionKey::from_content(content).map_err(|error| match error {
        KeyError::NoKey(what) => {
            KeyError::NoKey(format!("the key file {}: {what}", path.display()))
        }
        error => error,
    })?;
    Ok(KeyFile {
        key,
        readable_by_others,
    })
}

#[cfg(unix)]
fn readable_by_others(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_: &File) -> bool {
    false
}
