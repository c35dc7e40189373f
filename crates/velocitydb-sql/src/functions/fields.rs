//! Parts of dates, timestamps and intervals: `extract`, `date_part`, `date_trunc`, `date_bin`.

use velocitydb_query::QueryError;
use velocitydb_types::{Date, Decimal, Interval, ScalarType, Timestamp, Value, View};

use super::call::Call;
use super::dates::{parts, time, zone};
use super::decimals;
use super::kinds::*;
use super::moments::{DAY, HOUR, MINUTE, SECOND, midnight, out_of_range, to_local, to_utc};
use super::resolve::type_name;
use super::{Answer, Row, f, fault};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    f("extract", &[TEXT, DATE], NUMERIC, extract),
    f("extract", &[TEXT, TIMESTAMP], NUMERIC, extract),
    f("extract", &[TEXT, TIMESTAMPTZ], NUMERIC, extract),
    f("extract", &[TEXT, INTERVAL], NUMERIC, extract),
    f("date_part", &[TEXT, DATE], FLOAT8, date_part),
    f("date_part", &[TEXT, TIMESTAMP], FLOAT8, date_part),
    f("date_part", &[TEXT, TIMESTAMPTZ], FLOAT8, date_part),
    f("date_part", &[TEXT, INTERVAL], FLOAT8, date_part),
    f("date_trunc", &[TEXT, TIMESTAMP], TIMESTAMP, |call| time(truncate(call, call.time(1)?)?)),
    f("date_trunc", &[TEXT, TIMESTAMPTZ], TIMESTAMPTZ, |call| truncate_in(call, &call.bound.settings.zone.clone())),
    f("date_trunc", &[TEXT, TIMESTAMPTZ, TEXT], TIMESTAMPTZ, |call| truncate_in(call, &zone(call, 2)?)),
    f("date_trunc", &[TEXT, INTERVAL], INTERVAL, truncate_interval),
    f("date_bin", &[INTERVAL, TIMESTAMP, TIMESTAMP], TIMESTAMP, date_bin),
    f("date_bin", &[INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ], TIMESTAMPTZ, date_bin),
];

/// What a date, timestamp or interval has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    IsoYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Julian,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

fn named(name: &str) -> Option<Field> {
    Some(match name.to_ascii_lowercase().as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "microsec" | "microsecs"
        | "microsecon" => Field::Microseconds,
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "millisec" | "millisecs"
        | "millisecon" => Field::Milliseconds,
        "second" | "seconds" | "s" | "sec" | "secs" => Field::Second,
        "minute" | "minutes" | "m" | "min" | "mins" => Field::Minute,
        "hour" | "hours" | "h" | "hr" | "hrs" => Field::Hour,
        "day" | "days" | "d" => Field::Day,
        "week" | "weeks" | "w" => Field::Week,
        "month" | "months" | "mon" | "mons" => Field::Month,
        "quarter" | "qtr" => Field::Quarter,
        "year" | "years" | "y" | "yr" | "yrs" => Field::Year,
        "decade" | "decades" | "dec" | "decs" => Field::Decade,
        "century" | "centuries" | "c" | "cent" => Field::Century,
        "millennium" | "millennia" | "mil" | "mils" => Field::Millennium,
        "isoyear" => Field::IsoYear,
        "dow" => Field::DayOfWeek,
        "isodow" => Field::IsoDayOfWeek,
        "doy" => Field::DayOfYear,
        "julian" | "j" | "jd" => Field::Julian,
        "epoch" => Field::Epoch,
        "timezone" => Field::Timezone,
        "timezone_hour" => Field::TimezoneHour,
        "timezone_minute" | "timezone_m" => Field::TimezoneMinute,
        _ => return None,
    })
}

/// The field that the first argument names.
fn field(call: &Call<'_, '_>) -> Result<Field, QueryError> {
    named(call.text(0)?).ok_or_else(|| unit(call, "22023", "not recognized"))
}

fn unit(call: &Call<'_, '_>, sqlstate: &'static str, problem: &str) -> QueryError {
    let name = call.text(0).unwrap_or_default().to_lowercase();
    let of = type_name(Some(call.sql_type(1)));
    fault(sqlstate, format!("unit \"{name}\" {problem} for type {of}"))
}

fn not_supported(call: &Call<'_, '_>) -> QueryError {
    unit(call, "0A000", "not supported")
}

/// A field that can be asked for, but is no unit to truncate to.
fn refused(call: &Call<'_, '_>, field: Field) -> QueryError {
    match field {
        Field::DayOfWeek
        | Field::IsoDayOfWeek
        | Field::DayOfYear
        | Field::IsoYear
        | Field::Julian
        | Field::Epoch => unit(call, "22023", "not recognized"),
        _ => not_supported(call),
    }
}

