//! `to_char` of dates: a format such as `YYYY-MM-DD HH24:MI:SS`, filled in. The way back is in
//! `date_reading`.
//!
//! Names of months and days are English. Tests: the golden files.

use velocitydb_query::QueryError;
use velocitydb_types::{Date, Interval, ScalarType, Timestamp, Value, View};

use super::call::Call;
use super::dates::parts;
use super::fields::{day_of_year, iso_week, julian, period};
use super::kinds::*;
use super::moments::{HOUR, MINUTE, SECOND, to_local};
use super::text::check_len;
use super::{Answer, Row, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("to_char", &[TIMESTAMP, TEXT], TEXT, to_char),
    f("to_char", &[TIMESTAMPTZ, TEXT], TEXT, to_char),
    f("to_char", &[INTERVAL, TEXT], TEXT, to_char),
];

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
pub(super) const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// The fields of formats; longer ones before those that they begin with. Case matters where a
/// field is a name.
const FIELDS: &[&str] = &[
    "A.D.", "A.M.", "AD", "AM", "B.C.", "BC", "CC", "DAY", "DDD", "DD", "DY", "D", "FF1", "FF2",
    "FF3", "FF4", "FF5", "FF6", "HH24", "HH12", "HH", "IDDD", "ID", "IW", "IYYY", "IYY", "IY", "I",
    "J", "MI", "MM", "MONTH", "MON", "MS", "OF", "P.M.", "PM", "Q", "RM", "SSSSS", "SSSS", "SS",
    "TZH", "TZM", "TZ", "US", "WW", "W", "Y,YYY", "YYYY", "YYY", "YY", "Y",
];

/// A part of a format.
pub(super) enum Node<'f> {
    /// A field as it is written, without `FM` before and `TH` behind.
    Field {
        name: &'static str,
        written: &'f str,
        is_filled: bool,
        /// `TH` or `th`.
        suffix: Option<&'f str>,
    },
    /// A character for itself.
    Literal(char),
    /// A character within quotes.
    Quoted(char),
}

pub(super) fn begins(text: &str, word: &str) -> bool {
    text.as_bytes()
        .get(..word.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(word.as_bytes()))
}

pub(super) fn nodes(format: &str) -> Vec<Node<'_>> {
    let (mut nodes, mut rest) = (Vec::new(), format);
    'next: while let Some(character) = rest.chars().next() {
        if character == '"' {
            let mut quoted = rest[1..].char_indices();
            rest = "";
            while let Some((_, character)) = quoted.next() {
                match character {
                    '"' => {
                        rest = &format[format.len() - quoted.as_str().len()..];
                        break;
                    }
                    '\\' => nodes.extend(quoted.next().map(|(_, literal)| Node::Quoted(literal))),
                    literal => nodes.push(Node::Quoted(literal)),
                }
            }
            continue;
        }
        let mut field = rest;
        let mut is_filled = true;
        loop {
            if begins(field, "FM") {
                is_filled = false;
                field = &field[2..];
            } else if begins(field, "TM") || begins(field, "FX") {
                field = &field[2..];
            } else {
                break;
            }
        }
        for name in FIELDS {
            if begins(field, name) {
                let (written, after) = field.split_at(name.len());
                let suffix = begins(after, "TH").then(|| &after[..2]);
                rest = &after[suffix.map_or(0, str::len)..];
                nodes.push(Node::Field {
                    name,
                    written,
                    is_filled,
                    suffix,
                });
                continue 'next;
            }
        }
        if field.len() < rest.len() && field.is_empty() {
            break;
        }
        // A `\` before a quote takes it for itself.
        let literal = match rest.strip_prefix("\\\"") {
            Some(_) => '"',
            None => character,
        };
        rest = &rest[if literal == character {
            character.len_utf8()
        } else {
            2
        }..];
        nodes.push(Node::Literal(literal));
    }
    nodes
}

/// What a format is filled with.
struct Shown {
    year: i64,
    /// Of an interval with its sign.
    month: i64,
    day: i64,
    /// None of an interval.
    date: Option<Date>,
    hour: i64,
    micros: i64,
    /// The offset in seconds and its name, of a timestamptz.
    zone: Option<(i64, String)>,
}

