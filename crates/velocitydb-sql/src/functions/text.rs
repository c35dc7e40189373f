//! Texts and bytes. Positions count from 1, in characters (of bytes: in bytes). Patterns are in
//! `patterns`, codes in `codes`, quotes and `format` in `quotes`.

use std::borrow::Cow;

use velocitydb_query::QueryError;
use velocitydb_types::text::{lower, upper};
use velocitydb_types::{ScalarType, SqlType, Value, View};

use super::call::Call;
use super::kinds::*;
use super::{Answer, BYTES_MAX, Row, convert, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("||", &[TEXT, TEXT], TEXT, |call| joined([call.text(0)?, call.text(1)?])),
    f("||", &[TEXT, NonArray], TEXT, |call| joined([call.text(0)?, &shown(call, 1)?])),
    f("||", &[NonArray, TEXT], TEXT, |call| joined([&shown(call, 0)?, call.text(1)?])),
    f("||", &[BYTEA, BYTEA], BYTEA, |call| bytes([call.bytes(0)?, call.bytes(1)?].concat())),
    f("concat", &[Any], TEXT, |call| concat(call, "", 0)).with_nulls().variadic(),
    f("concat_ws", &[TEXT, Any], TEXT, concat_ws).with_nulls().variadic(),
    f("length", &[TEXT], INT4, |call| Ok(characters(call.text(0)?).into())),
    f("length", &[CHAR], INT4, |call| Ok(characters(call.text(0)?.trim_end_matches(' ')).into())),
    f("length", &[BYTEA], INT4, |call| Ok((call.bytes(0)?.len() as i64).into())),
    f("char_length", &[TEXT], INT4, |call| Ok(characters(call.text(0)?).into())),
    f("char_length", &[CHAR], INT4, |call| Ok(characters(call.text(0)?.trim_end_matches(' ')).into())),
    f("character_length", &[TEXT], INT4, |call| Ok(characters(call.text(0)?).into())),
    f("character_length", &[CHAR], INT4, |call| Ok(characters(call.text(0)?.trim_end_matches(' ')).into())),
    f("octet_length", &[TEXT], INT4, |call| Ok((call.text(0)?.len() as i64).into())),
    f("octet_length", &[CHAR], INT4, |call| Ok((padded(call, 0)?.len() as i64).into())),
    f("octet_length", &[BYTEA], INT4, |call| Ok((call.bytes(0)?.len() as i64).into())),
    f("bit_length", &[TEXT], INT4, |call| Ok((call.text(0)?.len() as i64 * 8).into())),
    f("bit_length", &[BYTEA], INT4, |call| Ok((call.bytes(0)?.len() as i64 * 8).into())),
    f("lower", &[TEXT], TEXT, |call| each(call, lower)),
    f("upper", &[TEXT], TEXT, |call| each(call, upper)),
    f("initcap", &[TEXT], TEXT, initcap),
    f("substring", &[TEXT, INT4], TEXT, |call| substring(call, None)),
    f("substring", &[TEXT, INT4, INT4], TEXT, |call| substring(call, Some(call.int(2)?))),
    f("substring", &[BYTEA, INT4], BYTEA, |call| substring_bytes(call, None)),
    f("substring", &[BYTEA, INT4, INT4], BYTEA, |call| substring_bytes(call, Some(call.int(2)?))),
    f("substr", &[TEXT, INT4], TEXT, |call| substring(call, None)),
    f("substr", &[TEXT, INT4, INT4], TEXT, |call| substring(call, Some(call.int(2)?))),
    f("substr", &[BYTEA, INT4], BYTEA, |call| substring_bytes(call, None)),
    f("substr", &[BYTEA, INT4, INT4], BYTEA, |call| substring_bytes(call, Some(call.int(2)?))),
    f("left", &[TEXT, INT4], TEXT, left),
    f("right", &[TEXT, INT4], TEXT, right),
    f("position", &[TEXT, TEXT], INT4, position),
    f("position", &[BYTEA, BYTEA], INT4, position_of_bytes),
    f("strpos", &[TEXT, TEXT], INT4, position),
    f("replace", &[TEXT, TEXT, TEXT], TEXT, replace),
    f("translate", &[TEXT, TEXT, TEXT], TEXT, translate),
    f("trim", &[TEXT], TEXT, |call| trim(call, true, true)),
    f("btrim", &[TEXT], TEXT, |call| trim(call, true, true)),
    f("btrim", &[TEXT, TEXT], TEXT, |call| trim(call, true, true)),
    f("btrim", &[BYTEA, BYTEA], BYTEA, |call| trim_bytes(call, true, true)),
    f("ltrim", &[TEXT], TEXT, |call| trim(call, true, false)),
    f("ltrim", &[TEXT, TEXT], TEXT, |call| trim(call, true, false)),
    f("ltrim", &[BYTEA, BYTEA], BYTEA, |call| trim_bytes(call, true, false)),
    f("rtrim", &[TEXT], TEXT, |call| trim(call, false, true)),
    f("rtrim", &[TEXT, TEXT], TEXT, |call| trim(call, false, true)),
    f("rtrim", &[BYTEA, BYTEA], BYTEA, |call| trim_bytes(call, false, true)),
    f("lpad", &[TEXT, INT4], TEXT, |call| pad(call, " ", true)),
    f("lpad", &[TEXT, INT4, TEXT], TEXT, |call| pad(call, call.text(2)?, true)),
    f("rpad", &[TEXT, INT4], TEXT, |call| pad(call, " ", false)),
    f("rpad", &[TEXT, INT4, TEXT], TEXT, |call| pad(call, call.text(2)?, false)),
    f("repeat", &[TEXT, INT4], TEXT, repeat),
    f("reverse", &[TEXT], TEXT, |call| Ok(call.text(0)?.chars().rev().collect::<String>().into())),
    f("split_part", &[TEXT, TEXT, INT4], TEXT, split_part),
    f("starts_with", &[TEXT, TEXT], BOOL, |call| Ok(call.text(0)?.starts_with(call.text(1)?).into())),
    f("^@", &[TEXT, TEXT], BOOL, |call| Ok(call.text(0)?.starts_with(call.text(1)?).into())),
    f("ascii", &[TEXT], INT4, |call| Ok(call.text(0)?.chars().next().map_or(0, u32::from).into())),
    f("chr", &[INT4], TEXT, chr),
    f("overlay", &[TEXT, TEXT, INT4], TEXT, |call| overlay(call, characters(call.text(1)?))),
    f("overlay", &[TEXT, TEXT, INT4, INT4], TEXT, |call| overlay(call, call.int(3)?)),
    f("overlay", &[BYTEA, BYTEA, INT4], BYTEA, |call| overlay_bytes(call, call.bytes(1)?.len() as i64)),
    f("overlay", &[BYTEA, BYTEA, INT4, INT4], BYTEA, |call| overlay_bytes(call, call.int(3)?)),
    f("string_to_array", &[TEXT, TEXT], TEXTS, string_to_array).with_nulls(),
    f("string_to_array", &[TEXT, TEXT, TEXT], TEXTS, string_to_array).with_nulls(),
    f("get_byte", &[BYTEA, INT4], INT4, get_byte),
    f("set_byte", &[BYTEA, INT4, INT4], BYTEA, set_byte),
];

