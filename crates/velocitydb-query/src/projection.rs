//! Which parts of a document are wanted.
//!
//! Paths lead through arrays as well: of `items.price` each element that is a map keeps its
//! `price`. Where all names at an array are positions (`items.0`) they choose elements. What a path
//! does not find is not there in the answer either.
//!
//! Metadata stands under its names: `_id` is in every answer that does not exclude it, `_version`
//! and the others where all is wanted, or they are named. Tests: below.

use std::collections::BTreeMap;

use velocitydb_engine::Document;
use velocitydb_types::{Path, Value};

use crate::error::QueryError;
use crate::path::IntoPath;
use crate::row::{Aggregated, Kind, Row, metadata_field};

/// Which parts of a document are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Projection {
    /// All fields and metadata.
    #[default]
    All,
    /// What these paths lead to.
    Include(Vec<Path>),
    /// All but what these paths lead to.
    Exclude(Vec<Path>),
}

/// The id's name.
pub(crate) const ID: &str = "_id";

impl Projection {
    /// These paths, and `_id` before them.
    ///
    /// # Errors
    /// A text that is no path.
    pub fn include<P: IntoPath>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Projection, QueryError> {
        let mut paths = into_paths(paths)?;
        let id = Path::field(ID);
        if !paths.contains(&id) {
            paths.insert(0, id);
        }
        Ok(Projection::Include(paths))
    }

    /// All but these paths.
    ///
    /// # Errors
    /// A text that is no path.
    pub fn exclude<P: IntoPath>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Projection, QueryError> {
        into_paths(paths).map(Projection::Exclude)
    }

    /// The paths that are named.
    pub fn paths(&self) -> &[Path] {
        match self {
            Projection::All => &[],
            Projection::Include(paths) | Projection::Exclude(paths) => paths,
        }
    }

    pub(crate) fn check(&self, kind: Kind) -> Result<(), QueryError> {
        self.paths().iter().try_for_each(|path| kind.check(path))
    }

    /// The projection, ready for many documents.
    pub fn projector(&self) -> Projector<'_> {
        let mut root = Node::default();
        for path in self.paths() {
            root.add(path.segments());
        }
        Projector {
            projection: self,
            root,
        }
    }
}

fn into_paths<P: IntoPath>(paths: impl IntoIterator<Item = P>) -> Result<Vec<Path>, QueryError> {
    paths.into_iter().map(IntoPath::into_path).collect()
}

/// A [`Projection`] at work.
#[derive(Debug)]
pub struct Projector<'p> {
    projection: &'p Projection,
    root: Node<'p>,
}

/// The paths as a tree of their segments. As deep as a path may be long.
#[derive(Debug, Default)]
struct Node<'p> {
    /// Whether a path ends here: what is inside does not matter.
    ends: bool,
    inside: BTreeMap<&'p str, Node<'p>>,
}

impl<'p> Node<'p> {
    fn add(&mut self, segments: &'p [String]) {
        match segments {
            [] => self.ends = true,
            [first, rest @ ..] => self.inside.entry(first).or_default().add(rest),
        }
    }

    /// Whether the names here choose elements of arrays.
    fn positions(&self) -> bool {
        self.inside
            .keys()
            .all(|name| Path::position(name).is_some())
    }

    fn at(&self, position: usize) -> Option<&Node<'p>> {
        self.inside.get(position.to_string().as_str())
    }

    /// The part of a value that paths lead to.
    fn include(&self, value: Value) -> Option<Value> {
        match value {
            value if self.ends => Some(value),
            Value::Map(map) => {
                let kept = map.into_iter().filter_map(|(name, value)| {
                    let value = self.inside.get(name.as_str())?.include(value)?;
                    Some((name, value))
                });
                Some(Value::Map(kept.collect()))
            }
            Value::Array(elements) => {
                let positions = self.positions();
                let elements = elements.into_iter().enumerate();
                let kept = elements.filter_map(|(at, element)| match (positions, &element) {
                    (true, _) => self.at(at)?.include(element),
                    (false, Value::Map(_) | Value::Array(_)) => self.include(element),
                    (false, _) => None,
                });
                Some(Value::Array(kept.collect()))
            }
            _ => None,
        }
    }

    /// A value without the parts that paths lead to.
    fn exclude(&self, value: Value) -> Option<Value> {
        match value {
            _ if self.ends => None,
            Value::Map(map) => {
                let kept = map.into_iter().filter_map(|(name, value)| {
                    let value = match self.inside.get(name.as_str()) {
                        Some(node) => node.exclude(value)?,
                        None => value,
                    };
                    Some((name, value))
                });
                Some(Value::Map(kept.collect()))
            }
            Value::Array(elements) => {
                let positions = self.positions();
                let elements = elements.into_iter().enumerate();
                let kept = elements.filter_map(|(at, element)| match positions {
                    true => match self.at(at) {
                        Some(node) => node.exclude(element),
                        None => Some(element),
                    },
                    false => self.exclude(element),
                });
                Some(Value::Array(kept.collect()))
            }
            value => Some(value),
        }
    }
}

