//! How values stand in columns of Arrow: the one table of types.
//!
//! | SQL | form | Arrow |
//! | --- | --- | --- |
//! | boolean | `Bool` | Boolean |
//! | smallint, integer, bigint | `Int` | Int64 |
//! | real, double precision | `Float` | Float64 |
//! | text, varchar, char | `Text` | Utf8View |
//! | date | `Date` | Date32 |
//! | timestamp, timestamptz | `Time` | Timestamp, microseconds |
//! | numeric of a scale | `Decimal` | Decimal128, Decimal256 |
//! | numeric, uuid, bytea, point, arrays | `Key` | Binary: the value's order-preserving bytes |
//! | interval, json, jsonb | `Exact` | Binary: the same, and the value as it is kept |
//!
//! The bytes of a key compare as values do. Several intervals (a month, thirty days) and numbers in JSON
//! (1, 1.0) have one key: so behind the key stands which one it is. Where such are compared, only the
//! keys count.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Decimal256Builder, Float64Builder, Int64Builder, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, i256,
};
use velocitydb_types::number::Number;
use velocitydb_types::{
    Date, Decimal, RawValue, ScalarType, SqlType, Timestamp, Value, View, decode_value_key,
    encode_value, encode_value_key,
};

/// How values of a column stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    Bool,
    Int,
    Float,
    Text,
    Date,
    Time,
    /// With so many digits, and so many of them behind the point.
    Decimal(u8, i8),
    Key,
    Exact,
}

/// The most digits of a decimal of 128 bits …
const DIGITS_128: u8 = 38;
/// … and of one of 256.
const DIGITS_256: u8 = 76;

impl Form {
    /// That of a type.
    pub(crate) fn of(sql: SqlType) -> Form {
        use ScalarType as T;
        let SqlType::Scalar(scalar) = sql else {
            return match sql {
                SqlType::Array(T::Interval | T::Json | T::Jsonb) => Form::Exact,
                _ => Form::Key,
            };
        };
        match scalar {
            T::Bool => Form::Bool,
            T::Int2 | T::Int4 | T::Int8 => Form::Int,
            T::Float4 | T::Float8 => Form::Float,
            T::Text | T::Varchar(_) | T::Char(_) => Form::Text,
            T::Date => Form::Date,
            T::Timestamp | T::Timestamptz => Form::Time,
            T::Numeric(Some((digits, scale))) => {
                Form::decimal(digits.into(), scale.into()).unwrap_or(Form::Key)
            }
            T::Interval | T::Json | T::Jsonb => Form::Exact,
            _ => Form::Key,
        }
    }

    /// A decimal of so many digits; `None`: there are too many.
    pub(crate) fn decimal(digits: u32, scale: u32) -> Option<Form> {
        let fits = digits <= u32::from(DIGITS_256) && scale <= digits;
        fits.then_some(Form::Decimal(digits.max(1) as u8, scale as i8))
    }

    /// Arrow's type.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Form::Bool => DataType::Boolean,
            Form::Int => DataType::Int64,
            Form::Float => DataType::Float64,
            Form::Text => DataType::Utf8View,
            Form::Date => DataType::Date32,
            Form::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Form::Decimal(digits, scale) if digits <= DIGITS_128 => {
                DataType::Decimal128(digits, scale)
            }
            Form::Decimal(digits, scale) => DataType::Decimal256(digits, scale),
            Form::Key | Form::Exact => DataType::Binary,
        }
    }

    /// The digits and the scale, where it is a number without a fraction of a float.
    pub(crate) fn digits(self) -> Option<(u32, u32)> {
        match self {
            Form::Int => Some((19, 0)),
            Form::Decimal(digits, scale) => Some((digits.into(), scale as u32)),
            _ => None,
        }
    }
}

/// A column in the making.
pub(crate) enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringViewBuilder),
    Date(Date32Builder),
    Time(TimestampMicrosecondBuilder),
    Decimal(Decimal128Builder, i8),
    Wide(Decimal256Builder, i8),
    Bytes(BinaryBuilder, Form, Vec<u8>),
}

