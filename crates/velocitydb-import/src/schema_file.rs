//! A schema file: YAML or JSON (which is YAML too), into a [`DatabaseSchema`].
//!
//! The text becomes a tree whose parts know their places; the tree is read key by key, so that
//! each error says where it is, what is wrong there, and what would be right. Bounds of depth,
//! size and repetition are the YAML reader's.
//! Tests: below; the examples of docs/operating/schema.md are run by velocitydb-cli.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use serde_saphyr::{MessageFormatter, Spanned, UserMessageFormatter};
use velocitydb::types::{Check, Reference, SchemaError};
use velocitydb::{CollectionSchema, DatabaseSchema, Definition, Field, Schema};

/// What is wrong in a schema file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct SchemaFileError {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1, in characters.
    pub column: u64,
    /// What is wrong there.
    pub what: String,
}

/// The name that a wrong one was probably meant to be.
pub fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distance = |name: &'n str| (strsim::damerau_levenshtein(wrong, name), name);
    let (distance, name) = names.into_iter().map(distance).min()?;
    (distance <= name.len() / 2).then_some(name)
}

/// A part of the text.
#[derive(Debug)]
struct Node {
    line: u64,
    column: u64,
    part: Part,
}

#[derive(Debug)]
enum Part {
    /// Null, a boolean, a number, a string.
    Scalar(Json),
    List(Vec<Node>),
    /// Names with their own places.
    Map(Vec<(Node, Node)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let Spanned {
            value, referenced, ..
        } = Spanned::<Part>::deserialize(deserializer)?;
        Ok(Node {
            line: referenced.line(),
            column: referenced.column(),
            part: value,
        })
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Part, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Scalar(Json::Null))
    }

    fn visit_none<E>(self) -> Result<Part, E> {
        Ok(Part::Scalar(Json::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Part, D::Error> {
        Part::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Part, E> {
        Ok(Part::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Part, E> {
        Ok(Part::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Part, E> {
        Ok(Part::Scalar(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Part, E> {
        let number = serde_json::Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom(format!("{value} is no number of JSON")))?;
        Ok(Part::Scalar(Json::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Part, E> {
        Ok(Part::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element()? {
            list.push(node);
        }
        Ok(Part::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Part::Map(entries))
    }
}

/// An object whose keys are all known.
type Object<'n> = BTreeMap<&'n str, &'n Node>;

impl Node {
    fn wrong(&self, path: &str, what: impl fmt::Display) -> SchemaFileError {
        let what = match path {
            "" => what.to_string(),
            path => format!("{path}: {what}"),
        };
        SchemaFileError {
            line: self.line,
            column: self.column,
            what,
        }
    }

    fn json(&self) -> Json {
        match &self.part {
            Part::Scalar(json) => json.clone(),
            Part::List(list) => list.iter().map(Node::json).collect(),
            Part::Map(entries) => {
                let entry = |(name, value): &(Node, Node)| (name.name(), value.json());
                Json::Object(entries.iter().map(entry).collect())
            }
        }
    }

    /// As the name of an entry.
    fn name(&self) -> String {
        match &self.part {
            Part::Scalar(Json::String(name)) => name.clone(),
            other => Node::shown(other),
        }
    }

    fn shown(part: &Part) -> String {
        match part {
            Part::Scalar(json) => json.to_string(),
            Part::List(_) => "a list".to_owned(),
            Part::Map(_) => "an object".to_owned(),
        }
    }

    /// The entries of an object; the names are strings.
    fn entries(&self, path: &str) -> Result<Vec<(&str, &Node, &Node)>, SchemaFileError> {
        let Part::Map(entries) = &self.part else {
            let what = format!("expected an object, got {}", Node::shown(&self.part));
            return Err(self.wrong(path, what));
        };
        let named = entries.iter().map(|(name, value)| match &name.part {
            Part::Scalar(Json::String(text)) => Ok((text.as_str(), name, value)),
            other => {
                let found = Node::shown(other);
                let what = format!("a name is a string, got {found}: put it in quotes");
                Err(name.wrong(path, what))
            }
        });
        named.collect()
    }

    /// An object that has these keys alone.
    fn object(&self, path: &str, known: &[&str]) -> Result<Object<'_>, SchemaFileError> {
        let entries = self.entries(path)?;
        for (name, place, _) in &entries {
            if !known.contains(name) {
                let advice = match nearest(name, known.iter().copied()) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("the keys are {}", known.join(", ")),
                };
                return Err(place.wrong(path, format!("there is no key `{name}`; {advice}")));
            }
        }
        Ok(entries
            .into_iter()
            .map(|(name, _, value)| (name, value))
            .collect())
    }

    fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, SchemaFileError> {
        serde_json::from_value(self.json()).map_err(|error| self.wrong(path, error))
    }
}

fn optional<T: DeserializeOwned + Default>(
    object: &Object<'_>,
    path: &str,
    key: &str,
) -> Result<T, SchemaFileError> {
    match object.get(key) {
        None => Ok(T::default()),
        Some(node) => node.read(&join(path, key)),
    }
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

const FILE_KEYS: [&str; 4] = ["name", "version", "collections", "dropped"];
const INDEX_KEYS: [&str; 8] = [
    "name",
    "fields",
    "kind",
    "unique",
    "filter",
    "language",
    "partition",
    "retention",
];
const COLLECTION_KEYS: [&str; 10] = [
    "primary_key",
    "persistence",
    "openness",
    "fields",
    "checks",
    "indexes",
    "relationships",
    "ttl",
    "renamed",
    "dropped",
];
const FIELD_KEYS: [&str; 14] = [
    "type",
    "sql_type",
    "required",
    "unique",
    "default",
    "minimum",
    "exclusive_minimum",
    "maximum",
    "exclusive_maximum",
    "min_length",
    "max_length",
    "pattern",
    "one_of",
    "references",
];

/// Objects and lists within each other. The reader takes tens of KB of stack for each level when it
/// is not optimized.
const DEPTH_MAX: usize = 24;

/// Reads a schema file.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read_schema_file(text: &str) -> Result<DatabaseSchema, SchemaFileError> {
    // JSON may be indented by tabs, which YAML does not allow. They are as wide as a space here,
    // and stand in no string of JSON.
    let spaced = text
        .trim_start()
        .starts_with('{')
        .then(|| text.replace('\t', " "));
    // `no` is a name here, as in YAML 1.2.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, flow_nesting_limit: DEPTH_MAX },
    };
    let text = spaced.as_deref().unwrap_or(text);
    let root: Node = serde_saphyr::from_str_with_options(text, options).map_err(no_yaml)?;
    let file = root.object("", &FILE_KEYS)?;
    let needed = |key: &str| {
        let found = file.get(key).copied();
        found.ok_or_else(|| root.wrong("", format!("the key `{key}` is missing")))
    };
    let (name, version) = (needed("name")?, needed("version")?);
    let number = version.json().as_u64().filter(|number| *number > 0);
    let number = number.ok_or_else(|| {
        let found = Node::shown(&version.part);
        version.wrong(
            "version",
            format!("expected a whole number from 1, got {found}"),
        )
    })?;
    let mut schema = DatabaseSchema::new(name.read::<String>("name")?, number);
    for (name, _, node) in needed("collections")?.entries("collections")? {
        let read = collection(name, node, &join("collections", name))?;
        schema.collections.insert(name.to_owned(), read);
    }
    schema.dropped = optional(&file, "", "dropped")?;
    Ok(schema)
}

fn no_yaml(error: serde_saphyr::Error) -> SchemaFileError {
    use serde_saphyr::Error;
    let place = error.location();
    let error = error.without_snippet();
    let what = match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` is there already")
        }
        Error::MultipleDocuments { .. } => {
            "a second document begins here: a file holds one schema".to_owned()
        }
        Error::Budget { .. } => {
            "the file has too many parts, nests too deep, or repeats too much by aliases".to_owned()
        }
        error => UserMessageFormatter.format_message(error).into_owned(),
    };
    SchemaFileError {
        line: place.map_or(1, |place| place.line()),
        column: place.map_or(1, |place| place.column()),
        what,
    }
}

fn collection(name: &str, node: &Node, path: &str) -> Result<CollectionSchema, SchemaFileError> {
    // A collection of which nothing is said.
    if let Part::Scalar(Json::Null) = node.part {
        let definition = Definition::new(name);
        return Ok(collection_of(definition));
    }
    let parts = node.object(path, &COLLECTION_KEYS)?;
    let mut definition = Definition::new(name);
    definition.primary_key = optional(&parts, path, "primary_key")?;
    definition.persistence = optional(&parts, path, "persistence")?;
    definition.ttl = optional(&parts, path, "ttl")?;
    if let Some(indexes) = parts.get("indexes") {
        let path = join(path, "indexes");
        for index in indexes.list(&path)? {
            index.object(&path, &INDEX_KEYS)?;
            definition.indexes.push(index.read(&path)?);
        }
    }
    let mut fields = BTreeMap::new();
    if let Some(node) = parts.get("fields") {
        let path = join(path, "fields");
        for (name, _, node) in node.entries(&path)? {
            fields.insert(name.to_owned(), field(name, node, &join(&path, name))?);
        }
    }
    if let Some(node) = parts.get("relationships") {
        let path = join(path, "relationships");
        for (name, place, node) in node.entries(&path)? {
            let path = join(&path, name);
            node.object(&path, &["collection", "on_delete"])?;
            let reference: Reference = node.read(&path)?;
            let field: Option<&mut Field> = fields.get_mut(name);
            let Some(field) = field else {
                return Err(place.wrong(&path, "there is no such field"));
            };
            if field.references.replace(reference).is_some() {
                return Err(place.wrong(&path, "the field has `references` already"));
            }
            alone(field, node, &path)?;
        }
    }
    let mut checks = Vec::new();
    if let Some(node) = parts.get("checks") {
        let path = join(path, "checks");
        for node in node.list(&path)? {
            let check = node.object(&path, &["name", "expression"])?;
            let text = |key: &str| match check.get(key) {
                Some(node) => node.read::<String>(&join(&path, key)),
                None => Err(node.wrong(&path, format!("the key `{key}` is missing"))),
            };
            let made = Check::new(text("name")?, &text("expression")?);
            checks.push(made.map_err(|error| node.wrong(&path, error))?);
        }
    }
    let openness = optional(&parts, path, "openness")?;
    let schema = Schema::new(openness, fields.into_values().collect());
    let schema = schema.and_then(|schema| schema.with_checks(checks));
    let at = parts.get("checks").copied().unwrap_or(node);
    definition.schema = schema.map_err(|error| at.wrong(path, error))?;
    Ok(CollectionSchema {
        renamed: optional(&parts, path, "renamed")?,
        dropped: optional(&parts, path, "dropped")?,
        ..collection_of(definition)
    })
}

fn collection_of(definition: Definition) -> CollectionSchema {
    CollectionSchema {
        definition,
        renamed: BTreeMap::new(),
        dropped: Vec::new(),
    }
}

impl Node {
    fn list(&self, path: &str) -> Result<&[Node], SchemaFileError> {
        match &self.part {
            Part::List(list) => Ok(list),
            other => {
                let what = format!("expected a list, got {}", Node::shown(other));
                Err(self.wrong(path, what))
            }
        }
    }
}

fn field(name: &str, node: &Node, path: &str) -> Result<Field, SchemaFileError> {
    let parts = node.object(path, &FIELD_KEYS)?;
    if !parts.contains_key("type") {
        return Err(node.wrong(path, "the key `type` is missing"));
    }
    // Each by itself, so that an error has the place of its part.
    let mut whole = serde_json::Map::from_iter([("name".to_owned(), Json::from(name))]);
    for (key, part) in &parts {
        let mut one = serde_json::Map::from_iter([
            ("name".to_owned(), Json::from(name)),
            ("type".to_owned(), "json".into()),
        ]);
        one.insert((*key).to_owned(), part.json());
        whole.insert((*key).to_owned(), part.json());
        let read = serde_json::from_value::<Field>(Json::Object(one));
        read.map_err(|error| part.wrong(&join(path, key), error))?;
    }
    let field = serde_json::from_value(Json::Object(whole));
    let field = field.map_err(|error| node.wrong(path, error))?;
    alone(&field, node, path)?;
    Ok(field)
}

/// Whether a field makes sense; an error has the place of the part at fault, if there is one.
fn alone(field: &Field, node: &Node, path: &str) -> Result<(), SchemaFileError> {
    let Err(error) = Schema::new(velocitydb::Openness::Open, vec![field.clone()]) else {
        return Ok(());
    };
    let rule = match &error {
        SchemaError::BadField { rule, .. } => rule,
        SchemaError::Default { .. } => "default",
        _ => "",
    };
    let part = node
        .entries(path)?
        .into_iter()
        .find(|(key, ..)| *key == rule);
    Err(part.map_or(node, |(_, _, part)| part).wrong(path, error))
}

#[cfg(test)]
mod tests {
    use velocitydb::{IndexDefinition, Path, TimeSpan};

    use super::*;

    const SHOP: &str = "\
name: shop
version: 2
collections:
  customers:
    primary_key: email
    fields:
      email: {type: string, pattern: \"^[^@]+@[^@]+$\"}
      name: {type: string, required: true}
  orders:
    openness: strict
    fields:
      number: {type: string, unique: true}
      customer: {type: string}
      total: {type: decimal, minimum: 0, sql_type: 'numeric(10,2)'}
      at: {type: time, default: now}
    relationships:
      customer: {collection: customers, on_delete: cascade}
    checks:
      - {name: some, expression: total > 0}
    indexes:
      - {name: by_at, fields: [customer, at], kind: hash, unique: true}
    ttl: {seconds: 60, field: at}
    renamed: {no: number}
    dropped: [color]
  notes:
dropped: [carts]
";

    #[test]
    fn a_file_is_read() {
        let schema = read_schema_file(SHOP).unwrap();
        assert_eq!((schema.name.as_str(), schema.version), ("shop", 2));
        assert_eq!(schema.dropped, ["carts"]);
        let orders = &schema.collections["orders"];
        assert_eq!(orders.renamed["no"], "number");
        assert_eq!(orders.dropped, ["color"]);
        let customer = orders.definition.schema.field("customer").unwrap();
        assert_eq!(
            customer.references.as_ref().unwrap().collection,
            "customers"
        );
        let total = orders.definition.schema.field("total").unwrap();
        assert_eq!(total.sql_type().to_string(), "numeric(10,2)");
        assert_eq!(orders.definition.schema.checks().len(), 1);
        assert_eq!(
            schema.collections["notes"].definition,
            Definition::new("notes")
        );
    }

    #[test]
    fn each_key_of_an_index_is_read() {
        let written = |index: &str| {
            let of = format!("name: a\nversion: 1\ncollections: {{c: {{indexes: [{index}]}}}}\n");
            let schema = read_schema_file(&of).unwrap();
            schema.collections["c"].definition.indexes[0].clone()
        };
        let at = || Path::field("at");
        assert_eq!(
            written("{name: i, fields: [at], kind: time_series, partition: 1h, retention: 30d}"),
            IndexDefinition::time_series("i", at(), TimeSpan(3_600_000_000))
                .keep_for(TimeSpan::days(30))
        );
        assert_eq!(
            written("{name: i, fields: [at], kind: full_text, language: german}"),
            IndexDefinition::full_text("i", [at()], "german")
        );
    }

    #[test]
    fn json_with_tabs_is_read_alike() {
        let yaml =
            "name: a\nversion: 1\ncollections: {c: {fields: {x: {type: int, minimum: 1}}}}\n";
        let json = "{\n\t\"name\": \"a\", \"version\": 1,\n\t\"collections\": {\"c\": {\"fields\":\n\
                    \t\t{\"x\": {\"type\": \"int\", \"minimum\": 1}}}}\n}";
        assert_eq!(read_schema_file(json), read_schema_file(yaml));
        assert!(read_schema_file(yaml).is_ok());
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        for (from, to, expected) in [
            (
                "version: 2",
                "version: 0",
                "line 2, column 10: version: expected a whole number from 1, got 0",
            ),
            (
                "version: 2\n",
                "",
                "line 1, column 1: the key `version` is missing",
            ),
            (
                "required: true",
                "requierd: true",
                "line 8, column 28: collections.customers.fields.name: there is no key `requierd`; did you mean `required`?",
            ),
            (
                "required: true",
                "required: maybe",
                "line 8, column 38: collections.customers.fields.name.required: invalid type: string \"maybe\", expected a boolean",
            ),
            (
                "primary_key: email",
                "primary_key: 7",
                "line 5, column 18: collections.customers.primary_key: the name of a field, or a list of names",
            ),
            (
                "openness: strict",
                "openess: strict",
                "line 10, column 5: collections.orders: there is no key `openess`; did you mean `openness`?",
            ),
            (
                "type: decimal, minimum: 0",
                "type: decimal, pattern: x",
                "line 14, column 39: collections.orders.fields.total: field \"total\": pattern: only for a field of type string, and this is decimal",
            ),
            (
                "      customer: {coll",
                "      client: {coll",
                "line 17, column 7: collections.orders.relationships.client: there is no such field",
            ),
            (
                "total > 0",
                "totl > 0",
                "line 19, column 7: collections.orders: check \"some\": the strict schema does not declare the field \"totl\" (line 1, column 1)",
            ),
        ] {
            assert!(SHOP.contains(from), "{from}");
            let error = read_schema_file(&SHOP.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        for (text, expected) in [
            (
                "name: a\nname: b\n",
                "line 2, column 1: the key `name` is there already",
            ),
            (
                "name: a\nversion: 1\n---\nname: b\n",
                "line 4, column 1: a second document begins here: a file holds one schema",
            ),
        ] {
            assert_eq!(read_schema_file(text).unwrap_err().to_string(), expected);
        }
        let broken = read_schema_file("name: [").unwrap_err();
        assert_eq!(broken.line, 1, "{broken}");
    }

    #[test]
    fn a_primary_key_is_a_field_or_a_list_of_fields() {
        let read = |key: &str| {
            let text = SHOP.replacen("primary_key: email", key, 1);
            let schema = read_schema_file(&text).unwrap();
            let customers = schema.collections["customers"].definition.clone();
            customers.primary_key
        };
        assert_eq!(read("primary_key: email"), Some("email".into()));
        let several = Some(["email", "name"].into());
        assert_eq!(read("primary_key: [email, name]"), several);
    }

    #[test]
    fn hostile_text_is_refused() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (before, name) in "abcdefghi".chars().zip("bcdefghij".chars()) {
            let aliases = vec![format!("*{before}"); 9].join(", ");
            bomb += &format!("{name}: &{name} [{aliases}]\n");
        }
        let block = |depth: usize| (0..depth).map(|at| " ".repeat(at) + "a:\n").collect();
        let refused = read_schema_file(&format!("[{}]", "1,".repeat(300_000)))
            .unwrap_err()
            .what;
        let expected =
            "the file has too many parts, nests too deep, or repeats too much by aliases";
        assert_eq!(refused, expected);
        for text in [
            bomb,
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            "- ".repeat(100_000),
            "? - ".repeat(100_000),
            block(200),
            block(3_000),
        ] {
            assert!(read_schema_file(&text).is_err());
        }
    }
}
