//! `to_timestamp` and `to_date`: dates and moments, read by a format such as `YYYY-MM-DD HH24:MI`.
//!
//! Lenient as PostgreSQL is: any separator stands for any other, and what a text does not have is
//! as it is without the format. Tests: the golden files.

use velocitydb_query::QueryError;
use velocitydb_types::Date;

use super::call::Call;
use super::date_formats::{DAYS, MONTHS, Node, ROMAN, begins, nodes};
use super::dates::time;
use super::kinds::*;
use super::moments::{HOUR, MINUTE, SECOND, midnight, out_of_range, to_utc};
use super::{Answer, Row, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("to_timestamp", &[TEXT, TEXT], TIMESTAMPTZ, to_timestamp),
    f("to_date", &[TEXT, TEXT], DATE, |call| {
        let read = read(call.text(0)?, call.text(1)?)?;
        Ok(read.date().map_err(|error| with_text(error, call))?.into())
    }),
];

/// What a text said.
#[derive(Default)]
struct Read {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    julian: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    century: Option<i64>,
    is_bc: bool,
    hour: i64,
    is_12_hours: bool,
    is_afternoon: Option<bool>,
    minute: i64,
    second: i64,
    micros: i64,
    of_day: Option<i64>,
    offset_hours: Option<i64>,
    offset_minutes: i64,
    offset_sign: i64,
}

fn invalid(value: &str, field: &str) -> QueryError {
    fault(
        "22007",
        format!("invalid value \"{value}\" for \"{field}\""),
    )
}

