//! `to_char` of numbers, by a format such as `FM999,990.00`.
//!
//! Of PostgreSQL's fields it lacks `EEEE`, `RN`, `V` and `PL`, which are refused. Separators are
//! those of the C locale. Tests: the golden files.

use velocitydb_query::QueryError;
use velocitydb_types::number::Number;
use velocitydb_types::{Decimal, Value, View};

use super::call::Call;
use super::kinds::*;
use super::text::{Side, check_len, filled};
use super::{Answer, Row, decimals, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("to_char", &[INT4, TEXT], TEXT, to_char),
    f("to_char", &[INT8, TEXT], TEXT, to_char),
    f("to_char", &[NUMERIC, TEXT], TEXT, to_char),
    f("to_char", &[FLOAT4, TEXT], TEXT, to_char),
    f("to_char", &[FLOAT8, TEXT], TEXT, to_char),
    f("to_number", &[TEXT, TEXT], NUMERIC, to_number),
];

/// A part of a format.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Nine,
    Zero,
    Point,
    Group,
    /// `S`: a sign beside the number.
    Sign,
    /// `MI`: a minus here.
    Minus,
    /// `SG`: a sign here.
    SignHere,
    /// `PR`: angle brackets around a negative number.
    Brackets,
    /// `TH` or `th`.
    Ordinal(bool),
    /// `L`: the sign of a currency, which the C locale does not have.
    Currency,
    Literal(char),
}

struct Format {
    nodes: Vec<Node>,
    is_filled: bool,
    /// Places before the point, and behind.
    whole: usize,
    fraction: usize,
}

fn format(text: &str) -> Result<Format, QueryError> {
    let mut format = Format {
        nodes: Vec::new(),
        is_filled: true,
        whole: 0,
        fraction: 0,
    };
    let begins = |rest: &str, word: &str| {
        rest.as_bytes()
            .get(..word.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
    };
    let mut rest = text;
    let mut has_point = false;
    while let Some(character) = rest.chars().next() {
        let mut len = character.len_utf8();
        let node = if character == '"' {
            let (quoted, after) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
            format.nodes.extend(quoted.chars().map(Node::Literal));
            rest = after;
            continue;
        } else if begins(rest, "FM") {
            format.is_filled = false;
            rest = &rest[2..];
            continue;
        } else if begins(rest, "EEEE")
            || begins(rest, "RN")
            || begins(rest, "PL")
            || begins(rest, "V")
        {
            let message = format!("the field at \"{rest}\" of a number's format is not supported");
            return Err(fault("0A000", message));
        } else if begins(rest, "MI") {
            len = 2;
            Node::Minus
        } else if begins(rest, "SG") {
            len = 2;
            Node::SignHere
        } else if begins(rest, "PR") {
            len = 2;
            Node::Brackets
        } else if begins(rest, "TH") {
            len = 2;
            Node::Ordinal(rest.starts_with('T'))
        } else {
            match character {
                '9' => Node::Nine,
                '0' => Node::Zero,
                '.' | 'D' | 'd' if has_point => {
                    return Err(fault("42601", "multiple decimal points"));
                }
                '.' | 'D' | 'd' => {
                    has_point = true;
                    Node::Point
                }
                ',' | 'G' | 'g' => Node::Group,
                'S' | 's' => Node::Sign,
                'L' | 'l' => Node::Currency,
                other => Node::Literal(other),
            }
        };
        match (node, has_point) {
            (Node::Nine | Node::Zero, false) => format.whole += 1,
            (Node::Nine | Node::Zero, true) => format.fraction += 1,
            _ => {}
        }
        format.nodes.push(node);
        rest = &rest[len..];
    }
    Ok(format)
}

/// A number, whether it is below 0, as digits before and behind the point.
fn digits(decimal: &Decimal, fraction: usize) -> Result<(bool, String, String), QueryError> {
    let Value::Decimal(rounded) = decimals::round(decimal, fraction as i64)? else {
        return Err(fault("22003", "value overflows numeric format"));
    };
    let text = rounded.to_string();
    let text = text.strip_prefix('-').unwrap_or(&text);
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    Ok((
        rounded.is_negative(),
        whole.to_owned(),
        filled(part, '0', fraction, Side::Behind),
    ))
}

fn to_char(call: &Call<'_, '_>) -> Answer {
    let format = format(call.text(1)?)?;
    let decimal = match call.view(0) {
        View::Number(Number::Float(float)) => match float.is_finite() {
            // As many digits as are surely the float's.
            true => {
                let is_real = call.sql_type(0) == velocitydb_types::ScalarType::Float4.into();
                let text = format!("{float:.*e}", if is_real { 5 } else { 14 });
                text.parse().map_err(decimals::out_of_bounds)?
            }
            false => {
                return Err(fault(
                    "0A000",
                    "a format of NaN or infinity is not supported",
                ));
            }
        },
        _ => call.decimal(0)?.into_owned(),
    };
    let (is_negative, mut whole, fraction) = digits(&decimal, format.fraction)?;
    if whole == "0" && (format.fraction > 0 || format.whole == 0) {
        whole.clear();
    }
    let is_overflown = whole.len() > format.whole;
    let text = Written {
        is_negative,
        whole: if is_overflown {
            "#".repeat(format.whole)
        } else {
            whole
        },
        fraction: if is_overflown {
            "#".repeat(format.fraction)
        } else {
            fraction
        },
        format: &format,
    };
    let out = text.write();
    check_len(out.len())?;
    Ok(out.into())
}

struct Written<'f> {
    is_negative: bool,
    whole: String,
    fraction: String,
    format: &'f Format,
}

