//! DROP and TRUNCATE, and schemas: a schema is there while something is in it.

use std::collections::BTreeSet;

use sqlparser::ast::{self, CascadeOption, ObjectType, SchemaName, TruncateIdentityOption};
use velocitydb::{Alteration, DefaultValue, Error, Isolation, Transaction};
use velocitydb_query::{Filter, Find};

use super::default::sequences_of;
use super::index::is_in;
use super::names::{missing, reference_name, table_of};
use super::{notice, refused, skipped};
use crate::error::{SqlError, sqlstate};
use crate::parse::folded;
use crate::sequences::{Relations, find};
use crate::statement::{Preparing, collection_name};

fn depended(message: String) -> SqlError {
    SqlError::new(sqlstate::DEPENDENT_OBJECTS_STILL_EXIST, message)
        .hint("Use DROP ... CASCADE to drop the dependent objects too.")
}

pub(super) fn create_schema(tree: &ast::Statement) -> Result<Vec<SqlError>, SqlError> {
    match tree {
        ast::Statement::CreateSchema {
            schema_name: SchemaName::Simple(name),
            if_not_exists: _,
            with: None,
            options: None,
            default_collate_spec: None,
            clone: None,
        } if name.0.len() == 1 => Ok(vec![notice(
            "a schema is there when a table is in it: nothing was done",
        )]),
        other => Err(SqlError::unsupported(format!("{other}"))),
    }
}

