//! Temporary collections: those of one session, which do not outlive it.
//!
//! They are logged as others are, so that a transaction may change both, and called
//! `pg_temp_N.name`, N being the session's. The session drops them at its end. Those of sessions
//! that a crash has ended are dropped when the database is opened. Tests: tests/it/temporary.rs.

use velocitydb_engine::Error;
use velocitydb_engine::catalog::Definition;
use velocitydb_engine::command::Refusal;

use crate::collection::Collection;
use crate::database::{Answer, Database};
use crate::options::Call;
use crate::sequences::SequenceError;

/// What the schemas of temporary collections are called, before a number.
pub const TEMPORARY: &str = "pg_temp_";

/// Whether a name is a temporary collection's.
pub fn is_temporary(name: &str) -> bool {
    let schema = name.split_once('.').map_or("", |(schema, _)| schema);
    let number = schema.strip_prefix(TEMPORARY).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Refuses a temporary collection's name for another.
pub(crate) fn check_lasting(name: &str) -> Result<(), Refusal> {
    match is_temporary(name) {
        false => Ok(()),
        true => Err(Refusal::BadDefinition(format!(
            "collections called as {name:?} are temporary ones of SQL's sessions: choose another \
             name"
        ))),
    }
}

impl Database {
    /// Creates a temporary collection: it is dropped at the latest when the database is opened again.
    ///
    /// # Errors
    /// As [`Database::create_collection`].
    pub fn create_temporary(&self, definition: Definition) -> Result<Answer<Collection>, Error> {
        self.create(definition, &Call::new())
    }

    /// Drops the collections and sequences of these names, those that refer to others first.
    ///
    /// # Errors
    /// Another collection refers to one of them; the database cannot write it down.
    pub fn drop_named(&self, is_named: impl Fn(&str) -> bool) -> Result<(), Error> {
        loop {
            let names = self.collections().into_iter().map(|one| one.name);
            let names: Vec<_> = names.filter(|name| is_named(name)).collect();
            let mut referred = None;
            let before = names.len();
            let mut left = before;
            for name in &names {
                match self.drop_collection(name) {
                    Ok(_) | Err(Error::UnknownCollection(_)) => left -= 1,
                    Err(
                        error @ Error::Refused {
                            refusal: Refusal::Reference(_),
                            ..
                        },
                    ) => referred = Some(error),
                    Err(error) => return Err(error),
                }
            }
            match referred {
                None => break,
                Some(error) if left == before => return Err(error),
                Some(_) => {}
            }
        }
        let sequences = self.sequences().map_err(unnamed)?;
        for sequence in sequences {
            let name = sequence.definition().name;
            if is_named(&name) {
                self.drop_sequence(&name).map_err(unnamed)?;
            }
        }
        Ok(())
    }
}

fn unnamed(error: SequenceError) -> Error {
    match error {
        SequenceError::Database(error) => error,
        other => Error::Invalid(other.to_string()),
    }
}
