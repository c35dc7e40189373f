//! Dates and moments, and their text.
//!
//! A [`Date`] counts days, a [`Timestamp`] microseconds, both from 1970-01-01 (UTC) in the
//! proleptic Gregorian calendar, over the whole range of their integers: years before 1 and
//! beyond 9999 are written with a sign (`-0043-03-15`, `+12345-01-01`; year 0 is 1 BC). Text in
//! is RFC 3339 with any offset and up to nine fractional digits, rounded to microseconds; text
//! out ends in `Z` and carries no trailing zeros.
//!
//! Does not know time zones, calendars or the clock. Tests: below.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::ErrorClass;

const DAY_MICROS: i64 = 86_400_000_000;

/// Days since 1970-01-01.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Date(pub i32);

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

/// Why a text is no date or moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not of the form `2026-11-30`.
    #[error("not a date (expected YYYY-MM-DD)")]
    DateSyntax,
    /// Not of the form `2026-11-30T12:00:00Z`.
    #[error("not a time (expected RFC 3339, such as 2026-11-30T12:00:00Z)")]
    TimeSyntax,
    /// A month, day, hour, minute, second or offset that does not exist.
    #[error("no such date or time of day")]
    NoSuchTime,
    /// Beyond what the integers hold.
    #[error("date or time out of range")]
    Range,
}

impl TimeError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Date {
    /// The day of a year, month (1 to 12) and day (1 to 31).
    ///
    /// # Errors
    /// When there is no such day, or it is out of range.
    pub fn from_ymd(year: i64, month: u32, day: u32) -> Result<Self, TimeError> {
        let days = days_from_civil(year, month, day)?;
        i32::try_from(days).map(Self).map_err(|_| TimeError::Range)
    }

    /// Year (0 is 1 BC), month (1 to 12) and day (1 to 31).
    pub fn ymd(self) -> (i64, u32, u32) {
        civil_from_days(i64::from(self.0))
    }

    /// Midnight UTC at which this day begins; `None` beyond the range of [`Timestamp`].
    pub fn midnight(self) -> Option<Timestamp> {
        i64::from(self.0).checked_mul(DAY_MICROS).map(Timestamp)
    }
}

impl Timestamp {
    /// The UTC day this moment lies in.
    pub fn date(self) -> Date {
        let days = self.0.div_euclid(DAY_MICROS);
        Date(i32::try_from(days).expect("2^63 microseconds are fewer than 2^31 days"))
    }

    /// Microseconds since the midnight (UTC) before.
    pub fn micros_of_day(self) -> i64 {
        self.0.rem_euclid(DAY_MICROS)
    }
}

/// A unit of time that a moment can be truncated to, from its beginning on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TimeUnit {
    Microsecond,
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    /// Weeks begin on Mondays.
    Week,
    Month,
    Quarter,
    Year,
}

impl TimeUnit {
    /// The unit that SQL calls so.
    pub fn named(name: &str) -> Option<TimeUnit> {
        Some(match name.to_ascii_lowercase().as_str() {
            "microseconds" | "microsecond" => TimeUnit::Microsecond,
            "milliseconds" | "millisecond" => TimeUnit::Millisecond,
            "second" | "seconds" => TimeUnit::Second,
            "minute" | "minutes" => TimeUnit::Minute,
            "hour" | "hours" => TimeUnit::Hour,
            "day" | "days" => TimeUnit::Day,
            "week" | "weeks" => TimeUnit::Week,
            "month" | "months" => TimeUnit::Month,
            "quarter" => TimeUnit::Quarter,
            "year" | "years" => TimeUnit::Year,
            _ => return None,
        })
    }
}

impl Timestamp {
    /// When the unit that it lies in begins, in UTC; `None` beyond the range.
    pub fn truncated(self, unit: TimeUnit) -> Option<Timestamp> {
        let down = |micros: i64| self.0.checked_sub(self.0.rem_euclid(micros)).map(Timestamp);
        let (year, month, _) = self.date().ymd();
        let beginning = |month| Date::from_ymd(year, month, 1).ok()?.midnight();
        match unit {
            TimeUnit::Microsecond => Some(self),
            TimeUnit::Millisecond => down(1_000),
            TimeUnit::Second => down(1_000_000),
            TimeUnit::Minute => down(60_000_000),
            TimeUnit::Hour => down(3_600_000_000),
            TimeUnit::Day => down(DAY_MICROS),
            TimeUnit::Week => {
                let day = self.date().0;
                Date(day.checked_sub((i64::from(day) + 3).rem_euclid(7) as i32)?).midnight()
            }
            TimeUnit::Month => beginning(month),
            TimeUnit::Quarter => beginning((month - 1) / 3 * 3 + 1),
            TimeUnit::Year => beginning(1),
        }
    }
}

