//! ALTER TABLE, ALTER INDEX and ALTER SEQUENCE … RENAME TO: in the schema where it is.
//!
//! A table's new name is one alteration of its collection: references to it and the sequences of its
//! columns follow. Indexes and sequences keep the names that they were given after the table's; the
//! names of its primary key and of its foreign keys are made of its name, and follow it. The defaults that
//! take numbers from a sequence name it, and are written anew in the same step.

use sqlparser::ast::{
    AlterIndexOperation, AlterTableOperation as Operation, ObjectName, RenameTableNameKind,
};
use velocitydb::{Alteration, DefaultValue, Definition, is_temporary};

use super::default::with_sequence;
use super::names::{Names, beside, missing, primary_key_name, table_of};
use super::{refused, skipped};
use crate::definitions::Relation;
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;
use crate::sequences::{find, relation_name};
use crate::statement::{Preparing, collection_name};
use crate::temporary::AtEnd;

/// The new name that the operations of an ALTER TABLE are about, if they are about one.
///
/// # Errors
/// They are about something else too.
pub(super) fn new_name(operations: &[Operation]) -> Result<Option<&ObjectName>, SqlError> {
    let renames = |operation: &Operation| matches!(operation, Operation::RenameTable { .. });
    match operations {
        [
            Operation::RenameTable {
                table_name: RenameTableNameKind::To(name),
            },
        ] => Ok(Some(name)),
        operations if operations.iter().any(renames) => {
            let message = "RENAME TO stands alone in ALTER TABLE";
            Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
        }
        _ => Ok(None),
    }
}

/// A name without a schema, in the schema of another one.
fn in_place_of(former: &str, name: &ObjectName) -> Result<String, SqlError> {
    match &name.0[..] {
        [part] if let Some(name) = part.as_ident() => Ok(beside(former, &folded(name))),
        _ => {
            let message = "a new name has no schema: it stays in the one where it is";
            Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
        }
    }
}

impl Preparing<'_> {
    pub(super) fn rename_table(
        &mut self,
        collection: &Relation<'_>,
        name: &ObjectName,
    ) -> Result<(), SqlError> {
        let definition = collection.definition()?;
        let mut names = Names::new(self.definitions);
        let name = names.given(in_place_of(&definition.name, name)?)?;
        let mut renamed = Definition {
            name: name.clone(),
            ..definition
        };
        // One that was added to a table with rows is known by its name.
        let key = primary_key_name(collection.name());
        for index in renamed.indexes.iter_mut().filter(|index| index.name == key) {
            index.name = names.given(primary_key_name(&name))?;
        }
        let altered = collection.alter(Alteration::to(renamed));
        altered.map_err(|error| refused(error, &name))?;
        if is_temporary(&name) {
            let temporary = &self.settings.search_path.temporary;
            temporary.rename(collection.name(), &name);
        }
        Ok(())
    }

    pub(super) fn rename_sequence(
        &mut self,
        name: &ObjectName,
        if_exists: bool,
        new: &ObjectName,
    ) -> Result<Vec<SqlError>, SqlError> {
        let found = relation_name(name, self.settings, &self.definitions);
        let found = found.and_then(|name| find(&self.definitions, &name).map(|_| name));
        let name = match found {
            Err(error) if if_exists && error.sqlstate == sqlstate::UNDEFINED_TABLE => {
                return Ok(vec![skipped(error)]);
            }
            name => name?,
        };
        let new = Names::new(self.definitions).given(in_place_of(&name, new)?)?;
        let mut alterations = Vec::new();
        for table in self.definitions.collections() {
            let mut fields = table.schema.fields().to_vec();
            let mut changed = false;
            for field in &mut fields {
                if let Some(DefaultValue::Sql(default)) = &mut field.default
                    && let Some(text) = with_sequence(&default.text, &name, &new)
                {
                    (default.text, changed) = (text, true);
                }
            }
            if changed {
                let schema = velocitydb::Schema::new(table.schema.openness(), fields);
                let checks = table.schema.checks().to_vec();
                let schema = schema.and_then(|schema| schema.with_checks(checks));
                let schema = schema.map_err(|error| super::invalid(error.to_string()))?;
                let altered = Alteration::to(Definition {
                    schema,
                    ..table.clone()
                });
                alterations.push((table.name, altered));
            }
        }
        self.definitions
            .rename_sequence(&name, &new, &alterations)?;
        if is_temporary(&new) {
            let temporary = &self.settings.search_path.temporary;
            temporary.note(&new, AtEnd::Stays);
        }
        Ok(Vec::new())
    }

    pub(super) fn alter_index(
        &mut self,
        name: &ObjectName,
        operation: &AlterIndexOperation,
    ) -> Result<Vec<SqlError>, SqlError> {
        let AlterIndexOperation::RenameIndex { index_name } = operation;
        let there = |name: &str| table_of(self.definitions, name).is_some();
        let Some(index) = self.settings.found(name, there)? else {
            return Err(missing("relation", &collection_name(name)?));
        };
        let table = table_of(self.definitions, &index);
        let table = table.ok_or_else(|| missing("relation", &index))?;
        if index == primary_key_name(&table) {
            return Err(SqlError::unsupported("renaming a primary key"));
        }
        let new = Names::new(self.definitions).given(in_place_of(&index, index_name)?)?;
        let collection = self.definitions.collection(&table)?;
        let mut definition = collection.definition()?;
        for held in &mut definition.indexes {
            if held.name == index {
                held.name.clone_from(&new);
            }
        }
        let altered = collection.alter(Alteration::to(definition));
        altered.map_err(|error| refused(error, &table))?;
        Ok(Vec::new())
    }
}
