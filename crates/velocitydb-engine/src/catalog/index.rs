//! What an index is: its name, its fields, how it finds.
//!
//! Read from JSON, where a field is its path or an object, and everything but name, fields and
//! kind may be left out:
//!
//! ```text
//!   {"name": "by_state", "kind": "btree", "fields": ["state", {"path": "priority", "direction": "desc"}]}
//!   {"name": "by_tag", "kind": "btree", "fields": [{"path": "tags", "elements": true}]}
//!   {"name": "by_name", "kind": "btree", "fields": [{"expression": "lower(name)"}], "unique": true}
//!   {"name": "waiting", "kind": "hash", "fields": ["node"], "filter": "state = 'waiting'"}
//!   {"name": "by_time", "kind": "time_series", "fields": ["at"], "partition": "1d", "retention": "30d"}
//! ```
//!
//! Tests: below, `tests::formats`, and the embedded library's.

use serde::{Deserialize, Serialize};
use velocitydb_types::{Expression, Path, RawMap, TimeSpan, Timestamp};

mod field;

use super::check_name;
use crate::command::Refusal;
#[cfg(feature = "full-text")]
use crate::text::Language;

pub use field::IndexField;
pub(crate) use field::Indexed;

/// How many fields an index may have: as many as one of PostgreSQL.
pub const INDEX_FIELDS_MAX: usize = 32;

/// What an index is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", deny_unknown_fields)]
pub struct IndexDefinition {
    /// The name, unique within the collection.
    pub name: String,
    /// The indexed fields, in order.
    pub fields: Vec<IndexField>,
    /// How it finds.
    pub kind: IndexKind,
    /// Whether the fields' values together stand in one document at most. Documents in which one
    /// of the fields is absent or null do not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// Only documents that meet this condition are in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expression>,
    /// The language of a full-text index: its stems and stop words. None: words as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Of a time-series index: how much time a partition spans; [`PARTITION`] unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<TimeSpan>,
    /// Of a time-series index: how long after a partition's end its documents expire, all of them
    /// at that moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<TimeSpan>,
    /// What people say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What a partition of a time-series index spans unless its definition says.
pub const PARTITION: TimeSpan = TimeSpan::days(1);

/// What a partition spans at least, and what a partition or a retention spans at most, in µs.
const SPANS_US: std::ops::RangeInclusive<u64> = 1_000_000..=TimeSpan::days(36_525).0;

/// Which way values are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The smallest value first.
    #[default]
    #[serde(rename = "asc", alias = "ascending")]
    Ascending,
    /// The largest value first.
    #[serde(rename = "desc", alias = "descending")]
    Descending,
}

/// How an index finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IndexKind {
    /// Documents in which all fields have given values.
    Hash,
    /// Documents by values, ranges and prefixes of the first fields, in the order of the fields.
    Btree,
    /// Documents by where a point lies: in an area, or near a place.
    Geo,
    /// Documents by words of their texts, ranked.
    FullText,
    /// Documents by the time in a field, in partitions of equal length, which may expire as a whole.
    TimeSeries,
}

/// As it is written. `unique_hash` is what unique hash indexes were called once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an index, an object")]
struct Written {
    name: String,
    fields: Vec<IndexField>,
    kind: WrittenKind,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    filter: Option<Expression>,
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    partition: Option<TimeSpan>,
    #[serde(default)]
    retention: Option<TimeSpan>,
    #[serde(default)]
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenKind {
    UniqueHash,
    Hash,
    Btree,
    Geo,
    FullText,
    TimeSeries,
}

impl From<Written> for IndexDefinition {
    fn from(written: Written) -> Self {
        let (kind, unique) = match written.kind {
            WrittenKind::UniqueHash => (IndexKind::Hash, true),
            WrittenKind::Hash => (IndexKind::Hash, written.unique),
            WrittenKind::Btree => (IndexKind::Btree, written.unique),
            WrittenKind::Geo => (IndexKind::Geo, written.unique),
            WrittenKind::FullText => (IndexKind::FullText, written.unique),
            WrittenKind::TimeSeries => (IndexKind::TimeSeries, written.unique),
        };
        IndexDefinition {
            name: written.name,
            fields: written.fields,
            kind,
            unique,
            filter: written.filter,
            language: written.language,
            partition: written.partition,
            retention: written.retention,
            comment: written.comment,
        }
    }
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Ascending => Direction::Descending,
            Direction::Descending => Direction::Ascending,
        }
    }
}