/// A text as long as a value may be.
pub(super) fn check_len(len: usize) -> Result<(), QueryError> {
    match len > BYTES_MAX {
        true => Err(fault(
            "54000",
            format!("a value may have {BYTES_MAX} bytes"),
        )),
        false => Ok(()),
    }
}

/// Where a text is filled up.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Before,
    Behind,
}

/// A text of so many characters at least. (`format!` has widths of 16 bits.)
pub(super) fn filled(text: &str, with: char, width: usize, side: Side) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let filling = std::iter::repeat_n(with, missing);
    match side {
        Side::Before => filling.chain(text.chars()).collect(),
        Side::Behind => text.chars().chain(filling).collect(),
    }
}

/// A text; a `char` with blanks up to its length.
pub(super) fn padded<'c>(call: &Call<'c, '_>, index: usize) -> Result<Cow<'c, str>, QueryError> {
    let text = call.text(index)?;
    Ok(match call.sql_type(index) {
        SqlType::Scalar(ScalarType::Char(length)) => {
            Cow::Owned(filled(text, ' ', length as usize, Side::Behind))
        }
        _ => Cow::Borrowed(text),
    })
}

fn bytes(bytes: Vec<u8>) -> Answer {
    check_len(bytes.len())?;
    Ok(bytes.into())
}

