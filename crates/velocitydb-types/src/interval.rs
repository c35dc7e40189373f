//! Spans of calendar time, as PostgreSQL's `interval` is one.
//!
//! An [`Interval`] keeps months, days and microseconds apart, since months have different lengths
//! and days have 23 hours where clocks change. For order and equality a month is 30 days and a day 24 hours:
//! `1 mon` equals `30 days`, and is written as it was made all the same. Arithmetic lets fractions
//! of a month become days and those of a day microseconds, and never carries the other way.
//! Anything beyond the three integers is an error.
//!
//! Text out ([`std::fmt::Display`]) is PostgreSQL's (`1 year 2 mons 3 days 04:05:06.5`), or ISO
//! 8601 ([`Interval::iso`]: `P1Y2M3DT4H5M6.5S`), which JSON and keys have; text in (`read`) is
//! both. Tests: below, and `proptests`.

mod read;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::ErrorClass;
use crate::{Date, Timestamp};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const DAY_SECONDS: f64 = 86_400.0;
const MONTH_DAYS: i64 = 30;

/// Months, days and microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Interval {
    /// Months; twelve are a year.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

/// Why a text is no interval, or there is no such interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntervalError {
    /// Not a text of an interval.
    #[error(
        "not an interval (expected ISO 8601 or PostgreSQL's form, such as P1DT2H or 1 day 02:00:00)"
    )]
    Syntax,
    /// A text with a number that is too large for its unit.
    #[error("interval field value out of range")]
    Field,
    /// Beyond what the integers hold.
    #[error("interval out of range")]
    Range,
    /// Divided by zero.
    #[error("division by zero")]
    DivisionByZero,
}

impl IntervalError {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Interval {
    /// Nothing.
    pub const ZERO: Self = Self::new(0, 0, 0);

    /// So many months, days and microseconds.
    pub const fn new(months: i32, days: i32, micros: i64) -> Self {
        Self {
            months,
            days,
            micros,
        }
    }

    /// Its length in microseconds, with months of 30 days and days of 24 hours: what it is ordered by.
    pub fn length_micros(self) -> i128 {
        let days = i64::from(self.months) * MONTH_DAYS + i64::from(self.days);
        i128::from(days) * i128::from(DAY) + i128::from(self.micros)
    }

    /// The interval of a length that has as many months, then as many days, as it can; `None` when
    /// there is none that long.
    pub fn of_length(micros: i128) -> Option<Self> {
        let take = |rest: i128, unit: i64| {
            let most = (rest / i128::from(unit)).clamp(i32::MIN.into(), i32::MAX.into());
            (most as i32, rest - most * i128::from(unit))
        };
        let (months, rest) = take(micros, MONTH_DAYS * DAY);
        let (days, rest) = take(rest, DAY);
        let micros = i64::try_from(rest).ok()?;
        Some(Self {
            months,
            days,
            micros,
        })
    }

    /// The sum, each part by itself.
    ///
    /// # Errors
    /// When a part is out of range.
    pub fn checked_add(self, other: Self) -> Result<Self, IntervalError> {
        self.by_parts(other, i32::checked_add, i64::checked_add)
    }

    /// The difference, each part by itself.
    ///
    /// # Errors
    /// When a part is out of range.
    pub fn checked_sub(self, other: Self) -> Result<Self, IntervalError> {
        self.by_parts(other, i32::checked_sub, i64::checked_sub)
    }

    fn by_parts(
        self,
        other: Self,
        of_days: fn(i32, i32) -> Option<i32>,
        of_micros: fn(i64, i64) -> Option<i64>,
    ) -> Result<Self, IntervalError> {
        let parts = || {
            Some(Self {
                months: of_days(self.months, other.months)?,
                days: of_days(self.days, other.days)?,
                micros: of_micros(self.micros, other.micros)?,
            })
        };
        parts().ok_or(IntervalError::Range)
    }

    /// Each part with the other sign.
    ///
    /// # Errors
    /// When a part is out of range.
    pub fn checked_neg(self) -> Result<Self, IntervalError> {
        Self::ZERO.checked_sub(self)
    }

    /// So many times as long; fractions of months become days, those of days microseconds.
    ///
    /// # Errors
    /// When a part is out of range, or the factor is NaN.
    pub fn checked_mul(self, factor: f64) -> Result<Self, IntervalError> {
        self.scaled(|part| part * factor)
    }