impl IndexDefinition {
    /// An index of this kind over these fields.
    pub fn new<F: Into<IndexField>>(
        name: impl Into<String>,
        kind: IndexKind,
        fields: impl IntoIterator<Item = F>,
    ) -> IndexDefinition {
        IndexDefinition {
            name: name.into(),
            fields: fields.into_iter().map(Into::into).collect(),
            kind,
            unique: false,
            filter: None,
            language: None,
            partition: None,
            retention: None,
            comment: None,
        }
    }

    /// A hash index: finds documents by equal values.
    pub fn hash<F: Into<IndexField>>(
        name: impl Into<String>,
        fields: impl IntoIterator<Item = F>,
    ) -> IndexDefinition {
        IndexDefinition::new(name, IndexKind::Hash, fields)
    }

    /// A B-tree index: finds documents by values and ranges, and in order.
    pub fn btree<F: Into<IndexField>>(
        name: impl Into<String>,
        fields: impl IntoIterator<Item = F>,
    ) -> IndexDefinition {
        IndexDefinition::new(name, IndexKind::Btree, fields)
    }

    /// A geo index: finds documents by where the point in a field lies.
    pub fn geo(name: impl Into<String>, field: Path) -> IndexDefinition {
        IndexDefinition::new(name, IndexKind::Geo, [field])
    }

    /// A full-text index over the strings in these fields, alone or in arrays, in a language.
    pub fn full_text(
        name: impl Into<String>,
        fields: impl IntoIterator<Item = Path>,
        language: impl Into<String>,
    ) -> IndexDefinition {
        IndexDefinition {
            language: Some(language.into()),
            ..IndexDefinition::new(name, IndexKind::FullText, fields)
        }
    }

    /// A time-series index over the time in a field.
    pub fn time_series(
        name: impl Into<String>,
        field: Path,
        partition: TimeSpan,
    ) -> IndexDefinition {
        IndexDefinition {
            partition: Some(partition),
            ..IndexDefinition::new(name, IndexKind::TimeSeries, [field])
        }
    }

    /// The same; documents expire this long after the end of their partition.
    #[must_use]
    pub fn keep_for(self, retention: TimeSpan) -> IndexDefinition {
        IndexDefinition {
            retention: Some(retention),
            ..self
        }
    }

    /// A unique hash index over these fields.
    pub fn unique(name: impl Into<String>, fields: Vec<Path>) -> IndexDefinition {
        IndexDefinition::hash(name, fields).and_unique()
    }

    /// The same, unique.
    #[must_use]
    pub fn and_unique(self) -> IndexDefinition {
        IndexDefinition {
            unique: true,
            ..self
        }
    }

    /// The same, over those documents alone that meet a condition.
    #[must_use]
    pub fn only(self, filter: Expression) -> IndexDefinition {
        IndexDefinition {
            filter: Some(filter),
            ..self
        }
    }

    /// Whether the other one is made the same, whatever is said of them.
    pub(crate) fn is_made_as(&self, other: &IndexDefinition) -> bool {
        let made = |index: &IndexDefinition| IndexDefinition {
            comment: None,
            ..index.clone()
        };
        match self.comment == other.comment {
            true => self == other,
            false => self.name == other.name && made(self) == made(other),
        }
    }