impl Shown {
    fn of(call: &Call<'_, '_>) -> Result<Shown, QueryError> {
        if let View::Interval(Interval {
            months,
            days,
            micros,
        }) = call.view(0)
        {
            return Ok(Shown {
                year: i64::from(months) / 12,
                month: i64::from(months) % 12,
                day: days.into(),
                date: None,
                hour: micros / HOUR,
                micros: micros % HOUR,
                zone: None,
            });
        }
        let moment = call.time(0)?;
        let (local, zone) = match call.sql_type(0) == ScalarType::Timestamptz.into() {
            false => (moment, None),
            true => {
                let zone = &call.bound.settings.zone;
                let local = to_local(zone, moment)?;
                let (_, name) = zone.daylight_at(Timestamp(moment));
                (local, Some(((local - moment) / SECOND, name)))
            }
        };
        let ((year, month, day), micros) = parts(local);
        Ok(Shown {
            year,
            month: month.into(),
            day: day.into(),
            date: Some(Timestamp(local).date()),
            hour: micros / HOUR,
            micros: micros % HOUR,
            zone,
        })
    }

    /// A year as people count them, without its era.
    fn counted(&self, year: i64) -> i64 {
        match self.date {
            Some(_) if year <= 0 => 1 - year,
            _ => year,
        }
    }

    /// The text of a field; a number is filled with zeros up to a width.
    fn field(&self, name: &str, written: &str, is_filled: bool) -> Result<String, QueryError> {
        let number = |number: i64, width: usize| match is_filled {
            true if number < 0 => format!("-{:0width$}", -number),
            true => format!("{number:0width$}"),
            false => number.to_string(),
        };
        let seconds = self.micros % MINUTE / SECOND;
        let micros = self.micros % SECOND;
        let hour12 = match self.hour % 12 {
            0 => 12,
            hour => hour,
        };
        let of_date = || self.date.ok_or_else(not_for_interval);
        let word = |word: &str, width: usize| {
            let cased = match written {
                upper if upper.chars().all(|c| !c.is_ascii_lowercase()) => word.to_uppercase(),
                lower if lower.starts_with(|c: char| c.is_ascii_lowercase()) => word.to_lowercase(),
                _ => word.to_owned(),
            };
            match is_filled {
                true => format!("{cased:<width$}"),
                false => cased,
            }
        };
        // Eras and halves of the day are written as the field is.
        let half = |first: &str, second: &str, is_second: bool| {
            let chosen = if is_second { second } else { first };
            match written.starts_with(|c: char| c.is_ascii_lowercase()) {
                true => chosen.to_lowercase(),
                false => chosen.to_owned(),
            }
        };
        let year = self.counted(self.year);
        let iso = |digits: usize| -> Result<String, QueryError> {
            let year = self.counted(iso_week(of_date()?).0);
            Ok(number(year % 10_i64.pow(digits as u32), digits))
        };
        Ok(match name {
            "HH24" => number(self.hour, 2),
            "HH12" | "HH" => number(hour12, 2),
            "MI" => number(self.micros / MINUTE, 2),
            "SS" => number(seconds, 2),
            "MS" => format!("{:03}", micros / 1000),
            "US" => format!("{micros:06}"),
            "FF1" | "FF2" | "FF3" | "FF4" | "FF5" | "FF6" => {
                let digits = usize::from(name.as_bytes()[2] - b'0');
                format!("{micros:06}")[..digits].to_owned()
            }
            "SSSS" | "SSSSS" => (self.hour * 3600 + self.micros / SECOND).to_string(),
            "AM" | "PM" => half("AM", "PM", self.hour % 24 >= 12),
            "A.M." | "P.M." => half("A.M.", "P.M.", self.hour % 24 >= 12),
            "BC" | "AD" => half("AD", "BC", of_date()?.ymd().0 <= 0),
            "B.C." | "A.D." => half("A.D.", "B.C.", of_date()?.ymd().0 <= 0),
            "Y,YYY" => {
                let thousands = year / 1000;
                format!("{thousands},{:03}", year % 1000)
            }
            "YYYY" => number(year, 4),
            "YYY" => number(year % 1000, 3),
            "YY" => number(year % 100, 2),
            "Y" => number(year % 10, 1),
            "IYYY" => number(self.counted(iso_week(of_date()?).0), 4),
            "IYY" => iso(3)?,
            "IY" => iso(2)?,
            "I" => iso(1)?,
            "MONTH" => match of_month(self.month) {
                Some(name) => word(name, 9),
                None => String::new(),
            },
            "MON" => match of_month(self.month) {
                Some(name) => word(&name[..3], 3),
                None => String::new(),
            },
            "MM" => number(self.month, 2),
            "RM" => match usize::try_from(self.month - 1)
                .ok()
                .and_then(|at| ROMAN.get(at))
            {
                Some(roman) => word(roman, 4),
                None => String::new(),
            },
            "DAY" => word(DAYS[weekday(of_date()?)], 9),
            "DY" => word(&DAYS[weekday(of_date()?)][..3], 3),
            "DDD" => match self.date {
                Some(date) => number(day_of_year(date), 3),
                None => number(self.year * 360 + self.month * 30 + self.day, 3),
            },
            "IDDD" => {
                let date = of_date()?;
                let (_, week) = iso_week(date);
                number(
                    (week - 1) * 7 + (i64::from(date.0) + 3).rem_euclid(7) + 1,
                    3,
                )
            }
            "DD" => number(self.day, 2),
            "D" => (weekday(of_date()?) + 1).to_string(),
            "ID" => ((weekday(of_date()?) + 6) % 7 + 1).to_string(),
            "WW" => number((day_of_year(of_date()?) - 1) / 7 + 1, 2),
            "IW" => number(iso_week(of_date()?).1, 2),
            "W" => ((self.day - 1) / 7 + 1).to_string(),
            "CC" => match self.date {
                Some(_) => {
                    let century = period(self.year, 100);
                    number(century, 2)
                }
                None => number(self.year / 100, 2),
            },
            "J" => number(julian(of_date()?), 0),
            "Q" => match self.month {
                0 => String::new(),
                month => ((month - 1) / 3 + 1).to_string(),
            },
            "TZ" => match &self.zone {
                None if self.date.is_none() => return Err(not_for_interval()),
                None => String::new(),
                Some((_, name)) => match written == "tz" {
                    true => name.to_lowercase(),
                    false => name.clone(),
                },
            },
            "TZH" => {
                let offset = self.offset()?;
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}{:02}", offset.abs() / 3600)
            }
            "TZM" => format!("{:02}", self.offset()?.abs() / 60 % 60),
            _ => {
                let offset = self.offset()?;
                let sign = if offset < 0 { '-' } else { '+' };
                let mut text = format!("{sign}{:02}", offset.abs() / 3600);
                if offset.abs() % 3600 != 0 {
                    text.push_str(&format!(":{:02}", offset.abs() / 60 % 60));
                }
                text
            }
        })
    }

    fn offset(&self) -> Result<i64, QueryError> {
        match (&self.zone, self.date) {
            (Some((offset, _)), _) => Ok(*offset),
            (None, Some(_)) => Ok(0),
            (None, None) => Err(not_for_interval()),
        }
    }
}

