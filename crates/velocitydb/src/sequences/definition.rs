//! What a sequence is, whose it is, and what it refuses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use velocitydb_engine::Error;
use velocitydb_engine::catalog::{Alteration, check_name};
use velocitydb_types::{ScalarType, SqlType};

/// What a sequence is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceDefinition {
    /// Its name.
    pub name: String,
    /// The type whose values it gives, an integer.
    pub sql_type: SqlType,
    /// Its first number, also after a restart.
    pub start: i64,
    /// What is added each time; never 0.
    pub increment: i64,
    /// The least number.
    pub minimum: i64,
    /// The greatest number.
    pub maximum: i64,
    /// Whether it begins again behind its last number.
    pub cycle: bool,
    /// The column that it is for, and with which it goes.
    pub owner: Option<SequenceOwner>,
    /// What people say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A column that has a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceOwner {
    /// The collection.
    pub collection: String,
    /// Its field.
    pub field: String,
}

/// Where a sequence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequencePosition {
    /// The number given last, or the one to be given first.
    pub last: i64,
    /// Whether it was given.
    pub called: bool,
}

/// Why a sequence does not do what is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SequenceError {
    /// There is none of this name.
    #[error("there is no sequence {0:?}")]
    Unknown(String),
    /// There is one of this name already.
    #[error("the sequence {0:?} exists already")]
    Exists(String),
    /// It has no further number.
    #[error("the sequence {name:?} has given its {which} number, {limit}")]
    Exhausted {
        /// Its name.
        name: String,
        /// `maximum` or `minimum`.
        which: &'static str,
        /// That number.
        limit: i64,
    },
    /// A number that it cannot have.
    #[error("{value} is out of the bounds of the sequence {name:?}, {minimum} to {maximum}")]
    OutOfBounds {
        /// Its name.
        name: String,
        /// The number.
        value: i64,
        /// The least.
        minimum: i64,
        /// The greatest.
        maximum: i64,
    },
    /// What a transaction was to change of one that others use.
    #[error(
        "the numbers of the sequence {0:?} go on for others: alter it outside of a transaction"
    )]
    InUse(String),
    /// What makes no sense as a sequence.
    #[error("{0}")]
    Invalid(String),
    /// Something else of the database.
    #[error(transparent)]
    Database(#[from] Error),
}

/// Columns that get other names, of a collection that may get one too.
pub(crate) struct Moves<'a> {
    from: &'a str,
    to: &'a str,
    fields: &'a BTreeMap<String, String>,
}

impl<'a> Moves<'a> {
    /// Those of an alteration of the collection `name`.
    pub(crate) fn new(name: &'a str, alteration: &'a Alteration) -> Moves<'a> {
        Moves {
            from: name,
            to: &alteration.definition.name,
            fields: &alteration.rename,
        }
    }

    /// The owner as it is called then, if that is another name.
    pub(crate) fn of(&self, owner: &SequenceOwner) -> Option<SequenceOwner> {
        let moved = SequenceOwner {
            collection: self.to.to_owned(),
            field: self
                .fields
                .get(&owner.field)
                .unwrap_or(&owner.field)
                .clone(),
        };
        (owner.collection == self.from && moved != *owner).then_some(moved)
    }

    pub(crate) fn is_none(&self) -> bool {
        self.from == self.to && self.fields.is_empty()
    }
}

impl SequenceDefinition {
    /// The sequence 1, 2, 3, … of `bigint`.
    pub fn new(name: impl Into<String>) -> SequenceDefinition {
        SequenceDefinition {
            name: name.into(),
            sql_type: ScalarType::Int8.into(),
            start: 1,
            increment: 1,
            minimum: 1,
            maximum: i64::MAX,
            cycle: false,
            owner: None,
            comment: None,
        }
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), SequenceError> {
        let invalid = |what: String| Err(SequenceError::Invalid(what));
        if let Err(refusal) = check_name("sequence", &self.name) {
            return invalid(refusal.to_string());
        }
        let (minimum, maximum, start) = (self.minimum, self.maximum, self.start);
        if self.increment == 0 {
            return invalid("INCREMENT must not be zero".into());
        }
        if minimum >= maximum {
            return invalid(format!(
                "MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})"
            ));
        }
        if start < minimum {
            return invalid(format!(
                "START value ({start}) cannot be less than MINVALUE ({minimum})"
            ));
        }
        if start > maximum {
            return invalid(format!(
                "START value ({start}) cannot be greater than MAXVALUE ({maximum})"
            ));
        }
        Ok(())
    }

    pub(crate) fn first(&self) -> SequencePosition {
        SequencePosition {
            last: self.start,
            called: false,
        }
    }
}

impl SequenceDefinition {
    /// Whether it makes sense, and may stand there.
    pub(crate) fn check_with(&self, position: SequencePosition) -> Result<(), SequenceError> {
        self.check()?;
        self.check_value(position.last)
    }

    pub(super) fn check_value(&self, value: i64) -> Result<(), SequenceError> {
        match (self.minimum..=self.maximum).contains(&value) {
            true => Ok(()),
            false => Err(SequenceError::OutOfBounds {
                name: self.name.clone(),
                value,
                minimum: self.minimum,
                maximum: self.maximum,
            }),
        }
    }
}
