//! The bytes of scalars.

use velocitydb_types::number::Number;
use velocitydb_types::{Date, Interval, Point, ScalarType, Timestamp, Uuid, Value, View};

use super::error::FormatError;
use super::{numbers, text};

/// Days and microseconds from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
const DAYS_2000: i32 = 10_957;
const MICROS_2000: i64 = DAYS_2000 as i64 * 86_400_000_000;

pub(super) fn write(
    value: &View<'_>,
    scalar: ScalarType,
    out: &mut Vec<u8>,
) -> Result<(), FormatError> {
    let mixed_up = || FormatError::mixed_up(scalar.row().long_name, text::type_name(value));
    let out_of_range = |what: &str| FormatError::new("22008", format!("{what} out of range"));
    match (scalar, value) {
        (ScalarType::Bool, View::Bool(bool)) => out.push((*bool).into()),
        (ScalarType::Int2, View::Number(Number::Int(int))) => {
            let int = i16::try_from(*int).map_err(|_| mixed_up())?;
            out.extend_from_slice(&int.to_be_bytes());
        }
        (ScalarType::Int4, View::Number(Number::Int(int))) => {
            let int = i32::try_from(*int).map_err(|_| mixed_up())?;
            out.extend_from_slice(&int.to_be_bytes());
        }
        (ScalarType::Int8, View::Number(Number::Int(int))) => {
            out.extend_from_slice(&int.to_be_bytes());
        }
        (ScalarType::Float4, View::Number(Number::Float(float))) => {
            out.extend_from_slice(&(*float as f32).to_be_bytes());
        }
        (ScalarType::Float8, View::Number(Number::Float(float))) => {
            out.extend_from_slice(&float.to_be_bytes());
        }
        (ScalarType::Numeric(bounds), View::Number(Number::Decimal(decimal))) => {
            numbers::write_numeric_binary(decimal, bounds, out);
        }
        (ScalarType::Text | ScalarType::Varchar(_) | ScalarType::Char(_), View::Str(bytes)) => {
            text::write_string(bytes, scalar, out);
        }
        (ScalarType::Bytea, View::Bytes(bytes)) => out.extend_from_slice(bytes),
        (ScalarType::Date, View::Date(date)) => {
            let days = date
                .0
                .checked_sub(DAYS_2000)
                .ok_or_else(|| out_of_range("date"))?;
            out.extend_from_slice(&days.to_be_bytes());
        }
        (ScalarType::Timestamp | ScalarType::Timestamptz, View::Time(time)) => {
            let micros = time.0.checked_sub(MICROS_2000);
            let micros = micros.ok_or_else(|| out_of_range("timestamp"))?;
            out.extend_from_slice(&micros.to_be_bytes());
        }
        (ScalarType::Interval, View::Interval(interval)) => {
            out.extend_from_slice(&interval.micros.to_be_bytes());
            out.extend_from_slice(&interval.days.to_be_bytes());
            out.extend_from_slice(&interval.months.to_be_bytes());
        }
        (ScalarType::Uuid, View::Uuid(uuid)) => out.extend_from_slice(uuid.as_bytes()),
        (ScalarType::Json, value) => velocitydb_types::write_jsonb(value, out),
        (ScalarType::Jsonb, value) => {
            out.push(1);
            velocitydb_types::write_jsonb(value, out);
        }
        (ScalarType::Point, View::Point(point)) => {
            out.extend_from_slice(&point.lon().to_be_bytes());
            out.extend_from_slice(&point.lat().to_be_bytes());
        }
        _ => return Err(mixed_up()),
    }
    Ok(())
}

