//! What flows through a query: documents as they are kept, and the rows made of them.
//!
//! One way to read both: [`RowRef::get`] takes a path and answers a [`Cell`]. In a document a path
//! that begins with `_` names metadata; in a row it is a name as any other. A document becomes a
//! row only when a stage changes it or it is part of the answer; it then has its fields and its
//! metadata, which no field can be confused with since `_` is reserved.
//!
//! Tests: below, and through `filter` and `pipeline`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use velocitydb_engine::Document;
use velocitydb_types::{Path, RawMap, RawValue, Value, View};

use crate::error::QueryError;
use crate::filter::ELEMENT;
use crate::limits;

/// A row that a pipeline has made: values by name.
pub type Aggregated = BTreeMap<String, Value>;

/// A row on its way. Whoever keeps it makes it owned.
#[derive(Debug, Clone)]
pub(crate) enum Row<'a> {
    Document(Cow<'a, Document>),
    Map(Cow<'a, Aggregated>),
}

/// A row to read.
#[derive(Clone, Copy)]
pub(crate) enum RowRef<'a> {
    Document(&'a Document, RawMap<'a>),
    Map(&'a Aggregated),
    /// An element of an array, as conditions on elements see it.
    Element(CellRef<'a>),
}

/// A value, to read: encoded or owned.
#[derive(Clone, Copy)]
pub(crate) enum CellRef<'a> {
    Raw(RawValue<'a>),
    Value(&'a Value),
}

/// A value in a row, wherever it is.
#[derive(Debug, Clone)]
pub enum Cell<'a> {
    /// In an encoded document.
    Raw(RawValue<'a>),
    /// In a row, or in the expression.
    Ref(&'a Value),
    /// Made just now.
    Owned(Value),
}

/// What kind of rows a stage is given: it decides what a path may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Documents, or rows that have all of a document: a leading `_` is metadata.
    Documents,
    /// Rows whose names were chosen by the query.
    Rows,
}

impl Kind {
    /// Refuses a path that can name nothing.
    pub(crate) fn check(self, path: &Path) -> Result<(), QueryError> {
        if self == Kind::Documents && path.first().starts_with('_') && Metadata::of(path).is_none()
        {
            return Err(QueryError::UnknownMetadata { path: path.clone() });
        }
        Ok(())
    }
}

/// What a document has besides its fields.
#[derive(Clone, Copy)]
enum Metadata {
    Id,
    Version,
    Index,
    CreatedAt,
    UpdatedAt,
}

impl Metadata {
    const ALL: [(&'static str, Metadata); 5] = [
        ("_id", Metadata::Id),
        ("_version", Metadata::Version),
        ("_index", Metadata::Index),
        ("_created_at", Metadata::CreatedAt),
        ("_updated_at", Metadata::UpdatedAt),
    ];

    fn of(path: &Path) -> Option<Metadata> {
        let first = path.first();
        Self::ALL
            .iter()
            .find(|(name, _)| *name == first)
            .map(|(_, metadata)| *metadata)
    }

    fn value(self, document: &Document) -> Value {
        match self {
            Metadata::Id => document.id().to_value(),
            Metadata::Version => document.meta().version.into(),
            Metadata::Index => document.meta().index.into(),
            Metadata::CreatedAt => document.meta().created_at.into(),
            Metadata::UpdatedAt => document.meta().updated_at.into(),
        }
    }
}

impl Row<'_> {
    /// The row, to read.
    #[inline]
    pub(crate) fn as_ref(&self) -> RowRef<'_> {
        match self {
            Row::Document(document) => RowRef::document(document),
            Row::Map(map) => RowRef::Map(map),
        }
    }

    /// The row, to change or to answer.
    pub(crate) fn into_map(self) -> Aggregated {
        match self {
            Row::Map(map) => map.into_owned(),
            Row::Document(document) => {
                let mut map = document.fields().to_map();
                for (name, metadata) in Metadata::ALL {
                    map.insert(name.to_owned(), metadata.value(&document));
                }
                map
            }
        }
    }

    /// The row, for one of several readers.
    pub(crate) fn lend(&self) -> Row<'_> {
        match self {
            Row::Document(document) => Row::Document(Cow::Borrowed(document)),
            Row::Map(map) => Row::Map(Cow::Borrowed(map)),
        }
    }

    /// The row, to keep.
    pub(crate) fn into_owned(self) -> Row<'static> {
        match self {
            Row::Document(document) => Row::Document(Cow::Owned(document.into_owned())),
            Row::Map(map) => Row::Map(Cow::Owned(map.into_owned())),
        }
    }

    /// Bytes that keeping it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Row::Document(_) => size_of::<Row<'_>>(),
            Row::Map(map) => size_of::<Row<'_>>() + limits::map_bytes(map),
        }
    }
}

