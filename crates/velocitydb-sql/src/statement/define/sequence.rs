//! CREATE and ALTER SEQUENCE.

use std::mem::discriminant;

use sqlparser::ast::ObjectName;
use velocitydb::{SequenceDefinition, SequenceOwner, SequencePosition, is_temporary};
use velocitydb_types::{ScalarType, SqlType};

use super::names::{Names, missing};
use super::skipped;
use crate::bind::sql_type;
use crate::error::{SqlError, sqlstate};
use crate::parse::{SequenceOption, folded};
use crate::sequences::{find, relation_name};
use crate::statement::Preparing;
use crate::temporary::AtEnd;

impl Preparing<'_> {
    pub(super) fn create_sequence(
        &mut self,
        name: &ObjectName,
        temporary: bool,
        if_not_exists: bool,
        options: &[SequenceOption],
    ) -> Result<Vec<SqlError>, SqlError> {
        let name = match temporary {
            false => self.settings.new_name(name)?,
            true => self.settings.search_path.temporary.new_name(name)?,
        };
        let name = match Names::new(self.definitions).given(name) {
            Err(error) if if_not_exists => return Ok(vec![skipped(error)]),
            name => name?,
        };
        let mut sequence = SequenceDefinition::new(name);
        let mut position = SequencePosition {
            last: 1,
            called: false,
        };
        settle(options, &mut sequence, &mut position, true)?;
        sequence.owner = self.owner(options)?.unwrap_or_default();
        let name = sequence.name.clone();
        self.definitions.create_sequence(sequence)?;
        if is_temporary(&name) {
            let temporary = &self.settings.search_path.temporary;
            temporary.note(&name, AtEnd::Stays);
        }
        Ok(Vec::new())
    }

    pub(super) fn alter_sequence(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        options: &[SequenceOption],
    ) -> Result<Vec<SqlError>, SqlError> {
        let name = relation_name(name, self.settings, &self.definitions)?;
        match find(&self.definitions, &name) {
            Err(error) if if_exists && error.sqlstate == sqlstate::UNDEFINED_TABLE => {
                return Ok(vec![skipped(error)]);
            }
            sequence => drop(sequence?),
        }
        if options.is_empty() {
            let message = "ALTER SEQUENCE says nothing to alter";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        let owner = self.owner(options)?;
        self.definitions
            .alter_sequence(&name, |definition, position| {
                settle(options, definition, position, false)?;
                if let Some(owner) = owner {
                    definition.owner = owner;
                }
                Ok(())
            })?;
        Ok(Vec::new())
    }

    /// Whose it shall be, when that is said.
    fn owner(&self, options: &[SequenceOption]) -> Result<Option<Option<SequenceOwner>>, SqlError> {
        let owner = options.iter().find_map(|option| match option {
            SequenceOption::OwnedBy(owner) => Some(owner),
            _ => None,
        });
        let Some(owner) = owner else { return Ok(None) };
        let Some(owner) = owner else {
            return Ok(Some(None));
        };
        let mut table = owner.clone();
        let column = table.0.pop();
        let column = column.and_then(|part| part.as_ident().map(folded));
        let (Some(column), false) = (column, table.0.is_empty()) else {
            let error = SqlError::new(sqlstate::SYNTAX_ERROR, "invalid OWNED BY option");
            return Err(error.hint("Specify OWNED BY table.column or OWNED BY NONE."));
        };
        let table = self.table(&table)?;
        if table.column(&column).is_none() {
            let what = format!("column {column:?} of relation {:?}", table.name());
            let message = format!("{what} does not exist");
            return Err(SqlError::new(sqlstate::UNDEFINED_COLUMN, message));
        }
        Ok(Some(Some(SequenceOwner {
            collection: table.name().to_owned(),
            field: column,
        })))
    }

    /// The sequences of a table's columns, or of one of them.
    pub(super) fn owned_by(
        &self,
        table: &str,
        column: Option<&str>,
    ) -> Result<Vec<String>, SqlError> {
        let owned = self
            .definitions
            .sequences()?
            .into_iter()
            .filter_map(|definition| {
                let owner = definition.owner?;
                let is_it = owner.collection == table && column.is_none_or(|c| owner.field == c);
                is_it.then_some(definition.name)
            });
        Ok(owned.collect())
    }

    /// Drops a sequence that must be there.
    pub(super) fn drop_sequence(&self, name: &str) -> Result<(), SqlError> {
        match self.definitions.drop_sequence(name)? {
            true => Ok(()),
            false => Err(missing("sequence", name)),
        }
    }
}

