//! The table of field types: one row for each, and its name at every door.
//!
//! [`FIELD_TYPES`] is the only place that maps a type to JSON, PostgreSQL and Arrow; `Display`
//! and `FromStr` read it, and so do documentation and the SQL catalog. Tests: below.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encoding::tag;
use crate::error::ErrorClass;
use crate::raw::RawValue;

/// What a declared field may hold (and null, unless it is required).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Any value.
    #[serde(alias = "any")]
    Json,
    /// UTF-8 text.
    String,
    /// A 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// An exact decimal.
    Decimal,
    /// True or false.
    Bool,
    /// A moment, to the microsecond, UTC.
    Time,
    /// A day.
    Date,
    /// A UUID.
    Uuid,
    /// Raw bytes.
    Bytes,
    /// Any values, in order.
    Array,
    /// Any values, by name.
    Map,
    /// A geographic point.
    Point,
    /// A span of calendar time: months, days, microseconds.
    Interval,
}

/// What one field type is called where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRow {
    /// The type.
    pub kind: FieldType,
    /// Its name in schemas and messages.
    pub name: &'static str,
    /// What it is in JSON.
    pub json: &'static str,
    /// Its PostgreSQL type.
    pub postgres_name: &'static str,
    /// The object id of that type.
    pub postgres_oid: u32,
    /// Its Arrow type, as Arrow's `DataType` is written.
    pub arrow: &'static str,
}

/// Every field type, in the order of the enum.
pub const FIELD_TYPES: &[TypeRow] = &[
    row(FieldType::Json, "json", "any", "jsonb", 3802, "Utf8"),
    row(FieldType::String, "string", "string", "text", 25, "Utf8"),
    row(FieldType::Int, "int", "number", "int8", 20, "Int64"),
    row(
        FieldType::Float,
        "float",
        "number",
        "float8",
        701,
        "Float64",
    ),
    row(
        FieldType::Decimal,
        "decimal",
        "string such as \"1.50\", or a whole number",
        "numeric",
        1700,
        "Decimal128(38, 10)",
    ),
    row(
        FieldType::Bool,
        "bool",
        "true or false",
        "bool",
        16,
        "Boolean",
    ),
    row(
        FieldType::Time,
        "time",
        "string such as \"2026-11-30T12:00:00Z\"",
        "timestamptz",
        1184,
        "Timestamp(Microsecond, Some(\"UTC\"))",
    ),
    row(
        FieldType::Date,
        "date",
        "string such as \"2026-11-30\"",
        "date",
        1082,
        "Date32",
    ),
    row(
        FieldType::Uuid,
        "uuid",
        "string such as \"0191e0a4-7b7c-7000-8000-000000000001\"",
        "uuid",
        2950,
        "FixedSizeBinary(16)",
    ),
    row(
        FieldType::Bytes,
        "bytes",
        "string of base64",
        "bytea",
        17,
        "Binary",
    ),
    row(FieldType::Array, "array", "array", "jsonb", 3802, "Utf8"),
    row(FieldType::Map, "map", "object", "jsonb", 3802, "Utf8"),
    row(
        FieldType::Point,
        "point",
        "object {\"type\":\"Point\",\"coordinates\":[lon,lat]}",
        "point",
        600,
        "FixedSizeList(Float64, 2)",
    ),
    row(
        FieldType::Interval,
        "interval",
        "string such as \"P1DT2H30M\" or \"1 day 02:30:00\"",
        "interval",
        1186,
        "Interval(MonthDayNano)",
    ),
];

const fn row(
    kind: FieldType,
    name: &'static str,
    json: &'static str,
    postgres_name: &'static str,
    postgres_oid: u32,
    arrow: &'static str,
) -> TypeRow {
    TypeRow {
        kind,
        name,
        json,
        postgres_name,
        postgres_oid,
        arrow,
    }
}

/// A name that no field type has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown field type {name:?}")]
pub struct UnknownType {
    /// The name given.
    pub name: String,
}

impl UnknownType {
    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl FieldType {
    /// This type's row of [`FIELD_TYPES`].
    pub fn row(self) -> &'static TypeRow {
        &FIELD_TYPES[self as usize]
    }

    /// The type's name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether a value is of the type. Null is none but [`Self::Json`]'s.
    pub fn accepts(self, value: RawValue<'_>) -> bool {
        self.tags() & 1_u32.wrapping_shl(value.tag().into()) != 0
    }

    /// The tags of the values that it accepts, a bit each.
    pub(crate) const fn tags(self) -> u32 {
        match self {
            Self::Json => u32::MAX,
            Self::String => 1 << tag::STRING,
            Self::Int => 1 << tag::INT,
            Self::Float => 1 << tag::FLOAT,
            Self::Decimal => 1 << tag::DECIMAL,
            Self::Bool => 1 << tag::FALSE | 1 << tag::TRUE,
            Self::Time => 1 << tag::TIME,
            Self::Date => 1 << tag::DATE,
            Self::Uuid => 1 << tag::UUID,
            Self::Bytes => 1 << tag::BYTES,
            Self::Array => 0b111 << tag::ARRAY,
            Self::Map => 0b111 << tag::MAP,
            Self::Point => 1 << tag::POINT,
            Self::Interval => 1 << tag::INTERVAL,
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FieldType {
    type Err = UnknownType;

    /// Reads a name of [`FIELD_TYPES`], or `any` for `json`.
    fn from_str(name: &str) -> Result<Self, UnknownType> {
        if name == "any" {
            return Ok(Self::Json);
        }
        let row = FIELD_TYPES.iter().find(|row| row.name == name);
        row.map(|row| row.kind).ok_or_else(|| UnknownType {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Date, Decimal, Interval, Point, Timestamp, Uuid, Value, encode_value};

    #[test]
    fn every_type_has_its_own_row() {
        assert_eq!(FIELD_TYPES.len(), FieldType::Interval as usize + 1);
        for (index, row) in FIELD_TYPES.iter().enumerate() {
            assert_eq!(row.kind as usize, index);
            assert_eq!(row.name.parse(), Ok(row.kind));
            assert_eq!(row.kind.to_string(), row.name);
            assert_eq!(serde_json::to_value(row.kind).unwrap(), row.name);
        }
        assert_eq!("any".parse(), Ok(FieldType::Json));
        assert!("integer".parse::<FieldType>().is_err());
    }

    #[test]
    fn values_and_types_agree_on_names() {
        let values = [
            Value::from("x"),
            1.into(),
            1.5.into(),
            Decimal::zero().into(),
            true.into(),
            Timestamp(0).into(),
            Date(0).into(),
            Uuid::nil().into(),
            vec![0_u8].into(),
            Vec::<Value>::new().into(),
            Value::Map(Default::default()),
            Point::new(0.0, 0.0).unwrap().into(),
            Interval::ZERO.into(),
        ];
        for (value, row) in values.iter().zip(&FIELD_TYPES[1..]) {
            let bytes = encode_value(value).unwrap();
            let raw = RawValue::trusted(&bytes);
            assert_eq!((value.type_name(), raw.type_name()), (row.name, row.name));
            for other in FIELD_TYPES {
                let expected = other.kind == row.kind || other.kind == FieldType::Json;
                assert_eq!(
                    other.kind.accepts(raw),
                    expected,
                    "{value:?} as {}",
                    other.name
                );
            }
        }
        assert!(!FieldType::Map.accepts(RawValue::NULL));
    }
}
