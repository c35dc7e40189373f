//! Arithmetic of dates, timestamps and intervals, their constructors, and time zones. Parts of them
//! are in `fields`, their formats in `date_formats`.

use velocitydb_query::{QueryError, Zone};
use velocitydb_types::{Date, Interval, IntervalError, Timestamp, Value};

use super::call::Call;
use super::kinds::*;
use super::moments::{DAY, HOUR, MINUTE, SECOND, midnight, out_of_range, to_local, to_utc};
use super::numbers::division_by_zero;
use super::{Answer, Row, f, fault};
use crate::formats::abbreviations;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("+", &[DATE, INT4], DATE, |call| add_days(call.date(0)?, call.int(1)?)),
    f("+", &[INT4, DATE], DATE, |call| add_days(call.date(1)?, call.int(0)?)),
    f("-", &[DATE, INT4], DATE, |call| add_days(call.date(0)?, -call.int(1)?)),
    f("-", &[DATE, DATE], INT4, |call| Ok((i64::from(call.date(0)?.0) - i64::from(call.date(1)?.0)).into())),
    f("+", &[DATE, INTERVAL], TIMESTAMP, |call| plus(midnight(call.date(0)?)?, call.interval(1)?)),
    f("+", &[INTERVAL, DATE], TIMESTAMP, |call| plus(midnight(call.date(1)?)?, call.interval(0)?)),
    f("-", &[DATE, INTERVAL], TIMESTAMP, |call| plus(midnight(call.date(0)?)?, negated(call.interval(1)?)?)),
    f("+", &[TIMESTAMP, INTERVAL], TIMESTAMP, |call| plus(call.time(0)?, call.interval(1)?)),
    f("+", &[INTERVAL, TIMESTAMP], TIMESTAMP, |call| plus(call.time(1)?, call.interval(0)?)),
    f("-", &[TIMESTAMP, INTERVAL], TIMESTAMP, |call| plus(call.time(0)?, negated(call.interval(1)?)?)),
    f("+", &[TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ, |call| plus_in_zone(call, call.time(0)?, call.interval(1)?)),
    f("+", &[INTERVAL, TIMESTAMPTZ], TIMESTAMPTZ, |call| plus_in_zone(call, call.time(1)?, call.interval(0)?)),
    f("-", &[TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ, |call| plus_in_zone(call, call.time(0)?, negated(call.interval(1)?)?)),
    f("-", &[TIMESTAMP, TIMESTAMP], INTERVAL, since),
    f("-", &[TIMESTAMPTZ, TIMESTAMPTZ], INTERVAL, since),
    f("+", &[INTERVAL, INTERVAL], INTERVAL, |call| interval(call.interval(0)?.checked_add(call.interval(1)?))),
    f("-", &[INTERVAL, INTERVAL], INTERVAL, |call| interval(call.interval(0)?.checked_sub(call.interval(1)?))),
    f("-", &[INTERVAL], INTERVAL, |call| Ok(negated(call.interval(0)?)?.into())),
    f("*", &[INTERVAL, FLOAT8], INTERVAL, |call| interval(call.interval(0)?.checked_mul(call.float(1)?))),
    f("*", &[FLOAT8, INTERVAL], INTERVAL, |call| interval(call.interval(1)?.checked_mul(call.float(0)?))),
    f("/", &[INTERVAL, FLOAT8], INTERVAL, |call| interval(call.interval(0)?.checked_div(call.float(1)?))),
    f("age", &[TIMESTAMP, TIMESTAMP], INTERVAL, |call| age(call.time(0)?, call.time(1)?)),
    f("age", &[TIMESTAMPTZ, TIMESTAMPTZ], INTERVAL, age_in_zone),
    f("make_date", &[INT4, INT4, INT4], DATE, |call| Ok(make_date(call)?.into())),
    f("make_timestamp", &[INT4, INT4, INT4, INT4, INT4, FLOAT8], TIMESTAMP, |call| time(make_time(call)?)),
    f("make_timestamptz", &[INT4, INT4, INT4, INT4, INT4, FLOAT8], TIMESTAMPTZ, |call| {
        time(to_utc(&call.bound.settings.zone, make_time(call)?)?)
    }),
    f("make_timestamptz", &[INT4, INT4, INT4, INT4, INT4, FLOAT8, TEXT], TIMESTAMPTZ, |call| {
        time(to_utc(&zone(call, 6)?, make_time(call)?)?)
    }),
    f("make_interval", &[INT4, INT4, INT4, INT4, INT4, INT4, FLOAT8], INTERVAL, make_interval),
    f("to_timestamp", &[FLOAT8], TIMESTAMPTZ, of_epoch),
    f("timezone", &[TEXT, TIMESTAMPTZ], TIMESTAMP, |call| time(to_local(&zone(call, 0)?, call.time(1)?)?)),
    f("timezone", &[TEXT, TIMESTAMP], TIMESTAMPTZ, |call| time(to_utc(&zone(call, 0)?, call.time(1)?)?)),
    f("timezone", &[INTERVAL, TIMESTAMPTZ], TIMESTAMP, |call| time(to_local(&zone_of_interval(call)?, call.time(1)?)?)),
    f("timezone", &[INTERVAL, TIMESTAMP], TIMESTAMPTZ, |call| time(to_utc(&zone_of_interval(call)?, call.time(1)?)?)),
    f("justify_hours", &[INTERVAL], INTERVAL, |call| justify_hours(call.interval(0)?)),
    f("justify_days", &[INTERVAL], INTERVAL, |call| justify_days(call.interval(0)?)),
    f("justify_interval", &[INTERVAL], INTERVAL, |call| justify(call.interval(0)?)),
    f("isfinite", &[DATE], BOOL, |_| Ok(true.into())),
    f("isfinite", &[TIMESTAMP], BOOL, |_| Ok(true.into())),
    f("isfinite", &[TIMESTAMPTZ], BOOL, |_| Ok(true.into())),
    f("isfinite", &[INTERVAL], BOOL, |_| Ok(true.into())),
    f("overlaps", &[TIMESTAMP, TIMESTAMP, TIMESTAMP, TIMESTAMP], BOOL, overlaps),
    f("overlaps", &[TIMESTAMP, INTERVAL, TIMESTAMP, INTERVAL], BOOL, overlaps),
    f("overlaps", &[TIMESTAMP, TIMESTAMP, TIMESTAMP, INTERVAL], BOOL, overlaps),
    f("overlaps", &[TIMESTAMP, INTERVAL, TIMESTAMP, TIMESTAMP], BOOL, overlaps),
    f("overlaps", &[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ], BOOL, overlaps),
    f("overlaps", &[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, INTERVAL], BOOL, overlaps),
    f("overlaps", &[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL], BOOL, overlaps),
    f("overlaps", &[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ], BOOL, overlaps),
];

/// The first moment that PostgreSQL has: the beginning of 4714-11-24 BC.
const FIRST: i64 = -210_866_803_200_000_000;

/// A timestamp that PostgreSQL has, too.
pub(super) fn time(micros: i64) -> Answer {
    match micros < FIRST {
        true => Err(out_of_range()),
        false => Ok(Timestamp(micros).into()),
    }
}

pub(super) fn interval(result: Result<Interval, IntervalError>) -> Answer {
    match result {
        Ok(interval) => Ok(interval.into()),
        Err(IntervalError::DivisionByZero) => Err(division_by_zero()),
        Err(_) => Err(fault("22008", "interval out of range")),
    }
}

fn negated(interval: Interval) -> Result<Interval, QueryError> {
    interval
        .checked_neg()
        .map_err(|_| fault("22008", "interval out of range"))
}

fn add_days(date: Date, days: i64) -> Answer {
    let sum = i32::try_from(i64::from(date.0) + days).ok();
    match sum.filter(|day| i64::from(*day) >= FIRST / DAY) {
        Some(day) => Ok(Date(day).into()),
        None => Err(fault("22008", "date out of range")),
    }
}

fn plus(micros: i64, interval: Interval) -> Answer {
    time(Timestamp(micros).plus(interval).ok_or_else(out_of_range)?.0)
}

fn plus_in_zone(call: &Call<'_, '_>, micros: i64, interval: Interval) -> Answer {
    let sum = call.bound.settings.zone.plus(Timestamp(micros), interval);
    time(sum.ok_or_else(out_of_range)?.0)
}

fn since(call: &Call<'_, '_>) -> Answer {
    let passed = Timestamp(call.time(0)?).since(Timestamp(call.time(1)?));
    passed
        .map(Value::Interval)
        .ok_or_else(|| fault("22008", "interval out of range"))
}

/// Year, month and day, and microseconds of the day.
pub(super) fn parts(micros: i64) -> ((i64, u32, u32), i64) {
    let time = Timestamp(micros);
    (time.date().ymd(), time.micros_of_day())
}

pub(super) fn days_of_month(year: i64, month: u32) -> i64 {
    let last = (28..=31)
        .rev()
        .find(|day| Date::from_ymd(year, month, *day).is_ok());
    last.unwrap_or(28).into()
}

/// The difference as years, months, days and a time, borrowing from months as they are.
fn age(a: i64, b: i64) -> Answer {
    let (late, early) = (a.max(b), a.min(b));
    let (((year, month, day), micros), ((from_year, from_month, from_day), from_micros)) =
        (parts(late), parts(early));
    let mut months = (year - from_year) * 12 + i64::from(month) - i64::from(from_month);
    let mut days = i64::from(day) - i64::from(from_day);
    let mut micros = micros - from_micros;
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    if days < 0 {
        // Of the first argument's month when it is the earlier one, else of the second's.
        days += days_of_month(from_year, from_month);
        months -= 1;
    }
    let sign = if a < b { -1 } else { 1 };
    let (months, days) = (i32::try_from(sign * months), i32::try_from(sign * days));
    match (months, days) {
        (Ok(months), Ok(days)) => Ok(Interval::new(months, days, sign * micros).into()),
        _ => Err(fault("22008", "interval out of range")),
    }
}

fn age_in_zone(call: &Call<'_, '_>) -> Answer {
    let zone = &call.bound.settings.zone;
    age(
        to_local(zone, call.time(0)?)?,
        to_local(zone, call.time(1)?)?,
    )
}

fn make_date(call: &Call<'_, '_>) -> Result<Date, QueryError> {
    let (year, month, day) = (call.int(0)?, call.int(1)?, call.int(2)?);
    let wrong = || {
        fault(
            "22008",
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    };
    // Year -1 is 1 BC, which is 0 here.
    let counted = match year {
        0 => return Err(wrong()),
        ..0 => year + 1,
        _ => year,
    };
    let (Ok(month), Ok(day)) = (u32::try_from(month), u32::try_from(day)) else {
        return Err(wrong());
    };
    let date = Date::from_ymd(counted, month, day).map_err(|error| match error {
        velocitydb_types::TimeError::Range => fault(
            "22008",
            format!("date out of range: {year}-{month:02}-{day:02}"),
        ),
        _ => wrong(),
    })?;
    match i64::from(date.0) < FIRST / DAY {
        true => Err(fault(
            "22008",
            format!("date out of range: {year}-{month:02}-{day:02}"),
        )),
        false => Ok(date),
    }
}

/// What a clock shows: the arguments of `make_timestamp`.
fn make_time(call: &Call<'_, '_>) -> Result<i64, QueryError> {
    let date = make_date(call)?;
    let (hour, minute, seconds) = (call.int(3)?, call.int(4)?, call.float(5)?);
    let micros = (seconds * 1e6).round_ties_even();
    let fits = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=60.0 * 1e6).contains(&micros)
        && (hour < 24 || minute == 0 && micros == 0.0);
    if !fits {
        let message = format!(
            "time field value out of range: {hour}:{minute:02}:{}",
            two_digits(seconds)
        );
        return Err(fault("22008", message));
    }
    let of_day = hour * HOUR + minute * MINUTE + micros as i64;
    midnight(date)?.checked_add(of_day).ok_or_else(out_of_range)
}

/// As C's `%02g` writes it, of numbers without an exponent.
fn two_digits(seconds: f64) -> String {
    format!("{seconds:02}")
}

fn make_interval(call: &Call<'_, '_>) -> Answer {
    let out_of_range = || fault("22008", "interval out of range");
    let sum = |a: i64, times: i64, b: i64| i32::try_from(a * times + b).map_err(|_| out_of_range());
    let months = sum(call.int(0)?, 12, call.int(1)?)?;
    let days = sum(call.int(2)?, 7, call.int(3)?)?;
    let seconds = (call.float(6)? * 1e6).round_ties_even();
    if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
        return Err(out_of_range());
    }
    let micros = call.int(4)? * HOUR + call.int(5)? * MINUTE;
    let micros = micros
        .checked_add(seconds as i64)
        .ok_or_else(out_of_range)?;
    Ok(Interval::new(months, days, micros).into())
}