fn extract(call: &Call<'_, '_>) -> Answer {
    let is_date = call.sql_type(1) == ScalarType::Date.into();
    if let (true, field) = (is_date, field(call)?)
        && matches!(
            field,
            Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour
        )
    {
        return Err(not_supported(call));
    }
    part(call).map(Value::Decimal)
}

fn date_part(call: &Call<'_, '_>) -> Answer {
    part(call).map(|part| part.to_f64().into())
}

fn part(call: &Call<'_, '_>) -> Result<Decimal, QueryError> {
    let field = field(call)?;
    match call.view(1) {
        View::Interval(interval) => of_interval(call, field, interval),
        View::Date(date) => of_time(call, field, midnight(date)?, None),
        View::Time(moment) if call.sql_type(1) == ScalarType::Timestamptz.into() => {
            let local = to_local(&call.bound.settings.zone, moment.0)?;
            of_time(call, field, local, Some(moment.0))
        }
        _ => of_time(call, field, call.time(1)?, None),
    }
}

/// `number / 10^scale`.
fn decimal(number: i128, scale: i64) -> Result<Decimal, QueryError> {
    Decimal::new(number.into(), scale).map_err(decimals::out_of_bounds)
}

/// Monday of the week of a day, and the year that the week belongs to: its Thursday's.
pub(super) fn iso_week(date: Date) -> (i64, i64) {
    let days = i64::from(date.0);
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let year = i32::try_from(thursday).map_or(0, |day| Date(day).ymd().0);
    let first = Date::from_ymd(year, 1, 1).map_or(0, |first| i64::from(first.0));
    (year, (thursday - first) / 7 + 1)
}

pub(super) fn day_of_year(date: Date) -> i64 {
    let first = Date::from_ymd(date.ymd().0, 1, 1).map_or(date.0, |first| first.0);
    i64::from(date.0) - i64::from(first) + 1
}

/// A year as people count them: there is none between 1 BC and 1.
fn counted(year: i64) -> i64 {
    if year <= 0 { year - 1 } else { year }
}

/// How many times so many years have begun, from the year 1 on or back from 1 BC.
pub(super) fn period(year: i64, years: i64) -> i64 {
    match year > 0 {
        true => (year + years - 1) / years,
        false => -((years - 1 - (year - 1)) / years),
    }
}

fn decade(year: i64) -> i64 {
    match year >= 0 {
        true => year / 10,
        false => -((8 - (year - 1)) / 10),
    }
}

/// The day's number since 4714-11-24 BC.
pub(super) fn julian(date: Date) -> i64 {
    i64::from(date.0) + 2_440_588
}

/// Of what a clock shows; `moment` is UTC, of what has a zone.
fn of_time(
    call: &Call<'_, '_>,
    field: Field,
    local: i64,
    moment: Option<i64>,
) -> Result<Decimal, QueryError> {
    let ((year, month, _), micros) = parts(local);
    let date = Timestamp(local).date();
    let day = date.ymd().2;
    let of_minute = micros % MINUTE;
    let offset = moment.map(|moment| (local - moment) / SECOND);
    let zoned = |number: fn(i64) -> i64| offset.map(number).ok_or_else(|| not_supported(call));
    let whole = match field {
        Field::Microseconds => of_minute,
        Field::Milliseconds => return decimal(of_minute.into(), 3),
        Field::Second => return decimal(of_minute.into(), 6),
        Field::Minute => micros / MINUTE % 60,
        Field::Hour => micros / HOUR,
        Field::Day => day.into(),
        Field::Week => iso_week(date).1,
        Field::Month => month.into(),
        Field::Quarter => i64::from(month - 1) / 3 + 1,
        Field::Year => counted(year),
        Field::Decade => decade(year),
        Field::Century => period(year, 100),
        Field::Millennium => period(year, 1000),
        Field::IsoYear => counted(iso_week(date).0),
        Field::DayOfWeek => (i64::from(date.0) + 4).rem_euclid(7),
        Field::IsoDayOfWeek => (i64::from(date.0) + 3).rem_euclid(7) + 1,
        Field::DayOfYear => day_of_year(date),
        Field::Julian => {
            let part = decimals::divide(&Decimal::from(micros), &Decimal::from(DAY))?;
            let Value::Decimal(part) = part else {
                return decimal(0, 0);
            };
            let sum = part.checked_add(&Decimal::from(julian(date)));
            return sum.map_err(decimals::out_of_bounds);
        }
        Field::Epoch => return decimal(moment.unwrap_or(local).into(), 6),
        Field::Timezone => zoned(|seconds| seconds)?,
        Field::TimezoneHour => zoned(|seconds| seconds / 3600)?,
        Field::TimezoneMinute => zoned(|seconds| seconds / 60 % 60)?,
    };
    Ok(Decimal::from(whole))
}

