//! Texts of intervals, read as PostgreSQL reads them: its own form from right to left, since units
//! stand behind their numbers, and ISO 8601 with designators.

use std::str::FromStr;

use super::{DAY, HOUR, Interval, IntervalError, MINUTE, MONTH_DAYS, SECOND};
use crate::date_words::{DateWordKind, date_words};

/// What is read so far.
#[derive(Default)]
struct Sum {
    years: i32,
    months: i32,
    days: i32,
    micros: i64,
}

/// What a number counts. Also a bit of what has been said already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micro,
    Milli,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

/// Names of units, cut to ten characters as PostgreSQL cuts them.
#[rustfmt::skip]
const UNITS: &[(Unit, &[&str])] = &[
    (Unit::Micro, &["microsecon", "us", "usec", "usecond", "useconds", "usecs"]),
    (Unit::Milli, &["millisecon", "ms", "msec", "msecond", "mseconds", "msecs"]),
    (Unit::Second, &["s", "sec", "second", "seconds", "secs"]),
    (Unit::Minute, &["m", "min", "mins", "minute", "minutes"]),
    (Unit::Hour, &["h", "hour", "hours", "hr", "hrs"]),
    (Unit::Day, &["d", "day", "days"]),
    (Unit::Week, &["w", "week", "weeks"]),
    (Unit::Month, &["mon", "mons", "month", "months"]),
    (Unit::Year, &["y", "year", "years", "yr", "yrs"]),
    (Unit::Decade, &["dec", "decade", "decades", "decs"]),
    (Unit::Century, &["c", "cent", "centuries", "century"]),
    (Unit::Millennium, &["mil", "millennia", "millennium", "mils"]),
];

