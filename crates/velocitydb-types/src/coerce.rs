//! From what JSON says to what it cannot say: strings, integers and objects turned into declared
//! types.
//!
//! Used where documents and patches are resolved (`schema`). Integers become floats and
//! decimals; a float never becomes a decimal, since the digits that were meant are lost by then
//! (write a decimal as a string). Tests: in `schema`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::json::float_from_name;
use crate::{Decimal, FieldType, Point, Value};

/// A value turned into a type that JSON cannot say; unchanged where that is not possible, so
/// that the check can show what was given.
pub(crate) fn coerce(kind: FieldType, value: Value) -> Value {
    let turned = match (kind, &value) {
        (FieldType::Time, Value::String(text)) => text.parse().ok().map(Value::Time),
        (FieldType::Date, Value::String(text)) => text.parse().ok().map(Value::Date),
        (FieldType::Interval, Value::String(text)) => text.parse().ok().map(Value::Interval),
        (FieldType::Uuid, Value::String(text)) => text.parse().ok().map(Value::Uuid),
        (FieldType::Decimal, Value::String(text)) => text.parse().ok().map(Value::Decimal),
        (FieldType::Bytes, Value::String(text)) => BASE64.decode(text).ok().map(Value::Bytes),
        (FieldType::Float, Value::String(text)) => float_from_name(text).map(Value::Float),
        (FieldType::Float, Value::Int(int)) => Some(Value::Float(*int as f64)),
        (FieldType::Decimal, Value::Int(int)) => Some(Value::Decimal(Decimal::from(*int))),
        (FieldType::Point, Value::Map(map)) => geojson_point(map).map(Value::Point),
        _ => None,
    };
    turned.unwrap_or(value)
}

impl FieldType {
    /// A value turned into this type where JSON or text cannot say it directly; unchanged where
    /// that is not possible.
    pub fn coerce(self, value: Value) -> Value {
        coerce(self, value)
    }
}

/// The point of `{"type":"Point","coordinates":[lon,lat]}`, and of nothing else.
fn geojson_point(map: &BTreeMap<String, Value>) -> Option<Point> {
    let degrees = |value: &Value| match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        _ => None,
    };
    match (map.len(), map.get("type")?, map.get("coordinates")?) {
        (2, Value::String(kind), Value::Array(coordinates)) if kind == "Point" => {
            match coordinates.as_slice() {
                [lon, lat] => Point::new(degrees(lon)?, degrees(lat)?).ok(),
                _ => None,
            }
        }
        _ => None,
    }
}
