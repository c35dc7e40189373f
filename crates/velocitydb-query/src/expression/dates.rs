//! Functions of times and dates, all in UTC.

use velocitydb_types::{Date, Timestamp, Value, View};

use super::Problem;
use super::evaluate::int_of;
use super::text::string;
use crate::row::Cell;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

macro_rules! units {
    ($($unit:ident $name:literal $counted:expr;)*) => {
        /// A unit of time.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum TimeUnit {
            $(#[doc = $name] $unit,)*
        }

        /// Units of time, the longest first.
        pub const UNITS: &[&str] = &[$($name),*];

        impl TimeUnit {
            /// The unit of this name.
            pub fn from_name(name: &str) -> Option<TimeUnit> {
                match name {
                    $($name => Some(TimeUnit::$unit),)*
                    _ => None,
                }
            }

            /// Its name in JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $(TimeUnit::$unit => $name,)*
                }
            }

            fn counted(self) -> Counted {
                match self {
                    $(TimeUnit::$unit => $counted,)*
                }
            }
        }
    };
}

units! {
    Year "year" Counted::Months(12);
    Quarter "quarter" Counted::Months(3);
    Month "month" Counted::Months(1);
    Week "week" Counted::Weeks;
    Day "day" Counted::Micros(DAY);
    Hour "hour" Counted::Micros(3600 * SECOND);
    Minute "minute" Counted::Micros(60 * SECOND);
    Second "second" Counted::Micros(SECOND);
    Millisecond "millisecond" Counted::Micros(SECOND / 1000);
}

/// What a unit is counted in.
#[derive(Clone, Copy)]
enum Counted {
    Months(i64),
    /// From Monday to Monday.
    Weeks,
    Micros(i64),
}

impl TimeUnit {
    /// Whether dates can be so far apart: all but the parts of a day.
    pub(crate) fn is_days(self) -> bool {
        !matches!(self.counted(), Counted::Micros(micros) if micros < DAY)
    }
}

fn unit(cell: &Cell<'_>) -> Result<TimeUnit, Problem> {
    let name = string(cell)?;
    TimeUnit::from_name(name).ok_or_else(|| {
        let known = UNITS.join(", ");
        Problem::new(format!("unknown unit {name:?}: there are {known}"))
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

/// The first day of a month, counted since year 0.
fn first_of_month(months: i64) -> Result<Date, Problem> {
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
    Date::from_ymd(year, month, 1).map_err(|_| out_of_range())
}

fn from_days(days: impl TryInto<i32>) -> Result<Date, Problem> {
    days.try_into().map(Date).map_err(|_| out_of_range())
}

fn from_micros(micros: i128) -> Result<Value, Problem> {
    let micros = i64::try_from(micros).map_err(|_| out_of_range())?;
    Ok(Value::Time(Timestamp(micros)))
}

/// Where bins of several units are counted from: 2000-01-01, a Saturday. Weeks from the Monday
/// after it.
const BINS_FROM: Date = Date(10_957);

/// The beginning of the bin of so many units that a time or date lies in.
pub(super) fn truncate(
    cell: &Cell<'_>,
    unit_cell: &Cell<'_>,
    bin: &Cell<'_>,
) -> Result<Value, Problem> {
    if cell.is_null() || unit_cell.is_null() || bin.is_null() {
        return Ok(Value::Null);
    }
    let size = int_of(bin)?;
    if size < 1 {
        return Err(Problem::new(format!(
            "a bin has 1 or more units, found {size}"
        )));
    }
    let day = date(cell)?;
    let units = |micros: i64| {
        let bin = micros.checked_mul(size);
        bin.ok_or_else(|| Problem::new(format!("a bin of {size} units is too large")))
    };
    // The last multiple of a bin, counted from the beginning, that is not after this.
    let floor = |from: i64, at: i64, bin: i64| {
        let (from, at, bin) = (i128::from(from), i128::from(at), i128::from(bin));
        i64::try_from(at - (at - from).rem_euclid(bin)).map_err(|_| out_of_range())
    };
    let begins = match unit(unit_cell)?.counted() {
        Counted::Months(count) => {
            first_of_month(floor(months(BINS_FROM), months(day), units(count)?)?)?
        }
        Counted::Weeks => from_days(floor(i64::from(BINS_FROM.0) + 2, day.0.into(), units(7)?)?)?,
        Counted::Micros(micros) => {
            let bin = units(micros)?;
            return match cell.view() {
                View::Date(_) if bin % DAY == 0 => {
                    let begins = floor(BINS_FROM.0.into(), day.0.into(), bin / DAY)?;
                    from_days(begins).map(Value::Date)
                }
                View::Date(_) if DAY % bin == 0 => Ok(Value::Date(day)),
                View::Date(_) => Err(Problem::new(
                    "of dates, bins are whole days, or parts that a day has a whole number of",
                )),
                _ => {
                    let from = i64::from(BINS_FROM.0) * DAY;
                    floor(from, time(cell)?.0, bin).map(|begins| Value::Time(Timestamp(begins)))
                }
            };
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
        Ok(match unit(unit_cell)?.counted() {
            Counted::Months(count) => months(date(cell)?).div_euclid(count),
            Counted::Weeks => (i64::from(date(cell)?.0) + 3).div_euclid(7),
            Counted::Micros(DAY) => date(cell)?.0.into(),
            Counted::Micros(micros) => time(cell)?.0.div_euclid(micros),
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
    later(cell, unit(unit_cell)?, int_of(amount)?)
}

/// A time or date, so many units later; a time where a date is moved by parts of a day.
pub(crate) fn later(cell: &Cell<'_>, unit: TimeUnit, amount: i64) -> Result<Value, Problem> {
    let day = date(cell)?;
    let micros = match unit.counted() {
        Counted::Months(count) => {
            let months = amount.checked_mul(count).ok_or_else(out_of_range)?;
            let moved = match cell.view() {
                View::Time(time) => time.plus_months(months).map(Value::Time),
                _ => day.plus_months(months).map(Value::Date),
            };
            return moved.ok_or_else(out_of_range);
        }
        Counted::Weeks => 7 * DAY,
        Counted::Micros(micros) => micros,
    };
    // In 128 bits: from one end of the range to the other it is farther than 64 hold.
    let added = i128::from(amount) * i128::from(micros);
    match cell.view() {
        View::Date(date) if micros % DAY == 0 => {
            from_days(i128::from(date.0) + added / i128::from(DAY)).map(Value::Date)
        }
        _ => from_micros(i128::from(time(cell)?.0) + added),
    }
}
