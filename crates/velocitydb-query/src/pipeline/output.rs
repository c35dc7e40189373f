//! Where the rows of a pipeline go: the last stage says so, whoever runs the pipeline writes them.

use crate::error::QueryError;

/// The collection that the rows of a pipeline go into, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output<'p> {
    /// They replace what the collection of this name holds.
    Out(&'p str),
    /// Each goes in by itself.
    Merge(&'p Merge),
}

impl<'p> Output<'p> {
    /// The collection's name.
    pub fn collection(self) -> &'p str {
        match self {
            Output::Out(name) => name,
            Output::Merge(merge) => &merge.into,
        }
    }

    /// The name of the stage in JSON.
    pub fn stage(self) -> &'static str {
        match self {
            Output::Out(_) => "$out",
            Output::Merge(_) => "$merge",
        }
    }
}

/// Each row goes into a collection by itself: its `_id` says which document it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The collection's name.
    pub into: String,
    /// What is done where there is a document of this id.
    pub matched: WhenMatched,
    /// What is done where there is none.
    pub unmatched: WhenNotMatched,
}

/// What `$merge` does with a row of whose id there is a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenMatched {
    /// The row takes the document's place.
    Replace,
    /// The row's fields are set in the document, which keeps its others.
    #[default]
    Merge,
    /// The document stays as it is.
    KeepExisting,
    /// It is an error.
    Fail,
}

/// What `$merge` does with a row of whose id there is no document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenNotMatched {
    /// The row becomes a document.
    #[default]
    Insert,
    /// Nothing.
    Discard,
    /// It is an error.
    Fail,
}

impl Merge {
    /// Into this collection: rows are merged with the documents that are there, others inserted.
    pub fn new(into: impl Into<String>) -> Merge {
        Merge {
            into: into.into(),
            matched: WhenMatched::default(),
            unmatched: WhenNotMatched::default(),
        }
    }

    pub(super) fn check(&self) -> Result<(), QueryError> {
        if self.into.is_empty() {
            return Err(QueryError::EmptyName);
        }
        match (self.matched, self.unmatched) {
            (_, WhenNotMatched::Insert) | (WhenMatched::Replace | WhenMatched::Merge, _) => Ok(()),
            (WhenMatched::KeepExisting | WhenMatched::Fail, _) => Err(QueryError::InvalidStage {
                stage: "$merge",
                problem: "where documents that are there stay as they are, others are \
                              inserted: whenNotMatched is \"insert\""
                    .to_owned(),
            }),
        }
    }
}