impl<'a> From<&'a Document> for Row<'a> {
    fn from(document: &'a Document) -> Self {
        Row::Document(Cow::Borrowed(document))
    }
}

impl From<Aggregated> for Row<'_> {
    fn from(map: Aggregated) -> Self {
        Row::Map(Cow::Owned(map))
    }
}

impl<'a> RowRef<'a> {
    #[inline]
    pub(crate) fn document(document: &'a Document) -> RowRef<'a> {
        RowRef::Document(document, document.fields())
    }

    /// What a path leads to.
    #[inline]
    pub(crate) fn get(self, path: &Path) -> Option<Cell<'a>> {
        match self {
            RowRef::Document(document, fields) => match path.first().as_bytes() {
                [b'_', ..] => metadata_at(document, path).map(Cell::Owned),
                _ => fields.get_path(path).map(Cell::Raw),
            },
            RowRef::Map(map) => {
                let field = map.get(path.first())?;
                path.rest().iter().try_fold(field, step).map(Cell::Ref)
            }
            RowRef::Element(element) => {
                let segments = match path.first() {
                    ELEMENT => path.rest(),
                    _ => path.segments(),
                };
                match element {
                    CellRef::Raw(raw) => {
                        let mut segments = segments.iter();
                        let found = segments.try_fold(raw, |raw, segment| raw_step(raw, segment));
                        found.map(Cell::Raw)
                    }
                    CellRef::Value(value) => segments.iter().try_fold(value, step).map(Cell::Ref),
                }
            }
        }
    }

    /// The row as a map, with metadata where it is a document.
    pub(crate) fn to_map(self) -> Aggregated {
        match self {
            RowRef::Document(document, _) => Row::from(document).into_map(),
            RowRef::Map(map) => map.clone(),
            RowRef::Element(_) => Aggregated::new(),
        }
    }

    /// What a path leads to; null when that is nothing.
    #[inline]
    pub(crate) fn value(self, path: &Path) -> Cell<'a> {
        self.get(path).unwrap_or(Cell::Raw(RawValue::NULL))
    }
}

fn step<'v>(value: &'v Value, segment: &String) -> Option<&'v Value> {
    match value {
        Value::Map(map) => map.get(segment),
        Value::Array(elements) => elements.get(Path::position(segment)?),
        _ => None,
    }
}

fn raw_step<'v>(value: RawValue<'v>, segment: &str) -> Option<RawValue<'v>> {
    match value.as_map() {
        Some(map) => map.get(segment),
        None => value.as_array()?.get(Path::position(segment)?),
    }
}

/// The value of a metadata path; an id of several values is an array, and has positions.
fn metadata_at(document: &Document, path: &Path) -> Option<Value> {
    let value = Metadata::of(path)?.value(document);
    match path.rest() {
        [] => Some(value),
        rest => rest.iter().try_fold(&value, step).cloned(),
    }
}

/// The metadata of this name.
pub(crate) fn metadata_field(document: &Document, name: &str) -> Option<Value> {
    let mut all = Metadata::ALL.iter();
    let (_, metadata) = all.find(|(known, _)| *known == name)?;
    Some(metadata.value(document))
}