/// A length that an argument asks for.
fn check_requested(len: usize) -> Result<(), QueryError> {
    check_len(len).map_err(|_| fault("54000", "requested length too large"))
}

fn joined(parts: [&str; 2]) -> Answer {
    check_len(parts[0].len() + parts[1].len())?;
    Ok(parts.concat().into())
}

/// An argument as `::text` shows it; that of bool is `true` here, too.
pub(super) fn shown(call: &Call<'_, '_>, index: usize) -> Result<String, QueryError> {
    convert::text(call.view(index), call.sql_type(index), &call.bound.settings)
}

/// An argument as clients get it.
pub(super) fn output(call: &Call<'_, '_>, index: usize) -> Result<String, QueryError> {
    convert::shown(call.view(index), call.sql_type(index), &call.bound.settings)
}

fn concat(call: &Call<'_, '_>, separator: &str, from: usize) -> Answer {
    let (mut all, mut is_first) = (String::new(), true);
    for index in (from..call.len()).filter(|index| !call.is_null(*index)) {
        if !std::mem::take(&mut is_first) {
            all.push_str(separator);
        }
        match call.view(index) {
            View::Str(_) if call.sql_type(index) == SqlType::Scalar(ScalarType::Text) => {
                all.push_str(call.text(index)?);
            }
            _ => all.push_str(&output(call, index)?),
        }
        check_len(all.len())?;
    }
    Ok(all.into())
}

fn concat_ws(call: &Call<'_, '_>) -> Answer {
    match call.is_null(0) {
        true => Ok(Value::Null),
        false => concat(call, call.text(0)?, 1),
    }
}

pub(super) fn characters(text: &str) -> i64 {
    text.chars().count() as i64
}

/// Each character by itself becomes another one, as the C library's tables have it.
fn each(call: &Call<'_, '_>, map: fn(char) -> char) -> Answer {
    Ok(call.text(0)?.chars().map(map).collect::<String>().into())
}

fn initcap(call: &Call<'_, '_>) -> Answer {
    let mut is_inside = false;
    let map = |character: char| {
        let mapped = if is_inside {
            lower(character)
        } else {
            upper(character)
        };
        is_inside = character.is_alphanumeric();
        mapped
    };
    Ok(call.text(0)?.chars().map(map).collect::<String>().into())
}

/// The positions, from 0, that `substring(… from … for …)` takes.
fn range(from: i64, count: Option<i64>) -> Result<(usize, usize), QueryError> {
    let end = match count {
        None => i64::MAX,
        Some(count) if count < 0 => {
            return Err(fault("22011", "negative substring length not allowed"));
        }
        Some(count) => from.saturating_add(count),
    };
    let place = |position: i64| usize::try_from(position.max(1) - 1).unwrap_or(usize::MAX);
    Ok((place(from), place(end)))
}

/// Where in a text a character of a position from 0 begins; the end beyond its last.
fn byte_at(text: &str, position: usize) -> usize {
    let ascii = text.is_ascii();
    match text.char_indices().nth(position) {
        _ if ascii => position.min(text.len()),
        Some((at, _)) => at,
        None => text.len(),
    }
}

fn between(text: &str, from: usize, to: usize) -> &str {
    let rest = &text[byte_at(text, from)..];
    &rest[..byte_at(rest, to.saturating_sub(from))]
}

fn substring(call: &Call<'_, '_>, count: Option<i64>) -> Answer {
    let (from, to) = range(call.int(1)?, count)?;
    Ok(between(call.text(0)?, from, to).into())
}

