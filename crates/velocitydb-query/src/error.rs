//! Why a query cannot be answered.
//!
//! All of it depends on the query and the documents alone: the same query over the same state
//! fails the same way. But for [`QueryError::MemoryOfAll`], which depends on other queries. Tests: with the module that reports it; the table below.

use velocitydb_types::{DecimalError, ErrorClass, Path, PathError};

use crate::expression::{EXPRESSION_DEPTH_MAX, EXPRESSION_PARTS_MAX};
use crate::filter::{
    CONDITIONS_MAX, FILTER_DEPTH_MAX, IN_VALUES_MAX, REGEX_BYTES_MAX, REGEXES_MAX, TEXTS_MAX,
};
use crate::pipeline::STAGES_MAX;

/// An error of a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// A text is no path.
    #[error("the path {text:?}: {source}")]
    Path {
        /// The text.
        text: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// A path begins with `_` and names no metadata.
    #[error(
        "there is no metadata {path}: there are _id, _version, _index, _created_at and \
         _updated_at"
    )]
    UnknownMetadata {
        /// The path.
        path: Path,
    },
    /// Conditions nest deeper than [`FILTER_DEPTH_MAX`].
    #[error("the filter's conditions nest more than {FILTER_DEPTH_MAX} deep")]
    FilterTooDeep,
    /// A filter has more than [`CONDITIONS_MAX`] conditions.
    #[error("the filter has more than {CONDITIONS_MAX} conditions")]
    TooManyConditions,
    /// A list of values is longer than [`IN_VALUES_MAX`].
    #[error("a list of {count} values, at most {IN_VALUES_MAX} are allowed")]
    TooManyValues {
        /// How many different values there are.
        count: usize,
    },
    /// A text is no regular expression, or takes too much when compiled.
    #[error("the regular expression {pattern:?}: {reason}")]
    Regex {
        /// The text.
        pattern: String,
        /// What is wrong.
        reason: String,
        /// Whether it is wrong or too large.
        class: ErrorClass,
    },
    /// A regular expression is longer than [`REGEX_BYTES_MAX`].
    #[error("a regular expression of {bytes} bytes, at most {REGEX_BYTES_MAX} are allowed")]
    RegexTooLong {
        /// Its length.
        bytes: usize,
    },
    /// An option that regular expressions do not have.
    #[error("unknown option {option:?} of a regular expression: there are i, m, s and x")]
    RegexOption {
        /// The option.
        option: char,
    },
    /// There is no such area on the earth.
    #[error("{reason}")]
    Area {
        /// What is wrong with it.
        reason: String,
        /// Whether it is wrong or too large.
        class: ErrorClass,
    },
    /// A filter has more than [`REGEXES_MAX`] regular expressions.
    #[error("the filter has more than {REGEXES_MAX} regular expressions")]
    TooManyRegexes,
    /// What was typed to look for in texts is no query, or too much.
    #[error("{reason}")]
    Text {
        /// What is wrong.
        reason: String,
        /// Whether it is wrong or too much.
        class: ErrorClass,
    },
    /// A filter has more than [`TEXTS_MAX`] conditions on texts.
    #[error("the filter has more than {TEXTS_MAX} conditions on texts ($text)")]
    TooManyTexts,
    /// A text is no JSON, or nests too deep.
    #[error("not JSON: {message}")]
    Json {
        /// What is wrong, and where.
        message: String,
        /// Line and column, from 1, where there is one place.
        place: Option<(usize, usize)>,
        /// Whether it is wrong or too much.
        class: ErrorClass,
    },
    /// A query in JSON says something that cannot be said.
    #[error("{place}: {problem}")]
    Language {
        /// Where, as in `filter.priority.$gtt`.
        place: String,
        /// What is wrong there, and what would be right.
        problem: String,
        /// Whether it is wrong or too much.
        class: ErrorClass,
    },
    /// A pipeline has more than [`STAGES_MAX`] stages.
    #[error("the pipeline has {count} stages, at most {STAGES_MAX} are allowed")]
    TooManyStages {
        /// How many there are.
        count: usize,
    },
    /// A function of a language has no value.
    #[error("{message}")]
    Scalar {
        /// What that language calls it.
        sqlstate: &'static str,
        /// What is wrong.
        message: String,
    },
    /// An output field has no name.
    #[error("an output field needs a name")]
    EmptyName,
    /// Two output fields of one stage have the same name.
    #[error("the output field {name:?} appears twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A sum or an average met a value that is no number.
    #[error("cannot add up {of}: expected a number, found {found}")]
    NotANumber {
        /// What was to be added up: a path, or an expression.
        of: String,
        /// The type that was found.
        found: &'static str,
    },
    /// A sum of decimals has more digits than a decimal may have.
    #[error("cannot add up {of}: {source}")]
    Sum {
        /// What was to be added up: a path, or an expression.
        of: String,
        /// What is wrong with the sum.
        source: DecimalError,
    },
    /// The index that a query insists on cannot serve it.
    #[error(
        "the index {index:?} cannot answer this query: it is not there, not built yet, or bounds nothing that is asked"
    )]
    Hint {
        /// Its name.
        index: String,
    },
    /// A cursor that was not made for this query.
    #[error("the cursor is none of this query: {reason}")]
    Cursor {
        /// What is wrong.
        reason: &'static str,
    },
    /// A function of an expression has no value.
    #[error("{function}: {problem}")]
    Expression {
        /// The function.
        function: &'static str,
        /// Why there is none.
        problem: String,
        /// Whether it is wrong or too much.
        class: ErrorClass,
    },
    /// An expression nests deeper than [`EXPRESSION_DEPTH_MAX`].
    #[error("the expression nests more than {EXPRESSION_DEPTH_MAX} deep")]
    ExpressionTooDeep,
    /// An expression has more than [`EXPRESSION_PARTS_MAX`] parts.
    #[error("the expression has more than {EXPRESSION_PARTS_MAX} parts")]
    ExpressionTooLarge,
    /// A stage says something that makes no sense there.
    #[error("{stage}: {problem}")]
    InvalidStage {
        /// The stage.
        stage: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Another collection cannot be read.
    #[error("the collection {name:?}: {reason}")]
    Collection {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
        /// What kind of error it is.
        class: ErrorClass,
    },
    /// An error of one stage of a pipeline.
    #[error("{stage}: {source}")]
    Stage {
        /// The stage.
        stage: &'static str,
        /// What went wrong.
        source: Box<QueryError>,
    },
    /// A query would have to keep more rows than [`crate::Limits::rows_max`].
    #[error("the query needs more than {rows_max} rows at once: narrow it or give it a limit")]
    TooManyRows {
        /// The limit.
        rows_max: usize,
    },
    /// A query would have to keep more bytes than [`crate::Limits::bytes_max`].
    #[error("the query needs more than {bytes_max} bytes of memory: narrow it or give it a limit")]
    TooManyBytes {
        /// The limit.
        bytes_max: usize,
    },
    /// All queries together would keep more than there is for them: [`crate::QueryMemory`].
    #[error(
        "all queries together may keep {bytes_max} bytes of memory (query-memory-total), {used} are in \
         use, and this query needs more: try again when others have ended, narrow it, give it a limit \
         or an index, or raise that limit"
    )]
    MemoryOfAll {
        /// The limit.
        bytes_max: usize,
        /// What is in use.
        used: usize,
    },
}