/// The least and the greatest number of a type.
fn bounds(sql: SqlType) -> Option<(i64, i64)> {
    match sql {
        SqlType::Scalar(ScalarType::Int2) => Some((i16::MIN.into(), i16::MAX.into())),
        SqlType::Scalar(ScalarType::Int4) => Some((i32::MIN.into(), i32::MAX.into())),
        SqlType::Scalar(ScalarType::Int8) => Some((i64::MIN, i64::MAX)),
        _ => None,
    }
}

fn wrong(message: impl Into<Box<str>>) -> SqlError {
    SqlError::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

/// Makes a sequence what the options say, and puts it where they say; the owner is not looked at.
///
/// # Errors
/// What makes no sense, as PostgreSQL tells it.
pub(super) fn settle(
    options: &[SequenceOption],
    sequence: &mut SequenceDefinition,
    position: &mut SequencePosition,
    is_new: bool,
) -> Result<(), SqlError> {
    let (mut given_as, mut given_minimum, mut given_maximum) = (None, None, None);
    let (mut given_start, mut given_restart) = (None, None);
    for (at, option) in options.iter().enumerate() {
        let same = |other: &SequenceOption| discriminant(other) == discriminant(option);
        if options[..at].iter().any(same) {
            let message = "conflicting or redundant options";
            return Err(SqlError::new(sqlstate::SYNTAX_ERROR, message));
        }
        match option {
            SequenceOption::As(named) => given_as = Some(sql_type(named)?),
            SequenceOption::Increment(0) => return Err(wrong("INCREMENT must not be zero")),
            SequenceOption::Increment(by) => sequence.increment = *by,
            SequenceOption::Minimum(minimum) => given_minimum = Some(*minimum),
            SequenceOption::Maximum(maximum) => given_maximum = Some(*maximum),
            SequenceOption::Start(start) => given_start = Some(*start),
            SequenceOption::Restart(with) => given_restart = Some(*with),
            SequenceOption::Cycle(cycle) => sequence.cycle = *cycle,
            // Numbers are given from memory anyway.
            SequenceOption::Cache(count @ ..=0) => {
                return Err(wrong(format!("CACHE ({count}) must be greater than zero")));
            }
            SequenceOption::Cache(_) | SequenceOption::OwnedBy(_) => {}
        }
    }
    let former = bounds(sequence.sql_type);
    let sql = given_as.unwrap_or(sequence.sql_type);
    let (least, greatest) =
        bounds(sql).ok_or_else(|| wrong("sequence type must be smallint, integer, or bigint"))?;
    // Limits that were those of the former type become those of the new one.
    let changes = given_as.is_some() && !is_new;
    let new_greatest = changes && former.is_some_and(|(_, most)| sequence.maximum == most);
    let new_least = changes && former.is_some_and(|(least, _)| sequence.minimum == least);
    sequence.sql_type = sql;
    let ascends = sequence.increment > 0;
    match given_maximum {
        Some(Some(maximum)) => sequence.maximum = maximum,
        None if !is_new && !new_greatest => {}
        _ => {
            sequence.maximum = if ascends || new_greatest {
                greatest
            } else {
                -1
            }
        }
    }
    match given_minimum {
        Some(Some(minimum)) => sequence.minimum = minimum,
        None if !is_new && !new_least => {}
        _ => sequence.minimum = if ascends && !new_least { 1 } else { least },
    }
    for (what, limit) in [
        ("MAXVALUE", sequence.maximum),
        ("MINVALUE", sequence.minimum),
    ] {
        if !(least..=greatest).contains(&limit) {
            let message = format!("{what} ({limit}) is out of range for sequence data type {sql}");
            return Err(wrong(message));
        }
    }
    match given_start {
        Some(start) => sequence.start = start,
        None if !is_new => {}
        None if ascends => sequence.start = sequence.minimum,
        None => sequence.start = sequence.maximum,
    }
    sequence.check()?;
    let restart = given_restart.or(is_new.then_some(None));
    if let Some(with) = restart {
        *position = SequencePosition {
            last: with.unwrap_or(sequence.start),
            called: false,
        };
    }
    let (last, minimum, maximum) = (position.last, sequence.minimum, sequence.maximum);
    if last < minimum {
        let message = format!("RESTART value ({last}) cannot be less than MINVALUE ({minimum})");
        return Err(wrong(message));
    }
    if last > maximum {
        let message = format!("RESTART value ({last}) cannot be greater than MAXVALUE ({maximum})");
        return Err(wrong(message));
    }
    Ok(())
}
