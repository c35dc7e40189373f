//! Names of types.

use sqlparser::ast::{ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, TimezoneInfo};
use velocitydb_types::{ScalarType, SqlType, SqlTypeError};

use crate::error::{SqlError, sqlstate};

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
        Some(CharacterLength::IntegerLength { length, .. }) => format!("{name}({length})"),
        _ => name.to_owned(),
    };
    let text = match named {
        DataType::Timestamp(precision, zone) => zoned("timestamp", zone, precision),
        DataType::Decimal(info) | DataType::Numeric(info) | DataType::Dec(info) => exact(info),
        DataType::Character(of) | DataType::Char(of) => length("char", of),
        DataType::CharacterVarying(of) | DataType::CharVarying(of) | DataType::Varchar(of) => {
            length("varchar", of)
        }
        DataType::Custom(name, modifiers) if modifiers.is_empty() => {
            let last = name.0.last().and_then(|part| part.as_ident());
            last.map_or_else(|| name.to_string(), crate::parse::folded)
        }
        other => other.to_string(),
    };
    text.parse().map_err(|error: SqlTypeError| match error {
        SqlTypeError::Unknown(name) => {
            let message = format!("type {:?} does not exist", name.to_lowercase());
            SqlError::new(sqlstate::UNDEFINED_OBJECT, message)
        }
        SqlTypeError::Modifier(message) => {
            SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
        }
    })
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