impl Unit {
    fn named(name: &str) -> Option<Unit> {
        let name = name.get(..10).unwrap_or(name);
        let row = UNITS.iter().find(|(_, names)| names.contains(&name));
        row.map(|(unit, _)| *unit)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

const SECONDS: u16 = Unit::Micro.bit() | Unit::Milli.bit() | Unit::Second.bit();
const TIME: u16 = SECONDS | Unit::Minute.bit() | Unit::Hour.bit();

impl Sum {
    /// A number of units: what is before its point, and what is behind.
    fn add(&mut self, unit: Unit, whole: i64, fraction: f64) -> Option<()> {
        match unit {
            Unit::Micro => self.add_micros(whole, fraction, 1),
            Unit::Milli => self.add_micros(whole, fraction, 1000),
            Unit::Second => self.add_micros(whole, fraction, SECOND),
            Unit::Minute => self.add_micros(whole, fraction, MINUTE),
            Unit::Hour => self.add_micros(whole, fraction, HOUR),
            Unit::Day => {
                self.add_days(whole, 1)?;
                self.add_micros(0, fraction, DAY)
            }
            Unit::Week => {
                self.add_days(whole, 7)?;
                self.add_part_of_days(fraction, 7)
            }
            Unit::Month => {
                self.months = self.months.checked_add(i32::try_from(whole).ok()?)?;
                self.add_part_of_days(fraction, MONTH_DAYS)
            }
            Unit::Year => self.add_years(whole, fraction, 1),
            Unit::Decade => self.add_years(whole, fraction, 10),
            Unit::Century => self.add_years(whole, fraction, 100),
            Unit::Millennium => self.add_years(whole, fraction, 1000),
        }
    }

    fn add_years(&mut self, whole: i64, fraction: f64, scale: i32) -> Option<()> {
        let years = i32::try_from(whole).ok()?.checked_mul(scale)?;
        self.years = self.years.checked_add(years)?;
        let months = (fraction * f64::from(scale) * 12.0).round_ties_even();
        self.months = self.months.checked_add(months as i32)?;
        Some(())
    }

    fn add_days(&mut self, whole: i64, scale: i32) -> Option<()> {
        let days = i32::try_from(whole).ok()?.checked_mul(scale)?;
        self.days = self.days.checked_add(days)?;
        Some(())
    }

    fn add_part_of_days(&mut self, fraction: f64, days: i64) -> Option<()> {
        let days = fraction * days as f64;
        self.days = self.days.checked_add(days.trunc() as i32)?;
        self.add_micros(0, days - days.trunc(), DAY)
    }

    fn add_micros(&mut self, whole: i64, fraction: f64, scale: i64) -> Option<()> {
        let micros = whole.checked_mul(scale)?.checked_add(self.micros)?;
        let part = fraction * scale as f64;
        let rest = part - part.trunc();
        let rounded = part.trunc() as i64 + i64::from(rest > 0.5) - i64::from(rest < -0.5);
        self.micros = micros.checked_add(rounded)?;
        Some(())
    }

    fn finish(&self) -> Result<Interval, IntervalError> {
        let months = i64::from(self.years) * 12 + i64::from(self.months);
        let months = i32::try_from(months).map_err(|_| IntervalError::Range)?;
        Ok(Interval::new(months, self.days, self.micros))
    }

    fn negated(&self) -> Option<Sum> {
        Some(Sum {
            years: self.years.checked_neg()?,
            months: self.months.checked_neg()?,
            days: self.days.checked_neg()?,
            micros: self.micros.checked_neg()?,
        })
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    /// Reads PostgreSQL's form or ISO 8601 (a capital `P` first).
    fn from_str(text: &str) -> Result<Self, IntervalError> {
        match text.strip_prefix('P') {
            Some(rest) => iso(rest)?.finish(),
            None => words(text)?.finish(),
        }
    }
}

/// What stands behind the `P`.
fn iso(mut text: &str) -> Result<Sum, IntervalError> {
    let mut sum = Sum::default();
    let mut is_time = false;
    if text.is_empty() {
        return Err(IntervalError::Syntax);
    }
    while !text.is_empty() {
        if let Some(rest) = text.strip_prefix('T') {
            (text, is_time) = (rest, true);
            continue;
        }
        let end = text.find(|c: char| c.is_ascii_alphabetic());
        let (number, rest) = text.split_at(end.ok_or(IntervalError::Syntax)?);
        let (whole, fraction) = number_of(number)?;
        let unit = match (is_time, rest.as_bytes()[0]) {
            (false, b'Y') => Unit::Year,
            (false, b'M') => Unit::Month,
            (false, b'W') => Unit::Week,
            (false, b'D') => Unit::Day,
            (true, b'H') => Unit::Hour,
            (true, b'M') => Unit::Minute,
            (true, b'S') => Unit::Second,
            _ => return Err(IntervalError::Syntax),
        };
        sum.add(unit, whole, fraction).ok_or(IntervalError::Field)?;
        text = &rest[1..];
    }
    Ok(sum)
}

/// What is before and behind the point, both with the number's sign.
fn number_of(text: &str) -> Result<(i64, f64), IntervalError> {
    let (whole, fraction) = match text.find('.') {
        Some(point) => text.split_at(point),
        None => (text, ""),
    };
    let digits = whole.trim_start_matches(['-', '+']);
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    let has_one = !digits.is_empty() || fraction.len() > 1;
    if !has_one || whole.len() - digits.len() > 1 || !is_number(digits) {
        return Err(IntervalError::Syntax);
    }
    let whole_number = match digits {
        "" => 0,
        _ => whole.parse().map_err(|_| IntervalError::Field)?,
    };
    let fraction = part(fraction)?;
    Ok((
        whole_number,
        if whole.starts_with('-') {
            -fraction
        } else {
            fraction
        },
    ))
}

/// The part behind a point, which is at the front; 0 of nothing.
fn part(text: &str) -> Result<f64, IntervalError> {
    let digits = text.get(1..).unwrap_or_default();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IntervalError::Syntax);
    }
    match digits {
        "" => Ok(0.0),
        _ => text.parse().map_err(|_| IntervalError::Syntax),
    }
}

/// PostgreSQL's own form.
fn words(text: &str) -> Result<Sum, IntervalError> {
    let (syntax, field) = (IntervalError::Syntax, IntervalError::Field);
    let words = date_words(text).ok_or(syntax)?;
    let mut sum = Sum::default();
    // A number that nothing stands behind counts seconds; one before a time, days.
    let mut unit = Some(Unit::Second);
    let (mut said, mut is_ago) = (0, false);
    for word in words.iter().rev() {
        let signed = word.kind == DateWordKind::Signed;
        let is_time = word.kind == DateWordKind::Time || signed && word.text.contains(':');
        let says = if is_time {
            let time = time_of(word.text.trim_start_matches(['-', '+']));
            // PostgreSQL takes a signed one that is no time for a number, which it is not either.
            let time = time.map_err(|error| if signed { syntax } else { error })?;
            sum.micros = if word.text.starts_with('-') {
                -time
            } else {
                time
            };
            unit = Some(Unit::Day);
            TIME
        } else {
            match word.kind {
                DateWordKind::Letters | DateWordKind::SignedLetters => {
                    unit = match word.text.as_str() {
                        "ago" => {
                            is_ago = true;
                            None
                        }
                        name => Some(Unit::named(name).ok_or(syntax)?),
                    };
                    0
                }
                _ => {
                    let of = unit.ok_or(syntax)?;
                    let months = word.text.get(1..).and_then(|rest| rest.find('-'));
                    match months {
                        Some(at) => {
                            let (years, months) = word.text.split_at(at + 1);
                            let count = years_and_months(years, &months[1..])?;
                            sum.add(Unit::Month, count, 0.0).ok_or(field)?;
                            unit = Some(Unit::Month);
                            Unit::Month.bit()
                        }
                        None => {
                            let (whole, fraction) = number_of(&word.text)?;
                            sum.add(of, whole, fraction).ok_or(field)?;
                            if of == Unit::Hour {
                                unit = Some(Unit::Day);
                            }
                            match of {
                                Unit::Second if fraction != 0.0 => SECONDS,
                                of => of.bit(),
                            }
                        }
                    }
                }
            }
        };
        if said & says != 0 {
            return Err(syntax);
        }
        said |= says;
    }
    match said {
        0 => Err(syntax),
        _ if is_ago => sum.negated().ok_or(field),
        _ => Ok(sum),
    }
}

/// The months of `years-months`, as SQL writes them.
fn years_and_months(years: &str, months: &str) -> Result<i64, IntervalError> {
    let field = IntervalError::Field;
    let (years_count, fraction) = number_of(years)?;
    if fraction != 0.0 || years.contains('.') || months.is_empty() {
        return Err(IntervalError::Syntax);
    }
    if !months.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IntervalError::Syntax);
    }
    let months = months
        .parse::<i64>()
        .ok()
        .filter(|months| *months < 12)
        .ok_or(field)?;
    let months = if years.starts_with('-') {
        -months
    } else {
        months
    };
    let sum = years_count
        .checked_mul(12)
        .and_then(|sum| sum.checked_add(months));
    sum.ok_or(field)
}