/// Reads a number of at most so many digits; any number when nothing follows that is one.
fn number(rest: &mut &str, field: &str, digits: usize) -> Result<(i64, usize), QueryError> {
    *rest = rest.trim_start();
    let sign = rest.len() - rest.trim_start_matches(['+', '-']).len();
    let count = rest[sign.min(1)..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .take(digits)
        .count();
    let (text, after) = rest.split_at(sign.min(1) + count);
    if count == 0 {
        let end = rest
            .char_indices()
            .nth(digits.min(rest.len()))
            .map_or(rest.len(), |(at, _)| at);
        return Err(invalid(&rest[..end], field));
    }
    let parsed = text
        .parse::<i64>()
        .ok()
        .filter(|number| i32::try_from(*number).is_ok());
    *rest = after;
    let number = parsed.ok_or_else(|| {
        fault(
            "22008",
            format!("value for \"{field}\" in source string is out of range"),
        )
    })?;
    Ok((number, count))
}

/// Which of several names, each perhaps cut to three letters, a text begins with.
fn name_of(rest: &mut &str, names: &[&str], letters: Option<usize>) -> Option<i64> {
    let cut = |name: &&str| letters.map_or(name.len(), |letters| letters.min(name.len()));
    let found = names
        .iter()
        .position(|name| begins(rest, &name[..cut(name)]))?;
    *rest = &rest[cut(&names[found])..];
    Some(found as i64)
}

fn read(text: &str, format: &str) -> Result<Read, QueryError> {
    let (mut read, mut rest) = (Read::default(), text);
    let nodes = nodes(format);
    for (at, node) in nodes.iter().enumerate() {
        // What the text no longer has stays as it is without a format.
        if rest.is_empty() {
            break;
        }
        let (name, written, is_filled, suffix) = match node {
            Node::Literal(separator) if !separator.is_alphanumeric() => {
                // Any separator stands for any other, and for none.
                if separator.is_whitespace() {
                    rest = rest.trim_start();
                }
                let is_separator =
                    |c: char| !(c.is_alphanumeric() || matches!(c, '+' | '-') && *separator == ' ');
                if let Some(found) = rest.chars().next().filter(|c| is_separator(*c)) {
                    rest = &rest[found.len_utf8()..];
                }
                continue;
            }
            Node::Literal(_) | Node::Quoted(_) => {
                if let Some(skipped) = rest.chars().next() {
                    rest = &rest[skipped.len_utf8()..];
                }
                continue;
            }
            Node::Field {
                name,
                written,
                is_filled,
                suffix,
            } => (*name, *written, *is_filled, suffix),
        };
        // A number ends where its digits do, unless another one follows at once.
        let next_is_number = match nodes.get(at + 1) {
            Some(Node::Field { name, .. }) => !matches!(
                *name,
                "MONTH"
                    | "MON"
                    | "DAY"
                    | "DY"
                    | "AM"
                    | "PM"
                    | "A.M."
                    | "P.M."
                    | "RM"
                    | "TZ"
                    | "BC"
                    | "AD"
                    | "B.C."
                    | "A.D."
            ),
            Some(Node::Literal(literal)) => literal.is_ascii_digit(),
            _ => false,
        };
        let digits = |most: usize| match next_is_number && is_filled {
            true => most,
            false => usize::MAX,
        };
        rest = rest.trim_start();
        let begin = rest;
        let mut take = |most: usize| number(&mut rest, written, digits(most));
        match name {
            "HH24" => read.hour = take(2)?.0,
            "HH12" | "HH" => {
                read.hour = take(2)?.0;
                read.is_12_hours = true;
                if !(1..=12).contains(&read.hour) {
                    let message =
                        format!("hour \"{}\" is invalid for the 12-hour clock", read.hour);
                    return Err(fault("22007", message));
                }
            }
            "MI" => read.minute = take(2)?.0,
            "SS" => read.second = take(2)?.0,
            "MS" | "US" | "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let most = match name {
                    "MS" => 3,
                    "US" => 6,
                    other => usize::from(other.as_bytes()[2] - b'0'),
                };
                let (value, count) = take(most)?;
                if count > 6 {
                    return Err(fault(
                        "22008",
                        format!("value for \"{written}\" in source string is out of range"),
                    ));
                }
                read.micros += value * 10_i64.pow(6 - count as u32);
            }
            "SSSS" | "SSSSS" => read.of_day = Some(take(5)?.0),
            "AM" | "PM" | "A.M." | "P.M." => {
                let names: [&str; 2] = if name.contains('.') {
                    ["A.M.", "P.M."]
                } else {
                    ["AM", "PM"]
                };
                let half = name_of(&mut rest, &names, None)
                    .ok_or_else(|| invalid(&cut(begin, name.len()), written))?;
                read.is_afternoon = Some(half == 1);
                read.is_12_hours = true;
            }
            "BC" | "AD" | "B.C." | "A.D." => {
                let names: [&str; 2] = if name.contains('.') {
                    ["A.D.", "B.C."]
                } else {
                    ["AD", "BC"]
                };
                let era = name_of(&mut rest, &names, None)
                    .ok_or_else(|| invalid(&cut(begin, name.len()), written))?;
                read.is_bc = era == 1;
            }
            "Y,YYY" => {
                let thousands = number(&mut rest, written, usize::MAX)?.0;
                rest = rest.strip_prefix(',').unwrap_or(rest);
                read.year = Some(thousands * 1000 + number(&mut rest, written, 3)?.0);
            }
            "YYYY" => read.year = Some(year(take(4)?, 4)),
            "YYY" => read.year = Some(year(take(3)?, 3)),
            "YY" => read.year = Some(year(take(2)?, 2)),
            "Y" => read.year = Some(year(take(1)?, 1)),
            "IYYY" => read.iso_year = Some(year(take(4)?, 4)),
            "IYY" => read.iso_year = Some(year(take(3)?, 3)),
            "IY" => read.iso_year = Some(year(take(2)?, 2)),
            "I" => read.iso_year = Some(year(take(1)?, 1)),
            "MONTH" | "MON" => {
                let letters = (name == "MON").then_some(3);
                let month = name_of(&mut rest, &MONTHS, letters)
                    .ok_or_else(|| invalid(&word(begin), written))?;
                read.month = Some(month + 1);
            }
            "RM" => {
                // The longest first: `VIII` begins with `V`.
                let mut order: Vec<usize> = (0..12).collect();
                order.sort_by_key(|at| std::cmp::Reverse(ROMAN[*at].len()));
                let found = order.into_iter().find(|at| begins(rest, ROMAN[*at]));
                let found = found.ok_or_else(|| invalid(&word(begin), written))?;
                rest = &rest[ROMAN[found].len()..];
                read.month = Some(found as i64 + 1);
            }
            "DAY" | "DY" => {
                let letters = (name == "DY").then_some(3);
                name_of(&mut rest, &DAYS, letters).ok_or_else(|| invalid(&word(begin), written))?;
            }
            "MM" => read.month = Some(take(2)?.0),
            "DD" => read.day = Some(take(2)?.0),
            "DDD" => read.day_of_year = Some(take(3)?.0),
            "IDDD" => read.day_of_year = Some(take(3)?.0),
            "D" => drop(take(1)?),
            "ID" => read.iso_day = Some(take(1)?.0),
            "IW" => read.iso_week = Some(take(2)?.0),
            "WW" => read.week = Some(take(2)?.0),
            "W" => read.week_of_month = Some(take(1)?.0),
            "CC" => read.century = Some(take(2)?.0),
            "J" => read.julian = Some(take(usize::MAX)?.0),
            "Q" => drop(take(1)?),
            "TZH" => {
                read.offset_sign = if rest.starts_with('-') { -1 } else { 1 };
                rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
                read.offset_hours = Some(number(&mut rest, written, 2)?.0);
            }
            "TZM" => read.offset_minutes = number(&mut rest, written, 2)?.0,
            _ => {
                let message = format!("formatting field \"{name}\" is only supported in to_char");
                return Err(fault("0A000", message));
            }
        }
        if suffix.is_some() {
            rest = rest.get(2..).unwrap_or("");
        }
    }
    Ok(read)
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// The letters that a text begins with.
fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// A year of so many digits or fewer: near 2020.
fn year((year, count): (i64, usize), digits: usize) -> i64 {
    match (digits, count) {
        (4, _) => year,
        _ if count > digits => year,
        (_, 1 | 2) if digits <= 2 || count <= 2 => {
            if year < 70 {
                year + 2000
            } else if year < 100 {
                year + 1900
            } else {
                year
            }
        }
        _ => {
            if year < 520 {
                year + 2000
            } else {
                year + 1000
            }
        }
    }
}

