//! Texts of bytes and back, and hashes.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use md5::{Digest, Md5};
use velocitydb_query::QueryError;
use velocitydb_types::Value;

use super::call::Call;
use super::convert::of_format;
use super::kinds::*;
use super::{Answer, Row, f, fault};
use crate::formats::{read_escaped, read_hex};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("md5", &[TEXT], TEXT, |call| Ok(hex(&Md5::digest(call.text(0)?)).into())),
    f("md5", &[BYTEA], TEXT, |call| Ok(hex(&Md5::digest(call.bytes(0)?)).into())),
    f("encode", &[BYTEA, TEXT], TEXT, |call| encode(call.bytes(0)?, call.text(1)?)),
    f("decode", &[TEXT, TEXT], BYTEA, |call| decode(call.text(0)?, call.text(1)?)),
    f("to_hex", &[INT4], TEXT, |call| Ok(format!("{:x}", call.int(0)? as u32).into())),
    f("to_hex", &[INT8], TEXT, |call| Ok(format!("{:x}", call.int(0)?).into())),
    f("convert_from", &[BYTEA, TEXT], TEXT, convert_from),
    f("convert_to", &[TEXT, TEXT], BYTEA, convert_to),
];

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireCanonical),
);

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits =
        |byte: &u8| [byte >> 4, byte & 15].map(|half| char::from(DIGITS[usize::from(half)]));
    bytes.iter().flat_map(digits).collect()
}

/// The form of a name, in any case.
fn form(name: &str) -> Result<String, QueryError> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "hex" | "base64" | "escape" => Ok(lower),
        _ => Err(fault("22023", format!("unrecognized encoding: \"{name}\""))),
    }
}

fn encode(bytes: &[u8], name: &str) -> Answer {
    super::text::check_len(bytes.len() * 2)?;
    Ok(match form(name)?.as_str() {
        "hex" => hex(bytes),
        "base64" => {
            let text = BASE64.encode(bytes);
            // Lines of 76 characters, as mail has them.
            let mut lines = String::with_capacity(text.len() + text.len() / 76);
            for (at, character) in text.chars().enumerate() {
                if at > 0 && at % 76 == 0 {
                    lines.push('\n');
                }
                lines.push(character);
            }
            lines
        }
        _ => {
            let escaped = |byte: &u8| match byte {
                b'\\' => r"\\".to_owned(),
                0 | 0x80.. => format!("\\{byte:03o}"),
                plain => char::from(*plain).to_string(),
            };
            bytes.iter().map(escaped).collect()
        }
    }
    .into())
}

fn decode(text: &str, name: &str) -> Answer {
    Ok(Value::Bytes(match form(name)?.as_str() {
        "hex" => read_hex(text).map_err(of_format)?,
        "base64" => {
            let text: String = text
                .chars()
                .filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r'))
                .collect();
            decode_base64(&text)?
        }
        _ => read_escaped(text).map_err(of_format)?,
    }))
}

fn decode_base64(text: &str) -> Result<Vec<u8>, QueryError> {
    let is_symbol = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
    if let Some(wrong) = text.chars().find(|c| !is_symbol(*c)) {
        let message = format!("invalid symbol \"{wrong}\" found while decoding base64 sequence");
        return Err(fault("22023", message));
    }
    let begin = text.trim_end_matches('=').len();
    match BASE64.decode(text) {
        Ok(bytes) => Ok(bytes),
        Err(_) if text[..begin].contains('=') || text.len() - begin > 2 => Err(fault(
            "22023",
            "unexpected \"=\" while decoding base64 sequence",
        )),
        Err(_) => Err(fault("22023", "invalid base64 end sequence")),
    }
}

/// An encoding that is not there: one that PostgreSQL has, or none.
fn refused(name: &str, place: &str) -> QueryError {
    let lower = name.to_ascii_lowercase();
    let known = [
        "latin",
        "win",
        "iso",
        "koi8",
        "euc",
        "sql_ascii",
        "sjis",
        "big5",
        "gb",
        "johab",
        "uhc",
        "mule",
    ];
    match known.iter().any(|known| lower.starts_with(known)) {
        true => fault(
            "0A000",
            format!("encoding \"{name}\" is not supported, only UTF8"),
        ),
        false => fault("22023", format!("invalid {place} encoding name \"{name}\"")),
    }
}

fn is_utf8(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    matches!(letters.to_ascii_lowercase().as_str(), "utf8" | "unicode")
}

fn convert_from(call: &Call<'_, '_>) -> Answer {
    let (bytes, encoding) = (call.bytes(0)?, call.text(1)?);
    if !is_utf8(encoding) {
        return Err(refused(encoding, "source"));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.into()),
        Ok(_) => Err(fault(
            "22021",
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
        Err(error) => {
            let wrong: Vec<String> = bytes[error.valid_up_to()..]
                .iter()
                .take(error.error_len().unwrap_or(4))
                .map(|byte| format!("0x{byte:02x}"))
                .collect();
            let wrong = wrong.join(" ");
            Err(fault(
                "22021",
                format!("invalid byte sequence for encoding \"UTF8\": {wrong}"),
            ))
        }
    }
}

fn convert_to(call: &Call<'_, '_>) -> Answer {
    let (text, encoding) = (call.text(0)?, call.text(1)?);
    match is_utf8(encoding) {
        true => Ok(text.as_bytes().into()),
        false => Err(refused(encoding, "destination")),
    }
}