    /// Whether everything in it is sound.
    pub fn check(&self) -> Result<(), Refusal> {
        check_name("index", &self.name)?;
        let bad = |what: &str| {
            Err(Refusal::BadDefinition(format!(
                "the index {:?} {what}",
                self.name
            )))
        };
        let elements = self.fields.iter().filter(|field| field.elements).count();
        let own = |field: &'_ IndexField| match &field.expression {
            None => vec![field.path.clone()],
            Some(expression) => expression.paths().into_iter().cloned().collect(),
        };
        let mut named = self.fields.iter().flat_map(own);
        let metadata = named.find(|path| path.first().starts_with('_'));
        let constant = self.fields.iter().find(|field| own(field).is_empty());
        let computed = self.fields.iter().any(|field| field.expression.is_some());
        if self.fields.is_empty() {
            return bad("has no fields");
        }
        if self.fields.len() > INDEX_FIELDS_MAX {
            return bad(&format!("has more than {INDEX_FIELDS_MAX} fields"));
        }
        if let Some(path) = metadata {
            return bad(&format!("names {path}: metadata is in no index"));
        }
        if let Some(field) = constant {
            return bad(&format!("has the expression {field}, which names no field"));
        }
        let of_values = matches!(self.kind, IndexKind::Hash | IndexKind::Btree);
        if computed && !of_values {
            return bad("is of an expression: only hash and btree indexes are");
        }
        if elements > 1 {
            return bad("has the elements of more than one array: their pairs would be too many");
        }
        if elements > 0 && self.unique {
            return bad("is unique and of an array's elements: only whole values can be unique");
        }
        if self.language.is_some() && self.kind != IndexKind::FullText {
            return bad("has a language: only a full-text index has one");
        }
        self.check_series()?;
        let descends = |field: &IndexField| field.direction == Direction::Descending;
        match self.kind {
            IndexKind::Hash if self.fields.iter().any(descends) => {
                return bad("is a hash index, which has no order: leave the direction out");
            }
            IndexKind::FullText
                if self.unique || elements > 0 || self.fields.iter().any(descends) =>
            {
                return bad(
                    "is a full-text index: it is not unique, has no direction, and takes the \
                     strings of an array anyway",
                );
            }
            #[cfg(not(feature = "full-text"))]
            IndexKind::FullText => {
                return bad("is a full-text index, for which this program was not built");
            }
            #[cfg(feature = "full-text")]
            IndexKind::FullText => {
                if let Some(Err(error)) = self.language.as_deref().map(str::parse::<Language>) {
                    return bad(&error.to_string());
                }
            }
            IndexKind::Geo
                if self.fields.len() > 1
                    || self.unique
                    || elements > 0
                    || descends(&self.fields[0]) =>
            {
                return bad("is a geo index: it has one field, no direction, and is not unique");
            }
            IndexKind::TimeSeries
                if self.fields.len() > 1
                    || self.unique
                    || elements > 0
                    || descends(&self.fields[0]) =>
            {
                return bad(
                    "is a time-series index: it has one field, the time, no direction, and is not \
                     unique",
                );
            }
            _ => {}
        }
        match &self.filter {
            Some(filter) if !filter.is_condition() => bad("has a filter that is no condition"),
            _ => Ok(()),
        }
    }

    fn check_series(&self) -> Result<(), Refusal> {
        let spans = [
            ("partition", self.partition, *SPANS_US.start()),
            ("retention", self.retention, 0),
        ];
        for (what, span, least) in spans {
            let wrong = match span {
                None => continue,
                Some(_) if self.kind != IndexKind::TimeSeries => {
                    format!("has a {what}: only a time-series index has one")
                }
                Some(span) if !(least..=*SPANS_US.end()).contains(&span.0) => format!(
                    "has a {what} of {span}: it is {} to {}",
                    TimeSpan(least),
                    TimeSpan(*SPANS_US.end())
                ),
                Some(_) => continue,
            };
            return Err(Refusal::BadDefinition(format!(
                "the index {:?} {wrong}",
                self.name
            )));
        }
        Ok(())
    }

    /// The partition of a time-series index in which a time lies: from when, until before when.
    pub fn partition_of(&self, time: Timestamp) -> std::ops::Range<Timestamp> {
        let length = self.partition.unwrap_or(PARTITION).0 as i64;
        let from = time.0.div_euclid(length).saturating_mul(length);
        Timestamp(from)..Timestamp(from.saturating_add(length))
    }

    /// When documents of the partition of this time expire, by the retention.
    pub fn expiry_of(&self, time: Timestamp) -> Option<Timestamp> {
        let retention = self.retention?.0 as i64;
        let end = self.partition_of(time).end.0;
        Some(Timestamp(end.saturating_add(retention)))
    }

    /// When a document with these fields expires, by the retention.
    pub(crate) fn expiry_for(&self, fields: RawMap<'_>) -> Option<Timestamp> {
        let time = fields.get_path(&self.fields[0].path)?.as_time()?;
        self.expiry_of(time).filter(|_| self.admits(fields))
    }

    /// The language of a full-text index.
    #[cfg(feature = "full-text")]
    pub fn text_language(&self) -> Language {
        let language = self.language.as_deref().map(str::parse);
        language.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether a document with these fields may be in it. One for which the condition has no
    /// answer is not.
    pub(crate) fn admits(&self, fields: RawMap<'_>) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.judge(fields) == Ok(Some(true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: IndexDefinition, written: &str) {
        let read: IndexDefinition = serde_json::from_str(text).unwrap();
        assert_eq!(read, expected);
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
        assert_eq!(
            serde_json::from_str::<IndexDefinition>(written).unwrap(),
            read
        );
    }

    fn field(path: &str) -> IndexField {
        Path::field(path).into()
    }

    #[test]
    fn definitions_as_they_are_written() {
        check(
            r#"{"name":"i","fields":["n"],"kind":"unique_hash"}"#,
            IndexDefinition::unique("i", vec![Path::field("n")]),
            r#"{"name":"i","fields":["n"],"kind":"hash","unique":true}"#,
        );
        check(
            r#"{"name":"i","kind":"btree","fields":["a",{"path":"b","direction":"desc"}]}"#,
            IndexDefinition::btree("i", [field("a"), field("b").descending()]),
            r#"{"name":"i","fields":["a",{"path":"b","direction":"desc"}],"kind":"btree"}"#,
        );
        check(
            r#"{"name":"i","kind":"hash","fields":[{"path":"a","elements":true}],"filter":"b > 1"}"#,
            IndexDefinition::hash("i", [field("a").elements()]).only("b > 1".parse().unwrap()),
            r#"{"name":"i","fields":[{"path":"a","direction":"asc","elements":true}],"kind":"hash","filter":"b > 1"}"#,
        );
        check(
            r#"{"name":"i","kind":"btree","fields":["a",{"expression":"LOWER(b)","direction":"desc"}]}"#,
            IndexDefinition::btree(
                "i",
                [
                    field("a"),
                    IndexField::from("LOWER(b)".parse::<Expression>().unwrap()).descending(),
                ],
            ),
            r#"{"name":"i","fields":["a",{"expression":"LOWER(b)","direction":"desc"}],"kind":"btree"}"#,
        );
        check(
            r#"{"name":"i","kind":"time_series","fields":["at"],"partition":"24h","retention":"30d"}"#,
            IndexDefinition::time_series("i", Path::field("at"), PARTITION)
                .keep_for(TimeSpan::days(30)),
            r#"{"name":"i","fields":["at"],"kind":"time_series","partition":"1d","retention":"30d"}"#,
        );
    }

    #[test]
    fn partitions_begin_at_multiples_of_their_length() {
        let index = IndexDefinition::time_series("i", Path::field("at"), TimeSpan(10_000_000));
        for (time, from) in [
            (0, 0),
            (9_999_999, 0),
            (10_000_000, 10_000_000),
            (-1, -10_000_000),
        ] {
            let partition = index.partition_of(Timestamp(time));
            assert_eq!(partition, Timestamp(from)..Timestamp(from + 10_000_000));
        }
        for far in [Timestamp(i64::MIN), Timestamp(i64::MAX)] {
            assert!(index.partition_of(far).start <= far);
        }
    }

    #[test]
    fn what_cannot_be_an_index_is_told_why() {
        let b = || field("b");
        let lower = |of: &str| format!("lower({of})").parse::<Expression>().unwrap();
        for (definition, why) in [
            (IndexDefinition::btree("_i", [b()]), "reserved"),
            (
                IndexDefinition::btree::<IndexField>("i", []),
                "has no fields",
            ),
            (
                IndexDefinition::btree("i", [field("_id")]),
                "metadata is in no index",
            ),
            (
                IndexDefinition::btree("i", [b().elements(), field("c").elements()]),
                "more than one array",
            ),
            (
                IndexDefinition::btree("i", [b().elements()]).and_unique(),
                "only whole values",
            ),
            (
                IndexDefinition::hash("i", [b().descending()]),
                "has no order",
            ),
            (
                IndexDefinition::new("i", IndexKind::Geo, [b().elements()]),
                "is a geo index",
            ),
            (
                IndexDefinition::btree("i", [b()]).keep_for(PARTITION),
                "only a time-series index",
            ),
            (
                IndexDefinition::time_series("i", Path::field("b"), TimeSpan(1)),
                "has a partition of 1us: it is 1s to",
            ),
            (
                IndexDefinition::new("i", IndexKind::TimeSeries, [b(), field("c")]),
                "one field, the time",
            ),
            (
                IndexDefinition::btree("i", [IndexField::from(lower("_id"))]),
                "metadata is in no index",
            ),
            (
                IndexDefinition::btree("i", [IndexField::from(lower("'x'"))]),
                "names no field",
            ),
            (
                IndexDefinition::new("i", IndexKind::Geo, [IndexField::from(lower("b"))]),
                "only hash and btree",
            ),
            (
                IndexDefinition::btree("i", [b()]).only("b + 1".parse().unwrap()),
                "no condition",
            ),
        ] {
            let error = definition.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
