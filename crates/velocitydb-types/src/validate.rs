//! Checks encoded bytes that come from outside: a file, a peer, a client.
//!
//! Accepts exactly what `encoding` writes, so that equal values have equal bytes wherever they
//! come from. Never panics, never recurses deeper than [`DEPTH_MAX`], never allocates more than
//! a decimal's digits. Tests: below, and `proptests` (random and damaged bytes).

use crate::encoding::{
    CANONICAL_NAN, LONG_NAME, WIDTHS, decode_int, int_len, split_name, tag, width_index,
};
use crate::error::ErrorClass;
use crate::{DEPTH_MAX, Decimal, Point};

/// Why bytes are not an encoded value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("damaged value at byte {offset}: {reason}")]
pub struct DecodeError {
    /// Where the offending value or entry begins.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl DecodeError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Corrupt
    }
}

/// Checks that bytes are exactly one encoded value.
pub(crate) fn value(bytes: &[u8]) -> Result<(), DecodeError> {
    nested(bytes, 0, 0)
}

/// Checks a value that begins at `offset` inside `depth` containers.
fn nested(bytes: &[u8], offset: usize, depth: usize) -> Result<(), DecodeError> {
    let refuse = |reason| Err(DecodeError { offset, reason });
    let Some((&tag, payload)) = bytes.split_first() else {
        return refuse("no tag");
    };
    let wrong = match tag {
        tag::NULL | tag::FALSE | tag::TRUE => (!payload.is_empty()).then_some("trailing bytes"),
        tag::INT | tag::TIME => minimal_int(payload).is_none().then_some("integer"),
        tag::DATE => {
            let day = minimal_int(payload).and_then(|int| i32::try_from(int).ok());
            day.is_none().then_some("date")
        }
        tag::FLOAT => (!canonical_float(payload)).then_some("float"),
        tag::DECIMAL => Decimal::decode_canonical(payload)
            .is_none()
            .then_some("decimal"),
        tag::STRING => std::str::from_utf8(payload)
            .is_err()
            .then_some("string is not UTF-8"),
        tag::UUID => (payload.len() != 16).then_some("uuid"),
        tag::BYTES => None,
        tag::POINT => Point::from_bytes(payload).is_none().then_some("point"),
        tag::INTERVAL => (payload.len() != 16).then_some("interval"),
        tag::ARRAY..tag::INTERVAL => return container(bytes, offset, depth),
        _ => Some("unknown tag"),
    };
    wrong.map_or(Ok(()), refuse)
}

fn minimal_int(payload: &[u8]) -> Option<i64> {
    decode_int(payload).filter(|&int| int_len(int) == payload.len())
}

fn canonical_float(payload: &[u8]) -> bool {
    <[u8; 8]>::try_from(payload).is_ok_and(|bytes| {
        let bits = u64::from_le_bytes(bytes);
        !f64::from_bits(bits).is_nan() || bits == CANONICAL_NAN
    })
}

/// Checks an array or map, tag included.
fn container(bytes: &[u8], offset: usize, depth: usize) -> Result<(), DecodeError> {
    let error = |reason| DecodeError { offset, reason };
    if depth >= DEPTH_MAX {
        return Err(error("nested too deep"));
    }
    let is_map = bytes[0] >= tag::MAP;
    let base = if is_map { tag::MAP } else { tag::ARRAY };
    let width_given = usize::from(bytes[0] - base);
    let width = WIDTHS[width_given];
    let number = |at: usize| {
        let slot = bytes.get(at..at.checked_add(width)?)?;
        let mut number = [0; 4];
        number[..width].copy_from_slice(slot);
        Some(u32::from_le_bytes(number) as usize)
    };
    let count = number(1).ok_or(error("no count"))?;
    let header = count
        .checked_add(1)
        .and_then(|numbers| numbers.checked_mul(width))
        .and_then(|numbers| numbers.checked_add(1))
        .filter(|&header| header <= bytes.len())
        .ok_or(error("table of entries is cut"))?;
    let body = &bytes[header..];
    if width_index(count.max(body.len())) != width_given {
        return Err(error("numbers are wider or narrower than needed"));
    }
    let (mut start, mut last_name) = (0, None);
    for index in 0..count {
        let end = number(1 + width * (1 + index)).ok_or(error("table of entries is cut"))?;
        let entry = body
            .get(start..end)
            .ok_or(error("entry ends out of order"))?;
        let entry_offset = offset + header + start;
        let value = match is_map {
            true => name_and_value(entry, entry_offset, &mut last_name)?,
            false => entry,
        };
        nested(value, entry_offset + entry.len() - value.len(), depth + 1)?;
        start = end;
    }
    if start != body.len() {
        return Err(error("bytes after the last entry"));
    }
    Ok(())
}