fn substring_bytes(call: &Call<'_, '_>, count: Option<i64>) -> Answer {
    let bytes = call.bytes(0)?;
    let (from, to) = range(call.int(1)?, count)?;
    let from = from.min(bytes.len());
    Ok(bytes[from..to.clamp(from, bytes.len())].into())
}

/// So many characters; of a negative count, all but so many.
fn counted(text: &str, count: i64) -> usize {
    match usize::try_from(count) {
        Ok(count) => count,
        Err(_) => usize::try_from(characters(text).saturating_add(count)).unwrap_or(0),
    }
}

fn left(call: &Call<'_, '_>) -> Answer {
    let text = call.text(0)?;
    Ok(between(text, 0, counted(text, call.int(1)?)).into())
}

fn right(call: &Call<'_, '_>) -> Answer {
    let text = call.text(0)?;
    let all = characters(text) as usize;
    let count = counted(text, call.int(1)?).min(all);
    Ok(between(text, all - count, all).into())
}

fn position(call: &Call<'_, '_>) -> Answer {
    let (text, part) = (call.text(0)?, call.text(1)?);
    let found = text.find(part).map(|at| characters(&text[..at]) + 1);
    Ok(found.unwrap_or(0).into())
}

fn position_of_bytes(call: &Call<'_, '_>) -> Answer {
    let (bytes, part) = (call.bytes(0)?, call.bytes(1)?);
    if part.is_empty() {
        return Ok(Value::Int(1));
    }
    let found = bytes.windows(part.len()).position(|window| window == part);
    Ok(found.map_or(0, |at| at as i64 + 1).into())
}

fn replace(call: &Call<'_, '_>) -> Answer {
    let (text, from, to) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if from.is_empty() {
        return Ok(text.into());
    }
    let grows = to.len().saturating_sub(from.len());
    check_len(text.len() + text.matches(from).count().saturating_mul(grows))?;
    Ok(text.replace(from, to).into())
}

fn translate(call: &Call<'_, '_>) -> Answer {
    let (from, to): (Vec<char>, Vec<char>) = (
        call.text(1)?.chars().collect(),
        call.text(2)?.chars().collect(),
    );
    let map = |character: char| match from.iter().position(|other| *other == character) {
        None => Some(character),
        Some(at) => to.get(at).copied(),
    };
    Ok(call
        .text(0)?
        .chars()
        .filter_map(map)
        .collect::<String>()
        .into())
}

fn trim(call: &Call<'_, '_>, begin: bool, end: bool) -> Answer {
    let characters = if call.len() > 1 { call.text(1)? } else { " " };
    let is_cut = |character: char| characters.contains(character);
    let mut text = call.text(0)?;
    if begin {
        text = text.trim_start_matches(is_cut);
    }
    if end {
        text = text.trim_end_matches(is_cut);
    }
    Ok(text.into())
}

fn trim_bytes(call: &Call<'_, '_>, begin: bool, end: bool) -> Answer {
    let (mut bytes, cut) = (call.bytes(0)?, call.bytes(1)?);
    while begin
        && let [first, rest @ ..] = bytes
        && cut.contains(first)
    {
        bytes = rest;
    }
    while end
        && let [rest @ .., last] = bytes
        && cut.contains(last)
    {
        bytes = rest;
    }
    Ok(bytes.into())
}

fn pad(call: &Call<'_, '_>, fill: &str, at_begin: bool) -> Answer {
    let (text, length) = (call.text(0)?, usize::try_from(call.int(1)?).unwrap_or(0));
    let missing = length.saturating_sub(characters(text) as usize);
    if missing == 0 || fill.is_empty() {
        return Ok(between(text, 0, length).into());
    }
    // A character has a byte at least.
    check_requested(missing)?;
    let filled: String = fill.chars().cycle().take(missing).collect();
    match at_begin {
        true => joined([&filled, text]),
        false => joined([text, &filled]),
    }
}

fn repeat(call: &Call<'_, '_>) -> Answer {
    let (text, count) = (call.text(0)?, usize::try_from(call.int(1)?).unwrap_or(0));
    check_requested(text.len().saturating_mul(count))?;
    Ok(text.repeat(count).into())
}

