//! Dates and moments: written in ISO's order, read as PostgreSQL reads them (`read`).

mod read;

use velocitydb_query::Zone;
use velocitydb_types::{Date, ScalarType, Timestamp, Value};

use super::Settings;
use super::error::FormatError;
use read::{At, Read};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Appends a number with at least so many digits.
fn put(number: u64, digits: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 20];
    let (mut rest, mut at) = (number, buffer.len());
    while rest > 0 {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&buffer[at.min(buffer.len() - digits)..]);
}

/// Appends a day; whether it is before Christ, which is said at the end, is the answer.
fn put_date(date: Date, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = date.ymd();
    put(
        if year > 0 { year } else { 1 - year }.unsigned_abs(),
        4,
        out,
    );
    out.push(b'-');
    put(month.into(), 2, out);
    out.push(b'-');
    put(day.into(), 2, out);
    year <= 0
}

fn put_era(is_before: bool, out: &mut Vec<u8>) {
    if is_before {
        out.extend_from_slice(b" BC");
    }
}

/// Appends what clocks show.
fn put_time(local: Timestamp, out: &mut Vec<u8>) -> bool {
    let is_before = put_date(local.date(), out);
    let micros = local.micros_of_day().unsigned_abs();
    let seconds = micros / SECOND as u64;
    for (mark, part) in [
        (b' ', seconds / 3600),
        (b':', seconds / 60 % 60),
        (b':', seconds % 60),
    ] {
        out.push(mark);
        put(part, 2, out);
    }
    let fraction = micros % SECOND as u64;
    if fraction > 0 {
        out.push(b'.');
        put(fraction, 6, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
    is_before
}

pub(super) fn write_date(date: Date, out: &mut Vec<u8>) {
    let is_before = put_date(date, out);
    put_era(is_before, out);
}

pub(super) fn write_timestamp(time: Timestamp, out: &mut Vec<u8>) {
    let is_before = put_time(time, out);
    put_era(is_before, out);
}

pub(super) fn write_timestamptz(
    time: Timestamp,
    zone: &Zone,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let offset = zone.offset_at(time);
    let local = time.0.checked_add(i64::from(offset) * SECOND);
    let local = local.ok_or_else(|| FormatError::new("22008", "timestamp out of range"))?;
    let is_before = put_time(Timestamp(local), out);
    out.push(if offset < 0 { b'-' } else { b'+' });
    let seconds = u64::from(offset.unsigned_abs());
    put(seconds / 3600, 2, out);
    if !seconds.is_multiple_of(3600) {
        out.push(b':');
        put(seconds / 60 % 60, 2, out);
    }
    if !seconds.is_multiple_of(60) {
        out.push(b':');
        put(seconds % 60, 2, out);
    }
    put_era(is_before, out);
    Ok(())
}

/// What there is of a text, in the words of a type.
fn read(text: &str, name: &str, settings: &Settings) -> Result<Read, FormatError> {
    read::read(text, settings).map_err(|failure| failure.error(text, name))
}

/// The first day that PostgreSQL counts, 4714-11-24 BC.
const FIRST_DAY: i64 = -2_440_588;
/// The last, 5874897-12-31.
const LAST_DAY: i64 = 2_145_042_905;

pub(super) fn read_date(text: &str, settings: &Settings) -> Result<Value, FormatError> {
    let read = read(text, "date", settings)?;
    let out_of_range = || FormatError::new("22008", format!("date out of range: \"{text}\""));
    let days = match read.at {
        At::Now | At::Epoch => {
            let moment = if read.at == At::Now {
                settings.now.get()
            } else {
                Timestamp(0)
            };
            let local = match read.at {
                At::Now => settings.zone.to_local(moment).ok_or_else(out_of_range)?,
                _ => moment,
            };
            return Ok(Value::Date(local.date()));
        }
        At::Day(days) => days,
    };
    match days {
        FIRST_DAY..=LAST_DAY => Ok(Value::Date(Date(days as i32))),
        _ => Err(out_of_range()),
    }
}

pub(super) fn read_timestamp(
    text: &str,
    scalar: ScalarType,
    settings: &Settings,
) -> Result<Value, FormatError> {
    let has_zone = scalar == ScalarType::Timestamptz;
    let name = if has_zone {
        "timestamp with time zone"
    } else {
        "timestamp"
    };
    let read = read(text, name, settings)?;
    let out_of_range = || FormatError::new("22008", format!("timestamp out of range: \"{text}\""));
    let moment = || {
        let days = match read.at {
            At::Now if has_zone => return Some(settings.now.get()),
            At::Now => return settings.zone.to_local(settings.now.get()),
            At::Epoch => return Some(Timestamp(0)),
            At::Day(days) => days,
        };
        let local = days.checked_mul(DAY)?.checked_add(read.micros)?;
        match (has_zone, &read.zone) {
            (false, _) => Some(Timestamp(local)),
            (true, None) => settings.zone.from_local(Timestamp(local)),
            (true, Some(read::ReadZone::Offset(seconds))) => {
                let offset = i64::from(*seconds) * SECOND;
                local.checked_sub(offset).map(Timestamp)
            }
            (true, Some(read::ReadZone::Named(zone))) => zone.from_local(Timestamp(local)),
        }
    };
    let moment = moment().filter(|moment| moment.0 >= FIRST_DAY * DAY);
    moment.map(Value::Time).ok_or_else(out_of_range)
}
