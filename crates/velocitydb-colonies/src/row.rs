//! Rows: what a store keeps of a thing, as values by the names of columns.
//!
//! [`record!`](crate::row) makes of one description a type, its form in ColonyOS's JSON, and its row.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value as Json;
use velocitydb::types::FieldsBuilder;
use velocitydb::{Document, Fields, Key, RawMap, RawValue, Timestamp, Value};

use crate::error::Error;

/// A row as a store answers it. Cheap to clone, whatever its size.
#[derive(Clone)]
pub struct Row(Kept);

#[derive(Clone)]
enum Kept {
    Document(Document),
    Fields(Key, std::sync::Arc<Fields>),
}

impl Row {
    /// A row of these fields under this id.
    pub fn new(id: Key, fields: Fields) -> Row {
        Row(Kept::Fields(id, std::sync::Arc::new(fields)))
    }

    /// Its id.
    pub fn id(&self) -> Key {
        match &self.0 {
            Kept::Document(document) => document.id(),
            Kept::Fields(id, _) => id.clone(),
        }
    }

    /// Its values, by the names of columns.
    pub fn fields(&self) -> RawMap<'_> {
        match &self.0 {
            Kept::Document(document) => document.fields(),
            Kept::Fields(_, fields) => fields.as_raw(),
        }
    }

    pub(crate) fn read<T: Column>(&self, column: &str) -> T {
        T::read(self.fields().get(column))
    }

    /// For a type with many columns.
    pub(crate) fn reader<const N: usize>(&self, places: &'static Places<N>) -> Reader<'_> {
        Reader {
            row: self,
            fields: self.fields(),
            places: Cell::new(&places.0),
        }
    }
}

/// Where the columns of a type were in the row that was read before, one for each column in the order
/// in which they are read: mostly they are there again.
pub(crate) struct Places<const N: usize>([AtomicUsize; N]);

impl<const N: usize> Places<N> {
    pub(crate) const fn new() -> Places<N> {
        Places([const { AtomicUsize::new(0) }; N])
    }
}

/// Reads a row's columns one after the other, by their [`Places`].
pub(crate) struct Reader<'r> {
    row: &'r Row,
    fields: RawMap<'r>,
    places: Cell<&'static [AtomicUsize]>,
}

impl<'r> Reader<'r> {
    fn value(&self, column: &str) -> Option<RawValue<'r>> {
        let Some((place, rest)) = self.places.get().split_first() else {
            return self.fields.get(column);
        };
        self.places.set(rest);
        let before = place.load(Ordering::Relaxed);
        let mut near = before;
        let value = self.fields.get_near(column, &mut near);
        if near != before {
            place.store(near, Ordering::Relaxed);
        }
        value
    }

    pub(crate) fn read<T: Column>(&self, column: &str) -> T {
        T::read(self.value(column))
    }

    /// As [`json_of`].
    pub(crate) fn json<T: serde::de::DeserializeOwned + Default>(
        &self,
        what: &'static str,
        column: &str,
    ) -> Result<T, Error> {
        parsed(self.value(column), self.row, what, column)
    }
}

impl From<Document> for Row {
    fn from(document: Document) -> Row {
        Row(Kept::Document(document))
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({} {:?})", self.id(), self.fields())
    }
}

/// The moment that Go takes for none, 0001-01-01T00:00:00Z: how ColonyOS stores a time that is not.
pub(crate) const NO_TIME: Timestamp = Timestamp(-62_135_596_800_000_000);

/// A value of a column. What is null or of another type reads as the default.
pub(crate) trait Column: Sized {
    fn read(value: Option<RawValue<'_>>) -> Self;
    fn write(&self) -> Value;
}

macro_rules! column {
    ($($kind:ty: $read:expr, $write:expr;)*) => {$(
        impl Column for $kind {
            fn read(value: Option<RawValue<'_>>) -> Self {
                value.and_then($read).unwrap_or_default()
            }

            fn write(&self) -> Value {
                let write: fn(&$kind) -> Value = $write;
                write(self)
            }
        }
    )*};
}

column! {
    String: |value| value.as_str().map(str::to_owned), |text| Value::from(text.as_str());
    i64: |value| value.as_int(), |number| Value::Int(*number);
    i32: |value| value.as_int().and_then(|number| number.try_into().ok()), |number| Value::Int((*number).into());
    f64: |value| value.as_float().or_else(|| value.as_int().map(|number| number as f64)), |number| Value::Float(*number);
    bool: |value| value.as_bool(), |yes| Value::Bool(*yes);
    Vec<String>: |value| value.as_array().map(|all| {
        all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }), |all| Value::Array(all.iter().map(|one| Value::from(one.as_str())).collect());
}

/// A moment; `None` is the one that Go takes for none.
impl Column for Option<Timestamp> {
    fn read(value: Option<RawValue<'_>>) -> Self {
        let time = value.and_then(|value| value.as_time());
        time.filter(|time| *time > NO_TIME)
    }

    fn write(&self) -> Value {
        Value::Time(self.unwrap_or(NO_TIME))
    }
}

/// JSON, kept as its text.
pub(crate) fn json_of<T: serde::de::DeserializeOwned + Default>(
    row: &Row,
    what: &'static str,
    column: &str,
) -> Result<T, Error> {
    parsed(row.fields().get(column), row, what, column)
}

fn parsed<T: serde::de::DeserializeOwned + Default>(
    value: Option<RawValue<'_>>,
    row: &Row,
    what: &'static str,
    column: &str,
) -> Result<T, Error> {
    let text = value.and_then(|value| value.as_str());
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(T::default());
    };
    let read: Result<Option<T>, _> = serde_json::from_str(text);
    match read {
        Ok(value) => Ok(value.unwrap_or_default()),
        Err(error) => Err(Error::Stored {
            what,
            why: format!("the column {column} of {}: {error}", row.id()),
        }),
    }
}

