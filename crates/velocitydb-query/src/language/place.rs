//! Where in a query something stands, for errors.

use std::fmt;

use velocitydb_types::ErrorClass;

use super::Json;
use crate::error::QueryError;

/// The way to a part of a query: `filter.$or[1].priority`.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Index(usize),
}

impl Place<'_> {
    pub(super) const fn root(name: &str) -> Place<'_> {
        Place {
            parent: None,
            step: Step::Name(name),
        }
    }

    pub(super) fn name<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place {
            parent: Some(self),
            step: Step::Name(name),
        }
    }

    pub(super) fn index(&self, index: usize) -> Place<'_> {
        Place {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// An error here.
    pub(super) fn error(&self, problem: impl Into<String>) -> QueryError {
        QueryError::Language {
            place: self.to_string(),
            problem: problem.into(),
            class: ErrorClass::Invalid,
        }
    }

    /// Something else was expected here.
    pub(super) fn expected(&self, expected: &str, found: &Json) -> QueryError {
        self.error(format!("expected {expected}, found {}", found.kind()))
    }

    /// A name that is none of those known here.
    pub(super) fn unknown<'n>(
        &self,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> QueryError {
        let known: Vec<&str> = known.into_iter().collect();
        let distance = |known: &&str| strsim::damerau_levenshtein(name, known);
        let nearest = known.iter().copied().min_by_key(distance);
        let near = nearest.filter(|known| distance(known) <= (name.len() / 3).clamp(1, 2));
        self.error(match near {
            Some(near) => format!("unknown {what} {name}; did you mean {near}?"),
            None => format!("unknown {what} {name}; there are {}", known.join(", ")),
        })
    }

    /// An error that says itself what is wrong.
    pub(super) fn wrap(&self, error: &QueryError) -> QueryError {
        QueryError::Language {
            place: self.to_string(),
            problem: error.to_string(),
            class: error.class(),
        }
    }

    pub(super) fn object<'j>(&self, json: &'j Json) -> Result<&'j [(String, Json)], QueryError> {
        match json {
            Json::Object(members) => Ok(members),
            other => Err(self.expected("an object", other)),
        }
    }

    pub(super) fn array<'j>(&self, json: &'j Json) -> Result<&'j [Json], QueryError> {
        match json {
            Json::Array(elements) => Ok(elements),
            other => Err(self.expected("an array", other)),
        }
    }

    pub(super) fn string<'j>(&self, json: &'j Json) -> Result<&'j str, QueryError> {
        match json {
            Json::String(string) => Ok(string),
            other => Err(self.expected("a string", other)),
        }
    }

    pub(super) fn bool(&self, json: &Json) -> Result<bool, QueryError> {
        match json {
            Json::Bool(bool) => Ok(*bool),
            other => Err(self.expected("true or false", other)),
        }
    }

    /// A number of things, 0 or more.
    pub(super) fn count(&self, json: &Json) -> Result<usize, QueryError> {
        match json {
            Json::Int(int) => usize::try_from(*int)
                .map_err(|_| self.error(format!("expected a whole number from 0 on, found {int}"))),
            other => Err(self.expected("a whole number from 0 on", other)),
        }
    }

    pub(super) fn path(&self, text: &str) -> Result<velocitydb_types::Path, QueryError> {
        let read = text.parse();
        read.map_err(|error| self.error(format!("{text:?} is no path: {error}")))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Name(name) if self.parent.is_none() => f.write_str(name),
            Step::Name(name) => write!(f, ".{name}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}
