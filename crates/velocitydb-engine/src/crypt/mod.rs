//! Encryption of the log's segments and of checkpoints: AES-256-GCM.
//!
//! A master key comes from a file and encrypts nothing itself: each segment and each checkpoint
//! has its own data key, `HKDF-SHA256(master, salt of its header, purpose)`. The salt is random
//! and fresh for each file, so a nonce needs to be unique in one file alone: it is the offset of
//! what it encrypts, and nothing is ever written twice with other content at one offset
//! (docs/formats/log.md says why). A file's header names the id of its master key, which tells
//! nothing about the key.
//!
//! Does no I/O and no CRCs. Without the feature `encryption` there is a twin that has no keys
//! (`none`): everything is plain, and what is encrypted is refused by name.
//! Tests: below; `log::record`; encrypted files in `velocitydb-sim` and `velocitydb`.

#[cfg_attr(feature = "encryption", path = "gcm.rs")]
#[cfg_attr(not(feature = "encryption"), path = "none.rs")]
mod cipher;

use std::fmt;
use std::sync::Arc;

pub(crate) use cipher::Cipher;
pub use cipher::EncryptionKey;

/// Bytes that encryption adds.
pub(crate) const TAG_BYTES: usize = 16;
/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Names a master key and tells nothing about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub(crate) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// What a data key is for: two purposes never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Log,
    Checkpoint,
}

/// Why encrypted data cannot be read, or a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No key was given.
    #[error("the data is encrypted with key {id}, and no key was given ({file})")]
    Missing {
        /// The first such file.
        file: String,
        /// Its key.
        id: KeyId,
    },
    /// Another key was given.
    #[error("the data is encrypted with key {id}, the key given is {given} ({file})")]
    Wrong {
        /// The first such file.
        file: String,
        /// Its key.
        id: KeyId,
        /// The present key.
        given: KeyId,
    },
    /// This program cannot decrypt.
    #[error(
        "the data is encrypted with key {id}, and this program was built without encryption ({file})"
    )]
    NotBuilt {
        /// The first such file.
        file: String,
        /// Its key.
        id: KeyId,
    },
    /// This is no key.
    #[error("{0}")]
    NoKey(String),
}

/// The keys that a database is opened with: what is written is encrypted with the present one, or
/// plain when there is none; what is there may also be encrypted with the previous one, or plain.
#[derive(Debug, Clone, Default)]
pub struct EncryptionKeys {
    current: Option<Arc<EncryptionKey>>,
    previous: Option<Arc<EncryptionKey>>,
}

impl EncryptionKeys {
    /// Everything that is written is encrypted with this key.
    pub fn new(current: EncryptionKey) -> EncryptionKeys {
        EncryptionKeys {
            current: Some(Arc::new(current)),
            previous: None,
        }
    }

    /// What is there may be encrypted with this key.
    #[must_use]
    pub fn with_previous(self, previous: EncryptionKey) -> EncryptionKeys {
        EncryptionKeys {
            previous: Some(Arc::new(previous)),
            ..self
        }
    }

    /// The id of the key that encrypts; `None` when nothing is encrypted.
    pub fn current(&self) -> Option<KeyId> {
        self.current.as_ref().map(|key| key.id())
    }

    /// A cipher for a new file with this salt.
    pub(crate) fn sealing(&self, salt: &[u8; 16], purpose: Purpose) -> Option<Arc<Cipher>> {
        let key = self.current.as_ref()?;
        key.cipher(salt, purpose).map(Arc::new)
    }

    /// The cipher of the file that names the key `id` (`None`: it is plain).
    pub(crate) fn opening(
        &self,
        id: Option<KeyId>,
        salt: &[u8; 16],
        purpose: Purpose,
        file: &str,
    ) -> Result<Option<Arc<Cipher>>, KeyError> {
        let Some(id) = id else { return Ok(None) };
        let keys = self.current.iter().chain(&self.previous);
        let key = keys.into_iter().find(|key| key.id() == id);
        let file = file.to_owned();
        match (key, &self.current) {
            (Some(key), _) => Ok(key.cipher(salt, purpose).map(Arc::new)),
            (None, _) if !cfg!(feature = "encryption") => Err(KeyError::NotBuilt { file, id }),
            (None, None) => Err(KeyError::Missing { file, id }),
            (None, Some(given)) => Err(KeyError::Wrong {
                file,
                id,
                given: given.id(),
            }),
        }
    }
}