fn of_epoch(call: &Call<'_, '_>) -> Answer {
    let seconds = call.float(0)?;
    if seconds.is_nan() {
        return Err(fault("22008", "timestamp cannot be NaN"));
    }
    let micros = (seconds * 1e6).round_ties_even();
    if micros < FIRST as f64 || micros >= i64::MAX as f64 {
        return Err(fault(
            "22008",
            format!("timestamp out of range: \"{seconds}\""),
        ));
    }
    time(micros as i64)
}

/// The zone that an argument names: an abbreviation, a name, or an offset as POSIX has it.
pub(super) fn zone(call: &Call<'_, '_>, index: usize) -> Result<Zone, QueryError> {
    let name = call.text(index)?;
    if let Some((kept, zone)) = call.bound.zone.get()
        && **kept == *name
    {
        return Ok(zone.clone());
    }
    let abbreviation = abbreviations::offset(&name.to_lowercase()).and_then(Zone::fixed);
    let zone = abbreviation
        .or_else(|| Zone::named(name))
        .or_else(|| posix_zone(name));
    let zone =
        zone.ok_or_else(|| fault("22023", format!("time zone \"{name}\" not recognized")))?;
    // Another thread's may already be there: then that one stays.
    drop(call.bound.zone.set((name.into(), zone.clone())));
    Ok(zone)
}

