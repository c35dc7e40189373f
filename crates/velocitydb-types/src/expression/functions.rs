//! The functions of expressions: their names, what they take, and their values.
//!
//! They are those of SQL that give the same answer at any time and in any session, and mean what
//! they mean there. An operator of SQL that is no arithmetic is one of them, too. Each computes one
//! value of at most the size of its arguments and a constant. Tests: `testscripts`.

use md5::{Digest, Md5};

use super::Node;
use super::evaluate::{EvaluationError, Operand, evaluate, negated, number_of, text_of};
use crate::json::jsonb_text;
use crate::number::Number;
use crate::raw::{RawMap, RawValue};
use crate::terms::{TermsOf, json_terms};
use crate::text::{lower, upper};
use crate::time::TimeUnit;
use crate::view::View;
use crate::{Value, compare};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Btrim,
    Coalesce,
    /// `||`
    Concat,
    /// The day of a time.
    Date,
    DateTrunc,
    /// A whole number of so many bits.
    Int(IntWidth),
    JsonPathTerms,
    JsonTerms,
    Left,
    Length,
    Lower,
    Ltrim,
    Md5,
    /// `->`
    Member,
    /// `->>`
    MemberText,
    Right,
    Rtrim,
    Timezone,
    Upper,
}

/// The widths of SQL's integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntWidth {
    Two,
    Four,
    Eight,
}

impl IntWidth {
    fn name(self) -> &'static str {
        match self {
            IntWidth::Two => "smallint",
            IntWidth::Four => "integer",
            IntWidth::Eight => "bigint",
        }
    }

    fn check(self, int: i64) -> Result<i64, EvaluationError> {
        let fits = match self {
            IntWidth::Two => i16::try_from(int).is_ok(),
            IntWidth::Four => i32::try_from(int).is_ok(),
            IntWidth::Eight => true,
        };
        let kind = self.name();
        match fits {
            true => Ok(int),
            false => Err(EvaluationError::Range { kind }),
        }
    }
}

/// What a function is called, and how many values it takes.
pub(super) struct FunctionRow {
    pub(super) name: &'static str,
    pub(super) function: Function,
    pub(super) least: usize,
    pub(super) most: usize,
}

const fn row(name: &'static str, function: Function, least: usize, most: usize) -> FunctionRow {
    FunctionRow {
        name,
        function,
        least,
        most,
    }
}

/// Those that are called by their names.
pub(super) const FUNCTIONS: [FunctionRow; 20] = [
    row("abs", Function::Abs, 1, 1),
    row("btrim", Function::Btrim, 1, 2),
    row("coalesce", Function::Coalesce, 1, usize::MAX),
    row("date", Function::Date, 1, 1),
    row("date_trunc", Function::DateTrunc, 2, 2),
    row("int2", Function::Int(IntWidth::Two), 1, 1),
    row("int4", Function::Int(IntWidth::Four), 1, 1),
    row("int8", Function::Int(IntWidth::Eight), 1, 1),
    row("json_path_terms", Function::JsonPathTerms, 1, 1),
    row("json_terms", Function::JsonTerms, 1, 1),
    row("left", Function::Left, 2, 2),
    row("length", Function::Length, 1, 1),
    row("lower", Function::Lower, 1, 1),
    row("ltrim", Function::Ltrim, 1, 2),
    row("md5", Function::Md5, 1, 1),
    row("right", Function::Right, 2, 2),
    row("rtrim", Function::Rtrim, 1, 2),
    row("timezone", Function::Timezone, 2, 2),
    row("trim", Function::Btrim, 1, 2),
    row("upper", Function::Upper, 1, 1),
];

impl Function {
    /// What it is called, or its sign.
    pub(super) fn name(self) -> &'static str {
        match self {
            Function::Concat => "||",
            Function::Member => "->",
            Function::MemberText => "->>",
            named => {
                let mut rows = FUNCTIONS.iter();
                rows.find(|row| row.function == named)
                    .map_or("", |row| row.name)
            }
        }
    }

    /// What PostgreSQL calls the type that it is the cast to.
    pub(super) fn sql_type(self) -> &'static str {
        match self {
            Function::Int(width) => width.name(),
            other => other.name(),
        }
    }

    /// Whether it is a cast, as SQL has it.
    pub(super) fn is_cast(self) -> bool {
        matches!(self, Function::Date | Function::Int(_))
    }

    /// Whether it stands between its two values.
    pub(super) fn is_operator(self) -> bool {
        matches!(
            self,
            Function::Concat | Function::Member | Function::MemberText
        )
    }
}

