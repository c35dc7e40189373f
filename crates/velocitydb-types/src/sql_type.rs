//! The PostgreSQL types that columns may have, as one table: [`SCALAR_TYPES`].
//!
//! A field's [`FieldType`] says how its values are kept; its [`SqlType`] says what it is called,
//! and how narrow it is, at the SQL door: `int4` and `int8` are both integers, `varchar(20)` is a
//! string of at most 20 characters. A field that says nothing has the SQL type of its
//! [`FieldType`]. Tests: below.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::FieldType;

/// A type of a column or of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// One value.
    Scalar(ScalarType),
    /// Values of one type, in order.
    Array(ScalarType),
}

/// A type that is not an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalarType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`, or `numeric(precision, scale)`.
    Numeric(Option<(u16, u16)>),
    /// `text`
    Text,
    /// `character varying`, of at most so many characters.
    Varchar(Option<u32>),
    /// `character(n)`, filled up with blanks.
    Char(u32),
    /// `bytea`
    Bytea,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `interval`
    Interval,
    /// `uuid`
    Uuid,
    /// `json`, kept as `jsonb` is.
    Json,
    /// `jsonb`
    Jsonb,
    /// `point`
    Point,
}

/// What PostgreSQL says of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqlTypeRow {
    /// The type; of those with a length or precision, without.
    pub scalar: ScalarType,
    /// How it is kept.
    pub kept: FieldType,
    /// Its name in `pg_type`.
    pub name: &'static str,
    /// Its name in messages and in `format_type`.
    pub long_name: &'static str,
    /// Its other names.
    pub aliases: &'static [&'static str],
    /// Its object id.
    pub oid: u32,
    /// The object id of arrays of it.
    pub array_oid: u32,
    /// Bytes of a value; -1: they differ.
    pub length: i16,
}

/// Every type.
#[rustfmt::skip]
pub const SCALAR_TYPES: &[SqlTypeRow] = &[
    row(ScalarType::Bool, FieldType::Bool, "bool", "boolean", &[], 16, 1000, 1),
    row(ScalarType::Int2, FieldType::Int, "int2", "smallint", &[], 21, 1005, 2),
    row(ScalarType::Int4, FieldType::Int, "int4", "integer", &["int"], 23, 1007, 4),
    row(ScalarType::Int8, FieldType::Int, "int8", "bigint", &[], 20, 1016, 8),
    row(ScalarType::Float4, FieldType::Float, "float4", "real", &[], 700, 1021, 4),
    row(ScalarType::Float8, FieldType::Float, "float8", "double precision", &["float", "double"], 701, 1022, 8),
    row(ScalarType::Numeric(None), FieldType::Decimal, "numeric", "numeric", &["decimal", "dec"], 1700, 1231, -1),
    row(ScalarType::Text, FieldType::String, "text", "text", &["string"], 25, 1009, -1),
    row(ScalarType::Varchar(None), FieldType::String, "varchar", "character varying", &[], 1043, 1015, -1),
    row(ScalarType::Char(1), FieldType::String, "bpchar", "character", &["char"], 1042, 1014, -1),
    row(ScalarType::Bytea, FieldType::Bytes, "bytea", "bytea", &[], 17, 1001, -1),
    row(ScalarType::Date, FieldType::Date, "date", "date", &[], 1082, 1182, 4),
    row(ScalarType::Timestamp, FieldType::Time, "timestamp", "timestamp without time zone", &[], 1114, 1115, 8),
    row(ScalarType::Timestamptz, FieldType::Time, "timestamptz", "timestamp with time zone", &[], 1184, 1185, 8),
    row(ScalarType::Interval, FieldType::Interval, "interval", "interval", &[], 1186, 1187, 16),
    row(ScalarType::Uuid, FieldType::Uuid, "uuid", "uuid", &[], 2950, 2951, 16),
    row(ScalarType::Json, FieldType::Json, "json", "json", &[], 114, 199, -1),
    row(ScalarType::Jsonb, FieldType::Json, "jsonb", "jsonb", &[], 3802, 3807, -1),
    row(ScalarType::Point, FieldType::Point, "point", "point", &[], 600, 1017, 16),
];

#[expect(clippy::too_many_arguments, reason = "it writes a row of the table")]
const fn row(
    scalar: ScalarType,
    kept: FieldType,
    name: &'static str,
    long_name: &'static str,
    aliases: &'static [&'static str],
    oid: u32,
    array_oid: u32,
    length: i16,
) -> SqlTypeRow {
    SqlTypeRow {
        scalar,
        kept,
        name,
        long_name,
        aliases,
        oid,
        array_oid,
        length,
    }
}

/// Characters that `varchar(n)` and `char(n)` may be declared with.
const LENGTH_MAX: u32 = 10_485_760;

/// Digits that `numeric(p, s)` may be declared with: those of a decimal.
const PRECISION_MAX: u16 = 1000;