impl Read {
    fn date(&self) -> Result<Date, QueryError> {
        let wrong = || fault("22008", "date/time field value out of range");
        let from_days = |days: i64| i32::try_from(days).map(Date).map_err(|_| wrong());
        if let Some(julian) = self.julian {
            return from_days(julian - 2_440_588);
        }
        if let (Some(year), Some(week)) = (self.iso_year, self.iso_week) {
            let fourth = Date::from_ymd(year, 1, 4).map_err(|_| wrong())?;
            let monday = i64::from(fourth.0) - (i64::from(fourth.0) + 3).rem_euclid(7);
            return from_days(monday + (week - 1) * 7 + self.iso_day.unwrap_or(1) - 1);
        }
        let year = match (self.year.or(self.iso_year), self.century) {
            (Some(year), Some(century)) if year < 100 => century * 100 - 100 + year,
            (Some(year), _) => year,
            (None, Some(century)) => century * 100 - 99,
            (None, None) => 0,
        };
        let year = match self.is_bc {
            true => 1 - year,
            // Without a year it is 1 BC, as PostgreSQL has it.
            false => year,
        };
        let first = |month: i64| {
            let month = u32::try_from(month).map_err(|_| wrong())?;
            Date::from_ymd(year, month, 1).map_err(|_| wrong())
        };
        if let Some(day) = self
            .day_of_year
            .or(self.week.map(|week| (week - 1) * 7 + 1))
        {
            let length = i64::from(first(12)?.0) + 31 - i64::from(first(1)?.0);
            return match (1..=length).contains(&day) {
                true => from_days(i64::from(first(1)?.0) + day - 1),
                false => Err(wrong()),
            };
        }
        let month = self.month.unwrap_or(1);
        let day = self
            .day
            .or(self.week_of_month.map(|week| (week - 1) * 7 + 1))
            .unwrap_or(1);
        match u32::try_from(day) {
            Ok(day) => {
                let month = u32::try_from(month).map_err(|_| wrong())?;
                Date::from_ymd(year, month, day).map_err(|_| wrong())
            }
            Err(_) => Err(wrong()),
        }
    }

    fn micros(&self) -> Result<i64, QueryError> {
        let hour = match (self.is_12_hours, self.is_afternoon, self.hour) {
            (true, Some(true), hour) if hour < 12 => hour + 12,
            (true, Some(false), 12) => 0,
            (_, _, hour) => hour,
        };
        let (hour, minute, second) = match self.of_day {
            Some(seconds) => (seconds / 3600, seconds / 60 % 60, seconds % 60),
            None => (hour, self.minute, self.second),
        };
        let fits =
            (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
        match fits {
            true => Ok(hour * HOUR + minute * MINUTE + second * SECOND + self.micros),
            false => Err(fault("22008", "date/time field value out of range")),
        }
    }
}

fn to_timestamp(call: &Call<'_, '_>) -> Answer {
    let read = read(call.text(0)?, call.text(1)?).map_err(|error| with_text(error, call))?;
    let date = read.date().map_err(|error| with_text(error, call))?;
    let of_day = read.micros().map_err(|error| with_text(error, call))?;
    let local = midnight(date)?
        .checked_add(of_day)
        .ok_or_else(out_of_range)?;
    time(match read.offset_hours {
        Some(hours) => {
            let offset = read.offset_sign * (hours * HOUR + read.offset_minutes * MINUTE);
            local.checked_sub(offset).ok_or_else(out_of_range)?
        }
        None => to_utc(&call.bound.settings.zone, local)?,
    })
}

/// What is out of range is shown.
fn with_text(error: QueryError, call: &Call<'_, '_>) -> QueryError {
    match (error, call.text(0)) {
        (QueryError::Scalar { sqlstate, message }, Ok(text))
            if message.starts_with("date/time") =>
        {
            fault(sqlstate, format!("{message}: \"{text}\""))
        }
        (error, _) => error,
    }
}