impl Builder {
    /// A column of a form, with room for so many values.
    pub(crate) fn new(form: Form, rows: usize) -> Builder {
        match form {
            Form::Bool => Builder::Bool(BooleanBuilder::with_capacity(rows)),
            Form::Int => Builder::Int(Int64Builder::with_capacity(rows)),
            Form::Float => Builder::Float(Float64Builder::with_capacity(rows)),
            Form::Text => Builder::Text(StringViewBuilder::with_capacity(rows)),
            Form::Date => Builder::Date(Date32Builder::with_capacity(rows)),
            Form::Time => Builder::Time(TimestampMicrosecondBuilder::with_capacity(rows)),
            Form::Decimal(digits, scale) if digits <= DIGITS_128 => {
                let builder = Decimal128Builder::with_capacity(rows);
                Builder::Decimal(builder.with_data_type(form.data_type()), scale)
            }
            Form::Decimal(_, scale) => {
                let builder = Decimal256Builder::with_capacity(rows);
                Builder::Wide(builder.with_data_type(form.data_type()), scale)
            }
            Form::Key | Form::Exact => Builder::Bytes(
                BinaryBuilder::with_capacity(rows, 16 * rows),
                form,
                Vec::new(),
            ),
        }
    }

    /// Adds a value of a document. What is of another type than the column is null: documents were
    /// judged when they were written.
    #[inline]
    pub(crate) fn push_raw(&mut self, raw: Option<RawValue<'_>>) {
        let Some(raw) = raw else {
            return self.push_null();
        };
        match self {
            Builder::Int(builder) => builder.append_option(raw.as_int()),
            Builder::Text(builder) => builder.append_option(raw.as_str()),
            Builder::Decimal(builder, scale) => match raw.as_small_decimal() {
                Some((digits, from)) => builder.append_option(rescaled(digits, from, *scale)),
                None => self.push_view(View::from(raw)),
            },
            Builder::Date(builder) => builder.append_option(raw.as_date().map(|date| date.0)),
            Builder::Time(builder) => builder.append_option(raw.as_time().map(|time| time.0)),
            Builder::Bool(builder) => builder.append_option(raw.as_bool()),
            _ => self.push_view(View::from(raw)),
        }
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, value: &Value) {
        self.push_view(View::from(value));
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Builder::Bool(builder) => builder.append_null(),
            Builder::Int(builder) => builder.append_null(),
            Builder::Float(builder) => builder.append_null(),
            Builder::Text(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
            Builder::Time(builder) => builder.append_null(),
            Builder::Decimal(builder, _) => builder.append_null(),
            Builder::Wide(builder, _) => builder.append_null(),
            Builder::Bytes(builder, ..) => builder.append_null(),
        }
    }

    fn push_view(&mut self, view: View<'_>) {
        match (self, view) {
            (Builder::Bool(builder), View::Bool(bool)) => builder.append_value(bool),
            (Builder::Int(builder), View::Number(Number::Int(int))) => builder.append_value(int),
            (Builder::Float(builder), View::Number(number)) => {
                builder.append_option(match number {
                    // −0 equals 0.
                    Number::Float(float) => Some(float + 0.0),
                    Number::Int(int) => Some(int as f64),
                    Number::Decimal(_) => None,
                });
            }
            (Builder::Text(builder), View::Str(text)) => {
                builder.append_value(str::from_utf8(text).unwrap_or_default());
            }
            (Builder::Date(builder), View::Date(date)) => builder.append_value(date.0),
            (Builder::Time(builder), View::Time(time)) => builder.append_value(time.0),
            (Builder::Decimal(builder, scale), View::Number(number)) => {
                let exact = decimal_of(number).and_then(|decimal| exact(&decimal, *scale));
                builder.append_option(exact.and_then(i256::to_i128));
            }
            (Builder::Wide(builder, scale), View::Number(number)) => {
                let exact = decimal_of(number).and_then(|decimal| exact(&decimal, *scale));
                builder.append_option(exact);
            }
            (this, View::Null) => this.push_null(),
            (Builder::Bytes(builder, form, bytes), view) => {
                bytes.clear();
                write(view, *form, bytes);
                builder.append_value(bytes);
            }
            (this, _) => this.push_null(),
        }
    }

    /// The column.
    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Builder::Bool(mut builder) => Arc::new(builder.finish()),
            Builder::Int(mut builder) => Arc::new(builder.finish()),
            Builder::Float(mut builder) => Arc::new(builder.finish()),
            Builder::Text(mut builder) => Arc::new(builder.finish()),
            Builder::Date(mut builder) => Arc::new(builder.finish()),
            Builder::Time(mut builder) => Arc::new(builder.finish()),
            Builder::Decimal(mut builder, _) => Arc::new(builder.finish()),
            Builder::Wide(mut builder, _) => Arc::new(builder.finish()),
            Builder::Bytes(mut builder, ..) => Arc::new(builder.finish()),
        }
    }
}

