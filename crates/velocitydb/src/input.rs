//! What callers hand in: ids, documents, updates, expectations.
//!
//! Conversions never fail where a caller writes them down; what is wrong is said by the call
//! that uses them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use velocitydb_engine::Error;
use velocitydb_engine::catalog::Collection as Runtime;
use velocitydb_engine::command::{Change, Condition, Refusal};
use velocitydb_types::{
    DOCUMENT_BYTES_MAX, FieldOperation, Fields, JsonError, Key, Path, RawMap, Timestamp, Uuid,
    Value, merge_patch,
};

use crate::ids::Random;

/// A document's id: a string, a number, a UUID, … Becomes a [`Key`]; a `&Key` is borrowed.
#[derive(Debug, Clone)]
pub struct Id<'a>(Result<Cow<'a, Key>, String>);

impl Id<'_> {
    pub(crate) fn key(&self) -> Result<&Key, Error> {
        self.0
            .as_deref()
            .map_err(|error| Error::Invalid(format!("the id: {error}")))
    }
}

/// An array is the id of several values.
impl From<Value> for Id<'_> {
    fn from(value: Value) -> Self {
        let key = Key::from_shown(&value);
        Id(key.map(Cow::Owned).map_err(|error| error.to_string()))
    }
}

impl From<Key> for Id<'_> {
    fn from(key: Key) -> Self {
        Id(Ok(Cow::Owned(key)))
    }
}

impl<'a> From<&'a Key> for Id<'a> {
    fn from(key: &'a Key) -> Id<'a> {
        Id(Ok(Cow::Borrowed(key)))
    }
}

macro_rules! id_from {
    ($($kind:ty => $value:expr),*) => {$(
        impl From<$kind> for Id<'_> {
            fn from(id: $kind) -> Self {
                Id::from($value(id.into()))
            }
        }
    )*};
}
id_from!(&str => Value::String, String => Value::String, &String => Value::String,
         i64 => Value::Int, i32 => Value::Int, u32 => Value::Int, Uuid => Value::Uuid);

/// A document to be kept: encoded fields or a map, owned or borrowed.
#[derive(Debug, Clone)]
pub enum Input<'a> {
    /// Encoded already.
    Fields(Cow<'a, Fields>),
    /// As a map.
    Map(Cow<'a, BTreeMap<String, Value>>),
}

impl Input<'_> {
    /// A document written as a JSON object.
    pub fn json(text: &str) -> Result<Self, JsonError> {
        Fields::from_json(text).map(Input::from)
    }
}

impl Input<'_> {
    /// The encoded fields as they were handed in.
    pub(crate) fn to_fields(&self) -> Result<Vec<u8>, Error> {
        let fields = match self {
            Input::Fields(fields) => Fields::clone(fields),
            Input::Map(map) => {
                Fields::from_map(map).map_err(|error| Error::Invalid(error.to_string()))?
            }
        };
        Ok(fields.into_bytes().into_vec())
    }
}

impl From<Fields> for Input<'_> {
    fn from(fields: Fields) -> Self {
        Input::Fields(Cow::Owned(fields))
    }
}

impl<'a> From<&'a Fields> for Input<'a> {
    fn from(fields: &'a Fields) -> Input<'a> {
        Input::Fields(Cow::Borrowed(fields))
    }
}

impl From<BTreeMap<String, Value>> for Input<'_> {
    fn from(map: BTreeMap<String, Value>) -> Self {
        Input::Map(Cow::Owned(map))
    }
}

impl<'a> From<&'a BTreeMap<String, Value>> for Input<'a> {
    fn from(map: &'a BTreeMap<String, Value>) -> Input<'a> {
        Input::Map(Cow::Borrowed(map))
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Input<'_> {
    fn from(fields: [(&str, Value); N]) -> Self {
        let map = fields.into_iter();
        Input::from(BTreeMap::from_iter(
            map.map(|(name, value)| (name.to_owned(), value)),
        ))
    }
}

/// Changes of single fields, in order.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Update {
    operations: Vec<FieldOperation>,
    wrong: Option<String>,
}