impl Written<'_> {
    fn write(&self) -> String {
        let Format {
            nodes,
            is_filled,
            whole: places,
            ..
        } = self.format;
        let has = |node: Node| nodes.contains(&node);
        let sign_at = nodes.iter().position(|node| *node == Node::Sign);
        let first_digit = nodes
            .iter()
            .position(|node| matches!(node, Node::Nine | Node::Zero));
        let sign_is_first = sign_at.is_some_and(|at| first_digit.is_none_or(|first| at < first));
        let sign = if self.is_negative { "-" } else { "+" };
        let blank = |text: &'static str| if *is_filled { text } else { "" };
        // What stands directly before the number.
        let before = match self.is_negative {
            _ if sign_is_first => sign,
            _ if sign_at.is_some() || has(Node::Minus) || has(Node::SignHere) => "",
            true if has(Node::Brackets) => "<",
            true => "-",
            false => blank(" "),
        };
        let zero_from = nodes.iter().take_while(|node| **node != Node::Point);
        let zero_from = zero_from
            .filter(|node| matches!(node, Node::Nine | Node::Zero))
            .position(|node| *node == Node::Zero)
            .unwrap_or(*places);
        let first = zero_from.min(places - self.whole.len());
        let shown = self.shown_fraction();
        let (mut out, mut place, mut has_begun, mut behind) = (String::new(), 0, false, None);
        for node in nodes {
            match node {
                Node::Nine | Node::Zero => match behind {
                    Some(at) => {
                        if at < shown {
                            out.push_str(&self.fraction[at..=at]);
                        }
                        behind = Some(at + 1);
                    }
                    None => {
                        if place >= first {
                            if !std::mem::replace(&mut has_begun, true) {
                                out.push_str(before);
                            }
                            let skipped = places - self.whole.len();
                            match place.checked_sub(skipped) {
                                Some(at) => out.push_str(&self.whole[at..=at]),
                                None => out.push('0'),
                            }
                        } else {
                            out.push_str(blank(" "));
                        }
                        place += 1;
                    }
                },
                Node::Point => {
                    if !std::mem::replace(&mut has_begun, true) {
                        out.push_str(before);
                    }
                    out.push('.');
                    behind = Some(0);
                }
                Node::Group if has_begun => out.push(','),
                Node::Group => out.push_str(blank(" ")),
                Node::Sign if sign_is_first => {}
                Node::Sign => out.push_str(sign),
                Node::SignHere => out.push_str(sign),
                Node::Minus => out.push_str(if self.is_negative { "-" } else { blank(" ") }),
                Node::Brackets => out.push_str(if self.is_negative { ">" } else { blank(" ") }),
                Node::Ordinal(is_upper) if !self.is_negative && self.fraction.is_empty() => {
                    let suffix = if *is_upper { "TH" } else { "th" };
                    out.push_str(super::date_formats::ordinal(&self.whole, suffix));
                }
                Node::Ordinal(_) => {}
                Node::Currency => out.push(' '),
                Node::Literal(literal) => out.push(*literal),
            }
        }
        out
    }

    /// How many digits behind the point are shown: with `FM`, not the zeros at the end of nines.
    fn shown_fraction(&self) -> usize {
        if self.format.is_filled {
            return self.fraction.len();
        }
        let behind = self
            .format
            .nodes
            .iter()
            .skip_while(|node| **node != Node::Point);
        let places: Vec<_> = behind
            .filter(|node| matches!(node, Node::Nine | Node::Zero))
            .collect();
        let zeros = places
            .iter()
            .rposition(|node| **node == Node::Zero)
            .map_or(0, |at| at + 1);
        self.fraction.trim_end_matches('0').len().max(zeros)
    }
}

/// Reads the digits, the sign and the point, and passes over the rest.
fn to_number(call: &Call<'_, '_>) -> Answer {
    if call.text(1)?.is_empty() {
        return Ok(Value::Null);
    }
    let format = format(call.text(1)?)?;
    let (mut number, mut is_negative, mut fraction) = (String::new(), false, None);
    for character in call.text(0)?.chars() {
        match character {
            '-' | '<' => is_negative = true,
            digit if digit.is_ascii_digit() => {
                let is_behind = fraction.is_some();
                let room = match &mut fraction {
                    Some(count) => {
                        *count += 1;
                        *count <= format.fraction
                    }
                    None => number.len() < format.whole,
                };
                if room {
                    number.push(digit);
                } else if !is_behind {
                    break;
                }
            }
            '.' if fraction.is_none() && format.nodes.contains(&Node::Point) => {
                fraction = Some(0);
                number.push('.');
            }
            _ => {}
        }
    }
    if number.trim_matches('.').is_empty() {
        let message = "invalid input syntax for type numeric: \" \"";
        return Err(fault("22P02", message));
    }
    let sign = if is_negative { "-" } else { "" };
    let read: Result<Decimal, _> = format!("{sign}{number}").parse();
    read.map(Value::Decimal).map_err(decimals::out_of_bounds)
}