/// The microseconds of `hours:minutes`, `hours:minutes:seconds` or `minutes:seconds.fraction`.
fn time_of(text: &str) -> Result<i64, IntervalError> {
    let (syntax, field) = (IntervalError::Syntax, IntervalError::Field);
    let (numbers, fraction) = match text.find('.') {
        Some(point) => text.split_at(point),
        None => (text, ""),
    };
    let fraction_micros = (part(fraction)? * 1e6).round_ties_even() as i64;
    let mut numbers = numbers.split(':').map(|digits| match digits {
        // As C reads a number that is not there.
        "" => Ok(0),
        _ => digits.parse::<i64>().map_err(|_| field),
    });
    let mut next = || numbers.next().transpose();
    let (Some(first), Some(second), third, None) = (next()?, next()?, next()?, next()?) else {
        return Err(syntax);
    };
    let (hours, minutes, seconds) = match third {
        Some(third) => (first, second, third),
        None if fraction.is_empty() => (first, second, 0),
        None => (0, first, second),
    };
    if minutes > 59 || seconds > 60 {
        return Err(field);
    }
    let rest = minutes * MINUTE + seconds * SECOND + fraction_micros;
    let micros = hours
        .checked_mul(HOUR)
        .and_then(|hours| hours.checked_add(rest));
    micros.ok_or(field)
}
