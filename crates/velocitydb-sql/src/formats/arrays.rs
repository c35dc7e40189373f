//! Arrays of one dimension: `{1,NULL,"a b"}`, and their bytes.

use velocitydb_types::{ScalarType, SqlType, Value, View};

use super::error::FormatError;
use super::{Settings, binary, text};

/// Elements that an array of bytes may say it has; each takes four bytes or more.
const ELEMENT_BYTES_MIN: usize = 4;

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

pub(super) fn write_text(
    value: &View<'_>,
    element: ScalarType,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let View::Array(array) = value else {
        let name = SqlType::Array(element).to_string();
        return Err(FormatError::mixed_up(&name, text::type_name(value)));
    };
    out.push(b'{');
    for (at, value) in array.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if matches!(value, View::Null) {
            out.extend_from_slice(b"NULL");
            continue;
        }
        let start = out.len();
        text::write(&value, element, settings, out)?;
        if needs_quotes(&out[start..]) {
            quote(start, out);
        }
    }
    out.push(b'}');
    Ok(())
}

fn needs_quotes(element: &[u8]) -> bool {
    let special = |&byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || is_space(byte);
    element.is_empty() || element.eq_ignore_ascii_case(b"null") || element.iter().any(special)
}

/// Puts what stands from a place on into quotes.
fn quote(start: usize, out: &mut Vec<u8>) {
    let special = |byte: u8| matches!(byte, b'"' | b'\\');
    let escapes = out[start..].iter().filter(|&&byte| special(byte)).count();
    let mut from = out.len();
    out.resize(from + escapes + 2, b'"');
    let mut to = out.len() - 1;
    while from > start {
        (from, to) = (from - 1, to - 1);
        let byte = out[from];
        out[to] = byte;
        if special(byte) {
            to -= 1;
            out[to] = b'\\';
        }
    }
    out[start] = b'"';
}

fn malformed(text: &str, detail: &str) -> FormatError {
    let message = format!("malformed array literal: \"{text}\"");
    FormatError::new("22P02", message).with_detail(detail)
}

fn dimensions() -> FormatError {
    let message = "arrays of more than one dimension are not supported";
    FormatError::new("0A000", message)
}

pub(super) fn read_text(
    text: &str,
    element: ScalarType,
    settings: &Settings,
) -> Result<Value, FormatError> {
    let trimmed = text.trim_matches(|c: char| c.is_ascii() && is_space(c as u8));
    if trimmed.starts_with('[') {
        let message = "bounds of arrays are not supported: an array begins at 1";
        return Err(FormatError::new("0A000", message));
    }
    let Some(inner) = trimmed.strip_prefix('{') else {
        let detail = "Array value must start with \"{\" or dimension information.";
        return Err(malformed(text, detail));
    };
    let mut rest = inner;
    let mut elements = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii() && is_space(c as u8));
        if elements.is_empty() && rest.starts_with('}') {
            rest = &rest[1..];
            break;
        }
        let (word, quoted, after) = word(text, rest)?;
        elements.push(match quoted || !word.eq_ignore_ascii_case("null") {
            true => text::read(&word, element, settings)?,
            false => Value::Null,
        });
        match after.as_bytes().first() {
            Some(b',') => rest = &after[1..],
            Some(b'}') => {
                rest = &after[1..];
                break;
            }
            _ => return Err(malformed(text, "Unexpected end of input.")),
        }
    }
    match rest.is_empty() {
        true => Ok(Value::Array(elements)),
        false => Err(malformed(text, "Junk after closing right brace.")),
    }
}