/// The bytes of a value that is not null.
fn write(view: View<'_>, form: Form, out: &mut Vec<u8>) {
    let value = (form == Form::Exact).then(|| view.to_value());
    encode_value_key(view, out);
    if let Some(value) = value {
        let key = out.len();
        if let Ok(exact) = encode_value(&value) {
            out.extend_from_slice(&exact);
        }
        // Where the key ends.
        out.extend_from_slice(&(key as u32).to_le_bytes());
    }
}

/// The key of what [`write`] wrote.
pub(crate) fn key_of(bytes: &[u8]) -> &[u8] {
    let Some((_, end)) = bytes.split_last_chunk::<4>() else {
        return bytes;
    };
    bytes
        .get(..u32::from_le_bytes(*end) as usize)
        .unwrap_or(bytes)
}

fn read(bytes: &[u8], form: Form) -> Value {
    if form == Form::Exact {
        let exact = &bytes[key_of(bytes).len()..bytes.len().saturating_sub(4)];
        return RawValue::trusted(exact).to_value();
    }
    decode_value_key(&mut &*bytes).unwrap_or_default()
}

fn decimal_of(number: Number<'_>) -> Option<Decimal> {
    match number {
        Number::Int(int) => Some(int.into()),
        Number::Float(_) => None,
        Number::Decimal(decimal) => Some(decimal.into_owned()),
    }
}

/// Digits at another scale; `None`: they do not fit.
fn rescaled(digits: i128, from: i64, to: i8) -> Option<i128> {
    let by = i64::from(to) - from;
    match u32::try_from(by) {
        Ok(0) => Some(digits),
        Ok(by) => digits.checked_mul(10_i128.checked_pow(by)?),
        Err(_) => None,
    }
}

/// A decimal's digits at a scale.
fn exact(decimal: &Decimal, scale: i8) -> Option<i256> {
    let by = u32::try_from(i64::from(scale) - decimal.scale()).ok()?;
    let digits = i256::from_string(&decimal.digits().to_string())?;
    let factor = i256::from_i128(10).checked_pow(by)?;
    digits.checked_mul(factor)
}

/// The value at a place of a column, as a type has it.
pub(crate) fn value_at(array: &dyn Array, at: usize, form: Form, sql: SqlType) -> Value {
    if array.is_null(at) {
        return Value::Null;
    }
    match form {
        Form::Bool => array.as_boolean().value(at).into(),
        Form::Int => array.as_primitive::<Int64Type>().value(at).into(),
        Form::Float => array.as_primitive::<Float64Type>().value(at).into(),
        Form::Text => array.as_string_view().value(at).into(),
        Form::Date => Value::Date(Date(array.as_primitive::<Date32Type>().value(at))),
        Form::Time => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(at);
            Value::Time(Timestamp(micros))
        }
        Form::Decimal(digits, scale) if digits <= DIGITS_128 => {
            let digits = array.as_primitive::<Decimal128Type>().value(at);
            of_digits(&digits.to_string(), scale)
        }
        Form::Decimal(_, scale) => {
            let digits = array.as_primitive::<Decimal256Type>().value(at);
            of_digits(&digits.to_string(), scale)
        }
        Form::Key | Form::Exact => retyped(read(array.as_binary::<i32>().value(at), form), sql),
    }
}

fn of_digits(digits: &str, scale: i8) -> Value {
    let decimal = digits
        .parse()
        .ok()
        .and_then(|digits| Decimal::new(digits, scale.into()).ok());
    decimal.map_or(Value::Null, Value::Decimal)
}

/// Numbers of keys come back as integers where they can.
fn retyped(value: Value, sql: SqlType) -> Value {
    use ScalarType as T;
    let (SqlType::Scalar(scalar) | SqlType::Array(scalar)) = sql;
    match (value, scalar) {
        (Value::Array(elements), _) => {
            let elements = elements.into_iter();
            Value::Array(
                elements
                    .map(|element| retyped(element, scalar.into()))
                    .collect(),
            )
        }
        (Value::Int(int), T::Numeric(_)) => Value::Decimal(int.into()),
        (Value::Int(int), T::Float4 | T::Float8) => Value::Float(int as f64),
        (Value::Float(float), T::Numeric(_)) => {
            Decimal::from_f64_exact(float).map_or(Value::Null, Value::Decimal)
        }
        (value, _) => value,
    }
}