    /// That part of it; fractions as with [`Self::checked_mul`].
    ///
    /// # Errors
    /// When a part is out of range, or the divisor is 0 or NaN.
    pub fn checked_div(self, divisor: f64) -> Result<Self, IntervalError> {
        match divisor == 0.0 {
            true => Err(IntervalError::DivisionByZero),
            false => self.scaled(|part| part / divisor),
        }
    }

    /// PostgreSQL's `interval_mul` and `interval_div`, step by step: their rounding shows.
    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<Self, IntervalError> {
        let whole = |scaled: f64| {
            let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&scaled);
            fits.then_some(scaled as i32).ok_or(IntervalError::Range)
        };
        let to_micros = |number: f64| (number * 1e6).round_ties_even() / 1e6;
        let (all_months, all_days) = (scale(self.months.into()), scale(self.days.into()));
        let (months, mut days) = (whole(all_months)?, whole(all_days)?);
        let month_days = to_micros((all_months - f64::from(months)) * MONTH_DAYS as f64);
        let mut seconds =
            to_micros((all_days - f64::from(days) + month_days - month_days.trunc()) * DAY_SECONDS);
        let mut more_days = month_days.trunc();
        if seconds.abs() >= DAY_SECONDS {
            let carried = (seconds / DAY_SECONDS).trunc();
            more_days += carried;
            seconds -= carried * DAY_SECONDS;
        }
        days = days
            .checked_add(more_days as i32)
            .ok_or(IntervalError::Range)?;
        let micros = (scale(self.micros as f64) + seconds * 1e6).round_ties_even();
        // The range has the least i64, and not what comes after the greatest.
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&micros);
        match fits {
            true => Ok(Self::new(months, days, micros as i64)),
            false => Err(IntervalError::Range),
        }
    }

    /// The interval as ISO 8601 has it: `P1Y2M3DT4H5M6.5S`, each number with its own sign.
    pub fn iso(self) -> Iso {
        Iso(self)
    }

    /// Years, months, days, hours, minutes, seconds and microseconds, all of the sign of what they
    /// are made of.
    pub fn parts(self) -> [i64; 7] {
        let (months, micros) = (i64::from(self.months), self.micros);
        [
            months / 12,
            months % 12,
            self.days.into(),
            micros / HOUR,
            micros % HOUR / MINUTE,
            micros % MINUTE / SECOND,
            micros % SECOND,
        ]
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        self.length_micros().cmp(&other.length_micros())
    }
}

impl Hash for Interval {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.length_micros().hash(state);
    }
}

/// Seconds with a fraction that carries no trailing zeros, without sign.
fn write_seconds(f: &mut fmt::Formatter<'_>, seconds: i64, micros: i64) -> fmt::Result {
    let (mut fraction, mut digits) = (micros.unsigned_abs(), 6);
    if fraction == 0 {
        return Ok(());
    }
    while fraction.is_multiple_of(10) {
        (fraction, digits) = (fraction / 10, digits - 1);
    }
    debug_assert!(seconds.abs() < 60);
    write!(f, ".{fraction:0digits$}")
}

/// As PostgreSQL's default style has it: `1 year 2 mons -3 days +04:05:06.5`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [years, months, days, hours, minutes, seconds, micros] = self.parts();
        let (mut space, mut after_negative) = ("", false);
        for (count, unit) in [(years, "year"), (months, "mon"), (days, "day")] {
            if count == 0 {
                continue;
            }
            let plus = if after_negative && count > 0 { "+" } else { "" };
            let plural = if count == 1 { "" } else { "s" };
            write!(f, "{space}{plus}{count} {unit}{plural}")?;
            (space, after_negative) = (" ", count < 0);
        }
        if self.micros == 0 && !space.is_empty() {
            return Ok(());
        }
        let sign = match (self.micros < 0, after_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let [hours, minutes, seconds_] = [hours, minutes, seconds].map(i64::unsigned_abs);
        write!(f, "{space}{sign}{hours:02}:{minutes:02}:{seconds_:02}")?;
        write_seconds(f, seconds, micros)
    }
}

/// An interval, shown as ISO 8601 has it.
#[derive(Debug, Clone, Copy)]
pub struct Iso(Interval);