fn split_part(call: &Call<'_, '_>) -> Answer {
    let (text, separator, wanted) = (call.text(0)?, call.text(1)?, call.int(2)?);
    if wanted == 0 {
        return Err(fault("22023", "field position must not be zero"));
    }
    if text.is_empty() {
        return Ok("".into());
    }
    if separator.is_empty() {
        return Ok(if matches!(wanted, 1 | -1) { text } else { "" }.into());
    }
    let place = usize::try_from(wanted.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let part = match wanted > 0 {
        true => text.split(separator).nth(place),
        // Of what overlaps, those count that are found from the beginning.
        false => {
            let parts: Vec<&str> = text.split(separator).collect();
            parts.len().checked_sub(place + 1).map(|at| parts[at])
        }
    };
    Ok(part.unwrap_or("").into())
}

fn chr(call: &Call<'_, '_>) -> Answer {
    match u32::try_from(call.int(0)?) {
        Err(_) => Err(fault("22023", "character number must be positive")),
        Ok(0) => Err(fault("54000", "null character not permitted")),
        Ok(code) if code > 0x10_ffff => Err(fault(
            "54000",
            format!("requested character too large for encoding: {code}"),
        )),
        Ok(code) => match char::from_u32(code) {
            Some(character) => Ok(character.to_string().into()),
            None => Err(fault(
                "54000",
                format!("requested character not valid for encoding: {code}"),
            )),
        },
    }
}

/// Where what is overlaid begins and ends.
fn overlaid(call: &Call<'_, '_>, count: i64) -> Result<(i64, i64), QueryError> {
    let from = call.int(2)?;
    if from <= 0 {
        return Err(fault("22011", "negative substring length not allowed"));
    }
    let after = i32::try_from(from.saturating_add(count));
    let after = after.map_err(|_| fault("22003", "integer out of range"))?;
    Ok((from - 1, i64::from(after)))
}

fn overlay(call: &Call<'_, '_>, count: i64) -> Answer {
    let (text, new) = (call.text(0)?, call.text(1)?);
    let (before, after) = overlaid(call, count)?;
    let begin = between(text, 0, before as usize);
    let (after, _) = range(after, None)?;
    let end = between(text, after, usize::MAX);
    check_len(text.len() * 2 + new.len())?;
    Ok([begin, new, end].concat().into())
}

fn overlay_bytes(call: &Call<'_, '_>, count: i64) -> Answer {
    let (all, new) = (call.bytes(0)?, call.bytes(1)?);
    let (before, after) = overlaid(call, count)?;
    let begin = &all[..(before as usize).min(all.len())];
    let (after, _) = range(after, None)?;
    bytes([begin, new, &all[after.min(all.len())..]].concat())
}

fn string_to_array(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    let text = call.text(0)?;
    if text.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let null = match call.len() > 2 && !call.is_null(2) {
        true => Some(call.text(2)?),
        false => None,
    };
    let element = |part: &str| match null == Some(part) {
        true => Value::Null,
        false => part.into(),
    };
    let parts: Vec<Value> = match call.is_null(1) {
        true => text
            .chars()
            .map(|character| element(character.encode_utf8(&mut [0; 4])))
            .collect(),
        false if call.text(1)?.is_empty() => vec![element(text)],
        false => text.split(call.text(1)?).map(element).collect(),
    };
    Ok(parts.into())
}

fn byte_position(call: &Call<'_, '_>) -> Result<usize, QueryError> {
    let (len, at) = (call.bytes(0)?.len(), call.int(1)?);
    match usize::try_from(at) {
        Ok(place) if place < len => Ok(place),
        _ => Err(fault(
            "2202E",
            format!("index {at} out of valid range, 0..{}", len as i64 - 1),
        )),
    }
}

fn get_byte(call: &Call<'_, '_>) -> Answer {
    Ok(call.bytes(0)?[byte_position(call)?].into())
}

fn set_byte(call: &Call<'_, '_>) -> Answer {
    let at = byte_position(call)?;
    let mut bytes = call.bytes(0)?.to_vec();
    bytes[at] = call.int(2)? as u8;
    Ok(bytes.into())
}