impl Projector<'_> {
    /// The row of a document. Of the encoded document only what is wanted is decoded.
    pub fn row(&self, document: &Document) -> Aggregated {
        match self.projection {
            Projection::All => Row::from(document).into_map(),
            Projection::Include(_) => {
                let fields = document.fields();
                let named = self.root.inside.iter().filter_map(|(name, node)| {
                    let value = match metadata_field(document, name) {
                        Some(value) => value,
                        None => fields.get(name)?.to_value(),
                    };
                    Some(((*name).to_owned(), node.include(value)?))
                });
                named.collect()
            }
            Projection::Exclude(_) => self.map(Row::from(document).into_map()),
        }
    }

    /// The row made of another row.
    pub(crate) fn map(&self, map: Aggregated) -> Aggregated {
        let value = Value::Map(map);
        let kept = match self.projection {
            Projection::All => Some(value),
            Projection::Include(_) => self.root.include(value),
            Projection::Exclude(_) => self.root.exclude(value),
        };
        match kept {
            Some(Value::Map(map)) => map,
            _ => Aggregated::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::documents;

    const ORDER: &str = r#"{"state":"paid","to":{"city":"Kiruna","zip":"98131"},
        "items":[{"sku":"a","n":1},{"sku":"b","n":2},7],"grid":[[{"x":1,"y":2}]]}"#;

    #[test]
    fn included_and_excluded() {
        let document = documents(&[ORDER]).swap_remove(0);
        let include = |paths: &[&str]| Projection::include(paths.iter().copied()).unwrap();
        let exclude = |paths: &[&str]| Projection::exclude(paths.iter().copied()).unwrap();
        let only = |paths: &[&str]| {
            let paths = paths.iter().map(|path| path.parse().unwrap());
            Projection::Include(paths.collect())
        };
        let metadata = ["_id", "_version", "_index", "_created_at", "_updated_at"];
        let without = |paths: &[&str]| exclude(&[&metadata[..], paths].concat());
        for (projection, expected) in [
            (include(&["state"]), r#"{"_id":0,"state":"paid"}"#),
            (
                include(&["to.city", "none", "state.x"]),
                r#"{"_id":0,"to":{"city":"Kiruna"}}"#,
            ),
            (
                include(&["items.n"]),
                r#"{"_id":0,"items":[{"n":1},{"n":2}]}"#,
            ),
            (
                include(&["items.1"]),
                r#"{"_id":0,"items":[{"sku":"b","n":2}]}"#,
            ),
            (include(&["items.1.n"]), r#"{"_id":0,"items":[{"n":2}]}"#),
            (include(&["grid.x"]), r#"{"_id":0,"grid":[[{"x":1}]]}"#),
            (
                include(&["to.zip", "to"]),
                r#"{"_id":0,"to":{"city":"Kiruna","zip":"98131"}}"#,
            ),
            (include(&["_version"]), r#"{"_id":0,"_version":1}"#),
            (include(&[]), r#"{"_id":0}"#),
            (only(&["state"]), r#"{"state":"paid"}"#),
            (
                without(&["items", "grid"]),
                r#"{"state":"paid","to":{"city":"Kiruna","zip":"98131"}}"#,
            ),
            (
                without(&["items.sku", "grid.0.0.x", "to", "none.x"]),
                r#"{"state":"paid","items":[{"n":1},{"n":2},7],"grid":[[{"y":2}]]}"#,
            ),
            (
                without(&["items.0", "grid", "to", "state"]),
                r#"{"items":[{"sku":"b","n":2},7]}"#,
            ),
        ] {
            let row = Value::Map(projection.projector().row(&document));
            assert_eq!(row, Value::from_json(expected).unwrap(), "{projection:?}");
        }
        let all = Projection::All.projector().row(&document);
        assert_eq!(all, Row::from(&document).into_map());
    }
}
