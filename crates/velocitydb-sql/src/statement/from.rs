//! Which tables.

use std::sync::Arc;

use sqlparser::ast::{ObjectName, ObjectNamePart, TableAlias, TableFactor, TableWithJoins};

use super::Preparing;
use crate::catalog;
use crate::error::{SqlError, sqlstate};
use crate::parse::{folded, position};
use crate::search_path::in_schema;
use crate::table::Table;

/// The name of the collection that a table's name means: those of the schema `public` have it for
/// their own, those of another begin with its name.
pub(crate) fn collection_name(name: &ObjectName) -> Result<String, SqlError> {
    let part = |part: &ObjectNamePart| part.as_ident().map(folded);
    let parts: Option<Vec<String>> = name.0.iter().map(part).collect();
    match parts.as_deref() {
        Some([table]) => Ok(table.clone()),
        Some([schema, table]) => Ok(in_schema(schema, table)),
        _ => {
            let what = format!("the name {name}, with a database,");
            Err(SqlError::unsupported(what))
        }
    }
}

impl Preparing<'_> {
    /// The table of this name, as it is now.
    ///
    /// # Errors
    /// There is none, or it is none that can be changed.
    pub(crate) fn table(&self, name: &ObjectName) -> Result<Arc<Table>, SqlError> {
        let given = collection_name(name)?;
        catalog::check_changes(&given)?;
        let mut found = None;
        let is_there = self.settings.found(name, |collection| {
            found = match self.definitions.table(collection) {
                Err(velocitydb::Error::UnknownCollection(_)) => None,
                table => Some(table),
            };
            found.is_some()
        })?;
        match is_there.and(found) {
            Some(table) => Ok(table?),
            None => {
                let place = name.0.first().and_then(|part| part.as_ident());
                let place = place.and_then(|ident| position(self.sql, ident.span.start));
                let message = format!("relation {given:?} does not exist");
                Err(SqlError::new(sqlstate::UNDEFINED_TABLE, message).at(place))
            }
        }
    }

    /// The one table of a FROM, one that cannot be changed included, and what the statement calls it.
    pub(super) fn one_table(
        &self,
        from: &[TableWithJoins],
    ) -> Result<(Arc<Table>, String), SqlError> {
        let [
            TableWithJoins {
                relation,
                joins: no_joins,
            },
        ] = from
        else {
            return Err(SqlError::unsupported("a FROM of several tables"));
        };
        if !no_joins.is_empty() {
            return Err(SqlError::unsupported("JOIN"));
        }
        let TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } = relation
        else {
            return Err(SqlError::unsupported(format!("FROM {relation}")));
        };
        if !(with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty()) {
            return Err(SqlError::unsupported(format!("FROM {relation}")));
        }
        let table = match catalog::table(&collection_name(name)?, self.effects) {
            Some(table) => Arc::new(table),
            None => self.table(name)?,
        };
        let alias = match alias {
            None => match name.0.last().and_then(|part| part.as_ident()) {
                Some(last) => folded(last),
                None => table.name().to_owned(),
            },
            Some(TableAlias {
                explicit: _,
                name,
                columns,
                at: None,
            }) if columns.is_empty() => folded(name),
            Some(alias) => return Err(SqlError::unsupported(format!("the alias {alias}"))),
        };
        Ok((table, alias))
    }
}
