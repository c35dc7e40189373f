//! A field of an index: a path of the document, or an expression that is computed of it.
//!
//! Tests: with the definitions of indexes.

use serde::{Deserialize, Serialize};
use velocitydb_types::{EvaluationError, Expression, Path, RawMap, RawValue, Value, View};

use super::Direction;

/// A field of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenField", into = "WrittenField")]
pub struct IndexField {
    /// Where its values are; of an expression the path that stands for it, which no document has:
    /// [`Expression::stand_in`].
    pub path: Path,
    /// What is computed of each document, in the place of a field.
    pub expression: Option<Box<Expression>>,
    /// Which way they are ordered.
    pub direction: Direction,
    /// Whether an array's elements are indexed, each by itself, and not the array.
    pub elements: bool,
}

/// A value that an index is of: in the document, or made of it.
pub(crate) enum Indexed<'a> {
    Raw(RawValue<'a>),
    Made(Value),
}

impl Indexed<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Indexed::Raw(value) => View::from(*value),
            Indexed::Made(value) => View::from(value),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a field: its path, or an object with `path` or `expression`, `direction` (asc or \
                 desc), `elements`"
)]
enum WrittenField {
    Path(Path),
    Full(WrittenInFull),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenInFull {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Path>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expression: Option<Box<Expression>>,
    #[serde(default)]
    direction: Direction,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    elements: bool,
}

impl TryFrom<WrittenField> for IndexField {
    type Error = &'static str;

    fn try_from(written: WrittenField) -> Result<Self, Self::Error> {
        let WrittenInFull {
            path,
            expression,
            direction,
            elements,
        } = match written {
            WrittenField::Path(path) => return Ok(path.into()),
            WrittenField::Full(full) => full,
        };
        let field = match (path, expression) {
            (Some(path), None) => IndexField::from(path),
            (None, Some(expression)) => IndexField::from(*expression),
            _ => return Err("a field has a path or an expression, one of the two"),
        };
        Ok(IndexField {
            direction,
            elements,
            ..field
        })
    }
}

impl From<IndexField> for WrittenField {
    fn from(field: IndexField) -> Self {
        let IndexField {
            path,
            expression,
            direction,
            elements,
        } = field;
        match (expression, direction, elements) {
            (None, Direction::Ascending, false) => WrittenField::Path(path),
            (expression, ..) => WrittenField::Full(WrittenInFull {
                path: expression.is_none().then_some(path),
                expression,
                direction,
                elements,
            }),
        }
    }
}

impl From<Path> for IndexField {
    fn from(path: Path) -> Self {
        IndexField {
            path,
            expression: None,
            direction: Direction::Ascending,
            elements: false,
        }
    }
}

impl From<Expression> for IndexField {
    fn from(expression: Expression) -> Self {
        IndexField {
            expression: Some(Box::new(expression.clone())),
            ..expression.stand_in().into()
        }
    }
}

/// A field of an index as people read it: its path, or its expression.
impl std::fmt::Display for IndexField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.expression {
            None => self.path.fmt(f),
            Some(expression) => expression.fmt(f),
        }
    }
}

impl IndexField {
    /// Its value in a document with these fields; null where there is none. `place`: where it was
    /// in the document before, and is in this one.
    ///
    /// # Errors
    /// The expression has no value.
    pub(crate) fn value<'a>(
        &self,
        fields: RawMap<'a>,
        place: &mut usize,
    ) -> Result<Indexed<'a>, EvaluationError> {
        Ok(match &self.expression {
            None => {
                let value = fields.get_path_near(&self.path, place);
                Indexed::Raw(value.unwrap_or(RawValue::NULL))
            }
            Some(expression) => Indexed::Made(expression.evaluate(fields)?),
        })
    }

    /// Whether it is of this field of the document, or of something within it.
    pub fn names(&self, field: &str) -> bool {
        match &self.expression {
            None => self.path.first() == field,
            Some(expression) => {
                let mut paths = expression.paths().into_iter();
                paths.any(|path| path.first() == field)
            }
        }
    }

    /// The same, the largest value first.
    #[must_use]
    pub fn descending(self) -> IndexField {
        IndexField {
            direction: Direction::Descending,
            ..self
        }
    }

    /// The same; of an array each element is indexed.
    #[must_use]
    pub fn elements(self) -> IndexField {
        IndexField {
            elements: true,
            ..self
        }
    }
}
