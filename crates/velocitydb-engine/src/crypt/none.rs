//! The twin of `gcm` in a program without encryption: there are no keys and no ciphers.

use super::{KeyError, KeyId, Purpose};

/// A master key: in this build there is none.
#[derive(Debug)]
pub enum EncryptionKey {}

impl EncryptionKey {
    /// Refuses any key.
    ///
    /// # Errors
    /// Always.
    pub fn from_content(_: Vec<u8>) -> Result<EncryptionKey, KeyError> {
        let what = "this program was built without encryption (the cargo feature `encryption`)";
        Err(KeyError::NoKey(what.to_owned()))
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        match *self {}
    }

    pub(super) fn cipher(&self, _: &[u8; 16], _: Purpose) -> Option<Cipher> {
        match *self {}
    }
}

/// The cipher of one file: there is none.
#[derive(Debug)]
pub(crate) enum Cipher {}

impl Cipher {
    pub(crate) fn seal(&self, _: u64, _: &[u8], _: &mut [u8]) {
        match *self {}
    }

    pub(crate) fn open(&self, _: u64, _: &[u8], _: &mut [u8]) -> Option<usize> {
        match *self {}
    }
}