pub(super) fn read(bytes: &[u8], scalar: ScalarType) -> Result<Value, FormatError> {
    Ok(match scalar {
        ScalarType::Bool => Value::Bool(exact::<1>(bytes)? != [0]),
        ScalarType::Int2 => Value::Int(i16::from_be_bytes(exact(bytes)?).into()),
        ScalarType::Int4 => Value::Int(i32::from_be_bytes(exact(bytes)?).into()),
        ScalarType::Int8 => Value::Int(i64::from_be_bytes(exact(bytes)?)),
        ScalarType::Float4 => Value::Float(f32::from_be_bytes(exact(bytes)?).into()),
        ScalarType::Float8 => Value::Float(f64::from_be_bytes(exact(bytes)?)),
        ScalarType::Numeric(bounds) => numbers::read_numeric_binary(bytes, bounds)?,
        ScalarType::Text | ScalarType::Varchar(_) | ScalarType::Char(_) => {
            text::read_string(utf8(bytes)?, scalar)?
        }
        ScalarType::Bytea => Value::Bytes(bytes.to_vec()),
        ScalarType::Date => {
            let days = i32::from_be_bytes(exact(bytes)?);
            infinite(days == i32::MAX || days == i32::MIN, "date")?;
            let days = days.checked_add(DAYS_2000);
            Value::Date(Date(
                days.ok_or_else(|| FormatError::new("22008", "date out of range"))?,
            ))
        }
        ScalarType::Timestamp | ScalarType::Timestamptz => {
            let micros = i64::from_be_bytes(exact(bytes)?);
            infinite(micros == i64::MAX || micros == i64::MIN, "timestamp")?;
            let micros = micros.checked_add(MICROS_2000);
            let out_of_range = || FormatError::new("22008", "timestamp out of range");
            Value::Time(Timestamp(micros.ok_or_else(out_of_range)?))
        }
        ScalarType::Interval => {
            let bytes: [u8; 16] = exact(bytes)?;
            let [micros, rest] = [&bytes[..8], &bytes[8..]];
            Value::Interval(Interval {
                micros: i64::from_be_bytes(exact(micros)?),
                days: i32::from_be_bytes(exact(&rest[..4])?),
                months: i32::from_be_bytes(exact(&rest[4..])?),
            })
        }
        ScalarType::Uuid => Value::Uuid(Uuid::from_bytes(exact(bytes)?)),
        ScalarType::Json => text::read_json(utf8(bytes)?)?,
        ScalarType::Jsonb => match bytes.split_first() {
            Some((1, json)) => text::read_json(utf8(json)?)?,
            Some((version, _)) => {
                let message = format!("unsupported jsonb version number {version}");
                return Err(FormatError::new("XX000", message));
            }
            None => return Err(cut_off()),
        },
        ScalarType::Point => {
            let bytes: [u8; 16] = exact(bytes)?;
            let lon = f64::from_be_bytes(exact(&bytes[..8])?);
            point(lon, f64::from_be_bytes(exact(&bytes[8..])?))?
        }
    })
}

/// A place on the earth.
pub(super) fn point(lon: f64, lat: f64) -> Result<Value, FormatError> {
    let point = Point::new(lon, lat);
    point.map(Value::Point).map_err(|error| {
        let message = format!("point ({lon},{lat}) is out of range: {error}");
        FormatError::new("22003", message)
    })
}

/// Dates and times know no infinity.
pub(super) fn infinite(is: bool, what: &str) -> Result<(), FormatError> {
    match is {
        true => Err(FormatError::new(
            "0A000",
            format!("infinite {what}s are not supported"),
        )),
        false => Ok(()),
    }
}

fn cut_off() -> FormatError {
    FormatError::new("08P01", "insufficient data left in message")
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], FormatError> {
    match bytes.try_into() {
        Ok(bytes) => Ok(bytes),
        Err(_) if bytes.len() < N => Err(cut_off()),
        Err(_) => Err(FormatError::binary("incorrect binary data format")),
    }
}

/// A text in UTF-8, without NUL, as PostgreSQL's are.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, FormatError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let most = error.error_len().unwrap_or(bytes.len() - at);
        // PostgreSQL shows as many bytes as the first says that the character has.
        let shown = match bytes[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        let shown = &bytes[at..(at + shown.max(most)).min(bytes.len())];
        let shown: Vec<_> = shown.iter().map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!(
            "invalid byte sequence for encoding \"UTF8\": {}",
            shown.join(" ")
        );
        FormatError::new("22021", message)
    })
}