/// The value of a function; but for `coalesce`, that of a null is null.
pub(super) fn call<'a>(
    function: Function,
    nodes: &'a [Node],
    map: RawMap<'a>,
) -> Result<Operand<'a>, EvaluationError> {
    if function == Function::Coalesce {
        for node in nodes {
            let value = evaluate(node, map)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        return Ok(Operand::Owned(Value::Null));
    }
    let first = evaluate(&nodes[0], map)?;
    let second = nodes.get(1).map(|node| evaluate(node, map)).transpose()?;
    if first.is_null() || second.as_ref().is_some_and(Operand::is_null) {
        return Ok(Operand::Owned(Value::Null));
    }
    match &second {
        None => of_one(function, first),
        Some(second) => of_two(function, first, second),
    }
}

fn of_one(function: Function, value: Operand<'_>) -> Result<Operand<'_>, EvaluationError> {
    Ok(Operand::Owned(match function {
        Function::Abs => match number_of(&value)? {
            negative if compare(View::Number(negative.clone()), &Value::Int(0)).is_lt() => {
                negated(negative)?
            }
            _ => return Ok(value),
        },
        Function::Length => match length(value.view()) {
            Some(length) => Value::Int(length as i64),
            None => return Err(value.wrong("a string, bytes, an array or a map")),
        },
        Function::Lower => text(&value)?.chars().map(lower).collect::<String>().into(),
        Function::Upper => text(&value)?.chars().map(upper).collect::<String>().into(),
        Function::Md5 => {
            let digest = Md5::digest(text(&value)?);
            let hex = digest.iter().map(|byte| format!("{byte:02x}"));
            hex.collect::<String>().into()
        }
        Function::Btrim | Function::Ltrim | Function::Rtrim => {
            trim(function, text(&value)?, " ").into()
        }
        Function::Int(width) => match value.view() {
            View::Number(Number::Int(int)) => Value::Int(width.check(int)?),
            View::Str(_) => Value::Int(whole(text(&value)?, width)?),
            _ => return Err(value.wrong("a whole number or a string")),
        },
        Function::Date => match value.view() {
            View::Time(time) => Value::Date(time.date()),
            View::Date(_) => return Ok(value),
            _ => return Err(value.wrong("a time")),
        },
        Function::JsonTerms => Value::Array(json_terms(value.view(), TermsOf::Keys)),
        Function::JsonPathTerms => Value::Array(json_terms(value.view(), TermsOf::Paths)),
        Function::Coalesce
        | Function::Concat
        | Function::DateTrunc
        | Function::Left
        | Function::Member
        | Function::MemberText
        | Function::Right
        | Function::Timezone => unreachable!("it takes two"),
    }))
}

fn of_two<'a>(
    function: Function,
    first: Operand<'a>,
    second: &Operand<'_>,
) -> Result<Operand<'a>, EvaluationError> {
    Ok(Operand::Owned(match function {
        Function::Concat => [text(&first)?, text(second)?].concat().into(),
        Function::Left | Function::Right => {
            let text = text(&first)?;
            let View::Number(Number::Int(count)) = second.view() else {
                return Err(second.wrong("a whole number"));
            };
            part(function, text, count).into()
        }
        Function::Btrim | Function::Ltrim | Function::Rtrim => {
            trim(function, text(&first)?, text(second)?).into()
        }
        Function::Member => match (&first, second.view()) {
            // What stands in the document stays there.
            (Operand::Raw(value), View::Str(name)) => {
                let name = std::str::from_utf8(name).unwrap_or_default();
                let found = value.as_map().and_then(|map| map.get(name));
                return Ok(Operand::Raw(found.unwrap_or(RawValue::NULL)));
            }
            _ => match member(first.view(), second)? {
                Some(found) => found.to_value(),
                None => Value::Null,
            },
        },
        Function::MemberText => match member(first.view(), second)? {
            None | Some(View::Null) => Value::Null,
            Some(found) => jsonb_text(&found).into(),
        },
        Function::DateTrunc => {
            let unit = text(&first)?;
            let unit = TimeUnit::named(unit).ok_or_else(|| first.wrong(UNITS))?;
            let View::Time(time) = second.view() else {
                return Err(second.wrong("a time"));
            };
            let kind = "timestamp";
            let begins = time.truncated(unit);
            Value::Time(begins.ok_or(EvaluationError::Range { kind })?)
        }
        Function::Timezone => match (text(&first)?, second.view()) {
            (zone, View::Time(time)) if zone.eq_ignore_ascii_case("UTC") => Value::Time(time),
            (_, View::Time(_)) => return Err(first.wrong("'UTC'")),
            _ => return Err(second.wrong("a time")),
        },
        Function::Abs
        | Function::Coalesce
        | Function::Date
        | Function::Int(_)
        | Function::JsonPathTerms
        | Function::JsonTerms
        | Function::Length
        | Function::Lower
        | Function::Md5
        | Function::Upper => unreachable!("it takes one"),
    }))
}