/// Splits a map entry and checks that its name is UTF-8 and follows the name before it.
fn name_and_value<'a>(
    entry: &'a [u8],
    offset: usize,
    last_name: &mut Option<&'a [u8]>,
) -> Result<&'a [u8], DecodeError> {
    let error = |reason| DecodeError { offset, reason };
    let (name, value) = split_name(entry).ok_or(error("name is cut"))?;
    let long_form = entry[0] == LONG_NAME;
    if long_form != (name.len() >= usize::from(LONG_NAME)) {
        return Err(error("name length in the wrong form"));
    }
    if std::str::from_utf8(name).is_err() {
        return Err(error("name is not UTF-8"));
    }
    if last_name.is_some_and(|last| last >= name) {
        return Err(error("names out of order"));
    }
    *last_name = Some(name);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use crate::{DEPTH_MAX, RawMap, RawValue};

    #[test]
    fn anything_but_the_one_encoding_is_refused() {
        let not_minimal: &[u8] = &[3, 1, 0];
        let other_nan: &[u8] = &[4, 1, 0, 0, 0, 0, 0, 0xf8, 0x7f];
        for (bytes, reason) in [
            (&[][..], "no tag"),
            (&[0, 0], "trailing bytes"),
            (&[19], "unknown tag"),
            (not_minimal, "integer"),
            (&[3, 0], "integer"),
            (&[3, 255, 255], "integer"),
            (&[3, 1, 2, 3, 4, 5, 6, 7, 8, 9], "integer"),
            (&[7, 0, 0, 0, 128, 0], "date"),
            (other_nan, "float"),
            (&[4, 0], "float"),
            (&[5, 0, 0, 10], "decimal"),
            (&[6, 0xff], "string is not UTF-8"),
            (&[9, 0], "uuid"),
            (&[18, 0], "interval"),
            (&[11, 0], "point"),
            (&[12], "no count"),
            (&[12, 1], "table of entries is cut"),
            (&[14, 255, 255, 255, 255], "table of entries is cut"),
            (
                &[13, 1, 0, 1, 0, 0],
                "numbers are wider or narrower than needed",
            ),
            (&[12, 1, 2, 0], "entry ends out of order"),
            (&[12, 2, 1, 0, 0], "entry ends out of order"),
            (&[12, 1, 1, 0, 0], "bytes after the last entry"),
            (&[12, 0, 0], "bytes after the last entry"),
            (&[12, 1, 0], "no tag"),
            (&[15, 1, 2, 5, b'a'], "name is cut"),
            (
                &[15, 1, 7, 255, 1, 0, 0, 0, b'a', 0],
                "name length in the wrong form",
            ),
            (&[15, 1, 3, 1, 0xff, 0], "name is not UTF-8"),
            (&[15, 2, 3, 6, 1, b'b', 0, 1, b'a', 0], "names out of order"),
            (&[15, 2, 3, 6, 1, b'a', 0, 1, b'a', 0], "names out of order"),
        ] {
            let error = RawValue::validate(bytes).unwrap_err();
            assert_eq!(error.reason, reason, "{bytes:?}");
        }
        assert_eq!(RawMap::validate(&[3, 1]).unwrap_err().reason, "not a map");
        assert_eq!(RawValue::validate(&[12, 1, 2, 3, 0]).unwrap_err().offset, 3);
    }

    #[test]
    fn depth_is_bounded_before_the_stack_is() {
        let mut bytes = vec![0];
        for depth in 1..=4 * DEPTH_MAX {
            let wide = bytes.len() > 255;
            let mut outer = if wide { vec![13, 1, 0] } else { vec![12, 1] };
            let len = (bytes.len() as u16).to_le_bytes();
            outer.extend_from_slice(if wide { &len } else { &len[..1] });
            outer.append(&mut bytes);
            bytes = outer;
            assert_eq!(
                RawValue::validate(&bytes).is_ok(),
                depth <= DEPTH_MAX,
                "{depth}"
            );
        }
    }
}