impl fmt::Display for Iso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [years, months, days, hours, minutes, seconds, micros] = self.0.parts();
        let part = |f: &mut fmt::Formatter<'_>, count: i64, unit| match count {
            0 => Ok(()),
            count => write!(f, "{count}{unit}"),
        };
        f.write_str("P")?;
        for (count, unit) in [(years, 'Y'), (months, 'M'), (days, 'D')] {
            part(f, count, unit)?;
        }
        if self.0.micros != 0 {
            f.write_str("T")?;
            part(f, hours, 'H')?;
            part(f, minutes, 'M')?;
            if (seconds, micros) != (0, 0) {
                let sign = if self.0.micros < 0 { "-" } else { "" };
                write!(f, "{sign}{}", seconds.unsigned_abs())?;
                write_seconds(f, seconds, micros)?;
                f.write_str("S")?;
            }
        } else if (self.0.months, self.0.days) == (0, 0) {
            f.write_str("T0S")?;
        }
        Ok(())
    }
}

impl Date {
    /// The day so many months later; the 31st of a month that has none is its last day. `None`
    /// when it is out of range.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        let (year, month, day) = self.ymd();
        let months = (year * 12 + i64::from(month) - 1).checked_add(months)?;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
        (0..4).find_map(|less| Self::from_ymd(year, month, day.checked_sub(less)?).ok())
    }
}

impl Timestamp {
    /// The same time of a day so many months later, as [`Date::plus_months`].
    pub fn plus_months(self, months: i64) -> Option<Self> {
        let day = self.date().plus_months(months)?;
        // The first day of the range has no midnight in it.
        let micros = i128::from(day.0) * i128::from(DAY) + i128::from(self.micros_of_day());
        i64::try_from(micros).ok().map(Self)
    }

    /// The moment an interval later, in UTC: months first, then days, then the rest. `None` when
    /// it is out of range.
    pub fn plus(self, interval: Interval) -> Option<Self> {
        let moved = match interval.months {
            0 => self,
            months => self.plus_months(months.into())?,
        };
        let days = i64::from(interval.days).checked_mul(DAY)?;
        let moved = moved.0.checked_add(days)?;
        moved.checked_add(interval.micros).map(Self)
    }

