//! `LIKE`, `SIMILAR TO` and regular expressions.
//!
//! All become programs of the `regex` crate, which match in time linear in the text, within
//! [`COMPILED_BYTES_MAX`] and [`PATTERN_BYTES_MAX`]. Of PostgreSQL's regular expressions they lack
//! back references and looking around, which are refused; among alternatives the first that
//! matches counts, not the longest.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use velocitydb_query::QueryError;
use velocitydb_types::Value;
use velocitydb_types::pattern::{COMPILED_BYTES_MAX, of_sql_like};

use super::call::{Call, Compiled};
use super::kinds::*;
use super::text::{characters, check_len, padded};
use super::{Answer, Row, f, fault};

/// Bytes that a pattern may have.
const PATTERN_BYTES_MAX: usize = velocitydb_query::REGEX_BYTES_MAX;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("~~", &[TEXT, TEXT], BOOL, |call| like(call, "", true)),
    f("~~", &[CHAR, TEXT], BOOL, |call| like(call, "", true)),
    f("~~", &[BYTEA, BYTEA], BOOL, |call| like_bytes(call, true)),
    f("!~~", &[TEXT, TEXT], BOOL, |call| like(call, "", false)),
    f("!~~", &[CHAR, TEXT], BOOL, |call| like(call, "", false)),
    f("!~~", &[BYTEA, BYTEA], BOOL, |call| like_bytes(call, false)),
    f("~~*", &[TEXT, TEXT], BOOL, |call| like(call, "i", true)),
    f("~~*", &[CHAR, TEXT], BOOL, |call| like(call, "i", true)),
    f("!~~*", &[TEXT, TEXT], BOOL, |call| like(call, "i", false)),
    f("!~~*", &[CHAR, TEXT], BOOL, |call| like(call, "i", false)),
    f("like_escape", &[TEXT, TEXT], TEXT, like_escape),
    f("similar_to_escape", &[TEXT], TEXT, |call| similar(call.text(0)?, Some('\\'))),
    f("similar_to_escape", &[TEXT, TEXT], TEXT, |call| similar(call.text(0)?, escape_character(call.text(1)?)?)),
    f("~", &[TEXT, TEXT], BOOL, |call| matches(call, "", true)),
    f("~", &[CHAR, TEXT], BOOL, |call| matches(call, "", true)),
    f("!~", &[TEXT, TEXT], BOOL, |call| matches(call, "", false)),
    f("!~", &[CHAR, TEXT], BOOL, |call| matches(call, "", false)),
    f("~*", &[TEXT, TEXT], BOOL, |call| matches(call, "i", true)),
    f("~*", &[CHAR, TEXT], BOOL, |call| matches(call, "i", true)),
    f("!~*", &[TEXT, TEXT], BOOL, |call| matches(call, "i", false)),
    f("!~*", &[CHAR, TEXT], BOOL, |call| matches(call, "i", false)),
    f("substring", &[TEXT, TEXT], TEXT, substring),
    f("regexp_like", &[TEXT, TEXT], BOOL, |call| matches(call, "", true)),
    f("regexp_like", &[TEXT, TEXT, TEXT], BOOL, |call| matches(call, call.text(2)?, true)),
    f("regexp_replace", &[TEXT, TEXT, TEXT], TEXT, |call| replace(call, "")),
    f("regexp_replace", &[TEXT, TEXT, TEXT, TEXT], TEXT, |call| replace(call, call.text(3)?)),
    f("regexp_match", &[TEXT, TEXT], TEXTS, |call| first_match(call, "")),
    f("regexp_match", &[TEXT, TEXT, TEXT], TEXTS, |call| first_match(call, call.text(2)?)),
    f("regexp_count", &[TEXT, TEXT], INT4, |call| count(call, 1, "")),
    f("regexp_count", &[TEXT, TEXT, INT4], INT4, |call| count(call, call.int(2)?, "")),
    f("regexp_count", &[TEXT, TEXT, INT4, TEXT], INT4, |call| count(call, call.int(2)?, call.text(3)?)),
    f("regexp_substr", &[TEXT, TEXT], TEXT, |call| nth_match(call, 1, 1)),
    f("regexp_substr", &[TEXT, TEXT, INT4], TEXT, |call| nth_match(call, call.int(2)?, 1)),
    f("regexp_substr", &[TEXT, TEXT, INT4, INT4], TEXT, |call| nth_match(call, call.int(2)?, call.int(3)?)),
    f("regexp_split_to_array", &[TEXT, TEXT], TEXTS, |call| split(call, "")),
    f("regexp_split_to_array", &[TEXT, TEXT, TEXT], TEXTS, |call| split(call, call.text(2)?)),
];