impl Update {
    /// No change yet.
    pub fn new() -> Update {
        Update::default()
    }

    /// RFC 7396: fields of `patch` are set, nulls remove.
    pub fn merge(patch: &Value) -> Update {
        match merge_patch(patch) {
            Ok(operations) => Update {
                operations,
                wrong: None,
            },
            Err(error) => Update {
                operations: Vec::new(),
                wrong: Some(error.to_string()),
            },
        }
    }

    fn with(mut self, path: &str, operation: impl FnOnce(Path) -> FieldOperation) -> Update {
        match path.parse() {
            Ok(path) => self.operations.push(operation(path)),
            Err(error) => self.wrong = Some(format!("the path {path:?}: {error}")),
        }
        self
    }

    /// Sets a field, making the maps on the way to it.
    pub fn set(self, path: &str, value: impl Into<Value>) -> Update {
        let value = value.into();
        self.with(path, |path| FieldOperation::Set { path, value })
    }

    /// Removes a field.
    pub fn unset(self, path: &str) -> Update {
        self.with(path, |path| FieldOperation::Unset { path })
    }

    /// Adds to a number; an absent one counts as 0.
    pub fn add(self, path: &str, by: impl Into<Value>) -> Update {
        let by = by.into();
        self.with(path, |path| FieldOperation::Add { path, by })
    }

    /// Appends to an array, making it when it is absent.
    pub fn push(self, path: &str, value: impl Into<Value>) -> Update {
        let value = value.into();
        self.with(path, |path| FieldOperation::Push { path, value })
    }

    pub(crate) fn operations(&self) -> Result<&[FieldOperation], Error> {
        match &self.wrong {
            Some(wrong) => Err(Error::Invalid(wrong.clone())),
            None => Ok(&self.operations),
        }
    }

    pub(crate) fn change(&self, runtime: &Runtime) -> Result<Change<'static>, Error> {
        let mut operations = self.operations()?.to_vec();
        runtime
            .definition
            .schema
            .resolve_operations(&mut operations);
        Ok(Change::Patch(operations))
    }
}

/// What a compare-and-swap expects of the present document.
#[derive(Debug, Clone)]
pub enum Expected {
    /// Its version.
    Version(u64),
    /// The log index of its last change. Not met, the call is refused as a conflict
    /// ([`Refusal::Conflict`]) and not with the document: it is a reader's tag, to be read anew.
    Index(u64),
    /// These values at these paths; null is also met by an absent field. Of declared fields they
    /// may be written as in a document: a date as its text, say.
    Fields(Vec<(String, Value)>),
}

impl Expected {
    /// One field.
    pub fn field(path: &str, value: impl Into<Value>) -> Expected {
        Expected::Fields(vec![(path.to_owned(), value.into())])
    }

    /// As it is written in JSON: `{"_version": n}`, or values by their paths.
    ///
    /// # Errors
    /// It expects nothing, or both.
    pub fn read(mut map: BTreeMap<String, Value>) -> Result<Expected, Error> {
        let invalid = |what: &str| Error::Invalid(what.to_owned());
        let Some(version) = map.remove("_version") else {
            return match map.is_empty() {
                true => Err(invalid("\"expected\" expects nothing")),
                false => Ok(Expected::Fields(map.into_iter().collect())),
            };
        };
        let version = version.as_int().and_then(|it| u64::try_from(it).ok());
        let version = version.ok_or_else(|| invalid("\"_version\" is a whole number"))?;
        match map.is_empty() {
            true => Ok(Expected::Version(version)),
            false => Err(invalid("\"expected\" has either \"_version\" or fields")),
        }
    }

