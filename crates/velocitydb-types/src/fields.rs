//! A document's fields: one owned, encoded map.
//!
//! Invariants: the bytes are a valid encoded map; no field name is empty or begins with `_`
//! (metadata is kept beside the fields, never among them). Inside nested maps any name goes.
//! Tests: below, and `proptests`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encoding::{EncodeError, Encoder, Frame, Kind, check_field_name, tag};
use crate::raw::{RawMap, RawValue};
use crate::validate::DecodeError;
use crate::value_ref::ValueRef;
use crate::{DOCUMENT_BYTES_MAX, Value, json};

/// The fields of one document, encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields(Box<[u8]>);

impl Fields {
    /// No fields at all.
    pub fn empty() -> Self {
        Self(Box::new([tag::MAP, 0]))
    }

    /// Encodes a map, up to [`DOCUMENT_BYTES_MAX`].
    ///
    /// # Errors
    /// Depth, size, or a field name that a document may not have.
    pub fn from_map(map: &BTreeMap<String, Value>) -> Result<Self, EncodeError> {
        Self::from_map_with_limit(map, DOCUMENT_BYTES_MAX)
    }

    /// Encodes a map, up to a number of bytes.
    ///
    /// # Errors
    /// Depth, size, or a field name that a document may not have.
    pub fn from_map_with_limit(
        map: &BTreeMap<String, Value>,
        bytes_max: usize,
    ) -> Result<Self, EncodeError> {
        map.keys().try_for_each(|name| check_field_name(name))?;
        let mut encoder = Encoder::new(bytes_max);
        encoder.map(map, 0)?;
        Ok(Self(encoder.bytes.into_boxed_slice()))
    }

    /// Encodes a value that must be a map.
    ///
    /// # Errors
    /// As [`Self::from_map`], and [`EncodeError::NotAMap`].
    pub fn from_value(value: &Value) -> Result<Self, EncodeError> {
        match value {
            Value::Map(map) => Self::from_map(map),
            other => Err(EncodeError::NotAMap {
                found: other.type_name(),
            }),
        }
    }

    /// Reads a JSON object, up to [`DOCUMENT_BYTES_MAX`] encoded.
    ///
    /// # Errors
    /// With line and column: wrong JSON, or anything [`Self::from_map`] refuses.
    pub fn from_json(text: &str) -> Result<Self, json::JsonError> {
        json::read_fields(text, DOCUMENT_BYTES_MAX)
    }

    /// Takes encoded bytes from outside.
    ///
    /// # Errors
    /// When they are not exactly the encoding of a map, or a field name is empty or reserved.
    pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Result<Self, DecodeError> {
        let bytes = bytes.into();
        let map = RawMap::validate(&bytes)?;
        if map.iter().any(|(name, _)| check_field_name(name).is_err()) {
            return Err(DecodeError {
                offset: 0,
                reason: "empty or reserved field name",
            });
        }
        Ok(Self(bytes))
    }

    /// Takes encoded bytes that were once [`Self::into_bytes`] of some fields.
    pub fn trusted(bytes: Box<[u8]>) -> Self {
        Self(bytes)
    }

    /// The bytes of an encoder that wrote one map under the name rules.
    pub(crate) fn from_encoder(encoder: &Encoder) -> Self {
        Self(encoder.bytes.as_slice().into())
    }

    /// The fields, to read.
    pub fn as_raw(&self) -> RawMap<'_> {
        RawMap::trusted(&self.0)
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<RawValue<'_>> {
        self.as_raw().get(name)
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded bytes, owned.
    pub fn into_bytes(self) -> Box<[u8]> {
        self.0
    }

    /// The fields, decoded.
    pub fn to_map(&self) -> BTreeMap<String, Value> {
        self.as_raw().to_map()
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({:?})", self.as_raw())
    }
}

impl Serialize for Fields {
    /// A JSON object for people, the encoded bytes otherwise.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_raw().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = json::deserialize_encoded(deserializer)?;
        Self::from_bytes(bytes).map_err(serde::de::Error::custom)
    }
}

/// Encodes fields one by one, in any order, without a tree.
///
/// A builder can be used again after [`Self::finish`], and then allocates only the result.
pub struct FieldsBuilder {
    encoder: Encoder,
    frame: Frame,
}

impl FieldsBuilder {
    /// A builder of a document of up to [`DOCUMENT_BYTES_MAX`].
    pub fn new() -> Self {
        Self::with_limit(DOCUMENT_BYTES_MAX)
    }

    /// A builder of a document of up to a number of bytes.
    pub fn with_limit(bytes_max: usize) -> Self {
        let encoder = Encoder::new(bytes_max);
        let frame = encoder
            .open(0)
            .expect("a document is within the depth limit");
        Self { encoder, frame }
    }

