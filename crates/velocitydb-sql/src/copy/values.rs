//! Fields of a row into the fields of a document: what is common without a value in between.

use velocitydb_types::{
    Date, EncodeError, FieldsBuilder, ScalarType, SqlType, Timestamp, ValueRef,
};

use crate::error::{SqlError, sqlstate};
use crate::formats::{Settings, read_binary, read_text};

/// Adds the value of a text.
///
/// # Errors
/// It is none of the type.
pub(super) fn push_text(
    builder: &mut FieldsBuilder,
    name: &str,
    text: &str,
    sql: SqlType,
    settings: &Settings,
) -> Result<(), SqlError> {
    let pushed = match common(text, sql) {
        Some(value) => builder.push(name, value).map(drop),
        None => {
            let value = read_text(text, sql, settings)?;
            builder.push_value(name, &value).map(drop)
        }
    };
    pushed.map_err(too_large)
}

/// Adds the value of bytes.
///
/// # Errors
/// As [`push_text`].
pub(super) fn push_binary(
    builder: &mut FieldsBuilder,
    name: &str,
    bytes: &[u8],
    sql: SqlType,
) -> Result<(), SqlError> {
    let text = |bytes| {
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text: &&str| !text.contains('\0'))
    };
    let value = match (sql, bytes.len()) {
        (SqlType::Scalar(ScalarType::Text | ScalarType::Varchar(None)), _) => {
            text(bytes).map(ValueRef::Str)
        }
        (SqlType::Scalar(ScalarType::Bytea), _) => Some(ValueRef::Bytes(bytes)),
        _ => None,
    };
    let pushed = match value {
        Some(value) => builder.push(name, value).map(drop),
        None => {
            let value = read_binary(bytes, sql)?;
            builder.push_value(name, &value).map(drop)
        }
    };
    pushed.map_err(too_large)
}

/// Why a document takes no more.
pub(super) fn too_large(error: EncodeError) -> SqlError {
    SqlError::new(sqlstate::PROGRAM_LIMIT_EXCEEDED, error.to_string())
}

/// The value of a text in the form that nearly all have; `None`: it has another, or is none.
fn common(text: &str, sql: SqlType) -> Option<ValueRef<'_>> {
    let SqlType::Scalar(scalar) = sql else {
        return None;
    };
    let bytes = text.as_bytes();
    Some(match scalar {
        ScalarType::Int2 => ValueRef::Int(i16::try_from(int(bytes)?).ok()?.into()),
        ScalarType::Int4 => ValueRef::Int(i32::try_from(int(bytes)?).ok()?.into()),
        ScalarType::Int8 => ValueRef::Int(int(bytes)?),
        ScalarType::Float8 => {
            let first = bytes.strip_prefix(b"-").unwrap_or(bytes).first()?;
            let float: f64 = text.parse().ok().filter(|_| first.is_ascii_digit())?;
            // What is too small or too large for the type is not common.
            ValueRef::Float(Some(float).filter(|float| float.is_normal())?)
        }
        ScalarType::Bool => match bytes {
            b"t" | b"true" => ValueRef::Bool(true),
            b"f" | b"false" => ValueRef::Bool(false),
            _ => return None,
        },
        ScalarType::Text | ScalarType::Varchar(None) => ValueRef::Str(text),
        ScalarType::Varchar(Some(length)) if text.len() <= length as usize => ValueRef::Str(text),
        ScalarType::Char(length) if text.len() <= length as usize => {
            ValueRef::Str(text.trim_end_matches(' '))
        }
        ScalarType::Date => ValueRef::Date(date(bytes)?),
        ScalarType::Timestamp => ValueRef::Time(moment(bytes, b"")?),
        // With a zone of its own; without one it is that of the session.
        ScalarType::Timestamptz => {
            let time = moment(bytes, b"Z").or_else(|| moment(bytes, b"+00"));
            ValueRef::Time(time?)
        }
        _ => return None,
    })
}

/// An integer of up to 18 digits, which none is too large for.
fn int(bytes: &[u8]) -> Option<i64> {
    let (digits, is_negative) = match bytes.strip_prefix(b"-") {
        Some(digits) => (digits, true),
        None => (bytes, false),
    };
    let magnitude = digits_of(digits).filter(|_| digits.len() <= 18)?;
    Some(if is_negative { -magnitude } else { magnitude })
}