const UNITS: &str = "a unit: microseconds, milliseconds, second, minute, hour, day, week, month, \
                     quarter, year";

fn text<'o>(operand: &'o Operand<'_>) -> Result<&'o str, EvaluationError> {
    Ok(text_of(operand)?.unwrap_or_default())
}

fn trim<'t>(function: Function, text: &'t str, characters: &str) -> &'t str {
    let goes = |character: char| characters.contains(character);
    match function {
        Function::Ltrim => text.trim_start_matches(goes),
        Function::Rtrim => text.trim_end_matches(goes),
        _ => text.trim_matches(goes),
    }
}

/// The first characters, or the last; of a negative count, all but so many at the other end.
fn part(function: Function, text: &str, count: i64) -> &str {
    let all = text.chars().count();
    let kept = match usize::try_from(count) {
        Ok(count) => count.min(all),
        Err(_) => all.saturating_sub(usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let before = match function {
        Function::Left => kept,
        _ => all - kept,
    };
    let at = text
        .char_indices()
        .nth(before)
        .map_or(text.len(), |(at, _)| at);
    match function {
        Function::Left => &text[..at],
        _ => &text[at..],
    }
}

/// The whole number that a text is, with blanks around it.
fn whole(text: &str, width: IntWidth) -> Result<i64, EvaluationError> {
    let kind = width.name();
    let digits = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    match digits.parse::<i64>() {
        Ok(int) => width.check(int),
        Err(error) => Err(match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                EvaluationError::Range { kind }
            }
            _ => EvaluationError::Syntax {
                kind,
                text: text.into(),
            },
        }),
    }
}

/// What a name leads to in a map, or a position (from the end when negative) in an array.
fn member<'v>(view: View<'v>, step: &Operand<'_>) -> Result<Option<View<'v>>, EvaluationError> {
    match (view, step.view()) {
        (View::Map(map), View::Str(name)) => {
            let mut members = map.iter();
            Ok(members.find(|(other, _)| *other == name).map(|(_, of)| of))
        }
        (View::Array(array), View::Number(Number::Int(at))) => {
            let at = if at < 0 { at + array.len() as i64 } else { at };
            Ok(usize::try_from(at).ok().and_then(|at| array.get(at)))
        }
        (_, View::Str(_) | View::Number(Number::Int(_))) => Ok(None),
        _ => Err(step.wrong("a name or a position")),
    }
}

/// Characters of a string, bytes of bytes, elements of an array or map.
pub(crate) fn length(value: View<'_>) -> Option<usize> {
    match value {
        // Every character of UTF-8 has one byte that continues none.
        View::Str(bytes) => Some(bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()),
        View::Bytes(bytes) => Some(bytes.len()),
        View::Array(array) => Some(array.len()),
        View::Map(map) => Some(map.len()),
        _ => None,
    }
}

/// Why arguments that stand in the text can be none, for any document.
pub(super) fn check(function: Function, arguments: &[Node]) -> Result<(), &'static str> {
    let literal = |at: usize| match arguments.get(at) {
        Some(Node::Literal(literal)) => literal.value.as_str(),
        _ => None,
    };
    match function {
        Function::DateTrunc if literal(0).and_then(TimeUnit::named).is_none() => Err(UNITS),
        Function::Timezone if !literal(0).is_some_and(|zone| zone.eq_ignore_ascii_case("UTC")) => {
            Err("'UTC': other zones may change")
        }
        _ => Ok(()),
    }
}