fn of_interval(
    call: &Call<'_, '_>,
    field: Field,
    interval: Interval,
) -> Result<Decimal, QueryError> {
    let (years, months) = (
        i64::from(interval.months) / 12,
        i64::from(interval.months) % 12,
    );
    let of_minute = interval.micros % MINUTE;
    let whole = match field {
        Field::Microseconds => of_minute,
        Field::Milliseconds => return decimal(of_minute.into(), 3),
        Field::Second => return decimal(of_minute.into(), 6),
        Field::Minute => interval.micros / MINUTE % 60,
        Field::Hour => interval.micros / HOUR,
        Field::Day => interval.days.into(),
        Field::Month => months,
        Field::Quarter => months / 3 + 1,
        Field::Year => years,
        Field::Decade => years / 10,
        Field::Century => years / 100,
        Field::Millennium => years / 1000,
        Field::Epoch => {
            // A year has 365.25 days here, a month 30.
            let days = i128::from(years) * 36_525
                + i128::from(months) * 3_000
                + i128::from(interval.days) * 100;
            return decimal(
                days * i128::from(DAY / 100) + i128::from(interval.micros),
                6,
            );
        }
        _ => return Err(not_supported(call)),
    };
    Ok(Decimal::from(whole))
}

/// The beginning of the year, in microseconds of the clock.
fn beginning(year: i64, month: u32) -> Result<i64, QueryError> {
    let date = Date::from_ymd(year, month, 1).map_err(|_| out_of_range())?;
    midnight(date)
}

fn truncate(call: &Call<'_, '_>, local: i64) -> Result<i64, QueryError> {
    let down = |unit: i64| Ok(local - local.rem_euclid(unit));
    let ((year, month, _), _) = parts(local);
    match field(call)? {
        Field::Microseconds => Ok(local),
        Field::Milliseconds => down(1000),
        Field::Second => down(SECOND),
        Field::Minute => down(MINUTE),
        Field::Hour => down(HOUR),
        Field::Day => down(DAY),
        Field::Week => {
            let monday = local.div_euclid(DAY) - (local.div_euclid(DAY) + 3).rem_euclid(7);
            monday.checked_mul(DAY).ok_or_else(out_of_range)
        }
        Field::Month => beginning(year, month),
        Field::Quarter => beginning(year, (month - 1) / 3 * 3 + 1),
        Field::Year => beginning(year, 1),
        Field::Decade => beginning(decade(year) * 10, 1),
        Field::Century => beginning(first_year(year, 100), 1),
        Field::Millennium => beginning(first_year(year, 1000), 1),
        other => Err(refused(call, other)),
    }
}

/// The first year of a period, as years are counted from 0 (1 BC).
fn first_year(year: i64, years: i64) -> i64 {
    match year > 0 {
        true => period(year, years) * years - years + 1,
        false => period(year, years) * years + 1,
    }
}

fn truncate_in(call: &Call<'_, '_>, zone: &velocitydb_query::Zone) -> Answer {
    let moment = call.time(1)?;
    let local = to_local(zone, moment)?;
    let begins = truncate(call, local)?;
    // Within an hour the clock is not moved.
    time(match field(call)? {
        Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour => {
            moment - (local - begins)
        }
        _ => to_utc(zone, begins)?,
    })
}

fn truncate_interval(call: &Call<'_, '_>) -> Answer {
    let interval = call.interval(1)?;
    let months = |unit: i32| Ok(Interval::new(interval.months / unit * unit, 0, 0).into());
    let micros = |unit: i64| {
        let micros = interval.micros / unit * unit;
        Ok(Interval::new(interval.months, interval.days, micros).into())
    };
    match field(call)? {
        Field::Microseconds => micros(1),
        Field::Milliseconds => micros(1000),
        Field::Second => micros(SECOND),
        Field::Minute => micros(MINUTE),
        Field::Hour => micros(HOUR),
        Field::Day => Ok(Interval::new(interval.months, interval.days, 0).into()),
        Field::Month => months(1),
        Field::Quarter => months(3),
        Field::Year => months(12),
        Field::Decade => months(120),
        Field::Century => months(1_200),
        Field::Millennium => months(12_000),
        other => Err(refused(call, other)),
    }
}

fn date_bin(call: &Call<'_, '_>) -> Answer {
    let (stride, moment, origin) = (call.interval(0)?, call.time(1)?, call.time(2)?);
    if stride.months != 0 {
        return Err(fault(
            "0A000",
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let size = i64::from(stride.days)
        .checked_mul(DAY)
        .and_then(|days| days.checked_add(stride.micros));
    let size = size.ok_or_else(|| fault("22008", "interval out of range"))?;
    if size <= 0 {
        return Err(fault("22008", "stride must be greater than zero"));
    }
    let since = i128::from(moment) - i128::from(origin);
    let begins = i128::from(moment) - since.rem_euclid(size.into());
    time(i64::try_from(begins).map_err(|_| out_of_range())?)
}