/// Days from the epoch to a civil date (after Howard Hinnant's chrono algorithms).
fn days_from_civil(year: i64, month: u32, day: u32) -> Result<i64, TimeError> {
    // Wider than any representable year, narrow enough for the arithmetic below.
    if !(-10_000_000..=10_000_000).contains(&year) {
        return Err(TimeError::Range);
    }
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return Err(TimeError::NoSuchTime);
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Ok(era * 146_097 + day_of_era - 719_468)
}

/// The civil date of a day counted from the epoch.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day)
}

fn days_of_month(year: i64, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Writes a number, with zeros before it, over all of `digits`.
fn put_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Writes text that was put together from digits: many answers are full of times, and the
/// formatting of numbers takes several times as long.
fn write_ascii(f: &mut fmt::Formatter<'_>, text: &[u8]) -> fmt::Result {
    f.write_str(std::str::from_utf8(text).expect("digits and signs are ASCII"))
}

fn write_date(f: &mut fmt::Formatter<'_>, date: Date) -> fmt::Result {
    let (year, month, day) = date.ymd();
    match u64::try_from(year) {
        Ok(year @ 0..=9999) => {
            let mut text = *b"0000-00-00";
            put_digits(&mut text[..4], year);
            put_digits(&mut text[5..7], month.into());
            put_digits(&mut text[8..], day.into());
            write_ascii(f, &text)
        }
        // Sign and at least four digits.
        _ => write!(f, "{year:+05}-{month:02}-{day:02}"),
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, *self)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, self.date())?;
        let micros = self.micros_of_day().unsigned_abs();
        let seconds = micros / 1_000_000;
        let mut text = *b"T00:00:00.000000";
        put_digits(&mut text[1..3], seconds / 3600);
        put_digits(&mut text[4..6], seconds / 60 % 60);
        put_digits(&mut text[7..9], seconds % 60);
        let fraction = micros % 1_000_000;
        put_digits(&mut text[10..], fraction);
        let end = match fraction {
            0 => 9,
            _ => text
                .iter()
                .rposition(|digit| *digit != b'0')
                .map_or(9, |last| last + 1),
        };
        write_ascii(f, &text[..end])?;
        f.write_str("Z")
    }
}

/// Reads a text from left to right.
struct Scanner<'a>(&'a [u8]);

impl Scanner<'_> {
    fn take(&mut self, accepted: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        accepted.contains(&first).then(|| {
            self.0 = rest;
            first
        })
    }

    /// A run of digits of an allowed length, and its length.
    fn digits(&mut self, least: usize, most: usize) -> Option<(i64, usize)> {
        let len = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if len < least || len > most {
            return None;
        }
        let (digits, rest) = self.0.split_at(len);
        self.0 = rest;
        let number = digits
            .iter()
            .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Some((number, len))
    }

    fn two(&mut self) -> Option<i64> {
        self.digits(2, 2).map(|(number, _)| number)
    }

    /// Days since the epoch of a leading `YYYY-MM-DD`, wider than [`Date`] holds.
    fn days(&mut self) -> Option<Result<i64, TimeError>> {
        let sign = self.take(b"+-");
        let (year, _) = self.digits(4, if sign.is_some() { 7 } else { 4 })?;
        let year = match sign {
            Some(b'-') if year == 0 => return None,
            Some(b'-') => -year,
            _ => year,
        };
        self.take(b"-")?;
        let month = self.two()?;
        self.take(b"-")?;
        let day = self.two()?;
        Some(days_from_civil(year, month as u32, day as u32))
    }

    /// Microseconds since midnight of `HH:MM:SS[.fraction]`; 24 hours and more cannot be.
    fn time_of_day(&mut self) -> Option<Result<i64, TimeError>> {
        let hour = self.two()?;
        self.take(b":")?;
        let minute = self.two()?;
        self.take(b":")?;
        let second = self.two()?;
        let mut nanos = 0;
        if self.take(b".").is_some() {
            let (fraction, len) = self.digits(1, 9)?;
            nanos = fraction * 10_i64.pow(9 - len as u32);
        }
        // A leap second is the second after it: there is no 61st second in the count.
        if hour > 23 || minute > 59 || second > 60 {
            return Some(Err(TimeError::NoSuchTime));
        }
        let seconds = hour * 3600 + minute * 60 + second;
        Some(Ok(seconds * 1_000_000 + (nanos + 500) / 1000))
    }

    /// Microseconds east of UTC of `Z` or `±HH:MM`.
    fn offset(&mut self) -> Option<Result<i64, TimeError>> {
        let sign = match self.take(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(Ok(0)),
        };
        let hour = self.two()?;
        self.take(b":")?;
        let minute = self.two()?;
        if hour > 23 || minute > 59 {
            return Some(Err(TimeError::NoSuchTime));
        }
        Some(Ok(sign * (hour * 60 + minute) * 60_000_000))
    }
}

