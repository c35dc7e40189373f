//! Names and literals as SQL writes them, and `format`, which puts them into texts.

use velocitydb_query::QueryError;
use velocitydb_types::{Value, View};

use super::call::Call;
use super::kinds::*;
use super::text::{Side, check_len, filled, output, shown};
use super::{Answer, Row, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("quote_ident", &[TEXT], TEXT, |call| Ok(quote_ident(call.text(0)?).into())),
    f("quote_literal", &[TEXT], TEXT, |call| Ok(quote_literal(call.text(0)?).into())),
    f("quote_literal", &[Element], TEXT, |call| Ok(quote_literal(&shown(call, 0)?).into())),
    f("quote_nullable", &[TEXT], TEXT, quote_nullable).with_nulls(),
    f("quote_nullable", &[Element], TEXT, quote_nullable).with_nulls(),
    f("format", &[TEXT], TEXT, format).with_nulls(),
    f("format", &[TEXT, Any], TEXT, format).with_nulls().variadic(),
];

pub(crate) fn quote_ident(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit();
    let begins = name
        .bytes()
        .next()
        .is_some_and(|byte| !byte.is_ascii_digit());
    match begins && name.bytes().all(is_plain) && !is_keyword(name) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Whether a name has to be quoted because it is a word of the language.
fn is_keyword(name: &str) -> bool {
    const KEYWORDS: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint \
        binary bit boolean both case cast char character check coalesce collate collation column concurrently \
        constraint create cross current_catalog current_date current_role current_schema current_time \
        current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists \
        extract false fetch float for foreign freeze from full grant greatest group grouping having ilike in \
        initially inner inout int integer intersect interval into is isnull join lateral leading least left \
        like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif \
        numeric offset on only or order out outer overlaps overlay placing position precision primary real \
        references returning right row select session_user setof similar smallint some substring symmetric \
        table tablesample then time timestamp to trailing treat trim true union unique user using values \
        varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists \
        xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable ";
    KEYWORDS
        .split_ascii_whitespace()
        .any(|keyword| keyword == name)
}

fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match quoted.contains('\\') {
        true => format!("E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

fn quote_nullable(call: &Call<'_, '_>) -> Answer {
    match call.is_null(0) {
        true => Ok("NULL".into()),
        false => Ok(quote_literal(&shown(call, 0)?).into()),
    }
}

fn wrong(message: impl Into<String>) -> QueryError {
    fault("22023", message)
}

fn too_few() -> QueryError {
    wrong("too few arguments for format()")
}

/// What stands behind a `%`: `[position$][-][width]type`.
struct Specifier {
    /// The argument, from 1; `None`: the next.
    argument: Option<usize>,
    is_left: bool,
    width: Width,
    kind: char,
}

enum Width {
    Number(usize),
    /// That of an argument; `None`: of the next.
    Argument(Option<usize>),
}

/// The digits that a text begins with, as a number; and what follows.
fn number(text: &str) -> Result<(Option<usize>, &str), QueryError> {
    let end = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    match digits.parse::<i32>() {
        Ok(number) => Ok((Some(number as usize), rest)),
        Err(_) => Err(fault("22003", "number is out of range")),
    }
}

impl Specifier {
    /// Reads it; and what follows.
    fn read(text: &str) -> Result<(Specifier, &str), QueryError> {
        let (mut argument, mut width) = (None, Width::Number(0));
        let (first, after) = number(text)?;
        let (mut rest, mut is_left) = (text, false);
        match (first, after.strip_prefix('$')) {
            (Some(0), Some(_)) => {
                return Err(wrong(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            (Some(position), Some(after)) => (argument, rest) = (Some(position), after),
            (Some(number), None) => (width, rest) = (Width::Number(number), after),
            (None, _) => {}
        }
        if matches!(width, Width::Number(0)) {
            while let Some(after) = rest.strip_prefix('-') {
                (is_left, rest) = (true, after);
            }
            if let Some(after) = rest.strip_prefix('*') {
                let (position, after) = number(after)?;
                rest = match position {
                    None => after,
                    Some(_) => after
                        .strip_prefix('$')
                        .ok_or_else(|| wrong("width argument position must be ended by \"$\""))?,
                };
                width = Width::Argument(position);
            } else {
                let (number, after) = number(rest)?;
                (width, rest) = (Width::Number(number.unwrap_or(0)), after);
            }
        }
        let mut characters = rest.chars();
        let kind = characters
            .next()
            .ok_or_else(|| wrong("unterminated format() type specifier"))?;
        let specifier = Specifier {
            argument,
            is_left,
            width,
            kind,
        };
        Ok((specifier, characters.as_str()))
    }

    /// What stands in its place; `next` is the next argument.
    fn filled(&self, call: &Call<'_, '_>, next: &mut usize) -> Result<String, QueryError> {
        let width = match self.width {
            Width::Number(width) => width as i64,
            Width::Argument(position) => {
                let place = position.unwrap_or(*next);
                *next = place + 1;
                match (1..call.len()).contains(&place) {
                    false => return Err(too_few()),
                    true if call.is_null(place) => 0,
                    true => call.int(place)?,
                }
            }
        };
        if self.kind == '%' {
            return Ok("%".to_owned());
        }
        if !matches!(self.kind, 's' | 'I' | 'L') {
            let kind = self.kind;
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(wrong(message));
        }
        let place = self.argument.unwrap_or(*next);
        *next = place + 1;
        if place >= call.len() {
            return Err(too_few());
        }
        let text = match (self.kind, call.view(place)) {
            ('s', View::Null) => String::new(),
            ('L', View::Null) => "NULL".to_owned(),
            (_, View::Null) => {
                let message = "null values cannot be formatted as an SQL identifier";
                return Err(fault("22004", message));
            }
            ('s', _) => output(call, place)?,
            ('I', _) => quote_ident(&output(call, place)?),
            _ => quote_literal(&output(call, place)?),
        };
        let wide = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        check_len(wide)?;
        let side = match self.is_left || width < 0 {
            true => Side::Behind,
            false => Side::Before,
        };
        Ok(filled(&text, ' ', wide, side))
    }
}

fn format(call: &Call<'_, '_>) -> Answer {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    let (mut out, mut next, mut rest) = (String::new(), 1, call.text(0)?);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (specifier, after) = Specifier::read(after)?;
        out.push_str(&specifier.filled(call, &mut next)?);
        check_len(out.len())?;
        rest = after;
    }
    out.push_str(rest);
    check_len(out.len())?;
    Ok(out.into())
}
