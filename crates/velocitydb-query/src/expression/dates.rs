//! Functions of times and dates, all in UTC.

use velocitydb_types::{Date, Timestamp, Value, View};

use super::Problem;
use super::evaluate::int_of;
use super::text::string;
use crate::row::Cell;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Units of time, the longest first.
pub const UNITS: [&str; 9] = [
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "millisecond",
];

/// What a unit is counted in.
#[derive(Clone, Copy)]
enum Unit {
    Months(i64),
    /// Since the Monday before 1970-01-01.
    Weeks,
    Micros(i64),
}

fn unit(cell: &Cell<'_>) -> Result<Unit, Problem> {
    Ok(match string(cell)? {
        "year" => Unit::Months(12),
        "quarter" => Unit::Months(3),
        "month" => Unit::Months(1),
        "week" => Unit::Weeks,
        "day" => Unit::Micros(DAY),
        "hour" => Unit::Micros(3600 * SECOND),
        "minute" => Unit::Micros(60 * SECOND),
        "second" => Unit::Micros(SECOND),
        "millisecond" => Unit::Micros(SECOND / 1000),
        other => {
            return Err(Problem::new(format!(
                "unknown unit {other:?}: there are {}",
                UNITS.join(", ")
            )));
        }
    })
}

fn wrong(cell: &Cell<'_>) -> Problem {
    Problem::expected("a time or a date", cell.type_name())
}

fn out_of_range() -> Problem {
    Problem::new("the result is out of the range of times")
}

/// The day of a time or date.
pub(super) fn date(cell: &Cell<'_>) -> Result<Date, Problem> {
    match cell.view() {
        View::Date(date) => Ok(date),
        View::Time(time) => Ok(time.date()),
        _ => Err(wrong(cell)),
    }
}

pub(super) fn seconds_of_day(cell: &Cell<'_>) -> Result<i64, Problem> {
    match cell.view() {
        View::Date(_) => Ok(0),
        View::Time(time) => Ok(time.micros_of_day() / SECOND),
        _ => Err(wrong(cell)),
    }
}

/// A time; of a date its beginning.
pub(super) fn time(cell: &Cell<'_>) -> Result<Timestamp, Problem> {
    match cell.view() {
        View::Date(date) => date.midnight().ok_or_else(out_of_range),
        View::Time(time) => Ok(time),
        _ => Err(wrong(cell)),
    }
}

/// 1 (Monday) to 7.
pub(super) fn weekday(date: Date) -> i64 {
    // 1970-01-01 was a Thursday.
    (i64::from(date.0) + 3).rem_euclid(7) + 1
}

/// Months since year 0.
fn months(date: Date) -> i64 {
    let (year, month, _) = date.ymd();
    year * 12 + i64::from(month) - 1
}

fn from_months(months: i64, day: u32) -> Result<Date, Problem> {
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
    // The 31st of a month that has none is its last day.
    (0..4)
        .find_map(|less| Date::from_ymd(year, month, day.checked_sub(less)?).ok())
        .ok_or_else(out_of_range)
}

fn from_days(days: i64) -> Result<Date, Problem> {
    i32::try_from(days).map(Date).map_err(|_| out_of_range())
}

pub(super) fn truncate(cell: &Cell<'_>, unit_cell: &Cell<'_>) -> Result<Value, Problem> {
    if cell.is_null() || unit_cell.is_null() {
        return Ok(Value::Null);
    }
    let day = date(cell)?;
    let begins = match unit(unit_cell)? {
        Unit::Months(count) => from_months(months(day).div_euclid(count) * count, 1)?,
        Unit::Weeks => from_days(i64::from(day.0) - (weekday(day) - 1))?,
        Unit::Micros(micros) => {
            return Ok(match cell.view() {
                View::Time(time) => {
                    let whole = time.0.div_euclid(micros).checked_mul(micros);
                    Value::Time(Timestamp(whole.ok_or_else(out_of_range)?))
                }
                _ => Value::Date(day),
            });
        }
    };
    Ok(match cell.view() {
        View::Time(_) => Value::Time(begins.midnight().ok_or_else(out_of_range)?),
        _ => Value::Date(begins),
    })
}

pub(super) fn difference(
    from: &Cell<'_>,
    to: &Cell<'_>,
    unit_cell: &Cell<'_>,
) -> Result<Value, Problem> {
    if from.is_null() || to.is_null() || unit_cell.is_null() {
        return Ok(Value::Null);
    }
    let place = |cell: &Cell<'_>| -> Result<i64, Problem> {
        Ok(match unit(unit_cell)? {
            Unit::Months(count) => months(date(cell)?).div_euclid(count),
            Unit::Weeks => (i64::from(date(cell)?.0) + 3).div_euclid(7),
            Unit::Micros(DAY) => date(cell)?.0.into(),
            Unit::Micros(micros) => time(cell)?.0.div_euclid(micros),
        })
    };
    Ok((place(to)? - place(from)?).into())
}

pub(super) fn add(
    cell: &Cell<'_>,
    unit_cell: &Cell<'_>,
    amount: &Cell<'_>,
) -> Result<Value, Problem> {
    if cell.is_null() || unit_cell.is_null() || amount.is_null() {
        return Ok(Value::Null);
    }
    let amount = int_of(amount)?;
    let day = date(cell)?;
    let micros = match unit(unit_cell)? {
        Unit::Months(count) => {
            let added = amount
                .checked_mul(count)
                .and_then(|n| n.checked_add(months(day)));
            let moved = from_months(added.ok_or_else(out_of_range)?, day.ymd().2)?;
            return Ok(match cell.view() {
                View::Time(time) => {
                    let midnight = moved.midnight().ok_or_else(out_of_range)?;
                    let sum = midnight.0.checked_add(time.micros_of_day());
                    Value::Time(Timestamp(sum.ok_or_else(out_of_range)?))
                }
                _ => Value::Date(moved),
            });
        }
        Unit::Weeks => 7 * DAY,
        Unit::Micros(micros) => micros,
    };
    match cell.view() {
        View::Date(date) if micros % DAY == 0 => {
            let days = amount.checked_mul(micros / DAY);
            let sum = days.and_then(|days| days.checked_add(i64::from(date.0)));
            Ok(Value::Date(from_days(sum.ok_or_else(out_of_range)?)?))
        }
        _ => {
            let added = amount.checked_mul(micros);
            let sum = added.and_then(|added| added.checked_add(time(cell).ok()?.0));
            Ok(Value::Time(Timestamp(sum.ok_or_else(out_of_range)?)))
        }
    }
}
