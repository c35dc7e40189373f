//! COMMENT ON. What is said of a table, a column, an index or a sequence or a database is kept in its
//! definition: an alteration that leaves the rows as they are.

use sqlparser::ast::{self, CommentObject, ObjectName};
use velocitydb::{Alteration, Definition};

use super::column::Draft;
use super::names::{Names, missing, primary_key_name, table_of};
use super::{notice, refused};
use crate::catalog::check_changes;
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;
use crate::sequences::{find, relation_name};
use crate::statement::{Preparing, collection_name};

impl Preparing<'_> {
    pub(super) fn comment(&mut self, tree: &ast::Statement) -> Result<Vec<SqlError>, SqlError> {
        let ast::Statement::Comment {
            object_type,
            object_name: name,
            comment,
            if_exists: false,
        } = tree
        else {
            return Err(SqlError::unsupported(format!("{tree}")));
        };
        let comment = comment.clone().filter(|comment| !comment.is_empty());
        match object_type {
            CommentObject::Table => {
                let definition = self.table(name)?.definition.clone();
                self.describe(Definition {
                    comment,
                    ..definition
                })?;
            }
            CommentObject::Column => {
                let (table, column) = split(name)?;
                let definition = self.table(&table)?.definition.clone();
                let mut draft = Draft::new(Names::new(self.definitions), definition, false);
                draft.field(&column)?.comment = comment;
                let definition = draft.finish()?;
                self.describe(definition)?;
            }
            CommentObject::Index => {
                let there = |name: &str| table_of(self.definitions, name).is_some();
                let Some(name) = self.settings.found(name, there)? else {
                    let found = self.settings.found(name, |name| self.is_primary_key(name));
                    return match found? {
                        Some(_) => Ok(vec![notice("comments on primary keys are not kept")]),
                        None => Err(missing("relation", &collection_name(name)?)),
                    };
                };
                let table = table_of(self.definitions, &name);
                let table = table.ok_or_else(|| missing("relation", &name))?;
                let mut definition = self.definitions.collection(&table)?.definition()?;
                for index in &mut definition.indexes {
                    if index.name == name {
                        index.comment.clone_from(&comment);
                    }
                }
                self.describe(definition)?;
            }
            CommentObject::Database => return self.comment_on_database(name, comment),
            CommentObject::Sequence => {
                let name = relation_name(name, self.settings, &self.definitions)?;
                find(&self.definitions, &name)?;
                self.definitions.alter_sequence(&name, |definition, _| {
                    definition.comment = comment;
                    Ok(())
                })?;
            }
            other => {
                let message = format!("comments on {other} are not kept").to_lowercase();
                return Ok(vec![notice(message)]);
            }
        }
        Ok(Vec::new())
    }

    fn is_primary_key(&self, name: &str) -> bool {
        let mut tables = self.definitions.collections().into_iter();
        tables.any(|table| table.primary_key.is_some() && primary_key_name(&table.name) == name)
    }

    /// Gives a table a definition in which only comments differ.
    fn describe(&self, definition: Definition) -> Result<(), SqlError> {
        check_changes(&definition.name)?;
        let collection = self.definitions.collection(&definition.name)?;
        if definition == collection.definition()? {
            return Ok(());
        }
        let name = definition.name.clone();
        let altered = collection.alter(Alteration::to(definition));
        altered.map_err(|error| refused(error, &name))?;
        Ok(())
    }
}

/// The table and the column of `table.column`.
fn split(name: &ObjectName) -> Result<(ObjectName, String), SqlError> {
    let mut table = name.clone();
    let column = table.0.pop();
    let column = column.and_then(|part| part.as_ident().map(folded));
    match (column, table.0.is_empty()) {
        (Some(column), false) => Ok((table, column)),
        _ => {
            let message = "column name must be qualified";
            Err(SqlError::new(sqlstate::SYNTAX_ERROR, message))
        }
    }
}