impl ScalarType {
    /// What PostgreSQL says of it.
    pub fn row(self) -> &'static SqlTypeRow {
        let plain = match self {
            Self::Numeric(_) => Self::Numeric(None),
            Self::Varchar(_) => Self::Varchar(None),
            Self::Char(_) => Self::Char(1),
            plain => plain,
        };
        let row = SCALAR_TYPES.iter().find(|row| row.scalar == plain);
        row.expect("every type is in the table")
    }

    /// Whether it is a number.
    pub fn is_number(self) -> bool {
        matches!(
            self.row().kept,
            FieldType::Int | FieldType::Float | FieldType::Decimal
        )
    }

    /// Whether it is a text.
    pub fn is_text(self) -> bool {
        self.row().kept == FieldType::String
    }

    /// The modifier that tells its length or precision on the wire; -1: it has none.
    pub fn modifier(self) -> i32 {
        match self {
            Self::Varchar(Some(length)) | Self::Char(length) => length as i32 + 4,
            Self::Numeric(Some((precision, scale))) => {
                (i32::from(precision) << 16 | i32::from(scale)) + 4
            }
            _ => -1,
        }
    }
}

impl SqlType {
    /// Its object id.
    pub fn oid(self) -> u32 {
        match self {
            Self::Scalar(scalar) => scalar.row().oid,
            Self::Array(element) => element.row().array_oid,
        }
    }

    /// The type of an object id.
    pub fn from_oid(oid: u32) -> Option<SqlType> {
        SCALAR_TYPES.iter().find_map(|row| match oid {
            _ if oid == row.oid => Some(Self::Scalar(row.scalar)),
            _ if oid == row.array_oid => Some(Self::Array(row.scalar)),
            _ => None,
        })
    }

    /// How its values are kept.
    pub fn kept(self) -> FieldType {
        match self {
            Self::Scalar(scalar) => scalar.row().kept,
            Self::Array(_) => FieldType::Array,
        }
    }

    /// Bytes of a value; -1: they differ.
    pub fn length(self) -> i16 {
        match self {
            Self::Scalar(scalar) => scalar.row().length,
            Self::Array(_) => -1,
        }
    }

    /// The modifier that tells its length or precision on the wire; -1: it has none.
    pub fn modifier(self) -> i32 {
        match self {
            Self::Scalar(scalar) | Self::Array(scalar) => scalar.modifier(),
        }
    }
}

/// The SQL type of a field that says nothing but how it is kept.
impl From<FieldType> for SqlType {
    fn from(kept: FieldType) -> SqlType {
        Self::Scalar(match kept {
            FieldType::Json | FieldType::Array | FieldType::Map => ScalarType::Jsonb,
            FieldType::String => ScalarType::Text,
            FieldType::Int => ScalarType::Int8,
            FieldType::Float => ScalarType::Float8,
            FieldType::Decimal => ScalarType::Numeric(None),
            FieldType::Bool => ScalarType::Bool,
            FieldType::Time => ScalarType::Timestamptz,
            FieldType::Date => ScalarType::Date,
            FieldType::Interval => ScalarType::Interval,
            FieldType::Uuid => ScalarType::Uuid,
            FieldType::Bytes => ScalarType::Bytea,
            FieldType::Point => ScalarType::Point,
        })
    }
}

impl From<ScalarType> for SqlType {
    fn from(scalar: ScalarType) -> SqlType {
        Self::Scalar(scalar)
    }
}

/// As PostgreSQL's `format_type` writes it.
impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Array(element) => write!(f, "{element}[]"),
        }
    }
}

impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().long_name)?;
        match self {
            Self::Varchar(Some(length)) | Self::Char(length) => write!(f, "({length})"),
            Self::Numeric(Some((precision, scale))) => write!(f, "({precision},{scale})"),
            _ => Ok(()),
        }
    }
}

/// A text that is the name of no type that we have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SqlTypeError {
    /// There is no such type.
    #[error("type {0:?} does not exist")]
    Unknown(String),
    /// A length, precision or scale that the type may not have.
    #[error("{0}")]
    Modifier(String),
}

/// Reads a name with its modifiers, in any case: `varchar(20)`, `Double Precision`, `int4[]`.
impl FromStr for SqlType {
    type Err = SqlTypeError;

    fn from_str(text: &str) -> Result<SqlType, SqlTypeError> {
        let name = text.trim();
        let (name, is_array) = match name.strip_suffix("[]") {
            Some(element) => (element.trim_end(), true),
            None => (name, false),
        };
        let unknown = || SqlTypeError::Unknown(text.to_owned());
        let (name, modifiers) = match name.split_once('(') {
            None => (name, Vec::new()),
            Some((name, rest)) => {
                let inside = rest.strip_suffix(')').ok_or_else(unknown)?;
                let numbers = inside.split(',').map(|number| number.trim().parse().ok());
                let numbers: Option<Vec<u32>> = numbers.collect();
                (name.trim_end(), numbers.ok_or_else(unknown)?)
            }
        };
        let scalar = ScalarType::named(name, &modifiers)?.ok_or_else(unknown)?;
        Ok(match is_array {
            true => Self::Array(scalar),
            false => Self::Scalar(scalar),
        })
    }
}

