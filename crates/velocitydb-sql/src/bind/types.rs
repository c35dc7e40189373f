//! Names of types.

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};
use velocitydb_types::{ScalarType, SqlType, SqlTypeError};

use crate::error::{SqlError, sqlstate};
use crate::parse::folded;

/// The type that a statement names.
///
/// # Errors
/// There is no such type.
pub(crate) fn sql_type(named: &DataType) -> Result<SqlType, SqlError> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = named {
        return match sql_type(element)? {
            SqlType::Scalar(element) => Ok(SqlType::Array(element)),
            SqlType::Array(_) => Err(SqlError::unsupported("an array of several dimensions")),
        };
    }
    let zoned = |name: &str, zone: &TimezoneInfo, precision: &Option<u64>| {
        let zoned = matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz);
        let name = format!("{name}{}", if zoned { "tz" } else { "" });
        match precision {
            Some(precision) => format!("{name}({precision})"),
            None => name,
        }
    };
    let exact = |info: &ExactNumberInfo| match info {
        ExactNumberInfo::None => "numeric".to_owned(),
        ExactNumberInfo::Precision(precision) => format!("numeric({precision})"),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => {
            format!("numeric({precision},{scale})")
        }
    };
    let length = |name: &str, length: &Option<CharacterLength>| match length {
        Some(CharacterLength::IntegerLength { length, unit: None }) => format!("{name}({length})"),
        Some(other) => format!("{name}({other})"),
        None => name.to_owned(),
    };
    let text = match named {
        DataType::Timestamp(precision, zone) => zoned("timestamp", zone, precision),
        DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) => exact(info),
        DataType::Character(of) | DataType::Char(of) => length("char", of),
        DataType::CharacterVarying(of) | DataType::CharVarying(of) | DataType::Varchar(of) => {
            length("varchar", of)
        }
        // Of any length, with blanks that do not count; and of one byte.
        DataType::Custom(name, modifiers)
            if modifiers.is_empty() && ["bpchar", "\"char\""].contains(&&*name.to_string()) =>
        {
            let what = format!("the type {name}");
            return Err(SqlError::unsupported(what).hint("char(n), varchar and text are."));
        }
        DataType::Custom(name, modifiers) if modifiers.is_empty() => {
            let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).collect();
            match parts
                .iter()
                .map(|part| folded(part))
                .collect::<Vec<_>>()
                .as_slice()
            {
                [last] => last.clone(),
                [schema, last] if schema == "pg_catalog" => last.clone(),
                _ => name.to_string(),
            }
        }
        other => other.to_string(),
    };
    text.parse().map_err(|error: SqlTypeError| match error {
        SqlTypeError::Unknown(name) => {
            let name = name.to_lowercase();
            let plain = name.trim_end_matches("[]");
            let plain = plain.split(['(', ' ']).next().unwrap_or_default();
            let is_known = crate::absent::is_type(plain)
                || super::registered::is_registered(plain)
                || plain.parse::<SqlType>().is_ok();
            match is_known {
                true => SqlError::unsupported(format!("the type {name}")),
                false => {
                    let message = format!("type {name:?} does not exist");
                    SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
                }
            }
        }
        SqlTypeError::Modifier(message) if message.contains("not supported") => {
            SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
        }
        SqlTypeError::Modifier(message) => {
            SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
        }
    })
}

/// That texts are ordered so: by their bytes.
///
/// # Errors
/// They are ordered otherwise.
pub(crate) fn check_collation(collation: &ObjectName) -> Result<(), SqlError> {
    let last = collation.0.last().and_then(|part| part.as_ident());
    let last = last.map(folded).unwrap_or_default();
    match &*last {
        "C" | "POSIX" | "ucs_basic" | "default" => Ok(()),
        _ => {
            let what = format!("COLLATE {collation}: texts are ordered by their bytes, which");
            Err(SqlError::unsupported(what).hint("COLLATE \"C\" is supported."))
        }
    }
}

/// The type of integer columns that count by themselves: `serial` and its like.
pub(crate) fn serial(named: &DataType) -> Option<ScalarType> {
    let DataType::Custom(name, _) = named else {
        return None;
    };
    match name.to_string().to_ascii_lowercase().as_str() {
        "smallserial" | "serial2" => Some(ScalarType::Int2),
        "serial" | "serial4" => Some(ScalarType::Int4),
        "bigserial" | "serial8" => Some(ScalarType::Int8),
        _ => None,
    }
}