impl Preparing<'_> {
    pub(super) fn drop_objects(
        &mut self,
        tree: &ast::Statement,
    ) -> Result<Vec<SqlError>, SqlError> {
        let ast::Statement::Drop {
            object_type,
            if_exists,
            names,
            cascade,
            restrict: _,
            purge: false,
            temporary: false,
            table: None,
        } = tree
        else {
            return Err(SqlError::unsupported(format!("{tree}")));
        };
        let mut notices = Vec::new();
        let mut found = Vec::new();
        let (kind, exists): (_, &dyn Fn(&str) -> bool) = match object_type {
            ObjectType::Table => ("table", &|name| self.definitions.has_collection(name)),
            ObjectType::Index => ("index", &|name| table_of(self.definitions, name).is_some()),
            ObjectType::Sequence => ("sequence", &|name| find(&self.definitions, name).is_ok()),
            _ => ("schema", &|name| {
                let tables = self.definitions.collections();
                name == "public" || tables.iter().any(|table| is_in(name, &table.name))
            }),
        };
        for name in names {
            let given = match (kind, &name.0[..]) {
                ("schema", [part]) => part.as_ident().map(folded).unwrap_or_default(),
                _ => collection_name(name)?,
            };
            let there = match kind {
                "schema" => exists(&given).then(|| given.clone()),
                _ => self.settings.found(name, exists)?,
            };
            let name = given;
            match (there, *if_exists) {
                (Some(there), _) => found.push(there),
                (None, true) => notices.push(skipped(missing(kind, &name))),
                (None, false) => return Err(missing(kind, &name)),
            }
        }
        match kind {
            "table" => self.drop_tables(found, *cascade)?,
            "index" => {
                for name in found {
                    if let Some(table) = table_of(self.definitions, &name) {
                        self.definitions.collection(&table)?.drop_index(&name)?;
                    }
                }
            }
            "sequence" => {
                for name in found {
                    self.drop_used_sequence(&name, *cascade)?;
                }
            }
            _ => {
                for name in found {
                    self.drop_schema(&name, *cascade)?;
                }
            }
        }
        Ok(notices)
    }

    fn drop_tables(&mut self, names: Vec<String>, cascade: bool) -> Result<(), SqlError> {
        let going: BTreeSet<_> = names.into_iter().collect();
        let others = self.definitions.collections().into_iter();
        for table in others.filter(|table| !going.contains(&table.name)) {
            let refers = |field: &&velocitydb::Field| {
                let to = field.references.as_ref();
                to.is_some_and(|to| going.contains(&to.collection))
            };
            let Some(field) = table.schema.fields().iter().find(refers) else {
                continue;
            };
            if !cascade {
                let to = field.references.as_ref().map(|to| to.collection.as_str());
                let to = to.unwrap_or_default();
                let constraint = reference_name(&table.name, &field.name);
                let message = format!("cannot drop table {to} because other objects depend on it");
                return Err(depended(message).detail(format!(
                    "constraint {constraint} on table {} depends on table {to}",
                    table.name
                )));
            }
            let mut changed = table.clone();
            changed.schema = changed
                .schema
                .without_references_to(|to| going.contains(to));
            let collection = self.definitions.collection(&table.name)?;
            let altered = collection.alter(Alteration::to(changed));
            altered.map_err(|error| refused(error, &table.name))?;
        }
        // Those that are referred to come after those that refer.
        let mut left: Vec<_> = going.iter().cloned().collect();
        while !left.is_empty() {
            let before = left.len();
            let mut last = None;
            for name in std::mem::take(&mut left) {
                match self.definitions.drop_collection(&name) {
                    Ok(_) => {
                        for sequence in self.owned_by(&name, None)? {
                            self.drop_sequence(&sequence)?;
                        }
                    }
                    Err(Error::UnknownCollection(_)) => {}
                    Err(error) => {
                        last = Some(error);
                        left.push(name);
                    }
                }
            }
            if let Some(error) = last.filter(|_| left.len() == before) {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Drops a sequence; columns that count by it keep it from that, or lose their default.
    fn drop_used_sequence(&mut self, name: &str, cascade: bool) -> Result<(), SqlError> {
        for table in self.definitions.collections() {
            let mut fields = table.schema.fields().to_vec();
            let mut changed = false;
            for field in &mut fields {
                let Some(DefaultValue::Sql(default)) = &field.default else {
                    continue;
                };
                if !sequences_of(default).iter().any(|used| used == name) {
                    continue;
                }
                let column = format!("column {} of table {}", field.name, table.name);
                if default.identity.is_some() {
                    let message =
                        format!("cannot drop sequence {name} because {column} requires it");
                    let hint = format!("You can drop {column} instead.");
                    let state = sqlstate::DEPENDENT_OBJECTS_STILL_EXIST;
                    return Err(SqlError::new(state, message).hint(hint));
                }
                if !cascade {
                    let message =
                        format!("cannot drop sequence {name} because other objects depend on it");
                    return Err(depended(message).detail(format!(
                        "default value for {column} depends on sequence {name}"
                    )));
                }
                field.default = None;
                changed = true;
            }
            if changed {
                let mut new = table.clone();
                let schema = velocitydb::Schema::new(table.schema.openness(), fields);
                let checks = table.schema.checks().to_vec();
                let schema = schema.and_then(|schema| schema.with_checks(checks));
                new.schema = schema.map_err(|error| super::invalid(error.to_string()))?;
                let collection = self.definitions.collection(&table.name)?;
                collection.alter(Alteration::to(new))?;
            }
        }
        self.drop_sequence(name)
    }

    fn drop_schema(&mut self, schema: &str, cascade: bool) -> Result<(), SqlError> {
        let tables = self.definitions.collections().into_iter();
        let tables = tables.map(|table| table.name);
        let tables: Vec<_> = tables.filter(|name| is_in(schema, name)).collect();
        if let (Some(table), false) = (tables.first(), cascade) {
            let message = format!("cannot drop schema {schema} because other objects depend on it");
            let detail = format!("table {table} depends on schema {schema}");
            return Err(depended(message).detail(detail));
        }
        self.drop_tables(tables, true)?;
        for sequence in self.definitions.sequences()? {
            let name = sequence.name;
            if is_in(schema, &name) {
                self.drop_used_sequence(&name, true)?;
            }
        }
        Ok(())
    }

    /// Within a transaction block rows are deleted, so that they come back when it is rolled back.
    pub(super) fn truncate(&mut self, truncate: &ast::Truncate) -> Result<Vec<SqlError>, SqlError> {
        let Truncated {
            mut tables,
            restart,
            cascade,
        } = self.truncated(truncate)?;
        let open = self.definitions.is_open();
        if restart && open {
            let what = "TRUNCATE … RESTART IDENTITY in a transaction block";
            return Err(SqlError::unsupported(what));
        }
        let referred = self.referring(&mut tables, cascade)?;
        // The last ones refer to the ones before.
        let empty_all = |transaction: &mut Transaction| {
            let mut tables = tables.iter().rev();
            tables.try_for_each(|table| empty(transaction, table))
        };
        if open {
            self.definitions.write(empty_all)?;
        } else if referred {
            let database = self.definitions.database();
            database.transact(Isolation::Snapshot, empty_all)?;
        } else {
            for table in &tables {
                self.definitions.database().collection(table)?.truncate()?;
            }
        }
        if restart {
            for table in &tables {
                for sequence in self.owned_by(table, None)? {
                    find(&self.definitions, &sequence)?.restart()?;
                }
            }
        }
        Ok(Vec::new())
    }

    /// Adds the tables that refer to those which are emptied, and so on; whether there are any.
    ///
    /// # Errors
    /// A table is not there; or another refers to it, and nothing is said of that.
    fn referring(&self, tables: &mut Vec<String>, cascade: bool) -> Result<bool, SqlError> {
        let all = self.definitions.collections();
        let there = |name: &&String| !all.iter().any(|table| table.name == **name);
        if let Some(name) = tables.iter().find(there) {
            return Err(missing("relation", name));
        }
        let mut referred = false;
        let mut at = 0;
        while at < tables.len() {
            let to = tables[at].clone();
            for table in all.iter().filter(|table| table.name != to) {
                let mut fields = table.schema.fields().iter();
                let refers = fields.any(|field| {
                    let reference = field.references.as_ref();
                    reference.is_some_and(|reference| reference.collection == to)
                });
                referred |= refers;
                match refers && !tables.contains(&table.name) {
                    false => {}
                    true if cascade => tables.push(table.name.clone()),
                    true => {
                        let message =
                            "cannot truncate a table referenced in a foreign key constraint";
                        let error = SqlError::new(sqlstate::FEATURE_NOT_SUPPORTED, message);
                        let detail = format!("Table {:?} references {to:?}.", table.name);
                        return Err(error.detail(detail));
                    }
                }
            }
            at += 1;
        }
        Ok(referred)
    }
}

/// What TRUNCATE says.
struct Truncated {
    tables: Vec<String>,
    restart: bool,
    cascade: bool,
}

impl Preparing<'_> {
    fn truncated(&self, truncate: &ast::Truncate) -> Result<Truncated, SqlError> {
        let ast::Truncate {
            table_names,
            partitions: None,
            table: _,
            if_exists: false,
            identity,
            cascade,
            on_cluster: None,
        } = truncate
        else {
            return Err(SqlError::unsupported(format!("{truncate}")));
        };
        // ONLY and * are about tables made of others, which there are none of.
        let names = table_names.iter().map(|target| &target.name);
        let mut tables: Vec<String> = Vec::new();
        for name in names {
            let name = self.table(name)?.name().to_owned();
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
        Ok(Truncated {
            tables,
            restart: matches!(identity, Some(TruncateIdentityOption::Restart)),
            cascade: matches!(cascade, Some(CascadeOption::Cascade)),
        })
    }
}

/// Deletes all rows of a table.
pub(crate) fn empty(transaction: &mut Transaction, table: &str) -> Result<(), Error> {
    let mut ids = Vec::new();
    transaction.find_each(table, &Find::new(Filter::All), |document| {
        ids.push(document.id());
        true
    })?;
    ids.iter()
        .try_for_each(|id| transaction.delete(table, id).map(drop))
}