/// The compiled pattern of a text, made by `translate`. The first that a call meets is kept.
fn compiled(
    call: &Call<'_, '_>,
    text: &str,
    flags: &str,
    translate: impl Fn(&str) -> Result<String, QueryError>,
) -> Result<Arc<Regex>, QueryError> {
    let kept = &call.bound.pattern;
    if let Some(kept) = kept.get()
        && *kept.text == *text
        && *kept.flags == *flags
    {
        return Ok(kept.regex.clone());
    }
    if text.len() > PATTERN_BYTES_MAX {
        return Err(fault(
            "54000",
            format!("a pattern may have {PATTERN_BYTES_MAX} bytes"),
        ));
    }
    let built = RegexBuilder::new(&translate(text)?)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .build();
    let regex = Arc::new(built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => fault(
            "54000",
            "invalid regular expression: regular expression is too complex",
        ),
        other => {
            let said = other.to_string();
            let last = said.lines().last().unwrap_or_default();
            let reason = last.trim_start_matches("error: ");
            fault("2201B", format!("invalid regular expression: {reason}"))
        }
    })?);
    // Another thread's may already be there: then that one stays.
    drop(kept.set(Compiled {
        text: text.into(),
        flags: flags.into(),
        regex: regex.clone(),
    }));
    Ok(regex)
}

/// A pattern of `LIKE` as a regular expression.
fn of_like(pattern: &str) -> Result<String, QueryError> {
    of_sql_like(pattern)
        .ok_or_else(|| fault("22025", "LIKE pattern must not end with escape character"))
}

fn like(call: &Call<'_, '_>, flags: &str, wanted: bool) -> Answer {
    let (text, pattern) = (&*padded(call, 0)?, call.text(1)?);
    // What most patterns are needs no program.
    if flags.is_empty() && !pattern.contains(['_', '\\']) {
        let mut parts = pattern.split('%');
        let (first, second, third, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
        let holds = match (first, second, third, rest) {
            (Some(all), None, ..) => Some(text == all),
            (Some(begin), Some(end), None, _) => Some(
                text.len() >= begin.len() + end.len()
                    && text.starts_with(begin)
                    && text.ends_with(end),
            ),
            (Some(""), Some(part), Some(""), None) => Some(text.contains(part)),
            _ => None,
        };
        if let Some(holds) = holds {
            return Ok((holds == wanted).into());
        }
    }
    let regex = compiled(call, pattern, flags, |pattern| {
        Ok(format!("(?s{flags}){}", of_like(pattern)?))
    })?;
    Ok((regex.is_match(text) == wanted).into())
}

fn like_bytes(call: &Call<'_, '_>, wanted: bool) -> Answer {
    // Each byte as the character of its number.
    let characters = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
    };
    let (text, pattern) = (characters(call.bytes(0)?), characters(call.bytes(1)?));
    let regex = compiled(call, &pattern, "", |pattern| {
        Ok(format!("(?s){}", of_like(pattern)?))
    })?;
    Ok((regex.is_match(&text) == wanted).into())
}

fn escape_character(escape: &str) -> Result<Option<char>, QueryError> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (one, None) => Ok(one),
        _ => Err(fault("22025", "invalid escape string")),
    }
}