    pub(crate) fn condition(&self) -> Result<Condition, Error> {
        Ok(match self {
            Expected::Version(version) => Condition::Version(*version),
            Expected::Index(index) => Condition::Index(*index),
            Expected::Fields(fields) => {
                let parse = |(path, value): &(String, Value)| {
                    let parsed = path.parse::<Path>();
                    let parsed = parsed
                        .map_err(|error| Error::Invalid(format!("the path {path:?}: {error}")))?;
                    if parsed.first().starts_with('_') {
                        return Err(Error::Invalid(format!(
                            "{path:?} cannot be expected: names that begin with '_' are metadata, \
                             of which only the version can be expected"
                        )));
                    }
                    Ok((parsed, value.clone()))
                };
                Condition::Fields(fields.iter().map(parse).collect::<Result<_, _>>()?)
            }
        })
    }
}

/// Turns what whole declared fields are expected to be into their types, as updates are turned.
pub(crate) fn resolve_condition(condition: &Condition, runtime: &Runtime) -> Condition {
    let mut condition = condition.clone();
    if let Condition::Fields(fields) = &mut condition {
        for (path, value) in fields.iter_mut().filter(|(path, _)| path.rest().is_empty()) {
            if let Some(field) = runtime.definition.schema.field(path.first()) {
                *value = field.kind.coerce(std::mem::take(value));
            }
        }
    }
    condition
}

fn refused(error: velocitydb_types::SchemaError) -> Error {
    Error::Refused {
        operation: 0,
        refusal: Refusal::Schema(error),
    }
}

/// Fills in defaults, converts what the schema declares, and finds the id.
pub(crate) fn resolve<'a>(
    runtime: &Runtime,
    input: &'a Input<'_>,
    id: Option<&'a Key>,
    now: Timestamp,
    random: &Random,
) -> Result<(Cow<'a, Key>, Cow<'a, [u8]>), Error> {
    let schema = &runtime.definition.schema;
    let fields = match input {
        Input::Fields(fields) => resolve_fields(runtime, fields, now, random)?,
        Input::Map(map) => {
            let resolved = schema.resolve(map, now, &mut || random.uuid(now));
            Cow::Owned(resolved.map_err(refused)?.into_bytes().into_vec())
        }
    };
    let Some(id) = id else {
        let key = key_of(runtime, &fields, now, random)?;
        return Ok((Cow::Owned(key), fields));
    };
    let named = runtime.definition.key_in(RawMap::trusted(&fields));
    match named.map_err(Error::Invalid)? {
        Some(named) if *id != named => Err(Error::Invalid(format!(
            "the document's primary key is {named} but the id given is {id}"
        ))),
        _ => Ok((Cow::Borrowed(id), fields)),
    }
}

/// Fills in defaults, and converts what the schema declares.
pub(crate) fn resolve_fields<'a>(
    runtime: &Runtime,
    fields: &'a Fields,
    now: Timestamp,
    random: &Random,
) -> Result<Cow<'a, [u8]>, Error> {
    let (schema, map) = (&runtime.definition.schema, fields.as_raw());
    let mut uuid = || random.uuid(now);
    let resolved = schema.resolve_fields(map, DOCUMENT_BYTES_MAX, now, &mut uuid);
    Ok(match resolved.map_err(refused)? {
        Some(changed) => Cow::Owned(changed.into_bytes().into_vec()),
        None => Cow::Borrowed(fields.as_bytes()),
    })
}

/// The id in a document's primary key, or a new one.
pub(crate) fn key_of(
    runtime: &Runtime,
    fields: &[u8],
    now: Timestamp,
    random: &Random,
) -> Result<Key, Error> {
    let named = runtime.definition.key_in(RawMap::trusted(fields));
    let named = named.map_err(Error::Invalid)?;
    Ok(named.unwrap_or_else(|| uuid_key(random.uuid(now))))
}

fn uuid_key(id: Uuid) -> Key {
    Key::from_value(&Value::Uuid(id)).expect("a UUID is an id")
}