fn digits_of(digits: &[u8]) -> Option<i64> {
    let mut number = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.wrapping_mul(10).wrapping_add(digit.into());
    }
    (!digits.is_empty()).then_some(number)
}

/// `2013-01-31`.
fn date(bytes: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *bytes else {
        return None;
    };
    let year = digits_of(&[y1, y2, y3, y4]).filter(|year| *year > 0)?;
    let month = u32::try_from(digits_of(&[m1, m2])?).ok()?;
    let day = u32::try_from(digits_of(&[d1, d2])?).ok()?;
    Date::from_ymd(year, month, day).ok()
}

/// `2013-01-31 10:15:00.5`, with a `T` between, and with what is to stand behind it.
fn moment(bytes: &[u8], zone: &[u8]) -> Option<Timestamp> {
    let bytes = bytes.strip_suffix(zone)?;
    let (day, clock) = bytes.split_at_checked(10)?;
    let [
        b' ' | b'T',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
        fraction @ ..,
    ] = clock
    else {
        return None;
    };
    let hours = digits_of(&[*h1, *h2]).filter(|hours| *hours < 24)?;
    let minutes = digits_of(&[*m1, *m2]).filter(|minutes| *minutes < 60)?;
    let seconds = digits_of(&[*s1, *s2]).filter(|seconds| *seconds < 60)?;
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if digits.len() <= 6 => {
            digits_of(digits)? * 10_i64.pow(6 - digits.len() as u32)
        }
        _ => return None,
    };
    let seconds = (hours * 60 + minutes) * 60 + seconds;
    let midnight = date(day)?.midnight()?;
    Some(Timestamp(midnight.0 + seconds * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use velocitydb_types::Timestamp;

    use super::*;

    /// What is read without a value in between is read as the same value as with one.
    #[test]
    fn the_common_forms_mean_what_they_mean_everywhere() {
        let settings = Settings::new(Timestamp(0));
        let types = [
            ScalarType::Int2,
            ScalarType::Int4,
            ScalarType::Int8,
            ScalarType::Float8,
            ScalarType::Bool,
            ScalarType::Text,
            ScalarType::Varchar(Some(4)),
            ScalarType::Char(4),
            ScalarType::Date,
            ScalarType::Timestamp,
            ScalarType::Timestamptz,
        ];
        let texts = [
            "",
            "0",
            "-0",
            "+1",
            "7",
            "-32768",
            "32768",
            "2147483648",
            "-9223372036854775808",
            "9223372036854775808",
            "999999999999999999",
            "1000000000000000000",
            " 1",
            "1 ",
            "1.5",
            "-1.5e300",
            "1e999",
            "1e-320",
            "0.0",
            ".5",
            "-",
            "NaN",
            "inf",
            "t",
            "f",
            "true",
            "yes",
            "abc",
            "abcd",
            "abcde",
            "ab  ",
            "äöüß",
            "äöüßx",
            "2013-01-31",
            "2013-02-29",
            "0000-01-01",
            "0001-01-01",
            "9999-12-31",
            "2013-1-31",
            "2013-01-31 10:15:00",
            "2013-01-31T10:15:00",
            "2013-01-31T10:15:00Z",
            "2013-01-31 10:15:00+00",
            "2013-01-31 10:15:00.5",
            "2013-01-31 10:15:00.123456Z",
            "2013-01-31 10:15:00.1234567",
            "2013-01-31 24:00:00",
            "2013-01-31 10:15:60",
            "2013-01-31 10:15:00.",
            "10:15",
        ];
        for scalar in types {
            for text in texts {
                if let Some(value) = common(text, scalar.into()) {
                    let read = read_text(text, scalar.into(), &settings);
                    assert_eq!(Ok(value.to_value()), read, "{text:?} as {scalar}");
                }
            }
        }
        assert!(common("2013-01-31T10:15:00Z", ScalarType::Timestamptz.into()).is_some());
        assert!(common("-17", ScalarType::Int4.into()).is_some());
    }
}
