//! The types that a condition can ask for.

/// The type of a value, as a condition names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is called as it is")]
pub enum ValueType {
    Null,
    Bool,
    Int,
    Float,
    Decimal,
    /// Int, float or decimal.
    Number,
    String,
    Date,
    Time,
    Interval,
    Uuid,
    Bytes,
    Point,
    Array,
    Map,
}

/// Every type and its name.
pub const VALUE_TYPES: [(ValueType, &str); 15] = [
    (ValueType::Null, "null"),
    (ValueType::Bool, "bool"),
    (ValueType::Int, "int"),
    (ValueType::Float, "float"),
    (ValueType::Decimal, "decimal"),
    (ValueType::Number, "number"),
    (ValueType::String, "string"),
    (ValueType::Date, "date"),
    (ValueType::Time, "time"),
    (ValueType::Interval, "interval"),
    (ValueType::Uuid, "uuid"),
    (ValueType::Bytes, "bytes"),
    (ValueType::Point, "point"),
    (ValueType::Array, "array"),
    (ValueType::Map, "map"),
];

impl ValueType {
    /// The type of this name.
    pub fn from_name(name: &str) -> Option<ValueType> {
        let row = VALUE_TYPES.iter().find(|(_, known)| *known == name);
        row.map(|(value_type, _)| *value_type)
    }

    /// The type's name.
    pub fn name(self) -> &'static str {
        VALUE_TYPES[self as usize].1
    }

    /// Whether a value whose type has this name is of the type.
    pub(crate) fn includes(self, name: &str) -> bool {
        match self {
            ValueType::Number => matches!(name, "int" | "float" | "decimal"),
            other => other.name() == name,
        }
    }
}
