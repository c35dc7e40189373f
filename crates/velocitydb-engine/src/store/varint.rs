//! Unsigned LEB128 integers, as used in record headers and checkpoint blocks.
//!
//! Seven bits for each byte, least significant first; at most ten bytes. Tests: below.

/// The longest integer, in bytes.
pub(crate) const BYTES_MAX: usize = 10;

/// Writes `value` to the front of `out`, which has room for it; how many bytes it took.
#[inline]
pub(crate) fn put_at(out: &mut [u8], mut value: u64) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        out[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    out[at] = value as u8;
    at + 1
}

/// Appends `value` to `out`.
pub(crate) fn put(out: &mut Vec<u8>, value: u64) {
    let mut bytes = [0; BYTES_MAX];
    let end = put_at(&mut bytes, value);
    out.extend_from_slice(&bytes[..end]);
}

/// Takes an integer off the front of `bytes`; `None` when it is cut short or too long.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    match bytes {
        [byte @ ..0x80, rest @ ..] => {
            let value = u64::from(*byte);
            *bytes = rest;
            Some(value)
        }
        _ => take_long(bytes),
    }
}

fn take_long(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(BYTES_MAX) {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * at);
        if byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

/// Maps small magnitudes of either sign to small unsigned numbers.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_and_bad_ones_are_refused() {
        for value in [
            0,
            1,
            127,
            128,
            300,
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut rest = &bytes[..];
            assert_eq!(take(&mut rest), Some(value));
            assert!(rest.is_empty());
            assert_eq!(
                take(&mut &bytes[..bytes.len() - 1]),
                None,
                "{value} cut short"
            );
        }
        assert_eq!(take(&mut &[0xff; 11][..]), None);
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
