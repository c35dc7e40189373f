//! Ids: 64 hexadecimal digits, as ColonyOS has them.

use rand::RngCore as _;
use sha3::{Digest as _, Sha3_256};

/// A new id: 256 random bits.
pub fn new_id() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    hex(&bytes)
}

/// The id that is made of a text.
pub(crate) fn hash(text: &str) -> String {
    hex(&Sha3_256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    let both = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(both).collect()
}
