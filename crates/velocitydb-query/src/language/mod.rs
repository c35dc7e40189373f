//! Queries as JSON text, and back.
//!
//! ```text
//!   {"filter": {"state":"waiting", "priority":{"$gt":3}}, "sort": {"priority":-1}, "limit": 10}
//! ```
//!
//! The form is MongoDB's where MongoDB has one; docs/reference/queries.md shows all of it. A text
//! becomes a [`Json`] tree, which keeps the order of names, and that a query. The way back is
//! `Display`: what is written is read as the same query.
//!
//! Invariants: depth and size are bounded while the text is read, so that no text overflows a
//! stack; an error names the place and what would be right there.
//! Files: `tree` (JSON), `place` (of errors), `values`, `filters` with `areas`, `finds`, `expressions`, `groups`,
//! `series` (densify, fill), `pipelines`. The operators and stages are listed where they are read.
//! Tests: `language/tests.rs`.

mod areas;
mod expressions;
mod filters;
mod finds;
mod groups;
mod pipelines;
mod place;
mod series;
#[cfg(test)]
mod tests;
mod texts;
mod tree;
mod values;

use std::fmt;

use velocitydb_types::Value;

use crate::error::QueryError;
use crate::expression::Expression;
use crate::filter::{Filter, REGEXES_MAX};
use crate::find::Find;
use crate::pipeline::Pipeline;
use place::Place;

pub use tree::{JSON_BYTES_MAX, JSON_DEPTH_MAX, Json};

impl Json {
    /// A value as queries write it, types included.
    pub fn from_value(value: &Value) -> Json {
        values::write(value)
    }

    /// The value that this stands for in a query.
    ///
    /// # Errors
    /// A type that is unknown, or whose content is not of it.
    pub fn to_value(&self) -> Result<Value, QueryError> {
        values::read(self, &Place::root("value"))
    }

    /// Refuses more regular expressions than one request may have compiled.
    fn limit_regexes(&self) -> Result<(), QueryError> {
        match self.count_names("$regex") > REGEXES_MAX {
            true => Err(QueryError::TooManyRegexes),
            false => Ok(()),
        }
    }
}

impl Filter {
    /// Reads JSON text such as `{"state":"waiting","priority":{"$gt":3}}`.
    ///
    /// # Errors
    /// Text that is no JSON or nests too deep, an unknown operator, an operand of the wrong type,
    /// and what [`Filter::check`] refuses.
    pub fn from_json(text: &str) -> Result<Filter, QueryError> {
        Filter::from_tree(&Json::parse(text)?)
    }

    /// As [`Filter::from_json`], of JSON that was read before.
    ///
    /// # Errors
    /// As [`Filter::from_json`].
    pub fn from_tree(json: &Json) -> Result<Filter, QueryError> {
        json.limit_regexes()?;
        let filter = filters::read(json, &Place::root("filter"))?;
        filter.check()?;
        Ok(filter)
    }

    /// The filter as JSON; [`Filter::from_tree`] reads it as the same filter.
    pub fn to_tree(&self) -> Json {
        filters::write(self)
    }
}

impl Find {
    /// Reads JSON text such as `{"filter":{"a":1},"sort":{"b":-1},"project":["a"],"limit":10}`.
    ///
    /// # Errors
    /// As [`Filter::from_json`], and what [`Find::check`] refuses.
    pub fn from_json(text: &str) -> Result<Find, QueryError> {
        Find::from_tree(&Json::parse(text)?)
    }

    /// As [`Find::from_json`], of JSON that was read before.
    ///
    /// # Errors
    /// As [`Find::from_json`].
    pub fn from_tree(json: &Json) -> Result<Find, QueryError> {
        json.limit_regexes()?;
        let find = finds::read(json, &Place::root("find"))?;
        find.check()?;
        Ok(find)
    }

    /// The question as JSON, without its limits on memory.
    pub fn to_tree(&self) -> Json {
        finds::write(self)
    }
}

impl Pipeline {
    /// Reads JSON text such as `[{"$match":{"a":1}},{"$limit":10}]`.
    ///
    /// # Errors
    /// As [`Filter::from_json`], and what [`Pipeline::check`] refuses.
    pub fn from_json(text: &str) -> Result<Pipeline, QueryError> {
        Pipeline::from_tree(&Json::parse(text)?)
    }

    /// As [`Pipeline::from_json`], of JSON that was read before.
    ///
    /// # Errors
    /// As [`Pipeline::from_json`].
    pub fn from_tree(json: &Json) -> Result<Pipeline, QueryError> {
        json.limit_regexes()?;
        let pipeline = pipelines::read(json, &Place::root("pipeline"))?;
        pipeline.check()?;
        Ok(pipeline)
    }

    /// The pipeline as JSON, without its limits on memory.
    pub fn to_tree(&self) -> Json {
        pipelines::write(self)
    }
}

impl Expression {
    /// Reads JSON text such as `{"$add":["$a",1]}`.
    ///
    /// # Errors
    /// Text that is no JSON or nests too deep, an unknown function, a wrong number of arguments.
    pub fn from_json(text: &str) -> Result<Expression, QueryError> {
        expressions::read(&Json::parse(text)?, &Place::root("expression"))
    }

    /// The expression as JSON.
    pub fn to_tree(&self) -> Json {
        expressions::write(self)
    }
}

macro_rules! display {
    ($($query:ty),*) => {
        $(impl fmt::Display for $query {
            /// JSON text, without blanks.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.to_tree().fmt(f)
            }
        })*
    };
}

display!(Filter, Find, Pipeline, Expression);
