//! Keys and ciphers by `ring`. `ring` keeps expanded keys to itself and does not wipe them;
//! master keys are wiped.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyError, KeyId, Purpose, TAG_BYTES, key_bytes};

/// A master key. Wiped when it is dropped; never printed.
pub struct EncryptionKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: KeyId,
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptionKey({})", self.id)
    }
}

/// How many bytes to derive.
struct Length(usize);

impl ring::hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl EncryptionKey {
    /// A key from the content of its file: 32 bytes, or 64 hexadecimal digits and perhaps a
    /// newline. The content is wiped.
    ///
    /// # Errors
    /// What is wrong with it, and how to make one.
    pub fn from_content(content: Vec<u8>) -> Result<EncryptionKey, KeyError> {
        let content = Zeroizing::new(content);
        let mut key = EncryptionKey {
            bytes: key_bytes(&content)?,
            id: KeyId([0; 8]),
        };
        let mut id = [0; 8];
        key.derive(&[], b"velocitydb key id", &mut id);
        key.id = KeyId(id);
        Ok(key)
    }

    /// Its name, as files have it in their headers.
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn derive(&self, salt: &[u8], info: &[u8], to: &mut [u8]) {
        let extracted = Salt::new(HKDF_SHA256, salt).extract(&*self.bytes);
        let info = [info];
        let derived = extracted.expand(&info, Length(to.len()));
        derived
            .and_then(|derived| derived.fill(to))
            .expect("so few bytes can always be derived");
    }

    /// Always one; its twin in `none` never has any.
    pub(super) fn cipher(&self, salt: &[u8; 16], purpose: Purpose) -> Option<Cipher> {
        let info: &[u8] = match purpose {
            Purpose::Log => b"velocitydb log",
            Purpose::Checkpoint => b"velocitydb checkpoint",
        };
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        self.derive(salt, info, &mut *bytes);
        let key = UnboundKey::new(&AES_256_GCM, &*bytes).expect("the key has the right length");
        Some(Cipher {
            key: LessSafeKey::new(key),
            id: self.id,
        })
    }
}

/// The cipher of one file.
pub(crate) struct Cipher {
    key: LessSafeKey,
    id: KeyId,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher({})", self.id)
    }
}

fn nonce(offset: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&offset.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Cipher {
    /// Encrypts all but the last [`TAG_BYTES`] of `bytes` in place, and puts the tag there, which
    /// also covers `plain`. One offset is used once in a file.
    pub(crate) fn seal(&self, offset: u64, plain: &[u8], bytes: &mut [u8]) {
        let (body, tag) = bytes.split_at_mut(bytes.len() - TAG_BYTES);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce(offset), Aad::from(plain), body);
        tag.copy_from_slice(sealed.expect("it is far below the cipher's bound").as_ref());
    }

    /// Decrypts `bytes` in place; how many remain. `None`, with `bytes` void, when the tag does
    /// not fit.
    pub(crate) fn open(&self, offset: u64, plain: &[u8], bytes: &mut [u8]) -> Option<usize> {
        let opened = self
            .key
            .open_in_place(nonce(offset), Aad::from(plain), bytes);
        opened.ok().map(|opened| opened.len())
    }
}