/// The place that a path leads to in a row, to change what is there.
pub(crate) fn slot<'m>(map: &'m mut Aggregated, path: &Path) -> Option<&'m mut Value> {
    let field = map.get_mut(path.first())?;
    path.rest()
        .iter()
        .try_fold(field, |value, segment| match value {
            Value::Map(map) => map.get_mut(segment),
            Value::Array(elements) => elements.get_mut(Path::position(segment)?),
            _ => None,
        })
}

impl Cell<'_> {
    /// The value, to compare.
    #[inline]
    pub fn view(&self) -> View<'_> {
        match self {
            Cell::Raw(raw) => View::from(*raw),
            Cell::Ref(value) => View::from(*value),
            Cell::Owned(value) => View::from(value),
        }
    }

    /// The value, to keep.
    pub fn into_value(self) -> Value {
        match self {
            Cell::Raw(raw) => raw.to_value(),
            Cell::Ref(value) => value.clone(),
            Cell::Owned(value) => value,
        }
    }

    /// Whether it is null.
    #[inline]
    pub fn is_null(&self) -> bool {
        match self {
            Cell::Raw(raw) => raw.is_null(),
            Cell::Ref(value) => value.is_null(),
            Cell::Owned(value) => value.is_null(),
        }
    }

    /// Whether the value is an array with an element for which `judge` is true.
    pub(crate) fn any_element(&self, mut judge: impl FnMut(RowRef<'_>) -> bool) -> bool {
        let mut of_values = |value: &Value| {
            let elements = value.as_array().unwrap_or_default();
            elements
                .iter()
                .any(|element| judge(RowRef::Element(CellRef::Value(element))))
        };
        match self {
            Cell::Ref(value) => of_values(value),
            Cell::Owned(value) => of_values(value),
            Cell::Raw(raw) => raw.as_array().is_some_and(|array| {
                array
                    .iter()
                    .any(|element| judge(RowRef::Element(CellRef::Raw(element))))
            }),
        }
    }

    /// The type's name.
    pub fn type_name(&self) -> &'static str {
        match self {
            Cell::Raw(raw) => raw.type_name(),
            Cell::Ref(value) => value.type_name(),
            Cell::Owned(value) => value.type_name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::documents;

    #[test]
    fn a_document_and_its_row_read_the_same() {
        let document = documents(&[r#"{"a":1,"b":{"c":[10,{"d":null}]},"s":"x"}"#]).swap_remove(0);
        let row = Row::from(&document);
        let map = Row::Map(Cow::Owned(row.clone().into_map()));
        for path in [
            "a",
            "b",
            "b.c",
            "b.c.0",
            "b.c.1.d",
            "s",
            "none",
            "a.b",
            "b.c.2",
            "b.c.x",
            "s.0",
            "_id",
            "_id.0",
            "_version",
            "_index",
            "_created_at",
            "_updated_at",
            "_other",
        ] {
            let path: Path = path.parse().unwrap();
            let of = |row: &Row<'_>| row.as_ref().get(&path).map(Cell::into_value);
            assert_eq!(of(&row), of(&map), "{path}");
        }
        let map = row.into_map();
        assert_eq!(map["_id"], Value::Int(0));
        assert_eq!(map["_version"], Value::Int(1));
        assert_eq!(map["_index"], Value::Int(document.meta().index as i64));
        assert_eq!(map["_created_at"].type_name(), "time");
    }

    #[test]
    fn only_real_metadata_may_be_named() {
        for (path, known) in [
            ("_id", true),
            ("_updated_at", true),
            ("_x", false),
            ("a._x", true),
        ] {
            let path: Path = path.parse().unwrap();
            assert_eq!(Kind::Documents.check(&path).is_ok(), known, "{path}");
            assert!(Kind::Rows.check(&path).is_ok());
        }
    }
}
