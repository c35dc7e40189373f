//! Dates, timestamps and the session's zone: what comparisons and dates share.
//!
//! A `timestamp` and a `timestamptz` are both microseconds since 1970: of the clock on the wall,
//! and in UTC.

use std::cmp::Ordering;

use velocitydb_query::{Cell, QueryError, Zone};
use velocitydb_types::{Date, ScalarType, Timestamp, View};

use super::{Bound, fault};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

pub(super) fn out_of_range() -> QueryError {
    fault("22008", "timestamp out of range")
}

/// Midnight of a day.
pub(super) fn midnight(date: Date) -> Result<i64, QueryError> {
    let midnight = date.midnight().map(|time| time.0);
    midnight.ok_or_else(|| fault("22008", "date out of range for timestamp"))
}

/// What clocks of a zone show at a moment.
pub(super) fn to_local(zone: &Zone, micros: i64) -> Result<i64, QueryError> {
    let local = zone.to_local(Timestamp(micros)).map(|local| local.0);
    local.ok_or_else(out_of_range)
}

/// The moment at which clocks of a zone show this.
pub(super) fn to_utc(zone: &Zone, local: i64) -> Result<i64, QueryError> {
    let moment = zone.from_local(Timestamp(local)).map(|moment| moment.0);
    moment.ok_or_else(out_of_range)
}

/// A date, timestamp or timestamptz to compare, in UTC or on the wall's clock. What is out of the
/// range of timestamps is before or after all of them.
fn moment(
    bound: &Bound,
    scalar: ScalarType,
    cell: &Cell<'_>,
    in_utc: bool,
) -> Result<i64, QueryError> {
    let local = match cell.view() {
        View::Date(date) => match date.midnight() {
            Some(midnight) => midnight.0,
            None if date.0 < 0 => return Ok(i64::MIN),
            None => return Ok(i64::MAX),
        },
        View::Time(time) => time.0,
        _ => return Err(fault("42804", "expected a date or timestamp")),
    };
    match in_utc && scalar != ScalarType::Timestamptz {
        true => to_utc(&bound.settings.zone, local),
        false => Ok(local),
    }
}

/// The order of a date or timestamp and one of another type.
pub(super) fn compare_moments(
    bound: &Bound,
    a: (ScalarType, &Cell<'_>),
    b: (ScalarType, &Cell<'_>),
) -> Result<Ordering, QueryError> {
    let in_utc = [a.0, b.0].contains(&ScalarType::Timestamptz);
    let a = moment(bound, a.0, a.1, in_utc)?;
    Ok(a.cmp(&moment(bound, b.0, b.1, in_utc)?))
}