impl ScalarType {
    /// The type of this name and these modifiers, if there is one of the name.
    ///
    /// # Errors
    /// Modifiers that it does not take.
    pub fn named(name: &str, modifiers: &[u32]) -> Result<Option<ScalarType>, SqlTypeError> {
        let name = name.to_ascii_lowercase();
        let row = SCALAR_TYPES
            .iter()
            .find(|row| row.name == name || row.long_name == name || row.aliases.contains(&&*name));
        let Some(row) = row else { return Ok(None) };
        let wrong = |what: &str| Err(SqlTypeError::Modifier(format!("{}: {what}", row.long_name)));
        let length = |length| match length {
            1..=LENGTH_MAX => Ok(length),
            _ => Err(SqlTypeError::Modifier(format!(
                "length for type {} must be 1 to {LENGTH_MAX}",
                row.name
            ))),
        };
        Ok(Some(match (row.scalar, modifiers) {
            (Self::Varchar(_), &[characters]) => Self::Varchar(Some(length(characters)?)),
            (Self::Char(_), &[characters]) => Self::Char(length(characters)?),
            (Self::Numeric(_), &[precision]) => numeric(precision, 0)?,
            (Self::Numeric(_), &[precision, scale]) => numeric(precision, scale)?,
            // All moments are to the microsecond.
            (Self::Timestamp | Self::Timestamptz | Self::Interval, &[6]) => row.scalar,
            (Self::Timestamp | Self::Timestamptz | Self::Interval, &[_]) => {
                return wrong("a precision other than 6 is not supported");
            }
            (Self::Float8, &[digits]) if name == "float" => match digits {
                1..=24 => Self::Float4,
                25..=53 => Self::Float8,
                _ => return wrong("precision must be 1 to 53"),
            },
            (plain, []) => plain,
            _ => return wrong("the type takes no such modifier"),
        }))
    }
}

fn numeric(precision: u32, scale: u32) -> Result<ScalarType, SqlTypeError> {
    let wrong = |what: String| Err(SqlTypeError::Modifier(what));
    match (u16::try_from(precision), u16::try_from(scale)) {
        (Ok(precision @ 1..=PRECISION_MAX), Ok(scale)) if scale <= precision => {
            Ok(ScalarType::Numeric(Some((precision, scale))))
        }
        (Ok(1..=PRECISION_MAX), _) => wrong(format!(
            "NUMERIC scale {scale} must be between 0 and precision {precision}"
        )),
        _ => wrong(format!(
            "NUMERIC precision {precision} must be between 1 and {PRECISION_MAX}"
        )),
    }
}

impl Serialize for SqlType {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SqlType {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_as_it_is_written() {
        let given = [
            ScalarType::Numeric(Some((10, 2))),
            ScalarType::Varchar(Some(20)),
            ScalarType::Char(3),
        ];
        let all = SCALAR_TYPES.iter().map(|row| row.scalar).chain(given);
        for sql in all.flat_map(|scalar| [SqlType::Scalar(scalar), SqlType::Array(scalar)]) {
            assert_eq!(sql.to_string().parse(), Ok(sql), "{sql}");
            assert_eq!(SqlType::from_oid(sql.oid()).unwrap().kept(), sql.kept());
        }
        for row in SCALAR_TYPES {
            for name in row.aliases.iter().chain([&row.name]) {
                let read: SqlType = name.parse().unwrap();
                assert_eq!(read.oid(), row.oid, "{name}");
            }
        }
    }

    #[test]
    fn modifiers_are_read_and_judged() {
        let read = |text: &str| text.parse::<SqlType>().map(|read| read.to_string());
        assert_eq!(read("DECIMAL(10,2)[]").unwrap(), "numeric(10,2)[]");
        assert_eq!(read("char").unwrap(), "character(1)");
        assert_eq!(read("float(24)").unwrap(), "real");
        assert_eq!(read("timestamptz(6)").unwrap(), "timestamp with time zone");
        for wrong in [
            "varchar(0)",
            "numeric(2,3)",
            "int4(3)",
            "timestamp(3)",
            "money",
            "text[",
            "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            "numeric(10,2)".parse::<SqlType>().unwrap().modifier(),
            655_366
        );
        assert_eq!("varchar(20)".parse::<SqlType>().unwrap().modifier(), 24);
    }

    /// The SQL type of a field that says nothing keeps its values as they are.
    #[test]
    fn the_tables_of_types_agree() {
        for row in crate::FIELD_TYPES {
            let sql = SqlType::from(row.kind);
            assert_eq!(sql.oid(), row.postgres_oid, "{}", row.name);
            let SqlType::Scalar(scalar) = sql else {
                panic!("{sql}")
            };
            assert_eq!(scalar.row().name, row.postgres_name);
        }
    }
}