/// One element's text, whether any of it was quoted or escaped, and what follows, which begins with
/// a comma or brace.
fn word<'t>(whole: &str, text: &'t str) -> Result<(String, bool, &'t str), FormatError> {
    let end = || malformed(whole, "Unexpected end of input.");
    let mut word = String::new();
    let (mut is_quoted, mut in_quotes, mut is_closed) = (false, false, false);
    let unexpected = || malformed(whole, "Unexpected array element.");
    // Behind the last character that is not a blank to be cut.
    let mut kept = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if is_closed => return Err(unexpected()),
            '\\' => {
                word.push(chars.next().ok_or_else(end)?.1);
                (is_quoted, kept) = (true, word.len());
            }
            '"' => {
                if !in_quotes && (kept > 0 || is_quoted) {
                    return Err(unexpected());
                }
                (is_closed, in_quotes, is_quoted) = (in_quotes, !in_quotes, true);
            }
            _ if in_quotes => {
                word.push(c);
                kept = word.len();
            }
            '{' => return Err(dimensions()),
            ',' | '}' => {
                if !is_quoted && kept == 0 {
                    let detail = format!("Unexpected \"{c}\" character.");
                    return Err(malformed(whole, &detail));
                }
                word.truncate(kept);
                return Ok((word, is_quoted, &text[at..]));
            }
            c => {
                word.push(c);
                if !c.is_ascii() || !is_space(c as u8) {
                    if is_closed {
                        return Err(unexpected());
                    }
                    kept = word.len();
                }
            }
        }
    }
    Err(end())
}

pub(super) fn write_binary(
    value: &View<'_>,
    element: ScalarType,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let View::Array(array) = value else {
        let name = SqlType::Array(element).to_string();
        return Err(FormatError::mixed_up(&name, text::type_name(value)));
    };
    let oid = element.row().oid;
    let has_nulls = array.iter().any(|value| matches!(value, View::Null));
    let dimensions = i32::from(!array.is_empty());
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&i32::from(has_nulls).to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    if array.is_empty() {
        return Ok(());
    }
    out.extend_from_slice(&(array.len() as u32).to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    for value in array.iter() {
        let start = out.len();
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        if !matches!(value, View::Null) {
            binary::write(&value, element, out)?;
            let length = (out.len() - start - 4) as u32;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}

pub(super) fn read_binary(bytes: &[u8], element: ScalarType) -> Result<Value, FormatError> {
    let mut rest = bytes;
    let cut_off = || FormatError::new("08P01", "insufficient data left in message");
    let number = |rest: &mut &[u8]| -> Result<i32, FormatError> {
        let (number, after) = rest.split_first_chunk().ok_or_else(cut_off)?;
        *rest = after;
        Ok(i32::from_be_bytes(*number))
    };
    let (count, flags, oid) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
    if !(0..=6).contains(&count) {
        return Err(FormatError::binary(&format!(
            "invalid number of dimensions: {count}"
        )));
    }
    if !(0..=1).contains(&flags) {
        return Err(FormatError::binary("invalid array flags"));
    }
    if oid as u32 != element.row().oid {
        let expected = element.row().oid;
        let message = format!(
            "binary data has array element type {} ({}) instead of expected {expected} ({})",
            oid as u32,
            SqlType::from_oid(oid as u32).map_or("unknown".to_owned(), |sql| sql.to_string()),
            element.row().long_name,
        );
        return Err(FormatError::new("42804", message));
    }
    let mut elements = Vec::new();
    match count {
        0 => {}
        1 => {
            let (length, _first) = (number(&mut rest)?, number(&mut rest)?);
            let length = usize::try_from(length).map_err(|_| cut_off())?;
            if length > rest.len() / ELEMENT_BYTES_MIN {
                return Err(cut_off());
            }
            elements.reserve(length);
            for _ in 0..length {
                let bytes = number(&mut rest)?;
                elements.push(match usize::try_from(bytes) {
                    Ok(bytes) => {
                        let (value, after) = rest.split_at_checked(bytes).ok_or_else(cut_off)?;
                        rest = after;
                        binary::read(value, element)?
                    }
                    Err(_) if bytes == -1 => Value::Null,
                    Err(_) => return Err(cut_off()),
                });
            }
        }
        _ => return Err(dimensions()),
    }
    match rest.is_empty() {
        true => Ok(Value::Array(elements)),
        false => Err(FormatError::binary("incorrect binary data format")),
    }
}