    /// Adds a field. Fields in the order of their names cost least.
    ///
    /// # Errors
    /// Depth, size, a name that a document may not have, or the name of the field just before
    /// (any other name given twice is found by [`Self::finish`]). The field is then not added.
    pub fn push<'v>(
        &mut self,
        name: &str,
        value: impl Into<ValueRef<'v>>,
    ) -> Result<&mut Self, EncodeError> {
        let value = value.into();
        self.entry(name, |encoder| encoder.value_ref(&value, 1))
    }

    /// Adds a field from an owned value; errors as [`Self::push`].
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_value(&mut self, name: &str, value: &Value) -> Result<&mut Self, EncodeError> {
        self.entry(name, |encoder| encoder.value(value, 1))
    }

    /// Adds a field by copying an encoded value.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_raw(&mut self, name: &str, value: RawValue<'_>) -> Result<&mut Self, EncodeError> {
        self.entry(name, |encoder| encoder.raw(value, 1))
    }

    fn entry(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<&mut Self, EncodeError> {
        check_field_name(name)?;
        let (mark, frame) = (self.encoder.mark(), self.frame);
        let added = self
            .encoder
            .name(&mut self.frame, name)
            .and_then(|()| write(&mut self.encoder))
            .and_then(|()| self.encoder.end_entry(&self.frame));
        if let Err(error) = added {
            self.encoder.rewind(mark);
            self.frame = frame;
            return Err(error);
        }
        Ok(self)
    }

    /// The document of the fields added so far. The builder is then empty, also after an error.
    ///
    /// # Errors
    /// A name given twice, or the size.
    pub fn finish(&mut self) -> Result<Fields, EncodeError> {
        let closed = self.encoder.close(self.frame, Kind::Map);
        let fields = closed.map(|()| Fields::from_encoder(&self.encoder));
        self.encoder.clear();
        self.frame = self.encoder.open(0)?;
        fields
    }
}

impl Default for FieldsBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builder_and_map_agree_whatever_the_order() {
        let mut builder = FieldsBuilder::new();
        builder
            .push("name", "ada")
            .unwrap()
            .push("age", 36_i64)
            .unwrap();
        builder
            .push("none", None::<i64>)
            .unwrap()
            .push_value("list", &Value::from(vec![Value::Int(1)]))
            .unwrap();
        let built = builder.finish().unwrap();
        let map = BTreeMap::from([
            ("age".to_owned(), Value::Int(36)),
            ("list".to_owned(), Value::from(vec![Value::Int(1)])),
            ("name".to_owned(), "ada".into()),
            ("none".to_owned(), Value::Null),
        ]);
        assert_eq!(built, Fields::from_map(&map).unwrap());
        // The builder starts again, and copies encoded values.
        for (name, value) in built.as_raw().iter() {
            builder.push_raw(name, value).unwrap();
        }
        assert_eq!(builder.finish().unwrap(), built);
        assert_eq!(builder.finish().unwrap(), Fields::empty());
        assert_eq!(Fields::from_bytes(built.as_bytes()), Ok(built));
    }

    #[test]
    fn names_are_checked_and_a_refused_field_leaves_no_trace() {
        let mut builder = FieldsBuilder::with_limit(64);
        let reserved = EncodeError::ReservedName {
            name: "_id".to_owned(),
        };
        let duplicate = EncodeError::DuplicateName {
            name: "a".to_owned(),
        };
        builder.push("a", 1_i64).unwrap();
        assert_eq!(builder.push("", 1_i64).err(), Some(EncodeError::EmptyName));
        assert_eq!(builder.push("_id", 1_i64).err(), Some(reserved.clone()));
        assert_eq!(builder.push("a", 1_i64).err(), Some(duplicate.clone()));
        let long = "x".repeat(64);
        assert_eq!(
            builder.push("b", long.as_str()).err(),
            Some(EncodeError::Size { bytes_max: 64 })
        );
        assert_eq!(
            builder.finish().unwrap(),
            Fields::from_json(r#"{"a":1}"#).unwrap()
        );
        builder
            .push("a", 1_i64)
            .unwrap()
            .push("b", 1_i64)
            .unwrap()
            .push("a", 1_i64)
            .unwrap();
        assert_eq!(builder.finish(), Err(duplicate));
        assert_eq!(builder.finish().unwrap(), Fields::empty());

        let map = BTreeMap::from([("_id".to_owned(), Value::Null)]);
        assert_eq!(Fields::from_map(&map), Err(reserved));
        assert!(Fields::from_bytes([15, 1, 5, 3, b'_', b'i', b'd', 0]).is_err());
        let nested = Value::from(BTreeMap::from([("".to_owned(), Value::Null)]));
        assert!(Fields::from_map(&BTreeMap::from([("a".to_owned(), nested)])).is_ok());
        assert_eq!(
            Fields::from_value(&Value::Int(1)),
            Err(EncodeError::NotAMap { found: "int" })
        );
    }

    #[test]
    fn both_serde_forms_round_trip() {
        let fields = Fields::from_json(r#"{"a":[1,2.5,"x"],"b":{"c":null}}"#).unwrap();
        let json = serde_json::to_string(&fields).unwrap();
        assert_eq!(json, r#"{"a":[1,2.5,"x"],"b":{"c":null}}"#);
        assert_eq!(serde_json::from_str::<Fields>(&json).unwrap(), fields);
        let bytes = postcard::to_allocvec(&fields).unwrap();
        assert_eq!(bytes.len(), 1 + fields.as_bytes().len());
        assert_eq!(postcard::from_bytes::<Fields>(&bytes).unwrap(), fields);
        assert!(serde_json::from_str::<Fields>(r#"{"_a":1}"#).is_err());
        assert!(serde_json::from_str::<Fields>("[1]").is_err());
    }
}