impl QueryError {
    /// The stable name of the error and its class: the one table.
    pub fn code(&self) -> (&'static str, ErrorClass) {
        match self {
            Self::Path { source, .. } => ("invalid_path", source.class()),
            Self::UnknownMetadata { .. } => ("unknown_metadata", ErrorClass::Invalid),
            Self::FilterTooDeep => ("filter_too_deep", ErrorClass::Limit),
            Self::TooManyConditions => ("too_many_conditions", ErrorClass::Limit),
            Self::TooManyValues { .. } => ("too_many_values", ErrorClass::Limit),
            Self::Regex { class, .. } => ("invalid_regex", *class),
            Self::RegexTooLong { .. } => ("regex_too_long", ErrorClass::Limit),
            Self::RegexOption { .. } => ("invalid_regex", ErrorClass::Invalid),
            Self::Area { class, .. } => ("invalid_area", *class),
            Self::TooManyRegexes => ("too_many_regexes", ErrorClass::Limit),
            Self::Text { class, .. } => ("invalid_text_query", *class),
            Self::TooManyTexts => ("too_many_texts", ErrorClass::Limit),
            Self::Json { class, .. } => ("invalid_json", *class),
            Self::Language { class, .. } => ("invalid_query", *class),
            Self::TooManyStages { .. } => ("too_many_stages", ErrorClass::Limit),
            Self::EmptyName => ("empty_name", ErrorClass::Invalid),
            Self::DuplicateName { .. } => ("duplicate_name", ErrorClass::Invalid),
            Self::NotANumber { .. } => ("not_a_number", ErrorClass::Invalid),
            Self::Sum { source, .. } => ("sum_out_of_bounds", source.class()),
            Self::Hint { .. } => ("index_not_usable", ErrorClass::Invalid),
            Self::Cursor { .. } => ("invalid_cursor", ErrorClass::Invalid),
            Self::Expression { class, .. } => ("expression", *class),
            Self::Scalar { .. } => ("expression", ErrorClass::Invalid),
            Self::ExpressionTooDeep => ("expression_too_deep", ErrorClass::Limit),
            Self::ExpressionTooLarge => ("expression_too_large", ErrorClass::Limit),
            Self::InvalidStage { .. } => ("invalid_stage", ErrorClass::Invalid),
            Self::Collection { class, .. } => ("lookup", *class),
            Self::Stage { source, .. } => source.code(),
            Self::TooManyRows { .. } => ("too_many_rows", ErrorClass::Limit),
            Self::TooManyBytes { .. } => ("query_memory", ErrorClass::Limit),
            Self::MemoryOfAll { .. } => ("query_memory_total", ErrorClass::Retry),
        }
    }

    /// Line and column of the text, from 1, where it is no JSON.
    pub fn place(&self) -> Option<(usize, usize)> {
        match self {
            QueryError::Json { place, .. } => *place,
            _ => None,
        }
    }

    /// The error of an expression, said to be of a stage; any other as it is.
    pub(crate) fn in_stage(self, stage: &'static str) -> QueryError {
        match self {
            QueryError::Expression { .. } => QueryError::Stage {
                stage,
                source: Box::new(self),
            },
            other => other,
        }
    }

    /// What the receiver can do about it.
    pub fn class(&self) -> ErrorClass {
        self.code().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_told_from_a_mistake() {
        let path = |source| QueryError::Path {
            text: String::new(),
            source,
        };
        for (error, class) in [
            (path(PathError::EmptySegment), ErrorClass::Invalid),
            (path(PathError::TooLong), ErrorClass::Limit),
            (QueryError::EmptyName, ErrorClass::Invalid),
            (QueryError::TooManyRows { rows_max: 1 }, ErrorClass::Limit),
        ] {
            assert_eq!(error.class(), class, "{error}");
        }
    }
}