impl FromStr for Date {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let mut scanner = Scanner(text.as_bytes());
        let days = scanner.days().ok_or(TimeError::DateSyntax)??;
        if !scanner.0.is_empty() {
            return Err(TimeError::DateSyntax);
        }
        i32::try_from(days).map(Self).map_err(|_| TimeError::Range)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let mut scanner = Scanner(text.as_bytes());
        let syntax = TimeError::TimeSyntax;
        let days = scanner.days().ok_or(syntax)??;
        scanner.take(b"Tt ").ok_or(syntax)?;
        let time = scanner.time_of_day().ok_or(syntax)??;
        let offset = scanner.offset().ok_or(syntax)??;
        if !scanner.0.is_empty() {
            return Err(syntax);
        }
        // In 128 bits: the first half hour of the range is below the midnight it belongs to.
        let micros = i128::from(days) * i128::from(DAY_MICROS) + i128::from(time - offset);
        i64::try_from(micros)
            .map(Self)
            .map_err(|_| TimeError::Range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_500_000, "1970-01-01T00:00:01.5Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
            (-62_135_596_800_000_001, "0000-12-31T23:59:59.999999Z"),
            (-62_167_219_200_000_001, "-0001-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "+10000-01-01T00:00:00Z"),
            (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(micros)), "{text}");
        }
    }

    #[test]
    fn offsets_and_fractions_come_in() {
        for (text, same) in [
            ("2026-11-30T12:00:00+02:00", "2026-11-30T10:00:00Z"),
            ("2026-11-30t23:30:00-05:45", "2026-12-01T05:15:00Z"),
            ("2026-11-30 12:00:00z", "2026-11-30T12:00:00Z"),
            (
                "2026-11-30T12:00:00.1234564Z",
                "2026-11-30T12:00:00.123456Z",
            ),
            (
                "2026-11-30T12:00:00.123456500Z",
                "2026-11-30T12:00:00.123457Z",
            ),
            ("2026-12-31T23:59:59.9999999Z", "2027-01-01T00:00:00Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                text.parse::<Timestamp>().unwrap().to_string(),
                same,
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_text_is_refused() {
        for (text, error) in [
            ("", TimeError::TimeSyntax),
            ("2026-11-30", TimeError::TimeSyntax),
            ("2026-11-30T12:00:00", TimeError::TimeSyntax),
            ("2026-11-30T12:00:00.Z", TimeError::TimeSyntax),
            ("2026-11-30T12:00:00.1234567890Z", TimeError::TimeSyntax),
            ("2026-11-30T12:00:00Zx", TimeError::TimeSyntax),
            ("12345-01-01T00:00:00Z", TimeError::TimeSyntax),
            ("-0000-01-01T00:00:00Z", TimeError::TimeSyntax),
            ("2026-02-29T00:00:00Z", TimeError::NoSuchTime),
            ("2026-13-01T00:00:00Z", TimeError::NoSuchTime),
            ("2026-01-01T24:00:00Z", TimeError::NoSuchTime),
            ("2026-01-01T00:00:00+24:00", TimeError::NoSuchTime),
            ("+294247-01-10T04:00:54.775808Z", TimeError::Range),
            ("+9999999-01-01T00:00:00Z", TimeError::Range),
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(error), "{text}");
        }
        assert_eq!("2026-1-1".parse::<Date>(), Err(TimeError::DateSyntax));
        assert_eq!("+9999999-01-01".parse::<Date>(), Err(TimeError::Range));
    }

    #[test]
    fn every_day_of_the_calendar_follows_the_one_before() {
        let mut expected = Date::from_ymd(-400, 1, 1).unwrap();
        for year in -400..=2400 {
            for month in 1..=12 {
                for day in 1..=days_of_month(year, month) {
                    assert_eq!(Date::from_ymd(year, month, day), Ok(expected));
                    assert_eq!(expected.ymd(), (year, month, day));
                    expected.0 += 1;
                }
            }
        }
        for extreme in [Date(i32::MIN), Date(i32::MAX)] {
            assert_eq!(extreme.to_string().parse(), Ok(extreme));
        }
        assert_eq!(Date(0).midnight(), Some(Timestamp(0)));
        assert_eq!(Date(i32::MAX).midnight(), None);
    }
}