    /// What has passed since another moment, as days of 24 hours and what is left of one. `None`
    /// when it is out of range.
    pub fn since(self, other: Self) -> Option<Interval> {
        let micros = self.0.checked_sub(other.0)?;
        let days = i32::try_from(micros / DAY).ok()?;
        Some(Interval::new(0, days, micros % DAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Interval {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// What PostgreSQL 15 says.
    #[test]
    fn texts_are_read_and_shown_as_postgresql_does() {
        for (text, shown, iso) in [
            (
                "P1Y2M3DT4H5M6.5S",
                "1 year 2 mons 3 days 04:05:06.5",
                "P1Y2M3DT4H5M6.5S",
            ),
            (
                "1 year 2 mons 3 days 04:05:06.5",
                "1 year 2 mons 3 days 04:05:06.5",
                "P1Y2M3DT4H5M6.5S",
            ),
            ("-1 days +02:03:04", "-1 days +02:03:04", "P-1DT2H3M4S"),
            ("2 hours ago", "-02:00:00", "PT-2H"),
            ("1.5 days", "1 day 12:00:00", "P1DT12H"),
            ("@ 1 minute", "00:01:00", "PT1M"),
            ("", "00:00:00", "PT0S"),
            ("1-2", "1 year 2 mons", "P1Y2M"),
            ("1y2mon3d", "1 year 2 mons 3 days", "P1Y2M3D"),
            ("-1-2", "-1 years -2 mons", "P-1Y-2M"),
            ("1 2:03", "1 day 02:03:00", "P1DT2H3M"),
            ("90", "00:01:30", "PT1M30S"),
            ("1.5 months", "1 mon 15 days", "P1M15D"),
            ("1.5 years", "1 year 6 mons", "P1Y6M"),
            ("1.25 weeks", "8 days 18:00:00", "P8DT18H"),
            ("1 millennium 2 c 3 decs", "1230 years", "P1230Y"),
            ("-0.000001 s", "-00:00:00.000001", "PT-0.000001S"),
            (
                "P-1Y2M-3DT-4H5M-6.5S",
                "-10 mons -3 days -03:55:06.5",
                "P-10M-3DT-3H-55M-6.5S",
            ),
            ("P2W", "14 days", "P14D"),
            ("PT36H", "36:00:00", "PT36H"),
            ("1 mon -1 days", "1 mon -1 days", "P1M-1D"),
            (
                "2562047788:00:54.775807",
                "2562047788:00:54.775807",
                "PT2562047788H54.775807S",
            ),
        ] {
            if text.is_empty() {
                assert_eq!(Interval::ZERO.to_string(), shown);
                continue;
            }
            let interval = read(text);
            assert_eq!(interval.to_string(), shown, "{text}");
            assert_eq!(interval.iso().to_string(), iso, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", IntervalError::Syntax),
            ("x", IntervalError::Syntax),
            ("P", IntervalError::Syntax),
            ("P1", IntervalError::Syntax),
            ("P1H", IntervalError::Syntax),
            ("1 day 1 day", IntervalError::Syntax),
            ("1 fortnight", IntervalError::Syntax),
            ("1 quarter", IntervalError::Syntax),
            ("infinity", IntervalError::Syntax),
            ("25:60", IntervalError::Field),
            ("99999999999 days", IntervalError::Field),
            ("PT9999999999999999H", IntervalError::Field),
            ("200000000 years", IntervalError::Range),
        ] {
            assert_eq!(text.parse::<Interval>().unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn lengths_make_the_order() {
        assert_eq!(read("1 mon"), read("30 days"));
        assert_eq!(read("1 day"), read("24 hours"));
        assert!(read("1 mon") > read("29 days 23:59:59"));
        assert!(Interval::new(i32::MAX, i32::MAX, i64::MAX) > Interval::new(i32::MAX, 0, 0));
        for extreme in [
            Interval::new(i32::MAX, i32::MAX, i64::MAX),
            Interval::new(i32::MIN, i32::MIN, i64::MIN),
            Interval::new(1, -30, 0),
        ] {
            let same = Interval::of_length(extreme.length_micros()).unwrap();
            assert_eq!(same, extreme);
            let text = extreme.iso().to_string();
            let back: Interval = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(back.parts(), extreme.parts());
        }
        assert!(Interval::of_length(i128::MAX).is_none());
    }

    /// What PostgreSQL 15 says.
    #[test]
    fn fractions_go_down_to_smaller_units() {
        for (text, factor, product) in [
            ("1 mon", 0.5, "15 days"),
            ("1 year 1 mon 1 day", 1.5, "1 year 7 mons 16 days 12:00:00"),
            ("1 mon 1 day", -0.3, "-9 days -07:12:00"),
            ("1 day", 0.1, "02:24:00"),
            ("1 mon", 0.033_333_333_3, "1 day"),
            ("02:00:00", 1e-7, "00:00:00.00072"),
        ] {
            let found = read(text).checked_mul(factor).unwrap();
            assert_eq!(found.to_string(), product, "{text} * {factor}");
        }
        assert_eq!(
            read("1 mon").checked_div(4.0).unwrap().to_string(),
            "7 days 12:00:00"
        );
        assert_eq!(
            read("1 mon").checked_div(0.0).unwrap_err(),
            IntervalError::DivisionByZero
        );
        assert_eq!(
            read("1 year").checked_mul(f64::NAN).unwrap_err(),
            IntervalError::Range
        );
        assert_eq!(
            read("1 year").checked_mul(1e9).unwrap_err(),
            IntervalError::Range
        );
        let most = Interval::new(i32::MAX, 0, 0);
        assert_eq!(
            most.checked_add(read("1 mon")).unwrap_err(),
            IntervalError::Range
        );
        assert_eq!(
            Interval::new(0, 0, i64::MIN).checked_neg().unwrap_err(),
            IntervalError::Range
        );
    }

    #[test]
    fn months_end_where_the_month_does() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (from, interval, to) in [
            ("2024-01-31T12:00:00Z", "1 mon", "2024-02-29T12:00:00Z"),
            ("2023-03-31T12:00:00Z", "-1 mon", "2023-02-28T12:00:00Z"),
            ("2024-02-29T00:00:00Z", "1 year", "2025-02-28T00:00:00Z"),
            (
                "2024-01-31T00:00:00Z",
                "1 mon 1 day 01:00:00",
                "2024-03-01T01:00:00Z",
            ),
        ] {
            assert_eq!(
                at(from).plus(read(interval)),
                Some(at(to)),
                "{from} + {interval}"
            );
        }
        assert_eq!(Timestamp(i64::MAX).plus(read("1 us")), None);
        assert_eq!(Date(i32::MAX).plus_months(1), None);
        assert_eq!(Date(0).plus_months(i64::MAX), None);
        let passed = at("2024-03-01T01:00:00Z")
            .since(at("2024-01-31T00:00:00Z"))
            .unwrap();
        assert_eq!(passed.to_string(), "30 days 01:00:00");
    }
}