/// The 32 bytes in a key file's content.
#[cfg(feature = "encryption")]
fn key_bytes(content: &[u8]) -> Result<zeroize::Zeroizing<[u8; KEY_BYTES]>, KeyError> {
    let mut bytes = zeroize::Zeroizing::new([0; KEY_BYTES]);
    if content.len() == KEY_BYTES {
        bytes.copy_from_slice(content);
        return Ok(bytes);
    }
    let digits = content.strip_suffix(b"\n").unwrap_or(content);
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = digits.as_chunks::<2>().0;
    let mut well = digits.len() == 2 * KEY_BYTES;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let read = digit(*high).zip(digit(*low));
        well &= read.is_some();
        *byte = read.map_or(0, |(high, low)| high << 4 | low);
    }
    well.then_some(bytes).ok_or_else(|| {
        KeyError::NoKey(format!(
            "it has {} bytes and holds no key: a key is 32 random bytes, or 64 hexadecimal digits; \
             make one with: head -c 32 /dev/urandom > key",
            content.len()
        ))
    })
}

#[cfg(test)]
#[cfg(feature = "encryption")]
mod tests {
    use super::*;

    fn key(byte: u8) -> EncryptionKey {
        EncryptionKey::from_content(vec![byte; KEY_BYTES]).unwrap()
    }

    #[test]
    fn a_key_file_holds_32_bytes_or_64_digits() {
        let raw = key(0xab).id();
        for text in [
            "ab".repeat(32),
            "AB".repeat(32) + "\n",
            "ab".repeat(32) + "\r\n",
        ] {
            let read = EncryptionKey::from_content(text.into_bytes()).unwrap();
            assert_eq!(read.id(), raw);
        }
        for content in [
            vec![],
            vec![1; 31],
            vec![1; 33],
            vec![b'g'; 64],
            vec![b'a'; 63],
        ] {
            let refused = EncryptionKey::from_content(content.clone()).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!(
                    "it has {} bytes and holds no key: a key is 32 random bytes, or 64 hexadecimal \
                     digits; make one with: head -c 32 /dev/urandom > key",
                    content.len()
                )
            );
        }
    }

    #[test]
    fn a_wrong_or_missing_key_is_named() {
        let (one, two) = (key(1), key(2));
        let (one_id, two_id) = (one.id(), two.id());
        let opened = |keys: &EncryptionKeys| {
            keys.opening(Some(one_id), &[0; 16], Purpose::Log, "wal/7")
                .map(|cipher| cipher.is_some())
        };
        assert_eq!(
            opened(&EncryptionKeys::default()).unwrap_err().to_string(),
            format!("the data is encrypted with key {one_id}, and no key was given (wal/7)")
        );
        let keys = EncryptionKeys::new(two);
        assert_eq!(
            opened(&keys).unwrap_err().to_string(),
            format!("the data is encrypted with key {one_id}, the key given is {two_id} (wal/7)")
        );
        assert_eq!(opened(&keys.with_previous(one)), Ok(true));
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let shown = format!("{:?}", EncryptionKeys::new(key(0x77)));
        assert!(
            !shown.contains("77, 77") && !shown.contains("119"),
            "{shown}"
        );
    }

    #[test]
    fn a_tag_holds_in_its_file_purpose_and_place_alone() {
        let cipher = |byte, salt, purpose| key(byte).cipher(&[salt; 16], purpose).unwrap();
        let mut sealed = b"hello".to_vec();
        sealed.extend_from_slice(&[0; TAG_BYTES]);
        cipher(1, 1, Purpose::Log).seal(9, b"head", &mut sealed);
        let opens = |cipher: &Cipher, offset, head: &[u8]| {
            let mut bytes = sealed.clone();
            let len = cipher.open(offset, head, &mut bytes)?;
            Some(bytes[..len].to_vec())
        };
        let right = cipher(1, 1, Purpose::Log);
        assert_eq!(opens(&right, 9, b"head"), Some(b"hello".to_vec()));
        assert_eq!(opens(&right, 10, b"head"), None);
        assert_eq!(opens(&right, 9, b"heap"), None);
        for other in [
            cipher(2, 1, Purpose::Log),
            cipher(1, 2, Purpose::Log),
            cipher(1, 1, Purpose::Checkpoint),
        ] {
            assert_eq!(opens(&other, 9, b"head"), None);
        }
    }
}