/// A pattern of `LIKE` with an escape character of its own, as one whose escape character is `\`.
fn like_escape(call: &Call<'_, '_>) -> Answer {
    let escape = escape_character(call.text(1)?)?;
    let (mut pattern, mut is_escaped) = (String::new(), false);
    for character in call.text(0)?.chars() {
        if !is_escaped && Some(character) == escape {
            pattern.push('\\');
            is_escaped = true;
            continue;
        }
        if character == '\\' && !is_escaped {
            pattern.push('\\');
        }
        pattern.push(character);
        is_escaped = false;
    }
    Ok(pattern.into())
}

/// A pattern of `SIMILAR TO` as a regular expression.
fn similar(pattern: &str, escape: Option<char>) -> Answer {
    let (mut regular, mut is_escaped, mut in_class) = (String::from("^(?:"), false, false);
    for character in pattern.chars() {
        if is_escaped {
            if character == '"' {
                return Err(fault(
                    "0A000",
                    "SQL regular expressions with parts are not supported",
                ));
            }
            regular.push('\\');
            regular.push(character);
            is_escaped = false;
        } else if Some(character) == escape {
            is_escaped = true;
        } else if in_class {
            if character == '\\' {
                regular.push('\\');
            }
            regular.push(character);
            in_class = character != ']';
        } else {
            match character {
                '[' => {
                    regular.push('[');
                    in_class = true;
                }
                '%' => regular.push_str(".*"),
                '_' => regular.push('.'),
                '(' => regular.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    regular.push('\\');
                    regular.push(character);
                }
                other => regular.push(other),
            }
        }
    }
    regular.push_str(")$");
    check_len(regular.len())?;
    Ok(regular.into())
}

/// What flags say: the rest of the options, and whether all matches are meant.
struct Flags {
    is_global: bool,
    options: String,
    is_literal: bool,
}

fn flags_of(text: &str) -> Result<Flags, QueryError> {
    let (mut is_global, mut is_literal) = (false, false);
    let (mut ignore_case, mut extended, mut newline) = (false, false, "s");
    for flag in text.chars() {
        match flag {
            'g' => is_global = true,
            'i' => ignore_case = true,
            'c' => ignore_case = false,
            'x' => extended = true,
            't' => extended = false,
            's' => newline = "s",
            'n' | 'm' => newline = "m",
            'p' => newline = "",
            'w' => newline = "sm",
            'q' => is_literal = true,
            'e' => {}
            other => {
                return Err(fault(
                    "22023",
                    format!("invalid regular expression option: \"{other}\""),
                ));
            }
        }
    }
    let options = [
        newline,
        if ignore_case { "i" } else { "" },
        if extended { "x" } else { "" },
    ];
    Ok(Flags {
        is_global,
        options: options.concat(),
        is_literal,
    })
}

