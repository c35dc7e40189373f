//! The type of a column from the texts in it, and texts as values of a type.
//!
//! A guess must lose nothing: what is written back from the value means the same as the text.
//! So `007` is a string (a code, not a number), an integer beyond 64 bits is a string and not a
//! rounded float, and integers join floats only up to 2^53. Columns that the caller declares are
//! read more freely: there the caller knows what the text means.
//!
//! Tests: below, and the types of the sample data in `reader/tests.rs`.

use velocitydb_types::{FieldType, Value};

/// Integers up to here, of either sign, are exact as floats.
const FLOAT_INT_MAX: u64 = 1 << 53;

/// The narrowest type whose values write `text` as it is.
pub(crate) fn guess(text: &str) -> FieldType {
    const TYPES: [FieldType; 5] = [
        FieldType::Int,
        FieldType::Float,
        FieldType::Bool,
        FieldType::Time,
        FieldType::Date,
    ];
    let fits = |field_type: &FieldType| parse_inferred(text, *field_type).is_some();
    TYPES.into_iter().find(fits).unwrap_or(FieldType::String)
}

/// The narrowest type that a column of type `column` may widen to so that it holds `text` too.
pub(crate) fn widen(column: Option<FieldType>, text: &str) -> FieldType {
    let Some(column) = column else {
        return guess(text);
    };
    if parse_inferred(text, column).is_some() {
        return column;
    }
    match (column, guess(text)) {
        (FieldType::Int, FieldType::Float) => FieldType::Float,
        _ => FieldType::String,
    }
}

/// `text` as a value of one of the types that are guessed; nothing when it does not fit.
pub(crate) fn parse_inferred(text: &str, field_type: FieldType) -> Option<Value> {
    match field_type {
        FieldType::Int => int(text).map(Value::Int),
        FieldType::Float => float(text).map(Value::Float),
        FieldType::Bool => bool(text).map(Value::Bool),
        // A letter would be a year with a sign, or no date at all.
        FieldType::Time if starts_with_digit(text) => text.parse().ok().map(Value::Time),
        FieldType::Date if starts_with_digit(text) => text.parse().ok().map(Value::Date),
        FieldType::String => Some(Value::String(text.to_owned())),
        _ => None,
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_digit)
}

/// Whether these are the digits of a number as it is written, without zeros in front.
fn is_plain(digits: &[u8]) -> bool {
    match digits {
        [b'0', _, ..] => false,
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

fn int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if digits.is_empty() || !is_plain(digits) || text == "-0" {
        return None;
    }
    text.parse().ok()
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_plain(whole.as_bytes()) || !fraction_digits {
        return None;
    }
    let is_int = mantissa.len() == whole.len() && exponent.is_none();
    if is_int
        && whole
            .parse::<u64>()
            .ok()
            .is_none_or(|whole| whole > FLOAT_INT_MAX)
    {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

fn bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_lose_nothing() {
        use FieldType::{Bool, Date, Float, Int, String, Time};
        for (texts, expected) in [
            (
                &[
                    "0",
                    "7",
                    "-7",
                    "9223372036854775807",
                    "-9223372036854775808",
                ][..],
                Int,
            ),
            (&["0.5", "-1.", ".5", "1e3", "-2.5E-7", "0.0", "-0"], Float),
            (&["true", "False", "TRUE"], Bool),
            (&["2013-01-31"], Date),
            (
                &["2013-01-31T10:00:00Z", "2013-01-31 10:00:00.5+01:00"],
                Time,
            ),
            (
                &[
                    "007", "-07", "00", "+5", " 5", "5 ", "1,5", "0x10", "1_000", "-", ".",
                ],
                String,
            ),
            (
                &[
                    "9223372036854775808",
                    "1e999",
                    "e5",
                    "1e",
                    "1e+",
                    "1.2.3",
                    "--1",
                    "1-",
                ],
                String,
            ),
            (
                &["NaN", "inf", "infinity", "t", "yes", "null", "04G", "9E"],
                String,
            ),
            (
                &[
                    "2013-02-30",
                    "2013-1-1",
                    "10:00",
                    "2013-01-31T10:00:00",
                    "+12013-01-01",
                ],
                String,
            ),
        ] {
            for text in texts {
                assert_eq!(guess(text), expected, "{text:?}");
                assert!(parse_inferred(text, expected).is_some(), "{text:?}");
            }
        }
    }

    #[test]
    fn types_widen_to_float_or_string() {
        use FieldType::{Bool, Date, Float, Int, String, Time};
        for (column, text, expected) in [
            (None, "1", Int),
            (Some(Int), "1", Int),
            (Some(Int), "0.5", Float),
            (Some(Int), "x", String),
            (Some(Int), "true", String),
            (Some(Float), "9007199254740992", Float),
            (Some(Float), "9007199254740993", String),
            (Some(Bool), "1", String),
            (Some(Date), "2013-01-01T00:00:00Z", String),
            (Some(Time), "2013-01-01", String),
            (Some(String), "1", String),
        ] {
            assert_eq!(widen(column, text), expected, "{column:?} and {text}");
        }
    }
}