/// `+3`, `UTC-05:30`: what is positive is west of Greenwich.
fn posix_zone(name: &str) -> Option<Zone> {
    let offset = name.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let (sign, digits) = match offset.as_bytes().first()? {
        b'+' => (-1, &offset[1..]),
        b'-' => (1, &offset[1..]),
        _ => (-1, offset),
    };
    let mut seconds = 0;
    let mut unit = 3600;
    for part in digits.split(':') {
        let number: i32 = part.parse().ok().filter(|_| part.len() <= 3)?;
        seconds += number.checked_mul(unit)?;
        unit /= 60;
    }
    Zone::fixed(sign * seconds)
}

fn zone_of_interval(call: &Call<'_, '_>) -> Result<Zone, QueryError> {
    let interval = call.interval(0)?;
    if interval.months != 0 || interval.days != 0 {
        let message = format!("interval time zone \"{interval}\" must not include months or days");
        return Err(fault("22023", message));
    }
    let zone = i32::try_from(interval.micros / SECOND)
        .ok()
        .and_then(Zone::fixed);
    zone.ok_or_else(|| {
        fault(
            "22023",
            format!("time zone interval \"{interval}\" is out of range"),
        )
    })
}

fn made(months: i64, days: i64, micros: i64) -> Answer {
    match (i32::try_from(months), i32::try_from(days)) {
        (Ok(months), Ok(days)) => Ok(Interval::new(months, days, micros).into()),
        _ => Err(fault("22008", "interval out of range")),
    }
}