/// PostgreSQL's form of a regular expression as that of the `regex` crate.
fn of_postgres(pattern: &str) -> Result<String, QueryError> {
    let (mut regular, mut characters) = (String::new(), pattern.chars().peekable());
    let mut in_class = false;
    let not_supported = |what: &str| {
        fault(
            "0A000",
            format!("regular expressions with {what} are not supported"),
        )
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                None => {
                    return Err(fault(
                        "2201B",
                        "invalid regular expression: invalid escape \\ sequence",
                    ));
                }
                Some('m') if !in_class => regular.push_str(r"\b{start}"),
                Some('M') if !in_class => regular.push_str(r"\b{end}"),
                Some('y') if !in_class => regular.push_str(r"\b"),
                Some('Y') if !in_class => regular.push_str(r"\B"),
                Some('Z') if !in_class => regular.push_str(r"\z"),
                Some('1'..='9') if !in_class => return Err(not_supported("back references")),
                Some('e') => regular.push_str(r"\x1B"),
                Some('b') => regular.push_str(r"\x08"),
                Some('B') => regular.push_str(r"\\"),
                Some(
                    letter @ ('A' | 'a' | 'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'n' | 'r' | 't' | 'v'
                    | 'f' | 'u' | 'x' | '0'),
                ) => {
                    regular.push('\\');
                    regular.push(letter);
                }
                Some(letter) if letter.is_ascii_alphabetic() => {
                    return Err(fault(
                        "2201B",
                        "invalid regular expression: invalid escape \\ sequence",
                    ));
                }
                Some(literal) => regular.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4]))),
            },
            '[' if !in_class => {
                in_class = true;
                regular.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    regular.push('^');
                }
                if characters.next_if_eq(&']').is_some() {
                    regular.push_str(r"\]");
                }
            }
            // A class within: `[[:alpha:]]`.
            '[' if matches!(characters.peek(), Some(':')) => {
                regular.push('[');
                for inner in characters.by_ref() {
                    regular.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            '[' if matches!(characters.peek(), Some('.' | '=')) => {
                return Err(not_supported("collating elements"));
            }
            // What means something to the crate only, within a class.
            '[' | '&' | '~' => {
                regular.push('\\');
                regular.push(character);
            }
            ']' if in_class => {
                in_class = false;
                regular.push(']');
            }
            // Braces without a number are themselves.
            '{' if !in_class && !characters.peek().is_some_and(char::is_ascii_digit) => {
                regular.push_str(r"\{");
            }
            '(' if !in_class && characters.peek() == Some(&'?') => {
                characters.next();
                match characters.peek() {
                    Some(':') => regular.push_str("(?"),
                    Some('=' | '!' | '<') => return Err(not_supported("looking around")),
                    // Options at the beginning, as flags have them.
                    Some(_) if regular.is_empty() => {
                        let options: String =
                            characters.by_ref().take_while(|c| *c != ')').collect();
                        regular.push_str(&format!("(?{})", flags_of(&options)?.options));
                    }
                    _ => {
                        return Err(fault(
                            "2201B",
                            "invalid regular expression: quantifier operand invalid",
                        ));
                    }
                }
            }
            other => regular.push(other),
        }
    }
    Ok(regular)
}

fn regular(
    call: &Call<'_, '_>,
    pattern: &str,
    flags: &str,
) -> Result<(Arc<Regex>, bool), QueryError> {
    // The pattern that is kept is that of these flags.
    let parsed = flags_of(flags)?;
    let regex = compiled(call, pattern, flags, |pattern| {
        let body = match parsed.is_literal {
            true => regex::escape(pattern),
            false => match pattern.strip_prefix("***=") {
                Some(literal) => regex::escape(literal),
                None => of_postgres(pattern.strip_prefix("***:").unwrap_or(pattern))?,
            },
        };
        Ok(match parsed.options.is_empty() {
            true => body,
            false => format!("(?{}){body}", parsed.options),
        })
    })?;
    Ok((regex, parsed.is_global))
}

fn matches(call: &Call<'_, '_>, flags: &str, wanted: bool) -> Answer {
    let (regex, is_global) = regular(call, call.text(1)?, flags)?;
    refuse_global(is_global, "regexp_like()")?;
    Ok((regex.is_match(&padded(call, 0)?) == wanted).into())
}

fn refuse_global(is_global: bool, name: &str) -> Result<(), QueryError> {
    match is_global {
        true => Err(fault(
            "22023",
            format!("{name} does not support the \"global\" option"),
        )),
        false => Ok(()),
    }
}

/// The part of a text that matches: that of the first parentheses, if there are any.
fn substring(call: &Call<'_, '_>) -> Answer {
    let (regex, _) = regular(call, call.text(1)?, "")?;
    let Some(captures) = regex.captures(call.text(0)?) else {
        return Ok(Value::Null);
    };
    let part = captures.get(usize::from(captures.len() > 1));
    Ok(part.map(|part| part.as_str()).into_value())
}

/// Null of nothing.
trait IntoValue {
    fn into_value(self) -> Value;
}

impl IntoValue for Option<&str> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, Value::from)
    }
}