/// The text of JSON.
pub(crate) fn json_text(value: &impl serde::Serialize) -> Result<Value, Error> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|error| Error::Invalid(format!("no JSON: {error}")))?;
    Ok(Value::String(text))
}

/// Puts a row together.
pub(crate) struct RowBuilder {
    fields: Vec<(&'static str, Value)>,
}

impl RowBuilder {
    pub(crate) fn new() -> RowBuilder {
        RowBuilder {
            fields: Vec::with_capacity(16),
        }
    }

    pub(crate) fn put(mut self, column: &'static str, value: &impl Column) -> RowBuilder {
        self.fields.push((column, value.write()));
        self
    }

    pub(crate) fn value(mut self, column: &'static str, value: Value) -> RowBuilder {
        self.fields.push((column, value));
        self
    }

    /// Puts another value in the place of one that is there.
    pub(crate) fn replace(mut self, column: &'static str, value: Value) -> RowBuilder {
        if let Some(field) = self.fields.iter_mut().find(|(name, _)| *name == column) {
            field.1 = value;
        }
        self
    }

    pub(crate) fn finish(mut self) -> Result<Fields, Error> {
        // In the order of names encoding costs least.
        self.fields.sort_unstable_by_key(|(name, _)| *name);
        let mut builder = FieldsBuilder::new();
        let refused = |error: &dyn std::fmt::Display| Error::Invalid(error.to_string());
        for (name, value) in &self.fields {
            builder
                .push_value(name, value)
                .map_err(|error| refused(&error))?;
        }
        builder.finish().map_err(|error| refused(&error))
    }
}

/// The id of a row: a text.
pub(crate) fn key(id: &str) -> Result<Key, Error> {
    let key = Key::from_value(&Value::from(id));
    key.map_err(|error| Error::Invalid(format!("the id {id:?}: {error}")))
}

/// How a name is kept that is unique within a colony: `colony:name`.
pub(crate) fn scoped(colony: &str, name: &str) -> Result<String, Error> {
    // The server finds no rows with another colon in it any more.
    if name.contains(':') || colony.contains(':') {
        let name = format!("{colony}:{name}");
        return Err(Error::Invalid(format!(
            "{name:?}: a name may have no colon"
        )));
    }
    Ok(format!("{colony}:{name}"))
}

/// The name in what [`scoped`] has made.
pub(crate) fn within(scoped: &str) -> &str {
    scoped.split_once(':').map_or(scoped, |(_, name)| name)
}

/// A thing that is kept as a row of a collection.
pub(crate) trait Record: Sized {
    /// The collection, without the prefix.
    const COLLECTION: &'static str;
    /// What it is called.
    const WHAT: &'static str;

    fn from_row(row: &Row) -> Result<Self, Error>;
    fn to_row(&self) -> Result<RowBuilder, Error>;

    fn to_fields(&self) -> Result<Fields, Error> {
        self.to_row()?.finish()
    }
}

/// Times and lists as Go writes them into JSON.
pub(crate) mod json {
    use serde::{Deserialize, Deserializer, Serializer};
    use velocitydb::Timestamp;

    use super::NO_TIME;

    /// As [`Default`] when it is null: how Go writes a list or a map that is none.
    pub(crate) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de> + Default,
        D: Deserializer<'de>,
    {
        Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
    }

    /// RFC 3339; none is the year 1.
    pub(crate) mod time {
        use super::*;

        pub(crate) fn serialize<S: Serializer>(
            time: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&time.unwrap_or(NO_TIME))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
            if text.is_empty() {
                return Ok(None);
            }
            let time: Timestamp = text.parse().map_err(serde::de::Error::custom)?;
            Ok(Some(time).filter(|time| *time > NO_TIME))
        }
    }
}

/// A list or a map of JSON, for columns that keep JSON as text.
pub(crate) type JsonList = Vec<Json>;

/// Makes of one description a type, its JSON and its row.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident in $collection:literal called $what:literal {
            $($(#[$field_meta:meta])* $field:ident: $kind:ty, $json:literal, $column:literal;)*
        }
        $(with $scoped:ident within $scope:ident)?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$field_meta])* #[serde(rename = $json)] pub $field: $kind,)*
        }

        impl crate::row::Record for $name {
            const COLLECTION: &'static str = $collection;
            const WHAT: &'static str = $what;

            fn from_row(row: &crate::row::Row) -> Result<Self, crate::error::Error> {
                #[allow(unused_mut)]
                let mut read = $name { $($field: row.read($column),)* };
                $(read.$scoped = crate::row::within(&read.$scoped).to_owned();)?
                Ok(read)
            }

            fn to_row(&self) -> Result<crate::row::RowBuilder, crate::error::Error> {
                let row = crate::row::RowBuilder::new();
                $(let row = row.put($column, &self.$field);)*
                $(
                    let scoped = crate::row::scoped(&self.$scope, &self.$scoped)?;
                    let row = row.replace(stringify!($scoped), velocitydb::Value::from(scoped));
                )?
                Ok(row)
            }
        }
    };
}
pub(crate) use record;