/// Carries whole ones of the smaller unit, and gives both the same sign.
fn carry(large: &mut i64, small: &mut i64, count: i64) {
    *large += *small / count;
    *small %= count;
    if *large > 0 && *small < 0 {
        *small += count;
        *large -= 1;
    } else if *large < 0 && *small > 0 {
        *small -= count;
        *large += 1;
    }
}

fn justify_hours(interval: Interval) -> Answer {
    let (mut days, mut micros) = (interval.days.into(), interval.micros);
    carry(&mut days, &mut micros, DAY);
    made(interval.months.into(), days, micros)
}

fn justify_days(interval: Interval) -> Answer {
    let (mut months, mut days) = (interval.months.into(), interval.days.into());
    carry(&mut months, &mut days, 30);
    made(months, days, interval.micros)
}

fn justify(interval: Interval) -> Answer {
    let (mut months, mut days) = (i64::from(interval.months), i64::from(interval.days));
    let mut micros = interval.micros;
    days += micros / DAY;
    micros %= DAY;
    months += days / 30;
    days %= 30;
    if months > 0 && (days < 0 || days == 0 && micros < 0) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || days == 0 && micros > 0) {
        days -= 30;
        months += 1;
    }
    carry(&mut days, &mut micros, DAY);
    made(months, days, micros)
}

/// Whether two spans, each of two ends or of a beginning and a length, have a moment in common.
fn overlaps(call: &Call<'_, '_>) -> Answer {
    let span = |at: usize| -> Result<(i64, i64), QueryError> {
        let from = call.time(at)?;
        let to = match call.view(at + 1) {
            velocitydb_types::View::Interval(interval) => {
                let is_in_zone =
                    call.sql_type(at) == velocitydb_types::ScalarType::Timestamptz.into();
                let sum = match is_in_zone {
                    true => call.bound.settings.zone.plus(Timestamp(from), interval),
                    false => Timestamp(from).plus(interval),
                };
                sum.ok_or_else(out_of_range)?.0
            }
            _ => call.time(at + 1)?,
        };
        Ok((from.min(to), from.max(to)))
    };
    let (a, b) = (span(0)?, span(2)?);
    // A span has its beginning, and not its end unless it is nothing but that.
    let (first, second) = if a.0 <= b.0 { (a, b) } else { (b, a) };
    Ok((first.0 == second.0 || second.0 < first.1).into())
}