fn replace(call: &Call<'_, '_>, flags: &str) -> Answer {
    if let Some(digit) = flags.chars().next().filter(char::is_ascii_digit) {
        let message = format!("invalid regular expression option: \"{digit}\"");
        return Err(fault("22023", message));
    }
    let (text, new) = (call.text(0)?, call.text(2)?);
    let (regex, is_global) = regular(call, call.text(1)?, flags)?;
    let (mut out, mut end) = (String::new(), 0);
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { break };
        out.push_str(&text[end..whole.start()]);
        end = whole.end();
        let mut characters = new.chars();
        while let Some(character) = characters.next() {
            if character != '\\' {
                out.push(character);
                continue;
            }
            let part = match characters.next() {
                Some('&') => Some(whole),
                Some(digit @ '1'..='9') => captures.get(digit as usize - '0' as usize),
                Some('\\') | None => {
                    out.push('\\');
                    None
                }
                Some(other) => {
                    out.extend(['\\', other]);
                    None
                }
            };
            out.push_str(part.map_or("", |part| part.as_str()));
        }
        check_len(out.len())?;
        if !is_global {
            break;
        }
    }
    out.push_str(&text[end..]);
    check_len(out.len())?;
    Ok(out.into())
}

fn first_match(call: &Call<'_, '_>, flags: &str) -> Answer {
    let (regex, is_global) = regular(call, call.text(1)?, flags)?;
    if is_global {
        return Err(fault(
            "22023",
            "regexp_match() does not support the \"global\" option",
        ));
    }
    let Some(captures) = regex.captures(call.text(0)?) else {
        return Ok(Value::Null);
    };
    let from = usize::from(captures.len() > 1);
    let parts = captures.iter().skip(from);
    Ok(Value::Array(
        parts
            .map(|part| part.map(|part| part.as_str()).into_value())
            .collect(),
    ))
}

/// The text from a position on.
fn rest<'c>(call: &Call<'c, '_>, from: i64) -> Result<&'c str, QueryError> {
    if from <= 0 {
        return Err(fault(
            "22023",
            format!("invalid value for parameter \"start\": {from}"),
        ));
    }
    let text = call.text(0)?;
    let at = text
        .char_indices()
        .nth(usize::try_from(from - 1).unwrap_or(usize::MAX));
    Ok(at.map_or("", |(at, _)| &text[at..]))
}

fn count(call: &Call<'_, '_>, from: i64, flags: &str) -> Answer {
    let (regex, is_global) = regular(call, call.text(1)?, flags)?;
    refuse_global(is_global, "regexp_count()")?;
    let text = rest(call, from)?;
    if from > characters(call.text(0)?) + 1 {
        return Ok(Value::Int(0));
    }
    Ok((regex.find_iter(text).count() as i64).into())
}

fn nth_match(call: &Call<'_, '_>, from: i64, nth: i64) -> Answer {
    if nth <= 0 {
        return Err(fault(
            "22023",
            format!("invalid value for parameter \"n\": {nth}"),
        ));
    }
    let (regex, _) = regular(call, call.text(1)?, "")?;
    let found = regex.find_iter(rest(call, from)?).nth(nth as usize - 1);
    Ok(found.map(|found| found.as_str()).into_value())
}

/// The parts between matches; an empty match at the beginning, the end, or behind another match
/// splits nothing.
fn split(call: &Call<'_, '_>, flags: &str) -> Answer {
    let (regex, is_global) = regular(call, call.text(1)?, flags)?;
    refuse_global(is_global, "regexp_split_to_array()")?;
    let text = call.text(0)?;
    let (mut parts, mut begin) = (Vec::new(), 0);
    for found in regex.find_iter(text) {
        let is_empty = found.is_empty();
        if is_empty && (found.start() == begin || found.start() == text.len()) {
            continue;
        }
        parts.push(text[begin..found.start()].into());
        begin = found.end();
    }
    parts.push(text[begin..].into());
    Ok(Value::Array(parts))
}