fn not_for_interval() -> QueryError {
    fault(
        "22007",
        "invalid format specification for an interval value",
    )
}

fn of_month(month: i64) -> Option<&'static str> {
    MONTHS.get(usize::try_from(month - 1).ok()?).copied()
}

/// 0 (Sunday) to 6.
fn weekday(date: Date) -> usize {
    (i64::from(date.0) + 4).rem_euclid(7) as usize
}

/// `st`, `nd`, `rd` or `th`, as a number ends.
pub(super) fn ordinal(number: &str, suffix: &str) -> &'static str {
    let tens = number.as_bytes().iter().rev().nth(1);
    let lower = match number.as_bytes().last() {
        _ if tens == Some(&b'1') => "th",
        Some(b'1') => "st",
        Some(b'2') => "nd",
        Some(b'3') => "rd",
        _ => "th",
    };
    match (suffix.starts_with('T'), lower) {
        (false, lower) => lower,
        (true, "st") => "ST",
        (true, "nd") => "ND",
        (true, "rd") => "RD",
        (true, _) => "TH",
    }
}

fn to_char(call: &Call<'_, '_>) -> Answer {
    let (shown, mut out) = (Shown::of(call)?, String::new());
    if call.text(1)?.is_empty() {
        return Ok(Value::Null);
    }
    for node in nodes(call.text(1)?) {
        match node {
            Node::Literal(character) | Node::Quoted(character) => out.push(character),
            Node::Field {
                name,
                written,
                is_filled,
                suffix,
            } => {
                let text = shown.field(name, written, is_filled)?;
                out.push_str(&text);
                if let Some(suffix) = suffix
                    && text.ends_with(|c: char| c.is_ascii_digit())
                {
                    out.push_str(ordinal(&text, suffix));
                }
            }
        }
        check_len(out.len())?;
    }
    Ok(out.into())
}
